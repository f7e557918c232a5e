"""PubSub: subscriptions over WebSocket, with notifications at each subscription's commitment level."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web
from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from ..fault_front import reset
from ..faults import Faults
from ..ledger import SYSTEM_PROGRAM, Change, Commitment, Ledger
from . import encoding, params
from .errors import RpcError, invalid
from .protocol import answer_at_once, method_not_found

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_WAITING: Final = 10_000
"""Notifications that wait for a slow reader before its connection is closed."""

_ROOTS_AT_ONCE: Final = 2
"""A node roots slots in small groups; clients see their notifications arrive together."""

_LEVELS: Final[tuple[Commitment, ...]] = ("processed", "confirmed", "finalized")
_log = logging.getLogger(__name__)

Notify = Callable[[Change], Iterable[Any]]
"""What a subscription makes of a change: the ``result`` of each notification due."""


@dataclass(slots=True)
class Subscription:
    """One subscription. ``level`` None: told of slots as they open. ``once``: ends with its first notification."""

    name: str
    level: Commitment | None
    notify: Notify
    connection: Connection
    once: bool = False


class Connection:
    """One client's WebSocket: what waits to be sent to it."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request):
        self._socket = socket
        self._request = request
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING)
        self.overrun = False

    def send(self, message: str) -> None:
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.overrun = True

    def cut_off(self) -> None:
        """The connection is reset, whatever waits."""
        self.overrun = True
        reset(self._request.transport)

    async def write(self) -> None:
        """Send what waits, until the connection is gone or its reader has fallen too far behind."""
        try:
            while not self.overrun:
                message = await self._waiting.get()
                if message is None:
                    break
                await self._socket.send_str(message)
        except ConnectionError:
            pass
        finally:
            await self._socket.close()


class PubSub:
    """All subscriptions of all clients on one ledger."""

    def __init__(self, ledger: Ledger, faults: Faults | None = None):
        self._ledger = ledger
        self._faults = faults
        self._numbers = itertools.count()
        self._subscriptions: dict[int, Subscription] = {}
        self._pending: dict[Commitment, deque[Change]] = {level: deque() for level in _LEVELS}
        self._rooted = ledger.slot_at("finalized")
        self._sockets: set[web.WebSocketResponse] = set()
        ledger.subscribe(self._changed)

    async def close(self) -> None:
        """End every client's connection."""
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One client's conversation, from upgrade to end."""
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES, heartbeat=60)
        await socket.prepare(request)
        self._sockets.add(socket)
        connection = Connection(socket, request)
        writer = asyncio.create_task(connection.write())
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._received(connection, message.data)
        finally:
            self._sockets.discard(socket)
            for number in [number for number, item in self._subscriptions.items() if item.connection is connection]:
                del self._subscriptions[number]
            writer.cancel()
        return socket

    def _received(self, connection: Connection, body: str | bytes) -> None:
        opened: list[int] = []
        given = answer_at_once(body, lambda method, values: self._call(connection, method, values, opened))
        if given is not None:
            connection.send(given)
        # A transaction that is there already is told after the subscription's number.
        for number in opened:
            self._tell_known(number)

    def _call(self, connection: Connection, method: str, values: Any, opened: list[int]) -> Any:
        if method.endswith("Unsubscribe") and method.removesuffix("Unsubscribe") in _KINDS:
            number = params.unsigned(params.arguments(values, 1, 1)[0])
            found = self._subscriptions.get(number)
            if found is None or found.connection is not connection or found.name != method.removesuffix("Unsubscribe"):
                raise invalid("Invalid subscription id.")
            del self._subscriptions[number]
            return True
        kind = _KINDS.get(method.removesuffix("Subscribe")) if method.endswith("Subscribe") else None
        if kind is None:
            raise method_not_found()
        build, required, maximum = kind
        level, notify, once = build(self._ledger, params.arguments(values, required, maximum))
        number = next(self._numbers)
        self._subscriptions[number] = Subscription(method.removesuffix("Subscribe"), level, notify, connection, once)
        opened.append(number)
        return number

    def _tell_known(self, number: int) -> None:
        subscription = self._subscriptions.get(number)
        if subscription is not None and isinstance(subscription.notify, _SignatureWatch):
            record = self._ledger.transaction(subscription.notify.signature)
            if record is not None and record.slot <= self._ledger.slot_at(subscription.notify.level):
                self._give(number, subscription, Change(record.slot, record.signature, err=record.err))

    def _changed(self, change: Change) -> None:
        if not self._subscriptions:
            for pending in self._pending.values():
                pending.clear()
            self._rooted = self._ledger.slot_at("finalized")
            return
        if change.undone:  # what was to be told at a later level does not come to it
            for level, pending in self._pending.items():
                self._pending[level] = deque(due for due in pending if due.signature not in change.undone)
        if change.signature is None and not change.accounts:
            self._tell_slot(change.slot)
        else:
            for pending in self._pending.values():
                pending.append(change)
        for level, pending in self._pending.items():
            reached = self._ledger.slot_at(level)
            while pending and pending[0].slot <= reached:
                due = pending.popleft()
                for number, subscription in list(self._subscriptions.items()):
                    if subscription.level == level:
                        self._give(number, subscription, due)

    def _tell_slot(self, slot: int) -> None:
        root = self._ledger.slot_at("finalized")
        for number, subscription in list(self._subscriptions.items()):
            if subscription.name == "slot":
                self._send(number, subscription, {"slot": slot, "parent": slot - 1, "root": root})
        if root - self._rooted >= _ROOTS_AT_ONCE:
            for number, subscription in list(self._subscriptions.items()):
                if subscription.name == "root":
                    for rooted in range(max(self._rooted, root - _ROOTS_AT_ONCE) + 1, root + 1):
                        self._send(number, subscription, rooted)
            self._rooted = root

    def _give(self, number: int, subscription: Subscription, change: Change) -> None:
        try:
            for result in subscription.notify(change):
                self._send(number, subscription, result)
                if subscription.once:
                    self._subscriptions.pop(number, None)
        except RpcError as error:
            # Such as base58 for an account that has grown too long for it: nothing to tell.
            _log.debug("a notification could not be encoded: %s", error)

    def _send(self, number: int, subscription: Subscription, result: Any) -> None:
        fault = self._faults.decide("pubsub", f"{subscription.name}Subscribe") if self._faults is not None else None
        if fault is not None:
            if fault.kind == "pubsub-drop":
                subscription.connection.cut_off()
            return
        notification = {
            "jsonrpc": "2.0",
            "method": f"{subscription.name}Notification",
            "params": {"result": result, "subscription": number},
        }
        subscription.connection.send(json.dumps(notification, separators=(",", ":")))


