"""
A crash in every state that docs/DESIGN.md lists, exactly there: a test arms a point of the fault
build (lib/fault.h), does what leads to it, and looks at what the crash has left.
"""

import contextlib
import json
import os
import re
import signal
from typing import Callable, NamedTuple

import pytest

from bellhop import BIN, ROOT, Instance, children, program, wait_gone, wait_until
from senders import Senders

FAULTS = BIN.parent / "faults" / "bin"


@pytest.fixture
def world(template, tmp_path):
    """A stopped instance of the programs that fail on purpose."""
    assert (FAULTS / "bellhop").exists(), "run make faults first"
    made = Instance(tmp_path / "instance", template, FAULTS)
    yield World(made)
    made.finish()


class World:
    def __init__(self, instance):
        self.instance = instance
        self.armed = instance.dir / "run" / "fault"
        self.mail = Senders(instance, 4)
        self.faults = ""
        self.restarts = 0

    # --- faults

    def arm(self, faults):
        """Lines for run/fault, divided by commas."""
        self.restarts = self.counter("bellhop_restarts_total") if self.instance.process else 0
        self.faults = faults
        written = self.armed.with_suffix(".written")
        written.write_text(faults.replace(", ", "\n") + "\n")
        written.rename(self.armed)

    def counter(self, name):
        status, metrics = self.instance.http("/metrics")
        assert status == 200
        return int(re.search(rf"(?m)^{name} (\d+)$", metrics).group(1))

    def fired(self, crashes=1):
        """The points were passed, and all that crashed is there again."""
        wait_until(lambda: not self.armed.exists(), 20,
                   f"the fault {self.faults}")
        wait_until(lambda: self.counter("bellhop_restarts_total") >= self.restarts + crashes, 20,
                   "a restart")
        self.healthy()

    def healthy(self):
        self.instance.wait_healthy()
        wait_until(lambda: self.instance.http("/healthz")[0] == 200, 20, "a healthy store")

    @contextlib.contextmanager
    def frozen(self):
        """The supervisor sleeps, so what dies stays dead."""
        self.instance.process.send_signal(signal.SIGSTOP)
        yield
        self.instance.process.send_signal(signal.SIGCONT)

    def wait_dead(self):
        """Until stored has died below a frozen supervisor."""
        wait_until(lambda: not self.armed.exists(), 20, "the fault")
        [stored] = [pid for pid in children(self.instance.process.pid)
                    if program(pid) == "stored"]
        wait_gone(stored)

    # --- the store's files

    @property
    def store(self):
        return self.instance.dir / "store"

    def lose(self, pattern):
        for file in self.store.glob(pattern):
            file.unlink()

    def tear_last(self):
        """The end of the last message did not reach the disk."""
        segment = max(self.store.glob("*.seg"))
        data = segment.read_bytes()
        at = data.rindex(b"end of ")
        with segment.open("r+b") as file:
            file.seek(at)
            file.write(bytes(6))

    # --- what is asked of every state

    def seed(self):
        with self.instance.lmtp() as lmtp:
            for account in self.mail.mailboxes:
                for _ in range(3):
                    self.mail.send(lmtp, [account.address])
            self.mail.send(lmtp, [customer.accounts[0].address
                                  for customer in self.instance.customers])
        return self.mail.check()

    def send(self, lines=1):
        """One message to both customers."""
        addresses = [customer.accounts[1].address for customer in self.instance.customers]
        with self.instance.lmtp() as lmtp:
            return self.mail.send(lmtp, addresses, b"a line of a long letter, forty octets.\r\n" * lines)

    def check(self):
        found = self.mail.check()
        listed = json.loads(self.instance.cli("address", "list", "--json").stdout)
        used = {row["address"]: (row["used_messages"], row["used_bytes"]) for row in listed}
        for account in self.mail.mailboxes:
            pop3 = self.instance.pop3(account)
            assert used[account.address] == pop3.stat()
            pop3.quit()
        self.instance.cli("store", "verify")
        return found

    def check_twice(self):
        """Also after a restart; and what comes then has unique-ids that nothing had before."""
        found = self.check()
        self.instance.restart()
        assert self.check() == found
        for reply in self.send():
            assert reply.code == 250
        assert len(self.mail.check()) == len(found) + 2


