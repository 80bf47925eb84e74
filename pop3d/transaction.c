#include "pop3d/transaction.h"
#include "lib/fault.h"
#include "lib/metrics.h"
#include "pop3d/number.h"

enum reply transaction_stat(struct session *session, const struct words *words)
{
    (void)words;
    reply_add_numbers(session_output(session), maildrop_messages(&session->maildrop),
                      session->maildrop.octets);
    return REPLY_SENT;
}

/* The message with the number in `text`, or why there is none. */
static enum reply find_message(const struct session *session, const char *text, uint32_t *index_r)
{
    uint64_t number;

    if (number_parse(&number, text) < 0)
        return REPLY_NOT_A_NUMBER;
    switch (maildrop_find(&session->maildrop, number, index_r)) {
    case MAILDROP_OK: return REPLY_OK;
    case MAILDROP_DELETED: return REPLY_IS_DELETED;
    case MAILDROP_NONE: break;
    }
    return REPLY_NO_MESSAGE;
}

static enum reply list_one(struct session *session, const char *text, enum listing_kind kind)
{
    uint32_t index;

    enum reply reply = find_message(session, text, &index);
    if (reply != REPLY_OK)
        return reply;
    listing_one(session, kind, index);
    return REPLY_SENT;
}

static enum reply list(struct session *session, const struct words *words, enum listing_kind kind)
{
    if (words->count == 1)
        return list_one(session, words->arguments[0], kind);
    reply_add_maildrop(session_output(session), session->tongue,
                       maildrop_messages(&session->maildrop), session->maildrop.octets);
    listing_begin(session, kind);
    return REPLY_SENT;
}

enum reply transaction_list(struct session *session, const struct words *words)
{
    return list(session, words, LISTING_SIZES);
}

enum reply transaction_uidl(struct session *session, const struct words *words)
{
    return list(session, words, LISTING_UNIQUE_IDS);
}

enum reply transaction_retr(struct session *session, const struct words *words)
{
    uint32_t index;

    enum reply reply = find_message(session, words->arguments[0], &index);
    if (reply != REPLY_OK)
        return reply;
    if (fetch_from_ahead(session, index))
        return REPLY_SENT;
    fetch_begin(session, index, false, 0);
    return REPLY_LATER;
}

enum reply transaction_top(struct session *session, const struct words *words)
{
    uint32_t index;
    uint64_t lines;

    enum reply reply = find_message(session, words->arguments[0], &index);
    if (reply != REPLY_OK)
        return reply;
    if (number_parse(&lines, words->arguments[1]) < 0)
        return REPLY_NOT_A_NUMBER;
    fetch_begin(session, index, true, lines);
    return REPLY_LATER;
}

enum reply transaction_dele(struct session *session, const struct words *words)
{
    uint32_t index;

    enum reply reply = find_message(session, words->arguments[0], &index);
    if (reply != REPLY_OK)
        return reply;
    maildrop_delete(&session->maildrop, index);
    return REPLY_DELETED;
}

enum reply transaction_rset(struct session *session, const struct words *words)
{
    (void)words;
    maildrop_reset(&session->maildrop);
    return REPLY_RESET;
}

enum reply transaction_noop(struct session *session, const struct words *words)
{
    (void)session;
    (void)words;
    return REPLY_OK;
}

/* Gives stored the next part of what is to be deleted. Returns false when there is no more. */
static bool expunge_more(struct session *session)
{
    static uint32_t indexes[STORE_EXPUNGE_MAX];

    size_t count = maildrop_collect_deleted(&session->maildrop, &session->expunge_next, indexes,
                                            STORE_EXPUNGE_MAX);
    if (count > 0)
        storeclient_expunge(&session->store, indexes, count);
    return count > 0;
}

/*
 * RFC 1939 section 6: the UPDATE state follows only on TRANSACTION. The lock is released before the
 * answer, so that a client's next login finds the mailbox free.
 */
enum reply transaction_quit(struct session *session, const struct words *words)
{
    (void)words;
    if (session->state != SESSION_TRANSACTION || session->maildrop.deleted == 0) {
        storeclient_close(&session->store);
        return REPLY_GOODBYE;
    }
    session->state = SESSION_UPDATE;
    fault_point("pop3d.expunging");
    if (!storeclient_is_open(&session->store))
        return REPLY_NOT_REMOVED;
    session->wait = SESSION_EXPUNGING;
    session->expunge_next = 0;
    (void)expunge_more(session);
    return REPLY_LATER;
}

/* Answered once, when everything is durable. */
int transaction_expunged(struct session *session)
{
    if (expunge_more(session))
        return 0;
    session->wait = SESSION_READY;
    fault_point("pop3d.unanswered");
    session->deleted = session->maildrop.deleted;
    metric_add(METRIC_POP3_DELETED, session->maildrop.deleted);
    storeclient_close(&session->store);
    command_answer(session, REPLY_GOODBYE);
    return 0;
}

int transaction_expunge_failed(struct session *session)
{
    session->wait = SESSION_READY;
    storeclient_close(&session->store);
    command_answer(session, REPLY_NOT_REMOVED);
    return 0;
}
