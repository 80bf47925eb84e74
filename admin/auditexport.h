#ifndef ADMIN_AUDITEXPORT_H
#define ADMIN_AUDITEXPORT_H

#include "admin/request.h"

/*
 * All of the audit that the key reaches, or one customer's, a line each (db/auditline.h): what
 * `bellhop audit verify` checks.
 */
void audit_export(struct admin *admin, struct request *request);

#endif
