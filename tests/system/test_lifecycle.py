"""Customers in the course of time: suspended, moved to a smaller plan, removed, restored, purged."""

import json
import sqlite3
from contextlib import closing

import pytest
from bellhop import wait_until

LETTER = b"Subject: one\r\n\r\ntext\r\n"


def listing(instance, *command):
    return json.loads(instance.cli(*command, "--json").stdout)


def replies(instance, *addresses):
    return [f"{reply.code} {reply.text.split()[0]}" for reply in instance.deliver(list(addresses), LETTER)]


def refused(instance, account):
    with pytest.raises(Exception):
        instance.pop3(account)


def test_removed_and_restored_with_all_it_had(instance):
    hotel, other = instance.customers
    account, theirs = hotel.accounts[0], other.accounts[0]
    assert replies(instance, account.address, theirs.address) == ["250 2.0.0", "250 2.0.0"]
    before = instance.messages(account)
    phone = listing(instance, "app-password", "add", account.address, "--name", "phone")["password"]
    with instance.wire("pop3") as wire:
        wire.line()
        wire.send(f"USER {account.address}\r\nPASS {phone}\r\n".encode())
        assert wire.line().startswith(b"+OK") and wire.line().startswith(b"+OK")

    instance.cli("customer", "remove", hotel.name)
    refused(instance, account)
    assert replies(instance, account.address) == ["550 5.1.1"]
    assert replies(instance, theirs.address) == ["250 2.0.0"]
    assert [row["name"] for row in listing(instance, "customer", "list")] == [other.name]
    assert {row["customer"] for row in listing(instance, "address", "list")} == {other.name}
    [removal] = listing(instance, "removed", "list")
    assert (removal["kind"], removal["name"]) == ("customer", hotel.name)

    instance.cli("customer", "restore", hotel.name)
    assert instance.messages(account) == before
    with instance.wire("pop3") as wire:
        wire.line()
        wire.send(f"USER {account.address}\r\nPASS {phone}\r\n".encode())
        assert wire.line().startswith(b"+OK") and wire.line().startswith(b"+OK")
    assert listing(instance, "removed", "list") == []


def test_what_is_due_is_purged_with_its_mail(instance):
    account, theirs = (customer.accounts[0] for customer in instance.customers)
    instance.cli("address", "remove", account.address)
    instance.cli("address", "remove", theirs.address)
    ours, other = listing(instance, "removed", "list")
    instance.cli("removed", "purge", ours["id"])
    wait_until(lambda: "dropped" in instance.log, 20, "the drop")
    instance.cli("address", "restore", account.address, check=False)
    assert [row["id"] for row in listing(instance, "removed", "list")] == [other["id"]]
    instance.cli("address", "restore", theirs.address)
    assert instance.messages(theirs) == {}


def test_a_domain_goes_to_another_customer_and_comes_back(stopped):
    ours, theirs = stopped.customers
    stopped.cli("domain", "remove", ours.domain)
    stopped.cli("domain", "add", ours.domain, "--customer", theirs.name)
    assert "taken" in stopped.cli("domain", "restore", ours.domain, check=False).stderr
    stopped.cli("domain", "remove", ours.domain)
    stopped.cli("domain", "restore", ours.domain, "--customer", ours.name)
    [row] = [row for row in listing(stopped, "domain", "list") if row["domain"] == ours.domain]
    assert row["customer"] == ours.name and row["addresses"] == len(ours.accounts)


def test_what_suspending_does_with_mail(instance):
    ours, theirs = instance.customers
    address = ours.accounts[0].address
    for mail, reply in (("keep", "250 2.0.0"), ("defer", "450 4.2.1"), ("refuse", "550 5.2.1")):
        instance.cli("customer", "suspend", ours.name, "--mail", mail)
        refused(instance, ours.accounts[0])
        assert replies(instance, address) == [reply]
        assert replies(instance, theirs.accounts[0].address) == ["250 2.0.0"]
    instance.cli("address", "suspend", address, "--mail", "keep")
    assert replies(instance, address) == ["550 5.2.1"]  # the customer's word comes first
    instance.cli("customer", "resume", ours.name)
    assert replies(instance, address) == ["250 2.0.0"]
    refused(instance, ours.accounts[0])
    instance.cli("address", "resume", address)
    assert len(instance.messages(ours.accounts[0])) == 2


def test_a_smaller_plan(instance):
    ours, theirs = instance.customers
    first, second = ours.accounts[:2]
    change = "customer", "set", ours.name, "--plan", "single"
    assert replies(instance, first.address, second.address) == ["250 2.0.0", "250 2.0.0"]
    rows = listing(instance, *change, "--preview")
    assert [row["name"] for row in rows if row["suspended"]] == [one.address for one in ours.accounts[1:]]
    assert [(row["what"], row["used"], row["allowed"]) for row in rows if not row["suspended"]] == [
        ("addresses", len(ours.accounts), 1)]
    assert listing(instance, "customer", "show", ours.name)["plan"] == "house"
    assert "1 address" in instance.cli(*change, check=False).stderr

    instance.cli(*change, "--over", "keep")
    assert len(instance.messages(second)) == 1
    assert "1 address" in instance.cli("address", "add", f"new@{ours.domain}", "--invite", check=False).stderr

    instance.cli(*change, "--over", "suspend")
    refused(instance, second)
    assert len(instance.messages(first)) == 1
    assert replies(instance, first.address, second.address) == ["250 2.0.0", "450 4.2.1"]
    states = {row["address"]: row["state"] for row in listing(instance, "address", "list", "--customer", ours.name)}
    assert states[first.address] == "active" and states[second.address] == "beyond the plan"
    assert {row["state"] for row in listing(instance, "address", "list", "--customer", theirs.name)} == {"active"}
    instance.cli("customer", "set", ours.name, "--plan", "house")
    assert len(instance.messages(second)) == 1


