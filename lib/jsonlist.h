#ifndef LIB_JSONLIST_H
#define LIB_JSONLIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Objects of JSON (RFC 8259) one after the other, as their octets come in: the elements of one
 * array, or the lines of NDJSON. What is cut out here is parsed by the caller, so it need not be
 * JSON yet; a byte order mark at the beginning and empty lines are skipped.
 */

/* How deep objects and lists may be within each other: the parser calls itself for each. */
#define JSONLIST_DEPTH_MAX 8

enum jsonlist_kind { JSONLIST_ARRAY, JSONLIST_LINES };

struct jsonlist_item {
    unsigned line;    /* where it begins; the first one is 1 */
    const char *text; /* the list's own, until the next item; no NUL at its end */
    size_t length;
};

struct jsonlist;

/* Of items with up to `most` octets. */
struct jsonlist *jsonlist_new(enum jsonlist_kind kind, size_t most);

/* Wipes what it holds. NULL is allowed. */
void jsonlist_free(struct jsonlist *list);

enum jsonlist_result {
    JSONLIST_ITEM,
    JSONLIST_WRONG, /* an item, but too large or too deep; what follows can be read */
    JSONLIST_MORE,  /* all octets are taken */
    JSONLIST_END,
    JSONLIST_BROKEN /* nothing more can be read */
};

/*
 * Takes octets up to the end of an item, moving *octets and *length on. With WRONG and BROKEN there
 * is one sentence in *error_r (static text) and the line in item_r.
 */
enum jsonlist_result jsonlist_next(struct jsonlist *list, const char **octets, size_t *length,
                                   struct jsonlist_item *item_r, const char **error_r);

/* Nothing follows: the last line, END or BROKEN. */
enum jsonlist_result jsonlist_end(struct jsonlist *list, struct jsonlist_item *item_r,
                                  const char **error_r);

#endif
