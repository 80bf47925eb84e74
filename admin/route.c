#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "admin/route.h"

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

enum route_result route_find(const struct route *routes, size_t count, const char *method,
                             const char *path, const struct route **route_r)
{
    bool path_found = false;

    if (!known_method(method))
        return ROUTE_UNKNOWN_METHOD;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(routes[i].path, path) != 0)
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
