#ifndef FETCHD_TRANSFER_H
#define FETCHD_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "fetchd/multi.h"
#include "lib/fetchmsg.h"

struct authorities;
struct networks;

/*
 * One request over HTTP and its answer, or why there is none. It follows no redirect, knows no
 * proxy, cookie or password, speaks HTTP/1.1, and takes no connection that another one has left:
 * what the rules of fetchd/destination.h say, they say of each.
 */
struct transfer;

/* What is the same for all. `listed` and `authorities` may change between two. */
struct transfer_rules {
    const struct networks *listed;
    struct authorities *authorities;
};

/* What is asked: points into the message. */
struct transfer_ask {
    struct fetch_ask fixed;
    const char *url;
    const char *headers;
    const char *body;
};

struct transfer_outcome {
    enum fetch_result result;
    uint32_t status;
    const char *text; /* the body, or a sentence */
    size_t length;
};

struct transfer_events {
    /* Once, from the event loop. The owner frees the transfer, now or later. */
    void (*done)(void *context, const struct transfer_outcome *outcome);
};

/*
 * Splits a message's payload, which stays the caller's. Returns 0, or -1 for what is not as
 * lib/fetchmsg.h has it.
 */
int transfer_parse(struct transfer_ask *ask_r, const void *payload, size_t length);

/* Begins; copies what it needs, but for the rules and `events`. */
struct transfer *transfer_new(struct multi *multi, const struct transfer_rules *rules,
                              const struct transfer_ask *ask, const struct transfer_events *events,
                              void *context);

/* Breaks off where it has not ended. */
void transfer_free(struct transfer *transfer);

/* For multi_new(). */
void transfer_ended(CURL *easy, CURLcode code);

#endif
