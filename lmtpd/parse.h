#ifndef LMTPD_PARSE_H
#define LMTPD_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The arguments of commands, RFC 5321 section 4.1.2. Pure: octets in, values out. A struct text
 * points into what it was parsed from.
 */

struct text {
    const char *at;
    size_t length;
};

/* Whether it is this word, in upper or lower case. */
bool text_is(struct text text, const char *word);

bool text_is_ascii(struct text text);

/* Cuts the first word and the spaces behind it off `text_r`. */
struct text parse_word(struct text *text_r);

/*
 * Parses "FROM:<path>" or "TO:<path>" (`keyword` with its colon) and leaves in `text_r` what
 * follows it. The path is what stands between the brackets without a source route, which RFC 5321
 * appendix C has us ignore. Returns 0, or -1 where there is no such thing: no brackets, a control
 * character, a space outside quotes, a path that is too long.
 */
int parse_path(struct text *text_r, const char *keyword, struct text *path_r);

/* Whether it can be a sender's path: empty, or something@something in UTF-8. */
bool parse_sender(struct text path);

struct parameter {
    struct text keyword;
    struct text value; /* at is NULL when there was no "=" */
};

/*
 * Cuts one " KEYWORD[=VALUE]" off `text_r`. Returns 1, 0 when there is none left (trailing spaces
 * are forgiven), -1 when it is malformed.
 */
int parse_parameter(struct text *text_r, struct parameter *parameter_r);

/* 1 to 20 digits (RFC 1870 section 6.1); a number above UINT64_MAX becomes that. 0 or -1. */
int parse_size(struct text text, uint64_t *size_r);

/* What LHLO's argument may be: a host name or an address literal, without any checks of either. */
bool parse_host(struct text text);

#endif
