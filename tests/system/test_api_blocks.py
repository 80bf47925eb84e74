"""What is delayed because of wrong passwords, and networks that a customer trusts, over HTTP."""

from concurrent.futures import ThreadPoolExecutor

from api import Api, made_key, operator
from bellhop import wait_until
from test_api import ids
from test_reload import frozen
from test_throttle import guess, many


def test_trusted_networks(instance):
    api = operator(instance)
    mine, theirs = (f"/customers/{customer}/trusted-networks" for customer in ids(api))
    made = api.post(mine, {"network": "2001:DB8::/48"})
    assert made.status == 201 and made.json["network"] == "2001:db8::/48" and made.json["created"]
    assert api.post(mine, {"network": "2001:db8::/48"}).code == "exists"
    for network in "192.0.2", "192.0.2.1/24", "0.0.0.0/0", "2001::/16", "192.0.2.1 192.0.2.2", "":
        assert "/network" in api.post(mine, {"network": network}).errors
    assert api.post(mine, {"network": "192.0.2.0/24"}).status == 201
    assert [item["network"] for item in api.all(mine, limit=1)] == ["192.0.2.0/24", "2001:db8::/48"]
    assert api.all(theirs) == []
    assert api.delete(theirs + "/192.0.2.0%2F24").status == 404
    assert api.delete(mine + "/192.0.2.0%2F24").status == 204
    assert api.delete(mine + "/2001:DB8::%2F48").status == 204 and api.all(mine) == []
    for number in range(100):
        assert api.post(mine, {"network": f"192.0.2.{number}"}).status == 201
    assert api.post(mine, {"network": "198.51.100.1"}).code == "limit"


def block(delayed, address, network, customer, wrong):
    return {"delayed": delayed, "address": address, "network": network, "customers": [customer], "wrong": wrong}


def test_blocks(instance):
    """A customer's admin sees what delays the customer's people, and ends it: the network's by trusting it."""
    api = operator(instance)
    hotel, group = instance.customers
    mine, theirs = ids(api)
    admin = Api(instance, made_key(instance, "admin", "--customer", hotel.name))
    ours, other = hotel.accounts[0], group.accounts[0]
    assert api.all("/blocks") == []
    for account in ours, other:
        assert guess(instance, account, account.password, "198.51.100.1")[0] == "OK"
        for number in range(5):
            assert guess(instance, account, f"wrong {number}", "198.51.100.1")[0] == "FAIL"
    for account in many(hotel, 5) + hotel.accounts[1:] + group.accounts[1:]:
        guess(instance, account, f"no password of {account.address}", "192.0.2.1")
    seen = admin.all("/blocks", limit=1)
    assert all(0 < item.pop("seconds") <= 60 for item in seen)
    assert seen == [block("mailbox-from-network", ours.address, "198.51.100.1", mine, 5),
                    block("network", None, "192.0.2.1", mine, 9)]
    assert admin.get(f"/blocks?customer={theirs}").status == 404
    assert len(api.all("/blocks")) == 3 and len(api.all(f"/blocks?customer={theirs}")) == 2
    assert sorted(api.all("/blocks")[-1]["customers"]) == [mine, theirs]

    assert guess(instance, ours, ours.password, "198.51.100.1")[0] == "FAIL"
    assert admin.delete(f"/addresses/{other.address}/blocks").status == 404
    assert admin.delete(f"/addresses/{ours.address}/blocks").json["lifted"] > 0
    assert guess(instance, ours, ours.password, "198.51.100.1")[0] == "OK"
    assert guess(instance, other, other.password, "198.51.100.1")[0] == "FAIL"
    assert admin.delete(f"/addresses/{ours.address}/blocks").json == {"lifted": 0}

    assert guess(instance, ours, ours.password, "192.0.2.1")[0] == "FAIL"
    assert admin.post("/blocks/lift", {"network": "192.0.2.1"}).status == 403
    assert admin.post(f"/customers/{mine}/trusted-networks", {"network": "192.0.2.0/24"}).status == 201
    assert guess(instance, ours, ours.password, "192.0.2.1")[0] == "OK"
    assert guess(instance, other, other.password, "192.0.2.1")[0] == "FAIL"
    assert api.post("/blocks/lift", {"network": "192.0.2"}).errors == {"/network": "network"}
    assert "behind the length" in api.post("/blocks/lift", {"network": "192.0.2.1/24"}).text
    for replayed in None, "true":
        answer = api.post("/blocks/lift", {"network": "192.0.2.0/24"}, Idempotency_Key="lift")
        assert answer.json == {"lifted": 1} and answer.headers.get("Idempotency-Replayed") == replayed
    assert api.post("/blocks/lift", {"network": "192.0.2.0/24"}).json == {"lifted": 0}
    assert guess(instance, other, other.password, "192.0.2.1")[0] == "OK"


def test_blocks_while_authd_hangs(instance):
    """503 after seconds, and the request is nobody's any more; other requests do not wait for it."""
    api = operator(instance)
    [pid] = instance.pids()["authd"]
    with frozen(pid), ThreadPoolExecutor(1) as threads:
        hangs = threads.submit(api.get, "/blocks")
        assert api.get("/domains").status == 200
        answer = hangs.result()
        assert answer.status == 503 and answer.code == "busy"
    wait_until(lambda: api.get("/blocks").status == 200, 10, "authd")
