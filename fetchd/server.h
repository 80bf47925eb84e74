#ifndef FETCHD_SERVER_H
#define FETCHD_SERVER_H

#include <stdbool.h>

struct event_base;
struct networks;
struct server;

/* The socket run/fetchd.sock (lib/fetchmsg.h), and what is being fetched. */

/* Accepts nothing yet. `listed`: what the operator allows beyond the Internet; copied. */
struct server *server_new(struct event_base *base, const struct networks *listed);

/* Reads the authorities again; counts for what is asked from then on. */
void server_configure(struct server *server, const struct networks *listed);

void server_set_open(struct server *server, bool open);

/* Accepts nothing more, and calls `idle` once, when nothing is being fetched. */
void server_retire(struct server *server, void (*idle)(void *context), void *context);

/* Breaks off what is being fetched. */
void server_free(struct server *server);

#endif
