#ifndef DB_APIKEY_H
#define DB_APIKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "db/customer.h"
#include "db/db.h"
#include "lib/address.h"
#include "lib/apikey.h"

/*
 * Keys with which programs use the HTTP API. One is an operator's, or reaches one customer's
 * things, or those of one of its domains, or one mailbox. A customer of 0 below means the operator.
 */

#define DB_API_KEY_NAME_MAX     100  /* octets of UTF-8 */
#define DB_API_KEY_NETWORKS_MAX 1000 /* octets */
#define DB_API_KEY_RATE_MAX     100000
#define DB_API_KEYS_MAX         1000 /* of each customer, and of the operator */

/* What a key may do, the most first; the routes say it in detail (admin/routes.c). */
enum db_role {
    DB_ROLE_OPERATOR,
    DB_ROLE_OPERATOR_READ,
    DB_ROLE_ADMIN,         /* everything of its customer */
    DB_ROLE_HELPDESK,      /* sees it, and resets passwords */
    DB_ROLE_CUSTOMER_READ, /* sees it */
    DB_ROLE_OWNER,         /* of one mailbox */
    DB_ROLE__MAX
};

struct db_api_key {
    uint64_t id;
    char name[DB_API_KEY_NAME_MAX + 1]; /* no two of a customer have the same */
    enum db_role role;
    uint64_t customer;
    char customer_name[DB_CUSTOMER_NAME_MAX + 1];
    char domain[ADDRESS_DOMAIN_MAX + 1];        /* empty: all of the customer's */
    uint64_t mailbox;                           /* an owner's, else 0 */
    char address[ADDRESS_MAX + 1];              /* of that mailbox */
    char networks[DB_API_KEY_NETWORKS_MAX + 1]; /* for networks_parse(); empty: from everywhere */
    bool suspended;   /* the customer, or the owner's mailbox; of an operator never */
    unsigned rate;    /* requests a second; 0: as many as come */
    uint64_t expires; /* this and the next two in seconds since 1970; 0: never */
    uint64_t created;
    uint64_t used; /* 0: not yet; written some minutes late */
    char used_address[65];
};

/* The word for it: operator, operator-read, admin, helpdesk, customer-read, owner. */
const char *db_role_name(enum db_role role);

/* Returns 0, or -1 when there is no such word. */
int db_role_parse(const char *name, enum db_role *role_r);

/* Whether the role is one of the operator's own people, whose keys have no customer. */
bool db_role_is_operator(enum db_role role);

/* Returns 0, or -1 with one sentence in *error_r (static text). */
int db_api_key_name_check(const char *name, const char **error_r);

/*
 * Adds one by its digest, with name, role, customer, domain, mailbox, networks, rate and expiry;
 * the other members do not matter. DB_OK, DB_TAKEN: the name, DB_LIMIT (db/limit.h), DB_NONE: there
 * is no such customer, or it has no such domain or mailbox. What does not go together (role and
 * customer, a name that the check refuses) is DB_BROKEN.
 */
enum db_result db_api_key_add(struct db *db, const struct db_api_key *key,
                              const uint8_t digest[APIKEY_DIGEST_SIZE], uint64_t *id_r);

/*
 * Draws one and adds it as above; text_r, wiped by its owner, is all that there will ever be of it.
 */
enum db_result db_api_key_draw(struct db *db, const struct db_api_key *key,
                               char text_r[APIKEY_TEXT_SIZE], uint64_t *id_r);

/*
 * Changes name, role, networks, rate and expiry of the key with the id and the customer. The role
 * stays one of the operator's, one of a customer's, or an owner's. DB_OK, DB_TAKEN: the name, or
 * DB_NONE. What does not go together is DB_BROKEN, as above.
 */
enum db_result db_api_key_set(struct db *db, const struct db_api_key *key);

/* The one that has this digest, expired or not: DB_OK or DB_NONE. */
enum db_result db_api_key_find(struct db *db, const uint8_t digest[APIKEY_DIGEST_SIZE],
                               struct db_api_key *key_r);

/* DB_OK or DB_NONE. */
enum db_result db_api_key_get(struct db *db, uint64_t customer, uint64_t id,
                              struct db_api_key *key_r);
enum db_result db_api_key_remove(struct db *db, uint64_t customer, uint64_t id);

/*
 * The next by id (begin with a zeroed struct), in place of the one before; DB_NONE after the last.
 * The first goes through one customer's, the second, for the operator, through all.
 */
enum db_result db_api_key_next(struct db *db, uint64_t customer, struct db_api_key *key);
enum db_result db_operator_api_key_next(struct db *db, struct db_api_key *key);

/* Notes when (seconds since 1970) and from where it was used; no audit. DB_OK or DB_NONE. */
enum db_result db_api_key_used(struct db *db, uint64_t customer, uint64_t id, uint64_t time,
                               const char *remote);

#endif
