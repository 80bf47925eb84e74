-- The account database: plan -> customer -> domain -> address -> mailbox -> credential.
--
-- Times are seconds since 1970, sizes are octets, yes and no are 1 and 0. Names of domains and
-- local parts are in the form that lib/address.h makes, so equality is equality of octets.
--
-- Tables of a tenant carry the customer in every row, and foreign keys between them contain it, so
-- no row can ever join the things of two customers, whatever a program does.

PRAGMA application_id = 1113943148; -- "Bell"
PRAGMA user_version = 1;

-- What a customer may use. db/plan.h names the units and the reasons.
CREATE TABLE plan (
    id               INTEGER PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 32),
    -- mailboxes and aliases together
    addresses        INTEGER NOT NULL CHECK (addresses BETWEEN 1 AND 100),
    domains          INTEGER NOT NULL CHECK (domains BETWEEN 1 AND 100),
    mailbox_octets   INTEGER NOT NULL CHECK (mailbox_octets >= message_octets),
    mailbox_messages INTEGER NOT NULL CHECK (mailbox_messages >= 1),
    message_octets   INTEGER NOT NULL CHECK (message_octets >= 65536),
    -- 0: messages stay until their owner deletes them
    retention_days   INTEGER NOT NULL CHECK (retention_days >= 0),
    -- 0: as often as a client likes
    poll_seconds     INTEGER NOT NULL CHECK (poll_seconds >= 0),
    -- what happens to mail that the scanner finds to be spam or malicious
    protection       TEXT    NOT NULL CHECK (protection IN ('none', 'mark', 'refuse'))
) STRICT;

-- The paying tenants. AUTOINCREMENT: the audit speaks of removed customers, so no id comes again.
CREATE TABLE customer (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT    NOT NULL CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 100),
    plan      INTEGER NOT NULL REFERENCES plan (id) ON DELETE RESTRICT,
    suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    created   INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX customer_by_name ON customer (name);
CREATE INDEX customer_by_plan ON customer (plan);

-- A domain belongs to one customer, whole.
CREATE TABLE domain (
    id       INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    name     TEXT    NOT NULL CHECK (length(name) BETWEEN 3 AND 253),
    created  INTEGER NOT NULL,
    UNIQUE (id, customer)
) STRICT;

CREATE UNIQUE INDEX domain_by_name ON domain (name);

-- Unique, so that listings by customer and name need no sorting.
CREATE UNIQUE INDEX domain_by_customer ON domain (customer, name);

-- Where mail is kept. AUTOINCREMENT: the store knows mailboxes by this id alone, so an id that came
-- again would show somebody another's mail.
CREATE TABLE mailbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    customer  INTEGER NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    -- the owner's name as people write it; may be empty
    name      TEXT    NOT NULL CHECK (length(CAST(name AS BLOB)) <= 200),
    -- besides the customer's own state: either one is enough
    suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    created   INTEGER NOT NULL,
    UNIQUE (id, customer)
) STRICT;

CREATE INDEX mailbox_by_customer ON mailbox (customer);

-- What mail is sent to: the one address of a mailbox, or an alias.
CREATE TABLE address (
    id       INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL,
    domain   INTEGER NOT NULL,
    local    TEXT    NOT NULL CHECK (length(CAST(local AS BLOB)) BETWEEN 1 AND 64),
    -- NULL: an alias, see address_target
    mailbox  INTEGER UNIQUE,
    created  INTEGER NOT NULL,
    UNIQUE (id, customer),
    FOREIGN KEY (domain, customer) REFERENCES domain (id, customer) ON DELETE CASCADE,
    FOREIGN KEY (mailbox, customer) REFERENCES mailbox (id, customer) ON DELETE CASCADE
) STRICT;

CREATE UNIQUE INDEX address_by_name ON address (domain, local);
CREATE INDEX address_by_customer ON address (customer, mailbox);

