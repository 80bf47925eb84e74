/*
 * What a phone does every few minutes: connect, USER, PASS, STAT, LIST, UIDL, QUIT; with --retrieve
 * also RETR of the first message. An operation is one whole session, from connect() to the answer
 * to QUIT. What it is told must be about the same mail.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

struct session {
    struct client client;
    enum pop3_login login;
    unsigned step; /* in session_steps, after the login */
    uint64_t started;
    char stat[64]; /* the reply */
    struct pop3_sizes sizes;
};

static void keep_stat(struct session *session, const char *data, size_t length)
{
    if (length >= sizeof(session->stat))
        client_wrong(&session->client, "+OK and two numbers", data, length);
    memcpy(session->stat, data, length);
    session->stat[length] = '\0';
}

/* RFC 1939: STAT is "+OK", messages and octets; what follows is the server's own. */
static void compare_list(struct session *session, const char *data, size_t length)
{
    char expected[64];

    pop3_read_list(&session->client, &session->sizes, data, length);
    int known = snprintf(expected, sizeof(expected), "+OK %u %" PRIu64, session->sizes.count,
                         session->sizes.total);
    if (strncmp(session->stat, expected, (size_t)known) != 0 ||
        strchr(" \r\n", session->stat[known]) == NULL)
        client_wrong(&session->client, expected, session->stat, strcspn(session->stat, "\r\n"));
}

static void compare_uidl(struct session *session, const char *data, size_t length)
{
    if (pop3_lines(data, length) != session->sizes.count)
        client_wrong(&session->client, "as many lines as in LIST", data, length);
}

static void compare_message(struct session *session, const char *data, size_t length)
{
    const char *body = (const char *)memchr(data, '\n', length) + 1;
    size_t octets = length - (size_t)(body - data) - POP3_DOT_LENGTH;

    if (session->sizes.count == 0 || octets != session->sizes.octets[0])
        client_wrong(&session->client, "a message as long as in LIST", data, length);
}

static const struct session_step {
    const char *command;
    bool multiline;
    void (*check)(struct session *session, const char *data, size_t length);
} session_steps[] = {
    {"STAT\r\n", false, keep_stat},   {"LIST\r\n", true, compare_list},
    {"UIDL\r\n", true, compare_uidl}, {"RETR 1\r\n", true, compare_message},
    {"QUIT\r\n", false, NULL},
};

#define SESSION_RETR 3

#define SESSION_STEPS (sizeof(session_steps) / sizeof(session_steps[0]))

static bool session_begin(struct client *client)
{
    struct session *session = (struct session *)client;

    session->login = POP3_GREETING;
    session->step = 0;
    if (!run_take(client->run))
        return false;
    session->started = latency_now();
    return true;
}

static unsigned next_step(const struct session *session)
{
    unsigned next = session->step + 1;

    return next == SESSION_RETR && !session->client.run->options->retrieve ? next + 1 : next;
}

static void send_step(struct session *session)
{
    const struct options *options = session->client.run->options;

    if (!options->pipeline)
        client_send(&session->client, "%s", session_steps[session->step].command);
    else if (session->step == 0)
        client_send(&session->client, "STAT\r\nLIST\r\nUIDL\r\n%sQUIT\r\n",
                    options->retrieve ? session_steps[SESSION_RETR].command : "");
}

static size_t session_input(struct client *client, const char *data, size_t length)
{
    struct session *session = (struct session *)client;

    if (session->login != POP3_IN) {
        size_t used = pop3_login_input(client, &session->login, data, length);
        if (session->login == POP3_IN)
            send_step(session);
        return used;
    }
    if (session->step == SESSION_STEPS)
        client_wrong(client, "nothing after QUIT", data, length);
    const struct session_step *step = &session_steps[session->step];
    size_t used = pop3_reply(client, data, length, step->multiline);
    if (used == 0)
        return 0;
    if (step->check != NULL)
        step->check(session, data, used);
    session->step = next_step(session);
    if (session->step == SESSION_STEPS)
        run_done(client->run, session->started);
    else
        send_step(session);
    return used;
}

static void session_closed(struct client *client)
{
    pop3_closed(client, ((const struct session *)client)->step == SESSION_STEPS);
}

static void session_end(struct client *client)
{
    free(((struct session *)client)->sizes.octets);
}

const struct mode mode_session = {
    .name = "session",
    .help = "connect, USER, PASS, STAT, LIST, UIDL, QUIT, again and again",
    .own_mailboxes = true,
    .client_size = sizeof(struct session),
    .begin = session_begin,
    .input = session_input,
    .closed = session_closed,
    .end = session_end,
};
