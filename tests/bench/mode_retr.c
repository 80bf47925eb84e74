/*
 * Fetching at full speed: log in once, then RETR for all messages of the mailbox in one write,
 * again and again, always with more asked for than has come. An operation is one RETR. Its octets
 * must be those that LIST says, so the mailbox may not hold lines that begin with a dot (what the
 * mode lmtp delivers has none).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

#define END_MARK        ".\r\n"
#define END_MARK_LENGTH (sizeof(END_MARK) - 1)

enum retr_state { RETR_LIST, RETR_STATUS, RETR_BODY, RETR_LEAVE };

struct asked {
    unsigned message; /* from 0 */
    uint64_t time;
};

struct retr {
    struct client client;
    enum pop3_login login;
    enum retr_state state;
    uint64_t *octets; /* of each message */
    unsigned messages;
    struct asked *asked; /* a ring of 2 * messages */
    uint64_t asked_count;
    uint64_t answered;
    uint64_t left; /* octets of this body and its end mark */
};

static void read_list(struct retr *retr, const char *data, size_t length)
{
    const char *end = data + length - END_MARK_LENGTH;
    const char *line = (const char *)memchr(data, '\n', length) + 1;

    for (; line < end; line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1) {
        retr->octets = xrealloc(retr->octets, (retr->messages + 1) * sizeof(uint64_t));
        retr->octets[retr->messages++] = strtoull(strchr(line, ' '), NULL, 10);
    }
    if (retr->messages == 0)
        log_fatal("the mailbox of %s is empty", retr->client.account->address);
    retr->asked = xcalloc(2 * (size_t)retr->messages, sizeof(struct asked));
}

static struct asked *asked_at(struct retr *retr, uint64_t number)
{
    return &retr->asked[number % (2 * (uint64_t)retr->messages)];
}

/* Keeps between one and two rounds of the mailbox on their way. */
static void ask(struct retr *retr)
{
    size_t room = (size_t)retr->messages * sizeof("RETR 4294967295\r\n");
    char *text = xmalloc(room);
    uint64_t now = latency_now();
    size_t length = 0;

    for (unsigned i = 0; i < retr->messages && run_take(retr->client.run); i++) {
        *asked_at(retr, retr->asked_count++) = (struct asked){i, now};
        length += (size_t)snprintf(text + length, room - length, "RETR %u\r\n", i + 1);
    }
    connection_send(&retr->client.connection, text, length);
    free(text);
}

static void next(struct retr *retr)
{
    if (retr->asked_count - retr->answered <= retr->messages)
        ask(retr);
    retr->state = RETR_STATUS;
    if (retr->asked_count > retr->answered)
        return;
    retr->state = RETR_LEAVE;
    client_send(&retr->client, "QUIT\r\n");
}

static size_t body(struct retr *retr, const char *data, size_t length)
{
    if (retr->left > END_MARK_LENGTH) {
        uint64_t more = retr->left - END_MARK_LENGTH;
        size_t used = length < more ? length : (size_t)more;
        retr->left -= used;
        return used;
    }
    if (length < END_MARK_LENGTH)
        return 0;
    if (memcmp(data, END_MARK, END_MARK_LENGTH) != 0)
        client_wrong(&retr->client, "the message's end where LIST says", data, length);
    run_done(retr->client.run, asked_at(retr, retr->answered++)->time);
    next(retr);
    return END_MARK_LENGTH;
}

static size_t list(struct retr *retr, const char *data, size_t length)
{
    size_t used = pop3_reply(&retr->client, data, length, true);

    if (used == 0)
        return 0;
    read_list(retr, data, used);
    next(retr);
    return used;
}

static size_t status(struct retr *retr, const char *data, size_t length)
{
    size_t used = pop3_reply(&retr->client, data, length, false);

    if (used == 0)
        return 0;
    retr->left = retr->octets[asked_at(retr, retr->answered)->message] + END_MARK_LENGTH;
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

    free(retr->octets);
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
