"""From options to the job service and back: builds the clients, runs one task, returns plain values; knows no AnsibleModule."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from .._clients.clock import Clock, SystemClock
from .._clients.errors import InvalidInput, NosanaError
from .._clients.http import Http
from .._clients.ipfs import Ipfs
from .._clients.networks import NETWORKS, Network
from .._clients.node import NodeApi
from .._clients.pubsub import PubSub
from .._clients.rest import Api, is_address
from .._clients.rpc import Rpc
from .._clients.transaction import HIGHEST_PRIORITY_FEE, PriorityFee, Sender
from .._clients.wallet import Wallet, load_wallet
from .._jobs.cache import Cache
from .._jobs.definition import declare, parse, redact, short_form
from .._jobs.info import MarketQuery, market_info, wallet_info
from .._jobs.lookup import JobLookup, Memory, Query
from .._jobs.markets import Wish, parse_wish
from .._jobs.progress import Tell
from .._jobs.service import MOST_TIMEOUT_SECONDS, Declaration, JobService, Outcome, Wait, WaitFor
from .session import Session
from .signals import signals_cancel

Params = Mapping[str, Any]
# Told the secrets of definitions that are read from IPFS, so that they are masked in logs and messages too.
Learn = Callable[[list[str]], None]

_LONGEST_SLEEP_SECONDS = 3600

# Strategy → percentile of the recent fees (facts §12.1).
_PERCENTILES = {"low": 25.0, "medium": 50.0, "high": 75.0}

# Option → field of Network: each may be set on its own, so that a private RPC node or gateway serves any network.
_ENDPOINTS = {
    "rpc_url": "rpc_urls",
    "ipfs_api_url": "ipfs_api_url",
    "ipfs_gateway_url": "ipfs_gateway_urls",
    "api_url": "api_url",
    "node_domain": "node_domain",
}


@dataclass
class TaskResult:
    """What a task gives back. With a failure the values are returned beside the message, so that nothing done is lost.

    incomplete: something that was wanted could not be read; a warning says what.
    """

    values: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    failure: NosanaError | None = None
    incomplete: bool = False


async def job_task(
    params: Params,
    *,
    check_mode: bool,
    clock: Clock | None = None,
    learn: Learn | None = None,
    session: Session | None = None,
    tell: Tell | None = None,
) -> TaskResult:
    """nosana_job. `tell` is told, line by line, how things stand while a job is waited for; it has to mask secrets. `session`: what tasks of
    one process share; without one a task makes, and closes, its own connections.
    """
    warnings: list[str] = []
    if params["id"] and (params["state"] != "absent" or params["purge"]):
        raise InvalidInput("id names a job to remove, so it goes with state=absent, and without purge, which goes by name.")
    if params["state"] == "absent" and params["id"]:
        address = _address(params["id"], "id")
        async with _service(params, warnings, clock, learn, session) as service:
            outcome = await service.remove(address, dry_run=check_mode)
    elif params["state"] == "absent":
        name = _name_to_remove(params)
        async with _service(params, warnings, clock, learn, session) as service:
            outcome = await service.absent(name, dry_run=check_mode, purge=params["purge"])
    else:
        declaration = _declaration(params, warnings)
        async with _service(params, warnings, clock, learn, session, tell) as service:
            outcome = await service.present(declaration, wait=_wait(params), dry_run=check_mode)
    return _result(outcome, warnings)


async def job_info_task(
    params: Params,
    *,
    clock: Clock | None = None,
    learn: Learn | None = None,
    session: Session | None = None,
    memory: Memory | None = None,
    ended_within: float | None = None,
) -> TaskResult:
    """nosana_job_info. `memory` and `ended_within` are for whoever looks again and again (_jobs/lookup.py)."""
    warnings: list[str] = []
    if params["limit"] < 1:
        raise InvalidInput(f"limit is {params['limit']}, and must be at least 1.")
    address = _address(params["id"], "id") if params["id"] else None
    wallet = _wallet(params, warnings)
    async with _connect(params, clock, session) as to:
        if memory:
            to.rpc.not_before(memory.slot)
        query = Query(
            name=params["name"],
            address=address,
            statuses=params["status"] or [],
            market=await to.api.resolve_market(params["market"]) if params["market"] else None,
            include=params["include"],
            limit=params["limit"],
            ended_within=ended_within,
        )
        lookup = JobLookup(
            network=to.network,
            wallet=wallet.keypair,
            rpc=to.rpc,
            ipfs=to.ipfs(params),
            clock=to.clock,
            cache=Cache.of(os.environ),
            learn=learn,
            memory=memory,
        )
        jobs, more = await lookup.find(query)
        incomplete = bool(lookup.unread)
        if memory:
            memory.slot = max(memory.slot, to.rpc.slot)
    for job in jobs:
        if job.get("job_definition"):
            job["job_definition"] = redact(job["job_definition"])
    return TaskResult({"changed": False, "jobs": jobs}, warnings + more, incomplete=incomplete)


async def market_info_task(params: Params, *, clock: Clock | None = None, session: Session | None = None) -> TaskResult:
    """nosana_market_info."""
    wished = {key: params[key] for key in ("gpu", "max_price", "min_vram") if params[key] is not None}
    query = MarketQuery(
        name=params["name"],
        address=params["id"],
        wish=parse_wish(wished, where="") if wished else Wish(),
        kind=params["type"],
        available=params["available"],
        hosts="hosts" in params["include"],
    )
    async with _connect(params, clock, session) as to:
        markets, warnings = await market_info(to.network, to.rpc, to.api, query)
    return TaskResult({"changed": False, "markets": markets}, warnings)


async def wallet_info_task(params: Params, *, clock: Clock | None = None, session: Session | None = None) -> TaskResult:
    """nosana_wallet_info. The wallet is read for its address only, and not at all when an address is given."""
    warnings: list[str] = []
    address = params["address"] or _wallet(params, warnings, also="or an address").address
    async with _connect(params, clock, session) as to:
        wallet, more = await wallet_info(to.network, to.rpc, to.api, address=address, api_key=params["api_key"] or None)
    return TaskResult({"changed": False, "wallet": wallet}, warnings + more)


@dataclass(frozen=True)
class _Connection:
    """A network and the clients for it that every module needs."""

    network: Network
    clock: Clock
    http: Http
    rpc: Rpc
    api: Api

    def ipfs(self, params: Params) -> Ipfs:
        """The client of the pinning service and the gateway."""
        return Ipfs(self.http, self.network.ipfs_api_url, self.network.ipfs_gateway_urls, params["ipfs_jwt"] or None)


@asynccontextmanager
async def _connect(params: Params, clock: Clock | None, session: Session | None) -> AsyncIterator[_Connection]:
    """The clients for the network that the options name; the connections are closed at the end."""
    network = _network(params)
    clock = clock or SystemClock()
    async with Http(clock, connections=session.connections() if session else None) as http:
        rpc = Rpc(http, network.rpc_urls, genesis_hash=network.genesis_hash)
        yield _Connection(network, clock, http, rpc, Api(http, network.api_url, session.markets if session else None))


@asynccontextmanager
async def _service(
    params: Params, warnings: list[str], clock: Clock | None, learn: Learn | None, session: Session | None, tell: Tell | None = None
) -> AsyncIterator[JobService]:
    """The job service with all its clients."""
    priority = _priority_fee(params["priority_fee"])
    wallet = _wallet(params, warnings)
    async with _connect(params, clock, session) as to:
        yield JobService(
            network=to.network,
            wallet=wallet.keypair,
            rpc=to.rpc,
            ipfs=to.ipfs(params),
            api=to.api,
            node_api=NodeApi(to.http),
            sender=Sender(to.rpc, to.clock, priority),
            clock=to.clock,
            cache=Cache.of(os.environ),
            learn=learn,
            pubsub=PubSub(to.network.rpc_urls, to.clock),
            tell=tell,
            waiting=signals_cancel,
            foresight=session.foresight if session else None,
        )


def _wallet(params: Params, warnings: list[str], *, also: str = "") -> Wallet:
    if not params["wallet"]:
        raise InvalidInput(f"wallet is missing: give the path of a key file, {also + ', ' if also else ''}or set NOSANA_WALLET.")
    wallet = load_wallet(params["wallet"])
    warnings += wallet.warnings
    return wallet


def _network(params: Params) -> Network:
    given = {field: params[option] for option, field in _ENDPOINTS.items() if params[option]}
    lists = {
        field: tuple(url for url in (part.strip() for part in value) if url) for field, value in given.items() if isinstance(value, list)
    }
    return replace(NETWORKS[params["network"]], **(given | lists))


def _declaration(params: Params, warnings: list[str]) -> Declaration:
    if params["job_definition"] is not None:
        document = parse(params["job_definition"])
    elif params["image"]:
        document = short_form(
            image=params["image"],
            command=params["command"],
            env=params["env"],
            expose=params["expose"],
            gpu=params["gpu"],
            name=params["name"],
        )
    else:
        raise InvalidInput("Neither job_definition nor image is given: say what the job runs.")
    declared = declare(document, params["name"])
    warnings += declared.warnings
    if not params["market"]:
        raise InvalidInput("market is missing: name the market to post in by slug or address, or set NOSANA_MARKET.")
    if params["timeout"] is not None and not 0 < params["timeout"] <= MOST_TIMEOUT_SECONDS:
        raise InvalidInput(f"timeout is {params['timeout']}, and must be a number of seconds from 1 to {MOST_TIMEOUT_SECONDS}.")
    return Declaration(
        declared.name,
        declared.document,
        _market(params["market"]),
        params["timeout"],
        params["on_change"],
        params["rerun"],
        _address(params["node"], "node") if params["node"] else None,
        _max_cost(params["max_cost"]),
    )


def _market(value: Any) -> str | Wish:
    """A slug, an address, or a wish: a dictionary, or the same as JSON text, which is how it comes from an environment variable."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise InvalidInput("market starts like a JSON object and is none.") from None
    if isinstance(value, dict):
        return parse_wish(value)
    if not isinstance(value, str):
        raise InvalidInput("market must be a slug, an address, or a dictionary such as {gpu: 4090, max_price: 0.5}.")
    return value


