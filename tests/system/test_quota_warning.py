"""Warnings at 80 and 95 percent of a quota: once each time, in the customer's language and words."""

import email
import email.policy
import errno
import re
import signal

import pytest

from bellhop import signal_process, wait_until
from disk import SEGMENTS, Disk
from wire import canonical

TEN_K = b"Subject: a tenth\r\n\r\n" + 121 * (b"x" * 76 + b"\r\n")  # 9.7 kB as delivered
QUOTA = 100 * 1024


@pytest.fixture
def instance(stopped):
    return stopped


@pytest.fixture
def hotels(instance):
    """Two customers with two languages and a quota that ten messages nearly fill."""
    for plan in ("small", "few"):
        instance.cli("plan", "add", plan, "--addresses", 9, "--domains", 2, "--quota-bytes", QUOTA,
                     "--message-bytes", "64K", "--quota-messages", 20 if plan == "few" else 1000)
    instance.configure(language="de")
    gasthof = instance.customer("Gasthof", "small", "gasthof.example", "rezeption", "küche",
                                "buero")
    auberge = instance.customer("Auberge", "few", "auberge.example", "accueil")
    instance.cli("customer", "set", "Auberge", "--language", "fr")
    instance.start()
    return gasthof, auberge


def counted(instance):
    return int(re.search(r"(?m)^bellhop_quota_warnings_total (\d+)$", instance.http("/metrics")[1])
               .group(1))


def fill(instance, address, count, message=TEN_K):
    with instance.lmtp() as lmtp:
        for _ in range(count):
            [reply] = lmtp.deliver(address, message)
            assert reply.code == 250, reply


def warnings(instance, account, expected):
    """Those in the mailbox as parsed messages, when there are as many as expected."""
    def found():
        messages = [email.message_from_bytes(message, policy=email.policy.default)
                    for message in instance.messages(account).values()]
        some = [m for m in messages if m["Auto-Submitted"] == "auto-generated"]
        return some if len(some) >= expected else None
    got = wait_until(found, what=f"{expected} warnings") if expected else (found() or [])
    assert len(got) == expected
    return got


def settled(instance, count):
    wait_until(lambda: counted(instance) >= count, what=f"{count} warnings")
    assert counted(instance) == count


def test_each_line_is_told_once_in_the_customers_language(instance, hotels):
    reception, accueil = hotels[0].accounts[0], hotels[1].accounts[0]
    fill(instance, reception.address, 8)
    [first] = warnings(instance, reception, 0) or [None]
    assert first is None
    fill(instance, reception.address, 1)
    [first] = warnings(instance, reception, 1)
    assert first["Subject"].startswith("Ihr Postfach ist zu 8")
    assert first["To"] == reception.address
    assert first["From"].addresses[0].username == "postmaster"
    assert first["Return-Path"] == "<>"
    assert first["MIME-Version"] == "1.0" and first["Precedence"] is None
    assert first["Message-ID"] and first["Date"].datetime
    text = first.get_content()
    assert "9 von höchstens 1000 Nachrichten" in text and "100 KB" in text and "für" not in text.split()[0]
    assert "Löschen Sie" in text and reception.address in text and "{" not in text
    fill(instance, reception.address, 1)
    first, second = warnings(instance, reception, 2)
    assert "9" in second["Subject"] and first["Message-ID"] != second["Message-ID"]
    settled(instance, 2)
    # The other customer has its own language, and its plan counts messages.
    fill(instance, accueil.address, 15, b"Subject: petit\r\n\r\n")
    settled(instance, 2)
    fill(instance, accueil.address, 1, b"Subject: petit\r\n\r\n")
    [french] = warnings(instance, accueil, 1)
    assert french["Subject"] == "Votre boîte aux lettres est pleine à 80 %"
    assert "16 messages sur 20 au plus" in french.get_content()
    settled(instance, 3)


def test_again_after_room_was_made(instance, hotels):
    reception = hotels[0].accounts[0]
    for round in (1, 2):
        fill(instance, reception.address, 9)
        settled(instance, round)
        warnings(instance, reception, 1)
        pop3 = instance.pop3(reception)
        for number in range(1, len(pop3.list()[1]) + 1):
            pop3.dele(number)
        pop3.quit()
    assert not instance.messages(reception)


