"""The server under test: where it is, what it announces, and mailboxes with the mail of a file."""

import base64
import ssl
import time
from dataclasses import dataclass

from connection import Connection, Departed, shown

SETTLE = 30  # seconds until a session that was cut off must have let go of its mailbox


class Unusable(Exception):
    """The server cannot be tested; nothing is known of its conformance."""


@dataclass
class Mailbox:
    address: str
    password: str
    dirty: bool = True  # may hold messages, or a session that has not ended


class Server:
    def __init__(self, pop3, lmtp, pop3s=None, ca=None, patience=10.0):
        self.pop3, self.lmtp, self.pop3s = pop3, lmtp, pop3s
        self.patience = patience
        self.context = ssl.create_default_context(cafile=ca)
        self.context.check_hostname = False
        if ca is None:
            self.context.verify_mode = ssl.CERT_NONE
        self.announced = set()

    def connect(self, name, tls=False):
        """`name`: L and a number for LMTP, a number for POP3."""
        if name.startswith("L"):
            return Connection(name, self.lmtp, self.patience)
        if tls:
            return Connection(name, self.pop3s, self.patience, self.context)
        return Connection(name, self.pop3, self.patience)

    # --- what is there

    def look(self, mailbox):
        """What CAPA announces in both states and LHLO does: a set of words, LHLO's as "LHLO X"."""
        connection = self.session(mailbox, look=True)
        self.capabilities(connection)
        leave(connection)
        if self.pop3s is not None:
            self.announced.add("TLS")
            connection = self.connect("1", tls=True)
            expect(connection, "+OK")
            self.capabilities(connection)
            leave(connection)
        connection = self.connect("L1")
        expect(connection, "220")
        for line in ask_lmtp(connection, "LHLO conformance.example")[1:]:
            self.announce(["LHLO " + line.split()[0].decode().upper()])
        leave(connection)

    def announce(self, words):
        self.announced |= set(words)

    def capabilities(self, connection):
        connection.send(b"CAPA\r\n")
        if not connection.line().startswith(b"+OK"):
            return
        self.announced.add("CAPA")
        for line in connection.lines()[1]:
            word, *arguments = line.decode("latin-1").upper().split()
            self.announce([word, *(f"{word} {argument}" for argument in arguments)])

    def missing(self, requires):
        """The first of these that is not so, or None: "TOP" it announces, "no TOP" it does not."""
        for word in requires:
            without = word.startswith("no ")
            if (word.removeprefix("no ").upper() in self.announced) == without:
                return word
        return None

    # --- mailboxes

    def session(self, mailbox, look=False):
        """A logged-in connection; waits for a session that has not ended yet."""
        deadline = time.monotonic() + SETTLE
        while True:
            connection = self.connect("1")
            if b"<" in expect(connection, "+OK"):
                self.announced.add("APOP")
            if look:
                self.capabilities(connection)
            connection.send(b"USER %s\r\n" % mailbox.address.encode())
            answer = connection.line()
            if answer.startswith(b"+OK"):
                connection.send(b"PASS %s\r\n" % mailbox.password.encode())
                answer = connection.line()
                if answer.startswith(b"+OK"):
                    return connection
            connection.close()
            if time.monotonic() > deadline or b"[AUTH]" in answer:
                raise Unusable(f"no log-in to {mailbox.address}: {shown(answer)}")
            time.sleep(0.05)

    def empty(self, mailbox):
        if not mailbox.dirty:
            return
        connection = self.session(mailbox)
        connection.send(b"LIST\r\n")
        expect(connection, "+OK")
        numbers = [line.split()[0] for line in connection.lines()[1]]
        for number in numbers:
            connection.send(b"DELE %s\r\n" % number)
            expect(connection, "+OK")
        leave(connection)
        mailbox.dirty = False

    def seed(self, mailbox, messages):
        if not messages:
            return
        mailbox.dirty = True
        connection = self.connect("L1")
        expect(connection, "220")
        ask_lmtp(connection, "LHLO conformance.example")
        for message in messages:
            options = " SMTPUTF8" if needs_utf8(message) and "LHLO SMTPUTF8" in self.announced \
                else ""
            ask_lmtp(connection, "MAIL FROM:<sender@elsewhere.example>" + options)
            ask_lmtp(connection, f"RCPT TO:<{mailbox.address}>")
            ask_lmtp(connection, "DATA", "3")
            connection.send(stuffed(message))
            reply_lmtp(connection, "2")
        leave(connection)


def needs_utf8(message):
    return any(octet > 127 for octet in message.partition(b"\r\n\r\n")[0])


def stuffed(message):
    lines = message.split(b"\r\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n"
                    for line in lines) + b".\r\n"


def expect(connection, start):
    line = connection.line()
    if not line.startswith(start.encode()):
        raise Unusable(f"expected {start}, got {shown(line)}")
    return line


def reply_lmtp(connection, start):
    lines = []
    while True:
        line = connection.line()
        lines.append(line[4:])
        if line[3:4] != b"-":
            break
    if not line.startswith(start.encode()):
        raise Unusable(f"expected {start}, got {shown(line)}")
    return lines


def ask_lmtp(connection, command, start="2"):
    connection.send(command.encode() + b"\r\n")
    return reply_lmtp(connection, start)


def leave(connection):
    connection.send(b"QUIT\r\n")
    connection.line()
    connection.rest()
    connection.close()


def wide(text):
    """In fullwidth letters, which SASLprep takes for the plain ones (RFC 4013 section 2.2)."""
    return "".join(chr(ord(letter) + 0xfee0) if "!" <= letter <= "~" else letter
                   for letter in text)


def values_for(mailbox, other):
    """What <name> stands for from the beginning."""
    local, _, domain = mailbox.address.partition("@")
    plain = [b"\0" + box.address.encode() + b"\0" + box.password.encode()
             for box in (mailbox, other)]
    texts = {
        "user": mailbox.address, "password": mailbox.password, "local": local, "domain": domain,
        "user2": other.address, "password2": other.password,
        "nobody": "nobody-of-that-name@" + domain,
        "plain": base64.b64encode(plain[0]).decode(),
        "plain2": base64.b64encode(plain[1]).decode(),
        "wrongplain": base64.b64encode(plain[0] + b"!").decode(),
        "lt": "<",
        "user64": base64.b64encode(mailbox.address.encode()).decode(),
        "wideplain": base64.b64encode(plain[0].replace(local.encode(), wide(local).encode(), 1)
                                    ).decode(),
        "longplain": base64.b64encode(plain[0] + b"x" * 200).decode(),
        "widelocal": wide(local), "widepassword": wide(mailbox.password),
        "password64": base64.b64encode(mailbox.password.encode()).decode(),
    }
    return {name: text.encode() for name, text in texts.items()}
