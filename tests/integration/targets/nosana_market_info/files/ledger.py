"""Reads market accounts from the ledger without any of the collection's code: usage: ledger.py RPC_URL ADDRESS…; prints JSON."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import sys
import urllib.request


def main() -> None:
    """Price, timeout and queue of each market, by the layout of its account."""
    url, *addresses = sys.argv[1:]
    found = {}
    for address in addresses:
        question = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "getAccountInfo",
            "params": [address, {"encoding": "base64", "commitment": "confirmed"}],
        }
        request = urllib.request.Request(url, json.dumps(question).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            data = base64.b64decode(json.load(answer)["result"]["value"]["data"][0])
        length = int.from_bytes(data[147:151], "little")
        found[address] = {
            "price": int.from_bytes(data[48:56], "little"),
            "timeout": int.from_bytes(data[56:64], "little"),
            "jobs": length if data[146] == 0 else 0,
            "hosts": length if data[146] == 1 else 0,
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
