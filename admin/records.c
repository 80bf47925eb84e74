#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/domains.h"
#include "admin/field.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/records.h"
#include "admin/request.h"
#include "db/audit.h"
#include "db/event.h"
#include "db/eventtype.h"

static const char *const kinds[] = {"login",
                                    "refused",
                                    "delayed",
                                    "blocked",
                                    "lifted",
                                    "password",
                                    "password-removed",
                                    "app-password",
                                    "app-password-removed",
                                    "suspended",
                                    "resumed",
                                    NULL};

_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == DB_EVENT__MAX + 1, "kinds of events");

#define SPAN_PARAMETERS                                                                            \
    {.name = "since", .type = FIELD_TIME, .about = "what happened then or later"},                 \
    {                                                                                              \
        .name = "until", .type = FIELD_TIME, .about = "what happened before"                       \
    }
#define KIND_PARAMETER                                                                             \
    {                                                                                              \
        .name = "kind", .words = kinds, .about = "those of this kind"                              \
    }

const struct parameter event_parameters[] = {
    CUSTOMER_PARAMETER,
    SPAN_PARAMETERS,
    KIND_PARAMETER,
    {.name = "address", .about = "those of this one, also where it is no mailbox"},
    {0}};
const struct parameter address_event_parameters[] = {SPAN_PARAMETERS, KIND_PARAMETER, {0}};
const struct parameter audit_parameters[] = {
    CUSTOMER_PARAMETER,
    SPAN_PARAMETERS,
    {.name = "action", .about = "types as webhooks have them, like address.add or customer.*"},
    {.name = "object", .about = "what is named exactly so, like an address"},
    {0}};

/* What happened from `since` on and before `until`, in seconds since 1970; 0: no bound. */
struct span {
    uint64_t since;
    uint64_t until;
};

static int take_time(struct request *request, const char *name, uint64_t *time_r)
{
    char *text = page_parameter(request, name);

    if (text != NULL && field_parse_time(text, time_r) < 0)
        problem_set(request, PROBLEM_QUERY,
                    "\"%s\" is a time of RFC 3339 like 2026-11-22T19:40:00Z%s", name,
                    strchr(text, ' ') == NULL
                        ? ""
                        : "; in a query \"+\" is a space, so write an offset as %2B02:00, or the "
                          "time in UTC with Z");
    free(text);
    return request->answer.status != 0 ? -1 : 0;
}

static int take_span(struct request *request, struct span *span_r)
{
    return take_time(request, "since", &span_r->since) < 0 ||
                   take_time(request, "until", &span_r->until) < 0
               ? -1
               : 0;
}

/* --- events */

struct events {
    uint64_t customer;
    uint64_t mailbox; /* 0: all of the customer's */
    struct span span;
    enum db_event_kind kind; /* DB_EVENT__MAX: all */
    struct address address;  /* without a text: all; one that is no mailbox's by its text */
    struct db_event event;
};

/* They are in the order of their first times; the last one may be later by DB_EVENT_SPAN. */
static bool is_before_all(const struct events *row)
{
    return row->event.id / 1000000 + DB_EVENT_SPAN < row->span.since;
}

static enum db_result event_next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct events *row = context;
    enum db_result result;

    if (row->mailbox != 0)
        result = db_event_mailbox_next(db, row->customer, row->mailbox, &row->event);
    else
        result = row->customer != 0 ? db_event_next(db, row->customer, &row->event)
                                    : db_operator_event_next(db, &row->event);
    return result == DB_OK && is_before_all(row) ? DB_NONE : result;
}

static bool is_wanted(const struct events *row)
{
    const struct db_event *event = &row->event;

    return event->time >= row->span.since &&
           (row->kind == DB_EVENT__MAX || row->kind == event->kind) &&
           (row->address.text[0] == '\0' || strcmp(row->address.text, event->address) == 0);
}

