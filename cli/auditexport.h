#ifndef CLI_AUDITEXPORT_H
#define CLI_AUDITEXPORT_H

#include <stdint.h>

struct db;

/*
 * Writes the audit of a customer, or where that is 0 all of it, to standard output, a line a row
 * (db/auditline.h). Returns EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int audit_export(struct db *db, uint64_t customer);

#endif
