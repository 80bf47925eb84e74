#include <event2/event.h>
#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "authd/report.h"
#include "lib/address.h"
#include "lib/authmsg.h"
#include "lib/channel.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"

/* An event as it travels, with texts of the greatest length. */
struct event_message {
    struct auth_event event;
    char texts[ADDRESS_MAX + AUTH_REMOTE_MAX + AUTH_PROTOCOL_MAX + AUTH_MECHANISM_MAX +
               AUTH_CREDENTIAL_MAX + AUTH_REASON_MAX];
};

/* The same event has the same octets from `kind` to the end of its texts. */
#define KEY_OFFSET offsetof(struct auth_event, kind)

/* Where an item is; each has a list, in the order in which they came there. */
enum item_state {
    ITEM_WAITING,
    ITEM_SENT,    /* in the batch that has not been answered */
    ITEM_CHANGED, /* an event that has been written, and happened again */
    ITEM_WRITTEN, /* an event that may happen again */
    ITEM__STATES
};

struct item {
    struct item *prev;
    struct item *next;
    UT_hash_handle hh; /* of an event that can be found */
    uint64_t order;    /* in which it began to wait */
    enum item_state state;
    enum auth_type type;
    bool counted; /* it can be found, and is counted when it happens again */
    bool again;   /* it has happened since it was sent */
    size_t length;
    _Alignas(uint64_t) uint8_t payload[];
};

struct report {
    struct channel *writer; /* NULL: nobody writes */
    struct item *events;    /* that can be found */
    struct item *lists[ITEM__STATES];
    unsigned counts[ITEM__STATES];
    uint64_t last_order;
    uint64_t urgent;  /* up to this order nothing waits for the delay */
    uint64_t last_id; /* of an event */
    uint32_t batch;   /* the last one that was sent */
    struct event *delay;
    struct event *repeat;
    void (*written)(void *context);
    void *context;
    uint8_t key[crypto_shorthash_KEYBYTES]; /* nobody can make names that collide */
};

/* --- items */

static void list_add(struct report *report, struct item *item, enum item_state state)
{
    item->state = state;
    DL_APPEND(report->lists[state], item);
    report->counts[state]++;
}

static void list_remove(struct report *report, struct item *item)
{
    DL_DELETE(report->lists[item->state], item);
    report->counts[item->state]--;
}

static void move(struct report *report, struct item *item, enum item_state state)
{
    list_remove(report, item);
    list_add(report, item, state);
}

static void forget(struct report *report, struct item *item)
{
    if (item->counted)
        HASH_DEL(report->events, item);
    item->counted = false;
}

static void item_free(struct report *report, struct item *item)
{
    forget(report, item);
    list_remove(report, item);
    if (item->type != AUTH_EVENT) /* they hold hashes */
        sodium_memzero(item->payload, item->length);
    free(item);
}

/* What is being written is not dropped, and is less than there is room for. */
static void make_room(struct report *report)
{
    static const enum item_state order[] = {ITEM_WRITTEN, ITEM_CHANGED, ITEM_WAITING};

    if (report->counts[ITEM_WAITING] + report->counts[ITEM_SENT] + report->counts[ITEM_CHANGED] +
            report->counts[ITEM_WRITTEN] <
        REPORT_ITEMS_MAX)
        return;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (report->lists[order[i]] == NULL)
            continue;
        if (order[i] != ITEM_WRITTEN)
            metric_add(METRIC_AUTH_EVENTS_DROPPED, 1);
        item_free(report, report->lists[order[i]]);
        return;
    }
}

static struct item *item_new(enum auth_type type, const void *payload, size_t length)
{
    struct item *item = xmalloc(sizeof(*item) + length);

    memset(item, 0, sizeof(*item));
    item->type = type;
    item->length = length;
    memcpy(item->payload, payload, length);
    return item;
}

/* --- batches */

static void schedule(struct event *timer, time_t seconds, suseconds_t microseconds)
{
    const struct timeval delay = {.tv_sec = seconds, .tv_usec = microseconds};

    if (event_pending(timer, EV_TIMEOUT, NULL) == 0 && event_add(timer, &delay) < 0)
        log_fatal("cannot set a timer: out of memory");
}

static void send_batch(struct report *report)
{
    if (report->writer == NULL || report->lists[ITEM_SENT] != NULL ||
        report->lists[ITEM_WAITING] == NULL)
        return;
    report->batch++;
    for (unsigned i = 0; i < AUTH_BATCH_MAX && report->lists[ITEM_WAITING] != NULL; i++) {
        struct item *item = report->lists[ITEM_WAITING];
        move(report, item, ITEM_SENT);
        item->again = false;
        channel_send(report->writer, (uint8_t)item->type, report->batch, item->payload,
                     item->length, NULL, 0);
    }
    channel_send(report->writer, AUTH_BATCH, report->batch, NULL, 0, NULL, 0);
}

