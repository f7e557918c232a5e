"""What the chain says about jobs: found by name, by address or by owner, with their runs and their past; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._clients import program as jobs_program
from .._clients.errors import NoDocument, NosanaError, NotFound, SearchRefused, Unreachable
from .._clients.ipfs import cid_to_bytes
from .._clients.rpc import KEYS_PER_REQUEST
from .accounts import Accounts
from .cache import DefinitionFacts, facts_of_definition, keep_definition_facts, read_definition_facts
from .chain import time_of
from .foresight import Foreseen, Foresight
from .generations import WINDOW, Generations, Past, just_appeared
from .hints import Hint, Hints
from .identity import Identity
from .observation import RENT_LAMPORTS_PER_BYTE, Observation, ObservedJob, Sentences

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.networks import Network
    from .._clients.rpc import Account, Rpc, Snapshot
    from .._libraries import solders
    from .cache import Cache
    from .reader import Documents

# Of a name that is asked along: the newest job, the one before it, and the one that may have come since.
WINDOW_AHEAD = 3
_PARALLEL_READS = 16
# A wallet with more active jobs of other tools learns their names in more than one run.
_MOST_FOREIGN_READS = 250
_ACTIVE_STATES = (jobs_program.JOB_QUEUED, jobs_program.JOB_STOPPED)


@dataclass(frozen=True)
class _Question:
    """The accounts that tell of a name: jobs and their own runs by generation, the market that is meant, and what an earlier run learned."""

    identity: Identity
    window: range
    market: str | None
    hint: Hint
    jobs: dict[str, int]
    runs: dict[str, int]

    @staticmethod
    def of(identity: Identity, window: range, market: str | None, hint: Hint) -> _Question:
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
        self._hints = Hints(cache, network)
        self.accounts = Accounts(rpc, network, clock)
        self.generations = Generations(rpc, network, cache)
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
        hint = self._hints.of(identity)
        return await self._look(identity, max(0, hint.generations - WINDOW // 2), market, hint)

    def remembers_market(self, name: str) -> bool:
        """Whether an earlier run has learned in which market the name's job is, so that :meth:`by_name` reads that along."""
        return self._hints.of(self._identity(name)).market is not None

    def _identity(self, name: str) -> Identity:
        return Identity(self._wallet, program=self._network.jobs_program, name=name)

    def _foresight_key(self, name: str) -> tuple[object, ...]:
        return self._network.rpc_urls, self._network.jobs_program, self._owner, name

    async def complete(self, seen: Observation, *, cid: str | None = None, past: Past = "strict") -> Observation:
        """The authoritative read: active jobs of other tools under the name, the first generation that was never used, and what became of
        the last one that was.

        cid: the declared definition's, by which a job is recognised without reading its definition.
        """
        warnings = Sentences(list(seen.warnings))
        known = {job.address for job in seen.jobs}
        others, (finished, unknown), (generation, hint_holds) = await asyncio.gather(
            self._posted_by_others(seen.identity.name, cid, known, warnings, strict=past != "accounts"),
            self._same_by_others(cid, known) if cid and past != "accounts" else _nothing(),
            self.generations.next_unused(seen, strict=past == "strict"),
        )
        others += unknown
        if not hint_holds or (generation and generation - 1 not in seen.window):
            seen = await self._also(seen, range(max(0, generation - WINDOW), max(WINDOW, generation)))
        known = {job.address for job in seen.jobs}
        others = [job for job in others if job.address not in known]
        derived = {seen.identity.address(number) for number in range(max(0, generation - WINDOW), generation + 1)}
        appeared = next((job.address for job in others if job.address in derived), None)
        if appeared is not None:
            raise just_appeared(appeared)
        seen = replace(seen, jobs=(*seen.jobs, *others), generation=generation, warnings=tuple(warnings.sentences))
        if past != "accounts" and not any(job.generation is not None for job in seen.active):
            # A finished job of another tool counts only while the name has no past of its own. Beside an active one of another tool no past
            # counts, but that the newest generation has just appeared is noticed all the same.
            latest = await self.generations.latest(seen, "lenient" if seen.active else past) if generation else finished
            seen = replace(seen, latest=None if seen.active else latest)
        self._hints.remember(seen)
        return seen

    async def all_generations(self, seen: Observation) -> Observation:
        """The same with the jobs of all generations, not only those of the last sixteen."""
        for first in range(0, seen.generation or 0, WINDOW):
            if not set(range(first, min(first + WINDOW, seen.generation or 0))) <= set(seen.window):
                seen = await self._also(seen, range(first, first + WINDOW))
        return seen

    async def _also(self, seen: Observation, window: range) -> Observation:
        elsewhere = await self._look(seen.identity, window.start, None, Hint())
        known = {job.address for job in seen.jobs}
        jobs = sorted((*seen.jobs, *(job for job in elsewhere.jobs if job.address not in known)), key=lambda job: job.generation or 0)
        return replace(seen, jobs=tuple(jobs), window=elsewhere.window)

    async def _look(self, identity: Identity, first: int, market: str | None, hint: Hint) -> Observation:
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
            hint = self._hints.of(identity)
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
        warnings = Sentences()
        jobs = []
        for address, generation in question.jobs.items():
            account = snapshot.accounts.get(address)
            if account is None or account.owner != self._network.jobs_program:
                continue
            run_addresses = [identity.address(generation, "run"), hint.run]
            jobs.append(self.accounts.with_known_run(self.accounts.job(address, account, generation), snapshot, run_addresses))
        markets = {
            key: market_now for key in question.markets if (market_now := self.accounts.market(snapshot.accounts.get(key))) is not None
        }
        found = await self.accounts.with_runs(jobs, markets, warnings)
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
            self._hints.remember(seen)
        return seen

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
        job = self.accounts.with_known_run(self.accounts.job(address, account, generation), snapshot, around)
        market = self.accounts.market(snapshot.accounts.get(job.account.market))
        found = await self.accounts.with_runs([job], {job.account.market: market} if market else {}, Sentences())
        return (found[0] if found else None), self._now(snapshot)

    async def owned(
        self, *, states: Sequence[int | None] = (None,), market: str | None = None
    ) -> tuple[list[ObservedJob], int, tuple[str, ...]]:
        """All jobs whose project is the wallet, in the order of their addresses, the chain's time, and warnings."""
        warnings = Sentences()
        questions = [jobs_program.job_filters(project=self._owner, state=state, market=market) for state in states]
        snapshot, answers = await asyncio.gather(
            self._rpc.snapshot([jobs_program.CLOCK_SYSVAR]),
            asyncio.gather(*(self.accounts.search(filters) for filters in questions)),
        )
        self._rpc.not_before(snapshot.slot)
        found = {job.address: job for answer in answers for job in answer}
        jobs = await self.accounts.with_runs([found[address] for address in sorted(found)], {}, warnings)
        return jobs, self._now(snapshot), tuple(warnings.sentences)

    async def _posted_by_others(
        self, name: str, cid: str | None, known: set[str], warnings: Sentences, *, strict: bool
    ) -> list[ObservedJob]:
        """Active jobs of the wallet outside the derived addresses whose definition carries the name.

        strict: money may be spent on what is found here, so a gateway that is down is an error; a definition that nobody has is not.
        """
        try:
            answers = await asyncio.gather(
                *(self.accounts.search(jobs_program.job_filters(project=self._owner, state=state)) for state in _ACTIVE_STATES)
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
        return await self.accounts.with_runs(same, {}, warnings)

    async def _same_by_others(self, cid: str, known: set[str]) -> tuple[ObservedJob | None, list[ObservedJob]]:
        """The wallet's jobs with just the declared definition that are in no active state: the newest finished one, which was adopted while it
        ran and is not paid for again, and those in a state that only a newer program knows.
        """
        try:
            found = await self.accounts.search(jobs_program.job_filters(project=self._owner, ipfs_job=cid_to_bytes(cid)))
        except SearchRefused:
            return None, []
        jobs = [job for job in found if job.address not in known and job.account.project == self._owner and job.definition_cid == cid]
        done = [job for job in jobs if job.account.state == jobs_program.JOB_DONE]
        newest = max(done, key=lambda job: job.account.time_end, default=None)
        return newest, [job for job in jobs if job.account.state not in jobs_program.JOB_STATES]

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

    # --- decoding -----------------------------------------------------------------------------------------------------

    def _wallet_in(self, snapshot: Snapshot) -> tuple[int, int | None]:
        wallet, tokens = snapshot.accounts.get(self._owner), snapshot.accounts.get(self._token_account)
        # Anybody may send lamports to the address before the account exists.
        exists = tokens is not None and tokens.owner == jobs_program.TOKEN_PROGRAM
        return (wallet.lamports if wallet else 0), (jobs_program.token_amount(tokens.data) if tokens and exists else None)

    def _now(self, snapshot: Snapshot) -> int:
        return time_of(snapshot.accounts.get(jobs_program.CLOCK_SYSVAR))


async def _nothing() -> tuple[None, list[ObservedJob]]:
    return None, []


def _name(facts: DefinitionFacts | None) -> str | None:
    return None if facts is None else facts.name


def _rent_per_byte(account: Account | None) -> int:
    """Lamports for each byte, from the rent sysvar: lamports for a byte and year (u64), years to be exempt (f64)."""
    if account is None or len(account.data) < 16:
        return RENT_LAMPORTS_PER_BYTE
    per_year, years = struct.unpack_from("<Qd", account.data)
    return int(per_year * years) if 0 < per_year * years < 10**9 else RENT_LAMPORTS_PER_BYTE
