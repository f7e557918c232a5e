"""The job service on a chain that is kept in memory: what is asked, what is sent, races, and what is never lost."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    AmbiguousName,
    ChangeRefused,
    InsufficientFunds,
    Interrupted,
    InvalidInput,
    JobFailed,
    NotFound,
    OutcomeUnknown,
    ProgramError,
    Refused,
    SearchRefused,
    TransactionExpired,
    UnexpectedAnswer,
    Unreachable,
    WaitTimeout,
    WrongNetwork,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Account, Call, HistoryEntry, Snapshot, Transaction
from ansible_collections.nosana.compute.plugins.module_utils._jobs.service import Declaration, Outcome, Wait
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.fake_chain import (
    DOCUMENT,
    FAILURE,
    HOST,
    MARKET,
    MARKET_TIMEOUT,
    OWNER,
    POSTED,
    PRICE,
    SUCCESS,
    Chain,
    absent,
    address,
    info,
    present,
    refused,
    service,
)

CHANGED = DOCUMENT | {"ops": [{"type": "container/run", "id": "one", "args": {"image": "httpd"}}]}


def listing(job: str) -> Call:
    """The instruction that posted a job."""
    words = [word.partition(":")[0] for word in program.INSTRUCTIONS["list"].split()]
    accounts = tuple({"job": job, "market": MARKET}.get(word, OWNER) for word in words)
    return Call(0, NETWORKS["localnet"].jobs_program, accounts, program.discriminator("global", "list") + bytes(40))


@pytest.fixture
def chain() -> Chain:
    return Chain()


def test_posts_once_and_then_nothing(chain: Chain) -> None:
    first, second = present(chain), present(chain)
    assert (first.changed, second.changed) == (True, False)
    assert chain.sent == ["list"]
    assert first.job is not None
    assert first.job["address"] == address()


def test_an_unchanged_job_is_one_question_to_the_chain_and_none_to_ipfs(chain: Chain) -> None:
    chain.job(address(), queued=True)
    chain.asked.clear()
    assert not present(chain, dry_run=True).changed
    assert chain.asked == ["getMultipleAccounts"]


def test_check_mode_foretells_and_does_nothing(chain: Chain) -> None:
    foretold = present(chain, dry_run=True)
    assert (chain.sent, chain.pinned) == ([], [])
    done = present(chain)
    assert (foretold.changed, foretold.before, foretold.after) == (done.changed, done.before, done.after)
    assert foretold.job is not None
    assert done.job is not None
    assert foretold.job.keys() == done.job.keys()
    assert foretold.job["address"] == done.job["address"]


def test_whoever_loses_the_race_takes_the_winners_job(chain: Chain) -> None:
    chain.before_send.append(lambda: chain.job(address(), queued=True))
    outcome = present(chain)
    assert outcome.failure is None
    assert not outcome.changed
    assert chain.sent == []


def test_a_host_that_takes_the_job_while_it_is_removed_is_ended(chain: Chain) -> None:
    chain.job(address(), queued=True)
    chain.before_send.append(lambda: chain.run(address()))
    outcome = absent(chain)
    assert chain.sent == ["end"]
    assert [done.kind for done in outcome.actions] == ["end"]


def test_a_replacement_happens_as_a_whole_or_not_at_all(chain: Chain) -> None:
    chain.job(address(), queued=True)

    def fail() -> None:
        raise Unreachable("The node is gone.")

    chain.before_send.append(fail)
    outcome = present(chain, document=DOCUMENT | {"ops": []})
    assert isinstance(outcome.failure, Unreachable)
    assert (outcome.changed, outcome.actions, chain.sent, chain.queue) == (False, [], [], [address()])
    again = present(chain, document=DOCUMENT | {"ops": []})
    assert [(done.kind, done.job, done.signature) for done in again.actions] == [
        ("delist", address(), "signature 1"),
        ("post", address(1), "signature 1"),
    ]


def test_a_young_job_settles_before_it_is_replaced_and_is_looked_at_again(chain: Chain) -> None:
    """Until then, another run's posting of the same generation may come to the address that the replacement sets free."""
    chain.job(address(), queued=True)
    chain.while_young.append(lambda: chain.run(address()))
    outcome = present(chain, document=DOCUMENT | {"ops": []})
    assert [(done.kind, done.job) for done in outcome.actions] == [("end", address()), ("post", address(1))]


