"""POP3 on the wire: every command's good and bad cases, octet by octet where it matters."""

import base64
import os
import re
import select
import signal
import socket
import ssl
import time

import pytest

from bellhop import sanitized, wait_until
from wire import Wire

DOTS = (b"Subject: dots\r\n\r\n.\r\n..\r\n.first\r\nplain\r\n.\r\n")
DOT_FIRST = b".Odd: header\r\nSubject: dot first\r\n\r\nbody\r\n"
LINES = b"Subject: lines\r\n\r\n" + b"".join(b"line %d\r\n" % n for n in range(1, 6))


def b64(text) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def plain(account) -> str:
    return b64(f"\0{account.address}\0{account.password}")


def greeted(instance, service="pop3") -> Wire:
    wire = instance.wire(service)
    assert wire.line() == b"+OK Bellhop ready"
    return wire


def log_in(wire, account) -> bytes:
    assert wire.command(f"USER {account.address}").startswith(b"+OK")
    return wire.command(f"PASS {account.password}")


def logged_in(instance, account, service="pop3") -> Wire:
    wire = greeted(instance, service)
    assert log_in(wire, account).startswith(b"+OK")
    return wire


def capabilities(wire) -> dict[str, list[str]]:
    assert wire.command("CAPA").startswith(b"+OK")
    return {line.split()[0]: line.split()[1:] for line in map(bytes.decode, wire.lines())}


def listing(wire, command) -> list[bytes]:
    assert wire.command(command).startswith(b"+OK")
    return wire.lines()


def is_closed(wire) -> bool:
    """Whether the server closes without a word."""
    return wire.file.read(1) == b""


@pytest.fixture(scope="module")
def inbox(shared):
    """An account with five messages that no test deletes."""
    account = shared.customers[0].accounts[0]
    for message in (LINES, DOTS, DOT_FIRST, b"Subject: no body\r\n", LINES * 3000):
        assert shared.deliver(account.address, message)[0].code == 250
    return account


@pytest.fixture
def wire(shared, inbox):
    with logged_in(shared, inbox) as wire:
        yield wire


# --- AUTHORIZATION


def test_capabilities_before_and_after_login(shared, inbox):
    with greeted(shared) as wire:
        before = capabilities(wire)
        assert log_in(wire, inbox).startswith(b"+OK")
        after = capabilities(wire)
    expected = {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "USER", "SASL",
                "EXPIRE", "LOGIN-DELAY", "UTF8", "LANG"}
    assert set(before) == expected | {"STLS"}
    assert set(after) == expected | {"IMPLEMENTATION"}
    assert "PLAIN" in before["SASL"] and before["SASL"] == after["SASL"]


@pytest.mark.parametrize("command", ["STAT", "LIST", "RETR 1", "DELE 1", "TOP 1 0", "UIDL", "NOOP",
                                     "RSET"])
def test_transaction_commands_need_a_login(shared, command):
    with greeted(shared) as wire:
        assert wire.command(command).startswith(b"-ERR ")
        assert wire.command("QUIT").startswith(b"+OK")


@pytest.mark.parametrize("command", ["USER x", "PASS x", "AUTH PLAIN", "STLS", "APOP x y", "", " ",
                                     "XYZZY", "LIST 1 2", "STAT 1", "NOOP x", "TOP 1", "TOP",
                                     "TOP 1 2 3", "RETR", "DELE", "RETR  1", "QUIT now", "RETR\t1"])
def test_refused_after_login(wire, command):
    answer = wire.command(command)
    assert answer.startswith(b"-ERR ") and not answer.startswith(b"-ERR [")
    assert wire.command("NOOP") == b"+OK"


@pytest.mark.parametrize("keyword", ["quit", "QuIt", "QUIT", "QUIT "])
def test_keywords_in_any_case(shared, keyword):
    with greeted(shared) as wire:
        assert wire.command(keyword).startswith(b"+OK")
        assert is_closed(wire)


def test_wrong_password_and_unknown_user_look_alike(shared, inbox):
    answers = set()
    for address in (inbox.address, "nobody@quayside.example"):
        with greeted(shared) as wire:
            assert wire.command(f"USER {address}") == b"+OK send the password"
            answers.add(wire.command("PASS not this one"))
    assert len(answers) == 1 and answers.pop().startswith(b"-ERR [AUTH] ")


