"""bellhop job: bulk uploads from the command line, on the machine and from elsewhere."""

import csv
import io
import json
import os
import pty
import re
import subprocess

import pytest

from bellhop import BIN, run, wait_until
from test_cards import SETTINGS, Page, link_of
from test_cli_usage import refused
from test_jobs import invited
from test_remote import Cutter, Remote


class Side:
    """The command line with a fresh instance of two customers, here or there."""

    def __init__(self, kind, instance, folder):
        self.instance, self.folder, self.kind = instance, folder, kind
        self.mine, self.theirs = instance.customers
        remote = Remote(instance, folder) if kind == "there" else None
        self.cli = remote.cli if remote else instance.cli
        self.place = (["--server", remote.url, "--key", str(remote.key)] if remote else ["-C", str(instance.dir)])

    def table(self, content, name="guests.csv"):
        path = self.folder / name
        path.write_text(content)
        return path

    def add(self, content, *options, name="guests.csv", customer=True):
        """The number of the job."""
        whose = ["--customer", self.mine.name] if customer else []
        done = self.cli("job", "add", self.table(content, name), *whose, *options)
        assert re.fullmatch(r"job: \d+\n", done.stdout) and not done.stderr, done
        return done.stdout.split()[1]

    def follow(self, number, check=True):
        return self.cli("job", "follow", number, check=check)

    def show(self, number):
        return json.loads(self.cli("job", "show", number, "--json").stdout)

    def addresses(self, customer):
        rows = json.loads(self.cli("address", "list", "--customer", customer.name, "--json").stdout)
        return {row["address"]: row for row in rows}

    def result(self, number):
        text = self.cli("job", "result", number).stdout
        return {row["address"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


@pytest.fixture(params=["here", "there"])
def side(request, stopped, tmp_path):
    stopped.configure(page_url=SETTINGS["page_url"])
    (tmp_path / "files").mkdir()
    return Side(request.param, stopped.start(), tmp_path / "files")


def test_rows_are_made_and_given_out_once(side):
    domain = side.mine.domain
    number = side.add(f"address;name;invite;generate\na@{domain};Anna;yes;\nb@{domain};;;yes\nc@{domain};Cem;;\n")
    done = side.follow(number)
    assert done.stdout == (f"job {number} done: 3 rows, 0 wrong, 3 made\n"
                           f"welcome cards, only before the result: bellhop job cards {number}\n"
                           f"its result, once: bellhop job result {number}\n") and not done.stderr
    shown = side.show(number)
    assert (shown["state"], shown["customer"], shown["mode"], shown["dry_run"], shown["format"], shown["percent"]) == (
        "done", side.mine.name, "rows", False, "csv", 100)
    assert (shown["rows"], shown["wrong"], shown["made"], shown["result"]) == (3, 0, 3, True)
    assert side.addresses(side.mine)[f"c@{domain}"]["name"] == "Cem"
    cards = Page(side.cli("job", "cards", number).stdout).cards
    assert len(cards) == 1
    refused(side.cli("job", "cards", number, check=False), "fetched before")
    result = side.result(number)
    assert list(result) == [f"{name}@{domain}" for name in "abc"]
    link = result[f"a@{domain}"]["invitation"]
    assert link.startswith(SETTINGS["page_url"]) and link == link_of(cards[0])
    assert invited(side.instance, link.rpartition("/")[2].rpartition("#")[2])
    side.instance.pop3(f"b@{domain}", result[f"b@{domain}"]["password"]).quit()
    for what in "result", "cards":
        refused(side.cli("job", what, number, check=False), "fetched before")
    secrets = [link, result[f"b@{domain}"]["password"]]
    for path in side.instance.dir.glob("accounts.db*"):
        assert not any(secret.encode() in path.read_bytes() for secret in secrets)


def test_each_format_and_all_customers(side):
    ours, theirs = side.mine.domain, side.theirs.domain
    rows = [{"address": f"one@{ours}"}, {"address": f"two@{theirs}"}]
    first = side.add(json.dumps(rows), name="guests.json", customer=False)
    second = side.add("".join(json.dumps({"address": f"{number}@{ours}"}) + "\n" for number in range(3)),
                      "--format", "ndjson", name="guests")
    for number in first, second:
        side.follow(number)
    assert f"two@{theirs}" in side.addresses(side.theirs) and f"2@{ours}" in side.addresses(side.mine)
    listed = json.loads(side.cli("job", "list", "--json").stdout)
    assert [(row["id"], row["customer"], row["format"], row["made"]) for row in listed] == [
        (int(second), side.mine.name, "ndjson", 3), (int(first), None, "json", 2)]
    lines = side.cli("job", "list", "--customer", side.mine.name).stdout.splitlines()
    assert len(lines) == 2 and lines[1].split()[0] == second
    assert side.cli("job", "list", "--customer", side.theirs.name).stdout.count("\n") == 1


def test_what_is_wrong_is_told(side):
    domain = side.mine.domain
    table = f"address,name\nok@{domain},Ok\nnot an address,\nx@{side.theirs.domain},\nok@{domain},\n"
    number = side.add(table, "--all-or-nothing")
    done = side.follow(number, check=False)
    assert done.returncode == 1 and done.stdout == (f"job {number} failed: 4 rows, 3 wrong, 0 made\n"
                                                    f"what is wrong: bellhop job errors {number}\n")
    errors = json.loads(side.cli("job", "errors", number, "--json").stdout)
    assert [(row["row"], row["line"], row["column"], row["code"]) for row in errors] == [
        (2, 3, "address", "address"), (3, 4, "address", "no-domain"), (4, 5, "address", "twice")]
    lines = side.cli("job", "errors", number).stdout.splitlines()
    assert lines[0].split() == ["ROW", "LINE", "COLUMN", "CODE", "REASON"] and errors[2]["reason"] in lines[3]
    refused(side.cli("job", "result", number, check=False), "made nothing")
    assert f"ok@{domain}" not in side.addresses(side.mine)
    # A dry run and one row by row say the same.
    for option, made in (["--dry-run"], 0), ([], 1):
        done = side.cli("job", "add", side.table(table), "--customer", side.mine.name, "--follow", *option)
        assert f" done: 4 rows, 3 wrong, {made} made\n" in done.stdout
    assert f"ok@{domain}" in side.addresses(side.mine)


def test_a_job_is_cancelled(side):
    """Hashing the passwords of a job of all or nothing ends, too."""
    domain = side.mine.domain
    side.cli("plan", "set", side.mine.plan, "--addresses", "100")
    rows = "".join(f"guest{number}@{domain},yes\n" for number in range(90))
    number = side.add("address,generate\n" + rows, "--all-or-nothing")
    wait_until(lambda: side.show(number)["percent"] >= 10 or side.show(number)["ended"], 60, "the job's beginning")
    if not side.show(number)["ended"]:  # a fast machine may have been quicker
        side.cli("job", "cancel", number)
        done = side.follow(number, check=False)
        assert done.returncode == 1 and f"job {number} cancelled" in done.stdout
        refused(side.cli("job", "result", number, check=False), "made nothing")
    refused(side.cli("job", "cancel", number, check=False), "has ended")


def drain(terminal):
    """All that was written there; the kernel hands it over a little after who wrote has ended."""
    drawn = b""
    with open(terminal, "rb", buffering=0) as file:
        while True:
            try:
                drawn += file.read(4096)
            except OSError:  # EIO: nobody has the other side any more
                return drawn.decode()


def test_progress_on_a_terminal_and_elsewhere(side):
    path = side.table(f"address\nnew@{side.mine.domain}\n")
    command = [BIN / "bellhop", *side.place, "job", "add", path, "--customer", side.mine.name, "--follow"]
    done = subprocess.run([*command, "--dry-run", "--progress"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and re.fullmatch(r"(job \d+ \[[=.]{20}\] \d+%\n)+", done.stderr), done.stderr
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, timeout=60)
    finally:
        os.close(theirs)
    drawn = drain(ours)
    assert done.returncode == 0 and re.match(r"job \d+ \[\.{20}\] 0%", drawn) and drawn.endswith("\x1b[K"), drawn


def test_what_cannot_be_uploaded(side):
    mine = ["--customer", side.mine.name]
    refused(side.cli("job", "add", side.folder / "none.csv", *mine, check=False), "none.csv", "No such file")
    refused(side.cli("job", "add", side.table("", "empty.csv"), *mine, check=False), "empty.csv is empty")
    with open(side.folder / "huge.csv", "wb") as file:
        file.truncate((64 << 20) + 1)
    refused(side.cli("job", "add", side.folder / "huge.csv", *mine, check=False), "huge.csv", "64 MiB")
    guests = side.table(f"address\na@{side.mine.domain}\n")
    refused(side.cli("job", "add", guests, "--customer", "nobody", check=False), 'no customer "nobody"')
    for command in ["show"], ["follow"], ["cancel"], ["errors"], ["result"], ["cards"]:
        refused(side.cli("job", *command, "77", check=False), "there is no job 77")


def test_large_uploads_come_whole(side):
    """In many pieces of 64 KiB."""
    rows = "".join(f"a{number}@nobody.example,{'x' * 150}\n" for number in range(9000))
    number = side.add("address,name\n" + rows, "--dry-run")
    side.follow(number)
    shown = side.show(number)
    assert (shown["rows"], shown["wrong"], shown["made"], shown["result"]) == (9000, 9000, 0, False)
    assert len(json.loads(side.cli("job", "errors", number, "--json").stdout)) == 9000


def test_a_job_waits_for_the_service(stopped, tmp_path):
    table = tmp_path / "guests.csv"
    table.write_text(f"address\nnew@{stopped.customers[0].domain}\n")
    done = stopped.cli("job", "add", table, "--customer", stopped.customers[0].name)
    assert done.stdout == "job: 1\n" and "does not run" in done.stderr and done.stderr.count("\n") == 1
    assert json.loads(stopped.cli("job", "show", "1", "--json").stdout)["state"] == "checking"
    refused(stopped.cli("job", "result", "1", check=False), "has not ended; it is checking")
    stopped.start()
    assert "1 made" in stopped.cli("job", "follow", "1").stdout
    told = [(row["action"], row["actor"]) for row in json.loads(stopped.cli("audit", "list", "--json").stdout)[:3]]
    assert told == [("job.done", f"bellhop uid={os.getuid()}"), ("address.add", f"bellhop uid={os.getuid()}"),
                    ("job.start", f"bellhop uid={os.getuid()}")]


def test_a_result_that_cannot_be_written_is_not_lost(instance, tmp_path):
    table = tmp_path / "guests.csv"
    table.write_text(f"address,invite\nnew@{instance.customers[0].domain},yes\n")
    instance.cli("job", "add", table, "--customer", instance.customers[0].name, "--follow")
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN / "bellhop", "-C", instance.dir, "job", "result", "1"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "it can be fetched still" in done.stderr
    assert "new@" in instance.cli("job", "result", "1").stdout


def test_a_customers_key_sees_its_own_jobs(instance, tmp_path):
    one, two = instance.customers
    path = tmp_path / "guests.csv"
    for customer in one, two:
        path.write_text(f"address\nnew@{customer.domain}\n")
        instance.cli("job", "add", path, "--customer", customer.name, "--follow")
    (tmp_path / "keys").mkdir()
    admin = Remote(instance, tmp_path / "keys", "admin", "--customer", one.name)
    assert [row["customer"] for row in json.loads(admin.cli("job", "list", "--json").stdout)] == [one.name]
    for command in "show", "errors", "cancel", "result", "cards":
        refused(admin.cli("job", command, "2", check=False), "there is no job 2")
    refused(admin.cli("job", "add", path, check=False), "does not let the key")
    refused(admin.cli("job", "add", path, "--customer", two.name, check=False), "no customer")


def test_an_answer_that_gets_lost(instance, tmp_path):
    """An upload makes one job, and a result is had, though the first answer to either is lost."""
    (tmp_path / "keys").mkdir()
    remote = Remote(instance, tmp_path / "keys")
    table = tmp_path / "guests.csv"
    table.write_text(f"address,invite\nnew@{instance.customers[0].domain},yes\n")
    for command in ["add", table, "--customer", instance.customers[0].name], ["result", "1"]:
        cutter = Cutter(instance.ports.http, 1)
        done = run("--server", cutter.url, "--key", remote.key, "job", *command)
        cutter.listening.close()
        sent = [request for request in cutter.requests if not request.startswith(b"GET")]
        assert len(sent) == 2 and len(set(sent)) == 1 and b"Idempotency-Key: " in sent[0]
        remote.cli("job", "follow", "1")
    assert done.stdout.startswith("row,address,") and f"new@{instance.customers[0].domain}" in done.stdout
    assert len(json.loads(remote.cli("job", "list", "--json").stdout)) == 1
