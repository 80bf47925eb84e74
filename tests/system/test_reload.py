"""bellhop reload: new programs take over, and no client notices."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection

import pytest

from bellhop import BIN, Instance, children, program, signal_process, wait_gone, wait_until
from test_confinement import inject, needs_plain_build
from wire import Wire

PROGRAMS = ("stored", "authd", "fetchd", "lmtpd", "pop3d", "admin", "bellhop")
FRONTS = ("fetchd", "lmtpd", "pop3d", "admin")
RELOAD_TIME = 60


def install(folder, *names):
    """As a package manager does: each file is a new one that takes the name of the old."""
    folder.mkdir(exist_ok=True)
    for name in names or PROGRAMS:
        shutil.copy2(BIN / name, folder / f"{name}.new")
        os.replace(folder / f"{name}.new", folder / name)


@pytest.fixture
def upgradable(template, tmp_path):
    """A running instance with programs of its own, in tmp_path / "bin"."""
    install(tmp_path / "bin")
    made = Instance(tmp_path / "instance", template, tmp_path / "bin")
    made.configure(pop3_processes=2)
    try:
        yield made.start()
    finally:
        made.finish()


def reload(instance, check=True):
    return instance.cli("reload", check=check, timeout=RELOAD_TIME)


def refused(instance):
    """A reload that must be refused, with one sentence, leaves every process as it was."""
    before = instance.pids()
    done = reload(instance, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.fullmatch(r"bellhop: [^\n]+\n", done.stderr), done.stderr
    wait_until(lambda: instance.pids() == before, 5, "the processes as they were")
    return done.stderr


def serves(instance):
    """Mail comes in and out for both customers."""
    for customer in instance.customers:
        account = customer.accounts[0]
        assert instance.deliver([account.address], b"Subject: on\r\n\r\non\r\n")[0].code == 250
        assert instance.messages(account)
    assert instance.http("/healthz")[0] == 200


# --- clients that do not stop


class Loops:
    """Threads, each of which does one thing again and again; what goes wrong is kept."""

    def __init__(self):
        self.stopping = threading.Event()
        self.wrong = []
        self.rounds = {}
        self.threads = []

    def add(self, name, once):
        def again():
            try:
                while not self.stopping.is_set():
                    once()
                    self.rounds[name] += 1
            except Exception as error:
                self.wrong.append(f"{name} after {self.rounds[name]} rounds: {error!r}")

        self.rounds[name] = 0
        self.threads.append(threading.Thread(target=again, name=name))
        self.threads[-1].start()

    def advance(self):
        """Returns when each loop has gone through two whole rounds more."""
        before = dict(self.rounds)
        wait_until(lambda: self.wrong or all(self.rounds[name] > before[name] + 2
                                             for name in before), 60, "two rounds of all loops")
        assert not self.wrong, self.wrong

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        assert not self.wrong, self.wrong


@contextmanager
def loops():
    made = Loops()
    try:
        yield made
        made.stop()
    finally:
        made.stopping.set()


def poll(instance, account, tls):
    pop3 = instance.pop3(account, tls=tls)
    pop3.stat()
    pop3.quit()


def send(instance, account, unix, sent):
    text = f"Subject: {len(sent)}\r\n\r\nnumber {len(sent)}\r\n".encode()
    assert instance.deliver([account.address], text, unix=unix)[0].code == 250
    sent.append(text)


def send_over(lmtp, account, sent):
    text = f"Subject: kept {len(sent)}\r\n\r\nnumber {len(sent)}\r\n".encode()
    assert lmtp.deliver([account.address], text)[0].code == 250
    sent.append(text)


def counters(text):
    return {name: int(value) for name, value in re.findall(r"(?m)^(bellhop_\w+_total) (\d+)$", text)}


def look(instance, seen):
    """The sums never go back, whoever shows them."""
    assert instance.http("/healthz")[0] == 200
    status, text = instance.http("/metrics")
    now = counters(text)
    assert status == 200 and now and all(now[name] >= value for name, value in seen.items())
    seen.update(now)


def mailbox_of(instance, account):
    """The number of an account's mailbox, and the process that has shown it, from the log."""
    mark = len(instance.log)
    instance.messages(account)
    line = r"pop3d\[(\d+)\]: session=\w+ address=\S+ mailbox=(\d+) .*end=quit"
    pid, mailbox = wait_until(lambda: re.search(line, instance.log[mark:]), 5, "the log").groups()
    return int(mailbox), int(pid)


