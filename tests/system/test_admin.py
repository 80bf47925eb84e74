"""The admin program: /livez, /readyz, /metrics, what HTTP asks for, and dropping removed mailboxes."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from api import send
from bellhop import BIN, ROOT, wait_gone, wait_until

PROMTOOL = shutil.which("promtool", path=f"{BIN.parent}/peers/prometheus/usr/bin:{os.environ['PATH']}")


def ask(instance, method, path, body=None, headers=None):
    """(status, headers, body)"""
    answer = send(instance, method, path, body, headers)
    return answer.status, answer.headers, answer.text


def metrics(instance):
    status, body = instance.http("/metrics")
    assert status == 200
    return {name: int(value) for name, value in re.findall(r"(?m)^([a-z0-9_]+) (-?\d+)$", body)}


# --- HTTP


WELL = {"status": "ok", "database": "ok", "store": "ok", "auth": "ok", "pop3": "ok", "lmtp": "ok"}


@pytest.mark.parametrize("path, expected", [("/livez", {"status": "ok"}), ("/readyz", WELL), ("/healthz", WELL)])
def test_health(shared, path, expected):
    status, headers, body = ask(shared, "GET", path)
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == expected


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/nothing"])
def test_security_headers(shared, path):
    _, headers, _ = ask(shared, "GET", path)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/healthz/", "/Healthz", "/healthz%00", "/../healthz",
                                  "//healthz", "/api"])
def test_unknown_path(shared, path):
    status, headers, body = ask(shared, "GET", path)
    assert status == 404
    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(body)["code"] == "no-path"
    assert "/api/v1/openapi.json" in json.loads(body)["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_wrong_method(shared, method, path):
    status, headers, body = ask(shared, method, path)
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"
    assert json.loads(body)["code"] == "method"


def test_unknown_method(shared):
    assert ask(shared, "BREW", "/healthz")[0] == 501
    assert ask(shared, "get", "/healthz")[0] == 501


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_head(shared, path):
    status, headers, body = ask(shared, "HEAD", path)
    assert status == 200 and body == ""
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/healthz?verbose=1", "/metrics?"])
def test_query_is_no_part_of_the_path(shared, path):
    assert ask(shared, "GET", path)[0] == 200


def test_body_is_refused(shared):
    assert ask(shared, "GET", "/healthz", body="x")[0] == 413
    assert ask(shared, "GET", "/metrics", body=iter([b"x"]),
               headers={"Transfer-Encoding": "chunked"})[0] == 413
    assert ask(shared, "POST", "/nothing", body="x" * 100000)[0] == 404


def test_connection_is_kept(shared):
    connection = http.client.HTTPConnection("127.0.0.1", shared.ports.http, timeout=10)
    try:
        connection.connect()
        own = connection.sock
        for path in ("/healthz", "/metrics", "/nothing", "/healthz"):
            connection.request("GET", path)
            connection.getresponse().read()
            assert connection.sock is own
    finally:
        connection.close()


def test_pipelined_requests(shared):
    with socket.create_connection(("127.0.0.1", shared.ports.http), 10) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 3 +
                    b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"200", b"200", b"404"]


@pytest.mark.parametrize("rubbish", [
    pytest.param(b"\0" * 100, id="zeros"),
    pytest.param(b"GET\r\n\r\n", id="no-path"),
    pytest.param(b"+OK POP3\r\n\r\n", id="other-protocol"),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10000 + b"\r\n", id="many-fields"),
    pytest.param(b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", id="long-path"),
])
def test_rubbish_harms_nobody(shared, rubbish):
    pid = shared.pids()["admin"]
    with socket.create_connection(("127.0.0.1", shared.ports.http), 10) as raw:
        try:
            raw.sendall(rubbish)
        except ConnectionError:
            pass
    assert shared.http("/healthz")[0] == 200
    assert shared.pids()["admin"] == pid


def test_silent_connections_are_closed(shared):
    with (socket.create_connection(("127.0.0.1", shared.ports.http), 25) as silent,
          socket.create_connection(("127.0.0.1", shared.ports.http), 25) as slow):
        slow.sendall(b"GET /healthz HTTP/1.1\r\n")
        begin = time.monotonic()
        assert silent.recv(100) == b"" and not slow.recv(100).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - begin < 15


# --- health


def hold(instance, name):
    """Lets a program hang; the caller wakes it."""
    pid = instance.pids()[name][0]
    os.kill(pid, signal.SIGSTOP)
    return pid


@pytest.fixture
def stopped_store(instance):
    """stored hangs for the length of a test."""
    pid = hold(instance, "stored")
    try:
        yield instance
    finally:
        os.kill(pid, signal.SIGCONT)


def test_healthz_while_stored_hangs(stopped_store):
    """Several at once: each has its answer after 2 s, and other pages don't wait for them."""
    answers = []

    def check():
        begin = time.monotonic()
        status, body = stopped_store.http("/healthz")
        answers.append((status, json.loads(body), time.monotonic() - begin))

    threads = [threading.Thread(target=check) for _ in range(8)]
    for thread in threads:
        thread.start()
    begin = time.monotonic()
    assert stopped_store.http("/metrics")[0] == 200
    assert time.monotonic() - begin < 1
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    for status, body, seconds in answers:
        assert status == 503 and 1.5 < seconds < 4
        assert body == WELL | {"status": "failing", "store": body["store"]}
        assert "stored" in body["store"]


