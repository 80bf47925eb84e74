"""Bulk uploads over the HTTP API: checked, applied, watched, cancelled, gone on with after a crash."""

import contextlib
import csv
import hashlib
import io
import json
import re
import signal
import sqlite3
import subprocess

import pytest

from api import Api, made_key, operator
from bellhop import signal_process, wait_gone, wait_until
from test_cards import SETTINGS, Page, link_of, read_code

CSV = {"Content_Type": "text/csv"}
NDJSON = {"Content_Type": "application/x-ndjson"}
OVER = ("done", "failed", "cancelled")


class Chain:
    """Two customers with a domain each, and an operator's API."""

    def __init__(self, instance):
        self.instance = instance
        self.api = operator(instance)
        self.mine, self.theirs = reversed(instance.customers)
        names = {item["name"]: item["id"] for item in self.api.all("/customers")}
        self.id, self.other = names[self.mine.name], names[self.theirs.name]
        self.path = f"/customers/{self.id}/jobs"

    def key(self, customer, role="admin"):
        name = f"{role} of {customer.name}"
        return Api(self.instance, made_key(self.instance, name, "--role", role, "--customer", customer.name))

    def addresses(self, customer=None):
        customer = customer or self.mine
        items = self.api.all(f"/addresses?domain={customer.domain}")
        return {item["address"]: item for item in items}

    def start(self, rows, query="", path=None, api=None, **headers):
        """A job of rows as a CSV text, or as objects."""
        if isinstance(rows, str):
            body, kind = rows.encode(), CSV
        else:
            body, kind = "".join(json.dumps(row) + "\n" for row in rows).encode(), NDJSON
        answer = (api or self.api).ask("POST", (path or self.path) + query, body, **kind, **headers)
        assert answer.status == 202, answer.text
        assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['id']}"
        return answer.json["id"]

    def job(self, number):
        return self.api.get(f"/jobs/{number}").json

    def end(self, number, seconds=60):
        wait_until(lambda: self.job(number)["state"] in OVER, seconds, "the end of the job")
        return self.job(number)

    def errors(self, number):
        return [(error["row"], error["column"], error["code"]) for error in self.api.all(f"/jobs/{number}/errors")]

    def result(self, number, **headers):
        answer = self.api.post(f"/jobs/{number}/result", {}, **headers)
        assert answer.status == 200, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        return {row["address"]: row for row in csv.DictReader(io.StringIO(answer.text, newline=""))}


def invited(instance, token):
    """Whether the token opens a mailbox."""
    digest = hashlib.blake2b(token.encode(), digest_size=32).digest()
    with contextlib.closing(sqlite3.connect(instance.dir / "accounts.db")) as database:
        return database.execute("SELECT count(*) FROM invitation WHERE digest = ?", (digest,)).fetchone() == (1,)


def kill_admin(instance):
    (pid,) = instance.pids()["admin"]
    signal_process(pid, signal.SIGKILL)
    wait_gone(pid)
    wait_until(lambda: instance.pids().get("admin"), 20, "another admin")
    instance.wait_healthy()


@pytest.fixture
def chain(instance):
    return Chain(instance)


def rows_of(domain, count, **more):
    return [{"address": f"guest{number}@{domain}", **more} for number in range(1, count + 1)]


def test_rows_are_made(chain):
    domain = chain.mine.domain
    job = chain.end(chain.start("address;name;invite;targets;quota_bytes\r\n"
                                f"a@{domain};Anna;yes;;\r\n"
                                f"both@{domain};;;a@{domain} b@{domain};\r\n"
                                f"b@{domain};Björn;;;1000000\r\n"))
    assert (job["state"], job["rows"], job["made"], job["wrong"]) == ("done", 3, 3, 0)
    assert (job["mode"], job["dry_run"], job["format"], job["percent"]) == ("rows", False, "csv", 100)
    made = chain.addresses()
    assert made[f"a@{domain}"]["name"] == "Anna" and made[f"a@{domain}"]["invited_until"]
    assert made[f"b@{domain}"]["quota_bytes"] == 1000000 and not made[f"b@{domain}"]["invited_until"]
    assert made[f"both@{domain}"]["targets"] == [f"a@{domain}", f"b@{domain}"]
    audit = chain.api.all(f"/audit?customer={chain.id}")
    told = [(row["action"], row["object"]) for row in reversed(audit)]
    number = str(job["id"])
    assert told[-6:] == [("job.start", number), ("address.add", f"a@{domain}"), ("address.add", f"b@{domain}"),
                         ("address.settings", f"b@{domain}"), ("alias.add", f"both@{domain}"), ("job.done", number)]
    assert {row["actor"] for row in audit[:6]} == {"api-key operator"}
    assert len({row["request"] for row in audit[:6]}) == 1


