"""Webhooks over the HTTP API: as on the command line, with tests and another secret."""

import hashlib
import hmac
import threading

import pytest

from api import Api, made_key, operator
from test_webhooks import authority, receiver, serving, told, types, wait  # noqa: F401

pytestmark = pytest.mark.usefixtures("serving")


class Panels:
    """The operator's, and an admin's of each customer."""

    def __init__(self, instance, receiver):
        self.operator = operator(instance)
        self.base = f"https://localhost:{receiver.port}"
        self.ids = {item["name"]: item["id"] for item in self.operator.all("/customers")}
        self.one, self.two = (Api(instance, made_key(instance, name, "--role", "admin", "--customer", name))
                              for name in ("one", "two"))

    def add(self, api, path, **members):
        made = api.post("/webhooks", {"url": self.base + path, **members})
        assert made.status == 201, made.text
        assert made.headers["Location"] == f"/api/v1/webhooks/{made.json['id']}"
        return made.json


@pytest.fixture
def panels(serving, receiver):  # noqa: F811
    return Panels(serving, receiver)


def fits(request, secret):
    """How many of its signatures are made with it."""
    moment, *signatures = (part.split("=", 1)[1] for part in request.headers["Bellhop-Signature"].split(","))
    signed = hmac.new(secret.encode(), moment.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    return signatures.count(signed)


def test_each_is_told_of_its_own(panels, receiver):  # noqa: F811
    mine = panels.add(panels.one, "/one", events=["address.*", "webhook.add"])
    panels.add(panels.two, "/two")
    all_of_it = panels.add(panels.operator, "/all")
    assert mine["events"] == ["address.*", "webhook.add"] and mine["customer"] == panels.ids["one"]
    assert all_of_it["events"] == ["*"] and all_of_it["customer"] is None
    assert panels.one.post("/addresses", {"address": "b@one.example"}).status == 201
    wait(lambda: types(receiver, "/all")[-1:] == ["address.add"])
    wait(lambda: types(receiver, "/one") == ["webhook.add", "address.add"])
    assert types(receiver, "/two") == ["webhook.add"]
    request = next(request for request in receiver.requests if request.path == "/one")
    assert fits(request, mine["secret"]) == 1 and fits(request, all_of_it["secret"]) == 0
    wait(lambda: panels.one.get(f"/webhooks/{mine['id']}").json["cursor"] == told(receiver, "/one")[-1]["cursor"])
    shown = panels.one.get(f"/webhooks/{mine['id']}").json
    assert shown["status"] == 204 and shown["answered"] and shown["failing"] is None
    assert "secret" not in shown
    assert [item["id"] for item in panels.one.all("/webhooks")] == [mine["id"]]
    assert len(panels.operator.all("/webhooks")) == 3
    assert [item["id"] for item in panels.operator.all(f"/webhooks?customer={panels.ids['one']}")] == [mine["id"]]


def test_what_is_wrong_is_said(panels):
    one = panels.one
    for body, errors in [
            ({}, {"/url": "missing"}),
            ({"url": "ftp://a.example"}, {"/url": "url"}),
            ({"url": "https://a"}, {"/url": "too-short"}),
            ({"url": "https://u:p@a.example", "events": ["*", "a"]}, {"/url": "url", "/events/1": "choice"}),
            ({"url": "https://a.example", "events": ["alias.*,alias.set"]}, {"/events/0": "choice"}),
            ({"url": "https://a.example", "events": ["*", 7]}, {"/events": "type"}),
            ({"url": "https://a.example", "events": 50 * ["customer.resume"]}, {"/events": "too-long"}),
            ({"url": "https://a.example", "customer": panels.ids["two"]}, {"/customer": "no-customer"}),
            ({"url": "https://a.example", "customer": 999999}, {"/customer": "no-customer"})]:
        answer = one.post("/webhooks", body)
        assert answer.status == 422 and answer.errors == errors, answer.text
    assert panels.operator.post("/webhooks", {"url": "https://a.example", "customer": 999999}).status == 422
    made = panels.add(one, "/one")
    path = f"/webhooks/{made['id']}"
    again = one.post("/webhooks", {"url": made["url"]})
    assert again.code == "exists" and "with this URL" in again.json["detail"]
    assert one.post(f"{path}/replay", {}).errors == {"/cursor": "either"}
    assert one.post(f"{path}/replay", {"cursor": 1, "time": "2026-01-01T00:00:00Z"}).status == 422
    assert one.post(f"{path}/secret", {"overlap_seconds": 999999}).status == 422
    assert one.patch(path, {"events": []}).status == 422
    wrong = one.patch(path, {"events": ["alias.add", "alias.ad"]}).json["errors"][0]
    assert wrong["pointer"] == "/events/1" and "there are alias.*, alias.add, alias.set" in wrong["detail"]
    for other in path, f"{path}/deliveries":
        assert panels.two.get(other).status == 404
    assert panels.two.post(f"{path}/secret", {}).status == 404
    for number in range(1, 20):
        panels.add(one, f"/more/{number}")
    assert one.post("/webhooks", {"url": panels.base + "/21"}).code == "limit"


def test_slow_receivers_of_some_hold_up_nobody_else(panels, receiver):  # noqa: F811
    """And those of one customer who are told at once take turns."""
    answer = threading.Event()
    for number in range(20):
        receiver.answers[f"/slow/{number}"] = lambda: answer.wait(60) and (204, b"")
        for api in panels.one, panels.two:
            panels.add(api, f"/slow/{number}", events=["address.add"])
    try:
        for name in "one", "two":
            assert panels.operator.post("/addresses", {"address": f"b@{name}.example"}).status == 201
        wait(lambda: len(receiver.requests) == 8)
        panels.add(panels.operator, "/all", events=["webhook.add"])
        wait(lambda: receiver.count("/all"))
        asked = [request.path for request in receiver.requests]
        assert len(asked[:asked.index("/all")]) == 8 and len(set(asked[:8])) >= 4
    finally:
        answer.set()
    for number in range(20):
        wait(lambda: receiver.count(f"/slow/{number}") >= 2)  # noqa: B023: of both customers


def test_switched_off_and_on(panels, receiver):  # noqa: F811
    """What it has missed is listed, and told when it is on again; or skipped, or told twice."""
    made = panels.add(panels.one, "/one", events=["address.add"])
    path = f"/webhooks/{made['id']}"
    off = panels.one.patch(path, {"enabled": False})
    assert off.json["enabled"] is False and off.json["next_try"] is None
    for name in "b", "c":
        assert panels.one.post("/addresses", {"address": f"{name}@one.example"}).status == 201
    assert panels.two.post("/addresses", {"address": "b@two.example"}).status == 201
    waiting = panels.one.all(f"{path}/deliveries", limit=1)
    assert [(item["type"], item["object"]) for item in waiting] == [
        ("address.add", "b@one.example"), ("address.add", "c@one.example")]
    assert told(receiver, "/one") == []
    etag = off.headers["ETag"]
    assert panels.one.patch(path, {"enabled": True}, If_Match='"other"').status == 412
    assert panels.one.patch(path, {"enabled": True}, If_Match=etag).json["enabled"] is True
    wait(lambda: [event["object"] for event in told(receiver, "/one")] == ["b@one.example", "c@one.example"])
    wait(lambda: panels.one.all(f"{path}/deliveries") == [])
    key = {"Idempotency_Key": "again"}
    for _ in range(2):
        assert panels.one.post(f"{path}/replay", {"cursor": waiting[1]["cursor"]}, **key).status == 204
    wait(lambda: len(told(receiver, "/one")) == 3)
    assert told(receiver, "/one")[2] == told(receiver, "/one")[1]
    assert panels.one.post(f"{path}/replay", {"time": "2026-01-01T00:00:00Z"}).status == 204
    wait(lambda: len(told(receiver, "/one")) == 5)
    assert panels.one.delete(path).status == 204
    assert panels.one.get(path).status == 404


@pytest.mark.parametrize("ahead", [{"cursor": 2**63 - 1}, {"time": "9999-12-31T23:59:59Z"}])
def test_a_replay_from_ahead_misses_nothing_that_comes(panels, receiver, ahead):  # noqa: F811
    made = panels.add(panels.one, "/one", events=["address.add"])
    assert panels.one.patch(f"/webhooks/{made['id']}", {"enabled": False}).status == 200
    assert panels.one.post("/addresses", {"address": "b@one.example"}).status == 201
    assert panels.one.post(f"/webhooks/{made['id']}/replay", ahead).status == 204
    assert panels.one.all(f"/webhooks/{made['id']}/deliveries") == []
    assert panels.one.post("/addresses", {"address": "c@one.example"}).status == 201
    wait(lambda: [event["object"] for event in told(receiver, "/one")] == ["c@one.example"])


def test_a_new_url_is_tried_at_once(panels, receiver):  # noqa: F811
    receiver.answers["/one"] = (500, b"")
    made = panels.add(panels.one, "/one", events=["webhook.add"])
    path = f"/webhooks/{made['id']}"
    wait(lambda: panels.one.get(path).json["failing"])
    shown = panels.one.get(path).json
    assert shown["status"] == 500 and "500" in shown["failure"] and shown["next_try"]
    changed = panels.one.patch(path, {"url": panels.base + "/two"}).json
    assert changed["failing"] is None and changed["failures"] == 0
    wait(lambda: types(receiver, "/two") == ["webhook.add"])


def test_another_secret(panels, receiver):  # noqa: F811
    made = panels.add(panels.one, "/one", events=["address.*"])
    path = f"/webhooks/{made['id']}"
    renewed = panels.one.post(f"{path}/secret", {})
    assert renewed.status == 201 and renewed.json["old_secret_until"]
    assert panels.one.post("/addresses", {"address": "b@one.example"}).status == 201
    wait(lambda: len(told(receiver, "/one")) == 1)
    request = next(request for request in receiver.requests if request.path == "/one")
    assert fits(request, made["secret"]) == fits(request, renewed.json["secret"]) == 1
    last = panels.one.post(f"{path}/secret", {"overlap_seconds": 0})
    assert last.json["old_secret_until"] is None
    assert panels.one.delete("/addresses/b@one.example").status == 204
    wait(lambda: len(told(receiver, "/one")) == 2)
    request = [request for request in receiver.requests if request.path == "/one"][1]
    assert fits(request, renewed.json["secret"]) == 0 and fits(request, last.json["secret"]) == 1


def test_a_test_is_told_now(panels, receiver):  # noqa: F811
    """Also to one that is switched off; out of order, with a cursor that changes nothing."""
    made = panels.add(panels.one, "/one", events=["address.remove"])
    path = f"/webhooks/{made['id']}"
    assert panels.one.patch(path, {"enabled": False}).status == 200
    for replayed in None, "true":
        answer = panels.one.post(f"{path}/test", {}, Idempotency_Key="test")
        assert answer.json == {"delivered": True, "status": 204, "failure": None}
        assert answer.headers.get("Idempotency-Replayed") == replayed
    assert len(told(receiver, "/one")) == 1
    event = told(receiver, "/one")[0]
    assert event["type"] == "webhook.test" and event["cursor"] == 0 and event["object"] == made["url"]
    assert event["customer"] == "one"
    assert fits(receiver.requests[-1], made["secret"]) == 1
    receiver.answers["/one"] = (500, b"")
    answer = panels.one.post(f"{path}/test", {})
    assert answer.json["delivered"] is False and answer.json["status"] == 500
    assert panels.one.patch(path, {"url": "https://192.168.0.1/"}).status == 200
    answer = panels.one.post(f"{path}/test", {})
    assert answer.json["delivered"] is False and answer.json["status"] == 0
    assert "fetch_networks" in answer.json["failure"]
    answers = [panels.one.post(f"{path}/test", {}) for _ in range(4)]
    assert answers[-1].status == 429 and int(answers[-1].headers["Retry-After"]) <= 10
