"""App passwords: made, listed and removed on the command line, and what they open."""

import base64
import json
import re
import sqlite3

import pytest

from bellhop import Account, Instance, wait_until
from test_authd import Auth, MTA, counter
from test_imported_hashes import logs_in
from test_cli_usage import refused

FORM = r"([abcdefghijkmnpqrstuvwxyz23456789]{4}-){6}[abcdefghijkmnpqrstuvwxyz23456789]{4}"


def made(instance, address, name, *options):
    """A new one's text."""
    done = instance.cli("app-password", "add", address, "--name", name, *options)
    found = re.match(rf"app password: ({FORM})\n", done.stdout)
    assert found, done.stdout
    return found[1]


def listed(instance, address):
    return json.loads(instance.cli("app-password", "list", address, "--json").stdout)


def sends(instance, address, password, service="smtp"):
    """Whether a mail server that asks for this service gets an OK."""
    with Auth(instance, MTA) as auth:
        response = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
        auth.send(f"AUTH\t1\tPLAIN\tservice={service}\trip=192.0.2.9\tsecured\tresp={response}\n".encode())
        answer = auth.fields()
    assert answer[0] == "OK" or answer == ["FAIL", "1", f"user={address}"]
    return answer[0] == "OK"


def set_column(instance, column, value, name):
    database = sqlite3.connect(instance.dir / "accounts.db")
    database.execute(f"UPDATE app_password SET {column} = ? WHERE name = ?", (value, name))
    database.commit()
    database.close()


def test_what_they_open(instance):
    """Each what it is for, of its own mailbox and of no other, beside the mailbox's own password."""
    hotel, group = instance.customers
    mine, other, theirs = hotel.accounts[0], hotel.accounts[1], group.accounts[0]
    phone = made(instance, mine.address, "phone")
    reader = made(instance, mine.address, "reader", "--pop3")
    scanner = made(instance, mine.address, "scanner", "--smtp")
    foreign = made(instance, theirs.address, "phone")
    checks = counter(instance, "hashes_total")
    assert logs_in(instance, mine.address, phone) and sends(instance, mine.address, phone)
    assert logs_in(instance, mine.address, phone.replace("-", " ").upper())
    assert logs_in(instance, mine.address, reader) and not sends(instance, mine.address, reader)
    assert not logs_in(instance, mine.address, scanner) and sends(instance, mine.address, scanner)
    assert not sends(instance, mine.address, phone, service="imap")
    assert logs_in(instance, theirs.address, foreign)
    for address, password in (mine.address, foreign), (theirs.address, phone), (other.address, phone):
        assert not logs_in(instance, address, password)
    assert not sends(instance, f"nobody@{hotel.domain}", phone)
    assert counter(instance, "hashes_total") == checks  # none of all this has cost one
    assert logs_in(instance, mine.address, mine.password)
    for reason in "not for smtp", "not for pop3", "not for this", "no such app password", "no such mailbox":
        assert reason in instance.log
    assert phone not in instance.log


def test_removed_and_expired_ones_open_nothing(instance):
    hotel, group = instance.customers
    mine, theirs = hotel.accounts[0].address, group.accounts[0].address
    old, short, kept = (made(instance, mine, name, "--expires", "30") for name in ("old", "short", "kept"))
    foreign = made(instance, theirs, "old")
    instance.cli("app-password", "remove", mine, "old")
    set_column(instance, "expires", 1, "short")
    assert not logs_in(instance, mine, old)
    assert not logs_in(instance, mine, short)
    assert "reason=the app password has expired" in instance.log
    assert logs_in(instance, mine, kept)
    assert logs_in(instance, theirs, foreign)
    assert [row["name"] for row in listed(instance, mine)] == ["kept", "short"]


def test_suspension_counts_for_them_too(instance):
    hotel, group = instance.customers
    mine, theirs = hotel.accounts[0].address, group.accounts[0].address
    phone, foreign = made(instance, mine, "phone"), made(instance, theirs, "phone")
    instance.cli("customer", "suspend", hotel.name)
    with pytest.raises(Exception, match="suspended"):
        instance.pop3(Account(mine, phone))
    assert logs_in(instance, theirs, foreign)
    instance.cli("customer", "resume", hotel.name)
    assert logs_in(instance, mine, phone)


