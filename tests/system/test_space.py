"""The space of deleted mail comes back while the service runs, and nothing else goes with it."""

import errno
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from bellhop import BIN, Customer, descriptors, wait_until
from disk import SEGMENTS, Disk

TORTURE = os.environ.get("BELLHOP_TORTURE") == "1"

# days, mailboxes, messages a day in each, segment_size; a month of 100 mailboxes is the long form
DAYS, MAILBOXES, MESSAGES, SEGMENT = (30, 100, 12, 64 << 20) if TORTURE else (8, 12, 12, 4 << 20)

KEEPS_DAYS = 5      # of every third client, which leaves mail on the server
CATCH_UP_TIME = 30  # seconds: a day passes in one or two, and the work of a day takes its time
# What the index and its WAL may take besides; the store's own are its segments.
INDEX = 32 << 20


class Client:
    """Somebody who fetches mail once a day, and either deletes it or leaves it for some days."""

    def __init__(self, account, leaves):
        self.account = account
        self.leaves = leaves
        self.left: deque[int] = deque()  # how many messages of each day are still on the server

    def fetch(self, instance, came):
        self.left.append(came)
        goes = sum(self.left) if not self.leaves else 0
        if self.leaves and len(self.left) > KEEPS_DAYS:
            goes = self.left.popleft()
        elif not self.leaves:
            self.left.clear()
        with instance.wire("pop3") as pop3:
            pop3.line()
            pop3.send(f"USER {self.account.address}\r\nPASS {self.account.password}\r\n".encode())
            pop3.send(b"".join(b"DELE %d\r\n" % (n + 1) for n in range(goes)) + b"QUIT\r\n")
            replies = [pop3.line() for _ in range(goes + 3)]
            assert all(reply.startswith(b"+OK") for reply in replies), replies


