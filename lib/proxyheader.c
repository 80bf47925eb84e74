#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "lib/proxyheader.h"

/* --- version 1 */

static const char line_start[] = "PROXY ";

enum { LINE_FAMILY, LINE_SOURCE, LINE_DESTINATION, LINE_SOURCE_PORT, LINE_PORT, LINE_WORDS };

/* A decimal number up to 65535 without leading zeros. Returns -1 for anything else. */
static long parse_port(const char *text)
{
    size_t length = strspn(text, "0123456789");
    long port = 0;

    if (length == 0 || length > 5 || text[length] != '\0' || (text[0] == '0' && length > 1))
        return -1;
    for (size_t i = 0; i < length; i++)
        port = port * 10 + (text[i] - '0');
    return port <= UINT16_MAX ? port : -1;
}

static int parse_address(struct in6_addr *address_r, int family, const char *text)
{
    memset(address_r, 0, sizeof(*address_r));
    if (family == AF_INET6)
        return inet_pton(AF_INET6, text, address_r) == 1 ? 0 : -1;
    memset(&address_r->s6_addr[10], 0xff, 2);
    return inet_pton(AF_INET, text, &address_r->s6_addr[12]) == 1 ? 0 : -1;
}

/* Cuts the text at single spaces, in place. Returns -1 where there are not LINE_WORDS words. */
static int split(char *text, char *words_r[LINE_WORDS])
{
    for (int i = 0; i < LINE_WORDS; i++) {
        words_r[i] = strsep(&text, " ");
        if (words_r[i] == NULL)
            return -1;
    }
    return text == NULL ? 0 : -1;
}

/* What stands between "PROXY " and the CRLF. */
static enum proxyheader_state parse_line(struct proxyheader *header, char *text)
{
    static const char unknown[] = "UNKNOWN";
    char *words[LINE_WORDS];
    struct in6_addr destination;
    int family = AF_INET;

    if (strncmp(text, unknown, sizeof(unknown) - 1) == 0 &&
        (text[sizeof(unknown) - 1] == '\0' || text[sizeof(unknown) - 1] == ' '))
        return PROXYHEADER_OWN;
    if (split(text, words) < 0)
        return PROXYHEADER_WRONG;
    if (strcmp(words[LINE_FAMILY], "TCP6") == 0)
        family = AF_INET6;
    else if (strcmp(words[LINE_FAMILY], "TCP4") != 0)
        return PROXYHEADER_WRONG;
    long port = parse_port(words[LINE_SOURCE_PORT]);
    if (port < 0 || parse_port(words[LINE_PORT]) < 0 ||
        parse_address(&header->client.sin6_addr, family, words[LINE_SOURCE]) < 0)
        return PROXYHEADER_WRONG;
    /* nginx says TCP6 with its own IPv4 address when another proxy has told it of the client. */
    if (parse_address(&destination, AF_INET, words[LINE_DESTINATION]) < 0 &&
        parse_address(&destination, AF_INET6, words[LINE_DESTINATION]) < 0)
        return PROXYHEADER_WRONG;
    header->client.sin6_port = htons((uint16_t)port);
    return PROXYHEADER_CLIENT;
}

static enum proxyheader_state judge_line(struct proxyheader *header)
{
    char text[PROXYHEADER_LINE_MAX + 1];
    size_t start = sizeof(line_start) - 1;
    size_t length = header->length;

    if (header->octets[length - 1] == '\0')
        return PROXYHEADER_WRONG;
    if (header->octets[length - 1] != '\n')
        return length < PROXYHEADER_LINE_MAX ? PROXYHEADER_BEGUN : PROXYHEADER_WRONG;
    if (header->octets[length - 2] != '\r')
        return PROXYHEADER_WRONG;
    memcpy(text, header->octets + start, length - 2 - start);
    text[length - 2 - start] = '\0';
    return parse_line(header, text);
}

/* --- version 2 */

