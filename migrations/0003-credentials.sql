-- Credentials beyond one password, and what watches over them.

PRAGMA user_version = 3;

-- A mailbox's password, now in more forms. Nothing refers to this table, so it is made anew.
CREATE TABLE password (
    mailbox  INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL,
    -- as of crypto_pwhash_str(), or brought along from another server, with its {SCHEME} before it
    hash     TEXT    NOT NULL CHECK (length(hash) BETWEEN 1 AND 255),
    -- for SCRAM-SHA-256 (RFC 5802): iterations,salt,StoredKey,ServerKey, the last three in base64.
    -- NULL: nobody has told the password since it could have been made
    scram    TEXT    CHECK (length(scram) BETWEEN 1 AND 255),
    changed  INTEGER NOT NULL,
    FOREIGN KEY (mailbox, customer) REFERENCES mailbox (id, customer) ON DELETE CASCADE
) STRICT;

INSERT INTO password (mailbox, customer, hash, changed)
SELECT mailbox, customer, hash, changed FROM credential;

DROP TABLE credential;
ALTER TABLE password RENAME TO credential;

-- What is drawn once for an instance. A backup carries it, so what was made with it stays good.
CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    octets BLOB NOT NULL CHECK (length(octets) = 32)
) STRICT, WITHOUT ROWID;

INSERT INTO secret (name, octets)
VALUES ('app_password', randomblob(32)), ('scram_salt', randomblob(32));

-- A password that Bellhop drew for one program of the mailbox's owner: 128 random bits, so a fast
-- keyed hash is as good as a slow one.
CREATE TABLE app_password (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox      INTEGER NOT NULL,
    customer     INTEGER NOT NULL,
    -- what its owner calls it
    name         TEXT    NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 100),
    -- keyed BLAKE2b-256 of mailbox and password
    digest       BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- what it opens
    pop3         INTEGER NOT NULL CHECK (pop3 IN (0, 1)),
    smtp         INTEGER NOT NULL CHECK (smtp IN (0, 1)),
    -- NULL: never
    expires      INTEGER,
    created      INTEGER NOT NULL,
    -- NULL: not yet; exact to some minutes
    used         INTEGER,
    used_address TEXT    CHECK (length(used_address) BETWEEN 1 AND 64),
    CHECK (pop3 OR smtp),
    UNIQUE (mailbox, name),
    FOREIGN KEY (mailbox, customer) REFERENCES mailbox (id, customer) ON DELETE CASCADE
) STRICT;

CREATE TRIGGER app_password_limit BEFORE INSERT ON app_password
WHEN (SELECT count(*) FROM app_password WHERE mailbox = NEW.mailbox) >= 100
    AND NOT EXISTS (SELECT 1 FROM app_password WHERE mailbox = NEW.mailbox AND name = NEW.name)
BEGIN
    SELECT RAISE(ABORT, 'limit: app passwords');
END;

