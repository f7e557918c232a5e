"""Carries out a plan: one transaction for all that belongs together, and what it did to the wallet, as the ledger shows it."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .._clients import program as jobs_program
from .._clients.errors import Moved, NosanaError, NotFound, OutcomeUnknown, Refused, TransactionExpired
from .._clients.ipfs import cid_to_bytes
from .plan import Clean, Desired, Extend, Post, Remove

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .._clients.rpc import Blockhash, Rpc, Transaction, Transfer
    from .._clients.transaction import Quote, Sender
    from .._libraries import solders
    from .identity import Identity
    from .observation import ObservedJob
    from .plan import Action

# Names of refusals that mean that the chain moved on: a host took the job, finished it or gave it up, somebody else posted or extended it.
MOVED_ON = frozenset(
    {
        "AccountAlreadyInUse",
        "AccountNotInitialized",
        "AccountOwnedByWrongProgram",
        "InvalidJobAccount",
        "InvalidPayer",
        "JobInWrongState",
        "JobTimeoutNotGreater",
        "LamportsNonNull",
        "MarketInWrongState",
        "NotInMarketQueue",
    }
)
# A transaction has 1,232 bytes: so many accounts fit into it beside the instructions that name them.
_KEYS_OF_CLEANING = 20
CLOSING = ("delist", "recover", "clean")
# A blockhash is good for a minute or so; one that pinning has used up much of is asked for anew.
_STALE_BLOCKHASH_SECONDS = 20.0
# An address that was looked at while the definition was pinned is looked at again when that took longer.
_SLOW_PINNING_SECONDS = 1.0
_MOST_SIGNATURES = 1000
_RECEIPT_ATTEMPTS, _RECEIPT_SLEEP_SECONDS = 10, 0.5


@dataclass(frozen=True)
class Done:
    """One action that took place. `nos_base_units`: what it did to the wallet's NOS, None when the ledger could not be asked."""

    kind: str
    job: str
    signature: str
    detail: str
    nos_base_units: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the module's result."""
        return {
            "action": self.kind,
            "job": self.job,
            "signature": self.signature,
            "detail": self.detail,
            "nos_base_units": self.nos_base_units,
        }


@dataclass(frozen=True)
class BalanceChange:
    """What transactions did to the wallet: NOS base units, lamports in all, and the part of these that went into fees."""

    nos_base_units: int = 0
    lamports: int = 0
    fee_lamports: int = 0

    def __add__(self, other: BalanceChange) -> BalanceChange:
        return BalanceChange(
            self.nos_base_units + other.nos_base_units, self.lamports + other.lamports, self.fee_lamports + other.fee_lamports
        )

    def as_dict(self) -> dict[str, int]:
        """As it stands in the module's result."""
        return {"nos_base_units": self.nos_base_units, "lamports": self.lamports, "fee_lamports": self.fee_lamports}


@dataclass(frozen=True)
class Step:
    """One action within a draft: the instructions from `first` up to `end` are its own."""

    kind: str
    job: str
    detail: str
    first: int
    end: int


@dataclass(frozen=True)
class Draft:
    """A transaction that is not signed yet. `what` is for errors: "post the job"."""

    what: str
    steps: tuple[Step, ...]
    instructions: tuple[solders.instruction.Instruction, ...]
    signers: tuple[solders.keypair.Keypair, ...]


@dataclass(frozen=True)
class Prepared:
    """A draft, with a quote and a blockhash from a moment on the monotonic clock; or with the error that it would meet, or with neither."""

    draft: Draft
    quote: Quote | None = None
    blockhash: Blockhash | None = None
    at_seconds: float = 0.0
    error: NosanaError | None = None

    def network_fee(self, own: str, deposit: int) -> int | None:
        """What leaves the token account `own` beside the deposit, in NOS base units; None where the node does not tell."""
        if self.quote is None or self.quote.transfers is None:
            return None
        paid = sum(
            transfer.amount
            for step in self.draft.steps
            for transfer in self.quote.transfers
            if step.kind in ("post", "extend") and step.first <= transfer.instruction < step.end and transfer.source == own
        )
        return paid - deposit if paid >= deposit else None


@dataclass(frozen=True)
class Receipt:
    """What a landed transaction did; `change` None when the ledger could not be asked."""

    done: tuple[Done, ...]
    change: BalanceChange | None
    warnings: tuple[str, ...] = ()


