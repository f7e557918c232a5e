"""A job as the modules return it: plain values, the same keys whether it is real, predicted or over (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._clients import program as jobs_program
from .._clients.networks import NETWORKS
from .._clients.node import exposed_ports, service_url
from .money import nos

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._clients.networks import Network
    from .._clients.node import Port
    from .observation import ObservedJob
    from .plan import Desired
    from .verdict import Verdict


@dataclass(frozen=True)
class Cost:
    """Money of a job that only the run that posts it knows: None where it was not learned. NOS base units, lamports."""

    network_fee_base_units: int | None = None
    rent_lamports: int | None = None


def describe(
    job: ObservedJob, *, name: str | None, ports: Iterable[Port] | None, verdict: Verdict, network: Network, fee: int | None = None
) -> dict[str, Any]:
    """What is known of a job that exists. `ports` are what its definition exposes; `fee` is the network fee, if known."""
    account = job.account
    started = job.run.time_start if job.run is not None else account.time_start
    over = job.phase == "done" and not job.closed
    paid = jobs_program.paid(account.price, account.time_start, account.time_end, account.timeout_seconds) if over else None
    return {
        "address": job.address,
        "name": name,
        "status": verdict.status,
        "reason": verdict.reason,
        "message": verdict.sentence,
        "chain_state": "closed" if job.closed else job.phase,
        "exit_code": verdict.exit_code,
        "ops": verdict.ops,
        "market": account.market,
        "host": job.run.node if job.run is not None else account.node,
        "timeout": account.timeout_seconds,
        "time_started": started or None,
        "time_ended": account.time_end or None,
        "definition_cid": job.definition_cid,
        "result_cid": job.result_cid,
        "result_url": result_url(job.result_cid, network),
        "services": [] if job.phase == "done" else _services(ports, job.address, network),
        "explorer_url": _explorer_url(job.address, network),
        "cost": cost(None if job.closed else account.price, account.timeout_seconds, paid, Cost(fee, job.lamports or None)),
    }


def predict(desired: Desired, *, address: str, timeout_seconds: int, price: int, network: Network, known: Cost) -> dict[str, Any]:
    """The job as it will be right after posting: what check mode returns, with the keys of :func:`describe`."""
    return {
        "address": address,
        "name": desired.name,
        "status": "pending",
        "reason": None,
        "message": "The job would be posted.",
        "chain_state": "queued",
        "exit_code": None,
        "ops": [],
        "market": desired.market,
        "host": None,
        "timeout": timeout_seconds,
        "time_started": None,
        "time_ended": None,
        "definition_cid": desired.cid,
        "result_cid": None,
        "result_url": None,
        "services": _services(exposed_ports(desired.document), address, network),
        "explorer_url": _explorer_url(address, network),
        "cost": cost(price, timeout_seconds, None, known),
    }


def cost(price: int | None, timeout_seconds: int, paid: int | None, known: Cost | None = None) -> dict[str, Any]:
    """Price and deposit; what the host earned and what came back once the job is over. NOS base units, and NOS as text.

    price None: not known, because the account was closed.
    """
    known = known or Cost()
    deposit = None if price is None else jobs_program.deposit(price, timeout_seconds)
    return {
        "price_per_second_base_units": price,
        "deposit_base_units": deposit,
        "deposit_nos": None if deposit is None else nos(deposit),
        "network_fee_base_units": known.network_fee_base_units,
        "rent_lamports": known.rent_lamports,
        "paid_base_units": paid,
        "refund_base_units": None if paid is None or deposit is None else deposit - paid,
    }


def _services(ports: Iterable[Port] | None, address: str, network: Network) -> list[dict[str, Any]] | None:
    if ports is None:
        return None
    return [
        {"op": port.op_id, "port": port.number, "url": service_url(port.op_index, port.number, address, network.node_domain)}
        for port in ports
        if not port.private
    ]


def result_url(cid: str | None, network: Network) -> str | None:
    """Where a person reads the result: the public gateway, since the configured one may carry a key."""
    if cid is None:
        return None
    public = NETWORKS[network.name] if network.explorer_url else network
    return public.ipfs_gateway_urls[0].rstrip("/") + f"/{cid}"


def _explorer_url(address: str, network: Network) -> str | None:
    return f"{network.explorer_url}/jobs/{address}" if network.explorer_url else None


def gone(job: ObservedJob) -> dict[str, Any]:
    """What changes in the description of a job whose account was closed: the deposit is back in full."""
    account = job.account
    return {
        "status": "cancelled",
        "reason": "removed",
        "message": "The job was removed; deposit and rent were returned to its payer.",
        "chain_state": "gone",
        "cost": cost(account.price, account.timeout_seconds, 0),
    }
