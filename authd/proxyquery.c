#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "authd/proxyquery.h"

static const char end_of_head[] = "\r\n\r\n";

static int digit_of(char octet)
{
    if (octet >= '0' && octet <= '9')
        return octet - '0';
    octet = (char)(octet | 0x20);
    return octet >= 'a' && octet <= 'f' ? octet - 'a' + 10 : -1;
}

enum taking { TAKEN, UNFIT, BROKEN };

/* nginx writes "%20" for what could break a header field, and for "%". */
static enum taking take_text(char *text_r, size_t size, const char *value, size_t length)
{
    bool fits = true;
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        char octet = value[i];
        if (octet == '%') {
            if (length - i < 3 || digit_of(value[i + 1]) < 0 || digit_of(value[i + 2]) < 0)
                return BROKEN;
            octet = (char)(digit_of(value[i + 1]) << 4 | digit_of(value[i + 2]));
            i += 2;
        }
        fits = fits && octet != '\0' && used < size - 1;
        if (fits)
            text_r[used++] = octet;
    }
    text_r[used] = '\0';
    return fits ? TAKEN : UNFIT;
}

/* What is beyond any sensible number stays there. */
static int take_number(unsigned *number_r, const char *value, size_t length)
{
    unsigned number = 0;

    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return -1;
        number = number < 1000 ? 10 * number + (unsigned)(value[i] - '0') : number;
    }
    *number_r = number;
    return length > 0 ? 0 : -1;
}

static bool is_name(const char *name, size_t length, const char *wanted)
{
    return strlen(wanted) == length && strncasecmp(name, wanted, length) == 0;
}

/* One "Name: value". Fields that are nothing to us are passed over. */
static int take_field(struct proxyquery *query, const char *line, size_t length)
{
    const struct {
        const char *name;
        char *text;
        size_t size;
        bool typed; /* by the client */
    } texts[] = {
        {"Auth-Method", query->method, sizeof(query->method), false},
        {"Auth-Protocol", query->protocol, sizeof(query->protocol), false},
        {"Auth-User", query->name, sizeof(query->name), true},
        {"Auth-Pass", query->password, sizeof(query->password), true},
        {"Client-IP", query->address, sizeof(query->address), false},
    };
    const char *colon = memchr(line, ':', length);

    if (colon == NULL)
        return -1;
    size_t name_length = (size_t)(colon - line);
    const char *value = colon + 1;
    size_t value_length = length - name_length - 1;
    for (; value_length > 0 && *value == ' '; value_length--)
        value++;
    if (is_name(line, name_length, "Auth-Login-Attempt"))
        return take_number(&query->attempt, value, value_length);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!is_name(line, name_length, texts[i].name))
            continue;
        if (texts[i].text[0] != '\0') /* it has been said */
            return -1;
        enum taking taken = take_text(texts[i].text, texts[i].size, value, value_length);
        query->unfit = query->unfit || taken == UNFIT;
        return taken == TAKEN || (taken == UNFIT && texts[i].typed) ? 0 : -1;
    }
    return 0;
}

static const char *find(const char *text, size_t length, const char *wanted)
{
    return memmem(text, length, wanted, strlen(wanted));
}

/* `length` ends behind the CR LF of the last line. */
static int take_lines(struct proxyquery *query, const char *text, size_t length)
{
    const char *line = text;

    if (length < 4 || memcmp(text, "GET ", 4) != 0)
        return -1;
    while (line < text + length) {
        const char *end = find(line, length - (size_t)(line - text), "\r\n");
        if (line != text && take_field(query, line, (size_t)(end - line)) < 0)
            return -1;
        line = end + 2;
    }
    return 0;
}

enum proxyquery_result proxyquery_parse(const char *text, size_t length, struct proxyquery *query_r)
{
    const char *end = find(text, length, end_of_head);

    if (end == NULL)
        return length < PROXYQUERY_OCTETS_MAX ? PROXYQUERY_PART : PROXYQUERY_BAD;
    *query_r = (struct proxyquery){.attempt = 1};
    if (take_lines(query_r, text, (size_t)(end + 2 - text)) == 0)
        return PROXYQUERY_WHOLE;
    sodium_memzero(query_r, sizeof(*query_r));
    return PROXYQUERY_BAD;
}
