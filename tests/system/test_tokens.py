"""Tokens of customers' own issuers: OAUTHBEARER (RFC 7628) and XOAUTH2."""

import base64
import json
import socket
import sqlite3
import ssl
import subprocess
import time
from contextlib import closing, suppress

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from authority import Authority
from bellhop import Instance, wait_until
from https import Https
from test_pop3 import logged_in
from test_sessions import assert_ended, assert_goes_on

AUDIENCE = "mail"
PAIR_FREE = 5  # wrong credentials of a mailbox from an address

KEYS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def b64(octets):
    return base64.b64encode(octets).decode()


def b64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Issuer:
    """A customer's: serves its metadata and keys over HTTPS, and makes tokens."""

    def __init__(self, folder, path=""):
        self.server = Https(folder)
        self.path = path
        self.url = f"https://localhost:{self.server.port}{path}"
        self.keys = {}
        self.metadata = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.add("ES256")

    def add(self, algorithm, kid=None, **members):
        kid = kid or algorithm
        private = KEYS[algorithm]()
        made = jwt.algorithms.get_default_algorithms()[algorithm].to_jwk(private.public_key())
        public = made if isinstance(made, dict) else json.loads(made)
        if algorithm.startswith("ES"):  # PyJWT leaves zeros at the beginning out, RFC 7518 section 6.2.1.2 does not
            size = private.curve.key_size // 8
            public.update((name, b64url(unb64url(public[name]).rjust(size, b"\0"))) for name in "xy")
        self.keys[kid] = (algorithm, private, {**public, "kid": kid, **members})
        self.publish()

    def publish(self):
        keys = [public for _, _, public in self.keys.values()]
        self.server.answers = {
            f"{self.path}/.well-known/openid-configuration": (200, json.dumps(self.metadata).encode()),
            f"{self.path}/keys": (200, json.dumps({"keys": keys}).encode())}

    def token(self, address, kid="ES256", header=None, without=(), **claims):
        algorithm, private, _ = self.keys[kid]
        now = int(time.time())
        said = {"iss": self.url, "aud": AUDIENCE, "email": address, "iat": now, "exp": now + 600, **claims}
        said = {name: value for name, value in said.items() if name not in without}
        return jwt.encode(said, private, algorithm=algorithm, headers={"kid": kid, **(header or {})})

    def close(self):
        self.server.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.issue(made.dir / "localhost", "localhost")
    return made


@pytest.fixture(scope="module")
def make_issuer(authority):
    made = []

    def make(path=""):
        made.append(Issuer(authority.dir / "localhost", path))
        return made[-1]

    yield make
    for issuer in made:
        issuer.close()


@pytest.fixture(scope="module")
def hotels(make_issuer):
    issuer = make_issuer("/tenant")
    for algorithm in KEYS:
        issuer.add(algorithm)
    return issuer


@pytest.fixture(scope="module")
def groups(make_issuer):
    return make_issuer()


def listed(instance, *arguments):
    return json.loads(instance.cli("token-issuer", "list", *arguments, "--json").stdout)


def row(instance, issuer):
    [found] = [each for each in listed(instance) if each["issuer"] == issuer.url]
    return found


def add(instance, customer, issuer, *arguments):
    instance.cli("token-issuer", "add", issuer.url, "--customer", customer.name, "--audience", AUDIENCE,
                 *arguments)


def fetched(instance, issuer):
    return wait_until(lambda: row(instance, issuer)["fetched"], 20, "its keys")


def started(template, authority, folder):
    made = Instance(folder / "instance", template)
    made.configure(fetch_networks="127.0.0.1", fetch_authorities=authority.root)
    return made.start()


@pytest.fixture(scope="module")
def serving(template, authority, hotels, groups, tmp_path_factory):
    """Each customer with its own issuer."""
    made = started(template, authority, tmp_path_factory.mktemp("tokens"))
    for customer, issuer in zip(made.customers, [hotels, groups]):
        add(made, customer, issuer)
    for issuer in [hotels, groups]:
        fetched(made, issuer)
    offered(made)
    yield made
    made.finish()


@pytest.fixture
def alone(template, authority, tmp_path):
    made = started(template, authority, tmp_path)
    yield made
    made.finish()


def capabilities(instance):
    with instance.wire("pop3s") as wire:
        wire.line()
        wire.command("CAPA")
        [sasl] = [line for line in wire.lines() if line.startswith(b"SASL")]
        return sasl.decode().split()[1:]


