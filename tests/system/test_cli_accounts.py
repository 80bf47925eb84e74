"""Plans, customers, domains and addresses on the command line."""

import ctypes
import ctypes.util
import hashlib
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import time
from datetime import datetime, timezone

import pytest

from bellhop import BIN
from test_cli_usage import refused

HOTEL, GROUP = "Quayside Hotel", "Lighthouse Hostels"
ANNA = "anna@quayside.example"
GIGA = 1 << 30


def listing(instance, *command):
    return json.loads(instance.cli(*command, "--json").stdout)


def found(instance, key, name, *command):
    return [row for row in listing(instance, *command) if row[key] == name]


def hashes(instance):
    """The stored password hash of every mailbox, by its address."""
    database = sqlite3.connect(instance.dir / "accounts.db")
    texts = re.findall(r"\$argon2id\$[\w$+/=,]*", "\n".join(database.iterdump()))
    database.close()
    return texts


def database_text(instance):
    """Everything in the account database, also what is still in its write-ahead log."""
    database = sqlite3.connect(instance.dir / "accounts.db")
    text = "\n".join(database.iterdump())
    database.close()
    return text


def is_recent(text):
    then = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return abs((datetime.now(timezone.utc) - then).total_seconds()) < 600


# --- what is not there, and what is not allowed

@pytest.mark.parametrize("command, words", [
    ("plan set nosuch --domains 2", ["nosuch", "plan list"]),
    ("plan add house", ["house", "plan set"]),
    ("plan add UPPER", ["name"]),
    ("plan add " + "p" * 33, ["32"]),
    ("plan add one --addresses 0", ["address"]),
    ("plan add one --addresses 101", ["100"]),
    ("plan add one --domains 0", ["domain"]),
    ("plan add one --quota-messages 0", ["message"]),
    ("plan add one --quota-bytes 1M --message-bytes 2M", ["message"]),
    ("plan set house --message-bytes 1", ["64K"]),
    ("plan set house --addresses 2", ["house", "Quayside Hotel", "3"]),
    ("customer add Third --plan nosuch", ["nosuch", "plan list"]),
    ("customer add Quayside_Hotel --plan house", ["Quayside Hotel", "already"]),
    ("customer add _Quayside --plan house", ["name"]),
    ("customer show Nobody", ["Nobody", "customer list"]),
    ("customer set Nobody --plan house", ["Nobody", "customer list"]),
    ("customer set Quayside_Hotel --plan nosuch", ["nosuch", "plan list"]),
    ("customer set Quayside_Hotel --plan single", ["single", "1 address,", "has 3"]),
    ("customer set Quayside_Hotel --name Lighthouse_Hostels", ["Lighthouse Hostels", "already"]),
    ("customer suspend Nobody", ["Nobody", "customer list"]),
    ("customer resume Nobody", ["Nobody", "customer list"]),
    ("customer remove Nobody", ["Nobody", "customer list"]),
    ("customer restore Nobody", ["Nobody", "removed list"]),
    ("domain restore quayside.example", ["quayside.example", "removed list"]),
    ("domain restore quayside.example --customer Nobody", ["Nobody", "customer list"]),
    ("address restore frontdesk@quayside.example", ["frontdesk@quayside.example", "removed list"]),
    ("removed purge 7", ["7", "removed list"]),
    ("address suspend nobody@quayside.example", ["nobody@quayside.example", "address list"]),
    ("address set nobody@quayside.example --pop3 no", ["nobody@quayside.example", "address list"]),
    ("address set frontdesk@quayside.example --quota-bytes 6G", ["house", "smaller"]),
    ("address set frontdesk@quayside.example --to frontdesk@quayside.example", ["mailbox"]),
    ("address add all@quayside.example --to frontdesk@lighthouse.example", ["frontdesk@lighthouse"]),
    ("address add all@quayside.example --to nobody@quayside.example", ["nobody@quayside.example"]),
    ("address add all@quayside.example --to frontdesk@quayside.example,", ["no address"]),
    ("address add frontdesk@quayside.example --to frontdesk@quayside.example", ["already"]),
    ("domain add new.example --customer Nobody", ["Nobody", "customer list"]),
    ("domain add lighthouse.example --customer Quayside_Hotel", ["lighthouse.example", "already"]),
    ("domain add LightHouse.EXAMPLE. --customer Quayside_Hotel", ["ouse"]),
    ("domain add localhost --customer Quayside_Hotel", ["localhost", "no domain"]),
    ("domain add a..example --customer Quayside_Hotel", ["a..example", "no domain"]),
    ("domain list --customer Nobody", ["Nobody", "customer list"]),
    ("domain remove nosuch.example", ["nosuch.example", "domain list"]),
    ("address add anna@nosuch.example", ["nosuch.example", "domain add"]),
    ("address add anna", ["anna", "no address"]),
    ("address add an..na@quayside.example", ["no address"]),
    ("address add frontdesk@quayside.example", ["frontdesk@quayside.example", "already"]),
    ("address add FrontDesk@QuaySide.example --invite", ["frontdesk@quayside.example", "already"]),
    ("address add anna@quayside.example --name _Anna", ["name"]),
    ("address list --customer Nobody", ["Nobody", "customer list"]),
    ("address show nobody@quayside.example", ["nobody@quayside.example", "address list"]),
    ("address remove nobody@quayside.example", ["nobody@quayside.example", "address list"]),
    ("address invite nobody@quayside.example", ["nobody@quayside.example", "address list"]),
    ("address passwd nobody@quayside.example", ["nobody@quayside.example", "address list"]),
    ("address passwd nobody@nosuch.example", ["nobody@nosuch.example"]),
])
def test_refusals_say_what_is_wrong_and_change_nothing(template, command, words):
    before = database_text(template)
    arguments = [word.replace("_", " ") for word in command.split()]
    refused(template.cli(*arguments, check=False), *words)
    assert database_text(template) == before


