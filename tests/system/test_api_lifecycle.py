"""What happens to customers and their things, over the HTTP API: suspended, moved to another plan, removed, restored."""

from api import Api, made_key, operator
from bellhop import wait_until


class Hotels:
    """Two customers, and an operator's API."""

    def __init__(self, instance):
        self.instance = instance
        self.api = operator(instance)
        self.mine, self.theirs = instance.customers
        names = {item["name"]: item["id"] for item in self.api.all("/customers")}
        self.id, self.other = names[self.mine.name], names[self.theirs.name]
        self.path = f"/customers/{self.id}"
        self.address = self.mine.accounts[0].address

    def key(self, *options):
        name = "key " + " ".join(options)
        return Api(self.instance, made_key(self.instance, name, *options))

    def reply(self, address):
        (reply,) = self.instance.deliver([address], b"Subject: a\r\n\r\nb\r\n")
        return reply.code


def test_suspended_with_what_happens_to_mail(instance):
    hotels = Hotels(instance)
    api, path = hotels.api, hotels.path
    assert api.patch(path, {"suspended_mail": "keep"}).errors == {"/suspended_mail": "not-suspended"}
    for mail, code in ("keep", 250), ("refuse", 550), ("defer", 450):
        answer = api.patch(path, {"suspended": True, "suspended_mail": mail})
        assert (answer.json["suspended"], answer.json["suspended_mail"]) == (True, mail)
        assert hotels.reply(hotels.address) == code
        assert hotels.reply(hotels.theirs.accounts[0].address) == 250
    assert api.patch(path, {"suspended_mail": None}).json["suspended_mail"] is None
    assert api.patch(path, {"suspended_mail": "perhaps"}).errors == {"/suspended_mail": "choice"}
    before = len(api.all(f"/audit?customer={hotels.id}"))
    assert api.patch(path, {"suspended": True}).status == 200
    assert len(api.all(f"/audit?customer={hotels.id}")) == before
    resumed = api.patch(path, {"suspended": False}).json
    assert (resumed["suspended"], resumed["suspended_mail"]) == (False, None)
    assert len(instance.messages(hotels.mine.accounts[0])) == 1


def test_a_suspended_mailbox(instance):
    hotels = Hotels(instance)
    admin = hotels.key("--role", "admin", "--customer", hotels.mine.name)
    path = f"/addresses/{hotels.address}"
    answer = admin.patch(path, {"suspended": True, "suspended_mail": "refuse"})
    assert (answer.json["suspended"], answer.json["suspended_mail"]) == (True, "refuse")
    assert hotels.reply(hotels.address) == 550
    assert admin.patch(path, {"suspended": False}).json["suspended_mail"] is None
    assert hotels.reply(hotels.address) == 250
    assert admin.patch(f"/addresses/{hotels.theirs.accounts[0].address}", {"suspended": True}).status == 404


def test_keys_of_who_is_suspended_open_nothing(instance):
    hotels = Hotels(instance)
    keys = [hotels.key("--role", role, "--customer", hotels.mine.name)
            for role in ("admin", "helpdesk", "customer-read")]
    owner = hotels.key("--role", "owner", "--address", hotels.address)
    foreign = hotels.key("--role", "admin", "--customer", hotels.theirs.name)

    def statuses():
        return [(answer.status, answer.json.get("code"))
                for answer in (key.get("/self") for key in [*keys, owner])]

    assert statuses() == [(200, None)] * 4
    hotels.api.patch(hotels.path, {"suspended": True})
    assert statuses() == [(403, "suspended")] * 4
    assert keys[0].post("/addresses", {"address": f"new@{hotels.mine.domain}"}).code == "suspended"
    assert foreign.get("/self").status == 200
    hotels.api.patch(hotels.path, {"suspended": False})
    assert statuses() == [(200, None)] * 4
    keys[0].patch(f"/addresses/{hotels.address}", {"suspended": True})
    assert statuses() == [(200, None)] * 3 + [(403, "suspended")]


