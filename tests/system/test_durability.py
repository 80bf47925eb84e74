"""What was acknowledged is there after any crash, once, and octet for octet."""

import poplib
import random
import re
import signal
import threading

import pytest

from bellhop import retrieve, signal_process, wait_until
from senders import Senders


def end_stored(instance, number):
    """Ends stored with a signal, and returns when the supervisor has started another."""
    [before] = instance.pids()["stored"]
    signal_process(before, number)
    wait_until(lambda: instance.pids().get("stored", [before]) != [before], 10, "a new stored")


def test_kill_stored_during_deliveries(instance):
    with Senders(instance) as senders:
        for _ in range(3):
            senders.wait(100)
            end_stored(instance, signal.SIGKILL)
        senders.wait(100)
    instance.wait_healthy()
    senders.check()
    instance.restart()
    senders.check()
    verify(instance)


def test_end_stored_during_deliveries(instance):
    """SIGTERM: what it has made durable it also acknowledges, so nothing is delivered twice."""
    with Senders(instance) as senders:
        for _ in range(5):
            senders.wait(50)
            end_stored(instance, signal.SIGTERM)
        senders.wait(50)
    assert senders.check() == senders.acknowledged


def test_kill_everything_during_deliveries(instance):
    with Senders(instance) as senders:
        for _ in range(2):
            senders.wait(100)
            instance.kill()
            instance.start()
        senders.wait(100)
        instance.kill()
    instance.start()
    senders.check()
    verify(instance)


def fill(instance, account, count, text="note"):
    with instance.lmtp() as lmtp:
        for number in range(count):
            message = f"Subject: {text} {number}\r\n\r\n{text} {number} for {account.address}\r\n"
            assert lmtp.deliver(account.address, message.encode())[0].code == 250


def verify(instance):
    instance.stop()
    instance.cli("store", "verify")
    instance.start()


def uids(pop3):
    return [line.decode().split()[1] for line in pop3.uidl()[1]]


def test_deletions_survive_a_crash_after_quit(instance):
    """Deleted is what QUIT has acknowledged; a session that only marked deletes nothing."""
    kept = {}
    for customer in instance.customers:
        quits, stays, _ = customer.accounts
        for account in (quits, stays):
            fill(instance, account, 10)
            pop3 = instance.pop3(account)
            kept[account.address] = uids(pop3)
            for number in range(1, 11, 2):
                pop3.dele(number)
            if account is quits:
                pop3.quit()
                kept[account.address] = kept[account.address][1::2]
    instance.kill()
    instance.start()
    for customer in instance.customers:
        for account in customer.accounts[:2]:
            assert list(instance.messages(account)) == kept[account.address]


def test_crash_during_quits(instance):
    """Everything is killed while sessions leave: only what they marked may be gone."""
    accounts = [account for customer in instance.customers for account in customer.accounts]
    before, answered = {}, set()
    for account in accounts:
        fill(instance, account, 20)
    sessions = {}
    for account in accounts:
        sessions[account.address] = pop3 = instance.pop3(account)
        before[account.address] = uids(pop3)
        for number in range(1, 11):
            pop3.dele(number)

    def leave(address):
        try:
            sessions[address].quit()
            answered.add(address)
        except (OSError, EOFError, poplib.error_proto):
            pass

    threads = [threading.Thread(target=leave, args=(account.address,)) for account in accounts]
    for thread in threads:
        thread.start()
    wait_until(lambda: answered, 20, "the first answer to QUIT")
    instance.kill()
    for thread in threads:
        thread.join(40)
    instance.start()
    for account in accounts:
        there = list(instance.messages(account))
        assert there[-10:] == before[account.address][10:]
        if account.address in answered:
            assert len(there) == 10


@pytest.mark.parametrize("how", ["rebuild", "index removed", "index damaged", "index cut off"])
def test_index_is_only_a_cache(instance, how):
    """Made anew from the log, it says the same: messages, unique-ids, order, deletions, usage."""
    accounts = [customer.accounts[0] for customer in instance.customers]
    for account in accounts:
        fill(instance, account, 12)
        pop3 = instance.pop3(account)
        for number in (1, 5, 12):
            pop3.dele(number)
        pop3.quit()
    both = "Subject: for both\r\n\r\none body, two mailboxes\r\n".encode()
    replies = instance.deliver([account.address for account in accounts], both)
    assert [reply.code for reply in replies] == [250, 250]
    before = [instance.messages(account) for account in accounts]
    assert [len(found) for found in before] == [10, 10]
    instance.stop()
    index = instance.dir / "store" / "index.db"
    if how == "rebuild":
        instance.cli("store", "rebuild")
    elif how == "index damaged":
        index.write_bytes(index.read_bytes()[:4096] + random.Random(1).randbytes(8 * 4096))
    elif how == "index cut off":
        index.write_bytes(index.read_bytes()[:3 * 4096 - 7])
    else:
        indexes = list((instance.dir / "store").rglob("index.db*"))
        indexes += list(instance.dir.glob("index.db*"))
        assert indexes
        for file in indexes:
            file.unlink()
    instance.start()
    wait_until(lambda: instance.http("/healthz")[0] == 200, 10, "a healthy store")
    assert [instance.messages(account) for account in accounts] == before
    assert [list(instance.messages(account)) for account in accounts] == [
        list(found) for found in before]
    verify(instance)


