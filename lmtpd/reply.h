#ifndef LMTPD_REPLY_H
#define LMTPD_REPLY_H

#include <stdbool.h>

#include "lib/storemsg.h"

struct evbuffer;

/* Every reply on the wire, with its enhanced status code (RFC 2034, RFC 3463, RFC 5248). */
#define REPLY_TABLE(ROW)                                                                           \
    ROW(OK, "250 2.0.0 ok")                                                                        \
    ROW(SENDER_OK, "250 2.1.0 sender ok")                                                          \
    ROW(RECIPIENT_OK, "250 2.1.5 recipient ok")                                                    \
    ROW(CANNOT_VERIFY, "252 2.0.0 deliver a message to find out")                                  \
    ROW(BYE, "221 2.0.0 goodbye")                                                                  \
    ROW(SEND_MESSAGE, "354 send the message and end it with <CRLF>.<CRLF>")                        \
    ROW(DELIVERED, "250 2.0.0 delivered")                                                          \
    ROW(UNKNOWN, "500 5.5.2 there is no such command")                                             \
    ROW(NOT_SMTP, "500 5.5.1 this is LMTP (RFC 2033); say LHLO")                                   \
    ROW(LINE_TOO_LONG, "500 5.5.2 the line is too long")                                           \
    ROW(LINE_MALFORMED, "500 5.5.2 a command holds no NUL, no bare CR and no bare LF")             \
    ROW(SYNTAX, "501 5.5.4 the arguments are malformed")                                           \
    ROW(BAD_RECIPIENT, "501 5.1.3 the recipient's address is malformed")                           \
    ROW(BAD_SENDER, "501 5.1.7 the sender's address is malformed")                                 \
    ROW(PARAMETER_UNKNOWN, "555 5.5.4 there is no such parameter")                                 \
    ROW(NOT_ASCII, "553 5.6.7 an address that is not ASCII needs SMTPUTF8 with MAIL")              \
    ROW(SAY_LHLO, "503 5.5.1 say LHLO first")                                                      \
    ROW(SAY_MAIL, "503 5.5.1 say MAIL first")                                                      \
    ROW(NESTED_MAIL, "503 5.5.1 a message is begun already; RSET ends it")                         \
    ROW(NO_RECIPIENT, "503 5.5.1 no recipient has been accepted")                                  \
    ROW(TOO_MANY_RECIPIENTS, "452 4.5.3 too many recipients; send the rest in another message")    \
    ROW(NO_MAILBOX, "550 5.1.1 there is no such mailbox here")                                     \
    ROW(SUSPENDED_FOR_NOW, "450 4.2.1 the mailbox is suspended; try again later")                  \
    ROW(SUSPENDED, "550 5.2.1 the mailbox is suspended")                                           \
    ROW(TOO_LARGE, "552 5.3.4 the message is larger than allowed")                                 \
    ROW(OVER_QUOTA, "452 4.2.2 the mailbox is full; try again later")                              \
    ROW(STORE_FULL, "452 4.3.1 there is no room for mail at the moment; try again later")          \
    ROW(FAILURE, "451 4.3.0 this cannot be done at the moment; try again later")                   \
    ROW(BAD_COMMANDS, "421 4.7.0 too many bad commands; goodbye")                                  \
    ROW(TIMEOUT, "421 4.4.2 nothing has come for too long; goodbye")                               \
    ROW(SHUTDOWN, "421 4.3.2 the service is being stopped; try again later")

#define REPLY_ENUM(id, text) REPLY_##id,
enum reply { REPLY_TABLE(REPLY_ENUM) REPLY__MAX };
#undef REPLY_ENUM

/* Without its CRLF. */
const char *reply_text(enum reply reply);

/* The first digit: '2', '3', '4' or '5'. */
char reply_class(enum reply reply);

/* Whether it says that the client broke the protocol: 5.5.x of RFC 3463 section 3.6. */
bool reply_is_protocol_error(enum reply reply);

void reply_write(struct evbuffer *output, enum reply reply);

/* What the sender hears about a recipient after DATA. The one place where this is decided. */
enum reply reply_of_store(enum store_result result);

/*
 * One reply for an address that leads to several mailboxes: success only if at least one took it
 * and none failed for now, permanent failure only if all did, and otherwise the temporary failure,
 * so that the sender tries again and nobody's copy is lost. Begin with `so_far` = REPLY__MAX.
 */
enum reply reply_combine(enum reply so_far, enum reply next);

#endif
