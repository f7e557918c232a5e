"""The node's front answers as a recorded Agave node did: the same conversation, compared in status, shape and errors."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from rpc_client import running

from nosana_localnet.ledger import Ledger

GOLDEN = Path(__file__).parent / "golden"
SLOT_SECONDS = 0.05  # the conversation waits for finality; a blockhash must outlive the steps between


async def python(*words: object) -> tuple[int, str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await child.communicate()
    return child.returncode or 0, out.decode()


@pytest.mark.asyncio
async def test_every_recorded_exchange(tmp_path: Path) -> None:
    async with running(Ledger(), slot_seconds=SLOT_SECONDS) as node:
        code, said = await python(GOLDEN / "record_rpc.py", node.url, node.ws_url, tmp_path / "have.json")
        assert code == 0, said
    code, said = await python(GOLDEN / "compare_rpc.py", GOLDEN / "rpc-recordings.json", tmp_path / "have.json")
    assert said.splitlines()[-1] == "140 of 140 exchanges agree", said
    assert code == 0
