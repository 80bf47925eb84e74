/*
 * Sessions against a database and a store that are faked here: lookup_route() and store_link_*()
 * of this file take the place of the true ones when the program is linked.
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/route.h"
#include "lib/conf.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "lmtpd/lookup.h"
#include "lmtpd/session.h"
#include "lmtpd/usage.h"
#include "lmtpd/warner.h"

/* --- the database */

static const struct route_row {
    const char *address;
    enum db_result result;
    struct db_route routes[3];
} route_rows[] = {
    {"ann@a.example", DB_OK, {{1, 100000, 10, 50000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"bob@b.example", DB_OK, {{2, 900000, 10, 80000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"postmaster@mx.example", DB_OK, {{1, 100000, 10, 50000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"full@a.example", DB_OK, {{3, 1000, 10, 50000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"many@a.example", DB_OK, {{4, 100000, 2, 50000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"off@b.example", DB_OK, {{5, 100000, 10, 50000, true, DB_SUSPENDED_AS_CONFIGURED}}},
    {"small@b.example", DB_OK, {{6, 100000, 10, 200, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"tiny@b.example", DB_OK, {{7, 100000, 10, 100, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"late@b.example", DB_OK, {{8, 100000, 10, 50000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"big@b.example", DB_OK, {{9, 9000000, 10, 9000000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"wide@b.example", DB_OK, {{10, 900000000, 10, 900000000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"team@a.example",
     DB_OK,
     {{1, 100000, 10, 50000, false, DB_SUSPENDED_AS_CONFIGURED},
      {2, 900000, 10, 80000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"mixed@a.example",
     DB_OK,
     {{1, 100000, 10, 50000, false, DB_SUSPENDED_AS_CONFIGURED},
      {3, 1000, 10, 50000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"part@a.example",
     DB_OK,
     {{7, 100000, 10, 100, false, DB_SUSPENDED_AS_CONFIGURED},
      {2, 900000, 10, 80000, false, DB_SUSPENDED_AS_CONFIGURED}}},
    {"kept@b.example", DB_OK, {{11, 100000, 10, 50000, true, DB_SUSPENDED_KEEP}}},
    {"deferred@b.example", DB_OK, {{12, 100000, 10, 50000, true, DB_SUSPENDED_DEFER}}},
    {"refused@b.example", DB_OK, {{13, 100000, 10, 50000, true, DB_SUSPENDED_REFUSE}}},
    {"wait@a.example", DB_BUSY, {{0}}},
    {"torn@a.example", DB_BROKEN, {{0}}},
};

enum db_result lookup_route(struct lookup *lookup, const struct address *address,
                            struct db_route routes_r[DB_ROUTE_MAX], unsigned *count_r)
{
    (void)lookup;
    for (size_t i = 0; i < sizeof(route_rows) / sizeof(route_rows[0]); i++) {
        if (strcmp(route_rows[i].address, address->text) != 0)
            continue;
        for (*count_r = 0; *count_r < 3 && route_rows[i].routes[*count_r].mailbox != 0; ++*count_r)
            routes_r[*count_r] = route_rows[i].routes[*count_r];
        return route_rows[i].result;
    }
    return DB_NONE;
}

static enum db_result owner_result; /* of db_owner_find() */

enum db_result db_owner_find(struct db *db, uint64_t mailbox, struct db_owner *owner_r)
{
    (void)db;
    memset(owner_r, 0, sizeof(*owner_r));
    snprintf(owner_r->address.text, sizeof(owner_r->address.text), "own%u@a.example",
             (unsigned)mailbox);
    snprintf(owner_r->address.domain, sizeof(owner_r->address.domain), "a.example");
    owner_r->language = LANGUAGE_IT;
    return owner_result;
}

/* --- the store */

#define DELIVERIES_MAX 8
#define MAILBOXES_MAX  16

struct fake_delivery {
    uint32_t id;
    uint32_t count;
    uint64_t size;
    struct store_recipient recipients[MAILBOXES_MAX];
    char *body;
    size_t length;
    struct store_deliver_commit commit;
    bool committed;
    bool aborted;
};

static struct store_link {
    bool down;
    bool full;
    uint32_t last_id;
    struct store_call *calls; /* begun, oldest first by hash order */
    struct store_waiter *waiter;
    struct {
        uint32_t id;
        uint64_t mailbox;
    } asked[32];
    unsigned asked_count;
    struct fake_delivery deliveries[DELIVERIES_MAX];
    unsigned delivery_count;
    enum store_result results[MAILBOXES_MAX]; /* by mailbox id */
    uint8_t crossed[MAILBOXES_MAX];           /* the same */
} store;

int store_link_call(struct store_link *link, struct store_call *call,
                    int (*answer)(struct store_call *call, const struct channel_message *message))
{
    if (link->down)
        return -1;
    call->id = ++link->last_id;
    call->answer = answer;
    HASH_ADD(hh, link->calls, id, sizeof(call->id), call);
    return 0;
}

static struct fake_delivery *find_delivery(const struct store_call *call)
{
    for (unsigned i = 0; i < store.delivery_count; i++)
        if (store.deliveries[i].id == call->id && !store.deliveries[i].committed &&
            !store.deliveries[i].aborted)
            return &store.deliveries[i];
    return NULL;
}

static void fake_begin(const struct store_call *call, const struct store_deliver_begin *begin,
                       const struct store_recipient *recipients)
{
    assert_true(store.delivery_count < DELIVERIES_MAX);
    if (begin == NULL || recipients == NULL) {
        fail();
        return;
    }
    struct fake_delivery *delivery = &store.deliveries[store.delivery_count++];
    delivery->id = call->id;
    delivery->count = begin->count;
    delivery->size = begin->size;
    assert_in_range(begin->count, 1, MAILBOXES_MAX);
    memcpy(delivery->recipients, recipients, begin->count * sizeof(*recipients));
}

void store_link_send(struct store_link *link, const struct store_call *call, enum store_type type,
                     const void *fixed, size_t fixed_length, const void *rest, size_t rest_length)
{
    struct fake_delivery *delivery = find_delivery(call);

    assert_true(call->id != 0 || link->down);
    if (link->down)
        return;
    switch (type) {
    case STORE_DELIVER_BEGIN:
        assert_int_equal(fixed_length, sizeof(struct store_deliver_begin));
        fake_begin(call, fixed, rest);
        assert_int_equal(rest_length, store.deliveries[store.delivery_count - 1].count *
                                          sizeof(struct store_recipient));
        break;
    case STORE_DELIVER_DATA:
        assert_non_null(delivery);
        assert_in_range(fixed_length, 1, PIECE_SIZE);
        delivery->body = xrealloc(delivery->body, delivery->length + fixed_length);
        memcpy(delivery->body + delivery->length, fixed, fixed_length);
        delivery->length += fixed_length;
        break;
    case STORE_DELIVER_ABORT:
        assert_non_null(delivery);
        delivery->aborted = true;
        break;
    default: fail();
    }
}

void store_link_ask(struct store_link *link, struct store_call *call, enum store_type type,
                    const void *payload, size_t length)
{
    struct fake_delivery *delivery = find_delivery(call);

    assert_true(call->id != 0 && !link->down);
    switch (type) {
    case STORE_USAGE:
        assert_int_equal(length, sizeof(struct store_mailbox_id));
        link->asked[link->asked_count].id = call->id;
        memcpy(&link->asked[link->asked_count++].mailbox, payload, length);
        break;
    case STORE_DELIVER_COMMIT:
        assert_non_null(delivery);
        assert_int_equal(length, sizeof(delivery->commit));
        memcpy(&delivery->commit, payload, length);
        delivery->committed = true;
        break;
    default: fail();
    }
}

void store_link_forget(struct store_link *link, struct store_call *call)
{
    if (call->id == 0)
        return;
    HASH_DEL(link->calls, call);
    call->id = 0;
}

bool store_link_full(const struct store_link *link)
{
    return link->full;
}

void store_link_wait(struct store_link *link, struct store_waiter *waiter,
                     void (*ready)(struct store_waiter *waiter))
{
    waiter->ready = ready;
    link->waiter = waiter;
}

void store_link_wait_end(struct store_link *link, struct store_waiter *waiter)
{
    if (link->waiter == waiter)
        link->waiter = NULL;
}

/* Everything is on its way to stored. */
static void drain_store(void)
{
    struct store_waiter *waiter = store.waiter;

    assert_non_null(waiter);
    store.waiter = NULL;
    waiter->ready(waiter);
}

static void give_answer(struct store_call *call, uint8_t type, const void *payload, size_t length,
                        int expected)
{
    struct channel_message message = {type, call->id, payload, length};

    HASH_DEL(store.calls, call);
    call->id = 0;
    assert_int_equal(call->answer(call, &message), expected);
}

static void answer_call(struct store_call *call)
{
    struct store_delivered results[MAILBOXES_MAX] = {0};
    struct store_usage_is usage = {.octets = 999, .messages = 2};

    for (unsigned i = 0; i < store.asked_count; i++)
        if (store.asked[i].id == call->id) {
            if (store.asked[i].mailbox == 3)
                usage.octets = 1000;
            give_answer(call, STORE_USAGE_IS, &usage, sizeof(usage), 0);
            return;
        }
    for (unsigned i = 0; i < store.delivery_count; i++) {
        const struct fake_delivery *delivery = &store.deliveries[i];
        if (delivery->id != call->id || !delivery->committed)
            continue;
        for (uint32_t j = 0; j < delivery->count; j++) {
            const struct store_recipient *recipient = &delivery->recipients[j];
            results[j].result = (uint8_t)store.results[recipient->mailbox];
            results[j].crossed = store.crossed[recipient->mailbox];
            results[j].usage.octets = 90000;
            results[j].usage.messages = 3;
            if (delivery->commit.octets > recipient->octets_max)
                results[j].result = STORE_TOO_LARGE;
        }
        give_answer(call, STORE_DELIVERED, results, delivery->count * sizeof(results[0]), 0);
        return;
    }
    fail_msg("the session waits for an answer to a delivery that it has not committed");
}

static void lose_store(void)
{
    store.down = true;
    while (store.calls != NULL) {
        struct store_call *call = store.calls;
        HASH_DEL(store.calls, call);
        call->id = 0;
        assert_int_equal(call->answer(call, NULL), 0);
    }
}

/* --- one session and its client */

struct client {
    struct conf conf;
    struct server server;
    struct evbuffer *output;
    struct session *session;
    struct evbuffer *input; /* sent and not taken */
    unsigned resumed;
};

static void on_resume(void *context)
{
    struct client *client = context;

    client->resumed++;
}

static void client_open(struct client *client)
{
    memset(client, 0, sizeof(*client));
    memset(&store, 0, sizeof(store));
    conf_default(&client->conf);
    snprintf(client->conf.hostname, sizeof(client->conf.hostname), "mx.example");
    client->server =
        (struct server){.conf = &client->conf, .store = &store, .usages = usages_new()};
    client->output = evbuffer_new();
    client->input = evbuffer_new();
    client->session = session_new(&client->server, "192.0.2.1", client->output, on_resume, client);
}

static void client_close(struct client *client)
{
    session_free(client->session);
    assert_null(store.calls);
    assert_null(store.waiter);
    usages_free(client->server.usages);
    evbuffer_free(client->output);
    evbuffer_free(client->input);
    for (unsigned i = 0; i < store.delivery_count; i++)
        free(store.deliveries[i].body);
}

static void client_feed(struct client *client)
{
    size_t length = evbuffer_get_length(client->input);
    char *copy = xmalloc(length);

    evbuffer_copyout(client->input, copy, length);
    size_t used = session_input(client->session, copy, length);
    assert_in_range(used, 0, length);
    evbuffer_drain(client->input, used);
    free(copy);
}

/* Answers what stored was asked until the session has nothing more to do. */
static void client_settle(struct client *client)
{
    client_feed(client);
    while (session_waiting(client->session)) {
        assert_non_null(store.calls);
        answer_call(store.calls);
        client_feed(client);
    }
}

static void client_send(struct client *client, const char *text, size_t length, size_t piece)
{
    for (size_t at = 0; at < length; at += piece) {
        evbuffer_add(client->input, text + at, piece < length - at ? piece : length - at);
        client_settle(client);
    }
}

static void say(struct client *client, const char *text)
{
    client_send(client, text, strlen(text), strlen(text));
}

/* Of the transcript that is being replayed, for the message about its failure. */
static const char *goal = "";

/* Takes the replies: each line begins with the next of the lines expected. */
static void hear(struct client *client, const char *expected)
{
    size_t length;
    char *line;

    while (*expected != '\0') {
        size_t size = strcspn(expected, "\n");
        line = evbuffer_readln(client->output, &length, EVBUFFER_EOL_CRLF_STRICT);
        if (line == NULL || length < size || memcmp(line, expected, size) != 0)
            fail_msg("%s: expected \"%.*s\", got \"%s\"", goal, (int)size, expected,
                     line != NULL ? line : "nothing");
        free(line);
        expected += size + (expected[size] == '\n');
    }
    assert_int_equal(evbuffer_get_length(client->output), 0);
}

static void greet(struct client *client)
{
    say(client, "LHLO client.example\r\n");
    hear(client, "220 mx.example LMTP\n250-mx.example\n250-PIPELINING\n250-ENHANCEDSTATUSCODES\n"
                 "250-8BITMIME\n250-SMTPUTF8\n250 SIZE 1073741824\n");
}

/* --- transcripts */

#define HELLO     "LHLO c.example\r\n"
#define HELLO_IS  "220 \n250-mx.example\n250-\n250-\n250-\n250-\n250 SIZE\n"
#define ANN       "RCPT TO:<ann@a.example>\r\n"
#define BOB       "RCPT TO:<bob@b.example>\r\n"
#define LINE_1000 LINE_200 LINE_200 LINE_200 LINE_200 LINE_200
#define LINE_200  LINE_50 LINE_50 LINE_50 LINE_50
#define LINE_50   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct transcript {
    const char *goal;
    const char *says;
    const char *hears;
} transcripts[] = {
    {"a message for two", HELLO "MAIL FROM:<s@e.example>\r\n" ANN BOB "DATA\r\nhi\r\n.\r\nQUIT\r\n",
     HELLO_IS "250 2.1.0\n250 2.1.5\n250 2.1.5\n354\n250 2.0.0\n250 2.0.0\n221 2.0.0\n"},
    {"a duplicate is answered twice",
     HELLO "MAIL FROM:<>\r\n" ANN "RCPT TO:<Ann@A.Example>\r\nDATA\r\nhi\r\n.\r\nNOOP\r\n",
     HELLO_IS "250 2.1.0\n250 2.1.5\n250 2.1.5\n354\n250 2.0.0 delivered, id\n250 2.0.0\n250\n"},
    {"an alias has one reply",
     HELLO "MAIL FROM:<>\r\nRCPT TO:<team@a.example>\r\n"
           "DATA\r\nhi\r\n.\r\nNOOP\r\n",
     HELLO_IS "250 2.1.0\n250 2.1.5\n354\n250 2.0.0\n250\n"},
    {"an alias fails for now if one does", HELLO "MAIL FROM:<>\r\nRCPT TO:<mixed@a.example>\r\n",
     HELLO_IS "250\n452 4.2.2\n"},
    {"an alias fails for ever only if all do",
     HELLO "MAIL FROM:<> SIZE=150\r\nRCPT TO:<part@a.example>\r\n", HELLO_IS "250\n250 2.1.5\n"},
    {"two messages",
     HELLO "MAIL FROM:<>\r\n" ANN "DATA\r\nhi\r\n.\r\nMAIL FROM:<>\r\n" BOB "DATA\r\n.\r\n",
     HELLO_IS "250\n250\n354\n250 2.0.0\n250\n250\n354\n250 2.0.0\n"},
    {"addresses that take no mail",
     HELLO "MAIL FROM:<> SIZE=120\r\nRCPT TO:<no@a.example>\r\nRCPT TO:<full@a.example>\r\n"
           "RCPT TO:<many@a.example>\r\nRCPT TO:<off@b.example>\r\nRCPT TO:<tiny@b.example>\r\n"
           "RCPT TO:<wait@a.example>\r\nRCPT TO:<torn@a.example>\r\nDATA\r\n",
     HELLO_IS "250\n550 5.1.1\n452 4.2.2\n452 4.2.2\n450 4.2.1\n552 5.3.4\n451 4.3.0\n451 4.3.0\n"
              "503 5.5.1 no recipient\n"},
    {"a declared size that does not fit the quota",
     HELLO "MAIL FROM:<> SIZE=2\r\nRCPT TO:<full@a.example>\r\nRSET\r\nMAIL FROM:<> SIZE=49500\r\n"
           "RCPT TO:<ann@a.example>\r\n",
     HELLO_IS "250\n452 4.2.2\n250\n250\n250\n"},
    {"refused recipients have no reply after DATA",
     HELLO "MAIL FROM:<>\r\nRCPT TO:<no@a.example>\r\n" ANN "RCPT TO:<off@b.example>\r\n"
           "DATA\r\nhi\r\n.\r\nNOOP\r\n",
     HELLO_IS "250\n550 5.1.1\n250 2.1.5\n450 4.2.1\n354\n250 2.0.0 delivered\n250 2.0.0 ok\n"},
    {"the order of commands",
     "MAIL FROM:<>\r\nNOOP\r\nRSET\r\nVRFY x\r\n" HELLO ANN "DATA\r\nMAIL FROM:<>\r\nDATA\r\n"
     "MAIL FROM:<>\r\n" ANN "MAIL FROM:<>\r\nRSET\r\n" ANN,
     "220\n503 5.5.1 say LHLO\n250 2.0.0\n250 2.0.0\n252 2.0.0\n250-\n250-\n250-\n250-\n250-\n250 "
     "\n"
     "503 5.5.1 say MAIL\n503 5.5.1 say MAIL\n250 2.1.0\n503 5.5.1 no rec\n503 5.5.1 a message\n"
     "250 2.1.5\n503 5.5.1 a message\n250 2.0.0\n503 5.5.1 say MAIL\n"},
    {"LHLO ends a message", HELLO "MAIL FROM:<>\r\n" ANN HELLO "DATA\r\n",
     HELLO_IS "250\n250\n250-\n250-\n250-\n250-\n250-\n250 \n503 5.5.1 say MAIL\n"},
    {"not SMTP", "HELO x\r\nEHLO x\r\nEHLO\r\n", "220\n500 5.5.1\n500 5.5.1\n500 5.5.1\n"},
    {"arguments",
     "LHLO\r\nLHLO a b\r\nLHLO a(b\r\nRSET x\r\nQUIT now\r\nVRFY\r\nNOOP x y\r\nBDAT 5\r\n",
     "220\n501 5.5.4\n501 5.5.4\n501 5.5.4\n501 5.5.4\n501 5.5.4\n501 5.5.4\n250\n500 5.5.2\n"},
    {"arguments of MAIL",
     HELLO "MAIL\r\nMAIL FROM:a@b.example\r\nMAIL FROM:<a>\r\nMAIL FROM:<> X=1\r\n"
           "MAIL FROM:<> SIZE=x\r\nMAIL FROM:<> SIZE\r\nMAIL FROM:<> SIZE=1 SIZE=1\r\n"
           "MAIL FROM:<>BODY=7BIT\r\nMAIL FROM:<> SIZE=1073741825\r\nNOOP\r\n",
     HELLO_IS "501 5.5.4\n501 5.5.4\n501 5.1.7\n555 5.5.4\n501 5.5.4\n501 5.5.4\n501 5.5.4\n"
              "501 5.5.4\n552 5.3.4\n250\n"},
    {"parameters of MAIL",
     HELLO "MAIL FROM:<> BODY=8BITMIME size=1 SMTPUTF8\r\nRSET\r\n"
           "MAIL FROM:<> BODY=7bit\r\nRSET\r\nMAIL FROM:<> BODY=BINARYMIME\r\n"
           "MAIL FROM:<> BODY\r\nMAIL FROM:<> SMTPUTF8=1\r\n",
     HELLO_IS "250\n250\n250\n250\n501 5.5.4\n501 5.5.4\n501 5.5.4\n"},
    {"arguments of RCPT",
     HELLO "MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:ann@a.example\r\nRCPT TO:<ann>\r\n"
           "RCPT TO:<ann@a.example> NOTIFY=NEVER\r\nRCPT TO:<@x.example:ann@a.example>\r\n"
           "RCPT TO:<Postmaster>\r\n",
     HELLO_IS "250\n501 5.1.3\n501 5.5.4\n501 5.1.3\n555 5.5.4\n250 2.1.5\n250 2.1.5\n"},
    {"UTF-8 needs SMTPUTF8",
     HELLO
     "MAIL FROM:<\xc3\xa4@e.example>\r\nMAIL FROM:<\xc3\xa4@e.example> SMTPUTF8\r\n"
     "RCPT TO:<\xc3\xa4@b.example>\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<\xc3\xa4@b.example>\r\n",
     HELLO_IS "553 5.6.7\n250 2.1.0\n550 5.1.1\n250\n250\n553 5.6.7\n"},
    {"what is not ASCII is UTF-8",
     HELLO "MAIL FROM:<\xe4@e.example>\r\nMAIL FROM:<\xe4@e.example> SMTPUTF8\r\n"
           "MAIL FROM:<a@\xed\xa0\x80.example> SMTPUTF8\r\n"
           "MAIL FROM:<\"\xc0\xaf\"@e.example> SMTPUTF8\r\nMAIL FROM:<a@\xc3> SMTPUTF8\r\n"
           "MAIL FROM:<a@\xc3\xa4.example> SMTPUTF8\r\nRCPT TO:<\xe4@b.example>\r\n",
     HELLO_IS "501 5.1.7\n501 5.1.7\n501 5.1.7\n501 5.1.7\n501 5.1.7\n250 2.1.0\n501 5.1.3\n"},
    {"only CRLF ends a command", "NOOP\nNOOP\r\nNOOP\rNOOP\r\nNOOP\r\n",
     "220\n500 5.5.2 a command\n500 5.5.2 a command\n250\n"},
    {"a line of 2048 octets",
     "NOOP " LINE_1000 LINE_1000 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "\r\nNOOP\r\n",
     "220\n250\n250\n"},
    {"a line of 2049 octets",
     "NOOP " LINE_1000 LINE_1000 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "\r\nNOOP\r\n",
     "220\n500 5.5.2 the line\n250\n"},
    {"a line far too long is one line",
     "NOOP " LINE_1000 LINE_1000 LINE_1000 "\r\r" LINE_1000 "\n" LINE_1000 "QUIT\r\nNOOP\r\n",
     "220\n500 5.5.2 the line\n250\n"},
    {"too many bad commands",
     "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: "
     "b\r\nNOOP\r\n",
     "220\n500\n500\n500\n500\n500\n500\n500\n500\n500\n421 4.7.0\n"},
    {"unknown addresses are no bad commands",
     HELLO "MAIL FROM:<>\r\nRCPT TO:<1@a.example>\r\nRCPT TO:<2@a.example>\r\n"
           "RCPT TO:<3@a.example>\r\nRCPT TO:<4@a.example>\r\nRCPT TO:<5@a.example>\r\n"
           "RCPT TO:<6>\r\nRCPT TO:<7>\r\nRCPT TO:<8>\r\nRCPT TO:<9>\r\nRCPT TO:<10>\r\n" ANN,
     HELLO_IS "250\n550\n550\n550\n550\n550\n501 5.1\n501 5.1\n501 5.1\n501 5.1\n501 5.1\n250\n"},
    {"nothing follows QUIT", "QUIT\r\nNOOP\r\n", "220\n221 2.0.0\n"},
    {"no end but CRLF.CRLF",
     HELLO "MAIL FROM:<>\r\n" ANN "DATA\r\na\n.\nMAIL FROM:<>\r\nb\n.\r\nMAIL FROM:<>\r\n"
           "c\r\n.\nMAIL FROM:<>\r\nd\r.\rMAIL FROM:<>\r\ne\r.\r\nMAIL FROM:<>\r\n"
           "f\r\n.\rMAIL FROM:<>\r\ng\r\r\n.\r\r\nMAIL FROM:<>\r\n.\r\nNOOP\r\n",
     HELLO_IS "250\n250\n354\n250 2.0.0 delivered\n250 2.0.0 ok\n"},
};

static void replays_transcripts_however_they_are_cut(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 100, SIZE_MAX};
    (void)state;

    for (size_t i = 0; i < sizeof(transcripts) / sizeof(transcripts[0]); i++)
        for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++) {
            struct client client;
            const char *says = transcripts[i].says;
            size_t length = strlen(says);
            client_open(&client);
            goal = transcripts[i].goal;
            client_send(&client, says, length, pieces[j] < length ? pieces[j] : length);
            hear(&client, transcripts[i].hears);
            client_close(&client);
        }
}

/* --- what gets to the store */

static const struct fake_delivery *only_delivery(void)
{
    assert_int_equal(store.delivery_count, 1);
    return &store.deliveries[0];
}

static void stores_one_body_for_all(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<s@e.example> SMTPUTF8\r\n" ANN "RCPT TO:<team@a.example>\r\n" ANN BOB);
    hear(&client, "250\n250\n250\n250\n250\n");
    say(&client, "DATA\r\nA: b\n\nx\r\n..\r\n.y\r\n.\r\n");
    hear(&client, "354\n250\n250\n250\n250\n");
    const struct fake_delivery *delivery = only_delivery();
    assert_int_equal(delivery->count, 2);
    assert_int_equal(delivery->recipients[0].mailbox, 1);
    assert_int_equal(delivery->recipients[1].mailbox, 2);
    /* Once for each mailbox, not for each recipient. */
    assert_int_equal(store.asked_count, 2);
    char *body = strndup(delivery->body, delivery->length);
    assert_memory_equal(body,
                        "Return-Path: <s@e.example>\r\nReceived: from client.example "
                        "([192.0.2.1])\r\n\tby mx.example with UTF8LMTP id ",
                        98);
    assert_null(strstr(body, "a.example>"));
    char *rest = strstr(body, "+0000\r\n");
    assert_non_null(rest);
    assert_string_equal(rest, "+0000\r\nA: b\r\n\r\nx\r\n..\r\ny\r\n");
    assert_int_equal(delivery->commit.octets, delivery->length - 1);
    assert_int_equal(delivery->commit.top_length, delivery->length - strlen("x\r\n..\r\ny\r\n"));
    assert_int_equal(delivery->size, delivery->commit.octets);
    free(body);
    client_close(&client);
}

#define BIG "RCPT TO:<big@b.example>\r\n"

static void asks_for_usage_where_it_may_matter(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    for (unsigned i = 0; i < 3; i++) {
        say(&client, "MAIL FROM:<>\r\n" BIG "DATA\r\nhi\r\n.\r\n");
        hear(&client, "250\n250\n354\n250 2.0.0\n");
        assert_int_equal(store.asked_count, 1);
    }
    /* What it takes may be more than what surely is left. */
    say(&client, "MAIL FROM:<> SIZE=5000000\r\n" BIG "RSET\r\n");
    assert_int_equal(store.asked_count, 2);
    hear(&client, "250\n250\n250\n");
    /* Others fill a mailbox too: what was known of it was wrong. */
    store.results[9] = STORE_OVER_QUOTA;
    say(&client, "MAIL FROM:<>\r\n" BIG "DATA\r\nhi\r\n.\r\n");
    hear(&client, "250\n250\n354\n452 4.2.2\n");
    assert_int_equal(store.asked_count, 2);
    say(&client, "MAIL FROM:<>\r\n" BIG "RSET\r\n");
    assert_int_equal(store.asked_count, 3);
    client_close(&client);
}

static void names_a_single_recipient(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<s@e.example>\r\nRCPT TO:<ANN@A.Example>\r\nDATA\r\n.\r\n");
    hear(&client, "250\n250\n354\n250\n");
    const struct fake_delivery *delivery = only_delivery();
    assert_non_null(memmem(delivery->body, delivery->length, "\r\n\tfor <ann@a.example>;\r\n", 25));
    assert_non_null(memmem(delivery->body, delivery->length, " with LMTP id ", 14));
    client_close(&client);
}

static const struct result_case {
    enum store_result result;
    const char *reply;
} result_cases[] = {
    {STORE_OK, "250 2.0.0"},         {STORE_OVER_QUOTA, "452 4.2.2"},
    {STORE_FULL, "452 4.3.1"},       {STORE_NO_MAILBOX, "550 5.1.1"},
    {STORE_BUSY, "451 4.3.0"},       {STORE_BROKEN, "451 4.3.0"},
    {STORE_DAMAGED, "451 4.3.0"},    {STORE_IN_USE, "451 4.3.0"},
    {STORE_NO_MESSAGE, "451 4.3.0"}, {STORE_NO_CAPABILITY, "451 4.3.0"},
    {STORE_BROKEN + 1, "451 4.3.0"}, {255, "451 4.3.0"},
    {STORE_TOO_LARGE, "552 5.3.4"},
};

static void tells_each_recipient_its_own_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(result_cases) / sizeof(result_cases[0]); i++) {
        struct client client;
        char expected[64];
        client_open(&client);
        greet(&client);
        store.results[8] = result_cases[i].result;
        say(&client, "MAIL FROM:<>\r\n" ANN "RCPT TO:<late@b.example>\r\n" BOB "DATA\r\n.\r\n");
        snprintf(expected, sizeof(expected), "250\n250\n250\n250\n354\n250 2.0.0\n%s\n250 2.0.0\n",
                 result_cases[i].reply);
        hear(&client, expected);
        client_close(&client);
    }
}

static void combines_the_results_of_an_alias(void **state)
{
    static const struct {
        enum store_result first, second;
        const char *hears;
    } cases[] = {
        {STORE_OK, STORE_OVER_QUOTA, "354\n452 4.2.2\n"},
        {STORE_BROKEN, STORE_OK, "354\n451 4.3.0\n"},
        {STORE_OK, STORE_NO_MAILBOX, "354\n250 2.0.0\n"},
        {STORE_NO_MAILBOX, STORE_OVER_QUOTA, "354\n452 4.2.2\n"},
        {STORE_NO_MAILBOX, STORE_NO_MAILBOX, "354\n550 5.1.1\n"},
        {STORE_TOO_LARGE, STORE_OK, "354\n250 2.0.0\n"},
        {STORE_TOO_LARGE, STORE_FULL, "354\n452 4.3.1\n"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        client_open(&client);
        greet(&client);
        store.results[1] = cases[i].first;
        store.results[2] = cases[i].second;
        say(&client, "MAIL FROM:<>\r\nRCPT TO:<team@a.example>\r\n");
        hear(&client, "250\n250\n");
        say(&client, "DATA\r\n.\r\n");
        hear(&client, cases[i].hears);
        client_close(&client);
    }
}

/* Sends a message of `octets` octets of content: lines of 100. */
static void send_message(struct client *client, size_t octets)
{
    static const char line[] = LINE_50 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n";

    say(client, "DATA\r\n");
    for (size_t sent = 0; sent < octets; sent += 100)
        client_send(client, line, 100, 100);
    say(client, ".\r\n");
}

static const char *const size_options[] = {"", " SIZE=1", " SIZE=90"};

/* The octets that were put in front of the message in this delivery. */
static uint64_t head_of(const struct fake_delivery *delivery, size_t octets)
{
    return delivery->commit.octets - octets;
}

/* A small message is judged by stored, with one body, whatever SIZE says. */
static void lets_stored_judge_a_small_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(size_options) / sizeof(size_options[0]); i++) {
        struct client client;
        char mail[64];
        client_open(&client);
        greet(&client);
        snprintf(mail, sizeof(mail), "MAIL FROM:<>%s\r\n", size_options[i]);
        say(&client, mail);
        say(&client, "RCPT TO:<tiny@b.example>\r\n" ANN "RCPT TO:<small@b.example>\r\n");
        hear(&client, "250\n250\n250\n250\n");
        send_message(&client, 200);
        hear(&client, "354\n552 5.3.4\n250 2.0.0\n250 2.0.0\n");
        const struct fake_delivery *delivery = only_delivery();
        assert_int_equal(delivery->count, 3);
        assert_true(delivery->committed && !delivery->aborted);
        assert_int_equal(delivery->size, delivery->commit.octets);
        uint64_t head = head_of(delivery, 200);
        assert_in_range(head, 100, 300);
        assert_memory_equal(delivery->body + head - 7, "+0000\r\naaaaa", 12);
        assert_int_equal(delivery->recipients[0].mailbox, 7);
        assert_int_equal(delivery->recipients[0].octets_max, 100 + head);
        assert_int_equal(delivery->recipients[1].octets_max, 50000 + head);
        assert_int_equal(delivery->recipients[2].octets_max, 200 + head);
        assert_int_equal(delivery->recipients[1].quota_octets, 100000);
        assert_int_equal(delivery->recipients[1].quota_messages, 10);
        client_close(&client);
    }
}

static void tells_stored_nothing_of_a_small_message_too_large_for_all(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<>\r\nRCPT TO:<tiny@b.example>\r\nRCPT TO:<small@b.example>\r\n");
    hear(&client, "250\n250\n250\n");
    send_message(&client, 300);
    hear(&client, "354\n552 5.3.4\n552 5.3.4\n");
    assert_int_equal(store.delivery_count, 0);
    /* To the octet: what is allowed is taken. */
    say(&client, "MAIL FROM:<>\r\nRCPT TO:<small@b.example>\r\n");
    hear(&client, "250\n250\n");
    send_message(&client, 200);
    hear(&client, "354\n250 2.0.0\n");
    say(&client, "MAIL FROM:<>\r\nRCPT TO:<small@b.example>\r\nDATA\r\n" LINE_200 "\r\n.\r\n");
    hear(&client, "250\n250\n354\n552 5.3.4\n");
    only_delivery();
    client_close(&client);
}

static void stores_a_large_message_once_for_those_who_take_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(size_options) / sizeof(size_options[0]); i++) {
        struct client client;
        char mail[64];
        client_open(&client);
        greet(&client);
        snprintf(mail, sizeof(mail), "MAIL FROM:<>%s\r\n", size_options[i]);
        say(&client, mail);
        say(&client, ANN "RCPT TO:<big@b.example>\r\n" BOB "RCPT TO:<wide@b.example>\r\n");
        hear(&client, "250\n250\n250\n250\n250\n");
        send_message(&client, 200000);
        hear(&client, "354\n552 5.3.4\n250 2.0.0\n552 5.3.4\n250 2.0.0\n");
        const struct fake_delivery *delivery = only_delivery();
        assert_int_equal(delivery->count, 4);
        assert_true(delivery->committed && !delivery->aborted);
        assert_int_equal(delivery->length, delivery->commit.octets);
        uint64_t head = head_of(delivery, 200000);
        assert_int_equal(delivery->recipients[0].octets_max, 50000 + head);
        assert_int_equal(delivery->recipients[1].octets_max, 9000000 + head);
        assert_int_equal(delivery->recipients[2].octets_max, 80000 + head);
        assert_int_equal(delivery->recipients[3].octets_max, 900000000 + head);
        client_close(&client);
    }
}

static void refuses_at_once_whom_the_declared_size_is_too_large_for(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<> SIZE=200000\r\n" ANN "RCPT TO:<wide@b.example>\r\n" BOB
                 "RCPT TO:<big@b.example>\r\n");
    hear(&client, "250\n552 5.3.4\n250\n552 5.3.4\n250\n");
    send_message(&client, 200000);
    hear(&client, "354\n250 2.0.0\n250 2.0.0\n");
    assert_int_equal(only_delivery()->count, 2);
    assert_int_equal(only_delivery()->size, 200000);
    client_close(&client);
}

/* Begun, aborted past the largest limit, and the rest is read and thrown away. */
static void gives_up_a_message_that_is_too_large_for_all(void **state)
{
    static const size_t octets[] = {80100, 200000, 2000000};
    (void)state;

    for (size_t i = 0; i < sizeof(octets) / sizeof(octets[0]); i++) {
        struct client client;
        client_open(&client);
        greet(&client);
        say(&client, "MAIL FROM:<> SIZE=100\r\n" ANN BOB);
        hear(&client, "250\n250\n250\n");
        send_message(&client, octets[i]);
        hear(&client, "354\n552 5.3.4\n552 5.3.4\n");
        assert_int_equal(only_delivery()->count, 2);
        assert_true(only_delivery()->aborted && !only_delivery()->committed);
        assert_in_range(only_delivery()->length, 1, 80000 + PIECE_SIZE);
        /* The next message of the connection is none the worse. */
        say(&client, "MAIL FROM:<>\r\n" ANN "DATA\r\nhi\r\n.\r\n");
        hear(&client, "250\n250\n354\n250 2.0.0\n");
        assert_int_equal(store.delivery_count, 2);
        client_close(&client);
    }
}

static void bounds_the_recipients(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<>\r\n");
    hear(&client, "250\n");
    for (unsigned i = 0; i < TRANSACTION_RECIPIENTS_MAX; i++) {
        say(&client, ANN);
        store.asked_count = 0;
        hear(&client, "250\n");
    }
    say(&client, BOB);
    hear(&client, "452 4.5.3\n");
    say(&client, "DATA\r\n.\r\n");
    assert_int_equal(only_delivery()->count, 1);
    client_close(&client);
}

static void defers_without_stored(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    store.down = true;
    say(&client, "MAIL FROM:<>\r\n" ANN BOB "DATA\r\nhi\r\n.\r\nNOOP\r\n");
    hear(&client, "250\n250\n250\n354\n451 4.3.0\n451 4.3.0\n250\n");
    store.down = false;
    say(&client, "MAIL FROM:<>\r\n" ANN "DATA\r\nhi\r\n.\r\n");
    hear(&client, "250\n250\n354\n250 2.0.0\n");
    client_close(&client);
}

static void defers_when_stored_goes_away(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    /* While the usage is asked for: accepted, and judged after DATA. */
    evbuffer_add_printf(client.input, "MAIL FROM:<>\r\n" ANN);
    client_feed(&client);
    assert_true(session_waiting(client.session));
    lose_store();
    assert_int_equal(client.resumed, 1);
    client_feed(&client);
    hear(&client, "250\n250\n");
    store.down = false;
    /* In the middle of the content. */
    say(&client, "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<wide@b.example>\r\nDATA\r\n");
    for (unsigned i = 0; i < 2000; i++)
        say(&client, LINE_50 "\r\n");
    assert_int_equal(store.delivery_count, 1);
    lose_store();
    store.down = false;
    say(&client, LINE_50 "\r\n.\r\n");
    hear(&client, "250\n250\n250\n354\n451 4.3.0\n");
    assert_false(store.deliveries[0].committed);
    /* After the commit. */
    say(&client, "MAIL FROM:<>\r\n" ANN);
    hear(&client, "250\n250\n");
    evbuffer_add_printf(client.input, "DATA\r\n.\r\nNOOP\r\n");
    client_feed(&client);
    assert_true(session_waiting(client.session));
    lose_store();
    client_feed(&client);
    hear(&client, "354\n451 4.3.0\n250\n");
    client_close(&client);
}

/* A message with what follows it, which stored has been told to commit. */
static void begin_end(struct client *client, const char *rest)
{
    say(client, "MAIL FROM:<>\r\n" ANN "DATA\r\n");
    hear(client, "250\n250\n354\n");
    evbuffer_add_printf(client->input, "text\r\n.\r\n%s", rest);
    client_feed(client);
    assert_true(session_waiting(client->session));
    assert_int_equal(evbuffer_get_length(client->output), 0);
}

static void runs_commands_while_a_message_ends(void **state)
{
    static const char next[] = "MAIL FROM:<>\r\n" BOB "DATA\r\nmore\r\n";
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    begin_end(&client, next);
    /* The message first. */
    assert_int_equal(HASH_COUNT(store.calls), 1);
    drain_store();
    client_feed(&client);
    /* Bob's usage is asked for meanwhile; text waits for the replies to the text before. */
    assert_int_equal(HASH_COUNT(store.calls), 2);
    answer_call(store.calls->hh.next);
    client_feed(&client);
    assert_int_equal(evbuffer_get_length(client.input), strlen("more\r\n"));
    assert_int_equal(evbuffer_get_length(client.output), 0);
    answer_call(store.calls);
    hear(&client, "250 2.0.0\n250\n250\n354\n");
    say(&client, ".\r\n");
    hear(&client, "250 2.0.0\n");
    assert_int_equal(store.delivery_count, 2);
    assert_int_equal(store.deliveries[1].recipients[0].mailbox, 2);
    /* The other way round. */
    usages_forget(client.server.usages, 2);
    begin_end(&client, next);
    drain_store();
    client_feed(&client);
    unsigned resumed = client.resumed;
    answer_call(store.calls);
    assert_int_equal(client.resumed, resumed);
    answer_call(store.calls);
    assert_int_equal(client.resumed, resumed + 1);
    client_feed(&client);
    hear(&client, "250 2.0.0\n250\n250\n354\n");
    say(&client, ".\r\n");
    hear(&client, "250 2.0.0\n");
    /* The answer may be there first. */
    begin_end(&client, "NOOP\r\n");
    answer_call(store.calls);
    assert_null(store.waiter);
    client_feed(&client);
    hear(&client, "250 2.0.0\n250\n");
    /* What is said of the next one is no word about this one. */
    begin_end(&client, next);
    drain_store();
    client_feed(&client);
    session_stop(client.session);
    hear(&client, "421 4.3.2\n");
    client_close(&client);
}

static void leaves_behind_the_last_message(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    begin_end(&client, "QUIT\r\nNOOP\r\n");
    drain_store();
    client_feed(&client);
    assert_false(session_left(client.session));
    session_timeout(client.session);
    answer_call(store.calls);
    assert_true(session_left(client.session));
    hear(&client, "250 2.0.0\n221\n");
    client_close(&client);
    client_open(&client);
    greet(&client);
    begin_end(&client, "QUIT\r\n");
    drain_store();
    client_feed(&client);
    session_stop(client.session);
    hear(&client, "421 4.3.2\n");
    client_close(&client);
}

static void drops_what_a_client_leaves_behind(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<>\r\nRCPT TO:<wide@b.example>\r\nDATA\r\n");
    for (unsigned i = 0; i < 2000; i++)
        say(&client, LINE_50 "\r\n");
    client_close(&client);
    assert_true(store.deliveries[0].aborted);
    client_open(&client);
    greet(&client);
    evbuffer_add_printf(client.input, "MAIL FROM:<>\r\nRCPT TO:<team@a.example>\r\n");
    client_feed(&client);
    assert_int_equal(HASH_COUNT(store.calls), 2);
    client_close(&client);
}

static void waits_while_the_store_is_full(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<>\r\n" ANN "DATA\r\n");
    hear(&client, "250\n250\n354\n");
    store.full = true;
    evbuffer_add_printf(client.input, "some text\r\n");
    client_feed(&client);
    assert_true(session_waiting(client.session));
    evbuffer_add_printf(client.input, ".\r\n");
    client_feed(&client);
    assert_int_equal(evbuffer_get_length(client.input), 3);
    store.full = false;
    unsigned resumed = client.resumed;
    drain_store();
    assert_int_equal(client.resumed, resumed + 1);
    client_settle(&client);
    hear(&client, "250 2.0.0\n");
    client_close(&client);
}

static void refuses_malformed_answers(void **state)
{
    static const struct store_delivered results[2] = {{.result = STORE_OK}, {.result = STORE_OK}};
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    evbuffer_add_printf(client.input, "MAIL FROM:<>\r\n" ANN);
    client_feed(&client);
    give_answer(store.calls, STORE_DELIVERED, results, 1, -1);
    client_feed(&client);
    hear(&client, "250\n250\n");
    evbuffer_add_printf(client.input, "DATA\r\n.\r\n");
    client_feed(&client);
    give_answer(store.calls, STORE_DELIVERED, results, 2 * sizeof(results[0]), -1);
    hear(&client, "354\n451 4.3.0\n");
    client_close(&client);
}

/* --- warnings */

struct post {
    struct client client;
    struct event_base *base;
    unsigned idle;
};

static void on_idle(void *context)
{
    struct post *post = context;

    post->idle++;
}

static void post_open(struct post *post)
{
    memset(post, 0, sizeof(*post));
    client_open(&post->client);
    owner_result = DB_OK;
    post->base = event_base_new();
    post->client.server.warner = warner_new(post->base, &post->client.server, on_idle, post);
    greet(&post->client);
}

static void post_close(struct post *post)
{
    client_close(&post->client);
    warner_free(post->client.server.warner);
    event_base_free(post->base);
}

/* One turn of the event loop, and the answer to what it has stored asked, if anything. */
static void turn(struct post *post)
{
    event_base_loop(post->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    if (store.calls != NULL)
        answer_call(store.calls);
}

static void warns_of_a_line_that_is_crossed(void **state)
{
    struct post post;
    (void)state;

    post_open(&post);
    store.crossed[1] = 80;
    store.crossed[2] = 0;
    say(&post.client, "MAIL FROM:<x@y.example>\r\nRCPT TO:<team@a.example>\r\nDATA\r\n"
                      "Subject: s\r\n\r\ntext\r\n.\r\n");
    /* The reply is there, and nothing has been delivered but the message. */
    hear(&post.client, "250 2.1.0\n250 2.1.5\n354\n250 2.0.0\n");
    assert_int_equal(store.delivery_count, 1);
    assert_false(warner_is_idle(post.client.server.warner));
    for (int i = 0; i < 3; i++)
        turn(&post);
    /* The answer said again that a line was crossed: a warning is told of no warning. */
    assert_int_equal(store.delivery_count, 2);
    assert_int_equal(store.deliveries[1].count, 1);
    assert_int_equal(store.deliveries[1].recipients[0].mailbox, 1);
    assert_true(store.deliveries[1].recipients[0].quota_octets == UINT64_MAX);
    assert_true(store.deliveries[1].recipients[0].quota_messages == UINT64_MAX);
    assert_non_null(memmem(store.deliveries[1].body, store.deliveries[1].length,
                           "To: <own1@a.example>\r\n", 22));
    assert_non_null(memmem(store.deliveries[1].body, store.deliveries[1].length, "90%", 3));
    assert_true(warner_is_idle(post.client.server.warner));
    assert_int_equal(post.idle, 1);
    post_close(&post);
}

static void warns_although_the_client_did_not_wait(void **state)
{
    struct post post;
    (void)state;

    post_open(&post);
    store.crossed[1] = 95;
    evbuffer_add_printf(post.client.input, "MAIL FROM:<>\r\n" ANN);
    client_settle(&post.client);
    evbuffer_add_printf(post.client.input, "DATA\r\ntext\r\n.\r\n");
    client_feed(&post.client);
    assert_true(session_waiting(post.client.session));
    session_free(post.client.session);
    post.client.session = NULL;
    assert_false(warner_is_idle(post.client.server.warner));
    answer_call(store.calls);
    for (int i = 0; i < 3; i++)
        turn(&post);
    assert_int_equal(store.delivery_count, 2);
    assert_true(warner_is_idle(post.client.server.warner));
    /* And where stored goes away before it answers, there is nothing to tell. */
    post.client.session =
        session_new(&post.client.server, "", post.client.output, on_resume, &post.client);
    say(&post.client, "LHLO x\r\n");
    evbuffer_add_printf(post.client.input, "MAIL FROM:<>\r\n" ANN);
    client_settle(&post.client);
    evbuffer_add_printf(post.client.input, "DATA\r\ntext\r\n.\r\n");
    client_feed(&post.client);
    session_free(post.client.session);
    post.client.session = NULL;
    lose_store();
    assert_true(warner_is_idle(post.client.server.warner));
    post_close(&post);
}

/* A failure that passes leaves it waiting; a mailbox that has been removed is not warned. */
static void tries_a_warning_again(void **state)
{
    static const struct {
        enum db_result owner;
        bool down;
        bool idle;
    } cases[] = {{DB_BUSY, false, false},
                 {DB_BROKEN, false, false},
                 {DB_OK, true, false},
                 {DB_NONE, false, true},
                 {DB_OK, false, true}};
    struct letter letter = {1, 80, 1, 100, 100};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct post post;
        post_open(&post);
        owner_result = cases[i].owner;
        store.down = cases[i].down;
        warner_add(post.client.server.warner, &letter);
        for (int k = 0; k < 3; k++)
            turn(&post);
        assert_int_equal(warner_is_idle(post.client.server.warner), cases[i].idle);
        owner_result = DB_OK;
        store.down = false;
        /* Between two tries there is a pause. */
        while (!warner_is_idle(post.client.server.warner)) {
            event_base_loop(post.base, EVLOOP_ONCE);
            turn(&post);
        }
        assert_int_equal(store.delivery_count, cases[i].owner == DB_NONE ? 0 : 1);
        post_close(&post);
    }
}

/* What was said when somebody was suspended comes before the configuration. */
static void does_with_mail_for_who_is_suspended_as_told(void **state)
{
    static const struct {
        enum conf_suspended configured;
        const char *replies;
    } cases[] = {
        {CONF_SUSPENDED_DEFER, "250\n450 4.2.1\n250\n450 4.2.1\n550 5.2.1\n"},
        {CONF_SUSPENDED_REFUSE, "250\n550 5.2.1\n250\n450 4.2.1\n550 5.2.1\n"},
        {CONF_SUSPENDED_KEEP, "250\n250\n250\n450 4.2.1\n550 5.2.1\n"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client client;
        client_open(&client);
        client.conf.suspended = cases[i].configured;
        greet(&client);
        say(&client, "MAIL FROM:<>\r\nRCPT TO:<off@b.example>\r\nRCPT TO:<kept@b.example>\r\n"
                     "RCPT TO:<deferred@b.example>\r\nRCPT TO:<refused@b.example>\r\n");
        hear(&client, cases[i].replies);
        client_close(&client);
    }
}

/* Runs the session with standard error in a file; returns how many lines of it have `word`. */
static unsigned lines_logged(struct client *client, const char *says, const char *word)
{
    char line[1024];
    unsigned lines = 0;
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);

    assert_true(file != NULL && saved >= 0);
    dup2(fileno(file), STDERR_FILENO);
    say(client, says);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL)
        lines += strstr(line, word) != NULL;
    fclose(file);
    return lines;
}

static void counts_and_logs_refused_recipients(void **state)
{
    static const char *const refused[] = {
        "RCPT TO:<@>\r\n",
        "RCPT TO:<ann>\r\n",
        "RCPT TO:ann@a.example\r\n",
        "RCPT TO:<ann@a.example> NOTIFY=NEVER\r\n",
        "RCPT TO:<\xc3\xa4@b.example>\r\n",
        "RCPT TO:<no@a.example>\r\n",
    };
    struct client client;
    (void)state;

    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<>\r\n");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        int64_t before = metric_sum(METRIC_LMTP_REFUSED);
        assert_int_equal(lines_logged(&client, refused[i], " from=<> to=<"), 1);
        assert_int_equal(metric_sum(METRIC_LMTP_REFUSED), before + 1);
    }
    client_close(&client);
}

/* A client that guesses addresses is counted and no longer logged, with and without RSET. */
static void does_not_let_refusals_fill_the_log(void **state)
{
    struct client client;
    int64_t before = metric_sum(METRIC_LMTP_REFUSED);
    unsigned lines = 0;
    (void)state;

    client_open(&client);
    greet(&client);
    for (unsigned i = 0; i < 50; i++) {
        lines += lines_logged(&client, "MAIL FROM:<>\r\nRCPT TO:<no@a.example>\r\n", " to=<");
        lines += lines_logged(&client, "RCPT TO:<ann>\r\nRSET\r\n", " to=<");
        hear(&client, "250\n550 5.1.1\n501 5.1.3\n250\n");
    }
    assert_int_equal(lines, REFUSALS_LOGGED_MAX);
    assert_int_equal(metric_sum(METRIC_LMTP_REFUSED) - before, 100);
    say(&client, "MAIL FROM:<>\r\n" ANN "DATA\r\n.\r\n");
    assert_int_equal(lines_logged(&client, "MAIL FROM:<>\r\nRCPT TO:<ann>\r\n", " to=<ann> "), 1);
    client_close(&client);
}

static void says_goodbye(void **state)
{
    struct client client;
    (void)state;

    client_open(&client);
    session_timeout(client.session);
    hear(&client, "220\n421 4.4.2\n");
    assert_true(session_left(client.session));
    client_close(&client);
    client_open(&client);
    client.server.draining = true;
    session_drain(client.session);
    session_drain(client.session);
    hear(&client, "220\n421 4.3.2\n");
    client_close(&client);
    client_open(&client);
    greet(&client);
    say(&client, "MAIL FROM:<>\r\n" ANN);
    hear(&client, "250\n250\n");
    client.server.draining = true;
    session_drain(client.session);
    say(&client, "DATA\r\nhi\r\n.\r\nNOOP\r\n");
    hear(&client, "354\n250 2.0.0\n421 4.3.2\n");
    assert_true(session_left(client.session));
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replays_transcripts_however_they_are_cut),
        cmocka_unit_test(stores_one_body_for_all),
        cmocka_unit_test(asks_for_usage_where_it_may_matter),
        cmocka_unit_test(names_a_single_recipient),
        cmocka_unit_test(tells_each_recipient_its_own_result),
        cmocka_unit_test(combines_the_results_of_an_alias),
        cmocka_unit_test(lets_stored_judge_a_small_message),
        cmocka_unit_test(tells_stored_nothing_of_a_small_message_too_large_for_all),
        cmocka_unit_test(stores_a_large_message_once_for_those_who_take_it),
        cmocka_unit_test(refuses_at_once_whom_the_declared_size_is_too_large_for),
        cmocka_unit_test(gives_up_a_message_that_is_too_large_for_all),
        cmocka_unit_test(bounds_the_recipients),
        cmocka_unit_test(defers_without_stored),
        cmocka_unit_test(defers_when_stored_goes_away),
        cmocka_unit_test(runs_commands_while_a_message_ends),
        cmocka_unit_test(leaves_behind_the_last_message),
        cmocka_unit_test(drops_what_a_client_leaves_behind),
        cmocka_unit_test(waits_while_the_store_is_full),
        cmocka_unit_test(refuses_malformed_answers),
        cmocka_unit_test(warns_of_a_line_that_is_crossed),
        cmocka_unit_test(warns_although_the_client_did_not_wait),
        cmocka_unit_test(tries_a_warning_again),
        cmocka_unit_test(does_with_mail_for_who_is_suspended_as_told),
        cmocka_unit_test(counts_and_logs_refused_recipients),
        cmocka_unit_test(does_not_let_refusals_fill_the_log),
        cmocka_unit_test(says_goodbye),
    };
    return cmocka_run_group_tests_name("lmtpd session", tests, NULL, NULL);
}
