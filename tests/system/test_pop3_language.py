"""RFC 6856: answers in the client's language, and user names and passwords in UTF-8."""

import base64
import re
import unicodedata

import pytest

from test_pop3 import capabilities, greeted, is_closed, log_in, logged_in

# The answer to a wrong password.
WRONG = {
    "en": "wrong user name or password",
    "de": "Benutzername oder Passwort ist falsch",
    "fr": "nom d'utilisateur ou mot de passe incorrect",
    "es": "usuario o contraseña incorrectos",
    "it": "nome utente o password errati",
    "nl": "gebruikersnaam of wachtwoord onjuist",
    "pt": "nome de utilizador ou palavra-passe incorretos",
    "ja": "ユーザー名またはパスワードが正しくありません",
}


def languages(wire):
    assert wire.command("LANG").startswith(b"+OK ")
    return dict(line.decode().split(" ", 1) for line in wire.lines())


def test_listing(shared):
    with greeted(shared) as wire:
        assert capabilities(wire)["LANG"] == []
        before = languages(wire)
        assert set(before) == set(WRONG)
        assert before["de"] == "Deutsch" and before["ja"] == "日本語"
        assert log_in(wire, shared.customers[0].accounts[0]).startswith(b"+OK")
        assert capabilities(wire)["LANG"] == []
        assert languages(wire) == before


@pytest.mark.parametrize("tag", WRONG)
def test_answers_in(shared, tag):
    """Codes stay; so does the language after the login; a refused LANG changes nothing."""
    account = shared.customers[0].accounts[0]
    with greeted(shared, "pop3s") as wire:
        assert wire.command(f"LANG {tag.upper()}-XX").decode().startswith(f"+OK {tag} ")
        assert wire.command("LANG uga").startswith(b"-ERR ")
        wire.command(f"USER {account.address}")
        assert wire.command("PASS wrong").decode() == f"-ERR [AUTH] {WRONG[tag]}"
        assert log_in(wire, account).startswith(b"+OK")
        answer = wire.command("RETR 99").decode()
        assert answer.startswith("-ERR ") and (answer == "-ERR no such message") == (tag == "en")
        assert wire.command("STAT") == b"+OK 0 0"
        assert wire.command("LANG en").startswith(b"+OK en ")
        assert wire.command("RETR 99") == b"-ERR no such message"


def test_ascii_until_lang(shared):
    """Also in UTF-8 mode: only LANG asks for another language."""
    with greeted(shared) as wire:
        wire.send(b"UTF8\r\nXYZZY\r\nUSER x\r\nPASS y\r\nPASS z\r\nAUTH PLAIN !\r\nQUIT\r\n")
        assert wire.file.read().isascii()


def test_the_servers_choice(instance):
    """Before the login it is the operator's for everyone, then the customer's."""
    hotel, hostels = instance.customers
    instance.cli("customer", "set", hotel.name, "--language", "fr")
    for customer, tag in ((hotel, "fr"), (hostels, "en")):
        with greeted(instance) as wire:
            assert wire.command(f"USER {customer.accounts[0].address}").startswith(b"+OK")
            assert wire.command("LANG *").startswith(b"+OK en ")
            assert log_in(wire, customer.accounts[0]).startswith(b"+OK")
            assert wire.command("LANG *").startswith(f"+OK {tag} ".encode())


@pytest.mark.parametrize("command", ["LANG de fr", "LANG  de", "LANG " + "x" * 200, "LANG -",
                                     "LANG *-de", "UTF8 now"])
def test_wrong_arguments(shared, command):
    with greeted(shared) as wire:
        assert wire.command(command).startswith(b"-ERR ")
        assert wire.command("LANG de").startswith(b"+OK de ")


def test_starttls_forgets_the_language(shared):
    with greeted(shared) as wire:
        assert wire.command("LANG de").startswith(b"+OK de ")
        assert wire.command("STLS").startswith(b"+OK")
        wire.start_tls(shared.tls)
        assert wire.command("PASS x") == b"-ERR send USER right before PASS"


# --- UTF8


