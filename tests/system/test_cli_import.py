"""bellhop address import: a table of addresses, all or nothing."""

import re
import subprocess

import pytest

import spreadsheets
from bellhop import BIN
from test_cli_accounts import GROUP, HOTEL, database_text, hashes, listing, verifies
from test_cli_usage import refused


@pytest.fixture
def table(tmp_path):
    """Writes a table; returns its path."""
    def write(content):
        path = tmp_path / "guests.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return write


def import_table(instance, path, *options, customer=HOTEL, check=True):
    return instance.cli("address", "import", path, "--customer", customer, *options, check=check)


def imported(instance):
    """What was added to the hotel's three: (address, name)."""
    return [(row["address"], row["name"])
            for row in listing(instance, "address", "list", "--customer", HOTEL)
            if row["address"].split("@")[0] not in ("bookings", "frontdesk", "invoices")]


ANNA_BERT = [("anna@quayside.example", "Anna"), ("bert@quayside.example", "Bert, the \"2nd\"")]


@pytest.mark.parametrize("content", [
    'address,password,name\nanna@quayside.example,pass word,Anna\n'
    'bert@quayside.example,12345678,"Bert, the ""2nd"""\n',
    '\ufeffaddress,password,name\r\nanna@quayside.example,pass word,Anna\r\n'
    'bert@quayside.example,12345678,"Bert, the ""2nd"""\r\n',
    '\n"name","Address","PASSWORD"\n"Anna","Anna@QUAYSIDE.example","pass word"\r\n\r\n'
    '"Bert, the ""2nd""",bert@quayside.example,12345678',
    '\ufeffaddress;password;name;\r\nanna@quayside.example;pass word;Anna;\r\n;;;\r\n'
    'bert@quayside.example;12345678;"Bert, the ""2nd"""\r\n',
], ids=["plain", "bom and crlf", "columns in another order", "semicolons and empty cells"])
def test_tables_as_programs_write_them(stopped, table, content):
    before = hashes(stopped)
    done = import_table(stopped, table(content))
    assert done.stdout == f'2 addresses added to "{HOTEL}"\n'
    assert imported(stopped) == ANNA_BERT
    new = [text for text in hashes(stopped) if text not in before]
    assert len(new) == 2
    for password in b"pass word", b"12345678":
        assert sum(verifies(text, password) for text in new) == 1


@pytest.mark.parametrize("program", spreadsheets.tables(""))
def test_tables_of_spreadsheets(stopped, table, program):
    import_table(stopped, table(spreadsheets.tables("quayside.example")[program]))
    assert imported(stopped) == [(f"{local}@quayside.example", name) for local, name in spreadsheets.NAMES.items()]


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["", "dry"])
def test_passwords_that_are_guessed_first_are_taken_with_a_warning(stopped, table, options):
    """Their owners have them already, and move with them; but somebody is told."""
    done = import_table(stopped, table("address,password\nanna@quayside.example,Welcome2024!\n"
                                       "bert@quayside.example,quite a good one\n"
                                       "carl@quayside.example,\ndora@quayside.example,dora-dora\n"), *options)
    lines = done.stderr.splitlines()
    assert ["line 2" in line and "anna@quayside.example" in line for line in lines] == [True]
    assert "address invite" in lines[0] and "Welcome" not in done.stderr
    assert len(imported(stopped)) == (0 if options else 4)


def test_empty_passwords_are_made_and_shown_once(stopped, table):
    before = hashes(stopped)
    done = import_table(stopped, table(
        "address,password\nanna@quayside.example,\nbert@quayside.example,12345678\n"
        "carl@quayside.example,\n"))
    shown = dict(line.split(": ") for line in done.stdout.splitlines()[1:])
    assert list(shown) == ["anna@quayside.example", "carl@quayside.example"]
    new = [text for text in hashes(stopped) if text not in before]
    for password in shown.values():
        assert re.fullmatch(r"(\w{4}-){3}\w{4}", password)
        assert sum(verifies(text, password.encode()) for text in new) == 1
        assert password not in database_text(stopped)


