/*
 * The commands and the extensions of LMTP. A command is a row of the table at the end, which says
 * where it is allowed; the loop in session.c checks that. An extension is a row as well, and the
 * answer to LHLO is made of these rows.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "lib/conf.h"
#include "lmtpd/command.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* What MAIL's parameters say. */
struct mail {
    uint64_t size;
    bool utf8;
};

/* Takes a parameter's value (at is NULL where there is none); returns 0 or -1. */
static int take_size(struct mail *mail, struct text value)
{
    return value.at != NULL ? parse_size(value, &mail->size) : -1;
}

/* Both are the same to a store that is 8-bit clean (RFC 6152). */
static int take_body(struct mail *mail, struct text value)
{
    (void)mail;
    return value.at != NULL && (text_is(value, "7BIT") || text_is(value, "8BITMIME")) ? 0 : -1;
}

static int take_utf8(struct mail *mail, struct text value)
{
    mail->utf8 = true;
    return value.at == NULL ? 0 : -1;
}

static const struct extension {
    const char *keyword;   /* in the answer to LHLO */
    const char *parameter; /* of MAIL; NULL: none */
    int (*take)(struct mail *mail, struct text value);
    uint64_t number; /* behind the keyword; 0: none */
} extensions[] = {
    {"PIPELINING", NULL, NULL, 0},                   /* RFC 2920 */
    {"ENHANCEDSTATUSCODES", NULL, NULL, 0},          /* RFC 2034 */
    {"8BITMIME", "BODY", take_body, 0},              /* RFC 6152 */
    {"SMTPUTF8", "SMTPUTF8", take_utf8, 0},          /* RFC 6531 */
    {"SIZE", "SIZE", take_size, MESSAGE_OCTETS_MAX}, /* RFC 1870 */
};

static enum command_result run_lhlo(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    struct text host = parse_word(&arguments);

    if (!parse_host(host) || arguments.length > 0) {
        *reply_r = REPLY_SYNTAX;
        return COMMAND_REPLY;
    }
    session_reset(session);
    session->state = SESSION_READY;
    memcpy(session->client, host.at, host.length);
    session->client[host.length] = '\0';
    evbuffer_add_printf(session->output, "250-%s\r\n", session->server->conf->hostname);
    for (size_t i = 0; i < ROWS(extensions); i++) {
        evbuffer_add_printf(session->output, "250%c%s", i + 1 < ROWS(extensions) ? '-' : ' ',
                            extensions[i].keyword);
        if (extensions[i].number > 0)
            evbuffer_add_printf(session->output, " %llu", (unsigned long long)extensions[i].number);
        evbuffer_add(session->output, "\r\n", 2);
    }
    return COMMAND_SILENT;
}

/* RFC 2033 section 4.1. */
static enum command_result run_helo(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    (void)session;
    (void)arguments;
    *reply_r = REPLY_NOT_SMTP;
    return COMMAND_REPLY;
}

static enum reply parse_mail_parameters(struct text arguments, struct mail *mail)
{
    struct parameter parameter;
    unsigned seen = 0;
    int more;

    while ((more = parse_parameter(&arguments, &parameter)) > 0) {
        size_t i = 0;
        while (i < ROWS(extensions) && (extensions[i].parameter == NULL ||
                                        !text_is(parameter.keyword, extensions[i].parameter)))
            i++;
        if (i == ROWS(extensions))
            return REPLY_PARAMETER_UNKNOWN;
        if ((seen & 1U << i) != 0 || extensions[i].take(mail, parameter.value) < 0)
            return REPLY_SYNTAX;
        seen |= 1U << i;
    }
    return more == 0 ? REPLY_OK : REPLY_SYNTAX;
}

static enum command_result run_mail(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    struct mail mail = {0};
    struct text sender;

    *reply_r = REPLY_SYNTAX;
    if (parse_path(&arguments, "FROM:", &sender) < 0)
        return COMMAND_REPLY;
    *reply_r = parse_mail_parameters(arguments, &mail);
    if (*reply_r != REPLY_OK)
        return COMMAND_REPLY;
    if (!parse_sender(sender))
        *reply_r = REPLY_BAD_SENDER;
    else if (!mail.utf8 && !text_is_ascii(sender))
        *reply_r = REPLY_NOT_ASCII;
    else if (mail.size > MESSAGE_OCTETS_MAX)
        *reply_r = REPLY_TOO_LARGE;
    else {
        session->transaction = transaction_new(session->server, session->server->warner, sender.at,
                                               sender.length, mail.size, mail.utf8);
        session->state = SESSION_MAIL;
        session->message++;
        *reply_r = REPLY_SENDER_OK;
    }
    return COMMAND_REPLY;
}

