"""Whose user the programs are when root starts them, and whose the files are that they make."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from bellhop import BIN, QUICK, Instance, program, status, wait_gone, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

OWNER, GROUP = 54321, 54322
NOBODY_ELSE = {"Uid": "\t".join([str(OWNER)] * 4), "Gid": "\t".join([str(GROUP)] * 4),
               "Groups": "", "CapPrm": "0" * 16, "CapEff": "0" * 16, "NoNewPrivs": "1"}


@pytest.fixture
def place():
    """Pytest's own folders are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="bellhop-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def make(directory):
    directory.mkdir()
    os.chown(directory, OWNER, GROUP)
    made = Instance(directory)
    made.configure(**QUICK)
    return made


@pytest.fixture
def owned(place):
    """An instance in a folder that root gave to somebody."""
    made = make(place / "instance")
    for name, domain in [("Quayside Hotel", "quayside.example"), ("Lakeside", "lakeside.example")]:
        made.customer(name, "house", domain, "desk")
    yield made
    made.finish()


def wait_for_status(pid, wanted):
    """Of two pop3d the second may still be starting when the first one serves."""
    def found():
        return {name: status(pid)[name] for name in wanted}
    wait_until(lambda: found() == wanted, what=f"{program(pid)}'s {wanted}, not {found()}")


def owners(directory):
    return {os.lstat(path).st_uid for path in [directory, *directory.rglob("*")]}


def test_root_serves_as_the_owner(owned):
    os.chown(owned.dir, -1, 4242)  # as for a mail server
    owned.start()
    for pids in owned.pids().values():
        for pid in pids:
            wait_for_status(pid, NOBODY_ELSE)
    assert "programs run as root" not in owned.log
    assert owners(owned.dir) == {OWNER}


def test_what_root_does_is_the_owners(owned):
    """Commands that make files, with the service and without, and all works afterwards."""
    first, second = (customer.accounts[0] for customer in owned.customers)
    owned.cli("store", "rebuild")
    owned.start()
    owned.cli("store", "verify")
    late = owned.address(owned.customers[0], "late")
    for account in (first, second, late):
        [reply] = owned.deliver(account.address, b"Subject: for one\r\n\r\nbody\r\n")
        assert reply.code == 250
    owned.cli("backup", owned.dir.parent / "backup")
    owned.cli("init", owned.dir)
    assert owners(owned.dir) == {OWNER}
    owned.restart()
    assert [len(owned.messages(account)) for account in (first, second, late)] == [1, 1, 1]
    owned.stop()
    owned.cli("store", "rebuild")
    assert owners(owned.dir) == {OWNER}


def test_root_follows_no_link_of_the_owner(owned):
    """To a file that is root's; what root truncates or gives away there, the owner could take."""
    precious = owned.dir.parent / "precious"
    precious.write_text("root's\n")
    precious.chmod(0o600)
    (owned.dir / "run" / "lock").symlink_to(precious)
    done = subprocess.run([BIN / "bellhop", "-C", owned.dir, "serve"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1
    assert "run/lock: Permission denied" in done.stderr
    assert precious.read_text() == "root's\n"
    assert precious.stat().st_uid == 0
    (owned.dir / "run" / "lock").unlink()
    owned.start()


def test_a_restore_is_the_owners(owned):
    account = owned.customers[1].accounts[0]
    owned.start()
    owned.deliver(account.address, b"Subject: for one\r\n\r\nbody\r\n")
    before = owned.messages(account)
    backup = owned.dir.parent / "backup"
    owned.cli("backup", backup)
    target = make(owned.dir.parent / "target")
    try:
        target.cli("restore", backup)
        assert owners(target.dir) == {OWNER}
        target.start()
        assert target.messages(account) == before
    finally:
        target.finish()


def test_programs_end_with_a_supervisor_that_is_killed(owned):
    """To become another user takes back the signal that tells them."""
    owned.start()
    pids = [pid for pids in owned.pids().values() for pid in pids]
    owned.process.kill()
    owned.process.wait()
    owned.process = None
    for pid in pids:
        wait_gone(pid)
    owned.start()


def test_root_of_its_own_instance_is_root_in_name_only(stopped):
    os.chown(stopped.dir, 0, 0)
    stopped.start()
    assert stopped.log.count("programs run as root") == 1
    for pids in stopped.pids().values():
        for pid in pids:
            wait_for_status(pid, {"Groups": "", "CapPrm": "0" * 16})


def test_root_without_privileges(stopped):
    """As in a container that takes them away; the instance is root's."""
    os.chown(stopped.dir, 0, 0)
    with stopped.log_path.open("ab") as log:
        stopped.process = subprocess.Popen(
            ["setpriv", "--bounding-set=-all", "--inh-caps=-all", BIN / "bellhop", "-C",
             stopped.dir, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    stopped.wait_healthy()
    for customer in stopped.customers:
        [reply] = stopped.deliver(customer.accounts[0].address, b"Subject: for one\r\n\r\nbody\r\n")
        assert reply.code == 250
        assert len(stopped.messages(customer.accounts[0])) == 1


def test_init_gives_the_instance_to_the_services_user(place):
    """With a list of users that has it, in a namespace of its own."""
    users = place / "passwd"
    users.write_text(Path("/etc/passwd").read_text() +
                     f"\nbellhop:x:{OWNER}:{GROUP}::/nonexistent:/usr/sbin/nologin\n")
    script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'

    def init(directory):
        return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", users, BIN / "bellhop",
                               "init", directory], capture_output=True, text=True, timeout=60)

    done = init(place / "instance")
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no namespace can be made here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert owners(place / "instance") == {OWNER}
    closed = place / "closed"
    closed.mkdir(0o700)
    done = init(closed / "instance")
    assert done.returncode == 0, done.stderr
    assert "cannot enter" in done.stdout
    assert owners(closed / "instance") == {0}
