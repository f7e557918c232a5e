"""A program that is newer than the collection: longer accounts, states and errors that nobody knows; a clear word, and nothing paid twice."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError, Refused, UnexpectedAnswer, WaitTimeout
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Account
from ansible_collections.nosana.compute.plugins.module_utils._jobs.service import Wait
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.fake_chain import (
    DOCUMENT,
    FAILURE,
    HOST,
    NETWORK,
    SUCCESS,
    Chain,
    absent,
    address,
    info,
    present,
    run_of,
)

CHANGED = DOCUMENT | {"deployment_id": "x"}
NEWER_STATES = (1, 4, 5, 255)


class NewerChain(Chain):
    """Its program keeps more in every account than we know."""

    def account(self, key: str) -> Account | None:
        found = super().account(key)
        if found is None or found.owner != NETWORK.jobs_program or not found.data:
            return found
        return Account(found.lamports, found.owner, found.data + b"\xff" * 64)

    async def get_program_accounts(self, _program: str, *, filters: Any) -> list[tuple[str, Account]]:
        found = await super().get_program_accounts(_program, filters=filters)
        return [(key, longer) for key, _account in found if (longer := self.account(key)) is not None]


@pytest.fixture
def chain() -> Chain:
    return Chain()


def test_longer_accounts_are_read_by_their_beginning() -> None:
    chain = NewerChain()
    posted = present(chain)
    again = present(chain)
    assert (posted.changed, again.changed) == (True, False)
    chain.run(address())
    assert again.job is not None
    running = present(chain)
    assert running.job is not None
    assert (running.job["status"], running.job["host"]) == ("running", HOST)
    chain.job(address(), state=2, result=SUCCESS)
    del chain.accounts[run_of(address())]
    over = present(chain)
    assert over.job is not None
    assert over.job["status"] == "completed"
    assert chain.sent == ["list"]


def test_longer_accounts_of_other_tools_are_found() -> None:
    chain = NewerChain()
    chain.job(HOST, queued=True)
    found = present(chain)
    assert found.job is not None
    assert (found.changed, found.job["address"], chain.sent) == (False, HOST, [])


def test_no_filter_asks_for_a_length() -> None:
    everything: dict[str, Any] = dict.fromkeys(("project", "payer", "market", "node"), HOST)
    for filters in (program.job_filters(ipfs_job=bytes(32), state=0, **everything), program.run_filters(job=HOST), program.run_filters()):
        assert [list(entry) for entry in filters] == [["memcmp"]] * len(filters)


@pytest.mark.parametrize(("name", "size"), [("JobAccount", 232), ("RunAccount", 112), ("MarketAccount", 150)])
def test_an_account_that_is_too_short_names_its_size_and_what_to_do(name: str, size: int) -> None:
    decode = {"JobAccount": program.decode_job, "RunAccount": program.decode_run, "MarketAccount": program.decode_market}[name]
    with pytest.raises(UnexpectedAnswer, match=rf"{size} bytes .* needs {size + 1}: .* update of nosana\.compute"):
        decode(program.discriminator("account", name) + bytes(size - 8))  # type: ignore[operator]


@pytest.mark.parametrize("change", [present, absent])
def test_a_shorter_account_at_our_address_stops_before_anything_is_spent(chain: Chain, change: Any) -> None:
    chain.job(address(), queued=True)
    chain.put(address(), chain.accounts[address()].data[:200])
    with pytest.raises(UnexpectedAnswer, match="200 bytes"):
        change(chain)
    assert (chain.sent, chain.pinned) == ([], [])


@pytest.mark.parametrize("state", NEWER_STATES)
@pytest.mark.parametrize("rerun", ["never", "failed", "finished"])
@pytest.mark.parametrize("result", [None, SUCCESS, FAILURE])
def test_a_state_that_nobody_knows_is_left_alone(chain: Chain, state: int, rerun: Any, result: Any) -> None:
    chain.job(address(), state=state, result=result)
    outcome = present(chain, rerun=rerun)
    assert (outcome.changed, chain.sent, chain.pinned) == (False, [], [])
    assert outcome.job is not None
    assert (outcome.job["status"], outcome.job["reason"], outcome.job["chain_state"]) == ("pending", "unknown_state", "unknown")
    (warning,) = outcome.warnings
    assert f"the state {state}," in warning
    assert "update of nosana.compute" in warning


@pytest.mark.parametrize(
    "change",
    [
        lambda chain: present(chain, document=CHANGED),
        lambda chain: present(chain, rerun="always"),
        absent,
        lambda chain: absent(chain, dry_run=True),
        lambda chain: present(chain, document=CHANGED, dry_run=True),
    ],
)
def test_what_cannot_be_removed_is_refused_before_anything_is_spent(chain: Chain, change: Any) -> None:
    chain.job(address(), state=4)
    with pytest.raises(Refused, match=r"the state 4, .* nothing was done; look for an update of nosana\.compute\."):
        change(chain)
    assert (chain.sent, chain.pinned) == ([], [])


def test_it_is_not_extended(chain: Chain) -> None:
    chain.job(address(), state=4)
    outcome = present(chain, timeout_seconds=7200)
    assert (outcome.changed, chain.sent) == (False, [])
    assert any("cannot be extended to 7200 s, because its state is not known" in warning for warning in outcome.warnings)


def test_it_is_never_called_completed_by_waiting(chain: Chain) -> None:
    chain.job(address(), state=5, result=SUCCESS)
    outcome = present(chain, wait=Wait("completed", 60, 5))
    assert isinstance(outcome.failure, WaitTimeout)
    assert chain.sent == []


def test_a_host_that_runs_it_is_seen(chain: Chain) -> None:
    chain.job(address(), state=4, running=True)
    outcome = present(chain)
    assert outcome.job is not None
    assert (outcome.changed, outcome.job["status"]) == (False, "running")


@pytest.mark.parametrize("state", NEWER_STATES)
def test_another_tools_job_in_a_newer_state_is_not_paid_for_beside(chain: Chain, state: int) -> None:
    chain.job(HOST, state=state)
    outcome = present(chain)
    assert outcome.job is not None
    assert (outcome.changed, outcome.job["address"], chain.sent) == (False, HOST, [])


def test_info_shows_it(chain: Chain) -> None:
    chain.job(address(), state=4)
    jobs, _warnings = info(chain)
    assert [(job["status"], job["chain_state"]) for job in jobs] == [("pending", "unknown")]


@pytest.mark.parametrize(
    ("number", "advice"),
    [(6001, "has two meanings"), (6019, "look for an update of nosana.compute"), (2**32 - 1, "look for an update of nosana.compute")],
)
def test_an_error_that_nobody_knows_is_named_by_its_number_with_what_to_do(chain: Chain, number: int, advice: str) -> None:
    error = program.program_error({"InstructionError": [0, {"Custom": number}]}, [], action="post the job")
    assert f"error {number}, " in str(error)
    assert advice in str(error)
    chain.failures["list"] = error
    with pytest.raises(NosanaError, match=f"error {number}, "):
        present(chain)
    assert chain.sent == []


def test_a_new_error_with_its_log_line_speaks_for_itself() -> None:
    line = "Program log: AnchorError occurred. Error Code: MarketPaused. Error Number: 6042. Error Message: The market is paused.."
    error = program.program_error({"InstructionError": [0, {"Custom": 6042}]}, [line], action="post the job")
    assert str(error) == "The program refused to post the job: MarketPaused (The market is paused)."
