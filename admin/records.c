#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/domains.h"
#include "admin/field.h"
#include "admin/page.h"
#include "admin/records.h"
#include "admin/request.h"
#include "db/audit.h"
#include "db/event.h"

/* --- events */

struct events {
    uint64_t customer;
    uint64_t mailbox; /* 0: all of the customer's */
    struct db_event event;
};

static enum db_result event_next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct events *row = context;

    if (row->mailbox != 0)
        return db_event_mailbox_next(db, row->customer, row->mailbox, &row->event);
    return row->customer != 0 ? db_event_next(db, row->customer, &row->event)
                              : db_operator_event_next(db, &row->event);
}

/* A key of one domain sees what concerns its addresses. */
static json_t *event_item(const struct page *page, void *context)
{
    const struct db_event *event = &((struct events *)context)->event;
    const char *domain = page->request->key.domain;
    const char *at = strrchr(event->address, '@');

    if (domain[0] != '\0' && (at == NULL || strcmp(at + 1, domain) != 0))
        return NULL;
    return json_pack(
        "{sI so so sI sI ss so so so so so so}", "id", (json_int_t)event->id, "begun",
        field_format_time(event->id / 1000000), "time", field_format_time(event->time), "count",
        (json_int_t)event->count, "customer", (json_int_t)event->customer, "kind",
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

void events_list(struct admin *admin, struct request *request)
{
    struct events row = {0};
    struct page page;
    (void)admin;

    if (list_customer(request, &row.customer) < 0 || page_begin(&page, request) < 0)
        return;
    row.event.id = strtoull(page.after, NULL, 10) & INT64_MAX;
    page_fill(&page, &events, &row);
}

void address_events_list(struct admin *admin, struct request *request)
{
    struct events row = {.customer = request->customer, .mailbox = request->found.mailbox};
    struct page page;
    (void)admin;

    if (page_begin(&page, request) < 0)
        return;
    row.event.id = strtoull(page.after, NULL, 10) & INT64_MAX;
    page_fill(&page, &events, &row);
}

/* --- the audit */

struct audits {
    uint64_t customer;
    struct db_audit audit;
};

static enum db_result audit_next(struct page *page, void *context)
{
    struct db *db = page->request->admin->db;
    struct audits *row = context;

    return row->customer != 0 ? db_audit_next(db, row->customer, &row->audit)
                              : db_operator_audit_next(db, &row->audit);
}

static json_t *audit_item(const struct page *page, void *context)
{
    const struct db_audit *audit = &((struct audits *)context)->audit;
    const char *changes = audit->changes != NULL ? audit->changes : "";
    json_t *what = json_loads(changes, 0, NULL);
    (void)page;

    return json_pack("{sI sI so so ss so so ss ss so}", "id", (json_int_t)audit->id, "number",
                     (json_int_t)audit->number, "time", field_format_time(audit->time), "customer",
                     audit->customer != 0 ? json_integer((json_int_t)audit->customer) : json_null(),
                     "actor", audit->actor, "remote", field_format_text(audit->remote), "request",
                     field_format_text(audit->request), "action", audit->action, "object",
                     audit->object, "changes", what != NULL ? what : json_array());
}

/* Of one customer's they are numbered by themselves. */
static void audit_name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    const struct audits *audits = row;

    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu64,
             audits->customer != 0 ? audits->audit.number : audits->audit.id);
}

void audit_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {audit_next, audit_item, audit_name};
    struct audits row = {0};
    struct page page;
    (void)admin;

    if (list_customer(request, &row.customer) < 0 || page_begin(&page, request) < 0)
        return;
    row.audit.id = row.audit.number = strtoull(page.after, NULL, 10) & INT64_MAX;
    page_fill(&page, &listing, &row);
    db_audit_free(&row.audit);
}