def offered(instance, whether=True):
    for _ in range(instance.pids()["pop3d"].__len__() * 4):
        wait_until(lambda: ("OAUTHBEARER" in capabilities(instance)) == whether, 20, "the list")


def response(mechanism, address, token):
    if mechanism == "XOAUTH2":
        return f"user={address}\1auth=Bearer {token}\1\1".encode()
    name = address.replace("=", "=3D").replace(",", "=2C")
    return f"n,a={name},\1host=localhost\1port=995\1auth=Bearer {token}\1\1".encode()


def log_in(instance, address, token, mechanism="OAUTHBEARER", initial=True):
    """Returns the last answer, and what it was told in JSON if it was refused so."""
    text = b64(response(mechanism, address, token))
    told = None
    with instance.wire("pop3s") as wire:
        wire.line()
        if initial:
            answer = wire.command(f"AUTH {mechanism} {text}")
        else:
            assert wire.command(f"AUTH {mechanism}") == b"+ "
            answer = wire.command(text)
        if answer.startswith(b"+ "):
            told = json.loads(base64.b64decode(answer[2:]))
            answer = wire.command("AQ==")
        if answer.startswith(b"+OK"):
            assert wire.command("QUIT").startswith(b"+OK")
        return answer, told


def accounts(instance):
    return [customer.accounts for customer in instance.customers]


def reasons(instance, address):
    """Of refusals, with what was shown."""
    done = instance.cli("auth", "events", address, "--json")
    return {(each["credential"], each["reason"]) for each in json.loads(done.stdout)
            if each["event"] in ("refused", "delayed")}


def lift(instance, address):
    instance.cli("auth", "lift", address, check=False)  # it says so when nothing was delayed


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize("kid", KEYS)
def test_every_algorithm(serving, hotels, kid, mechanism):
    hotel, _ = accounts(serving)
    for initial in [True, False]:
        answer, told = log_in(serving, hotel[0].address, hotels.token(hotel[0].address, kid), mechanism, initial)
        assert answer.startswith(b"+OK") and told is None
    assert f"mechanism={mechanism} credential=token" in serving.log


def test_two_customers(serving, hotels, groups):
    hotel, group = (each[0].address for each in accounts(serving))
    assert log_in(serving, hotel, hotels.token(hotel))[0].startswith(b"+OK")
    assert log_in(serving, group, groups.token(group))[0].startswith(b"+OK")
    for address, stranger in [(hotel, groups), (group, hotels)]:
        answer, told = log_in(serving, address, stranger.token(address))
        assert answer.startswith(b"-ERR [AUTH]") and told["status"] == "invalid_token"
        assert ("token", "it is not by an issuer of the customer's") in reasons(serving, address)
    # Nor by saying that it is the other's.
    answer, _ = log_in(serving, hotel, groups.token(hotel, iss=hotels.url))
    assert answer.startswith(b"-ERR [AUTH]")
    lift(serving, hotel)
    lift(serving, group)


def test_what_a_refusal_tells(serving, hotels):
    """Whose tokens to get: by the domain, so that it does not tell which mailboxes there are."""
    hotel, _ = accounts(serving)
    expected = {"status": "invalid_token", "scope": "openid email",
                "openid-configuration": f"{hotels.url}/.well-known/openid-configuration"}
    assert log_in(serving, hotel[1].address, "none")[1] == expected
    assert log_in(serving, "nobody@quayside.example", "none")[1] == expected
    assert log_in(serving, "nobody@nowhere.example", "none")[1] == {
        "status": "invalid_token", "scope": "openid email"}
    assert log_in(serving, hotel[1].address, "none", "XOAUTH2")[1] == {
        "status": "401", "schemes": "bearer", "scope": "openid email"}
    lift(serving, hotel[1].address)


def test_who_does_not_exist(serving, hotels):
    """Though a token of the right issuer says that address: the answers are those for one who does."""
    hotel, _ = accounts(serving)
    for address in ["nobody@quayside.example", "nobody@nowhere.example"]:
        for _ in range(PAIR_FREE + 2):
            answer, told = log_in(serving, address, hotels.token(address, jti=str(time.time())))
            if address.endswith("@quayside.example"):
                assert answer.startswith(b"-ERR [AUTH]") and told["status"] == "invalid_token"
            else:  # no issuer there has signed it
                assert answer.startswith(b"-ERR")
    assert log_in(serving, hotel[0].address, hotels.token(hotel[0].address))[0].startswith(b"+OK")


