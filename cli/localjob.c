#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/database.h"
#include "cli/job.h"
#include "db/handout.h"

#define NO_LONGER                                                                                  \
    "the result was fetched before; invite again whom it was lost for, with \"bellhop address "    \
    "cards\""

/* --- the upload */

static enum db_result add_parts(struct db *db, const struct db_job *job, const char *octets,
                                size_t length)
{
    enum db_result result = DB_OK;
    unsigned number = 0;

    while (result == DB_OK && length > 0) {
        size_t size = length < DB_JOB_PART_MAX ? length : DB_JOB_PART_MAX;
        result = db_job_add_part(db, job->id, ++number, octets, size);
        octets += size;
        length -= size;
    }
    return result;
}

/* What breaks off is nothing to anybody, and pruned in time. */
enum db_result job_upload(struct db *db, struct db_job *job, const char *octets, size_t length)
{
    enum db_result result = db_job_begin(db, job);

    if (result != DB_OK)
        return result;
    result = add_parts(db, job, octets, length);
    if (result == DB_OK)
        result = db_job_start(db, job->customer, job->id);
    if (result != DB_OK)
        (void)db_job_abandon(db, job->id);
    return result;
}

/* --- how far it is */

unsigned job_percent(struct db *db, const struct db_job *job)
{
    (void)db;
    return db_job_percent(job);
}

static int on_message(void *context, const struct channel_message *message)
{
    (void)context;
    (void)message;
    return -1;
}

void job_warn(const struct instance *instance)
{
    /* Where one of its sockets takes nobody, there is no service. */
    struct conversation *conversation = conversation_begin(INSTANCE_AUTH_CONTROL, on_message, NULL);

    if (conversation == NULL)
        (void)refuse("the service does not run; the job goes on when \"bellhop -C %s serve\" does",
                     instance->directory);
    conversation_free(conversation);
}

/* --- what it gives out */

static int not_written(const char *what, const char *then)
{
    return refuse("cannot write the %s: %s; %s", what, strerror(errno), then);
}

/* It is taken when it has been written: who was quicker has it, too, and both are told. */
int job_take_table(struct db *db, const struct conf *conf, const struct db_job *job, FILE *file)
{
    enum db_result result = database_result(db, handout_table(db, job, conf->page_url, file));

    if (result == DB_NONE)
        return refuse(NO_LONGER);
    if (result != DB_OK)
        return EXIT_REFUSED;
    if (fflush(file) != 0 || ferror(file))
        return not_written("result", "it can be fetched still");
    result = database_result(db, db_job_take_result(db, job->customer, job->id));
    if (result == DB_NONE)
        return refuse("somebody else has fetched the result at the same time, and has it too");
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

static int draw_cards(struct db *db, const struct conf *conf, const struct handout_cards *cards,
                      struct welcomecards *page)
{
    enum db_result result;
    unsigned row = 0;

    welcomecards_begin(page);
    while ((result = handout_cards_draw(db, cards, &row, conf->page_url, page)) == DB_OK)
        ;
    welcomecards_end(page);
    if (database_result(db, result) != DB_NONE)
        return EXIT_REFUSED;
    if (fflush(page->file) != 0 || ferror(page->file))
        return not_written("cards", "the links are still in the result");
    return EXIT_DONE;
}

static int take_found(struct db *db, const struct conf *conf, const struct db_job *job,
                      const struct handout_cards *cards, FILE *file)
{
    struct db_customer customer = {.language = LANGUAGE_EN};
    char server[CONF_SERVER_SIZE];
    enum db_result result = DB_OK;

    if (cards->count == 0)
        return refuse("there are no cards: the job has invited nobody, or all invitations were "
                      "used or replaced");
    if (job->customer != 0)
        result = db_customer_get(db, job->customer, &customer);
    if (result == DB_OK)
        result = db_job_take_cards(db, job->customer, job->id);
    if (database_result(db, result) == DB_NONE)
        return refuse("the cards were fetched before; the links are still in the result");
    if (result != DB_OK)
        return EXIT_REFUSED;
    conf_pop3_server(conf, server);
    struct welcomecards page = {.file = file,
                                .language = customer.language,
                                .customer = job->customer != 0 ? customer.name : conf->hostname,
                                .pop3_server = server,
                                .smtp_server = conf->smtp_server};
    return draw_cards(db, conf, cards, &page);
}

int job_take_cards(struct db *db, const struct conf *conf, const struct db_job *job, FILE *file)
{
    struct handout_cards cards;
    int done = EXIT_REFUSED;

    if (conf->page_url[0] == '\0')
        return refuse("links need the address of the pages; set page_url in %s", INSTANCE_CONF);
    enum db_result result = database_result(db, handout_cards_find(db, job, &cards));
    if (result == DB_NONE)
        done = refuse(NO_LONGER);
    else if (result == DB_OK)
        done = take_found(db, conf, job, &cards, file);
    sodium_memzero(&cards, sizeof(cards));
    return done;
}
