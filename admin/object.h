#ifndef ADMIN_OBJECT_H
#define ADMIN_OBJECT_H

#include <stdbool.h>

#include "admin/request.h"

/* Which object a request names, whether its key reaches it, and what tells that it has changed. */

/*
 * Finds what the route's scope names and fills in the members of the request that tell what it is.
 * Sets 404 where there is none within the key's reach, and 403 where the key may not do this to it.
 */
void object_find(struct request *request);

/* Whether the key reaches an address of this customer's, in this domain, with this mailbox. */
bool object_reaches(const struct db_api_key *key, uint64_t customer, const char *domain,
                    uint64_t mailbox);

/* The same of another key: whether that is one of those it may see and change. */
bool object_reaches_key(const struct db_api_key *key, const struct db_api_key *target);

/* A strong validator of what the object shows. */
void object_etag(char etag_r[REQUEST_ETAG_SIZE], const struct json_t *object);

/* Answers with all of it and its ETag; the reference is taken over. */
void object_answer(struct request *request, unsigned status, struct json_t *object);

/* Whether a list of If-Match or If-None-Match has it (RFC 9110 section 13.1). */
bool object_matches(const char *list, const char *etag);

#endif
