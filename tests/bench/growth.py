"""Instances with so many mailboxes that no command and no mail server would make them in time."""

import sqlite3
from contextlib import contextmanager

import generator
from bellhop import QUICK, Instance
from contenders import Bellhop
from scale import fill

MESSAGES = 20     # in each mailbox
CUSTOMER = 100    # mailboxes of one
FILL_TIME = 1200  # seconds, on a slow disk

# Copies of the first customer, whose only mailbox is the first one, with its password. The index of
# accounts.db that is about names has them all; so do the mailboxes' numbers, which run through.
COPIES = [
    "INSERT INTO any_customer (name, plan, created)"
    " SELECT 'House ' || n, plan, created FROM customer, n WHERE id = 1",
    "INSERT INTO any_domain (customer, name, created)"
    " SELECT id, 'house' || (id - 1) || '.example', created FROM customer WHERE id > 1",
    "INSERT INTO any_mailbox (customer, name, created)"
    " SELECT customer.id, '', mailbox.created FROM customer, mailbox, n"
    f" WHERE customer.id > 1 AND mailbox.id = 1 AND n < {CUSTOMER}",
    "INSERT INTO any_address (customer, domain, local, mailbox, created)"
    " SELECT mailbox.customer, domain.id, 'room' || mailbox.id, mailbox.id, mailbox.created"
    " FROM mailbox JOIN domain USING (customer) WHERE mailbox.id > 1",
    "INSERT INTO credential (mailbox, customer, hash, changed)"
    " SELECT mailbox.id, mailbox.customer, hash, changed"
    " FROM mailbox, credential WHERE mailbox.id > 1 AND credential.mailbox = 1",
]


def add_copies(instance, customers):
    numbers = "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {})"
    database = sqlite3.connect(instance.dir / "accounts.db")
    with database:
        for number, statement in enumerate(COPIES):
            last = customers - 1 if number == 0 else CUSTOMER
            words, rest = statement.split(" SELECT ", 1)
            database.execute(f"{words} {numbers.format(last)} SELECT {rest}")
    found = database.execute("SELECT local || '@' || name FROM address"
                             " JOIN domain ON domain.id = address.domain ORDER BY mailbox")
    addresses = [address for (address,) in found]
    database.close()
    return addresses


class Grown:
    """An instance with mail in each of its mailboxes, and clients that visit some of them."""

    def __init__(self, folder, mailboxes):
        instance = Instance(folder)
        instance.configure(**QUICK)
        [first] = instance.customer("First", "chain", "first.example", "room").accounts
        self.bellhop = Bellhop(instance)
        self.password = first.password
        self.addresses = add_copies(instance, mailboxes // CUSTOMER)
        self.users = folder.with_suffix(".users")
        fill(instance, first, messages=MESSAGES, mailboxes=len(self.addresses), timeout=FILL_TIME)

    def visit(self, count):
        """From now on by that many clients, each with a mailbox somewhere else."""
        self.count = count
        visited = self.addresses[::len(self.addresses) // count][:count]
        self.users.write_text("".join(f"{address}\t{self.password}\n" for address in visited))

    def sessions(self, count):
        return generator.load("session", self.bellhop.ports.pop3, self.users,
                              self.bellhop.serve_pid, count=count, connections=self.count)


@contextmanager
def served(folder, mailboxes, visited):
    grown = Grown(folder.with_name(f"{folder.name}-{mailboxes}"), mailboxes)
    grown.visit(visited)
    grown.bellhop.start()
    try:
        yield grown
    finally:
        grown.bellhop.stop()
