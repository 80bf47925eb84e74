"""Messages whose headers are not ASCII, for clients with UTF8 and without (RFC 6856 section 2.1)."""

import email
import email.header
import email.policy
import email.utils
import subprocess
from itertools import cycle, islice

import pytest

from bellhop import QUICK, Instance, retrieve, wait_until
from mailfiles import make_maildir, read_maildir
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


# --- sizes

LATE_PART = b"".join([
    b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n",
    b"The rooms that look to the lake are all taken on these days.\r\n" * 4000,
    b"--b\r\nContent-Disposition: attachment; filename=\xc3\xbcber.txt\r\n\r\n42\r\n--b--\r\n"])

# What nobody but an import brings without fields in front.
HOSTILE = [
    b"\xef\xbb\xbf.\r\nSubject: a mark and a dot\r\n\r\ntext\r\n",
    b"\xef\xbb\xbf\r\nSubject: a mark alone\r\n\r\ntext\r\n",
    b" . \xc3\xbc\r\n\r\n.\r\n",
    b".\xc3\xbc\r\n..\xc3\xbc: x\r\n.x: \xc3\xbc\r\n\r\n..\r\n",
    b"\r\n\xc3\xbc: no header\r\n",
    b"\xc3\xbc: " * 3 + b"nothing is left of it\r\n",
    b"Subject: \xfc",
    b"To: " + b"\xfc," * 20_000 + b"\r\n\r\n",
    b"X: " + b"\xfc" * 200_000 + b"\r\n\r\n\xfc\r\n",
    b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n)
             for n in range(12)) + b"Subject: \xc3\xbc\r\n\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\xc3\xbc: \xfc\r\n.\r\n\r\n" * 999,
    b"Content-Type: message/rfc822\r\n\r\n" * 50 + b"From: \xc3\xbc\r\n\r\n",
    b"Subject: 8 bit in the body alone\r\n\r\n" + b"\xc3\xbc\r\n" * 30_000,
]


def check_sizes(instance, account, utf8=False):
    """STAT, LIST, RETR's first line and TOP fit to what RETR sends. Returns that."""
    with instance.wire("pop3") as wire:
        wire.line()
        if utf8:
            assert wire.command("UTF8").startswith(b"+OK")
        wire.command(f"USER {account.address}")
        assert wire.command(f"PASS {account.password}").startswith(b"+OK")
        status = wire.command("STAT")
        wire.command("LIST")
        sizes = [int(line.split()[1]) for line in wire.lines()]
        assert status == b"+OK %d %d" % (len(sizes), sum(sizes))
        messages = []
        for number, size in enumerate(sizes, 1):
            assert wire.command(f"LIST {number}") == b"+OK %d %d" % (number, size)
            assert wire.command(f"RETR {number}") == b"+OK %d octets" % size
            messages.append(b"".join(line + b"\r\n" for line in wire.lines()))
            assert len(messages[-1]) == size, messages[-1][:200]
            assert wire.command(f"TOP {number} 0").startswith(b"+OK")
            top = b"".join(line + b"\r\n" for line in wire.lines())
            assert messages[-1].startswith(top)
        assert wire.command("DELE 1").startswith(b"+OK")
        assert wire.command("STAT") == b"+OK %d %d" % (len(sizes) - 1, sum(sizes[1:]))
        assert wire.command("RSET").startswith(b"+OK")
        assert wire.command("STAT") == status
    return messages


def test_sizes_of_ordinary_mail(instance, mail):
    """The one customer's mail has a header more than the other's."""
    texts = [*mail.values(), UTF8_MAIL, PARTS_MAIL, LATIN_MAIL, LATE_PART]
    sent = [[canonical(b"X-House: \xc3\xbc\r\n" * number + text) for text in texts]
            for number in range(2)]
    for customer, own in zip(instance.customers, sent):
        deliver(instance, customer.accounts[0], *own)
    for customer, own in zip(instance.customers, sent):
        original = check_sizes(instance, customer.accounts[0], utf8=True)
        assert [without_trace(message) for message in original] == own
        shown = check_sizes(instance, customer.accounts[0])
        assert all(header_of(message).isascii() for message in shown)
        assert all(one == other for one, other in zip(shown, original)
                   if header_of(other).isascii() and b"boundary" not in header_of(other))
        assert b"filename*=utf-8''%C3%BCber.txt" in shown[-1]


def test_sizes_of_hostile_mail(instance, tmp_path):
    make_maildir(tmp_path / "source", HOSTILE)
    for customer in instance.customers:
        account = customer.accounts[0]
        instance.cli("mailbox", "import", account.address, "--maildir", tmp_path / "source")
        assert check_sizes(instance, account, utf8=True) == [canonical(text) for text in HOSTILE]
        shown = check_sizes(instance, account)
        assert all(header_of(b"\r\n" + message).isascii() for message in shown)
        assert shown[0].startswith(b".\r\nSubject: a mark and a dot\r\n")
        assert shown[4] == HOSTILE[4] and shown[-1] == HOSTILE[-1]


