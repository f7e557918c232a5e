"""JSON-RPC over HTTP and PubSub over WebSocket on one path, as clients expect that derive one address from the other."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ..fault_front import around
from ..faults import TOO_MANY, Faults
from ..ledger import Ledger
from .front import caller, methods_of
from .limits import RateLimit
from .protocol import answer
from .pubsub import PubSub

MAX_BODY_BYTES: Final = 50 * 1024
"""The longest request a node takes."""

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_rpc(
    app: web.Application,
    ledger: Ledger,
    path: str = "/",
    page: Page | None = None,
    limit: RateLimit | None = None,
    faults: Faults | None = None,
) -> None:
    """Add the routes of ``create_rpc_routes`` to an application, and end its WebSockets when it shuts down."""
    pubsub = PubSub(ledger, faults)
    app.add_routes(create_rpc_routes(ledger, path, page, pubsub, limit, faults))

    async def shut_down(_app: web.Application) -> None:
        await pubsub.close()

    app.on_shutdown.append(shut_down)


def create_rpc_routes(
    ledger: Ledger,
    path: str = "/",
    page: Page | None = None,
    pubsub: PubSub | None = None,
    limit: RateLimit | None = None,
    faults: Faults | None = None,
) -> list[web.RouteDef]:
    """Routes for POST (JSON-RPC), GET (WebSocket; ``page``, where given, for browsers) and OPTIONS (CORS) on one path."""
    sockets = pubsub or PubSub(ledger, faults)
    call = caller(ledger, faults)

    async def post(request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            words = "Supplied content type is not allowed. Content-Type: application/json is required\n"
            return web.Response(status=415, text=words)
        wait = limit.wait_seconds() if limit is not None else None
        if wait is not None:
            return web.Response(status=429, body=TOO_MANY, content_type="application/json", headers={"Retry-After": str(wait)})
        body = await _bounded_body(request)
        if body is None:
            return web.Response(status=413, text=f"The request is longer than {MAX_BODY_BYTES} bytes; send less at a time.\n")

        async def process() -> web.StreamResponse:
            return _json(request, await answer(body, call) or "")

        if faults is None or not faults.concerns("http"):
            return await process()
        return await around(request, faults, methods_of(body), process)

    async def get(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await sockets.serve(request)
        if page is not None and "text/html" in request.headers.get("Accept", ""):
            return await page(request)
        words = "Used HTTP Method is not allowed. POST or OPTIONS is required\n"
        return web.Response(status=405, text=words, headers=_cors(request))

    async def options(request: web.Request) -> web.StreamResponse:
        response = _json(request, "")
        response.headers.update({"Allow": "OPTIONS, POST", "Accept": "application/json"})
        return response

    return [web.post(path, post), web.get(path, get, allow_head=False), web.options(path, options)]


async def _bounded_body(request: web.Request) -> bytes | None:
    """The body, or None where it is longer than a node takes."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _json(request: web.Request, text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json", charset="utf-8", headers=_cors(request))


def _cors(request: web.Request) -> dict[str, str]:
    """Headers that let a page of any origin call; none for a caller that is no page."""
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    allowed = {
        "Vary": "origin",
        "Access-Control-Allow-Methods": "OPTIONS, POST",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Max-Age": "86400",
    }
    wanted = request.headers.get("Access-Control-Request-Headers")
    return allowed | ({"Access-Control-Allow-Headers": wanted} if wanted else {})
