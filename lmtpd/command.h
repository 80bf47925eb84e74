#ifndef LMTPD_COMMAND_H
#define LMTPD_COMMAND_H

#include "lmtpd/parse.h"
#include "lmtpd/reply.h"
#include "lmtpd/session.h"

/* What becomes of a command; the loop in session.c writes the replies. */
enum command_result {
    COMMAND_REPLY,  /* *reply_r is the reply */
    COMMAND_SILENT, /* the reply is written, or comes later */
    COMMAND_LEAVE,  /* *reply_r is the reply, and the last one */
};

struct command {
    const char *name;
    enum command_result (*run)(struct session *session, struct text arguments, enum reply *reply_r);
    unsigned states;         /* where it is allowed; bits of enum session_state */
    enum reply out_of_place; /* the answer elsewhere, except before LHLO */
    enum { ARGUMENTS_NONE, ARGUMENTS_MAY, ARGUMENTS_MUST } arguments;
};

/* NULL: there is no such command. */
const struct command *command_find(struct text name);

#endif
