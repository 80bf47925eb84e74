#ifndef LMTPD_WARNER_H
#define LMTPD_WARNER_H

#include <stdbool.h>

#include "lmtpd/letter.h"
#include "lmtpd/server.h"

struct event_base;

/*
 * Delivers warnings that a mailbox is nearly full into that mailbox, one after the other, each as a
 * message of its own and whatever room there is: a mailbox that is full gets it as well. A warning
 * brings forth no other.
 *
 * They wait in memory; while stored or the account database is away they are tried again, for
 * WARNING_SECONDS each. What a crash of this process takes away is not made up for.
 */
struct warner;

/* `idle` is called each time that nothing waits any more. Reads the texts (lib/child.h). */
struct warner *warner_new(struct event_base *base, const struct server *server,
                          void (*idle)(void *context), void *context);

/* What waits is forgotten, with a line in the log. NULL is allowed. */
void warner_free(struct warner *warner);

/* Reads the texts again. */
void warner_reload(struct warner *warner);

/* Never delivers before it returns. */
void warner_add(struct warner *warner, const struct letter *letter);

/* Somebody may call warner_add() before long, and nobody else knows: it is not idle until told. */
void warner_expect(struct warner *warner);
void warner_expect_end(struct warner *warner);

bool warner_is_idle(const struct warner *warner);

#endif