def pids_of(instance, names=FRONTS):
    """The supervisor's own: a sanitizer has a process below one that ends."""
    return {pid for pid in children(instance.process.pid) if program(pid) in names}


def ask_over(http):
    """A connection that is kept; the client makes a new one after "Connection: close"."""
    http.request("GET", "/healthz")
    answer = http.getresponse()
    assert answer.status == 200 and b"ok" in answer.read()


def start_loops(instance, made, kept, sent):
    hotel, group = (customer.accounts for customer in instance.customers)
    made.add("pop3", lambda: poll(instance, hotel[0], False))
    made.add("pop3s", lambda: poll(instance, group[0], True))
    made.add("lmtp", lambda: send(instance, hotel[1], False, sent["lmtp"]))
    made.add("lmtp-unix", lambda: send(instance, group[1], True, sent["lmtp-unix"]))
    made.add("kept", lambda: send_over(kept, group[1], sent["kept"]))
    seen = {}
    made.add("http", lambda: look(instance, seen))
    http = HTTPConnection("127.0.0.1", instance.ports.http, timeout=30)
    made.add("http-kept", lambda: ask_over(http))


def test_nobody_notices(upgradable, tmp_path):
    """
    Loops of all protocols and of two customers over several reloads, with and without an upgrade.
    Sessions from before the first one go on to their end; then the old processes are gone.
    """
    instance = upgradable
    hotel, group = (customer.accounts for customer in instance.customers)
    sent = {"lmtp": [], "lmtp-unix": [], "kept": []}
    instance.deliver([hotel[2].address, group[2].address], b"Subject: first\r\n\r\nfirst\r\n")
    first = instance.pids()
    with ExitStack() as open_ones:
        idle = [instance.pop3(hotel[2]), instance.pop3(group[2], tls=True)]
        kept = open_ones.enter_context(instance.lmtp())
        with loops() as made:
            start_loops(instance, made, kept, sent)
            served = pids_of(instance)
            for number in range(4):
                made.advance()
                if number % 2 == 1:
                    install(tmp_path / "bin")
                said = reload(instance).stdout
                assert "they serve now; " in said.splitlines()[-1], said
                new = pids_of(instance) - served
                assert len(new) == 5, instance.log
                served |= new
                made.advance()
        assert instance.pids()["stored"] == first["stored"]
        for session in idle:
            assert session.stat()[0] == 1
            assert b"first" in session.retr(1)[1]
            session.dele(1)
            session.quit()
        kept.ask("QUIT")
    wait_until(lambda: pids_of(instance) == new, 20, "the end of all earlier processes")
    assert instance.messages(hotel[2]) == instance.messages(group[2]) == {}
    assert len(instance.messages(hotel[1])) == len(sent["lmtp"])
    assert len(instance.messages(group[1])) == len(sent["lmtp-unix"]) + len(sent["kept"])
    assert "was ended by signal" not in instance.log
    wait_until(lambda: "bellhop_pop3_sessions 0\n" in instance.http("/metrics")[1], 5, "no session")


def test_new_sessions_are_of_new_processes(instance):
    """And an old one that has no session ends at once; one with a session with that."""
    hotel, group = (customer.accounts for customer in instance.customers)
    old = pids_of(instance)
    mailbox, pid = mailbox_of(instance, hotel[0])
    assert pid in old
    with instance.wire("pop3") as stranger:
        assert stranger.line().startswith(b"+OK")
        reload(instance)
        wait_until(lambda: len(pids_of(instance) & old) == 1, 20, "the end of who has no client")
        for _ in range(8):
            assert mailbox_of(instance, hotel[0])[1] not in old
            assert mailbox_of(instance, group[0])[1] not in old
        # It logs in with the old process, through the authd of both.
        assert stranger.command(f"USER {group[1].address}").startswith(b"+OK")
        assert stranger.command(f"PASS {group[1].password}").startswith(b"+OK")
        assert stranger.command("QUIT").startswith(b"+OK")
    wait_until(lambda: not pids_of(instance) & old, 20, "the end of the last session")


