#ifndef DB_AUDITCHAIN_H
#define DB_AUDITCHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/audit.h"

/*
 * The digests of the audit.
 *
 * A row's `digest` is the BLAKE2b-256 of the digest of the same customer's row before it (zeros
 * before the first), and of these, each as text after its length in 8 octets, the lowest first:
 * customer, number, time (all three in decimal digits), actor, remote, request, action, object,
 * changes. Its `chain` is the BLAKE2b-256 of the chain of the row before it, whoever's that is, and
 * of its own digest.
 */

/* What the row's digests must be after these two; members `digest` and `chain` are written. */
void auditchain_seal(struct db_audit *audit, const uint8_t digest[DB_AUDIT_DIGEST_SIZE],
                     const uint8_t chain[DB_AUDIT_DIGEST_SIZE]);

struct auditchain;

/* `whole`: rows of all customers will come, in the order of their ids, and `chain` is looked at. */
struct auditchain *auditchain_new(bool whole);
void auditchain_free(struct auditchain *chain); /* NULL is allowed */

/*
 * Looks at the next row, after the one before it of the same customer. Returns 0, or -1 with one
 * sentence in error_r that says what is wrong with it.
 */
int auditchain_check(struct auditchain *chain, const struct db_audit *audit, char *error_r,
                     size_t error_size);

/* How many rows there were, and how many of them from before there were chains. */
uint64_t auditchain_rows(const struct auditchain *chain);
uint64_t auditchain_unsealed(const struct auditchain *chain);

#endif
