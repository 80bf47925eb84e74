"""Who guesses passwords is slowed down, and nobody else; each with two customers."""

import json
import os
import random
import statistics
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from bellhop import Account
from proxies import PROXY, haproxy
from test_authd import FRONT, MTA, Auth, counter

# HAProxy has the connections of its clients come from there.
SEEN_FROM = "\n    tcp-request connection set-src str(192.0.2.66)"

SECONDS = 600 if os.environ.get("BELLHOP_STORM") == "1" else 6


def wait_of(answer):
    """Seconds that a FAIL says to wait; None: it says nothing of the kind."""
    assert answer[0] == "FAIL", answer
    found = [int(field[5:]) for field in answer if field.startswith("wait=")]
    if not found:
        return None
    assert "temp" in answer and "code=temp_fail" in answer
    assert any(field.startswith("reason=Too many wrong passwords, try again in ")
               for field in answer)
    return found[0]


def guess(instance, account, password, remote):
    with Auth(instance, FRONT, remote=remote) as auth:
        return auth.plain(account.address, password)


def logs_in(instance, account, remote):
    return guess(instance, account, account.password, remote)[0] == "OK"


def blocks(instance, customer=None):
    option = ["--customer", customer.name] if customer else []
    return json.loads(instance.cli("auth", "blocks", "--json", *option).stdout)


def many(customer, count, password="a wrong password"):
    return [Account(f"guest{number}@{customer.domain}", f"{password} {number}")
            for number in range(count)]


def test_guesses_at_one_mailbox(instance):
    """From one address; the owner elsewhere and others at the address log in as ever."""
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    assert logs_in(instance, theirs, "192.0.2.1")
    before = counter(instance, "hashes_total")
    for number in range(5):
        assert wait_of(guess(instance, ours, f"wrong {number}", "192.0.2.1")) is None
    for number in range(50):
        assert wait_of(guess(instance, ours, f"more {number}", "192.0.2.1")) in (14, 15)
    assert wait_of(guess(instance, ours, ours.password, "192.0.2.1")) in (13, 14, 15)
    assert counter(instance, "hashes_total") == before + 5
    assert counter(instance, "delayed_total") == 51
    assert wait_of(guess(instance, ours, "wrong 1", "192.0.2.1")) is None  # known already
    assert logs_in(instance, ours, "192.0.2.2")
    assert logs_in(instance, theirs, "192.0.2.1")
    assert "blocked address=frontdesk@quayside.example" in instance.log
    assert f"address={ours.address} mailbox=1 rip=192.0.2.1 service=pop3 mechanism=PLAIN " \
           "reason=too many wrong passwords" in instance.log


def test_mail_servers_are_hung_up_on(instance):
    """They take each FAIL for a wrong password; Postfix does not say what its clients have broken off."""
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    with Auth(instance, MTA, remote="192.0.2.1") as auth:
        for number in range(5):
            assert auth.plain(ours.address, f"wrong {number}") == ["FAIL", f"user={ours.address}"]
        auth.begin("LOGIN")
        assert auth.fields()[0] == "CONT"
        auth.begin("PLAIN", f"\0{ours.address}\0{ours.password}".encode())
        assert auth.fields() == []
    with Auth(instance, MTA, remote="192.0.2.9") as auth:
        assert auth.plain(theirs.address, theirs.password)[0] == "OK"


def test_what_mail_programs_are_told(instance):
    """[SYS/TEMP] with the time to wait, in the client's language, and no more."""
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    for number in range(2):
        with instance.wire("pop3") as wire:
            wire.line()
            for attempt in range(3):
                wire.command(f"USER {ours.address}")
                answer = wire.command(f"PASS wrong {number} {attempt}")
                if number == 0 or attempt < 2:
                    assert answer == b"-ERR [AUTH] wrong user name or password"
    with instance.wire("pop3") as wire:
        wire.line()
        wire.command(f"USER {ours.address}")
        answer = wire.command(f"PASS {ours.password}")
        assert answer in [b"-ERR [SYS/TEMP] too many wrong passwords, try again in %d s" % seconds
                          for seconds in (13, 14, 15)]
        assert wire.command("LANG de").startswith(b"+OK")
        wire.command(f"USER {ours.address}")
        answer = wire.command(f"PASS {ours.password}").decode()
        assert answer.startswith("-ERR [SYS/TEMP] zu viele falsche Passwörter, ")
        wire.command(f"USER {theirs.address}")
        assert wire.command(f"PASS {theirs.password}").startswith(b"+OK")


