#ifndef LIB_FIELDWRITER_H
#define LIB_FIELDWRITER_H

#include <stddef.h>

struct evbuffer;

/*
 * Writes a header field in ASCII. Lines are folded where white space allows it, so that none with
 * an encoded-word has more than 76 octets (RFC 2047 section 2), and what was white space stays so.
 * It is written in stored form (lib/message.h): dot-stuffed.
 */
struct field_writer {
    struct evbuffer *output;
    size_t octets;     /* written, without the stuffing */
    size_t column;     /* of the present line */
    const char *space; /* white space that goes before what comes next; not copied */
    size_t space_length;
};

/* Where words stand, which says what may stand there as it is. */
enum field_place {
    FIELD_TEXT,   /* unstructured text */
    FIELD_PHRASE, /* a display name */
    FIELD_COMMENT
};

void field_writer_init(struct field_writer *writer, struct evbuffer *output);

/* White space to come before the next octets; takes the place of what was asked for before. */
void field_space(struct field_writer *writer, const char *space, size_t length);

/* ASCII as it is. It may be folded at its white space. */
void field_add(struct field_writer *writer, const char *text, size_t length);

/*
 * Text of any octets: what cannot stand there becomes encoded-words (RFC 2047), and encoded-words
 * stay what they are. Octets that are no UTF-8 get the charset "unknown-8bit" (RFC 1428).
 */
void field_add_words(struct field_writer *writer, const char *text, size_t length,
                     enum field_place place);

/* A comment, with its parentheses. */
void field_add_comment(struct field_writer *writer, const char *text, size_t length);

/*
 * name*=charset''value, in several parameters if it is long (RFC 2231 sections 3 and 4). The name
 * is ASCII.
 */
void field_add_parameter(struct field_writer *writer, const char *name, size_t name_length,
                         const char *value, size_t length);

/* CRLF. White space that is still to come is left out. */
void field_end(struct field_writer *writer);

#endif
