"""
A small server of POP3 and LMTP that is right, or wrong in one way that has a name: what the
conformance suite's runner is tested with.
"""

import base64
import hashlib
import hmac
import os
import socket
import threading
import unicodedata

# Fault, a file that must find it, and a part of what is said.
FAULTS = [
    ("greeting twice", "rfc1939/basics/greeting-comes-first", "the server sent +OK"),
    ("lower case", "rfc1939/transaction/noop", "got +ok"),
    ("line feeds", "rfc1939/transaction/noop", "a line without CR"),
    ("no dots doubled", "rfc1939/basics/dot-stuffing", "not the message"),
    ("first dot not doubled", "rfc1939/basics/dot-stuffing", "not the message"),
    ("octets lost", "rfc1939/transaction/retr", "not the message"),
    ("wrong sizes", "rfc1939/transaction/list-size-is-exact", "octets, not"),
    ("stat counts marked", "rfc1939/transaction/stat-without-marked", "got +OK 3"),
    ("renumbers", "rfc1939/transaction/numbers-stay", "no line is"),
    ("marks twice", "rfc1939/transaction/dele-marked-again", "got +OK"),
    ("forgets marks", "rfc1939/update/quit-removes", "got +OK 2"),
    ("removes when lost", "rfc1939/update/lost-connection", "got +OK 0"),
    ("no lock", "rfc1939/authorization/lock", "got +OK"),
    ("any password", "rfc1939/authorization/wrong-password", "got +OK"),
    ("two answers", "rfc1939/transaction/noop", "got"),
    ("two answers to quit", "rfc1939/update/quit-answers-once", "before it closed"),
    ("stays open", "rfc1939/authorization/quit", "did not close"),
    ("silent", "rfc1939/transaction/noop", "nothing came in 2 s"),
    ("closes", "rfc1939/transaction/noop", "closed the connection"),
    ("drops what came together", "rfc1939/transaction/rset", "all in one write"),
    ("long first line", "rfc1939/transaction/noop", "a first line of"),
    ("other ids each time", "rfc1939/uidl/stays", "got +OK 1"),
    ("top forgets the blank line", "rfc1939/top/no-lines", "not the message"),
    ("expires earlier than said", "rfc2449/capa/expire-smallest-first", "30 is more than 20"),
    ("raw without utf8", "rfc6856/header-without-utf8", "a line is"),
    ("refuses with utf8", "rfc6856/no-code-with-utf8", "got -ERR [UTF8]"),
    ("takes any octets", "rfc6856/user-not-utf8", "got +OK"),
    ("knows one language", "rfc6856/lang-speaks", "both are"),
    ("proves nothing", "rfc5034/scram", "does not prove"),
    ("nonce of its own", "rfc5034/scram", "does not go on"),
    ("salt of nobody", "rfc5034/scram-nobody", "is not"),
    ("few iterations", "rfc5034/scram", "100 iterations"),
]


# The runner's own, before it plays the first file: what is announced, and the two mailboxes.
OWN_SESSIONS = 3


class Stop(Exception):
    pass


class WrongServer:
    NAMES = [b"one", b"two", b"three", b"four", b"five", b"six"]

    def __init__(self, fault):
        assert fault is None or fault in [name for name, _, _ in FAULTS], fault
        self.fault = fault
        self.boxes = {b"%s@hotel.example" % name: [] for name in self.NAMES}
        self.next_id = 0
        self.sessions = 0
        self.locked = set()
        self.lock = threading.Lock()
        self.sockets = []
        self.pop3 = self.listen(Pop3)
        self.lmtp = self.listen(Lmtp)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def listen(self, protocol):
        sock = socket.create_server(("127.0.0.1", 0))
        self.sockets.append(sock)
        threading.Thread(target=self.accept, args=(sock, protocol), daemon=True).start()
        return "127.0.0.1:%d" % sock.getsockname()[1]

    def accept(self, sock, protocol):
        while True:
            try:
                connection, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=protocol(self, connection).serve, daemon=True).start()


class Connection:
    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.buffer = b""
        self.over = False

    def wrong(self, fault):
        return self.server.fault == fault

    def serve(self):
        try:
            self.greet()
            while not self.over:
                self.command(self.line())
            while self.wrong("stays open") and self.is_played() and self.sock.recv(100):
                pass
        except (Stop, OSError):
            pass
        finally:
            self.end()
            self.sock.close()

    def end(self):
        pass

    def is_played(self):
        """Whether this is a session of the file, not one of the runner's own before it."""
        return self.server.sessions > OWN_SESSIONS

    def line(self):
        while b"\r\n" not in self.buffer:
            octets = self.sock.recv(1 << 16)
            if not octets:
                raise Stop
            self.buffer += octets
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        if self.wrong("drops what came together") and isinstance(self, Pop3):
            self.buffer = b""
        return line

    def say(self, line):
        self.sock.sendall(line + b"\r\n")


