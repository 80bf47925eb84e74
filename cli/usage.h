#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How full mailboxes are, asked of the running stored. */

struct usage {
    uint64_t mailbox; /* set by the caller */
    bool known;       /* the rest is set */
    uint64_t octets;
    uint64_t messages;
};

/*
 * Fills in `count` usages. Returns NULL, or the reason why some are not known: a few static words
 * ("the service is not running").
 */
const char *usage_ask(struct usage *usages, size_t count);

#endif
