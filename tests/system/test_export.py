"""Exporting mailboxes, and the way round: what is imported again is the same to the octet."""

import resource
import signal
import subprocess
import time

import pytest

from bellhop import BIN
from mailfiles import index_rows, make_maildir, mboxrd, read_maildir

TEXTS = [
    b"Subject: plain\n\ntext\n",
    b"Subject: dots\n\n.\n..\n.x\n\n",
    b"Subject: from\n\nFrom here on\n>From there\n>>From a > b\nFrom\n> From\n\n\n",
    b"From: x\n",
    b"\n",
    b"\n\n\n",
    b"Subject: long\n\n" + b"y" * 200_000 + b"\nFrom the end",
    b"Subject: octets\n\n" + bytes(range(1, 10)) + bytes(range(14, 256)) + b"\n",
]


def canonical_lf(text):
    return text if text.endswith(b"\n") else text + b"\n"


def round_trip_mailboxes(instance):
    hotel, group = instance.customers
    return [hotel.accounts[0], group.accounts[0], hotel.accounts[1], group.accounts[1]]


def test_what_goes_out_and_in_again_is_the_same(instance, tmp_path):
    first, second, third, fourth = round_trip_mailboxes(instance)
    messages = make_maildir(tmp_path / "source", TEXTS)
    instance.cli("mailbox", "import", first.address, "--maildir", tmp_path / "source")
    instance.cli("mailbox", "export", first.address, "--maildir", tmp_path / "one")
    instance.cli("mailbox", "import", second.address, "--maildir", tmp_path / "one")
    instance.cli("mailbox", "export", second.address, "--mbox", tmp_path / "two")
    instance.cli("mailbox", "import", third.address, "--mbox", tmp_path / "two")
    rows = [index_rows(instance, account) for account in (first, second, third)]
    assert [row.unique_id for row in rows[0]] == [message.unique_id for message in messages]
    assert [row.time for row in rows[0]] == [message.time for message in messages]
    assert rows[0] == rows[1]
    assert [(row.unique_id, row.octets, row.time // 10**6) for row in rows[0]] == \
        [(row.unique_id, row.octets, row.time // 10**6) for row in rows[2]]
    wanted = [canonical_lf(text).replace(b"\n", b"\r\n") for text in TEXTS]
    fetched = [instance.messages(account) for account in (first, second, third)]
    assert [list(messages.values()) for messages in fetched] == [wanted] * 3
    assert list(fetched[0]) == list(fetched[1]) == list(fetched[2])
    instance.cli("mailbox", "export", third.address, "--maildir", tmp_path / "three")
    assert [file.text for file in read_maildir(tmp_path / "three")] == \
        [canonical_lf(text) for text in TEXTS]
    assert instance.messages(fourth) == {}


def test_a_maildir_is_as_dovecot_and_the_owner_of_the_files_want_it(instance, tmp_path):
    account, other = instance.customers[0].accounts[0], instance.customers[1].accounts[0]
    instance.deliver([account.address], b"Subject: a\r\n\r\n.dot\r\n")
    instance.deliver([other.address], b"Subject: of somebody else\r\n\r\n")
    folder = tmp_path / "out"
    done = instance.cli("mailbox", "export", account.address, "--maildir", folder)
    assert done.stdout == "1 written\n"
    (row,) = index_rows(instance, account)
    (file,) = read_maildir(folder)
    (fetched,) = instance.messages(account).values()
    assert file.text == fetched.replace(b"\r\n", b"\n")
    assert file.path.name == (f"{row.time // 10**6}.M{row.time % 10**6:06}Q1.bellhop,"
                              f"S={len(file.text)},W={len(fetched)}")
    assert file.path.stat().st_mtime_ns // 1000 == row.time
    assert (folder / "dovecot-uidlist").read_text() == (
        f"3 V{row.time // 10**6} N2\n1 P1.{row.time:x} :{file.path.name}\n")
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "cur", "dovecot-uidlist", "new", "tmp"]
    for entry in folder.rglob("*"):
        assert entry.stat().st_mode & 0o777 == (0o700 if entry.is_dir() else 0o600)


def test_an_mbox_quotes_and_says_whose_unique_id_it_is(instance, tmp_path):
    account = instance.customers[1].accounts[0]
    make_maildir(tmp_path / "in", [TEXTS[2]])
    instance.cli("mailbox", "import", account.address, "--maildir", tmp_path / "in")
    instance.cli("mailbox", "export", account.address, "--mbox", tmp_path / "out")
    (row,) = index_rows(instance, account)
    date = time.asctime(time.gmtime(row.time // 10**6))
    assert (tmp_path / "out").read_bytes() == (
        f"From bellhop-{row.unique_id} {date}\n".encode() + mboxrd(TEXTS[2]) + b"\n")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_nothing_is_overwritten(stopped, tmp_path, kind):
    account = stopped.customers[0].accounts[0]
    target = tmp_path / "target"
    if kind == "maildir":
        target.mkdir()
        (target / "somebody's").write_text("file")
    else:
        target.write_text("somebody's")
    done = stopped.cli("mailbox", "export", account.address, f"--{kind}", target, check=False)
    assert done.returncode == 1 and "is there already" in done.stderr
    assert (target / "somebody's").exists() if kind == "maildir" else \
        target.read_text() == "somebody's"


def is_finished(target, kind):
    """Also where it was killed behind its last step. An mbox has its name, and a folder no marker, at the end."""
    return target.is_file() if kind == "mbox" else any(target.glob("*")) and not (target / "bellhop-export").exists()


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_an_interrupted_export_goes_on(instance, tmp_path, kind):
    account = instance.customers[0].accounts[0]
    texts = [b"Subject: %d\n\n" % number + b"x" * 300_000 + b"\nFrom z\n" for number in range(60)]
    make_maildir(tmp_path / "in", texts)
    instance.cli("mailbox", "import", account.address, "--maildir", tmp_path / "in")
    target = tmp_path / "out"
    command = [BIN / "bellhop", "-C", instance.dir, "mailbox", "export", account.address,
               f"--{kind}", target]
    interrupted = 0
    for pause in (0.01, 0.02, 0.04):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(pause)
        process.kill()
        interrupted += process.wait() == -signal.SIGKILL
    if interrupted == 0:
        pytest.skip("this machine is too quick")
    finished = is_finished(target, kind)
    assert finished or interrupted == 3
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if finished:
        assert done.returncode == 1 and "is there already" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
    again = instance.customers[1].accounts[0]
    instance.cli("mailbox", "import", again.address, f"--{kind}", target)
    rows = [index_rows(instance, one) for one in (account, again)]
    assert [(row.unique_id, row.octets) for row in rows[0]] == \
        [(row.unique_id, row.octets) for row in rows[1]]
    assert list(instance.messages(account).values()) == list(instance.messages(again).values())


def test_what_an_interrupted_mbox_lost_of_its_last_message_is_written_again(instance, tmp_path):
    account = instance.customers[0].accounts[0]
    texts = [b"Subject: 1\n\none\n", b"Subject: 2\n\ntwo\0NUL\nFrom x\n", b"Subject: 3\n\nthree\n"]
    make_maildir(tmp_path / "in", texts)
    instance.cli("mailbox", "import", account.address, "--maildir", tmp_path / "in")
    whole, target = tmp_path / "whole", tmp_path / "out"
    instance.cli("mailbox", "export", account.address, "--mbox", whole)
    octets = whole.read_bytes()
    mailbox = index_rows(instance, account)[0].mailbox
    for length in range(0, len(octets) + 1, 7):
        part = tmp_path / f"out.{mailbox}.part"
        part.write_bytes(octets[:length])
        instance.cli("mailbox", "export", account.address, "--mbox", target)
        assert target.read_bytes() == octets
        assert not part.exists()
        target.unlink()


def test_an_open_session_is_no_hindrance(instance, tmp_path):
    account = instance.customers[0].accounts[0]
    instance.deliver([account.address], b"Subject: a\r\n\r\n")
    pop3 = instance.pop3(account)
    pop3.dele(1)
    instance.cli("mailbox", "export", account.address, "--maildir", tmp_path / "out")
    assert len(read_maildir(tmp_path / "out")) == 1
    pop3.rset()
    pop3.quit()


def test_the_service_need_not_run(instance, tmp_path):
    account = instance.customers[1].accounts[2]
    instance.deliver([account.address], b"Subject: a\r\n\r\n")
    instance.stop()
    instance.cli("mailbox", "export", account.address, "--maildir", tmp_path / "out")
    assert len(read_maildir(tmp_path / "out")) == 1


def test_after_a_crash_nothing_is_left_out(instance, tmp_path):
    account, other = instance.customers[1].accounts[2], instance.customers[0].accounts[0]
    instance.deliver([account.address, other.address], b"Subject: a\r\n\r\n")
    instance.kill()
    for path in (instance.dir / "store").glob("index.db*"):
        path.unlink()
    instance.cli("mailbox", "export", account.address, "--maildir", tmp_path / "out")
    assert len(read_maildir(tmp_path / "out")) == 1


def test_a_damaged_message_is_named_and_left_out(instance, tmp_path):
    account = instance.customers[0].accounts[0]
    make_maildir(tmp_path / "in", [b"Subject: 1\n\none\n", b"Subject: 2\n\ndamage me\n",
                                   b"Subject: 3\n\nthree\n"])
    instance.cli("mailbox", "import", account.address, "--maildir", tmp_path / "in")
    instance.stop()
    damaged = False
    for path in (instance.dir / "store").glob("*.seg"):
        octets = path.read_bytes()
        if b"damage me" in octets:
            with path.open("r+b") as file:
                file.seek(octets.index(b"damage me"))
                file.write(b"D")
            damaged = True
    assert damaged
    unique_id = index_rows(instance, account)[1].unique_id
    for kind in ("maildir", "mbox"):
        done = instance.cli("mailbox", "export", account.address, f"--{kind}", tmp_path / kind,
                            check=False)
        assert done.returncode == 1
        assert done.stdout == "2 written, 1 damaged and LEFT OUT\n"
        assert f"unique-id={unique_id}" in done.stderr and "checksum" in done.stderr
    assert [file.text[:10] for file in read_maildir(tmp_path / "maildir")] == [
        b"Subject: 1", b"Subject: 3"]


def test_a_file_may_not_grow(instance, tmp_path):
    account = instance.customers[0].accounts[0]
    for number in range(8):
        instance.deliver(account.address, b"Subject: %d\r\n\r\n" % number + b"x\r\n" * 20_000)
    export = [BIN / "bellhop", "-C", instance.dir, "mailbox", "export", account.address,
              "--mbox", tmp_path / "mbox"]
    cut = subprocess.run(
        export, capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
    assert cut.returncode == 1
    assert cut.stderr.startswith("bellhop: cannot write ") and cut.stderr.count("\n") == 1
    assert not (tmp_path / "mbox").exists()
    again = subprocess.run(export, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0 and "there from an earlier run" in again.stdout
    assert (tmp_path / "mbox").read_bytes().count(b"\nSubject: ") == 8


def test_a_folder_without_room_is_told_and_taken_later(instance, tmp_path):
    account = instance.customers[0].accounts[0]
    instance.deliver(account.address, b"Subject: 1\r\n\r\n")
    export = [BIN / "bellhop", "-C", instance.dir, "mailbox", "export", account.address,
              "--maildir", tmp_path / "maildir"]
    cut = subprocess.run(
        export, capture_output=True, text=True, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    assert cut.returncode == 1 and cut.stderr == (
        f"bellhop: cannot begin in {tmp_path / 'maildir'}: File too large\n")
    assert subprocess.run(export, capture_output=True, timeout=60).returncode == 0
    assert len(read_maildir(tmp_path / "maildir")) == 1
