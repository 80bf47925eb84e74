"""What was sent, what was acknowledged, what may be gone; and threads that send."""

import poplib
import random
import re
import threading

from bellhop import retrieve, wait_until
from wire import Lmtp, without_trace

SENDERS = 32


class Ledger:
    """
    Every message carries a number. The ledger knows each (number, address) that was acknowledged,
    and each that was deleted; check() holds the mailboxes against it.
    """

    def __init__(self, instance):
        self.instance = instance
        self.mailboxes = [account for customer in instance.customers
                          for account in customer.accounts]
        self.lock = threading.Lock()
        self.sent: dict[bytes, tuple] = {}     # number: (addresses, message)
        self.acknowledged: set[tuple] = set()  # (number, address)
        self.expunged: set[tuple] = set()      # acknowledged by +OK to QUIT
        self.unanswered: list[set] = []        # deleted by a QUIT without an answer: all or none
        self.unique_ids: dict[tuple, tuple] = {}  # (address, uid): (unique-id, number), once seen
        self.usage: dict[str, tuple] = {}  # address: messages and octets when it was last read
        self.wrong: list[str] = []
        self.replies: list = []

    def message(self, addresses, body: bytes) -> tuple[bytes, bytes]:
        """A new message's number and octets."""
        with self.lock:
            number = b"%d" % len(self.sent)
            message = b"X-Number: " + number + b"\r\n\r\n" + body + b".end of " + number + b"\r\n"
            self.sent[number] = (addresses, message)
        return number, message

    def send(self, lmtp: Lmtp, addresses, body=b"a short note\r\n"):
        number, message = self.message(addresses, body)
        replies = lmtp.deliver(addresses, message)
        with self.lock:
            self.replies += replies
            for address, reply in zip(addresses, replies):
                if reply.code == 250:
                    self.acknowledged.add((number, address))
                elif not 400 <= reply.code < 500:
                    self.wrong.append(f"{number.decode()}: {reply}")
        return replies

    def quit(self, pop3, account, numbers):
        """QUIT after DELE of these: notes what became of it. True: answered with +OK."""
        deleted = {(number, account.address) for number in numbers}
        try:
            pop3.quit()
            self.expunged |= deleted
            return True
        except (OSError, EOFError, poplib.error_proto):
            self.unanswered.append(deleted)
            return False
        finally:
            pop3.close()

    def read(self, account) -> dict[str, bytes]:
        """What is in a mailbox: number by unique-id, each octet for octet what was sent."""
        pop3 = self.instance.pop3(account)
        listed = [line.decode().split() for line in pop3.uidl()[1]]
        sizes = [int(line.split()[1]) for line in pop3.list()[1]]
        assert (len(listed), sum(sizes)) == pop3.stat()
        self.usage[account.address] = pop3.stat()
        found = {}
        for (position, unique_id), size in zip(listed, sizes):
            message = retrieve(pop3, int(position))
            assert len(message) == size
            message = without_trace(message)
            number = re.match(rb"X-Number: (\S+)\r\n", message).group(1)
            addresses, sent = self.sent[number]
            assert account.address in addresses and message == sent, f"{number} is another message"
            uid = unique_id.split(".")[0]
            known = self.unique_ids.setdefault((account.address, uid), (unique_id, number))
            assert known == (unique_id, number), f"{unique_id} names another message: {known}"
            found[unique_id] = number
        pop3.quit()
        assert len(set(found.values())) == len(found), f"a message is twice in {account.address}"
        return found

    def check(self):
        """Compares all mailboxes with what was sent; returns the (number, address) found."""
        assert not self.wrong
        self.usage = {}
        found = {(number, account.address) for account in self.mailboxes
                 for number in self.read(account).values()}
        back = found & self.expunged
        assert not back, f"deleted and there again: {back}"
        gone = set()
        for request in self.unanswered:
            assert found >= request or not found & request, f"half of a QUIT is done: {request}"
            gone |= request - found
        there = {account.address for account in self.mailboxes}
        lost = {known for known in self.acknowledged - found - self.expunged - gone
                if known[1] in there}
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} acknowledged messages are lost"
        self._check_whole(found | self.expunged | gone, there)
        return found

    def _check_whole(self, known, there):
        """A message to several is delivered to all or to none."""
        for number, (addresses, _) in self.sent.items():
            got = [(number, address) in known for address in addresses if address in there]
            assert all(got) or not any(got), f"{number} is delivered to some of {addresses}"


class Senders(Ledger):
    """Threads that deliver numbered messages, each once, until the end of the `with`."""

    def __init__(self, instance, count=SENDERS, lines=(0, 400)):
        """`lines`: how long messages are, from and up to; a line has 18 to 77 octets."""
        super().__init__(instance)
        self.count, self.lines = count, lines

    def __enter__(self):
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(n,), daemon=True)
                        for n in range(self.count)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a delivery hangs"

    def _work(self, sender):
        draw = random.Random(sender)
        while not self.stopping.is_set():
            try:
                with self.instance.lmtp() as lmtp:
                    while not self.stopping.is_set():
                        self._send(lmtp, draw)
            except (OSError, EOFError):
                self.stopping.wait(0.05)  # between a crash and the restart

    def _send(self, lmtp: Lmtp, draw):
        line = b"room %d, " % draw.randrange(1000)
        body = (line * draw.randrange(2, 8) + b"\r\n") * draw.randrange(*self.lines)
        count = draw.choice((1, 1, 1, 2))
        self.send(lmtp, [account.address for account in draw.sample(self.mailboxes, count)], body)

    def wait(self, more):
        """Until `more` further messages have been acknowledged."""
        aim = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= aim, 60, f"{more} more acknowledgements")
