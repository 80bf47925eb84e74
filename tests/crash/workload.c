#include <event2/event.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "lib/capability.h"
#include "lib/channel.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/index.h"
#include "tests/crash/body.h"
#include "tests/crash/check.h"
#include "tests/crash/disk.h"
#include "tests/crash/expect.h"
#include "tests/crash/service.h"
#include "tests/crash/workload.h"
#include "tests/crash/writer.h"

#define MAILBOXES      12 /* in use at a time; a dropped one is followed by another */
#define RECIPIENTS_MAX 4
#define FLIGHTS_MAX    12 /* deliveries under way */
#define SESSION_MAX    128
#define DELIVER_PEERS  3
#define FRONT_PEERS    2

/* No answer takes more turns of the loop. */
#define TURNS_MAX 200000

struct flight {
    uint32_t id;
    uint64_t serial;
    uint32_t count;
    uint64_t mailboxes[RECIPIENTS_MAX];
    struct peer *peer;
    struct flight *prev, *next;
};

struct session {
    uint32_t id; /* 0: none */
    uint64_t mailbox;
    uint64_t highest; /* uid that was known when it was asked for */
    uint32_t count;
    uint64_t uids[SESSION_MAX];
    uint64_t reads[SESSION_MAX]; /* serials that were asked for and have not come */
    uint32_t read_first, read_last;
    uint32_t request; /* the expunge that runs; 0: none */
};

struct peer {
    enum service_socket socket;
    struct channel *channel;
    struct session session;
};

static struct {
    struct service *service;
    struct random random;
    struct peer deliver[DELIVER_PEERS], front[FRONT_PEERS], control;
    struct flight *flights;
    unsigned flight_count;
    unsigned drops; /* asked, not answered */
    uint64_t again; /* a bit for each mailbox whose drop has to be asked for again */
    uint32_t next_id;
    uint64_t mailboxes[MAILBOXES];
    uint64_t next_mailbox;
} w;

static uint64_t below(uint64_t limit)
{
    return random_below(&w.random, limit);
}

static bool chance(unsigned percent)
{
    return random_chance(&w.random, percent);
}

/* --- what is learned -------------------------------------------------------------------------- */

static int learn_one(void *context, const struct index_message *row)
{
    (void)context;
    if (row->uid < EXPECT_UIDS && !expect.mailboxes[row->mailbox].messages[row->uid].known)
        check_tell(row->mailbox, row->uid, check_message(w.service->store.segments, row),
                   row->time);
    return 0;
}

/* Answers do not tell uids; the index, which the answer comes from, does. */
static void learn(uint64_t mailbox)
{
    const struct index_range all = {mailbox, 1, INT64_MAX, INT64_MAX};

    if (index_each_message(w.service->store.index, &all, learn_one, NULL) != 0)
        expect_fail("the index cannot be read");
}

static bool is_known(uint64_t mailbox, uint64_t serial)
{
    for (uint64_t uid = 1; uid < EXPECT_UIDS; uid++)
        if (expect.mailboxes[mailbox].messages[uid].known &&
            expect.mailboxes[mailbox].messages[uid].serial == serial)
            return true;
    return false;
}

/* --- deliveries ------------------------------------------------------------------------------- */

static void on_delivered(struct peer *peer, const struct channel_message *message)
{
    struct store_delivered results[RECIPIENTS_MAX];
    struct flight *flight;

    DL_FOREACH (w.flights, flight)
        if (flight->peer == peer && flight->id == message->id)
            break;
    if (flight == NULL || message->length != flight->count * sizeof(results[0]))
        expect_fail("an answer to nothing that was asked");
    memcpy(results, message->payload, message->length);
    /* As before anything that somebody asks now. */
    commits_catch_up(w.service->store.commits);
    for (uint32_t i = 0; i < flight->count; i++) {
        const struct expect_mailbox *mailbox = &expect.mailboxes[flight->mailboxes[i]];
        if (results[i].result != STORE_OK) {
            if (results[i].result != STORE_NO_MAILBOX || !mailbox->drop_asked)
                expect_fail("a delivery is refused with %u", results[i].result);
            continue;
        }
        if (mailbox->dropped)
            expect_fail("a dropped mailbox takes mail");
        learn(flight->mailboxes[i]);
        if (!mailbox->drop_asked && !is_known(flight->mailboxes[i], flight->serial))
            expect_fail("message %llu is acknowledged and not in the index",
                        (unsigned long long)flight->serial);
    }
    DL_DELETE(w.flights, flight);
    w.flight_count--;
    free(flight);
}

