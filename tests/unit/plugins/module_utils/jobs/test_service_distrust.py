"""The job service among nodes that lag, hosts that lie and answers that were lost: nothing is paid twice, and the report is true."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    HistoryUnavailable,
    InvalidInput,
    JobFailed,
    NoDocument,
    NosanaError,
    NotFound,
    Refused,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import MarketListing
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Account, Call, Transaction
from ansible_collections.nosana.compute.plugins.module_utils._jobs.cache import Cache
from ansible_collections.nosana.compute.plugins.module_utils._jobs.markets import Wish
from ansible_collections.nosana.compute.plugins.module_utils._jobs.service import Declaration, JobService, Wait
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.fake_chain import (
    DOCUMENT,
    FAILURE,
    HOST,
    MARKET,
    NETWORK,
    POSTED,
    PRICE,
    SUCCESS,
    WALLET,
    Chain,
    absent,
    address,
    present,
    refused,
)
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.test_service_spending import happened

CHANGED = DOCUMENT | {"deployment_id": "x"}
SERVICE = DOCUMENT | {"ops": [{"type": "container/run", "id": "one", "args": {"image": "nginx", "expose": 80}}]}


@pytest.fixture
def chain() -> Chain:
    return Chain()


class WrongClock(Chain):
    """A machine whose time is off by hours."""

    off_seconds = 0

    def now(self) -> float:
        return self.time + self.off_seconds


@pytest.mark.parametrize("hours", [-10, 10])
def test_the_time_of_this_machine_decides_nothing(hours: int) -> None:
    chain = WrongClock()
    chain.off_seconds = hours * 3600
    chain.job(address(), running=True)
    outcome = present(chain, rerun="failed")
    assert outcome.job is not None
    assert (outcome.changed, outcome.job["status"], chain.sent) == (False, "running", [])
    chain.time += 3600 + 601
    dead = present(chain)
    assert dead.job is not None
    assert (dead.changed, dead.job["reason"]) == (False, "host_dead")


@pytest.mark.parametrize("change", [present, absent])
def test_without_the_chains_clock_nothing_is_judged(chain: Chain, change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.job(address(), running=True)
    plain = chain.account
    monkeypatch.setattr(chain, "account", lambda key: None if key == program.CLOCK_SYSVAR else plain(key))
    with pytest.raises(UnexpectedAnswer, match="clock"):
        change(chain)
    assert chain.sent == []


def lose_the_answer(chain: Chain, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The first transaction lands; its answer is lost, and the next copy of the request is refused because of what the first one did."""
    plain, lost = chain.send, []

    async def send(*arguments: Any, **more: Any) -> Any:
        landed = await plain(*arguments, **more)
        if not lost:
            lost.append(landed)
            error = refused(name)
            error.details["signature"] = landed.signature
            raise error
        return landed

    monkeypatch.setattr(chain, "send", send)


@pytest.mark.parametrize(
    ("prepare", "act", "kinds", "refusal"),
    [
        (lambda chain: None, present, ["post"], "AccountAlreadyInUse"),
        (lambda chain: chain.job(address(), queued=True), absent, ["delist"], "AccountNotInitialized"),
        (lambda chain: chain.job(address(), running=True), absent, ["end"], "AccountNotInitialized"),
        (
            lambda chain: chain.job(address(), running=True),
            lambda chain: present(chain, document=CHANGED),
            ["end", "post"],
            "InvalidJobAccount",
        ),
        (
            lambda chain: chain.job(address(), running=True),
            lambda chain: present(chain, timeout_seconds=9999),
            ["extend"],
            "JobTimeoutNotGreater",
        ),
        (lambda chain: chain.job(address(), running=True), lambda chain: present(chain, rerun="always"), ["end", "post"], "InvalidPayer"),
    ],
    ids=["post", "delist", "end", "replace", "extend", "always"],
)
def test_what_landed_although_it_was_refused_is_reported(
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Chain], None],
    act: Callable[[Chain], Any],
    kinds: list[str],
    refusal: str,
) -> None:
    prepare(chain)
    lose_the_answer(chain, monkeypatch, refusal)
    outcome = act(chain)
    assert (outcome.failure, outcome.changed) == (None, True)
    assert [done.kind for done in outcome.actions] == kinds
    assert outcome.before != outcome.after
    assert len(chain.transactions) == 1


