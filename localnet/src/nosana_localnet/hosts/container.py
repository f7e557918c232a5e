"""Runs ops in containers of podman or docker: cut off from the outside, bounded, and removed for sure."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .process import GRACE_SECONDS, Reaper, forward
from .reaper import remove
from .runner import Log, OpSpec, RunnerError, Running

PULL_SECONDS: Final = 900.0
INFO_SECONDS: Final = 20.0
COMMAND_SECONDS: Final = 60.0
START_SECONDS: Final = 0.05
NEVER: Final = "0001-"
"""How the time begins at which a container has started that has not."""
LIMITS: Final = (
    *("--memory", "8g", "--pids-limit", "1024", "--shm-size", "4g"),
    *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),
    *("--security-opt", "no-new-privileges"),
)
LABEL: Final = "org.nosana.localnet"
_NUMBERS: Final = itertools.count(1)
_ENGINE_READS: Final = ("LD_", "PODMAN", "DOCKER", "CONTAINER", "REGISTRY", "XDG_", "TMP", "HTTP", "http", "no_proxy", "NO_PROXY", "GO")


class ContainerRunner:
    """One engine by its command line, which podman and docker share.

    The ops of a job share a network that leads nowhere else, unless ``outside`` lets them reach the world. A rootless engine cannot
    reach into such a network, so ops that expose ports get one with a way out there, and their log says so.
    """

    def __init__(self, engine: str, *, outside: bool = False, reachable: bool = True):
        self.name = engine
        self._outside = outside
        self._reachable = reachable
        number = next(_NUMBERS)
        self._mark = f"{os.getpid()}-{number}"  # in every name: two networks may have the same job, by a snapshot
        self._label = f"{LABEL}={os.getpid()}-{_started(os.getpid())}-{number}"
        self._reaper = Reaper()
        self._held = False
        self._making = asyncio.Lock()
        self._jobs: set[str] = set()
        self._networks: set[str] = set()
        self._volumes: set[str] = set()
        self._addresses: dict[str, dict[str, str]] = {}

    @classmethod
    async def working(cls, engine: str, *, outside: bool = False) -> ContainerRunner | None:
        """The runner, if that engine is installed and answers. What a killed network has left behind is removed."""
        if shutil.which(engine) is None:
            return None
        code, _out, _error = await _run([engine, "info"], seconds=INFO_SECONDS)
        if code != 0:
            return None
        runner = cls(engine, outside=outside, reachable=sys.platform == "linux" and (engine == "docker" or os.geteuid() == 0))
        await runner._sweep()
        return runner

    async def start(self, op: OpSpec, log: Log) -> Running:
        await self._pull(op, log)
        await self._hold()
        self._jobs.add(op.job)
        network, published = await self._network(op)
        name = f"{op.name}-{self._mark}"
        command = [self.name, "create", "--pull", "never", "--name", name, *self._labels(op.job), *LIMITS, "--network", network]
        for alias in (op.name, *op.aliases):
            command += ["--network-alias", alias]
        for other, address in self._addresses.get(op.job, {}).items():
            command += ["--add-host", f"{other}:{address}"]
        for port in op.ports if published else ():
            command += ["--publish", f"127.0.0.1::{port}"]
        for place, volume in op.volumes.items():
            command += ["--volume", f"{await self._volume(op.job, volume)}:{place}"]
        if op.work_dir:
            command += ["--workdir", op.work_dir]
        words = ["/bin/sh", "-c", op.command] if isinstance(op.command, str) else list(op.command or [])
        if op.entrypoint:
            command += ["--entrypoint", op.entrypoint[0]]
            words = [*op.entrypoint[1:], *words]
        # Values go by the engine's own environment where they do not change the engine: a command line can be read by everybody.
        silent = {key: value for key, value in op.env.items() if key not in os.environ and not key.startswith(_ENGINE_READS)}
        for key, value in op.env.items():
            command += ["--env", key if key in silent else f"{key}={value}"]
        try:
            code, _out, error = await _run([*command, op.image, *words], seconds=COMMAND_SECONDS, env=os.environ | silent)
            if code != 0:
                raise RunnerError("container-start", f"The container could not be started: {_last_line(error)}.", 500)
            if error.strip():  # such as bounds that it does not keep here
                log("nodeerr", f"{self.name} warns: {_last_line(error)}.\n")
            container, address = await Container.start(self.name, name, op, log, network, published=published)
        except BaseException:
            await asyncio.shield(_run([self.name, "rm", "--force", "--volumes", name], seconds=COMMAND_SECONDS))
            raise
        if address:
            self._addresses.setdefault(op.job, {}).update(dict.fromkeys((op.name, *op.aliases), address))
        if published and not self._outside:
            log("nodeerr", f"{self.name} runs without root here, so this container can reach the outside.\n")
        return container

    async def tidy(self, job: str) -> None:
        self._addresses.pop(job, None)
        if job in self._jobs:
            await asyncio.to_thread(remove, self.name, self._job_label(job))
            self._jobs.discard(job)
            self._networks.discard(job)
            self._volumes = {volume for volume in self._volumes if not volume.startswith(f"{job}-")}

    async def close(self) -> None:
        if self._held:
            await asyncio.to_thread(remove, self.name, self._label)
            self._reaper.release(self._thing)
        await self._reaper.close()

    async def _hold(self) -> None:
        """From now on the reaper removes what this runner makes, should this process be killed."""
        await self._reaper.ready()
        if not self._held:
            self._held = True
            self._reaper.hold(self._thing)

    @property
    def _thing(self) -> str:
        return f"label {self.name} {self._label}"

    def _labels(self, job: str) -> list[str]:
        return ["--label", self._label, "--label", self._job_label(job)]

    def _job_label(self, job: str) -> str:
        return f"{LABEL}.job={job}-{self._mark}"

    def _network_name(self, job: str) -> str:
        return f"nosana-{job}-{self._mark}"

    async def _pull(self, op: OpSpec, log: Log) -> None:
        code, _out, _error = await _run([self.name, "image", "inspect", op.image], seconds=COMMAND_SECONDS)
        if code == 0:
            return
        log("nodeerr", f"The image {op.image} is not here; {self.name} pulls it, for {PULL_SECONDS / 60:g} minutes at most.\n")
        with contextlib.ExitStack() as stack:
            env = dict(os.environ)
            if op.login:
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nosana-login-")))
                server = op.login.get("server") or "docker.io"
                env |= {"DOCKER_CONFIG": str(directory), "REGISTRY_AUTH_FILE": str(directory / "config.json")}
                command = [self.name, "login", "--username", op.login.get("username", ""), "--password-stdin", server]
                code, _out, error = await _run(command, seconds=COMMAND_SECONDS, env=env, given=op.login.get("password", ""))
                if code != 0:
                    raise RunnerError("image-pull", f"The registry {server} refused the login: {_last_line(error)}.", 401)
            code, _out, error = await _run([self.name, "pull", "--quiet", op.image], seconds=PULL_SECONDS, env=env)
        if code != 0:
            raise RunnerError("image-pull", f"The image {op.image} could not be pulled: {_last_line(error)}.", 404)

    async def _network(self, op: OpSpec) -> tuple[str, bool]:
        """The job's network, made when its first op starts; and whether ports have to be published to be reached."""
        published = bool(op.ports) and (self._outside or not self._reachable)
        inner = not self._outside and self._reachable
        async with self._making:  # ops of a group start at the same time
            if op.job not in self._networks:
                kind = ["--internal"] if inner else []
                command = [self.name, "network", "create", *self._labels(op.job), *kind, self._network_name(op.job)]
                code, _out, error = await _run(command, seconds=COMMAND_SECONDS)
                if code != 0:
                    raise RunnerError("network-create", f"No network could be made for the job: {_last_line(error)}.", 500)
                self._networks.add(op.job)
        return self._network_name(op.job), published

    async def _volume(self, job: str, name: str) -> str:
        volume = f"{job}-{self._mark}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        async with self._making:
            if volume not in self._volumes:
                code, _out, error = await _run([self.name, "volume", "create", *self._labels(job), volume], seconds=COMMAND_SECONDS)
                if code != 0:
                    raise RunnerError("volume-create", f"The volume {name} could not be made: {_last_line(error)}.", 500)
                self._volumes.add(volume)
        return volume

    async def _sweep(self) -> None:
        """What networks that do not run any more have left."""
        for kind in ("container", "network", "volume"):
            command = [self.name, kind, "ls", "--filter", f"label={LABEL}", "--format", "{{.Labels}}"]
            _code, out, _error = await _run([*command, *(["--all"] if kind == "container" else [])], seconds=COMMAND_SECONDS)
            for text in {part.rstrip("]") for line in out.splitlines() for part in line.replace(",", " ").replace(":", "=").split()}:
                _, found, value = text.partition(f"{LABEL}=")
                pid, _, rest = value.partition("-")
                if found and pid.isdigit() and _started(int(pid)) != rest.partition("-")[0]:
                    await asyncio.to_thread(remove, self.name, f"{LABEL}={value}")


