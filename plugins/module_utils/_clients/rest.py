"""The Nosana REST API: which markets there are, the address behind a slug, and an account's credits."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeGuard

from .base58 import b58decode
from .errors import InvalidInput, NotFound, Refused, UnexpectedAnswer

if TYPE_CHECKING:
    from .http import Http, Response

LABEL = "Nosana API"
_ADVICE = "api_url or NOSANA_API_URL"
_BY_ADDRESS = "give the market's address instead of its slug"
# Far above what there is (some sixty markets, a few GPUs each), and little to print.
_MOST_MARKETS = 1_000
_KNOWN_SECONDS = 60
_MOST_GPU_TYPES = 50
_MOST_CHARACTERS = 100
_MOST_OF_ANYTHING = 10**12
_MOST_PERCENT = 1_000
_BASE_UNITS_PER_NOS = 10**6


@dataclass(frozen=True)
class MarketListing:
    """What the API says about a market; texts are without control characters, what it does not say is empty or None.

    `price` is in NOS base units a second. The chain decides what a job costs, so whoever has read the market there puts its price here.
    """

    address: str
    slug: str = ""
    name: str = ""
    type: str = ""
    gpu_types: tuple[str, ...] = ()
    min_vram_gb: Decimal | None = None
    price: int | None = None
    usd_per_hour: Decimal | None = None


@dataclass(frozen=True)
class Credits:
    """An account's credits in USD."""

    assigned: Decimal
    reserved: Decimal
    settled: Decimal

    @property
    def available(self) -> Decimal:
        """What jobs may still be posted for."""
        return self.assigned - self.reserved - self.settled


# (URL of the API, slug) → when it was read, by the monotonic clock, and the market's address.
KnownMarkets = dict[tuple[str, str], tuple[float, str]]


class Api:
    """The part of the REST API that the collection needs."""

    def __init__(self, http: Http, api_url: str, known: KnownMarkets | None = None) -> None:
        """`known` remembers the addresses of markets for a while, for whoever shares it."""
        self._http = http
        self._api_url = api_url.rstrip("/")
        self._known = {} if known is None else known

    def knows(self, market: str) -> bool:
        """Whether the address of a market is known without asking."""
        known = self._known.get((self._api_url, market))
        return is_address(market) or (known is not None and self._http.clock.monotonic() - known[0] < _KNOWN_SECONDS)

    async def resolve_market(self, market: str) -> str:
        """The address of a market given by slug or address; NotFound names the slugs that come close."""
        if is_address(market):
            return market
        key = (self._api_url, market)
        if self.knows(market):
            return self._known[key][1]
        listings = await self.listings()
        found = sorted({listing.address for listing in listings if listing.slug == market})
        if len(found) > 1:
            raise UnexpectedAnswer(f"The {LABEL} lists {len(found)} markets as {market}: {', '.join(found[:3])}; {_BY_ADDRESS}.")
        if not found:
            slugs = {listing.slug for listing in listings}
            close = difflib.get_close_matches(market, slugs, n=3, cutoff=0.3) or sorted(slugs)[:10]
            raise NotFound(f"There is no market {market[:80]!r}; close ones are {', '.join(close)}.")
        self._known[key] = (self._http.clock.monotonic(), found[0])
        return found[0]

    async def markets(self) -> dict[str, str]:
        """Address of each market by its slug."""
        return {listing.slug: listing.address for listing in await self.listings()}

    async def listings(self) -> list[MarketListing]:
        """All markets in the order of the answer; entries without a proper slug and address are left out."""
        return await self._http.request(
            "GET", f"{self._api_url}/api/markets/", _listings, label=LABEL, advice=f"{_ADVICE}, or give the market by its address"
        )

    async def credits(self, api_key: str) -> Credits:
        """The credits of the account that the key belongs to."""
        key = api_key.strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InvalidInput("api_key holds characters that no API key has; check api_key or NOSANA_API_KEY.")
        return await self._http.request(
            "GET", f"{self._api_url}/api/credits/balance", _credits, label=LABEL, advice=_ADVICE, headers={"Authorization": f"Bearer {key}"}
        )


