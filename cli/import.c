/*
 * bellhop address import: a table of addresses, all or nothing. Every row is tried first, in a
 * transaction that is rolled back; then the passwords are hashed, while nobody has to wait; then
 * the rows are added in one transaction. On a server elsewhere the first and the last are jobs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/import.h"
#include "cli/password.h"
#include "db/limit.h"
#include "db/mailaddress.h"
#include "db/transaction.h"
#include "lib/row.h"
#include "lib/xalloc.h"

/* More rows than the largest plan allows are refused before anything else. */
#define IMPORT_MAX DB_PLAN_ADDRESSES_MAX

#define COLUMNS (ROW_BIT(ADDRESS) | ROW_BIT(NAME) | ROW_BIT(HASH) | ROW_BIT(PASSWORD))

/* What is read of the file at once. */
#define PIECE (16 * 1024)

struct import {
    const char *file;
    struct row_reader *reader;
    struct db_customer customer;
    struct import_row *rows;
    size_t count;
    unsigned errors;
    bool full; /* a row was one too many, and so is each behind it */
    char piece[PIECE];
};

static void row_error(struct import *import, unsigned line, const char *sentence)
{
    refuse("%s line %u: %s", import->file, line, sentence);
    import->errors++;
}

static void table_free(struct import *import)
{
    sodium_memzero(import->piece, sizeof(import->piece));
    if (import->rows != NULL)
        sodium_memzero(import->rows, IMPORT_MAX * sizeof(*import->rows));
    row_reader_free(import->reader);
    free(import->rows);
}

/* No field is shown, for a table with shifted columns has passwords anywhere. */
static void tell_errors(struct import *import, const struct row *row)
{
    for (unsigned i = 0; i < row->error_count; i++) {
        const struct row_error *error = &row->errors[i];
        char *sentence =
            xasprintf("%s%s%s%s", error->column[0] != '\0' ? "column " : "", error->column,
                      error->column[0] != '\0' ? ": " : "", error->reason);
        row_error(import, row->line, sentence);
        free(sentence);
    }
}

static void check_twice(const struct import *import, struct row *row)
{
    for (size_t i = 0; i < import->count && row->address.text[0] != '\0'; i++)
        if (strcmp(import->rows[i].address.text, row->address.text) == 0) {
            row_wrong(row, row_column_name(ROW_ADDRESS), "twice", "%s stands in line %u already",
                      row->address.text, import->rows[i].line);
            row->address.text[0] = '\0';
        }
}

/* Adds the row to import->rows, complaining about what is wrong in each of its fields. */
static void take_row(struct import *import, struct row *row)
{
    struct import_row *kept = &import->rows[import->count];
    const char *error;

    check_twice(import, row);
    if (db_mailbox_name_check(row->name, &error) < 0) {
        row_wrong(row, row_column_name(ROW_NAME), "text", "%s", error);
        row->name[0] = '\0';
    }
    tell_errors(import, row);
    kept->line = row->line;
    kept->address = row->address;
    memcpy(kept->name, row->name, sizeof(kept->name));
    kept->password = row->password;
    memcpy(kept->kept.hash, row->hash, sizeof(kept->kept.hash));
    import->count++;
}

static int read_piece(struct import *import, int fd)
{
    ssize_t length = read(fd, import->piece, sizeof(import->piece));

    if (length < 0)
        return refuse("cannot read %s: %s", import->file, strerror(errno));
    row_reader_feed(import->reader, import->piece, (size_t)length);
    if (length == 0)
        row_reader_end(import->reader);
    return EXIT_DONE;
}

static int read_rows(struct import *import, int fd)
{
    struct row *row;

    for (;;)
        switch (row_reader_next(import->reader, &row)) {
        case ROWS_MORE:
            if (read_piece(import, fd) != EXIT_DONE)
                return EXIT_REFUSED;
            break;
        case ROWS_ROW:
            if (import->count == IMPORT_MAX)
                return refuse("%s has more than %d rows, and no plan allows so many addresses",
                              import->file, IMPORT_MAX);
            take_row(import, row);
            break;
        case ROWS_BROKEN: tell_errors(import, row); return EXIT_REFUSED;
        case ROWS_END: return EXIT_DONE;
        }
}

