#ifndef ADMIN_JOBS_H
#define ADMIN_JOBS_H

#include "admin/field.h"
#include "admin/request.h"

/* Routes of bulk uploads (db/job.h). */

extern const struct parameter job_new_parameters[];
extern const struct parameter job_parameters[];
extern const struct route_upload job_upload;

/* After the upload, which begins to be worked on. */
enum db_result job_start(struct db *db, struct request *request);
void job_started(struct admin *admin, struct request *request);

void jobs_list(struct admin *admin, struct request *request);
enum db_result job_show(struct db *db, struct request *request, struct json_t **object_r);
void job_errors_list(struct admin *admin, struct request *request);

void job_stop(struct admin *admin, struct request *request);
enum db_result job_cancel(struct db *db, struct request *request);

/* Prepares the result outside of the event loop, and takes it. */
void job_prepare_result(struct admin *admin, struct request *request);
enum db_result job_take_result(struct db *db, struct request *request);

/* Says why there is no result, or not any more, of what request->job is: DB_NONE. */
enum db_result job_refuse_result(struct request *request);

/* As the API shows it; `bulk` tells how far it is, where it is not NULL: in the event loop alone.
 */
struct bulk;
struct json_t *job_object(const struct bulk *bulk, const struct db_job *job);

#endif
