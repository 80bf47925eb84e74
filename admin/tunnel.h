#ifndef ADMIN_TUNNEL_H
#define ADMIN_TUNNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct event_base;

/*
 * TLS in front of HTTP: connections that are accepted here and shake hands (lib/tls.h) become
 * tunnels, of which libmicrohttpd has the other end, a socket of ours. Its limits are a
 * connection's; a client that does not read makes it wait as over TCP.
 */
struct tunnels;

struct tunnels_events {
    /* A client has shaken hands: what it says comes out of `fd`, which is the callee's. */
    void (*opened)(void *context, int fd, const struct sockaddr *address, socklen_t length);
    /* One has ended. Both are called from the event loop, and may not free the tunnels. */
    void (*ended)(void *context);
};

/*
 * For all listening sockets with this name, with the certificates of `certificates`
 * (lib/certbundle.h). It accepts nothing yet. `events` is not copied. Ends the program when it
 * cannot.
 */
struct tunnels *tunnels_new(struct event_base *base, const char *name, int certificates,
                            const struct tunnels_events *events, void *context);

/* What has not been written by now is lost, but for a last try. NULL is allowed. */
void tunnels_free(struct tunnels *tunnels);

/* Begins to accept. */
void tunnels_open(struct tunnels *tunnels);

/* Accepts nothing more; who shakes hands goes on. */
void tunnels_close(struct tunnels *tunnels);

/* Takes new certificates for connections from now on; where they cannot be used, the old stay. */
void tunnels_reload(struct tunnels *tunnels);

/* Ends those whose time is over; to be called each second. */
void tunnels_sweep(struct tunnels *tunnels, uint64_t now);

/* Connections, also those that shake hands. */
size_t tunnels_count(const struct tunnels *tunnels);

#endif
