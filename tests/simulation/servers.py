"""The servers of the simulated network: an RPC node, a pinning service with its gateway, the market list; with the faults of what they say."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import contextlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

from chronicle import Chronicle
from faults import Faults
from solders.transaction import VersionedTransaction
from world import MARKETS, PORT, World

from ansible_collections.nosana.compute.plugins.module_utils._clients.node import service_host
from nosana_localnet import markets
from nosana_localnet.ipfs import cid_of
from nosana_localnet.ledger import BLOCKHASH_AGE_BLOCKS, SLOT_SECONDS, Rejected, View
from nosana_localnet.rpc import params
from nosana_localnet.rpc.errors import RpcError
from nosana_localnet.rpc.methods import METHODS

_HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
_START_SECONDS = 8
_STALE_SLOTS = 60
_DEEPEST_FORK_SLOTS = 31
_UNINDEXED_SLOTS = 10


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What arrived: `kind` is a JSON-RPC method, or fetch, pin, api, service."""

    kind: str
    server: str
    path: str
    body: bytes


def kind_of(method: str, path: str, body: bytes) -> str:
    """What a request asks for, in one word."""
    if path.startswith("/ipfs/"):
        return "fetch"
    if path.startswith("/pinning/"):
        return "pin"
    if path.startswith("/api/"):
        return "api"
    return str(json.loads(body)["method"]) if method == "POST" else "service"


