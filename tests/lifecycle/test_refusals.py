"""What the collection makes of a refusal: found by simulating, by the node before it passes a transaction on, or on the chain itself."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair
from stage import PRICE, TIMEOUT, Poster, Stage

from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    InsufficientFunds,
    NosanaError,
    ProgramError,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import Program
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Rpc, Simulation
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import Sender
from ansible_collections.nosana.compute.plugins.module_utils._jobs.identity import Identity

NETWORK = NETWORKS["localnet"]
PROGRAM = Program(NETWORK)


class Hopeful(Rpc):
    """Believes that every transaction will do, so that the first refusal is the node's own, of the transaction as it is sent."""

    async def simulate_transaction(self, raw: bytes) -> Simulation:
        return Simulation(None, [], 200_000)


class Careless(Hopeful):
    """Does not let the node try either, so that the refusal stands on the chain, fee paid."""

    async def send_transaction(self, raw: bytes, *, action: str) -> str:
        options = {"encoding": "base64", "skipPreflight": True, "maxRetries": 0}
        signature: str = await self._ask("sendTransaction", [base64.b64encode(raw).decode(), options], str)
        return signature


@dataclass
class Attempt:
    """Instructions sent by the collection's own sender, by one of the three ways."""

    stage: Stage
    way: type[Rpc]

    def __call__(self, instructions: Sequence[Instruction], signers: Sequence[Keypair]) -> NosanaError:
        """The error that comes of it."""

        async def send() -> None:
            async with Http(SystemClock()) as http:
                sender = Sender(self.way(http, self.stage.chain.url), SystemClock())
                await sender.send(instructions, signers, fee_payer=signers[0], action="do it")

        with pytest.raises(NosanaError) as refused:
            asyncio.run(send())
        return refused.value


@pytest.fixture(params=[Rpc, Hopeful, Careless], ids=["simulated", "preflight", "landed"])
def attempt(stage: Stage, request: pytest.FixtureRequest) -> Attempt:
    return Attempt(stage, request.param)


def listing(poster: Poster, *, generation: int = 0, timeout: int = TIMEOUT) -> tuple[list[Instruction], list[Keypair]]:
    """A listing under the key that the collection derives for the name."""
    identity = Identity(poster.key, program=NETWORK.jobs_program, name="job")
    job, run = identity.key(generation, "job"), identity.key(generation, "run")
    instruction = PROGRAM.list_job(
        job=str(job.pubkey()),
        market=str(poster.market),
        run=str(run.pubkey()),
        payer=str(poster.address),
        project=str(poster.address),
        ipfs_job=bytes([7] * 32),
        timeout_seconds=timeout,
    )
    return [instruction], [poster.key, job, run]


def test_the_lock_a_second_listing_of_a_derived_key(stage: Stage, attempt: Attempt) -> None:
    poster = stage.poster()
    job = poster.post()
    held = poster.money
    error = attempt(*listing(poster, timeout=TIMEOUT + 1))
    assert isinstance(error, ProgramError)
    assert (error.name, error.number) == ("AccountAlreadyInUse", 0)
    assert any("already in use" in line for line in error.logs)
    assert stage.chain.jobs_of(poster.address) == [job]
    assert (poster.money - held).nos == 0
    assert stage.vault(poster.market) == TIMEOUT * PRICE


def test_delisting_what_a_host_has_taken(stage: Stage, attempt: Attempt) -> None:
    poster = stage.poster()
    job = poster.post()
    stage.host(poster.market).work()
    delisting = PROGRAM.delist(job=str(job), market=str(poster.market), payer=str(poster.address), project=str(poster.address))
    error = attempt([delisting], [poster.key])
    assert isinstance(error, ProgramError)
    assert (error.name, error.number) == ("MarketInWrongState", 6001)
    assert str(error) == "The program refused to do it: MarketInWrongState (This market does not have the right status)."
    assert any("Error Code: MarketInWrongState" in line for line in error.logs)


def test_another_wallets_job(stage: Stage, attempt: Attempt) -> None:
    """Unauthorized has the number that InvalidMarketAccount has in another list: the log line tells them apart."""
    poster = stage.poster()
    stranger = stage.poster(poster.market)
    job = poster.post()
    delisting = PROGRAM.delist(job=str(job), market=str(poster.market), payer=str(poster.address), project=str(stranger.address))
    error = attempt([delisting], [stranger.key])
    assert isinstance(error, ProgramError)
    assert (error.name, error.number) == ("Unauthorized", 6000)


def test_too_little_nos(stage: Stage, attempt: Attempt) -> None:
    poster = stage.poster(nos=TIMEOUT * PRICE - 1)
    error = attempt(*listing(poster))
    assert isinstance(error, InsufficientFunds)
    assert str(error) == "Not enough NOS to do it: the wallet's token account holds less than the deposit."


def test_too_little_sol_for_rent(stage: Stage, attempt: Attempt) -> None:
    poster = stage.poster(lamports=2_500_000)
    error = attempt(*listing(poster))
    assert isinstance(error, InsufficientFunds)
    assert str(error).startswith("Not enough SOL to do it: ")
    assert "need 2561280 lamports" in str(error)


def test_too_little_sol_left_over(stage: Stage, attempt: Attempt) -> None:
    """A wallet may be empty or hold what frees it from rent, nothing in between."""
    poster = stage.poster(lamports=2_561_280 + 500_000)
    error = attempt(*listing(poster))
    assert isinstance(error, InsufficientFunds)
    assert str(error) == "Not enough SOL to do it: an account would be left below the rent minimum; top the wallet up."


def test_no_sol_at_all(stage: Stage) -> None:
    for way in (Rpc, Hopeful):
        poster = Poster(stage, stage.market())
        error = Attempt(stage, way)(*listing(poster))
        assert isinstance(error, InsufficientFunds)
        assert str(error) == "Not enough SOL to do it: the wallet cannot pay the transaction fee; top it up."
