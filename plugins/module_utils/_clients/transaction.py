"""Sending: a transaction is signed once, and the same bytes are sent until they landed or can no longer land."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from .._libraries import solders
from .errors import InsufficientFunds, Moved, NosanaError, OutcomeUnknown, ProgramError, Refused, TransactionExpired, Unreachable
from .program import MOST_LOADED_BYTES, program_error, set_compute_unit_limit, set_compute_unit_price, set_loaded_accounts_limit

if TYPE_CHECKING:
    from solders.instruction import Instruction
    from solders.keypair import Keypair

    from .clock import Clock
    from .rpc import Blockhash, Rpc, Transfer

Answer = TypeVar("Answer")

LOWEST_PRIORITY_FEE, HIGHEST_PRIORITY_FEE = 10_000, 15_000_000  # micro-lamports for each compute unit
# Busy accounts that every fee market moves around: wrapped SOL and USDC.
_FEE_ACCOUNTS = ("So11111111111111111111111111111111111111112", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v")
_UNITS_HEADROOM, _UNITS_EXTRA = 1.2, 10_000
_MOST_UNITS = 1_400_000
_LAMPORTS_PER_SIGNATURE = 5_000
_POLL_SECONDS = 0.5
_POLLS_PER_RESEND = 4
_LONG_POLL_SECONDS = 5.0
# Longer than any blockhash lives, for a node whose block height stands still.
_LONGEST_WAIT_SECONDS = 180.0
_LAST_LOOKS = 20
# So many blocks after a slot no blockhash of it lives any more: 150, and as many as a node's history may lag behind its blocks.
_SETTLED_BLOCKS = 150 + 20
# So many slots have as many blocks even where every second one has none.
_SETTLED_SLOTS = 2 * _SETTLED_BLOCKS
_SLOT_SECONDS = 0.4
# Preflight failed, signature wrong, no such method, parameters wrong (too large): such a node has passed nothing on.
_CLEAR_CODES = (-32002, -32003, -32600, -32601, -32602)
_LANDED = frozenset({"confirmed", "finalized"})


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


class _Unreadable(Exception):
    """A node could not be asked after something was sent."""

    def __init__(self, cause: NosanaError) -> None:
        super().__init__(str(cause))
        self.cause = cause


async def _readable(question: Awaitable[Answer]) -> Answer:
    try:
        return await question
    except NosanaError as error:
        raise _Unreadable(error) from None


def _is_clear(error: NosanaError) -> bool:
    """Whether a node has looked at the transaction and refuses it, rather than being unwell itself.

    One that does not know its blockhash is behind, or its time is over: the block height decides that, as for any other that does not land.
    """
    if isinstance(error, (ProgramError, InsufficientFunds)):
        return True
    if error.details.get("error") in ("AlreadyProcessed", "BlockhashNotFound"):
        return False
    return isinstance(error, Refused) and (
        error.details.get("rpc_code") in _CLEAR_CODES or "status" in error.details or "error" in error.details
    )


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
        """Returns when the transaction is confirmed. `still` is asked before it is sent again, with the signature, whether that makes sense.

        Raises ProgramError or InsufficientFunds when it fails, in nearly all cases before it costs anything; TransactionExpired when it
        can no longer land; OutcomeUnknown when the node cannot say. `action` says in errors what was tried, such as "post the job".
        """
        recent: Blockhash
        if quote is None:
            quoting = self.quote(instructions, signers, fee_payer=fee_payer, action=action)
            asked, recent = await asyncio.gather(quoting, self.blockhash())
        else:
            asked, recent = quote, blockhash or await self.blockhash()
        budget = [set_compute_unit_limit(asked.units), set_compute_unit_price(asked.unit_price), self._mark()]
        transaction = self._sign([*budget, *instructions], signers, fee_payer, recent.hash)
        raw, signature = bytes(transaction), str(transaction.signatures[0])
        await self._send_first(raw, signature, action)
        try:
            landed = await self._see_through(raw, signature, recent.last_valid_block_height, action, still)
        except _Unreadable as error:
            raise OutcomeUnknown(
                f"The Solana RPC node stopped answering, so it is not known whether the transaction {signature} to {action} landed; "
                "the next run finds out what became of it.",
                **{**error.cause.details, "signature": signature},
            ) from None
        self._rpc.not_before(landed.slot)
        return landed

    async def outlast(self, slot: int, seen_slot: int, begin: Callable[[float], None]) -> bool:
        """Waits until no transaction can land any more whose blockhash is of `slot` or older; returns whether some still could.

        `seen_slot`: one that the chain has reached for certain. `begin` is told for how many seconds, roughly, before the waiting begins.
        """
        if seen_slot > slot + _SETTLED_SLOTS:
            return False
        (reached, height), of_slot = await asyncio.gather(self._rpc.get_height(), self._rpc.get_block_height(slot))
        begun, waited = self._clock.monotonic(), False
        while (left := slot + _SETTLED_SLOTS - reached if of_slot is None else of_slot + _SETTLED_BLOCKS - height) >= 0:
            if not waited:
                begin(left * _SLOT_SECONDS)
                waited = True
            elif self._clock.monotonic() - begun > _LONGEST_WAIT_SECONDS:
                raise Unreachable(
                    f"The block height of the Solana RPC node stands still at {height}; set rpc_url or NOSANA_RPC_URL to another node."
                )
            await self._clock.sleep(min(max(_POLL_SECONDS, left * _SLOT_SECONDS), _LONG_POLL_SECONDS))
            reached, height = await self._rpc.get_height()
        self._rpc.not_before(reached)
        return waited

    async def _send_first(self, raw: bytes, signature: str, action: str) -> None:
        """Raises when the node clearly refuses the transaction and knows nothing of it.

        What it refuses may have landed by another copy of the same request, whose answer was lost; then the refusal is that copy's own work
        ("already in use"). So the signature is asked for, and for a moment again, before a refusal is believed.
        """
        try:
            await self._rpc.send_transaction(raw, action=action)
        except NosanaError as error:
            if not _is_clear(error):
                return
            for attempt in range(_POLLS_PER_RESEND):
                if attempt:
                    await self._clock.sleep(_POLL_SECONDS)
                try:
                    _slot, status = await self._rpc.get_signature_status(signature)
                except NosanaError:
                    continue
                if status is not None:
                    return
            error.details["signature"] = signature
            raise

    async def _see_through(
        self, raw: bytes, signature: str, last_valid_block_height: int, action: str, still: Callable[[str], Awaitable[bool]] | None
    ) -> Landed:
        begun, polls, sensible = self._clock.monotonic(), 0, True
        while True:
            landed = await self._look(signature, action)
            if landed is not None:
                return landed
            if polls and polls % _POLLS_PER_RESEND == 0:  # a blockhash lives for a minute: whether it is over is asked less often
                slot, height = await _readable(self._rpc.get_height())
                if height > last_valid_block_height:
                    try:
                        return await self._last_look(signature, slot, action)
                    except TransactionExpired:
                        if sensible:
                            raise
                        raise Moved(
                            f"Somebody else was first while it was tried to {action}; nothing was paid, so run the task again."
                        ) from None
            if self._clock.monotonic() - begun > _LONGEST_WAIT_SECONDS:
                raise self._unknown(signature, action)
            await self._clock.sleep(_POLL_SECONDS)
            polls += 1
            if polls % _POLLS_PER_RESEND:
                continue
            sensible = sensible and (still is None or await still(signature))
            if sensible:
                with contextlib.suppress(NosanaError):  # what a node says to a later sending decides nothing
                    await self._rpc.send_transaction(raw, action=action, everywhere=True)

    async def _look(self, signature: str, action: str) -> Landed | None:
        _slot, status = await _readable(self._rpc.get_signature_status(signature))
        if status is None or status.confirmation not in _LANDED:
            return None
        if status.err is not None:
            error = program_error(status.err, await self._logs(signature), action=action)
            error.landed = signature
            raise error
        return Landed(signature, status.slot)

    async def _last_look(self, signature: str, expired_slot: int, action: str) -> Landed:
        """It can land no more. That it did not is believed of a node that has reached the slot of which this is known."""
        for _attempt in range(_LAST_LOOKS):
            landed = await self._look(signature, action)
            if landed is not None:
                return landed
            slot, status = await _readable(self._rpc.get_signature_status(signature))
            if status is None and slot >= expired_slot:
                self._rpc.not_before(slot)
                raise TransactionExpired(
                    f"The transaction to {action} did not land in time and never will, so nothing was paid; run the task again, and if that "
                    "repeats itself, set rpc_url or NOSANA_RPC_URL to another node.",
                    signature=signature,
                )
            await self._clock.sleep(_POLL_SECONDS)
        raise self._unknown(signature, action)

    def _unknown(self, signature: str, action: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"The transaction {signature} to {action} is not confirmed yet and may still land; the next run finds out what became of it.",
            signature=signature,
        )

    async def _logs(self, signature: str) -> list[str]:
        """By these errors are told apart, so a node that does not have them yet is asked for a moment; the error is raised without them too."""
        for attempt in range(_POLLS_PER_RESEND):
            if attempt:
                await self._clock.sleep(_POLL_SECONDS)
            with contextlib.suppress(NosanaError):
                logs = await self._rpc.get_transaction_logs(signature)
                if logs:
                    return logs
        return []

    def _mark(self) -> Instruction:
        """Makes the transaction unlike any other, and does nothing else: each value is above the runtime's own bound.

        Two runs that do the same at the same moment would otherwise sign the same bytes, which land once, and both would report it as theirs.
        """
        return set_loaded_accounts_limit(MOST_LOADED_BYTES + int(self._clock.random() * (2**32 - MOST_LOADED_BYTES)))

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
