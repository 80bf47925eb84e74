"""bellhop serve: starting, restarting what crashed, reloading, stopping."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bellhop import BIN, Instance, descriptors, wait_gone, wait_until

SERVE_TIME = 20  # seconds for a bellhop serve that must refuse


def refused(instance, *, status=1):
    """Runs serve, which must end by itself; returns what it said."""
    done = instance.cli("serve", check=False, timeout=SERVE_TIME)
    assert done.returncode == status, done.stderr
    return done.stderr


def one_sentence(text):
    """A refusal is one line, from bellhop itself."""
    assert re.fullmatch(r"bellhop: [^\n]+\n", text), text
    return text


def all_pids(instance):
    return {pid: name for name, pids in instance.pids().items() for pid in pids}


def setting(instance, name):
    return re.search(rf"(?m)^{name}\s*=\s*(\S+)", (instance.dir / "bellhop.conf").read_text())[1]


# --- what is checked before anything starts


@pytest.mark.parametrize("name", ["pop3_listen", "pop3s_listen", "lmtp_listen", "http_listen"])
def test_port_in_use(stopped, name):
    text = setting(stopped, name)
    host, _, port = text.rpartition(":")
    with socket.create_server(("" if host == "*" else host, int(port))):
        said = one_sentence(refused(stopped))
    assert f"cannot listen on {text} ({name}): address already in use;" in said


@pytest.mark.parametrize("text, says", [
    ("pop3", "ADDRESS:PORT"),
    ("localhost:110", "ADDRESS:PORT"),
    ("127.0.0.1:0", "1 to 65535"),
    ("203.0.113.1:20110", "this machine has no such address"),
])
def test_listen_address_of_no_use(stopped, text, says):
    stopped.configure(pop3_listen=text)
    said = one_sentence(refused(stopped))
    assert "pop3_listen" in said and text in said and says in said


def test_second_serve(instance):
    said = one_sentence(refused(instance))
    assert f"another bellhop serve (process {instance.process.pid}) runs" in said
    instance.wait_healthy(1)


def test_run_folder_missing(stopped):
    shutil.rmtree(stopped.dir / "run")
    assert "bellhop init" in one_sentence(refused(stopped))


def test_database_missing(stopped):
    (stopped.dir / "accounts.db").unlink()
    assert "accounts.db" in one_sentence(refused(stopped))


def test_database_of_another_version(stopped):
    subprocess.run(["sqlite3", stopped.dir / "accounts.db", "PRAGMA user_version = 9999"],
                   check=True, timeout=10)
    assert "9999" in one_sentence(refused(stopped))


def new_certificate(directory, certificate="cert.pem", key="key.pem", name="new.example"):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", directory / key,
         "-out", directory / certificate], check=True, timeout=30, capture_output=True)


def test_key_of_another_certificate(stopped):
    new_certificate(stopped.dir / "tls", key="other.pem")
    assert "does not belong" in one_sentence(refused(stopped))


def test_certificate_missing(stopped):
    (stopped.dir / "tls" / "cert.pem").unlink()
    assert "tls/cert.pem" in one_sentence(refused(stopped))


def test_file_in_the_place_of_a_socket(stopped):
    (stopped.dir / "run" / "lmtp.sock").write_text("somebody's")
    assert "run/lmtp.sock" in one_sentence(refused(stopped))
    assert (stopped.dir / "run" / "lmtp.sock").read_text() == "somebody's"


def test_program_that_cannot_run_stops_everything(stopped):
    """stored refuses a store that is a file: serve says so and does not stay half alive."""
    shutil.rmtree(stopped.dir / "store")
    (stopped.dir / "store").write_text("no folder")
    said = refused(stopped)
    assert re.search(r"stored\[\d+\]: (fatal|error): ", said), said
    assert "stored cannot run here" in said


# --- running


def delivers(instance, account):
    """False: deferred, because a program behind lmtpd has just died."""
    code = instance.deliver([account.address], b"Subject: on\r\n\r\non\r\n")[0].code
    assert code == 250 or 400 <= code < 500
    return code == 250


def log_in(pop3, account):
    """False: not now, because a program behind pop3d has just died."""
    pop3.send(f"USER {account.address}\r\nPASS {account.password}\r\n".encode())
    replies = pop3.line(), pop3.line()
    assert replies[1].startswith((b"+OK", b"-ERR [SYS/TEMP]")), replies
    return replies[1].startswith(b"+OK")


def stat(instance, account):
    """The answer to STAT in a new session; None: not now."""
    with instance.wire("pop3") as pop3:
        assert pop3.line().startswith(b"+OK")
        if not log_in(pop3, account):
            return None
        pop3.send(b"STAT\r\nQUIT\r\n")
        answer = pop3.line()
        assert pop3.line().startswith(b"+OK")
        return answer


def test_says_what_it_serves(instance):
    ports = instance.ports
    line = (f"]: serving {instance.dir}: pop3 *:{ports.pop3}, pop3s *:{ports.pop3s}, "
            f"lmtp 127.0.0.1:{ports.lmtp}, http 127.0.0.1:{ports.http}\n")
    wait_until(lambda: line in instance.log, 5, "the line")


def test_tells_systemd(stopped, tmp_path, monkeypatch):
    """sd_notify(3): ready, reloading, stopping; and the programs cannot speak for it."""
    path = tmp_path / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        stopped.start()
        assert manager.recv(1000) == b"READY=1"
        hangup(stopped)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(1000))
        assert manager.recv(1000) == b"READY=1"
        stopped.stop()
        assert manager.recv(1000) == b"STOPPING=1"


def test_long_path(template, tmp_path):
    """A Unix socket's path has at most 107 octets; an instance's may be longer."""
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    instance = Instance(deep / "instance", template)
    try:
        instance.start()
        account = instance.customers[0].accounts[0]
        replies = instance.deliver([account.address], b"Subject: far\r\n\r\nfrom home\r\n")
        assert replies[0].code == 250
        assert len(instance.messages(account)) == 1
    finally:
        instance.finish()


def test_socket_permissions(instance):
    modes = {path.name: path.stat().st_mode & 0o777 for path in
             (instance.dir / "run").glob("*.sock")}
    assert modes == {"auth.sock": 0o660, "lmtp.sock": 0o660, "map.sock": 0o660,
                     "nginx.sock": 0o660,
                     "policy.sock": 0o660, "auth-front.sock": 0o600,
                     "auth-control.sock": 0o600,
                     "stored-deliver.sock": 0o600, "stored-front.sock": 0o600,
                     "stored-control.sock": 0o600, "fetchd.sock": 0o600, "supervisor.sock": 0o600}


def test_sockets_belong_to_the_group_of_their_folder(stopped):
    """So that a mail server is let in once, and not after every start."""
    groups = [4242] if os.geteuid() == 0 else [g for g in os.getgroups() if g != os.getegid()]
    if not groups:
        pytest.skip("this user has one group only")
    os.chown(stopped.dir / "run", -1, groups[0])
    for _ in range(2):
        stopped.start()
        assert {path.stat().st_gid for path in (stopped.dir / "run").glob("*.sock")} == {groups[0]}
        stopped.stop()


@pytest.mark.parametrize("https", [False, True])
def test_programs_get_only_what_they_need(stopped, https):
    """DESIGN's trust table: who holds the key, the certificate, the database, the store."""
    if https:
        stopped.configure(https_listen=f"127.0.0.1:{stopped.ports.https}")
    instance = stopped.start()
    held = {name: " ".join(file for pid in pids for file in descriptors(pid).values())
            for name, pids in instance.pids().items()}
    assert {name for name, files in held.items() if "bellhop-key" in files} <= {"authd", "stored"}
    assert {name for name, files in held.items() if "bellhop-tls" in files} == ({"pop3d", "admin"} if https else {"pop3d"})
    assert {name for name, files in held.items() if "bellhop-tickets" in files} == {"pop3d"}
    assert "accounts.db" not in held["pop3d"] + held["stored"] + held["fetchd"]
    assert "/store" not in held["pop3d"] + held["authd"] + held["lmtpd"] + held["fetchd"] + held["admin"]