@pytest.mark.parametrize("mode", ["rows", "all"])
def test_a_row_may_say_what_a_new_mailbox_has_anyway(chain, mode):
    number = chain.start([{"address": f"a@{chain.mine.domain}", "pop3": True}], f"?mode={mode}")
    assert (chain.end(number)["state"], chain.job(number)["made"]) == ("done", 1)


def test_the_result_is_fetched_once(chain):
    domain = chain.mine.domain
    number = chain.start([{"address": f"a@{domain}", "invite": True}, {"address": f"b@{domain}", "generate": True},
                          {"address": f"c@{domain}"}])
    assert chain.end(number)["result"]
    result = chain.result(number, Idempotency_Key="once")
    assert list(result) == [f"a@{domain}", f"b@{domain}", f"c@{domain}"]
    assert result[f"c@{domain}"] == {"row": "3", "address": f"c@{domain}", "invitation": "", "password": ""}
    chain.instance.pop3(f"b@{domain}", result[f"b@{domain}"]["password"]).quit()
    token = result[f"a@{domain}"]["invitation"].rpartition("/")[2]
    assert invited(chain.instance, token)
    # Whose answer was lost asks again with the key that he gave it.
    assert chain.result(number, Idempotency_Key="once") == result
    again = chain.api.post(f"/jobs/{number}/result", {})
    assert (again.status, again.code) == (410, "gone")
    assert not chain.job(number)["result"]
    # Nothing of what was given out is kept.
    tokens = [result[f"a@{domain}"]["invitation"], result[f"b@{domain}"]["password"]]
    for path in chain.instance.dir.glob("accounts.db*"):
        assert not any(secret.encode() in path.read_bytes() for secret in tokens)


@pytest.fixture
def paged(stopped):
    """The same with pages, so that there are links, and with the servers that stand on cards."""
    stopped.configure(**SETTINGS)
    stopped.start()
    return Chain(stopped)


def owners(page):
    """{address: card}, in the order of the page."""
    return {next(text for text in card["texts"] if "@" in text): card for card in page.cards}


def test_the_result_as_cards_too(paged, tmp_path):
    domain = paged.mine.domain
    number = paged.start([{"address": f"z@{domain}", "invite": True, "name": "Zoë <b>", "language": "de"},
                          {"address": f"b@{domain}", "generate": True}, {"address": f"c@{domain}"},
                          {"address": "nobody"}, {"address": f"a@{domain}", "invite": True, "smtp": False},
                          {"address": f"used@{domain}", "invite": True}])
    assert paged.end(number)["made"] == 5
    # A link that opens nothing any more is on no card.
    paged.instance.cli("address", "passwd", f"used@{domain}")
    admin, foreign, helpdesk = (paged.key(*who) for who in ((paged.mine,), (paged.theirs,),
                                                            (paged.mine, "helpdesk")))
    assert foreign.post(f"/jobs/{number}/cards", {}).status == 404
    assert helpdesk.post(f"/jobs/{number}/cards", {}).status == 403
    assert admin.post(f"/jobs/{number}/cards", {}, Idempotency_Key="a").status == 400
    answer = admin.post(f"/jobs/{number}/cards", {})
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
    cards = owners(Page(answer.text))
    assert list(cards) == [f"z@{domain}", f"a@{domain}"]
    texts = {address: " ".join(card["texts"]) for address, card in cards.items()}
    assert all(paged.mine.name in text and paged.theirs.name not in text for text in texts.values())
    assert "Zoë <b>" in texts[f"z@{domain}"] and "Willkommen" in texts[f"z@{domain}"]
    assert "(SMTP)" in texts[f"z@{domain}"] and "(SMTP)" not in texts[f"a@{domain}"]
    links = {address: link_of(card) for address, card in cards.items()}
    assert {address: read_code(card, tmp_path) for address, card in cards.items()} == links
    assert all(invited(paged.instance, link.rpartition("/")[2]) for link in links.values())
    until = paged.addresses()[f"a@{domain}"]["invited_until"]
    assert f"until {until[:10]}" in texts[f"a@{domain}"]
    again = admin.post(f"/jobs/{number}/cards", {})
    assert (again.status, again.code) == (410, "gone")
    # The table has the same links, and the passwords, and ends both.
    result = paged.result(number)
    assert {address: result[address]["invitation"] for address in links} == links
    paged.instance.pop3(f"b@{domain}", result[f"b@{domain}"]["password"]).quit()
    assert admin.post(f"/jobs/{number}/cards", {}).status == 410
    actions = [row["action"] for row in paged.api.all(f"/audit?customer={paged.id}")]
    assert actions.count("job.cards") == actions.count("job.result") == 1
    for link in links.values():
        assert link.rpartition("/")[2] not in paged.instance.log


