"""What is returned about markets and wallets, on a chain that is kept in memory: exact numbers, hostile answers, refusals."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients import program
from ansible_collections.nosana.compute.plugins.module_utils._clients.base58 import b58decode, b58encode
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    InvalidInput,
    Refused,
    UnexpectedAnswer,
    Unreachable,
    WrongNetwork,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.rest import Credits, MarketListing
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Account
from ansible_collections.nosana.compute.plugins.module_utils._jobs.info import MarketQuery, market_info, wallet_info
from ansible_collections.nosana.compute.plugins.module_utils._jobs.markets import Wish

NETWORK = NETWORKS["localnet"]
OWNER, STRANGER = (b58encode(bytes([number]) * 32) for number in (1, 2))
ONE, TWO, THREE = (b58encode(bytes([number]) * 32) for number in (11, 12, 13))
ANYBODY = b58encode(bytes([21]) * 32)
NOW = 1_800_000_000
EXPIRATION = 86_400
CLOCK = "SysvarC1ock11111111111111111111111111111111"
SYSVAR = "Sysvar1111111111111111111111111111111111111"


class Net:
    """A chain and a REST API, with the interfaces of Rpc and Api; every question is noted."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {NETWORK.jobs_program: Account(1, "loader", b"")}
        self.accounts[CLOCK] = Account(1, SYSVAR, struct.pack("<QqQQq", 9, NOW - 5, 1, 2, NOW))
        self.listed: list[MarketListing] = []
        self.balance = Credits(Decimal(10), Decimal("0.75"), Decimal("2.5"))
        self.failures: dict[str, Exception] = {}
        self.asked: list[str] = []
        self.keys: list[str] = []
        self.genesis = "local"

    # what the tests arrange

    def market(self, address: str, *, price: int = 43, hosts: int = 0, jobs: int = 0, job_type: int = 4, listing: Any = None) -> None:
        queue_type = program.QUEUE_OF_NODES if hosts else program.QUEUE_OF_JOBS if jobs else program.QUEUE_EMPTY
        data = program.discriminator("account", "MarketAccount") + bytes(32) + struct.pack("<qQqB", EXPIRATION, price, 7200, job_type)
        data += (
            bytes(32) + b"\xff" + bytes(32) + bytes(16) + struct.pack("<BI", queue_type, hosts + jobs) + b58decode(ANYBODY) * (hosts + jobs)
        )
        self.accounts[address] = Account(1, NETWORK.jobs_program, data.ljust(10224, b"\0"))
        self.listed.append(listing or MarketListing(address, f"market-{address[:4].lower()}"))

    def job(
        self,
        number: int,
        state: int,
        *,
        price: int = 43,
        timeout: int = 100,
        ended: int = 0,
        market: str = ONE,
        payer: str = OWNER,
        rent: int = 1,
    ) -> str:
        data = program.discriminator("account", "JobAccount") + bytes(64) + b58decode(market) + bytes(32) + b58decode(payer)
        data += struct.pack("<Q", price) + b58decode(STRANGER) + struct.pack("<Bqqq", state, ended, 0, timeout) + bytes(7)
        address = b58encode(bytes([100 + number]) * 32)
        self.accounts[address] = Account(rent, NETWORK.jobs_program, data)
        return address

    def ask(self, method: str) -> None:
        self.asked.append(method)
        if method in self.failures:
            raise self.failures[method]

    # Api

    async def listings(self) -> list[MarketListing]:
        self.ask("listings")
        return self.listed

    async def credits(self, api_key: str) -> Credits:
        self.ask("credits")
        self.keys.append(api_key)
        return self.balance

    # Rpc

    async def get_genesis_hash(self) -> str:
        return self.genesis

    async def get_account(self, key: str) -> Account | None:
        return self.accounts.get(key)

    async def get_multiple_accounts(self, keys: Sequence[str]) -> list[Account | None]:
        self.ask("getMultipleAccounts")
        return [self.accounts.get(key) for key in keys]

    async def get_balance(self, key: str) -> int:
        account = self.accounts.get(key)
        return account.lamports if account else 0

    async def get_token_balance(self, key: str) -> int | None:
        account = self.accounts.get(key)
        return int.from_bytes(account.data[64:72], "little") if account else None

    async def get_program_accounts(self, _program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
        self.ask("getProgramAccounts")
        wanted = [(entry["memcmp"]["offset"], b58decode(entry["memcmp"]["bytes"])) for entry in filters]
        return [
            (key, account)
            for key, account in self.accounts.items()
            if all(account.data[at : at + len(value)] == value for at, value in wanted)
        ]


def markets(net: Net, **query: Any) -> tuple[list[dict[str, Any]], list[str]]:
    return asyncio.run(market_info(NETWORK, net, net, MarketQuery(**query)))  # type: ignore[arg-type]


def wallet(net: Net, *, address: str = OWNER, api_key: str | None = None) -> tuple[dict[str, Any], list[str]]:
    return asyncio.run(wallet_info(NETWORK, net, net, address=address, api_key=api_key))  # type: ignore[arg-type]


# --- markets ---------------------------------------------------------------------------------------------------------


def test_a_market_is_described_from_api_and_chain_together() -> None:
    net = Net()
    said = MarketListing(ONE, "nvidia-3060", "NVIDIA 3060", "PREMIUM", ("RTX 3060",), Decimal(12), 7, Decimal("0.05418"))
    net.market(ONE, price=43, hosts=2, listing=said)
    assert markets(net) == (
        [
            {
                "address": ONE,
                "slug": "nvidia-3060",
                "name": "NVIDIA 3060",
                "type": "PREMIUM",
                "gpu_types": ["RTX 3060"],
                "min_vram_gb": 12.0,
                "price_per_second_base_units": 43,
                "price_per_second_nos": "0.000043",
                "price_per_hour_base_units": 154_800,
                "price_per_hour_nos": "0.1548",
                "price_per_hour_usd": "0.05418",
                "timeout": 7200,
                "waiting_hosts": 2,
                "queued_jobs": 0,
            }
        ],
        [],
    )
    assert net.asked == ["listings", "getMultipleAccounts"]


def test_the_cheapest_is_first_then_where_more_hosts_wait() -> None:
    net = Net()
    net.market(ONE, price=50, hosts=1)
    net.market(TWO, price=50, hosts=3)
    net.market(THREE, price=49, jobs=2)
    found, _warnings = markets(net)
    assert [market["address"] for market in found] == [THREE, TWO, ONE]
    assert (found[0]["waiting_hosts"], found[0]["queued_jobs"]) == (0, 2)
    assert [market["address"] for market in markets(net, available=True)[0]] == [TWO, ONE]


def test_the_hosts_that_wait_are_named_when_asked_for() -> None:
    net = Net()
    net.market(ONE, hosts=2)
    net.market(TWO, jobs=1, price=44)
    assert [market["hosts"] for market in markets(net, hosts=True)[0]] == [[ANYBODY, ANYBODY], []]


def test_the_highest_price_is_compared_with_the_chain_and_not_with_the_api() -> None:
    net = Net()
    net.market(ONE, price=100, listing=MarketListing(ONE, "cheap-they-say", price=1))
    net.market(TWO, price=10, listing=MarketListing(TWO, "dear-they-say", price=1_000_000))
    found, _warnings = markets(net, wish=Wish(max_price=Decimal("0.036")))
    assert [market["slug"] for market in found] == ["dear-they-say"]


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ({"name": "b"}, ["b"]),
        ({"name": "B"}, []),
        ({"address": ONE}, ["a"]),
        ({"kind": "COMMUNITY"}, ["b"]),
        ({"wish": Wish("3060")}, ["a"]),
        ({"wish": Wish(min_vram=Decimal(13))}, []),
    ],
)
def test_every_filter(query: dict[str, Any], slugs: list[str]) -> None:
    net = Net()
    net.market(ONE, listing=MarketListing(ONE, "a", type="PREMIUM", gpu_types=("RTX 3060",), min_vram_gb=Decimal(12)))
    net.market(TWO, listing=MarketListing(TWO, "b", type="COMMUNITY"))
    assert [market["slug"] for market in markets(net, **query)[0]] == slugs


