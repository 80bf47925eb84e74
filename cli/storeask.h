#ifndef CLI_STOREASK_H
#define CLI_STOREASK_H

#include <stddef.h>

#include "lib/storemsg.h"

/*
 * Asks stored for something about many mailboxes, over its control socket: in requests with up to
 * STORE_MAILBOXES_MAX items each, one after the other.
 */
struct storeask {
    enum store_type request; /* with one or more items as its payload */
    enum store_type answer;
    const void *items;
    size_t item_size;
    size_t count;
    /* Each answer. Returns 0, or -1 for one that cannot be. NULL: nobody wants to know. */
    int (*take)(void *context, const void *payload, size_t length);
    void *context;
};

/* Returns NULL, or why there is no answer: a part of a sentence. */
const char *storeask_run(const struct storeask *ask);

#endif
