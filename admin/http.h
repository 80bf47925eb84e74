#ifndef ADMIN_HTTP_H
#define ADMIN_HTTP_H

#include <stddef.h>

struct admin;
struct event_base;
struct json_t;
struct route;

/* HTTP by libmicrohttpd, run by the program's own event loop. */

struct http;
struct request;

/*
 * Serves the routes on all listening sockets named "http" (lib/child.h), once it is opened. The
 * table is not copied; `admin` goes to the handlers. Ends the program when it cannot.
 */
struct http *http_new(struct event_base *base, const struct route *routes, size_t count,
                      struct admin *admin);

/* Begins to accept. */
void http_open(struct http *http);

/*
 * Accepts nothing more, and ends each connection with its next answer. `idle` is called when there
 * is none left, from the event loop.
 */
void http_retire(struct http *http, void (*idle)(void *context), void *context);

/*
 * Ends all connections after a last try to write. Every request that a handler was given must have
 * been answered. Not to be called from a handler.
 */
void http_free(struct http *http);

/*
 * Answers a request, from its handler or later from the event loop; exactly once, and the request
 * is gone then. `type` is the content type (not copied); `body` is freed with free(3).
 */
void request_answer(struct request *request, unsigned status, const char *type, char *body);

/* The same with a JSON body, whose reference it takes over. */
void request_answer_json(struct request *request, unsigned status, struct json_t *body);

#endif
