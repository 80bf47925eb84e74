"""POP3 behind HAProxy, nginx and a webmail: the client's own address counts, and only who is listed says it."""

import base64
import json
import re
import signal
import socket
from contextlib import contextmanager

import pytest

from bellhop import wait_until
from proxies import PROXY, From, haproxy, header, nginx
from test_authd import counter
from test_events import events

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = "192.0.2.7"
LOCAL = SIGNATURE + b"\x20\0\0\0"
IPV4 = SIGNATURE + b"\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x67, 0, 110])


@pytest.fixture
def listed(stopped):
    """A running instance that takes clients' addresses from PROXY."""
    stopped.configure(pop3_proxy_networks=PROXY)
    return stopped.start()


def log_in(wire, account):
    assert wire.command(f"USER {account.address}").startswith(b"+OK")
    assert wire.command(f"PASS {account.password}").startswith(b"+OK")


def wait_for_log(instance, pattern):
    return wait_until(lambda: re.search(pattern, instance.log), what=f"{pattern} in the log")


def ended(address, how="quit"):
    return rf"address={re.escape(address)} mailbox=[1-9]\d* .*end={how}"


def is_closed(wire):
    """Nothing more comes; what is sent after the end may have been answered with a reset."""
    try:
        return wire.file.read() == b""
    except ConnectionResetError:
        return True


def secured(wire, instance, tls):
    """The greeting has been read, and TLS is spoken: at once, or after STLS."""
    if tls:
        wire.start_tls(instance.tls)
        assert wire.line().startswith(b"+OK")
        return wire
    assert wire.line().startswith(b"+OK")
    # The client is not on this machine, be the proxy there.
    assert wire.command("USER somebody").startswith(b"-ERR use TLS")
    assert wire.command("STLS").startswith(b"+OK")
    wire.start_tls(instance.tls)
    return wire


@pytest.mark.parametrize("tls", [False, True], ids=["pop3", "pop3s"])
@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"])
def test_haproxy(listed, tmp_path, options, tls):
    clients = dict(zip([CLIENT, "2001:db8::7"], [customer.accounts[0] for customer in listed.customers]))
    for account in clients.values():
        listed.deliver(account.address, f"Subject: for {account.address}\r\n\r\nHello\r\n".encode())
    with haproxy(listed, tmp_path, listed.ports.pop3s if tls else listed.ports.pop3, options) as proxy:
        for address, account in clients.items():
            with secured(proxy.client(address), listed, tls) as wire:
                log_in(wire, account)
                assert wire.command("RETR 1").startswith(b"+OK")
                assert f"Subject: for {account.address}".encode() in wire.lines()
                assert wire.command("QUIT").startswith(b"+OK")
            wait_for_log(listed, ended(address))
    assert "address=127." not in re.sub(r".*mailbox=0 .*", "", listed.log)


@pytest.mark.parametrize("tls", [False, True], ids=["without", "with"])
def test_haproxy_that_speaks_tls_itself(listed, tmp_path, tls):
    """Only with what it says of TLS may a password come from it in the clear."""
    pem = tmp_path / "haproxy.pem"
    pem.write_text((listed.dir / "tls" / "cert.pem").read_text() + (listed.dir / "tls" / "key.pem").read_text())
    options = "send-proxy-v2-ssl" if tls else "send-proxy-v2"
    with haproxy(listed, tmp_path, listed.ports.pop3, options, f"accept-proxy ssl crt {pem}") as proxy:
        for customer in listed.customers:
            with proxy.client(CLIENT) as wire:
                wire.start_tls(listed.tls)
                assert wire.line().startswith(b"+OK")
                if tls:
                    log_in(wire, customer.accounts[0])
                else:
                    assert wire.command("USER somebody").startswith(b"-ERR use TLS")
                assert wire.command("QUIT").startswith(b"+OK")


def test_haproxys_own_connections(listed, tmp_path):
    """Its health checks are greeted, and nobody's address counts them."""
    with haproxy(listed, tmp_path, listed.ports.pop3, "send-proxy-v2 check inter 100ms"):
        wait_for_log(listed, rf"address={re.escape(PROXY)} mailbox=0 .*end=")
    assert "in pop3_proxy_networks" not in listed.log


@pytest.fixture
def behind_nginx(instance, tmp_path):
    """nginx that speaks TLS with clients, asks whether they may log in, and passes their passwords on in the clear."""
    # nginx cannot choose what it connects from, so it is listed when nobody else connects any more.
    instance.configure(pop3_proxy_networks="127.0.0.1", cleartext_login="yes")
    instance.process.send_signal(signal.SIGHUP)
    processes = len(instance.pids()["pop3d"])
    wait_until(lambda: len(re.findall(r"pop3d\[\d+\]: configuration and certificate read anew",
                                      instance.log)) == processes, what="the new configuration")
    with nginx(instance, tmp_path) as proxy:
        yield proxy


