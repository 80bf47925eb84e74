#ifndef LMTPD_USAGE_H
#define LMTPD_USAGE_H

#include <stdbool.h>

#include "db/route.h"
#include "lib/storemsg.h"

/*
 * What stored last said of mailboxes' usage: RCPT then asks only about a mailbox that is unknown or
 * half full. It may be out of date, for imports fill mailboxes too. That can only let a recipient
 * pass that stored, which judges exactly, refuses at the end of DATA; then it is forgotten.
 */
struct usages;

/* Holds USAGES_MAX mailboxes, of two in the same place the later one. */
struct usages *usages_new(void);
void usages_free(struct usages *usages);

void usages_learn(struct usages *usages, uint64_t mailbox, const struct store_usage_is *usage);
void usages_forget(struct usages *usages, uint64_t mailbox);

/* Whether a message of `declared` octets surely has room: less than half the quota is taken. */
bool usages_leave_room(const struct usages *usages, const struct db_route *route,
                       uint64_t declared);

/* The same of a usage that is known: whether it lets a message into these limits. */
bool usage_leaves_room(const struct store_usage_is *usage, uint64_t quota_octets,
                       uint64_t quota_messages, uint64_t declared);

#endif
