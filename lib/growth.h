#ifndef LIB_GROWTH_H
#define LIB_GROWTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct message_encoder;
struct store_surrogate;
struct surrogate;

/*
 * Octets of fields that are not ASCII. What has more was made to cost time, a third of a second a
 * MiB at worst, while others wait: of that message it is told that nobody has looked.
 */
#define GROWTH_REWRITTEN_MAX (1024 * 1024)

/*
 * Finds out, while the stored form of a message is made, whether it has a surrogate
 * (lib/surrogate.h) and how many octets more that has. Whoever makes the stored form does it, so
 * that the store need not look into mail. A message without parts costs a look at its header
 * section, one with parts that comes in one piece a look at that; only one that is not ASCII there,
 * or goes on, is walked through.
 */
struct growth {
    enum { GROWTH_BEGINS, GROWTH_WALKS, GROWTH_NONE, GROWTH_GIVEN_UP } state;
    struct surrogate *surrogate; /* of GROWTH_WALKS */
    struct evbuffer *changes;
};

/* Nothing needs to be freed before growth_take(). */
void growth_init(struct growth *growth);

/* Safe at any time. */
void growth_clear(struct growth *growth);

/* The next piece of the stored form that the encoder has made; `last`: nothing follows. */
void growth_take(struct growth *growth, const struct message_encoder *encoder, const char *piece,
                 size_t length, bool last);

/* After the last piece: what there is to tell. */
void growth_tell(const struct growth *growth, struct store_surrogate *surrogate_r);

#endif