# --- what leads to a state


def deliver(world, faults):
    world.arm(faults)
    with world.mail:
        world.fired()
        world.mail.wait(10)


def deliver_large(world, faults):
    world.arm(faults)
    with contextlib.suppress(OSError, EOFError):
        world.send(220_000 if "large.grow" in faults else 30_000)
    world.fired()


def leave(world, faults, crashes=1):
    """QUIT after DELE."""
    account = world.instance.customers[1].accounts[2]
    numbers = list(world.mail.read(account).values())
    pop3 = world.instance.pop3(account)
    pop3.dele(1)
    pop3.dele(2)
    world.arm(faults)
    world.mail.quit(pop3, account, numbers[:2])
    world.fired(crashes)
    with world.instance.lmtp() as lmtp:
        for _ in range(2):
            world.mail.send(lmtp, [account.address])


def remove(world, faults):
    """The address goes with its mail, whatever happens on the way."""
    account = next(account for account in world.mail.mailboxes
                   if not account.address.startswith("bookings@"))
    world.mail.mailboxes.remove(account)
    world.arm(faults)
    world.instance.cli("address", "remove", account.address)
    world.fired()
    dropped(world)


def dropped(world):
    def stats():
        return json.loads(world.instance.cli("store", "stats", "--json").stdout)

    wait_until(lambda: stats()["messages"] == len(world.mail.check()), 20, "the drop")


def roll(world, faults):
    """New segments: first the one that a new stored begins with, then the one behind a full one."""
    world.instance.restart()
    deliver(world, faults)


def roll_full(world, faults):
    world.mail.lines = (1500, 2000)
    deliver(world, faults)
    world.mail.lines = (0, 400)


def acknowledged_then_index_lost(world, faults):
    """A power loss takes the end of the WAL with it; here, all of it."""
    world.instance.restart()
    account = world.instance.customers[0].accounts[2]
    numbers = list(world.mail.read(account).values())
    with world.frozen():
        pop3 = world.instance.pop3(account)
        pop3.dele(1)
        assert world.mail.quit(pop3, account, numbers[:1])
        assert {reply.code for reply in world.send()} == {250}
        world.arm(faults)
        with contextlib.suppress(OSError, EOFError):
            world.send()
        world.wait_dead()
        world.lose("index.db-*")
    world.fired()


def torn(world, faults):
    """A group that is on the disk in part: its message is left out, whatever is asked later."""
    first, *later = faults.split(", ")
    world.instance.restart()
    with world.frozen():
        world.arm(first)
        with contextlib.suppress(OSError, EOFError):
            world.send(40)
        world.wait_dead()
        world.tear_last()
        if later:
            world.arm(", ".join(later))
    world.fired(1 + len(later))


def stop(world, faults):
    """SIGTERM; what crashes on its way to the end is found at the next start."""
    instance = world.instance
    assert {reply.code for reply in world.send()} == {250}
    world.arm(faults)
    instance.process.send_signal(signal.SIGTERM)
    instance.process.wait(20)
    instance.process = None
    assert not world.armed.exists()
    instance.start()
    world.healthy()


def start(world, faults, spoil=lambda world: None):
    """A crash while it starts after a crash, with a large message that had just begun."""
    for _ in range(3):
        assert {reply.code for reply in world.send()} == {250}
    first, *later = faults.split(", ")
    world.arm(first)
    with contextlib.suppress(OSError, EOFError):
        world.send(40_000)
    wait_until(lambda: not world.armed.exists(), 20, "the first crash")
    world.instance.kill()
    spoil(world)
    world.arm(", ".join(later))
    world.instance.start()
    world.restarts = 0
    world.fired()


def start_without_index(world, faults):
    start(world, "large.coming 2 kill, " + faults, lambda world: world.lose("index.db*"))


def start_behind(world, faults):
    """The index is some way behind the log."""
    world.instance.restart()
    start(world, "large.coming 2 kill, " + faults, lambda world: world.lose("index.db-*"))


def start_damaged(world, faults):
    def spoil(world):
        world.lose("index.db-*")
        (world.store / "index.db").write_bytes(os.urandom(8 * 4096))

    start(world, "large.coming 2 kill, " + faults, spoil)


