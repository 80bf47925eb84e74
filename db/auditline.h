#ifndef DB_AUDITLINE_H
#define DB_AUDITLINE_H

#include <stdbool.h>

#include "db/audit.h"

struct json_t;

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
struct json_t *auditline_make(const struct db_audit *audit, bool whole);

#endif
