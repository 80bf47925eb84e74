#ifndef POP3D_LINE_H
#define POP3D_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "pop3d/limits.h"

struct evbuffer;

/*
 * From octets to lines and from lines to words. Knows no command and no session. A line ends in
 * CRLF; a bare LF is taken too. A line longer than LIMIT_LONG_LINE is thrown away whole and counts
 * as one line.
 */

enum line_result {
    LINE_NONE, /* no whole line has come yet */
    LINE_OK,
    LINE_TOO_LONG, /* longer than any line may be; the text is empty */
    LINE_NUL       /* holds a NUL; the text is not to be used */
};

/* The buffer's line that is next. Valid until line_drop(). */
struct line {
    size_t taken;  /* octets in the buffer, line end included */
    size_t length; /* of the text, without the line end */
    char text[LIMIT_LONG_LINE + 1];
};

/*
 * Copies the next line out of `input` and leaves it there, so that it can be looked at again later.
 * *skipping_r remembers, between calls, that the beginning of an over-long line has been thrown
 * away; it starts as false.
 */
enum line_result line_peek(struct evbuffer *input, bool *skipping_r, struct line *line_r);

/* Takes the line off the input. With `wipe`, overwrites it first: it may hold a password. */
void line_drop(struct evbuffer *input, bool *skipping_r, const struct line *line, bool wipe);

#define LINE_ARGUMENTS 2

struct words {
    unsigned count; /* of arguments */
    char *arguments[LINE_ARGUMENTS];
};

/*
 * Ends the keyword at the first space, in place. Returns what follows that space, or NULL when
 * there is none.
 */
char *line_split_keyword(char *text);

/*
 * Splits what follows the keyword (or NULL) at single spaces, in place (RFC 1939 section 3). With
 * `whole` it is one argument, spaces and all. Spaces at the end are dropped otherwise. Returns 0,
 * or -1 for more than LINE_ARGUMENTS arguments or an empty one.
 */
int line_split_arguments(char *text, bool whole, struct words *words_r);

#endif
