/*
 * Deliveries, pipelined as far as RFC 2920 section 3.1 goes: a message leaves in one group with the
 * next one's MAIL, RCPT and DATA, and the next message when each recipient of the one before has
 * its 250 (RFC 2033). An operation is one message to one recipient, whose latency is from the last
 * reply to the message before to its own; recipients take turns.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/mode.h"

/* The reply that is awaited. */
enum lmtp_state { LMTP_GREETING, LMTP_LHLO, LMTP_MAIL, LMTP_RCPT, LMTP_DATA, LMTP_END, LMTP_QUIT };

static const char *const lmtp_codes[] = {"220", "250", "250", "250", "354", "250", "221"};

struct lmtp {
    struct client client;
    enum lmtp_state state;
    uint64_t started;
    unsigned recipients; /* of the message whose replies are awaited */
    unsigned ahead;      /* of the next one, whose commands are sent; 0: they are not */
    unsigned answered;   /* recipients, since the state was entered */
    uint64_t number;     /* of the last message whose commands are sent */
    char *message;       /* with the final dot */
    size_t length;
    char *envelope; /* right behind the message: room for the commands */
    size_t room;
    bool takes_size; /* LHLO offers SIZE (RFC 1870), without which MAIL may not name it */
};

#define NUMBER_FORMAT "Subject: load %020" PRIu64 "\r\n"
#define NUMBER_LENGTH (sizeof("Subject: load \r\n") - 1 + 20)

/* Lines of text without a dot at their beginning, `size` octets in all; and room behind them. */
static void make_message(struct lmtp *lmtp, size_t size)
{
    static const char header[] = "From: Load <load@bench.example>\r\nTo: you\r\n\r\n";
    static const char line[] =
        "A line of an ordinary message: the linen cart stops at every open door.....\r\n";
    size_t at = NUMBER_LENGTH;

    lmtp->length = size + 3;
    lmtp->message = xmalloc(lmtp->length + lmtp->room);
    lmtp->envelope = lmtp->message + lmtp->length;
    memcpy(lmtp->message + at, header, strlen(header));
    for (at += strlen(header); at < size; at++)
        lmtp->message[at] = line[(at - NUMBER_LENGTH - strlen(header)) % strlen(line)];
    /* No CR may stand alone, whatever the size is. */
    memcpy(lmtp->message + size - 4, "xx\r\n", 4);
    memcpy(lmtp->message + size, ".\r\n", 4);
}

#define MAIL_LENGTH sizeof("MAIL FROM:<load@bench.example> SIZE=18446744073709551615\r\nDATA\r\n")
#define RCPT_LENGTH (sizeof("RCPT TO:<>\r\n") - 1)

static void measure_room(struct lmtp *lmtp)
{
    const struct run *run = lmtp->client.run;
    size_t longest = 0;

    if (run->options->recipients > run->account_count)
        log_fatal("%u recipients need as many mailboxes, and %s holds %zu",
                  run->options->recipients, run->options->users, run->account_count);
    for (size_t i = 0; i < run->account_count; i++)
        if (strlen(run->accounts[i].address) > longest)
            longest = strlen(run->accounts[i].address);
    lmtp->room = MAIL_LENGTH + run->options->recipients * (RCPT_LENGTH + longest);
}

/* The next message's commands, for as many recipients as there are operations left; their length.
 */
static size_t make_envelope(struct lmtp *lmtp)
{
    struct run *run = lmtp->client.run;
    char *at = lmtp->envelope;
    const char *end = at + lmtp->room;

    lmtp->ahead = 0;
    if (!run_take(run))
        return 0;
    lmtp->number = run->begun;
    at += snprintf(at, (size_t)(end - at), "MAIL FROM:<load@bench.example>");
    if (lmtp->takes_size)
        at += snprintf(at, (size_t)(end - at), " SIZE=%zu", lmtp->length - 3);
    at += snprintf(at, (size_t)(end - at), "\r\n");
    do {
        at += snprintf(at, (size_t)(end - at), "RCPT TO:<%s>\r\n",
                       run->accounts[run->begun % run->account_count].address);
        lmtp->ahead++;
    } while (lmtp->ahead < run->options->recipients && run_take(run));
    at += snprintf(at, (size_t)(end - at), "DATA\r\n");
    return (size_t)(at - lmtp->envelope);
}

/* The message whose commands are sent comes next. */
static void begin(struct lmtp *lmtp)
{
    if (lmtp->ahead == 0) {
        lmtp->state = LMTP_QUIT;
        client_send(&lmtp->client, "QUIT\r\n");
        return;
    }
    lmtp->state = LMTP_MAIL;
    lmtp->started = latency_now();
    lmtp->recipients = lmtp->ahead;
    lmtp->answered = 0;
}

static void send_message(struct lmtp *lmtp)
{
    char number[NUMBER_LENGTH + 1];

    snprintf(number, sizeof(number), NUMBER_FORMAT, lmtp->number);
    memcpy(lmtp->message, number, NUMBER_LENGTH);
    size_t commands = make_envelope(lmtp);
    connection_send(&lmtp->client.connection, lmtp->message, lmtp->length + commands);
}

/* Each recipient is answered: after its RCPT, and once more after the message. */
static bool all_answered(struct lmtp *lmtp)
{
    if (++lmtp->answered < lmtp->recipients)
        return false;
    lmtp->answered = 0;
    return true;
}

static void advance(struct lmtp *lmtp)
{
    switch (lmtp->state) {
    case LMTP_GREETING:
        client_send(&lmtp->client, "LHLO bench.example\r\n");
        lmtp->state = LMTP_LHLO;
        break;
    case LMTP_LHLO:
        connection_send(&lmtp->client.connection, lmtp->envelope, make_envelope(lmtp));
        begin(lmtp);
        break;
    case LMTP_MAIL: lmtp->state = LMTP_RCPT; break;
    case LMTP_RCPT:
        if (all_answered(lmtp))
            lmtp->state = LMTP_DATA;
        break;
    case LMTP_DATA:
        send_message(lmtp);
        lmtp->state = LMTP_END;
        break;
    case LMTP_END:
        run_done(lmtp->client.run, lmtp->started);
        if (all_answered(lmtp))
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
    struct lmtp *lmtp = (struct lmtp *)client;

    measure_room(lmtp);
    make_message(lmtp, client->run->options->size);
    return true;
}

static void lmtp_end(struct client *client)
{
    struct lmtp *lmtp = (struct lmtp *)client;

    free(lmtp->message);
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
