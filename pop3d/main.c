/*
 * pop3d: POP3 and TLS for thousands of sessions in one event loop. It opens nothing but sockets:
 * authd checks credentials, stored reads mail. Everything that a client sends is untrusted.
 */
#include <malloc.h>

#include "lib/child.h"
#include "lib/confine.h"
#include "pop3d/limits.h"
#include "pop3d/server.h"

static const struct confine_profile profile = {.calls = {.connects = true}};

int main(void)
{
    static struct child child;
    static struct server server;

    mallopt(M_TRIM_THRESHOLD, LIMIT_SPARE_MEMORY);
    mallopt(M_MMAP_THRESHOLD, LIMIT_SPARE_PIECE);
    child_init(&child, "pop3d");
    server_init(&server, &child);
    confine(&profile);
    child_run(&child);
    return 0;
}
