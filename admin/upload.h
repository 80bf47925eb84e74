#ifndef ADMIN_UPLOAD_H
#define ADMIN_UPLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "admin/route.h"

struct request;

/*
 * A body that is larger than memory may hold (struct route_upload): it is handed to the writer a
 * piece at a time, and the client waits meanwhile, so that a request has one piece in memory and no
 * more, however fast it comes.
 */

/* Of one such body, and of a piece: all are as large but the last. */
#define UPLOAD_MAX   (64 * 1024 * 1024)
#define UPLOAD_PIECE (64 * 1024)

/* Milliseconds in which all of it must be there. */
#define UPLOAD_TIME 600000

/* When its route and its type are known. */
void upload_begin(struct request *request);

/*
 * Keeps some of what has come; how much is returned. The request is away where a piece is full:
 * request_send() comes when the next can be taken, or a problem has been set.
 */
size_t upload_take(struct request *request, const char *octets, size_t length);

/* All has come: sends the last piece away. Whether there was one. */
bool upload_flush(struct request *request);

/* In place of the body, where the idempotency key is asked for. */
#define UPLOAD_DIGEST_SIZE 32
void upload_digest(const struct request *request, uint8_t digest_r[UPLOAD_DIGEST_SIZE]);

/* At the request's end. */
void upload_free(struct request *request);

#endif