def test_utf8_is_for_before_the_login(shared):
    with greeted(shared) as wire:
        assert capabilities(wire)["UTF8"] == ["USER"]
        assert wire.command("UTF8").startswith(b"+OK")
        assert wire.command("UTF8").startswith(b"+OK")
        found = capabilities(wire)
        assert found["UTF8"] == ["USER"] and "STLS" not in found
        answer = wire.command("STLS")
        assert answer.startswith(b"-ERR ") and b"[" not in answer
        assert log_in(wire, shared.customers[0].accounts[0]).startswith(b"+OK")
        assert capabilities(wire)["UTF8"] == ["USER"]
        answer = wire.command("UTF8")
        assert answer.startswith(b"-ERR ") and b"[" not in answer
        assert wire.command("NOOP") == b"+OK"


def attempt(instance, name, password, utf8):
    with greeted(instance) as wire:
        if utf8:
            assert wire.command("UTF8").startswith(b"+OK")
        wire.send(b"USER " + name + b"\r\nPASS " + password + b"\r\nQUIT\r\n")
        answers = wire.file.read().splitlines()
    return answers[-2]


@pytest.fixture(scope="module")
def guest(shared):
    """An account with a name and a password that are not ASCII, typed in one form."""
    account = shared.address(shared.customers[1], "zoë", "schlüssel für 部屋 №5")
    assert account.address == "zoë@lighthouse.example"
    return account


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_each_form_of_a_name_and_a_password(shared, guest, form, utf8):
    name = unicodedata.normalize(form, guest.address).encode()
    password = unicodedata.normalize(form, guest.password).encode()
    assert attempt(shared, name, password, utf8).startswith(b"+OK ")


def test_auth_with_utf8(shared, guest):
    response = base64.b64encode(f"\0{guest.address}\0{guest.password}".encode()).decode()
    with greeted(shared) as wire:
        assert wire.command(f"AUTH PLAIN {response}").startswith(b"+OK ")


@pytest.mark.parametrize("name", ["zoë@lighthouse.example".encode("latin-1"),
                                  "zoe@lighthouse.example".encode()])
def test_what_is_another_name(shared, guest, name):
    assert attempt(shared, name, guest.password.encode(), True).startswith(b"-ERR [AUTH] ")


def test_what_is_another_password(shared, guest):
    for number, password in enumerate([
            "schlüssel für".encode("latin-1"), b"\xc0\xaf" * 8, b"\xed\xa0\x80" * 4,
            "schlüssel fur 部屋 №5".encode(), "\u00ad".encode(), "schlüssel für 部屋 №5\u0085".encode()]):
        if number % 4 == 0:  # more for one mailbox would be delayed
            account = shared.address(shared.customers[1], f"zoë{number}", guest.password)
        answer = attempt(shared, account.address.encode(), password, True)
        assert answer.startswith(b"-ERR [AUTH] "), password


def test_mail_comes_for_each_form_of_a_name(instance):
    """What logs in also receives: one form for both."""
    account = instance.address(instance.customers[0], unicodedata.normalize("NFD", "josé"))
    for form in ("NFC", "NFD"):
        address = unicodedata.normalize(form, account.address)
        [reply] = instance.deliver(address, b"Subject: hola\r\n\r\nx\r\n", options="SMTPUTF8")
        assert reply.code == 250
    with logged_in(instance, account) as wire:
        assert re.match(rb"\+OK 2 ", wire.command("STAT"))


def test_a_password_that_cannot_be_prepared_is_not_set(instance):
    for password in ("secret \ue000 word", "אבגדהוז latin"):
        done = instance.cli("address", "add", f"x@{instance.customers[0].domain}",
                            "--password-stdin", input=password + "\n", check=False)
        assert done.returncode == 1 and "SASLprep" in done.stderr


# --- AUTH alone


def test_bare_auth_lists_the_mechanisms(shared):
    with greeted(shared) as wire:
        mechanisms = capabilities(wire)["SASL"]
        for command in ("AUTH", "AUTH ", "auth"):
            assert wire.command(command).startswith(b"+OK ")
            assert [line.decode() for line in wire.lines()] == mechanisms
        assert wire.command("QUIT") == b"+OK goodbye"
        assert is_closed(wire)
