"""Whether a job succeeded: from the state on chain and the host's result document together (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .._clients.printable import without_controls
from .._libraries import pydantic

Status = Literal["pending", "running", "completed", "failed", "cancelled"]

# Every word that Verdict.reason may be; docs/verdicts.md explains each, and a test compares the two.
REASONS = frozenset(
    {
        "dependency",
        "exit_code",
        "expired",
        "host_dead",
        "host_error",
        "host_quit",
        "host_shutdown",
        "image",
        "incomplete",
        "init_error",
        "literal",
        "logistics",
        "not_executed",
        "op_status",
        "op_stopped",
        "orphaned",
        "removed",
        "result_private",
        "result_unavailable",
        "stopped",
        "stopped_on_host",
        "unknown_state",
        "validation",
    }
)

# A host stops the job at its timeout, then it pins the result and sends `finish`, each with retries, perhaps while IPFS is slow or the
# chain is full. Results come within a minute or two; ten minutes call nobody dead who lives, and the deposit is spent by then anyway.
DEAD_HOST_GRACE_SECONDS = 600

# A host's clock may be ahead of the chain's; what "expires" earlier than this before the timeout was stopped by somebody.
_EXPIRY_TOLERANCE_SECONDS = 60

MAX_LOG_LINES = 1_000
MAX_LOG_CHARACTERS = 256 * 1024
MAX_LINE_CHARACTERS = 4_000
MAX_OPS = 100
_MAX_OP_CHARACTERS = 100

_OPEN, _DONE, _STOPPED = 0, 2, 3
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Verdict:
    """One of five statuses, the reason in one word where there is more to say (REASONS), and one sentence.

    op, exit_code: of the op that decided, where one did. ops: {op, status, exit_code} of every op in the result, at most MAX_OPS.
    """

    status: Status
    reason: str | None
    sentence: str
    op: str | None = None
    exit_code: int | None = None
    ops: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class LogLine:
    """One line of an op's log, without control characters. `type` is stdin, stdout, stderr or nodeerr."""

    op: str
    type: str
    text: str


@dataclass(frozen=True)
class Log:
    """The newest lines of a result's logs, and how many older ones were left out."""

    lines: list[LogLine]
    left_out: int


class _Lenient(pydantic.BaseModel):
    """Hosts add fields from version to version; what we do not know is ignored, what we rely on must have its type."""

    model_config = pydantic.ConfigDict(extra="ignore", frozen=True, strict=True)


class _Reason(_Lenient):
    hostShutDown: bool | None = None
    jobStopped: bool | None = None
    jobExpired: bool | None = None


class _Diagnostics(_Lenient):
    reason: _Reason | None = None
    state: Any = None


class _Log(_Lenient):
    type: str = "stdout"
    log: str | None = None


class OpState(_Lenient):
    """What became of one op."""

    operationId: str | None = None
    status: str | None = None
    exitCode: int | None = pydantic.Field(default=None, ge=-_LARGEST, le=_LARGEST)
    logs: list[_Log] = pydantic.Field(default_factory=list)
    diagnostics: _Diagnostics | None = None
    error: Any = None
    errors: list[Any] | None = None

    def because(self, what: str) -> bool:
        """Whether the host names this as the reason of the op's end."""
        reason = self.diagnostics.reason if self.diagnostics else None
        return reason is not None and getattr(reason, what) is True

    @property
    def out_of_memory(self) -> bool:
        """Whether the container was killed because it used more memory than there was."""
        state = self.diagnostics.state if self.diagnostics else None
        return isinstance(state, dict) and state.get("OOMKilled") is True

    @property
    def name(self) -> str:
        """The op's id, for sentences."""
        return clean(self.operationId or "?", limit=_MAX_OP_CHARACTERS)

    @property
    def word(self) -> str:
        """The op's status, for sentences."""
        return clean(self.status or "nothing", limit=40)


class FlowState(_Lenient):
    """The host's result document."""

    status: str = ""
    opStates: list[OpState] = pydantic.Field(default_factory=list)
    errors: list[Any] | None = None