def test_alive_while_the_others_hang(instance):
    held = [hold(instance, name) for name in ("stored", "authd")]
    try:
        assert instance.http("/livez") == (200, '{"status":"ok"}')
        status, text = instance.http("/readyz")
        body = json.loads(text)
        assert status == 503
        assert body == WELL | {"status": "failing", "store": body["store"], "auth": body["auth"]}
        assert "stored" in body["store"] and "authd" in body["auth"]
    finally:
        for pid in held:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: instance.http("/readyz")[0] == 200, 10, "all parts")


@pytest.mark.parametrize("name, part", [("lmtpd", "lmtp"), ("pop3d", "pop3")])
def test_not_ready_without_a_front(stopped, name, part):
    """One that keeps dying is started again later each time, and meanwhile there is none."""
    stopped.configure(pop3_processes=1)
    instance = stopped.start()

    def missing():
        for pid in instance.pids().get(name, []):
            os.kill(pid, signal.SIGKILL)
            wait_gone(pid)
        status, text = instance.http("/readyz")
        return status == 503 and json.loads(text)

    body = wait_until(missing, 20, f"a time without {name}")
    assert body == WELL | {"status": "failing", part: body[part]}
    assert name in body[part]
    wait_until(lambda: instance.http("/readyz")[0] == 200, 10, f"a new {name}")


def test_healthz_after_stored_went_on(instance):
    pid = hold(instance, "stored")
    try:
        assert instance.http("/healthz")[0] == 503
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: instance.http("/healthz")[0] == 200, 5, "health")


def test_client_that_leaves_while_it_waits(stopped_store):
    pid = stopped_store.pids()["admin"]
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", stopped_store.ports.http), 10) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stopped_store.http("/healthz")[0] == 503
    assert stopped_store.pids()["admin"] == pid


def test_healthz_when_the_database_fails(instance):
    """A table is taken away under the programs: 503 that names the database."""
    assert instance.http("/healthz")[0] == 200
    subprocess.run(["sqlite3", instance.dir / "accounts.db",
                    "ALTER TABLE mailbox_drop RENAME TO elsewhere"], check=True, timeout=10)

    def failing():
        status, body = instance.http("/healthz")
        return status == 503 and json.loads(body)

    body = wait_until(failing, 10, "a failing health")
    assert body["database"] != "ok" and body["store"] == "ok"


