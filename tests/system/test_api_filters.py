"""What narrows the lists of addresses, customers and domains: alone, together, page by page, and for each key."""

import itertools
import sqlite3
import unicodedata
from contextlib import closing
from urllib.parse import quote, urlencode

import pytest

from api import Api, made_key
from bellhop import Instance

DOMAIN = "xn--lwen-5qa.example"  # löwen.example
LOOKED = 2000  # PAGE_LOOKED_MAX
PARTS = ["wirt", "WIRT", "straße", "STRASSE", "löwen", "LÖWEN", "LO\u0308WEN", "xn--", "aN", "100%", "a_b", "ホテル", "no such"]


class Inns:
    """Two customers, on two plans and with three domains, whose addresses are so and otherwise."""

    def __init__(self, instance):
        self.instance = instance
        self.api = Api(instance, made_key(instance, "filters"))
        api, (mine, other) = self.api, instance.customers
        self.ids = {item["name"]: item["id"] for item in api.all("/customers")}
        self.mine, self.other = self.ids[mine.name], self.ids[other.name]
        assert api.post("/domains", {"domain": "löwen.example", "customer": self.mine}).status == 201
        rows = [("wirt", "Der Wirt"), ("strasse", "Anna Hauptstraße"), ("Löwen", "WIRT + Söhne"),
                ("invited", "Gast 100%"), ("a_b", "ホテル"), ("axb", "Gast 1000")]
        for number, (local, name) in enumerate(rows):
            for domain in "löwen.example", mine.domain, other.domain:
                body = {"address": f"{local}@{domain}", "name": name, "invite": number % 3 == 0}
                made = api.post("/addresses", body)
                assert made.status == 201, made.text
                if number % 2:
                    path = "/addresses/" + quote(made.json["address"])
                    assert api.patch(path, {"suspended": True}).status == 200
        for domain, target in (DOMAIN, f"wirt@{DOMAIN}"), (other.domain, other.accounts[0].address):
            alias = {"address": f"ANNA@{domain}", "targets": [target]}
            assert api.post("/addresses", alias).status == 201
        self.shrink()
        self.all = {path: api.all(path) for path in ("/addresses", "/customers", "/domains")}

    def shrink(self):
        """The newest two of the other customer are more than its plan allows."""
        api, path = self.api, f"/customers/{self.other}"
        least = {"name": "less", "addresses": api.get(path).json["addresses"] - 2, "domains": 1}
        assert api.post("/plans", least).status == 201
        changed = api.patch(path, {"plan": "less", "over_plan": "suspend"})
        assert changed.status == 200, changed.text

    def same(self, path, fits, expected=None, api=None):
        """What a query gives in pages of 1 and of 3 and in one page is what fits."""
        wanted = [item for item in self.all[path.partition("?")[0]] if fits(item)]
        for limit in 1, 3, 500:
            assert (api or self.api).all(path.rstrip("?"), limit) == wanted, (path, limit)
        assert expected is None or len(wanted) == expected, path
        return len(wanted)


@pytest.fixture(scope="module")
def inns(template, tmp_path_factory):
    made = Instance(tmp_path_factory.mktemp("filters") / "instance", template)
    try:
        yield Inns(made.start())
    finally:
        made.finish()


def folded(text):
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def written(name):
    """As people write it."""
    return name.replace(DOMAIN, "löwen.example")


def has(part, *texts):
    return any(folded(part) in folded(text) for text in texts)


def address_fits(item, asked):
    return all((
        "kind" not in asked or item["kind"] == asked["kind"],
        "domain" not in asked or item["address"].endswith("@" + asked["domain"]),
        "customer" not in asked or item["customer"] == asked["customer"],
        "suspended" not in asked or item["suspended"] == (asked["suspended"] == "true"),
        "over_plan" not in asked or item["over_plan"] == (asked["over_plan"] == "true"),
        "invited" not in asked or (item["invited_until"] is not None) == (asked["invited"] == "true"),
        "match" not in asked or has(asked["match"], item["address"], written(item["address"]), item["name"])))


