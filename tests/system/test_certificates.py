"""Certificates by the name that a client asks for: which one it gets, reload, bad ones, the list."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from api import made_key
from authority import Authority
from bellhop import Instance, wait_until
from test_pop3 import log_in
from wire import Wire

HOTEL, GROUP = "mail.quayside.example", "mail.lighthouse.example"  # of the two customers
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def served(template, authority, tmp_path_factory):
    """Serves the certificates in served.certificates: the hotel's by both kinds, the group's by RSA."""
    folder = tmp_path_factory.mktemp("served")
    made = Instance(folder / "instance", template)
    tls = made.dir / "tls"
    live = folder / "live" / "group"  # as certbot has it: links to files elsewhere
    archive = folder / "archive"
    made.certificates = {
        "hotel": authority.issue(tls / "hotel", HOTEL, "pop.quayside.example"),
        "hotel-rsa": authority.issue(tls / "hotel-rsa", HOTEL, kind="RSA"),
        "group": authority.issue(archive, GROUP, kind="RSA", cert="fullchain1.pem",
                                 key="privkey1.pem"),
        "wild": authority.issue(tls / "wild", "*.rooms.example"),
        "host": ssl.PEM_cert_to_DER_cert((tls / "cert.pem").read_text()),
    }
    live.mkdir(parents=True)
    (live / "cert.pem").write_text("the certificate without its chain\n")
    (live / "README").write_text("what certbot says\n")
    for name in "fullchain", "privkey":
        (live / f"{name}.pem").symlink_to(archive / f"{name}1.pem")
    (tls / "group").symlink_to(live)
    (tls / "notes.txt").write_text("left alone\n")
    (tls / ".hidden").mkdir()
    made.configure(https_listen=f"127.0.0.1:{made.ports.https}")
    try:
        yield made.start()
    finally:
        made.finish()


def shown(instance, *options, service="pop3s"):
    """The certificate that openssl gets, and what it says."""
    starttls = ["-starttls", "pop3"] if service == "pop3" else []
    done = subprocess.run(["openssl", "s_client", *starttls, "-connect",
                           f"127.0.0.1:{getattr(instance.ports, service)}", *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", done.stdout, re.S)
    return found and ssl.PEM_cert_to_DER_cert(found[0]), done.stdout + done.stderr


ECDSA_ONLY = ("-sigalgs", "ECDSA+SHA256")
RSA_ONLY = ("-sigalgs", "RSA-PSS+SHA256:RSA+SHA256")


@pytest.mark.parametrize("service", ["pop3s", "https"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("name, every, ecdsa, rsa", [
    (HOTEL, "hotel", "hotel", "hotel-rsa"),
    (HOTEL.upper(), "hotel", "hotel", "hotel-rsa"),
    ("pop.quayside.example", "hotel", "hotel", None),
    (GROUP, "group", None, "group"),
    ("any.rooms.example", "wild", "wild", None),
    ("any.other.rooms.example", "host", "host", None),
    ("rooms.example", "host", "host", None),
    ("nobody.example", "host", "host", None),
    (None, "host", "host", None),
])
def test_the_client_decides(served, service, version, name, every, ecdsa, rsa):
    """By the name that it asks for, and the kinds of keys that it knows."""
    asks = ["-noservername"] if name is None else ["-servername", name]
    for algorithms, wanted in ((), every), (ECDSA_ONLY, ecdsa), (RSA_ONLY, rsa):
        found, said = shown(served, version, *asks, *algorithms, service=service)
        assert found == served.certificates.get(wanted), said


def test_stls(served):
    assert shown(served, "-servername", GROUP, service="pop3")[0] == served.certificates["group"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("customer, name", [(0, HOTEL), (1, GROUP)])
def test_a_mail_program_that_checks_names(served, authority, version, customer, name):
    account = served.customers[customer].accounts[0]
    context = authority.client
    context.minimum_version = context.maximum_version = version
    with Wire(("127.0.0.1", served.ports.pop3s), context, name) as wire:
        assert wire.line().startswith(b"+OK")
        assert log_in(wire, account).startswith(b"+OK")
        assert wire.command("QUIT") == b"+OK goodbye"
    with pytest.raises(ssl.SSLCertVerificationError):
        Wire(("127.0.0.1", served.ports.pop3s), context, "mail.elsewhere.example")


@pytest.mark.parametrize("name", [HOTEL, GROUP, "x.rooms.example"])
def test_curl(served, authority, name):
    account = served.customers[0].accounts[1]
    port = served.ports.pop3s
    subprocess.run(["curl", "-sS", "--fail", "--cacert", authority.root, "--resolve",
                    f"{name}:{port}:127.0.0.1", "--user", f"{account.address}:{account.password}",
                    f"pop3s://{name}:{port}/"], check=True, capture_output=True, timeout=30)


@pytest.mark.parametrize("customer, name", [(0, HOTEL), (1, GROUP)])
def test_the_api_by_the_names_of_customers(served, authority, customer, name):
    """curl checks name and chain; a key of the customer's is taken, and what it sees is the customer's."""
    port = served.ports.https
    key = made_key(served, f"panel {customer}", "--customer", served.customers[customer].name)
    done = subprocess.run(["curl", "-sS", "--fail", "--cacert", authority.root, "--resolve", f"{name}:{port}:127.0.0.1",
                           "-H", f"Authorization: Bearer {key}", f"https://{name}:{port}/api/v1/domains"],
                          check=True, capture_output=True, timeout=30)
    assert [item["domain"] for item in json.loads(done.stdout)["items"]] == [served.customers[customer].domain]


def hello(name):
    """A ClientHello that names a host, as octets."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    placeholder = "a" * 60 + ".example"
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=placeholder).do_handshake()
    octets = outgoing.read()
    at = octets.index(placeholder.encode())
    more = len(name) - len(placeholder)
    octets = bytearray(octets[:at] + name + octets[at + len(placeholder):])
    # name, list, extension; all extensions; message; record
    sid = 43 + 1 + octets[43]
    ciphers = sid + 2 + int.from_bytes(octets[sid:sid + 2], "big")
    extensions = ciphers + 1 + octets[ciphers]
    for place, size in (at - 2, 2), (at - 5, 2), (at - 7, 2), (extensions, 2), (6, 3), (3, 2):
        length = int.from_bytes(octets[place:place + size], "big") + more
        octets[place:place + size] = length.to_bytes(size, "big")
    return bytes(octets)


