"""The HTTP API: keys, conventions, and what can be made, changed and removed through it."""

import concurrent.futures
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import time

import pytest

from api import UNKNOWN, Api, made_key, operator, send
from bellhop import Account, wait_gone, wait_until


@pytest.fixture(scope="module")
def api(shared):
    """An operator's, for tests that leave no trace."""
    return operator(shared)


def ids(api):
    """Of the two customers."""
    names = {item["name"]: item["id"] for item in api.all("/customers")}
    return [names[customer.name] for customer in api.instance.customers]


# --- keys


def test_a_key_is_asked_for(shared):
    for headers in {}, {"Authorization": "Basic eDp5"}, {"Authorization": "bh_x"}:
        answer = send(shared, "GET", "/api/v1/plans", headers=headers)
        assert answer.status == 401 and answer.code == "no-key"
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="bellhop"'


def test_spaces_around_a_key(api):
    for value in f"bearer  {api.key}", f"Bearer {api.key} \t":
        assert api.get("/self", Authorization=value).json["name"] == api.get("/self").json["name"]
    for value in f"Bearer {api.key} x", f"Bearer {api.key}x":
        assert api.get("/self", Authorization=value).code == "wrong-key"


def test_keys_expire_and_are_removed(instance):
    key = made_key(instance, "short", "--expires", "1")
    api = Api(instance, key)
    assert api.get("/self").json["name"] == "short"
    database = sqlite3.connect(instance.dir / "accounts.db", timeout=30)  # the last use is written too
    database.execute("UPDATE api_key SET expires = 1000")
    database.commit()
    database.close()
    answer = api.get("/self")
    assert answer.status == 401 and answer.code == "expired-key"
    instance.cli("api-key", "remove", "short")
    answer = api.get("/self")
    assert answer.status == 401 and answer.code == "wrong-key"
    assert key not in instance.log and key[3:20] not in instance.log


def test_keys_are_for_networks(shared):
    elsewhere = Api(shared, made_key(shared, "elsewhere", "--network", "192.0.2.0/24"))
    answer = elsewhere.get("/self")
    assert answer.status == 403 and answer.code == "network"
    here = Api(shared, made_key(shared, "here", "--network", "192.0.2.7", "--network", "127.0.0.0/8"))
    assert here.get("/self").json["networks"] == ["192.0.2.7", "127.0.0.0/8"]


def test_keys_have_a_rate(shared):
    slow = Api(shared, made_key(shared, "slow", "--rate", "1"))
    answers = [slow.get("/self") for _ in range(30)]
    refused = [answer for answer in answers if answer.status == 429]
    assert refused and refused[0].code == "rate" and int(refused[0].headers["Retry-After"]) >= 1
    assert answers[0].status == 200


def test_wrong_keys_are_throttled(instance):
    """After some nobody looks any more; a good key from the same address is as good as before."""
    good, wrong = operator(instance), Api(instance, UNKNOWN)
    statuses = [wrong.get("/self").status for _ in range(15)]
    assert statuses[:10] == [401] * 10 and statuses[-1] == 429
    assert int(wrong.get("/self").headers["Retry-After"]) >= 1
    assert good.get("/self").status == 200
    assert len(re.findall("refused: wrong-key", instance.log)) < 15


def test_the_last_use_is_kept(instance):
    api = operator(instance)
    assert api.get("/self").json["used"] is None

    def used():
        return [key for key in json.loads(instance.cli("api-key", "list", "--json").stdout)
                if key["used"]]

    (key,) = wait_until(used, 10, "the last use")
    assert key["used_address"] == "127.0.0.1"


def test_keys_through_the_api(instance):
    api = operator(instance)
    one, other = ids(api)
    made = api.post("/api-keys", {"name": "panel", "role": "admin", "customer": one, "rate": 1000,
                                  "networks": ["127.0.0.1"], "expires": "2099-01-01T00:00:00+01:00"})
    assert made.status == 201 and made.json["expires"] == "2098-12-31T23:00:00Z"
    panel = Api(instance, made.json["key"])
    assert panel.get("/self").json["customer"] == one
    assert api.get(made.headers["Location"].removeprefix("/api/v1")).json["name"] == "panel"
    # It makes some that reach no further.
    assert panel.post("/api-keys", {"name": "desk", "role": "helpdesk"}).status == 201
    for body, wrong in [({"role": "operator"}, "/role"), ({"role": "admin", "customer": other}, "/customer"),
                        ({"role": "admin", "domain": instance.customers[1].domain}, "/domain"),
                        ({"role": "owner"}, "/address"),
                        ({"role": "owner", "address": instance.customers[1].accounts[0].address}, "/address"),
                        ({"role": "admin", "networks": ["x"]}, "/networks/0"),
                        ({"role": "admin", "expires": "tomorrow"}, "/expires")]:
        answer = panel.post("/api-keys", {"name": "more", **body})
        assert answer.status == 422 and wrong in answer.errors, answer.text
    assert panel.post("/api-keys", {"name": "panel", "role": "admin"}).code == "exists"
    assert panel.delete(made.headers["Location"].removeprefix("/api/v1")).status == 204
    assert panel.get("/self").status == 401


