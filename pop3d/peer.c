#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "pop3d/peer.h"

static void set_ipv4(struct peer *peer_r, const struct in_addr *address)
{
    peer_r->network[0] = 4;
    memcpy(peer_r->network + 1, address, sizeof(*address));
    peer_r->near = ntohl(address->s_addr) >> 24 == 127;
    inet_ntop(AF_INET, address, peer_r->text, sizeof(peer_r->text));
}

static void set_ipv6(struct peer *peer_r, const struct in6_addr *address)
{
    struct in_addr mapped;

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        memcpy(&mapped, &address->s6_addr[12], sizeof(mapped));
        set_ipv4(peer_r, &mapped);
        return;
    }
    peer_r->network[0] = 6;
    memcpy(peer_r->network + 1, address, PEER_NETWORK_SIZE - 1);
    peer_r->near = IN6_IS_ADDR_LOOPBACK(address);
    inet_ntop(AF_INET6, address, peer_r->text, sizeof(peer_r->text));
}

void peer_set(struct peer *peer_r, const struct sockaddr *address)
{
    memset(peer_r, 0, sizeof(*peer_r));
    if (address->sa_family == AF_INET)
        set_ipv4(peer_r, &((const struct sockaddr_in *)(const void *)address)->sin_addr);
    else if (address->sa_family == AF_INET6)
        set_ipv6(peer_r, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    else
        snprintf(peer_r->text, sizeof(peer_r->text), "unknown");
    peer_r->shared = peer_r->near;
}
