"""What has to be done, and whether anything changes: (declared, observed) → actions and diff (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._clients.program import JOB_QUEUED as QUEUED
from .definition import redact, same

if TYPE_CHECKING:
    from .observation import ObservedJob
    from .verdict import Verdict

OnChange = Literal["replace", "fail", "ignore"]
Rerun = Literal["never", "failed", "finished", "always"]


@dataclass(frozen=True)
class Desired:
    """The declared job. `timeout_seconds` None: the market's own when posting, the present one when the job exists."""

    name: str
    document: dict[str, Any]
    cid: str
    market: str
    timeout_seconds: int | None
    on_change: OnChange = "replace"
    rerun: Rerun = "never"
    node: str | None = None


@dataclass(frozen=True)
class Current:
    """The job that stands under the name now, with its definition (None only if it could not be read) and verdict.

    removed: it is over because its owner ended it, as the chain shows, so the name has no job any more.
    """

    job: ObservedJob
    definition: dict[str, Any] | None
    verdict: Verdict
    removed: bool = False


@dataclass(frozen=True)
class Post:
    """List a new job and pay its deposit; with `node` it is assigned to that waiting host."""

    market: str
    timeout_seconds: int
    node: str | None = None


@dataclass(frozen=True)
class Extend:
    """Give an active job a longer timeout (the new total) and pay for the difference."""

    job: ObservedJob
    timeout_seconds: int


@dataclass(frozen=True)
class Remove:
    """Take an active job away: delist, end or recover it, whichever its state asks for."""

    job: ObservedJob


@dataclass(frozen=True)
class Clean:
    """Close the account of a job that is over, so that its rent comes home."""

    job: ObservedJob


Action: TypeAlias = "Post | Extend | Remove | Clean"


@dataclass(frozen=True)
class Plan:
    """What to do. `before` and `after` are the diff; `refusal` is a sentence when on_change=fail forbids the change."""

    actions: tuple[Action, ...]
    before: dict[str, Any]
    after: dict[str, Any]
    warnings: tuple[str, ...] = ()
    refusal: str | None = None

    @property
    def changed(self) -> bool:
        """The only place that decides what a task reports as changed."""
        return bool(self.actions)

    @property
    def posts(self) -> Post | None:
        """The posting among the actions, if there is one."""
        return next((action for action in self.actions if isinstance(action, Post)), None)


def plan_present(desired: Desired, current: Current | None, *, market_timeout_seconds: int) -> Plan:
    """What makes the declared job exist exactly once. The table of docs/transitions.md, from top to bottom."""
    timeout = desired.timeout_seconds if desired.timeout_seconds is not None else market_timeout_seconds
    post = Post(desired.market, timeout, desired.node)
    after = _view(desired.name, desired.market, timeout, desired.document) | _node(desired, desired.node)
    if current is None:
        return Plan((post,), {}, after)
    job, name = current.job, desired.name
    if not job.active:
        return _present_when_over(desired, current, post, after)
    before = _view_of(name, current) | _node(desired, job.run.node if job.run else None)
    replacing = Plan((Remove(job), post), before, after)
    differences = differing(desired, current)
    if differences:
        what = " and ".join(differences)
        if desired.on_change == "fail":
            return Plan((), before, before, refusal=f"The job {name} ({job.address}) differs in {what} and on_change is fail.")
        if desired.on_change == "replace":
            return replacing
        return Plan((), before, before, (f"The job {name} differs in {what}; left as it is because on_change is ignore.",))
    if job.phase == "stopped" or _asks_anew(desired.rerun, current.verdict, active=True):
        # A host that gave the job up will not take it again, and its deposit lies idle: it is posted anew with the same money.
        return replacing
    warnings = (current.verdict.sentence,) if current.verdict.status == "failed" or job.phase == "unknown" else ()
    return _present_when_equal(desired, current, before, warnings)


