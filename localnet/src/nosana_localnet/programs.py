"""The jobs program from elsewhere: from a file, or from an account of another network."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout
from solders.pubkey import Pubkey

from .genesis import JOBS_PROGRAM

MAINNET_RPC_URL: Final = "https://api.mainnet-beta.solana.com"
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
FETCH_SECONDS: Final = 60.0
UPGRADEABLE_LOADER: Final = "BPFLoaderUpgradeab1e11111111111111111111111"
PROGRAM_HEADER_BYTES: Final = 4
PROGRAM_DATA_HEADER_BYTES: Final = 45
_ELF: Final = b"\x7fELF"


async def fetch(source: str) -> bytes:
    """The program of a file, of "mainnet", or of the network behind an RPC URL. ValueError is one sentence that says what is wrong."""
    if source != "mainnet" and not source.startswith(("http://", "https://")):
        try:
            elf = Path(source).read_bytes()
        except OSError as error:
            raise ValueError(f"The program {source} cannot be read ({error.strerror}).") from None
    else:
        elf = await _from_chain(MAINNET_RPC_URL if source == "mainnet" else source)
    if not elf.startswith(_ELF):
        raise ValueError(f"{'The account' if '://' in source else source} holds no ELF, which a program of Solana is.")
    return elf


async def _from_chain(url: str) -> bytes:
    """The program's code as it stands on another chain, behind the account of an upgradeable program or in it."""
    try:
        async with ClientSession(timeout=ClientTimeout(total=FETCH_SECONDS)) as client:
            owner, data = await _account(client, url, str(JOBS_PROGRAM))
            if owner != UPGRADEABLE_LOADER:
                return data
            code = Pubkey(data[PROGRAM_HEADER_BYTES : PROGRAM_HEADER_BYTES + 32])
            _owner, data = await _account(client, url, str(code))
            return data[PROGRAM_DATA_HEADER_BYTES:]
    except (ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"The program {JOBS_PROGRAM} could not be fetched from its network ({reason[:200]}).") from None


async def _account(client: ClientSession, url: str, address: str) -> tuple[str, bytes]:
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "getAccountInfo", "params": [address, {"encoding": "base64"}]}
    async with client.post(url, json=body) as answer:
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise ValueError("the answer is too long")
        if answer.status != 200:
            raise ValueError(f"HTTP {answer.status}")
    value = json.loads(content)["result"]["value"]
    if value is None:
        raise ValueError("there is no such account")
    return str(value["owner"]), base64.b64decode(value["data"][0])
