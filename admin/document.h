#ifndef ADMIN_DOCUMENT_H
#define ADMIN_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

struct admin;
struct json_t;
struct request;
struct route;

/*
 * GET /api/v1/openapi.json: what the routes are (OpenAPI 3.1), made from their table, the members
 * of bodies from the tables of fields, and those of answers from admin/schemas.json.
 */
void document_get(struct admin *admin, struct request *request);

/* Whether every object of a schema has this member; in the event loop. */
bool document_has_member(const char *schema, const char *name);

/* That document. */
struct json_t *document_make(const struct route *table, size_t count);

#endif
