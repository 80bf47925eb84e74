"""A private Bellhop instance for a test: its directory, its ports, its programs, its clients."""

import ctypes
import http.client
import os
import poplib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import api
from wire import Lmtp, Reply, Wire

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("BELLHOP_BIN", ROOT / "build" / "bin")).resolve()
DATA = ROOT / "tests" / "data"

START_TIME = 30  # seconds until an instance answers on every port
STOP_TIME = 10   # the supervisor gives sessions 5 s; the rest is for sanitizers
CLI_TIME = 60

TROUBLE = re.compile(r"\]: panic: |\]: error: confinement: |Bad system call|AddressSanitizer|LeakSanitizer|"
                     r"ThreadSanitizer|runtime error:")

# Passwords are hashed quickly in tests; what Argon2id costs is a test of its own.
QUICK = {"hash_operations": "1", "hash_memory": "8K"}

poplib._MAXLINE = 1 << 20  # there are longer lines in mail than poplib expects


class Ports(NamedTuple):
    lmtp: int
    http: int
    pop3: int
    pop3s: int
    https: int  # where https_listen names it

    @classmethod
    def at(cls, base):
        return cls(base + 24, base + 80, base + 110, base + 995, base + 443)


@dataclass
class Account:
    address: str
    password: str


@dataclass
class Customer:
    name: str
    plan: str
    domain: str
    accounts: list[Account] = field(default_factory=list)


