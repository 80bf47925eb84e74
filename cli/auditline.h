#ifndef CLI_AUDITLINE_H
#define CLI_AUDITLINE_H

#include <stdbool.h>

#include <jansson.h>

#include "db/audit.h"

/*
 * A row of the audit as JSON: one line of an export, from which `bellhop audit verify`, or who
 * reads db/auditchain.h, can compute its digest.
 *
 *   {"customer": 7, "number": 1, "time": "2026-11-22T12:00:00Z", "actor": "bellhop uid=0",
 *    "remote": "", "request": "", "action": "customer.add", "object": "one",
 *    "changes": "[...]", "digest": "..."}
 *
 * Digests are in hexadecimal; that of a row from before the chains is null. "changes" is a text,
 * because the digest is of its octets. An export of all has "id" and "chain" as well.
 */

json_t *auditline_make(const struct db_audit *audit, bool whole);

/*
 * Reads what auditline_make() has made into *audit_r, which db_audit_free() frees in any case.
 * Returns 0 with *whole_r, or -1.
 */
int auditline_parse(struct db_audit *audit_r, bool *whole_r, const char *line);

/* The digest as 64 hexadecimal digits. Returns 0 or -1. */
int auditline_digest(uint8_t digest_r[DB_AUDIT_DIGEST_SIZE], const char *text);

#endif
