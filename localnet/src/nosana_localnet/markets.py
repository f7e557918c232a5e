"""The REST API's markets: what the dashboard knows of them, with price and waiting hosts as they stand on chain."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from . import idl
from .genesis import JOBS_PROGRAM, MARKETS, MarketSpec
from .ledger import Ledger

USD_PER_NOS: Final = 0.35  # invented: nothing here costs anything
QUEUE_OF_NODES: Final = 1


def describe(ledger: Ledger, market: MarketSpec, fee_fraction: int = 0) -> dict[str, Any]:
    """One market in the shape of the real API."""
    account = ledger.account(market.address)
    chain = idl.decode_account("MarketAccount", account.data) if account is not None else {}
    nos_per_second = chain.get("job_price", market.price) / 1e6
    waiting = [str(node) for node in chain.get("queue", [])] if chain.get("queue_type") == QUEUE_OF_NODES else []
    return {
        "address": str(market.address),
        "slug": market.slug,
        "name": market.name,
        "sft": None,
        "type": market.type,
        "usd_reward_per_hour": round(nos_per_second * 3600 * USD_PER_NOS, 4),
        "nos_reward_per_second": nos_per_second,
        "nos_job_price_per_second": nos_per_second,
        "network_fee_percentage": 100 / fee_fraction if fee_fraction else 0,
        "premium_community_relation": None,
        "gpu_types": list(market.gpus),
        "required_images": [],
        "required_remote_resources": [],
        "nodes": waiting,
        "client": True,
        "lowest_vram": market.vram_gb,
        "max_usd_uptime_reward_per_day": 0,
    }


def routes(ledger: Ledger, fee_fraction: int = 0) -> list[web.RouteDef]:
    """GET /api/markets/ and what hangs below it."""
    public = [market for market in MARKETS if market.program == JOBS_PROGRAM]

    def find(key: str) -> MarketSpec:
        for market in public:
            if key in (market.slug, str(market.address)):
                return market
        raise web.HTTPNotFound(text='{"name": "NotFound", "message": "Market not found"}', content_type="application/json")

    async def list_all(request: web.Request) -> web.Response:
        kind, limit = request.query.get("type"), request.query.get("limit", "")
        found = [describe(ledger, market, fee_fraction) for market in public if kind in (None, market.type)]
        return web.json_response(found[: int(limit)] if limit.isdigit() else found)

    async def detail(request: web.Request) -> web.Response:
        return web.json_response(describe(ledger, find(request.match_info["market"]), fee_fraction))

    async def resources(request: web.Request) -> web.Response:
        find(request.match_info["market"])
        return web.json_response({"required_images": [], "required_remote_resources": []})

    return [
        web.get("/api/markets", list_all),
        web.get("/api/markets/", list_all),
        web.get("/api/markets/{market}", detail),
        web.get("/api/markets/{market}/", detail),
        web.get("/api/markets/{market}/required-resources", resources),
    ]
