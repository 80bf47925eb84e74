#ifndef LMTPD_CONTENT_H
#define LMTPD_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What comes after DATA: takes off the transparency dots and finds the end, which is CRLF.CRLF and
 * nothing else (RFC 5321 section 4.1.1.4): whoever takes LF.LF or CR.CR for an end as well lets a
 * sender smuggle a second message past the server in front. Pure; knows no connection.
 */

enum content_state {
    CONTENT_LINE_START, /* after CRLF, or nothing has come */
    CONTENT_TEXT,
    CONTENT_CR,     /* CR was the last octet */
    CONTENT_DOT,    /* a dot at the start of a line, not handed on */
    CONTENT_DOT_CR, /* that and CR, not handed on */
    CONTENT_ENDED
};

struct content_span {
    const char *text; /* within the input, or static */
    size_t length;
};

/*
 * Takes the next octets of the input and returns how many; *state begins as CONTENT_LINE_START and
 * is CONTENT_ENDED behind the final dot. span_r becomes the part of the message that they are,
 * which may be empty. To be called again until the input is used up or the end has come.
 */
size_t content_take(enum content_state *state, const char *input, size_t length,
                    struct content_span *span_r);

#endif
