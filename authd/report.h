#ifndef AUTHD_REPORT_H
#define AUTHD_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "db/event.h"

struct channel;
struct event_base;

/*
 * What authd wants written into accounts.db, on its way to admin (lib/authmsg.h): batches of up to
 * AUTH_BATCH_MAX, REPORT_DELAY_MS after something new has come. Nobody who logs in waits for it.
 *
 * The same event again (a mail program that looks each minute) is counted: it is one row for
 * DB_EVENT_SPAN seconds, whose count and time are written anew only each REPORT_REPEAT_SECONDS. So
 * the number of writes goes with the number of clients and not with how often they come.
 *
 * What waits is bounded by REPORT_ITEMS_MAX. Beyond that what has been written already is forgotten
 * first, so that it gets a row anew when it happens again; then, with admin away for long, the
 * oldest is dropped and counted in bellhop_auth_events_dropped_total. A crash of authd loses what
 * has not been sent; the log has it.
 */

#define REPORT_DELAY_MS       100
#define REPORT_REPEAT_SECONDS 600

/* Some 300 octets each. One for each client that logs in within a day, so that all are counted. */
#define REPORT_ITEMS_MAX 32768

struct report;

/* What happened. Texts are copied, and cut where lib/authmsg.h says so; NULL is "". */
struct report_event {
    enum db_event_kind kind;
    uint64_t customer; /* 0: that of the address's domain, if anybody's */
    uint64_t mailbox;  /* 0: there is none */
    const char *address;
    const char *remote;
    const char *protocol;
    const char *mechanism;
    const char *credential;
    const char *reason;
};

struct report *report_new(struct event_base *base);

/* What has not been written is lost, after a line of warning. NULL is allowed. */
void report_free(struct report *report);

void report_event(struct report *report, const struct report_event *event);

/*
 * The rest is lost where there is no room, and each of them is simply made again at a later login.
 * Hashes and keys of AUTH_HASH_SIZE octets or more are a bug of the caller's.
 */

/* A mailbox's password has been hashed anew; counts only while the old hash is the stored one. */
void report_upgrade(struct report *report, uint64_t customer, uint64_t mailbox,
                    const char *old_hash, const char *new_hash);

/* Keys of SCRAM for the password that has this stored hash; count only while it is stored. */
void report_scram(struct report *report, uint64_t customer, uint64_t mailbox, const char *hash,
                  const char *keys);

/*
 * An app password has been used. For the caller to say when the time that is stored is some minutes
 * old, and not at each login.
 */
void report_used(struct report *report, uint64_t customer, uint64_t app_password,
                 const char *remote);

/* A token names a key that its issuer is not known to have. For the caller to say seldom. */
void report_wanted(struct report *report, uint64_t customer, uint64_t issuer);

/*
 * Who writes: from now on everything is sent over this channel, first what was sent over the last
 * one and not answered. NULL: nobody, so it is kept. The channel stays the caller's.
 */
void report_set_writer(struct report *report, struct channel *channel);
struct channel *report_writer(const struct report *report);

/* The writer has written the batch. Returns 0, or -1: that is not the one that it has. */
int report_written(struct report *report, uint32_t batch);

/*
 * Has everything written now that has happened until now, counts too. report_is_written() tells
 * whether it has been, by the number that this returns.
 */
uint64_t report_flush(struct report *report);
bool report_is_written(const struct report *report, uint64_t flushed);

/* `written` is called after each batch. One listener. */
void report_listen(struct report *report, void (*written)(void *context), void *context);

#endif
