"""A transaction is signed once; the same bytes are sent until they landed or can no longer land."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    NosanaError,
    OutcomeUnknown,
    ProgramError,
    TransactionExpired,
    Unreachable,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import set_compute_unit_price
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Blockhash, SignatureStatus, Simulation
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import Landed, Sender

WALLET = Keypair.from_seed(bytes(range(32)))
CONFIRMED = SignatureStatus(7, None, "confirmed")


class Clock:
    """Never sleeps."""

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        pass

    def random(self) -> float:
        return 0.0


class FakeRpc:
    """A node whose answers are played one after another; the last of each stays."""

    def __init__(
        self,
        *,
        statuses: Sequence[SignatureStatus | None] = (CONFIRMED,),
        sends: Sequence[NosanaError | None] = (None,),
        heights: Sequence[int] = (1,),
        simulation: Simulation | None = None,
    ) -> None:
        self.sent: list[bytes] = []
        self.asked: list[str] = []
        self._statuses, self._sends, self._heights = list(statuses), list(sends), list(heights)
        self._simulation = simulation or Simulation(None, [], 1000)

    @staticmethod
    def _next(values: list[Any]) -> Any:
        return values.pop(0) if len(values) > 1 else values[0]

    async def get_recent_prioritization_fees(self, _keys: Sequence[str]) -> list[int]:
        return []

    async def simulate_transaction(self, _raw: bytes) -> Simulation:
        return self._simulation

    def not_before(self, _slot: int) -> None:
        pass

    async def get_latest_blockhash(self) -> Blockhash:
        return Blockhash("4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM", 150)

    async def send_transaction(self, raw: bytes, *, action: str, everywhere: bool = False) -> str:
        self.sent.append(raw)
        failure = self._next(self._sends)
        if failure is not None:
            raise failure
        return "signature"

    async def get_signature_status(self, _signature: str) -> tuple[int, SignatureStatus | None]:
        self.asked.append("status")
        return 9, self._next(self._statuses)

    async def get_height(self) -> tuple[int, int]:
        self.asked.append("height")
        return 9, self._next(self._heights)

    async def get_transaction_logs(self, _signature: str) -> list[str]:
        return [
            "Program log: AnchorError caused by account: market. Error Code: MarketInWrongState. Error Number: 6001. Error Message: no.."
        ]


def send(rpc: FakeRpc) -> Landed:
    sender = Sender(rpc, Clock())  # type: ignore[arg-type]
    return asyncio.run(sender.send([set_compute_unit_price(1)], [WALLET], fee_payer=WALLET, action="post the job"))


def test_landed_at_once() -> None:
    rpc = FakeRpc()
    assert send(rpc).slot == 7
    assert len(rpc.sent) == 1


def test_the_same_bytes_again_until_they_land() -> None:
    rpc = FakeRpc(statuses=[None] * 10 + [CONFIRMED])
    send(rpc)
    assert len(rpc.sent) == 3
    assert len(set(rpc.sent)) == 1


def test_an_answer_that_was_lost_is_no_failure() -> None:
    rpc = FakeRpc(sends=[Unreachable("lost")])
    assert send(rpc).slot == 7


def test_processed_is_not_enough() -> None:
    rpc = FakeRpc(statuses=[SignatureStatus(7, None, "processed"), CONFIRMED])
    assert send(rpc).slot == 7


def test_expired_means_that_nothing_was_paid() -> None:
    rpc = FakeRpc(statuses=[None], heights=[1, 151])
    with pytest.raises(TransactionExpired, match="nothing was paid"):
        send(rpc)
    assert len(set(rpc.sent)) == 1


def test_landed_at_the_last_moment() -> None:
    looks = 5  # up to the question for the height
    assert send(FakeRpc(statuses=[None] * looks + [CONFIRMED], heights=[151])).slot == 7


def test_a_transaction_that_lands_soon_is_looked_for_and_nothing_else_is_asked() -> None:
    rpc = FakeRpc(statuses=[None] * 3 + [CONFIRMED])
    send(rpc)
    assert (rpc.asked, len(rpc.sent)) == (["status"] * 4, 1)


def test_seen_and_not_confirmed_is_not_called_anything_else() -> None:
    with pytest.raises(OutcomeUnknown):
        send(FakeRpc(statuses=[SignatureStatus(7, None, "processed")], heights=[151]))


def test_a_failed_simulation_sends_nothing() -> None:
    rpc = FakeRpc(simulation=Simulation({"InstructionError": [0, {"Custom": 0}]}, ["x already in use"], 0))
    with pytest.raises(ProgramError) as caught:
        send(rpc)
    assert (caught.value.name, caught.value.landed) == ("AccountAlreadyInUse", None)
    assert rpc.sent == []


def test_a_landed_failure_has_the_programs_word() -> None:
    rpc = FakeRpc(statuses=[SignatureStatus(7, {"InstructionError": [0, {"Custom": 6001}]}, "confirmed")])
    with pytest.raises(ProgramError) as caught:
        send(rpc)
    assert caught.value.name == "MarketInWrongState"
    assert caught.value.landed  # its fee is paid
