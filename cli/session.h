#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/address.h"

struct db;
struct store_session_is;

/* Open POP3 sessions, as stored on this machine knows them. */

/* Whose sessions are meant: a mailbox's, or a customer's, or with neither all. */
struct session_wanted {
    const char *address;
    const char *customer;
    bool json;
    struct address mailbox; /* of `address` */
    uint64_t mailbox_id;
    uint64_t customer_id;
};

struct sessions {
    json_t *rows;                   /* as the command shows them; the caller's, made before */
    struct store_session_is *found; /* for session_end(); freed by the caller */
    size_t count;
};

/* Both return EXIT_DONE, or EXIT_REFUSED after refuse(). */
int session_find(struct db *db, const struct session_wanted *wanted, struct sessions *found);
int session_end(struct db *db, const struct session_wanted *wanted, const struct sessions *found);

#endif
