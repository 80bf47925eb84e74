"""People with a session: logins, second factors, what a cookie may do, and who may do what to whom."""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import sqlite3
import struct
import subprocess
import time
from contextlib import closing
from email import message_from_string

import pytest

from api import Api, document_of, made_key, operator
from bellhop import wait_until

PASSWORD = "a very long password"
OTHER = "another long password"


class Person:
    """Somebody with a cookie jar, which is curl's."""

    def __init__(self, instance, tmp_path, name):
        self.instance = instance
        self.jar = tmp_path / f"{name}.jar"
        self.base = f"http://127.0.0.1:{instance.ports.http}"
        self.document = document_of(instance)
        self.csrf = None
        self.headers = ""

    def ask(self, method, path, body=None, csrf=True, **headers):
        """(status, JSON or None): each answer is checked against the API's document."""
        command = ["curl", "-sSk", "--max-time", "30", "-X", method, "-b", self.jar, "-c", self.jar,
                   "-D", "-", "-H", "Expect:"]
        if csrf and self.csrf and method != "GET":
            headers.setdefault("X_CSRF_Token", self.csrf)
        for name, value in headers.items():
            command += ["-H", f"{name.replace('_', '-')}: {value}"]
        if body is not None:
            command += ["--data-binary", "@-"]
            if "Content_Type" not in headers:
                command += ["-H", "Content-Type: application/json"]
        done = subprocess.run([*command, f"{self.base}/api/v1{path}"], check=True, capture_output=True,
                              text=True, input=None if body is None else json.dumps(body))
        self.headers, _, text = done.stdout.partition("\n\n")
        status = int(self.headers.split()[1])
        self.document.check(method, "/api/v1" + path, status, message_from_string(self.headers.partition("\n")[2]), text)
        return status, json.loads(text) if text else None

    def code(self, method, path, body=None, **headers):
        """(status, code) of a problem."""
        status, problem = self.ask(method, path, body, **headers)
        return status, problem["code"]

    def login(self, login, password, code=None, **headers):
        body = {"login": login, "password": password}
        status, answer = self.ask("POST", "/login", body if code is None else {**body, "code": code},
                                  csrf=False, **headers)
        if status == 201:
            self.csrf = answer["csrf_token"]
            return answer
        return status, answer["code"]

    @property
    def cookie(self):
        return re.search(r"\tbellhop\t(\S+)", self.jar.read_text()).group(1)


def totp(secret, when=None):
    """RFC 6238, apart from what Bellhop makes its own with."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int((when or time.time()) // 30)), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 10**6:06}"


def admin_user(instance, name, *options, password=PASSWORD):
    """The login of somebody new."""
    said = instance.cli("admin-user", "add", name, *options).stdout
    login = re.search("login: (.*)", said).group(1)
    instance.cli("admin-user", "passwd", login, "--password-stdin", input=password)
    return login


@pytest.fixture
def person(instance, tmp_path):
    return lambda name="somebody": Person(instance, tmp_path, name)


def events(instance, kind):
    """(address, protocol, reason) of the pages' events."""
    found = operator_of(instance).all("/events")
    return [(event["address"], event["protocol"], event["reason"]) for event in found
            if event["kind"] == kind and event["protocol"] == "pages"]


def hashes(instance):
    text = instance.http("/metrics")[1]
    return int(re.search(r"^bellhop_auth_hashes_total (\d+)", text, re.M).group(1))


def operator_of(instance):
    if not hasattr(instance, "operator"):
        instance.operator = operator(instance)
    return instance.operator


def test_everybody_logs_in_with_one_route(instance, person):
    """An operator, two customers' admins of one name, and owners, each sees what is his."""
    hotel, group = instance.customers
    root = admin_user(instance, "root")
    ours = admin_user(instance, "anna", "--customer", hotel.name)
    theirs = admin_user(instance, "anna", "--customer", group.name, "--role", "helpdesk")
    assert root == "root" and ours != theirs
    for login, role, domains in [(root, "operator", {hotel.domain, group.domain}), (ours, "admin", {hotel.domain}),
                                 (theirs, "helpdesk", {group.domain})]:
        someone = person(login.replace("@", "-"))
        answer = someone.login(login.upper(), PASSWORD)
        assert answer["role"] == role and answer["address"] is None
        assert {item["domain"] for item in someone.ask("GET", "/domains")[1]["items"]} == domains
        self = someone.ask("GET", "/self")[1]
        assert self["name"] == login and self["id"] is None and self["csrf_token"] == someone.csrf
    account = hotel.accounts[0]
    owner = person("owner")
    assert owner.login(account.address, account.password)["role"] == "owner"
    assert owner.ask("GET", f"/addresses/{account.address}")[0] == 200
    for other in hotel.accounts[1], group.accounts[0]:
        assert owner.code("GET", f"/addresses/{other.address}") == (404, "not-found")
    assert owner.ask("GET", "/domains")[0] == 403
    wait_until(lambda: len(events(instance, "login")) == 4, what="the events of four logins")
    assert {address for address, *_ in events(instance, "login")} == {root, ours, theirs, account.address}
    assert {event["address"] for event in
            Api(instance, made_key(instance, "hotel", "--customer", hotel.name)).all("/events")
            if event["protocol"] == "pages"} == {ours, account.address}


