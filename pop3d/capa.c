#include <string.h>

#include "pop3d/authclient.h"
#include "pop3d/capa.h"
#include "pop3d/number.h"
#include "pop3d/server.h"

/* Room for what one capability adds: the names of all mechanisms. */
#define PARAMETERS_SIZE (LIMIT_MECHANISMS * AUTH_MECHANISM_SIZE)

static size_t add_text(char *at, const char *text)
{
    size_t length = strlen(text);

    memcpy(at, text, length);
    return length;
}

/* " USER": after the login there may be another value (RFC 2449 sections 6.5 and 6.7). */
static size_t add_user(char *at, bool differs)
{
    return differs ? add_text(at, " USER") : 0;
}

/*
 * RFC 2449 section 6.5: before the login the largest delay of all plans. One that is announced in
 * AUTHORIZATION is announced in TRANSACTION, be it 0.
 */
static size_t login_delay(const struct session *session, char *text_r, size_t size)
{
    const struct auth_plans *plans = authclient_plans(session->server->auth);
    bool known = session->state == SESSION_TRANSACTION;
    size_t length = 0;
    (void)size;

    if (plans->poll_most == 0 && session->delay == 0)
        return 0;
    text_r[length++] = ' ';
    length += number_format(text_r + length, known ? session->delay : plans->poll_most);
    return length + add_user(text_r + length, !known && plans->poll_least != plans->poll_most);
}

/* RFC 2449 section 6.7: before the login the shortest retention of all plans. */
static size_t expire(const struct session *session, char *text_r, size_t size)
{
    const struct auth_plans *plans = authclient_plans(session->server->auth);
    bool known = session->state == SESSION_TRANSACTION;
    uint32_t days = known ? session->retention_days : plans->retention_least;
    size_t length = 0;
    (void)size;

    if (!known && !plans->known)
        return 0;
    text_r[length++] = ' ';
    length += days > 0 ? number_format(text_r + length, days) : add_text(text_r + length, "NEVER");
    return length +
           add_user(text_r + length, !known && plans->retention_least != plans->retention_most);
}

/* RFC 2449 section 6.9: who we are is nothing for strangers, and our version is for nobody. */
static size_t implementation(const struct session *session, char *text_r, size_t size)
{
    (void)size;
    return session->state == SESSION_TRANSACTION ? add_text(text_r, " Bellhop") : 0;
}

/* What is no command's. */
static const struct {
    const char *name;
    /* As in struct command. */
    size_t (*parameters)(const struct session *session, char *text_r, size_t size);
} others[] = {
    {"RESP-CODES", NULL},         {"AUTH-RESP-CODE", NULL}, /* RFC 3206 */
    {"PIPELINING", NULL},         {"EXPIRE", expire},
    {"LOGIN-DELAY", login_delay}, {"IMPLEMENTATION", implementation},
};

static bool is_announced(const struct session *session, const struct command *command)
{
    if (command->capability == NULL)
        return false;
    if ((command->flags & COMMAND_PRIVATE) != 0 && !session_is_private(session))
        return false;
    if ((command->flags & COMMAND_NAMES) != 0)
        return session->peer.names && session->state == SESSION_AUTHORIZATION;
    /* RFC 2595 section 4: announced in the AUTHORIZATION state, and only where it can be begun. */
    if ((command->flags & COMMAND_STARTS_TLS) != 0)
        return session->tls == NULL && !session->utf8 && session->state == SESSION_AUTHORIZATION;
    return true;
}

static void add(struct session *session, const char *name,
                size_t (*parameters)(const struct session *session, char *text_r, size_t size))
{
    char text[PARAMETERS_SIZE];
    size_t length = 0;

    if (parameters != NULL) {
        length = parameters(session, text, sizeof(text));
        if (length == 0)
            return;
    }
    reply_add_piece(session_output(session), name, text, length, "\r\n");
}

/* Both tables in both states: RFC 2449 section 5 has AUTHORIZATION's announced in both. */
static void add_table(struct session *session, enum session_state state)
{
    for (const struct command *command = command_table(state); command->name != NULL; command++)
        if (is_announced(session, command))
            add(session, command->capability, command->parameters);
}

enum reply capa_command(struct session *session, const struct words *words)
{
    (void)words;
    reply_add(session_output(session), REPLY_CAPABILITIES, session->tongue, 0);
    add_table(session, SESSION_AUTHORIZATION);
    add_table(session, SESSION_TRANSACTION);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        add(session, others[i].name, others[i].parameters);
    evbuffer_add(session_output(session), ".\r\n", 3);
    return REPLY_SENT;
}
