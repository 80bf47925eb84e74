#ifndef LMTPD_LOOKUP_H
#define LMTPD_LOOKUP_H

#include "db/owner.h"
#include "db/route.h"

struct event_base;

/*
 * Where addresses lead, by the account database. All that is looked up in one turn of the event
 * loop is read as of one moment: with many clients, or many recipients in one packet, taking the
 * database's lock for each would cost more than to read.
 */
struct lookup;

/* `db` stays the caller's. */
struct lookup *lookup_new(struct event_base *base, struct db *db);
void lookup_free(struct lookup *lookup);

/* As db_route_find(). */
enum db_result lookup_route(struct lookup *lookup, const struct address *address,
                            struct db_route routes_r[DB_ROUTE_MAX], unsigned *count_r);

/* DB_OK: the domain, as address_parse_domain() makes it, is a customer's. Or DB_NONE and so on. */
enum db_result lookup_domain(struct lookup *lookup, const char *domain);

/* As db_owner_find(). */
enum db_result lookup_owner(struct lookup *lookup, uint64_t mailbox, struct db_owner *owner_r);

#endif
