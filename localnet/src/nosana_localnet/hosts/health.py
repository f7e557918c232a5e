"""Health checks of exposed ports: an op counts as up when they pass, and only then starts what depends on it."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout

CHECK_SECONDS: Final = 3.0
_MOST_BYTES: Final = 65_536


def checks_of(op: Mapping[str, Any], port: int) -> list[Mapping[str, Any]]:
    """The health checks of one port of an op as its definition has them."""
    expose = op.get("args", {}).get("expose")
    for entry in expose if isinstance(expose, list) else ():
        if isinstance(entry, dict) and entry.get("port") == port:
            return [check for check in entry.get("health_checks") or () if isinstance(check, dict)]
    return []


async def passes(client: ClientSession, address: tuple[str, int], check: Mapping[str, Any]) -> bool:
    """Whether one check passes now. The host software asks with GET whatever the check's method and headers say (nosana-facts §6.4)."""
    host, port = address
    try:
        if check.get("type") == "http":
            url = f"http://{host}:{port}{check.get('path', '/')}"
            async with client.get(url, allow_redirects=False, timeout=ClientTimeout(total=CHECK_SECONDS)) as answer:
                return answer.status == check.get("expected_status")
        if check.get("type") == "websocket":
            async with asyncio.timeout(CHECK_SECONDS), client.ws_connect(f"ws://{host}:{port}", max_msg_size=_MOST_BYTES) as socket:
                return str(check.get("expected_response", "")) in str((await socket.receive()).data)
    except (ClientError, TimeoutError, OSError, ValueError):
        return False
    return False
