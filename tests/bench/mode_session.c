/*
 * What a phone does every few minutes: connect, USER, PASS, STAT, LIST, UIDL, QUIT. An operation
 * is one whole session, from connect() to the answer to QUIT.
 */
#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

struct session {
    struct client client;
    enum pop3_login login;
    unsigned step; /* in session_steps, after the login */
    uint64_t started;
};

static const struct session_step {
    const char *command;
    bool multiline;
} session_steps[] = {
    {"STAT\r\n", false},
    {"LIST\r\n", true},
    {"UIDL\r\n", true},
    {"QUIT\r\n", false},
};

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

static void send_step(struct session *session)
{
    if (!session->client.run->options->pipeline)
        client_send(&session->client, "%s", session_steps[session->step].command);
    else if (session->step == 0)
        client_send(&session->client, "STAT\r\nLIST\r\nUIDL\r\nQUIT\r\n");
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
    size_t used = pop3_reply(client, data, length, session_steps[session->step].multiline);
    if (used == 0)
        return 0;
    if (++session->step == SESSION_STEPS)
        run_done(client->run, session->started);
    else
        send_step(session);
    return used;
}

/* The server closes first, so that the port at this end is free at once. */
static void session_closed(struct client *client)
{
    const struct session *session = (const struct session *)client;

    if (session->step != SESSION_STEPS)
        client_wrong(client, "a reply", "(closed)", sizeof("(closed)") - 1);
    client_open(client);
}

const struct mode mode_session = {
    .name = "session",
    .help = "connect, USER, PASS, STAT, LIST, UIDL, QUIT, again and again",
    .own_mailboxes = true,
    .client_size = sizeof(struct session),
    .begin = session_begin,
    .input = session_input,
    .closed = session_closed,
};
