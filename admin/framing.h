#ifndef ADMIN_FRAMING_H
#define ADMIN_FRAMING_H

#include <stdbool.h>

struct MHD_Connection;

/* Fields of a header and parameters of a query together; libmicrohttpd takes memory for each. */
#define FRAMING_FIELDS_MAX 100

/*
 * Whether a request's header leaves open where the request ends, or for which host it is (RFC 9112
 * sections 3.2, 5.1, 6.1 and 6.3), by which key, or what its body is: then a proxy in front may
 * have read it in another way, and the octets that follow may not be what its client has sent.
 * libmicrohttpd takes such headers. Tells in a sentence what is wrong, or NULL; the connection is
 * to end with that answer. Returns false where there are so many fields that libmicrohttpd has no
 * memory left for an answer.
 */
bool framing_check(struct MHD_Connection *connection, const char *version, const char **fault_r);

#endif