static int read_table(struct import *import)
{
    int fd = open(import->file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return refuse("cannot open %s: %s", import->file, strerror(errno));
    import->rows = xcalloc(IMPORT_MAX, sizeof(*import->rows));
    import->reader = row_reader_new(ROW_CSV, COLUMNS);
    int done = read_rows(import, fd);
    close(fd);
    return done;
}

/* --- here */

static enum db_result add_row(struct db *db, uint64_t customer, const struct import_row *row)
{
    const struct db_mailaddress_new new = {.address = row->address,
                                           .name = row->name,
                                           .hash =
                                               row->kept.hash[0] != '\0' ? row->kept.hash : NULL,
                                           .scram = row->kept.scram};

    return db_mailaddress_add(db, customer, &new, NULL);
}

/* Within a transaction that has begun. Returns how many are refused, or -1. */
static int add_rows(struct db *db, const struct import_rows *wanted)
{
    int refused = 0;

    for (size_t i = 0; i < wanted->count; i++) {
        const struct import_row *row = &wanted->rows[i];
        if (row->address.text[0] == '\0')
            continue;
        enum db_result result = add_row(db, wanted->customer, row);
        if (result == DB_BUSY || result == DB_BROKEN) {
            database_result(db, result);
            return -1;
        }
        if (result != DB_OK) {
            wanted->refused(wanted->context, db, row, result);
            refused++;
        }
    }
    return refused;
}

int import_add(struct db *db, const struct import_rows *wanted, bool for_good)
{
    if (database_result(db, db_transaction_begin(db)) != DB_OK)
        return EXIT_REFUSED;
    int refused = add_rows(db, wanted);
    if (refused == 0 && for_good)
        return database_result(db, db_transaction_commit(db)) == DB_OK ? EXIT_DONE : EXIT_REFUSED;
    db_transaction_rollback(db);
    return refused < 0 ? EXIT_REFUSED : EXIT_DONE;
}

/* --- what is told of them */

static void tell_refused(void *context, struct db *db, const struct import_row *row,
                         enum db_result result)
{
    struct import *import = context;
    struct db_limit limit;
    char *sentence;

    if (result == DB_LIMIT && import->full)
        return;
    if (result == DB_LIMIT) {
        import->full = true;
        accounts->limit_get(db, &limit);
        sentence = xasprintf("there is no room for this row and what follows, for the plan \"%s\" "
                             "allows %u in all and \"%s\" has %u",
                             limit.plan, limit.allowed, limit.customer, import->customer.addresses);
    } else if (result == DB_TAKEN) {
        sentence = xasprintf("the address %s is there already", row->address.text);
    } else {
        sentence = xasprintf("\"%s\" has no domain %s", import->customer.name, row->address.domain);
    }
    row_error(import, row->line, sentence);
    free(sentence);
}

/* Adds all rows for good where there is no mistake, or only tries. */
static int add_all(struct import *import, struct db *db, bool for_good)
{
    const struct import_rows wanted = {import->customer.id, import->rows, import->count,
                                       tell_refused, import};

    import->full = false;
    return accounts->import_add(db, &wanted, for_good);
}

static int hash_rows(struct import *import, struct db *db, const struct conf *conf)
{
    struct password_job *jobs = xcalloc(import->count, sizeof(*jobs));
    size_t count = 0;

    for (size_t i = 0; i < import->count; i++) {
        struct import_row *row = &import->rows[i];
        if (row->kept.hash[0] != '\0')
            continue;
        row->generated = row->password.length == 0;
        if (row->generated)
            password_generate(&row->password);
        jobs[count++] = (struct password_job){&row->password, row->address.text, &row->kept};
    }
    int done = accounts->import_keep(conf, db, jobs, count);
    free(jobs);
    return done;
}

static int refuse_all(const struct import *import)
{
    return refuse("%s has %u mistake%s; nothing was added", import->file, import->errors,
                  import->errors == 1 ? "" : "s");
}

static int show_generated(const struct import *import)
{
    for (size_t i = 0; i < import->count; i++)
        if (import->rows[i].generated &&
            password_show(import->rows[i].address.text, import->rows[i].password.text) != EXIT_DONE)
            return EXIT_REFUSED;
    return EXIT_DONE;
}

/*
 * Its owner has this password elsewhere, and would be shut out of the mail on the day of the move.
 * So it is taken, and whoever moves the mailboxes is told who should choose another.
 */
static void warn_of_guessed(const struct import *import, const struct conf *conf)
{
    for (size_t i = 0; i < import->count; i++) {
        const struct import_row *row = &import->rows[i];
        const struct passwordrule_owner owner = {.address = row->address.text,
                                                 .customer = import->customer.name,
                                                 .hostname = conf->hostname};
        if (row->password.length > 0 && !row->generated &&
            passwordrule_check(row->password.text, row->password.length, &owner) != NULL)
            (void)refuse("%s line %u: the password of %s is taken, but is among the first that are "
                         "guessed; have another one chosen with \"bellhop address invite %s\"",
                         import->file, row->line, row->address.text, row->address.text);
    }
}

static int import_rows(struct import *import, struct db *db, const struct conf *conf, bool dry_run)
{
    if (add_all(import, db, false) != EXIT_DONE)
        return EXIT_REFUSED;
    if (import->errors > 0)
        return refuse_all(import);
    if (dry_run) {
        printf("%zu address%s can be added to \"%s\"; nothing was changed\n", import->count,
               import->count == 1 ? "" : "es", import->customer.name);
        warn_of_guessed(import, conf);
        return EXIT_DONE;
    }
    if (hash_rows(import, db, conf) != EXIT_DONE || add_all(import, db, true) != EXIT_DONE)
        return EXIT_REFUSED;
    /* Somebody else was quicker. */
    if (import->errors > 0)
        return refuse_all(import);
    printf("%zu address%s added to \"%s\"\n", import->count, import->count == 1 ? "" : "es",
           import->customer.name);
    warn_of_guessed(import, conf);
    return show_generated(import);
}

static int import_table(struct import *import, struct instance *instance, const char *customer,
                        bool dry_run)
{
    if (read_table(import) != EXIT_DONE)
        return EXIT_REFUSED;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, customer, &import->customer);
    if (done == EXIT_DONE)
        done = import_rows(import, db, &instance->conf, dry_run);
    accounts->close(db);
    return done;
}

int address_import_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {
        {"customer", required_argument, NULL, 'c'}, {"dry-run", no_argument, NULL, 'd'}, {0}};
    struct import import = {0};
    const char *customer = NULL;
    bool dry_run = false;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'c': customer = optarg; break;
        case 'd': dry_run = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (customer == NULL)
        return wrong_usage("say whose addresses they are with --customer");
    import.file = argv[optind];
    int done = import_table(&import, instance, customer, dry_run);
    table_free(&import);
    return done;
}
