/*
 * Sessions that do nothing: all connections log in and stay until standard input closes or the
 * time (--seconds, from then on) is over. Then each must still answer a NOOP, which is the
 * operation that is counted.
 */
#include "tests/bench/hold.h"
#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

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

static void wake(struct client *client)
{
    struct idle *idle = (struct idle *)client;

    if (!run_take(client->run)) {
        client_finish(client);
        return;
    }
    idle->state = IDLE_NOOP;
    idle->started = latency_now();
    client_send(client, "NOOP\r\n");
}

static void idle_turn(struct run *run)
{
    hold_turn(run, wake);
}

const struct mode mode_idle = {
    .name = "idle",
    .help = "log in everywhere and hold the sessions until standard input closes",
    .own_mailboxes = true,
    .whole = true,
    .opening = 64,
    .client_size = sizeof(struct idle),
    .input = idle_input,
    .turn = idle_turn,
};
