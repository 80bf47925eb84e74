"""Importing mail from maildirs, mbox files and other POP3 servers, for two customers."""

import gzip
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bellhop import BIN, descriptors, sanitized, signal_process, wait_until
from mailfiles import BEGAN, VALIDITY, index_rows, make_maildir, mboxrd, write_uidlist


def import_maildir(instance, account, folder, **options):
    return instance.cli("mailbox", "import", account.address, "--maildir", folder, **options)


def import_mbox(instance, account, file, **options):
    return instance.cli("mailbox", "import", account.address, "--mbox", file, **options)


def unique_ids(instance, account):
    return [row.unique_id for row in index_rows(instance, account)]


def texts(count, size=10):
    return [b"Subject: %d\n\n" % number + b"x" * size + b"\n" for number in range(count)]


def first_two(instance):
    return [customer.accounts[0] for customer in instance.customers]


# --- maildir


def test_dovecots_maildir(instance, tmp_path):
    hotel, group = first_two(instance)
    made = make_maildir(tmp_path / "m", texts(5))
    (tmp_path / "m" / "tmp" / "half").write_text("not delivered\n")
    (tmp_path / "m" / ".Sent" / "cur").mkdir(parents=True)
    done = import_maildir(instance, hotel, tmp_path / "m")
    assert done.stdout == ("unique-ids and order are those of dovecot-uidlist\n"
                           f"1 folder is in {tmp_path / 'm'} left out: POP3 has the inbox alone\n"
                           "5 imported, 0 there already\n")
    assert done.stderr == ""
    rows = index_rows(instance, hotel)
    assert [(row.unique_id, row.time) for row in rows] == [(m.unique_id, m.time) for m in made]
    assert list(instance.messages(hotel)) == [m.unique_id for m in made]
    assert list(instance.messages(hotel).values()) == [
        m.text.replace(b"\n", b"\r\n") for m in made]
    assert instance.messages(group) == {}
    again = import_maildir(instance, hotel, tmp_path / "m")
    assert again.stdout.endswith("0 imported, 5 there already\n")
    assert import_maildir(instance, group, tmp_path / "m").stdout.endswith(
        "5 imported, 0 there already\n")


def test_what_came_since_is_added(instance, tmp_path):
    (account, _), folder = first_two(instance), tmp_path / "m"
    make_maildir(folder, texts(3))
    import_maildir(instance, account, folder)
    made = make_maildir(tmp_path / "more", texts(5))
    for message in made[3:]:
        os.rename(message.path, folder / "cur" / message.path.name)
    write_uidlist(folder, made)
    assert import_maildir(instance, account, folder).stdout.endswith(
        "2 imported, 3 there already\n")
    assert unique_ids(instance, account) == [message.unique_id for message in made]


def test_dovecots_fields(instance, tmp_path):
    account, folder = instance.customers[1].accounts[0], tmp_path / "m"
    made = make_maildir(folder, texts(5))
    names = [message.path.name.split(":")[0] for message in made]
    (folder / "dovecot-uidlist").write_text(
        f"3 V{VALIDITY} N400 Gabc\n"
        f"10 :{names[0]}\n"
        f"11 PUID7-99 O2 W5 :{names[1]}:2,S\n"
        f"12 O1 P{'a' * 71} :{names[2]}\n"
        f"256 S9 P :{names[3]}\n")
    done = import_maildir(instance, account, folder)
    assert re.search(rf"what {names[2]}\S* has as its unique-id is none; it gets [0-9a-f]{{32}}",
                     done.stderr)
    found = unique_ids(instance, account)
    assert re.fullmatch("[0-9a-f]{32}", found[0])
    assert found[1:] == ["UID7-99", f"0000000a{VALIDITY:08x}", names[3], names[4]]
    assert import_maildir(instance, account, folder).stdout.endswith(
        "0 imported, 5 there already\n")


@pytest.mark.parametrize("version", [2, 3])
def test_couriers_maildir(instance, tmp_path, version):
    account, folder = instance.customers[0].accounts[0], tmp_path / "m"
    made = make_maildir(folder, texts(4), uidlist=False)
    names = [message.path.name for message in made]
    end = ":0" if version == 3 else ""
    (folder / "courierpop3dsizelist").write_text(
        f"/{version} 9 1111111111\n"
        f"{names[0]} 20 7:1111111111{end}\n"
        f"{names[1]} 20 8:0{end}\n"
        f"{names[2]} 20 0:0{end}\n")
    done = import_maildir(instance, account, folder)
    assert done.stdout.startswith("unique-ids and order are those of courierpop3dsizelist\n")
    assert unique_ids(instance, account) == ["UID7-1111111111", "UID8", made[2].unique_id,
                                             made[3].unique_id]


