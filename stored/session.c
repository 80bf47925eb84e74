#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "lib/capability.h"
#include "lib/fault.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/mailbox.h"
#include "stored/opening.h"
#include "stored/places.h"
#include "stored/reader.h"
#include "stored/server.h"
#include "stored/session.h"
#include "stored/store.h"

/*
 * How long an open waits for the lock before it is IN_USE: a client that reconnects at once comes
 * through another front, perhaps before the end of its last session.
 */
#define LOCK_PATIENCE_MS 500

/* Opens that wait for one mailbox; a client that connects again and again waits for nobody else. */
#define LOCK_WAITERS_MAX 8

/* Who waits for a mailbox's lock. */
struct waiter {
    struct mailbox_waiter place; /* first: on_granted() finds the waiter by it */
    uint32_t id;
    struct connection *connection;
    struct mailbox *mailbox;
    struct store_open open;
    struct event *patience;
    struct waiter *prev, *next;
};

struct expunge {
    struct commit commit; /* first: on_expunged() finds the expunge by it */
    struct session *session;
};

static struct session *find(struct connection *connection, uint32_t id)
{
    struct session *session;

    HASH_FIND(hh, connection->sessions, &id, sizeof(id), session);
    return session;
}

uint64_t session_uid(const struct session *session, uint32_t message)
{
    return session->uids[message] & ~SESSION_EXPUNGED;
}

struct index *session_index(const struct session *session)
{
    return session->large ? session->store->scans : session->store->index;
}

static void refuse(struct connection *connection, uint32_t id, enum store_result result,
                   uint32_t seconds)
{
    struct store_failed failed = {.result = (uint8_t)result, .seconds = seconds};

    channel_send(connection->channel, STORE_FAILED, id, &failed, sizeof(failed), NULL, 0);
}

void session_refuse(struct session *session, enum store_result result)
{
    if (session->connection != NULL)
        refuse(session->connection, session->id, result, 0);
}

/* Nothing more is told of the messages. */
static void fall_silent(struct session *session)
{
    opening_stop(session->opening);
    reading_free(session->reading);
    session->reading = NULL;
}

static void leave_mailbox(struct session *session)
{
    struct mailbox *mailbox = session->mailbox;

    metric_add(METRIC_STORE_SESSIONS, -1);
    free(session->uids);
    session->uids = NULL;
    places_free(session->places);
    session->places = NULL;
    session->mailbox = NULL;
    mailbox->session = NULL;
    mailbox_unlock(mailbox);
    mailbox_put(session->store->mailboxes, mailbox);
}

static void session_free(struct session *session)
{
    leave_mailbox(session);
    free(session);
}

/* The lock stays until running expunges are durable, so that the next session does not see them. */
void session_end(struct session *session)
{
    HASH_DEL(session->connection->sessions, session);
    session->connection = NULL;
    if (session->mailbox == NULL) {
        free(session);
        return;
    }
    fall_silent(session);
    if (session->expunging == 0)
        session_free(session);
}

/* What the front asks for until it has heard of it comes to nothing. */
static void log_out(struct session *session)
{
    channel_send(session->connection->channel, STORE_ENDED, session->id, NULL, 0, NULL, 0);
    metric_add(METRIC_STORE_LOGOUTS, 1);
    fall_silent(session);
    leave_mailbox(session);
}

/* --- opening -------------------------------------------------------------------------------- */

/* The mailbox's lock has been taken for it; takes over the caller's use. */
static void start_session(struct connection *connection, uint32_t id, struct mailbox *mailbox,
                          const struct store_open *open)
{
    struct session *session = xcalloc(1, sizeof(*session));

    session->id = id;
    session->connection = connection;
    session->store = connection->store;
    session->mailbox = mailbox;
    session->name = open->capability.session;
    session->logout = open->capability.logout;
    session->tls = open->tls;
    memcpy(session->remote, open->remote, sizeof(open->remote));
    mailbox->session = session;
    HASH_ADD(hh, connection->sessions, id, sizeof(session->id), session);
    metric_add(METRIC_STORE_SESSIONS, 1);
    enum store_result result = opening_begin(session);
    if (result != STORE_OK) {
        session_refuse(session, result);
        session_end(session);
    }
}

/* --- waiting for the lock --------------------------------------------------------------------- */

/* Keeps the use of the mailbox. */
static void waiter_free(struct waiter *waiter)
{
    DL_DELETE(waiter->connection->waiters, waiter);
    event_free(waiter->patience);
    free(waiter);
}

static void give_up_waiting(struct waiter *waiter)
{
    struct mailbox *mailbox = waiter->mailbox;
    struct store *store = waiter->connection->store;

    mailbox_wait_end(mailbox, &waiter->place);
    waiter_free(waiter);
    mailbox_put(store->mailboxes, mailbox);
}

static void on_impatient(evutil_socket_t fd, short what, void *context)
{
    struct waiter *waiter = context;
    (void)fd;
    (void)what;

    refuse(waiter->connection, waiter->id, STORE_IN_USE, mailbox_locked_for(waiter->mailbox));
    give_up_waiting(waiter);
}