def test_whoever_loses_the_race_to_replace_takes_the_winners_job(chain: Chain) -> None:
    chain.job(address(), queued=True)

    def win() -> None:
        chain.queue.remove(address())
        del chain.accounts[address()]
        chain.job(address(1), queued=True)

    chain.before_send.append(win)
    outcome = present(chain, rerun="always")
    assert (outcome.changed, chain.sent) == (False, [])
    assert outcome.job is not None
    assert outcome.job["address"] == address(1)


def test_a_wish_keeps_the_job_that_another_tool_posted(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"

    def listing(key: str, slug: str) -> MarketListing:
        return MarketListing(address=key, slug=slug, name=slug, gpu_types=("NVIDIA RTX 3060",), min_vram_gb=Decimal(12), price=PRICE)

    async def listings() -> list[MarketListing]:
        return [listing(MARKET, "dear"), listing(cheap, "cheap")]

    monkeypatch.setattr(chain, "listings", listings, raising=False)
    chain.job(HOST, dict(reversed(DOCUMENT.items())), running=True)
    market = bytearray(chain.market())
    market[48:56] = struct.pack("<Q", 1)
    chain.put(cheap, bytes(market))
    outcome = present(chain, market=Wish(gpu="3060"))
    assert (outcome.changed, chain.sent) == (False, [])


# --- nodes that show less than there is -------------------------------------------------------------------------------


def test_an_index_that_does_not_know_the_job_proves_no_orphan(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        return []

    monkeypatch.setattr(chain, "get_program_accounts", nothing)
    chain.job(address(), running=True)
    outcome = present(chain, rerun="failed")
    assert (outcome.changed, chain.sent) == (False, [])
    assert outcome.job is not None
    assert outcome.job["status"] == "running"
    with pytest.raises(NotFound, match="not known"):
        absent(chain)


@pytest.mark.parametrize("hidden", [2, 3, 5])
def test_a_run_that_is_hidden_more_than_once_is_not_paid_for_beside(chain: Chain, monkeypatch: pytest.MonkeyPatch, hidden: int) -> None:
    """The node shows the job in its lists, and of its run nothing for so many times."""
    chain.job(address(), running=True)
    plain, run_of_it, asked = chain.get_program_accounts, program.run_filters(job=address()), [0]

    async def hide(key: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        asked[0] += filters == run_of_it
        return [] if filters == run_of_it and asked[0] <= hidden else await plain(key, filters=filters)

    monkeypatch.setattr(chain, "get_program_accounts", hide)
    outcome = present(chain, rerun="failed")
    assert (outcome.failure, outcome.changed, chain.sent) == (None, False, [])
    assert outcome.job is not None
    assert outcome.job["status"] == "running"


@pytest.mark.parametrize("trouble", [Unreachable("down"), Refused("unwell", rpc_code=-32005), Refused("broken", rpc_code=-32603)], ids=str)
def test_a_search_that_fails_is_no_search_that_found_nothing(chain: Chain, monkeypatch: pytest.MonkeyPatch, trouble: NosanaError) -> None:
    async def fail(_program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        raise trouble

    monkeypatch.setattr(chain, "get_program_accounts", fail)
    with pytest.raises(type(trouble)):
        present(chain)
    assert (chain.sent, chain.pinned) == ([], [])


def test_while_the_gateway_is_down_no_second_job_of_the_name_is_posted(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(_cid: str) -> Any:
        raise Unreachable("The gateway is down.")

    chain.job(HOST, CHANGED, running=True)
    monkeypatch.setattr(chain, "fetch_json", down)
    with pytest.raises(Unreachable, match="one of them may be web"):
        present(chain)
    assert (chain.sent, chain.pinned) == ([], [])


def test_what_is_proven_to_be_no_document_has_no_name(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another tool's job does not keep everything else from being posted by what it has pinned."""

    async def no_document(_cid: str) -> Any:
        raise NoDocument("The content is no JSON document.")

    chain.job(HOST, CHANGED, running=True)
    monkeypatch.setattr(chain, "fetch_json", no_document)
    assert present(chain).changed
    assert chain.sent == ["list"]


def test_the_names_of_very_many_jobs_are_learned_in_more_than_one_run(chain: Chain, tmp_path: Any) -> None:
    for number in range(300):
        key = program.derived_address([b"foreign", number.to_bytes(2, "little")], NETWORK.jobs_program)
        chain.job(key, DOCUMENT | {"meta": {"name": f"other {number}"}}, queued=True)
    service = JobService(
        network=NETWORK, wallet=WALLET, rpc=chain, ipfs=chain, api=chain, node_api=chain, sender=chain, clock=chain, cache=Cache(tmp_path)
    )

    def run() -> Any:
        return asyncio.run(service.present(Declaration("web", DOCUMENT, MARKET, None), wait=POSTED, dry_run=False))

    with pytest.raises(Unreachable, match="run the task again"):
        run()
    assert chain.asked.count("ipfs") == 250
    assert run().changed
    assert chain.asked.count("ipfs") == 300


# --- the past -------------------------------------------------------------------------------------------------------------


def remembered(chain: Chain, tmp_path: Any, network: str, generations: int) -> Any:
    """A service whose cache remembers that many generations."""
    cache = Cache(tmp_path)
    cache.put({f"name:{network}:{address(0)}": {"generations": generations, "run": None, "market": None}})
    chain.genesis = str(NETWORKS[network].genesis_hash or "local")
    service = JobService(
        network=NETWORKS[network], wallet=WALLET, rpc=chain, ipfs=chain, api=chain, node_api=chain, sender=chain, clock=chain, cache=cache
    )
    return asyncio.run(service.present(Declaration("web", DOCUMENT, MARKET, None), wait=POSTED, dry_run=False))


def test_a_node_that_has_forgotten_what_an_earlier_run_saw_lets_nothing_be_paid_twice(chain: Chain, tmp_path: Any) -> None:
    with pytest.raises(HistoryUnavailable):
        remembered(chain, tmp_path, "mainnet", 1)
    assert chain.sent == []


def test_a_local_network_that_was_begun_anew_is_not_held_against_its_past(chain: Chain, tmp_path: Any) -> None:
    outcome = remembered(chain, tmp_path, "localnet", 40)
    assert [done.job for done in outcome.actions] == [address(0)]


def test_a_wrong_memory_hides_no_active_job(chain: Chain, tmp_path: Any) -> None:
    chain.job(address(2), queued=True)
    outcome = remembered(chain, tmp_path, "localnet", 40)
    assert not outcome.changed
    assert outcome.job is not None
    assert outcome.job["address"] == address(2)


def test_who_wants_it_anew_in_any_case_gets_it_without_the_past(chain: Chain) -> None:
    chain.signatures[address()] = ["forgotten"]
    assert [done.job for done in present(chain, rerun="finished").actions] == [address(1)]


def test_a_job_of_another_tool_that_was_adopted_is_not_paid_for_again_when_it_is_over(chain: Chain) -> None:
    chain.job(HOST, state=2, result=SUCCESS)
    outcome = present(chain)
    assert (outcome.changed, chain.sent) == (False, [])
    assert outcome.job is not None
    assert (outcome.job["address"], outcome.job["status"]) == (HOST, "completed")
    assert [done.job for done in present(chain, rerun="finished").actions] == [address()]
    assert not present(chain).changed  # from then on the name has a past of its own


def test_what_an_administrator_closed_is_an_orphan_and_not_removed(chain: Chain) -> None:
    happened(chain, address(), "list", "clean_admin")
    outcome = present(chain)
    assert (outcome.changed, chain.sent) == (False, [])
    assert outcome.job is not None
    assert outcome.job["reason"] == "orphaned"
    assert present(chain, rerun="failed").changed


@pytest.mark.parametrize(("seconds", "status"), [(90, "cancelled"), (3600, "completed")])
def test_a_service_that_was_stopped_early_is_so_when_its_account_is_closed_too(chain: Chain, seconds: int, status: str) -> None:
    because = {"reason": {"jobExpired": True}}
    op = {"operationId": "one", "status": "success", "exitCode": 0, "diagnostics": because}
    result = {"status": "success", "opStates": [op]}
    happened(chain, address(), "list", "finish", "clean", result=result, document=SERVICE)
    run = next(each for each in chain.transactions.values() if each.calls[0].data.startswith(program.discriminator("global", "finish")))
    assert run.time is not None
    took = Call(0, NETWORK.jobs_program, ("run",), program.discriminator("global", "work"))
    chain.transactions["work"] = Transaction(1, None, run.time - seconds, 0, (took,), {})
    key = dict(zip([word.partition(":")[0] for word in program.INSTRUCTIONS["finish"].split()], run.calls[0].accounts, strict=True))["run"]
    chain.signatures[key] = ["work"]
    chain.times["work"] = run.time - seconds
    outcome = present(chain, document=SERVICE)
    assert outcome.job is not None
    assert outcome.job["status"] == status


def test_a_definition_that_nobody_has_any_more_does_not_lock_its_owner_out(chain: Chain) -> None:
    chain.job(address(), CHANGED, state=2, result=SUCCESS)
    del chain.content[cid_of(encode_document(CHANGED))]
    with pytest.raises(NotFound, match="set rerun=finished"):
        present(chain)
    assert present(chain, rerun="finished").changed


# --- reports ----------------------------------------------------------------------------------------------------------


def test_a_node_that_falls_silent_after_a_removal_does_not_hide_it(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.job(address(), queued=True)
    plain = chain.send

    async def silent(_keys: Sequence[str]) -> Any:
        raise Unreachable("The node is gone.")

    async def send(*arguments: Any, **more: Any) -> Any:
        landed = await plain(*arguments, **more)
        monkeypatch.setattr(chain, "snapshot", silent)
        return landed

    monkeypatch.setattr(chain, "send", send)
    outcome = absent(chain)
    assert isinstance(outcome.failure, Unreachable)
    assert (outcome.changed, [done.kind for done in outcome.actions]) == (True, ["delist"])
    assert outcome.job is not None


def test_a_job_that_vanishes_while_it_is_waited_for_keeps_its_last_state(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(seconds: float) -> None:
        chain.time += seconds
        chain.accounts.pop(address(), None)

    monkeypatch.setattr(chain, "sleep", sleep)
    outcome = present(chain, wait=Wait("completed", 100, 5))
    assert isinstance(outcome.failure, JobFailed)
    assert outcome.job is not None
    assert (outcome.job["address"], outcome.job["status"], outcome.job["chain_state"]) == (address(), "cancelled", "gone")


def test_a_closed_job_is_waited_for_without_asking_for_its_account(chain: Chain) -> None:
    happened(chain, address(), "list", "finish", "clean", result=SUCCESS)
    assert present(chain, wait=Wait("completed", 100, 5)).failure is None
    failed = present(chain, wait=Wait("ready", 100, 5)).failure
    assert isinstance(failed, JobFailed)
    assert "was removed" not in str(failed)


def test_the_cost_of_a_closed_job_is_not_known(chain: Chain) -> None:
    happened(chain, address(), "list", "finish", "clean", result=SUCCESS)
    outcome = present(chain)
    assert outcome.job is not None
    assert outcome.job["cost"]["deposit_base_units"] is None
    assert outcome.job["cost"]["price_per_second_base_units"] is None


def test_a_failed_job_that_was_waited_for_shows_where_to_look(chain: Chain) -> None:
    logs = [{"type": "stdout", "log": f"line {number}\n"} for number in range(100)]
    result = {"status": "success", "opStates": [{"operationId": "one", "status": "failed", "exitCode": 3, "logs": logs}]}
    chain.job(address(), state=2, result=result)
    failure = present(chain, wait=Wait("completed", 100, 5)).failure
    assert isinstance(failure, JobFailed)
    assert failure.details["exit_code"] == 3
    assert failure.details["op"] == "one"
    assert failure.details["log_tail"][-1] == "line 99"
    assert str(failure).endswith("did not get to completed: The op one ended with exit code 3; the last line of its log is: line 99")
    assert len(failure.details["log_tail"]) == 20
    assert failure.details["result_url"].endswith(cid_of(encode_document(result)))


def test_on_change_ignore_leaves_the_timeout_too(chain: Chain) -> None:
    chain.job(address(), CHANGED, running=True)
    assert not present(chain, timeout_seconds=9999, on_change="ignore").changed


# --- input ------------------------------------------------------------------------------------------------------------


def test_a_market_that_queues_nothing_takes_no_deposit(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = chain.market

    def unknown() -> bytes:
        data = bytearray(plain())
        data[64] = 255
        return bytes(data)

    monkeypatch.setattr(chain, "market", unknown)
    with pytest.raises(InvalidInput, match="queues no jobs"):
        present(chain)
    assert chain.sent == []


@pytest.mark.parametrize("timeout", [10**9 + 1, 2**63, 10**400])
def test_a_timeout_beyond_reason_is_one_sentence(chain: Chain, timeout: int) -> None:
    with pytest.raises(InvalidInput, match="timeout"):
        present(chain, timeout_seconds=timeout)


def test_lamports_at_the_address_of_a_token_account_are_no_token_account(chain: Chain) -> None:
    from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.fake_chain import OWNER

    chain.put(program.token_account(OWNER, NETWORK.nos_mint), b"", owner=program.SYSTEM_PROGRAM)
    with pytest.raises(NosanaError, match="Not enough NOS"):
        present(chain)


def test_failure_is_failure(chain: Chain) -> None:
    chain.job(address(), state=2, result=FAILURE)
    outcome = present(chain)
    assert outcome.job is not None
    assert outcome.job["ops"] == [{"op": "one", "status": "failed", "exit_code": 3}]


def test_closings_of_many_markets_fit_into_their_transactions(chain: Chain) -> None:
    from solders.hash import Hash
    from solders.message import MessageV0

    from ansible_collections.nosana.compute.plugins.module_utils._clients.program import decode_job
    from ansible_collections.nosana.compute.plugins.module_utils._jobs.apply import Applier
    from ansible_collections.nosana.compute.plugins.module_utils._jobs.observation import ObservedJob
    from ansible_collections.nosana.compute.plugins.module_utils._jobs.plan import Clean

    chain.job(address(), state=2, result=SUCCESS)
    account = decode_job(chain.accounts[address()].data)
    keys = [program.derived_address([b"key", bytes([number])], NETWORK.jobs_program) for number in range(128)]
    jobs = [
        ObservedJob(keys[number], type(account)(**{**account.__dict__, "market": keys[64 + number], "payer": keys[127 - number]}))
        for number in range(60)
    ]
    drafts = Applier(chain, chain, chain, NETWORK, WALLET, chain).drafts([Clean(job) for job in jobs])
    assert sum(len(draft.steps) for draft in drafts) == 60
    for draft in drafts:
        message = MessageV0.try_compile(WALLET.pubkey(), list(draft.instructions), [], Hash.default())
        assert len(bytes(message)) + 65 + 60 <= 1232  # a signature, and the compute budget's two instructions
