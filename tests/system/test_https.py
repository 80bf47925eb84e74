"""The HTTP API over TLS: what is else than without, new certificates, floods of handshakes, the end."""

import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import time
from contextlib import ExitStack

import pytest

from api import Api, made_key
from authority import Authority
from bellhop import descriptors, sanitized, status, wait_gone, wait_until

KIB, MIB = 1 << 10, 1 << 20
GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"

HALF = 1500         # more than HANDSHAKES_MAX in admin/tunnel.c
HANDSHAKES_MAX = 1000
SLACK_TIME = 25


@pytest.fixture
def secure(stopped):
    stopped.configure(https_listen=f"127.0.0.1:{stopped.ports.https}")
    stopped.start()
    wait_until(lambda: stopped.http("/readyz")[0] == 200, what="connections to the other programs")
    return stopped


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def plain(instance, seconds=30, buffer=None):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(seconds)
    client.connect(("127.0.0.1", instance.ports.https))
    return client


def connect(instance, seconds=30, buffer=None, **versions):
    context = instance.tls
    for name, version in versions.items():
        setattr(context, name, version)
    return context.wrap_socket(plain(instance, seconds, buffer))


def answer(client):
    """One whole answer: status, headers, body."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        piece = client.recv(65536)
        if not piece:
            return None
        octets += piece
    header, _, body = octets.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", header)[1])
    while len(body) < length:
        body += client.recv(65536)
    return int(header[9:12]), header.decode(), body


def ask(client, request=GET):
    client.sendall(request)
    return answer(client)


def resident(pid):
    return int(status(pid)["VmRSS"].split()[0]) * KIB


def test_what_is_else_than_without(secure):
    """Strict-Transport-Security over TLS alone; and all else alike, also the client's address."""
    with connect(secure) as client:
        code, header, body = ask(client)
        assert code == 200 and body == b'{"status":"ok"}'
        assert "\r\nStrict-Transport-Security: max-age=31536000" in header
        assert "\r\nStrict-Transport-Security: " in ask(client, b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")[1]
    with socket.create_connection(("127.0.0.1", secure.ports.http), 30) as client:
        assert "Strict-Transport-Security" not in ask(client)[1]
    key = made_key(secure, "near", "--network", "127.0.0.1")
    with connect(secure) as client:
        request = f"GET /api/v1/self HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        assert json.loads(ask(client, request)[2])["name"] == "near"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(secure, version):
    with connect(secure, minimum_version=version, maximum_version=version) as client:
        assert ask(client)[0] == 200
        assert not client.session_reused


@pytest.mark.parametrize("options", [
    ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "AES128-SHA:AES256-SHA"], ["-tls1_2", "-cipher", "ECDHE+SHA384:!AESGCM"],
])
def test_old_versions_and_ciphers_are_refused(secure, options):
    done = subprocess.run(["openssl", "s_client", *options, "-connect", f"127.0.0.1:{secure.ports.https}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert "Cipher is (NONE)" in done.stdout, done.stdout


def test_nothing_in_the_clear(secure):
    with plain(secure) as client:
        client.sendall(GET)
        try:
            assert not client.recv(65536).startswith(b"HTTP/")
        except ConnectionError:
            pass


def test_large_and_many(secure):
    """A body of 1 MiB, answers that fill all buffers, 40 at once, in both directions at the same time."""
    key = made_key(secure, "panel")
    head = f"Host: a\r\nAuthorization: Bearer {key}\r\n"
    body = b'{"name":"' + b"x" * (MIB - 11) + b'"}'
    post = f"POST /api/v1/plans HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {MIB}\r\n\r\n"
    get = f"GET /api/v1/openapi.json HTTP/1.1\r\n{head}\r\n"
    with connect(secure) as client:
        document = ask(client, get.encode())[2]
        assert len(document) > 32 * KIB and json.loads(document)
        assert ask(client, post.encode() + body)[0] == 422
    with connect(secure, buffer=4096) as client:
        client.sendall(get.encode() * 40)
        octets = b""
        while octets.count(b'"openapi":"3.1.0"') < 40:
            piece = client.recv(65536)
            assert piece, len(octets)
            octets += piece


def test_new_certificates_while_connections_stay(secure, authority):
    """SIGHUP: who is connected goes on, who comes is shown the new one; a bad one changes nothing."""
    def shown():
        with connect_any(secure) as client:
            return client.getpeercert(binary_form=True)

    def connect_any(instance):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain(instance))

    pid = secure.pids()["admin"]
    first = shown()
    with connect(secure) as client:
        assert ask(client)[0] == 200
        new = authority.issue(secure.dir / "tls", "mail.example")
        secure.process.send_signal(signal.SIGHUP)
        wait_until(lambda: shown() == new, 10, "the new certificate")
        assert first != new and ask(client)[0] == 200
        (secure.dir / "tls" / "cert.pem").write_text("nothing\n")
        mark = len(secure.log)
        secure.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "stays as it was" in secure.log[mark:], 10, "a line in the log")
        assert shown() == new and ask(client)[0] == 200
    assert secure.pids()["admin"] == pid


