"""Mail through real mail servers that are set up as the pages of docs/operating/ say."""

import base64
import json
import os
import re
import shutil
import signal
import smtplib
import sqlite3
import ssl
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bellhop import QUICK, Account, Instance, children, wait_until
from mailservers import GROUP, Exim, OpenSMTPD, Postfix, needs_root, swaks

pytestmark = needs_root

# Postfix: 553 5.7.1 Sender address rejected; Exim: 550 ... is not yours to send from
NOT_YOURS = r"553 5\.7\.1|is not yours"

FULL = b"Subject: much\r\n\r\n" + 700 * (b"x" * 76 + b"\r\n")


@pytest.fixture(scope="module")
def served():
    """Two customers, one with a mailbox that is nearly full, where a mail server can reach them."""
    place = Path(tempfile.mkdtemp(prefix="bellhop-mta-"))
    place.chmod(0o755)
    instance = Instance(place / "instance")
    instance.configure(**QUICK)
    instance.cli("plan", "set", "house", "--poll-seconds", "0")
    instance.cli("plan", "add", "small", "--addresses", 9, "--domains", 2, "--quota-bytes", 140 * 1024,
                 "--message-bytes", "64K")
    instance.customer("Quayside Hotel", "house", "quayside.example", "desk", "chef")
    instance.customer("Lakeside", "small", "lakeside.example", "desk", "full")
    for folder in (instance.dir, instance.dir / "run"):
        shutil.chown(folder, group=GROUP)
        folder.chmod(0o2750)
    try:
        instance.start()
        for _ in range(2):
            [reply] = instance.deliver("full@lakeside.example", FULL)
            assert reply.code == 250, reply
        yield instance
    finally:
        instance.finish()
        shutil.rmtree(place)


@pytest.fixture(scope="module", params=[Postfix, Exim, OpenSMTPD], ids=lambda kind: kind.__name__)
def server(request, served):
    with request.param(served) as running:
        yield running


# Where people log in to send.
for_submission = pytest.mark.parametrize("server", [Postfix, Exim], indirect=True, scope="module",
                                         ids=lambda kind: kind.__name__)


def accounts(instance):
    return [customer.accounts[0] for customer in instance.customers]


def name(server):
    return type(server).__name__


def subjects(instance, account):
    return [re.search(rb"(?m)^Subject: (.*)\r$", message)[1].decode()
            for message in instance.messages(account).values()]


def wait_for(instance, account, subject):
    wait_until(lambda: subject in subjects(instance, account), 30, f"\"{subject}\"")


def test_mail_for_both_customers(served, server):
    for number, account in enumerate(accounts(served)):
        code, said = swaks(server.port, "--header", f"Subject: {name(server)} {number}",
                           to=account.address)
        assert code == 0, said
        wait_for(served, account, f"{name(server)} {number}")
    to = ",".join(account.address for account in accounts(served))
    code, said = swaks(server.port, "--header", f"Subject: {name(server)} to both", to=to)
    assert code == 0, said
    for account in accounts(served):
        wait_for(served, account, f"{name(server)} to both")


@pytest.mark.parametrize("to, answer", [
    ("nobody@quayside.example", "550 5.1.1"),
    ("desk@foreign.example", "elay|Invalid recipient"),  # 554 5.7.1 Relay access denied, 550 relay not permitted
])
def test_unknown_recipients(served, server, to, answer):
    code, said = swaks(server.port, "--quit-after", "RCPT", to=to)
    assert code != 0 and re.search(answer, said), said


@pytest.mark.parametrize("to, octets, answer", [
    ("full@lakeside.example", 60000, "452 4.2.2"),
    ("desk@lakeside.example", 70000, "552 5.3.4"),
    ("desk@lakeside.example", 60000, "250 "),
])
def test_sizes(served, server, to, octets, answer):
    """At RCPT, before the message is sent (swaks says no SIZE)."""
    with smtplib.SMTP("127.0.0.1", server.port, timeout=60) as smtp:
        smtp.ehlo()
        smtp.mail("guest@elsewhere.example", [f"SIZE={octets}"])
        code, text = smtp.rcpt(to)
    assert f"{code} {text.decode()}".startswith(answer)


