#ifndef DB_SECONDFACTOR_H
#define DB_SECONDFACTOR_H

#include <stdint.h>

#include "db/db.h"
#include "db/mailaddress.h"
#include "db/person.h"

/*
 * The second factor of somebody who uses the pages: a secret for one-time codes (RFC 6238) and
 * recovery codes. The rules are admin/secondfactor.h's; this is what is kept.
 */

#define DB_SECOND_FACTOR_SECRET_SIZE 20

struct db_second_factor {
    uint8_t secret[DB_SECOND_FACTOR_SECRET_SIZE]; /* wiped by whoever asked for it */
    uint64_t confirmed;      /* when the first code was shown; 0: enrolment has only begun */
    uint64_t step;           /* of the last code that was taken */
    unsigned wrong;          /* codes in a row */
    uint64_t blocked;        /* until when no code is looked at */
    unsigned recovery_codes; /* that are left */
};

/*
 * Begins an enrolment with a new secret; one that was begun before and not confirmed is forgotten.
 * DB_TAKEN: one is confirmed, and has to be removed first. DB_NONE: no such person.
 */
enum db_result db_second_factor_begin(struct db *db, const struct db_person *person,
                                      const uint8_t secret[DB_SECOND_FACTOR_SECRET_SIZE]);

/* DB_NONE: the person has none, and none has been begun. */
enum db_result db_second_factor_find(struct db *db, const struct db_person *person,
                                     struct db_second_factor *factor_r);

/* From now on it is asked for. */
enum db_result db_second_factor_confirm(struct db *db, const struct db_person *person,
                                        uint64_t now);

/* Takes the code of a step, and forgets wrong ones. DB_NONE: it, or a later one, was taken before.
 */
enum db_result db_second_factor_take(struct db *db, const struct db_person *person, uint64_t step);

/* Notes how many codes in a row have been wrong, and until when none is looked at. */
enum db_result db_second_factor_wrong(struct db *db, const struct db_person *person, unsigned wrong,
                                      uint64_t blocked);

/* Replaces the recovery codes, of which only digests are kept. */
enum db_result db_second_factor_recovery_codes(struct db *db, const struct db_person *person,
                                               const uint8_t (*digests)[DB_DIGEST_SIZE],
                                               unsigned count);

/* Takes a recovery code, which is gone then. DB_NONE: there is no such code. */
enum db_result db_second_factor_recover(struct db *db, const struct db_person *person,
                                        const uint8_t digest[DB_DIGEST_SIZE]);

/* DB_NONE: there is none. */
enum db_result db_second_factor_remove(struct db *db, const struct db_person *person);

/*
 * Removes somebody else's, and ends the sessions that were begun with it. That there was none is as
 * good. In a transaction of the caller's.
 */
enum db_result db_second_factor_take_away(struct db *db, const struct db_person *person);

#endif
