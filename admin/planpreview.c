#include <stdio.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/page.h"
#include "admin/planpreview.h"
#include "admin/problem.h"
#include "db/overplan.h"
#include "lib/xalloc.h"

const struct parameter plan_preview_parameters[] = {
    {.name = "plan", .about = "the name of the plan that it would move to"}, {0}};

/* One mailbox of whose octets stored is asked. */
struct asked {
    struct preview *preview;
    uint64_t mailbox;
    char text[ADDRESS_MAX + 1];
    struct store_usage_is usage;
};

struct preview {
    struct request *request;
    char *plan;
    struct db_overplan_preview limits;
    json_t *over; /* addresses */
    bool failed;
    size_t waiting;
    size_t count;
    struct asked asked[DB_PLAN_ADDRESSES_MAX]; /* no customer has more */
};

static void preview_free(struct preview *preview)
{
    free(preview->plan);
    json_decref(preview->over);
    free(preview);
}

/* --- the answer */

static json_t *full_mailboxes(const struct preview *preview)
{
    json_t *full = json_array();

    for (size_t i = 0; i < preview->count; i++) {
        const struct asked *asked = &preview->asked[i];
        if (asked->usage.octets > preview->limits.mailbox_octets ||
            asked->usage.messages > preview->limits.mailbox_messages)
            json_array_append_new(full,
                                  json_pack("{ss sI sI}", "address", asked->text, "used_bytes",
                                            (json_int_t)asked->usage.octets, "used_messages",
                                            (json_int_t)asked->usage.messages));
    }
    return full;
}

static json_t *preview_object(const struct preview *preview)
{
    const struct db_overplan_preview *limits = &preview->limits;
    bool fits = limits->addresses <= limits->addresses_allowed &&
                limits->domains <= limits->domains_allowed;

    return json_pack(
        "{ss sb si si si si sI sI sO so}", "plan", preview->plan, "fits", (int)fits, "addresses",
        (int)limits->addresses, "addresses_allowed", (int)limits->addresses_allowed, "domains",
        (int)limits->domains, "domains_allowed", (int)limits->domains_allowed, "quota_bytes",
        (json_int_t)limits->mailbox_octets, "quota_messages", (json_int_t)limits->mailbox_messages,
        "over", preview->over, "full", full_mailboxes(preview));
}

static void answer(struct preview *preview)
{
    struct request *request = preview->request;

    if (preview->failed) {
        problem_set(request, PROBLEM_BUSY, "the store does not answer; try again");
        request->answer.retry_after = 1;
    } else {
        page_show(request, preview_object(preview));
    }
    preview_free(preview);
}

static void on_usage(void *context, enum store_result result)
{
    struct preview *preview = ((struct asked *)context)->preview;
    struct request *request = preview->request;

    if (result != STORE_OK)
        preview->failed = true;
    if (--preview->waiting > 0)
        return;
    answer(preview);
    request_send(request);
}

/* --- what is asked */

static void on_over(void *context, const char *address)
{
    json_array_append_new(context, json_string(address));
}

static enum db_result collect(struct db *db, struct preview *preview)
{
    struct db_mailaddress found = {0};
    enum db_result result = DB_OK;

    while (preview->count < DB_PLAN_ADDRESSES_MAX &&
           (result = db_mailaddress_next(db, preview->request->customer, &found)) == DB_OK) {
        struct asked *asked = &preview->asked[preview->count];
        if (found.mailbox == 0)
            continue;
        asked->preview = preview;
        asked->mailbox = found.mailbox;
        snprintf(asked->text, sizeof(asked->text), "%s", found.text);
        preview->count++;
    }
    return result == DB_NONE ? DB_OK : result;
}

static int look(struct db *db, struct preview *preview)
{
    struct request *request = preview->request;
    enum db_result result = db_overplan_preview(db, request->customer, preview->plan,
                                                &preview->limits, on_over, preview->over);

    if (result == DB_NONE) {
        problem_set(request, PROBLEM_QUERY, "there is no such plan");
        return -1;
    }
    if (result == DB_OK)
        result = collect(db, preview);
    if (result == DB_OK)
        return 0;
    change_problem(request, db, result);
    return -1;
}

static void ask(struct admin *admin, struct preview *preview)
{
    preview->waiting = preview->count;
    for (size_t i = 0; i < preview->count; i++) {
        struct asked *asked = &preview->asked[i];
        store_usage(admin->store, asked->mailbox, &asked->usage,
                    (struct store_caller){on_usage, asked});
    }
}

void plan_preview_show(struct admin *admin, struct request *request)
{
    char *plan = page_parameter(request, "plan");

    if (plan == NULL)
        return;
    struct preview *preview = xcalloc(1, sizeof(*preview));
    preview->request = request;
    preview->plan = plan;
    preview->over = json_array();
    if (look(admin->db, preview) < 0)
        preview_free(preview);
    else if (preview->count > 0)
        ask(admin, preview);
    else
        answer(preview);
}
