/*
 * What a mail program does that leaves nothing on the server: connect, USER, PASS, LIST, then RETR
 * and DELE of each message, one after the other, QUIT; each user of the file once. An operation is
 * one message, from RETR to the answer to DELE; the time of the run ends with the answer to the
 * last QUIT, which is what makes the mail go.
 */
#include <stdlib.h>

#include "tests/bench/mode.h"
#include "tests/bench/pop3.h"

enum fetch_state { FETCH_LIST, FETCH_STATUS, FETCH_BODY, FETCH_DELE, FETCH_QUIT, FETCH_LEFT };

struct fetch {
    struct client client;
    enum pop3_login login;
    enum fetch_state state;
    struct pop3_sizes sizes;
    unsigned message; /* from 0 */
    uint64_t left;    /* as of pop3_body() */
    uint64_t started;
};

static bool fetch_begin(struct client *client)
{
    struct fetch *fetch = (struct fetch *)client;

    fetch->login = POP3_GREETING;
    fetch->state = FETCH_LIST;
    fetch->message = 0;
    return run_next_account(client);
}

static void next(struct fetch *fetch)
{
    if (fetch->message == fetch->sizes.count || !run_take(fetch->client.run)) {
        client_send(&fetch->client, "QUIT\r\n");
        fetch->state = FETCH_QUIT;
        return;
    }
    fetch->started = latency_now();
    fetch->left = fetch->sizes.octets[fetch->message++] + POP3_DOT_LENGTH;
    client_send(&fetch->client, "RETR %u\r\n", fetch->message);
    fetch->state = FETCH_STATUS;
}

static void advance(struct fetch *fetch, const char *data, size_t length)
{
    switch (fetch->state) {
    case FETCH_LIST:
        pop3_read_list(&fetch->client, &fetch->sizes, data, length);
        next(fetch);
        break;
    case FETCH_STATUS: fetch->state = FETCH_BODY; break;
    case FETCH_BODY:
        client_send(&fetch->client, "DELE %u\r\n", fetch->message);
        fetch->state = FETCH_DELE;
        break;
    case FETCH_DELE:
        run_done(fetch->client.run, fetch->started);
        next(fetch);
        break;
    case FETCH_QUIT:
        fetch->client.run->last = latency_now();
        fetch->state = FETCH_LEFT;
        break;
    case FETCH_LEFT: client_wrong(&fetch->client, "nothing after QUIT", data, length);
    }
}

static size_t fetch_input(struct client *client, const char *data, size_t length)
{
    struct fetch *fetch = (struct fetch *)client;
    size_t used;

    if (fetch->login != POP3_IN) {
        used = pop3_login_input(client, &fetch->login, data, length);
        if (fetch->login == POP3_IN)
            client_send(client, "LIST\r\n");
        return used;
    }
    if (fetch->state == FETCH_BODY) {
        used = pop3_body(client, &fetch->left, data, length);
        if (fetch->left > 0)
            return used;
    } else {
        used = pop3_reply(client, data, length, fetch->state == FETCH_LIST);
    }
    if (used > 0)
        advance(fetch, data, used);
    return used;
}

static void fetch_closed(struct client *client)
{
    pop3_closed(client, ((const struct fetch *)client)->state == FETCH_LEFT);
}

static void fetch_end(struct client *client)
{
    free(((struct fetch *)client)->sizes.octets);
}

const struct mode mode_fetch = {
    .name = "fetch",
    .help = "RETR and DELE of every message, of each user of the file once",
    .whole = true,
    .client_size = sizeof(struct fetch),
    .begin = fetch_begin,
    .input = fetch_input,
    .closed = fetch_closed,
    .end = fetch_end,
};
