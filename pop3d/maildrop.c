#include <stdlib.h>
#include <string.h>

#include "lib/xalloc.h"
#include "pop3d/limits.h"
#include "pop3d/maildrop.h"
#include "pop3d/number.h"

int maildrop_append(struct maildrop *maildrop, const void *entries, size_t count)
{
    if (count > LIMIT_MESSAGES - maildrop->count)
        return -1;
    if (count == 0)
        return 0;
    uint32_t needed = maildrop->count + (uint32_t)count;
    if (needed > maildrop->room) {
        /* Exact for the first piece, which is all that most mailboxes need. */
        uint32_t grown = maildrop->room + maildrop->room / 2;
        maildrop->room = grown > needed ? grown : needed;
        maildrop->entries =
            xrealloc(maildrop->entries, maildrop->room * sizeof(maildrop->entries[0]));
    }
    memcpy(maildrop->entries + maildrop->count, entries, count * sizeof(maildrop->entries[0]));
    for (; maildrop->count < needed; maildrop->count++)
        maildrop->octets += maildrop->entries[maildrop->count].octets;
    return 0;
}

void maildrop_complete(struct maildrop *maildrop)
{
    if (maildrop->room == maildrop->count)
        return;
    maildrop->room = maildrop->count;
    maildrop->entries = xrealloc(maildrop->entries, maildrop->room * sizeof(maildrop->entries[0]));
}

void maildrop_clear(struct maildrop *maildrop)
{
    free(maildrop->entries);
    free(maildrop->marks);
    *maildrop = (struct maildrop){0};
}

enum maildrop_result maildrop_find(const struct maildrop *maildrop, uint64_t number,
                                   uint32_t *index_r)
{
    if (number < 1 || number > maildrop->count)
        return MAILDROP_NONE;
    *index_r = (uint32_t)(number - 1);
    return maildrop_deleted(maildrop, *index_r) ? MAILDROP_DELETED : MAILDROP_OK;
}

bool maildrop_deleted(const struct maildrop *maildrop, uint32_t index)
{
    return maildrop->marks != NULL && (maildrop->marks[index / 8] >> (index % 8) & 1) != 0;
}

void maildrop_delete(struct maildrop *maildrop, uint32_t index)
{
    if (maildrop->marks == NULL)
        maildrop->marks = xcalloc(maildrop->count / 8 + 1, 1);
    maildrop->marks[index / 8] |= (uint8_t)(1U << (index % 8));
    maildrop->deleted++;
    maildrop->octets -= maildrop->entries[index].octets;
}

void maildrop_reset(struct maildrop *maildrop)
{
    for (uint32_t i = 0; i < maildrop->count; i++)
        if (maildrop_deleted(maildrop, i))
            maildrop->octets += maildrop->entries[i].octets;
    free(maildrop->marks);
    maildrop->marks = NULL;
    maildrop->deleted = 0;
}

uint32_t maildrop_messages(const struct maildrop *maildrop)
{
    return maildrop->count - maildrop->deleted;
}

size_t maildrop_collect_deleted(const struct maildrop *maildrop, uint32_t *next_r,
                                uint32_t *indexes_r, size_t most)
{
    size_t found = 0;

    for (; *next_r < maildrop->count && found < most; (*next_r)++)
        if (maildrop_deleted(maildrop, *next_r))
            indexes_r[found++] = *next_r;
    return found;
}

size_t maildrop_unique_id(const struct store_entry *entry, char *text_r)
{
    size_t length = number_format_hex(text_r, entry->uid);

    text_r[length++] = '.';
    return length + number_format_hex(text_r + length, entry->time);
}
