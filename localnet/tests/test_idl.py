"""Instructions as the page shows them: data → name, arguments and accounts. tests/anchorpy holds it equal to anchorpy."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from nosana_localnet import idl

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "instructions.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_instruction_is_read(case: dict[str, Any]) -> None:
    decoded = idl.decode_instruction(bytes.fromhex(case["data_hex"]), [])
    assert decoded.name == case["name"]
    assert {key: value.hex() if isinstance(value, bytes) else value for key, value in decoded.args.items()} == case["args"]


def test_every_instruction_of_the_idl_is_among_them() -> None:
    assert len({case["name"] for case in CASES}) == len(idl.idl()["instructions"])


def test_accounts_have_their_names_and_more_of_them_have_none() -> None:
    keys = [Pubkey.new_unique() for _ in range(4)]
    decoded = idl.decode_instruction(idl.discriminator("global", "stop"), keys)
    assert decoded.accounts == list(zip(["market", "node", "authority", ""], keys, strict=True))


@pytest.mark.parametrize("data", [b"", b"1234567", b"12345678", idl.discriminator("global", "extend") + b"1234567"])
def test_what_is_no_instruction_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not an instruction|too short"):
        idl.decode_instruction(data, [])


def test_errors_have_names() -> None:
    assert idl.error_text(6004) == "JobInWrongState: This job does not have the right status."
    assert idl.error_text(1) is None