def test_a_refusal_is_one_line_whatever_was_typed(template):
    refused(template.cli("customer", "show", "a\nb\x1b[31m", check=False), '"a?b?[31m"')


# --- plans

def test_the_seeded_plans(template):
    plans = listing(template, "plan", "list")
    assert [(plan["name"], plan["addresses"]) for plan in plans] == [
        ("chain", 100), ("house", 25), ("single", 1)]
    assert set(plans[0]) == {"name", "addresses", "domains", "quota_bytes", "quota_messages",
                             "message_bytes", "retention_days", "poll_seconds", "protection", "sending", "catch_all"}
    assert [plan["sending"] for plan in plans] == [True] * 3


def test_a_plan_is_added_and_changed(stopped):
    stopped.cli("plan", "add", "wing", "--addresses", 7, "--domains", 2, "--quota-bytes", "3G",
                "--quota-messages", 500, "--message-bytes", "20M", "--retention-days", 90,
                "--poll-seconds", 15, "--protection", "refuse", "--sending", "no")
    wing = {"name": "wing", "addresses": 7, "domains": 2, "quota_bytes": 3 * GIGA,
            "quota_messages": 500, "message_bytes": 20 << 20, "retention_days": 90,
            "poll_seconds": 15, "protection": "refuse", "sending": False, "catch_all": False}
    assert found(stopped, "name", "wing", "plan", "list") == [wing]
    stopped.cli("plan", "set", "wing", "--quota-messages", 501, "--protection", "none",
                "--sending", "yes")
    wing.update(quota_messages=501, protection="none", sending=True)
    assert found(stopped, "name", "wing", "plan", "list") == [wing]
    assert len(listing(stopped, "plan", "list")) == 4


def test_changes_of_a_plan_at_once_are_all_kept(stopped):
    options = ["addresses", "domains", "retention-days", "poll-seconds"]
    for number in range(20, 26):
        changes = [subprocess.Popen([BIN / "bellhop", "-C", stopped.dir, "plan", "set", "chain",
                                     f"--{option}", str(number)]) for option in options]
        assert [change.wait(20) for change in changes] == [0] * len(options)
        [plan] = [row for row in listing(stopped, "plan", "list") if row["name"] == "chain"]
        assert [plan[option.replace("-", "_")] for option in options] == [number] * len(options)


def test_a_small_quota_makes_the_largest_message_small(stopped):
    stopped.cli("plan", "add", "small", "--quota-bytes", "100K")
    (plan,) = found(stopped, "name", "small", "plan", "list")
    assert plan["quota_bytes"] == plan["message_bytes"] == 100 << 10


# --- customers and domains

