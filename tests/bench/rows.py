"""The rows of the report, in its order."""

import os
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import growth
import limits
from bellhop import BIN, cpu_seconds
from contenders import memory, restart, restart_cold
from disk import Disk
from outcome import (CPU, MEMORY, P50, RATE, Target, cpu_at_most, memory_at_most, part_of,
                     times_less_cpu, times_sooner, times_the_rate, within)
from stage import CLIENTS, MESSAGES

SYNC_MS = 1  # what a sync takes longer on the slow disk


@dataclass
class Row:
    title: str
    short: str  # in the chart
    # A context in which each side's function measures one round; made from the Stage.
    sides: Callable
    targets: list[Target] = field(default_factory=list)
    note: str = ""
    rounds: int = 5
    figures: tuple = (RATE, CPU)  # what the chart compares


@contextmanager
def opened(limit_makers):
    """Limits, begun and by title: their measure()."""
    with ExitStack() as stack:
        yield {title: stack.enter_context(make()).measure for title, make in limit_makers.items()}


def both(stage, counts, measure):
    """
    measure(contender, count) for each; counts: operations of a full round, Bellhop's and Dovecot's,
    as many as it takes to measure CPU time in.
    """
    return {contender.name: partial(measure, contender, stage.some(count))
            for contender, count in zip(stage.contenders, counts)}


def generated(mode, group, counts, port="pop3", beside=None, **options):
    """The generator against both. beside(stage): limits by title, each a way to make one."""
    @contextmanager
    def sides(stage):
        def measure(contender, count):
            return stage.load(contender, mode, group, port, count=count, **options)

        with opened(beside(stage) if beside else {}) as others:
            yield both(stage, counts, measure) | others
    return sides


# --- deliveries ---------------------------------------------------------------------------------

BARE = "bare program, over connections"
THREADS = "bare program alone"


def bare(connections, size, count, form, *numbers):
    def beside(stage):
        some = stage.some(count)
        return {
            BARE: lambda: limits.GroupCommit(stage, count=some, connections=connections, size=size),
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
    Row(f"LMTP, 8 KiB, {CLIENTS} connections", "LMTP, 8 KiB",
        delivered((30000, 3000), 8192, beside=bare(CLIENTS, 8192, 30000, "threads", CLIENTS)),
        [times_the_rate(20), times_less_cpu(25), part_of(BARE, 0.5)]),
    Row(f"LMTP, 64 KiB, {CLIENTS} connections", "LMTP, 64 KiB",
        delivered((8000, 2000), 65536, beside=bare(CLIENTS, 65536, 8000, "threads", CLIENTS)),
        [times_the_rate(12)]),
    Row("LMTP, 8 KiB, one message to 50 recipients", "LMTP, 50 recipients",
        generated("lmtp", "house", (100000, 4000), "lmtp", recipients=50),
        [times_the_rate(50)],
        note="an operation is one recipient"),
    Row("LMTP, 8 KiB, one connection", "LMTP, one connection",
        delivered((2000, 400), 8192, connections=1, beside=bare(1, 8192, 2000, "alone")),
        [part_of(BARE, 0.8), part_of(THREADS, 0.8)]),
    Row(f"LMTP, 8 KiB, one connection, where a sync takes {SYNC_MS} ms longer", "LMTP, slow disk",
        on_slow_disk, [part_of(THREADS, 0.8)]),
]

# --- sessions -----------------------------------------------------------------------------------

OPENSSL = "openssl s_server, handshakes alone"
ONE_LOGIN = "Dovecot with one pop3-login: several do not take each other's tickets"
RAW = "libsodium alone, a thread for each core"


def resumed(counts, **options):
    """Dovecot's login processes do not know each other's tickets, so there is one of it."""
    @contextmanager
    def sides(stage):
        stage.dovecot.login_processes = 1
        restart(stage.dovecot)
        try:
            with generated("session", "readers", counts, "pop3s", resume=True,
                           **options)(stage) as both_sides:
                for contender in stage.contenders:
                    stage.warm_up(contender)
                yield both_sides
        finally:
            stage.dovecot.login_processes = os.cpu_count()
            restart(stage.dovecot)
            stage.warm_up(stage.dovecot)
    return sides


def idle(port):
    """What a session takes that is logged in and does nothing."""
    @contextmanager
    def sides(stage):
        def measure(contender, _):
            sessions = len(stage.accounts["crowd"])
            restart(contender)
            stage.warm_up(contender)
            before = memory(contender)
            with stage.held(contender, "crowd", port):
                after = memory(contender)
            return {MEMORY: (after - before) / 1024 / sessions}

        yield both(stage, (0, 0), measure)
    return sides


@contextmanager
def warm(stage):
    """What is authd's of a session whose credential is known."""
    def measure():
        [pid] = stage.bellhop.instance.pids()["authd"]
        before = cpu_seconds(pid)
        sessions = stage.load(stage.bellhop, "session", "readers", count=stage.some(20000))
        return {CPU: (cpu_seconds(pid) - before) * 1e6 / sessions["operations"]}

    yield {"Bellhop": measure}


@contextmanager
def cold(stage):
    """Credentials that nobody has used since the start, hashed as an operator's are."""
    def measure(contender, _):
        restart(contender)
        stage.warm_up(contender)
        with contender.hashing_at_full_cost():
            return stage.load(contender, "login", "cold")

    with opened({RAW: lambda: limits.Hashing(stage, "cold")}) as others:
        yield both(stage, (0, 0), measure) | others