def is_address(value: object) -> TypeGuard[str]:
    """Whether a text is a Solana address: the base58 of 32 bytes."""
    if not isinstance(value, str) or not 32 <= len(value) <= 44:
        return False
    try:
        return len(b58decode(value)) == 32
    except ValueError:
        return False


def _listings(response: Response) -> list[MarketListing]:
    if response.status != 200:
        raise Refused(f"The {LABEL} refuses the list of markets (HTTP {response.status}); {_BY_ADDRESS}.", status=response.status)
    try:
        entries = response.json()
    except UnexpectedAnswer:
        entries = None
    if not isinstance(entries, list):
        raise UnexpectedAnswer(f"The {LABEL} answered no list of markets; {_BY_ADDRESS}.")
    if len(entries) > _MOST_MARKETS:
        raise UnexpectedAnswer(f"The {LABEL} answered more than {_MOST_MARKETS} markets, which cannot be true; {_BY_ADDRESS}.")
    return [listing for listing in map(_listing, entries) if listing is not None]


def _credits(response: Response) -> Credits:
    if response.status in (401, 403):
        raise Refused(f"The {LABEL} refuses the API key (HTTP {response.status}); check api_key or NOSANA_API_KEY.", status=response.status)
    if response.status != 200:
        raise Refused(f"The {LABEL} refuses the balance of credits (HTTP {response.status}); check {_ADVICE}.", status=response.status)
    answer = response.json()
    amounts = [_number(answer.get(f"{word}Credits")) if isinstance(answer, dict) else None for word in ("assigned", "reserved", "settled")]
    assigned, reserved, settled = amounts
    if assigned is None or reserved is None or settled is None:
        raise UnexpectedAnswer(f"The {LABEL} answered a balance of credits that cannot be read; check {_ADVICE}.")
    return Credits(assigned, reserved, settled)


def _listing(entry: Any) -> MarketListing | None:
    """One entry of the answer; None when it has no slug and address to name it by."""
    if not isinstance(entry, dict) or not is_address(entry.get("address")):
        return None
    slug = entry.get("slug")
    if not isinstance(slug, str) or not 0 < len(slug) <= _MOST_CHARACTERS or not slug.isprintable() or is_address(slug):
        return None
    gpus = entry.get("gpu_types")
    price = _number(entry.get("nos_job_price_per_second"))
    return MarketListing(
        address=entry["address"],
        slug=slug,
        name=_printable(entry.get("name")),
        type=_printable(entry.get("type")),
        gpu_types=tuple(text for text in map(_printable, gpus[:_MOST_GPU_TYPES]) if text) if isinstance(gpus, list) else (),
        min_vram_gb=_number(entry.get("lowest_vram")) or None,  # 0 stands for "not known"
        price=None if price is None else round(price * _BASE_UNITS_PER_NOS),
        usd_per_hour=_usd_per_hour(entry),
    )


def _usd_per_hour(entry: Mapping[str, Any]) -> Decimal | None:
    """What an hour costs: the host's reward and the network's fee on top."""
    reward, fee = _number(entry.get("usd_reward_per_hour")), _number(entry.get("network_fee_percentage"), most=_MOST_PERCENT)
    return None if reward is None else reward * (100 + (fee or 0)) / 100


def _printable(value: Any) -> str:
    return "".join(character for character in value[:_MOST_CHARACTERS] if character.isprintable()) if isinstance(value, str) else ""


def _number(value: Any, *, most: int = _MOST_OF_ANYTHING) -> Decimal | None:
    """An amount as it was written; None for what is none: another type, negative, not finite, or beyond all reason."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = Decimal(str(value))
    return number.copy_abs() if number.is_finite() and 0 <= number <= most else None  # copy_abs: there is a -0.0
