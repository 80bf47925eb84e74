#ifndef ADMIN_HTTP_H
#define ADMIN_HTTP_H

#include <stddef.h>

struct admin;
struct event_base;
struct route;
struct traffic;

/*
 * HTTP by libmicrohttpd, run by the program's own event loop: connections, their limits, headers
 * and bodies. What is answered is decided in admin/api.h.
 */

struct http;

/* Of one body, and of all that are on their way or being worked on. */
#define HTTP_BODY_MAX   (1024 * 1024)
#define HTTP_BODIES_MAX (64 * 1024 * 1024)

/*
 * Serves the routes on the listening sockets "http" and, over TLS (admin/tunnel.h), "https"
 * (lib/child.h), once it is opened. The table is not copied; `admin` goes to the handlers. Ends the
 * program when it cannot.
 */
struct http *http_new(struct event_base *base, const struct route *routes, size_t count,
                      struct admin *admin);

/* Begins to accept. */
void http_open(struct http *http);

/* What has been answered. */
const struct traffic *http_traffic(const struct http *http);

/* Takes new certificates for connections from now on. */
void http_reload(struct http *http);

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

#endif