def test_addresses_by_each(inns):
    for name in "suspended", "over_plan", "invited":
        counts = [inns.same(f"/addresses?{name}={word}", lambda item: address_fits(item, {name: word}))
                  for word in ("true", "false")]
        assert min(counts) > 1 and sum(counts) == len(inns.all["/addresses"])
    found = {}
    for part in PARTS:
        asked = {"match": part}
        found[part] = inns.same("/addresses?" + urlencode(asked), lambda item: address_fits(item, asked))
    assert [part for part in found if not found[part]] == ["no such"]
    assert found["100%"] == 3 and found["a_b"] == 3  # neither is a wildcard
    assert found["straße"] == found["STRASSE"] and found["löwen"] == found["LO\u0308WEN"]


def test_addresses_by_all_together(inns):
    both = (None, "true", "false")
    combinations = list(itertools.product((None, "mailbox", "alias"), (None, DOMAIN), (None, inns.mine, inns.other),
                                          both, both, both, (None, "wirt", "LÖWEN", "an")))
    tried = 0
    for values in combinations[::7]:
        names = "kind", "domain", "customer", "suspended", "over_plan", "invited", "match"
        asked = {name: value for name, value in zip(names, values) if value is not None}
        tried += inns.same("/addresses?" + urlencode(asked), lambda item: address_fits(item, asked)) > 0
    assert tried > 50


def test_customers(inns):
    def fits(item, asked):
        return all(("plan" not in asked or item["plan"] == asked["plan"],
                    "name" not in asked or item["name"] == asked["name"],
                    "suspended" not in asked or item["suspended"] == (asked["suspended"] == "true"),
                    "match" not in asked or has(asked["match"], item["name"])))

    path = f"/customers/{inns.other}"
    added = [inns.api.post("/customers", {"name": f"Straße {n}", "plan": ("house", "less")[n % 2]}) for n in range(5)]
    for made in added[1:3]:
        assert inns.api.patch(f"/customers/{made.json['id']}", {"suspended": True}).status == 200
    inns.all["/customers"] = inns.api.all("/customers")
    for values in itertools.product((None, "house", "less", "none"), (None, "Straße 3", "nobody"),
                                    (None, "true", "false"), (None, "STRASSE", "e 3", "zz")):
        asked = {name: value for name, value in zip(("plan", "name", "suspended", "match"), values) if value}
        inns.same("/customers?" + urlencode(asked), lambda item: fits(item, asked))
    inns.same("/customers?plan=less&suspended=true&match=strasse", lambda item: item["id"] == added[1].json["id"], 1)
    assert inns.api.get(path).json["plan"] == "less"


def test_domains(inns):
    for part in "LÖWEN", "xn--", "Example", "zz":
        for customer in None, inns.mine, inns.other:
            asked = {"match": part} | ({"customer": customer} if customer else {})
            inns.same("/domains?" + urlencode(asked), lambda item: has(part, item["domain"], written(item["domain"])) and
                      customer in (None, item["customer"]))


def test_keys_see_what_is_theirs(inns):
    """Whatever is asked, of another customer or another domain there is nothing."""
    mine = Api(inns.instance, made_key(inns.instance, "mine", "--customer", inns.instance.customers[0].name))
    narrow = Api(inns.instance, made_key(inns.instance, "narrow", "--customer", inns.instance.customers[0].name,
                                         "--domain", "löwen.example"))
    for asked in {"match": "wirt"}, {"suspended": "true"}, {"over_plan": "true"}, {"invited": "true", "match": "ga"}:
        path = "/addresses?" + urlencode(asked)
        for api, reach in (mine, {"customer": inns.mine}), (narrow, {"domain": DOMAIN}):
            inns.same(path, lambda item: address_fits(item, asked | reach), api=api)
    for api, names in (mine, {DOMAIN, inns.instance.customers[0].domain}), (narrow, {DOMAIN}):
        inns.same("/domains?match=ex", lambda item: item["domain"] in names, api=api)
        name = inns.instance.customers[0].name
        inns.same("/customers?suspended=false", lambda item: item["name"] == name, 1, api)
        inns.same(f"/customers?{urlencode({'match': name.upper()})}", lambda item: item["name"] == name, 1, api)
        inns.same("/customers?plan=less", lambda item: False, 0, api)
        inns.same(f"/customers?{urlencode({'match': inns.instance.customers[1].name})}", lambda item: False, 0, api)


