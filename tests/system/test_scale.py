"""Large mailboxes: every message is there, nobody else pays, and each costs few octets."""

import os
import signal

import pytest

from bellhop import sanitized, wait_until
from scale import Memory, fill, warm_up

LARGE = 60000
STORED_MB = 3  # 8 octets a message, and what a list on its way takes
POP3D_MB = 1.6  # 16 octets a message
NAMED_MB = 2.7  # and as many for a unique-id that was imported


@pytest.fixture
def large(stopped):
    """Both frontdesks have LARGE messages, one of them imported ones with unique-ids."""
    for customer in stopped.customers:
        stopped.cli("plan", "set", customer.plan, "--quota-messages", "1000000")
    ours, theirs = (customer.accounts[0] for customer in stopped.customers)
    fill(stopped, ours, LARGE)
    fill(stopped, theirs, LARGE, named=True)
    return stopped.start()


def unique_ids(pop3):
    return [line.decode().split(" ") for line in pop3.uidl()[1]]


def remove_all(instance, account):
    with instance.wire("pop3") as pop3:
        pop3.line()
        pop3.command(f"USER {account.address}")
        assert pop3.command(f"PASS {account.password}").startswith(b"+OK")
        for first in range(1, LARGE + 1, 1000):
            pop3.send(b"".join(b"DELE %d\r\n" % n for n in range(first, first + 1000)))
            assert all(pop3.line().startswith(b"+OK") for _ in range(1000))
        assert pop3.command("QUIT").startswith(b"+OK")


def log_in(instance, account):
    pop3 = instance.wire("pop3")
    pop3.line()
    pop3.command(f"USER {account.address}")
    answer = pop3.command(f"PASS {account.password}")
    assert answer.startswith(b"+OK"), answer
    return pop3


def is_whole(lines):
    return [line.split(b" ")[0] for line in lines] == [b"%d" % (n + 1) for n in range(LARGE)]


def test_large_mailboxes(large):
    ours, theirs = (customer.accounts[0] for customer in large.customers)
    small = large.customers[1].accounts[1]
    warm_up(large, small)
    memory = {name: Memory(large, name) for name in ("stored", "pop3d")}
    pop3 = large.pop3(ours)
    assert pop3.stat()[0] == LARGE
    listed = unique_ids(pop3)
    if not sanitized():
        assert memory["stored"].grown() < STORED_MB
        assert memory["pop3d"].grown() < POP3D_MB
    assert [number for number, _ in listed] == [str(n + 1) for n in range(LARGE)]
    assert len({uid for _, uid in listed}) == LARGE
    assert pop3.retr(LARGE)[1][0] == b"Subject: your booking"
    pop3.quit()

    memory = Memory(large, "pop3d")
    pop3 = large.pop3(theirs)
    assert unique_ids(pop3) == [[str(n), f"{n:08x}5f3c2a10"] for n in range(1, LARGE + 1)]
    if not sanitized():
        assert memory.grown() < NAMED_MB
    pop3.quit()
    remove_all(large, theirs)
    pop3 = large.pop3(theirs)
    assert pop3.stat() == (0, 0)
    pop3.quit()

    large.kill()
    large.start()
    for account, count in (ours, LARGE), (theirs, 0):
        pop3 = large.pop3(account)
        assert pop3.stat()[0] == count
        if count:
            assert unique_ids(pop3) == listed
        pop3.quit()


def test_others_go_on_while_it_is_listed(large):
    """Two large mailboxes are listed, to clients that do not read, and others come and go."""
    lists = [log_in(large, customer.accounts[0]) for customer in large.customers]
    for pop3 in lists:
        pop3.send(b"STAT\r\nUIDL\r\nNOOP\r\n")
    for _ in range(10):
        for customer in large.customers:
            with log_in(large, customer.accounts[1]) as other:
                assert other.command("STAT") == b"+OK 0 0"
                assert other.command("QUIT").startswith(b"+OK")
    for pop3 in lists:
        assert pop3.line().split(b" ")[:2] == [b"+OK", b"%d" % LARGE]
        assert pop3.line().startswith(b"+OK %d messages" % LARGE)
        assert is_whole(pop3.lines())
        assert pop3.line() == b"+OK"
        pop3.close()


def test_who_quits_before_all_is_listed_gives_the_mailbox_back(large):
    ours = large.customers[0].accounts[0]
    for _ in range(10):
        with log_in(large, ours) as pop3:
            pop3.send(b"STAT\r\nQUIT\r\n")
            assert pop3.line().split(b" ")[:2] == [b"+OK", b"%d" % LARGE]
            assert pop3.line() == b"+OK goodbye"


def test_stored_ends_while_it_lists(large):
    """A list is whole or it is refused; what STAT said is true."""
    ours, theirs = (customer.accounts[0] for customer in large.customers)
    for account in ours, theirs:
        pop3 = wait_until(lambda account=account: try_log_in(large, account), what="a login")
        os.kill(large.pids()["stored"][0], signal.SIGKILL)
        assert pop3.command("STAT").split(b" ")[:2] == [b"+OK", b"%d" % LARGE]
        answer = pop3.command("UIDL")
        if answer.startswith(b"+OK"):
            assert is_whole(pop3.lines())
        else:
            assert answer.startswith(b"-ERR [SYS/TEMP]")
            with pytest.raises(EOFError):
                pop3.line()
        pop3.close()


def try_log_in(instance, account):
    try:
        return log_in(instance, account)
    except AssertionError as error:
        assert "SYS/TEMP" in str(error) or "IN-USE" in str(error)
        return None


def test_client_leaves_while_it_opens(large):
    """The lock goes with the connection, in the middle of the list."""
    ours = large.customers[0].accounts[0]
    for _ in range(3):
        pop3 = large.pop3_greeted()
        pop3.user(ours.address)
        pop3._putcmd(f"PASS {ours.password}")
        pop3.close()
    pop3 = wait_until(lambda: try_open(large, ours), what="the mailbox being free")
    assert pop3.stat()[0] == LARGE
    pop3.quit()


def try_open(instance, account):
    try:
        return instance.pop3(account)
    except Exception as error:
        assert "IN-USE" in str(error)
        return None