/* Whether a login may be, apart from the lock. */
static enum store_result judge_login(const struct mailbox *mailbox, uint64_t delay,
                                     uint32_t *seconds_r)
{
    if (mailbox->dropped)
        return STORE_NO_MAILBOX;
    *seconds_r = mailbox_login_wait(mailbox, delay);
    return *seconds_r > 0 ? STORE_TOO_SOON : STORE_OK;
}

/* Others may have waited before it, and have logged in. */
static void on_granted(struct mailbox_waiter *place)
{
    struct waiter *waiter = (struct waiter *)(void *)place;
    const struct store_open open = waiter->open;
    struct connection *connection = waiter->connection;
    struct mailbox *mailbox = waiter->mailbox;
    uint32_t id = waiter->id, seconds = 0;

    enum store_result result = judge_login(mailbox, open.capability.delay, &seconds);
    waiter_free(waiter);
    if (result == STORE_OK) {
        start_session(connection, id, mailbox, &open);
        return;
    }
    refuse(connection, id, result, seconds);
    mailbox_unlock(mailbox);
    mailbox_put(connection->store->mailboxes, mailbox);
}

/* Takes over the caller's use of the mailbox. */
static void wait_for(struct connection *connection, uint32_t id, struct mailbox *mailbox,
                     const struct store_open *open)
{
    static const struct timeval patience = {.tv_usec = LOCK_PATIENCE_MS * 1000};
    struct waiter *waiter = xcalloc(1, sizeof(*waiter));

    waiter->place.granted = on_granted;
    waiter->id = id;
    waiter->connection = connection;
    waiter->mailbox = mailbox;
    waiter->open = *open;
    waiter->patience = evtimer_new(connection->store->base, on_impatient, waiter);
    if (waiter->patience == NULL || evtimer_add(waiter->patience, &patience) < 0)
        log_fatal("out of memory");
    DL_APPEND(connection->waiters, waiter);
    mailbox_wait(mailbox, &waiter->place);
}

static struct waiter *find_waiter(struct connection *connection, uint32_t id)
{
    struct waiter *waiter;

    DL_SEARCH_SCALAR(connection->waiters, waiter, id, id);
    return waiter;
}

/* STORE_OK: it may take the lock, or wait for it. */
static enum store_result judge_open(const struct mailbox *mailbox, uint64_t delay,
                                    uint32_t *seconds_r)
{
    enum store_result result = judge_login(mailbox, delay, seconds_r);

    if (result != STORE_OK || !mailbox->locked || mailbox->waiting < LOCK_WAITERS_MAX)
        return result;
    *seconds_r = mailbox_locked_for(mailbox);
    return STORE_IN_USE;
}

/* Takes over the caller's use of the mailbox. */
static void open_mailbox(struct connection *connection, uint32_t id, struct mailbox *mailbox,
                         const struct store_open *open)
{
    uint32_t seconds = 0;

    enum store_result result = judge_open(mailbox, open->capability.delay, &seconds);
    if (result != STORE_OK) {
        refuse(connection, id, result, seconds);
        mailbox_put(connection->store->mailboxes, mailbox);
    } else if (mailbox_lock(mailbox)) {
        start_session(connection, id, mailbox, open);
    } else {
        wait_for(connection, id, mailbox, open);
    }
}

int session_open(struct connection *connection, const struct channel_message *message)
{
    struct store *store = connection->store;
    struct store_open open;

    if (find(connection, message->id) != NULL || find_waiter(connection, message->id) != NULL)
        return -1;
    memcpy(&open, message->payload, sizeof(open));
    if (capability_check(&open.capability, store->key, (uint64_t)time(NULL)) < 0) {
        log_error("a front showed a capability that is forged or expired");
        refuse(connection, message->id, STORE_NO_CAPABILITY, 0);
        return 0;
    }
    struct mailbox *mailbox = mailbox_get(store->mailboxes, open.capability.mailbox);
    if (mailbox == NULL)
        refuse(connection, message->id, STORE_BROKEN, 0);
    else
        open_mailbox(connection, message->id, mailbox, &open);
    return 0;
}

/* --- reading, expunging, closing -------------------------------------------------------------- */

int session_read(struct connection *connection, const struct channel_message *message)
{
    struct session *session = find(connection, message->id);
    struct store_read request;

    memcpy(&request, message->payload, sizeof(request));
    if (session != NULL && session->logged_out)
        return 0;
    if (session == NULL || session->opening != NULL || request.room == 0 ||
        request.room > STORE_READ_MAX || request.ahead > 1)
        return -1;
    if (request.place != STORE_NO_PLACE &&
        (connection->bodies == NULL || request.place > STORE_MEMORY_SIZE - request.room))
        return -1;
    if (session->reading == NULL)
        session->reading = reading_new(session);
    return reading_add(session->reading, &request);
}

