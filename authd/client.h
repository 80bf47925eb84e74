#ifndef AUTHD_CLIENT_H
#define AUTHD_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

struct service;

/*
 * One connection of a program that asks (pop3d, Postfix, Exim): the handshake, lines in, answers
 * out. A client that breaks the protocol is logged and closed.
 */

/* Octets of a line with its LF, as Dovecot has it. */
#define CLIENT_LINE_MAX 16384

struct client;

struct client_events {
    /* The connection is over; the owner calls client_free(), now or later. */
    void (*closed)(struct client *client, void *context);
};

/* Takes over a connected non-blocking socket; client_free() closes it. */
struct client *client_new(const struct service *service, int fd, const struct client_events *events,
                          void *context);

/* Closes and frees; open requests are forgotten. NULL is allowed. */
void client_free(struct client *client);

/* Sends a line (with its LF), below CLIENT_LINE_MAX octets. Never blocks, fails or frees. */
void client_answer(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends its connection. Returns false, and does not, where it has not been told all up to now. */
bool client_hang_up(struct client *client);

/* Forgets exchanges that have been broken off without a word (authd/request.h). */
void client_expire(struct client *client, uint32_t now);

/* Reads no further lines; what is asked already will be answered. */
void client_drain(struct client *client);

/* Whether answers wait to be written. */
bool client_has_output(const struct client *client);

#endif
