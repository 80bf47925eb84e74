#ifndef POP3D_COMMAND_H
#define POP3D_COMMAND_H

#include <stddef.h>

#include "pop3d/line.h"
#include "pop3d/reply.h"
#include "pop3d/session.h"

enum command_flag {
    COMMAND_WHOLE = 1,      /* everything behind the first space is one argument */
    COMMAND_LONG = 2,       /* may be longer than LIMIT_LINE */
    COMMAND_PRIVATE = 4,    /* carries a password: only where session_is_private() */
    COMMAND_KEEPS_USER = 8, /* USER still counts after it (RFC 1939 section 7) */
    COMMAND_STORE = 16,     /* needs stored */
    COMMAND_FETCH = 32,     /* may be begun while messages are on their way */
    COMMAND_STARTS_TLS = 64,
    COMMAND_MESSAGES = 128, /* waits until stored has told all messages */
    COMMAND_NAMES = 256     /* only from who may name its client: for others it does not exist */
};

/*
 * A command of one state. What stands here is checked before the handler is called, and a command
 * that a state does not allow is not in that state's table.
 *
 * The handler does what can be done at once and says which answer the loop is to give. One with
 * COMMAND_FETCH changes nothing when it returns an error: it may be called again.
 */
struct command {
    const char *name;
    enum reply (*handle)(struct session *session, const struct words *words);
    unsigned least; /* arguments */
    unsigned most;
    unsigned flags;
    const char *capability; /* announced by CAPA where the command can be used, or NULL */
    /* Writes what CAPA adds to `capability`, at most `size` octets; 0: it is not announced. */
    size_t (*parameters)(const struct session *session, char *text_r, size_t size);
};

/* The commands of a state; a row without a name ends the table. */
const struct command *command_table(enum session_state state);

/* Begins commands while there are any and the session may begin one. */
void command_loop(struct session *session);

/* Gives a fixed answer and does what goes with it: counts what is limited, closes. */
void command_answer(struct session *session, enum reply reply);

#endif