def test_who_waits_for_it_to_settle_is_told_why(chain: Chain) -> None:
    chain.job(address(), queued=True)
    chain.while_young.append(lambda: None)
    lines: list[str] = []
    present(chain, document=DOCUMENT | {"ops": []}, tell=lines.append)
    assert lines[0] == (
        f"nosana_job web: the job {address()} is so young that another run's posting of it may still arrive; waiting for 1 min 0 s or so "
        "before it is posted anew"
    )


@pytest.mark.parametrize("rerun", ["finished", "always"])
def test_what_another_run_posts_while_it_settles_is_the_new_run_that_was_asked_for(chain: Chain, rerun: str) -> None:
    chain.job(address(), queued=True)

    def posted_and_over() -> None:
        chain.queue.remove(address())
        del chain.accounts[address()]
        chain.job(address(1), DOCUMENT | {"ops": []}, state=2, result=SUCCESS)

    chain.while_young.append(posted_and_over)
    outcome = present(chain, document=DOCUMENT | {"ops": []}, rerun=rerun)
    assert (outcome.failure, outcome.changed, chain.sent, chain.while_young) == (None, False, [], [])
    assert outcome.job is not None
    assert outcome.job["address"] == address(1)


def test_whoever_is_cut_off_while_it_settles_has_changed_nothing_and_says_so(chain: Chain) -> None:
    chain.job(address(), queued=True)
    lines: list[str] = []

    async def cut_off() -> Outcome:
        declaration = Declaration("web", DOCUMENT | {"ops": []}, MARKET, None)
        task = asyncio.ensure_future(service(chain, lines.append).present(declaration, wait=POSTED, dry_run=False))
        chain.while_young.append(task.cancel)
        return await task

    outcome = asyncio.run(cut_off())
    assert isinstance(outcome.failure, Interrupted)
    assert str(outcome.failure) == (
        f"Waiting until the job web can be posted anew was interrupted; {address()} is left as it was, so run the task again."
    )
    assert (outcome.changed, outcome.actions, chain.sent, lines[-1]) == (False, [], [], f"nosana_job: {outcome.failure}")
    assert outcome.job is not None
    assert (outcome.job["address"], outcome.job["status"]) == (address(), "pending")


