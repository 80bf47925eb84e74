"""What a damaged file costs: never wrong octets, never another message, and a word that says which."""

import json
import poplib
import random
import re
import shutil
import sqlite3

import pytest

from bellhop import retrieve, wait_until
from wire import without_trace

PAGE = 4096  # of index.db


def fill(instance, count):
    """Messages to the first mailbox of each customer. Returns what each was sent."""
    sent = []
    with instance.lmtp() as lmtp:
        for customer in instance.customers:
            address = customer.accounts[0].address
            sent.append([f"X-For: {address}\r\n\r\nroom {number}\r\n".encode()
                         for number in range(count)])
            for message in sent[-1]:
                assert lmtp.deliver(address, message)[0].code == 250
    return sent


def read_all(instance):
    return [list(map(without_trace, instance.messages(customer.accounts[0]).values()))
            for customer in instance.customers]


def segments(instance):
    return sorted((instance.dir / "store").glob("*.seg"))


def flip(path, position, bit=0):
    with path.open("r+b") as file:
        file.seek(position)
        octet = file.read(1)[0]
        file.seek(position)
        file.write(bytes([octet ^ 1 << bit]))


def verify(instance):
    """(whether all is well, the damages)"""
    done = instance.cli("store", "verify", "--json", check=False)
    found = json.loads(done.stdout)
    assert (done.returncode == 0) == found["good"]
    return found["good"], found["damages"]


def test_damaged_message_costs_no_other(instance):
    """It is listed and can be deleted; RETR is an error, and the rest is there."""
    sent = fill(instance, 5)
    account = instance.customers[0].accounts[0]
    mine = sent[0]
    unique_ids = list(instance.messages(account))
    instance.stop()
    [segment] = segments(instance)
    flip(segment, segment.read_bytes().find(b"room 2") + 3)
    good, damages = verify(instance)
    assert not good
    [row] = damages
    assert (row["mailbox"], row["unique_id"], row["file"]) == (
        1, unique_ids[2], f"store/{segment.name}")
    instance.start()
    pop3 = instance.pop3(account)
    assert len(pop3.list()[1]) == 5
    assert [line.decode().split()[1] for line in pop3.uidl()[1]] == unique_ids
    for number, message in enumerate(mine, 1):
        if number == 3:
            with pytest.raises(poplib.error_proto, match="SYS"):
                pop3.retr(number)
        else:
            assert without_trace(retrieve(pop3, number)) == message
    pop3.dele(3)
    pop3.quit()
    assert read_all(instance) == [mine[:2] + mine[3:], sent[1]]


SPOILS = ["lost", "empty", "cut off", "garbage", "wal lost", "wal garbage", "of another store"]


@pytest.mark.parametrize("spoil", SPOILS)
def test_index_is_built_anew(stopped, spoil):
    """At the start, without being asked, after a kill -9: so the WAL is there as well."""
    stopped.start()
    sent = fill(stopped, 20)
    other = stopped.dir / "store" / "index.db"
    stopped.kill()
    wal = other.with_name("index.db-wal")
    if spoil == "lost":
        other.unlink()
    elif spoil == "empty":
        other.write_bytes(b"")
    elif spoil == "cut off":
        other.write_bytes(other.read_bytes()[:PAGE + 100])
    elif spoil == "garbage":
        other.write_bytes(random.Random(1).randbytes(5 * PAGE))
    elif spoil == "wal lost":
        wal.unlink(missing_ok=True)
    elif spoil == "wal garbage":
        wal.write_bytes(random.Random(2).randbytes(9 * PAGE))
    else:
        put_index_of_another(stopped)
    stopped.start()
    assert read_all(stopped) == sent
    stopped.stop()
    assert verify(stopped)[0]


def put_index_of_another(instance):
    """Its own segments are put aside while it makes a store with another seed, and put back."""
    store, aside = instance.dir / "store", instance.dir / "aside"
    store.rename(aside)
    store.mkdir(mode=0o700)
    instance.start()
    fill(instance, 1)
    instance.stop()
    for file in store.glob("*.seg"):
        file.unlink()
    for file in aside.glob("*.seg"):
        shutil.copy2(file, store / file.name)