UNFIT = {
    "it has expired": {"exp": -61},
    "it is not good yet": {"nbf": 120},
    "its times are not numbers": {"exp": "soon"},
    "it is for another service": {"aud": ["pages", "calendar"]},
    "it is for another address": {"email": "frontdesk@quayside.example"},
    "its address has not been verified": {"email_verified": False},
    "it is bound to a key": {"cnf": {"jkt": "x"}},
}


@pytest.mark.parametrize("reason", UNFIT)
def test_what_it_says_must_fit(serving, hotels, reason):
    """It is signed, so nobody has guessed: however often it comes, nothing is delayed."""
    address = accounts(serving)[0][2].address
    claims = dict(UNFIT[reason])
    for name in ("exp", "nbf"):
        if isinstance(claims.get(name), int):
            claims[name] += int(time.time())
    for number in range(PAIR_FREE + 2):
        answer, told = log_in(serving, address, hotels.token(address, jti=str(number), **claims))
        assert answer.startswith(b"-ERR [AUTH]") and told["status"] == "invalid_token"
    assert ("token", reason) in reasons(serving, address)
    assert log_in(serving, address, hotels.token(address))[0].startswith(b"+OK")


@pytest.mark.parametrize("claims", [
    {"aud": ["calendar", AUDIENCE]}, {"email_verified": True}, {"email_verified": "true"},
    {"email": "Invoices@QUAYSIDE.example"}, {"exp": -30}, {"nbf": 30}], ids=str)
def test_what_else_fits(serving, hotels, claims):
    address = accounts(serving)[0][2].address
    moved = {name: value + time.time() if name in ("exp", "nbf") else value for name, value in claims.items()}
    assert log_in(serving, address, hotels.token(address, **moved))[0].startswith(b"+OK")


def test_forged_ones_count(serving, hotels):
    """As wrong passwords do, but each once: the same again costs nothing and delays nobody."""
    address = accounts(serving)[0][1].address
    good = hotels.token(address)
    head, _, signature = good.rpartition(".")
    forged = [f"{head}.{b64url(bytes([number]) * 64)}" for number in range(1, PAIR_FREE + 2)]
    for _ in range(10):
        assert log_in(serving, address, forged[0])[0].startswith(b"-ERR [AUTH]")
    assert log_in(serving, address, good)[0].startswith(b"+OK")
    for token in forged[1:]:
        assert log_in(serving, address, token)[0].startswith(b"-ERR [AUTH]")
    answer, told = log_in(serving, address, good)
    assert answer.startswith(b"-ERR [SYS/TEMP]") and told is None
    assert ("token", "its signature is wrong") in reasons(serving, address)
    lift(serving, address)
    assert log_in(serving, address, good)[0].startswith(b"+OK")


def test_none_and_keys_of_the_tokens_own(serving, hotels):
    """RFC 8725 section 2.1: who makes a token does not say how it is verified."""
    address = accounts(serving)[0][1].address
    payload = hotels.token(address).split(".")[1]
    own = KEYS["ES256"]()
    own_key = json.loads(json.dumps(hotels.keys["ES256"][2]))
    wrong = [f'{b64url(json.dumps({"alg": alg}).encode())}.{payload}.{b64url(b"x")}'
             for alg in ("none", "None", "")]
    wrong += [f'{b64url(b"{}")}.{payload}.{b64url(b"x")}',
              jwt.encode(jwt.decode(hotels.token(address), options={"verify_signature": False}), own,
                         algorithm="ES256", headers={"kid": "ES256", "jwk": own_key}),
              # The public key as a secret
              jwt.encode({"iss": hotels.url, "email": address}, json.dumps(own_key), algorithm="HS256")]
    for token in wrong:
        answer, told = log_in(serving, address, token)
        assert told["status"] == "invalid_token", token
        lift(serving, address)


@pytest.mark.parametrize("mechanism, text", [
    ("OAUTHBEARER", b"\1"), ("OAUTHBEARER", b"n,,\1auth=Bearer x\1\1"), ("OAUTHBEARER", b"p=x,a=b,\1auth=Bearer x\1\1"),
    ("OAUTHBEARER", b"n,a=anna,\1auth=Bearer x\1"), ("OAUTHBEARER", b"n,a=anna,\1host=x\1\1"),
    ("XOAUTH2", b"auth=Bearer x\1\1"), ("XOAUTH2", b"user=anna\1auth=Basic x\1\1")])
