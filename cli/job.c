/*
 * The commands about bulk uploads (db/job.h): whoever uploads, admin works on them, so a job goes
 * on when the command has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/accounts.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/file.h"
#include "cli/listing.h"
#include "cli/number.h"
#include "cli/progress.h"

/* Between two looks, in ms. */
#define LOOK_EVERY 500

static const struct listing_column columns[] = {
    {"id", "ID", LISTING_NUMBER},       {"customer", "CUSTOMER", LISTING_TEXT},
    {"mode", "MODE", LISTING_TEXT},     {"dry_run", "DRY RUN", LISTING_TEXT},
    {"state", "STATE", LISTING_TEXT},   {"rows", "ROWS", LISTING_NUMBER},
    {"wrong", "WRONG", LISTING_NUMBER}, {"made", "MADE", LISTING_NUMBER},
    {"result", "RESULT", LISTING_TEXT}, {"created", "CREATED", LISTING_TIME},
    {"ended", "ENDED", LISTING_TIME},   {0}};

static const struct listing_column error_columns[] = {
    {"row", "ROW", LISTING_NUMBER},     {"line", "LINE", LISTING_NUMBER},
    {"column", "COLUMN", LISTING_TEXT}, {"code", "CODE", LISTING_TEXT},
    {"reason", "REASON", LISTING_TEXT}, {0}};

/* --- as they are shown */

/* Null for all customers, and for one that has been removed. */
static json_t *customer_name(struct db *db, uint64_t id)
{
    struct db_customer customer;

    if (id == 0 || accounts->customer_get(db, id, &customer) != DB_OK)
        return json_null();
    return json_string(customer.name);
}

/* The customer's name, which is taken over, stands in for the id. */
static json_t *job_row(struct db *db, const struct db_job *job, json_t *customer)
{
    return json_pack("{sI so ss ss sb ss sI sI sI si sb so so so}", "id", (json_int_t)job->id,
                     "customer", customer, "format", db_job_format_name(job->format), "mode",
                     job->all ? "all" : "rows", "dry_run", (int)job->dry_run, "state",
                     db_job_state_name(job->state), "rows", (json_int_t)job->rows, "wrong",
                     (json_int_t)job->wrong, "made", (json_int_t)job->made, "percent",
                     (int)accounts->job_percent(db, job), "result", (int)job->result, "created",
                     listing_time(job->created), "begun", listing_time(job->begun), "ended",
                     listing_time(job->ended));
}

static int list(struct instance *instance, struct db *db, const struct db_customer *customer,
                bool json)
{
    struct db_job job = {0};
    enum db_result result;
    uint64_t known = 0;
    json_t *name = json_null();
    (void)instance;

    json_t *rows = json_array();
    while ((result = customer != NULL ? accounts->job_next(db, customer->id, &job)
                                      : accounts->operator_job_next(db, &job)) == DB_OK) {
        if (job.customer != known) {
            json_decref(name);
            name = customer_name(db, job.customer);
            known = job.customer;
        }
        json_array_append_new(rows, job_row(db, &job, json_incref(name)));
    }
    json_decref(name);
    return database_list_end(db, result, rows, columns, json);
}

int job_list_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list);
}

/* --- one of them */

