"""What is said while a job is waited for, and what is said and returned when the wait is cut off."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import Interrupted
from ansible_collections.nosana.compute.plugins.module_utils._clients.log_tail import LogTail, last_line
from ansible_collections.nosana.compute.plugins.module_utils._clients.pubsub import Sleeper
from ansible_collections.nosana.compute.plugins.module_utils._jobs.progress import Sight, Teller, duration
from ansible_collections.nosana.compute.plugins.module_utils._jobs.service import Declaration, Outcome, Wait
from ansible_collections.nosana.compute.tests.unit.plugins.module_utils.jobs.fake_chain import (
    DOCUMENT,
    HOST,
    MARKET,
    PRICE,
    SUCCESS,
    Chain,
    address,
    present,
    service,
)

RUNNING = Sight(f"running on {HOST}", 1_000, PRICE, 3600)
LONG = Wait("completed", 3600, 5)


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture(autouse=True)
def no_logs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Nobody asks a host; whose log was wanted."""
    followed: list[tuple[str, str]] = []
    monkeypatch.setattr(LogTail, "follow", lambda _tail, job, host: followed.append((job, host)))
    return followed


def at(chain: Chain, monkeypatch: pytest.MonkeyPatch, events: dict[int, Callable[[], object]]) -> None:
    """What happens so many seconds after the beginning."""
    begun = chain.time

    async def sleep(seconds: float) -> None:
        chain.time += seconds
        for moment in [moment for moment in events if begun + moment <= chain.time]:
            events.pop(moment)()

    monkeypatch.setattr(chain, "sleep", sleep)


# --- a line ---------------------------------------------------------------------------------------------------------------


def test_a_running_job_costs_by_the_chains_time() -> None:
    line = RUNNING.line(now_seconds=1_130, waited_seconds=7, log_line="Processing...")
    assert line == f"running on {HOST} for 2 min 10 s, 0.00559 NOS so far; Processing..."
    assert RUNNING.line(now_seconds=1_000_000, waited_seconds=7).endswith("0.1548 NOS so far")  # no more than its deposit


def test_what_a_host_has_logged_is_one_short_line_without_anything_that_a_terminal_obeys() -> None:
    line = RUNNING.line(now_seconds=1_001, waited_seconds=7, log_line="\x1b[31mred\x1b[0m\ttext\nand \u202emore " + "x" * 9_000)
    assert line.startswith(f"running on {HOST} for 1 s, 0.000043 NOS so far; red text and more xxx")
    assert len(line) < 240
    assert line.isprintable()


def test_durations() -> None:
    assert [duration(seconds) for seconds in (-1, 0, 59.9, 60, 3599, 3600, 90_061)] == [
        "0 s",
        "0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "1 h 0 min",
        "25 h 1 min",
    ]


# --- which lines, and when ------------------------------------------------------------------------------------------------