@pytest.mark.parametrize("name, served_all_the_same", [
    (b"mail.quayside.example", True), (b"", True), (b"a" * 300, False),
    (b"mail.quayside.example\0.evil.example", False), (b".", True), (b"\xff" * 60, True),
    (b"*.rooms.example", True), (b"a" * 255, True), (b"mail.quayside.example.", True),
])
def test_odd_names(served, name, served_all_the_same):
    """The default certificate, or an alert of OpenSSL's; nobody else notices."""
    before = served.pids()["pop3d"]
    with socket.create_connection(("127.0.0.1", served.ports.pop3s), timeout=30) as sock:
        sock.sendall(hello(name))
        answer = sock.recv(1)
    assert answer == (b"\x16" if served_all_the_same else b"\x15")  # handshake, alert
    assert shown(served, "-servername", HOTEL)[0] == served.certificates["hotel"]
    assert served.pids()["pop3d"] == before


def test_tickets_stay_with_their_name(served, tmp_path):
    kept = tmp_path / "session.pem"

    def resumed(name, *options):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{served.ports.pop3s}",
                               "-servername", name, "-ign_eof", "-crlf", *options], input="QUIT\n",
                              capture_output=True, text=True, timeout=30)
        assert "+OK goodbye" in done.stdout, done.stderr
        return "\nReused, " in done.stdout

    for version in "-tls1_2", "-tls1_3":
        assert not resumed(HOTEL, version, "-sess_out", kept)
        assert resumed(HOTEL, version, "-sess_in", kept)
        assert not resumed(GROUP, version, "-sess_in", kept)
        assert not resumed("nobody.example", version, "-sess_in", kept)


