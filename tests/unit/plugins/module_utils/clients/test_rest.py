"""Markets by address and by slug."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import NosanaError, NotFound, Refused, UnexpectedAnswer
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import Api, is_address

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
