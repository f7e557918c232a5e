"""Runs ops as plain processes of this machine, or as a labelled page where the image's own program is not here."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import html
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from .runner import Log, OpSpec, RunnerError, Running

SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
GRACE_SECONDS: Final = 2.0
_READ_BYTES: Final = 16_384


class Reaper:
    """The process that ends what ops have left running, should this one be killed."""

    def __init__(self) -> None:
        self._child: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()

    async def ready(self) -> None:
        """Started, which is done once."""
        async with self._starting:
            if self._child is None:
                program = str(Path(__file__).with_name("reaper.py"))
                self._child = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", program, stdin=asyncio.subprocess.PIPE, start_new_session=True
                )

    def hold(self, thing: str) -> None:
        """To be ended with the network."""
        self._tell(f"+{thing}")

    def release(self, thing: str) -> None:
        """It has ended."""
        self._tell(f"-{thing}")

    async def close(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
            await self._child.wait()

    def _tell(self, line: str) -> None:
        pipe = self._child.stdin if self._child is not None else None
        if pipe is not None and not pipe.is_closing():
            pipe.write(line.encode() + b"\n")


class ProcessRunner:
    """No isolation: for jobs that one trusts, which on one's own machine are one's own."""

    name = "process"

    def __init__(self) -> None:
        self._reaper = Reaper()
        self._volumes: dict[str, Path] = {}

    async def start(self, op: OpSpec, log: Log) -> Running:
        home = Path(tempfile.mkdtemp(prefix="nosana-op-"))
        try:
            program = self._program(op, home)
            if program is None:
                shutil.rmtree(home, ignore_errors=True)
                return await self._stand_in(op, log)
            return await Process.start(op, program, home, log, self._volume_env(op), self._reaper)
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise

    async def tidy(self, job: str) -> None:
        volumes = self._volumes.pop(job, None)
        if volumes is not None:
            await asyncio.to_thread(shutil.rmtree, volumes, ignore_errors=True)

    async def close(self) -> None:
        for job in list(self._volumes):
            await self.tidy(job)
        await self._reaper.close()

    def _volume_env(self, op: OpSpec) -> dict[str, str]:
        """A process has no mounts: it finds the directory of a volume in NOSANA_VOLUME_<NAME>."""
        env = {}
        for name in op.volumes.values():
            root = self._volumes.setdefault(op.job, Path(tempfile.mkdtemp(prefix="nosana-volumes-")))
            place = root / hashlib.sha256(name.encode()).hexdigest()[:16]
            place.mkdir(exist_ok=True)
            env["NOSANA_VOLUME_" + re.sub(r"\W", "_", name).upper()] = str(place)
        return env

    @staticmethod
    def _program(op: OpSpec, home: Path) -> list[str] | None:
        """The command line, or None where the image would bring the program along and this machine does not have it."""
        command = ["/bin/sh", "-c", op.command] if isinstance(op.command, str) else list(op.command or [])
        words = [*(op.entrypoint or []), *command]
        if not words:
            return None
        bin_dir = home / ".bin"
        bin_dir.mkdir()
        for name in ("python", "python3"):
            (bin_dir / name).symlink_to(Path(sys.executable).resolve())
        found = shutil.which(words[0], path=f"{bin_dir}:{SYSTEM_PATH}")
        return None if found is None else [found, *words[1:]]

    @staticmethod
    async def _stand_in(op: OpSpec, log: Log) -> Running:
        if not op.ports:
            raise RunnerError(
                "container-start",
                f"The image {op.image} cannot be run without a container engine: it has no command that is on this machine, and exposes no port.",
            )
        log(
            "nodeerr",
            f"Stand-in: the image {op.image} is not run, because its program is not on this machine; its ports answer with a page that says so.\n",
        )
        return await StandIn.start(op)


class Process:
    """A child in a session of its own, so that it can be ended with everything that it started."""

    host = "127.0.0.1"

    def __init__(self, child: asyncio.subprocess.Process, op: OpSpec, home: Path, readers: list[asyncio.Task[None]], reaper: Reaper):
        self._child = child
        self._home = home
        self._readers = readers
        self._reaper = reaper
        self.ports = {port: (self.host, port) for port in op.ports}

    @classmethod
    async def start(cls, op: OpSpec, program: list[str], home: Path, log: Log, volumes: dict[str, str], reaper: Reaper) -> Process:
        for port in op.ports:
            if _in_use(port):
                words = (
                    f"Port {port} is taken on this machine, and a plain process has no port of its own: use containers, or another port."
                )
                raise RunnerError("container-start", words, 500)
        # Nothing of this process's own environment: it may hold the keys of whoever runs the network.
        await reaper.ready()
        env = {"PATH": f"{home / '.bin'}:{SYSTEM_PATH}", "HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **op.env, **volumes}
        try:
            child = await asyncio.create_subprocess_exec(
                *program,
                cwd=home,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise RunnerError("container-start", f"{program[0]} could not be started: {error}.", 500) from None
        reaper.hold(_group(child, home))
        no_mounts = " A process has no mounts: volumes are directories named by NOSANA_VOLUME_<NAME>." if op.volumes else ""
        log("nodeerr", f"Run as a plain process, not in a container; the image {op.image} was not used.{no_mounts}\n")
        readers = [
            asyncio.create_task(forward(stream, kind, log))
            for stream, kind in ((child.stdout, "stdout"), (child.stderr, "stderr"))
            if stream is not None
        ]
        return cls(child, op, home, readers, reaper)

    async def state(self) -> dict[str, Any] | None:
        return None

    async def wait(self) -> int:
        code = await self._child.wait()
        await self._finish()
        return code if code >= 0 else 128 - code

    async def stop(self) -> None:
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._child.wait(), GRACE_SECONDS)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._child.wait()
        await self._finish()

    async def _finish(self) -> None:
        self._signal(signal.SIGKILL)  # whatever it left behind in its session
        await asyncio.gather(*self._readers, return_exceptions=True)
        shutil.rmtree(self._home, ignore_errors=True)
        self._reaper.release(_group(self._child, self._home))

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)


def _group(child: asyncio.subprocess.Process, home: Path) -> str:
    """The reaper's word for it."""
    return f"group {child.pid} {home}"


