#include <stdlib.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/overplan.h"
#include "cli/usage.h"
#include "db/mailaddress.h"
#include "lib/xalloc.h"

static const struct listing_column columns[] = {
    {"what", "WHAT", LISTING_TEXT},           {"name", "NAME", LISTING_TEXT},
    {"used", "USED", LISTING_NUMBER},         {"allowed", "ALLOWED", LISTING_NUMBER},
    {"suspended", "SUSPENDED", LISTING_TEXT}, {0}};

/* The mailboxes of a customer, and their names. */
struct mailboxes {
    struct usage *usages;
    char **names;
    size_t count;
    size_t room;
};

static void add(struct mailboxes *mailboxes, const struct db_mailaddress *address)
{
    if (mailboxes->count == mailboxes->room) {
        mailboxes->room = mailboxes->room > 0 ? 2 * mailboxes->room : 64;
        mailboxes->usages =
            xrealloc(mailboxes->usages, mailboxes->room * sizeof(*mailboxes->usages));
        mailboxes->names = xrealloc(mailboxes->names, mailboxes->room * sizeof(char *));
    }
    mailboxes->usages[mailboxes->count] = (struct usage){.mailbox = address->mailbox};
    mailboxes->names[mailboxes->count++] = xstrdup(address->text);
}

static enum db_result collect(struct db *db, uint64_t customer, struct mailboxes *mailboxes)
{
    struct db_mailaddress address = {0};
    enum db_result result;

    while ((result = accounts->mailaddress_next(db, customer, &address)) == DB_OK)
        if (address.mailbox != 0)
            add(mailboxes, &address);
    return result == DB_NONE ? DB_OK : result;
}

static void mailboxes_fini(struct mailboxes *mailboxes)
{
    for (size_t i = 0; i < mailboxes->count; i++)
        free(mailboxes->names[i]);
    free(mailboxes->names);
    free(mailboxes->usages);
}

/* What is too much, or would be suspended. */
static void add_row(json_t *rows, const char *what, const char *name, uint64_t used,
                    uint64_t allowed)
{
    if (used > allowed)
        json_array_append_new(rows, json_pack("{ss ss sI sI sb}", "what", what, "name", name,
                                              "used", (json_int_t)used, "allowed",
                                              (json_int_t)allowed, "suspended", 0));
}

static void on_over(void *context, const char *address)
{
    json_array_append_new(context, json_pack("{ss ss sn sn sb}", "what", "address", "name", address,
                                             "used", "allowed", "suspended", 1));
}

static void add_mailboxes(json_t *rows, const struct mailboxes *mailboxes,
                          const struct db_overplan_preview *preview)
{
    for (size_t i = 0; i < mailboxes->count; i++) {
        const struct usage *usage = &mailboxes->usages[i];
        if (!usage->known)
            continue;
        add_row(rows, "octets", mailboxes->names[i], usage->octets, preview->mailbox_octets);
        add_row(rows, "messages", mailboxes->names[i], usage->messages, preview->mailbox_messages);
    }
}

int overplan_show(struct db *db, const struct db_customer *customer, const char *plan, bool json)
{
    struct mailboxes mailboxes = {0};
    struct db_overplan_preview preview;
    const char *trouble = NULL;
    json_t *rows = json_array();
    json_t *over = json_array();

    enum db_result result =
        accounts->overplan_preview(db, customer->id, plan, &preview, on_over, over);
    if (result == DB_NONE)
        refuse("there is no plan \"%s\"; \"bellhop plan list\" shows them", plan);
    if (result == DB_OK)
        result = collect(db, customer->id, &mailboxes);
    if (database_result(db, result) == DB_OK) {
        if (mailboxes.count > 0)
            trouble = accounts->usage_ask(db, mailboxes.usages, mailboxes.count);
        add_row(rows, "domains", customer->name, preview.domains, preview.domains_allowed);
        add_row(rows, "addresses", customer->name, preview.addresses, preview.addresses_allowed);
        add_mailboxes(rows, &mailboxes, &preview);
        json_array_extend(rows, over);
        listing_print(json_incref(rows), columns, json);
    }
    if (trouble != NULL)
        (void)refuse("which mailboxes are too full is unknown, %s", trouble);
    mailboxes_fini(&mailboxes);
    json_decref(over);
    json_decref(rows);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}
