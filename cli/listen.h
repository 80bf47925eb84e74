#ifndef CLI_LISTEN_H
#define CLI_LISTEN_H

#include <sys/socket.h>
#include <sys/types.h>

/* Listening sockets, from the text of a *_listen setting or the path of a Unix socket. */

/* "*" is two sockets, one for each family, so that a program sees IPv4 peers as IPv4. */
#define LISTEN_SOCKETS_MAX 2

struct listen_address {
    unsigned count;
    struct sockaddr_storage addresses[LISTEN_SOCKETS_MAX];
};

/*
 * Parses ADDRESS:PORT, where ADDRESS is an IPv4 address, an IPv6 address in brackets (a scope like
 * %eth0 may follow it), or "*" for every address of both families. Names are not resolved. Returns
 * 0, or -1 with a sentence in *error_r (static text) that says what to write.
 */
int listen_parse(struct listen_address *address_r, const char *text, const char **error_r);

/*
 * Opens the sockets (non-blocking, close-on-exec, listening). Of "*" one family may be missing on
 * this machine. Returns how many, at least 1, or -1 (errno) with none left open.
 */
int listen_tcp(const struct listen_address *address, int fds_r[LISTEN_SOCKETS_MAX]);

/*
 * Opens a listening Unix socket with these permissions; a socket that is there already is replaced,
 * any other kind of file is not (EEXIST). Returns the descriptor, or -1 (errno).
 */
int listen_unix(const char *path, mode_t mode);

#endif