def test_no_cards_of_what_was_taken_or_invited_nobody(paged):
    domain = paged.mine.domain
    number = paged.start([{"address": f"a@{domain}", "generate": True}])
    paged.end(number)
    none = paged.api.post(f"/jobs/{number}/cards", {})
    assert (none.status, none.code) == (410, "gone")
    paged.instance.pop3(f"a@{domain}", paged.result(number)[f"a@{domain}"]["password"]).quit()
    number = paged.start(rows_of(domain, 2, invite=True))
    paged.end(number)
    assert len(paged.result(number)) == 2
    assert paged.api.post(f"/jobs/{number}/cards", {}).status == 410


def test_cards_of_an_operators_job(paged):
    mine, theirs = paged.mine, paged.theirs
    number = paged.start([row for customer in (mine, theirs) for row in rows_of(customer.domain, 20, invite=True)],
                         path="/jobs")
    assert paged.end(number)["made"] == 40
    page = Page(paged.api.post(f"/jobs/{number}/cards", {}).text)
    cards = owners(page)
    assert len(cards) == 40 and len({link_of(card) for card in cards.values()}) == 40
    for address, card in cards.items():
        name, other = ((mine.name, theirs.name) if address.endswith(f"@{mine.domain}") else (theirs.name, mine.name))
        assert name in card["texts"] and other not in card["texts"]


def test_cards_need_the_address_of_the_pages(chain):
    number = chain.start(rows_of(chain.mine.domain, 1, invite=True))
    chain.end(number)
    assert chain.api.post(f"/jobs/{number}/cards", {}).code == "no-pages"
    assert len(chain.result(number)) == 1


def test_all_or_nothing(chain):
    domain = chain.mine.domain
    rows = rows_of(domain, 5, invite=True)
    number = chain.start([*rows, {"address": f"guest2@{domain}"}, {"address": "a@unknown.example"}], "?mode=all")
    job = chain.end(number)
    assert (job["state"], job["rows"], job["made"], job["wrong"]) == ("failed", 7, 0, 2)
    assert [(row, column) for row, column, _ in chain.errors(number)] == [(6, "address"), (7, "address")]
    assert chain.addresses().keys().isdisjoint(row["address"] for row in rows)
    assert chain.api.post(f"/jobs/{number}/result", {}).status == 410
    number = chain.start(rows, "?mode=all")
    job = chain.end(number)
    assert (job["state"], job["made"], job["mode"]) == ("done", 5, "all")
    assert len({row["invitation"] for row in chain.result(number).values()}) == 5


def test_row_by_row_the_good_ones_are_made(chain):
    domain = chain.mine.domain
    number = chain.start([{"address": f"a@{domain}"}, {"address": "no address"}, {"address": f"a@{domain}"},
                          {"address": f"x@{chain.theirs.domain}"}, {"address": "x@nowhere.example"},
                          {"address": f"b@{domain}"}])
    job = chain.end(number)
    assert (job["state"], job["made"], job["wrong"]) == ("done", 2, 4)
    errors = chain.api.all(f"/jobs/{number}/errors", limit=1)
    assert [error["row"] for error in errors] == [2, 3, 4, 5]
    assert [error["line"] for error in errors] == [2, 3, 4, 5]
    # What another customer has is told as what nobody has.
    assert errors[2]["code"] == errors[3]["code"] and errors[2]["reason"] == errors[3]["reason"]
    assert {f"a@{domain}", f"b@{domain}"} <= set(chain.addresses())
    assert f"x@{chain.theirs.domain}" not in chain.addresses(chain.theirs)


