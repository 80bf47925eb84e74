"""What all rows stand on: the two servers, with the same accounts and the same mail."""

import poplib
import re
import sqlite3
from contextlib import contextmanager
from pathlib import Path

import generator
from bellhop import QUICK, Instance
from contenders import Bellhop
from dovecot import Dovecot
from generator import Broken, Result

CLIENTS = 32
MESSAGES = 30     # in each of the mailboxes that are only read
ADDRESSES = 100   # of a customer on the plan "chain"

# How many accounts there are of a kind, and in a quick run.
GROUPS = {
    "readers": (CLIENTS, CLIENTS),
    "writers": (CLIENTS, CLIENTS),
    "fetchers": (CLIENTS, CLIENTS),
    "house": (50, 50),      # whom one message goes to
    "archive": (1, 1),      # with much mail
    "crowd": (1000, 200),   # who do nothing
}
COLD = (40, 4)  # whose passwords are hashed as an operator's would be

HASHES = """
SELECT local || '@' || domain.name, hash FROM address
JOIN domain ON domain.id = address.domain JOIN credential ON credential.mailbox = address.mailbox
"""

# A message of 1 KiB, as the generator makes them.
LETTER = ("Subject: load %020d\nFrom: Load <load@bench.example>\nTo: you\n\n"
          + 12 * "A line of an ordinary message: the linen cart stops at every open door.....\n")


@contextmanager
def logged_in(contender, account):
    pop3 = poplib.POP3("127.0.0.1", contender.ports.pop3, timeout=60)
    pop3.user(account[0])
    pop3.pass_(account[1])
    yield pop3
    pop3.quit()


class Stage:
    def __init__(self, folder, quick):
        self.folder = Path(folder)
        self.quick = quick
        self.accounts = {}
        self.archived = False
        instance = Instance(self.folder / "instance")
        instance.cli("plan", "set", "chain", "--quota-messages", "10000000")
        self._add_customers(instance)
        self.bellhop = Bellhop(instance)
        self.dovecot = Dovecot(self.folder / "dovecot", instance, self.hashes())
        self.contenders = [self.bellhop, self.dovecot]

    def __enter__(self):
        try:
            for contender in self.contenders:
                contender.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for contender in self.contenders:
            contender.stop()

    def some(self, count, least=CLIENTS):
        """Of a full run's count, what this run takes."""
        return max(count // 10, least) if self.quick else count

    # --- accounts

    def _add_customers(self, instance):
        cold = self._pick(COLD)
        self.accounts["cold"] = self._add(instance, "cold", cold)
        instance.configure(**QUICK)
        count = sum(self._pick(sizes) for sizes in GROUPS.values())
        others = self._add(instance, "house", count)
        for name, sizes in GROUPS.items():
            self.accounts[name] = [others.pop(0) for _ in range(self._pick(sizes))]

    def _pick(self, sizes):
        return sizes[1 if self.quick else 0]

    def _add(self, instance, word, count):
        """Customers with ADDRESSES mailboxes each, until there are `count`."""
        added = []
        table = self.folder / "import.csv"
        while len(added) < count:
            customer = f"{word} {len(added) // ADDRESSES}"
            domain = customer.replace(" ", "") + ".example"
            own = [(f"room{room}@{domain}", f"key to {room} of {customer}")
                   for room in range(min(ADDRESSES, count - len(added)))]
            table.write_text("address,password,name\n"
                             + "".join(f"{address},{password},\n" for address, password in own))
            instance.cli("customer", "add", customer, "--plan", "chain")
            instance.cli("domain", "add", domain, "--customer", customer)
            instance.cli("address", "import", table, "--customer", customer)
            added += own
        return added

    def users(self, group):
        """The generator's file."""
        path = self.folder / f"{group}.users"
        if not path.exists():
            path.write_text("".join(f"{address}\t{password}\n"
                                    for address, password in self.accounts[group]))
        return path

    def hashes(self):
        """(address, hash) of all accounts."""
        path = self.bellhop.instance.dir / "accounts.db"
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        found = database.execute(HASHES).fetchall()
        database.close()
        return found

    # --- load

    def load(self, contender, mode, group, port="pop3", **options) -> Result:
        """One run of the generator; TLS where the port is that of TLS."""
        try:
            return generator.load(mode, *self._target(contender, group, port),
                                  **self._options(port, options))
        except Broken as error:
            raise Broken(f"{contender.name}: {error}\n{contender.log[-1000:]}") from error

    def held(self, contender, group, port):
        """All accounts of the group, logged in and silent, within."""
        return generator.held(*self._target(contender, group, port),
                              **self._options(port, {"connections": len(self.accounts[group])}))

    def _target(self, contender, group, port):
        return getattr(contender.ports, port), self.users(group), contender.serve_pid

    def _options(self, port, options):
        certificate = self.bellhop.instance.dir / "tls" / "cert.pem"
        tls = {"tls": True, "ca": certificate} if port == "pop3s" else {}
        return {"connections": CLIENTS} | options | tls

    def deliver(self, contender, group, count, **options):
        return self.load(contender, "lmtp", group, "lmtp", count=count, **options)

    def warm_up(self, contender):
        """Processes are there, credentials known, mailboxes have been opened."""
        self.load(contender, "session", "readers", count=4 * CLIENTS)

    # --- mail

    def fill(self):
        for contender in self.contenders:
            self.deliver(contender, "readers", MESSAGES * CLIENTS)
            self.warm_up(contender)
        self._compare_mail()

    def fill_archive(self, count):
        """Once; and each server has made of it what it keeps on the disk."""
        if self.archived:
            return
        self.archived = True
        count = self.some(count)
        self.deliver(self.bellhop, "archive", count, size=1024)
        self.dovecot.bring(self.accounts["archive"][0],
                           (LETTER % number for number in range(count)))
        for contender in self.contenders:
            self.load(contender, "open", "archive", connections=1, count=1)
        self._compare_numbers("archive", count)

    def _compare_mail(self):
        """Both must give what was delivered, whatever they put in front of it."""
        for account in self.accounts["readers"][:2]:
            ours, theirs = (self._mail_of(contender, account) for contender in self.contenders)
            if ours != theirs or len(ours) != MESSAGES:
                raise Broken(f"the mail of {account[0]} differs: {len(ours)} and {len(theirs)}")

    def _compare_numbers(self, group, count):
        for contender in self.contenders:
            for account in self.accounts[group]:
                with logged_in(contender, account) as pop3:
                    if pop3.stat()[0] != count:
                        raise Broken(f"{contender.name} has {pop3.stat()[0]} messages of {count}")

    @staticmethod
    def _mail_of(contender, account):
        with logged_in(contender, account) as pop3:
            texts = [b"\n".join(pop3.retr(number + 1)[1]) for number in range(pop3.stat()[0])]
        return {re.search(rb"Subject: load .*", text, re.S).group() for text in texts}
