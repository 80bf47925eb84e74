"""The command line's frame: help, wrong usage, what is no instance, databases of other versions."""

import json
import os
import shutil
import sqlite3
import subprocess

import pytest

from bellhop import BIN, run

COMMANDS = [
    "audit list", "audit export", "audit verify", "audit head",
    "webhook add", "webhook list", "webhook set", "webhook secret", "webhook disable", "webhook enable",
    "webhook remove", "webhook replay",
    "help", "init", "serve", "reload", "plan list", "plan add", "plan set", "customer add", "customer list",
    "app-password add", "app-password list", "app-password remove", "auth audit",
    "customer show", "customer set", "customer suspend", "customer resume", "customer remove",
    "customer restore", "domain restore", "domain set", "address restore", "address set", "address suspend",
    "address resume", "removed list", "removed purge",
    "domain add", "domain list", "domain remove", "address add", "address list", "address show",
    "address remove", "address passwd", "address invite", "address cards",
    "address import", "auth events", "auth blocks", "auth lift",
    "admin-user add", "admin-user list", "admin-user set", "admin-user passwd", "admin-user invite",
    "admin-user remove",
    "job add", "job list", "job show", "job follow", "job errors", "job cancel", "job result", "job cards",
    "api-key add", "api-key list", "api-key set", "api-key remove", "statistics", "session list", "session end",
    "trusted-network add", "trusted-network list", "trusted-network remove",
    "token-issuer add", "token-issuer list", "token-issuer remove", "mailbox import",
    "mailbox export", "certificate list", "backup", "restore", "store verify", "store rebuild",
    "store stats", "smtpd-filter",
]


def refused(done, *words):
    """One sentence on standard error, exit status 1."""
    assert done.returncode == 1, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("bellhop: "), done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in lines[0]


def test_help_names_every_command():
    done = run("help")
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout
    assert run("--help").stdout == done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_the_usage_of_a_command(command):
    usage = run("help", *command.split()).stdout
    assert usage.startswith("usage: bellhop ")
    assert f" {command}" in usage.splitlines()[0]
    assert run(*command.split(), "--help").stdout == usage


def test_help_of_a_group_shows_its_commands():
    lines = run("help", "domain").stdout.splitlines()
    assert [line.split()[5] for line in lines] == ["add", "list", "set", "remove", "restore"]


def test_version_is_one_line():
    assert run("--version").stdout.startswith("bellhop ")


