"""The job service where it decides about money: closed accounts, rerun, max_cost, wishes, hosts, nodes that tell little, round trips."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    CostLimit,
    HistoryUnavailable,
    InsufficientFunds,
    InvalidInput,
    JobFailed,
    NotFound,
    SearchRefused,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, cid_to_bytes, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import MarketListing
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Account, Call, Transaction, Transfer
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import Quote
from ansible_collections.nosana.compute.plugins.module_utils._jobs.markets import Wish
from ansible_collections.nosana.compute.plugins.module_utils._jobs.service import Declaration, Outcome, Wait
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.fake_chain import (
    DOCUMENT,
    FAILURE,
    HOST,
    MARKET,
    MARKET_TIMEOUT,
    NETWORK,
    OWNER,
    POSTED,
    PRICE,
    SUCCESS,
    Chain,
    absent,
    address,
    present,
    service,
)

CHANGED = DOCUMENT | {"deployment_id": "x"}


@pytest.fixture
def chain() -> Chain:
    return Chain()


def call(name: str, job: str, arguments: bytes = b"") -> Call:
    """An instruction of the jobs program that names the job."""
    words = [word.partition(":")[0] for word in program.INSTRUCTIONS[name].split()]
    accounts = tuple({"job": job, "market": MARKET}.get(word, OWNER) for word in words)
    return Call(0, NETWORK.jobs_program, accounts, program.discriminator("global", name) + arguments)


def happened(chain: Chain, job: str, *names: str, result: Any = None, document: Any = None) -> None:
    """A job's past: these instructions, in this order, and no account any more."""
    for name in names:
        arguments = b""
        if name == "list":
            arguments = cid_to_bytes(chain.pin(document or DOCUMENT)) + struct.pack("<q", 3600)
        elif name in ("finish", "complete"):
            arguments = cid_to_bytes(chain.pin(result))
        signature = f"past {len(chain.transactions)}"
        chain.transactions[signature] = Transaction(1, None, 1_700_000_000, 5000, (call(name, job, arguments),), {})
        chain.signatures.setdefault(job, []).append(signature)
    chain.accounts.pop(job, None)


# --- jobs whose accounts were closed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("result", "status"), [(SUCCESS, "completed"), (FAILURE, "failed")])
def test_a_job_that_is_over_and_was_cleaned_is_not_paid_for_again(chain: Chain, result: Any, status: str) -> None:
    happened(chain, address(), "list", "finish", "clean", result=result)
    outcome = present(chain)
    assert (outcome.changed, chain.sent) == (False, [])
    assert outcome.job is not None
    assert (outcome.job["address"], outcome.job["status"], outcome.job["chain_state"]) == (address(), status, "closed")
    assert present(chain, rerun="finished").changed
    assert chain.accounts[address(1)]


@pytest.mark.parametrize("past", [("list", "delist"), ("list", "recover"), ("list", "end", "clean"), ("list", "extend", "delist")])
def test_a_job_that_was_removed_is_posted_again_under_the_next_address(chain: Chain, past: tuple[str, ...]) -> None:
    happened(chain, address(), *past)
    outcome = present(chain)
    assert [(done.kind, done.job) for done in outcome.actions] == [("post", address(1))]


def test_a_removed_job_settles_before_the_next_one_is_posted(chain: Chain) -> None:
    """A slow run's posting comes to its address meanwhile, and is the job of the name."""
    happened(chain, address(), "list", "delist")
    chain.while_young.append(lambda: chain.job(address(), queued=True))
    outcome = present(chain)
    assert (outcome.changed, chain.sent, chain.while_young) == (False, [], [])
    assert outcome.job is not None
    assert outcome.job["address"] == address()


def test_the_newest_job_at_an_address_decides(chain: Chain) -> None:
    """A job was taken away, and a slow run's transaction landed there once more."""
    happened(chain, address(), "list", "delist")
    happened(chain, address(), "list", "finish", "clean", result=SUCCESS, document=CHANGED)
    assert not present(chain, document=CHANGED).changed
    assert [(done.kind, done.job) for done in present(chain).actions] == [("post", address(1))]


def test_the_newest_job_of_a_name_decides(chain: Chain) -> None:
    chain.job(address(0), state=2, result=SUCCESS)
    happened(chain, address(1), "list", "delist")
    assert [done.job for done in present(chain).actions] == [address(2)]


def test_an_attempt_that_failed_on_the_chain_is_no_job(chain: Chain) -> None:
    happened(chain, address(0), "list", "finish", "clean", result=SUCCESS)
    chain.failed.add(address(1))
    assert not present(chain).changed


