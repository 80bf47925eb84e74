#ifndef CLI_BLOCKS_H
#define CLI_BLOCKS_H

#include <stdint.h>

#include <jansson.h>

#include "db/adminuser.h"
#include "db/mailaddress.h"
#include "lib/address.h"
#include "lib/networks.h"

struct db;

/* What is delayed because of wrong passwords, as authd on this machine knows it. */

/* Where delays are to end: a mailbox, or else an admin user, or else a network. */
struct blocks_place {
    const char *text; /* as it was typed */
    struct address address;
    struct db_mailaddress found; /* without a mailbox: none */
    struct db_admin_user user;   /* without an id: none */
    struct networks network;     /* one */
};

/*
 * Adds those of a customer, or with 0 all, to the rows as the command shows them; and ends some,
 * telling how many. Both return EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int blocks_find(struct db *db, uint64_t customer, json_t *rows);
int blocks_lift(struct db *db, const struct blocks_place *place, uint64_t *count_r);

#endif
