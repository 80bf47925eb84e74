#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/message.h"
#include "lib/xalloc.h"
#include "lmtpd/limits.h"
#include "lmtpd/targets.h"
#include "lmtpd/transaction.h"

/* Less room than this in the piece, and it is sent off. */
#define PIECE_ROOM_MIN 4096

enum delivery_state {
    DELIVERY_NONE,      /* nothing has been said to stored */
    DELIVERY_OPEN,      /* begun, and stored listens */
    DELIVERY_COMMITTED, /* waiting for stored's answer */
    DELIVERY_CLOSED     /* every target has its reply */
};

struct delivery {
    struct store_call call; /* first: on_answer() finds the delivery by it */
    struct transaction *transaction;
    enum delivery_state state;
    uint64_t octets_max; /* the smallest limit among its targets */
    bool declared_fits;  /* its targets take twice what the sender declared */
    unsigned count;      /* of targets, while at stored */
};

struct transaction {
    struct store_link *store;
    uint64_t declared;
    bool utf8;
    bool opened; /* the deliveries are at stored */
    struct targets targets;
    char *first_address;
    struct delivery deliveries[TRANSACTION_DELIVERIES_MAX];
    unsigned delivery_count;
    struct message_encoder encoder;
    uint64_t head_octets; /* of what we put in front */
    char *piece;          /* what is encoded and not sent */
    size_t piece_length;
    unsigned unanswered; /* committed deliveries */
    void (*done)(void *context);
    void *context;
    char sender[];
};

struct transaction *transaction_new(struct store_link *store, const char *sender, size_t length,
                                    uint64_t declared, bool utf8)
{
    struct transaction *transaction = xcalloc(1, sizeof(*transaction) + length + 1);

    transaction->store = store;
    transaction->declared = declared;
    transaction->utf8 = utf8;
    memcpy(transaction->sender, sender, length);
    return transaction;
}

void transaction_free(struct transaction *transaction)
{
    if (transaction == NULL)
        return;
    for (unsigned i = 0; i < transaction->delivery_count; i++) {
        struct delivery *delivery = &transaction->deliveries[i];
        if (delivery->state == DELIVERY_OPEN)
            store_link_send(transaction->store, &delivery->call, STORE_DELIVER_ABORT, NULL, 0, NULL,
                            0);
        store_link_forget(transaction->store, &delivery->call);
    }
    targets_fini(&transaction->targets);
    free(transaction->first_address);
    free(transaction->piece);
    free(transaction);
}

const char *transaction_sender(const struct transaction *transaction)
{
    return transaction->sender;
}

uint64_t transaction_declared(const struct transaction *transaction)
{
    return transaction->declared;
}

bool transaction_utf8(const struct transaction *transaction)
{
    return transaction->utf8;
}

unsigned transaction_recipients(const struct transaction *transaction)
{
    return transaction->targets.recipient_count;
}

const char *transaction_only_recipient(const struct transaction *transaction)
{
    return transaction->targets.recipient_count == 1 ? transaction->first_address : NULL;
}

bool transaction_has_mailbox(const struct transaction *transaction, uint64_t mailbox)
{
    return targets_find(&transaction->targets, mailbox) < transaction->targets.count;
}

/* The delivery for targets with this limit, made if there is none; -1: there are too many. */
static int choose_delivery(struct transaction *transaction, uint64_t octets_max)
{
    uint64_t declared = transaction->declared;
    bool fits = declared > 0 && declared <= octets_max / 2;

    for (unsigned i = 0; i < transaction->delivery_count; i++) {
        struct delivery *delivery = &transaction->deliveries[i];
        if (fits == delivery->declared_fits && (fits || delivery->octets_max == octets_max))
            return (int)i;
    }
    if (transaction->delivery_count == TRANSACTION_DELIVERIES_MAX)
        return -1;
    struct delivery *delivery = &transaction->deliveries[transaction->delivery_count];
    delivery->transaction = transaction;
    delivery->octets_max = octets_max;
    delivery->declared_fits = fits;
    return (int)transaction->delivery_count++;
}

enum reply transaction_add(struct transaction *transaction, const char *address,
                           const struct db_route *routes, unsigned count)
{
    struct targets *targets = &transaction->targets;
    unsigned before = targets->count;
    unsigned deliveries = transaction->delivery_count;

    if (targets_add(targets, routes, count) < 0)
        return REPLY_TOO_MANY_RECIPIENTS;
    for (unsigned i = before; i < targets->count; i++) {
        int delivery = choose_delivery(transaction, targets->all[i].octets_max);
        if (delivery < 0) {
            targets_remove_last(targets, before);
            transaction->delivery_count = deliveries;
            return REPLY_TOO_MANY_RECIPIENTS;
        }
        targets->all[i].delivery = (unsigned)delivery;
    }
    if (targets->recipient_count == 1)
        transaction->first_address = xstrdup(address);
    return REPLY_RECIPIENT_OK;
}