@pytest.mark.parametrize("server", [OpenSMTPD], indirect=True, scope="module", ids=["OpenSMTPD"])
def test_a_domain_that_is_copied(served, server):
    address = "desk@annexe.example"
    served.cli("domain", "add", "annexe.example", "--customer", "Lakeside")
    served.cli("address", "add", address)
    try:
        code, said = swaks(server.port, "--quit-after", "RCPT", to=address)
        assert code != 0 and "550 Invalid recipient" in said, said
        server.copy_domains()
        code, said = swaks(server.port, to=address)
        assert code == 0, said
    finally:
        served.cli("domain", "remove", "annexe.example")
    server.copy_domains()
    code, said = swaks(server.port, "--quit-after", "RCPT", to=address)
    assert code != 0 and "550 Invalid recipient" in said, said


@for_submission
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port, tls", [("submission", "--tls"), ("submissions", "--tls-on-connect")])
def test_submission(served, server, mechanism, port, tls):
    """From one customer to the other, by who may."""
    sender, recipient = accounts(served)
    subject = f"{name(server)} {port} with {mechanism}"
    code, said = swaks(getattr(server, port), tls, "--auth", mechanism, "--auth-user", sender.address,
                       "--auth-password", sender.password, "--header", f"Subject: {subject}",
                       sender=sender.address, to=recipient.address)
    assert code == 0, said
    wait_for(served, recipient, subject)


@pytest.fixture(scope="module")
def issuer(served):
    """Makes tokens for the customers' addresses; its keys need no fetching here."""
    url = "https://login.example"
    private = ec.generate_private_key(ec.SECP256R1())
    public = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key())
    for customer in served.customers:
        served.cli("token-issuer", "add", url, "--customer", customer.name, "--audience", "mail")
    with closing(sqlite3.connect(served.dir / "accounts.db", timeout=30)) as db, db:
        db.execute("UPDATE token_issuer SET keys = ?, fetched = unixepoch(), due = unixepoch() + 3600",
                   [json.dumps({"keys": [public if isinstance(public, dict) else json.loads(public)]})])
    return lambda address, **claims: jwt.encode(
        {"iss": url, "aud": "mail", "email": address, "exp": int(time.time()) + 600, **claims}, private,
        algorithm="ES256")


@contextmanager
def submission(server):
    with smtplib.SMTP("127.0.0.1", server.submission, timeout=60) as smtp:
        smtp.starttls()
        smtp.ehlo()
        yield smtp


def mechanisms(server):
    with submission(server) as smtp:
        return smtp.esmtp_features["auth"].split()


@for_submission
def test_a_program_that_waits_to_be_asked(served, server):
    """Without an initial response (RFC 4954 section 4)."""
    own, other = accounts(served)
    for account in own, other:
        with submission(server) as smtp:
            smtp.user, smtp.password = account.address, account.password
            assert smtp.auth("PLAIN", smtp.auth_plain, initial_response_ok=False)[0] == 235


