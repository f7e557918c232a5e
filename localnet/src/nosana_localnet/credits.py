"""The REST API's credits: every API key has the same, and nothing here uses them up."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Final

from aiohttp import web

ASSIGNED_USD: Final = 10.5  # invented: nothing here costs anything


def routes() -> list[web.RouteDef]:
    """GET /api/credits/balance."""

    async def balance(request: web.Request) -> web.Response:
        if not request.headers.get("Authorization", "").startswith("Bearer nos_"):
            return web.json_response({"error": "Unauthorized"}, status=401)
        return web.json_response({"assignedCredits": ASSIGNED_USD, "reservedCredits": 0, "settledCredits": 0})

    return [web.get("/api/credits/balance", balance)]