def test_guesses_over_many_mailboxes(instance):
    """Of both customers and of nobody; who was there before is not met, nor is a trusted network."""
    hotel, group = instance.customers
    assert logs_in(instance, hotel.accounts[0], "192.0.2.1")
    for account in [*many(hotel, 5), *many(group, 4)]:
        assert wait_of(guess(instance, account, account.password, "192.0.2.1")) is None
    for account in (hotel.accounts[1], group.accounts[1], many(group, 9)[-1]):
        assert wait_of(guess(instance, account, account.password, "192.0.2.1")) in range(50, 61)
    assert logs_in(instance, hotel.accounts[0], "192.0.2.1")
    assert logs_in(instance, hotel.accounts[1], "192.0.2.2")
    instance.cli("trusted-network", "add", "192.0.2.0/24", "--customer", hotel.name)
    assert logs_in(instance, hotel.accounts[1], "192.0.2.1")
    assert wait_of(guess(instance, group.accounts[1], group.accounts[1].password, "192.0.2.1"))
    for number in range(5):
        assert wait_of(guess(instance, hotel.accounts[2], f"typo {number}", "192.0.2.1")) is None
    assert wait_of(guess(instance, hotel.accounts[2], "typo", "192.0.2.1")) in (14, 15)


def test_a_botnet_at_one_mailbox(instance):
    """The owner, at home and in a trusted network, does not notice; strangers are slowed down."""
    ours, theirs = (customer.accounts[0] for customer in instance.customers)
    assert logs_in(instance, ours, "192.0.2.1")
    before = counter(instance, "hashes_total")
    for number in range(200):
        guess(instance, ours, f"wrong {number}", f"198.51.100.{number}")
    assert counter(instance, "hashes_total") == before + 20
    assert wait_of(guess(instance, ours, ours.password, "203.0.113.1")) in range(20, 31)
    assert logs_in(instance, ours, "192.0.2.1")
    assert logs_in(instance, ours, "192.0.2.200")
    assert logs_in(instance, theirs, "203.0.113.1")
    instance.cli("trusted-network", "add", "203.0.113.1", "--customer", instance.customers[0].name)
    assert logs_in(instance, ours, "203.0.113.1")


def test_a_botnet_with_one_password(instance):
    """Over mailboxes of both customers, each from another address."""
    hotel, group = instance.customers
    names = [account for pair in zip(many(hotel, 50), many(group, 50)) for account in pair]
    before = counter(instance, "hashes_total")
    for number, account in enumerate(names):
        guess(instance, account, "Summer2026", f"198.51.100.{number}")
    assert 10 <= counter(instance, "hashes_total") - before < 35
    assert wait_of(guess(instance, group.accounts[0], "Summer2026", "203.0.113.1")) in range(15, 31)
    assert logs_in(instance, group.accounts[0], "203.0.113.1")
    [block] = blocks(instance)
    assert block["delayed"] == "password" and block["address"] is None
    assert block["customer"] is None  # none of the names is a mailbox


def test_guesses_at_once(instance):
    """No more are checked than one by one, and good ones wait for each other only."""
    hotel, group = instance.customers
    before = counter(instance, "hashes_total")
    with Auth(instance, FRONT, remote="192.0.2.1") as auth:
        for account in [*many(hotel, 30), *many(group, 30)]:
            auth.begin("PLAIN", f"\0{account.address}\0{account.password}".encode())
        waits = [wait_of(auth.fields()) for _ in range(60)]
    assert waits.count(None) == 9
    assert counter(instance, "hashes_total") == before + 9
    with Auth(instance, FRONT, remote="192.0.2.2") as auth:
        for account in [*hotel.accounts, *group.accounts]:
            auth.begin("PLAIN", f"\0{account.address}\0{account.password}".encode())
        assert [auth.fields()[0] for _ in range(6)] == ["OK"] * 6


