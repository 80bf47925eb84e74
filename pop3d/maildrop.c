#include <stdlib.h>
#include <string.h>

#include "lib/xalloc.h"
#include "pop3d/limits.h"
#include "pop3d/maildrop.h"
#include "pop3d/number.h"

/* Room for `needed` things of `size` octets, half as much again as before. */
static void *grow(void *old, uint32_t *room_r, size_t needed, size_t size)
{
    size_t grown = *room_r + (size_t)*room_r / 2;

    if (needed <= *room_r)
        return old;
    grown = grown > needed ? grown : needed;
    *room_r = (uint32_t)grown;
    return xrealloc(old, grown * size);
}

static void *trim(void *old, uint32_t *room_r, uint32_t needed, size_t size)
{
    if (needed == *room_r)
        return old;
    *room_r = needed;
    if (needed > 0)
        return xrealloc(old, needed * size);
    free(old);
    return NULL;
}

int maildrop_expect(struct maildrop *maildrop, uint32_t count)
{
    if (count > LIMIT_MESSAGES)
        return -1;
    maildrop->entries = grow(maildrop->entries, &maildrop->room, count, sizeof(struct store_entry));
    return 0;
}

int maildrop_append(struct maildrop *maildrop, const void *entries, size_t count)
{
    if (count > LIMIT_MESSAGES - maildrop->count)
        return -1;
    if (count == 0)
        return 0;
    uint32_t needed = maildrop->count + (uint32_t)count;
    maildrop->entries =
        grow(maildrop->entries, &maildrop->room, needed, sizeof(struct store_entry));
    memcpy(maildrop->entries + maildrop->count, entries, count * sizeof(maildrop->entries[0]));
    for (; maildrop->count < needed; maildrop->count++)
        maildrop->octets += maildrop->entries[maildrop->count].octets;
    return 0;
}

/* RFC 1939 section 7. */
static bool may_be_shown(const char *text, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    return length > 0 && length <= STORE_UNIQUE_ID_MAX;
}

static int add_name(struct maildrop *maildrop, const struct store_unique_id *head, const char *text)
{
    uint32_t length = maildrop->unique_ids_length;
    const uint32_t count = maildrop->name_count;

    if (head->message >= maildrop->count ||
        (count > 0 && head->message <= maildrop->names[count - 1].index) ||
        !may_be_shown(text, head->length))
        return -1;
    maildrop->names = grow(maildrop->names, &maildrop->name_room, maildrop->name_count + 1,
                           sizeof(maildrop->names[0]));
    maildrop->unique_ids =
        grow(maildrop->unique_ids, &maildrop->unique_ids_room, length + head->length, 1);
    maildrop->names[maildrop->name_count++] = (struct maildrop_name){head->message, length};
    memcpy(maildrop->unique_ids + length, text, head->length);
    maildrop->unique_ids_length += head->length;
    return 0;
}

int maildrop_add_unique_ids(struct maildrop *maildrop, const void *payload, size_t length)
{
    const char *next = payload;
    struct store_unique_id head;

    while (length >= sizeof(head)) {
        memcpy(&head, next, sizeof(head));
        next += sizeof(head);
        length -= sizeof(head);
        if (head.length > length || add_name(maildrop, &head, next) < 0)
            return -1;
        next += head.length;
        length -= head.length;
    }
    return length == 0 ? 0 : -1;
}

void maildrop_complete(struct maildrop *maildrop)
{
    maildrop->entries =
        trim(maildrop->entries, &maildrop->room, maildrop->count, sizeof(maildrop->entries[0]));
    maildrop->names = trim(maildrop->names, &maildrop->name_room, maildrop->name_count,
                           sizeof(maildrop->names[0]));
    maildrop->unique_ids =
        trim(maildrop->unique_ids, &maildrop->unique_ids_room, maildrop->unique_ids_length, 1);
}

void maildrop_clear(struct maildrop *maildrop)
{
    free(maildrop->entries);
    free(maildrop->marks);
    free(maildrop->names);
    free(maildrop->unique_ids);
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

/* The name of the message, or NULL. */
static const struct maildrop_name *find_name(const struct maildrop *maildrop, uint32_t index)
{
    uint32_t low = 0, high = maildrop->name_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (maildrop->names[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < maildrop->name_count && maildrop->names[low].index == index ? &maildrop->names[low]
                                                                             : NULL;
}

size_t maildrop_unique_id(const struct maildrop *maildrop, uint32_t index, char *text_r)
{
    const struct maildrop_name *name = find_name(maildrop, index);
    const struct store_entry *entry = &maildrop->entries[index];

    if (name != NULL) {
        bool last = name + 1 == maildrop->names + maildrop->name_count;
        uint32_t end = last ? maildrop->unique_ids_length : name[1].offset;
        memcpy(text_r, maildrop->unique_ids + name->offset, end - name->offset);
        return end - name->offset;
    }
    size_t length = number_format_hex(text_r, entry->uid);
    text_r[length++] = '.';
    return length + number_format_hex(text_r + length, entry->time);
}
