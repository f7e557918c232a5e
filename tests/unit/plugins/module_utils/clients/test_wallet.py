"""The wallet in its three forms, and errors that never show any part of it."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._clients.base58 import b58decode, b58encode
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidWallet
from ansible_collections.nosana.compute.plugins.module_utils._clients.wallet import load_wallet

KEY = Keypair.from_seed(bytes(range(1, 33)))
SECRET = bytes(KEY)
ARRAY = json.dumps(list(SECRET))


def test_all_forms_are_the_same_wallet(tmp_path: Path) -> None:
    path = tmp_path / "id.json"
    path.write_text(ARRAY + "\n")
    path.chmod(0o600)
    for value in (str(path), b58encode(SECRET), ARRAY, f" {ARRAY}\n"):
        wallet = load_wallet(value)
        assert wallet.address == str(KEY.pubkey())
        assert wallet.warnings == []
        assert b58encode(SECRET) not in repr(wallet)
    path.chmod(0o644)
    assert "chmod 600" in load_wallet(str(path)).warnings[0]


@pytest.mark.parametrize(
    "value",
    ["", "  ", "/nowhere/id.json", "0OIl", b58encode(SECRET[:32]), b58encode(SECRET[:32] + bytes(range(32)))]
    + [json.dumps(list(SECRET[:32])), json.dumps(list(SECRET[:63]) + [256]), json.dumps(list(SECRET[:63]) + [1.5]), ARRAY[:-1]]
    + ["[]", "[null]", '["a"]', json.dumps([True] * 64)],
)
def test_what_is_no_wallet(value: str) -> None:
    with pytest.raises(InvalidWallet) as caught:
        load_wallet(value)
    said = str(caught.value) + repr(caught.value.details)
    assert said.count(".") >= 1
    for planted in (b58encode(SECRET[:32]), ", ".join(map(str, SECRET[:4])), value.strip("[]")[:20]):
        assert not planted or len(planted) < 6 or planted not in said


def test_files_that_hold_no_wallet(tmp_path: Path) -> None:
    for name, content in (("binary", b"\xff\xfe"), ("large", b"[" + b"1," * 9000), ("empty", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(InvalidWallet):
            load_wallet(str(path))
    with pytest.raises(InvalidWallet):
        load_wallet(str(tmp_path))


def test_base58_there_and_back() -> None:
    for raw in (b"", b"\0", b"\0\0\1", SECRET, bytes(32)):
        assert b58decode(b58encode(raw)) == raw
