#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/document.h"
#include "admin/field.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/route.h"
#include "lib/log.h"
#include "lib/search.h"
#include "lib/xalloc.h"

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* Members that `fields` may name. */
#define FIELDS_MAX 32

/* Characters of a parameter's name that a problem repeats. */
#define NAME_SHOWN_MAX 40

/* --- the query */

struct checking {
    struct request *request;
    unsigned seen; /* parameters so far */
    const char *names[16];
};

static const struct parameter *find(const struct request *request, const char *name)
{
    const struct parameter *known = request->route->parameters;

    while (known != NULL && known->name != NULL && strcmp(known->name, name) != 0)
        known++;
    return known != NULL && known->name != NULL ? known : NULL;
}

static bool is_known(const struct request *request, const char *name)
{
    if (strcmp(name, "fields") == 0)
        return strcmp(request->route->method, "GET") == 0 && request->route->schema != NULL;
    if ((request->route->flags & ROUTE_LIST) != 0 &&
        (strcmp(name, "limit") == 0 || strcmp(name, "cursor") == 0))
        return true;
    return find(request, name) != NULL;
}

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += (unsigned char)*text >> 6 != 2;
    return count;
}

static void check_value(struct request *request, const struct parameter *parameter)
{
    static const char *const flags[] = {"true", "false", NULL};
    const char *const *words = parameter->type == FIELD_BOOL ? flags : parameter->words;
    char sentence[FIELD_WORDS_SIZE];

    if (words == NULL && parameter->most == 0)
        return;
    char *text = page_parameter(request, parameter->name);
    if (text == NULL)
        return;
    size_t count = count_characters(text);
    if (words != NULL && !field_is_word(words, text)) {
        field_name_words(words, sentence);
        problem_set(request, PROBLEM_QUERY, "\"%s\": %s", parameter->name, sentence);
    }
    if (parameter->most != 0 && (count < parameter->least || count > parameter->most))
        problem_set(request, PROBLEM_QUERY, "\"%s\" has %u to %u characters", parameter->name,
                    parameter->least, parameter->most);
    free(text);
}

/* Tells the name only where it is one that somebody has mistyped: a problem is UTF-8, and short. */
static void refuse_unknown(struct request *request, const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t length = strlen(name);

    if (length > 0 && length <= NAME_SHOWN_MAX && strspn(name, letters) == length)
        problem_set(request, PROBLEM_QUERY,
                    "there is no parameter \"%s\" here; see the document for those that there are",
                    name);
    else
        problem_set(request, PROBLEM_QUERY,
                    "the query has a parameter that is none here; see the document for those that "
                    "there are");
}

static void check(void *context, const char *name, const char *value)
{
    struct checking *checking = context;
    struct request *request = checking->request;

    if (request->answer.status != 0)
        return;
    if (!is_known(request, name)) {
        refuse_unknown(request, name);
        return;
    }
    if (value == NULL) {
        problem_set(request, PROBLEM_QUERY, "the query has \"%s\" without a value", name);
        return;
    }
    for (unsigned i = 0; i < checking->seen; i++)
        if (strcmp(checking->names[i], name) == 0) {
            problem_set(request, PROBLEM_QUERY, "the query has \"%s\" twice", name);
            return;
        }
    if (checking->seen < sizeof(checking->names) / sizeof(checking->names[0]))
        checking->names[checking->seen++] = name;
    if (find(request, name) != NULL)
        check_value(request, find(request, name));
}

/* `name` is UTF-8 (route_decode()). */
static void refuse_field(struct request *request, const char *name, unsigned place)
{
    if (place >= FIELDS_MAX)
        problem_set(request, PROBLEM_QUERY, "\"fields\" has %d names at most", FIELDS_MAX);
    else if (strlen(name) <= NAME_SHOWN_MAX)
        problem_set(request, PROBLEM_QUERY,
                    "\"fields\" names \"%s\", which these objects do not have", name);
    else
        problem_set(request, PROBLEM_QUERY, "\"fields\" names what these objects do not have");
}

