#ifndef DB_ISSUER_H
#define DB_ISSUER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"

/*
 * Issuers of tokens (OAUTHBEARER, RFC 7628): each is a customer's, and what it signs opens that
 * customer's mailboxes alone. Its keys are fetched and kept here by admin, and read by authd.
 */

#define DB_ISSUER_MAX          255
#define DB_ISSUER_AUDIENCE_MAX 255
#define DB_ISSUER_CLAIM_MAX    64
#define DB_ISSUER_KEYS_MAX     65536
#define DB_ISSUER_FAILURE_MAX  300

/* As many as a customer may have: a trigger says so too. */
#define DB_ISSUERS_MAX 16

/* Times are in seconds since 1970; 0: not yet. */
struct db_issuer {
    uint64_t id;
    uint64_t customer;
    char issuer[DB_ISSUER_MAX + 1];            /* the "iss" of its tokens */
    char audience[DB_ISSUER_AUDIENCE_MAX + 1]; /* must be in their "aud" */
    char claim[DB_ISSUER_CLAIM_MAX + 1];       /* that holds the mailbox's address */
    uint64_t created;
    uint64_t fetched; /* its keys */
    uint64_t tried;
    uint64_t due;                            /* its keys are to be fetched again */
    unsigned failures;                       /* since they were fetched last */
    char failure[DB_ISSUER_FAILURE_MAX + 1]; /* the last one's; empty: none */
};

/*
 * Tells whether db_issuer_add() accepts issuer, audience and claim. Returns 0, or -1 with one
 * sentence in *error_r (static text). An issuer is a URL of https without query or fragment (OpenID
 * Connect Discovery 1.0 section 2), and has no character that JSON would write otherwise.
 */
int db_issuer_check(const struct db_issuer *issuer, const char **error_r);

/* DB_OK, DB_TAKEN, DB_NONE: no such customer; DB_LIMIT; DB_BROKEN for what is not accepted. */
enum db_result db_issuer_add(struct db *db, uint64_t customer, const struct db_issuer *issuer);

/* DB_OK, or DB_NONE: it is none of the customer's. */
enum db_result db_issuer_remove(struct db *db, uint64_t customer, const char *issuer);

/*
 * The customer's next issuer after the one in *issuer (begin with a zeroed struct), which it
 * replaces, in the order of the text; DB_NONE after the last one.
 */
enum db_result db_issuer_next(struct db *db, uint64_t customer, struct db_issuer *issuer);

/* DB_OK, or DB_NONE: it is none of the customer's. */
enum db_result db_issuer_find(struct db *db, uint64_t customer, const char *issuer,
                              struct db_issuer *issuer_r);

/* Its keys, as JSON: DB_OK, or DB_NONE: there are none yet. */
enum db_result db_issuer_keys(struct db *db, uint64_t customer, uint64_t id,
                              char keys_r[DB_ISSUER_KEYS_MAX + 1]);

/* An issuer of the customer who has this domain: DB_OK, or DB_NONE. */
enum db_result db_issuer_of_domain(struct db *db, const char *domain,
                                   char issuer_r[DB_ISSUER_MAX + 1]);

/* Whether any customer has one that it may use: DB_OK, DB_BUSY or DB_BROKEN. */
enum db_result db_issuer_any(struct db *db, bool *any_r);

/*
 * How fetching goes. Nobody has changed anything, so there is no audit row; DB_NONE: the issuer has
 * been removed meanwhile. db_issuer_due() replaces the issuer in *issuer (begin with a zeroed
 * struct) by the next one whose keys are to be fetched now, from the one that has waited longest
 * on; DB_NONE after the last one. db_issuer_is_live(): DB_OK; or DB_NONE, when it or its customer
 * has been removed, and then nothing is due either, until the customer is restored. db_issuer_try()
 * says that this is being done, and when it is to be tried again if nobody says what became of it.
 */
enum db_result db_issuer_due(struct db *db, uint64_t now, struct db_issuer *issuer);
enum db_result db_issuer_is_live(struct db *db, uint64_t customer, uint64_t id);
enum db_result db_issuer_try(struct db *db, uint64_t customer, uint64_t id, uint64_t now,
                             uint64_t due);
enum db_result db_issuer_fetched(struct db *db, uint64_t customer, uint64_t id, const char *keys,
                                 uint64_t now, uint64_t due);
enum db_result db_issuer_failed(struct db *db, uint64_t customer, uint64_t id, const char *failure,
                                uint64_t due);

/* A token names a key that there is not: due now, unless it was tried since `before`. */
enum db_result db_issuer_wanted(struct db *db, uint64_t customer, uint64_t id, uint64_t now,
                                uint64_t before);

#endif
