#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "lib/jsonlist.h"
#include "lib/xalloc.h"

enum state {
    STATE_BEFORE, /* the array */
    STATE_FIRST,  /* an item, or the array's end */
    STATE_NEXT,   /* an item */
    STATE_AFTER,  /* a comma, or the array's end */
    STATE_ITEM,
    STATE_DONE,
    STATE_BROKEN
};

struct jsonlist {
    enum jsonlist_kind kind;
    enum state state;
    size_t mark; /* octets of a byte order mark that have been skipped */
    unsigned line;
    unsigned begins; /* line of the item */
    unsigned depth;
    bool quoted, escaped;
    const char *error; /* of the item; NULL: none yet */
    size_t length;
    size_t most;
    char text[];
};

struct jsonlist *jsonlist_new(enum jsonlist_kind kind, size_t most)
{
    struct jsonlist *list = xcalloc(1, sizeof(*list) + most);

    list->kind = kind;
    list->state = kind == JSONLIST_ARRAY ? STATE_BEFORE : STATE_NEXT;
    list->most = most;
    list->line = 1;
    return list;
}

void jsonlist_free(struct jsonlist *list)
{
    if (list != NULL)
        sodium_memzero(list, sizeof(*list) + list->most);
    free(list);
}

static void begin_item(struct jsonlist *list)
{
    list->state = STATE_ITEM;
    list->begins = list->line;
    list->length = 0;
    list->depth = 0;
    list->quoted = list->escaped = false;
    list->error = NULL;
}

/* Of an item with a mistake nothing is kept, but it is read on to its end. */
static void keep(struct jsonlist *list, char octet)
{
    if (list->length == list->most && list->error == NULL)
        list->error = "it is too long";
    if (list->error == NULL)
        list->text[list->length++] = octet;
}

/* Brackets within strings do not count; what is no JSON is the parser's to refuse. */
static void count_brackets(struct jsonlist *list, char octet)
{
    if (list->escaped) {
        list->escaped = false;
    } else if (list->quoted && octet == '\\') {
        list->escaped = true;
    } else if (octet == '"') {
        list->quoted = !list->quoted;
    } else if (!list->quoted && (octet == '{' || octet == '[')) {
        list->depth++;
    } else if (!list->quoted && (octet == '}' || octet == ']')) {
        list->depth -= list->depth > 0;
    }
    if (list->depth > JSONLIST_DEPTH_MAX && list->error == NULL)
        list->error = "it is nested too deep";
}

static enum jsonlist_result end_item(struct jsonlist *list, struct jsonlist_item *item_r,
                                     const char **error_r)
{
    list->state = list->kind == JSONLIST_ARRAY ? STATE_AFTER : STATE_NEXT;
    *item_r = (struct jsonlist_item){list->begins, list->text, list->length};
    *error_r = list->error;
    return list->error == NULL ? JSONLIST_ITEM : JSONLIST_WRONG;
}

static enum jsonlist_result break_off(struct jsonlist *list, struct jsonlist_item *item_r,
                                      const char **error_r, const char *error)
{
    list->state = STATE_BROKEN;
    *item_r = (struct jsonlist_item){.line = list->line};
    *error_r = error;
    return JSONLIST_BROKEN;
}

/* What is wrong where this octet stands between items; NULL: it goes on. */
static const char *take_between(struct jsonlist *list, char octet)
{
    if (list->state == STATE_BEFORE && octet == '[')
        list->state = STATE_FIRST;
    else if ((list->state == STATE_FIRST || list->state == STATE_AFTER) && octet == ']')
        list->state = STATE_DONE;
    else if (list->state == STATE_AFTER && octet == ',')
        list->state = STATE_NEXT;
    else if ((list->state == STATE_FIRST || list->state == STATE_NEXT) && octet == '{')
        begin_item(list);
    else if (list->state == STATE_BEFORE)
        return "it is one list of objects: [{...}, {...}]";
    else if (list->state == STATE_FIRST || list->state == STATE_NEXT)
        return "an object is missing here: {...}";
    else if (list->state == STATE_AFTER)
        return "a comma or the list's end is missing here";
    else
        return "something stands behind the list's end";
    return NULL;
}

static bool is_blank(char octet)
{
    return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
}

static enum jsonlist_result take_of_array(struct jsonlist *list, char octet,
                                          struct jsonlist_item *item_r, const char **error_r)
{
    if (list->state != STATE_ITEM) {
        const char *error = is_blank(octet) ? NULL : take_between(list, octet);
        if (error != NULL)
            return break_off(list, item_r, error_r, error);
    }
    if (list->state != STATE_ITEM)
        return JSONLIST_MORE;
    keep(list, octet);
    count_brackets(list, octet);
    return list->depth == 0 ? end_item(list, item_r, error_r) : JSONLIST_MORE;
}

static enum jsonlist_result take_of_lines(struct jsonlist *list, char octet,
                                          struct jsonlist_item *item_r, const char **error_r)
{
    if (list->state == STATE_ITEM && octet == '\n')
        return end_item(list, item_r, error_r);
    if (list->state != STATE_ITEM && is_blank(octet))
        return JSONLIST_MORE;
    if (list->state != STATE_ITEM)
        begin_item(list);
    keep(list, octet);
    count_brackets(list, octet);
    return JSONLIST_MORE;
}

static const char mark[] = "\xef\xbb\xbf"; /* U+FEFF in UTF-8 */

static bool is_mark(struct jsonlist *list, char octet)
{
    if (list->mark >= sizeof(mark) - 1 || octet != mark[list->mark])
        return false;
    list->mark++;
    return true;
}

/* Whether only a part of the mark stands before what comes now. */
static bool is_torn(struct jsonlist *list)
{
    bool torn = list->mark > 0 && list->mark < sizeof(mark) - 1;

    list->mark = sizeof(mark);
    return torn;
}

enum jsonlist_result jsonlist_next(struct jsonlist *list, const char **octets, size_t *length,
                                   struct jsonlist_item *item_r, const char **error_r)
{
    enum jsonlist_result result = JSONLIST_MORE;

    if (list->state == STATE_BROKEN)
        return break_off(list, item_r, error_r, "nothing more can be read");
    while (*length > 0 && result == JSONLIST_MORE) {
        char octet = **octets;
        (*octets)++;
        (*length)--;
        if (is_mark(list, octet))
            continue;
        if (is_torn(list))
            return break_off(list, item_r, error_r, "it is no JSON");
        result = list->kind == JSONLIST_ARRAY ? take_of_array(list, octet, item_r, error_r)
                                              : take_of_lines(list, octet, item_r, error_r);
        list->line += octet == '\n';
    }
    return result;
}

enum jsonlist_result jsonlist_end(struct jsonlist *list, struct jsonlist_item *item_r,
                                  const char **error_r)
{
    if (list->kind == JSONLIST_LINES && list->state == STATE_ITEM)
        return end_item(list, item_r, error_r);
    if (list->state == STATE_DONE || list->kind == JSONLIST_LINES)
        return JSONLIST_END;
    return break_off(list, item_r, error_r, "it ends within the list");
}