/* An empty page is no reason to take what a full one refuses. Of an object, page_project() does. */
static void check_fields(struct request *request)
{
    char *fields = page_parameter(request, "fields");
    char *rest = fields;

    for (unsigned i = 0; rest != NULL && request->answer.status == 0; i++) {
        const char *name = strsep(&rest, ",");
        if (i >= FIELDS_MAX || !document_has_member(request->route->schema, name))
            refuse_field(request, name, i);
    }
    free(fields);
}

void page_check_query(struct request *request)
{
    const struct parameter *needed =
        (request->route->flags & ROUTE_ASKS) != 0 ? request->route->parameters : NULL;
    struct checking checking = {.request = request};

    request_each_query(request, check, &checking);
    if (request->answer.status == 0 && (request->route->flags & ROUTE_LIST) != 0)
        check_fields(request);
    for (; needed != NULL && needed->name != NULL && request->answer.status == 0; needed++)
        if (request_query(request, needed->name) == NULL)
            problem_set(request, PROBLEM_QUERY, "the query has no \"%s\", which is needed",
                        needed->name);
}

char *page_parameter(struct request *request, const char *name)
{
    const char *value = request_query(request, name);

    if (value == NULL)
        return NULL;
    char *decoded = route_decode(value, strlen(value));
    if (decoded == NULL)
        problem_set(request, PROBLEM_QUERY, "\"%s\" is no UTF-8 with percent encoding", name);
    return decoded;
}

bool page_flag(struct request *request, const char *name)
{
    char *text = page_parameter(request, name);
    bool flag = text != NULL && strcmp(text, "true") == 0;

    free(text);
    return flag;
}

enum page_choice page_choice(struct request *request, const char *name)
{
    if (request_query(request, name) == NULL)
        return PAGE_ANY;
    return page_flag(request, name) ? PAGE_WITH : PAGE_WITHOUT;
}

bool page_fits(enum page_choice choice, bool is)
{
    return choice == PAGE_ANY || (choice == PAGE_WITH) == is;
}

int page_match(struct request *request, struct search *match_r)
{
    char *text = page_parameter(request, "match");

    search_begin(match_r, text);
    free(text);
    return request->answer.status != 0 ? -1 : 0;
}

/* --- fields */

json_t *page_project(struct request *request, json_t *object)
{
    char *fields = page_parameter(request, "fields");
    json_t *some = NULL;
    char *rest = fields;

    if (fields == NULL) {
        if (request->answer.status == 0)
            return object;
        goto out;
    }
    some = json_object();
    for (unsigned i = 0; rest != NULL; i++) {
        const char *name = strsep(&rest, ",");
        json_t *value = json_object_get(object, name);
        if (value == NULL || i >= FIELDS_MAX) {
            refuse_field(request, name, i);
            json_decref(some);
            some = NULL;
            goto out;
        }
        json_object_set(some, name, value);
    }
out:
    free(fields);
    json_decref(object);
    return some;
}

void page_show(struct request *request, json_t *object)
{
    object = page_project(request, object);
    if (object != NULL)
        request_set(request, 200, object);
}

/* --- lists */

static int take_limit(struct page *page)
{
    char *limit = page_parameter(page->request, "limit");
    size_t digits = limit == NULL ? 0 : strspn(limit, "0123456789");
    bool good = true;

    page->limit = PAGE_LIMIT;
    if (limit != NULL) {
        good = digits > 0 && digits < 9 && limit[digits] == '\0';
        page->limit = good ? (unsigned)strtoul(limit, NULL, 10) : 0;
        good = page->limit >= 1 && page->limit <= PAGE_LIMIT_MAX;
    }
    free(limit);
    if (page->request->answer.status != 0)
        return -1;
    if (good)
        return 0;
    problem_set(page->request, PROBLEM_QUERY, "\"limit\" is 1 to %d", PAGE_LIMIT_MAX);
    return -1;
}

