"""A backup is one moment of an instance; what is restored from it is that moment, or is refused."""

import fcntl
import json
import os
import random
import resource
import signal
import struct
import subprocess
import threading
import time

import pytest

from bellhop import BIN, QUICK, Instance, Account, signal_process, wait_until
from wire import without_trace

LARGE = b"Subject: large\r\n\r\n" + (b".%070d\r\n" % 7) * 40000  # read and written in pieces


@pytest.fixture
def empty(tmp_path):
    """Makes instances that hold nothing."""
    made = []

    def make():
        made.append(Instance(tmp_path / f"empty{len(made)}"))
        made[-1].configure(**QUICK)
        return made[-1]

    yield make
    for instance in made:
        instance.finish()


def accounts(instance):
    return [account for customer in instance.customers for account in customer.accounts]


def fill(instance, count, text="mail"):
    """Messages to one mailbox each, and to several of both customers."""
    addresses = [account.address for account in accounts(instance)]
    with instance.lmtp() as lmtp:
        for number in range(count):
            to = addresses[number % len(addresses):][:1 + number % 4]
            message = b"Subject: %s %d\r\n\r\n.%d\r\n" % (text.encode(), number, number)
            assert all(reply.code == 250 for reply in lmtp.deliver(to, message))


def everything(instance, of=None):
    """The mail of all accounts of `of`, by address and unique-id."""
    return {account.address: instance.messages(account) for account in accounts(of or instance)}


def remove(instance, account, *numbers):
    pop3 = instance.pop3(account)
    for number in numbers:
        pop3.dele(number)
    pop3.quit()


def listing(instance):
    return instance.cli("address", "list", "--json").stdout, instance.cli("customer", "list").stdout


def check_restored(restored, source, mail, accounts_then=None):
    """The same mail, and what is delivered from now on comes after it."""
    assert "good" in restored.cli("store", "verify").stdout
    restored.start()
    assert everything(restored, source) == mail
    if accounts_then is not None:
        assert restored.cli("address", "list", "--json").stdout == accounts_then
    for account in accounts(source):
        assert restored.deliver(account.address, b"Subject: next\r\n\r\n")[0].code == 250
        uids = [int(uid.split(".")[0], 16) for uid in restored.messages(account)]
        assert uids == sorted(set(uids))
        assert len(uids) == len(mail[account.address]) + 1


def test_restore_is_the_same(instance, empty, tmp_path):
    fill(instance, 40)
    first, second = accounts(instance)[0], accounts(instance)[4]
    assert instance.deliver([first.address, second.address], LARGE)[1].code == 250
    last = len(instance.messages(first))
    remove(instance, first, 2, last)  # the highest uid must not come again
    before = everything(instance)
    highest = int(list(instance.messages(second))[-1].split(".")[0], 16)
    listed = instance.cli("address", "list", "--json").stdout
    done = instance.cli("backup", tmp_path / "whole")
    assert "bellhop.conf" in done.stdout and done.stderr == ""
    assert (tmp_path / "whole").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.glob("whole*")] == ["whole"]
    restored = empty()
    done = restored.cli("restore", tmp_path / "whole")
    assert "bellhop.conf" in done.stdout and done.stderr == ""
    check_restored(restored, instance, before, listed)
    new = [int(uid.split(".")[0], 16) for uid in restored.messages(first)][-1]
    assert new == last + 1
    assert int(list(restored.messages(second))[-1].split(".")[0], 16) == highest + 1


def test_restored_webhooks_are_off(instance, empty, tmp_path):
    """The instance that the backup is of may go on, and this one be a trial."""
    for options in [], ["--customer", instance.customers[0].name]:
        instance.cli("webhook", "add", "https://panel.example/hook", *options)
    instance.cli("webhook", "disable", "2")
    instance.cli("backup", tmp_path / "whole")
    restored = empty()
    assert "webhook enable" in restored.cli("restore", tmp_path / "whole").stdout
    before, after = (json.loads(each.cli("webhook", "list", "--json").stdout) for each in (instance, restored))
    assert before[0]["disabled"] is None and before[1]["disabled"]
    assert after[0]["disabled"] and after[1] == before[1]
    restored.start()
    restored.cli("webhook", "enable", "1")
    assert json.loads(restored.cli("webhook", "list", "--json").stdout)[0]["disabled"] is None