class Lmtp(Connection):
    def greet(self):
        self.say(b"220 hotel.example")
        self.to = []

    def command(self, line):
        word = line[:4].upper()
        if word == b"RCPT":
            self.to.append(line.partition(b"<")[2].rstrip(b">"))
        if word == b"DATA":
            self.say(b"354 go on")
            lines = []
            while (text := self.line()) != b".":
                lines.append(text[1:] if text.startswith(b".") else text)
            for name in self.to:
                self.server.next_id += 1
                self.server.boxes[name].append((self.server.next_id, lines))
            self.to = []
        if word == b"LHLO":
            self.say(b"250-hotel.example")
        self.say({b"QUIT": b"221 bye", b"LHLO": b"250 SMTPUTF8"}.get(word, b"250 yes"))
        self.over = word == b"QUIT"


def prepared(name):
    """As SASLprep has it, nearly; None: it is forbidden or no UTF-8."""
    try:
        text = unicodedata.normalize("NFKC", name.decode())
    except UnicodeDecodeError:
        return None
    return None if any(unicodedata.category(letter) == "Cc" for letter in text) else text.encode()


class Pop3(Connection):
    TEXTS = {b"en": b"no", b"de": b"nein"}
    OUTSIDE = {b"USER", b"PASS", b"AUTH", b"UTF8"}
    ANYWHERE = {b"QUIT", b"CAPA", b"LANG"}

    def greet(self):
        self.utf8 = False
        self.language = b"en"
        self.user = self.box = None
        self.marks = set()
        self.server.sessions += 1
        self.number = self.server.sessions
        self.say(b"+OK hello")
        if self.wrong("greeting twice") and self.is_played():
            self.say(b"+OK hello again")

    def end(self):
        if self.box is None:
            return
        if self.wrong("removes when lost"):
            self.remove()
        self.server.locked.discard(self.user)

    def answer(self, good, text=b""):
        word = b"+OK" if good else b"-ERR"
        self.say(word + b" " + text if text else word)

    def lines(self, lines, double=True):
        if self.wrong("no dots doubled"):
            double = False
        for number, line in enumerate(lines):
            first = self.wrong("first dot not doubled") and line == b"."
            self.say(b"." + line if line.startswith(b".") and double and not first else line)
        self.say(b".")

    def command(self, line):
        word, _, rest = line.partition(b" ")
        handler = getattr(self, word.decode("latin-1").upper(), None)
        word = word.upper()
        misplaced = word not in self.ANYWHERE and (word in self.OUTSIDE) == (self.box is not None)
        if not word.isalnum() or handler is None or misplaced:
            self.answer(False, self.TEXTS[self.language])
            return
        handler(rest)

    def CAPA(self, rest):
        self.answer(not rest)
        if rest:
            return
        days = b"EXPIRE 60" if self.box is not None else b"EXPIRE 30 USER"
        if self.wrong("expires earlier than said") and self.box is not None:
            days = b"EXPIRE 20"
        self.lines([b"PIPELINING", b"UIDL", b"USER", b"TOP", b"LANG", b"UTF8 USER", days,
                    b"SASL SCRAM-SHA-256"])

    def UTF8(self, rest):
        self.utf8 = not rest and not self.wrong("refuses with utf8")
        self.answer(not rest)

    def LANG(self, rest):
        language = b"en" if rest == b"*" else rest.lower()
        if not rest:
            self.answer(True)
            self.lines([b"en English", b"de Deutsch"])
        elif language in self.TEXTS:
            self.language = b"en" if self.wrong("knows one language") else language
            self.answer(True, language + b" yes")
        else:
            self.answer(False)

    def USER(self, name):
        self.user = prepared(name)
        if self.wrong("takes any octets"):
            self.user = bytes(octet for octet in name if octet < 128)
        self.answer(self.user is not None)

    def PASS(self, password):
        self.enter(self.user in self.server.boxes and (
            prepared(password) == self.key(self.user) or self.wrong("any password")))

    @staticmethod
    def key(user):
        return b"key " + user.partition(b"@")[0]

    def AUTH(self, rest):
        try:
            self.enter(self.scram(*rest.split(b" ", 1)))
        except (ValueError, KeyError):
            self.answer(False)

    def challenge(self, text):
        self.say(b"+ " + base64.b64encode(text))
        return base64.b64decode(self.line(), validate=True)

    def scram(self, mechanism, response=None):
        """RFC 5802: whether the client knows the password. ValueError or KeyError: nonsense."""
        if mechanism != b"SCRAM-SHA-256":
            raise ValueError
        first = base64.b64decode(response, validate=True) if response else self.challenge(b"")
        bare = first.partition(b"n,,")[2]
        user, nonce = (part[2:] for part in bare.split(b",", 1))
        known = user in self.server.boxes
        salt = hashlib.sha256(user).digest()[:16]
        if self.wrong("salt of nobody") and not known:
            salt = os.urandom(16)
        count = 100 if self.wrong("few iterations") else 4096
        nonce = (b"" if self.wrong("nonce of its own") else nonce) + base64.b64encode(os.urandom(9))
        server_first = b"r=%s,s=%s,i=%d" % (nonce, base64.b64encode(salt), count)
        final = self.challenge(server_first)
        without, _, proof = final.rpartition(b",p=")
        if without != b"c=biws,r=" + nonce:
            return False
        salted = hashlib.pbkdf2_hmac("sha256", self.key(user), salt, count)
        message = b",".join([bare, server_first, without])
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        if not known or base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature)):
            return False
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        proves = hmac.digest(server_key, b"" if self.wrong("proves nothing") else message, "sha256")
        self.user = user
        return self.challenge(b"v=" + base64.b64encode(proves)) == b""

    def enter(self, good):
        with self.server.lock:
            good = good and (self.user not in self.server.locked or self.wrong("no lock"))
            if good:
                self.server.locked.add(self.user)
                self.box = list(self.server.boxes[self.user])
        self.answer(good)

    def there(self):
        return [n for n in range(1, len(self.box) + 1) if n not in self.marks]

    def find(self, text):
        number = int(text) if text.isdigit() else 0
        allowed = range(1, len(self.box) + 1) if self.wrong("marks twice") else self.there()
        if number in allowed:
            return number
        self.answer(False, b"no such message")
        return None

    def size(self, number):
        return sum(len(line) + 2 for line in self.box[number - 1][1]) + self.wrong("wrong sizes")

    def STAT(self, rest):
        there = range(1, len(self.box) + 1) if self.wrong("stat counts marked") else self.there()
        self.answer(not rest, b"%d %d" % (len(there), sum(map(self.size, there))))

    def listing(self, rest, value):
        if rest:
            if number := self.find(rest):
                self.answer(True, b"%d %s" % (number, value(number)))
            return
        self.answer(True)
        self.lines([b"%d %s" % (shown if self.wrong("renumbers") else number, value(number))
                    for shown, number in enumerate(self.there(), 1)])

    @staticmethod
    def of_parts(lines):
        """Lines of a body that look like fields of a MIME part."""
        return [line for line in lines if line.startswith(b"Content-")]

    def is_raw(self, number):
        """Says so, and that it needs UTF8."""
        lines = self.box[number - 1][1]
        raw = any(not line.isascii() for line in lines[:lines.index(b"")] + self.of_parts(lines))
        if not raw or self.utf8 or self.wrong("raw without utf8"):
            return False
        self.answer(False, b"[UTF8] say UTF8 first")
        return True

    def TOP(self, rest):
        text, _, count = rest.partition(b" ")
        if not count.isdigit():
            self.answer(False)
        elif (number := self.find(text)) and not self.is_raw(number):
            lines = self.box[number - 1][1]
            blank = lines.index(b"") + 1 - self.wrong("top forgets the blank line")
            self.answer(True)
            self.lines(lines[:blank + int(count)])

    def LIST(self, rest):
        self.listing(rest, lambda number: b"%d" % self.size(number))

    def UIDL(self, rest):
        extra = self.number if self.wrong("other ids each time") else 0
        self.listing(rest, lambda number: b"%d.%d" % (self.box[number - 1][0], extra))

    def RETR(self, rest):
        if (number := self.find(rest)) and not self.is_raw(number):
            self.answer(True)
            lines = self.box[number - 1][1]
            self.lines(lines[:-1] if self.wrong("octets lost") else lines)

    def DELE(self, rest):
        if number := self.find(rest):
            self.marks.add(number)
            self.answer(True)

    def RSET(self, _):
        self.marks = set()
        self.answer(True)

    def NOOP(self, rest):
        if self.wrong("silent"):
            return
        if self.wrong("closes"):
            raise Stop
        if self.wrong("line feeds"):
            self.sock.sendall(b"+OK\n")
            return
        if self.wrong("lower case"):
            self.say(b"+ok")
            return
        if self.wrong("two answers"):
            self.answer(False)
        self.answer(not rest, b"x" * 600 if self.wrong("long first line") else b"")

    def remove(self):
        gone = {self.box[number - 1][0] for number in self.marks}
        box = self.server.boxes[self.user]
        box[:] = [message for message in box if message[0] not in gone]

    def QUIT(self, rest):
        if self.box is not None and not self.wrong("forgets marks"):
            self.remove()
        self.server.locked.discard(self.user if self.box is not None else None)
        self.box = None
        self.over = True
        self.answer(True)
        if self.wrong("two answers to quit"):
            self.answer(True)
