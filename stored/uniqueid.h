#ifndef STORED_UNIQUEID_H
#define STORED_UNIQUEID_H

#include <stdbool.h>
#include <uthash.h>

#include "lib/storemsg.h"

struct store;

/*
 * Unique-ids that imports bring. No two messages of a mailbox show the same one, whatever is on its
 * way to the disk: so an import can be repeated and adds only what is missing.
 */

/* Of one message on its way; a member of its delivery. */
struct unique_id {
    struct {
        uint64_t mailbox;
        char text[sizeof(((struct store_import *)NULL)->unique_id)]; /* empty: none was brought */
    } key;
    bool taken; /* uniqueid.c's */
    UT_hash_handle hh;
};

/* Whether these octets are a unique-id: RFC 1939 section 7. */
bool unique_id_is_text(const char *text, size_t length);

/* Whether an import's text is empty or a unique-id, NUL padded. */
bool unique_id_is_valid(const struct store_import *import);

/*
 * STORE_OK, or STORE_EXISTS when a message of the mailbox shows this unique-id, or one will that is
 * being committed; STORE_BROKEN when the index fails. None is always good.
 */
enum store_result unique_id_judge(struct store *store, const struct unique_id *unique_id);

/* While its message is being committed nobody else may bring the same. After STORE_OK only. */
void unique_id_take(struct unique_id *unique_id);

/* The commit has ended, well or not; also for one that was not taken. */
void unique_id_release(struct unique_id *unique_id);

#endif