/* Whose end has waited for it. */
static void end_expunged(struct session *session)
{
    if (session->connection == NULL)
        session_free(session);
    else if (session->logged_out)
        log_out(session);
}

static void on_expunged(struct commit *commit, enum store_result result)
{
    struct expunge *expunge = (struct expunge *)(void *)commit;
    struct session *session = expunge->session;

    if (result == STORE_OK) {
        fault_point("expunge.unanswered");
        mailbox_reload(session->store->mailboxes, session->mailbox);
        metric_add(METRIC_STORE_EXPUNGED, (int64_t)commit->header->ref_count);
    }
    session->expunging--;
    if (session->connection != NULL && result == STORE_OK)
        channel_send(session->connection->channel, STORE_EXPUNGED, session->id, NULL, 0, NULL, 0);
    else
        session_refuse(session, result);
    if (session->expunging == 0)
        end_expunged(session);
    free(commit->header);
    free(expunge);
}

/* Marks the messages; -1 for an index that is not in the session or came before. */
static int mark_expunged(struct session *session, const uint8_t *indexes, size_t count)
{
    uint32_t index;

    for (size_t i = 0; i < count; i++) {
        memcpy(&index, indexes + i * sizeof(index), sizeof(index));
        if (index >= session->count || (session->uids[index] & SESSION_EXPUNGED) != 0)
            return -1;
        session->uids[index] |= SESSION_EXPUNGED;
    }
    return 0;
}

/* Fills in the references and where their messages are. */
static enum store_result name_expunged(struct session *session, const uint8_t *indexes,
                                       struct record_header *header)
{
    struct record_ref *refs = record_refs(header);
    uint64_t *places = record_places(header);
    const struct place *place;
    uint32_t index;

    if (session->places == NULL)
        session->places = places_new(session);
    for (uint32_t i = 0; i < header->ref_count; i++) {
        memcpy(&index, indexes + i * sizeof(index), sizeof(index));
        enum store_result result = places_find(session->places, index, &place);
        /* A mailbox that was dropped meanwhile has no rows any more. */
        if (result != STORE_OK && !session->mailbox->dropped)
            return STORE_BROKEN;
        refs[i].mailbox = session->mailbox->id;
        refs[i].uid = session_uid(session, index);
        places[i] = result == STORE_OK ? place->segment : 0;
    }
    return STORE_OK;
}

int session_expunge(struct connection *connection, const struct channel_message *message)
{
    struct session *session = find(connection, message->id);
    size_t count = message->length / sizeof(uint32_t);

    if (session != NULL && session->logged_out)
        return 0;
    if (session == NULL || session->opening != NULL || message->length % sizeof(uint32_t) != 0 ||
        mark_expunged(session, message->payload, count) < 0)
        return -1;
    struct expunge *expunge = xcalloc(1, sizeof(*expunge));
    expunge->session = session;
    expunge->commit.header = record_new(RECORD_EXPUNGE, (uint32_t)count, NULL);
    enum store_result result = name_expunged(session, message->payload, expunge->commit.header);
    if (result != STORE_OK) {
        session_refuse(session, result);
        free(expunge->commit.header);
        free(expunge);
        return 0;
    }
    expunge->commit.header->time = (uint64_t)time(NULL) * 1000000;
    expunge->commit.frees_space = true;
    expunge->commit.done = on_expunged;
    session->expunging++;
    commit_add(session->store->commits, &expunge->commit);
    fault_point("expunge.waiting");
    return 0;
}

int session_close(struct connection *connection, const struct channel_message *message)
{
    struct session *session = find(connection, message->id);
    struct waiter *waiter = find_waiter(connection, message->id);

    if (session != NULL)
        session_end(session);
    else if (waiter != NULL)
        give_up_waiting(waiter);
    return 0;
}

void session_end_all(struct connection *connection)
{
    struct session *session, *next;

    /* First who waits: the end of a session would let one in that is going as well. */
    while (connection->waiters != NULL)
        give_up_waiting(connection->waiters);
    HASH_ITER (hh, connection->sessions, session, next) {
        /* The front ended, not the client: it may come back at once. */
        if (session->mailbox != NULL)
            mailbox_forget_login(session->mailbox);
        session_end(session);
    }
}

bool session_log_out(struct mailbox *mailbox, uint64_t number)
{
    struct session *session = mailbox->session;
    struct mailbox_waiter *place, *next;

    DL_FOREACH_SAFE(mailbox->waiters, place, next)
    {
        struct waiter *waiter = (struct waiter *)(void *)place;
        if (waiter->open.capability.logout >= number)
            continue;
        refuse(waiter->connection, waiter->id, STORE_BUSY, 0);
        give_up_waiting(waiter);
    }
    if (session == NULL || session->logout >= number)
        return false;
    /* We ended it, not the client: it may come back at once. */
    mailbox_forget_login(mailbox);
    session->logged_out = true;
    if (session->expunging == 0)
        log_out(session);
    return true;
}
