#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stored/index.h"
#include "stored/store.h"
#include "stored/uniqueid.h"

static struct unique_id *committing;

bool unique_id_is_text(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    return length > 0 && length <= STORE_UNIQUE_ID_MAX;
}

bool unique_id_is_valid(const struct store_import *import)
{
    const char *text = import->unique_id;
    size_t length = strnlen(text, sizeof(import->unique_id));

    for (size_t i = length; i < sizeof(import->unique_id); i++)
        if (text[i] != '\0')
            return false;
    return length == 0 || unique_id_is_text(text, length);
}

/* Reads a unique-id of stored's own making: "uid.time" in hexadecimal, just as pop3d writes it. */
static bool parse_own(const char *text, uint64_t *uid_r, uint64_t *time_r)
{
    char again[2 * 16 + 2];
    char *end;

    *uid_r = strtoull(text, &end, 16);
    if (*end != '.')
        return false;
    *time_r = strtoull(end + 1, NULL, 16);
    snprintf(again, sizeof(again), "%" PRIx64 ".%" PRIx64, *uid_r, *time_r);
    return strcmp(text, again) == 0;
}

enum store_result unique_id_judge(struct store *store, const struct unique_id *unique_id)
{
    struct unique_id *same;
    uint64_t uid, time;
    int found = 0;

    if (unique_id->key.text[0] == '\0')
        return STORE_OK;
    HASH_FIND(hh, committing, &unique_id->key, sizeof(unique_id->key), same);
    if (same != NULL)
        return STORE_EXISTS;
    found = index_find_unique_id(store->index, unique_id->key.mailbox, unique_id->key.text);
    if (found == 0 && parse_own(unique_id->key.text, &uid, &time))
        found = index_find_own_id(store->index, unique_id->key.mailbox, uid, time);
    return found < 0 ? STORE_BROKEN : found > 0 ? STORE_EXISTS : STORE_OK;
}

void unique_id_take(struct unique_id *unique_id)
{
    if (unique_id->key.text[0] == '\0')
        return;
    HASH_ADD(hh, committing, key, sizeof(unique_id->key), unique_id);
    unique_id->taken = true;
}

void unique_id_release(struct unique_id *unique_id)
{
    if (unique_id->taken)
        HASH_DEL(committing, unique_id);
    unique_id->taken = false;
}
