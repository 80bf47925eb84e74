#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authd/accounts.h"
#include "db/domain.h"
#include "db/plan.h"
#include "db/secret.h"
#include "db/transaction.h"
#include "db/trusted.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xalloc.h"

#define ACCOUNTS_PATH "accounts.db"

/* Seconds between two attempts to open a database that could not be opened. */
#define REOPEN_SECONDS 1

struct accounts {
    struct db *db; /* NULL: broken, opened again by the next who asks after `reopen` */
    uint32_t reopen;
    bool together;                       /* between accounts_begin() and accounts_end() */
    uint8_t salt_secret[DB_SECRET_SIZE]; /* these two are of the database that was open last */
    uint8_t app_key[APPPASSWORD_KEY_SIZE];
};

/* Opens the database, and reads what it keeps for checks. Returns 0, or -1 with a sentence. */
static int try_open(struct accounts *accounts, char *error_r, size_t error_size)
{
    accounts->db = db_open(ACCOUNTS_PATH, DB_READ, error_r, error_size);
    if (accounts->db == NULL)
        return -1;
    if (db_secret_find(accounts->db, DB_SECRET_APP_PASSWORD, accounts->app_key) == DB_OK &&
        db_secret_find(accounts->db, DB_SECRET_SCRAM_SALT, accounts->salt_secret) == DB_OK)
        return 0;
    snprintf(error_r, error_size, "%s does not tell the instance's secrets", ACCOUNTS_PATH);
    db_close(accounts->db);
    accounts->db = NULL;
    return -1;
}

struct accounts *accounts_new(void)
{
    struct accounts *accounts = xcalloc(1, sizeof(*accounts));
    char error[256];

    if (try_open(accounts, error, sizeof(error)) < 0)
        log_fatal("%s", error);
    return accounts;
}

void accounts_free(struct accounts *accounts)
{
    db_close(accounts->db);
    sodium_memzero(accounts, sizeof(*accounts));
    free(accounts);
}

/* Opens the database where it is not open. Returns 0, or -1 (logged, or too soon to try again). */
static int reopen(struct accounts *accounts)
{
    char error[256];

    if (accounts->db != NULL)
        return 0;
    if (clock_seconds() < accounts->reopen)
        return -1;
    if (try_open(accounts, error, sizeof(error)) == 0)
        return 0;
    log_error("%s", error);
    accounts->reopen = clock_seconds() + REOPEN_SECONDS;
    return -1;
}

/* Passes on what the database has answered; a broken one is closed. */
static enum db_result answered(struct accounts *accounts, enum db_result result)
{
    if (result == DB_BROKEN) {
        db_close(accounts->db);
        accounts->db = NULL;
        accounts->together = false;
    }
    return result;
}

void accounts_begin(struct accounts *accounts)
{
    accounts->together = reopen(accounts) == 0;
    if (accounts->together)
        db_read_begin(accounts->db);
}

void accounts_end(struct accounts *accounts)
{
    if (accounts->together)
        db_read_end(accounts->db);
    accounts->together = false;
}

enum db_result accounts_find(struct accounts *accounts, const struct address *address,
                             struct db_login *login_r)
{
    if (reopen(accounts) < 0)
        return DB_BROKEN;
    return answered(accounts, db_login_find(accounts->db, address, login_r));
}

enum db_result accounts_find_admin(struct accounts *accounts, const char *login,
                                   struct db_login *login_r)
{
    if (reopen(accounts) < 0)
        return DB_BROKEN;
    return answered(accounts, db_login_find_admin(accounts->db, login, login_r));
}

enum db_result accounts_find_app_password(struct accounts *accounts, uint64_t mailbox,
                                          const uint8_t octets[APPPASSWORD_OCTETS],
                                          struct db_app_password *password_r)
{
    uint8_t digest[APPPASSWORD_DIGEST_SIZE];

    if (reopen(accounts) < 0)
        return DB_BROKEN;
    apppassword_digest(digest, accounts->app_key, mailbox, octets);
    enum db_result result = db_app_password_find(accounts->db, mailbox, digest, password_r);
    sodium_memzero(digest, sizeof(digest));
    return answered(accounts, result);
}

bool accounts_trust(struct accounts *accounts, uint64_t customer, const struct in6_addr *address)
{
    if (reopen(accounts) < 0)
        return false;
    return answered(accounts, db_trusted_holds(accounts->db, customer, address)) == DB_OK;
}

uint64_t accounts_customer(struct accounts *accounts, const char *address)
{
    const char *at = strrchr(address, '@');
    struct db_domain domain;

    if (at == NULL || reopen(accounts) < 0)
        return 0;
    enum db_result result = db_domain_find(accounts->db, at + 1, &domain);
    return answered(accounts, result) == DB_OK ? domain.customer : 0;
}

enum db_result accounts_find_issuer(struct accounts *accounts, uint64_t customer, const char *text,
                                    struct db_issuer *issuer_r)
{
    if (reopen(accounts) < 0)
        return DB_BROKEN;
    return answered(accounts, db_issuer_find(accounts->db, customer, text, issuer_r));
}

enum db_result accounts_issuer_keys(struct accounts *accounts, const struct db_issuer *issuer,
                                    char **keys_r)
{
    *keys_r = NULL;
    if (reopen(accounts) < 0)
        return DB_BROKEN;
    *keys_r = xmalloc(DB_ISSUER_KEYS_MAX + 1);
    return answered(accounts, db_issuer_keys(accounts->db, issuer->customer, issuer->id, *keys_r));
}

enum db_result accounts_issuer_of_domain(struct accounts *accounts, const char *domain,
                                         char issuer_r[DB_ISSUER_MAX + 1])
{
    if (reopen(accounts) < 0)
        return DB_BROKEN;
    return answered(accounts, db_issuer_of_domain(accounts->db, domain, issuer_r));
}

enum db_result accounts_issuers(struct accounts *accounts, bool *any_r)
{
    if (reopen(accounts) < 0)
        return DB_BROKEN;
    return answered(accounts, db_issuer_any(accounts->db, any_r));
}

enum db_result accounts_plans(struct accounts *accounts, struct db_plan_range *range_r)
{
    if (reopen(accounts) < 0)
        return DB_BROKEN;
    return answered(accounts, db_plan_range(accounts->db, range_r));
}

void accounts_salt(const struct accounts *accounts, const char *address,
                   uint8_t salt_r[SCRAMKEYS_SALT_SIZE])
{
    scramkeys_salt(salt_r, accounts->salt_secret, address);
}
