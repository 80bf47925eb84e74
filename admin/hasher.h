#ifndef ADMIN_HASHER_H
#define ADMIN_HASHER_H

#include <stdbool.h>

#include "admin/workers.h"
#include "lib/password.h"

struct event_base;

/* Threads that make what is kept of passwords (lib/password.h), which is slow on purpose. */
struct hasher;

/* Zeroed, then filled in up to `context`; wiped by its owner when it is called. */
struct hashing {
    struct password password;
    const char *address;
    void (*done)(struct hashing *hashing);
    void *context; /* for done() */
    bool failed;   /* not enough memory */
    struct password_kept kept;
    struct work work; /* the hasher's */
};

/* Wiped by hasher_free(). `threads` as child_per_core() takes it. */
struct hasher *hasher_new(struct event_base *base, unsigned threads,
                          const struct password_cost *cost);

/* Returns 0, or -1 when too many wait: done() is not called then. */
int hasher_submit(struct hasher *hasher, struct hashing *hashing);

/* How many passwords wait. */
unsigned hasher_waiting(const struct hasher *hasher);

/* Hashes what waits, and calls done() for it. */
void hasher_free(struct hasher *hasher);

#endif
