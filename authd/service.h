#ifndef AUTHD_SERVICE_H
#define AUTHD_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

struct checker;
struct event_base;
struct plans;
struct report;

/* What one listening socket offers; the same for all its connections and their requests. */
struct service {
    const char *name; /* of the socket (lib/child.h) */
    struct event_base *base;
    struct checker *checker;
    struct report *report;     /* of what happens */
    const uint8_t *key;        /* seals a capability into each OK; NULL: answers carry none */
    bool binds;                /* its clients say what a mechanism can bind to ("cbind=") */
    bool hangs_up;             /* its clients take any FAIL for a wrong password: see refuse() */
    bool expires;              /* its clients do not say that an exchange is broken off */
    bool asks;                 /* of its clients an empty initial response may be none (Exim) */
    const struct plans *plans; /* told to the clients; NULL: they are not */
    unsigned connections_max;  /* further clients wait to be accepted */
    unsigned requests_max;     /* begun and not answered, for each connection */
};

#endif
