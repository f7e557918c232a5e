"""anchorpy, with the IDL of the local network, reads what the collection packs, and the same as the local network's page shows."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from anchorpy import Idl
from anchorpy.coder.accounts import AccountsCoder
from anchorpy.coder.instruction import InstructionCoder
from pyheck import snake
from solders.pubkey import Pubkey

from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import Program, decode_job, decode_market, decode_run
from nosana_localnet import idl

IDL = Idl.from_json(Path(os.environ["NOSANA_IDL"]).read_text(encoding="utf-8"))
VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "unit" / "fixtures" / "nosana-vectors.json").read_text(encoding="utf-8"))
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


# ---- the local network's own decoder, which its page shows transactions with (no anchorpy works beside the libraries that it needs)

CODER = InstructionCoder(IDL)
ARGUMENT_BYTES = {"list": 40, "assign": 40, "extend": 8, "complete": 32, "finish": 32, "open": 41, "update": 41}
DRAWS = 200


def anchorpy_reads(data: bytes) -> tuple[str, dict[str, Any]]:
    parsed = CODER.parse(data)
    args = {key: value for key, value in dict(parsed.data).items() if not key.startswith("_")}
    return parsed.name, {key: bytes(value) if isinstance(value, list) else value for key, value in args.items()}


def test_there_are_nineteen_instructions() -> None:
    assert len({entry.name for entry in IDL.instructions}) == 19


@pytest.mark.parametrize("described", IDL.instructions, ids=lambda described: snake(described.name))
def test_the_page_reads_every_instruction_as_anchorpy_does(described: Any) -> None:
    """Whatever the arguments' bytes are; and the accounts have the same names in the same order."""
    name = snake(described.name)
    chance = random.Random(name)
    keys = [Pubkey(chance.randbytes(32)) for _account in described.accounts]
    size = ARGUMENT_BYTES.get(name, 0)
    for arguments in (bytes(size), b"\xff" * size, *(chance.randbytes(size) for _draw in range(DRAWS))):
        data = idl.discriminator("global", name) + arguments
        decoded = idl.decode_instruction(data, keys)
        assert (decoded.name, decoded.args) == anchorpy_reads(data)
        assert decoded.name == name
    assert decoded.accounts == [(snake(account.name), key) for account, key in zip(described.accounts, keys, strict=True)]
    if size:
        with pytest.raises(ValueError, match="too short"):
            idl.decode_instruction(data[:-1], keys)


@pytest.mark.parametrize("case", VECTORS["accounts"]["cases"], ids=lambda case: case["name"])
def test_the_page_reads_every_account_as_anchorpy_does(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["data_hex"])
    theirs = dict(AccountsCoder(IDL).parse(data).data.__dict__)
    ours = idl.decode_account(case["name"].split()[0], data)
    assert {key: list(value) if isinstance(value, bytes) else value for key, value in ours.items()} == {key: theirs[key] for key in ours}


def test_errors_have_the_same_words() -> None:
    assert {entry.code: idl.error_text(entry.code) for entry in IDL.errors} == {
        entry.code: f"{entry.name}: {entry.msg}" for entry in IDL.errors
    }


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
