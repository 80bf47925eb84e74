#ifndef CLI_CSV_H
#define CLI_CSV_H

#include <stddef.h>

/*
 * Tables as RFC 4180 has them: fields separated by commas, a field in quotes may hold commas,
 * newlines and doubled quotes. Lines end in CRLF or LF; empty lines and a byte order mark at the
 * beginning are skipped.
 */

#define CSV_FIELDS_MAX 16

struct csv {
    char *at;
    char *end;
    unsigned line; /* of `at` */
};

struct csv_field {
    char *text; /* inside the table's own memory, ends in NUL */
    size_t length;
};

struct csv_row {
    unsigned line; /* where it begins; the first one is 1 */
    size_t count;
    struct csv_field fields[CSV_FIELDS_MAX];
};

/*
 * Begins with a table of `length` octets, which the calls below change: quotes are taken out in
 * place. One more octet after it must be writable.
 */
void csv_init(struct csv *csv, char *table, size_t length);

/*
 * The next row. Returns 1; 0 at the end; or -1 with one sentence in *error_r (static text) for a
 * row that is none, whose line is in row_r. The call after that goes on with the next line.
 */
int csv_next(struct csv *csv, struct csv_row *row_r, const char **error_r);

#endif
