"""What nosana_market_info and nosana_wallet_info do, without knowing Ansible; reads only."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .._clients import program as jobs_program
from .._clients.errors import InvalidInput, Refused, UnexpectedAnswer, Unreachable
from .._clients.rest import MarketListing, is_address
from .chain import check_network, read_markets, read_time
from .markets import Standing, Wish, fits, per_hour, rank, standings
from .money import nos, sol

if TYPE_CHECKING:
    from .._clients.networks import Network
    from .._clients.rest import Api, Credits
    from .._clients.rpc import Rpc

_MICRO_USD = Decimal("0.000001")
_MOST_NAMED = 5


@dataclass(frozen=True)
class MarketQuery:
    """Which markets are asked for; `kind` is the API's type, `available` asks for those where a host waits, `hosts` for their addresses too."""

    name: str | None = None
    address: str | None = None
    wish: Wish = field(default_factory=Wish)
    kind: str | None = None
    available: bool = False
    hosts: bool = False

    def admits(self, listing: MarketListing) -> bool:
        """Whether the market is asked for, as far as a listing tells."""
        return (
            (self.name is None or listing.slug == self.name)
            and (self.address is None or listing.address == self.address)
            and (self.kind is None or listing.type == self.kind)
            and fits(listing, self.wish)
        )


# --- markets ---------------------------------------------------------------------------------------------------------


async def market_info(network: Network, rpc: Rpc, api: Api, query: MarketQuery) -> tuple[list[dict[str, Any]], list[str]]:
    """The markets that are asked for, cheapest first, and warnings. The API names them; price and queue are the chain's."""
    if query.address is not None and not is_address(query.address):
        raise InvalidInput(f"id is {query.address[:80]!r}, and a market's address is the base58 of 32 bytes; give a slug as name.")
    listings, warnings = await _listings(api, query)
    # The price of a listing is not the chain's, so it does not yet decide.
    before = replace(query, wish=replace(query.wish, max_price=None))
    listings = [listing for listing in listings if before.admits(listing)]
    on_chain = await read_markets(rpc, network, [listing.address for listing in listings])
    missing = sorted({listing.slug for listing in listings if listing.slug and listing.address not in on_chain})
    if missing:
        await check_network(rpc, network)
        warnings.append(
            f"{len(missing)} markets of the Nosana API are not on {network.name}, and are left out: {', '.join(missing[:_MOST_NAMED])}."
        )
    standing, found = standings(on_chain), []
    for listing in listings:
        stands = standing.get(listing.address)
        if stands is None:
            continue
        priced = replace(listing, price=stands.price)
        if query.admits(priced) and (stands.waiting_hosts > 0 or not query.available):
            described = _describe(priced, on_chain[listing.address], stands)
            if query.hosts:
                described["hosts"] = list(on_chain[listing.address].queue) if stands.waiting_hosts else []
            found.append((rank(priced, stands), described))
    return [description for _rank, description in sorted(found, key=lambda pair: pair[0])], warnings


async def _listings(api: Api, query: MarketQuery) -> tuple[list[MarketListing], list[str]]:
    """What the API lists. A market that is asked for by address needs no API: without one, only the chain's part is known."""
    if query.address is None:
        return list(dict.fromkeys(await api.listings())), []
    try:
        listings = [listing for listing in await api.listings() if listing.address == query.address]
    except (Unreachable, Refused, UnexpectedAnswer) as error:
        return [MarketListing(query.address)], [f"Name, type and GPUs of the market are not known: {error}"]
    return list(dict.fromkeys(listings)) or [MarketListing(query.address)], []


def _describe(listing: MarketListing, market: jobs_program.Market, stands: Standing) -> dict[str, Any]:
    return {
        "address": listing.address,
        "slug": listing.slug or None,
        "name": listing.name or None,
        "type": listing.type or None,
        "gpu_types": list(listing.gpu_types),
        "min_vram_gb": None if listing.min_vram_gb is None else float(listing.min_vram_gb),
        "price_per_second_base_units": stands.price,
        "price_per_second_nos": nos(stands.price),
        "price_per_hour_base_units": per_hour(stands.price),
        "price_per_hour_nos": nos(per_hour(stands.price)),
        "price_per_hour_usd": None if listing.usd_per_hour is None else _usd(listing.usd_per_hour),
        "timeout": market.job_timeout_seconds,
        "waiting_hosts": stands.waiting_hosts,
        "queued_jobs": stands.queued_jobs,
    }


