"""
The load generator of the measuring bench (tests/bench/*.c): each mode does what it says against a
real service, and a server that is wrong does not pass for a fast one.
"""

import os
import socketserver
import ssl
import subprocess
import threading
from contextlib import contextmanager

import pytest
from bellhop import BIN

LOAD = BIN.parent / "bench" / "load"
TIME = 60  # seconds for one run

MESSAGE = b"Subject: a room\r\n\r\nwith a view\r\n"
HONEST = {
    "": b"+OK\r\n", "USER": b"+OK\r\n", "PASS": b"+OK\r\n", "NOOP": b"+OK\r\n", "QUIT": b"+OK\r\n",
    "STAT": b"+OK 2 %d\r\n" % (2 * len(MESSAGE)),
    "LIST": b"+OK\r\n1 %d\r\n2 %d\r\n.\r\n" % (len(MESSAGE), len(MESSAGE)),
    "DELE": b"+OK\r\n",
    "UIDL": b"+OK\r\n1 one\r\n2 two\r\n.\r\n",
    "RETR": b"+OK\r\n" + MESSAGE + b".\r\n",
}


class Fake(socketserver.ThreadingTCPServer):
    """A POP3 server that says to each command what it was told to say."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, replies, tls=None):
        super().__init__(("127.0.0.1", 0), FakeSession)
        self.replies = replies
        self.tls = tls

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return super().__enter__()

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)

    @property
    def port(self):
        return self.server_address[1]

    def handle_error(self, *_):
        """The client leaves in the middle when it has seen what is wrong."""


class FakeSession(socketserver.BaseRequestHandler):
    def handle(self):
        sock = self.request
        if self.server.tls:
            sock = self.server.tls.wrap_socket(sock, server_side=True)
        with sock, sock.makefile("rb") as lines:
            sock.sendall(self.server.replies[""])
            for line in lines:
                command = line.split()[0].decode()
                sock.sendall(self.server.replies[command])
                if command == "QUIT":
                    break


@contextmanager
def stays():
    """A standard input that does not end, for modes that go on until it does."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def load(mode, port, users, *options, stdin=subprocess.DEVNULL, **named):
    """
    Runs the generator: its figures by name, or its complaint as text. An option that is True has
    no value, one that is None is left out.
    """
    named = {"connections": len(users.read_text().splitlines()), "seconds": 30} | named
    for name, value in named.items():
        if value is not None:
            options += (f"--{name.replace('_', '-')}", *([] if value is True else [value]))
    done = subprocess.run([str(word) for word in (LOAD, mode, "--port", port, "--users", users,
                                                  *options)],
                          stdin=stdin, capture_output=True, text=True, timeout=TIME)
    if done.returncode == 0:
        return dict(word.split("=") for word in done.stdout.splitlines()[-1].split())
    assert done.returncode == 1 and "rate=" not in done.stdout, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def users_of(tmp_path_factory):
    """Writes a file with all accounts of both customers of an instance."""

    def write(instance):
        path = tmp_path_factory.mktemp("users") / "users"
        path.write_text("".join(f"{account.address}\t{account.password}\n"
                                for customer in instance.customers
                                for account in customer.accounts))
        return path

    return write


@pytest.fixture(scope="module")
def users(shared, users_of):
    """The accounts of `shared`, whose mailboxes have mail."""
    path = users_of(shared)
    result = load("lmtp", shared.ports.lmtp, path, count=60, size=3000)
    assert result["operations"] == "60"
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", folder / "both.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True, timeout=TIME)
    with (folder / "both.pem").open("a") as both:
        both.write((folder / "cert.pem").read_text())
    return folder


def fake_tls(certificate, version, tickets=True):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "both.pem")
    context.minimum_version = context.maximum_version = version
    if not tickets:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    return context


@pytest.fixture
def guest(tmp_path):
    path = tmp_path / "guest"
    path.write_text("guest@quayside.example\tkey\n")
    return path


LMTP = [  # options, operations, messages
    ({"count": 100}, 100, 100),
    ({"count": 100, "recipients": 4}, 100, 25),
    ({"count": 10, "recipients": 4, "connections": 1}, 10, 3),
    ({"count": 30, "recipients": 6, "size": 70000, "connections": 3}, 30, 5),
]


