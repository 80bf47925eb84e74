#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/*
 * What a command shows: one list of JSON objects, written as it is or as a table for people. The
 * names in the objects are a contract with the scripts that read them.
 */

enum listing_kind {
    LISTING_TEXT,
    LISTING_NUMBER,
    LISTING_SIZE, /* octets: a number in JSON, "64M" in a table */
    LISTING_TIME
};

/* A NULL member ends a table of columns. */
struct listing_column {
    const char *member; /* of the JSON object */
    const char *title;
    enum listing_kind kind;
};

/*
 * Writes the objects in the array `rows`, as JSON or as aligned columns with a header line. A
 * member that is null shows as "-", true and false as "yes" and "no". Frees `rows`.
 */
void listing_print(json_t *rows, const struct listing_column *columns, bool json);

/* Writes one object: as JSON, or a line a member. Frees `row`. */
void listing_print_one(json_t *row, const struct listing_column *columns, bool json);

/* Seconds since 1970 as RFC 3339 says ("2024-05-01T12:00:00Z"); null for 0. */
json_t *listing_time(uint64_t time);

/* Null where there is none, and for what is not UTF-8. */
json_t *listing_text(const char *text);

#endif
