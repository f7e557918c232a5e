"""What is read of a job beside the chain, and what is made of it: definition and result from IPFS, the verdict, the description."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._clients.errors import NosanaError
from .._clients.node import exposed_ports
from .cache import DefinitionFacts, facts_of_definition
from .definition import secrets
from .plan import Current
from .report import describe
from .verdict import Verdict, judge

if TYPE_CHECKING:
    from .._clients.ipfs import Ipfs
    from .._clients.networks import Network
    from .observation import ObservedJob

_MOST_DOCUMENTS = 64
Learn = Callable[[list[str]], None]


class Documents:
    """Pinned documents, each read once in a run; of very many only the newest are kept."""

    def __init__(self, ipfs: Ipfs) -> None:
        self._ipfs = ipfs
        self._kept: dict[str, Any] = {}

    async def read(self, cid: str) -> Any:
        """The JSON document of that address, verified."""
        if cid not in self._kept:
            self._kept[cid] = await self._ipfs.fetch_json(cid)
            if len(self._kept) > _MOST_DOCUMENTS:
                del self._kept[next(iter(self._kept))]
        return self._kept[cid]

    def forget(self, cid: str) -> None:
        """Results may be large; whoever reads many jobs keeps one at a time."""
        self._kept.pop(cid, None)


class Reader:
    """Reads a job's documents and judges it."""

    def __init__(self, documents: Documents, network: Network, learn: Learn | None = None) -> None:
        """`learn` is told the secrets in definitions that are read."""
        self._learn = learn
        self._documents = documents
        self._network = network

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

    async def read_ahead(self, job: ObservedJob) -> None:
        """Reads the job's documents while something else is asked; what cannot be read is tried again when it is wanted."""
        await asyncio.gather(self.definition_if_readable(job), self.result(job))

    async def definition(self, job: ObservedJob) -> dict[str, Any]:
        document = await self._documents.read(job.definition_cid)
        if self._learn is not None:
            self._learn(secrets(document))
        return document if isinstance(document, dict) else {}

    def forget(self, job: ObservedJob) -> None:
        """Its result is not wanted any more."""
        self._documents.forget(job.result_cid or "")

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
            return await self._documents.read(job.result_cid)
        except NosanaError:
            return None

    def describe(
        self, job: ObservedJob, name: str | None, definition: dict[str, Any] | None, verdict: Verdict, *, fee: int | None = None
    ) -> dict[str, Any]:
        """The job as the modules return it."""
        ports = None if definition is None else exposed_ports(definition)
        return describe(job, name=name, ports=ports, verdict=verdict, network=self._network, fee=fee)

    def describe_by_facts(self, job: ObservedJob, facts: DefinitionFacts, verdict: Verdict) -> dict[str, Any]:
        """The same where a few facts are all that is known of its definition."""
        return describe(job, name=facts.name, ports=facts.ports, verdict=verdict, network=self._network)
