#ifndef ADMIN_JOBCARDS_H
#define ADMIN_JOBCARDS_H

#include "admin/request.h"

/*
 * Welcome cards (lib/welcomecards.h) for those whom a job has invited, with the links that its
 * result has, while those are good: made once more of the job's secret. A generated password is on
 * none of them: it would lie at a desk and stay good, and a link ends with its first use.
 *
 * They are given out once, and leave the result (admin/jobresult.h) to be taken, which ends both:
 * a page that was lost on its way loses nothing, and who takes either finds out whether somebody
 * was there before.
 */

/* Looks outside of the event loop for whom there is one, and takes the page. */
void jobcards_prepare(struct admin *admin, struct request *request);
enum db_result jobcards_take(struct db *db, struct request *request);

#endif
