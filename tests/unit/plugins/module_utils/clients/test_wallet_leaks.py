"""Keys in forms that are not read: an error says what to do and holds no part of the key."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path

import pytest
from solders.keypair import Keypair

from ansible_collections.nosana.compute.plugins.module_utils._clients.base58 import b58encode
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidWallet
from ansible_collections.nosana.compute.plugins.module_utils._clients.wallet import load_wallet

SECRET = bytes(Keypair.from_seed(bytes(range(200, 232))))
BASE64 = base64.b64encode(b"\xff\xff\xff" + SECRET).decode()
NUMBERS = ", ".join(map(str, SECRET))
FORMS = {
    "base64, which has slashes like a path": BASE64,
    "hexadecimal": SECRET.hex(),
    "PEM": f"-----BEGIN PRIVATE KEY-----\n{BASE64}\n-----END PRIVATE KEY-----",
    "JSON object": json.dumps({"secretKey": list(SECRET)}),
    "numbers without brackets": NUMBERS,
    "an array that is cut off": f"[{NUMBERS}",
    "an array of one too many": f"[{NUMBERS}, 1]",
    "an array in an array": f"[[{NUMBERS}]]",
    "a deep array": "[" * 100_000,
    "base58 of one byte less": b58encode(SECRET[:-1]),
    "base58 with a letter that is none": b58encode(SECRET) + "0",
    "base58 with a public half of another key": b58encode(SECRET[:32] + bytes(Keypair.from_seed(bytes(32)).pubkey())),
    "base58 and a suffix": b58encode(SECRET) + ".json",
    "a path with a zero byte": f"/{b58encode(SECRET)}\0",
    "a path that is too long": "/" + b58encode(SECRET) * 100,
}


def pieces(value: str) -> set[str]:
    """Every run of eight characters of the key in all its forms."""
    texts = (value, BASE64, SECRET.hex(), b58encode(SECRET), NUMBERS)
    return {text[at : at + 8] for text in texts for at in range(len(text) - 7)} - {"PRIVATE ", "-----BEG", "-----END"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["option", "file"])
def test_no_part_of_a_key_is_shown(form: str, where: str, tmp_path: Path) -> None:
    value = FORMS[form]
    if where == "file":
        path = tmp_path / "id.json"
        path.write_text(value, encoding="utf-8")
        path.chmod(0o600)
    with pytest.raises(InvalidWallet) as caught:
        load_wallet(str(path) if where == "file" else value)
    shown = str(caught.value) + repr(caught.value) + repr(caught.value.details)
    # The source lines of a traceback hold no values; its last line is the message.
    shown += "".join(traceback.format_exception_only(caught.value))
    assert not [piece for piece in pieces(value) if piece in shown]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    if where == "file":
        assert "wallet file id.json" in shown


def test_a_path_of_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "key"
    path.write_text(b58encode(SECRET) + "\n", encoding="utf-8")
    for mode, warned in ((0o600, False), (0o400, False), (0o640, True), (0o604, True)):
        path.chmod(mode)
        assert bool(load_wallet("~/key").warnings) is warned
