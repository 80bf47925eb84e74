#ifndef AUTHD_ACCOUNTS_H
#define AUTHD_ACCOUNTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "db/apppassword.h"
#include "db/issuer.h"
#include "db/login.h"

struct accounts;
struct db_plan_range;

/*
 * The account database as authd reads it. When it fails, it is closed and what failed is logged;
 * the next who asks opens it anew, once a second at most.
 */

/* Opens accounts.db. Exits with a sentence where that fails. */
struct accounts *accounts_new(void);

void accounts_free(struct accounts *accounts);

/*
 * What is asked for between these two is answered as the database is at the first of them, and its
 * lock is taken once.
 */
void accounts_begin(struct accounts *accounts);
void accounts_end(struct accounts *accounts);

/* As db_login_find(). */
enum db_result accounts_find(struct accounts *accounts, const struct address *address,
                             struct db_login *login_r);

/* As db_login_find_admin(). */
enum db_result accounts_find_admin(struct accounts *accounts, const char *login,
                                   struct db_login *login_r);

/* Finds the app password of a mailbox (0: there is none) with these octets; as
 * db_app_password_find(). */
enum db_result accounts_find_app_password(struct accounts *accounts, uint64_t mailbox,
                                          const uint8_t octets[APPPASSWORD_OCTETS],
                                          struct db_app_password *password_r);

/* Whether the customer trusts the network that an address is in; no, where that cannot be read. */
bool accounts_trust(struct accounts *accounts, uint64_t customer, const struct in6_addr *address);

/* Whose domain an address is in; 0: nobody's, or it cannot be read. */
uint64_t accounts_customer(struct accounts *accounts, const char *address);

/* As db_issuer_find(). */
enum db_result accounts_find_issuer(struct accounts *accounts, uint64_t customer, const char *text,
                                    struct db_issuer *issuer_r);

/* As db_issuer_keys(); *keys_r is to be freed, whatever came of it. */
enum db_result accounts_issuer_keys(struct accounts *accounts, const struct db_issuer *issuer,
                                    char **keys_r);

/* As db_issuer_of_domain(). */
enum db_result accounts_issuer_of_domain(struct accounts *accounts, const char *domain,
                                         char issuer_r[DB_ISSUER_MAX + 1]);

/* Whether any customer has an issuer of tokens; as db_issuer_any(). */
enum db_result accounts_issuers(struct accounts *accounts, bool *any_r);

/* As db_plan_range(). */
enum db_result accounts_plans(struct accounts *accounts, struct db_plan_range *range_r);

/* The salt that an address has for SCRAM, whether or not there is a mailbox. */
void accounts_salt(const struct accounts *accounts, const char *address,
                   uint8_t salt_r[SCRAMKEYS_SALT_SIZE]);

#endif