static size_t choose_length(void)
{
    uint64_t kind = below(100);

    if (kind < 65)
        return BODY_LENGTH_MIN + (size_t)below(6000);
    if (kind < 83)
        return BODY_LENGTH_MIN + (size_t)below(40000);
    if (kind < 98)
        return BODY_LENGTH_MIN + 40000 + (size_t)below(200000);
    return (1 << 20) + (size_t)below(200000); /* a segment of its own */
}

static void begin(struct flight *flight, size_t length)
{
    struct {
        struct store_deliver_begin begin;
        struct store_recipient recipients[RECIPIENTS_MAX];
    } message = {.begin = {.count = flight->count, .size = chance(50) ? length : 0}};

    for (uint32_t i = 0; i < flight->count; i++)
        message.recipients[i] =
            (struct store_recipient){flight->mailboxes[i], UINT64_MAX, UINT64_MAX, UINT64_MAX};
    channel_send(flight->peer->channel, STORE_DELIVER_BEGIN, flight->id, &message,
                 sizeof(message.begin) + flight->count * sizeof(message.recipients[0]), NULL, 0);
}

static void send_body(const struct flight *flight, size_t length)
{
    uint8_t *body = xmalloc(length);

    body_make(flight->serial, body, length);
    for (size_t done = 0; done < length;) {
        size_t part = 1 + (size_t)below(CHANNEL_PAYLOAD_MAX);
        part = part < length - done ? part : length - done;
        channel_send(flight->peer->channel, STORE_DELIVER_DATA, flight->id, body + done, part, NULL,
                     0);
        done += part;
    }
    free(body);
}

static void choose_recipients(struct flight *flight)
{
    uint64_t first = below(MAILBOXES);

    flight->count = chance(70) ? 1 : 1 + (uint32_t)below(RECIPIENTS_MAX);
    for (uint32_t i = 0; i < flight->count; i++)
        flight->mailboxes[i] = w.mailboxes[(first + i) % MAILBOXES];
}

static void deliver(void)
{
    struct flight *flight = xcalloc(1, sizeof(*flight));
    size_t length = choose_length();
    uint64_t mailboxes = 0;

    flight->peer = &w.deliver[below(DELIVER_PEERS)];
    flight->id = w.next_id++;
    flight->serial = expect.next_serial;
    choose_recipients(flight);
    begin(flight, length);
    send_body(flight, length);
    if (chance(4)) {
        /* The sender thinks better of it: this must never be seen. */
        channel_send(flight->peer->channel, STORE_DELIVER_ABORT, flight->id, NULL, 0, NULL, 0);
        free(flight);
        return;
    }
    struct store_deliver_commit end = {.octets = length,
                                       .top_length = BODY_TOP_LENGTH,
                                       .surrogate = body_surrogate(flight->serial)};
    channel_send(flight->peer->channel, STORE_DELIVER_COMMIT, flight->id, &end, sizeof(end), NULL,
                 0);
    for (uint32_t i = 0; i < flight->count; i++)
        mailboxes |= UINT64_C(1) << flight->mailboxes[i];
    expect_event(TRACE_SENT, flight->serial, length, mailboxes);
    DL_APPEND(w.flights, flight);
    w.flight_count++;
}

/* --- sessions --------------------------------------------------------------------------------- */

