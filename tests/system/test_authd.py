"""authd over its two sockets: what Postfix, Exim and pop3d rely on, and what nobody may learn."""

import base64
import json
import os
import re
import signal
import socket
import statistics
import time

import pytest

from bellhop import cpu_seconds, wait_until
from wire import TIMEOUT

MTA = "auth.sock"
FRONT = "auth-front.sock"


class Auth:
    """A client of the Dovecot auth protocol that has greeted."""

    def __init__(self, instance, name=MTA, greet=True, remote="192.0.2.9", service="pop3"):
        self.remote, self.service = remote, service
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(instance.dir / "run" / name))
        self.file = self.sock.makefile("rb")
        self.handshake = []
        while not self.handshake or self.handshake[-1] != ["DONE"]:
            self.handshake.append(self.fields())
        self.id = 0
        if greet:
            self.send(b"VERSION\t1\t0\nCPID\t1\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def send(self, data: bytes):
        self.sock.sendall(data)

    def fields(self) -> list[str]:
        """The next line; [] at the end of the connection, also where that left octets unread."""
        try:
            line = self.file.readline().decode()
        except ConnectionResetError:
            return []
        assert not line or line.endswith("\n")
        return line[:-1].split("\t") if line else []

    def begin(self, mechanism, response: bytes | None = None) -> str:
        """Sends AUTH and returns the request's id."""
        self.id += 1
        line = f"AUTH\t{self.id}\t{mechanism}\tservice={self.service}\trip={self.remote}\tsecured"
        if response is not None:
            line += "\tresp=" + base64.b64encode(response).decode()
        self.send(line.encode() + b"\n")
        return str(self.id)

    def proceed(self, number, response: bytes):
        self.send(f"CONT\t{number}\t".encode() + base64.b64encode(response) + b"\n")

    def plain(self, name, password) -> list[str]:
        """The answer to PLAIN, without the id."""
        number = self.begin("PLAIN", f"\0{name}\0{password}".encode())
        answer = self.fields()
        assert answer[1] == number
        return [answer[0], *answer[2:]]


def log_in(instance, account, password=None, name=MTA, **options):
    with Auth(instance, name, **options) as auth:
        return auth.plain(account.address, password or account.password)


def refused(account):
    """How anybody's wrong password is answered: no code, no reason."""
    return ["FAIL", f"user={account.address}"]


def counter(instance, name) -> int:
    text = instance.http("/metrics")[1]
    return int(re.search(rf"(?m)^bellhop_auth_{name}(?:\{{[^}}]*\}})? (\d+)", text)[1])


@pytest.fixture(autouse=True)
def no_delays(request):
    """The wrong passwords of the tests before would add up for the address that they share."""
    if "shared" in request.fixturenames:
        request.getfixturevalue("shared").cli("auth", "lift", "0.0.0.0/0", check=False)


@pytest.mark.parametrize("name", [MTA, FRONT])
def test_handshake(shared, name):
    with Auth(shared, name, greet=False) as auth:
        lines = auth.handshake
    assert lines[0][:2] == ["VERSION", "1"]
    assert ["MECH", "PLAIN", "plaintext"] in lines
    assert ["MECH", "LOGIN", "plaintext"] in lines
    keys = {line[0]: line[1:] for line in lines}
    assert int(keys["SPID"][0]) in shared.pids()["authd"]
    assert keys["CUID"][0].isdigit()
    assert re.fullmatch("[0-9a-f]{32}", keys["COOKIE"][0])


def test_each_connection_has_its_own_cookie(shared):
    with Auth(shared) as one, Auth(shared) as other:
        assert one.handshake[-2] != other.handshake[-2]


def test_plain(shared):
    for customer in shared.customers:
        for account in customer.accounts:
            assert log_in(shared, account) == ["OK", f"user={account.address}"]


def test_plain_without_initial_response(shared):
    account = shared.customers[0].accounts[0]
    with Auth(shared) as auth:
        number = auth.begin("PLAIN")
        assert auth.fields() == ["CONT", number, ""]
        auth.proceed(number, f"\0{account.address}\0{account.password}".encode())
        assert auth.fields() == ["OK", number, f"user={account.address}"]


def test_login(shared):
    account = shared.customers[1].accounts[0]
    with Auth(shared) as auth:
        number = auth.begin("LOGIN")
        assert auth.fields() == ["CONT", number, base64.b64encode(b"Username:").decode()]
        auth.proceed(number, account.address.encode())
        assert auth.fields() == ["CONT", number, base64.b64encode(b"Password:").decode()]
        auth.proceed(number, account.password.encode())
        assert auth.fields() == ["OK", number, f"user={account.address}"]


def test_name_in_any_case(shared):
    account = shared.customers[0].accounts[0]
    with Auth(shared) as auth:
        assert auth.plain(account.address.upper(), account.password) == [
            "OK", f"user={account.address}"]


def test_another_customers_password(shared):
    ours, theirs = (customer.accounts[0] for customer in shared.customers)
    assert ours.address.split("@")[0] == theirs.address.split("@")[0]
    assert log_in(shared, ours, theirs.password) == refused(ours)
    assert log_in(shared, theirs, ours.password) == refused(theirs)


def test_wrong_and_unknown_look_the_same(shared):
    account = shared.customers[0].accounts[0]
    with Auth(shared) as auth:
        for name in (account.address, "nobody@quayside.example", "a@nowhere.example", "no address"):
            assert auth.plain(name, "a wrong password") == ["FAIL", f"user={name}"]


def test_nobody_logs_in_for_somebody_else(shared):
    ours, theirs = (customer.accounts[0] for customer in shared.customers)
    with Auth(shared) as auth:
        auth.begin("PLAIN", f"{theirs.address}\0{ours.address}\0{ours.password}".encode())
        answer = auth.fields()
    assert answer[0] == "FAIL" and "code=authz_fail" in answer


@pytest.mark.parametrize("response", [b"no nul", b"\0name", b"\0\0password", b"\0name\0"])
def test_malformed_plain(shared, response):
    with Auth(shared) as auth:
        number = auth.begin("PLAIN", response)
        answer = auth.fields()
        assert answer[:2] == ["FAIL", number] and "temp" not in answer
        account = shared.customers[0].accounts[0]
        assert auth.plain(account.address, account.password)[0] == "OK"


def test_an_empty_initial_response_of_exim(shared):
    """It says so where there is none; asked for once, it has to come."""
    for customer in shared.customers:
        account = customer.accounts[0]
        with Auth(shared) as auth:
            number = auth.begin("PLAIN", b"")
            assert auth.fields()[:2] == ["CONT", number]
            auth.proceed(number, b"")
            assert auth.fields()[:2] == ["FAIL", number]
            number = auth.begin("PLAIN", b"")
            assert auth.fields()[:2] == ["CONT", number]
            auth.proceed(number, f"\0{account.address}\0{account.password}".encode())
            assert auth.fields()[:2] == ["OK", number]


def test_not_base64(shared):
    with Auth(shared) as auth:
        auth.send(b"AUTH\t1\tPLAIN\tresp=%%%\n")
        assert "code=invalid_base64" in auth.fields()


def test_unknown_mechanism(shared):
    with Auth(shared) as auth:
        auth.send(b"AUTH\t1\tCRAM-MD5\tservice=smtp\n")
        assert auth.fields()[:2] == ["FAIL", "1"]


def test_escaped_fields(shared):
    """A name with a tab comes back as one field."""
    with Auth(shared) as auth:
        assert auth.plain("a\tb\x01", "a wrong password") == ["FAIL", "user=a\x01tb\x011"]


BROKEN = [
    b"HELO there\n",
    b"\n",
    b"AUTH\n",
    b"AUTH\t1\n",
    b"AUTH\tone\tPLAIN\n",
    b"AUTH\t-1\tPLAIN\n",
    b"AUTH\t4294967296\tPLAIN\n",
    b"AUTH\t1\tPLAIN\tresp=\0\n",
    b"AUTH\t1\tPLAIN\tservice=\x01x\n",
    b"AUTH\t1\tPLAIN" + b"\tx=y" * 64 + b"\n",
    b"AUTH\t1\tPLAIN\nAUTH\t1\tPLAIN\n",
    b"CONT\t1\tAA==\n",
    b"CANCEL\n",
    b"VERSION\t1\t0\n",
    b"CPID\t2\n",
    b"x" * 20000,
]


@pytest.mark.parametrize("line", BROKEN, ids=lambda line: repr(line[:24]))
def test_broken_line_closes(shared, line):
    with Auth(shared) as auth, Auth(shared) as other:
        auth.send(line)
        while answer := auth.fields():
            assert answer[0] in ("CONT", "FAIL")
        account = shared.customers[0].accounts[0]
        assert other.plain(account.address, account.password)[0] == "OK"


@pytest.mark.parametrize("greeting", [b"VERSION\t2\t0\n", b"CPID\t1\n", b"AUTH\t1\tPLAIN\n",
                                      b"VERSION\t1\t0\nAUTH\t1\tPLAIN\n", b"GET / HTTP/1.0\r\n"])
def test_broken_greeting_closes(shared, greeting):
    with Auth(shared, greet=False) as auth:
        auth.send(greeting)
        assert auth.fields() == []


def test_longest_line(shared):
    """16384 octets with the LF are a line; one more is not."""
    account = shared.customers[0].accounts[0]
    response = base64.b64encode(f"\0{account.address}\0{account.password}".encode())
    end = b"\tresp=" + response + b"\n"
    with Auth(shared) as auth:
        for size in (16384, 16385):
            begin = b"AUTH\t1\tPLAIN\tpad="
            auth.send(begin + b"x" * (size - len(begin) - len(end)) + end)
            assert auth.fields()[:2] == (["OK", "1"] if size == 16384 else [])


def test_octet_by_octet(shared):
    account = shared.customers[0].accounts[0]
    with Auth(shared, greet=False) as auth:
        response = base64.b64encode(f"\0{account.address}\0{account.password}".encode())
        for octet in b"VERSION\t1\t0\nCPID\t1\nAUTH\t9\tPLAIN\tresp=" + response + b"\n":
            auth.send(bytes([octet]))
        assert auth.fields() == ["OK", "9", f"user={account.address}"]


def test_many_at_once(shared):
    """Requests of one connection are answered once each, whatever their order."""
    accounts = [account for customer in shared.customers for account in customer.accounts]
    with Auth(shared, FRONT) as auth:
        lines = []
        for number in range(300):
            account = accounts[number % len(accounts)]
            password = account.password if number % 3 else f"wrong {number}"
            response = base64.b64encode(f"\0{account.address}\0{password}".encode()).decode()
            lines.append(f"AUTH\t{number}\tPLAIN\tservice=pop3\tresp={response}\n")
        auth.send("".join(lines).encode())
        answers = {}
        while len(answers) < 300:
            answer = auth.fields()
            assert answer[1] not in answers
            answers[answer[1]] = answer
    for number in range(300):
        answer = answers[str(number)]
        assert answer[0] == ("OK" if number % 3 else "FAIL")
        assert answer[2] == f"user={accounts[number % len(accounts)].address}"


def test_cancelled_is_not_answered(shared):
    account = shared.customers[0].accounts[0]
    with Auth(shared) as auth:
        number = auth.begin("LOGIN")
        auth.fields()
        auth.send(f"CANCEL\t{number}\nCANCEL\t77\n".encode())
        assert auth.plain(account.address, account.password)[0] == "OK"


def test_capability_on_the_front_only(shared):
    seen = set()
    mailboxes = set()
    for customer in shared.customers:
        account = customer.accounts[0]
        assert log_in(shared, account, name=MTA) == ["OK", f"user={account.address}"]
        for _ in range(2):
            verdict, user, cap, retention, lang = log_in(shared, account, name=FRONT)
            assert (verdict, user) == ("OK", f"user={account.address}")
            assert (retention, lang) == ("retention=0", "lang=en")
            octets = bytes.fromhex(cap.removeprefix("cap="))
            mailbox, session, expires = (int.from_bytes(octets[at:at + 8], "little")
                                         for at in (0, 8, 16))
            assert 0 < expires - time.time() <= 31
            mailboxes.add(mailbox)
            seen.add(session)
    assert len(mailboxes) == 2 and 0 not in mailboxes
    assert len(seen) == 4


def test_log_names_who_but_never_the_password(shared):
    account = shared.customers[0].accounts[1]
    mark = len(shared.log)
    log_in(shared, account, name=FRONT)
    log_in(shared, account, "not the password")
    with Auth(shared) as auth:
        auth.plain("typed into the wrong field", "whatever")
        auth.plain("\"x service=smtp\"@quayside.example", "whatever")
    log = wait_until(lambda: (found := shared.log[mark:]).count("refused ") == 3 and found)
    assert re.search(rf"login address={account.address} mailbox=\d+ session=[0-9a-f]{{16}} "
                     r"rip=192\.0\.2\.9 service=pop3 mechanism=PLAIN credential=password\n", log)
    assert f"refused address={account.address} " in log and "reason=wrong password" in log
    assert account.password not in log
    assert "not the password" not in log
    assert "typed" not in log
    assert " service=smtp" not in log


def test_changed_password_counts_at_once(instance):
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    assert log_in(instance, ours)[0] == "OK"
    instance.cli("address", "passwd", ours.address, "--password-stdin", input="a new password\n")
    assert log_in(instance, ours) == refused(ours)
    assert log_in(instance, ours, "a new password")[0] == "OK"
    assert log_in(instance, theirs)[0] == "OK"


def test_suspended(instance):
    customer, other = instance.customers
    account = customer.accounts[0]
    assert log_in(instance, account)[0] == "OK"
    instance.cli("customer", "suspend", customer.name)
    answer = log_in(instance, account)
    assert answer[:3] == ["FAIL", f"user={account.address}", "code=user_disabled"]
    assert log_in(instance, account, "a wrong password") == refused(account)
    assert log_in(instance, other.accounts[0])[0] == "OK"
    instance.cli("customer", "resume", customer.name)
    assert log_in(instance, account)[0] == "OK"


def test_a_plan_without_sending(instance):
    """Who may not send still fetches, and a right password that opens nothing counts as no guess."""
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    assert log_in(instance, ours, service="smtp")[0] == "OK"
    instance.cli("plan", "set", instance.customers[0].plan, "--sending", "no")
    phone = re.search(r"app password: (\S+)", instance.cli(
        "app-password", "add", ours.address, "--name", "phone").stdout)[1]
    hashes = counter(instance, "hashes_total")
    for password in [None, phone] * 8:
        assert log_in(instance, ours, password, service="smtp") == [
            "FAIL", f"user={ours.address}", "code=authz_fail", "reason=This account may not send mail."]
        assert log_in(instance, ours, password)[0] == "OK"
    assert counter(instance, "hashes_total") == hashes
    assert log_in(instance, ours, "a wrong password", service="smtp") == refused(ours)
    assert log_in(instance, theirs, service="smtp")[0] == "OK"
    assert "service=smtp mechanism=PLAIN reason=sending is not allowed\n" in instance.log
    shown = json.loads(instance.cli("auth", "events", ours.address, "--json").stdout)
    assert {(row["credential"], row["count"]) for row in shown
            if row["event"] == "refused" and row["reason"] == "sending is not allowed"} == {
        ("password", 8), ("phone", 8)}
    instance.cli("plan", "set", instance.customers[0].plan, "--sending", "yes")
    assert log_in(instance, ours, service="smtp")[0] == "OK"


def test_removed_address(instance):
    customer, other = instance.customers
    account = customer.accounts[0]
    assert log_in(instance, account)[0] == "OK"
    instance.cli("address", "remove", account.address)
    assert log_in(instance, account) == refused(account)
    assert log_in(instance, customer.accounts[1])[0] == "OK"
    assert log_in(instance, other.accounts[0])[0] == "OK"


def test_the_second_login_costs_no_hash(instance):
    for password, known in ((None, "cache_hits_total"), ("a wrong password", "known_wrong_total")):
        for customer in instance.customers:
            account = customer.accounts[0]
            log_in(instance, account, password)
            hits, hashes = counter(instance, known), counter(instance, "hashes_total")
            log_in(instance, account, password)
            assert counter(instance, known) == hits + 1
            assert counter(instance, "hashes_total") == hashes


def test_unknown_costs_as_much_as_wrong(stopped):
    """With a hash that takes longer than everything around it."""
    stopped.configure(hash_operations="2", hash_memory="16M")
    known = stopped.address(stopped.customers[0], "slow")
    stopped.start()
    [pid] = stopped.pids()["authd"]
    names = {"wrong": known.address, "unknown": "nobody@quayside.example", "no address": "nobody"}
    costs = {kind: [] for kind in names}
    with Auth(stopped) as auth:
        for attempt in range(9):
            for kind, name in names.items():
                before = cpu_seconds(pid)
                auth.remote = f"192.0.2.{attempt}"
                assert auth.plain(name, f"a wrong password {attempt}") == ["FAIL", f"user={name}"]
                costs[kind].append(cpu_seconds(pid) - before)
    medians = {kind: statistics.median(spent) for kind, spent in costs.items()}
    assert max(medians.values()) < 1.5 * min(medians.values()), medians
    assert min(medians.values()) > 0.003, medians


def test_shutdown_answers_what_is_in_flight(stopped):
    stopped.configure(hash_operations="2", hash_memory="16M")
    known = stopped.address(stopped.customers[0], "slow")
    stopped.start()
    with Auth(stopped) as auth:
        for _ in range(4):
            auth.begin("PLAIN", f"\0{known.address}\0{known.password} {auth.id}".encode())
        wait_until(lambda: counter(stopped, "checks_total") >= 4)
        stopped.stop()
        answers = [auth.fields()[0] for _ in range(4)]
        assert answers == ["FAIL"] * 4
        assert auth.fields() == []


def test_crash_of_authd(instance):
    account = instance.customers[0].accounts[0]
    before = instance.pids()["authd"]
    with Auth(instance) as auth:
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert auth.fields() == []
    assert log_in(instance, account)[0] == "OK"
    assert instance.pids()["authd"] != before
