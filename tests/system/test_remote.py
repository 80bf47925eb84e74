"""bellhop --server: the commands about accounts over the HTTP API of a server, as they are on its machine."""

import difflib
import json
import os
import re
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import closing

import pytest

from api import UNKNOWN, made_key
from authority import Authority
from bellhop import BIN, Instance, run, wait_until
from https import Https
from test_throttle import guess

ONE, TWO = "Quayside Hotel", "Lighthouse Hostels"
GONE = "bh_LJrsh-yrmNSKsfxkdQszEerOfRbihBzm0RCEUuqaroIZJm01"  # of an instance that is no more
ANNA = "frontdesk@quayside.example"
PASSWORD = "seven sesame seeds"


def key_file(folder, key, mode=0o600):
    path = folder / f"key-{len(list(folder.iterdir()))}"
    path.write_text(key + "\n")
    path.chmod(mode)
    return path


class Remote:
    """bellhop --server of an instance with a key's file."""

    def __init__(self, instance, folder, name="remote", *options):
        self.url = f"http://127.0.0.1:{instance.ports.http}"
        self.key = key_file(folder, made_key(instance, name, *options))

    def cli(self, *args, input=None, check=True):
        return run("--server", self.url, "--key", self.key, *args, input=input, check=check)


# --- the same commands here and there

