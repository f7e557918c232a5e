"""Another version of the program on a whole chain: the fee of before June 2026, and accounts of a program that is newer than the collection."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chain import Chain
from conftest import Hasty, new_hosts
from scenes import Scene, scene
from solders.account import Account
from solders.pubkey import Pubkey
from stage import PRICE, TIMEOUT, Faucet, Poster, Stage, kinds, told
from test_names import DEFINITION, listed, only_alone

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import CostLimit, InsufficientFunds, NosanaError
from nosana_localnet.server import Settings
from nosana_localnet.thread import running

DEPOSIT, FEE_FRACTION = PRICE * TIMEOUT, 10
FEE = DEPOSIT // FEE_FRACTION
STATE_AT = 208


# --- another fee ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_a_fee() -> Iterator[Stage]:
    """A local network whose program takes a tenth on top of every deposit."""
    with running(Settings(port=0, runner="process", hosts={}, clock=time.time(), fee_fraction=FEE_FRACTION)) as network:
        chain = Chain(network.url)
        faucet = Faucet(chain, network.call(lambda found: found.ledger.faucet))
        yield Stage(chain, faucet, network, new_hosts(network), Hasty())


def refusal(poster: Poster, kind: type[NosanaError], **options: Any) -> str:
    """The sentence; nothing was spent."""
    before = poster.money
    with pytest.raises(kind) as caught:
        poster.job(**options)
    assert poster.money == before
    return str(caught.value)


def test_the_fee_counts_for_max_cost_and_stands_in_the_balance(with_a_fee: Stage) -> None:
    poster = with_a_fee.poster()
    begun = poster.money
    assert "0.02838 NOS" in refusal(poster, CostLimit, max_cost=f"{(DEPOSIT + FEE - 1) / 10**6:f}")
    posted = poster.job(max_cost=f"{(DEPOSIT + FEE) / 10**6:f}")
    assert (kinds(posted), posted.values["job"]["cost"]["network_fee_base_units"]) == (["post"], FEE)
    assert told(posted).nos == -(DEPOSIT + FEE)
    assert kinds(poster.job()) == []
    assert "max_cost" in refusal(poster, CostLimit, timeout=2 * TIMEOUT, max_cost=f"{(2 * DEPOSIT + FEE - 1) / 10**6:f}")
    longer = poster.job(timeout=2 * TIMEOUT, max_cost=f"{(2 * DEPOSIT + FEE) / 10**6:f}")
    assert (kinds(longer), told(longer).nos) == (["extend"], -(DEPOSIT + FEE))
    gone = poster.job(state="absent")
    assert (kinds(gone), told(gone).nos) == (["delist"], 2 * DEPOSIT)
    assert poster.money - begun == told(posted, longer, gone)


def test_a_wallet_that_has_the_deposit_and_not_the_fee(with_a_fee: Stage) -> None:
    poster = with_a_fee.poster(nos=DEPOSIT + FEE - 1)
    assert "0.02838 NOS are needed" in refusal(poster, InsufficientFunds)


# --- a newer program ------------------------------------------------------------------------------------------------------


@pytest.fixture
def here(alone: Stage) -> Scene:
    return scene(alone)


def rewrite(here: Scene, address: Pubkey, change: Callable[[bytes], bytes]) -> None:
    """What a newer program would keep in the account."""

    def put(network: Any) -> None:
        account = network.ledger.account(address)
        network.ledger.put(address, Account(account.lamports + 1_000_000, change(account.data), account.owner))

    here.stage.network.call(put)


def longer(data: bytes) -> bytes:
    return data + b"\xff" * 64


def in_state(state: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:STATE_AT] + bytes([state]) + data[STATE_AT + 1 :] + b"\xff" * 64


@only_alone
@pytest.mark.parametrize("by_another_tool", [False, True])
def test_longer_accounts_are_found_and_read(here: Scene, by_another_tool: bool) -> None:
    job = listed(here) if by_another_tool else here.poster.post(job_definition=DEFINITION)
    for address in (job, here.poster.market):
        rewrite(here, address, longer)
    result = here.poster.job(job_definition=DEFINITION)
    assert (kinds(result), result.values["id"], result.values["status"]) == ([], str(job), "pending")
    assert [found["address"] for found in here.poster.info()] == [str(job)]


@only_alone
@pytest.mark.parametrize("by_another_tool", [False, True])
def test_a_state_that_nobody_knows_is_neither_paid_for_again_nor_removed(here: Scene, by_another_tool: bool) -> None:
    job = listed(here) if by_another_tool else here.poster.post(job_definition=DEFINITION)
    rewrite(here, job, in_state(4))
    before = here.poster.money
    for rerun in ("never", "failed", "finished"):
        result = here.poster.job(job_definition=DEFINITION, rerun=rerun)
        assert (kinds(result), result.values["id"], result.values["job"]["reason"]) == ([], str(job), "unknown_state")
    with pytest.raises(NosanaError, match=r"the state 4, .* nothing was done"):
        here.poster.job(job_definition=DEFINITION, rerun="always")
    assert here.poster.money == before


@only_alone
def test_a_shorter_account_is_said_and_nothing_is_spent(here: Scene) -> None:
    job = here.poster.post(job_definition=DEFINITION)
    rewrite(here, job, lambda data: data[:200])
    before = here.poster.money
    for options in ({"job_definition": DEFINITION}, {"state": "absent"}):
        with pytest.raises(NosanaError, match=r"200 bytes .* needs 233"):
            here.poster.job(**options)
    assert here.poster.money == before
