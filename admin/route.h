#ifndef ADMIN_ROUTE_H
#define ADMIN_ROUTE_H

#include <stddef.h>

struct admin;
struct request;

/* What is served is one table of these; 404 and 405 are decided from it before a handler runs. */
struct route {
    const char *method; /* "GET" answers HEAD too */
    const char *path;
    /* Calls request_answer() (admin/http.h), now or later. */
    void (*handle)(struct admin *admin, struct request *request);
};

enum route_result {
    ROUTE_FOUND,
    ROUTE_NO_PATH,        /* 404 */
    ROUTE_NO_METHOD,      /* 405: not for this path */
    ROUTE_UNKNOWN_METHOD, /* 501: RFC 9110 section 9.1 */
};

/* `route_r` is set for ROUTE_FOUND only. The path is without a query. */
enum route_result route_find(const struct route *routes, size_t count, const char *method,
                             const char *path, const struct route **route_r);

/* Enough for every known method. */
#define ROUTE_ALLOW_SIZE 80

/* The value of an Allow header for this path. */
void route_allow(const struct route *routes, size_t count, const char *path,
                 char text_r[ROUTE_ALLOW_SIZE]);

#endif
