"""Messages whose headers are not ASCII, for clients with UTF8 and without (RFC 6856 section 2.1)."""

import email
import email.header
import email.policy
import email.utils

from bellhop import retrieve
from wire import canonical, without_trace

UTF8_MAIL = canonical("""\
From: "Gast, Zoë" <zoe@hôtel.example>, 港町旅館 <受付@minatomachi.example>
To: Accueil Château du Lac <reception@chateaudulac.example>
Cc: réception@chateaudulac.example
Subject: Re: ご予約の確認 – réservation confirmée – 3 nuits, avec une très longue ligne
 de plus pour voir où elle est pliée
Message-ID: <plain@minatomachi.example>
References: <plain@minatomachi.example> <予約@minatomachi.example>
Received: from hôtel.example by relay.example; Thu, 05 Mar 2026 07:55:12 +0900
X-Note: untouched =?utf-8?q?caf=C3=A9?=
\tas it is
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8; name="Réservation pour le mois de mars, chambre côté lac.txt"
Content-Disposition: attachment; filename=日本.txt
Content-Transfer-Encoding: 8bit

Subject: Grüße
.ご予約ありがとうございます。
""".encode())

PARTS_MAIL = canonical("""\
From: zoe@x.example
Subject: two parts, and a header in ASCII
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_ teil"

--=_ teil
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße

--=_ teil
Content-Type: message/global
Content-Disposition: attachment; filename="Über uns.eml"
Content-Description: Weitergeleitete Größe

Subject: Nächste Woche

--=_ tail
Ü: x
--=_ teil--
""".encode())

LATIN_MAIL = canonical("From: Z\xf6 <zo@x.example>\nSubject: Gr\xfc\xdfe\n\nK\xf6ln".encode("latin-1"))


def shown(text):
    """An unstructured field as a client shows it."""
    return str(email.header.make_header(email.header.decode_header(text)))


def deliver(shared, account, *mails):
    for mail in mails:
        assert [reply.code for reply in
                shared.deliver(account.address, mail, options="SMTPUTF8")] == [250]


def fetched(shared, account):
    """The only message of a mailbox, as a client without UTF8 gets it; the mailbox is empty then."""
    pop3 = shared.pop3(account)
    message = without_trace(retrieve(pop3, 1))
    pop3.dele(1)
    pop3.quit()
    return message


def header_of(message):
    return message.partition(b"\r\n\r\n")[0]


def test_a_client_reads_what_was_written(shared):
    """Python's own reader finds the texts of the original in the surrogate."""
    account = shared.customers[0].accounts[0]
    deliver(shared, account, UTF8_MAIL)
    pop3 = shared.pop3(account)
    number = len(pop3.list()[1])
    surrogate = without_trace(retrieve(pop3, number))
    top = without_trace(b"\r\n".join(pop3.top(number, 1)[1]) + b"\r\n")
    pop3.dele(number)
    pop3.quit()

    header, _, body = surrogate.partition(b"\r\n\r\n")
    assert header.isascii() and max(map(len, header.split(b"\r\n"))) <= 78
    assert body == UTF8_MAIL.partition(b"\r\n\r\n")[2]
    assert top == header + b"\r\n\r\n" + body.partition(b"\r\n")[0] + b"\r\n"
    assert b"X-Note: untouched =?utf-8?q?caf=C3=A9?=\r\n\tas it is\r\n" in header

    original = email.message_from_bytes(UTF8_MAIL, policy=email.policy.SMTPUTF8)
    read = email.message_from_bytes(surrogate)
    assert shown(read["Subject"]) == original["Subject"]
    assert [(shown(name), address) for name, address in email.utils.getaddresses(
        read.get_all("From") + read.get_all("To") + read.get_all("Cc"))] == [
            ("Gast, Zoë", "zoe@xn--htel-vqa.example"),
            ("港町旅館 <受付@minatomachi.example>", "invalid@internationalized-address.invalid"),
            ("Accueil Château du Lac", "reception@chateaudulac.example"),
            ("réception@chateaudulac.example", "invalid@internationalized-address.invalid")]
    assert read["Message-ID"] == "<plain@minatomachi.example>"
    assert read["References"] is None
    assert shown(read["Downgraded-References"]) == original["References"]
    assert read["Received"] is None
    assert read.get_filename() == "日本.txt"
    named = email.message_from_bytes(surrogate, policy=email.policy.SMTP)["Content-Type"].params
    assert named == {"charset": "utf-8",
                     "name": "Réservation pour le mois de mars, chambre côté lac.txt"}


