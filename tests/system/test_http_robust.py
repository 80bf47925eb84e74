"""
Clients of the HTTP API that are slow, deaf, many, or that leave open what they mean. With BELLHOP_LOAD=1
(make load) there are 10,000 of them.
"""

import concurrent.futures
import os
import re
import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from api import operator
from bellhop import descriptors, sanitized, status, wait_until

KIB, MIB = 1 << 10, 1 << 20

LONG = os.environ.get("BELLHOP_LOAD") == "1"
MANY = 10_000 if LONG else 500

# admin/http.c
HEADER_TIME, BODY_TIME, ANSWER_TIME, IDLE_TIME = 20, 30, 60, 10
SLACK_TIME = 25  # of a machine that does much else

GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def api(shared):
    return operator(shared)


def connect(instance, seconds=30, buffer=None):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(seconds)
    client.connect(("127.0.0.1", instance.ports.http))
    return client


def all_of(client):
    """What comes until the end, which may be a reset: there are octets that nobody has read."""
    octets = b""
    try:
        while piece := client.recv(65536):
            octets += piece
    except ConnectionError:
        pass
    return octets


def statuses(octets):
    return [int(found) for found in re.findall(rb"(?:\A|\r\n\r\n|\}|\n|>)HTTP/1\.1 (\d{3}) ", octets)]