/* Gives one reply to all targets of a delivery, which is then over. */
static void close_delivery(struct delivery *delivery, enum reply reply)
{
    struct transaction *transaction = delivery->transaction;
    unsigned index = (unsigned)(delivery - transaction->deliveries);

    for (unsigned i = 0; i < transaction->targets.count; i++)
        if (transaction->targets.all[i].delivery == index)
            transaction->targets.all[i].reply = reply;
    delivery->state = DELIVERY_CLOSED;
}

/* What stored says of each target, in the order of its STORE_DELIVER_BEGIN. */
static int take_results(struct delivery *delivery, const struct channel_message *message)
{
    struct transaction *transaction = delivery->transaction;
    unsigned index = (unsigned)(delivery - transaction->deliveries);
    const uint8_t *results = message->payload;

    if (message->type != STORE_DELIVERED || delivery->state != DELIVERY_COMMITTED ||
        message->length != delivery->count)
        return -1;
    for (unsigned i = 0; i < transaction->targets.count; i++)
        if (transaction->targets.all[i].delivery == index)
            transaction->targets.all[i].reply = reply_of_store((enum store_result) * results++);
    delivery->state = DELIVERY_CLOSED;
    return 0;
}

static int on_answer(struct store_call *call, const struct channel_message *message)
{
    struct delivery *delivery = (struct delivery *)(void *)call;
    struct transaction *transaction = delivery->transaction;
    bool waited = delivery->state == DELIVERY_COMMITTED;
    int result = 0;

    if (message != NULL)
        result = take_results(delivery, message);
    if (delivery->state != DELIVERY_CLOSED)
        close_delivery(delivery, REPLY_FAILURE);
    if (waited && --transaction->unanswered == 0)
        transaction->done(transaction->context);
    return result;
}

/* `size` is the message's where all of it has come, and otherwise what the sender declared. */
static void open_delivery(struct delivery *delivery, uint64_t size)
{
    struct transaction *transaction = delivery->transaction;
    unsigned index = (unsigned)(delivery - transaction->deliveries);
    struct store_deliver_begin begin = {.size = size};
    struct store_recipient recipients[STORE_RECIPIENTS_MAX];

    for (unsigned i = 0; i < transaction->targets.count; i++) {
        const struct target *target = &transaction->targets.all[i];
        if (target->delivery != index)
            continue;
        recipients[begin.count++] =
            (struct store_recipient){target->mailbox, target->quota_octets, target->quota_messages};
        if (target->octets_max < delivery->octets_max)
            delivery->octets_max = target->octets_max;
    }
    if (begin.count == 0) {
        delivery->state = DELIVERY_CLOSED;
        return;
    }
    delivery->count = begin.count;
    if (store_link_call(transaction->store, &delivery->call, on_answer) < 0) {
        close_delivery(delivery, REPLY_FAILURE);
        return;
    }
    delivery->state = DELIVERY_OPEN;
    store_link_send(transaction->store, &delivery->call, STORE_DELIVER_BEGIN, &begin, sizeof(begin),
                    recipients, begin.count * sizeof(recipients[0]));
}

/* All of the message has come before anything was said to stored: one delivery, whatever limits. */
static void open_one(struct transaction *transaction)
{
    uint64_t octets = transaction->encoder.octets - transaction->head_octets;

    for (unsigned i = 0; i < transaction->targets.count; i++) {
        struct target *target = &transaction->targets.all[i];
        bool fits = octets <= target->octets_max;
        target->delivery = fits ? 0 : TRANSACTION_DELIVERIES_MAX;
        if (!fits)
            target->reply = REPLY_TOO_LARGE;
    }
    transaction->delivery_count = 1;
    transaction->deliveries[0].octets_max = MESSAGE_OCTETS_MAX;
    open_delivery(&transaction->deliveries[0], transaction->encoder.octets);
}

static void open_each(struct transaction *transaction)
{
    for (unsigned i = 0; i < transaction->delivery_count; i++)
        open_delivery(&transaction->deliveries[i], transaction->declared);
}

