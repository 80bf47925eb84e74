"""Maildirs and mbox files for the tests of import and export, and what the store says of mail."""

import os
import re
import sqlite3
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

from bellhop import BIN


class Made(NamedTuple):
    path: Path
    unique_id: str
    time: int  # microseconds since 1970
    text: bytes


class Row(NamedTuple):
    mailbox: int
    unique_id: str
    time: int
    octets: int

    def __eq__(self, other):
        return self[1:] == other[1:]


# lib/exportmsg.h
BEGIN = struct.Struct("<IIQ")
MESSAGE = struct.Struct("<IIQQQQ72s")

BEGAN = 1_700_000_000
VALIDITY = 1_234_567_890


def make_maildir(folder, texts, uidlist=True) -> list[Made]:
    """A maildir with these messages as Dovecot keeps it, all in cur/ but for every third."""
    made = []
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    for number, text in enumerate(texts):
        time = (BEGAN + number) * 10**6 + 123_456
        base = f"{BEGAN + number}.M{number}P7.host"
        path = folder / ("new" if number % 3 == 2 else "cur") / (
            base if number % 3 == 2 else base + ":2,S")
        path.write_bytes(text)
        os.utime(path, ns=(time * 1000, time * 1000))
        unique_id = f"{number + 1:08x}{VALIDITY:08x}" if uidlist else base
        made.append(Made(path, unique_id, time, text))
    if uidlist:
        write_uidlist(folder, made)
    return made


def write_uidlist(folder, made):
    lines = [f"3 V{VALIDITY} N{len(made) + 1} G0123456789abcdef0123456789abcdef"]
    for number, message in enumerate(made):
        lines.append(f"{number + 1} W{len(message.text) + 9} :{message.path.name.split(':')[0]}")
    (folder / "dovecot-uidlist").write_text("\n".join(lines) + "\n")


def read_maildir(folder) -> list[Made]:
    """What an export has written, in the order of its list."""
    made = []
    for line in (folder / "dovecot-uidlist").read_text().splitlines()[1:]:
        unique_id, name = re.fullmatch(r"\d+ P(\S+) :(\S+)", line).groups()
        path = folder / "new" / name
        made.append(Made(path, unique_id, path.stat().st_mtime_ns // 1000, path.read_bytes()))
    assert len(made) == len(list((folder / "new").iterdir()))
    assert list((folder / "cur").iterdir()) == list((folder / "tmp").iterdir()) == []
    return made


def mboxrd(text) -> bytes:
    """A message, with LF lines, as it stands in an mbox file."""
    return re.sub(rb"(?m)^(>*From )", rb">\1", text)


def index_rows(instance, account) -> list[Row]:
    """A mailbox's messages as the store has them, in order; the service may run or not."""
    local, domain = account.address.split("@")
    with sqlite3.connect(f"file:{instance.dir / 'accounts.db'}?mode=ro", uri=True) as accounts:
        (mailbox,) = accounts.execute(
            "SELECT a.mailbox FROM address a JOIN domain d ON d.id = a.domain"
            " WHERE a.local = ? AND d.name = ?", (local, domain)).fetchone()
    done = subprocess.run([BIN / "stored", "export", str(mailbox)], cwd=instance.dir, check=False,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    at, rows = BEGIN.size, []
    while True:
        _, damaged, uid, time, octets, length, unique_id = MESSAGE.unpack_from(done.stdout, at)
        if uid == 0:
            return rows
        rows.append(Row(mailbox, unique_id.rstrip(b"\0").decode(), time, octets))
        at += MESSAGE.size + (0 if damaged else length)
