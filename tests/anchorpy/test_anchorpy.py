"""anchorpy, with the IDL of the local network, reads what the collection packs: two coders that share nothing."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from anchorpy import Idl
from anchorpy.coder.accounts import AccountsCoder
from anchorpy.coder.instruction import InstructionCoder

from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import Program, decode_job, decode_market, decode_run

IDL = Idl.from_json(Path(os.environ["NOSANA_IDL"]).read_text(encoding="utf-8"))
VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "unit" / "fixtures" / "nosana-vectors.json").read_text(encoding="utf-8"))
# The same data is read by the local network's own decoder in localnet/tests/test_idl.py.
PACKED: list[dict[str, Any]] = json.loads(
    (Path(os.environ["NOSANA_IDL"]).parents[2] / "tests" / "golden" / "instructions.json").read_text(encoding="utf-8")
)
KEYS = VECTORS["instructions"]["addresses"]
HASH = bytes(range(32))
PROGRAM = Program(NETWORKS["mainnet"])
POST = {
    "job": KEYS["job"],
    "market": KEYS["market"],
    "run": KEYS["run"],
    "payer": KEYS["wallet"],
    "project": KEYS["wallet"],
    "ipfs_job": HASH,
    "timeout_seconds": 3600,
}
REMOVE = {"job": KEYS["job"], "market": KEYS["market"], "payer": KEYS["wallet"], "project": KEYS["wallet"]}
INSTRUCTIONS = {
    "list": (PROGRAM.list_job(**POST), {"ipfs_job": HASH, "timeout": 3600}),
    "assign": (PROGRAM.assign(**POST, node=KEYS["node"]), {"ipfs_job": HASH, "timeout": 3600}),
    "extend": (PROGRAM.extend(**REMOVE, timeout_seconds=7200), {"timeout": 7200}),
    "delist": (PROGRAM.delist(**REMOVE), {}),
    "recover": (PROGRAM.recover(**REMOVE), {}),
}


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_anchorpy_reads_our_instructions(name: str) -> None:
    instruction, wanted = INSTRUCTIONS[name]
    parsed = InstructionCoder(IDL).parse(bytes(instruction.data))
    assert parsed.name == name
    assert {
        key: bytes(value) if isinstance(value, list) else value for key, value in dict(parsed.data).items() if not key.startswith("_")
    } == wanted
    described = next(entry for entry in IDL.instructions if entry.name == name)
    assert [(account.is_mut, account.is_signer) for account in described.accounts] == [
        (account.is_writable, account.is_signer) for account in instruction.accounts
    ]


@pytest.mark.parametrize("case", PACKED, ids=lambda case: case["name"])
def test_anchorpy_reads_what_the_local_network_reads(case: dict[str, Any]) -> None:
    parsed = InstructionCoder(IDL).parse(bytes.fromhex(case["data_hex"]))
    args = {key: value for key, value in dict(parsed.data).items() if not key.startswith("_")}
    assert (parsed.name, {key: bytes(value).hex() if isinstance(value, list) else value for key, value in args.items()}) == (
        case["name"],
        case["args"],
    )


@pytest.mark.parametrize("case", VECTORS["accounts"]["cases"], ids=lambda case: case["name"])
def test_both_read_the_same_from_an_account(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["data_hex"])
    theirs = AccountsCoder(IDL).parse(data).data
    kind = case["name"].split()[0]
    if kind == "JobAccount":
        job = decode_job(data)
        assert (job.ipfs_job, job.market, job.payer, job.project) == (
            bytes(theirs.ipfs_job),
            str(theirs.market),
            str(theirs.payer),
            str(theirs.project),
        )
        assert (job.price, job.state, job.time_start, job.time_end, job.timeout_seconds) == (
            theirs.price,
            theirs.state,
            theirs.time_start,
            theirs.time_end,
            theirs.timeout,
        )
    elif kind == "RunAccount":
        run = decode_run(data)
        assert (run.job, run.node, run.payer, run.state, run.time_start) == (
            str(theirs.job),
            str(theirs.node),
            str(theirs.payer),
            theirs.state,
            theirs.time,
        )
    else:
        market = decode_market(data)
        assert (market.job_price, market.job_timeout_seconds, market.queue_type) == (
            theirs.job_price,
            theirs.job_timeout,
            theirs.queue_type,
        )
        assert list(market.queue) == [str(key) for key in theirs.queue]
