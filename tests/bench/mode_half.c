/*
 * Handshakes of TLS that stay half open: a ClientHello, every second time only the first half of
 * it, and then nothing. Who is hung up on comes again, until standard input closes or the time is
 * over. An operation is one connection.
 */
#include "tests/bench/hold.h"
#include "tests/bench/mode.h"

struct half {
    struct client client;
    uint64_t started;
    bool ready;
};

static bool half_begin(struct client *client)
{
    ((struct half *)client)->started = latency_now();
    return run_take(client->run);
}

static void note_ready(struct half *half)
{
    if (!half->ready)
        client_ready(&half->client);
    half->ready = true;
}

static void half_opened(struct client *client)
{
    static unsigned char hello[TLS_HELLO_MAX];
    static size_t length;

    if (length == 0)
        length = tls_hello(hello);
    if (client->number % 2 == 0) {
        connection_send(&client->connection, hello, length);
        return;
    }
    connection_send(&client->connection, hello, length / 2);
    note_ready((struct half *)client);
}

/* What the server says to the hello, which nobody answers. */
static size_t half_input(struct client *client, const char *data, size_t length)
{
    (void)data;
    note_ready((struct half *)client);
    return length;
}

static void half_closed(struct client *client)
{
    run_done(client->run, ((const struct half *)client)->started);
    note_ready((struct half *)client);
    client_open(client);
}

static void leave(struct client *client)
{
    run_done(client->run, ((const struct half *)client)->started);
    client_finish(client);
}

static void half_turn(struct run *run)
{
    hold_turn(run, leave);
}

const struct mode mode_half = {
    .name = "half",
    .help = "half of a handshake of TLS, and nothing until standard input closes",
    .plain = true,
    .whole = true,
    .opening = 64,
    .client_size = sizeof(struct half),
    .begin = half_begin,
    .opened = half_opened,
    .input = half_input,
    .closed = half_closed,
    .turn = half_turn,
};
