#ifndef BENCH_POP3_H
#define BENCH_POP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/run.h"

/* What the POP3 modes share: replies, and the way to the transaction state. */

/*
 * The octets of the reply at the beginning of `data`, or 0 when it is not complete yet. Ends the
 * program for a reply that is not +OK.
 */
size_t pop3_reply(const struct client *client, const char *data, size_t length, bool multiline);

/* What LIST says. All zero at first; octets is freed with free(). */
struct pop3_sizes {
    uint64_t *octets; /* of each message, message 1 first */
    unsigned count;
    unsigned room;
    uint64_t total;
};

/*
 * Reads a whole reply to LIST over what was read before. Ends the program unless it counts the
 * messages from 1.
 */
void pop3_read_list(const struct client *client, struct pop3_sizes *sizes, const char *data,
                    size_t length);

/* Of a whole multi-line reply, without the first one and the final dot. */
unsigned pop3_lines(const char *data, size_t length);

#define POP3_DOT        ".\r\n"
#define POP3_DOT_LENGTH (sizeof(POP3_DOT) - 1)

/*
 * A message on its way. *left: its octets and POP3_DOT_LENGTH at first; 0 when it is whole.
 * Consumes as struct mode's input. Ends the program unless the message ends where LIST says; so it
 * may have no line that begins with a dot (what the mode lmtp delivers has none).
 */
size_t pop3_body(const struct client *client, uint64_t *left, const char *data, size_t length);

enum pop3_login { POP3_GREETING, POP3_USER, POP3_PASS, POP3_IN };

/* Handles input until *login is POP3_IN; consumes one reply, as struct mode's input. */
size_t pop3_login_input(struct client *client, enum pop3_login *login, const char *data,
                        size_t length);

/*
 * The server has closed, which it may when QUIT has been answered. It goes first, so that the port
 * at this end is free at once; the client comes again.
 */
void pop3_closed(struct client *client, bool answered);

#endif