def test_only_the_address_is_needed(stopped, table):
    one = table("address\nanna@quayside.example\n")
    assert import_table(stopped, one, "--dry-run").stdout.startswith("1 address can be added")
    assert import_table(stopped, one).stdout.startswith(f'1 address added to "{HOTEL}"\n')
    assert imported(stopped) == [("anna@quayside.example", "")]


def test_a_table_without_rows_adds_nothing(stopped, table):
    assert import_table(stopped, table("address,password,name\n")).stdout.startswith("0 addresses")


@pytest.mark.parametrize("content, words", [
    ("", ["line 1", "empty"]),
    ("\n\n", ["line 1", "empty"]),
    ("anna@quayside.example,12345678,Anna\n", ["line 1", "address, name, hash, password"]),
    ("address,password,address\n", ["line 1", "address", "twice"]),
    ("address,password,nickname\n", ["line 1", "nickname", "address, name, hash, password"]),
    ("password,name\n12345678,Anna\n", ["line 1", "address"]),
    ('address,"password\n', ["line 1", "quote"]),
    ("address,password,name\n".encode("utf-16"), ["line 1", "UTF-8"]),
    ("address\n" + "".join(f"a{i}@quayside.example\n" for i in range(101)), ["100"]),
    ("x" * (1024 * 1024 + 1), ["too long"]),
], ids=range(10))
def test_what_is_no_table_is_refused(template, table, content, words):
    refused(import_table(template, table(content), check=False), "guests.csv", *words)


