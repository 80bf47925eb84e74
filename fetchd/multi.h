#ifndef FETCHD_MULTI_H
#define FETCHD_MULTI_H

#include <curl/curl.h>

struct event_base;

/* libcurl's transfers on libevent's loop: nobody waits for another one's server. */
struct multi;

/* `done` is called from the event loop, once for each transfer that ends. */
struct multi *multi_new(struct event_base *base, void (*done)(CURL *easy, CURLcode code));

/* Without any transfer left. NULL is allowed. */
void multi_free(struct multi *multi);

/* Begins a transfer; returns 0, or -1 when libcurl does not take it. */
int multi_add(struct multi *multi, CURL *easy);

/* Ends it, or takes away one that has ended; not from within libcurl's callbacks. */
void multi_remove(struct multi *multi, CURL *easy);

#endif