# --- what is asked


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"{", 400), (b'{"name": "a", "name": "b"}', 400), (b"{}x", 400), (b'"\xff"', 400),
    (b'{"name": "\\u0000"}', 400), (b"[" * 100000, 400), (b'{"a":' * 17 + b"1" + b"}" * 17, 400),
    (b"[]", 422), (b"null", 422), (b"7", 422), (b'{"a":{"b":[[[]]]}}', 422),
])
def test_bodies(api, body, status):
    answer = api.ask("POST", "/plans", body, Content_Type="application/json")
    assert answer.status == status, answer.text


def test_all_members_are_told_at_once(api):
    answer = api.post("/plans", {"name": "x" * 40, "addresses": 0, "domains": "3", "sending": 1,
                                 "protection": "perhaps", "colour": "red", "quota_bytes": 1.5})
    assert answer.status == 422
    assert answer.errors == {"/name": "too-long", "/addresses": "range", "/domains": "type",
                             "/sending": "type", "/protection": "choice", "/colour": "unknown",
                             "/quota_bytes": "type"}
    assert api.post("/plans", {}).errors == {"/name": "missing"}
    assert api.post("/plans", {"name": "House", "quota_bytes": 65536, "message_bytes": 65537, "domains": 0}).errors == {
        "/name": "name", "/message_bytes": "range", "/domains": "range"}
    assert api.patch("/plans/house", {"quota_bytes": 65536}).errors == {"/quota_bytes": "range"}
    # A pointer of RFC 6901, and of a long name the beginning, in whole characters.
    assert api.post("/plans", {"name": "x", "a/b~c": 1}).errors == {"/a~1b~0c": "unknown"}
    assert api.post("/plans", {"name": "x", "a" + 30 * "ä": 1}).errors == {"/a" + 19 * "ä": "unknown"}
    assert api.post("/customers", {"name": "", "plan": "house"}).json["errors"] == [
        {"pointer": "/name", "code": "too-short", "detail": "it has 1 octet at least"}]


def test_the_largest_message_of_a_plan(instance):
    """Where it is not given, it is what the command line has, however large the mailbox is."""
    api = operator(instance)
    for name, quota in ("small", 100000), ("large", 5 << 30):
        made = api.post("/plans", {"name": name, "quota_bytes": quota}).json
        instance.cli("plan", "add", f"{name}-too", "--quota-bytes", str(quota))
        assert {**api.get(f"/plans/{name}-too").json, "name": name} == made


def test_null_where_nothing_is_to_be_taken_away(instance):
    """It says no more than a member that is left out; but a patch takes away what can be."""
    api = operator(instance)
    for name, methods in api.get("/meta").json["resources"].items():
        for method, schema in methods.items():
            nullable = {member for member, said in schema["properties"].items() if "null" in said["type"]}
            optional = set(schema["properties"]) - set(schema["required"])
            assert method == "PATCH" or nullable == optional, (name, method)
            assert not any(None not in said.get("enum", [None]) for member, said in schema["properties"].items()
                           if member in nullable), (name, method)
    one, _ = ids(api)
    made = api.post("/api-keys", {"name": "panel", "role": "admin", "customer": one, "domain": None, "address": None,
                                  "networks": None, "rate": None, "expires": None})
    assert made.status == 201 and made.json["networks"] == [] and made.json["rate"] == 0, made.text
    panel = Api(instance, made.json["key"])
    address = f"b@{instance.customers[0].domain}"
    assert panel.post("/api-keys", {"name": "desk", "role": "helpdesk", "customer": None}).json["customer"] == one
    assert panel.post("/addresses", {"address": address, "name": None, "targets": None, "pop3": None}).status == 201
    assert panel.post("/addresses", {"address": None}).errors == {"/address": "type"}
    assert panel.patch(f"/addresses/{address}", {"name": None, "language": None}).errors == {"/name": "type"}
    assert panel.patch(f"/addresses/{address}", {"quota_bytes": None}).status == 200