def judge(
    *,
    job_state: int,
    has_run: bool,
    has_result: bool,
    result: Any | None,
    exposes_port: bool,
    now_seconds: int | None = None,
    time_start: int | None = None,
    time_end: int | None = None,
    timeout_seconds: int | None = None,
    orphaned: bool = False,
    confidential: bool = False,
    run_ops: Iterable[str] | None = None,
) -> Verdict:
    """The verdict, never better than what is proven.

    job_state: the chain's number. has_run: a host runs it now. has_result: the chain holds the address of a result.
    result: that document, parsed; None when there is none or it could not be read.
    exposes_port: the job is a service, for which reaching the timeout is success.
    now_seconds: the chain's time, by which a dead host is recognised; with time_start (the run's while there is one, else the job's,
    as time_end) and timeout_seconds. Without them nothing is called dead, and no expiry is called early.
    orphaned: the job is open, and neither runs nor waits in its market's queue.
    confidential: its definition went straight to the host, so its published result is blank.
    run_ops: ids of the definition's ops that run a container; one that the result does not mention is not proven to have succeeded.
    """
    if job_state != _DONE:
        if has_run:
            if _is_overdue(now_seconds, time_start, timeout_seconds):
                return Verdict(
                    "failed",
                    "host_dead",
                    f"The host has published no result {DEAD_HOST_GRACE_SECONDS // 60} minutes after the job's timeout, so it is most likely "
                    "dead; nothing on chain enforces the timeout, so the deposit stays locked until the job's owner ends it (state=absent), "
                    "which pays the host for the whole timeout and brings back none of the deposit.",
                )
            return Verdict("running", None, "A host runs the job.")
        if job_state == _STOPPED:
            return Verdict(
                "failed",
                "host_quit",
                "The host gave the job up; the next run of its task posts it anew with the same deposit, and state=absent brings that back.",
            )
        if job_state != _OPEN:
            return Verdict(
                "pending",
                "unknown_state",
                f"The job is in the state {job_state}, which this version of the collection does not know, so it is left alone; the network may "
                "run a program that is newer: look for an update of nosana.compute.",
            )
        if orphaned:
            return Verdict(
                "failed",
                "orphaned",
                "The job neither runs nor waits in its market's queue, as quit_admin leaves it: its owner can neither end nor delist it, "
                "only the administrator of the markets can close it, and its deposit is lost to the market's vault.",
            )
        return Verdict("pending", None, "The job waits for a host.")
    if not has_result:
        return Verdict("cancelled", "stopped", "The job was ended by its owner.")
    flow = _flow(result)
    if flow is None:
        return Verdict(
            "failed", "result_unavailable", "The chain says that the job is done, but its result cannot be read, so success is not proven."
        )
    early = _ended_early(time_start, time_end, timeout_seconds)
    verdict = _judge_flow(flow, exposes_port=exposes_port, early=early, confidential=confidential, run_ops=run_ops)
    ops = [{"op": op.name, "status": op.word if op.status else None, "exit_code": op.exitCode} for op in flow.opStates[:MAX_OPS]]
    return replace(verdict, ops=ops)


def log_lines(result: Any, *, limit: int = MAX_LOG_LINES) -> list[LogLine]:
    """The newest log lines of all ops, in the order of the ops; empty for a result that cannot be read."""
    return read_log(result, lines=limit).lines


def read_log(result: Any, *, lines: int = MAX_LOG_LINES, characters: int = MAX_LOG_CHARACTERS) -> Log:
    """At most so many of the newest lines of all ops, and characters in them, in the order of the ops."""
    flow = _flow(result)
    return Log([], 0) if flow is None else _newest(flow.opStates, lines, characters)


def log_tail(result: Any, lines: int = 20, characters: int = 2000) -> list[LogLine]:
    """The last lines of the op that decided the verdict, or of all ops where none did or it said nothing; newest last."""
    flow = _flow(result)
    if flow is None:
        return []
    failed = _deciding(flow)
    return (_newest([failed[0]], lines, characters).lines if failed else []) or _newest(flow.opStates, lines, characters).lines