def test_shared_text_is_read_only(instance):
    pid = instance.pids()["pop3d"][0]
    for fd, file in descriptors(pid).items():
        if re.search("bellhop-(conf|tls)", file):
            flags = int(re.search(r"flags:\s*(\d+)",
                                  open(f"/proc/{pid}/fdinfo/{fd}").read())[1], 8)
            assert flags & os.O_ACCMODE == os.O_RDONLY


@pytest.mark.parametrize("name", ["stored", "authd", "fetchd", "lmtpd", "pop3d", "admin"])
def test_crashed_program_is_back(instance, name):
    before = all_pids(instance)
    victims = instance.pids()[name]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    for pid in victims:
        wait_gone(pid)

    def back():
        now = instance.pids()
        new = set(now.get(name, [])) - set(victims)
        return now if len(new) == len(victims) else None

    now = wait_until(back, 5, f"a new {name}")
    assert time.monotonic() - killed < 1
    survivors = {pid for pid, other in before.items() if other != name}
    assert survivors <= set(all_pids(instance)), "another program was restarted too"
    instance.wait_healthy(5)
    account = instance.customers[0].accounts[0]
    wait_until(lambda: delivers(instance, account), 5, "a delivery")
    assert wait_until(lambda: stat(instance, account), 5, "a login").startswith(b"+OK 1 ")
    assert survivors <= set(all_pids(instance))
    assert f"{name}[{victims[0]}] was ended by signal 9" in instance.log


