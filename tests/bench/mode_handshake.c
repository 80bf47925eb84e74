/*
 * Handshakes of TLS and nothing else, to know what OpenSSL alone reaches: for openssl s_server
 * -rev, which ends a session at CLOSE, and for POP3 servers, which do at QUIT. An operation is one
 * connection, from connect() until the server has closed it.
 */
#include <string.h>

#include "tests/bench/mode.h"

struct handshake {
    struct client client;
    uint64_t started;
    bool shaken;
};

static bool handshake_begin(struct client *client)
{
    struct handshake *handshake = (struct handshake *)client;

    handshake->shaken = false;
    handshake->started = latency_now();
    return run_take(client->run);
}

static void handshake_shaken(struct client *client)
{
    ((struct handshake *)client)->shaken = true;
    client_send(client, "CLOSE\r\nQUIT\r\n");
}

static size_t handshake_input(struct client *client, const char *data, size_t length)
{
    (void)client;
    (void)data;
    return length;
}

static void handshake_closed(struct client *client)
{
    const struct handshake *handshake = (const struct handshake *)client;

    if (!handshake->shaken)
        client_wrong(client, "a handshake", "(closed)", strlen("(closed)"));
    run_done(client->run, handshake->started);
    client_open(client);
}

const struct mode mode_handshake = {
    .name = "handshake",
    .help = "connect, handshake of TLS, close; also for openssl s_server -rev",
    .client_size = sizeof(struct handshake),
    .begin = handshake_begin,
    .shaken = handshake_shaken,
    .input = handshake_input,
    .closed = handshake_closed,
};
