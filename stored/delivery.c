#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/clock.h"
#include "lib/fault.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/checksum.h"
#include "stored/commit.h"
#include "stored/delivery.h"
#include "stored/mailbox.h"
#include "stored/segment.h"
#include "stored/server.h"
#include "stored/store.h"
#include "stored/trouble.h"
#include "stored/uniqueid.h"

/* A larger body gets a segment of its own. */
#define BODY_MEMORY_MAX (1024 * 1024)

/* All bodies that are being gathered together; above it each further one gets a segment. */
#define BODIES_MEMORY_MAX (64 * 1024 * 1024)

/* A segment of its own grows in steps of this size where the sender did not say how much comes. */
#define OWN_STEP (8 * 1024 * 1024)

/* What a sender announces is a hint; nobody means more than this. */
#define ANNOUNCED_MAX (1024 * 1024 * 1024)

struct delivery {
    struct commit commit; /* first: on_committed() finds the delivery by it */
    uint32_t id;
    struct connection *connection; /* NULL: gone, nobody waits for the answer */
    struct store *store;
    uint32_t count;
    struct store_recipient *recipients;
    struct mailbox **mailboxes; /* reserved ones while the commit runs, else NULL */
    struct store_delivered *results;
    uint64_t declared;
    struct unique_id unique_id; /* of an import */
    uint64_t length;            /* of the body so far */
    uint64_t octets;
    uint8_t *body; /* gathered in memory; room octets */
    size_t room;
    bool large;
    struct segment own;
    XXH3_state_t *sum;
    enum store_result failed; /* the large body could not be written */
    UT_hash_handle hh;
};

static uint64_t gathered; /* octets of room in all deliveries */

static void give_up_own(struct delivery *delivery)
{
    if (!delivery->large || delivery->own.fd < 0)
        return;
    /* What cannot be removed must at least be no record when recovery finds it. */
    int error = segment_remove(delivery->own.id);
    if (error != 0) {
        (void)segment_trim(&delivery->own, SEGMENT_START);
        trouble_tell(TROUBLE_WRITE, "a refused message's segment stays until the next start",
                     error);
    }
    segment_close(&delivery->own);
}

static void delivery_free(struct delivery *delivery)
{
    gathered -= delivery->room;
    free(delivery->body);
    XXH3_freeState(delivery->sum);
    free(delivery->commit.header);
    free(delivery->recipients);
    free(delivery->mailboxes);
    free(delivery->results);
    free(delivery);
}

static void forget(struct delivery *delivery)
{
    if (delivery->connection != NULL)
        HASH_DEL(delivery->connection->deliveries, delivery);
    delivery_free(delivery);
}

static struct delivery *find(struct connection *connection, uint32_t id)
{
    struct delivery *delivery;

    HASH_FIND(hh, connection->deliveries, &id, sizeof(id), delivery);
    /* One that is being committed takes no more messages. */
    return delivery != NULL && delivery->mailboxes == NULL ? delivery : NULL;
}

/* NULL: the peer has a delivery with this id. */
static struct delivery *delivery_new(struct connection *connection, uint32_t id, uint64_t size,
                                     uint32_t count, const void *recipients)
{
    struct delivery *delivery;

    HASH_FIND(hh, connection->deliveries, &id, sizeof(id), delivery);
    if (delivery != NULL)
        return NULL;
    delivery = xcalloc(1, sizeof(*delivery));
    delivery->id = id;
    delivery->connection = connection;
    delivery->store = connection->store;
    delivery->count = count;
    delivery->declared = size <= ANNOUNCED_MAX ? size : 0;
    delivery->own.fd = -1;
    delivery->recipients = xmalloc(count * sizeof(*delivery->recipients));
    memcpy(delivery->recipients, recipients, count * sizeof(*delivery->recipients));
    HASH_ADD(hh, connection->deliveries, id, sizeof(delivery->id), delivery);
    return delivery;
}

int delivery_begin(struct connection *connection, const struct channel_message *message)
{
    struct store_deliver_begin begin;

    memcpy(&begin, message->payload, sizeof(begin));
    if (begin.count == 0 || begin.count > STORE_RECIPIENTS_MAX ||
        message->length != sizeof(begin) + begin.count * sizeof(struct store_recipient))
        return -1;
    return delivery_new(connection, message->id, begin.size, begin.count,
                        (const uint8_t *)message->payload + sizeof(begin)) != NULL
               ? 0
               : -1;
}

/* --- a large body ----------------------------------------------------------------------------- */

