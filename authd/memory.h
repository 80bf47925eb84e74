#ifndef AUTHD_MEMORY_H
#define AUTHD_MEMORY_H

#include <stdint.h>

/*
 * What authd remembers of its clients, in memory that outlives it: the supervisor has it open too,
 * and hands it on to the authd that comes next, after a reload, a stop or a crash. That one copies
 * out of it what it can use into memory of its own; the two never share a table.
 *
 * It holds tables of records, and the secret under which their digests are made: no password, no
 * name. One thread uses it.
 */

/* Goes up when a record or what a digest is made of changes: what is of another version is left. */
#define MEMORY_VERSION 1

enum memory_table {
    MEMORY_CREDENTIALS, /* authd/cache.h */
    MEMORY_GUESSES,     /* these three: authd/throttle.h */
    MEMORY_PENALTIES,
    MEMORY_MAILBOXES,
    MEMORY_TABLES
};

/* The secrets that follow from the one, for each a number of its own. */
enum memory_secret { MEMORY_SECRET_CREDENTIALS = 1, MEMORY_SECRET_THROTTLE };

struct memory;

/*
 * `fd` is an empty memfd, or -1: then it ends with this process. `last` is that of the one before,
 * or -1; both stay open. The secret is the last one's, or a new one. Exits where there is no
 * memory.
 */
struct memory *memory_new(int fd, int last);

/* Gives back the tables too. NULL is allowed. */
void memory_free(struct memory *memory);

/*
 * Room for `count` records of `size` octets, all zero; each table once. The system gives memory for
 * those that are written.
 */
void *memory_take(struct memory *memory, enum memory_table table, uint64_t count, uint64_t size);

/* Of 16 to 64 octets. */
void memory_secret(const struct memory *memory, enum memory_secret number, uint8_t *secret_r,
                   uint64_t size);

/* One record of the last one's: a copy, aligned as any, valid within the call. */
typedef void memory_tell(void *context, enum memory_table table, const void *record);

/*
 * When all tables are taken: nobody can change the size any more, nor write into it but through
 * this. Then tells each record of the last one's tables that is not all zero. That one may have
 * crashed, so anything may stand there.
 */
void memory_take_over(struct memory *memory, memory_tell *tell, void *context);

#endif
