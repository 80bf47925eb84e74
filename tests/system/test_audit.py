"""The audit on the command line: who changed what, exports, and the proof that nothing is missing."""

import datetime
import hashlib
import json
import os
import sqlite3

import pytest

from api import Api, made_key, operator


@pytest.fixture
def changed(stopped):
    """Two customers, with a change of each behind the other's."""
    one = stopped.customer("one", "house", "one.example", "anna")
    two = stopped.customer("two", "house", "two.example", "bert")
    stopped.cli("customer", "suspend", one.name)
    stopped.cli("customer", "set", two.name, "--plan", "chain")
    stopped.count = len(rows(stopped))
    return stopped


def rows(instance, *options):
    return json.loads(instance.cli("audit", "list", *options, "--json").stdout)


def refused(done, *words):
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def export(instance, path, *options):
    path.write_text(instance.cli("audit", "export", *options).stdout)
    return path


def tamper(instance, *sql):
    with sqlite3.connect(instance.dir / "accounts.db") as database:
        for trigger in "audit_stays", "audit_is_kept":
            database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for one in sql:
            database.execute(one)
    database.close()


# --- list

def test_list_says_who_did_what_and_what_was_before(changed):
    newest, *others = rows(changed)
    assert newest["customer"] == "two" and newest["action"] == "customer.plan"
    assert newest["actor"] == f"bellhop uid={os.getuid()}"
    (change,) = newest["changes"]
    assert change["before"] == {"plan": "house"} and change["after"] == {"plan": "chain"}
    made = ["customer.add", "domain.add", "address.add"]
    assert [row["action"] for row in others[6::-1]] == [*made, *made, "customer.suspend"]
    table = changed.cli("audit", "list").stdout.splitlines()
    assert len(table) == changed.count + 1 and table[0].split()[:3] == ["TIME", "CUSTOMER", "WHO"]


def test_list_shows_one_customer_and_since_when(changed):
    assert {row["customer"] for row in rows(changed, "--customer", "one")} == {"one"}
    assert [row["number"] for row in rows(changed, "--customer", "one")] == [4, 3, 2, 1]
    assert len(rows(changed, "--since", "1h")) == changed.count
    tomorrow = datetime.date.today() + datetime.timedelta(days=2)
    assert rows(changed, "--since", tomorrow.isoformat()) == []
    refused(changed.cli("audit", "list", "--customer", "none", check=False), "none")


def test_no_password_is_in_the_audit(changed):
    changed.cli("address", "passwd", "anna@one.example", "--password-stdin", input="seven sesame seeds\n")
    text = changed.cli("audit", "list", "--json").stdout
    assert '"hash": "changed"' in text
    assert "argon2" not in text and "sesame" not in text


# --- export and verify

def proof(lines):
    """The last digest, computed from what the lines say and nothing else (db/auditchain.h)."""
    digest = bytes(32)
    for line in map(json.loads, lines):
        state = hashlib.blake2b(digest, digest_size=32)
        time = datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
        for value in (line["customer"], line["number"], int(time.timestamp()), line["actor"], line["remote"],
                      line["request"], line["action"], line["object"], line["changes"]):
            text = str(value).encode()
            state.update(len(text).to_bytes(8, "little") + text)
        digest = state.digest()
        assert digest.hex() == line["digest"]
    return digest


def test_a_customers_export_proves_itself_without_anybody_elses_rows(changed, tmp_path):
    file = export(changed, tmp_path / "one.jsonl", "--customer", "one")
    lines = file.read_text().splitlines()
    assert len(lines) == 4 and "two" not in file.read_text()
    proof(lines)
    assert changed.cli("audit", "verify", file).stdout == "4 rows are as they were written\n"


def test_exports_over_http_are_the_same(changed, tmp_path):
    """In many pieces, too; a customer's key gets its own rows alone."""
    changed.cli("customer", "resume", "one")
    changed.start()
    admin = Api(changed, made_key(changed, "export", "--role", "admin", "--customer", "one"))
    keys = operator(changed)
    for number in range(300):
        assert keys.patch("/plans/house", {"poll_seconds": number}).status == 200
    for api, options, count in (keys, [], 300), (admin, ["--customer", "one"], 5):
        answer = api.get("/audit/export")
        assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-ndjson"
        file = export(changed, tmp_path / "export", *options)
        assert answer.text == file.read_text() and len(answer.text.splitlines()) > count
        assert "were written" in changed.cli("audit", "verify", file).stdout
    assert "two.example" not in answer.text and "\"two\"" not in answer.text
    assert admin.get("/audit/export", Accept="application/json").status == 406
    assert admin.get("/audit/export", Accept="application/x-ndjson").status == 200
    assert admin.get("/audit/export?customer=999999").status == 404


@pytest.mark.parametrize("change, number", [
    (lambda lines: lines[:1] + lines[2:], 3),
    (lambda lines: lines[1:], 2),
    (lambda lines: lines[:2] + [lines[2].replace("anna", "arno")] + lines[3:], 3),
    (lambda lines: [lines[1], lines[0], *lines[2:]], 2),
], ids=["missing", "beginning", "changed", "order"])
def test_verify_names_the_first_wrong_row_of_an_export(changed, tmp_path, change, number):
    file = export(changed, tmp_path / "one.jsonl", "--customer", "one")
    file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")
    refused(changed.cli("audit", "verify", file, check=False), f"row {number} of customer ")


@pytest.mark.parametrize("text", ["", "{}\n", "a letter\n", '{"customer":1}\n', "\0\n"])
def test_verify_refuses_what_is_no_export(changed, tmp_path, text):
    file = tmp_path / "file"
    file.write_text(text)
    refused(changed.cli("audit", "verify", file, check=False), str(file))


def test_verify_finds_what_was_done_to_the_database(changed, tmp_path):
    good = f"{changed.count} rows are as they were written\n"
    assert changed.cli("audit", "verify").stdout == good
    whole = export(changed, tmp_path / "all.jsonl")
    tamper(changed, "UPDATE audit SET actor = 'nobody' WHERE action = 'customer.suspend'")
    refused(changed.cli("audit", "verify", check=False), "row 4 of customer ", "customer.suspend one")
    assert changed.cli("audit", "verify", whole).stdout == good


def test_a_noted_head_shows_what_was_cut_off_or_made_anew(changed):
    head = changed.cli("audit", "head").stdout.strip()
    changed.cli("customer", "resume", "one")
    assert changed.cli("audit", "verify", "--head", head).stdout.startswith(f"{changed.count + 1} rows ")
    other = head[:-1] + ("0" if head[-1] != "0" else "1")
    refused(changed.cli("audit", "verify", "--head", other, check=False), f"row {changed.count} is not")
    tamper(changed, f"DELETE FROM audit WHERE id >= {changed.count}")
    assert changed.cli("audit", "verify").returncode == 0
    refused(changed.cli("audit", "verify", "--head", head, check=False), f"row {changed.count}", "missing")


def test_a_removed_customers_rows_stay(changed):
    changed.cli("customer", "remove", "two")
    assert len(rows(changed)) == changed.count + 1
    changed.cli("audit", "verify")
