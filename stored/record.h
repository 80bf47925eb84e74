#ifndef STORED_RECORD_H
#define STORED_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/storemsg.h"

/*
 * The records of the mail log, as they stand in a segment file (docs/DESIGN.md has the format).
 * Pure: no files here. Numbers are little-endian. A record is its header, its references, what its
 * type has behind them ("extra"), its body, and zeros up to a multiple of 8 octets.
 */

#define RECORD_MAGIC   UINT32_C(0x31724842) /* "BHr1" */
#define RECORD_VERSION 3

/* Of records that say nothing of a surrogate. */
#define RECORD_VERSION_BEFORE 2

#define RECORD_ALIGN 8

/* More references than one delivery or one STORE_EXPUNGE has. */
#define RECORD_REFS_MAX 16384

enum record_type {
    /* A body, and the mailboxes that it is in, each with its uid there. Extra: the growth of its
     * surrogate (not in RECORD_VERSION_BEFORE), and the unique-id that the message came with from
     * another server, or nothing. A second record of the same message further on in the log is its
     * copy: the message has moved there. */
    RECORD_MESSAGE = 1,
    /* The references are gone, and their uids have been given out. No body. Extra: places. */
    RECORD_EXPUNGE,
    /* Each reference's mailbox is gone with all its mail; uid is 0. No body, no extra. */
    RECORD_DROP
};

struct record_header {
    uint32_t magic;
    uint8_t version;
    uint8_t type;              /* enum record_type */
    uint8_t surrogate_version; /* as in struct store_surrogate; of a MESSAGE */
    uint8_t surrogate_needed;
    uint32_t length; /* of this header with references and extra: where the body begins */
    uint32_t ref_count;
    uint64_t body_length; /* octets, in stored form (lib/message.h) */
    uint64_t octets;      /* what LIST says */
    uint64_t top_length;  /* of the header section with its blank line, in stored form */
    uint64_t time;        /* microseconds since 1970 */
    uint64_t commit;      /* the number of the group commit that wrote it; it only grows */
    uint64_t segment;     /* where the record stands: a copy of it elsewhere is no record */
    uint64_t offset;
    uint64_t body_sum;
    uint64_t header_sum; /* over `length` octets, with this member 0 */
};

struct record_ref {
    uint64_t mailbox; /* 0: no reference any more (refused after the header's size was fixed) */
    uint64_t uid;
};

#define RECORD_HEADER_MAX                                                                          \
    (sizeof(struct record_header) +                                                                \
     RECORD_REFS_MAX * (sizeof(struct record_ref) + sizeof(uint64_t)))

/*
 * A header with room for `count` references (zeroed), magic, version, type and lengths set.
 * `unique_id`: of an imported message, at most STORE_UNIQUE_ID_MAX octets, or NULL.
 */
struct record_header *record_new(enum record_type type, uint32_t count, const char *unique_id);

/* The references that follow the header in the same memory. */
struct record_ref *record_refs(const struct record_header *header);

/*
 * For each reference of an EXPUNGE, the segment in which the message's record stood when it was
 * expunged; 0: none any more, the reference only tells that the uid was given out. The record must
 * not go before that segment has gone.
 */
uint64_t *record_places(const struct record_header *header);

/* The unique-id that a MESSAGE came with, or NULL; valid as long as the header. */
const char *record_unique_id(const struct record_header *header);

/* What is known of a MESSAGE's surrogate. */
void record_set_surrogate(struct record_header *header, const struct store_surrogate *surrogate);
struct store_surrogate record_surrogate(const struct record_header *header);

/* The same, as it counts with this program's SURROGATE_VERSION. */
enum store_form record_form(const struct record_header *header);

/* Whether a message of so many octets can have it. */
bool record_surrogate_is_credible(const struct store_surrogate *surrogate, uint64_t octets);

/* Whether one of the references is this message of this mailbox. */
bool record_names(const struct record_header *header, uint64_t mailbox, uint64_t uid);

/*
 * Checksums are XXH3 with 64 bits, seeded with the segment's own random number, so that nobody can
 * put a valid record into a message's text. They notice damage; they are not signatures.
 */
uint64_t record_sum(uint64_t seed, const void *data, size_t length);

/* Sets the place and the header's checksum; everything else must be set. */
void record_seal(struct record_header *header, uint64_t segment, uint64_t offset, uint64_t seed);

/*
 * Tells whether `available` octets at a segment's `offset` begin with a whole valid header and its
 * references. 0: valid. -1: not a record. 1: more octets are needed; header->length says how many.
 */
int record_check(const void *data, size_t available, uint64_t segment, uint64_t offset,
                 uint64_t seed);

/* The octets from this record to the next. */
uint64_t record_span(const struct record_header *header);

#endif
