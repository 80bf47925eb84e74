#ifndef ADMIN_LOT_H
#define ADMIN_LOT_H

#include <stdbool.h>

#include "db/handout.h"
#include "db/jobsource.h"
#include "db/mailaddress.h"
#include "lib/rowset.h"

/*
 * Some rows of a job, made ready to be written: read, with the token or the password that each gets
 * (db/handout.h) drawn and hashed.
 */

#define LOT_ROWS 500

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

/* What goes through the rows of a job, once. */
struct lot_reader {
    const struct db_job *job; /* whose place may change meanwhile */
    const uint8_t *secret;
    const struct password_cost *cost; /* NULL: passwords are hashed already (db_job_find_hash()) */
    const struct rowset *wrong;       /* rows that are left out */
    unsigned from;                    /* a place in the job: so is what comes before it */
    bool over;                        /* the last lot has come to the end */
    struct jobsource *source;
    bool aliases;  /* they are read, else mailboxes */
    unsigned read; /* rows so far, in the second round behind those of the first */
};

struct lot {
    uint64_t job;
    unsigned place; /* in the job, where the next one begins */
    unsigned count;
    struct lot_row rows[LOT_ROWS];
    /* What lot_apply() has done. */
    unsigned made;
    unsigned refused;               /* rows */
    struct db_job_error last_error; /* of the last row that was refused; zeroed: none was */
};

/*
 * Reads rows until it is full, takes long, or has come to the end; `lot->place` is where applying
 * goes on then. DB_OK; DB_BUSY or DB_BROKEN: try again from where the job was, with a new reader.
 */
enum db_result lot_fill(struct lot *lot, struct lot_reader *reader, struct db *db);

/*
 * Makes the addresses, within a transaction. `careful`: what is refused is noted as an error of the
 * row, and the others are made; else the first refusal returns what it was, and nothing may be
 * kept.
 */
enum db_result lot_apply(struct lot *lot, struct db *db, bool careful);

/* Empties it for the next rows, and wipes. */
void lot_clear(struct lot *lot);

struct lot *lot_new(void);
void lot_free(struct lot *lot);

/* Frees what it reads from. */
void lot_reader_end(struct lot_reader *reader);

#endif
