"""Retention by plan: old mail goes, in batches, never under a session, and nobody else's."""

import http.client
import re
import signal

import pytest

from bellhop import signal_process, wait_until
from mailfiles import index_rows, make_maildir

MANY = 700  # more than two batches


@pytest.fixture
def hotels(stopped, tmp_path):
    """Two customers with the same old mail, some new mail, and one plan that keeps mail 90 days."""
    stopped.cli("plan", "set", "chain", "--retention-days", 90, "--poll-seconds", 0)
    stopped.start()
    old = make_maildir(tmp_path / "old", [b"Subject: %d\n\nlong ago\n" % i for i in range(MANY)])
    accounts = [customer.accounts[0] for customer in stopped.customers]
    for account in accounts:
        stopped.cli("mailbox", "import", account.address, "--maildir", tmp_path / "old")
        [reply] = stopped.deliver(account.address, b"Subject: new\r\n\r\nof today\r\n")
        assert reply.code == 250
    return accounts, [made.unique_id for made in old]


def sweep(instance):
    """A sweep begins soon after the start of admin."""
    [pid] = instance.pids()["admin"]
    signal_process(pid, signal.SIGKILL)


def removed(instance):
    """How many messages the counter says were removed; 0 while admin is being started again."""
    try:
        return int(re.search(r"(?m)^bellhop_store_expired_total (\d+)$",
                             instance.http("/metrics")[1]).group(1))
    except (OSError, http.client.HTTPException):
        return 0


def wait_removed(instance, count):
    wait_until(lambda: removed(instance) >= count, seconds=30, what=f"{count} removed messages")
    assert removed(instance) == count


def held(instance, account):
    return len(instance.messages(account))


def test_old_mail_goes_where_the_plan_says_so(stopped, hotels):
    (kept, swept), _ = hotels
    before = stopped.messages(kept)
    sweep(stopped)
    wait_removed(stopped, MANY)
    [left] = stopped.messages(swept).values()
    assert b"of today" in left
    assert stopped.messages(kept) == before and len(before) == MANY + 1
    wait_until(lambda: f"removed {MANY} messages of 1 mailboxes" in stopped.log)
    # Usage is exact, and what is gone stays gone.
    stopped.restart()
    assert len(stopped.messages(swept)) == 1 and held(stopped, kept) == MANY + 1
    stopped.stop()
    stopped.cli("store", "verify")
    stopped.cli("store", "rebuild")
    stopped.start()
    assert len(stopped.messages(swept)) == 1 and held(stopped, kept) == MANY + 1


def test_an_open_session_keeps_all_that_it_sees(stopped, hotels):
    (_, swept), unique_ids = hotels
    pop3 = stopped.pop3(swept)
    other = stopped.customers[1].accounts[1]
    import_one(stopped, other)
    sweep(stopped)
    wait_removed(stopped, 1)  # a later mailbox: the sweep has been at this one
    assert [line.split()[1].decode() for line in pop3.uidl()[1]][:MANY] == unique_ids
    assert b"long ago" in b"".join(pop3.retr(1)[1]) and b"long ago" in b"".join(pop3.retr(MANY)[1])
    pop3.quit()
    sweep(stopped)
    wait_removed(stopped, MANY + 1)
    assert len(stopped.messages(swept)) == 1


def import_one(instance, account):
    folder = instance.dir.parent / "one"
    make_maildir(folder, [b"Subject: one\n\nlong ago\n"])
    instance.cli("mailbox", "import", account.address, "--maildir", folder)


def test_a_kill_in_the_middle_only_delays(stopped, hotels):
    (kept, swept), unique_ids = hotels
    sweep(stopped)
    wait_until(lambda: removed(stopped) > 0, seconds=30)
    stopped.kill()
    stopped.start()
    left = list(stopped.messages(swept))
    assert left[:-1] == unique_ids[len(unique_ids) - len(left) + 1:]
    sweep(stopped)  # the one of the start may have found the mailbox in use
    wait_until(lambda: len(index_rows(stopped, swept)) == 1, seconds=60)
    assert held(stopped, swept) == 1
    assert held(stopped, kept) == MANY + 1


def test_a_plan_that_changes_counts_from_the_next_sweep(stopped, hotels):
    (kept, swept), _ = hotels
    sweep(stopped)
    wait_removed(stopped, MANY)
    stopped.cli("plan", "set", "chain", "--retention-days", 0)
    stopped.cli("plan", "set", "house", "--retention-days", 90)
    import_one(stopped, swept)
    sweep(stopped)
    wait_removed(stopped, 2 * MANY)
    assert held(stopped, swept) == 2
    assert held(stopped, kept) == 1
