"""
SCRAM-SHA-256 and SCRAM-SHA-256-PLUS over POP3 and the auth sockets, with and without TLS. A test of
wrong proofs has an instance of its own: they are counted for the mailbox and the address.
"""

import base64
import ctypes
import hashlib
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import sys

import pytest

from bellhop import QUICK, ROOT, Instance, wait_until
from test_authd import FRONT, MTA, Auth, counter
import test_pop3
from test_pop3 import b64, capabilities, log_in, plain
from wire import TIMEOUT

sys.path.insert(0, str(ROOT / "tests" / "conformance"))
from scram import Scram

SHA_256 = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"
BINDS = b"p=tls-exporter,,"
EXPORTER = "EXPORTER-Channel-Binding"  # RFC 9266 section 4.2


@pytest.fixture(autouse=True)
def no_delays(request):
    """The wrong proofs of the tests before would add up for the mailboxes that they share."""
    if "shared" in request.fixturenames:
        shared = request.getfixturevalue("shared")
        for customer in shared.customers:
            shared.cli("auth", "lift", customer.accounts[0].address, check=False)


def greeted(instance, service="pop3"):
    """By a pop3d that has heard which mechanisms there are; until then it refuses AUTH."""
    found = []

    def hears():
        wire = test_pop3.greeted(instance, service)
        if "SASL" in capabilities(wire):
            found.append(wire)
            return True
        wire.close()
        return False

    wait_until(hears, TIMEOUT, "the list of mechanisms")
    return found[0]


def client(account, password=None, mechanism=SHA_256, **options):
    return Scram(mechanism, account.address.encode(),
                 (account.password if password is None else password).encode(), **options)


def converse(wire, scram, mechanism=SHA_256) -> bytes:
    """A whole exchange; returns the line that ends it. The server's proof is checked."""
    answer = wire.command(b"AUTH %s %s" % (mechanism.encode(), scram.first()))
    if answer.startswith(b"+ "):
        answer = wire.command(scram.final(answer[2:]))
        if answer.startswith(b"+ "):
            scram.check(answer[2:])
            answer = wire.command(b"")
    return answer


def attempt(instance, account, password=None, service="pop3", **options) -> bytes:
    with greeted(instance, service) as wire:
        return converse(wire, client(account, password, **options))


def salt_of(instance, name: bytes) -> bytes:
    """As a stranger sees it."""
    scram = Scram(SHA_256, name, b"a guess")
    with greeted(instance) as wire:
        scram.final(wire.command(b"AUTH SCRAM-SHA-256 " + scram.first())[2:])
    return scram.salt


def set_password(instance, account, password):
    instance.cli("address", "passwd", account.address, "--password-stdin", input=password + "\n")


def change(instance, sql):
    with sqlite3.connect(instance.dir / "accounts.db", timeout=30) as accounts:
        assert accounts.execute(sql).rowcount > 0


@pytest.mark.parametrize("service", ["pop3", "pop3s"])
def test_login(shared, service):
    for customer in shared.customers:
        for account in customer.accounts:
            assert attempt(shared, account, service=service).startswith(b"+OK")


