/*
 * An LMTP session against a database and a stored that are faked here: lookup_route() and
 * store_link_*() of this file take the place of the true ones when the program is linked. What
 * stored answers, and when, is drawn from the script.
 */
#include <assert.h>
#include <ctype.h>
#include <event2/buffer.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"
#include "lib/xalloc.h"
#include "lmtpd/lookup.h"
#include "lmtpd/session.h"
#include "lmtpd/usage.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/script.h"
#include "tests/unit/pieces.h"

static struct script script;

/* --- the database: the first letter of an address says where it leads */

enum db_result lookup_route(struct lookup *lookup, const struct address *address,
                            struct db_route routes_r[DB_ROUTE_MAX], unsigned *count_r)
{
    const struct db_route wide = {1, 100000, 10, 50000, false, DB_SUSPENDED_AS_CONFIGURED};
    (void)lookup;

    assert(strlen(address->text) < sizeof(address->text));
    *count_r = 1;
    routes_r[0] = wide;
    switch (address->text[0]) {
    case 'b': routes_r[0].mailbox = 2; return DB_OK;
    case 'c': routes_r[0].message_octets_max = 100; return DB_OK;
    case 'o': routes_r[0].suspended = true; return DB_OK;
    case 't':
        routes_r[1] = routes_r[0];
        routes_r[1].mailbox = 3;
        *count_r = 2;
        return DB_OK;
    case 'w': return DB_BUSY;
    case 'x': return DB_BROKEN;
    case 'n': return DB_NONE;
    default: return DB_OK;
    }
}

/* --- stored */

#define DELIVERED_MAX 64

/* What one call has told. */
struct told {
    bool begun;
    bool usage;     /* waits for the answer */
    bool committed; /* the same */
    uint32_t recipients;
    char *body;
    size_t length;
};

static struct store_link {
    bool down;
    bool full;
    uint32_t last_id;
    struct store_call *calls;
    struct store_waiter *waiter;
    struct told told[DELIVERED_MAX]; /* by the id, modulo the size */
} store;

static struct told *told_of(const struct store_call *call)
{
    return &store.told[call->id % DELIVERED_MAX];
}

static void told_clear(struct told *told)
{
    free(told->body);
    *told = (struct told){0};
}

int store_link_call(struct store_link *link, struct store_call *call,
                    int (*answer)(struct store_call *call, const struct channel_message *message))
{
    if (link->down || script_draw(&script, 16) == 15)
        return -1;
    call->id = ++link->last_id;
    call->answer = answer;
    told_clear(told_of(call));
    HASH_ADD(hh, link->calls, id, sizeof(call->id), call);
    assert(HASH_COUNT(link->calls) < DELIVERED_MAX / 2);
    return 0;
}

static void take_body(struct told *told, const void *octets, size_t length)
{
    assert(told->begun && !told->committed && length >= 1 && length <= PIECE_SIZE);
    told->body = xrealloc(told->body, told->length + length);
    memcpy(told->body + told->length, octets, length);
    told->length += length;
}

void store_link_send(struct store_link *link, const struct store_call *call, enum store_type type,
                     const void *fixed, size_t fixed_length, const void *rest, size_t rest_length)
{
    const struct store_deliver_begin *begin = fixed;
    struct told *told = told_of(call);

    assert(call->id != 0 || link->down);
    if (link->down)
        return;
    switch (type) {
    case STORE_DELIVER_BEGIN:
        assert(fixed_length == sizeof(*begin) && rest != NULL && !told->begun);
        assert(begin->count >= 1 && begin->count <= STORE_RECIPIENTS_MAX);
        assert(rest_length == begin->count * sizeof(struct store_recipient));
        told->begun = true;
        told->recipients = begin->count;
        break;
    case STORE_DELIVER_DATA: take_body(told, fixed, fixed_length); break;
    case STORE_DELIVER_ABORT:
        assert(told->begun && !told->committed);
        told_clear(told);
        break;
    default: abort();
    }
}

