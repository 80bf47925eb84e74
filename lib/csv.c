#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "lib/csv.h"
#include "lib/xalloc.h"

enum state {
    STATE_FIELD, /* a field begins */
    STATE_PLAIN,
    STATE_QUOTED,
    STATE_QUOTE,  /* in a quoted field: it ends, or a quote stands in it */
    STATE_BEHIND, /* a quoted field has ended */
    STATE_SKIP    /* the row is none: its line ends with the next newline */
};

struct csv {
    enum state state;
    char separator; /* 0: none has been seen */
    bool first;     /* the first row: it tells the separator */
    size_t mark;    /* octets of a byte order mark that have been skipped */
    unsigned line;
    unsigned begins;   /* line of the row */
    bool return_held;  /* a CR that may belong to the end of the line */
    const char *error; /* of the row; NULL: none yet */
    size_t starts[CSV_FIELDS_MAX];
    size_t count;  /* fields that have begun */
    size_t length; /* octets of the row that are kept */
    size_t most;
    char text[];
};

struct csv *csv_new(size_t most)
{
    struct csv *csv = xcalloc(1, sizeof(*csv) + most + 1);

    csv->most = most;
    csv->line = 1;
    csv->first = true;
    return csv;
}

void csv_free(struct csv *csv)
{
    if (csv != NULL)
        sodium_memzero(csv, sizeof(*csv) + csv->most + 1);
    free(csv);
}

static void fail(struct csv *csv, const char *error)
{
    if (csv->error == NULL)
        csv->error = error;
}

/* Of a row with a mistake nothing is kept, but it is read on to its end. */
static void keep(struct csv *csv, char octet)
{
    if (csv->length == csv->most)
        fail(csv, "it is too long; is a closing quote missing?");
    if (csv->error == NULL)
        csv->text[csv->length++] = octet;
}

static void begin_field(struct csv *csv)
{
    if (csv->count == CSV_FIELDS_MAX)
        fail(csv, "it has too many fields");
    if (csv->error == NULL)
        csv->starts[csv->count++] = csv->length;
}

static void end_field(struct csv *csv)
{
    keep(csv, '\0');
    csv->state = STATE_FIELD;
}

static bool is_separator(struct csv *csv, char octet)
{
    if (csv->separator == '\0' && csv->first && (octet == ',' || octet == ';' || octet == '\t'))
        csv->separator = octet;
    return octet == (csv->separator != '\0' ? csv->separator : ',');
}

/* An octet outside of quotes that is neither a separator nor the line's end. */
static void take_plain(struct csv *csv, char octet)
{
    if (csv->state == STATE_BEHIND) {
        fail(csv, "there is text after a quoted field; a quote inside of it is written twice");
        csv->state = STATE_SKIP;
    } else if (octet == '"') {
        fail(csv, "there is a quote inside of a field without quotes; put the field in quotes "
                  "and write the quote twice");
        csv->state = STATE_SKIP;
    } else if (octet == '\0') {
        fail(csv, "there is a NUL in it; save the table as UTF-8 text");
        csv->state = STATE_SKIP;
    } else {
        csv->state = STATE_PLAIN;
        keep(csv, octet);
    }
}

static void take_quoted(struct csv *csv, char octet)
{
    if (octet == '\n')
        csv->line++;
    if (octet == '\0')
        fail(csv, "there is a NUL in it; save the table as UTF-8 text");
    if (octet == '"')
        csv->state = STATE_QUOTE;
    else
        keep(csv, octet);
}

/* Outside of quotes, where the line does not end. */
static void take_outside(struct csv *csv, char octet)
{
    if (csv->state == STATE_FIELD)
        begin_field(csv);
    if (is_separator(csv, octet))
        end_field(csv);
    else if (csv->state == STATE_FIELD && octet == '"')
        csv->state = STATE_QUOTED;
    else
        take_plain(csv, octet);
}

/* A CR that no newline has followed is text. */
static void release_return(struct csv *csv)
{
    if (!csv->return_held)
        return;
    csv->return_held = false;
    if (csv->state != STATE_SKIP)
        take_outside(csv, '\r');
}

/* Whether a row has ended that is not empty; it is in row_r, or csv->error is set. */
static bool end_line(struct csv *csv, struct csv_row *row_r)
{
    bool any = csv->count > 0 || csv->error != NULL;

    if (!any)
        return false;
    if (csv->state == STATE_FIELD)
        begin_field(csv);
    end_field(csv);
    *row_r = (struct csv_row){.line = csv->begins, .count = csv->error == NULL ? csv->count : 0};
    for (size_t i = 0; i < row_r->count; i++) {
        size_t end = i + 1 < csv->count ? csv->starts[i + 1] : csv->length;
        row_r->fields[i].text = csv->text + csv->starts[i];
        row_r->fields[i].length = end - 1 - csv->starts[i];
    }
    csv->first = false;
    csv->count = csv->length = 0;
    return true;
}

/* Takes one octet; whether a row has ended. */
static bool take(struct csv *csv, char octet, struct csv_row *row_r)
{
    if (csv->state == STATE_QUOTED) {
        take_quoted(csv, octet);
        return false;
    }
    if (csv->state == STATE_QUOTE && octet == '"') {
        csv->state = STATE_QUOTED;
        keep(csv, octet);
        return false;
    }
    if (csv->state == STATE_QUOTE)
        csv->state = STATE_BEHIND;
    if (octet == '\n') {
        csv->return_held = false;
        csv->line++;
        return end_line(csv, row_r);
    }
    release_return(csv);
    if (octet == '\r')
        csv->return_held = true;
    else if (csv->state != STATE_SKIP)
        take_outside(csv, octet);
    return false;
}

/* Whether it is of a byte order mark: U+FEFF in UTF-8. What only begins like one is text. */
static bool is_mark(struct csv *csv, char octet, struct csv_row *row_r)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t before = csv->mark;

    if (before >= sizeof(mark) - 1)
        return false;
    csv->mark = octet == mark[before] ? before + 1 : sizeof(mark);
    if (octet == mark[before])
        return true;
    for (size_t i = 0; i < before; i++)
        (void)take(csv, mark[i], row_r);
    return false;
}

static int result_of(const struct csv *csv, const char **error_r)
{
    *error_r = csv->error;
    return csv->error == NULL ? 1 : -1;
}

static void begin_row(struct csv *csv)
{
    if (csv->count == 0 && csv->state == STATE_FIELD) {
        csv->begins = csv->line;
        csv->error = NULL;
    }
}

int csv_next(struct csv *csv, const char **octets, size_t *length, struct csv_row *row_r,
             const char **error_r)
{
    while (*length > 0) {
        char octet = **octets;
        (*octets)++;
        (*length)--;
        begin_row(csv);
        if (is_mark(csv, octet, row_r))
            continue;
        if (take(csv, octet, row_r))
            return result_of(csv, error_r);
    }
    return 0;
}

int csv_end(struct csv *csv, struct csv_row *row_r, const char **error_r)
{
    begin_row(csv);
    if (csv->state == STATE_QUOTED)
        fail(csv, "a quoted field has no closing quote");
    return end_line(csv, row_r) ? result_of(csv, error_r) : 0;
}
