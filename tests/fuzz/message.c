/* lib/message.h: the stored form is made and taken apart the same however a message is cut. */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/message.h"
#include "lib/xalloc.h"
#include "tests/fuzz/fuzz.h"

struct encoded {
    struct message_encoder encoder;
    char *octets;
    size_t length;
};

static void encode(struct encoded *encoded, const char *message, size_t length, size_t step)
{
    message_encoder_init(&encoded->encoder);
    encoded->octets = xmalloc(2 * length + 8);
    encoded->length = 0;
    for (size_t at = 0; at < length; at += step) {
        size_t part = length - at < step ? length - at : step;
        char *room = xmalloc(MESSAGE_ENCODED_MAX(part));
        size_t made = message_encode(&encoded->encoder, message + at, part, room);
        assert(made <= MESSAGE_ENCODED_MAX(part));
        memcpy(encoded->octets + encoded->length, room, made);
        encoded->length += made;
        free(room);
    }
    char *end = encoded->octets + encoded->length;
    size_t made = message_encode_end(&encoded->encoder, end);
    assert(made <= 4);
    encoded->length += made;
}

/* Lines end in CRLF and in nothing else, and no line of it ends a POP3 answer. */
static void check_form(const struct encoded *encoded)
{
    const char *octets = encoded->octets;
    size_t stuffed = 0;
    bool start = true;

    for (size_t i = 0; i < encoded->length; i++) {
        bool last = i + 1 == encoded->length;
        if (octets[i] == '\r')
            assert(!last && octets[i + 1] == '\n');
        if (octets[i] == '\n')
            assert(i > 0 && octets[i - 1] == '\r');
        if (start && octets[i] == '.') {
            assert(!last && octets[i + 1] == '.');
            stuffed++;
        }
        start = octets[i] == '\n';
    }
    assert(start);
    assert(encoded->encoder.length == encoded->length);
    assert(encoded->encoder.octets == encoded->length - stuffed);
    assert(encoded->encoder.top_length <= encoded->length);
}

/* TOP shows the header section and no more than the lines it was asked for. */
static void check_top(const struct encoded *encoded, size_t step, uint64_t lines)
{
    struct message_top top;
    size_t shown = 0, at = 0, whole;

    message_top_init(&top, encoded->encoder.top_length, lines);
    while (at < encoded->length) {
        size_t part = encoded->length - at < step ? encoded->length - at : step;
        size_t taken = message_top_take(&top, encoded->octets + at, part);
        assert(taken <= part);
        shown += taken;
        at += part;
        if (taken < part)
            break;
    }
    message_top_init(&top, encoded->encoder.top_length, lines);
    whole = message_top_take(&top, encoded->octets, encoded->length);
    assert(shown == whole && shown >= encoded->encoder.top_length);
    for (size_t i = (size_t)encoded->encoder.top_length; i < shown; i++)
        lines -= encoded->octets[i] == '\n';
    assert(lines <= UINT8_MAX);
}

static void check_decoder(const struct encoded *encoded, size_t step)
{
    char *parts = xmalloc(encoded->length + 1), *whole = xmalloc(encoded->length + 1);
    struct message_decoder decoder;
    size_t length = 0;

    message_decoder_init(&decoder);
    for (size_t at = 0; at < encoded->length; at += step) {
        size_t part = encoded->length - at < step ? encoded->length - at : step;
        size_t made = message_decode(&decoder, encoded->octets + at, part, parts + length);
        assert(made <= part);
        length += made;
    }
    message_decoder_init(&decoder);
    assert(message_decode(&decoder, encoded->octets, encoded->length, whole) == length);
    assert(memcmp(parts, whole, length) == 0);
    free(parts);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct encoded parts, whole;

    if (size < 2)
        return 0;
    size_t step = data[0] % 16 + 1;
    uint64_t lines = data[1];
    const char *message = (const char *)data + 2;
    encode(&parts, message, size - 2, step);
    encode(&whole, message, size - 2, size);
    assert(parts.length == whole.length);
    assert(memcmp(parts.octets, whole.octets, whole.length) == 0);
    assert(parts.encoder.top_length == whole.encoder.top_length);
    check_form(&whole);
    check_top(&whole, step, lines);
    check_decoder(&whole, step);
    free(parts.octets);
    free(whole.octets);
    return 0;
}
