/*
 * bellhop address import: a table of addresses, all or nothing. Every row is tried first, in a
 * transaction that is rolled back; then the passwords are hashed, while nobody has to wait; then
 * the rows are added in one transaction.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/csv.h"
#include "cli/database.h"
#include "cli/file.h"
#include "cli/password.h"
#include "db/limit.h"
#include "db/mailaddress.h"
#include "db/transaction.h"
#include "lib/xalloc.h"

/* Room for as many rows as a plan can have addresses, each with the longest fields there are. */
#define FILE_MAX (1024 * 1024)

/* More rows than the largest plan allows are refused before anything else. */
#define ROWS_MAX DB_PLAN_ADDRESSES_MAX

enum column { COLUMN_ADDRESS, COLUMN_PASSWORD, COLUMN_HASH, COLUMN_NAME, COLUMNS };

static const char *const column_names[COLUMNS] = {"address", "password", "hash", "name"};

struct import_row {
    unsigned line;
    struct address address;
    char name[DB_MAILBOX_NAME_MAX + 1];
    bool generated;
    struct password password;
    struct password_kept kept;
};

struct import {
    const char *file;
    char *text;
    size_t length;
    struct csv csv;
    size_t fields;                  /* in each row */
    size_t columns[CSV_FIELDS_MAX]; /* enum column of each field */
    struct db_customer customer;
    struct import_row *rows;
    size_t count;
    unsigned errors;
};

static void row_error(struct import *import, unsigned line, const char *sentence)
{
    refuse("%s line %u: %s", import->file, line, sentence);
    import->errors++;
}

