#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/networks.h"

#define SEPARATORS ", \t"

/* Before the four octets of an IPv4 address. */
#define MAPPED_BITS 96

static void map(struct in6_addr *address_r, const void *ipv4)
{
    memset(address_r, 0, sizeof(*address_r));
    memset(&address_r->s6_addr[10], 0xff, 2);
    memcpy(&address_r->s6_addr[12], ipv4, sizeof(struct in_addr));
}

static unsigned bit_of(const struct in6_addr *address, unsigned bit)
{
    return (unsigned)address->s6_addr[bit / 8] >> (7 - bit % 8) & 1U;
}

/* Returns how many bits precede the address's own, or -1. */
static int parse_address(struct in6_addr *address_r, const char *word)
{
    struct in_addr ipv4;

    if (inet_pton(AF_INET6, word, address_r) == 1)
        return 0;
    if (inet_pton(AF_INET, word, &ipv4) != 1)
        return -1;
    map(address_r, &ipv4);
    return MAPPED_BITS;
}

int networks_parse_address(struct in6_addr *address_r, const char *text)
{
    return parse_address(address_r, text) < 0 ? -1 : 0;
}

/* One address or network; cuts `word` at its slash. */
static int add(struct networks *networks, char *word)
{
    char *slash = strchr(word, '/');
    struct in6_addr address;
    unsigned long bits = 128;

    if (slash != NULL)
        *slash = '\0';
    int before = parse_address(&address, word);
    if (before < 0 || networks->count == NETWORKS_MAX)
        return -1;
    if (slash != NULL) {
        size_t digits = strspn(slash + 1, "0123456789");
        if (digits == 0 || digits > 3 || slash[1 + digits] != '\0')
            return -1;
        bits = (unsigned long)before + strtoul(slash + 1, NULL, 10);
    }
    if (bits > 128)
        return -1;
    for (unsigned bit = (unsigned)bits; bit < 128; bit++)
        if (bit_of(&address, bit) != 0)
            return -1;
    networks->list[networks->count].address = address;
    networks->list[networks->count++].bits = (unsigned)bits;
    return 0;
}

int networks_parse(struct networks *networks_r, const char *text)
{
    char word[INET6_ADDRSTRLEN + sizeof("/128")];

    memset(networks_r, 0, sizeof(*networks_r));
    for (;;) {
        text += strspn(text, SEPARATORS);
        size_t length = strcspn(text, SEPARATORS);
        if (length == 0)
            return 0;
        if (length >= sizeof(word))
            return -1;
        memcpy(word, text, length);
        word[length] = '\0';
        if (add(networks_r, word) < 0)
            return -1;
        text += length;
    }
}

static bool is_within(const struct in6_addr *network, unsigned bits, const struct in6_addr *address)
{
    unsigned octets = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(network, address, octets) != 0)
        return false;
    return rest == 0 || (network->s6_addr[octets] ^ address->s6_addr[octets]) >> (8 - rest) == 0;
}

bool networks_hold_mapped(const struct networks *networks, const struct in6_addr *address)
{
    for (unsigned i = 0; i < networks->count; i++)
        if (is_within(&networks->list[i].address, networks->list[i].bits, address))
            return true;
    return false;
}

static bool holds_network(const struct networks *outer, const struct in6_addr *address,
                          unsigned bits)
{
    for (unsigned i = 0; i < outer->count; i++)
        if (outer->list[i].bits <= bits &&
            is_within(&outer->list[i].address, outer->list[i].bits, address))
            return true;
    return false;
}

bool networks_hold_all(const struct networks *outer, const struct networks *inner)
{
    for (unsigned i = 0; i < inner->count; i++)
        if (!holds_network(outer, &inner->list[i].address, inner->list[i].bits))
            return false;
    return true;
}

bool networks_hold(const struct networks *networks, const struct sockaddr *address)
{
    struct in6_addr wanted;

    if (address->sa_family == AF_INET)
        map(&wanted, &((const struct sockaddr_in *)(const void *)address)->sin_addr);
    else if (address->sa_family == AF_INET6)
        wanted = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    else
        return false;
    return networks_hold_mapped(networks, &wanted);
}

void networks_format(char text_r[NETWORKS_TEXT_SIZE], const struct in6_addr *address, unsigned bits)
{
    bool mapped = IN6_IS_ADDR_V4MAPPED(address) && bits >= MAPPED_BITS;
    char word[INET6_ADDRSTRLEN];

    if (mapped)
        inet_ntop(AF_INET, &address->s6_addr[12], word, sizeof(word));
    else
        inet_ntop(AF_INET6, address, word, sizeof(word));
    if (bits == 128)
        snprintf(text_r, NETWORKS_TEXT_SIZE, "%s", word);
    else
        snprintf(text_r, NETWORKS_TEXT_SIZE, "%s/%u", word, mapped ? bits - MAPPED_BITS : bits);
}