@contextmanager
def through(proxy, instance, address):
    with proxy.client(address) as wire:
        wire.start_tls(instance.tls)
        assert wire.line().startswith(b"+OK")
        yield wire


def plain(account, password=None):
    return base64.b64encode(f"\0{account.address}\0{password or account.password}".encode()).decode()


def test_nginx(instance, behind_nginx):
    """Each login costs one hash, though nginx asks first and logs in then, and is told once."""
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    for address, account, commands in [
            (CLIENT, ours, [f"USER {ours.address}", f"PASS {ours.password}"]),
            ("2001:db8::7", theirs, [f"AUTH PLAIN {plain(theirs)}"])]:
        hashes = counter(instance, "hashes_total")
        with through(behind_nginx, instance, address) as wire:
            assert [wire.command(command)[:3] for command in commands] == [b"+OK"] * len(commands)
            assert wire.command("STAT") == b"+OK 0 0"
            assert wire.command("QUIT").startswith(b"+OK")
        wait_for_log(instance, ended(address))
        assert counter(instance, "hashes_total") == hashes + 1
        [event] = events(instance, account.address)
        assert (event["event"], event["remote"], event["count"]) == ("login", address, 1)


def test_wrong_passwords_behind_nginx(instance, behind_nginx):
    """nginx does not even connect; the third ends the connection, and the address is what is delayed."""
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    hashes = counter(instance, "hashes_total")
    for first in (1, 4):
        with through(behind_nginx, instance, "192.0.2.66") as wire:
            for number in range(first, first + 3):
                wire.command(f"USER {ours.address}")
                expected = b"-ERR [AUTH] wrong user name or password" if number <= 5 else b"-ERR [SYS/TEMP] Too many wrong"
                assert wire.command(f"PASS wrong {number}").startswith(expected)
            assert is_closed(wire)
    assert counter(instance, "hashes_total") == hashes + 5
    [refused] = [row for row in events(instance, ours.address) if row["event"] == "refused"]
    assert (refused["remote"], refused["count"]) == ("192.0.2.66", 5)
    with through(behind_nginx, instance, "192.0.2.66") as wire:
        wire.command(f"USER {ours.address}")
        assert re.match(rb"-ERR \[SYS/TEMP\] Too many wrong passwords, try again in \d+ seconds?\.",
                        wire.command(f"PASS {ours.password}"))
    for address, account in [(CLIENT, ours), (CLIENT, theirs)]:
        with through(behind_nginx, instance, address) as wire:
            assert wire.command(f"AUTH PLAIN {plain(account)}").startswith(b"+OK")


def test_what_nginx_does_not_offer(instance, behind_nginx):
    with through(behind_nginx, instance, CLIENT) as wire:
        wire.send(b"CAPA\r\n")
        capabilities = []
        while (line := wire.line()) != b".":
            capabilities.append(line)
        assert b"SASL PLAIN LOGIN" in capabilities
        assert wire.command("APOP desk c4c9334bac560ecc979e58001b3e22fb").startswith(b"-ERR")
        assert wire.command("AUTH CRAM-MD5").startswith(b"-ERR")


def test_a_suspended_mailbox_behind_nginx(instance, behind_nginx):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    instance.cli("customer", "suspend", instance.customers[0].name)
    with through(behind_nginx, instance, CLIENT) as wire:
        assert wire.command(f"AUTH PLAIN {plain(ours)}") == b"-ERR [SYS/PERM] This account is suspended."
    with through(behind_nginx, instance, CLIENT) as wire:
        assert wire.command(f"AUTH PLAIN {plain(theirs)}").startswith(b"+OK")


def test_each_client_has_its_share(stopped, tmp_path):
    stopped.configure(pop3_proxy_networks=PROXY, pop3_processes=1, pop3_address_sessions=2)
    stopped.start()
    with haproxy(stopped, tmp_path, stopped.ports.pop3, "send-proxy-v2") as proxy:
        with proxy.client(CLIENT) as one, proxy.client(CLIENT) as two, proxy.client(CLIENT) as three:
            answers = sorted(wire.line() for wire in (one, two, three))
            assert answers[2].startswith(b"-ERR [SYS/TEMP] too many connections from your address")
            assert answers[0].startswith(b"+OK") and answers[1].startswith(b"+OK")
            with proxy.client("192.0.2.8") as other:
                assert other.line().startswith(b"+OK")
    for _ in range(2):  # and the proxy's own do not count at all
        wires = [From(PROXY, stopped.ports.pop3) for _ in range(4)]
        for wire in wires:
            wire.send(LOCAL)
        for wire in wires:
            assert wire.line().startswith(b"+OK")
        for wire in wires:
            wire.close()


