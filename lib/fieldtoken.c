#include <stdint.h>
#include <string.h>

#include "lib/fieldtoken.h"

/* Many at once: nearly all that is sent goes through here. */
bool field_is_ascii(const char *at, const char *end)
{
    uint64_t all = 0;
    uint64_t part[4];

    for (; end - at >= (ptrdiff_t)sizeof(part); at += sizeof(part)) {
        memcpy(part, at, sizeof(part));
        all |= (part[0] | part[1]) | (part[2] | part[3]);
    }
    for (; at < end; at++)
        all |= (unsigned char)*at;
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

bool field_is_space(char octet)
{
    return octet == ' ' || octet == '\t';
}

/* Behind the octet that closes; a backslash takes the next octet along. */
static const char *closed(const char *at, const char *end, char close)
{
    for (at++; at < end && *at != close; at++)
        if (*at == '\\' && at + 1 < end)
            at++;
    return at < end ? at + 1 : end;
}

/* Comments nest. */
static const char *comment(const char *at, const char *end)
{
    size_t depth = 0;

    for (; at < end; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        else if (*at == '(')
            depth++;
        else if (*at == ')' && --depth == 0)
            return at + 1;
    }
    return end;
}

static const char *angle(const char *at, const char *end)
{
    for (at++; at < end && *at != '>';)
        at = *at == '"' ? closed(at, end, '"') : at + 1;
    return at < end ? at + 1 : end;
}

const char *field_token(const char *at, const char *end)
{
    switch (*at) {
    case '"': return closed(at, end, '"');
    case '[': return closed(at, end, ']');
    case '(': return comment(at, end);
    case '<': return angle(at, end);
    default: return at + 1;
    }
}

const char *field_find(const char *at, const char *end, const char *octets)
{
    while (at < end && (*at == '\0' || strchr(octets, *at) == NULL))
        at = field_token(at, end);
    return at;
}

void field_trim(const char **at, const char **end)
{
    while (*at < *end && field_is_space(**at))
        ++*at;
    while (*end > *at && field_is_space((*end)[-1]))
        --*end;
}

/* Copies a quoted string's content. */
static size_t copy_quoted(const char *at, const char *end, char *text_r)
{
    size_t length = 0;

    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        text_r[length++] = *at;
    }
    return length;
}

size_t field_unquote(const char *at, const char *end, char *text_r)
{
    size_t length = 0;

    while (at < end) {
        const char *next = field_token(at, end);
        if (*at == '"') {
            length += copy_quoted(at, next, text_r + length);
        } else if (*at != '(') {
            memcpy(text_r + length, at, (size_t)(next - at));
            length += (size_t)(next - at);
        }
        at = next;
    }
    return length;
}
