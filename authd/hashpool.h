#ifndef AUTHD_HASHPOOL_H
#define AUTHD_HASHPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authd/mechanism.h"
#include "db/login.h"
#include "lib/scramkeys.h"
#include "lib/storedhash.h"

struct event_base;

/*
 * Threads that check passwords against stored hashes (Argon2id: tens of milliseconds and tens of
 * megabytes each), so that neither the event loop waits nor memory grows with the number of
 * clients. Customers take turns (authd/turns.h). All functions are called by the event loop's
 * thread.
 *
 * They also make hashes anew, which nobody waits for: only while no password is to be checked.
 *
 * The threads have a low priority: whose credentials are known does not wait for a core.
 */

enum hash_kind {
    HASH_COMPARE, /* the password with `hash` */
    HASH_MAKE,    /* Argon2id of the password, into `hash` */
    HASH_KEYS     /* its keys for SCRAM, into `keys` */
};

enum hash_result {
    HASH_FITS, /* HASH_MAKE, HASH_KEYS: it is made */
    HASH_WRONG,
    HASH_BROKEN, /* not checked: no memory for it, or the stored hash is damaged */
    HASH_REFUSED /* not checked: too many of this customer's wait, and another needed the place */
};

enum hash_state { HASH_IDLE, HASH_QUEUED, HASH_RUNNING, HASH_DONE };

/*
 * One check, or one hash or keys to make. The submitter zeroes it, fills in what stands before
 * `result`, keeps it at its place until done() is called or hashpool_withdraw() succeeds, and wipes
 * it then. Where done() will not be called, the pool wipes the password.
 */
struct hash_job {
    enum hash_kind kind;
    uint64_t customer; /* HASH_COMPARE: whose turn it is to be */
    char hash[DB_HASH_SIZE];
    char password[MECHANISM_PASSWORD_MAX]; /* as SASLprep has it; none: it has no such form */
    size_t password_length;
    char raw[MECHANISM_PASSWORD_MAX]; /* as it was sent, to be compared too; none: it need not be */
    size_t raw_length;
    uint64_t operations; /* HASH_MAKE: what it is to cost; HASH_COMPARE: what nobody's costs */
    uint64_t memory;
    struct scramkeys keys;              /* HASH_KEYS: with the salt that is in there */
    void (*done)(struct hash_job *job); /* called from the event loop; may free the job */
    enum hash_result result;
    enum hash_state state; /* this and what follows are the pool's */
    bool is_stored;
    struct storedhash stored; /* what `hash` says */
    uint64_t needs;           /* octets */
    uint64_t passed;          /* microseconds: since then others pass by; 0: none has */
    struct share *share;
    struct hash_job *prev;
    struct hash_job *next;
};

struct hashpool;

/*
 * Starts the threads. At most `limit` jobs of each kind wait. Jobs that run at once take `memory`
 * octets together at most, if one alone does not take more; while there is not enough for the
 * customer whose turn it is, others pass by, for a second. Exits where threads cannot be had.
 */
struct hashpool *hashpool_new(struct event_base *base, unsigned threads, unsigned limit,
                              uint64_t memory);

/* Waits for the jobs that are running; the others' passwords are wiped, and no done() is called any
 * more. */
void hashpool_free(struct hashpool *pool);

void hashpool_configure(struct hashpool *pool, unsigned limit, uint64_t memory);

/*
 * Returns 0, or -1 when too many jobs wait: the password is then wiped. Where others' customer has
 * more waiting, one of those is refused instead.
 */
int hashpool_submit(struct hashpool *pool, struct hash_job *job);

/* Takes back a check that no thread has begun. Returns 0, or -1: done() will be called. */
int hashpool_withdraw(struct hashpool *pool, struct hash_job *job);

#endif
