"""How fast the local network is: start, transactions through JSON-RPC, and reads among 100,000 jobs. Prints a table, writes JSON.

python tools/bench_localnet.py [OUT.json]   (nosana_localnet has to be importable)
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from solders.account import Account
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from nosana_localnet import base58, idl
from nosana_localnet.genesis import JOBS_PROGRAM, MARKETS
from nosana_localnet.ledger import SYSTEM_PROGRAM
from nosana_localnet.server import Network, Settings
from nosana_localnet.thread import running

JOBS: Final = 100_000
TRANSACTIONS: Final = 2_000
CLIENTS: Final = 4
READS: Final = 5
LIMITS: Final = {
    "ready_seconds": ("<=", 2.0),
    "transactions_per_second": (">=", 500),
    "program_accounts_seconds": ("<=", 0.5),
    "memory_mb": ("<=", 300),
}
WORDS: Final = {
    "ready_seconds": "start to first answer, s",
    "transactions_per_second": "transactions a second through JSON-RPC (preflight, base64, no confirmation)",
    "health_per_second": "calls of getHealth a second, for comparison",
    "program_accounts_seconds": f"getProgramAccounts among {JOBS} jobs, by project, s",
    "one_account_seconds": "getAccountInfo among them, s",
    "memory_mb": "resident memory with them, MB",
}


class Client:
    """A connection that stays open."""

    def __init__(self, port: int):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def rpc(self, method: str, *params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = json.loads(self._connection.getresponse().read())
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        return answer["result"]


def main() -> int:
    """0 when every limit is kept."""
    figures = {"ready_seconds": ready()}
    figures |= in_a_process_of_its_own()
    kept = True
    for key, words in WORDS.items():
        sign, limit = LIMITS.get(key, ("", 0))
        good = not sign or (figures[key] <= limit if sign == "<=" else figures[key] >= limit)
        kept = kept and good
        print(f"{words:78} {figures[key]:10.3f}  {f'{sign} {limit:g}' if sign else '':10} {'' if good else 'MISSED'}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if kept else 1


def ready() -> float:
    """Seconds from the command to the first answer, the median of some."""
    times = []
    for _ in range(READS):
        with tempfile.TemporaryDirectory() as scratch:
            began = time.perf_counter()
            command = [
                sys.executable,
                "-m",
                "nosana_localnet",
                "start",
                "--port",
                "0",
                "--runner",
                "process",
                "--wallet",
                f"{scratch}/wallet.json",
            ]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                port = next(int(line.rpartition(":")[2]) for line in child.stdout if line.startswith("export NOSANA_RPC_URL="))
                Client(port).rpc("getHealth")
                times.append(time.perf_counter() - began)
                child.terminate()
    return statistics.median(times)


def in_a_process_of_its_own() -> dict[str, float]:
    """The network serves from a process whose memory is only its own; clients are this one."""
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            return measured(child, child.stdin, child.stdout)
        finally:
            child.stdin.close()


def measured(child: subprocess.Popen[str], into: IO[str], out: IO[str]) -> dict[str, float]:
    """What the network in the other process does."""
    told = json.loads(out.readline())
    client = Client(told["port"])
    figures = {"health_per_second": READS * 200 / seconds_of(lambda: [client.rpc("getHealth") for _ in range(READS * 200)])}
    figures["transactions_per_second"] = TRANSACTIONS / sending(told["port"], bytes(told["wallet"]))
    print("fill", file=into, flush=True)
    project = json.loads(out.readline())["project"]
    discriminator = base58.encode(idl.discriminator("account", "JobAccount"))
    filters = [{"memcmp": {"offset": 0, "bytes": discriminator}}, {"memcmp": {"offset": 176, "bytes": project}}]
    options = {"encoding": "base64", "filters": filters}
    found = client.rpc("getProgramAccounts", str(JOBS_PROGRAM), options)
    assert len(found) == 10, len(found)
    figures["program_accounts_seconds"] = statistics.median(
        seconds_of(lambda: client.rpc("getProgramAccounts", str(JOBS_PROGRAM), options)) for _ in range(READS)
    )
    address = found[0]["pubkey"]
    figures["one_account_seconds"] = statistics.median(
        seconds_of(lambda: client.rpc("getAccountInfo", address, {"encoding": "base64"})) for _ in range(READS)
    )
    status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
    figures["memory_mb"] = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return figures


def sending(port: int, secret: bytes) -> float:
    """Seconds for transfers that were signed beforehand, sent by some clients at once."""
    wallet = Keypair.from_bytes(secret)
    latest = Hash.from_string(Client(port).rpc("getLatestBlockhash", {"commitment": "confirmed"})["value"]["blockhash"])
    target, texts = Keypair().pubkey(), []
    for number in range(TRANSACTIONS):
        pay = transfer(TransferParams(from_pubkey=wallet.pubkey(), to_pubkey=target, lamports=1_000_000 + number))
        message = MessageV0.try_compile(wallet.pubkey(), [pay], [], latest)
        texts.append(base64.b64encode(bytes(VersionedTransaction(message, [wallet]))).decode())

    def send(part: list[str]) -> None:
        client = Client(port)
        for text in part:
            client.rpc("sendTransaction", text, {"encoding": "base64", "preflightCommitment": "processed"})

    threads = [threading.Thread(target=send, args=(texts[start::CLIENTS],)) for start in range(CLIENTS)]
    before = Client(port).rpc("getTransactionCount")

    def together() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    taken = seconds_of(together)
    landed = Client(port).rpc("getTransactionCount") - before
    assert landed >= TRANSACTIONS, f"only {landed} landed"
    return taken


def seconds_of(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def serve() -> None:
    """The other process: a network, which is filled with jobs when it is told to."""
    with running(Settings(port=0, runner="process", hosts={})) as network:
        wallet = Keypair()
        network.fund(wallet.pubkey(), sol=100)
        print(json.dumps({"port": network.network.port, "wallet": list(bytes(wallet))}), flush=True)
        sys.stdin.readline()
        print(json.dumps({"project": str(network.call(fill))}), flush=True)
        sys.stdin.readline()


def fill(network: Network) -> Pubkey:
    """Puts the jobs there directly; the project of ten of them."""
    projects = [Keypair().pubkey() for _ in range(JOBS // 10)]
    rent = network.ledger.rent(idl.JOB_BYTES)
    values = {"ipfs_job": bytes(32), "ipfs_result": bytes(32), "market": MARKETS[0].address, "node": SYSTEM_PROGRAM, "price": 1}
    values |= {"state": 0, "time_end": 0, "time_start": 0, "timeout": 60}
    for number in range(JOBS):
        project = projects[number // 10]
        data = idl.encode_account("JobAccount", values | {"payer": project, "project": project}, size=idl.JOB_BYTES)
        network.ledger.put(Pubkey(os.urandom(32)), Account(rent, data, JOBS_PROGRAM))
    network.ledger.settle()
    return projects[0]


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        sys.exit(main())