class Container:
    """A container that runs, with a client of the engine attached, which passes on what it prints.

    Not `logs --follow`: podman's loses lines that are half written when it looks.
    """

    def __init__(self, engine: str, name: str, op: OpSpec, ports: dict[int, tuple[str, int]], client: asyncio.subprocess.Process, log: Log):
        self._engine = engine
        self._name = name
        self._client = client
        log("nodeerr", f"Run in a {engine} container of the image {op.image}.\n")
        streams = [(client.stdout, "stdout"), (client.stderr, "stderr")]
        self._readers = [asyncio.create_task(forward(stream, kind, log)) for stream, kind in streams if stream is not None]
        self._last: dict[str, Any] | None = None
        self.host = op.name
        self.ports = ports

    @classmethod
    async def start(cls, engine: str, name: str, op: OpSpec, log: Log, network: str, *, published: bool) -> tuple[Container, str]:
        """The container, and its address in its job's network."""
        client = await asyncio.create_subprocess_exec(
            *(engine, "start", "--attach", name),
            cwd=tempfile.gettempdir(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is not for the container
        )
        try:
            address = await cls._address(engine, name, network, client)
            ports = {}
            for port in op.ports:
                ports[port] = (address, port)
                if published:
                    _code, out, _error = await _run([engine, "port", name, f"{port}/tcp"], seconds=COMMAND_SECONDS)
                    ports[port] = ("127.0.0.1", int(out.strip().splitlines()[0].rpartition(":")[2]) if out.strip() else port)
        except BaseException:
            await _end(client)
            raise
        return cls(engine, name, op, ports, client, log), address

    @staticmethod
    async def _address(engine: str, name: str, network: str, client: asyncio.subprocess.Process) -> str:
        """Known as soon as it has started; empty when it has ended already."""
        form = f'{{{{.State.StartedAt}}}}|{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
        deadline = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < deadline:
            ended = client.returncode is not None
            _code, out, _error = await _run([engine, "inspect", "--format", form, name], seconds=COMMAND_SECONDS)
            started, _, address = out.strip().partition("|")
            if started and not started.startswith(NEVER):
                return address
            if ended:
                _out, error = await client.communicate()
                reason = _last_line(error.decode("utf-8", "replace"))
                raise RunnerError("container-start", f"The container could not be started: {reason}.", 500)
            await asyncio.sleep(START_SECONDS)
        raise RunnerError("container-start", f"The container could not be started: no answer in {COMMAND_SECONDS:g} s.", 500)

    async def wait(self) -> int:
        try:
            await asyncio.gather(*self._readers)
            await self._client.wait()
        finally:
            await _end(self._client)
        _code, out, _error = await _run([self._engine, "wait", self._name], seconds=None)
        await self._remove()
        text = out.strip()
        return int(text) if text.isdigit() else 137

    async def stop(self) -> None:
        await _run([self._engine, "stop", "--time", str(int(GRACE_SECONDS)), self._name], seconds=COMMAND_SECONDS)

    async def state(self) -> dict[str, Any] | None:
        return self._last

    async def _remove(self) -> None:
        _code, out, _error = await _run([self._engine, "inspect", "--format", "{{json .State}}", self._name], seconds=COMMAND_SECONDS)
        with contextlib.suppress(ValueError):
            state = json.loads(out)
            wanted = ("Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "ExitCode", "Error", "StartedAt", "FinishedAt")
            self._last = {key: state[key] for key in wanted if key in state}
        await _run([self._engine, "rm", "--force", "--volumes", self._name], seconds=COMMAND_SECONDS)


async def _end(client: asyncio.subprocess.Process) -> None:
    if client.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            client.kill()
        await client.wait()


async def _run(
    command: Sequence[str], *, seconds: float | None, env: dict[str, str] | None = None, given: str = ""
) -> tuple[int, str, str]:
    """Exit code, output and errors of a command that has to end in time."""
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=tempfile.gettempdir(),  # podman's monitor may leave a file where it is started
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, error = await asyncio.wait_for(child.communicate(given.encode()), seconds)
    except BaseException as stopped:
        child.kill()
        await child.wait()
        if isinstance(stopped, TimeoutError):
            return 124, "", f"{command[0]} did not answer in {seconds:g} s"
        raise
    return child.returncode or 0, out.decode("utf-8", "replace"), error.decode("utf-8", "replace")


def _started(pid: int) -> str:
    """When a process began, so that a number that was given again is told apart; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "" if not _alive(pid) else "0"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300].rstrip(".") if lines else "no reason given"
