#ifndef AUTHD_REQUEST_H
#define AUTHD_REQUEST_H

#include <stdint.h>

struct client;
struct request;
struct service;

/*
 * The requests of one connection: each is an exchange that begins with AUTH, may go on with CONT,
 * and ends with OK, FAIL, or CANCEL, which is not answered. Zeroed but for the first two members.
 */
struct request_table {
    struct client *client;
    const struct service *service;
    struct request *requests; /* by id */
};

/*
 * One line from the client, split into fields, of which the first is the command's name. They
 * return 0, or -1 with a reason in *error_r for a line that breaks the protocol.
 */
int request_auth(struct request_table *table, char *fields[], int count, const char **error_r);
int request_continue(struct request_table *table, char *fields[], int count, const char **error_r);
int request_cancel(struct request_table *table, char *fields[], int count, const char **error_r);

/* So long a mail server's client may be silent in an exchange: Postfix and Exim wait for 5 minutes.
 */
#define REQUEST_SECONDS 360

/* Forgets those whose clients have been silent for as long, by the time of lib/clock.h. */
void request_expire(struct request_table *table, uint32_t now);

/* Forgets all requests, for a client that is gone. */
void request_cancel_all(struct request_table *table);

#endif
