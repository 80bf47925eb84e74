"""Events, the audit and usage over the HTTP API by time and kind; what changes nothing is no record."""

import calendar
import json
import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from api import Api, made_key, operator
from bellhop import wait_until


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def seconds(stamp):
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def database(instance):
    return closing(sqlite3.connect(instance.dir / "accounts.db", timeout=30, isolation_level=None))


def ids(api):
    return {item["name"]: item["id"] for item in api.all("/customers")}


# --- events


@pytest.fixture
def events(instance):
    """Four logins of one customer's mailbox, a refusal of a name beside it, a login of another's."""
    now = int(time.time())
    ours, theirs = (customer.accounts[0].address for customer in instance.customers)
    rows = [(50, 50, ours, "login", 1), (40, 20, ours, "login", 1), (30, 28, ours, "delayed", 1),
            (2, 1, ours, "login", 1), (3, 3, "nobody@" + ours.split("@")[1], "refused", 0), (4, 4, theirs, "login", 1)]
    with database(instance) as opened:
        mailboxes = dict(opened.execute(
            "SELECT local || '@' || name, mailbox || ' ' || address.customer FROM address"
            " JOIN domain ON domain.id = address.domain"))
        for hours, last, address, kind, known in rows:
            mailbox, customer = mailboxes[theirs if address == theirs else ours].split()
            opened.execute("INSERT INTO event (id, customer, mailbox, kind, time, count, refused, address,"
                           " remote, protocol, mechanism, credential, reason)"
                           " VALUES (?, ?, ?, ?, ?, 1, ?, ?, '', 'pop3', '', '', '')",
                           ((now - hours * 3600) * 1_000_000, customer, mailbox if known else 0, kind,
                            now - last * 3600, kind == "refused", address))
    instance.now, instance.ours, instance.theirs = now, ours, theirs
    return instance


def begun(api, path):
    """How many hours ago what is listed began, the newest first."""
    now = api.instance.now
    return [round((now - item["id"] / 1e6) / 3600) for item in api.all(path, limit=2)
            if item["kind"] != "password"]


def test_events_of_a_time(events):
    api = operator(events)
    path = f"/addresses/{events.ours}/events"
    for since, hours in (24, [2, 40]), (29, [2, 30, 40]), (0.5, []), (72, [2, 30, 40, 50]):
        assert begun(api, f"{path}?since={stamp(events.now - since * 3600)}") == hours
    for until, hours in (1, [2, 30, 40, 50]), (3.5, [30, 40, 50]), (45, [50]), (60, []):
        assert begun(api, f"{path}?until={stamp(events.now - until * 3600)}") == hours
    both = f"since={stamp(events.now - 29 * 3600)}&until={stamp(events.now - 35 * 3600)}"
    assert begun(api, f"{path}?{both}") == [40]
    # With an offset, and over everybody.
    assert begun(api, f"/events?since={stamp(events.now - 5 * 3600)[:-1]}%2B00:00") == [2, 3, 4]


def test_events_by_kind_and_address(events):
    api = operator(events)
    assert begun(api, "/events?kind=login") == [2, 4, 40, 50]
    assert begun(api, "/events?kind=refused") == [3]
    assert begun(api, f"/events?address={events.ours}") == [2, 30, 40, 50]
    assert begun(api, f"/events?address=nobody@{events.ours.split('@')[1].upper()}&kind=refused") == [3]
    one = ids(api)[events.customers[0].name]
    assert begun(api, f"/events?customer={one}&address={events.theirs}") == []
    # Whose key it is bounds everything: another's address has no events for it.
    key = made_key(events, "ours", "--customer", events.customers[0].name)
    panel = Api(events, key)
    assert begun(panel, "/events?kind=login") == [2, 40, 50]
    assert begun(panel, f"/events?address={events.theirs}") == []
    assert {item["customer_name"] for item in panel.all("/events")} == {events.customers[0].name}


def test_a_plus_in_a_query_is_a_space(shared):
    """Which whoever sends an offset as it is hears of."""
    api = operator(shared)
    for path in "/events", "/audit":
        wrong = api.get(f"{path}?since=2026-01-01T00:00:00+02:00")
        assert wrong.status == 400 and "%2B02:00" in wrong.json["detail"], wrong.text
        assert api.get(f"{path}?since=2026-01-01T00:00:00%2B02:00").status == 200
        assert "%2B" not in api.get(f"{path}?since=yesterday").json["detail"]


