"""run/nginx.sock: what nginx's mail proxy asks, without nginx (test_pop3_proxy.py has a real one)."""

import os
import signal
from urllib.parse import quote

import pytest

from bellhop import wait_gone, wait_until
from test_authd import counter
from test_events import events
from test_reload import install, reload, upgradable
from wire import Wire

WRONG = "[AUTH] wrong user name or password"


def question(name, password, remote="192.0.2.7", method="plain", protocol="pop3", attempt=1):
    fields = {"Host": "localhost", "Auth-Method": method, "Auth-User": quote(name), "Auth-Pass": quote(password),
              "Auth-Protocol": protocol, "Auth-Login-Attempt": attempt, "Client-IP": remote,
              "Client-Host": "[UNAVAILABLE]"}
    return "GET / HTTP/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"


def answer(wire):
    """The status and the header fields; the connection ends with them."""
    status = wire.line().decode()
    assert status.startswith("HTTP/1.0 ")
    fields = {}
    while line := wire.line().decode():
        name, _, value = line.partition(": ")
        assert name not in fields
        fields[name] = value
    assert wire.file.read() == b""
    return status.removeprefix("HTTP/1.0 "), fields


def ask(instance, *arguments, **options):
    with Wire(instance.dir / "run" / "nginx.sock") as wire:
        wire.send(question(*arguments, **options).encode())
        status, fields = answer(wire)
    assert status == "200 OK"
    return fields


def let_in(instance):
    return {"Auth-Status": "OK", "Auth-Server": "127.0.0.1", "Auth-Port": str(instance.ports.pop3)}


def test_who_is_let_in(instance):
    for customer in instance.customers:
        account = customer.accounts[0]
        assert ask(instance, account.address, account.password) == let_in(instance)
        assert ask(instance, account.address.upper(), account.password) == let_in(instance)
        assert ask(instance, account.address, account.password + "%") == {"Auth-Status": WRONG, "Auth-Wait": "1"}
    assert instance.customers[0].accounts[0].password not in instance.log
    assert {row["event"] for row in events(instance)} == {"refused"}  # a login is told by pop3d's


def test_what_is_asked_is_not_asked_twice(instance):
    """pop3d's check finds what nginx's has left."""
    for customer in instance.customers:
        account = customer.accounts[1]
        ask(instance, account.address, account.password, remote="127.0.0.1")
        hashes = counter(instance, "hashes_total")
        instance.pop3(account).quit()
        assert counter(instance, "hashes_total") == hashes


@pytest.mark.parametrize("attempt, fields", [(1, {"Auth-Wait": "1"}), (2, {"Auth-Wait": "1"}), (3, {}), (99, {})])
def test_attempts_on_one_connection(shared, attempt, fields):
    account = shared.customers[0].accounts[0]
    found = ask(shared, account.address, "wrong", remote=f"192.0.2.{attempt}", attempt=attempt)
    assert found == {"Auth-Status": WRONG} | fields


def test_who_guesses_waits(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    assert ask(instance, theirs.address, theirs.password) == let_in(instance)
    for number in range(5):
        assert ask(instance, ours.address, f"wrong {number}")["Auth-Status"] == WRONG
    for password in ("wrong again", ours.password):
        status = ask(instance, ours.address, password)["Auth-Status"]
        assert status.startswith("[SYS/TEMP] Too many wrong passwords, try again in "), status
    assert ask(instance, ours.address, ours.password, remote="198.51.100.7") == let_in(instance)
    assert ask(instance, theirs.address, theirs.password) == let_in(instance)
    assert {"refused", "delayed", "blocked"} == {row["event"] for row in events(instance, ours.address)}


@pytest.mark.parametrize("options, status", [
    ({"protocol": "imap"}, "[SYS/PERM] only POP3 is served here"),
    ({"protocol": "smtp"}, "[SYS/PERM] only POP3 is served here"),
    ({"method": "apop"}, "log in with USER and PASS, or AUTH PLAIN"),
    ({"method": "cram-md5"}, "log in with USER and PASS, or AUTH PLAIN"),
])
def test_what_is_not_served(shared, options, status):
    account = shared.customers[1].accounts[0]
    assert ask(shared, account.address, account.password, **options)["Auth-Status"] == status


def test_suspended(instance):
    customer, other = instance.customers
    account = customer.accounts[0]
    instance.cli("customer", "suspend", customer.name)
    assert ask(instance, account.address, account.password)["Auth-Status"] == "[SYS/PERM] This account is suspended."
    assert ask(instance, account.address, "wrong")["Auth-Status"] == WRONG
    account = other.accounts[0]
    assert ask(instance, account.address, account.password) == let_in(instance)


@pytest.mark.parametrize("octets", [
    b"POST / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\nAuth-Protocol: %00\r\n\r\n", b"GET / HTTP/1.0\r\nnothing\r\n\r\n",
    b"GET / HTTP/1.0\r\nClient-IP: " + 600 * b"x" + b"\r\n\r\n", 8192 * b"x",
], ids=["POST", "NUL", "colon", "long address", "long"])
def test_what_nginx_does_not_send(shared, octets):
    with Wire(shared.dir / "run" / "nginx.sock") as wire:
        wire.send(octets)
        assert answer(wire) == ("400 Bad Request", {})
    account = shared.customers[0].accounts[2]
    assert ask(shared, account.address, account.password) == let_in(shared)


@pytest.mark.parametrize("password", ["a\0b", 600 * "x"], ids=["NUL", "long"])
def test_what_nobody_can_have(shared, password):
    """Is as wrong as any other, though nothing is compared."""
    for customer in shared.customers:
        found = ask(shared, customer.accounts[0].address, password)
        assert found == {"Auth-Status": WRONG, "Auth-Wait": "1"}
        assert ask(shared, password, customer.accounts[0].password) == found
    assert password not in shared.log


def test_a_question_in_pieces_and_one_that_is_left(shared):
    account = shared.customers[0].accounts[1]
    octets = question(account.address, account.password).encode()
    with Wire(shared.dir / "run" / "nginx.sock") as left:
        left.send(octets[:-1])
        with Wire(shared.dir / "run" / "nginx.sock") as wire:
            for octet in octets:
                wire.send(bytes([octet]))
            assert answer(wire) == ("200 OK", let_in(shared))
    for _ in range(3):
        with Wire(shared.dir / "run" / "nginx.sock") as left:
            left.send(question(account.address, "wrong", remote="192.0.2.99").encode())


def test_a_crash_of_authd(instance):
    account = instance.customers[0].accounts[0]
    [pid] = instance.pids()["authd"]
    os.kill(pid, signal.SIGKILL)
    assert ask(instance, account.address, account.password) == let_in(instance)


def test_a_new_authd(upgradable, tmp_path):
    """The old one answers whom it has, and ends then."""
    [old] = upgradable.pids()["authd"]
    ours, theirs = (customer.accounts[0] for customer in upgradable.customers)
    files = len(os.listdir(f"/proc/{old}/fd"))
    with Wire(upgradable.dir / "run" / "nginx.sock") as wire:
        octets = question(ours.address, ours.password).encode()
        wire.send(octets[:-2])
        wait_until(lambda: len(os.listdir(f"/proc/{old}/fd")) > files, what="the connection")
        install(tmp_path / "bin", "authd")
        reload(upgradable)
        assert ask(upgradable, theirs.address, theirs.password) == let_in(upgradable)
        wire.send(octets[-2:])
        assert answer(wire) == ("200 OK", let_in(upgradable))
    wait_gone(old)
    assert ask(upgradable, ours.address, ours.password) == let_in(upgradable)
