#ifndef ADMIN_TOKENISSUERS_H
#define ADMIN_TOKENISSUERS_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/customers/{customer}/token-issuers (db/issuer.h); admin/issuers.h fetches their keys. */

extern const struct field token_issuer_new_fields[];

void token_issuers_list(struct admin *admin, struct request *request);
void token_issuer_check(struct admin *admin, struct request *request);
enum db_result token_issuer_add(struct db *db, struct request *request);
enum db_result token_issuer_remove(struct db *db, struct request *request);

#endif
