#ifndef ADMIN_SECONDFACTOR_H
#define ADMIN_SECONDFACTOR_H

#include <stdint.h>

#include "admin/totp.h"
#include "db/db.h"
#include "db/person.h"

/*
 * The second factor of somebody who uses the pages, after a good password: a code by the clock
 * (admin/totp.h), or once a recovery code. Enrolment is begin, a first code to confirm it, and
 * recovery codes to keep. Times are seconds since 1970.
 *
 * All is called within a transaction (db/transaction.h), so that guesses at once are counted one
 * after the other. It has to be kept also where a code was wrong.
 *
 * What bounds guessing (RFC 6238 section 5.2, RFC 4226 section 7.3): a code counts once, and after
 * SECOND_FACTOR_TRIES wrong ones in a row none is looked at for a minute, then for two, four and so
 * on up to an hour: that is fewer than 40 guesses a day at 3 in 1,000,000.
 */

#define SECOND_FACTOR_TRIES 5

#define SECOND_FACTOR_RECOVERY_CODES     10
#define SECOND_FACTOR_RECOVERY_CODE_SIZE 20 /* four groups of four, and a NUL */

typedef char second_factor_recovery_codes[SECOND_FACTOR_RECOVERY_CODES]
                                         [SECOND_FACTOR_RECOVERY_CODE_SIZE];

enum second_factor_result {
    SECOND_FACTOR_GOOD,
    SECOND_FACTOR_WRONG,
    SECOND_FACTOR_WAIT,  /* too many wrong ones: not looked at */
    SECOND_FACTOR_NONE,  /* the person has none, or none has been begun */
    SECOND_FACTOR_TAKEN, /* there is one already: it has to be removed first */
    SECOND_FACTOR_BUSY,  /* try again */
    SECOND_FACTOR_BROKEN /* ours; logged */
};

/* Begins an enrolment: draws the secret, which the caller shows (admin/totp.h) and wipes. */
enum second_factor_result second_factor_begin(struct db *db, const struct db_person *person,
                                              uint8_t secret_r[TOTP_SECRET_SIZE]);

/*
 * Ends it with a code of the app. From now on it is asked for; the recovery codes are shown this
 * once, and wiped by the caller.
 */
enum second_factor_result second_factor_confirm(struct db *db, const struct db_person *person,
                                                const char *code, uint64_t now,
                                                second_factor_recovery_codes codes_r);

/*
 * Checks what a person typed: a code or a recovery code, with or without spaces and dashes, letters
 * in any case. With SECOND_FACTOR_WAIT, and a wrong one from which on none is looked at, *wait_r is
 * the seconds until one is again; else 0.
 */
enum second_factor_result second_factor_check(struct db *db, const struct db_person *person,
                                              const char *text, uint64_t now, uint64_t *wait_r);

/* Draws new recovery codes; the old ones are worth nothing any more. */
enum second_factor_result second_factor_renew(struct db *db, const struct db_person *person,
                                              second_factor_recovery_codes codes_r);

enum second_factor_result second_factor_remove(struct db *db, const struct db_person *person);

#endif
