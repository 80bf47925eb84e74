#ifndef AUTHD_LISTENER_H
#define AUTHD_LISTENER_H

#include <stdbool.h>

struct client;
struct listener;
struct service;

/* One listening socket and its connections. */

/*
 * Accepts when it is opened. `idle` is called each time that the last connection has ended.
 * `service` stays the caller's and outlives the listener.
 */
struct listener *listener_new(const struct service *service, void (*idle)(void *context),
                              void *context);

/* Whether to accept connections. */
void listener_set_open(struct listener *listener, bool open);

bool listener_is_idle(const struct listener *listener);

/* Closes the connections. NULL is allowed. */
void listener_free(struct listener *listener);

/* Accepts and reads nothing more; what is asked already will be answered. */
void listener_drain(struct listener *listener);

/* Calls tell() with each connection's client. */
void listener_each(struct listener *listener, void (*tell)(void *context, struct client *client),
                   void *context);

/* Whether answers wait to be written. */
bool listener_has_output(const struct listener *listener);

#endif