def test_a_plus_in_a_query_is_a_space_in_the_next_page(instance):
    """The link to it has no space, which a URL may not have."""
    api = operator(instance)
    for command in ("add", "Zum Löwen", "--plan", "house"), ("suspend", "Zum Löwen"), ("resume", "Zum Löwen"):
        instance.cli("customer", *command)
    for space in "+", "%20":
        path = f"/audit?object=Zum{space}L%C3%B6wen"
        assert " " not in api.get(path + "&limit=1").json["next"]
        assert [row["action"] for row in api.all(path, limit=1)] == \
            ["customer.resume", "customer.suspend", "customer.add"]


@pytest.mark.parametrize("query", ["since=yesterday", "until=2026-11-22", "kind=loggin", "address=x", "since="])
def test_wrong_filters_of_events(shared, query):
    answer = operator_of(shared).get(f"/events?{query}")
    assert answer.status == 400 and answer.code == "query"


def operator_of(shared):
    if not hasattr(shared, "records_api"):
        shared.records_api = Api(shared, made_key(shared, "records"))
    return shared.records_api


# --- the audit


def test_audit_of_a_time(instance):
    api = operator(instance)
    one, other = instance.customers
    for number in range(30):
        instance.cli("address", "set", one.accounts[0].address, "--name", f"n{number}")
    everything = api.all("/audit")
    start = 1_700_000_000
    with database(instance) as opened:
        for trigger in "audit_stays", "audit_is_kept":
            opened.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        opened.execute("UPDATE audit SET time = ? + id * 10", (start,))
    ours = api.all(f"/audit?customer={ids(api)[one.name]}")
    assert len(ours) < len(everything)
    for rows, path in (everything, "/audit?"), (ours, f"/audit?customer={ids(api)[one.name]}&"):
        numbers = [row["id"] for row in rows]
        for bound in 0, 1, 5, len(everything) // 2, len(everything), len(everything) + 5:
            for moment in start + bound * 10, start + bound * 10 + 3:
                assert [row["id"] for row in api.all(f"{path}until={stamp(moment)}", limit=7)] == \
                    [number for number in numbers if start + number * 10 < moment]
                assert [row["id"] for row in api.all(f"{path}since={stamp(moment)}", limit=7)] == \
                    [number for number in numbers if start + number * 10 >= moment]
        span = f"since={stamp(start + 50)}&until={stamp(start + 120)}"
        assert [row["id"] for row in api.all(path + span, limit=3)] == \
            [number for number in numbers if 5 <= number < 12]


def test_audit_by_action_and_object(instance):
    api = operator(instance)
    account = instance.customers[0].accounts[0]
    instance.cli("address", "set", account.address, "--name", "Anna")
    instance.cli("customer", "suspend", instance.customers[1].name)
    assert [row["object"] for row in api.all("/audit?action=address.name")] == [account.address]
    assert {row["action"] for row in api.all("/audit?action=customer.*")} == {"customer.add", "customer.suspend"}
    rows = api.all(f"/audit?object={account.address}")
    assert [row["action"] for row in rows] == ["address.name", "address.add"]
    assert {row["customer_name"] for row in rows} == {instance.customers[0].name}
    both = api.all("/audit?action=address.name,customer.suspend")
    assert {row["action"] for row in both} == {"address.name", "customer.suspend"}
    assert api.all("/audit?action=*") == api.all("/audit")
    for wrong in "address", "address.ad", "", "address.name,":
        answer = api.get(f"/audit?action={wrong}")
        assert (answer.status, answer.code) == (400, "query"), wrong
    assert "address.name" in api.get("/audit?action=address.ad").json["detail"]


# --- usage, and fields


def test_usage_of_all(instance):
    api = operator(instance)
    one, other = instance.customers
    instance.cli("address", "add", f"info@{one.domain}", "--to", one.accounts[0].address)
    reply, = instance.deliver([one.accounts[0].address], b"Subject: a\r\n\r\nb\r\n")
    assert reply.code == 250
    listed = api.all("/usage", limit=1)
    accounts = [account.address for customer in instance.customers for account in customer.accounts]
    assert sorted(item["address"] for item in listed) == sorted(accounts)
    assert [item for item in listed if item["used_messages"]] == \
        [api.get(f"/addresses/{one.accounts[0].address}/usage").json]
    key = made_key(instance, "other", "--customer", other.name)
    assert [item["address"] for item in Api(instance, key).all("/usage")] == \
        sorted(account.address for account in other.accounts)
    owner = made_key(instance, "owner", "--role", "owner", "--address", accounts[0])
    assert [item["address"] for item in Api(instance, owner).all("/usage")] == accounts[:1]