static void open_session(struct peer *peer)
{
    struct session *session = &peer->session;
    struct store_open open = {.capability = {.mailbox = w.mailboxes[below(MAILBOXES)],
                                             .session = 1,
                                             .expires = (uint64_t)time(NULL) + 1000}};

    memset(session, 0, sizeof(*session));
    session->id = w.next_id++;
    session->mailbox = open.capability.mailbox;
    session->highest = expect.mailboxes[session->mailbox].highest;
    capability_seal(&open.capability, w.service->store.key);
    channel_send(peer->channel, STORE_OPEN, session->id, &open, sizeof(open), NULL, 0);
}

static void close_session(struct peer *peer)
{
    channel_send(peer->channel, STORE_CLOSE, peer->session.id, NULL, 0, NULL, 0);
    peer->session.id = 0;
}

static void on_entries(struct session *session, const struct channel_message *message)
{
    struct store_entry entry;

    for (size_t at = 0; at < message->length; at += sizeof(entry)) {
        memcpy(&entry, (const uint8_t *)message->payload + at, sizeof(entry));
        if (session->count == SESSION_MAX)
            expect_fail("the harness cannot remember so many messages of a session");
        const struct expect_message *known =
            &expect.mailboxes[session->mailbox].messages[entry.uid % EXPECT_UIDS];
        if (known->known && known->time != 0 && known->time != entry.time)
            expect_fail("a message's unique-id is another one");
        session->uids[session->count++] = entry.uid;
    }
}

static void read_some(struct peer *peer)
{
    struct session *session = &peer->session;

    for (uint64_t number = below(4); number > 0; number--) {
        struct store_read request = {.message = (uint32_t)below(session->count),
                                     .room = STORE_READ_MAX,
                                     .place = STORE_NO_PLACE};
        uint64_t uid = session->uids[request.message];
        session->reads[session->read_last++] =
            expect.mailboxes[session->mailbox].messages[uid].serial;
        channel_send(peer->channel, STORE_READ, session->id, &request, sizeof(request), NULL, 0);
    }
}

static void expunge_some(struct peer *peer)
{
    static const unsigned shares[] = {10, 50, 90, 100};
    struct session *session = &peer->session;
    uint32_t indexes[SESSION_MAX], count = 0;
    unsigned percent = shares[below(4)];

    session->request = expect.next_request;
    for (uint32_t i = 0; i < session->count; i++) {
        if (!chance(percent))
            continue;
        indexes[count++] = i;
        expect_event(TRACE_EXPUNGE_ASKED, session->mailbox, session->uids[i], session->request);
    }
    if (count == 0)
        session->request = 0;
    else
        channel_send(peer->channel, STORE_EXPUNGE, session->id, indexes, count * sizeof(indexes[0]),
                     NULL, 0);
}

/* Where an expunge was asked and nobody waited for its answer, either may be. */
static bool must_list(const struct session *session, uint64_t uid)
{
    const struct expect_message *message = &expect.mailboxes[session->mailbox].messages[uid];

    return uid <= session->highest && message->known && !message->gone && message->request == 0;
}

static void check_list(const struct session *session)
{
    const struct expect_mailbox *mailbox = &expect.mailboxes[session->mailbox];
    uint64_t missing = 0;

    for (uint64_t uid = 1; uid < EXPECT_UIDS; uid++)
        missing += must_list(session, uid);
    for (uint32_t i = 0; i < session->count; i++) {
        if (session->uids[i] >= EXPECT_UIDS || mailbox->messages[session->uids[i]].gone)
            expect_fail("a session lists what was expunged");
        missing -= must_list(session, session->uids[i]);
    }
    if (missing != 0)
        expect_fail("a session does not list all that is there");
}

/* All that was asked for has been read. */
static void end_session(struct peer *peer)
{
    struct session *session = &peer->session;

    if (session->count > 0 && chance(70))
        expunge_some(peer);
    /* Some do not wait for the answer. */
    if (session->request == 0 || chance(10))
        close_session(peer);
}

static void on_opened(struct peer *peer)
{
    struct session *session = &peer->session;

    learn(session->mailbox);
    check_list(session);
    if (session->count > 0)
        read_some(peer);
    if (session->read_last == 0)
        end_session(peer);
}

