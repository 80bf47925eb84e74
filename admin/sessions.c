#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/domains.h"
#include "admin/field.h"
#include "admin/object.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/sessions.h"
#include "db/logout.h"
#include "db/mailboxlist.h"
#include "db/owner.h"
#include "db/transaction.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

/* A page is on its way to stored and back: of the mailboxes behind its cursor those with sessions.
 */
struct asking {
    struct page page;
    size_t count;
    uint64_t mailboxes[STORE_MAILBOXES_MAX];
    struct store_sessions sessions;
};

static json_t *remote_of(const struct store_session_is *session)
{
    char text[NETWORKS_TEXT_SIZE];
    struct in6_addr remote;

    memcpy(&remote, session->remote, sizeof(remote));
    if (IN6_IS_ADDR_UNSPECIFIED(&remote))
        return json_null();
    networks_format(text, &remote, 128);
    return json_string(text);
}

/* RFC 8446 section 4.2.1. */
static json_t *tls_of(const struct store_session_is *session)
{
    return session->tls == 0 ? json_null() : json_sprintf("TLSv1.%d", (session->tls & 0xff) - 1);
}

/* NULL: the mailbox has been removed meanwhile, or the key does not reach it. */
static json_t *session_object(const struct request *request, const struct store_session_is *session)
{
    struct db *db = request->admin->db;
    struct db_mailaddress found;
    struct db_owner owner;

    if (db_owner_find(db, session->mailbox, &owner) != DB_OK ||
        db_mailaddress_find(db, &owner.address, &found) != DB_OK ||
        !object_reaches(&request->key, found.customer, owner.address.domain, found.mailbox))
        return NULL;
    return json_pack("{so ss sI ss so so so sI sI}", "session",
                     json_sprintf("%016" PRIx64, session->session), "address", found.text,
                     "customer", (json_int_t)found.customer, "customer_name", found.customer_name,
                     "since", field_format_time((uint64_t)time(NULL) - session->seconds), "remote",
                     remote_of(session), "tls", tls_of(session), "messages",
                     (json_int_t)session->messages, "read_bytes", (json_int_t)session->octets);
}

/* The last mailbox that the page is about; 0: there are no more behind it. */
static uint64_t fill(struct asking *asking)
{
    struct page *page = &asking->page;
    uint64_t mailbox = 0;

    for (size_t i = 0; i < asking->sessions.count; i++) {
        if (json_array_size(page->items) >= page->limit)
            return mailbox;
        mailbox = asking->sessions.found[i].mailbox;
        json_t *item = session_object(page->request, &asking->sessions.found[i]);
        if (item != NULL)
            item = page_project(page->request, item);
        if (item != NULL)
            json_array_append_new(page->items, item);
    }
    return asking->count < STORE_MAILBOXES_MAX ? 0 : asking->mailboxes[asking->count - 1];
}

static void answer(struct asking *asking)
{
    struct page *page = &asking->page;
    struct request *request = page->request;
    char last[24];

    db_read_begin(request->admin->db);
    uint64_t mailbox = fill(asking);
    db_read_end(request->admin->db);
    snprintf(last, sizeof(last), "%" PRIu64, mailbox);
    if (request->answer.status == 0)
        page_answer(page, mailbox != 0 ? last : NULL);
    else
        json_decref(page->items);
}

static void on_sessions(void *context, enum store_result result)
{
    struct asking *asking = context;
    struct request *request = asking->page.request;

    if (result == STORE_OK) {
        answer(asking);
    } else {
        json_decref(asking->page.items);
        problem_set(request, PROBLEM_BUSY, "the store does not answer; try again");
        request->answer.retry_after = 1;
    }
    request_send(request);
    free(asking);
}

/* What is asked of stored is answered by its callback; with no mailbox there is nothing to ask. */
static void ask(struct admin *admin, struct asking *asking)
{
    if (asking->count > 0) {
        store_find_sessions(admin->store, asking->mailboxes, asking->count, &asking->sessions,
                            (struct store_caller){on_sessions, asking});
        return;
    }
    page_answer(&asking->page, NULL);
    free(asking);
}

void sessions_list(struct admin *admin, struct request *request)
{
    struct asking *asking = xcalloc(1, sizeof(*asking));
    uint64_t customer;

    if (list_customer(request, &customer) < 0 || page_begin(&asking->page, request) < 0) {
        free(asking);
        return;
    }
    uint64_t after = page_after_number(&asking->page);
    enum db_result result = db_mailbox_list(admin->db, customer, after, asking->mailboxes,
                                            STORE_MAILBOXES_MAX, &asking->count);
    if (result == DB_OK || result == DB_NONE) {
        ask(admin, asking);
        return;
    }
    json_decref(asking->page.items);
    free(asking);
    change_problem(request, admin->db, result);
}

void address_sessions_list(struct admin *admin, struct request *request)
{
    struct asking *asking = xcalloc(1, sizeof(*asking));

    if (page_begin(&asking->page, request) < 0) {
        free(asking);
        return;
    }
    asking->mailboxes[asking->count++] = request->found.mailbox;
    ask(admin, asking);
}

enum db_result address_sessions_end(struct db *db, struct request *request)
{
    struct db_logout_range range;

    return db_logout_mailbox(db, request->customer, &request->address, &range);
}

/* One without mailboxes has no sessions either. */
enum db_result customer_sessions_end(struct db *db, struct request *request)
{
    struct db_logout_range range;
    enum db_result result = db_logout_customer(db, request->customer, &range);

    return result == DB_NONE ? DB_OK : result;
}