def test_the_life_of_a_customer(stopped):
    stopped.cli("customer", "add", "Café «Zum Löwen»", "--plan", "single")
    show = "customer", "show", "Café «Zum Löwen»"
    customer = listing(stopped, *show)
    assert is_recent(customer.pop("created"))
    assert customer == {"name": "Café «Zum Löwen»", "plan": "single", "suspended": False,
                        "domains": 0, "addresses": 0, "language": "en"}
    stopped.cli("customer", "set", "Café «Zum Löwen»", "--language", "de")
    assert listing(stopped, *show)["language"] == "de"
    assert "LANGUAGE" in stopped.cli("customer", "list").stdout
    assert found(stopped, "name", HOTEL, "customer", "list")[0]["language"] == "en"
    stopped.cli("customer", "suspend", "Café «Zum Löwen»")
    stopped.cli("customer", "suspend", "Café «Zum Löwen»")
    assert listing(stopped, *show)["suspended"] is True
    assert found(stopped, "name", HOTEL, "customer", "list")[0]["suspended"] is False
    stopped.cli("customer", "resume", "Café «Zum Löwen»")
    assert listing(stopped, *show)["suspended"] is False
    stopped.cli("customer", "set", "Café «Zum Löwen»", "--plan", "house", "--name", "Zum Bären")
    assert listing(stopped, "customer", "show", "Zum Bären")["plan"] == "house"
    refused(stopped.cli(*show, check=False))
    stopped.cli("customer", "remove", "Zum Bären")
    assert [row["name"] for row in listing(stopped, "customer", "list")] == [GROUP, HOTEL]


def test_new_customers_have_the_language_of_the_setting(stopped):
    stopped.configure(language="pt")
    stopped.cli("customer", "add", "Um", "--plan", "single")
    stopped.cli("customer", "add", "Two", "--plan", "single", "--language", "en")
    refused(stopped.cli("customer", "add", "Drei", "--plan", "none", "--language", "de",
                        check=False))
    assert [(row["name"], row["language"]) for row in listing(stopped, "customer", "list")
            if row["plan"] == "single"] == [("Two", "en"), ("Um", "pt")]


def test_name_and_plan_change_together_or_not_at_all(stopped):
    refused(stopped.cli("customer", "set", HOTEL, "--plan", "chain", "--name", GROUP, check=False))
    assert listing(stopped, "customer", "show", HOTEL)["plan"] == "house"


def test_a_removed_customer_takes_only_its_own_along(stopped):
    stopped.cli("customer", "remove", HOTEL)
    assert [row["domain"] for row in listing(stopped, "domain", "list")] == ["lighthouse.example"]
    assert {row["customer"] for row in listing(stopped, "address", "list")} == {GROUP}
    assert len(listing(stopped, "address", "list")) == 3


def test_domains_by_customer(stopped):
    stopped.cli("domain", "add", "Bücher.Example", "--customer", HOTEL)
    every = listing(stopped, "domain", "list")
    assert [row["domain"] for row in every] == ["lighthouse.example", "quayside.example",
                                                "xn--bcher-kva.example"]
    hotel = listing(stopped, "domain", "list", "--customer", HOTEL)
    assert hotel == [row for row in every if row["customer"] == HOTEL]
    assert [row["addresses"] for row in hotel] == [3, 0]
    assert all(is_recent(row["created"]) for row in every)
    stopped.cli("domain", "remove", "bücher.example")
    assert len(listing(stopped, "domain", "list")) == 2


def test_the_plan_limits_domains(stopped):
    for number in range(2):
        stopped.cli("domain", "add", f"d{number}.example", "--customer", HOTEL)
    refused(stopped.cli("domain", "add", "d2.example", "--customer", HOTEL, check=False),
            "house", "3 domains", HOTEL)
    stopped.cli("domain", "add", "d2.example", "--customer", GROUP)


def test_the_plan_limits_addresses(stopped):
    stopped.cli("plan", "add", "four", "--addresses", 4)
    stopped.cli("customer", "set", HOTEL, "--plan", "four")
    stopped.cli("address", "add", ANNA, "--invite")
    refused(stopped.cli("address", "add", "bert@quayside.example", "--invite", check=False),
            "four", "4 addresses", HOTEL, "customer set")
    stopped.cli("address", "add", "bert@lighthouse.example", "--invite")
    stopped.cli("address", "remove", ANNA)
    stopped.cli("address", "add", "bert@quayside.example", "--invite")


# --- listings

@pytest.mark.parametrize("command", ["customer list", "domain list", "address list"])
def test_an_empty_listing(stopped, command):
    for name in HOTEL, GROUP:
        stopped.cli("customer", "remove", name)
    assert json.loads(stopped.cli(*command.split(), "--json").stdout) == []
    plain = stopped.cli(*command.split())
    assert len(plain.stdout.splitlines()) == 1 and plain.stdout.isascii()
    assert plain.stderr == ""