def test_ends_at_once_while_requests_wait(stopped_store):
    """SIGTERM to admin: who waits for stored or authd has an answer, and admin is gone within 2 s."""
    pid = stopped_store.pids()["admin"][0]
    held = hold(stopped_store, "authd")
    with socket.create_connection(("127.0.0.1", stopped_store.ports.http), 10) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stopped_store.http("/metrics")[0] == 200  # so the first one has been read
        os.kill(pid, signal.SIGTERM)
        wait_gone(pid, 2)
        assert raw.recv(65536).startswith(b"HTTP/1.1 503 ")
    os.kill(held, signal.SIGCONT)


# --- metrics


class Family:
    def __init__(self, help):
        self.help, self.kind, self.samples = help, None, []


def families(text):
    """{name: Family} of Prometheus' text format, read strictly: HELP, TYPE, then all samples of one."""
    found = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"# HELP (\w+) (\S.*)", line):
            assert match[1] not in found
            found[match[1]] = last = Family(match[2])
            name = match[1]
        elif match := re.fullmatch(r"# TYPE (\w+) (counter|gauge|histogram)", line):
            assert match[1] == name and last.kind is None
            last.kind = match[2]
        else:
            match = re.fullmatch(r'(\w+)(?:\{((?:\w+="[^"\\\n]*",?)+)\})? (-?[0-9.]+)', line)
            assert match and last.kind, line
            suffix = match[1].removeprefix(name)
            assert suffix in (("_bucket", "_sum", "_count") if last.kind == "histogram" else ("",)), line
            last.samples.append((suffix, dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")), float(match[3])))
    return found


def test_metrics_format(shared):
    """Prometheus' text format 0.0.4, and its conventions for names."""
    status, headers, body = ask(shared, "GET", "/metrics")
    assert status == 200 and body.endswith("\n")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = families(body)
    assert len(found) > 40
    for name, family in found.items():
        assert re.fullmatch(r"bellhop_[a-z0-9_]+", name)
        assert name.endswith("_total") == (family.kind == "counter")
        assert not name.endswith(("_bucket", "_sum", "_count"))
        labels = [tuple(sorted(labels.items())) + (suffix,) for suffix, labels, _ in family.samples]
        assert len(labels) == len(set(labels)), name
        assert all(value >= 0 for _, _, value in family.samples), name
        if family.kind == "histogram":
            buckets = [(labels["le"], value) for suffix, labels, value in family.samples if suffix == "_bucket"]
            assert [value for _, value in buckets] == sorted(value for _, value in buckets)
            assert [float(le) for le, _ in buckets] == sorted(float(le) for le, _ in buckets)
            assert buckets[-1] == ("+Inf", next(value for suffix, _, value in family.samples if suffix == "_count"))


@pytest.mark.skipif(not PROMTOOL, reason="make deps fetches promtool")
def test_promtool_finds_nothing(shared):
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=shared.http("/metrics")[1], text=True,
                          capture_output=True, timeout=30)
    assert done.returncode == 0 and done.stdout + done.stderr == ""


def samples(instance, name):
    """{(suffix, labels...): value}"""
    return {(suffix, *labels.values()): value
            for suffix, labels, value in families(instance.http("/metrics")[1])[name].samples}


def test_answers_are_counted_by_route_and_status(instance):
    """By the route's row, so whoever makes up paths makes no names."""
    key = json.loads(instance.cli("api-key", "add", "counter", "--json").stdout)["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    before = samples(instance, "bellhop_http_request_seconds")[("_count",)]
    for path in ["/api/v1/plans/house", "/api/v1/plans/none", "/made/up", "/made/up/too", "/api/v1/plans/house"]:
        ask(instance, "GET", path, headers=bearer)
    ask(instance, "GET", "/api/v1/plans/house")
    after = samples(instance, "bellhop_http_answers_total")
    assert after["", "GET", "/api/v1/plans/{plan}", "200"] == 2
    assert after["", "GET", "/api/v1/plans/{plan}", "404"] == 1
    assert after["", "GET", "/api/v1/plans/{plan}", "401"] == 1
    assert after["", "", "", "404"] == 2
    assert samples(instance, "bellhop_http_request_seconds")[("_count",)] >= before + 6


def test_syncs_certificates_and_full_mailboxes_are_told(instance):
    account = instance.customers[0].accounts[0]
    before = samples(instance, "bellhop_store_sync_seconds")[("_count",)]
    assert instance.deliver([account.address], b"Subject: a\r\n\r\nb\r\n")[0].code == 250
    after = samples(instance, "bellhop_store_sync_seconds")
    assert after[("_count",)] > before and after[("_sum",)] > 0
    now = metrics(instance)
    listed = json.loads(instance.cli("certificate", "list", "--json").stdout)
    assert now["bellhop_certificates"] == len(listed) == 1
    assert now["bellhop_certificates_first_expiry_timestamp_seconds"] > time.time()
    instance.cli("address", "set", account.address, "--quota", "1K")
    assert instance.deliver([account.address], b"Subject: a\r\n\r\n" + b"text\r\n" * 1000)[0].code == 452
    wait_until(lambda: metrics(instance)["bellhop_lmtp_over_quota_total"] == 1)
    assert 'version="' in instance.http("/metrics")[1]


def test_metrics_name_nobody(instance):
    """No customer, domain, address or key, whatever was asked and refused."""
    account = instance.customers[0].accounts[0]
    assert instance.deliver([account.address], b"Subject: a\r\n\r\nb\r\n")[0].code == 250
    ask(instance, "GET", f"/api/v1/addresses/{account.address}")
    instance.pop3(account).quit()
    text = instance.http("/metrics")[1].lower()
    for customer in instance.customers:
        for word in customer.name, customer.domain, customer.domain.partition(".")[0], *(
                one.address.partition("@")[0] for one in customer.accounts):
            assert word.lower() not in text


def test_gauges_tell_what_there_is_now(instance):
    running = {name: len(pids) for name, pids in instance.pids().items()}
    programs = {"pop3d": "pop3", "authd": "auth", "lmtpd": "lmtp", "stored": "store", "admin": "http",
                "fetchd": "fetch"}
    assert set(running) == set(programs)
    wait_until(lambda: all(metrics(instance)[f"bellhop_{programs[name]}_processes"] == count
                           for name, count in running.items()))
    with instance.lmtp():
        assert metrics(instance)["bellhop_lmtp_sessions"] == 1
    wait_until(lambda: metrics(instance)["bellhop_lmtp_sessions"] == 0)


def test_counters_move(instance):
    account = instance.customers[0].accounts[0]
    before = metrics(instance)
    assert instance.deliver([account.address], b"Subject: a\r\n\r\nb\r\n")[0].code == 250
    pop3 = instance.pop3(account)
    pop3.retr(1)
    during = metrics(instance)
    pop3.dele(1)
    pop3.quit()
    after = wait_until(lambda: (now := metrics(instance))["bellhop_pop3_sessions"] == 0 and now,
                       5, "the end of the session")

    def moved(name):
        return after[f"bellhop_{name}_total"] - before[f"bellhop_{name}_total"]

    assert moved("lmtp_connections") == 1
    assert moved("lmtp_delivered") == 1
    assert moved("store_deliveries") == 1
    assert moved("store_commits") >= 1
    assert moved("pop3_connections") == 1
    assert moved("pop3_logins") == 1
    assert moved("pop3_retrieved") == 1
    assert moved("pop3_deleted") == 1
    assert moved("store_expunged") == 1
    assert moved("auth_checks") == 1
    assert moved("http_requests") >= 2
    assert during["bellhop_pop3_sessions"] == 1
    assert during["bellhop_store_sessions"] == 1


def test_counters_outlive_a_crash(instance):
    account = instance.customers[0].accounts[0]
    assert instance.deliver([account.address], b"Subject: a\r\n\r\nb\r\n")[0].code == 250
    before = metrics(instance)
    for name in ("lmtpd", "stored"):
        pid = instance.pids()[name][0]
        os.kill(pid, signal.SIGKILL)
        wait_gone(pid)
    instance.wait_healthy(10)
    wait_until(lambda: instance.http("/healthz")[0] == 200, what="an answer of stored's")
    after = metrics(instance)
    restarts = {labels["program"]: value for _, labels, value in
                families(instance.http("/metrics")[1])["bellhop_restarts_total"].samples}
    assert restarts == {"pop3d": 0, "authd": 0, "lmtpd": 1, "stored": 1, "admin": 0, "fetchd": 0}
    assert after["bellhop_lmtp_delivered_total"] == before["bellhop_lmtp_delivered_total"]
    assert after["bellhop_store_sessions"] == 0


# --- the mail of removed mailboxes


def dropped(instance):
    """How many mailboxes were dropped so far."""
    return len(re.findall(r"admin\[\d+\]: mailbox=\d+ dropped", instance.log))


def test_mail_of_a_removed_address_leaves_the_store(instance):
    gone, kept = (customer.accounts[0] for customer in instance.customers)
    message = b"Subject: a\r\n\r\n" + b"text\r\n" * 100
    for account in (gone, gone, kept):
        assert instance.deliver([account.address], message)[0].code == 250
    instance.cli("address", "remove", gone.address, "--now")
    wait_until(lambda: dropped(instance), 10, "the drop")
    assert dropped(instance) == 1
    assert len(instance.messages(kept)) == 1
    # A new mailbox of the same address begins empty.
    instance.cli("address", "add", gone.address, "--password-stdin", input=gone.password + "\n")
    assert instance.messages(gone) == {}


def test_drops_wait_for_stored(instance):
    """stored dies; what was removed meanwhile is dropped when it is back. So after a restart."""
    accounts = instance.customers[1].accounts
    for account in accounts:
        assert instance.deliver([account.address], b"Subject: a\r\n\r\nb\r\n")[0].code == 250
    pid = instance.pids()["stored"][0]
    os.kill(pid, signal.SIGSTOP)
    instance.cli("address", "remove", accounts[0].address, "--now")
    instance.cli("address", "remove", accounts[1].address, "--now")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: dropped(instance) == 2, 15, "the drops")
    instance.stop()
    instance.cli("address", "remove", accounts[2].address, "--now")
    instance.start()
    wait_until(lambda: dropped(instance) == 3, 10, "the drop at the start")


def test_drops_that_fail_are_told_once(instance):
    """Tried again each second for as long as the store cannot, but not logged as often."""
    wait_until(lambda: "the store is ready" in instance.log)
    for number in range(1, 4):
        (instance.dir / "store" / f"{number:08x}.seg").mkdir()
    instance.cli("address", "remove", instance.customers[0].accounts[0].address, "--now")
    wait_until(lambda: dropped(instance), 15, "the drop")
    assert len(re.findall(r"stored\[\d+\]: error: ", instance.log)) == 1
    assert len(re.findall(r"admin\[\d+\]: error: ", instance.log)) == 1


# --- the dashboard


def dashboard_names():
    dashboard = json.loads((ROOT / "packaging" / "grafana.json").read_text())
    shown = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])}
    return set(re.findall(r"\bbellhop_\w+", " ".join(shown)))


def test_the_dashboard_names_metrics_that_there_are(shared):
    found = families(shared.http("/metrics")[1])
    samples = set(found) | {name + suffix for name, family in found.items() for suffix, _, _ in family.samples}
    assert dashboard_names() <= samples, f"there is no {dashboard_names() - samples}"


def test_each_metric_is_in_the_dashboard_or_explained(shared):
    """docs/operating/monitoring.md has what the dashboard does not show, and nothing that is not there."""
    found = set(families(shared.http("/metrics")[1]))
    explained = set(re.findall(r"`(bellhop_\w+)`", (ROOT / "docs" / "operating" / "monitoring.md").read_text()))
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in dashboard_names()}
    assert explained <= found, explained - found
    assert found <= explained | shown, found - explained - shown


def test_the_dashboards_panels_do_not_overlap():
    dashboard = json.loads((ROOT / "packaging" / "grafana.json").read_text())
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert 0 <= x < 24 and taken.setdefault((x, y), panel["title"]) is panel["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
