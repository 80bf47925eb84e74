"""A mailbox has one session at a time, and is free as soon as QUIT is answered."""

import threading

ROUNDS = 150


def test_next_login_after_quit(shared):
    """Another front process may take the next connection; the lock must be gone all the same."""
    accounts = [account for customer in shared.customers for account in customer.accounts]
    refused = []

    def poll(account):
        for _ in range(ROUNDS):
            with shared.wire("pop3") as wire:
                wire.line()
                wire.command(f"USER {account.address}")
                answer = wire.command(f"PASS {account.password}")
                if not answer.startswith(b"+OK"):
                    refused.append(answer)
                wire.command("QUIT")

    threads = [threading.Thread(target=poll, args=(account,)) for account in accounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not refused, f"{len(refused)} of {ROUNDS * len(accounts)}: {refused[0]}"


def test_second_session_is_told_so(shared):
    """RFC 2449 section 8.1.1: the password was right, so this is [IN-USE] and not [AUTH]."""
    account = shared.customers[0].accounts[0]
    first = shared.pop3(account)
    for service in ("pop3", "pop3s"):
        with shared.wire(service) as wire:
            wire.line()
            wire.command(f"USER {account.address}")
            assert wire.command(f"PASS {account.password}").startswith(b"-ERR [IN-USE]")
    other = shared.pop3(shared.customers[1].accounts[0])
    assert other.stat() == (0, 0)
    other.quit()
    first.quit()
    shared.pop3(account).quit()