def clean(text: str, *, limit: int = MAX_LINE_CHARACTERS) -> str:
    """Text from a host as it may be printed: no escape sequences, no control characters, bounded."""
    return without_controls(text[: limit * 2])[:limit]


# --- time ------------------------------------------------------------------------------------------------------------


def _is_overdue(now_seconds: int | None, time_start: int | None, timeout_seconds: int | None) -> bool:
    if now_seconds is None or timeout_seconds is None or time_start is None or time_start <= 0:
        return False
    return now_seconds > time_start + max(timeout_seconds, 0) + DEAD_HOST_GRACE_SECONDS


def _ended_early(time_start: int | None, time_end: int | None, timeout_seconds: int | None) -> bool:
    if time_start is None or time_end is None or timeout_seconds is None or time_start <= 0:
        return False
    return time_end - time_start < timeout_seconds - _EXPIRY_TOLERANCE_SECONDS


# --- the result ------------------------------------------------------------------------------------------------------


def _judge_flow(flow: FlowState, *, exposes_port: bool, early: bool, confidential: bool, run_ops: Iterable[str] | None) -> Verdict:
    ops = flow.opStates
    if flow.status == "stopped":
        return Verdict("cancelled", "stopped", "The job was ended by its owner.")
    if any(op.because("hostShutDown") for op in ops):
        return Verdict("failed", "host_shutdown", "The host shut down before the job was done.")
    named = {"validation-error": "validation", "logistics-error": "logistics", "init error": "init_error"}
    if flow.status in named:
        return Verdict("failed", named[flow.status], f"The host could not start the job: {flow.status}{_first_error(flow.errors)}.")
    if not ops:
        return _judge_nothing(flow, confidential)
    decided = _deciding(flow)
    expired = any(op.because("jobExpired") for op in ops)
    if decided is not None:
        op, verdict = decided
        if verdict.reason in ("dependency", "op_status") and flow.status != "success":
            return _host_error(flow)
        if verdict.reason == "dependency" and expired:
            return replace(verdict, reason="expired", sentence=f"The job's time was over before the op {op.name} was started.")
        return verdict
    missing = _missing(flow, run_ops)
    if missing is not None:
        return Verdict("failed", "incomplete", f"The result says nothing of the op {missing}, so success is not proven.", op=missing)
    if flow.status != "success":
        return _host_error(flow)
    if expired:
        op = next(op for op in ops if op.because("jobExpired"))
        if early:
            return _of(op, "cancelled", "stopped_on_host", "The job was stopped on its host before its timeout was over.")
        if exposes_port:
            return _of(op, "completed", "expired", "The service ran until its timeout.")
        return _of(op, "failed", "expired", "The job was stopped by its timeout before it was done.")
    return Verdict("completed", None, "Every op succeeded.")


def _judge_nothing(flow: FlowState, confidential: bool) -> Verdict:
    """A result without a single op."""
    if flow.status == "":
        return Verdict("failed", "expired", "The job ended without running any op because its time was over.")
    if confidential and flow.status == "success":
        return Verdict(
            "failed", "result_private", "The job is confidential, so its published result is blank and success is not proven by it."
        )
    if flow.status != "success":
        return _host_error(flow)
    return Verdict("failed", "not_executed", "The job ended without running any op.")


def _host_error(flow: FlowState) -> Verdict:
    said = clean(flow.status, limit=40)
    return Verdict("failed", "host_error", f"The host did not bring the job to its end and calls it {said!r}{_first_error(flow.errors)}.")


def _deciding(flow: FlowState) -> tuple[OpState, Verdict] | None:
    """The op that did not succeed, with its verdict; None when all did. What stands still because another failed is not the cause."""
    first: tuple[OpState, Verdict] | None = None
    for op in flow.opStates:
        verdict = _judge_op(op)
        if verdict is not None and verdict.reason not in ("dependency", "op_stopped"):
            return op, verdict
        if verdict is not None and (first is None or (verdict.reason == "op_stopped" and first[1].reason == "dependency")):
            first = op, verdict
    return first