static const unsigned char signature[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                          0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* Signature, version and command, family and transport, length of what follows. */
#define HEAD_SIZE 16

#define COMMAND_LOCAL 0x20
#define COMMAND_PROXY 0x21

enum { FAMILY_UNSPECIFIED, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX, FAMILY__MAX };
enum { TRANSPORT_UNSPECIFIED, TRANSPORT_STREAM, TRANSPORT_DATAGRAM, TRANSPORT__MAX };

/* Octets of both addresses and ports. */
static const size_t address_sizes[FAMILY__MAX] = {0, 12, 36, 216};

#define TYPE_CRC32C 0x03
#define TYPE_SSL    0x20
#define CLIENT_SSL  0x01

static size_t number(const unsigned char *octets)
{
    return (size_t)octets[0] << 8 | octets[1];
}

/* CRC32c (RFC 4960 appendix B) of the header as if `hole`, four octets of it, were 0. */
static uint32_t checksum(const struct proxyheader *header, const unsigned char *hole)
{
    uint32_t sum = UINT32_MAX;

    for (size_t i = 0; i < header->length; i++) {
        const unsigned char *at = header->octets + i;
        sum ^= at >= hole && at < hole + sizeof(sum) ? 0 : *at;
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ ((sum & 1) != 0 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~sum;
}

/*
 * Sections 2.2.3 and 2.2.6: the two that matter to us. Returns -1 where one is wrong, or is a
 * second checksum: each costs a pass over the header, and there is room for hundreds.
 */
static int look_at(struct proxyheader *header, unsigned type, const unsigned char *value,
                   size_t length)
{
    uint32_t sum;

    if (type == TYPE_SSL) {
        header->secured = length > 0 && (value[0] & CLIENT_SSL) != 0;
        return length > 0 ? 0 : -1;
    }
    if (type != TYPE_CRC32C)
        return 0;
    if (length != sizeof(sum) || header->summed)
        return -1;
    header->summed = true;
    memcpy(&sum, value, sizeof(sum));
    return ntohl(sum) == checksum(header, value) ? 0 : -1;
}

/* What stands behind the addresses: type, length and value, again and again. */
static int look_at_all(struct proxyheader *header, size_t at)
{
    while (at < header->length) {
        const unsigned char *octets = header->octets + at;
        size_t left = header->length - at;
        if (left < 3 || left - 3 < number(octets + 1) ||
            look_at(header, octets[0], octets + 3, number(octets + 1)) < 0)
            return -1;
        at += 3 + number(octets + 1);
    }
    return 0;
}

static void set_client(struct proxyheader *header, unsigned family)
{
    struct in6_addr *address = &header->client.sin6_addr;
    const unsigned char *source = header->octets + HEAD_SIZE;

    if (family == FAMILY_INET6) {
        memcpy(address, source, sizeof(*address));
    } else {
        memset(&address->s6_addr[10], 0xff, 2);
        memcpy(&address->s6_addr[12], source, 4);
    }
    memcpy(&header->client.sin6_port, source + address_sizes[family] - 4, 2);
}

static enum proxyheader_state parse_binary(struct proxyheader *header)
{
    unsigned family = header->octets[13] >> 4;
    unsigned transport = header->octets[13] & 0x0f;

    if (header->octets[12] == COMMAND_LOCAL)
        return PROXYHEADER_OWN;
    if (family >= FAMILY__MAX || transport >= TRANSPORT__MAX ||
        header->length < HEAD_SIZE + address_sizes[family])
        return PROXYHEADER_WRONG;
    /* Without a family, nothing says where the addresses end. */
    if (family == FAMILY_UNSPECIFIED)
        return PROXYHEADER_OWN;
    if (look_at_all(header, HEAD_SIZE + address_sizes[family]) < 0)
        return PROXYHEADER_WRONG;
    if (family == FAMILY_UNIX || transport != TRANSPORT_STREAM)
        return PROXYHEADER_OWN;
    set_client(header, family);
    return PROXYHEADER_CLIENT;
}

static enum proxyheader_state judge_binary(struct proxyheader *header)
{
    if (header->length < HEAD_SIZE)
        return PROXYHEADER_BEGUN;
    size_t whole = HEAD_SIZE + number(header->octets + 14);
    if (whole > PROXYHEADER_MAX ||
        (header->octets[12] != COMMAND_LOCAL && header->octets[12] != COMMAND_PROXY))
        return PROXYHEADER_WRONG;
    return header->length < whole ? PROXYHEADER_BEGUN : parse_binary(header);
}

/* --- both */

static bool begins_with(const struct proxyheader *header, const void *start, size_t size)
{
    return memcmp(header->octets, start, header->length < size ? header->length : size) == 0;
}

static enum proxyheader_state judge(struct proxyheader *header)
{
    if (begins_with(header, signature, sizeof(signature)))
        return judge_binary(header);
    if (!begins_with(header, line_start, sizeof(line_start) - 1))
        return PROXYHEADER_WRONG;
    return header->length < sizeof(line_start) ? PROXYHEADER_BEGUN : judge_line(header);
}

/* One octet at a time: no octet of the client's may be taken, and the header tells its end late. */
size_t proxyheader_take(struct proxyheader *header, const void *octets, size_t length)
{
    size_t taken = 0;

    header->client.sin6_family = AF_INET6;
    while (taken < length && header->state == PROXYHEADER_BEGUN) {
        header->octets[header->length++] = ((const unsigned char *)octets)[taken++];
        header->state = judge(header);
    }
    return taken;
}
