/*
 * A generator of load for mail servers on this machine: the table of modes, and main(). It checks
 * every reply, so a server that is fast and wrong fails.
 */
#include <string.h>
#include <sys/resource.h>

#include "lib/log.h"
#include "tests/bench/mode.h"
#include "tests/bench/options.h"

const struct mode *const modes[] = {
    &mode_lmtp,      &mode_session, &mode_retr, &mode_fetch, &mode_login, &mode_open, &mode_uidl,
    &mode_handshake, &mode_idle,    &mode_slow, &mode_deaf,  &mode_half,  NULL};

/* Thousands of sessions need more descriptors than a shell allows at first. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    struct options options;

    log_open("load");
    options_parse(&options, argc, argv);
    raise_descriptors();
    for (size_t i = 0; modes[i] != NULL; i++) {
        if (strcmp(modes[i]->name, options.mode) != 0)
            continue;
        run_all(&options, modes[i]);
        return 0;
    }
    log_fatal("there is no mode %s; see load --help", options.mode);
}
