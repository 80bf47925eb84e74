#ifndef ADMIN_API_H
#define ADMIN_API_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/problem.h"

struct admin;
struct request;
struct sockaddr;

/*
 * What comes between a connection (admin/http.h) and a handler (admin/route.h): who asks, whether
 * that key may do this to that object, whether the body is good, and how a change is made.
 *
 * Whose an object is comes first: of another customer, or out of the key's reach, it is 404 as if
 * it were not there. Only what the key can see may be 403.
 */

struct api;

/* Ends the program where the instance's secrets cannot be read. */
struct api *api_new(struct admin *admin);
void api_free(struct api *api);

/* From where a request comes and what it is called: X-Request-Id where it is clean, else drawn. */
void api_identify(struct request *request, const struct sockaddr *remote);

/* All that can be told without the body: a refusal is set as the answer, or the object if that is
 * all that is asked for. */
void api_begin(struct request *request, bool body);

/* The body is there: sets the answer, or sends it later. */
void api_run(struct request *request);

/*
 * Refuses what shows a key or a token that is none. There are so many of them from one address,
 * whichever kind, and beyond that it is 429 whatever is shown.
 */
void api_refuse_unknown(struct request *request, enum problem problem, const char *detail);

/*
 * Whether this happens to what is so named more often than `rate` times a second, after `burst`
 * times at once; it is 429 then.
 */
bool api_is_too_often(struct request *request, const void *name, size_t length, double rate,
                      double burst);

#endif
