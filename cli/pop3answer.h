#ifndef CLI_POP3ANSWER_H
#define CLI_POP3ANSWER_H

#include <stddef.h>
#include <stdint.h>

/* What another POP3 server is called and says, which may be anything. */

/* Splits HOST[:PORT]; port_r is 0 where none is given. Returns 0, or -1 when it is neither. */
int pop3answer_host(const char *text, char host_r[256], unsigned *port_r);

/* What a line of UIDL's or LIST's answer says; -1: nothing. */
int pop3answer_line(char *line, unsigned *number_r, char **word_r);

/* Seconds since 1970 of the first Received field in a header section's beginning; 0: none. */
int64_t pop3answer_received(const char *header, size_t length);

#endif
