#ifndef LIB_NETWORKS_H
#define LIB_NETWORKS_H

#include <netinet/in.h>
#include <stdbool.h>

/*
 * A list of addresses and networks: "192.0.2.1 10.0.0.0/8 2001:db8::/32", between them spaces or
 * commas. An empty one holds nobody.
 */

#define NETWORKS_MAX 32

struct networks {
    unsigned count;
    struct {
        struct in6_addr address; /* IPv4 as ::ffff:192.0.2.1 */
        unsigned bits;
    } list[NETWORKS_MAX];
};

/* What one of them is, in a sentence that refuses what is none. */
#define NETWORKS_ONE                                                                               \
    "address or network, as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/48 is, whose bits behind the "   \
    "length are 0"

/* Returns 0, or -1 for what is no such list or has bits set behind a network's length. */
int networks_parse(struct networks *networks_r, const char *text);

bool networks_hold(const struct networks *networks, const struct sockaddr *address);

/* The same; an IPv4 address is given as ::ffff:192.0.2.1. */
bool networks_hold_mapped(const struct networks *networks, const struct in6_addr *address);

/* Whether each network of `inner` lies within one of `outer`. */
bool networks_hold_all(const struct networks *outer, const struct networks *inner);

/* One address, IPv4 as above. Returns 0, or -1 for what is none. */
int networks_parse_address(struct in6_addr *address_r, const char *text);

/* With "/128" and its NUL. */
#define NETWORKS_TEXT_SIZE (INET6_ADDRSTRLEN + 4)

/* The one way to write a network: without a length where it is one address. */
void networks_format(char text_r[NETWORKS_TEXT_SIZE], const struct in6_addr *address,
                     unsigned bits);

#endif
