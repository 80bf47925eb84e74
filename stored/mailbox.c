#include <stdlib.h>
#include <utlist.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xalloc.h"
#include "stored/index.h"
#include "stored/mailbox.h"

/* Mailboxes kept in memory after their last use: 160 octets each, and it spares an index query. */
#define MAILBOXES_IDLE_MAX 20000

struct mailboxes {
    struct index *index;
    struct mailbox *all;
    struct mailbox *idle;
    unsigned idle_count;
};

struct mailboxes *mailboxes_new(struct index *index)
{
    struct mailboxes *mailboxes = xcalloc(1, sizeof(*mailboxes));

    mailboxes->index = index;
    return mailboxes;
}

static void forget(struct mailboxes *mailboxes, struct mailbox *mailbox)
{
    HASH_DEL(mailboxes->all, mailbox);
    free(mailbox);
}

void mailboxes_free(struct mailboxes *mailboxes)
{
    struct mailbox *mailbox, *next;

    if (mailboxes == NULL)
        return;
    HASH_ITER (hh, mailboxes->all, mailbox, next)
        forget(mailboxes, mailbox);
    free(mailboxes);
}

static int load(struct mailboxes *mailboxes, struct mailbox *mailbox)
{
    struct index_mailbox row;

    if (index_get_mailbox(mailboxes->index, mailbox->id, &row) < 0)
        return -1;
    mailbox->messages = row.messages;
    mailbox->octets = row.octets;
    mailbox->surrogates = row.surrogates;
    mailbox->dropped = mailbox->dropped || row.dropped;
    if (mailbox->uid_next < row.uid_next)
        mailbox->uid_next = row.uid_next;
    return 0;
}

struct mailbox *mailbox_find(struct mailboxes *mailboxes, uint64_t id)
{
    struct mailbox *mailbox;

    HASH_FIND(hh, mailboxes->all, &id, sizeof(id), mailbox);
    return mailbox;
}

struct mailbox *mailbox_get(struct mailboxes *mailboxes, uint64_t id)
{
    struct mailbox *mailbox = mailbox_find(mailboxes, id);

    if (mailbox == NULL) {
        mailbox = xcalloc(1, sizeof(*mailbox));
        mailbox->id = id;
        if (load(mailboxes, mailbox) < 0) {
            free(mailbox);
            return NULL;
        }
        HASH_ADD(hh, mailboxes->all, id, sizeof(mailbox->id), mailbox);
    } else if (mailbox->users == 0) {
        DL_DELETE(mailboxes->idle, mailbox);
        mailboxes->idle_count--;
    }
    mailbox->users++;
    return mailbox;
}

void mailbox_put(struct mailboxes *mailboxes, struct mailbox *mailbox)
{
    if (--mailbox->users > 0)
        return;
    DL_APPEND(mailboxes->idle, mailbox);
    if (++mailboxes->idle_count <= MAILBOXES_IDLE_MAX)
        return;
    struct mailbox *oldest = mailboxes->idle;
    DL_DELETE(mailboxes->idle, oldest);
    mailboxes->idle_count--;
    forget(mailboxes, oldest);
}

bool mailbox_lock(struct mailbox *mailbox)
{
    if (mailbox->locked)
        return false;
    mailbox->locked = true;
    mailbox->locked_at = clock_seconds();
    return true;
}

void mailbox_wait(struct mailbox *mailbox, struct mailbox_waiter *waiter)
{
    DL_APPEND(mailbox->waiters, waiter);
    mailbox->waiting++;
}

void mailbox_wait_end(struct mailbox *mailbox, struct mailbox_waiter *waiter)
{
    DL_DELETE(mailbox->waiters, waiter);
    mailbox->waiting--;
}

void mailbox_unlock(struct mailbox *mailbox)
{
    struct mailbox_waiter *first = mailbox->waiters;

    if (first == NULL) {
        mailbox->locked = false;
        return;
    }
    mailbox_wait_end(mailbox, first);
    mailbox->locked_at = clock_seconds();
    first->granted(first);
}

uint32_t mailbox_locked_for(const struct mailbox *mailbox)
{
    uint32_t seconds = clock_seconds() - mailbox->locked_at;

    return seconds > 0 ? seconds : 1;
}

void mailbox_note_login(struct mailbox *mailbox)
{
    mailbox->logged_in_at = clock_seconds();
}

void mailbox_forget_login(struct mailbox *mailbox)
{
    mailbox->logged_in_at = 0;
}

uint32_t mailbox_login_wait(const struct mailbox *mailbox, uint64_t delay)
{
    uint32_t since = clock_seconds() - mailbox->logged_in_at;

    return mailbox->logged_in_at != 0 && since < delay ? (uint32_t)delay - since : 0;
}

void mailbox_reload(struct mailboxes *mailboxes, struct mailbox *mailbox)
{
    if (load(mailboxes, mailbox) < 0)
        log_retry("usage cannot be read from the index");
}

enum store_result mailbox_reserve(struct mailbox *mailbox, const struct store_recipient *limits,
                                  uint64_t octets, uint64_t *uid_r)
{
    uint64_t used = mailbox->octets + mailbox->waiting_octets;

    if (mailbox->dropped)
        return STORE_NO_MAILBOX;
    if (octets > limits->octets_max)
        return STORE_TOO_LARGE;
    if (mailbox->messages + mailbox->waiting_messages >= limits->quota_messages ||
        used > limits->quota_octets || octets > limits->quota_octets - used)
        return STORE_OVER_QUOTA;
    mailbox->waiting_messages++;
    mailbox->waiting_octets += octets;
    *uid_r = mailbox->uid_next++;
    return STORE_OK;
}

void mailbox_settle(struct mailbox *mailbox, uint64_t octets, bool has_surrogate, bool durable)
{
    mailbox->waiting_messages--;
    mailbox->waiting_octets -= octets;
    if (durable) {
        mailbox->messages++;
        mailbox->octets += octets;
        mailbox->surrogates += has_surrogate;
    }
}

/* Whether `used` is `line` percent of the quota or more. */
static bool reaches(uint64_t used, uint64_t quota, unsigned line)
{
    return used >= quota / 100 * line + (quota % 100 * line + 99) / 100;
}

/* The highest line that is reached, or 0. */
static unsigned level(uint64_t octets, uint64_t messages, const struct store_recipient *limits)
{
    static const unsigned lines[] = STORE_QUOTA_LINES;
    unsigned highest = 0;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (reaches(octets, limits->quota_octets, lines[i]) ||
            reaches(messages, limits->quota_messages, lines[i]))
            highest = lines[i];
    return highest;
}

unsigned mailbox_crossed(const struct store_usage_is *usage, const struct store_recipient *limits,
                         uint64_t octets)
{
    unsigned before = level(usage->octets - octets, usage->messages - 1, limits);
    unsigned now = level(usage->octets, usage->messages, limits);

    return now > before ? now : 0;
}