@pytest.mark.parametrize("octets, address", [
    (header(CLIENT), CLIENT),
    (header("2001:db8::7"), "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", PROXY),
    (LOCAL, PROXY),
    (IPV4, CLIENT),
])
@pytest.mark.parametrize("pieces", ["with a command", "octet by octet"])
def test_a_header_however_it_comes(listed, octets, address, pieces):
    with From(PROXY, listed.ports.pop3) as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if pieces == "with a command":
            wire.send(octets + b"QUIT\r\n")
        else:
            for at in range(len(octets)):
                wire.send(octets[at:at + 1])
            wire.send(b"QUIT\r\n")
        assert wire.line().startswith(b"+OK Bellhop") and wire.line().startswith(b"+OK")
        assert is_closed(wire)
    wait_for_log(listed, rf"address={re.escape(address)} mailbox=0 .*end=quit")


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
@pytest.mark.parametrize("octets", [
    b"CAPA\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    b"PROXY TCP4 nobody 127.0.0.1 4711 110\r\n",
    SIGNATURE + b"\x31\x11\0\x0c",
    b"PROXY UNKNOWN " + 100 * b"x" + b"\r\n",
])
def test_a_listed_proxy_without_a_good_header(listed, octets, service):
    with From(PROXY, getattr(listed.ports, service)) as wire:
        wire.send(octets)
        assert is_closed(wire)
    wait_for_log(listed, rf"warning: address={re.escape(PROXY)} is in pop3_proxy_networks, but its "
                         r"connection does not begin with a good PROXY header: closed")


def test_a_header_that_does_not_come(listed):
    with From(PROXY, listed.ports.pop3) as silent, From(PROXY, listed.ports.pop3s) as slow:
        slow.send(b"PROXY TC")
        with From(PROXY, listed.ports.pop3):
            pass  # which is nothing to tell
        assert is_closed(silent) and is_closed(slow)
    wait_until(lambda: listed.log.count("did not begin with a PROXY header in time: closed") == 2)
    with From(PROXY, listed.ports.pop3) as cut:
        cut.send(b"PROXY TC")
        cut.sock.shutdown(socket.SHUT_WR)
        assert is_closed(cut)
    wait_for_log(listed, "ended within its PROXY header")
    assert listed.log.count("in pop3_proxy_networks") == 3
    # One that still waits does not keep the service from its end.
    with From(PROXY, listed.ports.pop3) as waiting:
        waiting.send(b"PROXY TC")
        listed.stop()
        assert is_closed(waiting)


def test_who_is_not_listed_names_nobody(listed):
    with listed.wire("pop3") as wire:
        assert wire.line().startswith(b"+OK")
        assert wire.command(header(CLIENT).strip()).startswith(b"-ERR")
        log_in(wire, listed.customers[0].accounts[0])
        assert wire.command("QUIT").startswith(b"+OK")
    wait_for_log(listed, ended("127.0.0.1"))
    assert CLIENT not in listed.log


def test_only_a_proxy_on_this_machine_knows_who_is_on_it(listed):
    """Through HAProxy here, a client here may log in without TLS."""
    with From(PROXY, listed.ports.pop3) as wire:
        wire.send(header("127.0.0.1"))
        assert wire.line().startswith(b"+OK")
        log_in(wire, listed.customers[1].accounts[0])
        assert wire.command("QUIT").startswith(b"+OK")


# --- XCLIENT

@pytest.fixture
def webmail(stopped):
    """A running instance with a webmail at PROXY, and few places for each address."""
    stopped.configure(pop3_xclient_networks=PROXY, pop3_processes=1, pop3_address_sessions=2)
    return stopped.start()


def capabilities(wire):
    assert wire.command("CAPA").startswith(b"+OK")
    return wire.lines()


@pytest.mark.parametrize("tls", [False, True], ids=["pop3", "pop3s"])
def test_a_webmail_names_its_clients(webmail, tls):
    clients = dict(zip([CLIENT, "2001:db8::7"], [customer.accounts[0] for customer in webmail.customers]))
    for address, account in clients.items():
        with From(PROXY, webmail.ports.pop3s if tls else webmail.ports.pop3) as wire:
            if tls:
                wire.start_tls(webmail.tls)
            assert wire.line() == b"+OK [XCLIENT] Bellhop ready"
            assert b"XCLIENT" in capabilities(wire)
            assert wire.command(f"XCLIENT ADDR={address} PORT=4711 SESSION=ab+/3 TTL=5 "
                                f"FORWARD={'YQ==' * 300}") == b"+OK"
            assert b"XCLIENT" not in capabilities(wire)
            assert wire.command("XCLIENT ADDR=192.0.2.9").startswith(b"-ERR unknown command")
            # It is on this machine, so it needs no TLS for what it brings.
            log_in(wire, account)
            [session] = json.loads(webmail.cli("session", "list", account.address, "--json").stdout)
            assert session["remote"] == address and session["tls"] == ("TLSv1.3" if tls else None)
            assert wire.command("XCLIENT ADDR=192.0.2.9").startswith(b"-ERR")
            assert b"XCLIENT" not in capabilities(wire)
            assert wire.command("QUIT").startswith(b"+OK")
        wait_for_log(webmail, ended(address))
        assert re.search(rf"login address={account.address} .*rip={address} ", webmail.log)


