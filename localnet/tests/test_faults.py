"""Bad days on purpose: every fault does what its name says, to the client and to the ledger, and the same again with the same seed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from network import Poster, batch, until
from rpc_client import NOON, SOL, b64, pay
from rpc_client import running as node
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from nosana_localnet import authority, idl
from nosana_localnet.faults import KINDS, BadRule, Exchange, Faults
from nosana_localnet.ipfs import Store, bytes_to_cid, cid_of
from nosana_localnet.ledger import HISTORY_SLOTS, TOKEN_PROGRAM, Ledger, Rejected, View, token_address
from nosana_localnet.rpc import answer, exchange
from nosana_localnet.server import Network, Settings, run
from nosana_localnet.thread import running

COMMAND = [sys.executable, "-m", "nosana_localnet"]
PROBLEMS = (httpx.RemoteProtocolError, httpx.ReadError)
on_a_network = pytest.mark.asyncio(loop_scope="module")


# ---- a ledger and its front in this process, without a connection


class Desk:
    """A ledger, a wallet with 10 SOL, and calls through a front that has faults."""

    def __init__(self, *rules: dict[str, Any], finalized_lag_slots: int = 32):
        self.ledger = Ledger(lambda: NOON, finalized_lag_slots=finalized_lag_slots)
        self.faults = Faults(rules)
        self.wallet = Keypair.from_seed(bytes(32))
        self.target = Keypair.from_seed(bytes([1] * 32)).pubkey()
        self.ledger.airdrop(self.wallet.pubkey(), 10 * SOL)
        self.ledger.settle()

    def ask(self, method: str, *params: Any) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
        given: dict[str, Any] = json.loads(answer(self.ledger, body, self.faults))
        return given

    def result(self, method: str, *params: Any) -> Any:
        given = self.ask(method, *params)
        assert "result" in given, given
        return given["result"]

    def payment(self, lamports: int = SOL) -> VersionedTransaction:
        named = self.ledger.latest_blockhash("processed").hash
        wallet = self.wallet
        return VersionedTransaction(MessageV0.try_compile(wallet.pubkey(), [pay(wallet, self.target, lamports)], [], named), [wallet])

    def send(self, transaction: VersionedTransaction, **config: Any) -> dict[str, Any]:
        return self.ask("sendTransaction", b64(transaction), {"encoding": "base64", "preflightCommitment": "processed"} | config)

    def held(self) -> int:
        """What has really arrived."""
        return self.ledger.balance(self.target)

    def shown(self, method: str = "getBalance", **config: Any) -> Any:
        return self.result(method, str(self.target), {"commitment": "confirmed"} | config)


def slots(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ledger.tick()


def test_a_stale_node_answers_as_of_earlier_slots() -> None:
    desk = Desk({"kind": "stale", "slots": 10})
    before = desk.ledger.slot
    assert desk.send(desk.payment())["error"]["data"]["err"] == "BlockhashNotFound"  # of a slot that this node has not seen
    desk.ledger.submit(desk.payment())
    assert desk.held() == SOL
    context = {"apiVersion": "3.1.12", "slot": before - 10}
    assert desk.shown() == {"context": context, "value": 0}
    assert desk.shown("getAccountInfo")["value"] is None
    listed = desk.result("getProgramAccounts", "11111111111111111111111111111111", {"commitment": "processed"})
    assert str(desk.target) not in {entry["pubkey"] for entry in listed}
    assert desk.shown("getSignaturesForAddress") == []
    assert desk.result("getSlot", {"commitment": "processed"}) == before - 10
    assert desk.result("getLatestBlockhash", {"commitment": "processed"})["value"]["lastValidBlockHeight"] == before - 10 + 150
    slots(desk.ledger, 9)
    assert desk.shown()["value"] == 0
    slots(desk.ledger, 1)
    assert desk.shown()["value"] == SOL
    assert len(desk.shown("getSignaturesForAddress")) == 1


def test_a_stale_node_says_that_the_slot_asked_for_has_not_come() -> None:
    desk = Desk({"kind": "stale", "slots": 10, "target": "getAccountInfo"})
    here = desk.ledger.slot
    assert desk.ask("getAccountInfo", str(desk.target), {"commitment": "processed", "minContextSlot": here})["error"] == {
        "code": -32016,
        "message": "Minimum context slot has not been reached",
        "data": {"contextSlot": here - 10},
    }
    assert desk.shown(minContextSlot=here)["context"]["slot"] == here  # the method that no rule names


def test_a_stale_node_passes_transactions_on_and_lands_none_twice() -> None:
    desk = Desk({"kind": "stale", "slots": 10})
    desk.ledger.tick()
    with desk.ledger.seen(View(slots_behind=10)):
        blockhash = desk.ledger.latest_blockhash("processed").hash
    transaction = VersionedTransaction(
        MessageV0.try_compile(desk.wallet.pubkey(), [pay(desk.wallet, desk.target, SOL)], [], blockhash), [desk.wallet]
    )
    for _ in range(3):
        assert desk.send(transaction)["result"] == str(transaction.signatures[0])
    assert desk.held() == SOL


def test_the_history_of_accounts_reaches_64_slots_back_and_no_further() -> None:
    desk = Desk({"kind": "stale", "slots": HISTORY_SLOTS})
    desk.ledger.submit(desk.payment())
    slots(desk.ledger, HISTORY_SLOTS - 1)
    assert desk.shown()["value"] == 0
    slots(desk.ledger, 200)
    assert desk.shown()["value"] == SOL
    assert not desk.ledger._before  # nothing is kept longer


def test_a_signature_is_unknown_for_some_slots_while_the_account_is_there() -> None:
    desk = Desk({"kind": "unknown-signature", "slots": 5})
    signature = desk.send(desk.payment())["result"]
    assert desk.shown()["value"] == SOL
    for _ in range(5):
        assert desk.result("getSignatureStatuses", [signature])["value"] == [None]
        assert desk.result("getTransaction", signature, {"commitment": "confirmed"}) is None
        assert desk.shown("getSignaturesForAddress") == []
        desk.ledger.tick()
    assert desk.result("getSignatureStatuses", [signature])["value"][0]["err"] is None
    assert desk.shown("getSignaturesForAddress")[0]["signature"] == signature


def test_a_dropped_transaction_is_accepted_never_lands_and_may_be_sent_again() -> None:
    desk = Desk({"kind": "dropped", "count": 1})
    transaction = desk.payment()
    signature = desk.send(transaction)["result"]
    assert signature == str(transaction.signatures[0])
    assert desk.held() == 0
    assert desk.result("getSignatureStatuses", [signature])["value"] == [None]
    assert desk.send(transaction)["result"] == signature
    assert desk.held() == SOL


def test_a_late_transaction_lands_some_slots_later_once_and_meets_what_it_finds_then() -> None:
    desk = Desk({"kind": "late", "slots": 3, "count": 3})
    first, second = desk.payment(6 * SOL), desk.payment(5 * SOL)
    signatures = [desk.send(transaction)["result"] for transaction in (first, second, first)]
    assert signatures == [str(transaction.signatures[0]) for transaction in (first, second, first)]  # each alone passes preflight
    for _ in range(3):
        assert desk.result("getSignatureStatuses", signatures)["value"] == [None] * 3
        assert desk.held() == 0
        slots(desk.ledger, 1)
    assert desk.held() == 6 * SOL
    landed, failed, again = desk.result("getSignatureStatuses", signatures)["value"]
    assert (landed, landed["err"], landed["slot"]) == (again, None, desk.ledger.slot)
    assert failed["err"] == {"InstructionError": [0, {"Custom": 1}]}
    assert desk.ledger.balance(desk.wallet.pubkey()) == 4 * SOL - 2 * 5000  # the second has cost its fee


def test_a_transaction_that_is_later_than_its_blockhash_never_lands() -> None:
    desk = Desk({"kind": "late", "slots": 152, "count": 1})
    signature = desk.send(desk.payment())["result"]
    slots(desk.ledger, 160)
    assert desk.held() == 0
    assert desk.result("getSignatureStatuses", [signature])["value"] == [None]


@pytest.mark.parametrize("skip_preflight", [False, True])
def test_an_expired_blockhash_is_refused_as_a_node_does(skip_preflight: bool) -> None:
    desk = Desk({"kind": "blockhash-expired", "count": 1})
    transaction = desk.payment()
    told = desk.send(transaction, skipPreflight=skip_preflight)
    if skip_preflight:
        assert told["result"] == str(transaction.signatures[0])
    else:
        assert (told["error"]["code"], told["error"]["data"]["err"]) == (-32002, "BlockhashNotFound")
        assert told["error"]["message"] == "Transaction simulation failed: Blockhash not found"
    assert desk.held() == 0
    desk.send(transaction)
    assert desk.held() == SOL


def test_a_fork_takes_back_what_was_confirmed_and_it_may_land_again() -> None:
    desk = Desk({"kind": "fork", "slots": 3, "count": 1})
    before, count = desk.ledger.balance(desk.wallet.pubkey()), desk.ledger.transaction_count
    transaction = desk.payment()
    signature = desk.send(transaction)["result"]
    assert desk.result("getSignatureStatuses", [signature])["value"][0]["confirmationStatus"] == "confirmed"
    slots(desk.ledger, 2)
    assert desk.held() == SOL
    slots(desk.ledger, 1)
    assert (desk.held(), desk.ledger.balance(desk.wallet.pubkey())) == (0, before)
    assert desk.ledger.account(desk.target) is None
    assert desk.ledger.transaction_count == count
    assert desk.result("getSignatureStatuses", [signature])["value"] == [None]
    assert desk.shown("getSignaturesForAddress") == []
    # Its blockhash was of the slot that was given up; one signed with an older one lands again, see below.
    assert desk.send(transaction)["error"]["data"]["err"] == "BlockhashNotFound"
    desk.send(desk.payment())
    slots(desk.ledger, 40)
    assert desk.held() == SOL
    assert desk.result("getSignatureStatuses", [signature])["value"] == [None]


def test_after_a_fork_the_same_bytes_land_once_where_their_blockhash_is_older() -> None:
    desk = Desk()
    transaction = desk.payment()
    slots(desk.ledger, 3)
    desk.send(transaction)
    assert [str(item) for item in desk.ledger.fork(2)] == [str(transaction.signatures[0])]
    assert desk.held() == 0
    for _ in range(3):
        desk.send(transaction, skipPreflight=True)
    assert desk.held() == SOL


def test_a_fork_brings_every_account_back_and_leaves_older_views_right() -> None:
    desk = Desk()
    desk.send(desk.payment(1 * SOL))
    desk.ledger.tick()
    accounts = dict(desk.ledger.every_account())
    kept = desk.ledger.slot
    desk.ledger.tick()
    desk.send(desk.payment(2 * SOL))
    desk.ledger.tick()
    desk.send(desk.payment(3 * SOL))
    slots(desk.ledger, 2)
    undone = desk.ledger.fork(desk.ledger.slot - kept)
    assert len(undone) == 2
    assert dict(desk.ledger.every_account()) == accounts
    assert desk.ledger.slot > kept
    assert not desk.ledger.has_block(kept + 1)
    assert desk.ledger.has_block(desk.ledger.slot)
    assert desk.ledger.balance(desk.target, "finalized") == 0
    slots(desk.ledger, 33)
    assert desk.ledger.balance(desk.target, "finalized") == SOL


def test_what_is_finalized_is_not_given_up() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="from 1 to 31 slots"):
        desk.ledger.fork(32)
    quick = Desk({"kind": "fork", "slots": 5}, finalized_lag_slots=1)
    quick.send(quick.payment())
    slots(quick.ledger, 10)
    assert quick.held() == SOL
    warped = Desk({"kind": "fork", "slots": 5})
    warped.send(warped.payment())
    warped.ledger.warp(3600)
    assert warped.held() in (0, SOL)
    assert len(warped.shown("getSignaturesForAddress")) == (1 if warped.held() else 0)


def test_get_program_accounts_is_refused_or_some_are_missing() -> None:
    desk = Desk({"kind": "missing-accounts", "part": 0.3, "skip": 1, "count": 2}, {"kind": "refused", "skip": 3})
    for number in range(10):
        desk.ledger.airdrop(Keypair.from_seed(bytes([number + 9] * 32)).pubkey(), SOL)
    program = "11111111111111111111111111111111"
    whole = desk.result("getProgramAccounts", program, {"commitment": "confirmed"})
    part = desk.result("getProgramAccounts", program, {"commitment": "confirmed"})
    wrapped = desk.result("getProgramAccounts", program, {"commitment": "confirmed", "withContext": True})
    assert len(whole) > 10
    for thinned in (part, wrapped["value"]):
        assert len(thinned) == len(whole) - round(0.3 * len(whole))
        assert all(entry in whole for entry in thinned)
    assert desk.result("getProgramAccounts", program, {"commitment": "confirmed"}) == whole
    desk.faults.replace([{"kind": "refused"}])
    error = desk.ask("getProgramAccounts", program)["error"]
    assert error["code"] == -32010
    assert error["message"].startswith(f"{program} excluded from account secondary indexes")


def test_faults_of_a_transport_without_a_network() -> None:
    desk = Desk({"kind": "lost", "target": "sendTransaction", "count": 1}, {"kind": "reset-before", "target": "sendTransaction"})
    transaction = desk.payment()
    body = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "sendTransaction",
            "params": [b64(transaction), {"encoding": "base64", "skipPreflight": True}],
        }
    ).encode()
    assert exchange(desk.ledger, body, desk.faults) == Exchange(ending="closed")
    assert desk.held() == SOL
    other = Desk({"kind": "reset-before", "target": "sendTransaction"})
    assert exchange(other.ledger, body, other.faults) == Exchange(ending="reset")
    assert other.held() == 0
    assert json.loads(exchange(other.ledger, body).body)["result"] == str(transaction.signatures[0])
    assert other.held() == SOL
    slow = Desk({"kind": "slow", "seconds": 7.5})
    told = exchange(slow.ledger, b'{"jsonrpc":"2.0","id":1,"method":"getHealth"}', slow.faults)
    assert (told.delay_seconds, json.loads(told.body)["result"]) == (7.5, "ok")


# ---- rules


def struck(faults: Faults, calls: int) -> list[str | None]:
    return [fault.kind if (fault := faults.decide("http", "getSlot")) else None for _ in range(calls)]


def test_the_same_seed_strikes_the_same_calls() -> None:
    rules = [{"kind": "lost", "probability": 0.3, "seed": 5}, {"kind": "slow", "probability": 0.3, "seed": "five"}]
    first, again = struck(Faults(rules), 200), struck(Faults(rules), 200)
    other = struck(Faults([{**rules[0], "seed": 6}, rules[1]]), 200)
    assert first == again != other
    assert 40 < first.count("lost") < 80
    assert 20 < first.count("slow") < 70
    assert struck(Faults([{"kind": "lost", "probability": 0}]), 50) == [None] * 50


def test_count_and_skip() -> None:
    faults = Faults([{"kind": "lost", "count": 2, "skip": 1}])
    assert struck(faults, 5) == [None, "lost", "lost", None, None]
    (rule,) = faults.rules()
    assert (rule["seen"], rule["fired"]) == (5, 2)
    faults.clear()
    assert struck(faults, 1) == [None]
    assert faults.fired["lost"] == 2


def test_targets() -> None:
    faults = Faults([{"kind": "lost"}])
    assert faults.decide("http", "/ipfs/x") is None
    assert faults.decide("http", "getSlot") is not None
    faults.replace([{"kind": "lost", "target": "/ipfs/*,getBlock*"}])
    assert faults.decide("http", "/ipfs/x") is not None
    assert faults.decide("http", "getBlockTime") is not None
    assert faults.decide("http", "getSlot") is None
    assert faults.decide("http") is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (5, "Rule 1 has to be an object with a kind."),
        ({}, "Rule 1: kind has to be one of "),
        ({"kind": ["lost"]}, "Rule 1: kind has to be one of "),
        ({"kind": "lost", "probability": 1.1}, "Rule 1 (lost): probability has to be a number from 0 to 1."),
        ({"kind": "lost", "probability": float("nan")}, "Rule 1 (lost): probability has to be a number from 0 to 1."),
        ({"kind": "lost", "probability": True}, "Rule 1 (lost): probability has to be a number from 0 to 1."),
        ({"kind": "lost", "count": -1}, "Rule 1 (lost): count has to be a whole number from 0 to 1e+09."),
        ({"kind": "lost", "count": 1.5}, "Rule 1 (lost): count has to be a whole number from 0 to 1e+09."),
        ({"kind": "lost", "count": float("inf")}, "Rule 1 (lost): count has to be a whole number from 0 to 1e+09."),
        ({"kind": "lost", "slots": 3}, "Rule 1 (lost) has no 'slots'; it takes kind, target, "),
        ({"kind": "lost", "seed": []}, "Rule 1 (lost): seed has to be a whole number or a short text."),
        ({"kind": "lost", "target": "getSlott"}, "Rule 1 (lost): there is no JSON-RPC method 'getSlott', and a path begins with /."),
        ({"kind": "lost", "target": "\x1b[31m"}, "Rule 1 (lost): target has to be a method, a path or a host"),
        ({"kind": "dropped", "target": "/ipfs/x"}, "Rule 1 (dropped): there is no JSON-RPC method '/ipfs/x'."),
        ({"kind": "pubsub-drop", "target": "getSlot"}, "Rule 1 (pubsub-drop): there is no subscription 'getSlot'."),
        ({"kind": "stale", "slots": 65}, "Rule 1 (stale): slots has to be a whole number from 1 to 64."),
        ({"kind": "fork", "slots": 32}, "Rule 1 (fork): slots has to be a whole number from 1 to 31."),
        ({"kind": "forbidden", "status": 404}, "Rule 1 (forbidden): status has to be 403 or 410."),
        ({"kind": "price"}, "Rule 1 (price): market has to be one of nvidia-3060, "),
        ({"kind": "price", "market": {}}, "Rule 1 (price): market has to be one of nvidia-3060, "),
    ],
)
def test_bad_rules_are_refused_in_a_sentence_and_change_nothing(rule: Any, words: str) -> None:
    faults = Faults([{"kind": "slow"}])
    with pytest.raises(BadRule, match=f"^{re.escape(words)}") as told:
        faults.replace([rule])
    assert "\n" not in str(told.value)
    assert [kept["kind"] for kept in faults.rules()] == ["slow"]


def test_rules_read_back_what_they_show() -> None:
    rules = [{"kind": kind} | ({"market": "free"} if kind in ("price", "queue-full", "market-closed") else {}) for kind in KINDS]
    shown = Faults(rules).rules()
    assert Faults(shown).rules() == shown


def test_the_documentation_has_every_kind_with_its_target() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "localnet.md").read_text(encoding="utf-8")
    rows = [row for row in page.split("## Bad days", 1)[1].split("\n## ", 1)[0].splitlines() if row.startswith("| `")]
    told = {kind: row for row in rows for kind in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert set(told) == set(KINDS)
    for name, kind in KINDS.items():
        assert f"`{kind.target}`" in told[name] or name == "unknown-signature", name
        assert all(f"`{option}`" in told[name] for option in kind.options), name


# ---- over HTTP


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network() -> AsyncIterator[Network]:
    async with run(Settings(port=0, runner="process", hosts={"nvidia-3060": 1})) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(network: Network) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=network.url, timeout=10, trust_env=False) as session:
        yield session


@contextmanager
def bad_day(network: Network, *rules: Mapping[str, Any]) -> Iterator[Faults]:
    network.faults.replace(list(rules))
    try:
        yield network.faults
    finally:
        network.faults.clear()


def call(method: str, *params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}


def sending(network: Network) -> tuple[Pubkey, dict[str, Any]]:
    """A payment to a fresh address, ready to be sent."""
    wallet, target = Keypair(), Keypair().pubkey()
    network.fund(wallet.pubkey())
    named = network.ledger.latest_blockhash("finalized").hash
    transaction = VersionedTransaction(MessageV0.try_compile(wallet.pubkey(), [pay(wallet, target, SOL)], [], named), [wallet])
    return target, call("sendTransaction", b64(transaction), {"encoding": "base64"})


@on_a_network
@pytest.mark.parametrize(
    ("rule", "lands"),
    [({"kind": "reset-before"}, False), ({"kind": "reset-after"}, True), ({"kind": "lost"}, True)],
)
async def test_connections_that_break(network: Network, client: httpx.AsyncClient, rule: dict[str, Any], lands: bool) -> None:
    target, body = sending(network)
    with bad_day(network, rule | {"target": "sendTransaction", "count": 1}) as faults:
        with pytest.raises(PROBLEMS) as told:
            await client.post("/", json=body)
        assert isinstance(told.value, httpx.RemoteProtocolError if rule["kind"] == "lost" else httpx.ReadError)
        assert network.ledger.balance(target) == (SOL if lands else 0)
        assert faults.fired[rule["kind"]] == 1
        assert (await client.post("/", json=call("getHealth"))).json()["result"] == "ok"


@on_a_network
@pytest.mark.parametrize(("kind", "lands"), [("hang", True), ("hang-before", False)])
async def test_a_hang_lasts_until_the_client_gives_up(network: Network, client: httpx.AsyncClient, kind: str, lands: bool) -> None:
    target, body = sending(network)
    with bad_day(network, {"kind": kind, "target": "sendTransaction"}):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/", json=body, timeout=0.5)
        assert network.ledger.balance(target) == (SOL if lands else 0)
        assert (await client.post("/", json=call("getHealth"))).status_code == 200


@on_a_network
@pytest.mark.parametrize(
    ("rule", "status", "retry_after"),
    [
        ({"kind": "rate-limited"}, 429, None),
        ({"kind": "rate-limited", "retry_after": 3}, 429, "3"),
        ({"kind": "server-error"}, 503, None),
        ({"kind": "server-error", "status": 500}, 500, None),
    ],
)
async def test_refusals_by_status(
    network: Network, client: httpx.AsyncClient, rule: dict[str, Any], status: int, retry_after: str | None
) -> None:
    target, body = sending(network)
    with bad_day(network, rule):
        told = await client.post("/", json=body)
        assert (told.status_code, told.headers.get("Retry-After")) == (status, retry_after)
        assert network.ledger.balance(target) == 0
        assert (await client.get("/api/markets/")).status_code == 200  # a star is every method, no path


@on_a_network
@pytest.mark.parametrize("status", [403, 410])
async def test_get_program_accounts_that_is_not_for_everybody(network: Network, client: httpx.AsyncClient, status: int) -> None:
    with bad_day(network, {"kind": "forbidden", "status": status}):
        told = await client.post("/", json=call("getProgramAccounts", str(TOKEN_PROGRAM)))
        assert told.status_code == status
        assert told.headers["Content-Type"].startswith("text/plain")
        assert (await client.post("/", json=call("getSlot"))).status_code == 200


@on_a_network
async def test_a_slow_answer_is_the_right_one(network: Network, client: httpx.AsyncClient) -> None:
    with bad_day(network, {"kind": "slow", "seconds": 0.4, "target": "getHealth"}):
        began = asyncio.get_running_loop().time()
        assert (await client.post("/", json=[call("getSlot"), call("getHealth")])).json()[1]["result"] == "ok"
        assert asyncio.get_running_loop().time() - began >= 0.4


@on_a_network
async def test_a_gateway_that_fails(network: Network, client: httpx.AsyncClient) -> None:
    content = json.dumps({"text": "x" * 5000}).encode()
    cid = network.store.add(content)
    path = f"/ipfs/{cid}"

    async def read(rule: dict[str, Any]) -> httpx.Response:
        with bad_day(network, rule):
            return await client.get(path)

    with bad_day(network, {"kind": "not-found", "count": 2}):
        assert [(await client.get(path)).status_code for _ in range(3)] == [404, 404, 200]
    page = await read({"kind": "html"})
    assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    wrong = await read({"kind": "wrong-content"})
    assert wrong.status_code == 200
    assert cid_of(wrong.content) != cid
    assert (await read({"kind": "truncated"})).content == content[: len(content) // 2]
    with pytest.raises(httpx.RemoteProtocolError):
        await read({"kind": "cut"})
    with bad_day(network, {"kind": "hang", "target": path}), pytest.raises(httpx.ReadTimeout):
        await client.get(path, timeout=0.3)
    assert (await client.get(path)).content == content


@on_a_network
async def test_pinning_that_fails(network: Network, client: httpx.AsyncClient) -> None:
    document = {"pinned": "in vain"}
    with bad_day(network, {"kind": "unauthorized"}):
        assert (await client.post("/pinning/pinJSONToIPFS", json=document)).status_code == 401
    with bad_day(network, {"kind": "unpinned"}):
        cid = (await client.post("/pinning/pinJSONToIPFS", json=document)).json()["IpfsHash"]
        assert (await client.get(f"/ipfs/{cid}")).status_code == 404
        assert network.store.get(cid) is None
    assert (await client.get(f"/ipfs/{cid}")).status_code == 404
    assert (await client.post("/pinning/pinJSONToIPFS", json=document)).json()["IpfsHash"] == cid
    assert (await client.get(f"/ipfs/{cid}")).json() == document


@on_a_network
async def test_the_rest_api_is_down_or_talks_nonsense(network: Network, client: httpx.AsyncClient) -> None:
    with bad_day(network, {"kind": "garbage", "count": 1}, {"kind": "server-error", "target": "/api/*", "status": 502}):
        assert isinstance((await client.get("/api/markets/")).json(), dict)
        assert (await client.get("/api/markets/")).status_code == 502
    assert isinstance((await client.get("/api/markets/")).json(), list)


@on_a_network
async def test_pubsub_that_goes_silent_or_drops(network: Network) -> None:
    target = Keypair().pubkey()
    async with ClientSession() as session:

        async def subscribed() -> Any:
            socket = await session.ws_connect(network.url)
            await socket.send_json(call("accountSubscribe", str(target), {"commitment": "processed"}))
            assert "result" in await socket.receive_json(timeout=5)
            return socket

        with bad_day(network, {"kind": "pubsub-silent", "count": 1, "target": "accountSubscribe"}) as faults:
            socket = await subscribed()
            network.ledger.airdrop(target, SOL)
            network.ledger.airdrop(target, SOL)
            told = await socket.receive_json(timeout=5)
            assert told["params"]["result"]["value"]["lamports"] == 2 * SOL  # of the first one nobody heard
            assert faults.fired["pubsub-silent"] == 1
        with bad_day(network, {"kind": "pubsub-drop"}):
            network.ledger.airdrop(target, SOL)
            ended = await socket.receive(timeout=5)
            assert ended.type.name in ("CLOSED", "CLOSING", "ERROR")
            assert socket.closed
        again = await subscribed()
        network.ledger.airdrop(target, SOL)
        assert (await again.receive_json(timeout=5))["params"]["result"]["value"]["lamports"] == 4 * SOL
        await again.close()


@pytest.mark.asyncio
async def test_of_a_fork_that_lost_nothing_is_told_as_finalized() -> None:
    async with node() as one, one.session.ws_connect(one.ws_url) as socket:
        wallet, target = one.funded(), Keypair().pubkey()
        await socket.send_json(call("logsSubscribe", {"mentions": [str(target)]}, {"commitment": "finalized"}))
        assert "result" in await socket.receive_json(timeout=5)
        sent = [one.signed([pay(wallet, target, amount * SOL)], wallet) for amount in (1, 2)]
        slots(one.ledger, 2)
        one.ledger.submit(sent[0])
        one.ledger.fork(1)
        one.ledger.submit(sent[1])
        slots(one.ledger, 40)
        told = await socket.receive_json(timeout=5)
        assert told["params"]["result"]["value"]["signature"] == str(sent[1].signatures[0])


# ---- control


@on_a_network
async def test_the_control_api(network: Network, client: httpx.AsyncClient) -> None:
    path = "/localnet/faults"
    assert (await client.get(path)).json() == []
    told = await client.post(path, json=[{"kind": "rate-limited", "target": "getSlot"}])
    assert told.json() == [{"kind": "rate-limited", "target": "getSlot", "probability": 1.0, "seed": 0, "seen": 0, "fired": 0}]
    assert len((await client.post(path, json={"kind": "server-error", "target": "/*"})).json()) == 2
    assert (await client.post("/", json=call("getSlot"))).status_code == 429
    assert (await client.get("/api/markets/")).status_code == 503
    assert [rule["fired"] for rule in (await client.get(path)).json()] == [1, 1]  # what controls it has no bad days
    for body in (b"", b"{", b"5", b"null", b"[5]", b'{"kind":"x"}', b'[{"kind":"lost","count":{}}]', b"[" * 9999, b"[{}]" * 2):
        refused = await client.post(path, content=body)
        assert refused.status_code == 400
        assert refused.text.count("\n") == 1
    assert len((await client.get(path)).json()) == 2
    assert (await client.delete(path)).json() == []
    assert (await client.post("/", json=call("getSlot"))).status_code == 200


@on_a_network
async def test_a_fork_by_the_control_api(network: Network, client: httpx.AsyncClient) -> None:
    target, body = sending(network)  # whose money is finalized
    signature = (await client.post("/", json=body)).json()["result"]
    told = (await client.post("/localnet/fork", json={"slots": 25})).json()
    assert signature in told["undone"]
    assert signature not in {entry["signature"] for entry in (await client.get("/localnet/view")).json()["transactions"]}
    assert network.ledger.balance(target) == 0
    for bad in ({"slots": 0}, {"slots": 5000}, {"slots": "x"}, {}):
        refused = await client.post("/localnet/fork", json=bad)
        assert (refused.status_code, refused.text.count("\n")) == (400, 1)


@on_a_network
async def test_the_command(network: Network) -> None:
    async def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *arguments, "--port", str(network.port)]
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)

    added = await ran("fault", "stale", "target=getAccountInfo", "slots=20", "probability=0.5", "seed=abc")
    assert json.loads(added.stdout)["slots"] == 20
    assert json.loads((await ran("fault", "list")).stdout)["seed"] == "abc"
    wrong = await ran("fault", "stale", "slots=soon")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "nosana-localnet: Rule 2 (stale): slots has to be a whole number from 1 to 64.\n",
    )
    assert (await ran("fault", "clear")).stdout == ""
    assert network.faults.rules() == []
    assert "unknown-signature" in (await ran("fault", "kinds")).stdout
    assert json.loads((await ran("fork", "1")).stdout)["slot"] > 0
    assert (await ran("market", "nvidia-3090", "price", "777")).returncode == 0
    assert market("nvidia-3090", network.ledger)["job_price"] == 777
    assert "There is no market 'moon'" in (await ran("market", "moon", "fill")).stderr


def test_from_pytest(nosana_networks: Any) -> None:
    network = nosana_networks(hosts={})
    with network.faults({"kind": "server-error", "target": "getSlot", "count": 1}) as faults:
        assert httpx.post(network.url, json=call("getSlot"), trust_env=False).status_code == 503
    assert faults.fired == {"server-error": 1}
    assert httpx.get(f"{network.url}/localnet/faults", trust_env=False).json() == []
    with pytest.raises(BadRule), network.faults({"kind": "nothing"}):
        pass
    assert isinstance(network.fork(1), list)


# ---- markets and hosts


def market(slug: str, ledger: Ledger) -> dict[str, Any]:
    account = ledger.account(authority.market_of(slug).address)
    assert account is not None
    return idl.decode_account("MarketAccount", account.data)


@on_a_network
async def test_a_queue_that_is_full_and_its_end(network: Network) -> None:
    spec, poster = authority.market_of("nvidia-a100-40gb"), Poster(network)
    assert authority.fill(network.ledger, spec) == 314
    with pytest.raises(Rejected):
        poster.post(batch("pass"), market=spec.address)
    assert authority.fill(network.ledger, spec) == 0
    assert authority.drain(network.ledger, spec) == 314
    poster.post(batch("pass"), market=spec.address)
    assert len(market(spec.slug, network.ledger)["queue"]) == 1


@on_a_network
async def test_what_happens_to_a_market_between_reading_and_posting(network: Network, client: httpx.AsyncClient) -> None:
    spec = authority.market_of("nvidia-4090")
    assert market(spec.slug, network.ledger)["job_price"] == spec.price
    with bad_day(network, {"kind": "price", "market": spec.slug, "price": 999}):
        _, body = sending(network)
        assert "result" in (await client.post("/", json=body)).json()
        assert market(spec.slug, network.ledger)["job_price"] == 999
    with bad_day(network, {"kind": "market-closed", "market": spec.slug}):
        for _ in range(2):
            _, body = sending(network)
            assert "result" in (await client.post("/", json=body)).json()
        assert network.ledger.account(spec.address) is None
    with pytest.raises(authority.Impossible):
        authority.set_price(network.ledger, spec, 5)
    with pytest.raises(Rejected):
        Poster(network).post(batch("pass"), market=spec.address)
    authority.reopen(network.ledger, spec)
    Poster(network).post(batch("pass"), market=spec.address)
    full = authority.market_of("free")
    with bad_day(network, {"kind": "queue-full", "market": "free", "count": 1}):
        _, body = sending(network)
        await client.post("/", json=body)
    assert len(market("free", network.ledger)["queue"]) == 314
    authority.drain(network.ledger, full)


@on_a_network
async def test_a_market_that_opens_again_has_its_hosts_back(network: Network) -> None:
    spec, (host,) = authority.market_of("nvidia-3060"), network.hosts
    await until(lambda: host.address in market(spec.slug, network.ledger)["queue"])
    authority.close(network.ledger, spec)
    authority.reopen(network.ledger, spec)
    await until(lambda: host.address in market(spec.slug, network.ledger)["queue"])


@on_a_network
async def test_hosts_of_a_full_market_are_busy_until_it_is_drained(network: Network, client: httpx.AsyncClient) -> None:
    (host,) = network.hosts
    await until(lambda: host.address in market("nvidia-3060", network.ledger)["queue"])
    path = "/localnet/markets/nvidia-3060"
    assert (await client.post(path, json={"do": "fill"})).json()["posted"] == 315
    assert host.current is not None
    await asyncio.sleep(0.5)
    assert authority.is_full(market("nvidia-3060", network.ledger))
    assert (await client.post(path, json={"do": "drain"})).json()["taken"] == 315
    await until(lambda: host.address in market("nvidia-3060", network.ledger)["queue"])
    for bad in ({"do": "x"}, {"do": "price"}, {"do": "price", "price": -1}, {"do": "open"}, []):
        refused = await client.post(path, json=bad)
        assert (refused.status_code, refused.text.count("\n")) == (400, 1)


@on_a_network
async def test_a_fork_under_a_host(network: Network) -> None:
    """The job that it took has not happened, and later it takes one again; a finished one that comes back is run again."""
    poster, (host,) = Poster(network), network.hosts
    await until(lambda: host.current is None and host.address in market("nvidia-3060", network.ledger)["queue"])
    slots(network.ledger, 40)
    before = tokens(network.ledger, poster)
    keys = (Keypair(), Keypair())
    job = poster.post(batch("import time; time.sleep(600)"), keys=keys)
    assert host.current is not None
    network.ledger.fork(1)
    assert network.ledger.account(job) is None
    assert tokens(network.ledger, poster) == before
    await until(lambda: host.current is None)
    assert poster.post(batch("print('again')"), keys=keys) == job
    assert (await poster.result(job))["status"] == "success"
    paid_at = network.ledger.slot
    await until(lambda: host.current is None)
    network.ledger.fork(network.ledger.slot - paid_at + 2)  # its end, not its beginning, or both
    if network.ledger.account(job) is not None:
        assert (await poster.result(job))["status"] == "success"
    await until(lambda: host.current is None and host.address in market("nvidia-3060", network.ledger)["queue"])


def tokens(ledger: Ledger, poster: Poster) -> int:
    account = ledger.account(token_address(poster.key.pubkey()))
    assert account is not None
    return int.from_bytes(account.data[64:72], "little")


@on_a_network
@pytest.mark.parametrize("kind", ["host-not-json", "host-wrong-shape", "host-huge", "host-not-pinned"])
async def test_results_that_are_none(network: Network, kind: str) -> None:
    poster = Poster(network)
    with bad_day(network, {"kind": kind, "target": "nvidia-3060", "count": 1}):
        job = poster.post(batch("print('fine')"))
        await until(lambda: any(poster.job(job)["ipfs_result"]))
    assert poster.job(job)["state"] == 2
    content = network.store.get(bytes_to_cid(poster.job(job)["ipfs_result"]))
    if kind == "host-not-pinned":
        assert content is None
        return
    assert content is not None
    if kind == "host-not-json":
        with pytest.raises(ValueError, match=r"Expecting value|codec can't decode"):
            json.loads(content)
    elif kind == "host-huge":
        assert len(content) > 32 * 2**20
    else:
        assert not isinstance(json.loads(content)["opStates"], list)


@on_a_network
async def test_a_host_that_never_finishes_until_the_owner_ends_the_job(network: Network, client: httpx.AsyncClient) -> None:
    poster, (host,) = Poster(network), network.hosts
    await until(lambda: host.current is None)
    told = await client.post(f"/localnet/hosts/{host.address}", json={"do": "never-finish"})
    assert told.status_code == 200
    job = poster.post(batch("pass"), timeout=1)
    await until(lambda: host.current and host.current.flow.ops and host.current.flow.ops[0].end_ms)
    network.ledger.warp(100)
    await asyncio.sleep(0.5)
    assert poster.job(job)["state"] == 0  # over by its time, and nobody says so
    poster.end(job)
    await until(lambda: host.current is None)
    assert poster.job(job)["state"] == 2
    assert not any(poster.job(job)["ipfs_result"])
    assert (await poster.result(poster.post(batch("pass"))))["status"] == "success"


@on_a_network
async def test_hosts_that_give_up_by_themselves(network: Network) -> None:
    poster, (host,) = Poster(network), network.hosts
    await until(lambda: host.current is None)
    sleeper = batch("import time; time.sleep(600)")
    with bad_day(network, {"kind": "host-quit", "count": 1}):
        job = poster.post(sleeper)
        await until(lambda: poster.job(job)["state"] != 0 or host.current is None)
    await until(lambda: host.alive and host.current is None)
    assert poster.job(job)["state"] == 3  # stopped: its deposit can be recovered
    with bad_day(network, {"kind": "host-crash", "target": str(host.address), "seconds": 0.1}):
        job = poster.post(sleeper)
        await until(lambda: not host.alive)
    assert poster.job(job)["state"] == 0
    poster.end(job)
    host.start()


# ---- state


def test_a_fork_is_kept_in_the_state(tmp_path: Any, nosana_networks: Any) -> None:
    settings = {"hosts": {}, "state": tmp_path, "port": 0}
    with running(Settings(runner="process", **settings)) as first:
        kept, lost = Keypair().pubkey(), Keypair().pubkey()
        first.fund(kept, sol=1)
        first.call(lambda network: network.ledger.airdrop(lost, SOL))
        (undone,) = first.fork(25)
    with running(Settings(runner="process", **settings)) as second:
        ledger = second.network.ledger
        assert (ledger.balance(kept), ledger.balance(lost)) == (SOL, 0)
        assert undone not in {str(record.signature) for record in ledger.records()}


def test_content_that_was_pinned_in_vain() -> None:
    store = Store()
    cid = store.add(b"x")
    store.withhold(cid)
    assert store.get(cid) is None
    store.add(b"x")
    assert store.get(cid) == b"x"