/* What is committed is in stored form, and as long as it is told. */
static void check_message(const struct told *told, const struct store_deliver_commit *commit)
{
    const char *body = told->body;
    size_t stuffed = 0;
    bool start = true;

    for (size_t i = 0; i < told->length; i++) {
        if (body[i] == '\r')
            assert(i + 1 < told->length && body[i + 1] == '\n');
        if (body[i] == '\n')
            assert(i > 0 && body[i - 1] == '\r');
        if (start && body[i] == '.') {
            assert(i + 1 < told->length && body[i + 1] == '.');
            stuffed++;
        }
        start = body[i] == '\n';
    }
    assert(start && told->length > 0);
    assert(commit->octets == told->length - stuffed);
    assert(commit->top_length <= told->length && commit->time == 0);
    const struct store_surrogate surrogate = surrogate_measured(body, told->length);
    assert(memcmp(&surrogate, &commit->surrogate, sizeof(surrogate)) == 0);
    /* What is in front of the client's own is Bellhop's. */
    assert(told->length > 13 && memcmp(body, "Return-Path: ", 13) == 0);
}

void store_link_ask(struct store_link *link, struct store_call *call, enum store_type type,
                    const void *payload, size_t length)
{
    struct told *told = told_of(call);

    assert(call->id != 0 && !link->down && payload != NULL);
    switch (type) {
    case STORE_USAGE:
        assert(length == sizeof(struct store_mailbox_id) && !told->begun);
        told->usage = true;
        break;
    case STORE_DELIVER_COMMIT:
        assert(length == sizeof(struct store_deliver_commit) && told->begun && !told->committed);
        check_message(told, payload);
        told->committed = true;
        break;
    default: abort();
    }
}

void store_link_forget(struct store_link *link, struct store_call *call)
{
    if (call->id == 0)
        return;
    HASH_DEL(link->calls, call);
    told_clear(told_of(call));
    call->id = 0;
}

bool store_link_full(const struct store_link *link)
{
    return link->full;
}

void store_link_wait(struct store_link *link, struct store_waiter *waiter,
                     void (*ready)(struct store_waiter *waiter))
{
    assert(link->waiter == NULL);
    waiter->ready = ready;
    link->waiter = waiter;
}

void store_link_wait_end(struct store_link *link, struct store_waiter *waiter)
{
    if (link->waiter == waiter)
        link->waiter = NULL;
}

static void answer(struct store_call *call, uint8_t type, const void *payload, size_t length)
{
    struct channel_message message = {type, call->id, payload, length};

    HASH_DEL(store.calls, call);
    call->id = 0;
    assert(call->answer(call, &message) == 0);
}

static void answer_commit(struct store_call *call)
{
    static const uint8_t results[] = {STORE_OK,         STORE_OVER_QUOTA, STORE_TOO_LARGE,
                                      STORE_NO_MAILBOX, STORE_BUSY,       STORE_FULL,
                                      STORE_BROKEN};
    struct told *told = told_of(call);
    uint32_t count = told->recipients;
    struct store_delivered *delivered = xcalloc(count, sizeof(*delivered));

    told_clear(told);
    for (uint32_t i = 0; i < count; i++)
        delivered[i].result = results[script_draw(&script, sizeof(results))];
    answer(call, STORE_DELIVERED, delivered, count * sizeof(*delivered));
    free(delivered);
}

static void answer_usage(struct store_call *call)
{
    const struct store_usage_is usages[] = {{10, 1}, {100000, 10}, {60000, 6}};

    told_clear(told_of(call));
    answer(call, STORE_USAGE_IS, &usages[script_draw(&script, 3)], sizeof(usages[0]));
}

/* The first that waits for one. Returns whether there is such. */
static bool answer_one(void)
{
    struct store_call *call, *next;

    HASH_ITER (hh, store.calls, call, next) {
        if (told_of(call)->committed)
            answer_commit(call);
        else if (told_of(call)->usage)
            answer_usage(call);
        else
            continue;
        return true;
    }
    return false;
}

