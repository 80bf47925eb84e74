#ifndef ADMIN_ISSUERS_H
#define ADMIN_ISSUERS_H

struct db;
struct event_base;
struct fetcher;
struct issuers;

/*
 * Has the keys of customers' token issuers fetched (admin/fetcher.h) and writes them into the
 * account database, where authd reads them: when an issuer is new, each ISSUERS_EVERY seconds, soon
 * when a token names a key that there is not, and again and again, later and later, where it fails.
 * When each is due stands in the database, so it goes on where it was after a restart.
 */

/* Seconds. After a failure: FIRST, then twice as long each time, up to EVERY. */
#define ISSUERS_EVERY 3600
#define ISSUERS_FIRST 30

/* `notes` (opened with DB_NOTES) and the fetcher are used until issuers_free(). */
struct issuers *issuers_new(struct event_base *base, struct db *notes, struct fetcher *fetcher);

/* After the fetcher has gone. NULL is allowed. */
void issuers_free(struct issuers *issuers);

#endif
