"""Mail through a real Postfix that is set up as docs/operating/postfix.md says."""

import re
import shutil
import smtplib
import tempfile
from pathlib import Path

import pytest

from bellhop import QUICK, Instance, wait_until
from mailservers import GROUP, Postfix, needs_root, swaks

pytestmark = needs_root

FULL = b"Subject: much\r\n\r\n" + 700 * (b"x" * 76 + b"\r\n")


@pytest.fixture(scope="module")
def served():
    """Two customers, one with a mailbox that is nearly full, where a mail server can reach them."""
    place = Path(tempfile.mkdtemp(prefix="bellhop-mta-"))
    place.chmod(0o755)
    instance = Instance(place / "instance")
    instance.configure(**QUICK)
    instance.cli("plan", "set", "house", "--poll-seconds", "0")
    instance.cli("plan", "add", "small", "--addresses", 9, "--domains", 2, "--quota-bytes", 70 * 1024,
                 "--message-bytes", "64K")
    instance.customer("Quayside Hotel", "house", "quayside.example", "desk", "chef")
    instance.customer("Lakeside", "small", "lakeside.example", "desk", "full")
    for folder in (instance.dir, instance.dir / "run"):
        shutil.chown(folder, group=GROUP)
        folder.chmod(0o2750)
    try:
        yield instance.start()
    finally:
        instance.finish()
        shutil.rmtree(place)


@pytest.fixture(scope="module")
def postfix(served):
    with Postfix(served) as running:
        yield running


def accounts(instance):
    return [customer.accounts[0] for customer in instance.customers]


def subjects(instance, account):
    return [re.search(rb"(?m)^Subject: (.*)\r$", message)[1].decode()
            for message in instance.messages(account).values()]


def wait_for(instance, account, subject):
    wait_until(lambda: subject in subjects(instance, account), 30, f"\"{subject}\"")


def test_mail_for_both_customers(served, postfix):
    for number, account in enumerate(accounts(served)):
        code, said = swaks(postfix.port, "--header", f"Subject: from outside {number}",
                           to=account.address)
        assert code == 0, said
        wait_for(served, account, f"from outside {number}")
    to = ",".join(account.address for account in accounts(served))
    code, said = swaks(postfix.port, "--header", "Subject: to both", to=to)
    assert code == 0, said
    for account in accounts(served):
        wait_for(served, account, "to both")


@pytest.mark.parametrize("to, answer", [
    ("nobody@quayside.example", "550 5.1.1"),
    ("desk@foreign.example", "554 5.7.1"),
])
def test_unknown_recipients(served, postfix, to, answer):
    code, said = swaks(postfix.port, "--quit-after", "RCPT", to=to)
    assert code != 0 and answer in said, said


@pytest.mark.parametrize("to, octets, answer", [
    ("full@lakeside.example", 60000, "452 4.2.2"),
    ("desk@lakeside.example", 70000, "552 5.3.4"),
    ("desk@lakeside.example", 60000, "250 2.1.5"),
])
def test_sizes(served, postfix, to, octets, answer):
    """At RCPT, before the message is sent (swaks says no SIZE)."""
    if to.startswith("full"):
        [reply] = served.deliver(to, FULL)
        assert reply.code == 250
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as smtp:
        smtp.ehlo()
        smtp.mail("guest@elsewhere.example", [f"SIZE={octets}"])
        code, text = smtp.rcpt(to)
    assert f"{code} {text.decode()}".startswith(answer)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port, tls", [("submission", "--tls"), ("submissions", "--tls-on-connect")])
def test_submission(served, postfix, mechanism, port, tls):
    """From one customer to the other, by who may."""
    sender, recipient = accounts(served)
    code, said = swaks(getattr(postfix, port), tls, "--auth", mechanism, "--auth-user", sender.address,
                       "--auth-password", sender.password, "--header",
                       f"Subject: sent by {port} with {mechanism}", sender=sender.address,
                       to=recipient.address)
    assert code == 0, said
    wait_for(served, recipient, f"sent by {port} with {mechanism}")


@pytest.mark.parametrize("password, sender, options, answer", [
    ("wrong", None, ["--tls"], "535 5.7.8"),
    (None, "chef@quayside.example", ["--tls"], "553 5.7.1"),
    (None, "desk@lakeside.example", ["--tls"], "553 5.7.1"),
    (None, "somebody@foreign.example", ["--tls"], "553 5.7.1"),
    (None, None, [], "did not advertise authentication"),
])
def test_who_may_not_submit(served, postfix, password, sender, options, answer):
    own, other = accounts(served)
    before = len(subjects(served, other))
    code, said = swaks(postfix.submission, *options, "--auth", "PLAIN", "--auth-user", own.address,
                       "--auth-password", password or own.password, sender=sender or own.address,
                       to=other.address)
    assert code != 0 and answer in said, said
    assert len(subjects(served, other)) == before


def test_what_the_page_has_one_try(served, postfix):
    table = f"socketmap:unix:{served.dir}/run/map.sock:recipients"
    assert postfix.look_up(table, "desk@quayside.example").stdout == "desk@quayside.example\n"
    assert postfix.look_up(table, "nobody@quayside.example").stdout == ""


def test_a_restart_loses_nothing(served, postfix):
    """Mail that comes while Bellhop is away is asked to come again, and is taken then."""
    account = accounts(served)[1]
    served.stop()
    code, said = swaks(postfix.port, to=account.address)
    assert code != 0 and "451 4.3.0" in said, said
    served.start()
    code, said = swaks(postfix.port, "--header", "Subject: after the restart", to=account.address)
    assert code == 0, said
    wait_for(served, account, "after the restart")