def test_mailbox_settings(instance):
    hotels = Hotels(instance)
    api, path = hotels.api, f"/addresses/{hotels.address}"
    plan = api.get(f"/plans/{hotels.mine.plan}").json
    settings = {"quota_bytes": plan["quota_bytes"], "language": "fr", "pop3": False, "smtp": False}
    shown = api.patch(path, settings).json
    assert {name: shown[name] for name in settings} == settings
    assert api.patch(path, {"quota_bytes": plan["quota_bytes"] + 1}).code == "limit"
    assert api.patch(path, {"quota_bytes": 0, "language": "xx", "pop3": None}).errors == {
        "/quota_bytes": "range", "/language": "choice", "/pop3": "type"}
    shown = api.patch(path, {"quota_bytes": None, "language": None, "pop3": True}).json
    assert [shown[name] for name in settings] == [None, None, True, False]
    made = api.post("/addresses", {"address": f"small@{hotels.mine.domain}", "quota_bytes": 1, "pop3": False})
    assert made.status == 201 and (made.json["quota_bytes"], made.json["pop3"], made.json["smtp"]) == (1, False, True)
    assert hotels.reply(made.json["address"]) == 452
    assert api.post("/addresses", {"address": f"a@{hotels.mine.domain}", "targets": [hotels.address],
                                   "pop3": True}).errors == {"/pop3": "both"}
    alias = api.post("/addresses", {"address": f"a@{hotels.mine.domain}", "targets": [hotels.address]})
    assert alias.status == 201
    assert api.patch(f"/addresses/{alias.json['address']}", {"quota_bytes": 9, "suspended": True}).errors == {
        "/quota_bytes": "alias", "/suspended": "alias"}
    assert api.get(f"/addresses/{hotels.theirs.accounts[0].address}").json["smtp"] is True


def test_a_catch_all(instance):
    hotels = Hotels(instance)
    api, domain = hotels.api, hotels.mine.domain
    path = f"/domains/{domain}"
    narrow = hotels.key("--customer", hotels.mine.name, "--domain", domain)
    foreign = hotels.theirs.accounts[0].address
    for wrong in foreign, f"nobody@{domain}", "x":
        assert narrow.patch(path, {"catch_all": wrong}).errors.keys() == {"/catch_all"}
    assert narrow.patch(path, {"catch_all": hotels.address}).json["catch_all"] == hotels.address
    assert api.patch(f"/plans/{hotels.mine.plan}", {"catch_all": False}).status == 200
    assert hotels.reply(f"anybody@{domain}") == 550
    assert api.patch(f"/plans/{hotels.mine.plan}", {"catch_all": True}).json["catch_all"] is True
    assert hotels.reply(f"anybody@{domain}") == 250
    assert hotels.reply(f"anybody@{hotels.theirs.domain}") == 550
    assert narrow.patch(path, {}).json["catch_all"] == hotels.address
    assert narrow.patch(path, {"catch_all": None}).json["catch_all"] is None
    assert hotels.reply(f"anybody@{domain}") == 550


def test_a_smaller_plan_by_each_rule(instance):
    hotels = Hotels(instance)
    api, path = hotels.api, hotels.path
    newest = api.post("/addresses", {"address": f"newest@{hotels.mine.domain}"}).json["address"]
    count = api.get(path).json["addresses"]
    assert count > 1
    assert api.post("/plans", {"name": "less", "addresses": count - 1, "domains": 1}).status == 201
    before = api.get(path).json
    assert api.patch(path, {"plan": "less"}).code == "limit"
    assert api.get(path).json == before
    kept = api.patch(path, {"plan": "less", "over_plan": "keep"}).json
    assert (kept["plan"], kept["over_plan"]) == ("less", "keep")
    assert api.get(f"/addresses/{newest}").json["over_plan"] is False
    assert api.patch(path, {"plan": "less", "name": hotels.mine.name}).json["over_plan"] == "keep"
    assert api.post("/addresses", {"address": f"more@{hotels.mine.domain}"}).code == "limit"
    assert api.patch(path, {"over_plan": "suspend"}).json["plan"] == "less"
    assert api.get(f"/addresses/{newest}").json["over_plan"] is True
    assert api.get(f"/addresses/{hotels.address}").json["over_plan"] is False
    assert api.patch(path, {"over_plan": "refuse"}).code == "limit"
    assert api.patch(path, {"plan": before["plan"]}).json["over_plan"] == "refuse"
    assert api.get(f"/addresses/{newest}").json["over_plan"] is False
    assert api.patch(path, {"plan": "none"}).errors == {"/plan": "no-plan"}


def test_a_plan_is_previewed(instance):
    hotels = Hotels(instance)
    api, path = hotels.api, f"{hotels.path}/plan-preview"
    assert [hotels.reply(account.address) for account in hotels.mine.accounts[:2]] == [250] * 2
    count = api.get(hotels.path).json["addresses"]
    newest = api.post("/addresses", {"address": f"newest@{hotels.mine.domain}",
                                     "targets": [hotels.address]}).json["address"]
    assert api.post("/plans", {"name": "less", "addresses": count, "quota_messages": 1}).status == 201
    shown = api.get(path + "?plan=less").json
    assert (shown["plan"], shown["fits"], shown["addresses"], shown["addresses_allowed"]) == (
        "less", False, count + 1, count)
    assert shown["over"] == [newest] and shown["full"] == []
    assert hotels.reply(hotels.address) == 250
    (full,) = api.get(path + "?plan=less").json["full"]
    assert full == api.get(f"/addresses/{hotels.address}/usage").json and full["used_messages"] == 2
    assert api.get(path + "?plan=less&fields=fits").json == {"fits": False}
    assert api.get(f"{path}?plan={hotels.mine.plan}").json["fits"] is True
    assert api.get(hotels.path).json["plan"] == hotels.mine.plan
    assert api.get(path).code == api.get(path + "?plan=none").code == "query"
    empty = api.post("/customers", {"name": "Empty", "plan": "less"}).json["id"]
    assert api.get(f"/customers/{empty}/plan-preview?plan=less").json["fits"] is True


