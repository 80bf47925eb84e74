"""Small clients that show every octet: a socket with lines, and LMTP on top of it."""

import re
import socket
import ssl
from typing import NamedTuple

TIMEOUT = 30  # seconds for any single answer


class Reply(NamedTuple):
    """An LMTP reply; the lines of a longer one are joined with newlines."""

    code: int
    text: str


class Wire:
    """A connected socket that is read by lines. Use it raw for POP3, or as Lmtp."""

    def __init__(self, target, tls=None, server_name="localhost"):
        """target: (host, port), or the path of a Unix socket; tls: an ssl.SSLContext or None."""
        if isinstance(target, tuple):
            self.sock = socket.create_connection(target, timeout=TIMEOUT)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(TIMEOUT)
            self.sock.connect(str(target))
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.sock.close()

    def start_tls(self, tls: ssl.SSLContext, server_name="localhost"):
        self.file.close()
        self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
        self.file = self.sock.makefile("rb")

    def send(self, data: bytes):
        self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line without its CRLF. EOFError: the peer has closed."""
        line = self.file.readline()
        if not line:
            raise EOFError("the server closed the connection")
        assert line.endswith(b"\r\n"), f"not a CRLF line: {line[-80:]!r}"
        return line[:-2]

    def command(self, text) -> bytes:
        """Sends one command and returns the first line of its answer."""
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.line()

    def lines(self) -> list[bytes]:
        """The rest of a multi-line POP3 answer, dot-stuffing undone."""
        found = []
        while (line := self.line()) != b".":
            found.append(line[1:] if line.startswith(b".") else line)
        return found


def stuffed(message: bytes) -> bytes:
    """What follows DATA's 354 for this message: RFC 5321 section 4.5.2, lines end in CRLF only."""
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def canonical(message: bytes) -> bytes:
    """What a mail client must get for this message: CRLF lines only, the last one complete."""
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    return re.sub(rb"\r\n|\r|\n", b"\r\n", message)


def without_trace(message: bytes) -> bytes:
    """Takes off the Return-Path and the Received field that delivery has put in front."""
    match = re.match(rb"Return-Path:[^\r\n]*\r\nReceived:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*",
                     message)
    assert match, f"Return-Path and Received are not in front: {message[:200]!r}"
    return message[match.end():]


class Lmtp(Wire):
    """An LMTP client (RFC 2033) that has read the greeting."""

    def __init__(self, target, hello=True):
        super().__init__(target)
        self.greeting = self.reply()
        self.hello = self.ask("LHLO client.example") if hello else None

    def reply(self) -> Reply:
        lines = []
        while True:
            line = self.line().decode()
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), "\n".join(lines))

    def ask(self, text) -> Reply:
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.reply()

    def deliver(self, recipients, message: bytes, sender="sender@elsewhere.example",
                options="") -> list[Reply]:
        """
        One transaction. Returns one reply for each recipient, in order: the one to RCPT where that
        refused it, the final one otherwise. Leaves the connection ready for the next transaction.
        """
        if isinstance(recipients, str):
            recipients = [recipients]
        answer = self.ask(f"MAIL FROM:<{sender}>{' ' + options if options else ''}")
        if answer.code != 250:
            return [answer] * len(recipients)
        replies = [self.ask(f"RCPT TO:<{recipient}>") for recipient in recipients]
        if all(reply.code != 250 for reply in replies):
            self.ask("RSET")
            return replies
        answer = self.ask("DATA")
        if answer.code != 354:
            return [reply if reply.code != 250 else answer for reply in replies]
        self.send(stuffed(message))
        return [reply if reply.code != 250 else self.reply() for reply in replies]
