/*
 * Sessions that do nothing: all connections log in and stay until standard input closes or the
 * time (--seconds, from then on) is over. Then each must still answer a NOOP, which is the
 * operation that is counted.
 */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

/* For all sessions together, to answer after the time of holding. */
#define FAREWELL_SECONDS 60

enum idle_state { IDLE_HELD, IDLE_NOOP, IDLE_QUIT };

struct idle {
    struct client client;
    enum pop3_login login;
    enum idle_state state;
    uint64_t started;
};

static size_t idle_input(struct client *client, const char *data, size_t length)
{
    struct idle *idle = (struct idle *)client;

    if (idle->login != POP3_IN) {
        size_t used = pop3_login_input(client, &idle->login, data, length);
        if (idle->login == POP3_IN)
            client_ready(client);
        return used;
    }
    size_t used = pop3_reply(client, data, length, false);
    if (used == 0)
        return 0;
    switch (idle->state) {
    case IDLE_HELD: client_wrong(client, "silence", data, length);
    case IDLE_NOOP:
        run_done(client->run, idle->started);
        client_send(client, "QUIT\r\n");
        idle->state = IDLE_QUIT;
        break;
    case IDLE_QUIT: client_finish(client); break;
    }
    return used;
}

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

static void wake(struct run *run)
{
    run->begun = 0;
    for (unsigned i = 0; i < run->client_count; i++) {
        struct idle *idle = (struct idle *)run->clients[i];
        if (!run_take(run)) {
            client_finish(&idle->client);
            continue;
        }
        idle->state = IDLE_NOOP;
        idle->started = latency_now();
        client_send(&idle->client, "NOOP\r\n");
    }
}

static void idle_turn(struct run *run)
{
    static enum { FILLING, HOLDING, LEAVING } stage;
    static uint64_t end;

    if (stage == FILLING && run->ready == run->client_count) {
        announce(run);
        end = latency_now() + run->options->seconds * RUN_SECOND;
        run->end = end + FAREWELL_SECONDS * RUN_SECOND;
        stage = HOLDING;
    }
    if (stage == HOLDING && (latency_now() >= end || input_closed())) {
        stage = LEAVING;
        wake(run);
    }
}

const struct mode mode_idle = {
    .name = "idle",
    .help = "log in everywhere and hold the sessions until standard input closes",
    .own_mailboxes = true,
    .opening = 64,
    .client_size = sizeof(struct idle),
    .input = idle_input,
    .turn = idle_turn,
};
