"""
A disk that fails under stored, at each call in turn: what was answered with 250 is there, what was
not is not, and service goes on by itself when the disk works again.

In `make check` the first two and the last call of each kind fail once, with the first error of its
row; with BELLHOP_TORTURE=1 every call does (of more than eight every second, and so on) with every error, once and until the
disk works again.
"""

import json
import os
import poplib
import re
import resource
import subprocess
import time
from errno import EDQUOT, EFBIG, EIO, EMFILE, ENOSPC, EROFS

import pytest

from bellhop import BIN, retrieve, signal_process, wait_until
from disk import FOLDER, FOREVER, INDEX, SEGMENTS, SHORT, WAL, Disk, name
from wire import without_trace

TORTURE = os.environ.get("BELLHOP_TORTURE") == "1"
FULL = {ENOSPC, EDQUOT, EFBIG}  # what counts as a full disk
AGAIN = 20                      # seconds until all works again, restarts with their back-off included


class Witness:
    """Sends numbered messages to a mailbox of each customer, and knows what must be there."""

    def __init__(self, instance):
        self.instance = instance
        self.accounts = [customer.accounts[0] for customer in instance.customers]
        self.sent: list[bytes] = []
        self.there: set[int] = set()
        self.perhaps: set[int] = set()  # stored ended before it answered, or could not cut off
        self.gone: set[tuple[int, str]] = set()

    def stored(self):
        return (self.instance.pids().get("stored") or [None])[-1]

    def stored_ended(self, mark):
        """Behind this place in the log, and a front noticed before it answered."""
        return re.search("stored is gone|connection to stored is lost", self.instance.log[mark:])

    def send(self, size=300):
        """One message to both. Returns the code, which is the same for both."""
        number = len(self.sent)
        message = b"X-Number: %d\r\n\r\n" % number
        message += (b"line of %d\r\n" % number) * max(1, (size - len(message)) // 12)
        self.sent.append(message)
        mark = len(self.instance.log)
        replies = self.instance.deliver([account.address for account in self.accounts], message)
        assert len({reply.code for reply in replies}) == 1, replies
        code = replies[0].code
        if code == 250:
            self.there.add(number)
        elif self.stored_ended(mark):
            self.perhaps.add(number)
        return code

    def send_again(self):
        """Until it is taken: the disk works again."""
        wait_until(lambda: self.send() == 250, AGAIN, "a delivery")

    def check(self):
        """Compares the mailboxes with what was answered."""
        for account in self.accounts:
            self._check(account, self._messages(account))

    def _messages(self, account):
        def read():
            try:
                return list(self.instance.messages(account).values())
            except (poplib.error_proto, OSError, EOFError):
                return None
        return wait_until(lambda: (found := read()) is not None and (found,), AGAIN, "RETR")[0]

    def _check(self, account, messages):
        found = set()
        for message in map(without_trace, messages):
            number = int(re.match(rb"X-Number: (\d+)\r\n", message).group(1))
            assert number not in found, f"message {number} is there twice"
            assert message == self.sent[number], f"message {number} is not what was sent"
            found.add(number)
        there = {n for n in self.there if (n, account.address) not in self.gone}
        lost = there - found
        assert not lost, f"lost, though answered with 250: {lost}"
        more = found - there - self.perhaps
        assert not more, f"there, though it was refused or deleted: {more}"

    # --- operations; each says what the client was told

    def small(self):
        return self.send()

    def large(self):
        return self.send(3 << 19)

    def retrieve(self):
        """Either what was sent or an error."""
        try:
            pop3 = self.instance.pop3(self.accounts[0])
            try:
                message = without_trace(retrieve(pop3, len(pop3.list()[1])))
            finally:
                pop3.close()
        except (poplib.error_proto, OSError, EOFError) as error:
            assert "+OK" not in str(error)
            return "-ERR"
        assert message in self.sent
        return "+OK"

    def quit(self):
        """Deletes a message: gone with +OK, there with -ERR, and either when stored ended."""
        account = self.accounts[0]
        try:
            pop3 = self.instance.pop3(account)
            number = int(re.search(rb"X-Number: (\d+)", retrieve(pop3, 1)).group(1))
            pop3.dele(1)
        except (poplib.error_proto, OSError, EOFError):
            return "-ERR"  # stored has ended: nothing was asked of it
        mark = len(self.instance.log)
        try:
            pop3.quit()
            self.gone.add((number, account.address))
            return "+OK"
        except (poplib.error_proto, OSError, EOFError):
            if self.stored_ended(mark):
                self.perhaps.add(number)
                self.gone.add((number, account.address))
            return "-ERR"

    def start(self):
        """A kill -9, and a start on the failing disk."""
        mark = len(self.instance.log)
        signal_process(self.stored(), 9)
        wait_until(lambda: re.search(r"stored\[\d+\]: the store is ready|ended with status",
                                     self.instance.log[mark:]), AGAIN, "a new stored")
        return "started"


def no_segment_open(disk, witness):
    """The next delivery begins a segment."""
    disk.fail("sync", SEGMENTS, EIO, count=1)
    assert witness.small() == 451
    disk.clear()


def something_to_read(disk, witness):
    """In a segment that has not been opened for reading yet."""
    no_segment_open(disk, witness)
    assert witness.small() == 250


def nothing(disk, witness):
    pass


# operation, what is done before, calls, files, errors
ROWS = [
    ("small", nothing, "write", SEGMENTS, [EIO, ENOSPC, EDQUOT, SHORT]),
    ("small", nothing, "sync", SEGMENTS, [EIO, ENOSPC]),
    ("small", no_segment_open, "open", SEGMENTS, [EMFILE, EIO, EROFS, ENOSPC]),
    ("small", no_segment_open, "allocate", SEGMENTS, [ENOSPC, EDQUOT, EFBIG, EIO]),
    ("small", no_segment_open, "write", SEGMENTS, [ENOSPC, EIO, SHORT]),
    ("small", no_segment_open, "sync", SEGMENTS, [EIO]),
    ("small", no_segment_open, "open|sync", FOLDER, [EIO, EMFILE]),
    ("large", nothing, "open", SEGMENTS, [EMFILE, EIO]),
    ("large", nothing, "allocate", SEGMENTS, [ENOSPC, EFBIG, EIO]),
    ("large", nothing, "write", SEGMENTS, [ENOSPC, EIO, SHORT]),
    ("large", nothing, "truncate", SEGMENTS, [EIO]),
    ("large", nothing, "sync", SEGMENTS, [EIO, ENOSPC]),
    ("large", nothing, "open|sync", FOLDER, [EIO]),
    ("small", nothing, "write", WAL, [ENOSPC, EIO, SHORT]),
    ("retrieve", something_to_read, "open", SEGMENTS, [EMFILE, EIO]),
    ("retrieve", something_to_read, "read", SEGMENTS, [EIO, SHORT]),
    ("quit", nothing, "write", SEGMENTS, [EIO, ENOSPC, SHORT]),
    ("quit", nothing, "sync", SEGMENTS, [EIO]),
    ("quit", nothing, "write", WAL, [EIO, ENOSPC]),
    ("start", nothing, "list", FOLDER, [EIO, EMFILE]),
    ("start", nothing, "open", SEGMENTS, [EMFILE, EIO]),
    ("start", nothing, "read", SEGMENTS, [EIO, SHORT]),
    ("start", nothing, "truncate|unlink", SEGMENTS, [EIO]),
    ("start", nothing, "open", INDEX, [EMFILE, EIO]),
    ("start", nothing, "read", INDEX, [EIO]),
    ("start", nothing, "write|read|open|truncate", WAL, [EIO, ENOSPC]),
]


def row_name(row):
    operation, before, calls, files, _ = row
    told = "" if before is nothing else f", {before.__name__.replace('_', ' ')}"
    return f"{operation}: {calls} {files.rpartition('/')[2]}{told}"


def cases(count, errors):
    """(the call that fails, with what, how many from there on)"""
    if TORTURE:
        step = max(1, count // 8)
        return [(first, error, many) for first in range(1, count + 1, step) for error in errors
                for many in (1, FOREVER)]
    return [(first, errors[0], 1) for first in sorted({1, min(2, count), count})]


def expected(operation, calls, files, error):
    """What the client may be told. With index.db the message is in the log already."""
    if operation in ("retrieve", "quit"):
        return {"+OK", "-ERR"}
    if operation == "start":
        return {"started"}
    if error == SHORT:
        return {250}
    if files == WAL:
        return {250, 451}
    return {452 if error in FULL else 451}


def index_is_behind(disk):
    """What is in the log enters index.db a moment later."""
    deadline = time.monotonic() + 1
    while not disk.acted() and time.monotonic() < deadline:
        time.sleep(0.02)


def check_synced_once(recorded):
    """After a failed sync nothing goes to that file any more but what cuts it off."""
    spoiled = set()
    for call, file, action in recorded:
        if file.endswith(".seg"):
            assert file not in spoiled or call in ("truncate", "unlink"), (call, file)
            if call == "sync" and action > 0:
                spoiled.add(file)


@pytest.fixture
def failing(stopped):
    disk = Disk(stopped)
    stopped.start()
    yield stopped, disk
    disk.clear()


@pytest.mark.parametrize("row", ROWS, ids=row_name)
def test_each_call(failing, row):
    instance, disk = failing
    operation, before, calls, files, errors = row
    witness = Witness(instance)
    for _ in range(4):
        assert witness.small() == 250
    before(disk, witness)
    disk.fail(calls, files, 0)
    getattr(witness, operation)()
    witness.send_again()
    count = disk.matched() if operation == "start" else max(1, disk.matched() - 1)
    wait_until(disk.matched, what="such a call in the operation")
    disk.record()
    for first, error, many in cases(count, errors):
        mark = len(instance.log)
        before(disk, witness)
        disk.fail(calls, files, error, first, many)
        told = getattr(witness, operation)()
        if files == WAL:
            index_is_behind(disk)
        acted = disk.acted()
        disk.clear()
        if acted:
            assert told in expected(operation, calls, files, error), (first, name(error), told)
        if acted and {"truncate", "unlink"} & set(calls.split("|")):
            witness.perhaps.add(len(witness.sent) - 1)
        witness.send_again()
        witness.check()
        if re.search(r"stored\[\d+\] (ended|was ended)", instance.log[mark:]):
            instance.restart()  # its next end counts as the first: no long back-off
    check_synced_once(disk.recorded())
    instance.restart()
    witness.check()
    instance.stop()
    instance.cli("store", "verify")


def counter(instance, counted):
    found = re.search(rf"(?m)^bellhop_{counted} (\d+)$", instance.http("/metrics")[1])
    return int(found.group(1))


# calls, files, error, message's size, code, what is counted, what the one line says, and the last
STORMS = [
    ("allocate", SEGMENTS, ENOSPC, 300, 452, "store_disk_full_total",
     "mail is deferred until there is room: No space left", "there is room for mail again"),
    ("allocate", SEGMENTS, EDQUOT, 300, 452, "store_disk_full_total",
     "mail is deferred until there is room: Disk quota", "there is room for mail again"),
    ("allocate", SEGMENTS, ENOSPC, 3 << 19, 452, "store_disk_full_total",
     "a large message is deferred: No space left", "there is room for mail again"),
    ("sync", SEGMENTS, EIO, 300, 451, "store_write_failures_total",
     "takes no more mail, which is deferred: Input/output error", "mail is written again"),
    ("sync", SEGMENTS, EIO, 3 << 19, 451, "store_write_failures_total",
     "a large message is deferred: Input/output error", "mail is written again"),
    ("open", SEGMENTS, EMFILE, 300, 451, "store_write_failures_total",
     "takes no more mail, which is deferred: Too many open files", "mail is written again"),
]


@pytest.mark.parametrize("storm", STORMS, ids=lambda row: f"{row[0]} {name(row[2])} {row[3]}")
def test_storm_is_told_once(failing, storm):
    """However many deliveries meet the same fault, the log has one line of it, and one of its end."""
    instance, disk = failing
    calls, files, error, size, code, counted, line, passed = storm
    witness = Witness(instance)
    before = counter(instance, counted)
    disk.fail(calls, files, error)
    for _ in range(12):
        assert witness.send(size) == code
    disk.clear()
    wait_until(lambda: witness.send(size) == 250, AGAIN, "a delivery")
    assert counter(instance, counted) > before
    errors = [text for text in instance.log.splitlines() if "error: " in text]
    assert len(errors) == 1 and line in errors[0], errors
    wait_until(lambda: passed in instance.log, 10, "the line of its end")
    assert instance.log.count(passed) == 1
    witness.check()


def test_reading_without_descriptors_is_told_once(failing):
    instance, disk = failing
    witness = Witness(instance)
    witness.small()
    disk.fail("open", SEGMENTS, EMFILE)
    for _ in range(5):
        assert witness.retrieve() == "-ERR"
    disk.clear()
    assert witness.retrieve() == "+OK"
    errors = [text for text in instance.log.splitlines() if "error: " in text]
    assert len(errors) == 1 and "a message cannot be read: Too many open files" in errors[0]
    assert instance.log.count("mail is read again") == 1


def test_file_that_may_not_grow_is_a_full_disk(instance):
    """The kernel's limit itself: an errno, and not the end by SIGXFSZ."""
    witness = Witness(instance)
    stored = witness.stored()
    before = resource.prlimit(stored, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    assert witness.small() == 452
    assert witness.large() == 452
    resource.prlimit(stored, resource.RLIMIT_FSIZE, before)
    witness.send_again()
    witness.check()
    assert witness.stored() == stored


def test_store_that_does_not_start_keeps_nobody_waiting(failing):
    """Clients hear "not now" before they give up, and all works again when the disk does."""
    instance, disk = failing
    witness = Witness(instance)
    assert witness.small() == 250
    disk.fail("list", FOLDER, EIO)
    signal_process(witness.stored(), 9)
    verify = subprocess.Popen([BIN / "stored", "verify"], cwd=instance.dir, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for account in witness.accounts:
        with pytest.raises(poplib.error_proto, match=re.escape("[SYS/TEMP]")):
            instance.pop3(account)
    assert witness.small() == 451
    fronts = 1 + len(instance.pids()["pop3d"])
    wait_until(lambda: instance.log.count("nobody has answered at") == fronts, AGAIN, "all fronts")
    # Known to be away: nothing is sent that a later stored would find.
    for _ in range(3):
        assert witness.small() == 451
    assert "the mail store does not answer yet" in verify.stderr.readline()
    disk.clear()
    witness.send_again()
    witness.perhaps.clear()
    witness.check()
    assert "answers again" in instance.log
    assert verify.communicate(timeout=60)[0].startswith("good: ")


def test_removed_mailbox_on_a_failing_disk(failing):
    """Its mail goes as soon as the disk lets it."""
    instance, disk = failing
    witness = Witness(instance)
    for _ in range(3):
        assert witness.small() == 250
    disk.fail("write|sync", SEGMENTS, EIO)
    gone = witness.accounts.pop()
    instance.cli("address", "remove", gone.address, "--now")
    wait_until(disk.acted, AGAIN, "the first try")
    disk.clear()
    wait_until(lambda: "dropped mailbox=" in instance.log, AGAIN, "the drop")
    witness.check()
    instance.stop()
    instance.cli("store", "verify")
    stats = json.loads(instance.cli("store", "stats", "--json").stdout)
    assert (stats["mailboxes"], stats["messages"]) == (1, 3)
