"""Much mail in no time, and what it costs."""

import re
import sqlite3
import subprocess
from pathlib import Path

from bellhop import BIN, wait_until

FILL = BIN.parent / "bench" / "fill"
MB = 1000000


def mailbox_of(instance, account):
    """The number under which the store knows it."""
    local, _, domain = account.address.partition("@")
    database = sqlite3.connect(f"file:{instance.dir}/accounts.db?mode=ro", uri=True)
    [[mailbox]] = database.execute(
        "SELECT mailbox FROM address JOIN domain ON domain.id = address.domain"
        " WHERE local = ? AND domain.name = ?", [local, domain])
    database.close()
    return mailbox


def fill(instance, account, messages, mailboxes=1, named=False, timeout=600):
    """Mail for the account, and for the mailboxes that come after it, while nothing runs."""
    first = mailbox_of(instance, account)
    (instance.dir / "store").mkdir(exist_ok=True)
    subprocess.run([FILL, *map(str, (first, mailboxes, messages)), *(["named"] if named else [])],
                   cwd=instance.dir, check=True, timeout=timeout)


def warm_up(instance, account):
    """Each pop3d has served somebody: what its first session takes is no mailbox's."""
    pids = {str(pid) for pid in instance.pids()["pop3d"]}

    def all_have_served():
        instance.pop3(account).quit()
        return pids <= set(re.findall(r"pop3d\[(\d+)\]: session=.* end=quit", instance.log))

    wait_until(all_have_served, what="sessions in each pop3d")


class Memory:
    """What the processes of a program have resident, at most, above what they had before."""

    def __init__(self, instance, name):
        self.before = {pid: self._read(pid, "VmRSS") for pid in instance.pids()[name]}
        for pid in self.before:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM begins anew

    @staticmethod
    def _read(pid, field):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(field)

    def grown(self):
        """Megabytes, of the one that has grown most."""
        return max(self._read(pid, "VmHWM") - before for pid, before in self.before.items()) / MB
