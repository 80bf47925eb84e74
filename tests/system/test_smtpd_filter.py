"""`bellhop smtpd-filter`: OpenSMTPD's side of it is the test."""

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from bellhop import BIN, STOP_TIME

HANDSHAKE = ["config|smtpd-version|6.8.0p2", "config|subsystem|smtp-in", "config|ready"]
AWAY = "reject|451 4.3.0 the mail store is not available; try again later"


class Filter:
    def __init__(self, instance):
        self.process = subprocess.Popen([BIN / "bellhop", "-C", instance.dir, "smtpd-filter"], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.tell(*HANDSHAKE)
        self.registered = []
        while not self.registered or self.registered[-1] != "register|ready":
            self.registered.append(self.process.stdout.readline().rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Without input it ends."""
        out, error = self.process.communicate(timeout=STOP_TIME)
        assert (self.process.returncode, out, error) == (0, "", "")

    def tell(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines))
        self.process.stdin.flush()

    def said(self, session, command):
        self.tell(f"report|0.6|1576146008.006099|smtp-in|protocol-client|{session}|{command}")

    def left(self, session):
        self.tell(f"report|0.6|1576146008.006099|smtp-in|link-disconnect|{session}")

    def asked(self, session, recipient):
        self.tell(f"filter|0.6|1576146008.006099|smtp-in|rcpt-to|{session}|1ef1c203cc576e5d|{recipient}")
        start, _, answer = self.process.stdout.readline().rstrip("\n").partition("|1ef1c203cc576e5d|")
        assert start == f"filter-result|{session}"
        return answer


def test_what_it_asks_to_be_told(stopped):
    with Filter(stopped) as filter:
        assert filter.registered == [
            "register|report|smtp-in|protocol-client", "register|report|smtp-in|link-disconnect",
            "register|filter|smtp-in|rcpt-to", "register|ready"]


def test_recipients(shared):
    with Filter(shared) as filter:
        for customer in shared.customers:
            assert filter.asked("7641df9771b4ed00", customer.accounts[0].address) == "proceed"
            assert filter.asked("7641df9771b4ed00", f"nobody@{customer.domain}") == (
                "reject|550 5.1.1 there is no such mailbox here")
        for foreign in ["desk@foreign.example", "no address", "", "a|b@foreign.example"]:
            assert filter.asked("7641df9771b4ed00", foreign) == "proceed"


@pytest.mark.parametrize("command, refused", [
    ("MAIL FROM:<a@elsewhere.example> SIZE=2000000000 BODY=8BITMIME", True),
    ("mail from:<a|b@elsewhere.example> body=7bit size=2000000000", True),
    ("MAIL FROM:<a@elsewhere.example> SIZE=9999", False),
    ("MAIL FROM:<a@elsewhere.example>", False),
    ("MAIL FROM:<a@elsewhere.example> SIZE=", False),
    ("MAIL FROM:<a@elsewhere.example> SIZE=99999999999999992000000000", False),  # OpenSMTPD's to refuse
    ("RCPT TO:<a@elsewhere.example> SIZE=2000000000", False),
])
def test_sizes(shared, command, refused):
    to = shared.customers[1].accounts[0].address
    with Filter(shared) as filter:
        filter.said("7641df9771b4ed00", command)
        expected = "reject|552 5.3.4 the message is larger than allowed" if refused else "proceed"
        assert filter.asked("7641df9771b4ed00", to) == expected
        assert filter.asked("7641df9771b4ed01", to) == "proceed"
        filter.left("7641df9771b4ed00")
        filter.left("7641df9771b4ed01")
        assert filter.asked("7641df9771b4ed00", to) == "proceed"


def test_the_next_message_of_a_session(shared):
    to = shared.customers[0].accounts[0].address
    with Filter(shared) as filter:
        filter.said("7641df9771b4ed00", "MAIL FROM:<a@elsewhere.example> SIZE=2000000000")
        assert filter.asked("7641df9771b4ed00", to).startswith("reject|552 ")
        filter.said("7641df9771b4ed00", "MAIL FROM:<a@elsewhere.example>")
        assert filter.asked("7641df9771b4ed00", to) == "proceed"


def test_bellhop_away_and_back(stopped):
    to = stopped.customers[0].accounts[0].address
    with Filter(stopped) as filter:
        assert filter.asked("7641df9771b4ed00", to) == AWAY
        for _ in range(2):
            stopped.start()
            assert filter.asked("7641df9771b4ed00", to) == "proceed"
            stopped.stop()
            assert filter.asked("7641df9771b4ed00", to) == AWAY
        stopped.start()
        assert filter.asked("7641df9771b4ed00", to) == "proceed"
        stopped.restart()
        assert filter.asked("7641df9771b4ed00", to) == "proceed"


def test_a_service_that_hangs_is_asked_once(stopped):
    """All sessions of OpenSMTPD wait for the answer."""
    path = stopped.dir / "run" / "policy.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, Filter(stopped) as filter:
        listener.bind(str(path))
        listener.listen()
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(filter.asked, "7641df9771b4ed00", "desk@hotel.example")
            lmtpd, _ = listener.accept()
            with lmtpd:
                assert b"recipient=desk@hotel.example\n" in lmtpd.recv(4096)
                lmtpd.sendall(b"action=DUNNO\n\n")
                assert answer.result() == "proceed"
                assert filter.asked("7641df9771b4ed00", "desk@hotel.example") == AWAY
                listener.settimeout(0)
                with pytest.raises(BlockingIOError):
                    listener.accept()


def test_a_line_that_is_too_long(stopped):
    done = subprocess.run([BIN / "bellhop", "-C", stopped.dir, "smtpd-filter"], input="x" * 20000, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 1 and "8192" in done.stderr