static int open_table(struct import *import)
{
    int fd = open(import->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return refuse("cannot open %s: %s", import->file, strerror(errno));
    ssize_t length = file_read(fd, FILE_MAX, &import->text);
    int reason = errno;
    close(fd);
    if (length < 0 && reason == EFBIG)
        return refuse("%s is larger than a table of %d addresses can be", import->file, ROWS_MAX);
    if (length < 0)
        return refuse("cannot read %s: %s", import->file, strerror(reason));
    import->length = (size_t)length;
    csv_init(&import->csv, import->text, import->length);
    return EXIT_DONE;
}

static void table_free(struct import *import)
{
    if (import->text != NULL)
        sodium_memzero(import->text, import->length);
    if (import->rows != NULL)
        sodium_memzero(import->rows, ROWS_MAX * sizeof(*import->rows));
    free(import->text);
    free(import->rows);
}

static int find_column(const char *name)
{
    for (int i = 0; i < COLUMNS; i++)
        if (strcasecmp(column_names[i], name) == 0)
            return i;
    return -1;
}

/* The columns may stand in any order; only the address must be there. */
static int read_header(struct import *import)
{
    struct csv_row row;
    const char *error = "the table is empty";
    bool seen[COLUMNS] = {false};

    if (csv_next(&import->csv, &row, &error) <= 0)
        return refuse("%s line %u: %s; it begins with the line address,password,name", import->file,
                      row.line, error);
    for (size_t i = 0; i < row.count; i++) {
        int column = find_column(row.fields[i].text);
        if (column < 0 || seen[column])
            return refuse("%s line %u: the first line names the columns, which are "
                          "address,password,name, or hash in place of password, each once, with "
                          "commas between them",
                          import->file, row.line);
        seen[column] = true;
        import->columns[i] = (size_t)column;
    }
    if (!seen[COLUMN_ADDRESS])
        return refuse("%s line %u: the column address is missing", import->file, row.line);
    import->fields = row.count;
    return EXIT_DONE;
}

/* The row is out; the field is not shown, for a table with shifted columns has passwords there. */
static void address_error(struct import *import, struct import_row *row, char *sentence)
{
    row_error(import, row->line, sentence);
    free(sentence);
    row->address.text[0] = '\0';
}

static void take_address(struct import *import, struct import_row *row,
                         const struct csv_field *field)
{
    const char *error;

    if (address_parse(&row->address, field->text, field->length, &error) < 0) {
        address_error(import, row, xasprintf("its address is none: %s", error));
        return;
    }
    for (size_t i = 0; i < import->count; i++)
        if (strcmp(import->rows[i].address.text, row->address.text) == 0) {
            address_error(
                import, row,
                xasprintf("%s stands in line %u already", row->address.text, import->rows[i].line));
            return;
        }
}

static void take_password(struct import *import, struct import_row *row,
                          const struct csv_field *field)
{
    if (field->length == 0)
        return;
    const char *error = password_check(field->text, field->length);
    if (error != NULL) {
        row_error(import, row->line, error);
        return;
    }
    memcpy(row->password.text, field->text, field->length + 1);
    row->password.length = field->length;
}

/* What is kept of a password on the server that the customer comes from. */
static void take_hash(struct import *import, struct import_row *row, const struct csv_field *field)
{
    const char *error;

    if (field->length == 0 || storedhash_import(row->kept.hash, field->text, &error) == 0)
        return;
    char *sentence = xasprintf("column hash: %s", error);
    row_error(import, row->line, sentence);
    free(sentence);
}

static void take_name(struct import *import, struct import_row *row, const struct csv_field *field)
{
    const char *error;

    if (db_mailbox_name_check(field->text, &error) < 0)
        row_error(import, row->line, error);
    else
        memcpy(row->name, field->text, field->length + 1);
}

/* Adds the row to import->rows, complaining about what is wrong in each of its fields. */
static void take_row(struct import *import, const struct csv_row *csv)
{
    static void (*const take[COLUMNS])(struct import *, struct import_row *,
                                       const struct csv_field *) = {take_address, take_password,
                                                                    take_hash, take_name};

    if (csv->count != import->fields) {
        row_error(import, csv->line, "it has another number of fields than the first line");
        return;
    }
    struct import_row *row = &import->rows[import->count];
    row->line = csv->line;
    for (size_t i = 0; i < csv->count; i++)
        take[import->columns[i]](import, row, &csv->fields[i]);
    if (row->password.length > 0 && row->kept.hash[0] != '\0')
        row_error(import, row->line, "it has a password and a hash; leave one of them empty");
    import->count++;
}

static int read_rows(struct import *import)
{
    struct csv_row row;
    const char *error;
    int got;

    import->rows = xcalloc(ROWS_MAX, sizeof(*import->rows));
    while ((got = csv_next(&import->csv, &row, &error)) != 0) {
        if (got < 0)
            row_error(import, row.line, error);
        else if (import->count == ROWS_MAX)
            return refuse("%s has more than %d rows, and no plan allows so many addresses",
                          import->file, ROWS_MAX);
        else
            take_row(import, &row);
    }
    return EXIT_DONE;
}

static enum db_result add_row(struct db *db, const struct import *import,
                              const struct import_row *row)
{
    const struct db_mailaddress_new new = {.address = row->address,
                                           .name = row->name,
                                           .hash =
                                               row->kept.hash[0] != '\0' ? row->kept.hash : NULL,
                                           .scram = row->kept.scram};

    return db_mailaddress_add(db, import->customer.id, &new, NULL);
}

static void add_error(struct import *import, const struct db *db, const struct import_row *row,
                      enum db_result result)
{
    struct db_limit limit;
    char *sentence;

    if (result == DB_LIMIT) {
        db_limit_get(db, &limit);
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

/*
 * Adds all rows within a transaction that has begun, noting what is refused. Returns EXIT_DONE, or
 * EXIT_REFUSED when the database does not work.
 */
static int add_rows(struct import *import, struct db *db)
{
    bool full = false;

    for (size_t i = 0; i < import->count; i++) {
        const struct import_row *row = &import->rows[i];
        if (row->address.text[0] == '\0')
            continue; /* what is wrong with it has been told */
        enum db_result result = add_row(db, import, row);
        if (result == DB_BUSY || result == DB_BROKEN) {
            database_result(db, result);
            return EXIT_REFUSED;
        }
        if (result != DB_OK && !(result == DB_LIMIT && full))
            add_error(import, db, row, result);
        full = full || result == DB_LIMIT;
    }
    return EXIT_DONE;
}

/* Adds all rows for good, or none of them. */
static int add_all(struct import *import, struct db *db, bool for_good)
{
    if (database_result(db, db_transaction_begin(db)) != DB_OK)
        return EXIT_REFUSED;
    int done = add_rows(import, db);
    if (done == EXIT_DONE && import->errors == 0 && for_good)
        return database_result(db, db_transaction_commit(db)) == DB_OK ? EXIT_DONE : EXIT_REFUSED;
    db_transaction_rollback(db);
    return done;
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
    int done = password_keep(conf, db, jobs, count);
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
    if (open_table(import) != EXIT_DONE || read_header(import) != EXIT_DONE ||
        read_rows(import) != EXIT_DONE)
        return EXIT_REFUSED;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = database_customer(db, customer, &import->customer);
    if (done == EXIT_DONE)
        done = import_rows(import, db, &instance->conf, dry_run);
    db_close(db);
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