def test_the_plan_limits_a_job(chain):
    domain = chain.mine.domain
    there = len(chain.addresses())
    # An alias that leads nowhere takes no room from the rows behind it.
    number = chain.start([{"address": f"all@{domain}", "targets": [f"nobody@{domain}"]},
                          *rows_of(domain, 120, invite=True)])
    job = chain.end(number)
    assert (job["made"], job["wrong"]) == (100 - there, 21 + there)
    assert len(chain.addresses()) == 100
    first, *others = chain.errors(number)
    assert first == (1, "targets", "no-mailbox") and {code for _, _, code in others} == {"limit"}


def test_jobs_are_counted(chain):
    rows = [*rows_of(chain.mine.domain, 3), {"address": "none"}]
    chain.end(chain.start(rows))
    chain.end(chain.start([{"address": f"a@{chain.theirs.domain}"}], "?mode=all", path="/jobs"))
    chain.end(chain.start(rows, "?mode=all"))

    def counted():
        metrics = dict(re.findall(r"(?m)^bellhop_jobs_(\w+) (\d+)$", chain.instance.http("/metrics")[1]))
        return metrics == {"running": "0", "made_total": "4", "wrong_total": "5"}
    wait_until(counted, 10, "the count of all three jobs")


def test_a_dry_run_changes_nothing(chain):
    domain = chain.mine.domain
    before = chain.addresses()
    for mode in "rows", "all":
        number = chain.start([{"address": f"a@{domain}"}, {"address": "none"}], f"?dry_run=true&mode={mode}")
        job = chain.end(number)
        assert (job["state"], job["dry_run"], job["rows"], job["made"], job["wrong"]) == ("done", True, 2, 0, 1)
        assert chain.errors(number)[0][0] == 2
    assert chain.addresses() == before


def test_an_upload_that_makes_no_sense(chain):
    for body, kind in ((b"[{\"address\": ", {"Content_Type": "application/json"}),
                       (b"colour\r\nred\r\n", CSV)):
        answer = chain.api.ask("POST", chain.path, body, **kind)
        assert answer.status == 202
        job = chain.end(answer.json["id"])
        assert (job["state"], job["made"]) == ("failed", 0)
        assert chain.errors(job["id"])
    refused = chain.api.ask("POST", chain.path, b"x", Content_Type="text/plain")
    assert chain.api.ask("POST", chain.path, b"x", Content_Encoding="gzip", **CSV).status == 415
    assert refused.status == 415 and "text/csv or application/json or" in refused.json["detail"]
    assert chain.api.ask("POST", chain.path + "?mode=some", b"address\r\n", **CSV).status == 400


def test_an_operators_job_over_customers(chain):
    mine, theirs = chain.mine, chain.theirs
    number = chain.start([{"address": f"a@{mine.domain}"}, {"address": f"a@{theirs.domain}", "customer": chain.other},
                          {"address": f"b@{theirs.domain}", "customer": chain.id}], path="/jobs")
    job = chain.end(number)
    assert (job["customer"], job["made"], job["wrong"]) == (None, 2, 1)
    assert chain.errors(number)[0][0] == 3
    assert f"a@{mine.domain}" in chain.addresses() and f"a@{theirs.domain}" in chain.addresses(theirs)
    owner = chain.key(theirs)
    assert owner.get(f"/jobs/{number}").status == 404
    assert any(row["object"] == f"a@{theirs.domain}" for row in owner.all("/audit"))


