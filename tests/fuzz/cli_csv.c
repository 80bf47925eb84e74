/* cli/csv.h: rows of a table that somebody has made. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/csv.h"
#include "lib/xalloc.h"
#include "tests/fuzz/fuzz.h"

static void check_row(const struct csv_row *row, const char *table, size_t size)
{
    assert(row->count >= 1 && row->count <= CSV_FIELDS_MAX);
    for (size_t i = 0; i < row->count; i++) {
        const struct csv_field *field = &row->fields[i];
        assert(field->text >= table && field->text + field->length <= table + size);
        assert(strlen(field->text) == field->length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *table = xmalloc(size + 1);
    const char *error;
    struct csv csv;
    struct csv_row row;
    unsigned line = 0;
    int result;

    if (size > 0)
        memcpy(table, data, size);
    csv_init(&csv, table, size);
    for (size_t rows = 0; (result = csv_next(&csv, &row, &error)) != 0; rows++) {
        assert(rows <= size);
        assert(row.line > line);
        line = row.line;
        if (result > 0)
            check_row(&row, table, size);
        else
            assert(error[0] != '\0');
    }
    free(table);
    return 0;
}
