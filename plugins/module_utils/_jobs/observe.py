"""What the chain says about jobs: found by name, by address or by owner, with their runs; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .._clients import program as jobs_program
from .._clients.errors import NosanaError, Refused, UnexpectedAnswer
from .._clients.ipfs import bytes_to_cid
from .identity import Identity

if TYPE_CHECKING:
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .._clients.rpc import Account, Rpc
    from .._libraries import solders

Phase = Literal["queued", "running", "stopped", "done", "orphaned"]

# One getMultipleAccounts takes 100 keys; 16 generations are 32 of them, and more than a name has jobs in most lives.
WINDOW = 16
_PARALLEL_READS = 8
_MOST_GENERATIONS = 1_000_000
_QUEUED, _DONE, _STOPPED = 0, 2, 3


@dataclass(frozen=True)
class ObservedJob:
    """One job account with what belongs to it. `generation` is None for a job that another tool posted."""

    address: str
    account: jobs_program.Job
    generation: int | None = None
    run_address: str | None = None
    run: jobs_program.Run | None = None
    queued: bool = False

    @property
    def phase(self) -> Phase:
        """The job's state, with the run account taken into account (the chain keeps state 0 while a job runs)."""
        if self.account.state == _DONE:
            return "done"
        if self.run is not None:
            return "running"
        if self.account.state == _STOPPED:
            return "stopped"
        return "queued" if self.queued else "orphaned"

    @property
    def active(self) -> bool:
        """Whether the job may still run or still holds its deposit."""
        return self.account.state != _DONE

    @property
    def definition_cid(self) -> str:
        """Content address of the pinned definition."""
        return bytes_to_cid(self.account.ipfs_job)

    @property
    def result_cid(self) -> str | None:
        """Content address of the pinned result; None until a host has posted one."""
        return bytes_to_cid(self.account.ipfs_result) if self.account.ipfs_result else None


@dataclass(frozen=True)
class Observation:
    """All job accounts found for one name, oldest generation first, and the declared market where one was asked for."""

    identity: Identity
    jobs: tuple[ObservedJob, ...]
    market: jobs_program.Market | None
    warnings: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[ObservedJob, ...]:
        """The jobs that are not over; more than one is an error that the caller reports."""
        return tuple(job for job in self.jobs if job.active)

    @property
    def latest(self) -> ObservedJob | None:
        """The newest job of the name that still has an account."""
        derived = [job for job in self.jobs if job.generation is not None]
        return derived[-1] if derived else None


