-- What happens to customers and their things in the course of time: suspended, moved to a smaller
-- plan, removed, restored, purged.

PRAGMA user_version = 5;

-- The tables hold what was removed, too, until it is purged. Whoever says "customer" means those that
-- there are: the plain names become views, so that no statement can forget it. What is written is
-- written to the tables, and so are references to them.
ALTER TABLE customer RENAME TO any_customer;
ALTER TABLE domain RENAME TO any_domain;
ALTER TABLE mailbox RENAME TO any_mailbox;
ALTER TABLE address RENAME TO any_address;

-- What was removed in one go, and comes back or goes for good in one go.
CREATE TABLE removal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    customer INTEGER NOT NULL REFERENCES any_customer (id) ON DELETE CASCADE,
    kind     TEXT    NOT NULL CHECK (kind IN ('customer', 'domain', 'address')),
    -- of the customer, the domain or the address at that time
    name     TEXT    NOT NULL,
    time     INTEGER NOT NULL,
    -- until when it can be restored
    purge    INTEGER NOT NULL
) STRICT;

CREATE INDEX removal_by_customer ON removal (customer, id);
CREATE INDEX removal_by_name ON removal (kind, name, id);
CREATE INDEX removal_by_purge ON removal (purge);

-- With which removal it went; NULL: it is there. A mailbox always has the same as its address.
ALTER TABLE any_customer ADD COLUMN removed INTEGER REFERENCES removal (id);
ALTER TABLE any_domain ADD COLUMN removed INTEGER REFERENCES removal (id);
ALTER TABLE any_mailbox ADD COLUMN removed INTEGER REFERENCES removal (id);
ALTER TABLE any_address ADD COLUMN removed INTEGER REFERENCES removal (id);

CREATE INDEX any_customer_by_removal ON any_customer (removed) WHERE removed IS NOT NULL;
CREATE INDEX any_domain_by_removal ON any_domain (removed) WHERE removed IS NOT NULL;
CREATE INDEX any_domain_by_customer ON any_domain (customer, removed);
CREATE INDEX any_mailbox_by_removal ON any_mailbox (removed) WHERE removed IS NOT NULL;
CREATE INDEX any_address_by_removal ON any_address (removed) WHERE removed IS NOT NULL;
DROP INDEX address_by_customer;
CREATE INDEX any_address_by_customer ON any_address (customer, removed);
CREATE INDEX any_address_by_domain ON any_address (domain, customer, local);

-- What happens to mail for who is suspended: it is delivered, or the sender is told to come again, or
-- that it is refused. NULL: as bellhop.conf has it. A customer's comes before its mailboxes'. What is
-- NULL is asked first: for IN SQLite makes a table in memory, at each new row.
ALTER TABLE any_customer ADD COLUMN suspended_mail TEXT
    CHECK (suspended_mail IS NULL OR suspended_mail IN ('keep', 'defer', 'refuse'));
ALTER TABLE any_mailbox ADD COLUMN suspended_mail TEXT
    CHECK (suspended_mail IS NULL OR suspended_mail IN ('keep', 'defer', 'refuse'));

-- What a plan that allows less than the customer has means: it is refused, or taken and nothing may be
-- added, or taken and the newest are suspended that it does not allow.
ALTER TABLE any_customer ADD COLUMN over_plan TEXT NOT NULL DEFAULT 'refuse'
    CHECK (over_plan IN ('refuse', 'keep', 'suspend'));

-- Whether it is one of those. It is besides the state of the mailbox, so who was suspended by a person
-- stays so when the plan has room again.
ALTER TABLE any_address ADD COLUMN over_plan INTEGER NOT NULL DEFAULT 0 CHECK (over_plan IN (0, 1));

-- A mailbox's own settings. NULL: the plan's limit, the customer's language.
ALTER TABLE any_mailbox ADD COLUMN octets INTEGER CHECK (octets >= 1);
ALTER TABLE any_mailbox ADD COLUMN language TEXT
    CHECK (language IS NULL OR language IN ('en', 'de', 'fr', 'es', 'it', 'nl', 'pt'));
