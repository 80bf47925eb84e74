#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fault.h"
#include "lib/growth.h"
#include "lib/log.h"
#include "lib/message.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "lmtpd/limits.h"
#include "lmtpd/storelink.h"
#include "lmtpd/targets.h"
#include "lmtpd/transaction.h"
#include "lmtpd/usage.h"
#include "lmtpd/warner.h"

/* Less room than this in the piece, and it is sent off. */
#define PIECE_ROOM_MIN 4096

enum transaction_state {
    TRANSACTION_GATHERING, /* nothing has been said to stored */
    TRANSACTION_SENDING,   /* stored listens */
    TRANSACTION_COMMITTED, /* waiting for stored's answer */
    TRANSACTION_CLOSED     /* every target has its reply */
};

struct transaction {
    struct store_call call; /* first: on_answer() finds the transaction by it */
    const struct server *server;
    struct warner *warner;
    bool abandoned; /* nobody waits for the outcome but the warner */
    enum transaction_state state;
    uint64_t declared;
    bool utf8;
    struct targets targets;
    char *first_address;
    struct message_encoder encoder;
    struct growth growth;
    uint64_t head_octets; /* of what we put in front */
    uint64_t octets_max;  /* the largest limit among the targets, without these */
    char *piece;          /* what is encoded and not sent */
    size_t piece_length;
    void (*done)(void *context);
    void *context;
    char sender[];
};

struct transaction *transaction_new(const struct server *server, struct warner *warner,
                                    const char *sender, size_t length, uint64_t declared, bool utf8)
{
    struct transaction *transaction = xcalloc(1, sizeof(*transaction) + length + 1);

    transaction->server = server;
    transaction->warner = warner;
    transaction->declared = declared;
    transaction->utf8 = utf8;
    memcpy(transaction->sender, sender, length);
    return transaction;
}

/* The delivery is over as far as stored is concerned. */
static void leave_store(struct transaction *transaction)
{
    if (transaction->state == TRANSACTION_SENDING)
        store_link_send(transaction->server->store, &transaction->call, STORE_DELIVER_ABORT, NULL,
                        0, NULL, 0);
    store_link_forget(transaction->server->store, &transaction->call);
}

static void destroy(struct transaction *transaction)
{
    targets_fini(&transaction->targets);
    free(transaction->first_address);
    growth_clear(&transaction->growth);
    free(transaction->piece);
    free(transaction);
}

