#ifndef DB_ADMINUSER_H
#define DB_ADMINUSER_H

#include <stdbool.h>
#include <stdint.h>

#include "db/apikey.h"
#include "db/db.h"
#include "db/mailaddress.h"
#include "lib/adminlogin.h"

/*
 * People who use the API and the pages with a password: the operator's own, and those of customers.
 * What each may do is a role of db/apikey.h, but an owner's. A customer of 0 below means the
 * operator.
 */

#define DB_ADMIN_USERS_MAX 1000 /* of each customer, and of the operator */

struct db_admin_user {
    uint64_t id;
    uint64_t customer;
    char customer_name[DB_CUSTOMER_NAME_MAX + 1];
    char login[ADMINLOGIN_MAX + 1];
    char name[DB_MAILBOX_NAME_MAX + 1]; /* as people write it; may be empty */
    enum db_role role;
    bool suspended;         /* this person, not the customer */
    bool password;          /* one has been set */
    bool second_factor;     /* it is asked for */
    uint64_t invited_until; /* seconds since 1970; 0: no open invitation */
    uint64_t created;       /* seconds since 1970 */
};

/* Whether the role can be one of an admin user of this customer. */
bool db_admin_user_role_fits(enum db_role role, uint64_t customer);

/*
 * Adds one whose login has a name in its one form, with customer, role and `name`; the other
 * members do not matter, and are set. The holder of the token with this digest chooses the
 * password. DB_OK, DB_TAKEN: the login, DB_LIMIT, DB_NONE: there is no such customer. What does not
 * go together is DB_BROKEN.
 */
enum db_result db_admin_user_add(struct db *db, struct db_admin_user *user, const char *name,
                                 const uint8_t digest[DB_DIGEST_SIZE], uint64_t invited_until);

/* DB_OK or DB_NONE; the second by the login, whose ever it is. */
enum db_result db_admin_user_get(struct db *db, uint64_t customer, uint64_t id,
                                 struct db_admin_user *user_r);
enum db_result db_admin_user_find(struct db *db, const char *login, struct db_admin_user *user_r);

/*
 * The next by id (begin with a zeroed struct), in place of the one before; DB_NONE after the last.
 * The first goes through one customer's (not the operator's), the second, for the operator, through
 * all.
 */
enum db_result db_admin_user_next(struct db *db, uint64_t customer, struct db_admin_user *user);
enum db_result db_operator_admin_user_next(struct db *db, struct db_admin_user *user);

/* Sets name, role and whether suspended, which ends the sessions. DB_OK, DB_NONE; DB_BROKEN as
 * above. */
enum db_result db_admin_user_set(struct db *db, const struct db_admin_user *user);

/* Sets the password, which ends sessions and invitation. DB_OK or DB_NONE, as the next two. */
enum db_result db_admin_user_set_hash(struct db *db, uint64_t customer, uint64_t id,
                                      const char *hash);

/* Invites to set a password, or another one, instead of any earlier invitation: db/invitation.h. */
enum db_result db_admin_user_invite(struct db *db, uint64_t customer, uint64_t id,
                                    const uint8_t digest[DB_DIGEST_SIZE], uint64_t invited_until);

/* With sessions and second factor. */
enum db_result db_admin_user_remove(struct db *db, uint64_t customer, uint64_t id);

#endif
