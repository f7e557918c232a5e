"""Posts jobs through JSON-RPC, one after another, and prints `job signature` for each as soon as the network says that it is confirmed.

Arguments: RPC URL, wallet file, how many. Ends when the network does not answer any more.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import http.client
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from network import poster_accounts
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.transaction import VersionedTransaction

from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM, MARKETS

MARKET = next(market for market in MARKETS if market.slug == "nvidia-3090").address


def main() -> None:
    connection = http.client.HTTPConnection(urlsplit(sys.argv[1]).netloc, timeout=10)

    def rpc(method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())["result"]

    wallet = Keypair.from_bytes(bytes(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))))
    accounts = poster_accounts(wallet.pubkey(), MARKET)
    try:
        for _ in range(int(sys.argv[3])):
            blockhash = Hash.from_string(rpc("getLatestBlockhash", {"commitment": "confirmed"})["value"]["blockhash"])
            job, run = Keypair(), Keypair()
            keys = accounts | {"job": job.pubkey(), "run": run.pubkey()}
            post = idl.instruction("list", JOBS_PROGRAM, keys, {"ipfs_job": bytes(32), "timeout": 1})
            transaction = VersionedTransaction(MessageV0.try_compile(wallet.pubkey(), [post], [], blockhash), [wallet, job, run])
            signature = rpc(
                "sendTransaction", base64.b64encode(bytes(transaction)).decode(), {"encoding": "base64", "preflightCommitment": "confirmed"}
            )
            (status,) = rpc("getSignatureStatuses", [signature])["value"]
            assert status["confirmationStatus"] in ("confirmed", "finalized")
            print(job.pubkey(), signature, flush=True)
    except (OSError, http.client.HTTPException):
        return


main()
