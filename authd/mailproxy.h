#ifndef AUTHD_MAILPROXY_H
#define AUTHD_MAILPROXY_H

#include <stdbool.h>

struct mailproxy;
struct service;

/*
 * The socket on which nginx's mail proxy asks for each client whether it may log in, and where
 * (authd/proxyquery.h). One question and one answer for a connection:
 *
 *   Auth-Status: OK, with Auth-Server and Auth-Port: pop3d's, where nginx logs the client in; this
 *   second check costs nothing, for what is right is remembered
 *   Auth-Status: what the client is told behind "-ERR", with Auth-Wait: it may try again on its
 *   connection; without, nginx closes it
 */

/* Accepts when it is opened. `pop3_listen` is that of the configuration. */
struct mailproxy *mailproxy_new(const struct service *service, const char *pop3_listen,
                                void (*idle)(void *context), void *context);

/* Whether to accept connections. */
void mailproxy_set_open(struct mailproxy *mailproxy, bool open);

/* Whether nobody waits for an answer. `idle` is called each time that it becomes so. */
bool mailproxy_is_idle(const struct mailproxy *mailproxy);

/* Closes the connections. NULL is allowed. */
void mailproxy_free(struct mailproxy *mailproxy);

#endif
