/*
 * Fetching at full speed: log in once, then RETR for all messages of the mailbox in one write,
 * again and again, always with more asked for than has come; or with --one-by-one, as a client
 * does that cannot do that. An operation is one RETR, whose octets must be those that LIST says.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

enum retr_state { RETR_LIST, RETR_STATUS, RETR_BODY, RETR_LEAVE };

struct asked {
    unsigned message; /* from 0 */
    uint64_t time;
};

struct retr {
    struct client client;
    enum pop3_login login;
    enum retr_state state;
    struct pop3_sizes sizes;
    struct asked *asked; /* a ring of twice as many as there are messages */
    uint64_t asked_count;
    uint64_t answered;
    uint64_t left; /* as of pop3_body() */
};

static struct asked *asked_at(struct retr *retr, uint64_t number)
{
    return &retr->asked[number % (2 * (uint64_t)retr->sizes.count)];
}

static void ask(struct retr *retr, unsigned count)
{
    size_t room = count * sizeof("RETR 4294967295\r\n");
    char *text = xmalloc(room);
    uint64_t now = latency_now();
    size_t length = 0;

    for (unsigned i = 0; i < count && run_take(retr->client.run); i++) {
        unsigned message = (unsigned)(retr->asked_count % retr->sizes.count);
        *asked_at(retr, retr->asked_count++) = (struct asked){message, now};
        length += (size_t)snprintf(text + length, room - length, "RETR %u\r\n", message + 1);
    }
    connection_send(&retr->client.connection, text, length);
    free(text);
}

/* Keeps one message on its way, or between one and two rounds of the mailbox. */
static void next(struct retr *retr)
{
    uint64_t waiting = retr->asked_count - retr->answered;

    if (!retr->client.run->options->one_by_one && waiting <= retr->sizes.count)
        ask(retr, retr->sizes.count);
    else if (waiting == 0)
        ask(retr, 1);
    retr->state = RETR_STATUS;
    if (retr->asked_count > retr->answered)
        return;
    retr->state = RETR_LEAVE;
    client_send(&retr->client, "QUIT\r\n");
}

static size_t body(struct retr *retr, const char *data, size_t length)
{
    size_t used = pop3_body(&retr->client, &retr->left, data, length);

    if (retr->left > 0)
        return used;
    run_done(retr->client.run, asked_at(retr, retr->answered++)->time);
    next(retr);
    return used;
}

static size_t list(struct retr *retr, const char *data, size_t length)
{
    size_t used = pop3_reply(&retr->client, data, length, true);

    if (used == 0)
        return 0;
    pop3_read_list(&retr->client, &retr->sizes, data, used);
    if (retr->sizes.count == 0)
        log_fatal("the mailbox of %s is empty", retr->client.account->address);
    retr->asked = xcalloc(2 * (size_t)retr->sizes.count, sizeof(struct asked));
    next(retr);
    return used;
}

static size_t status(struct retr *retr, const char *data, size_t length)
{
    size_t used = pop3_reply(&retr->client, data, length, false);

    if (used == 0)
        return 0;
    retr->left = retr->sizes.octets[asked_at(retr, retr->answered)->message] + POP3_DOT_LENGTH;
    retr->state = RETR_BODY;
    return used;
}

static size_t leave(struct retr *retr, const char *data, size_t length)
{
    size_t used = pop3_reply(&retr->client, data, length, false);

    if (used > 0)
        client_finish(&retr->client);
    return used;
}

static size_t retr_input(struct client *client, const char *data, size_t length)
{
    struct retr *retr = (struct retr *)client;

    if (retr->login != POP3_IN) {
        size_t used = pop3_login_input(client, &retr->login, data, length);
        if (retr->login == POP3_IN)
            client_send(client, "LIST\r\n");
        return used;
    }
    switch (retr->state) {
    case RETR_LIST: return list(retr, data, length);
    case RETR_STATUS: return status(retr, data, length);
    case RETR_BODY: return body(retr, data, length);
    case RETR_LEAVE: return leave(retr, data, length);
    }
    return 0;
}

static void retr_end(struct client *client)
{
    struct retr *retr = (struct retr *)client;

    free(retr->sizes.octets);
    free(retr->asked);
}

const struct mode mode_retr = {
    .name = "retr",
    .help = "log in once, then RETR of all messages, pipelined, again and again",
    .own_mailboxes = true,
    .client_size = sizeof(struct retr),
    .input = retr_input,
    .end = retr_end,
};
