#ifndef DB_APPPASSWORD_H
#define DB_APPPASSWORD_H

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "lib/address.h"
#include "lib/apppassword.h"

/*
 * Passwords that Bellhop has drawn for the programs of a mailbox's owner, up to
 * DB_APP_PASSWORDS_MAX for each mailbox. The customer named in a call is the one whose mailbox it
 * is; to everybody else it is DB_NONE.
 */

#define DB_APP_PASSWORD_NAME_MAX 100 /* octets of UTF-8 */
#define DB_APP_PASSWORDS_MAX     100

struct db_app_password {
    uint64_t id;
    char name[DB_APP_PASSWORD_NAME_MAX + 1]; /* no two of a mailbox have the same */
    bool pop3;                               /* what it opens: one at least */
    bool smtp;
    uint64_t expires; /* this and the next two in seconds since 1970; 0: never */
    uint64_t created;
    uint64_t used;         /* 0: not yet; written some minutes late */
    char used_address[65]; /* of the client; may be empty */
};

/* Returns 0, or -1 with one sentence in *error_r (static text). */
int db_app_password_name_check(const char *name, const char **error_r);

/*
 * Adds one by its digest (lib/apppassword.h), with the name, what it opens and when it expires; the
 * other members do not matter. `mailbox` is that of the address. DB_OK, DB_TAKEN: the name,
 * DB_LIMIT (db/limit.h), DB_NONE. A name that db_app_password_name_check() refuses is DB_BROKEN.
 */
enum db_result db_app_password_add(struct db *db, uint64_t customer, const struct address *address,
                                   const struct db_app_password *password,
                                   const uint8_t digest[APPPASSWORD_DIGEST_SIZE]);

/*
 * Draws one and adds it as above; text_r, wiped by its owner, is all that there will ever be of it.
 */
enum db_result db_app_password_draw(struct db *db, uint64_t customer, const struct address *address,
                                    const struct db_app_password *password,
                                    char text_r[APPPASSWORD_TEXT_SIZE]);

/* DB_OK or DB_NONE. */
enum db_result db_app_password_remove(struct db *db, uint64_t customer,
                                      const struct address *address, const char *name);

/*
 * The next of a mailbox's by name (begin with a zeroed struct), in place of the one before; DB_NONE
 * after the last.
 */
enum db_result db_app_password_next(struct db *db, uint64_t customer, uint64_t mailbox,
                                    struct db_app_password *password);

/* The one of this mailbox that has this digest, expired or not: DB_OK or DB_NONE. */
enum db_result db_app_password_find(struct db *db, uint64_t mailbox,
                                    const uint8_t digest[APPPASSWORD_DIGEST_SIZE],
                                    struct db_app_password *password_r);

#endif
