#ifndef CLI_JOB_H
#define CLI_JOB_H

#include <stddef.h>
#include <stdio.h>

#include "db/job.h"
#include "lib/conf.h"

struct instance;

/*
 * Bulk uploads in the account database of this machine, where admin finds and works on them: what
 * stands in cli/accounts.h for them beside functions of db/.
 */

/*
 * Begins a job with members customer, format, all and dry_run of these octets, which sets its id.
 * DB_NONE: there is no such customer.
 */
enum db_result job_upload(struct db *db, struct db_job *job, const char *octets, size_t length);

/* How far a job is that was found just now. */
unsigned job_percent(struct db *db, const struct db_job *job);

/* Says on standard error where nobody works on jobs at present. */
void job_warn(const struct instance *instance);

/*
 * Take the result and the cards of a job that has a result, and write them to the file. Return
 * EXIT_DONE, or EXIT_REFUSED after refuse().
 */
int job_take_table(struct db *db, const struct conf *conf, const struct db_job *job, FILE *file);
int job_take_cards(struct db *db, const struct conf *conf, const struct db_job *job, FILE *file);

#endif