class Applier:
    """The only part that spends: every transaction of the job service is built and sent here."""

    def __init__(self, rpc: Rpc, ipfs: Ipfs, sender: Sender, network: Network, wallet: solders.keypair.Keypair, clock: Clock) -> None:
        self._rpc = rpc
        self._ipfs = ipfs
        self._sender = sender
        self._network = network
        self._program = jobs_program.Program(network)
        self._wallet = wallet
        self._owner = str(wallet.pubkey())
        self._clock = clock

    # --- building -----------------------------------------------------------------------------------------------------

    def drafts(
        self,
        actions: Sequence[Action],
        *,
        desired: Desired | None = None,
        identity: Identity | None = None,
        generation: int = 0,
        token_account_missing: bool = False,
    ) -> list[Draft]:
        """The transactions of a plan. A removal and the posting that takes its place are one: both happen, or neither."""
        cleaning = [action for action in actions if isinstance(action, Clean)]
        others = [action for action in actions if not isinstance(action, Clean)]
        drafts = []
        if others:
            builder = _Builder(self._program, self._owner, [self._wallet])
            if token_account_missing and any(not isinstance(action, Remove) or action.job.account.price for action in others):
                # The program wants the wallet's NOS token account to exist, on free markets too (facts §13.15).
                builder.add(self._program.create_token_account_idempotent(payer=self._owner, owner=self._owner))
            for action in others:
                if isinstance(action, Post):
                    if desired is None or identity is None:
                        raise NosanaError("A job can only be posted from a declaration.")
                    builder.post(action, desired, identity, generation)
                elif isinstance(action, Extend):
                    builder.extend(action)
                elif isinstance(action, Remove):
                    builder.remove(action.job)
            drafts.append(builder.draft())
        for batch in _batches(cleaning):
            builder = _Builder(self._program, self._owner, [self._wallet])
            for closing in batch:
                builder.clean(closing.job)
            drafts.append(builder.draft())
        return drafts

    # --- asking and sending -------------------------------------------------------------------------------------------

    async def prepare(self, draft: Draft) -> Prepared:
        """What the transaction would cost, or the error that it would meet, and a blockhash for it; nothing is sent."""
        quoting = self._sender.quote(draft.instructions, draft.signers, fee_payer=self._wallet, action=draft.what)
        try:
            quote, blockhash = await asyncio.gather(quoting, self._sender.blockhash())
        except NosanaError as error:
            return Prepared(draft, error=error)
        return Prepared(draft, quote, blockhash, self._clock.monotonic())

    async def carry_out(self, prepared: Prepared, *, document: dict[str, Any] | None = None) -> Receipt:
        """Pins `document` where the transaction posts one, sends it and sees it through, and reads from the ledger what it did."""
        draft, blockhash = prepared.draft, prepared.blockhash
        posted = next((step.job for step in draft.steps if step.kind == "post"), None)
        looked: float | None = None  # when it was last seen whether the address is unused, on the monotonic clock
        unused = False
        if document is not None and posted is not None:
            looked = self._clock.monotonic()
            _cid, unused = await asyncio.gather(self._ipfs.pin_json(document), self._is_unused(posted))
        if blockhash is None or self._clock.monotonic() - prepared.at_seconds > _STALE_BLOCKHASH_SECONDS:
            blockhash, looked = await self._sender.blockhash(), None
        if posted is not None:
            # Looked at after the blockhash was given: so ours is over when those are that are as old as the first use of the address.
            if looked is None or (unused and self._clock.monotonic() - looked > _SLOW_PINNING_SECONDS):
                unused = await self._is_unused(posted)
            if not unused:
                raise Moved(f"The job {posted} appeared while it was about to be posted; nothing was paid, so run the task again.")
        try:
            landed = await self._sender.send(
                draft.instructions,
                draft.signers,
                fee_payer=self._wallet,
                action=draft.what,
                quote=prepared.quote,
                blockhash=blockhash,
                still=None if posted is None else partial(self._is_still_unused, posted),
            )
        except TransactionExpired as error:
            if not await self._may_have_landed(draft):
                raise
            signature = error.details.get("signature")
            raise OutcomeUnknown(
                f"The Solana RPC node knows no transaction {signature} to {draft.what}, but the accounts that it shows are as if it had landed; "
                "the next run finds out what became of it.",
                signature=signature,
            ) from None
        return self._receipt(draft, landed.signature, await self._landed(landed.signature))

    async def _is_unused(self, job: str, signature: str = "") -> bool:
        """Whether nobody has used a job's address yet, but for the transaction with that signature. Where another run has posted there and its
        job was taken away since, the chain would take ours, beside the job of the next generation.
        """
        newest = await self._rpc.get_signatures_for_address(job, limit=1)
        return all(entry.signature == signature for entry in newest)

    async def _is_still_unused(self, job: str, signature: str) -> bool:
        """The same once it was sent: then not knowing is no reason to stop sending."""
        try:
            return await self._is_unused(job, signature)
        except NosanaError:
            return True

    async def first_use(self, job: str) -> int:
        """The slot in which a job's address was first used; 0 where that was before the node's history. Whatever was signed while it was
        unused has an older blockhash, see :meth:`carry_out`.
        """
        history = await self._rpc.get_signatures_for_address(job, limit=_MOST_SIGNATURES)
        return history[-1].slot if history else 0

    async def _may_have_landed(self, draft: Draft) -> bool:
        """Whether what the transaction would open is there, and what it would close is gone: by its accounts a node may know what it does not
        know by its signature.
        """
        steps = [step for step in draft.steps if step.kind in ("post", *CLOSING)]
        try:
            accounts = await self._rpc.get_multiple_accounts([step.job for step in steps])
        except NosanaError:
            return False
        return bool(steps) and all((account is not None) == (step.kind == "post") for step, account in zip(steps, accounts, strict=True))

    async def lost(self, error: NosanaError) -> BalanceChange | None:
        """What a transaction that failed has cost: nothing, or its fee where it failed on the chain itself; None while nobody knows."""
        if isinstance(error, OutcomeUnknown):
            return None
        if error.landed is None:
            return BalanceChange()
        transaction = await self._landed(error.landed)
        return None if transaction is None else self._change(transaction)

    async def landed_after_all(self, draft: Draft, signature: str) -> Receipt | None:
        """What a transaction did whose sending was refused, if it landed by another copy of the request."""
        try:
            _slot, status = await self._rpc.get_signature_status(signature)
        except NosanaError:
            return None
        if status is None or status.err is not None:
            return None
        return self._receipt(draft, signature, await self._landed(signature))

    async def _landed(self, signature: str) -> Transaction | None:
        for attempt in range(_RECEIPT_ATTEMPTS):
            try:
                transaction = await self._rpc.get_transaction(signature)
            except NosanaError:
                transaction = None
            if transaction is not None:
                return transaction
            if attempt + 1 < _RECEIPT_ATTEMPTS:
                await self._clock.sleep(_RECEIPT_SLEEP_SECONDS)
        return None

    def _receipt(self, draft: Draft, signature: str, transaction: Transaction | None) -> Receipt:
        """What a landed transaction did to the wallet, by action."""
        own = jobs_program.token_account(self._owner, self._network.nos_mint)
        if transaction is None:
            unknown = f"The RPC node does not show the transaction {signature}, so what it did to the balances is not reported."
            return Receipt(tuple(Done(step.kind, step.job, signature, step.detail) for step in draft.steps), None, (unknown,))
        budget = len([call for call in transaction.calls if call.program == jobs_program.COMPUTE_BUDGET_PROGRAM])
        moved = [_moved(transaction.transfers, own, step.first + budget, step.end + budget) for step in draft.steps]
        # A node that does not list what programs called shows less than it did.
        whole = sum(moved) == transaction.tokens_change.get(own, 0)
        done = tuple(
            Done(step.kind, step.job, signature, step.detail, amount if whole else None)
            for step, amount in zip(draft.steps, moved, strict=True)
        )
        return Receipt(done, self._change(transaction), tuple(self._created(draft, transaction)))

    def _change(self, transaction: Transaction) -> BalanceChange:
        own = jobs_program.token_account(self._owner, self._network.nos_mint)
        return BalanceChange(
            transaction.tokens_change.get(own, 0), transaction.lamports_change.get(self._owner, 0), transaction.fee_lamports
        )

    def _created(self, draft: Draft, transaction: Transaction) -> Iterator[str]:
        for instruction in draft.instructions:
            if str(instruction.program_id) == jobs_program.TOKEN_ACCOUNT_PROGRAM:
                account, owner = str(instruction.accounts[1].pubkey), str(instruction.accounts[2].pubkey)
                rent = transaction.lamports_change.get(account, 0)
                if rent > 0:
                    yield f"The NOS token account {account} of {owner} did not exist and was created; its rent is {rent} lamports."


