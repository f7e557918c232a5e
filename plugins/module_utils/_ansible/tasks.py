"""From options to the job service and back: builds the clients, runs one task, returns plain values; knows no AnsibleModule."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from .._clients.clock import Clock, SystemClock
from .._clients.errors import InvalidInput, NosanaError
from .._clients.http import Http
from .._clients.ipfs import Ipfs
from .._clients.networks import NETWORKS, Network
from .._clients.node import NodeApi
from .._clients.rest import Api
from .._clients.rpc import Rpc
from .._clients.transaction import Sender
from .._clients.wallet import load_wallet
from .._jobs.definition import declare, parse, redact, short_form
from .._jobs.service import Declaration, JobService, Outcome, Wait, WaitFor

Params = Mapping[str, Any]
# Told the secrets of definitions that are read from IPFS, so that they are masked in logs and messages too.
Learn = Callable[[list[str]], None]

# Option → field of Network: each may be set on its own, so that a private RPC node or gateway serves any network.
_ENDPOINTS = ("rpc_url", "ipfs_api_url", "ipfs_gateway_url", "api_url", "node_domain")


@dataclass
class TaskResult:
    """What a task gives back. With a failure the values are returned beside the message, so that nothing done is lost."""

    values: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    failure: NosanaError | None = None


async def job_task(params: Params, *, check_mode: bool, clock: Clock | None = None, learn: Learn | None = None) -> TaskResult:
    """nosana_job."""
    warnings: list[str] = []
    if params["state"] == "absent":
        name = _name_to_remove(params)
        async with _service(params, warnings, clock, learn) as service:
            outcome = await service.absent(name, dry_run=check_mode)
    else:
        declaration = _declaration(params, warnings)
        async with _service(params, warnings, clock, learn) as service:
            outcome = await service.present(declaration, wait=_wait(params), dry_run=check_mode)
    return _result(outcome, warnings)


async def job_info_task(params: Params, *, clock: Clock | None = None, learn: Learn | None = None) -> TaskResult:
    """nosana_job_info."""
    warnings: list[str] = []
    async with _service(params, warnings, clock, learn) as service:
        jobs, more = await service.info(
            name=params["name"], address=params["id"], statuses=params["status"] or [], include=params["include"]
        )
    for job in jobs:
        if job.get("job_definition"):
            job["job_definition"] = redact(job["job_definition"])
    return TaskResult({"changed": False, "jobs": jobs}, warnings + more)


@asynccontextmanager
async def _service(params: Params, warnings: list[str], clock: Clock | None, learn: Learn | None) -> AsyncIterator[JobService]:
    """The job service with all its clients; the connections are closed at the end."""
    if not params["wallet"]:
        raise InvalidInput("wallet is missing: give the path of a key file, or set NOSANA_WALLET.")
    wallet = load_wallet(params["wallet"])
    warnings += wallet.warnings
    network = _network(params)
    clock = clock or SystemClock()
    async with Http(clock) as http:
        rpc = Rpc(http, network.rpc_url)
        yield JobService(
            network=network,
            wallet=wallet.keypair,
            rpc=rpc,
            ipfs=Ipfs(http, network.ipfs_api_url, network.ipfs_gateway_url, params["ipfs_jwt"] or None),
            api=Api(http, network.api_url),
            node_api=NodeApi(http),
            sender=Sender(rpc, clock),
            clock=clock,
            learn=learn,
        )


def _network(params: Params) -> Network:
    return replace(NETWORKS[params["network"]], **{name: params[name] for name in _ENDPOINTS if params[name]})


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
    if params["timeout"] is not None and params["timeout"] <= 0:
        raise InvalidInput(f"timeout is {params['timeout']}, and must be a number of seconds above 0.")
    return Declaration(declared.name, declared.document, params["market"], params["timeout"], params["on_change"])


def _name_to_remove(params: Params) -> str:
    """state=absent needs the name only; a definition may be left in the task, so that present and absent differ in one word."""
    if params["job_definition"] is not None:
        return declare(parse(params["job_definition"]), params["name"]).name
    if not params["name"]:
        raise InvalidInput("name is missing: say which job is to be absent.")
    name: str = params["name"]
    return name


def _wait(params: Params) -> Wait:
    if params["wait_timeout"] < 0 or params["wait_sleep"] <= 0:
        raise InvalidInput("wait_timeout must be at least 0 and wait_sleep above 0, both in seconds.")
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
        "diff": {"before": outcome.before, "after": outcome.after},
    }
    return TaskResult(values, warnings + outcome.warnings, outcome.failure)
