"""The verdict for every way in which a job of the network can end, and for results that somebody made up."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._jobs.verdict import (
    DEAD_HOST_GRACE_SECONDS,
    MAX_LINE_CHARACTERS,
    MAX_LOG_CHARACTERS,
    MAX_LOG_LINES,
    MAX_OPS,
    Log,
    Verdict,
    judge,
    log_lines,
    log_tail,
    read_log,
)


def op(status: str | None = "success", code: int | None = 0, *, reason: str | None = None, **more: Any) -> dict[str, Any]:
    because = {name: name == reason for name in ("hostShutDown", "jobStopped", "jobExpired")}
    return {"operationId": "one", "status": status, "exitCode": code, "logs": [], "diagnostics": {"reason": because}, **more}


def flow(status: str, *ops: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"status": status, "startTime": 1, "endTime": 2, "opStates": list(ops), **more}


def judge_done(result: Any, **more: Any) -> Verdict:
    return judge(**{"job_state": 2, "has_run": False, "has_result": True, "result": result, "exposes_port": False, **more})


def done(result: Any, *, service: bool = False) -> Verdict:
    return judge_done(result, exposes_port=service)


@pytest.mark.parametrize(
    ("result", "service", "status", "reason"),
    [
        (flow("success", op(), op()), False, "completed", None),
        (flow("success", op(), op("failed", 3)), False, "failed", "exit_code"),
        (flow("success", op("failed", 2, errors=[{"event": "pull", "message": "no such image"}])), False, "failed", "image"),
        (flow("success", op("failed", 2, error={"event": "pull", "message": "no such image"})), False, "failed", "image"),
        (flow("success", op("failed", 0, logs=[{"type": "nodeerr", "log": "X has no value"}])), False, "failed", "literal"),
        (flow("success", op(), op("init", None)), False, "failed", "dependency"),
        (flow("success", op(reason="jobExpired")), True, "completed", "expired"),
        (flow("success", op(reason="jobExpired")), False, "failed", "expired"),
        (flow("stopped", op("stopped", 0, reason="jobStopped")), False, "cancelled", "stopped"),
        (flow("failed", op("failed", 1, reason="hostShutDown")), True, "failed", "host_shutdown"),
        (flow(""), False, "failed", "expired"),
        (flow("init error", errors=[{"message": "bad depends_on"}]), False, "failed", "init_error"),
        (flow("validation-error"), False, "failed", "validation"),
        (flow("logistics-error"), False, "failed", "logistics"),
        (flow("failed", op()), False, "failed", "host_error"),
        (flow("success"), False, "failed", "not_executed"),
        (flow("success", op("success", 1)), False, "failed", "exit_code"),
        (flow("success", op("running", 0)), False, "failed", "op_status"),
        ({"results": {"one": ["success", [{"log": [[1, "hello"]], "status": 0}]]}}, False, "completed", None),
        ({"results": {"one": ["failed", []]}}, False, "failed", "op_status"),
        ({"results": {"one": ["failed", [{"log": [], "status": 3}]]}}, False, "failed", "exit_code"),
        ({"results": {"one": ["success", [{"log": [], "status": 3}]]}}, False, "failed", "exit_code"),
    ],
)
def test_every_end(result: Any, service: bool, status: str, reason: str | None) -> None:
    verdict = done(result, service=service)
    assert (verdict.status, verdict.reason) == (status, reason)
    assert verdict.sentence.endswith(".")


@pytest.mark.parametrize(
    ("state", "has_run", "has_result", "status", "reason"),
    [
        (0, False, False, "pending", None),
        (0, True, False, "running", None),
        (3, True, False, "running", None),
        (3, False, False, "failed", "host_quit"),
        (2, False, False, "cancelled", "stopped"),
        (2, False, True, "failed", "result_unavailable"),
    ],
)
def test_without_a_result(state: int, has_run: bool, has_result: bool, status: str, reason: str | None) -> None:
    verdict = judge(job_state=state, has_run=has_run, has_result=has_result, result=None, exposes_port=False)
    assert (verdict.status, verdict.reason) == (status, reason)


@pytest.mark.parametrize(
    "result",
    [None, [], "success", 7, {}, {"status": "success"}, {"status": 1, "opStates": []}, {"status": "success", "opStates": {"a": 1}}]
    + [flow("success", {"status": "success"}), flow("success", op(exitCode="0")), {"results": {"one": None}}, {"results": {"one": [1, 2]}}]
    + [{"results": {"one": ["failed", [{"log": [[1]]}, 7, None]]}}, flow("success", op(logs="text")), {"results": {}}],
)
def test_what_is_made_up_is_never_a_success(result: Any) -> None:
    assert done(result, service=True).status != "completed"
    assert isinstance(log_lines(result), list)


# --- which op decided, and what it said -------------------------------------------------------------------------------


def test_the_op_that_failed_is_named_with_its_code_and_the_others_are_listed() -> None:
    result = flow("success", op(operationId="up"), op("init", None, operationId="waits"), op("failed", 137, operationId="falls"))
    verdict = done(result)
    assert (verdict.reason, verdict.op, verdict.exit_code) == ("exit_code", "falls", 137)
    assert verdict.ops == [
        {"op": "up", "status": "success", "exit_code": 0},
        {"op": "waits", "status": "init", "exit_code": None},
        {"op": "falls", "status": "failed", "exit_code": 137},
    ]


def test_a_success_names_no_op_and_lists_all() -> None:
    verdict = done(flow("success", op()))
    assert (verdict.op, verdict.exit_code, verdict.ops) == (None, None, [{"op": "one", "status": "success", "exit_code": 0}])


def test_thousands_of_ops_are_not_all_listed() -> None:
    verdict = done(flow("success", *[op() for _number in range(MAX_OPS)], op("failed", 3, operationId="last")))
    assert (len(verdict.ops), verdict.op, verdict.exit_code) == (MAX_OPS, "last", 3)


def test_too_little_memory_is_said() -> None:
    verdict = done(flow("success", op("failed", 137) | {"diagnostics": {"state": {"OOMKilled": True}}}))
    assert verdict.sentence == "The op one ended with exit code 137, because it used more memory than there was."


def test_an_op_that_the_result_does_not_mention_is_not_proven() -> None:
    result = flow("success", op())
    assert judge_done(result, run_ops=["one"]).status == "completed"
    verdict = judge_done(result, run_ops=["one", "two"])
    assert (verdict.status, verdict.reason, verdict.op) == ("failed", "incomplete", "two")
    assert judge_done(flow("success", op("failed", 3)), run_ops=["two"]).reason == "exit_code"


def test_the_owner_stopped_one_op_and_another_failed() -> None:
    result = flow("success", op("stopped", 137, reason="jobStopped"), op("failed", 3, operationId="two"))
    assert (done(result).status, done(result).op) == ("failed", "two")
    assert done(flow("success", op("success", 0, reason="jobStopped"))).status == "cancelled"


# --- time ------------------------------------------------------------------------------------------------------------


def running(**times: Any) -> Verdict:
    return judge(job_state=0, has_run=True, has_result=False, result=None, exposes_port=True, **times)


def test_a_host_is_dead_only_well_after_the_timeout() -> None:
    last = 1000 + 60 + DEAD_HOST_GRACE_SECONDS
    assert running(now_seconds=last, time_start=1000, timeout_seconds=60).status == "running"
    dead = running(now_seconds=last + 1, time_start=1000, timeout_seconds=60)
    assert (dead.status, dead.reason) == ("failed", "host_dead")
    assert "nothing on chain enforces the timeout" in dead.sentence


@pytest.mark.parametrize(
    "times",
    [
        {},
        {"now_seconds": 10**10},
        {"now_seconds": 10**10, "time_start": 0, "timeout_seconds": 60},
        {"now_seconds": 10**10, "time_start": -5, "timeout_seconds": 60},
        {"now_seconds": 10**10, "time_start": 1000},
        {"time_start": 1000, "timeout_seconds": 60},
        {"now_seconds": 900, "time_start": 1000, "timeout_seconds": 60},
        {"now_seconds": 1100, "time_start": 1000, "timeout_seconds": -(10**9)},
        {"now_seconds": 10**10, "time_start": 1000, "timeout_seconds": 2**63 - 1},
    ],
)
def test_what_is_not_known_calls_nobody_dead(times: dict[str, int]) -> None:
    assert running(**times).status == "running"


def test_a_claimed_job_with_a_dead_host() -> None:
    times = {"now_seconds": 10**10, "time_start": 1000, "timeout_seconds": 60}
    assert judge(job_state=3, has_run=True, has_result=False, result=None, exposes_port=False, **times).reason == "host_dead"
    assert judge(job_state=3, has_run=False, has_result=False, result=None, exposes_port=False, **times).reason == "host_quit"


def test_what_expired_long_before_its_timeout_was_stopped_on_the_host() -> None:
    result = flow("success", op(reason="jobExpired"))
    assert judge_done(result, exposes_port=True, time_start=1000, time_end=1300, timeout_seconds=3600).reason == "stopped_on_host"
    for end in (4600, 4700, 4550):
        assert judge_done(result, exposes_port=True, time_start=1000, time_end=end, timeout_seconds=3600).status == "completed"
    assert judge_done(flow("success", op()), time_start=1000, time_end=1010, timeout_seconds=3600).status == "completed"


# --- logs ------------------------------------------------------------------------------------------------------------


def said(name: str, *lines: str, status: str = "success", code: int = 0) -> dict[str, Any]:
    return op(status, code, operationId=name, logs=[{"type": "stdout", "log": line} for line in lines])


def test_the_tail_is_of_the_op_that_failed() -> None:
    result = flow("success", said("bad", "a\n", "b\nc\n", status="failed", code=1), said("good", *["noise\n"] * 50))
    assert [(line.op, line.text) for line in log_tail(result)] == [("bad", "a"), ("bad", "b"), ("bad", "c")]
    assert [line.text for line in log_tail(result, lines=2)] == ["b", "c"]


def test_the_tail_of_an_op_that_said_nothing_is_everybodys() -> None:
    result = flow("success", said("bad", status="failed", code=1), said("good", "noise\n"))
    assert [line.op for line in log_tail(result)] == ["good"]
    assert [line.text for line in log_tail(flow("success", said("one", "x")))] == ["x"]
    assert log_tail(None) == log_tail({"opStates": 7}) == []


def test_the_tail_is_bounded_and_harmless() -> None:
    result = flow("success", said("bad", "x" * 1500, "\x1b[31my" + "y" * 1499, status="failed", code=1))
    tail = log_tail(result, characters=2000)
    assert sum(len(line.text) for line in tail) == 2000
    assert tail[-1].text == "y" * 1500
    assert tail[0].text == "x" * 499 + "…"
    many = flow("success", said("bad", *["z" * 90] * 500, status="failed", code=1))
    assert len(log_tail(many)) == 20


def test_what_was_left_out_is_counted() -> None:
    result = flow("success", said("one", "0\n1\n2\n"), said("two", "3", "4\n5"))
    log = read_log(result, lines=3)
    assert ([line.text for line in log.lines], log.left_out) == (["3", "4", "5"], 3)
    assert [line.text for line in read_log(result).lines] == ["0", "1", "2", "3", "4", "5"]
    assert read_log(result).left_out == 0
    assert read_log(None) == Log([], 0)


def test_logs_are_bounded_in_characters_too() -> None:
    result = flow("success", said("one", *["x" * 3000] * 1000))
    log = read_log(result)
    assert sum(len(line.text) for line in log.lines) == MAX_LOG_CHARACTERS
    assert len(log.lines) + log.left_out == 1000


def test_millions_of_empty_lines_cost_nothing() -> None:
    log = read_log(flow("success", said("one", "\n" * 4_000_000 + "end")))
    assert (len(log.lines), log.lines[-1].text, log.left_out) == (MAX_LOG_LINES, "end", 4_000_001 - MAX_LOG_LINES)


@pytest.mark.parametrize("text", ["a\u202eb", "a\u2028b", "a\ud83db", "a\u2066b\u2069"], ids=ascii)
def test_what_turns_a_line_around_or_cannot_be_printed_is_left_out(text: str) -> None:
    result = flow("success", said("one", text))
    assert done(result).status == "completed"
    assert log_lines(result)[0].text == "ab"


def test_logs_are_bounded_and_harmless() -> None:
    lines = [{"type": "stdout", "log": "\x1b[31mred\x1b[0m \x07bell \x1b]0;title\x07end\n"}, {"type": "stderr", "log": "x" * 100_000}]
    result = flow("success", op(logs=lines + [{"type": "stdout", "log": f"{number}\n"} for number in range(50)]))
    found = log_lines(result)
    assert found[0].text == "red bell end"
    assert len(found[1].text) == MAX_LINE_CHARACTERS
    assert [line.text for line in log_lines(result, limit=2)] == ["48", "49"]
    assert log_lines(flow("success", op(logs=[{"type": "stdout", "log": "a\nb\n"}])))[1].text == "b"
