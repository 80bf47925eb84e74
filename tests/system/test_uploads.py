"""What an upload may be: what spreadsheets write, three formats, every mistake with its row, and its size."""

import contextlib
import json
import re
import socket
import sqlite3

import pytest

import spreadsheets
from bellhop import sanitized, wait_until
from test_jobs import CSV, Chain

JSON = {"Content_Type": "application/json"}
NDJSON = {"Content_Type": "application/x-ndjson"}


@pytest.fixture
def chain(instance):
    return Chain(instance)


def upload(chain, body, kind, query=""):
    """The job, when it has ended."""
    answer = chain.api.ask("POST", chain.path + query, body, **kind)
    assert answer.status == 202, answer.text
    return chain.end(answer.json["id"])


def told(chain, job):
    return [(error["row"], error["line"], error["column"], error["code"])
            for error in chain.api.all(f"/jobs/{job['id']}/errors")]


@pytest.mark.parametrize("program", spreadsheets.tables(""))
def test_tables_of_spreadsheets(chain, program):
    job = upload(chain, spreadsheets.tables(chain.mine.domain)[program], CSV)
    assert (job["state"], job["rows"], job["made"]) == ("done", 2, 2), told(chain, job)
    made = chain.addresses()
    for local, name in spreadsheets.NAMES.items():
        assert made[f"{local}@{chain.mine.domain}"]["name"] == name
    assert not any(address.startswith("anna@") for address in chain.addresses(chain.theirs))


def test_the_same_in_three_formats(chain):
    rows = [{"address": f"{number}@{chain.mine.domain}", "name": 'Zoë, "Z"', "language": "fr",
             "quota_bytes": 1000000, "pop3": False, "smtp": True} for number in range(3)]
    table = "address;name;language;quota_bytes;pop3;smtp\n" + "".join(
        '{address};"{quoted}";{language};{quota_bytes};FAUX;VRAI\n'.format(quoted=row["name"].replace('"', '""'), **row)
        for row in rows)
    made = []
    for body, kind in ((table.encode(), CSV), (json.dumps(rows, indent=1).encode(), JSON),
                       ("\r\n".join(map(json.dumps, rows)).encode(), NDJSON)):
        assert upload(chain, body, kind)["made"] == 3
        found = chain.addresses()
        made.append([{name: found[row["address"]][name] for name in row} for row in rows])
        for row in rows:
            assert chain.api.delete(f"/addresses/{row['address']}").status == 204
    assert made == [rows] * 3


def test_the_document_says_what_a_row_has(chain):
    job = upload(chain, b"address,colour\n", CSV)
    error, = chain.api.all(f"/jobs/{job['id']}/errors")
    columns = error["reason"].split("there are: ")[1].split(", ")
    for path in "/jobs", "/customers/{customer}/jobs":
        content = chain.api.document.operations["POST", "/api/v1" + path]["requestBody"]["content"]
        row = content["application/x-ndjson"]["schema"]
        assert set(row["properties"]) == set(columns) and row["required"] == ["address"]
        assert content["application/json"]["schema"]["items"] == row
        assert content["text/csv"]["schema"]["type"] == "string"
        assert chain.api.get("/meta").json["resources"][path.replace("/{customer}", "").strip("/")]["POST"] == row


def test_every_mistake_is_told_with_its_row(chain):
    """And a domain of somebody else is one that nobody has."""
    mine, theirs = chain.mine.domain, chain.theirs.domain
    there = next(iter(chain.addresses()))
    table = ("address,name,language,quota_bytes,invite,hash,targets\r\n"
             f"good@{mine},Good,,,,,\r\n"
             f"nobody,,xx,1e9,maybe,,\r\n"
             f"a@{theirs},,,,,,\r\n"
             f"a@nosuch.example,,,,,,\r\n"
             f"{there},,,,,,\r\n"
             f'"b@{mine}","two\r\nlines",,,,,\r\n'
             f"GOOD@{mine},,,,,,\r\n"
             f"c@{mine},,,1000000000000000,,,\r\n"
             f"d@{mine},,,,yes,$6$x,\r\n"
             f"e@{mine},E,,,,,good@{mine}\r\n"
             f"f@{mine},,,,,,good@{mine} g@{mine}\r\n"
             f"h@{mine},,,,,,{chain.theirs.accounts[0].address}\r\n")
    wrong = [(2, 3, "address", "address"), (2, 3, "invite", "flag"), (2, 3, "language", "word"),
             (2, 3, "quota_bytes", "number"), (3, 4, "address", "no-domain"), (4, 5, "address", "no-domain"),
             (5, 6, "address", "taken"), (6, 7, "name", "text"), (7, 9, "address", "twice"),
             (8, 10, "quota_bytes", "limit"), (9, 11, "hash", "both"), (9, 11, "hash", "hash"),
             (10, 12, "name", "both"), (11, 13, "targets", "no-mailbox"), (12, 14, "targets", "no-mailbox")]
    before = chain.addresses()
    job = upload(chain, table.encode(), CSV, "?mode=all")
    assert (job["state"], job["made"], job["wrong"]) == ("failed", 0, 11)
    errors = sorted(told(chain, job))
    assert set(errors) <= set(wrong) and {row for row, *_ in errors} == set(range(2, 13)), errors
    assert chain.addresses() == before
    reasons = {error["row"]: error["reason"] for error in chain.api.all(f"/jobs/{job['id']}/errors")}
    assert reasons[3] == reasons[4]
    job = upload(chain, table.encode(), CSV)
    assert (job["state"], job["made"]) == ("done", 1) and f"good@{mine}" in chain.addresses()


