#ifndef BENCH_MODE_H
#define BENCH_MODE_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/run.h"

/* A kind of load. A new one is a file with a struct mode, and a row in the table in load.c. */
struct mode {
    const char *name;
    const char *help;
    bool plain;           /* there is no --tls for it */
    bool own_mailboxes;   /* each connection needs a mailbox that no other one uses */
    bool whole;           /* goes through the file of users once: no --count unless it is given */
    unsigned connections; /* unless --connections is given; 0: 32 */
    unsigned opening;     /* how many connections may be on their way to ready; 0: all */
    int room;             /* as in struct route; 0: as much as the kernel likes */
    size_t client_size;   /* of the mode's struct, whose first member is a struct client */

    /*
     * The connection is about to be opened (again). Returns whether it should be; otherwise the
     * client has finished. NULL: it should.
     */
    bool (*begin)(struct client *client);
    /* The connection is on its way; what is sent now leaves when it is there. NULL: nothing to do.
     */
    void (*opened)(struct client *client);
    /* The handshake of TLS, which this mode is about, is done. NULL: nothing to do. */
    void (*shaken)(struct client *client);
    /* As in struct connection_events. */
    size_t (*input)(struct client *client, const char *data, size_t length);
    /* The server has closed. NULL: it must not. */
    void (*closed)(struct client *client);
    /* After each turn of the loop. NULL: nothing to do. */
    void (*turn)(struct run *run);
    /* Frees what the client holds. NULL: nothing. */
    void (*end)(struct client *client);
};

/* NULL ends it. */
extern const struct mode *const modes[];

extern const struct mode mode_deaf;
extern const struct mode mode_fetch;
extern const struct mode mode_half;
extern const struct mode mode_handshake;
extern const struct mode mode_idle;
extern const struct mode mode_lmtp;
extern const struct mode mode_login;
extern const struct mode mode_open;
extern const struct mode mode_retr;
extern const struct mode mode_session;
extern const struct mode mode_slow;
extern const struct mode mode_uidl;

#endif
