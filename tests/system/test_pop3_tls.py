"""POP3 over TLS: the port that begins with it, and STLS."""

import os
import poplib
import re
import signal
import socket
import ssl
import subprocess

import pytest

from bellhop import wait_until
from test_pop3 import capabilities, greeted, is_closed, log_in, logged_in

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_implicit(shared, version):
    context = shared.tls
    context.minimum_version = context.maximum_version = version
    account = shared.customers[0].accounts[0]
    pop3 = poplib.POP3_SSL("127.0.0.1", shared.ports.pop3s, timeout=30, context=context)
    assert pop3.getwelcome() == b"+OK Bellhop ready"
    assert "STLS" not in pop3.capa()
    pop3.user(account.address)
    pop3.pass_(account.password)
    assert "STLS" not in pop3.capa()
    assert pop3.quit() == b"+OK goodbye"


def test_old_versions_are_refused(shared):
    for option in ("-tls1", "-tls1_1"):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{shared.ports.pop3s}", option,
             "-cipher", "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=30)
        assert "Cipher is (NONE)" in done.stdout + done.stderr


@pytest.mark.parametrize("offered, chosen", [
    ("TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    ("TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"),
    ("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
])
def test_choice_of_cipher(shared, offered, chosen):
    """What is fast here, unless the client shows that it has no AES."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{shared.ports.pop3s}",
                           "-tls1_3", "-ciphersuites", offered],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert f"Cipher is {chosen}" in done.stdout, done.stderr


@pytest.mark.parametrize("group", ["X25519", "P-256", "X448", "P-384", "P-521", "ffdhe2048"])
def test_key_agreement(shared, group):
    """A client that knows one group only; most agree on more octets than SHA-256 has."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{shared.ports.pop3s}",
                           "-tls1_3", "-groups", group, "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert "Cipher is TLS_AES_128_GCM_SHA256" in done.stdout, done.stderr


def test_stls(shared):
    account = shared.customers[0].accounts[0]
    with greeted(shared) as wire:
        assert "STLS" in capabilities(wire)
        assert wire.command("STLS now").startswith(b"-ERR ")
        assert wire.command("STLS").startswith(b"+OK")
        wire.start_tls(shared.tls)
        assert "STLS" not in capabilities(wire)
        assert wire.command("STLS").startswith(b"-ERR ")
        assert log_in(wire, account).startswith(b"+OK")
        assert wire.command("STLS").startswith(b"-ERR ")
        assert wire.command("QUIT").startswith(b"+OK")
        assert is_closed(wire)


def test_stls_is_refused_on_pop3s(shared):
    with greeted(shared, "pop3s") as wire:
        assert wire.command("STLS").startswith(b"-ERR ")
        assert wire.command("NOOP").startswith(b"-ERR ")
        assert wire.command("QUIT").startswith(b"+OK")


def test_stls_forgets_the_user(shared):
    account = shared.customers[0].accounts[0]
    with greeted(shared) as wire:
        wire.command(f"USER {account.address}")
        assert wire.command("STLS").startswith(b"+OK")
        wire.start_tls(shared.tls)
        assert wire.command(f"PASS {account.password}").startswith(b"-ERR ")
        assert log_in(wire, account).startswith(b"+OK")


@pytest.mark.parametrize("injected", [b"CAPA\r\n", b"USER mallory\r\n", b"partial", b"A" * 9000])
def test_stls_injection(shared, injected):
    """What comes in clear with the STLS line is never taken for what came under TLS."""
    with greeted(shared) as wire:
        wire.send(b"STLS\r\n" + injected)
        assert wire.line().startswith(b"+OK")
        try:
            wire.start_tls(shared.tls)
        except (ssl.SSLError, OSError):
            return
        assert wire.command("QUIT") == b"+OK goodbye"
        assert is_closed(wire)


def test_pipelined_before_stls(shared):
    with greeted(shared) as wire:
        wire.send(b"NOOP\r\nSTLS\r\n")
        assert wire.line().startswith(b"-ERR ")
        assert wire.line().startswith(b"+OK")
        wire.start_tls(shared.tls)
        assert wire.command("QUIT").startswith(b"+OK")


def test_commands_with_the_end_of_the_handshake(shared):
    """In one piece: nothing more comes from the network that could remind us of them."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = shared.tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", shared.ports.pop3s), timeout=30) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        tls.write(b"NOOP\r\nQUIT\r\n")
        sock.sendall(outgoing.read())
        while piece := sock.recv(65536):
            incoming.write(piece)
        assert tls.read(200) == b"+OK Bellhop ready\r\n"
        answers = tls.read(200).splitlines()
        assert answers[0].startswith(b"-ERR ") and answers[1] == b"+OK goodbye"


def test_failed_handshakes_are_counted(instance):
    for service, before in (("pop3s", b""), ("pop3", b"STLS\r\n")):
        with socket.create_connection(("127.0.0.1", getattr(instance.ports, service))) as sock:
            sock.settimeout(30)
            if before:
                sock.recv(100)
                sock.sendall(before)
                assert sock.recv(100).startswith(b"+OK")
            sock.sendall(b"this is no TLS\r\n" * 10)
            while True:
                try:
                    if not sock.recv(1000):
                        break
                except ConnectionResetError:
                    break
    wait_until(lambda: "bellhop_pop3_tls_failures_total 2" in instance.http("/metrics")[1])
    wait_until(lambda: instance.log.count("TLS handshake failed") == 2)


def test_large_message_both_ways(shared):
    account = shared.customers[1].accounts[0]
    message = b"Subject: large\r\n\r\n" + b"a line of a large message\r\n" * 100_000
    assert shared.deliver(account.address, message)[0].code == 250
    for tls in (True, False):
        [found] = shared.messages(account, tls=tls).values()
        assert found.endswith(message)


def test_pipelining_under_tls(shared):
    account = shared.customers[0].accounts[1]
    for number in range(20):
        message = b"Subject: %d\r\n\r\n%s\r\n" % (number, b"x" * 500 * number)
        assert shared.deliver(account.address, message)[0].code == 250
    with logged_in(shared, account, "pop3s") as wire:
        wire.send(b"".join(b"RETR %d\r\n" % n for n in range(1, 21)) * 20 + b"QUIT\r\n")
        for _ in range(20):
            for number in range(20):
                assert wire.line().startswith(b"+OK ")
                assert b"Subject: %d" % number in wire.lines()
        assert wire.line() == b"+OK goodbye"


def test_quit_and_gone_under_tls(instance):
    account = instance.customers[0].accounts[0]
    assert instance.deliver(account.address, b"Subject: x\r\n\r\n")[0].code == 250
    wire = logged_in(instance, account, "pop3s")
    wire.send(b"DELE 1\r\nQUIT\r\n")
    wire.close()
    wait_until(lambda: instance.messages(account) == {})


def connect(instance, context, session=None):
    """A greeted connection to pop3s: (whether it resumed `session`, the session for the next one)."""
    with socket.create_connection(("127.0.0.1", instance.ports.pop3s), timeout=30) as sock:
        with context.wrap_socket(sock, session=session) as tls:
            assert tls.recv(100) == b"+OK Bellhop ready\r\n"
            tls.sendall(b"QUIT\r\n")
            assert tls.recv(100) == b"+OK goodbye\r\n"
            return tls.session_reused, tls.session


def metric(instance, name):
    return int(re.search(rf"(?m)^{name} (\d+)$", instance.http("/metrics")[1])[1])


@pytest.fixture
def pair(stopped):
    """Served by two processes of pop3d, whatever the machine has."""
    stopped.configure(pop3_processes=2)
    return stopped.start()


@pytest.mark.parametrize("version", VERSIONS)
def test_resumption(pair, version):
    """In any process, also in one that was started since."""
    context = pair.tls
    context.minimum_version = context.maximum_version = version
    resumed, session = connect(pair, context)
    assert not resumed
    for _ in range(30):
        resumed, session = connect(pair, context, session)
        assert resumed
    assert metric(pair, "bellhop_pop3_tls_resumed_total") == 30
    for pid in pair.pids()["pop3d"]:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in pair.pids().get("pop3d", []))
        wait_until(lambda: len(pair.pids().get("pop3d", [])) == 2)
    pair.wait_healthy()
    for _ in range(10):
        resumed, session = connect(pair, context, session)
        assert resumed


def test_resumed_session_logs_in(instance):
    """What is resumed is the encryption: each session shows its own credentials."""
    context = instance.tls
    session = connect(instance, context)[1]
    for customer in instance.customers:
        account = customer.accounts[0]
        with socket.create_connection(("127.0.0.1", instance.ports.pop3s), timeout=30) as sock, \
                context.wrap_socket(sock, session=session) as tls, tls.makefile("rwb", 0) as file:
            assert tls.session_reused
            assert file.readline().startswith(b"+OK")
            file.write(b"STAT\r\n")
            assert file.readline().startswith(b"-ERR")
            for line in (f"USER {account.address}", f"PASS {account.password}", "STAT", "QUIT"):
                file.write(line.encode() + b"\r\n")
                assert file.readline().startswith(b"+OK")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_forged_ticket(pair, tmp_path, version):
    """It leads to a handshake in full."""
    kept = tmp_path / "session.pem"
    options = ["openssl", "s_client", "-connect", f"127.0.0.1:{pair.ports.pop3s}", version,
               "-ign_eof", "-crlf"]

    def session(*more):
        done = subprocess.run(options + [*more], input="QUIT\n", capture_output=True, text=True,
                              timeout=30)
        assert "+OK goodbye" in done.stdout, done.stderr
        return done.stdout

    assert "\nNew, " in session("-sess_out", kept)
    assert "\nReused, " in session("-sess_in", kept)
    raw = bytearray(ssl.PEM_cert_to_DER_cert(
        kept.read_text().replace("SSL SESSION PARAMETERS", "CERTIFICATE")))
    shown = subprocess.run(["openssl", "sess_id", "-in", kept, "-text", "-noout"], check=True,
                           capture_output=True, text=True, timeout=30).stdout
    start = bytes.fromhex("".join(re.search(r"0000 - ((?:[0-9a-f]{2}[ -]){16})", shown)[1]
                                  .replace("-", " ").split()))
    place = raw.index(start)
    for at in (0, 20, 40, 100):  # name, initial value, what is sealed
        forged = bytearray(raw)
        forged[place + at] ^= 1
        kept.write_text(ssl.DER_cert_to_PEM_cert(bytes(forged))
                        .replace("CERTIFICATE", "SSL SESSION PARAMETERS"))
        assert "\nNew, " in session("-sess_in", kept)
    assert metric(pair, "bellhop_pop3_tls_failures_total") == 0


def certificate(instance):
    with greeted(instance, "pop3s") as wire:
        return wire.sock.getpeercert(True)


def test_reload(instance, tmp_path):
    """SIGHUP: new connections get the new certificate, old ones live on; a bad one changes nothing."""
    account = instance.customers[0].accounts[0]
    old = certificate(instance)
    context = instance.tls
    context.verify_mode = ssl.CERT_NONE
    session = connect(instance, context)[1]
    processes = len(instance.pids()["pop3d"])

    def reload(number):
        instance.process.send_signal(signal.SIGHUP)
        wait_until(lambda: instance.log.count("certificate read anew") == number * processes)

    reload(1)
    assert connect(instance, context, session)[0]
    key, cert = instance.dir / "tls" / "key.pem", instance.dir / "tls" / "cert.pem"
    with logged_in(instance, account, "pop3s") as wire:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
                        "-days", "2", "-keyout", key, "-out", cert], check=True,
                       capture_output=True, timeout=30)

        reload(2)
        assert certificate(instance) != old
        assert wire.command("NOOP") == b"+OK"
        wire.command("QUIT")
    # A session that began with the old certificate is not resumed under the new one.
    assert not connect(instance, context, session)[0]
    new = cert.read_bytes()
    cert.write_text("this is no certificate\n")
    mark = len(instance.log)
    instance.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "certificate" in instance.log[mark:])
    cert.write_bytes(new)
    with logged_in(instance, account, "pop3s") as wire:
        assert wire.command("NOOP") == b"+OK"
