#ifndef POP3D_PEER_H
#define POP3D_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* The family and up to 64 bits of an address. */
#define PEER_NETWORK_SIZE 9

/* One end of a client's connection. */
struct peer {
    bool near; /* nobody else can listen on the way: it is on this machine, or its proxy has TLS */
    bool shared; /* many clients may stand behind it: it is on this machine, or a proxy */
    bool names;  /* may name its client with XCLIENT; peer_set() leaves that to the server */
    char text[INET6_ADDRSTRLEN];
    /* What one customer of a provider has: an IPv4 address, or a /64 of IPv6. */
    uint8_t network[PEER_NETWORK_SIZE];
};

/*
 * On this machine are 127/8, ::1 and ::ffff:127/8. Any other family than IPv4 and IPv6 becomes
 * "unknown", which is not.
 */
void peer_set(struct peer *peer_r, const struct sockaddr *address);

#endif
