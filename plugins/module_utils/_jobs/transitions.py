"""What has changed between two looks at a wallet's jobs (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

ABSENT = "absent"

# A job as nosana_job_info returns it.
Job = Mapping[str, Any]
# What a look has shown: jobs by address.
Snapshot = Mapping[str, Job]

_OVER = "done"
_WAITING = "queued"
_TAKEN = ("running", "stopped", _OVER)
_RESULT_SECONDS = 600


class Transition(NamedTuple):
    """A job as it is now, and its status before; None when it was not there."""

    job: Job
    previous_status: str | None


def transitions(before: Snapshot, after: Snapshot) -> list[Transition]:
    """The jobs whose status is another one, those that came, and those that are gone, which have the status absent."""
    found = []
    for address in sorted({*before, *after}):
        old, new = before.get(address), after.get(address)
        if new is None:
            new = absent(before[address])
        status = None if old is None else old["status"]
        if new["status"] != status:
            found.append(Transition(new, status))
    return found


def absent(job: Job) -> Job:
    """A job whose account is gone, by what was known of it last."""
    return {
        **job,
        "status": ABSENT,
        "reason": None,
        "message": "The job's account is gone: the job was removed, or it was over and its account was closed.",
        "chain_state": "closed",
        "services": [],
    }


def newest(old: Job | None, seen: Job) -> Job:
    """Of two looks at a job the one that shows more of its life: an RPC node that lags behind another one shows the past.

    What is over stays over, and what a host has taken is never in the queue again.
    """
    if old is None:
        return seen
    was, is_now = old["chain_state"], seen["chain_state"]
    past = (was == _OVER and is_now != _OVER) or (was in _TAKEN and is_now == _WAITING)
    return old if past else seen


def settled(job: Job, now_seconds: int) -> bool:
    """Whether the status may be told. A result may reach the gateways after the chain, and until then a job would count as failed."""
    return job["reason"] != "result_unavailable" or now_seconds - (job["time_ended"] or 0) >= _RESULT_SECONDS


def queued(jobs: Iterable[Job]) -> set[str]:
    """Addresses of the jobs that wait for a host."""
    return {job["address"] for job in jobs if job["status"] == "pending" and job["chain_state"] == _WAITING}
