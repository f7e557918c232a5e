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
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from .._clients import program as jobs_program
from .._clients.errors import (
    HistoryUnavailable,
    Moved,
    NoDocument,
    NosanaError,
    NotFound,
    Refused,
    SearchRefused,
    UnexpectedAnswer,
    Unreachable,
)
from .._clients.ipfs import bytes_to_cid, cid_to_bytes
from .._clients.rest import is_address
from .._clients.rpc import KEYS_PER_REQUEST
from .cache import DefinitionFacts, facts_of_definition, keep_definition_facts, read_definition_facts
from .chain import time_of
from .foresight import Foreseen, Foresight
from .history import CLOSED_BY, ended_by_owner, read_fate
from .identity import Identity

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.networks import Network
    from .._clients.rpc import Account, Rpc, Snapshot
    from .._libraries import solders
    from .cache import Cache
    from .reader import Documents

Phase = Literal["queued", "running", "stopped", "done", "orphaned", "unknown"]
Past = Literal["strict", "lenient", "accounts"]

# One getMultipleAccounts takes 100 keys; 16 generations are 32 of them, and more than a name has jobs in most lives.
WINDOW = 16
# Of a name that is asked along: the newest job, the one before it, and the one that may have come since.
WINDOW_AHEAD = 3
_PARALLEL_READS = 16
_MOST_GENERATIONS = 1_000_000
_MOST_RUN_QUESTIONS = 8
_MOST_SIGNATURES = 1000
# A wallet with more active jobs of other tools learns their names in more than one run.
_MOST_FOREIGN_READS = 250
_SECOND_LOOK_SECONDS = 2.0
# So often the run of what seems to be an orphan is looked for again before another job is paid for.
_LOOKS_BEFORE_PAYING = 4
_ACTIVE_STATES = (jobs_program.JOB_QUEUED, jobs_program.JOB_STOPPED)
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
        """The job's state, with the run account taken into account (the chain keeps state 0 while a job runs). A state that only a newer
        program knows is none of the others: such a job counts as active, so that nobody pays for another one.
        """
        if self.account.state == jobs_program.JOB_DONE:
            return "done"
        if self.run is not None or self.run_hidden:
            return "running"
        if self.account.state == jobs_program.JOB_STOPPED:
            return "stopped"
        if self.account.state != jobs_program.JOB_QUEUED:
            return "unknown"
        return "queued" if self.queued else "orphaned"

    @property
    def active(self) -> bool:
        """Whether the job may still run or its deposit can still come home; an orphan can do neither (facts §13.12)."""
        return self.phase not in ("done", "orphaned")

    @cached_property
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

    foreseen: read along with another name's, moments ago, and only the generations around the newest; no ground to spend on.
    markets: those that were read along, by address. now_seconds: the chain's own clock. nos_base_units: None where the wallet has no NOS token account yet.
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
    foreseen: bool = False
    markets: Mapping[str, jobs_program.Market] = field(default_factory=dict)
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


@dataclass(frozen=True)
class _Question:
    """The accounts that tell of a name: jobs and their own runs by generation, the market that is meant, and what an earlier run learned."""

    identity: Identity
    window: range
    market: str | None
    hint: _Hint
    jobs: dict[str, int]
    runs: dict[str, int]

    @staticmethod
    def of(identity: Identity, window: range, market: str | None, hint: _Hint) -> _Question:
        return _Question(
            identity,
            window,
            market,
            hint,
            {identity.address(generation): generation for generation in window},
            {identity.address(generation, "run"): generation for generation in window},
        )

    @property
    def markets(self) -> list[str]:
        """Markets of which the present price may be wanted."""
        return [key for key in (self.market, self.hint.market) if key]

    @property
    def keys(self) -> list[str]:
        return [*self.jobs, *self.runs, *self.markets, *([self.hint.run] if self.hint.run else [])]


@dataclass
class _Warnings:
    """Sentences to say once, however often their cause comes up."""

    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        if sentence not in self.sentences:
            self.sentences.append(sentence)


