"""Passwords that another server has hashed: brought in, checked, and what is refused."""

import base64
import hashlib
import json
import poplib
import sqlite3
import unicodedata

import pytest

from bellhop import Account, wait_until
from test_cli_accounts import verifies
from test_cli_import import import_table, table  # noqa: F401 (a fixture)
from test_cli_usage import refused

SECRET = "secret"
# The same word, typed on two systems: SASLprep makes the first of both.
COMPOSED = "Schl\u00fcssel f\u00fcr 7 T\u00fcren!"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)

# doveadm pw; tests/unit/hashes.h has one of each scheme.
SSHA256 = "{SSHA256}BCjdr+M4MqXKBbvOz9ZceRE6ohgAOEy0aFRSQk0IXVqXx2SH"
SHA512_CRYPT = ("{SHA512-CRYPT}$6$xY.03X7TSYG9l.Gk$YPhkpmzC3VjEy0W6.eUQH4s4yst7R2q/IlxeGHizmv78Yc1Oab4t09rtrKK1a"
                "bpQXWGBwtxBKk.HheJkaJH4s.")
BCRYPT = "$2y$05$7r4lwoymRzVVslZ.MkIFve4ilexye1OHu3EQc.3Hj1G25r0yxwGva"
MD5_CRYPT = "{MD5}$1$F7SdIHuu$af373KK11FSh0RYL4ujE.1"
PBKDF2 = "{PBKDF2}$1$KJMK1DXJC3h7x4bM$5000$52f05445bd48c80746774e50ebbcbce9801ff8f3"
ARGON2I = ("{ARGON2I}$argon2i$v=19$m=32768,t=3,p=1$MokyVUERReAvH0/dfP+vBQ$V/NwdXekO392nkClxH01/8MWw5zFp+iPosEba"
           "pDM8co")
YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0"
SCRAM = "{SCRAM-SHA-1}4096,3ISjXubYdBbr+0f9+u/TQg==,HNeDMhxC1ppT4ebNOD+5PwXL9uo=,usCnpLZxDESLYe3/jbZCzK7TRQM="
SCHEMES = [SSHA256, SHA512_CRYPT, BCRYPT, MD5_CRYPT, PBKDF2, ARGON2I, YESCRYPT, SCRAM]


def stored(instance, address):
    """(hash, scram) of a mailbox."""
    database = sqlite3.connect(instance.dir / "accounts.db")
    local, domain = address.split("@")
    row = database.execute(
        "SELECT hash, scram FROM credential JOIN address USING (mailbox) JOIN domain ON domain.id = domain"
        " WHERE local = ? AND domain.name = ?", (local, domain)).fetchone()
    database.close()
    return row


def logs_in(instance, address, password):
    try:
        instance.pop3(Account(address, password), utf8=True).quit()
        return True
    except poplib.error_proto as error:
        assert "[AUTH]" in str(error)
        return False


def test_each_scheme_by_stdin_and_by_table(stopped, table):
    """The mailboxes of one customer one by one, those of the other in a table; each has another scheme."""
    hotel, group = stopped.customers
    rows = ["address,hash"]
    for number, text in enumerate(SCHEMES):
        stopped.cli("address", "add", f"guest{number}@{hotel.domain}", "--hash-stdin", input=text + "\n")
        rows.append(f'guest{number}@{group.domain},"{text}"')
    import_table(stopped, table("\n".join(rows)), customer=group.name)
    hotelier = hotel.accounts[0]
    stopped.cli("address", "passwd", hotelier.address, "--hash-stdin", input=SSHA256)
    assert stored(stopped, hotelier.address) == (SSHA256, None)
    stopped.start()
    for customer in hotel, group:
        # Only as many wrong ones as nobody is delayed for.
        assert not logs_in(stopped, f"guest0@{customer.domain}", "secreT")
        for number in range(len(SCHEMES)):
            assert logs_in(stopped, f"guest{number}@{customer.domain}", SECRET)
    assert logs_in(stopped, hotelier.address, SECRET)
    assert not logs_in(stopped, hotelier.address, hotelier.password)
    assert logs_in(stopped, group.accounts[0].address, group.accounts[0].password)


def old_ones(instance, *options):
    """auth audit: (customer, address, scheme)."""
    rows = json.loads(instance.cli("auth", "audit", *options, "--json").stdout)
    return [(row["customer"], row["address"], row["scheme"]) for row in rows]