class _Builder:
    """Collects the instructions of one transaction, and which action each belongs to."""

    def __init__(self, program: jobs_program.Program, owner: str, signers: list[solders.keypair.Keypair]) -> None:
        self._program = program
        self._owner = owner
        self._signers = signers
        self._instructions: list[solders.instruction.Instruction] = []
        self._steps: list[Step] = []

    def add(self, instruction: solders.instruction.Instruction) -> None:
        """An instruction that belongs to no action."""
        self._instructions.append(instruction)

    def draft(self) -> Draft:
        what = " and ".join(dict.fromkeys(f"{step.kind} the job" for step in self._steps))
        return Draft(what, tuple(self._steps), tuple(self._instructions), tuple(self._signers))

    def _step(self, kind: str, job: str, detail: str, *instructions: solders.instruction.Instruction) -> None:
        first = len(self._instructions)
        self._instructions += instructions
        self._steps.append(Step(kind, job, detail, first, len(self._instructions)))

    def post(self, action: Post, desired: Desired, identity: Identity, generation: int) -> None:
        job_key, run_key = identity.key(generation, "job"), identity.key(generation, "run")
        self._signers += [job_key, run_key]
        job = str(job_key.pubkey())
        listing: dict[str, Any] = {
            "job": job,
            "market": action.market,
            "run": str(run_key.pubkey()),
            "payer": self._owner,
            "project": self._owner,
            "ipfs_job": cid_to_bytes(desired.cid),
            "timeout_seconds": action.timeout_seconds,
        }
        if action.node is None:
            self._step("post", job, f"posted in market {action.market} for {action.timeout_seconds} s", self._program.list_job(**listing))
        else:
            detail = f"posted in market {action.market} for {action.timeout_seconds} s, assigned to the host {action.node}"
            self._step("post", job, detail, self._program.assign(**listing, node=action.node))

    def extend(self, action: Extend) -> None:
        account = action.job.account
        if account.price and account.payer != self._owner:
            raise Refused(f"The job {action.job.address} was paid by {account.payer}, and only that wallet can extend it.")
        extension = self._program.extend(
            job=action.job.address,
            market=account.market,
            payer=account.payer,
            project=account.project,
            timeout_seconds=action.timeout_seconds,
        )
        self._step("extend", action.job.address, f"timeout from {account.timeout_seconds} s to {action.timeout_seconds} s", extension)

    def remove(self, job: ObservedJob) -> None:
        account, address = job.account, job.address
        common = {"job": address, "market": account.market, "project": account.project}
        if job.phase == "queued":
            detail = "taken out of the queue, deposit and rent returned"
            self._step("delist", address, detail, self._program.delist(**common, payer=account.payer))
        elif job.phase == "stopped":
            detail = "given up by its host, deposit and rent returned"
            self._step("recover", address, detail, self._program.recover(**common, payer=account.payer))
        elif job.run is not None and job.run_address is not None:
            ending = self._program.end(**common, run=job.run_address, run_payer=job.run.payer, job_payer=account.payer, node=job.run.node)
            # The program pays the host into its NOS token account, which has to exist (facts §13.15).
            paying = [self._program.create_token_account_idempotent(payer=self._owner, owner=job.run.node)] if account.price else []
            self._step("end", address, "ended, the host is paid for the time it ran and the rest returned", *paying, ending)
        elif job.phase == "running":
            raise NotFound(
                f"The host that runs the job {address} is not known, because the RPC node refuses getProgramAccounts, so the job cannot be "
                "ended; set rpc_url to a node that allows it."
            )
        elif job.phase == "unknown":
            raise Refused(
                f"The job {address} is in the state {account.state}, which this version of the collection does not know, so it cannot be removed "
                "or replaced and nothing was done; look for an update of nosana.compute."
            )
        else:
            raise NotFound(f"The job {address} is neither queued nor running, so there is nothing to remove.")

    def clean(self, job: ObservedJob) -> None:
        cleaning = self._program.clean(job=job.address, market=job.account.market, payer=job.account.payer)
        self._step("clean", job.address, "account closed, rent returned", cleaning)


def _batches(cleaning: Sequence[Clean]) -> Iterator[list[Clean]]:
    """As many closings together as fit into one transaction."""
    batch: list[Clean] = []
    keys: set[str] = set()
    for action in sorted(cleaning, key=lambda each: each.job.account.market):
        more = {action.job.address, action.job.account.market, action.job.account.payer}
        if len(keys | more) > _KEYS_OF_CLEANING:
            yield batch
            batch, keys = [], set()
        batch.append(action)
        keys |= more
    if batch:
        yield batch


def _moved(transfers: Sequence[Transfer], own: str, first: int, end: int) -> int:
    """What the instructions from `first` up to `end` did to a token account."""
    within = [transfer for transfer in transfers if first <= transfer.instruction < end]
    return sum(transfer.amount * ((transfer.destination == own) - (transfer.source == own)) for transfer in within)