SESSIONS = [
    Row(f"session: login, STAT, LIST, UIDL, QUIT; {MESSAGES} messages, known credential",
        "session",
        generated("session", "readers", (20000, 3000)),
        [times_less_cpu(10), times_the_rate(6)]),
    Row("session over TLS, full handshake", "session, TLS",
        generated("session", "readers", (2000, 1000), "pop3s", beside=lambda stage: {
            OPENSSL: lambda: limits.Handshakes(stage, stage.some(2000), CLIENTS)}),
        [times_less_cpu(4), part_of(OPENSSL, 0.8)]),
    Row("session over TLS, resumed", "session, TLS resumed", resumed((4000, 1000)),
        [times_less_cpu(8)], note=ONE_LOGIN),
    Row("session over TLS 1.2, full handshake", "session, TLS 1.2",
        generated("session", "readers", (2000, 1000), "pop3s", tls_version="1.2")),
    Row("session over TLS 1.2, resumed", "session, TLS 1.2 resumed",
        resumed((8000, 1000), tls_version="1.2"),
        note=f"without a new key, which TLS 1.3 has; {ONE_LOGIN}"),
    Row("idle session", "idle session", idle("pop3"), [memory_at_most(12)], rounds=3,
        figures=(MEMORY,)),
    Row("idle session over TLS", "idle session, TLS", idle("pop3s"), [memory_at_most(40)], rounds=3,
        figures=(MEMORY,)),
    Row("warm login, CPU of authd alone", "warm login, authd", warm, [cpu_at_most(40)],
        figures=(CPU,)),
    Row("cold login, Argon2id", "cold login", cold, [part_of(RAW, 0.95)], rounds=3,
        note="64 MiB and 2 passes, as `bellhop init` sets it"),
]

# --- reading ------------------------------------------------------------------------------------


@contextmanager
def fetched(stage):
    def measure(contender, count):
        stage.deliver(contender, "fetchers", count)
        return stage.load(contender, "fetch", "fetchers")

    yield both(stage, (16000, 3200), measure)


SENDFILE = "bare program with sendfile"


def sent(count, **options):
    """The same octets by sendfile alone."""
    return lambda stage: {SENDFILE: lambda: limits.Sending(
        stage, MESSAGES, 8192, count=stage.some(count), connections=8, **options)}


READING = [
    Row("RETR, 8 KiB, pipelined", "RETR, pipelined",
        generated("retr", "readers", (300000, 40000), connections=8, beside=sent(300000)),
        [times_less_cpu(5)]),
    Row("RETR, 8 KiB, one by one", "RETR, one by one",
        generated("retr", "readers", (150000, 30000), connections=8, one_by_one=True,
                  beside=sent(150000, one_by_one=True)),
        [times_less_cpu(5)]),
    Row("RETR, 8 KiB, pipelined, TLS", "RETR, TLS",
        generated("retr", "readers", (100000, 20000), "pop3s", connections=8),
        [times_less_cpu(6)]),
    Row("fetch all and delete, 8 KiB", "fetch and delete", fetched, [times_less_cpu(5)]),
]

# --- much mail ----------------------------------------------------------------------------------

ARCHIVE = 100000  # messages in one mailbox
SMALL, LARGE = 1000, 1000000  # mailboxes
VISITED = 400     # of them, spread over all
FEW = f"{SMALL:,} mailboxes"


def opened_first(mode):
    """Nothing is in memory; another mailbox has been opened before, so all programs are there."""
    @contextmanager
    def sides(stage):
        stage.fill_archive(ARCHIVE)

        def measure(contender, _):
            restart_cold(contender)
            stage.warm_up(contender)
            return stage.load(contender, mode, "archive", count=1, connections=1)

        yield both(stage, (0, 0), measure)
    return sides


def opened_again(mode):
    @contextmanager
    def sides(stage):
        def measure(contender, count):
            return stage.load(contender, mode, "archive", count=count, connections=1)

        stage.fill_archive(ARCHIVE)
        for contender in stage.contenders:
            measure(contender, 1)
        yield {contender.name: partial(measure, contender, 20) for contender in stage.contenders}
    return sides


@contextmanager
def grown(stage):
    sizes = {FEW: SMALL, "Bellhop": LARGE // 100 if stage.quick else LARGE}
    count = stage.some(20000, 2 * VISITED)
    with ExitStack() as stack:
        sides = {}
        for title, mailboxes in sizes.items():
            visited = stack.enter_context(growth.served(stage.folder / "grown", mailboxes, VISITED))
            visited.sessions(VISITED)  # from now on their credentials are known
            sides[title] = partial(visited.sessions, count)
        yield sides


MUCH = [
    Row(f"a mailbox of {ARCHIVE:,} messages, first time: PASS to STAT's reply",
        f"opening {ARCHIVE:,} messages, first", opened_first("open"), [times_sooner(10)],
        rounds=3,
        figures=(P50, CPU),
        note="the server has just been started and the kernel keeps none of its files"),
    Row(f"a mailbox of {ARCHIVE:,} messages, again: PASS to STAT's reply",
        f"opening {ARCHIVE:,} messages, again", opened_again("open"), [times_sooner(10)],
        figures=(P50, CPU),
        note="both answer PASS before they have the mailbox's list, so the time is that until STAT"),
    Row("the same, first time: PASS to the end of UIDL's reply", "UIDL of them, first",
        opened_first("uidl"), rounds=3, figures=(P50, CPU),
        note="what most clients ask for first; the list has to be whole for it"),
    Row("the same, again: PASS to the end of UIDL's reply", "UIDL of them, again",
        opened_again("uidl"), figures=(P50, CPU)),
    Row(f"session, as above, with {LARGE:,} mailboxes of {growth.MESSAGES} messages", "growth",
        grown, [within(0.15, FEW)],
        note=f"{VISITED} clients, each with a mailbox of its own; Dovecot is not beside it, because "
             "to fill it would take hours"),
]

ROWS = DELIVERIES + SESSIONS + READING + MUCH
