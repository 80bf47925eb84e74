"""Who may do what over the HTTP API: every route with every role, two customers and two domains."""

import json

import pytest

from api import Api, document_of, made_key
from bellhop import ROOT, wait_until

MATRIX = ROOT / "tests" / "system" / "api_matrix.txt"

PASSWORD = "a very long password"

CALLERS = ("operator", "operator-read", "admin", "helpdesk", "customer-read", "owner", "domain")


def rows():
    """{(method, path): {caller: [status, ...]}}"""
    found = {}
    for line in MATRIX.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        method, path, *cells = line.split()
        assert (method, path) not in found and len(cells) == len(CALLERS), line
        found[method, path] = {caller: cell.split("/") for caller, cell in zip(CALLERS, cells)}
    return found


class World:
    """Hotel has two domains, its owner a mailbox in the first; group is somebody else."""

    def __init__(self, instance):
        self.instance = instance
        self.document = document_of(instance)
        hotel, group = instance.customers
        self.hotel, self.group = hotel, group
        self.operator = self.caller("operator")
        own = [account.address for account in hotel.accounts]
        instance.cli("domain", "add", "annex.example", "--customer", hotel.name)
        instance.cli("address", "add", "x@annex.example")
        self.apis = {
            "operator": self.operator,
            "operator-read": self.caller("operator-read", "--role", "operator-read"),
            "owner": self.caller("owner", "--role", "owner", "--address", own[0]),
            "domain": self.caller("domain", "--customer", hotel.name, "--domain", hotel.domain)}
        for role in "admin", "helpdesk", "customer-read":
            self.apis[role] = self.caller(role, "--role", role, "--customer", hotel.name)
        self.caller("foreign", "--customer", group.name)
        customers = {item["name"]: item["id"] for item in self.operator.all("/customers")}
        keys = {item["name"]: item["id"] for item in self.operator.all("/api-keys")}
        # The caller's own, one beside it, another customer's.
        self.objects = {
            "plan": [hotel.plan, None, group.plan],
            "customer": [customers[hotel.name], None, customers[group.name]],
            "domain": [hotel.domain, "annex.example", group.domain],
            "address": [own[0], "x@annex.example", group.accounts[0].address],
            "key": [keys["domain"], keys["admin"], keys["foreign"]],
            "removal": [self.removal(domain) for domain in (hotel.domain, "annex.example", group.domain)],
            "job": [self.job(customers[customer.name]) if customer else None for customer in (hotel, None, group)],
            "webhook": [self.webhook(hotel.name), None, self.webhook(group.name)],
            "user": [self.user("desk", hotel), None, self.user("desk", group)],
            "session": ["0" * 64]}
        for address in self.objects["address"]:  # an event of each
            assert self.operator.ask("PUT", f"/addresses/{address}/password",
                                     {"password": "a long password"}).status == 204
        self.foreign = [group.name, group.domain, str(customers[group.name])]

    def job(self, customer):
        """One that has ended without having made anything."""
        job = self.operator.post(f"/customers/{customer}/jobs", [{"address": "none"}]).json["id"]
        wait_until(lambda: self.operator.get(f"/jobs/{job}").json["ended"], 20, "the end of the job")
        return job

    def webhook(self, customer):
        """It leads where nothing is sent."""
        made = self.instance.cli("webhook", "add", "https://127.0.0.1/", "--customer", customer, "--json")
        return json.loads(made.stdout)["id"]

    def removal(self, domain):
        """Of an address whose name is taken again."""
        address = f"gone@{domain}"
        for command in "add", "remove", "add":
            self.instance.cli("address", command, address)
        return [item["id"] for item in self.operator.all("/removed") if item["name"] == address][0]

    def user(self, name, customer):
        """The id of a new admin user."""
        login = self.person(name, "--customer", customer.name, "--role", "helpdesk")
        return [item["id"] for item in self.operator.all("/admin-users") if item["login"] == login][0]

    def person(self, name, *options):
        """The login of a new admin user, who has a password."""
        said = self.instance.cli("admin-user", "add", name, *options).stdout
        login = said.splitlines()[0].removeprefix("login: ")
        self.instance.cli("admin-user", "passwd", login, "--password-stdin", input=PASSWORD)
        return login

    def caller(self, name, *options):
        return Api(self.instance, made_key(self.instance, name, *options))

    def ask(self, caller, method, path, which):
        """What the caller is answered for its own object (0), the one beside it (1), a foreign one (2)."""
        for name, objects in self.objects.items():
            if "{" + name + "}" in path:
                path = path.replace("{" + name + "}", str(objects[which]))
        if path.endswith("/{name}"):
            name, body = (("n", {"name": "n"}) if "/app-passwords/" in path else
                          ("192.0.2.0%2F24", {"network": "192.0.2.0/24"}) if "/trusted-networks/" in path else
                          ("https%3A%2F%2Flogin.example", {"issuer": "https://login.example", "audience": "a"}))
            made = self.operator.post(path.removeprefix("/api/v1").removesuffix("/{name}"), body)
            assert made.status in (201, 409)
            path = path.replace("{name}", name)
        operation = self.document.find(method, path)
        takes = {parameter["name"] for parameter in operation.get("parameters", [])}
        headers = {"If_Match": '"never"'} if method in ("PATCH", "DELETE") and "If-Match" in takes else {}
        body = {} if "requestBody" in operation else None
        return self.apis[caller].ask(method, path.removeprefix("/api/v1"), body, **headers)


@pytest.fixture(scope="module")
def world(shared):
    return World(shared)