def message(draw: random.Random) -> bytes:
    """Most mail is small, some has an attachment, and some a large one."""
    size = draw.choices([draw.randrange(500, 8000), draw.randrange(8000, 90000),
                         draw.randrange(200000, 900000), draw.randrange(1 << 20, 2 << 20)],
                        [70, 25, 4, 1])[0]
    return b"Subject: %d octets\r\n\r\n" % size + (b"%064d\r\n" % size) * (size // 66)


def used(instance) -> tuple[int, int]:
    """Octets of disk that the segments and that the rest of the store take."""
    sizes = {True: 0, False: 0}
    for file in (instance.dir / "store").iterdir():
        try:
            sizes[file.suffix == ".seg"] += file.stat().st_blocks * 512
        except FileNotFoundError:
            pass  # reclaimed this moment
    return sizes[True], sizes[False]


def stats(instance):
    return json.loads(instance.cli("store", "stats", "--json").stdout)


def settle(instance):
    """Waits until what the segments take is in bounds; returns that and what is live."""
    deadline = time.monotonic() + CATCH_UP_TIME
    while True:
        segments, rest = used(instance)
        live = stats(instance)["live"]
        if segments <= live * 1.5 + 2 * SEGMENT and rest <= INDEX:
            return segments, live
        assert time.monotonic() < deadline, f"{segments} octets of segments for {live} live ones"
        time.sleep(0.1)


def day(instance, clients, pool, seed):
    draws = [random.Random(f"{seed} {client.account.address}") for client in clients]

    def deliver(client, draw):
        with instance.lmtp() as lmtp:
            for _ in range(MESSAGES):
                assert lmtp.deliver(client.account.address, message(draw))[0].code == 250
        client.fetch(instance, MESSAGES)

    list(pool.map(deliver, clients, draws))


@pytest.fixture
def clients(stopped):
    stopped.configure(segment_size=SEGMENT, reclaim_rate="1G")
    stopped.cli("plan", "set", "chain", "--quota-bytes", "10G", "--quota-messages", "1000000")
    customers: list[Customer] = stopped.customers
    for customer in customers:
        stopped.cli("customer", "set", customer.name, "--plan", "chain")
        while len(customer.accounts) < MAILBOXES // 2:
            stopped.address(customer, f"room{len(customer.accounts)}")
    accounts = [account for customer in customers
                for account in customer.accounts[:MAILBOXES // 2]]
    return [Client(account, number % 3 == 0) for number, account in enumerate(accounts)]


def test_deliver_and_drain(stopped, clients, record_property):
    if TORTURE:
        signal.alarm(1800)
    instance = stopped.start()
    worst = 0.0
    with ThreadPoolExecutor(8) as pool:
        for number in range(DAYS):
            day(instance, clients, pool, number)
            segments, live = settle(instance)
            worst = max(worst, (segments - 2 * SEGMENT) / live)
    record_property("worst", worst)
    print(f"after {DAYS} days at most {worst:.2f} x live + 2 segments")
    # What clients left is there, also for an index that is built anew.
    instance.stop()
    assert instance.cli("store", "verify").returncode == 0
    for round in range(2):
        instance.start()
        for client in clients:
            with instance.wire("pop3") as pop3:
                pop3.line()
                pop3.command(f"USER {client.account.address}")
                pop3.command(f"PASS {client.account.password}")
                count = int(pop3.command("STAT").split()[1])
                assert count == sum(client.left), client.account
        instance.stop()
        (instance.dir / "store" / "index.db").unlink()
    instance.start()


def wal_can_go(instance):
    """Where a transaction of somebody else's is open, it cannot; stored's own are short."""
    with closing(sqlite3.connect(instance.dir / "store" / "index.db")) as index:
        [[busy, *_]] = index.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return busy == 0


def test_nothing_goes_while_the_store_is_verified(instance):
    """What is deleted meanwhile is neither removed under the check nor taken for damage."""
    account, other = instance.customers[0].accounts[0], instance.customers[1].accounts[0]
    for _ in range(24):
        instance.deliver([account.address, other.address], b"Subject: x\r\n\r\n"
                         + (b"z" * 998 + b"\r\n") * 4000)
    segments = set((instance.dir / "store").glob("*.seg"))
    verify = subprocess.Popen([BIN / "stored", "verify"], cwd=instance.dir, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not any(file.endswith(".seg") for file in descriptors(verify.pid).values()):
        assert verify.poll() is None
    verify.send_signal(signal.SIGSTOP)
    wait_until(lambda: wal_can_go(instance), what="the index's WAL to be held by nobody")
    for one in account, other:
        pop3 = instance.pop3(one)
        for number in range(24):
            pop3.dele(number + 1)
        pop3.quit()
    time.sleep(1.5)  # the reclaim looks twice a second
    kept = segments <= set((instance.dir / "store").glob("*.seg"))
    verify.send_signal(signal.SIGCONT)
    out, _ = verify.communicate(timeout=60)
    assert out.startswith("good: messages: 48, ") and verify.returncode == 0
    assert kept
    deadline = time.monotonic() + CATCH_UP_TIME
    while len(list((instance.dir / "store").glob("*.seg"))) > 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_stats_tell_what_can_come_back(stopped):
    """Half of the mail goes; a segment alone is not worth copying, so it is shown as reclaimable."""
    stopped.configure(segment_size="4M")
    instance = stopped.start()
    accounts = [customer.accounts[0] for customer in instance.customers]
    for account in accounts:
        for number in range(10):
            instance.deliver(account.address, b"Subject: %d\r\n\r\n" % number + b"x" * 900)
    with instance.wire("pop3") as pop3:
        pop3.line()
        for command in (f"USER {accounts[0].address}", f"PASS {accounts[0].password}",
                        *(f"DELE {n}" for n in range(1, 11)), "QUIT"):
            assert pop3.command(command).startswith(b"+OK")
    instance.stop()
    told = stats(instance)
    [segment] = told["segments"]
    assert told["messages"] == 10
    assert segment["live"] == told["live"] > 9000
    assert segment["dead"] == segment["used"] - segment["live"] > 9000
    assert segment["reclaimable"] == segment["dead"] == told["reclaimable"]
    text = instance.cli("store", "stats").stdout
    assert "RECLAIMABLE" in text.splitlines()[0]


@pytest.mark.parametrize("stays", [10, 2], ids=["a tenth stays", "half stays"])
def test_space_comes_back_on_a_full_disk(stopped, stays):
    """Mail that is too small to be punched out has to be copied away from what is deleted."""
    stopped.configure(segment_size="4M")
    disk = Disk(stopped)
    instance = stopped.start()
    hotel, group = (customer.accounts[0] for customer in instance.customers)
    text = b"z" * 60_000 + b"\r\n"
    disk.rule(0, "allocate", SEGMENTS, errno.ENOSPC, first=5, above=2 << 20)
    with instance.lmtp() as lmtp:
        count = 0
        while lmtp.deliver((hotel, group)[count % 2].address,
                           b"Subject: %d\r\n\r\n" % count + text)[0].code == 250:
            count += 1
        files = set((instance.dir / "store").glob("*.seg"))
        assert count > 150 and len(files) == 4
        for account in hotel, group:
            pop3 = instance.pop3(account)
            for number in range(2, pop3.stat()[0] + 1):
                if number % stays > 0:
                    pop3.dele(number)
            pop3.quit()
        left = {account.address: instance.messages(account) for account in (hotel, group)}
        wait_until(lambda: len(files & set((instance.dir / "store").glob("*.seg"))) < 2,
                   CATCH_UP_TIME, "the space of deleted mail")
        # What is copied does not make room for mail: that is for the index, and for expunges.
        assert lmtp.deliver(hotel.address, b"Subject: no\r\n\r\n")[0].code == 452
        disk.clear()
        wait_until(lambda: lmtp.deliver(hotel.address, b"Subject: yes\r\n\r\n")[0].code == 250,
                   CATCH_UP_TIME, "mail")
    assert instance.messages(group) == left[group.address]
    assert list(instance.messages(hotel))[:-1] == list(left[hotel.address])
    instance.stop()
    (instance.dir / "store" / "index.db").unlink()
    instance.start()
    assert instance.messages(group) == left[group.address]
    assert instance.cli("store", "verify").returncode == 0
