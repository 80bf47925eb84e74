"""Invitations over HTTP: who holds a token sees what it is for and chooses the password, once."""

import itertools
import poplib
import sqlite3
import threading
from contextlib import closing

import pytest

from api import Api, document_of, made_key, operator
from test_pop3 import logged_in
from test_sessions import assert_ended, assert_goes_on

GOOD = "a rare choice of words"
SETTINGS = {"hostname": "mail.inselpost.example", "page_url": "https://mail.inselpost.example/pages/",
            "smtp_server": "smtp.inselpost.example:587"}
UNKNOWN = "A" * 22

numbers = itertools.count()


@pytest.fixture
def hotel(stopped):
    """Two customers; `anna` of the first has a password, `new` has none."""
    stopped.configure(**SETTINGS)
    for name in "quay", "light":
        stopped.customer(name, "house", f"{name}.example", "anna")
    stopped.cli("address", "add", "new@quay.example", "--name", "Nele Neu", "--invite")
    return stopped.start()


@pytest.fixture
def nobody(hotel):
    """Without a key."""
    return Api(hotel)


def account(hotel, address):
    return next(found for customer in hotel.customers for found in customer.accounts if found.address == address)


def invite(hotel, address):
    customer = address.split("@")[1].removesuffix(".example")
    name = f"key {next(numbers)}"
    helpdesk = Api(hotel, made_key(hotel, name, "--role", "helpdesk", "--customer", customer))
    made = helpdesk.post(f"/addresses/{address}/invitation", {})
    assert made.status == 201
    token = made.json["invitation"]
    assert made.json["invitation_link"] == f"https://mail.inselpost.example/pages/invitation/{token}"
    return token


def login(hotel, address, password):
    """Whether it is let in."""
    pop3 = hotel.pop3_greeted()
    try:
        pop3.user(address)
        pop3.pass_(password)
    except poplib.error_proto as refused:
        assert b"[AUTH]" in refused.args[0]
        return False
    pop3.quit()
    return True


def test_who_has_the_token_chooses_the_password(hotel, nobody):
    token = invite(hotel, "new@quay.example")
    shown = nobody.get(f"/invitations/{token}").json
    assert shown.pop("invited_until") > "2026"
    assert shown == {"login": "new@quay.example", "address": "new@quay.example", "name": "Nele Neu", "customer": "quay", "language": "en",
                     "reset": False, "pop3_server": f"mail.inselpost.example:{hotel.ports.pop3s}",
                     "smtp_server": "smtp.inselpost.example:587", "password_least_characters": 8,
                     "password_most_bytes": 248}
    for password, why in [("abc", "short"), ("Welcome-2024!", ""), ("new@quay.example", "address"), ("quay2024", "")]:
        refused = nobody.post(f"/invitations/{token}", {"password": password})
        assert refused.status == 422 and refused.errors == {"/password": "password"}
        (error,) = refused.json["errors"]
        assert why in error["detail"] and password not in refused.text
    for body in {}, {"password": 7}, {"password": GOOD, "name": "x"}, {"password": "x" * 249}:
        assert nobody.post(f"/invitations/{token}", body).status == 422
    assert nobody.ask("POST", f"/invitations/{token}", b"{", Content_Type="application/json").status == 400
    assert nobody.ask("POST", f"/invitations/{token}", b"{}", Content_Type="text/plain").status == 415
    assert nobody.post(f"/invitations/{token}", {"password": GOOD}).status == 204
    assert login(hotel, "new@quay.example", GOOD)
    assert nobody.get(f"/invitations/{token}").status == 404
    assert nobody.post(f"/invitations/{token}", {"password": GOOD}).status == 404
    (row,) = [row for row in operator(hotel).all("/audit") if row["action"] == "invitation.take"]
    assert row["actor"] == "invitation" and row["object"] == "new@quay.example" and row["remote"] == "127.0.0.1"
    assert token not in hotel.log and GOOD not in hotel.log


def test_what_is_not_good_is_all_the_same(hotel, nobody):
    """Unknown, malformed, used, replaced, expired, and of what was removed."""
    used = invite(hotel, "anna@quay.example")
    assert nobody.post(f"/invitations/{used}", {"password": GOOD}).status == 204
    removed, replaced = invite(hotel, "anna@quay.example"), invite(hotel, "new@quay.example")
    expired, good = invite(hotel, "new@quay.example"), invite(hotel, "anna@light.example")
    hotel.cli("address", "remove", "anna@quay.example")
    with closing(sqlite3.connect(hotel.dir / "accounts.db")) as database, database:
        database.execute("UPDATE invitation SET expires = 1 WHERE mailbox IN (SELECT mailbox FROM address "
                         "WHERE local = 'new')")
    answers = [nobody.get(f"/invitations/{token}") for token in
               (UNKNOWN, "x", "%00", "%ff", used, removed, replaced, expired)]
    answers.append(nobody.post(f"/invitations/{expired}", {"password": GOOD}))
    assert {answer.status for answer in answers} == {404}
    assert len({str({**answer.json, "request": ""}) for answer in answers}) == 1
    assert nobody.get(f"/invitations/{good}").json["address"] == "anna@light.example"


def test_a_reset_ends_sessions_only_when_it_is_used(hotel, nobody):
    old = account(hotel, "anna@quay.example")
    token = invite(hotel, old.address)
    assert nobody.get(f"/invitations/{token}").json["reset"] is True
    with logged_in(hotel, old) as mine, logged_in(hotel, account(hotel, "anna@light.example")) as theirs:
        assert nobody.post(f"/invitations/{token}", {"password": "short"}).status == 422
        assert_goes_on(mine)
        assert nobody.post(f"/invitations/{token}", {"password": GOOD}).status == 204
        assert_ended(mine)
        assert_goes_on(theirs)
    assert not login(hotel, old.address, old.password) and login(hotel, old.address, GOOD)


def test_of_many_at_once_one_counts(hotel, nobody):
    token = invite(hotel, "new@quay.example")
    answers = {}

    def take(number):
        answers[number] = Api(hotel).post(f"/invitations/{token}",
                                                                    {"password": f"{GOOD} {number}"}).status

    threads = [threading.Thread(target=take, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers.values())[0] == 204 and set(sorted(answers.values())[1:]) <= {404, 429}
    (winner,) = [number for number, status in answers.items() if status == 204]
    assert login(hotel, "new@quay.example", f"{GOOD} {winner}")


def test_guesses_are_bounded_and_keep_nobody_out(hotel, nobody):
    token = invite(hotel, "new@quay.example")
    statuses = [nobody.get(f"/invitations/{UNKNOWN[:-2]}{number:02}").status for number in range(30)]
    assert statuses[0] == 404 and statuses[-1] == 429
    refused = nobody.get(f"/invitations/{UNKNOWN}")
    assert refused.status == 429 and int(refused.headers["Retry-After"]) >= 1
    assert nobody.get(f"/invitations/{token}").status == 200
    assert nobody.post(f"/invitations/{token}", {"password": GOOD}).status == 204


def test_without_pages_there_is_no_link(instance):
    api = operator(instance)
    address = instance.customers[0].accounts[0].address
    assert api.post(f"/addresses/{address}/invitation", {}).json["invitation_link"] is None
    made = api.post("/addresses", {"address": f"new@{instance.customers[0].domain}", "invite": True})
    assert made.json["invitation"] and made.json["invitation_link"] is None
    assert document_of(instance).text["paths"]["/api/v1/invitations/{token}"]["get"]["security"] == []