@for_submission
def test_submission_with_a_token(served, server, issuer, tmp_path):
    mine, theirs = accounts(served)
    if isinstance(server, Postfix):  # as the page says
        server.reload()
    wait_until(lambda: "OAUTHBEARER" in mechanisms(server), 30, "OAUTHBEARER")
    subject = f"{name(server)} with a token"
    letter = tmp_path / "letter"
    letter.write_text(f"From: {mine.address}\nSubject: {subject}\n\none line\n")
    command = ["curl", "-sS", f"smtp://127.0.0.1:{server.submission}", "--ssl-reqd", "--insecure", "--user",
               f"{mine.address}:", "--mail-from", mine.address, "--mail-rcpt", theirs.address, "--upload-file",
               letter, "--oauth2-bearer"]
    long = issuer(mine.address, groups=["x" * 100] * 30)
    done = subprocess.run([*command, long], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    wait_for(served, theirs, subject)
    done = subprocess.run([*command, issuer(theirs.address)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 67, done.stderr  # login denied


def answer_to_auth(server, account):
    code, said = swaks(server.submission, "--tls", "--auth", "PLAIN", "--auth-user", account.address,
                       "--auth-password", account.password, "--quit-after", "AUTH", to="x@foreign.example")
    return re.search(r"(?m)^<~[*]? +(\d{3}.*)", said[said.index(" AUTH PLAIN "):])[1]


def answer_after_breaking_off(server, account):
    """By a client that has begun to log in before, and has thought better of it."""
    with smtplib.SMTP("127.0.0.1", server.submission, timeout=30) as client:
        client.starttls(context=ssl._create_unverified_context())
        client.ehlo()
        assert client.docmd("AUTH", "LOGIN")[0] == 334
        assert client.docmd("*")[0] == 501
        response = base64.b64encode(f"\0{account.address}\0{account.password}".encode()).decode()
        code, said = client.docmd("AUTH", f"PLAIN {response}")
        return f"{code} {said.decode()}"


@for_submission
def test_who_may_not_send_at_all(served, server):
    """A plan without sending, and a suspended mailbox: what the other customer does not notice."""
    own, other = accounts(served)
    shown = {"Postfix": "535 5.7.8 Error: authentication failed: This account {}.",
             "Exim": "535 Incorrect authentication data"}[name(server)]
    for refuse, allow, why in [
            (["plan", "set", "house", "--sending", "no"], ["plan", "set", "house", "--sending", "yes"],
             "may not send mail"),
            (["customer", "suspend", "Quayside Hotel"], ["customer", "resume", "Quayside Hotel"], "is suspended")]:
        served.cli(*refuse)
        try:
            assert answer_to_auth(server, own) == shown.format(why)
            assert answer_to_auth(server, other).startswith("235 ")
        finally:
            served.cli(*allow)
        assert answer_to_auth(server, own).startswith("235 ")


@for_submission
def test_who_guesses_is_asked_to_come_again(served, server):
    """Not told that the password is wrong, or a phone would ask its user for another."""
    own, other = accounts(served)
    later = {"Postfix": "454 4.7.0 ", "Exim": "435 "}[name(server)]
    served.cli("auth", "lift", own.address, check=False)  # what other tests have tried
    try:
        for number in range(5):
            guess = Account(own.address, f"a guess at {name(server)} {number}")
            assert answer_to_auth(server, guess).startswith("535 ")
        assert answer_to_auth(server, own).startswith(later)
        assert answer_after_breaking_off(server, own).startswith(later)
        assert answer_to_auth(server, other).startswith("235 ")
    finally:
        served.cli("auth", "lift", own.address)
    assert answer_to_auth(server, own).startswith("235 ")
    assert answer_after_breaking_off(server, own).startswith("235 ")


@for_submission
def test_a_receipt_has_no_sender(served, server):
    """RFC 8098 section 3: what tells that a message was read comes from <>."""
    own, other = accounts(served)
    subject = f"{name(server)} was read"
    code, said = swaks(server.submission, "--tls", "--auth", "PLAIN", "--auth-user", own.address,
                       "--auth-password", own.password, "--header", f"Subject: {subject}",
                       sender="<>", to=other.address)
    assert code == 0, said
    wait_for(served, other, subject)


@for_submission
@pytest.mark.parametrize("password, sender, options, answer", [
    ("wrong", None, ["--tls"], "535"),
    (None, "chef@quayside.example", ["--tls"], NOT_YOURS),
    (None, "desk@lakeside.example", ["--tls"], NOT_YOURS),
    (None, "somebody@foreign.example", ["--tls"], NOT_YOURS),
    (None, None, [], "did not advertise authentication"),
])
def test_who_may_not_submit(served, server, password, sender, options, answer):
    own, other = accounts(served)
    before = len(subjects(served, other))
    code, said = swaks(server.submission, *options, "--auth", "PLAIN", "--auth-user", own.address,
                       "--auth-password", password or own.password, sender=sender or own.address,
                       to=other.address)
    assert code != 0 and re.search(answer, said), said
    assert len(subjects(served, other)) == before


def test_what_the_page_has_one_try(served, server):
    found, missing = server.tried
    assert found in server.try_address("desk@quayside.example")
    assert missing in server.try_address("desk@foreign.example")


def test_a_restart_loses_nothing(served, server):
    """Mail that comes while Bellhop is away is asked to come again, and is taken then."""
    account = accounts(served)[1]
    served.stop()
    code, said = swaks(server.port, to=account.address)
    assert code != 0 and "451 " in said, said
    served.start()

    def sent():
        return swaks(server.port, "--header", f"Subject: {name(server)} after the restart",
                     to=account.address)[0] == 0

    wait_until(sent, 90, "mail again")  # Postfix remembers for 30 s that a domain could not be looked up
    wait_for(served, account, f"{name(server)} after the restart")


def find_filter(pid):
    if b"\0smtpd-filter\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
        return pid
    return next(filter(None, map(find_filter, children(pid))), None)


def test_opensmtpd_ends_with_its_filter(served):
    """So it accepts nothing unasked."""
    with OpenSMTPD(served) as running:
        os.kill(wait_until(lambda: find_filter(running.process.pid), what="the filter"), signal.SIGKILL)
        wait_until(lambda: running.process.poll() is not None, 30, "the end of OpenSMTPD")
        assert "lost processor: bellhop" in running.log
