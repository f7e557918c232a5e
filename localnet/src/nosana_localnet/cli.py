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
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import __version__, genesis
from .faults import KINDS, MARKET_KINDS
from .idl import FEE_FRACTIONS
from .rpc import RateLimit
from .server import (
    DEFAULT_HOSTS,
    DEFAULT_SEED,
    HOST_SPOILS,
    MARKET_ACTS,
    WALLET_NOS,
    WALLET_SOL,
    Network,
    Settings,
    Unusable,
    read_wallet,
    run,
    seeded_key,
)

COMMAND_NOT_FOUND: Final = 127
PORT_MISSED: Final = (
    "Port {} is not free: clients that look for PubSub there, as @solana/web3.js and the Solana CLI do, have to be told {}.\n"
)
HOST_ACTS: Final = ("crash", "shut-down", "quit", "break", "start", *HOST_SPOILS)

DESCRIPTION = """\
A Nosana network in one process, for trying and testing: a Solana ledger with the jobs program, JSON-RPC and PubSub,
IPFS, the market list, hosts that run jobs, and a faucet, all on one port of 127.0.0.1. Nothing leaves this machine,
nothing costs anything, and nothing is kept when it ends, unless --state names a directory for it.
"""

EXAMPLES = """\
examples:
  nosana-localnet start
      run it in the foreground on port 8899; Ctrl-C ends it and everything that its hosts have started
  nosana-localnet run -- ansible-playbook deploy.yml
      start it on a free port, run the command with the NOSANA_* variables and a funded wallet, end with the command's exit code
  nosana-localnet start --hosts nvidia-3060=2,nvidia-4090=1 --runner process
      two hosts in one market and one in another, jobs as plain processes
  nosana-localnet start --state ~/.local/share/nosana-localnet
      what happened is there again at the next start, even after a kill -9
  nosana-localnet host ADDRESS crash
      a host is gone from one moment to the next; start brings it back
  nosana-localnet fault lost target=sendTransaction probability=0.2
      every fifth answer to sendTransaction is lost after the transaction landed; fault kinds lists what else can go wrong
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
        return ASKS[options.command](options)
    except Unusable as error:
        print(f"nosana-localnet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # nobody reads what is printed any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


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
        "--hosts", type=hosts_of, metavar="MARKET=N,…", help=f"how many hosts wait in which market (default {defaults}; markets: {slugs})"
    )

    network.add_argument(
        "--allow-network", action="store_true", help="let containers reach the outside; otherwise they reach each other only"
    )
    network.add_argument(
        "--bind", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default %(default)s: this machine only)"
    )
    network.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="keep the state in this directory and go on from there at the next start; survives kill -9",
    )
    network.add_argument("--restore", type=Path, metavar="FILE", help="begin with a snapshot that `nosana-localnet snapshot` wrote")
    network.add_argument(
        "--seed", default=DEFAULT_SEED, metavar="TEXT", help="the same seed gives the same addresses (default %(default)s)"
    )
    network.add_argument(
        "--clock",
        type=float,
        metavar="UNIX_SECONDS",
        help="let time stand still there until it is put forward; results then repeat exactly",
    )
    network.add_argument(
        "--program-from",
        metavar="SOURCE",
        help="run another jobs program than our own: an ELF file, `mainnet`, or the RPC URL of a network that has it",
    )
    network.add_argument(
        "--fee-fraction",
        type=int,
        default=0,
        choices=FEE_FRACTIONS,
        help="the network fee as a part of the deposit: 0 is none, as now; 10 is a tenth, as before June 2026 (default 0)",
    )
    network.add_argument(
        "--rate-limit",
        type=_rate,
        metavar="N/SECONDS",
        help="answer so many JSON-RPC calls in so many seconds, and HTTP 429 to more, as public nodes do (default: no limit)",
    )
    network.add_argument(
        "--lag",
        type=_lag,
        default=(0, 32),
        metavar="C,F",
        help="after how many slots a transaction is confirmed and finalized (default 0,32)",
    )

    begin = commands.add_parser("start", parents=[network], help="run the network in the foreground")
    begin.add_argument(
        "--port", type=int, default=8899, help="port on 127.0.0.1 (default 8899; 0 takes a free one); the next one too, for PubSub"
    )
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
    money.add_argument(
        "--stake",
        type=float,
        metavar="XNOS",
        help="also a stake account with so much xNOS (0 is enough for most markets), which a host has to show",
    )

    time = commands.add_parser("warp", help="put the clock of a network that runs forward")
    time.add_argument("seconds", type=float, help="by how many seconds")

    copy = commands.add_parser("snapshot", help="write the whole state of a network that runs to a file")
    copy.add_argument("file", type=Path, help="the file; it is overwritten")

    host = commands.add_parser("host", help="make something go wrong with a host, or bring it back")
    host.add_argument("address", help="the host's address; `nosana-localnet host list` shows them")
    host.add_argument(
        "do",
        nargs="?",
        choices=HOST_ACTS,
        help="crash, shut-down (publishes a failure), quit (gives the job back), break, start; or what becomes of the result of its job:"
        " never-finish, not-json, huge, wrong-shape, not-pinned",
    )

    fault = commands.add_parser("fault", help="bad days: what goes wrong, how often and with what")
    fault.add_argument(
        "kind",
        choices=["list", "clear", "kinds", *KINDS],
        metavar="KIND",
        help="a kind of fault, which is added to those there are; or: kinds (which there are), list (those in force, with counts), clear",
    )
    fault.add_argument(
        "settings",
        nargs="*",
        metavar="NAME=VALUE",
        help="target=METHOD or /PATH (* for any), probability=, count=, skip=, seed=, and what the kind takes, such as slots=20",
    )

    fork = commands.add_parser("fork", help="give up the last slots: what landed in them has not happened")
    fork.add_argument("slots", type=int, help="how many slots, below 32")

    market = commands.add_parser("market", help="what a market's authority does, and a queue filled to its end")
    market.add_argument("slug", help="the market")
    market.add_argument("do", choices=MARKET_ACTS, help="price, fill (the queue, with 314 jobs), drain, close, open")
    market.add_argument("price", nargs="?", type=int, help="the new price, in NOS base units a second")
    for command in (money, time, copy, host, fault, fork, market):
        command.add_argument("--port", type=int, default=8899, help="the network's port (default 8899)")
    return top


def settings_of(options: argparse.Namespace) -> Settings:
    """What the command line says about the network."""
    confirmed, finalized = options.lag
    return Settings(
        port=options.port,
        bind=options.bind,
        runner=options.runner,
        hosts=options.hosts,
        outside=options.allow_network,
        seed=options.seed,
        clock=options.clock,
        state=options.state,
        restore=options.restore,
        program_from=options.program_from,
        fee_fraction=options.fee_fraction,
        rate_limit=options.rate_limit,
        confirmed_lag_slots=confirmed,
        finalized_lag_slots=finalized,
    )


async def start(options: argparse.Namespace) -> int:
    """The foreground network: prints how to reach it, and ends by a signal."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    wallet = read_wallet(options.wallet)
    async with run(settings_of(options)) as network:
        network.fund_once(wallet.pubkey())
        print(greeting(network, options.wallet, str(wallet.pubkey())), flush=True)
        network.failed.add_done_callback(lambda _failed: ended.set())
        await ended.wait()
        if network.failed.done():
            raise Unusable(network.failed.result())
        print("Ending.", flush=True)
    return 0


