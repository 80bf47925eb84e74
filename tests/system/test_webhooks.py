"""Webhooks: who is told of what, in which order, and how a receiver knows that it comes from here."""

import hashlib
import hmac
import json
import os
import re
import sqlite3
import time

import pytest

import bellhop
from authority import Authority
from https import Https
from test_authd import FRONT, Auth

DAY = 86400


def wait(condition):
    return bellhop.wait_until(condition, 60)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def receiver(authority):
    authority.issue(authority.dir / "localhost", "localhost")
    made = Https(authority.dir / "localhost")
    made.answers = {"/one": (204, b""), "/two": (200, b"thank you"), "/all": (200, b"")}
    yield made
    made.close()


@pytest.fixture
def serving(stopped, authority):
    """The operator has listed this machine. Two customers, each with an address."""
    stopped.configure(fetch_networks="127.0.0.1", fetch_authorities=authority.root)
    for name in "one", "two":
        stopped.customer(name, "house", f"{name}.example", "anna")
    return stopped.start()


def add(instance, receiver, path, *options):
    """The webhook's id and secret."""
    made = json.loads(instance.cli("webhook", "add", f"https://localhost:{receiver.port}{path}",
                                   *options, "--json").stdout)
    return made["id"], made["secret"]


def told(receiver, path):
    return [json.loads(request.body) for request in receiver.requests if request.path == path]


def types(receiver, path):
    return [event["type"] for event in told(receiver, path)]


def listed(instance, number):
    return next(row for row in json.loads(instance.cli("webhook", "list", "--json").stdout)
                if row["id"] == number)


def change(instance, sql, *values):
    """As if time had passed. Nobody serves meanwhile."""
    database = sqlite3.connect(instance.dir / "accounts.db")
    with database:
        database.execute(sql, values)
    database.close()


def test_each_is_told_of_its_own_in_order(serving, receiver):
    _, secret = add(serving, receiver, "/one", "--customer", "one")
    add(serving, receiver, "/two", "--customer", "two")
    add(serving, receiver, "/all")
    serving.cli("address", "add", "b@one.example")
    serving.cli("customer", "suspend", "two")
    serving.cli("plan", "set", "chain", "--poll-seconds", "7")
    serving.cli("address", "remove", "b@one.example")
    wait(lambda: [len(told(receiver, path)) for path in ("/all", "/one", "/two")] == [5, 3, 2])
    assert types(receiver, "/one") == ["webhook.add", "address.add", "address.remove"]
    assert types(receiver, "/two") == ["webhook.add", "customer.suspend"]
    assert types(receiver, "/all") == ["webhook.add", "address.add", "customer.suspend", "plan.set",
                                       "address.remove"]
    _, added, _ = told(receiver, "/one")
    assert added["object"] == "b@one.example" and added["customer"] == "one"
    assert added["actor"] == f"bellhop uid={os.getuid()}"
    assert {change["of"] for change in added["changes"]} >= {"mailbox", "address"}
    cursors = [event["cursor"] for event in told(receiver, "/all")]
    assert cursors == sorted(set(cursors))
    assert secret not in json.dumps(told(receiver, "/all"))


def test_a_receiver_can_tell_who_sends(serving, receiver):
    _, secret = add(serving, receiver, "/one", "--customer", "one")
    wait(lambda: told(receiver, "/one"))
    request = receiver.requests[0]
    moment, signature = (part.split("=", 1)[1]
                         for part in request.headers["Bellhop-Signature"].split(","))
    signed = hmac.new(secret.encode(), moment.encode() + b"." + request.body, hashlib.sha256)
    assert request.headers["Bellhop-Signature"].startswith("t=")
    assert hmac.compare_digest(signed.hexdigest(), signature)
    assert abs(int(moment) - time.time()) < 60
    event = json.loads(request.body)
    assert request.headers["Bellhop-Event"] == event["type"] == "webhook.add"
    assert request.headers["Bellhop-Cursor"] == str(event["cursor"])
    assert request.headers["Content-Type"] == "application/json"


def test_a_block_of_logins_is_told(serving, receiver):
    """To the mailbox's customer and to the operator."""
    for path, *options in ("/one", "--customer", "one"), ("/two", "--customer", "two"), ("/all",):
        add(serving, receiver, path, *options, "--events", "login.*")
    for number in range(20):
        with Auth(serving, FRONT, remote="192.0.2.1") as auth:
            auth.plain("anna@one.example", f"wrong {number}")
    wait(lambda: told(receiver, "/one") and told(receiver, "/all"))
    event = told(receiver, "/one")[0]
    assert event["type"] == "login.blocked" and event["customer"] == "one"
    assert event["object"] == "anna@one.example" and event["detail"]["remote"] == "192.0.2.1"
    assert "changes" not in event and told(receiver, "/two") == []


