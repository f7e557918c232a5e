"""How a definition reaches the host and how the result leaves it: IPFS, or for confidential jobs straight from and to the owner."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout
from solders.keypair import Keypair

MAX_DEFINITION_BYTES: Final = 1_000_000
_OP_TYPES: Final = ("container/run", "container/create-volume")


@dataclass(frozen=True)
class Patience:
    """How long a host waits for the owner of a confidential job, in seconds; the defaults are the host software's (nosana-facts §5.4)."""

    result_window: float = 60.0
    attempts: int = 4
    between_attempts: float = 10.0
    request: float = 30.0


class Unobtainable(Exception):
    """The definition could not be had; the text says why."""


def way(definition: Mapping[str, Any], direction: str) -> tuple[str, str]:
    """("ipfs" | "api" | "api-listen", endpoint) for the "send" or "receive" side of a definition."""
    logistics = definition.get("logistics")
    side = logistics.get(direction) if isinstance(logistics, dict) else None
    kind = side.get("type") if isinstance(side, dict) else None
    args = side.get("args") if isinstance(side, dict) else None
    if kind not in ("api", "api-listen"):
        return "ipfs", ""
    return str(kind), str(args.get("endpoint", "")) if isinstance(args, dict) else ""


def problem_with(definition: Any) -> str | None:
    """What keeps a host from running a definition, or None. Only what a host looks at; clients validate more (nosana-facts §6)."""
    if not isinstance(definition, dict):
        return "the definition is not an object"
    if definition.get("version") != "0.1" or definition.get("type") != "container":
        return 'version has to be "0.1" and type "container"'
    if not isinstance(definition.get("global", {}), dict):
        return "global is not an object"
    ops = definition.get("ops")
    if not isinstance(ops, list):
        return "ops is not a list"
    for index, op in enumerate(ops):
        if not isinstance(op, dict) or not isinstance(op.get("args"), dict) or not isinstance(op.get("id"), str):
            return f"ops[{index}] needs an id and args"
        execution = op.get("execution", {})
        if not isinstance(execution, dict) or not isinstance(execution.get("depends_on", []), list):
            return f"ops[{index}].execution is not an object with a list depends_on"
        if op.get("type") not in _OP_TYPES:
            return f"ops[{index}].type is not one of {', '.join(_OP_TYPES)}"
    return "two ops have one id" if len({op["id"] for op in ops}) != len(ops) else None


def parse(content: bytes) -> Any:
    """The JSON of a document, or None."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


async def fetch(endpoint: str, job: str, host: Keypair, patience: Patience) -> Any:
    """The definition of a job whose owner keeps it behind an API. Raises Unobtainable after the last attempt."""
    reason = "no answer"
    for attempt in range(patience.attempts):
        if attempt:
            await asyncio.sleep(patience.between_attempts)
        try:
            async with _client(patience) as client, client.get(_url(endpoint, job), headers=_headers(job, host)) as answer:
                content = await answer.content.read(MAX_DEFINITION_BYTES)
                if answer.status == 200:
                    return parse(content)
                reason = f"HTTP {answer.status}"
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            reason = type(error).__name__
    raise Unobtainable(f"the definition could not be fetched: {reason}")


async def hand_over(endpoint: str, job: str, host: Keypair, result: Mapping[str, Any], patience: Patience) -> bool:
    """Posts the result of a confidential job to its owner; whether it was taken."""
    for attempt in range(patience.attempts):
        if attempt:
            await asyncio.sleep(patience.between_attempts)
        try:
            async with _client(patience) as client, client.post(_url(endpoint, job), headers=_headers(job, host), json=result) as answer:
                if answer.status < 300:
                    return True
        except (ClientError, TimeoutError, OSError, ValueError):
            continue
    return False


def _client(patience: Patience) -> ClientSession:
    return ClientSession(timeout=ClientTimeout(total=patience.request))


def _url(endpoint: str, job: str) -> str:
    return endpoint.replace("%%global.job%%", job, 1)


def _headers(job: str, host: Keypair) -> dict[str, str]:
    return {"Authorization": f"{job}:{host.sign_message(job.encode())}:{int(time.time() * 1000)}"}
