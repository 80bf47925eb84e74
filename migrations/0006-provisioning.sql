-- Bulk provisioning, and people who use the API and the pages.

PRAGMA user_version = 6;

-- Bulk uploads that are checked and applied: see db/job.h.
CREATE TABLE job (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL: an operator's, over all customers
    customer INTEGER REFERENCES any_customer (id) ON DELETE CASCADE,
    -- who asked for it, as the audit has it: what it makes is told of the same
    actor    TEXT    NOT NULL,
    remote   TEXT    NOT NULL,
    request  TEXT    NOT NULL,
    format   TEXT    NOT NULL CHECK (format IN ('csv', 'json', 'ndjson')),
    mode     TEXT    NOT NULL CHECK (mode IN ('all', 'rows')),
    dry_run  INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    state    TEXT    NOT NULL DEFAULT 'upload' CHECK (state IN ('upload', 'checking', 'applying',
                                                                'done', 'failed', 'cancelled')),
    -- of the upload
    octets   INTEGER NOT NULL DEFAULT 0,
    -- what checking has found: how many rows, how many of them aliases, how many with errors
    rows     INTEGER NOT NULL DEFAULT 0,
    aliases  INTEGER NOT NULL DEFAULT 0,
    wrong    INTEGER NOT NULL DEFAULT 0,
    -- up to where applying has come, first along the mailboxes and then along the aliases, and how
    -- many addresses it has made
    place    INTEGER NOT NULL DEFAULT 0,
    made     INTEGER NOT NULL DEFAULT 0,
    created  INTEGER NOT NULL,
    -- NULL: not yet. An upload that broke off has ended, and is removed
    begun    INTEGER,
    ended    INTEGER,
    -- what the tokens and passwords that it gives out are made of. NULL: nobody can have them any
    -- more
    secret   BLOB    CHECK (length(secret) = 32)
) STRICT;

CREATE INDEX job_by_customer ON job (customer, id);
CREATE INDEX job_by_state ON job (state, created);
CREATE INDEX job_by_end ON job (ended);
-- those that have not ended
CREATE INDEX job_open ON job (id) WHERE state IN ('checking', 'applying');

CREATE TRIGGER job_limit BEFORE INSERT ON job
WHEN (SELECT count(*) FROM job WHERE customer IS NEW.customer
          AND state IN ('upload', 'checking', 'applying') AND ended IS NULL) >= 10
BEGIN
    SELECT RAISE(ABORT, 'limit: jobs');
END;

-- The upload as it came, piece by piece, until nobody needs it any more.
CREATE TABLE job_part (
    job    INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    octets BLOB    NOT NULL CHECK (length(octets) > 0),
    PRIMARY KEY (job, number)
) STRICT;

-- What is wrong with rows.
CREATE TABLE job_error (
    job    INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    -- of the row, and of its errors
    row    INTEGER NOT NULL,
    number INTEGER NOT NULL,
    -- of the upload, where the row begins
    line   INTEGER NOT NULL,
    -- the member or column; empty: the row as a whole
    name   TEXT    NOT NULL,
    code   TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    PRIMARY KEY (job, row, number)
) STRICT, WITHOUT ROWID;

-- What has been made of passwords before all rows are applied at once.
CREATE TABLE job_hash (
    job   INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    row   INTEGER NOT NULL,
    hash  TEXT    NOT NULL,
    scram TEXT    NOT NULL,
    PRIMARY KEY (job, row)
) STRICT, WITHOUT ROWID;

-- What became of the last time that a webhook was told something: when, and the status that it
-- answered with, 0 where none came. And the secret of before, with which it is signed too until then,
-- so that nothing is lost while the receiver takes the new one.
ALTER TABLE webhook ADD COLUMN answered INTEGER;
ALTER TABLE webhook ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN old_secret BLOB CHECK (length(old_secret) = 32);
ALTER TABLE webhook ADD COLUMN old_until INTEGER NOT NULL DEFAULT 0;