-- What its passwords open, where the plan does.
ALTER TABLE any_mailbox ADD COLUMN pop3 INTEGER NOT NULL DEFAULT 1 CHECK (pop3 IN (0, 1));
ALTER TABLE any_mailbox ADD COLUMN smtp INTEGER NOT NULL DEFAULT 1 CHECK (smtp IN (0, 1));

-- Whether a plan's domains may have a catch-all.
ALTER TABLE plan ADD COLUMN catch_all INTEGER NOT NULL DEFAULT 0 CHECK (catch_all IN (0, 1));

-- The address that takes the mail for local parts of the domain that there are not, and never were as
-- far as this database knows: what was sent to a person who is suspended or removed is nobody else's.
ALTER TABLE any_domain ADD COLUMN catch_all INTEGER REFERENCES any_address (id) ON DELETE SET NULL;

CREATE INDEX any_domain_by_catch_all ON any_domain (catch_all) WHERE catch_all IS NOT NULL;

CREATE TRIGGER domain_catch_all BEFORE UPDATE OF catch_all ON any_domain
WHEN NOT EXISTS (SELECT 1 FROM any_address
                 WHERE id = coalesce(NEW.catch_all, id) AND customer = NEW.customer)
    AND NEW.catch_all IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a catch-all is an address of the same customer');
END;

CREATE VIEW customer AS SELECT * FROM any_customer WHERE removed IS NULL;
CREATE VIEW domain AS SELECT * FROM any_domain WHERE removed IS NULL;
CREATE VIEW mailbox AS SELECT * FROM any_mailbox WHERE removed IS NULL;
CREATE VIEW address AS SELECT * FROM any_address WHERE removed IS NULL;

-- These end sessions, too: see 0004-admin.sql.
CREATE TRIGGER mailbox_kept_logout AFTER UPDATE OF removed ON any_mailbox
WHEN NEW.removed IS NOT NULL AND OLD.removed IS NULL
BEGIN
    INSERT INTO logout (mailbox, created) VALUES (NEW.id, unixepoch());
END;

CREATE TRIGGER address_over_plan_logout AFTER UPDATE OF over_plan ON any_address
WHEN NEW.over_plan > OLD.over_plan AND NEW.mailbox IS NOT NULL
BEGIN
    INSERT INTO logout (mailbox, created) VALUES (NEW.mailbox, unixepoch());
END;

CREATE TRIGGER mailbox_pop3_logout AFTER UPDATE OF pop3 ON any_mailbox
WHEN NEW.pop3 < OLD.pop3
BEGIN
    INSERT INTO logout (mailbox, created) VALUES (NEW.id, unixepoch());
END;

-- Names are free again when what had them was removed: who takes a domain elsewhere, or gives a new
-- colleague an old address, must not wait. What is restored finds its name free, or stays removed.
DROP INDEX IF EXISTS customer_by_name;
DROP INDEX IF EXISTS domain_by_name;
DROP INDEX domain_by_customer;
DROP INDEX IF EXISTS address_by_name;
CREATE UNIQUE INDEX customer_by_name ON any_customer (name) WHERE removed IS NULL;
CREATE UNIQUE INDEX domain_by_name ON any_domain (name) WHERE removed IS NULL;
CREATE UNIQUE INDEX domain_by_customer ON any_domain (customer, name) WHERE removed IS NULL;
CREATE UNIQUE INDEX address_by_name ON any_address (domain, local) WHERE removed IS NULL;

-- The limits of a plan again: what was removed does not count, and who has taken a smaller plan all the
-- same adds nothing until all is within it. The words are those of 0001-accounts.sql.
DROP TRIGGER domain_limit;
DROP TRIGGER address_limit;
DROP TRIGGER customer_plan_domains;
DROP TRIGGER customer_plan_addresses;
DROP TRIGGER plan_domains;
DROP TRIGGER plan_addresses;

CREATE VIEW plan_use AS
SELECT customer.id AS customer, customer.plan, customer.over_plan,
       plan.domains AS domains_allowed, plan.addresses AS addresses_allowed,
       (SELECT count(*) FROM domain WHERE domain.customer = customer.id) AS domains,
       (SELECT count(*) FROM address WHERE address.customer = customer.id) AS addresses
FROM customer JOIN plan ON plan.id = customer.plan;

