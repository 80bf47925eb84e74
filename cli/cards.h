#ifndef CLI_CARDS_H
#define CLI_CARDS_H

#include <stddef.h>
#include <stdio.h>

#include "db/customer.h"
#include "lib/address.h"
#include "lib/conf.h"

struct db;

/* Who is to have welcome cards: mailboxes of a customer by name, or with none all that have no
 * password. */
struct cards_wanted {
    struct db_customer customer;
    char domain[ADDRESS_DOMAIN_MAX + 1]; /* only those in it; empty: all */
    struct address *addresses;
    size_t count;
};

/*
 * Invites them anew, all or none, and writes the page. DB_OK; DB_NONE: one of them is no mailbox
 * there, or nobody is without a password; else DB_BUSY or DB_BROKEN.
 */
enum db_result cards_print(struct db *db, const struct conf *conf,
                           const struct cards_wanted *wanted, FILE *file);

#endif
