#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/password.h"
#include "db/db.h"
#include "db/mailaddress.h"
#include "lib/address.h"

/* A table of addresses of one customer, to be made all or none. Holds secrets. */

struct import_row {
    unsigned line;
    struct address address; /* an empty text: what is wrong with it has been told */
    char name[DB_MAILBOX_NAME_MAX + 1];
    bool generated;
    struct password password;
    struct password_kept kept;
};

struct import_rows {
    uint64_t customer;
    const struct import_row *rows;
    size_t count;
    /* Called for each that is refused, with DB_TAKEN, DB_NONE (no such domain) or DB_LIMIT. */
    void (*refused)(void *context, struct db *db, const struct import_row *row,
                    enum db_result result);
    void *context;
};

/*
 * Makes all of them where none is refused, or with `for_good` false only tries. Returns EXIT_DONE,
 * also where some were refused, or EXIT_REFUSED after refuse().
 */
int import_add(struct db *db, const struct import_rows *wanted, bool for_good);

#endif
