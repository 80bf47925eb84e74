#ifndef ADMIN_META_H
#define ADMIN_META_H

struct admin;
struct request;

/*
 * GET /api/v1/meta: limits, and for each resource which members can be set with which method, as
 * JSON Schema with types, bounds and options, so that a panel can draw its form.
 */
void meta_show(struct admin *admin, struct request *request);

#endif
