/* lib/surrogate.h: the header sections of any message become ASCII, however it comes in pieces. */
#include <assert.h>
#include <event2/buffer.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/growth.h"
#include "lib/message.h"
#include "lib/storemsg.h"
#include "lib/surrogate.h"
#include "lib/xalloc.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/pieces.h"

/* lib/surrogate.h says how much an octet may become; a short field has a name and a line end. */
#define GROWTH 40
#define SLACK  4096

/* Up to its blank line, or the end. */
static size_t header_length(const char *octets, size_t length)
{
    if (length >= 2 && memcmp(octets, "\r\n", 2) == 0)
        return 2;
    const char *end = length > 0 ? memmem(octets, length, "\r\n\r\n", 4) : NULL;
    return end != NULL ? (size_t)(end - octets) + 4 : length;
}

static bool is_ascii(const char *octets, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)octets[i] > 0x7f)
            return false;
    return true;
}

/* Lines end in CRLF and in nothing else, and none ends the POP3 answer. */
static void check_form(const char *octets, size_t length)
{
    bool start = true;

    for (size_t i = 0; i < length; i++) {
        if (octets[i] == '\r')
            assert(i + 1 < length && octets[i + 1] == '\n');
        if (octets[i] == '\n')
            assert(i > 0 && octets[i - 1] == '\r');
        if (start && octets[i] == '.')
            assert(i + 1 < length && octets[i + 1] == '.');
        start = octets[i] == '\n';
    }
    assert(start);
}

static void check(const char *stored, size_t length, size_t top_length, size_t step)
{
    struct evbuffer *parts = evbuffer_new(), *whole = evbuffer_new();

    surrogate_in_pieces(whole, stored, length, length);
    surrogate_in_pieces(parts, stored, length, step);
    size_t made = evbuffer_get_length(whole);
    assert(evbuffer_get_length(parts) == made);
    assert(made <= GROWTH * length + SLACK);
    if (made > 0) {
        const char *text = (const char *)evbuffer_pullup(whole, -1);
        assert(memcmp(evbuffer_pullup(parts, -1), text, made) == 0);
        size_t header = header_length(text, made);
        assert(is_ascii(text, header));
        check_form(text, made);
        /* A header section in which nothing is left out is as long as it was told. */
        if (is_ascii(stored, length))
            assert(made == length && memcmp(text, stored, length) == 0);
    }
    /* The blank line stays. */
    if (top_length < length)
        assert(made > 0);
    evbuffer_free(parts);
    evbuffer_free(whole);
}

/* What is told when the message comes is what it comes to. */
static void check_growth(const char *stored, size_t length, const struct message_encoder *encoder,
                         size_t first)
{
    struct store_surrogate made = surrogate_measured(stored, length), found;
    struct message_encoder begun = *encoder;
    struct growth growth;

    if (begun.top_length > first)
        begun.top_length = 0;
    growth_init(&growth);
    if (first < length) {
        growth_take(&growth, &begun, stored, first, false);
        growth_take(&growth, encoder, stored + first, length - first, true);
    } else {
        growth_take(&growth, encoder, stored, length, true);
    }
    growth_tell(&growth, &found);
    growth_clear(&growth);
    assert(memcmp(&made, &found, sizeof(made)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message_encoder encoder;

    if (size < 2)
        return 0;
    char *stored = xmalloc(MESSAGE_ENCODED_MAX(size) + 4);
    message_encoder_init(&encoder);
    size_t length = message_encode(&encoder, (const char *)data + 1, size - 1, stored);
    length += message_encode_end(&encoder, stored + length);
    (void)surrogate_is_needed(stored, length, encoder.top_length);
    check(stored, length, (size_t)encoder.top_length, data[0] % 64 + 1);
    check_growth(stored, length, &encoder, length);
    check_growth(stored, length, &encoder, (size_t)data[0] * 8);
    free(stored);
    return 0;
}
