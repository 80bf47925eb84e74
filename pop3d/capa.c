#include <string.h>

#include "pop3d/capa.h"

/* Room for what one command adds: the names of all mechanisms. */
#define PARAMETERS_SIZE (LIMIT_MECHANISMS * AUTH_MECHANISM_SIZE)

static bool is_announced(const struct session *session, const struct command *command)
{
    if (command->capability == NULL)
        return false;
    if ((command->flags & COMMAND_PRIVATE) != 0 && !session_is_private(session))
        return false;
    /* RFC 2595 section 4: announced in the AUTHORIZATION state, and only before TLS. */
    if ((command->flags & COMMAND_STARTS_TLS) != 0)
        return session->tls == NULL && session->state == SESSION_AUTHORIZATION;
    return true;
}

static void add_command(struct session *session, const struct command *command)
{
    char parameters[PARAMETERS_SIZE];
    size_t length = 0;

    if (!is_announced(session, command))
        return;
    if (command->parameters != NULL) {
        length = command->parameters(session, parameters, sizeof(parameters));
        if (length == 0)
            return;
    }
    reply_add_piece(session_output(session), command->capability, parameters, length, "\r\n");
}

/* Both tables in both states: RFC 2449 section 5 has AUTHORIZATION's announced in both. */
static void add_table(struct session *session, enum session_state state)
{
    for (const struct command *command = command_table(state); command->name != NULL; command++)
        add_command(session, command);
}

enum reply capa_command(struct session *session, const struct words *words)
{
    (void)words;
    reply_add(session_output(session), REPLY_CAPABILITIES);
    add_table(session, SESSION_AUTHORIZATION);
    add_table(session, SESSION_TRANSACTION);
    static const char others[] = "RESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n";
    evbuffer_add(session_output(session), others, strlen(others));
    /* RFC 2449 section 6.9: who we are is nothing for strangers. */
    static const char implementation[] = "IMPLEMENTATION Bellhop\r\n";
    if (session->state == SESSION_TRANSACTION)
        evbuffer_add(session_output(session), implementation, strlen(implementation));
    evbuffer_add(session_output(session), ".\r\n", 3);
    return REPLY_SENT;
}