def test_bit_in_each_page_of_the_index(stopped):
    """
    SQLite notices what makes no sense, verify what is only wrong; nobody gets octets that were not
    sent to him, and a rebuilt index is good.
    """
    stopped.start()
    sent = fill(stopped, 40)
    stopped.stop()
    index = stopped.dir / "store" / "index.db"
    sound = index.read_bytes()
    draw = random.Random(3)
    for page in 3 * list(range(len(sound) // PAGE)):
        index.write_bytes(sound)
        for suffix in ("-wal", "-shm"):
            index.with_name("index.db" + suffix).unlink(missing_ok=True)
        used = [n for n in range(page * PAGE, (page + 1) * PAGE) if sound[n] != 0]
        flip(index, draw.choice(used), draw.randrange(8))
        stopped.start()
        for customer, there in zip(stopped.customers, sent):
            read_what_there_is(stopped, customer.accounts[0], there)
        stopped.stop()
    stopped.cli("store", "rebuild")
    assert verify(stopped)[0]
    stopped.start()
    assert read_all(stopped) == sent


def read_what_there_is(instance, account, sent):
    def attempt():
        try:
            pop3 = instance.pop3(account)
        except (poplib.error_proto, OSError, EOFError) as error:
            return "IN-USE" not in str(error) and "SYS" in str(error)
        try:
            for number in range(1, pop3.stat()[0] + 1):
                try:
                    assert without_trace(retrieve(pop3, number)) in sent
                except poplib.error_proto:
                    pass
        except (OSError, EOFError, poplib.error_proto):
            return False  # stored ended, to build the index anew
        finally:
            pop3.close()
        return True

    wait_until(attempt, 20, "an answer")


def test_row_that_is_wrong_is_noticed(instance):
    """A number in index.db that SQLite finds nothing wrong with."""
    fill(instance, 3)
    instance.stop()
    index = instance.dir / "store" / "index.db"
    sound = index.read_bytes()
    for column in ("octets", "time", "body_length", "header_length", "segment", "offset"):
        index.write_bytes(sound)
        change(index, f"UPDATE message SET {column} = {column} + 8 WHERE mailbox = 1 AND uid = 2")
        assert not verify(instance)[0], column
    for change_made in ("UPDATE mailbox SET uid_next = 1", "UPDATE mailbox SET messages = 9",
                        "DELETE FROM message WHERE uid = 2", "UPDATE mailbox SET dropped = 1"):
        index.write_bytes(sound)
        change(index, change_made)
        assert not verify(instance)[0], change_made
    index.write_bytes(sound)
    change(index, "UPDATE mailbox SET uid_next = 1")
    instance.start()
    fill(instance, 1)
    assert [len(found) for found in read_all(instance)] == [4, 4]


@pytest.mark.parametrize("row", [
    "INSERT INTO surrogate VALUES (1, 2, -1000000000000)",
    "INSERT INTO surrogate VALUES (1, 2, 9223372036854775807)",
    "UPDATE message SET unique_id = 'a b' WHERE mailbox = 1 AND uid = 2",
    "UPDATE message SET unique_id = '' WHERE mailbox = 1 AND uid = 2"])
def test_row_that_cannot_be_right_ends_no_session(instance, row):
    """Neither the one that reads it nor another customer's; nor is any message missed."""
    sent = fill(instance, 3)
    instance.stop()
    index = instance.dir / "store" / "index.db"
    change(index, row)
    change(index, "UPDATE mailbox SET surrogates = 1 WHERE mailbox = 1")
    assert not verify(instance)[0]
    instance.start()
    other = instance.pop3(instance.customers[1].accounts[0])
    pop3 = instance.pop3(instance.customers[0].accounts[0])
    assert len(pop3.list()[1]) == len(set(pop3.uidl()[1])) == 3
    for session, texts in (pop3, sent[0]), (other, sent[1]):
        assert [without_trace(retrieve(session, number + 1)) for number in range(3)] == texts
        session.quit()
    assert "which is left out; stop the service" in instance.log


def change(index, sql):
    with sqlite3.connect(index) as database:
        database.execute(sql)
    database.close()


def test_segment_that_is_missing(instance):
    """Its messages are listed and cannot be read; verify names each, and the start the file."""
    fill(instance, 2)
    instance.restart()
    sent = fill(instance, 1)
    instance.stop()
    [first, _] = segments(instance)
    aside = instance.dir / first.name
    first.rename(aside)
    good, damages = verify(instance)
    assert not good
    assert sum("unique_id" in row for row in damages) == 4
    instance.start()
    assert re.search(rf"error: damaged: store/{first.name} is missing", instance.log)
    pop3 = instance.pop3(instance.customers[0].accounts[0])
    assert len(pop3.list()[1]) == 3
    for number in (1, 2):
        with pytest.raises(poplib.error_proto, match="SYS"):
            pop3.retr(number)
    assert without_trace(retrieve(pop3, 3)) == sent[0][0]
    pop3.quit()
    instance.stop()
    aside.rename(first)
    assert verify(instance)[0]


@pytest.mark.parametrize("cut", [100, 1000])
def test_segment_that_was_cut_off(instance, cut):
    """What is in front of the cut is there, and what is behind it is an error and not a gap."""
    sent = fill(instance, 6)
    instance.stop()
    [segment] = segments(instance)
    octets = segment.read_bytes()
    segment.write_bytes(octets[:-cut])
    assert not verify(instance)[0]
    instance.start()
    pop3 = instance.pop3(instance.customers[1].accounts[0])
    assert len(pop3.list()[1]) == 6
    errors = 0
    for number, message in enumerate(sent[1], 1):
        try:
            assert without_trace(retrieve(pop3, number)) == message
            assert errors == 0
        except poplib.error_proto:
            errors += 1
    assert 0 < errors < 6
    pop3.quit()


def test_an_index_that_is_no_database_is_told_as_such(stopped):
    stopped.start().stop()
    (stopped.dir / "store" / "index.db").write_bytes(b"no database" * 1000)
    done = stopped.cli("store", "verify", check=False)
    assert done.returncode == 1
    assert "store/index.db: file is not a database" in done.stderr and "version" not in done.stderr
