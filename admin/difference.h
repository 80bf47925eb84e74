#ifndef ADMIN_DIFFERENCE_H
#define ADMIN_DIFFERENCE_H

#include "admin/field.h"
#include "admin/route.h"

/*
 * PUT of a customer's directory (admin/directory.h): the difference between what there is and what
 * there is to be. It is made in one transaction, in which without `apply` nothing stays: so what
 * would be refused is refused then, too. With If-Match, it is the difference that was seen.
 *
 * What is removed can be restored (db/removal.h), and is removed only with `remove`: a document
 * that somebody has cut off, or an empty one, takes nothing away.
 */

extern const struct parameter difference_parameters[];

void difference_check(struct admin *admin, struct request *request);
enum db_result difference_make(struct db *db, struct request *request);

#endif
