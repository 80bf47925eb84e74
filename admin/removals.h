#ifndef ADMIN_REMOVALS_H
#define ADMIN_REMOVALS_H

#include "admin/field.h"
#include "admin/route.h"
#include "db/removal.h"

/* /api/v1/removed: what was removed and can be restored (db/removal.h). */

extern const struct parameter removal_parameters[];

/* By its id, of this customer or with 0 of any: DB_OK or DB_NONE. */
enum db_result removal_find(struct db *db, uint64_t customer, uint64_t id,
                            struct db_removal *removal_r);

/* Whether the key reaches what was removed. */
bool removal_reached(const struct db_api_key *key, const struct db_removal *removal);

void removals_list(struct admin *admin, struct request *request);
enum db_result removal_show(struct db *db, struct request *request, struct json_t **object_r);
/* Of what removes something: with now=true an operator purges it at once. */
extern const struct parameter removing_parameters[];
void removing_check(struct admin *admin, struct request *request);

enum db_result removal_restore(struct db *db, struct request *request);
enum db_result removal_purge(struct db *db, struct request *request);

#endif
