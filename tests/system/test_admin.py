"""The admin program: /livez, /readyz, /metrics, what HTTP asks for, and dropping removed mailboxes."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from bellhop import ROOT, wait_gone, wait_until


def ask(instance, method, path, body=None, headers=None):
    """(status, headers, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", instance.ports.http, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


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


def test_metrics_format(shared):
    """Prometheus' text format 0.0.4: HELP, TYPE, value for each, no name twice."""
    status, headers, body = ask(shared, "GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    blocks = re.findall(r"# HELP (\S+) ([^\n]+)\n# TYPE (\S+) (counter|gauge)\n(\S+) (-?\d+)\n",
                        body)
    assert "".join(f"# HELP {a} {b}\n# TYPE {c} {d}\n{e} {f}\n"
                   for a, b, c, d, e, f in blocks) == body
    names = [block[0] for block in blocks]
    assert len(names) == len(set(names)) > 20
    for name, _, typed, kind, valued, value in blocks:
        assert name == typed == valued
        assert re.fullmatch(r"bellhop_[a-z0-9_]+", name)
        assert name.endswith("_total") == (kind == "counter")
        assert int(value) >= 0


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
    assert after["bellhop_restarts_total"] == before["bellhop_restarts_total"] + 2
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


def test_the_dashboard_names_metrics_that_there_are(shared):
    dashboard = json.loads((ROOT / "packaging" / "grafana.json").read_text())
    shown = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])}
    named = set(re.findall(r"\bbellhop_\w+", " ".join(shown)))
    found = set(metrics(shared))
    assert named <= found, f"there is no {named - found}"


def test_the_dashboards_panels_do_not_overlap():
    dashboard = json.loads((ROOT / "packaging" / "grafana.json").read_text())
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert 0 <= x < 24 and taken.setdefault((x, y), panel["title"]) is panel["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
