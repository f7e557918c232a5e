"""Watching a job until what is waited for is reached, can no longer be reached, or time is up; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .._clients.errors import JobFailed, NosanaError, WaitTimeout
from .report import gone, result_url
from .verdict import Verdict, log_tail
from .wait import Progress, wait_until

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.networks import Network
    from .._clients.node import NodeApi
    from .observe import ObservedJob
    from .outcome import Outcome
    from .reader import Reader

WaitFor = Literal["posted", "running", "ready", "completed"]


@dataclass(frozen=True)
class Wait:
    """How long to wait, for what, and how often to look."""

    goal: WaitFor
    timeout_seconds: float
    sleep_seconds: float


@dataclass(frozen=True)
class Look:
    """One look at a job while waiting. `ready`: every service answers; `last`: what was seen before, of a job that is gone."""

    job: ObservedJob | None
    verdict: Verdict
    ready: bool = False
    last: ObservedJob | None = None


class Watcher:
    """Looks at a job again and again."""

    def __init__(self, *, network: Network, node_api: NodeApi, reader: Reader, clock: Clock) -> None:
        self._network = network
        self._node_api = node_api
        self._reader = reader
        self._clock = clock

    async def watch(
        self,
        again: Callable[[], Awaitable[tuple[ObservedJob | None, int]]],
        address: str,
        name: str,
        document: dict[str, Any],
        wait: Wait,
        outcome: Outcome,
        *,
        first: Look | None,
        fee_of: Callable[[ObservedJob], int | None],
    ) -> None:
        """Looks until the goal is reached, can no longer be reached, or time is up. `first` is what was seen already."""

        seen_last: ObservedJob | None = first.job if first else None

        async def look() -> Look:
            nonlocal first, seen_last
            if first is not None and wait.goal != "ready":
                seen, first = first, None
                return seen
            job, now = await again()
            if job is None and seen_last is not None and seen_last.phase == "done":
                job = replace(seen_last, closed=True)  # somebody closed the account of a job that was over
            if job is None:
                gone = Verdict("cancelled", "removed", f"The job {address} was removed while it was waited for.")
                return Look(None, gone, last=seen_last)
            seen_last = job
            verdict = (await self._reader.judged(job, document, now)).verdict
            return Look(job, verdict, wait.goal == "ready" and verdict.status == "running" and await self._all_ready(job, document))

        try:
            seen, progress = await wait_until(
                look,
                lambda look_now: _progress(wait.goal, look_now),
                clock=self._clock,
                timeout_seconds=0 if wait.goal == "posted" else wait.timeout_seconds,
                sleep_seconds=wait.sleep_seconds,
            )
        except NosanaError as error:
            outcome.failure = error
            outcome.job = outcome.job or {"address": address, "name": name}
            return
        if seen.job is not None:
            outcome.job = self._reader.describe(seen.job, name, document, seen.verdict, fee=fee_of(seen.job))
        elif seen.last is not None:
            outcome.job = self._reader.describe(seen.last, name, document, seen.verdict, fee=fee_of(seen.last)) | gone(seen.last)
        if progress == "impossible":
            outcome.failure = await self._job_failed(name, address, wait.goal, seen)
        elif progress == "waiting":
            outcome.failure = _timed_out(name, address, wait, seen)

    async def _job_failed(self, name: str, address: str, goal: WaitFor, seen: Look) -> JobFailed:
        """The failure of a job that was waited for: what happened, the end of its log, and where the whole result is."""
        verdict = seen.verdict
        result = await self._reader.result(seen.job) if seen.job is not None else None
        link = result_url(seen.job.result_cid, self._network) if seen.job is not None else None
        tail = [line.text for line in log_tail(result)]
        last = f"; the last line of its log is: {tail[-1][:200]}" if tail else "."
        return JobFailed(
            f"The job {name} ({address}) did not get to {goal}: {verdict.sentence.removesuffix('.')}{last}",
            reason=verdict.reason,
            op=verdict.op,
            exit_code=verdict.exit_code,
            log_tail=tail,
            result_url=link,
        )

    async def _all_ready(self, job: ObservedJob, document: dict[str, Any]) -> bool:
        described = self._reader.describe(job, None, document, Verdict("running", None, ""))
        answers = await asyncio.gather(*(self._node_api.ready(service["url"]) for service in described["services"] or []))
        return all(answers)


def _timed_out(name: str, address: str, wait: Wait, seen: Look) -> WaitTimeout:
    """What is said when time is up. A job whose result cannot be read is over: it costs nothing any more, and waiting longer may help."""
    if seen.verdict.reason == "result_unavailable" and seen.job is not None:
        return WaitTimeout(
            f"The job {name} ({address}) is over, but no IPFS gateway gave a result that can be read ({seen.job.result_cid}) within "
            f"{wait.timeout_seconds:g} s, so it is not known whether it succeeded; run the task again later, or pay for a new run with "
            "rerun=finished."
        )
    return WaitTimeout(
        f"The job {name} ({address}) is {seen.verdict.status}, not {wait.goal}, after {wait.timeout_seconds:g} s; "
        "it goes on and costs until it ends, so raise wait_timeout or remove it with state=absent."
    )


def _progress(goal: WaitFor, look: Look) -> Progress:
    status = look.verdict.status
    if goal == "posted":
        return "reached"
    if status == "failed" and look.verdict.reason == "result_unavailable":
        return "waiting"  # the host has posted its result and the gateway does not have it yet
    if status in ("failed", "cancelled"):
        return "impossible"
    if goal == "completed":
        return "reached" if status == "completed" else "waiting"
    if goal == "ready":
        return "reached" if look.ready else "impossible" if status == "completed" else "waiting"
    return "reached" if status in ("running", "completed") else "waiting"
