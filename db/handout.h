#ifndef DB_HANDOUT_H
#define DB_HANDOUT_H

#include <stdint.h>
#include <stdio.h>

#include "db/db.h"
#include "db/job.h"
#include "lib/invitation.h"
#include "lib/password.h"
#include "lib/rowset.h"
#include "lib/welcomecards.h"

/*
 * What a job gives out to the owners of the addresses that it makes. It is made of the job's secret
 * (db_job_secret()) and the row's number, so it comes out alike whenever it is asked for again, and
 * is kept nowhere.
 */

/* What the owner of a row's address is given. Wiped by the caller. */
void handout_invitation(struct invitation *invitation_r, const uint8_t *secret, unsigned row);
void handout_password(struct password *password_r, const uint8_t *secret, unsigned row);

/*
 * The result: a table (CSV) of the addresses that the job has made, each with its invitation's link
 * (or its token, where `page_url` is empty) or its password. DB_OK; DB_NONE: it was taken or is no
 * more, and nothing was written. Whether all could be written, ferror() tells.
 */
enum db_result handout_table(struct db *db, const struct db_job *job, const char *page_url,
                             FILE *file);

/* Whose invitations are good still, each for a welcome card. Wiped by its owner. */
struct handout_cards {
    uint8_t secret[DB_JOB_SECRET_SIZE];
    struct rowset open;
    unsigned rows; /* of the job */
    unsigned count;
};

/* DB_OK; DB_NONE: the result was taken or is no more. */
enum db_result handout_cards_find(struct db *db, const struct db_job *job,
                                  struct handout_cards *cards_r);

/*
 * Draws the card of the next row behind *row (0 begins), which it replaces, unless the invitation
 * was used meanwhile. DB_OK, or DB_NONE after the last.
 */
enum db_result handout_cards_draw(struct db *db, const struct handout_cards *cards, unsigned *row,
                                  const char *page_url, struct welcomecards *page);

#endif
