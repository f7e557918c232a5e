"""Runs a job definition op by op and writes the result document, as the host software of the network does."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from .. import base58
from .runner import OpSpec, Runner, RunnerError, Running

MAX_LOG_LINES: Final = 24_999
MAX_LINE_CHARACTERS: Final = 16_384
EXIT_NOT_STARTED: Final = 2
_LITERAL: Final = re.compile(r"%%(?:ops|global)\.[^%]+%%")

StopReason = Literal["expired", "stopped"]
Line = dict[str, Any]
"""One log line: type, log, timestamp in unix milliseconds."""


@dataclass
class OpState:
    """What becomes of one op."""

    index: int
    op: Mapping[str, Any]
    status: str = "init"
    start_ms: int | None = None
    end_ms: int | None = None
    exit_code: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    logs: deque[Line] = field(default_factory=lambda: deque(maxlen=MAX_LOG_LINES))
    reason: StopReason | None = None
    running: Running | None = None
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return str(self.op["id"])

    @property
    def group(self) -> str:
        """Ops that name no group form one of their own."""
        return str(self.op.get("execution", {}).get("group", self.id))

    @property
    def depends_on(self) -> list[str]:
        return list(self.op.get("execution", {}).get("depends_on", []))

    def document(self, provider: str) -> dict[str, Any]:
        """As it stands in the result."""
        document = {
            "providerId": provider,
            "operationId": self.id,
            "group": self.group,
            "status": self.status,
            "startTime": self.start_ms,
            "endTime": self.end_ms,
            "exitCode": self.exit_code,
            "logs": list(self.logs),
            "diagnostics": {
                "reason": {"hostShutDown": False, "jobStopped": self.reason == "stopped", "jobExpired": self.reason == "expired"}
            },
        }
        return document | ({"errors": self.errors} if self.errors else {})


class Flow:
    """One run of one definition on one host."""

    def __init__(
        self, job: str, definition: Mapping[str, Any], *, runner: Runner, clock: Callable[[], float], variables: Mapping[str, str]
    ):
        self.job = job
        self.definition = definition
        self.status = "running"
        self.start_ms = int(clock() * 1000)
        self.end_ms: int | None = None
        self.errors: list[dict[str, Any]] = []
        self.ops = [OpState(index, op) for index, op in enumerate(definition.get("ops", []))]
        self.listeners: list[Callable[[OpState, Line], None]] = []
        self._runner = runner
        self._clock = clock
        self._literals = {f"%%global.{key}%%": value for key, value in variables.items()}
        self._literals |= {f"%%global.variables.{key}%%": value for key, value in self._global.get("variables", {}).items()}
        self._stopping: StopReason | None = None
        self._volumes = Path(tempfile.mkdtemp(prefix="nosana-volumes-"))

    @property
    def _global(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.definition.get("global", {})
        return found

    async def run(self) -> None:
        """Groups one after another in the order in which they appear, the ops of a group side by side."""
        try:
            if not self._buildable():
                return
            for group in dict.fromkeys(op.group for op in self.ops):
                if self._stopping:
                    break
                await asyncio.gather(*(self._run_op(op) for op in self.ops if op.group == group))
            self.status = "stopped" if self._stopping == "stopped" else "success"
        finally:
            self.end_ms = self._now()
            shutil.rmtree(self._volumes, ignore_errors=True)

    async def stop(self, reason: StopReason) -> None:
        """Ends what runs and starts nothing more; ``run`` returns soon after."""
        self._stopping = self._stopping or reason
        for op in self.ops:
            if op.over.is_set():
                continue
            op.reason = reason
            op.up.set()
            if op.running is not None:
                await op.running.stop()
            elif reason == "stopped" and op.status == "init":
                self._end(op, "stopped", 0)

    def result(self, provider: str) -> dict[str, Any]:
        """The result document."""
        document: dict[str, Any] = {"status": self.status, "startTime": self.start_ms, "endTime": self.end_ms}
        if self.errors:
            document["errors"] = self.errors
        built = self.status != "init error"
        return document | {"opStates": [op.document(provider) for op in self.ops] if built else []}

    def services(self) -> Iterator[tuple[OpState, int, str]]:
        """Op, exposed port and first label of the public host name."""
        for op in self.ops:
            for port in exposed_ports(op.op):
                yield op, port, service_label(op.index, port, self.job)

    def _buildable(self) -> bool:
        groups = {op.id: op.op.get("execution", {}).get("group") for op in self.ops}
        for op in self.ops:
            for other in op.depends_on:
                if other == op.id or other not in groups or groups[other] != groups[op.id]:
                    self.errors.append({"event": "init", "message": f"{op.id} depends on {other}, which is not in its group"})
        if self.errors:
            self.status = "init error"
        return not self.errors

    async def _run_op(self, op: OpState) -> None:
        for other in self.ops:
            if other.id in op.depends_on:
                if other.group == op.group:
                    await other.up.wait()
                else:
                    await other.over.wait()
                if other.running is None and not other.over.is_set():
                    return
        if self._stopping or any(other.id in op.depends_on and other.errors for other in self.ops):
            op.up.set()
            return
        op.start_ms = self._now()
        if op.op.get("type") == "container/create-volume":
            (self._volumes / str(op.op["args"].get("name", ""))).mkdir(exist_ok=True)
            self._end(op, "success", 0)
            return
        try:
            args = self._resolve(op.op["args"])
        except KeyError as missing:
            self._log(op, "nodeerr", f"{missing.args[0]} has no value\n")
            self._end(op, "failed", 0)
            return
        try:
            op.running = await self._runner.start(self._spec(op, args), lambda kind, text: self._log(op, kind, text))
        except RunnerError as error:
            op.errors.append({"event": error.event, "message": str(error)} | ({"code": error.code} if error.code else {}))
            self._log(op, "nodeerr", f"{error}\n")
            self._end(op, "failed", EXIT_NOT_STARTED)
            return
        self._log(op, "nodeerr", f"{op.running.how}\n")
        op.status = "running"
        op.up.set()
        if self._stopping:
            op.reason = self._stopping
            await op.running.stop()
        code = await op.running.wait()
        if op.reason == "stopped":
            self._end(op, "stopped", code)
        elif op.reason == "expired":
            self._end(op, "success", 0)
        else:
            self._end(op, "success" if code == 0 else "failed", code)

    def _spec(self, op: OpState, args: Mapping[str, Any]) -> OpSpec:
        entrypoint = args.get("entrypoint", self._global.get("entrypoint"))
        return OpSpec(
            job=self.job,
            index=op.index,
            op_id=op.id,
            image=str(args["image"]),
            command=args.get("cmd") or None,
            entrypoint=[entrypoint] if isinstance(entrypoint, str) else entrypoint,
            env={**self._global.get("env", {}), **args.get("env", {}), "NOSANA_ID": self.job},
            work_dir=args.get("work_dir", self._global.get("work_dir")),
            ports=exposed_ports({"args": args}),
            volumes={str(volume["dest"]): self._volumes / str(volume["name"]) for volume in args.get("volumes", [])},
        )

    def _resolve(self, value: Any) -> Any:
        """The value with its literals filled in; KeyError names one that has no value."""
        if isinstance(value, dict):
            return {key: self._resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._resolve(item) for item in value]
        if isinstance(value, str):
            return _LITERAL.sub(lambda found: self._literals[found[0]], value)
        return value

    def _log(self, op: OpState, kind: str, text: str) -> None:
        line = {"type": kind, "log": text[:MAX_LINE_CHARACTERS], "timestamp": self._now()}
        op.logs.append(line)
        for listener in self.listeners:
            listener(op, line)

    def _end(self, op: OpState, status: str, exit_code: int) -> None:
        op.status, op.exit_code, op.end_ms = status, exit_code, self._now()
        op.up.set()
        op.over.set()

    def _now(self) -> int:
        return int(self._clock() * 1000)


def exposed_ports(op: Mapping[str, Any]) -> list[int]:
    """The exposed ports that are numbers. A bare object outside an array counts for nothing, as on the network."""
    expose = op.get("args", {}).get("expose")
    entries = expose if isinstance(expose, list) else [] if isinstance(expose, dict) else [expose]
    ports = [entry.get("port") if isinstance(entry, dict) else entry for entry in entries]
    return [int(port) for port in ports if isinstance(port, (int, float)) and not isinstance(port, bool)]


def service_label(index: int, port: int, job: str) -> str:
    """First label of a service's public name."""
    return base58.encode(hashlib.sha512(f"{index}:{port}:{job}".encode()).digest())[:44]
