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
    secret   BLOB    CHECK (length(secret) = 32),
    -- whether its welcome cards have been fetched, which needs the secret, too
    cards    INTEGER NOT NULL DEFAULT 0 CHECK (cards IN (0, 1))
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
-- People who use the API and the pages with a password: see db/adminuser.h. Nobody has been one
-- before. A mailbox's owner has a mailbox and no row here.
ALTER TABLE admin_user ADD COLUMN role TEXT NOT NULL DEFAULT 'operator'
    CHECK (role IN ('operator', 'operator-read', 'admin', 'helpdesk', 'customer-read'))
    CHECK ((customer IS NULL) = (role IN ('operator', 'operator-read')));

CREATE TRIGGER admin_user_limit BEFORE INSERT ON admin_user
WHEN (SELECT count(*) FROM admin_user WHERE customer IS NEW.customer) >= 1000
    AND NOT EXISTS (SELECT 1 FROM admin_user WHERE login = NEW.login)
BEGIN
    SELECT RAISE(ABORT, 'limit: admin users');
END;

-- Who holds the token may set the admin user's password, once, until then.
CREATE TABLE admin_invitation (
    admin_user INTEGER PRIMARY KEY REFERENCES admin_user (id) ON DELETE CASCADE,
    -- NULL: an operator's
    customer   INTEGER REFERENCES any_customer (id) ON DELETE CASCADE,
    -- of the token, which is kept nowhere
    digest     BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    expires    INTEGER NOT NULL,
    created    INTEGER NOT NULL
) STRICT;

CREATE INDEX admin_invitation_by_customer ON admin_invitation (customer);

-- Sessions of the pages end with the right to them, as POP3 sessions do (0004-admin.sql), and do not
-- come back with it.
CREATE TRIGGER customer_session AFTER UPDATE OF suspended ON any_customer
WHEN NEW.suspended > OLD.suspended
BEGIN
    DELETE FROM session WHERE customer = NEW.id;
END;

CREATE TRIGGER customer_removed_session AFTER UPDATE OF removed ON any_customer
WHEN NEW.removed IS NOT NULL
BEGIN
    DELETE FROM session WHERE customer = NEW.id;
END;

CREATE TRIGGER mailbox_session AFTER UPDATE OF suspended ON any_mailbox
WHEN NEW.suspended > OLD.suspended
BEGIN
    DELETE FROM session WHERE mailbox = NEW.id;
END;

CREATE TRIGGER mailbox_removed_session AFTER UPDATE OF removed ON any_mailbox
WHEN NEW.removed IS NOT NULL
BEGIN
    DELETE FROM session WHERE mailbox = NEW.id;
END;

CREATE TRIGGER address_over_plan_session AFTER UPDATE OF over_plan ON any_address
WHEN NEW.over_plan > OLD.over_plan
BEGIN
    DELETE FROM session WHERE mailbox = NEW.mailbox;
END;

-- A hash that is made anew from the same password leaves `changed` as it is.
CREATE TRIGGER credential_session AFTER UPDATE OF changed ON credential
BEGIN
    DELETE FROM session WHERE mailbox = NEW.mailbox;
END;

CREATE TRIGGER credential_removed_session AFTER DELETE ON credential
BEGIN
    DELETE FROM session WHERE mailbox = OLD.mailbox;
END;

CREATE TRIGGER admin_user_session AFTER UPDATE OF suspended, hash ON admin_user
WHEN NEW.suspended > OLD.suspended OR NEW.hash IS NOT OLD.hash
BEGIN
    DELETE FROM session WHERE admin_user = NEW.id;
END;

-- Whose tokens opened a session is not known of it, so with an issuer all sessions of its customer end:
-- see 0004-admin.sql.
CREATE TRIGGER token_issuer_removed_logout AFTER DELETE ON token_issuer
BEGIN
    INSERT INTO logout (mailbox, created)
    SELECT id, unixepoch() FROM mailbox WHERE customer = OLD.customer;
END;
