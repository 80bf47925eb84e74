"""A data file: what it says on top, and its steps. README.md tells the format."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from pattern import Pattern, PatternError, unescape

FIXTURES = Path(__file__).resolve().parents[1] / "data"

# What stands before a step: nothing is connection 1; L, L2 are connections of LMTP.
STEP = re.compile(r"(L?)([0-9]?) ?(C|S\*\??|S|[a-z]+|unless closed): ?(.*)")
HEADS = {"goal", "sentence", "requires", "order", "slow"}

# What a step takes behind its colon.
TAKES = {"connect": r"tls|old tls|without tls|", "tls": r"|or closed", "close": r"|half",
         "closed": r"", "unless closed": r"",
         "pause": r"[0-9.]+", "nothing": r"[0-9.]+", "wait": r"", "login": r"[12]?",
         "lhlo": r"", "octets": r'".*"', "differs": r"<[a-z]\w*> <[a-z]\w*>",
         "same": r"<[a-z]\w*> <[a-z]\w*>",
         "scram": r"SCRAM-SHA-(1|256|512)(-PLUS)?"
                  r"( wrong password| nobody| other nonce| could bind| other binding| unbound)?",
         "atmost": r"<[a-z]\w*> <[a-z]\w*>", "flood": r"[0-9]+ [A-Z].*", "repeat": "[0-9]+"}

# Indented below "S*:".
CHECKS = {"has", "lacks", "each", "count", "size", "mail", "top", "code"}


class FileError(Exception):
    """A data file that is not one; the message says where and why."""


@dataclass
class Check:
    kind: str
    text: str
    pattern: Pattern | None = None


@dataclass
class Step:
    number: int      # of its line in the file
    text: str        # as it stands there
    connection: str  # "1", "2", "L1"
    kind: str
    argument: str
    pattern: Pattern | None = None
    checks: list[Check] = field(default_factory=list)


@dataclass
class TestFile:
    path: Path
    name: str
    goal: str = ""
    sentences: list[str] = field(default_factory=list)
    requires: list[str] = field(default_factory=list)
    order: str = ""   # "strict": not all in one write; "once": line by line only
    reason: str = ""  # for that
    slow: bool = False
    mails: list[tuple[int, bytes]] = field(default_factory=list)  # mailbox 1 or 2, message
    steps: list[Step] = field(default_factory=list)

    @property
    def delivers(self):
        return any(step.connection.startswith("L") for step in self.steps)

    @property
    def enters(self):
        """Whether a step may open a mailbox."""
        return any(step.kind in ("login", "scram")
                   or re.search("PASS|AUTH|APOP", step.argument, re.I) for step in self.steps)

    def mail(self, number):
        """The message number `number` of mailbox 1, as it was seeded."""
        own = [message for mailbox, message in self.mails if mailbox == 1]
        if not 1 <= number <= len(own):
            raise FileError(f"{self.name}: there is no mail {number}")
        return own[number - 1]


class Reader:
    def __init__(self, path, root):
        self.path = path
        name = path.relative_to(root) if path.is_relative_to(root) else path
        self.file = TestFile(path, str(name).removesuffix(".test"))
        self.lines = path.read_text(encoding="utf-8").split("\n")
        self.at = 0

    def fail(self, why):
        raise FileError(f"{self.path}:{self.at}: {why}")

    def read(self):
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if line.strip() and not line.startswith("#"):
                self.take(line)
        for name in ["goal", "sentences", "steps"]:
            if not getattr(self.file, name):
                self.fail(f"it has no {name.rstrip('s')}")
        return self.file

    def take(self, line):
        head, colon, value = line.partition(":")
        if colon and head in HEADS:
            self.take_head(head, value.strip())
        elif colon and head in ("mail", "mail2"):
            self.take_mail(2 if head == "mail2" else 1, value.strip())
        else:
            self.take_step(line)

    def take_head(self, head, value):
        if self.file.steps:
            self.fail(f'"{head}:" comes before the steps')
        if head == "goal":
            self.file.goal = value
        elif head == "sentence":
            self.file.sentences += value.split()
        elif head == "requires":
            self.file.requires += [word.strip() for word in value.split(",")]
        elif head == "order":
            kind, _, reason = value.partition(",")
            if kind not in ("strict", "once") or not reason.strip():
                self.fail('write "order: strict, REASON" or "order: once, REASON"')
            self.file.order, self.file.reason = kind, reason.strip()
        else:
            self.file.slow = True

    def indented(self):
        """The lines below this one that are indented by two spaces, or empty within such."""
        found = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line and not line.startswith("  "):
                break
            found.append(line[2:])
            self.at += 1
        while found and not found[-1]:
            found.pop()
        return found

    def take_mail(self, mailbox, value):
        times, _, name = value.partition(" x ") if " x " in value else ("1", "", value)
        if text := re.fullmatch(r"text( [0-9]+)?", name):
            message = "".join(line + "\r\n" for line in self.indented()).encode()
            message = re.sub(rb"<([0-9]+) x ([^>]*)>", lambda at: int(at[1]) * at[2], message)
            message = unescape(message) if b"\\" in message else message
            head, blank, body = message.partition(b"\r\n\r\n")
            message = head + blank + body * int(text[1] or 1)
        elif (FIXTURES / name).is_file() and name:
            message = (FIXTURES / name).read_bytes()
        else:
            self.fail(f'"{value}" is neither "text" nor a file of tests/data')
        self.file.mails += [(mailbox, message)] * int(times)

    def take_step(self, line):
        found = STEP.fullmatch(line)
        if not found:
            self.fail("this is no step")
        letter, number, kind, argument = found.groups()
        step = Step(self.at, line, letter + (number or "1"), kind, argument)
        if kind not in ("C", "S", "S*", "S*?"):
            if kind not in TAKES:
                self.fail(f'there is no step "{kind}:"')
            if not re.fullmatch(TAKES[kind], argument):
                self.fail(f'"{kind}:" does not take "{argument}"')
        try:
            if kind == "S":
                step.pattern = Pattern(argument)
            elif kind.startswith("S*"):
                step.checks = [self.check(line) for line in self.indented()]
        except PatternError as error:
            self.fail(str(error))
        if kind == "repeat":
            self.repeat(int(argument))
        else:
            self.file.steps.append(step)

    def repeat(self, times):
        """The indented steps, so many times; what is below "S*:" among them has four spaces."""
        first = len(self.file.steps)
        outer, self.lines, self.at = (self.lines, self.at), self.indented(), 0
        while self.at < len(self.lines):
            self.at += 1
            self.take_step(self.lines[self.at - 1])
        lines, self.at = outer[0], outer[1] + len(self.lines)
        self.lines = lines
        self.file.steps[first:] = self.file.steps[first:] * times

    def check(self, line):
        kind, colon, text = line.partition(":")
        if not colon or kind not in CHECKS:
            self.fail(f'"{line}" is no check of lines')
        text = text.strip()
        return Check(kind, text, Pattern(text) if kind in ("has", "lacks", "each") else None)


def read_file(path, root):
    return Reader(Path(path), root).read()


def find_files(paths, root):
    """Every data file below `paths`, in order."""
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileError(f"{path}: there is no such file")
        found += sorted(path.rglob("*.test")) if path.is_dir() else [path]
    return [read_file(path.resolve(), root) for path in found]