def test_plain_listings_are_aligned(stopped):
    stopped.cli("customer", "add", "Zürich Ünder Größe", "--plan", "single")
    lines = stopped.cli("customer", "list").stdout.splitlines()
    assert len(lines) == 4
    column = lines[0].index("PLAN")
    assert [line[column:].split()[0] for line in lines] == ["PLAN", "chain", "house", "single"]
    assert [line[column - 2:column] for line in lines] == ["  "] * 4
    assert not any(line.endswith(" ") for line in lines)


# --- addresses

def test_address_show(stopped):
    stopped.cli("address", "add", "Anna@QuaySide.Example", "--password-stdin", "--name",
                "Änna Berg", input="correct horse\n")
    done = stopped.cli("address", "show", ANNA, "--json")
    anna = json.loads(done.stdout)
    assert done.stderr == "" and is_recent(anna.pop("created"))
    assert anna == {
        "address": ANNA, "customer": HOTEL, "plan": "house", "kind": "mailbox",
        "name": "Änna Berg", "state": "active", "suspended": False, "password": True,
        "invited_until": None, "targets": None, "quota_bytes": 5 * GIGA, "quota_messages": 50000,
        "used_bytes": None, "used_messages": None, "language": None, "pop3": True, "smtp": True}
    plain = stopped.cli("address", "show", ANNA).stdout
    assert "unknown, the service is not running" in plain
    assert re.search(r"(?m)^used at most +5G$", plain)
    assert "argon2" not in plain + done.stdout


def test_how_full_a_mailbox_is(instance):
    full, empty = (customer.accounts[0].address for customer in instance.customers)
    for _ in range(2):
        assert [reply.code for reply in instance.deliver([full], b"Subject: one\r\n\r\nText\r\n")] \
            == [250]
    rows = {row["address"]: row for row in listing(instance, "address", "list")}
    assert rows[full]["used_messages"] == 2 and rows[full]["used_bytes"] > 40
    assert rows[empty]["used_messages"] == rows[empty]["used_bytes"] == 0
    assert listing(instance, "address", "show", full) == rows[full]
    plain = instance.cli("address", "list")
    assert "unknown" not in plain.stdout and plain.stderr == ""


def test_address_list(stopped):
    rows = listing(stopped, "address", "list")
    assert [row["address"] for row in rows] == [
        account.address for customer in sorted(stopped.customers, key=lambda one: one.domain)
        for account in sorted(customer.accounts, key=lambda one: one.address)]
    assert listing(stopped, "address", "list", "--customer", GROUP) == [
        row for row in rows if row["customer"] == GROUP]
    stopped.cli("customer", "suspend", GROUP)
    states = {row["customer"]: row["state"] for row in listing(stopped, "address", "list")}
    assert states == {HOTEL: "active", GROUP: "customer suspended"}
    plain = stopped.cli("address", "list")
    assert len(plain.stdout.splitlines()) == 7 and "unknown" in plain.stdout
    assert "not running" in plain.stderr
    table = stopped.cli("address", "list", "--json")
    assert json.loads(table.stdout)[0]["used_messages"] is None and table.stderr == ""


def test_a_removed_address_is_gone_and_can_be_made_again(stopped):
    for _ in range(2):
        stopped.cli("address", "add", ANNA, "--invite")
        stopped.cli("address", "remove", ANNA)
        refused(stopped.cli("address", "show", ANNA, check=False), ANNA)
    assert len(listing(stopped, "address", "list")) == 6


# --- passwords

GOOD = ["8 signs!", "a long one " * 22 + "of 248", "with spaces ", " leading", "pässwörd€🐌", "ends in \\n", "a,b\"c'd;e"]

BAD = [("", "short"), ("1234567", "short"), ("x" * 249, "248"), ("ü" * 7, "short"),
       ("\u00ad" * 8 + "shorter", "short"), ("\ufdfa" * 8, "248"), ("x" * 516, "248"),
       ("x" * 100000, "long"), ("tab\tinside it", "control"), ("new\nline inside", "control"),
       ("two newlines\n\n", "control"), ("nul\0inside it", "control"), ("delete\x7finside", "control"),
       ("next\x85line in it", "control"), ("return\r in it", "control"), ("Welcome2024!", "common"),
       ("ｐａｓｓｗｏｒｄ", "common"), ("98765432", "alphabet"), ("ababababab", "repeats"),
       ("Quayside-1", "address"), ("quaysidehotel", "customer")]