def ask_authd(wire, number, account):
    """A check of credentials in Dovecot's protocol, as Postfix asks for one."""
    from base64 import b64encode
    response = b64encode(f"\0{account.address}\0{account.password}".encode()).decode()
    wire.send(f"AUTH\t{number}\tPLAIN\tservice=smtp\tsecured\tresp={response}\n".encode())
    return wire.file.readline()


def test_a_new_authd_takes_over(upgradable, tmp_path):
    """Only where it is another one, for it remembers; the old one answers those that it has."""
    hotel, group = (customer.accounts for customer in upgradable.customers)
    old = upgradable.pids()["authd"]
    reload(upgradable)
    assert upgradable.pids()["authd"] == old
    with upgradable.wire("run/auth.sock") as mta:
        mta.send(b"VERSION\t1\t2\nCPID\t7\n")
        while mta.file.readline() != b"DONE\n":
            pass
        assert ask_authd(mta, 1, hotel[0]).startswith(b"OK\t1")
        install(tmp_path / "bin", "authd")
        reload(upgradable)
        assert set(upgradable.pids()["authd"]) > set(old)
        serves(upgradable)
        assert ask_authd(mta, 2, group[0]).startswith(b"OK\t2")
    wait_gone(old[0])
    serves(upgradable)
    for account in [hotel[0], group[0]]:
        listed = json.loads(upgradable.cli("auth", "events", account.address, "--json").stdout)
        assert {row["protocol"] for row in listed} == {"pop3", "smtp"}


@needs_plain_build
def test_an_authd_that_answers_nonsense_keeps_nobody_waiting(upgradable, tmp_path):
    """It is not listened to any more, does not end when it is told to, and is killed."""
    old, = upgradable.pids()["authd"]
    with open(f"/proc/{old}/environ") as environment:
        names = re.search(r"LISTEN_FDNAMES=([^\0]*)", environment.read())[1].split(":")
    assert inject(upgradable, "authd", "write", 3 + names.index("supervisor"), "=nonsense", 8) == "8"
    os.kill(old, signal.SIGSTOP)
    install(tmp_path / "bin", "authd")
    reload(upgradable)
    assert f"killing authd[{old}]" in upgradable.log
    wait_gone(old)
    serves(upgradable)


# --- what refuses


def test_no_service(stopped):
    said = refused_without_service(stopped)
    assert "no bellhop serve runs" in said
    stopped.start()
    stopped.stop()
    assert "no bellhop serve runs" in refused_without_service(stopped)


def refused_without_service(instance):
    done = reload(instance, check=False)
    assert done.returncode == 1 and re.fullmatch(r"bellhop: [^\n]+\n", done.stderr), done.stderr
    return done.stderr


@pytest.mark.parametrize("name", ["lmtpd", "pop3d", "authd"])
def test_a_program_that_ends_at_once(upgradable, tmp_path, name):
    """The old ones serve on, also after a crash, until there is one that can."""
    install(tmp_path / "bin")
    shutil.copy("/bin/false", tmp_path / "bin" / "broken")
    os.replace(tmp_path / "bin" / "broken", tmp_path / "bin" / name)
    assert f"the new {name} has ended" in refused(upgradable)
    serves(upgradable)
    victim = upgradable.pids()[name][0]
    os.kill(victim, signal.SIGKILL)
    wait_gone(victim)
    wait_until(lambda: len(set(upgradable.pids().get(name, [])) - {victim}) ==
               (2 if name == "pop3d" else 1), 5, f"a new {name}")
    upgradable.wait_healthy(10)
    serves(upgradable)
    install(tmp_path / "bin", name)
    reload(upgradable)
    serves(upgradable)


