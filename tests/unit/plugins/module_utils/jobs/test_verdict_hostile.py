"""Results of every shape that a host could publish: always a verdict, never a success that is not proven, never an exception."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import random
import re
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._jobs.verdict import (
    MAX_LINE_CHARACTERS,
    MAX_LOG_LINES,
    Verdict,
    clean,
    judge,
    log_lines,
)

SUCCESS: dict[str, Any] = {
    "status": "success",
    "startTime": 1,
    "endTime": 2,
    "opStates": [
        {
            "providerId": "p",
            "operationId": "one",
            "group": None,
            "status": "success",
            "startTime": 1,
            "endTime": 2,
            "exitCode": 0,
            "logs": [{"type": "stdout", "log": "hello\n", "timestamp": 1}],
            "results": {"a": ["b"]},
            "diagnostics": {"reason": {"hostShutDown": False, "jobStopped": False, "jobExpired": False}, "state": {"OOMKilled": False}},
        }
    ],
    "secrets": {},
}
LEGACY: dict[str, Any] = {
    "results": {"one": ["success", [{"cmd": "echo", "log": [[1, "hello"], [2, "oh"]], "status": 0, "error": None}]], "two": ["success", []]}
}


def done(result: Any, *, service: bool = False) -> Verdict:
    return judge(job_state=2, has_run=False, has_result=True, result=result, exposes_port=service)


def nested(levels: int, make: Any) -> Any:
    value: Any = 1
    for _level in range(levels):
        value = make(value)
    return value


def test_the_whole_document_of_a_host_is_a_success() -> None:
    assert done(SUCCESS).status == "completed"
    assert [line.text for line in log_lines(SUCCESS)] == ["hello"]


def test_old_results() -> None:
    assert done(LEGACY).status == "completed"
    assert [(line.op, line.type, line.text) for line in log_lines(LEGACY)] == [("one", "stdout", "hello"), ("one", "stderr", "oh")]
    for status in ("failed", "running", "", None, 7, ["success"]):
        changed = copy.deepcopy(LEGACY)
        changed["results"]["two"][0] = status
        assert done(changed).status == "failed"


WILD: list[Any] = [None, True, False, 0, 1, -1, 0.0, 1e308, 10**400, "", "success", "0", "\x1b[2J\x07", "x" * 100_000]
WILD += [[], {}, [[]], [None], {"a": {}}, {"message": 7}, nested(300, lambda value: [value]), nested(300, lambda value: {"a": value})]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


# Where a host's document may say anything without speaking against the success of its ops.
HARMLESS = re.compile(
    r"secrets|startTime|endTime|providerId|group|results|timestamp|state|errors?|operationId|logs?|type|reason|diagnostics"
)


@pytest.mark.parametrize("whole", [SUCCESS, LEGACY], ids=["flow", "legacy"])
def test_each_field_replaced_by_anything(whole: dict[str, Any]) -> None:
    for place in places(whole):
        for value in WILD:
            if place:
                result = copy.deepcopy(whole)
                target = result
                for part in place[:-1]:
                    target = target[part]
                target[place[-1]] = value
            else:
                result = value
            verdict = done(result, service=True)
            assert verdict.status in ("completed", "failed", "cancelled")
            assert len(verdict.sentence) < 5000
            assert "\x1b" not in verdict.sentence
            for line in log_lines(result):
                assert "\x1b" not in line.op + line.type + line.text
                assert len(line.text) <= MAX_LINE_CHARACTERS
            if verdict.status == "completed" and whole is SUCCESS:
                assert result == whole or any(HARMLESS.fullmatch(str(part)) for part in place), (place, value)


def test_success_needs_status_and_code_of_every_op() -> None:
    for field in ("status", "exitCode"):
        for value in [*WILD, "missing"]:
            result = copy.deepcopy(SUCCESS)
            if value == "missing":
                del result["opStates"][0][field]
            else:
                result["opStates"][0][field] = value
            if result != SUCCESS or isinstance(value, (bool, float)):
                assert done(result, service=True).status != "completed", (field, value)


@pytest.mark.parametrize("make", [lambda value: [value], lambda value: {"a": value}], ids=["lists", "objects"])
@pytest.mark.parametrize("levels", [100, 900, 5000])
def test_deep_nesting(levels: int, make: Any) -> None:
    deep = nested(levels, make)
    for result in (
        deep,
        {"status": deep, "opStates": []},
        {"status": "success", "opStates": [deep]},
        {"status": "failed", "errors": [deep], "opStates": [{"error": deep, "errors": [deep]}]},
        {"results": {"one": ["failed", [{"log": [[1, deep], [deep, "x"], deep]}]]}},
        {"results": {"one": deep}},
    ):
        assert done(result, service=True).status == "failed"
        log_lines(result)
    while isinstance(deep, (list, dict)):  # taken apart by hand, because the interpreter would do it recursively
        deep = deep.pop() if isinstance(deep, list) else deep.popitem()[1]


def test_huge_logs_are_cut_to_the_newest() -> None:
    logs = [{"type": "stdout", "log": f"{number}\n" * 10} for number in range(3000)]
    found = log_lines({"status": "success", "opStates": [{"operationId": "one", "logs": logs}]})
    assert len(found) == MAX_LOG_LINES
    assert found[-1].text == "2999"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\rb\x00\x08c\x7f", "abc"),
        ("\x9b31mx", "31mx"),
        ("tab\tstays", "tab\tstays"),
        ("é 😀", "é 😀"),
    ],
    ids=repr,
)
def test_text_that_may_be_printed(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_any_text_is_cleaned() -> None:
    chance = random.Random(1)
    for _turn in range(300):
        text = "".join(chance.choice("\x1b\x9b\x07\\]0;[m31a\x00\n\t ") for _character in range(60))
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", clean(text))


def test_what_a_host_says_of_its_errors_is_shown_cleaned_and_cut() -> None:
    error = {"event": "pull", "message": "\x1b[31mno such image\x1b[0m " + "x" * 9000}
    sentence = done({"status": "success", "opStates": [{"operationId": "o\x1b[2J", "status": "failed", "exitCode": 2, "errors": [error]}]})
    assert "The op o could not be run by the host (no such image xxx" in sentence.sentence
    assert len(sentence.sentence) < 500
