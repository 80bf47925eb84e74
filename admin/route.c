#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/route.h"
#include "lib/utf8.h"
#include "lib/xalloc.h"

/* The methods of RFC 9110 section 9 and RFC 5789. */
static const char *const methods[] = {"GET",    "HEAD",    "POST",  "PUT",    "PATCH",
                                      "DELETE", "OPTIONS", "TRACE", "CONNECT"};

#define METHODS (sizeof(methods) / sizeof(methods[0]))

static bool known_method(const char *method)
{
    for (size_t i = 0; i < METHODS; i++)
        if (strcmp(methods[i], method) == 0)
            return true;
    return false;
}

static bool answers(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* Segment by segment; a name in braces takes one that is not empty. */
static bool fits(const char *pattern, const char *path)
{
    while (*pattern != '\0') {
        if (*pattern == '{') {
            size_t length = strcspn(path, "/");
            if (length == 0)
                return false;
            path += length;
            pattern += strcspn(pattern, "}") + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

enum route_result route_find(const struct route *routes, size_t count, const char *method,
                             const char *path, const struct route **route_r)
{
    bool path_found = false;

    if (!known_method(method))
        return ROUTE_UNKNOWN_METHOD;
    for (size_t i = 0; i < count; i++) {
        if (!fits(routes[i].path, path))
            continue;
        if (answers(&routes[i], method)) {
            *route_r = &routes[i];
            return ROUTE_FOUND;
        }
        path_found = true;
    }
    return path_found ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}

void route_allow(const struct route *routes, size_t count, const char *path,
                 char text_r[ROUTE_ALLOW_SIZE])
{
    const struct route *route;
    size_t length = 0;

    text_r[0] = '\0';
    for (size_t i = 0; i < METHODS; i++)
        if (route_find(routes, count, methods[i], path, &route) == ROUTE_FOUND)
            length += (size_t)snprintf(text_r + length, ROUTE_ALLOW_SIZE - length, "%s%s",
                                       length > 0 ? ", " : "", methods[i]);
}

static int hex(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = digit == '\0' ? NULL : strchr(digits, digit);

    return at == NULL ? -1 : (int)((at - digits) % 16);
}

char *route_decode(const char *text, size_t length)
{
    char *decoded = xmalloc(length + 1);
    size_t size = 0;

    for (size_t i = 0; i < length; i++) {
        decoded[size] = text[i];
        if (text[i] == '%') {
            int high = length - i > 2 ? hex(text[i + 1]) : -1;
            int low = high < 0 ? -1 : hex(text[i + 2]);
            if (low < 0 || high + low == 0)
                goto wrong;
            decoded[size] = (char)(high * 16 + low);
            i += 2;
        }
        size++;
    }
    decoded[size] = '\0';
    if (utf8_is_valid(decoded, size))
        return decoded;
wrong:
    free(decoded);
    return NULL;
}

char *route_parameter(const struct route *route, const char *path, const char *name)
{
    const char *pattern = route->path;
    size_t wanted = strlen(name);

    while (*pattern != '\0') {
        if (*pattern != '{') {
            pattern++;
            path++;
            continue;
        }
        size_t length = strcspn(path, "/");
        size_t named = strcspn(++pattern, "}");
        if (named == wanted && memcmp(pattern, name, named) == 0)
            return route_decode(path, length);
        path += length;
        pattern += named + 1;
    }
    return NULL;
}