static int find(struct db *db, uint64_t id, struct db_job *job_r)
{
    enum db_result result = database_result(db, accounts->operator_job_find(db, id, job_r));

    if (result == DB_NONE)
        return refuse("there is no job %" PRIu64 "; \"bellhop job list\" shows those of the last "
                      "%d days",
                      id, DB_JOB_DAYS);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

/* A command about a job: its only option, where that is not NULL, and what it does. */
struct about {
    const char *option;
    int (*run)(const struct instance *instance, struct db *db, struct db_job *job, bool option);
};

static int run_about(struct instance *instance, int argc, char **argv, const struct about *about)
{
    const struct option options[] = {{about->option, no_argument, NULL, 'o'}, {0}};
    struct db_job job = {0};
    bool given = false;
    uint64_t id;
    int option;

    while ((option = command_option(argc, argv, about->option != NULL ? options : options + 1)) !=
           -1) {
        if (option == '?')
            return EXIT_USAGE;
        given = true;
    }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    if (number_parse(argv[optind], 1, INT64_MAX, &id) < 0)
        return wrong_usage("\"%s\" is no number of a job", argv[optind]);
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = find(db, id, &job);
    if (done == EXIT_DONE)
        done = about->run(instance, db, &job, given);
    accounts->close(db);
    return done;
}

static int show(const struct instance *instance, struct db *db, struct db_job *job, bool json)
{
    (void)instance;
    listing_print_one(job_row(db, job, customer_name(db, job->customer)), columns, json);
    return EXIT_DONE;
}

int job_show_main(struct instance *instance, int argc, char **argv)
{
    return run_about(instance, argc, argv, &(struct about){"json", show});
}

static int show_errors(const struct instance *instance, struct db *db, struct db_job *job,
                       bool json)
{
    struct db_job_error error = {0};
    enum db_result result;
    (void)instance;

    json_t *rows = json_array();
    while ((result = accounts->job_error_next(db, job->id, &error)) == DB_OK)
        json_array_append_new(rows,
                              json_pack("{sI sI so ss ss}", "row", (json_int_t)error.row, "line",
                                        (json_int_t)error.line, "column", listing_text(error.name),
                                        "code", error.code, "reason", error.reason));
    return database_list_end(db, result, rows, error_columns, json);
}

int job_errors_main(struct instance *instance, int argc, char **argv)
{
    return run_about(instance, argc, argv, &(struct about){"json", show_errors});
}

/* --- until it ends */

static int say_end(const struct db_job *job)
{
    printf("job %" PRIu64 " %s: %u row%s, %u wrong, %u made\n", job->id,
           db_job_state_name(job->state), job->rows, job->rows == 1 ? "" : "s", job->wrong,
           job->made);
    if (job->wrong > 0)
        printf("what is wrong: bellhop job errors %" PRIu64 "\n", job->id);
    if (job->result)
        printf("welcome cards, only before the result: bellhop job cards %" PRIu64 "\n"
               "its result, once: bellhop job result %" PRIu64 "\n",
               job->id, job->id);
    return job->state == DB_JOB_DONE ? EXIT_DONE : EXIT_REFUSED;
}

static int follow(const struct instance *instance, struct db *db, struct db_job *job, bool asked)
{
    int done = EXIT_DONE;
    unsigned shown = 0;
    char title[32];

    if (!db_job_is_over(job))
        accounts->job_warn(instance);
    snprintf(title, sizeof(title), "job %" PRIu64, job->id);
    struct progress *progress = progress_begin(title, PROGRESS_PERCENT, 100, asked);
    while (done == EXIT_DONE) {
        unsigned percent = accounts->job_percent(db, job);
        progress_add(progress, percent > shown ? percent - shown : 0);
        shown = percent > shown ? percent : shown;
        if (db_job_is_over(job))
            break;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY * 1000000L}, NULL);
        done = find(db, job->id, job);
    }
    progress_end(progress);
    return done == EXIT_DONE ? say_end(job) : done;
}

int job_follow_main(struct instance *instance, int argc, char **argv)
{
    return run_about(instance, argc, argv, &(struct about){"progress", follow});
}

/* As it is within the transaction: admin goes on with it until then. */
static enum db_result end_job(struct db *db, struct db_job *job)
{
    enum db_result result = accounts->operator_job_find(db, job->id, job);

    if (result != DB_OK)
        return result;
    return db_job_is_over(job) ? DB_NONE : accounts->job_end(db, job, DB_JOB_CANCELLED);
}

