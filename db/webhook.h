#ifndef DB_WEBHOOK_H
#define DB_WEBHOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "db/eventtype.h"

/*
 * Who is told over HTTP of what happens: a customer of what is its own, an operator of everything.
 * A webhook is told of what is in the outbox (db/outbox.h), one event after the other, and has a
 * cursor: that of the last one.
 */

#define DB_WEBHOOK_URL_LEAST   10
#define DB_WEBHOOK_URL_MAX     2000
#define DB_WEBHOOK_EVENTS_MAX  500
#define DB_WEBHOOK_FAILURE_MAX 200
#define DB_WEBHOOK_SECRET_SIZE 32
#define DB_WEBHOOK_OVERLAP     86400 /* seconds for which a secret that was replaced is used */
#define DB_WEBHOOKS_MAX        20    /* of a customer, and of the operator */

/* One that fails for so many seconds is told nothing more. */
#define DB_WEBHOOK_PATIENCE 259200

struct db_webhook {
    uint64_t id;
    uint64_t customer;                            /* 0: an operator's */
    char customer_name[DB_CUSTOMER_NAME_MAX + 1]; /* empty: an operator's */
    char url[DB_WEBHOOK_URL_MAX + 1];
    char events[DB_WEBHOOK_EVENTS_MAX + 1]; /* see db_eventtype_wants() */
    uint64_t created;                       /* this and all times: seconds since 1970 */
    uint64_t cursor;
    uint64_t failing;  /* since when; 0: it is not */
    unsigned failures; /* in a row */
    uint64_t next;     /* no try before that */
    uint64_t disabled; /* since when; 0: it is not. Given up where it is failing, or switched off */
    char failure[DB_WEBHOOK_FAILURE_MAX + 1];
    uint64_t answered;  /* when it was told something last; 0: not yet */
    unsigned status;    /* with which it answered then; 0: with none */
    uint64_t old_until; /* how long the secret of before is good */
};

/* Each returns 0, or -1 with one sentence, which is static text in *error_r. */
int db_webhook_url_check(const char *url, const char **error_r);
int db_webhook_events_check(const char *events, char error_r[DB_EVENTTYPE_ERROR_SIZE]);

/*
 * A webhook that is told of what happens from now on. The customer is 0 for an operator's. DB_OK,
 * DB_NONE: no such customer, DB_TAKEN: it has one with this URL, DB_LIMIT. What the checks above
 * refuse is DB_BROKEN.
 */
enum db_result db_webhook_add(struct db *db, uint64_t customer, const char *url, const char *events,
                              const uint8_t secret[DB_WEBHOOK_SECRET_SIZE], uint64_t *id_r);

/* DB_OK or DB_NONE: this customer, or with 0 the operator, has no such webhook. */
enum db_result db_webhook_remove(struct db *db, uint64_t customer, uint64_t id);

/*
 * Tells it again what was after `cursor` and is still in the outbox, or, with a later one, nothing
 * before it; one that lies ahead is that of now. A webhook that was given up is tried again. As
 * db_webhook_remove().
 */
enum db_result db_webhook_replay(struct db *db, uint64_t customer, uint64_t id, uint64_t cursor);

/*
 * Changes it: a text that is NULL stays, and so does with NULL for `enabled` whether it is told
 * anything. Switched on again it is told what it has missed, as far as that is still in the outbox;
 * with a new URL, or switched on, it is tried at once. DB_TAKEN: there is one with this URL; else
 * as db_webhook_remove().
 */
enum db_result db_webhook_set(struct db *db, uint64_t customer, uint64_t id, const char *url,
                              const char *events, const bool *enabled);

/*
 * Gives it another secret. The one of before is used as well, until `old_until`, in seconds since
 * 1970. As db_webhook_remove().
 */
enum db_result db_webhook_renew(struct db *db, uint64_t customer, uint64_t id,
                                const uint8_t secret[DB_WEBHOOK_SECRET_SIZE], uint64_t old_until);

/* Switches all off that are not, the operator's and the customers': DB_OK or a failure. */
enum db_result db_webhook_disable_all(struct db *db);

/* The one with this id, whoever's: DB_OK or DB_NONE. */
enum db_result db_operator_webhook_find(struct db *db, uint64_t id, struct db_webhook *webhook_r);

/*
 * The next by id after *webhook (begin with a zeroed struct), which it replaces; DB_NONE at the
 * end. The second is for all, the customers' and the operator's.
 */
enum db_result db_webhook_next(struct db *db, uint64_t customer, struct db_webhook *webhook);
enum db_result db_operator_webhook_next(struct db *db, struct db_webhook *webhook);

/* --- for who tells them */

/* The newest first; all are good, and their number is 1 or 2. */
enum db_result db_webhook_secrets(struct db *db, uint64_t id,
                                  uint8_t secrets_r[2][DB_WEBHOOK_SECRET_SIZE], unsigned *count_r);

/*
 * It has been told of everything up to `cursor`, and has answered with `status`; 0: there was
 * nothing that it wants. DB_NONE: somebody has moved its cursor meanwhile, or it is gone; so for
 * the next two.
 */
enum db_result db_webhook_told(struct db *db, const struct db_webhook *webhook, uint64_t cursor,
                               unsigned status);

/*
 * A try has failed at `now`, for the reason given (cut where it is too long), with this status or
 * 0; the next is at `next`. Giving up is a change, with its audit row: the webhook is told nothing
 * more.
 */
enum db_result db_webhook_failed(struct db *db, const struct db_webhook *webhook, uint64_t now,
                                 uint64_t next, const char *reason, unsigned status);
enum db_result db_webhook_give_up(struct db *db, const struct db_webhook *webhook, uint64_t now);

#endif