void transaction_free(struct transaction *transaction)
{
    if (transaction == NULL)
        return;
    if (transaction->state == TRANSACTION_COMMITTED && transaction->warner != NULL) {
        transaction->abandoned = true;
        warner_expect(transaction->warner);
        return;
    }
    leave_store(transaction);
    destroy(transaction);
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

enum reply transaction_add(struct transaction *transaction, const char *address,
                           const struct db_route *routes, unsigned count)
{
    if (targets_add(&transaction->targets, routes, count) < 0)
        return REPLY_TOO_MANY_RECIPIENTS;
    if (transaction->targets.recipient_count == 1)
        transaction->first_address = xstrdup(address);
    return REPLY_RECIPIENT_OK;
}

/* One reply for all targets. What comes of the body from now on is thrown away. */
static void close_all(struct transaction *transaction, enum reply reply)
{
    for (unsigned i = 0; i < transaction->targets.count; i++)
        transaction->targets.all[i].reply = reply;
    transaction->state = TRANSACTION_CLOSED;
}

static void warn(struct transaction *transaction, const struct target *target,
                 const struct store_delivered *delivered)
{
    const struct letter letter = {
        .mailbox = target->mailbox,
        .octets = delivered->usage.octets,
        .messages = delivered->usage.messages,
        .quota_octets = target->quota_octets,
        .quota_messages = target->quota_messages,
    };

    warner_add(transaction->warner, &letter);
}

static void take_result(struct transaction *transaction, struct target *target,
                        const struct store_delivered *delivered)
{
    target->reply = reply_of_store((enum store_result)delivered->result);
    if (delivered->result == STORE_OK)
        usages_learn(transaction->server->usages, target->mailbox, &delivered->usage);
    else if (delivered->result == STORE_OVER_QUOTA) {
        metric_add(METRIC_LMTP_OVER_QUOTA, 1);
        usages_forget(transaction->server->usages, target->mailbox);
    }
    if (delivered->crossed > 0 && transaction->warner != NULL)
        warn(transaction, target, delivered);
}

/* What stored says of each target, in the order of STORE_DELIVER_BEGIN. */
static int take_results(struct transaction *transaction, const struct channel_message *message)
{
    const uint8_t *results = message->payload;
    struct store_delivered delivered;

    if (message->type != STORE_DELIVERED || transaction->state != TRANSACTION_COMMITTED ||
        message->length != transaction->targets.count * sizeof(delivered))
        return -1;
    fault_point("lmtpd.unanswered");
    for (unsigned i = 0; i < transaction->targets.count; i++) {
        memcpy(&delivered, results + i * sizeof(delivered), sizeof(delivered));
        take_result(transaction, &transaction->targets.all[i], &delivered);
    }
    transaction->state = TRANSACTION_CLOSED;
    return 0;
}

static int on_answer(struct store_call *call, const struct channel_message *message)
{
    struct transaction *transaction = (struct transaction *)(void *)call;
    bool waited = transaction->state == TRANSACTION_COMMITTED;
    int result = 0;

    if (message != NULL)
        result = take_results(transaction, message);
    if (transaction->state != TRANSACTION_CLOSED)
        close_all(transaction, REPLY_FAILURE);
    if (transaction->abandoned) {
        warner_expect_end(transaction->warner);
        destroy(transaction);
    } else if (waited) {
        transaction->done(transaction->context);
    }
    return result;
}

/* `size` is the message's where all of it has come, and otherwise what the sender declared. */
static void begin_delivery(struct transaction *transaction, uint64_t size)
{
    const struct targets *targets = &transaction->targets;
    struct store_deliver_begin begin = {.count = targets->count, .size = size};
    struct store_recipient recipients[STORE_RECIPIENTS_MAX];

    for (unsigned i = 0; i < targets->count; i++)
        recipients[i] = (struct store_recipient){
            .mailbox = targets->all[i].mailbox,
            .quota_octets = targets->all[i].quota_octets,
            .quota_messages = targets->all[i].quota_messages,
            .octets_max = targets->all[i].octets_max + transaction->head_octets,
        };
    if (store_link_call(transaction->server->store, &transaction->call, on_answer) < 0) {
        close_all(transaction, REPLY_FAILURE);
        return;
    }
    transaction->state = TRANSACTION_SENDING;
    store_link_send(transaction->server->store, &transaction->call, STORE_DELIVER_BEGIN, &begin,
                    sizeof(begin), recipients, begin.count * sizeof(recipients[0]));
}

/*
 * Sends what is encoded; begins the delivery first (see there about `size`) if it is not yet.
 * `last`: nothing of the message follows.
 */
static void send_piece(struct transaction *transaction, uint64_t size, bool last)
{
    if (transaction->encoder.octets - transaction->head_octets > transaction->octets_max) {
        leave_store(transaction);
        close_all(transaction, REPLY_TOO_LARGE);
        return;
    }
    if (transaction->state == TRANSACTION_GATHERING)
        begin_delivery(transaction, size);
    if (transaction->state == TRANSACTION_SENDING && transaction->piece_length > 0)
        store_link_send(transaction->server->store, &transaction->call, STORE_DELIVER_DATA,
                        transaction->piece, transaction->piece_length, NULL, 0);
    growth_take(&transaction->growth, &transaction->encoder, transaction->piece,
                transaction->piece_length, last);
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
    for (unsigned i = 0; i < transaction->targets.count; i++)
        if (transaction->octets_max < transaction->targets.all[i].octets_max)
            transaction->octets_max = transaction->targets.all[i].octets_max;
    message_encoder_init(&transaction->encoder);
    growth_init(&transaction->growth);
    transaction->piece = xmalloc(PIECE_SIZE);
    transaction_data(transaction, head, length);
    transaction->head_octets = transaction->encoder.octets;
}

void transaction_data(struct transaction *transaction, const char *text, size_t length)
{
    while (length > 0 && transaction->state != TRANSACTION_CLOSED) {
        if (piece_room(transaction) < PIECE_ROOM_MIN)
            send_piece(transaction, transaction->declared, false);
        size_t part = piece_room(transaction);
        if (part > length)
            part = length;
        transaction->piece_length += message_encode(&transaction->encoder, text, part,
                                                    transaction->piece + transaction->piece_length);
        text += part;
        length -= part;
    }
}

/* The rest of the body, and with it the question what has become of all of it. */
static void commit_delivery(struct transaction *transaction)
{
    struct store_deliver_commit commit = {0};

    transaction->piece_length +=
        message_encode_end(&transaction->encoder, transaction->piece + transaction->piece_length);
    send_piece(transaction, transaction->encoder.octets, true);
    if (transaction->state != TRANSACTION_SENDING)
        return;
    commit.octets = transaction->encoder.octets;
    commit.top_length = transaction->encoder.top_length;
    growth_tell(&transaction->growth, &commit.surrogate);
    store_link_ask(transaction->server->store, &transaction->call, STORE_DELIVER_COMMIT, &commit,
                   sizeof(commit));
    transaction->state = TRANSACTION_COMMITTED;
}

void transaction_end(struct transaction *transaction, void (*done)(void *context), void *context)
{
    if (transaction->state != TRANSACTION_CLOSED)
        commit_delivery(transaction);
    free(transaction->piece);
    transaction->piece = NULL;
    transaction->done = done;
    transaction->context = context;
    if (transaction->state == TRANSACTION_CLOSED)
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
