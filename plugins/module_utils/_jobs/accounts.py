"""Job, market and run accounts of one network: found, decoded, and brought together to where each job stands; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._clients import program as jobs_program
from .._clients.errors import Refused, SearchRefused, UnexpectedAnswer
from .observation import ObservedJob

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.networks import Network
    from .._clients.rpc import Account, Rpc, Snapshot
    from .observation import Sentences

_MOST_RUN_QUESTIONS = 8
_SECOND_LOOK_SECONDS = 2.0
# So often the run of what seems to be an orphan is looked for again before another job is paid for.
_LOOKS_BEFORE_PAYING = 4


class Accounts:
    """The jobs program's accounts as one RPC node shows them."""

    def __init__(self, rpc: Rpc, network: Network, clock: Clock) -> None:
        self._rpc = rpc
        self._network = network
        self._clock = clock

    def job(self, address: str, account: Account, generation: int | None = None) -> ObservedJob:
        """The account as a job, without its run; Refused for what is none."""
        if account.owner != self._network.jobs_program:
            raise Refused(f"{address} is not a Nosana job on {self._network.name}: the account belongs to {account.owner}.")
        return ObservedJob(address, jobs_program.decode_job(account.data), generation, lamports=account.lamports)

    def market(self, account: Account | None) -> jobs_program.Market | None:
        """None for what is no market, such as a market that was closed."""
        if account is None or account.owner != self._network.jobs_program:
            return None
        return jobs_program.decode_market(account.data) if jobs_program.is_market(account.data) else None

    async def search(self, filters: Sequence[dict[str, Any]]) -> list[ObservedJob]:
        """Jobs that the filters of getProgramAccounts find, without their runs; SearchRefused where the node does not search."""
        found = await self._rpc.get_program_accounts(self._network.jobs_program, filters=filters)
        return [self.job(address, account) for address, account in found]

    async def with_runs(
        self, jobs: Sequence[ObservedJob], markets: Mapping[str, jobs_program.Market], warnings: Sentences
    ) -> list[ObservedJob]:
        """Adds to every active job whether it is queued, or else its run, which a host created under a key of its own.

        Jobs whose accounts are gone by now are left out.
        """
        unknown = [job for job in jobs if job.account.state != jobs_program.JOB_DONE and job.run is None]
        placed: dict[str, ObservedJob] = {}
        runs: dict[str, tuple[str, jobs_program.Run]] | None = {}
        # A job that was given up waits in no queue.
        waiting = [job for job in unknown if job.account.state == jobs_program.JOB_QUEUED]
        wanted = sorted({job.account.market for job in waiting} - set(markets))
        if wanted:
            accounts, runs = await asyncio.gather(self._rpc.get_multiple_accounts(wanted), self._runs_of(unknown))
            read = {key: self.market(account) for key, account in zip(wanted, accounts, strict=True)}
            markets = {**markets, **{key: market for key, market in read.items() if market is not None}}
        for job in unknown:
            market = markets.get(job.account.market)
            if runs and job.address in runs:
                placed[job.address] = _running(job, runs)
            elif market is not None and market.queues_job(job.address):
                placed[job.address] = replace(job, queued=True)
        # The queue was read first, so what is neither there nor runs has left the queue before, and its run ended since; or it is an orphan.
        lost = [job for job in unknown if job.address not in placed]
        if lost and runs is not None and not (wanted and all(job not in waiting for job in lost)):
            runs = await self._runs_of(lost)
        if lost and runs is None:
            warnings.add(
                "The RPC node refuses getProgramAccounts, so it is not known which host runs a job that waited in a queue, and such a job "
                "cannot be ended; set rpc_url to a node that allows it."
            )
            placed |= {job.address: replace(job, run_hidden=job in waiting) for job in lost}
        elif lost and runs is not None:
            placed |= {job.address: _running(job, runs) for job in lost if job.address in runs}
            # A job that seems to be given up may have been taken and finished meanwhile; then the program refuses what is done to it.
            placed |= {job.address: job for job in lost if job not in waiting and job.address not in runs}
            placed |= await self._without_run([job for job in lost if job.address not in placed])
        gone = {job.address for job in unknown} - set(placed)
        return [placed.get(job.address, job) for job in jobs if job.address not in gone]

    async def _without_run(self, jobs: Sequence[ObservedJob]) -> dict[str, ObservedJob]:
        """Jobs of which no run was found, by their own accounts, which are the later word; what is gone is left out.

        One that still is open is an orphan only if the node's index can be trusted: after a moment it finds the job itself, and again no run.
        Otherwise a host runs it that the node does not show.
        """
        accounts = await self._rpc.get_multiple_accounts([job.address for job in jobs]) if jobs else []
        pairs = [(job, account) for job, account in zip(jobs, accounts, strict=True) if account is not None]
        now = {job.address: self.job(job.address, account, job.generation) for job, account in pairs}
        doubtful = [job for job in now.values() if job.phase == "orphaned"]
        if doubtful:
            await self._clock.sleep(_SECOND_LOOK_SECONDS)
            projects = sorted({job.account.project for job in doubtful})
            runs, indexed = await asyncio.gather(
                self._runs_of(doubtful),
                asyncio.gather(*(self.search(jobs_program.job_filters(project=key, state=jobs_program.JOB_QUEUED)) for key in projects)),
            )
            seen = {job.address for found in indexed for job in found}
            for job in doubtful:
                if runs and job.address in runs:
                    now[job.address] = _running(job, runs)
                elif job.address not in seen:
                    now[job.address] = replace(job, run_hidden=True)
        return now

    async def may_run(self, job: ObservedJob) -> bool:
        """Whether a host may run what seems to be an orphan, after all; asked before another job is paid for beside it."""
        for _look in range(_LOOKS_BEFORE_PAYING):
            await self._clock.sleep(_SECOND_LOOK_SECONDS)
            runs = await self._runs_of([job])
            if runs is None or job.address in runs:
                return True
        return False

    async def _runs_of(self, jobs: Sequence[ObservedJob]) -> dict[str, tuple[str, jobs_program.Run]] | None:
        """Address and account of the runs, by job; None when the node refuses to search."""
        questions: list[str | None] = [None] if len(jobs) > _MOST_RUN_QUESTIONS else [job.address for job in jobs]
        filters = [jobs_program.run_filters(job=job) for job in questions]
        try:
            answers = await asyncio.gather(*(self._rpc.get_program_accounts(self._network.jobs_program, filters=each) for each in filters))
        except SearchRefused:
            return None
        decoded = [(address, jobs_program.decode_run(account.data)) for answer in answers for address, account in answer]
        return {run.job: (address, run) for address, run in decoded}

    def with_known_run(self, job: ObservedJob, snapshot: Snapshot, addresses: Sequence[str | None]) -> ObservedJob:
        """The job with its run, where one of these addresses holds it."""
        for address in addresses:
            account = snapshot.accounts.get(address) if address else None
            if account is None or account.owner != self._network.jobs_program:
                continue
            try:
                run = jobs_program.decode_run(account.data)
            except UnexpectedAnswer:
                continue
            if run.job == job.address:
                return replace(job, run_address=address, run=run)
        return job


def _running(job: ObservedJob, runs: Mapping[str, tuple[str, jobs_program.Run]]) -> ObservedJob:
    address, run = runs[job.address]
    return replace(job, run_address=address, run=run)
