"""Whether a job succeeded: from the state on chain and the host's result document together (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from .._libraries import pydantic

Status = Literal["pending", "running", "completed", "failed", "cancelled"]

_DONE, _STOPPED = 2, 3
MAX_LOG_LINES = 10_000
MAX_LINE_CHARACTERS = 4_000
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Verdict:
    """One of five statuses, the reason in one word where there is more to say, and one sentence."""

    status: Status
    reason: str | None
    sentence: str


@dataclass(frozen=True)
class LogLine:
    """One line of an op's log, without control characters. `type` is stdin, stdout, stderr or nodeerr."""

    op: str
    type: str
    text: str


class _Lenient(pydantic.BaseModel):
    """Hosts add fields from version to version; what we do not know is ignored, what we rely on must have its type."""

    model_config = pydantic.ConfigDict(extra="ignore", frozen=True, strict=True)


class _Reason(_Lenient):
    hostShutDown: bool | None = None
    jobStopped: bool | None = None
    jobExpired: bool | None = None


class _Diagnostics(_Lenient):
    reason: _Reason | None = None


class _Log(_Lenient):
    type: str = "stdout"
    log: str | None = None


class OpState(_Lenient):
    """What became of one op."""

    operationId: str | None = None
    status: str | None = None
    exitCode: int | None = None
    logs: list[_Log] = pydantic.Field(default_factory=list)
    diagnostics: _Diagnostics | None = None
    error: Any = None
    errors: list[Any] | None = None

    def because(self, what: str) -> bool:
        """Whether the host names this as the reason of the op's end."""
        reason = self.diagnostics.reason if self.diagnostics else None
        return reason is not None and getattr(reason, what) is True

    @property
    def name(self) -> str:
        """The op's id, for sentences."""
        return clean(self.operationId or "?")


class FlowState(_Lenient):
    """The host's result document."""

    status: str = ""
    opStates: list[OpState] = pydantic.Field(default_factory=list)
    errors: list[Any] | None = None


def judge(*, job_state: int, has_run: bool, has_result: bool, result: Any | None, exposes_port: bool) -> Verdict:
    """The verdict, never better than what is proven.

    job_state: the chain's number. has_run: a host runs it now. has_result: the chain holds the address of a result.
    result: that document, parsed; None when there is none or it could not be read.
    exposes_port: the job is a service, for which reaching the timeout is success.
    """
    if job_state != _DONE:
        if has_run:
            return Verdict("running", None, "A host runs the job.")
        if job_state == _STOPPED:
            return Verdict("failed", "host_quit", "The host gave the job up; its deposit can be recovered.")
        return Verdict("pending", None, "The job waits for a host.")
    if not has_result:
        return Verdict("cancelled", "stopped", "The job was ended by its owner.")
    flow = _flow(result)
    if flow is None:
        return Verdict(
            "failed", "result_unavailable", "The chain says that the job is done, but its result cannot be read, so success is not proven."
        )
    return _judge_flow(flow, exposes_port)


def log_lines(result: Any, *, limit: int = MAX_LOG_LINES) -> list[LogLine]:
    """The newest log lines of all ops, in the order of the ops; empty for a result that cannot be read."""
    flow = _flow(result)
    if flow is None:
        return []
    return list(_lines(flow))[-limit:]


def clean(text: str, *, limit: int = MAX_LINE_CHARACTERS) -> str:
    """Text from a host as it may be printed: no escape sequences, no control characters, bounded."""
    return _CONTROL.sub("", text[: limit * 2])[:limit]


