"""Desired state: a customer's directory as one document, and how another one differs from it."""

import copy
import os
import random
import signal
import threading
import time

import pytest

from api import operator, send
from bellhop import wait_gone, wait_until
from test_imported_hashes import SSHA256


@pytest.fixture
def api(instance):
    return operator(instance)


@pytest.fixture
def hotel(api):
    return Directory(api, api.instance.customers[0].name)


@pytest.fixture
def group(api):
    return Directory(api, api.instance.customers[1].name)


class Directory:
    def __init__(self, api, name):
        self.api = api
        self.id = [item["id"] for item in api.all("/customers") if item["name"] == name][0]
        self.path = f"/customers/{self.id}/directory"

    def get(self):
        answer = self.api.get(self.path)
        assert answer.status == 200
        return answer.json

    @property
    def etag(self):
        return self.api.get(self.path).headers["ETag"]

    def put(self, document, query="", **headers):
        return self.api.ask("PUT", self.path + query, document, **headers)

    def apply(self, document, **headers):
        return self.put(document, "?apply=true&remove=true", **headers)


def mailbox(address, **members):
    return {"address": address, "name": "", "quota_bytes": None, "language": None, "pop3": True, "smtp": True,
            **members}


def alias(address, *targets):
    return {"address": address, "targets": list(targets)}


def domain(name, catch_all=None):
    return {"domain": name, "catch_all": catch_all}


def told(answer):
    """What an answer says of the difference, in short."""
    return [(item["action"], item["name"]) for item in answer.json["differences"]]


def test_what_there_is_does_not_differ(hotel, group):
    for directory in hotel, group:
        document = directory.get()
        assert len(document["domains"]) == 1 and len(document["addresses"]) >= 3
        assert told(directory.put(document)) == []
        done = directory.put(document, "?apply=true", If_Match=directory.etag)
        assert done.json["applied"] and told(done) == [] and directory.get() == document


HOTEL = {"domains": [domain("quayside.example"), domain("annex.example", "all@annex.example")],
         "addresses": [mailbox("frontdesk@quayside.example", name="Front desk", language="de", pop3=False),
                       mailbox("bookings@quayside.example"),
                       mailbox("new@annex.example", name="New", quota_bytes=1000000, smtp=False),
                       alias("all@annex.example", "new@annex.example", "frontdesk@quayside.example")]}


def in_order(document):
    def key(item):
        local, at, name = item["address"].partition("@")
        return name, local
    return {"domains": sorted(document["domains"], key=lambda item: item["domain"]),
            "addresses": sorted(document["addresses"], key=key)}


def test_a_difference_is_shown_and_then_made(hotel, group):
    before, others = hotel.get(), group.get()
    hotel.api.patch("/plans/house", {"catch_all": True})
    audit = hotel.api.all(f"/audit?customer={hotel.id}")
    shown = hotel.put(HOTEL)
    assert hotel.api.all(f"/audit?customer={hotel.id}") == audit
    assert shown.status == 200 and not shown.json["applied"]
    assert shown.json["domains"] == {"add": 1, "change": 0, "remove": 0}
    assert shown.json["addresses"] == {"add": 2, "change": 1, "remove": 1}
    assert told(shown) == [
        ("add", "annex.example"), ("remove", "invoices@quayside.example"),
        ("change", "frontdesk@quayside.example"), ("add", "new@annex.example"), ("add", "all@annex.example")]
    changed = shown.json["differences"][2]
    assert changed["before"]["pop3"] and changed["after"] == HOTEL["addresses"][0]
    assert hotel.get() == before and shown.headers["ETag"] == hotel.etag
    made = hotel.apply(HOTEL, If_Match=shown.headers["ETag"])
    assert made.status == 200 and made.json["applied"] and told(made) == told(shown)
    assert hotel.get() == in_order(HOTEL) and made.headers["ETag"] == hotel.etag
    assert told(hotel.apply(HOTEL)) == [] and group.get() == others


def test_the_difference_that_was_seen_is_the_one_that_is_made(hotel):
    seen = hotel.put(HOTEL).headers["ETag"]
    assert hotel.api.patch("/addresses/bookings@quayside.example", {"name": "Changed"}).status == 200
    before = hotel.get()
    assert hotel.apply(HOTEL, If_Match=seen).code == "changed"
    assert hotel.get() == before
    assert hotel.apply(HOTEL, If_Match=hotel.put(HOTEL).headers["ETag"]).status == 200