def test_every_route_has_a_row(world):
    served = {route for route, operation in world.document.operations.items() if operation["x-roles"]}
    assert served == set(rows()), "a route without a row in api_matrix.txt, or a row without a route"


@pytest.mark.parametrize("caller", CALLERS)
def test_who_may_do_what(world, caller):
    wrong = []
    for (method, path), cells in rows().items():
        for which, expected in enumerate(cells[caller]):
            if expected == "-":
                continue
            answer = world.ask(caller, method, path, which)
            if str(answer.status) != expected:
                wrong.append(f"{method} {path}, object {which}: {answer.status}, not {expected}: "
                             f"{answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


class Cookie(Api):
    """Asks with a session in place of a key."""

    def __init__(self, world, login, password):
        super().__init__(world.instance, None)
        answer = self.post("/login", {"login": login, "password": password})
        assert answer.status == 201, answer.text
        self.fields = {"Cookie": answer.headers["Set-Cookie"].split(";")[0],
                       "X-CSRF-Token": answer.json["csrf_token"]}

    def ask(self, method, path, body=None, **headers):
        return super().ask(method, path, body, **{**getattr(self, "fields", {}), **headers})


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller != "domain"])
def test_a_session_may_what_a_key_of_its_role_may(world, caller):
    """But of what is for people alone, which test_people.py has."""
    hotel = world.hotel
    login, password = hotel.accounts[0].address, PASSWORD
    if caller == "owner":
        world.instance.cli("address", "passwd", login, "--password-stdin", input=PASSWORD)
    else:
        customer = () if caller.startswith("operator") else ("--customer", hotel.name)
        login = world.person(f"{caller}-person", "--role", caller, *customer)
    key, world.apis[caller] = world.apis[caller], Cookie(world, login, password)
    wrong = []
    for (method, path), cells in rows().items():
        if cells["operator"] == ["403"]:  # for people
            continue
        for which, expected in enumerate(cells[caller]):
            if expected == "-":
                continue
            if (caller, method, path, which) == ("owner", "PUT", "/api/v1/addresses/{address}/password", 0):
                expected = "403"  # that asks for no old password: /self/password does
            answer = world.ask(caller, method, path, which)
            if str(answer.status) != expected:
                wrong.append(f"{method} {path}, object {which}: {answer.status}, not {expected}: "
                             f"{answer.text[:200]}")
    world.apis[caller] = key
    assert not wrong, "\n".join(wrong)


def test_a_foreign_object_is_answered_as_none_at_all(world):
    """To the word, but for the request's id."""
    nothing = {"plan": "none", "customer": 999999, "domain": "none.example", "address": "a@none.example",
               "key": 999999, "removal": 999999, "job": 999999, "webhook": 999999, "user": 999999}
    for (method, path), cells in rows().items():
        for caller, statuses in cells.items():
            if len(statuses) != 3 or statuses[2] != "404" or "{name}" in path:
                continue
            foreign = world.ask(caller, method, path, 2)
            kept = world.objects
            world.objects = {name: [None, None, value] for name, value in nothing.items()}
            missing = world.ask(caller, method, path, 2)
            world.objects = kept
            for answer in foreign, missing:
                assert answer.status == 404, (caller, method, path)
            assert {**foreign.json, "request": ""} == {**missing.json, "request": ""}


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if not caller.startswith("operator")])
def test_lists_hold_nothing_foreign(world, caller):
    api = world.apis[caller]
    for (method, path), cells in rows().items():
        if method != "GET" or cells[caller] != ["200"] or path in ("/api/v1/self", "/api/v1/meta"):
            continue
        short = path.removeprefix("/api/v1")
        text = api.get(short).text if short.endswith("/export") else "".join(map(str, api.all(short)))
        assert text or path in ("/api/v1/sessions", "/api/v1/blocks")
        for name in world.foreign[:2]:
            assert name not in text, path
        if caller in ("domain", "owner"):
            assert "annex.example" not in text, path
        if "customer" in [parameter["name"] for parameter in
                          world.document.operations[method, path]["parameters"]]:
            assert api.get(f"{path.removeprefix('/api/v1')}?customer={world.foreign[2]}").status == 404


def test_what_is_made_reaches_no_further(world):
    """Bodies that name what is another customer's, or out of the key's reach, are as of nothing."""
    theirs = world.objects["customer"][2]
    for caller, domain in [("admin", world.group.domain), ("domain", "annex.example"),
                           ("domain", world.group.domain)]:
        api = world.apis[caller]
        foreign = api.post("/addresses", {"address": f"new@{domain}"})
        none = api.post("/addresses", {"address": "new@none.example"})
        assert foreign.status == none.status == 422
        assert foreign.json["errors"] == none.json["errors"]
        for body in {"role": "admin", "domain": domain}, {"role": "owner", "address": f"a@{domain}"}:
            assert api.post("/api-keys", {"name": "more", **body}).status == 422
    admin = world.apis["admin"]
    foreign = admin.post("/domains", {"domain": "new.example", "customer": theirs})
    none = admin.post("/domains", {"domain": "new.example", "customer": 999999})
    assert foreign.status == none.status == 422 and foreign.json["errors"] == none.json["errors"]
    alias = admin.post("/addresses", {"address": f"new@{world.hotel.domain}",
                                      "targets": [world.group.accounts[0].address]})
    assert alias.status == 422
    # Only that a domain is taken can be told, as DNS tells it anyway.
    assert admin.post("/domains", {"domain": world.group.domain}).code == "exists"