def test_increments(instance, empty, tmp_path):
    """Two increments over expunges, a removed address, a new one, and mail to several."""
    fill(instance, 30)
    instance.cli("backup", tmp_path / "0")
    remove(instance, accounts(instance)[1], 1, 2)
    fill(instance, 20, "later")
    hostel = instance.customers[1]
    gone = hostel.accounts.pop(0)
    instance.cli("address", "remove", gone.address, "--now")
    instance.cli("backup", tmp_path / "1", "--since", tmp_path / "0")
    instance.address(hostel, "pool")
    instance.address(hostel, gone.address.split("@")[0])  # the same name, another mailbox
    fill(instance, 20, "last")
    remove(instance, accounts(instance)[0], 1)
    instance.stop()  # and without the service
    instance.cli("backup", tmp_path / "2", "--since", tmp_path / "1")
    assert (tmp_path / "2").stat().st_size < (tmp_path / "0").stat().st_size * 1.2
    instance.start()
    now = everything(instance)
    restored = empty()
    restored.cli("restore", tmp_path / "0", tmp_path / "1", tmp_path / "2")
    check_restored(restored, instance, now)


def refuse(done, *words):
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr


def test_wrong_files(instance, empty, tmp_path):
    fill(instance, 6)
    for number in range(3):
        since = ["--since", tmp_path / str(number - 1)] if number > 0 else []
        instance.cli("backup", tmp_path / str(number), *since)
    other = empty().start()
    refuse(other.cli("backup", tmp_path / "x", "--since", tmp_path / "0", check=False),
           "another instance")
    other.stop()
    refuse(instance.cli("backup", tmp_path / "0", check=False), "there already")
    refuse(instance.cli("backup", tmp_path / "no" / "0", check=False), "cannot write")
    (tmp_path / "text").write_bytes(b"no backup\n" * 100)
    refuse(instance.cli("backup", tmp_path / "x", "--since", tmp_path / "text", check=False),
           "no backup")
    os.mkfifo(tmp_path / "pipe")
    refuse(instance.cli("backup", tmp_path / "x", "--since", tmp_path / "pipe", check=False),
           "no file")
    assert not list(tmp_path.glob("x*"))
    for names, word in [("1", "whole backup first"), ("0 2", "does not build on"),
                        ("0 2 1", "does not build on"), ("0 1 0", "whole backup"),
                        ("0 text", "no backup"), ("missing", "cannot read")]:
        refuse(other.cli("restore", *[tmp_path / name for name in names.split()], check=False),
               word)
    refuse(instance.cli("restore", tmp_path / "0", check=False), "stop it first")
    instance.stop()
    refuse(instance.cli("restore", tmp_path / "0", check=False), "holds accounts")
    # A restored store goes its own way, so what is new in it is told from its own backups only.
    other.cli("restore", tmp_path / "0", tmp_path / "1")
    refuse(other.cli("backup", tmp_path / "x", "--since", tmp_path / "1", check=False),
           "another instance")
    refuse(other.cli("restore", tmp_path / "0", check=False), "holds accounts")


