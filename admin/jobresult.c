#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/jobresult.h"
#include "admin/lot.h"
#include "admin/wipedstream.h"
#include "lib/log.h"

/* As RFC 4180 has it, and a quoted local part may hold what needs it. */
static void write_field(FILE *file, const char *text)
{
    bool quoted = strpbrk(text, "\",\r\n") != NULL;

    if (quoted)
        fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    if (quoted)
        fputc('"', file);
}

static void write_invitation(FILE *file, const struct jobresult *result,
                             const struct invitation *invitation)
{
    char link[INVITATION_LINK_SIZE];

    if (result->page_url[0] == '\0') {
        fputs(invitation->token, file);
        return;
    }
    invitation_link(link, result->page_url, invitation);
    write_field(file, link);
    sodium_memzero(link, sizeof(link));
}

static void write_row(FILE *file, const struct jobresult *result, const struct row *row,
                      const uint8_t *secret)
{
    struct invitation invitation;
    struct password password;

    fprintf(file, "%u,", row->number);
    write_field(file, row->address.text);
    fputc(',', file);
    if (row->login == ROW_LOGIN_INVITE) {
        lot_invitation(&invitation, secret, row->number);
        write_invitation(file, result, &invitation);
        sodium_memzero(&invitation, sizeof(invitation));
    }
    fputc(',', file);
    if (row->login == ROW_LOGIN_GENERATE) {
        lot_password(&password, secret, row->number);
        fputs(password.text, file);
        password_wipe(&password);
    }
    fputs("\r\n", file);
}

/* Whether applying came by there before it ended. */
static bool is_made(const struct db_job *job, const struct row *row)
{
    unsigned place = row->target_count > 0 ? job->rows + row->number : row->number;

    return place <= job->place;
}

static enum db_result read_wrong(const struct jobresult *result, struct db *db,
                                 struct rowset *wrong_r)
{
    struct db_job_error error = {0};
    enum db_result found;

    while ((found = db_job_error_next(db, result->job.id, &error)) == DB_OK)
        rowset_add(wrong_r, error.row);
    return found == DB_NONE ? DB_OK : found;
}

static enum db_result write_rows(FILE *file, const struct jobresult *result, struct db *db,
                                 const uint8_t *secret)
{
    struct jobsource *source = jobsource_new(&result->job);
    struct rowset wrong = {0};
    struct row *row;
    enum db_result found = read_wrong(result, db, &wrong);

    fputs("row,address,invitation,password\r\n", file);
    while (found == DB_OK && (found = jobsource_next(source, db, &row)) == DB_OK)
        if (!rowset_has(&wrong, row->number) && is_made(&result->job, row))
            write_row(file, result, row, secret);
    jobsource_free(source);
    return found == DB_NONE ? DB_OK : found;
}

static void run(struct bulk_work *work, struct db *db)
{
    struct jobresult *result =
        (struct jobresult *)((char *)work - offsetof(struct jobresult, work));
    uint8_t secret[DB_JOB_SECRET_SIZE];

    /* Somebody may have been quicker; then there is no text. */
    enum db_result found = db_job_secret(db, result->job.id, secret);
    if (found != DB_OK) {
        result->result = found == DB_NONE ? DB_OK : found;
        return;
    }
    FILE *file = wipedstream_open(&result->text, &result->size);
    result->result = write_rows(file, result, db, secret);
    sodium_memzero(secret, sizeof(secret));
    if (fclose(file) != 0)
        log_panic("out of memory");
}

static void done(struct bulk_work *work)
{
    struct jobresult *result =
        (struct jobresult *)((char *)work - offsetof(struct jobresult, work));

    result->done(result);
}

int jobresult_submit(struct bulk *bulk, struct jobresult *result)
{
    result->work.run = run;
    result->work.done = done;
    return bulk_submit(bulk, &result->work);
}

void jobresult_release(void *own)
{
    struct jobresult *result = own;

    if (result->text != NULL)
        sodium_memzero(result->text, result->size);
    free(result->text);
    result->text = NULL;
}