def test_the_newer_list_is_taken(instance, tmp_path):
    (hotel, group), folder = first_two(instance), tmp_path / "m"
    made = make_maildir(folder, texts(1))
    courier = folder / "courierpop3dsizelist"
    courier.write_text(f"/3 9 5\n{made[0].path.name} 20 7:5:0\n")
    os.utime(courier, (BEGAN, BEGAN))
    import_maildir(instance, hotel, folder)
    os.utime(folder / "dovecot-uidlist", (BEGAN - 1, BEGAN - 1))
    import_maildir(instance, group, folder)
    assert unique_ids(instance, hotel) == [made[0].unique_id]
    assert unique_ids(instance, group) == ["UID7-5"]


@pytest.mark.parametrize("make, word", [
    (lambda path: path.write_text("9 V1 N2\n"), "its format is not known here"),
    (os.mkfifo, "it is no plain file"),
    (os.mkdir, "it is no plain file"),
    (lambda path: path.symlink_to("/etc/passwd"), "it is no plain file"),
], ids=["text", "pipe", "folder", "link"])
def test_a_list_that_is_not_understood_changes_nobodys_unique_ids(instance, tmp_path, make, word):
    make_maildir(tmp_path / "m", texts(1))
    (tmp_path / "m" / "dovecot-uidlist").unlink()
    make(tmp_path / "m" / "dovecot-uidlist")
    (tmp_path / "m" / "courierpop3dsizelist").write_text("/3 7 5\n")
    os.utime(tmp_path / "m" / "courierpop3dsizelist", (BEGAN, BEGAN))
    done = import_maildir(instance, instance.customers[0].accounts[0], tmp_path / "m", check=False)
    assert done.returncode == 1 and f"dovecot-uidlist cannot be used: {word};" in done.stderr


def test_a_plain_maildir_has_its_names(instance, tmp_path):
    account = instance.customers[0].accounts[0]
    made = make_maildir(tmp_path / "m", texts(3), uidlist=False)
    (tmp_path / "m" / "new" / "9999999999.a b'c").write_bytes(b"Subject: x\n\n")
    (tmp_path / "m" / "new" / ("9999999999.z" + "z" * 100)).write_bytes(b"Subject: x\n\n")
    import_maildir(instance, account, tmp_path / "m")
    found = unique_ids(instance, account)
    assert found[:4] == [m.unique_id for m in made] + ["9999999999.a+20b+27c"]
    assert re.fullmatch("[0-9a-f]{32}", found[4])
    assert import_maildir(instance, account, tmp_path / "m").stdout.endswith(
        "0 imported, 5 there already\n")


def test_a_maildir_cannot_lead_out_of_itself(instance, tmp_path):
    account, folder = instance.customers[0].accounts[0], tmp_path / "m"
    make_maildir(folder, texts(1), uidlist=False)
    secret = tmp_path / "secret"
    secret.write_text("Subject: of somebody else\n\n")
    (folder / "cur" / "1.link").symlink_to(secret)
    os.mkfifo(folder / "cur" / "2.fifo")
    (folder / "cur" / "3.folder").mkdir()
    done = import_maildir(instance, account, folder)
    assert done.stderr.count("is no plain file; it is left out") == 3
    assert len(index_rows(instance, account)) == 1
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "new").mkdir()
    (tmp_path / "n" / "cur").symlink_to(folder / "cur")
    done = import_maildir(instance, account, tmp_path / "n", check=False)
    assert done.returncode == 1 and "is no maildir" in done.stderr


def test_a_packed_message_is_refused_and_the_rest_goes_on(instance, tmp_path):
    account, folder = instance.customers[0].accounts[0], tmp_path / "m"
    made = make_maildir(folder, texts(3))
    made[1].path.write_bytes(gzip.compress(made[1].text))
    done = import_maildir(instance, account, folder, check=False)
    assert done.returncode == 1
    assert f"{made[1].path.name} is packed with gzip" in done.stderr
    assert done.stdout.endswith("2 imported, 0 there already, 1 NOT imported\n")


