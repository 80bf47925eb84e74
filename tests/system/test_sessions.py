"""POP3 sessions: which there are, and that they end when their owners may not be logged in any more."""

import json
import re
import signal
import socket
import sqlite3
import time
from contextlib import ExitStack, closing

from bellhop import Account, signal_process, state, wait_until
from test_pop3 import greeted, log_in, logged_in

SOON = 10  # seconds; it takes a quarter of one, on a machine that does nothing else
ROUNDS = 2.5  # seconds in which all that is to be ended has been told twice
LARGE = b"Subject: large\r\n\r\n" + 700_000 * (b"x" * 70 + b"\r\n")  # 50 MB


def assert_ended(wire):
    """Without a word."""
    wire.sock.settimeout(SOON)
    assert wire.file.read(1) == b""


def assert_goes_on(wire):
    assert wire.command("NOOP").startswith(b"+OK")


def change_password(instance, account, password):
    instance.cli("address", "passwd", account.address, "--password-stdin", input=password + "\n")
    return Account(account.address, password)


def test_a_suspended_customers_sessions_end_and_no_others(instance):
    hotel, group = instance.customers
    for account in (hotel.accounts[0], group.accounts[0]):
        instance.deliver([account.address], b"Subject: one\r\n\r\ntext\r\n")
    with ExitStack() as stack:
        wires = [stack.enter_context(logged_in(instance, account, service))
                 for account, service in zip(hotel.accounts, ("pop3", "pop3s", "pop3"))]
        other = stack.enter_context(logged_in(instance, group.accounts[0], "pop3s"))
        for wire in (wires[0], other):
            assert wire.command("DELE 1").startswith(b"+OK")
        instance.cli("customer", "suspend", hotel.name)
        for wire in wires:
            assert_ended(wire)
        with greeted(instance) as wire:
            assert log_in(wire, hotel.accounts[0]).startswith(b"-ERR [SYS/PERM]")
        instance.cli("customer", "resume", hotel.name)
        # The mailbox is free, and what was marked has stayed (RFC 1939 section 6).
        with logged_in(instance, hotel.accounts[0]) as wire:
            assert wire.command("STAT").startswith(b"+OK 1 ")
            time.sleep(ROUNDS)
            assert_goes_on(wire)
        assert other.command("QUIT").startswith(b"+OK")
    assert instance.messages(group.accounts[0]) == {}
    assert instance.log.count("end=logged-out") == 3


def test_a_message_on_its_way_ends_without_its_last_line(instance):
    hotel = instance.customers[0]
    account = hotel.accounts[0]
    instance.deliver([account.address], LARGE)
    with logged_in(instance, account) as wire:
        assert wire.command("RETR 1").startswith(b"+OK")
        instance.cli("customer", "suspend", hotel.name)
        wait_until(lambda: "end=logged-out" in instance.log)
        wire.sock.settimeout(SOON)
        rest = wire.file.read()
    assert 0 < len(rest) < len(LARGE) and not rest.endswith(b"\r\n.\r\n")
    instance.cli("customer", "resume", hotel.name)
    [whole] = instance.messages(account).values()
    assert len(whole) > len(LARGE)


def test_a_client_that_does_not_read_has_no_session(instance):
    """Neither does its mailbox wait for it."""
    hotel = instance.customers[0]
    account = hotel.accounts[0]
    instance.deliver([account.address], LARGE[:5_000_000])
    with greeted(instance) as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert log_in(wire, account).startswith(b"+OK")
        wire.send(b"RETR 1\r\n" * 20)
        account = change_password(instance, account, "another one")
        wait_until(lambda: "end=logged-out" in instance.log)
        assert len(instance.messages(account)) == 1


