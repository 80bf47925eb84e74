#ifndef LIB_PROXYHEADER_H
#define LIB_PROXYHEADER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The PROXY protocol's header, with which a proxy begins a connection to say whose it is: versions
 * 1 (a line of text) and 2 (binary), as in HAProxy's doc/proxy-protocol.txt. Knows no sockets.
 */

/* Octets of a line with its CRLF (section 2.1). */
#define PROXYHEADER_LINE_MAX 107

/* Octets of a binary header: all that proxies add to the addresses is far below. */
#define PROXYHEADER_MAX 4096

enum proxyheader_state {
    PROXYHEADER_BEGUN, /* more has to come */
    PROXYHEADER_CLIENT,
    PROXYHEADER_OWN, /* whole, but no client's: the proxy's own connection, or one it can't name */
    PROXYHEADER_WRONG
};

/* Begins zeroed. */
struct proxyheader {
    enum proxyheader_state state;
    struct sockaddr_in6 client; /* with PROXYHEADER_CLIENT; IPv4 as ::ffff:192.0.2.1 */
    bool secured;               /* the proxy says that its client speaks TLS with it */
    bool summed;                /* its checksum has been seen */
    size_t length;
    unsigned char octets[PROXYHEADER_MAX];
};

/*
 * Takes the next octets of a connection, as few or many as have come, as long as the state is
 * PROXYHEADER_BEGUN. Returns how many belong to the header; what follows is the client's.
 */
size_t proxyheader_take(struct proxyheader *header, const void *octets, size_t length);

#endif
