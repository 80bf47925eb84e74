#ifndef CLI_AUDITLINE_H
#define CLI_AUDITLINE_H

#include <stdbool.h>

#include "db/auditline.h"

/*
 * Reads what auditline_make() has made into *audit_r, which db_audit_free() frees in any case.
 * Returns 0 with *whole_r, or -1.
 */
int auditline_parse(struct db_audit *audit_r, bool *whole_r, const char *line);

/* The digest as 64 hexadecimal digits. Returns 0 or -1. */
int auditline_digest(uint8_t digest_r[DB_AUDIT_DIGEST_SIZE], const char *text);

#endif
