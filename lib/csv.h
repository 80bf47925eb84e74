#ifndef LIB_CSV_H
#define LIB_CSV_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Tables as RFC 4180 has them, as their octets come in: fields separated by commas, a field in
 * quotes may hold commas, newlines and doubled quotes. Lines end in CRLF or LF; empty lines and a
 * byte order mark at the beginning are skipped. Where a semicolon or a tab stands outside of quotes
 * before any comma, that is the separator: spreadsheets write the one where the comma is for
 * decimals, and the other as "text".
 */

#define CSV_FIELDS_MAX 32

struct csv_field {
    char *text; /* the table's own, until the next row, and may be changed; ends in NUL */
    size_t length;
};

struct csv_row {
    unsigned line; /* where it begins; the first one is 1 */
    size_t count;
    struct csv_field fields[CSV_FIELDS_MAX];
};

struct csv;

/* Of rows with up to `most` octets. */
struct csv *csv_new(size_t most);

/* Wipes what it holds: tables have passwords. NULL is allowed. */
void csv_free(struct csv *csv);

/*
 * Takes octets up to the end of a row, moving *octets and *length on. Returns 1 with a row; 0 when
 * all are taken and no row has ended; or -1 with one sentence in *error_r (static text) for a row
 * that is none, whose line is in row_r. The call after that goes on with the next line.
 */
int csv_next(struct csv *csv, const char **octets, size_t *length, struct csv_row *row_r,
             const char **error_r);

/* Nothing follows: the last row, where its line has no end. As above; it must not be fed again. */
int csv_end(struct csv *csv, struct csv_row *row_r, const char **error_r);

#endif
