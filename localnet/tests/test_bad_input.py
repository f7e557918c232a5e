"""Bad input of every kind: the answer that a real node gives, or one sentence. Nothing ends the network, and nothing is a fault of its own."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from solders.keypair import Keypair

from nosana_localnet.ipfs import MAX_CONTENT_BYTES
from nosana_localnet.server import Network, Settings, run

pytestmark = pytest.mark.asyncio(loop_scope="module")
COMMAND = [sys.executable, "-m", "nosana_localnet"]
SOMEBODY = str(Keypair().pubkey())
READ_ONLY = "SysvarC1ock11111111111111111111111111111111"
JUNK = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"5",
    b'"x"',
    b"\xff\xfe",
    b"\0",
    b"[" * 100_000,
    b"9" * 5000,
    b'{"address":5,"seconds":"x","do":[]}',
    b'{"address":{},"seconds":NaN,"do":null}',
    b'{"seconds":1e308,"sol":[]}',
    b'{"seconds":true}',
    json.dumps({"address": SOMEBODY, "sol": 1e308}).encode(),
    json.dumps({"address": SOMEBODY, "nos": {}}).encode(),
    json.dumps({"address": SOMEBODY, "stake": "all"}).encode(),
    json.dumps({"address": READ_ONLY, "sol": 1}).encode(),
    json.dumps({"address": READ_ONLY, "nos": 1, "sol": 1}).encode(),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network() -> AsyncIterator[Network]:
    async with run(Settings(port=0, runner="process", hosts={"nvidia-3060": 1})) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(network: Network) -> AsyncIterator[ClientSession]:
    """A client; whatever it does, the network answers afterwards and has no fault of its own to tell of."""
    async with ClientSession() as session:
        yield session
        async with session.post(network.url, json={"jsonrpc": "2.0", "id": 1, "method": "getHealth"}) as answer:
            assert (await answer.json())["result"] == "ok"


@pytest.mark.parametrize(
    "path", ["/faucet", "/localnet/warp", "/localnet/hosts/HOST", "/localnet/hosts/x", "/pinning/pinFileToIPFS", "/api/v0/add"]
)
async def test_junk_is_refused_in_a_sentence(network: Network, client: ClientSession, path: str) -> None:
    url = network.url + path.replace("HOST", str(network.hosts[0].address))
    for body in JUNK:
        async with client.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            told = await answer.text()
            assert answer.status in (400, 404), (body[:60], told)
            assert 0 < len(told) < 300
            assert "\n" not in told.rstrip("\n")


async def test_junk_for_json_rpc(network: Network, client: ClientSession) -> None:
    for body in JUNK:
        async with client.post(network.url, data=body, headers={"Content-Type": "application/json"}) as answer:
            told = await answer.text()
            assert answer.status in (200, 413)
            assert "-32603" not in told, body[:60]


@pytest.mark.parametrize("path", ["/pinning/pinFileToIPFS", "/api/v0/add"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbroken off'),
        ("application/x-www-form-urlencoded", b"file=x"),
        ("", b"x"),
    ],
)
async def test_uploads_that_are_none(network: Network, client: ClientSession, path: str, kind: str, body: bytes) -> None:
    async with client.post(network.url + path, data=body, headers={"Content-Type": kind}) as answer:
        assert answer.status == 400, await answer.text()


@pytest.mark.parametrize("path", ["/faucet", "/pinning/pinJSONToIPFS", "/"])
async def test_bodies_without_end_are_cut_off(network: Network, client: ClientSession, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_CONTENT_BYTES // 2**20 + 2):
            yield b" " * 2**20

    try:
        async with client.post(network.url + path, data=endless(), headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 413
    except ConnectionError:  # the answer came before the body was through
        pass


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1232, "invalid transaction"),
        (1233, "decoded solana_transaction::versioned::VersionedTransaction too large: 1233 bytes (max: 1232 bytes)"),
        (1300, "base64 encoded solana_transaction::versioned::VersionedTransaction too large: 1736 bytes (max: encoded/raw 1644/1232)"),
    ],
)
async def test_transactions_that_are_too_long(network: Network, client: ClientSession, size: int, words: str) -> None:
    parameters = [base64.b64encode(bytes(size)).decode(), {"encoding": "base64"}]
    async with client.post(network.url, json={"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": parameters}) as answer:
        error = (await answer.json())["error"]
        assert (error["code"], error["message"][: len(words)]) == (-32602, words)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n", b"403"),
    ],
)
async def test_what_is_no_http_of_ours(
    network: Network, client: ClientSession, caplog: pytest.LogCaptureFixture, sent: bytes, status: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        assert (await reader.readline()).split()[1] == status
    writer.close()
    assert not caplog.records


# ---- the command line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--clock", "nan"], "The clock cannot stand at nan"),
        (["--clock", "1e300"], "The clock cannot stand at 1e+300"),
        (["--clock", "-5"], "The clock cannot stand at -5"),
        (["--hosts", "nvidia-3060=-1"], "-1 hosts in nvidia-3060 are not possible"),
        (["--hosts", "nvidia-3060=1000000"], "1000000 hosts in nvidia-3060 are not possible"),
        (["--bind", "nowhere.invalid"], "There is no address nowhere.invalid"),
        (["--port", "70000"], "Port 70000 of 127.0.0.1 cannot be used (no such port)"),
        (["--lag", "5,1"], "confirmed_lag_slots must lie between 0 and finalized_lag_slots"),
        (["--restore", "/nowhere/at-all"], "The snapshot /nowhere/at-all cannot be read"),
        (["--wallet", "/dev/null/wallet.json"], "The wallet file /dev/null/wallet.json cannot be written"),
    ],
)
async def test_what_cannot_be_started_is_one_sentence(tmp_path: Path, options: list[str], words: str) -> None:
    given: list[Any] = [] if "--wallet" in options else ["--wallet", tmp_path / "wallet.json"]
    port = [] if "--port" in options else ["--port", "0"]
    done = await asyncio.to_thread(
        subprocess.run, [*COMMAND, "start", "--runner", "process", *port, *given, *options], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"nosana-localnet: {words}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options", [["--rate-limit", "5/nan"], ["--rate-limit", "0/1"], ["--lag", "1"], ["--hosts", "a=b=c"], ["--fee-fraction", "7"]]
)
async def test_what_is_no_option_is_said_by_its_name(options: list[str]) -> None:
    done = await asyncio.to_thread(subprocess.run, [*COMMAND, "start", *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"argument {options[0]}: " in done.stderr
    assert "Traceback" not in done.stderr