@pytest.mark.parametrize("options, operations, messages", LMTP)
def test_deliveries_reach_every_recipient_in_turn(instance, users_of, options, operations,
                                                  messages):
    users = users_of(instance)
    result = load("lmtp", instance.ports.lmtp, users, **options)
    assert result["operations"] == str(operations)
    found = [message for customer in instance.customers for account in customer.accounts
             for message in instance.messages(account).values()]
    size = options.get("size", 8192)
    bodies = {message.partition(b"Subject: load ")[2] for message in found}
    assert (len(found), len(bodies)) == (operations, messages)
    assert {len(body) + len(b"Subject: load ") for body in bodies} == {size}


def test_more_recipients_than_mailboxes_are_refused(instance, users_of):
    complaint = load("lmtp", instance.ports.lmtp, users_of(instance), count=10, recipients=7)
    assert "7 recipients need as many mailboxes" in complaint


def test_a_recipient_that_is_refused_ends_the_run(shared, users_of):
    users = users_of(shared)
    with users.open("a") as file:
        file.write(f"nobody@{shared.customers[0].domain}\tkey\n")
    complaint = load("lmtp", shared.ports.lmtp, users, recipients=7, connections=1, count=7)
    assert 'expected 250, not "550' in complaint


POP3_MODES = [  # mode, options, operations, handshakes of TLS
    ("session", {"count": 200}, 200, 200),
    ("session", {"count": 200, "pipeline": True}, 200, 200),
    ("session", {"count": 200, "retrieve": True}, 200, 200),
    ("session", {"count": 200, "pipeline": True, "retrieve": True, "sources": 3}, 200, 200),
    ("retr", {"count": 600}, 600, 6),
    ("retr", {"count": 300, "one_by_one": True}, 300, 6),
    ("login", {}, 6, 6),
    ("login", {"connections": 2}, 6, 6),
    ("login", {"connections": 8, "count": 5}, 5, 5),
    ("open", {"count": 40, "connections": None}, 40, 40),
    ("uidl", {"count": 40, "connections": None}, 40, 40),
    ("idle", {}, 6, 6),
    ("deaf", {"connections": None}, 1, 1),
    ("deaf", {}, 6, 6),
]


def over_tls(instance):
    return {"tls": True, "ca": instance.dir / "tls" / "cert.pem"}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("mode, options, operations, handshakes", POP3_MODES)
def test_a_mode_does_all_its_operations(shared, users, mode, options, operations, handshakes, tls):
    options = options | {"serve_pid": shared.process.pid} | (over_tls(shared) if tls else {})
    result = load(mode, shared.ports.pop3s if tls else shared.ports.pop3, users, **options)
    assert result["operations"] == str(operations)
    assert float(result["p50_us"]) <= float(result["p99_us"])
    assert float(result["client_cpu_us"]) > 0
    assert float(result["server_memory_mb"]) > 0
    if tls:
        assert result["tls"] == "TLSv1.3"
        assert (int(result["handshakes"]), int(result["resumed"])) == (handshakes, 0)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_fetching_leaves_every_mailbox_empty(instance, users_of, tls):
    users = users_of(instance)
    load("lmtp", instance.ports.lmtp, users, count=45, size=3000)
    port = instance.ports.pop3s if tls else instance.ports.pop3
    options = {"connections": 2} | (over_tls(instance) if tls else {})
    assert load("fetch", port, users, count=7, **options)["operations"] == "7"
    assert load("fetch", port, users, **options)["operations"] == "38"
    for customer in instance.customers:
        assert [instance.messages(account) for account in customer.accounts] == [{}, {}, {}]
    assert "no operation was done" in load("fetch", port, users, **options)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_bellhop_resumes(shared, users, version):
    result = load("session", shared.ports.pop3s, users, resume=True, tls_version=version, count=200,
                  **over_tls(shared))
    assert result["tls"] == f"TLSv{version}"
    assert (result["operations"], result["handshakes"], result["resumed"]) == ("200", "200", "194")


