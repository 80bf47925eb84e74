#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/listen.h"
#include "lib/owner.h"

/* The kernel cuts this to net.core.somaxconn. A restart of the accepting program must fit in. */
#define LISTEN_BACKLOG 4096

/* Longer than any numeric address with its scope. */
#define HOST_SIZE 64

static const char wrong_form[] =
    "write ADDRESS:PORT, for example 127.0.0.1:110, [::1]:110 or *:110";
static const char wrong_port[] = "the port after the last colon is a number from 1 to 65535";

static int parse_port(const char *text, in_port_t *port_r)
{
    unsigned port = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        port = port * 10 + (unsigned)(*at - '0');
        if (port > UINT16_MAX)
            return -1;
    }
    if (port == 0)
        return -1;
    *port_r = htons((uint16_t)port);
    return 0;
}

static void add_ipv4(struct listen_address *address, struct in_addr host, in_port_t port)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = port, .sin_addr = host};

    memcpy(&address->addresses[address->count++], &ipv4, sizeof(ipv4));
}

static void add_ipv6(struct listen_address *address, struct in6_addr host, uint32_t scope,
                     in_port_t port)
{
    struct sockaddr_in6 ipv6 = {
        .sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = host, .sin6_scope_id = scope};

    memcpy(&address->addresses[address->count++], &ipv6, sizeof(ipv6));
}

/* getaddrinfo() and not inet_pton(), for the sake of the scope of a link-local address. */
static int parse_ipv6(struct listen_address *address_r, const char *host, in_port_t port)
{
    struct addrinfo hints = {
        .ai_family = AF_INET6, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;

    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return -1;
    struct sockaddr_in6 ipv6;
    memcpy(&ipv6, found->ai_addr, sizeof(ipv6));
    freeaddrinfo(found);
    add_ipv6(address_r, ipv6.sin6_addr, ipv6.sin6_scope_id, port);
    return 0;
}

static int parse_host(struct listen_address *address_r, char *host, in_port_t port)
{
    struct in_addr ipv4 = {.s_addr = htonl(INADDR_ANY)};
    size_t length = strlen(host);

    if (strcmp(host, "*") == 0) {
        add_ipv6(address_r, in6addr_any, 0, port);
        add_ipv4(address_r, ipv4, port);
        return 0;
    }
    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        return parse_ipv6(address_r, host + 1, port);
    }
    if (inet_pton(AF_INET, host, &ipv4) != 1)
        return -1;
    add_ipv4(address_r, ipv4, port);
    return 0;
}

int listen_parse(struct listen_address *address_r, const char *text, const char **error_r)
{
    char host[HOST_SIZE];
    in_port_t port;

    memset(address_r, 0, sizeof(*address_r));
    *error_r = wrong_form;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return -1;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (parse_port(colon + 1, &port) < 0) {
        /* "::1" is an address that lacks its brackets, not a wrong port. */
        if (host[0] != '\0' && (strchr(host, ':') == NULL || host[0] == '['))
            *error_r = wrong_port;
        return -1;
    }
    return parse_host(address_r, host, port);
}

static socklen_t address_size(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

/* Closes without losing the reason for it. */
static int give_up(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

static int open_one(const struct sockaddr_storage *address)
{
    const int on = 1;

    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Accepted connections inherit TCP_NODELAY: every answer here is one write. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        (address->ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
        bind(fd, (const struct sockaddr *)address, address_size(address)) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0)
        return give_up(fd);
    return fd;
}

/* Whether the machine lacks the whole family, as with IPv6 switched off. */
static bool family_missing(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

int listen_tcp(const struct listen_address *address, int fds_r[LISTEN_SOCKETS_MAX])
{
    int count = 0;

    errno = EINVAL;
    for (unsigned i = 0; i < address->count; i++) {
        int fd = open_one(&address->addresses[i]);
        if (fd >= 0) {
            fds_r[count++] = fd;
        } else if (!family_missing(errno)) {
            while (count > 0)
                give_up(fds_r[--count]);
            return -1;
        }
    }
    return count > 0 ? count : -1;
}

/* Takes a stale socket away, and nothing that somebody else put there. */
static int remove_stale(const char *path)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISSOCK(status.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    return unlink(path);
}

static int bind_unix(const char *path, mode_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (remove_stale(path) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Nobody gets in between bind() and chmod(), for it does not listen yet. */
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, mode) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0)
        return give_up(fd);
    return fd;
}

int listen_unix(const char *path, mode_t mode)
{
    owner_begin();
    int fd = bind_unix(path, mode);
    owner_end();
    return fd;
}
