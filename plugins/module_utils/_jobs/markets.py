"""What somebody wishes of a market, and the cheapest market that fits (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from difflib import SequenceMatcher
from typing import NamedTuple

from .._clients import program as jobs_program
from .._clients.errors import InvalidInput, NotFound
from .._clients.rest import MarketListing
from .money import nos

SECONDS_PER_HOUR = 3600
_KEYS = ("gpu", "max_price", "min_vram")
_MOST_CHARACTERS = 100


@dataclass(frozen=True)
class Wish:
    """What a market has to be like; None asks for nothing.

    gpu: words that a GPU type, the name or the slug of the market holds, such as "rtx 4090".
    max_price: the highest price, in NOS per hour.
    min_vram: the least video memory of its hosts, in GB.
    """

    gpu: str | None = None
    max_price: Decimal | None = None
    min_vram: Decimal | None = None

    def __str__(self) -> str:
        parts = [
            self.gpu and f"gpu {self.gpu!r}",
            self.max_price is not None and f"max_price {self.max_price:f} NOS per hour",
            self.min_vram is not None and f"min_vram {self.min_vram:f} GB",
        ]
        return ", ".join(part for part in parts if part)


class Standing(NamedTuple):
    """How a market stands on the chain: hosts that wait for jobs, jobs that wait for hosts, NOS base units a second."""

    waiting_hosts: int
    queued_jobs: int
    price: int


def parse_wish(value: object, *, where: str = "market") -> Wish:
    """From a dict such as {"gpu": "4090", "max_price": 1.5}; `where` is the option that holds it, "" where its keys are options themselves."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{where or 'The wish'} must be a dictionary with one or more of {', '.join(_KEYS)}.")
    unknown = sorted(str(key)[:40] for key in value if key not in _KEYS)
    if unknown:
        raise InvalidInput(f"{where or 'The wish'} has the unknown key {unknown[0]!r}; the keys are {', '.join(_KEYS)}.")
    given = {key: entry for key, entry in value.items() if entry is not None}
    if not given:
        raise InvalidInput(f"{where or 'The wish'} asks for nothing; give one or more of {', '.join(_KEYS)}.")
    prefix = f"{where}." if where else ""
    return Wish(
        gpu=_gpu(given["gpu"], f"{prefix}gpu") if "gpu" in given else None,
        max_price=_amount(given["max_price"], f"{prefix}max_price", "NOS per hour") if "max_price" in given else None,
        min_vram=_amount(given["min_vram"], f"{prefix}min_vram", "GB") if "min_vram" in given else None,
    )


def fits(market: MarketListing, wish: Wish) -> bool:
    """Whether the market is as wished. What is not known of a market does not fit a wish for it."""
    return not _misses(market, wish)


def choose(markets: Iterable[MarketListing], wish: Wish, waiting: Mapping[str, Standing]) -> MarketListing:
    """The cheapest market that fits; of equally cheap ones that where more hosts wait, then the first slug of the alphabet.

    `waiting` is the standing by address; a market that is not in it cannot be posted in. The market returned has the chain's price.
    """
    known = [replace(market, price=waiting[market.address].price) for market in markets if market.address in waiting]
    fitting = [market for market in known if fits(market, wish)]
    if fitting:
        return min(fitting, key=lambda market: rank(market, waiting[market.address]))
    if not known:
        raise NotFound(f"No market fits {wish}: the Nosana API lists none that takes jobs on this network; check api_url and network.")
    nearest = min(known, key=lambda market: _distance(market, wish))
    raise NotFound(
        f"No market fits {wish}; the nearest is {nearest.slug}, {' and '.join(_misses(nearest, wish).values())}.",
        nearest={"slug": nearest.slug, "address": nearest.address},
    )


def rank(market: MarketListing, standing: Standing) -> tuple[int, int, str, str]:
    """Sorts markets: the cheapest first, then the one where more hosts wait, then by slug."""
    return standing.price, -standing.waiting_hosts, market.slug, market.address


def standings(accounts: Mapping[str, jobs_program.Market]) -> dict[str, Standing]:
    """Of market accounts, by address. A market whose job type the program does not know is left out: what is listed there never runs."""
    return {
        address: Standing(
            waiting_hosts=len(account.queue) if account.queue_type == jobs_program.QUEUE_OF_NODES else 0,
            queued_jobs=len(account.queue) if account.queue_type == jobs_program.QUEUE_OF_JOBS else 0,
            price=account.job_price,
        )
        for address, account in accounts.items()
        if account.takes_jobs
    }


def per_hour(price: int) -> int:
    """NOS base units an hour, from base units a second."""
    return price * SECONDS_PER_HOUR


def _misses(market: MarketListing, wish: Wish) -> dict[str, str]:
    """What is not as wished: key of the wish → half a sentence about the market."""
    found = {}
    if wish.gpu is not None and not _has_words(market, wish.gpu):
        found["gpu"] = f"whose GPUs are {', '.join(market.gpu_types[:5])}" if market.gpu_types else "whose GPUs are not known"
    # Compared, never rounded: a price has more digits than Decimal keeps only when calculating.
    if wish.max_price is not None and (market.price is None or Decimal(per_hour(market.price)).scaleb(-6) > wish.max_price):
        found["max_price"] = (
            "whose price is not known" if market.price is None else f"whose price is {nos(per_hour(market.price))} NOS per hour"
        )
    if wish.min_vram is not None and (market.min_vram_gb is None or market.min_vram_gb < wish.min_vram):
        found["min_vram"] = (
            "whose video memory is not known"
            if market.min_vram_gb is None
            else f"whose hosts have {market.min_vram_gb.normalize():f} GB or more"
        )
    return found


def _distance(market: MarketListing, wish: Wish) -> tuple[int, bool, float, int, Decimal, str]:
    """How far a market is from the wish: how much is amiss, then another GPU, one whose name is unlike, a high price, little memory."""
    misses = _misses(market, wish)
    unlike = 0.0
    if "gpu" in misses and wish.gpu is not None:
        wanted = " ".join(_words(wish.gpu))
        unlike = 1 - max(SequenceMatcher(None, wanted, " ".join(_words(text))).ratio() for text in (market.slug, *market.gpu_types))
    return len(misses), "gpu" in misses, unlike, market.price or 0, -(market.min_vram_gb or Decimal(0)), market.slug


def _has_words(market: MarketListing, gpu: str) -> bool:
    """Whether one text about the market holds all the words, in any order and case: "rtx 4090", but not "409" for a 4090."""
    wanted = set(_words(gpu))
    return any(wanted <= set(_words(text)) for text in (market.slug, market.name, *market.gpu_types))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _gpu(value: object, where: str) -> str:
    # YAML reads gpu: 4090 as a number, and everybody writes it so.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else value
    if not isinstance(text, str) or not _words(text) or len(text) > _MOST_CHARACTERS:
        raise InvalidInput(f"{where} must be the name of a GPU, such as 4090 or 'rtx 3060', of at most {_MOST_CHARACTERS} characters.")
    return text.strip()


def _amount(value: object, where: str, unit: str) -> Decimal:
    """A number as it was written, so that 0.1548 means exactly that; texts are taken too, because templates make them."""
    if isinstance(value, (int, float, str, Decimal)) and not isinstance(value, bool):
        with suppress(InvalidOperation, ValueError):
            text = str(value).strip()
            number = Decimal(text) if len(text) <= _MOST_CHARACTERS else Decimal("NaN")
            if number.is_finite() and 0 <= number <= 10**18:
                return number
    raise InvalidInput(f"{where} must be a number of {unit}, 0 or more.")