def verifies(text, password):
    """Whether this is the hash of the password: asked of libsodium itself."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    return sodium.crypto_pwhash_str_verify(text.encode(), password,
                                           ctypes.c_ulonglong(len(password))) == 0


def new_hash(instance, change):
    """The one hash that is there after change() and was not before."""
    before = set(hashes(instance))
    change()
    (new,) = set(hashes(instance)) - before
    return new


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["none", "lf", "crlf"])
def test_a_password_from_standard_input_loses_one_newline(stopped, end):
    def set_password():
        done = subprocess.run([BIN / "bellhop", "-C", stopped.dir, "address", "passwd",
                               "frontdesk@quayside.example", "--password-stdin"],
                              input=(password + end).encode(), capture_output=True, timeout=20)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    for password in GOOD:
        assert verifies(new_hash(stopped, set_password), password.encode()), password


def test_an_address_is_added_with_a_password_from_standard_input(stopped):
    text = new_hash(stopped, lambda: stopped.cli("address", "add", ANNA, "--password-stdin",
                                                 input="correct horse\n"))
    assert verifies(text, b"correct horse")


@pytest.mark.parametrize("password, word", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("command", ["add", "passwd"])
def test_a_bad_password_is_refused_without_showing_it(template, command, password, word):
    address = ANNA if command == "add" else "frontdesk@quayside.example"
    before = database_text(template)
    done = template.cli("address", command, address, "--password-stdin", input=password,
                        check=False)
    refused(done, "password", word)
    assert len(password) < 7 or password[:6] not in done.stderr
    assert database_text(template) == before


@pytest.mark.parametrize("octets", [b"latin-1 \xe9\xe8\xe7", b"overlong \xc0\xaf\xc0\xaf",
                                    b"surrogate \xed\xa0\x80", b"cut short \xe2\x82"])
def test_a_password_that_is_not_utf8_is_refused(template, octets):
    done = subprocess.run([BIN / "bellhop", "-C", template.dir, "address", "passwd",
                           "frontdesk@quayside.example", "--password-stdin"], input=octets,
                          capture_output=True, timeout=20)
    assert done.returncode == 1 and b"UTF-8" in done.stderr


@pytest.mark.parametrize("command", ["add", "passwd"])
def test_a_script_without_a_password_gets_one(stopped, command):
    if command == "passwd":
        stopped.cli("address", "add", ANNA, "--invite")
    shown = []
    text = new_hash(stopped, lambda: shown.append(stopped.cli("address", command, ANNA).stdout))
    match = re.fullmatch(r"password: (([a-km-np-z2-9]{4}-){3}[a-km-np-z2-9]{4})\n", shown[0])
    assert verifies(text, match.group(1).encode())
    assert match.group(1) not in database_text(stopped)


def test_generated_passwords_differ(stopped):
    shown = {stopped.cli("address", "passwd", "frontdesk@quayside.example").stdout
             for _ in range(5)}
    assert len(shown) == 5


def test_the_configured_cost_is_used(stopped):
    stopped.configure(hash_operations=3, hash_memory="1M")
    text = new_hash(stopped, lambda: stopped.cli("address", "add", ANNA))
    assert text.startswith("$argon2id$v=19$m=1024,t=3,p=1$")


def test_a_new_password_changes_that_of_one_address(stopped):
    before = hashes(stopped)
    text = new_hash(stopped, lambda: stopped.cli(
        "address", "passwd", "frontdesk@quayside.example", "--password-stdin", input="new secret\n"))
    assert len(set(before) & set(hashes(stopped))) == len(before) - 1
    assert verifies(text, b"new secret")


# --- at a terminal

def at_terminal(instance, *command, answers=(), interrupt=False):
    """Runs bellhop on a terminal of its own. Returns exit status and everything shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(BIN / "bellhop", ["bellhop", "-C", str(instance.dir), *command])
    shown = b""
    waiting = list(answers)
    try:
        while True:
            try:
                got = os.read(terminal, 4096)
            except OSError:  # the other side is closed
                break
            if not got:
                break
            shown += got
            if shown.endswith(b": ") and interrupt:
                os.write(terminal, b"\x03")
                interrupt = False
            elif shown.endswith(b": ") and waiting:
                os.write(terminal, waiting.pop(0).encode() + b"\n")
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