@pytest.mark.parametrize("arguments", [
    [],
    ["frobnicate"],
    ["plan"],
    ["plan", "frobnicate"],
    ["planlist"],
    ["help", "frobnicate"],
    ["-C"],
    ["--frobnicate"],
    ["init"],
    ["init", "one", "two"],
    ["init", "one", "--port-base"],
    ["init", "one", "--port-base", "-1"],
    ["init", "one", "--port-base", "64541"],
    ["init", "one", "--port-base", "80x"],
    ["init", "one", "--port-base", ""],
    ["serve", "now"],
    ["reload", "now"],
    ["plan", "list", "house"],
    ["plan", "list", "--frobnicate"],
    ["plan", "list", "--json=yes"],
    ["plan", "list", "-j"],
    ["plan", "add"],
    ["plan", "add", "one", "two"],
    ["plan", "add", "one", "--addresses"],
    ["plan", "add", "one", "--addresses", "many"],
    ["plan", "add", "one", "--quota-bytes", "5X"],
    ["plan", "add", "one", "--quota-bytes", "99999999999999999999"],
    ["plan", "add", "one", "--quota-bytes", "9999999999G"],
    ["plan", "add", "one", "--protection", "some"],
    ["plan", "add", "one", "--sending", "maybe"],
    ["plan", "set", "house"],
    ["customer", "add", "one"],
    ["customer", "add", "--plan", "house"],
    ["customer", "show"],
    ["customer", "set", "one"],
    ["customer", "set", "one", "--language", "xx"],
    ["customer", "add", "one", "--plan", "house", "--language", "EN"],
    ["customer", "suspend"],
    ["customer", "resume", "one", "two"],
    ["customer", "remove", "--all"],
    ["customer", "remove", "one", "--now", "two"],
    ["customer", "suspend", "one", "--mail", "later"],
    ["customer", "restore"],
    ["customer", "set", "one", "--plan", "house", "--over", "all"],
    ["customer", "set", "one", "--over", "keep"],
    ["customer", "set", "one", "--preview"],
    ["customer", "set", "one", "--plan", "house", "--preview", "--name", "two"],
    ["customer", "set", "one", "--plan", "house", "--json"],
    ["domain", "set", "one.example"],
    ["domain", "set", "--catch-all", "none"],
    ["plan", "set", "house", "--catch-all", "some"],
    ["domain", "restore", "--customer", "one"],
    ["address", "restore", "a@one.example", "--now"],
    ["address", "suspend", "a@one.example", "--mail"],
    ["address", "resume"],
    ["address", "set", "a@one.example"],
    ["address", "set", "a@one.example", "--pop3", "maybe"],
    ["address", "set", "a@one.example", "--quota-bytes", "0"],
    ["address", "set", "a@one.example", "--language", "xx"],
    ["address", "set", "a@one.example", "--to", "b@one.example", "--name", "A"],
    ["address", "add", "a@one.example", "--to", "b@one.example", "--invite"],
    ["removed", "list", "one"],
    ["removed", "purge"],
    ["removed", "purge", "one"],
    ["domain", "add", "one.example"],
    ["domain", "add", "--customer", "one"],
    ["domain", "list", "one.example"],
    ["domain", "remove"],
    ["audit", "list", "one"],
    ["audit", "list", "--since", "yesterday"],
    ["audit", "export", "file"],
    ["audit", "verify", "one", "two"],
    ["audit", "verify", "--head", "7"],
    ["audit", "verify", "--head", "7:abcd"],
    ["audit", "head", "--json"],
    ["webhook", "add"],
    ["webhook", "list", "1"],
    ["webhook", "set", "1"],
    ["webhook", "secret"],
    ["webhook", "disable"],
    ["webhook", "enable"],
    ["webhook", "remove"],
    ["webhook", "replay", "1"],
    ["webhook", "replay", "1", "--from", "yesterday"],
    ["webhook", "replay", "1", "--from", "0"],
    ["address", "add"],
    ["address", "add", "a@one.example", "--invite", "--password-stdin"],
    ["address", "add", "a@one.example", "b@one.example"],
    ["address", "list", "a@one.example"],
    ["address", "show"],
    ["address", "remove"],
    ["address", "passwd", "a@one.example", "secret"],
    ["address", "passwd", "a@one.example", "--hash-stdin", "--password-stdin"],
    ["address", "cards"],
    ["address", "cards", "a@one.example"],
    ["address", "cards", "--customer", "One", "--json"],
    ["address", "cards", "--customer", "One", "--domain"],
    ["address", "invite"],
    ["address", "invite", "a@one.example", "b@one.example"],
    ["address", "invite", "a@one.example", "--json"],
    ["address", "add", "a@one.example", "--hash-stdin", "--invite"],
    ["address", "import", "--customer", "one"],
    ["address", "import", "table.csv"],
    ["auth"],
    ["auth", "events", "a@one.example", "b@one.example"],
    ["auth", "events", "a@one.example", "--customer", "one"],
    ["auth", "events", "--since", "yesterday"],
    ["auth", "events", "--since", "2026-02-30"],
    ["auth", "blocks", "a@one.example"],
    ["auth", "blocks", "--customer"],
    ["auth", "lift"],
    ["auth", "lift", "--json", "192.0.2.1"],
    ["job", "add"],
    ["job", "add", "guests"],
    ["job", "add", "guests.txt"],
    ["job", "add", "guests.csv", "--format", "xml"],
    ["job", "add", "guests.csv", "--progress"],
    ["job", "add", "guests.csv", "--rows"],
    ["job", "list", "7"],
    ["job", "show"],
    ["job", "show", "seven"],
    ["job", "show", "7", "--progress"],
    ["job", "follow", "7", "--json"],
    ["job", "cancel", "7", "8"],
    ["job", "result", "-1"],
    ["job", "cards", "0"],
    ["admin-user", "add"],
    ["admin-user", "add", "a b"],
    ["admin-user", "add", "anna", "--role", "owner"],
    ["admin-user", "add", "anna", "--role", "helpdesk"],
    ["admin-user", "add", "anna", "--role", "operator", "--customer", "one"],
    ["admin-user", "add", "anna", "--name", " anna"],
    ["admin-user", "list", "anna"],
    ["admin-user", "set", "anna"],
    ["admin-user", "set", "anna", "--suspend", "--resume"],
    ["admin-user", "set", "anna", "--role", "king"],
    ["admin-user", "passwd", "anna"],
    ["admin-user", "invite"],
    ["admin-user", "remove", "anna", "berta"],
    ["api-key", "add"],
    ["api-key", "add", "panel", "--role", "king"],
    ["api-key", "add", "panel", "--role", "admin"],
    ["api-key", "add", "panel", "--role", "operator", "--customer", "one"],
    ["api-key", "add", "panel", "--role", "owner", "--customer", "one"],
    ["api-key", "add", "panel", "--network", "192.0.2.1/8"],
    ["api-key", "add", "panel", "--rate", "0"],
    ["api-key", "set"],
    ["api-key", "set", "panel"],
    ["api-key", "set", "panel", "--role", "king"],
    ["api-key", "set", "panel", "--rate", "many"],
    ["api-key", "set", "panel", "--name", " x"],
    ["api-key", "list", "panel"],
    ["api-key", "remove"],
    ["session", "list", "a@one.example", "b@one.example"],
    ["session", "list", "a@one.example", "--customer", "one"],
    ["session", "end"],
    ["session", "end", "--json", "a@one.example"],
    ["session", "end", "a@one.example", "--customer", "one"],
    ["trusted-network", "add", "192.0.2.1"],
    ["trusted-network", "add", "--customer", "one"],
    ["trusted-network", "list", "192.0.2.1"],
    ["trusted-network", "remove", "192.0.2.1"],
    ["token-issuer", "add", "https://a.example", "--customer", "one"],
    ["token-issuer", "add", "https://a.example", "--audience", "mail"],
    ["token-issuer", "add", "--customer", "one", "--audience", "mail"],
    ["token-issuer", "list", "https://a.example"],
    ["token-issuer", "remove", "https://a.example"],
    ["app-password", "add", "a@one.example"],
    ["app-password", "add", "--name", "phone"],
    ["app-password", "add", "a@one.example", "--name", ""],
    ["app-password", "add", "a@one.example", "--name", "phone", "--expires", "0"],
    ["app-password", "add", "a@one.example", "--name", "phone", "--imap"],
    ["app-password", "list"],
    ["app-password", "remove", "a@one.example"],
    ["auth", "audit", "one"],
    ["mailbox", "import", "a@one.example"],
    ["mailbox", "import", "a@one.example", "--maildir", "one", "--mbox", "two"],
    ["mailbox", "import", "a@one.example", "--mbox", "one", "--stls"],
    ["mailbox", "import", "a@one.example", "--pop3", "one.example"],
    ["mailbox", "import", "a@one.example", "--pop3", "one.example", "--user", "a", "--stls",
     "--cleartext"],
    ["mailbox", "export", "a@one.example"],
    ["mailbox", "export", "a@one.example", "--maildir", "one", "--mbox", "two"],
    ["certificate"],
    ["certificate", "list", "tls"],
    ["smtpd-filter", "now"],
    ["smtpd-filter", "--json"],
    ["certificate", "list", "--all"],
    ["backup"],
    ["backup", "one", "two"],
    ["backup", ""],
    ["backup", "one", "--since"],
    ["backup", "one", "--json"],
    ["restore"],
    ["restore", "one", "--since", "two"],
    ["restore", "one", ""],
    ["store", "stats", "now"],
    ["store", "verify", "--deep"],
], ids=" ".join)
def test_wrong_usage(arguments, tmp_path):
    done = subprocess.run([BIN / "bellhop", *arguments], cwd=tmp_path, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "usage: bellhop" in done.stderr or "bellhop help" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("typed, sentence, shown", [
    ("frobnicate", 'bellhop: "frobnicate" is not a command; "bellhop help" shows them all', 0),
    ("frobnicate now", 'bellhop: "frobnicate" is not a command; "bellhop help" shows them all', 0),
    ("domain", 'bellhop: "domain" is not a whole command; these are', 5),
    ("domain ad", 'bellhop: "domain ad" is not a command; these are', 5),
])
def test_an_unknown_command_is_told_from_half_of_one(typed, sentence, shown):
    first, *usages = run(*typed.split(), check=False).stderr.splitlines()
    assert first == sentence
    assert len(usages) == shown and all(one.startswith("usage: ") for one in usages)


def test_what_is_told_cannot_command_the_terminal():
    """Neither by control characters of ASCII nor by those of Unicode, whole or cut in the middle."""
    typed = b"gr\xc3\xbcn \x1b[31m \x7f \xc2\x9b31m \x9b31m \xc3"
    done = subprocess.run([BIN / "bellhop", typed], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.stderr.decode().startswith('bellhop: "grün ?[31m ? ??31m ?31m ?" is not a command')


def test_a_repeated_option_counts_the_last_time(stopped):
    stopped.cli("plan", "add", "twice", "--addresses", "2", "--addresses", "3")
    plans = json.loads(stopped.cli("plan", "list", "--json").stdout)
    assert [plan["addresses"] for plan in plans if plan["name"] == "twice"] == [3]


@pytest.mark.parametrize("command", [
    ["plan", "list"], ["customer", "list"], ["address", "show", "a@one.example"],
    ["store", "stats"], ["serve"]], ids=" ".join)
def test_no_instance_says_how_to_make_one(command, tmp_path):
    refused(run("-C", tmp_path / "nothing", *command, check=False), "bellhop init")
    refused(run("-C", tmp_path, *command, check=False), "bellhop.conf", "bellhop init")


def test_an_instance_is_named_relative_to_the_caller(stopped):
    done = subprocess.run([BIN / "bellhop", "-C", stopped.dir.name, "plan", "list"], text=True,
                          cwd=stopped.dir.parent, capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", [".", "bellhop.conf"])
def test_an_instance_of_another_user_says_who_may(stopped, closed):
    (stopped.dir / closed).chmod(0)
    # Without the capabilities with which root reads anything.
    done = subprocess.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", BIN / "bellhop",
                           "-C", stopped.dir, "plan", "list"], text=True, capture_output=True,
                          timeout=20)
    (stopped.dir / closed).chmod(0o700)
    refused(done, "as the instance's user, or as root")


def test_the_current_directory_is_the_instance_without_option(stopped):
    done = subprocess.run([BIN / "bellhop", "plan", "list"], cwd=stopped.dir, text=True,
                          capture_output=True, timeout=20)
    assert done.returncode == 0
    assert done.stdout == stopped.cli("plan", "list").stdout


def test_a_broken_configuration_names_its_line(stopped):
    with (stopped.dir / "bellhop.conf").open("a") as file:
        file.write("frobnicate = 1\n")
    refused(stopped.cli("plan", "list", check=False), "bellhop.conf", "line ", "frobnicate")


def set_version(instance, change):
    """Changes the database's version by so much; returns the new one."""
    with sqlite3.connect(instance.dir / "accounts.db") as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version + change}")
    database.close()
    return version + change