/* Now where it is urgent or enough for a batch, else after the delay. */
static void send_soon(struct report *report)
{
    const struct item *first = report->lists[ITEM_WAITING];

    if (first == NULL)
        return;
    if (first->order <= report->urgent || report->counts[ITEM_WAITING] >= AUTH_BATCH_MAX)
        send_batch(report);
    else
        schedule(report->delay, 0, REPORT_DELAY_MS * 1000);
}

static void on_delay(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    send_batch(context);
}

static void wait_to_be_sent(struct report *report, struct item *item)
{
    item->order = ++report->last_order;
    list_add(report, item, ITEM_WAITING);
}

/* What has been counted up is to be written. */
static void send_changed(struct report *report)
{
    while (report->lists[ITEM_CHANGED] != NULL) {
        struct item *item = report->lists[ITEM_CHANGED];
        list_remove(report, item);
        wait_to_be_sent(report, item);
    }
    event_del(report->repeat);
}

static void on_repeat(evutil_socket_t fd, short what, void *context)
{
    struct report *report = context;
    (void)fd;
    (void)what;

    send_changed(report);
    send_soon(report);
}

static void change(struct report *report, struct item *item)
{
    move(report, item, ITEM_CHANGED);
    schedule(report->repeat, REPORT_REPEAT_SECONDS, 0);
}

int report_written(struct report *report, uint32_t batch)
{
    if (batch != report->batch || report->lists[ITEM_SENT] == NULL)
        return -1;
    while (report->lists[ITEM_SENT] != NULL) {
        struct item *item = report->lists[ITEM_SENT];
        if (item->again)
            change(report, item);
        else if (item->counted)
            move(report, item, ITEM_WRITTEN);
        else
            item_free(report, item);
    }
    if (report->written != NULL)
        report->written(report->context);
    send_soon(report);
    return 0;
}

void report_set_writer(struct report *report, struct channel *channel)
{
    struct item *sent = report->lists[ITEM_SENT];
    struct item *item;

    report->writer = channel;
    /* Before those that have come since. */
    DL_FOREACH (sent, item) {
        item->state = ITEM_WAITING;
    }
    DL_CONCAT(sent, report->lists[ITEM_WAITING]);
    report->lists[ITEM_WAITING] = sent;
    report->lists[ITEM_SENT] = NULL;
    report->counts[ITEM_WAITING] += report->counts[ITEM_SENT];
    report->counts[ITEM_SENT] = 0;
    send_batch(report);
}

struct channel *report_writer(const struct report *report)
{
    return report->writer;
}

uint64_t report_flush(struct report *report)
{
    send_changed(report);
    report->urgent = report->last_order;
    send_soon(report);
    return report->urgent;
}

bool report_is_written(const struct report *report, uint64_t flushed)
{
    const struct item *sent = report->lists[ITEM_SENT];
    const struct item *waiting = report->lists[ITEM_WAITING];

    return (sent == NULL || sent->order > flushed) && (waiting == NULL || waiting->order > flushed);
}

void report_listen(struct report *report, void (*written)(void *context), void *context)
{
    report->written = written;
    report->context = context;
}

/* --- what happens */

/* Returns the octets of the whole message. What is not set yet is 0. */
static size_t fill_in(struct event_message *message, const struct report_event *event)
{
    const struct {
        const char *text;
        size_t most;
    } texts[AUTH_TEXT__MAX] = {
        [AUTH_TEXT_ADDRESS] = {event->address, ADDRESS_MAX},
        [AUTH_TEXT_REMOTE] = {event->remote, AUTH_REMOTE_MAX},
        [AUTH_TEXT_PROTOCOL] = {event->protocol, AUTH_PROTOCOL_MAX},
        [AUTH_TEXT_MECHANISM] = {event->mechanism, AUTH_MECHANISM_MAX},
        [AUTH_TEXT_CREDENTIAL] = {event->credential, AUTH_CREDENTIAL_MAX},
        [AUTH_TEXT_REASON] = {event->reason, AUTH_REASON_MAX},
    };
    char *at = message->texts;

    message->event = (struct auth_event){
        .kind = event->kind, .customer = event->customer, .mailbox = event->mailbox};
    for (unsigned i = 0; i < AUTH_TEXT__MAX; i++) {
        size_t length = texts[i].text != NULL ? strnlen(texts[i].text, texts[i].most) : 0;
        message->event.lengths[i] = (uint16_t)length;
        memcpy(at, length > 0 ? texts[i].text : "", length);
        at += length;
    }
    return (size_t)(at - (char *)message);
}

static unsigned hash_of(const struct report *report, const uint8_t *payload, size_t length)
{
    uint8_t hash[crypto_shorthash_BYTES];
    unsigned value;

    crypto_shorthash(hash, payload + KEY_OFFSET, length - KEY_OFFSET, report->key);
    memcpy(&value, hash, sizeof(value));
    return value;
}

