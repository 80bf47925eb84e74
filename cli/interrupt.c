#include <signal.h>

#include "cli/interrupt.h"

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    (void)number;
    caught = 1;
}

void interrupt_watch(void)
{
    /* Without SA_RESTART. */
    const struct sigaction note = {.sa_handler = on_signal};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGINT, &note, NULL);
    sigaction(SIGTERM, &note, NULL);
    sigaction(SIGHUP, &note, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

bool interrupted(void)
{
    return caught != 0;
}
