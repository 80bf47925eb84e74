#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/hold.h"

/* For all clients together, to leave after the time of holding. */
#define FAREWELL_SECONDS 60

static enum { FILLING, HOLDING, LEAVING } stage;

static bool input_closed(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char octet[256];

    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, octet, sizeof(octet)) <= 0;
}

static void announce(const struct run *run)
{
    struct tree_use use = {0};

    printf("%u sessions are held", run->ready);
    if (run->options->serve != 0) {
        tree_measure(run->options->serve, &use);
        printf(", server_memory_mb=%.1f", (double)use.memory / 1e6);
    }
    putchar('\n');
    fflush(stdout);
}

void hold_turn(struct run *run, void (*wake)(struct client *client))
{
    static uint64_t end;

    if (stage == FILLING && run->ready == run->client_count) {
        announce(run);
        end = latency_now() + run->options->seconds * RUN_SECOND;
        run->end = end + FAREWELL_SECONDS * RUN_SECOND;
        stage = HOLDING;
    }
    if (stage == HOLDING && (latency_now() >= end || input_closed())) {
        stage = LEAVING;
        for (unsigned i = 0; i < run->client_count; i++)
            wake(run->clients[i]);
    }
}

bool hold_is_over(void)
{
    return stage == LEAVING;
}