def test_a_program_that_is_missing(upgradable, tmp_path):
    (tmp_path / "bin" / "admin").unlink()
    assert "cannot find the program admin" in refused(upgradable)
    serves(upgradable)


def test_a_sentence_of_the_program_is_passed_on(instance):
    """Here: the database is of a version that the programs on disk do not know."""
    def set_version(number):
        subprocess.run(["sqlite3", instance.dir / "accounts.db", f"PRAGMA user_version = {number}"],
                       check=True, timeout=10)

    assert instance.http("/healthz")[0] == 200  # admin has opened the accounts
    version = subprocess.run(["sqlite3", instance.dir / "accounts.db", "PRAGMA user_version"],
                             check=True, timeout=10, capture_output=True, text=True).stdout
    set_version(9999)
    assert re.search(r"the new (lmtpd|admin) cannot serve: .*9999", refused(instance))
    set_version(version)
    reload(instance)
    serves(instance)


def test_a_broken_configuration(instance):
    path = instance.dir / "bellhop.conf"
    good = path.read_text()
    path.write_text(good + "\nno_such_setting = 1\n")
    assert "no_such_setting" in refused(instance)
    path.write_text(good)
    certificate = instance.dir / "tls" / "cert.pem"
    good = certificate.read_text()
    certificate.write_text("-----BEGIN CERTIFICATE-----\nbroken\n")
    assert "tls/cert.pem" in refused(instance)
    certificate.write_text(good)
    reload(instance)
    serves(instance)


