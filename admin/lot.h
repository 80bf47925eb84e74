#ifndef ADMIN_LOT_H
#define ADMIN_LOT_H

#include <stdbool.h>

#include "admin/jobsource.h"
#include "db/mailaddress.h"
#include "lib/invitation.h"
#include "lib/password.h"

/*
 * Some rows of a job, made ready to be written: read, with the token or the password that each gets
 * drawn and hashed. What is drawn is made of the job's secret and the row's number, so it comes out
 * alike whenever it is asked for again, and is kept nowhere.
 */

#define LOT_ROWS 500

/* Rows by their numbers. */
struct rowset {
    uint8_t bits[ROWS_MAX / 8 + 1];
};

void rowset_add(struct rowset *set, unsigned row);
bool rowset_has(const struct rowset *set, unsigned row);

/* Holds secrets. */
struct lot_row {
    unsigned number, line;
    uint64_t customer;
    struct address address;
    char name[ROW_NAME_MAX + 1];
    bool set; /* the settings are not those of a new mailbox */
    struct db_mailbox_settings settings;
    bool invited;
    struct invitation invitation;
    bool hashed;               /* just now, from a password that was drawn */
    struct password_kept kept; /* empty: no login yet */
    unsigned target_count;     /* 0: a mailbox */
    struct address *targets;
};

struct lot {
    const struct db_job *job;
    const uint8_t *secret;
    const struct password_cost *cost; /* NULL: passwords are hashed already (db_job_find_hash()) */
    const struct rowset *wrong;       /* rows that are left out */
    struct jobsource *source;
    bool aliases;   /* they are read, else mailboxes */
    unsigned place; /* in the job: what comes before it is left out */
    unsigned read;  /* rows so far, in the second round behind those of the first */
    unsigned count;
    struct lot_row rows[LOT_ROWS];
    /* What lot_apply() has done. */
    unsigned made;
    unsigned refused;               /* rows */
    struct db_job_error last_error; /* of the last row that was refused; zeroed: none was */
};

/* The place behind all rows, which are gone through twice where there are aliases. */
unsigned lot_end(const struct db_job *job);

/*
 * Reads rows until it is full, takes long, or has come to the end; `lot->place` is where applying
 * goes on then. DB_OK; DB_BUSY or DB_BROKEN: try again from where the job was, with a new lot.
 */
enum db_result lot_fill(struct lot *lot, struct db *db);

/*
 * Makes the addresses, within a transaction. `careful`: what is refused is noted as an error of the
 * row, and the others are made; else the first refusal returns what it was, and nothing may be
 * kept.
 */
enum db_result lot_apply(struct lot *lot, struct db *db, bool careful);

/* What the owner of a row's address is given. Wiped by the caller. */
void lot_invitation(struct invitation *invitation_r, const uint8_t *secret, unsigned row);
void lot_password(struct password *password_r, const uint8_t *secret, unsigned row);

/* Empties it for the next rows, and wipes. */
void lot_clear(struct lot *lot);

struct lot *lot_new(void);
void lot_free(struct lot *lot); /* the source, too */

#endif
