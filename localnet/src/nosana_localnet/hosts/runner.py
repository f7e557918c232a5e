"""What runs an op: one small interface, and the choice between containers and plain processes."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

Log = Callable[[str, str], None]
"""Takes the stream (stdout, stderr or nodeerr) and a piece of text."""


class RunnerError(Exception):
    """An op could not be started; ``event`` is the host software's word for the step, ``code`` an HTTP status where there was one."""

    def __init__(self, event: str, message: str, code: int | None = None):
        super().__init__(message)
        self.event = event
        self.code = code


@dataclass(frozen=True)
class OpSpec:
    """One op, ready to run: variables merged, literals filled in, ports plain numbers, volumes by mount point → name."""

    job: str
    index: int
    op_id: str
    image: str
    command: list[str] | str | None
    entrypoint: list[str] | None
    env: dict[str, str]
    work_dir: str | None
    ports: list[int]
    aliases: list[str] = field(default_factory=list)
    volumes: dict[str, str] = field(default_factory=dict)
    login: dict[str, str] = field(default_factory=dict, repr=False)
    """For a private registry: server, username, password."""

    @property
    def name(self) -> str:
        """Name of the container on the real network as well."""
        return f"{self.job}-{self.index}"


class Running(Protocol):
    """An op that runs."""

    @property
    def host(self) -> str:
        """The name under which the job's other ops reach it."""

    @property
    def ports(self) -> dict[int, tuple[str, int]]:
        """Exposed port → where this process reaches it: host and port."""

    async def wait(self) -> int:
        """The exit code, when it has ended; nothing of it is left then."""

    async def stop(self) -> None:
        """Ends it, by force if need be."""

    async def state(self) -> dict[str, Any] | None:
        """The engine's view of it when it had ended, in docker's words; None where there is none."""


class Runner(Protocol):
    """A way to run ops."""

    @property
    def name(self) -> str:
        """process, podman or docker."""

    async def start(self, op: OpSpec, log: Log) -> Running:
        """Starts an op. Says in its log what was really started, before anything that it prints. RunnerError when it cannot."""

    async def tidy(self, job: str) -> None:
        """Removes what a job's ops shared: volumes, network. Called once, when the job is over."""

    async def close(self) -> None:
        """The network ends: nothing of any job is left."""


class Fallback:
    """Containers where the image can be had, plain processes otherwise; the op's log says which of the two happened."""

    def __init__(self, first: Runner, second: Runner):
        self._first = first
        self._second = second

    @property
    def name(self) -> str:
        return f"{self._first.name}, else {self._second.name}"

    async def start(self, op: OpSpec, log: Log) -> Running:
        try:
            return await self._first.start(op, log)
        except RunnerError as error:
            log("nodeerr", f"{error} Using a {self._second.name} instead.\n")
            return await self._second.start(op, log)

    async def tidy(self, job: str) -> None:
        await self._first.tidy(job)
        await self._second.tidy(job)

    async def close(self) -> None:
        await self._first.close()
        await self._second.close()
