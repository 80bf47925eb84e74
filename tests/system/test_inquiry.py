"""What a mail server asks before it accepts mail: Postfix's policy delegation and socketmap."""

import signal
from socket import SHUT_WR

import pytest

from bellhop import signal_process, wait_until
from wire import Wire

QUOTA = 70 * 1024


class Asking(Wire):
    """One connection to a socket of run/, in either protocol."""

    def __init__(self, instance, socket):
        super().__init__(instance.dir / "run" / f"{socket}.sock")

    def policy(self, **attributes):
        self.send(request(**attributes))
        return self.action()

    def action(self):
        answer, empty = self.file.readline(), self.file.readline()
        assert answer.startswith(b"action=") and empty == b"\n", (answer, empty)
        return answer[len("action="):-1].decode()

    def map(self, name, key):
        self.send(netstring(f"{name} {key}"))
        return self.netstring()

    def netstring(self):
        length = b""
        while (octet := self.file.read(1)) != b":":
            assert octet.isdigit(), (length, octet)
            length += octet
        text = self.file.read(int(length))
        assert self.file.read(1) == b","
        return text.decode()


def request(**attributes):
    given = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP",
             "sender": "someone@elsewhere.example", "size": "0", "client_address": "192.0.2.7",
             "ccert_subject": "a=b"} | attributes
    return "".join(f"{name}={value}\n" for name, value in given.items()).encode() + b"\n"


def netstring(text):
    octets = text if isinstance(text, bytes) else text.encode()
    return b"%d:%s," % (len(octets), octets)


@pytest.fixture
def hotels(stopped):
    """Two customers: one mailbox with room, one that is full, one that is suspended, an alias."""
    stopped.cli("plan", "add", "small", "--addresses", 9, "--domains", 2, "--quota-bytes", QUOTA,
                "--message-bytes", "64K")
    stopped.customer("A hotel", "small", "palace.example", "desk", "full")
    stopped.customer("An inn", "house", "inn.example", "desk")
    stopped.cli("address", "add", "all@palace.example", "--to", "desk@palace.example,full@palace.example")
    stopped.start()
    [reply] = stopped.deliver("full@palace.example",
                              b"Subject: x\r\n\r\n" + 700 * (b"x" * 76 + b"\r\n"))
    assert reply.code == 250, reply
    return stopped


POLICY = {
    "room": ({"recipient": "desk@palace.example"}, "DUNNO"),
    "room, in other letters": ({"recipient": "Desk@PALACE.example"}, "DUNNO"),
    "the other customer's": ({"recipient": "desk@inn.example"}, "DUNNO"),
    "an alias": ({"recipient": "all@palace.example"}, "DUNNO"),
    "full for this message": ({"recipient": "full@palace.example", "size": "20000"},
                              "452 4.2.2 the mailbox is full; try again later"),
    "full, an alias too": ({"recipient": "all@palace.example", "size": "20000"},
                           "452 4.2.2 the mailbox is full; try again later"),
    "not full for a small one": ({"recipient": "full@palace.example", "size": "100"}, "DUNNO"),
    "larger than the plan allows": ({"recipient": "desk@palace.example", "size": "65537"},
                                    "552 5.3.4 the message is larger than allowed"),
    "larger than any": ({"recipient": "desk@palace.example", "size": "9" * 20},
                        "552 5.3.4 the message is larger than allowed"),
    "unknown": ({"recipient": "nobody@palace.example"},
                "550 5.1.1 there is no such mailbox here"),
    "somebody else's domain": ({"recipient": "desk@elsewhere.example"}, "DUNNO"),
    "no address": ({"recipient": "postmaster"}, "DUNNO"),
    "no recipient": ({"recipient": ""}, "DUNNO"),
    "at another state": ({"recipient": "full@palace.example", "size": "20000",
                          "protocol_state": "DATA"}, "DUNNO"),
}


def test_policy(hotels):
    """Each alone, and all on one connection at once."""
    with Asking(hotels, "policy") as asking:
        for name, (attributes, action) in POLICY.items():
            assert asking.policy(**attributes) == action, name
        asking.send(b"".join(request(**attributes) for attributes, _ in POLICY.values()))
        for name, (_, action) in POLICY.items():
            assert asking.action() == action, name
        for octet in request(recipient="nobody@inn.example"):
            asking.send(bytes([octet]))
        assert asking.action().startswith("550 5.1.1")


