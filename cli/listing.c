#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/listing.h"
#include "cli/number.h"
#include "lib/rfc3339.h"
#include "lib/xalloc.h"

/* How wide the text is on a screen, more or less: its characters, not its octets. */
static int text_width(const char *text)
{
    int width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* The caller frees the result. */
static char *cell_text(const json_t *row, const struct listing_column *column)
{
    const json_t *value = json_object_get(row, column->member);
    char size[NUMBER_SIZE_TEXT];

    switch (json_typeof(value)) {
    case JSON_STRING: return xstrdup(json_string_value(value));
    case JSON_INTEGER:
        if (column->kind != LISTING_SIZE)
            return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
        number_format_size((uint64_t)json_integer_value(value), size);
        return xstrdup(size);
    case JSON_TRUE: return xstrdup("yes");
    case JSON_FALSE: return xstrdup("no");
    default: return xstrdup("-");
    }
}

static bool aligned_right(const struct listing_column *column)
{
    return column->kind == LISTING_NUMBER || column->kind == LISTING_SIZE;
}

/* The last cell of a line is not filled up, so that no line ends in blanks. */
static void print_cell(const char *text, int width, bool right, bool last)
{
    int fill = width - text_width(text);

    printf("%*s%s%*s", right ? fill : 0, "", text, right || last ? 0 : fill, "");
    fputs(last ? "\n" : "  ", stdout);
}

static void print_table(json_t *rows, const struct listing_column *columns)
{
    size_t row_count = json_array_size(rows);
    size_t column_count = 0;

    while (columns[column_count].member != NULL)
        column_count++;
    int *widths = xcalloc(column_count, sizeof(*widths));
    char **cells = xcalloc(row_count * column_count, sizeof(*cells));
    for (size_t c = 0; c < column_count; c++) {
        widths[c] = text_width(columns[c].title);
        for (size_t r = 0; r < row_count; r++) {
            char *cell = cell_text(json_array_get(rows, r), &columns[c]);
            cells[r * column_count + c] = cell;
            if (text_width(cell) > widths[c])
                widths[c] = text_width(cell);
        }
    }
    for (size_t c = 0; c < column_count; c++)
        print_cell(columns[c].title, widths[c], aligned_right(&columns[c]), c == column_count - 1);
    for (size_t i = 0; i < row_count * column_count; i++) {
        size_t c = i % column_count;
        print_cell(cells[i], widths[c], aligned_right(&columns[c]), c == column_count - 1);
        free(cells[i]);
    }
    free(cells);
    free(widths);
}

static void print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
}

void listing_print(json_t *rows, const struct listing_column *columns, bool json)
{
    if (json)
        print_json(rows);
    else
        print_table(rows, columns);
    json_decref(rows);
}

void listing_print_one(json_t *row, const struct listing_column *columns, bool json)
{
    int width = 0;

    if (json)
        print_json(row);
    for (const struct listing_column *at = columns; at->member != NULL; at++)
        if (text_width(at->title) > width)
            width = text_width(at->title);
    for (const struct listing_column *at = columns; !json && at->member != NULL; at++) {
        char *text = cell_text(row, at);
        print_cell(at->title, width, false, false);
        puts(text);
        free(text);
    }
    json_decref(row);
}

json_t *listing_time(uint64_t time)
{
    char text[RFC3339_SIZE];

    rfc3339_format(text, time);
    return time == 0 || text[0] == '\0' ? json_null() : json_string(text);
}

json_t *listing_text(const char *text)
{
    json_t *value = text[0] != '\0' ? json_string(text) : NULL;

    return value != NULL ? value : json_null();
}