def listed(instance, status=0):
    done = instance.cli("certificate", "list", "--json", check=False)
    assert done.returncode == status, done.stderr
    return {row["path"]: row for row in json.loads(done.stdout)}


def test_the_list(served):
    rows = listed(served)
    assert {path: (row["key"], row["names"]) for path, row in rows.items()} == {
        "tls": ("ECDSA", ["localhost"]),
        "tls/group": ("RSA", [GROUP]),
        "tls/hotel": ("ECDSA", [HOTEL, "pop.quayside.example"]),
        "tls/hotel-rsa": ("RSA", [HOTEL]),
        "tls/wild": ("ECDSA", ["*.rooms.example"]),
    }
    assert [path for path, row in rows.items() if row["default"]] == ["tls"]
    assert all(row["usable"] and row["remark"] is None for row in rows.values())
    lines = served.cli("certificate", "list").stdout.splitlines()
    assert lines[0].split() == ["PATH", "KEY", "DEFAULT", "EXPIRES", "NAMES", "REMARK"]
    assert [line.split()[:3] for line in lines[1:3]] == [["tls", "ECDSA", "yes"],
                                                         ["tls/group", "RSA", "no"]]


def reload(instance):
    """SIGHUP; returns what is logged until all processes have read everything."""
    mark = len(instance.log)
    processes = len(instance.pids()["pop3d"])
    instance.process.send_signal(signal.SIGHUP)
    wait_until(lambda: instance.log[mark:].count("certificate read anew") == processes)
    return instance.log[mark:]


def test_reload(stopped, authority):
    """Folders come, change and go for new connections; a session that is open goes on."""
    stopped.configure(pop3_processes=2)
    tls = stopped.dir / "tls"
    first = authority.issue(tls / "hotel", HOTEL)
    stopped.start()
    host = shown(stopped, "-noservername")[0]

    def got(name):
        return shown(stopped, "-servername", name)[0]

    account = stopped.customers[0].accounts[0]
    with Wire(("127.0.0.1", stopped.ports.pop3s), authority.client, HOTEL) as wire:
        assert wire.line().startswith(b"+OK")
        assert log_in(wire, account).startswith(b"+OK")
        group = authority.issue(tls / "group", GROUP)
        assert (got(HOTEL), got(GROUP)) == (first, host)
        reload(stopped)
        assert (got(HOTEL), got(GROUP)) == (first, group)
        second = authority.issue(tls / "hotel", HOTEL, kind="RSA")
        reload(stopped)
        assert (got(HOTEL), got(GROUP)) == (second, group)
        for file in (tls / "hotel").iterdir():
            file.unlink()
        (tls / "hotel").rmdir()
        reload(stopped)
        assert (got(HOTEL), got(GROUP)) == (host, group)
        assert wire.command("NOOP") == b"+OK"
        assert wire.command("QUIT").startswith(b"+OK")
    # What crashes finds the present ones.
    for pid in stopped.pids()["pop3d"]:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in stopped.pids().get("pop3d", []))
    wait_until(lambda: len(stopped.pids().get("pop3d", [])) == 2)
    stopped.wait_healthy()
    assert (got(HOTEL), got(GROUP)) == (host, group)


def test_a_bad_one_stays_as_it_was(stopped, authority):
    tls = stopped.dir / "tls"
    hotel = authority.issue(tls / "hotel", HOTEL)
    stopped.start()
    host = shown(stopped, "-noservername")[0]
    (tls / "hotel" / "key.pem").unlink()
    (tls / "cert.pem").write_text("no certificate\n")
    group = authority.issue(tls / "group", GROUP)
    log = reload(stopped)
    assert re.search(r"error: the certificate of tls/hotel/ stays as it was: cannot read "
                     r"tls/hotel/key\.pem: .*; put the private key there", log)
    assert "the TLS certificate stays as it was: tls/cert.pem holds no certificate" in log
    for name, wanted in (HOTEL, hotel), (GROUP, group), ("nobody.example", host):
        assert shown(stopped, "-servername", name)[0] == wanted
    rows = listed(stopped, status=1)
    assert [path for path, row in rows.items() if not row["usable"]] == ["tls", "tls/hotel"]
    assert not any(row["default"] for row in rows.values())
    # Nor does a second look change that.
    assert "tls/hotel/ stays" in reload(stopped)
    assert shown(stopped, "-servername", HOTEL)[0] == hotel


