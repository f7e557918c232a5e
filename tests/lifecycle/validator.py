"""A real Solana node, solana-test-validator, whose chain begins as the local network's does: same programs, same accounts."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import ctypes
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from solders.account import Account
from solders.pubkey import Pubkey

from nosana_localnet.ledger import Ledger

START_SECONDS, END_SECONDS, LOOK_SECONDS = 240.0, 30.0, 0.2
_PR_SET_PDEATHSIG = 1
_SHOWN_CHARACTERS = 3000


@contextmanager
def running(command: str, directory: Path, ledger: Ledger, programs: Mapping[Pubkey, bytes]) -> Iterator[str]:
    """The URL of a node that runs as long as the block lasts; its chain is not kept. `directory` is its own and holds its log."""
    shutil.rmtree(directory, ignore_errors=True)
    accounts, chain = directory / "accounts", directory / "chain"
    accounts.mkdir(parents=True)
    for address, account in ledger.every_account():
        (accounts / f"{address}.json").write_text(json.dumps(as_json(address, account)), encoding="utf-8")
    arguments = []
    for address, elf in programs.items():
        image = directory / f"{address}.so"
        image.write_bytes(elf)
        arguments += ["--bpf-program", str(address), str(image)]
    port = free_port()
    arguments += ["--ledger", str(chain), "--account-dir", str(accounts), "--bind-address", "127.0.0.1"]
    # Slots of 250 ms: what has to be waited for until blockhashes are over takes 38 s, not a minute.
    arguments += ["--ticks-per-slot", "40"]
    # Its default keeps 10,000 shreds, which is the history of a minute: shorter than a job takes to settle.
    arguments += ["--limit-ledger-size", "1000000"]
    arguments += ["--rpc-port", str(port), "--faucet-port", str(free_port()), "--reset", "--quiet"]
    log = directory / "log"
    with log.open("wb") as said:
        node = subprocess.Popen([command, *arguments], stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=_end_with_parent)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_it_answers(url, node, log)
        yield url
    finally:
        node.terminate()
        try:
            node.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()
        shutil.rmtree(chain, ignore_errors=True)


def as_json(address: Pubkey, account: Account) -> dict[str, object]:
    """An account as the node reads it from a file."""
    return {
        "pubkey": str(address),
        "account": {
            "lamports": account.lamports,
            "data": [base64.b64encode(account.data).decode(), "base64"],
            "owner": str(account.owner),
            "executable": account.executable,
            "rentEpoch": account.rent_epoch,
            "space": len(account.data),
        },
    }


def wait_until_it_answers(url: str, node: subprocess.Popen[bytes], log: Path) -> None:
    """Healthy, and with a blockhash that is confirmed."""
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(timeout=5, trust_env=False) as http:
        while node.poll() is None and time.monotonic() < deadline:
            try:
                bodies = [
                    {"jsonrpc": "2.0", "id": 1, "method": "getHealth"},
                    {"jsonrpc": "2.0", "id": 1, "method": "getBlockHeight", "params": [{"commitment": "confirmed"}]},
                ]
                health, height = (http.post(url, json=body).json().get("result") for body in bodies)
                if health == "ok" and height:
                    return
            except (httpx.HTTPError, ValueError):
                pass
            time.sleep(LOOK_SECONDS)
    raise AssertionError(
        f"The validator did not come up; it said: {log.read_text(encoding='utf-8', errors='replace')[-_SHOWN_CHARACTERS:]}"
    )


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _end_with_parent() -> None:
    """However this process ends, the node ends too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
