/*
 * lib/proxyheader.h: a header means the same however it comes in pieces. The first octet of the
 * input says in which.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proxyheader.h"
#include "lib/xalloc.h"
#include "tests/fuzz/fuzz.h"

/* Returns how many octets belong to the header. */
static size_t take(struct proxyheader *header, const uint8_t *octets, size_t size, size_t step)
{
    size_t at = 0;

    memset(header, 0, sizeof(*header));
    while (header->state == PROXYHEADER_BEGUN && at < size) {
        size_t part = size - at < step ? size - at : step;
        size_t taken = proxyheader_take(header, octets + at, part);
        assert(taken <= part);
        /* What begins a header is all its own. */
        assert(header->state != PROXYHEADER_BEGUN || taken == part);
        at += taken;
        if (taken < part)
            break;
    }
    return at;
}

static void check(const struct proxyheader *header, const uint8_t *octets, size_t length)
{
    assert(length <= PROXYHEADER_MAX && header->length <= PROXYHEADER_MAX);
    if (header->state == PROXYHEADER_CLIENT)
        assert(header->client.sin6_family == AF_INET6);
    if (header->state != PROXYHEADER_CLIENT && header->state != PROXYHEADER_OWN)
        return;
    assert(length >= 8);
    if (octets[0] == 'P')
        assert(length <= PROXYHEADER_LINE_MAX && memcmp(octets + length - 2, "\r\n", 2) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxyheader *parts = xmalloc(sizeof(*parts)), *whole = xmalloc(sizeof(*whole));

    if (size > 1) {
        size_t length = take(whole, data + 1, size - 1, size);
        size_t again = take(parts, data + 1, size - 1, data[0] % 32 + 1);
        assert(parts->state == whole->state);
        assert(length == again || whole->state == PROXYHEADER_WRONG);
        if (whole->state == PROXYHEADER_CLIENT)
            assert(parts->secured == whole->secured &&
                   memcmp(&parts->client, &whole->client, sizeof(whole->client)) == 0);
        check(whole, data + 1, length);
    }
    free(parts);
    free(whole);
    return 0;
}