class State(NamedTuple):
    state: str  # as docs/DESIGN.md has it
    act: Callable
    faults: list[str]  # one crash after the other


STATES = [
    State("a delivery is coming in, small", deliver, ["delivery.coming 3 kill"]),
    State("a delivery is coming in, large", deliver_large, [
        "segment.allocate 1 kill", "segment.header 1 kill", "segment.sync 1 kill",
        "folder.sync 1 kill", "large.body 1 kill", "large.coming 5 kill", "large.grow 1 kill"]),
    State("in a group, not written", deliver, ["delivery.waiting 3 kill", "commit.write 3 kill"]),
    State("in a group, not written", deliver_large, ["delivery.waiting 1 kill",
                                                     "large.write 1 kill"]),
    State("written, not synced", deliver, ["commit.sync 3 kill"]),
    State("written, not synced", deliver_large, ["large.sync 1 kill"]),
    State("written, not synced", torn, ["commit.sync 1 kill"]),
    State("synced, not in the index", deliver, ["commit.synced 3 kill"]),
    State("in the index, not acknowledged", deliver, [
        "index.committed 3 kill", "delivery.unanswered 3 kill", "lmtpd.unanswered 3 kill"]),
    State("acknowledged", acknowledged_then_index_lost, ["delivery.coming 1 kill"]),
    State("the group's write or sync failed", deliver, [
        "commit.sync 2 error EIO, abandon.trim 1 kill",
        "commit.write 2 error EIO, abandon.trim 1 error EIO, delivery.coming 9 kill"]),
    State("expunge waiting or written", leave, [
        "pop3d.expunging 1 kill", "expunge.waiting 1 kill", "commit.write 1 kill",
        "commit.sync 1 kill", "commit.synced 1 kill"]),
    State("expunge in the index, not acknowledged", leave, [
        "index.committed 1 kill", "expunge.unanswered 1 kill", "pop3d.unanswered 1 kill"]),
    State("expunge acknowledged", acknowledged_then_index_lost, ["delivery.coming 1 kill"]),
    State("mailbox drop waiting or written", remove, [
        "drop.waiting 1 kill", "commit.write 1 kill", "commit.sync 1 kill"]),
    State("mailbox drop durable, not acknowledged", remove, [
        "commit.synced 1 kill", "drop.unanswered 1 kill"]),
    State("segment roll: file made, folder not synced", roll, [
        "segment.allocate 1 kill", "segment.header 1 kill", "segment.sync 1 kill",
        "folder.sync 1 kill"]),
    State("segment roll: the new one made, the old one not trimmed", roll_full,
          ["roll.created 1 kill"]),
    State("index transaction half done", deliver, [
        "index.apply 3 kill", "index.commit 3 kill", "index.wal 7 kill"]),
    State("the WAL on its way into index.db", stop, ["index.file 2 kill"]),
    State("recovery", start_behind, [
        "index.apply 2 kill", "recovery.messages 1 kill", "segment.unlink 1 kill",
        "recovery.removed 1 kill", "folder.sync 1 kill", "recovery.done 1 kill"]),
    State("recovery: a torn message found", torn, ["commit.sync 1 kill, recovery.strike 1 kill"]),
    State("index.db lost", start_without_index, [
        "index.wal 1 kill", "index.apply 5 kill", "recovery.messages 1 kill"]),
    State("index.db damaged: the new one half built", start_damaged, [
        "index.file 1 kill", "index.apply 5 kill", "recovery.messages 1 kill"]),
    State("index.db damaged: the old one going, the new one not in place", start_damaged, [
        "rebuild.built 1 kill", "rebuild.removing 1 kill", "rebuild.removed 1 kill"]),
    State("clean stop", stop, ["stop.drained 1 kill", "stop.trimmed 1 kill", "stop.closed 1 kill"]),
]


def points(faults):
    return [fault.split()[0] for fault in faults.split(", ")]


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state.state}-{state.act.__name__}")
def test_crash(world, state):
    world.instance.configure(segment_size="4M")
    world.instance.start()
    world.seed()
    for faults in state.faults:
        state.act(world, faults)
        world.check()
    world.check_twice()
