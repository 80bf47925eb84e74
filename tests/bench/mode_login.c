/*
 * Logging in and hardly more: connect, USER, PASS, QUIT.
 *
 *   login  each user of the file once, so no credential is known to the server yet, if it has just
 *          been started. The latency is from connect() to the answer to PASS.
 *   open   the same mailbox again and again, and STAT in it. The latency is from PASS to the answer
 *          to STAT: what it takes to open a mailbox of its size. There are servers that answer PASS
 *          before they open it.
 *   uidl   the same with UIDL instead of STAT: what most clients ask for first.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

struct login {
    struct client client;
    enum pop3_login state;
    bool opened;    /* open, uidl: STAT or UIDL has been answered */
    unsigned lines; /* uidl: of the answer so far */
    bool left;      /* QUIT has been answered */
    uint64_t started;
};

static bool begin(struct client *client)
{
    struct login *login = (struct login *)client;

    login->state = POP3_GREETING;
    login->opened = false;
    login->lines = 0;
    login->left = false;
    login->started = latency_now();
    return run_take(client->run);
}

static bool login_begin(struct client *client)
{
    return run_next_account(client) && begin(client);
}

static size_t leave(struct login *login, const char *data, size_t length)
{
    if (login->left)
        client_wrong(&login->client, "nothing after QUIT", data, length);
    size_t used = pop3_reply(&login->client, data, length, false);
    login->left = used > 0;
    return used;
}

static size_t login_input(struct client *client, const char *data, size_t length)
{
    struct login *login = (struct login *)client;

    if (login->state == POP3_IN)
        return leave(login, data, length);
    size_t used = pop3_login_input(client, &login->state, data, length);
    if (login->state == POP3_IN) {
        run_done(client->run, login->started);
        client_send(client, "QUIT\r\n");
    }
    return used;
}

static void note_opened(struct login *login)
{
    login->opened = true;
    run_done(login->client.run, login->started);
    client_send(&login->client, "QUIT\r\n");
}

static size_t take_stat(struct login *login, const char *data, size_t length)
{
    size_t used = pop3_reply(&login->client, data, length, false);

    if (used > 0)
        note_opened(login);
    return used;
}

/* Line by line: to look again and again for the end of so long an answer would take longer. */
static size_t take_uidl(struct login *login, const char *data, size_t length)
{
    const char *line = data, *newline;

    if (login->lines == 0) {
        size_t used = pop3_reply(&login->client, data, length, false);
        login->lines = used > 0;
        return used;
    }
    while ((newline = memchr(line, '\n', length - (size_t)(line - data))) != NULL) {
        size_t taken = (size_t)(newline - line) + 1;
        if (taken == POP3_DOT_LENGTH && memcmp(line, POP3_DOT, POP3_DOT_LENGTH) == 0)
            note_opened(login);
        else if (login->opened || strtoul(line, NULL, 10) != login->lines++)
            client_wrong(&login->client, "the next message", line, taken);
        line = newline + 1;
    }
    return (size_t)(line - data);
}

static bool asks_uidl(const struct login *login)
{
    return login->client.run->mode == &mode_uidl;
}

/* The answer to USER, which begins this, lets PASS be sent. */
static size_t open_input(struct client *client, const char *data, size_t length)
{
    struct login *login = (struct login *)client;

    if (login->state == POP3_IN && !login->opened)
        return (asks_uidl(login) ? take_uidl : take_stat)(login, data, length);
    if (login->state == POP3_IN)
        return leave(login, data, length);
    if (login->state == POP3_USER)
        login->started = latency_now();
    size_t used = pop3_login_input(client, &login->state, data, length);
    if (login->state == POP3_IN)
        client_send(client, asks_uidl(login) ? "UIDL\r\n" : "STAT\r\n");
    return used;
}

static void login_closed(struct client *client)
{
    pop3_closed(client, ((const struct login *)client)->left);
}

const struct mode mode_login = {
    .name = "login",
    .help = "connect, USER, PASS, QUIT, each user of the file once",
    .whole = true,
    .client_size = sizeof(struct login),
    .begin = login_begin,
    .input = login_input,
    .closed = login_closed,
};

const struct mode mode_open = {
    .name = "open",
    .help = "connect, USER, PASS, STAT, QUIT of one user again and again; times PASS and STAT",
    .own_mailboxes = true,
    .connections = 1,
    .client_size = sizeof(struct login),
    .begin = begin,
    .input = open_input,
    .closed = login_closed,
};

const struct mode mode_uidl = {
    .name = "uidl",
    .help = "connect, USER, PASS, UIDL, QUIT of one user again and again; times PASS and UIDL",
    .own_mailboxes = true,
    .connections = 1,
    .client_size = sizeof(struct login),
    .begin = begin,
    .input = open_input,
    .closed = login_closed,
};
