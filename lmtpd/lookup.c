#include <event2/event.h>
#include <stdlib.h>

#include "db/domain.h"
#include "db/transaction.h"
#include "lib/log.h"
#include "lib/xalloc.h"
#include "lmtpd/lookup.h"

struct lookup {
    struct db *db;
    struct event *turn; /* pending while the database is held */
    bool held;
};

static void on_turn(evutil_socket_t fd, short what, void *context)
{
    struct lookup *lookup = context;
    (void)fd;
    (void)what;

    lookup->held = false;
    db_read_end(lookup->db);
}

struct lookup *lookup_new(struct event_base *base, struct db *db)
{
    struct lookup *lookup = xcalloc(1, sizeof(*lookup));

    lookup->db = db;
    lookup->turn = event_new(base, -1, 0, on_turn, lookup);
    if (lookup->turn == NULL)
        log_fatal("cannot make an event: out of memory");
    return lookup;
}

void lookup_free(struct lookup *lookup)
{
    if (lookup->held)
        db_read_end(lookup->db);
    event_free(lookup->turn);
    free(lookup);
}

static void hold(struct lookup *lookup)
{
    if (lookup->held)
        return;
    lookup->held = true;
    db_read_begin(lookup->db);
    /* Behind what the loop has to do in this turn already. */
    event_active(lookup->turn, EV_TIMEOUT, 0);
}

enum db_result lookup_route(struct lookup *lookup, const struct address *address,
                            struct db_route routes_r[DB_ROUTE_MAX], unsigned *count_r)
{
    hold(lookup);
    return db_route_find(lookup->db, address, routes_r, count_r);
}

enum db_result lookup_domain(struct lookup *lookup, const char *domain)
{
    struct db_domain found;

    hold(lookup);
    return db_domain_find(lookup->db, domain, &found);
}

enum db_result lookup_owner(struct lookup *lookup, uint64_t mailbox, struct db_owner *owner_r)
{
    hold(lookup);
    return db_owner_find(lookup->db, mailbox, owner_r);
}