def _with_slot(slot: int, value: Any) -> dict[str, Any]:
    return {"context": {"slot": slot}, "value": value}


def _pubkey(value: Any) -> Pubkey:
    params.text(value)
    try:
        return params.pubkey(value)
    except RpcError:
        raise invalid("Invalid Request: Invalid pubkey provided") from None


Built = tuple[Commitment | None, Notify, bool]


def _account(ledger: Ledger, args: list[Any]) -> Built:
    key, config = _pubkey(args[0]), params.Config(args[1])
    form, part = config.encoding(), config.data_slice()

    def notify(change: Change) -> Iterable[Any]:
        if key in change.accounts:
            account = change.accounts[key] or Account(0, b"", SYSTEM_PROGRAM)
            yield _with_slot(change.slot, encoding.account_json(key, account, form, ledger.decimals, part))

    return config.commitment(), notify, False


def _program(ledger: Ledger, args: list[Any]) -> Built:
    program, config = _pubkey(args[0]), params.Config(args[1])
    form, part, filters = config.encoding(), config.data_slice(), config.filters()

    def notify(change: Change) -> Iterable[Any]:
        for key, account in change.accounts.items():
            if account is not None and account.owner == program and all(fits(account.data) for fits in filters):
                shown = encoding.account_json(key, account, form, ledger.decimals, part)
                yield _with_slot(change.slot, {"pubkey": str(key), "account": shown})

    return config.commitment(), notify, False


@dataclass(frozen=True, slots=True)
class _SignatureWatch:
    """Tells the end of one transaction."""

    signature: Signature
    level: Commitment

    def __call__(self, change: Change) -> Iterable[Any]:
        if change.signature == self.signature:
            yield _with_slot(change.slot, {"err": change.err})


def _signature(_ledger: Ledger, args: list[Any]) -> Built:
    params.text(args[0])
    config = params.Config(args[1])
    try:
        watch = _SignatureWatch(params.signature(args[0]), config.commitment())
    except RpcError:
        raise invalid("Invalid Request: Invalid signature provided") from None
    return watch.level, watch, True


def _logs(_ledger: Ledger, args: list[Any]) -> Built:
    config = params.Config(args[1])
    key: Pubkey | None = None
    if isinstance(args[0], dict) and set(args[0]) == {"mentions"}:
        mentions = params.items(args[0]["mentions"])
        if len(mentions) != 1:
            raise invalid("Invalid Request: Only 1 address supported")
        key = _pubkey(mentions[0])
    elif args[0] not in ("all", "allWithVotes"):
        raise params.wrong_type(args[0], "enum RpcTransactionLogsFilter")

    def notify(change: Change) -> Iterable[Any]:
        if change.signature is not None and (key is None or key in change.mentions):
            yield _with_slot(change.slot, {"signature": str(change.signature), "err": change.err, "logs": list(change.logs)})

    return config.commitment(), notify, False


def _clockwork(_ledger: Ledger, _args: list[Any]) -> Built:
    return None, lambda change: (), False


_KINDS: Final[dict[str, tuple[Callable[[Ledger, list[Any]], Built], int, int]]] = {
    "account": (_account, 1, 2),
    "logs": (_logs, 1, 2),
    "program": (_program, 1, 2),
    "root": (_clockwork, 0, 0),
    "signature": (_signature, 1, 2),
    "slot": (_clockwork, 0, 0),
}
"""Kinds of subscription: how each is built, and the least and most parameters it takes."""

SUBSCRIPTIONS: Final = [f"{name}Subscribe" for name in _KINDS]
