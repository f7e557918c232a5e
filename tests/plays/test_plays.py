"""Each fault alone, through ansible-playbook: the right end or one clear sentence, in bounded time; and the plays after it set all right.

NOSANA_PLAYS=all plays every case; otherwise one of each kind.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from cases import CASES, EMPTY_MARKET, HOST_MARKET, Case
from relay import Answer, Request, relaying
from stage import Poster
from world import BEGIN, WORLDS, Ended, Run, Task, World

from nosana_localnet.authority import market_of
from nosana_localnet.faults import KINDS

CALM_SECONDS = 90
WAIT_SECONDS = 5
LONGEST_SENTENCE = 400
# What no sentence for a stranger holds: names of classes, Python's own values, and where it happened in the code.
_OF_PYTHON = re.compile(r"Error\b|Exception|Traceback|\bNone\b|\.py\b|<class|0x[0-9a-f]")
_SECOND_SENTENCE = re.compile(r"[.!?] [A-Z]")
# After any other failure the chain is as it was before.
SPENT = ("outcome_unknown", "wait_timeout", "job_failed")
CHOSEN = [case for case in CASES if case.quick or os.environ.get("NOSANA_PLAYS") == "all"]


@pytest.fixture(scope="session")
def days(request: pytest.FixtureRequest, worlds: queue.SimpleQueue[World], table: list[Ended]) -> Iterator[dict[Case, Future[None]]]:
    """The cases that are to be tested, all begun, the longest first."""
    wanted = [item.callspec.params["case"] for item in request.session.items if "days" in getattr(item, "fixturenames", ())]

    def play(case: Case) -> None:
        world = worlds.get()
        try:
            table.append(bad_day(world, case))
        finally:
            worlds.put(world)

    pool = ThreadPoolExecutor(WORLDS)
    yield {case: pool.submit(play, case) for case in sorted(wanted, key=lambda case: -case.seconds)}
    pool.shutdown(cancel_futures=True)


def bad_day(world: World, case: Case) -> Ended:
    """A play while the fault is there, and the same play twice when it is over."""
    poster, play = scene(world, case)
    paid, jobs = world.paid(), world.jobs(poster)
    try:
        with world.network.faults({"kind": case.kind, **case.rule}) as faults:
            run = world.play(poster, play, seconds=case.seconds)
            struck = faults.fired[case.kind]
        task = one_end(run)
        assert bool(struck) == case.met, "the fault met nothing"
        assert end_of(task) == case.ends, task.values.get("msg")
        if not task.failed:
            right_end(world, poster, case, task)
        world.settle()
        assert len(world.active(poster)) <= 1
        assert BEGIN - poster.money == world.owed(poster, paid)
        if task.failed and case.ends not in SPENT:
            assert (world.jobs(poster), task.values.get("changed", False)) == (jobs, False)
        world.mend()
        set_right(world, poster, case, play, task)
        assert BEGIN - poster.money == world.owed(poster, paid)
    finally:
        poster.job(state="absent")
    return Ended(case, "ok" if not task.failed else f"{case.ends}: {task.values['msg']}", run.seconds)


def scene(world: World, case: Case) -> tuple[Poster, dict[str, Any]]:
    """A wallet, and the task of its play.

    post: a job that is not there yet. slug: the same, in a market that is named by its slug. unchanged, replace: a job is there, and is as
    wanted, or not. complete: a host takes the job, and its end is waited for.
    """
    named = {"complete": HOST_MARKET, "slug": EMPTY_MARKET}.get(case.scene)
    poster = world.poster(market_of(named).address if named else None)
    task: dict[str, Any] = {"name": "job", "image": "nginx", "market": named if case.scene == "slug" else str(poster.market)}
    world.settle()  # what is old enough for a node that is behind, and for a fork, is there; the job may not be
    if case.scene in ("unchanged", "replace"):
        poster.post()
    if case.scene == "replace":
        world.stage.settle()
        task["env"] = {"COLOUR": "red"}
    if case.scene == "complete":
        task |= {"image": "busybox", "command": "echo done"}
        task |= {"wait_for": "completed", "wait_timeout": WAIT_SECONDS, "wait_sleep": 0.5}
    return poster, task


def one_end(run: Run) -> Task:
    """What the one task said, and that the process ended as it says."""
    assert len(run.tasks) == 1, run.output
    task = run.tasks[0]
    assert run.code == (2 if task.failed else 0), run.output
    assert "Traceback" not in run.output
    if task.failed:
        clear(task)
    return task


def clear(task: Task) -> None:
    """One sentence that a stranger understands, and a code for playbooks."""
    sentence = task.values["msg"]
    assert re.fullmatch(r"[A-Z].*[.…]", sentence), sentence
    assert len(sentence) <= LONGEST_SENTENCE, sentence
    assert not _SECOND_SENTENCE.search(sentence), sentence
    assert not _OF_PYTHON.search(sentence), sentence
    assert "Traceback" not in json.dumps(task.values)
    assert task.values["failure"]["code"] not in ("error", "internal_error")


def end_of(task: Task) -> str:
    return str(task.values["failure"]["code"]) if task.failed else "ok"


def right_end(world: World, poster: Poster, case: Case, task: Task) -> None:
    """The one job is there, and the task says of itself what it did."""
    assert task.values["changed"] == (case.scene != "unchanged") == bool(task.values["actions"])
    if case.scene == "complete":
        assert (task.values["status"], world.active(poster)) == ("completed", [])
    elif case.kind != "fork":  # which comes later
        assert world.active(poster) == [task.values["id"]]


def set_right(world: World, poster: Poster, case: Case, play: dict[str, Any], bad: Task) -> None:
    """What the user does on the next day: the same play again, where its sentence says so after another one; then once more.

    Once is enough where all was right already: then the first time has to find nothing to do.
    """
    times = 1 if not bad.failed and case.changes <= 1 else 2
    calm = world.play(poster, *(play | answer for answer in case.answers), *[play] * times, seconds=CALM_SECONDS)
    assert len(calm.tasks) == len(case.answers) + times, calm.output
    first, last = calm.tasks[-times], calm.tasks[-1]
    assert (first.failed, last.failed) == (False, False), calm.output
    assert sum(task.values.get("changed", False) for task in (bad, *calm.tasks)) == case.changes
    assert not last.values["changed"]
    assert last.values["id"] == first.values["id"]
    if case.scene == "complete":
        assert (last.values["status"], world.active(poster)) == ("completed", [])
    else:
        assert world.active(poster) == [last.values["id"]]


def test_every_kind_of_fault_is_played() -> None:
    """A kind that is added to the local network is to be added here."""
    assert {case.kind for case in CASES} == set(KINDS)
    assert {case.kind for case in CASES if case.quick} == set(KINDS)
    assert len({case.label for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.label)
def test_a_bad_day(days: dict[Case, Future[None]], case: Case) -> None:
    days[case].result()


@pytest.mark.parametrize("accepted", [False, True], ids=["before", "after"])
def test_a_node_is_lost_in_the_middle_of_a_post_and_there_is_a_second_one(world: World, accepted: bool) -> None:
    """From the sending on, nobody answers at the first address any more, whether it passed the transaction on or not."""
    poster, gone = world.poster(), threading.Event()

    def vanish(request: Request, pass_on: Callable[[], Answer]) -> Answer | None:
        if request.kind == "sendTransaction" and not gone.is_set():
            gone.set()
            if accepted:
                pass_on()
        return None if gone.is_set() else pass_on()

    with relaying(world.network.url, world.network.url) as relay:
        relay.meddle = vanish
        nodes = [relay.options["rpc_url"], world.network.url]
        play = {"name": "job", "image": "nginx", "market": str(poster.market), "rpc_url": nodes}
        task = one_end(world.play(poster, play, seconds=CALM_SECONDS))
        assert gone.is_set()
        assert (task.failed, task.values.get("changed")) == (False, True), task.values.get("msg")
        assert world.active(poster) == [task.values["id"]]
        assert len(world.stage.chain.jobs_of(poster.address)) == 1
        assert BEGIN - poster.money == world.owed(poster, world.paid())
        again = one_end(world.play(poster, play | {"rpc_url": nodes[::-1]}, seconds=CALM_SECONDS))
        assert (again.failed, again.values["changed"], again.values["id"]) == (False, False, task.values["id"])
