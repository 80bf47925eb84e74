#ifndef CLI_MBOX_H
#define CLI_MBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/uniqueid.h"

/*
 * The mbox format as mboxrd: each message follows a line "From ADDRESS DATE" and is followed by a
 * blank line; a line of the message that is "From " behind any number of ">" has one ">" more.
 *
 * In files that Bellhop writes the address is "bellhop-UNIQUE-ID", so that a message's unique-id
 * comes back and the message itself is not altered. Dates are UTC, as the format has it.
 */

#define MBOX_FROM_MAX 1024 /* a longer line is none */

/* Whether a line, without its end, stands before a message. */
bool mbox_is_from(const char *line, size_t length);

/*
 * Takes such a line apart: seconds since 1970 (0: no date that can be understood), and the
 * unique-id that Bellhop put there, or an empty one.
 */
void mbox_parse_from(const char *line, size_t length, int64_t *time_r,
                     char unique_id_r[UNIQUEID_SIZE]);

/* Makes such a line with its LF; returns its length. */
size_t mbox_format_from(const char *unique_id, int64_t time, char line_r[MBOX_FROM_MAX]);

/* Adds or takes away the ">" of a message that comes in pieces. */
struct mbox_quoting {
    bool quote;    /* adds them */
    bool text;     /* the line is not one that begins with "From " behind some ">" */
    bool held;     /* one ">" that is to be taken away if "From " follows */
    uint8_t match; /* octets of "From " that have come */
};

/* A piece grows to at most this many octets: it may hold nothing but such lines. */
#define MBOX_QUOTED_MAX(length) ((size_t)(length) + (size_t)(length) / 5 + 8)

void mbox_quoting_init(struct mbox_quoting *quoting, bool quote);
size_t mbox_quote(struct mbox_quoting *quoting, const char *input, size_t length, char *output_r);

/* What was held back at the end of the message: at most 8 octets. */
size_t mbox_quote_end(struct mbox_quoting *quoting, char *output_r);

#endif