@pytest.mark.parametrize("order", ["stale first", "stale last", "shuffled"])
def test_a_hotel_that_nobody_knows(stopped, tmp_path, order):
    """64 phones of two customers come at once; 8 have last week's password, and delay nobody."""
    stopped.configure(hash_operations="1", hash_memory="1M")
    for customer in stopped.customers:
        stopped.cli("plan", "set", customer.plan, "--addresses", "100")
    phones = [account for customer in stopped.customers
              for account in import_accounts(stopped, customer, 32, tmp_path)]
    stopped.start()
    stale = {account.address: "last week's" for account in phones[::8]}
    if order == "shuffled":
        random.shuffle(phones)
    else:
        phones.sort(key=lambda account: (account.address in stale) == (order == "stale last"))
    with Auth(stopped, FRONT, remote="192.0.2.1") as auth:
        begun = {}
        for account in phones:
            password = stale.get(account.address, account.password)
            begun[auth.begin("PLAIN", f"\0{account.address}\0{password}".encode())] = account
        for _ in phones:
            answer = auth.fields()
            account = begun[answer[1]]
            assert answer[0] == ("FAIL" if account.address in stale else "OK"), (account, answer)
            assert not any(field.startswith("wait=") for field in answer)
    assert blocks(stopped) == []


def test_blocks_are_shown_and_lifted(instance):
    hotel, group = instance.customers
    ours, theirs = hotel.accounts[0], group.accounts[0]
    assert blocks(instance) == []
    assert instance.cli("auth", "blocks").stdout.split() == [
        "DELAYED", "ADDRESS", "FROM", "CUSTOMER", "WRONG", "SECONDS"]
    assert logs_in(instance, ours, "2001:db8::1")
    for number in range(5):
        guess(instance, ours, f"wrong {number}", "2001:db8::2")
    for number, account in enumerate(group.accounts + many(group, 6)):
        guess(instance, account, f"wrong {number}", "192.0.2.1")
    [block] = blocks(instance, hotel)
    assert 0 < block.pop("seconds") <= 15
    assert block == {"delayed": "mailbox from network", "address": ours.address,
                     "network": "2001:db8::/64", "customer": hotel.name, "wrong": 5}
    [block] = blocks(instance, group)
    assert 0 < block.pop("seconds") <= 60
    assert block == {"delayed": "network", "address": None, "network": "192.0.2.1",
                     "customer": group.name, "wrong": 9}
    assert len(blocks(instance)) == 2

    assert wait_of(guess(instance, theirs, theirs.password, "192.0.2.1"))
    assert "nothing is delayed" in instance.cli("auth", "lift", theirs.address, check=False).stderr
    instance.cli("auth", "lift", "192.0.2.0/24")
    assert logs_in(instance, theirs, "192.0.2.1")
    assert blocks(instance, group) == []
    assert wait_of(guess(instance, ours, ours.password, "2001:db8::2"))
    instance.cli("auth", "lift", ours.address)
    assert logs_in(instance, ours, "2001:db8::2")
    assert blocks(instance) == []
    assert f"lifted address={ours.address} mailbox=1 delays=1" in instance.log
    assert "lifted network=192.0.2.0/24 delays=1" in instance.log


