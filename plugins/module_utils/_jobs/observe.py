"""What the chain says about jobs: found by name, by address or by owner, with their runs and their past; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from .._clients import program as jobs_program
from .._clients.errors import HistoryUnavailable, Moved, NosanaError, Refused, UnexpectedAnswer
from .._clients.ipfs import bytes_to_cid
from .._clients.rest import is_address
from .cache import DefinitionFacts, facts_of_definition, keep_definition_facts, read_definition_facts
from .history import CLOSED_BY, ended_by_owner, read_fate
from .identity import Identity

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .._clients.rpc import Account, Rpc, Snapshot
    from .._libraries import solders
    from .cache import Cache

Phase = Literal["queued", "running", "stopped", "done", "orphaned"]

# One getMultipleAccounts takes 100 keys; 16 generations are 32 of them, and more than a name has jobs in most lives.
WINDOW = 16
_PARALLEL_READS = 16
_MOST_GENERATIONS = 1_000_000
_MOST_RUN_QUESTIONS = 8
_MOST_SIGNATURES = 1000
_RENT_LAMPORTS_PER_BYTE, _ACCOUNT_OVERHEAD_BYTES = 6960, 128


@dataclass(frozen=True)
class ObservedJob:
    """One job account with what belongs to it. `generation` is None for a job that another tool posted.

    `run_hidden`: it does not queue, and the RPC node refuses to say who runs it. `closed`: the account is gone, and the job is known from
    its history.
    """

    address: str
    account: jobs_program.Job
    generation: int | None = None
    run_address: str | None = None
    run: jobs_program.Run | None = None
    queued: bool = False
    run_hidden: bool = False
    closed: bool = False
    lamports: int = 0

    @property
    def phase(self) -> Phase:
        """The job's state, with the run account taken into account (the chain keeps state 0 while a job runs)."""
        if self.account.state == jobs_program.JOB_DONE:
            return "done"
        if self.run is not None or self.run_hidden:
            return "running"
        if self.account.state == jobs_program.JOB_STOPPED:
            return "stopped"
        return "queued" if self.queued else "orphaned"

    @property
    def active(self) -> bool:
        """Whether the job may still run or its deposit can still come home; an orphan can do neither (facts §13.12)."""
        return self.phase not in ("done", "orphaned")

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
    """What is known of a name at one slot: its jobs, oldest generation first, the declared market, and the wallet.

    now_seconds: the chain's own clock. nos_base_units: None where the wallet has no NOS token account yet.
    expected: the generation that is most likely the first unused one; generation: the one that is, None until :meth:`Observer.complete` was
    asked.
    latest: the newest job of the name that is over, unless it was removed; certain only when complete.
    """

    identity: Identity
    slot: int
    jobs: tuple[ObservedJob, ...]
    market: jobs_program.Market | None
    now_seconds: int
    lamports: int
    nos_base_units: int | None
    knows_program: bool
    rent_per_byte: int = _RENT_LAMPORTS_PER_BYTE
    window: range = range(0)
    expected: int = 0
    generation: int | None = None
    latest: ObservedJob | None = None
    warnings: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[ObservedJob, ...]:
        """The jobs that are not over; more than one is an error that the caller reports."""
        return tuple(job for job in self.jobs if job.active)

    def rent_lamports(self, size_bytes: int) -> int:
        """What an account of that size has to hold."""
        return (_ACCOUNT_OVERHEAD_BYTES + size_bytes) * self.rent_per_byte


@dataclass
class _Hint:
    """What an earlier run learned of a name; each part is checked before it is believed."""

    generations: int = 0
    run: str | None = None
    market: str | None = None


@dataclass
class _Warnings:
    """Sentences to say once, however often their cause comes up."""

    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        if sentence not in self.sentences:
            self.sentences.append(sentence)


