"""Bellhop as a contender, and what holds for every contender."""

import os
import re
import signal
from contextlib import contextmanager
from pathlib import Path

from bellhop import QUICK, children, wait_until

# As `bellhop init` sets them.
DEFAULT = {"hash_operations": "2", "hash_memory": "64M"}


class Bellhop:
    """
    The interface of all: name, start(), stop(), hashing_at_full_cost(), ports (.lmtp, .pop3,
    .pop3s), serve_pid (CPU time and memory are counted from there on), data (the folder of its
    mail), log.
    """
    name = "Bellhop"

    def __init__(self, instance):
        self.instance = instance
        self.start = instance.start
        self.stop = instance.stop

    @property
    def ports(self):
        return self.instance.ports

    @property
    def serve_pid(self):
        return self.instance.process.pid

    @property
    def data(self):
        return self.instance.dir / "store"

    @property
    def log(self):
        return self.instance.log

    @contextmanager
    def hashing_at_full_cost(self):
        """With the memory that hashes at an operator's cost take side by side."""
        self._configure(**DEFAULT)
        try:
            yield
        finally:
            self._configure(**QUICK)

    def _configure(self, **settings):
        mark = len(self.log)
        self.instance.configure(**settings)
        self.instance.process.send_signal(signal.SIGHUP)
        wait_until(lambda: re.search(r"authd\[\d+\]: the configuration has been read anew", self.log[mark:]),
                   what="an authd with other settings")


def restart(contender):
    """It knows nobody's credentials any more, nor what it has opened before."""
    contender.stop()
    contender.start()


def restart_cold(contender):
    """Nor does the kernel keep any of its mail."""
    contender.stop()
    for path in contender.data.rglob("*"):
        if path.is_file():
            forget(path)
    contender.start()


def forget(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)  # what is not on the disk yet stays
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def memory(contender):
    """Octets of all its processes; of pages that several share, each counts its part."""
    below, total = [contender.serve_pid], 0
    while below:
        pid = below.pop()
        below += children(pid)
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total