/* A key of one domain sees what concerns its addresses. */
static json_t *event_item(const struct page *page, void *context)
{
    const struct events *row = context;
    const struct db_event *event = &row->event;
    const char *domain = page->request->key.domain;
    const char *at = strrchr(event->address, '@');

    if (!is_wanted(row) || (domain[0] != '\0' && (at == NULL || strcmp(at + 1, domain) != 0)))
        return NULL;
    return json_pack(
        "{sI so so sI so so ss so so so so so so}", "id", (json_int_t)event->id, "begun",
        field_format_time(event->id / 1000000), "time", field_format_time(event->time), "count",
        (json_int_t)event->count, "customer",
        event->customer != 0 ? json_integer((json_int_t)event->customer) : json_null(),
        "customer_name", field_format_text(event->customer_name), "kind",
        db_event_kind_name(event->kind), "address", field_format_text(event->address), "remote",
        field_format_text(event->remote), "protocol", field_format_text(event->protocol),
        "mechanism", field_format_text(event->mechanism), "credential",
        field_format_text(event->credential), "reason", field_format_text(event->reason));
}

static void event_name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64, ((const struct events *)row)->event.id);
}

static const struct listing events = {event_next, event_item, event_name};

static int take_kind(struct request *request, enum db_event_kind *kind_r)
{
    char *text = page_parameter(request, "kind");

    *kind_r = DB_EVENT__MAX;
    if (text == NULL)
        return request->answer.status != 0 ? -1 : 0;
    for (unsigned kind = 0; kind < DB_EVENT__MAX; kind++)
        if (strcmp(text, db_event_kind_name((enum db_event_kind)kind)) == 0)
            *kind_r = (enum db_event_kind)kind;
    free(text);
    return request->answer.status != 0 ? -1 : 0;
}

/* A mailbox that the key reaches has its events together; of other names the text is compared. */
static int take_address(struct request *request, struct events *row)
{
    char *text = page_parameter(request, "address");
    struct db_mailaddress found;
    const char *error;

    if (text != NULL && address_parse(&row->address, text, strlen(text), &error) < 0)
        problem_set(request, PROBLEM_QUERY, "\"address\": %s", error);
    if (text != NULL && request->answer.status == 0 &&
        db_mailaddress_find(request->admin->db, &row->address, &found) == DB_OK &&
        (row->customer == 0 || row->customer == found.customer) && found.mailbox != 0) {
        row->customer = found.customer;
        row->mailbox = found.mailbox;
    }
    free(text);
    return request->answer.status != 0 ? -1 : 0;
}

static void list_events(struct request *request, struct events *row)
{
    struct page page;
    uint64_t until;

    if (take_span(request, &row->span) < 0 || take_kind(request, &row->kind) < 0 ||
        page_begin(&page, request) < 0)
        return;
    row->event.id = page_after_number(&page);
    until = row->span.until < INT64_MAX / 1000000 ? row->span.until * 1000000 : 0;
    if (until != 0 && (row->event.id == 0 || row->event.id > until))
        row->event.id = until;
    page_fill(&page, &events, row);
}

void events_list(struct admin *admin, struct request *request)
{
    struct events row = {0};
    (void)admin;

    if (list_customer(request, &row.customer) == 0 && take_address(request, &row) == 0)
        list_events(request, &row);
}

void address_events_list(struct admin *admin, struct request *request)
{
    struct events row = {.customer = request->customer, .mailbox = request->found.mailbox};
    (void)admin;

    list_events(request, &row);
}

/* --- the audit */

struct audits {
    uint64_t customer;
    struct span span;
    char *action; /* NULL: all, as the next */
    char *object;
    struct db_audit audit;
};

/* Of one customer's they are numbered by themselves. */
static uint64_t *place_of(struct audits *row)
{
    return row->customer != 0 ? &row->audit.number : &row->audit.id;
}

