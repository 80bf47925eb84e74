#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "pop3d/admission.h"
#include "pop3d/number.h"
#include "pop3d/xclient.h"

static int set_address(struct peer *peer_r, const char *text)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
        peer_set(peer_r, (const struct sockaddr *)&ipv4);
    else if (inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1)
        peer_set(peer_r, (const struct sockaddr *)&ipv6);
    else
        return -1;
    return 0;
}

static bool is_port(const char *text)
{
    uint64_t port;

    return number_parse(&port, text) == 0 && port > 0 && port <= UINT16_MAX;
}

/* Sets what is named. Returns -1 for something that is no address, or no port. */
static int parse(struct peer *peer, char *text)
{
    const char *field;

    while ((field = strsep(&text, " ")) != NULL) {
        if (strncasecmp(field, "ADDR=", 5) == 0 && set_address(peer, field + 5) < 0)
            return -1;
        if (strncasecmp(field, "PORT=", 5) == 0 && !is_port(field + 5))
            return -1;
    }
    return 0;
}

/* How the client reaches the one that speaks for it is not ours to judge: the way from there is. */
enum reply xclient_command(struct session *session, const struct words *words)
{
    struct peer peer = session->peer;

    if (parse(&peer, words->arguments[0]) < 0)
        return REPLY_ARGUMENTS;
    peer.near = session->peer.near;
    peer.names = false;
    return admission_rename(session, &peer);
}
