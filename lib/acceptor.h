#ifndef LIB_ACCEPTOR_H
#define LIB_ACCEPTOR_H

#include <stdbool.h>

struct event_base;
struct sockaddr;

/*
 * Accepts connections on a program's listening sockets. When descriptors or memory run out, clients
 * wait in the backlog: it pauses instead of trying again and again, and says so once a minute.
 */
struct acceptor;

#define ACCEPTOR_PAUSE_MS 100

/* Sockets that one acceptor may have. */
#define ACCEPTOR_SOCKETS_MAX 16

/* Exits with a clear line when there is no memory. */
struct acceptor *acceptor_new(struct event_base *base);

/* Not from within `accepted`. NULL is allowed. The sockets stay open. */
void acceptor_free(struct acceptor *acceptor);

/*
 * Begins to accept on every descriptor with this name (lib/child.h). `accepted` takes over each
 * connection, which is non-blocking and close-on-exec. Exits with a clear line when it cannot.
 */
void acceptor_listen(struct acceptor *acceptor, const char *name,
                     void (*accepted)(void *context, int fd, const struct sockaddr *address),
                     void *context);

/* Whether clients are to be accepted now; true in the beginning. Costs nothing when unchanged. */
void acceptor_set_open(struct acceptor *acceptor, bool open);

#endif