async def run_command(options: argparse.Namespace) -> int:
    """Runs a command inside a network of its own."""
    with tempfile.TemporaryDirectory(prefix="nosana-localnet-") as scratch:
        path = Path(scratch) / "wallet.json"
        wallet = read_wallet(path, None if options.seed == DEFAULT_SEED else seeded_key(options.seed, "wallet"))
        async with run(settings_of(options)) as network:
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
    missed = "" if network.websocket_port != network.port else PORT_MISSED.format(network.port + 1, network.url.replace("http", "ws"))
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in network.environment(wallet).items())
    return f"""\
A local Nosana network runs at {network.url} (RPC and PubSub, IPFS under /ipfs/, markets under /api/markets/).
Open that address in a browser to see jobs, hosts, money and transactions as they happen.
Hosts wait in {", ".join(f"{slug} ({count})" for slug, count in hosts.items())}; ops run with: {network.runner.name}.
{missed}The wallet {address} got {WALLET_SOL} SOL and {WALLET_NOS} NOS. In another terminal:

{exports}

Ctrl-C ends it."""


def faucet(options: argparse.Namespace) -> int:
    """Money from the faucet of a network that runs on this machine."""
    wanted = {"address": options.address, "sol": options.sol, "nos": options.nos}
    print(_ask(options.port, "/faucet", wanted if options.stake is None else wanted | {"stake": options.stake}).decode())
    return 0