# --- statistics


def counted(object):
    """The kinds that there were, but for new passwords: the instance begins with some."""
    return {kind: count for kind, count in object["events"].items() if count and kind != "password"}


def test_statistics_of_a_customer(events):
    """What one has, uses and saw; nothing of the other's."""
    api = operator(events)
    one, other = events.customers
    path, beside = (f"/customers/{ids(api)[customer.name]}" for customer in (one, other))
    before, plan = api.get(f"{path}/statistics").json, api.get(f"/plans/{one.plan}").json
    assert (before["customer"], before["customer_name"], before["plan"]) == (ids(api)[one.name], one.name, plan["name"])
    assert before["domains"] == {"used": 1, "allowed": plan["domains"]}
    assert before["addresses"] == {"used": len(one.accounts), "allowed": plan["addresses"]}
    assert (before["mailboxes"], before["aliases"]) == (len(one.accounts), 0)
    assert {before[name] for name in ("suspended", "over_plan", "invited", "used_bytes", "used_messages", "full")} == {0}
    assert counted(before) == {"login": 3, "delayed": 1, "refused": 1}
    theirs = api.get(f"{beside}/statistics").json
    assert counted(theirs) == {"login": 1}

    reply, = events.deliver([events.ours], b"Subject: a\r\n\r\n" + b"b" * 70 + b"\r\n")
    assert reply.code == 250
    used = api.get(f"/addresses/{events.ours}/usage").json
    assert api.patch(f"/addresses/{events.ours}", {"quota_bytes": used["used_bytes"]}).status == 200
    assert api.patch(f"/addresses/{one.accounts[1].address}", {"suspended": True}).status == 200
    for name in "info", "more":
        assert api.post("/addresses", {"address": f"{name}@{one.domain}", "targets": [events.ours]}).status == 201
    assert api.post("/addresses", {"address": f"new@{one.domain}", "invite": True}).status == 201
    after = api.get(f"{path}/statistics").json
    assert after["addresses"]["used"] == before["addresses"]["used"] + 3
    assert (after["mailboxes"], after["aliases"]) == (before["mailboxes"] + 1, 2)
    assert [after[name] for name in ("suspended", "invited", "full")] == [1, 1, 1]
    assert (after["used_bytes"], after["used_messages"]) == (used["used_bytes"], 1)
    assert counted(after) == counted(before) | {"suspended": 1}
    assert api.get(f"{beside}/statistics").json == {**theirs, "events_since": api.get(f"{beside}/statistics").json["events_since"]}
    assert api.post("/plans", {"name": "less", "addresses": len(one.accounts)}).status == 201
    assert api.patch(path, {"plan": "less", "over_plan": "suspend"}).status == 200
    assert api.get(f"{path}/statistics").json["over_plan"] == 3

    own = Api(events, made_key(events, "own", "--customer", one.name))
    assert own.get(f"{path}/statistics").json["customer"] == before["customer"]
    assert own.get(f"{beside}/statistics").status == 404 and own.get("/statistics").status == 403


def test_statistics_of_some_days(events):
    api = operator(events)
    path = f"/customers/{ids(api)[events.customers[0].name]}/statistics"
    for days, kinds in (1, {"login": 1, "refused": 1}), (2, {"login": 2, "delayed": 1, "refused": 1}), (30, {"login": 3, "delayed": 1, "refused": 1}):
        shown = api.get(f"{path}?days={days}").json
        assert counted(shown) == kinds
        assert abs(seconds(shown["events_since"]) - (events.now - days * 86400)) < 60
    for wrong in "0", "31", "-1", "", "7.0", "100", "x":
        for place in path, "/statistics":
            answer = api.get(f"{place}?days={wrong}")
            assert (answer.status, answer.code) == (400, "query") and '"days"' in answer.json["detail"], wrong