CREATE TRIGGER domain_limit BEFORE INSERT ON any_domain
WHEN EXISTS (SELECT 1 FROM plan_use WHERE customer = NEW.customer AND domains >= domains_allowed)
    AND NOT EXISTS (SELECT 1 FROM domain WHERE name = NEW.name)
BEGIN
    SELECT RAISE(ABORT, 'limit: domains');
END;

CREATE TRIGGER domain_limit_addresses BEFORE INSERT ON any_domain
WHEN EXISTS (SELECT 1 FROM plan_use WHERE customer = NEW.customer AND addresses > addresses_allowed)
    AND NOT EXISTS (SELECT 1 FROM domain WHERE name = NEW.name)
BEGIN
    SELECT RAISE(ABORT, 'limit: addresses');
END;

CREATE TRIGGER address_limit BEFORE INSERT ON any_address
WHEN EXISTS (SELECT 1 FROM plan_use WHERE customer = NEW.customer AND addresses >= addresses_allowed)
    AND NOT EXISTS (SELECT 1 FROM address WHERE domain = NEW.domain AND local = NEW.local)
BEGIN
    SELECT RAISE(ABORT, 'limit: addresses');
END;

CREATE TRIGGER address_limit_domains BEFORE INSERT ON any_address
WHEN EXISTS (SELECT 1 FROM plan_use WHERE customer = NEW.customer AND domains > domains_allowed)
    AND NOT EXISTS (SELECT 1 FROM address WHERE domain = NEW.domain AND local = NEW.local)
BEGIN
    SELECT RAISE(ABORT, 'limit: domains');
END;

-- A plan that becomes smaller later limits the mailbox all the same.
CREATE TRIGGER mailbox_octets_limit BEFORE UPDATE OF octets ON any_mailbox
WHEN NEW.octets > (SELECT plan.mailbox_octets FROM customer JOIN plan ON plan.id = customer.plan
                   WHERE customer.id = NEW.customer)
BEGIN
    SELECT RAISE(ABORT, 'limit: mailbox octets');
END;

-- A customer comes back whole, whatever its plan has become meanwhile.
CREATE TRIGGER domain_restore_limit BEFORE UPDATE OF removed ON any_domain
WHEN NEW.removed IS NULL
    AND EXISTS (SELECT 1 FROM removal WHERE id = OLD.removed AND kind = 'domain')
    AND EXISTS (SELECT 1 FROM plan_use WHERE customer = NEW.customer AND domains >= domains_allowed)
BEGIN
    SELECT RAISE(ABORT, 'limit: domains');
END;

CREATE TRIGGER address_restore_limit BEFORE UPDATE OF removed ON any_address
WHEN NEW.removed IS NULL
    AND EXISTS (SELECT 1 FROM removal WHERE id = OLD.removed AND kind <> 'customer')
    AND EXISTS (SELECT 1 FROM plan_use WHERE customer = NEW.customer AND addresses >= addresses_allowed)
BEGIN
    SELECT RAISE(ABORT, 'limit: addresses');
END;

CREATE TRIGGER customer_plan_limit AFTER UPDATE OF plan ON any_customer
WHEN NEW.over_plan = 'refuse' AND NEW.removed IS NULL
BEGIN
    SELECT RAISE(ABORT, 'limit: domains')
    FROM plan_use WHERE customer = NEW.id AND domains > domains_allowed;
    SELECT RAISE(ABORT, 'limit: addresses')
    FROM plan_use WHERE customer = NEW.id AND addresses > addresses_allowed;
END;

CREATE TRIGGER plan_limit AFTER UPDATE OF domains, addresses ON plan
WHEN NEW.domains < OLD.domains OR NEW.addresses < OLD.addresses
BEGIN
    SELECT RAISE(ABORT, 'limit: domains')
    FROM customer JOIN plan_use ON plan_use.customer = customer.id
    WHERE customer.plan = NEW.id AND plan_use.over_plan = 'refuse' AND domains > domains_allowed
        AND NEW.domains < OLD.domains;
    SELECT RAISE(ABORT, 'limit: addresses')
    FROM customer JOIN plan_use ON plan_use.customer = customer.id
    WHERE customer.plan = NEW.id AND plan_use.over_plan = 'refuse' AND addresses > addresses_allowed
        AND NEW.addresses < OLD.addresses;
END;
