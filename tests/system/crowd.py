"""A service with thousands of mailboxes, and clients of every kind at once."""

import os
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bellhop import QUICK, ROOT, Instance
from scale import fill

sys.path.append(str(ROOT / "tests" / "bench"))

import generator  # noqa: E402
import growth  # noqa: E402
from contenders import Bellhop, memory  # noqa: E402

SOURCES = 20       # addresses that a kind of client comes from: one has 28,000 ports
MESSAGES = 10      # in the mailbox of each client that is idle
LARGE = 100_000    # octets of the message of one that reads slowly, or not at all
LONG_TIME = 600    # seconds; nobody stays so long
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Kind:
    """Clients that come to stay, as a mode of the generator."""
    title: str
    mode: str
    service: str
    count: int
    most: int  # octets that all programs may take for each

    @property
    def mailboxes(self):
        return 0 if self.mode == "half" else self.count


@dataclass
class Visit:
    """What others have seen in some seconds; and the parts of the cores that were used meanwhile."""
    title: str
    p50: float  # milliseconds of a whole session, with its handshake
    p99: float
    rate: float
    server: float
    clients: float
    crowd: float
    elsewhere: float  # for what has nothing to do with this, on other machines of the same host as well
    memory: int  # octets of all programs, afterwards
    kernel: int  # of TCP, this machine's whole

    def __str__(self):
        return (f"{self.title:34} p50 {self.p50:5.1f} ms  p99 {self.p99:5.1f} ms  {self.rate:5.0f}/s  cores: "
                f"Bellhop {self.server:.2f}, these clients {self.clients:.2f}, the others {self.crowd:.2f}, "
                f"elsewhere {self.elsewhere:.2f}  memory {self.memory >> 20} MiB, TCP {self.kernel >> 20} MiB")


def cpu_of(pid):
    """Seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(fields[11]) + int(fields[12])) / TICK


def busy():
    """Seconds that all cores together have worked, or were not there for a virtual machine that had work."""
    user, nice, system, _, _, interrupt, soft, stolen = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + interrupt + soft + stolen) / TICK


def kernel_memory():
    """Octets that TCP has for all sockets."""
    pages = re.search(r"^TCP: .* mem (\d+)", Path("/proc/net/sockstat").read_text(), re.M)
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE")


def longest_queue(port):
    """Octets that the kernel keeps for the client on this port which has left most of them unread."""
    longest = 0
    for name in "tcp", "tcp6":
        path = Path("/proc/net") / name
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        for words in map(str.split, lines):
            if int(words[1].rpartition(":")[2], 16) == port and words[3] == "01":
                longest = max(longest, int(words[4].partition(":")[0], 16))
    return longest


class Crowd:
    """Two customers at least; each kind has mailboxes of its own, and so have the visitors."""

    def __init__(self, folder, kinds, visitors):
        self.folder = folder
        self.staying = []  # the processes of who stays
        self.instance = Instance(folder / "instance")
        self.instance.configure(**QUICK)
        [first] = self.instance.customer("First", "chain", "first.example", "room").accounts
        wanted = sum(kind.mailboxes for kind in kinds) + visitors
        customers = max(2, -(-wanted // growth.CUSTOMER))
        addresses = growth.add_copies(self.instance, customers)
        idle = next(kind.count for kind in kinds if kind.mode == "idle")
        fill(self.instance, first, messages=MESSAGES, mailboxes=idle)
        # Those first that fill() has given mail, and the visitors of both ends.
        for kind in sorted(kinds, key=lambda kind: kind.mode != "idle"):
            chosen, addresses = addresses[:kind.mailboxes], addresses[kind.mailboxes:]
            self._write(self._users(kind), chosen or addresses[:1], first.password)
        half = visitors // 2
        self._write(self.folder / "visitors", addresses[:half] + addresses[half - visitors:], first.password)
        self.visitors = visitors
        self.kinds = kinds

    def _users(self, kind):
        return self.folder / f"{kind.mode}-{kind.service}"

    @staticmethod
    def _write(path, addresses, password):
        path.write_text("".join(f"{address}\t{password}\n" for address in addresses))

    def start(self):
        self.instance.start()
        self.bellhop = Bellhop(self.instance)

    def restart(self):
        self.instance.stop()
        self.start()

    def deliver(self):
        """What visitors read, and what others do not."""
        for kind in self.kinds:
            if kind.mode in ("slow", "deaf"):
                self._deliver(self._users(kind), kind.count, LARGE)
        self._deliver(self.folder / "visitors", MESSAGES * self.visitors, 8192)

    def _deliver(self, users, count, size):
        generator.load("lmtp", self.instance.ports.lmtp, users, self.bellhop.serve_pid, count=count, size=size,
                       connections=min(count, 8))

    def _tls(self, service):
        return {"tls": True, "ca": self.instance.dir / "tls" / "cert.pem"} if service == "pop3s" else {}

    def visit(self, title, seconds):
        """Sessions over TLS, one after the other for each visitor, so long."""
        pids = [process.pid for process in self.staying]
        before, crowd, began = busy(), sum(map(cpu_of, pids)), time.monotonic()
        seen = generator.load("session", self.instance.ports.pop3s, self.folder / "visitors",
                              self.bellhop.serve_pid, connections=self.visitors, retrieve=True, count=10**8,
                              seconds=seconds, **self._tls("pop3s"))
        took = time.monotonic() - began
        server, clients = (seen[name] * seen["operations"] / 1e6 / took
                           for name in ("server_cpu_us", "client_cpu_us"))
        crowd = (sum(map(cpu_of, pids)) - crowd) / took
        elsewhere = max(0.0, (busy() - before) / took - server - clients - crowd)
        return Visit(title, seen["p50_us"] / 1e3, seen["p99_us"] / 1e3, seen["rate"], server, clients, crowd,
                     elsewhere, memory(self.bellhop), kernel_memory())

    @contextmanager
    def staying_too(self, kind):
        """Within, these clients are there. At the end, each has been served as it should."""
        options = {} if kind.mode == "half" else self._tls(kind.service)
        with generator.held(getattr(self.instance.ports, kind.service), self._users(kind),
                            self.bellhop.serve_pid, kind.mode, connections=kind.count, sources=SOURCES,
                            seconds=LONG_TIME, **options) as process:
            self.staying.append(process)
            try:
                yield process
            finally:
                self.staying.remove(process)
