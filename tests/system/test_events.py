"""What happened with credentials: rows that a customer can look at, written by admin for authd."""

import json
import os
import poplib
import re
import signal
import sqlite3
import struct
import subprocess
import time
from contextlib import closing, contextmanager, suppress

import pytest

from bellhop import Instance, signal_process, state, wait_until

# lib/authmsg.h
PING, PONG, TAKE, TAKEN, EVENT = range(1, 6)
FLUSHED = 12


def database(instance, mode="ro"):
    path = f"file:{instance.dir / 'accounts.db'}?mode={mode}"
    return closing(sqlite3.connect(path, uri=True, isolation_level=None))


def rows(instance, address):
    """What is written of it now, without asking for what waits."""
    with database(instance) as opened:
        query = "SELECT kind, count FROM event WHERE address = ? ORDER BY id"
        return list(opened.execute(query, (address,)))


def events(instance, *arguments):
    """What the command shows, oldest first."""
    return json.loads(instance.cli("auth", "events", *arguments, "--json").stdout)[::-1]


def refuse(instance, name, password="not the password"):
    with pytest.raises(poplib.error_proto):
        instance.pop3(name, password)


def test_logins_and_refusals_are_written(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    nobody = "nobody@" + instance.customers[1].domain
    for _ in range(3):
        instance.pop3(ours).quit()
    instance.pop3(theirs, tls=True).quit()
    refuse(instance, ours.address)
    refuse(instance, nobody)
    refuse(instance, "nobody@nowhere.example")
    refuse(instance, "a password in the wrong field")
    instance.stop()
    found = events(instance)
    assert [(row["customer"], row["address"], row["event"], row["reason"], row["count"])
            for row in found] == [
        (instance.customers[0].name, ours.address, "login", None, 3),
        (instance.customers[1].name, theirs.address, "login", None, 1),
        (instance.customers[0].name, ours.address, "refused", "wrong password", 1),
        (instance.customers[1].name, nobody, "refused", "there is no such mailbox", 1)]
    for row in found:
        assert row["remote"] == "127.0.0.1" and row["protocol"] == "pop3"
        assert row["mechanism"] == "PLAIN" and row["credential"] == "password"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["first"])
        assert row["first"] <= row["last"]


def test_they_are_written_soon(instance):
    account = instance.customers[0].accounts[0]
    instance.pop3(account).quit()
    wait_until(lambda: rows(instance, account.address) == [("login", 1)])


def test_a_listing_shows_what_has_just_been_counted(instance):
    account = instance.customers[1].accounts[0]
    for count in range(1, 4):
        instance.pop3(account).quit()
        assert [row["count"] for row in events(instance, account.address)] == [count]
    assert instance.cli("auth", "events", account.address).stdout.splitlines()[1].split()[2:] == [
        "3", "login", account.address, "127.0.0.1", "pop3", "PLAIN", "password", "-"]


def test_a_listing_is_one_customers(instance):
    ours, theirs = instance.customers
    for account in [*ours.accounts[:2], theirs.accounts[0]]:
        instance.pop3(account).quit()
    assert len(events(instance)) == 3
    assert [row["address"] for row in events(instance, "--customer", ours.name)] == [
        account.address for account in ours.accounts[:2]]
    assert [row["address"] for row in events(instance, "--customer", theirs.name)] == [
        theirs.accounts[0].address]
    assert [row["address"] for row in events(instance, ours.accounts[1].address)] == [
        ours.accounts[1].address]
    assert events(instance, theirs.accounts[1].address) == []
    for wrong in [["nobody@quayside.example"], ["no address"], ["--customer", "nobody"]]:
        done = instance.cli("auth", "events", *wrong, check=False)
        assert done.returncode == 1 and done.stdout == ""


def test_a_listing_since_a_time(instance):
    """A row counts by its last time."""
    account = instance.customers[0].accounts[0]
    now = int(time.time())
    with database(instance, "rw") as opened:
        for hours, last in [(50, 50), (40, 20), (30, 28), (2, 1)]:
            opened.execute(
                "INSERT INTO event SELECT ?, ?, customer, mailbox, ?, 'login', 0, '', 'pop3', '',"
                " 'password', '', 7 FROM address WHERE mailbox = 1",
                ((now - hours * 3600) * 1_000_000, now - last * 3600, account.address))
    for since, count in [("24h", 2), ("29h", 3), ("30m", 0), ("3d", 4), ("2001-01-01", 4)]:
        assert len(events(instance, account.address, "--since", since)) == count
        assert len(events(instance, "--since", since)) == count


def test_what_commands_do_is_listed(instance):
    customer = instance.customers[0]
    account = customer.accounts[0]
    instance.cli("address", "passwd", account.address, "--password-stdin", input="another key\n")
    refuse(instance, account.address, account.password)
    instance.cli("customer", "suspend", customer.name)
    refuse(instance, account.address, "another key")
    instance.cli("customer", "resume", customer.name)
    assert [(row["event"], row["address"], row["protocol"], row["reason"])
            for row in events(instance, "--customer", customer.name)] == [
        ("password", account.address, "bellhop", None),
        ("refused", account.address, "pop3", "wrong password"),
        ("suspended", None, "bellhop", None),
        ("refused", account.address, "pop3", "suspended"),
        ("resumed", None, "bellhop", None)]
    assert events(instance, "--customer", instance.customers[1].name) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("program", ["admin", "authd"])