def port_is_free(port):
    """On every address, as the programs listen."""
    families = [(socket.AF_INET, "0.0.0.0")]
    if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
        families.append((socket.AF_INET6, "::"))
    for family, host in families:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def free_port_base():
    """
    Below the range from which the kernel takes the ports of outgoing connections. An instance's
    ports lie within 1000; a process of pytest-xdist has a range of its own.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 10000 + process % 8 * 2600
    while True:
        base = random.randrange(first, first + 1600)
        if all(port_is_free(port) for port in Ports.at(base)):
            return base


def run(*args, input=None, check=True, timeout=CLI_TIME, programs=BIN):
    """Runs build/bin/bellhop. With check, an exit status other than 0 fails the test."""
    done = subprocess.run([programs / "bellhop", *map(str, args)], input=input, text=True,
                          stdin=subprocess.DEVNULL if input is None else None,
                          capture_output=True, timeout=timeout)
    trouble = TROUBLE.search(done.stderr)
    assert not trouble, done.stderr
    if check:
        assert done.returncode == 0, (
            f"bellhop {' '.join(map(str, args))}: exit {done.returncode}: "
            f"{done.stdout[-2000:]}{done.stderr}")
    return done


class Instance:
    """An instance directory; start() and stop() run it. Made by the fixtures of conftest.py."""

    def __init__(self, directory, source=None, programs=BIN):
        """
        A new instance in `directory`, or a copy of the stopped instance `source`. `programs`: the
        folder with those that serve it.
        """
        self.dir = Path(directory)
        self.programs = programs
        self.customers: list[Customer] = []
        self.process = None
        self.log_path = self.dir.with_name(self.dir.name + ".log")
        self.log_path.touch()
        self.base = free_port_base()
        if source is None:
            run("init", self.dir, "--port-base", self.base)
        else:
            shutil.copytree(source.dir, self.dir)
            self.customers = [Customer(c.name, c.plan, c.domain, list(c.accounts))
                              for c in source.customers]
            self._move_ports(source.base, self.base)

    # --- settings and accounts

    @property
    def ports(self) -> Ports:
        return Ports.at(self.base)

    def _move_ports(self, old, new):
        path = self.dir / "bellhop.conf"
        moved = dict(zip(map(str, Ports.at(old)), map(str, Ports.at(new))))
        # In one pass: a new port may be one of the old ones.
        path.write_text(re.sub(r"(?m)^(\w+_listen\s*=.*:)(\d+)$",
                               lambda found: found[1] + moved.get(found[2], found[2]),
                               path.read_text()))
        self.base = new

    def configure(self, **settings):
        """Sets values in bellhop.conf; they count from the next start() or SIGHUP."""
        path = self.dir / "bellhop.conf"
        text = path.read_text()
        for name, value in settings.items():
            text, changed = re.subn(rf"(?m)^{name}\s*=.*$", f"{name} = {value}", text)
            assert changed == 1, f"bellhop.conf has no setting {name}"
        path.write_text(text)

    def cli(self, *args, input=None, check=True, timeout=CLI_TIME):
        """bellhop -C DIR ARGS: a CompletedProcess with text output."""
        return run("-C", self.dir, *args, input=input, check=check, timeout=timeout,
                   programs=self.programs)

    def customer(self, name, plan, domain, *local_parts) -> Customer:
        """Adds a customer with one domain and an address (with a password) for each local part."""
        self.cli("customer", "add", name, "--plan", plan)
        self.cli("domain", "add", domain, "--customer", name)
        customer = Customer(name, plan, domain)
        self.customers.append(customer)
        for local in local_parts:
            self.address(customer, local)
        return customer

    def address(self, customer, local, password=None) -> Account:
        address = f"{local}@{customer.domain}"
        account = Account(address, password or f"key to {address} {random.randrange(10**9)}")
        self.cli("address", "add", address, "--password-stdin", input=account.password + "\n")
        customer.accounts.append(account)
        return account

    # --- running

    def start(self):
        """Starts `bellhop serve` and returns when all programs run and every port answers."""
        for _ in range(5):
            mark = len(self.log)
            self._spawn()
            if self._ready(mark):
                return self
            status = self.process.wait(STOP_TIME)
            self.process = None
            if "in use" not in self.log[mark:]:
                break
            self._move_ports(self.base, free_port_base())
        raise AssertionError(f"bellhop serve ended with status {status}:\n{self.log[mark:]}")

    def _spawn(self):
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen([self.programs / "bellhop", "-C", self.dir, "serve"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _ready(self, mark):
        """
        True: all programs run and every port answers. False: the process has ended. The log is read
        from `mark` on: a port that several processes share answers before the last one is there.
        """
        deadline = time.monotonic() + START_TIME
        waiting = "nothing yet"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            try:
                self._probe()
                assert ": serving " in self.log[mark:], "not all programs have been started"
                return True
            except (OSError, EOFError, AssertionError, http.client.HTTPException) as error:
                waiting = repr(error)
                time.sleep(0.02)
        self.kill()
        raise AssertionError(f"not ready in {START_TIME} s: {waiting}\n{self.log}")

    def _probe(self):
        """stored and authd need no probe: what is sent to their sockets early waits there."""
        with Lmtp(("127.0.0.1", self.ports.lmtp), hello=False) as lmtp:
            assert lmtp.greeting.code == 220
        with self.wire("pop3") as pop3:
            assert pop3.line().startswith(b"+OK")
        with self.wire("pop3s") as pop3:
            assert pop3.line().startswith(b"+OK")

    def wait_healthy(self, seconds=START_TIME):
        """After a crash: returns when everything answers again."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._probe()
            except (OSError, EOFError, AssertionError, http.client.HTTPException):
                assert self.process.poll() is None, f"bellhop serve has ended:\n{self.log}"
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self):
        """SIGTERM: it must end with status 0, in time."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"bellhop serve did not end within {STOP_TIME} s of SIGTERM")
        self.process = None
        assert status == 0, f"bellhop serve ended with status {status}:\n{self.log}"

    def kill(self):
        """kill -9 of the supervisor and everything below it, at once."""
        if self.process is None:
            return
        # Stopped first, so that it starts nothing between the look at its children and its end.
        signal_process(self.process.pid, signal.SIGSTOP)
        wait_until(lambda: state(self.process.pid) in "TZ", 5, "a stopped supervisor")
        pids = [self.process.pid, *(pid for pids in self.pids().values() for pid in pids)]
        for pid in pids:
            signal_process(pid, signal.SIGKILL)
        self.process.wait(STOP_TIME)
        self.process = None
        for pid in pids[1:]:
            wait_gone(pid)

    def restart(self):
        self.stop()
        return self.start()

    def finish(self):
        """The end of a test: stops what runs, and looks through the log."""
        try:
            self.stop()
        finally:
            self.kill()
        trouble = TROUBLE.search(self.log)
        assert not trouble, f"the log has {trouble.group()!r}:\n{self.log}"

    @property
    def log(self) -> str:
        """Everything that the programs have written to standard error so far."""
        return self.log_path.read_text(errors="replace")

    def pids(self) -> dict[str, list[int]]:
        """The processes below the supervisor, by program."""
        found: dict[str, list[int]] = {}
        below = [self.process.pid]
        while below:
            parent = below.pop()
            for pid in children(parent):
                below.append(pid)
                found.setdefault(program(pid), []).append(pid)
        return found

    # --- clients

    @property
    def tls(self) -> ssl.SSLContext:
        """Trusts this instance's own certificate and nothing else."""
        context = ssl.create_default_context(cafile=self.dir / "tls" / "cert.pem")
        context.check_hostname = False
        return context

    def wire(self, service) -> Wire:
        """A raw connection to pop3, pop3s, lmtp, http, or to a socket like run/lmtp.sock."""
        if "/" in service:
            return Wire(self.dir / service)
        port = getattr(self.ports, service)
        return Wire(("127.0.0.1", port), self.tls if service == "pop3s" else None)

    def lmtp(self, unix=False) -> Lmtp:
        return Lmtp(self.dir / "run" / "lmtp.sock" if unix else ("127.0.0.1", self.ports.lmtp))

    def deliver(self, recipients, message: bytes, sender="sender@elsewhere.example",
                options="", unix=False) -> list[Reply]:
        """One delivery over LMTP: a reply for each recipient, in order."""
        with self.lmtp(unix) as lmtp:
            replies = lmtp.deliver(recipients, message, sender, options)
            lmtp.ask("QUIT")
        return replies

    def pop3_greeted(self, tls=False):
        """A poplib connection before the log-in."""
        if tls:
            return poplib.POP3_SSL("127.0.0.1", self.ports.pop3s, timeout=30, context=self.tls)
        return poplib.POP3("127.0.0.1", self.ports.pop3, timeout=30)

    def pop3(self, address, password=None, tls=False, utf8=False):
        """
        A logged-in poplib connection; the password of an account made here is known. Headers that
        are not ASCII come as they were delivered only with utf8.
        """
        if isinstance(address, Account):
            address, password = address.address, address.password
        pop3 = self.pop3_greeted(tls)
        try:
            if utf8:
                pop3.utf8()
            pop3.user(address)
            pop3.pass_(password)
        except Exception:
            pop3.close()
            raise
        return pop3

    def messages(self, account, tls=False, utf8=True) -> dict[str, bytes]:
        """Everything in a mailbox, by unique-id, in order; with utf8 as it was delivered."""
        pop3 = self.pop3(account, tls=tls, utf8=utf8)
        listed = [line.decode().split() for line in pop3.uidl()[1]]
        found = {uid: retrieve(pop3, int(number)) for number, uid in listed}
        pop3.quit()
        return found

    def http(self, path):
        """GET: (status, body as text)."""
        answer = api.send(self, "GET", path)
        return answer.status, answer.text


