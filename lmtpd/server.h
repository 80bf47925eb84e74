#ifndef LMTPD_SERVER_H
#define LMTPD_SERVER_H

#include <stdbool.h>

struct conf;
struct db;
struct lookup;
struct store_link;
struct usages;
struct warner;

/* What all sessions share. */
struct server {
    const struct conf *conf;
    struct db *db;         /* read-only */
    struct lookup *lookup; /* in it */
    struct store_link *store;
    struct usages *usages; /* as stored told them */
    struct warner *warner; /* NULL: nobody is warned of a full mailbox */
    bool draining;         /* no new message is begun any more */
};

#endif
