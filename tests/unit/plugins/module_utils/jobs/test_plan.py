"""The tables of docs/transitions.md: what is done for each thing that may be found under a name, every cell of them."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, cid_to_bytes, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import Job, Run
from ansible_collections.nosana.compute.plugins.module_utils._jobs.observation import ObservedJob
from ansible_collections.nosana.compute.plugins.module_utils._jobs.plan import (
    Action,
    Clean,
    Current,
    Desired,
    Extend,
    Plan,
    Post,
    Remove,
    plan_absent,
    plan_present,
)
from ansible_collections.nosana.compute.plugins.module_utils._jobs.verdict import Verdict
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.transition_tables import (
    FOUND,
    ON_CHANGE,
    PRESENT,
    RERUN,
    WISHES,
    wanted,
    wanted_when_absent,
)

MARKET, OTHER_MARKET = "7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq", "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"
WALLET, HOST = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj", "HWAbUKhTSEXKarqXAjFB9EmaszsoB7dGEC7Gjxf7vNfk"
MARKET_TIMEOUT, TIMEOUT = 7200, 3600

REMOVALS = {"queued": "delist", "running": "end", "stopped": "recover"}


def document(image: str = "nginx") -> dict[str, Any]:
    return {
        "version": "0.1",
        "type": "container",
        "meta": {"name": "web"},
        "ops": [{"type": "container/run", "id": "web", "args": {"image": image}}],
    }


def desired(*, image: str = "nginx", market: str = MARKET, timeout: int | None = None, **more: Any) -> Desired:
    content = document(image)
    return Desired("web", content, cid_of(encode_document(content)), market, timeout, **more)


def current(found: str) -> Current | None:
    if found == "nothing":
        return None
    verdict = {
        "queued": Verdict("pending", None, "It waits."),
        "stopped": Verdict("failed", "host_quit", "Its host gave it up."),
        "dead host": Verdict("failed", "host_dead", "Its host is dead."),
        "orphaned": Verdict("failed", "orphaned", "It is an orphan."),
        "completed": Verdict("completed", None, "All is well."),
        "failed": Verdict("failed", "exit_code", "It failed."),
        "result unavailable": Verdict("failed", "result_unavailable", "Who knows."),
        "removed": Verdict("cancelled", "stopped", "It was ended."),
    }.get(found, Verdict("running", None, "It runs."))
    over = found in ("completed", "failed", "result unavailable", "removed")
    runs = found in ("running", "claimed", "dead host")
    account = Job(
        ipfs_job=cid_to_bytes(cid_of(encode_document(document()))),
        ipfs_result=None,
        market=MARKET,
        node=None,
        payer=WALLET,
        price=43,
        project=WALLET,
        state=2 if over else 3 if found in ("stopped", "claimed") else 0,
        time_end=0,
        time_start=0,
        timeout_seconds=TIMEOUT,
    )
    run = Run(job="job", node=HOST, payer=WALLET, state=0, time_start=1) if runs else None
    job = ObservedJob("job", account, 0, "run" if run else None, run, queued=found == "queued")
    return Current(job, document(), verdict, removed=found == "removed")


def declared(wish: str, **more: Any) -> Desired:
    changes: dict[str, dict[str, Any]] = {
        "same": {},
        "longer": {"timeout": TIMEOUT + 1},
        "shorter": {"timeout": TIMEOUT - 1},
        "definition": {"image": "caddy"},
        "market": {"market": OTHER_MARKET},
        "node": {"node": WALLET},
    }
    return desired(**changes[wish], **more)


def words(plan: Plan) -> str:
    """The actions as the table has them."""
    kinds: dict[type[Action], str] = {Post: "post", Extend: "extend", Clean: "clean"}
    return ", ".join(REMOVALS[action.job.phase] if isinstance(action, Remove) else kinds[type(action)] for action in plan.actions)


@pytest.mark.parametrize("found", FOUND)
def test_every_cell_of_the_table(found: str) -> None:
    for wish, on_change, rerun in itertools.product(WISHES, ON_CHANGE, RERUN):
        want = wanted(found, wish, on_change, rerun)
        plan = plan_present(declared(wish, on_change=on_change, rerun=rerun), current(found), market_timeout_seconds=MARKET_TIMEOUT)
        where = (found, wish, on_change, rerun)
        assert words(plan) == want.done, where
        assert plan.changed == bool(want.done), where
        assert (plan.refusal is not None) == (want.said == "refused"), where
        if not want.done:
            assert plan.before == plan.after, where
        if want.said == "warning":
            assert plan.warnings, where
        elif not want.done and not want.said:
            assert not plan.warnings, where


def test_every_row_of_the_table_is_needed() -> None:
    used = {wanted(*cell) for cell in itertools.product(FOUND, WISHES, ON_CHANGE, RERUN)}
    assert used == set(PRESENT)


@pytest.mark.parametrize("found", FOUND)
def test_absent(found: str) -> None:
    wanted_words = {"queued": "delist", "running": "end", "claimed": "end", "dead host": "end", "stopped": "recover"}
    plan = plan_absent("web", current(found))
    assert words(plan) == wanted_words.get(found, "")
    assert wanted_when_absent(found, "no").done == words(plan)
    assert plan.after == {}
    assert bool(plan.warnings) == (found == "orphaned")


def test_purge_closes_what_may_be_closed_and_says_what_may_not() -> None:
    over = current("completed")
    assert over is not None
    plan = plan_absent("web", over, cleanable=[over.job], locked=["Another one is too young."])
    assert words(plan) == "clean"
    assert plan.before == {"finished_accounts": ["job"]}
    assert plan.after == {"finished_accounts": []}
    assert plan.warnings == ("Another one is too young.",)


def test_nothing_is_posted_with_the_markets_timeout() -> None:
    plan = plan_present(desired(), None, market_timeout_seconds=MARKET_TIMEOUT)
    assert plan.actions == (Post(MARKET, MARKET_TIMEOUT),)
    assert plan.before == {}
    assert plan.after["timeout"] == MARKET_TIMEOUT


@pytest.mark.parametrize("found", ["queued", "running"])
def test_key_order_is_no_difference(found: str) -> None:
    now = current(found)
    assert now is not None
    reordered = dict(reversed(list(document().items())))
    account = replace(now.job.account, ipfs_job=cid_to_bytes(cid_of(encode_document(reordered))))
    assert account.ipfs_job != now.job.account.ipfs_job
    plan = plan_present(desired(), replace(now, job=replace(now.job, account=account), definition=reordered), market_timeout_seconds=1)
    assert not plan.changed


def test_a_longer_timeout_stands_in_the_diff() -> None:
    plan = plan_present(declared("longer"), current("running"), market_timeout_seconds=MARKET_TIMEOUT)
    assert (plan.before["timeout"], plan.after["timeout"]) == (TIMEOUT, TIMEOUT + 1)


def test_a_declared_host_stands_in_the_diff() -> None:
    plan = plan_present(declared("node"), current("running"), market_timeout_seconds=MARKET_TIMEOUT)
    assert (plan.before["node"], plan.after["node"]) == (HOST, WALLET)


def test_secrets_stand_in_no_diff() -> None:
    secret = desired()
    secret.document["ops"][0]["args"]["env"] = {"API_TOKEN": "planted-secret-value"}
    plan = plan_present(replace(secret, cid="other"), current("running"), market_timeout_seconds=MARKET_TIMEOUT)
    assert "planted-secret-value" not in str(plan.before) + str(plan.after)