def test_three_failed_logins_disconnect(shared, inbox):
    with greeted(shared) as wire:
        for _ in range(3):
            wire.command(f"USER {inbox.address}")
            assert wire.command("PASS wrong password").startswith(b"-ERR [AUTH] ")
        assert is_closed(wire)


def test_pass_only_right_after_user(shared, inbox):
    with greeted(shared) as wire:
        assert wire.command(f"PASS {inbox.password}").startswith(b"-ERR ")
        wire.command(f"USER {inbox.address}")
        wire.command("NOOP")
        assert wire.command(f"PASS {inbox.password}").startswith(b"-ERR ")
        assert log_in(wire, inbox).startswith(b"+OK")


def test_password_with_spaces(instance):
    account = instance.address(instance.customers[0], "spaces", "  two  spaces each  ")
    with logged_in(instance, account):
        pass


def test_user_is_forgotten_after_a_failure(shared, inbox):
    with greeted(shared) as wire:
        wire.command(f"USER {inbox.address}")
        assert wire.command("PASS wrong password").startswith(b"-ERR [AUTH]")
        answer = wire.command(f"PASS {inbox.password}")
        assert answer.startswith(b"-ERR ") and b"[AUTH]" not in answer


def test_auth_plain(shared, inbox):
    with greeted(shared) as wire:
        assert wire.command(f"AUTH PLAIN {plain(inbox)}").startswith(b"+OK")
        assert wire.command("AUTH PLAIN").startswith(b"-ERR ")
    with greeted(shared) as wire:
        assert wire.command("auth plain") == b"+ "
        assert wire.command(plain(inbox)).startswith(b"+OK")


def test_auth_login(shared, inbox):
    with greeted(shared) as wire:
        assert wire.command("AUTH LOGIN").startswith(b"+ ")
        assert wire.command(b64(inbox.address)).startswith(b"+ ")
        assert wire.command(b64(inbox.password)).startswith(b"+OK")


def test_auth_refusals(shared, inbox):
    with greeted(shared) as wire:
        assert wire.command("AUTH NOSUCH").startswith(b"-ERR ")
        assert wire.command("AUTH PLAIN not!base64").startswith(b"-ERR ")
        assert wire.command("AUTH PLAIN") == b"+ "
        assert wire.command("*").startswith(b"-ERR ")
        assert wire.command("AUTH PLAIN") == b"+ "
        assert wire.command("not base64").startswith(b"-ERR ")
        assert wire.command("AUTH PLAIN ====").startswith(b"-ERR ")
        answer = wire.command(f"AUTH PLAIN {b64('no nul at all')}")
        assert answer.startswith(b"-ERR ") and b"[" not in answer  # no matter of the password
        assert wire.command("AUTH PLAIN =").startswith(b"-ERR ")
        assert wire.command(f"AUTH PLAIN {b64(f'somebody{chr(0)}{inbox.address}{chr(0)}{inbox.password}')}") == (
            b"-ERR [SYS/PERM] nobody can log in for somebody else here")
        assert wire.command("CAPA").startswith(b"+OK")
        wire.lines()
        assert wire.command(f"AUTH PLAIN {plain(inbox)}").startswith(b"+OK")


def test_auth_line_of_8_kib(shared):
    long = b64(b"\0" + b"u" * 3000 + b"\0" + b"p" * 3100)
    assert 8000 < len(long) <= 8192
    with greeted(shared) as wire:
        assert wire.command(f"AUTH PLAIN {long}").startswith(b"-ERR ")
        assert wire.command("AUTH PLAIN") == b"+ "
        assert wire.command(long).startswith(b"-ERR ")
    with greeted(shared) as wire:
        assert wire.command("AUTH PLAIN") == b"+ "
        assert wire.command("A" * 20000).startswith(b"-ERR ")
        assert wire.command("QUIT").startswith(b"+OK")


def test_suspended_is_no_matter_of_the_password(instance):
    hotel, group = instance.customers
    instance.cli("customer", "suspend", hotel.name)
    with greeted(instance) as wire:
        for _ in range(4):  # nobody guesses here: no limit ends it
            assert log_in(wire, hotel.accounts[0]).startswith(b"-ERR [SYS/PERM] ")
        assert log_in(wire, group.accounts[0]).startswith(b"+OK")
    instance.cli("customer", "resume", hotel.name)
    with logged_in(instance, hotel.accounts[0]):
        pass