def test_the_cookie(instance, person):
    root = admin_user(instance, "root")
    someone = person()
    someone.login(root, PASSWORD)
    cookie = next(line for line in someone.headers.splitlines() if line.lower().startswith("set-cookie"))
    attributes = {part.strip() for part in cookie.split(";")[1:]}
    assert attributes == {"Path=/", "HttpOnly", "SameSite=Strict"}
    first = someone.cookie
    assert len(first) == 43
    # Over TLS, as here a proxy's, it has the name that no other host can set.
    someone.login(root, PASSWORD, X_Forwarded_Proto="https")
    cookie = next(line for line in someone.headers.splitlines() if line.lower().startswith("set-cookie"))
    assert "__Host-bellhop=" in cookie and "; Secure" in cookie
    assert person("tls").ask("GET", "/self", X_Forwarded_Proto="https", Cookie=f"bellhop={first}")[0] == 401
    # A login takes no session over from before (fixation), and ends the one that it came with.
    someone = person("again")
    someone.login(root, PASSWORD)
    before, csrf = someone.cookie, someone.csrf
    someone.login(root, PASSWORD)
    assert someone.cookie != before and someone.csrf != csrf
    assert person("old").code("GET", "/self", Cookie=f"bellhop={before}") == (401, "no-session")
    planted = "A" * 43
    victim = person("victim")
    victim.login(root, PASSWORD, Cookie=f"bellhop={planted}")
    assert victim.cookie != planted
    # Two of that name: nobody knows who set them.
    both = f"bellhop={victim.cookie}; bellhop={planted}"
    assert person("both").ask("GET", "/self", Cookie=both)[0] == 401
    assert victim.ask("POST", "/logout")[0] == 204
    assert "Max-Age=0" in victim.headers
    assert "bellhop" not in re.sub("#.*", "", victim.jar.read_text())
    # Of these nothing but a digest is kept.
    kept = b"".join((instance.dir / name).read_bytes() for name in ("accounts.db", "accounts.db-wal"))
    assert before.encode() not in kept and before not in instance.log


def test_over_tls(stopped, tmp_path):
    """curl, as a browser, keeps a cookie of that name only from who may set it."""
    instance = stopped
    instance.configure(https_listen=f"127.0.0.1:{instance.ports.https}")
    root = admin_user(instance.start(), "root")
    someone = Person(instance, tmp_path, "tls")
    someone.base = f"https://127.0.0.1:{instance.ports.https}"
    assert someone.login(root, PASSWORD)["login"] == root
    assert "\tTRUE\t0\t__Host-bellhop\t" in someone.jar.read_text()
    assert someone.ask("GET", "/self")[0] == 200
    assert someone.ask("DELETE", "/self/sessions")[0] == 204
    assert someone.code("DELETE", "/self/sessions", Origin=f"http://127.0.0.1:{instance.ports.https}") == (403, "csrf")
    # Without TLS nobody looks at it.
    token = re.search("__Host-bellhop\t(\\S+)", someone.jar.read_text()).group(1)
    other = Person(instance, tmp_path, "plain")
    assert other.code("GET", "/self", Cookie=f"__Host-bellhop={token}") == (401, "no-key")
    assert other.login(root, PASSWORD)["login"] == root and "\tFALSE\t0\tbellhop\t" in other.jar.read_text()
    assert someone.ask("POST", "/logout")[0] == 204
    assert "__Host-bellhop" not in someone.jar.read_text()


def test_each_change_with_a_cookie_needs_the_token(instance, person):
    """From the table of routes, so that a new one is tried as well."""
    root = admin_user(instance, "root")
    someone = person()
    someone.login(root, PASSWORD)
    tried = 0
    for (method, path), operation in someone.document.operations.items():
        if method == "GET" or not operation["x-roles"]:
            continue
        path = re.sub(r"{\w+}", "1", path).removeprefix("/api/v1")
        body = {} if "requestBody" in operation else None
        for csrf in {}, {"X_CSRF_Token": "A" * 43}, {"X_CSRF_Token": ""}:
            assert someone.code(method, path, body, csrf=False, **csrf) == (403, "csrf"), (method, path)
        assert someone.code(method, path, body, Sec_Fetch_Site="same-site") == (403, "csrf")
        tried += 1
    assert tried > 30
    # What only looks needs none.
    assert someone.ask("GET", "/self")[0] == 200


