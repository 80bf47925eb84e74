#ifndef DB_JOB_H
#define DB_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/audit.h"
#include "db/db.h"

/*
 * Bulk uploads: a job is one that is kept as it came, checked, and applied. It lies in the account
 * database, so that a restart goes on where the last one has ended: what a job makes is written in
 * the transaction that says how far it has come.
 *
 * An upload is nothing to anybody until db_job_start(). A job is its customer's, or with customer 0
 * an operator's, over all of them; for whom it is not there it is DB_NONE.
 */

#define DB_JOB_PART_MAX    (64 * 1024)        /* octets */
#define DB_JOB_OCTETS_MAX  (64 * 1024 * 1024) /* of an upload */
#define DB_JOB_SECRET_SIZE 32
#define DB_JOBS_MAX        10 /* of a customer, that have not ended */

/* Days for which the result can be fetched, and for which anything is known of a job. */
#define DB_JOB_RESULT_DAYS 7
#define DB_JOB_DAYS        30

/* As lib/row.h has them. */
enum db_job_format { DB_JOB_CSV, DB_JOB_JSON, DB_JOB_NDJSON };
#define DB_JOB_COLUMN_MAX  64
#define DB_JOB_REASON_SIZE 240

enum db_job_state {
    DB_JOB_UPLOAD,   /* pieces come in */
    DB_JOB_CHECKING, /* rows are looked at, or wait for that */
    DB_JOB_APPLYING,
    DB_JOB_DONE,
    DB_JOB_FAILED, /* all or nothing, and something was wrong: nothing has been made */
    DB_JOB_CANCELLED
};

struct db_job {
    uint64_t id;
    uint64_t customer;
    char actor[DB_AUDIT_ACTOR_MAX + 1]; /* for the audit of what it makes, as the next two */
    char remote[DB_AUDIT_REMOTE_MAX + 1];
    char request[DB_AUDIT_REQUEST_MAX + 1];
    enum db_job_format format;
    bool all; /* or nothing; else each row for itself */
    bool dry_run;
    enum db_job_state state;
    uint64_t octets; /* of the upload */
    unsigned rows;   /* with the next two, 0 until they have been checked */
    unsigned aliases;
    unsigned wrong; /* rows with errors */
    unsigned place; /* how far applying has come: along the mailboxes, then along the aliases */
    unsigned made;  /* addresses */
    uint64_t created, begun, ended; /* seconds since 1970; 0: not yet */
    bool result;                    /* it is there to be fetched, once */
};

/* An error of a row; `code` is not static here. */
struct db_job_error {
    unsigned row;
    unsigned number; /* among the row's */
    unsigned line;
    char name[DB_JOB_COLUMN_MAX + 1];
    char code[32];
    char reason[DB_JOB_REASON_SIZE];
};

/* The words for them: upload, checking...; csv, json, ndjson. */
const char *db_job_state_name(enum db_job_state state);
const char *db_job_format_name(enum db_job_format format);

/* Return 0, or -1 where there is no such word. */
int db_job_state_parse(const char *name, enum db_job_state *state_r);
int db_job_format_parse(const char *name, enum db_job_format *format_r);

/* Whether it has ended. */
bool db_job_is_over(const struct db_job *job);

/* The place behind all rows, which are gone through twice where there are aliases. */
unsigned db_job_places(const struct db_job *job);

/* How far it is, as the database knows it; so many percent are over when its rows are checked. */
#define DB_JOB_CHECKED_PERCENT 10
unsigned db_job_percent(const struct db_job *job);

/*
 * Begins an upload: members customer, format, all and dry_run; who it is for is what
 * db_audit_actor() and db_audit_source() have said. Sets the id. DB_OK; DB_NONE: there is no such
 * customer; DB_LIMIT: DB_JOBS_MAX have not ended.
 */
enum db_result db_job_begin(struct db *db, struct db_job *job);

/* The pieces of an upload, numbered from 1 on, each up to DB_JOB_PART_MAX octets. */
enum db_result db_job_add_part(struct db *db, uint64_t job, unsigned number, const void *octets,
                               size_t length);

/* All is there, and it is a job from now on. A change. */
enum db_result db_job_start(struct db *db, uint64_t customer, uint64_t job);

/* Forgets an upload that broke off. */
enum db_result db_job_abandon(struct db *db, uint64_t job);

/* The first is for one customer's, the second for the operator. */
enum db_result db_job_get(struct db *db, uint64_t customer, uint64_t id, struct db_job *job_r);
enum db_result db_operator_job_find(struct db *db, uint64_t id, struct db_job *job_r);

/* The next older job after the one in *job (begin with a zeroed struct), which it replaces. */
enum db_result db_job_next(struct db *db, uint64_t customer, struct db_job *job);
enum db_result db_operator_job_next(struct db *db, struct db_job *job);

/* The next that has not ended, after the id in *job, the oldest first. */
enum db_result db_job_open_next(struct db *db, struct db_job *job);

/* The piece after the number in *number, which it replaces, into DB_JOB_PART_MAX octets. */
enum db_result db_job_part_next(struct db *db, uint64_t job, unsigned *number, void *octets_r,
                                size_t *length_r);

/* The error after the one in *error, by row and number; begin with a zeroed struct. */
enum db_result db_job_error_next(struct db *db, uint64_t job, struct db_job_error *error);

/* --- for who works on a job: what happens to it by itself, so without an audit row */

/* DB_TAKEN: it is noted already, by who was here before. */
enum db_result db_job_add_error(struct db *db, uint64_t job, const struct db_job_error *error);

/* Of a job that is checked once more. DB_OK or a failure. */
enum db_result db_job_forget_errors(struct db *db, uint64_t job);

/*
 * What is made of a row's password, kept until db_job_end(), behind which none is added: DB_NONE.
 * And found: DB_OK or DB_NONE.
 */
enum db_result db_job_add_hash(struct db *db, uint64_t job, unsigned row, const char *hash,
                               const char *scram);
enum db_result db_job_find_hash(struct db *db, uint64_t job, unsigned row, char *hash_r,
                                size_t hash_size, char *scram_r, size_t scram_size);

/* From checking to applying, with members rows, aliases and wrong. DB_NONE: it is in no such state.
 */
enum db_result db_job_checked(struct db *db, const struct db_job *job);

/*
 * From the place in *job to another, having made so many addresses and found so many more rows
 * wrong. DB_NONE: it is not at that place, or not applying any more; whoever sees that makes
 * nothing.
 */
enum db_result db_job_advance(struct db *db, const struct db_job *job, unsigned place,
                              unsigned made, unsigned wrong);

/* Ends a job that has not ended, as a change. Cancelled by somebody, or by what happened to it. */
enum db_result db_job_end(struct db *db, const struct db_job *job, enum db_job_state state);

/* The secret of a job whose result can be fetched, or that has not ended; wiped by the caller. */
enum db_result db_job_secret(struct db *db, uint64_t job, uint8_t secret_r[DB_JOB_SECRET_SIZE]);

/* Takes the result: the secret is gone after it. A change. DB_NONE: it was taken, or is no more. */
enum db_result db_job_take_result(struct db *db, uint64_t customer, uint64_t job);

/*
 * Takes the welcome cards, which leaves the result to be taken; after that there are none. A
 * change. DB_NONE: they were taken, or the result is no more.
 */
enum db_result db_job_take_cards(struct db *db, uint64_t customer, uint64_t job);

/* Removes some of what nobody needs any more. DB_OK: there may be more, or DB_NONE. */
enum db_result db_job_prune(struct db *db);

#endif
