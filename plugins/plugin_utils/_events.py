"""What the event source does: looks at the wallet's jobs again and again, and queues an event for each that has changed its status."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Protocol

from ..module_utils._ansible.options import connection_spec
from ..module_utils._ansible.session import Session
from ..module_utils._clients.clock import Clock, SystemClock
from ..module_utils._jobs.lookup import Memory
from ..module_utils._jobs.transitions import ABSENT, Job, Transition, newest, queued, settled, transitions
from ._tasks import Question, Tasks, jobs, with_environment

CHANGED, QUEUED_TOO_LONG = "changed", "queued_too_long"

_FEEDBACK_QUEUE = "eda_feedback_queue"
_SHORTEST_INTERVAL = 5
# Of the jobs that are over those are looked at that ended in this time before the last look that succeeded.
_KEPT_SECONDS = 3600
_ALL = 10**9
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://nosana.com")

_log = logging.getLogger("nosana.compute.nosana_jobs")


class EventSourceError(Exception):
    """Why the source cannot go on, in one sentence without secrets."""


class Queue(Protocol):
    """Where ansible-rulebook takes events from."""

    async def put(self, event: dict[str, Any]) -> None:
        """Adds one."""


class Feedback(Protocol):
    """Where ansible-rulebook puts what it has taken over."""

    async def get(self) -> Any:
        """Waits for the next one."""


def source_spec() -> dict[str, dict[str, Any]]:
    """The options of the event source."""
    return {
        "markets": {"type": "list", "elements": "str", "default": []},
        "names": {"type": "list", "elements": "str", "default": []},
        "status": {
            "type": "list",
            "elements": "str",
            "choices": ["pending", "running", "completed", "failed", "cancelled", "absent"],
            "default": [],
        },
        "interval": {"type": "float", "default": 30},
        "queued_too_long": {"type": "float"},
        "emit_initial": {"type": "bool", "default": False},
        "since": {"type": "float", "default": 0},
        "meta_hosts": {"type": "bool", "default": False},
        "max_backoff": {"type": "float", "default": 600},
        "feedback": {"type": "bool", "default": False},
        "feedback_timeout": {"type": "float", "default": 120},
        **connection_spec(),
    }


async def run(queue: Queue, args: Mapping[str, Any], clock: Clock | None = None) -> None:
    """Goes on until it is cancelled; raises EventSourceError for what no later look can mend."""
    given = dict(args)
    feedback = given.pop(_FEEDBACK_QUEUE, None)
    session = Session()
    try:
        await Watch(queue, given, feedback, clock or SystemClock(), session).run()
    finally:
        await session.close()


class Watch:
    """One wallet's jobs, as they were when they were looked at last."""

    def __init__(self, queue: Queue, args: Mapping[str, Any], feedback: Feedback | None, clock: Clock, session: Session) -> None:
        spec = source_spec()
        self._said: set[str] = set()
        self._tasks = Tasks(with_environment(args), EventSourceError, self._warn)
        _check_names(args, spec)
        options = self._tasks.check(args, spec)
        _check_values(options, feedback)
        self._options = options
        self._queue = queue
        self._feedback = feedback if options["feedback"] else None
        self._clock = clock
        self._session = session
        self._memory = Memory()
        self._known: dict[str, Job] = {}
        self._looked_at: float | None = None
        self._queued_since: dict[str, float] = {}
        self._told: set[str] = set()

    async def run(self) -> None:
        """Looks, reports, sleeps. The first look has to succeed; when a later one does not, what was known is kept."""
        await self.look()
        failures = 0
        while True:
            await self._clock.sleep(
                min(self._options["interval"] * 2**failures, max(self._options["max_backoff"], self._options["interval"]))
            )
            try:
                await self.look()
            except EventSourceError as error:
                if isinstance(error, _Unconfirmed):
                    raise
                failures = min(failures + 1, 16)
                self._warn(str(error))
            else:
                if failures:
                    self._said.clear()
                failures = 0

    async def look(self) -> None:
        """One look at all jobs, and an event for each that has changed."""
        now = self._clock.monotonic()
        first = self._looked_at is None
        gap = self._options["since"] if self._looked_at is None else now - self._looked_at
        listed = await self._listed(_KEPT_SECONDS + gap)
        before = {address: job for address, job in self._known.items() if address in listed or not self._is_past(job)}
        seen = await self._completed(before, listed)
        after = {address: newest(before.get(address), job) for address, job in seen.items() if settled(job, self._memory.now_seconds)}
        after |= {address: job for address, job in before.items() if address in seen and address not in after}
        for transition in self._first(after) if first else transitions(before, after):
            await self._report(transition)
        await self._report_queue(after, now)
        self._known, self._looked_at = after, now
        self._memory.keep_only(after)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _listed(self, ended_within: float) -> dict[str, Job]:
        markets: list[str | None] = list(dict.fromkeys(self._options["markets"])) or [None]
        answers = await self._tasks.answers(*(self._question(ended_within, market=market, limit=_ALL) for market in markets))
        return {job["address"]: job for answer in answers for job in answer.found if self._is_wanted(job)}

    async def _completed(self, before: Mapping[str, Job], listed: Mapping[str, Job]) -> dict[str, Job]:
        """What was listed, and what each job before that was not says itself: a node may list too little, or a job may be over for long."""
        lost = [address for address in before if address not in listed]
        answers = await self._tasks.answers(*(self._question(id=address) for address in lost)) if lost else []
        seen = dict(listed)
        for address, answer in zip(lost, answers, strict=True):
            for found in answer.found:
                seen[address] = {**found, "name": found["name"] or before[address]["name"]}
        return seen

    def _is_past(self, job: Job) -> bool:
        """Whether it is over for so long that nothing more is said of it."""
        return job["chain_state"] == "done" and self._memory.now_seconds - (job["time_ended"] or 0) >= _KEPT_SECONDS

    def _question(self, ended_within: float | None = None, **options: Any) -> Question:
        question = jobs(**options)
        return question._replace(task=partial(question.task, session=self._session, memory=self._memory, ended_within=ended_within))

    def _is_wanted(self, job: Job) -> bool:
        """A name that cannot be read yet fits no pattern; the job is new when it can."""
        patterns = self._options["names"]
        return not patterns or any(fnmatchcase(job["name"] or "", pattern) for pattern in patterns)

    # --- reporting ----------------------------------------------------------------------------------------------------

    def _first(self, found: Mapping[str, Job]) -> list[Transition]:
        """What the first look reports: with `since` what ended in that time, with `emit_initial` what is not over."""
        ended = [job for job in found.values() if job["chain_state"] == "done"]
        latest = self._memory.now_seconds - self._options["since"]
        news = [job for job in ended if self._options["since"] and (job["time_ended"] or 0) >= latest]
        if self._options["emit_initial"]:
            news += [job for job in found.values() if job["chain_state"] != "done"]
        return [Transition(job, None) for job in sorted(news, key=lambda job: str(job["address"]))]

    async def _report(self, transition: Transition) -> None:
        wanted = self._options["status"]
        if not wanted or transition.job["status"] in wanted:
            await self._put(CHANGED, transition.job, previous_status=transition.previous_status)

    async def _report_queue(self, found: Mapping[str, Job], now: float) -> None:
        """Once for each job that waits longer than is wanted, counted from the look that has seen it waiting first."""
        waiting = queued(found.values())
        self._queued_since = {address: self._queued_since.get(address, now) for address in waiting}
        self._told &= waiting
        bound = self._options["queued_too_long"]
        for address in sorted(waiting - self._told) if bound is not None else ():
            seconds = now - self._queued_since[address]
            if seconds >= bound:
                await self._put(QUEUED_TOO_LONG, found[address], previous_status=found[address]["status"], queued_seconds=int(seconds))
                self._told.add(address)

    async def _put(self, kind: str, job: Job, **more: Any) -> None:
        meta: dict[str, Any] = {"uuid": event_id(self._options["network"], kind, job)}
        if self._options["meta_hosts"]:
            meta["hosts"] = job["name"] or job["address"]
        await self._queue.put({"nosana_job": {**job, "event": kind, **more}, "meta": meta})
        if self._feedback is not None:
            try:
                await asyncio.wait_for(self._feedback.get(), self._options["feedback_timeout"])
            except TimeoutError:
                raise _Unconfirmed(
                    f"ansible-rulebook has not confirmed an event within {self._options['feedback_timeout']:g} seconds; "
                    "give feedback_timeout more, or see why its rules take so long."
                ) from None

    def _warn(self, sentence: str) -> None:
        """Each sentence once, until a look succeeds again."""
        if sentence not in self._said:
            self._said.add(sentence)
            _log.warning("%s", sentence)