/* Sends what is encoded, to the deliveries that are not too large by now. */
static void send_piece(struct transaction *transaction)
{
    uint64_t octets = transaction->encoder.octets - transaction->head_octets;

    for (unsigned i = 0; i < transaction->delivery_count; i++) {
        struct delivery *delivery = &transaction->deliveries[i];
        if (delivery->state != DELIVERY_OPEN)
            continue;
        if (octets > delivery->octets_max) {
            store_link_send(transaction->store, &delivery->call, STORE_DELIVER_ABORT, NULL, 0, NULL,
                            0);
            store_link_forget(transaction->store, &delivery->call);
            close_delivery(delivery, REPLY_TOO_LARGE);
        } else if (transaction->piece_length > 0) {
            store_link_send(transaction->store, &delivery->call, STORE_DELIVER_DATA,
                            transaction->piece, transaction->piece_length, NULL, 0);
        }
    }
    transaction->piece_length = 0;
}

/* How many octets can be encoded into the piece, with place left for the end of the message. */
static size_t piece_room(const struct transaction *transaction)
{
    size_t room = PIECE_SIZE - transaction->piece_length;
    size_t kept = MESSAGE_ENCODED_MAX(0) + 4;

    return room > kept ? (room - kept) / 2 : 0;
}

void transaction_begin(struct transaction *transaction, const char *head, size_t length)
{
    message_encoder_init(&transaction->encoder);
    transaction->piece = xmalloc(PIECE_SIZE);
    transaction_data(transaction, head, length);
    transaction->head_octets = transaction->encoder.octets;
}

void transaction_data(struct transaction *transaction, const char *text, size_t length)
{
    while (length > 0) {
        if (piece_room(transaction) < PIECE_ROOM_MIN) {
            if (!transaction->opened)
                open_each(transaction);
            transaction->opened = true;
            send_piece(transaction);
        }
        size_t part = piece_room(transaction);
        if (part > length)
            part = length;
        transaction->piece_length += message_encode(&transaction->encoder, text, part,
                                                    transaction->piece + transaction->piece_length);
        text += part;
        length -= part;
    }
}

static void commit_delivery(struct delivery *delivery)
{
    struct transaction *transaction = delivery->transaction;
    struct store_deliver_commit commit = {.octets = transaction->encoder.octets,
                                          .top_length = transaction->encoder.top_length};

    store_link_send(transaction->store, &delivery->call, STORE_DELIVER_COMMIT, &commit,
                    sizeof(commit), NULL, 0);
    delivery->state = DELIVERY_COMMITTED;
    transaction->unanswered++;
}

void transaction_end(struct transaction *transaction, void (*done)(void *context), void *context)
{
    transaction->piece_length +=
        message_encode_end(&transaction->encoder, transaction->piece + transaction->piece_length);
    if (!transaction->opened)
        open_one(transaction);
    transaction->opened = true;
    send_piece(transaction);
    free(transaction->piece);
    transaction->piece = NULL;
    for (unsigned i = 0; i < transaction->delivery_count; i++)
        if (transaction->deliveries[i].state == DELIVERY_OPEN)
            commit_delivery(&transaction->deliveries[i]);
    transaction->done = done;
    transaction->context = context;
    if (transaction->unanswered == 0)
        done(context);
}

enum reply transaction_reply(const struct transaction *transaction, unsigned recipient)
{
    return targets_reply(&transaction->targets, recipient);
}

static void log_outcome(const struct transaction *transaction, const char *session,
                        enum reply reply)
{
    char mailboxes[512];
    size_t length = 0;
    char class = reply_class(reply);

    for (unsigned i = 0; i < transaction->targets.count; i++) {
        const struct target *target = &transaction->targets.all[i];
        if (target->reply != reply)
            continue;
        if (length + 32 > sizeof(mailboxes)) {
            snprintf(mailboxes + length, sizeof(mailboxes) - length, ",...");
            break;
        }
        length += (size_t)snprintf(mailboxes + length, sizeof(mailboxes) - length, "%s%" PRIu64,
                                   length > 0 ? "," : "", target->mailbox);
    }
    log_info("%s session=%s from=<%s> mailbox=%s octets=%" PRIu64 " reply=\"%s\"",
             class == '2'   ? "delivered"
             : class == '4' ? "deferred"
                            : "refused",
             session, transaction->sender, mailboxes, transaction->encoder.octets,
             reply_text(reply));
}

void transaction_log(const struct transaction *transaction, const char *session)
{
    bool logged[REPLY__MAX] = {false};

    for (unsigned i = 0; i < transaction->targets.count; i++) {
        enum reply reply = transaction->targets.all[i].reply;
        if (!logged[reply])
            log_outcome(transaction, session, reply);
        logged[reply] = true;
    }
}
