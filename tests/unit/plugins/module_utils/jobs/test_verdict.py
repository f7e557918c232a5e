"""The verdict for every way in which a job of the network can end, and for results that somebody made up."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._jobs.verdict import MAX_LINE_CHARACTERS, Verdict, judge, log_lines


def op(status: str | None = "success", code: int | None = 0, *, reason: str | None = None, **more: Any) -> dict[str, Any]:
    because = {name: name == reason for name in ("hostShutDown", "jobStopped", "jobExpired")}
    return {"operationId": "one", "status": status, "exitCode": code, "logs": [], "diagnostics": {"reason": because}, **more}


def flow(status: str, *ops: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"status": status, "startTime": 1, "endTime": 2, "opStates": list(ops), **more}


def done(result: Any, *, service: bool = False) -> Verdict:
    return judge(job_state=2, has_run=False, has_result=True, result=result, exposes_port=service)


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
        ({"results": {"one": ["failed", []]}}, False, "failed", "exit_code"),
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


def test_logs_are_bounded_and_harmless() -> None:
    lines = [{"type": "stdout", "log": "\x1b[31mred\x1b[0m \x07bell \x1b]0;title\x07end\n"}, {"type": "stderr", "log": "x" * 100_000}]
    result = flow("success", op(logs=lines + [{"type": "stdout", "log": f"{number}\n"} for number in range(50)]))
    found = log_lines(result)
    assert found[0].text == "red bell end"
    assert len(found[1].text) == MAX_LINE_CHARACTERS
    assert [line.text for line in log_lines(result, limit=2)] == ["48", "49"]
    assert log_lines(flow("success", op(logs=[{"type": "stdout", "log": "a\nb\n"}])))[1].text == "b"
