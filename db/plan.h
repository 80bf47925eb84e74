#ifndef DB_PLAN_H
#define DB_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"

/* What a customer may use. Only operators see plans as a list and change them. */

#define DB_PLAN_NAME_MAX      32 /* octets: a-z, 0-9 and "-", beginning with a letter */
#define DB_PLAN_ADDRESSES_MAX 100
#define DB_PLAN_DOMAINS_MAX   100

/* What happens to mail that the scanner finds to be spam or malicious. */
enum db_protection {
    DB_PROTECTION_NONE,  /* it is not scanned */
    DB_PROTECTION_MARK,  /* it is delivered with a header field that says so */
    DB_PROTECTION_REFUSE /* it is refused */
};

struct db_plan {
    char name[DB_PLAN_NAME_MAX + 1];
    unsigned addresses;        /* 1 to DB_PLAN_ADDRESSES_MAX; mailboxes and aliases together */
    unsigned domains;          /* 1 to DB_PLAN_DOMAINS_MAX */
    uint64_t mailbox_octets;   /* the most that one mailbox holds; at least message_octets */
    uint64_t mailbox_messages; /* at least 1 */
    uint64_t message_octets;   /* the largest message; at least 65536 (RFC 5321 4.5.3.1.7) */
    unsigned retention_days;   /* older messages are removed; 0: never */
    unsigned poll_seconds;     /* the shortest time between two logins; 0: no limit */
    enum db_protection protection;
    bool sending;   /* its mailboxes may log in to send mail */
    bool catch_all; /* its domains may have one (db/domain.h) */
};

/* The word for it, in the database and on the command line: none, mark, refuse. */
const char *db_protection_name(enum db_protection protection);

/* Returns 0, or -1 when there is no such word. */
int db_protection_parse(const char *name, enum db_protection *protection_r);

/*
 * Tells whether the functions below accept the values. Returns 0, or -1 with one sentence in
 * *error_r (static text). A plan that does not pass it is DB_BROKEN to them.
 */
int db_plan_check(const struct db_plan *plan, const char **error_r);

/* What a new plan has where nothing else is said; without a name. */
void db_plan_default(struct db_plan *plan_r);

/* DB_OK or DB_TAKEN. */
enum db_result db_plan_add(struct db *db, const struct db_plan *plan);

/* DB_OK or DB_NONE. */
enum db_result db_plan_find(struct db *db, const char *name, struct db_plan *plan_r);

/*
 * Sets everything but the name of the plan with that name: DB_OK, DB_NONE, or DB_LIMIT when one of
 * its customers uses more than it would then allow (db/limit.h).
 */
enum db_result db_plan_set(struct db *db, const struct db_plan *plan);

/* DB_OK, DB_NONE, or DB_TAKEN: a customer is on it. */
enum db_result db_plan_remove(struct db *db, const char *name);

/*
 * The next plan by name after the one in *plan (begin with a zeroed struct), which it replaces;
 * DB_NONE after the last.
 */
enum db_result db_plan_next(struct db *db, struct db_plan *plan);

/* What all plans have in common. A retention of 0 is the longest. All 0 without a plan. */
struct db_plan_range {
    unsigned retention_least, retention_most;
    unsigned poll_least, poll_most;
};

/* DB_OK, DB_BUSY or DB_BROKEN. */
enum db_result db_plan_range(struct db *db, struct db_plan_range *range_r);

#endif
