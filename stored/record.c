#include <string.h>

#include "lib/storemsg.h"
#include "lib/surrogate.h"
#include "lib/xalloc.h"
#include "stored/checksum.h"
#include "stored/record.h"

/* A unique-id with at least one NUL behind it. */
#define UNIQUE_ID_SIZE 72

_Static_assert(sizeof(struct record_header) == 88, "the header has no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little-endian on disk");

_Static_assert(UNIQUE_ID_SIZE > STORE_UNIQUE_ID_MAX && UNIQUE_ID_SIZE % RECORD_ALIGN == 0, "room");

static size_t refs_length(uint32_t count)
{
    return sizeof(struct record_header) + count * sizeof(struct record_ref);
}

/* Of a MESSAGE without a unique-id: where that begins. */
static size_t message_length(unsigned version, uint32_t count)
{
    return refs_length(count) + (version == RECORD_VERSION_BEFORE ? 0 : sizeof(int64_t));
}

struct record_header *record_new(enum record_type type, uint32_t count, const char *unique_id)
{
    size_t length = refs_length(count);

    if (type == RECORD_MESSAGE)
        length = message_length(RECORD_VERSION, count);
    else if (type == RECORD_EXPUNGE)
        length += count * sizeof(uint64_t);
    size_t bare = length;
    if (unique_id != NULL)
        length += UNIQUE_ID_SIZE;
    struct record_header *header = xcalloc(1, length);

    header->magic = RECORD_MAGIC;
    header->version = RECORD_VERSION;
    header->type = (uint8_t)type;
    header->length = (uint32_t)length;
    header->ref_count = count;
    if (unique_id != NULL)
        memcpy((char *)header + bare, unique_id, strnlen(unique_id, STORE_UNIQUE_ID_MAX));
    return header;
}

struct record_ref *record_refs(const struct record_header *header)
{
    return (struct record_ref *)(uintptr_t)(header + 1);
}

static void *extra(const struct record_header *header)
{
    return (void *)(record_refs(header) + header->ref_count);
}

uint64_t *record_places(const struct record_header *header)
{
    return extra(header);
}

const char *record_unique_id(const struct record_header *header)
{
    size_t bare = message_length(header->version, header->ref_count);

    return header->length > bare ? (const char *)header + bare : NULL;
}

void record_set_surrogate(struct record_header *header, const struct store_surrogate *surrogate)
{
    header->surrogate_version = surrogate->version;
    header->surrogate_needed = surrogate->needed;
    memcpy(extra(header), &surrogate->growth, sizeof(surrogate->growth));
}

struct store_surrogate record_surrogate(const struct record_header *header)
{
    struct store_surrogate surrogate = {.version = header->surrogate_version,
                                        .needed = header->surrogate_needed};

    if (header->version == RECORD_VERSION_BEFORE)
        return (struct store_surrogate){0};
    memcpy(&surrogate.growth, extra(header), sizeof(surrogate.growth));
    return surrogate;
}

enum store_form record_form(const struct record_header *header)
{
    struct store_surrogate surrogate = record_surrogate(header);

    if (surrogate.version != SURROGATE_VERSION)
        return STORE_FORM_UNKNOWN;
    return surrogate.needed != 0 ? STORE_FORM_SURROGATE : STORE_FORM_ORIGINAL;
}

bool record_surrogate_is_credible(const struct store_surrogate *surrogate, uint64_t octets)
{
    if (surrogate->needed == 0)
        return surrogate->growth == 0;
    return surrogate->needed == 1 && surrogate->version != 0 &&
           surrogate->growth <= STORE_GROWTH_MAX &&
           (surrogate->growth >= 0 || UINT64_C(0) - (uint64_t)surrogate->growth <= octets);
}

bool record_names(const struct record_header *header, uint64_t mailbox, uint64_t uid)
{
    const struct record_ref *refs = record_refs(header);

    for (uint32_t i = 0; i < header->ref_count; i++)
        if (refs[i].mailbox == mailbox && refs[i].uid == uid)
            return true;
    return false;
}

uint64_t record_sum(uint64_t seed, const void *data, size_t length)
{
    return XXH3_64bits_withSeed(data, length, seed);
}

/* The header is summed up with its own checksum as 0, without a copy of all the references. */
static uint64_t header_sum(const struct record_header *header, uint64_t seed)
{
    struct record_header copy = *header;

    copy.header_sum = 0;
    uint64_t sum = record_sum(seed, &copy, sizeof(copy));
    return record_sum(sum, record_refs(header), header->length - sizeof(copy));
}

void record_seal(struct record_header *header, uint64_t segment, uint64_t offset, uint64_t seed)
{
    header->segment = segment;
    header->offset = offset;
    header->header_sum = header_sum(header, seed);
}

/* Whether the type is known and goes with the lengths. */
static bool type_fits(const struct record_header *header)
{
    size_t bare = refs_length(header->ref_count);
    size_t message = message_length(header->version, header->ref_count);

    switch (header->type) {
    case RECORD_MESSAGE:
        return header->length == message || header->length == message + UNIQUE_ID_SIZE;
    case RECORD_EXPUNGE:
        return header->length == bare + header->ref_count * sizeof(uint64_t) &&
               header->body_length == 0;
    case RECORD_DROP: return header->length == bare && header->body_length == 0;
    default: return false;
    }
}

int record_check(const void *data, size_t available, uint64_t segment, uint64_t offset,
                 uint64_t seed)
{
    const struct record_header *header = data;

    if (available < sizeof(*header))
        return 1;
    if (header->magic != RECORD_MAGIC ||
        (header->version != RECORD_VERSION && header->version != RECORD_VERSION_BEFORE) ||
        header->ref_count > RECORD_REFS_MAX || header->segment != segment ||
        header->offset != offset || !type_fits(header))
        return -1;
    if (available < header->length)
        return 1;
    return header->header_sum == header_sum(header, seed) ? 0 : -1;
}

uint64_t record_span(const struct record_header *header)
{
    uint64_t length = header->length + header->body_length;

    return (length + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}