def test_a_catch_all(instance):
    ours, theirs = instance.customers
    reader = ours.accounts[0]
    catch = "domain", "set", ours.domain, "--catch-all"
    assert "catch-all" in instance.cli(*catch, reader.address, check=False).stderr
    instance.cli("plan", "set", "house", "--catch-all", "yes")
    assert theirs.accounts[0].address in instance.cli(*catch, theirs.accounts[0].address, check=False).stderr
    instance.cli(*catch, reader.address)
    assert replies(instance, f"nobody@{ours.domain}", f"nobody@{theirs.domain}") == ["250 2.0.0", "550 5.1.1"]
    instance.cli("address", "remove", ours.accounts[1].address)
    assert replies(instance, ours.accounts[1].address) == ["550 5.1.1"]
    assert len(instance.messages(reader)) == 1
    instance.cli(*catch, "none")
    assert replies(instance, f"nobody@{ours.domain}") == ["550 5.1.1"]


def test_what_a_mailbox_has_of_its_own(instance):
    account, other = instance.customers[0].accounts[:2]
    instance.cli("address", "set", account.address, "--quota-bytes", "1000", "--pop3", "no", "--language", "fr")
    refused(instance, account)
    assert instance.messages(other) == {}
    shown = listing(instance, "address", "show", account.address)
    assert (shown["quota_bytes"], shown["pop3"], shown["language"]) == (1000, False, "fr")
    for reply in instance.deliver([account.address, other.address], b"Subject: x\r\n\r\n" + 2000 * b"x\r\n"):
        assert reply.code in (250, 452)
    instance.cli("address", "set", account.address, "--quota-bytes", "plan", "--pop3", "yes")
    assert instance.messages(account) == {} and len(instance.messages(other)) == 1


def test_the_service_purges_what_is_due(stopped):
    """By itself, and nobody else's."""
    ours, theirs = stopped.customers
    stopped.cli("customer", "remove", ours.name)
    stopped.cli("address", "remove", theirs.accounts[0].address)
    with closing(sqlite3.connect(stopped.dir / "accounts.db")) as database, database:
        database.execute("UPDATE removal SET purge = 1 WHERE kind = 'customer'")
    refused = stopped.cli("customer", "restore", ours.name, check=False)
    assert refused.returncode == 1
    stopped.start()
    wait_until(lambda: "customer purged customer=1" in stopped.log, 30, "the purge")
    wait_until(lambda: stopped.log.count(" dropped\n") == 3, 30, "the drops")
    assert [row["name"] for row in listing(stopped, "removed", "list")] == [theirs.accounts[0].address]
    actions = [row["action"] for row in listing(stopped, "audit", "list")]
    assert actions[0] == "customer.purge"


def copy_row(database, table, row, **values):
    """Another one of the same, but for these; returns its id."""
    columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")][1:]
    taken = ", ".join(f":{name}" if name in values else name for name in columns)
    return database.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {taken} FROM {table}"
                            f" WHERE id = {row}", values).lastrowid


def test_a_large_purge_goes_on_where_it_was(stopped):
    """What a customer had removed before goes with it, some at once and the rest later."""
    ours, theirs = stopped.customers
    earlier = 500
    with closing(sqlite3.connect(stopped.dir / "accounts.db")) as database, database:
        (address, mailbox), = database.execute(
            "SELECT id, mailbox FROM any_address WHERE customer = 1 AND mailbox IS NOT NULL LIMIT 1")
        for i in range(earlier):
            removal = database.execute("INSERT INTO removal (customer, kind, name, time, purge) VALUES"
                                       " (1, 'address', 'x', unixepoch(), unixepoch() + 86400)").lastrowid
            made = copy_row(database, "any_mailbox", mailbox, removed=removal)
            copy_row(database, "any_address", address, removed=removal, mailbox=made, local=f"x{i}")

    def left():
        with closing(sqlite3.connect(stopped.dir / "accounts.db")) as database:
            return database.execute("SELECT count(*) FROM any_address WHERE customer = 1").fetchone()[0]

    before = left()
    stopped.cli("customer", "remove", ours.name)
    (removal,) = (row for row in listing(stopped, "removed", "list") if row["kind"] == "customer")
    stopped.cli("removed", "purge", removal["id"])
    assert listing(stopped, "removed", "list") == []
    assert stopped.cli("customer", "restore", ours.name, check=False).returncode == 1
    assert left() == before - 200
    stopped.start()
    wait_until(lambda: "customer purged customer=1" in stopped.log, 30, "the purge")
    assert left() == 0 and listing(stopped, "removed", "list") == []
    actions = [row["action"] for row in listing(stopped, "audit", "list")]
    assert actions[:2] == ["removal.purge", "removal.purge"] and actions.count("customer.purge") == 1
    assert stopped.messages(theirs.accounts[0]) == {}