class _Unconfirmed(EventSourceError):
    """An event was not taken over."""


def event_id(network: str, kind: str, job: Job) -> str:
    """The same for the same event, whoever reports it: made of what the chain says, not of when it was seen."""
    parts = [network, job["address"], kind, job["status"]]
    if job["status"] != ABSENT:  # then what is known of the rest is from the last look
        parts += [job["time_started"], job["result_cid"]]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts)))


def _check_names(args: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    for name in args:
        if name not in spec:
            near = get_close_matches(str(name), spec, 1)
            raise EventSourceError(
                f"The event source nosana.compute.nosana_jobs has no option {str(name)[:80]!r}"
                f"{f'; did you mean {near[0]}?' if near else '; it has ' + ', '.join(spec) + '.'}"
            )


def _check_values(options: Mapping[str, Any], feedback: Feedback | None) -> None:
    for name, least in (
        ("interval", _SHORTEST_INTERVAL),
        ("queued_too_long", 0),
        ("since", 0),
        ("max_backoff", 0),
        ("feedback_timeout", 1),
    ):
        value = options[name]
        if value is not None and not least <= value < float("inf"):
            raise EventSourceError(f"{name} is {value:g}, and must be at least {least}, in seconds.")
    if options["feedback"] and feedback is None:
        raise EventSourceError("feedback is on, and ansible-rulebook gives no queue for it; it does so only with persistence.")