def test_files_that_are_renamed_or_go_meanwhile(instance, tmp_path):
    """The first message is a pipe's worth of time: the others change while it is sent."""
    account, folder = instance.customers[0].accounts[0], tmp_path / "m"
    made = make_maildir(folder, [b"Subject: large\n\n" + b"x" * 60_000_000] + texts(60))
    pid = wait_for_stored(instance)
    os.kill(pid, signal.SIGSTOP)  # what is asked for waits
    process = subprocess.Popen([BIN / "bellhop", "-C", instance.dir, "mailbox", "import",
                                account.address, "--maildir", folder],
                               stdout=subprocess.PIPE, text=True)
    wait_until(lambda: is_connected(process), what="the connection, which follows the listing")
    renamed = [message for message in made[1:] if message.path.parent.name == "cur"]
    for message in renamed[1:]:
        os.rename(message.path, str(message.path) + "T")
    renamed[0].path.unlink()
    os.kill(pid, signal.SIGCONT)
    assert process.communicate(timeout=60)[0].endswith(
        f"{len(made) - 1} imported, 0 there already, 1 gone from the source meanwhile\n")
    assert process.returncode == 0


def is_connected(process):
    """Or has ended: it knows what it will import then."""
    return process.poll() is not None or any(
        file.startswith("socket:") for file in descriptors(process.pid).values())


def wait_for_stored(instance):
    return wait_until(lambda: instance.pids().get("stored"), what="stored")[0]


# --- limits and interruptions


def test_a_plans_limits_hold(instance, tmp_path):
    hotel, group = first_two(instance)
    instance.cli("plan", "set", "house", "--message-bytes", "1M")
    instance.cli("plan", "set", "chain", "--quota-messages", "3")
    made = make_maildir(tmp_path / "m", [*texts(3), b"Subject: x\n\n" + b"x\n" * 600_000,
                                         b"Subject: y\n\n" + b"y" * 1_100_000, *texts(2)])
    done = import_maildir(instance, hotel, tmp_path / "m", check=False)
    assert done.returncode == 1
    for message in made[3:5]:
        assert f"message {message.path.name} is larger than the plan's largest" in done.stderr
    assert done.stdout.endswith("5 imported, 0 there already, 2 NOT imported\n")
    done = import_maildir(instance, group, tmp_path / "m", check=False)
    assert done.returncode == 1
    assert done.stderr.count("the mailbox is full") == 1
    assert len(index_rows(instance, group)) == 3


def test_without_the_service_it_says_so(stopped, tmp_path):
    make_maildir(tmp_path / "m", texts(1))
    done = import_maildir(stopped, stopped.customers[0].accounts[0], tmp_path / "m", check=False)
    assert done.returncode == 1 and "the service is not running" in done.stderr


@pytest.mark.parametrize("who", ["bellhop", "stored"])
def test_a_kill_loses_nothing_and_doubles_nothing(instance, tmp_path, who):
    account = instance.customers[0].accounts[0]
    made = make_maildir(tmp_path / "m", texts(4000, 5000))
    command = [BIN / "bellhop", "-C", instance.dir, "mailbox", "import", account.address,
               "--maildir", tmp_path / "m"]
    killed = 0
    for pause in (0.05, 0, 0.1):
        stored = wait_for_stored(instance)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
        wait_until(lambda running=process: is_connected(running), what="the connection")
        time.sleep(pause)
        signal_process(process.pid if who == "bellhop" else stored, 9)
        error = process.communicate(timeout=60)[1]
        killed += process.returncode != 0
        assert who == "bellhop" or process.returncode == 0 or "run the same command again" in error
        instance.wait_healthy()
    assert killed > 0
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    rows = index_rows(instance, account)
    assert sorted(row.unique_id for row in rows) == sorted(m.unique_id for m in made)


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_a_large_message_costs_no_memory(instance, tmp_path):
    account = instance.customers[0].accounts[0]
    instance.cli("plan", "set", "house", "--message-bytes", "100M", "--quota-bytes", "1G")
    text = b"Subject: large\n\n" + (b"x" * 70 + b"\n") * 800_000
    make_maildir(tmp_path / "m", [text])
    (tmp_path / "mbox").write_bytes(b"From a Thu Jan  1 00:00:00 2026\n" + text + b"\n")
    for source in (["--maildir", tmp_path / "m"], ["--mbox", tmp_path / "mbox"]):
        done = subprocess.run([sys.executable, "-c", MEASURE, BIN / "bellhop", "-C", instance.dir,
                               "mailbox", "import", account.address, *source],
                              check=True, capture_output=True, text=True, timeout=60)
        if not sanitized():
            assert int(done.stdout.splitlines()[-1]) < 40_000  # KiB
    assert list(instance.messages(account).values()) == [text.replace(b"\n", b"\r\n")] * 2


