#ifndef POP3D_REPLY_H
#define POP3D_REPLY_H

#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct tongue;

/*
 * What a command handler returns: either that the answer is somebody's business already, or which
 * answer the command loop is to give. Every fixed answer of pop3d stands in the table in reply.c,
 * its words in tongue.c.
 *
 * RESP-CODES is announced, so a text that begins with "[" is a code (RFC 2449 section 8). [AUTH]
 * means that the credentials are wrong and nothing else: clients then ask for the password again
 * (RFC 3206). Faults of ours are [SYS/TEMP], or [SYS/PERM] where they do not pass until somebody
 * does something. [IN-USE] and [LOGIN-DELAY] come only after good credentials.
 */
enum reply {
    REPLY_SENT,    /* the handler has answered */
    REPLY_LATER,   /* the answer comes when somebody else has answered us */
    REPLY_NOT_YET, /* the command cannot be begun yet and stays in the input */
    REPLY_OK,
    REPLY_GREETING,
    REPLY_GREETING_XCLIENT,
    REPLY_CAPABILITIES,
    REPLY_SEND_PASSWORD,
    REPLY_BEGIN_TLS,
    REPLY_GOODBYE,
    REPLY_DELETED,
    REPLY_RESET,
    REPLY_LANGUAGES,
    REPLY_LANGUAGE,
    REPLY_MECHANISMS,
    REPLY_UTF8,
    REPLY_MAILDROP,

    REPLY_UNKNOWN_COMMAND,
    REPLY_ARGUMENTS,
    REPLY_NOT_A_NUMBER,
    REPLY_TOO_LONG,
    REPLY_NUL,
    REPLY_TOO_MANY_BAD,
    REPLY_NO_LANGUAGE,

    REPLY_USE_TLS,
    REPLY_NO_USER,
    REPLY_TLS_ACTIVE,
    REPLY_UTF8_ACTIVE,
    REPLY_NO_MECHANISM,
    REPLY_NOT_BASE64,
    REPLY_NOT_SASL,
    REPLY_CANCELLED,
    REPLY_WRONG_PASSWORD,
    REPLY_WRONG_PROOF, /* by a mechanism that sends no password */
    REPLY_SUSPENDED,
    REPLY_FOR_ANOTHER,
    REPLY_IN_USE,
    REPLY_TOO_SOON,
    REPLY_TOO_MANY_MESSAGES,
    REPLY_DELAYED,
    REPLY_LOGIN_UNAVAILABLE,
    REPLY_FULL,
    REPLY_COME_AGAIN,
    REPLY_ADDRESS_FULL,

    REPLY_NO_MESSAGE,
    REPLY_IS_DELETED,
    REPLY_DAMAGED,
    REPLY_READ_FAILED,
    REPLY_STORE_UNAVAILABLE,
    REPLY_NOT_REMOVED,
    REPLY__MAX
};

enum reply_flag {
    REPLY_BAD = 1,         /* counts toward LIMIT_BAD_COMMANDS */
    REPLY_LAST = 2,        /* the connection is closed after this answer */
    REPLY_FAILED_LOGIN = 4 /* counts toward LIMIT_FAILED_LOGINS */
};

unsigned reply_flags(enum reply reply);

/* The longest answer of one line, with its CRLF (RFC 2449 section 4). */
#define REPLY_LINE_MAX 512

/*
 * Writes an answer in a language, without CRLF and with a NUL; `seconds` is what it speaks of, if
 * it does. Returns its length.
 */
size_t reply_format(char line_r[REPLY_LINE_MAX], enum reply reply, const struct tongue *tongue,
                    uint32_t seconds);

/* Adds a fixed answer to the output. Not for the three that are none. */
void reply_add(struct evbuffer *output, enum reply reply, const struct tongue *tongue,
               uint32_t seconds);

/* "+OK first second": STAT and the one-line forms of LIST. */
void reply_add_numbers(struct evbuffer *output, uint64_t first, uint64_t second);

/* "+OK n messages (m octets)": after a login and before a LIST. */
void reply_add_maildrop(struct evbuffer *output, const struct tongue *tongue, uint64_t messages,
                        uint64_t octets);

/* "+OK de Antworten ...": the answer to LANG (RFC 6856 section 3.2). */
void reply_add_language(struct evbuffer *output, const struct tongue *tongue);

/* "+ text": a SASL challenge in base64, which may be empty (RFC 5034 section 4). */
void reply_add_challenge(struct evbuffer *output, const char *text, size_t length);

/*
 * A piece of a message in stored form, copied once. `head` goes before it and `tail` behind it;
 * either may be empty but not NULL.
 */
void reply_add_piece(struct evbuffer *output, const char *head, const void *piece, size_t length,
                     const char *tail);

#endif
