"""Carries out a plan: pins the definition, sends the transactions, and says what was done."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._clients import program as jobs_program
from .._clients.errors import NosanaError, NotFound, ProgramError
from .._clients.ipfs import cid_to_bytes
from .plan import Desired, Extend, Post, Remove

if TYPE_CHECKING:
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .._clients.rpc import Rpc
    from .._clients.transaction import Sender
    from .._libraries import solders
    from .identity import Identity
    from .observe import ObservedJob, Observer
    from .plan import Action

# A host may take a job between our read and our delist, or finish it before our end: the job is read again and the right thing done.
_MOVED_ON = frozenset(
    {
        "MarketInWrongState",
        "NotInMarketQueue",
        "JobInWrongState",
        "AccountNotInitialized",
        "InvalidJobAccount",
        "AccountOwnedByWrongProgram",
    }
)
_REMOVE_ATTEMPTS = 4


@dataclass(frozen=True)
class Done:
    """One action that took place."""

    kind: str
    job: str
    signature: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the module's result."""
        return {"action": self.kind, "job": self.job, "signature": self.signature, "detail": self.detail}


class Applier:
    """The only part that spends: every transaction of the job service is built here."""

    def __init__(self, rpc: Rpc, ipfs: Ipfs, sender: Sender, observer: Observer, network: Network, wallet: solders.keypair.Keypair) -> None:
        self._rpc = rpc
        self._ipfs = ipfs
        self._sender = sender
        self._observer = observer
        self._network = network
        self._program = jobs_program.Program(network)
        self._wallet = wallet
        self._owner = str(wallet.pubkey())

    async def apply(self, action: Action, desired: Desired | None, identity: Identity, generation: int) -> Done | None:
        """Does one action; None when it turned out that nothing was left to do."""
        if isinstance(action, Post):
            if desired is None:
                raise NosanaError("A job can only be posted from a declaration.")
            return await self._post(action, desired, identity, generation)
        if isinstance(action, Extend):
            return await self._extend(action)
        return await self._remove(action)

    async def _post(self, action: Post, desired: Desired, identity: Identity, generation: int) -> Done:
        cid = await self._ipfs.pin_json(desired.document)
        job_key, run_key = identity.key(generation, "job"), identity.key(generation, "run")
        listing = self._program.list_job(
            job=str(job_key.pubkey()),
            market=action.market,
            run=str(run_key.pubkey()),
            payer=self._owner,
            project=self._owner,
            ipfs_job=cid_to_bytes(cid),
            timeout_seconds=action.timeout_seconds,
        )
        landed = await self._sender.send(
            [*await self._token_account_if_missing(self._owner), listing],
            [self._wallet, job_key, run_key],
            fee_payer=self._wallet,
            action="post the job",
        )
        return Done("post", str(job_key.pubkey()), landed.signature, f"posted in market {action.market} for {action.timeout_seconds} s")

    async def _extend(self, action: Extend) -> Done:
        account = action.job.account
        extension = self._program.extend(
            job=action.job.address,
            market=account.market,
            payer=account.payer,
            project=self._owner,
            timeout_seconds=action.timeout_seconds,
        )
        landed = await self._sender.send([extension], [self._wallet], fee_payer=self._wallet, action="extend the job")
        return Done(
            "extend", action.job.address, landed.signature, f"timeout from {account.timeout_seconds} s to {action.timeout_seconds} s"
        )

    async def _remove(self, action: Remove) -> Done | None:
        job: ObservedJob | None = action.job
        for attempt in range(1, _REMOVE_ATTEMPTS + 1):
            if job is None or not job.active:
                return None
            try:
                return await self._remove_once(job)
            except ProgramError as error:
                if error.name not in _MOVED_ON or attempt == _REMOVE_ATTEMPTS:
                    raise
            job = await self._observer.refresh(job)
        return None

    async def _remove_once(self, job: ObservedJob) -> Done:
        account = job.account
        if job.phase == "queued":
            kind, detail = "delist", "taken out of the queue, deposit and rent returned"
            instructions = [self._program.delist(job=job.address, market=account.market, payer=account.payer, project=self._owner)]
        elif job.phase == "running" and job.run is not None and job.run_address is not None:
            kind, detail = "end", "ended, the host is paid for the time it ran and the rest returned"
            instructions = [
                *(await self._token_account_if_missing(job.run.node) if account.price else []),
                self._program.end(
                    job=job.address,
                    market=account.market,
                    run=job.run_address,
                    run_payer=job.run.payer,
                    job_payer=account.payer,
                    node=job.run.node,
                    project=self._owner,
                ),
            ]
        elif job.phase == "stopped":
            kind, detail = "recover", "given up by its host, deposit and rent returned"
            instructions = [self._program.recover(job=job.address, market=account.market, payer=account.payer, project=self._owner)]
        else:
            raise NotFound(
                f"The job {job.address} is neither queued nor running: an administrator took its run away, and only the market can close it."
            )
        landed = await self._sender.send(instructions, [self._wallet], fee_payer=self._wallet, action=f"{kind} the job")
        return Done(kind, job.address, landed.signature, detail)

    async def _token_account_if_missing(self, owner: str) -> list[solders.instruction.Instruction]:
        """The program wants the NOS token account to exist, on free markets too."""
        address = jobs_program.token_account(owner, self._network.nos_mint)
        if await self._rpc.get_account(address) is not None:
            return []
        return [self._program.create_token_account_idempotent(payer=self._owner, owner=owner)]