static void lose_store(void)
{
    store.down = true;
    while (store.calls != NULL) {
        struct store_call *call = store.calls;
        HASH_DEL(store.calls, call);
        told_clear(told_of(call));
        call->id = 0;
        assert(call->answer(call, NULL) == 0);
    }
    store.down = false;
}

static void make_room(void)
{
    struct store_waiter *waiter = store.waiter;

    store.full = false;
    store.waiter = NULL;
    if (waiter != NULL)
        waiter->ready(waiter);
}

/* --- what the client hears */

static char code[4]; /* of the reply whose lines are coming; empty: none */

static void hear_line(const char *line, size_t length)
{
    assert(length >= 4 && length <= 510);
    assert(line[0] >= '2' && line[0] <= '5' && isdigit((unsigned char)line[1]) &&
           isdigit((unsigned char)line[2]));
    assert(line[3] == ' ' || line[3] == '-');
    assert(code[0] == '\0' || memcmp(code, line, 3) == 0);
    for (size_t i = 0; i < length; i++)
        assert((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
    memcpy(code, line, 3);
    if (line[3] == ' ')
        code[0] = '\0';
}

static void hear(struct evbuffer *output)
{
    size_t length;
    char *line;

    while ((line = evbuffer_readln(output, &length, EVBUFFER_EOL_CRLF_STRICT)) != NULL) {
        hear_line(line, length);
        free(line);
    }
    assert(evbuffer_get_length(output) == 0 && code[0] == '\0');
}

/* --- the session */

static struct conf conf;
static struct server server;

int LLVMFuzzerInitialize(const int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    conf_default(&conf);
    memcpy(conf.hostname, "mx.example", sizeof("mx.example"));
    return 0;
}

static void on_resume(void *context)
{
    (void)context;
}

/* Gives the session what it has not taken yet. */
static void feed(struct session *session, struct evbuffer *input)
{
    size_t length = evbuffer_get_length(input);
    char *copy = xmalloc(length);

    evbuffer_copyout(input, copy, length);
    size_t used = session_input(session, copy, length);
    assert(used <= length);
    evbuffer_drain(input, used);
    free(copy);
}

/* What may happen between two pieces of input. */
static void stored_moves(void)
{
    switch (script_draw(&script, 8)) {
    case 1: break; /* it takes its time */
    case 2: store.full = true; break;
    case 7: lose_store(); break;
    default: make_room(); answer_one();
    }
}

static void settle(struct session *session, struct evbuffer *input)
{
    feed(session, input);
    while (session_waiting(session)) {
        bool moved = store.full || answer_one();
        make_room();
        assert(moved);
        feed(session, input);
    }
}

static void run(struct session *session, struct evbuffer *output, const uint8_t *data, size_t size)
{
    struct evbuffer *input = evbuffer_new();

    while (size > 0 && !session_left(session)) {
        size_t piece = script_piece(&script, data, size);
        evbuffer_add(input, data, piece);
        data += piece;
        size -= piece;
        feed(session, input);
        stored_moves();
        feed(session, input);
        if (!session_waiting(session))
            hear(output);
    }
    settle(session, input);
    if (script_draw(&script, 2) == 0)
        session_timeout(session);
    if (!session_waiting(session))
        hear(output);
    evbuffer_free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct evbuffer *output = evbuffer_new();

    script_begin(&script, &data, &size);
    store = (struct store_link){0};
    code[0] = '\0';
    server = (struct server){.conf = &conf, .store = &store, .usages = usages_new()};
    struct session *session = session_new(&server, "192.0.2.1", output, on_resume, NULL);
    run(session, output, data, size);
    session_free(session);
    assert(store.calls == NULL && store.waiter == NULL);
    for (unsigned i = 0; i < DELIVERED_MAX; i++)
        told_clear(&store.told[i]);
    usages_free(server.usages);
    evbuffer_free(output);
    return 0;
}