class Observer:
    """Reads jobs of one wallet from one network."""

    def __init__(self, rpc: Rpc, ipfs: Ipfs, network: Network, wallet: solders.keypair.Keypair, clock: Clock, cache: Cache) -> None:
        self._rpc = rpc
        self._ipfs = ipfs
        self._network = network
        self._wallet = wallet
        self._owner = str(wallet.pubkey())
        self._clock = clock
        self._cache = cache
        self._token_account = jobs_program.token_account(self._owner, network.nos_mint)

    # --- by name ------------------------------------------------------------------------------------------------------

    async def by_name(self, name: str, *, market: str | None = None) -> Observation:
        """The derived addresses of a name, the wallet and the market in one request.

        While one of the derived jobs is active that answers every question of a task that changes nothing. Whoever is about to post, or finds
        none active, has to ask :meth:`complete`.
        """
        identity = Identity(self._wallet, program=self._network.jobs_program, name=name)
        hint = self._hint(identity)
        return await self._look(identity, max(0, hint.generations - WINDOW // 2), market, hint)

    async def complete(self, seen: Observation, *, cid: str | None = None, past: bool = True) -> Observation:
        """The authoritative read: active jobs of other tools under the name, the first generation that was never used, and what became of
        the last one that was. `cid` is the declared definition's, by which a job is recognised without reading its definition. Without
        `past`, only what still has an account counts as the last one.
        """
        warnings = _Warnings(list(seen.warnings))
        known = {job.address for job in seen.jobs}
        others, generation = await asyncio.gather(
            self._posted_by_others(seen.identity.name, cid, known, warnings), self._next_generation(seen)
        )
        if generation and generation - 1 not in seen.window:
            elsewhere = await self._look(seen.identity, max(0, generation - WINDOW), None, _Hint())
            seen = replace(seen, jobs=(*seen.jobs, *(job for job in elsewhere.jobs if job.address not in known)), window=elsewhere.window)
        known = {job.address for job in seen.jobs}
        others = [job for job in others if job.address not in known]
        derived = {seen.identity.address(number) for number in range(max(0, generation - WINDOW), generation + 1)}
        for job in others:
            if job.address in derived:
                raise Moved(f"The job {job.address} appeared while it was looked for; run the task again.")
        seen = replace(seen, jobs=(*seen.jobs, *others), generation=generation, warnings=tuple(warnings.sentences))
        if past and not any(job.generation is not None for job in seen.active):
            seen = replace(seen, latest=await self._latest_unless_others(seen))
        self._remember(seen)
        return seen

    async def _look(self, identity: Identity, first: int, market: str | None, hint: _Hint) -> Observation:
        window = range(first, first + WINDOW)
        addresses = {identity.address(generation): generation for generation in window}
        runs = {identity.address(generation, "run"): generation for generation in window}
        about_wallet = [self._owner, self._token_account, self._network.jobs_program, jobs_program.RENT_SYSVAR, jobs_program.CLOCK_SYSVAR]
        hinted = [key for key in (market, hint.market, hint.run) if key]
        snapshot = await self._rpc.snapshot(list(dict.fromkeys([*addresses, *runs, *about_wallet, *hinted])))
        self._rpc.not_before(snapshot.slot)
        warnings = _Warnings()
        jobs = []
        for address, generation in addresses.items():
            account = snapshot.accounts.get(address)
            if account is None or account.owner != self._network.jobs_program:
                continue
            run_addresses = [identity.address(generation, "run"), hint.run]
            jobs.append(self._with_known_run(self._job(address, account, generation), snapshot, run_addresses))
        markets = {key: market_now for key in hinted if (market_now := self._market(snapshot.accounts.get(key))) is not None}
        found = await self._with_runs(jobs, markets, warnings)
        lamports, base_units = self._wallet_in(snapshot)
        seen = Observation(
            identity=identity,
            slot=snapshot.slot,
            jobs=tuple(found),
            market=markets.get(market) if market else None,
            now_seconds=self._now(snapshot),
            lamports=lamports,
            nos_base_units=base_units,
            knows_program=self._network.jobs_program in snapshot.accounts,
            rent_per_byte=_rent_per_byte(snapshot.accounts.get(jobs_program.RENT_SYSVAR)),
            window=window,
            expected=max([hint.generations, *(job.generation + 1 for job in found if job.generation is not None)]),
            latest=found[-1] if found and not any(job.active for job in found) else None,
            warnings=tuple(warnings.sentences),
        )
        if seen.active:
            self._remember(seen)
        return seen

    async def _next_generation(self, seen: Observation) -> int:
        """The first generation that was never used: no account and no signature in the address's history.

        Generations are used in order, so a doubling step and then halving finds it in few requests.
        """
        used = seen.expected - 1
        last, next_one = await asyncio.gather(self._was_used(seen, used), self._was_used(seen, used + 1))
        if last and not next_one:
            return used + 1
        if not last:
            # What an earlier run learned was of another chain, or of a fork that is no more.
            used = max((job.generation for job in seen.jobs if job.generation is not None), default=-1)
        step, unused = 1, used + 1
        while await self._was_used(seen, unused):
            used, unused, step = unused, unused + step, step * 2
            if unused > _MOST_GENERATIONS:
                raise UnexpectedAnswer(
                    f"The RPC node says that {used} jobs of the name {seen.identity.name} were posted, which cannot be true."
                )
        while unused - used > 1:
            middle = (used + unused) // 2
            if await self._was_used(seen, middle):
                used = middle
            else:
                unused = middle
        return unused

    async def _was_used(self, seen: Observation, generation: int) -> bool:
        if generation < 0 or any(job.generation == generation for job in seen.jobs):
            return True
        address = seen.identity.address(generation)
        if await self._rpc.get_signatures_for_address(address, limit=1):
            return True
        # A node without the old history may still hold the account; inside the window that was asked already.
        return generation not in seen.window and await self._rpc.get_account(address) is not None

    async def _latest_unless_others(self, seen: Observation) -> ObservedJob | None:
        """Beside a job of another tool it does not count, but that the newest generation has just appeared is noticed all the same."""
        try:
            latest = await self._latest(seen)
        except HistoryUnavailable:
            if not seen.active:
                raise
            return None
        return None if seen.active else latest

    async def _latest(self, seen: Observation) -> ObservedJob | None:
        """The newest job of the name that is over; None when there was none, or when the newest was removed."""
        by_generation = {job.generation: job for job in seen.jobs}
        for generation in reversed(range(max(0, (seen.generation or 0) - WINDOW), seen.generation or 0)):
            if generation in by_generation:
                return by_generation[generation]
            job, existed = await self._past(seen.identity, generation)
            if existed:
                return job
        return None

    async def was_ended(self, job: ObservedJob) -> bool:
        """Whether a job that is over was ended by its owner. A host may say so in its result; the chain's history proves it."""
        signatures = [sig for sig, ok in await self._rpc.get_signatures_for_address(job.address, limit=_MOST_SIGNATURES) if ok]
        return await ended_by_owner(self._rpc.get_transaction, self._network.jobs_program, job.address, signatures)

    async def _past(self, identity: Identity, generation: int) -> tuple[ObservedJob | None, bool]:
        """What became of a job whose account is gone, and whether it ever existed: None when its owner removed it.

        A job that is over and whose account was closed afterwards (clean) is still over: it is not paid for again.
        """
        address = identity.address(generation)
        signatures = [sig for sig, ok in await self._rpc.get_signatures_for_address(address, limit=_MOST_SIGNATURES) if ok]
        if not signatures:
            return None, False
        fate = await read_fate(self._rpc.get_transaction, self._network.jobs_program, address, signatures)
        if fate is None:
            raise HistoryUnavailable(
                f"A job {identity.name} existed at {address} and its account is gone, and the RPC node does not have the transactions that "
                "would tell whether it was removed or is over, so nothing is posted; set rpc_url to a node with the full history, "
                "or rerun=finished to run it anew in any case."
            )
        if fate.last not in CLOSED_BY:
            raise Moved(f"The job {address} appeared while it was looked for; run the task again.")
        if fate.job is None:
            return None, True
        return ObservedJob(address, fate.job, generation, closed=True), True

    # --- by address, by owner -----------------------------------------------------------------------------------------

    async def by_address(self, address: str) -> tuple[ObservedJob | None, int]:
        """The job at that address and the chain's time; None when there is no account (never posted, or delisted, recovered or cleaned)."""
        return await self._at(address, [], None)

    async def refresh(self, job: ObservedJob) -> tuple[ObservedJob | None, int]:
        """The same job as it is now, and the chain's time; None when its account is gone. One request in most cases."""
        return await self._at(job.address, [job.account.market, *([job.run_address] if job.run_address else [])], job.generation)

    async def posted(self, identity: Identity, generation: int, market: str) -> tuple[ObservedJob | None, int]:
        """A job that was just posted, likewise."""
        return await self._at(identity.address(generation), [market, identity.address(generation, "run")], generation)

    async def _at(self, address: str, around: Sequence[str], generation: int | None) -> tuple[ObservedJob | None, int]:
        """`around`: accounts that may say where the job stands, its market and its run."""
        snapshot = await self._rpc.snapshot([address, jobs_program.CLOCK_SYSVAR, *around])
        self._rpc.not_before(snapshot.slot)
        account = snapshot.accounts.get(address)
        if account is None:
            return None, self._now(snapshot)
        job = self._with_known_run(self._job(address, account, generation), snapshot, around)
        market = self._market(snapshot.accounts.get(job.account.market))
        found = await self._with_runs([job], {job.account.market: market} if market else {}, _Warnings())
        return (found[0] if found else None), self._now(snapshot)

    async def owned(
        self, *, states: Sequence[int | None] = (None,), market: str | None = None
    ) -> tuple[list[ObservedJob], int, tuple[str, ...]]:
        """All jobs whose project is the wallet, in the order of their addresses, the chain's time, and warnings."""
        warnings = _Warnings()
        questions = [jobs_program.job_filters(project=self._owner, state=state, market=market) for state in states]
        snapshot, answers = await asyncio.gather(
            self._rpc.snapshot([jobs_program.CLOCK_SYSVAR]),
            asyncio.gather(*(self._rpc.get_program_accounts(self._network.jobs_program, filters=filters) for filters in questions)),
        )
        found = {address: self._job(address, account) for answer in answers for address, account in answer}
        jobs = await self._with_runs([found[address] for address in sorted(found)], {}, warnings)
        return jobs, self._now(snapshot), tuple(warnings.sentences)

    async def _posted_by_others(self, name: str, cid: str | None, known: set[str], warnings: _Warnings) -> list[ObservedJob]:
        """Active jobs of the wallet outside the derived addresses whose definition carries the name."""
        states = (jobs_program.JOB_QUEUED, jobs_program.JOB_STOPPED)
        try:
            answers = await asyncio.gather(
                *(
                    self._rpc.get_program_accounts(
                        self._network.jobs_program, filters=jobs_program.job_filters(project=self._owner, state=state)
                    )
                    for state in states
                )
            )
        except Refused:
            warnings.add(
                "The RPC node refuses getProgramAccounts, so jobs that other tools posted under this name are not seen; "
                "set rpc_url to a node that allows it."
            )
            return []
        jobs = [self._job(address, account) for found in answers for address, account in found if address not in known]
        jobs = [job for job in jobs if job.account.project == self._owner]
        facts = await self.definitions(job.definition_cid for job in jobs if job.definition_cid != cid)
        unread = sorted(job.address for job in jobs if job.definition_cid != cid and job.definition_cid not in facts)
        if unread:
            warnings.add(
                f"The definitions of {len(unread)} active jobs could not be read, so their names are not known: {', '.join(unread[:5])}."
            )
        same = [job for job in jobs if job.definition_cid == cid or _name(facts.get(job.definition_cid)) == name]
        return await self._with_runs(same, {}, warnings)

    async def definitions(self, cids: Iterable[str]) -> dict[str, DefinitionFacts]:
        """What is known of pinned definitions; one that could not be read is left out.

        A document's address is its hash, so what an earlier run read needs no reading again.
        """
        wanted = sorted(set(cids))
        facts = read_definition_facts(self._cache, wanted)
        gate = asyncio.Semaphore(_PARALLEL_READS)

        async def read(cid: str) -> tuple[str, DefinitionFacts] | None:
            async with gate:
                try:
                    return cid, facts_of_definition(await self._ipfs.fetch_json(cid))
                except NosanaError:
                    return None

        learned = await asyncio.gather(*(read(cid) for cid in wanted if cid not in facts))
        new = dict(pair for pair in learned if pair is not None)
        if new:
            keep_definition_facts(self._cache, new)
        return facts | new

    # --- runs ---------------------------------------------------------------------------------------------------------

    async def _with_runs(
        self, jobs: Sequence[ObservedJob], markets: Mapping[str, jobs_program.Market], warnings: _Warnings
    ) -> list[ObservedJob]:
        """Adds to every active job whether it is queued, or else its run, which a host created under a key of its own.

        Jobs whose accounts are gone by now are left out.
        """
        unknown = [job for job in jobs if job.account.state != jobs_program.JOB_DONE and job.run is None]
        settled: dict[str, ObservedJob] = {}
        runs: dict[str, tuple[str, jobs_program.Run]] | None = {}
        wanted = sorted({job.account.market for job in unknown} - set(markets))
        if wanted:
            accounts, runs = await asyncio.gather(self._rpc.get_multiple_accounts(wanted), self._runs_of(unknown))
            read = {key: self._market(account) for key, account in zip(wanted, accounts, strict=True)}
            markets = {**markets, **{key: market for key, market in read.items() if market is not None}}
        for job in unknown:
            market = markets.get(job.account.market)
            if runs and job.address in runs:
                settled[job.address] = _running(job, runs)
            elif market is not None and market.queues_job(job.address):
                settled[job.address] = replace(job, queued=True)
        # The queue was read first, so what is neither there nor runs has left the queue before, and its run ended since; or it is an orphan.
        lost = [job for job in unknown if job.address not in settled]
        runs = await self._runs_of(lost) if lost and runs is not None else runs
        if runs is None and lost:
            warnings.add(
                "The RPC node refuses getProgramAccounts, so it is not known which host runs a job that waited in a queue, and such a job "
                "cannot be ended; set rpc_url to a node that allows it."
            )
            settled |= {job.address: replace(job, run_hidden=job.account.state == jobs_program.JOB_QUEUED) for job in lost}
        elif lost and runs is not None:
            settled |= {job.address: _running(job, runs) for job in lost if job.address in runs}
            settled |= await self._as_they_are([job for job in lost if job.address not in runs])
        gone = {job.address for job in unknown} - set(settled)
        return [settled.get(job.address, job) for job in jobs if job.address not in gone]

    async def _as_they_are(self, jobs: Sequence[ObservedJob]) -> dict[str, ObservedJob]:
        """Jobs without a run, by their own accounts, which are the later word; what is gone is left out."""
        accounts = await self._rpc.get_multiple_accounts([job.address for job in jobs]) if jobs else []
        pairs = [(job, account) for job, account in zip(jobs, accounts, strict=True) if account is not None]
        return {job.address: self._job(job.address, account, job.generation) for job, account in pairs}

    async def _runs_of(self, jobs: Sequence[ObservedJob]) -> dict[str, tuple[str, jobs_program.Run]] | None:
        """Address and account of the runs, by job; None when the node refuses to search."""
        questions: list[str | None] = [None] if len(jobs) > _MOST_RUN_QUESTIONS else [job.address for job in jobs]
        filters = [jobs_program.run_filters(job=job) for job in questions]
        try:
            answers = await asyncio.gather(*(self._rpc.get_program_accounts(self._network.jobs_program, filters=each) for each in filters))
        except Refused:
            return None
        decoded = [(address, jobs_program.decode_run(account.data)) for answer in answers for address, account in answer]
        return {run.job: (address, run) for address, run in decoded}

    def _with_known_run(self, job: ObservedJob, snapshot: Snapshot, addresses: Sequence[str | None]) -> ObservedJob:
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

    # --- decoding -----------------------------------------------------------------------------------------------------

    def _job(self, address: str, account: Account, generation: int | None = None) -> ObservedJob:
        if account.owner != self._network.jobs_program:
            raise Refused(f"{address} is not a Nosana job on {self._network.name}: the account belongs to {account.owner}.")
        return ObservedJob(address, jobs_program.decode_job(account.data), generation, lamports=account.lamports)

    def _market(self, account: Account | None) -> jobs_program.Market | None:
        """None for what is no market, such as a market that was closed."""
        if account is None or account.owner != self._network.jobs_program:
            return None
        return jobs_program.decode_market(account.data) if jobs_program.is_market(account.data) else None

    def _wallet_in(self, snapshot: Snapshot) -> tuple[int, int | None]:
        wallet, tokens = snapshot.accounts.get(self._owner), snapshot.accounts.get(self._token_account)
        return (wallet.lamports if wallet else 0), (None if tokens is None else jobs_program.token_amount(tokens.data))

    def _now(self, snapshot: Snapshot) -> int:
        clock = snapshot.accounts.get(jobs_program.CLOCK_SYSVAR)
        if clock is None or len(clock.data) < 40:
            return int(self._clock.now())
        return int(struct.unpack_from("<q", clock.data, 32)[0])

    # --- hints --------------------------------------------------------------------------------------------------------

    def _hint(self, identity: Identity) -> _Hint:
        key = f"name:{identity.address(0)}"
        facts = self._cache.get([key]).get(key)
        facts = facts if isinstance(facts, dict) else {}
        generations, run, market = facts.get("generations"), facts.get("run"), facts.get("market")
        return _Hint(
            generations if isinstance(generations, int) and 0 <= generations <= _MOST_GENERATIONS else 0,
            run if is_address(run) else None,
            market if is_address(market) else None,
        )

    def _remember(self, seen: Observation) -> None:
        derived = [job for job in seen.jobs if job.generation is not None]
        active = next((job for job in derived if job.active), None)
        generations = seen.generation or max((job.generation + 1 for job in derived if job.generation is not None), default=0)
        facts = {
            "generations": generations,
            "run": active.run_address if active else None,
            "market": active.account.market if active else None,
        }
        key = f"name:{seen.identity.address(0)}"
        if self._cache.get([key]).get(key) != facts:
            self._cache.put({key: facts})


def _running(job: ObservedJob, runs: Mapping[str, tuple[str, jobs_program.Run]]) -> ObservedJob:
    address, run = runs[job.address]
    return replace(job, run_address=address, run=run)


def _name(facts: DefinitionFacts | None) -> str | None:
    return None if facts is None else facts.name


def _rent_per_byte(account: Account | None) -> int:
    """Lamports for each byte, from the rent sysvar: lamports for a byte and year (u64), years to be exempt (f64)."""
    if account is None or len(account.data) < 16:
        return _RENT_LAMPORTS_PER_BYTE
    per_year, years = struct.unpack_from("<Qd", account.data)
    return int(per_year * years) if 0 < per_year * years < 10**9 else _RENT_LAMPORTS_PER_BYTE