def capabilities(instance):
    with instance.wire("pop3s") as pop3:
        assert pop3.line().startswith(b"+OK")
        assert pop3.command("CAPA").startswith(b"+OK")
        return pop3.lines()


def test_a_front_that_starts_knows_what_it_offers_before_it_is_asked(instance):
    authd, = instance.pids()["authd"]
    fronts = instance.pids()["pop3d"]
    os.kill(authd, signal.SIGSTOP)
    try:
        for pid in fronts:
            os.kill(pid, signal.SIGKILL)
            wait_gone(pid)
        wait_until(lambda: len(instance.pids().get("pop3d", [])) == len(fronts), 5, "new fronts")
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(capabilities, instance)
            with pytest.raises(TimeoutError):
                asked.result(1)
            os.kill(authd, signal.SIGCONT)
            assert any(line.startswith(b"SASL PLAIN") for line in asked.result())
    finally:
        os.kill(authd, signal.SIGCONT)


def test_sessions_outlive_what_they_do_not_need(stopped):
    """Not logged in: the death of stored is none of its business. Later it logs in."""
    stopped.configure(pop3_processes=1)
    stopped.start()
    account = stopped.customers[0].accounts[0]
    with stopped.wire("pop3") as pop3:
        assert pop3.line().startswith(b"+OK")
        pid = stopped.pids()["stored"][0]
        os.kill(pid, signal.SIGKILL)
        wait_gone(pid)
        pop3.send(b"NOOP\r\nCAPA\r\n")
        assert pop3.line().startswith(b"-ERR") and pop3.line().startswith(b"+OK")
        while pop3.line() != b".":
            pass
        wait_until(lambda: stat(stopped, account), 5, "a login")
        assert log_in(pop3, account)


def test_program_that_keeps_dying_is_slowed_down(instance):
    """At once, then after 100 ms, 200 ms...: a broken program does not take a core."""
    killed = set()
    for delay in (0, 100, 200, 400):
        pid = wait_until(lambda: set(instance.pids().get("authd", [])) - killed, 5, "authd").pop()
        killed.add(pid)
        mark = len(instance.log)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "starting authd again" in instance.log[mark:], 5, "a log line")
        assert f"starting authd again in {delay} ms" in instance.log[mark:]
    instance.wait_healthy(5)


# --- SIGHUP


def served_certificate(instance):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", instance.ports.pop3s), 10) as raw:
        with context.wrap_socket(raw) as wrapped:
            return wrapped.getpeercert(binary_form=True)


def own_certificate(instance):
    return ssl.PEM_cert_to_DER_cert((instance.dir / "tls" / "cert.pem").read_text())


def hangup(instance):
    mark = len(instance.log)
    instance.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "loaded again" in instance.log[mark:], 5, "the reload's log line")
    return instance.log[mark:]


def test_reload_serves_the_new_certificate(instance):
    before = all_pids(instance)
    old = served_certificate(instance)
    assert old == own_certificate(instance)
    with instance.wire("pop3s") as session:
        assert session.line().startswith(b"+OK")
        new_certificate(instance.dir / "tls")
        assert own_certificate(instance) != old
        hangup(instance)
        # Every pop3d, so one right answer is not enough.
        wait_until(lambda: all(served_certificate(instance) == own_certificate(instance)
                               for _ in range(8)), 5, "the new certificate")
        session.send(b"CAPA\r\n")
        assert session.line().startswith(b"+OK")
    assert all_pids(instance) == before


