#ifndef DB_TRUSTED_H
#define DB_TRUSTED_H

#include <netinet/in.h>
#include <stdint.h>

#include "db/db.h"
#include "lib/networks.h"

/*
 * Networks that a customer trusts: nobody there is delayed for its mailboxes because of what others
 * there have typed (docs/DESIGN.md, "Throttling").
 */

/* As many as a customer may have: a trigger says so too. */
#define DB_TRUSTED_MAX 100

struct db_trusted {
    char network[NETWORKS_TEXT_SIZE];
    uint64_t created; /* seconds since 1970 */
};

/*
 * Brings what somebody has typed into the form of networks_format(). Returns 0, or -1 with how it
 * must be in *error_r (static text): what is wider than what any customer has would spare those who
 * guess.
 */
int db_trusted_parse(char network_r[NETWORKS_TEXT_SIZE], const char *text, const char **error_r);

/* `network` as db_trusted_parse() makes it. DB_OK, DB_TAKEN, DB_NONE: no such customer; DB_LIMIT.
 */
enum db_result db_trusted_add(struct db *db, uint64_t customer, const char *network);

/* DB_OK, or DB_NONE: it is not trusted. */
enum db_result db_trusted_remove(struct db *db, uint64_t customer, const char *network);

/*
 * The customer's next network after the one in *trusted (begin with a zeroed struct), in the order
 * of the text; DB_NONE after the last one.
 */
enum db_result db_trusted_next(struct db *db, uint64_t customer, struct db_trusted *trusted);

/* DB_OK: the customer trusts a network that holds the address (as networks_hold_mapped() takes it);
 * DB_NONE: it does not. */
enum db_result db_trusted_holds(struct db *db, uint64_t customer, const struct in6_addr *address);

#endif