def test_statistics_of_the_host(events):
    api = operator(events)
    one, other = events.customers
    before = api.get("/statistics").json
    accounts = len(one.accounts) + len(other.accounts)
    assert [before[name] for name in ("customers", "suspended", "domains", "addresses", "mailboxes", "aliases",
                                      "removed", "sessions")] == [2, 0, 2, accounts, accounts, 0, 0, 0]
    assert counted(before) == {"login": 4, "delayed": 1, "refused": 1}
    events.cli("address", "add", f"info@{one.domain}", "--to", events.ours)
    events.cli("address", "remove", one.accounts[1].address)
    events.cli("customer", "suspend", other.name)
    pop3 = events.pop3(one.accounts[0])
    wait_until(lambda: api.get("/statistics").json["sessions"] == 1)
    pop3.quit()
    after = api.get("/statistics").json
    assert [after[name] for name in ("customers", "suspended", "domains", "addresses", "mailboxes", "aliases",
                                     "removed")] == [2, 1, 2, accounts, accounts - 1, 1, 1]
    events.cli("customer", "remove", other.name)
    gone = api.get("/statistics").json
    assert [gone[name] for name in ("customers", "suspended", "domains", "mailboxes", "removed")] == \
        [1, 0, 1, len(one.accounts) - 1, 2]


def test_statistics_look_at_no_more_events_than_they_say(events):
    api = operator(events)
    customer = ids(api)[events.customers[0].name]
    with database(events) as opened:
        opened.execute("BEGIN")
        opened.executemany(
            "INSERT INTO event (id, customer, mailbox, kind, time, count, refused, address, remote, protocol,"
            " mechanism, credential, reason) VALUES (?, ?, 0, 'lifted', 1, 2, 0, '', '', '', '', '', '')",
            [((events.now - 3600 - number) * 1_000_000 + 500_000, customer) for number in range(10_100)])
        opened.execute("COMMIT")
    path = f"/customers/{customer}/statistics"
    shown = api.get(path).json
    since = seconds(shown["events_since"])
    assert events.now - 3600 - 10_100 < since < events.now - 3600 - 9_900
    assert shown["events"]["lifted"] == 2 * (events.now - 3600 - since + 2)  # with the one half a second before it
    assert api.get(f"{path}?days=30").json["events"] == shown["events"]
    host = api.get("/statistics").json
    assert host["events"]["lifted"] == 2 * 10_100 and seconds(host["events_since"]) < since


def test_statistics_without_the_store(instance):
    """Who asks for what the store knows is told to come again; both answers of many mailboxes."""
    api = operator(instance)
    customer = instance.customers[0]
    path = f"/customers/{ids(api)[customer.name]}"
    (stored,) = instance.pids()["stored"]
    os.kill(stored, signal.SIGSTOP)
    try:
        for asked in f"{path}/statistics", f"{path}/plan-preview?plan={customer.plan}":
            answer = api.get(asked)
            assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "busy", "1"), asked
        assert api.get("/statistics").json["customers"] == 2
    finally:
        os.kill(stored, signal.SIGCONT)
    assert api.get(f"{path}/statistics").status == 200


def test_statistics_on_the_command_line(events):
    one, other = events.customers
    shown = json.loads(events.cli("statistics", "--customer", one.name, "--json").stdout)
    assert (shown["customer"], shown["mailboxes"], shown["used_messages"]) == (one.name, len(one.accounts), 0)
    assert counted(shown) == {"login": 3, "delayed": 1, "refused": 1}
    assert json.loads(events.cli("statistics", "--json").stdout)["customers"] == 2
    table = events.cli("statistics", "--customer", other.name).stdout
    assert "CUSTOMER" in table and other.name in table and "1 login" in table and one.name not in table
    events.stop()
    stopped = events.cli("statistics", "--customer", one.name)
    assert "USED               -" in stopped.stdout and "is unknown, the service is not running" in stopped.stderr


