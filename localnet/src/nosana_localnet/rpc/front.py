"""The node's front without a connection: JSON-RPC in bytes, as a node answers that knows all, or as one that has a bad day."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

from .. import authority
from ..faults import Exchange, Fault, Faults
from ..ledger import Ledger, View
from . import params
from .errors import KEY_EXCLUDED, RpcError
from .methods import METHODS, Method
from .protocol import Call, answer_at_once, method_not_found


def answer(ledger: Ledger, body: bytes, faults: Faults | None = None) -> bytes:
    """The answer to a request, empty where none is due. Of the faults, those inside a call apply; see ``exchange`` for the others."""
    return (answer_at_once(body, caller(ledger, faults)) or "").encode()


def exchange(ledger: Ledger, body: bytes, faults: Faults | None = None) -> Exchange:
    """One HTTP request to the node, with every fault that applies: what a transport without a network asks."""
    if faults is None:
        return Exchange(body=answer(ledger, body))
    return faults.exchange(methods_of(body), lambda: Exchange(body=answer(ledger, body, faults)))


def methods_of(body: bytes) -> list[str]:
    """The methods that a request calls."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return []
    calls = request if isinstance(request, list) else [request]
    return [item["method"] for item in calls if isinstance(item, dict) and isinstance(item.get("method"), str)]


def caller(ledger: Ledger, faults: Faults | None = None) -> Call:
    """What runs a method by its name."""

    def call(method: str, values: Any) -> Any:
        found = METHODS.get(method)
        if found is None:
            raise method_not_found()
        args = params.arguments(values, found.required, found.maximum)
        fault = faults.decide("call", method) if faults is not None else None
        return found.handler(ledger, args) if fault is None else _on_a_bad_day(fault, ledger, found, args)

    return call


def _on_a_bad_day(fault: Fault, ledger: Ledger, method: Method, args: list[Any]) -> Any:
    if fault.kind in ("price", "queue-full", "market-closed"):
        authority.strike(ledger, fault)
    if fault.kind == "refused":
        key = str(args[0])[:44] if args else ""
        raise RpcError(KEY_EXCLUDED, f"{key} excluded from account secondary indexes; this RPC method unavailable for key")
    with ledger.seen(_view(fault)):
        given = method.handler(ledger, args)
    if fault.kind == "fork":
        ledger.fork_later(fault.whole("slots"))
    return _thinned(fault, given) if fault.kind == "missing-accounts" else given


def _view(fault: Fault) -> View:
    if fault.kind == "stale":
        return View(slots_behind=fault.whole("slots"))
    if fault.kind == "unknown-signature":
        return View(history_slots_behind=fault.whole("slots"))
    if fault.kind == "late":
        return View(lands_later_slots=fault.whole("slots"))
    return View(drops=fault.kind == "dropped", knows_blockhashes=fault.kind != "blockhash-expired")


def _thinned(fault: Fault, given: Any) -> Any:
    """A list of accounts without a part of them, at least one; as it is where it is no list."""
    if isinstance(given, dict) and isinstance(given.get("value"), list):
        return given | {"value": _thinned(fault, given["value"])}
    if not isinstance(given, list) or not given:
        return given
    missing = set(fault.random.sample(range(len(given)), max(1, round(len(given) * fault.number("part")))))
    return [entry for index, entry in enumerate(given) if index not in missing]