class Observer:
    """Reads jobs of one wallet from one network."""

    def __init__(self, rpc: Rpc, ipfs: Ipfs, network: Network, wallet: solders.keypair.Keypair) -> None:
        self._rpc = rpc
        self._ipfs = ipfs
        self._network = network
        self._wallet = wallet
        self._owner = str(wallet.pubkey())

    async def by_name(self, name: str, *, market: str | None = None, cid: str | None = None) -> Observation:
        """Every job of that name in the wallet.

        The derived addresses are asked first, in one request; only when none of them is active, the wallet's other active jobs are read,
        and their names fetched from IPFS unless `cid` (the declared definition's) settles it.
        """
        identity = Identity(self._wallet, program=self._network.jobs_program, name=name)
        jobs, declared_market = await self._window(identity, 0, WINDOW, market)
        warnings: tuple[str, ...] = ()
        if not any(job.active for job in jobs):
            frontier = await self.next_generation(identity, jobs)
            if frontier > WINDOW:
                later, _unused = await self._window(identity, max(WINDOW, frontier - WINDOW), frontier, None)
                jobs += later
        if not any(job.active for job in jobs):
            others, warnings = await self._posted_by_others(name, cid, {job.address for job in jobs})
            jobs += others
        return Observation(identity, tuple(jobs), declared_market, warnings)

    async def by_address(self, address: str) -> ObservedJob | None:
        """The job at that address; None when there is no account (never posted, or delisted, recovered or cleaned)."""
        account = await self._rpc.get_account(address)
        if account is None:
            return None
        return (await self._with_runs([ObservedJob(address, self._decode_job(address, account))], {}))[0]

    async def owned(self, *, state: int | None = None, market: str | None = None) -> list[ObservedJob]:
        """All jobs whose project is the wallet, in the order of their addresses."""
        filters = jobs_program.job_filters(project=self._owner, state=state, market=market)
        found = await self._rpc.get_program_accounts(self._network.jobs_program, filters=filters)
        jobs = [ObservedJob(address, self._decode_job(address, account)) for address, account in sorted(found, key=lambda pair: pair[0])]
        return await self._with_runs(jobs, {})

    async def refresh(self, job: ObservedJob) -> ObservedJob | None:
        """The same job as it is now; None when its account is gone."""
        now = await self.by_address(job.address)
        return None if now is None else replace(now, generation=job.generation)

    async def next_generation(self, identity: Identity, jobs: Sequence[ObservedJob]) -> int:
        """The first generation that was never used: no account and no signature in the address's history.

        Generations are used in order, so a doubling step and then halving finds it in few requests.
        """
        used = max((job.generation for job in jobs if job.generation is not None), default=-1)
        step, unused = 1, used + 1
        while await self._was_used(identity, unused):
            used, unused, step = unused, unused + step, step * 2
            if unused > _MOST_GENERATIONS:
                raise UnexpectedAnswer(f"The RPC node says that {used} jobs of the name {identity.name} were posted, which cannot be true.")
        while unused - used > 1:
            middle = (used + unused) // 2
            if await self._was_used(identity, middle):
                used = middle
            else:
                unused = middle
        return unused

    async def _was_used(self, identity: Identity, generation: int) -> bool:
        address = identity.address(generation)
        return bool(await self._rpc.get_signatures_for_address(address, limit=1)) or await self._rpc.get_account(address) is not None

    async def _window(
        self, identity: Identity, first: int, end: int, market: str | None
    ) -> tuple[list[ObservedJob], jobs_program.Market | None]:
        generations = range(first, end)
        addresses = [identity.address(generation) for generation in generations]
        run_addresses = [identity.address(generation, "run") for generation in generations]
        accounts = await self._rpc.get_multiple_accounts(addresses + run_addresses + ([market] if market else []))
        declared_market = None
        if market and accounts[-1] is not None:
            declared_market = self._decode_market(accounts[-1])
        jobs = []
        for index, generation in enumerate(generations):
            account, run_account = accounts[index], accounts[len(addresses) + index]
            if account is None or account.owner != self._network.jobs_program:
                continue
            run = jobs_program.decode_run(run_account.data) if run_account and run_account.owner == self._network.jobs_program else None
            jobs.append(
                ObservedJob(
                    addresses[index],
                    self._decode_job(addresses[index], account),
                    generation,
                    run_addresses[index] if run else None,
                    run,
                )
            )
        return await self._with_runs(jobs, {market: declared_market} if market and declared_market else {}), declared_market

    async def _with_runs(self, jobs: Sequence[ObservedJob], markets: dict[str, jobs_program.Market]) -> list[ObservedJob]:
        """Adds to every active job whether it is queued, or else its run, which a host created under a key of its own."""
        open_jobs = [job for job in jobs if job.active and job.run is None]
        wanted = sorted({job.account.market for job in open_jobs} - set(markets))
        if wanted:
            accounts = await self._rpc.get_multiple_accounts(wanted)
            markets = markets | {
                address: self._decode_market(account) for address, account in zip(wanted, accounts, strict=True) if account is not None
            }
        return list(await asyncio.gather(*(self._with_run(job, markets.get(job.account.market)) for job in jobs)))

    async def _with_run(self, job: ObservedJob, market: jobs_program.Market | None) -> ObservedJob:
        if not job.active or job.run is not None:
            return job
        if market is not None and market.queues_job(job.address):
            return replace(job, queued=True)
        runs = await self._rpc.get_program_accounts(self._network.jobs_program, filters=jobs_program.run_filters(job=job.address))
        if runs:
            return replace(job, run_address=runs[0][0], run=jobs_program.decode_run(runs[0][1].data))
        # Between the two reads the job may have ended or been queued anew; its own account is the later word.
        account = await self._rpc.get_account(job.address)
        return job if account is None else replace(job, account=self._decode_job(job.address, account))

    async def _posted_by_others(self, name: str, cid: str | None, known: set[str]) -> tuple[list[ObservedJob], tuple[str, ...]]:
        """Active jobs of the wallet outside the derived addresses whose definition carries the name."""
        try:
            found = await self._rpc.get_program_accounts(
                self._network.jobs_program, filters=jobs_program.job_filters(project=self._owner, state=_QUEUED)
            )
        except Refused:
            return [], (
                "The RPC node refuses getProgramAccounts, so jobs that other tools posted under this name are not seen; "
                "set rpc_url to a node that allows it.",
            )
        jobs = [ObservedJob(address, self._decode_job(address, account)) for address, account in found if address not in known]
        names = await self.names(job.definition_cid for job in jobs if job.definition_cid != cid)
        unread = sorted(job.address for job in jobs if job.definition_cid != cid and names.get(job.definition_cid) is None)
        warnings = (
            (f"The definitions of {len(unread)} active jobs could not be read, so their names are not known: {', '.join(unread[:5])}.",)
            if unread
            else ()
        )
        same = [job for job in jobs if job.definition_cid == cid or names.get(job.definition_cid) == name]
        return await self._with_runs(same, {}), warnings

    async def names(self, cids: Iterable[str]) -> dict[str, str | None]:
        """meta.name of each pinned definition; an empty string where it has none, None where it could not be read."""
        gate = asyncio.Semaphore(_PARALLEL_READS)

        async def read(cid: str) -> tuple[str, str | None]:
            async with gate:
                try:
                    return cid, name_of(await self._ipfs.fetch_json(cid)) or ""
                except NosanaError:
                    return cid, None

        return dict(await asyncio.gather(*(read(cid) for cid in sorted(set(cids)))))

    def _decode_job(self, address: str, account: Account) -> jobs_program.Job:
        if account.owner != self._network.jobs_program:
            raise Refused(f"{address} is not a Nosana job on {self._network.name}: the account belongs to {account.owner}.")
        return jobs_program.decode_job(account.data)

    def _decode_market(self, account: Account) -> jobs_program.Market:
        return jobs_program.decode_market(account.data)


def name_of(document: Any) -> str | None:
    """meta.name of a definition, where there is one."""
    meta = document.get("meta") if isinstance(document, dict) else None
    name = meta.get("name") if isinstance(meta, dict) else None
    return name if isinstance(name, str) else None
