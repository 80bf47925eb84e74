#ifndef LIB_MESSAGE_H
#define LIB_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The stored form of a message's body: exactly what POP3 sends after "+OK" up to the final
 * ".CRLF": every line ends in CRLF and each line that begins with "." has one more "." in front
 * (RFC 1939 section 3). lmtpd makes it, stored keeps it, pop3d sends it, and none of them looks
 * into it again.
 */

/*
 * Makes the stored form of a message that comes in pieces, and measures it. Bare CR and bare LF
 * become CRLF; a missing last CRLF is added.
 */
struct message_encoder {
    uint64_t octets;     /* of the message: CRLF lines, not dot-stuffed; what LIST says */
    uint64_t length;     /* of the stored form made so far */
    uint64_t top_length; /* of the header section with its blank line, in stored form;
                            0 until the blank line has come */
    bool line_start;     /* nothing of the present line has come */
    bool carriage;       /* the last octet was CR, and is not written yet */
};

/* A piece grows to at most this many octets in stored form; see message_encode(). */
#define MESSAGE_ENCODED_MAX(length) (2 * (size_t)(length) + 4)

void message_encoder_init(struct message_encoder *encoder);

/*
 * Encodes the next `length` octets of a message that is not dot-stuffed. Writes at most
 * MESSAGE_ENCODED_MAX(length) octets to output_r and returns how many.
 */
size_t message_encode(struct message_encoder *encoder, const char *input, size_t length,
                      char *output_r);

/*
 * Ends the message: adds what its last line lacks (at most 4 octets) and returns how many octets.
 * A message without a blank line is all header: top_length is then its whole length.
 */
size_t message_encode_end(struct message_encoder *encoder, char *output_r);

/* Makes a message with LF lines of its stored form, which comes in pieces. */
struct message_decoder {
    bool inside; /* the line has begun */
};

void message_decoder_init(struct message_decoder *decoder);

/* Decodes the next piece; output_r has room for `length` octets. Returns how many there are. */
size_t message_decode(struct message_decoder *decoder, const char *input, size_t length,
                      char *output_r);

/*
 * How much of a stored body TOP n shows (RFC 1939 section 7): the header section, its blank line
 * and `lines` lines of the rest. Fed with the body's pieces in order; returns how many octets of
 * this piece belong to the answer; fewer than `length` means that the answer ends there.
 */
struct message_top {
    uint64_t header_left; /* octets of the header section still to come */
    uint64_t lines_left;
};

void message_top_init(struct message_top *top, uint64_t top_length, uint64_t lines);
size_t message_top_take(struct message_top *top, const char *piece, size_t length);

#endif