READERS = [["plan", "list"], ["customer", "list", "--json"], ["domain", "list"],
           ["address", "list"]]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_newer_database_is_refused(stopped, command):
    version = set_version(stopped, 1)
    refused(stopped.cli(*command, check=False), "accounts.db", f"version {version}")
    done = run("init", stopped.dir, check=False)
    assert done.returncode == 1 and f"version {version}" in done.stderr


def test_an_older_database_is_refused_with_the_command_to_run(stopped):
    set_version(stopped, -1)
    refused(stopped.cli("plan", "list", check=False), "accounts.db", "bellhop init")


@pytest.mark.parametrize("text", [b"", b"this is no database\n" * 100])
def test_what_is_no_database_is_refused(stopped, text):
    for file in stopped.dir.glob("accounts.db*"):
        file.unlink()
    (stopped.dir / "accounts.db").write_bytes(text)
    refused(stopped.cli("customer", "list", check=False), "accounts.db")


def test_a_missing_database_is_refused(stopped):
    for file in stopped.dir.glob("accounts.db*"):
        file.unlink()
    refused(stopped.cli("customer", "list", check=False), "accounts.db", "bellhop init")
    assert not (stopped.dir / "accounts.db").exists()


def test_a_full_standard_output_is_an_error(stopped):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN / "bellhop", "-C", stopped.dir, "plan", "list"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1
    assert "standard output" in done.stderr