def test_a_job_is_its_customers(chain):
    admin, foreign = chain.key(chain.mine), chain.key(chain.theirs)
    helpdesk = chain.key(chain.mine, "helpdesk")
    number = chain.start(rows_of(chain.mine.domain, 2, invite=True), api=admin)
    chain.end(number)
    assert foreign.ask("POST", chain.path, b"address\r\n", **CSV).status == 404
    for method, path in (("GET", ""), ("GET", "/errors"), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/result"),
                         ("POST", "/cards")):
        body = {} if method == "POST" else None
        unknown = foreign.ask(method, f"/jobs/999{path}", body)
        answer = foreign.ask(method, f"/jobs/{number}{path}", body)
        assert answer.status == unknown.status == 404
        assert {**answer.json, "request": ""} == {**unknown.json, "request": ""}
    assert foreign.all("/jobs") == []
    assert [job["id"] for job in admin.all("/jobs")] == [number]
    assert [job["id"] for job in chain.api.all("/jobs?state=done")] == [number]
    assert chain.api.all("/jobs?state=failed") == []
    assert helpdesk.get(f"/jobs/{number}").status == 200
    assert helpdesk.post(f"/jobs/{number}/result", {}).status == 403
    assert admin.post(f"/jobs/{number}/result", {}).status == 200


def test_an_upload_that_comes_twice_is_one_job(chain):
    rows = rows_of(chain.mine.domain, 3)
    number = chain.start(rows, Idempotency_Key="k")
    assert chain.start(rows, Idempotency_Key="k") == number
    assert chain.end(number)["made"] == 3
    # The same octets as something else are another request.
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    other = chain.api.ask("POST", chain.path, body, Content_Type="application/json", Idempotency_Key="k")
    assert (other.status, other.code) == (422, "idempotency-key-reused")
    assert [job["id"] for job in chain.api.all("/jobs")] == [number]


def many_customers(chain, count):
    """Their domains, one each."""
    for number in range(count):
        customer = chain.api.post("/customers", {"name": f"Hotel {number}", "plan": chain.mine.plan}).json["id"]
        assert chain.api.post("/domains", {"domain": f"hotel{number}.example", "customer": customer}).status == 201
    return [f"hotel{number}.example" for number in range(count)]


def test_a_large_job_of_all_or_nothing(chain):
    """Others are refused while all is written, are welcome as soon as it is cancelled, and read all the time."""
    account = chain.theirs.accounts[0]
    domains = many_customers(chain, 100)
    rows = [row for domain in domains for row in rows_of(domain, 100, invite=True)]

    def change():
        return chain.api.patch(f"/addresses/{account.address}", {"name": "Anna"})

    def refusal():
        answer = change()
        assert answer.status == 200 or (answer.code, answer.headers["Retry-After"]) == ("busy", "1"), answer.text
        return answer.status == 503

    number = chain.start(rows, "?mode=all", path="/jobs")
    wait_until(refusal, 60, "a refusal")
    chain.instance.pop3(account.address, account.password).quit()
    assert chain.api.post(f"/jobs/{number}/cancel", {}).status == 204
    assert change().status == 200
    job = chain.job(number)
    assert (job["state"], job["made"], job["result"]) == ("cancelled", 0, False)
    assert not any(chain.api.all(f"/addresses?domain={domain}") for domain in domains)

    number = chain.start(rows, "?mode=all", path="/jobs")
    wait_until(refusal, 60, "a refusal")
    job = chain.end(number)
    assert (job["state"], job["made"], job["wrong"]) == ("done", 10000, 0)
    assert change().status == 200
    assert len(chain.api.all(f"/addresses?domain={domains[-1]}")) == 100
    chain.instance.cli("audit", "verify")


