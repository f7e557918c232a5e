"""Watching a job until what is waited for is reached, can no longer be reached, or time is up; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from .._clients.errors import Interrupted, JobFailed, NosanaError, WaitTimeout
from .._clients.log_tail import LogTail
from .._clients.program import run_filters
from .._clients.pubsub import Sleeper, account_changes, program_changes
from .cache import facts_of_definition
from .progress import Teller, duration, sight
from .report import gone, result_url
from .verdict import Verdict, log_tail
from .wait import Progress, wait_until

if TYPE_CHECKING:
    from .._clients.clock import Clock
    from .._clients.networks import Network
    from .._clients.node import NodeApi
    from .._clients.pubsub import PubSub, Waker
    from .observation import ObservedJob
    from .outcome import Outcome
    from .progress import Sight, Tell
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
    """One look at a job while waiting. `ready`: every service answers; `last`: what was seen before, of a job that is gone;
    now_seconds: the chain's time.
    """

    job: ObservedJob | None
    verdict: Verdict
    ready: bool = False
    last: ObservedJob | None = None
    now_seconds: int = field(default=0, compare=False)


class Watcher:
    """Looks at a job again and again."""

    def __init__(
        self,
        *,
        network: Network,
        node_api: NodeApi,
        reader: Reader,
        clock: Clock,
        pubsub: PubSub | None = None,
        tell: Tell | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`pubsub` says when it is worth looking again; `tell` is told how things stand while there is nothing to return yet; `waiting` is
        entered for as long as nothing is lost when the task is cancelled.
        """
        self._network = network
        self._node_api = node_api
        self._reader = reader
        self._clock = clock
        self._pubsub = pubsub
        self._tell = tell
        self._waiting = waiting

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
        """Looks until the goal is reached, can no longer be reached, or time is up. `first` is what was seen already.

        Cut off from outside it ends at once, as if time were up: what was done before stands in the outcome, and has to be reported.
        """
        seen: Look | None = first
        known, unused = first.job if first else None, first

        async def look() -> Look:
            nonlocal seen, known, unused
            if unused is not None and wait.goal != "ready":
                seen, unused = unused, None
                return seen
            job, now = await again()
            if job is None and known is not None and known.phase == "done":
                job = replace(known, closed=True)  # somebody closed the account of a job that was over
            if job is None:
                gone = Verdict("cancelled", "removed", f"The job {address} was removed while it was waited for.")
                seen = Look(None, gone, last=known)
                return seen
            known = job
            verdict = (await self._reader.judged(job, document, now)).verdict
            ready = wait.goal == "ready" and verdict.status == "running" and await self._all_ready(job, document)
            seen = Look(job, verdict, ready, now_seconds=now)
            return seen

        progress: Progress = "waiting"
        failure: NosanaError | None = None
        try:
            with self._waiting():
                async with (
                    self._waking(address) as waker,
                    self._telling(waker, address, name, document, wait, lambda: seen) as telling,
                ):
                    _seen, progress = await wait_until(
                        look,
                        lambda look_now: _progress(wait.goal, look_now),
                        clock=self._clock,
                        timeout_seconds=0 if wait.goal == "posted" else wait.timeout_seconds,
                        sleep_seconds=wait.sleep_seconds,
                        waker=telling,
                    )
        except NosanaError as error:
            outcome.failure = error
            outcome.job = outcome.job or {"address": address, "name": name}
            return
        except asyncio.CancelledError:
            take_back_cancellation()
            if progress == "waiting":
                failure = self._interrupted(name, address, seen)
        if seen is not None and seen.job is not None:
            outcome.job = self._reader.describe(seen.job, name, document, seen.verdict, fee=fee_of(seen.job))
        elif seen is not None and seen.last is not None:
            outcome.job = self._reader.describe(seen.last, name, document, seen.verdict, fee=fee_of(seen.last)) | gone(seen.last)
        outcome.job = outcome.job or {"address": address, "name": name}
        if failure is not None:
            outcome.failure = failure
        elif seen is not None and progress == "impossible":
            outcome.failure = await self._job_failed(name, address, wait.goal, seen)
        elif seen is not None and progress == "waiting":
            outcome.failure = _timed_out(name, address, wait, seen)

    def _interrupted(self, name: str, address: str, seen: Look | None) -> Interrupted:
        if seen is not None and seen.job is not None and seen.job.phase == "done":
            rest = "it is over, so run the task again to see its result."
        else:
            rest = "it goes on and costs until it ends, so run the task again to wait for it, or remove it with state=absent."
        return cut_off(f"Waiting for the job {name} ({address}) was interrupted; {rest}", self._tell)

    def _waking(self, address: str) -> AbstractAsyncContextManager[Waker]:
        """What passes the time between two looks. Nothing is opened before the first pause."""
        if self._pubsub is None:
            return nullcontext(Sleeper(self._clock))
        return self._pubsub.watching(account_changes(address), program_changes(self._network.jobs_program, run_filters(job=address)))

    @asynccontextmanager
    async def _telling(
        self, waker: Waker, address: str, name: str, document: dict[str, Any], wait: Wait, seen: Callable[[], Look | None]
    ) -> AsyncIterator[Waker]:
        """The same, with a line now and then, where somebody wants to be told."""
        if self._tell is None:
            yield waker
            return
        log = LogTail(self._network.node_domain, self._clock)
        confidential = facts_of_definition(document).confidential

        def sees() -> tuple[Sight, int] | None:
            look = seen()
            if look is None or look.job is None:
                return None
            if look.job.run is not None and not confidential:
                log.follow(address, look.job.run.node)
            return sight(look.job, ready_wanted=wait.goal == "ready"), look.now_seconds

        goal = f"waiting until the job {address} is {wait.goal}, at most {duration(wait.timeout_seconds)}"
        try:
            yield Teller(self._tell, name, goal, clock=self._clock, waker=waker, sees=sees, log_line=lambda: log.last)
        finally:
            await log.close()

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


def take_back_cancellation() -> None:
    """The task goes on to return what it has: a wait that was cut off ends with a result."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def cut_off(sentence: str, tell: Tell | None) -> Interrupted:
    """The failure of a wait that was cut off, said at once, because whoever cuts off may not see the result."""
    interrupted = Interrupted(sentence)
    if tell is not None:
        tell(f"nosana_job: {interrupted}")
    return interrupted