def test_a_login_costs_no_hash(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    before = counter(instance, "hashes_total")
    assert attempt(instance, ours).startswith(b"+OK")
    assert attempt(instance, ours, theirs.password).startswith(b"-ERR [AUTH] ")
    assert attempt(instance, ours, "never seen").startswith(b"-ERR [AUTH] ")
    assert counter(instance, "hashes_total") == before


def test_another_customers_password(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    refused = attempt(instance, ours, theirs.password)
    assert refused.startswith(b"-ERR [AUTH] ")
    assert attempt(instance, theirs, ours.password) == refused
    ours = type(ours)("nobody@" + ours.address.partition("@")[2], ours.password)
    assert attempt(instance, ours) == refused
    ours = type(ours)("no address at all", ours.password)
    assert attempt(instance, ours) == refused


def test_three_wrong_proofs_disconnect(instance):
    account = instance.customers[0].accounts[0]
    with greeted(instance) as wire:
        for _ in range(3):
            assert converse(wire, client(account, "wrong")).startswith(b"-ERR [AUTH] ")
        with pytest.raises(EOFError):
            wire.line()


def test_a_name_with_a_comma_is_no_end_of_it(instance):
    account = instance.customers[0].accounts[0]
    name = type(account)(f"a,n={account.address}", account.password)
    assert attempt(instance, name).startswith(b"-ERR [AUTH] ")


def test_nobody_logs_in_for_somebody_else(shared):
    ours, theirs = (customer.accounts[0] for customer in shared.customers)
    with greeted(shared) as wire:
        scram = client(ours, header=b"n,a=" + theirs.address.encode() + b",")
        answer = wire.command(b"AUTH SCRAM-SHA-256 " + scram.first())
        assert answer.startswith(b"-ERR ")
        assert converse(wire, client(ours, header=b"n,a=" + ours.address.encode() + b",")
                        ).startswith(b"+OK")


def test_a_salt_tells_nothing(instance):
    """Whether there is such a mailbox, when its password was changed: before, and after a restart."""
    account = instance.customers[0].accounts[0]
    names = [account.address.encode(), b"nobody@quayside.example", b"frontdesk@lighthouse.example",
             b"a@nowhere.example"]
    salts = [salt_of(instance, name) for name in names]
    assert len(set(salts)) == len(names)
    assert {len(base64.b64decode(salt)) for salt in salts} == {16}
    set_password(instance, account, "another password")
    instance.cli("address", "remove", instance.customers[1].accounts[0].address)
    assert [salt_of(instance, name) for name in names] == salts
    instance.restart()
    assert [salt_of(instance, name) for name in names] == salts


def test_a_changed_password_counts_at_once(instance):
    account = instance.customers[0].accounts[0]
    with greeted(instance) as wire:
        scram = client(account)
        answer = wire.command(b"AUTH SCRAM-SHA-256 " + scram.first())
        set_password(instance, account, "another password")
        answer = wire.command(scram.final(answer[2:]))
        scram.check(answer[2:])  # it was right when it was asked for
        assert wire.command(b"").startswith(b"-ERR [AUTH] ")
    assert attempt(instance, account).startswith(b"-ERR [AUTH] ")
    assert attempt(instance, account, "another password").startswith(b"+OK")
    other = instance.customers[1].accounts[0]
    assert attempt(instance, other).startswith(b"+OK")


def test_suspended(instance):
    hotel, group = instance.customers
    instance.cli("customer", "suspend", hotel.name)
    assert attempt(instance, hotel.accounts[0]).startswith(b"-ERR [SYS/PERM] ")
    assert attempt(instance, hotel.accounts[0], "wrong").startswith(b"-ERR [AUTH] ")
    assert attempt(instance, group.accounts[0]).startswith(b"+OK")
    instance.cli("customer", "resume", hotel.name)
    assert attempt(instance, hotel.accounts[0]).startswith(b"+OK")


def test_imported_addresses(instance, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("address,password\nnight@quayside.example,a good password\n"
                    "day@quayside.example,pa\u00dfwort f\u00fcr alle\n")
    instance.cli("address", "import", rows, "--customer", instance.customers[0].name)
    account = instance.customers[0].accounts[0]
    for name, password in (("night", "a good password"), ("day", "pa\u00dfwort f\u00fcr alle")):
        added = type(account)(f"{name}@quayside.example", password)
        assert attempt(instance, added).startswith(b"+OK")


def test_damaged_keys_are_no_matter_of_others(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    change(instance, "UPDATE credential SET scram = 'damaged' WHERE mailbox = 1")
    assert attempt(instance, ours).startswith(b"-ERR [AUTH] ")
    assert "error: the stored SCRAM keys of mailbox 1 are damaged" in instance.log
    assert attempt(instance, theirs).startswith(b"+OK")
    with greeted(instance) as wire:
        assert log_in(wire, ours).startswith(b"+OK")


def keys(instance) -> dict[int, str]:
    with sqlite3.connect(instance.dir / "accounts.db", timeout=30) as accounts:
        return dict(accounts.execute("SELECT mailbox, scram FROM credential"))


@pytest.mark.parametrize("log_in_with", ["PASS", "PLAIN", "LOGIN"])
def test_keys_are_made_at_the_next_login_that_tells_the_password(instance, log_in_with):
    hotel, group = instance.customers
    account = hotel.accounts[0]
    before = keys(instance)
    salt = salt_of(instance, account.address.encode())
    change(instance, "UPDATE credential SET scram = NULL WHERE mailbox = 1")
    assert salt_of(instance, account.address.encode()) == salt
    refused = attempt(instance, account)
    assert refused.startswith(b"-ERR [AUTH] ") and b"PLAIN" in refused
    assert attempt(instance, group.accounts[0]).startswith(b"+OK")
    with greeted(instance) as wire:
        assert log_in(wire, group.accounts[0]).startswith(b"+OK")
        wire.command("QUIT")
    with greeted(instance) as wire:
        assert wire.command(f"USER {account.address}").startswith(b"+OK")
        assert wire.command("PASS wrong").startswith(b"-ERR [AUTH] ")
        if log_in_with == "PASS":
            assert log_in(wire, account).startswith(b"+OK")
        elif log_in_with == "PLAIN":
            assert wire.command(f"AUTH PLAIN {plain(account)}").startswith(b"+OK")
        else:
            wire.command("AUTH LOGIN")
            wire.command(b64(account.address))
            assert wire.command(b64(account.password)).startswith(b"+OK")
    made = wait_until(lambda: keys(instance)[1] is not None and keys(instance), TIMEOUT, "keys")
    assert made == before  # the same password and salt
    assert attempt(instance, account).startswith(b"+OK")
    assert salt_of(instance, account.address.encode()) == salt


def test_keys_of_an_old_password_are_not_stored(instance):
    """It is changed while they are on their way: admin is held back."""
    account = instance.customers[0].accounts[0]
    change(instance, "UPDATE credential SET scram = NULL WHERE mailbox = 1")
    admin, = instance.pids()["admin"]
    os.kill(admin, signal.SIGSTOP)
    try:
        with greeted(instance) as wire:
            assert log_in(wire, account).startswith(b"+OK")
        set_password(instance, account, "another password")
        new = keys(instance)[1]
    finally:
        os.kill(admin, signal.SIGCONT)
    with greeted(instance) as wire:
        other = type(account)(instance.customers[1].accounts[0].address, "wrong")
        assert log_in(wire, other).startswith(b"-ERR [AUTH] ")
    assert keys(instance)[1] == new
    assert attempt(instance, account, "another password").startswith(b"+OK")
    assert attempt(instance, account).startswith(b"-ERR [AUTH] ")
    instance.stop()
    assert keys(instance)[1] == new


def test_a_restored_instance_has_the_keys_and_salts(instance, tmp_path):
    names = [instance.customers[0].accounts[0].address.encode(), b"nobody@quayside.example"]
    salts = [salt_of(instance, name) for name in names]
    instance.cli("backup", tmp_path / "backup")
    restored = Instance(tmp_path / "restored")
    restored.configure(**QUICK)
    try:
        restored.cli("restore", tmp_path / "backup")
        restored.start()
        assert [salt_of(restored, name) for name in names] == salts
        for customer in instance.customers:
            assert attempt(restored, customer.accounts[0]).startswith(b"+OK")
            assert attempt(restored, customer.accounts[0], "wrong").startswith(b"-ERR [AUTH] ")
    finally:
        restored.finish()


# --- channel binding


class Bound:
    """A connection by TLS whose binding is known, which Python's ssl does not tell."""

    def __init__(self, instance, *options):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{instance.ports.pop3s}", "-ign_eof",
             "-keymatexport", EXPORTER, "-keymatexportlen", "32", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.binding = None
        # A ticket may come behind it; the greeting comes last.
        while not (line := self.line()).startswith(b"+OK"):
            if found := re.fullmatch(rb"\s*Keying material: ([0-9A-F]{64})", line):
                self.binding = bytes.fromhex(found[1].decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=TIMEOUT)

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise EOFError("the connection is closed")
        return line.rstrip(b"\r\n")

    def command(self, text):
        self.process.stdin.write((text.encode() if isinstance(text, str) else text) + b"\r\n")
        self.process.stdin.flush()
        while not (line := self.line()).startswith((b"+", b"-ERR")):
            pass
        return line

    def bound(self, account, password=None, binding=None):
        scram = client(account, password, PLUS, header=BINDS,
                       binding=self.binding if binding is None else binding)
        return converse(self, scram, PLUS)


def test_bound_login(shared):
    for customer in shared.customers:
        with Bound(shared) as wire:
            assert wire.bound(customer.accounts[0]).startswith(b"+OK")


class Gsasl:
    """A client by GNU SASL, with what its header has: gsasl_step64() and numbers of properties."""

    AUTHID, PASSWORD, CB_TLS_EXPORTER = 1, 3, 25

    def __init__(self, account, binding):
        self.library = ctypes.CDLL("libgsasl.so.18")
        self.context, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        assert self.library.gsasl_init(ctypes.byref(self.context)) == 0
        assert self.library.gsasl_client_start(self.context, PLUS.encode(),
                                               ctypes.byref(self.session)) == 0
        for number, value in ((self.AUTHID, account.address), (self.PASSWORD, account.password),
                              (self.CB_TLS_EXPORTER, base64.b64encode(binding).decode())):
            self.library.gsasl_property_set(self.session, number, value.encode())

    def step(self, challenge: bytes) -> bytes:
        answer = ctypes.c_char_p()
        result = self.library.gsasl_step64(self.session, challenge, ctypes.byref(answer))
        assert result in (0, 1), result  # 1: it expects more
        return answer.value


def test_gnu_sasl_binds(shared):
    for customer in shared.customers:
        account = customer.accounts[2]
        with Bound(shared) as wire:
            gsasl = Gsasl(account, wire.binding)
            answer = wire.command(f"AUTH {PLUS}".encode())
            while answer.startswith(b"+ "):
                answer = wire.command(gsasl.step(answer[2:]))
            assert answer.startswith(b"+OK")


def test_wrong_password_in_a_bound_login(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    with Bound(instance) as wire:
        assert wire.bound(ours, theirs.password).startswith(b"-ERR [AUTH] ")
        assert wire.bound(ours).startswith(b"+OK")


def test_an_exchange_does_not_fit_another_connection(instance):
    """Somebody in between has a connection of his own to each side."""
    account = instance.customers[0].accounts[0]
    with Bound(instance) as one, Bound(instance) as other:
        assert one.binding != other.binding
        assert one.bound(account, binding=other.binding).startswith(b"-ERR ")
        assert one.bound(account, binding=b"").startswith(b"-ERR ")
        assert one.bound(account).startswith(b"+OK")


def test_what_is_announced(shared):
    with greeted(shared) as wire:
        found = capabilities(wire)["SASL"]
        assert SHA_256 in found and PLUS not in found  # this machine needs no TLS
        wire.command("STLS")
        wire.start_tls(shared.tls)
        assert {SHA_256, PLUS} <= set(capabilities(wire)["SASL"])
    with greeted(shared, "pop3s") as wire:
        assert wire.command("AUTH").startswith(b"+OK")
        assert PLUS.encode() in wire.lines()


def old_tls(instance):
    context = instance.tls
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    wire = instance.wire("pop3")
    wire.line()
    wire.command("STLS")
    wire.start_tls(context)
    return wire


def test_tls_1_2_is_not_bound(shared):
    account = shared.customers[0].accounts[0]
    with old_tls(shared) as wire:
        found = capabilities(wire)["SASL"]
        assert SHA_256 in found and PLUS not in found
        assert converse(wire, client(account, header=BINDS, binding=bytes(32)), PLUS
                        ).startswith(b"-ERR ")
        # It could bind, and there is nothing to bind to.
        assert converse(wire, client(account, header=b"y,,")).startswith(b"+OK")


def test_a_list_that_was_changed_on_its_way(shared):
    """RFC 5802 section 6: the client could bind, and has not been told that the server can."""
    account = shared.customers[0].accounts[0]
    with greeted(shared, "pop3s") as wire:
        answer = converse(wire, client(account, header=b"y,,"))
        assert answer.startswith(b"-ERR ") and b"[AUTH]" not in answer
        assert converse(wire, client(account, header=b"n,,")).startswith(b"+OK")
    assert "reason=Your program was not shown SCRAM-SHA-256-PLUS" in shared.log


@pytest.mark.parametrize("mechanism, header", [
    (SHA_256, BINDS), (PLUS, b"n,,"), (PLUS, b"y,,"), (PLUS, b"p=tls-unique,,"),
    (PLUS, b"p=tls-server-end-point,,")])
def test_flags_that_do_not_fit_the_mechanism(shared, mechanism, header):
    account = shared.customers[0].accounts[0]
    with greeted(shared, "pop3s") as wire:
        answer = converse(wire, client(account, header=header), mechanism)
        assert answer.startswith(b"-ERR ") and b"[AUTH]" not in answer
        assert log_in(wire, account).startswith(b"+OK")


def test_mpop(shared, tmp_path):
    """A mail program with GNU SASL and GnuTLS."""
    for customer in shared.customers:
        account = customer.accounts[1]
        subject = f"for {customer.name}"
        shared.deliver([account.address], f"Subject: {subject}\r\n\r\nbody\r\n".encode())
        settings = tmp_path / "mpoprc"
        settings.write_text(
            f"account test\nhost localhost\nport {shared.ports.pop3s}\ntls on\ntls_starttls off\n"
            f"tls_trust_file {shared.dir}/tls/cert.pem\ntls_host_override\n"
            f"user {account.address}\nauth scram-sha-256\nkeep off\nuidls_file {tmp_path}/uidls\n"
            f"delivery mbox {tmp_path}/mbox\n")
        settings.chmod(0o600)
        done = subprocess.run(["mpop", "-C", settings, "--passwordeval",
                               f"printf %s '{account.password}'", "test"], text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        assert f"Subject: {subject}" in (tmp_path / "mbox").read_text()


# --- the sockets of authd


def over_socket(auth, scram, mechanism=SHA_256, fields=""):
    """The answer that ends the exchange, without the id."""
    auth.id += 1
    auth.send(f"AUTH\t{auth.id}\t{mechanism}\tservice=smtp\trip=192.0.2.9{fields}\tresp=".encode()
              + scram.first() + b"\n")
    answer = auth.fields()
    for step in (scram.final, lambda text: scram.check(text) or b""):
        if answer[0] == "CONT":
            auth.send(f"CONT\t{answer[1]}\t".encode() + step(answer[2].encode()) + b"\n")
            answer = auth.fields()
    return [answer[0], *answer[2:]]


def test_mail_servers_are_offered_what_needs_no_binding(instance):
    account = instance.customers[0].accounts[0]
    binding = base64.b64encode(bytes(32)).decode()
    with Auth(instance) as auth:
        assert ["MECH", SHA_256, "mutual-auth"] in auth.handshake
        assert not any(PLUS in line for line in auth.handshake)
        assert over_socket(auth, client(account)) == ["OK", f"user={account.address}"]
        assert over_socket(auth, client(account, "x")) == ["FAIL", f"user={account.address}"]
        # A mail server knows nothing of binding, so its clients may say that they do.
        assert over_socket(auth, client(account, header=b"y,,"))[0] == "OK"
        assert over_socket(auth, client(account, header=b"y,,"), fields=f"\tcbind={binding}"
                           )[0] == "OK"
        assert over_socket(auth, client(account, header=BINDS, binding=bytes(32)), PLUS,
                           f"\tcbind={binding}")[0] == "FAIL"


def test_fronts_say_what_to_bind_to(instance):
    account = instance.customers[1].accounts[0]
    binding = hashlib.sha256(b"a connection").digest()
    field = "\tcbind=" + base64.b64encode(binding).decode()
    bound = {"header": BINDS, "binding": binding}
    with Auth(instance, FRONT) as auth:
        assert ["MECH", PLUS, "mutual-auth", "channel-binding"] in auth.handshake
        assert over_socket(auth, client(account, **bound), PLUS, field)[0] == "OK"
        assert over_socket(auth, client(account, **bound), PLUS)[0] == "FAIL"
        for short in ("\tcbind=", "\tcbind=AAAA", "\tcbind=%", field + "AAAA"):
            assert over_socket(auth, client(account, **bound), PLUS, short)[0] == "FAIL"


def test_many_exchanges_at_once(shared):
    """None is in another's way, and what is left of those that end costs nothing."""
    accounts = [account for customer in shared.customers for account in customer.accounts]
    with Auth(shared, FRONT) as auth:
        begun, answers = {}, {}
        for number in map(str, range(2000)):
            begun[number] = client(accounts[int(number) % len(accounts)])
            auth.send(f"AUTH\t{number}\t{SHA_256}\tservice=pop3\tresp=".encode()
                      + begun[number].first() + b"\n")
            if int(number) % 100 == 99:  # authd reads on when its answers are read
                answers.update(auth.fields()[1:3] for _ in range(100))
        for number, answer in list(answers.items())[:100]:
            auth.send(f"CONT\t{number}\t".encode() + begun[number].final(answer.encode()) + b"\n")
            _, same, verifier = auth.fields()
            assert same == number
            begun[number].check(verifier.encode())
            auth.send(f"CONT\t{number}\t\n".encode())
            assert auth.fields()[:2] == ["OK", number]


def test_a_proof_that_fits_is_not_told_while_there_is_a_delay(instance):
    """Else all that is begun before the first is wrong would be guesses, as many as there are."""
    account = instance.customers[0].accounts[0]
    begun = []
    with Auth(instance, FRONT) as auth:
        for number, password in enumerate(5 * ["wrong"] + [account.password]):
            scram = client(account, password)
            auth.send(f"AUTH\t{number}\t{SHA_256}\tservice=pop3\trip=192.0.2.7\tresp=".encode()
                      + scram.first() + b"\n")
            begun.append(scram.final(auth.fields()[2].encode()))
        for number, final in enumerate(begun):
            auth.send(f"CONT\t{number}\t".encode() + final + b"\n")
            answer = auth.fields()
            assert answer[0] == "FAIL"
            assert ("code=temp_fail" in answer) == (number == 5)


def test_wrong_and_unknown_look_the_same(instance):
    account = instance.customers[0].accounts[0]
    with Auth(instance, MTA) as auth:
        for name in (account.address, "nobody@quayside.example", "no address"):
            scram = Scram(SHA_256, name.encode(), b"a wrong password")
            assert over_socket(auth, scram) == ["FAIL", f"user={name}"]


def test_text_for_people(instance):
    """What cannot log in so, because nobody has told the password yet, is told what to do."""
    account = instance.customers[0].accounts[0]
    with greeted(instance) as wire:
        assert b"PLAIN" in converse(wire, client(account, "wrong"))
        assert b"PLAIN" not in wire.command(f"AUTH PLAIN {b64(chr(0) + 'x' + chr(0) + 'y')}")
        assert wire.command(f"AUTH PLAIN {plain(account)}").startswith(b"+OK")