def test_what_has_passed_is_no_expiry(instance):
    api = operator(instance)
    key = api.post("/api-keys", {"name": "panel", "role": "operator", "expires": "2099-01-01T00:00:00Z"})
    path = key.headers["Location"].removeprefix("/api/v1")
    passwords = f"/addresses/{instance.customers[0].accounts[0].address}/app-passwords"
    for answer in (api.post("/api-keys", {"name": "past", "role": "operator", "expires": "2020-01-01T00:00:00Z"}),
                   api.patch(path, {"expires": "2020-01-01T00:00:00Z"}),
                   api.post(passwords, {"name": "past", "expires": "2020-01-01T00:00:00Z"})):
        assert answer.status == 422 and answer.errors == {"/expires": "past"}, answer.text
    assert api.get(path).json["expires"] == "2099-01-01T00:00:00Z"
    assert api.post(passwords, {"name": "phone", "expires": "2099-01-01T00:00:00Z"}).status == 201


def test_what_is_wrong_with_a_body_is_told(api):
    refused = api.post("/plans", {"name": "p", "addresses": 1, "domains": 1, "protection": "some"})
    assert refused.errors == {"/protection": "choice"} and ": none, mark" in refused.json["errors"][0]["detail"]
    for body, words in [(b'{"name": "p", "name": "q"}', "is there twice"), (b"{", "no JSON"),
                        (b'{"name": "p", "addresses": 99999999999999999999}', "too large"),
                        (b'{"name": "p\\u0000"}', "\\u0000"), (b'{"name": "\xe9"}', "not UTF-8"),
                        (b"", "the body is missing; one that says nothing is {}")]:
        answer = api.ask("POST", "/plans", body, Content_Type="application/json")
        assert answer.code == "malformed" and words in answer.json["detail"], answer.text


def test_media_types(api):
    assert api.ask("POST", "/plans", b"{}").status == 415
    assert api.ask("POST", "/plans", b"{}", Content_Type="text/plain").status == 415
    assert api.ask("POST", "/plans", b"{}", Content_Type="application/merge-patch+json").status == 415
    assert api.ask("PATCH", "/plans/house", b"{}", Content_Type="application/merge-patch+json").status == 200
    assert api.ask("PATCH", "/plans/house", b"{}", Content_Type="application/json").status == 200
    bodies = {method: operation["requestBody"]["content"] for method, operation
              in api.get("/openapi.json").json["paths"]["/api/v1/plans/{plan}"].items() if "requestBody" in operation}
    assert set(bodies["patch"]) == {"application/json", "application/merge-patch+json"}
    coded = api.ask("POST", "/plans", b"{}", Content_Type="application/json", Content_Encoding="gzip")
    assert coded.status == 415 and "Content-Encoding" in coded.json["detail"]
    assert api.ask("POST", "/plans", b"{}", Content_Type="application/json", Content_Encoding="identity").status == 422
    assert api.get("/plans", Accept="text/html").status == 406
    assert api.get("/plans", Accept="text/html, application/*;q=0.5").status == 200


def test_methods_and_paths(api):
    answer = api.ask("PUT", "/plans")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, POST"
    for path in "/nothing", "/plans/", "/plans/house/x", "/plans/%2e%2e", "/plans/%00", "/plans/%ff":
        assert api.get(path).status == 404
    head = api.ask("HEAD", "/plans/house")
    assert head.status == 200 and head.text == "" and head.headers["ETag"]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "limit=1&limit=2", "colour=red",
                                   "cursor=%21", "cursor=", "cursor=AAAA", "fields=nothing", "fields",
                                   "customer=x", "customer=0", "domain=x%20y", "kind=person"])
def test_queries(api, query):
    answer = api.get("/addresses?" + query)
    assert answer.status == 400 and answer.code == "query", answer.text


@pytest.mark.parametrize("query, told", [
    ("colour=red", 'no parameter "colour"'), ("fields", '"fields" without a value'),
    ("%22%ff=1", "a parameter that is none"), (f"{'x' * 41}=1", "a parameter that is none"),
    ("fields=address,colour", '"colour"')])
def test_what_is_wrong_with_a_query_is_told(api, query, told):
    assert told in api.get("/addresses?" + query).json["detail"]


