#include <netinet/in.h>
#include <string.h>

#include "fetchd/destination.h"
#include "lib/log.h"
#include "lib/networks.h"

/* Of IPv4, what is not one host of the Internet's (RFC 6890 and its registry). */
static const char special_ipv4[] =
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 "
    "192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 "
    "198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3";

/* Of IPv6, all that is given out to hosts (RFC 4291 section 2.4), */
static const char unicast_ipv6[] = "2000::/3";

/* but for what is special in it, or only another way to write an address of IPv4: Teredo, 6to4. */
static const char special_ipv6[] = "2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20";

/* Behind which the rest is an address of IPv4 (RFC 6052), where a network has no other way. */
static const char translated_ipv6[] = "64:ff9b::/96";

static struct networks special4, unicast6, special6, translated6;

static void parse(struct networks *networks_r, const char *text)
{
    if (networks_parse(networks_r, text) < 0)
        log_panic("\"%s\" is no list of networks", text);
}

void destination_init(void)
{
    parse(&special4, special_ipv4);
    parse(&unicast6, unicast_ipv6);
    parse(&special6, special_ipv6);
    parse(&translated6, translated_ipv6);
}

static struct in6_addr map(const void *ipv4)
{
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    memcpy(mapped.s6_addr + 12, ipv4, 4);
    return mapped;
}

static bool is_public(const struct in6_addr *address)
{
    if (networks_hold_mapped(&translated6, address)) {
        const struct in6_addr behind = map(address->s6_addr + 12);
        return !networks_hold_mapped(&special4, &behind);
    }
    if (IN6_IS_ADDR_V4MAPPED(address))
        return !networks_hold_mapped(&special4, address);
    return networks_hold_mapped(&unicast6, address) && !networks_hold_mapped(&special6, address);
}

bool destination_is_allowed(const struct networks *listed, const struct sockaddr *address,
                            bool encrypted)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    if (address->sa_family == AF_INET) {
        memcpy(&ipv4, address, sizeof(ipv4));
        ipv6.sin6_addr = map(&ipv4.sin_addr);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&ipv6, address, sizeof(ipv6));
    } else {
        return false;
    }
    if (networks_hold_mapped(listed, &ipv6.sin6_addr))
        return true;
    return encrypted && is_public(&ipv6.sin6_addr);
}
