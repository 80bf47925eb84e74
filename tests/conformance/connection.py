"""A connection as the runner sees it: octets with a deadline, and a transcript."""

import re
import socket
import ssl
import time


class Departed(Exception):
    """The server did something else than the file says."""


def shown(octets, most=400):
    text = octets.decode("latin-1") if isinstance(octets, bytes) else octets
    text = text.encode("unicode_escape").decode()
    return text if len(text) <= most else f"{text[:most]}... ({len(octets)} octets)"


class Connection:
    def __init__(self, name, address, patience, context=None):
        """context: an ssl.SSLContext where TLS begins with the first octet."""
        self.name = name
        self.patience = patience
        self.transcript = []
        self.buffer = b""
        self.ended = False
        self.half_closed = False
        self.sock = socket.create_connection(address, timeout=patience)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.begin_tls(context)

    def note(self, who, octets):
        if who == "C":
            octets = re.sub(rb"(?i)(PASS |AUTH \S+ )[^\r\n]+", rb"\1...", octets)
        self.transcript.append(f"{self.name} {who}: {shown(octets, 200)}")

    def begin_tls(self, context):
        if self.buffer:
            raise Departed(f"the server sent {shown(self.buffer)} before TLS")
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        except OSError as error:
            self.ended = True
            raise Departed(f"no TLS: {error}") from error
        if self.sock.version() is None:  # there was nobody to shake hands with any more
            self.ended = True
            raise Departed("no TLS: the server closed the connection")
        self.note("-", self.sock.version())

    def send(self, octets, singly=False):
        self.note("C", octets)
        pieces = [octets[i:i + 1] for i in range(len(octets))] if singly else [octets]
        try:
            for piece in pieces:
                self.sock.sendall(piece)
        except OSError as error:
            # What the server has said before it closed may be what the file expects.
            self.note("-", f"cannot send: {error}")

    def flood(self, octets, times):
        """Sends all of it, and reads only when the server takes no more."""
        self.note("C", octets + b"... %d times" % times)
        left = octets * times
        deadline = time.monotonic() + self.patience
        while left:
            self.sock.settimeout(0.2)
            try:
                left = left[self.sock.send(left):]
            except TimeoutError:
                self.more(deadline)
            except OSError as error:
                raise Departed(f"cannot send: {error}") from None

    def more(self, deadline):
        """Reads what there is. False at the end of the connection."""
        if self.ended:
            return False
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)
        try:
            octets = self.sock.recv(1 << 16)
        except TimeoutError:
            raise
        except OSError as error:  # a reset, or TLS that ended without saying so
            self.note("-", f"{error}")
            octets = b""
        self.buffer += octets
        self.ended = not octets
        return bool(octets)

    def line(self):
        """The next line without its CRLF."""
        deadline = time.monotonic() + self.patience
        scanned = 0
        while (end := self.buffer.find(b"\n", scanned)) < 0:
            scanned = len(self.buffer)
            try:
                there_is = self.more(deadline)
            except TimeoutError:
                raise Departed(f"nothing came in {self.patience:g} s"
                               + (f" but {shown(self.buffer)}" if self.buffer else "")) from None
            if not there_is:
                raise Departed("the server closed the connection"
                               + (f" after {shown(self.buffer)}" if self.buffer else ""))
        line, self.buffer = self.buffer[:end + 1], self.buffer[end + 1:]
        self.note("S", line)
        if not line.endswith(b"\r\n"):
            raise Departed(f"a line without CR: {shown(line)}")
        return line[:-2]

    def lines(self):
        """Lines to the dot: (as sent, dot-stuffing undone)."""
        found = []
        while (line := self.line()) != b".":
            found.append(line)
        return found, [line[1:] if line.startswith(b".") else line for line in found]

    def silent(self, seconds):
        """The server sends nothing for so long, and keeps the connection open."""
        if self.buffer:
            raise Departed(f"the server sent {shown(self.buffer)}")
        try:
            if self.more(time.monotonic() + seconds):
                raise Departed(f"the server sent {shown(self.buffer)}")
        except TimeoutError:
            return
        raise Departed("the server closed the connection")

    def rest(self):
        """Everything to the end of the connection, or None when it does not end."""
        deadline = time.monotonic() + self.patience
        try:
            while self.more(deadline):
                pass
        except TimeoutError:
            return None
        octets, self.buffer = self.buffer, b""
        if octets:
            self.note("S", octets)
        return octets

    def close_half(self):
        self.half_closed = True
        try:
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock = self.sock.unwrap()
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.ended = True
        self.sock.close()
