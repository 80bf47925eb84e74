#include <stdlib.h>
#include <string.h>

#include "lib/xalloc.h"
#include "pop3d/limits.h"
#include "pop3d/maildrop.h"
#include "pop3d/number.h"

/* What struct maildrop_entry has room for. */
#define UID_MAX  ((UINT64_C(1) << 24) - 1)
#define TIME_MAX ((UINT64_C(1) << 63) - 1)

/* And struct maildrop_surrogate. */
#define MESSAGE_MAX ((1U << 24) - 1)

_Static_assert(sizeof(struct maildrop_entry) == 16, "200,000 messages are 3.2 MB");
_Static_assert(sizeof(struct maildrop_surrogate) == 8, "and half as much again");
_Static_assert(LIMIT_MESSAGES <= MESSAGE_MAX, "struct maildrop_surrogate has room for them");

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

int maildrop_announce(struct maildrop *maildrop, uint32_t count, uint64_t octets)
{
    if (count > LIMIT_MESSAGES)
        return -1;
    maildrop->entries =
        grow(maildrop->entries, &maildrop->room, count, sizeof(maildrop->entries[0]));
    maildrop->announced = true;
    maildrop->count = count;
    maildrop->octets = octets;
    return 0;
}

static void add_text(struct maildrop *maildrop, struct maildrop_entry *entry, const char *text,
                     uint32_t length)
{
    uint32_t end = maildrop->unique_ids_length;

    maildrop->unique_ids = grow(maildrop->unique_ids, &maildrop->unique_ids_room, end + length, 1);
    memcpy(maildrop->unique_ids + end, text, length);
    maildrop->unique_ids_length += length;
    entry->named = 1;
    entry->time = end;
    entry->uid = length & UID_MAX;
}

static size_t format_own(char *text_r, uint64_t uid, uint64_t time)
{
    size_t length = number_format_hex(text_r, uid);

    text_r[length++] = '.';
    return length + number_format_hex(text_r + length, time);
}

/* Numbers that an entry has no room for are rare enough to be kept as a text. */
static void add_entry(struct maildrop *maildrop, const struct store_entry *from)
{
    struct maildrop_entry *entry = &maildrop->entries[maildrop->listed++];
    char text[MAILDROP_UNIQUE_ID_MAX];

    *entry = (struct maildrop_entry){
        .octets = from->octets & LIMIT_MESSAGE,
        .uid = from->uid & UID_MAX,
        .time = from->time & TIME_MAX,
    };
    maildrop->listed_octets += from->octets;
    if (from->uid > UID_MAX || from->time > TIME_MAX)
        add_text(maildrop, entry, text, (uint32_t)format_own(text, from->uid, from->time));
}

/* Where nothing was announced, what has come is what there is. */
static void count_listed(struct maildrop *maildrop)
{
    if (maildrop->announced)
        return;
    maildrop->count = maildrop->listed;
    maildrop->octets = maildrop->listed_octets;
}

int maildrop_append(struct maildrop *maildrop, const void *entries, size_t count)
{
    const uint8_t *next = entries;
    struct store_entry entry;

    if (count > LIMIT_MESSAGES - maildrop->listed)
        return -1;
    maildrop->entries = grow(maildrop->entries, &maildrop->room, maildrop->listed + count,
                             sizeof(maildrop->entries[0]));
    for (size_t i = 0; i < count; i++, next += sizeof(entry)) {
        memcpy(&entry, next, sizeof(entry));
        if (entry.octets > LIMIT_MESSAGE)
            return -1;
        add_entry(maildrop, &entry);
    }
    count_listed(maildrop);
    return 0;
}

