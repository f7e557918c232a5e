"""Looking up jobs: what nosana_job_info does, without knowing Ansible; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .._clients import program as jobs_program
from .cache import DefinitionFacts, facts_of_definition
from .observation import ObservedJob
from .observe import Observer
from .reader import Documents, Learn, Reader
from .verdict import MAX_LOG_CHARACTERS, read_log

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .._clients.rpc import Rpc
    from .._libraries import solders
    from .cache import Cache

Include = Literal["definition", "result", "logs", "cost"]

# Which states on chain may be the ones asked for; with the result, a job in a state may be several things.
_QUEUED, _DONE, _STOPPED = jobs_program.JOB_QUEUED, jobs_program.JOB_DONE, jobs_program.JOB_STOPPED
_STATES: dict[str, tuple[int, ...]] = {
    "pending": (_QUEUED,),
    "running": (_QUEUED, _STOPPED),
    "completed": (_DONE,),
    "failed": (_QUEUED, _DONE, _STOPPED),
    "cancelled": (_DONE,),
}
_AT_ONCE = 16
_ALL_LOGS_CHARACTERS = 4 * MAX_LOG_CHARACTERS


@dataclass(frozen=True)
class Query:
    """Which jobs: by name, by address, or all of the wallet; narrowed by status and market (an address); at most `limit`, newest first.

    ended_within: of the jobs that are over only those that ended so many seconds ago at most, by the chain's clock.
    """

    name: str | None = None
    address: str | None = None
    statuses: Sequence[str] = ()
    market: str | None = None
    include: Sequence[Include] = ()
    limit: int = 100
    ended_within: float | None = None


@dataclass
class Memory:
    """What cannot change any more, for whoever looks again and again: facts of definitions by content address, and jobs that are over, as
    they were described, by address and result. now_seconds: the chain's time at the last look; slot: no look shows an older state than that.
    """

    definitions: dict[str, DefinitionFacts] = field(default_factory=dict)
    over: dict[tuple[str, str | None], dict[str, Any]] = field(default_factory=dict)
    now_seconds: int = 0
    slot: int = 0

    def keep_only(self, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """Forgets whatever does not belong to these jobs, by address."""
        cids = {job["definition_cid"] for job in jobs.values()}
        self.definitions = {cid: facts for cid, facts in self.definitions.items() if cid in cids}
        self.over = {key: entry for key, entry in self.over.items() if key[0] in jobs}


@dataclass
class _Found:
    jobs: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    log_characters: int = _ALL_LOGS_CHARACTERS


class JobLookup:
    """Reads jobs of one wallet on one network."""

    def __init__(
        self,
        *,
        network: Network,
        wallet: solders.keypair.Keypair,
        rpc: Rpc,
        ipfs: Ipfs,
        clock: Clock,
        cache: Cache,
        learn: Learn | None = None,
        memory: Memory | None = None,
    ) -> None:
        """`learn` is told the secrets in definitions that are read. `memory`: of earlier looks, which asked for nothing beside the job."""
        documents = Documents(ipfs)
        self._memory = memory
        self._observer = Observer(rpc, documents, network, wallet, clock, cache)
        self._reader = Reader(documents, network, learn)
        self.unread: list[ObservedJob] = []
        """The jobs whose definitions could not be read."""

    async def find(self, query: Query) -> tuple[list[dict[str, Any]], list[str]]:
        """The jobs that match, as plain values, and warnings. No match is an empty list, never an error."""
        jobs, now, warnings = await self._jobs(query)
        jobs = [job for job in jobs if query.market in (None, job.account.market) and query.address in (None, job.address)]
        if self._memory:
            self._memory.now_seconds = max(self._memory.now_seconds, now)
        if query.ended_within is not None:
            jobs = [job for job in jobs if job.phase != "done" or now - job.account.time_end <= query.ended_within]
        found = _Found(warnings=warnings)
        # A few facts are all that is wanted of a definition, and an earlier run may have kept them; unless what the job printed is shown too,
        # in which the definition's secrets have to be masked.
        whole = {"definition", "result", "logs"} & set(query.include)
        facts = {} if whole else await self._definitions(jobs[: query.limit])
        for start in range(0, len(jobs), _AT_ONCE):
            part = jobs[start : start + _AT_ONCE]
            entries = await asyncio.gather(*(self._entry(job, facts, query, now) for job in part))
            for entry, log, more in entries:
                if query.statuses and entry["status"] not in query.statuses:
                    continue
                if len(found.jobs) == query.limit:
                    found.warnings.append(f"Only the newest {query.limit} jobs are returned; ask for more with limit.")
                    return found.jobs, found.warnings + self._about_unread()
                found.warnings += [sentence for sentence in more if sentence not in found.warnings]
                if "logs" in query.include:
                    entry["logs"] = _within(log, found)
                found.jobs.append(entry)
        return found.jobs, found.warnings + self._about_unread()

    def _about_unread(self) -> list[str]:
        if not self.unread:
            return []
        first = self.unread[0]
        others = f", like those of {len(self.unread) - 1} others" if len(self.unread) > 1 else ""
        return [f"The definition {first.definition_cid} of the job {first.address} could not be read from IPFS{others}."]

    async def _jobs(self, query: Query) -> tuple[list[ObservedJob], int, list[str]]:
        if query.name is not None:
            seen = await self._observer.complete(await self._observer.by_name(query.name), past="accounts")
            seen = await self._observer.all_generations(seen)
            return list(seen.jobs), seen.now_seconds, list(seen.warnings)
        if query.address is not None:
            found, now = await self._observer.by_address(query.address)
            return ([found] if found is not None else []), now, []
        states = sorted({state for status in query.statuses for state in _STATES[status]})
        jobs, now, warnings = await self._observer.owned(states=states or (None,), market=query.market)
        # What is not over comes first, then what ended last.
        jobs.sort(key=lambda job: (job.phase == "done", -job.account.time_end, job.address))
        return jobs, now, list(warnings)

    async def _definitions(self, jobs: Sequence[ObservedJob]) -> dict[str, DefinitionFacts | None]:
        """None for a definition that cannot be read now; whoever is not here was not asked for."""
        cids = {job.definition_cid for job in jobs}
        known = self._memory.definitions if self._memory else {}
        found = await self._observer.definitions(cids - set(known))
        known.update(found)
        return dict.fromkeys(cids) | {cid: known[cid] for cid in cids & set(known)}

    async def _entry(
        self, job: ObservedJob, facts: dict[str, DefinitionFacts | None], query: Query, now_seconds: int
    ) -> tuple[dict[str, Any], list[dict[str, str]], list[str]]:
        remembered = self._memory.over.get((job.address, job.result_cid)) if self._memory else None
        if remembered is not None:
            return dict(remembered), [], []
        warnings = []
        known = facts.get(job.definition_cid)
        definition = None
        if job.definition_cid not in facts:
            definition = await self._reader.definition_if_readable(job)
            known = None if definition is None else facts_of_definition(definition)
        verdict = await self._reader.verdict(job, known, now_seconds)
        if known is None:
            self.unread.append(job)
            entry = self._reader.describe(job, query.name, None, verdict)
        else:
            entry = self._reader.describe_by_facts(job, known, verdict)
        if "cost" not in query.include:
            del entry["cost"]
        if self._memory and job.phase == "done" and known is not None and verdict.reason != "result_unavailable":
            self._memory.over[job.address, job.result_cid] = dict(entry)
        if "definition" in query.include:
            entry["job_definition"] = definition
        result = await self._reader.result(job)
        if "result" in query.include:
            entry["result"] = result
        self._reader.forget(job)
        log = read_log(result) if "logs" in query.include else None
        if log is not None and log.left_out:
            warnings.append(f"The log of the job {job.address} is longer; its oldest {log.left_out} lines are left out.")
        return entry, [{"op": line.op, "type": line.type, "text": line.text} for line in log.lines] if log else [], warnings


def _within(log: list[dict[str, str]], found: _Found) -> list[dict[str, str]]:
    """The newest lines that the budget of all logs together still has room for."""
    kept: list[dict[str, str]] = []
    for line in reversed(log):
        found.log_characters -= len(line["text"])
        if found.log_characters < 0:
            sentence = "The logs of all jobs together are longer than what is returned; ask for fewer jobs."
            if sentence not in found.warnings:
                found.warnings.append(sentence)
            break
        kept.append(line)
    return kept[::-1]
