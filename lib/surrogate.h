#ifndef LIB_SURROGATE_H
#define LIB_SURROGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;

/* Multiparts in multiparts that are followed. */
#define SURROGATE_DEPTH 8

/* RFC 2046 section 5.1.1 */
#define SURROGATE_BOUNDARY_MAX 70

/*
 * The number of what is done here. How long a message's surrogate is was found when it came, and
 * stands in its record (lib/growth.h): whatever makes one longer or shorter, or needed where none
 * was, makes this one more. Sizes that were found with another number count for nothing.
 */
#define SURROGATE_VERSION 1

enum surrogate_place {
    SURROGATE_HEADER, /* of the message, of a part, or of a message in the message */
    SURROGATE_BODY
};

enum surrogate_type { SURROGATE_LEAF, SURROGATE_MULTIPART, SURROGATE_MESSAGE };

/*
 * What a client that has not said UTF8 gets of a message whose header section is not ASCII (RFC
 * 6856 section 2.1): the same message with other header fields. Works on the stored form
 * (lib/message.h), which comes in pieces, cut anywhere. Fields in ASCII stay as they are, to the
 * octet; of others:
 *
 * - Text becomes encoded-words (RFC 2047): Subject, and all fields that nobody has given a form.
 * - Names and comments beside addresses too. An address that has no form in ASCII is replaced, as
 *   RFC 6858 section 2.1 says; lib/mailboxes.h.
 * - Parameters of MIME become those of RFC 2231, as RFC 6857 has them, so that files keep their
 *   names.
 * - Message-ID, In-Reply-To and References are text then, as Downgraded-Message-ID and so on
 *   (RFC 6857).
 * - What is left cannot be shown, and its field is left out (RFC 6858 section 2.4): Received, for
 *   example.
 *
 * Octets that are no UTF-8 are passed on as such, with the charset "unknown-8bit". A byte order
 * mark before the first field goes. A line that is no field is text. The headers of MIME parts and
 * of messages in the message are treated alike. Bodies stay as they are.
 */
struct surrogate {
    char *field; /* of a field that is not complete, or of a line that may be a boundary */
    size_t length, room;
    enum surrogate_place place;
    enum surrogate_type type; /* what follows the header that comes */
    unsigned depth;           /* multiparts that are open; the last one's boundary is the inmost */
    char boundaries[SURROGATE_DEPTH][SURROGATE_BOUNDARY_MAX + 1];
    bool inside;        /* a line of it has begun */
    bool too_long;      /* the field has passed SURROGATE_FIELD_MAX */
    bool begun;         /* the first field has come */
    bool changes_only;  /* set by who wants only the fields that are changed */
    bool changed;       /* some have been, or have been left out */
    uint64_t rewritten; /* octets that these had */
    int64_t growth;     /* octets that they have more than before, not dot-stuffed */
};

/*
 * Octets of a field. What is longer is no field that anybody has written: it is passed on, with "?"
 * for what is not ASCII.
 */
#define SURROGATE_FIELD_MAX (64 * 1024)

/* Nothing needs to be freed before surrogate_take(). */
void surrogate_init(struct surrogate *surrogate);

/* Safe at any time. */
void surrogate_clear(struct surrogate *surrogate);

/*
 * Whether the message with this first piece has to go through surrogate_take(): not when the piece
 * has all of the header section and is ASCII, or has no parts and a header section in ASCII. So
 * headers of parts stay what they are where all is ASCII up to the second piece. `top_length` as in
 * lib/message.h.
 */
bool surrogate_is_needed(const void *piece, size_t length, uint64_t top_length);

/* Whether a header section says that parts follow it, or a message. */
bool surrogate_has_parts(const void *header, size_t length);

/*
 * Adds what the next piece becomes. That may be 40 times its octets where somebody has written
 * nothing but the shortest addresses, and so much of SURROGATE_FIELD_MAX for what came before.
 */
void surrogate_take(struct surrogate *surrogate, const void *piece, size_t length,
                    struct evbuffer *output);

/*
 * Nothing follows: adds what was kept because it might go on, which is the last field of a part
 * that is all header, or that TOP ends within: what there is of a folded field is then written as
 * if it were all, in ASCII, and may differ from the beginning of what RETR gives.
 */
void surrogate_end(struct surrogate *surrogate, struct evbuffer *output);

#endif