def test_a_query_that_is_no_utf8(shared, api):
    """Its octets are not in the answer, which is JSON all the same."""
    with raw(shared) as client:
        client.sendall(b"GET /api/v1/plans?\xff=1&\xff=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                       b"Authorization: Bearer " + api.key.encode() + b"\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert b" 400 " in answer and json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "query"


def test_request_ids(api):
    assert api.get("/self", X_Request_Id="panel-7.1").headers["X-Request-Id"] == "panel-7.1"
    for given in "a b", "x" * 65, "ä".encode().decode("latin-1"), "":
        drawn = api.get("/self", X_Request_Id=given).headers["X-Request-Id"]
        assert re.fullmatch("[0-9a-f]{24}", drawn)
    assert api.get("/nothing", X_Request_Id="panel-8").json["request"] == "panel-8"


def test_security_headers(api):
    headers = api.get("/self").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


# --- conventions


def test_etags(instance):
    api = operator(instance)
    path = "/addresses/" + instance.customers[0].accounts[0].address
    first = api.get(path)
    assert api.get(path, If_None_Match=first.headers["ETag"]).status == 304
    assert api.get(path, If_None_Match='"other"').status == 200
    assert api.get(path + "?fields=name").headers["ETag"] == first.headers["ETag"]
    changed = api.patch(path, {"name": "Anna"}, If_Match=first.headers["ETag"])
    assert changed.status == 200 and changed.headers["ETag"] != first.headers["ETag"]
    for stale in first.headers["ETag"], "W/" + changed.headers["ETag"]:
        answer = api.patch(path, {"name": "Berta"}, If_Match=stale)
        assert answer.status == 412 and answer.code == "changed"
        assert api.delete(path, If_Match=stale).status == 412
    assert api.get(path).json["name"] == "Anna"
    bare = api.patch(path, {"name": "Berta"}, If_Match=changed.headers["ETag"].strip('"'))
    assert bare.status == 412 and "quotes" in bare.json["detail"]
    # What has no ETag is none that was seen.
    assert api.ask("PUT", path + "/password", {"password": "a long password"},
                   If_Match=changed.headers["ETag"]).status == 412
    assert api.delete(path, If_Match=f'"x", {changed.headers["ETag"]}').status == 204
    assert api.get(path).status == 404


def test_a_request_is_done_once(instance):
    api, other = operator(instance), Api(instance, made_key(instance, "other"))
    address = "new@" + instance.customers[0].domain
    body = {"address": address, "app_password": "phone"}
    first = api.post("/addresses", body, Idempotency_Key="one")
    assert first.status == 201
    again = api.post("/addresses", body, Idempotency_Key="one")
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert api.post("/addresses", {"address": "b@" + instance.customers[0].domain},
                    Idempotency_Key="one").code == "idempotency-key-reused"
    assert other.post("/addresses", body, Idempotency_Key="one").code == "exists"
    assert api.post("/addresses", body, Idempotency_Key="a b").status == 400
    # Also after a crash; and what was shown once is in no file.
    pid = instance.pids()["admin"][0]
    os.kill(pid, signal.SIGKILL)
    wait_gone(pid)
    wait_until(lambda: send(instance, "GET", "/healthz").status == 200, 20, "admin")
    assert api.post("/addresses", body, Idempotency_Key="one").text == first.text
    instance.stop()
    for file in instance.dir.glob("accounts.db*"):
        assert first.json["app_password"].encode() not in file.read_bytes()


def test_a_request_that_would_be_refused_now_is_answered_again(instance):
    api = operator(instance)
    customer = instance.customers[0].name
    maker = Api(instance, made_key(instance, "maker", "--role", "admin", "--customer", customer))
    number = maker.get("/self").json["id"]
    body = {"name": "made", "role": "admin", "expires": "2090-01-01T00:00:00Z"}
    first = maker.post("/api-keys", body, Idempotency_Key="one")
    assert first.status == 201
    assert api.patch(f"/api-keys/{number}", {"expires": "2080-01-01T00:00:00Z"}).status == 200
    again = maker.post("/api-keys", body, Idempotency_Key="one")
    assert (again.status, again.text) == (201, first.text)
    assert maker.post("/api-keys", {**body, "name": "other"}).errors == {"/expires": "reach"}
    assert maker.post("/api-keys", {"name": 1}, Idempotency_Key="one").code == "idempotency-key-reused"


def test_a_refused_request_is_tried_again(instance):
    api = operator(instance)
    (customer, _) = ids(api)
    body = {"domain": "later.example", "customer": customer}
    instance.cli("domain", "add", "later.example", "--customer", instance.customers[1].name)
    assert api.post("/domains", body, Idempotency_Key="k").status == 409
    instance.cli("domain", "remove", "later.example")
    assert api.post("/domains", body, Idempotency_Key="k").status == 201


def test_pages(instance):
    api = operator(instance)
    domain = instance.customers[1].domain
    for number in range(20):
        assert api.post("/addresses", {"address": f"p{number}@{domain}"}).status == 201
    everything = api.all("/addresses")
    assert api.all("/addresses", limit=3) == everything
    assert sorted(item["address"] for item in everything) == sorted(
        [f"p{number}@{domain}" for number in range(20)] +
        [account.address for customer in instance.customers for account in customer.accounts])
    of_domain = api.all(f"/addresses?domain={domain}", limit=7)
    assert [item for item in everything if item["address"].endswith(domain)] == of_domain
    some = api.get("/addresses?fields=address,kind&limit=2").json["items"]
    assert [set(item) for item in some] == [{"address", "kind"}] * 2
    # What goes in between moves nothing.
    page = api.get(f"/addresses?domain={domain}&limit=5").json
    api.delete("/addresses/" + page["items"][4]["address"])
    following = api.get(page["next"].removeprefix("/api/v1")).json["items"]
    assert following == of_domain[5:10]


# --- resources


def test_a_customer_from_the_plan_to_the_mail(instance):
    """All that a panel does for a new customer; then mail comes, is fetched, and all is removed."""
    api = operator(instance)
    assert api.post("/plans", {"name": "inn", "addresses": 3, "domains": 1}).status == 201
    assert api.get("/plans/inn").json["sending"] is True
    made = api.post("/customers", {"name": "Zum Löwen", "plan": "inn", "language": "de"})
    path = made.headers["Location"].removeprefix("/api/v1")
    domain = api.post("/domains", {"domain": "LÖWEN.example", "customer": made.json["id"]})
    assert domain.json["domain"] == "xn--lwen-5qa.example"
    assert api.post("/domains", {"domain": "zwei.example", "customer": made.json["id"]}).code == "limit"
    assert api.get("/domains/l%C3%B6wen.example").json == domain.json

    owner = api.post("/addresses", {"address": "Wirt@Löwen.example", "name": "Der Wirt",
                                    "password": "ein langes Passwort"})
    assert owner.json["address"] == "wirt@xn--lwen-5qa.example" and owner.json["password"]
    guest = api.post("/addresses", {"address": "gast@löwen.example", "app_password": "Telefon"})
    alias = api.post("/addresses", {"address": "info@löwen.example",
                                    "targets": [owner.json["address"], "gast@löwen.example"]})
    assert alias.json["targets"] == ["gast@xn--lwen-5qa.example", "wirt@xn--lwen-5qa.example"]
    assert api.post("/addresses", {"address": "mehr@löwen.example"}).code == "limit"

    reply, = instance.deliver([alias.json["address"]], b"Subject: a\r\n\r\nb\r\n")
    assert reply.code == 250
    accounts = [Account(owner.json["address"], "ein langes Passwort"),
                Account(guest.json["address"], guest.json["app_password"])]
    assert [len(instance.messages(account)) for account in accounts] == [1, 1]
    usage = api.get(f"/addresses/{accounts[0].address}/usage").json
    assert usage["used_messages"] == 1 and usage["used_bytes"] > 0

    assert api.patch(path, {"suspended": True}).json["suspended"] is True
    events = wait_until(lambda: [event for event in api.all(f"/events?customer={made.json['id']}")
                                 if event["kind"] == "login"], 20, "the logins")
    assert {event["address"] for event in events} == {account.address for account in accounts}
    audit = api.all(f"/audit?customer={made.json['id']}")
    assert audit[0]["action"] == "customer.suspend" and audit[0]["actor"] == "api-key operator"
    assert audit[0]["remote"] == "127.0.0.1" and audit[0]["request"]
    assert api.delete("/plans/inn").code == "in-use"
    assert api.delete(path).status == 204
    assert api.get(path).status == 404
    assert api.delete("/plans/inn").code == "in-use"  # of who can be restored
    [removal] = json.loads(instance.cli("removed", "list", "--json").stdout)
    instance.cli("removed", "purge", removal["id"])
    assert api.delete("/plans/inn").status == 204


def test_passwords(instance):
    api = operator(instance)
    account = instance.customers[0].accounts[0]
    path = f"/addresses/{account.address}"
    assert api.ask("PUT", path + "/password", {"password": "kurz"}).errors == {"/password": "password"}
    assert api.ask("PUT", path + "/password", {"password": "lang genug", "hash": "x"}).status == 422
    assert api.ask("PUT", path + "/password", {"password": "lang genug"}).status == 204
    assert instance.messages(Account(account.address, "lang genug")) == {}
    drawn = api.post(path + "/password", {}).json["password"]
    assert instance.messages(Account(account.address, drawn)) == {}
    assert api.delete(path + "/password").status == 204
    assert api.get(path).json["password"] is False
    invited = api.post(path + "/invitation", {})
    assert invited.status == 201 and api.get(path).json["invited_until"] == invited.json["invited_until"]
    made = api.post(path + "/app-passwords", {"name": "a/b ä", "smtp": False})
    assert instance.messages(Account(account.address, made.json["password"])) == {}
    (listed,) = api.all(path + "/app-passwords")
    assert (listed["name"], listed["pop3"], listed["smtp"]) == ("a/b ä", True, False)
    assert api.post(path + "/app-passwords", {"name": "a/b ä"}).code == "exists"
    assert api.delete(path + "/app-passwords/a%2Fb%20%C3%A4").status == 204
    assert api.all(path + "/app-passwords") == []
    for secret in drawn, made.json["password"], invited.json["invitation"]:
        assert secret not in instance.log


def test_addresses_that_cannot_be(api):
    domain = api.instance.customers[0].domain
    there = api.instance.customers[0].accounts[0].address
    theirs = api.instance.customers[1].accounts[0].address
    for body, wrong in [({"address": "x"}, "/address"), ({"address": "a@nobody.example"}, "/address"),
                        ({"address": f"a@{domain}", "targets": []}, "/targets"),
                        ({"address": f"a@{domain}", "targets": [theirs]}, "/targets"),
                        ({"address": f"a@{domain}", "targets": ["x"]}, "/targets/0"),
                        ({"address": f"a@{domain}", "targets": [there], "name": "A"}, "/name"),
                        ({"address": f"a@{domain}", "hash": "{NONE}x"}, "/hash"),
                        ({"address": f"a@{domain}", "name": "a\nb"}, "/name")]:
        answer = api.post("/addresses", body)
        assert answer.status == 422 and wrong in answer.errors, answer.text
    assert api.post("/addresses", {"address": there}).code == "exists"


def test_changes_while_another_program_writes(instance):
    """What waits for the writer delays nobody who reads."""
    api = operator(instance)
    path = "/addresses/" + instance.customers[0].accounts[0].address
    blocker = sqlite3.connect(instance.dir / "accounts.db", timeout=30, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        change = pool.submit(api.patch, path, {"name": "Late"})
        for _ in range(5):
            begin = time.monotonic()
            assert api.get(path).json["name"] != "Late"
            assert time.monotonic() - begin < 3
        assert not change.done()
        blocker.rollback()
        assert change.result(20).json["name"] == "Late"
    blocker.close()


def test_many_at_once(instance):
    """Each has its own answer, and each change is there."""
    api = operator(instance)
    instance.cli("plan", "set", instance.customers[1].plan, "--addresses", "100")
    domain = instance.customers[1].domain
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: api.post("/addresses", {"address": f"m{n % 60}@{domain}"}),
                                range(80)))
    assert sorted(answer.status for answer in answers) == [201] * 60 + [409] * 20
    assert len([item for item in api.all(f"/addresses?domain={domain}")
                if item["address"].startswith("m")]) == 60


