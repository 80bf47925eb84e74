#ifndef AUTHD_PROXYQUERY_H
#define AUTHD_PROXYQUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "authd/mechanism.h"

/*
 * What nginx's mail proxy asks before it connects a client to a server (its auth_http): an HTTP
 * request without a body, whose header fields say who wants to log in.
 */

/* Octets of a request with its empty line; nginx's are below 2 KiB. */
#define PROXYQUERY_OCTETS_MAX 8192

/* Texts are C strings, "" where nothing was said. Wiped by its owner. */
struct proxyquery {
    char method[16];   /* "plain": the password is known; else nothing is that could be checked */
    char protocol[16]; /* pop3, imap, smtp */
    char address[64];  /* the client's */
    unsigned attempt;  /* the how many-th on this connection, from 1 */
    bool unfit;        /* a name or a password that nobody can have: with a NUL, or too long */
    char name[MECHANISM_NAME_MAX + 1];
    char password[MECHANISM_PASSWORD_MAX + 1];
};

enum proxyquery_result {
    PROXYQUERY_WHOLE,
    PROXYQUERY_PART, /* the empty line has not come */
    PROXYQUERY_BAD   /* no such request, or something in it is too long */
};

/* Of `length` octets, which are not changed. On PROXYQUERY_WHOLE *query_r is filled in. */
enum proxyquery_result proxyquery_parse(const char *text, size_t length,
                                        struct proxyquery *query_r);

#endif