static int cancel(const struct instance *instance, struct db *db, struct db_job *job, bool option)
{
    (void)instance;
    (void)option;

    enum db_result result = database_result(db, accounts->transaction_begin(db));
    if (result != DB_OK)
        return EXIT_REFUSED;
    result = end_job(db, job);
    if (result == DB_OK)
        result = accounts->transaction_commit(db);
    else
        accounts->transaction_rollback(db);
    if (database_result(db, result) == DB_NONE)
        return refuse("the job has ended; \"bellhop job show %" PRIu64 "\" tells how", job->id);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

int job_cancel_main(struct instance *instance, int argc, char **argv)
{
    return run_about(instance, argc, argv, &(struct about){NULL, cancel});
}

/* --- what it gives out */

static int check_result(const struct db_job *job)
{
    if (!db_job_is_over(job))
        return refuse("the job has not ended; it is %s", db_job_state_name(job->state));
    if (job->made == 0)
        return refuse("there is no result: the job has made nothing");
    if (!job->result)
        return refuse("the result was fetched before, or the job ended more than %d days ago; "
                      "invite again whom it was lost for",
                      DB_JOB_RESULT_DAYS);
    return EXIT_DONE;
}

static int take_table(const struct instance *instance, struct db *db, struct db_job *job,
                      bool option)
{
    (void)option;
    int done = check_result(job);

    return done == EXIT_DONE ? accounts->job_take_table(db, &instance->conf, job, stdout) : done;
}

int job_result_main(struct instance *instance, int argc, char **argv)
{
    return run_about(instance, argc, argv, &(struct about){NULL, take_table});
}

static int take_cards(const struct instance *instance, struct db *db, struct db_job *job,
                      bool option)
{
    (void)option;
    int done = check_result(job);

    return done == EXIT_DONE ? accounts->job_take_cards(db, &instance->conf, job, stdout) : done;
}

int job_cards_main(struct instance *instance, int argc, char **argv)
{
    return run_about(instance, argc, argv, &(struct about){NULL, take_cards});
}

/* --- add */

struct addition {
    const char *file;
    const char *customer;
    const char *format; /* as given; NULL: by the file's name */
    struct db_job job;
    bool follow;
    bool progress;
    char *octets;
    size_t length;
};

static int take_option(struct addition *addition, int option, const char *text)
{
    switch (option) {
    case 'c': addition->customer = text; return 0;
    case 'f': addition->format = text; return 0;
    case 'd': addition->job.dry_run = true; return 0;
    case 'a': addition->job.all = true; return 0;
    case 'w': addition->follow = true; return 0;
    case 'p': addition->progress = true; return 0;
    default: return EXIT_USAGE;
    }
}

static int take_format(struct addition *addition)
{
    const char *dot = strrchr(addition->file, '.');
    const char *name = addition->format;

    if (name == NULL && dot != NULL)
        name = dot + 1;
    if (name != NULL && db_job_format_parse(name, &addition->job.format) == 0)
        return 0;
    if (addition->format != NULL)
        return wrong_usage("--format takes csv, json or ndjson, not \"%s\"", addition->format);
    return wrong_usage("the name of the file does not say what it is; say it with --format");
}

static int parse(struct addition *addition, int argc, char **argv)
{
    static const struct option options[] = {{"customer", required_argument, NULL, 'c'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"dry-run", no_argument, NULL, 'd'},
                                            {"all-or-nothing", no_argument, NULL, 'a'},
                                            {"follow", no_argument, NULL, 'w'},
                                            {"progress", no_argument, NULL, 'p'},
                                            {0}};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        if (take_option(addition, option, optarg) != 0)
            return EXIT_USAGE;
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    addition->file = argv[optind];
    if (addition->progress && !addition->follow)
        return wrong_usage("--progress goes with --follow");
    return take_format(addition);
}

static int read_upload(struct addition *addition)
{
    int fd = open(addition->file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return refuse("cannot open %s: %s", addition->file, strerror(errno));
    ssize_t length = file_read(fd, DB_JOB_OCTETS_MAX, &addition->octets);
    int error = errno;
    close(fd);
    if (length < 0 && error == EFBIG)
        return refuse("%s has more than %d MiB; make several of it", addition->file,
                      DB_JOB_OCTETS_MAX >> 20);
    if (length < 0)
        return refuse("cannot read %s: %s", addition->file, strerror(error));
    addition->length = (size_t)length;
    return length > 0 ? EXIT_DONE : refuse("%s is empty", addition->file);
}

static int upload(const struct instance *instance, struct db *db, struct addition *addition)
{
    struct db_customer customer;
    struct db_job *job = &addition->job;

    if (addition->customer != NULL) {
        if (database_customer(db, addition->customer, &customer) != EXIT_DONE)
            return EXIT_REFUSED;
        job->customer = customer.id;
    }
    enum db_result result =
        database_result(db, accounts->job_upload(db, job, addition->octets, addition->length));
    if (result == DB_NONE)
        return refuse("the customer \"%s\" was removed just now", addition->customer);
    if (result != DB_OK)
        return EXIT_REFUSED;
    printf("job: %" PRIu64 "\n", job->id);
    fflush(stdout);
    if (addition->follow)
        return find(db, job->id, job) == EXIT_DONE ? follow(instance, db, job, addition->progress)
                                                   : EXIT_REFUSED;
    accounts->job_warn(instance);
    return EXIT_DONE;
}

int job_add_main(struct instance *instance, int argc, char **argv)
{
    struct addition addition = {0};

    if (parse(&addition, argc, argv) != 0)
        return EXIT_USAGE;
    int done = read_upload(&addition);
    struct db *db = done == EXIT_DONE ? instance_open_database(instance) : NULL;
    if (db != NULL) {
        done = upload(instance, db, &addition);
        accounts->close(db);
    } else {
        done = EXIT_REFUSED;
    }
    if (addition.octets != NULL)
        sodium_memzero(addition.octets, addition.length);
    free(addition.octets);
    return done;
}
