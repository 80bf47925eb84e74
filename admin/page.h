#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "admin/request.h"

/*
 * Lists, a page at a time, and what a query may ask: {"items": [...], "next": "/api/v1/..." or
 * null}. A cursor is the name of the last item in Base64: a place in an order and no secret, so it
 * needs no signature, costs the same on each page, and stays good while things come and go.
 */

#define PAGE_LIMIT     100
#define PAGE_LIMIT_MAX 500

/* Items that are looked at for one page: a filter that fits few gives a shorter page. */
#define PAGE_LOOKED_MAX 2000

/* Characters of `match`; names are hardly longer, and lib/search.h has room for as many. */
#define PAGE_MATCH_MAX 100

/* The longest name that a cursor stands for, in octets. */
#define PAGE_NAME_MAX 400

struct search;

struct page {
    struct request *request;
    json_t *items;
    unsigned limit;
    unsigned looked;
    char after[PAGE_NAME_MAX + 1]; /* where it begins: behind this name; empty: at the beginning */
};

/* Sets 400 where the query has a parameter twice, one that the route does not take, one with a
 * value that it may not have, or not one that it needs; of a list, also where `fields` names what
 * its items do not have. */
void page_check_query(struct request *request);

/* A parameter of the query, decoded; the caller frees it. NULL: it is not there, or is refused. */
char *page_parameter(struct request *request, const char *name);

/* Whether one of FIELD_BOOL is there and true. */
bool page_flag(struct request *request, const char *name);

/* What one of FIELD_BOOL wants of the items of a list. */
enum page_choice { PAGE_ANY, PAGE_WITHOUT, PAGE_WITH };

enum page_choice page_choice(struct request *request, const char *name);

/* Whether an item fits that is so, or is not. */
bool page_fits(enum page_choice choice, bool is);

#define MATCH_PARAMETER(what)                                                                      \
    {                                                                                              \
        .name = "match", .least = 2, .most = PAGE_MATCH_MAX,                                       \
        .about = "those with this " what ", without regard to case"                                \
    }

/* Begins with the parameter `match`. Returns 0, or -1 when the request is refused. */
int page_match(struct request *request, struct search *match_r);

/* What `fields` leaves of an object, whose reference it takes over. NULL: refused. */
json_t *page_project(struct request *request, json_t *object);

/* Answers with that. */
void page_show(struct request *request, json_t *object);

/* Returns 0, or -1 when the request is refused. */
int page_begin(struct page *page, struct request *request);

/* Where it begins, cut to fit: a name that is longer than any is behind none. */
void page_after(const struct page *page, char *name_r, size_t size);

/* The same of a list whose names are numbers; 0: at the beginning. */
uint64_t page_after_number(const struct page *page);

/* How one kind of rows is gone through; `row` is the handler's, zeroed at the beginning. */
struct listing {
    enum db_result (*next)(struct page *page, void *row);
    json_t *(*item)(const struct page *page, void *row); /* NULL: a filter leaves it out */
    void (*name)(const void *row, char name_r[PAGE_NAME_MAX + 1]);
};

/* Answers with what is there from `page->after` on, which the caller has put into `row`. */
void page_fill(struct page *page, const struct listing *listing, void *row);

/* Answers with `page->items`; `last` is where the next page begins behind, NULL: this is the last.
 */
void page_answer(struct page *page, const char *last);

#endif