def test_other_sites_ask_in_nobodys_name(instance, person):
    root = admin_user(instance, "root")
    port = instance.ports.http
    good = [{}, {"Sec_Fetch_Site": "same-origin"}, {"Origin": f"http://127.0.0.1:{port}"},
            {"Origin": "https://panel.example", "Host": "panel.example"}]
    bad = [{"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "null"},
           {"Origin": "http://127.0.0.1:1"}, {"Origin": "https://evil.example"},
           {"Origin": f"http://127.0.0.1:{port}", "Sec_Fetch_Site": "cross-site"},
           {"Origin": "http://panel.example", "Host": "panel.example", "X_Forwarded_Proto": "https"}]
    for headers in bad:
        assert person("bad").login(root, PASSWORD, **headers) == (403, "csrf"), headers
    for headers in good:
        someone = person("good")
        assert someone.login(root, PASSWORD, **headers)["login"] == root, headers
    someone.ask("GET", "/self")
    # A form can send neither JSON nor a header of its own.
    assert someone.code("POST", "/login", {}, Content_Type="text/plain") == (415, "media-type")
    assert someone.code("DELETE", "/self/sessions", Origin="https://evil.example") == (403, "csrf")


def test_unknown_and_wrong_look_alike(instance, person):
    hotel = instance.customers[0]
    login = admin_user(instance, "anna", "--customer", hotel.name)
    account = hotel.accounts[0]
    answers = set()
    before = hashes(instance)
    for name in login, "nobody", "nobody@7", account.address, f"nobody@{hotel.domain}", "nobody@elsewhere.example":
        someone = person()
        status, problem = someone.ask("POST", "/login", {"login": name, "password": "wrong password"})
        answers.add((status, json.dumps({**problem, "request": ""}, sort_keys=True)))
        assert "Set-Cookie" not in someone.headers
    assert len(answers) == 1 and answers.pop()[0] == 401
    # The first wrong password of a name costs a hash, whosever it is.
    assert hashes(instance) - before == 6
    wait_until(lambda: len(events(instance, "refused")) == 3, what="events of what is somebody's")
    # An app password opens mail and not the pages.
    phone = json.loads(instance.cli("app-password", "add", account.address, "--name", "phone",
                                    "--json").stdout)["password"]
    assert instance.pop3(account.address, phone)
    assert person().login(account.address, phone) == (401, "wrong-login")


def test_guesses_are_delayed_with_those_for_mail(instance, person):
    hotel = instance.customers[0]
    account, other = hotel.accounts[:2]
    login = admin_user(instance, "anna", "--customer", hotel.name)
    for name in account.address, login:
        for guess in range(5):
            assert person().login(name, f"guess {guess}") == (401, "wrong-login")
        someone = person()
        status, problem = someone.ask("POST", "/login", {"login": name, "password": "guess more"})
        assert (status, problem["code"]) == (429, "rate") and "Retry-After" in someone.headers
        # The same wrong one again is no guess.
        assert person().login(name, "guess 0") == (401, "wrong-login")
    assert person().login(other.address, other.password)["role"] == "owner"
    wait_until(lambda: len(events(instance, "blocked")) == 2, what="the events of two blocks")
    assert account.address in instance.cli("auth", "blocks").stdout
    instance.cli("auth", "lift", account.address)
    assert person().login(account.address, account.password)["role"] == "owner"


def test_who_is_delayed_is_let_in_again(instance, person):
    """Admin users by their customer's admin, an operator's by operators, either by the command, too."""
    hotel, group = instance.customers
    ours, theirs = (admin_user(instance, "anna", "--customer", customer.name) for customer in (hotel, group))
    boss = admin_user(instance, "boss", "--role", "operator-read")
    api = operator_of(instance)
    admin = Api(instance, made_key(instance, "admin", "--customer", hotel.name))
    ids = {item["login"]: item["id"] for item in api.all("/admin-users")}

    def delay(login, word="guess"):
        for guess in range(6):
            assert person().login(login, f"{word} {guess}")[0] == (401 if guess < 5 else 429)

    for login in ours, theirs, boss:
        delay(login)
    assert [item["address"] for item in admin.all("/blocks")] == [ours]
    assert {item["address"] for item in api.all("/blocks")} == {ours, theirs, boss}
    for login in theirs, boss:
        assert admin.delete(f"/admin-users/{ids[login]}/blocks").status == 404
        assert person().login(login, PASSWORD) == (429, "rate")
    assert admin.delete(f"/admin-users/{ids[ours]}/blocks").json["lifted"] > 0
    assert person().login(ours, PASSWORD)["role"] == "admin"
    assert api.delete(f"/admin-users/{ids[boss]}/blocks").json["lifted"] > 0
    assert person().login(boss, PASSWORD)["role"] == "operator-read"
    wait_until(lambda: {event["address"] for event in api.all("/events") if event["kind"] == "lifted"} == {ours, boss}, what="the events")
    assert theirs in instance.cli("auth", "blocks", "--customer", group.name).stdout
    instance.cli("auth", "lift", theirs.upper())
    assert person().login(theirs, PASSWORD)["role"] == "admin"
    delay(boss, "another")
    instance.cli("auth", "lift", boss)
    assert person().login(boss, PASSWORD)["role"] == "operator-read"
    for wrong in theirs, "nobody", "anna@999", "192.0.2.0/33", "a b":
        refused = instance.cli("auth", "lift", wrong, check=False)
        assert refused.returncode == 1 and refused.stderr.count("\n") == 1


def test_second_factor(instance, person):
    hotel = instance.customers[0]
    login = admin_user(instance, "anna", "--customer", hotel.name)
    someone, beside = person("one"), person("two")
    beside.login(login, PASSWORD)
    someone.login(login, PASSWORD)
    assert someone.ask("GET", "/self/second-factor")[1] == {"confirmed": None, "recovery_codes": 0}
    assert someone.code("POST", "/self/second-factor", {"password": "wrong password"}) == (403, "wrong-password")
    assert someone.code("POST", "/self/second-factor/confirm", {"code": "123456"}) == (409, "no-second-factor")
    made = someone.ask("POST", "/self/second-factor", {"password": PASSWORD})[1]
    assert made["secret"] in made["link"] and made["link"].startswith("otpauth://totp/")
    # Nothing is asked for before it is confirmed.
    assert person().login(login, PASSWORD)["second_factor"] is False
    wrong = f"{(int(totp(made['secret'])) + 1) % 10**6:06}"
    assert someone.code("POST", "/self/second-factor/confirm", {"code": wrong}) == (401, "wrong-code")
    used = totp(made["secret"])
    status, codes = someone.ask("POST", "/self/second-factor/confirm", {"code": used})
    assert status == 201 and len(codes["recovery_codes"]) == 10
    assert beside.code("GET", "/self") == (401, "no-session")
    assert someone.ask("GET", "/self/second-factor")[1]["recovery_codes"] == 10
    assert person().login(login, PASSWORD) == (401, "code-needed")
    assert person().login(login, "wrong password", totp(made["secret"])) == (401, "wrong-login")
    # The code that confirmed it is used up; the next one is good once.
    assert person().login(login, PASSWORD, used) == (401, "wrong-code")
    fresh = totp(made["secret"], time.time() + 30)
    assert person().login(login, PASSWORD, fresh)["second_factor"] is True
    assert person().login(login, PASSWORD, fresh) == (401, "wrong-code")
    recovery = codes["recovery_codes"][0]
    assert person().login(login, PASSWORD, recovery.upper().replace("-", " "))["login"] == login
    assert person().login(login, PASSWORD, recovery) == (401, "wrong-code")
    # Guesses wait, also for who has the password; another's do not.
    answers = [person().login(login, PASSWORD, f"{number:06}") for number in range(8)]
    assert answers[-1] == (429, "rate")
    assert person().login(login, PASSWORD, codes["recovery_codes"][1]) == (429, "rate")
    assert (login, "pages", "wrong code") in events(instance, "refused")
    assert (login, "pages", "too many wrong codes") in events(instance, "blocked")
    assert (login, "pages", "too many wrong codes") in events(instance, "delayed")
    instance.cli("admin-user", "set", login, "--no-second-factor")
    assert someone.code("GET", "/self") == (401, "no-session")
    assert person().login(login, PASSWORD)["second_factor"] is False


def test_recovery_codes_and_giving_it_up(instance, person):
    account = instance.customers[0].accounts[0]
    owner = person()
    owner.login(account.address, account.password)
    secret = owner.ask("POST", "/self/second-factor", {"password": account.password})[1]["secret"]
    old = owner.ask("POST", "/self/second-factor/confirm", {"code": totp(secret)})[1]["recovery_codes"]
    body = {"password": account.password, "code": old[0]}
    new = owner.ask("POST", "/self/second-factor/recovery-codes", body)[1]["recovery_codes"]
    assert not set(old) & set(new)
    body["code"] = old[1]
    assert owner.code("POST", "/self/second-factor/remove", body) == (401, "wrong-code")
    body["code"] = new[0]
    assert owner.code("POST", "/self/second-factor/remove", {**body, "password": "wrong password"}) == (
        403, "wrong-password")
    assert owner.code("POST", "/self/second-factor", {"password": account.password}) == (409, "exists")
    assert owner.ask("POST", "/self/second-factor/remove", body)[0] == 204
    # Mail never asked for it.
    assert instance.pop3(account.address, account.password)


def test_ones_own_sessions_and_password(instance, person):
    hotel, group = instance.customers
    login = admin_user(instance, "anna", "--customer", hotel.name)
    theirs = admin_user(instance, "anna", "--customer", group.name)
    first, second, third, foreign = (person(name) for name in ("1", "2", "3", "4"))
    for someone in first, second, third:
        someone.login(login, PASSWORD, User_Agent=f"Browser/{len(someone.jar.name)}\x7f")
    foreign.login(theirs, PASSWORD)
    listed = first.ask("GET", "/self/sessions")[1]["items"]
    assert len(listed) == 3 and [item["current"] for item in listed].count(True) == 1
    assert {item["remote"] for item in listed} == {"127.0.0.1"}
    assert {item["agent"] for item in listed} == {"Browser/5?"}
    page = first.ask("GET", "/self/sessions?limit=2")[1]
    assert len(page["items"]) == 2
    rest = first.ask("GET", page["next"].removeprefix("/api/v1"))[1]
    assert page["items"] + rest["items"] == listed and rest["next"] is None
    their = foreign.ask("GET", "/self/sessions")[1]["items"][0]["id"]
    assert first.code("DELETE", f"/self/sessions/{their}") == (404, "not-found")
    assert first.code("DELETE", "/self/sessions/none") == (404, "not-found")
    mine = next(item["id"] for item in second.ask("GET", "/self/sessions")[1]["items"] if item["current"])
    assert first.ask("DELETE", f"/self/sessions/{mine}")[0] == 204
    assert second.code("GET", "/self") == (401, "no-session")
    assert first.ask("DELETE", "/self/sessions")[0] == 204
    assert third.code("GET", "/self") == (401, "no-session")
    assert first.ask("GET", "/self")[0] == 200

    third.login(login, PASSWORD)
    before = first.cookie
    change = {"old_password": "wrong password", "password": OTHER}
    assert first.code("PUT", "/self/password", change) == (403, "wrong-password")
    assert first.code("PUT", "/self/password", {"old_password": PASSWORD, "password": "12345678"}) == (422, "invalid")
    status, answer = first.ask("PUT", "/self/password", {"old_password": PASSWORD, "password": OTHER})
    assert status == 200 and first.cookie != before
    first.csrf = answer["csrf_token"]
    assert first.ask("DELETE", "/self/sessions")[0] == 204
    assert third.code("GET", "/self") == (401, "no-session")
    assert person().login(login, PASSWORD) == (401, "wrong-login")
    assert person().login(login, OTHER)["login"] == login
    assert foreign.ask("GET", "/self")[0] == 200
    account = hotel.accounts[0]
    owner = person("owner")
    owner.login(account.address, account.password)
    assert owner.code("PUT", f"/addresses/{account.address}/password", {"password": OTHER}) == (403, "role")
    change = {"old_password": account.password, "password": OTHER}
    assert owner.ask("PUT", "/self/password", change)[0] == 200
    assert instance.pop3(account.address, OTHER)
    # What is about a session is not for keys, and a cookie's holder has no use for an idempotency key.
    assert operator_of(instance).get("/self/sessions").code == "session-only"
    assert first.code("POST", "/logout", Idempotency_Key="x") == (400, "malformed")


def test_a_session_is_over_after_an_hour_and_after_half_a_day(instance, person):
    login = admin_user(instance, "root")
    someone = person()

    def change(assignments, *values):
        with closing(sqlite3.connect(instance.dir / "accounts.db", timeout=20)) as database, database:
            assert database.execute(f"UPDATE session SET {assignments}", values).rowcount == 1

    def expires():
        with closing(sqlite3.connect(instance.dir / "accounts.db", timeout=20)) as database:
            return database.execute("SELECT expires FROM session").fetchone()[0]

    someone.login(login, PASSWORD)
    now = int(time.time())
    assert now + 3500 < expires() <= now + 3700
    # What is asked puts it off, at most each minute, ...
    change("seen = ?, expires = ?", now - 90, now + 100)
    assert someone.ask("GET", "/self")[0] == 200
    wait_until(lambda: expires() > now + 3500, what="the session to live on")
    # ... but not beyond its 12 hours.
    change("created = ?, seen = ?, expires = ?", now - 12 * 3600 + 200, now - 90, now + 100)
    assert someone.ask("GET", "/self")[0] == 200
    wait_until(lambda: expires() > now + 150, what="the session to live on")
    assert expires() == now + 200
    change("expires = ?", now - 1)
    assert someone.code("GET", "/self") == (401, "no-session")
    # The next login takes away what is over.
    assert person("next").login(login, PASSWORD)["login"] == login
    change("seen = seen")


def test_who_is_suspended_has_no_session(instance, person):
    hotel, group = instance.customers
    api = operator_of(instance)
    ids = {item["name"]: item["id"] for item in api.all("/customers")}
    login = admin_user(instance, "anna", "--customer", hotel.name)
    theirs = admin_user(instance, "anna", "--customer", group.name)
    account = hotel.accounts[0]
    foreign = person("foreign")
    foreign.login(theirs, PASSWORD)
    user = next(item["id"] for item in api.all("/admin-users") if item["login"] == login)
    for path, name, password in [(f"/admin-users/{user}", login, PASSWORD),
                                 (f"/addresses/{account.address}", account.address, account.password),
                                 (f"/customers/{ids[hotel.name]}", login, PASSWORD),
                                 (f"/customers/{ids[hotel.name]}", account.address, account.password)]:
        someone = person()
        someone.login(name, password)
        assert someone.ask("GET", "/self")[0] == 200
        assert api.patch(path, {"suspended": True}).status == 200
        assert someone.code("GET", "/self") == (401, "no-session")
        assert person().login(name, password) == (403, "suspended")
        assert person().login(name, "wrong password") == (401, "wrong-login")
        assert api.patch(path, {"suspended": False}).status == 200
        assert someone.code("GET", "/self") == (401, "no-session"), "a session came back"
    someone = person()
    someone.login(login, PASSWORD)
    assert api.delete(f"/admin-users/{user}").status == 204
    assert someone.code("GET", "/self") == (401, "no-session")
    assert person().login(login, PASSWORD) == (401, "wrong-login")
    assert foreign.ask("GET", "/self")[0] == 200


def test_a_bounded_key_adds_people_no_higher_than_itself(instance, person):
    """They have none of its bounds, and the audit tells whose they are."""
    hotel = instance.customers[0]
    api = operator_of(instance)
    customer = next(item["id"] for item in api.all("/customers") if item["name"] == hotel.name)
    bounds = {"networks": ["127.0.0.0/8"], "rate": 1000, "expires": "2099-01-01T00:00:00Z"}
    made = api.post("/api-keys", {"name": "bounded", "role": "admin", "customer": customer, **bounds})
    bounded = Api(instance, made.json["key"])
    for role in "operator", "operator-read":
        assert bounded.post("/admin-users", {"login": "eve", "role": role}).errors == {"/role": "role"}
    for role in "admin", "helpdesk", "customer-read":
        added = bounded.post("/admin-users", {"login": role, "role": role})
        assert added.status == 201 and added.json["customer"] == customer
        path = added.headers["Location"].removeprefix("/api/v1")
        assert bounded.patch(path, {"role": "operator"}).errors == {"/role": "role"}
        assert Api(instance).post(f"/invitations/{added.json['invitation']}", {"password": PASSWORD}).status == 204
        someone = person(role)
        assert someone.login(f"{role}@{customer}", PASSWORD)["role"] == role
        shown = someone.ask("GET", "/self")[1]
        assert shown["networks"] == [] and shown["rate"] == 0 and shown["expires"] < bounds["expires"]  # the session's
    told = [row for row in api.all(f"/audit?customer={customer}") if row["action"] == "admin-user.add"]
    assert {row["actor"] for row in told} == {"api-key bounded"} and len(told) == 3
    for role, options in ("helpdesk", []), ("customer-read", []), ("admin", ["--domain", hotel.domain]):
        lesser = Api(instance, made_key(instance, f"lesser {role}", "--role", role, "--customer", hotel.name, *options))
        assert lesser.post("/admin-users", {"login": "eve", "role": "customer-read"}).status == 403


def test_a_key_that_a_person_makes_outlives_the_login(instance, person):
    """Who is logged in has no bounds that it could inherit."""
    hotel = instance.customers[0]
    someone = person()
    someone.login(admin_user(instance, "boss", "--customer", hotel.name), PASSWORD)
    status, made = someone.ask("POST", "/api-keys", {"name": "panel", "role": "helpdesk"})
    assert status == 201 and made["expires"] is None
    for body in {"expires": "2099-01-01T00:00:00Z"}, {"expires": None}, {"rate": 5}:
        status, changed = someone.ask("PATCH", f"/api-keys/{made['id']}", body)
        assert status == 200, changed
    assert someone.ask("GET", "/self")[1]["expires"] is not None


def test_who_watches_jobs_keeps_no_other_person_from_it(instance, person):
    instance.configure(hash_operations=3, hash_memory=64 * 1024 * 1024)  # the job is there for a while
    instance.restart()
    hotel = instance.customers[0]
    api = operator_of(instance)
    customer = next(item["id"] for item in api.all("/customers") if item["name"] == hotel.name)
    rows = "address,generate\r\n" + "".join(f"g{number}@{hotel.domain},1\r\n" for number in range(20))
    job = api.ask("POST", f"/customers/{customer}/jobs", rows.encode(), Content_Type="text/csv").json["id"]
    people = [person(name) for name in ("one", "other")]
    for name, someone in zip(("one", "other"), people):
        someone.login(admin_user(instance, name), PASSWORD)
    with contextlib.ExitStack() as stack:
        def first_line(someone):
            curl = subprocess.Popen(["curl", "-sSN", "-b", someone.jar, f"{someone.base}/api/v1/jobs/{job}/events"],
                                    stdout=subprocess.PIPE, text=True)
            stack.callback(lambda: (curl.kill(), curl.wait(), curl.stdout.close()))
            return curl.stdout.readline()

        for _ in range(10):
            assert first_line(people[0]) == "retry: 2000\n"
        assert '"code":"busy"' in first_line(people[0])
        assert first_line(people[1]) == "retry: 2000\n"


def test_admin_users_over_http(instance, person):
    hotel, group = instance.customers
    api = operator_of(instance)
    ids = {item["name"]: item["id"] for item in api.all("/customers")}
    made = api.post("/admin-users", {"login": "Anna", "role": "admin", "customer": ids[hotel.name], "name": "Anna"})
    assert made.status == 201 and made.json["login"] == f"anna@{ids[hotel.name]}"
    assert made.json["password"] is False and made.json["invitation"]
    path = made.headers["Location"].removeprefix("/api/v1")
    assert "invitation" not in api.get(path).json
    # Whoever has the token chooses the password, by the same rules and with the same route as an owner.
    link = f"/invitations/{made.json['invitation']}"
    nobody = Api(instance)
    shown = nobody.get(link).json
    assert shown["login"] == made.json["login"] and shown["customer"] == hotel.name
    assert shown["address"] is None and shown["pop3_server"] is None and shown["smtp_server"] is None
    other = api.post("/admin-users", {"login": "otto", "role": "operator-read"}).json
    assert nobody.get(f"/invitations/{other['invitation']}").json["customer"] is None
    assert nobody.post(link, {"password": "12345678"}).status == 422
    assert nobody.post(link, {"password": PASSWORD}).status == 204
    assert nobody.post(link, {"password": OTHER}).status == 404
    assert api.get(path).json["password"] is True and api.get(path).json["invited_until"] is None
    theirs = api.post("/admin-users", {"login": "anna", "role": "helpdesk", "customer": ids[group.name]})
    assert theirs.status == 201
    again = {"login": "anna", "role": "helpdesk", "customer": ids[group.name]}
    assert api.post("/admin-users", again).code == "exists"
    for body in ({"login": "b", "role": "admin"}, {"login": "b", "role": "operator", "customer": ids[hotel.name]},
                 {"login": "a b", "role": "operator"}, {"login": "b", "role": "owner"},
                 {"login": "b", "role": "admin", "customer": 999999}):
        assert api.post("/admin-users", body).status == 422, body
    anna = person("anna")
    anna.login(made.json["login"], PASSWORD)
    # An admin makes people of the own customer, and nobody above.
    status, berta = anna.ask("POST", "/admin-users", {"login": "berta", "role": "helpdesk"})
    assert status == 201 and berta["customer"] == ids[hotel.name]
    none = anna.ask("POST", "/admin-users", {"login": "c", "role": "admin", "customer": 999999})
    foreign = anna.ask("POST", "/admin-users", {"login": "c", "role": "admin", "customer": ids[group.name]})
    assert none[0] == foreign[0] == 422 and none[1]["errors"] == foreign[1]["errors"]
    assert anna.ask("POST", "/admin-users", {"login": "c", "role": "operator"})[0] == 422
    own = f"/admin-users/{made.json['id']}"
    assert made.json["customer_name"] == hotel.name and made.json["invitation_link"] is None
    assert [item["id"] for item in api.all(f"/admin-users?login={made.json['login'].upper()}")] == [made.json["id"]]
    assert anna.ask("GET", f"/admin-users?login={theirs.json['login']}")[1]["items"] == []
    assert api.all("/admin-users?login=a%20b") == []
    assert {item["login"] for item in anna.ask("GET", "/admin-users")[1]["items"]} == {
        made.json["login"], berta["login"]}
    # Nobody shuts himself out, or takes his own second factor away without a code.
    for change in {"suspended": True}, {"role": "helpdesk"}:
        assert anna.code("PATCH", own, change) == (409, "self")
    for path in own, f"{own}/second-factor":
        assert anna.code("DELETE", path) == (409, "self")
    assert anna.code("POST", f"{own}/invitation", {}) == (409, "self")
    assert anna.ask("PATCH", own, {"name": "Anna A."})[1]["name"] == "Anna A."
    assert anna.code("PATCH", f"/admin-users/{theirs.json['id']}", {"name": "x"}) == (404, "not-found")
    assert anna.ask("PATCH", f"/admin-users/{berta['id']}", {"role": "operator"})[0] == 422
    # A role counts at once, in sessions that there are too.
    instance.cli("admin-user", "passwd", berta["login"], "--password-stdin", input=PASSWORD)
    other = person("berta")
    other.login(berta["login"], PASSWORD)
    assert other.ask("GET", "/admin-users")[0] == 403
    assert anna.ask("PATCH", f"/admin-users/{berta['id']}", {"role": "admin"})[0] == 200
    assert other.ask("GET", "/admin-users")[0] == 200
    # An admin's second factor is the operator's to reset, a helpdesk's the admin's.
    assert anna.code("DELETE", f"/admin-users/{berta['id']}/second-factor") == (403, "role")
    secret = other.ask("POST", "/self/second-factor", {"password": PASSWORD})[1]["secret"]
    assert other.ask("POST", "/self/second-factor/confirm", {"code": totp(secret)})[0] == 201
    assert api.delete(f"/admin-users/{berta['id']}/second-factor").status == 204
    assert other.code("GET", "/self") == (401, "no-session")
    assert other.login(berta["login"], PASSWORD)["second_factor"] is False
    status, invited = anna.ask("POST", f"/admin-users/{berta['id']}/invitation", {})
    assert status == 201 and invited["invitation"] != berta["invitation"]
    # The old one is good until then.
    assert other.ask("GET", "/self")[0] == 200
    assert anna.ask("DELETE", f"/admin-users/{berta['id']}")[0] == 204
    assert other.code("GET", "/self") == (401, "no-session")
    actors = {row["actor"] for row in api.all("/audit") if row["action"].startswith("admin-user.")}
    assert f"admin-user {made.json['login']}" in actors
    customers_own = Api(instance, made_key(instance, "group", "--customer", group.name))
    assert {item["login"] for item in customers_own.all("/admin-users")} == {theirs.json["login"]}


def test_an_owners_second_factor_is_an_admins_to_reset(instance, person):
    hotel = instance.customers[0]
    account = hotel.accounts[0]
    owner = person()
    owner.login(account.address, account.password)
    secret = owner.ask("POST", "/self/second-factor", {"password": account.password})[1]["secret"]
    owner.ask("POST", "/self/second-factor/confirm", {"code": totp(secret)})
    path = f"/addresses/{account.address}/second-factor"
    assert owner.code("DELETE", path) == (403, "role")
    admin = Api(instance, made_key(instance, "admin", "--customer", hotel.name))
    assert admin.delete(path).status == 204
    assert owner.code("GET", "/self") == (401, "no-session")
    assert owner.login(account.address, account.password)["second_factor"] is False


def test_wrong_keys_count_for_their_network(instance, person):
    """A panel's good key works from there all the same; what is on this machine counts for no network."""
    instance.stop()
    instance.configure(http_listen=f"*:{instance.ports.http}")
    instance.start()
    address = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    if not address:
        pytest.skip("this machine has no address but loopback")
    good = made_key(instance, "panel")

    def ask(key):
        done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                               f"Authorization: Bearer {key}",
                               f"http://{address[0]}:{instance.ports.http}/api/v1/self"],
                              capture_output=True, text=True, check=True)
        return int(done.stdout)

    answers = [ask(f"guess{number}") for number in range(12)]
    assert answers[:5] == [401] * 5 and answers[-1] == 429
    wait_until(lambda: "blocked rip=" in instance.log, what="the network's delay")
    assert address[0] in instance.cli("auth", "blocks").stdout
    assert ask(good) == 200