class Observer:
    """Reads jobs of one wallet from one network."""

    def __init__(
        self,
        rpc: Rpc,
        documents: Documents,
        network: Network,
        wallet: solders.keypair.Keypair,
        clock: Clock,
        cache: Cache,
        foresight: Foresight[_Question] | None = None,
    ) -> None:
        self._rpc = rpc
        self._documents = documents
        self._network = network
        self._wallet = wallet
        self._owner = str(wallet.pubkey())
        self._clock = clock
        self._cache = cache
        self._foresight: Foresight[_Question] = foresight or Foresight()
        self._token_account = jobs_program.token_account(self._owner, network.nos_mint)

    # --- by name ------------------------------------------------------------------------------------------------------

    async def by_name(self, name: str, *, market: str | None = None, foreseen: bool = False) -> Observation:
        """The derived addresses of a name, the wallet and the market in one request.

        While one of the derived jobs is active that answers every question of a task that changes nothing. Whoever is about to post, or finds
        none active, has to ask :meth:`complete`. `foreseen`: what was read for this name a moment ago will do.
        """
        known = self._foresight.take(self._foresight_key(name), self._clock.monotonic()) if foreseen else None
        if known is not None and (market is None or market in known.question.markets):
            return replace(await self._read(replace(known.question, market=market), known.snapshot), foreseen=True)
        identity = self._identity(name)
        hint = self._hint(identity)
        return await self._look(identity, max(0, hint.generations - WINDOW // 2), market, hint)

    def remembers_market(self, name: str) -> bool:
        """Whether an earlier run has learned in which market the name's job is, so that :meth:`by_name` reads that along."""
        return self._hint(self._identity(name)).market is not None

    def _identity(self, name: str) -> Identity:
        return Identity(self._wallet, program=self._network.jobs_program, name=name)

    def _foresight_key(self, name: str) -> tuple[object, ...]:
        return self._network.rpc_urls, self._network.jobs_program, self._owner, name

    async def complete(self, seen: Observation, *, cid: str | None = None, past: Past = "strict") -> Observation:
        """The authoritative read: active jobs of other tools under the name, the first generation that was never used, and what became of
        the last one that was.

        cid: the declared definition's, by which a job is recognised without reading its definition. past: "strict" before money may be
        spent: what cannot be known is an error; "lenient" takes an unknown past for none; "accounts" looks at no past at all, and counts
        only what still has an account.
        """
        warnings = _Warnings(list(seen.warnings))
        known = {job.address for job in seen.jobs}
        others, (finished, unknown), (generation, hint_holds) = await asyncio.gather(
            self._posted_by_others(seen.identity.name, cid, known, warnings, strict=past != "accounts"),
            self._same_by_others(cid, known) if cid and past != "accounts" else _nothing(),
            self._next_generation(seen, strict=past == "strict"),
        )
        others += unknown
        if not hint_holds or (generation and generation - 1 not in seen.window):
            seen = await self._also(seen, range(max(0, generation - WINDOW), max(WINDOW, generation)))
        known = {job.address for job in seen.jobs}
        others = [job for job in others if job.address not in known]
        derived = {seen.identity.address(number) for number in range(max(0, generation - WINDOW), generation + 1)}
        appeared = next((job.address for job in others if job.address in derived), None)
        if appeared is not None:
            raise _appeared(appeared)
        seen = replace(seen, jobs=(*seen.jobs, *others), generation=generation, warnings=tuple(warnings.sentences))
        if past != "accounts" and not any(job.generation is not None for job in seen.active):
            # A finished job of another tool counts only while the name has no past of its own. Beside an active one of another tool no past
            # counts, but that the newest generation has just appeared is noticed all the same.
            latest = await self._latest(seen, "lenient" if seen.active else past) if generation else finished
            seen = replace(seen, latest=None if seen.active else latest)
        self._remember(seen)
        return seen

    async def all_generations(self, seen: Observation) -> Observation:
        """The same with the jobs of all generations, not only those of the last sixteen."""
        for first in range(0, seen.generation or 0, WINDOW):
            if not set(range(first, min(first + WINDOW, seen.generation or 0))) <= set(seen.window):
                seen = await self._also(seen, range(first, first + WINDOW))
        return seen

    async def _also(self, seen: Observation, window: range) -> Observation:
        elsewhere = await self._look(seen.identity, window.start, None, _Hint())
        known = {job.address for job in seen.jobs}
        jobs = sorted((*seen.jobs, *(job for job in elsewhere.jobs if job.address not in known)), key=lambda job: job.generation or 0)
        return replace(seen, jobs=tuple(jobs), window=elsewhere.window)

    async def _look(self, identity: Identity, first: int, market: str | None, hint: _Hint) -> Observation:
        question = _Question.of(identity, range(first, first + WINDOW), market, hint)
        about_wallet = [self._owner, self._token_account, self._network.jobs_program, jobs_program.RENT_SYSVAR, jobs_program.CLOCK_SYSVAR]
        keys = list(dict.fromkeys([*question.keys, *about_wallet]))
        along = self._asked_along(keys, market)
        snapshot = await self._rpc.snapshot(keys)
        for other in along:
            self._foresight.keep(self._foresight_key(other.identity.name), Foreseen(other, snapshot, self._clock.monotonic()))
        return await self._read(question, snapshot)

    def _asked_along(self, keys: list[str], market: str | None) -> list[_Question]:
        """Questions about the next names of a loop, whose keys are added to those that are asked anyway, as far as a request has room."""
        questions = []
        for name in self._foresight.upcoming:
            identity = self._identity(name)
            hint = self._hint(identity)
            first = max(0, hint.generations - WINDOW_AHEAD + 1)
            question = _Question.of(identity, range(first, first + WINDOW_AHEAD), market, hint)
            new = [key for key in question.keys if key not in keys]
            if len(keys) + len(new) > KEYS_PER_REQUEST:
                break
            keys += new
            questions.append(question)
        return questions

    async def _read(self, question: _Question, snapshot: Snapshot) -> Observation:
        identity, window, market, hint = question.identity, question.window, question.market, question.hint
        self._rpc.not_before(snapshot.slot)
        warnings = _Warnings()
        jobs = []
        for address, generation in question.jobs.items():
            account = snapshot.accounts.get(address)
            if account is None or account.owner != self._network.jobs_program:
                continue
            run_addresses = [identity.address(generation, "run"), hint.run]
            jobs.append(self._with_known_run(self._job(address, account, generation), snapshot, run_addresses))
        markets = {key: market_now for key in question.markets if (market_now := self._market(snapshot.accounts.get(key))) is not None}
        found = await self._with_runs(jobs, markets, warnings)
        lamports, base_units = self._wallet_in(snapshot)
        seen = Observation(
            identity=identity,
            slot=snapshot.slot,
            jobs=tuple(found),
            market=markets.get(market) if market else None,
            markets=markets,
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

    async def _next_generation(self, seen: Observation, *, strict: bool) -> tuple[int, bool]:
        """The first generation that was never used: no account and no signature in the address's history; and whether what an earlier run
        has learned still holds.

        Generations are used in order, so a doubling step and then halving finds it in few requests.
        """
        used = seen.expected - 1
        last, next_one = await asyncio.gather(self._was_used(seen, used), self._was_used(seen, used + 1))
        if last and not next_one:
            return used + 1, True
        if not last:
            if strict and self._network.genesis_hash is not None:
                raise _without_history(seen.identity.name, seen.identity.address(used))
            # A local network that was begun anew.
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
        return unused, last

    async def _was_used(self, seen: Observation, generation: int) -> bool:
        if generation < 0 or any(job.generation == generation for job in seen.jobs):
            return True
        address = seen.identity.address(generation)
        if await self._rpc.get_signatures_for_address(address, limit=1):
            return True
        # A node without the old history may still hold the account; inside the window that was asked already.
        return generation not in seen.window and await self._rpc.get_account(address) is not None

    async def _latest(self, seen: Observation, past: Past) -> ObservedJob | None:
        """The newest job of the name that is over; None when there was none, or when the newest was removed."""
        by_generation = {job.generation: job for job in seen.jobs}
        for generation in reversed(range(max(0, (seen.generation or 0) - WINDOW), seen.generation or 0)):
            if generation in by_generation:
                return by_generation[generation]
            try:
                job, existed = await self._past(seen.identity, generation)
            except HistoryUnavailable:
                if past == "strict":
                    raise
                return None
            if existed:
                return job
        return None

    async def was_ended(self, job: ObservedJob) -> bool:
        """Whether a job that is over was ended by its owner. A host may say so in its result; the chain's history proves it, and for ever."""
        key = f"ended:{self._network.name}:{job.address}:{job.result_cid}"
        known = self._cache.get([key]).get(key)
        if isinstance(known, bool):
            return known
        ended = await ended_by_owner(self._rpc.get_transaction, self._network.jobs_program, job.address, await self._history(job.address))
        if ended is not None:
            self._cache.put({key: ended})
        return ended is True

    async def _history(self, address: str) -> list[str]:
        """Signatures of the successful transactions that named an address, newest first."""
        found = await self._rpc.get_signatures_for_address(address, limit=_MOST_SIGNATURES)
        return [entry.signature for entry in found if entry.succeeded]

    async def _past(self, identity: Identity, generation: int) -> tuple[ObservedJob | None, bool]:
        """What became of a job whose account is gone, and whether it ever existed: None when its owner removed it.

        A job that is over and whose account was closed afterwards (clean) is still over: it is not paid for again.
        """
        address = identity.address(generation)
        signatures = await self._history(address)
        if not signatures:
            return None, False
        fate = await read_fate(self._rpc.get_transaction, self._network.jobs_program, address, signatures)
        if fate is None:
            account = await self._rpc.get_account(address)
            if account is not None and account.owner == self._network.jobs_program:
                raise _appeared(address)  # it was not there yet when the addresses were looked at
            raise _without_history(identity.name, address)
        if fate.last not in CLOSED_BY:
            raise _appeared(address)
        if fate.job is None or fate.ended:
            return None, True
        begun = 0
        if fate.run is not None:
            # The run's account was created when the host took the job, and is named again when it was over.
            entries = await self._rpc.get_signatures_for_address(fate.run, limit=_MOST_SIGNATURES)
            begun = min((entry.time for entry in entries if entry.time and entry.succeeded), default=0)
        return ObservedJob(address, replace(fate.job, time_start=begun), generation, closed=True), True

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
            asyncio.gather(*(self._search(filters) for filters in questions)),
        )
        self._rpc.not_before(snapshot.slot)
        found = {job.address: job for answer in answers for job in answer}
        jobs = await self._with_runs([found[address] for address in sorted(found)], {}, warnings)
        return jobs, self._now(snapshot), tuple(warnings.sentences)

    async def _posted_by_others(
        self, name: str, cid: str | None, known: set[str], warnings: _Warnings, *, strict: bool
    ) -> list[ObservedJob]:
        """Active jobs of the wallet outside the derived addresses whose definition carries the name.

        strict: money may be spent on what is found here, so a gateway that is down is an error; a definition that nobody has is not.
        """
        try:
            answers = await asyncio.gather(
                *(self._search(jobs_program.job_filters(project=self._owner, state=state)) for state in _ACTIVE_STATES)
            )
        except SearchRefused:
            warnings.add(
                "The RPC node refuses getProgramAccounts, so jobs that other tools posted under this name are not seen; "
                "set rpc_url to a node that allows it."
            )
            return []
        jobs = [job for found in answers for job in found if job.address not in known and job.account.project == self._owner]
        facts, failures = await self._definitions([job.definition_cid for job in jobs if job.definition_cid != cid], _MOST_FOREIGN_READS)
        unread = sorted(job.address for job in jobs if job.definition_cid != cid and job.definition_cid not in facts)
        if unread:
            sentence = (
                f"The definitions of {len(unread)} active jobs could not be read, so their names are not known: {', '.join(unread[:5])}"
            )
            if strict and any(not isinstance(error, NotFound) for error in failures.values()):
                raise Unreachable(f"{sentence}; nothing is posted, because one of them may be {name}, so run the task again.")
            warnings.add(f"{sentence}.")
        same = [job for job in jobs if job.definition_cid == cid or _name(facts.get(job.definition_cid)) == name]
        return await self._with_runs(same, {}, warnings)

    async def _same_by_others(self, cid: str, known: set[str]) -> tuple[ObservedJob | None, list[ObservedJob]]:
        """The wallet's jobs with just the declared definition that are in no active state: the newest finished one, which was adopted while it
        ran and is not paid for again, and those in a state that only a newer program knows.
        """
        try:
            found = await self._search(jobs_program.job_filters(project=self._owner, ipfs_job=cid_to_bytes(cid)))
        except SearchRefused:
            return None, []
        jobs = [job for job in found if job.address not in known and job.account.project == self._owner and job.definition_cid == cid]
        done = [job for job in jobs if job.account.state == jobs_program.JOB_DONE]
        newest = max(done, key=lambda job: job.account.time_end, default=None)
        return newest, [job for job in jobs if job.account.state not in jobs_program.JOB_STATES]

    async def _search(self, filters: Sequence[dict[str, Any]]) -> list[ObservedJob]:
        found = await self._rpc.get_program_accounts(self._network.jobs_program, filters=filters)
        return [self._job(address, account) for address, account in found]

    def know(self, cid: str, document: Any) -> None:
        """A definition that was just posted needs no reading by whoever posts beside it."""
        keep_definition_facts(self._cache, {cid: facts_of_definition(document)})

    async def definitions(self, cids: Iterable[str]) -> dict[str, DefinitionFacts]:
        """What is known of pinned definitions; one that could not be read is left out.

        A document's address is its hash, so what an earlier run read needs no reading again.
        """
        facts, _failures = await self._definitions(cids, None)
        return facts

    async def _definitions(self, cids: Iterable[str], most: int | None) -> tuple[dict[str, DefinitionFacts], dict[str, NosanaError]]:
        """Facts and failures by content address; at most so many are read, the others count as failures of this run."""
        wanted = sorted(set(cids))
        facts = read_definition_facts(self._cache, wanted)
        missing = [cid for cid in wanted if cid not in facts]
        failures: dict[str, NosanaError] = {cid: Unreachable("It is another run's turn.") for cid in missing[most:]} if most else {}
        gate = asyncio.Semaphore(_PARALLEL_READS)

        async def read(cid: str) -> None:
            async with gate:
                try:
                    new[cid] = facts_of_definition(await self._documents.read(cid))
                except NoDocument:
                    new[cid] = facts_of_definition(None)
                except NosanaError as error:
                    failures[cid] = error

        new: dict[str, DefinitionFacts] = {}
        await asyncio.gather(*(read(cid) for cid in missing[:most]))
        if new:
            keep_definition_facts(self._cache, new)
        return facts | new, failures

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
        # A job that was given up waits in no queue.
        waiting = [job for job in unknown if job.account.state == jobs_program.JOB_QUEUED]
        wanted = sorted({job.account.market for job in waiting} - set(markets))
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
        if lost and runs is not None and not (wanted and all(job not in waiting for job in lost)):
            runs = await self._runs_of(lost)
        if lost and runs is None:
            warnings.add(
                "The RPC node refuses getProgramAccounts, so it is not known which host runs a job that waited in a queue, and such a job "
                "cannot be ended; set rpc_url to a node that allows it."
            )
            settled |= {job.address: replace(job, run_hidden=job in waiting) for job in lost}
        elif lost and runs is not None:
            settled |= {job.address: _running(job, runs) for job in lost if job.address in runs}
            # A job that seems to be given up may have been taken and finished meanwhile; then the program refuses what is done to it.
            settled |= {job.address: job for job in lost if job not in waiting and job.address not in runs}
            settled |= await self._without_run([job for job in lost if job.address not in settled])
        gone = {job.address for job in unknown} - set(settled)
        return [settled.get(job.address, job) for job in jobs if job.address not in gone]

    async def _without_run(self, jobs: Sequence[ObservedJob]) -> dict[str, ObservedJob]:
        """Jobs of which no run was found, by their own accounts, which are the later word; what is gone is left out.

        One that still is open is an orphan only if the node's index can be trusted: after a moment it finds the job itself, and again no run.
        Otherwise a host runs it that the node does not show.
        """
        accounts = await self._rpc.get_multiple_accounts([job.address for job in jobs]) if jobs else []
        pairs = [(job, account) for job, account in zip(jobs, accounts, strict=True) if account is not None]
        now = {job.address: self._job(job.address, account, job.generation) for job, account in pairs}
        doubtful = [job for job in now.values() if job.phase == "orphaned"]
        if doubtful:
            await self._clock.sleep(_SECOND_LOOK_SECONDS)
            projects = sorted({job.account.project for job in doubtful})
            runs, indexed = await asyncio.gather(
                self._runs_of(doubtful),
                asyncio.gather(*(self._search(jobs_program.job_filters(project=key, state=jobs_program.JOB_QUEUED)) for key in projects)),
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
        # Anybody may send lamports to the address before the account exists.
        exists = tokens is not None and tokens.owner == jobs_program.TOKEN_PROGRAM
        return (wallet.lamports if wallet else 0), (jobs_program.token_amount(tokens.data) if tokens and exists else None)

    def _now(self, snapshot: Snapshot) -> int:
        return time_of(snapshot.accounts.get(jobs_program.CLOCK_SYSVAR))

    # --- hints --------------------------------------------------------------------------------------------------------

    def _hint(self, identity: Identity) -> _Hint:
        key = self._hint_key(identity)
        facts = self._cache.get([key]).get(key)
        facts = facts if isinstance(facts, dict) else {}
        generations, run, market = facts.get("generations"), facts.get("run"), facts.get("market")
        return _Hint(
            generations if isinstance(generations, int) and 0 <= generations <= _MOST_GENERATIONS else 0,
            run if is_address(run) else None,
            market if is_address(market) else None,
        )

    def _hint_key(self, identity: Identity) -> str:
        """The local network has the program of mainnet, so its addresses are the same."""
        return f"name:{self._network.name}:{identity.address(0)}"

    def _remember(self, seen: Observation) -> None:
        derived = [job for job in seen.jobs if job.generation is not None]
        active = next((job for job in derived if job.active), None)
        generations = seen.generation or max((job.generation + 1 for job in derived if job.generation is not None), default=0)
        facts = {
            "generations": generations,
            "run": active.run_address if active else None,
            "market": active.account.market if active else None,
        }
        key = self._hint_key(seen.identity)
        if self._cache.get([key]).get(key) != facts:
            self._cache.put({key: facts})


def _without_history(name: str, address: str) -> HistoryUnavailable:
    return HistoryUnavailable(
        f"A job {name} existed at {address} and its account is gone, and the RPC node does not have the transactions that would tell "
        "whether it was removed or is over, so nothing is posted; set rpc_url to a node with the full history, or rerun=finished to run it "
        "anew in any case."
    )


def _appeared(address: str) -> Moved:
    return Moved(f"The job {address} appeared while it was looked for; run the task again.")


async def _nothing() -> tuple[None, list[ObservedJob]]:
    return None, []


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
