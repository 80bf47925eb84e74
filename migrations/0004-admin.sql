-- What the admin service needs beside the accounts themselves.

PRAGMA user_version = 4;

-- Keys of control panels and scripts: see db/apikey.h. No key has been made before, so the table is
-- made anew, and with it what refers to it.
DROP TABLE idempotency_key;
DROP TABLE api_key;

CREATE TABLE api_key (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- what its owner calls it
    name         TEXT    NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 100),
    role         TEXT    NOT NULL CHECK (role IN ('operator', 'operator-read', 'admin', 'helpdesk',
                                                  'customer-read', 'owner')),
    -- whose things it reaches. NULL: an operator's, all
    customer     INTEGER REFERENCES customer (id) ON DELETE CASCADE,
    -- NULL: all domains of the customer
    domain       INTEGER,
    -- an owner's; NULL: nobody's
    mailbox      INTEGER,
    -- keyed BLAKE2b-256 of the key, which is kept nowhere
    digest       BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- from where it is taken, as lib/networks.h reads them; empty: from everywhere
    networks     TEXT    NOT NULL DEFAULT '' CHECK (length(networks) <= 1000),
    -- requests a second; 0: as many as come
    rate         INTEGER NOT NULL DEFAULT 0 CHECK (rate BETWEEN 0 AND 100000),
    -- NULL: never
    expires      INTEGER,
    created      INTEGER NOT NULL,
    -- NULL: not yet; exact to some minutes
    used         INTEGER,
    used_address TEXT    CHECK (length(used_address) BETWEEN 1 AND 64),
    CHECK ((customer IS NULL) = (role IN ('operator', 'operator-read'))),
    CHECK ((mailbox IS NULL) = (role <> 'owner')),
    CHECK (domain IS NULL OR mailbox IS NULL),
    FOREIGN KEY (domain, customer) REFERENCES domain (id, customer) ON DELETE CASCADE,
    FOREIGN KEY (mailbox, customer) REFERENCES mailbox (id, customer) ON DELETE CASCADE
) STRICT;

CREATE UNIQUE INDEX api_key_by_customer ON api_key (customer, name);
-- NULLs differ from each other in an index
CREATE UNIQUE INDEX api_key_of_operator ON api_key (name) WHERE customer IS NULL;
-- for listings, which go by id
CREATE INDEX api_key_by_id ON api_key (customer);
CREATE INDEX api_key_by_domain ON api_key (domain, customer);
CREATE INDEX api_key_by_mailbox ON api_key (mailbox, customer);

CREATE TRIGGER api_key_limit BEFORE INSERT ON api_key
WHEN (SELECT count(*) FROM api_key WHERE customer IS NEW.customer) >= 1000
    AND NOT EXISTS (SELECT 1 FROM api_key WHERE customer IS NEW.customer AND name = NEW.name)
BEGIN
    SELECT RAISE(ABORT, 'limit: api keys');
END;

INSERT INTO secret (name, octets) VALUES ('api_key', randomblob(32));

