"""
RETR after RETR: messages that were read ahead are those that were delivered, whatever the client
does between; and what is shared for them is given back.
"""

import os
import poplib
import random
import signal
import socket

import pytest

from bellhop import retrieve, wait_until
from wire import without_trace

COUNT = 40


def body(address, number):
    """Of all sizes up to one that comes in pieces."""
    line = f"{number} of {address} {'x' * (number % 60)}\r\n".encode()
    return f"Subject: {number}\r\n\r\n".encode() + line * (1 + number**3 // 20 % 1500)


@pytest.fixture
def filled(instance):
    with instance.lmtp() as lmtp:
        for customer in instance.customers:
            address = customer.accounts[0].address
            for number in range(COUNT):
                assert lmtp.deliver(address, body(address, number))[0].code == 250
    return instance


def check(pop3, account, number):
    assert without_trace(retrieve(pop3, number)) == body(account.address, number - 1), number


def accounts(instance):
    return [customer.accounts[0] for customer in instance.customers]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_any_order(filled, tls):
    """Two customers in turns, over one process's memory."""
    sessions = [(filled.pop3(account, tls=tls), account) for account in accounts(filled)]
    orders = [list(range(1, COUNT + 1)), list(range(COUNT, 0, -1)),
              [number for number in range(1, COUNT + 1) if number % 5],
              random.sample(range(1, COUNT + 1), COUNT)]
    for order in orders:
        for number in order:
            for pop3, account in sessions:
                check(pop3, account, number)
                if number % 7 == 0:
                    pop3.top(number, 3)
    for pop3, _ in sessions:
        pop3.quit()


def test_deletions_between(filled):
    """A message that was read ahead and then deleted is not shown; RSET brings it back."""
    account = accounts(filled)[0]
    pop3 = filled.pop3(account)
    for number in range(1, 11):
        check(pop3, account, number)
        pop3.dele(number)
    pop3.dele(13)
    check(pop3, account, 11)
    with pytest.raises(poplib.error_proto):
        pop3.retr(13)
    check(pop3, account, 12)
    pop3.rset()
    for number in [13, 1, 2, 3, 4, 5]:
        check(pop3, account, number)
    for number in range(1, COUNT + 1):
        pop3.dele(number)
    pop3.quit()
    assert filled.messages(account) == {}
    assert len(filled.messages(accounts(filled)[1])) == COUNT


def test_end_behind_a_retr(filled):
    """With answers to what was read ahead still to come: QUIT, and no word at all."""
    for account in accounts(filled):
        for end in [b"", b"NOOP\r\n", b"DELE 9\r\nQUIT\r\n"]:
            with socket.create_connection(("127.0.0.1", filled.ports.pop3), 60) as client:
                lines = client.makefile("rb")
                client.sendall(f"USER {account.address}\r\nPASS {account.password}\r\n".encode())
                for _ in range(3):
                    assert lines.readline().startswith(b"+OK")
                for number in range(1, 9):
                    client.sendall(b"RETR %d\r\n" % number + (end if number == 8 else b""))
                    while number < 8 and lines.readline() != b".\r\n":
                        pass
                if end:
                    client.shutdown(socket.SHUT_WR)
                    assert lines.read().count(b"+OK") == 1 + end.count(b"\r\n")
        assert len(filled.messages(account)) == COUNT - 1


def damaged(instance):
    return int(instance.http("/metrics")[1].split("\nbellhop_store_damaged_total ")[1].split()[0])


def test_damage_is_told_when_it_is_asked_for(filled):
    account = accounts(filled)[0]
    filled.stop()
    [segment] = (filled.dir / "store").glob("*.seg")
    text = segment.read_bytes()
    position = text.find(f"11 of {account.address}".encode())
    segment.write_bytes(text[:position] + b"X" + text[position + 1:])
    filled.start()
    pop3 = filled.pop3(account)
    for number in range(1, 12):
        check(pop3, account, number)
    assert damaged(filled) == 0 and "damaged" not in filled.log
    for times in [1, 2]:
        with pytest.raises(poplib.error_proto, match="SYS/PERM"):
            pop3.retr(12)
        wait_until(lambda: damaged(filled) == times, what="the counter")
    for number in range(13, COUNT + 1):
        check(pop3, account, number)
    pop3.quit()


def held(instance, account):
    """How many messages; None while stored is being started again."""
    try:
        return len(instance.messages(account))
    except poplib.error_proto:
        return None


def test_stored_ends_in_the_middle(filled):
    """What was read ahead may still be shown, and then the session is told."""
    account = accounts(filled)[0]
    pop3 = filled.pop3(account)
    for number in range(1, 5):
        check(pop3, account, number)
    [stored] = filled.pids()["stored"]
    os.kill(stored, signal.SIGKILL)
    with pytest.raises((poplib.error_proto, EOFError, OSError)):
        for number in range(5, COUNT + 1):
            check(pop3, account, number)
    pop3.close()
    wait_until(lambda: held(filled, account) == COUNT, seconds=30, what="the mailbox")


def test_readers_that_stop_cost_nobody(filled):
    """Each has something read ahead and some of it unsent; others are served meanwhile."""
    slow = []
    for _ in range(2):
        for account in accounts(filled):
            client = socket.create_connection(("127.0.0.1", filled.ports.pop3), 60)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(f"USER {account.address}\r\nPASS {account.password}\r\n".encode()
                           + b"".join(b"RETR %d\r\n" % number for number in range(1, COUNT + 1)))
            slow.append(client)
        for client in slow[-2:]:
            client.recv(100)
        for client in slow:
            client.close()
        for account in accounts(filled):
            wait_until(lambda: can_open(filled, account), what="the lock")
            pop3 = filled.pop3(account)
            for number in range(1, COUNT + 1):
                check(pop3, account, number)
            pop3.quit()


def can_open(instance, account):
    try:
        instance.pop3(account).quit()
    except poplib.error_proto:
        return False
    return True
