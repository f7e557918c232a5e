"""The REST API: markets by address and by slug, what is believed of them, credits."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    InvalidInput,
    NosanaError,
    NotFound,
    Refused,
    UnexpectedAnswer,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import Api, KnownMarkets, MarketListing, is_address

ADDRESS = "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"
OTHER = "7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq"
MARKETS = [{"slug": "nvidia-4090", "address": ADDRESS, "type": "PREMIUM"}, {"slug": "nvidia-3060", "address": OTHER}]


def resolve(market: str, answer: Any, *, status: int = 200) -> tuple[str, list[str]]:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status, json=answer)

    async def run() -> str:
        async with Http(SystemClock(), attempts=1, transport=httpx.MockTransport(handler)) as http:
            return await Api(http, "http://api.example/").resolve_market(market)

    return asyncio.run(run()), asked


def test_an_address_is_taken_as_it_is_and_nobody_is_asked() -> None:
    assert resolve(ADDRESS, []) == (ADDRESS, [])


def test_a_slug_is_looked_up() -> None:
    assert resolve("nvidia-4090", MARKETS) == (ADDRESS, ["http://api.example/api/markets/"])


def test_a_slug_that_is_none_names_those_that_come_close() -> None:
    with pytest.raises(NotFound) as caught:
        resolve("nvidia-409", MARKETS)
    assert "'nvidia-409'; close ones are nvidia-4090" in str(caught.value)
    with pytest.raises(NotFound, match="nvidia-3060, nvidia-4090"):
        resolve("####", MARKETS)


def test_entries_that_cannot_be_are_left_out() -> None:
    wild = [None, 7, {}, {"slug": 1, "address": ADDRESS}, {"slug": "x", "address": "0OIl"}, {"slug": "y", "address": None}]
    assert resolve("nvidia-4090", wild + MARKETS)[0] == ADDRESS
    with pytest.raises(NotFound):
        resolve("x", wild)


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [({}, 200, UnexpectedAnswer), (7, 200, UnexpectedAnswer), ("x", 200, UnexpectedAnswer), ([], 403, Refused), ([], 404, Refused)],
)
def test_other_answers_advise_to_give_the_address(answer: Any, status: int, kind: type[NosanaError]) -> None:
    with pytest.raises(kind, match="give the market's address"):
        resolve("nvidia-4090", answer, status=status)


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (ADDRESS, True),
        ("1" * 32, True),
        ("1" * 33, False),
        ("z" * 44, False),
        ("", False),
        ("nvidia-4090", False),
        (7, False),
        (None, False),
    ],
)
def test_what_is_an_address(value: Any, known: bool) -> None:
    assert is_address(value) is known


# --- listings: the API is not believed -------------------------------------------------------------------------------


def ask(answer: Any, question: str = "listings", *arguments: Any, status: int = 200, content: bytes | None = None) -> Any:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content) if content is not None else httpx.Response(status, json=answer)

    async def run() -> Any:
        async with Http(SystemClock(), attempts=1, transport=httpx.MockTransport(handler)) as http:
            return await getattr(Api(http, "http://api.example"), question)(*arguments)

    return asyncio.run(run())


FULL = {
    "address": ADDRESS,
    "slug": "nvidia-4090",
    "name": "NVIDIA 4090",
    "type": "PREMIUM",
    "usd_reward_per_hour": 0.27,
    "nos_job_price_per_second": 0.000215,
    "network_fee_percentage": 10,
    "gpu_types": ["NVIDIA GeForce RTX 4090"],
    "lowest_vram": 24,
}


def test_a_listing_holds_what_the_api_says_exactly() -> None:
    assert ask([FULL]) == [
        MarketListing(
            address=ADDRESS,
            slug="nvidia-4090",
            name="NVIDIA 4090",
            type="PREMIUM",
            gpu_types=("NVIDIA GeForce RTX 4090",),
            min_vram_gb=Decimal(24),
            price=215,
            usd_per_hour=Decimal("0.297"),
        )
    ]


@pytest.mark.parametrize("wild", [None, True, "9", -1, [], {}, 1e300, float("nan"), float("inf"), 10**4000])
def test_numbers_that_cannot_be_are_not_known(wild: Any) -> None:
    numbers = ("usd_reward_per_hour", "nos_job_price_per_second", "lowest_vram")
    (listing,) = ask(None, content=json.dumps([FULL | dict.fromkeys(numbers, wild)]).encode())
    assert (listing.usd_per_hour, listing.price, listing.min_vram_gb) == (None, None, None)
    (listing,) = ask(None, content=json.dumps([FULL | {"network_fee_percentage": wild}]).encode())
    assert listing.usd_per_hour == Decimal("0.27")


@pytest.mark.parametrize("wild", [None, True, 7, "text", {}, [None, 7, {}, ""], ["\x1b", "\n"]])
def test_texts_that_cannot_be_are_empty(wild: Any) -> None:
    (listing,) = ask([FULL | {"gpu_types": wild}])
    assert listing.gpu_types == ()
    (listing,) = ask([FULL | {"name": [wild], "type": [wild]}])
    assert (listing.name, listing.type) == ("", "")


def test_no_text_has_control_characters_or_no_end() -> None:
    (listing,) = ask([FULL | {"name": "A\x1b[31m\n\u202eB" + "x" * 10**6, "gpu_types": ["a\x07b", *["c"] * 10**4]}])
    assert listing.name.startswith("A[31mBxxx")
    assert len(listing.name) <= 100
    assert listing.gpu_types[0] == "ab"
    assert len(listing.gpu_types) == 50
    assert ask([FULL | {"slug": slug} for slug in ("a\x1bb", "a\nb", "", "x" * 101, ADDRESS, None, 7)]) == []


def test_a_list_without_an_end_is_not_used() -> None:
    assert len(ask([FULL] * 1000)) == 1000
    with pytest.raises(UnexpectedAnswer, match="more than 1000 markets"):
        ask([FULL] * 1001)


def test_a_slug_that_stands_twice_is_no_guess() -> None:
    twice = [FULL, FULL | {"address": OTHER}]
    with pytest.raises(UnexpectedAnswer, match=f"2 markets as nvidia-4090: {OTHER}, {ADDRESS}; give the market's address"):
        resolve("nvidia-4090", twice)
    assert resolve("nvidia-4090", [FULL, FULL])[0] == ADDRESS


# --- credits ---------------------------------------------------------------------------------------------------------


def test_credits_are_exact() -> None:
    balance = ask({"assignedCredits": 10.1, "reservedCredits": 0.1, "settledCredits": 2.3}, "credits", "nos_key\n")
    assert (balance.assigned, balance.available) == (Decimal("10.1"), Decimal("7.7"))


@pytest.mark.parametrize("answer", ["x", [], 7, {}, {"assignedCredits": 1, "reservedCredits": "1", "settledCredits": 0}])
def test_credits_that_cannot_be_read(answer: Any) -> None:
    with pytest.raises(UnexpectedAnswer, match="balance of credits that cannot be read"):
        ask(answer, "credits", "nos_key")


@pytest.mark.parametrize(("status", "says"), [(401, "refuses the API key"), (403, "refuses the API key"), (404, "refuses the balance")])
def test_a_key_that_is_refused_is_not_said(status: int, says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        ask({"error": "nos_planted"}, "credits", "nos_planted", status=status)
    assert "nos_planted" not in str(caught.value) + str(caught.value.details)


@pytest.mark.parametrize("key", ["nos_a\nb", "nos_ä", "nos a", "nos_\x00"])
def test_a_key_that_is_none_is_not_sent(key: str) -> None:
    with pytest.raises(InvalidInput, match="api_key holds characters") as caught:
        ask({}, "credits", key)
    assert key not in str(caught.value)


class Later(SystemClock):
    """So many seconds later than it is."""

    later = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.later


def test_a_market_that_was_asked_for_is_known_for_a_minute() -> None:
    known: KnownMarkets = {}
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json=MARKETS)

    async def run() -> None:
        clock = Later()
        async with Http(clock, transport=httpx.MockTransport(handler)) as http:
            for _task in range(2):
                assert await Api(http, "http://api.example/", known).resolve_market("nvidia-4090") == ADDRESS
            assert len(asked) == 1
            assert not Api(http, "http://other.example", known).knows("nvidia-4090")
            clock.later = 61
            assert not Api(http, "http://api.example", known).knows("nvidia-4090")

    asyncio.run(run())