@contextmanager
def frozen(pid):
    """The process stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def hanging_reload(instance):
    """One that waits for stored, which stands still; gives the command."""
    with frozen(instance.pids()["stored"][0]):
        command = subprocess.Popen([instance.programs / "bellhop", "-C", instance.dir, "reload"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "read the configuration" in command.stdout.readline()
        assert command.stdout.readline().startswith("started ")
        yield command


def test_one_at_a_time(instance):
    with hanging_reload(instance) as first:
        done = reload(instance, check=False)
        assert done.returncode == 1 and "another reload is under way" in done.stderr
    assert first.communicate(timeout=RELOAD_TIME)[0].startswith("they serve now") and first.wait() == 0
    reload(instance)
    serves(instance)


def test_a_command_that_leaves(instance):
    """The reload goes on without it."""
    old = pids_of(instance)
    with hanging_reload(instance) as command:
        command.kill()
        command.communicate()
    wait_until(lambda: not pids_of(instance) & old, 20, "the end of the old processes")
    reload(instance)
    serves(instance)


def test_a_stop_meanwhile(instance):
    with hanging_reload(instance) as command:
        instance.process.send_signal(signal.SIGTERM)
        _, said = command.communicate(timeout=RELOAD_TIME)
        assert command.returncode == 1 and "the service is being stopped" in said
    assert instance.process.wait(10) == 0
    instance.process = None
    instance.start()
    serves(instance)


def test_a_new_program_that_crashes_before_it_serves(instance):
    old = pids_of(instance)
    with hanging_reload(instance) as command:
        os.kill((pids_of(instance, ["lmtpd"]) - old).pop(), signal.SIGKILL)
        _, said = command.communicate(timeout=RELOAD_TIME)
        assert command.returncode == 1 and "the new lmtpd has ended" in said
    wait_until(lambda: pids_of(instance) == old, 10, "the end of the other new ones")
    serves(instance)


def test_who_does_not_become_ready(instance):
    """A stored that hangs answers no new front."""
    old = pids_of(instance)
    with hanging_reload(instance) as command:
        _, said = command.communicate(timeout=RELOAD_TIME)
        assert command.returncode == 1 and "has not become ready within 30 s" in said
    wait_until(lambda: pids_of(instance) == old, 10, "the end of the new ones")
    serves(instance)


def test_again_at_once(instance):
    """What is left of a reload that failed does not make the next one fail."""
    instance.configure(pop3_processes=8)
    requests = [Wire(instance.dir / "run" / "supervisor.sock") for _ in range(2)]
    old = pids_of(instance)
    with frozen(instance.pids()["stored"][0]):
        requests[0].send(b"reload\n\0")
        assert requests[0].file.readline().startswith(b" read the configuration")
        assert requests[0].file.readline().startswith(b" started ")
        os.kill((pids_of(instance, ["lmtpd"]) - old).pop(), signal.SIGKILL)
        assert requests[0].file.readline().startswith(b"-the new lmtpd has ended")
        requests[1].send(b"reload\n\0")
        assert requests[1].file.readline().startswith(b" read the configuration")
        assert requests[1].file.readline().startswith(b" started ")
    assert requests[1].file.readline().startswith(b"+they serve now")
    for request in requests:
        request.close()
    serves(instance)


def test_an_old_process_that_crashes_stays_away(instance):
    """What is left of an earlier generation is not started again; what serves is."""
    hotel, group = (customer.accounts for customer in instance.customers)
    old = pids_of(instance)
    sessions = [instance.pop3(hotel[0]), instance.pop3(group[0])]
    reload(instance)
    wait_until(lambda: len(pids_of(instance) & old) <= 2, 20, "the end of who has no client")
    new = pids_of(instance) - old
    for pid in pids_of(instance) & old:
        signal_process(pid, signal.SIGKILL)
        wait_gone(pid)
    for session in sessions:
        session.close()
    victim = (pids_of(instance, ["lmtpd"]) & new).pop()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(pids_of(instance, ["lmtpd"]) - {victim}) == 1, 5, "a new lmtpd")
    serves(instance)
    assert len(pids_of(instance)) == len(new)
    assert 'bellhop_restarts_total{program="lmtpd"} 1\n' in instance.http("/metrics")[1]
    wait_until(lambda: "bellhop_pop3_sessions 0\n" in instance.http("/metrics")[1], 5, "no session")


def test_another_number_of_processes(instance):
    instance.configure(pop3_processes=3)
    reload(instance)
    wait_until(lambda: len(pids_of(instance, ["pop3d"])) == 3, 20, "three processes")
    instance.configure(pop3_processes=1, lmtp_listen="127.0.0.1:1")
    assert "*_listen settings count from the next start" in reload(instance).stdout
    wait_until(lambda: len(pids_of(instance, ["pop3d"])) == 1, 20, "one process")
    serves(instance)


def test_another_number_of_processes_meanwhile(instance):
    """What runs is what the reload began with."""
    instance.configure(pop3_processes=2)
    reload(instance)
    instance.configure(pop3_processes=3)
    with hanging_reload(instance) as command:
        instance.configure(pop3_processes=2)
        instance.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "loaded again after signal" in instance.log, 10, "the configuration read again")
    assert command.communicate(timeout=RELOAD_TIME)[0].startswith("they serve now") and command.wait() == 0
    waits = "the changed pop3_processes counts from the next bellhop reload"
    wait_until(lambda: waits in instance.log.partition("loaded again after signal")[2], 10, "the warning")
    assert len(pids_of(instance, ["pop3d"])) >= 3
    reload(instance)
    wait_until(lambda: len(pids_of(instance, ["pop3d"])) == 2, 20, "two processes")
    serves(instance)


def test_tells_systemd(stopped, tmp_path, monkeypatch):
    path = tmp_path / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        stopped.start()
        assert manager.recv(1000) == b"READY=1"
        reload(stopped)
        assert manager.recv(1000).startswith(b"RELOADING=1\n")
        assert manager.recv(1000) == b"READY=1"


def test_who_asks_for_something_else(instance):
    """Is not answered, and keeps nobody from asking."""
    for request in (b"", b"r", b"reboot!\n", b"reload\n\0" * 2):
        with Wire(instance.dir / "run" / "supervisor.sock") as wire:
            wire.send(request)
            if len(request) < 16:
                wire.sock.shutdown(socket.SHUT_WR)
                assert wire.file.read() == b""
    for _ in range(20):
        Wire(instance.dir / "run" / "supervisor.sock").close()
    wait_until(lambda: reload(instance, check=False).returncode == 0, 60, "a reload")
    serves(instance)
