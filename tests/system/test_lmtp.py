"""LMTP on the wire: every reply, in order; what ends a message; what happens around it."""

import re
import signal
import smtplib
import time

import pytest

from bellhop import retrieve, signal_process, wait_gone, wait_until
from wire import Lmtp, stuffed, without_trace

NOTE = b"Subject: a note\r\n\r\nshort and sweet\r\n"


def empty(instance, account) -> list[bytes]:
    """Takes everything out of a mailbox as it was delivered, so that the next test finds it empty."""
    pop3 = instance.pop3(account, utf8=True)
    found = [retrieve(pop3, number + 1) for number in range(pop3.stat()[0])]
    for number in range(len(found)):
        pop3.dele(number + 1)
    pop3.quit()
    return found


def contents(instance, account) -> list[bytes]:
    return [without_trace(message) for message in empty(instance, account)]


def metric(instance, name):
    return int(re.search(rf"(?m)^bellhop_{name}_total (\d+)$",
                         instance.http("/metrics")[1]).group(1))


def desks(instance):
    """One address of each of the two customers that every instance has."""
    return [customer.accounts[0] for customer in instance.customers[:2]]


def codes(replies):
    return [f"{reply.code} {reply.text[:5]}" for reply in replies]


def alias(instance, address, accounts):
    instance.cli("address", "add", address, "--to", ",".join(account.address for account in accounts))


def test_lhlo_names_what_there_is(shared):
    for unix in (False, True):
        with shared.lmtp(unix) as lmtp:
            assert lmtp.greeting.code == 220 and "LMTP" in lmtp.greeting.text
            assert lmtp.hello.code == 250
            names = lmtp.hello.text.splitlines()[1:]
            assert names[:4] == ["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"]
            assert re.fullmatch(r"SIZE \d+", names[4])
    hotel, group = desks(shared)
    assert codes(shared.deliver([hotel.address, group.address], NOTE)) == ["250 2.0.0"] * 2
    assert contents(shared, hotel) == contents(shared, group) == [NOTE]


