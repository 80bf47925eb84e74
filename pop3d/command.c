/*
 * The tables of commands and the one loop that reads, checks, calls and answers.
 */
#include <sodium.h>
#include <strings.h>

#include "pop3d/capa.h"
#include "pop3d/command.h"
#include "pop3d/language.h"
#include "pop3d/login.h"
#include "pop3d/server.h"
#include "pop3d/transaction.h"
#include "pop3d/xclient.h"

static const struct command authorization_commands[] = {
    {"CAPA", capa_command, 0, 0, 0, NULL, NULL},
    {"STLS", login_stls, 0, 0, COMMAND_STARTS_TLS, "STLS", NULL},
    {"USER", login_user, 1, 1, COMMAND_WHOLE | COMMAND_PRIVATE | COMMAND_KEEPS_USER, "USER", NULL},
    {"PASS", login_pass, 1, 1, COMMAND_WHOLE | COMMAND_PRIVATE | COMMAND_KEEPS_USER, NULL, NULL},
    {"AUTH", login_auth, 0, 2, COMMAND_LONG, "SASL", login_mechanisms},
    {"UTF8", login_utf8, 0, 0, 0, "UTF8", login_utf8_user},
    {"LANG", language_command, 0, 1, 0, "LANG", NULL},
    {"XCLIENT", xclient_command, 1, 1, COMMAND_WHOLE | COMMAND_LONG | COMMAND_NAMES, "XCLIENT",
     NULL},
    {"QUIT", transaction_quit, 0, 0, 0, NULL, NULL},
    {0},
};

static const struct command transaction_commands[] = {
    {"RETR", transaction_retr, 1, 1, COMMAND_MESSAGES | COMMAND_STORE | COMMAND_FETCH, NULL, NULL},
    {"DELE", transaction_dele, 1, 1, COMMAND_MESSAGES, NULL, NULL},
    {"LIST", transaction_list, 0, 1, COMMAND_MESSAGES, NULL, NULL},
    {"UIDL", transaction_uidl, 0, 1, COMMAND_MESSAGES, "UIDL", NULL},
    {"STAT", transaction_stat, 0, 0, 0, NULL, NULL},
    {"TOP", transaction_top, 2, 2, COMMAND_MESSAGES | COMMAND_STORE | COMMAND_FETCH, "TOP", NULL},
    {"NOOP", transaction_noop, 0, 0, 0, NULL, NULL},
    {"RSET", transaction_rset, 0, 0, 0, NULL, NULL},
    {"LANG", language_command, 0, 1, 0, NULL, NULL},
    {"QUIT", transaction_quit, 0, 0, 0, NULL, NULL},
    {"CAPA", capa_command, 0, 0, 0, NULL, NULL},
    {0},
};

static const struct command no_commands[] = {{0}};

const struct command *command_table(enum session_state state)
{
    static const struct command *const tables[SESSION__STATES] = {
        [SESSION_AUTHORIZATION] = authorization_commands,
        [SESSION_RESPONSE] = no_commands,
        [SESSION_TRANSACTION] = transaction_commands,
        [SESSION_UPDATE] = no_commands,
    };

    return tables[state];
}

static const struct command *find_command(const struct session *session, const char *keyword)
{
    for (const struct command *command = command_table(session->state); command->name != NULL;
         command++)
        if (strcasecmp(command->name, keyword) == 0 &&
            ((command->flags & COMMAND_NAMES) == 0 || session->peer.names))
            return command;
    return NULL;
}

static enum reply wait_for_messages(struct session *session)
{
    if (!storeclient_is_open(&session->store))
        return REPLY_STORE_UNAVAILABLE;
    session->wait = SESSION_OPENING;
    return REPLY_NOT_YET;
}

static enum reply run_command(struct session *session, struct line *line)
{
    struct words words;