static void on_expunged(struct peer *peer)
{
    struct session *session = &peer->session;
    struct expect_mailbox *mailbox = &expect.mailboxes[session->mailbox];

    for (uint32_t i = 0; i < session->count; i++)
        if (mailbox->messages[session->uids[i]].request == session->request)
            expect_event(TRACE_EXPUNGED, session->mailbox, session->uids[i], 0);
    close_session(peer);
}

static void on_data(struct peer *peer, const struct channel_message *message)
{
    struct session *session = &peer->session;
    struct store_data data;

    memcpy(&data, message->payload, sizeof(data));
    uint64_t serial = session->reads[session->read_first++];
    size_t length = (size_t)expect.sent[serial].length, got = message->length - sizeof(data);
    uint8_t *right = xmalloc(length);
    body_make(serial, right, length);
    if (data.length != length || got > length ||
        memcmp(right, (const uint8_t *)message->payload + sizeof(data), got) != 0)
        expect_fail("reading message %llu gives other octets", (unsigned long long)serial);
    free(right);
    if (session->read_first == session->read_last)
        end_session(peer);
}

static void on_refused(struct peer *peer, const struct channel_message *message)
{
    const struct store_failed *failed = message->payload;
    uint8_t result = failed->result;
    const struct session *session = &peer->session;

    if (result != STORE_IN_USE &&
        (result != STORE_NO_MAILBOX || !expect.mailboxes[session->mailbox].drop_asked))
        expect_fail("a session is refused with %u", result);
    peer->session.id = 0;
}

static void on_front(struct peer *peer, const struct channel_message *message)
{
    if (message->id != peer->session.id)
        return; /* closed without waiting */
    switch (message->type) {
    case STORE_OPENING:
    case STORE_GROWTHS:
    case STORE_UNIQUE_IDS: break;
    case STORE_ENTRIES: on_entries(&peer->session, message); break;
    case STORE_OPENED: on_opened(peer); break;
    case STORE_DATA: on_data(peer, message); break;
    case STORE_EXPUNGED: on_expunged(peer); break;
    case STORE_FAILED: on_refused(peer, message); break;
    default: expect_fail("a session gets a message of type %u", message->type);
    }
}

/* --- drops ------------------------------------------------------------------------------------ */

static void ask_drop(uint64_t mailbox)
{
    struct store_mailbox_id id = {mailbox};

    channel_send(w.control.channel, STORE_DROP, (uint32_t)mailbox, &id, sizeof(id), NULL, 0);
    w.drops++;
}

static void drop(void)
{
    uint64_t which = below(MAILBOXES);

    if (w.next_mailbox == EXPECT_MAILBOXES)
        return;
    expect_event(TRACE_DROP_ASKED, w.mailboxes[which], 0, 0);
    ask_drop(w.mailboxes[which]);
    w.mailboxes[which] = w.next_mailbox++;
}

static void on_control(const struct channel_message *message)
{
    w.drops--;
    if (message->type == STORE_DROPPED) {
        expect_event(TRACE_DROPPED, message->id, 0, 0);
    } else if (*(const uint8_t *)message->payload == STORE_IN_USE) {
        w.again |= UINT64_C(1) << message->id;
    } else {
        expect_fail("a drop is refused");
    }
}

/* A session had it open: as admin does, until it is free. */
static void drop_again(void)
{
    for (uint64_t mailbox = 1; w.again != 0 && mailbox < EXPECT_MAILBOXES; mailbox++)
        if ((w.again >> mailbox & 1) != 0) {
            w.again &= ~(UINT64_C(1) << mailbox);
            ask_drop(mailbox);
        }
}

/* --- the peers -------------------------------------------------------------------------------- */

static int on_message(void *context, const struct channel_message *message)
{
    struct peer *peer = context;

    switch (peer->socket) {
    case SERVICE_DELIVER: on_delivered(peer, message); break;
    case SERVICE_FRONT: on_front(peer, message); break;
    case SERVICE_CONTROL: on_control(message); break;
    }
    return 0;
}

static void on_closed(void *context)
{
    (void)context;
    expect_fail("stored closes a connection");
}