@pytest.mark.parametrize("resume", [False, True], ids=["full", "resumed"])
def test_handshakes_alone(shared, users, certificate, resume):
    def handshakes(port, ca):
        result = load("handshake", port, users, tls=True, ca=ca, connections=2, count=80,
                      **({"resume": True} if resume else {}))
        assert result["operations"] == result["handshakes"] == "80"
        assert result["resumed"] == ("78" if resume else "0")

    handshakes(shared.ports.pop3s, shared.dir / "tls" / "cert.pem")
    with subprocess.Popen(["openssl", "s_server", "-rev", "-accept", "127.0.0.1:0",
                           "-cert", certificate / "both.pem"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as peer:
        try:
            accepts = next(line for line in peer.stdout if line.startswith("ACCEPT"))
            handshakes(accepts.rpartition(":")[2].strip(), certificate / "cert.pem")
        finally:
            peer.kill()


@pytest.mark.parametrize("mode, tls, complaint", [
    ("handshake", False, "the mode handshake needs --tls"),
    ("lmtp", True, "the mode lmtp speaks no TLS"),
    ("half", True, "the mode half speaks no TLS"),
])
def test_a_mode_without_its_transport_is_refused(shared, users, mode, tls, complaint):
    assert complaint in load(mode, shared.ports.pop3, users, **(over_tls(shared) if tls else {}))


def test_half_of_a_handshake(shared, users):
    assert load("half", shared.ports.pop3s, users)["operations"] == "6"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_reading_slowly(shared, users, tls):
    """As long as the time lasts, each client takes an octet a second."""
    with stays() as stdin:
        result = load("slow", shared.ports.pop3s if tls else shared.ports.pop3, users, seconds=4, stdin=stdin,
                      **(over_tls(shared) if tls else {}))
    assert 6 <= int(result["operations"]) <= 6 * 4


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_when_asked_for_only(certificate, guest, version):
    tls = ["--tls", "--ca", certificate / "cert.pem"]
    with Fake(HONEST, fake_tls(certificate, version)) as fake:
        for more, resumed in ([], 0), (["--resume"], 48):
            result = load("session", fake.port, guest, *tls, *more, connections=1, count=49)
            assert result["tls"] == version.name.replace("_", ".")
            assert (int(result["handshakes"]), int(result["resumed"])) == (49, resumed)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_that_is_not_resumed_ends_the_run(certificate, guest, version):
    with Fake(HONEST, fake_tls(certificate, version, tickets=False)) as fake:
        complaint = load("session", fake.port, guest, "--tls", "--ca", certificate / "cert.pem",
                         "--resume", count=10)
    assert "connection 2 did not resume its session" in complaint


def test_a_ticket_that_is_not_taken_back_ends_the_run(certificate, guest):
    """Two fronts behind one port that do not share their ticket keys."""
    fronts = [fake_tls(certificate, ssl.TLSVersion.TLSv1_3) for _ in range(2)]

    class InTurn:
        def wrap_socket(self, *args, **named):
            fronts.reverse()
            return fronts[0].wrap_socket(*args, **named)

    with Fake(HONEST, InTurn()) as fake:
        complaint = load("session", fake.port, guest, "--tls", "--ca", certificate / "cert.pem",
                         "--resume", count=10)
    assert "the server does not take its ticket back" in complaint


def test_a_foreign_certificate_ends_the_run(shared, certificate, users):
    complaint = load("session", shared.ports.pop3s, users, "--tls",
                     "--ca", certificate / "cert.pem", count=10)
    assert "certificate is not good: self-signed certificate (see --ca)" in complaint


def test_a_server_without_tls_ends_the_run(shared, users):
    complaint = load("session", shared.ports.pop3, users, "--tls",
                     "--ca", shared.dir / "tls" / "cert.pem", count=10)
    assert "TLS handshake: wrong version number" in complaint


WRONG = [  # what the server says, and to which mode; part of the complaint
    ("session", "PASS", b"-ERR [AUTH] no\r\n", 'expected +OK, not "-ERR [AUTH] no'),
    ("session", "QUIT", b"-ERR some messages are still there\r\n", "expected +OK"),
    ("session", "STAT", b"+OK 2 32\r\n", 'expected +OK 2 64, not "+OK 2 32"'),
    ("session", "STAT", b"+OK 2 640\r\n", 'expected +OK 2 64, not "+OK 2 640"'),
    ("session", "LIST", b"+OK\r\n1 64\r\n.\r\n", 'expected +OK 1 64, not "+OK 2 64"'),
    ("session", "LIST", b"+OK\r\n2 32\r\n1 32\r\n.\r\n", "expected the next message"),
    ("session", "LIST", b"+OK\r\n1 32\r\n2 \r\n.\r\n", "expected a number"),
    ("session", "UIDL", b"+OK\r\n1 one\r\n.\r\n", "expected as many lines as in LIST"),
    ("login", "PASS", b"-ERR [AUTH] no\r\n", 'expected +OK, not "-ERR [AUTH] no'),
    ("login", "QUIT", b"-ERR\r\n", "expected +OK"),
    ("login", "QUIT", b"", "expected a reply"),
    ("open", "PASS", b"-ERR [IN-USE] not now\r\n", 'expected +OK, not "-ERR [IN-USE] not now'),
    ("open", "STAT", b"-ERR\r\n", "expected +OK"),
    ("uidl", "UIDL", b"-ERR\r\n", "expected +OK"),
    ("uidl", "UIDL", b"+OK\r\n1 one\r\n3 three\r\n.\r\n", "expected the next message"),
    ("uidl", "UIDL", b"+OK\r\n1 one\r\n.\r\n2 two\r\n", "expected the next message"),
    ("fetch", "RETR", b"+OK\r\n" + MESSAGE[1:] + b".\r\n", "last line where LIST says"),
    ("fetch", "RETR", b"+OK\r\n" + MESSAGE[:-3] + b"s\r\n\r\n", "expected the message's end"),
    ("fetch", "DELE", b"-ERR\r\n", "expected +OK"),
    ("fetch", "QUIT", b"-ERR some messages are still there\r\n", "expected +OK"),
    ("retr", "RETR", b"+OK\r\n" + MESSAGE[1:] + b".\r\n", "last line where LIST says"),
    ("retr", "RETR", b"+OK\r\n" + b"x" + MESSAGE + b".\r\n", "last line where LIST says"),
    ("retr", "RETR", b"+OK\r\n" + MESSAGE, "the message's end where LIST says"),
    ("retr", "RETR", b"-ERR no such message\r\n", "expected +OK"),
]


@pytest.mark.parametrize("mode, command, reply, complaint", WRONG)
def test_a_wrong_server_is_noticed(guest, mode, command, reply, complaint):
    with Fake(HONEST | {command: reply}) as fake:
        assert complaint in load(mode, fake.port, guest, count=100)


def test_a_message_of_another_size_is_noticed(guest):
    with Fake(HONEST | {"RETR": b"+OK\r\n" + MESSAGE[1:] + b".\r\n"}) as fake:
        assert "a message as long as in LIST" in load("session", fake.port, guest, "--retrieve", count=100)


@pytest.mark.parametrize("mode", ["slow", "deaf"])
def test_who_is_not_to_be_closed(guest, mode):
    with Fake({command: reply for command, reply in HONEST.items() if command != "RETR"}) as fake, \
            stays() as stdin:
        assert 'expected a reply, not "(closed)"' in load(mode, fake.port, guest, stdin=stdin)


def test_who_starves(guest):
    with Fake(HONEST | {"RETR": b""}) as fake, stays() as stdin:
        assert "expected more of its answers" in load("slow", fake.port, guest, stdin=stdin)


def test_lists_of_a_large_mailbox_are_read(guest):
    """With unique-ids as long as they may be (RFC 1939 section 7)."""
    count = 100000
    large = {
        "STAT": b"+OK %d %d\r\n" % (count, 9 * count),
        "LIST": b"".join([b"+OK\r\n", *(b"%d 9\r\n" % (n + 1) for n in range(count)), b".\r\n"]),
        "UIDL": b"".join([b"+OK\r\n", *(b"%d %070d\r\n" % (n + 1, n) for n in range(count)),
                          b".\r\n"]),
    }
    with Fake(HONEST | large) as fake:
        for mode in "session", "uidl":
            assert load(mode, fake.port, guest, count=1)["operations"] == "1"


def test_an_honest_server_is_not(guest):
    with Fake(HONEST) as fake:
        for mode in "session", "retr", "login", "open", "uidl", "fetch", "idle":
            assert load(mode, fake.port, guest, count=50)["mode"] == mode
