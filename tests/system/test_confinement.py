"""
What a program of Bellhop can still do when somebody has taken it over: a running one of each is made
to do it (tests/confine/inject.c).
"""

import errno
import os
import re
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from bellhop import BIN, Instance, sanitized, status, wait_until

PROGRAMS = ["pop3d", "authd", "stored", "lmtpd", "fetchd", "admin"]
LOCAL = [name for name in PROGRAMS if name != "fetchd"]
FRONTS = ["pop3d", "lmtpd"]
INJECT = BIN.parent / "tests" / "inject"

KILLED = f"signal {signal.SIGSYS.value}"
AT_FDCWD = -100
O_NEW = os.O_WRONLY | os.O_CREAT
ADDRESS = "@" + struct.pack("<HH4s8x", socket.AF_INET, 0x697a, bytes([127, 0, 0, 1])).hex()
NOWHERE = "@" + bytes(16).hex()


def failed(number):
    return str(-number)


# What nobody may do: the programs that try are gone. A name, a call, its arguments, by program where
# it is not the same for all.
DEADLY = [
    ("execute", PROGRAMS, "execve", ["=/bin/true", 0, 0]),
    ("fork", PROGRAMS, "fork", []),
    ("fork-by-clone", PROGRAMS, "clone", [signal.SIGCHLD.value, 0, 0, 0, 0]),
    ("ipv4-socket", LOCAL, "socket", [socket.AF_INET, socket.SOCK_STREAM, 0]),
    ("ipv6-socket", LOCAL, "socket", [socket.AF_INET6, socket.SOCK_STREAM, 0]),
    ("pair", ["pop3d", "authd", "lmtpd", "stored"], "socketpair", [socket.AF_UNIX, socket.SOCK_STREAM, 0, 0]),
    ("another-pair", ["admin"], "socketpair", [socket.AF_INET, socket.SOCK_STREAM, 0, 0]),
    ("raw-socket", PROGRAMS, "socket", [socket.AF_PACKET, socket.SOCK_RAW, 0]),
    ("send-elsewhere", PROGRAMS, "sendto", [0, 0, 0, 0, ADDRESS, 16]),
    ("code-in-memory", PROGRAMS, "mmap", [0, 4096, 7, 0x22, -1, 0]),
    ("memory-as-a-file", ["pop3d", "authd", "lmtpd", "fetchd", "admin"], "memfd_create", ["=code", 0]),
    ("trace", PROGRAMS, "ptrace", [16, 1, 0, 0]),
    ("signal-others", PROGRAMS, "kill", [1, 0]),
    ("another-user", PROGRAMS, "setresuid", [0, 0, 0]),
    ("read-a-file", ["pop3d"], "openat", [AT_FDCWD, "=/etc/passwd", os.O_RDONLY]),
    ("listen", PROGRAMS, "listen", [0, 1]),
    ("make-a-file", ["pop3d", "authd", "lmtpd", "fetchd"], "openat", [AT_FDCWD, "=/tmp/bellhop", O_NEW, 0o600]),
    ("remove-a-file", ["pop3d", "authd", "lmtpd", "fetchd"], "unlink", ["=bellhop.conf"]),
]

# What Landlock keeps from those who open files, each what is another's.
DENIED = {
    "authd": ["/etc/passwd", "store/lock", "store/index.db", "tls/key.pem", "bellhop.conf", "store"],
    "lmtpd": ["/etc/passwd", "store/lock", "store/index.db", "tls/key.pem", "bellhop.conf", "run"],
    "fetchd": ["/etc/passwd", "accounts.db", "tls/key.pem", "bellhop.conf", "store", "run"],
    "stored": ["/etc/passwd", "accounts.db", "tls/key.pem", "bellhop.conf", "."],
    "admin": ["/etc/passwd", "store/lock", "store/index.db", "tls/key.pem", "bellhop.conf", "run"],
}

needs_plain_build = pytest.mark.skipif(sanitized(), reason="sanitizers are allowed more")


@pytest.fixture
def victim(template, tmp_path):
    """Its log is full of what the other tests take for trouble."""
    made = Instance(tmp_path / "instance", template)
    made.configure(pop3_processes="1")
    yield made.start()
    made.stop()


