/*
 * authd/proxyquery.h: whatever comes, the texts end within their bounds, and what was whole is
 * whole with more behind it, and means the same.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "authd/proxyquery.h"
#include "lib/xalloc.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const char *text, const char *again, size_t size)
{
    assert(memchr(text, '\0', size) != NULL);
    assert(strcmp(text, again) == 0);
}

static void check(const struct proxyquery *query, const struct proxyquery *again)
{
    check_text(query->method, again->method, sizeof(query->method));
    check_text(query->protocol, again->protocol, sizeof(query->protocol));
    check_text(query->address, again->address, sizeof(query->address));
    check_text(query->name, again->name, sizeof(query->name));
    check_text(query->password, again->password, sizeof(query->password));
    assert(query->attempt == again->attempt && query->unfit == again->unfit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct proxyquery query, again;
    size_t length = size < PROXYQUERY_OCTETS_MAX ? size : PROXYQUERY_OCTETS_MAX;
    char *text = xmalloc(length + 4);

    memcpy(text, data, length);
    memcpy(text + length, "x: y", 4);
    enum proxyquery_result result = proxyquery_parse(text, length, &query);
    if (result == PROXYQUERY_WHOLE) {
        assert(proxyquery_parse(text, length + 4, &again) == PROXYQUERY_WHOLE);
        check(&query, &again);
    }
    assert(result != PROXYQUERY_PART || length < PROXYQUERY_OCTETS_MAX);
    free(text);
    return 0;
}