def _address(value: str, option: str) -> str:
    if not is_address(value):
        raise InvalidInput(f"{option} must be an address on the chain, and {value[:80]!r} is none.")
    return value


def _max_cost(value: str | None) -> int | None:
    """NOS as it was written, in base units."""
    if value is None or value == "":
        return None
    try:
        amount = Decimal(value)
        base_units = int(amount.scaleb(6)) if amount.is_finite() and 0 <= amount < 10**12 else -1
    except (InvalidOperation, ValueError):
        base_units = -1
    if base_units < 0:
        raise InvalidInput(f"max_cost is {value[:40]!r}, and must be an amount of NOS such as 0.5.")
    return base_units


def _priority_fee(value: str) -> PriorityFee:
    if value in _PERCENTILES:
        return PriorityFee(percentile=_PERCENTILES[value])
    if value.isascii() and value.isdigit() and len(value) < 12:
        if int(value) > HIGHEST_PRIORITY_FEE:
            raise InvalidInput(f"priority_fee is {value}, and must be at most {HIGHEST_PRIORITY_FEE} micro-lamports for each compute unit.")
        return PriorityFee(fixed=int(value))
    raise InvalidInput(
        f"priority_fee is {value[:40]!r}, and must be low, medium, high, or a number of micro-lamports for each compute unit."
    )


