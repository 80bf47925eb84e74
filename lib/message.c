/*
 * The stored form of messages; see message.h. Every octet of mail passes here once, so text is
 * found with memchr() and copied in runs.
 */
#include <string.h>

#include "lib/message.h"

void message_encoder_init(struct message_encoder *encoder)
{
    *encoder = (struct message_encoder){.line_start = true};
}

static char *put_text(struct message_encoder *encoder, char *output, const char *text,
                      size_t length)
{
    if (length == 0)
        return output;
    if (encoder->line_start && *text == '.') {
        *output++ = '.';
        encoder->length++;
    }
    encoder->line_start = false;
    memcpy(output, text, length);
    encoder->octets += length;
    encoder->length += length;
    return output + length;
}

static char *put_line_end(struct message_encoder *encoder, char *output)
{
    memcpy(output, "\r\n", 2);
    encoder->octets += 2;
    encoder->length += 2;
    if (encoder->line_start && encoder->top_length == 0)
        encoder->top_length = encoder->length;
    encoder->line_start = true;
    encoder->carriage = false;
    return output + 2;
}

size_t message_encode(struct message_encoder *encoder, const char *input, size_t length,
                      char *output_r)
{
    const char *at = input;
    const char *end = input + length;
    const char *feed = NULL; /* the next LF; kept, so that many CRs before it cost nothing more */
    char *output = output_r;

    while (at < end) {
        if (encoder->carriage) {
            output = put_line_end(encoder, output);
            at += *at == '\n';
            continue;
        }
        if (feed == NULL || feed < at) {
            feed = memchr(at, '\n', (size_t)(end - at));
            if (feed == NULL)
                feed = end;
        }
        const char *carriage = memchr(at, '\r', (size_t)(feed - at));
        const char *stop = carriage != NULL ? carriage : feed;
        output = put_text(encoder, output, at, (size_t)(stop - at));
        if (carriage != NULL)
            encoder->carriage = true;
        else if (stop < end)
            output = put_line_end(encoder, output);
        at = stop + (stop < end);
    }
    return (size_t)(output - output_r);
}

size_t message_encode_end(struct message_encoder *encoder, char *output_r)
{
    char *output = output_r;

    if (encoder->carriage || !encoder->line_start)
        output = put_line_end(encoder, output);
    if (encoder->top_length == 0)
        encoder->top_length = encoder->length;
    return (size_t)(output - output_r);
}

void message_decoder_init(struct message_decoder *decoder)
{
    *decoder = (struct message_decoder){0};
}

/* The only CRs are those of line ends, and a line that begins with "." has one too many. */
size_t message_decode(struct message_decoder *decoder, const char *input, size_t length,
                      char *output_r)
{
    const char *at = input, *end = input + length;
    char *output = output_r;

    while (at < end) {
        if (!decoder->inside && *at == '.') {
            at++;
        }
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        const char *stop = feed != NULL ? feed : end;
        size_t run = (size_t)(stop - at);
        decoder->inside = feed == NULL;
        run -= run > 0 && at[run - 1] == '\r';
        memcpy(output, at, run);
        output += run;
        if (feed != NULL)
            *output++ = '\n';
        at = stop + (feed != NULL);
    }
    return (size_t)(output - output_r);
}

void message_top_init(struct message_top *top, uint64_t top_length, uint64_t lines)
{
    *top = (struct message_top){.header_left = top_length, .lines_left = lines};
}

size_t message_top_take(struct message_top *top, const char *piece, size_t length)
{
    if (top->header_left >= length) {
        top->header_left -= length;
        return length;
    }
    size_t taken = (size_t)top->header_left;
    top->header_left = 0;
    while (top->lines_left > 0 && taken < length) {
        const char *feed = memchr(piece + taken, '\n', length - taken);
        if (feed == NULL)
            return length;
        taken = (size_t)(feed - piece) + 1;
        top->lines_left--;
    }
    return taken;
}