def test_a_program_that_ends_loses_and_doubles_nothing(instance, program, number):
    """authd once what it has said is written; admin at any moment."""
    accounts = [customer.accounts[0] for customer in instance.customers]
    for account in accounts:
        instance.pop3(account).quit()
        if program == "authd" and number == signal.SIGKILL:
            wait_until(lambda: rows(instance, account.address))
        [pid] = wait_until(lambda: instance.pids().get(program))
        signal_process(pid, number)
        wait_until(lambda: pid not in instance.pids().get(program, []))
    for account in accounts:
        wait_until(lambda: rows(instance, account.address) == [("login", 1)])
    instance.stop()
    for account in accounts:
        assert rows(instance, account.address) == [("login", 1)]


def test_nobody_waits_for_who_writes(instance):
    """admin hangs: logins go on, and what they were is written when it goes on."""
    accounts = [customer.accounts[0] for customer in instance.customers]
    [pid] = wait_until(lambda: instance.pids().get("admin"))
    instance.pop3(accounts[0]).quit()
    wait_until(lambda: rows(instance, accounts[0].address))
    signal_process(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == "T")
    try:
        for _ in range(5):
            for account in accounts:
                instance.pop3(account).quit()
        assert rows(instance, accounts[1].address) == []
        assert "the last events are not shown" in instance.cli("auth", "events").stderr
    finally:
        signal_process(pid, signal.SIGCONT)
    assert instance.cli("auth", "events").stderr == ""
    assert [row["count"] for row in events(instance)] == [6, 5]


def test_another_writer_is_in_nobodys_way(instance):
    """A command holds the database: logins and /healthz go on."""
    account = instance.customers[0].accounts[0]
    with database(instance, "rw") as opened:
        opened.execute("BEGIN IMMEDIATE")
        instance.pop3(account).quit()
        begin = time.monotonic()
        while time.monotonic() < begin + 0.5:
            assert instance.http("/healthz")[0] == 200
        assert rows(instance, account.address) == []
        opened.execute("ROLLBACK")
    wait_until(lambda: rows(instance, account.address) == [("login", 1)])


def message(kind, payload=b"", number=0, version=1):
    return struct.pack("<IBBHI", len(payload), version, kind, 0, number) + payload


def hear(wire):
    """The next message: its type and payload; None at the end."""
    header = wire.file.read(12)
    if len(header) < 12:
        return None
    length, _, kind, _, _ = struct.unpack("<IBBHI", header)
    return kind, wire.file.read(length)


@contextmanager
def small_disk(folder):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m,mode=755", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def filled(folder):
    with (folder / "filling").open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(4096))
    yield
    (folder / "filling").unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk is mounted, as root only can")
def test_a_full_disk_is_in_nobodys_way(template, tmp_path):
    """Logins go on, and what happened meanwhile is written when there is room again."""
    with small_disk(tmp_path / "disk") as disk:
        instance = Instance(disk / "instance", template)
        instance.log_path = tmp_path / "log"
        instance.log_path.touch()
        try:
            instance.start()
            accounts = [customer.accounts[0] for customer in instance.customers]
            with filled(disk):
                for account in accounts * 2:
                    instance.pop3(account).quit()
                refuse(instance, accounts[0].address)
                wait_until(lambda: "database or disk is full" in instance.log, what="that it cannot be written")
            for account, others in zip(accounts, [[("refused", 1)], []]):
                wait_until(lambda name=account.address: rows(instance, name), what="its events")
                found = [(row["event"], row["count"]) for row in events(instance, account.address)]
                assert found == [("login", 2), *others]
        finally:
            instance.finish()


def test_who_writes_is_replaced_and_replaces(instance):
    """As when one admin follows another: none of what happens is lost in between."""
    accounts = [customer.accounts[0] for customer in instance.customers]
    instance.pop3(accounts[0]).quit()
    wait_until(lambda: rows(instance, accounts[0].address))
    with instance.wire("run/auth-control.sock") as other:
        other.send(message(PING) + message(TAKE))
        assert hear(other) == (PONG, b"")
        instance.pop3(accounts[1]).quit()
        kind, payload = hear(other)
        assert kind == EVENT and accounts[1].address.encode() in payload
        assert rows(instance, accounts[1].address) == []
    wait_until(lambda: rows(instance, accounts[1].address) == [("login", 1)])


@pytest.mark.parametrize("wrong", [
    message(200), message(EVENT, bytes(64)), message(PING, b"x"), message(FLUSHED),
    message(TAKE) + message(TAKE), message(PING, version=9), b"AUTH\t1\tPLAIN\n" * 10,
], ids=["type", "event", "size", "answer", "twice", "version", "words"])
def test_who_breaks_the_rules_is_closed(shared, wrong):
    [pid] = wait_until(lambda: shared.pids().get("authd"))
    with shared.wire("run/auth-control.sock") as wire:
        wire.send(wrong)
        while hear(wire) is not None:
            pass
    shared.pop3(shared.customers[0].accounts[0]).quit()
    assert shared.pids()["authd"] == [pid]
