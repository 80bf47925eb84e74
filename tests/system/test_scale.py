"""Large mailboxes: every message is there, nobody else pays, and each costs few octets."""

import pytest

from bellhop import sanitized, wait_until
from scale import Memory, fill

LARGE = 60000
STORED_MB = 3  # 8 octets a message, and what a list on its way takes
POP3D_MB = 2.4  # 24 octets a message


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


def test_large_mailboxes(large):
    ours, theirs = (customer.accounts[0] for customer in large.customers)
    small = large.customers[1].accounts[1]
    for _ in range(8):
        large.pop3(small).quit()
    memory = {name: Memory(large, name) for name in ("stored", "pop3d")}
    pop3 = large.pop3(ours)
    if not sanitized():
        assert memory["stored"].grown() < STORED_MB
        assert memory["pop3d"].grown() < POP3D_MB
    assert pop3.stat()[0] == LARGE
    listed = unique_ids(pop3)
    assert [number for number, _ in listed] == [str(n + 1) for n in range(LARGE)]
    assert len({uid for _, uid in listed}) == LARGE
    assert pop3.retr(LARGE)[1][0] == b"Subject: your booking"
    pop3.quit()

    pop3 = large.pop3(theirs)
    assert unique_ids(pop3) == [[str(n), f"{n:08x}5f3c2a10"] for n in range(1, LARGE + 1)]
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
