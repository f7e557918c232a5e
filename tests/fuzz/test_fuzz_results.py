"""Any result document: a verdict that is never better than what is proven, and logs that are bounded and harmless."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from documents import DEEP, NUMBERS, UNPRINTABLE, WILD, damaged, nested, sentence
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError
from ansible_collections.nosana.compute.plugins.module_utils._jobs.verdict import (
    MAX_LINE_CHARACTERS,
    MAX_LOG_CHARACTERS,
    MAX_LOG_LINES,
    MAX_OPS,
    REASONS,
    judge,
    log_lines,
    log_tail,
    read_log,
)


def op(name: str, status: str, code: int | None, reason: str = "", **more: Any) -> dict[str, Any]:
    because = {word: word == reason for word in ("hostShutDown", "jobStopped", "jobExpired")}
    logs = [{"type": "stdout", "log": "one\ntwo\n", "timestamp": 1}, {"type": "nodeerr", "log": "X has no value"}]
    return {"operationId": name, "status": status, "exitCode": code, "logs": logs, "diagnostics": {"reason": because}} | more


def flow(status: str, *ops: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "startTime": 1, "endTime": 2, "errors": [{"message": "no"}], "opStates": list(ops), "secrets": {}}


WHOLES: list[Any] = [
    flow("success", op("a", "success", 0), op("b", "success", 0)),
    flow("success", op("a", "success", 0), op("b", "success", 0)),
    flow("success", op("a", "success", 137, "jobExpired"), op("b", "success", 0)),
    flow("success", op("a", "failed", 2, errors=[{"event": "pull", "message": "no such image", "code": 404}]), op("b", "init", None)),
    flow("stopped", op("a", "stopped", 0, "jobStopped")),
    flow("failed", op("a", "failed", 1, "hostShutDown", error={"message": "gone"})),
    flow("init error"),
    flow(""),
    {"results": {"a": ["success", [{"cmd": "x", "log": [[1, "one"], [2, "two"]], "status": 0, "error": None}]], "b": ["success", []]}},
    {"results": {"a": ["failed", [{"cmd": "x", "log": [[1, "one"]], "status": 3}]]}},
]
# Of the right form, with every mixture of what matters.
OPS = st.builds(
    op,
    st.sampled_from("abc"),
    st.sampled_from(["success"] * 30 + ["failed", "stopped", "init", "running", ""]),
    st.sampled_from([0] * 20 + [None, 1, 137, -1]),
    st.sampled_from([""] * 9 + ["jobExpired", "jobExpired", "jobStopped", "hostShutDown"]),
)
STATUSES = st.sampled_from(["success"] * 8 + ["failed", "stopped", "running", "", "init error", "waiting-for-result"])
FORMED = st.builds(lambda status, ops: flow(status, *ops), STATUSES, st.lists(OPS, max_size=3))
STEPS = st.lists(
    st.builds(lambda code: {"cmd": "x", "log": [[1, "one"]], "status": code}, st.sampled_from([0, 0, 0, 1, None, True])), max_size=2
)
LEGACY = st.builds(
    lambda entries: {"results": entries},
    st.dictionaries(st.sampled_from("abc"), st.tuples(st.sampled_from(["success"] * 6 + ["failed"]), STEPS).map(list), max_size=2),
)
DOCUMENTS = FORMED | FORMED | FORMED | LEGACY | damaged(WHOLES) | WILD | DEEP
# What else judge is told: no service, over, no run, a result, no times.
JUDGED: tuple[Any, ...] = (False, 2, False, True, (None,) * 4, (False, False), None)
TIMES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10_000)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def proven(result: Any, service: bool) -> bool:
    """Written again, as plainly as can be: whether anybody may say that every op succeeded."""
    if not isinstance(result, dict):
        return False
    if "opStates" not in result:
        ops = result.get("results")
        if not isinstance(ops, dict) or ops == {}:
            return False
        for entry in ops.values():
            if not isinstance(entry, list) or len(entry) != 2 or entry[0] != "success":
                return False
            for step in entry[1] if isinstance(entry[1], list) else []:
                if isinstance(step, dict) and is_whole(step.get("status")) and step["status"] != 0:
                    return False
        return True
    if result.get("status") != "success" or not isinstance(result["opStates"], list) or result["opStates"] == []:
        return False
    for entry in result["opStates"]:
        if not isinstance(entry, dict) or entry.get("status") != "success":
            return False
        diagnostics = entry.get("diagnostics")
        reason = diagnostics.get("reason") if isinstance(diagnostics, dict) else None
        reason = reason if isinstance(reason, dict) else {}
        if reason.get("jobStopped") is True or reason.get("hostShutDown") is True:
            return False
        ran_to_its_timeout = service and reason.get("jobExpired") is True
        if not ran_to_its_timeout and (not is_whole(entry.get("exitCode")) or entry["exitCode"] != 0):
            return False
        if reason.get("jobExpired") is True and not service:
            return False
    return True


@settings(max_examples=max(settings().max_examples, 1000))  # the one that must not be wrong, and is quick
@given(
    result=DOCUMENTS,
    service=st.booleans(),
    state=st.sampled_from([2] * 9 + [0, 3, 1, 255]),
    run=st.booleans(),
    has_result=st.sampled_from([True] * 9 + [False]),
    times=st.tuples(TIMES, TIMES, TIMES, TIMES) | st.just((None,) * 4),
    flags=st.tuples(st.booleans(), st.booleans()),
    ops=st.none() | st.none() | st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
)
@example(flow("success", op("a", "failed", -(10**30))), True, 2, False, True, (None,) * 4, (False, False), None)
@example(flow("success", op("a", "success", True)), *JUDGED)
@example(flow("success", op("a", "success", 0.0)), *JUDGED)
@example(flow("success", op("\ud800\u202e", "failed", 3)), *JUDGED)
@example(flow("success", op("x" * 10**6, "failed", 3)), *JUDGED)
@example(flow("success", op("a", "success", 0, "jobStopped")), True, 2, False, True, (None,) * 4, (False, False), None)
@example(flow("success", op("a", "success", 0)), True, 2, False, True, (None,) * 4, (False, False), ["a", "missing\x1b" * 9999])
def test_a_verdict(
    result: Any,
    service: bool,
    state: int,
    run: bool,
    has_result: bool,
    times: tuple[int | None, int | None, int | None, int | None],
    flags: tuple[bool, bool],
    ops: list[str] | None,
) -> None:
    now, start, end, timeout = times
    verdict = judge(
        job_state=state,
        has_run=run,
        has_result=has_result,
        result=result,
        exposes_port=service,
        now_seconds=now,
        time_start=start,
        time_end=end,
        timeout_seconds=timeout,
        orphaned=flags[0],
        confidential=flags[1],
        run_ops=ops,
    )
    assert verdict.status in ("pending", "running", "completed", "failed", "cancelled")
    assert verdict.reason is None or verdict.reason in REASONS
    sentence(NosanaError(verdict.sentence))
    assert verdict.sentence.endswith(".")
    assert len(verdict.ops) <= MAX_OPS
    for text in (verdict.op, *(text for told in verdict.ops for text in (told["op"], told["status"]))):
        assert text is None or (len(text) <= 100 and not UNPRINTABLE.search(text))
    for code in (verdict.exit_code, *(told["exit_code"] for told in verdict.ops)):
        assert code is None or is_whole(code)
    if verdict.status == "completed":
        assert state == 2
        assert has_result
        assert proven(result, service)
    if state == 2:
        assert verdict.status in ("completed", "failed", "cancelled")


@given(result=DOCUMENTS, lines=st.integers(0, 30), characters=st.integers(0, 3000))
@example(flow("success", op("a", "failed", 3, logs=[{"log": "\n" * 1_000_000}])), 20, 2000)
@example(flow("success", op("a", "failed", 3, logs=[{"log": "x"}] * 50_000)), 20, 2000)
@example(flow("success", op("a", "failed", 3, logs=[{"log": "\x1b]0;" + "x" * 100_000, "type": "\x1b" * 100_000}])), 20, 2000)
@example(flow("success", op("a", "failed", 3, logs=[{"log": "a\ud800\u2028\x85"}])), 20, 2000)
def test_logs(result: Any, lines: int, characters: int) -> None:
    whole = read_log(result)
    assert whole.lines == log_lines(result)
    assert whole.left_out >= 0
    for found, most, longest in (
        (whole.lines, MAX_LOG_LINES, MAX_LOG_CHARACTERS),
        (log_tail(result, lines, characters), lines, characters),
        (log_lines(result, limit=lines), lines, MAX_LOG_CHARACTERS),
    ):
        assert len(found) <= most
        assert sum(len(line.text) for line in found) <= longest
        for line in found:
            assert len(line.text) <= MAX_LINE_CHARACTERS
            assert len(line.op) <= 100
            assert len(line.type) <= 20
            assert "\n" not in line.text
            assert not UNPRINTABLE.search(line.op + line.type + line.text)


@given(code=NUMBERS)
@example(0.0)
@example(False)
def test_nothing_but_zero_is_success(code: Any) -> None:
    verdict = judge(job_state=2, has_run=False, has_result=True, result=flow("success", op("a", "success", code)), exposes_port=False)
    assert (verdict.status == "completed") is (is_whole(code) and code == 0)


@pytest.mark.parametrize(
    "result",
    [
        flow("success", op("a", "success", 10**5000)),
        nested(100_000, None),
        nested(100_000, "opStates"),
        {"results": {"a": ["success", nested(100_000, None)]}},
        flow("success", op("a", "success", 0, error=nested(100_000, None))),
        flow("success", op("a", "failed", 2, errors=[nested(100_000, "message")])),
    ],
    ids=range(6),
)
def test_what_hypothesis_cannot_show(result: Any) -> None:
    test_a_verdict.hypothesis.inner_test(result, *JUDGED)
    test_logs.hypothesis.inner_test(result, 20, 2000)
