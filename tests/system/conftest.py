"""Fixtures of the system tests: every test talks to a private instance on free ports."""

import os
import signal
import subprocess

import pytest

from bellhop import BIN, DATA, QUICK, Instance

LOG_LINES = 60   # shown when a test fails
# Seconds; no test waits longer than this for anything.
LONG = ("BELLHOP_TORTURE", "BELLHOP_LOAD", "BELLHOP_STORM")
TEST_TIME = 1500 if "1" in map(os.environ.get, LONG) else 150

HOTEL = ("Quayside Hotel", "house", "quayside.example", "frontdesk", "bookings", "invoices")
GROUP = ("Lighthouse Hostels", "chain", "lighthouse.example", "frontdesk", "bookings", "night")


def pytest_sessionstart(session):
    if not (BIN / "bellhop").exists() and not session.config.option.collectonly:
        pytest.exit(f"there is no {BIN / 'bellhop'}: run make first, or set BELLHOP_BIN", 2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Instance):
                lines = value.log.splitlines(keepends=True)[-LOG_LINES:]
                report.sections.append((f"end of the log of {name}", "".join(lines)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol():
    def too_long(*_):
        raise TimeoutError(f"this test takes longer than {TEST_TIME} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_TIME)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A stopped instance with two customers; the other fixtures copy it."""
    made = Instance(tmp_path_factory.mktemp("template") / "instance")
    made.configure(**QUICK)
    made.cli("plan", "set", "house", "--poll-seconds", "0")  # tests log in again at once
    made.customer(*HOTEL)
    made.customer(*GROUP)
    return made


@pytest.fixture
def stopped(template, tmp_path):
    """A fresh instance that the test starts itself."""
    made = Instance(tmp_path / "instance", template)
    yield made
    made.finish()


@pytest.fixture
def instance(stopped):
    """
    A fresh running instance with two customers (instance.customers), each with a domain and three
    addresses with passwords (customer.accounts).
    """
    return stopped.start()


@pytest.fixture(scope="module")
def shared(template, tmp_path_factory):
    """As `instance`, but one for all tests of a file: for tests that leave no trace."""
    made = Instance(tmp_path_factory.mktemp("shared") / "instance", template)
    try:
        yield made.start()
    finally:
        made.finish()


@pytest.fixture(scope="session")
def mail(tmp_path_factory) -> dict[str, bytes]:
    """Every message of tests/data by name, the generated large ones too."""
    large = tmp_path_factory.mktemp("large")
    subprocess.run([DATA / "make-large", large], check=True, timeout=60)
    files = sorted([*DATA.glob("*.eml"), *large.glob("*.eml")])
    return {file.stem: file.read_bytes() for file in files}
