"""The table of docs/architecture.md: what is done for each thing that may be found under a name."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, cid_to_bytes, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import Job, Run
from ansible_collections.nosana.compute.plugins.module_utils._jobs.observe import ObservedJob
from ansible_collections.nosana.compute.plugins.module_utils._jobs.plan import (
    Action,
    Current,
    Desired,
    Extend,
    OnChange,
    Plan,
    Post,
    Remove,
    plan_absent,
    plan_present,
)
from ansible_collections.nosana.compute.plugins.module_utils._jobs.verdict import Verdict

MARKET, OTHER_MARKET = "7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq", "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"
WALLET, HOST = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj", "HWAbUKhTSEXKarqXAjFB9EmaszsoB7dGEC7Gjxf7vNfk"
MARKET_TIMEOUT, TIMEOUT = 7200, 3600


def document(image: str = "nginx") -> dict[str, Any]:
    return {
        "version": "0.1",
        "type": "container",
        "meta": {"name": "web"},
        "ops": [{"type": "container/run", "id": "web", "args": {"image": image}}],
    }


def desired(*, image: str = "nginx", market: str = MARKET, timeout: int | None = None, on_change: OnChange = "replace") -> Desired:
    wanted = document(image)
    return Desired("web", wanted, cid_of(encode_document(wanted)), market, timeout, on_change)


def current(phase: str, status: str = "running", found: dict[str, Any] | None = None) -> Current:
    found = found or document()
    account = Job(
        ipfs_job=cid_to_bytes(cid_of(encode_document(found))),
        ipfs_result=None,
        market=MARKET,
        node=None,
        payer=WALLET,
        price=43,
        project=WALLET,
        state={"done": 2, "stopped": 3}.get(phase, 0),
        time_end=0,
        time_start=0,
        timeout_seconds=TIMEOUT,
    )
    run = Run(job="job", node=HOST, payer=WALLET, state=0, time_start=1) if phase == "running" else None
    job = ObservedJob("job", account, 0, "run" if run else None, run, queued=phase == "queued")
    assert job.phase == phase
    return Current(job, found, Verdict(status, None, ""))


def kinds(plan: Plan) -> list[type[Action]]:
    return [type(action) for action in plan.actions]


def present(found: Current | None, **declared: Any) -> Plan:
    return plan_present(desired(**declared), found, market_timeout_seconds=MARKET_TIMEOUT)


def test_nothing_is_posted_with_the_markets_timeout() -> None:
    plan = present(None)
    assert plan.actions == (Post(MARKET, MARKET_TIMEOUT),)
    assert plan.before == {}
    assert plan.after["timeout"] == MARKET_TIMEOUT


@pytest.mark.parametrize("phase", ["queued", "running"])
def test_equal_and_active_is_left_alone(phase: str) -> None:
    plan = present(current(phase))
    assert not plan.changed
    assert plan.before == plan.after


@pytest.mark.parametrize("phase", ["queued", "running"])
def test_key_order_is_no_difference(phase: str) -> None:
    reordered = dict(reversed(list(document().items())))
    assert current(phase, found=reordered).job.definition_cid != desired().cid
    assert not present(current(phase, found=reordered)).changed


@pytest.mark.parametrize("phase", ["queued", "running"])
def test_longer_timeout_extends(phase: str) -> None:
    plan = present(current(phase), timeout=TIMEOUT + 1)
    assert kinds(plan) == [Extend]
    assert (plan.before["timeout"], plan.after["timeout"]) == (TIMEOUT, TIMEOUT + 1)


def test_shorter_timeout_warns_and_changes_nothing() -> None:
    plan = present(current("running"), timeout=TIMEOUT - 1)
    assert not plan.changed
    assert "cannot be shortened" in plan.warnings[0]


@pytest.mark.parametrize("change", [{"image": "caddy"}, {"market": OTHER_MARKET}])
@pytest.mark.parametrize("phase", ["queued", "running"])
def test_difference_follows_on_change(phase: str, change: dict[str, str]) -> None:
    assert kinds(present(current(phase), **change)) == [Remove, Post]
    refused = present(current(phase), on_change="fail", **change)
    assert refused.refusal is not None
    assert not refused.changed
    ignored = present(current(phase), on_change="ignore", **change)
    assert not ignored.changed
    assert ignored.warnings


def test_a_job_given_up_by_its_host_is_recovered_and_posted() -> None:
    assert kinds(present(current("stopped"))) == [Remove, Post]


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_over_is_over(status: str) -> None:
    assert not present(current("done", status)).changed
    assert not present(current("done", status), timeout=99999, market=OTHER_MARKET).changed


def test_over_with_another_definition_follows_on_change() -> None:
    assert kinds(present(current("done", "completed"), image="caddy")) == [Post]
    assert present(current("done", "completed"), image="caddy", on_change="fail").refusal is not None
    assert not present(current("done", "completed"), image="caddy", on_change="ignore").changed


def test_removed_is_posted_again() -> None:
    plan = present(current("done", "cancelled"))
    assert kinds(plan) == [Post]
    assert plan.before == {}


@pytest.mark.parametrize("phase", ["queued", "running", "stopped"])
def test_absent_removes_what_is_active(phase: str) -> None:
    plan = plan_absent("web", current(phase))
    assert kinds(plan) == [Remove]
    assert plan.after == {}
    assert plan.before["market"] == MARKET


@pytest.mark.parametrize("found", [None, current("done", "completed"), current("done", "cancelled")])
def test_absent_of_absent_or_over_is_nothing(found: Current | None) -> None:
    assert not plan_absent("web", found).changed


def test_an_orphan_cannot_be_removed_and_says_so() -> None:
    orphan = current("orphaned")
    plan = plan_absent("web", orphan)
    assert not plan.changed
    assert "administrator" in plan.warnings[0]


def test_secrets_stand_in_no_diff() -> None:
    wanted = desired()
    wanted.document["ops"][0]["args"]["env"] = {"API_TOKEN": "planted-secret-value"}
    plan = plan_present(replace(wanted, cid="other"), current("running"), market_timeout_seconds=MARKET_TIMEOUT)
    assert "planted-secret-value" not in str(plan.before) + str(plan.after)