def _judge_op(op: OpState) -> Verdict | None:
    """None when the op succeeded."""
    if op.because("jobStopped"):
        return _of(op, "cancelled", "op_stopped", f"The op {op.name} was stopped by the job's owner before it was done.")
    if op.status == "success" and op.exitCode == 0:
        return None
    if op.because("jobExpired") and op.status == "success":
        return None  # judged for the job as a whole
    if op.status in ("init", None):
        return _of(op, "failed", "dependency", f"The op {op.name} was never started, because what it depends on did not come up.")
    if op.status == "stopped":
        return _of(op, "failed", "op_stopped", f"The op {op.name} was stopped by the host before it was done.")
    errors = [*(op.errors or []), *([op.error] if op.error else [])]
    if op.status == "failed" and errors:
        return _of(op, "failed", "image", f"The op {op.name} could not be run by the host{_first_error(errors)}.")
    if op.status == "failed" and op.exitCode == 0:
        said = next((clean(line.log or "", limit=200) for line in reversed(op.logs) if line.type == "nodeerr"), "")
        said = " ".join(said.split())
        return _of(op, "failed", "literal", f"The op {op.name} was not started by the host" + (f": {said}" if said else "") + ".")
    if op.exitCode not in (None, 0):
        memory = ", because it used more memory than there was" if op.out_of_memory else ""
        return _of(op, "failed", "exit_code", f"The op {op.name} ended with exit code {op.exitCode}{memory}.")
    return _of(op, "failed", "op_status", f"The op {op.name} ended as {op.word!r}.")


def _of(op: OpState, status: Status, reason: str, sentence: str) -> Verdict:
    return Verdict(status, reason, sentence, op=op.name, exit_code=op.exitCode)


def _missing(flow: FlowState, run_ops: Iterable[str] | None) -> str | None:
    told = {op.operationId for op in flow.opStates}
    return next((clean(op, limit=_MAX_OP_CHARACTERS) for op in run_ops or () if op not in told), None)


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
        steps = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
        logs = [
            {"type": "stderr" if line[0] == 2 else "stdout", "log": line[1]}
            for step in steps
            for line in (step["log"] if isinstance(step.get("log"), list) else [])
            if isinstance(line, list) and len(line) == 2 and isinstance(line[1], str)
        ]
        codes = [step["status"] for step in steps if isinstance(step.get("status"), int) and not isinstance(step["status"], bool)]
        code = next((code for code in codes if code != 0), 0 if status == "success" else None)
        ops.append({"operationId": op_id, "status": status, "exitCode": code, "logs": logs})
    return {"status": "success", "opStates": ops}


def _first_error(errors: list[Any] | None) -> str:
    for error in errors or []:
        text = error.get("message") if isinstance(error, dict) else error
        if isinstance(text, str) and text:
            return f" ({' '.join(clean(text, limit=300).split())})"
    return ""


# --- logs ------------------------------------------------------------------------------------------------------------


def _newest(ops: Sequence[OpState], lines: int, characters: int) -> Log:
    """From the last line backwards, so that a log of millions of lines costs no more than the few that are kept."""
    kept: list[LogLine] = []
    left_out = 0
    for op in reversed(ops):
        for entry in reversed(op.logs):
            parts = (entry.log or "").rstrip("\n").rsplit("\n", max(lines - len(kept), 0))
            while parts:
                text = parts.pop()
                if len(kept) >= lines or characters <= 0:
                    # The first part may be many lines that were not split.
                    left_out += 1 + text.count("\n")
                    continue
                text = clean(text)
                if len(text) > characters:
                    text = text[: characters - 1] + "…"
                characters -= max(len(text), 1)
                kept.append(LogLine(op.name, clean(entry.type, limit=20), text))
    return Log(kept[::-1], left_out)
