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
        return sum(int(value) for value in re.findall(rf"(?m)^{name}(?:{{.*}})? (\d+)$", metrics))

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
        """The supervisor sleeps, so what dies stays dead; it has started everything before."""
        self.healthy()
        self.instance.process.send_signal(signal.SIGSTOP)
        yield
        if self.instance.process:
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
            return self.mail.send(lmtp, addresses,
                                  b"a line of a long letter, forty octets.\r\n" * lines)

    def check(self):
        found = self.mail.check()
        listed = json.loads(self.instance.cli("address", "list", "--json").stdout)
        used = {row["address"]: (row["used_messages"], row["used_bytes"]) for row in listed}
        assert used.items() >= self.mail.usage.items()
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
    world.instance.cli("address", "remove", account.address, "--now")
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
    with world.frozen():  # no other start comes between
        world.arm(first)
        with contextlib.suppress(OSError, EOFError):
            world.send(40_000)
        world.wait_dead()
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


def thin_out(world, faults, octets=60_000):
    """Two segments of mail for both customers, most of it deleted: what is left moves forward."""
    accounts = [customer.accounts[2] for customer in world.instance.customers]
    line = b"most of this is deleted soon\r\n"
    sent = []
    with world.instance.lmtp() as lmtp:
        while len(sent) * octets < 9_000_000:
            sent.append(b"%d" % len(world.mail.sent))
            for reply in world.mail.send(lmtp, [account.address for account in accounts],
                                         line * (octets // len(line))):
                assert reply.code == 250
    world.arm(faults)
    for account in accounts:
        pop3 = world.instance.pop3(account)
        kept = pop3.stat()[0] - len(sent)
        gone = [n for n in range(len(sent)) if n % 8]
        for n in gone:
            pop3.dele(kept + n + 1)
        assert world.mail.quit(pop3, account, [sent[n] for n in gone])
    world.fired()
    wait_until(lambda: allocated(world) < 5_000_000, 20, "the space back")


def allocated(world):
    """Of all segments but the one that takes mail, whose space is taken in advance."""
    return sum(file.stat().st_blocks * 512 for file in sorted(world.store.glob("*.seg"))[:-1])


def thin_out_large(world, faults):
    """Large bodies give their space back where they are."""
    thin_out(world, faults, 600_000)


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
    State("synced, not acknowledged", deliver, [
        "commit.synced 3 kill", "delivery.unanswered 3 kill", "lmtpd.unanswered 3 kill"]),
    State("acknowledged, not in the index", deliver, ["delivery.answered 1 kill",
                                                      "index.apply 1 kill"]),
    State("acknowledged", deliver, ["index.commit 1 kill", "index.committed 1 kill"]),
    State("acknowledged", acknowledged_then_index_lost, ["delivery.coming 1 kill"]),
    State("the group's write or sync failed", deliver, [
        "commit.sync 2 error EIO, abandon.trim 1 kill",
        "commit.write 2 error EIO, abandon.trim 1 error EIO, delivery.coming 9 kill"]),
    State("expunge waiting or written", leave, [
        "pop3d.expunging 1 kill", "expunge.waiting 1 kill", "commit.write 1 kill",
        "commit.sync 1 kill", "commit.synced 1 kill"]),
    State("expunge in the index, not acknowledged", leave, [
        "expunge.unanswered 1 kill", "pop3d.unanswered 1 kill"]),
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
    State("compaction: copying", thin_out, ["reclaim.copying 3 kill"]),
    State("compaction: copied, the index not synced", thin_out, ["reclaim.copied 1 kill"]),
    State("compaction: emptied, not removed", thin_out, ["reclaim.synced 1 kill"]),
    State("compaction: removed, still in the index", thin_out, ["reclaim.removed 1 kill"]),
    State("compaction: dead bodies punched, not noted", thin_out_large, ["reclaim.punched 1 kill"]),
    State("index transaction half done", deliver, [
        "index.apply 3 kill", "index.wal 7 kill"]),
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


@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state.state}-{state.act.__name__}")
def test_crash(world, state):
    world.instance.configure(segment_size="4M")
    world.instance.start()
    world.seed()
    for faults in state.faults:
        state.act(world, faults)
        world.check()
    world.check_twice()


# --- calls that fail


class Failure(NamedTuple):
    point: str
    error: str
    code: int       # what a sender gets
    counter: str
    lines: int = 1  # of the message
    restarts: bool = False


REFUSED, FULL = "bellhop_store_write_failures_total", "bellhop_store_disk_full_total"
RESTARTS = "bellhop_restarts_total"

FAILURES = [
    Failure("commit.write", "EIO", 451, REFUSED),
    Failure("commit.write", "ENOSPC", 452, FULL),
    Failure("commit.sync", "EIO", 451, REFUSED),
    Failure("segment.allocate", "ENOSPC", 452, FULL),
    Failure("segment.allocate", "EIO", 451, REFUSED),
    Failure("segment.header", "EIO", 451, REFUSED),
    Failure("segment.sync", "EIO", 451, REFUSED),
    Failure("folder.sync", "EIO", 451, REFUSED),
    Failure("large.body", "EIO", 451, REFUSED, 30_000),
    Failure("large.body", "ENOSPC", 452, FULL, 30_000),
    Failure("large.grow", "ENOSPC", 452, FULL, 220_000),
    Failure("large.write", "EIO", 451, REFUSED, 30_000),
    Failure("large.sync", "EIO", 451, REFUSED, 30_000),
    Failure("index.wal", "EIO", 250, RESTARTS, restarts=True),
    Failure("index.wal", "ENOSPC", 250, RESTARTS, restarts=True),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: f"{one.point}-{one.error}")
def test_call_fails_for_a_while(world, failure):
    """Deferred, one line in the log, and when it has passed service goes on by itself."""
    world.instance.start()
    world.seed()
    world.instance.restart()  # so that the next delivery begins a segment
    world.instance.cli("address", "list")  # stored has recovered when it answers
    mark = len(world.instance.log)
    before, pids = world.counter(failure.counter), world.instance.pids()["stored"]
    world.arm(f"{failure.point} 1 failing {failure.error}")
    assert {reply.code for reply in world.send(failure.lines)} == {failure.code}
    if failure.restarts:
        wait_until(lambda: world.counter(RESTARTS) >= before + 3, 20, "restarts")
    else:
        world.send(failure.lines)
        assert [line for line in world.instance.log[mark:].splitlines()
                if ": error: " in line][1:] == []
        assert world.instance.pids()["stored"] == pids
    assert world.counter(failure.counter) > before
    world.armed.unlink()
    wait_until(lambda: world.send(failure.lines)[0].code == 250, 20, "a delivery")
    world.healthy()
    world.check_twice()


@pytest.mark.parametrize("point", ["commit.write", "commit.sync"])
def test_expunge_fails_once(world, point):
    """QUIT says so, nothing is gone, and the next QUIT does it."""
    world.instance.start()
    world.seed()
    account = world.instance.customers[0].accounts[0]
    before = world.mail.read(account)
    for gone in (False, True):
        pop3 = world.instance.pop3(account)
        pop3.dele(1)
        if not gone:
            world.arm(f"{point} 1 error EIO")
        assert world.mail.quit(pop3, account, list(before.values())[:1]) == gone
        assert list(world.mail.read(account)) == list(before)[int(gone):]
    world.check_twice()


@pytest.mark.parametrize("failing", ["index.read 1 failing EIO", "index.wal 1 failing EIO"])
def test_index_fails_from_the_first_moment_on(world, failing):
    """stored is started again and again, later and later; nothing else stops."""
    world.instance.start()
    world.seed()
    world.instance.stop()
    world.arm(failing)
    world.instance.start()
    wait_until(lambda: world.counter(RESTARTS) >= 3, 20, "restarts")
    assert world.instance.http("/healthz")[0] == 503
    others = [world.instance.pids()[name] for name in ("lmtpd", "pop3d", "authd")]
    world.armed.unlink()
    wait_until(lambda: world.send()[0].code == 250, 20, "a delivery")
    world.healthy()
    assert others == [world.instance.pids()[name] for name in ("lmtpd", "pop3d", "authd")]
    world.check_twice()


def test_unfinished_large_message_cannot_be_removed(world):
    """Its segment stays until the next start, and is nobody's mail."""
    world.instance.start()
    world.seed()
    before = set(world.store.glob("*.seg"))
    world.arm("large.sync 1 error EIO, segment.unlink 1 error EIO")
    assert {reply.code for reply in world.send(30_000)} == {451}
    assert not world.armed.exists()
    assert len(set(world.store.glob("*.seg")) - before) == 1
    world.check_twice()


# --- the table, the points and the tests


def code_points():
    text = "".join(file.read_text() for folder in ("lib", "db", "stored", "lmtpd", "pop3d", "authd",
                                                   "fetchd", "admin", "cli")
                   for file in (ROOT / folder).glob("*.c") if file.name != "fault.c")
    calls = re.findall(r"(?:fault_\w+|pass_file)\(([^;]*)", text)
    return {point for call in calls for point in re.findall(r'"([a-z0-9]+\.[a-z]+)"', call)}


def documented():
    text = (ROOT / "docs" / "DESIGN.md").read_text()
    table = text.partition("### States")[2].partition("| state |")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    return {(row[0].removeprefix("| "), point) for row in rows
            for point in re.findall("`([^`]+)`", row[1]) or [None]}


def test_every_point_and_every_state_is_tested():
    crashes = {(state.state, faults.split(", ")[-1].split()[0])
               for state in STATES for faults in state.faults}
    assert documented() == crashes
    failing = {failure.point for failure in FAILURES} | {"index.read"}
    assert code_points() == {point for _, point in crashes} | failing