def test_malformed(serving, mechanism, text):
    with serving.wire("pop3s") as wire:
        wire.line()
        assert wire.command(f"AUTH {mechanism} {b64(text)}").startswith(b"-ERR")
        assert wire.command("CAPA").startswith(b"+OK")


def test_a_long_one(serving, hotels):
    address = accounts(serving)[0][0].address
    token = hotels.token(address, groups=["x" * 100] * 40)
    assert 8000 > len(b64(response("XOAUTH2", address, token))) > 7000
    assert log_in(serving, address, token, "XOAUTH2")[0].startswith(b"+OK")


def test_curl(serving, hotels):
    account = accounts(serving)[0][1]
    serving.deliver([account.address], b"Subject: token\r\n\r\nby curl\r\n")
    mark = len(serving.log)
    command = ["curl", "-sS", f"pop3s://localhost:{serving.ports.pop3s}/1", "--insecure", "--user", f"{account.address}:",
               "--oauth2-bearer"]
    done = subprocess.run([*command, hotels.token(account.address)], capture_output=True, timeout=60)
    assert done.returncode == 0 and b"by curl" in done.stdout, done.stderr
    assert "mechanism=OAUTHBEARER credential=token" in serving.log[mark:]
    done = subprocess.run([*command, hotels.token(account.address, aud="pages")], capture_output=True, timeout=60)
    assert done.returncode == 67, done.stderr  # login denied


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_mpop(serving, hotels, mechanism, tmp_path):
    account = accounts(serving)[0][2]
    serving.deliver([account.address], b"Subject: token\r\n\r\nby mpop\r\n")
    mark = len(serving.log)
    settings = tmp_path / "mpoprc"
    fetched_mail = tmp_path / "mail"
    settings.write_text(f"account a\nhost localhost\nport {serving.ports.pop3s}\nuser {account.address}\n"
                        f"auth {mechanism.lower()}\ntls on\ntls_starttls off\ntls_certcheck off\n"
                        f"delivery mbox {fetched_mail}\nuidls_file {tmp_path / 'uidls'}\n"
                        f"passwordeval \"cat {tmp_path / 'token'}\"\naccount default : a\n")
    settings.chmod(0o600)
    for audience, status in [(AUDIENCE, 0), ("pages", 77)]:  # EX_NOPERM
        (tmp_path / "token").write_text(hotels.token(account.address, aud=audience) + "\n")
        done = subprocess.run(["mpop", "-C", settings], capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done.stdout + done.stderr
    assert "by mpop" in fetched_mail.read_text()
    assert f"mechanism={mechanism} credential=token" in serving.log[mark:]


def test_without_tls_elsewhere(serving):
    """On this machine it is private; to others it is not offered (see test_scram.py)."""
    with serving.wire("run/auth.sock") as mta:
        greeting = greet(mta)
    assert b"MECH\tOAUTHBEARER\tplaintext\n" in greeting and b"MECH\tXOAUTH2\tplaintext\n" in greeting


def greet(mta):
    mta.send(b"VERSION\t1\t1\nCPID\t1\n")
    lines = b""
    while not lines.endswith(b"DONE\n"):
        lines += mta.file.readline()
    return lines


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_for_mail_servers(serving, hotels, mechanism):
    address = accounts(serving)[0][0].address
    with serving.wire("run/auth.sock") as mta:
        greet(mta)
        text = b64(response(mechanism, address, hotels.token(address)))
        mta.send(f"AUTH\t1\t{mechanism}\tservice=smtp\tresp={text}\n".encode())
        assert mta.file.readline() == f"OK\t1\tuser={address}\n".encode()
        text = b64(response(mechanism, address, "none"))
        mta.send(f"AUTH\t2\t{mechanism}\tservice=smtp\tresp={text}\n".encode())
        assert mta.file.readline().startswith(b"CONT\t2\t")
        mta.send(b"CONT\t2\tAQ==\n")
        assert mta.file.readline() == f"FAIL\t2\tuser={address}\n".encode()


def test_suspended(alone, hotels):
    hotel, _ = alone.customers
    address = hotel.accounts[0].address
    add(alone, hotel, hotels)
    fetched(alone, hotels)
    offered(alone)
    token = hotels.token(address)
    assert log_in(alone, address, token)[0].startswith(b"+OK")
    alone.cli("customer", "suspend", hotel.name)
    answer, told = log_in(alone, address, token)
    assert answer.startswith(b"-ERR") and b"[AUTH]" not in answer and told is None
    alone.cli("customer", "resume", hotel.name)
    assert log_in(alone, address, token)[0].startswith(b"+OK")
    # An issuer that is removed opens nothing from that moment on.
    alone.cli("token-issuer", "remove", hotels.url, "--customer", hotel.name)
    with alone.wire("pop3s") as wire:
        wire.line()
        assert wire.command(f"AUTH XOAUTH2 {b64(response('XOAUTH2', address, token))}").startswith((b"-ERR", b"+ "))
    offered(alone, False)


def test_sessions_end_with_their_issuer(alone, hotels):
    """And no other customer's."""
    hotel, group = alone.customers
    add(alone, hotel, hotels)
    fetched(alone, hotels)
    offered(alone)
    address = hotel.accounts[0].address
    with alone.wire("pop3s") as wire, logged_in(alone, group.accounts[0]) as other:
        wire.line()
        text = b64(response("OAUTHBEARER", address, hotels.token(address)))
        assert wire.command(f"AUTH OAUTHBEARER {text}").startswith(b"+OK")
        assert_goes_on(wire)
        alone.cli("token-issuer", "remove", hotels.url, "--customer", hotel.name)
        assert_ended(wire)
        assert_goes_on(other)


def execute(instance, sql, *values):
    with closing(sqlite3.connect(instance.dir / "accounts.db", timeout=30)) as db, db:
        db.execute(sql, values)


def test_new_keys_and_an_issuer_that_is_away(alone, make_issuer):
    issuer = make_issuer()
    hotel, group = alone.customers
    address = hotel.accounts[0].address
    add(alone, hotel, issuer)
    fetched(alone, issuer)
    offered(alone)
    before = issuer.server.count("/keys")
    issuer.add("EdDSA")
    token = issuer.token(address, "EdDSA")
    # Not at once again: it was tried within the minute.
    assert log_in(alone, address, token)[1]["status"] == "invalid_token"
    assert ("token", "its issuer has no such key") in reasons(alone, address)
    execute(alone, "UPDATE token_issuer SET tried = tried - 120")
    assert log_in(alone, address, token)[1]["status"] == "invalid_token"
    wait_until(lambda: issuer.server.count("/keys") > before, 20, "the new keys")
    wait_until(lambda: log_in(alone, address, token)[0].startswith(b"+OK"))  # the very same
    # It is away: its keys stay good, for a day.
    issuer.server.answers = {}
    execute(alone, "UPDATE token_issuer SET due = 0")
    wait_until(lambda: row(alone, issuer)["failure"] == "its configuration: the server answers with status 404", 20)
    lift(alone, address)
    assert log_in(alone, address, issuer.token(address))[0].startswith(b"+OK")
    execute(alone, "UPDATE token_issuer SET fetched = fetched - 90000")
    answer, told = log_in(alone, address, issuer.token(address))
    assert answer.startswith(b"-ERR [SYS/TEMP]") and told is None
    # And back.
    issuer.publish()
    execute(alone, "UPDATE token_issuer SET due = 0")
    wait_until(lambda: row(alone, issuer)["failure"] is None, 20)
    assert log_in(alone, address, issuer.token(address))[0].startswith(b"+OK")
    assert group.name not in json.dumps(listed(alone))


def keys_url(issuer, url):
    return {**issuer.metadata, "jwks_uri": url}


@pytest.mark.parametrize("failure, change", [
    ("its configuration names another issuer; write it exactly as it does",
     lambda issuer: {**issuer.metadata, "issuer": issuer.url + "/"}),
    ("its configuration names no URL of keys (jwks_uri)", lambda issuer: {"issuer": issuer.url}),
    ("its configuration names no URL of keys (jwks_uri)", lambda issuer: keys_url(issuer, "http://localhost/")),
    ("its keys: it leads to an address that nothing is sent to", lambda issuer: keys_url(issuer, "https://127.0.0.2/")),
    ("its keys: the server answers with status 404", lambda issuer: keys_url(issuer, issuer.url + "/no")),
    ("its configuration is not JSON", lambda issuer: None),
])
def test_why_keys_are_not_fetched(serving, make_issuer, failure, change):
    issuer = make_issuer()
    metadata = change(issuer)
    path = "/.well-known/openid-configuration"
    issuer.server.answers[path] = (200, b"<html>" if metadata is None else json.dumps(metadata).encode())
    customer = serving.customers[1]
    add(serving, customer, issuer)
    try:
        found = wait_until(lambda: row(serving, issuer)["failure"], 20, "a failure")
        assert found.startswith(failure) and row(serving, issuer)["fetched"] is None
        answer, told = log_in(serving, customer.accounts[0].address, issuer.token(customer.accounts[0].address))
        assert answer.startswith(b"-ERR [SYS/TEMP]") and told is None
    finally:
        serving.cli("token-issuer", "remove", issuer.url, "--customer", customer.name)


def test_metadata_of_rfc_8414(serving, make_issuer):
    issuer = make_issuer("/deep/path")
    answers = issuer.server.answers
    answers["/.well-known/oauth-authorization-server/deep/path"] = answers.pop(
        "/deep/path/.well-known/openid-configuration")
    add(serving, serving.customers[1], issuer)
    fetched(serving, issuer)
    serving.cli("token-issuer", "remove", issuer.url, "--customer", serving.customers[1].name)


class Silent:
    """A server that takes connections and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(30)
        self.url = f"https://localhost:{self.listener.getsockname()[1]}"

    def taken(self):
        """How many connections there have been."""
        self.listener.setblocking(False)
        count = 0
        with suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
                count += 1
        return count


def test_slow_issuers_hold_up_no_other_customers(alone, make_issuer):
    hotel, group = alone.customers
    slow, quick = Silent(), make_issuer()
    for number in range(16):
        alone.cli("token-issuer", "add", f"{slow.url}/{number}", "--customer", hotel.name, "--audience", AUDIENCE)
    execute(alone, "UPDATE token_issuer SET due = 0")
    add(alone, group, quick)
    fetched(alone, quick)
    assert 1 <= slow.taken() < 8  # two, and further ones where 20 seconds have passed


@pytest.mark.parametrize("removed", ["issuer", "customer"])
def test_who_is_removed_is_not_asked_further(alone, authority, hotels, removed):
    """Neither the answer nor its time is waited for, and nothing is asked while it can be restored."""
    hotel, group = alone.customers
    slow = Silent()
    alone.cli("token-issuer", "add", slow.url, "--customer", hotel.name, "--audience", AUDIENCE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.dir / "localhost" / "cert.pem", authority.dir / "localhost" / "key.pem")
    with context.wrap_socket(slow.listener.accept()[0], server_side=True) as asked:
        asked.settimeout(30)
        assert asked.recv(3) == b"GET"
        began = time.monotonic()
        if removed == "issuer":
            alone.cli("token-issuer", "remove", slow.url, "--customer", hotel.name)
        else:
            alone.cli("customer", "remove", hotel.name)
        with suppress(OSError):
            while asked.recv(65536):
                pass
        assert time.monotonic() - began < 15  # of the 20 that an answer may take
    execute(alone, "UPDATE token_issuer SET due = 0")
    add(alone, group, hotels)
    fetched(alone, hotels)
    assert slow.taken() == 0
    if removed == "customer":
        alone.cli("customer", "restore", hotel.name)
        slow.listener.setblocking(True)
        slow.listener.settimeout(30)
        slow.listener.accept()[0].close()


def test_the_commands(alone):
    hotel, group = alone.customers
    url = "https://login.example/tenant"
    common = ["token-issuer", "add", url, "--audience", AUDIENCE, "--customer"]
    alone.cli(*common, hotel.name, "--claim", "upn")
    alone.cli(*common, group.name)
    assert [(each["issuer"], each["customer"], each["audience"], each["claim"]) for each in listed(alone)] == [
        (url, group.name, AUDIENCE, "email"), (url, hotel.name, AUDIENCE, "upn")]
    assert len(listed(alone, "--customer", group.name)) == 1
    for wrong in [[*common, hotel.name], [*common, "Nobody"],
                  ["token-issuer", "add", "http://a.example", "--audience", "a", "--customer", hotel.name],
                  ["token-issuer", "add", "https://a.example/?b", "--audience", "a", "--customer", hotel.name],
                  ["token-issuer", "add", "https://" + "a" * 300, "--audience", "a", "--customer", hotel.name],
                  ["token-issuer", "remove", "https://a.example", "--customer", hotel.name]]:
        done = alone.cli(*wrong, check=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    alone.cli("token-issuer", "remove", url, "--customer", hotel.name)
    assert [each["customer"] for each in listed(alone)] == [group.name]