def test_what_the_api_lists_twice_is_one_market() -> None:
    net = Net()
    net.market(ONE)
    net.listed *= 3
    assert len(markets(net)[0]) == 1


def test_what_is_no_market_on_the_chain_is_left_out_and_said() -> None:
    net = Net()
    net.market(ONE)
    net.listed += [MarketListing(TWO, "elsewhere"), MarketListing(THREE, "foreign"), MarketListing(OWNER, "broken")]
    net.accounts[THREE] = Account(1, STRANGER, net.accounts[ONE].data)
    net.accounts[OWNER] = Account(1, NETWORK.jobs_program, net.accounts[ONE].data[:150])
    found, warnings = markets(net)
    assert [market["address"] for market in found] == [ONE]
    assert warnings == ["3 markets of the Nosana API are not on localnet, and are left out: broken, elsewhere, foreign."]


def test_a_market_where_no_job_ever_runs_is_left_out() -> None:
    net = Net()
    net.market(ONE, price=0, job_type=program.JOB_TYPE_UNKNOWN)
    net.market(TWO)
    assert [market["address"] for market in markets(net)[0]] == [TWO]


def test_the_wrong_chain_is_an_error_and_not_an_empty_list() -> None:
    net = Net()
    net.listed = [MarketListing(ONE, "a")]
    net.genesis = str(NETWORKS["devnet"].genesis_hash)
    with pytest.raises(WrongNetwork, match="serves devnet and network is localnet"):
        markets(net)