@pytest.mark.parametrize("command", ["add", "passwd"])
def test_a_person_is_asked_twice_without_echo(stopped, command):
    if command == "passwd":
        stopped.cli("address", "add", ANNA, "--invite")

    def ask():
        status, shown = at_terminal(stopped, "address", command, ANNA,
                                    answers=["my own wörds"] * 2)
        assert status == 0 and "my own" not in shown
        assert shown.count(": ") == 2

    assert verifies(new_hash(stopped, ask), "my own wörds".encode())


@pytest.mark.parametrize("answers, word", [
    (["one password", "another password"], "differ"),
    (["one password", "one password "], "differ"),
    (["short", "short"], "short"),
    (["x" * 600, "x" * 600], "no password"),
])
def test_what_a_person_mistypes_is_refused(stopped, answers, word):
    status, shown = at_terminal(stopped, "address", "add", ANNA, answers=answers)
    assert status == 1 and word in shown
    refused(stopped.cli("address", "show", ANNA, check=False))


def test_an_interrupted_question_changes_nothing_and_restores_the_terminal(stopped):
    status, shown = at_terminal(stopped, "address", "add", ANNA, interrupt=True)
    assert status == 1 and "nothing was changed" in shown
    refused(stopped.cli("address", "show", ANNA, check=False))
    script = 'bellhop="$0"; "$bellhop" "$@"; stty -a'
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", script, str(BIN / "bellhop"), "-C", str(stopped.dir),
                             "address", "add", ANNA])
    shown = b""
    sent = False
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
        if not sent and shown.endswith(b"Password: "):
            # Only to bellhop: the terminal's own Ctrl-C would end the shell as well.
            (child,) = [int(word) for word in
                        open(f"/proc/{pid}/task/{pid}/children").read().split()]
            os.kill(child, signal.SIGTERM)
            sent = True
    os.close(terminal)
    os.waitpid(pid, 0)
    assert re.search(rb"(?<!-)\becho\b", shown) and b"-echo " not in shown


# --- invitations

def test_an_invitation(stopped):
    done = stopped.cli("address", "add", ANNA, "--invite")
    token, until = re.fullmatch(r"invitation: ([\w-]{22})\nvalid until: (\S+)\n",
                                done.stdout).groups()
    week = datetime.strptime(until, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert abs(week.timestamp() - time.time() - 7 * 86400) < 600
    anna = listing(stopped, "address", "show", ANNA)
    assert anna["state"] == "invited" and anna["password"] is False
    assert anna["invited_until"] == until
    assert token not in database_text(stopped)
    stopped.cli("address", "passwd", ANNA, "--password-stdin", input="chosen by me")
    anna = listing(stopped, "address", "show", ANNA)
    assert anna["state"] == "active" and anna["password"] is True
    assert anna["invited_until"] is None


def test_a_password_stays_until_its_reset_is_taken(stopped):
    """What a page does with the token is tested in tests/unit/test_db_invitation.c."""
    desk, other = "frontdesk@quayside.example", "frontdesk@lighthouse.example"
    before = hashes(stopped)
    done = stopped.cli("address", "invite", "FrontDesk@Quayside.example")
    token, until = re.fullmatch(r"invitation: ([\w-]{22})\nvalid until: (\S+)\n",
                                done.stdout).groups()
    shown = listing(stopped, "address", "show", desk)
    assert shown["invited_until"] == until and shown["password"] and shown["state"] == "active"
    assert listing(stopped, "address", "show", other)["invited_until"] is None
    assert hashes(stopped) == before and token not in database_text(stopped)
    assert stopped.cli("address", "invite", desk).stdout.split()[1] != token


def test_an_invitation_comes_as_a_link_where_pages_have_an_address(stopped):
    stopped.configure(page_url="https://mail.quayside.example/pages/")
    done = stopped.cli("address", "add", ANNA, "--invite")
    token, link = re.fullmatch(r"invitation: ([\w-]{22})\nlink: (\S+)\nvalid until: \S+\n", done.stdout).groups()
    assert link == f"https://mail.quayside.example/pages/invitation/{token}"


def test_the_stored_digest_is_that_of_the_token(stopped):
    done = stopped.cli("address", "add", ANNA, "--invite")
    token = done.stdout.split()[1]
    digest = hashlib.blake2b(token.encode(), digest_size=32).hexdigest()
    assert digest.upper() in database_text(stopped).upper()


# --- who did it

def test_changes_are_in_the_audit_with_the_one_who_made_them(stopped):
    stopped.cli("address", "add", ANNA, "--invite")
    text = database_text(stopped)
    assert f"bellhop uid={os.getuid()}" in text