@pytest.mark.parametrize("result", [SUCCESS, FAILURE])
@pytest.mark.parametrize("closed", [False, True])
def test_what_its_owner_ended_is_removed_whatever_the_host_completes_it_with(chain: Chain, result: Any, closed: bool) -> None:
    happened(chain, address(), "list", "end", "complete", *(["clean"] if closed else []), result=result)
    if not closed:
        chain.job(address(), state=2, result=result)
    assert [done.job for done in present(chain).actions] == [address(1)]
    assert not present(chain).changed


def test_another_definition_than_that_of_a_cleaned_job_is_a_new_order(chain: Chain) -> None:
    happened(chain, address(), "list", "finish", "clean", result=SUCCESS)
    assert [done.job for done in present(chain, document=CHANGED).actions] == [address(1)]


def test_a_node_without_the_history_lets_nothing_be_paid_twice(chain: Chain) -> None:
    chain.signatures[address()] = ["forgotten"]
    with pytest.raises(HistoryUnavailable, match="rerun=finished"):
        present(chain)
    assert (chain.sent, chain.pinned) == ([], [])
    assert [done.job for done in present(chain, rerun="finished").actions] == [address(1)]


def test_what_others_write_about_an_address_does_not_count(chain: Chain) -> None:
    happened(chain, address(), "list", "finish", "clean", result=SUCCESS)
    for number in range(3):  # anybody may name any address in a transaction of his own
        chain.transactions[f"noise {number}"] = Transaction(1, None, 0, 0, (Call(0, HOST, (address(),), b"delist"),), {})
        chain.signatures[address()].append(f"noise {number}")
    assert not present(chain).changed


def test_a_host_that_calls_its_job_ended_by_the_owner_is_not_paid_for_another(chain: Chain) -> None:
    said = {"status": "stopped", "opStates": [{"operationId": "one", "status": "stopped", "exitCode": 0}]}
    happened(chain, address(), "list", "finish", result=said)
    chain.job(address(), state=2, result=said)
    outcome = present(chain)
    assert not outcome.changed
    happened(chain, address(), "end", "complete", result=said)
    chain.job(address(), state=2, result=said)
    assert present(chain).changed  # this time the owner did end it


# --- rerun ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "rerun", "again"),
    [
        (SUCCESS, "failed", False),
        (FAILURE, "failed", True),
        (SUCCESS, "finished", True),
        (FAILURE, "finished", True),
        (SUCCESS, "always", True),
    ],
)
def test_rerun_of_what_is_over(chain: Chain, result: Any, rerun: Any, again: bool) -> None:
    chain.job(address(), state=2, result=result)
    assert present(chain, rerun=rerun, dry_run=True).changed == again
    assert present(chain, rerun=rerun).changed == again
    assert present(chain, rerun=rerun).changed == (rerun == "always")  # the new one waits now


def test_a_result_that_cannot_be_read_proves_no_failure(chain: Chain) -> None:
    chain.job(address(), state=2, result=FAILURE)
    del chain.content[cid_of(encode_document(FAILURE))]
    assert not present(chain, rerun="failed").changed


@pytest.mark.parametrize("rerun", ["finished", "always"])
def test_whoever_loses_the_race_for_a_rerun_takes_the_winners_job(chain: Chain, rerun: Any) -> None:
    chain.job(address(), state=2, result=SUCCESS)
    chain.before_send.append(lambda: chain.job(address(1), state=2, result=SUCCESS))  # posted, and over already
    outcome = present(chain, rerun=rerun)
    assert (outcome.changed, chain.sent) == (False, [])
    assert outcome.job is not None
    assert outcome.job["address"] == address(1)


def test_a_dead_host_is_explained_and_ended_when_asked(chain: Chain) -> None:
    chain.job(address(), running=True)
    chain.time += 3600 + 601
    outcome = present(chain, timeout_seconds=7200)
    assert not outcome.changed  # nobody pays a dead host for longer
    assert outcome.job is not None
    assert (outcome.job["status"], outcome.job["reason"]) == ("failed", "host_dead")
    assert any("nothing on chain enforces the timeout" in warning for warning in outcome.warnings)
    waited = present(chain, wait=Wait("completed", 1000, 1))
    assert isinstance(waited.failure, JobFailed)
    assert [done.kind for done in present(chain, rerun="failed").actions] == ["end", "post"]


# --- money ----------------------------------------------------------------------------------------------------------------


def with_fee(chain: Chain, monkeypatch: pytest.MonkeyPatch, fee: int) -> None:
    """The node tells in simulations that a listing moves the deposit and a fee."""
    own, vault = program.token_account(OWNER, NETWORK.nos_mint), program.market_vault(MARKET, NETWORK)
    plain = chain.quote

    async def quote(*arguments: Any, **more: Any) -> Quote:
        moved = (Transfer(0, own, vault, PRICE * MARKET_TIMEOUT), Transfer(0, own, program.rewards_vault(NETWORK), fee))
        return replace(await plain(*arguments, **more), transfers=moved)

    monkeypatch.setattr(chain, "quote", quote)


