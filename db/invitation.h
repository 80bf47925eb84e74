#ifndef DB_INVITATION_H
#define DB_INVITATION_H

#include <stdbool.h>
#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "db/mailaddress.h"
#include "lib/address.h"
#include "lib/language.h"

/*
 * What a token (lib/invitation.h) opens: its holder chooses the password of one mailbox, or of one
 * admin user, once. With db_mailaddress_invite() and db_admin_user_invite() it is how a forgotten
 * one is reset, too.
 *
 * Found by the token's digest, so how long a search takes says nothing of tokens: nobody can choose
 * what the digest of a guess begins with.
 */
struct db_invitation {
    uint64_t customer; /* 0: an operator's */
    char customer_name[DB_CUSTOMER_NAME_MAX + 1];
    char address[ADDRESS_MAX + 1]; /* the mailbox's own, or the admin user's login, for
                                      password_hash() */
    uint64_t mailbox;              /* one of these two is 0 */
    uint64_t admin_user;
    char name[DB_MAILBOX_NAME_MAX + 1]; /* the owner's, may be empty */
    enum language language;             /* the mailbox's, or else the customer's */
    bool password;                      /* one has been set: this is a reset */
    bool sending;                       /* whether mail can be sent, as the plan says */
    uint64_t until;                     /* seconds since 1970 */
};

/* DB_OK; DB_NONE: unknown, taken, replaced by another, or expired. */
enum db_result db_invitation_find(struct db *db, const uint8_t digest[DB_DIGEST_SIZE],
                                  struct db_invitation *invitation_r);

/*
 * Sets what password_hash() has made of the chosen password for the address that was found, and
 * ends the invitation and the sessions that were begun with another password. Of two at once one is
 * DB_OK and the other DB_NONE, as above.
 */
enum db_result db_invitation_take(struct db *db, const uint8_t digest[DB_DIGEST_SIZE],
                                  const char *hash, const char *scram);

#endif