def _name_to_remove(params: Params) -> str:
    """state=absent needs the name only; a definition may be left in the task, so that present and absent differ in one word."""
    if params["job_definition"] is not None:
        return declare(parse(params["job_definition"]), params["name"]).name
    if not params["name"]:
        raise InvalidInput("name is missing: say which job is to be absent.")
    name: str = params["name"]
    return name


def _wait(params: Params) -> Wait:
    if params["wait_timeout"] < 0 or not 0 < params["wait_sleep"] <= _LONGEST_SLEEP_SECONDS:
        raise InvalidInput(
            f"wait_timeout must be at least 0, and wait_sleep above 0 and at most {_LONGEST_SLEEP_SECONDS}, both in seconds."
        )
    goal: WaitFor = "completed" if params["wait_for_completion"] else params["wait_for"] or "posted"
    return Wait(goal, params["wait_timeout"], params["wait_sleep"])


def _result(outcome: Outcome, warnings: list[str]) -> TaskResult:
    job = outcome.job
    values: dict[str, Any] = {
        "changed": outcome.changed,
        "id": job["address"] if job else None,
        "status": job.get("status") if job else None,
        "job": job,
        "actions": [action.as_dict() for action in outcome.actions],
        "balance_change": None if outcome.balance_change is None else outcome.balance_change.as_dict(),
        "diff": {"before": outcome.before, "after": outcome.after},
    }
    return TaskResult(values, warnings + outcome.warnings, outcome.failure)
