#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <sodium.h>
#include <utlist.h>

#include "admin/admin.h"
#include "admin/blocks.h"
#include "admin/domains.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "db/owner.h"
#include "db/transaction.h"
#include "lib/authmsg.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

#define CONTROL_PATH "run/auth-control.sock"

/* Seconds. authd answers within milliseconds; while it is started again, within a second or two. */
#define PATIENCE 5

/* clang-format off */
const struct field lift_fields[] = {
    {.name = "network", .type = FIELD_TEXT, .required = true, .least = 1, .most = NETWORKS_TEXT_SIZE,
     .about = "an address or a network from which nothing is to be delayed any more"},
    {0}};
/* clang-format on */

/* One request, while authd is asked. */
struct asking {
    struct asking *prev;
    struct asking *next;
    struct blocks *blocks;
    struct request *request;
    struct page page;  /* of a list */
    uint64_t customer; /* whose mailboxes it is about; 0: all */
    struct channel *channel;
    struct event *end; /* in time, or because the answer is there */
    uint8_t awaited;   /* the type of the answer */
    bool answered;
    uint64_t number; /* that is in it */
    size_t count;
    struct auth_block *found;
};

struct blocks {
    struct event_base *base;
    struct asking *askings;
};

static void asking_free(struct asking *asking)
{
    DL_DELETE(asking->blocks->askings, asking);
    channel_free(asking->channel);
    event_free(asking->end);
    json_decref(asking->page.items);
    free(asking->found);
    free(asking);
}

/* --- the list */

/* Those of names that are no mailbox, and of passwords, may be alike. */
static int compare(const void *one, const void *other)
{
    const struct auth_block *a = one;
    const struct auth_block *b = other;

    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    if (a->mailbox != b->mailbox)
        return a->mailbox < b->mailbox ? -1 : 1;
    return memcmp(a->source, b->source, sizeof(a->source));
}

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
    struct db_owner owner;

    if (block->mailbox == 0 || db_owner_find(db, block->mailbox, &owner) != DB_OK)
        return json_null();
    return json_string(owner.address.text);
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
static bool fill(struct asking *asking, char last_r[PAGE_NAME_MAX + 1])
{
    struct page *page = &asking->page;
    const struct auth_block *found = asking->found;
    char name[PAGE_NAME_MAX + 1];
    unsigned alike = 0;

    qsort(asking->found, asking->count, sizeof(asking->found[0]), compare);
    for (size_t i = 0; i < asking->count; i++) {
        alike = i > 0 && compare(&found[i], &found[i - 1]) == 0 ? alike + 1 : 0;
        name_of(&found[i], alike, name);
        if (strcmp(name, page->after) <= 0)
            continue;
        if (json_array_size(page->items) == page->limit)
            return true;
        json_t *item =
            page_project(page->request, block_object(page->request->admin->db, &asking->found[i],
                                                     asking->customer));
        if (item == NULL)
            return false;
        json_array_append_new(page->items, item);
        memcpy(last_r, name, sizeof(name));
    }
    return false;
}

static void answer_list(struct asking *asking)
{
    struct page *page = &asking->page;
    struct request *request = asking->request;
    char last[PAGE_NAME_MAX + 1] = "";

    db_read_begin(request->admin->db);
    bool more = asking->count > 0 && fill(asking, last);
    db_read_end(request->admin->db);
    if (request->answer.status != 0)
        return;
    page_answer(page, more ? last : NULL);
    page->items = NULL;
}

/* --- what authd says */

static void add(struct asking *asking, const void *payload)
{
    if ((asking->count & (asking->count - 1)) == 0) /* full, at 0 and each power of two */
        asking->found = xrealloc(asking->found, (asking->count > 0 ? 2 * asking->count : 1) *
                                                    sizeof(asking->found[0]));
    memcpy(&asking->found[asking->count++], payload, sizeof(asking->found[0]));
}