static int add_growth(struct maildrop *maildrop, const struct store_growth *from)
{
    uint32_t count = maildrop->surrogates_count;

    if (from->message >= maildrop->listed || from->growth > STORE_GROWTH_MAX ||
        (count > 0 && from->message <= maildrop->surrogates[count - 1].message))
        return -1;
    struct maildrop_entry *entry = &maildrop->entries[from->message];
    int64_t octets = (int64_t)entry->octets + from->growth;
    if (from->growth < -(int64_t)entry->octets || octets > (int64_t)LIMIT_MESSAGE)
        return -1;
    maildrop->surrogates = grow(maildrop->surrogates, &maildrop->surrogates_room, (size_t)count + 1,
                                sizeof(maildrop->surrogates[0]));
    maildrop->surrogates[maildrop->surrogates_count++] = (struct maildrop_surrogate){
        .message = from->message & MESSAGE_MAX, .octets = entry->octets};
    entry->octets = (uint64_t)octets & LIMIT_MESSAGE;
    maildrop->listed_octets += (uint64_t)from->growth;
    return 0;
}

int maildrop_add_growths(struct maildrop *maildrop, const void *growths, size_t count)
{
    const uint8_t *next = growths;
    struct store_growth growth;

    for (size_t i = 0; i < count; i++, next += sizeof(growth)) {
        memcpy(&growth, next, sizeof(growth));
        if (add_growth(maildrop, &growth) < 0)
            return -1;
    }
    count_listed(maildrop);
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
    if (head->message >= maildrop->listed || head->message < maildrop->next_named ||
        !may_be_shown(text, head->length))
        return -1;
    add_text(maildrop, &maildrop->entries[head->message], text, head->length);
    maildrop->next_named = head->message + 1;
    return 0;
}

/*
 * Takes room at once for what will come if the rest is like the first payload of this length, for
 * growing leaves holes behind that are as large again. What is too much is never touched.
 */
static void expect_texts(struct maildrop *maildrop, size_t length)
{
    uint64_t most = (uint64_t)maildrop->count * STORE_UNIQUE_ID_MAX;

    if (maildrop->unique_ids != NULL || maildrop->listed == 0)
        return;
    uint64_t expected = length * maildrop->count / maildrop->listed;
    maildrop->unique_ids = grow(maildrop->unique_ids, &maildrop->unique_ids_room,
                                expected < most ? expected : most, 1);
}

int maildrop_add_unique_ids(struct maildrop *maildrop, const void *payload, size_t length)
{
    const char *next = payload;
    struct store_unique_id head;

    expect_texts(maildrop, length);
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

int maildrop_complete(struct maildrop *maildrop)
{
    maildrop->entries =
        trim(maildrop->entries, &maildrop->room, maildrop->listed, sizeof(maildrop->entries[0]));
    maildrop->unique_ids =
        trim(maildrop->unique_ids, &maildrop->unique_ids_room, maildrop->unique_ids_length, 1);
    maildrop->surrogates = trim(maildrop->surrogates, &maildrop->surrogates_room,
                                maildrop->surrogates_count, sizeof(maildrop->surrogates[0]));
    maildrop->complete = true;
    return maildrop->listed == maildrop->count && maildrop->listed_octets == maildrop->octets ? 0
                                                                                              : -1;
}

void maildrop_clear(struct maildrop *maildrop)
{
    free(maildrop->entries);
    free(maildrop->marks);
    free(maildrop->unique_ids);
    free(maildrop->surrogates);
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

uint64_t maildrop_octets(const struct maildrop *maildrop, uint32_t index)
{
    return maildrop->entries[index].octets;
}

static int compare_surrogates(const void *a, const void *b)
{
    const struct maildrop_surrogate *x = a, *y = b;

    return (x->message > y->message) - (x->message < y->message);
}

uint64_t maildrop_stored_octets(const struct maildrop *maildrop, uint32_t index)
{
    const struct maildrop_surrogate key = {.message = index & MESSAGE_MAX};
    const struct maildrop_surrogate *found = NULL;

    if (maildrop->surrogates_count > 0)
        found = bsearch(&key, maildrop->surrogates, maildrop->surrogates_count, sizeof(key),
                        compare_surrogates);
    return found != NULL ? found->octets : maildrop->entries[index].octets;
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

size_t maildrop_unique_id(const struct maildrop *maildrop, uint32_t index, char *text_r)
{
    const struct maildrop_entry *entry = &maildrop->entries[index];

    if (entry->named == 0)
        return format_own(text_r, entry->uid, entry->time);
    memcpy(text_r, maildrop->unique_ids + entry->time, entry->uid);
    return entry->uid;
}
