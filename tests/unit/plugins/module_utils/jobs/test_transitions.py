"""What has changed between two looks, as a pure function."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._jobs.transitions import newest, queued, transitions


def job(status: str, chain_state: str = "done", address: str = "A") -> dict[str, Any]:
    return {"address": address, "status": status, "chain_state": chain_state}


def test_what_came_what_changed_what_is_gone() -> None:
    before = {"A": job("running"), "B": job("pending"), "C": job("running")}
    after = {"A": job("failed"), "C": job("running"), "D": job("pending")}
    found = [(transition.previous_status, transition.job["status"]) for transition in transitions(before, after)]
    assert found == [("running", "failed"), ("pending", "absent"), (None, "pending")]
    assert transitions(after, after) == []
    assert before == {"A": job("running"), "B": job("pending"), "C": job("running")}


@pytest.mark.parametrize(
    ("was", "seen", "believed"),
    [
        ("queued", "running", True),
        ("running", "queued", False),
        ("running", "done", True),
        ("running", "stopped", True),
        ("stopped", "running", True),
        ("stopped", "queued", False),
        ("done", "running", False),
        ("done", "stopped", False),
        ("done", "done", True),
        ("orphaned", "running", True),
        ("orphaned", "queued", True),
        ("unknown", "queued", True),
        ("queued", "unknown", True),
    ],
)
def test_a_look_into_the_past(was: str, seen: str, believed: bool) -> None:
    old, new = job("old", was), job("new", seen)
    assert newest(old, new) is (new if believed else old)
    assert newest(None, new) is new


def test_who_waits_for_a_host() -> None:
    jobs = [job("pending", "queued", "A"), job("pending", "unknown", "B"), job("running", "running", "C"), job("failed", "queued", "D")]
    assert queued(jobs) == {"A"}