def test_with_utf8_as_it_was_written(shared):
    account = shared.customers[1].accounts[0]
    deliver(shared, account, UTF8_MAIL, LATIN_MAIL)
    pop3 = shared.pop3_greeted(tls=True)
    pop3.utf8()
    pop3.user(account.address)
    pop3.pass_(account.password)
    first = len(pop3.list()[1]) - 1
    for number, mail in (first, UTF8_MAIL), (first + 1, LATIN_MAIL):
        message = retrieve(pop3, number)
        assert without_trace(message) == mail
        assert pop3.list(number) == b"+OK %d %d" % (number, len(message))
        assert b"\r\n".join(pop3.top(number, 0)[1]) == header_of(message) + b"\r\n"
        pop3.dele(number)
    pop3.quit()


def test_what_is_no_utf8(shared):
    """Nobody knows its charset, so nobody says one; the octets are all there."""
    account = shared.customers[0].accounts[1]
    deliver(shared, account, LATIN_MAIL)
    surrogate = fetched(shared, account)
    assert header_of(surrogate).isascii()
    read = email.message_from_bytes(surrogate)
    assert email.header.decode_header(read["Subject"]) == [(b"Gr\xfc\xdfe", "unknown-8bit")]
    assert surrogate.endswith(b"\r\n\r\nK\xf6ln\r\n")


def test_headers_of_parts(shared):
    account = shared.customers[0].accounts[0]
    deliver(shared, account, PARTS_MAIL)
    surrogate = fetched(shared, account)
    assert header_of(surrogate) == header_of(PARTS_MAIL)
    text, attached = email.message_from_bytes(surrogate).get_payload()
    assert text.get_payload(decode=True) == "Grüße\r\n".encode()
    assert attached.get_filename() == "Über uns.eml"
    assert shown(attached["Content-Description"]) == "Weitergeleitete Größe"
    inner, = attached.get_payload()
    assert shown(inner["Subject"]) == "Nächste Woche"
    assert inner.get_payload(decode=True) == "--=_ tail\r\nÜ: x".encode()


def test_one_after_the_other(shared):
    """Each in its place: also when many are asked for at once, or fetched in order, and long ones."""
    account = shared.customers[1].accounts[1]
    long_mail = b"X-Long: " + b"w\xc3\xb6rter " * 20_000 + b"\r\n" + UTF8_MAIL
    plain = b"Subject: plain\r\n\r\n\xc3\xbc\r\n"
    mails = [plain, UTF8_MAIL, plain, long_mail, UTF8_MAIL, plain, UTF8_MAIL, LATIN_MAIL] * 2
    deliver(shared, account, *mails)
    pop3 = shared.pop3(account)
    single = [retrieve(pop3, number) for number in range(1, len(mails) + 1)]
    pop3.quit()
    assert all(header_of(message).isascii() for message in single)
    for message, mail in zip(single, mails):
        assert message.endswith(mail.partition(b"\r\n\r\n")[2])
        assert len(message) < 4 * len(mail) + 1000
        if mail is plain:
            assert without_trace(message) == plain
        if mail is long_mail:
            assert message.count(b"w??rter ") == 20_000
    with shared.wire("pop3") as wire:
        wire.line()
        wire.command(f"USER {account.address}")
        assert wire.command(f"PASS {account.password}").startswith(b"+OK")
        wire.send(b"".join(b"RETR %d\r\n" % (i + 1) for i in range(len(mails))) + b"RSET\r\n")
        for message in single:
            assert wire.line().startswith(b"+OK")
            assert b"".join(line + b"\r\n" for line in wire.lines()) == message
        assert wire.line().startswith(b"+OK")
