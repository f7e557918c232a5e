"""Runs a job definition op by op and writes the result document, as the host software of the network does."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiohttp import ClientSession

from .. import base58
from . import health, literals, results
from .runner import OpSpec, Runner, RunnerError, Running

MAX_LOG_LINES: Final = 24_999
MAX_LINE_CHARACTERS: Final = 16_384
EXIT_NOT_STARTED: Final = 2
HEALTH_SECONDS: Final = 0.25
CONTINUOUS_SECONDS: Final = 2.0
RESTART_SECONDS: Final = 0.2
LABEL_CHARACTERS: Final = 44
PRIVATE_CHARACTERS: Final = 45

StopReason = Literal["expired", "stopped", "shutdown", "restart"]
Line = dict[str, Any]
"""One log line: type, log, timestamp in unix milliseconds."""

# What an op, and the flow, become by the reason for which they were stopped (nosana-facts §7).
_STATUS: Final[Mapping[StopReason, str]] = {"expired": "success", "stopped": "stopped", "shutdown": "failed", "restart": "stopped"}


class Refused(Exception):
    """A group or op cannot be acted on now; the text is the host software's word for why."""


@dataclass(frozen=True)
class Surroundings:
    """What a flow needs of the host that runs it. ``clock`` gives unix seconds; ``variables`` are the values of `%%global…%%`."""

    runner: Runner
    clock: Callable[[], float]
    variables: Mapping[str, str]
    private_label: Callable[[], str]
    public_name: Callable[[str], str]
    """First label of a service's name → the whole name."""


@dataclass
class OpState:
    """What becomes of one op: ``status`` is the result document's word, ``phase`` the one of the node API's op and group routes."""

    index: int
    op: Mapping[str, Any]
    status: str = "init"
    phase: str = "init"
    start_ms: int | None = None
    end_ms: int | None = None
    exit_code: int | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    logs: deque[Line] = field(default_factory=lambda: deque(maxlen=MAX_LOG_LINES))
    results: dict[str, list[str] | str] | None = None
    engine_state: dict[str, Any] | None = None
    reason: StopReason | None = None
    starting: asyncio.Task[Running] | None = None
    running: Running | None = None
    ports: list[int] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    healthy: dict[int, bool] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return str(self.op["id"])

    @property
    def written_group(self) -> str | None:
        group: str | None = self.op.get("execution", {}).get("group")
        return group

    @property
    def group(self) -> str:
        """Ops that name no group form one of their own."""
        return self.written_group or self.id

    @property
    def depends_on(self) -> list[str]:
        return list(self.op.get("execution", {}).get("depends_on", []))

    @property
    def is_running(self) -> bool:
        return self.running is not None and self.end_ms is None

    def document(self, provider: str) -> dict[str, Any]:
        """As it stands in the result."""
        reason = {
            "hostShutDown": self.reason == "shutdown",
            "jobStopped": self.reason == "stopped",
            "jobExpired": self.reason == "expired",
        }
        document = {
            "providerId": provider,
            "operationId": self.id,
            "group": self.group,
            "status": self.status,
            "startTime": self.start_ms,
            "endTime": self.end_ms,
            "exitCode": self.exit_code,
            "logs": list(self.logs),
            "diagnostics": {"reason": reason} | ({"state": self.engine_state} if self.engine_state else {}),
        }
        if self.results is not None:
            document["results"] = self.results
        return document | ({"errors": self.errors} if self.errors else {})


