"""The table in docs/verdicts.md is what judge() says, row by row; every reason has a row and is explained."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._jobs.verdict import DEAD_HOST_GRACE_SECONDS, REASONS, judge

DOCUMENT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file()) / "docs" / "verdicts.md"
OVERDUE = {"time_start": 1000, "timeout_seconds": 60, "now_seconds": 1061 + DEAD_HOST_GRACE_SECONDS}
EARLY = {"time_start": 1000, "time_end": 1100, "timeout_seconds": 3600}


def op(status: str | None = "success", code: int | None = 0, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"operationId": "web", "status": status, "exitCode": code, "logs": [], "diagnostics": {"reason": {reason: True}}, **more}


def chain(state: int, run: bool, **more: Any) -> dict[str, Any]:
    return {"job_state": state, "has_run": run, "has_result": False, "result": None, "exposes_port": False, **more}


def end(status: str, *ops: dict[str, Any], service: bool = False, **more: Any) -> dict[str, Any]:
    errors = more.pop("errors", None)
    result = {"status": status, "opStates": list(ops), "errors": errors}
    return {"job_state": 2, "has_run": False, "has_result": True, "result": result, "exposes_port": service, **more}


OPEN, RUNNING, GIVEN_UP, ANOTHER, DONE = "0, no run", "0 or 3, run", "3, no run", "another, no run", "2"
LITERAL = [{"type": "nodeerr", "log": "%%global.variables.X%% has no value"}]
PULL = [{"event": "pull", "message": "no such image"}]
BUILD = [{"message": "depends_on names nobody"}]

# State on chain, the host's result document, and what judge is told.
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    (OPEN, "in the market's queue", chain(0, False)),
    (OPEN, "not in the queue", chain(0, False, orphaned=True)),
    (RUNNING, "within the timeout and 10 minutes", chain(0, True)),
    (RUNNING, "10 minutes after the timeout", chain(0, True, **OVERDUE)),
    (GIVEN_UP, "none", chain(3, False)),
    (ANOTHER, "none", chain(4, False)),
    (DONE, "none", chain(2, False)),
    (DONE, "cannot be read", chain(2, False, has_result=True)),
    (DONE, "success, every op success with code 0", end("success", op())),
    (DONE, "success, an op failed with its code", end("success", op("failed", 3))),
    (DONE, "success, an op failed with errors", end("success", op("failed", 2, errors=PULL))),
    (DONE, "success, an op failed with code 0", end("success", op("failed", 0, logs=LITERAL))),
    (DONE, "success, an op still init", end("success", op("init", None))),
    (DONE, "success, jobExpired, the job exposes a port", end("success", op("success", 0, "jobExpired"), service=True)),
    (DONE, "success, jobExpired, no port exposed", end("success", op("success", 0, "jobExpired"))),
    (
        DONE,
        "success, jobExpired, an op still init",
        end("success", op("success", 0, "jobExpired", operationId="first"), op("init", None)),
    ),
    (DONE, "success, jobExpired long before the timeout", end("success", op("success", 0, "jobExpired"), service=True, **EARLY)),
    (DONE, "stopped", end("stopped", op("stopped", 0, "jobStopped"))),
    (DONE, "success, an op stopped, jobStopped", end("success", op("stopped", 137, "jobStopped"))),
    (DONE, "success, an op stopped, no reason", end("success", op("stopped", 137))),
    (DONE, "failed, hostShutDown", end("failed", op("failed", 1, "hostShutDown"))),
    (DONE, "empty status, no ops", end("")),
    (DONE, "init error", end("init error", errors=BUILD)),
    (DONE, "validation-error", end("validation-error")),
    (DONE, "logistics-error", end("logistics-error")),
    (DONE, "failed, no op says why", end("failed", op())),
    (DONE, "success, another status of an op", end("success", op("running", 0))),
    (DONE, "success, no ops", end("success")),
    (DONE, "success, no ops, confidential job", end("success", confidential=True)),
    (DONE, "success, an op of the definition is missing", end("success", op(), run_ops=["web", "worker"])),
]


def expected() -> list[str]:
    lines = ["| chain | host's result | status | reason | sentence |", "|---|---|---|---|---|"]
    for state, what, told in ROWS:
        verdict = judge(**told)
        reason = f"`{verdict.reason}`" if verdict.reason else ""
        lines.append(f"| {state} | {what} | `{verdict.status}` | {reason} | {verdict.sentence} |".replace("|  |", "| |"))
    return lines


def table(heading: str) -> list[str]:
    _before, _heading, after = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    return [line for line in after.partition("\n## ")[0].splitlines() if line.startswith("|")]


def test_the_documented_table_is_what_is_judged() -> None:
    assert table("Every verdict") == expected()


def test_every_reason_has_a_row_and_is_explained() -> None:
    judged = {judge(**told).reason for _state, _what, told in ROWS} - {None}
    assert judged | {"removed"} == REASONS  # removed: the service's word for a job whose account is gone
    explained = [re.match(r"\| `(\w+)` \| .+ \|$", line) for line in table("Reasons")[2:]]
    assert [found[1] for found in explained if found] == sorted(REASONS)


@pytest.mark.parametrize("told", [told for _state, _what, told in ROWS], ids=[f"{state}: {what}" for state, what, _told in ROWS])
def test_a_verdict_is_one_sentence_and_proves_itself(told: dict[str, Any]) -> None:
    verdict = judge(**told)
    assert verdict.sentence[0].isupper()
    assert verdict.sentence.endswith(".")
    assert (verdict.reason is None) <= (verdict.status in ("pending", "running", "completed"))
