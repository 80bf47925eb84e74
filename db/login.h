#ifndef DB_LOGIN_H
#define DB_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "lib/address.h"
#include "lib/language.h"
#include "lib/scramkeys.h"
#include "lib/storedhash.h"

#define DB_HASH_SIZE (STOREDHASH_MAX + 1)

/* What authd needs to check a password, and what the session will be told. Wiped after use. */
struct db_login {
    uint64_t mailbox;    /* 0: see admin_user */
    uint64_t admin_user; /* 0: none */
    uint64_t customer;
    bool suspended; /* the customer or this mailbox */
    bool sending;   /* the plan (db/plan.h) and the mailbox have it */
    bool fetching;  /* by POP3: the mailbox has it */
    /* These two of the plan. */
    unsigned retention_days;
    unsigned poll_seconds;
    enum language language;          /* the mailbox's or the customer's */
    uint64_t logout;                 /* the newest one (db/logout.h); 0: none */
    char hash[DB_HASH_SIZE];         /* lib/storedhash.h; empty: no password has been set */
    char scram[SCRAMKEYS_TEXT_SIZE]; /* as of scramkeys_format(); empty: there are none yet */
};

/*
 * Finds the mailbox whose own address this is: DB_OK, DB_NONE (an alias too), DB_BUSY, DB_BROKEN.
 * Reads the database anew at each call, so a change counts from the next login on.
 */
enum db_result db_login_find(struct db *db, const struct address *address,
                             struct db_login *login_r);

/*
 * The same of an admin user by the login in its one form (lib/adminlogin.h): admin_user, customer,
 * suspended and hash; the other members of the zeroed struct stay as they are.
 */
enum db_result db_login_find_admin(struct db *db, const char *login, struct db_login *login_r);

#endif