def test_nothing_is_removed_unless_that_is_said(hotel):
    before = hotel.get()
    for document in ({"domains": [], "addresses": []}, {**before, "addresses": before["addresses"][1:]}):
        assert hotel.put(document).status == 200
        refused = hotel.put(document, "?apply=true")
        assert refused.status == 409 and refused.code == "removes"
        assert hotel.get() == before
    changed = {**before, "addresses": [alias("frontdesk@quayside.example", "invoices@quayside.example"),
                                       *(item for item in before["addresses"] if "front" not in item["address"])]}
    refused = hotel.put(changed, "?apply=true")  # a mailbox that becomes an alias is removed with its mail
    assert refused.code == "removes" and "1 address would be removed" in refused.json["detail"]
    assert "1 domain and 3 addresses" in hotel.put({"domains": [], "addresses": []}, "?apply=true").json["detail"]


def test_what_was_removed_can_be_restored(hotel):
    """Each with its password; also what went with a domain, and an alias's last target."""
    api, before = hotel.api, hotel.get()
    api.post("/addresses", alias("crew@quayside.example", "invoices@quayside.example"))
    document = {**before, "addresses": [item for item in before["addresses"]
                                        if not item["address"].startswith("invoices")]
                + [alias("crew@quayside.example", "frontdesk@quayside.example")]}
    assert hotel.apply(document).status == 200
    assert hotel.get() == in_order(document)
    removed, = (item for item in api.all("/removed") if item["name"] == "invoices@quayside.example")
    assert api.post(f"/removed/{removed['id']}/restore", {}).status == 204
    assert api.get("/addresses/invoices@quayside.example").json["password"]
    document = {"domains": [domain("other.example")], "addresses": [mailbox("a@other.example")]}
    assert hotel.apply(document).status == 200
    assert hotel.get() == document
    removed, = (item for item in api.all("/removed") if item["name"] == "quayside.example")
    assert api.post(f"/removed/{removed['id']}/restore", {}).status == 204
    assert len(hotel.get()["addresses"]) == 5


TURNS = [
    # An alias whose mailbox goes leads elsewhere first, or to one that comes.
    ([mailbox("a@x.example"), mailbox("b@x.example"), alias("to@x.example", "a@x.example")],
     [mailbox("b@x.example"), alias("to@x.example", "b@x.example")]),
    ([mailbox("a@x.example"), alias("to@x.example", "a@x.example")],
     [mailbox("c@x.example"), alias("to@x.example", "c@x.example")]),
    ([mailbox("a@x.example"), mailbox("b@x.example"), alias("to@x.example", "a@x.example")],
     [mailbox("b@x.example"), mailbox("c@x.example"), alias("to@x.example", "b@x.example", "c@x.example")]),
    # A mailbox becomes an alias, and an alias a mailbox.
    ([mailbox("a@x.example"), mailbox("b@x.example")], [alias("a@x.example", "b@x.example"), mailbox("b@x.example")]),
    ([mailbox("a@x.example"), alias("b@x.example", "a@x.example")],
     [alias("a@x.example", "b@x.example"), mailbox("b@x.example")]),
    # All of it goes.
    ([mailbox("a@x.example"), alias("b@x.example", "a@x.example")], []),
]


@pytest.mark.parametrize("before, after", TURNS, ids=range(len(TURNS)))
def test_what_depends_on_each_other(hotel, before, after):
    domains = [domain("x.example")]
    for addresses in before, after, before:
        done = hotel.apply({"domains": domains, "addresses": addresses})
        assert done.status == 200, done.text
        assert hotel.get() == {"domains": domains, "addresses": sorted(addresses, key=lambda a: a["address"])}


def test_a_plan_that_is_full_makes_no_difference(hotel):
    """What goes makes room for what comes."""
    api = hotel.api
    api.patch("/plans/house", {"addresses": 3, "domains": 1})
    one = {"domains": [domain("one.example")], "addresses": [mailbox(f"{n}@one.example") for n in "abc"]}
    other = {"domains": [domain("two.example")], "addresses": [mailbox(f"{n}@two.example") for n in "abc"]}
    for document in one, other:
        assert hotel.apply(document).status == 200
        assert hotel.get() == document
    for document in ({**other, "addresses": other["addresses"] + [mailbox("d@two.example")]},
                     {**other, "domains": other["domains"] + one["domains"]},
                     {**other, "addresses": [mailbox("a@two.example", quota_bytes=1 << 60)]}):
        for query in "", "?apply=true&remove=true":
            assert hotel.put(document, query).code == "limit"
        assert hotel.get() == other
    few = {**other, "addresses": other["addresses"][:1]}
    assert hotel.apply(few).status == 200
    many = {**few, "addresses": [mailbox(f"{n}@two.example") for n in "abcdefg"]}
    refused = hotel.put(many, "?apply=true").json
    assert "allows 3 addresses, and there are 7 in the document" in refused["detail"]
    assert refused["limit"]["allowed"] == 3 and refused["limit"]["used"] == 1
    assert hotel.get() == few


