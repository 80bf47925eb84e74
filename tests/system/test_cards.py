"""bellhop address cards: welcome cards as a page, whose codes another program reads."""

import hashlib
import re
import subprocess
from html.parser import HTMLParser

import pytest

from test_cli_accounts import GROUP, HOTEL, database_text, listing
from test_cli_usage import refused

SETTINGS = {"hostname": "mail.inselpost.example", "page_url": "https://mail.inselpost.example/pages/",
            "smtp_server": "smtp.inselpost.example:587"}
LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pt"]


class Page(HTMLParser):
    """What stands on a page: its cards (their texts, and the path and size of the code), elements and attributes."""

    def __init__(self, text):
        super().__init__()
        self.cards, self.open, self.elements, self.attributes = [], [], [], []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append(tag)
        self.attributes += attributes.items()
        if attributes.get("class") == "card":
            self.cards.append({"texts": []})
        if tag == "svg":
            self.cards[-1]["size"] = int(attributes["viewbox"].split()[2])
        if tag == "path":
            self.cards[-1]["path"] = attributes["d"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.cards and data.strip():
            self.cards[-1]["texts"].append(data.strip())


def read_code(card, folder):
    """What zbarimg reads in a card's code, drawn with eight dots a module."""
    size, dots = card["size"], 8
    image = [bytearray(b"\xff" * (size * dots)) for _ in range(size * dots)]
    strokes = re.findall(r"M(\d+) (\d+)h(\d+)v1H(\d+)z", card["path"])
    assert "".join("M{} {}h{}v1H{}z".format(*stroke) for stroke in strokes) == card["path"]
    for x, y, width, back in (map(int, stroke) for stroke in strokes):
        assert back == x
        for line in image[y * dots:(y + 1) * dots]:
            line[x * dots:(x + width) * dots] = bytes(width * dots)
    path = folder / "code.pgm"
    path.write_bytes(b"P5 %d %d 255\n" % (size * dots, size * dots) + b"".join(image))
    done = subprocess.run(["zbarimg", "--quiet", "--raw", "--nodbus", path], capture_output=True, check=True,
                          timeout=60)
    return done.stdout.decode().strip()


def link_of(card):
    (link,) = [text for text in card["texts"] if text.startswith("http")]
    return link


@pytest.fixture
def invited(stopped):
    """With two mailboxes of each customer's that have no password, and an alias."""
    stopped.configure(**SETTINGS)
    for domain in "quayside.example", "lighthouse.example":
        stopped.cli("address", "add", f"anna@{domain}", "--name", 'Anna <b>"Ö" & Co.', "--invite")
        stopped.cli("address", "add", f"bert@{domain}", "--invite")
    return stopped


def cards(instance, *arguments, customer=HOTEL, check=True):
    return instance.cli("address", "cards", "--customer", customer, *arguments, check=check)


def test_who_has_no_password_gets_a_card(invited, tmp_path):
    before = {row["address"]: row["invited_until"] for row in
              (listing(invited, "address", "show", f"{local}@lighthouse.example") for local in ("anna", "bert"))}
    page = Page(cards(invited).stdout)
    assert [[text for text in card["texts"] if "@" in text] for card in page.cards] == [
        ["anna@quayside.example"], ["bert@quayside.example"]]
    links = [link_of(card) for card in page.cards]
    assert [read_code(card, tmp_path) for card in page.cards] == links and len(set(links)) == 2
    stored = database_text(invited).upper()
    for link in links:
        token = re.fullmatch(r"https://mail\.inselpost\.example/pages/invitation/([\w-]{22})", link)[1]
        assert hashlib.blake2b(token.encode(), digest_size=32).hexdigest().upper() in stored
        assert token.upper() not in stored
    assert 'Anna <b>"Ö" & Co.' in page.cards[0]["texts"] and HOTEL in page.cards[0]["texts"]
    words = " ".join(page.cards[1]["texts"])
    assert f"mail.inselpost.example, port\xa0{invited.ports.pop3s}, SSL/TLS" in words
    assert "smtp.inselpost.example, port\xa0587, STARTTLS" in words
    until = listing(invited, "address", "show", "anna@quayside.example")["invited_until"]
    assert f"until {until[:10]}" in words
    for address, then in before.items():
        assert listing(invited, "address", "show", address)["invited_until"] == then
        assert address not in page.text
    assert len(Page(cards(invited, customer=GROUP).stdout).cards) == 2


def test_the_page_asks_nobody_for_anything(invited):
    text = cards(invited).stdout
    page = Page(text)
    assert not {"script", "img", "link", "iframe", "object", "a"} & set(page.elements)
    assert not {"src", "href", "style"} & {name for name, _ in page.attributes}
    assert "url(" not in text and "@import" not in text and "default-src 'none'" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_they_are_in_the_customers_language(invited, language, tmp_path):
    invited.cli("customer", "set", HOTEL, "--language", language)
    text = cards(invited).stdout
    page = Page(text)
    assert f'<html lang="{language}">' in text
    (anna, _) = page.cards
    assert len(anna["texts"]) == 12 and read_code(anna, tmp_path) == link_of(anna)
    if language != "en":
        assert "Welcome" not in text and "until" not in page.text


def test_a_mailbox_may_have_its_own_language_and_services(invited):
    invited.cli("address", "set", "bert@quayside.example", "--language", "de", "--smtp", "no")
    anna, bert = Page(cards(invited).stdout).cards
    assert "Welcome to your mailbox" in anna["texts"] and "Willkommen in Ihrem Postfach" in bert["texts"]
    assert "SMTP" in " ".join(anna["texts"]) and "SMTP" not in " ".join(bert["texts"])


def test_named_addresses_get_one_with_a_password_too(invited):
    desk = "frontdesk@quayside.example"
    page = Page(cards(invited, "FrontDesk@quayside.example", desk).stdout)
    (card,) = page.cards
    assert desk in card["texts"]
    shown = listing(invited, "address", "show", desk)
    assert shown["password"] and shown["invited_until"]


def test_a_plan_without_sending_names_no_smtp_server(invited):
    invited.cli("plan", "set", "house", "--sending", "no")
    assert "SMTP" not in cards(invited).stdout
    assert "smtp.inselpost.example" in cards(invited, customer=GROUP).stdout


def test_another_pop3_server_and_a_domain(invited):
    invited.configure(pop3_server="pop3.inselpost.example:110")
    invited.cli("domain", "add", "pier.example", "--customer", HOTEL)
    invited.cli("address", "add", "carl@pier.example", "--invite")
    page = Page(cards(invited, "--domain", "Pier.EXAMPLE").stdout)
    (card,) = page.cards
    assert "carl@pier.example" in card["texts"]
    assert "pop3.inselpost.example, port\xa0110, STARTTLS" in " ".join(card["texts"])
    assert len(Page(cards(invited).stdout).cards) == 3


@pytest.mark.parametrize("arguments, words", [
    (["--customer", "Nobody"], ["Nobody", "customer list"]),
    (["--customer", HOTEL, "--domain", "lighthouse.example"], [HOTEL, "no domain lighthouse.example"]),
    (["--customer", HOTEL, "--domain", "nosuch.example"], [HOTEL, "no domain nosuch.example"]),
    (["--customer", HOTEL, "--domain", "nosuch"], ["no domain"]),
    (["--customer", HOTEL, "anna@lighthouse.example"], ["anna@lighthouse.example", "not among", HOTEL]),
    (["--customer", HOTEL, "anna@quayside.example", "nobody@quayside.example"], ["nobody@quayside.example"]),
    (["--customer", HOTEL, "anna"], ["no address"]),
])
def test_refusals_invite_nobody(invited, arguments, words):
    before = database_text(invited)
    refused(invited.cli("address", "cards", *arguments, check=False), *words)
    assert database_text(invited) == before


def test_it_needs_the_pages_address_and_somebody_to_invite(invited):
    invited.configure(page_url="")
    refused(cards(invited, check=False), "page_url", "bellhop.conf")
    invited.configure(page_url=SETTINGS["page_url"])
    for local in "anna", "bert":
        invited.cli("address", "passwd", f"{local}@quayside.example")
    refused(cards(invited, check=False), HOTEL, "has a password")