def test_made_anew_at_the_first_good_login(stopped):
    """Argon2id takes the place of the other, wrong passwords change nothing, and the audit tells what is left."""
    hotel, group = stopped.customers
    frontdesk, bookings = hotel.accounts[0], group.accounts[1]
    before = stored(stopped, hotel.accounts[1].address)
    stopped.cli("address", "passwd", frontdesk.address, "--hash-stdin", input=SSHA256)
    stopped.cli("address", "passwd", bookings.address, "--hash-stdin", input=BCRYPT)
    both = [(group.name, bookings.address, "BLF-CRYPT"), (hotel.name, frontdesk.address, "SSHA256")]
    assert old_ones(stopped) == both
    assert old_ones(stopped, "--customer", hotel.name) == both[1:]
    stopped.start()
    assert not logs_in(stopped, frontdesk.address, "secreT")
    assert old_ones(stopped) == both
    assert logs_in(stopped, frontdesk.address, SECRET)
    wait_until(lambda: old_ones(stopped) == both[:1], 30, "the hash made anew")
    new = stored(stopped, frontdesk.address)[0]
    assert new.startswith("$argon2id$") and verifies(new, SECRET.encode())
    assert stored(stopped, bookings.address)[0] == "{CRYPT}" + BCRYPT
    assert stored(stopped, hotel.accounts[1].address) == before
    # The new one is good, also when nobody remembers.
    assert logs_in(stopped, frontdesk.address, SECRET)
    stopped.restart()
    assert logs_in(stopped, frontdesk.address, SECRET)
    assert not logs_in(stopped, frontdesk.address, "secreT")
    assert logs_in(stopped, bookings.address, SECRET)
    wait_until(lambda: old_ones(stopped) == [], 30, "the last hash made anew")


def test_both_forms_of_a_password(stopped):
    """The hash is of the octets that one system typed; when it is made anew, all systems' are good."""
    hotel, group = stopped.customers
    digest = base64.b64encode(hashlib.sha256(DECOMPOSED.encode()).digest()).decode()
    for account in hotel.accounts[0], group.accounts[0]:
        stopped.cli("address", "passwd", account.address, "--hash-stdin", input="{SHA256}" + digest)
    stopped.start()
    for account in hotel.accounts[0], group.accounts[0]:
        assert not logs_in(stopped, account.address, COMPOSED)
        assert logs_in(stopped, account.address, DECOMPOSED)
    wait_until(lambda: old_ones(stopped) == [], 30, "hashes made anew")
    for account in hotel.accounts[0], group.accounts[0]:
        assert logs_in(stopped, account.address, COMPOSED)


def test_a_hash_of_a_lower_cost_is_made_anew(stopped):
    """What is configured now counts for old passwords too."""
    address = stopped.customers[0].accounts[0].address
    stopped.configure(hash_memory="16K")
    assert {row[2] for row in old_ones(stopped)} == {"ARGON2ID of a lower cost"}
    assert len(old_ones(stopped)) == 6
    stopped.start()
    assert logs_in(stopped, address, stopped.customers[0].accounts[0].password)
    wait_until(lambda: len(old_ones(stopped)) == 5, 30, "the hash made anew")
    assert address not in [row[1] for row in old_ones(stopped)]
    assert "m=16," in stored(stopped, address)[0]


def test_what_looks_like_ours_is_told_apart(stopped):
    """Ours are made of prepared passwords, others of what was typed."""
    account = stopped.customers[0].accounts[0]
    ours = stored(stopped, account.address)[0]
    stopped.cli("address", "passwd", account.address, "--hash-stdin", input=ours)
    assert stored(stopped, account.address) == ("{CRYPT}" + ours, None)


@pytest.mark.parametrize("text, words", [
    ("", ["scheme", "not known"]),
    ("secret", ["scheme", "not known", "{SCHEME}hash"]),
    ("{PLAIN}secret", ["as a password"]),
    ("{DES-CRYPT}MVW.1jEMHFJUM", ["8 characters", "invitation"]),
    (SSHA256[:-1], ["damaged"]),
    (SSHA256 + "\n\n", ["damaged"]),
    ("$6$rounds=999999999$salt$" + 86 * "a", ["several seconds"]),
    ("{SSHA}" + 250 * "A", ["255 octets"]),
    ("{SSHA}" + 2000 * "A", ["255 octets"]),
])
def test_refused_hashes(stopped, text, words):
    hotel, group = stopped.customers
    before = stored(stopped, hotel.accounts[0].address)
    for command in (["passwd", hotel.accounts[0].address], ["add", f"new@{group.domain}"]):
        done = stopped.cli("address", *command, "--hash-stdin", input=text, check=False)
        refused(done, *words)
        assert "secret" not in done.stderr and "jEMH" not in done.stderr
    assert stored(stopped, hotel.accounts[0].address) == before
    assert stored(stopped, f"new@{group.domain}") is None


def test_a_table_says_row_column_and_reason(stopped, table):
    path = table("address,password,hash,name\n"
                 f"a@quayside.example,,{SSHA256},A\n"
                 "b@quayside.example,,{PLAIN}secret,B\n"
                 f"c@quayside.example,12345678,{SSHA256},C\n"
                 "d@quayside.example,12345678,,D\n"
                 "e@quayside.example,,{SSHA3}abc,E\n")
    done = import_table(stopped, path, check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.split(": ")[1].rsplit(" ", 1)[1] for line in lines[:-1]] == ["3", "4", "6"]
    assert "column hash" in lines[0] and "as a password" in lines[0]
    assert "more than one of" in lines[1]
    assert "column hash" in lines[2] and "not known" in lines[2]
    assert "3 mistakes" in lines[3]
    assert stored(stopped, "a@quayside.example") is None
    path.write_text("".join(line for number, line in enumerate(path.read_text().splitlines(True), 1)
                            if number in (1, 2, 5)))
    import_table(stopped, path)
    assert stored(stopped, "a@quayside.example") == (SSHA256, None)
    assert stored(stopped, "d@quayside.example")[0].startswith("$argon2id$")
