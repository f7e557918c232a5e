"""Sending: a transaction is signed once, and the same bytes are sent until they landed or can no longer land."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._libraries import solders
from .errors import Moved, NosanaError, OutcomeUnknown, Refused, TransactionExpired, UnexpectedAnswer, Unreachable
from .program import program_error, set_compute_unit_limit, set_compute_unit_price

if TYPE_CHECKING:
    from solders.instruction import Instruction
    from solders.keypair import Keypair

    from .clock import Clock
    from .rpc import Blockhash, Rpc, SignatureStatus, Transfer

LOWEST_PRIORITY_FEE, HIGHEST_PRIORITY_FEE = 10_000, 15_000_000  # micro-lamports for each compute unit
# Busy accounts that every fee market moves around: wrapped SOL and USDC.
_FEE_ACCOUNTS = ("So11111111111111111111111111111111111111112", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v")
_UNITS_HEADROOM, _UNITS_EXTRA = 1.2, 10_000
_UNITS_SPREAD = 8192
_MOST_UNITS = 1_400_000
_LAMPORTS_PER_SIGNATURE = 5_000
_POLL_SECONDS = 0.5
_POLLS_PER_RESEND = 4
# A blockhash lives for a minute or so, on a slow chain for three; who cannot be told its height has waited long enough then.
_LONGEST_SECONDS = 300.0
_LAST_LOOKS = 30
_LANDED = frozenset({"confirmed", "finalized"})
# From here on such answers say nothing of the transaction, which is on its way.
_NO_ANSWER = (Refused, UnexpectedAnswer)


@dataclass(frozen=True)
class Landed:
    """A transaction that took place."""

    signature: str
    slot: int


@dataclass(frozen=True)
class PriorityFee:
    """How the priority fee is found (facts §12.1): `fixed` micro-lamports for each compute unit, or else a percentile of the recent ones."""

    fixed: int | None = None
    percentile: float = 50.0


@dataclass(frozen=True)
class Quote:
    """What a simulation foretells: its compute units, the fees, and the tokens that it would move (None: the node does not tell)."""

    units: int
    unit_price: int
    fee_lamports: int
    transfers: tuple[Transfer, ...] | None


class Sender:
    """Makes transactions of instructions, and sees them through."""

    def __init__(self, rpc: Rpc, clock: Clock, priority: PriorityFee | None = None) -> None:
        self._rpc = rpc
        self._clock = clock
        self._priority = priority or PriorityFee()

    async def quote(self, instructions: Sequence[Instruction], signers: Sequence[Keypair], *, fee_payer: Keypair, action: str) -> Quote:
        """Simulates the transaction: nothing is sent and nothing paid. Raises what :meth:`send` would raise."""
        limit, price = set_compute_unit_limit(_MOST_UNITS), set_compute_unit_price(0)
        draft = self._sign([limit, price, *instructions], signers, fee_payer, str(solders.hash.Hash.default()))
        simulation, unit_price = await asyncio.gather(self._rpc.simulate_transaction(bytes(draft)), self._unit_price())
        if simulation.err is not None:
            raise program_error(simulation.err, simulation.logs, action=action)
        units = min(_MOST_UNITS, math.ceil(simulation.units * _UNITS_HEADROOM) + _UNITS_EXTRA)
        fee = _LAMPORTS_PER_SIGNATURE * len(draft.signatures) + math.ceil(units * unit_price / 1_000_000)
        own = len(draft.message.instructions) - len(instructions)
        transfers = simulation.transfers and tuple(replace(moved, instruction=moved.instruction - own) for moved in simulation.transfers)
        return Quote(units, unit_price, fee, transfers)

    async def blockhash(self) -> Blockhash:
        """For :meth:`send`, when it is asked for beside something else that takes its time."""
        return await self._rpc.get_latest_blockhash()

    async def send(
        self,
        instructions: Sequence[Instruction],
        signers: Sequence[Keypair],
        *,
        fee_payer: Keypair,
        action: str,
        quote: Quote | None = None,
        blockhash: Blockhash | None = None,
        still: Callable[[str], Awaitable[bool]] | None = None,
    ) -> Landed:
        """Returns when the transaction is confirmed.

        Raises ProgramError or InsufficientFunds when it fails, in nearly all cases before it costs anything; TransactionExpired when it
        can no longer land; OutcomeUnknown when the node cannot say. `still` is asked before every further sending, with the signature, whether
        there is still any sense in it; Moved is raised when there was not and it did not land. `action` says in errors what was tried, such as "post the job".
        """
        recent: Blockhash
        if quote is None:
            quoting = self.quote(instructions, signers, fee_payer=fee_payer, action=action)
            asked, recent = await asyncio.gather(quoting, self.blockhash())
        else:
            asked, recent = quote, blockhash or await self.blockhash()
        # Two runs that do the same at the same moment would sign the same bytes, and both take the one transaction for their own.
        units = min(_MOST_UNITS, asked.units + int(self._clock.random() * _UNITS_SPREAD))
        budget = [set_compute_unit_limit(units), set_compute_unit_price(asked.unit_price)]
        transaction = self._sign([*budget, *instructions], signers, fee_payer, recent.hash)
        signature = str(transaction.signatures[0])
        try:
            landed = await self._see_through(bytes(transaction), signature, recent.last_valid_block_height, action, still)
        except Unreachable as error:
            raise OutcomeUnknown(
                f"The Solana RPC node stopped answering, so it is not known whether the transaction {signature} to {action} landed; "
                "the next run finds out what became of it.",
                **error.details,
            ) from None
        self._rpc.not_before(landed.slot)
        return landed

    async def _see_through(
        self, raw: bytes, signature: str, last_valid_block_height: int, action: str, still: Callable[[str], Awaitable[bool]] | None
    ) -> Landed:
        polls, give_up, sensible = 0, self._clock.monotonic() + _LONGEST_SECONDS, True
        while True:
            if polls % _POLLS_PER_RESEND == 0 and polls and still is not None:
                sensible = sensible and await still(signature)
            if polls % _POLLS_PER_RESEND == 0 and sensible:
                try:
                    await self._rpc.send_transaction(raw, action=action, everywhere=polls > 0)
                except NosanaError as error:
                    # It may have landed by an earlier sending, whose answer was lost. Only a clear refusal of the first sending says that it
                    # has not; later ones may come of the transaction itself, which one node behind an address knows and another does not.
                    refused = polls == 0 and _is_refusal(error) and error.details.get("error") != "AlreadyProcessed"
                    if refused and not await self._is_known(signature, again=getattr(error, "name", None) == "AccountAlreadyInUse"):
                        raise
            polls += 1
            landed = await self._look(signature, action)
            if landed is not None:
                return landed
            if await self._height() > last_valid_block_height:
                try:
                    return await self._last_look(signature, last_valid_block_height, action)
                except TransactionExpired:
                    if sensible:
                        raise
                    raise Moved(f"Somebody else was first while it was tried to {action}; nothing was paid. Run it again.") from None
            if self._clock.monotonic() > give_up:
                raise OutcomeUnknown(
                    f"The Solana RPC node did not tell in {_LONGEST_SECONDS:g} s what became of the transaction {signature} to {action}; "
                    "the next run finds out."
                )
            await self._clock.sleep(_POLL_SECONDS)

    async def _is_known(self, signature: str, *, again: bool) -> bool:
        """Whether the refused transaction is on its way after all. An account that is in use already may be its own work: one copy of the
        request was processed, its answer lost, and the next copy refused; so then the question is asked again for a moment.
        """
        for _attempt in range(_POLLS_PER_RESEND if again else 1):
            try:
                if (await self._rpc.get_signature_statuses([signature]))[0] is not None:
                    return True
            except _NO_ANSWER:
                again = True
            if again:
                await self._clock.sleep(_POLL_SECONDS)
        return False

    async def _height(self) -> int:
        try:
            return await self._rpc.get_block_height()
        except _NO_ANSWER:
            return 0

    async def _look(self, signature: str, action: str) -> Landed | None:
        try:
            status = (await self._rpc.get_signature_statuses([signature]))[0]
        except _NO_ANSWER:
            return None
        return await self._landed(status, signature, action)

    async def _landed(self, status: SignatureStatus | None, signature: str, action: str) -> Landed | None:
        if status is None or status.confirmation not in _LANDED:
            return None
        if status.err is not None:
            raise program_error(status.err, await self._logs(signature), action=action)
        return Landed(signature, status.slot)

    async def _logs(self, signature: str) -> list[str]:
        """They only word the error better, so it is raised without them too."""
        try:
            return await self._rpc.get_transaction_logs(signature)
        except NosanaError:
            return []

    async def _last_look(self, signature: str, last_valid_block_height: int, action: str) -> Landed:
        """The blockhash has expired. That a node does not know the transaction proves something only if that node has got as far, too."""
        expired_at: int | None = None
        for _attempt in range(_LAST_LOOKS):
            try:
                if expired_at is None:
                    slot, height = await self._rpc.get_slot_and_height()
                    expired_at = slot if height > last_valid_block_height else None
                slot, (status,) = await self._rpc.get_signature_statuses_at([signature])
            except _NO_ANSWER:
                await self._clock.sleep(_POLL_SECONDS)
                continue
            landed = await self._landed(status, signature, action)
            if landed is not None:
                return landed
            if status is None and expired_at is not None and slot >= expired_at:
                raise TransactionExpired(
                    f"The transaction to {action} did not land in time and never will; nothing was paid. Run it again."
                )
            await self._clock.sleep(_POLL_SECONDS)
        raise OutcomeUnknown(
            f"The transaction {signature} to {action} is not confirmed, and the Solana RPC node cannot say that it never will be; "
            "the next run finds out what became of it."
        )

    def _sign(
        self, instructions: Sequence[Instruction], signers: Sequence[Keypair], fee_payer: Keypair, blockhash: str
    ) -> solders.transaction.VersionedTransaction:
        message = solders.message.MessageV0.try_compile(
            fee_payer.pubkey(), list(instructions), [], solders.hash.Hash.from_string(blockhash)
        )
        return solders.transaction.VersionedTransaction(message, _in_order(message, signers))

    async def _unit_price(self) -> int:
        if self._priority.fixed is not None:
            return self._priority.fixed
        try:
            recent = await self._rpc.get_recent_prioritization_fees(_FEE_ACCOUNTS)
        except NosanaError:
            recent = []
        return priority_fee(recent, percentile=self._priority.percentile)


def _is_refusal(error: NosanaError) -> bool:
    """Whether a node says that it did not take the transaction; an answer that cannot be read says nothing."""
    return not error.retryable and not isinstance(error, UnexpectedAnswer)


def priority_fee(
    recent: Sequence[int],
    *,
    percentile: float = 50.0,
    lowest: int = LOWEST_PRIORITY_FEE,
    highest: int = HIGHEST_PRIORITY_FEE,
) -> int:
    """Micro-lamports for each compute unit: a percentile of the recent fees, within bounds."""
    if not recent:
        return lowest
    fees = sorted(recent)
    index = min(len(fees) - 1, math.floor(max(0.0, min(100.0, percentile)) / 100 * (len(fees) - 0.01)))
    return min(max(fees[index], lowest), highest)


def _in_order(message: solders.message.MessageV0, signers: Sequence[Keypair]) -> list[Keypair]:
    """The message's signers, each once, in the order in which it wants their signatures."""
    by_key = {signer.pubkey(): signer for signer in signers}
    return [by_key[key] for key in message.account_keys[: message.header.num_required_signatures]]
