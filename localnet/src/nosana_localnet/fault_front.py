"""Faults on connections: plays what ``faults`` decides for a request, and cuts sockets off as a dying machine does."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiohttp import web

from .faults import Exchange, Faults, refused

LOOK_SECONDS: Final = 0.05
NEVER: Final = ("/localnet/", "/faucet")
"""What controls the network has no bad days."""

Process = Callable[[], Awaitable[web.StreamResponse]]


def middleware(faults: Faults) -> Any:
    """Faults for every path but that of JSON-RPC, whose targets are methods; the front of JSON-RPC asks for itself."""

    @web.middleware
    async def strike(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        path = request.path
        if not faults.concerns("http") or path == "/" or path.startswith(NEVER):
            return await handler(request)
        return await around(request, faults, [path], lambda: handler(request))

    return strike


async def around(request: web.Request, faults: Faults, targets: Iterable[str], process: Process) -> web.StreamResponse:
    """The answer to a request, or what a fault makes of it."""
    fault = faults.decide("http", *targets)
    if fault is None:
        return await process()
    early = refused(fault)
    if early is not None:
        return await _play(request, early)
    given = await process()
    if not isinstance(given, web.Response) or not isinstance(given.body, (bytes, type(None))):
        return given
    before = Exchange(given.status, given.body or b"", given.content_type)
    after = faults.answered(fault, before)
    if after.delay_seconds:
        await asyncio.sleep(after.delay_seconds)
    return given if after.body == before.body and after.ending == "answered" else await _play(request, after)


async def _play(request: web.Request, exchange: Exchange) -> web.StreamResponse:
    """Sends an answer, or ends the connection without one."""
    transport = request.transport
    if exchange.ending == "hang":
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(LOOK_SECONDS)
    elif exchange.ending == "reset":
        reset(transport)
    elif exchange.ending == "closed":
        if transport is not None:
            transport.close()
    elif exchange.announced_bytes is not None:
        return await _cut(request, exchange, exchange.announced_bytes)
    else:
        return web.Response(status=exchange.status, body=exchange.body, content_type=exchange.content_type, headers=dict(exchange.headers))
    return web.Response()  # nobody gets it


async def _cut(request: web.Request, exchange: Exchange, announced_bytes: int) -> web.StreamResponse:
    response = web.StreamResponse(status=exchange.status)
    response.content_type, response.content_length = exchange.content_type, announced_bytes
    await response.prepare(request)
    await response.write(exchange.body)
    if request.transport is not None:
        request.transport.close()
    return response


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Ends a connection with a reset, not with a farewell: what was sent may be lost, what was to be sent is."""
    if not isinstance(transport, asyncio.Transport):
        return
    found = transport.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