# --- bodies, time and connections


def raw(instance):
    return socket.create_connection(("127.0.0.1", instance.ports.http), 40)


def head(api, length, path="/api/v1/plans"):
    return (f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.key}\r\n"
            f"Content-Type: application/json\r\n{length}\r\n\r\n").encode()


def test_large_bodies(api):
    most = b'{"name":"' + b"x" * ((1 << 20) - 11) + b'"}'
    assert len(most) == 1 << 20
    assert api.ask("POST", "/plans", most, Content_Type="application/json").errors == {"/name": "too-long"}
    with raw(api.instance) as client:
        client.sendall(head(api, f"Content-Length: {(1 << 20) + 1}"))
        assert b" 413 " in client.recv(4096)
    with raw(api.instance) as client:
        client.sendall(head(api, "Transfer-Encoding: chunked"))
        try:
            for _ in range(40):
                client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            client.sendall(b"0\r\n\r\n")
            answer = client.recv(4096)
        except ConnectionError:
            answer = b""
        assert answer == b"" or b" 413 " in answer
    assert api.get("/self").status == 200


def test_what_is_expected_is_refused_at_once(api):
    with raw(api.instance) as client:
        client.sendall(head(api, "Content-Length: 10\r\nExpect: 100-continue")
                       .replace(api.key.encode(), b"x"))
        assert b" 401 " in client.recv(4096)
    with raw(api.instance) as client:
        client.sendall(head(api, "Content-Length: 2\r\nExpect: 100-continue"))
        assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"{}")
        assert b" 422 " in client.recv(4096)


