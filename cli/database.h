#ifndef CLI_DATABASE_H
#define CLI_DATABASE_H

#include <stdbool.h>

#include <jansson.h>

#include "cli/listing.h"
#include "db/customer.h"
#include "db/db.h"

struct instance;

/* What the commands say about answers of the account database. */

/*
 * Passes a result on. For a limit, a busy and a broken database it first says so by refuse(); the
 * caller deals with DB_NONE and DB_TAKEN.
 */
enum db_result database_result(const struct db *db, enum db_result result);

/* Finds a customer. Returns EXIT_DONE, or EXIT_REFUSED after refuse(). */
int database_customer(struct db *db, const char *name, struct db_customer *customer_r);

/*
 * Ends a listing: `last` is the result that ended the iteration. Prints and frees `rows`, or only
 * frees them. Returns EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int database_list_end(const struct db *db, enum db_result last, json_t *rows,
                      const struct listing_column *columns, bool json);

/*
 * The whole of a command that lists all of a kind, with --json: `collect` adds the rows and returns
 * what ended the iteration.
 */
int database_list(struct instance *instance, int argc, char **argv,
                  enum db_result (*collect)(struct db *db, json_t *rows),
                  const struct listing_column *columns);

/*
 * The whole of a command that lists things of all customers, or of one (--customer NAME), with
 * --json: reads the command line, opens the accounts and has `list` do it, which returns the exit
 * code. `customer` is NULL for all.
 */
int database_listing(struct instance *instance, int argc, char **argv,
                     int (*list)(struct instance *instance, struct db *db,
                                 const struct db_customer *customer, bool json));

/*
 * For such a `list`: the rows that `add` makes of the customer, or, where that is NULL, of each. It
 * returns what ended its own iteration. As database_list_end().
 */
int database_list_each(struct instance *instance, struct db *db, const struct db_customer *customer,
                       enum db_result (*add)(struct instance *instance, struct db *db,
                                             const struct db_customer *customer, json_t *rows),
                       const struct listing_column *columns, bool json);

#endif