def test_fields_of_everything_that_is_shown(instance):
    """Each GET that the document gives `fields` leaves what they name, and refuses what there is not."""
    api = operator(instance)
    account = instance.customers[0].accounts[0]
    instance.cli("app-password", "add", account.address, "--name", "phone")
    instance.cli("address", "add", f"gone@{instance.customers[0].domain}")
    instance.cli("address", "remove", f"gone@{instance.customers[0].domain}")
    customer = ids(api)[instance.customers[0].name]
    assert api.post(f"/customers/{customer}/token-issuers",
                    {"issuer": "https://login.example", "audience": "mail"}).status == 201
    objects = {"plan": "house", "customer": customer, "domain": instance.customers[0].domain,
               "address": account.address, "key": api.all("/api-keys")[0]["id"],
               "removal": api.all("/removed")[0]["id"]}
    tried = 0
    for (method, path), operation in api.document.operations.items():
        names = {parameter["name"]: parameter for parameter in operation["parameters"]}
        if method != "GET" or "fields" not in names:
            continue
        for name, value in objects.items():
            path = path.replace("{" + name + "}", str(value))
        if "{" in path:
            continue
        query = "plan=house&" if "plan" in names and names["plan"]["in"] == "query" else ""
        path = path.removeprefix("/api/v1") + "?" + query
        whole = api.get(path.rstrip("?&"))
        if whole.status == 403 and whole.code == "session-only":  # of people, not of keys
            continue
        assert whole.status == 200, (path, whole.text)
        items = whole.json["items"] if "limit" in names else [whole.json]
        # An empty list refuses as much as a full one.
        for wrong in "nothing", "", ",", ",".join(["address"] * 33):
            assert api.get(f"{path}fields={wrong}").code == "query", (path, wrong)
        if items:
            tried += 1
            assert api.get(f"{path}fields={','.join(items[0])}").status == 200, path
            member = sorted(items[0])[0]
            some = api.get(f"{path}fields={member}").json
            assert all(list(item) == [member] for item in (some["items"] if "limit" in names else [some])), path
    assert tried > 15


def test_a_needed_parameter_is_in_the_document(shared):
    api = operator_of(shared)
    operation = api.document.operations["GET", "/api/v1/customers/{customer}/plan-preview"]
    plan, = (parameter for parameter in operation["parameters"] if parameter["name"] == "plan")
    assert plan["required"] is True
    answer = api.get(f"/customers/{list(ids(api).values())[0]}/plan-preview")
    assert answer.status == 400 and "plan" in answer.json["detail"]
    assert not any(parameter["required"] for parameter in
                   api.document.operations["GET", "/api/v1/events"]["parameters"])


def test_what_parameters_may_be_is_in_the_document(shared):
    api = operator_of(shared)
    chosen = set()
    for (method, path), operation in api.document.operations.items():
        for parameter in operation["parameters"]:
            assert parameter["in"] == "path" or parameter["description"], (path, parameter)
            words = parameter["schema"].get("enum")
            if words is None or method != "GET" or "{" in path:
                continue
            chosen.add((path.removeprefix("/api/v1"), parameter["name"]))
            asked = f"{path.removeprefix('/api/v1')}?{parameter['name']}="
            assert all(api.get(asked + word).status == 200 for word in words), path
            answer = api.get(asked + "nothing")
            assert (answer.status, answer.code) == (400, "query")
            assert all(word in answer.json["detail"] for word in words), answer.text
    assert chosen == {("/addresses", "kind"), ("/events", "kind"), ("/jobs", "state"), ("/removed", "kind")}
    now, = (parameter for parameter in api.document.operations["DELETE", "/api/v1/customers/{customer}"]["parameters"]
            if parameter["name"] == "now")
    assert now["schema"] == {"type": "boolean"}
    assert api.delete(f"/customers/{list(ids(api).values())[0]}?now=yes").json["detail"] == \
        '"now": it is one of: true, false'


def test_customers_by_name(shared):
    api = operator_of(shared)
    one, other = shared.customers
    assert [item["name"] for item in api.all(f"/customers?name={one.name.replace(' ', '%20')}")] == [one.name]
    assert api.all("/customers?name=nobody") == []
    panel = Api(shared, made_key(shared, "by-name", "--customer", one.name))
    assert len(panel.all(f"/customers?name={one.name.replace(' ', '%20')}")) == 1
    assert panel.all(f"/customers?name={other.name.replace(' ', '%20')}") == []


# --- API keys