def test_sizes_of_a_large_mailbox(shared):
    """So large that STAT is answered before the list has come."""
    texts = list(islice(cycle([UTF8_MAIL, b"Subject: plain\r\n\r\n", PARTS_MAIL]), 600))
    for customer in shared.customers:
        account = shared.address(customer, "large")
        with shared.lmtp() as lmtp:
            for text in texts:
                assert lmtp.deliver(account.address, text)[0].code == 250
        shown = [without_trace(message) for message in check_sizes(shared, account)]
        assert len(shown) == 600 and shown[0] != shown[1] == shown[598] != shown[599]
        original = check_sizes(shared, account, utf8=True)
        assert [without_trace(message) for message in original] == texts


def segment_names(instance):
    return {file.name for file in (instance.dir / "store").glob("*.seg")}


@pytest.fixture
def moved(stopped):
    """Mail with surrogates in the second mailbox of both customers, moved by compaction."""
    stopped.configure(segment_size=4 << 20, reclaim_rate="1G")
    instance = stopped.start()
    # Small enough that the space is not given back without moving what lies between.
    filler = b"Subject: filler\r\n\r\n" + b"x" * 70 + b"\r\n" * 30_000
    for customer in instance.customers:
        for text in UTF8_MAIL, LATE_PART, b"Subject: plain\r\n\r\n", PARTS_MAIL:
            deliver(instance, customer.accounts[1], text)
            deliver(instance, customer.accounts[2], *[filler] * 50)
    before = segment_names(instance)
    for customer in instance.customers:
        pop3 = instance.pop3(customer.accounts[2])
        for number in range(200):
            pop3.dele(number + 1)
        pop3.quit()
    # One is spared for the slack, one is the active one.
    wait_until(lambda: len(before & segment_names(instance)) <= 2 and
               "bellhop_store_moved_octets_total 0" not in instance.http("/metrics")[1],
               30, "compaction")
    return instance


def test_sizes_stay_what_they_are(moved, tmp_path):
    """Through compaction, a rebuilt index, backup and restore, export and import."""
    accounts = [customer.accounts[1] for customer in moved.customers]

    def all_of(instance, of=None):
        return [check_sizes(instance, account, utf8) for account in of or accounts
                for utf8 in (False, True)]

    first = all_of(moved)
    for shown, original in zip(first[::2], first[1::2]):
        assert [one != other for one, other in zip(shown, original)] == [True, True, False, True]
    moved.cli("backup", tmp_path / "backup")
    moved.stop()
    moved.cli("store", "verify")
    moved.cli("store", "rebuild")
    moved.cli("store", "verify")
    moved.start()
    assert all_of(moved) == first

    restored = Instance(tmp_path / "restored")
    restored.configure(**QUICK)
    try:
        restored.cli("restore", tmp_path / "backup")
        restored.cli("store", "verify")
        restored.start()
        assert all_of(restored) == first
    finally:
        restored.finish()

    others = [customer.accounts[0] for customer in moved.customers]
    for number, (account, other) in enumerate(zip(accounts, others)):
        moved.cli("mailbox", "export", account.address, "--maildir", tmp_path / f"{number}")
        exported = [file.text.replace(b"\n", b"\r\n")
                    for file in read_maildir(tmp_path / f"{number}")]
        assert sorted(exported) == sorted(first[2 * number + 1])
        moved.cli("mailbox", "import", other.address, "--maildir", tmp_path / f"{number}")
    assert all_of(moved, others) == first


def test_an_index_of_the_version_before_is_taken_as_it_is(moved):
    """And what it does not know of surrogates comes back with a rebuild."""
    account = moved.customers[0].accounts[1]
    known = check_sizes(moved, account)
    moved.stop()
    subprocess.run(["sqlite3", moved.dir / "store" / "index.db",
                    "DROP TABLE surrogate; ALTER TABLE mailbox DROP COLUMN surrogates;"
                    "ALTER TABLE mailbox DROP COLUMN growth; PRAGMA user_version = 2"],
                   check=True, timeout=30)
    moved.start()
    pop3 = moved.pop3(account)
    sizes = [int(line.split()[1]) for line in pop3.list()[1]]
    assert sizes != [len(message) for message in known]
    assert [retrieve(pop3, number + 1) for number in range(len(sizes))] == known
    pop3.quit()
    moved.stop()
    moved.cli("store", "rebuild")
    moved.start()
    assert check_sizes(moved, account) == known