-- Where a customer's own people are: wrong passwords from there delay nobody but who typed them.
CREATE TABLE trusted_network (
    customer INTEGER NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    -- as lib/networks.h writes it
    network  TEXT    NOT NULL CHECK (length(network) BETWEEN 1 AND 64),
    created  INTEGER NOT NULL,
    PRIMARY KEY (customer, network)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER trusted_network_limit BEFORE INSERT ON trusted_network
WHEN (SELECT count(*) FROM trusted_network WHERE customer = NEW.customer) >= 100
    AND NOT EXISTS (SELECT 1 FROM trusted_network
                    WHERE customer = NEW.customer AND network = NEW.network)
BEGIN
    SELECT RAISE(ABORT, 'limit: trusted networks');
END;

-- Whether a plan's customers may send through the operator's mail server.
ALTER TABLE plan ADD COLUMN sending INTEGER NOT NULL DEFAULT 1 CHECK (sending IN (0, 1));

-- What happened with credentials, for the customer to see. Old rows go: see db/event.h. It has no
-- foreign keys: it outlives what it speaks of.
CREATE TABLE event (
    -- microseconds since 1970 of the first time, and each only once
    id         INTEGER PRIMARY KEY,
    -- seconds, of the last time
    time       INTEGER NOT NULL,
    customer   INTEGER NOT NULL,
    -- 0: of none, or of one that is not known
    mailbox    INTEGER NOT NULL,
    -- of the mailbox at that time
    address    TEXT    NOT NULL,
    -- a word of db/event.c
    kind       TEXT    NOT NULL,
    -- whether a client was turned away: these rows do not push out the others
    refused    INTEGER NOT NULL CHECK (refused IN (0, 1)),
    -- where the client is; empty: nobody said
    remote     TEXT    NOT NULL,
    -- pop3, smtp, and the like, as the server that asked calls it
    protocol   TEXT    NOT NULL,
    mechanism  TEXT    NOT NULL,
    -- password, or the name of the app password
    credential TEXT    NOT NULL,
    -- empty where nothing was refused
    reason     TEXT    NOT NULL,
    -- how often it has happened
    count      INTEGER NOT NULL CHECK (count >= 1)
) STRICT;

CREATE INDEX event_by_customer ON event (customer, id);
CREATE INDEX event_by_mailbox ON event (customer, mailbox, refused, id);

-- Whose tokens are believed (OAUTHBEARER, RFC 7628).
CREATE TABLE token_issuer (
    id       INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    -- the "iss" of its tokens, and below which its configuration is found
    issuer   TEXT    NOT NULL CHECK (length(issuer) BETWEEN 9 AND 255),
    -- the "aud" that its tokens must have
    audience TEXT    NOT NULL CHECK (length(audience) BETWEEN 1 AND 255),
    -- the claim that holds the mailbox's address
    claim    TEXT    NOT NULL DEFAULT 'email' CHECK (length(claim) BETWEEN 1 AND 64),
    -- its keys as last fetched (JSON Web Key Set, RFC 7517), and when; NULL: not yet
    keys     TEXT    CHECK (length(keys) <= 65536),
    fetched  INTEGER,
    created  INTEGER NOT NULL,
    UNIQUE (customer, issuer)
) STRICT;

-- The second factor of somebody who uses the pages (RFC 6238): an admin user or a mailbox's owner.
CREATE TABLE second_factor (
    id         INTEGER PRIMARY KEY,
    -- NULL: an operator's
    customer   INTEGER REFERENCES customer (id) ON DELETE CASCADE,
    admin_user INTEGER UNIQUE REFERENCES admin_user (id) ON DELETE CASCADE,
    mailbox    INTEGER UNIQUE REFERENCES mailbox (id) ON DELETE CASCADE,
    secret     BLOB    NOT NULL CHECK (length(secret) = 20),
    -- NULL: enrolment has begun, and no code has been shown yet
    confirmed  INTEGER,
    -- of the last code that was taken: none is good twice
    step       INTEGER NOT NULL DEFAULT 0,
    -- wrong codes in a row, and until when none is looked at because of them
    wrong      INTEGER NOT NULL DEFAULT 0,
    blocked    INTEGER NOT NULL DEFAULT 0,
    created    INTEGER NOT NULL,
    CHECK ((admin_user IS NULL) <> (mailbox IS NULL))
) STRICT;

CREATE INDEX second_factor_by_customer ON second_factor (customer);

-- Each is good once in place of a code.
CREATE TABLE recovery_code (
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),
    second_factor INTEGER NOT NULL REFERENCES second_factor (id) ON DELETE CASCADE,
    PRIMARY KEY (second_factor, digest)
) STRICT, WITHOUT ROWID;

-- Whose customer (NULL: an operator's), and where a session of the pages was begun and last seen,
-- for the list that its owner ends them from.
ALTER TABLE session ADD COLUMN customer INTEGER REFERENCES customer (id) ON DELETE CASCADE;
ALTER TABLE session ADD COLUMN remote TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN agent  TEXT NOT NULL DEFAULT '' CHECK (length(agent) <= 255);
ALTER TABLE session ADD COLUMN seen   INTEGER NOT NULL DEFAULT 0;

CREATE INDEX session_by_person ON session (customer, admin_user, mailbox, created);