def test_keys_are_changed(instance):
    api = operator(instance)
    one = ids(api)[instance.customers[0].name]
    made = api.post("/api-keys", {"name": "panel", "role": "admin", "customer": one,
                                  "expires": "2099-01-01T00:00:00Z"}).json
    panel = Api(instance, made["key"])
    path = f"/api-keys/{made['id']}"
    before = api.get(path)
    changed = api.patch(path, {"name": "desk", "role": "helpdesk", "networks": ["192.0.2.0/24"],
                               "rate": 7, "expires": None}, If_Match=before.headers["ETag"])
    assert changed.status == 200, changed.text
    assert {**before.json, "name": "desk", "role": "helpdesk", "networks": ["192.0.2.0/24"], "rate": 7,
            "expires": None} == changed.json
    # It counts from the next request on.
    assert panel.get("/self").code == "network"
    assert api.patch(path, {"networks": [], "rate": 0}).json["networks"] == []
    assert panel.get("/self").json["role"] == "helpdesk"
    assert panel.patch(path, {"role": "admin"}).code == "role"
    assert api.patch(path, {"name": "x"}, If_Match=before.headers["ETag"]).code == "changed"
    assert api.all("/audit?action=api_key.set")[0]["changes"][0]["after"] == {"networks": "", "rate": 0}


def test_keys_are_changed_within_bounds(instance):
    api = operator(instance)
    one, other = (customer.name for customer in instance.customers)
    admin = Api(instance, made_key(instance, "admin", "--customer", one))
    keys = {}
    for name, options in (("read", ["--customer", one, "--role", "customer-read"]),
                          ("theirs", ["--customer", other]), ("all", ["--role", "operator-read"]),
                          ("owner", ["--address", instance.customers[0].accounts[0].address])):
        made_key(instance, name, *options)
        keys[name] = [item["id"] for item in api.all("/api-keys") if item["name"] == name][0]
    assert admin.patch(f"/api-keys/{keys['read']}", {"role": "helpdesk"}).json["role"] == "helpdesk"
    for name, caller, role in (("read", admin, "operator"), ("read", api, "owner"), ("all", api, "admin"),
                               ("owner", api, "admin")):
        answer = caller.patch(f"/api-keys/{keys[name]}", {"role": role})
        assert answer.status == 422 and answer.errors == {"/role": "role"}, answer.text
    assert api.patch(f"/api-keys/{keys['all']}", {"role": "operator"}).json["role"] == "operator"
    assert admin.patch(f"/api-keys/{keys['theirs']}", {"rate": 1}).status == 404
    assert admin.patch(f"/api-keys/{keys['all']}", {"rate": 1}).status == 404
    answer = api.patch(f"/api-keys/{keys['read']}", {"name": " x", "networks": ["y"], "rate": -1, "domain": "z"})
    assert answer.errors == {"/name": "text", "/networks/0": "network", "/rate": "range", "/domain": "unknown"}
    assert admin.patch(f"/api-keys/{keys['read']}", {"name": "admin"}).code == "exists"


def test_a_key_makes_none_with_wider_bounds(instance):
    """Nor takes away its own: what it does not say is as its own has it."""
    bounds = {"networks": ["127.0.0.0/8"], "rate": 1000, "expires": "2036-01-01T00:00:00Z"}
    other, one = (customer.name for customer in instance.customers)
    all_of_it = operator(instance)
    customers = {item["name"]: item["id"] for item in all_of_it.all("/customers")}
    made = all_of_it.post("/api-keys", {"name": "bound", "role": "admin", "customer": customers[one], **bounds})
    assert made.status == 201, made.text
    theirs = all_of_it.post("/api-keys", {"name": "theirs", "role": "admin", "customer": customers[other]}).json
    bound = Api(instance, made.json["key"])
    own = f"/api-keys/{made.json['id']}"
    heir = bound.post("/api-keys", {"name": "heir", "role": "admin"})
    assert heir.status == 201 and {name: heir.json[name] for name in bounds} == bounds, heir.text
    for name, value in [("rate", 0), ("rate", 1001), ("expires", None), ("expires", "2036-01-01T00:00:01Z"),
                        ("networks", []), ("networks", ["126.0.0.0/7"]), ("networks", ["127.0.0.1", "192.0.2.1"])]:
        for answer in (bound.patch(own, {name: value}), bound.patch(f"/api-keys/{heir.json['id']}", {name: value}),
                       bound.post("/api-keys", {"name": "wider", "role": "helpdesk", name: value})):
            assert answer.status == 422 and f"/{name}" in answer.errors, (name, value, answer.text)
    assert bound.patch(own, {"name": "renamed"}).status == 200
    assert bound.patch(own, {"networks": ["127.0.0.1"], "rate": 999, "expires": "2035-01-01T00:00:00Z"}).status == 200
    assert bound.patch(f"/api-keys/{theirs['id']}", {"rate": 1}).status == 404
    wide = all_of_it.post("/api-keys", {"name": "wide", "role": "customer-read", "customer": customers[one]}).json
    raised = bound.patch(f"/api-keys/{wide['id']}", {"role": "admin"})
    assert raised.status == 422 and set(raised.errors) == {"/networks", "/rate", "/expires"}
    assert bound.patch(f"/api-keys/{wide['id']}", {"role": "admin", **bounds, "networks": ["127.0.0.1"],
                                                   "rate": 9}).status == 422  # its own ends earlier by now
    assert bound.patch(f"/api-keys/{wide['id']}", {"role": "admin", "networks": ["127.0.0.1"], "rate": 9,
                                                   "expires": "2034-01-01T00:00:00Z"}).json["role"] == "admin"
    assert bound.patch(f"/api-keys/{wide['id']}", {"role": "helpdesk"}).status == 200
    assert all_of_it.patch(own, {"networks": [], "rate": 0, "expires": None}).status == 200


