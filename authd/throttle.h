#ifndef AUTHD_THROTTLE_H
#define AUTHD_THROTTLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authd/memory.h"

struct networks;

/*
 * Slows down who guesses passwords, and nobody else. docs/DESIGN.md, "Throttling", has the reasons.
 *
 * A password that was found wrong is remembered by (mailbox, address, password): the same again
 * costs neither a hash nor a penalty. Each other wrong one counts, and what has counted enough is
 * delayed: further tries are refused until the delay is over. It counts for
 *
 *   THROTTLE_PAIR      the mailbox and the address
 *   THROTTLE_NETWORK   the address, whatever the mailbox
 *   THROTTLE_MAILBOX   the mailbox, wherever from
 *   THROTTLE_PASSWORD  the password, for each mailbox that it is tried on
 *
 * the last three only for strangers: where the mailbox's owner has logged in from that network
 * before, or its customer trusts the network, the pair alone counts. Each mailbox that becomes
 * known at an address takes back one that was counted for that address.
 *
 * An address is one of IPv4 or a /64 of IPv6. A mailbox is the name as it was given, so one that
 * does not exist is delayed like any other.
 *
 * All is in memory of a fixed size (authd/memory.h) and holds digests under a secret, not
 * passwords. No input or output; one thread uses it. Times are seconds of a clock that begins at or
 * above 1 and never goes back.
 */

enum throttle_scope {
    THROTTLE_PAIR,
    THROTTLE_NETWORK,
    THROTTLE_MAILBOX,
    THROTTLE_PASSWORD,
    THROTTLE_SCOPES
};

/* Why there is a delay, for the log; static text. */
const char *throttle_reason(enum throttle_scope scope);

/* Octets that a full throttle takes: each of its three tables has room for 100,000 entries. */
#define THROTTLE_MEMORY 32000000

/* Digests of 128 bits. */
#define THROTTLE_KEY_SIZE 16

/* Who tries what. The strings need to stay only during throttle_prepare(). */
struct throttle_login {
    const char *name; /* the mailbox's address in its one form, or what was given in its place;
                         NULL: it is nobody's password, and counts for the network alone */
    /* 0: there is none of that name; an admin user's is one that no mailbox has. This and the
     * customer are for lists and lifting alone. */
    uint64_t mailbox;
    uint64_t customer;
    const char *remote; /* the client's address; anything else: nobody knows it */
    /* Of all that decides whether the password is right: mailbox, stored hash, password. */
    const uint8_t *digest;
    size_t digest_length;
    /*
     * NULL: not told, as with SCRAM, and then there is no digest either. The same wrong one again
     * is a new one then, so such tries have pairs and networks of their own and do not delay the
     * others there.
     */
    const char *password;
    size_t password_length;
};

/* One try, from throttle_prepare() to throttle_note(). Everything is the throttle's. */
struct throttle_try {
    uint8_t keys[THROTTLE_SCOPES][THROTTLE_KEY_SIZE]; /* zeros: does not count there */
    uint8_t guess[THROTTLE_KEY_SIZE];                 /* zeros: the password was not told */
    uint64_t mailbox;
    uint64_t customer;
    struct in6_addr source; /* IPv4 as ::ffff:192.0.2.1; IPv6: the /64 */
    uint32_t home;          /* digest of the network in which an owner stays known */
    bool stranger;
    bool begun;
};

enum throttle_verdict {
    THROTTLE_PASS,
    THROTTLE_KNOWN_WRONG, /* the same password was wrong before: answer so */
    THROTTLE_WAIT,        /* refuse, and say when to come back */
    THROTTLE_HOLD         /* judge again when one that is being checked is done: as many as may be
                             wrong without a delay are on their way */
};

struct throttle_wait {
    enum throttle_scope scope;
    uint32_t seconds; /* until nothing delays this try any more */
};

enum throttle_outcome {
    THROTTLE_GOOD,
    THROTTLE_WRONG,
    THROTTLE_UNDECIDED /* nobody knows: it was not checked */
};

struct throttle;

struct throttle *throttle_new(struct memory *memory);

/* NULL is allowed. The records stay in the memory. */
void throttle_free(struct throttle *throttle);

void throttle_prepare(const struct throttle *throttle, const struct throttle_login *login,
                      uint32_t now, struct throttle_try *try_r);

/* The customer of a stranger's mailbox trusts its network. */
void throttle_trust(struct throttle_try *try);

/* Changes nothing. wait_r is filled in with THROTTLE_WAIT. */
enum throttle_verdict throttle_judge(const struct throttle *throttle,
                                     const struct throttle_try *try, uint32_t now,
                                     struct throttle_wait *wait_r);

/*
 * The try that may pass is about to be checked, and not from memory: throttle_note() must follow.
 * Until then no more are let pass at once than may be wrong.
 */
void throttle_begin(struct throttle *throttle, struct throttle_try *try, uint32_t now);

/*
 * What came of it; also without throttle_begin() where the check cost nothing. Returns a bit
 * (1U << scope) for each scope that delays from now on and did not before.
 */
unsigned throttle_note(struct throttle *throttle, struct throttle_try *try,
                       enum throttle_outcome outcome, uint32_t now);

/* Whether these are of the same address, and the end of the one may let the other pass. */
bool throttle_is_beside(const struct throttle_try *one, const struct throttle_try *other);

/*
 * Takes over a record of another throttle's memory, as memory_take_over() tells it; what is being
 * checked there is not known here. Returns whether it is still worth something.
 */
bool throttle_take_over(struct throttle *throttle, enum memory_table table, const void *record,
                        uint32_t now);

#define THROTTLE_CUSTOMERS 4

/* What delays now. */
struct throttle_block {
    enum throttle_scope scope;
    unsigned count;         /* wrong passwords that are not forgotten yet */
    uint32_t seconds;       /* until the next try may pass */
    uint64_t mailbox;       /* of PAIR and MAILBOX; 0: there is none of that name */
    struct in6_addr source; /* of PAIR and NETWORK */
    /* Whose mailboxes it was last about; zeros at the end. */
    uint64_t customers[THROTTLE_CUSTOMERS];
};

/* How many bits of a source are the client's network: what one household is given. */
unsigned throttle_source_bits(const struct in6_addr *source);

/* Tells what delays now, in no order. Looks through all of the memory: milliseconds. */
void throttle_each(const struct throttle *throttle, uint32_t now,
                   void (*tell)(void *context, const struct throttle_block *block), void *context);

/*
 * Forgets what was counted against a mailbox that exists, or against the addresses in a list.
 * What is remembered as wrong stays so. Returns how many delays that ended.
 */
unsigned throttle_lift_mailbox(struct throttle *throttle, uint64_t mailbox, uint32_t now);
unsigned throttle_lift_networks(struct throttle *throttle, const struct networks *networks,
                                uint32_t now);

#endif
