"""JSON-RPC 2.0 itself: calls, batches and notifications, with an Agave node's answers to what is malformed.

Knows nothing of HTTP or WebSocket; both hand it text.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from .errors import INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RpcError

Call = Callable[[str, Any], Any]
"""Runs a method by name with its ``params`` as they came; raises RpcError."""

_log = logging.getLogger(__name__)


def answer_at_once(body: str | bytes, call: Call) -> str | None:
    """The answer to a request in text, or None where none is due (notifications, an empty batch)."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return _dump(_failure(RpcError(PARSE_ERROR, "Parse error"), None))
    if isinstance(request, list):
        return _batch([_one(item, call) for item in request])
    given = _one(request, call)
    return None if given is None else _dump(given)


async def answer(body: str | bytes, call: Call) -> str | None:
    """The same, where others have a turn between the calls of a batch, which can be long."""
    if body.lstrip()[:1] not in ("[", b"["):
        return answer_at_once(body, call)
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return answer_at_once(body, call)
    answers = []
    for item in request:
        answers.append(_one(item, call))
        await asyncio.sleep(0)
    return _batch(answers)


def _batch(answers: list[dict[str, Any] | None]) -> str | None:
    given = [item for item in answers if item is not None]
    return _dump(given) if given else None


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _one(request: Any, call: Call) -> dict[str, Any] | None:
    if not isinstance(request, dict):
        return _failure(RpcError(INVALID_REQUEST, "Invalid request"), None)
    identity = request.get("id")
    if isinstance(identity, (dict, list, float, bool)):
        return _failure(RpcError(INVALID_REQUEST, "Invalid request"), None)
    method = request.get("method")
    if not isinstance(method, str):
        return _failure(RpcError(INVALID_REQUEST, "Invalid request"), identity)
    silent = "id" not in request
    if request.get("jsonrpc") != "2.0":
        error = RpcError(INVALID_REQUEST, "Unsupported JSON-RPC protocol version")
        return None if silent else {"error": error.as_json(), "id": identity}
    try:
        result = call(method, request.get("params"))
    except RpcError as error:
        return None if silent else _failure(error, identity)
    except Exception:
        _log.exception("%s failed", method)
        return None if silent else _failure(RpcError(INTERNAL_ERROR, "Internal error"), identity)
    return None if silent else {"jsonrpc": "2.0", "result": result, "id": identity}


def _failure(error: RpcError, identity: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": error.as_json(), "id": identity}


def method_not_found() -> RpcError:
    return RpcError(METHOD_NOT_FOUND, "Method not found")
