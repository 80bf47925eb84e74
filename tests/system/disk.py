"""A disk that fails on command, under stored alone; see tests/disk/disk.c."""

import errno
import mmap
import os
import shutil
import struct
from pathlib import Path

from bellhop import BIN, sanitized

LIBRARY = BIN.parent / "tests" / "disk.so"
PROGRAMS = ["authd", "fetchd", "lmtpd", "pop3d", "admin"]

CALLS = ["open", "read", "write", "sync", "allocate", "truncate", "unlink", "rename", "list", "map"]
RULE = struct.Struct("<IIIiIIII96s")
RULES, RULES_MAX = 128, 8  # where they begin: behind the mask of what is recorded
SHORT = -1                 # instead of an errno: half of the octets
FOREVER = 1 << 30

# A pattern is for the whole path.
SEGMENTS = "*/store/*.seg"
INDEX = "*/store/index.db"
WAL = "*/store/index.db-wal"
FOLDER = "*/store"

STORED = """#!/bin/sh
{asan}
{environment} exec '{stored}' "$@"
"""


class Disk:
    """Puts itself under the stored of a stopped instance. Without rules it only does its work."""

    def __init__(self, instance):
        folder = Path(str(instance.dir) + ".disk")
        folder.mkdir()
        self.calls_path = folder / "calls"
        self.calls_path.touch()
        rules = folder / "rules"
        rules.write_bytes(bytes(RULES + RULES_MAX * RULE.size))
        with rules.open("r+b") as file:
            self.control = mmap.mmap(file.fileno(), 0)
        asan = 'export ASAN_OPTIONS="verify_asan_link_order=0:$ASAN_OPTIONS"' if sanitized() else ""
        self.environment = {"BELLHOP_DISK_RULES": str(rules),
                            "BELLHOP_DISK_CALLS": str(self.calls_path), "LD_PRELOAD": str(LIBRARY)}
        self._programs(folder / "bin", STORED.format(
            environment=" ".join(f"{name}='{value}'" for name, value in self.environment.items()),
            stored=BIN / "stored", asan=asan))
        instance.programs = folder / "bin"

    @staticmethod
    def _programs(folder, stored):
        """The supervisor looks for its programs beside its own file: a copy, not a link."""
        folder.mkdir()
        shutil.copy2(BIN / "bellhop", folder / "bellhop")
        for name in PROGRAMS:
            (folder / name).symlink_to(BIN / name)
        (folder / "stored").write_text(stored)
        (folder / "stored").chmod(0o755)

    # --- rules

    def rule(self, number, calls, pattern, action=0, first=1, count=FOREVER, delay=0, above=0):
        """
        Rule `number`: calls are names joined by "|"; action: an errno, SHORT, or 0; above: acts
        on "allocate" for more octets only.
        """
        mask = sum(1 << CALLS.index(call) for call in calls.split("|"))
        at = RULES + number * RULE.size
        self.control[at:at + 4] = bytes(4)  # off while it changes
        self.control[at + 4:at + RULE.size] = RULE.pack(
            mask, first, count, action, delay, 0, 0, above, pattern.encode())[4:]
        self.control[at:at + 4] = struct.pack("<I", mask)

    def fail(self, calls, pattern, action, first=1, count=FOREVER):
        """The one rule that most tests need."""
        self.rule(0, calls, pattern, action, first, count)

    def clear(self):
        """No rules: the disk works."""
        for number in range(RULES_MAX):
            at = RULES + number * RULE.size
            self.control[at:at + 4] = bytes(4)

    def matched(self, number=0) -> int:
        return self._rule(number)[5]

    def acted(self, number=0) -> int:
        return self._rule(number)[6]

    def _rule(self, number):
        return RULE.unpack_from(self.control, RULES + number * RULE.size)

    # --- what was called

    def record(self, calls="write|sync|allocate|truncate|unlink"):
        """From now on."""
        os.truncate(self.calls_path, 0)
        self.control[0:4] = struct.pack("<I", sum(1 << CALLS.index(c) for c in calls.split("|")))

    def recorded(self) -> list[tuple[str, str, int]]:
        """(call, file's name, what the rules made of it: 0, an errno, SHORT)"""
        calls = (line.rsplit(" ", 1) for line in self.calls_path.read_text().splitlines())
        return [(*self._split(head), int(action)) for head, action in calls]

    @staticmethod
    def _split(head):
        call, path = head.split(" ", 1)
        return call, os.path.basename(path)


def name(action) -> str:
    return "short" if action == SHORT else errno.errorcode[action]
