/* The commands about the audit: who changed what. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "cli/accounts.h"
#include "cli/auditexport.h"
#include "cli/auditline.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "db/auditchain.h"

/* As many as a person looks through, unless it is said since when. */
#define NEWEST 1000

static const struct listing_column columns[] = {{"time", "TIME", LISTING_TIME},
                                                {"customer", "CUSTOMER", LISTING_TEXT},
                                                {"actor", "WHO", LISTING_TEXT},
                                                {"remote", "FROM", LISTING_TEXT},
                                                {"action", "ACTION", LISTING_TEXT},
                                                {"object", "OBJECT", LISTING_TEXT},
                                                {0}};

static json_t *audit_row(const struct db_audit *audit)
{
    json_t *changes = json_loads(audit->changes, 0, NULL);

    return json_pack("{sI so so so so so ss so so}", "number", (json_int_t)audit->number, "time",
                     listing_time(audit->time), "customer", listing_text(audit->customer_name),
                     "actor", listing_text(audit->actor), "remote", listing_text(audit->remote),
                     "request", listing_text(audit->request), "action", audit->action, "object",
                     listing_text(audit->object), "changes",
                     changes != NULL ? changes : json_array());
}

static int list(struct db *db, uint64_t customer, uint64_t since, bool json)
{
    struct db_audit audit = {0};
    json_t *rows = json_array();
    enum db_result result = DB_OK;

    while (since > 0 || json_array_size(rows) < NEWEST) {
        result = customer == 0 ? accounts->operator_audit_next(db, &audit)
                               : accounts->audit_next(db, customer, &audit);
        if (result != DB_OK || audit.time < since)
            break;
        json_array_append_new(rows, audit_row(&audit));
    }
    db_audit_free(&audit);
    return database_list_end(db, result == DB_OK ? DB_NONE : result, rows, columns, json);
}

int audit_list_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"customer", required_argument, NULL, 'c'},
                                            {"since", required_argument, NULL, 's'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    struct db_customer customer = {0};
    const char *name = NULL;
    uint64_t since = 0;
    bool json = false;
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'c': name = optarg; break;
        case 's':
            if (command_moment(optarg, &since) != 0)
                return EXIT_USAGE;
            break;
        case 'j': json = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = EXIT_DONE;
    if (name != NULL)
        done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done = list(db, customer.id, since, json);
    accounts->close(db);
    return done;
}

/* --- export */

/* The next row of one customer's, or, where that is 0, of all. */
static enum db_result follow(struct db *db, uint64_t customer, struct db_audit *audit)
{
    return customer == 0 ? db_operator_audit_follow(db, audit)
                         : db_audit_follow(db, customer, audit);
}

int audit_export(struct db *db, uint64_t customer)
{
    struct db_audit audit = {0};
    enum db_result result;

    while ((result = follow(db, customer, &audit)) == DB_OK && !ferror(stdout)) {
        json_t *line = auditline_make(&audit, customer == 0);
        if (line != NULL && json_dumpf(line, stdout, JSON_COMPACT) == 0)
            putchar('\n');
        json_decref(line);
    }
    db_audit_free(&audit);
    if (ferror(stdout) || fflush(stdout) != 0)
        return refuse("the export could not be written: %s", strerror(errno));
    return database_result(db, result) == DB_NONE ? EXIT_DONE : EXIT_REFUSED;
}