static void join(struct peer *peer, enum service_socket which)
{
    static const struct channel_events events = {.message = on_message, .closed = on_closed};

    peer->socket = which;
    memset(&peer->session, 0, sizeof(peer->session));
    peer->channel = channel_new(w.service->child.base, service_connect(which), &events, peer);
}

/* A front or a sender dies: what it had under way may have happened or not. */
static void leave_and_join(void)
{
    struct peer *peer =
        chance(50) ? &w.deliver[below(DELIVER_PEERS)] : &w.front[below(FRONT_PEERS)];
    struct flight *flight, *next;

    DL_FOREACH_SAFE(w.flights, flight, next)
    if (flight->peer == peer) {
        DL_DELETE(w.flights, flight);
        w.flight_count--;
        free(flight);
    }
    channel_free(peer->channel);
    join(peer, peer->socket);
}

static void begin_session(void)
{
    struct peer *peer = &w.front[below(FRONT_PEERS)];

    if (peer->session.id == 0)
        open_session(peer);
}

static void turn(unsigned writer_calls)
{
    drop_again();
    event_base_loop(w.service->child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    writer_let(writer_calls);
    disk_pass(below(4) > 0 ? below(2000) : below(30000));
}

static bool is_busy(void)
{
    bool busy = w.flights != NULL || w.drops > 0 || w.again != 0;

    for (int i = 0; i < FRONT_PEERS; i++)
        busy = busy || w.front[i].session.id != 0;
    return busy || commits_waiting(w.service->store.commits) > 0;
}

static void step(void)
{
    uint64_t kind = below(1000);

    if (kind < 600) {
        if (w.flight_count < FLIGHTS_MAX)
            deliver();
    } else if (kind < 850) {
        begin_session();
    } else if (kind < 856) {
        drop();
    } else if (kind < 866) {
        leave_and_join();
    } else if (kind < 880) {
        /* Seconds, for what is done at leisure and tried again later. */
        disk_pass(1000000 * below(12));
    }
    for (uint64_t turns = below(6); turns > 0; turns--)
        turn((unsigned)below(8));
}

/* Mailboxes that nobody has asked to drop, those of the trace's first life first. */
static void choose_mailboxes(void)
{
    w.next_mailbox = 1;
    for (size_t i = 0; i < MAILBOXES; i++) {
        while (w.next_mailbox + 1 < EXPECT_MAILBOXES && expect.mailboxes[w.next_mailbox].drop_asked)
            w.next_mailbox++;
        w.mailboxes[i] = w.next_mailbox++;
    }
}

void workload_run(struct service *service, struct random random, unsigned steps)
{
    w.service = service;
    w.random = random;
    w.next_id = 1;
    choose_mailboxes();
    sqlite3_wal_autocheckpoint(service->index, 8 + (int)below(300));
    for (int i = 0; i < DELIVER_PEERS; i++)
        join(&w.deliver[i], SERVICE_DELIVER);
    for (int i = 0; i < FRONT_PEERS; i++)
        join(&w.front[i], SERVICE_FRONT);
    join(&w.control, SERVICE_CONTROL);
    for (unsigned i = 0; i < steps; i++)
        step();
}

void workload_interrupt(void)
{
    for (int i = 0; i < 40 && !writer_is_busy(); i++) {
        if (w.flight_count < FLIGHTS_MAX)
            deliver();
        turn(0);
    }
    writer_let(1 + (unsigned)below(3));
}

void workload_end(void)
{
    unsigned turns = 0;

    while (is_busy() && turns++ < TURNS_MAX)
        turn(8);
    if (is_busy())
        expect_fail("stored does not answer");
    for (int i = 0; i < DELIVER_PEERS; i++)
        channel_free(w.deliver[i].channel);
    for (int i = 0; i < FRONT_PEERS; i++)
        channel_free(w.front[i].channel);
    channel_free(w.control.channel);
    for (int i = 0; i < 60; i++)
        turn(8);
    service_drain(w.service);
    while (commits_waiting(w.service->store.commits) > 0 && turns++ < TURNS_MAX)
        turn(8);
}