def sanitized():
    """AddressSanitizer keeps freed memory back, so sizes say nothing."""
    symbols = subprocess.run(["grep", "-c", "__asan_init", BIN / "stored"], capture_output=True)
    return symbols.returncode == 0


def retrieve(pop3, number) -> bytes:
    """RETR over poplib: the message's octets."""
    return b"".join(line + b"\r\n" for line in pop3.retr(number)[1])


def children(parent):
    try:
        return [int(pid) for task in Path(f"/proc/{parent}/task").iterdir()
                for pid in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def program(pid):
    """
    By its first argument, which is there as soon as it is executed; the name of the process it sets
    a moment later, and only that is left when it has ended.
    """
    try:
        first = Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0]
        return Path(first).name or Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def state(pid):
    """The letter of proc(5): R, S, D, T (stopped), Z (ended, and here also gone)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def status(pid) -> dict[str, str]:
    """What proc(5) says in /proc/PID/status, by name."""
    return dict(re.findall(r"(?m)^(\w+):[ \t]*(.*?)[ \t]*$", Path(f"/proc/{pid}/status").read_text()))


def cpu_seconds(pid):
    """Of all its threads, to the nanosecond: other work on the machine does not count."""
    clock = ctypes.c_int()
    assert ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)) == 0
    return time.clock_gettime(clock.value)


def descriptors(pid):
    """Number and file of each descriptor; one that is closed meanwhile is left out."""
    found = {}
    with suppress(FileNotFoundError):  # it has ended
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                found[fd] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def signal_process(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_gone(pid, seconds=STOP_TIME):
    """Returns when the process has ended (a zombie has)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} is still there after {seconds} s")


def wait_until(condition, seconds=10, what="the condition"):
    """Polls until condition() is true; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        time.sleep(0.02)
    return value