def test_passwords_of_those_that_are_added(hotel):
    api, document = hotel.api, copy.deepcopy(hotel.get())
    document["addresses"] += [mailbox("invited@quayside.example", invite=True),
                              mailbox("moved@quayside.example", hash=SSHA256)]
    shown = hotel.put(document)
    assert shown.json["invitations"] == [] and "SSHA256" not in shown.text
    made = hotel.put(document, "?apply=true")
    invited, = made.json["invitations"]
    assert invited["address"] == "invited@quayside.example"
    assert api.get("/addresses/invited@quayside.example").json["invited_until"] == invited["invited_until"]
    assert api.get("/addresses/moved@quayside.example").json["password"]
    assert told(hotel.put(document)) == []


def test_a_foreign_domain_is_taken(hotel, group):
    before = hotel.get(), group.get()
    document = copy.deepcopy(before[0])
    document["domains"].append(domain("lighthouse.example"))
    for query in "", "?apply=true":
        assert hotel.put(document, query).code == "exists"
    assert (hotel.get(), group.get()) == before


WRONG = [
    ({}, {"/domains": "missing", "/addresses": "missing"}),
    ({"domains": 1, "addresses": {}}, {"/domains": "type", "/addresses": "type"}),
    ({"domains": [1], "addresses": ["a"]}, {"/domains": "type", "/addresses": "type"}),
    ({"domains": [{}, {"domain": "x"}, {"domain": "x.example", "more": 1}, {"domain": "x.example"}],
      "addresses": []},
     {"/domains/0/domain": "domain", "/domains/1/domain": "domain", "/domains/2": "unknown",
      "/domains/3/domain": "twice"}),
    ({"domains": [domain("x.example")],
      "addresses": [{"address": "a"}, {"address": "a@y.example"}, {"address": "a@x.example", "quota_bytes": -1},
                    {"address": "b@x.example", "name": " b"}, {"address": "c@x.example", "customer": 2},
                    {"address": "d@x.example"}, {"address": "D@X.example"}, {"name": "e"},
                    {"address": "f@x.example", "targets": ["d@x.example"], "pop3": True}]},
     {"/addresses/0/address": "address", "/addresses/1/address": "no-domain", "/addresses/2/quota_bytes": "number",
      "/addresses/3/name": "text", "/addresses/4/customer": "unknown", "/addresses/6/address": "twice",
      "/addresses/7/address": "missing", "/addresses/8/pop3": "both"}),
    ({"domains": [domain("x.example", "nobody@x.example")],
      "addresses": [mailbox("a@x.example"), alias("b@x.example", "c@x.example"), alias("c@x.example", "b@x.example")]},
     {"/domains/0/catch_all": "no-address", "/addresses/1/targets": "no-mailbox",
      "/addresses/2/targets": "no-mailbox"}),
    ({"domains": [], "addresses": [mailbox(f"a{n}@x.example") for n in range(101)]}, {"/addresses": "count"}),
]


@pytest.mark.parametrize("document, errors", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_all_at_once(hotel, document, errors):
    answer = hotel.put(document)
    assert answer.status == 422 and errors.items() <= answer.errors.items(), answer.text


@pytest.mark.parametrize("query", ["?apply=1", "?remove=", "?apply", "?more=true", "?apply=true&apply=true"])
def test_queries(hotel, query):
    assert hotel.put(hotel.get(), query).status == 400


def test_it_is_made_whole_or_not_at_all(hotel, group):
    """Whenever admin dies, what there is afterwards is one document or the other, and nobody else's changes."""
    instance, others = hotel.api.instance, group.get()
    documents = [{"domains": [domain(name)], "addresses": [mailbox(f"{n:02}@{name}") for n in range(25)]}
                 for name in ("one.example", "two.example")]
    assert hotel.apply(documents[0]).status == 200
    ends = {"died": 0, "answered": 0}

    def change(stop):
        turn = 1
        while not stop.is_set():
            try:
                hotel.apply(documents[turn])
                ends["answered"] += 1
                turn = 1 - turn
            except OSError:
                ends["died"] += 1

    for _ in range(8):
        stop = threading.Event()
        thread = threading.Thread(target=change, args=(stop,))
        answered = ends["answered"]
        thread.start()
        while ends["answered"] < answered + 2:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.05))
        stop.set()
        pid = instance.pids()["admin"][0]
        os.kill(pid, signal.SIGKILL)
        thread.join()
        wait_gone(pid)
        wait_until(lambda: send(instance, "GET", "/healthz").status == 200, 20, "admin")
        found = hotel.get()
        assert found in documents and told(hotel.put(found)) == []
    assert group.get() == others
