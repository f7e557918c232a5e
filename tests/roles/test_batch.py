"""The role batch: killed in the middle it goes on where it was, no job is posted twice, failed ones are tried again.

NOSANA_BATCH is how many jobs the batch has that is killed, NOSANA_PARALLEL how many at a time.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import Any

from conftest import PATIENCE_SECONDS, User

JOBS = int(os.environ.get("NOSANA_BATCH", "12"))
PARALLEL = int(os.environ.get("NOSANA_PARALLEL", "4"))


def batch(inputs: list[Any], **options: Any) -> dict[str, Any]:
    """The options of the role."""
    found: dict[str, Any] = {
        "batch_name": "sums",
        "batch_inputs": inputs,
        "batch_image": "busybox",
        "batch_command": f'echo "did $INPUT"; sleep {PARALLEL * 0.4}',  # longer than it takes to post as many as may run at a time
        "batch_parallel": PARALLEL,
        "batch_wait_sleep": 1,
    }
    return found | options


def test_killed_in_the_middle(user: User) -> None:
    inputs = [f"part/{number}" for number in range(JOBS)]
    options = batch(inputs, batch_directory=str(user.directory / "out"))
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.1):
            most = max(most, user.active())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        child, _place = user.start("batch", **options)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while user.posted() < JOBS // 2:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        left = user.posted()
        assert left < JOBS

        resumed = user.play("batch", **options)
    finally:
        ended.set()
        watcher.join()
    assert resumed.code == 0, resumed.output
    result = resumed.fact("batch_result")
    assert (result["total"], result["completed"], result["failed"]) == (JOBS, JOBS, 0)
    assert user.posted() == JOBS
    assert set(user.definitions().values()) == {1}
    assert 1 < most <= PARALLEL
    for number in range(JOBS):
        assert (user.directory / "out" / f"part-{number}.log").read_text(encoding="utf-8").splitlines()[-1:] == [f"did part/{number}"]
        assert json.loads((user.directory / "out" / f"part-{number}.json").read_text(encoding="utf-8"))["status"] == "success"
    print(f"{left} of {JOBS} jobs were posted when it was killed, {user.posted()} in the end, at most {most} at a time")

    again = user.play("batch", **options)
    assert (again.code, again.changed, user.posted()) == (0, set(), JOBS), again.output


def test_failed_ones_are_tried_again(user: User) -> None:
    """`flaky` fails once, `hopeless` always; what has completed is not repeated, and the tries are counted by the chain."""
    marks = user.directory / "marks"
    marks.mkdir()
    command = f'case $INPUT in good) ;; flaky) mkdir "{marks}/$INPUT" && exit 3 ;; *) echo "cannot do $INPUT"; exit 4 ;; esac; true'
    options = batch(["good", "flaky", "hopeless"], batch_command=command, batch_retries=2)

    checked = user.play("batch", check=True, **options)
    assert (checked.code, checked.changed, user.posted()) == (0, {"Post it"}, 0), checked.output

    ran = user.play("batch", **options)
    assert ran.code == 2
    jobs = {job["key"]: (job["status"], job["tries"], job["exit_code"]) for job in ran.fact("batch_result")["jobs"]}
    assert jobs == {"good": ("completed", 1, None), "flaky": ("completed", 2, None), "hopeless": ("failed", 3, 4)}
    assert user.posted() == 1 + 2 + 3
    (sentence,) = (result["msg"] for result in ran.results["Say which have not completed"])
    assert sentence.startswith("1 of the 3 jobs of the batch sums have not completed: sums-hopeless-try-3: ")

    again = user.play("batch", **options)
    assert (again.code, again.changed, user.posted()) == (2, set(), 6)


def test_two_at_once_share_the_work(user: User) -> None:
    inputs = [{"key": f"job-{number}", "env": {"INPUT": number}} for number in range(6)]
    options = batch(inputs, batch_parallel=2, batch_command="true")
    plays = [user.end(started) for started in [user.start("batch", **options), user.start("batch", **options)]]
    for play in plays:
        assert play.code == 0, play.output
        assert play.fact("batch_result")["completed"] == 6
    assert user.posted() == 6


def test_a_run_that_takes_too_long(user: User) -> None:
    """What was posted goes on, and nothing more than may run at a time was posted."""
    options = batch(["a", "b", "c"], batch_command="sleep 60", batch_wait_timeout=2, batch_parallel=2)
    ran = user.play("batch", **options)
    assert ran.code == 2
    (sentence,) = (result["msg"] for result in ran.results["Say how it goes on"])
    assert "2 seconds (batch_wait_timeout) are over" in sentence
    assert (user.posted(), user.active()) == (2, 2)


def test_inputs_of_one_key(user: User) -> None:
    ran = user.play("batch", **batch(["a/b", "a b"]))
    assert (ran.code, user.posted()) == (2, 0)
    (result,) = ran.results["Check that every job has a name of its own"]
    assert result["msg"].strip().startswith("Two inputs of the batch sums have the same key")