@pytest.mark.parametrize("arguments, words", [
    (["auth", "lift", "nobody@quayside.example"], ["nobody@quayside.example"]),
    (["auth", "lift", "192.0.2.1/24"], ["192.0.2.1/24", "no mail address"]),
    (["auth", "lift", "frontdesk"], ["frontdesk", "no mail address"]),
    (["auth", "blocks", "--customer", "Nobody"], ["Nobody", "customer list"]),
    (["trusted-network", "add", "192.0.2.1", "--customer", "Nobody"], ["Nobody", "customer list"]),
    (["trusted-network", "add", "192.0.2", "--customer", "Quayside Hotel"], ["192.0.2", "no address"]),
    (["trusted-network", "add", "0.0.0.0/0", "--customer", "Quayside Hotel"], ["too large"]),
    (["trusted-network", "add", "2001::/16", "--customer", "Quayside Hotel"], ["too large"]),
    (["trusted-network", "remove", "192.0.2.1", "--customer", "Quayside Hotel"],
     ["192.0.2.1", "does not trust"]),
    (["trusted-network", "list", "--customer", "Nobody"], ["Nobody", "customer list"]),
], ids=lambda value: " ".join(value))
def test_refusals(shared, arguments, words):
    done = shared.cli(*arguments, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_without_a_service(stopped):
    for command in (["auth", "blocks"], ["auth", "lift", "192.0.2.1"]):
        done = stopped.cli(*command, check=False)
        assert done.returncode == 1 and "does not run" in done.stderr


def test_trusted_networks_are_kept(stopped):
    hotel, group = stopped.customers
    for network, customer in (("192.0.2.0/24", hotel), ("2001:DB8::/48", hotel),
                              ("::ffff:192.0.2.1", group)):
        stopped.cli("trusted-network", "add", network, "--customer", customer.name)
    done = stopped.cli("trusted-network", "add", "2001:db8::/48", "--customer", hotel.name,
                       check=False)
    assert done.returncode == 1 and "already" in done.stderr

    def listed(*option):
        rows = json.loads(stopped.cli("trusted-network", "list", "--json", *option).stdout)
        return sorted((row["network"], row["customer"]) for row in rows)

    assert listed() == [("192.0.2.0/24", hotel.name), ("192.0.2.1", group.name),
                        ("2001:db8::/48", hotel.name)]
    assert listed("--customer", group.name) == [("192.0.2.1", group.name)]
    stopped.cli("trusted-network", "remove", "192.0.2.0/24", "--customer", hotel.name)
    assert listed("--customer", hotel.name) == [("2001:db8::/48", hotel.name)]


# --- what the service is like meanwhile


class Phones:
    """Mail programs behind one address, which a proxy on this machine tells of by XCLIENT."""

    def __init__(self, instance, address):
        self.instance = instance
        self.address = address

    def log_in(self, name, password):
        """The answer to PASS, and how long it took in seconds."""
        with self.instance.wire("pop3") as wire:
            wire.line()
            assert wire.command(f"XCLIENT ADDR={self.address}").startswith(b"+OK")
            assert wire.command(f"USER {name}").startswith(b"+OK")
            before = time.monotonic()
            answer = wire.command(f"PASS {password}")
            took = time.monotonic() - before
            with suppress(OSError, EOFError):
                wire.command("QUIT")
        return answer, took


def import_accounts(instance, customer, count, folder):
    accounts = [Account(f"room{number}@{customer.domain}", f"key {number} of {customer.domain}")
                for number in range(count)]
    table = folder / f"{customer.domain}.csv"
    table.write_text("address,password\n" + "".join(
        f"{account.address},{account.password}\n" for account in accounts))
    instance.cli("address", "import", table, "--customer", customer.name)
    return accounts


def percentile(values, part):
    return sorted(values)[int(len(values) * part)]


def test_a_stale_password_slows_nobody_down(stopped, tmp_path):
    """
    100 mailboxes of two customers behind one address. One of them comes with last week's password
    every second; by turns of a second it does and does not, and the others' logins are compared.
    """
    stopped.configure(pop3_xclient_networks="127.0.0.0/8", hash_operations="2", hash_memory="16M")
    for customer in stopped.customers:
        stopped.cli("plan", "set", customer.plan, "--addresses", "100", "--poll-seconds", "0")
    accounts = [account for customer in stopped.customers
                for account in import_accounts(stopped, customer, 50, tmp_path)]
    stopped.start()
    phones = Phones(stopped, "192.0.2.50")
    stale, *others = accounts
    for account in others:
        assert phones.log_in(account.address, account.password)[0].startswith(b"+OK")
    hashes = counter(stopped, "hashes_total")
    stopping, calm, answers = threading.Event(), threading.Event(), []

    def poll():
        while not stopping.wait(1):
            if not calm.is_set():
                answers.append(phones.log_in(stale.address, "last week's password")[0])

    thread = threading.Thread(target=poll)
    thread.start()
    took = {False: [], True: []}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        is_calm = int(time.monotonic() - end) % 2 == 0
        calm.set() if is_calm else calm.clear()
        account = random.choice(others)
        answer, seconds = phones.log_in(account.address, account.password)
        assert answer.startswith(b"+OK"), answer
        took[is_calm].append(seconds)
        time.sleep(0.01)  # else all of a core is theirs
    stopping.set()
    thread.join()
    assert set(answers) == {b"-ERR [AUTH] wrong user name or password"}
    assert counter(stopped, "hashes_total") == hashes + 1
    with_it, without = (sorted(took[is_calm]) for is_calm in (False, True))
    for name, values in (("with", with_it), ("without", without)):
        print(f"{name}: {len(values)} logins, median {statistics.median(values) * 1000:.2f} ms, "
              f"p99 {percentile(values, 0.99) * 1000:.2f} ms, most {values[-1] * 1000:.2f} ms")
    assert statistics.median(with_it) - statistics.median(without) < 0.010
    if SECONDS >= 60:  # enough of them that it says something on a machine that does other things
        assert percentile(with_it, 0.99) - percentile(without, 0.99) < 0.010


def words(name, wrong, right, folder):
    """As those lists are: the right one is in it."""
    path = folder / name
    path.write_text("".join(wrong.replace("#", str(number)) + "\n" for number in range(20 * SECONDS)) + right + "\n")
    return path


def hydra(port, folder, *arguments):
    """Debian's, with 16 connections at once, for as long as it takes."""
    return subprocess.Popen(["hydra", "-I", *arguments, "-t", "16", "-w", "5", "-s", str(port), "127.0.0.1", "pop3"],
                            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def watch(instance, guesser, home, accounts):
    """Until it has ended: who is at home does not notice, and it has cost under 10 hashes a minute."""
    before = counter(instance, "hashes_total")
    begin = time.monotonic()
    try:
        for account in accounts * 5:
            answer, _ = home.log_in(account.address, account.password)
            assert answer.startswith((b"+OK", b"-ERR [IN-USE]")), answer
            time.sleep(0.1)
        said, _ = guesser.communicate(timeout=100 + SECONDS)
    finally:
        guesser.kill()
    minutes = max(1, (time.monotonic() - begin) / 60)
    hashes = counter(instance, "hashes_total") - before
    print(f"{counter(instance, 'checks_total')} tries, {hashes} hashes in {minutes:.1f} minutes")
    assert counter(instance, "delayed_total") > SECONDS, said
    assert 5 <= hashes < 10 * minutes, said
    assert "0 valid password found" in said and all(account.password not in said for account in accounts), said


def with_owners_at_home(stopped):
    home = Phones(stopped, "198.51.100.7")
    accounts = [customer.accounts[0] for customer in stopped.customers]
    for account in accounts:
        assert home.log_in(account.address, account.password)[0].startswith(b"+OK")
    return home, accounts


def test_hydra(stopped, tmp_path):
    """At one mailbox."""
    stopped.configure(pop3_xclient_networks="127.0.0.0/8")
    stopped.start()
    home, (ours, theirs) = with_owners_at_home(stopped)
    passwords = words("passwords", "hunter#", ours.password, tmp_path)
    guesser = hydra(stopped.ports.pop3, tmp_path, "-l", ours.address, "-P", passwords)
    watch(stopped, guesser, home, (ours, theirs))
    with stopped.wire("pop3") as wire:  # the other customer, from the guesser's own address
        wire.line()
        wire.command(f"USER {theirs.address}")
        assert wire.command(f"PASS {theirs.password}").startswith(b"+OK")


def test_hydra_over_many_mailboxes(stopped, tmp_path):
    """From an address that HAProxy says it has: this machine's own do not count."""
    stopped.configure(pop3_xclient_networks="127.0.0.1", pop3_proxy_networks=PROXY)
    stopped.start()
    home, (ours, theirs) = with_owners_at_home(stopped)
    names = words("names", f"guest#@{stopped.customers[0].domain}", ours.address, tmp_path)
    with haproxy(stopped, tmp_path, stopped.ports.pop3s, "send-proxy-v2", bind=SEEN_FROM) as proxy:
        guesser = hydra(proxy.port, tmp_path, "-S", "-L", names, "-p", ours.password)
        watch(stopped, guesser, home, (ours, theirs))