@pytest.mark.parametrize("spoil, says", [
    (lambda folder: (folder / "key.pem").unlink(), "put the private key there"),
    (lambda folder: (folder / "cert.pem").write_text(""), "holds no certificate"),
    (lambda folder: (folder / "cert.pem").rename(folder / "fullchain.pem"), "privkey.pem"),
    (lambda folder: (folder / "key.pem").write_bytes(
        (folder.parent / "key.pem").read_bytes()), "does not belong"),
    (lambda folder: (folder.parent / "more").symlink_to("nothing"), "cannot read tls/more/cert.pem"),
], ids=["key", "empty", "half certbot", "other key", "dangling"])
def test_a_start_with_a_bad_one(stopped, authority, spoil, says):
    """It is named, and the others are served."""
    tls = stopped.dir / "tls"
    authority.issue(tls / "hotel", HOTEL)
    group = authority.issue(tls / "group", GROUP)
    spoil(tls / "hotel")
    stopped.start()
    assert re.search(rf"error: the certificate of tls/\w+/ is left out: .*{re.escape(says)}",
                     stopped.log)
    assert shown(stopped, "-servername", GROUP)[0] == group
    done = stopped.cli("certificate", "list", check=False)
    assert done.returncode == 1 and says in done.stdout
    assert done.stderr == "bellhop: 1 of the certificates cannot be used, see the remarks\n"


def test_without_a_default_there_is_no_start(stopped, authority):
    authority.issue(stopped.dir / "tls" / "hotel", HOTEL)
    (stopped.dir / "tls" / "key.pem").unlink()
    done = stopped.cli("serve", check=False)
    assert done.returncode == 1
    assert done.stderr == ("bellhop: cannot read tls/key.pem: No such file or directory; put the "
                           "private key there, in PEM form\n")


def test_a_name_in_two_folders(stopped, authority):
    """One of them serves it, and the log and the list say which."""
    tls = stopped.dir / "tls"
    for folder in "first", "second":
        authority.issue(tls / folder, HOTEL)
    stopped.start()
    remarks = [row["remark"] for row in listed(stopped).values() if row["remark"]]
    assert len(remarks) == 1 and f"{HOTEL} is served with tls/" in remarks[0]
    assert remarks[0] in stopped.log


def test_an_expired_one_steps_back(stopped, authority):
    """For a wildcard's that is valid, and for one of the other kind, whatever the client takes first."""
    tls = stopped.dir / "tls"
    authority.issue_expired(tls / "hotel", HOTEL)
    wild = authority.issue(tls / "wild", "*.quayside.example")
    authority.issue_expired(tls / "group", GROUP)
    rsa = authority.issue(tls / "group-rsa", GROUP, kind="RSA")
    alone = authority.issue_expired(tls / "alone", "mail.alone.example")
    stopped.start()
    for name, found in (HOTEL, wild), (GROUP, rsa), ("mail.alone.example", alone):
        assert shown(stopped, "-servername", name)[0] == found, name
    assert sum("has expired" in (row["remark"] or "") for row in listed(stopped).values()) == 3


def test_a_partner_of_the_default(stopped, authority):
    """Of the other kind, for all of its names: also clients that name no host get it."""
    tls = stopped.dir / "tls"
    stopped.start()
    ecdsa = authority.issue(tls, HOTEL)
    rsa = authority.issue(tls / "rsa", HOTEL, kind="RSA")
    reload(stopped)
    for name in ("-noservername",), ("-servername", HOTEL), ("-servername", "nobody.example"):
        assert shown(stopped, *name)[0] == ecdsa
        assert shown(stopped, *name, *RSA_ONLY)[0] == rsa
    assert [row["default"] for row in listed(stopped).values()] == [True, True]