static int take_cursor(struct page *page)
{
    const char *cursor = request_query(page->request, "cursor");
    size_t length;

    if (cursor == NULL)
        return 0;
    if (sodium_base642bin((unsigned char *)page->after, PAGE_NAME_MAX, cursor, strlen(cursor), NULL,
                          &length, NULL, VARIANT) == 0) {
        page->after[length] = '\0';
        if (length > 0 && strlen(page->after) == length)
            return 0;
    }
    problem_set(page->request, PROBLEM_QUERY, "\"cursor\" is none that a page gave out");
    return -1;
}

int page_begin(struct page *page, struct request *request)
{
    memset(page, 0, sizeof(*page));
    page->request = request;
    if (take_limit(page) < 0 || take_cursor(page) < 0)
        return -1;
    page->items = json_array();
    return 0;
}

void page_after(const struct page *page, char *name_r, size_t size)
{
    size_t length = strnlen(page->after, size - 1);

    memcpy(name_r, page->after, length);
    name_r[length] = '\0';
}

uint64_t page_after_number(const struct page *page)
{
    return strtoull(page->after, NULL, 10) & INT64_MAX;
}

static void add(struct page *page, json_t *item)
{
    page->looked++;
    if (item != NULL)
        item = page_project(page->request, item);
    if (item != NULL)
        json_array_append_new(page->items, item);
}

static bool has_room(const struct page *page)
{
    return json_array_size(page->items) < page->limit && page->looked < PAGE_LOOKED_MAX &&
           page->request->answer.status == 0;
}

struct link {
    FILE *file;
    char separator;
};

/* As it came, so it needs no encoding again, but where a plus has become a space. */
static void add_parameter(void *context, const char *name, const char *value)
{
    struct link *link = context;

    if (strcmp(name, "cursor") == 0)
        return;
    fprintf(link->file, "%c%s=", link->separator, name);
    for (; *value != '\0'; value++)
        fputc(*value == ' ' ? '+' : *value, link->file);
    link->separator = '&';
}

static json_t *next_link(const struct page *page, const char *last)
{
    char cursor[sodium_base64_ENCODED_LEN(PAGE_NAME_MAX, VARIANT)];
    struct link link = {.separator = '?'};
    char *text = NULL;
    size_t size;

    size_t length = strnlen(last, PAGE_NAME_MAX);
    sodium_bin2base64(cursor, sizeof(cursor), (const unsigned char *)last, length, VARIANT);
    link.file = open_memstream(&text, &size);
    if (link.file == NULL)
        log_panic("out of memory");
    fputs(page->request->path, link.file);
    request_each_query(page->request, add_parameter, &link);
    fprintf(link.file, "%ccursor=%s", link.separator, cursor);
    if (fclose(link.file) != 0 || text == NULL)
        log_panic("out of memory");
    json_t *next = json_string(text);
    free(text);
    return next;
}

void page_answer(struct page *page, const char *last)
{
    json_t *next = last != NULL ? next_link(page, last) : json_null();

    request_set(page->request, 200, json_pack("{so so}", "items", page->items, "next", next));
}

static void end(struct page *page, enum db_result result, const char *last)
{
    struct request *request = page->request;

    if (result != DB_OK && result != DB_NONE)
        change_problem(request, request->admin->db, result);
    if (request->answer.status != 0)
        json_decref(page->items);
    else
        page_answer(page, result == DB_OK ? last : NULL);
}

void page_fill(struct page *page, const struct listing *listing, void *row)
{
    char last[PAGE_NAME_MAX + 1] = "";

    enum db_result result = listing->next(page, row);
    while (result == DB_OK && has_room(page)) {
        add(page, listing->item(page, row));
        listing->name(row, last);
        result = listing->next(page, row);
    }
    end(page, result, last);
}