def test_any_damage_is_refused(instance, empty, tmp_path):
    fill(instance, 8)
    instance.cli("backup", tmp_path / "whole")
    octets = (tmp_path / "whole").read_bytes()
    target = empty()
    before = sorted((str(file), file.read_bytes()) for file in target.dir.rglob("*")
                    if file.is_file() and "run" not in file.parts)
    draw = random.Random(1)
    copy = tmp_path / "copy"
    heads = list(range(0, 160, 7))
    ends = [len(octets) - 1 - at for at in range(0, 120, 7)]
    for at in heads + ends + [draw.randrange(len(octets)) for _ in range(40)]:
        spoilt = bytearray(octets)
        spoilt[at] ^= 1 << draw.randrange(8)
        copy.write_bytes(spoilt)
        refuse(target.cli("restore", copy, check=False), "copy")
    for length in [0, 1, 80, len(octets) // 2, len(octets) - 100, len(octets) - 1]:
        copy.write_bytes(octets[:length])
        refuse(target.cli("restore", copy, check=False), "copy")
    copy.write_bytes(octets + b"\0")
    refuse(target.cli("restore", copy, check=False), "damaged")
    after = sorted((str(file), file.read_bytes()) for file in target.dir.rglob("*")
                   if file.is_file() and "run" not in file.parts)
    assert [file for file in after if "accounts.db-" not in file[0]] == before
    target.cli("restore", tmp_path / "whole")


def test_a_damaged_message_is_named_and_the_rest_is_kept(instance, empty, tmp_path):
    fill(instance, 12)
    account = accounts(instance)[1]
    mail = everything(instance)
    instance.stop()
    [segment] = instance.dir.glob("store/*.seg")
    octets = bytearray(segment.read_bytes())
    at = octets.index(b"Subject: mail 1\r\n")
    octets[at] ^= 1
    segment.write_bytes(octets)
    done = instance.cli("backup", tmp_path / "whole", check=False)
    assert done.returncode == 1
    assert "damaged" in done.stderr and "unique-id=" in done.stderr
    lost = [(address, uid) for address, found in mail.items() for uid, message in found.items()
            if b"Subject: mail 1\r\n" in message]
    assert len(lost) == 2 and lost[0][0] == account.address
    for address, uid in lost:
        assert uid in done.stderr
        del mail[address][uid]
    restored = empty()
    assert restored.cli("restore", tmp_path / "whole", check=False).returncode == 1
    check_restored(restored, instance, mail)


def start(instance, *arguments):
    return subprocess.Popen([BIN / "bellhop", "-C", instance.dir, *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_free(instance):
    """Whether nobody has the store; what a killed command has started ends a moment later."""
    with open(instance.dir / "store" / "lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL],
                         ids=lambda number: number.name)
def test_interrupted(instance, empty, tmp_path, number):
    """At several moments, of both commands: nothing half-done is ever taken for whole."""
    fill(instance, 60)
    for account in accounts(instance):
        instance.deliver(account.address, LARGE)
    mail = everything(instance)
    began = time.monotonic()
    instance.cli("backup", tmp_path / "whole")
    took = time.monotonic() - began
    for part in range(5):
        running = start(instance, "backup", tmp_path / "cut")
        time.sleep(took * part / 5)
        running.send_signal(number)
        said = running.communicate(timeout=60)[1]
        if running.returncode == 1:
            assert "interrupted" in said and not list(tmp_path.glob("cut*"))
        if (tmp_path / "cut").exists():  # so it is whole, also when it is killed from there on
            instance.cli("backup", tmp_path / "next", "--since", tmp_path / "cut")
            (tmp_path / "next").unlink()
            (tmp_path / "cut").unlink()
    instance.cli("backup", tmp_path / "cut")  # over what a killed one left
    assert [file.name for file in tmp_path.glob("cut*")] == ["cut"]
    target = empty()
    began = time.monotonic()
    empty().cli("restore", tmp_path / "whole")
    took = time.monotonic() - began
    for part in range(6):
        running = start(target, "restore", tmp_path / "whole")
        time.sleep(took * part / 6)
        running.send_signal(number)
        running.communicate(timeout=60)
        wait_until(lambda: is_free(target), what="the end of the load")
        if accounts(instance)[0].address in target.cli("address", "list", check=False).stdout:
            break
        if (target.dir / "store" / "restore.unfinished").exists():
            refuse(target.cli("address", "list", check=False), "interrupted")
            refuse(subprocess.run([BIN / "bellhop", "init", target.dir], capture_output=True,
                                  text=True, timeout=60), "interrupted")
            refuse(target.cli("serve", check=False), "interrupted")
    else:
        target.cli("restore", tmp_path / "whole")
    check_restored(target, instance, mail)


def test_full_disk(instance, empty, tmp_path):
    for account in accounts(instance):
        assert instance.deliver(account.address, LARGE)[0].code == 250
    mail = everything(instance)

    def limited(limit, *arguments):
        return subprocess.run(
            [BIN / "bellhop", *map(str, arguments)], capture_output=True, text=True, timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))

    for limit in (10, 100_000, 3 << 20):
        refuse(limited(limit, "-C", instance.dir, "backup", tmp_path / "cut"), "cannot write")
        assert not list(tmp_path.glob("cut*"))
    instance.cli("backup", tmp_path / "whole")
    target = empty()
    for limit in (5 << 20, 66 << 20):
        done = limited(limit, "-C", target.dir, "restore", tmp_path / "whole")
        if done.returncode == 0:
            break
        refuse(done, "not whole")
        refuse(target.cli("serve", check=False), "interrupted")
    else:
        target.cli("restore", tmp_path / "whole")
    check_restored(target, instance, mail)


def frame(kind, payload=b""):
    return struct.pack("<II", kind, len(payload)) + payload


def numbers(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def record(uid=1, refs=1, unique_id=b"", text=b"text\r\n", octets=6, length=6, unique_id_length=None,
           surrogate=b""):
    """A message in mailbox 1, as it stands in a backup."""
    return (struct.pack("<IIQQQQ", refs, len(unique_id) if unique_id_length is None
                        else unique_id_length, 1, octets, 0, length)
            + surrogate + numbers(1, uid) + unique_id + text)


def growth(octets, version=1, needed=1):
    """What of a record says that it has a surrogate."""
    return {"unique_id_length": version << 8 | needed << 16, "surrogate": struct.pack("<q", octets)}


MAILBOXES, MANIFEST, BODIES, END = 6, 7, 8, 9
SMALL = frame(MAILBOXES, numbers(1, 2, 0)) + frame(MANIFEST, numbers(1, 1))
HOSTILE = {
    "mailbox 0": frame(MAILBOXES, numbers(0, 2, 0)),
    "mailbox with a sign": frame(MAILBOXES, numbers(1 << 63, 2, 0)),
    "next uid with a sign": frame(MAILBOXES, numbers(1, (1 << 64) - 1, 0)),
    "half a mailbox": frame(MAILBOXES, bytes(25)),
    "message of mailbox 0": frame(MANIFEST, numbers(0, 1)),
    "uid 0": frame(MANIFEST, numbers(1, 0)),
    "last uid": frame(MANIFEST, numbers(1, (1 << 63) - 1)),
    "half a reference": frame(MANIFEST, bytes(17)),
    "list behind a body": SMALL + frame(BODIES, record()) + frame(MANIFEST, numbers(1, 2)),
    "no reference": SMALL + frame(BODIES, record(refs=0)),
    "too many references": SMALL + frame(BODIES, record(refs=2 ** 32 - 1)),
    "endless body": SMALL + frame(BODIES, record(length=2 ** 64 - 1)),
    "body of nobody": SMALL + frame(BODIES, record(uid=9, length=2 ** 40)),
    "half a body": SMALL + frame(BODIES, record(length=7)),
    "more octets than there are": SMALL + frame(BODIES, record(octets=7)),
    "long unique-id": SMALL + frame(BODIES, record(unique_id=b"x" * 71)),
    "endless unique-id": SMALL + frame(BODIES, record(unique_id_length=2 ** 32 - 1)),
    "unique-id of two lines": SMALL + frame(BODIES, record(unique_id=b"x\r\n2 forged")),
    "unique-id with NUL": SMALL + frame(BODIES, record(unique_id=b"\0x")),
    "surrogate by nobody": SMALL + frame(BODIES, record(**growth(1, version=0))),
    "two surrogates": SMALL + frame(BODIES, record(**growth(1, needed=2))),
    "surrogate of less than nothing": SMALL + frame(BODIES, record(**growth(-7))),
    "endless surrogate": SMALL + frame(BODIES, record(**growth(2 ** 63 - 1))),
    "another type": frame(99),
    "zeros": bytes(1 << 20),
}


def test_hostile_streams_are_refused(empty):
    """Whoever writes a backup can give it good checksums."""
    def load(octets):
        return subprocess.run([BIN / "stored", "load", "4194304"], cwd=target.dir,
                              input=octets + frame(END), capture_output=True, timeout=30)

    target = empty()
    (target.dir / "store" / "restore.unfinished").touch()
    for name, stream in HOSTILE.items():
        done = load(stream)
        assert (done.returncode, done.stdout) == (1, b""), name
        assert b"breaks its rules" in done.stderr, name
    for good in record(), record(**growth(-6)), record(**growth(2 ** 38, version=255)):
        assert load(SMALL + frame(BODIES, good)).stdout == frame(END, numbers(1, 0))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_the_service_is_started_again_meanwhile(instance, number):
    """Then nobody has kept the store as it was: the dump says so and is not whole."""
    ready, go = 1, 2
    fill(instance, 5)
    dump = subprocess.Popen([BIN / "stored", "dump"], cwd=instance.dir, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert dump.stdout.read(8) == frame(ready)
    [before] = instance.pids()["stored"]
    signal_process(before, number)
    wait_until(lambda: instance.pids().get("stored", [before]) != [before], 10, "a new stored")
    rest, said = dump.communicate(frame(go), timeout=30)
    assert rest == b"" and dump.returncode == 1
    assert b"the service ended" in said


def test_a_stopped_store_is_not_served_meanwhile(stopped):
    stopped.start()
    fill(stopped, 5)
    stopped.stop()
    dump = subprocess.Popen([BIN / "stored", "dump"], cwd=stopped.dir, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
    assert dump.stdout.read(8) == frame(1)
    refuse(stopped.cli("serve", check=False), "backup")
    dump.stdin.close()
    dump.stdout.close()
    dump.wait(10)
    stopped.start()


class Changes:
    """Mail comes and goes and addresses too, all the time, and what was acknowledged is noted."""

    def __init__(self, instance):
        self.instance = instance
        self.stopping = threading.Event()
        self.stable = accounts(instance)
        self.sent = {account.address: [] for account in self.stable}
        self.wrong = []
        work = [self._send, self._send, self._delete, self._come_and_go]
        self.threads = [threading.Thread(target=self._run, args=(one, n), daemon=True)
                        for n, one in enumerate(work)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def _run(self, work, number):
        try:
            draw = random.Random(number)
            while not self.stopping.is_set():
                work(number, draw)
        except Exception as error:  # told by the test
            self.wrong.append(repr(error))

    def _send(self, number, draw):
        """Each mailbox but the first, which is the deleter's, gets numbers in order."""
        account = self.stable[1 + number * 2 + draw.randrange(2)]
        text = b"%d" % len(self.sent[account.address])
        reply = self.instance.deliver(account.address, b"X-Number: " + text + b"\r\n\r\n")[0]
        assert reply.code == 250
        self.sent[account.address].append(text)

    def _delete(self, number, draw):
        self.instance.deliver(self.stable[0].address, b"Subject: short-lived\r\n\r\n")
        if len(self.instance.messages(self.stable[0])) > 3:
            remove(self.instance, self.stable[0], 1, 2)

    def _come_and_go(self, number, draw):
        customer = self.instance.customers[draw.randrange(2)]
        address = f"guest{draw.randrange(10**9)}@{customer.domain}"
        self.instance.cli("address", "add", address, "--password-stdin", input="a good password\n")
        self.instance.deliver(address, b"X-For: " + address.encode() + b"\r\n\r\n")
        if draw.randrange(3) > 0:
            self.instance.cli("address", "remove", address, "--now")


def mailboxes_in_store(instance):
    script = "SELECT mailbox FROM mailbox WHERE NOT dropped AND messages > 0"
    found = subprocess.run(["sqlite3", instance.dir / "store" / "index.db", script],
                           capture_output=True, text=True, check=True)
    return {int(line) for line in found.stdout.split()}


def mailboxes_known(instance):
    script = "SELECT id FROM mailbox UNION SELECT mailbox FROM mailbox_drop"
    found = subprocess.run(["sqlite3", instance.dir / "accounts.db", script],
                           capture_output=True, text=True, check=True)
    return {int(line) for line in found.stdout.split()}


def test_one_moment(instance, empty, tmp_path):
    instance.cli("plan", "set", "house", "--addresses", "100")
    instance.cli("plan", "set", "chain", "--addresses", "100")
    with Changes(instance) as changes:
        names = []
        for number in range(4):
            wait_until(lambda: all(len(changes.sent[account.address]) > 10 * number
                                   for account in changes.stable[1:5]) or changes.wrong, 60)
            before = {address: list(sent) for address, sent in changes.sent.items()}
            since = ["--since", names[-1]] if names else []
            names.append(tmp_path / str(number))
            instance.cli("backup", names[-1], *since)
    assert not changes.wrong
    restored = empty()
    restored.cli("restore", *names)
    assert mailboxes_in_store(restored) <= mailboxes_known(restored)
    assert "good" in restored.cli("store", "verify").stdout
    restored.start()
    for account in changes.stable[1:]:
        found = [without_trace(message).split()[1] for message in
                 restored.messages(account).values()]
        # One sender a mailbox, in order: all from before, and of what came meanwhile the first.
        assert found == changes.sent[account.address][:len(found)] or \
            found[:-1] == changes.sent[account.address]
        assert len(found) >= len(before[account.address])
    assert all(b"short-lived" in text for text in restored.messages(changes.stable[0]).values())
    listed = restored.cli("address", "list").stdout
    for word in listed.split():
        if word.startswith("guest"):
            for message in restored.messages(Account(word, "a good password")).values():
                assert b"X-For: " + word.encode() in message


def test_progress_where_nobody_draws(instance, empty, tmp_path):
    fill(instance, 3)
    quiet = instance.cli("backup", tmp_path / "one")
    assert quiet.stderr == ""
    told = instance.cli("backup", tmp_path / "two", "--progress")
    assert "100%" in told.stderr
    told = empty().cli("restore", tmp_path / "two", "--progress")
    assert told.stderr.count("100%") == 2