def warp(options: argparse.Namespace) -> int:
    """Puts the clock of a network that runs forward."""
    print(_ask(options.port, "/localnet/warp", {"seconds": options.seconds}).decode())
    return 0


def write_snapshot(options: argparse.Namespace) -> int:
    """Writes the state of a network that runs to a file."""
    data = _ask(options.port, "/localnet/snapshot", None)
    try:
        options.file.write_bytes(data)
    except OSError as error:
        raise Unusable(f"The snapshot cannot be written to {options.file} ({error.strerror}).") from None
    print(f"{len(data)} bytes in {options.file}; nosana-localnet start --restore {shlex.quote(str(options.file))} begins with it.")
    return 0


def act_on_host(options: argparse.Namespace) -> int:
    """Makes something go wrong with a host, or lists the hosts."""
    if options.address == "list" or options.do is None:
        for host in json.loads(_ask(options.port, "/localnet/status", None))["hosts"]:
            print(host["address"], host["market"], host["state"], host["job"] or "-")
        return 0
    print(_ask(options.port, f"/localnet/hosts/{urllib.parse.quote(options.address, safe='')}", {"do": options.do}).decode())
    return 0


def set_fault(options: argparse.Namespace) -> int:
    """Adds a rule, or tells of those there are."""
    if options.kind == "kinds":
        for name, kind in KINDS.items():
            taken = "".join(f" {option}=" for option in kind.options)
            print(f"{name:18} {kind.does} [target={kind.target}{taken}{' market=' if name in MARKET_KINDS else ''}]")
        return 0
    if options.kind in ("list", "clear"):
        answer = _ask(options.port, "/localnet/faults", None, "DELETE" if options.kind == "clear" else None)
    else:
        pairs = [setting.partition("=") for setting in options.settings]
        answer = _ask(options.port, "/localnet/faults", {name: _value(text) for name, _, text in pairs} | {"kind": options.kind})
    for rule in json.loads(answer):
        print(json.dumps(rule))
    return 0


def _value(text: str) -> object:
    """A number where it is one."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def fork(options: argparse.Namespace) -> int:
    """Gives up the last slots."""
    print(_ask(options.port, "/localnet/fork", {"slots": options.slots}).decode())
    return 0


def act_on_market(options: argparse.Namespace) -> int:
    """Does what a market's authority does."""
    path = f"/localnet/markets/{urllib.parse.quote(options.slug, safe='')}"
    print(_ask(options.port, path, {"do": options.do, "price": options.price}).decode())
    return 0


ASKS: Final = {
    "faucet": faucet,
    "warp": warp,
    "snapshot": write_snapshot,
    "host": act_on_host,
    "fault": set_fault,
    "fork": fork,
    "market": act_on_market,
}


def _ask(port: int, path: str, document: dict[str, object] | None, method: str | None = None) -> bytes:
    """What a network on this machine answers."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            data: bytes = answer.read()
            return data
    except urllib.error.HTTPError as error:
        raise Unusable(error.read().decode().strip()) from None
    except (urllib.error.URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        raise Unusable(f"No network answers on port {port} ({reason}); start one with `nosana-localnet start`.") from None


def _rate(text: str) -> tuple[int, float]:
    calls, _, seconds = text.partition("/")
    try:
        rate = int(calls), float(seconds or 1)
        RateLimit(*rate)
    except ValueError:
        raise argparse.ArgumentTypeError("write a number of calls and of seconds, such as 40/10") from None
    return rate


def _lag(text: str) -> tuple[int, int]:
    try:
        confirmed, finalized = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("write two numbers of slots, such as 0,32") from None
    return confirmed, finalized


def hosts_of(text: str) -> dict[str, int]:
    """`MARKET=N,…` as a number of hosts by market slug."""
    try:
        pairs = [entry.split("=") for entry in text.split(",") if entry]
        return {slug.strip(): int(count) for slug, count in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError("write MARKET=N, separated by commas, such as nvidia-3060=2,free=1") from None


def _default_wallet() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "nosana-localnet" / "wallet.json"
