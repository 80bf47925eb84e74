/*
 * The loop of a connection: lines to commands, content to the transaction. Trusts nothing that
 * comes in; the generic replies are written here and nowhere else.
 */
#include <event2/buffer.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "lmtpd/command.h"
#include "lmtpd/session.h"
#include "lmtpd/trace.h"

static void draw_id(struct session *session)
{
    uint8_t random[8];

    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(session->id, sizeof(session->id), random, sizeof(random));
}

struct session *session_new(const struct server *server, const char *peer, struct evbuffer *output,
                            void (*resume)(void *context), void *context)
{
    struct session *session = xcalloc(1, sizeof(*session));

    session->server = server;
    session->output = session->replies = output;
    session->held = evbuffer_new();
    if (session->held == NULL)
        log_fatal("out of memory");
    session->resume = resume;
    session->context = context;
    session->state = SESSION_START;
    snprintf(session->peer, sizeof(session->peer), "%s", peer);
    draw_id(session);
    evbuffer_add_printf(output, "220 %s LMTP ready\r\n", server->conf->hostname);
    return session;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    recipient_check_cancel(session->check);
    store_link_wait_end(session->server->store, &session->waiter);
    transaction_free(session->transaction);
    transaction_free(session->ending);
    evbuffer_free(session->held);
    free(session);
}

bool session_waiting(const struct session *session)
{
    return session->waiting || session->ending != NULL;
}

bool session_left(const struct session *session)
{
    return session->left && session->ending == NULL;
}

/* What comes of each recipient, at RCPT when refused and after DATA otherwise. */
static void count_outcome(enum reply reply)
{
    switch (reply_class(reply)) {
    case '2': metric_add(METRIC_LMTP_DELIVERED, 1); break;
    case '4': metric_add(METRIC_LMTP_DEFERRED, 1); break;
    default: metric_add(METRIC_LMTP_REFUSED, 1); break;
    }
}

static void leave(struct session *session, enum reply reply)
{
    reply_write(session->output, reply);
    session->left = true;
}

/* The end of a wait. The session may be gone when this returns. */
static void wake(struct session *session)
{
    if (!session->waiting && !session->busy)
        session->resume(session->context);
}

static void end_wait(struct session *session)
{
    session->waiting = false;
    wake(session);
}

void session_reset(struct session *session)
{
    transaction_free(session->transaction);
    session->transaction = NULL;
    if (session->state != SESSION_START)
        session->state = SESSION_READY;
}

void session_refused(struct session *session, struct text recipient, enum reply reply)
{
    size_t length = recipient.length < PATH_MAX_OCTETS ? recipient.length : PATH_MAX_OCTETS;

    count_outcome(reply);
    if (session->refusals == REFUSALS_LOGGED_MAX)
        return;
    session->refusals++;
    log_info("%s session=%s-%u from=<%s> to=<%.*s> reply=\"%s\"%s",
             reply_class(reply) == '4' ? "deferred" : "refused", session->id, session->message,
             transaction_sender(session->transaction), (int)length, recipient.at, reply_text(reply),
             session->refusals == REFUSALS_LOGGED_MAX ? " and more are not logged" : "");
}

static void on_checked(void *context, const char *address, enum reply reply)
{
    struct session *session = context;

    session->check = NULL;
    reply_write(session->output, reply);
    if (reply == REPLY_RECIPIENT_OK)
        session->state = SESSION_RCPT;
    else
        session_refused(session, (struct text){address, strlen(address)}, reply);
    end_wait(session);
}

void session_start_check(struct session *session, const struct address *address)
{
    session->waiting = true;
    session->check =
        recipient_check_start(session->server, session->transaction, address, on_checked, session);
}

void session_start_content(struct session *session)
{
    char head[TRACE_SIZE];
    char id[32];
    struct trace trace = {
        .sender = transaction_sender(session->transaction),
        .client = session->client,
        .peer = session->peer,
        .hostname = session->server->conf->hostname,
        .id = id,
        .recipient = transaction_only_recipient(session->transaction),
        .utf8 = transaction_utf8(session->transaction),
    };

    snprintf(id, sizeof(id), "%s-%u", session->id, session->message);
    session->state = SESSION_CONTENT;
    session->content = CONTENT_LINE_START;
    transaction_begin(session->transaction, head, trace_format(&trace, time(NULL), head));
}

static void on_store_ready(struct store_waiter *waiter)
{
    struct session *session =
        (struct session *)(void *)((char *)waiter - offsetof(struct session, waiter));

    end_wait(session);
}

/* Until all has left for stored. */
static void hold_back(struct session *session)
{
    session->waiting = true;
    store_link_wait(session->server->store, &session->waiter, on_store_ready);
}

static void stop_holding_back(struct session *session)
{
    session->waiting = false;
    store_link_wait_end(session->server->store, &session->waiter);
}

/*
 * RFC 2033 section 4.2: one reply for each accepted recipient, in order. The client waits for them,
 * and nobody for the log.
 */
static void on_message_done(void *context)
{
    struct session *session = context;
    struct transaction *transaction = session->ending;
    char id[32];

    snprintf(id, sizeof(id), "%s-%u", session->id, session->ending_message);
    for (unsigned i = 0; i < transaction_recipients(transaction); i++) {
        enum reply reply = transaction_reply(transaction, i);
        count_outcome(reply);
        evbuffer_add_printf(session->replies, "%s, id %s\r\n", reply_text(reply), id);
    }
    evbuffer_add_buffer(session->replies, session->held);
    session->output = session->replies;
    session->ending = NULL;
    if (session->check == NULL)
        stop_holding_back(session);
    wake(session);
    transaction_log(transaction, id);
    transaction_free(transaction);
}

