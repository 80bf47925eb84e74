#include <errno.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "admin/authlink.h"
#include "db/event.h"
#include "db/issuer.h"
#include "db/note.h"
#include "db/transaction.h"
#include "lib/authmsg.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/reconnect.h"
#include "lib/xalloc.h"

#define CONTROL_PATH "run/auth-control.sock"

/* In ms: until a batch that could not be written is tried again. */
#define BUSY_PAUSE   50
#define BROKEN_PAUSE 5000

/* Seconds: whoever asks for /readyz wants to know by then. */
#define PING_TIME 2

/* Seconds from one try to fetch an issuer's keys to the next that a token may bring about. */
#define WANTED_EVERY 60

/* One thing to be written. */
struct note {
    uint8_t type;
    union {
        struct db_event event;
        struct auth_upgrade upgrade;
        struct auth_scram scram;
        struct auth_used used;
        struct auth_wanted wanted;
    };
};

/* Somebody who wants to know whether authd answers. */
struct waiter {
    struct waiter *prev;
    struct waiter *next;
    struct authlink *link;
    struct authlink_caller caller;
    struct event *late;
};

struct authlink {
    struct event_base *base;
    struct db *db;
    struct channel *channel; /* NULL: not connected */
    struct reconnect *reconnect;
    struct waiter *waiters;
    bool replaced; /* another admin writes */
    uint32_t id;   /* of the batch that is whole and not written yet */
    struct event *again;
    struct event *late;          /* pending: it is to end */
    void (*done)(void *context); /* it is to end; NULL: it is not */
    void *context;
    unsigned count;
    struct note notes[AUTH_BATCH_MAX];
};

/* --- what comes */

static int take_text(char *text_r, size_t size, const char **at, size_t length, const char *end)
{
    if (length >= size || length > (size_t)(end - *at) || memchr(*at, '\0', length) != NULL)
        return -1;
    memcpy(text_r, *at, length);
    text_r[length] = '\0';
    *at += length;
    return 0;
}

static int take_event(struct note *note, const struct channel_message *message)
{
    struct auth_event fixed;
    struct db_event *event = &note->event;

    if (message->length < sizeof(fixed))
        return -1;
    memcpy(&fixed, message->payload, sizeof(fixed));
    const char *at = (const char *)message->payload + sizeof(fixed);
    const char *end = (const char *)message->payload + message->length;
    const struct {
        char *text;
        size_t size;
    } texts[AUTH_TEXT__MAX] = {
        [AUTH_TEXT_ADDRESS] = {event->address, sizeof(event->address)},
        [AUTH_TEXT_REMOTE] = {event->remote, sizeof(event->remote)},
        [AUTH_TEXT_PROTOCOL] = {event->protocol, sizeof(event->protocol)},
        [AUTH_TEXT_MECHANISM] = {event->mechanism, sizeof(event->mechanism)},
        [AUTH_TEXT_CREDENTIAL] = {event->credential, sizeof(event->credential)},
        [AUTH_TEXT_REASON] = {event->reason, sizeof(event->reason)},
    };
    for (unsigned i = 0; i < AUTH_TEXT__MAX; i++)
        if (take_text(texts[i].text, texts[i].size, &at, fixed.lengths[i], end) < 0)
            return -1;
    event->id = fixed.id;
    event->time = fixed.time;
    event->count = fixed.count;
    event->customer = fixed.customer;
    event->mailbox = fixed.mailbox;
    event->kind = (enum db_event_kind)fixed.kind;
    return at == end && fixed.kind < DB_EVENT__MAX && fixed.id > 0 && fixed.id < INT64_MAX &&
                   fixed.count > 0
               ? 0
               : -1;
}

static int take_fixed(void *fixed_r, size_t size, const struct channel_message *message)
{
    if (message->length != size)
        return -1;
    memcpy(fixed_r, message->payload, size);
    return 0;
}

static bool is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

/* Returns 0, or -1 for what is not as lib/authmsg.h has it. */
static int take_note(struct note *note, const struct channel_message *message)
{
    note->type = message->type;
    switch (message->type) {
    case AUTH_EVENT: return take_event(note, message);
    case AUTH_UPGRADE:
        return take_fixed(&note->upgrade, sizeof(note->upgrade), message) == 0 &&
                       is_text(note->upgrade.old_hash, AUTH_HASH_SIZE) &&
                       is_text(note->upgrade.new_hash, AUTH_HASH_SIZE)
                   ? 0
                   : -1;
    case AUTH_SCRAM:
        return take_fixed(&note->scram, sizeof(note->scram), message) == 0 &&
                       is_text(note->scram.hash, AUTH_HASH_SIZE) &&
                       is_text(note->scram.keys, AUTH_HASH_SIZE)
                   ? 0
                   : -1;
    case AUTH_USED:
        return take_fixed(&note->used, sizeof(note->used), message) == 0 &&
                       is_text(note->used.remote, sizeof(note->used.remote))
                   ? 0
                   : -1;
    case AUTH_WANTED: return take_fixed(&note->wanted, sizeof(note->wanted), message);
    default: return -1;
    }
}

/* --- what is written */

static enum db_result write_note(struct db *db, const struct note *note)
{
    switch (note->type) {
    case AUTH_EVENT: return db_event_write(db, &note->event);
    case AUTH_UPGRADE:
        return db_note_upgrade(db, note->upgrade.customer, note->upgrade.mailbox,
                               note->upgrade.old_hash, note->upgrade.new_hash);
    case AUTH_SCRAM:
        return db_note_scram(db, note->scram.customer, note->scram.mailbox, note->scram.hash,
                             note->scram.keys);
    case AUTH_WANTED: {
        const uint64_t now = (uint64_t)time(NULL);
        return db_issuer_wanted(db, note->wanted.customer, note->wanted.issuer, now,
                                now - WANTED_EVERY);
    }
    default:
        return db_note_used(db, note->used.customer, note->used.app_password, note->used.time,
                            note->used.remote);
    }
}

