"""
Ordinary mail clients fetch every message of tests/data octet for octet; but where the client does
not say UTF8, another header comes in place of one that is not ASCII (test_pop3_surrogate.py).
"""

import subprocess

import pytest

from bellhop import retrieve
from wire import canonical, without_trace

CLIENT_TIME = 60


def marked(customer, message):
    """The customer's own copy, so that another's mail cannot pass for it."""
    return f"X-House: {customer.domain}\r\n".encode() + message


@pytest.fixture(scope="module")
def filled(shared, mail):
    """Every message in the first mailbox of each customer; in the order of `mail`."""
    for customer in shared.customers:
        with shared.lmtp() as lmtp:
            for name, message in mail.items():
                replies = lmtp.deliver(customer.accounts[0].address, marked(customer, message),
                                       options="BODY=8BITMIME SMTPUTF8")
                assert [reply.code for reply in replies] == [250], (name, replies)
    return shared


@pytest.fixture(params=[0, 1], ids=["house", "chain"])
def customer(request, filled):
    return filled.customers[request.param]


def check(customer, mail, fetched, utf8=False):
    """fetched: the messages' octets as a client got them, in order."""
    assert len(fetched) == len(mail)
    for (name, message), got in zip(mail.items(), fetched):
        expected = canonical(marked(customer, message))
        assert same(comparable(without_trace(got), utf8), comparable(expected, utf8)), name


def comparable(message, utf8=False):
    """Without UTF8, what comes of a message whose header is in UTF-8, as it was and as it came."""
    head, _, body = message.partition(b"\r\n\r\n")
    return body if not utf8 and b"<yoyaku-5521@minatomachi.example>" in head else message


def same(one, other):
    """Equality whose failure does not print 10 MB."""
    return one == other


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_poplib(filled, customer, mail, tls):
    pop3 = filled.pop3(customer.accounts[0], tls=tls, utf8=True)
    sizes = [int(line.split()[1]) for line in pop3.list()[1]]
    fetched = [retrieve(pop3, number) for number in range(1, len(sizes) + 1)]
    assert pop3.stat() == (len(mail), sum(sizes))
    pop3.quit()
    check(customer, mail, fetched, utf8=True)
    assert sizes == [len(message) for message in fetched]


def test_poplib_stls(filled, customer, mail):
    """STLS, then the log-in: what most phones do."""
    pop3 = filled.pop3_greeted()
    pop3.stls(filled.tls)
    account = customer.accounts[0]
    pop3.user(account.address)
    pop3.pass_(account.password)
    check(customer, mail, [retrieve(pop3, number + 1) for number in range(len(mail))])
    pop3.quit()


def test_unix_socket_delivery(filled):
    """The message goes to the customer it is addressed to and to nobody else."""
    hotel, group = filled.customers
    message = b"Subject: through the socket\r\n\r\nby the back door\r\n"
    replies = filled.deliver(group.accounts[1].address, message, unix=True)
    assert [reply.code for reply in replies] == [250]
    found = filled.messages(group.accounts[1], tls=True)
    assert [without_trace(got) for got in found.values()] == [message]
    assert filled.messages(hotel.accounts[1]) == {}


CURL = {
    "plain": ("pop3", "pop3", []),
    "stls": ("pop3", "pop3", ["--ssl-reqd", "--insecure"]),
    "tls": ("pop3s", "pop3s", ["--insecure"]),
}


@pytest.mark.parametrize("how", CURL)
def test_curl(filled, customer, mail, tmp_path, how):
    scheme, service, options = CURL[how]
    account = customer.accounts[0]
    url = f"{scheme}://127.0.0.1:{getattr(filled.ports, service)}/[1-{len(mail)}]"
    (tmp_path / "curlrc").write_text(f'user = "{account.address}:{account.password}"\n')
    done = subprocess.run(["curl", "--silent", "--show-error", "--fail-early", *options,
                           "--config", tmp_path / "curlrc", "--max-time", str(CLIENT_TIME),
                           "--output", tmp_path / "#1", url],
                          capture_output=True, text=True, timeout=CLIENT_TIME)
    assert done.returncode == 0, done.stderr
    check(customer, mail, [(tmp_path / str(n + 1)).read_bytes() for n in range(len(mail))])


def test_curl_trusts_the_certificate(filled, customer, tmp_path):
    """The self-signed certificate of `bellhop init` is good for its host name."""
    account = customer.accounts[0]
    (tmp_path / "curlrc").write_text(f'user = "{account.address}:{account.password}"\n')
    done = subprocess.run(["curl", "--silent", "--show-error", "--config", tmp_path / "curlrc",
                           "--cacert", filled.dir / "tls" / "cert.pem",
                           "--max-time", str(CLIENT_TIME),
                           f"pop3s://localhost:{filled.ports.pop3s}/"],
                          capture_output=True, text=True, timeout=CLIENT_TIME)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("1 ")


# fetchmail 6.4 itself breaks lines of more than 8 KiB, leaves the dots of header fields stuffed and
# adds a blank line where there is none.
UNFIT_FOR_FETCHMAIL = {"line-100000", "dot-header", "headers-only"}

FETCHMAIL = {
    "plain": ("pop3", "sslproto ''"),
    "stls": ("pop3", "sslproto 'TLS1.2+' sslcertfile '{cert}'"),
    "tls": ("pop3s", "ssl sslcertfile '{cert}' no sslcertck"),
}


@pytest.mark.parametrize("how", FETCHMAIL)
def test_fetchmail(filled, customer, mail, tmp_path, how):
    """With real deletion: on a mailbox of its own."""
    service, tls = FETCHMAIL[how]
    account = filled.address(customer, f"fetchmail-{how}")
    small = {name: message for name, message in mail.items() if name not in UNFIT_FOR_FETCHMAIL}
    with filled.lmtp() as lmtp:
        for message in small.values():
            assert lmtp.deliver(account.address, marked(customer, message))[0].code == 250
    home = tmp_path / "home"
    home.mkdir()
    mda = tmp_path / "mda"
    mda.write_text(f"#!/bin/sh\nexec cat > $(mktemp -p {home} XXXXXXXX.got)\n")
    mda.chmod(0o755)
    control = tmp_path / "fetchmailrc"
    control.touch(0o600)
    control.write_text(
        "set invisible\n"
        f"poll localhost protocol pop3 port {getattr(filled.ports, service)} auth password\n"
        f"  username '{account.address}' password '{account.password}'\n"
        f"  fetchall no keep no rewrite pass8bits mda '{mda}'\n"
        f"  {tls.format(cert=filled.dir / 'tls' / 'cert.pem')}\n")
    done = subprocess.run(["fetchmail", "--fetchmailrc", control, "--nosyslog", "--nodetach",
                           "--pidfile", tmp_path / "pid", "--idfile", tmp_path / "ids"],
                          capture_output=True, text=True, timeout=CLIENT_TIME,
                          env={"HOME": str(home), "FETCHMAILHOME": str(home), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stdout + done.stderr
    got = [file.read_bytes().replace(b"\n", b"\r\n") for file in home.glob("*.got")]
    expected = sorted(comparable(canonical(marked(customer, message)))
                      for message in small.values())
    for one, other in zip(sorted(comparable(without_trace(message)) for message in got), expected):
        assert same(one, other), other[:300]
    assert len(got) == len(expected)
    assert filled.messages(account) == {}
