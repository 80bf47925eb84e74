"""The conformance suite against Bellhop, and its runner against servers that are wrong."""

import importlib.util
import socket
import subprocess
import sys

import pytest

from bellhop import ROOT, Account

SUITE = ROOT / "tests" / "conformance"
RUN = SUITE / "run"
EXPECTED_FAILURES = SUITE / "expected-failures"

from wrong_server import FAULTS, WrongServer

FOLDERS = sorted({str(path.parent.relative_to(SUITE)) for path in SUITE.rglob("*.test")})


def suite(*args):
    done = subprocess.run([sys.executable, RUN, *map(str, args)], capture_output=True, text=True,
                          timeout=140)
    return done


def write_users(path, accounts):
    path.write_text("".join(f"{account.address} {account.password}\n" for account in accounts))
    return path


def more_accounts(instance, customer, count, folder):
    addresses = [f"box{number}@{customer.domain}" for number in range(count)]
    accounts = [Account(address, f"key to {address}") for address in addresses]
    table = folder / f"{customer.domain}.csv"
    table.write_text("address,password\n"
                     + "".join(f"{account.address},{account.password}\n" for account in accounts))
    instance.cli("address", "import", table, "--customer", customer.name)
    return accounts


@pytest.fixture(scope="module")
def target(shared, tmp_path_factory):
    """
    Options that say where the server is. The two mailboxes of a pair are of two customers, and there
    are enough pairs that none is sent so many wrong passwords that it is delayed.
    """
    folder = tmp_path_factory.mktemp("users")
    pairs = zip(*(more_accounts(shared, customer, 20, folder) for customer in shared.customers))
    users = write_users(folder / "users", [account for pair in pairs for account in pair])
    return ["--pop3", f"127.0.0.1:{shared.ports.pop3}", "--lmtp", f"127.0.0.1:{shared.ports.lmtp}",
            "--pop3s", f"127.0.0.1:{shared.ports.pop3s}", "--users", users,
            "--ca", shared.dir / "tls" / "cert.pem", "--jobs", 3, "--patience", 30]


@pytest.mark.parametrize("folder", FOLDERS)
def test_bellhop_conforms(target, folder):
    done = suite(*target, "--expected-failures", EXPECTED_FAILURES, SUITE / folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_bellhop_conforms_where_plans_differ(stopped, tmp_path):
    """LOGIN-DELAY and EXPIRE say something else before the log-in."""
    stopped.cli("plan", "set", "house", "--poll-seconds", "1", "--retention-days", "60")
    stopped.cli("plan", "set", "chain", "--poll-seconds", "2", "--retention-days", "30")
    stopped.start()
    users = write_users(tmp_path / "users", stopped.customers[0].accounts[:2])
    done = suite("--pop3", f"127.0.0.1:{stopped.ports.pop3}",
                 "--lmtp", f"127.0.0.1:{stopped.ports.lmtp}", "--users", users, "--patience", 30,
                 *sorted((SUITE / "rfc2449/capa").glob("expire-*.test")),
                 *sorted((SUITE / "rfc2449/capa").glob("login-delay-*.test")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_every_sentence_has_a_file():
    done = suite("--coverage")
    assert done.returncode == 0, done.stdout + done.stderr


def run_against(fault, tmp_path, *args):
    with WrongServer(fault) as server:
        users = tmp_path / "users"
        users.write_bytes(b"".join(b"%s@hotel.example key %s\n" % (name, name)
                                   for name in server.NAMES))
        return suite("--pop3", server.pop3, "--lmtp", server.lmtp, "--users", users,
                     "--patience", 2, *args)


# What Bellhop does not announce yet is shown to be possible.
OF_A_RIGHT_SERVER = {"rfc6856", "rfc5034", "rfc2449/capa",
                     *(f"{file}.test" for _, file, _ in FAULTS)}


def test_a_right_server_passes(tmp_path):
    done = run_against(None, tmp_path, "--jobs", 3,
                       *sorted(SUITE / name for name in OF_A_RIGHT_SERVER))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fault, file, said", FAULTS, ids=[fault for fault, _, _ in FAULTS])
def test_a_wrong_server_fails(fault, file, said, tmp_path):
    done = run_against(fault, tmp_path, SUITE / f"{file}.test")
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stdout


def test_one_octet_a_write():
    """On a socket that keeps writes apart."""
    spec = importlib.util.spec_from_file_location("connection", SUITE / "connection.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        connection = module.Connection.__new__(module.Connection)
        connection.name, connection.transcript, connection.sock = "1", [], near
        connection.send(b"NOOP\r\n", singly=True)
        connection.send(b"STAT\r\n")
        assert [far.recv(100) for _ in range(7)] == [b"N", b"O", b"O", b"P", b"\r", b"\n",
                                                     b"STAT\r\n"]


BAD_FILES = [
    ("sentence: rfc1939-3.1\nS: +OK\n", "it has no goal"),
    ("goal: x\nS: +OK\n", "it has no sentence"),
    ("goal: x\nsentence: y\n", "it has no step"),
    ("goal: x\nsentence: y\nX: y\n", "this is no step"),
    ("goal: x\nsentence: y\nhello: y\n", 'there is no step "hello:"'),
    ("goal: x\nsentence: y\nlogin: now\n", '"login:" does not take "now"'),
    ("goal: x\nsentence: y\nmail: none.eml\nS: +OK\n", "neither"),
    ("goal: x\nsentence: y\nS: <a=colour>\n", "there is no kind colour"),
    ("goal: x\nsentence: y\nS*:\n  sum: 1\n", "is no check"),
]


@pytest.mark.parametrize("text, said", BAD_FILES, ids=[said for _, said in BAD_FILES])
def test_a_file_that_is_none(text, said, tmp_path):
    path = tmp_path / "bad.test"
    path.write_text(text)
    done = suite("--list", path)
    assert done.returncode == 2
    assert said in done.stderr


def test_coverage_names_what_is_missing(tmp_path):
    path = tmp_path / "some.test"
    path.write_text("goal: x\nsentence: rfc1939-99.9\nS: +OK\n")
    done = suite("--coverage", path)
    assert done.returncode == 1
    assert "there is no sentence rfc1939-99.9" in done.stdout
    assert "rfc1939-5.1: no file is about it" in done.stdout


def test_a_server_that_is_not_there(tmp_path):
    users = tmp_path / "users"
    users.write_text("a@hotel.example x\nb@hotel.example y\n")
    done = suite("--pop3", "127.0.0.1:1", "--lmtp", "127.0.0.1:1", "--users", users)
    assert done.returncode == 2
    assert "refused" in done.stderr


def test_an_expected_failure_that_holds_is_a_failure(tmp_path):
    expected = tmp_path / "expected"
    expected.write_text("rfc1939/authorization/quit not yet\n")
    done = run_against(None, tmp_path, "--expected-failures", expected,
                       SUITE / "rfc1939/authorization/quit.test")
    assert done.returncode == 1
    assert "take it out" in done.stdout
