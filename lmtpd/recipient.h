#ifndef LMTPD_RECIPIENT_H
#define LMTPD_RECIPIENT_H

#include "lib/address.h"
#include "lmtpd/reply.h"
#include "lmtpd/server.h"
#include "lmtpd/transaction.h"

/*
 * What RCPT says: looks up where an address leads, checks suspension, size and quota, and adds the
 * recipient to the transaction. Asks stored for the usage of each mailbox of which it is not known
 * that there is room (lmtpd/usage.h); while there is no connection to stored, that is left to the
 * end of DATA.
 */
struct recipient_check;

/*
 * Starts one. `done` is called with the reply, possibly before this returns, and then NULL is
 * returned; otherwise what to cancel it by. The check is over when `done` is called.
 */
struct recipient_check *recipient_check_start(
    const struct server *server, struct transaction *transaction, const struct address *address,
    void (*done)(void *context, const char *address, enum reply reply), void *context);

/* Ends it without a reply. NULL is allowed. */
void recipient_check_cancel(struct recipient_check *check);

#endif
