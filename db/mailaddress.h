#ifndef DB_MAILADDRESS_H
#define DB_MAILADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "db/login.h"
#include "lib/address.h"

/*
 * What mail is sent to: the one address of a mailbox, made and removed together with it, or an
 * alias (db/alias.h). The customer named in a call is the one whose address it is; to everybody
 * else it is DB_NONE.
 */

#define DB_MAILBOX_NAME_MAX 200 /* octets of UTF-8 */

/* Keyed or plain BLAKE2b digest of a token that only the invited person holds. */
#define DB_DIGEST_SIZE 32

/* What a mailbox has of its own. */
struct db_mailbox_settings {
    uint64_t octets;     /* the most that it holds, if the plan allows as much; 0: the plan's */
    bool language_given; /* or else it has the customer's */
    enum language language;
    bool pop3, smtp;                       /* what its passwords open, where the plan does */
    enum db_suspended_mail suspended_mail; /* while it is suspended, and not its customer */
};

struct db_mailaddress {
    uint64_t customer;
    char customer_name[DB_CUSTOMER_NAME_MAX + 1];
    char text[ADDRESS_MAX + 1];
    uint64_t mailbox;                   /* 0: an alias; then the next five are empty */
    char name[DB_MAILBOX_NAME_MAX + 1]; /* the owner's, as people write it; may be empty */
    bool suspended;                     /* this mailbox, not its customer */
    struct db_mailbox_settings settings;
    bool password;          /* one has been set */
    uint64_t invited_until; /* seconds since 1970; 0: no open invitation */
    unsigned targets;       /* an alias: to how many mailboxes it leads */
    bool over_plan;         /* suspended because the plan allows fewer (db/overplan.h) */
    uint64_t created;       /* seconds since 1970 */
};

/* A mailbox to be made with its address. At most one of hash and invitation is set. */
struct db_mailaddress_new {
    struct address address;
    const char *name;          /* up to DB_MAILBOX_NAME_MAX octets without control characters */
    const char *hash;          /* lib/storedhash.h, or NULL: no login yet */
    const char *scram;         /* of scramkeys_format() for the same password, empty or NULL */
    const uint8_t *invitation; /* DB_DIGEST_SIZE octets, or NULL */
    uint64_t invited_until;    /* seconds since 1970 */
};

/* Returns 0, or -1 with one sentence in *error_r (static text). */
int db_mailbox_name_check(const char *name, const char **error_r);

/*
 * DB_OK, DB_TAKEN, DB_LIMIT (db/limit.h), or DB_NONE: the customer has no such domain. mailbox_r
 * may be NULL. A name that db_mailbox_name_check() refuses is DB_BROKEN.
 */
enum db_result db_mailaddress_add(struct db *db, uint64_t customer,
                                  const struct db_mailaddress_new *new, uint64_t *mailbox_r);

/* Finds the customer whose address this is, with all about it; DB_OK or DB_NONE. */
enum db_result db_mailaddress_find(struct db *db, const struct address *address,
                                   struct db_mailaddress *address_r);

/*
 * Removes the address; with a mailbox's, the mailbox and the aliases that led to it alone. `keep`
 * as for db_customer_remove(). DB_OK or DB_NONE.
 */
enum db_result db_mailaddress_remove(struct db *db, uint64_t customer,
                                     const struct address *address, uint64_t keep);

/*
 * Sets the password of a mailbox and ends its invitation, if any. `scram` goes with it; NULL:
 * nobody has made these keys yet. With no hash: no login any more. DB_OK or DB_NONE (an alias too),
 * as the next four.
 */
enum db_result db_mailaddress_set_hash(struct db *db, uint64_t customer,
                                       const struct address *address, const char *hash,
                                       const char *scram);

/*
 * Invites the owner to set a password, or another one, instead of any earlier invitation: see
 * db/invitation.h. A password that is there stays good until then.
 */
enum db_result db_mailaddress_invite(struct db *db, uint64_t customer,
                                     const struct address *address,
                                     const uint8_t digest[DB_DIGEST_SIZE], uint64_t invited_until);

enum db_result db_mailaddress_set_name(struct db *db, uint64_t customer,
                                       const struct address *address, const char *name);

/* As db_customer_set_suspended(). */
enum db_result db_mailaddress_set_suspended(struct db *db, uint64_t customer,
                                            const struct address *address, bool suspended,
                                            enum db_suspended_mail mail);

/* Sets all but suspended_mail. DB_LIMIT: it would hold more than the plan allows (db/limit.h). */
enum db_result db_mailaddress_set_settings(struct db *db, uint64_t customer,
                                           const struct address *address,
                                           const struct db_mailbox_settings *settings);

/*
 * The next address, by domain and then by local part, after the one in *address (begin with a
 * zeroed struct), which it replaces; DB_NONE after the last. The first goes through one customer's
 * addresses, the second, for the operator, through all.
 */
enum db_result db_mailaddress_next(struct db *db, uint64_t customer,
                                   struct db_mailaddress *address);
enum db_result db_operator_mailaddress_next(struct db *db, struct db_mailaddress *address);

#endif