static void fail(struct delivery *delivery, int error)
{
    bool full = segment_is_full(error);

    delivery->failed = full ? STORE_FULL : STORE_BROKEN;
    metric_add(full ? METRIC_STORE_DISK_FULL : METRIC_STORE_WRITE_FAILURES, 1);
    trouble_tell(full ? TROUBLE_FULL : TROUBLE_WRITE, "a large message is deferred", error);
    give_up_own(delivery);
}

static struct record_header *new_header(const struct delivery *delivery)
{
    const char *unique_id = delivery->unique_id.key.text;

    return record_new(RECORD_MESSAGE, delivery->count, unique_id[0] != '\0' ? unique_id : NULL);
}

/* The body stands behind a header with room for every recipient. */
static uint64_t own_offset(const struct delivery *delivery)
{
    return SEGMENT_START + delivery->commit.header->length;
}

static void write_own(struct delivery *delivery, const void *data, size_t length)
{
    struct iovec piece = {(void *)(uintptr_t)data, length};
    uint64_t offset = own_offset(delivery) + delivery->length;
    int error = 0;

    /* RECORD_ALIGN: the next record's place, were there one, is inside the file. */
    if (offset + length + RECORD_ALIGN > delivery->own.size)
        error = fault_try("large.grow", segment_grow(&delivery->own, offset + length + OWN_STEP,
                                                     delivery->store->segment_size));
    if (error == 0)
        error = fault_try("large.body", segment_write(&delivery->own, &piece, 1, offset));
    if (error != 0) {
        fail(delivery, error);
        return;
    }
    XXH3_64bits_update(delivery->sum, data, length);
    delivery->length += length;
    fault_point("large.coming");
}

/* Begins the segment and moves what is in memory there. */
static void go_large(struct delivery *delivery)
{
    struct store *store = delivery->store;
    size_t length = (size_t)delivery->length;

    delivery->large = true;
    delivery->commit.header = new_header(delivery);
    delivery->own.id = store->next_segment++;
    delivery->own.seed = store->seed;
    delivery->own.size = own_offset(delivery) +
                         (delivery->declared > 0 ? delivery->declared : OWN_STEP) + RECORD_ALIGN;
    int error = segment_create(&delivery->own, store->segment_size);
    if (error != 0) {
        fail(delivery, error);
        return;
    }
    delivery->sum = XXH3_createState();
    if (delivery->sum == NULL)
        log_fatal("out of memory");
    XXH3_64bits_reset_withSeed(delivery->sum, store->seed);
    delivery->length = 0;
    if (length > 0)
        write_own(delivery, delivery->body, length);
    gathered -= delivery->room;
    free(delivery->body);
    delivery->body = NULL;
    delivery->room = 0;
}

static void gather(struct delivery *delivery, const void *data, size_t length)
{
    size_t wanted = (size_t)delivery->length + length;

    if (delivery->body == NULL || wanted > delivery->room) {
        size_t room = wanted > delivery->declared ? 2 * wanted : (size_t)delivery->declared + 4096;
        room = room > BODY_MEMORY_MAX && wanted <= BODY_MEMORY_MAX ? BODY_MEMORY_MAX : room;
        gathered += room - delivery->room;
        delivery->body = xrealloc(delivery->body, room);
        delivery->room = room;
    }
    memcpy(delivery->body + delivery->length, data, length);
    delivery->length += length;
    fault_point("delivery.coming");
}

int delivery_data(struct connection *connection, const struct channel_message *message)
{
    struct delivery *delivery = find(connection, message->id);

    if (delivery == NULL || message->length == 0)
        return -1;
    if (!delivery->large && (delivery->length + message->length > BODY_MEMORY_MAX ||
                             gathered + message->length > BODIES_MEMORY_MAX))
        go_large(delivery);
    if (delivery->failed != STORE_OK)
        return 0;
    if (delivery->large)
        write_own(delivery, message->payload, message->length);
    else
        gather(delivery, message->payload, message->length);
    return 0;
}

int delivery_abort(struct connection *connection, const struct channel_message *message)
{
    struct delivery *delivery = find(connection, message->id);

    if (delivery == NULL)
        return -1;
    give_up_own(delivery);
    forget(delivery);
    return 0;
}

/* --- the end of a delivery -------------------------------------------------------------------- */

static void send_results(const struct delivery *delivery)
{
    if (delivery->connection != NULL)
        channel_send(delivery->connection->channel, STORE_DELIVERED, delivery->id,
                     delivery->results, delivery->count * sizeof(delivery->results[0]), NULL, 0);
}

static void answer(struct delivery *delivery)
{
    send_results(delivery);
    forget(delivery);
}