static void count_up(struct report *report, struct item *item, uint64_t now)
{
    struct auth_event *event = (struct auth_event *)(void *)item->payload;

    event->count++;
    event->time = now / 1000000;
    item->again = true;
    if (item->state == ITEM_WRITTEN)
        change(report, item);
}

static bool is_over(const struct item *item, uint64_t now)
{
    const struct auth_event *event = (const struct auth_event *)(const void *)item->payload;

    return now > event->id && now - event->id >= (uint64_t)DB_EVENT_SPAN * 1000000;
}

static void begin(struct report *report, struct event_message *message, size_t length,
                  unsigned hash, uint64_t now)
{
    message->event.id = now > report->last_id ? now : report->last_id + 1;
    message->event.time = now / 1000000;
    message->event.count = 1;
    report->last_id = message->event.id;
    make_room(report);
    struct item *item = item_new(AUTH_EVENT, message, length);
    item->counted = true;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, report->events, item->payload + KEY_OFFSET, length - KEY_OFFSET,
                                hash, item);
    wait_to_be_sent(report, item);
    send_soon(report);
}

void report_event(struct report *report, const struct report_event *event)
{
    struct event_message message;
    struct item *item;
    uint64_t now = clock_wall();

    size_t length = fill_in(&message, event);
    const uint8_t *payload = (const uint8_t *)&message;
    unsigned hash = hash_of(report, payload, length);
    HASH_FIND_BYHASHVALUE(hh, report->events, payload + KEY_OFFSET, length - KEY_OFFSET, hash,
                          item);
    if (item != NULL && !is_over(item, now)) {
        count_up(report, item, now);
        return;
    }
    if (item != NULL && item->state == ITEM_WRITTEN)
        item_free(report, item);
    else if (item != NULL)
        forget(report, item);
    begin(report, &message, length, hash, now);
}

static void note(struct report *report, enum auth_type type, const void *payload, size_t length)
{
    make_room(report);
    wait_to_be_sent(report, item_new(type, payload, length));
    send_soon(report);
}

/* The rest of what it is copied to is 0. */
static void copy(char *to, size_t size, const char *text)
{
    size_t length = strlen(text);

    if (length >= size)
        log_panic("a text of %zu octets is to be reported, and %zu are too many", length, size);
    memcpy(to, text, length);
}

void report_upgrade(struct report *report, uint64_t customer, uint64_t mailbox,
                    const char *old_hash, const char *new_hash)
{
    struct auth_upgrade upgrade = {.customer = customer, .mailbox = mailbox};

    copy(upgrade.old_hash, sizeof(upgrade.old_hash), old_hash);
    copy(upgrade.new_hash, sizeof(upgrade.new_hash), new_hash);
    note(report, AUTH_UPGRADE, &upgrade, sizeof(upgrade));
    sodium_memzero(&upgrade, sizeof(upgrade));
}

void report_scram(struct report *report, uint64_t customer, uint64_t mailbox, const char *hash,
                  const char *keys)
{
    struct auth_scram scram = {.customer = customer, .mailbox = mailbox};

    copy(scram.hash, sizeof(scram.hash), hash);
    copy(scram.keys, sizeof(scram.keys), keys);
    note(report, AUTH_SCRAM, &scram, sizeof(scram));
    sodium_memzero(&scram, sizeof(scram));
}

void report_used(struct report *report, uint64_t customer, uint64_t app_password,
                 const char *remote)
{
    struct auth_used used = {
        .customer = customer, .app_password = app_password, .time = clock_wall() / 1000000};

    memcpy(used.remote, remote, strnlen(remote, AUTH_REMOTE_MAX));
    note(report, AUTH_USED, &used, sizeof(used));
}

void report_wanted(struct report *report, uint64_t customer, uint64_t issuer)
{
    const struct auth_wanted wanted = {.customer = customer, .issuer = issuer};

    note(report, AUTH_WANTED, &wanted, sizeof(wanted));
}

/* --- life */

struct report *report_new(struct event_base *base)
{
    struct report *report = xcalloc(1, sizeof(*report));

    crypto_shorthash_keygen(report->key);
    report->delay = evtimer_new(base, on_delay, report);
    report->repeat = evtimer_new(base, on_repeat, report);
    if (report->delay == NULL || report->repeat == NULL)
        log_fatal("out of memory");
    return report;
}

void report_free(struct report *report)
{
    if (report == NULL)
        return;
    unsigned lost =
        report->counts[ITEM_WAITING] + report->counts[ITEM_SENT] + report->counts[ITEM_CHANGED];
    if (lost > 0)
        log_warning("%u events of the last time have not been written to the account database",
                    lost);
    for (unsigned i = 0; i < ITEM__STATES; i++)
        while (report->lists[i] != NULL)
            item_free(report, report->lists[i]);
    event_free(report->delay);
    event_free(report->repeat);
    free(report);
}