static enum db_result older(struct db *db, struct audits *row)
{
    return row->customer != 0 ? db_audit_next(db, row->customer, &row->audit)
                              : db_operator_audit_next(db, &row->audit);
}

static enum db_result audit_next(struct page *page, void *context)
{
    struct audits *row = context;
    enum db_result result = older(page->request->admin->db, row);

    return result == DB_OK && row->audit.time < row->span.since ? DB_NONE : result;
}

static json_t *audit_item(const struct page *page, void *context)
{
    const struct audits *row = context;
    const struct db_audit *audit = &row->audit;
    const char *changes = audit->changes != NULL ? audit->changes : "";
    (void)page;

    if ((row->span.until != 0 && audit->time >= row->span.until) ||
        (row->action != NULL && !db_eventtype_wants(row->action, audit->action)) ||
        (row->object != NULL && strcmp(row->object, audit->object) != 0))
        return NULL;
    json_t *what = json_loads(changes, 0, NULL);
    return json_pack("{sI sI so so so ss so so ss ss so}", "id", (json_int_t)audit->id, "number",
                     (json_int_t)audit->number, "time", field_format_time(audit->time), "customer",
                     audit->customer != 0 ? json_integer((json_int_t)audit->customer) : json_null(),
                     "customer_name", field_format_text(audit->customer_name), "actor",
                     audit->actor, "remote", field_format_text(audit->remote), "request",
                     field_format_text(audit->request), "action", audit->action, "object",
                     audit->object, "changes", what != NULL ? what : json_array());
}

static void audit_name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    struct audits at = *(const struct audits *)row;

    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64, *place_of(&at));
}

/*
 * Goes to behind the newest row that is older than `until`, if it is not there yet. Rows are in the
 * order of their times, so their middles are looked at.
 */
static enum db_result go_before(struct db *db, struct audits *row, uint64_t until)
{
    uint64_t start = *place_of(row);
    uint64_t low = 0; /* up to here they are older */

    enum db_result result = older(db, row);
    uint64_t high =
        *place_of(row) + 1; /* from here on they are not, or the caller has been there */
    while (result == DB_OK && low + 1 < high) {
        uint64_t middle = low + (high - low) / 2;
        *place_of(row) = middle + 1;
        result = older(db, row);
        if (result == DB_OK && row->audit.time >= until)
            high = *place_of(row);
        else
            low = middle;
        result = result == DB_NONE ? DB_OK : result;
    }
    *place_of(row) = result == DB_OK ? high : start;
    return result == DB_NONE ? DB_OK : result;
}

/* One that there is not is more likely mistyped than meant. */
static int check_action(struct request *request, const char *action)
{
    char error[DB_EVENTTYPE_ERROR_SIZE];

    if (action != NULL && db_eventtype_check(action, error) < 0)
        problem_set(request, PROBLEM_QUERY, "%s", error);
    return request->answer.status != 0 ? -1 : 0;
}

static void list_audit(struct request *request, struct audits *row)
{
    static const struct listing listing = {audit_next, audit_item, audit_name};
    enum db_result result = DB_OK;
    struct page page;

    if (request->answer.status != 0 || check_action(request, row->action) < 0 ||
        take_span(request, &row->span) < 0 || page_begin(&page, request) < 0)
        return;
    row->audit.id = row->audit.number = page_after_number(&page);
    if (row->span.until != 0)
        result = go_before(request->admin->db, row, row->span.until);
    if (result == DB_OK) {
        page_fill(&page, &listing, row);
    } else {
        json_decref(page.items);
        change_problem(request, request->admin->db, result);
    }
    db_audit_free(&row->audit);
}

void audit_list(struct admin *admin, struct request *request)
{
    struct audits row = {0};
    (void)admin;

    if (list_customer(request, &row.customer) < 0)
        return;
    row.action = page_parameter(request, "action");
    row.object = page_parameter(request, "object");
    list_audit(request, &row);
    free(row.action);
    free(row.object);
}
