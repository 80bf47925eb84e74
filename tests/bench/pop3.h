#ifndef BENCH_POP3_H
#define BENCH_POP3_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/run.h"

/* What the POP3 modes share: replies, and the way to the transaction state. */

/*
 * The octets of the reply at the beginning of `data`, or 0 when it is not complete yet. Ends the
 * program for a reply that is not +OK.
 */
size_t pop3_reply(const struct client *client, const char *data, size_t length, bool multiline);

enum pop3_login { POP3_GREETING, POP3_USER, POP3_PASS, POP3_IN };

/* Handles input until *login is POP3_IN; consumes one reply, as struct mode's input. */
size_t pop3_login_input(struct client *client, enum pop3_login *login, const char *data,
                        size_t length);

#endif
