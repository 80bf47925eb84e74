#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/log.h"
#include "tests/bench/bare.h"

void bare_check(bool good, const char *what)
{
    if (!good)
        log_fatal("%s: %s", what, strerror(errno));
}

int bare_listen(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bare_check(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0 &&
                   listen(fd, SOMAXCONN) == 0 &&
                   getsockname(fd, (struct sockaddr *)&address, &length) == 0,
               "a port");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int bare_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int on = 1;

    bare_check(fd >= 0, "accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}