def test_a_mailbox_that_becomes_full_to_the_last_octet_is_warned(instance, hotels):
    reception = hotels[0].accounts[0]
    fill(instance, reception.address, 8)
    have = sum(map(len, instance.messages(reception).values()))
    with instance.lmtp() as lmtp:
        room = QUOTA - have
        trace = len(instance.messages(reception).popitem()[1]) - len(canonical(TEN_K))
        last = b"Subject: last\r\n\r\n" + b"y" * (room - trace - 19) + b"\r\n"
        [reply] = lmtp.deliver(reception.address, last)
        assert reply.code == 250, reply
    [only] = warnings(instance, reception, 1)
    assert "100 %" in only["Subject"]
    settled(instance, 1)
    [reply] = instance.deliver(reception.address, b"Subject: more\r\n\r\n")
    assert reply.code == 452


def test_only_who_crosses_among_several_recipients(instance, hotels):
    reception, kitchen, office = hotels[0].accounts
    fill(instance, reception.address, 8)
    fill(instance, office.address, 2)
    with instance.lmtp() as lmtp:
        replies = lmtp.deliver([reception.address, office.address, "nobody@gasthof.example"], TEN_K)
        assert [reply.code for reply in replies] == [250, 250, 550]
    warnings(instance, reception, 1)
    warnings(instance, office, 0)
    settled(instance, 1)
    with instance.lmtp() as lmtp:  # a local part that is not ASCII
        for _ in range(9):
            assert lmtp.ask("MAIL FROM:<> SMTPUTF8").code == 250
            assert lmtp.ask(f"RCPT TO:<{kitchen.address}>").code == 250
            lmtp.ask("DATA")
            lmtp.send(TEN_K + b".\r\n")
            assert lmtp.reply().code == 250
    settled(instance, 2)
    assert f"To: <{kitchen.address}>".encode() in b"".join(instance.messages(kitchen).values())


def test_the_texts_are_the_operators(instance, hotels):
    reception, _, office = hotels[0].accounts
    german = instance.dir / "texts" / "quota-warning.de.txt"
    french = instance.dir / "texts" / "quota-warning.fr.txt"
    german.write_text("Subject: {address} voll\n\nGrüß Gott, {used}!\n.\n")
    french.write_text("Sujet : {rien}\n\nBonjour\n")
    kept = german.read_text()
    instance.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "texts/quota-warning.fr.txt: line 1" in instance.log)
    fill(instance, reception.address, 9)
    [warning] = warnings(instance, reception, 1)
    assert warning["Subject"] == f"{reception.address} voll"
    assert re.fullmatch(r"Grüß Gott, [0-9,]+ KB!\n\.\n", warning.get_content().replace("\r\n", "\n"))
    fill(instance, hotels[1].accounts[0].address, 9)
    [warning] = warnings(instance, hotels[1].accounts[0], 1)
    assert warning["Subject"].startswith("Votre boîte aux lettres")
    # The same after a restart, and with a file that is away.
    french.unlink()
    instance.restart()
    assert german.read_text() == kept
    assert "texts/quota-warning.fr.txt: it cannot be read" in instance.log
    fill(instance, office.address, 9)
    [warning] = warnings(instance, office, 1)
    assert warning["Subject"] == f"{office.address} voll"


def test_a_sender_that_does_not_wait_and_a_stop(instance, hotels):
    """The stop waits for the warning; nobody is told twice after it."""
    reception = hotels[0].accounts[0]
    fill(instance, reception.address, 9)
    instance.restart()
    warnings(instance, reception, 1)
    fill(instance, reception.address, 1)
    warnings(instance, reception, 2)


def test_stored_is_away_for_a_moment(instance, hotels):
    reception = hotels[0].accounts[0]
    fill(instance, reception.address, 8)
    [pid] = instance.pids()["stored"]
    with instance.lmtp() as lmtp:
        [reply] = lmtp.deliver(reception.address, TEN_K)
        signal_process(pid, signal.SIGKILL)
        assert reply.code == 250
    instance.wait_healthy()
    warnings(instance, reception, 1)


def test_a_message_that_is_not_durable_warns_nobody(stopped, tmp_path):
    disk = Disk(stopped)
    stopped.cli("plan", "add", "small", "--quota-bytes", QUOTA, "--message-bytes", "64K")
    guest = stopped.address(stopped.customer("Guest", "small", "guest.example"), "in")
    stopped.start()
    fill(stopped, guest.address, 8)
    disk.fail("sync", SEGMENTS, errno.EIO)
    for _ in range(3):
        assert stopped.deliver(guest.address, TEN_K)[0].code == 451
    disk.clear()
    warnings(stopped, guest, 0)
    wait_until(lambda: stopped.deliver(guest.address, TEN_K)[0].code == 250)
    warnings(stopped, guest, 1)
    settled(stopped, 1)