def test_a_line_of_a_quota_is_told_once(serving, receiver):
    """At 80 and at 95 percent, to the mailbox's customer and to the operator."""
    serving.cli("plan", "add", "small", "--addresses", "9", "--domains", "2", "--quota-bytes", 102400)
    full = serving.customer("three", "small", "three.example", "carla").accounts[0]
    for path, *options in ("/one", "--customer", "three"), ("/two", "--customer", "two"), ("/all",):
        add(serving, receiver, path, *options, "--events", "mailbox.*")
    tenth = b"Subject: a tenth\r\n\r\n" + 121 * (b"x" * 76 + b"\r\n")

    def fill(count, lines):
        for _ in range(count):
            assert serving.deliver([full.address], tenth)[0].code == 250
        wait(lambda: len(told(receiver, "/one")) == lines and len(told(receiver, "/all")) == lines)

    fill(8, 0)
    fill(1, 1)
    fill(1, 2)
    first, second = told(receiver, "/one")
    assert first["type"] == "mailbox.quota-crossed" and first["customer"] == "three"
    assert first["object"] == "carla@three.example" and "actor" not in first
    assert (first["detail"]["percent"], second["detail"]["percent"]) == (80, 95)
    assert first["detail"]["quota_bytes"] == 102400 and first["detail"]["used_messages"] == 9
    assert 0.8 * 102400 <= first["detail"]["used_bytes"] < 0.95 * 102400
    assert told(receiver, "/two") == []


def test_only_what_is_wanted(serving, receiver):
    add(serving, receiver, "/one", "--customer", "one", "--events", "customer.*,address.remove")
    for _ in range(3):
        serving.cli("address", "add", "b@one.example")
        serving.cli("address", "remove", "b@one.example")
    serving.cli("customer", "suspend", "one")
    wait(lambda: "customer.suspend" in types(receiver, "/one"))
    assert types(receiver, "/one") == 3 * ["address.remove"] + ["customer.suspend"]


def test_a_failure_is_tried_again_and_holds_up_nobody_else(serving, receiver):
    """The order stays: what comes later waits for what has failed."""
    receiver.answers["/one"] = (500, b"not now")
    number, _ = add(serving, receiver, "/one", "--customer", "one")
    add(serving, receiver, "/two", "--customer", "two")
    serving.cli("address", "add", "b@one.example")
    serving.cli("address", "add", "b@two.example")
    wait(lambda: types(receiver, "/two") == ["webhook.add", "address.add"])
    wait(lambda: listed(serving, number)["failure"])
    assert "500" in listed(serving, number)["failure"] and listed(serving, number)["failing"]
    receiver.answers["/one"] = (200, b"")
    wait(lambda: types(receiver, "/one")[-1] == "address.add")
    tries = told(receiver, "/one")
    assert {event["type"] for event in tries[:-1]} == {"webhook.add"}
    assert len({event["cursor"] for event in tries[:-1]}) == 1
    wait(lambda: listed(serving, number)["failing"] is None)


def test_how_far_behind_they_are_is_counted(serving, receiver):
    """What is switched off does not count."""
    def behind():
        text = serving.http("/metrics")[1]
        return tuple(int(re.search(rf"(?m)^bellhop_webhooks_{name} (\d+)$", text).group(1))
                     for name in ("waiting", "oldest_seconds"))

    assert behind() == (0, 0)
    receiver.answers["/one"] = (500, b"not now")
    number, _ = add(serving, receiver, "/one", "--customer", "one")
    add(serving, receiver, "/all")
    off, _ = add(serving, receiver, "/off")
    serving.cli("webhook", "disable", off)
    serving.cli("address", "add", "b@one.example")
    serving.cli("address", "add", "b@two.example")
    wait(lambda: behind()[0] == 2 and behind()[1] > 1)  # webhook.add and address.add
    receiver.answers["/one"] = (204, b"")
    serving.cli("webhook", "set", number, "--url", f"https://localhost:{receiver.port}/two")
    wait(lambda: behind() == (0, 0))


