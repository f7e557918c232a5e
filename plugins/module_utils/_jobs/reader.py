"""What is read of a job beside the chain, and what is made of it: definition and result from IPFS, the verdict, the description."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._clients.errors import NosanaError
from .cache import DefinitionFacts, facts_of_definition
from .definition import secrets
from .plan import Current
from .report import describe
from .verdict import Verdict, judge

if TYPE_CHECKING:
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .observe import ObservedJob

Learn = Callable[[list[str]], None]


async def _nothing() -> None:
    return None


class Reader:
    """Reads each document once in a run."""

    def __init__(self, ipfs: Ipfs, network: Network, learn: Learn | None = None, *, known: Mapping[str, Any] | None = None) -> None:
        """`learn` is told the secrets in definitions that are read. `known`: documents that somebody else has read, by content address."""
        self._known = {} if known is None else known
        self._learn = learn
        self._ipfs = ipfs
        self._network = network
        self._documents: dict[str, Any] = {}

    async def judged(self, job: ObservedJob, definition: dict[str, Any] | None, now_seconds: int) -> Current:
        """The job with its verdict; reads its result."""
        facts = None if definition is None else facts_of_definition(definition)
        return Current(job, definition, await self.verdict(job, facts, now_seconds))

    async def verdict(self, job: ObservedJob, facts: DefinitionFacts | None, now_seconds: int) -> Verdict:
        """The job's verdict; reads its result. now_seconds: the chain's time."""
        account = job.account
        return judge(
            job_state=account.state,
            has_run=job.phase == "running",
            has_result=job.result_cid is not None,
            result=await self.result(job),
            exposes_port=facts is not None and facts.exposes_port,
            now_seconds=now_seconds,
            time_start=job.run.time_start if job.run is not None else account.time_start,
            time_end=account.time_end,
            timeout_seconds=account.timeout_seconds,
            orphaned=job.phase == "orphaned",
            confidential=facts is not None and facts.confidential,
            run_ops=None if facts is None else facts.run_ops,
        )

    async def _read(self, cid: str) -> Any:
        """A pinned document, read once in a run."""
        if cid in self._known:
            return self._known[cid]
        if cid not in self._documents:
            self._documents[cid] = await self._ipfs.fetch_json(cid)
        return self._documents[cid]

    async def read_ahead(self, job: ObservedJob, known_cid: str | None) -> None:
        """Reads the job's documents while something else is asked; the definition unless it is known. What cannot be read is asked again."""
        definition = self.definition_if_readable(job) if job.definition_cid != known_cid else _nothing()
        await asyncio.gather(definition, self.result(job))

    async def definition(self, job: ObservedJob) -> dict[str, Any]:
        document = await self._read(job.definition_cid)
        if self._learn is not None:
            self._learn(secrets(document))
        return document if isinstance(document, dict) else {}

    async def definition_if_readable(self, job: ObservedJob) -> dict[str, Any] | None:
        try:
            return await self.definition(job)
        except NosanaError:
            return None

    async def result(self, job: ObservedJob) -> Any | None:
        """The host's result document; None when there is none yet or it cannot be read."""
        if job.result_cid is None:
            return None
        try:
            return await self._read(job.result_cid)
        except NosanaError:
            return None

    def describe(
        self, job: ObservedJob, name: str | None, definition: dict[str, Any] | None, verdict: Verdict, *, fee: int | None = None
    ) -> dict[str, Any]:
        """The job as the modules return it."""
        return describe(job, name=name, definition=definition, verdict=verdict, network=self._network, fee=fee)