# Each with what it reads, if anything. Names of plans and customers are those of the fixtures.
COMMANDS = [
    # plans
    (["plan", "list"],), (["plan", "list", "--json"],),
    (["plan", "add", "inn", "--addresses", "4", "--domains", "1", "--quota-bytes", "64M", "--protection", "mark",
      "--catch-all", "yes"],),
    (["plan", "add", "inn"],), (["plan", "add", "Inn"],), (["plan", "add", "tiny", "--quota-bytes", "1M"],),
    (["plan", "add", "bad", "--addresses", "1000"],), (["plan", "add", "bad", "--addresses", "many"],),
    (["plan", "set", "inn", "--poll-seconds", "30", "--sending", "no"],), (["plan", "set", "none", "--domains", "2"],),
    (["plan", "set", "inn", "--message-bytes", "1G"],), (["plan", "list", "--json"],),
    # customers
    (["customer", "add", "Zum Löwen", "--plan", "inn", "--language", "de"],), (["customer", "add", "Plain", "--plan", "inn"],),
    (["customer", "add", "Zum Löwen", "--plan", "inn"],), (["customer", "add", "x", "--plan", "none"],),
    (["customer", "add", " x", "--plan", "inn"],), (["customer", "add", "x"],),
    (["customer", "list"],), (["customer", "show", "Zum Löwen"],), (["customer", "show", "Plain", "--json"],),
    (["customer", "show", "nobody"],), (["customer", "set", "Plain", "--name", "Plain & Co", "--language", "fr"],),
    (["customer", "set", "Plain & Co", "--name", ONE],), (["customer", "set", "Plain & Co", "--plan", "none"],),
    (["customer", "set", ONE, "--plan", "tiny"],), (["customer", "set", ONE, "--plan", "tiny", "--preview"],),
    (["customer", "set", ONE, "--plan", "tiny", "--preview", "--json"],),
    (["customer", "set", ONE, "--plan", "none", "--preview"],),
    (["customer", "suspend", "Plain & Co", "--mail", "defer"],), (["customer", "show", "Plain & Co"],),
    (["customer", "resume", "Plain & Co"],), (["customer", "suspend", "nobody"],),
    # domains
    (["domain", "add", "löwen.example", "--customer", "Zum Löwen"],),
    (["domain", "add", "löwen.example", "--customer", "Plain & Co"],),
    (["domain", "add", "zwei.example", "--customer", "Zum Löwen"],), (["domain", "add", "x", "--customer", ONE],),
    (["domain", "add", "drei.example", "--customer", "nobody"],), (["domain", "add", "drei.example"],),
    (["domain", "list"],), (["domain", "list", "--customer", "Zum Löwen", "--json"],),
    (["domain", "list", "--customer", "nobody"],),
    # addresses
    (["address", "add", "wirt@löwen.example", "--name", "Der Wirt", "--password-stdin"], PASSWORD + "\n"),
    (["address", "add", "wirt@löwen.example", "--password-stdin"], PASSWORD + "\n"),
    (["address", "add", "x@löwen.example", "--password-stdin"], "short\n"),
    (["address", "add", "x@löwen.example", "--password-stdin"], "password1\n"),
    (["address", "add", "x@nowhere.example", "--invite"],), (["address", "add", "no address"],),
    (["address", "add", "gast@löwen.example", "--invite"],), (["address", "add", "drawn@löwen.example"],),
    (["address", "add", "info@löwen.example", "--to", "wirt@löwen.example,gast@löwen.example"],),
    (["address", "add", "more@löwen.example"],), (["address", "add", "a2@quayside.example", "--to", "x@quayside.example"],),
    (["address", "add", "a3@quayside.example", "--to", "gast@löwen.example"],),
    (["address", "passwd", "gast@löwen.example", "--hash-stdin"],
     "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/\n"),
    (["address", "passwd", "gast@löwen.example", "--hash-stdin"], "nonsense\n"),
    (["address", "passwd", ANNA],), (["address", "passwd", ANNA, "--password-stdin"], "frontdesk1\n"),
    (["address", "passwd", "info@löwen.example", "--password-stdin"], PASSWORD + "\n"),
    (["address", "set", ANNA, "--name", "Anna", "--quota-bytes", "1M", "--language", "it", "--smtp", "no"],),
    (["address", "set", ANNA, "--pop3", "no"],), (["address", "set", ANNA, "--quota-bytes", "plan", "--language", "customer"],),
    (["address", "set", ANNA, "--quota-bytes", "5000G"],), (["address", "set", "info@löwen.example", "--name", "x"],),
    (["address", "set", "info@löwen.example", "--to", "drawn@löwen.example"],),
    (["address", "set", "info@löwen.example", "--to", ANNA],), (["address", "set", ANNA, "--to", ANNA],),
    (["address", "invite", "gast@löwen.example"],), (["address", "invite", "nobody@löwen.example"],),
    (["address", "suspend", ANNA, "--mail", "refuse"],), (["address", "list"],), (["address", "show", ANNA],),
    (["address", "resume", ANNA],), (["address", "show", "info@löwen.example"],), (["address", "show", ANNA, "--json"],),
    (["address", "list", "--customer", "Zum Löwen", "--json"],), (["address", "show", "nobody@löwen.example"],),
    (["domain", "set", "löwen.example", "--catch-all", "info@löwen.example"],),
    (["domain", "set", "löwen.example", "--catch-all", ANNA],), (["domain", "set", "quayside.example", "--catch-all", ANNA],),
    (["domain", "set", "none.example", "--catch-all", "none"],), (["domain", "list"],),
    (["domain", "set", "löwen.example", "--catch-all", "none"],),
    # statistics
    (["statistics"],), (["statistics", "--json"],), (["statistics", "--customer", "Zum Löwen"],),
    (["statistics", "--customer", ONE, "--json"],), (["statistics", "--customer", "nobody"],), (["statistics", ONE],),
    # app passwords
    (["app-password", "add", ANNA, "--name", "phone & co", "--pop3", "--expires", "7"],),
    (["app-password", "add", ANNA, "--name", "tablet", "--json"],), (["app-password", "add", ANNA, "--name", "tablet"],),
    (["app-password", "add", "info@löwen.example", "--name", "x"],), (["app-password", "list", ANNA],),
    (["app-password", "list", ANNA, "--json"],), (["app-password", "remove", ANNA, "phone & co"],),
    (["app-password", "remove", ANNA, "phone & co"],), (["app-password", "list", ANNA],),
    # API keys
    (["api-key", "add", "panel", "--customer", ONE, "--network", "192.0.2.0/24", "--network", "2001:db8::1", "--rate", "5"],),
    (["api-key", "add", "panel", "--customer", ONE],), (["api-key", "add", "dom", "--customer", ONE, "--domain", "quayside.example"],),
    (["api-key", "add", "dom2", "--customer", ONE, "--domain", "lighthouse.example"],),
    (["api-key", "add", "own", "--address", ANNA, "--json", "--expires", "30"],),
    (["api-key", "add", "own2", "--address", "info@löwen.example"],), (["api-key", "add", "look", "--role", "operator-read"],),
    (["api-key", "list", "--customer", ONE],), (["api-key", "list", "--customer", ONE, "--json"],),
    (["api-key", "set", "panel", "--customer", ONE, "--role", "helpdesk", "--network", "none", "--rate", "none", "--name", "desk"],),
    (["api-key", "set", "dom", "--customer", ONE, "--name", "desk"],), (["api-key", "set", "look", "--role", "admin"],),
    (["api-key", "set", "desk", "--rate", "1"],), (["api-key", "list", "--customer", ONE],),
    (["api-key", "remove", "desk", "--customer", ONE],), (["api-key", "remove", "desk", "--customer", ONE],),
    # people
    (["admin-user", "add", "berta", "--name", "Berta B."],), (["admin-user", "add", "Berta"],),
    (["admin-user", "add", "desk", "--customer", ONE, "--role", "helpdesk"],), (["admin-user", "add", "desk", "--customer", ONE],),
    (["admin-user", "add", "desk", "--customer", "nobody"],), (["admin-user", "list"],),
    (["admin-user", "list", "--customer", ONE, "--json"],), (["admin-user", "list", "--customer", TWO],),
    (["admin-user", "set", "berta", "--name", "Berta", "--role", "operator-read", "--no-second-factor"],),
    (["admin-user", "set", "berta", "--role", "admin"],), (["admin-user", "set", "desk@1", "--suspend"],),
    (["admin-user", "set", "desk@1", "--suspend"],), (["admin-user", "set", "nobody", "--resume"],),
    (["admin-user", "passwd", "berta", "--password-stdin"], PASSWORD + "\n"), (["admin-user", "passwd", "berta", "--password-stdin"], "berta\n"),
    (["admin-user", "passwd", "desk@1", "--password-stdin"], "Quayside1!\n"), (["admin-user", "passwd", "desk@1", "--password-stdin"], PASSWORD),
    (["admin-user", "invite", "berta"],), (["admin-user", "invite", "no body"],), (["admin-user", "list", "--json"],),
    (["admin-user", "remove", "desk@1"],), (["admin-user", "remove", "desk@1"],), (["admin-user", "remove", "berta"],),
    # issuers of tokens
    (["token-issuer", "add", "https://login.example/a b", "--customer", ONE, "--audience", "mail"],),
    (["token-issuer", "add", "https://login.example/a", "--customer", ONE, "--audience", "mail"],),
    (["token-issuer", "add", "https://login.example/a", "--customer", ONE, "--audience", "mail"],),
    (["token-issuer", "remove", "https://login.example/b", "--customer", ONE],),
    (["token-issuer", "remove", "https://login.example/a", "--customer", ONE],), (["token-issuer", "list"],),
    # networks that are trusted
    (["trusted-network", "add", "192.0.2.0/24", "--customer", ONE],), (["trusted-network", "add", "192.0.2.0/24", "--customer", ONE],),
    (["trusted-network", "add", "10.0.0.0/4", "--customer", ONE],), (["trusted-network", "add", "2001:db8::/48", "--customer", TWO],),
    (["trusted-network", "list"],), (["trusted-network", "list", "--customer", TWO, "--json"],),
    (["trusted-network", "remove", "192.0.2.0/24", "--customer", ONE],), (["trusted-network", "remove", "192.0.2.0/24", "--customer", ONE],),
    # webhooks, told of what does not happen here
    (["webhook", "add", "http://192.0.2.1/a", "--customer", ONE, "--events", "plan.remove,login.blocked"],),
    (["webhook", "add", "http://192.0.2.1/a", "--customer", ONE],), (["webhook", "add", "https://192.0.2.1/b", "--json", "--events", "login.*"],),
    (["webhook", "add", "https://192.0.2.1/c", "--events", "login.*,alias.ad"],), (["webhook", "set", "1", "--events", "a"],),
    (["webhook", "add", "ftp://192.0.2.1"],), (["webhook", "add", "http://192.0.2.1/c", "--customer", "nobody"],),
    (["webhook", "disable", "1"],), (["webhook", "disable", "2"],), (["webhook", "list"],), (["webhook", "list", "--customer", ONE, "--json"],),
    (["webhook", "set", "1", "--url", "http://192.0.2.1/d", "--events", "login.blocked"],), (["webhook", "set", "9", "--events", "*"],),
    (["webhook", "secret", "1"],), (["webhook", "secret", "1", "--at-once", "--json"],), (["webhook", "replay", "1", "--from", "1h"],),
    (["webhook", "replay", "2", "--from", "7"],), (["webhook", "disable", "2"],), (["webhook", "remove", "1"],), (["webhook", "remove", "1"],),
    (["webhook", "list", "--json"],), (["webhook", "remove", "2"],),
    # sessions
    (["session", "list"],), (["session", "list", ANNA, "--json"],), (["session", "end", ANNA],),
    (["session", "end", "--customer", ONE],), (["session", "list", "info@löwen.example"],),
    # welcome cards
    (["address", "add", "card@quayside.example"],), (["address", "cards", "--customer", ONE],),
    (["address", "cards", "--customer", ONE, "card@quayside.example"],), (["address", "cards", "--customer", "nobody"],),
    (["address", "cards", "--customer", ONE, "--domain", "lighthouse.example"],), (["address", "cards", "--customer", ONE, "--domain", "x y"],),
    (["address", "cards", "--customer", ONE, "--domain", "löwen.example", "card@quayside.example"],),
    (["address", "cards", "--customer", ONE, "wirt@löwen.example"],), (["address", "cards", "--customer", ONE, "nobody@quayside.example"],),
    (["address", "cards", "--customer", "Zum Löwen", "info@löwen.example"],), (["address", "invite", "card@quayside.example"],),
    (["address", "add", "new@quayside.example", "--invite"],), (["address", "cards", "--customer", ONE, "--domain", "quayside.example"],),
    # what is delayed
    (["auth", "blocks"],), (["auth", "blocks", "--customer", ONE, "--json"],), (["auth", "lift", "192.0.2.0/33"],),
    (["auth", "lift", "198.51.100.1"],), (["auth", "lift", ANNA],), (["auth", "lift", "info@löwen.example"],),
    (["auth", "lift", "nobody@löwen.example"],), (["auth", "lift", "nobody"],), (["auth", "lift", "anna@1"],),
    (["auth", "lift", "no body"],),
    # bulk uploads
    (["job", "add", "GUESTS", "--customer", ONE, "--dry-run", "--follow"],), (["job", "add", "GUESTS", "--follow", "--all-or-nothing"],),
    (["job", "add", "GUESTS", "--customer", "nobody"],), (["job", "add", "none.csv"],), (["job", "list"],), (["job", "list", "--json"],),
    (["job", "list", "--customer", ONE],), (["job", "show", "1"],), (["job", "show", "2", "--json"],), (["job", "show", "3"],),
    (["job", "errors", "1"],), (["job", "errors", "2", "--json"],), (["job", "follow", "1"],), (["job", "cancel", "1"],),
    (["job", "add", "GUESTS", "--customer", ONE, "--follow"],), (["job", "cards", "3"],), (["job", "result", "3"],),
    (["job", "result", "3"],), (["job", "cards", "3"],), (["job", "result", "1"],), (["job", "result", "9"],),
    # removed, and back
    (["address", "remove", "drawn@löwen.example"],), (["address", "remove", "drawn@löwen.example"],),
    (["address", "remove", "gast@löwen.example"],), (["removed", "list"],), (["removed", "list", "--json"],),
    (["address", "restore", "gast@löwen.example"],), (["address", "restore", "gast@löwen.example"],),
    (["removed", "purge", "1"],), (["removed", "purge", "99"],), (["removed", "list", "--customer", "Zum Löwen"],),
    (["domain", "remove", "löwen.example"],), (["domain", "restore", "löwen.example", "--customer", ONE],),
    (["domain", "restore", "löwen.example"],), (["customer", "remove", "Zum Löwen"],),
    (["domain", "restore", "löwen.example"],), (["customer", "restore", "Zum Löwen"],),
    (["customer", "restore", "nobody"],), (["address", "list"],), (["customer", "list", "--json"],),
    (["address", "remove", "gast@löwen.example", "--now"],), (["domain", "remove", "löwen.example", "--now"],),
    (["removed", "list"],), (["customer", "remove", "Plain & Co", "--now"],), (["customer", "list"],),
    # the records
    (["audit", "list", "--customer", "Zum Löwen"],), (["audit", "list", "--json"],), (["audit", "list", "--since", "1h"],),
    (["audit", "list", "--since", "2999-01-01"],), (["audit", "list", "--customer", "nobody"],),
    (["auth", "events", "--customer", ONE],), (["auth", "events", ANNA, "--json"],), (["auth", "events", "--since", "1h"],),
    # wrong usage
    (["plan", "lost"],), (["customer", "list", "--all"],), (["address", "show"],), (["help", "plan", "add"],),
]