/*
 * RFC 2920 section 3.1: the next message's commands may have come with this one. They are looked at
 * while the disk works, and answered behind it.
 */
static void end_message(struct session *session)
{
    session->ending = session->transaction;
    session->ending_message = session->message;
    session->transaction = NULL;
    session->output = session->held;
    session->state = SESSION_READY;
    session->bad_commands = 0;
    session->refusals = 0;
    transaction_end(session->ending, on_message_done, session);
}

static size_t take_content(struct session *session, const char *input, size_t length)
{
    struct content_span span;
    size_t used = 0;

    while (used < length && session->content != CONTENT_ENDED) {
        used += content_take(&session->content, input + used, length - used, &span);
        transaction_data(session->transaction, span.text, span.length);
    }
    if (session->content == CONTENT_ENDED)
        end_message(session);
    /* What follows a message is not to keep it from the disk. */
    bool follows = session->ending != NULL && used < length;
    if (follows || (session->content != CONTENT_ENDED && store_link_full(session->server->store)))
        hold_back(session);
    return used;
}

/* Answers a command, and counts the bad ones. */
static void answer(struct session *session, enum reply reply)
{
    if (!reply_is_protocol_error(reply) || ++session->bad_commands < BAD_COMMANDS_MAX)
        reply_write(session->output, reply);
    else
        leave(session, REPLY_BAD_COMMANDS);
}

/* REPLY_OK, or why the command cannot be run here and now. */
static enum reply check_command(const struct session *session, const struct command *command,
                                struct text arguments)
{
    if (command == NULL)
        return REPLY_UNKNOWN;
    if ((command->states & session->state) == 0) {
        if (session->state == SESSION_START)
            return REPLY_SAY_LHLO;
        return session->state == SESSION_READY ? REPLY_SAY_MAIL : command->out_of_place;
    }
    if ((command->arguments == ARGUMENTS_NONE && arguments.length > 0) ||
        (command->arguments == ARGUMENTS_MUST && arguments.length == 0))
        return REPLY_SYNTAX;
    return REPLY_OK;
}

static void run_line(struct session *session, struct text line)
{
    struct text name = parse_word(&line);
    const struct command *command = command_find(name);

    enum reply reply = check_command(session, command, line);
    if (reply != REPLY_OK) {
        answer(session, reply);
        return;
    }
    switch (command->run(session, line, &reply)) {
    case COMMAND_SILENT: break;
    case COMMAND_LEAVE: leave(session, reply); break;
    case COMMAND_REPLY: answer(session, reply); break;
    }
}

static bool is_malformed(struct text line)
{
    return memchr(line.at, '\r', line.length) != NULL ||
           memchr(line.at, '\n', line.length) != NULL || memchr(line.at, '\0', line.length) != NULL;
}

/* The octets up to and with the first CRLF, or 0. No other line end counts: RFC 5321 2.3.8. */
static size_t find_line(const char *input, size_t length)
{
    const char *end = memmem(input, length, "\r\n", 2);

    return end != NULL ? (size_t)(end - input) + 2 : 0;
}

static size_t take_line(struct session *session, const char *input, size_t length)
{
    size_t size = find_line(input, length);

    if (size == 0) {
        if (length < LINE_MAX_OCTETS && !session->skipping)
            return 0;
        /* A CR at the end may be half of the line's end. */
        session->skipping = true;
        return input[length - 1] == '\r' ? length - 1 : length;
    }
    struct text line = {input, size - 2};
    if (session->skipping || size > LINE_MAX_OCTETS)
        answer(session, REPLY_LINE_TOO_LONG);
    else if (is_malformed(line))
        answer(session, REPLY_LINE_MALFORMED);
    else
        run_line(session, line);
    session->skipping = false;
    return size;
}

static bool is_between_messages(const struct session *session)
{
    return session->transaction == NULL && !session_waiting(session);
}

/* While a message ends, only commands, and at the end of service no new transaction. */
static bool takes_input(const struct session *session)
{
    if (session->waiting || session->left)
        return false;
    return session->ending == NULL ||
           (session->state != SESSION_CONTENT && !session->server->draining);
}

size_t session_input(struct session *session, const char *input, size_t length)
{
    size_t used = 0;

    session->busy = true;
    while (takes_input(session)) {
        if (session->server->draining && is_between_messages(session)) {
            leave(session, REPLY_SHUTDOWN);
            break;
        }
        if (used == length)
            break;
        size_t taken = session->state == SESSION_CONTENT
                           ? take_content(session, input + used, length - used)
                           : take_line(session, input + used, length - used);
        if (taken == 0)
            break;
        used += taken;
    }
    session->busy = false;
    return used;
}

void session_timeout(struct session *session)
{
    if (!session_waiting(session) && !session->left)
        leave(session, REPLY_TIMEOUT);
}

void session_drain(struct session *session)
{
    if (is_between_messages(session) && !session->left)
        leave(session, REPLY_SHUTDOWN);
}

/* What is held would be taken for replies to the message that has none. */
void session_stop(struct session *session)
{
    bool left = session_left(session);

    session->output = session->replies;
    if (!left)
        leave(session, REPLY_SHUTDOWN);
}