ROWS = [
    ("anna,12345678,Anna", "column address"),
    ("12345678,anna@quayside.example,Anna", "column address"),
    ("anna@nosuch.example,12345678,Anna", "nosuch.example"),
    ("anna@lighthouse.example,12345678,Anna", "lighthouse.example"),
    ("frontdesk@quayside.example,12345678,Anna", "already"),
    ("first@quayside.example,12345678,Anna", "line 2 already"),
    ("FIRST@quayside.example,12345678,Anna", "line 2 already"),
    ("anna@quayside.example,1234567,Anna", "password is too short"),
    ("anna@quayside.example,hidden\tsecret,Anna", "control"),
    ('anna@quayside.example,"hidden\nsecret",Anna', "control"),
    (b"anna@quayside.example,latin \xe9\xe8\xe7,Anna", "UTF-8"),
    (b"anna@quayside.example,12345678,Ren\xe9", "name"),
    ("anna@quayside.example,12345678," + "x" * 201, "name"),
    (",12345678,Anna", "column address"),
    ("anna@quayside.example,12345678,Anna,more", "field 4"),
    ('anna@quayside.example,12"345678,Anna', "quote"),
    ('anna@quayside.example,"12345678"9,Anna', "quote"),
    (b"anna@quayside.example,1234\x005678,Anna", "NUL"),
]


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["", "dry"])
@pytest.mark.parametrize("row, words", ROWS, ids=range(len(ROWS)))
def test_one_bad_row_keeps_the_others_out(template, table, row, words, options):
    before = database_text(template)
    row = row if isinstance(row, bytes) else row.encode()
    path = table(b"address,password,name\nfirst@quayside.example,12345678,First\n" + row +
                 b"\nlast@quayside.example,12345678,Last\n")
    done = import_table(template, path, *options, check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == "" and len(lines) == 2, done.stderr
    assert f"{path} line 3: " in lines[0] and words in lines[0]
    assert lines[1].endswith("has 1 mistake; nothing was added")
    assert "12345678" not in done.stderr and "hidden" not in done.stderr
    assert database_text(template) == before


def test_every_mistake_is_told_with_its_line(template, table):
    path = table("address,password,name\n"
                 "anna,12345678,Anna\n"
                 "\n"
                 'b@quayside.example,"quoted",\n'
                 "c@quayside.example,12345678,A\tC\n"
                 'd@quayside.example,"12345678\n'.replace('"12345678', '12"345678') +
                 "frontdesk@quayside.example,,\n"
                 "e@lighthouse.example,,\n"
                 "f@quayside.example,,,f\n")
    done = import_table(template, path, check=False)
    lines = [int(line.split(" line ")[1].split(":")[0]) for line in done.stderr.splitlines()[:-1]]
    assert sorted(lines) == [2, 4, 5, 6, 7, 8, 9]
    assert done.stderr.splitlines()[-1].endswith("has 7 mistakes; nothing was added")


def test_a_dry_run_changes_nothing(template, table):
    before = database_text(template)
    done = import_table(template, table("address\nanna@quayside.example\n"), "--dry-run")
    assert "nothing was changed" in done.stdout
    assert database_text(template) == before


def test_the_plan_is_kept_by_the_whole_table(stopped, table):
    rows = [f"guest{number}@quayside.example" for number in range(23)]
    before = database_text(stopped)
    done = import_table(stopped, table("address\n" + "\n".join(rows)), check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and len(lines) == 2
    assert "line 24: " in lines[0] and "house" in lines[0] and "25" in lines[0]
    assert database_text(stopped) == before
    import_table(stopped, table("address\n" + "\n".join(rows[:22])))
    assert len(imported(stopped)) == 22


def test_another_customers_domain_is_refused_and_its_own_is_not(stopped, table):
    path = table("address\nanna@lighthouse.example\n")
    assert import_table(stopped, path, check=False).returncode == 1
    import_table(stopped, path, customer=GROUP)


@pytest.mark.parametrize("customer, name, word", [
    ("Nobody", "guests.csv", "Nobody"), (HOTEL, "nosuch.csv", "nosuch.csv"), (HOTEL, ".", "read")])
def test_an_unknown_customer_or_file(template, table, tmp_path, customer, name, word):
    table("address\n")
    refused(import_table(template, tmp_path / name, customer=customer, check=False), word)


def test_the_file_is_relative_to_the_caller(stopped, table):
    path = table("address\nanna@quayside.example\n")
    done = subprocess.run([BIN / "bellhop", "-C", stopped.dir, "address", "import", path.name,
                           "--customer", HOTEL], cwd=path.parent, text=True, capture_output=True,
                          timeout=20)
    assert done.returncode == 0, done.stderr
    assert len(imported(stopped)) == 1


def test_a_hundred_addresses_at_once(stopped, table):
    stopped.cli("customer", "add", "Large", "--plan", "chain")
    stopped.cli("domain", "add", "large.example", "--customer", "Large")
    rows = "".join(f"guest{number}@large.example,,Guest {number}\n" for number in range(100))
    done = import_table(stopped, table("address,password,name\n" + rows), customer="Large")
    passwords = [line.split(": ")[1] for line in done.stdout.splitlines()[1:]]
    assert len(set(passwords)) == 100
    assert listing(stopped, "customer", "show", "Large")["addresses"] == 100


def test_two_imports_at_once_share_the_plan(stopped, table, tmp_path):
    """Each fits alone: one is added whole, the other is refused whole."""
    imports = []
    for half in "ab":
        path = tmp_path / f"{half}.csv"
        path.write_text("address\n" + "".join(f"{half}{number}@quayside.example\n"
                                              for number in range(15)))
        imports.append(subprocess.Popen(
            [BIN / "bellhop", "-C", stopped.dir, "address", "import", path, "--customer", HOTEL],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    ends = [(*one.communicate(timeout=30), one.returncode) for one in imports]
    assert sorted(status for *_, status in ends) == [0, 1], ends
    assert len(imported(stopped)) == 15
    assert len({address[0] for address, _ in imported(stopped)}) == 1
