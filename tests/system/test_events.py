"""What happened with credentials: rows that a customer can look at, written by admin for authd."""

import poplib
import signal
import sqlite3
from contextlib import closing

import pytest

from bellhop import signal_process, wait_until

COLUMNS = ("customer", "mailbox", "address", "kind", "refused", "remote", "protocol", "mechanism",
           "credential", "reason", "count")


def rows(instance, **wanted):
    """Those with these values, oldest first, as dictionaries."""
    path = f"file:{instance.dir / 'accounts.db'}?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as database:
        query = f"SELECT {', '.join(COLUMNS)} FROM event ORDER BY id"
        found = [dict(zip(COLUMNS, row)) for row in database.execute(query)]
    return [row for row in found if wanted.items() <= row.items()]


def refuse(instance, name, password="not the password"):
    with pytest.raises(poplib.error_proto):
        instance.pop3(name, password)


def test_logins_and_refusals_are_written(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    for _ in range(3):
        instance.pop3(ours).quit()
    instance.pop3(theirs, tls=True).quit()
    refuse(instance, ours.address)
    refuse(instance, "nobody@" + instance.customers[1].domain)
    refuse(instance, "nobody@nowhere.example")
    refuse(instance, "a password in the wrong field")
    instance.stop()
    found = rows(instance)
    assert [(row["customer"], row["address"], row["kind"], row["reason"], row["count"])
            for row in found] == [
        (1, ours.address, "login", "", 3),
        (2, theirs.address, "login", "", 1),
        (1, ours.address, "refused", "wrong password", 1),
        (2, "nobody@" + instance.customers[1].domain, "refused", "there is no such mailbox", 1)]
    for row in found:
        assert row["remote"] == "127.0.0.1" and row["protocol"] == "pop3"
        assert row["mechanism"] == "PLAIN" and row["credential"] == "password"
        assert (row["mailbox"] == 0) == row["address"].startswith("nobody@")


def test_they_are_written_soon(instance):
    account = instance.customers[0].accounts[0]
    instance.pop3(account).quit()
    wait_until(lambda: rows(instance, address=account.address, kind="login"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("program", ["admin", "authd"])
def test_a_program_that_ends_loses_and_doubles_nothing(instance, program, number):
    """authd once what it has said is written; admin at any moment."""
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    for account in [ours, theirs]:
        instance.pop3(account).quit()
        if program == "authd" and number == signal.SIGKILL:
            wait_until(lambda: rows(instance, address=account.address))
        [pid] = wait_until(lambda: instance.pids().get(program))
        signal_process(pid, number)
        wait_until(lambda: pid not in instance.pids().get(program, []))
    instance.wait_healthy()
    instance.stop()
    for account in [ours, theirs]:
        assert [row["count"] for row in rows(instance, address=account.address)] == [1]