# --- mbox


def test_an_mbox_file(instance, tmp_path):
    hotel, group = first_two(instance)
    bodies = [b"Subject: 1\n\nFrom here\n>From there\n", b"Subject: 2\nX-UIDL: of.qpopper\n\ntwo\n\n",
              b"Subject: 3\n\n", b"Subject: 3\n\n"]
    text = b"".join(b"From a@b.example Thu Jan  1 00:00:0%d 2026\n" % number + mboxrd(body) + b"\n"
                    for number, body in enumerate(bodies))
    for account, octets in ((hotel, text), (group, text.replace(b"\n", b"\r\n"))):
        (tmp_path / "mbox").write_bytes(octets)
        assert import_mbox(instance, account, tmp_path / "mbox").stdout == \
            "4 imported, 0 there already\n"
        assert list(instance.messages(account).values()) == [
            body.replace(b"\n", b"\r\n") for body in bodies]
        rows = index_rows(instance, account)
        assert [row.time for row in rows] == [(1767225600 + n) * 10**6 for n in range(4)]
        assert rows[1].unique_id == "of.qpopper"
        assert rows[3].unique_id == rows[2].unique_id + "-2"
        assert import_mbox(instance, account, tmp_path / "mbox").stdout == \
            "0 imported, 4 there already\n"


@pytest.mark.parametrize("octets", [b"Subject: no\n\n", b"From the beginning\n", b"\0" * 100_000,
                                    b"From " + b"x" * 100_000],
                         ids=["message", "sentence", "zeros", "endless"])
def test_what_is_no_mbox_is_refused(stopped, tmp_path, octets):
    (tmp_path / "mbox").write_bytes(octets)
    done = import_mbox(stopped, stopped.customers[0].accounts[0], tmp_path / "mbox", check=False)
    assert done.returncode == 1 and "is no mbox file" in done.stderr


def test_the_same_unique_id_twice_loses_no_message(instance, tmp_path):
    account = instance.customers[0].accounts[0]
    (tmp_path / "mbox").write_bytes(b"".join(
        b"From a Thu Jan  1 00:00:00 2026\nX-UIDL: same\n\n%d\n\n" % n for n in range(3)))
    done = import_mbox(instance, account, tmp_path / "mbox")
    assert unique_ids(instance, account) == ["same", "same-2", "same-3"]
    assert done.stderr.count('the unique-id "same" stands at more than one message') == 2


# --- another POP3 server


def pop3_options(instance, account, service):
    """What an import from this instance's own POP3 needs."""
    port = instance.ports.pop3s if service == "tls" else instance.ports.pop3
    options = ["--pop3", f"localhost:{port}", "--user", account.address, "--password-stdin"]
    if service != "cleartext":
        options += ["--ca", instance.dir / "tls" / "cert.pem"]
    return options + {"tls": [], "stls": ["--stls"], "cleartext": ["--cleartext"]}[service]


@pytest.mark.parametrize("service", ["tls", "stls", "cleartext"])
def test_another_pop3_server(instance, tmp_path, mail, service):
    source, target = first_two(instance)
    for message in mail.values():
        instance.deliver([source.address], message)
    options = pop3_options(instance, source, service)
    done = instance.cli("mailbox", "import", target.address, *options,
                        input=source.password + "\n")
    assert done.stdout == f"{len(mail)} imported, 0 there already\n"
    assert source.password not in done.stdout + done.stderr
    sent = instance.messages(source, utf8=False)  # libcurl cannot say UTF8
    assert instance.messages(target) == sent
    assert list(instance.messages(target)) == list(sent)
    for before, after in zip(index_rows(instance, source), index_rows(instance, target)):
        assert abs(before.time - after.time) <= 2 * 10**6  # as its Received field has it
    mark = len(instance.log)
    instance.cli("mailbox", "import", target.address, *options, input=source.password + "\n")
    assert re.search(rf"retrieved=0 .*end=quit", instance.log[mark:])