def test_in_use(shared, inbox, wire):
    with greeted(shared) as other:
        wire.command("NOOP")
        assert log_in(other, inbox).startswith(b"-ERR [IN-USE] ")
        assert wire.command("QUIT").startswith(b"+OK")
        assert is_closed(wire)
        assert log_in(other, inbox).startswith(b"+OK")


def test_lost_connection_frees_the_mailbox(shared, inbox):
    for _ in range(5):
        logged_in(shared, inbox).close()
    with logged_in(shared, inbox):
        pass


def own_address():
    """An address of this machine that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def test_no_password_without_tls_from_elsewhere(instance):
    address = own_address()
    if address is None or address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    account = instance.customers[0].accounts[0]

    def elsewhere():
        wire = Wire((address, instance.ports.pop3))
        assert wire.line().startswith(b"+OK")
        return wire

    with elsewhere() as wire:
        found = capabilities(wire)
        assert "STLS" in found and "USER" not in found and "SASL" not in found
        for command in (f"USER {account.address}", "PASS x", "AUTH PLAIN",
                        f"AUTH PLAIN {plain(account)}"):
            answer = wire.command(command)
            assert answer.startswith(b"-ERR ") and b"TLS" in answer and b"[" not in answer
        wire.command("STLS")
        wire.start_tls(instance.tls)
        assert "USER" in capabilities(wire)
        assert log_in(wire, account).startswith(b"+OK")
        wire.command("QUIT")
    instance.configure(cleartext_login="yes")
    instance.process.send_signal(signal.SIGHUP)

    def allowed():
        with elsewhere() as wire:
            return "USER" in capabilities(wire)

    wait_until(allowed, what="the new setting")
    with elsewhere() as wire:
        assert log_in(wire, account).startswith(b"+OK")


# --- lines


def test_one_octet_a_write(shared, inbox):
    with greeted(shared) as wire:
        commands = (f"USER {inbox.address}\r\nPASS {inbox.password}\r\nSTAT\r\nTOP 1 1\r\n"
                    "NOOP\nQUIT\r\n")
        for octet in commands.encode():
            wire.send(bytes([octet]))
        assert wire.line() == b"+OK send the password"
        assert wire.line().startswith(b"+OK 5 messages")
        assert wire.line().startswith(b"+OK 5 ")
        assert wire.line() == b"+OK" and wire.lines()[-2:] == [b"", b"line 1"]
        assert wire.file.read() == b"+OK\r\n+OK goodbye\r\n"


def test_pipelined_in_one_write(shared, inbox):
    with greeted(shared) as wire:
        wire.send(f"USER {inbox.address}\r\nPASS {inbox.password}\r\nSTAT\r\nRETR 1\r\nRETR 99\r\n"
                  "RETR 2\r\nRETR x\r\nTOP 3 0\r\nNOOP\r\nRETR 4\r\nLIST 1\r\nBAD\r\n"
                  "RETR 5\r\nDELE 5\r\nRETR 5\r\nRSET\r\nQUIT\r\nNOOP\r\n".encode())
        assert wire.line() == b"+OK send the password"
        assert wire.line().startswith(b"+OK 5 messages")
        assert re.fullmatch(rb"\+OK 5 \d+", wire.line())
        assert wire.line().startswith(b"+OK") and wire.lines()[-5:] == LINES.split(b"\r\n")[2:-1]
        assert wire.line() == b"-ERR no such message"
        assert wire.line().startswith(b"+OK") and wire.lines()[-5:] == DOTS.split(b"\r\n")[2:-1]
        assert wire.line().startswith(b"-ERR ")
        assert wire.line().startswith(b"+OK") and wire.lines()[-1] == b""
        assert wire.line() == b"+OK"
        assert wire.line().startswith(b"+OK") and wire.lines()[-1] == b"Subject: no body"
        assert re.fullmatch(rb"\+OK 1 \d+", wire.line())
        assert wire.line().startswith(b"-ERR ")
        assert wire.line().startswith(b"+OK") and b"line 5" in wire.lines()
        assert wire.line().startswith(b"+OK")
        assert wire.line().startswith(b"-ERR ")
        assert wire.line().startswith(b"+OK")
        assert wire.line() == b"+OK goodbye"
        assert is_closed(wire)


def test_half_closed_client_gets_its_answers(shared, inbox):
    with greeted(shared) as wire:
        wire.send(f"USER {inbox.address}\r\nPASS {inbox.password}\r\nRETR 5\r\nSTAT\r\n".encode())
        wire.sock.shutdown(socket.SHUT_WR)
        answers = wire.file.read()
        assert re.search(rb"\r\n\.\r\n\+OK 5 \d+\r\n$", answers)


def test_line_length(wire):
    assert wire.command("NOOP" + " " * 249) == b"+OK"
    for length in (250, 4000, 8192, 8300, 100_000):
        answer = wire.command("NOOP" + " " * length)
        assert answer == b"-ERR line too long"
        assert wire.command("NOOP") == b"+OK"


def test_nul_voids_a_line(wire):
    assert wire.command(b"QUIT\0").startswith(b"-ERR ")
    assert wire.command(b"\0QUIT").startswith(b"-ERR ")
    assert wire.command("NOOP") == b"+OK"


def test_too_many_bad_commands_disconnect(shared):
    with greeted(shared) as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + b"X-Header: x\r\n" * 20)
        answers = wire.file.read().splitlines()
    assert 3 <= len(answers) <= 12 and all(line.startswith(b"-ERR ") for line in answers)


def test_good_commands_forgive_bad_ones(wire):
    for _ in range(12):
        for _ in range(3):
            assert wire.command("XYZZY").startswith(b"-ERR ")
        assert wire.command("NOOP") == b"+OK"


# --- TRANSACTION


def test_stat_list_and_retr_agree(wire):
    answer = re.fullmatch(rb"\+OK (\d+) (\d+)", wire.command("STAT"))
    sizes = [int(line.split()[1]) for line in listing(wire, "LIST")]
    assert len(sizes) == int(answer[1]) and sum(sizes) == int(answer[2])
    for number, size in enumerate(sizes, 1):
        assert wire.command(f"LIST {number}") == b"+OK %d %d" % (number, size)
        assert wire.command(f"RETR {number}") == b"+OK %d octets" % size
        assert sum(len(line) + 2 for line in wire.lines()) == size


def test_dots(wire):
    assert wire.command("RETR 2").startswith(b"+OK")
    assert wire.lines()[-5:] == [b".", b"..", b".first", b"plain", b"."]
    assert wire.command("RETR 3").startswith(b"+OK")
    assert wire.lines()[-4:] == [b".Odd: header", b"Subject: dot first", b"", b"body"]


@pytest.mark.parametrize("lines", [0, 1, 4, 5, 6, 4294967296, 10**40])
def test_top(wire, lines):
    assert wire.command("RETR 1").startswith(b"+OK")
    whole = wire.lines()
    header = whole.index(b"") + 1
    assert wire.command(f"TOP 1 {lines}").startswith(b"+OK")
    assert wire.lines() == whole[:header + min(lines, 5)]


def test_top_of_other_shapes(wire):
    for number, lines, last in ((4, 0, b"Subject: no body"), (4, 9, b"Subject: no body"),
                                (2, 0, b""), (2, 1, b"."), (2, 2, b".."), (3, 0, b"")):
        assert wire.command(f"TOP {number} {lines}").startswith(b"+OK")
        assert wire.lines()[-1] == last
    assert wire.command("RETR 5").startswith(b"+OK")
    whole = wire.lines()
    for lines in (1, 100, 5000, len(whole), 10**9):
        header = whole.index(b"") + 1
        assert wire.command(f"TOP 5 {lines}").startswith(b"+OK")
        assert wire.lines() == whole[:header + lines]
    for command in ("TOP 1 -1", "TOP 1 x", "TOP 0 0", "TOP 6 0", "TOP x 0"):
        assert wire.command(command).startswith(b"-ERR ")


@pytest.mark.parametrize("command", ["RETR", "DELE", "LIST", "UIDL"])
@pytest.mark.parametrize("number", ["0", "6", "-1", "+1", "x", "1x", "4294967297",
                                    "18446744073709551617", "9" * 100])
def test_no_such_number(wire, command, number):
    assert wire.command(f"{command} {number}").startswith(b"-ERR ")


def test_unique_ids(shared, inbox, wire):
    found = [line.split() for line in listing(wire, "UIDL")]
    assert [number for number, _ in found] == [b"1", b"2", b"3", b"4", b"5"]
    uids = [uid for _, uid in found]
    assert len(set(uids)) == 5
    for number, uid in enumerate(uids, 1):
        assert re.fullmatch(rb"[0-9a-f]+\.[0-9a-f]+", uid)
        assert wire.command(f"UIDL {number}") == b"+OK %d %s" % (number, uid)
    wire.command("QUIT")
    with logged_in(shared, inbox) as again:
        assert [line.split()[1] for line in listing(again, "UIDL")] == uids


def test_delete_and_reset(wire):
    before = wire.command("STAT")
    size = int(wire.command("LIST 2").split()[2])
    assert wire.command("DELE 2").startswith(b"+OK")
    for command in ("DELE 2", "RETR 2", "LIST 2", "UIDL 2", "TOP 2 0"):
        assert wire.command(command).startswith(b"-ERR ")
    _, messages, octets = before.split()
    assert wire.command("STAT") == b"+OK %d %d" % (int(messages) - 1, int(octets) - size)
    for command in ("LIST", "UIDL"):
        numbers = [line.split()[0] for line in listing(wire, command)]
        assert numbers == [b"1", b"3", b"4", b"5"]
    assert wire.command("RETR 3").startswith(b"+OK")
    wire.lines()
    assert wire.command("RSET").startswith(b"+OK")
    assert wire.command("STAT") == before
    assert wire.command("RETR 2").startswith(b"+OK")
    wire.lines()


def test_empty_mailbox(shared):
    with logged_in(shared, shared.customers[1].accounts[2]) as wire:
        assert wire.command("STAT") == b"+OK 0 0"
        assert listing(wire, "LIST") == [] and listing(wire, "UIDL") == []
        assert wire.command("RETR 1").startswith(b"-ERR ")
        assert wire.command("RSET").startswith(b"+OK")
        assert wire.command("QUIT") == b"+OK goodbye"


# --- UPDATE


def fill(instance, account, count):
    for number in range(count):
        message = b"Subject: %d\r\n\r\nnumber %d\r\n" % (number, number)
        assert instance.deliver(account.address, message)[0].code == 250


def uids(instance, account):
    with logged_in(instance, account) as wire:
        found = [line.split()[1] for line in listing(wire, "UIDL")]
        wire.command("QUIT")
    return found


def test_deletes_only_at_quit(instance):
    account, other = instance.customers[0].accounts[0], instance.customers[1].accounts[0]
    fill(instance, account, 4)
    fill(instance, other, 2)
    kept = uids(instance, other)
    before = uids(instance, account)
    with logged_in(instance, account) as wire:
        assert wire.command("DELE 1").startswith(b"+OK")
    assert uids(instance, account) == before
    with logged_in(instance, account) as wire:
        wire.command("DELE 1")
        wire.command("DELE 3")
        wire.command("DELE 4")
        wire.command("RSET")
        wire.command("DELE 2")
        assert wire.command("QUIT") == b"+OK goodbye"
        assert is_closed(wire)
    assert uids(instance, account) == [before[0], *before[2:]]
    assert uids(instance, other) == kept
    instance.restart()
    assert uids(instance, account) == [before[0], *before[2:]]
    fill(instance, account, 1)
    assert len(set(uids(instance, account)) | set(before)) == 5


def test_quit_is_carried_out_for_a_client_that_has_gone(instance):
    account = instance.customers[0].accounts[0]
    fill(instance, account, 3)
    wire = logged_in(instance, account)
    wire.send(b"DELE 1\r\nDELE 2\r\nQUIT\r\n")
    wire.close()
    wait_until(lambda: len(uids(instance, account)) == 1, what="the deletion")


# --- the neighbours


def wait_for_login(instance, account):
    """Until a login succeeds; before that it is [SYS/TEMP] and nothing else."""
    def succeeds():
        with greeted(instance) as wire:
            answer = log_in(wire, account)
            wire.command("QUIT")
        assert answer.startswith((b"+OK", b"-ERR [SYS/TEMP] ")), answer
        return answer.startswith(b"+OK")

    wait_until(succeeds, what="a login")


def test_stored_is_killed(instance):
    """Own memory still answers; what needs the store says [SYS/TEMP] and closes; logins come back."""
    account, other = (customer.accounts[0] for customer in instance.customers)
    fill(instance, account, 2)
    with (logged_in(instance, account) as reader, greeted(instance) as guest,
          logged_in(instance, other) as deleter):
        [pid] = instance.pids()["stored"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "connection to stored is lost" in instance.log)
        assert reader.command("STAT").startswith(b"+OK 2 ")
        assert len(listing(reader, "LIST")) == 2
        assert len(listing(reader, "UIDL")) == 2
        assert reader.command("DELE 1").startswith(b"+OK")
        assert reader.command("RSET").startswith(b"+OK")
        assert reader.command("NOOP") == b"+OK"
        assert reader.command("RETR 1").startswith(b"-ERR [SYS/TEMP] ")
        assert is_closed(reader)
        assert guest.command("CAPA").startswith(b"+OK")
        guest.lines()
        wait_for_login(instance, account)
        assert log_in(guest, account).startswith(b"+OK 2 ")
        guest.command("QUIT")
        assert deleter.command("QUIT").startswith(b"+OK")


def test_quit_with_deletions_after_stored_was_killed(instance):
    account = instance.customers[0].accounts[0]
    fill(instance, account, 2)
    with logged_in(instance, account) as wire:
        assert wire.command("DELE 1").startswith(b"+OK")
        [pid] = instance.pids()["stored"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "connection to stored is lost" in instance.log)
        assert wire.command("QUIT").startswith(b"-ERR [SYS/TEMP] ")
        assert is_closed(wire)
    wait_for_login(instance, account)
    assert len(uids(instance, account)) == 2


def test_no_final_dot_after_a_failed_read(instance):
    """stored dies in the middle of a message: the connection ends, the answer does not."""
    account = instance.customers[0].accounts[0]
    message = b"Subject: large\r\n\r\n" + b"a line of a large message\r\n" * 400_000
    assert instance.deliver(account.address, message)[0].code == 250
    with logged_in(instance, account) as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert wire.command("RETR 1").startswith(b"+OK")
        [pid] = instance.pids()["stored"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "connection to stored is lost" in instance.log)
        rest = wire.file.read()
    assert len(rest) < len(message) and not rest.endswith(b"\r\n.\r\n")


def test_damaged_message(instance):
    """One damaged message is [SYS/PERM]; it takes nothing else with it."""
    account = instance.customers[0].accounts[0]
    for word in (b"before", b"damaged", b"after"):
        message = b"Subject: x\r\n\r\nthis one is %s\r\n" % word
        assert instance.deliver(account.address, message)[0].code == 250
    for path in (instance.dir / "store").iterdir():
        place = path.read_bytes().find(b"this one is damaged")
        if place >= 0:
            with path.open("r+b") as file:
                file.seek(place)
                file.write(b"T")
    with logged_in(instance, account) as wire:
        wire.send(b"RETR 1\r\nRETR 2\r\nTOP 2 0\r\nRETR 3\r\nNOOP\r\n")
        assert wire.line().startswith(b"+OK") and wire.lines()[-1] == b"this one is before"
        assert wire.line().startswith(b"-ERR [SYS/PERM] ")
        assert wire.line().startswith(b"-ERR [SYS/PERM] ")
        assert wire.line().startswith(b"+OK") and wire.lines()[-1] == b"this one is after"
        assert wire.line() == b"+OK"


def test_goodbye_comes_whatever_follows_quit(instance):
    """More than is read at once, so that the connection is closed with octets that nobody has read."""
    with logged_in(instance, instance.customers[0].accounts[0]) as wire:
        wire.send(b"QUIT\r\n" + b"x" * 8192)
        assert wire.line() == b"+OK goodbye"


@pytest.mark.parametrize("name", ["stored", "authd"])
def test_logins_wait_for_a_neighbour_that_is_being_started(instance, name):
    """Once its loss is known, no login fails for it."""
    account = instance.customers[0].accounts[0]
    fronts = len(instance.pids()["pop3d"])

    def all_have_logged_in():
        """Only a front that had a connection can lose it."""
        with logged_in(instance, account) as wire:
            wire.command("QUIT")
        served = re.findall(r"pop3d\[(\d+)\]: .* end=quit", instance.log)
        return set(map(int, served)) == set(instance.pids()["pop3d"])

    wait_until(all_have_logged_in)
    [pid] = instance.pids()[name]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: instance.log.count(f"connection to {name} is lost") == fronts)
    for _ in range(2 * fronts):
        with greeted(instance) as wire:
            assert log_in(wire, account).startswith(b"+OK")
            wire.command("QUIT")


def test_authd_is_killed(instance):
    """Sessions go on, and the next logins succeed once it is back."""
    account, other = (customer.accounts[0] for customer in instance.customers)
    with logged_in(instance, account) as wire:
        [pid] = instance.pids()["authd"]
        os.kill(pid, signal.SIGKILL)
        assert wire.command("STAT") == b"+OK 0 0"
        wait_for_login(instance, other)
        assert wire.command("STAT") == b"+OK 0 0"


def test_one_pop3d_is_killed(instance):
    """Its locks go with it; the others serve on."""
    account = instance.customers[0].accounts[0]
    wire = logged_in(instance, account)
    for pid in instance.pids()["pop3d"]:
        os.kill(pid, signal.SIGKILL)
    assert is_closed(wire)
    wire.close()
    instance.wait_healthy()
    with logged_in(instance, account) as wire:
        assert wire.command("QUIT").startswith(b"+OK")


def test_terminate(instance):
    """SIGTERM: an idle session is closed with nothing deleted, silently."""
    account = instance.customers[0].accounts[0]
    fill(instance, account, 1)
    with logged_in(instance, account) as wire, greeted(instance) as guest:
        assert wire.command("DELE 1").startswith(b"+OK")
        began = time.monotonic()
        instance.stop()
        assert time.monotonic() - began < 5
        assert is_closed(wire) and is_closed(guest)
    instance.start()
    assert len(uids(instance, account)) == 1


# --- bounds


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def wait_for_room(sock):
    """Whether more can be sent within half a second."""
    return bool(select.select([], [sock], [], 0.5)[1])


def processor_time(pids):
    """Seconds that these processes have run so far."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            ticks += sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def is_at_rest(pids, sock):
    """Whether these processes do nothing while nothing comes from this socket for a while."""
    before = processor_time(pids)
    assert not select.select([sock], [], [], 0.5)[0]
    return processor_time(pids) - before < 0.1


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
def test_a_client_that_does_not_read(instance, service):
    """Pipelining 30,000 requests without reading fills no memory here and takes no time."""
    account, other = (customer.accounts[0] for customer in instance.customers)
    assert instance.deliver(account.address, b"Subject: x\r\n\r\n" + b"y" * 8000 + b"\r\n")
    with (logged_in(instance, account, service) as wire,
          logged_in(instance, other) as quick):
        before = sum(map(memory, instance.pids()["pop3d"]))
        wire.sock.setblocking(False)
        requests = b"RETR 1\r\nCAPA\r\nUIDL\r\n" * 10_000
        sent = 0
        while True:
            try:
                sent += wire.sock.send(requests[sent:])
                if sent == len(requests):
                    break
            except (BlockingIOError, ssl.SSLWantWriteError):
                if not wait_for_room(wire.sock):
                    break
        assert quick.command("NOOP") == b"+OK"
        pids = instance.pids()["pop3d"]
        wait_until(lambda: is_at_rest(pids, quick.sock), what="the rest of pop3d")
        # Sanitizers keep what is freed.
        assert sanitized() or sum(map(memory, pids)) - before < 8 << 20


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
def test_session_cap(stopped, service):
    """Above the cap a client gets one line, and is served when others have left."""
    stopped.configure(pop3_processes=1, pop3_sessions=3)
    stopped.start()
    account = stopped.customers[0].accounts[0]
    held = [greeted(stopped) for _ in range(3)]
    for _ in range(3):
        with stopped.wire(service) as refused:
            assert refused.line() == b"-ERR [SYS/TEMP] too many connections, try again later"
            assert is_closed(refused)
    held.pop().close()

    def is_served():
        with stopped.wire(service) as wire:
            return wire.line().startswith(b"+OK") and log_in(wire, account).startswith(b"+OK")

    wait_until(is_served, what="room for a client")
    for wire in held:
        assert wire.command("CAPA").startswith(b"+OK")
        wire.close()


