"""fetchd: what Bellhop asks of other machines, and what it never connects to."""

import os
import random
import signal
import socket
import struct
import threading
from contextlib import ExitStack, suppress

import pytest

from authority import Authority
from bellhop import BIN, Instance, wait_gone, wait_until
from https import Https, slow

PING, PONG, ASK, ANSWER = 1, 2, 3, 4
GET, POST = 0, 1
DONE, FORBIDDEN, FAILED, BUSY = range(4)
REQUESTS = 64  # at once


def frame(kind, number, payload=b""):
    return struct.pack("<IBBHI", len(payload), 1, kind, 0, number) + payload


def ask(url, method=GET, seconds=20, most=4096, headers="", body=b""):
    return struct.pack("<6I", method, seconds, most, len(url), len(headers), len(body)) + \
        url.encode() + headers.encode() + body


class Caller:
    def __init__(self, instance):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(instance.dir / "run" / "fetchd.sock"))
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, kind, number, payload=b""):
        self.socket.sendall(frame(kind, number, payload))

    def read(self):
        """A message's type, id and payload; None: the connection was closed."""
        header = self.file.read(12)
        if len(header) < 12:
            return None
        length, _, kind, _, number = struct.unpack("<IBBHI", header)
        return kind, number, self.file.read(length)

    def fetch(self, url, **how):
        self.send(ASK, 7, ask(url, **how))
        kind, number, payload = self.read()
        assert (kind, number) == (ANSWER, 7)
        result, status = struct.unpack("<II", payload[:8])
        return result, status, payload[8:]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    authority.issue(authority.dir / "localhost", "localhost")
    made = Https(authority.dir / "localhost")
    yield made
    made.close()


@pytest.fixture(scope="module")
def serving(template, authority, tmp_path_factory):
    """The operator has listed this machine, by one of its addresses."""
    made = Instance(tmp_path_factory.mktemp("fetchd") / "instance", template)
    made.configure(fetch_networks="127.0.0.1", fetch_authorities=authority.root)
    yield made.start()
    made.finish()


@pytest.fixture
def caller(serving):
    with Caller(serving) as made:
        yield made


def test_get(caller, server):
    server.answers["/here"] = (200, b"it is\n")
    url = f"https://localhost:{server.port}"
    assert caller.fetch(f"{url}/here") == (DONE, 200, b"it is\n")
    assert caller.fetch(f"{url}/there") == (DONE, 404, b"not here\n")
    headers = server.requests[-1].headers
    assert headers["User-Agent"] == "Bellhop" and not {"Cookie", "Authorization"} & set(headers)


def test_post(caller, server):
    server.answers["/hook"] = (204, b"")
    body = bytes(range(256)) * 300
    found = caller.fetch(f"https://localhost:{server.port}/hook", method=POST, body=body,
                         headers="Content-Type: application/octet-stream\nX-One: two\n")
    assert found == (DONE, 204, b"")
    request = server.requests[-1]
    assert (request.method, request.body, request.headers["X-One"]) == ("POST", body, "two")
    assert "Expect" not in request.headers


def test_no_redirect_is_followed_and_no_cookie_kept(caller, server):
    url = f"https://localhost:{server.port}"
    server.answers["/away"] = (302, b"", ("Location", f"{url}/target"), ("Set-Cookie", "a=b"))
    assert caller.fetch(f"{url}/away")[:2] == (DONE, 302)
    assert caller.fetch(f"{url}/away")[:2] == (DONE, 302)
    assert server.count("/target") == 0 and "Cookie" not in server.requests[-1].headers


