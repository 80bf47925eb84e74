/* The commands that show addresses, with what stored says of their mailboxes where it runs. */
#include <stdlib.h>
#include <string.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/usage.h"
#include "db/plan.h"
#include "lib/xalloc.h"

static const struct listing_column list_columns[] = {{"address", "ADDRESS", LISTING_TEXT},
                                                     {"customer", "CUSTOMER", LISTING_TEXT},
                                                     {"kind", "KIND", LISTING_TEXT},
                                                     {"state", "STATE", LISTING_TEXT},
                                                     {"used_messages", "MESSAGES", LISTING_NUMBER},
                                                     {"used_bytes", "USED", LISTING_SIZE},
                                                     {"quota_bytes", "QUOTA", LISTING_SIZE},
                                                     {0}};

static const struct listing_column show_columns[] = {
    {"address", "address", LISTING_TEXT},
    {"customer", "customer", LISTING_TEXT},
    {"plan", "plan", LISTING_TEXT},
    {"kind", "kind", LISTING_TEXT},
    {"name", "name", LISTING_TEXT},
    {"state", "state", LISTING_TEXT},
    {"password", "password set", LISTING_TEXT},
    {"invited_until", "invited until", LISTING_TIME},
    {"targets", "leads to mailboxes", LISTING_NUMBER},
    {"used_messages", "messages", LISTING_NUMBER},
    {"quota_messages", "messages at most", LISTING_NUMBER},
    {"used_bytes", "used", LISTING_SIZE},
    {"quota_bytes", "used at most", LISTING_SIZE},
    {"language", "language of its own", LISTING_TEXT},
    {"pop3", "POP3", LISTING_TEXT},
    {"smtp", "sending", LISTING_TEXT},
    {"created", "created", LISTING_TIME},
    {0}};

/* The customer of the address before, for a list is mostly many addresses of one. */
struct owner {
    struct db_customer customer;
    struct db_plan plan;
};

static enum db_result owner_get(struct db *db, uint64_t customer, struct owner *owner)
{
    if (owner->customer.id == customer)
        return DB_OK;
    enum db_result result = accounts->customer_get(db, customer, &owner->customer);
    if (result == DB_OK)
        result = accounts->plan_find(db, owner->customer.plan, &owner->plan);
    if (result != DB_OK)
        owner->customer.id = 0;
    return result;
}

static const char *state_of(const struct db_mailaddress *address, const struct owner *owner)
{
    if (owner->customer.suspended)
        return "customer suspended";
    if (address->suspended)
        return "suspended";
    if (address->over_plan)
        return "beyond the plan";
    if (address->mailbox == 0 || address->password)
        return "active";
    return address->invited_until > 0 ? "invited" : "no password";
}

/* In octets: its own, as far as the plan goes. */
static uint64_t quota_of(const struct db_mailaddress *address, const struct owner *owner)
{
    uint64_t own = address->settings.octets;

    return own > 0 && own < owner->plan.mailbox_octets ? own : owner->plan.mailbox_octets;
}

/* What a mailbox has of its own. */
static void set_settings(json_t *row, const struct db_mailbox_settings *settings, bool alias)
{
    const char *language = settings->language_given ? language_code(settings->language) : NULL;

    json_object_set_new(row, "language",
                        alias || language == NULL ? json_null() : json_string(language));
    json_object_set_new(row, "pop3", alias ? json_null() : json_boolean(settings->pop3));
    json_object_set_new(row, "smtp", alias ? json_null() : json_boolean(settings->smtp));
}

static json_t *address_row(const struct db_mailaddress *address, const struct owner *owner)
{
    bool alias = address->mailbox == 0;
    json_t *row = json_pack(
        "{ss ss ss ss ss ss sb sb so so}", "address", address->text, "customer",
        address->customer_name, "plan", owner->plan.name, "kind", alias ? "alias" : "mailbox",
        "name", address->name, "state", state_of(address, owner), "suspended",
        (int)(address->suspended || address->over_plan || owner->customer.suspended), "password",
        (int)address->password, "invited_until", listing_time(address->invited_until), "created",
        listing_time(address->created));

    json_object_set_new(row, "targets", alias ? json_integer(address->targets) : json_null());
    json_object_set_new(row, "quota_bytes",
                        alias ? json_null() : json_integer((json_int_t)quota_of(address, owner)));
    json_object_set_new(row, "quota_messages",
                        alias ? json_null()
                              : json_integer((json_int_t)owner->plan.mailbox_messages));
    set_settings(row, &address->settings, alias);
    json_object_set_new(row, "used_bytes", json_null());
    json_object_set_new(row, "used_messages", json_null());
    return row;
}