def test_a_store_that_was_never_served_is_empty(stopped):
    assert "messages: 0 " in stopped.cli("store", "stats").stdout
    stats = json.loads(stopped.cli("store", "stats", "--json").stdout)
    assert (stats["messages"], stats["size"], stats["segments"]) == (0, 0, [])
    assert stopped.cli("store", "verify").stdout.startswith("good: messages: 0, ")
    verified = json.loads(stopped.cli("store", "verify", "--json").stdout)
    assert verified["good"] is True and verified["messages"] == 0
    assert list((stopped.dir / "store").iterdir()) == []


def test_segments_without_their_index_are_not_an_empty_store(stopped):
    (stopped.dir / "store" / "00000001.seg").write_bytes(bytes(4096))
    for command in "stats", "verify":
        done = stopped.cli("store", command, check=False)
        assert done.returncode == 1 and "store rebuild" in done.stderr


def fake_stored(folder, status):
    """A copy of bellhop with a sibling that tells how it was called."""
    folder.mkdir()
    shutil.copy(BIN / "bellhop", folder)
    (folder / "stored").write_text(f'#!/bin/sh\necho "$PWD" "$@"\nexit {status}\n')
    (folder / "stored").chmod(0o755)
    return folder / "bellhop"


@pytest.mark.parametrize("arguments", [["verify"], ["rebuild"], ["stats", "--json"]],
                         ids=" ".join)