def process(instance, program):
    [pid] = wait_until(lambda: instance.pids().get(program), what=f"a running {program}")
    return pid


def inject(instance, program, call, *arguments):
    """What came of it, as inject prints it."""
    pid = process(instance, program)
    wait_until(lambda: status(pid)["Seccomp"] == "2", what=f"a confined {program}")
    done = subprocess.run([INJECT, str(pid), call, *map(str, arguments)], capture_output=True,
                          text=True, timeout=30)
    if done.returncode == 77:
        pytest.skip(f"no process can be traced here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def kernel():
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])


def has_landlock(instance):
    return "not confined by Landlock" not in instance.log


def test_every_program_is_confined(shared):
    for program, pids in shared.pids().items():
        for pid in pids:
            wait_until(lambda: status(pid)["Seccomp"] == "2", what=f"a confined {program}")
            assert status(pid)["NoNewPrivs"] == "1"
            assert status(pid)["Threads"] == str(threads_confined(pid))
    if has_landlock(shared):
        count = sum(len(pids) for pids in shared.pids().values())
        wait_until(lambda: f"\nbellhop_confined {count}\n" in shared.http("/metrics")[1],
                   what="the gauge")


def threads_confined(pid):
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum("\nSeccomp:\t2\n" in text and "\nNoNewPrivs:\t1\n" in text for text in texts)


@needs_plain_build
@pytest.mark.parametrize("programs, call, arguments", [row[1:] for row in DEADLY],
                         ids=[row[0] for row in DEADLY])
def test_what_nobody_may_do_is_deadly(victim, programs, call, arguments):
    for program in programs:
        pid = process(victim, program)
        assert inject(victim, program, call, *arguments) == KILLED, program
        wait_until(lambda: f"{program}[{pid}] was ended by signal" in victim.log)
    victim.wait_healthy()
    assert not Path("/tmp/bellhop").exists()


@needs_plain_build
@pytest.mark.parametrize("program", DENIED)
def test_files_of_others_are_denied(victim, program):
    if not has_landlock(victim):
        pytest.skip("this kernel has no Landlock")
    pid = process(victim, program)
    for path in DENIED[program]:
        found = inject(victim, program, "openat", AT_FDCWD, f"={path}", os.O_RDONLY)
        assert found == failed(errno.EACCES), path
    if program in ["stored", "admin"]:
        for path in ["/tmp/bellhop", "here"]:
            found = inject(victim, program, "openat", AT_FDCWD, f"={path}", O_NEW, 0o600)
            assert found == failed(errno.EACCES), path
        assert inject(victim, program, "unlink", "=bellhop.conf") == failed(errno.EACCES)
    assert process(victim, program) == pid


@needs_plain_build
@pytest.mark.parametrize("program, service", [("pop3d", "pop3"), ("lmtpd", "lmtp")])
def test_a_clients_socket_is_of_no_use(victim, program, service):
    """One that is connected can be let go, and could then be connected to somebody else."""
    with victim.wire(service) as wire:
        wire.line()
        pid = process(victim, program)
        fd = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd")
                 if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"))
        found = inject(victim, program, "connect", fd, NOWHERE, 16, "+", "connect", fd, ADDRESS, 16)
    if not has_landlock(victim) or kernel() < (6, 7):
        pytest.skip("this kernel's Landlock has no rules for TCP")
    assert found.split() == ["0", failed(errno.EACCES)]


@needs_plain_build
def test_who_reaches_other_machines_reaches_no_sibling(victim):
    pid = process(victim, "fetchd")
    for family in [socket.AF_UNIX, socket.AF_NETLINK]:
        assert inject(victim, "fetchd", "socket", family, socket.SOCK_STREAM, 0) == failed(errno.EAFNOSUPPORT)
    assert process(victim, "fetchd") == pid


@needs_plain_build
def test_a_call_that_is_not_listed_is_told_once(victim):
    for program in PROGRAMS:
        pid = process(victim, program)
        for _ in range(3):
            assert inject(victim, program, "sysinfo", 0) == failed(errno.ENOSYS)
        assert victim.log.count(f"{program}[{pid}]: error: confinement: the system call ") == 1
        assert process(victim, program) == pid
    victim.wait_healthy()
