"""What a customer's plan means to a POP3 session: what CAPA announces, and how often one may log in."""

import os
import re
import signal
import time

import pytest

from bellhop import Instance, wait_until
from test_pop3 import capabilities, greeted, log_in, logged_in

DELAYED = rb"-ERR \[LOGIN-DELAY\] the next login is possible in (\d+) s"


@pytest.fixture(scope="module")
def hotel(template, tmp_path_factory):
    """The hotel's plan removes mail after 30 days, the hostels' wants a minute between two logins."""
    made = Instance(tmp_path_factory.mktemp("plan") / "instance", template)
    made.cli("plan", "set", "house", "--retention-days", 30, "--poll-seconds", 0)
    made.cli("plan", "set", "chain", "--retention-days", 0, "--poll-seconds", 60)
    made.cli("plan", "set", "single", "--poll-seconds", 0)
    try:
        yield made.start()
    finally:
        made.finish()


def log_out(wire):
    assert wire.command("QUIT").startswith(b"+OK")


def test_capabilities_of_two_plans(hotel):
    quick, slow = (customer.accounts[0] for customer in hotel.customers)
    with greeted(hotel) as wire:
        found = capabilities(wire)
        assert found["EXPIRE"] == ["30", "USER"]
        assert found["LOGIN-DELAY"] == ["60", "USER"]
        assert log_in(wire, quick).startswith(b"+OK")
        found = capabilities(wire)
        assert found["EXPIRE"] == ["30"]
        assert found["LOGIN-DELAY"] == ["0"]
        log_out(wire)
    with logged_in(hotel, slow, "pop3s") as wire:
        found = capabilities(wire)
        assert found["EXPIRE"] == ["NEVER"]
        assert found["LOGIN-DELAY"] == ["60"]
        log_out(wire)


def test_login_delay_is_enforced(hotel):
    """Refused ones move nothing; [LOGIN-DELAY] tells only who knows the password."""
    quick, slow = (customer.accounts[1] for customer in hotel.customers)
    with logged_in(hotel, slow) as wire:
        log_out(wire)
    waits = []
    with greeted(hotel) as wire:
        for _ in range(5):  # no guesses: no limit ends it
            waits.append(int(re.fullmatch(DELAYED, log_in(wire, slow))[1]))
        assert waits == sorted(waits, reverse=True) and 0 < waits[-1] <= waits[0] <= 60
        assert wire.command(f"USER {slow.address}") == b"+OK send the password"
        assert wire.command("PASS wrong").startswith(b"-ERR [AUTH] ")
        for _ in range(3):
            assert wire.command("NOOP").startswith(b"-ERR ")
        assert log_in(wire, quick).startswith(b"+OK")
        log_out(wire)
    for _ in range(3):
        with logged_in(hotel, quick) as wire:
            log_out(wire)


def test_a_lost_connection_was_a_login(hotel):
    slow = hotel.customers[1].accounts[2]
    wire = logged_in(hotel, slow)
    with greeted(hotel) as other:
        assert re.fullmatch(DELAYED, log_in(other, slow))
        wire.close()
        assert re.fullmatch(DELAYED, log_in(other, slow))


def test_login_delay_ends(instance):
    account = instance.customers[1].accounts[0]
    instance.cli("plan", "set", "chain", "--poll-seconds", 3)
    with logged_in(instance, account) as wire:
        began = time.monotonic()
        log_out(wire)
    with greeted(instance) as wire:
        wait_until(lambda: log_in(wire, account).startswith(b"+OK"), what="the next login")
    assert time.monotonic() - began > 1.9  # stored counts whole seconds


def test_refusals_are_no_logins(instance):
    """A mailbox that is in use, and a login that a crash undoes, put off no other login."""
    account = instance.customers[1].accounts[0]
    with logged_in(instance, account) as wire:
        instance.cli("plan", "set", "chain", "--poll-seconds", 86400)
        # The first login is a login on the new plan as well.
        with greeted(instance) as other:
            answer = log_in(other, account)
            assert re.fullmatch(rb"-ERR \[LOGIN-DELAY\] the next login is possible in \d+ h", answer)
        for pid in instance.pids()["pop3d"]:
            os.kill(pid, signal.SIGKILL)
        wire.file.read()
    instance.wait_healthy()

    def may_again():
        with greeted(instance) as again:
            return log_in(again, account).startswith(b"+OK")

    wait_until(may_again, what="a login after the front's end")
    with greeted(instance) as wire:
        assert log_in(wire, account).startswith(b"-ERR [LOGIN-DELAY] ")
        [pid] = instance.pids()["stored"]
        os.kill(pid, signal.SIGKILL)

        def goes_on():
            answer = log_in(wire, account)
            assert answer.startswith((b"+OK", b"-ERR [SYS/TEMP] ", b"-ERR [LOGIN-DELAY] "))
            return answer.startswith(b"+OK")

        wait_until(goes_on, what="a login that nobody remembers the last of")


def test_announced_before_login_follows_the_plans(instance):
    def announced(name):
        with greeted(instance) as wire:
            return capabilities(wire).get(name)

    for plan in ("house", "chain", "single"):
        instance.cli("plan", "set", plan, "--poll-seconds", 0, "--retention-days", 0)
    wait_until(lambda: announced("LOGIN-DELAY") is None, what="plans without a delay")
    assert announced("EXPIRE") == ["NEVER"]
    for plan, days in (("house", 90), ("chain", 7), ("single", 0)):
        instance.cli("plan", "set", plan, "--poll-seconds", 15, "--retention-days", days)
    wait_until(lambda: announced("EXPIRE") == ["7", "USER"], what="a retention of 7 days")
    assert announced("LOGIN-DELAY") == ["15"]
    instance.cli("plan", "set", "single", "--retention-days", 7)
    instance.cli("plan", "set", "house", "--retention-days", 7)
    wait_until(lambda: announced("EXPIRE") == ["7"], what="one retention for all")


def test_in_use_says_for_how_long(instance):
    account, other = (customer.accounts[0] for customer in instance.customers)
    with logged_in(instance, account), greeted(instance) as wire:
        answer = log_in(wire, account)
        assert re.fullmatch(rb"-ERR \[IN-USE\] another session has had this mailbox open for \d+ "
                            rb"(s|min), try again later", answer)
        assert "[IN-USE] another session has had" in instance.log
        assert log_in(wire, other).startswith(b"+OK")