def test_an_answer_is_bounded(caller, server):
    server.answers["/long"] = (200, b"x" * 1000)
    url = f"https://localhost:{server.port}/long"
    assert caller.fetch(url, most=1000)[:2] == (DONE, 200)
    assert caller.fetch(url, most=999) == (FAILED, 0, b"its answer is too long")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("before, again, after", [
    (b"HTTP/1.1 200 OK\r\n", b"X: " + 1000 * b"x" + b"\r\n", b"Content-Length: 0\r\n\r\n"),
    (b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    (CHUNKED + b"0\r\n", b"X: " + 1000 * b"x" + b"\r\n", b"\r\n"),
], ids=["fields", "interim answers", "trailers"])
def test_so_are_header_fields(caller, before, again, after):
    def flood(listener):
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(before)
            for _ in range(256 * 1024 // len(again)):
                connection.sendall(again)
            connection.sendall(after)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=flood, args=(listener,))
        thread.start()
        found = caller.fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert found == (FAILED, 0, b"its answer is too long")


def test_time_is_bounded_and_nobody_waits_for_another(caller, server):
    server.answers["/slow"] = slow(30, (200, b""))
    server.answers["/quick"] = (200, b"at once")
    url = f"https://localhost:{server.port}"
    caller.send(ASK, 1, ask(f"{url}/slow", seconds=1))
    caller.send(ASK, 2, ask(f"{url}/quick"))
    assert caller.read()[1] == 2
    kind, number, payload = caller.read()
    assert (kind, number, payload[8:]) == (ANSWER, 1, b"it did not answer in time")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give it another resolv.conf")
def test_nobody_waits_for_a_silent_name_server(template, authority, server, tmp_path):
    """The C library would ask it for minutes, and cannot be told to stop."""
    address = f"127.{random.randrange(1, 255)}.{random.randrange(255)}.{random.randrange(1, 255)}"
    (tmp_path / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:30 attempts:5\n")
    program = tmp_path / "bellhop"
    program.write_text("#!/bin/sh\nexec unshare -m sh -c 'mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"' "
                       f"{tmp_path}/resolv.conf {BIN}/bellhop \"$@\"\n")
    program.chmod(0o755)
    made = Instance(tmp_path / "instance", template, tmp_path)
    made.configure(fetch_networks="127.0.0.1", fetch_authorities=authority.root)
    server.answers["/quick"] = (200, b"at once")
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind((address, 53))
        silent.settimeout(60)
        made.start()
        try:
            with Caller(made) as caller:
                result, _, sentence = caller.fetch("https://silent.example/", seconds=1)
                assert (result, sentence) == (FAILED, b"it did not answer in time")
                assert silent.recv(512)
                assert caller.fetch(f"https://localhost:{server.port}/quick")[0] == DONE
        finally:
            made.finish()


def test_who_is_not_verified_is_told_nothing(caller, authority, server, tmp_path):
    authority.issue(tmp_path / "other", "other.example")
    stranger = Authority(tmp_path)
    stranger.issue(tmp_path / "strange", "localhost")
    for folder in [tmp_path / "other", tmp_path / "strange"]:
        wrong = Https(folder)
        try:
            result, _, sentence = caller.fetch(f"https://localhost:{wrong.port}/")
            assert result == FAILED and b"SSL" in sentence
            assert not wrong.requests
        finally:
            wrong.close()
    # By an address that is in no certificate.
    assert caller.fetch(f"https://127.0.0.1:{server.port}/here")[0] == FAILED


@pytest.mark.parametrize("url", [
    "https://[::1]:{port}/", "https://127.0.0.2:{port}/", "https://127.2:{port}/", "https://0x7f000002:{port}/",
    "https://[::ffff:127.0.0.2]:{port}/", "https://0.0.0.0:{port}/", "https://169.254.169.254/",
    "https://10.0.0.1/", "https://192.168.0.1/", "https://[fe80::1]/", "https://[fd00::1]/", "http://8.8.8.8/"])
def test_what_is_not_listed_is_not_reached(caller, url):
    reached = socket.create_server(("127.0.0.2", 0))
    with reached:
        reached.settimeout(0)
        result, status, sentence = caller.fetch(url.format(port=reached.getsockname()[1]))
        assert (result, status) == (FORBIDDEN, 0), sentence
        with pytest.raises(BlockingIOError):
            reached.accept()


@pytest.mark.parametrize("url", [
    "file:///etc/hostname", "ftp://localhost/", "gopher://localhost/", "localhost", "https://",
    "https://user:word@localhost/", "https://no.such.name.invalid/"])
def test_what_cannot_be_fetched(caller, url):
    result, status, sentence = caller.fetch(url)
    assert (result, status) == (FAILED, 0) and sentence.strip()


def test_in_the_clear_where_it_is_listed(caller):
    plain = Https()
    try:
        plain.answers["/"] = (200, b"plain")
        assert caller.fetch(f"http://localhost:{plain.port}/") == (DONE, 200, b"plain")
    finally:
        plain.close()


def test_a_name_that_leads_here(template, authority, server, tmp_path):
    """Nothing is listed. What counts is the address of the connection, not what a name says."""
    made = Instance(tmp_path / "instance", template)
    made.configure(fetch_authorities=authority.root)
    made.start()
    try:
        before = len(server.requests)
        with Caller(made) as caller:
            assert caller.fetch(f"https://localhost:{server.port}/here")[0] == FORBIDDEN
            # The list is read again, and so are the authorities.
            made.configure(fetch_networks="127.0.0.0/8 ::1", fetch_authorities="nowhere.pem")
            made.process.send_signal(signal.SIGHUP)
            wait_until(lambda: caller.fetch(f"https://localhost:{server.port}/here")[0] == FAILED)
            assert len(server.requests) == before
            made.configure(fetch_authorities=authority.root)
            made.process.send_signal(signal.SIGHUP)
            wait_until(lambda: caller.fetch(f"https://localhost:{server.port}/here")[0] == DONE)
    finally:
        made.finish()


NO_CERTIFICATE = "there are no certificates of authorities in the file that fetch_authorities names"


@pytest.mark.parametrize("text, told", [("", "at once"), ("not PEM\n", "at once"),
                                        ("-----BEGIN CERTIFICATE-----\nbroken\n", "when one is needed")])
def test_a_file_without_an_authority_is_told(stopped, server, text, told):
    """Certificates are only read when somebody is asked, for many installations ask nobody."""
    path = stopped.dir / "authorities.pem"
    path.write_text(text)
    stopped.configure(fetch_networks="127.0.0.1", fetch_authorities=path)
    instance = stopped.start()
    if told == "at once":
        wait_until(lambda: NO_CERTIFICATE in instance.log, what="the line of warning")
    with Caller(instance) as caller:
        assert caller.fetch(f"https://localhost:{server.port}/")[0] == FAILED
        wait_until(lambda: NO_CERTIFICATE in instance.log, what="the line of warning")


def test_no_more_than_so_many_at_once(serving, server):
    server.answers["/held"] = slow(2, (200, b""))
    with Caller(serving) as many, Caller(serving) as other:
        for number in range(REQUESTS + 1):
            many.send(ASK, number, ask(f"https://localhost:{server.port}/held", seconds=60))
        kind, number, payload = many.read()
        assert (kind, number, payload[0]) == (ANSWER, REQUESTS, BUSY)
        assert other.fetch(f"https://localhost:{server.port}/here")[0] == BUSY
    # What was asked by who is gone makes room at once.
    with Caller(serving) as other:
        assert wait_until(lambda: other.fetch(f"https://localhost:{server.port}/here")[0] == DONE)


@pytest.mark.parametrize("kind, payload", [
    (ANSWER, b""), (PING, b"x"), (99, b""), (ASK, b""), (ASK, ask("https://localhost/")[:-1]),
    (ASK, ask("https://localhost/\n")), (ASK, ask("https://localhost/", headers="no end")),
    (ASK, ask("https://localhost/", most=128 * 1024 + 1)), (ASK, ask("https://localhost/", seconds=0)),
    (ASK, ask("https://localhost/", body=b"of a GET"))])
def test_what_is_no_request_ends_the_connection(serving, kind, payload):
    with Caller(serving) as wrong, Caller(serving) as other:
        wrong.send(kind, 1, payload)
        assert wrong.read() is None
        other.send(PING, 5)
        assert other.read() == (PONG, 5, b"")


def test_the_environment_names_no_proxy(template, authority, server, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    made = Instance(tmp_path / "instance", template)
    made.configure(fetch_networks="127.0.0.1", fetch_authorities=authority.root)
    made.start()
    try:
        with Caller(made) as caller:
            assert caller.fetch(f"https://localhost:{server.port}/here")[0] == DONE
    finally:
        made.finish()


def test_a_reload_takes_nothing_away(serving, server):
    """What is being fetched is answered by who has retired; what is asked anew by its successor."""
    server.answers["/during"] = slow(3, (200, b"still here"))
    with ExitStack() as stack:
        old = stack.enter_context(Caller(serving))
        pid, = serving.pids()["fetchd"]
        old.send(ASK, 1, ask(f"https://localhost:{server.port}/during"))
        wait_until(lambda: server.count("/during"))
        serving.cli("reload")
        new = stack.enter_context(Caller(serving))
        assert new.fetch(f"https://localhost:{server.port}/here")[0] == DONE
        assert old.read()[2][8:] == b"still here"
        assert old.read() is None
        wait_gone(pid)


def test_a_crash(serving, server):
    wait_until(lambda: len(serving.pids()["fetchd"]) == 1, what="the end of those that have retired")
    pid, = serving.pids()["fetchd"]
    os.kill(pid, signal.SIGKILL)
    wait_gone(pid)
    with Caller(serving) as caller:
        assert caller.fetch(f"https://localhost:{server.port}/here")[0] == DONE
