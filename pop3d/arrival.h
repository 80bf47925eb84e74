#ifndef POP3D_ARRIVAL_H
#define POP3D_ARRIVAL_H

#include <stdbool.h>

#include "pop3d/peer.h"

struct server;

/*
 * A proxy's connection before it is a session: it has to begin with a PROXY header
 * (lib/proxyheader.h), which says who the client is. One that does not is closed. TLS and commands
 * come behind it.
 */

/* Takes over an accepted, non-blocking socket of the proxy `peer`. */
void arrival_start(struct server *server, int fd, const struct peer *peer, bool tls);

/* Closes those that have not become sessions. */
void arrival_drop_all(struct server *server);

#endif
