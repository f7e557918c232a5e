"""Wishes: how they are read, which markets fit, and which of them is chosen."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidInput, NotFound
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import MarketListing
from ansible_collections.nosana.compute.plugins.module_utils._jobs.markets import Standing, Wish, choose, fits, parse_wish

RTX_3060 = MarketListing("A" * 32, "nvidia-3060", "NVIDIA 3060", "PREMIUM", ("NVIDIA GeForce RTX 3060",), Decimal(12), 43)
RTX_4090 = MarketListing("B" * 32, "nvidia-4090", "NVIDIA 4090", "PREMIUM", ("NVIDIA GeForce RTX 4090",), Decimal(24), 215)
A100 = MarketListing("C" * 32, "nvidia-a100-40gb", "NVIDIA A100 40GB", "PREMIUM", ("NVIDIA A100-PCIE-40GB",), Decimal(40), 640)
BARE = MarketListing("D" * 32, "bare")
ALL = [A100, RTX_4090, RTX_3060]
STANDING = {market.address: Standing(0, 0, market.price or 0) for market in ALL}


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "wish"),
    [
        ({"gpu": "rtx 4090"}, Wish("rtx 4090")),
        ({"gpu": 4090}, Wish("4090")),
        ({"max_price": 0.1548}, Wish(max_price=Decimal("0.1548"))),
        ({"max_price": "0.1548", "min_vram": 24}, Wish(max_price=Decimal("0.1548"), min_vram=Decimal(24))),
        ({"max_price": 0, "gpu": None}, Wish(max_price=Decimal(0))),
    ],
)
def test_a_wish_is_read_as_it_was_written(value: Any, wish: Wish) -> None:
    assert parse_wish(value) == wish


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (7, "market must be a dictionary with one or more of gpu, max_price, min_vram."),
        ([], "market must be a dictionary"),
        ({}, "market asks for nothing; give one or more of gpu, max_price, min_vram."),
        ({"gpu": None}, "market asks for nothing"),
        ({"gpus": 1}, "market has the unknown key 'gpus'; the keys are gpu, max_price, min_vram."),
        ({7: 1, "x\n": 2}, "market has the unknown key '7'"),
        ({"gpu": ""}, "market.gpu must be the name of a GPU"),
        ({"gpu": "--"}, "market.gpu must be the name of a GPU"),
        ({"gpu": True}, "market.gpu must be the name of a GPU"),
        ({"gpu": ["4090"]}, "market.gpu must be the name of a GPU"),
        ({"gpu": "x" * 101}, "market.gpu must be the name of a GPU"),
        ({"gpu": 10**5000}, "market.gpu must be the name of a GPU"),
        *(
            ({"max_price": wild}, "market.max_price must be a number of NOS per hour, 0 or more.")
            for wild in ("cheap", "", True, -1, "-0.1", "nan", float("nan"), float("inf"), 10**5000, "1e99999999", "9" * 200, [], {})
        ),
        ({"min_vram": "24GB"}, "market.min_vram must be a number of GB, 0 or more."),
    ],
)
def test_what_is_no_wish_is_one_sentence(value: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_wish(value)
    assert str(caught.value).startswith(says)


def test_options_are_named_as_they_are() -> None:
    with pytest.raises(InvalidInput, match=r"^max_price must be"):
        parse_wish({"max_price": "much"}, where="")


# --- fitting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpu", "found"),
    [
        ("4090", [RTX_4090]),
        ("RTX 4090", [RTX_4090]),
        ("4090 rtx", [RTX_4090]),
        ("nvidia-4090", [RTX_4090]),
        ("a100", [A100]),
        ("NVIDIA", ALL),
        ("409", []),
        ("40", []),
        ("rtx a100", []),
    ],
)
def test_a_gpu_is_found_by_whole_words_of_one_text(gpu: str, found: list[MarketListing]) -> None:
    assert [market for market in ALL if fits(market, Wish(gpu))] == found


@pytest.mark.parametrize(
    ("max_price", "fitting"), [("0.1548", True), ("0.15479999999999999999999999999999999999", False), ("1", True), ("0", False)]
)
def test_the_price_is_compared_to_the_base_unit(max_price: str, fitting: bool) -> None:
    assert fits(RTX_3060, Wish(max_price=Decimal(max_price))) is fitting


def test_a_price_that_fills_the_account_is_compared_all_the_same() -> None:
    dear = MarketListing("E" * 32, "dear", price=2**64 - 1)
    exact = Decimal((2**64 - 1) * 3600).scaleb(-6)
    assert fits(dear, Wish(max_price=exact))
    assert not fits(dear, Wish(max_price=exact - Decimal("0.000001")))


@pytest.mark.parametrize(("min_vram", "fitting"), [("24", True), ("24.5", False), ("0", True)])
def test_memory(min_vram: str, fitting: bool) -> None:
    assert fits(RTX_4090, Wish(min_vram=Decimal(min_vram))) is fitting


@pytest.mark.parametrize("wish", [Wish("4090"), Wish(max_price=Decimal(9)), Wish(min_vram=Decimal(1))])
def test_what_is_not_known_does_not_fit(wish: Wish) -> None:
    assert not fits(BARE, wish)


def test_nobody_is_turned_away_who_wishes_nothing() -> None:
    assert fits(BARE, Wish())


# --- choosing --------------------------------------------------------------------------------------------------------


def test_the_cheapest_that_fits_is_chosen_whatever_the_order() -> None:
    for markets in (ALL, ALL[::-1]):
        assert choose(markets, Wish("nvidia"), STANDING) == RTX_3060
        assert choose(markets, Wish(min_vram=Decimal(20)), STANDING) == RTX_4090


def test_the_price_of_the_chain_decides_and_is_returned() -> None:
    chosen = choose(ALL, Wish("nvidia"), STANDING | {RTX_3060.address: Standing(9, 0, 1000)})
    assert chosen == RTX_4090
    risen = STANDING | {RTX_3060.address: Standing(0, 0, 100)}
    assert choose(ALL, Wish("3060", max_price=Decimal("0.36")), risen).price == 100
    with pytest.raises(NotFound):
        choose(ALL, Wish("3060", max_price=Decimal("0.3")), risen)


def test_of_equally_cheap_ones_more_hosts_win_then_the_slug() -> None:
    one, two, three = (MarketListing(letter * 32, slug) for letter, slug in (("A", "b"), ("B", "a"), ("C", "c")))
    even = dict.fromkeys((one.address, two.address, three.address), Standing(1, 0, 5))
    assert choose([one, two, three], Wish(), even).slug == "a"
    assert choose([one, two, three], Wish(), even | {three.address: Standing(2, 0, 5)}).slug == "c"


def test_a_market_without_a_standing_is_not_chosen() -> None:
    assert choose(ALL, Wish(), {A100.address: Standing(0, 3, 640)}) == A100
    with pytest.raises(NotFound, match="lists none that takes jobs on this network"):
        choose(ALL, Wish("4090"), {})


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (
            Wish("4090", Decimal("0.5")),
            "No market fits gpu '4090', max_price 0.5 NOS per hour; the nearest is nvidia-4090, whose price is 0.774 NOS per hour.",
        ),
        (Wish(min_vram=Decimal(80)), "No market fits min_vram 80 GB; the nearest is nvidia-3060, whose hosts have 12 GB or more."),
        (Wish("409"), "No market fits gpu '409'; the nearest is nvidia-4090, whose GPUs are NVIDIA GeForce RTX 4090."),
        (
            Wish("3060", Decimal("0.1"), Decimal(24)),
            "No market fits gpu '3060', max_price 0.1 NOS per hour, min_vram 24 GB; the nearest is nvidia-3060, "
            "whose price is 0.1548 NOS per hour and whose hosts have 12 GB or more.",
        ),
    ],
)
def test_the_nearest_miss_is_named(wish: Wish, says: str) -> None:
    with pytest.raises(NotFound) as caught:
        choose(ALL, wish, STANDING)
    assert str(caught.value) == says
    assert caught.value.details["nearest"]["slug"] in says