-- The mailboxes that an alias leads to. An alias that loses its last target is removed with it: mail
-- for it is then refused as for any unknown address, and nobody has to tidy up before a mailbox can go.
CREATE TABLE address_target (
    address  INTEGER NOT NULL,
    mailbox  INTEGER NOT NULL,
    customer INTEGER NOT NULL,
    PRIMARY KEY (address, mailbox),
    FOREIGN KEY (address, customer) REFERENCES address (id, customer) ON DELETE CASCADE,
    FOREIGN KEY (mailbox, customer) REFERENCES mailbox (id, customer) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX address_target_by_mailbox ON address_target (mailbox, customer);

-- A mailbox's password. No row: nobody can log in yet.
CREATE TABLE credential (
    mailbox  INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL,
    -- as of crypto_pwhash_str(): Argon2id with its parameters and salt
    hash     TEXT    NOT NULL CHECK (length(hash) BETWEEN 1 AND 127),
    changed  INTEGER NOT NULL,
    FOREIGN KEY (mailbox, customer) REFERENCES mailbox (id, customer) ON DELETE CASCADE
) STRICT;

-- Who holds the token may set the mailbox's password, once, until then.
CREATE TABLE invitation (
    mailbox  INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL,
    -- of the token, which is kept nowhere
    digest   BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    expires  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    FOREIGN KEY (mailbox, customer) REFERENCES mailbox (id, customer) ON DELETE CASCADE
) STRICT;

-- Mailboxes that are gone from here and whose mail the store has still to drop (db/drop.h).
CREATE TABLE mailbox_drop (
    mailbox INTEGER PRIMARY KEY,
    created INTEGER NOT NULL
) STRICT;

-- Who may use the admin service with a password.
CREATE TABLE admin_user (
    id        INTEGER PRIMARY KEY,
    -- NULL: an operator, who sees every customer
    customer  INTEGER REFERENCES customer (id) ON DELETE CASCADE,
    login     TEXT    NOT NULL UNIQUE CHECK (length(CAST(login AS BLOB)) BETWEEN 1 AND 320),
    name      TEXT    NOT NULL CHECK (length(CAST(name AS BLOB)) <= 200),
    -- NULL: none has been set yet
    hash      TEXT    CHECK (length(hash) BETWEEN 1 AND 127),
    suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
    created   INTEGER NOT NULL
) STRICT;

CREATE INDEX admin_user_by_customer ON admin_user (customer);

-- Keys of control panels and scripts.
CREATE TABLE api_key (
    id        INTEGER PRIMARY KEY,
    -- NULL: an operator's
    customer  INTEGER REFERENCES customer (id) ON DELETE CASCADE,
    -- what its owner calls it
    name      TEXT    NOT NULL CHECK (length(CAST(name AS BLOB)) <= 200),
    -- of the key, which is kept nowhere
    digest    BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- 1: it may look, not change
    read_only INTEGER NOT NULL DEFAULT 0 CHECK (read_only IN (0, 1)),
    -- NULL: never
    expires   INTEGER,
    created   INTEGER NOT NULL
) STRICT;

CREATE INDEX api_key_by_customer ON api_key (customer);

-- Logins to the pages: an admin user's or a mailbox owner's.
CREATE TABLE session (
    -- of the cookie, which is kept nowhere
    digest     BLOB    PRIMARY KEY CHECK (length(digest) = 32),
    admin_user INTEGER REFERENCES admin_user (id) ON DELETE CASCADE,
    mailbox    INTEGER REFERENCES mailbox (id) ON DELETE CASCADE,
    expires    INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    CHECK ((admin_user IS NULL) <> (mailbox IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX session_by_admin_user ON session (admin_user);
CREATE INDEX session_by_mailbox ON session (mailbox);
CREATE INDEX session_by_expires ON session (expires);

-- A request that comes twice with the same key gets the first one's answer.
CREATE TABLE idempotency_key (
    api_key INTEGER NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
    key     TEXT    NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    -- digest of method, path and body: the same key with another request is refused
    request BLOB    NOT NULL CHECK (length(request) = 32),
    status  INTEGER NOT NULL,
    answer  BLOB    NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (api_key, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_key_by_created ON idempotency_key (created);

-- Who changed what and when, written in the transaction of the change. It has no foreign keys: it
-- outlives what it speaks of.
CREATE TABLE audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    time     INTEGER NOT NULL,
    -- NULL: the operator's own business
    customer INTEGER,
    actor    TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    object   TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_by_customer ON audit (customer, id);

-- A plan's limits. db/statement.c knows the two texts. A name that exists already is not the limit's
-- business: the caller is told that it is taken.

CREATE TRIGGER domain_limit BEFORE INSERT ON domain
WHEN (SELECT count(*) FROM domain WHERE customer = NEW.customer)
        >= (SELECT plan.domains FROM customer JOIN plan ON plan.id = customer.plan
            WHERE customer.id = NEW.customer)
    AND NOT EXISTS (SELECT 1 FROM domain WHERE name = NEW.name)
BEGIN
    SELECT RAISE(ABORT, 'limit: domains');
END;

CREATE TRIGGER address_limit BEFORE INSERT ON address
WHEN (SELECT count(*) FROM address WHERE customer = NEW.customer)
        >= (SELECT plan.addresses FROM customer JOIN plan ON plan.id = customer.plan
            WHERE customer.id = NEW.customer)
    AND NOT EXISTS (SELECT 1 FROM address WHERE domain = NEW.domain AND local = NEW.local)
BEGIN
    SELECT RAISE(ABORT, 'limit: addresses');
END;

CREATE TRIGGER customer_plan_domains BEFORE UPDATE OF plan ON customer
WHEN (SELECT count(*) FROM domain WHERE customer = NEW.id)
        > (SELECT domains FROM plan WHERE id = NEW.plan)
BEGIN
    SELECT RAISE(ABORT, 'limit: domains');
END;

CREATE TRIGGER customer_plan_addresses BEFORE UPDATE OF plan ON customer
WHEN (SELECT count(*) FROM address WHERE customer = NEW.id)
        > (SELECT addresses FROM plan WHERE id = NEW.plan)
BEGIN
    SELECT RAISE(ABORT, 'limit: addresses');
END;

CREATE TRIGGER plan_domains BEFORE UPDATE OF domains ON plan
WHEN NEW.domains < OLD.domains AND EXISTS (
    SELECT 1 FROM customer WHERE plan = NEW.id
        AND (SELECT count(*) FROM domain WHERE domain.customer = customer.id) > NEW.domains)
BEGIN
    SELECT RAISE(ABORT, 'limit: domains');
END;

CREATE TRIGGER plan_addresses BEFORE UPDATE OF addresses ON plan
WHEN NEW.addresses < OLD.addresses AND EXISTS (
    SELECT 1 FROM customer WHERE plan = NEW.id
        AND (SELECT count(*) FROM address WHERE address.customer = customer.id) > NEW.addresses)
BEGIN
    SELECT RAISE(ABORT, 'limit: addresses');
END;

-- Nothing moves between customers: it would pass the limits by.

CREATE TRIGGER domain_stays BEFORE UPDATE OF customer ON domain
BEGIN
    SELECT RAISE(ABORT, 'a domain stays with its customer');
END;

CREATE TRIGGER address_stays BEFORE UPDATE OF customer ON address
BEGIN
    SELECT RAISE(ABORT, 'an address stays with its customer');
END;

-- Only aliases lead to other mailboxes.
CREATE TRIGGER address_target_of_alias BEFORE INSERT ON address_target
WHEN (SELECT mailbox FROM address WHERE id = NEW.address) IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'only an alias has targets');
END;

-- What goes with what, whichever way it is removed (foreign keys do the other direction).

CREATE TRIGGER address_removed AFTER DELETE ON address
WHEN OLD.mailbox IS NOT NULL
BEGIN
    DELETE FROM mailbox WHERE id = OLD.mailbox;
END;

CREATE TRIGGER mailbox_removed AFTER DELETE ON mailbox
BEGIN
    INSERT INTO mailbox_drop (mailbox, created) VALUES (OLD.id, unixepoch());
END;

CREATE TRIGGER address_target_removed AFTER DELETE ON address_target
WHEN NOT EXISTS (SELECT 1 FROM address_target WHERE address = OLD.address)
BEGIN
    DELETE FROM address WHERE id = OLD.address;
END;

-- The offer to begin with: a person, a hotel, a group. 64 MiB takes a message of 50 MB with all that
-- is prepended on its way.
INSERT INTO plan (name, addresses, domains, mailbox_octets, mailbox_messages, message_octets,
                  retention_days, poll_seconds, protection)
VALUES ('single', 1, 1, 2147483648, 20000, 67108864, 0, 60, 'mark'),
       ('house', 25, 3, 5368709120, 50000, 67108864, 0, 30, 'mark'),
       ('chain', 100, 25, 10737418240, 100000, 104857600, 0, 0, 'mark');