@pytest.mark.parametrize("body, kind, line, column, code", [
    (b"\naddress,colour\n", CSV, 2, "colour", "unknown"),
    (b"name\nA\n", CSV, 1, "address", "missing"),
    (b"address,Address\n", CSV, 1, "address", "twice"),
    ("address,name\n".encode("utf-16"), CSV, 1, None, "csv"),
    (b'[{"address": "a@x.example"}', JSON, 1, None, "json"),
    (b'{"addresses": []}', JSON, 1, None, "json"),
], ids=range(6))
def test_what_is_no_upload(chain, body, kind, line, column, code):
    before = chain.addresses()
    job = upload(chain, body, kind)
    assert job["state"] == "failed" and (0, line, column, code) in told(chain, job)
    assert chain.addresses() == before


def test_a_table_that_is_not_utf8(chain):
    """As Excel's other CSV has it."""
    body = f"address;name\r\na@{chain.mine.domain};Zoë\r\n".encode("latin-1")
    job = upload(chain, body, CSV)
    (error,) = chain.api.all(f"/jobs/{job['id']}/errors")
    assert (error["row"], error["column"], error["code"]) == (1, "name", "utf-8") and "CSV UTF-8" in error["reason"]


def most_memory(instance):
    (pid,) = instance.pids()["admin"]
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


def test_a_large_upload_takes_little_memory(chain):
    """32 MiB of rows that are wrong, so that nothing but reading them is left."""
    row = b'{"address": "nobody", "name": "' + b"x" * 900 + b'"}\n'
    body = row * (32 * 1024 * 1024 // len(row))
    before = most_memory(chain.instance)
    job = upload(chain, body, NDJSON, "?dry_run=true")
    assert job["rows"] == job["wrong"] == len(body) // len(row)
    # Sanitizers keep what is freed.
    assert sanitized() or most_memory(chain.instance) - before < 16 * 1024 * 1024


def headers(chain, length):
    return (f"POST /api/v1{chain.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {chain.api.key}\r\n"
            f"Content-Type: text/csv\r\nContent-Length: {length}\r\n")


def test_one_that_is_too_large_is_refused_at_once(chain):
    with socket.create_connection(("127.0.0.1", chain.instance.ports.http), timeout=30) as client:
        client.sendall((headers(chain, 64 * 1024 * 1024 + 1) + "Expect: 100-continue\r\n\r\n").encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")


def parts(chain):
    with contextlib.closing(sqlite3.connect(chain.instance.dir / "accounts.db")) as database:
        return database.execute("SELECT count(*) FROM job_part").fetchone()[0]


def test_one_that_is_on_its_way_holds_up_no_end(chain):
    with socket.create_connection(("127.0.0.1", chain.instance.ports.http), timeout=30) as client:
        client.sendall(headers(chain, 1000000).encode() + b"\r\naddress\r\n" + b"a" * 300000)
        wait_until(lambda: parts(chain) > 0)
        chain.instance.stop()
    assert "has not ended" not in chain.instance.log


def test_one_that_breaks_off_is_none(chain):
    with socket.create_connection(("127.0.0.1", chain.instance.ports.http), timeout=30) as client:
        client.sendall(headers(chain, 1000000).encode() + b"\r\naddress\r\n" + b"a" * 300000)
    for _ in range(12):  # nor does it count among those that are open
        assert upload(chain, b"address\r\n", CSV)["state"] == "done"
    assert len(chain.api.all("/jobs")) == 12
