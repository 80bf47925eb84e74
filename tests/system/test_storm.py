"""Everybody comes back at once after a restart; each test with two customers."""

import os
import signal

import pytest

from bellhop import Account, wait_gone, wait_until
from test_authd import FRONT, Auth, counter
from test_reload import install, reload, upgradable  # noqa: F401
from test_throttle import guess, logs_in, wait_of

HOME, AWAY = "192.0.2.1", "198.51.100.1"
NOBODY = Account("nobody@quayside.example", "")


def replace_by_signal(number):
    def replace(instance, _):
        [pid] = instance.pids()["authd"]
        os.kill(pid, number)
        wait_gone(pid)
        wait_until(lambda: instance.pids().get("authd"), what="another authd")
    return replace


def replace_by_reload(instance, folder):
    [pid] = instance.pids()["authd"]
    install(folder / "bin", "authd")
    reload(instance)
    wait_gone(pid)


REPLACED = {"ended": replace_by_signal(signal.SIGTERM), "killed": replace_by_signal(signal.SIGKILL),
            "reloaded": replace_by_reload}


@pytest.mark.parametrize("replace", REPLACED.values(), ids=REPLACED)
def test_the_next_authd_knows_them(upgradable, tmp_path, replace):  # noqa: F811
    """Who was good, who was wrong, who is delayed; twice, so that what was handed on is too."""
    hotel, group = (customer.accounts for customer in upgradable.customers)
    for account in (hotel[0], group[0]):
        assert logs_in(upgradable, account, HOME)
    assert wait_of(guess(upgradable, group[1], "last week's", HOME)) is None
    assert wait_of(guess(upgradable, NOBODY, "any", HOME)) is None
    for number in range(5):
        assert wait_of(guess(upgradable, hotel[1], f"wrong {number}", AWAY)) is None
    for _ in range(2):
        replace(upgradable, tmp_path)
        before = counter(upgradable, "hashes_total")
        for account in (hotel[0], group[0]):
            assert logs_in(upgradable, account, HOME)
        assert wait_of(guess(upgradable, group[1], "last week's", HOME)) is None
        assert wait_of(guess(upgradable, NOBODY, "any", HOME)) is None
        assert wait_of(guess(upgradable, hotel[1], hotel[1].password, AWAY)) is not None
        assert counter(upgradable, "hashes_total") == before
    assert logs_in(upgradable, group[1], HOME)
    assert counter(upgradable, "hashes_total") == before + 1


def test_changed_meanwhile(instance):
    """What the next one knows is of the password that was."""
    hotel, group = (customer.accounts[0] for customer in instance.customers)
    for account in (hotel, group):
        assert logs_in(instance, account, HOME)
    instance.cli("address", "passwd", hotel.address, "--password-stdin", input="another password\n")
    replace_by_signal(signal.SIGKILL)(instance, None)
    assert not logs_in(instance, hotel, HOME)
    assert guess(instance, hotel, "another password", HOME)[0] == "OK"
    assert logs_in(instance, group, HOME)


def test_not_on_the_disk(instance):
    """It is memory that nobody else has open, sealed, and ends with the service."""
    [pid] = instance.pids()["authd"]
    serve = instance.process.pid
    for process in (serve, pid):
        links = {os.readlink(f"/proc/{process}/fd/{fd}") for fd in os.listdir(f"/proc/{process}/fd")}
        assert "/memfd:authd (deleted)" in links
    for name, pids in instance.pids().items():
        if name == "authd":
            continue
        for other in pids:
            links = {os.readlink(f"/proc/{other}/fd/{fd}") for fd in os.listdir(f"/proc/{other}/fd")}
            assert "/memfd:authd (deleted)" not in links, name
    hotel, group = (customer.accounts[0] for customer in instance.customers)
    assert logs_in(instance, hotel, HOME) and logs_in(instance, group, HOME)
    instance.restart()
    before = counter(instance, "hashes_total")
    assert logs_in(instance, hotel, HOME) and logs_in(instance, group, HOME)
    assert counter(instance, "hashes_total") == before + 2