def test_a_plus_stays_one_in_the_next_page(inns):
    """A plus in a query is a space, and so it is in the link; written %2B it is one."""
    for query, part in ("match=der+wirt", "der wirt"), ("match=wirt+%2B", "wirt +"), ("match=t%20%2b%20s", "t + s"):
        inns.same("/addresses?" + query, lambda item: has(part, item["name"]), 3)


@pytest.mark.parametrize("path, query", [
    ("/addresses", "match=a"), ("/addresses", "match="), ("/addresses", "match=%C3%B6"), ("/addresses", "match=%ff%ff"),
    ("/addresses", "match=a%00b"), ("/addresses", "match=%zz"), ("/addresses", "match=ab&match=ab"),
    ("/addresses", "match=" + "a" * 101), ("/addresses", "match=" + "%C3%B6" * 101), ("/addresses", "suspended=yes"),
    ("/addresses", "suspended="), ("/addresses", "over_plan=1"), ("/addresses", "invited=TRUE"),
    ("/customers", "match=a"), ("/customers", "suspended=x"), ("/customers", "plan=%ff"), ("/customers", "invited=true"),
    ("/domains", "match=a"), ("/domains", "suspended=true"), ("/usage", "match=ab"), ("/sessions", "match=ab")])
def test_wrong_filters(inns, path, query):
    answer = inns.api.get(f"{path}?{query}")
    assert answer.status == 400 and answer.code == "query", answer.text


def test_the_most_and_the_least_of_a_match(inns):
    for part in "ö" * 100, "\U0001f981" * 100, "\ufdfa" * 100, "öß", "a" * 100:
        assert inns.api.get("/addresses?" + urlencode({"match": part})).json == {"items": [], "next": None}
    assert "2 to 100" in inns.api.get("/addresses?match=a").json["detail"]


def test_the_document_tells_them(inns):
    for path, names in (("/addresses", {"suspended": "boolean", "over_plan": "boolean", "invited": "boolean", "match": "string"}),
                        ("/customers", {"plan": "string", "suspended": "boolean", "match": "string"}),
                        ("/domains", {"match": "string"})):
        told = {parameter["name"]: parameter["schema"]
                for parameter in inns.api.document.operations["GET", "/api/v1" + path]["parameters"]}
        assert {name: told[name]["type"] for name in names} == names
        assert (told["match"]["minLength"], told["match"]["maxLength"]) == (2, 100)


def test_many_are_looked_at_in_parts(instance):
    """A page looks at so many at most: it may be empty and have a next one."""
    api = Api(instance, made_key(instance, "operator"))
    count = 2 * LOOKED + 100  # customers, and their addresses: of the first 41, 100 each
    with closing(sqlite3.connect(instance.dir / "accounts.db", timeout=30, isolation_level=None)) as opened:
        opened.execute("BEGIN")
        opened.execute("UPDATE plan SET addresses = 100")
        for number in range(count):
            name = "Die Letzte" if number == count - 1 else "Äußerst Anderer"
            opened.execute("INSERT INTO any_customer (name, plan, created) SELECT ?, id, 1 FROM plan LIMIT 1",
                           (f"~{number:05} {name}",))
            customer, = opened.execute("SELECT min(id) + ? / 100 FROM customer WHERE name >= '~'", (number,)).fetchone()
            if number % 100 == 0:
                opened.execute("INSERT INTO any_domain (customer, name, created) VALUES (?, ?, 1)",
                               (customer, f"zz{number // 100:02}.example"))
            opened.execute("INSERT INTO any_mailbox (customer, name, created) VALUES (?, ?, 1)", (customer, name))
            opened.execute("INSERT INTO any_address (customer, domain, local, mailbox, created)"
                           " SELECT ?, max(id), ?, last_insert_rowid(), 1 FROM any_domain", (customer, f"n{number:05}"))
        opened.execute("COMMIT")
    for path in "/customers?match=die%20l", "/addresses?match=die%20l&suspended=false":
        for limit in 1, 3, 500:
            item, = api.all(path, limit)
            assert item["name"].endswith("Die Letzte")
        pages = []
        while path:
            page = api.get(path).json
            pages.append(len(page["items"]))
            path = page["next"] and page["next"].removeprefix("/api/v1")
        assert pages == [0, 0, 1]
