#ifndef AUTHD_TURNS_H
#define AUTHD_TURNS_H

#include <stdint.h>

/*
 * Who is next among jobs that wait for a hash thread: each customer that has some waiting gets the
 * same time of the threads, however many it has and whatever its hashes cost. Next is the customer
 * of whom the fewest are being computed, among those the one that has had the least time; within a
 * customer, who came first. One that comes anew begins with as much as those have had who are
 * served now: it neither pays nor is paid for the time when nothing of it waited.
 *
 * It does no locking.
 */

struct hash_job;
struct turns;

struct turns *turns_new(void);

/* Leaves the jobs alone. NULL is allowed. */
void turns_free(struct turns *turns);

/* How many wait. */
unsigned turns_count(const struct turns *turns);

/* Any of those that wait; NULL: none. */
struct hash_job *turns_any(const struct turns *turns);

/* A job of job->customer waits from now on; the members `prev`, `next` and `share` are the turns'.
 */
void turns_add(struct turns *turns, struct hash_job *job);

/* Takes back one that waits. */
void turns_remove(struct turns *turns, struct hash_job *job);

/* Whose turn it is, of those that take at most so many octets; NULL: none waits. */
struct hash_job *turns_next(const struct turns *turns, uint64_t memory);

/* That one does not wait any more and is being computed, until turns_end(). */
void turns_begin(struct turns *turns, struct hash_job *job);

/* It has taken so many microseconds of a thread. */
void turns_end(struct turns *turns, struct hash_job *job, uint64_t microseconds);

/*
 * Who makes room for one more of this customer: of the customer that has most waiting, the one that
 * came last. NULL: that would be this customer itself.
 */
struct hash_job *turns_crowded(const struct turns *turns, uint64_t customer);

#endif