def test_a_job_that_the_history_does_not_have_yet_is_young(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its account is there already; so what the history says is not that it is old."""
    chain.job(address(), queued=True)
    plain, begun, since = chain.get_signatures_for_address, chain.time, []

    async def late(key: str, *, limit: int = 1) -> list[HistoryEntry]:
        if key != address():
            return await plain(key, limit=limit)
        return [HistoryEntry("list", True, None, 5)] if chain.time > begun + 5 else []

    async def outlast(slot: int, _seen_slot: int, _begin: Any) -> bool:
        since.append(slot)
        return False

    monkeypatch.setattr(chain, "get_signatures_for_address", late)
    monkeypatch.setattr(chain, "outlast", outlast)
    assert present(chain, document=DOCUMENT | {"ops": []}).changed
    assert since == [5]


def test_whoever_is_cut_off_while_the_history_lags_is_told_so_too(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.job(address(), queued=True)
    plain = chain.get_signatures_for_address

    async def cut_off() -> Outcome:
        declaration = Declaration("web", DOCUMENT | {"ops": []}, MARKET, None)
        task = asyncio.ensure_future(service(chain).present(declaration, wait=POSTED, dry_run=False))

        async def nothing_yet(key: str, *, limit: int = 1) -> list[HistoryEntry]:
            return [] if key == address() else await plain(key, limit=limit)

        async def interrupted(_seconds: float) -> None:
            task.cancel()
            await asyncio.sleep(0)

        monkeypatch.setattr(chain, "sleep", interrupted)
        monkeypatch.setattr(chain, "get_signatures_for_address", nothing_yet)
        return await task

    outcome = asyncio.run(cut_off())
    assert isinstance(outcome.failure, Interrupted)
    assert (outcome.changed, outcome.actions, chain.sent) == (False, [], [])


def test_what_stays_at_its_address_needs_no_settling(chain: Chain) -> None:
    chain.while_young.append(lambda: pytest.fail("it waited"))
    chain.job(address(), running=True)
    assert present(chain, document=DOCUMENT | {"ops": []}).changed
    chain.job(address(1), state=2, result=SUCCESS)
    assert present(chain, rerun="always").changed


def test_nothing_is_waited_for_where_nothing_is_posted(chain: Chain) -> None:
    chain.while_young.append(lambda: pytest.fail("it waited"))
    chain.job(address(), queued=True)
    assert present(chain, document=DOCUMENT | {"ops": []}, dry_run=True).changed
    assert present(chain, timeout_seconds=7200).changed
    assert absent(chain).changed
    assert len(chain.while_young) == 1


def test_a_host_that_takes_the_job_while_it_is_replaced_is_ended(chain: Chain) -> None:
    chain.job(address(), queued=True)
    chain.before_send.append(lambda: chain.run(address()))
    outcome = present(chain, document=DOCUMENT | {"ops": []})
    assert [(done.kind, done.job) for done in outcome.actions] == [("end", address()), ("post", address(1))]


def test_a_job_that_another_tool_posted_is_adopted_by_its_name(chain: Chain) -> None:
    chain.job(HOST, DOCUMENT | {"deployment_id": "x"}, queued=True)
    outcome = present(chain, on_change="ignore")
    assert not outcome.changed
    assert outcome.job is not None
    assert outcome.job["address"] == HOST
    assert chain.sent == []


def test_two_active_jobs_of_a_name_are_an_error_that_lists_them(chain: Chain) -> None:
    chain.job(address(0), queued=True)
    chain.job(address(1), running=True)
    with pytest.raises(AmbiguousName) as caught:
        present(chain)
    assert caught.value.details["addresses"] == [address(0), address(1)]


@pytest.mark.parametrize("used", [1, 2, 16, 17, 40])
def test_addresses_with_a_history_are_never_used_again(chain: Chain, used: int) -> None:
    chain.failed |= {address(generation) for generation in range(used)}  # tried, and refused on the chain
    outcome = present(chain)
    assert outcome.job is not None
    assert outcome.job["address"] == address(used)
    assert not present(chain).changed


def test_a_node_that_claims_a_history_for_every_address_is_not_followed_for_ever(chain: Chain) -> None:
    class Everything(set[str]):
        def __contains__(self, _key: object) -> bool:
            return True

    chain.failed = Everything()
    with pytest.raises(UnexpectedAnswer):
        present(chain)


def test_a_node_that_claims_any_history_is_not_followed_for_ever(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def claim(_key: str, *, limit: int = 1) -> list[tuple[str, bool]]:
        return [("signature", True)] * limit

    monkeypatch.setattr(chain, "get_signatures_for_address", claim)
    with pytest.raises(UnexpectedAnswer, match="cannot be true"):
        present(chain)
    assert (chain.sent, chain.pinned) == ([], [])


def test_removed_and_declared_again_is_posted_again(chain: Chain) -> None:
    present(chain)
    chain.run(address())
    absent(chain)
    assert present(chain).changed
    assert chain.sent == ["list", "end", "list"]
    assert chain.accounts[address(1)]


@pytest.mark.parametrize("result", [SUCCESS, FAILURE])
def test_over_is_not_paid_for_again(chain: Chain, result: Any) -> None:
    chain.job(address(), state=2, result=result)
    assert not present(chain).changed
    assert chain.sent == []


@pytest.mark.parametrize("funds", [{"nos": 0, "sol": 10**10}, {"nos": 10**9, "sol": 1000}])
def test_without_money_nothing_is_pinned_or_sent(chain: Chain, funds: dict[str, int]) -> None:
    chain.fund(**funds)
    for dry_run in (True, False):
        with pytest.raises(InsufficientFunds, match="are needed"):
            present(chain, dry_run=dry_run)
    assert (chain.sent, chain.pinned) == ([], [])


def test_localnet_on_the_real_chain_is_refused(chain: Chain) -> None:
    chain.genesis = str(NETWORKS["mainnet"].genesis_hash)
    with pytest.raises(WrongNetwork, match="serves mainnet"):
        present(chain)
    assert (chain.sent, chain.pinned) == ([], [])


def test_an_unreadable_definition_never_costs_a_running_job(chain: Chain) -> None:
    chain.job(address(), DOCUMENT | {"deployment_id": "x"}, running=True)
    chain.content.clear()
    with pytest.raises(NotFound, match="remove the job with state=absent first"):
        present(chain)
    assert chain.sent == []
    assert absent(chain).changed  # to remove it, nothing has to be read


def test_a_wait_that_cannot_succeed_ends_early_with_the_job(chain: Chain) -> None:
    chain.job(address(), state=2, result=FAILURE)
    outcome = present(chain, wait=Wait("completed", 1000, 1))
    assert isinstance(outcome.failure, JobFailed)
    assert "exit code 3" in str(outcome.failure)
    assert outcome.job is not None
    assert outcome.job["status"] == "failed"
    assert chain.time == 1_800_000_000.0


def test_a_wait_that_takes_too_long_returns_the_job(chain: Chain) -> None:
    outcome = present(chain, wait=Wait("running", 10, 3))
    assert isinstance(outcome.failure, WaitTimeout)
    assert outcome.changed
    assert outcome.job is not None
    assert outcome.job["status"] == "pending"
    assert chain.time == 1_800_000_010.0


def test_a_done_job_whose_result_never_comes_is_not_called_completed(chain: Chain) -> None:
    chain.job(address(), state=2, result=SUCCESS)
    del chain.content[cid_of(encode_document(SUCCESS))]
    outcome = present(chain, wait=Wait("completed", 5, 1))
    assert isinstance(outcome.failure, WaitTimeout)
    assert outcome.job is not None
    assert (outcome.job["status"], outcome.job["reason"]) == ("failed", "result_unavailable")
    assert "is over" in str(outcome.failure)
    assert "rerun=finished" in str(outcome.failure)
    assert "costs" not in str(outcome.failure)  # it does no more


# --- jobs that other tools posted -----------------------------------------------------------------------------------------


def test_the_same_content_in_another_order_is_the_declared_job(chain: Chain) -> None:
    chain.job(HOST, dict(reversed(DOCUMENT.items())), running=True)
    outcome = present(chain)
    assert not outcome.changed
    assert outcome.job is not None
    assert (outcome.job["address"], outcome.job["status"]) == (HOST, "running")


def test_another_tools_job_that_differs_is_replaced(chain: Chain) -> None:
    chain.job(HOST, DOCUMENT | {"deployment_id": "x"}, queued=True)
    outcome = present(chain)
    assert [(done.kind, done.job) for done in outcome.actions] == [("delist", HOST), ("post", address())]


def test_another_tools_jobs_of_other_names_are_left_alone(chain: Chain) -> None:
    for key, document in ((HOST, DOCUMENT | {"meta": {"name": "other"}}), (MARKET[::-1], {"ops": []}), (HOST[::-1], "text")):
        chain.job(key, document, queued=True)
    outcome = present(chain)
    assert [done.kind for done in outcome.actions] == ["post"]
    assert outcome.warnings == []


def test_two_jobs_of_another_tool_are_an_error_that_lists_them(chain: Chain) -> None:
    others = sorted([HOST, str(Keypair.from_seed(bytes(32)).pubkey())])
    for key in others:
        chain.job(key, DOCUMENT | {"deployment_id": key}, queued=True)
    with pytest.raises(AmbiguousName) as caught:
        present(chain)
    assert sorted(caught.value.details["addresses"]) == others
    assert all(key in str(caught.value) for key in others)


def test_names_that_cannot_be_read_are_warned_of(chain: Chain) -> None:
    chain.job(HOST, DOCUMENT | {"deployment_id": "x"}, queued=True)
    chain.content.clear()
    outcome = present(chain)
    assert [done.kind for done in outcome.actions] == ["post"]
    assert HOST in outcome.warnings[0]


def test_a_node_that_lists_no_accounts_is_warned_of(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        raise SearchRefused("The node refuses getProgramAccounts.")

    monkeypatch.setattr(chain, "get_program_accounts", refuse)
    outcome = present(chain)
    assert outcome.changed
    assert "getProgramAccounts" in outcome.warnings[0]


# --- races ----------------------------------------------------------------------------------------------------------------


def test_a_job_that_is_over_while_it_is_removed_needs_nothing_more(chain: Chain) -> None:
    chain.job(address(), queued=True)

    def finish() -> None:
        chain.queue.clear()
        chain.job(address(), state=2, result=SUCCESS)

    chain.before_send.append(finish)
    outcome = absent(chain)
    assert (outcome.changed, outcome.actions, outcome.failure, chain.sent) == (False, [], None, [])
    assert outcome.job is not None
    assert (outcome.job["chain_state"], outcome.job["status"]) == ("done", "completed")


def test_a_job_that_somebody_else_removes_needs_nothing_more(chain: Chain) -> None:
    chain.job(address(), queued=True)

    def remove() -> None:
        chain.queue.clear()
        del chain.accounts[address()]

    chain.before_send.append(remove)
    outcome = absent(chain)
    assert (outcome.changed, outcome.actions, outcome.failure, chain.sent) == (False, [], None, [])


def test_a_node_that_falls_silent_after_a_removal_does_not_hide_it(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_keys: Sequence[str]) -> Snapshot:
        raise UnexpectedAnswer("The node answers nonsense.")

    chain.job(address(), queued=True)
    chain.before_send.append(lambda: monkeypatch.setattr(chain, "snapshot", silent))
    outcome = absent(chain)
    assert (outcome.changed, [done.kind for done in outcome.actions]) == (True, ["delist"])
    assert isinstance(outcome.failure, UnexpectedAnswer)
    assert outcome.job is not None
    assert outcome.job["address"] == address()


def test_a_job_that_appears_while_it_is_looked_for_is_looked_at_again(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    search, late = chain.get_program_accounts, [lambda: chain.job(address(), CHANGED, queued=True)]

    async def slow(program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        while late:
            late.pop()()
        return await search(program, filters=filters)

    monkeypatch.setattr(chain, "get_program_accounts", slow)
    assert [(done.kind, done.job) for done in present(chain).actions] == [("delist", address(0)), ("post", address(1))]


def others_are_quicker(chain: Chain, monkeypatch: pytest.MonkeyPatch, *, turns: int = 0, seconds: float = 0) -> None:
    """While the definition is pinned one posts at the first address, and another replaces that job by the next one.

    Before that the pinning lets others go on for so many turns, in which the address is looked at, and takes so long.
    """
    pin, late = chain.pin_json, [1]

    async def slow(document: Any) -> str:
        for _turn in range(turns):
            await asyncio.sleep(0)
        while late:
            late.pop()
            chain.time += seconds
            chain.signatures[address(0)] = ["posted", "replaced"]
            chain.job(address(1), queued=True)
        return await pin(document)

    monkeypatch.setattr(chain, "pin_json", slow)


def test_an_address_that_was_used_and_freed_in_between_is_not_taken(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    others_are_quicker(chain, monkeypatch)
    assert not present(chain).changed
    assert chain.sent == []


def test_an_address_is_looked_at_again_after_a_slow_pinning(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    others_are_quicker(chain, monkeypatch, turns=2, seconds=20)
    assert not present(chain).changed
    assert chain.sent == []


def test_the_newest_job_is_noticed_beside_one_of_another_tool(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was posted after the search for jobs was answered, and before the history of its address was asked for."""
    chain.job(HOST, CHANGED, queued=True)
    history, late = chain.get_signatures_for_address, [lambda: chain.job(address(), queued=True)]

    async def later(key: str, *, limit: int = 1) -> list[HistoryEntry]:
        while late:
            late.pop()()
            chain.transactions["unknown"] = Transaction(1, None, 1, 5000, (listing(address()),), {})
        return await history(key, limit=limit)

    monkeypatch.setattr(chain, "get_signatures_for_address", later)
    assert not present(chain).changed
    assert chain.sent == []


def test_a_removal_that_never_succeeds_ends_with_the_programs_error(chain: Chain) -> None:
    chain.job(address(), queued=True)
    attempts = []

    def refuse() -> None:
        attempts.append(1)
        chain.before_send.append(refuse)
        raise refused("MarketInWrongState")

    chain.before_send.append(refuse)
    with pytest.raises(ProgramError):
        absent(chain)
    assert len(attempts) == 5


def test_a_refusal_that_no_race_explains_is_not_tried_again(chain: Chain) -> None:
    chain.job(address(), queued=True)
    chain.failures["delist"] = refused("Unauthorized")
    with pytest.raises(ProgramError):
        absent(chain)
    assert chain.sent == []


def test_an_address_in_use_that_nobody_can_see_ends_after_a_few_looks(chain: Chain) -> None:
    attempts = []

    def refuse() -> None:
        attempts.append(1)
        chain.before_send.append(refuse)
        raise refused("AccountAlreadyInUse")

    chain.before_send.append(refuse)
    with pytest.raises(ProgramError):
        present(chain)
    assert len(attempts) == 5


def test_an_unknown_outcome_is_found_out_by_the_next_run(chain: Chain) -> None:
    def land_and_fall_silent() -> None:
        chain.job(address(), queued=True)
        raise OutcomeUnknown("The node stopped answering.")

    chain.before_send.append(land_and_fall_silent)
    outcome = present(chain)
    assert isinstance(outcome.failure, OutcomeUnknown)
    assert outcome.actions == []
    again = present(chain)
    assert (again.changed, again.failure, chain.sent) == (False, None, [])


def _expires(chain: Chain, happens: Callable[[], Any]) -> None:
    """The node says of the next transaction that it never landed, after this has happened."""

    def send() -> None:
        happens()
        raise TransactionExpired("It did not land; nothing was paid.", signature="signature 1")

    chain.before_send.append(send)


def test_a_posting_that_a_node_does_not_know_although_its_job_is_there_is_not_called_unpaid(chain: Chain) -> None:
    _expires(chain, lambda: chain.job(address(), queued=True))
    outcome = present(chain)
    assert isinstance(outcome.failure, OutcomeUnknown)
    assert outcome.failure.details["signature"] == "signature 1"
    assert outcome.balance_change is None
    assert "paid" not in str(outcome.failure)
    again = present(chain)
    assert (again.changed, again.failure, chain.sent) == (False, None, [])


def test_a_posting_that_left_nothing_never_landed(chain: Chain) -> None:
    _expires(chain, lambda: None)
    assert isinstance(present(chain).failure, TransactionExpired)


def test_a_removal_that_a_node_does_not_know_although_the_job_is_gone_may_have_landed(chain: Chain) -> None:
    present(chain)
    _expires(chain, lambda: chain.accounts.pop(address()))
    assert isinstance(absent(chain).failure, OutcomeUnknown)


def test_a_removal_that_left_the_job_never_landed(chain: Chain) -> None:
    present(chain)
    _expires(chain, lambda: None)
    assert isinstance(absent(chain).failure, TransactionExpired)


def test_a_replacement_that_left_the_old_job_never_landed(chain: Chain) -> None:
    present(chain)
    _expires(chain, lambda: None)
    assert isinstance(present(chain, document=DOCUMENT | {"deployment_id": "x"}).failure, TransactionExpired)


# --- changes --------------------------------------------------------------------------------------------------------------


def test_a_longer_timeout_is_an_extension_and_a_shorter_one_a_warning(chain: Chain) -> None:
    chain.job(address(), running=True)
    assert [done.kind for done in present(chain, timeout_seconds=7200).actions] == ["extend"]
    shorter = present(chain, timeout_seconds=60)
    assert not shorter.changed
    assert "cannot be shortened" in shorter.warnings[0]
    assert chain.pinned == []


def test_an_extension_is_paid_for(chain: Chain) -> None:
    chain.job(address(), running=True)
    chain.fund(nos=PRICE * 3600 - 1, sol=10**10)
    with pytest.raises(InsufficientFunds, match="extend the job"):
        present(chain, timeout_seconds=7200)
    chain.fund(nos=PRICE * 3600, sol=10**10)
    assert present(chain, timeout_seconds=7200).changed


def test_a_replacement_counts_with_the_deposit_that_comes_home(chain: Chain) -> None:
    chain.job(address(), queued=True)
    chain.fund(nos=PRICE * (MARKET_TIMEOUT - 3600) - 1, sol=10**10)
    with pytest.raises(InsufficientFunds):
        present(chain, document=DOCUMENT | {"deployment_id": "x"})
    assert chain.sent == []
    chain.fund(nos=PRICE * (MARKET_TIMEOUT - 3600), sol=10**10)
    outcome = present(chain, document=DOCUMENT | {"deployment_id": "x"})
    assert [done.kind for done in outcome.actions] == ["delist", "post"]


def test_a_job_that_its_host_gave_up_is_recovered_and_posted_anew(chain: Chain) -> None:
    chain.job(address(), state=3)
    outcome = present(chain)
    assert [(done.kind, done.job) for done in outcome.actions] == [("recover", address()), ("post", address(1))]


def test_a_refused_change_changes_nothing(chain: Chain) -> None:
    chain.job(address(), running=True)
    outcome = present(chain, document=DOCUMENT | {"deployment_id": "x"}, on_change="fail")
    assert isinstance(outcome.failure, ChangeRefused)
    assert "definition" in str(outcome.failure)
    assert outcome.job is not None
    assert outcome.job["address"] == address()
    assert (outcome.changed, chain.sent, chain.pinned) == (False, [], [])


@pytest.mark.parametrize("timeout", [0, -1])
def test_no_time_at_all_is_an_error_before_anything_is_spent(chain: Chain, timeout: int) -> None:
    with pytest.raises(InvalidInput, match="timeout"):
        present(chain, timeout_seconds=timeout)
    assert (chain.sent, chain.pinned) == ([], [])


def test_a_market_that_is_none_is_an_error_before_anything_is_spent(chain: Chain) -> None:
    with pytest.raises(NotFound, match="no market"):
        present(chain, market=HOST)
    assert (chain.sent, chain.pinned) == ([], [])


# --- waiting --------------------------------------------------------------------------------------------------------------

SERVICE = DOCUMENT | {"ops": [{"type": "container/run", "id": "one", "args": {"image": "nginx", "expose": 80}}]}


def as_time_goes_by(chain: Chain, monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], None]) -> None:
    """One step with each sleep."""
    left = list(steps)

    async def sleep(seconds: float) -> None:
        chain.time += seconds
        if left:
            left.pop(0)()

    monkeypatch.setattr(chain, "sleep", sleep)


