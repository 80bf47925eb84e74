#ifndef DB_DOMAIN_H
#define DB_DOMAIN_H

#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "lib/address.h"

/* Domain names are given as address_parse_domain() makes them. */

struct db_domain {
    uint64_t customer;
    char customer_name[DB_CUSTOMER_NAME_MAX + 1];
    char name[ADDRESS_DOMAIN_MAX + 1];
    uint64_t created;   /* seconds since 1970 */
    unsigned addresses; /* how many there are now */
    char
        catch_all[ADDRESS_MAX + 1]; /* the address that has the mail for all others; may be empty */
};

/*
 * DB_OK, DB_TAKEN (also by another customer), DB_LIMIT (db/limit.h), or DB_NONE: there is no such
 * customer.
 */
enum db_result db_domain_add(struct db *db, uint64_t customer, const char *name);

/* Finds the customer whose domain this is; DB_OK or DB_NONE. */
enum db_result db_domain_find(struct db *db, const char *name, struct db_domain *domain_r);

/*
 * Removes the domain with its addresses and their mailboxes, and the aliases in other domains that
 * then lead nowhere. `keep` as for db_customer_remove(). DB_OK or DB_NONE.
 */
enum db_result db_domain_remove(struct db *db, uint64_t customer, const char *name, uint64_t keep);

/*
 * Lets an address of the customer's, mailbox or alias, take the mail for all addresses of the
 * domain that there are not; NULL: none. Mail for who is suspended, or was removed and can be
 * restored, is not among it. It counts while the plan has catch_all. DB_OK or DB_NONE.
 */
enum db_result db_domain_set_catch_all(struct db *db, uint64_t customer, const char *name,
                                       const struct address *address);

/*
 * The next domain by name after the one in *domain (begin with a zeroed struct), which it
 * replaces; DB_NONE after the last. The first goes through one customer's domains, the second,
 * for the operator, through all.
 */
enum db_result db_domain_next(struct db *db, uint64_t customer, struct db_domain *domain);
enum db_result db_operator_domain_next(struct db *db, struct db_domain *domain);

#endif
