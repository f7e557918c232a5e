"""The line that a running job has logged last, as its host tells it: for people who wait, and for nothing else."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from .node import host_url
from .websocket import connect, websocket_url

if TYPE_CHECKING:
    from .clock import Clock
    from .websocket import Connect

# A job that logs more than that while it is waited for is not listened to any longer.
_MOST_BYTES = 16 * 1024 * 1024
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 5.0, 300.0


class LogTail:
    """Follows the log of one job at a time. The containers' logs are open to everybody (facts §9.3), so no token is shown to the host."""

    def __init__(self, node_domain: str, clock: Clock, connect: Connect = connect) -> None:
        self._node_domain = node_domain
        self._clock = clock
        self._connect = connect
        self._followed: tuple[str, str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._bytes = 0
        self.last: str | None = None
        """None where nothing is known."""

    def follow(self, job: str, host: str) -> None:
        """From now on the log of this job at this host; the connection is made beside whatever else is done."""
        if self._followed == (job, host):
            return
        self._followed, self.last = (job, host), None
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._listen(job, host))

    async def close(self) -> None:
        """Ends following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _listen(self, job: str, host: str) -> None:
        delay = _FIRST_DELAY_SECONDS
        while self._bytes < _MOST_BYTES:
            try:
                async with self._connect(websocket_url(host_url(host, self._node_domain))) as connection:
                    await connection.send(json.dumps({"path": "/flog", "header": "", "body": {"jobAddress": job}}))
                    while self._bytes < _MOST_BYTES:
                        message = await connection.recv()
                        self._bytes += len(message)
                        self.last = last_line(message) or self.last
            except Exception:  # hosts do not owe us their logs, and nothing depends on them
                pass
            self.last = None
            await self._clock.sleep(delay * (0.5 + self._clock.random()))
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)


def last_line(message: str | bytes) -> str | None:
    """The last line with anything in it of what a host sends; None for whatever is no log."""
    try:
        frame: Any = json.loads(message)
        text = json.loads(frame["data"])["message"] if frame["path"] == "flog" else ""
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    lines = [line for line in text.splitlines() if line.strip()] if isinstance(text, str) else []
    return lines[-1] if lines else None
