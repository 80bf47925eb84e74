/*
 * Deliveries: MAIL, RCPT and DATA in one write, then the message, then the next one after its 250.
 * An operation is one message to one recipient; recipients take turns.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/xalloc.h"
#include "tests/bench/mode.h"

/* The reply that is awaited. */
enum lmtp_state { LMTP_GREETING, LMTP_LHLO, LMTP_MAIL, LMTP_RCPT, LMTP_DATA, LMTP_END, LMTP_QUIT };

static const char *const lmtp_codes[] = {"220", "250", "250", "250", "354", "250", "221"};

struct lmtp {
    struct client client;
    enum lmtp_state state;
    uint64_t started;
    char *message; /* with the final dot */
    size_t length;
    bool takes_size; /* LHLO offers SIZE (RFC 1870), without which MAIL may not name it */
};

#define NUMBER_FORMAT "Subject: load %020" PRIu64 "\r\n"
#define NUMBER_LENGTH (sizeof("Subject: load \r\n") - 1 + 20)

/* Lines of text without a dot at their beginning, `size` octets in all. */
static void make_message(struct lmtp *lmtp, size_t size)
{
    static const char header[] = "From: Load <load@bench.example>\r\nTo: you\r\n\r\n";
    static const char line[] =
        "A line of an ordinary message: the linen cart stops at every open door.....\r\n";
    size_t at = NUMBER_LENGTH;

    lmtp->length = size + 3;
    lmtp->message = xmalloc(lmtp->length + 1);
    memcpy(lmtp->message + at, header, strlen(header));
    for (at += strlen(header); at < size; at++)
        lmtp->message[at] = line[(at - NUMBER_LENGTH - strlen(header)) % strlen(line)];
    /* No CR may stand alone, whatever the size is. */
    memcpy(lmtp->message + size - 4, "xx\r\n", 4);
    memcpy(lmtp->message + size, ".\r\n", 4);
}

static void begin(struct lmtp *lmtp)
{
    struct run *run = lmtp->client.run;
    char number[NUMBER_LENGTH + 1];

    if (!run_take(run)) {
        lmtp->state = LMTP_QUIT;
        client_send(&lmtp->client, "QUIT\r\n");
        return;
    }
    lmtp->state = LMTP_MAIL;
    lmtp->started = latency_now();
    snprintf(number, sizeof(number), NUMBER_FORMAT, run->begun);
    memcpy(lmtp->message, number, NUMBER_LENGTH);
    char parameter[32] = "";
    if (lmtp->takes_size)
        snprintf(parameter, sizeof(parameter), " SIZE=%zu", lmtp->length - 3);
    client_send(&lmtp->client, "MAIL FROM:<load@bench.example>%s\r\nRCPT TO:<%s>\r\nDATA\r\n",
                parameter, run->accounts[run->begun % run->account_count].address);
}

static void advance(struct lmtp *lmtp)
{
    switch (lmtp->state) {
    case LMTP_GREETING:
        client_send(&lmtp->client, "LHLO bench.example\r\n");
        lmtp->state = LMTP_LHLO;
        break;
    case LMTP_LHLO: begin(lmtp); break;
    case LMTP_MAIL: lmtp->state = LMTP_RCPT; break;
    case LMTP_RCPT: lmtp->state = LMTP_DATA; break;
    case LMTP_DATA:
        connection_send(&lmtp->client.connection, lmtp->message, lmtp->length);
        lmtp->state = LMTP_END;
        break;
    case LMTP_END:
        run_done(lmtp->client.run, lmtp->started);
        begin(lmtp);
        break;
    case LMTP_QUIT: client_finish(&lmtp->client); break;
    }
}

static size_t lmtp_input(struct client *client, const char *data, size_t length)
{
    struct lmtp *lmtp = (struct lmtp *)client;

    const char *newline = memchr(data, '\n', length);
    if (newline == NULL)
        return 0;
    size_t used = (size_t)(newline - data) + 1;
    if (used < 6 || memcmp(data, lmtp_codes[lmtp->state], 3) != 0)
        client_wrong(client, lmtp_codes[lmtp->state], data, used);
    if (lmtp->state == LMTP_LHLO && strncasecmp(data + 4, "SIZE", 4) == 0)
        lmtp->takes_size = true;
    if (data[3] != '-')
        advance(lmtp);
    return used;
}

static bool lmtp_begin(struct client *client)
{
    make_message((struct lmtp *)client, client->run->options->size);
    return true;
}

static void lmtp_end(struct client *client)
{
    free(((struct lmtp *)client)->message);
}

const struct mode mode_lmtp = {
    .name = "lmtp",
    .help = "deliver messages, each acknowledged before the next",
    .plain = true,
    .client_size = sizeof(struct lmtp),
    .begin = lmtp_begin,
    .input = lmtp_input,
    .end = lmtp_end,
};
