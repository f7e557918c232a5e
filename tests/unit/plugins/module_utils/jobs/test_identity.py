"""The derivation of job addresses equals vectors that were computed with other libraries."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._jobs.identity import Identity, hkdf_sha256

FIXTURE = next(parent for parent in Path(__file__).parents if (parent / "fixtures").is_dir()) / "fixtures" / "identity-vectors.json"
CASES: list[dict[str, Any]] = json.loads(FIXTURE.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['name']}-{case['generation']}")
def test_addresses_equal_the_vectors(case: dict[str, Any]) -> None:
    wallet = Keypair.from_seed(bytes.fromhex(case["wallet_seed_hex"]))
    identity = Identity(wallet, program=case["program"], name=case["name"])
    assert identity.address(case["generation"]) == case["job"]
    assert identity.address(case["generation"], "run") == case["run"]


def test_no_two_vectors_share_an_address() -> None:
    addresses = [case[purpose] for case in CASES for purpose in ("job", "run")]
    assert len(set(addresses)) == len(addresses)


def test_hkdf_is_rfc_5869() -> None:
    # RFC 5869, test case 1, first 32 of the 42 bytes.
    okm = hkdf_sha256(bytes([0x0B] * 22), salt=bytes(range(13)), info=bytes(range(0xF0, 0xFA)))
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


DOCS = Path(__file__).parents[5] / "docs" / "identity.md"


def test_the_documented_code_gives_the_documented_addresses() -> None:
    text = DOCS.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    rows = [line.strip("|").replace(" ", "").split("|") for line in text.splitlines() if re.match(r"\|[^|]*\| [0-9]+ \|", line)]
    assert len(rows) == 4
    program = CASES[0]["program"]
    assert program in text
    for name, generation, job, run in rows:
        identity = Identity(Keypair.from_seed(bytes(range(1, 33))), program=program, name=name)
        for number, address, ours in ((1, job, identity.address(int(generation))), (2, run, identity.address(int(generation), "run"))):
            documented = names["derive"](bytes(range(1, 33)), program, name, int(generation), number)
            assert str(documented.pubkey()) == ours == address
