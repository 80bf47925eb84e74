#ifndef ADMIN_DIRECTORY_H
#define ADMIN_DIRECTORY_H

#include <jansson.h>

#include "admin/field.h"
#include "admin/route.h"

/*
 * /api/v1/customers/{customer}/directory: all that a customer has by name, as one document: domains
 * with their catch-alls, mailboxes with their settings, and aliases with their targets. Whoever
 * puts one says what there is to be: what is missing in it is removed, and a member that is not
 * named is as in a new address. Passwords, suspensions and mail are not its business.
 *
 * What it has stands in two objects of JSON whose members are the things by name, each in the one
 * form that this document has for it; so two things are the same where their JSON is.
 */
struct directory {
    json_t *domains;
    json_t *addresses;
    json_t *logins; /* of a document that was put: what `invite` (true) and `hash` (a text) say */
};

void directory_clear(struct directory *directory);

bool directory_is_alias(const json_t *address);

/* What the customer has now. */
enum db_result directory_read(struct db *db, uint64_t customer, struct directory *directory_r);

/* The body, as far as it is good; what is not is noted by problem_member(). */
void directory_take(struct request *request, struct directory *directory_r);

/* As the API shows it. */
json_t *directory_object(const struct directory *directory);

extern const struct field directory_fields[];

enum db_result directory_show(struct db *db, struct request *request, struct json_t **object_r);

#endif