class Flow:
    """One run of one definition on one host. It exists before the definition is there, for jobs whose owner hands it over later."""

    def __init__(self, job: str, surroundings: Surroundings):
        self.job = job
        self.definition: Mapping[str, Any] = {}
        self.status = "running"
        self.start_ms = int(surroundings.clock() * 1000)
        self.end_ms: int | None = None
        self.errors: list[dict[str, Any]] = []
        self.ops: list[OpState] = []
        self.current_group: str | None = None
        self.confidential = False
        self.listeners: list[Callable[[OpState, Line], None]] = []
        self._with = surroundings
        self._stopping: StopReason | None = None
        self._broken: str | None = None
        self._blank = False
        self._holds = 0
        self._wake = asyncio.Event()
        self._client: ClientSession | None = None

    # ---- the definition

    def load(self, definition: Mapping[str, Any]) -> None:
        """Takes the definition; nothing runs yet."""
        self.definition = definition
        self.ops = [OpState(index, op) for index, op in enumerate(definition.get("ops", []))]
        for op in self.ops:
            self._expose(op, op.op.get("args", {}))

    def blank(self, status: str, message: str | None = None) -> None:
        """There is nothing to run: the result has this status and no ops (nosana-facts §7)."""
        self.status, self._blank = status, True
        if message:
            self.errors.append({"event": status, "message": message})
        if not status:
            self.start_ms, self.end_ms = 0, 0
        else:
            self.end_ms = self._now()

    def result(self, provider: str) -> dict[str, Any]:
        """The result document."""
        document: dict[str, Any] = {"status": self.status, "startTime": self.start_ms, "endTime": self.end_ms}
        if self.errors:
            document["errors"] = self.errors
        return document | {"opStates": [] if self._blank else [op.document(provider) for op in self.ops]}

    def services(self) -> Iterator[tuple[OpState, int, str]]:
        """Op, exposed port and first label of the host name."""
        deployment = self.definition.get("deployment_id")
        for op in self.ops:
            for port in op.ports:
                yield op, port, op.labels[port]
            if deployment and op.ports and not op.op.get("args", {}).get("private"):
                yield op, op.ports[0], deployment_label(op.id, str(deployment), self._with.variables["project"])

    def public_services(self) -> Iterator[tuple[OpState, int, str]]:
        """One entry for each exposed port: what the owner is told."""
        for op in self.ops:
            for port in op.ports:
                yield op, port, op.labels[port]

    def name_of(self, label: str) -> str:
        return self._with.public_name(label)

    # ---- the run

    async def run(self) -> None:
        """Groups one after another in the order in which they appear, the ops of a group side by side."""
        try:
            if not self._buildable():
                return
            async with ClientSession() as self._client:
                for op in self.ops:
                    op.phase = "pending"
                for group in dict.fromkeys(op.group for op in self.ops):
                    if self._stopping:
                        break
                    await self._run_group(group)
            if self._broken is not None:
                self.status = "failed"
                self.errors.append({"event": "flow", "message": self._broken})
            else:
                self.status = _STATUS[self._stopping] if self._stopping else "success"
        finally:
            self.current_group = None
            self.end_ms = self._now()
            await self._with.runner.tidy(self.job)

    async def stop(self, reason: StopReason) -> None:
        """Ends what runs and starts nothing more; ``run`` returns soon after."""
        if self._stopping:
            return
        self._stopping = reason
        for op in self.ops:
            if op.task is None and op.status == "init":
                op.reason, op.start_ms = reason, self._now()
                self._end(op, _STATUS[reason], 0)
        await asyncio.gather(*(self._stop_op(op, reason) for op in self.ops))
        self._wake.set()

    async def fail(self, message: str) -> None:
        """The host software itself goes wrong in the middle: the flow is failed, whatever its ops did."""
        self._broken = message
        self._stopping = self._stopping or "stopped"
        await asyncio.gather(*(self._stop_op(op, "restart") for op in self.ops))
        self._wake.set()

    # ---- what the owner may do to groups and ops (nosana-facts §9.2)

    async def stop_op(self, group: str, op_id: str) -> None:
        op = self._of(group, op_id)
        if op.phase == "stopped":
            return
        op.phase, task = "stopping", op.task
        await self._stop_op(op, "stopped")
        if op.task is task:  # nobody has started it again meanwhile
            op.phase = "stopped"
            if op.end_ms is None:
                self._end(op, "stopped", op.exit_code)

    async def restart_op(self, group: str, op_id: str) -> None:
        op = self._of(group, op_id)
        self._must_be_active(group)
        op.phase = "restarting"
        self._holds += 1
        try:
            await self._stop_op(op, "restart")
            self._launch(op)
        finally:
            self._holds -= 1
            self._wake.set()

    async def stop_group(self, group: str) -> None:
        self._must_be_active(group)
        await asyncio.gather(*(self.stop_op(group, op.id) for op in self.ops if op.group == group))

    async def restart_group(self, group: str) -> None:
        self._must_be_active(group)
        for op in self.ops:
            if op.group == group:
                await self.restart_op(group, op.id)

    async def move_to_group(self, group: str) -> None:
        """Stops the group that runs and runs this one in its place."""
        self._of(group)
        if self.current_group is None:
            raise Refused("GROUP_NOT_FOUND")
        if self.current_group == group:
            raise Refused("GROUP_ACTIVE")
        self._holds += 1
        try:
            await self.stop_group(self.current_group)
            self.current_group = group
            await self.restart_group(group)
        finally:
            self._holds -= 1
            self._wake.set()

    def phases(self, group: str | None = None) -> dict[str, str]:
        """Op → what it is doing, of one group or of all."""
        return {op.id: op.phase for op in self.ops if group in (None, op.group)}

    def _of(self, group: str, op_id: str | None = None) -> OpState:
        for op in self.ops:
            if op.group == group and op_id in (None, op.id):
                return op
        raise Refused("GROUP_NOT_FOUND")

    def _must_be_active(self, group: str) -> None:
        self._of(group)
        if self.current_group != group:
            raise Refused("GROUP_NOT_ACTIVE")

    # ---- inside: groups

    def _buildable(self) -> bool:
        groups = {op.id: op.written_group for op in self.ops}
        for op in self.ops:
            for other in op.depends_on:
                if other == op.id or other not in groups or groups[other] != groups[op.id]:
                    self.errors.append({"event": "init", "message": f"{op.id} depends on {other}, which is not in its group"})
        if self.errors:
            self.status, self._blank = "init error", True
        return not self.errors

    async def _run_group(self, group: str) -> None:
        self.current_group = group
        members = [op for op in self.ops if op.group == group]
        for op in members:
            if self._waits_for(op):
                op.phase = "waiting"
            elif not self._stopping:
                self._launch(op)
        while True:
            self._wake.clear()
            tasks = [op.task for op in self.ops if op.task is not None and not op.task.done()]
            if not tasks and not self._holds:
                break
            waking = asyncio.ensure_future(self._wake.wait())
            try:
                await asyncio.wait([*tasks, waking], return_when=asyncio.FIRST_COMPLETED)
            finally:
                waking.cancel()
        for op in self.ops:
            if op.task is not None and not op.task.cancelled() and op.task.exception() is not None:
                raise op.task.exception() or RuntimeError

    def _waits_for(self, op: OpState) -> list[OpState]:
        """Dependencies within the op's own group; others are over by the time its group begins."""
        return [other for other in self.ops if other.id in op.depends_on and other.group == op.group]

    def _launch(self, op: OpState) -> None:
        if op.task is not None:  # it has run before
            self._reset(op)
        op.phase = "starting"
        op.task = asyncio.create_task(self._run_op(op))
        self._wake.set()

    def _is_up(self, op: OpState) -> None:
        """It has started up: what depends on it may start. With several dependencies the first one counts, as on the network."""
        for other in self.ops:
            if op in self._waits_for(other) and other.task is None and not self._stopping:
                self._launch(other)

    # ---- inside: one op

    async def _run_op(self, op: OpState) -> None:
        op.start_ms = self._now()
        if op.op.get("type") == "container/create-volume":
            self._end(op, "success", 0)
            self._is_up(op)
            return
        try:
            args = literals.fill(op.op["args"], self._known(), self._variables())
            self._expose(op, args)
            spec = self._spec(op, args)
        except (literals.Unresolved, KeyError, TypeError, ValueError, AttributeError) as error:
            self._log(op, "nodeerr", f"{error}\n")
            self._end(op, "failed", 0)
            return
        tries = 0
        while True:
            op.starting = asyncio.create_task(self._with.runner.start(spec, lambda kind, text: self._log(op, kind, text)))
            try:
                op.running = await op.starting
            except asyncio.CancelledError:
                if op.reason is None:
                    raise
                self._end(op, _STATUS[op.reason], EXIT_NOT_STARTED)
                return
            except RunnerError as error:
                op.errors.append({"event": error.event, "message": str(error)} | ({"code": error.code} if error.code else {}))
                self._log(op, "nodeerr", f"{error}\n")
                self._end(op, "failed" if op.reason is None else _STATUS[op.reason], EXIT_NOT_STARTED)
                return
            op.status = op.phase = "running"
            watching = asyncio.create_task(self._watch(op, op.running))
            try:
                if op.reason:  # stopped while it was starting
                    await op.running.stop()
                code = await op.running.wait()
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
            op.engine_state = await op.running.state()
            tries += 1
            if op.reason or not restarts(args.get("restart_policy"), code, tries):
                break
            self._log(op, "nodeerr", f"It ended with exit code {code} and is started again, as its restart policy says.\n")
            await asyncio.sleep(RESTART_SECONDS)
            if op.reason:
                break
        if op.reason:
            self._end(op, _STATUS[op.reason], 0 if op.reason == "expired" else code)
        else:
            self._end(op, "success" if code == 0 else "failed", code)

    async def _watch(self, op: OpState, running: Running) -> None:
        """Tells when the op is up, and goes on looking after the ports whose checks are continuous."""
        checks = {port: found for port in op.ports if (found := health.checks_of(op.op, port))}
        if self._client is None or not checks:
            self._is_up(op)
            return
        op.healthy = dict.fromkeys(checks, False)
        told = False
        while True:
            for port, wanted in checks.items():
                if not told or any(check.get("continuous") for check in wanted):
                    op.healthy[port] = all([await health.passes(self._client, running.ports[port], check) for check in wanted])
            if not told and all(op.healthy.values()):
                told = True
                self._log(op, "nodeerr", "Its health checks pass.\n")
                self._is_up(op)
            await asyncio.sleep(CONTINUOUS_SECONDS if told else HEALTH_SECONDS)

    async def _stop_op(self, op: OpState, reason: StopReason) -> None:
        task = op.task  # the plan may start it anew as soon as this one has ended
        if task is None or task.done():
            return
        op.reason = reason
        if op.starting is not None and not op.starting.done():
            op.starting.cancel()  # an image may take long to be pulled
        elif op.running is not None:
            await op.running.stop()
        with contextlib.suppress(Exception):
            await asyncio.shield(task)

    def _reset(self, op: OpState) -> None:
        op.status, op.reason, op.running = "init", None, None
        op.start_ms = op.end_ms = op.exit_code = op.results = op.engine_state = None
        op.errors, op.healthy = [], {}

    @property
    def _global(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.definition.get("global", {})
        return found

    def _variables(self) -> dict[str, Any]:
        return dict(self._with.variables) | {"variables": self._global.get("variables", {})}

    def _known(self) -> dict[str, dict[str, Any]]:
        """What literals can ask of other ops."""
        known: dict[str, dict[str, Any]] = {}
        for op in self.ops:
            entry: dict[str, Any] = {"endpoint": {str(port): self.name_of(op.labels[port]) for port in op.ports}}
            if op.running is not None:
                entry["host"] = op.running.host
            if op.results is not None:
                entry["results"] = op.results
            if self.definition.get("deployment_id") and op.ports:
                label = deployment_label(op.id, str(self.definition["deployment_id"]), self._with.variables["project"])
                entry["deployment_endpoint"] = self.name_of(label)
            known[op.id] = entry
        return known

    def _expose(self, op: OpState, args: Mapping[str, Any]) -> None:
        op.ports = exposed_ports({"args": args})
        for port in op.ports:
            if port not in op.labels:
                op.labels[port] = self._with.private_label() if args.get("private") else service_label(op.index, port, self.job)

    def _spec(self, op: OpState, args: Mapping[str, Any]) -> OpSpec:
        entrypoint = args.get("entrypoint", self._global.get("entrypoint"))
        aliases = args.get("aliases", [])
        return OpSpec(
            job=self.job,
            index=op.index,
            op_id=op.id,
            image=str(args["image"]),
            command=args.get("cmd") or None,
            entrypoint=[entrypoint] if isinstance(entrypoint, str) else entrypoint,
            env={**self._global.get("env", {}), **args.get("env", {}), "NOSANA_ID": self.job},
            work_dir=args.get("work_dir", self._global.get("work_dir")),
            ports=op.ports,
            aliases=[alias.strip() for alias in (aliases.split(",") if isinstance(aliases, str) else aliases) if alias.strip()],
            volumes={str(volume["dest"]): str(volume["name"]) for volume in args.get("volumes", [])},
            login={key: str(value) for key, value in args.get("authentication", {}).get("docker", {}).items()},
        )

    def _log(self, op: OpState, kind: str, text: str) -> None:
        line = {"type": kind, "log": text[:MAX_LINE_CHARACTERS], "timestamp": self._now()}
        op.logs.append(line)
        for listener in self.listeners:
            listener(op, line)

    def _end(self, op: OpState, status: str, exit_code: int | None) -> None:
        op.status, op.exit_code, op.end_ms = status, exit_code, self._now()
        op.phase = "stopped" if op.reason in ("stopped", "restart") else "failed" if status == "failed" else "finished"
        op.results = results.extract(op.logs, op.op.get("results"))

    def _now(self) -> int:
        return int(self._with.clock() * 1000)


def restarts(policy: Any, exit_code: int, tries: int) -> bool:
    """Whether an op that ended by itself is started again. ``tries`` counts how often it has run (nosana-facts §6.3)."""
    if isinstance(policy, dict):
        most = policy.get("restart_tries")
        return exit_code != 0 and (most is None or tries <= int(most))
    return policy in ("always", "unless-stopped") or (policy == "on-failure" and exit_code != 0)


def exposed_ports(op: Mapping[str, Any]) -> list[int]:
    """The exposed ports that are numbers. A bare object outside an array counts for nothing, as on the network."""
    expose = op.get("args", {}).get("expose")
    entries = expose if isinstance(expose, list) else [] if isinstance(expose, dict) else [expose]
    ports = [entry.get("port") if isinstance(entry, dict) else entry for entry in entries]
    # A literal that was filled in arrives as text.
    ports = [int(port) if isinstance(port, str) and port.isdigit() else port for port in ports]
    return [int(port) for port in ports if isinstance(port, (int, float)) and not isinstance(port, bool)]


def service_label(index: int, port: int, job: str) -> str:
    """First label of a service's public name (nosana-facts §8)."""
    return _label(f"{index}:{port}:{job}")


def deployment_label(op_id: str, deployment: str, owner: str) -> str:
    """First label of the name that the jobs of a deployment share, for one op (nosana-facts §8)."""
    shared = base58.encode(hashlib.sha512(f"{deployment}:{owner}".encode()).digest())[:PRIVATE_CHARACTERS]
    return _label(f"{op_id}:0:{shared}")


def _label(text: str) -> str:
    return base58.encode(hashlib.sha512(text.encode()).digest())[:LABEL_CHARACTERS]