def test_a_new_password_ends_the_sessions_of_the_old_one(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    with logged_in(instance, ours) as old, logged_in(instance, theirs) as other:
        ours = change_password(instance, ours, "another one")
        assert_ended(old)
        with logged_in(instance, ours) as new:
            time.sleep(ROUNDS)
            assert_goes_on(new)
        assert_goes_on(other)


def test_a_login_is_not_ended_by_what_came_before_it(instance):
    """Also where all happens within a moment."""
    ours = instance.customers[0].accounts[0]
    for number in range(4):
        ours = change_password(instance, ours, f"another key {number}")
        with logged_in(instance, ours) as wire:
            time.sleep(ROUNDS if number == 3 else 0.1)
            assert_goes_on(wire)


def test_a_removed_mailbox_loses_its_session_and_its_mail(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    instance.deliver([ours.address], b"Subject: one\r\n\r\ntext\r\n")
    with logged_in(instance, ours) as wire, logged_in(instance, theirs) as other:
        instance.cli("address", "remove", ours.address, "--now")
        assert_ended(wire)
        wait_until(lambda: "stored[" in instance.log and "dropped mailbox=" in instance.log)
        assert_goes_on(other)


def test_a_lost_phone_is_logged_out(instance):
    ours = instance.customers[0].accounts[0]
    made = instance.cli("app-password", "add", ours.address, "--name", "phone")
    phone = made.stdout.split()[-1]
    with greeted(instance) as wire:
        wire.command(f"USER {ours.address}")
        assert wire.command(f"PASS {phone}").startswith(b"+OK")
        instance.cli("app-password", "remove", ours.address, "phone")
        assert_ended(wire)


def test_a_crash_of_admin_loses_no_end(instance):
    account = instance.customers[0].accounts[0]
    for _ in range(3):
        [pid] = instance.pids()["admin"]
        with logged_in(instance, account) as wire:
            signal_process(pid, signal.SIGKILL)
            account = change_password(instance, account, account.password + " and more")
            assert_ended(wire)


def test_a_crash_of_stored_gives_nothing_back(instance):
    """Its sessions end with it: what pop3d still knows is no mail."""
    hotel, group = instance.customers
    [pid] = instance.pids()["stored"]
    instance.deliver([hotel.accounts[0].address], b"Subject: one\r\n\r\ntext\r\n")
    with logged_in(instance, hotel.accounts[0]) as wire:
        signal_process(pid, signal.SIGSTOP)
        wait_until(lambda: state(pid) == "T")
        instance.cli("customer", "suspend", hotel.name)
        signal_process(pid, signal.SIGKILL)
        instance.wait_healthy()
        assert wire.command("RETR 1").startswith(b"-ERR [SYS/TEMP]")
    with greeted(instance) as wire:
        assert log_in(wire, hotel.accounts[0]).startswith(b"-ERR [SYS/PERM]")
    instance.pop3(group.accounts[0]).quit()


def test_who_has_been_checked_before_does_not_stay_behind_it(instance):
    """The login is good when authd answers, and suspended when stored opens its mailbox."""
    hotel = instance.customers[0]
    [pid] = instance.pids()["stored"]
    with greeted(instance) as wire:
        signal_process(pid, signal.SIGSTOP)
        wait_until(lambda: state(pid) == "T")
        wire.command(f"USER {hotel.accounts[0].address}")
        wire.send(f"PASS {hotel.accounts[0].password}\r\n".encode())
        wait_until(lambda: f"login address={hotel.accounts[0].address}" in instance.log)
        instance.cli("customer", "suspend", hotel.name)
        time.sleep(1)
        signal_process(pid, signal.SIGCONT)
        wire.sock.settimeout(SOON)
        assert wire.file.read().startswith((b"+OK", b"-ERR [SYS/TEMP]"))  # and the connection ends


def test_a_thousand_sessions_end_at_once(stopped, capsys):
    """Of ten customers who are suspended in one transaction."""
    names = [f"Hotel {number}" for number in range(10)]
    guests = [f"guest{number}@hotel{number % 10}.example" for number in range(1000)]
    table = stopped.dir / "guests.csv"
    for number, name in enumerate(names):
        stopped.cli("customer", "add", name, "--plan", "chain")
        stopped.cli("domain", "add", f"hotel{number}.example", "--customer", name)
        table.write_text("address,password\n" + "".join(f"{guest},one password\n" for guest in guests[number::10]))
        stopped.cli("address", "import", table, "--customer", name)
    stopped.start()
    with ExitStack() as stack:
        other = stack.enter_context(logged_in(stopped, stopped.customers[0].accounts[0]))
        wires = [stack.enter_context(closing(logged_in(stopped, Account(guest, "one password")))) for guest in guests]
        with closing(sqlite3.connect(stopped.dir / "accounts.db")) as database, database:
            database.execute("UPDATE any_customer SET suspended = 1 WHERE name LIKE 'Hotel _'")
        suspended = time.monotonic()
        for wire in wires:
            assert_ended(wire)
        took = time.monotonic() - suspended
        assert_goes_on(other)
    with capsys.disabled():
        print(f"\n{len(guests)} sessions ended {took:.2f} s after their customers were suspended")
    assert took < SOON


def sessions(instance, *arguments):
    return json.loads(instance.cli("session", "list", *arguments, "--json").stdout)


def test_the_list_tells_who_is_logged_in(instance):
    hotel, group = instance.customers
    instance.deliver([hotel.accounts[0].address], b"Subject: one\r\n\r\ntext\r\n")
    assert sessions(instance) == []
    with (logged_in(instance, hotel.accounts[0]) as wire, logged_in(instance, hotel.accounts[1], "pop3s"),
          logged_in(instance, group.accounts[0]), greeted(instance)):
        assert wire.command("RETR 1").startswith(b"+OK")
        size = sum(len(line) + 2 for line in wire.lines())
        listed = {row["address"]: row for row in sessions(instance)}
        assert list(listed) == [hotel.accounts[0].address, hotel.accounts[1].address, group.accounts[0].address]
        first = listed[hotel.accounts[0].address]
        assert f"session={first['session']} " in instance.log
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.pop("since"))
        del first["session"]
        assert first == {"address": hotel.accounts[0].address, "customer": hotel.name, "remote": "127.0.0.1",
                         "tls": None, "messages": 1, "read_bytes": size}
        assert listed[hotel.accounts[1].address]["tls"] == "TLSv1.3"
        assert [row["address"] for row in sessions(instance, "--customer", group.name)] == [group.accounts[0].address]
        assert [row["address"] for row in sessions(instance, hotel.accounts[1].address)] == [hotel.accounts[1].address]
        assert sessions(instance, hotel.accounts[2].address) == []
        table = instance.cli("session", "list").stdout.splitlines()
        assert table[0].split() == ["ADDRESS", "CUSTOMER", "SINCE", "FROM", "TLS", "MESSAGES", "READ", "SESSION"]
        assert len(table) == 4
        wire.command("QUIT")
    wait_until(lambda: sessions(instance) == [])


def actions(instance, customer):
    with closing(sqlite3.connect(instance.dir / "accounts.db")) as database:
        return database.execute("SELECT object FROM audit JOIN customer ON customer.id = audit.customer"
                                " WHERE action = 'session.end' AND name = ? ORDER BY audit.id", [customer.name]).fetchall()


def test_an_operator_ends_sessions(instance):
    hotel, group = instance.customers
    with logged_in(instance, hotel.accounts[0]) as one, logged_in(instance, hotel.accounts[1]) as two, \
            logged_in(instance, group.accounts[0]) as other:
        assert instance.cli("session", "end", hotel.accounts[0].address).stdout == "1 session ended\n"
        assert_ended(one)
        # The mailbox is free at once, whatever its plan wants between two logins.
        with logged_in(instance, hotel.accounts[0]) as again:
            assert_goes_on(two)
            assert instance.cli("session", "end", "--customer", hotel.name).stdout == "2 sessions ended\n"
            assert_ended(again)
            assert_ended(two)
        with logged_in(instance, hotel.accounts[0]) as last:
            time.sleep(ROUNDS)
            assert_goes_on(last)
        assert_goes_on(other)
    assert actions(instance, hotel) == [(hotel.accounts[0].address,), (hotel.name,)]
    assert actions(instance, group) == []


def test_what_cannot_be_listed_or_ended_is_said(instance):
    hotel = instance.customers[0]
    for arguments, words in ((["end", hotel.accounts[0].address], "nobody is logged in there"),
                             (["end", "--customer", hotel.name], "nobody is logged in there"),
                             (["end", "--customer", "Nobody"], "Nobody"),
                             (["list", "nobody@nowhere.example"], "nobody@nowhere.example")):
        done = instance.cli("session", *arguments, check=False)
        assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1
    instance.stop()
    done = instance.cli("session", "list", check=False)
    assert done.returncode == 1 and "the service is not running" in done.stderr
    assert actions(instance, hotel) == []