    char *rest = line_split_keyword(line->text);
    const struct command *command = find_command(session, line->text);
    if (session->wait == SESSION_FETCHING &&
        (command == NULL || (command->flags & COMMAND_FETCH) == 0 || !fetch_may_begin(session)))
        return REPLY_NOT_YET;
    if (command != NULL && (command->flags & COMMAND_FETCH) != 0 && session->aheads.waiting > 0)
        return REPLY_NOT_YET;
    if (session->server->closing && (command == NULL || command->handle != transaction_quit))
        return REPLY_COME_AGAIN;
    if (session->state == SESSION_AUTHORIZATION &&
        (command == NULL || (command->flags & COMMAND_KEEPS_USER) == 0))
        login_forget_user(session);
    if (line->taken > LIMIT_LINE && (command == NULL || (command->flags & COMMAND_LONG) == 0))
        return REPLY_TOO_LONG;
    if (command == NULL)
        return REPLY_UNKNOWN_COMMAND;
    if ((command->flags & COMMAND_PRIVATE) != 0 && !session_is_private(session))
        return REPLY_USE_TLS;
    if (line_split_arguments(rest, (command->flags & COMMAND_WHOLE) != 0, &words) < 0 ||
        words.count < command->least || words.count > command->most)
        return REPLY_ARGUMENTS;
    if ((command->flags & COMMAND_MESSAGES) != 0 && !session->maildrop.complete)
        return wait_for_messages(session);
    if ((command->flags & COMMAND_STORE) != 0 && !storeclient_is_open(&session->store))
        return REPLY_STORE_UNAVAILABLE;
    return command->handle(session, &words);
}

/* Answers come in the order of their commands: while messages are on their way, none but theirs. */
static enum reply run_line(struct session *session, enum line_result result, struct line *line)
{
    bool fetching = session->wait == SESSION_FETCHING;

    if (session->state == SESSION_RESPONSE)
        return login_response(session, result == LINE_OK ? line->text : NULL);
    if (fetching && result != LINE_OK)
        return REPLY_NOT_YET;
    if (result == LINE_TOO_LONG)
        return REPLY_TOO_LONG;
    if (result == LINE_NUL)
        return REPLY_NUL;
    enum reply reply = run_command(session, line);
    return fetching && reply != REPLY_LATER ? REPLY_NOT_YET : reply;
}

static bool may_begin(const struct session *session)
{
    if (session->leaving || session->reason != SESSION_GOES_ON || session->server->draining ||
        !session_has_room(session))
        return false;
    return session->wait == SESSION_READY || session->wait == SESSION_FETCHING;
}

void command_loop(struct session *session)
{
    struct evbuffer *input = session->stream.input;
    bool began = false;
    struct line line;

    while (may_begin(session)) {
        enum line_result result = line_peek(input, &session->skipping, &line);
        if (result == LINE_NONE)
            break;
        bool secret = session->state != SESSION_TRANSACTION;
        enum reply reply = run_line(session, result, &line);
        if (reply == REPLY_NOT_YET)
            break;
        line_drop(input, &session->skipping, &line, secret);
        if (secret)
            sodium_memzero(line.text, line.length);
        command_answer(session, reply);
        began = true;
    }
    if (began)
        session_touch(session);
}

static void count_bad(struct session *session, unsigned flags)
{
    if ((flags & REPLY_BAD) == 0) {
        session->bad_commands = 0;
        return;
    }
    if (++session->bad_commands < LIMIT_BAD_COMMANDS)
        return;
    reply_add(session_output(session), REPLY_TOO_MANY_BAD, session->tongue, 0);
    session_leave(session, SESSION_BAD_COMMANDS);
}

void command_answer(struct session *session, enum reply reply)
{
    if (reply == REPLY_SENT || reply == REPLY_LATER) {
        session->bad_commands = 0;
        return;
    }
    unsigned flags = reply_flags(reply);
    reply_add(session_output(session), reply, session->tongue, session->told_seconds);
    count_bad(session, flags);
    if ((flags & REPLY_FAILED_LOGIN) != 0 && ++session->failed_logins == LIMIT_FAILED_LOGINS)
        session_leave(session, SESSION_FAILED_LOGINS);
    if ((flags & REPLY_LAST) == 0)
        return;
    if (reply == REPLY_GOODBYE)
        session_leave(session, SESSION_QUIT);
    else if (reply == REPLY_COME_AGAIN)
        session_leave(session, SESSION_TERMINATED);
    else
        session_leave(session, reply == session->greeting ? SESSION_NO_ROOM : SESSION_STORE_FAILED);
}