int audit_export_main(struct instance *instance, int argc, char **argv)
{
    struct db_customer customer = {0};
    const char *name;

    if (command_customer(argc, argv, &name) != 0 || command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = EXIT_DONE;
    if (name != NULL)
        done = database_customer(db, name, &customer);
    if (done == EXIT_DONE)
        done = accounts->audit_export(db, customer.id);
    accounts->close(db);
    return done;
}

/* --- head and verify */

/* What `audit head` has said at some time: "ID:DIGEST". */
struct head {
    uint64_t id; /* 0: nothing was noted */
    uint8_t chain[DB_AUDIT_DIGEST_SIZE];
    bool found;
};

static int parse_head(struct head *head_r, const char *text)
{
    char *end;

    errno = 0;
    head_r->id = strtoull(text, &end, 10);
    return errno == 0 && text[0] >= '1' && text[0] <= '9' && *end == ':' &&
                   auditline_digest(head_r->chain, end + 1) == 0
               ? 0
               : -1;
}

static int check_head(struct head *head, const struct db_audit *audit)
{
    if (head->id != audit->id)
        return EXIT_DONE;
    head->found = true;
    if (memcmp(head->chain, audit->chain, sizeof(head->chain)) != 0)
        return refuse("row %" PRIu64 " is not the one whose digest was noted: rows up to it have "
                      "been changed, added or removed",
                      audit->id);
    return EXIT_DONE;
}

static int check(struct auditchain *chain, struct head *head, const struct db_audit *audit)
{
    char error[1024];

    if (auditchain_check(chain, audit, error, sizeof(error)) < 0)
        return refuse("the audit has been tampered with: %s", error);
    return check_head(head, audit);
}

static int check_end(const struct auditchain *chain, const struct head *head)
{
    uint64_t rows = auditchain_rows(chain);
    uint64_t unsealed = auditchain_unsealed(chain);

    if (head->id != 0 && !head->found)
        return refuse("row %" PRIu64 ", whose digest was noted, is missing", head->id);
    printf("%" PRIu64 " rows are as they were written\n", rows - unsealed);
    if (unsealed > 0)
        printf("%" PRIu64 " rows are from before rows had digests, and nothing proves them\n",
               unsealed);
    return EXIT_DONE;
}

static int verify_database(struct db *db, struct head *head)
{
    struct auditchain *chain = auditchain_new(true);
    struct db_audit audit = {0};
    enum db_result result = DB_OK;
    int done = EXIT_DONE;

    while (done == EXIT_DONE && (result = follow(db, 0, &audit)) == DB_OK)
        done = check(chain, head, &audit);
    if (done == EXIT_DONE)
        done = database_result(db, result) == DB_NONE ? check_end(chain, head) : EXIT_REFUSED;
    db_audit_free(&audit);
    auditchain_free(chain);
    return done;
}

static int verify_line(struct auditchain **chain, struct head *head, const char *line,
                       const char *name, uint64_t number)
{
    struct db_audit audit = {0};
    bool whole;
    int done;

    if (auditline_parse(&audit, &whole, line) < 0) {
        done = refuse("%s: line %" PRIu64 " is no row of the audit as \"bellhop audit export\" "
                      "writes it",
                      name, number);
    } else {
        if (*chain == NULL)
            *chain = auditchain_new(whole);
        done = check(*chain, head, &audit);
    }
    db_audit_free(&audit);
    return done;
}

static int verify_file(FILE *file, const char *name, struct head *head)
{
    struct auditchain *chain = NULL;
    char *line = NULL;
    size_t size = 0;
    uint64_t number = 0;
    int done = EXIT_DONE;

    while (done == EXIT_DONE && getline(&line, &size, file) > 0)
        done = verify_line(&chain, head, line, name, ++number);
    if (done == EXIT_DONE && ferror(file))
        done = refuse("%s cannot be read: %s", name, strerror(errno));
    if (done == EXIT_DONE && chain == NULL)
        done = refuse("%s is empty", name);
    if (done == EXIT_DONE)
        done = check_end(chain, head);
    free(line);
    auditchain_free(chain);
    return done;
}

static int verify_named(const char *name, struct head *head)
{
    FILE *file = fopen(name, "re");

    if (file == NULL)
        return refuse("%s cannot be read: %s", name, strerror(errno));
    int done = verify_file(file, name, head);
    fclose(file);
    return done;
}

int audit_verify_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"head", required_argument, NULL, 'h'}, {0}};
    struct head head = {0};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'h':
            if (parse_head(&head, optarg) < 0)
                return wrong_usage("\"%s\" is not what \"bellhop audit head\" says", optarg);
            break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 0, 1) != 0)
        return EXIT_USAGE;
    if (optind < argc)
        return verify_named(argv[optind], &head);
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = verify_database(db, &head);
    db_close(db);
    return done;
}

int audit_head_main(struct instance *instance, int argc, char **argv)
{
    char chain[2 * DB_AUDIT_DIGEST_SIZE + 1];
    static const struct option none[] = {{0}};
    struct db_audit audit = {0};

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    enum db_result result = database_result(db, db_operator_audit_next(db, &audit));
    if (result == DB_OK)
        printf("%" PRIu64 ":%s\n", audit.id,
               sodium_bin2hex(chain, sizeof(chain), audit.chain, sizeof(audit.chain)));
    else if (result == DB_NONE)
        refuse("nothing has been changed yet, so there is nothing to note");
    db_audit_free(&audit);
    db_close(db);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}
