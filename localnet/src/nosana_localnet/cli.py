"""The command nosana-localnet: start the network, run a command inside it, ask its faucet."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import __version__, genesis
from .server import DEFAULT_HOSTS, WALLET_NOS, WALLET_SOL, Network, Settings, Unusable, read_wallet, run

COMMAND_NOT_FOUND: Final = 127

DESCRIPTION = """\
A Nosana network in one process, for trying and testing: a Solana ledger with the jobs program, JSON-RPC and PubSub,
IPFS, the market list, hosts that run jobs, and a faucet, all on one port of 127.0.0.1. Nothing leaves this machine,
nothing costs anything, and nothing is kept when it ends.
"""

EXAMPLES = """\
examples:
  nosana-localnet start
      run it in the foreground on port 8899; Ctrl-C ends it and everything that its hosts have started
  nosana-localnet run -- ansible-playbook deploy.yml
      start it on a free port, run the command with the NOSANA_* variables and a funded wallet, end with the command's exit code
  nosana-localnet start --hosts nvidia-3060=2,nvidia-4090=1 --runner process
      two hosts in one market and one in another, jobs as plain processes
  nosana-localnet faucet 9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj --sol 1 --nos 100
      money for a wallet of the network that runs
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "start":
            return asyncio.run(start(options))
        if options.command == "run":
            return asyncio.run(run_command(options))
        return faucet(options)
    except Unusable as error:
        print(f"nosana-localnet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The options of all commands."""
    top = argparse.ArgumentParser(
        prog="nosana-localnet", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    top.add_argument("--version", action="version", version=f"nosana-localnet {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    network = argparse.ArgumentParser(add_help=False)
    network.add_argument(
        "--runner",
        choices=["auto", "process", "podman", "docker"],
        default="auto",
        help="what hosts run ops with: containers of podman or docker, plain processes of this machine, or auto: containers where an engine"
        " works and the image can be had, processes otherwise. An image whose program is not here answers with a page that says so",
    )
    defaults = ",".join(f"{slug}={count}" for slug, count in DEFAULT_HOSTS.items())
    slugs = ", ".join(market.slug for market in genesis.MARKETS)
    network.add_argument(
        "--hosts", type=_hosts, metavar="MARKET=N,…", help=f"how many hosts wait in which market (default {defaults}; markets: {slugs})"
    )

    begin = commands.add_parser("start", parents=[network], help="run the network in the foreground")
    begin.add_argument("--port", type=int, default=8899, help="port on 127.0.0.1 (default 8899; 0 takes a free one)")
    begin.add_argument(
        "--wallet", type=Path, default=_default_wallet(), help="key file to fund; made where it does not exist (default %(default)s)"
    )

    inside = commands.add_parser("run", parents=[network], help="start the network, run a command inside it, end")
    inside.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    inside.add_argument("argv", nargs="+", metavar="COMMAND", help="the command and its arguments, after --")

    money = commands.add_parser("faucet", help="ask the faucet of a network that runs")
    money.add_argument("address", help="the wallet's address")
    money.add_argument("--sol", type=float, default=1.0, help="how much SOL (default 1)")
    money.add_argument("--nos", type=float, default=100.0, help="how much NOS (default 100)")
    money.add_argument("--port", type=int, default=8899, help="the network's port (default 8899)")
    return top


async def start(options: argparse.Namespace) -> int:
    """The foreground network: prints how to reach it, and ends by a signal."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    wallet = read_wallet(options.wallet)
    async with run(Settings(options.port, options.runner, options.hosts)) as network:
        network.fund(wallet.pubkey())
        print(greeting(network, options.wallet, str(wallet.pubkey())), flush=True)
        await ended.wait()
        print("Ending.", flush=True)
    return 0


async def run_command(options: argparse.Namespace) -> int:
    """Runs a command inside a network of its own."""
    with tempfile.TemporaryDirectory(prefix="nosana-localnet-") as scratch:
        path = Path(scratch) / "wallet.json"
        wallet = read_wallet(path)
        async with run(Settings(options.port, options.runner, options.hosts)) as network:
            network.fund(wallet.pubkey())
            try:
                child = await asyncio.create_subprocess_exec(*options.argv, env=os.environ | network.environment(path))
            except OSError as error:
                raise Unusable(f"{options.argv[0]} cannot be run: {error.strerror}.") from None
            # Ctrl-C reaches the command by itself, as it is in the same group; the network waits for it to end.
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGINT, lambda: None)
            loop.add_signal_handler(signal.SIGTERM, child.terminate)
            code = await child.wait()
            return code if code >= 0 else 128 - code


def greeting(network: Network, wallet: Path, address: str) -> str:
    """What a newcomer has to know, and the lines to paste into another terminal."""
    hosts: dict[str, int] = {}
    for host in network.hosts:
        hosts[host.market.slug] = hosts.get(host.market.slug, 0) + 1
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in network.environment(wallet).items())
    return f"""\
A local Nosana network runs at {network.url} (RPC and PubSub, IPFS under /ipfs/, markets under /api/markets/).
Open that address in a browser to see jobs, hosts, money and transactions as they happen.
Hosts wait in {", ".join(f"{slug} ({count})" for slug, count in hosts.items())}; ops run with: {network.runner.name}.
The wallet {address} got {WALLET_SOL} SOL and {WALLET_NOS} NOS. In another terminal:

{exports}

Ctrl-C ends it."""


def faucet(options: argparse.Namespace) -> int:
    """Asks a network that runs on this machine."""
    body = json.dumps({"address": options.address, "sol": options.sol, "nos": options.nos}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{options.port}/faucet", body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            print(answer.read().decode())
    except urllib.error.HTTPError as error:
        raise Unusable(error.read().decode().strip()) from None
    except urllib.error.URLError as error:
        raise Unusable(f"No network answers on port {options.port} ({error.reason}); start one with `nosana-localnet start`.") from None
    return 0


def _hosts(text: str) -> dict[str, int]:
    try:
        pairs = [entry.split("=") for entry in text.split(",") if entry]
        return {slug.strip(): int(count) for slug, count in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError("write MARKET=N, separated by commas, such as nvidia-3060=2,free=1") from None


def _default_wallet() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "nosana-localnet" / "wallet.json"