def test_the_lines_of_a_job_from_its_posting_to_its_end(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    at(chain, monkeypatch, {25: lambda: chain.run(address()), 160: lambda: chain.job(address(), state=2, result=SUCCESS)})
    lines: list[tuple[float, str]] = []
    begun = chain.time
    outcome = present(chain, wait=LONG, tell=lambda line: lines.append((chain.time - begun, line)))
    assert (outcome.failure, outcome.changed) == (None, True)
    assert lines == [
        (0, f"nosana_job web: waiting until the job {address()} is completed, at most 1 h 0 min"),
        (0, "nosana_job web: queued, waited for 0 s so far"),
        (10, "nosana_job web: queued, waited for 10 s so far"),
        (25, f"nosana_job web: running on {HOST} for 0 s, 0 NOS so far"),
        (35, f"nosana_job web: running on {HOST} for 10 s, 0.00043 NOS so far"),
        (65, f"nosana_job web: running on {HOST} for 40 s, 0.00172 NOS so far"),
        (125, f"nosana_job web: running on {HOST} for 1 min 40 s, 0.0043 NOS so far"),
    ]


def test_between_looks_that_are_far_apart_lines_come_all_the_same_and_nothing_more_is_asked(chain: Chain) -> None:
    chain.job(address(), running=True)
    rarely = Wait("completed", 600, 600)
    present(chain, wait=rarely)
    asked, chain.asked = chain.asked, []
    lines: list[str] = []
    present(chain, wait=rarely, tell=lines.append)
    assert chain.asked == asked
    assert [line.split(" for ")[1].split(",")[0] for line in lines[1:]] == [
        "10 min 0 s",
        "10 min 10 s",
        "10 min 40 s",
        "11 min 40 s",
        "13 min 40 s",
        "18 min 40 s",
    ]


def test_who_does_not_wait_is_told_nothing(chain: Chain) -> None:
    lines: list[str] = []
    present(chain, tell=lines.append)
    chain.job(address(), running=True)
    present(chain, wait=Wait("running", 100, 5), tell=lines.append)
    present(chain, document=DOCUMENT, wait=LONG, dry_run=True, tell=lines.append)
    assert lines == []


def test_a_log_is_followed_at_the_host_unless_the_job_is_confidential(chain: Chain, no_logs: list[tuple[str, str]]) -> None:
    chain.job(address(), running=True)
    present(chain, wait=Wait("completed", 10, 5))
    assert no_logs == []  # nobody wants lines
    present(chain, wait=Wait("completed", 10, 5), tell=lambda _line: None)
    assert set(no_logs) == {(address(), HOST)}
    no_logs.clear()
    secret = DOCUMENT | {"logistics": {"send": {"type": "api", "args": {}}, "receive": {"type": "api", "args": {}}}}
    chain = Chain()
    chain.job(address(), secret, running=True)
    present(chain, document=secret, wait=Wait("completed", 10, 5), tell=lambda _line: None)
    assert no_logs == []


def test_a_change_is_told_at_once_and_nothing_else_more_often_than_every_ten_seconds() -> None:
    lines: list[float] = []
    chain = Chain()
    sights = [RUNNING, RUNNING, Sight("queued"), *[RUNNING] * 20]

    async def run() -> None:
        teller = Teller(
            lambda _line: lines.append(chain.time),
            "web",
            "goal",
            clock=chain,
            waker=Sleeper(chain),
            sees=lambda: (sights.pop(0), 1_000),
            log_line=lambda: None,
        )
        while sights:
            await teller.wait(1)

    begun = chain.time
    asyncio.run(run())
    assert [moment - begun for moment in lines] == [0, 0, 2, 3, 13]


# --- cut off --------------------------------------------------------------------------------------------------------------


def cut_off(chain: Chain, monkeypatch: pytest.MonkeyPatch, seconds: int, lines: list[str]) -> Outcome:
    """The outcome of a run that is cancelled so long after its wait has begun."""

    def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    at(chain, monkeypatch, {seconds: cancel})
    sleep = chain.sleep

    async def sleep_and_notice(seconds: float) -> None:
        await sleep(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(chain, "sleep", sleep_and_notice)
    return present(chain, wait=LONG, tell=lines.append)


def test_a_wait_that_is_cut_off_returns_what_was_done_and_says_that_the_job_costs(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    outcome = cut_off(chain, monkeypatch, 5, lines)
    assert isinstance(outcome.failure, Interrupted)
    assert str(outcome.failure) == (
        f"Waiting for the job web ({address()}) was interrupted; it goes on and costs until it ends, so run the task again to wait for it, or "
        "remove it with state=absent."
    )
    assert lines[-1] == f"nosana_job: {outcome.failure}"
    assert outcome.changed
    assert [done.kind for done in outcome.actions] == ["post"]
    assert outcome.job is not None
    assert (outcome.job["address"], outcome.job["status"]) == (address(), "pending")


def test_a_wait_that_is_cut_off_leaves_its_task_as_it_was(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever bounds the task's time afterwards is not told that somebody has cancelled it."""
    cancelling: list[int] = []

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None

        async def sleep(_seconds: float) -> None:
            task.cancel()
            await asyncio.sleep(0)

        monkeypatch.setattr(chain, "sleep", sleep)
        outcome = await service(chain).present(Declaration("web", DOCUMENT, MARKET, None), wait=LONG, dry_run=False)
        assert isinstance(outcome.failure, Interrupted)
        cancelling.append(task.cancelling())

    asyncio.run(run())
    assert cancelling == [0]


def test_a_wait_that_is_cut_off_before_its_first_look_names_the_job(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_keys: object) -> None:
        raise asyncio.CancelledError

    chain.before_send.append(lambda: monkeypatch.setattr(chain, "snapshot", hangs))
    outcome = present(chain, wait=LONG)
    assert isinstance(outcome.failure, Interrupted)
    assert (outcome.changed, outcome.job) == (True, {"address": address(), "name": "web"})


def test_cut_off_when_the_goal_is_reached_it_is_reached(chain: Chain) -> None:
    """While connections are closed, say."""

    class Hangs:
        @asynccontextmanager
        async def watching(self, *_subscriptions: object) -> AsyncIterator[Sleeper]:
            yield Sleeper(chain)
            raise asyncio.CancelledError

    chain.job(address(), running=True)
    running = Declaration("web", DOCUMENT, MARKET, None)
    outcome = asyncio.run(service(chain, pubsub=Hangs()).present(running, wait=Wait("running", 100, 5), dry_run=False))
    assert (outcome.failure, outcome.job and outcome.job["status"]) == (None, "running")


def test_cut_off_while_only_the_result_is_missing_it_costs_no_more(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    def end() -> None:
        chain.job(address(), state=2, result=SUCCESS)
        chain.content.clear()

    chain.job(address(), running=True)
    at(chain, monkeypatch, {})
    end()
    lines: list[str] = []
    outcome = cut_off(chain, monkeypatch, 5, lines)
    assert isinstance(outcome.failure, Interrupted)
    assert "it is over" in str(outcome.failure)
    assert "costs" not in str(outcome.failure)
    assert not outcome.changed


def test_what_is_cut_off_while_it_sends_is_cut_off(chain: Chain) -> None:
    """Nobody knows then what was done, and the next run finds out."""

    def cancel() -> None:
        raise asyncio.CancelledError

    chain.before_send.append(cancel)
    with pytest.raises(asyncio.CancelledError):
        present(chain, wait=LONG)


# --- what hosts say -------------------------------------------------------------------------------------------------------


def frame(text: object, path: str = "flog") -> str:
    return json.dumps({"path": path, "data": json.dumps({"opId": "one", "message": text})})


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (frame("one\ntwo\n\n"), "two"),
        (frame("progress 1%\rprogress 2%"), "progress 2%"),
        (frame(""), None),
        (frame("  \n"), None),
        (frame(7), None),
        (frame("x", "log"), None),
        ('{"path": "flog", "data": 7}', None),
        ('{"path": "flog", "data": "[]"}', None),
        ("[1]", None),
        ("7", None),
        ("no JSON", None),
        (b"\xff\xfe", None),
        ("[" * 100_000, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_last_line_of_what_a_host_sends(message: str | bytes, line: str | None) -> None:
    assert last_line(message) == line