/* What is out of date is not written, and no failure. */
static enum db_result write_all(struct authlink *link)
{
    enum db_result result = db_transaction_begin(link->db);

    for (unsigned i = 0; i < link->count && result == DB_OK; i++) {
        result = write_note(link->db, &link->notes[i]);
        if (result == DB_NONE || result == DB_TAKEN)
            result = DB_OK;
    }
    if (result == DB_OK)
        return db_transaction_commit(link->db);
    db_transaction_rollback(link->db);
    return result;
}

static void forget_batch(struct authlink *link)
{
    sodium_memzero(link->notes, link->count * sizeof(link->notes[0]));
    link->count = 0;
    event_del(link->again);
}

static void write_batch(struct authlink *link)
{
    enum db_result result = write_all(link);

    if (result == DB_OK) {
        forget_batch(link);
        channel_send(link->channel, AUTH_WRITTEN, link->id, NULL, 0, NULL, 0);
        return;
    }
    int pause = result == DB_BUSY ? BUSY_PAUSE : BROKEN_PAUSE;
    const struct timeval delay = {.tv_sec = pause / 1000, .tv_usec = pause % 1000 * 1000};
    event_add(link->again, &delay);
}

static void on_again(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    write_batch(context);
}

/* --- who asks whether it answers */

static void waiter_end(struct waiter *waiter, bool answered)
{
    const struct authlink_caller caller = waiter->caller;

    DL_DELETE(waiter->link->waiters, waiter);
    event_free(waiter->late);
    free(waiter);
    caller.done(caller.context, answered);
}

static void tell_waiters(struct authlink *link, bool answered)
{
    struct waiter *waiter, *next;

    DL_FOREACH_SAFE(link->waiters, waiter, next)
    waiter_end(waiter, answered);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    waiter_end(context, false);
}

/* A new connection begins with the same question, so who waits is answered by the next one too. */
void authlink_ping(struct authlink *link, struct authlink_caller caller)
{
    static const struct timeval patience = {.tv_sec = PING_TIME};
    struct waiter *waiter = xcalloc(1, sizeof(*waiter));

    waiter->link = link;
    waiter->caller = caller;
    waiter->late = evtimer_new(link->base, on_late, waiter);
    if (waiter->late == NULL || event_add(waiter->late, &patience) < 0)
        log_fatal("cannot make a timer: out of memory");
    if (link->channel != NULL && link->waiters == NULL)
        channel_send(link->channel, AUTH_PING, 0, NULL, 0, NULL, 0);
    DL_APPEND(link->waiters, waiter);
}

void authlink_settle(struct authlink *link)
{
    tell_waiters(link, false);
}

/* --- the connection */

static void end_drain(struct authlink *link)
{
    void (*done)(void *context) = link->done;

    link->done = NULL;
    if (done != NULL)
        done(link->context);
}

static int on_message(void *context, const struct channel_message *message)
{
    struct authlink *link = context;

    reconnect_heard(link->reconnect);
    if (message->type == AUTH_PONG && message->length == 0) {
        tell_waiters(link, true);
        return 0;
    }
    if (event_pending(link->again, EV_TIMEOUT, NULL) != 0 && message->type != AUTH_TAKEN)
        return -1;
    switch (message->type) {
    case AUTH_TAKEN:
        link->replaced = true;
        end_drain(link);
        return 0;
    case AUTH_BATCH:
        link->id = message->id;
        write_batch(link);
        return 0;
    default:
        if (link->count == AUTH_BATCH_MAX)
            return -1;
        link->replaced = false;
        return take_note(&link->notes[link->count++], message);
    }
}

static void on_closed(void *context)
{
    struct authlink *link = context;

    forget_batch(link);
    channel_free(link->channel);
    link->channel = NULL;
    if (link->done != NULL)
        end_drain(link);
    else
        reconnect_again(link->reconnect);
}

static const struct channel_events channel_events = {.message = on_message, .closed = on_closed};

static int connect_to_authd(void *context)
{
    struct authlink *link = context;

    link->channel = channel_connect(link->base, CONTROL_PATH, &channel_events, link);
    if (link->channel == NULL)
        return -1;
    link->replaced = false;
    channel_send(link->channel, AUTH_PING, 0, NULL, 0, NULL, 0);
    channel_send(link->channel, AUTH_TAKE, 0, NULL, 0, NULL, 0);
    return 0;
}

/* Nobody waits here for authd: it is waited for on. */
static void on_away(void *context)
{
    (void)context;
}

static const struct reconnect_events reconnect_events = {.connect = connect_to_authd,
                                                         .away = on_away};

struct authlink *authlink_new(struct event_base *base, struct db *notes)
{
    struct authlink *link = xcalloc(1, sizeof(*link));

    link->base = base;
    link->db = notes;
    link->again = evtimer_new(base, on_again, link);
    if (link->again == NULL)
        log_fatal("out of memory");
    link->reconnect = reconnect_new(base, CONTROL_PATH, &reconnect_events, link);
    return link;
}

void authlink_free(struct authlink *link)
{
    if (link == NULL)
        return;
    authlink_settle(link);
    forget_batch(link);
    reconnect_free(link->reconnect);
    channel_free(link->channel);
    event_free(link->again);
    free(link);
}

void authlink_drain(struct authlink *link, void (*done)(void *context), void *context)
{
    link->done = done;
    link->context = context;
    if (link->channel == NULL || link->replaced)
        end_drain(link);
}
