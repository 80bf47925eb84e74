#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/domains.h"
#include "admin/object.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/usage.h"
#include "lib/xalloc.h"

/* One mailbox that stored is asked about. */
struct asked {
    struct asking *asking;
    uint64_t mailbox;
    char text[ADDRESS_MAX + 1];
    struct store_usage_is usage;
};

/* An answer that waits for stored: about one mailbox, or a page of them. */
struct asking {
    struct request *request;
    struct page page; /* of a list */
    bool list;
    bool more; /* ... behind the last one */
    bool failed;
    size_t waiting;
    size_t count;
    struct asked asked[];
};

static json_t *usage_object(const struct asked *asked)
{
    return json_pack("{ss sI sI}", "address", asked->text, "used_bytes",
                     (json_int_t)asked->usage.octets, "used_messages",
                     (json_int_t)asked->usage.messages);
}

static void answer_list(struct asking *asking)
{
    struct page *page = &asking->page;

    for (size_t i = 0; i < asking->count && page->request->answer.status == 0; i++) {
        json_t *item = page_project(page->request, usage_object(&asking->asked[i]));
        if (item != NULL)
            json_array_append_new(page->items, item);
    }
    if (page->request->answer.status != 0)
        json_decref(page->items);
    else
        page_answer(page, asking->more ? page->after : NULL);
}

static void answer(struct asking *asking)
{
    struct request *request = asking->request;

    if (asking->failed) {
        if (asking->list)
            json_decref(asking->page.items);
        problem_set(request, PROBLEM_BUSY, "the store does not answer; try again");
        request->answer.retry_after = 1;
    } else if (asking->list) {
        answer_list(asking);
    } else {
        page_show(request, usage_object(&asking->asked[0]));
    }
    free(asking);
}

static void on_usage(void *context, enum store_result result)
{
    struct asking *asking = ((struct asked *)context)->asking;
    struct request *request = asking->request;

    if (result != STORE_OK)
        asking->failed = true;
    if (--asking->waiting > 0)
        return;
    answer(asking);
    request_send(request);
}

static void add(struct asking *asking, uint64_t mailbox, const char *text)
{
    struct asked *asked = &asking->asked[asking->count++];

    asked->asking = asking;
    asked->mailbox = mailbox;
    snprintf(asked->text, sizeof(asked->text), "%s", text);
}

/* Without a mailbox there is nothing to ask. */
static void ask(struct admin *admin, struct asking *asking)
{
    asking->waiting = asking->count;
    if (asking->count == 0) {
        answer(asking);
        return;
    }
    for (size_t i = 0, count = asking->waiting; i < count; i++)
        store_usage(admin->store, asking->asked[i].mailbox, &asking->asked[i].usage,
                    (struct store_caller){on_usage, &asking->asked[i]});
}

static struct asking *asking_new(struct request *request, size_t room)
{
    struct asking *asking = xcalloc(1, sizeof(*asking) + room * sizeof(asking->asked[0]));

    asking->request = request;
    return asking;
}

void usage_show(struct admin *admin, struct request *request)
{
    struct asking *asking = asking_new(request, 1);

    add(asking, request->found.mailbox, request->address.text);
    ask(admin, asking);
}

/* --- the list, in the order of the addresses */

static bool has_room(const struct asking *asking)
{
    return asking->count < asking->page.limit && asking->page.looked < PAGE_LOOKED_MAX;
}

static enum db_result collect(struct db *db, struct asking *asking, uint64_t customer)
{
    struct page *page = &asking->page;
    struct db_mailaddress found = {0};
    enum db_result result = DB_OK;

    page_after(page, found.text, sizeof(found.text));
    while (has_room(asking)) {
        result = customer != 0 ? db_mailaddress_next(db, customer, &found)
                               : db_operator_mailaddress_next(db, &found);
        if (result != DB_OK)
            break;
        page->looked++;
        snprintf(page->after, sizeof(page->after), "%s", found.text);
        if (found.mailbox != 0 && object_reaches(&page->request->key, found.customer,
                                                 strrchr(found.text, '@') + 1, found.mailbox))
            add(asking, found.mailbox, found.text);
    }
    asking->more = result == DB_OK;
    return result == DB_NONE ? DB_OK : result;
}

void usages_list(struct admin *admin, struct request *request)
{
    struct asking *asking = asking_new(request, PAGE_LIMIT_MAX);
    uint64_t customer;

    asking->list = true;
    if (list_customer(request, &customer) < 0 || page_begin(&asking->page, request) < 0) {
        free(asking);
        return;
    }
    enum db_result result = collect(admin->db, asking, customer);
    if (result == DB_OK) {
        ask(admin, asking);
        return;
    }
    json_decref(asking->page.items);
    free(asking);
    change_problem(request, admin->db, result);
}