def test_the_operator_sets_a_password(instance, person):
    hotel = instance.customers[0]
    api = operator_of(instance)
    login = admin_user(instance, "carla", "--customer", hotel.name)
    carla = person()
    carla.login(login, PASSWORD)
    path = f"/admin-users/{api.all(f'/admin-users?login={login}')[0]['id']}/password"
    for body in {}, {"password": "short"}, {"password": "carla"}, {"password": OTHER, "hash": "x"}:
        assert api.ask("PUT", path, body).status == 422, body
    assert carla.ask("PUT", path, {"password": OTHER})[0] == 403 and carla.ask("GET", "/self")[0] == 200
    assert api.ask("PUT", path, {"password": OTHER}).status == 204
    # The session of before ends with the old password.
    assert carla.ask("GET", "/self")[0] == 401
    assert person("old").login(login, PASSWORD) == (401, "wrong-login")
    assert person("new").login(login, OTHER)["login"] == login


def test_logins_while_authd_is_away(instance, person):
    account = instance.customers[0].accounts[0]
    someone = person()
    someone.login(account.address, account.password)
    (pid,) = instance.pids()["authd"]
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    try:
        assert someone.ask("GET", "/self")[0] == 200
    finally:
        subprocess.run(["kill", "-CONT", str(pid)], check=True)
    subprocess.run(["kill", "-KILL", str(pid)], check=True)
    wait_until(lambda: person().login(account.address, account.password) != (503, "busy"), what="the next authd")
    assert someone.ask("GET", "/self")[0] == 200
