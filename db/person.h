#ifndef DB_PERSON_H
#define DB_PERSON_H

#include <stdbool.h>
#include <stdint.h>

#include "db/apikey.h"
#include "db/db.h"
#include "db/mailaddress.h"

struct sqlite3_stmt;

/*
 * Somebody who uses the pages: an admin user or a mailbox's owner. One of `admin_user` and
 * `mailbox` is 0; `customer` is 0 for an operator's admin user. What is asked with a foreign
 * customer is not found.
 */
struct db_person {
    uint64_t customer;
    uint64_t admin_user;
    uint64_t mailbox;
};

struct db_person_found {
    char login[ADDRESS_MAX + 1]; /* an owner's address */
    char name[DB_MAILBOX_NAME_MAX + 1];
    char customer_name[DB_CUSTOMER_NAME_MAX + 1];
    enum db_role role;
    bool suspended;     /* the person, or the customer */
    bool second_factor; /* it is asked for */
};

/* DB_OK, or DB_NONE: there is no such person (any more). */
enum db_result db_person_find(struct db *db, const struct db_person *person,
                              struct db_person_found *found_r);

/* The same of whom authd delays: `who` is the mailbox of lib/authmsg.h, which may be an admin user.
 */
enum db_result db_person_delayed(struct db *db, uint64_t customer, uint64_t who,
                                 struct db_person_found *found_r);

/* What is stored of the person's password; wiped by the caller. DB_OK, or DB_NONE: there is none.
 */
enum db_result db_person_hash(struct db *db, const struct db_person *person,
                              char hash_r[DB_HASH_SIZE]);

/* For this folder: binds ?1 to ?3 as PERSON in statement.c has them. */
void person_bind(struct sqlite3_stmt *statement, const struct db_person *person);

/* For this folder: as change_end() (db/handle.h), with the person's address or login. */
enum db_result person_change_end(struct db *db, enum db_result result, const char *action,
                                 const struct db_person *person);

#endif