class StandIn:
    """A page that says that it is one."""

    host = "127.0.0.1"

    def __init__(self, runners: list[web.AppRunner], ports: dict[int, tuple[str, int]]):
        self._runners = runners
        self._ended = asyncio.Event()
        self.ports = ports

    @classmethod
    async def start(cls, op: OpSpec) -> StandIn:
        runners: list[web.AppRunner] = []
        ports: dict[int, tuple[str, int]] = {}
        for port in op.ports:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", _page(op, port))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            runners.append(runner)
            ports[port] = (cls.host, runner.addresses[0][1])
        return cls(runners, ports)

    async def wait(self) -> int:
        await self._ended.wait()
        return 0

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        self._ended.set()

    async def state(self) -> dict[str, Any] | None:
        return None


def _in_use(port: int) -> bool:
    if not 0 < port < 65_536:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            return False
        except OSError:
            return True
    return False


def _page(op: OpSpec, port: int) -> Callable[[web.Request], Awaitable[web.Response]]:
    lines = [
        "Stand-in by nosana-localnet",
        f"The image {op.image} was not run: its program is not on this machine.",
        f"op {op.op_id}, port {port}, job {op.job}",
    ]
    text = "\n".join(lines) + "\n"
    page = "<!doctype html><title>Stand-in</title>" + "".join(f"<p>{html.escape(line)}</p>\n" for line in lines)

    async def answer(request: web.Request) -> web.Response:
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=page, content_type="text/html")
        return web.Response(text=text)

    return answer


async def forward(stream: asyncio.StreamReader, kind: str, log: Log) -> None:
    """Whole lines as far as possible; a very long one comes in pieces."""
    rest = b""
    try:
        while chunk := await stream.read(_READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                log(kind, line.decode("utf-8", "replace") + "\n")
            if len(rest) >= _READ_BYTES:
                log(kind, rest.decode("utf-8", "replace"))
                rest = b""
    finally:
        if rest:
            log(kind, rest.decode("utf-8", "replace"))
