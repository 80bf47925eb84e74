#ifndef STORED_MAILBOX_H
#define STORED_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "lib/storemsg.h"

struct index;
struct session;

/* Somebody who waits for a mailbox's lock; a member of the waiting thing. */
struct mailbox_waiter {
    void (*granted)(struct mailbox_waiter *waiter); /* the lock is the waiter's now */
    struct mailbox_waiter *prev, *next;
};

/*
 * What stored knows of a mailbox beside its messages: usage, the next uid, and who holds its lock.
 * Usage is exact: what waits for its group commit is counted before it is durable, so parallel
 * deliveries cannot pass a quota together.
 */
struct mailbox {
    uint64_t id;
    uint64_t messages; /* durable, as in the index */
    uint64_t octets;
    uint64_t surrogates;       /* durable messages that have one */
    uint64_t waiting_messages; /* accepted, not durable yet */
    uint64_t waiting_octets;
    uint64_t uid_next;
    bool dropped;
    bool locked;
    bool miscounted;         /* the index has other messages than it counts */
    uint32_t locked_at;      /* seconds of the monotonic clock */
    uint32_t logged_in_at;   /* when a session was opened last; 0: nobody remembers one */
    struct session *session; /* that holds the lock; NULL: none does */
    struct mailbox_waiter *waiters;
    unsigned waiting; /* how many */
    unsigned users;
    struct mailbox *prev, *next; /* among those without users, in order of last use */
    UT_hash_handle hh;
};

struct mailboxes;

struct mailboxes *mailboxes_new(struct index *index);
void mailboxes_free(struct mailboxes *mailboxes);

/* The mailbox, loaded from the index if need be; mailbox_put() when done. NULL: the index fails. */
struct mailbox *mailbox_get(struct mailboxes *mailboxes, uint64_t id);
void mailbox_put(struct mailboxes *mailboxes, struct mailbox *mailbox);

/* The mailbox where it is in memory, as each is that somebody has open; without a use. Or NULL. */
struct mailbox *mailbox_find(struct mailboxes *mailboxes, uint64_t id);

/*
 * The exclusive lock (RFC 1939 section 4). A session holds it from its opening until its last
 * expunge is durable; what moves or expires messages holds it for moments. Nothing of a mailbox is
 * moved or expunged without it. Who holds it or waits for it also has a use of the mailbox.
 */
bool mailbox_lock(struct mailbox *mailbox); /* false: somebody else has it */
void mailbox_wait(struct mailbox *mailbox, struct mailbox_waiter *waiter);
void mailbox_wait_end(struct mailbox *mailbox, struct mailbox_waiter *waiter);

/* For how many seconds whoever holds the lock has had it, at least 1. */
uint32_t mailbox_locked_for(const struct mailbox *mailbox);

/*
 * RFC 2449 section 6.5: the time from one login to the next. A session that has been opened is a
 * login, one that was refused is none. Forgotten with the mailbox, which stays in memory while
 * fewer than 20,000 others have been used since.
 */
void mailbox_note_login(struct mailbox *mailbox);
void mailbox_forget_login(struct mailbox *mailbox);

/* How many seconds of these `delay` ones the next login has to wait yet; 0: none. */
uint32_t mailbox_login_wait(const struct mailbox *mailbox, uint64_t delay);

/* Gives the lock back, or to the first that waits, whose granted() is called from here. */
void mailbox_unlock(struct mailbox *mailbox);

/* Reads the durable usage again, after an expunge or a drop has been applied. */
void mailbox_reload(struct mailboxes *mailboxes, struct mailbox *mailbox);

/*
 * Takes room for one more message and draws its uid. STORE_OK, or why not: STORE_NO_MAILBOX,
 * STORE_TOO_LARGE, STORE_OVER_QUOTA. After STORE_OK, mailbox_settle() says what became of it.
 */
enum store_result mailbox_reserve(struct mailbox *mailbox, const struct store_recipient *limits,
                                  uint64_t octets, uint64_t *uid_r);
void mailbox_settle(struct mailbox *mailbox, uint64_t octets, bool has_surrogate, bool durable);

/*
 * Which of STORE_QUOTA_LINES a message of so many octets has crossed that is the last in this
 * usage: the highest that the mailbox had not reached without it, in octets and in messages, and
 * has reached now, in either. 0: none.
 */
unsigned mailbox_crossed(const struct store_usage_is *usage, const struct store_recipient *limits,
                         uint64_t octets);

#endif
