"""Reads a wallet and its jobs from the ledger without any of the collection's code: usage: ledger.py RPC_URL ADDRESS; prints JSON."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import struct
import sys
import urllib.request
from typing import Any

PROGRAM = "nosJhNRqr2bc9g1nfGDcXXTXvYUmxD4cVwy2pMWhrYM"
MINT = "nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7"
CLOCK = "SysvarC1ock11111111111111111111111111111111"
JOB_BYTES = 240


def main() -> None:
    """Every account of the program is read, and the wallet's jobs are picked out here."""
    url, owner = sys.argv[1:]

    def ask(method: str, *params: Any) -> Any:
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = urllib.request.Request(url, json.dumps(question).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["result"]

    at = {"commitment": "confirmed"}
    tokens = ask("getTokenAccountsByOwner", owner, {"mint": MINT}, at | {"encoding": "jsonParsed"})["value"]
    now = ask("getAccountInfo", CLOCK, at | {"encoding": "jsonParsed"})["value"]["data"]["parsed"]["info"]["unixTimestamp"]
    payer_bytes = base58(owner)
    expiration, jobs = {}, []
    for entry in ask("getProgramAccounts", PROGRAM, at | {"encoding": "base64"}):
        data = base64.b64decode(entry["account"]["data"][0])
        if len(data) > JOB_BYTES:
            expiration[base58(entry["pubkey"])] = struct.unpack_from("<q", data, 40)[0]
        elif len(data) == JOB_BYTES and data[136:168] == payer_bytes:
            jobs.append((data, entry["account"]["lamports"]))
    found = {
        "lamports": ask("getBalance", owner, at)["value"],
        "nos": sum(int(token["account"]["data"]["parsed"]["info"]["tokenAmount"]["amount"]) for token in tokens),
        "token_accounts": [token["pubkey"] for token in tokens],
        "deposits": [0, 0],
        "now": [0, 0],
        "later": [0, 0],
    }
    for data, lamports in jobs:
        price, state, end, timeout = (
            struct.unpack_from(form, data, at)[0] for form, at in (("<Q", 168), ("<B", 208), ("<q", 209), ("<q", 225))
        )
        if state != 2:
            where, amount = "deposits", price * timeout
        else:
            where, amount = "now" if expiration[data[72:104]] < now - end else "later", lamports
        found[where] = [found[where][0] + 1, found[where][1] + amount]
    print(json.dumps(found))


def base58(text: str) -> bytes:
    """The 32 bytes of a key."""
    number = 0
    for character in text:
        number = number * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(character)
    return number.to_bytes(32, "big")


if __name__ == "__main__":
    main()