@pytest.mark.parametrize("between", ["nothing", "restart", "kill", "rebuild"])
def test_unique_ids_are_never_used_again(instance, between):
    account, other = (customer.accounts[0] for customer in instance.customers)
    fill(instance, other, 1)
    seen = set()
    for _ in range(3):
        fill(instance, account, 3)
        pop3 = instance.pop3(account)
        now = uids(pop3)
        assert len(now) == 3 and not seen.intersection(now)
        seen.update(now)
        for number in (1, 2, 3):
            pop3.dele(number)
        pop3.quit()
        if between == "restart":
            instance.restart()
        elif between == "kill":
            instance.kill()
            instance.start()
        elif between == "rebuild":
            instance.stop()
            instance.cli("store", "rebuild")
            instance.start()
    assert len(instance.messages(other)) == 1


def test_unique_ids_of_a_removed_address_do_not_return(instance):
    """A client that still knows the old mailbox must take nothing new for old."""
    customer = instance.customers[0]
    account = customer.accounts[0]
    fill(instance, account, 3)
    seen = set(instance.messages(account))
    instance.cli("address", "remove", account.address, "--now")
    instance.cli("address", "add", account.address, "--password-stdin",
                 input=account.password + "\n")
    assert instance.messages(account) == {}
    fill(instance, account, 3)
    assert not seen.intersection(instance.messages(account))


MARK = b"the quick brown key opens room 5150"


def damage(instance, position):
    """Flips one bit in the only segment file that holds MARK, `position` octets away from it."""
    for file in (instance.dir / "store").rglob("*"):
        if not file.is_file() or "index" in file.name:
            continue
        data = bytearray(file.read_bytes())
        at = data.find(MARK)
        if at >= 0:
            data[at + position] ^= 1
            with file.open("r+b") as out:
                out.write(data)
            return
    raise AssertionError("no segment file holds the message")


def test_flipped_bit_in_a_body_is_noticed(instance):
    account, other = (customer.accounts[0] for customer in instance.customers)
    fill(instance, account, 2, "before")
    assert instance.deliver([account.address, other.address],
                            b"Subject: marked\r\n\r\n" + MARK + b"\r\n")[0].code == 250
    fill(instance, account, 2, "after")
    fill(instance, other, 1, "after")
    intact = instance.messages(account)
    instance.stop()
    damage(instance, 7)
    verified = instance.cli("store", "verify", check=False)
    assert verified.returncode == 1
    assert "damage" in (verified.stdout + verified.stderr).lower()
    instance.start()
    pop3 = instance.pop3(account)
    listed = uids(pop3)
    assert listed == list(intact)
    for number, message in enumerate(intact.values(), 1):
        if MARK in message:
            for command in (pop3.retr, lambda n: pop3.top(n, 10)):
                with pytest.raises(poplib.error_proto, match=r"^b'-ERR \[SYS/"):
                    command(number)
        else:
            assert retrieve(pop3, number) == message
    pop3.quit()
    pop3 = instance.pop3(other)
    with pytest.raises(poplib.error_proto):
        pop3.retr(1)
    assert b"after 0" in retrieve(pop3, 2)
    pop3.quit()
    status, metrics = instance.http("/metrics")
    assert status == 200
    assert int(re.search(r"(?m)^bellhop_store_damaged_total (\d+)$", metrics).group(1)) >= 1


def test_flipped_bit_is_noticed_wherever_it_is(instance):
    """
    Every octet of header, references and body counts, in what says that mail is deleted as well,
    and every octet of a segment's header; only the padding behind a record does not.
    """
    account = instance.customers[0].accounts[0]
    fill(instance, account, 2, "before")
    message = b"Subject: marked\r\n\r\n" + MARK + b"\r\n"
    assert instance.deliver(account.address, message)[0].code == 250
    fill(instance, account, 1, "after")
    pop3 = instance.pop3(account)
    pop3.dele(1)
    pop3.quit()
    instance.stop()
    [segment] = [file for file in (instance.dir / "store").rglob("*")
                 if file.is_file() and "index" not in file.name and MARK in file.read_bytes()]
    at = segment.read_bytes().find(MARK)
    begin = segment.read_bytes().rfind(b"BHr1", 0, at)
    last = segment.read_bytes().rfind(b"BHr1")
    assert last > at
    for position in [*range(0, 64, 13), *range(begin, at + len(MARK), 13),
                     *range(last, last + 112, 13)]:
        flip(segment, position)
        verified = instance.cli("store", "verify", check=False)
        assert verified.returncode == 1, f"octet {position - at} from the mark"
        flip(segment, position)
    instance.cli("store", "verify")
    instance.start()
    assert len(instance.messages(account)) == 3


def flip(path, position):
    with path.open("r+b") as file:
        file.seek(position)
        octet = file.read(1)[0]
        file.seek(position)
        file.write(bytes([octet ^ 1]))