def test_what_was_removed_is_restored_or_purged(instance):
    hotels = Hotels(instance)
    api, account = hotels.api, hotels.mine.accounts[0]
    admin = hotels.key("--role", "admin", "--customer", hotels.mine.name)
    assert hotels.reply(account.address) == 250
    assert admin.delete(f"/addresses/{account.address}").status == 204
    assert admin.delete(f"/domains/{hotels.mine.domain}").status == 204
    assert api.delete(f"/addresses/{hotels.theirs.accounts[0].address}").status == 204
    first, second = admin.all("/removed")
    assert [(item["kind"], item["name"]) for item in (first, second)] == [
        ("address", account.address), ("domain", hotels.mine.domain)]
    assert admin.all("/removed?kind=domain") == [second] and admin.get("/removed?kind=x").code == "query"
    assert len(api.all("/removed", limit=1)) == 3
    assert api.all(f"/removed?customer={hotels.id}") == [first, second]
    assert admin.get(f"/removed?customer={hotels.other}").status == 404
    paths = [f"/removed/{item['id']}" for item in (first, second)]
    assert admin.get(paths[0]).json == first

    assert admin.post(paths[0] + "/restore", {}).code == "removed"
    assert admin.post(paths[1] + "/restore", {}).status == 204
    assert admin.post(paths[0] + "/restore", {}, Idempotency_Key="once").status == 204
    assert admin.post(paths[0] + "/restore", {}).status == 404
    assert len(instance.messages(account)) == 1

    assert admin.delete(f"/addresses/{account.address}").status == 204
    (removal,) = admin.all("/removed")
    assert admin.delete(f"/removed/{removal['id']}").code == "role"
    assert api.delete(f"/removed/{removal['id']}").status == 204
    assert admin.all("/removed") == [] and len(api.all("/removed")) == 1
    assert admin.all("/audit")[0]["action"] == "address.purge"


def test_a_customer_comes_back_with_its_keys(instance):
    hotels = Hotels(instance)
    api, account = hotels.api, hotels.mine.accounts[0]
    admin = hotels.key("--role", "admin", "--customer", hotels.mine.name)
    assert api.delete(hotels.path).status == 204
    assert admin.get("/self").status == 401
    assert hotels.reply(account.address) == 550
    (removal,) = api.all("/removed")
    assert (removal["kind"], removal["name"], removal["customer"]) == ("customer", hotels.mine.name, hotels.id)
    assert api.post("/customers", {"name": hotels.mine.name, "plan": hotels.mine.plan}).status == 201
    assert api.post(f"/removed/{removal['id']}/restore", {}).code == "exists"
    (new,) = [item for item in api.all("/customers") if item["name"] == hotels.mine.name]
    assert api.patch(f"/customers/{new['id']}", {"name": "Another"}).status == 200
    assert api.post(f"/removed/{removal['id']}/restore", {}).status == 204
    assert admin.get("/self").status == 200
    assert hotels.reply(account.address) == 250 and len(instance.messages(account)) == 1


def test_removed_at_once(instance):
    """By an operator; what is purged can not be restored, and its mail goes."""
    hotels = Hotels(instance)
    admin = hotels.key("--role", "admin", "--customer", hotels.mine.name)
    path = f"/addresses/{hotels.address}"
    refused = admin.delete(f"{path}?now=true")
    assert refused.status == 403 and refused.code == "role"
    assert admin.delete(f"{path}?now=perhaps").status == 400
    foreign = hotels.theirs.accounts[0].address
    assert admin.delete(f"/addresses/{foreign}?now=true").status == 404
    assert hotels.api.delete(f"{path}?now=true", If_Match='"other"').status == 412
    assert hotels.api.delete(f"{path}?now=true").status == 204
    second = hotels.mine.accounts[1].address
    assert admin.delete(f"/addresses/{second}?now=false").status == 204
    assert [item["name"] for item in admin.all("/removed")] == [second]
    assert hotels.api.delete(f"/domains/{hotels.mine.domain}?now=true").status == 204
    assert hotels.api.delete(f"{hotels.path}?now=true").status == 204
    assert hotels.api.all("/removed") == []
    wait_until(lambda: instance.log.count(" dropped\n") == 3, 30)
    assert hotels.api.get(f"/addresses/{foreign}").status == 200
