#ifndef LMTPD_TRANSACTION_H
#define LMTPD_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/route.h"
#include "lmtpd/reply.h"
#include "lmtpd/server.h"

struct warner;

/*
 * One message on its way from a client to stored: sender, recipients, body. Knows no connection
 * and no command.
 *
 * Recipients are what the client named, one reply each; targets are the mailboxes behind them, each
 * once. The body goes to stored once for all of them, which judges each by its own limits. Only a
 * message that is larger than any of them takes is given up here, as soon as that is certain.
 */
struct transaction;

/*
 * `sender` is the reverse path without brackets; `declared` MAIL's SIZE, or 0. Both are copied.
 * The warner is told of mailboxes that this message brings near their quota; NULL: nobody is.
 */
struct transaction *transaction_new(const struct server *server, struct warner *warner,
                                    const char *sender, size_t length, uint64_t declared,
                                    bool utf8);

/*
 * What has not been committed is dropped at stored; what has been may still lead to warnings. NULL
 * is allowed.
 */
void transaction_free(struct transaction *transaction);

const char *transaction_sender(const struct transaction *transaction);
uint64_t transaction_declared(const struct transaction *transaction);
bool transaction_utf8(const struct transaction *transaction);
bool transaction_has_mailbox(const struct transaction *transaction, uint64_t mailbox);

/*
 * Adds a recipient that leads to these 1 or more mailboxes. Returns REPLY_RECIPIENT_OK, or
 * REPLY_TOO_MANY_RECIPIENTS with nothing added.
 */
enum reply transaction_add(struct transaction *transaction, const char *address,
                           const struct db_route *routes, unsigned count);

unsigned transaction_recipients(const struct transaction *transaction);

/* The address when there is one recipient, otherwise NULL. */
const char *transaction_only_recipient(const struct transaction *transaction);

/*
 * The body, not dot-stuffed, in pieces: first begin with the header fields put in front of it,
 * which count towards no limit, then the rest; no recipient is added any more. While
 * store_link_full(), the caller should wait.
 */
void transaction_begin(struct transaction *transaction, const char *head, size_t length);
void transaction_data(struct transaction *transaction, const char *text, size_t length);

/*
 * Ends the body. `done` is called when there is a reply for each recipient: durable where it is
 * REPLY_DELIVERED. It may be called before this returns, and may free the transaction.
 */
void transaction_end(struct transaction *transaction, void (*done)(void *context), void *context);

enum reply transaction_reply(const struct transaction *transaction, unsigned recipient);

/* Logs how it ended: one line an outcome. */
void transaction_log(const struct transaction *transaction, const char *session);

#endif