/* The rows of one listing, and what to ask stored about them. */
struct address_rows {
    json_t *rows;
    struct usage *usages; /* one a row; the mailbox is 0 for an alias */
    size_t room;
};

static void rows_add(struct address_rows *list, const struct db_mailaddress *address,
                     const struct owner *owner)
{
    size_t count = json_array_size(list->rows);

    if (count >= list->room) {
        list->room = list->room > 0 ? 2 * list->room : 64;
        list->usages = xrealloc(list->usages, list->room * sizeof(*list->usages));
    }
    list->usages[count] = (struct usage){.mailbox = address->mailbox};
    json_array_append_new(list->rows, address_row(address, owner));
}

/* An unknown usage is null in JSON and `unknown` in a table. */
static void row_set_usage(json_t *row, const struct usage *usage, const char *unknown, bool json)
{
    if (usage->known) {
        json_object_set_new(row, "used_bytes", json_integer((json_int_t)usage->octets));
        json_object_set_new(row, "used_messages", json_integer((json_int_t)usage->messages));
    } else if (!json) {
        json_object_set_new(row, "used_bytes", json_string(unknown));
        json_object_set_new(row, "used_messages", json_string(unknown));
    }
}

/* Asks about the mailboxes among the rows. Returns NULL or why some usages are unknown. */
static const char *rows_ask(struct db *db, struct address_rows *list)
{
    size_t count = json_array_size(list->rows);
    struct usage *asked = xcalloc(count, sizeof(*asked));
    size_t asked_count = 0;

    for (size_t i = 0; i < count; i++)
        if (list->usages[i].mailbox != 0)
            asked[asked_count++] = list->usages[i];
    const char *trouble = asked_count > 0 ? accounts->usage_ask(db, asked, asked_count) : NULL;
    for (size_t i = 0, next = 0; i < count; i++)
        if (list->usages[i].mailbox != 0)
            list->usages[i] = asked[next++];
    free(asked);
    return trouble;
}

/* Adds the usages; `unknown` is what a table shows for one that is not known, NULL: the reason. */
static const char *rows_set_usage(struct db *db, struct address_rows *list, const char *unknown,
                                  bool json)
{
    const char *trouble = rows_ask(db, list);
    char *reason = xasprintf("unknown, %s", trouble != NULL ? trouble : "");

    for (size_t i = 0; i < json_array_size(list->rows); i++)
        if (list->usages[i].mailbox != 0)
            row_set_usage(json_array_get(list->rows, i), &list->usages[i],
                          unknown != NULL ? unknown : reason, json);
    free(reason);
    return trouble;
}

static enum db_result collect(struct db *db, const struct db_customer *only,
                              struct address_rows *list)
{
    struct db_mailaddress address = {0};
    struct owner owner = {0};
    enum db_result result;

    while ((result = only != NULL ? accounts->mailaddress_next(db, only->id, &address)
                                  : accounts->operator_mailaddress_next(db, &address)) == DB_OK) {
        result = owner_get(db, address.customer, &owner);
        if (result == DB_OK)
            rows_add(list, &address, &owner);
        else if (result != DB_NONE) /* NONE: removed since the row was read */
            return result;
    }
    return result;
}

static int list_addresses(struct instance *instance, struct db *db,
                          const struct db_customer *customer, bool json)
{
    struct address_rows list = {0};
    const char *trouble = NULL;
    (void)instance;

    list.rows = json_array();
    enum db_result result = collect(db, customer, &list);
    if (result == DB_NONE)
        trouble = rows_set_usage(db, &list, "unknown", json);
    int done = database_list_end(db, result, list.rows, list_columns, json);
    free(list.usages);
    /* JSON says it with null, and standard error stays free for what is refused. */
    if (trouble != NULL && !json)
        (void)refuse("how full the mailboxes are is unknown, %s", trouble);
    return done;
}

int address_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_addresses);
}

static int show_address(struct db *db, const struct address *address, bool json)
{
    struct address_rows list = {0};
    struct db_mailaddress found;
    struct owner owner = {0};

    if (address_lookup(db, address, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    enum db_result result = database_result(db, owner_get(db, found.customer, &owner));
    if (result == DB_NONE)
        refuse("the customer \"%s\" was removed just now", found.customer_name);
    if (result != DB_OK)
        return EXIT_REFUSED;
    list.rows = json_array();
    rows_add(&list, &found, &owner);
    (void)rows_set_usage(db, &list, NULL, json);
    listing_print_one(json_incref(json_array_get(list.rows, 0)), show_columns, json);
    json_decref(list.rows);
    free(list.usages);
    return EXIT_DONE;
}

int address_show_main(struct instance *instance, int argc, char **argv)
{
    return address_showing(instance, argc, argv, show_address);
}