@pytest.mark.parametrize("arguments", [
    "", " ADDR=", " ADDR=nobody", " ADDR=192.0.2.256", " ADDR=192.0.2.7 PORT=0", " ADDR=192.0.2.7 PORT=65536",
    " ADDR=192.0.2.7 PORT=-1", " ADDR=192.0.2.7 ADDR=::g",
])
def test_xclient_that_names_nobody(webmail, arguments):
    with From(PROXY, webmail.ports.pop3) as wire:
        wire.line()
        assert wire.command("XCLIENT" + arguments).startswith(b"-ERR")
        wire.command("QUIT")
    wait_for_log(webmail, rf"address={re.escape(PROXY)} mailbox=0 .*end=quit")
    assert CLIENT not in webmail.log


def test_xclient_of_who_is_not_listed(webmail):
    account = webmail.customers[0].accounts[0]
    with webmail.wire("pop3") as wire:
        assert wire.line() == b"+OK Bellhop ready"
        assert b"XCLIENT" not in capabilities(wire)
        assert wire.command(f"USER {account.address}").startswith(b"+OK")
        assert wire.command(f"XCLIENT ADDR={CLIENT}").startswith(b"-ERR unknown command")
        log_in(wire, account)
        wire.command("QUIT")
    wait_for_log(webmail, ended("127.0.0.1"))
    assert CLIENT not in webmail.log


def test_each_client_of_a_webmail_has_its_share(webmail):
    wires = [From(PROXY, webmail.ports.pop3) for _ in range(5)]
    try:
        for wire in wires:
            assert wire.line().startswith(b"+OK")
        one, two, three, other, _ = wires
        assert one.command(f"XCLIENT ADDR={CLIENT}") == b"+OK"
        assert two.command(f"XCLIENT ADDR=::ffff:{CLIENT}") == b"+OK"
        assert three.command(f"XCLIENT ADDR={CLIENT}").startswith(
            b"-ERR [SYS/TEMP] too many connections from your address")
        assert is_closed(three)
        assert other.command("XCLIENT ADDR=192.0.2.8") == b"+OK"
        wait_for_log(webmail, rf"address={re.escape(CLIENT)} .*end=no-room")
        one.command("QUIT")
        one.close()

        def has_room():
            with From(PROXY, webmail.ports.pop3) as wire:
                wire.line()
                return wire.command(f"XCLIENT ADDR={CLIENT}") == b"+OK"

        wait_until(has_room, what="room for another client")
    finally:
        for wire in wires:
            wire.close()


def test_a_header_and_xclient(stopped):
    """Behind HAProxy, it is the header's address that must be listed."""
    stopped.configure(pop3_proxy_networks=PROXY, pop3_xclient_networks=f"{PROXY} {CLIENT}")
    stopped.start()
    for address, listed in {CLIENT: True, "192.0.2.8": False, PROXY: True}.items():
        with From(PROXY, stopped.ports.pop3) as wire:
            wire.send(header(address))
            assert wire.line().startswith(b"+OK [XCLIENT]") == listed
            assert wire.command("XCLIENT ADDR=198.51.100.1").startswith(b"+OK") == listed
    with From(PROXY, stopped.ports.pop3) as wire:
        wire.send(LOCAL)
        assert wire.line() == b"+OK Bellhop ready"
        assert wire.command("XCLIENT ADDR=198.51.100.1").startswith(b"-ERR")


def test_who_says_xclient_does_not_come_nearer(stopped):
    """A webmail elsewhere needs TLS, even for somebody who is on its machine."""
    stopped.configure(pop3_proxy_networks=PROXY, pop3_xclient_networks=CLIENT)
    stopped.start()
    with From(PROXY, stopped.ports.pop3) as wire:
        wire.send(header(CLIENT))
        assert wire.line().startswith(b"+OK [XCLIENT]")
        assert wire.command("XCLIENT ADDR=127.0.0.1") == b"+OK"
        assert wire.command("USER somebody").startswith(b"-ERR use TLS")
