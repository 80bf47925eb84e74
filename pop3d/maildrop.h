#ifndef POP3D_MAILDROP_H
#define POP3D_MAILDROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/storemsg.h"

/* A message that the client gets as a surrogate, and the octets that it has in the store. */
struct maildrop_surrogate {
    uint64_t message : 24;
    uint64_t octets : 40;
};

/*
 * A message: what LIST says, and what its unique-id is made of. Where that is a text, the one that
 * it was imported with, `uid` and `time` are the text's length and where it begins.
 */
struct maildrop_entry {
    uint64_t octets : 40;
    uint64_t uid : 24;
    uint64_t time : 63;
    uint64_t named : 1; /* the unique-id is a text */
};

/*
 * The messages of one session's mailbox and which of them are marked as deleted. Message numbers
 * on the wire count from 1 and never change during a session (RFC 1939 section 5); here an index
 * counts from 0. 16 octets and one bit a message, the text of a unique-id from elsewhere, and 8
 * octets more for one that the client gets as a surrogate.
 *
 * How many there are and their octets may be announced before the messages come.
 */
struct maildrop {
    struct maildrop_entry *entries;
    uint8_t *marks;   /* one bit a message: deleted; NULL until the first mark */
    char *unique_ids; /* texts, one behind the other */
    uint32_t unique_ids_length, unique_ids_room;
    uint32_t count;                        /* messages, as announced; else those that have come */
    uint32_t room;                         /* entries that fit without growing */
    uint32_t deleted;                      /* how many are marked */
    uint64_t octets;                       /* of the messages that are not marked; as `count` */
    uint32_t listed;                       /* entries that have come */
    uint64_t listed_octets;                /* of them */
    uint32_t next_named;                   /* no text comes for an entry before this one */
    struct maildrop_surrogate *surrogates; /* messages ascend */
    uint32_t surrogates_count, surrogates_room;
    bool announced;
    bool complete; /* all entries have come */
};

/*
 * So many messages will come, with so many octets in all: takes memory for them. Returns 0, or -1
 * above LIMIT_MESSAGES.
 */
int maildrop_announce(struct maildrop *maildrop, uint32_t count, uint64_t octets);

/*
 * Adds `count` struct store_entry (at any alignment) in the order of their numbers. Returns 0, or
 * -1 above LIMIT_MESSAGES or LIMIT_MESSAGE.
 */
int maildrop_append(struct maildrop *maildrop, const void *entries, size_t count);

/*
 * Adds the payload of a STORE_UNIQUE_IDS. Returns 0, or -1 when it breaks the rules of
 * lib/storemsg.h, or a client could not be shown one (RFC 1939 section 7).
 */
int maildrop_add_unique_ids(struct maildrop *maildrop, const void *payload, size_t length);

/*
 * Adds `count` struct store_growth (at any alignment), of entries that have come: LIST says so much
 * more of these messages. Returns 0, or -1 when they break the rules of lib/storemsg.h.
 */
int maildrop_add_growths(struct maildrop *maildrop, const void *growths, size_t count);

/*
 * No more messages come: gives back the memory that growing has left over. Returns 0, or -1 when
 * they are not what was announced.
 */
int maildrop_complete(struct maildrop *maildrop);

/* Releases everything and makes the maildrop empty. */
void maildrop_clear(struct maildrop *maildrop);

/* What follows is about a maildrop that is complete, but for the marks, of which there are none. */

enum maildrop_result {
    MAILDROP_OK,
    MAILDROP_NONE,   /* no message has this number */
    MAILDROP_DELETED /* it is marked as deleted */
};

/* Finds the message with this number as the client counts. */
enum maildrop_result maildrop_find(const struct maildrop *maildrop, uint64_t number,
                                   uint32_t *index_r);

/* What LIST says of a message. */
uint64_t maildrop_octets(const struct maildrop *maildrop, uint32_t index);

/* The octets that the message has in the store, which its surrogate has more or fewer of. */
uint64_t maildrop_stored_octets(const struct maildrop *maildrop, uint32_t index);

bool maildrop_deleted(const struct maildrop *maildrop, uint32_t index);

/* Marks a message that maildrop_find() has found. */
void maildrop_delete(struct maildrop *maildrop, uint32_t index);

/* Takes all marks away (RSET). */
void maildrop_reset(struct maildrop *maildrop);

/* How many messages are not marked. */
uint32_t maildrop_messages(const struct maildrop *maildrop);

/*
 * Fills in up to `most` indexes of marked messages from *next_r on and moves *next_r behind them.
 * Returns how many; 0 when there are no more.
 */
size_t maildrop_collect_deleted(const struct maildrop *maildrop, uint32_t *next_r,
                                uint32_t *indexes_r, size_t most);

/* Octets that maildrop_unique_id() writes at most; it writes no NUL. */
#define MAILDROP_UNIQUE_ID_MAX STORE_UNIQUE_ID_MAX

/*
 * A message's unique-id (RFC 1939 section 7): the one that it was imported with, or uid and time in
 * hexadecimal. All are in the message's record, so the unique-id outlives every rebuild of the
 * index; and because of the time it stays different even if a uid were ever given twice. Returns
 * how many octets it wrote.
 */
size_t maildrop_unique_id(const struct maildrop *maildrop, uint32_t index, char *text_r);

#endif
