/*
 * Who asks for much and hardly reads it; the sessions stay until standard input closes or the time
 * is over, and the server may close none of them.
 *
 *   slow  some RETRs, and from then on one octet of the answers each second, with TLS of its
 *         records. An operation is such an octet.
 *   deaf  10,000 RETRs in one write, and nothing is read. An operation is a session that was there
 *         until the end.
 */
#include <string.h>

#include "tests/bench/hold.h"
#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

#define RETR          "RETR 1\r\n"
#define SLOW_COMMANDS 50
#define DEAF_COMMANDS 10000

/* Of the kernel's here, so that answers wait at the server; it takes twice that for itself. */
#define ROOM 4096

/* For an octet to be there, when another one has been taken: there are always more to come. */
#define HUNGER_SECONDS 10

struct slow {
    struct client client;
    enum pop3_login login;
    uint64_t fed; /* when the last octet was taken */
};

static void ask(struct client *client, unsigned count)
{
    static char commands[DEAF_COMMANDS * (sizeof(RETR) - 1)];
    size_t length = count * (sizeof(RETR) - 1);

    for (size_t at = 0; at < length; at += sizeof(RETR) - 1)
        memcpy(commands + at, RETR, sizeof(RETR) - 1);
    connection_send(&client->connection, commands, length);
    connection_deafen(&client->connection);
}

static size_t slow_input(struct client *client, const char *data, size_t length)
{
    struct slow *slow = (struct slow *)client;

    size_t used = pop3_login_input(client, &slow->login, data, length);
    if (slow->login != POP3_IN)
        return used;
    ask(client, client->run->mode == &mode_deaf ? DEAF_COMMANDS : SLOW_COMMANDS);
    slow->fed = latency_now();
    client_ready(client);
    return used;
}

static void sip(struct slow *slow, uint64_t now)
{
    struct client *client = &slow->client;

    if (slow->login != POP3_IN || now - slow->fed < RUN_SECOND || !run_take(client->run))
        return;
    if (connection_sip(&client->connection)) {
        slow->fed = now;
        run_done(client->run, now);
    } else if (now - slow->fed > HUNGER_SECONDS * RUN_SECOND) {
        client_wrong(client, "more of its answers", "(nothing)", strlen("(nothing)"));
    }
}

static void slow_turn(struct run *run)
{
    uint64_t now = latency_now();

    for (unsigned i = 0; i < run->opened && !hold_is_over(); i++)
        sip((struct slow *)run->clients[i], now);
    hold_turn(run, client_finish);
}

static void leave(struct client *client)
{
    if (run_take(client->run))
        run_done(client->run, latency_now());
    client_finish(client);
}

static void deaf_turn(struct run *run)
{
    hold_turn(run, leave);
}

const struct mode mode_slow = {
    .name = "slow",
    .help = "log in, RETR, and read one octet a second until standard input closes",
    .own_mailboxes = true,
    .whole = true,
    .opening = 64,
    .room = ROOM,
    .client_size = sizeof(struct slow),
    .input = slow_input,
    .turn = slow_turn,
};

const struct mode mode_deaf = {
    .name = "deaf",
    .help = "log in, 10,000 RETR in one write, and read nothing until standard input closes",
    .own_mailboxes = true,
    .whole = true,
    .connections = 1,
    .opening = 64,
    .room = ROOM,
    .client_size = sizeof(struct slow),
    .input = slow_input,
    .turn = deaf_turn,
};