def test_one_that_fails_for_three_days_is_given_up_and_can_be_revived(serving, receiver):
    receiver.answers["/one"] = (500, b"never")
    number, _ = add(serving, receiver, "/one", "--customer", "one")
    wait(lambda: listed(serving, number)["failing"])
    serving.stop()
    change(serving, "UPDATE webhook SET failing = failing - ?, next = 0", 3 * DAY)
    add(serving, receiver, "/all")
    serving.start()
    wait(lambda: listed(serving, number)["disabled"])
    wait(lambda: "webhook.disable" in types(receiver, "/all"))
    tries = len(told(receiver, "/one"))
    first = told(receiver, "/one")[0]["cursor"]
    receiver.answers["/one"] = (200, b"")
    serving.cli("address", "add", "b@one.example")
    wait(lambda: "address.add" in types(receiver, "/all"))
    assert len(told(receiver, "/one")) == tries
    serving.cli("webhook", "replay", number, "--from", first)
    wait(lambda: len(told(receiver, "/one")) == tries + 4)
    assert types(receiver, "/one")[tries:] == ["webhook.add", "webhook.disable", "address.add",
                                               "webhook.replay"]
    assert listed(serving, number)["disabled"] is None


def test_replay_tells_again_with_the_same_cursors(serving, receiver):
    number, _ = add(serving, receiver, "/one", "--customer", "one")
    serving.cli("address", "add", "b@one.example")
    wait(lambda: len(told(receiver, "/one")) == 2)
    _, added = told(receiver, "/one")
    serving.cli("webhook", "replay", number, "--from", added["cursor"])
    wait(lambda: len(told(receiver, "/one")) == 4)
    assert told(receiver, "/one")[2] == added
    serving.cli("webhook", "replay", number, "--from", "1h")
    wait(lambda: len(told(receiver, "/one")) == 8)
    assert told(receiver, "/one")[4:6] == told(receiver, "/one")[:2]


def test_what_happens_while_nobody_serves_is_told_later(serving, receiver):
    add(serving, receiver, "/one", "--customer", "one")
    wait(lambda: told(receiver, "/one"))
    serving.stop()
    serving.cli("address", "add", "b@one.example")
    serving.cli("address", "add", "c@one.example")
    serving.start()
    wait(lambda: len({event["object"] for event in told(receiver, "/one")}) == 3)
    order = [event["cursor"] for event in told(receiver, "/one")]
    assert order == sorted(order)


def test_nothing_goes_to_a_network_that_is_not_listed(stopped, authority, receiver):
    stopped.configure(fetch_authorities=authority.root)
    stopped.customer("one", "house", "one.example")
    stopped.start()
    number, _ = add(stopped, receiver, "/one", "--customer", "one")
    wait(lambda: listed(stopped, number)["failure"])
    assert receiver.requests == []


def test_a_webhook_belongs_to_its_customer(serving, receiver):
    number, _ = add(serving, receiver, "/one", "--customer", "one")
    url = f"https://localhost:{receiver.port}/one"
    taken = serving.cli("webhook", "add", url, "--customer", "one", check=False)
    assert taken.returncode == 1 and "already" in taken.stderr
    other, _ = add(serving, receiver, "/one", "--customer", "two")
    rows = json.loads(serving.cli("webhook", "list", "--customer", "two", "--json").stdout)
    assert [row["id"] for row in rows] == [other] and "secret" not in rows[0]
    serving.cli("webhook", "remove", number)
    gone = serving.cli("webhook", "remove", number, check=False)
    assert gone.returncode == 1 and f"no webhook {number}" in gone.stderr
    serving.cli("customer", "remove", "two", "--now")
    assert json.loads(serving.cli("webhook", "list", "--json").stdout) == []


@pytest.mark.parametrize("arguments", [
    ["ftp://one.example/"], ["https://user@one.example/"], ["one.example"],
    ["https://one.example/", "--events", "Address.add"], ["https://one.example/", "--events", "alias.add,alias.ad"],
], ids=" ".join)
def test_what_is_no_webhook_is_refused(stopped, arguments):
    done = stopped.cli("webhook", "add", *arguments, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1


def test_each_type_is_on_the_page():
    """And in the table of those that a webhook may ask for, with what stands for all of a kind."""
    words = r"[\"']([a-z_-]+\.[a-z-]+)[\"']"
    page = (bellhop.ROOT / "docs" / "webhooks.md").read_text()
    told = {prefix + word for prefix, words in re.findall(r"(?m)^\| ([a-z_-]+\.) \| (.*) \|$", page)
            for word in words.split(", ")}
    table = bellhop.ROOT / "db" / "eventtype.c"
    sources = "".join(path.read_text() for path in (bellhop.ROOT / "db").glob("*.c") if path != table)
    assert told == set(re.findall(words, sources))
    assert told == set(re.findall(words, table.read_text()))
    assert {kind.split(".")[0] for kind in told} == set(re.findall(r'"([a-z_-]+)\.\*"', table.read_text()))