# --- wallet ----------------------------------------------------------------------------------------------------------


async def wallet_info(network: Network, rpc: Rpc, api: Api, *, address: str, api_key: str | None) -> tuple[dict[str, Any], list[str]]:
    """What a wallet has, what its jobs hold, and warnings. Nothing of it needs the wallet's key."""
    if not is_address(address):
        raise InvalidInput(f"address is {address[:80]!r}, and a wallet's address is the base58 of 32 bytes.")
    token_account = jobs_program.token_account(address, network.nos_mint)
    _checked, lamports, base_units, balance, (jobs, warnings) = await asyncio.gather(
        check_network(rpc, network),
        rpc.get_balance(address),
        rpc.get_token_balance(token_account),
        _credits(api, api_key),
        _jobs(network, rpc, address),
    )
    return {
        "address": address,
        "sol_lamports": lamports,
        "sol": sol(lamports),
        "nos_base_units": base_units or 0,
        "nos": nos(base_units or 0),
        "nos_token_account": token_account,
        "nos_token_account_exists": base_units is not None,
        "credits": None if balance is None else _describe_credits(balance),
        **jobs,
    }, warnings


async def _credits(api: Api, api_key: str | None) -> Credits | None:
    return await api.credits(api_key) if api_key else None


async def _jobs(network: Network, rpc: Rpc, payer: str) -> tuple[dict[str, Any], list[str]]:
    """What the jobs that the wallet has paid for hold of its money; null and one warning where the RPC node does not list accounts."""
    try:
        waiting = await _paid_by(network, rpc, payer, jobs_program.JOB_QUEUED)
        stopped, done = await asyncio.gather(
            _paid_by(network, rpc, payer, jobs_program.JOB_STOPPED), _paid_by(network, rpc, payer, jobs_program.JOB_DONE)
        )
    except (Refused, Unreachable) as error:
        return {"deposits": None, "rent": None}, [
            f"Deposits and rent are not known, because the jobs of the wallet cannot be listed: {error} "
            "Set rpc_url to a node that allows getProgramAccounts."
        ]
    deposits = [jobs_program.deposit(job.price, job.timeout_seconds) for job, _rent in (*waiting, *stopped)]
    markets, now = await asyncio.gather(read_markets(rpc, network, [job.market for job, _rent in done]), read_time(rpc))
    free: list[int] = []
    bound: list[int] = []
    for job, rent in done:
        market = markets.get(job.market)
        closable = market is not None and market.job_expiration_seconds < now - job.time_end
        (free if closable else bound).append(rent)
    return {
        "deposits": {"jobs": len(deposits), "base_units": sum(deposits), "nos": nos(sum(deposits))},
        "rent": {"now": _describe_rent(free), "later": _describe_rent(bound)},
    }, []


async def _paid_by(network: Network, rpc: Rpc, payer: str, state: int) -> list[tuple[jobs_program.Job, int]]:
    """The jobs in that state which the wallet has paid for, each with the lamports of its account."""
    filters = jobs_program.job_filters(payer=payer, state=state)
    accounts = dict(await rpc.get_program_accounts(network.jobs_program, filters=filters))
    jobs = []
    for address, account in accounts.items():
        job = jobs_program.decode_job(account.data)
        if account.owner != network.jobs_program or job.payer != payer or job.state != state:
            raise UnexpectedAnswer(
                f"The Solana RPC node lists {address[:44]!r} among jobs that it does not belong to; use another rpc_url."
            )
        jobs.append((job, account.lamports))
    return jobs


def _describe_rent(rents: list[int]) -> dict[str, Any]:
    return {"jobs": len(rents), "lamports": sum(rents), "sol": sol(sum(rents))}


def _describe_credits(balance: Credits) -> dict[str, Any]:
    return {
        "assigned_usd": _usd(balance.assigned),
        "reserved_usd": _usd(balance.reserved),
        "settled_usd": _usd(balance.settled),
        "available_usd": _usd(balance.available),
    }


def _usd(amount: Decimal) -> str:
    """USD as plain decimal text, to the millionth."""
    return f"{amount.quantize(_MICRO_USD).normalize():f}"
