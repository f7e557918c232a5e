"""PubSub as a simulated process has it: it tells at any moment that something may have moved, never tells, or breaks off."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from scheduler import Process
from wire import Internet

_TELLS_AFTER_SECONDS, _BREAKS_AFTER_SECONDS = 20.0, 10.0


@dataclass
class Push:
    """Opens WebSockets for one process."""

    internet: Internet
    process: Process

    @asynccontextmanager
    async def connect(self, _url: str) -> AsyncIterator[_Connection]:
        """Instead of a real one."""
        fault = self.internet.faults.draw("pubsub")
        self.internet.scheduler.note(self.process.name, "subscribes" + (f" [{fault}]" if fault else ""))
        if fault not in (None, "pubsub_silent", "pubsub_drops"):
            raise httpx.ConnectError("refused")
        yield _Connection(self.process, fault)


@dataclass
class _Connection:
    process: Process
    fault: str | None
    answers: list[str] = field(default_factory=list)

    async def send(self, message: str, /) -> None:
        asked = json.loads(message)
        self.answers.append(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": asked["id"] + 1}))

    async def recv(self) -> str:
        chance = self.process.scheduler.random
        if self.answers:
            await self._pass(0.05)
            return self.answers.pop(0)
        if self.fault == "pubsub_silent":
            await asyncio.get_running_loop().create_future()
        if self.fault == "pubsub_drops":
            await self._pass(chance.expovariate(1 / _BREAKS_AFTER_SECONDS))
            raise httpx.ReadError("connection reset by peer")
        await self._pass(chance.expovariate(1 / _TELLS_AFTER_SECONDS))
        return json.dumps({"jsonrpc": "2.0", "method": "accountNotification", "params": {"subscription": 1, "result": None}})

    async def _pass(self, seconds: float) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.process.alive:
            self.process.resume(seconds, waiting, None)
        await waiting
