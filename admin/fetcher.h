#ifndef ADMIN_FETCHER_H
#define ADMIN_FETCHER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/fetchmsg.h"

struct event_base;

/*
 * The connection to fetchd, which asks other machines over HTTPS for this program (lib/fetchmsg.h).
 * It is made when something is asked.
 */
struct fetcher;

struct fetcher_request {
    enum fetch_method method;
    const char *url;
    const char *headers; /* lines, each with an LF; NULL: none */
    const void *body;    /* of FETCH_POST, at most FETCH_BODY_MAX octets */
    size_t body_length;
    unsigned seconds; /* that all of it may take, 1 to FETCH_TIME_MAX */
    size_t answer_max;
};

struct fetcher_answer {
    enum fetch_result result; /* FETCH_BUSY also where fetchd is away, or ends before it answers */
    uint32_t status;          /* of FETCH_DONE */
    const char *text;         /* the body; or a sentence, to be shown to the customer */
    size_t length;
};

struct fetcher_caller {
    void (*done)(void *context, const struct fetcher_answer *answer);
    void *context;
};

struct fetcher *fetcher_new(struct event_base *base);

/* Nobody is called any more. NULL is allowed. */
void fetcher_free(struct fetcher *fetcher);

/*
 * Asks; copies what it needs. done() is called once, later from the event loop. Returns 0; or -1
 * for a URL or headers that lib/fetchmsg.h does not allow, and nobody is called.
 */
int fetcher_ask(struct fetcher *fetcher, const struct fetcher_request *request,
                struct fetcher_caller caller);

/* Breaks off what was asked with this context: nobody is called. */
void fetcher_cancel(struct fetcher *fetcher, const void *context);

#endif