static int on_message(void *context, const struct channel_message *message)
{
    struct asking *asking = context;

    if (asking->answered)
        return -1;
    if (message->type == AUTH_BLOCK && asking->awaited == AUTH_LISTED &&
        message->length == sizeof(struct auth_block) && asking->count < AUTH_BLOCKS_MAX) {
        add(asking, message->payload);
        return 0;
    }
    if (message->type != asking->awaited || message->length != sizeof(asking->number))
        return -1;
    memcpy(&asking->number, message->payload, sizeof(asking->number));
    asking->answered = true;
    event_active(asking->end, EV_TIMEOUT, 0);
    return 0;
}

static void give_up(struct asking *asking)
{
    problem_set(asking->request, PROBLEM_BUSY, "authd does not answer; try again");
    asking->request->answer.retry_after = 1;
}

/* The request is gone behind the answer, and so is what was kept for it. */
static void on_end(evutil_socket_t fd, short what, void *context)
{
    struct asking *asking = context;
    struct request *request = asking->request;
    (void)fd;
    (void)what;

    if (!asking->answered)
        give_up(asking);
    else if (asking->awaited == AUTH_LISTED)
        answer_list(asking);
    else if (request->route->fields != NULL)
        request_set(request, 200, json_pack("{sI}", "lifted", (json_int_t)asking->number));
    else
        request_set(request, 204, NULL);
    asking_free(asking);
    request_send(request);
}

static void on_closed(void *context)
{
    struct asking *asking = context;

    event_active(asking->end, EV_TIMEOUT, 0);
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

/* Asks, and answers the request later; takes over the page's items. */
static void ask(struct admin *admin, const struct asking *asked, uint8_t type, const void *payload,
                size_t length)
{
    struct blocks *blocks = admin->blocks;
    struct asking *asking = xmalloc(sizeof(*asking));
    struct timeval limit = {.tv_sec = PATIENCE};

    *asking = *asked;
    asking->blocks = blocks;
    DL_APPEND(blocks->askings, asking);
    asking->channel = channel_connect(blocks->base, CONTROL_PATH, &events, asking);
    if (asking->channel != NULL)
        channel_send(asking->channel, type, 1, payload, length, NULL, 0);
    else
        limit.tv_sec = 0;
    asking->end = evtimer_new(blocks->base, on_end, asking);
    if (asking->end == NULL || event_add(asking->end, &limit) < 0)
        log_fatal("cannot set a time limit: out of memory");
}

struct blocks *blocks_new(struct event_base *base)
{
    struct blocks *blocks = xcalloc(1, sizeof(*blocks));

    blocks->base = base;
    return blocks;
}

void blocks_free(struct blocks *blocks)
{
    if (blocks == NULL)
        return;
    while (blocks->askings != NULL)
        on_end(-1, 0, blocks->askings);
    free(blocks);
}

/* --- requests */

void blocks_list(struct admin *admin, struct request *request)
{
    struct asking asking = {.request = request, .awaited = AUTH_LISTED};

    if (list_customer(request, &asking.customer) < 0 || page_begin(&asking.page, request) < 0)
        return;
    const struct auth_list list = {.customer = asking.customer};
    ask(admin, &asking, AUTH_LIST, &list, sizeof(list));
}

void blocks_lift(struct admin *admin, struct request *request)
{
    const struct asking asking = {.request = request, .awaited = AUTH_LIFTED};
    struct auth_lift lift = {0};
    struct networks networks = {0};

    if (request->errors == NULL &&
        (networks_parse(&networks, field_text(request->json, "network", "")) < 0 ||
         networks.count != 1))
        problem_member(
            request, "/network", "network",
            "it is no address or network, as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/48 is");
    if (problem_wrong(request) != 0)
        return;
    memcpy(lift.network, &networks.list[0].address, sizeof(lift.network));
    lift.bits = networks.list[0].bits;
    ask(admin, &asking, AUTH_LIFT, &lift, sizeof(lift));
}

void address_blocks_lift(struct admin *admin, struct request *request)
{
    const struct asking asking = {.request = request, .awaited = AUTH_LIFTED};
    struct auth_lift lift = {.customer = request->found.customer,
                             .mailbox = request->found.mailbox};

    memcpy(lift.address, request->address.text, sizeof(request->address.text));
    ask(admin, &asking, AUTH_LIFT, &lift, sizeof(lift));
}