/* RFC 5321 section 4.5.1: the one address that needs no domain. */
static int parse_postmaster(const struct session *session, struct address *address_r)
{
    char text[ADDRESS_MAX + 1];
    const char *error;

    int length = snprintf(text, sizeof(text), "postmaster@%s", session->server->conf->hostname);
    if (length < 0 || (size_t)length >= sizeof(text))
        return -1;
    return address_parse(address_r, text, (size_t)length, &error);
}

/* The argument of RCPT: REPLY_RECIPIENT_OK, or why it is nobody's address. *path_r is its path, or
   untouched where it has none. */
static enum reply parse_recipient(const struct session *session, struct text arguments,
                                  struct text *path_r, struct address *address_r)
{
    struct parameter parameter;
    struct text path;
    const char *error;

    if (parse_path(&arguments, "TO:", &path) < 0)
        return REPLY_SYNTAX;
    *path_r = path;
    int more = parse_parameter(&arguments, &parameter);
    if (more != 0)
        return more > 0 ? REPLY_PARAMETER_UNKNOWN : REPLY_SYNTAX;
    if (!transaction_utf8(session->transaction) && !text_is_ascii(path))
        return REPLY_NOT_ASCII;
    if (text_is(path, "postmaster"))
        return parse_postmaster(session, address_r) == 0 ? REPLY_RECIPIENT_OK : REPLY_NO_MAILBOX;
    if (address_parse(address_r, path.at, path.length, &error) < 0)
        return REPLY_BAD_RECIPIENT;
    return REPLY_RECIPIENT_OK;
}

static enum command_result run_rcpt(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    struct address address;
    struct text path = arguments;

    *reply_r = parse_recipient(session, arguments, &path, &address);
    if (*reply_r != REPLY_RECIPIENT_OK) {
        session_refused(session, path, *reply_r);
        return COMMAND_REPLY;
    }
    session_start_check(session, &address);
    return COMMAND_SILENT;
}

static enum command_result run_data(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    (void)arguments;
    session_start_content(session);
    *reply_r = REPLY_SEND_MESSAGE;
    return COMMAND_REPLY;
}

static enum command_result run_rset(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    (void)arguments;
    session_reset(session);
    *reply_r = REPLY_OK;
    return COMMAND_REPLY;
}

static enum command_result run_noop(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    (void)session;
    (void)arguments;
    *reply_r = REPLY_OK;
    return COMMAND_REPLY;
}

/* RFC 5321 section 7.3: nobody learns here which addresses exist. */
static enum command_result run_vrfy(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    (void)session;
    (void)arguments;
    *reply_r = REPLY_CANNOT_VERIFY;
    return COMMAND_REPLY;
}

static enum command_result run_quit(struct session *session, struct text arguments,
                                    enum reply *reply_r)
{
    (void)session;
    (void)arguments;
    *reply_r = REPLY_BYE;
    return COMMAND_LEAVE;
}

/* RFC 5321 section 4.1.4 on the order; RSET, NOOP, VRFY and QUIT at any time. */
static const struct command commands[] = {
    {"LHLO", run_lhlo, SESSION_ANY, REPLY__MAX, ARGUMENTS_MUST},
    {"MAIL", run_mail, SESSION_READY, REPLY_NESTED_MAIL, ARGUMENTS_MUST},
    {"RCPT", run_rcpt, SESSION_MAIL | SESSION_RCPT, REPLY_SAY_MAIL, ARGUMENTS_MUST},
    {"DATA", run_data, SESSION_RCPT, REPLY_NO_RECIPIENT, ARGUMENTS_NONE},
    {"RSET", run_rset, SESSION_ANY, REPLY__MAX, ARGUMENTS_NONE},
    {"NOOP", run_noop, SESSION_ANY, REPLY__MAX, ARGUMENTS_MAY},
    {"VRFY", run_vrfy, SESSION_ANY, REPLY__MAX, ARGUMENTS_MUST},
    {"QUIT", run_quit, SESSION_ANY, REPLY__MAX, ARGUMENTS_NONE},
    {"HELO", run_helo, SESSION_ANY, REPLY__MAX, ARGUMENTS_MAY},
    {"EHLO", run_helo, SESSION_ANY, REPLY__MAX, ARGUMENTS_MAY},
};

const struct command *command_find(struct text name)
{
    for (size_t i = 0; i < ROWS(commands); i++)
        if (text_is(name, commands[i].name))
            return &commands[i];
    return NULL;
}