def served(instance, pid):
    """How many connections of HTTP clients the server has."""
    port = f":{instance.ports.http:04X} "
    sockets = {fields[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
               if port in line and (fields := line.split())[1].endswith(port.strip()) and fields[3] != "0A"}
    return sum(file.removeprefix("socket:[").removesuffix("]") in sockets for file in descriptors(pid).values())


def post(api, *fields, version="1.1"):
    """The header of a POST that is good but for `fields`."""
    lines = [f"POST /api/v1/plans HTTP/{version}", "Host: a", f"Authorization: Bearer {api.key}",
             "Content-Type: application/json", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


# --- where a request ends

CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize("fields, body", [
    pytest.param(["Content-Length: 2", "Content-Length: 2"], b"{}", id="length-twice"),
    pytest.param(["Content-Length: 2", "content-length: 40"], b"{}", id="two-lengths"),
    pytest.param(["Content-Length: 2, 2"], b"{}", id="list-of-lengths"),
    pytest.param(["Content-Length: 12", "Transfer-Encoding: chunked"], CHUNKS, id="length-and-chunks"),
    pytest.param(["Transfer-Encoding: chunked", "Content-Length: 12"], CHUNKS, id="chunks-and-length"),
    pytest.param(["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], CHUNKS, id="two-codings"),
    pytest.param(["Transfer-Encoding: gzip, chunked"], CHUNKS, id="gzip"),
    pytest.param(["Transfer-Encoding: xchunked"], CHUNKS, id="unknown-coding"),
    pytest.param(["Transfer-Encoding: chunked, identity"], CHUNKS, id="chunked-and-more"),
    pytest.param(["Transfer-Encoding : chunked"], CHUNKS, id="space-before-the-colon"),
    pytest.param(["Transfer-Encoding\t: chunked"], CHUNKS, id="tab-before-the-colon"),
    pytest.param(["Trans\x0bfer-Encoding: chunked"], CHUNKS, id="no-token"),
    pytest.param(["Content-Length: -1"], b"", id="negative"),
    pytest.param(["Content-Length: +2"], b"{}", id="plus"),
    pytest.param(["Content-Length: 2x"], b"{}", id="no-number"),
    pytest.param(["Content-Length: 0x2"], b"{}", id="hexadecimal"),
    pytest.param(["Content-Length: "], b"{}", id="empty"),
    pytest.param(["Content-Length: 2 2"], b"{}", id="two-numbers"),
    pytest.param(["Content-Length: 99999999999999999999999"], b"{}", id="more-than-64-bits"),
    pytest.param(["Transfer-Encoding: chunked"], b"zz\r\n{}\r\n0\r\n\r\n", id="chunk-no-number"),
    pytest.param(["Transfer-Encoding: chunked"], b"-2\r\n{}\r\n0\r\n\r\n", id="chunk-negative"),
    pytest.param(["Transfer-Encoding: chunked"], b"2 \r\n{}\r\n0\r\n\r\n", id="chunk-space"),
    pytest.param(["Transfer-Encoding: chunked"], b"0x2\r\n{}\r\n0\r\n\r\n", id="chunk-0x"),
    pytest.param(["Transfer-Encoding: chunked"], b"f" * 18 + b"\r\n{}\r\n0\r\n\r\n", id="chunk-too-large"),
    pytest.param(["Transfer-Encoding: chunked"], b"2\r\n{}0\r\n\r\n", id="chunk-longer-than-it-says"),
    pytest.param(["Host: b", "Content-Length: 2"], b"{}", id="two-hosts"),
    pytest.param(["Authorization: Bearer b", "Content-Length: 2"], b"{}", id="two-keys"),
    pytest.param(["Content-Type: text/csv", "Content-Length: 2"], b"{}", id="two-types"),
    pytest.param(["Idempotency-Key: a", "Idempotency-Key: b", "Content-Length: 2"], b"{}", id="two-idempotency-keys"),
])
def test_what_may_end_elsewhere_ends_the_connection(api, fields, body):
    """What stands behind it is no request of this client's, for a proxy may have seen it otherwise."""
    with connect(api.instance) as client:
        client.sendall(post(api, *fields) + body + GET)
        found = statuses(all_of(client))
    assert found and set(found) <= {400, 413}


def test_chunks_are_of_http_1_1(api):
    with connect(api.instance) as client:
        client.sendall(post(api, "Transfer-Encoding: chunked", "Connection: keep-alive", version="1.0") +
                       CHUNKS + GET)
        assert statuses(all_of(client)) == [400]


@pytest.mark.parametrize("header, expected", [
    (b"GET /livez HTTP/1.1\r\n\r\n", 400),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    (b"GET /livez HTTP/1.0\r\n\r\n", 200),
    (b"GET /livez HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /livez HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"GET /livez HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
    (b"GET http://a/livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    (b"GET HTTPS://a:1/livez?x=y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    (b"GET http://livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
    (b"\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
])
def test_hosts_and_versions(shared, header, expected):
    with connect(shared) as client:
        client.sendall(header)
        assert statuses(all_of(client))[0] == expected


@pytest.mark.parametrize("body", [
    CHUNKS, b"2;name=value\r\n{}\r\n0\r\n\r\n", b"0002\r\n{}\r\n000\r\n\r\n", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\nX-After: 1\r\n\r\n"])
def test_pipelined_chunks(api, body):
    with connect(api.instance) as client:
        client.sendall((post(api, "Transfer-Encoding: chunked") + body) * 3 +
                       post(api, "Content-Length: 2") + b"{}" + GET +
                       GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert statuses(all_of(client)) == [422, 422, 422, 422, 200, 200]


@pytest.mark.parametrize("count, expected", [(97, 200), (98, 400)])
def test_fields_are_counted(shared, count, expected):
    """With Host, Connection and the parameter of the query there may be 100."""
    fields = b"".join(b"X-%d: 1\r\n" % i for i in range(count))
    with connect(shared) as client:
        client.sendall(b"GET /livez?a=b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields + b"\r\n")
        assert statuses(all_of(client)) == [expected]


@pytest.mark.parametrize("bomb", [
    b"GET /livez?" + b"a=b&" * 250 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /livez?" + b"a=b&" * 3500 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 150 + b"\r\n",
    b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"a:\r\n" * 4000 + b"\r\n",
    b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: a\r\nX:\r\n" + b" x\r\n" * 20_000 + b"\r\n",
    b"GET /" + b"%41" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
], ids=["250-parameters", "3500-parameters", "150-fields", "4000-fields", "long-field", "folded-field", "long-path"])
def test_header_bombs(shared, bomb):
    """Refused, or the connection ends without an answer; what libmicrohttpd says of it quotes nothing."""
    with connect(shared) as client:
        try:
            client.sendall(bomb)
        except ConnectionError:
            pass
        answer = all_of(client)
    assert set(statuses(answer)) <= {400, 413, 414, 431}
    assert b"x" * 20 not in answer and b"AAAA" not in answer
    assert shared.http("/livez")[0] == 200


# --- bodies


def nested(depth):
    return b'{"name":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize("body, expected", [
    (nested(15), 422), (nested(16), 400), (nested(100_000), 400), (b"[" * 1_000_000, 400),
    (b"]" * 1_000_000, 400), (b'{"name":"' + b"[" * 1000 + b'"}', 422), (b'{"a":{' * 1000, 400),
    (b"{" + b",".join(b'"%d":1' % i for i in range(60_000)) + b"}", 422),
    (b"[" + b"{}," * 90_000 + b"{}]", 422), (b"[" + b"{}," * 340_000 + b"{}]", 400),
    (b"[" + b"[]," * 340_000 + b"[]]", 400), (b"[" + b"1," * 500_000 + b"1]", 400),
    (b'{"name":' + b"9" * 1_000_000 + b"}", 400), (b'{"name":1e999999}', 400),
    (b'{"name":-0.' + b"0" * 500_000 + b"1}", 422), (b'{"name":"\\u0000"}', 400),
    (b'{"name":"\\ud800"}', 400), (b'{"name":"\xff"}', 400), (b'{"name":"' + b"\\u00e9" * 170_000 + b'"}', 422),
    (b" " * 1_000_000 + b"{}", 422), (b"", 400), (b"\0" * 1000, 400), (b'\xef\xbb\xbf{}', 400),
], ids=lambda value: value[:12].decode("latin-1").encode("unicode_escape").decode() + f"-{len(value)}"
    if isinstance(value, bytes) else None)
def test_bodies_that_are_meant_to_be_large(shared, api, body, expected):
    """Nothing of 1 MiB takes more than 64 MiB or a second of the loop, or comes back larger."""
    pid = shared.pids()["admin"][0]
    answer = api.ask("POST", "/plans", body, Content_Type="application/json")
    assert answer.status == expected, answer.text[:500]
    assert len(answer.text) < 32 * KIB
    if not sanitized():
        peak = int(status(pid)["VmHWM"].split()[0]) * KIB
        assert peak < 128 * MIB
    assert shared.pids()["admin"] == [pid]


def test_all_bodies_have_one_bound(instance):
    """64 MiB are kept of what is on its way; who comes then is told to come again, and others are served."""
    api = operator(instance)
    pid = instance.pids()["admin"][0]
    before = int(status(pid)["VmRSS"].split()[0]) * KIB
    body = b" " * (MIB - 1)
    with ExitStack() as stack:
        def begin():
            client = stack.enter_context(connect(instance, 60))
            client.sendall(post(api, f"Content-Length: {MIB}") + body)
            return client

        held = [begin() for _ in range(64)]
        more = begin()
        more.sendall(b" ")
        answer = more.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in answer
        assert api.get("/self").status == 200 and instance.http("/readyz")[0] == 200
        if not sanitized():
            assert int(status(pid)["VmRSS"].split()[0]) * KIB - before < 64 * MIB + 16 * MIB
        held[0].sendall(b" ")
        assert held[0].recv(65536).startswith(b"HTTP/1.1 400 ")
    wait_until(lambda: api.ask("POST", "/plans", body, Content_Type="application/json").status == 400, 30,
               "room for a body")


# --- slow clients


class Slow(NamedTuple):
    """One that says something every second."""
    name: str
    limit: int
    begin: bytes
    each: bytes = b""

    def live(self, instance):
        """Seconds until the server has ended the connection."""
        started = time.monotonic()
        with connect(instance, 0.5) as client:
            client.sendall(self.begin)
            while time.monotonic() - started < self.limit + SLACK_TIME + 10:
                try:
                    client.sendall(self.each)
                    if client.recv(65536) == b"":
                        break
                except TimeoutError:
                    pass
                except ConnectionError:
                    break
                time.sleep(0.5)
            return time.monotonic() - started


def test_slow_clients_are_closed(shared, api):
    """All at once, and meanwhile others have their answers."""
    kinds = [
        Slow("says nothing", IDLE_TIME, b""),
        Slow("half a header", IDLE_TIME, b"GET / HTTP/1.1\r\nHost"),
        Slow("an octet a second of a header", HEADER_TIME, b"GET / HTTP/1.1\r\nX: ", b"x"),
        Slow("a field a second", HEADER_TIME, b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        Slow("an octet a second of the request line", HEADER_TIME, b"GET /", b"x"),
        Slow("empty lines", HEADER_TIME, b"", b"\r\n"),
        Slow("half a body", IDLE_TIME, post(api, "Content-Length: 9999") + b"{"),
        Slow("an octet a second of a body", BODY_TIME, post(api, "Content-Length: 9999"), b"x"),
        Slow("a chunk a second", BODY_TIME, post(api, "Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
        Slow("says nothing after an answer", IDLE_TIME, GET),
        Slow("an octet a second after an answer", HEADER_TIME, GET, b"x"),
    ]
    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        running = [pool.submit(kind.live, shared) for kind in kinds]
        while not all(each.done() for each in running):
            begin = time.monotonic()
            assert shared.http("/livez")[0] == 200
            assert time.monotonic() - begin < 5
            time.sleep(0.5)
    late = [f"{kind.name}: {each.result():.0f} s" for kind, each in zip(kinds, running)
            if each.result() > kind.limit + SLACK_TIME]
    assert not late


def test_who_takes_an_answer_slowly_is_left_alone(shared):
    """What is in the kernel goes on reaching it, but the server has closed its end after 60 s."""
    pid = shared.pids()["admin"][0]
    wait_until(lambda: not served(shared, pid), 30, "the end of earlier connections")
    with connect(shared, 1, buffer=4096) as client:
        client.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 40)
        begin = time.monotonic()
        assert client.recv(100)
        while served(shared, pid):
            assert time.monotonic() - begin < ANSWER_TIME + SLACK_TIME
            assert client.recv(100)
            time.sleep(0.5)
        assert time.monotonic() - begin > IDLE_TIME / 2


def test_deaf_clients_take_little(instance):
    """Each asks 2,000 times for something large and reads nothing: one answer of each is in memory."""
    pid = instance.pids()["admin"][0]
    assert instance.http("/api/v1/openapi.json")[0] == 200  # what it costs once
    before = int(status(pid)["VmRSS"].split()[0]) * KIB
    with ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(connect(instance, 1, buffer=4096))
            try:
                client.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
            except TimeoutError:
                pass
        begin = time.monotonic()
        assert instance.http("/readyz")[0] == 200
        assert time.monotonic() - begin < 5
        if not sanitized():
            assert int(status(pid)["VmRSS"].split()[0]) * KIB - before < 20 * 512 * KIB
        assert served(instance, pid) >= 20
        wait_until(lambda: not served(instance, pid), IDLE_TIME + SLACK_TIME, "the end of those who do not read")


def test_half_closed(shared):
    """A client that has said all has its answers, and the connection ends."""
    with connect(shared) as client:
        client.sendall(GET * 3)
        client.shutdown(socket.SHUT_WR)
        found = statuses(all_of(client))
    assert found and set(found) == {200}


# --- many connections


def test_many_connections(instance):
    """Kept alive after an answer each: others are served, memory has a bound, and all of it comes back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(MANY, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, wanted + 500)), hard))
    api = operator(instance)
    pid = instance.pids()["admin"][0]
    before = int(status(pid)["VmRSS"].split()[0]) * KIB
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        clients = [stack.enter_context(connect(instance)) for _ in range(wanted)]
        for client in clients:
            client.sendall(GET)
        answered = [client.recv(65536)[:13] for client in clients]
        assert answered.count(b"HTTP/1.1 200 ") == wanted
        begin = time.monotonic()
        assert api.get("/self").status == 200
        assert time.monotonic() - begin < 5
        if not sanitized():
            assert int(status(pid)["VmRSS"].split()[0]) * KIB - before < wanted * 24 * KIB + 8 * MIB
        assert all(all_of(client) == b"" for client in clients)  # closed after IDLE_TIME
        wait_until(lambda: not served(instance, pid), 20, "the end of the connections")
    assert api.get("/self").status == 200