def test_an_address_needs_no_api() -> None:
    net = Net()
    net.market(ONE, price=7)
    net.failures["listings"] = Unreachable("No answer from the Nosana API.")
    found, warnings = markets(net, address=ONE)
    assert [(market["slug"], market["name"], market["price_per_second_base_units"]) for market in found] == [(None, None, 7)]
    assert warnings == ["Name, type and GPUs of the market are not known: No answer from the Nosana API."]
    with pytest.raises(Unreachable):
        markets(net)
    del net.failures["listings"]
    net.listed = []
    assert [market["address"] for market in markets(net, address=ONE)[0]] == [ONE]
    assert markets(net, address=TWO) == ([], [])


def test_an_id_that_is_no_address_is_one_sentence() -> None:
    with pytest.raises(InvalidInput, match="id is 'nvidia-3060', and a market's address is the base58 of 32 bytes; give a slug as name"):
        markets(Net(), address="nvidia-3060")


# --- wallets ---------------------------------------------------------------------------------------------------------


def test_a_wallet_that_has_nothing_says_so() -> None:
    found, warnings = wallet(Net())
    assert found["address"] == OWNER
    assert (found["sol_lamports"], found["sol"], found["nos_base_units"], found["nos"]) == (0, "0", 0, "0")
    assert (found["nos_token_account"], found["nos_token_account_exists"]) == (program.token_account(OWNER, NETWORK.nos_mint), False)
    assert found["credits"] is None
    assert found["deposits"] == {"jobs": 0, "base_units": 0, "nos": "0"}
    assert found["rent"] == {key: {"jobs": 0, "lamports": 0, "sol": "0"} for key in ("now", "later")}
    assert warnings == []


def test_balances_are_exact_to_the_base_unit() -> None:
    net = Net()
    net.accounts[OWNER] = Account(2**63 + 1, program.SYSTEM_PROGRAM, b"")
    net.accounts[program.token_account(OWNER, NETWORK.nos_mint)] = Account(
        1, program.TOKEN_PROGRAM, bytes(64) + (2**63 + 3).to_bytes(8, "little")
    )
    found, _warnings = wallet(net)
    assert (found["sol_lamports"], found["sol"]) == (2**63 + 1, "9223372036.854775809")
    assert (found["nos_base_units"], found["nos"], found["nos_token_account_exists"]) == (2**63 + 3, "9223372036854.775811", True)


def test_deposits_are_those_of_active_jobs_that_the_wallet_paid_for() -> None:
    net = Net()
    net.job(0, program.JOB_QUEUED, price=43, timeout=7200)
    net.job(1, program.JOB_STOPPED, price=640, timeout=61)
    net.job(2, program.JOB_QUEUED, price=0)
    net.job(3, program.JOB_DONE, price=10**6)
    net.job(4, program.JOB_QUEUED, price=10**6, payer=STRANGER)
    assert wallet(net)[0]["deposits"] == {"jobs": 3, "base_units": 43 * 7200 + 640 * 61, "nos": "0.34864"}
    assert net.asked.count("getProgramAccounts") == 3


