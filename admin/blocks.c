#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/blocks.h"
#include "admin/change.h"
#include "admin/domains.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "db/person.h"
#include "db/transaction.h"
#include "lib/authmsg.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

/* clang-format off */
const struct field lift_fields[] = {
    {.name = "network", .type = FIELD_TEXT, .required = true, .least = 1, .most = NETWORKS_TEXT_SIZE,
     .about = "an address or a network from which nothing is to be delayed any more"},
    {0}};
/* clang-format on */

/* A list, while authd is asked. */
struct asking {
    struct page page;
    uint64_t customer; /* whose mailboxes it is about; 0: all */
};

/* --- the list */

/* What a cursor says of one, in the same order. `alike`: so many of its kind are before it. */
static void name_of(const struct auth_block *block, unsigned alike, char name_r[PAGE_NAME_MAX + 1])
{
    char source[2 * sizeof(block->source) + 1];

    sodium_bin2hex(source, sizeof(source), block->source, sizeof(block->source));
    snprintf(name_r, PAGE_NAME_MAX + 1, "%" PRIu32 " %020" PRIu64 " %s %05u", block->scope,
             block->mailbox, source, alike);
}

static json_t *address_of(struct db *db, const struct auth_block *block)
{
    struct db_person_found found;

    if (db_person_delayed(db, block->customers[0], block->mailbox, &found) != DB_OK)
        return json_null();
    return json_string(found.login);
}

static json_t *network_of(const struct auth_block *block)
{
    char text[NETWORKS_TEXT_SIZE];
    struct in6_addr source;

    memcpy(&source, block->source, sizeof(source));
    if (IN6_IS_ADDR_UNSPECIFIED(&source))
        return json_null();
    networks_format(text, &source, block->bits <= 128 ? block->bits : 128);
    return json_string(text);
}

/* Nobody hears of others. */
static json_t *customers_of(const struct auth_block *block, uint64_t only)
{
    json_t *customers = json_array();

    for (unsigned i = 0; i < AUTH_BLOCK_CUSTOMERS && block->customers[i] != 0; i++)
        if (only == 0 || block->customers[i] == only)
            json_array_append_new(customers, json_integer((json_int_t)block->customers[i]));
    return customers;
}

static json_t *block_object(struct db *db, const struct auth_block *block, uint64_t only)
{
    static const char *const words[] = {[AUTH_SCOPE_PAIR] = "mailbox-from-network",
                                        [AUTH_SCOPE_NETWORK] = "network",
                                        [AUTH_SCOPE_MAILBOX] = "mailbox",
                                        [AUTH_SCOPE_PASSWORD] = "password"};
    const char *word = block->scope < sizeof(words) / sizeof(words[0]) ? words[block->scope] : "";

    return json_pack("{ss so so so sI sI}", "delayed", word, "address", address_of(db, block),
                     "network", network_of(block), "customers", customers_of(block, only), "wrong",
                     (json_int_t)block->count, "seconds", (json_int_t)block->seconds);
}

/* Returns whether there are more behind the page, of which the last one's name is written. */
static bool fill(struct asking *asking, struct authask_answer *answer,
                 char last_r[PAGE_NAME_MAX + 1])
{
    struct page *page = &asking->page;
    struct auth_block *found = answer->blocks;
    char name[PAGE_NAME_MAX + 1];
    unsigned alike = 0;

    qsort(found, answer->count, sizeof(found[0]), auth_block_compare);
    for (size_t i = 0; i < answer->count; i++) {
        alike = i > 0 && auth_block_compare(&found[i], &found[i - 1]) == 0 ? alike + 1 : 0;
        name_of(&found[i], alike, name);
        if (strcmp(name, page->after) <= 0)
            continue;
        if (json_array_size(page->items) == page->limit)
            return true;
        json_t *item = page_project(
            page->request, block_object(page->request->admin->db, &found[i], asking->customer));
        if (item == NULL)
            return false;
        json_array_append_new(page->items, item);
        memcpy(last_r, name, sizeof(name));
    }
    return false;
}

static void answer_list(struct asking *asking, struct authask_answer *answer)
{
    struct page *page = &asking->page;
    struct db *db = page->request->admin->db;
    char last[PAGE_NAME_MAX + 1] = "";

    db_read_begin(db);
    bool more = answer->count > 0 && fill(asking, answer, last);
    db_read_end(db);
    if (page->request->answer.status != 0)
        return;
    page_answer(page, more ? last : NULL);
    page->items = NULL;
}

/* --- what authd says */

static void give_up(struct request *request)
{
    problem_set(request, PROBLEM_BUSY, "authd does not answer; try again");
    request->answer.retry_after = 1;
}

static void on_listed(void *context, struct authask_answer *answer)
{
    struct asking *asking = context;
    struct request *request = asking->page.request;

    if (answer->away)
        give_up(request);
    else
        answer_list(asking, answer);
    json_decref(asking->page.items);
    free(asking);
    request_send(request);
}

static void on_lifted(void *context, struct authask_answer *answer)
{
    struct request *request = context;

    if (answer->away)
        give_up(request);
    else
        request_set(request, 200, json_pack("{sI}", "lifted", (json_int_t)answer->number));
    change_keep_and_send(request);
}

/* --- requests */

void blocks_list(struct admin *admin, struct request *request)
{
    struct asking asked;

    if (list_customer(request, &asked.customer) < 0 || page_begin(&asked.page, request) < 0)
        return;
    struct asking *asking = xmalloc(sizeof(*asking));
    *asking = asked;
    authask_list(admin->authask, asked.customer, (struct authask_caller){on_listed, asking});
}

void blocks_lift(struct admin *admin, struct request *request)
{
    struct auth_lift lift = {0};
    struct networks networks = {0};

    if (request->errors == NULL &&
        (networks_parse(&networks, field_text(request->json, "network", "")) < 0 ||
         networks.count != 1))
        problem_member(request, "/network", "network", "it is no %s", NETWORKS_ONE);
    if (problem_wrong(request) != 0)
        return;
    memcpy(lift.network, &networks.list[0].address, sizeof(lift.network));
    lift.bits = networks.list[0].bits;
    authask_lift(admin->authask, &lift, (struct authask_caller){on_lifted, request});
}

void address_blocks_lift(struct admin *admin, struct request *request)
{
    struct auth_lift lift = {.customer = request->found.customer,
                             .mailbox = request->found.mailbox};

    memcpy(lift.address, request->address.text, sizeof(request->address.text));
    authask_lift(admin->authask, &lift, (struct authask_caller){on_lifted, request});
}

void admin_user_blocks_lift(struct admin *admin, struct request *request)
{
    struct auth_lift lift = {.customer = request->user.customer,
                             .mailbox = AUTH_ADMIN_USER | request->user.id};

    snprintf(lift.address, sizeof(lift.address), "%s", request->user.login);
    authask_lift(admin->authask, &lift, (struct authask_caller){on_lifted, request});
}
