"""The Nosana REST API: which markets there are, and the address behind a slug."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from .base58 import b58decode
from .errors import NotFound, Refused, UnexpectedAnswer

if TYPE_CHECKING:
    from .http import Http

LABEL = "Nosana API"


class Api:
    """The public part of the REST API."""

    def __init__(self, http: Http, api_url: str) -> None:
        self._http = http
        self._api_url = api_url.rstrip("/")

    async def resolve_market(self, market: str) -> str:
        """The address of a market given by slug or address; NotFound names the slugs that come close."""
        if is_address(market):
            return market
        slugs = await self.markets()
        if market not in slugs:
            close = difflib.get_close_matches(market, slugs, n=3, cutoff=0.3) or sorted(slugs)[:10]
            raise NotFound(f"There is no market {market[:80]!r}; close ones are {', '.join(close)}.")
        return slugs[market]

    async def markets(self) -> dict[str, str]:
        """Address of each market by its slug."""
        response = await self._http.request(
            "GET", f"{self._api_url}/api/markets/", label=LABEL, advice="api_url or NOSANA_API_URL, or give the market by its address"
        )
        if response.status != 200:
            raise Refused(
                f"The {LABEL} refuses the list of markets (HTTP {response.status}); give the market's address instead of its slug."
            )
        entries = response.json()
        if not isinstance(entries, list):
            raise UnexpectedAnswer(f"The {LABEL} answered no list of markets; give the market's address instead of its slug.")
        return {
            entry["slug"]: entry["address"]
            for entry in entries
            if isinstance(entry, dict) and isinstance(entry.get("slug"), str) and is_address(entry.get("address"))
        }


def is_address(value: object) -> bool:
    """Whether a text is a Solana address: the base58 of 32 bytes."""
    if not isinstance(value, str) or not 32 <= len(value) <= 44:
        return False
    try:
        return len(b58decode(value)) == 32
    except ValueError:
        return False