/* What is there already needs not come; what is refused later would have been to no purpose. */
int delivery_import(struct connection *connection, const struct channel_message *message)
{
    struct store_import import;

    memcpy(&import, message->payload, sizeof(import));
    if (!unique_id_is_valid(&import))
        return -1;
    struct delivery *delivery =
        delivery_new(connection, message->id, import.size, 1, &import.recipient);
    if (delivery == NULL)
        return -1;
    delivery->unique_id.key.mailbox = import.recipient.mailbox;
    memcpy(delivery->unique_id.key.text, import.unique_id, sizeof(import.unique_id));
    enum store_result result = unique_id_judge(connection->store, &delivery->unique_id);
    if (result == STORE_OK) {
        channel_send(connection->channel, STORE_IMPORTING, delivery->id, NULL, 0, NULL, 0);
        return 0;
    }
    delivery->results = xcalloc(1, sizeof(delivery->results[0]));
    delivery->results[0].result = (uint8_t)result;
    answer(delivery);
    return 0;
}

static bool has_surrogate(const struct delivery *delivery)
{
    return record_form(delivery->commit.header) == STORE_FORM_SURROGATE;
}

/* What will be told of one recipient's message when it is durable. */
static void foretell(struct delivery *delivery, uint32_t i)
{
    struct store_delivered *delivered = &delivery->results[i];
    const struct mailbox *mailbox = delivery->mailboxes[i];

    delivered->usage =
        (struct store_usage_is){mailbox->octets + delivery->octets, mailbox->messages + 1};
    delivered->crossed =
        (uint8_t)mailbox_crossed(&delivered->usage, &delivery->recipients[i], delivery->octets);
}

/* An import warns nobody. */
static void note_crossing(const struct delivery *delivery, uint32_t i)
{
    const struct store_recipient *limits = &delivery->recipients[i];
    const struct store_crossing crossing = {.mailbox = limits->mailbox,
                                            .usage = delivery->results[i].usage,
                                            .quota_octets = limits->quota_octets,
                                            .quota_messages = limits->quota_messages,
                                            .percent = delivery->results[i].crossed};

    crossings_add(&delivery->store->crossings, &crossing);
}

static void settle(struct delivery *delivery, uint32_t i, enum store_result result)
{
    struct mailbox *mailbox = delivery->mailboxes[i];

    if (result == STORE_OK)
        foretell(delivery, i);
    else
        delivery->results[i] = (struct store_delivered){.result = delivery->results[i].result};
    mailbox_settle(mailbox, delivery->octets, has_surrogate(delivery), result == STORE_OK);
    if (result == STORE_OK && delivery->results[i].crossed > 0 &&
        delivery->unique_id.key.mailbox == 0)
        note_crossing(delivery, i);
    mailbox_put(delivery->store->mailboxes, mailbox);
}

static void settle_all(struct delivery *delivery, enum store_result result)
{
    unique_id_release(&delivery->unique_id);
    for (uint32_t i = 0; i < delivery->count; i++) {
        if (delivery->mailboxes[i] != NULL)
            settle(delivery, i, result);
        if (delivery->results[i].result == STORE_OK)
            delivery->results[i].result = (uint8_t)result;
    }
}

/* Nothing that is told can change before the record is durable. */
static void on_promise(struct commit *commit, struct channel_loan *loan)
{
    struct delivery *delivery = (struct delivery *)(void *)commit;

    if (delivery->connection == NULL)
        return;
    for (uint32_t i = 0; i < delivery->count; i++)
        if (delivery->mailboxes[i] != NULL)
            foretell(delivery, i);
    (void)channel_lend(delivery->connection->channel, loan, STORE_DELIVERED, delivery->id,
                       delivery->results, delivery->count * sizeof(delivery->results[0]));
}

/* The sender waits for the disk alone. */
static void on_durable(struct commit *commit)
{
    struct delivery *delivery = (struct delivery *)(void *)commit;

    settle_all(delivery, STORE_OK);
    if (!commit->answered)
        fault_point("delivery.unanswered");
    metric_add(METRIC_STORE_DELIVERIES, 1);
    metric_add(METRIC_STORE_DELIVERED_OCTETS, (int64_t)delivery->octets);
    if (!commit->answered)
        send_results(delivery);
}

static void on_committed(struct commit *commit, enum store_result result)
{
    struct delivery *delivery = (struct delivery *)(void *)commit;

    if (result == STORE_OK) {
        segment_close(&delivery->own);
        forget(delivery);
        return;
    }
    settle_all(delivery, result);
    if (result == STORE_FULL)
        metric_add(METRIC_STORE_DISK_FULL, 1);
    give_up_own(delivery);
    answer(delivery);
}