def test_some_room_is_for_who_logs_in(stopped):
    """Connections that do not log in cannot take every place."""
    stopped.configure(pop3_processes=1, pop3_sessions=4)
    stopped.start()
    account, other = (customer.accounts[0] for customer in stopped.customers)
    with greeted(stopped), greeted(stopped), greeted(stopped) as guest:
        with stopped.wire("pop3") as refused:
            assert refused.line().startswith(b"-ERR [SYS/TEMP] too many connections")
        assert log_in(guest, account).startswith(b"+OK")
        with logged_in(stopped, other):
            pass


def test_connections_of_one_address(stopped):
    address = own_address()
    if address is None or address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    stopped.configure(pop3_processes=1, pop3_address_sessions=2)
    stopped.start()

    def elsewhere():
        return Wire((address, stopped.ports.pop3))

    with elsewhere() as one, elsewhere() as two:
        assert one.line().startswith(b"+OK") and two.line().startswith(b"+OK")
        with elsewhere() as three:
            assert three.line() == (b"-ERR [SYS/TEMP] too many connections from your address, try "
                                    b"again later")
            assert is_closed(three)
        for _ in range(5):  # this machine's own do not count
            with greeted(stopped):
                pass
        one.command("QUIT")
        one.close()

        def is_served():
            with elsewhere() as wire:
                return wire.line().startswith(b"+OK")

        wait_until(is_served, what="room for another connection from there")


