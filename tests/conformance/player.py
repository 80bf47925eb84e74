"""Plays a file against the server in one of three ways."""

import base64
import hashlib
import re
import ssl
import time
import warnings

from connection import Connection, Departed, shown
from pattern import Pattern, Unknown, fill, unescape
from scram import Refused, Scram
from server import SETTLE, values_for
from testfile import FileError, Step

WAYS = {
    "whole": "line by line",
    "octets": "one octet a write",
    "at once": "all in one write where order allows",
}

# The first line of an answer, and of a challenge (RFC 2449 section 3).
FIRST_LINE = 512

# After these the client waits, whatever is announced: TLS begins, or an exchange does; RFC 2920
# section 3.1 for LMTP.
LAST_IN_WRITE = {"1": {b"STLS", b"AUTH"}, "L": {b"LHLO", b"DATA", b"VRFY", b"NOOP", b"QUIT",
                                               b"EHLO", b"HELO"}}

HANDLERS = {"C": "command", "S": "answer", "S*": "answer", "S*?": "answer"}

# What delivery puts in front of a message.
TRACE = rb"(?:[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*"


class Done(Exception):
    """The file ends here, and holds."""


class Player:
    def __init__(self, server, test, mailboxes, way):
        self.server, self.test, self.way = server, test, way
        self.mailboxes = mailboxes
        self.values = values_for(*mailboxes)
        self.open = {}        # connections by name
        self.queued = []      # (connection, octets) that leave with one write
        self.expected = []    # steps whose answers are awaited after it
        self.transcript = []
        self.step = None
        self.agreed = True    # the last answer was +OK
        self.cut = False      # a connection was closed without QUIT
        self.may_close = set()  # names of connections

    def play(self):
        """Returns, or raises Departed. Afterwards nothing is open."""
        try:
            self.prepare()
        except Departed as departed:
            raise Departed(f"before the first line: {departed}") from None
        try:
            for self.step in self.test.steps:
                self.take(self.step)
            self.flush()
            self.step = None
            self.leave()
        except Done:
            return
        except Departed as departed:
            if self.step and self.step.connection in self.may_close \
                    and self.open[self.step.connection].ended:
                return
            where = f"line {self.step.number} ({self.step.text})" if self.step else "at the end"
            raise Departed(f"{where}: {departed}") from None
        except Unknown as name:
            raise FileError(f"{self.test.name}:{self.step.number}: nothing is called <{name}>"
                            ) from None
        finally:
            self.unsettle()
            for connection in self.open.values():
                connection.close()

    def prepare(self):
        for mailbox in self.mailboxes:
            self.server.empty(mailbox)
        for number, mailbox in enumerate(self.mailboxes, 1):
            self.server.seed(mailbox, [mail for to, mail in self.test.mails if to == number])

    def unsettle(self):
        """A mailbox must be looked after when it may hold mail, or a session may not have ended."""
        ended = all(connection.ended and connection.buffer == b""
                    for connection in self.open.values())
        if self.test.delivers or (self.test.enters and not ended):
            for mailbox in self.mailboxes:
                mailbox.dirty = True

    # --- steps

    def take(self, step):
        if self.expected and self.expected[-1].connection != step.connection:
            self.flush()
        name = HANDLERS.get(step.kind, step.kind.replace(" ", "_"))
        getattr(self, "take_" + name)(step)

    def connection(self, step, greet=True, tls=False):
        name = step.connection
        if name not in self.open:
            connection = self.open[name] = self.server.connect(name, tls)
            connection.transcript = self.transcript
            if greet:
                self.greeting(connection)
        return self.open[name]

    def greeting(self, connection):
        line = connection.line()
        start = b"220 " if connection.name.startswith("L") else b"+OK"
        if not line.startswith(start):
            raise Departed(f"the greeting is {shown(line)}")
        if stamp := re.search(rb"<[^<>]+>", line):
            secret = stamp[0] + self.values["password"]
            self.values["apop"] = hashlib.md5(secret).hexdigest().encode()

    def take_connect(self, step):
        if step.argument == "old tls":
            self.refuses_old_tls()
        elif step.argument == "without tls":
            self.refuses_plain_text()
        else:
            self.connection(step, tls=step.argument == "tls")

    def refuses_old_tls(self):
        """RFC 8996: nothing below 1.2, also for a client that has nothing better."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            Connection("1", self.server.pop3s, self.server.patience, context).close()
        except Departed:
            return
        raise Departed("the server agrees on TLS 1.1 or below")

    def refuses_plain_text(self):
        """On the port of POP3 over TLS: no greeting comes, and no answer to QUIT."""
        connection = Connection("1", self.server.pop3s, self.server.patience)
        connection.transcript = self.transcript
        connection.send(b"QUIT\r\n" * 3)
        octets = connection.rest()
        connection.close()
        if octets is None or b"+OK" in octets or b"-ERR" in octets:
            raise Departed(f"got {shown(octets or b'nothing')}")

    def take_command(self, step):
        self.send(step, step.argument, b"\r\n")

    def take_octets(self, step):
        self.send(step, step.argument[1:-1], b"", escaped=True)

    def send(self, step, text, end, escaped=False):
        connection = self.connection(step)
        try:
            octets = fill(text, self.values)
        except Unknown:
            self.flush()
            octets = fill(text, self.values)
        octets = (unescape(octets) if escaped else octets) + end
        if self.way != "at once" or self.test.order:
            connection.send(octets, singly=self.way == "octets")
            return
        self.queued.append((connection, octets))
        word = octets.split()[0].upper() if octets.split() else b""
        if word in LAST_IN_WRITE["L" if connection.name.startswith("L") else "1"]:
            self.write()

    def write(self):
        """What is queued leaves with one write."""
        if self.queued:
            self.queued[0][0].send(b"".join(octets for _, octets in self.queued))
        self.queued = []

    def flush(self):
        self.write()
        steps, self.expected = self.expected, []
        current = self.step
        for self.step in steps:
            self.compare(self.step)
        self.step = current

    def take_answer(self, step):
        self.connection(step, greet=False)
        self.expected.append(step)
        challenge = step.kind == "S" and step.argument.startswith(("+ ", "354", "/\\+ "))
        if self.way != "at once" or self.test.order or challenge or not self.queued:
            self.flush()

    def take_login(self, step):
        number = "2" if step.argument == "2" else ""
        delayed = self.server.missing(["LOGIN-DELAY", "no LOGIN-DELAY 0"]) is None
        if delayed or self.cut:
            self.wait_for_login(step, number)
            return
        for kind, text in [("C", f"USER <user{number}>"), ("S", "+OK<rest>"),
                           ("C", f"PASS <password{number}>"), ("S", "+OK<rest>")]:
            self.take(derived(step, kind, text))

    def wait_for_login(self, step, number):
        """
        Until log-ins are far enough apart, or the server has seen that a session was cut off: no
        RFC says how soon it must.
        """
        self.flush()
        deadline = time.monotonic() + SETTLE
        answer = b""
        while not answer.startswith(b"+OK"):
            if time.monotonic() > deadline:
                raise Departed(f"got {shown(answer)}")
            connection = self.connection(step)
            for word, name in [(b"USER ", "user"), (b"PASS ", "password")]:
                connection.send(word + self.values[name + number] + b"\r\n")
                answer = connection.line()
            if not answer.startswith(b"+OK"):
                self.open.pop(connection.name).close()
                time.sleep(0.2)

    def take_lhlo(self, step):
        for kind, text in [("C", "LHLO conformance.example"), ("S", "250 <text>")]:
            self.take(derived(step, kind, text))

    def take_scram(self, step):
        """A whole exchange. Its salt is then called <salt1> on connection 1, and so on."""
        self.flush()
        mechanism, _, fault = step.argument.partition(" ")
        user = self.values["nobody" if fault == "nobody" else "user"]
        header = {"could bind": b"y,,", "other binding": b"p=tls-exporter,,"}.get(fault, b"n,,")
        scram = Scram(mechanism, user, self.values["password"] + (
            b"x" if fault == "wrong password" else b""), fault == "other nonce", header,
            b"\0" * 32 if fault == "other binding" else b"")
        connection = self.connection(step)
        try:
            connection.send(b"AUTH %s %s\r\n" % (mechanism.encode(), scram.first()))
            line = connection.line()
            if fault and line.startswith(b"-ERR"):
                return
            connection.send(scram.final(self.challenge_of(line)) + b"\r\n")
            self.values["salt" + connection.name] = scram.salt
            if fault:
                self.refusal(connection)
                return
            scram.check(self.challenge(connection))
            connection.send(b"\r\n")
        except (Refused, ValueError) as why:
            raise Departed(f"{mechanism}: {why}") from None
        line = connection.line()
        if not line.startswith(b"+OK"):
            raise Departed(f"got {shown(line)}")

    def challenge(self, connection):
        return self.challenge_of(connection.line())

    @staticmethod
    def challenge_of(line):
        if not line.startswith(b"+ "):
            raise Departed(f"got {shown(line)}")
        return line[2:]

    @staticmethod
    def refusal(connection):
        """-ERR, or e= as a challenge before it (RFC 5802 section 7)."""
        line = connection.line()
        if line.startswith(b"+ ") and base64.b64decode(line[2:]).startswith(b"e="):
            connection.send(b"\r\n")
            line = connection.line()
        if not line.startswith(b"-ERR"):
            raise Departed(f"got {shown(line)}")

    def take_tls(self, step):
        self.flush()
        try:
            self.connection(step).begin_tls(self.server.context)
        except Departed:
            if step.argument != "or closed":
                raise
            raise Done from None

    def take_wait(self, _):
        self.flush()

    def take_pause(self, step):
        self.flush()
        time.sleep(float(step.argument))

    def take_nothing(self, step):
        self.flush()
        self.connection(step).silent(float(step.argument))

    def take_close(self, step):
        self.write()
        connection = self.connection(step)
        self.cut = True
        if step.argument == "half":
            connection.close_half()
            self.flush()
            return
        self.flush()
        connection.close()

    def take_closed(self, step):
        self.flush()
        connection = self.connection(step)
        octets = connection.rest()
        if octets is None:
            raise Departed(f"the server did not close the connection in {connection.patience:g} s")
        if octets:
            raise Departed(f"before it closed, the server sent {shown(octets)}")

    def take_unless_closed(self, step):
        """RFC 1939 section 4 lets a server close after a log-in that it refused."""
        self.may_close.add(step.connection)

    def take_differs(self, step):
        self.flush()
        first, second = step.argument.replace("<", "").replace(">", "").split()
        if fill(f"<{first}>", self.values) == fill(f"<{second}>", self.values):
            raise Departed(f"both are {shown(self.values[first])}")

    def take_same(self, step):
        self.flush()
        first, second = (fill(name, self.values) for name in step.argument.split())
        if first != second:
            raise Departed(f"{shown(first)} is not {shown(second)}")

    def take_atmost(self, step):
        self.flush()
        first, second = (int(fill(name, self.values)) for name in step.argument.split())
        if first > second:
            raise Departed(f"{first} is more than {second}")

    def take_flood(self, step):
        """So many commands, each with an answer of many lines, while nobody reads for a while."""
        self.flush()
        connection = self.connection(step)
        times, _, command = step.argument.partition(" ")
        connection.flood(command.encode() + b"\r\n", int(times))
        for _ in range(int(times)):
            line = connection.line()
            if not line.startswith(b"+OK"):
                raise Departed(f"got {shown(line)}")
            connection.lines()

    # --- answers

    def compare(self, step):
        connection = self.open[step.connection]
        if step.kind == "S*" or (step.kind == "S*?" and self.agreed):
            self.compare_lines(step, connection)
        if step.kind != "S":
            return
        line = connection.line()
        if step.connection.startswith("L"):
            while line[3:4] == b"-":
                line = connection.line()
        if len(line) + 2 > FIRST_LINE:
            raise Departed(f"a first line of {len(line) + 2} octets")
        if not step.pattern.match(line, self.values):
            raise Departed(f"got {shown(line)}")
        self.agreed = line.startswith(b"+OK")

    def compare_lines(self, step, connection):
        if step.connection.startswith("L"):
            raw = [connection.line()]
            while raw[-1][3:4] == b"-":
                raw.append(connection.line())
            codes = {line[:3] for line in raw}
            if len(codes) != 1:
                raise Departed(f"lines of one reply with {len(codes)} codes")
            lines = [line[4:] for line in raw]
        else:
            raw, lines = connection.lines()
        for check in step.checks:
            getattr(self, "check_" + check.kind)(check, lines, raw)

    def check_has(self, check, lines, _):
        if not any(check.pattern.match(line, self.values) for line in lines):
            raise Departed(f'no line is "{check.text}" in {shown(b" | ".join(lines))}')

    def check_lacks(self, check, lines, _):
        for line in lines:
            if check.pattern.match(line, self.values):
                raise Departed(f'a line is "{check.text}": {shown(line)}')

    def check_each(self, check, lines, _):
        for line in lines:
            if not check.pattern.match(line, self.values):
                raise Departed(f'no "{check.text}": {shown(line)}')

    def check_count(self, check, lines, _):
        if len(lines) != int(fill(check.text, self.values)):
            raise Departed(f"{len(lines)} lines, not {check.text}")

    def check_code(self, check, lines, raw):
        if not raw[0].startswith(check.text.encode()):
            raise Departed(f"the code is {shown(raw[0][:3])}")

    def check_size(self, check, lines, _):
        size = sum(len(line) + 2 for line in lines)
        if size != int(fill(check.text, self.values)):
            raise Departed(f"{size} octets, not {fill(check.text, self.values).decode()}")

    def check_mail(self, check, lines, _):
        self.check_text(self.test.mail(int(check.text)), lines)

    def check_top(self, check, lines, _):
        """top: MAIL LINES"""
        number, count = map(int, check.text.split())
        head, blank, body = self.test.mail(number).partition(b"\r\n\r\n")
        kept = body.split(b"\r\n")[:count]
        if body.endswith(b"\r\n") and count > body.count(b"\r\n"):
            kept = body.split(b"\r\n")[:-1]
        self.check_text(head + blank + b"".join(line + b"\r\n" for line in kept), lines)

    @staticmethod
    def check_text(message, lines):
        if not message.endswith(b"\r\n"):
            message += b"\r\n"
        text = b"".join(line + b"\r\n" for line in lines)
        front, end = text[:len(text) - len(message)], text[len(text) - len(message):]
        if len(text) < len(message) or end != message:
            at = next((i for i, (a, b) in enumerate(zip(reversed(text), reversed(message)))
                       if a != b), min(len(text), len(message)))
            raise Departed(f"not the message: {at} octets from the end {shown(text[-at-40:][:80])}"
                           f" stands for {shown(message[-at-40:][:80])}")
        if not re.fullmatch(TRACE, front):
            raise Departed(f"in front of the message is {shown(front)}")

    # --- the end

    def leave(self):
        """What is still open is left by QUIT, whose answer must be all that was still to come."""
        for connection in self.open.values():
            if connection.ended or connection.half_closed:
                continue
            connection.send(b"QUIT\r\n")
            octets = connection.rest()
            if octets is None:
                raise Departed(f"no end within {connection.patience:g} s of QUIT")
            if octets.count(b"\n") > 1:
                raise Departed(f"more than the answer to QUIT: {shown(octets)}")


def derived(step, kind, text):
    return Step(step.number, step.text, step.connection, kind, text,
                Pattern(text) if kind == "S" else None)
