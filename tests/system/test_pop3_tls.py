"""POP3 over TLS: the port that begins with it, and STLS."""

import poplib
import signal
import socket
import ssl
import subprocess

import pytest

from bellhop import wait_until
from test_pop3 import capabilities, greeted, is_closed, log_in, logged_in


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
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


def certificate(instance):
    with greeted(instance, "pop3s") as wire:
        return wire.sock.getpeercert(True)


def test_reload(instance, tmp_path):
    """SIGHUP: new connections get the new certificate, old ones live on; a bad one changes nothing."""
    account = instance.customers[0].accounts[0]
    old = certificate(instance)
    key, cert = instance.dir / "tls" / "key.pem", instance.dir / "tls" / "cert.pem"
    with logged_in(instance, account, "pop3s") as wire:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
                        "-days", "2", "-keyout", key, "-out", cert], check=True,
                       capture_output=True, timeout=30)

        def renewed():
            try:
                return certificate(instance) != old
            except ssl.SSLError:  # the test trusts the new one already
                return False

        instance.process.send_signal(signal.SIGHUP)
        wait_until(renewed, what="the new certificate")
        assert wire.command("NOOP") == b"+OK"
        wire.command("QUIT")
    new = cert.read_bytes()
    cert.write_text("this is no certificate\n")
    mark = len(instance.log)
    instance.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "certificate" in instance.log[mark:])
    cert.write_bytes(new)
    with logged_in(instance, account, "pop3s") as wire:
        assert wire.command("NOOP") == b"+OK"
