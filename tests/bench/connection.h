#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tests/bench/tls.h"

/*
 * Thousands of non-blocking connections on one epoll. Memory is taken only for what waits: a part
 * of a reply that is not complete, or output that the socket does not take.
 */

struct loop;

struct connection {
    struct loop *loop;
    int fd; /* -1: not open */
    void *context;
    char *rest; /* input that was not consumed yet */
    size_t rest_length;
    char *unsent;
    size_t unsent_length;
    uint32_t watched;
    struct tls tls;
    bool shaking; /* hands, of TLS: nothing else comes or goes yet */
    bool deaf;    /* what comes is not read */
};

struct connection_events {
    /*
     * Input: returns how many octets were consumed; what is left comes again, in front of the next
     * input. May close the connection.
     */
    size_t (*input)(void *context, const char *data, size_t length);
    /* The handshake of TLS is done. It must not close the connection. */
    void (*shaken)(void *context);
    /* The server has closed, or the connection broke; it has been closed here, too. */
    void (*closed)(void *context);
};

/* `tls`: for all connections; NULL: they are plain. It belongs to the caller. */
struct loop *loop_new(const struct connection_events *events, struct tls_context *tls);
void loop_free(struct loop *loop);

/* Handles what comes in up to `milliseconds`. */
void loop_turn(struct loop *loop, int milliseconds);

/* From where to where. */
struct route {
    const struct sockaddr *server;
    socklen_t length;
    in_addr_t source; /* in network order; 0: as the kernel chooses */
    int room;         /* octets of the kernel's that are not read yet; 0: as many as it likes */
};

/*
 * Begins to connect; exits with a clear line where that fails at once. A connection that was open
 * before is the same client's next one: it may resume its session of TLS.
 */
void connection_open(struct connection *connection, struct loop *loop, const struct route *route,
                     void *context);

/*
 * Sends now what the socket takes and the rest from the loop, also where it is not connected yet.
 */
void connection_send(struct connection *connection, const void *data, size_t length);

/* From now on nothing is read, or what connection_sip() takes. What was sent goes on leaving. */
void connection_deafen(struct connection *connection);

/*
 * Takes one octet that has come, of TLS or not, after connection_deafen(). Returns whether there
 * was one; `closed` is called when the server has closed.
 */
bool connection_sip(struct connection *connection);

/* Does not call `closed`. Closing twice is allowed. */
void connection_close(struct connection *connection);

/* Closes; the client does not come again. */
void connection_end(struct connection *connection);

#endif
