#ifndef AUTHD_HASHPOOL_H
#define AUTHD_HASHPOOL_H

#include <stddef.h>

#include "authd/mechanism.h"
#include "db/login.h"

struct event_base;

/*
 * Threads that check passwords against stored hashes (Argon2id: tens of milliseconds and tens of
 * megabytes each), so that neither the event loop waits nor memory grows with the number of
 * clients. All functions are called by the event loop's thread.
 */

enum hash_result {
    HASH_FITS,
    HASH_WRONG,
    HASH_BROKEN /* not checked: no memory for it, or the stored hash is damaged */
};

enum hash_state { HASH_IDLE, HASH_QUEUED, HASH_RUNNING, HASH_DONE };

/*
 * One check. The submitter fills in hash, password and done, and keeps it at its place until
 * done() is called or hashpool_withdraw() succeeds. The pool wipes the password on every path.
 */
struct hash_job {
    char hash[DB_HASH_SIZE];
    char password[MECHANISM_PASSWORD_MAX];
    size_t password_length;
    void (*done)(struct hash_job *job); /* called from the event loop; may free the job */
    enum hash_result result;
    enum hash_state state; /* this and what follows are the pool's */
    struct hash_job *prev;
    struct hash_job *next;
};

struct hashpool;

/* Starts the threads. At most `limit` jobs wait. Exits where threads cannot be had. */
struct hashpool *hashpool_new(struct event_base *base, unsigned threads, unsigned limit);

/* Waits for the jobs that are running; the others' passwords are wiped, and no done() is called any
 * more. */
void hashpool_free(struct hashpool *pool);

void hashpool_set_limit(struct hashpool *pool, unsigned limit);

/* Returns 0, or -1 when too many jobs wait: the password is then wiped. */
int hashpool_submit(struct hashpool *pool, struct hash_job *job);

/* Takes back a job that no thread has begun. Returns 0, or -1: done() will be called. */
int hashpool_withdraw(struct hashpool *pool, struct hash_job *job);

#endif