def test_the_network_fee_is_what_the_program_takes(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    with_fee(chain, monkeypatch, 30_960)
    foretold = present(chain, dry_run=True)
    assert foretold.job is not None
    assert foretold.job["cost"]["network_fee_base_units"] == 30_960
    chain.fund(nos=PRICE * MARKET_TIMEOUT + 30_959, sol=10**10)
    with pytest.raises(InsufficientFunds, match=r"0\.34056 NOS are needed"):
        present(chain)


def test_while_a_node_does_not_tell_the_fee_a_tenth_is_budgeted_and_not_called_the_fee(chain: Chain) -> None:
    limit = PRICE * MARKET_TIMEOUT * 11 // 10
    with pytest.raises(CostLimit, match="max_cost"):
        present(chain, max_cost_base_units=limit - 1)
    assert (chain.sent, chain.pinned) == ([], [])
    foretold = present(chain, max_cost_base_units=limit, dry_run=True)
    assert foretold.job is not None
    assert foretold.job["cost"]["network_fee_base_units"] is None


def test_max_cost_counts_the_whole_job_when_it_is_extended(chain: Chain) -> None:
    chain.job(address(), running=True)
    with pytest.raises(CostLimit):
        present(chain, timeout_seconds=7200, max_cost_base_units=PRICE * 7200 - 1)
    assert chain.sent == []
    assert present(chain, timeout_seconds=7200, max_cost_base_units=PRICE * 7200 * 11 // 10).changed


def test_max_cost_keeps_nobody_from_what_costs_nothing(chain: Chain) -> None:
    chain.job(address(), queued=True)
    assert not present(chain, max_cost_base_units=0).changed


# --- where: node, market, wish ------------------------------------------------------------------------------------------


def test_a_host_that_does_not_wait_is_an_error_before_anything_is_spent(chain: Chain) -> None:
    with pytest.raises(InvalidInput, match="does not wait in the market"):
        present(chain, node=HOST)
    assert (chain.sent, chain.pinned) == ([], [])


def test_a_job_that_runs_on_the_declared_host_is_the_declared_job(chain: Chain) -> None:
    chain.job(address(), running=True)
    assert not present(chain, node=HOST).changed
    assert not present(chain, node=OWNER, on_change="ignore").changed


def listing(key: str, slug: str) -> MarketListing:
    return MarketListing(address=key, slug=slug, name=slug, gpu_types=("NVIDIA RTX 3060",), min_vram_gb=Decimal(12), price=PRICE)


def test_a_wish_is_granted_by_the_cheapest_and_then_kept(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def listings() -> list[MarketListing]:
        return [listing(MARKET, "nvidia-3060")]

    monkeypatch.setattr(chain, "listings", listings, raising=False)
    first = present(chain, market=Wish(gpu="3060"))
    assert first.after["market"] == MARKET
    dear = Wish(gpu="3060", max_price=Decimal("0.000001"))
    assert not present(chain, market=dear).changed  # prices moved; the job stays
    sent = len(chain.sent)
    with pytest.raises(NotFound, match="No market fits"):
        present(chain, document=CHANGED, market=dear)  # the job that would take its place pays the present price
    assert len(chain.sent) == sent
    with pytest.raises(NotFound, match="No market fits"):
        present(chain, market=Wish(gpu="4090"))


# --- nodes that tell little ---------------------------------------------------------------------------------------------


@pytest.fixture
def silent(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The node refuses getProgramAccounts."""

    async def refuse(_program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        raise SearchRefused("The node refuses getProgramAccounts.")

    monkeypatch.setattr(chain, "get_program_accounts", refuse)
    return chain


def test_a_job_that_left_the_queue_runs_though_nobody_says_where(silent: Chain) -> None:
    silent.job(address(), running=True)
    outcome = present(silent)
    assert not outcome.changed
    assert outcome.job is not None
    assert (outcome.job["status"], outcome.job["host"]) == ("running", None)
    assert sum("getProgramAccounts" in warning for warning in outcome.warnings) == 1


def test_such_a_job_cannot_be_ended_and_that_is_said(silent: Chain) -> None:
    silent.job(address(), running=True)
    with pytest.raises(NotFound, match="set rpc_url"):
        absent(silent)
    assert silent.sent == []


def test_an_orphan_is_no_running_job(chain: Chain) -> None:
    chain.job(address())
    outcome = present(chain)
    assert not outcome.changed
    assert outcome.job is not None
    assert (outcome.job["status"], outcome.job["reason"], outcome.job["chain_state"]) == ("failed", "orphaned", "orphaned")
    assert [done.kind for done in present(chain, rerun="failed").actions] == ["post"]


# --- removing -------------------------------------------------------------------------------------------------------------


def remove(chain: Chain, key: str, *, dry_run: bool = False) -> Outcome:
    return asyncio.run(service(chain).remove(key, dry_run=dry_run))


def test_one_of_two_jobs_of_a_name_is_removed_by_its_address(chain: Chain) -> None:
    other = str(Keypair.from_seed(bytes(32)).pubkey())
    for key in (HOST, other):
        chain.job(key, CHANGED, queued=True)
    assert remove(chain, HOST, dry_run=True).changed
    assert [(done.kind, done.job) for done in remove(chain, HOST).actions] == [("delist", HOST)]
    assert not remove(chain, HOST).changed
    assert chain.queue == [other]


def test_jobs_of_others_are_not_removed(chain: Chain) -> None:
    chain.job(HOST, queued=True)
    data = chain.accounts[HOST].data
    chain.put(HOST, data[:176] + bytes(32) + data[208:])
    with pytest.raises(InvalidInput, match="belongs to"):
        remove(chain, HOST)


def test_purge_closes_old_accounts_and_says_which_are_too_young(chain: Chain) -> None:
    day = 86_400
    chain.job(address(0), state=2, result=SUCCESS, ended=int(chain.time) - day - 1)
    chain.job(address(1), state=2, result=SUCCESS, ended=int(chain.time) - day)
    foretold = absent(chain, purge=True, dry_run=True)
    outcome = absent(chain, purge=True)
    assert (foretold.before, foretold.after) == (outcome.before, outcome.after)
    assert [(done.kind, done.job) for done in outcome.actions] == [("clean", address(0))]
    assert any(address(1) in warning and "another 1 s" in warning for warning in outcome.warnings)
    assert not absent(chain, purge=True).changed
    assert not present(chain).changed  # over stays over


def test_a_job_that_was_over_stays_what_it_was_when_it_is_purged(chain: Chain) -> None:
    chain.job(address(), state=2, result=FAILURE, ended=1)
    outcome = absent(chain, purge=True)
    assert [done.kind for done in outcome.actions] == ["clean"]
    assert outcome.job is not None
    assert (outcome.job["status"], outcome.job["reason"], outcome.job["chain_state"]) == ("failed", "exit_code", "closed")
    assert outcome.job["cost"]["refund_base_units"] != outcome.job["cost"]["deposit_base_units"]


def test_many_old_accounts_are_closed_in_few_transactions(chain: Chain) -> None:
    for generation in range(16):
        chain.job(address(generation), state=2, result=SUCCESS, ended=1)
    outcome = absent(chain, purge=True)
    assert len(outcome.actions) == 16
    assert len({done.signature for done in outcome.actions}) == 1


# --- round trips ----------------------------------------------------------------------------------------------------------


class Waves:
    """Counts round trips: questions that are under way together are one."""

    def __init__(self, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._open = 0
        questions = ["snapshot", "get_multiple_accounts", "get_account", "get_program_accounts", "get_signatures_for_address"]
        for name in [*questions, "get_genesis_hash", "quote", "blockhash", "pin_json", "send"]:
            monkeypatch.setattr(chain, name, self._counted(getattr(chain, name)))

    def _counted(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(*arguments: Any, **more: Any) -> Any:
            if not self._open:
                self.count += 1
            self._open += 1
            try:
                for _turn in range(3):  # until everything that is asked together is under way
                    await asyncio.sleep(0)
                return await ask(*arguments, **more)
            finally:
                self._open -= 1

        return counted


def test_a_post_takes_four_round_trips_and_one_look_afterwards(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    waves = Waves(chain, monkeypatch)
    assert present(chain).changed
    assert waves.count == 4 + 1


def test_an_unchanged_job_takes_one(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.job(address(), queued=True)
    waves = Waves(chain, monkeypatch)
    assert not present(chain).changed
    assert waves.count == 1


@pytest.mark.parametrize("state", [{"queued": True}, {"running": True}])
def test_a_removal_takes_at_most_four_and_one_look_afterwards(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, state: dict[str, bool]
) -> None:
    chain.job(address(), **state)
    waves = Waves(chain, monkeypatch)
    assert absent(chain).changed
    assert waves.count <= 4 + 1


def declared(name: str) -> Declaration:
    return Declaration(name, DOCUMENT | {"meta": {"name": name}}, MARKET, 600)


def test_two_names_are_two_jobs(chain: Chain) -> None:
    for name in ("one", "two", "one"):
        asyncio.run(service(chain).present(declared(name), wait=POSTED, dry_run=False))
    assert chain.sent == ["list", "list"]