def plan_absent(name: str, current: Current | None, *, cleanable: Sequence[ObservedJob] = (), locked: Sequence[str] = ()) -> Plan:
    """What makes no job of the name run or wait. A job that is over has nothing left to remove but its account's rent.

    cleanable: finished jobs whose accounts may be closed, where that is asked for; locked: sentences about those that may not yet.
    """
    cleaning = tuple(Clean(job) for job in cleanable)
    closed = {"finished_accounts": [action.job.address for action in cleaning]} if cleaning else {}
    after: dict[str, Any] = {"finished_accounts": []} if cleaning else {}
    if current is None or not current.job.active:
        orphaned = current is not None and current.job.phase == "orphaned"
        warnings = (current.verdict.sentence,) if current is not None and orphaned else ()
        return Plan(cleaning, closed, after, (*warnings, *locked))
    return Plan((Remove(current.job), *cleaning), _view_of(name, current) | closed, after, tuple(locked))


def differing(desired: Desired, current: Current) -> list[str]:
    """In which of the things that cannot be changed in place the job differs from the declaration."""
    found = []
    if desired.cid != current.job.definition_cid and (current.definition is None or not same(desired.document, current.definition)):
        found.append("definition")
    if desired.market != current.job.account.market:
        found.append("market")
    if desired.node is not None and current.job.active and desired.node != (current.job.run.node if current.job.run else None):
        found.append("node")
    return found


def _asks_anew(rerun: Rerun, verdict: Verdict, *, active: bool) -> bool:
    """Whether the policy pays for another job although this one equals the declaration.

    That a result cannot be read proves no failure: it may be there in a minute.
    """
    failed = verdict.status == "failed" and verdict.reason != "result_unavailable"
    if rerun == "failed" or (rerun == "finished" and active):
        return failed
    return rerun == "always" or (rerun == "finished" and not active)


def _present_when_over(desired: Desired, current: Current, post: Post, after: dict[str, Any]) -> Plan:
    job, verdict = current.job, current.verdict
    if current.removed:
        return Plan((post,), {}, after)
    orphan = (verdict.sentence,) if job.phase == "orphaned" else ()
    differs = "definition" in differing(desired, current)
    sentence = f"The job {desired.name} ({job.address}) is over and its definition differs"
    if differs and desired.on_change == "fail":
        return Plan((), {}, {}, orphan, refusal=f"{sentence}, and on_change is fail.")
    if (differs and desired.on_change == "replace") or _asks_anew(desired.rerun, verdict, active=False):
        return Plan((post,), {}, after, orphan)
    if differs:
        return Plan((), {}, {}, (*orphan, f"{sentence}; nothing is posted because on_change is ignore."))
    return Plan((), {}, {}, orphan)  # done is done: nothing is paid for twice


def _present_when_equal(desired: Desired, current: Current, before: dict[str, Any], warnings: tuple[str, ...]) -> Plan:
    account = current.job.account
    if desired.timeout_seconds is None or desired.timeout_seconds == account.timeout_seconds:
        return Plan((), before, before, warnings)
    if desired.timeout_seconds < account.timeout_seconds:
        shorter = (
            f"The job {desired.name} has a timeout of {account.timeout_seconds} s, which cannot be shortened to "
            f"{desired.timeout_seconds} s; a shorter one takes effect when the job is posted anew."
        )
        return Plan((), before, before, (*warnings, shorter))
    if account.state != QUEUED or current.verdict.status == "failed":
        # The program extends no job that its host gave up (facts §2.3), and nobody wants to pay a dead host for longer.
        why = "its state is not known" if current.job.phase == "unknown" else "its host gave it up or is dead"
        longer = f"The job {desired.name} cannot be extended to {desired.timeout_seconds} s, because {why}."
        return Plan((), before, before, (*warnings, longer))
    extend = Extend(current.job, desired.timeout_seconds)
    return Plan((extend,), before, before | {"timeout": desired.timeout_seconds}, warnings)


def _view(name: str, market: str, timeout_seconds: int, document: dict[str, Any] | None) -> dict[str, Any]:
    """One side of a diff: what the user declares, nothing that changes by itself."""
    return {
        "name": name,
        "state": "present",
        "market": market,
        "timeout": timeout_seconds,
        "job_definition": None if document is None else redact(document),
    }


def _node(desired: Desired, node: str | None) -> dict[str, Any]:
    """The host in a diff, where one is declared."""
    return {} if desired.node is None else {"node": node}


def _view_of(name: str, current: Current) -> dict[str, Any]:
    account = current.job.account
    return _view(name, account.market, account.timeout_seconds, current.definition)
