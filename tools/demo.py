"""The demonstration behind `make demo`: deploys, looks, deploys again, removes, and accounts for every lamport and base unit.

Runs inside `nosana-localnet run`, which sets the NOSANA_* variables; uses the installed collection and nothing of the checkout but examples/.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RPC_URL = os.environ.get("NOSANA_RPC_URL", "")
JOBS_PROGRAM = "nosJhNRqr2bc9g1nfGDcXXTXvYUmxD4cVwy2pMWhrYM"
NOS_MINT = "nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7"
JOB_PROJECT_OFFSET = 176
CONFIRMED = {"commitment": "confirmed"}
# *.localhost names are resolved by few resolvers; the local network answers for them as a plain HTTP proxy.
BROWSER = urllib.request.build_opener(urllib.request.ProxyHandler({"http": RPC_URL}))
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Balance:
    """What the wallet has: SOL in lamports, NOS in base units."""

    lamports: int
    base_units: int


def main() -> int:
    if not RPC_URL:
        print("This runs inside the local network: use `make demo`.", file=sys.stderr)
        return 2
    wallet = wallet_address()
    before = balance(wallet)
    say("Deploy the three jobs of examples/deploy.yml")
    play("deploy.yml")
    jobs = info()
    for job in jobs:
        for service in job["services"]:
            say(f"GET {service['url']}")
            print(indent(fetch(service["url"])))
    say("Deploy again: nothing changes")
    recap = play("deploy.yml")
    if "changed=0 " not in recap:
        return fail("the second run changed something")
    say("The batch job's log, as its host has published it")
    batch = next(job for job in jobs if job["name"] == "batch-processing-job")
    lines = [line["text"] for line in batch["logs"] if line["type"] == "stdout"]
    print(indent("\n".join(line["text"] for line in batch["logs"])))
    if [line.strip() for line in lines] != ["Processing...", "Done!"]:
        return fail("the batch job did not print what it should")
    say("One more job, ad hoc")
    hello = "name=hello image=python:3.9-slim command='echo hello from a job' market=nvidia-3060 wait_for=completed wait_sleep=0.5"
    run(["ansible", "localhost", "-m", "nosana.compute.nosana_job", "-a", hello])
    during = balance(wallet)
    say("Remove everything")
    play("remove.yml")
    return account_for(wallet, before, during, balance(wallet))


def account_for(wallet: str, before: Balance, during: Balance, after: Balance) -> int:
    """Prints the table, and fails unless the wallet's loss is explained to the last unit by the ledger."""
    jobs = {job["address"]: job for job in info()}
    fees = sum(fees_paid(wallet))
    accounts = rpc("getProgramAccounts", [JOBS_PROGRAM, CONFIRMED | {"encoding": "base64", "filters": [project_filter(wallet)]}])
    rent = {account["pubkey"]: account["account"]["lamports"] for account in accounts}
    earned = {address: job["cost"]["paid_base_units"] for address, job in jobs.items()}
    say("Where the money went")
    print(f"  {'':52}{'SOL':>14}{'NOS':>14}")
    row = "  {:52}{:14.9f}{:14.6f}".format
    for title, state in (("before", before), ("while the services ran", during), ("after", after)):
        print(row(title, state.lamports / 1e9, state.base_units / 1e6))
    print(row("before − after", (before.lamports - after.lamports) / 1e9, (before.base_units - after.base_units) / 1e6))
    print(row("  transaction fees", fees / 1e9, 0))
    for address, lamports in rent.items():
        print(row(f"  {jobs[address]['name']}: rent | earned by its host", lamports / 1e9, earned[address] / 1e6))
    print("  The rent stays in the accounts of finished jobs until they are cleaned, a day after their end.")
    if before.lamports - after.lamports != fees + sum(rent.values()):
        return fail("lamports are missing")
    if before.base_units - after.base_units != sum(earned.values()):
        return fail("NOS base units are missing")
    print("  Accounted for to the last lamport and base unit.")
    return 0


def play(name: str) -> str:
    """Runs a playbook of examples/ and returns its recap line."""
    output = run(["ansible-playbook", str(EXAMPLES / name)])
    return next(line for line in output.splitlines() if re.match(r"localhost +: ", line))


def run(command: list[str]) -> str:
    """Runs a command, shows its output while it runs, and returns it; ends the demonstration when it fails."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print("  " + line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        sys.exit(fail(f"{command[0]} ended with {process.returncode}"))
    return "".join(lines)


def info() -> list[dict[str, Any]]:
    """All jobs of the wallet, by the collection's own module."""
    command = ["ansible", "localhost", "-m", "nosana.compute.nosana_job_info", "-a", json.dumps({"include": ["logs", "cost"]})]
    output = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"ANSIBLE_LOAD_CALLBACK_PLUGINS": "false"}
    )
    jobs: list[dict[str, Any]] = json.loads(output.stdout.partition("=>")[2])["jobs"]
    return jobs


def rpc(method: str, params: list[Any]) -> Any:
    """One JSON-RPC call to the local network."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    with DIRECT.open(urllib.request.Request(RPC_URL, body, {"Content-Type": "application/json"}), timeout=10) as answer:
        return json.load(answer)["result"]


def wallet_address() -> str:
    """Address of the wallet that the local network funded: base58 of the public half of the key file."""
    key = bytes(json.loads(Path(os.environ["NOSANA_WALLET"]).read_text(encoding="utf-8")))[32:]
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, text = int.from_bytes(key, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return "1" * (len(key) - len(key.lstrip(b"\0"))) + text


def balance(wallet: str) -> Balance:
    tokens = rpc("getTokenAccountsByOwner", [wallet, {"mint": NOS_MINT}, CONFIRMED | {"encoding": "base64"}])["value"]
    amounts = [int.from_bytes(base64.b64decode(token["account"]["data"][0])[64:72], "little") for token in tokens]
    return Balance(rpc("getBalance", [wallet, CONFIRMED])["value"], sum(amounts))


def fees_paid(wallet: str) -> list[int]:
    """The fee of each transaction that the wallet paid for."""
    fees = []
    for entry in rpc("getSignaturesForAddress", [wallet, CONFIRMED]):
        transaction = rpc("getTransaction", [entry["signature"], CONFIRMED | {"maxSupportedTransactionVersion": 0}])
        if transaction["transaction"]["message"]["accountKeys"][0] == wallet:
            fees.append(transaction["meta"]["fee"])
    return fees


def project_filter(wallet: str) -> dict[str, Any]:
    return {"memcmp": {"offset": JOB_PROJECT_OFFSET, "bytes": wallet}}


def fetch(url: str) -> str:
    try:
        with BROWSER.open(url, timeout=10) as answer:
            return str(answer.read(2000).decode("utf-8", "replace").strip())
    except urllib.error.URLError as error:
        sys.exit(fail(f"{url} did not answer: {error}"))


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def indent(text: str) -> str:
    return "\n".join("  | " + line for line in text.splitlines())


def fail(text: str) -> int:
    print(f"\nThe demonstration failed: {text}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
