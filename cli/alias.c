#include <string.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/alias.h"
#include "cli/command.h"
#include "cli/database.h"
#include "db/alias.h"

struct targets {
    struct address all[DB_ROUTE_MAX];
    unsigned count;
};

/* No comma in a quoted local part: whoever has one makes the alias through a program. */
static int parse_targets(struct targets *targets_r, const char *list)
{
    char text[ADDRESS_MAX + 1];

    targets_r->count = 0;
    for (const char *at = list;;) {
        size_t length = strcspn(at, ",");
        if (targets_r->count == DB_ROUTE_MAX)
            return refuse("an alias leads to %d mailboxes at most", DB_ROUTE_MAX);
        if (length >= sizeof(text))
            return refuse("what stands after --to is no address: it is too long");
        memcpy(text, at, length);
        text[length] = '\0';
        if (address_argument(&targets_r->all[targets_r->count++], text) != EXIT_DONE)
            return EXIT_REFUSED;
        if (at[length] == '\0')
            return EXIT_DONE;
        at += length + 1;
    }
}

/* Each must be a mailbox of the customer; what is another's looks as if it were not there. */
static int check_targets(struct db *db, uint64_t customer, const struct targets *targets)
{
    struct db_mailaddress found;

    for (unsigned i = 0; i < targets->count; i++) {
        const char *text = targets->all[i].text;
        enum db_result result =
            database_result(db, accounts->mailaddress_find(db, &targets->all[i], &found));
        if (result == DB_NONE || (result == DB_OK && found.customer != customer))
            return refuse("the customer has no address %s, so no alias can lead there", text);
        if (result != DB_OK)
            return EXIT_REFUSED;
        if (found.mailbox == 0)
            return refuse("%s is an alias; name the mailboxes that it leads to", text);
    }
    return EXIT_DONE;
}

static int change(struct db *db, uint64_t customer, const struct address *alias, const char *list,
                  enum db_result (*function)(struct db *db, uint64_t customer,
                                             const struct address *alias,
                                             const struct address *targets, unsigned count))
{
    struct targets targets;

    if (parse_targets(&targets, list) != EXIT_DONE ||
        check_targets(db, customer, &targets) != EXIT_DONE)
        return EXIT_REFUSED;
    switch (database_result(db, function(db, customer, alias, targets.all, targets.count))) {
    case DB_OK: return EXIT_DONE;
    case DB_TAKEN: return refuse("the address %s is there already", alias->text);
    case DB_NONE: return refuse("the domain %s, or a mailbox, was removed just now", alias->domain);
    default: return EXIT_REFUSED;
    }
}

int alias_add(struct db *db, uint64_t customer, const struct address *alias, const char *targets)
{
    return change(db, customer, alias, targets, accounts->alias_add);
}

int alias_set(struct db *db, uint64_t customer, const struct address *alias, const char *targets)
{
    return change(db, customer, alias, targets, accounts->alias_set);
}