@pytest.mark.parametrize("status", [0, 1])
def test_store_commands_run_the_sibling_in_the_instance(stopped, tmp_path, arguments, status):
    program = fake_stored(tmp_path / "bin", status)
    done = subprocess.run([program, "-C", stopped.dir, "store", *arguments], text=True,
                          capture_output=True, timeout=20)
    assert done.returncode == status
    assert done.stdout == f"{os.path.realpath(stopped.dir)} {' '.join(arguments)}\n"


def test_an_installed_bellhop_finds_its_programs_from_where_it_is(stopped, tmp_path):
    """Under any prefix, and not somebody else's program of that name in the same folder."""
    program = fake_stored(tmp_path / "bin", 1)
    libexec = tmp_path / "libexec" / "bellhop"
    libexec.mkdir(parents=True)
    shutil.copy(program.parent / "stored", libexec)
    (libexec / "stored").write_text("#!/bin/sh\necho installed\n")
    (tmp_path / "link").symlink_to(program)
    for path in program, tmp_path / "link":
        done = subprocess.run([path, "-C", stopped.dir, "store", "stats"], text=True,
                              capture_output=True, timeout=20)
        assert (done.stdout, done.returncode) == ("installed\n", 0)


def test_a_missing_sibling_is_one_clear_line(stopped, tmp_path):
    program = fake_stored(tmp_path / "bin", 0)
    (tmp_path / "bin" / "stored").unlink()
    done = subprocess.run([program, "-C", stopped.dir, "store", "stats"], text=True,
                          capture_output=True, timeout=20)
    refused(done, "stored")
