#ifndef STORED_PLACES_H
#define STORED_PLACES_H

#include <stdint.h>

#include "lib/storemsg.h"

struct session;

/*
 * Where the messages of an open mailbox are on disk. The index is asked by demand and for some
 * neighbours as well, so that reading a mailbox in order costs few queries and no memory for each
 * of its messages. Nothing moves while a session holds the mailbox: what was found stays true.
 */
struct places;

struct place {
    uint64_t segment;
    uint64_t offset;
    uint64_t body_length;
    uint64_t octets;
    uint64_t time;
    uint32_t header_length;
};

struct places *places_new(const struct session *session); /* which has all its messages now */
void places_free(struct places *places);                  /* NULL is allowed */

/*
 * Finds the message with this index of the session; *place_r is valid until the next call.
 * STORE_NO_MESSAGE: the index has it no more. STORE_BROKEN: the index cannot be read.
 */
enum store_result places_find(struct places *places, uint32_t message,
                              const struct place **place_r);

#endif