def events(text):
    """[{field: value}] of a stream."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith((":", "retry:"))]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def test_progress_as_events(stopped):
    slow(stopped)
    stopped.start()
    chain = Chain(stopped)
    number = chain.start(rows_of(chain.mine.domain, 30, generate=True))
    url = f"http://127.0.0.1:{stopped.ports.http}/api/v1/jobs/{number}/events"
    curl = ["curl", "-sSN", "-m", "100", "-D", "-", "-H", f"Authorization: Bearer {chain.api.key}"]
    told = subprocess.run([*curl, url], capture_output=True, text=True, check=True).stdout.replace("\r", "")
    head, _, text = told.partition("\n\n")
    assert "Content-Type: text/event-stream" in head and "Cache-Control: no-store" in head
    *before, last = events(text)
    assert len(before) >= 2 and {event["event"] for event in before} == {"progress"}
    percents = [json.loads(event["data"])["percent"] for event in before]
    assert percents == sorted(percents) and any(0 < percent < 100 for percent in percents)
    assert any(json.loads(event["data"])["seconds_left"] is not None for event in before)
    assert last["event"] == "end"
    for event in [*before, last]:
        chain.api.document.check_value("Job", json.loads(event["data"]))
    assert json.loads(last["data"])["made"] == 30
    # A client that comes again is told what it has not been told.
    again = subprocess.run([*curl, "-H", f"Last-Event-ID: {before[0]['id']}", url], capture_output=True, text=True,
                           check=True).stdout.replace("\r", "")
    assert events(again.partition("\n\n")[2]) == [last]
    again = subprocess.run([*curl, "-H", f"Last-Event-ID: {last['id']}", url], capture_output=True, text=True, check=True)
    assert again.stdout.startswith("HTTP/1.1 204")


def test_who_listens_holds_up_no_reload(stopped):
    slow(stopped)
    stopped.start()
    chain = Chain(stopped)
    number = chain.start(rows_of(chain.mine.domain, 20, generate=True))
    url = f"http://127.0.0.1:{stopped.ports.http}/api/v1/jobs/{number}/events"
    with subprocess.Popen(["curl", "-sSN", "-H", f"Authorization: Bearer {chain.api.key}", url],
                          stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout.readline() == "retry: 2000\n"
        (before,) = stopped.pids()["admin"]
        stopped.cli("reload")
        curl.wait(20)
        wait_gone(before)
    assert chain.end(number, 120)["made"] == 20


def slow(instance):
    """Hashing a password takes long enough for a job to be met on its way."""
    instance.configure(hash_operations=3, hash_memory=64 * 1024 * 1024)


@pytest.mark.parametrize("mode", ["rows", "all"])
def test_cancelled(stopped, mode):
    slow(stopped)
    stopped.start()
    chain = Chain(stopped)
    before = len(chain.addresses())
    number = chain.start(rows_of(chain.mine.domain, 90, generate=True), f"?mode={mode}")
    wait_until(lambda: chain.job(number)["percent"] > 10, 60)
    assert chain.api.post(f"/jobs/{number}/cancel", {}).status == 204
    made = len(chain.addresses()) - before
    job = chain.job(number)
    assert job["state"] == "cancelled" and job["made"] == made < 90
    assert mode == "rows" or made == 0
    again = chain.api.post(f"/jobs/{number}/cancel", {})
    assert (again.status, again.code) == (409, "ended")
    if made > 0:
        assert len(chain.result(number)) == made
    chain.start([{"address": f"z@{chain.mine.domain}"}])
    wait_until(lambda: f"z@{chain.mine.domain}" in chain.addresses())
    assert len(chain.addresses()) == before + made + 1


def test_whose_customer_is_purged_ends_quietly(chain):
    """However far it is, and with nothing that an operator would have to look at."""
    rows = "address\r\n" + "".join(f"{number}@nowhere.example\r\n" for number in range(50000))
    number = chain.start(rows)
    assert chain.api.delete(f"/customers/{chain.id}?now=true").status == 204
    wait_until(lambda: chain.api.get(f"/jobs/{number}").status == 404)
    done = chain.start([{"address": f"z@{chain.theirs.domain}"}], path=f"/customers/{chain.other}/jobs")
    assert chain.end(done)["made"] == 1
    wait_until(lambda: 'bellhop_jobs_running' not in chain.instance.http("/metrics")[1]
               or "bellhop_jobs_running 0" in chain.instance.http("/metrics")[1])
    assert "error" not in chain.instance.log


def test_many_of_one_customer_hold_up_no_other(stopped):
    slow(stopped)
    stopped.start()
    chain = Chain(stopped)
    mine = [chain.start([{"address": f"{number}.{row}@{chain.mine.domain}", "generate": True} for row in range(2)])
            for number in range(10)]
    other = chain.start([{"address": f"z@{chain.theirs.domain}"}], path=f"/customers/{chain.other}/jobs")
    assert chain.end(other)["made"] == 1
    assert chain.job(mine[-1])["begun"] is None
    assert [chain.end(number, 120)["made"] for number in mine] == [2] * 10


@pytest.mark.parametrize("mode", ["rows", "all"])
def test_goes_on_after_a_crash(stopped, mode):
    """admin is killed again and again; each row is made once, by the password that the result has."""
    slow(stopped)
    stopped.start()
    chain = Chain(stopped)
    domain = chain.mine.domain
    rows = rows_of(domain, 20, generate=True) + [{"address": f"all@{domain}", "targets": [f"guest20@{domain}"]}]
    number = chain.start(rows, f"?mode={mode}")
    last = 0
    for _ in range(3):
        wait_until(lambda: chain.job(number)["percent"] > last, 60)
        last = chain.job(number)["percent"]
        kill_admin(stopped)
    job = chain.end(number, 120)
    assert (job["state"], job["rows"], job["made"], job["wrong"]) == ("done", 21, 21, 0)
    made = [address for address in chain.addresses() if address.startswith("guest")]
    assert sorted(made) == sorted(row["address"] for row in rows[:20])
    added = [row["object"] for row in chain.api.all(f"/audit?customer={chain.id}") if row["action"] == "address.add"]
    assert sorted(address for address in added if address in made) == sorted(made)
    result = chain.result(number)
    assert len(result) == 21
    for address in f"guest1@{domain}", f"guest20@{domain}":
        stopped.pop3(address, result[address]["password"]).quit()
    stopped.cli("audit", "verify")


@pytest.mark.parametrize("mode", ["rows", "all"])
def test_somebody_is_quicker(stopped, mode):
    """What checking has found good is there, or gone, when it is written."""
    slow(stopped)
    stopped.start()
    chain = Chain(stopped)
    domain = chain.mine.domain
    gone = chain.mine.accounts[0].address
    before = chain.addresses().keys() - {gone}
    rows = [*rows_of(domain, 15, generate=True), {"address": f"before@{domain}"}, {"address": f"taken@{domain}"},
            {"address": f"behind@{domain}"}, {"address": f"all@{domain}", "targets": [gone]},
            {"address": f"both@{domain}", "targets": [f"behind@{domain}"]}]
    number = chain.start(rows, f"?mode={mode}")
    wait_until(lambda: chain.job(number)["percent"] > 10, 60)
    quicker = {"address": f"taken@{domain}", "name": "Quick"}
    assert chain.api.post("/addresses", quicker).status == 201
    assert chain.api.delete(f"/addresses/{gone}").status == 204
    job = chain.end(number, 120)
    made = {row["address"] for row in rows} - {f"taken@{domain}", f"all@{domain}"} if mode == "rows" else set()
    assert chain.addresses().keys() == before | made | {f"taken@{domain}"}
    assert chain.addresses()[f"taken@{domain}"]["name"] == "Quick"
    if mode == "rows":
        assert (job["state"], job["made"], job["wrong"]) == ("done", 18, 2)
        assert chain.errors(number) == [(17, "address", "taken"), (19, "address", "none")]
        assert chain.result(number).keys() == made
    else:
        assert (job["state"], job["made"], job["wrong"], job["result"]) == ("failed", 0, 1, False)
        assert chain.errors(number) == [(17, "address", "taken")]
    stopped.cli("audit", "verify")


@pytest.mark.parametrize("mode", ["rows", "all"])
def test_without_its_secret_a_job_goes_no_further(stopped, mode):
    """What it would give out then, everybody could work out."""
    slow(stopped)
    stopped.start()
    chain = Chain(stopped)
    before = len(chain.addresses())
    number = chain.start(rows_of(chain.mine.domain, 20, generate=True), f"?mode={mode}")
    other = chain.start(rows_of(chain.theirs.domain, 10, generate=True), path=f"/customers/{chain.other}/jobs")
    wait_until(lambda: chain.job(number)["percent"] > 10, 60)
    stopped.stop()
    with contextlib.closing(sqlite3.connect(stopped.dir / "accounts.db")) as database, database:
        database.execute("UPDATE job SET secret = NULL WHERE id = ? AND state = 'applying'", (number,))
    stopped.start()
    job = chain.end(number)
    assert (job["state"], job["result"]) == ("cancelled", False)
    assert job["made"] == len(chain.addresses()) - before < 20
    assert f"job {number}: cancelled" in stopped.log
    assert chain.end(other)["made"] == 10
    assert chain.api.post(f"/jobs/{number}/result", {}).status == 410