/* A mailbox that stands before i among the recipients has the message already. */
static bool is_repeated(const struct delivery *delivery, uint32_t i, uint32_t *first_r)
{
    for (uint32_t k = 0; k < i; k++)
        if (delivery->recipients[k].mailbox == delivery->recipients[i].mailbox) {
            *first_r = k;
            return true;
        }
    return false;
}

/* Takes room in every mailbox that has it; refs_r gets one reference each. Returns how many. */
static uint32_t reserve_all(struct delivery *delivery, struct record_ref *refs_r)
{
    uint32_t accepted = 0, first;

    for (uint32_t i = 0; i < delivery->count; i++) {
        const struct store_recipient *recipient = &delivery->recipients[i];
        if (is_repeated(delivery, i, &first)) {
            delivery->results[i] = delivery->results[first];
            continue;
        }
        struct mailbox *mailbox = mailbox_get(delivery->store->mailboxes, recipient->mailbox);
        enum store_result result = STORE_BROKEN;
        if (recipient->mailbox == 0)
            result = STORE_NO_MAILBOX; /* in a record, it would be nobody */
        else if (mailbox != NULL)
            result = mailbox_reserve(mailbox, recipient, delivery->octets, &refs_r[accepted].uid);
        if (result == STORE_OK) {
            refs_r[accepted++].mailbox = recipient->mailbox;
            delivery->mailboxes[i] = mailbox;
        } else if (mailbox != NULL) {
            mailbox_put(delivery->store->mailboxes, mailbox);
        }
        delivery->results[i].result = (uint8_t)result;
    }
    return accepted;
}

static void start_commit(struct delivery *delivery, const struct store_deliver_commit *end)
{
    struct record_header *header = delivery->commit.header;

    header->body_length = delivery->length;
    header->octets = end->octets;
    header->top_length = end->top_length;
    header->time = end->time > 0 ? end->time : clock_wall();
    record_set_surrogate(header, &end->surrogate);
    if (delivery->large) {
        header->body_sum = XXH3_64bits_digest(delivery->sum);
        delivery->commit.own = &delivery->own;
    }
    delivery->commit.body = delivery->body;
    delivery->commit.promise = on_promise;
    delivery->commit.durable = on_durable;
    delivery->commit.done = on_committed;
    unique_id_take(&delivery->unique_id);
    commit_add(delivery->store->commits, &delivery->commit);
    fault_point("delivery.waiting");
}

/*
 * Stuffing adds at most one octet to a line, and a line that has one added has three or more. Of a
 * message that could not be written, the length is not known.
 */
static bool is_credible(const struct delivery *delivery, const struct store_deliver_commit *end)
{
    uint64_t octets = end->octets, length = delivery->length;

    return delivery->failed != STORE_OK ||
           (octets <= length && length - octets <= octets / 3 + 1 && end->top_length <= length &&
            record_surrogate_is_credible(&end->surrogate, octets));
}

int delivery_commit(struct connection *connection, const struct channel_message *message)
{
    struct delivery *delivery = find(connection, message->id);
    struct store_deliver_commit end;

    memcpy(&end, message->payload, sizeof(end));
    if (delivery == NULL || !is_credible(delivery, &end))
        return -1;
    /* Its sender has been told "not now" and comes again: it should not find the message here. */
    if (channel_is_hung_up(connection->channel))
        return delivery_abort(connection, message);
    delivery->octets = end.octets;
    delivery->results = xcalloc(delivery->count, sizeof(delivery->results[0]));
    delivery->mailboxes = xcalloc(delivery->count, sizeof(struct mailbox *));
    enum store_result refused = delivery->failed;
    if (refused == STORE_OK)
        refused = unique_id_judge(delivery->store, &delivery->unique_id);
    if (refused != STORE_OK) {
        for (uint32_t i = 0; i < delivery->count; i++)
            delivery->results[i].result = (uint8_t)refused;
        give_up_own(delivery);
        answer(delivery);
        return 0;
    }
    if (delivery->commit.header == NULL)
        delivery->commit.header = new_header(delivery);
    if (reserve_all(delivery, record_refs(delivery->commit.header)) > 0) {
        start_commit(delivery, &end);
        return 0;
    }
    give_up_own(delivery);
    answer(delivery);
    return 0;
}

void delivery_end_all(struct connection *connection)
{
    struct delivery *delivery, *next;

    HASH_ITER (hh, connection->deliveries, delivery, next) {
        HASH_DEL(connection->deliveries, delivery);
        delivery->connection = NULL;
        delivery->commit.abandoned = true;
        if (delivery->mailboxes != NULL)
            continue;
        give_up_own(delivery);
        delivery_free(delivery);
    }
}
