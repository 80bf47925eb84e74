"""Lines with placeholders: what the client sends, and what the server may answer."""

import re

KINDS = {
    "number": rb"[0-9]+",
    "text": rb"[^\r\n]*",
    "rest": rb"(?: [^\r\n]*)?",
    "word": rb"[!-~]+",
    "uid": rb"[!-~]{1,70}",
    "base64": rb"[A-Za-z0-9+/]*={0,2}",
}

NAME = r"[a-z][a-z0-9]*"
PLACEHOLDER = re.compile(rf"<({NAME}(?:\+{NAME})*|{NAME}={NAME}|[0-9]+ [^<>])>")

ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b'"': b'"'}


class PatternError(Exception):
    pass


class Unknown(Exception):
    """A value that no line has given yet."""


def unescape(octets):
    def one(found):
        if found[1]:
            return bytes([int(found[1], 16)])
        if found[2] not in ESCAPES:
            raise PatternError(f"there is no escape {found[0].decode()}")
        return ESCAPES[found[2]]
    return ESCAPE.sub(one, octets)


def value_of(expression, values):
    """<name>, or <name+name> for numbers, as octets."""
    names = expression.split("+")
    for name in names:
        if name not in values:
            raise Unknown(name)
    if len(names) == 1:
        return values[names[0]]
    return str(sum(int(values[name]) for name in names)).encode()


def fill(text, values):
    """What the client sends: octets. `text` is str; raises Unknown."""
    def one(found):
        count, space, letter = found[1].partition(" ")
        if space:
            return letter * int(count)
        return value_of(found[1], values).decode("latin-1")
    # Latin-1 both ways, so that a value may hold any octet.
    text = text.encode().decode("latin-1")
    return PLACEHOLDER.sub(one, text).encode("latin-1")


class Pattern:
    """A line of the server's. /.../ is a regular expression; otherwise literal but for <...>."""

    def __init__(self, text):
        self.text = text
        self.parts = None
        if len(text) > 1 and text[0] == text[-1] == "/":
            try:
                self.expression = re.compile(text[1:-1].encode(), re.DOTALL)
            except re.error as error:
                raise PatternError(f"{text}: {error}") from error
            return
        self.parts = []
        at = 0
        for found in PLACEHOLDER.finditer(text):
            self.parts += [("literal", text[at:found.start()]), self.part(found[1])]
            at = found.end()
        self.parts.append(("literal", text[at:]))

    @staticmethod
    def part(inside):
        name, equals, kind = inside.partition("=")
        if equals:
            if kind not in KINDS:
                raise PatternError(f"<{inside}>: there is no kind {kind}")
            return "capture", (name, kind)
        return ("kind", inside) if inside in KINDS else ("value", inside)

    def match(self, line, values):
        """True and new values taken, or False. `line` has no CRLF."""
        if self.parts is None:
            return self.expression.fullmatch(line) is not None
        expression = b""
        for what, inside in self.parts:
            if what == "literal":
                expression += re.escape(inside.encode())
            elif what == "kind":
                expression += KINDS[inside]
            elif what == "capture":
                expression += b"(?P<%s>%s)" % (inside[0].encode(), KINDS[inside[1]])
            else:
                expression += re.escape(fill(f"<{inside}>", values))
        found = re.fullmatch(expression, line, re.DOTALL)
        if found is None:
            return False
        values.update({name: value for name, value in found.groupdict().items()})
        return True