def test_last_use_is_told(instance):
    """Some minutes exact: not written anew at each login."""
    hotel, group = instance.customers
    mine, theirs = hotel.accounts[0].address, group.accounts[0].address
    phone = made(instance, mine, "phone", "--pop3")
    made(instance, theirs, "phone")
    assert listed(instance, mine)[0]["used"] is None
    assert logs_in(instance, mine, phone)
    wait_until(lambda: listed(instance, mine)[0]["used"], 30, "the time of the last use")
    assert listed(instance, mine)[0]["used_address"] == "127.0.0.1"
    assert listed(instance, theirs)[0]["used"] is None
    set_column(instance, "used", 1000, "phone")
    assert logs_in(instance, mine, phone)
    wait_until(lambda: "1970" not in listed(instance, mine)[0]["used"], 30, "a later time")


def test_listing(stopped):
    address = stopped.customers[0].accounts[0].address
    done = stopped.cli("app-password", "add", address, "--name", "Anna's \u260e", "--smtp", "--expires", "7",
                       "--json")
    shown = json.loads(done.stdout)
    assert re.fullmatch(FORM, shown["password"])
    assert shown["address"] == address and shown["expires"].endswith("Z")
    row, = listed(stopped, address)
    assert (row["name"], row["pop3"], row["smtp"]) == ("Anna's \u260e", False, True)
    assert (row["expires"], row["used"], row["used_address"]) == (shown["expires"], None, None)
    assert shown["password"] not in stopped.cli("app-password", "list", address).stdout
    database = sqlite3.connect(stopped.dir / "accounts.db")
    assert shown["password"].replace("-", "") not in "\n".join(database.iterdump()).replace("-", "")
    assert database.execute("SELECT action, object FROM audit ORDER BY id DESC").fetchone() == (
        "app_password.add", address)
    assert database.execute("SELECT kind, address, credential FROM event ORDER BY id DESC").fetchone() == (
        "app-password", address, "Anna's \u260e")
    stopped.cli("app-password", "remove", address, "Anna's \u260e")
    assert database.execute("SELECT kind, address, credential FROM event ORDER BY id DESC").fetchone() == (
        "app-password-removed", address, "Anna's \u260e")
    database.close()


@pytest.mark.parametrize("command, words", [
    (["add", "nobody@quayside.example", "--name", "phone"], ["no address", "address list"]),
    (["add", "frontdesk@quayside.example", "--name", "taken"], ["already", "app-password remove"]),
    (["list", "nobody@quayside.example"], ["no address"]),
    (["list", "quayside.example"], ["no address"]),
    (["remove", "frontdesk@quayside.example", "phone"], ["no app password", "app-password list"]),
    (["remove", "frontdesk@lighthouse.example", "taken"], ["no app password"]),
])
def test_refusals(stopped, command, words):
    made(stopped, "frontdesk@quayside.example", "taken")
    refused(stopped.cli("app-password", *command, check=False), *words)


def test_no_password_may_look_like_one(stopped):
    """It would be taken for one, and never be good."""
    hotel, group = stopped.customers
    phone = made(stopped, hotel.accounts[0].address, "phone")
    for typed in phone, phone.upper().replace("-", ""):
        done = stopped.cli("address", "passwd", group.accounts[0].address, "--password-stdin", input=typed, check=False)
        refused(done, "form of an app password")
        assert typed not in done.stderr


def test_backups_carry_them(stopped, tmp_path):
    """With the key that they are made with."""
    hotel, group = stopped.customers
    mine, theirs = hotel.accounts[0].address, group.accounts[0].address
    phone, foreign = made(stopped, mine, "phone", "--pop3"), made(stopped, theirs, "scanner", "--smtp")
    stopped.start()
    stopped.cli("backup", tmp_path / "backup")
    other = Instance(tmp_path / "other")
    try:
        other.cli("restore", tmp_path / "backup")
        other.start()
        assert logs_in(other, mine, phone)
        assert sends(other, theirs, foreign)
        assert not logs_in(other, theirs, phone)
    finally:
        other.finish()
