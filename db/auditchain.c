#include "db/auditchain.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "lib/xalloc.h"

/* Where a customer's chain has come to. */
struct link {
    uint64_t customer;
    uint64_t number;
    bool sealed;
    uint8_t digest[DB_AUDIT_DIGEST_SIZE];
    UT_hash_handle hh;
};

struct auditchain {
    struct link *links; /* by customer */
    bool whole;
    uint8_t chain[DB_AUDIT_DIGEST_SIZE];
    uint64_t rows;
    uint64_t unsealed;
};

static void hash_text(crypto_generichash_state *state, const char *text)
{
    size_t length = strlen(text);
    uint8_t octets[8];
    for (unsigned i = 0; i < sizeof(octets); i++) {
        octets[i] = (uint8_t)(length >> (8 * i));
    }
    crypto_generichash_update(state, octets, sizeof(octets));
    crypto_generichash_update(state, (const uint8_t *)text, length);
}

static void hash_number(crypto_generichash_state *state, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, number);
    hash_text(state, digits);
}

void auditchain_seal(struct db_audit *audit, const uint8_t digest[DB_AUDIT_DIGEST_SIZE],
                     const uint8_t chain[DB_AUDIT_DIGEST_SIZE])
{
    const char *const texts[] = {audit->actor,  audit->remote, audit->request,
                                 audit->action, audit->object, audit->changes};
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, DB_AUDIT_DIGEST_SIZE);
    crypto_generichash_update(&state, digest, DB_AUDIT_DIGEST_SIZE);
    hash_number(&state, audit->customer);
    hash_number(&state, audit->number);
    hash_number(&state, audit->time);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        hash_text(&state, texts[i]);
    }
    crypto_generichash_final(&state, audit->digest, DB_AUDIT_DIGEST_SIZE);
    crypto_generichash_init(&state, NULL, 0, DB_AUDIT_DIGEST_SIZE);
    crypto_generichash_update(&state, chain, DB_AUDIT_DIGEST_SIZE);
    crypto_generichash_update(&state, audit->digest, DB_AUDIT_DIGEST_SIZE);
    crypto_generichash_final(&state, audit->chain, DB_AUDIT_DIGEST_SIZE);
}

struct auditchain *auditchain_new(bool whole)
{
    struct auditchain *chain = xcalloc(1, sizeof(*chain));
    chain->whole = whole;
    return chain;
}

void auditchain_free(struct auditchain *chain)
{
    struct link *link;
    struct link *next;
    if (chain == NULL) {
        return;
    }
    HASH_ITER (hh, chain->links, link, next) {
        HASH_DEL(chain->links, link);
        free(link);
    }
    free(chain);
}

static struct link *link_of(struct auditchain *chain, uint64_t customer)
{
    struct link *link;
    HASH_FIND(hh, chain->links, &customer, sizeof(customer), link);
    if (link == NULL) {
        link = xcalloc(1, sizeof(*link));
        link->customer = customer;
        HASH_ADD(hh, chain->links, customer, sizeof(customer), link);
    }
    return link;
}

/* What is wrong with the row, or NULL. `sealed` has the digests that it should have. */
static const char *find_fault(const struct auditchain *chain, const struct link *link,
                              const struct db_audit *audit, const struct db_audit *sealed)
{
    if (audit->number != link->number + 1) {
        return "rows before it are missing";
    }
    if (sodium_is_zero(audit->digest, sizeof(audit->digest))) {
        return link->sealed ? "it has no digest" : NULL;
    }
    if (memcmp(audit->digest, sealed->digest, DB_AUDIT_DIGEST_SIZE) != 0) {
        return "it or a row before it is not as it was written";
    }
    if (chain->whole && memcmp(audit->chain, sealed->chain, DB_AUDIT_DIGEST_SIZE) != 0) {
        return "rows of another customer before it are missing or not as they were written";
    }
    return NULL;
}

int auditchain_check(struct auditchain *chain, const struct db_audit *audit, char *error_r,
                     size_t error_size)
{
    struct link *link = link_of(chain, audit->customer);
    struct db_audit sealed = *audit;
    auditchain_seal(&sealed, link->digest, chain->chain);
    const char *fault = find_fault(chain, link, audit, &sealed);
    if (fault != NULL) {
        snprintf(error_r, error_size, "row %" PRIu64 " of customer %" PRIu64 " (%s %s): %s",
                 audit->number, audit->customer, audit->action, audit->object, fault);
        return -1;
    }
    link->number = audit->number;
    link->sealed = !sodium_is_zero(audit->digest, sizeof(audit->digest));
    chain->unsealed += !link->sealed;
    chain->rows++;
    memcpy(link->digest, audit->digest, sizeof(link->digest));
    memcpy(chain->chain, audit->chain, sizeof(chain->chain));
    return 0;
}

uint64_t auditchain_rows(const struct auditchain *chain)
{
    return chain->rows;
}

uint64_t auditchain_unsealed(const struct auditchain *chain)
{
    return chain->unsealed;
}
