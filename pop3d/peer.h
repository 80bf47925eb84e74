#ifndef POP3D_PEER_H
#define POP3D_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* One end of a client's connection. */
struct peer {
    bool loopback; /* 127/8, ::1 or ::ffff:127/8 */
    char text[INET6_ADDRSTRLEN];
};

/* Any other family than IPv4 and IPv6 becomes "unknown", which is not loopback. */
void peer_set(struct peer *peer_r, const struct sockaddr *address);

#endif
