"""The page at /: its files, the document that it shows, and events that tell the browser what has changed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from aiohttp import web

from .hosts.host import Host
from .ipfs import Store
from .ledger import Ledger
from .view import Document, View

PUSH_SECONDS: Final = 0.25
"""At most so often a browser is told what has changed."""

TICK_SECONDS: Final = 2.0
"""So often it hears from us at least, and so knows that the network still runs."""

WRITE_SECONDS: Final = 10.0
MAX_SUBSCRIBERS: Final = 16
_LISTS: Final = {"jobs": "address", "transactions": "signature"}
_FILES: Final = {"dashboard.js": "text/javascript", "dashboard.css": "text/css", "dashboard.svg": "image/svg+xml"}
# What jobs print is put on the page: even if some of it were taken for markup, the browser would neither run nor load it.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Dashboard:
    """Everything behind the page. It listens to the ledger from the beginning, so make it before the first transaction."""

    def __init__(self, ledger: Ledger, store: Store, hosts: Sequence[Host], runner: str, *, domain: str):
        self.port = 0
        self._view = View(ledger, store, hosts, runner, lambda label: f"http://{label}.{domain}:{self.port}")
        self._made: tuple[float, Document] | None = None
        self._subscribers = 0
        self._ending = asyncio.Event()

    def add(self, app: web.Application) -> None:
        """The routes, and the end of all event streams when the application shuts down."""
        app.add_routes([web.get(f"/localnet/{name}", self._file) for name in _FILES])
        app.add_routes([web.get("/localnet/view", self._document), web.get("/localnet/events", self._events, allow_head=False)])
        app.on_shutdown.append(self._shut_down)

    async def page(self, _request: web.Request) -> web.StreamResponse:
        """The page itself, for whoever asks / for HTML."""
        return _packaged("dashboard.html", "text/html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        return _packaged(name, _FILES[name])

    async def _document(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(self._now(), headers=HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: `view` with everything, then `change` with what is different, or `tick` when nothing is."""
        if self._subscribers >= MAX_SUBSCRIBERS:
            return web.Response(status=503, text=f"{MAX_SUBSCRIBERS} pages are open already; close one.\n", headers=HEADERS)
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        self._subscribers += 1
        try:
            await response.prepare(request)
            # A browser that reads slowly or no longer must not hold a place for ever.
            with contextlib.suppress(ConnectionError, TimeoutError):
                await self._follow(response)
        finally:
            self._subscribers -= 1
        return response

    async def _follow(self, response: web.StreamResponse) -> None:
        """Each browser gets the difference to what it got last, so one that is slow misses steps but no result."""
        sent = self._now()
        await _send(response, "view", sent)
        heard = time.monotonic()
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), PUSH_SECONDS)
            now = self._now()
            changed = difference(sent, now)
            sent = now
            if changed:
                await _send(response, "change", changed | {"slot": now["slot"], "time": now["time"]})
            elif time.monotonic() - heard >= TICK_SECONDS:
                await _send(response, "tick", {"slot": now["slot"], "time": now["time"]})
            else:
                continue
            heard = time.monotonic()

    def _now(self) -> Document:
        """The document, made at most once per push for all browsers together."""
        if self._made is None or time.monotonic() - self._made[0] >= PUSH_SECONDS / 2:
            self._made = (time.monotonic(), self._view.document())
        return self._made[1]

    async def _shut_down(self, _app: web.Application) -> None:
        self._ending.set()
        self._view.close()


def difference(before: Document, now: Document) -> Document:
    """The parts that changed, time and slot apart. Of the long lists, the order of all entries and those entries that changed."""
    changed: dict[str, Any] = {}
    for key, value in now.items():
        if key in ("slot", "time") or value == before.get(key):
            continue
        name = _LISTS.get(key)
        if name is None:
            changed[key] = value
            continue
        known = {entry[name]: entry for entry in before[key]}
        changed[key] = {
            "order": [entry[name] for entry in value],
            "changed": [entry for entry in value if entry != known.get(entry[name])],
        }
    return changed


async def _send(response: web.StreamResponse, event: str, data: Document) -> None:
    text = json.dumps(data, separators=(",", ":"))
    await asyncio.wait_for(response.write(f"event: {event}\ndata: {text}\n\n".encode()), WRITE_SECONDS)


def _packaged(name: str, kind: str) -> web.Response:
    body = resources.files(__package__).joinpath(name).read_bytes()
    return web.Response(body=body, content_type=kind, charset="utf-8", headers=HEADERS)
