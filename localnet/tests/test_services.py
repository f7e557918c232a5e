"""IPFS, markets, faucet, clock and the command line, as somebody else's client meets them."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, FormData
from solders.keypair import Keypair

from nosana_localnet.genesis import STAKING_PROGRAM, derive
from nosana_localnet.ipfs import cid_of
from nosana_localnet.ledger import NOS_MINT
from nosana_localnet.server import Network, Settings, Unusable, run

pytestmark = pytest.mark.asyncio(loop_scope="module")
COMMAND = [sys.executable, "-m", "nosana_localnet"]
# A document of the network's own documentation, and its address there.
KNOWN = (
    '{"version":"0.1","type":"container","meta":{"trigger":"cli"},'
    '"ops":[{"type":"container/run","id":"nginx","args":{"cmd":[],"image":"nginx","expose":80}}]}'
)
KNOWN_CID = "QmTcNQ4dGq8veeg8v5cQyGoaJEPSYQnVTd1TvfckVFVzRu"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network() -> AsyncIterator[Network]:
    async with run(Settings(port=0, runner="process", hosts={"nvidia-3060": 1})) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def test_pinning_gives_the_address_that_the_network_knows(network: Network, client: ClientSession) -> None:
    spaced = json.dumps(json.loads(KNOWN), indent=2)
    async with client.post(f"{network.url}/pinning/pinJSONToIPFS", data=spaced) as answer:
        assert (await answer.json())["IpfsHash"] == KNOWN_CID
    async with client.get(f"{network.url}/ipfs/{KNOWN_CID}") as answer:
        assert await answer.text() == KNOWN
    async with client.post(f"{network.url}/pinning/pinJSONToIPFS", data="no json") as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ('{"b": 1, "10": 2, "9": 3, "01": 4}', '{"9":3,"10":2,"b":1,"01":4}'),
        ("[1.0, -0, 1E5, 1e21, 1e-6, 1e-7, 123456789012345680000]", "[1,0,100000,1e+21,0.000001,1e-7,123456789012345680000]"),
        ("[9007199254740993, 1e400, -1e400, 0.1, 1.5e300]", "[9007199254740992,null,null,0.1,1.5e+300]"),
        (r'"\ud800 \ud83d\ude00 \u2028 \u0001"', '"\\ud800 😀 \u2028 \\u0001"'),
        ("9" * 5000, "null"),
    ],
)
async def test_documents_are_stored_as_javascript_writes_them(network: Network, client: ClientSession, written: str, stored: str) -> None:
    async with client.post(f"{network.url}/pinning/pinJSONToIPFS", data=written) as answer:
        cid = (await answer.json())["IpfsHash"]
    async with client.get(f"{network.url}/ipfs/{cid}") as answer:
        assert await answer.text() == stored


@pytest.mark.parametrize("body", ["", "NaN", "[Infinity]", "{'a':1}", "[" * 100_000, b"\xff", '{"a":1} x'])
async def test_what_is_no_document_is_not_pinned(network: Network, client: ClientSession, body: str | bytes) -> None:
    async with client.post(f"{network.url}/pinning/pinJSONToIPFS", data=body) as answer:
        assert answer.status == 400
    nested = "[" * 600 + "]" * 600
    async with client.post(f"{network.url}/pinning/pinJSONToIPFS", data=nested) as answer:
        assert answer.status in (200, 400)  # by what this Python can read


@pytest.mark.parametrize(("path", "key"), [("/pinning/pinFileToIPFS", "IpfsHash"), ("/api/v0/add", "Hash")])
async def test_files_of_several_blocks(network: Network, client: ClientSession, path: str, key: str) -> None:
    content = bytes(range(256)) * 2048
    form = FormData()
    form.add_field("file", content, filename="big.bin")
    async with client.post(network.url + path, data=form) as answer:
        cid = (await answer.json())[key]
    assert cid == cid_of(content)
    async with client.get(f"{network.url}/ipfs/{cid}") as answer:
        assert await answer.read() == content


async def test_the_gateway_has_nothing_that_was_not_pinned(network: Network, client: ClientSession) -> None:
    async with client.get(f"{network.url}/ipfs/{cid_of(b'nobody pinned this')}") as answer:
        assert answer.status == 404


async def test_markets_by_slug_and_address(network: Network, client: ClientSession) -> None:
    async with client.get(f"{network.url}/api/markets/") as answer:
        markets: list[dict[str, Any]] = await answer.json()
    by_slug = {market["slug"]: market for market in markets}
    assert len(markets) >= 4
    assert by_slug["free"]["nos_job_price_per_second"] == 0
    assert by_slug["nvidia-3060"]["nos_job_price_per_second"] == pytest.approx(43e-6)
    assert by_slug["nvidia-3060"]["nodes"] == [str(network.hosts[0].address)]
    assert by_slug["nvidia-4090"]["gpu_types"]
    for key in ("nvidia-3060", by_slug["nvidia-3060"]["address"]):
        async with client.get(f"{network.url}/api/markets/{key}/") as answer:
            assert (await answer.json())["address"] == by_slug["nvidia-3060"]["address"]
    async with client.get(f"{network.url}/api/markets/nowhere/") as answer:
        assert answer.status == 404


async def test_a_market_says_all_that_the_real_api_says(network: Network, client: ClientSession) -> None:
    async with client.get(f"{network.url}/api/markets/nvidia-3060/") as answer:
        market = await answer.json()
    fields = """address slug name sft type usd_reward_per_hour nos_reward_per_second nos_job_price_per_second network_fee_percentage
        premium_community_relation gpu_types required_images required_remote_resources nodes client lowest_vram max_usd_uptime_reward_per_day"""
    assert set(market) == set(fields.split())


async def test_credits_are_shown_to_api_keys_only(network: Network, client: ClientSession) -> None:
    url = f"{network.url}/api/credits/balance"
    async with client.get(url, headers={"Authorization": "Bearer nos_anything"}) as answer:
        assert set(await answer.json()) == {"assignedCredits", "reservedCredits", "settledCredits"}
    for headers in ({}, {"Authorization": "Bearer else"}, {"Authorization": "nos_anything"}):
        async with client.get(url, headers=headers) as answer:
            assert answer.status == 401


async def test_the_faucet_gives_and_refuses_nonsense(network: Network, client: ClientSession) -> None:
    wallet = Keypair().pubkey()
    async with client.post(f"{network.url}/faucet", json={"address": str(wallet), "sol": 2, "nos": 3}) as answer:
        assert answer.status == 200
    assert network.ledger.balance(wallet) == 2_000_000_000
    async with client.post(f"{network.url}/faucet", json={"address": str(wallet), "stake": 1.5}) as answer:
        assert (await answer.json())["stake"] == 1.5
    stake = network.ledger.account(derive(STAKING_PROGRAM, b"stake", bytes(NOS_MINT), bytes(wallet))[0])
    assert stake is not None
    assert int.from_bytes(stake.data[97:113], "little") == 1_500_000
    bad = [
        {"address": str(wallet)} | wrong for wrong in ({"address": "nobody"}, {"sol": -1}, {"nos": "much"}, {"stake": -1}, {"stake": True})
    ]
    for body in (*bad, []):
        async with client.post(f"{network.url}/faucet", json=body) as answer:
            assert answer.status == 400


async def test_the_clock_can_be_put_forward(network: Network, client: ClientSession) -> None:
    before = network.ledger.unix_time
    async with client.post(f"{network.url}/localnet/warp", json={"seconds": 3600}) as answer:
        assert (await answer.json())["unix_time"] >= before + 3600


async def test_what_cannot_be_started_says_why() -> None:
    with pytest.raises(Unusable, match="no market nowhere"):
        async with run(Settings(port=0, runner="process", hosts={"nowhere": 1})):
            pass


async def test_run_gives_the_command_a_wallet_and_returns_its_exit_code() -> None:
    code = "import os, stat, sys; print(os.environ['NOSANA_WALLET'], oct(stat.S_IMODE(os.stat(os.environ['NOSANA_WALLET']).st_mode))); sys.exit(7)"
    done = subprocess.run(
        [*COMMAND, "run", "--runner", "process", "--", sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    path, mode = done.stdout.split()
    assert (done.returncode, mode) == (7, "0o600")
    assert not Path(path).exists()
    missing = subprocess.run([*COMMAND, "run", "--", "/nowhere/command"], capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr


async def test_start_answers_within_two_seconds_and_ends_with_all_that_it_started(tmp_path: Path) -> None:
    wallet = tmp_path / "wallet.json"
    began = time.monotonic()
    with subprocess.Popen(
        [*COMMAND, "start", "--port", "0", "--runner", "process", "--wallet", str(wallet)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            url = next(line.split("=", 1)[1].strip() for line in child.stdout if line.startswith("export NOSANA_RPC_URL="))
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getHealth"}).encode()
            with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=5) as answer:
                assert json.load(answer)["result"] == "ok"
            assert time.monotonic() - began < 2
            child.send_signal(signal.SIGINT)
            assert child.wait(timeout=10) == 0
        finally:
            child.kill()  # a failure here must not wait for a network without end
    assert stat.S_IMODE(os.stat(wallet).st_mode) == 0o600