def _judge_flow(flow: FlowState, exposes_port: bool) -> Verdict:
    ops = flow.opStates
    if flow.status == "stopped" or any(op.because("jobStopped") for op in ops):
        return Verdict("cancelled", "stopped", "The job was ended by its owner.")
    if any(op.because("hostShutDown") for op in ops):
        return Verdict("failed", "host_shutdown", "The host shut down before the job was done.")
    named = {"validation-error": "validation", "logistics-error": "logistics", "init error": "init_error"}
    if flow.status in named:
        return Verdict("failed", named[flow.status], f"The host could not start the job: {flow.status}{_first_error(flow.errors)}.")
    if not ops:
        reason = "expired" if flow.status == "" else "not_executed"
        return Verdict(
            "failed", reason, "The job ended without running any op" + (" because its time was over." if reason == "expired" else ".")
        )
    for op in ops:
        verdict = _judge_op(op)
        if verdict is not None:
            return verdict
    if any(op.because("jobExpired") for op in ops):
        if exposes_port:
            return Verdict("completed", "expired", "The service ran until its timeout.")
        return Verdict("failed", "expired", "The job was stopped by its timeout before it was done.")
    if flow.status != "success":
        return Verdict("failed", "host_error", f"The host reports the flow as {clean(flow.status, limit=40)!r}{_first_error(flow.errors)}.")
    return Verdict("completed", None, "Every op succeeded.")


def _judge_op(op: OpState) -> Verdict | None:
    """None when the op succeeded."""
    if op.status == "success" and op.exitCode == 0:
        return None
    if op.because("jobExpired") and op.status == "success":
        return None  # judged for the job as a whole
    if op.status in ("init", None):
        return Verdict("failed", "dependency", f"The op {op.name} was never started, because what it depends on did not come up.")
    errors = [*(op.errors or []), *([op.error] if op.error else [])]
    if op.status == "failed" and errors:
        return Verdict("failed", "image", f"The op {op.name} could not be run by the host{_first_error(errors)}.")
    if op.status == "failed" and op.exitCode == 0:
        said = next((clean(line.log or "", limit=200) for line in reversed(op.logs) if line.type == "nodeerr"), "")
        return Verdict(
            "failed", "literal", f"The op {op.name} was not started by the host" + (f": {said.strip()}" if said.strip() else "") + "."
        )
    if op.exitCode not in (None, 0):
        return Verdict("failed", "exit_code", f"The op {op.name} ended with exit code {op.exitCode}.")
    return Verdict("failed", "op_status", f"The op {op.name} ended as {clean(op.status or 'nothing', limit=40)!r}.")


def _flow(result: Any) -> FlowState | None:
    if isinstance(result, dict) and "opStates" not in result and isinstance(result.get("results"), dict):
        result = _from_legacy(result)
    try:
        return FlowState.model_validate(result)
    except (pydantic.ValidationError, RecursionError):
        return None


def _from_legacy(result: dict[str, Any]) -> dict[str, Any]:
    """Old hosts: {results: {op: [status, [steps {log: [[fd, text]], status}]]}}."""
    ops = []
    for op_id, entry in result["results"].items():
        status, steps = (entry[0], entry[1]) if isinstance(entry, list) and len(entry) == 2 else (None, [])
        logs = [
            {"type": "stderr" if line[0] == 2 else "stdout", "log": line[1]}
            for step in (steps if isinstance(steps, list) else [])
            if isinstance(step, dict)
            for line in (step["log"] if isinstance(step.get("log"), list) else [])
            if isinstance(line, list) and len(line) == 2 and isinstance(line[1], str)
        ]
        ops.append({"operationId": op_id, "status": status, "exitCode": 0 if status == "success" else 1, "logs": logs})
    return {"status": "success", "opStates": ops}


def _lines(flow: FlowState) -> Iterator[LogLine]:
    for op in flow.opStates:
        for entry in op.logs:
            for text in (entry.log or "").rstrip("\n").split("\n"):
                yield LogLine(op.name, clean(entry.type, limit=20), clean(text))


def _first_error(errors: list[Any] | None) -> str:
    for error in errors or []:
        text = error.get("message") if isinstance(error, dict) else error
        if isinstance(text, str) and text:
            return f" ({clean(text, limit=300).strip()})"
    return ""
