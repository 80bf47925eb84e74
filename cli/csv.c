#include <stdbool.h>
#include <string.h>

#include "cli/csv.h"

void csv_init(struct csv *csv, char *table, size_t length)
{
    static const char mark[] = "\xef\xbb\xbf"; /* U+FEFF in UTF-8 */

    *csv = (struct csv){.at = table, .end = table + length, .line = 1};
    if (length >= 3 && memcmp(table, mark, 3) == 0)
        csv->at += 3;
}

/* The length of a line's end at this place: 0, 1 or 2. */
static size_t line_end(const struct csv *csv, const char *at)
{
    if (at < csv->end && *at == '\n')
        return 1;
    if (at + 1 < csv->end && at[0] == '\r' && at[1] == '\n')
        return 2;
    /* The last line may lack its end. */
    return at + 1 == csv->end && *at == '\r' ? 1 : 0;
}

static bool field_end(const struct csv *csv, const char *at)
{
    return at == csv->end || *at == ',' || line_end(csv, at) > 0;
}

static void skip_line(struct csv *csv)
{
    char *newline = memchr(csv->at, '\n', (size_t)(csv->end - csv->at));

    csv->at = newline != NULL ? newline + 1 : csv->end;
    csv->line++;
}

/* Takes the quotes out; leaves csv->at after the closing one. */
static const char *quoted_field(struct csv *csv, struct csv_field *field_r)
{
    char *to = csv->at;
    char *from = csv->at + 1;
    unsigned line = csv->line;

    field_r->text = to;
    for (; from < csv->end; from++) {
        if (*from == '"' && (from + 1 == csv->end || from[1] != '"'))
            break;
        if (*from == '"')
            from++;
        line += *from == '\n';
        *to++ = *from;
    }
    if (from == csv->end) {
        csv->at = csv->end; /* everything after it is inside of the quotes */
        return "a quoted field has no closing quote";
    }
    field_r->length = (size_t)(to - field_r->text);
    csv->at = from + 1;
    csv->line = line;
    if (!field_end(csv, csv->at))
        return "there is text after a quoted field; a quote inside of it is written twice";
    return NULL;
}

static const char *plain_field(struct csv *csv, struct csv_field *field_r)
{
    field_r->text = csv->at;
    while (!field_end(csv, csv->at)) {
        if (*csv->at == '"')
            return "there is a quote inside of a field without quotes; put the field in quotes "
                   "and write the quote twice";
        csv->at++;
    }
    field_r->length = (size_t)(csv->at - field_r->text);
    return NULL;
}

/* One field with what ends it; *last_r tells whether that was the line's end. */
static const char *next_field(struct csv *csv, struct csv_field *field_r, bool *last_r)
{
    const char *error = csv->at < csv->end && *csv->at == '"' ? quoted_field(csv, field_r)
                                                              : plain_field(csv, field_r);

    if (error != NULL)
        return error;
    if (memchr(field_r->text, '\0', field_r->length) != NULL)
        return "there is a NUL in it; save the table as UTF-8 text";
    *last_r = csv->at == csv->end || *csv->at != ',';
    size_t separator = *last_r ? line_end(csv, csv->at) : 1;
    csv->line += *last_r && separator > 0;
    /* Only now, for it overwrites the separator. */
    field_r->text[field_r->length] = '\0';
    csv->at += separator;
    return NULL;
}

int csv_next(struct csv *csv, struct csv_row *row_r, const char **error_r)
{
    size_t blank;
    bool last = false;

    while ((blank = line_end(csv, csv->at)) > 0) {
        csv->at += blank;
        csv->line++;
    }
    *row_r = (struct csv_row){.line = csv->line};
    if (csv->at == csv->end)
        return 0;
    *error_r = NULL;
    while (!last && *error_r == NULL) {
        if (row_r->count == CSV_FIELDS_MAX)
            *error_r = "it has too many fields";
        else
            *error_r = next_field(csv, &row_r->fields[row_r->count], &last);
        row_r->count += *error_r == NULL;
    }
    if (*error_r == NULL)
        return 1;
    if (csv->at < csv->end)
        skip_line(csv);
    return -1;
}