# What is said, and how the answer begins; {0} and {1} are addresses of two customers.
COMMANDS = {
    "before LHLO": [
        ("MAIL FROM:<>", "503 5.5.1"), ("RCPT TO:<{0}>", "503 5.5.1"), ("DATA", "503 5.5.1"),
        ("NOOP", "250 2.0.0"), ("RSET", "250 2.0.0"), ("VRFY {0}", "252 2.0.0")],
    "SMTP": [("HELO client.example", "500 5.5.1"), ("EHLO client.example", "500 5.5.1")],
    "order": [
        ("LHLO c.example", "250 "), ("RCPT TO:<{0}>", "503 5.5.1"), ("DATA", "503 5.5.1"),
        ("MAIL FROM:<>", "250 2.1.0"), ("MAIL FROM:<>", "503 5.5.1"), ("DATA", "503 5.5.1"),
        ("RCPT TO:<{0}>", "250 2.1.5"), ("RCPT TO:<{1}>", "250 2.1.5"), ("RSET", "250 2.0.0"),
        ("DATA", "503 5.5.1")],
    "no valid recipient": [
        ("LHLO c.example", "250 "), ("MAIL FROM:<a@b.example>", "250 2.1.0"),
        ("RCPT TO:<nobody@quayside.example>", "550 5.1.1"),
        ("RCPT TO:<frontdesk@nowhere.example>", "550 5.1.1"), ("DATA", "503 5.5.1")],
    "parameters": [
        ("LHLO c.example", "250 "), ("MAIL FROM:<> SIZE=10 BODY=8BITMIME SMTPUTF8", "250 2.1.0"),
        ("RCPT TO:<{0}> ORCPT=rfc822;x", "555 5.5.4"), ("RCPT TO:<{1}>", "250 2.1.5"),
        ("RSET", "250 2.0.0"), ("MAIL FROM:<> RET=FULL", "555 5.5.4"),
        ("MAIL FROM:<> SIZE=ten", "501 5.5.4"), ("MAIL FROM:<> BODY=9BIT", "501 5.5.4"),
        ("MAIL FROM:<> SIZE=99999999999999999999", "552 5.3.4")],
    "syntax": [
        ("LHLO", "501 5.5.4"), ("LHLO c.example", "250 "), ("MAIL FROM:a@b.example", "501 5.5.4"),
        ("MAIL FROM:<a@b@c.example>", "501 5.1.7"), ("MAIL FROM:<>", "250 2.1.0"),
        ("RCPT TO:{0}", "501 5.5.4"), ("RCPT TO:<{0}", "501 5.5.4"),
        ("RCPT TO:<frontdesk>", "501 5.1.3"), ("RCPT TO:<{1}>", "250 2.1.5"),
        ("DATA now", "501 5.5.4"), ("BDAT 10 LAST", "500 5.5.2")],
    "addresses in other forms": [
        ("LHLO c.example", "250 "), ("mail from:<\"a b\"@c.example>", "250 2.1.0"),
        ("rcpt to:<FRONTDESK@Quayside.EXAMPLE>", "250 2.1.5"),
        ("RCPT TO:<@relay.example:{1}>", "250 2.1.5"),
        ("RCPT TO:<\"frontdesk\"@quayside.example>", "250 2.1.5"),
        ("RCPT TO:<postmaster>", "550 5.1.1"),
        ("RCPT TO:<f\u00e4hre@quayside.example>", "553 5.6.7")],
    "long lines": [
        ("NOOP " + "x" * 2041, "250 2.0.0"), ("NOOP " + "x" * 2042, "500 5.5.2"),
        ("NOOP " + "QUIT" * 30000, "500 5.5.2"), ("NOOP", "250 2.0.0")],
    "line ends": [
        ("NOOP\nNOOP", "500 5.5.2"), ("NOOP\rNOOP", "500 5.5.2"), ("NO\0OP", "500 5.5.2"),
        ("NOOP", "250 2.0.0")],
    "too many bad commands": [("GET / HTTP/1.1", "500 5.5.2")] * 9 + [("Host: x", "421 4.7.0")],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("how", ["one by one", "in one write", "octet by octet"])
def test_replies(shared, name, how):
    hotel, group = desks(shared)
    script = [(said.format(hotel.address, group.address), answer)
              for said, answer in COMMANDS[name]]
    if how == "octet by octet" and sum(len(said) for said, _ in script) > 5000:
        pytest.skip("the same as the unit test, only slower")
    with Lmtp(("127.0.0.1", shared.ports.lmtp), hello=False) as lmtp:
        replies = []
        if how == "one by one":
            replies = [lmtp.ask(said) for said, _ in script]
        else:
            data = b"".join(said.encode() + b"\r\n" for said, _ in script)
            for piece in ([data] if how == "in one write" else
                          [data[at:at + 1] for at in range(len(data))]):
                lmtp.send(piece)
            replies = [lmtp.reply() for _ in script]
        for (said, answer), reply in zip(script, replies):
            assert f"{reply.code} {reply.text}".startswith(answer), (said[:60], reply)
        if script[-1][1].startswith("421"):
            with pytest.raises(EOFError):
                lmtp.line()


@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
@pytest.mark.parametrize("unix", [False, True])
def test_pipelined_messages(shared, piece, unix):
    """Two messages and QUIT without waiting for anything, in one write and octet by octet."""
    hotel, group = desks(shared)
    first, second = b"Subject: first\r\n\r\n.dot\r\n..\r\n", b"Subject: second\r\n\r\n"
    data = (f"LHLO c.example\r\nMAIL FROM:<s@e.example>\r\nRCPT TO:<{hotel.address}>\r\n"
            f"RCPT TO:<nobody@{group.address.split('@')[1]}>\r\nRCPT TO:<{group.address}>\r\n"
            "DATA\r\n").encode() + stuffed(first)
    data += (f"MAIL FROM:<>\r\nRCPT TO:<{group.address}>\r\nDATA\r\n").encode() + stuffed(second)
    data += b"QUIT\r\n"
    with Lmtp(shared.dir / "run/lmtp.sock" if unix else ("127.0.0.1", shared.ports.lmtp),
              hello=False) as lmtp:
        for at in range(0, len(data), piece):
            lmtp.send(data[at:at + piece])
        replies = [lmtp.reply() for _ in range(13)]
        with pytest.raises(EOFError):
            lmtp.line()
    assert [reply.code for reply in replies] == [250, 250, 250, 550, 250, 354, 250, 250,
                                                 250, 250, 354, 250, 221]
    assert contents(shared, hotel) == [first]
    assert contents(shared, group) == [first, second]


@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_next_commands_behind_a_message(instance, piece):
    """RFC 2920 section 3.1: a message is the first of a group, whatever becomes of it."""
    instance.cli("plan", "add", "postcard", "--message-bytes", "64K")
    small = instance.customer("Postcard Shop", "postcard", "cards.example", "desk").accounts[0]
    hotel, group = desks(instance)
    nobody = f"nobody@{group.address.split('@')[1]}"
    large = b"Subject: large\r\n\r\n" + b"x" * 70000 + b"\r\n"
    first, second = b"Subject: first\r\n\r\nMAIL FROM:<>\r\n.\r\n", b"Subject: second\r\n\r\n"

    def commands(*recipients):
        return b"".join(line.encode() + b"\r\n" for line in
                        ["MAIL FROM:<>", *(f"RCPT TO:<{name}>" for name in recipients), "DATA"])

    script = [
        (commands(small.address), [250, 250, 354]),
        (stuffed(large) + commands(nobody, hotel.address), [552, 250, 550, 250, 354]),
        (stuffed(first) + commands(nobody), [250, 250, 550, 503]),
        (b"RSET\r\n" + commands(hotel.address, group.address), [250, 250, 250, 250, 354]),
        (stuffed(second) + b"QUIT\r\n", [250, 250, 221]),
    ]
    with instance.lmtp() as lmtp:
        for said, answers in script:
            last = max(0, len(said) - 300)
            for part in [said[:last], *(said[at:at + piece]
                                        for at in range(last, len(said), piece))]:
                lmtp.send(part)
            assert [lmtp.reply().code for _ in answers] == answers
        with pytest.raises(EOFError):
            lmtp.line()
    assert contents(instance, small) == []
    assert contents(instance, hotel) == [first, second]
    assert contents(instance, group) == [second]


def test_bye_comes_last(shared):
    for account in desks(shared):
        with shared.lmtp() as lmtp:
            assert codes(lmtp.deliver(account.address, NOTE)) == ["250 2.0.0"]
            lmtp.send(b"QUIT\r\nNOOP\r\n" + b"junk\r\n" * 10000)
            assert lmtp.reply().code == 221
            with pytest.raises(EOFError):
                lmtp.line()
        assert contents(shared, account) == [NOTE]


@pytest.mark.parametrize("last", ["QUIT", "421"])
@pytest.mark.parametrize("piece", [b"x", b"junk\r\n" * 10000], ids=["slowly", "fast"])
def test_closes_on_a_client_that_talks_on(shared, last, piece):
    """After the last reply the connection ends soon, whatever the client still sends."""
    account = desks(shared)[0]
    with shared.lmtp() as lmtp:
        assert codes(lmtp.deliver(account.address, NOTE)) == ["250 2.0.0"]
        if last == "QUIT":
            assert lmtp.ask("QUIT").code == 221
        else:
            assert [lmtp.ask("junk").code for _ in range(10)] == [500] * 9 + [421]
        with pytest.raises(EOFError):
            lmtp.line()

        def is_closed():
            try:
                lmtp.send(piece)
            except ConnectionError:
                return True
            return False

        wait_until(is_closed, what="the end of the connection")
    assert contents(shared, account) == [NOTE]


ENDS = {
    "LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n", "CRLF.CR": b"\r\n.\r", "CR.LF": b"\r.\n", "LF.CR": b"\n.\r",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n", "CRLF.CRCRLF": b"\r\n.\r\r\n", "LFCR.LFCR": b"\n\r.\n\r",
    "CRLF.NULCRLF": b"\r\n.\0\r\n", "CRLF.SPCRLF": b"\r\n. \r\n",
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_else_ends_a_message(shared, end):
    """SMTP smuggling: what follows a false end is text, and no message to the other customer."""
    hotel, group = desks(shared)
    smuggled = (b"MAIL FROM:<boss@e.example>\r\nRCPT TO:<" + group.address.encode() +
                b">\r\nDATA\r\nSubject: smuggled\r\n\r\ntext")
    with shared.lmtp() as lmtp:
        lmtp.ask("MAIL FROM:<s@e.example>")
        assert lmtp.ask(f"RCPT TO:<{hotel.address}>").code == 250
        assert lmtp.ask("DATA").code == 354
        lmtp.send(b"Subject: carrier\r\n\r\ntext" + ENDS[end] + smuggled + b"\r\n.\r\n")
        assert lmtp.reply().code == 250
        assert lmtp.ask("NOOP").code == 250
    assert contents(shared, group) == []
    [message] = contents(shared, hotel)
    assert message.startswith(b"Subject: carrier\r\n\r\ntext\r\n")
    assert message.endswith(smuggled + b"\r\n")
    assert b"\r\n" not in message.replace(b"\r\n", b"") and message.count(b"smuggled") == 1


def test_line_ends_become_crlf(shared):
    """Bare CR and LF in content; the dots stay what they were."""
    sent = b"Subject: ends\n\none\rtwo\n.three\r.four\r\r\nfive\n\r\n..six\r\n.\r\n"
    expected = (b"Subject: ends\r\n\r\none\r\ntwo\r\n.three\r\n.four\r\n\r\nfive\r\n\r\n.six\r\n")
    for account in desks(shared):
        with shared.lmtp() as lmtp:
            lmtp.ask("MAIL FROM:<>")
            lmtp.ask(f"RCPT TO:<{account.address}>")
            lmtp.ask("DATA")
            lmtp.send(sent)
            assert lmtp.reply().code == 250
        assert contents(shared, account) == [expected]


def test_trace_fields(shared):
    hotel, group = desks(shared)
    other = shared.customers[0].accounts[1]
    assert codes(shared.deliver(hotel.address, NOTE, sender="s@e.example")) == ["250 2.0.0"]
    assert codes(shared.deliver([group.address, other.address], NOTE, sender="",
                                options="SMTPUTF8", unix=True)) == ["250 2.0.0"] * 2
    [one], [two], [three] = (empty(shared, account) for account in (hotel, group, other))
    date = rb"\w{3}, \d{2} \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n"
    assert re.match(rb"Return-Path: <s@e.example>\r\n"
                    rb"Received: from client.example \(\[127.0.0.1\]\)\r\n"
                    rb"\tby localhost with LMTP id [0-9a-f]{16}-1\r\n"
                    rb"\tfor <" + hotel.address.encode() + rb">;\r\n\t" + date + rb"Subject", one)
    assert re.match(rb"Return-Path: <>\r\nReceived: from client.example\r\n"
                    rb"\tby localhost with UTF8LMTP id [0-9a-f]{16}-1;\r\n\t" + date + rb"Subject",
                    two)
    assert two == three
    for message in (two, three):
        assert b"quayside" not in message and b"lighthouse" not in message


def test_utf8_addresses(shared):
    """RFC 6531: allowed with SMTPUTF8 only, and kept in the header."""
    hotel, group = desks(shared)
    for account in (hotel, group):
        assert codes(shared.deliver(account.address, NOTE, sender="f\u00e4hre@e.example")) == [
            "553 5.6.7"]
        assert codes(shared.deliver(account.address, NOTE, sender="f\u00e4hre@e.example",
                                    options="SMTPUTF8 BODY=8BITMIME")) == ["250 2.0.0"]
        [message] = empty(shared, account)
        assert message.startswith("Return-Path: <f\u00e4hre@e.example>\r\n".encode())


def test_addresses_that_are_no_utf8(shared):
    hotel, group = desks(shared)
    with shared.lmtp() as lmtp:
        for sender in (b"f\xe4hre@e.example", b"f@\xed\xa0\x80.example", b"\"\xc0\xaf\"@e.example"):
            for options in (b"", b" SMTPUTF8"):
                assert codes([lmtp.ask(b"MAIL FROM:<" + sender + b">" + options)]) == ["501 5.1.7"]
        assert codes([lmtp.ask("MAIL FROM:<> SMTPUTF8")]) == ["250 2.1.0"]
        assert codes([lmtp.ask(b"RCPT TO:<f\xe4hre@quayside.example>")]) == ["501 5.1.3"]
        for account in (hotel, group):
            assert codes([lmtp.ask(f"RCPT TO:<{account.address}>")]) == ["250 2.1.5"]


def test_duplicates_are_delivered_once_and_answered_each(shared):
    hotel, group = desks(shared)
    with shared.lmtp() as lmtp:
        replies = lmtp.deliver([hotel.address, group.address, hotel.address.upper(),
                                hotel.address], NOTE)
    assert codes(replies) == ["250 2.0.0"] * 4
    assert contents(shared, hotel) == contents(shared, group) == [NOTE]


def test_alias_leads_to_several_mailboxes(shared):
    hotel, group = shared.customers
    address = f"everybody@{hotel.domain}"
    alias(shared, address, hotel.accounts)
    replies = shared.deliver([address, hotel.accounts[1].address, group.accounts[0].address], NOTE)
    assert codes(replies) == ["250 2.0.0"] * 3
    for account in [*hotel.accounts, group.accounts[0]]:
        assert contents(shared, account) == [NOTE]
    assert contents(shared, group.accounts[1]) == []


def test_ten_megabytes(shared, mail):
    hotel, group = desks(shared)
    large = max(mail.values(), key=len)
    assert len(large) >= 10_000_000
    replies = shared.deliver([hotel.address, group.address], large, options=f"SIZE={len(large)}")
    assert codes(replies) == ["250 2.0.0"] * 2
    assert contents(shared, hotel) == contents(shared, group) == [large]


def test_smtplib(shared):
    hotel, group = desks(shared)
    nobody = f"nobody@{hotel.address.split('@')[1]}"
    for target, port in (("127.0.0.1", shared.ports.lmtp), (str(shared.dir / "run/lmtp.sock"), 0)):
        with smtplib.LMTP(target, port) as lmtp:
            # It reads one reply after DATA however many recipients there are.
            for account in (hotel, group):
                refused = lmtp.sendmail("s@e.example", [nobody, account.address], NOTE)
                assert list(refused) == [nobody] and refused[nobody][0] == 550
        assert contents(shared, hotel) == contents(shared, group) == [NOTE]


def test_full_mailbox(instance):
    """452 at RCPT once it is full, 452 after DATA for the message that does not fit any more."""
    instance.cli("plan", "add", "tight", "--quota-bytes", "100K", "--message-bytes", "80K")
    tight = instance.customer("Tight Corner Inn", "tight", "tight.example", "desk").accounts[0]
    hotel = desks(instance)[0]
    large = b"Subject: large\r\n\r\n" + b"x" * 60000 + b"\r\n"
    assert codes(instance.deliver([tight.address, hotel.address], large)) == ["250 2.0.0"] * 2
    assert codes(instance.deliver([tight.address, hotel.address], large)) == [
        "452 4.2.2", "250 2.0.0"]
    with instance.lmtp() as lmtp:
        lmtp.ask(f"MAIL FROM:<> SIZE={len(large)}")
        assert codes([lmtp.ask(f"RCPT TO:<{tight.address}>")]) == ["452 4.2.2"]
        assert codes([lmtp.ask(f"RCPT TO:<{hotel.address}>")]) == ["250 2.1.5"]
    instance.cli("plan", "set", "tight", "--quota-messages", "1")
    with instance.lmtp() as lmtp:
        lmtp.ask("MAIL FROM:<>")
        assert codes([lmtp.ask(f"RCPT TO:<{tight.address}>")]) == ["452 4.2.2"]
        assert codes([lmtp.ask(f"RCPT TO:<{hotel.address}>")]) == ["250 2.1.5"]
    assert len(instance.messages(tight)) == 1 and len(instance.messages(hotel)) == 2


@pytest.mark.parametrize("octets", [70_000, 5_000_000])
@pytest.mark.parametrize("options", ["", "SIZE=10", "SIZE=60000"])
def test_too_large_for_some(instance, octets, options):
    """552 for those it is too large for, delivered to the others, and one body whoever takes it."""
    instance.cli("plan", "add", "postcard", "--message-bytes", "64K")
    instance.cli("plan", "add", "letter", "--message-bytes", "65K")
    small = instance.customer("Postcard Shop", "postcard", "cards.example", "desk").accounts[0]
    other = instance.customer("Letter Box", "letter", "letters.example", "desk").accounts[0]
    hotel, group = desks(instance)
    message = b"Subject: large\r\n\r\n" + (b"y" * 68 + b"\r\n") * (octets // 70)
    everybody = [small.address, hotel.address, other.address, group.address]
    before = metric(instance, "store_deliveries"), metric(instance, "store_delivered_octets")
    with instance.lmtp() as lmtp:
        # The size that was declared binds nobody.
        assert codes(lmtp.deliver(everybody, message, options=options)) == [
            "552 5.3.4", "250 2.0.0", "552 5.3.4", "250 2.0.0"]
        wait_until(lambda: metric(instance, "store_delivered_octets") > before[1])
        assert metric(instance, "store_deliveries") == before[0] + 1
        kept = metric(instance, "store_delivered_octets") - before[1]
        assert len(message) < kept < len(message) + 1000
        assert codes(lmtp.deliver([small.address, other.address], message, options=options)) == [
            "552 5.3.4"] * 2
        lmtp.ask(f"MAIL FROM:<> SIZE={len(message)}")
        assert codes(lmtp.ask(f"RCPT TO:<{address}>") for address in everybody) == [
            "552 5.3.4", "250 2.1.5", "552 5.3.4", "250 2.1.5"]
        lmtp.ask("RSET")
        assert metric(instance, "store_deliveries") == before[0] + 1
        assert codes([lmtp.ask("NOOP")]) == ["250 2.0.0"]
    for account in (small, other):
        assert instance.messages(account) == {}
    for account in (hotel, group):
        assert contents(instance, account) == [message]


def test_largest_message_to_the_octet(instance):
    """What is put in front of a message does not count, and one octet more is too much."""
    instance.cli("plan", "add", "postcard", "--message-bytes", "64K")
    small = instance.customer("Postcard Shop", "postcard", "cards.example", "desk").accounts[0]
    hotel = desks(instance)[0]
    exact = b"Subject: exactly 64 KiB\r\n\r\n".ljust(65534, b"z") + b"\r\n"
    with instance.lmtp() as lmtp:
        for options in ("", "SIZE=10", "SIZE=65536"):
            assert codes(lmtp.deliver([small.address, hotel.address], exact, options=options)) == [
                "250 2.0.0"] * 2
            assert codes(lmtp.deliver([small.address, hotel.address], b"z" + exact,
                                      options=options)) == ["552 5.3.4", "250 2.0.0"]
            assert codes(lmtp.deliver(small.address, b"z" + exact, options=options)) == [
                "552 5.3.4"]
    assert contents(instance, small) == [exact] * 3
    assert contents(instance, hotel) == [exact, b"z" + exact] * 3


def test_octets_that_have_no_end(instance):
    """Far more than anybody takes is read and thrown away, and nothing of it stays in the store."""
    instance.cli("plan", "add", "postcard", "--message-bytes", "64K")
    small = instance.customer("Postcard Shop", "postcard", "cards.example", "desk").accounts[0]
    hotel = desks(instance)[0]
    with instance.lmtp() as lmtp:
        message = b"Subject: endless\r\n\r\n" + b"text of a line\r\n" * 4_000_000
        assert codes(lmtp.deliver(small.address, message)) == ["552 5.3.4"]
        assert codes(lmtp.deliver([small.address, hotel.address], NOTE)) == ["250 2.0.0"] * 2
    assert contents(instance, small) == contents(instance, hotel) == [NOTE]


@pytest.mark.parametrize("policy, code", [("defer", "450 4.2.1"), ("refuse", "550 5.2.1")])
def test_suspended_customer(stopped, policy, code):
    stopped.configure(suspended=policy)
    stopped.start()
    hotel, group = desks(stopped)
    stopped.cli("customer", "suspend", stopped.customers[0].name)
    assert codes(stopped.deliver([hotel.address, group.address], NOTE)) == [code, "250 2.0.0"]
    stopped.cli("customer", "resume", stopped.customers[0].name)
    assert codes(stopped.deliver([hotel.address, group.address], NOTE)) == ["250 2.0.0"] * 2
    assert len(stopped.messages(hotel)) == 1 and len(stopped.messages(group)) == 2


def test_stored_dies_in_the_middle(instance):
    """451 for each recipient, and nothing of it is kept; the connection lives on."""
    hotel, group = desks(instance)
    with instance.lmtp() as lmtp:
        lmtp.ask("MAIL FROM:<>")
        for account in (hotel, group):
            assert lmtp.ask(f"RCPT TO:<{account.address}>").code == 250
        assert lmtp.ask("DATA").code == 354
        lmtp.send(b"Subject: torn\r\n\r\n" + b"some text\r\n" * 30000)
        [stored] = instance.pids()["stored"]
        signal_process(stored, signal.SIGKILL)
        wait_gone(stored)
        lmtp.send(b"the rest\r\n.\r\n")
        assert codes([lmtp.reply(), lmtp.reply()]) == ["451 4.3.0"] * 2
        instance.wait_healthy()
        wait_until(lambda: codes(lmtp.deliver([hotel.address, group.address], NOTE)) ==
                   ["250 2.0.0"] * 2, what="a delivery after the crash")
    instance.restart()
    for account in (hotel, group):
        assert [without_trace(got) for got in instance.messages(account).values()] == [NOTE]


def test_mail_waits_for_a_stored_that_is_being_started(instance):
    """Once its loss is known, nothing is deferred for it."""
    account = instance.customers[0].accounts[0]
    # lmtpd tells of a loss only when it had a connection, which the first delivery proves.
    assert codes(instance.deliver(account.address, NOTE)) == ["250 2.0.0"]
    [stored] = instance.pids()["stored"]
    signal_process(stored, signal.SIGKILL)
    wait_until(lambda: "stored is gone" in instance.log)
    assert codes(instance.deliver(account.address, NOTE)) == ["250 2.0.0"]
    assert len(instance.messages(account)) == 2


def test_lmtpd_dies_in_the_middle(instance):
    """What was not acknowledged is not there; the supervisor starts another one."""
    hotel, group = desks(instance)
    with instance.lmtp() as lmtp:
        assert codes(lmtp.deliver([hotel.address, group.address], NOTE)) == ["250 2.0.0"] * 2
        lmtp.ask("MAIL FROM:<>")
        lmtp.ask(f"RCPT TO:<{hotel.address}>")
        lmtp.ask("DATA")
        lmtp.send(b"Subject: torn\r\n\r\n" + b"some text\r\n" * 30000)
        [lmtpd] = instance.pids()["lmtpd"]
        signal_process(lmtpd, signal.SIGKILL)
        wait_gone(lmtpd)
    instance.wait_healthy()
    assert codes(instance.deliver([hotel.address, group.address], NOTE)) == ["250 2.0.0"] * 2
    for account in (hotel, group):
        assert [without_trace(got) for got in instance.messages(account).values()] == [NOTE] * 2


def test_connections_are_limited(stopped):
    """The ones above the limit wait, and are served when others have gone."""
    stopped.configure(lmtp_connections=2)
    stopped.start()
    hotel, group = desks(stopped)
    first, second = stopped.lmtp(), stopped.lmtp(unix=True)
    third = stopped.wire("lmtp")
    third.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        third.line()
    third.close()
    assert codes(second.deliver(hotel.address, NOTE)) == ["250 2.0.0"]
    first.close()
    with stopped.lmtp() as fourth:
        assert codes(fourth.deliver(group.address, NOTE)) == ["250 2.0.0"]
    second.close()
    assert len(stopped.messages(hotel)) == len(stopped.messages(group)) == 1


def test_shutdown_lets_messages_finish(stopped):
    stopped.start()
    hotel, group = desks(stopped)
    idle, busy = stopped.lmtp(), stopped.lmtp()
    busy.ask("MAIL FROM:<>")
    for account in (hotel, group):
        busy.ask(f"RCPT TO:<{account.address}>")
    assert busy.ask("DATA").code == 354
    busy.send(b"Subject: last\r\n\r\n")
    [lmtpd] = stopped.pids()["lmtpd"]
    signal_process(lmtpd, signal.SIGTERM)
    assert codes([idle.reply()]) == ["421 4.3.2"]
    with pytest.raises(EOFError):
        idle.line()
    busy.send(b".\r\n")
    assert codes([busy.reply(), busy.reply(), busy.reply()]) == [
        "250 2.0.0", "250 2.0.0", "421 4.3.2"]
    with pytest.raises(EOFError):
        busy.line()
    idle.close()
    busy.close()
    wait_gone(lmtpd)
    stopped.wait_healthy()
    for account in (hotel, group):
        assert len(stopped.messages(account)) == 1


def test_shutdown_does_not_wait_for_ever(instance):
    hotel, group = desks(instance)
    with instance.lmtp() as lmtp:
        lmtp.ask("MAIL FROM:<>")
        for account in (hotel, group):
            lmtp.ask(f"RCPT TO:<{account.address}>")
        assert lmtp.ask("DATA").code == 354
        before = time.monotonic()
        instance.stop()
        assert time.monotonic() - before < 6
        assert codes([lmtp.reply()]) == ["421 4.3.2"]
    instance.start()
    assert instance.messages(hotel) == instance.messages(group) == {}


def counter(instance, name):
    return metric(instance, f"lmtp_{name}")


def test_counters_and_log(instance):
    hotel, group = desks(instance)
    instance.cli("customer", "suspend", instance.customers[1].name)
    names = ("delivered", "refused", "deferred")
    before = [counter(instance, name) for name in names]
    connections = counter(instance, "connections")
    instance.deliver([hotel.address, hotel.address, "nobody@quayside.example", group.address],
                     NOTE, sender="s@e.example")
    assert [counter(instance, name) - was for name, was in zip(names, before)] == [2, 1, 1]
    assert counter(instance, "connections") == connections + 1

    def lines_of_sender():
        return [line for line in instance.log.splitlines() if "from=<s@e.example>" in line]

    wait_until(lambda: len(lines_of_sender()) == 3, what="the line behind the reply")
    lines = lines_of_sender()
    assert re.search(r"refused session=\w+-1 .* to=<nobody@quayside.example> ", lines[0])
    assert re.search(rf"deferred session=\w+-1 .* to=<{group.address}> ", lines[1])
    assert re.search(r"delivered session=\w+-1 from=<s@e.example> mailbox=\d+ octets=\d+ ", lines[2])
    instance.cli("customer", "resume", instance.customers[1].name)


def test_refused_recipients_do_not_fill_the_log(instance):
    """Every one counts, malformed or unknown; the log has the first ones of each connection."""
    hotel, group = desks(instance)
    before = counter(instance, "refused")
    with instance.lmtp() as lmtp:
        for number in range(30):
            assert lmtp.ask("MAIL FROM:<guess@e.example>").code == 250
            assert lmtp.ask(f"RCPT TO:<{number}@quayside.example>").code == 550
            assert lmtp.ask(f"RCPT TO:<{number}>").code == 501
            assert lmtp.ask("RSET").code == 250
        assert codes(lmtp.deliver([hotel.address, group.address], NOTE)) == ["250 2.0.0"] * 2
        assert lmtp.deliver("again", NOTE, sender="guess@e.example")[0].code == 501
    assert counter(instance, "refused") == before + 61
    lines = [line for line in instance.log.splitlines() if "from=<guess@e.example>" in line]
    assert len(lines) == 21
    assert 'to=<0@quayside.example> reply="550 5.1.1' in lines[0]
    assert 'to=<0> reply="501 5.1.3' in lines[1]
    assert lines[19].endswith("and more are not logged") and "to=<again>" in lines[20]