def test_a_refused_body_leaves_the_connection(api):
    with raw(api.instance) as client:
        for _ in range(3):
            client.sendall(head(api, "Content-Length: 5").replace(b"json", b"text") + b"hello")
            assert b" 415 " in client.recv(4096)


# --- the document


def test_the_document_says_what_is_served(api):
    document = api.document
    assert document.text["openapi"] == "3.1.0"
    names = [operation["operationId"] for operation in document.operations.values()]
    assert len(names) == len(set(names)) > 30
    for (method, path), operation in document.operations.items():
        wanted = {"/livez", "/readyz", "/healthz", "/metrics", "/api/v1/openapi.json"}
        if path == "/api/v1/invitations/{token}":
            assert operation["x-roles"] == [] and send(api.instance, "GET", path).status == 404
            continue
        if path == "/api/v1/login":
            assert operation["x-roles"] == [] and send(api.instance, method, path).status == 400
            continue
        assert (path in wanted) == (operation["x-roles"] == []), path
        # Each is there: a key is asked for, and not what else might be wrong.
        concrete = re.sub(r"\{\w+\}", "x", path)
        answer = send(api.instance, method, concrete)
        assert answer.status in ((200,) if path in wanted else (401,)), (method, path, answer.text)
    for name, schema in document.text["components"]["schemas"].items():
        used = json.dumps(document.text["paths"]) + json.dumps(document.text["components"])
        assert f'schemas/{name}"' in used, f"{name} is used nowhere"


