"""What has to be done, and whether anything changes: (declared, observed) → actions and diff (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .definition import redact, same

if TYPE_CHECKING:
    from .observe import ObservedJob
    from .verdict import Verdict

OnChange = Literal["replace", "fail", "ignore"]


@dataclass(frozen=True)
class Desired:
    """The declared job. `timeout_seconds` None: the market's own when posting, the present one when the job exists."""

    name: str
    document: dict[str, Any]
    cid: str
    market: str
    timeout_seconds: int | None
    on_change: OnChange = "replace"


@dataclass(frozen=True)
class Current:
    """The job that stands under the name now, with its definition (None only if it could not be read) and verdict."""

    job: ObservedJob
    definition: dict[str, Any] | None
    verdict: Verdict


@dataclass(frozen=True)
class Post:
    """List a new job and pay its deposit."""

    market: str
    timeout_seconds: int


@dataclass(frozen=True)
class Extend:
    """Give an active job a longer timeout (the new total) and pay for the difference."""

    job: ObservedJob
    timeout_seconds: int


@dataclass(frozen=True)
class Remove:
    """Take an active job away: delist, end or recover it, whichever its state asks for when it is done."""

    job: ObservedJob


Action: TypeAlias = "Post | Extend | Remove"


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
    """What makes the declared job exist exactly once."""
    timeout = desired.timeout_seconds if desired.timeout_seconds is not None else market_timeout_seconds
    post = Post(desired.market, timeout)
    after = _view(desired.name, desired.market, timeout, desired.document)
    if current is None:
        return Plan((post,), {}, after)
    before = _view_of(desired.name, current)
    differences = differing(desired, current)
    if not current.job.active:
        return _present_when_over(desired, current, post, after, differences)
    if current.job.phase == "stopped":
        # The host gave the job back: it runs nowhere and nobody will queue it again, while its deposit still lies in the market.
        return Plan((Remove(current.job), post), before, after)
    if differences:
        what = " and ".join(differences)
        if desired.on_change == "fail":
            return Plan(
                (), before, before, refusal=f"The job {desired.name} ({current.job.address}) differs in {what} and on_change is fail."
            )
        if desired.on_change == "ignore":
            return Plan((), before, before, (f"The job {desired.name} differs in {what}; left as it is because on_change is ignore.",))
        return Plan((Remove(current.job), post), before, after)
    return _present_when_equal(desired, current, before)


def plan_absent(name: str, current: Current | None) -> Plan:
    """What makes no job of the name run or wait. A job that is over has nothing left to remove."""
    if current is None or not current.job.active:
        return Plan((), {}, {})
    if current.job.phase == "orphaned":
        return Plan(
            (),
            {},
            {},
            (f"The job {name} ({current.job.address}) was taken out of its market by an administrator; only the market can close it.",),
        )
    return Plan((Remove(current.job),), _view_of(name, current), {})


def differing(desired: Desired, current: Current) -> list[str]:
    """In which of the things that cannot be changed in place the job differs from the declaration."""
    found = []
    if desired.cid != current.job.definition_cid and (current.definition is None or not same(desired.document, current.definition)):
        found.append("definition")
    if desired.market != current.job.account.market:
        found.append("market")
    return found


def _present_when_over(desired: Desired, current: Current, post: Post, after: dict[str, Any], differences: list[str]) -> Plan:
    if current.verdict.status == "cancelled":
        return Plan((post,), {}, after)  # it was removed, so it does not exist
    if "definition" not in differences:
        return Plan((), {}, {})  # done is done: nothing is paid for twice
    sentence = f"The job {desired.name} ({current.job.address}) is over and its definition differs"
    if desired.on_change == "fail":
        return Plan((), {}, {}, refusal=f"{sentence}, and on_change is fail.")
    if desired.on_change == "ignore":
        return Plan((), {}, {}, (f"{sentence}; nothing is posted because on_change is ignore.",))
    return Plan((post,), {}, after)


def _present_when_equal(desired: Desired, current: Current, before: dict[str, Any]) -> Plan:
    account = current.job.account
    if desired.timeout_seconds is None or desired.timeout_seconds == account.timeout_seconds:
        return Plan((), before, before)
    if desired.timeout_seconds < account.timeout_seconds:
        return Plan(
            (),
            before,
            before,
            (
                f"The job {desired.name} has a timeout of {account.timeout_seconds} s, which cannot be shortened to "
                f"{desired.timeout_seconds} s; a shorter one takes effect when the job is posted anew.",
            ),
        )
    return Plan((Extend(current.job, desired.timeout_seconds),), before, before | {"timeout": desired.timeout_seconds})


def _view(name: str, market: str, timeout_seconds: int, document: dict[str, Any] | None) -> dict[str, Any]:
    """One side of a diff: what the user declares, nothing that changes by itself."""
    return {
        "name": name,
        "state": "present",
        "market": market,
        "timeout": timeout_seconds,
        "job_definition": None if document is None else redact(document),
    }


def _view_of(name: str, current: Current) -> dict[str, Any]:
    account = current.job.account
    return _view(name, account.market, account.timeout_seconds, current.definition)
