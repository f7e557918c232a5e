"""WebSockets for those who wait: text messages, bounded in size and time. With http.py the only file that touches the network."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from .._libraries import httpx, websocket_client
from .errors import Unreachable

MAX_BYTES = 64 * 1024
_OPEN_SECONDS, _CLOSE_SECONDS = 10.0, 0.2
# What the library says of a connection quotes its URL, in which there may be a key.
_SILENT = logging.Logger("nosana.compute", logging.CRITICAL + 1)


class Connection(Protocol):
    """One WebSocket that stands."""

    async def send(self, message: str, /) -> None:
        """Sends a text."""

    async def recv(self) -> str | bytes:
        """The next message; raises when the connection is over."""


# Opens a WebSocket at an URL. Tests have another one.
Connect = Callable[[str], AbstractAsyncContextManager[Connection]]


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Connection]:
    """A WebSocket at that ws:// or wss:// URL, through the proxy of the environment. It raises whatever the library does.

    Redirects are not followed, and names under .localhost mean this machine, as in http.py.
    """
    client = websocket_client()
    if client is None:
        raise Unreachable("The library websockets is not installed.")

    class Direct(client.connect):  # type: ignore[misc, name-defined]
        def process_redirect(self, exc: Exception) -> Exception:
            return exc

    parts = urlsplit(url)
    options: dict[str, Any] = {}
    if parts.scheme == "wss":
        options["ssl"] = httpx.create_ssl_context()  # the same certificates as for everything else
    if (parts.hostname or "").endswith(".localhost"):
        options |= {"host": "127.0.0.1", "port": parts.port or (443 if parts.scheme == "wss" else 80), "proxy": None}
    opening = Direct(
        url, max_size=MAX_BYTES, compression=None, open_timeout=_OPEN_SECONDS, close_timeout=_CLOSE_SECONDS, logger=_SILENT, **options
    )
    async with opening as connection:
        yield connection


def websocket_url(url: str) -> str:
    """The same place as seen by a WebSocket: http becomes ws, https wss."""
    parts = urlsplit(url)
    return parts._replace(scheme="wss" if parts.scheme == "https" else "ws").geturl()
