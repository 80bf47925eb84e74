#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "lib/utf8.h"
#include "lib/xalloc.h"
#include "tests/fuzz/rows.h"

struct reading {
    struct row_reader *reader;
    unsigned number; /* of the last row */
    unsigned line;
    bool over;
    crypto_generichash_state digest; /* of all that came out */
};

static void note(struct reading *reading, const void *octets, size_t length)
{
    crypto_generichash_update(&reading->digest, octets, length);
}

static void check_address(const struct address *address)
{
    struct address again;
    const char *error;

    assert(address_parse(&again, address->text, strlen(address->text), &error) == 0);
    assert(strcmp(again.text, address->text) == 0);
}

static void check_good(const struct row *row)
{
    unsigned ways = ROW_BIT(INVITE) | ROW_BIT(GENERATE) | ROW_BIT(HASH) | ROW_BIT(PASSWORD);
    unsigned named = row->given & ways;

    check_address(&row->address);
    assert(strlen(row->name) <= ROW_NAME_MAX && utf8_is_valid(row->name, strlen(row->name)));
    assert((named & (named - 1)) == 0);
    assert((named != 0) == (row->login != ROW_LOGIN_NONE));
    assert((row->login == ROW_LOGIN_HASH) == (row->hash[0] != '\0'));
    assert((row->login == ROW_LOGIN_PASSWORD) == (row->password.length > 0));
    assert(((row->given & ROW_BIT(TARGETS)) != 0) == (row->target_count > 0));
    assert(row->target_count <= ROW_TARGETS_MAX);
    assert(row->target_count == 0 || (row->name[0] == '\0' && named == 0));
    for (unsigned i = 0; i < row->target_count; i++)
        check_address(&row->targets[i]);
}

static void check_errors(struct reading *reading, const struct row *row)
{
    assert(row->error_count <= ROW_ERRORS_MAX);
    for (unsigned i = 0; i < row->error_count; i++) {
        const struct row_error *error = &row->errors[i];
        assert(error->code[0] != '\0' && error->reason[0] != '\0');
        assert(utf8_is_valid(error->column, strlen(error->column)));
        assert(utf8_is_valid(error->reason, strlen(error->reason)));
        note(reading, error->column, strlen(error->column) + 1);
        note(reading, error->reason, strlen(error->reason) + 1);
    }
}

static void check_row(struct reading *reading, const struct row *row)
{
    assert(row->number == ++reading->number);
    assert(row->line >= reading->line && row->line > 0);
    reading->line = row->line;
    check_errors(reading, row);
    if (row->error_count == 0)
        check_good(row);
    note(reading, &row->line, sizeof(row->line));
    note(reading, row->address.text, strlen(row->address.text) + 1);
    note(reading, row->name, strlen(row->name) + 1);
    note(reading, &row->given, sizeof(row->given));
}

static void take(struct reading *reading)
{
    struct row *row;
    enum rows result;

    while ((result = row_reader_next(reading->reader, &row)) == ROWS_ROW)
        check_row(reading, row);
    if (result == ROWS_BROKEN) {
        assert(row->number == 0 && row->error_count > 0);
        check_errors(reading, row);
    }
    reading->over = result != ROWS_MORE;
}

static void feed(struct reading *reading, const uint8_t *data, size_t size)
{
    /* Memory of its own, so that a sanitizer sees who reads behind it. */
    char *piece = xmalloc(size + 1);

    memcpy(piece, data, size);
    row_reader_feed(reading->reader, piece, size);
    take(reading);
    free(piece);
}

static void read_all(enum row_format format, const uint8_t *data, size_t size, bool pieces,
                     uint8_t digest_r[32])
{
    struct reading reading = {.reader = row_reader_new(format, ROW_ALL)};

    crypto_generichash_init(&reading.digest, NULL, 0, 32);
    for (size_t at = 0; at < size && !reading.over;) {
        size_t part = pieces ? data[at] % 61 + 1U : size;
        if (part > size - at)
            part = size - at;
        feed(&reading, data + at, part);
        at += part;
    }
    row_reader_feed(reading.reader, NULL, 0);
    row_reader_end(reading.reader);
    if (!reading.over)
        take(&reading);
    assert(reading.over);
    row_reader_free(reading.reader);
    crypto_generichash_final(&reading.digest, digest_r, 32);
}

void rows_check(enum row_format format, const uint8_t *data, size_t size)
{
    uint8_t whole[32];
    uint8_t pieces[32];

    read_all(format, data, size, false, whole);
    read_all(format, data, size, true, pieces);
    assert(memcmp(whole, pieces, sizeof(whole)) == 0);
}