def test_the_document_says_who_is_asked_for_what(api):
    """A key or a session, for some routes a session alone, and for what is open nothing."""
    text = api.document.text
    assert text["security"] == [{"key": []}, {"session": []}]
    assert set(text["components"]["securitySchemes"]) == {"key", "session"}
    for (method, path), operation in api.document.operations.items():
        security = operation.get("security", text["security"])
        # A session's answers are not kept.
        assert security == text["security"] or not any(parameter["name"] == "Idempotency-Key"
                                                       for parameter in operation["parameters"]), path
        if method != "GET" or "{" in path:
            continue
        answer = send(api.instance, method, path, None, {"Authorization": f"Bearer {api.key}"})
        only = answer.status == 403 and answer.json["code"] == "session-only"
        assert only == (security == [{"session": []}]), path
        assert (security == []) == (operation["x-roles"] == []), path


def test_rubbish_does_not_come_back_larger(api):
    body = {f"member{number}": number for number in range(20000)}
    answer = api.post("/plans", body)
    assert answer.status == 422 and len(answer.json["errors"]) == 100 and len(answer.text) < 20000


def test_meta_says_what_can_be_set(api):
    meta = api.get("/meta").json
    assert meta["limits"]["app_passwords"] == 100
    assert {"api_keys", "admin_users", "webhooks", "trusted_networks", "token_issuers", "jobs"} <= set(meta["limits"])
    assert meta["limits"]["password_least_characters"] == 8
    password = f"/addresses/{api.instance.customers[0].accounts[0].address}/password"
    assert api.ask("PUT", password, {"password": "zqäöü8!"}).errors == {"/password": "password"}  # 7, of 10 octets
    # There is one for each route that takes a body, though three have a password.
    bodies = [("/".join(re.findall(r"(?<=/)[^/{]+", path.removeprefix("/api/v1"))), method)
              for (method, path), operation in api.document.operations.items()
              if any(content.get("schema", {}).get("properties")
                     for content in operation.get("requestBody", {"content": {}})["content"].values())]
    assert sorted(bodies) == sorted((name, method) for name, methods in meta["resources"].items()
                                    for method in methods)
    for name, members in (("addresses", {"password", "hash"}), ("self", {"old_password", "password"}),
                          ("admin-users", {"password"})):
        assert set(meta["resources"][name + "/password"]["PUT"]["properties"]) == members
    made = meta["resources"]["plans"]["POST"]
    assert made["required"] == ["name"] and made["properties"]["protection"]["enum"] == [
        "none", "mark", "refuse", None]
    assert {"plans", "customers", "domains", "addresses", "addresses/app-passwords", "api-keys"} <= set(
        meta["resources"])
    for resource, methods in meta["resources"].items():
        for method, schema in methods.items():
            assert all(member.get("description") for member in schema["properties"].values()), resource


def test_meta_says_what_is_where_nothing_is_said(instance):
    api = operator(instance)
    resources = api.get("/meta").json["resources"]
    preset = {name: {member: said["default"] for member, said in methods["POST"]["properties"].items()
                     if "default" in said} for name, methods in resources.items() if "POST" in methods}
    plan = api.post("/plans", {"name": "as-it-comes"})
    assert plan.status == 201 and {"name": "as-it-comes", **preset["plans"]} == plan.json
    domain = api.instance.customers[0].domain
    made = api.post("/addresses", {"address": f"plain@{domain}"}).json
    assert preset["addresses"] == {"pop3": made["pop3"], "smtp": made["smtp"], "invite": "invitation" in made}
    drawn = api.post(f"/addresses/plain@{domain}/app-passwords", {"name": "telephone"}).json
    assert preset["addresses/app-passwords"] == {"pop3": drawn["pop3"], "smtp": drawn["smtp"]}
    # A change leaves what it does not name as it is.
    assert not any("default" in said for methods in resources.values()
                   for said in methods.get("PATCH", {"properties": {}})["properties"].values())