def test_half_open_handshakes_have_a_bound(secure):
    """The oldest goes for the newest; others are served meanwhile, over TLS and without."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, HALF + 500), hard))
    pid = secure.pids()["admin"][0]
    before, open_before = resident(pid), len(descriptors(pid))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(HALF):
            client = stack.enter_context(plain(secure))
            try:
                client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            except ConnectionError:
                pass
        with connect(secure) as client:
            begin = time.monotonic()
            assert ask(client)[0] == 200
            assert secure.http("/readyz")[0] == 200
            assert time.monotonic() - begin < 5
        assert len(descriptors(pid)) - open_before <= HANDSHAKES_MAX + 10
        if not sanitized():
            assert resident(pid) - before < HANDSHAKES_MAX * 64 * KIB
        wait_until(lambda: len(descriptors(pid)) <= open_before + 2, 10 + SLACK_TIME, "the end of handshakes")


def test_a_flood_of_handshakes_leaves_time_for_others(secure):
    """Whole handshakes as fast as a generator can: requests over a kept connection go between them."""
    flood = [subprocess.Popen(["openssl", "s_time", "-connect", f"127.0.0.1:{secure.ports.https}", "-new", "-time", "4"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(4)]
    try:
        with connect(secure) as client:
            times = []
            while any(one.poll() is None for one in flood):
                begin = time.monotonic()
                assert ask(client)[0] == 200
                times.append(time.monotonic() - begin)
                time.sleep(0.01)
    finally:
        for one in flood:
            one.kill()
            one.wait()
    assert len(times) > 20 and sorted(times)[len(times) * 9 // 10] < 1


def test_who_does_not_read_is_closed(secure):
    """Deaf clients cost one answer each, and their time ends; who is silent after the handshake, too."""
    pid = secure.pids()["admin"][0]
    before, open_before = resident(pid), len(descriptors(pid))
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(connect(secure, 1, buffer=4096))
            try:
                client.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
            except TimeoutError:
                pass
        silent = stack.enter_context(connect(secure))
        with connect(secure) as client:
            assert ask(client)[0] == 200
        if not sanitized():
            assert resident(pid) - before < 20 * 640 * KIB + 4 * MIB
        begin = time.monotonic()
        assert silent.recv(100) == b""
        assert time.monotonic() - begin < 10 + SLACK_TIME
        wait_until(lambda: len(descriptors(pid)) <= open_before + 2, 60 + SLACK_TIME, "the end of the deaf")


def test_rubbish_harms_nobody(secure):
    pid = secure.pids()["admin"]
    with connect(secure) as kept:
        for octets in (b"\0" * 1000, os.urandom(5000), b"\x16\x03\x01\xff\xff" + b"x" * 20000, b"\x80\x2e\x01\x00\x02",
                       b"\x15\x03\x01\x00\x02\x02\x28"):
            with plain(secure) as client:
                try:
                    client.sendall(octets)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
                except OSError:  # reset, or not connected any more
                    pass
        with connect(secure) as client:  # no close_notify, and half a request
            client.sendall(b"GET /livez HT")
            socket.socket(fileno=client.detach()).close()
        assert ask(kept)[0] == 200
    assert secure.pids()["admin"] == pid


def test_no_connection_is_refused_while_programs_are_replaced(secure):
    with connect(secure) as kept:
        assert ask(kept)[0] == 200
        secure.cli("reload")
        code, header, _ = ask(kept)
        assert code == 200 and "\r\nConnection: close" in header
        assert answer(kept) is None
    with connect(secure) as client:
        assert ask(client)[0] == 200
    wait_until(lambda: len(secure.pids()["admin"]) == 1, 15, "the end of the old one")


def test_the_end_comes_at_once(secure):
    """Who waits for an answer has it, over TLS too, and admin is gone within moments."""
    pid = secure.pids()["admin"][0]
    store = secure.pids()["stored"][0]
    with connect(secure) as waiting, connect(secure) as idle:
        assert ask(idle)[0] == 200
        os.kill(store, signal.SIGSTOP)
        waiting.sendall(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert ask(idle)[0] == 200
        os.kill(pid, signal.SIGTERM)
        wait_gone(pid, 2)
        assert answer(waiting)[0] == 503
        assert idle.recv(100) == b""
        os.kill(store, signal.SIGCONT)




def test_keys_in_the_clear_are_warned_of(stopped):
    stopped.start()
    assert "without TLS" not in stopped.log
    stopped.stop()
    stopped.configure(http_listen=f"*:{stopped.ports.http}")
    stopped.start()
    assert len(re.findall(r"warning: http_listen = \*:\d+ is reached from other machines without TLS", stopped.log)) == 1


def test_brute_force_counts_by_address_over_tls(secure):
    """The address is the client's, not the tunnel's: wrong keys are throttled, over both ports as one."""
    wrong = b"GET /api/v1/self HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n"
    with connect(secure) as client:
        assert [ask(client, wrong)[0] for _ in range(12)][-1] == 429
    assert "from=127.0.0.1: refused" in secure.log
    assert Api(secure, "x").get("/self").status == 429