def test_networks_have_one_length_together(instance):
    """Each of them is good, so none is named."""
    networks = [f"2001:db8:ffff:ffff:ffff:ffff:ffff:{number:04x}/128" for number in range(32)]
    answer = operator(instance).post("/api-keys", {"name": "a", "role": "operator", "networks": networks})
    assert answer.status == 422 and answer.errors == {"/networks": "too-long"}, answer.text


def test_a_key_of_one_domain_has_the_owners_keys_there(instance):
    """What it has made it can take back; those of another domain are not there."""
    customer = instance.customers[0]
    instance.cli("domain", "add", "annex.example", "--customer", customer.name)
    instance.cli("address", "add", "a@annex.example")
    admin = Api(instance, made_key(instance, "admin", "--customer", customer.name))
    annex = Api(instance, made_key(instance, "annex", "--customer", customer.name, "--domain", "annex.example"))
    other = admin.post("/api-keys", {"name": "o", "role": "owner", "address": customer.accounts[0].address}).json
    made = annex.post("/api-keys", {"name": "a", "role": "owner", "address": "a@annex.example"})
    assert made.status == 201, made.text
    assert {item["name"] for item in annex.all("/api-keys")} == {"annex", "a"}
    path = made.headers["Location"].removeprefix("/api/v1")
    assert annex.get(f"/api-keys/{other['id']}").status == 404
    assert annex.patch(path, {"rate": 5}).json["rate"] == 5
    assert annex.delete(path).status == 204 and admin.get(path).status == 404


def test_a_key_of_one_domain_leads_mail_nowhere_else(instance):
    """A mailbox of another domain is refused in the words of one that there is not."""
    customer = instance.customers[0]
    there = customer.accounts[0].address
    instance.cli("domain", "add", "annex.example", "--customer", customer.name)
    instance.cli("address", "add", "a@annex.example")
    annex = Api(instance, made_key(instance, "annex", "--customer", customer.name, "--domain", "annex.example"))
    assert annex.post("/addresses", {"address": "info@annex.example", "targets": ["a@annex.example"]}).status == 201
    for target in there, f"nobody@{customer.domain}", instance.customers[1].accounts[0].address:
        answers = [annex.post("/addresses", {"address": "b@annex.example", "targets": ["a@annex.example", target]}),
                   annex.patch("/addresses/info@annex.example", {"targets": [target]})]
        for answer in answers:
            assert answer.status == 422 and answer.errors == {"/targets": "no-mailbox"}, answer.text
        assert len({answer.json["errors"][0]["detail"] for answer in answers}) == 1
    admin = Api(instance, made_key(instance, "admin", "--customer", customer.name))
    assert admin.patch("/addresses/info@annex.example", {"targets": [there]}).json["targets"] == [there]
    assert annex.delete("/addresses/info@annex.example").status == 204


# --- what changes nothing


