"""Welcome cards over HTTP: one address or many, with new invitations, as a page that is made while it leaves."""

import pytest

from api import Api, made_key, operator
from test_cards import GROUP, HOTEL, SETTINGS, Page, cards, invited, link_of, read_code  # noqa: F401


@pytest.fixture
def hotel(invited):  # noqa: F811
    """Two customers, each with two mailboxes that have no password; admins of both."""
    invited.start()
    invited.operator = operator(invited)
    invited.admin, invited.other = (Api(invited, made_key(invited, name, "--role", "admin", "--customer", name))
                                    for name in (HOTEL, GROUP))
    ids = {item["name"]: item["id"] for item in invited.operator.all("/customers")}
    invited.path, invited.foreign = (f"/customers/{ids[name]}/cards" for name in (HOTEL, GROUP))
    return invited


def addresses(page):
    return [next(text for text in card["texts"] if "@" in text) for card in page.cards]


def is_good(hotel, link):
    """Whether it still opens something."""
    return Api(hotel).get(f"/invitations/{link.rsplit('/')[-1]}").status == 200


def test_who_has_no_password_gets_a_card(hotel, tmp_path):
    answer = hotel.admin.post(hotel.path, {})
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
    page = Page(answer.text)
    assert addresses(page) == ["anna@quayside.example", "bert@quayside.example"]
    links = [link_of(card) for card in page.cards]
    assert [read_code(card, tmp_path) for card in page.cards] == links
    assert all(is_good(hotel, link) for link in links)
    again = Page(hotel.admin.post(hotel.path, {}).text)
    assert not any(is_good(hotel, link) for link in links) and len(again.cards) == 2
    for link in links:
        assert link.rsplit("/")[-1] not in hotel.log


def test_it_is_the_page_of_the_command(hotel):
    def without_links(text):
        for card in Page(text).cards:
            text = text.replace(card["path"], "").replace(link_of(card), "")
        return text

    assert without_links(hotel.admin.post(hotel.path, {}).text) == without_links(cards(hotel).stdout)


def test_one_address_and_named_ones(hotel):
    desk = "frontdesk@quayside.example"
    (card,) = Page(hotel.admin.post(f"/addresses/{desk}/card", {}).text).cards
    assert desk in card["texts"] and is_good(hotel, link_of(card))
    page = Page(hotel.admin.post(hotel.path, {"addresses": ["Bert@quayside.example", desk, desk]}).text)
    assert addresses(page) == ["bert@quayside.example", desk]
    assert not is_good(hotel, link_of(card))
    assert [row["action"] for row in hotel.operator.all("/audit")[:2]] == 2 * ["address.invite"]


def test_a_helpdesk_makes_one_card_at_a_time(hotel):
    """As it resets one password at a time; a page of cards would be all of a customer's mailboxes at once."""
    desk = Api(hotel, made_key(hotel, "desk", "--role", "helpdesk", "--customer", HOTEL))
    good = link_of(Page(hotel.admin.post(hotel.path, {}).text).cards[0])
    for body in {}, {"addresses": ["anna@quayside.example"]}, {"domain": "quayside.example"}:
        refused = desk.post(hotel.path, body)
        assert (refused.status, refused.code) == (403, "role")
    assert is_good(hotel, good)
    (card,) = Page(desk.post("/addresses/anna@quayside.example/card", {}).text).cards
    assert is_good(hotel, link_of(card)) and not is_good(hotel, good)
    assert desk.post("/addresses/anna@lighthouse.example/card", {}).status == 404


def test_a_domain_and_its_key(hotel):
    hotel.cli("domain", "add", "pier.example", "--customer", HOTEL)
    hotel.cli("address", "add", "carl@pier.example", "--invite")
    assert addresses(Page(hotel.admin.post(hotel.path, {"domain": "Pier.EXAMPLE"}).text)) == ["carl@pier.example"]
    key = Api(hotel, made_key(hotel, "pier", "--customer", HOTEL, "--domain", "pier.example"))
    assert addresses(Page(key.post(hotel.path, {}).text)) == ["carl@pier.example"]
    assert key.post(hotel.path, {"domain": "quayside.example"}).errors == {"/domain": "no-domain"}
    assert key.post(hotel.path, {"addresses": ["anna@quayside.example"]}).errors == {"/addresses/0": "no-mailbox"}


@pytest.mark.parametrize("body, errors", [
    ({"addresses": []}, {"/addresses": "short"}),
    ({"addresses": ["anna@quayside.example", "anna"]}, {"/addresses/1": "address"}),
    ({"addresses": ["anna@quayside.example", "anna@lighthouse.example"]}, {"/addresses/1": "no-mailbox"}),
    ({"addresses": ["anna@quayside.example", "nobody@quayside.example"]}, {"/addresses/1": "no-mailbox"}),
    ({"domain": "lighthouse.example"}, {"/domain": "no-domain"}),
    ({"domain": "nosuch.example"}, {"/domain": "no-domain"}),
    ({"domain": "nosuch", "addresses": ["x"]}, {"/domain": "domain", "/addresses/0": "address"}),
])
def test_refusals_invite_nobody(hotel, body, errors):
    good = link_of(Page(hotel.admin.post(hotel.path, {}).text).cards[0])
    refused = hotel.admin.post(hotel.path, body)
    assert refused.status == 422 and set(refused.errors) == set(errors)
    assert is_good(hotel, good)


def test_what_else_is_refused(hotel):
    assert hotel.other.post(hotel.path, {}).status == 404
    assert hotel.other.post("/addresses/anna@quayside.example/card", {}).status == 404
    assert hotel.admin.post(hotel.path, {}, Accept="application/json").status == 406
    assert hotel.admin.post(hotel.path, {}, Accept="text/html,application/xhtml+xml;q=0.9").status == 200
    assert hotel.admin.post(hotel.path, {}, Idempotency_Key="a").status == 400
    for local in "anna", "bert":
        hotel.cli("address", "passwd", f"{local}@quayside.example")
    assert hotel.admin.post(hotel.path, {}).errors == {"/addresses": "nobody"}
    hotel.configure(page_url="")
    hotel.restart() if hasattr(hotel, "restart") else (hotel.stop(), hotel.start())
    assert hotel.admin.post(hotel.path, {"addresses": ["anna@quayside.example"]}).code == "no-pages"