def test_waits_until_it_is_completed(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    as_time_goes_by(chain, monkeypatch, lambda: None, lambda: chain.run(address()), lambda: chain.job(address(), state=2, result=SUCCESS))
    outcome = present(chain, wait=Wait("completed", 100, 5))
    assert outcome.failure is None
    assert outcome.changed
    assert outcome.job is not None
    assert outcome.job["status"] == "completed"
    assert chain.time == 1_800_000_015.0


def test_a_job_that_is_removed_while_it_is_waited_for(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    as_time_goes_by(chain, monkeypatch, lambda: chain.accounts.pop(address()))
    outcome = present(chain, wait=Wait("completed", 100, 5))
    assert isinstance(outcome.failure, JobFailed)
    assert "was removed" in str(outcome.failure)
    assert outcome.changed


def test_ready_is_more_than_running(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [False, False, True]

    async def ready(url: str) -> bool:
        assert url.endswith(".node.localhost:8899")
        return answers.pop(0)

    monkeypatch.setattr(chain, "ready", ready)
    chain.job(address(), SERVICE, running=True)
    assert present(chain, document=SERVICE, wait=Wait("ready", 100, 5)).failure is None
    assert answers == []
    assert chain.time == 1_800_000_010.0


def test_a_service_that_is_over_never_gets_ready(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ready(_url: str) -> bool:
        return False

    monkeypatch.setattr(chain, "ready", ready)
    as_time_goes_by(chain, monkeypatch, lambda: chain.run(address()), lambda: chain.job(address(), SERVICE, state=2, result=SUCCESS))
    outcome = present(chain, document=SERVICE, wait=Wait("ready", 100, 5))
    assert isinstance(outcome.failure, JobFailed)
    assert chain.time == 1_800_000_010.0


def test_a_node_that_falls_silent_while_waiting_does_not_hide_what_was_posted(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_keys: Sequence[str]) -> Snapshot:
        raise Unreachable("The node is gone.")

    chain.before_send.append(lambda: monkeypatch.setattr(chain, "snapshot", silent))
    outcome = present(chain, wait=Wait("running", 100, 5))
    assert isinstance(outcome.failure, Unreachable)
    assert outcome.changed
    assert [done.kind for done in outcome.actions] == ["post"]
    assert outcome.job == {"address": address(), "name": "web"}


# --- information ----------------------------------------------------------------------------------------------------------


def test_no_match_is_an_empty_list(chain: Chain) -> None:
    assert info(chain) == ([], [])
    assert info(chain, name="nobody") == ([], [])
    assert info(chain, key=HOST) == ([], [])


def test_jobs_by_status(chain: Chain) -> None:
    chain.job(address(0), state=2, result=SUCCESS)
    chain.job(address(1), state=2, result=FAILURE)
    chain.job(address(2), running=True)
    jobs, warnings = info(chain, name="web")
    assert [job["status"] for job in jobs] == ["completed", "failed", "running"]
    assert [job["address"] for job in info(chain, statuses=["failed"])[0]] == [address(1)]
    assert warnings == []


def test_all_that_may_be_included(chain: Chain) -> None:
    logs = [{"type": "stdout", "log": "\x1b[31mred\x1b[0m\n"}]
    result = {"status": "success", "opStates": [{"operationId": "one", "status": "success", "exitCode": 0, "logs": logs}]}
    chain.job(address(), state=2, result=result)
    bare = info(chain, key=address())[0][0]
    assert not {"job_definition", "result", "logs", "cost"} & bare.keys()
    full = info(chain, key=address(), include=["definition", "result", "logs", "cost"])[0][0]
    assert full["job_definition"] == DOCUMENT
    assert full["result"] == result
    assert full["logs"] == [{"op": "one", "type": "stdout", "text": "red"}]
    assert full["cost"]["deposit_base_units"] == PRICE * 3600


def test_an_account_that_is_no_job_is_refused(chain: Chain) -> None:
    with pytest.raises(Refused, match="is not a Nosana job"):
        info(chain, key=OWNER)


@pytest.mark.parametrize("document", ["text", [], 7, {"ops": 7}, {"ops": [7]}, {"meta": 7}, {"meta": {"name": 7}}], ids=repr)
def test_odd_definitions_do_not_hide_the_other_jobs(chain: Chain, document: Any) -> None:
    chain.job(HOST, document, running=True)
    chain.job(address(), queued=True)
    assert len(info(chain, include=["definition"])[0]) == 2
