"""Limits hold exactly, however many ask at once; and no message is held in memory."""

import json
import os
import resource
import select
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bellhop import sanitized, wait_until
from wire import stuffed

PARALLEL = 32
MIB = 1 << 20


def test_last_free_address_goes_to_one(instance):
    instance.cli("plan", "add", "inn", "--addresses", "4")
    inn = instance.customer("Ferry Inn", "inn", "ferry-inn.example", "frontdesk", "bar", "rooms")
    hotel = instance.customers[0]

    def add(number):
        return instance.cli("address", "add", f"late{number}@{inn.domain}", check=False)

    with ThreadPoolExecutor(40) as pool:
        results = list(pool.map(add, range(200)))
    assert sorted(done.returncode for done in results) == [0] + [1] * 199
    for done in results:
        if done.returncode == 1:
            assert "inn" in done.stderr and "4" in done.stderr, done.stderr
            assert len(done.stderr.splitlines()) == 1
    listed = json.loads(instance.cli("address", "list", "--json").stdout)
    assert sum(entry["customer"] == inn.name for entry in listed) == 4
    instance.address(hotel, "still-free")


def storm(instance, address, message):
    """32 deliveries at the same moment, each on a connection of its own: the replies."""
    gate = threading.Barrier(PARALLEL)

    def send(_):
        with instance.lmtp() as lmtp:
            lmtp.ask("MAIL FROM:<>")
            reply = lmtp.ask(f"RCPT TO:<{address}>")
            gate.wait(30)
            if reply.code != 250:
                return reply
            lmtp.ask("DATA")
            lmtp.send(stuffed(message))
            return lmtp.reply()

    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(send, range(PARALLEL)))


def check_replies(replies):
    for reply in replies:
        assert reply.code == 250 or (reply.code == 452 and reply.text.startswith("4.2.2 ")), reply


def check_full(instance, account, quota, measure):
    """
    Each message had room when it came, in the order in which it took it, and now there is none for
    one more like them. Warnings to the owner take room as well, but need not have found it.
    """
    used = largest = 0
    for message in instance.messages(account).values():
        if b"\r\nAuto-Submitted: auto-generated\r\n" not in message:
            assert used + measure(message) <= quota
            largest = max(largest, measure(message))
        used += measure(message)
    assert used + largest > quota


def test_quota_by_messages_is_exact(instance):
    instance.cli("plan", "add", "tight", "--quota-messages", "20")
    tight = instance.customer("Tight Corner Inn", "tight", "tight.example", "desk")
    [desk] = tight.accounts
    message = b"Subject: storm\r\n\r\nin a teacup\r\n"
    for _ in range(13):
        assert instance.deliver(desk.address, message)[0].code == 250
    for _ in range(2):
        check_replies(storm(instance, desk.address, message))
        check_full(instance, desk, 20, lambda _: 1)
        assert instance.deliver(desk.address, message)[0].code == 452
        pop3 = instance.pop3(desk)
        for number in range(1, 7):
            pop3.dele(number)
        pop3.quit()
    assert instance.deliver(instance.customers[0].accounts[0].address, message)[0].code == 250


def test_quota_by_octets_is_exact(instance):
    quota = 300 * 1024
    instance.cli("plan", "add", "tight", "--addresses", "2",
                 "--quota-bytes", quota, "--message-bytes", "64K")
    tight = instance.customer("Tight Corner Inn", "tight", "tight.example", "desk", "bar")
    desk, bar = tight.accounts
    message = b"Subject: 8 KiB\r\n\r\n" + (b"x" * 78 + b"\r\n") * 102
    for _ in range(31):
        assert instance.deliver(desk.address, message)[0].code == 250
    check_replies(storm(instance, desk.address, message))
    check_full(instance, desk, quota, len)
    assert instance.deliver(bar.address, message)[0].code == 250


def test_quota_is_the_same_after_a_restart(instance):
    instance.cli("plan", "add", "tight", "--quota-messages", "3")
    tight = instance.customer("Tight Corner Inn", "tight", "tight.example", "desk")
    [desk] = tight.accounts
    for _ in range(3):
        assert instance.deliver(desk.address, b"Subject: x\r\n\r\n")[0].code == 250
    for again in (instance.restart, lambda: (instance.kill(), instance.start())):
        again()
        assert instance.deliver(desk.address, b"Subject: x\r\n\r\n")[0].code == 452


def peak(pid):
    """VmHWM in octets."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no VmHWM")


def test_a_large_message_is_not_held_in_memory(instance):
    """50 MB in over LMTP to two customers, out over POP3 and POP3S: no program grows by 10 MB."""
    if sanitized():
        pytest.skip("memory is not measured under AddressSanitizer")
    instance.cli("plan", "add", "film", "--quota-bytes", "200M", "--message-bytes", "100M")
    accounts = [instance.customer(f"{place} Film Club", "film", f"{place.lower()}.example", "reels")
                .accounts[0] for place in ("Pier", "Cliff")]
    line = b"one frame of a long film, seventy-six octets a line, all of them the same...\r\n"
    message = b"Subject: a film\r\n\r\n" + line * (50_000_000 // len(line))
    small = b"Subject: small\r\n\r\nwarm up\r\n"
    for account in accounts:
        assert instance.deliver(account.address, small)[0].code == 250
        for tls in (False, True):
            assert len(instance.messages(account, tls=tls)) == 1
    pids = [(name, pid) for name, found in instance.pids().items() for pid in found]
    pids.append(("bellhop", instance.process.pid))
    for _, pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = {pid: peak(pid) for _, pid in pids}

    replies = instance.deliver([account.address for account in accounts], message)
    assert [reply.code for reply in replies] == [250, 250]
    for account, tls in zip(accounts, (False, True)):
        found = list(instance.messages(account, tls=tls).values())
        assert len(found) == 2 and found[1].endswith(message[-1000:])
        assert len(found[1]) > len(message)
        del found
    grown = {f"{name}[{pid}]": peak(pid) - before[pid] for name, pid in pids}
    assert {name: growth for name, growth in grown.items() if growth > 10 * MIB} == {}


# --- descriptors


@pytest.mark.parametrize("program, service", [("pop3d", "pop3"), ("lmtpd", "lmtp")])
def test_out_of_descriptors(stopped, program, service):
    """Clients wait without a flood in the log, and are served when others leave."""
    stopped.configure(pop3_processes=1)
    instance = stopped.start()
    [pid] = instance.pids()[program]
    used = len(os.listdir(f"/proc/{pid}/fd"))
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 5, hard))
    held = [instance.wire(service) for _ in range(10)]
    wait_until(lambda: "cannot accept a connection" in instance.log)
    assert not select.select([held[-1].sock], [], [], 0.5)[0]
    assert instance.log.count("cannot accept a connection") == 1
    for wire in held[:-1]:
        wire.close()
    assert held[-1].line()
    held[-1].close()