def test_what_changes_nothing_is_no_record(instance):
    api = operator(instance)
    customer = instance.customers[0]
    address = customer.accounts[0].address
    one = ids(api)[customer.name]
    instance.cli("address", "add", f"info@{customer.domain}", "--to", address)
    made_key(instance, "panel", "--customer", customer.name)
    key = [item for item in api.all("/api-keys") if item["name"] == "panel"][0]["id"]
    changes = [
        ("/plans/house", {"poll_seconds": 7}), (f"/customers/{one}", {"suspended": True, "language": "de"}),
        (f"/domains/{customer.domain}", {"catch_all": address}),
        (f"/addresses/{address}", {"name": "A", "suspended": True, "language": "fr", "pop3": False}),
        (f"/addresses/info@{customer.domain}", {"targets": [address]}),
        (f"/api-keys/{key}", {"name": "panel", "rate": 5})]
    for path, body in changes:
        assert api.patch(path, body).status == 200
    instance.cli("webhook", "add", "http://192.0.2.1/", "--events", "*")
    commands = [("customer", "suspend", customer.name), ("customer", "set", customer.name, "--language", "de"),
                ("address", "suspend", address), ("address", "set", address, "--name", "A"),
                ("plan", "set", "house", "--poll-seconds", "7"),
                ("address", "set", f"info@{customer.domain}", "--to", address)]

    def state():
        with database(instance) as opened:
            return [opened.execute(f"SELECT max(id), count(*) FROM {table}").fetchone()
                    for table in ("audit", "outbox", "event")]

    before = state()
    for path, body in changes:
        answer = api.patch(path, body)
        assert answer.status == 200 and answer.json == api.get(path).json
    for command in commands:
        instance.cli(*command)
    assert state() == before
    assert api.patch("/plans/house", {"poll_seconds": 8}).status == 200
    assert json.loads(instance.cli("audit", "list", "--json").stdout)[0]["action"] == "plan.set"
    assert state() != before


def test_keys_are_changed_by_command(stopped):
    one = stopped.customer("one", "house", "one.example", "anna")
    made_key(stopped, "panel", "--customer", one.name, "--network", "192.0.2.1", "--rate", "5")
    made_key(stopped, "panel")

    def key(customer):
        keys = json.loads(stopped.cli("api-key", "list", "--json").stdout)
        return [key for key in keys if key["customer"] == customer][0]

    before = key(None)
    stopped.cli("api-key", "set", "panel", "--customer", one.name, "--role", "helpdesk", "--name", "desk",
                "--network", "none", "--expires", "7", "--rate", "none")
    changed = key(one.name)
    assert (changed["name"], changed["role"], changed["networks"], changed["rate"]) == ("desk", "helpdesk", None, None)
    assert changed["expires"] and key(None) == before
    stopped.cli("api-key", "set", "desk", "--customer", one.name, "--expires", "never", "--network", "192.0.2.0/24",
                "--network", "198.51.100.7")
    assert key(one.name)["expires"] is None and key(one.name)["networks"] == "192.0.2.0/24 198.51.100.7"
    for arguments, words in ((["panel", "--role", "admin"], "stays"), (["none", "--rate", "1"], "no API key"),
                             (["panel", "--customer", one.name, "--rate", "1"], "no API key"),
                             (["panel", "--customer", "two", "--rate", "1"], "no customer")):
        done = stopped.cli("api-key", "set", *arguments, check=False)
        assert done.returncode == 1 and words in done.stderr, done.stderr


def test_a_post_that_takes_away_what_it_names_comes_again(instance):
    """A restore: the second one finds nothing any more, and is answered as the first one."""
    api = operator(instance)
    account = instance.customers[0].accounts[0]
    assert api.delete(f"/addresses/{account.address}").status == 204
    removal, = api.all("/removed")
    path = f"/removed/{removal['id']}/restore"
    answers = [api.post(path, {}, Idempotency_Key="back") for _ in range(2)]
    assert [answer.status for answer in answers] == [204, 204]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert api.get(f"/addresses/{account.address}").status == 200
    for key in {}, {"Idempotency_Key": "other"}:
        assert api.post(path, {}, **key).status == 404
    # Nobody else's key has that answer, and another body is another request.
    other = Api(instance, made_key(instance, "other"))
    assert other.post(path, {}, Idempotency_Key="back").status == 404
    assert api.ask("POST", path, b"{ }", Idempotency_Key="back",
                   Content_Type="application/json").code == "idempotency-key-reused"