class Servers:
    """Answers requests at the moment at which they arrive."""

    def __init__(self, world: World, faults: Faults, chronicle: Chronicle) -> None:
        self._world = world
        self._faults = faults
        self._chronicle = chronicle
        self._chance = world.scheduler.random
        self._missing_until: dict[tuple[str, str], float] = {}
        self._gone_since: dict[str, float] = {}
        self._lost: list[bytes] = []
        self._frozen_at_slot, self._frozen_until = 0, 0.0

    def freeze(self, seconds: float) -> None:
        """For so long the node learns of no transaction any more, and says so: its answers tell the slot at which it stands."""
        if not self.frozen:
            self._frozen_at_slot = self._world.ledger.slot
            self._frozen_until = self._world.scheduler.now + seconds

    @property
    def frozen(self) -> bool:
        return self._world.scheduler.now < self._frozen_until

    def heal(self) -> None:
        """What was pinned can be read at last."""
        self._missing_until.clear()
        for body in self._lost:
            self._world.store.add(body)

    def answer(self, who: str, request: Request, fault: str | None) -> Answer:
        """The answer to a request that arrived."""
        answer = self._answer(who, request, fault)
        if request.kind == "service" and answer.status == 200:
            self._chronicle.served.add(request.server.partition(".")[0])
        return answer

    def is_gone(self, cid: str) -> bool:
        """Whether it was pinned once and nobody has it any more."""
        return self._world.scheduler.now >= self._gone_since.get(cid, math.inf)

    def _answer(self, who: str, request: Request, fault: str | None) -> Answer:
        if fault == "rate_limit":
            return Answer(429, b'{"jsonrpc":"2.0","error":{"code":429,"message":"Too many requests"},"id":null}')
        if fault == "rate_limit_wait":
            return Answer(429, b"", {"Retry-After": str(self._chance.choice((1, 3, 20)))})
        if fault == "server_error":
            return Answer(self._chance.choice((500, 502, 503, 504)), _HTML)
        if fault == "error_page":
            return Answer(200, _HTML)
        if fault == "unauthorized":
            return Answer(401, b'{"error":"unauthorized"}')
        given = self._given(who, request, fault)
        if fault == "garbage":
            half = given.body[: self._chance.randrange(len(given.body) + 1)]
            return Answer(200, self._chance.choice((_HTML, half, b"[]", b'{"jsonrpc":"2.0","id":1,"result":{"value":7}}', b"null")))
        return given

    def _given(self, who: str, request: Request, fault: str | None) -> Answer:
        if request.kind == "fetch":
            return self._fetch(request.server, request.path.removeprefix("/ipfs/"), fault)
        if request.kind == "pin":
            return self._pin(request.body, fault)
        if request.kind == "api":
            listed = [markets.describe(self._world.ledger, spec, self._world.fee_fraction) for spec in MARKETS]
            return Answer(200, json.dumps(listed).encode())
        if request.kind == "service":
            return self._service(request.server.partition(".")[0])
        return self._rpc(who, json.loads(request.body), fault)

    # --- IPFS ---------------------------------------------------------------------------------------------------------

    def _fetch(self, gateway: str, cid: str, fault: str | None) -> Answer:
        content = self._world.store.get(cid)
        now = self._world.scheduler.now
        if fault == "not_found":
            self._missing_until[gateway, cid] = now + self._chance.choice((1, 10, 60))
        if content is None or self.is_gone(cid) or now < self._missing_until.get((gateway, cid), 0):
            return Answer(404, b"ipfs: no content with this address is pinned here\n")
        if fault == "wrong_content":
            return Answer(200, self._mistaken(cid) or _HTML)
        if fault == "truncated":
            return Answer(200, content[: self._chance.randrange(len(content))])
        return Answer(200, content)

    def _mistaken(self, cid: str) -> bytes | None:
        """Another document of the same sort, which is the only one that could be taken for the right one."""
        definitions = self._world.names
        alike = [
            content
            for other, content in sorted(self._world.store.everything().items())
            if other != cid and (other in definitions) == (cid in definitions)
        ]
        return self._chance.choice(alike) if alike else None

    def _pin(self, body: bytes, fault: str | None) -> Answer:
        if fault == "lost_pin":
            self._lost.append(body)
            return Answer(200, json.dumps({"IpfsHash": cid_of(body), "PinSize": len(body)}).encode())
        cid = self._world.store.add_json(json.loads(body))
        self._gone_since.pop(cid, None)
        if fault == "gone_pin":
            self._gone_since[cid] = self._world.scheduler.now + self._chance.uniform(0, 120)
        return Answer(200, json.dumps({"IpfsHash": cid, "PinSize": len(body)}).encode())

    # --- services of jobs ---------------------------------------------------------------------------------------------

    def _service(self, label: str) -> Answer:
        """What a job's container answers once it is up, a while after a host has taken it; the proxy's page until then.

        The names of hosts arrive in small letters.
        """
        now = self._world.ledger.unix_time
        up = {service_host(0, PORT, str(run["job"])).lower() for _key, run in self._world.runs() if now - run["time"] > _START_SECONDS}
        return Answer(200, b"up") if label in up else Answer(self._chance.choice((404, 502)), _HTML)

    # --- the node -----------------------------------------------------------------------------------------------------

    def _rpc(self, who: str, body: dict[str, Any], fault: str | None) -> Answer:
        method, values = body["method"], body["params"]
        signature = str(_transaction(values).signatures[0]) if method == "sendTransaction" else ""
        if signature:
            self._chronicle.sent(who, signature)
        try:
            result = self._call(method, values, fault)
        except RpcError as error:
            self._chronicle.refused.add(signature)
            self._world.scheduler.note(who, f"{method} refused: {error.as_json()['message'][:150]}")
            return _json({"jsonrpc": "2.0", "error": error.as_json(), "id": body["id"]})
        return _json({"jsonrpc": "2.0", "result": result, "id": body["id"]})

    def _call(self, method: str, values: list[Any], fault: str | None) -> Any:
        ledger = self._world.ledger
        if fault == "stale":
            with ledger.behind(self._chance.randint(1, _STALE_SLOTS)):
                return self._run(method, values)
        if fault == "no_search":
            raise RpcError(-32010, "excluded from account secondary indexes; this RPC method unavailable for key")
        if fault == "unindexed":
            with ledger.seen(View(history_slots_behind=self._chance.randint(1, _UNINDEXED_SLOTS))):
                return self._run(method, values)
        if fault == "partial_search":
            found = self._run(method, values)
            return found[: self._chance.randrange(len(found))] if found else found
        if fault == "unknown":
            with ledger.behind(ledger.slot - self._frozen_at_slot):
                return self._run(method, values)
        if fault == "old_blockhash":
            result = self._run(method, values)
            with ledger.behind(self._chance.randint(60, BLOCKHASH_AGE_BLOCKS - 5)):
                old = self._run(method, [{"commitment": "confirmed"}])
            return {"context": result["context"], "value": old["value"]}
        if fault == "fork":
            result = self._run(method, values)
            ledger.fork_later(self._chance.randint(1, _DEEPEST_FORK_SLOTS))
            return result
        if method == "sendTransaction" and fault in ("dropped", "delayed"):
            return self._send_badly(values, fault)
        return self._run(method, values)

    def _run(self, method: str, values: list[Any]) -> Any:
        found = METHODS[method]
        return found.handler(self._world.ledger, params.arguments(values, found.required, found.maximum))

    def _send_badly(self, values: list[Any], fault: str) -> Any:
        """The node takes the transaction, after running it first as always, and it lands late or never."""
        transaction = _transaction(values)
        outcome = self._world.ledger.simulate(transaction, "confirmed")
        if outcome.err is not None:
            return self._run("sendTransaction", values)  # which refuses it
        if fault == "delayed":
            wait = self._chance.choice((2, 10, 40, 140)) * self._chance.random() * SLOT_SECONDS
            self._world.scheduler.after(wait, lambda: self._land_late(transaction))
        return str(transaction.signatures[0])

    def _land_late(self, transaction: VersionedTransaction) -> None:
        with contextlib.suppress(Rejected):
            self._world.ledger.submit(transaction)


def _transaction(values: list[Any]) -> VersionedTransaction:
    return VersionedTransaction.from_bytes(base64.b64decode(values[0]))


def _json(answer: Any) -> Answer:
    return Answer(200, json.dumps(answer).encode())
