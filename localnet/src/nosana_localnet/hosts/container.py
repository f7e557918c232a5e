"""Runs ops in containers of podman or docker: isolated, bounded, and removed for sure."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from typing import Final

from .process import GRACE_SECONDS, forward
from .runner import Log, OpSpec, RunnerError, Running

PULL_SECONDS: Final = 900.0
LIMITS: Final = ("--memory", "8g", "--pids-limit", "1024", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


class ContainerRunner:
    """One engine by its command line, which podman and docker share."""

    def __init__(self, engine: str):
        self.name = engine

    @classmethod
    async def working(cls, engine: str) -> ContainerRunner | None:
        """The runner, if that engine is installed and answers."""
        if shutil.which(engine) is None:
            return None
        code, _out, _error = await _run([engine, "info"], seconds=20)
        return cls(engine) if code == 0 else None

    async def start(self, op: OpSpec, log: Log) -> Running:
        code, _out, _error = await _run([self.name, "image", "inspect", op.image], seconds=20)
        if code != 0:
            code, _out, error = await _run([self.name, "pull", "-q", op.image], seconds=PULL_SECONDS)
            if code != 0:
                raise RunnerError("image-pull", f"The image {op.image} could not be pulled: {_last_line(error)}", 404)
        command = [self.name, "run", "--detach", "--name", op.name, "--security-opt", "no-new-privileges", *LIMITS]
        if not op.ports:
            command += ["--network", "none"]
        for port in op.ports:
            command += ["--publish", f"127.0.0.1::{port}"]
        for key, value in op.env.items():
            command += ["--env", f"{key}={value}"]
        for place, directory in op.volumes.items():
            command += ["--volume", f"{directory}:{place}"]
        if op.work_dir:
            command += ["--workdir", op.work_dir]
        words = ["/bin/sh", "-c", op.command] if isinstance(op.command, str) else list(op.command or [])
        if op.entrypoint:
            command += ["--entrypoint", op.entrypoint[0]]
            words = [*op.entrypoint[1:], *words]
        code, _out, error = await _run([*command, op.image, *words], seconds=60)
        if code != 0:
            await _run([self.name, "rm", "--force", op.name], seconds=20)
            raise RunnerError("container-start", f"The container could not be started: {_last_line(error)}", 500)
        return await Container.follow(self.name, op, log)


class Container:
    """A container whose log is followed until it ends."""

    def __init__(self, engine: str, op: OpSpec, ports: dict[int, int], follower: asyncio.Task[None]):
        self._engine = engine
        self._name = op.name
        self._follower = follower
        self.ports = ports
        self.how = f"Run in a {engine} container of the image {op.image}."

    @classmethod
    async def follow(cls, engine: str, op: OpSpec, log: Log) -> Container:
        ports = {}
        for port in op.ports:
            _code, out, _error = await _run([engine, "port", op.name, f"{port}/tcp"], seconds=20)
            ports[port] = int(out.strip().splitlines()[0].rpartition(":")[2]) if out.strip() else port
        return cls(engine, op, ports, asyncio.create_task(_follow(engine, op.name, log)))

    async def wait(self) -> int:
        _code, out, _error = await _run([self._engine, "wait", self._name], seconds=None)
        await self._remove()
        return int(out.strip() or 1)

    async def stop(self) -> None:
        await _run([self._engine, "stop", "--time", str(int(GRACE_SECONDS)), self._name], seconds=30)
        await self._remove()

    async def _remove(self) -> None:
        await asyncio.wait([self._follower], timeout=GRACE_SECONDS)
        self._follower.cancel()
        await _run([self._engine, "rm", "--force", self._name], seconds=30)


async def _follow(engine: str, name: str, log: Log) -> None:
    child = await asyncio.create_subprocess_exec(
        engine, "logs", "--follow", name, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    streams = [(child.stdout, "stdout"), (child.stderr, "stderr")]
    try:
        await asyncio.gather(*(forward(stream, kind, log) for stream, kind in streams if stream is not None))
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _run(command: Sequence[str], *, seconds: float | None) -> tuple[int, str, str]:
    """Exit code, output and errors of a command that has to end in time."""
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, error = await asyncio.wait_for(child.communicate(), seconds)
    except BaseException as stopped:
        child.kill()
        await child.wait()
        if isinstance(stopped, TimeoutError):
            return 124, "", f"{command[0]} did not answer in {seconds:g} s"
        raise
    return child.returncode or 0, out.decode("utf-8", "replace"), error.decode("utf-8", "replace")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"