MAPS = {
    "domains palace.example": "OK palace.example",
    "domains PALACE.Example": "OK palace.example",
    "domains inn.example": "OK inn.example",
    "domains elsewhere.example": "NOTFOUND ",
    "domains .palace.example": "NOTFOUND ",
    "domains ": "NOTFOUND ",
    "recipients desk@palace.example": "OK desk@palace.example",
    "recipients Desk@palace.example": "OK desk@palace.example",
    "recipients all@palace.example": "OK all@palace.example",
    "recipients nobody@palace.example": "NOTFOUND ",
    "recipients @palace.example": "NOTFOUND ",
    "recipients desk": "NOTFOUND ",
    "recipients desk@elsewhere.example": "NOTFOUND ",
    "senders desk@inn.example": "OK desk@inn.example",
    "senders all@palace.example": "OK desk@palace.example,full@palace.example",
    "senders nobody@inn.example": "NOTFOUND ",
    "users desk@inn.example": 'PERM ask "domains", "recipients" or "senders" and a key',
    "domains": 'PERM ask "domains", "recipients" or "senders" and a key',
    "": 'PERM ask "domains", "recipients" or "senders" and a key',
}


def test_maps(hotels):
    with Asking(hotels, "map") as asking:
        for question, answer in MAPS.items():
            asking.send(netstring(question))
            assert asking.netstring() == answer, question
        asking.send(b"".join(map(netstring, MAPS)))
        assert [asking.netstring() for _ in MAPS] == list(MAPS.values())
        for octet in netstring("domains inn.example"):
            asking.send(bytes([octet]))
        assert asking.netstring() == "OK inn.example"


def test_changes_count_at_once(hotels):
    """No answer is remembered."""
    with Asking(hotels, "map") as maps, Asking(hotels, "policy") as policy:
        assert maps.map("recipients", "new@inn.example") == "NOTFOUND "
        hotels.cli("address", "add", "new@inn.example")
        assert maps.map("recipients", "new@inn.example") == "OK new@inn.example"
        hotels.cli("customer", "suspend", "An inn")
        assert policy.policy(recipient="new@inn.example").startswith("450 4.2.1")
        assert policy.policy(recipient="desk@palace.example") == "DUNNO"
        hotels.cli("domain", "remove", "inn.example")
        assert maps.map("domains", "inn.example") == "NOTFOUND "
        assert policy.policy(recipient="new@inn.example") == "DUNNO"


@pytest.mark.parametrize("socket, question, answer", [
    ("map", netstring("domains inn.example"), b"14:OK inn.example,"),
    ("policy", request(recipient="full@palace.example", size="20000"),
     b"action=452 4.2.2 the mailbox is full; try again later\n\n"),
])
def test_one_question_and_the_end(hotels, socket, question, answer):
    """Exim ends its side of a connection with its only question, and reads to the end."""
    with Asking(hotels, socket) as asking:
        asking.send(question)
        asking.sock.shutdown(SHUT_WR)
        assert asking.file.read() == answer


BROKEN = {
    "policy": [b"recipient\n\n", b"request=junk_mail_policy\nrecipient=a@b.example\n\n", b"\n\n",
               request(recipient="desk@palace.example", size="much"),
               request(recipient="desk\0@palace.example"), b"a=b\n" * 5000],
    "map": [b"x", b":", b"12345:", b"1025:" + b"x" * 1025 + b",", b"3:abcd", b"-1:a,",
            b"18:domains inn.exampl\0,", b"\0"],
}


def read_rest(asking):
    try:
        return asking.file.read()
    except ConnectionResetError:  # what was sent has not been read to its end
        return b""


@pytest.mark.parametrize("socket", BROKEN)
def test_who_breaks_the_protocol_is_closed(hotels, socket):
    """Nobody else's connection is."""
    with Asking(hotels, socket) as other:
        for octets in BROKEN[socket]:
            with Asking(hotels, socket) as broken:
                broken.send(octets)
                assert read_rest(broken) == b"", octets
        log = hotels.log
        assert log.count(f"{socket}: a client breaks the protocol") == len(BROKEN[socket]), log
        if socket == "policy":
            assert other.policy(recipient="desk@palace.example") == "DUNNO"
        else:
            assert other.map("domains", "palace.example") == "OK palace.example"


def test_a_mail_store_that_is_away_is_no_reason_to_refuse(hotels):
    """As at RCPT: what it would say is left to the delivery."""
    with Asking(hotels, "policy") as asking:
        [stored] = hotels.pids()["stored"]
        signal_process(stored, signal.SIGKILL)
        answer = asking.policy(recipient="full@palace.example", size="20000")
        assert answer in ("DUNNO", "452 4.2.2 the mailbox is full; try again later")
        wait_until(lambda: asking.policy(recipient="full@palace.example", size="20000")
                   .startswith("452"), what="the refusal once stored is back")