def test_no_autologout_before_ten_minutes(stopped):
    """RFC 1939 section 3. What silence does is in tests/unit/test_pop3d_autologout.c."""
    assert "\npop3_idle = 600\n" in (stopped.dir / "bellhop.conf").read_text()
    told = "pop3_idle takes a number from 600 to 86400, not \"599\""
    stopped.configure(pop3_idle=599)
    refused = stopped.cli("serve", check=False)
    assert refused.returncode == 1 and told in refused.stderr
    stopped.configure(pop3_idle=600)
    stopped.start()
    with logged_in(stopped, stopped.customers[0].accounts[0]) as wire:
        stopped.configure(pop3_idle=599)
        stopped.process.send_signal(signal.SIGHUP)
        wait_until(lambda: told in stopped.log, what="a line about it")
        assert wire.command("NOOP") == b"+OK"


def test_what_the_log_says(instance):
    account = instance.customers[0].accounts[0]
    fill(instance, account, 2)
    with logged_in(instance, account, "pop3s") as wire:
        wire.command("RETR 1")
        wire.lines()
        wire.command("DELE 1")
        wire.command("QUIT")
    with greeted(instance) as wire:
        wire.command(f"USER {account.address}")
        wire.command("PASS not the password")
    wait_until(lambda: "login refused" in instance.log)
    ended = wait_until(lambda: re.search(
        r"pop3d\[\d+\]: session=([0-9a-f]{16}) address=127\.0\.0\.1 mailbox=[1-9]\d* messages=2 "
        r"retrieved=1 deleted=1 octets=\d+ tls=TLSv1\.3 duration=\d+\.\d{3} end=quit", instance.log))
    assert re.search(rf"authd\[\d+\]: .*session={ended[1]}", instance.log)
    assert "not the password" not in instance.log and account.password not in instance.log


def test_counters(instance):
    account = instance.customers[0].accounts[0]
    fill(instance, account, 1)
    with logged_in(instance, account) as wire:
        wire.command("RETR 1")
        wire.lines()
        wire.command("DELE 1")
        wire.command("QUIT")

    def counter(name):
        return int(re.search(rf"(?m)^{name} (\d+)", instance.http("/metrics")[1])[1])

    assert counter("bellhop_pop3_logins_total") == 1
    assert counter("bellhop_pop3_retrieved_total") == 1
    assert counter("bellhop_pop3_deleted_total") == 1
    assert counter("bellhop_pop3_login_failures_total") == 0
    wait_until(lambda: counter("bellhop_pop3_sessions") == 0)