def test_an_untrusted_server_gets_no_password(instance):
    source, target = first_two(instance)
    options = ["--pop3", f"localhost:{instance.ports.pop3s}", "--user", source.address,
               "--password-stdin"]
    done = instance.cli("mailbox", "import", target.address, *options, input="secret word\n",
                        check=False)
    assert done.returncode == 1 and "certificate of localhost is not to be trusted" in done.stderr
    assert "refused address=" not in instance.log


def test_a_wrong_password_is_told(instance):
    source, target = first_two(instance)
    done = instance.cli("mailbox", "import", target.address,
                        *pop3_options(instance, source, "tls"), input="wrong\n", check=False)
    assert done.returncode == 1 and "the user name or the password is wrong" in done.stderr


class OtherServer(threading.Thread):
    """A small POP3 server whose messages and habits the test sets."""

    def __init__(self, messages, uidl=True, close_after=None):
        super().__init__(daemon=True)
        self.messages, self.uidl, self.close_after = messages, uidl, close_after
        self.commands = []
        self.size_error = 0
        self.listed = {}     # a message's number: the size that LIST says
        self.endless = None  # a message's number
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            with connection, connection.makefile("rwb") as file:
                try:
                    self.serve(file)
                except OSError:
                    pass

    def serve(self, file):
        retrieved = 0
        file.write(b"+OK ready\r\n")
        while True:
            file.flush()
            words = file.readline().decode().split()
            if not words:
                return
            self.commands.append(words)
            match words:
                case ["USER" | "PASS" | "NOOP", *_]:
                    file.write(b"+OK\r\n")
                case ["LIST"]:
                    file.write(b"+OK\r\n")
                    for number, (_, text) in enumerate(self.messages, 1):
                        size = self.listed.get(number, len(text) + self.size_error)
                        file.write(b"%d %d\r\n" % (number, size))
                    file.write(b".\r\n")
                case ["UIDL"] if self.uidl:
                    file.write(b"+OK\r\n")
                    for number, (unique_id, _) in enumerate(self.messages, 1):
                        file.write(b"%d %s\r\n" % (number, unique_id))
                    file.write(b".\r\n")
                case ["RETR", number]:
                    retrieved += 1
                    text = self.messages[int(number) - 1][1]
                    if retrieved == self.close_after:
                        file.write(b"+OK\r\n" + text[:len(text) // 2])
                        return
                    if int(number) == self.endless:
                        file.write(b"+OK\r\n")
                        while True:
                            file.write(text)
                    file.write(b"+OK\r\n" + re.sub(rb"(?m)^\.", b"..", text) + b".\r\n")
                case ["QUIT"]:
                    file.write(b"+OK\r\n")
                    file.flush()
                    return
                case _:
                    file.write(b"-ERR unknown\r\n")


def import_pop3(instance, account, server, check=True):
    return instance.cli("mailbox", "import", account.address, "--pop3", f"127.0.0.1:{server.port}",
                        "--cleartext", "--user", "u", "--password-stdin", input="p\n", check=check)


OTHERS = [(b"id%d" % number, b"Subject: %d\r\n\r\n.dot\r\n" % number + b"x" * 50_000 + b"\r\n")
          for number in range(4)]


def test_a_server_without_unique_ids(instance):
    account = instance.customers[0].accounts[0]
    server = OtherServer([*OTHERS, OTHERS[0]], uidl=False)
    done = import_pop3(instance, account, server)
    assert "has no unique-ids" in done.stdout
    assert done.stdout.endswith("5 imported, 0 there already\n")
    assert list(instance.messages(account).values()) == [
        text for _, text in [*OTHERS, OTHERS[0]]]
    assert import_pop3(instance, account, server).stdout.endswith("0 imported, 5 there already\n")
    assert not [words for words in server.commands if words[0] == "DELE"]


def test_a_connection_that_breaks_is_taken_up(instance):
    account = instance.customers[1].accounts[0]
    done = import_pop3(instance, account, OtherServer(OTHERS, close_after=3), check=False)
    assert done.returncode == 1 and "run the same command again" in done.stderr
    assert unique_ids(instance, account) == ["id0", "id1"]
    server = OtherServer(OTHERS)
    import_pop3(instance, account, server)
    assert [words[1] for words in server.commands if words[0] == "RETR"] == ["3", "4"]
    assert list(instance.messages(account).values()) == [text for _, text in OTHERS]


@pytest.mark.parametrize("field, expected", [
    (b"Received: by a;\r\n\tThu, 1 Jan 2026 01:00:00 +0100 (CET)\r\n", 1767225600),
    (b"Received: by a; Thu, 1 Jan 2099 00:00:00 +0000\r\n", None),
    (b"Received: by a; whenever\r\nReceived: by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n", None),
    (b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n", None),
])
def test_the_time_is_when_the_other_server_got_it(instance, field, expected):
    account = instance.customers[0].accounts[0]
    import_pop3(instance, account, OtherServer([(b"a", field + b"\r\nReceived: no; field\r\n")]))
    (row,) = index_rows(instance, account)
    if expected is None:
        assert abs(row.time / 10**6 - time.time()) < 60
    else:
        assert row.time == expected * 10**6


def test_hostile_unique_ids(instance):
    account = instance.customers[0].accounts[0]
    ids = [b"a" * 71, b"\xff", b"a" * 100_000, b"\1", b"ok", b"ok"]
    server = OtherServer([(unique_id, OTHERS[0][1]) for unique_id in ids])
    import_pop3(instance, account, server)
    found = unique_ids(instance, account)
    assert found[-2:] == ["ok", "ok-2"] and len(set(found)) == 6
    assert import_pop3(instance, account, server).stdout.endswith("0 imported, 6 there already\n")


def test_a_list_with_a_gap_leaves_no_message_out(instance):
    account = instance.customers[1].accounts[1]
    server = OtherServer([(b"", text) if number == 2 else (unique_id, text)
                          for number, (unique_id, text) in enumerate(OTHERS)])
    done = import_pop3(instance, account, server)
    assert done.stdout.endswith("4 imported, 0 there already\n")
    assert list(instance.messages(account).values()) == [text for _, text in OTHERS]


@pytest.mark.parametrize("difference", [-7, 7])
def test_sizes_need_not_be_right(instance, difference):
    account = instance.customers[1].accounts[1]
    server = OtherServer(OTHERS)
    server.size_error = difference
    import_pop3(instance, account, server)
    assert list(instance.messages(account).values()) == [text for _, text in OTHERS]


@pytest.mark.parametrize("uidl", [True, False], ids=["uidl", "no-uidl"])
def test_a_message_without_end_is_not_read_for_ever(instance, uidl):
    hotel, group = first_two(instance)
    instance.cli("plan", "set", instance.customers[0].plan, "--message-bytes", "64K")
    server = OtherServer(OTHERS, uidl=uidl)
    server.endless = 3
    done = import_pop3(instance, hotel, server, check=False)
    assert done.returncode == 1 and "2 imported, 0 there already, 2 NOT" in done.stdout
    assert "message 3 is longer than twice the plan's largest message" in done.stderr
    assert list(instance.messages(hotel).values()) == [text for _, text in OTHERS[:2]]
    assert instance.messages(group) == {}


@pytest.mark.parametrize("uidl", [True, False], ids=["uidl", "no-uidl"])
def test_a_message_that_is_listed_as_too_large_is_not_fetched(instance, uidl):
    account = instance.customers[0].accounts[0]
    server = OtherServer(OTHERS, uidl=uidl)
    server.listed[2], server.endless = 10**12, 2
    done = import_pop3(instance, account, server, check=False)
    assert done.returncode == 1 and "3 imported, 0 there already, 1 NOT" in done.stdout
    assert "message 2 has 1000000000000 octets, and the plan's largest" in done.stderr
    assert len(instance.messages(account)) == 3


def test_options_that_do_not_fit_the_port_are_told(instance):
    source, target = first_two(instance)
    done = instance.cli("mailbox", "import", target.address, "--pop3",
                        f"localhost:{instance.ports.pop3}", "--user", source.address,
                        "--password-stdin", input="secret word\n", check=False)
    assert done.returncode == 1 and "does not begin with TLS, try --stls" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as server:
        def close_all():
            while True:
                server.accept()[0].close()

        threading.Thread(target=close_all, daemon=True).start()
        done = instance.cli("mailbox", "import", target.address, "--pop3",
                            f"127.0.0.1:{server.getsockname()[1]}", "--user", source.address,
                            "--stls", "--password-stdin", input="secret word\n", check=False)
    assert done.returncode == 1 and "begins with TLS, try without --stls" in done.stderr