-- A request that comes twice with the same key gets the first one's answer.
CREATE TABLE idempotency_key (
    api_key INTEGER NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
    key     TEXT    NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    -- digest of method, path and body: the same key with another request is refused
    request BLOB    NOT NULL CHECK (length(request) = 32),
    -- sealed under what only the API key's holder knows: it may hold a password that is shown once
    answer  BLOB    NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (api_key, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_key_by_created ON idempotency_key (created);

-- The audit: db/audit.h. Made anew with what a change did, from where it came, and two chains of
-- digests; rows of before are in no chain.
ALTER TABLE audit RENAME TO audit_before;
DROP INDEX audit_by_customer;

CREATE TABLE audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    -- from 1, without a gap for each customer
    number   INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    -- NULL: the operator's own business
    customer INTEGER,
    actor    TEXT    NOT NULL,
    -- the address of a client, or the terminal of a command; empty: nobody said
    remote   TEXT    NOT NULL,
    -- the id of a request of the API; empty: none
    request  TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    object   TEXT    NOT NULL,
    -- of this row and of the same customer's row before it; NULL: from before there were chains
    digest   BLOB    CHECK (length(digest) = 32),
    -- of this row's digest and of the row before it, whoever's it is
    chain    BLOB    CHECK (length(chain) = 32),
    -- as db/changes.h writes it; may be empty
    changes  TEXT    NOT NULL,
    CHECK ((digest IS NULL) = (chain IS NULL))
) STRICT;

INSERT INTO audit (id, number, time, customer, actor, remote, request, action, object, changes)
SELECT id, row_number() OVER (PARTITION BY customer ORDER BY id), time, customer, actor, '', '',
       action, object, ''
FROM audit_before ORDER BY id;

DROP TABLE audit_before;

CREATE UNIQUE INDEX audit_by_customer ON audit (customer, number);
-- NULLs differ from each other in an index
CREATE UNIQUE INDEX audit_of_operator ON audit (number) WHERE customer IS NULL;

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is only added to');
END;

CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is only added to');
END;

-- Who is told over HTTP of what happens: db/webhook.h.
CREATE TABLE webhook (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL: an operator's, which is told of everything
    customer INTEGER REFERENCES customer (id) ON DELETE CASCADE,
    url      TEXT    NOT NULL CHECK (length(url) BETWEEN 10 AND 2000),
    -- types of events with commas between them
    events   TEXT    NOT NULL CHECK (length(events) BETWEEN 1 AND 500),
    -- the signatures are made with it, so it is kept as it is
    secret   BLOB    NOT NULL CHECK (length(secret) = 32),
    created  INTEGER NOT NULL,
    -- the last event that it has been told of, or that it did not want
    cursor   INTEGER NOT NULL,
    -- NULL: it does not fail, and else since when
    failing  INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    -- not before that
    next     INTEGER NOT NULL DEFAULT 0,
    -- NULL: it has not been given up
    disabled INTEGER,
    -- the last one, in words
    failure  TEXT    NOT NULL DEFAULT '' CHECK (length(failure) <= 200)
) STRICT;

CREATE INDEX webhook_by_customer ON webhook (customer);
CREATE UNIQUE INDEX webhook_by_url ON webhook (url, customer);
-- NULLs differ from each other in an index
CREATE UNIQUE INDEX webhook_of_operator ON webhook (url) WHERE customer IS NULL;

CREATE TRIGGER webhook_limit BEFORE INSERT ON webhook
WHEN (SELECT count(*) FROM webhook WHERE customer IS NEW.customer) >= 20
    AND NOT EXISTS (SELECT 1 FROM webhook WHERE customer IS NEW.customer AND url = NEW.url)
BEGIN
    SELECT RAISE(ABORT, 'limit: webhooks');
END;

-- What webhooks are to be told of, of the last days. It has no foreign keys: it outlives what it
-- speaks of. The newest row stays, so that cursors only grow.
CREATE TABLE outbox (
    -- the cursor: microseconds since 1970
    id       INTEGER PRIMARY KEY,
    time     INTEGER NOT NULL,
    -- NULL: the operator's own business
    customer INTEGER,
    type     TEXT    NOT NULL,
    object   TEXT    NOT NULL,
    -- the row that says the rest; NULL: none does
    audit    INTEGER,
    -- JSON; empty: see the audit
    detail   TEXT    NOT NULL
) STRICT;

CREATE INDEX outbox_by_customer ON outbox (customer, id);

-- Ends of POP3 sessions (db/logout.h), of a mailbox the newest one. A login knows the highest id of
-- its time: hence AUTOINCREMENT. It has no foreign keys: what it speaks of may be gone.
CREATE TABLE logout (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox INTEGER NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

CREATE TRIGGER logout_replaced BEFORE INSERT ON logout
BEGIN
    DELETE FROM logout WHERE mailbox = NEW.mailbox;
END;

CREATE TRIGGER customer_logout AFTER UPDATE OF suspended ON customer
WHEN NEW.suspended > OLD.suspended
BEGIN
    INSERT INTO logout (mailbox, created)
    SELECT id, unixepoch() FROM mailbox WHERE customer = NEW.id;
END;

CREATE TRIGGER mailbox_logout AFTER UPDATE OF suspended ON mailbox
WHEN NEW.suspended > OLD.suspended
BEGIN
    INSERT INTO logout (mailbox, created) VALUES (NEW.id, unixepoch());
END;

CREATE TRIGGER mailbox_removed_logout AFTER DELETE ON mailbox
BEGIN
    INSERT INTO logout (mailbox, created) VALUES (OLD.id, unixepoch());
END;

-- A hash that is made anew from the same password leaves `changed` as it is.
CREATE TRIGGER credential_logout AFTER UPDATE OF changed ON credential
BEGIN
    INSERT INTO logout (mailbox, created) VALUES (NEW.mailbox, unixepoch());
END;

CREATE TRIGGER credential_removed_logout AFTER DELETE ON credential
WHEN EXISTS (SELECT 1 FROM mailbox WHERE id = OLD.mailbox)
BEGIN
    INSERT INTO logout (mailbox, created) VALUES (OLD.mailbox, unixepoch());
END;

CREATE TRIGGER app_password_removed_logout AFTER DELETE ON app_password
WHEN OLD.pop3 AND EXISTS (SELECT 1 FROM mailbox WHERE id = OLD.mailbox)
BEGIN
    INSERT INTO logout (mailbox, created) VALUES (OLD.mailbox, unixepoch());
END;

-- When the keys of a token issuer are to be fetched again (0: at once) and were last tried, and how
-- that went: see db/issuer.h.
ALTER TABLE token_issuer ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token_issuer ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
-- in a row, and the last one's reason; 0 and empty: the last try has fetched them
ALTER TABLE token_issuer ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token_issuer ADD COLUMN failure TEXT NOT NULL DEFAULT ''
    CHECK (length(CAST(failure AS BLOB)) <= 300);

CREATE INDEX token_issuer_by_due ON token_issuer (due);

CREATE TRIGGER token_issuer_limit BEFORE INSERT ON token_issuer
WHEN (SELECT count(*) FROM token_issuer WHERE customer = NEW.customer) >= 16
    AND NOT EXISTS (SELECT 1 FROM token_issuer
                    WHERE customer = NEW.customer AND issuer = NEW.issuer)
BEGIN
    SELECT RAISE(ABORT, 'limit: token issuers');
END;
