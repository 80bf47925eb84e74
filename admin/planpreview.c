#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/page.h"
#include "admin/planpreview.h"
#include "admin/problem.h"
#include "admin/usageask.h"
#include "db/overplan.h"
#include "lib/xalloc.h"

const struct parameter plan_preview_parameters[] = {
    {.name = "plan", .about = "the name of the plan that it would move to"}, {0}};

struct preview {
    char *plan;
    struct db_overplan_preview limits;
    json_t *over; /* addresses */
    struct usageask ask;
    char texts[DB_PLAN_ADDRESSES_MAX][ADDRESS_MAX + 1]; /* of the mailboxes asked about */
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

    for (size_t i = 0; i < preview->ask.count; i++) {
        const struct store_usage_is *usage = &preview->ask.asked[i].usage;
        if (usage->octets > preview->limits.mailbox_octets ||
            usage->messages > preview->limits.mailbox_messages)
            json_array_append_new(full, json_pack("{ss sI sI}", "address", preview->texts[i],
                                                  "used_bytes", (json_int_t)usage->octets,
                                                  "used_messages", (json_int_t)usage->messages));
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

static void answer(struct usageask *ask)
{
    struct preview *preview = (struct preview *)((char *)ask - offsetof(struct preview, ask));

    if (!ask->failed)
        page_show(ask->request, preview_object(preview));
    preview_free(preview);
}

/* --- what is asked */

static void on_over(void *context, const char *address)
{
    json_array_append_new(context, json_string(address));
}

static enum db_result collect(struct db *db, uint64_t customer, struct preview *preview)
{
    struct usageask *ask = &preview->ask;
    struct db_mailaddress found = {0};
    enum db_result result = DB_OK;

    while (ask->count < DB_PLAN_ADDRESSES_MAX &&
           (result = db_mailaddress_next(db, customer, &found)) == DB_OK) {
        if (found.mailbox == 0)
            continue;
        snprintf(preview->texts[ask->count], sizeof(preview->texts[0]), "%s", found.text);
        usageask_add(ask, found.mailbox);
    }
    return result == DB_NONE ? DB_OK : result;
}

static int look(struct db *db, struct request *request, struct preview *preview)
{
    enum db_result result = db_overplan_preview(db, request->customer, preview->plan,
                                                &preview->limits, on_over, preview->over);

    if (result == DB_NONE) {
        problem_set(request, PROBLEM_QUERY, "there is no such plan");
        return -1;
    }
    if (result == DB_OK)
        result = collect(db, request->customer, preview);
    if (result == DB_OK)
        return 0;
    change_problem(request, db, result);
    return -1;
}

void plan_preview_show(struct admin *admin, struct request *request)
{
    char *plan = page_parameter(request, "plan");

    if (plan == NULL)
        return;
    struct preview *preview = xcalloc(1, sizeof(*preview));
    preview->plan = plan;
    preview->over = json_array();
    if (look(admin->db, request, preview) < 0)
        preview_free(preview);
    else
        usageask_run(&preview->ask, request, answer);
}