def test_reload_keeps_the_old_certificate_when_the_new_one_is_broken(instance):
    before = all_pids(instance)
    old = served_certificate(instance)
    (instance.dir / "tls" / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nbroken\n")
    assert "error: the TLS certificate stays as it was" in hangup(instance)
    assert served_certificate(instance) == old
    # Also in a program that starts later.
    for pid in instance.pids()["pop3d"]:
        os.kill(pid, signal.SIGKILL)
        wait_gone(pid)
    wait_until(lambda: len(set(instance.pids().get("pop3d", [])) - set(before)) ==
               list(before.values()).count("pop3d"), 5, "new pop3d")
    assert served_certificate(instance) == old


def test_reload_keeps_the_old_configuration_when_the_new_one_is_broken(instance):
    path = instance.dir / "bellhop.conf"
    good = path.read_text()
    path.write_text(good + "\nno_such_setting = 1\n")
    said = hangup(instance)
    assert "error: the configuration stays as it was" in said and "no_such_setting" in said
    path.write_text(good)
    instance.wait_healthy(5)


def test_reload_says_what_needs_a_restart(instance):
    instance.configure(lmtp_listen="127.0.0.1:1")
    assert "*_listen" in hangup(instance)
    with instance.lmtp():
        pass


def test_reload_during_the_start(stopped):
    """A program that cannot take the signal yet gets it later; none dies of it."""
    stopped._spawn()
    wait_until(lambda: "started stored" in stopped.log, 10, "the start")
    for _ in range(20):
        stopped.process.send_signal(signal.SIGHUP)
    stopped.wait_healthy(10)
    wait_until(lambda: stopped.http("/healthz")[0] == 200, 5, "health")
    assert "again in" not in stopped.log


# --- stopping


def terminate(instance, number=signal.SIGTERM):
    """Returns (exit status, seconds)."""
    begin = time.monotonic()
    instance.process.send_signal(number)
    status = instance.process.wait(15)
    instance.process = None
    return status, time.monotonic() - begin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_with_idle_sessions(instance, number):
    pids = all_pids(instance)
    account = instance.customers[0].accounts[0]
    with instance.wire("pop3") as idle, instance.lmtp() as lmtp, instance.wire("http"):
        assert idle.line().startswith(b"+OK")
        logged_in = instance.pop3(account)
        lmtp.ask("MAIL FROM:<sender@elsewhere.example>")
        assert terminate(instance, number) == (0, pytest.approx(2.5, abs=2.5))
        logged_in.close()
    for pid in pids:
        wait_gone(pid, 1)


def test_stop_refuses_new_connections(instance):
    port = instance.ports.pop3
    assert terminate(instance)[0] == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_stop_does_not_wait_for_a_hanging_program(instance):
    """lmtpd is stopped and cannot end by itself: it is killed in time, and that is told."""
    pid = instance.pids()["lmtpd"][0]
    os.kill(pid, signal.SIGSTOP)
    status, seconds = terminate(instance)
    assert status == 1 and 3 < seconds < 5
    assert f"killing lmtpd[{pid}]" in instance.log


def test_second_signal_ends_at_once(instance):
    os.kill(instance.pids()["lmtpd"][0], signal.SIGSTOP)
    instance.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping after signal" in instance.log, 5, "the stop")
    status, seconds = terminate(instance)
    assert status == 1 and seconds < 2


def test_killed_supervisor_takes_its_programs_along(stopped):
    """kill -9 of serve: the programs end, and the next serve waits for them."""
    stopped.start()
    pids = all_pids(stopped)
    stopped.process.kill()
    stopped.process.wait(10)
    stopped.process = None
    stopped.start()
    for pid in pids:
        wait_gone(pid, 1)
    stopped.wait_healthy(5)


def test_serve_at_once_after_a_kill(stopped):
    """Before the killed process has gone, and while it is a zombie that nobody has waited for."""
    stopped.start()
    killed, stopped.process = stopped.process, None
    killed.kill()
    stopped.start()
    killed.wait(10)


def test_programs_refuse_to_be_started_by_hand():
    for name in ("stored", "authd", "fetchd", "lmtpd", "pop3d", "admin"):
        done = subprocess.run([BIN / name], capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 1
        assert "bellhop -C DIR serve" in done.stderr