def masked(text):
    """Without what differs from run to run, and who has changed what."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"bh_[\w-]{48}", "KEY", text)
    text = re.sub(r"bhw_[0-9a-f]{64}", "SECRET", text)
    text = re.sub(r'"cursor": \d+|(?<= )\d{16}(?= )', "CURSOR", text)
    text = re.sub(r"([a-z0-9]{4}-){6}[a-z0-9]{4}", "APP", text)
    text = re.sub(r"(?m)^(password|invitation|link): \S+$", r"\1: SECRET", text)
    text = re.sub(r"https://mail.example.net/pages/\S+?(?=[<\s])", "LINK", text)
    text = re.sub(r"M\d+ \d+h\d+v1H\d+z", "", text)  # of a code
    text = re.sub(r"bellhop uid=\d+|api-key remote", "WHO", text)
    text = re.sub(r'"(remote|request)": ("[^"]*"|null)', r'"\1": FROM', text)
    text = re.sub(r"(WHO +)(127\.0\.0\.1|-)", r"\1FROM", text)
    text = re.sub(r'"(expires|changed|created|disabled|old_until|begun|ended)": \d+', r'"\1": SECONDS', text)
    lines = [re.sub(" +", " ", line) for line in text.splitlines() if "operator-own" not in line]
    return "\n".join(lines)


def masked_json(args, text):
    """What is changed by itself meanwhile, an issuer whose keys are fetched, is left out, and times that the same second has."""
    if args[:2] != ["audit", "list"] or not text.startswith("["):
        return text
    rows = json.loads(text)
    by_itself = {"token_issuer": ("due", "tried", "failures", "failure"), "invitation": ("expires", "created")}
    for change in (change for row in rows for change in row["changes"]):
        for name in by_itself.get(change["of"], ()):
            for side in "before", "after":
                change.get(side, {}).pop(name, None)
    return json.dumps(rows, indent=1)


def test_commands_are_the_same_here_and_there(template, tmp_path):
    here, there = Instance(tmp_path / "here", template), Instance(tmp_path / "there", template)
    try:
        for side in here, there:
            side.configure(page_url="https://mail.example.net/pages/", hostname="mail.example.net", pop3_server="pop.example.net:995")
            side.start()
        made_key(here, "remote")
        remote = Remote(there, tmp_path)
        guests = tmp_path / "guests.csv"
        guests.write_text("address,name,generate\njob@quayside.example,Job,\nno address,,\nx@lighthouse.example,,\n")
        for args, *input in COMMANDS:
            args = [str(guests) if arg == "GUESTS" else arg for arg in args]
            local, distant = (side.cli(*args, input=input[0] if input else None, check=False)
                              for side in (here, remote))
            sides = [f"{done.returncode}\n{masked(masked_json(args, done.stdout))}\n{masked(done.stderr)}"
                     for done in (local, distant)]
            differs = "\n".join(difflib.unified_diff(*(side.splitlines() for side in sides), "here", "there", lineterm=""))
            assert not differs, f"bellhop {' '.join(args)}\n{differs}"
    finally:
        here.finish()
        there.finish()


SHA = "{SHA512-CRYPT}$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
TABLES = [
    "address,password,name\na@quayside.example,pass word,Anna\nb@quayside.example,,\nc@quayside.example,Welcome2024!,\n",
    f"address;hash;name\nd@quayside.example;{SHA};Dora\n", "address\n",
    "address,password\nnew@quayside.example,\na@quayside.example,\nx@lighthouse.example,\ny@nobody.example,\n",
    "address,password\nnew@quayside.example,short\nno address,\nnew@quayside.example,\n\na@quayside.example,12345678\n",
    "address,age\na@quayside.example,7\n", "",
    "address\n" + "".join(f"guest{number}@quayside.example\n" for number in range(30)),
]


def test_a_table_is_imported_the_same_here_and_there(template, tmp_path):
    here, there = Instance(tmp_path / "here", template), Instance(tmp_path / "there", template)
    table = tmp_path / "guests.csv"
    try:
        for side in here, there:
            side.start()
        remote = Remote(there, tmp_path)
        for content in TABLES:
            table.write_text(content)
            for options in ["--customer", ONE, "--dry-run"], ["--customer", ONE], ["--customer", "nobody"]:
                told = [side.cli("address", "import", table, *options, check=False) for side in (here, remote)]
                shown = [(done.returncode, re.sub(r"(?m)^(\S+@\S+): \S+$", r"\1: SECRET", done.stdout), done.stderr)
                         for done in told]
                assert shown[0] == shown[1], (content, options)
                if "b@quayside.example: " in told[1].stdout:
                    drawn = told[1].stdout.split("b@quayside.example: ")[1].split()[0]
        rows = [[(row["address"], row["name"]) for row in json.loads(side.cli("address", "list", "--json").stdout)]
                for side in (here, remote)]
        assert rows[0] == rows[1] and ("d@quayside.example", "Dora") in rows[1]
        for name, password in ("a", "pass word"), ("b", drawn), ("c", "Welcome2024!"):
            there.pop3(f"{name}@quayside.example", password).quit()
        for secret in "pass word", drawn, "Welcome2024!":
            assert not any(secret.encode() in path.read_bytes() for path in there.dir.glob("accounts.db*"))
    finally:
        here.finish()
        there.finish()


def test_lists_of_many_pages_are_whole(instance, tmp_path):
    remote = Remote(instance, tmp_path)
    one, two = instance.customers
    instance.cli("domain", "add", "annex.example", "--customer", two.name)
    reply, = instance.deliver([one.accounts[0].address], b"Subject: a\r\n\r\nb\r\n")
    assert reply.code == 250
    with closing(sqlite3.connect(instance.dir / "accounts.db", timeout=30, isolation_level=None)) as opened:
        opened.execute("BEGIN")
        opened.executemany(
            "INSERT INTO event (id, customer, mailbox, kind, time, count, refused, address, remote, protocol,"
            " mechanism, credential, reason) SELECT ?1 * 1000000, customer, mailbox, 'login', ?1, 1, 0, ?2, '', 'pop3',"
            " '', '', ?1 FROM address WHERE mailbox = 1",
            [(int(time.time()) - number, one.accounts[0].address) for number in range(1300)])
        opened.execute("UPDATE plan SET addresses = 100")
        mailbox, domain = opened.execute("SELECT customer, id FROM domain WHERE name = 'annex.example'").fetchone()
        for number in range(90):
            opened.execute("INSERT INTO any_mailbox (customer, name, created) VALUES (?, 'n', 1)", (mailbox,))
            opened.execute("INSERT INTO any_address (customer, domain, local, mailbox, created)"
                           " VALUES (?, ?, ?, last_insert_rowid(), 1)", (mailbox, domain, f"a{number}"))
        opened.execute("COMMIT")
    for command in (["auth", "events", "--since", "7d"], ["auth", "events"], ["auth", "events", one.accounts[0].address],
                    ["address", "list"], ["address", "list", "--json"], ["address", "list", "--customer", two.name],
                    ["address", "show", one.accounts[0].address], ["domain", "list"], ["customer", "list", "--json"]):
        here, there = instance.cli(*command), remote.cli(*command)
        assert (there.stdout, there.stderr) == (here.stdout, here.stderr), command
    assert len(remote.cli("auth", "events", "--since", "7d").stdout.splitlines()) > 1300
    assert "1" in remote.cli("address", "list").stdout.splitlines()[-2].split()


def test_the_audit_is_exported(instance, tmp_path):
    remote = Remote(instance, tmp_path)
    one, two = instance.customers
    for options in [], ["--customer", one.name]:
        export = remote.cli("audit", "export", *options).stdout
        assert export == instance.cli("audit", "export", *options).stdout and export.count("\n") > 3
        (tmp_path / "export").write_text(export)
        instance.cli("audit", "verify", tmp_path / "export")
    admin = Remote(instance, tmp_path, "admin", "--customer", two.name)
    assert one.domain not in admin.cli("audit", "export").stdout
    refused(admin.cli("audit", "export", "--customer", one.name, check=False), "no customer")
    domain = Remote(instance, tmp_path, "domain", "--customer", two.name, "--domain", two.domain)
    refused(domain.cli("audit", "export", check=False), "does not let the key")


def test_sessions_are_listed_and_ended(instance, tmp_path):
    remote = Remote(instance, tmp_path)
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    with closing(instance.pop3(ours)), closing(instance.pop3(theirs)):
        shown = [wait_until(lambda: (rows := json.loads(side.cli("session", "list", "--json").stdout)) and
                            len(rows) == 2 and rows, 10, "two sessions") for side in (instance, remote)]
        for rows in shown:
            for row in rows:
                assert row.pop("since")
        assert shown[0] == shown[1] and [list(row) for row in shown[0]] == [list(row) for row in shown[1]]
        assert remote.cli("session", "end", ours.address).stdout == "1 session ended\n"
        wait_until(lambda: len(json.loads(remote.cli("session", "list", "--json").stdout)) == 1, 10, "one session")
        assert remote.cli("session", "end", "--customer", instance.customers[1].name).stdout == "1 session ended\n"


def test_delays_are_shown_and_lifted(instance, tmp_path):
    remote = Remote(instance, tmp_path)
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    for account, network in (ours, "198.51.100.1"), (theirs, "203.0.113.1"):
        for number in range(6):
            guess(instance, account, f"wrong {number}", network)
    admin = Remote(instance, tmp_path, "admin", "--customer", instance.customers[0].name)

    def shown(side, *options):
        rows = json.loads(side.cli("auth", "blocks", "--json", *options).stdout)
        return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    assert len(shown(instance)) == 2 and shown(remote) == shown(instance)
    mine = ["--customer", instance.customers[0].name]
    assert shown(admin) == shown(remote, *mine) == shown(instance, *mine) and len(shown(admin)) == 1
    assert [list(row) for row in shown(remote)] == [list(row) for row in shown(instance)]
    refused(admin.cli("auth", "lift", theirs.address, check=False), "there is no address")
    refused(admin.cli("auth", "lift", "203.0.113.1", check=False), "does not let the key")
    assert admin.cli("auth", "lift", ours.address).stdout == ""
    assert shown(admin) == [] and len(shown(remote)) == 1
    refused(remote.cli("auth", "lift", ours.address, check=False), "nothing is delayed there")


# --- whose key it is


def test_a_customers_key_sees_its_own(instance, tmp_path):
    one, two = instance.customers
    admin = Remote(instance, tmp_path, "admin", "--customer", one.name)
    desk = Remote(instance, tmp_path, "desk", "--customer", one.name, "--role", "helpdesk")
    for command in ["customer", "domain", "address", "session"], :
        for noun in command:
            told = admin.cli(noun, "list").stdout
            assert two.name not in told and two.domain not in told
            assert noun == "session" or one.name in told
    assert admin.cli("customer", "list", "--json").stdout.count('"name"') == 1
    admin.cli("address", "add", f"new@{one.domain}", "--invite")
    admin.cli("address", "set", f"new@{one.domain}", "--name", "New")
    none = [(["address", "show", two.accounts[0].address], "there is no address"),
            (["address", "add", f"x@{two.domain}"], "there is no domain"),
            (["customer", "show", two.name], "there is no customer"), (["domain", "remove", two.domain], "there is no domain"),
            (["session", "end", "--customer", two.name], "there is no customer")]
    for command, words in none:
        done = admin.cli(*command, check=False)
        assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    for key, command in ((admin, ["customer", "add", "x", "--plan", "house"]), (admin, ["plan", "set", "house", "--domains", "9"]),
                         (desk, ["address", "remove", one.accounts[0].address])):
        done = key.cli(*command, check=False)
        assert done.returncode == 1 and "does not let the key in" in done.stderr and str(key.key) in done.stderr
    assert desk.cli("address", "passwd", one.accounts[0].address).stdout.startswith("password: ")


# --- what can be wrong


def refused(done, *words):
    assert done.returncode == 1 and done.stdout == "", done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def test_keys_that_are_not_taken(shared, tmp_path):
    good = Remote(shared, tmp_path, "checked")
    url = good.url
    for mode in 0o640, 0o604, 0o660:
        path = key_file(tmp_path, GONE, mode)
        refused(run("--server", url, "--key", path, "plan", "list", check=False), "others than you", str(path))
    wrong = key_file(tmp_path, GONE)
    done = run("--server", url, "--key", wrong, "plan", "list", check=False)
    refused(done, "does not let the key in", str(wrong))
    assert GONE not in done.stderr
    for text in "", "key", UNKNOWN, "x" * 100000, GONE + "\nmore":
        path = key_file(tmp_path, text)
        refused(run("--server", url, "--key", path, "plan", "list", check=False), "holds no API key")
    refused(run("--server", url, "--key", tmp_path / "none", "plan", "list", check=False), "No such file")
    refused(run("--server", url, "--key", tmp_path, "plan", "list", check=False), "key file")
    refused(run("--server", url, "plan", "list", check=False), "--key FILE")
    for line in good.cli("help").stdout, shared.log:
        assert good.key.read_text().strip() not in line


@pytest.mark.parametrize("url, words", [
    ("http://192.0.2.1", "without TLS"), ("http://mail.example.net:80", "without TLS"), ("http://127.0.0.1.example", "without TLS"),
    ("ftp://127.0.0.1", "https://"), ("mail.example.net", "URL"), ("https://user:secret@mail.example.net", "more than"),
    ("https://mail.example.net/?a=b", "more than"), ("https://mail.example.net/#a", "more than"), ("", "URL"),
])
def test_urls_that_are_not_taken(tmp_path, url, words):
    done = run("--server", url, "--key", key_file(tmp_path, GONE), "plan", "list", check=False)
    refused(done, words)
    assert "secret" not in done.stderr


def test_places_in_the_environment(shared, tmp_path):
    remote = Remote(shared, tmp_path, "environment")

    def bellhop(*args, **more):
        return subprocess.run([BIN / "bellhop", *map(str, args)], text=True, capture_output=True, timeout=60, cwd=tmp_path,
                              stdin=subprocess.DEVNULL,
                              env={**os.environ, "BELLHOP_SERVER": remote.url, "BELLHOP_KEY_FILE": str(remote.key), **more})

    listed = shared.cli("customer", "list").stdout
    assert bellhop("customer", "list").stdout == listed
    assert bellhop("-C", shared.dir, "customer", "list", BELLHOP_SERVER="https://192.0.2.1").stdout == listed
    refused(bellhop("plan", "list", BELLHOP_KEY_FILE=str(tmp_path / "none")), "none")
    refused(bellhop("store", "stats"), "BELLHOP_SERVER", "only on the machine")
    assert bellhop("-C", shared.dir, "store", "stats").returncode == 0
    for options in (["-C", shared.dir, "--server", remote.url], ["-C", shared.dir, "--key", remote.key]):
        assert bellhop(*options, "plan", "list").returncode == 2


@pytest.mark.parametrize("command", [
    ["init", "x"], ["serve"], ["reload"], ["backup", "x"], ["restore", "x"], ["store", "verify"], ["certificate", "list"],
    ["mailbox", "export", "a@b.example", "--mbox", "x"], ["audit", "verify"], ["audit", "head"], ["smtpd-filter"],
    ["auth", "audit"]])
def test_commands_of_the_machine(tmp_path, command):
    done = run("--server", "https://192.0.2.1", "--key", key_file(tmp_path, GONE), *command, check=False)
    refused(done, f"\"bellhop {' '.join(command[:1 if command[0] in ('init', 'serve', 'reload', 'backup', 'restore', 'smtpd-filter') else 2])}\"",
            "only on the machine")


def test_a_server_that_is_away(tmp_path):
    with socket.socket() as bound:  # nobody listens there
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        key = key_file(tmp_path, GONE)
        for command in ["plan", "list"], ["customer", "remove", "x"]:
            refused(run("--server", url, "--key", key, *command, check=False), url, "cannot be reached")


def test_a_server_that_does_not_answer(tmp_path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(8)
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        refused(run("--server", url, "--key", key_file(tmp_path, GONE), "plan", "list", check=False, timeout=100),
                url, "does not answer")


@pytest.mark.parametrize("answer, words", [
    ((200, b"<html>hello</html>"), "does not know"), ((200, b""), "does not know"), ((200, b"[]"), "does not know"),
    ((200, b'{"items": [{"name": 7}], "next": null}'), "does not know"),
    ((404, b"not here"), "no Bellhop"), ((502, b"<html>"), "HTTP status 502"), ((302, b"", ("Location", "/")), "status 302"),
    ((404, b'{"code": "no-path", "detail": "x"}'), "older"), ((405, b'{"code": "method", "detail": "x"}'), "older"),
    ((500, b'{"code": "failed", "detail": "it is\\u001b[31m broken"}'), "it is?[31m broken"),
    ((422, b'{"code": "limit", "detail": "a limit of tomorrow", "limit": {"kind": "moons"}}'), "a limit of tomorrow"),
])
def test_answers_of_others(tmp_path, answer, words):
    server = Https()
    try:
        server.answers["/api/v1/plans?limit=500"] = answer
        refused(run("--server", f"http://127.0.0.1:{server.port}/", "--key", key_file(tmp_path, GONE), "plan", "list",
                    check=False), words)
        request, = server.requests
        assert request.headers["Authorization"] == f"Bearer {GONE}"
    finally:
        server.close()


def test_each_wrong_member_is_told_on_its_line(tmp_path):
    server = Https()
    try:
        server.answers["/api/v1/plans"] = (422, json.dumps({
            "code": "invalid", "detail": "see errors", "errors": [
                {"pointer": "/addresses", "code": "range", "detail": "it is 1 to 10"},
                {"pointer": "/name", "code": "text", "detail": "it is ugly"}]}).encode())
        done = run("--server", f"http://127.0.0.1:{server.port}", "--key", key_file(tmp_path, GONE), "plan", "add", "x",
                   check=False)
        assert done.returncode == 1
        assert done.stderr.splitlines() == ["bellhop: the server does not take it", "bellhop: addresses: it is 1 to 10",
                                            "bellhop: name: it is ugly"]
    finally:
        server.close()


def test_a_busy_server_is_asked_again(tmp_path):
    server = Https()
    busy = (503, b'{"code": "busy", "detail": "come again"}', ("Retry-After", "1"))
    answers = [busy, (429, b'{"code": "rate", "detail": "slowly"}', ("Retry-After", "1")), (200, b'{"items": [], "next": null}')]
    try:
        server.answers["/api/v1/plans?limit=500"] = lambda: answers.pop(0)
        key = key_file(tmp_path, GONE)
        assert run("--server", f"http://127.0.0.1:{server.port}", "--key", key, "plan", "list").stdout.startswith("NAME")
        server.answers["/api/v1/plans?limit=500"] = busy
        refused(run("--server", f"http://127.0.0.1:{server.port}", "--key", key, "plan", "list", check=False), "come again")
    finally:
        server.close()


class Cutter:
    """Passes connections on to a server, and cuts the first so many when the server has answered."""

    def __init__(self, port, cuts):
        self.port, self.cuts, self.requests = port, cuts, []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            while request := self.message(client):
                self.requests.append(request)
                server.sendall(request)
                answer = self.message(server)
                if not request.startswith(b"GET") and self.cuts > 0:
                    self.cuts -= 1
                    return
                client.sendall(answer)

    @staticmethod
    def message(peer):
        """A header with its body."""
        text = b""
        while b"\r\n\r\n" not in text:
            more = peer.recv(65536)
            if not more:
                return b""
            text += more
        header, body = text.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", header)
        while len(body) < int(length[1] if length else 0):
            body += peer.recv(65536)
        return header + b"\r\n\r\n" + body


def test_a_lost_answer_does_nothing_twice(instance, tmp_path):
    """Each change reaches the server and its answer gets lost; it is made once, and shown."""
    remote = Remote(instance, tmp_path)
    before = len(json.loads(instance.cli("audit", "list", "--json").stdout))
    address = instance.customers[0].accounts[0].address
    changes = [["customer", "add", "New", "--plan", "house"], ["domain", "add", "new.example", "--customer", "New"],
               ["address", "add", "a@new.example", "--invite"], ["app-password", "add", address, "--name", "phone"],
               ["address", "remove", address], ["address", "restore", address],
               ["customer", "set", "New", "--name", "Newer"]]
    for cuts in 1, 2:
        for command in changes if cuts == 1 else changes[3:4]:
            if cuts == 2:
                command = [*command[:-1], "tablet"]
            cutter = Cutter(instance.ports.http, cuts)
            done = run("--server", cutter.url, "--key", remote.key, *command)
            cutter.listening.close()
            sent = [request for request in cutter.requests if not request.startswith(b"GET")]
            assert len(sent) == cuts + 1 and len(set(sent)) == 1, sent
            assert (b"Idempotency-Key: " in sent[0]) == sent[0].startswith(b"POST")
            assert not done.stderr and (command[0] != "app-password" or done.stdout.startswith("app password: "))
    # Each made one row of the audit.
    assert len(json.loads(instance.cli("audit", "list", "--json").stdout)) == before + len(changes) + 1
    cutter = Cutter(instance.ports.http, 9)
    done = run("--server", cutter.url, "--key", remote.key, "customer", "suspend", "Newer", check=False)
    refused(done, "does not answer", "whether the change was made is not known")


def test_certificates(tmp_path):
    """The server proves who it is, or is told nothing."""
    authority = Authority(tmp_path)
    key = key_file(tmp_path, GONE)
    authority.issue(tmp_path / "good", "localhost")
    authority.issue(tmp_path / "other", "mail.example.net")
    authority.issue_expired(tmp_path / "expired", "localhost")
    (tmp_path / "bad.pem").write_text("no certificate\n")
    root, told = ["--ca", authority.root], "cannot prove who it is"
    for folder, options, words in (("good", root, None), ("good", [], told), ("other", root, told), ("expired", root, told),
                                   ("good", ["--ca", tmp_path / "bad.pem"], "--ca"),
                                   ("good", ["--ca", tmp_path / "none.pem"], "--ca")):
        server = Https(tmp_path / folder)
        server.answers["/api/v1/plans?limit=500"] = (200, b'{"items": [], "next": null}')
        try:
            done = run("--server", f"https://localhost:{server.port}", "--key", key, *options, "plan", "list", check=False)
            if words:
                refused(done, words)
            else:
                assert done.returncode == 0 and done.stdout.startswith("NAME")
            assert len(server.requests) == (0 if words else 1)
        finally:
            server.close()
