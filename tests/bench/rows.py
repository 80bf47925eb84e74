"""The rows of the report, in its order."""

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import generator
import limits
from bellhop import BIN
from contenders import memory, restart, restart_cold
from disk import Disk
from generator import Broken
from outcome import (MEMORY, Target, memory_at_most, part_of, times_less_cpu, times_sooner,
                     times_the_rate)
from stage import CLIENTS

SYNC_MS = 1  # what a sync takes longer on the slow disk


@dataclass
class Row:
    title: str
    # A context in which each side's function measures one round; made from the Stage.
    sides: Callable
    targets: list[Target] = field(default_factory=list)
    note: str = ""
    rounds: int = 5
    needs: list[str] = field(default_factory=list)  # modes and options of the generator


@contextmanager
def opened(limit_makers):
    """Limits, begun and by title: their measure()."""
    with ExitStack() as stack:
        yield {title: stack.enter_context(make()).measure for title, make in limit_makers.items()}


def generated(mode, group, counts, port="pop3", beside=None, before=None, **options):
    """
    The generator against both. counts: operations of a full round, Bellhop's and Dovecot's: as
    many as it takes to measure CPU time in. beside(stage): limits by title, each a way to make one.
    before(stage, contender, count) is not measured.
    """
    @contextmanager
    def sides(stage):
        def measure(contender, count):
            if before:
                before(stage, contender, count)
            return stage.load(contender, mode, group, port, count=count, **options)

        with opened(beside(stage) if beside else {}) as others:
            yield {contender.name: lambda contender=contender, count=count:
                   measure(contender, stage.some(count))
                   for contender, count in zip(stage.contenders, counts)} | others
    return sides


# --- deliveries ---------------------------------------------------------------------------------

BARE = "a bare program that appends and syncs, over connections"
THREADS = "the same without connections"


def bare(connections, size, count, form, *numbers):
    def beside(stage):
        some = stage.some(count)
        return {
            BARE: lambda: limits.GroupCommit(stage, some, connections, size),
            THREADS: lambda: limits.Appending(stage, form, some, size, *numbers),
        }
    return beside


def delivered(counts, size, **options):
    return generated("lmtp", "writers", counts, "lmtp", size=size, **options)


@contextmanager
def on_slow_disk(stage):
    """
    Where a sync takes no longer than a message from one program to the next, it is the messages
    that a lone sender waits for. So once more with syncs like those of a disk behind a network.
    """
    bellhop = stage.bellhop
    bellhop.stop()
    disk = Disk(bellhop.instance)
    for number, files in enumerate(["*.seg", "*/bare"]):
        disk.rule(number, "sync", files, delay=SYNC_MS)
    bellhop.start()
    count = stage.some(800)
    bare_program = limits.Appending(stage, "alone", count, 8192, environment=disk.environment)
    try:
        yield {"Bellhop": lambda: stage.deliver(bellhop, "writers", count, connections=1),
               THREADS: bare_program.measure}
    finally:
        bellhop.stop()
        bellhop.instance.programs = BIN
        bellhop.start()


DELIVERIES = [
    Row(f"LMTP, 8 KiB, {CLIENTS} connections",
        delivered((30000, 3000), 8192, beside=bare(CLIENTS, 8192, 30000, "threads", CLIENTS)),
        [times_the_rate(20), times_less_cpu(25), part_of(BARE, 0.5)]),
    Row(f"LMTP, 64 KiB, {CLIENTS} connections",
        delivered((8000, 2000), 65536, beside=bare(CLIENTS, 65536, 8000, "threads", CLIENTS)),
        [times_the_rate(12)]),
    Row("LMTP, 8 KiB, one message to 50 recipients",
        generated("lmtp", "house", (100000, 4000), "lmtp", recipients=50),
        [times_the_rate(50)], needs=["--recipients"],
        note="an operation is one recipient"),
    Row("LMTP, 8 KiB, one connection",
        delivered((2000, 400), 8192, connections=1, beside=bare(1, 8192, 2000, "alone")),
        [part_of(BARE, 0.8)]),
    Row(f"the same, where a sync takes {SYNC_MS} ms longer", on_slow_disk,
        [part_of(THREADS, 0.8)]),
]

# --- sessions -----------------------------------------------------------------------------------

SESSIONS = [
    Row("session: login, STAT, LIST, UIDL, QUIT; 30 messages, known credential",
        generated("session", "readers", (20000, 3000)),
        [times_less_cpu(10), times_the_rate(6)]),
    Row("the same over TLS, full handshake",
        generated("session", "readers", (5000, 1500), "pop3s"),
        [times_less_cpu(4)], needs=["--tls"]),
    Row("the same over TLS, resumed",
        generated("session", "readers", (10000, 1500), "pop3s", resume=True),
        [times_less_cpu(8)], needs=["--resume"]),
]

# --- reading ------------------------------------------------------------------------------------

READING = [
    Row("RETR, 8 KiB, pipelined",
        generated("retr", "readers", (300000, 40000), connections=8), [times_less_cpu(5)]),
]

ROWS = DELIVERIES + SESSIONS + READING