def test_rent_comes_home_when_the_market_lets_it_by_the_clock_of_the_chain() -> None:
    net = Net()
    net.market(ONE)
    net.job(0, program.JOB_DONE, ended=NOW - EXPIRATION - 1, rent=2_561_280)
    net.job(1, program.JOB_DONE, ended=NOW - EXPIRATION, rent=2_561_281)
    net.job(2, program.JOB_DONE, ended=NOW, rent=4)
    net.job(3, program.JOB_DONE, ended=0, market=TWO, rent=8)  # its market is gone
    net.job(4, program.JOB_DONE, ended=0, rent=16, payer=STRANGER)
    assert wallet(net)[0]["rent"] == {
        "now": {"jobs": 1, "lamports": 2_561_280, "sol": "0.00256128"},
        "later": {"jobs": 3, "lamports": 2_561_293, "sol": "0.002561293"},
    }
    net.accounts[CLOCK] = Account(1, SYSVAR, struct.pack("<QqQQq", 9, 0, 1, 2, NOW + 1))
    assert wallet(net)[0]["rent"]["now"]["jobs"] == 2


@pytest.mark.parametrize("clock", [None, Account(1, STRANGER, bytes(40)), Account(1, SYSVAR, bytes(39))])
def test_a_chain_without_a_clock_is_an_error(clock: Account | None) -> None:
    net = Net()
    net.accounts.pop(CLOCK)
    if clock:
        net.accounts[CLOCK] = clock
    with pytest.raises(UnexpectedAnswer, match="chain's clock"):
        wallet(net)


@pytest.mark.parametrize(
    "error",
    [Refused("The Solana RPC node refuses getProgramAccounts: excluded (-32010)."), Unreachable("No answer from the Solana RPC node.")],
)
def test_a_node_that_lists_no_accounts_costs_these_two_numbers_and_one_warning(error: Exception) -> None:
    net = Net()
    net.accounts[OWNER] = Account(5, program.SYSTEM_PROGRAM, b"")
    net.failures["getProgramAccounts"] = error
    found, warnings = wallet(net)
    assert (found["deposits"], found["rent"], found["sol_lamports"]) == (None, None, 5)
    assert warnings == [
        f"Deposits and rent are not known, because the jobs of the wallet cannot be listed: {error} Set rpc_url to a node that allows getProgramAccounts."
    ]
    assert net.asked.count("getProgramAccounts") == 1  # a node that refuses is not asked again


@pytest.mark.parametrize("wrong", ["payer", "state", "owner"])
def test_a_node_that_lists_other_peoples_jobs_is_not_believed(wrong: str) -> None:
    class Liar(Net):
        async def get_program_accounts(self, _program: str, *, filters: Sequence[dict[str, Any]]) -> list[tuple[str, Account]]:
            self.ask("getProgramAccounts")
            return list(self.accounts.items())[-1:] if self.asked.count("getProgramAccounts") == 1 else []

    net = Liar()
    address = net.job(0, state=1 if wrong == "state" else 0, payer=STRANGER if wrong == "payer" else OWNER)
    if wrong == "owner":
        net.accounts[address] = Account(1, STRANGER, net.accounts[address].data)
    with pytest.raises(UnexpectedAnswer, match="jobs that it does not belong to"):
        wallet(net)


def test_credits_are_read_with_a_key_only() -> None:
    net = Net()
    assert wallet(net, api_key="nos_key")[0]["credits"] == {
        "assigned_usd": "10",
        "reserved_usd": "0.75",
        "settled_usd": "2.5",
        "available_usd": "6.75",
    }
    assert net.keys == ["nos_key"]
    wallet(net)
    assert net.keys == ["nos_key"]


def test_the_wrong_chain_is_an_error_and_not_an_empty_wallet() -> None:
    net = Net()
    del net.accounts[NETWORK.jobs_program]
    with pytest.raises(WrongNetwork, match="does not know the jobs program"):
        wallet(net)


def test_an_address_that_is_none_is_one_sentence() -> None:
    with pytest.raises(InvalidInput, match="address is 'me', and a wallet's address is the base58 of 32 bytes"):
        wallet(Net(), address="me")
