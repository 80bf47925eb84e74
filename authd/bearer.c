#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "authd/accounts.h"
#include "authd/bearer.h"
#include "authd/report.h"
#include "authd/token.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"

/* Of the token and of the keys that it was verified with. */
static void make_digest(const struct bearer *bearer, const struct bearer_try *try,
                        const struct db_issuer *issuer, uint8_t digest_r[CACHE_DIGEST_SIZE])
{
    const struct typed typed = {.raw = try->token, .raw_length = try->length};
    char keys[64];

    snprintf(keys, sizeof(keys), "%" PRIu64 " %" PRIu64, issuer->id, issuer->fetched);
    typed_digest(&typed, keys, "signature", bearer->key, digest_r);
}

/* It may be newer than our keys; or somebody makes names up, so not each time. */
static void miss_key(struct bearer *bearer, const struct db_issuer *issuer)
{
    const uint32_t now = clock_seconds();

    if (issuer->tried + BEARER_WANTED_EVERY > (uint64_t)time(NULL) ||
        (issuer->id == bearer->missed && bearer->missed_at + BEARER_WANTED_EVERY > now))
        return;
    bearer->missed = issuer->id;
    bearer->missed_at = now;
    report_wanted(bearer->report, issuer->customer, issuer->id);
}

static enum bearer_result verify_by(struct bearer *bearer, const struct token *token,
                                    const struct db_issuer *issuer, const char *text,
                                    const char **reason_r)
{
    json_t *keys = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    if (keys == NULL)
        log_error("the stored keys of the token issuer %s are damaged", issuer->issuer);
    enum jws_result result = jws_verify(&token->jws, keys);
    json_decref(keys);
    if (result == JWS_GOOD)
        return BEARER_GOOD;
    *reason_r = "its signature is wrong";
    if (result == JWS_WRONG)
        return BEARER_FORGED;
    *reason_r = "its issuer has no such key";
    miss_key(bearer, issuer);
    return BEARER_UNFIT;
}

static enum bearer_result verify(struct bearer *bearer, const struct token *token,
                                 const struct db_issuer *issuer, const char **reason_r)
{
    char *keys = NULL;
    enum bearer_result result = BEARER_NO_KEYS;

    *reason_r = "its issuer's keys could not be fetched";
    if (issuer->fetched + BEARER_KEYS_TIME < (uint64_t)time(NULL))
        return result;
    switch (accounts_issuer_keys(bearer->accounts, issuer, &keys)) {
    case DB_OK: result = verify_by(bearer, token, issuer, keys, reason_r); break;
    case DB_NONE: break;
    default: result = BEARER_BROKEN;
    }
    free(keys);
    return result;
}

static enum bearer_result verify_once(struct bearer *bearer, const struct bearer_try *try,
                                      const struct token *token, const struct db_issuer *issuer,
                                      const char **reason_r)
{
    uint8_t digest[CACHE_DIGEST_SIZE];

    make_digest(bearer, try, issuer, digest);
    if (cache_find(bearer->cache, digest, clock_seconds())) {
        metric_add(METRIC_AUTH_CACHE_HITS, 1);
        return BEARER_GOOD;
    }
    enum bearer_result result = verify(bearer, token, issuer, reason_r);
    if (result == BEARER_GOOD)
        cache_add(bearer->cache, digest, clock_seconds());
    return result;
}

/* The signature first: what it says wrong without one is nobody's word. */
static enum bearer_result check_claims(struct bearer *bearer, const struct bearer_try *try,
                                       const struct token *token, const struct db_issuer *issuer,
                                       const char **reason_r)
{
    const struct token_rules rules = {.audience = issuer->audience,
                                      .claim = issuer->claim,
                                      .address = try->address,
                                      .now = time(NULL)};

    enum bearer_result result = verify_once(bearer, try, token, issuer, reason_r);
    if (result != BEARER_GOOD)
        return result;
    *reason_r = token_fault(token, &rules);
    return *reason_r == NULL ? BEARER_GOOD : BEARER_UNFIT;
}

enum bearer_result bearer_check(struct bearer *bearer, const struct bearer_try *try,
                                const char **reason_r)
{
    enum bearer_result result = BEARER_FORGED;
    struct db_issuer issuer;
    struct token token;

    if (token_parse(&token, try->token, try->length, reason_r) < 0)
        return BEARER_FORGED;
    *reason_r = "it is not by an issuer of the customer's";
    switch (accounts_find_issuer(bearer->accounts, try->customer, token_issuer(&token), &issuer)) {
    case DB_OK: result = check_claims(bearer, try, &token, &issuer, reason_r); break;
    case DB_NONE: break;
    default: result = BEARER_BROKEN;
    }
    token_free(&token);
    return result;
}