def test_meta_says_what_the_key_may_set(instance):
    api = operator(instance)
    everything = set(api.get("/meta").json["resources"])
    customer = ids(api)[0]
    seen = {}
    for role in "operator-read", "admin", "helpdesk", "customer-read":
        body = {"name": f"form {role}", "role": role}
        key = api.post("/api-keys", body if role == "operator-read" else {**body, "customer": customer}).json["key"]
        seen[role] = set(api.ask("GET", "/meta", Authorization=f"Bearer {key}").json["resources"])
    assert "plans" in everything and "plans" not in seen["admin"] and "domains" in seen["admin"]
    assert "addresses/password" in seen["helpdesk"] and "addresses" not in seen["helpdesk"]
    body = {"name": "of one", "role": "admin", "customer": customer, "domain": instance.customers[0].domain}
    key = api.post("/api-keys", body).json["key"]
    one = api.ask("GET", "/meta", Authorization=f"Bearer {key}").json["resources"]
    assert "POST" not in one.get("domains", {}) and {"addresses", "addresses/password"} <= set(one)
    assert "addresses/password" not in seen["customer-read"] and seen["operator-read"] < everything


def test_meta_says_how_long_texts_are(api):
    for resource, path in ("plans", "/plans"), ("customers", "/customers"), ("api-keys", "/api-keys"), \
            ("webhooks", "/webhooks"), ("admin-users", "/admin-users"):
        for member, said in api.get("/meta").json["resources"][resource]["POST"]["properties"].items():
            if "string" not in said["type"] or "enum" in said or "format" in said:
                continue
            for length, code in (said["maxLength"], "too-long"), (said["maxLength"] + 1, "too-long"), \
                    (said["minLength"], "too-short"), (said["minLength"] - 1, "too-short"):
                if length < 0:
                    continue
                errors = api.post(path, {member: "x" * length, "no": 1}).errors
                within = said["minLength"] <= length <= said["maxLength"]
                assert (errors.get("/" + member) == code) != within, (resource, member, length, errors)


def test_sessions(instance):
    """Seen and ended, each customer's for itself."""
    api = operator(instance)
    mine, theirs = (customer.accounts[0] for customer in instance.customers)
    first, second = instance.pop3(mine, tls=True), instance.pop3(theirs)
    found = {item["address"]: item for item in api.all("/sessions")}
    assert set(found) == {mine.address, theirs.address}
    assert found[mine.address]["tls"] == "TLSv1.3" and found[mine.address]["remote"] == "127.0.0.1"
    admin = Api(instance, made_key(instance, "admin", "--customer", instance.customers[0].name))
    assert [item["address"] for item in admin.all("/sessions")] == [mine.address]
    (item,) = admin.all(f"/addresses/{mine.address}/sessions")
    assert item["session"] == found[mine.address]["session"]
    assert admin.delete(f"/addresses/{mine.address}/sessions").status == 204
    wait_until(lambda: admin.all("/sessions") == [], 5, "the end of the session")
    assert second.stat() == (0, 0)
    assert len(api.all("/sessions", limit=1)) == 1
    assert api.delete(f"/customers/{ids(api)[1]}/sessions").status == 204
    wait_until(lambda: api.all("/sessions") == [], 5, "the end of the other")
    for pop3 in first, second:
        pop3.close()


def test_token_issuers(instance):
    api = operator(instance)
    mine, theirs = (f"/customers/{customer}/token-issuers" for customer in ids(api))
    made = api.post(mine, {"issuer": "https://login.example/a", "audience": "mail"})
    assert made.status == 201 and made.json["claim"] == "email" and made.json["fetched"] is None
    assert api.post(mine, {"issuer": "https://login.example/a", "audience": "mail"}).code == "exists"
    assert api.post(mine, {"issuer": "http://login.example", "audience": "mail"}).errors == {"/issuer": "issuer"}
    assert api.post(mine, {}).errors == {"/issuer": "missing", "/audience": "missing"}
    assert [item["issuer"] for item in api.all(mine)] == ["https://login.example/a"]
    assert api.all(theirs) == []
    name = "/https%3A%2F%2Flogin.example%2Fa"
    assert api.delete(theirs + name).status == 404
    assert api.delete(mine + name).status == 204 and api.all(mine) == []
    for number in range(16):
        assert api.post(mine, {"issuer": f"https://{number}.example", "audience": "mail"}).status == 201
    assert api.post(mine, {"issuer": "https://more.example", "audience": "mail"}).code == "limit"
