"""The whole network on one port: puts ledger, RPC, IPFS, markets, hosts and faucet together and runs them."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from . import __version__, genesis, ipfs, markets
from .dashboard import Dashboard
from .hosts.api import HostFront
from .hosts.container import ContainerRunner
from .hosts.host import Host
from .hosts.process import ProcessRunner
from .hosts.runner import Fallback, Runner
from .ledger import SLOT_SECONDS, Ledger
from .rpc import add_rpc

DOMAIN: Final = "node.localhost"
DEFAULT_HOSTS: Final = {"nvidia-3060": 4, "nvidia-4090": 1, "free": 1}
LAMPORTS_PER_SOL: Final = 10**9
BASE_UNITS_PER_NOS: Final = 10**6
WALLET_SOL, WALLET_NOS = 10, 1000
FAUCET_MOST_SOL, FAUCET_MOST_NOS = 1000, 1_000_000
ENGINES: Final = ("podman", "docker")


class Unusable(Exception):
    """The network cannot be started as asked; the text is one sentence."""


@dataclass(frozen=True)
class Settings:
    """How the network is started. `hosts` is the number of hosts by market slug; port 0 takes a free one."""

    port: int = 8899
    runner: str = "auto"
    hosts: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Network:
    """A network that runs."""

    ledger: Ledger
    store: ipfs.Store
    hosts: list[Host]
    runner: Runner
    port: int

    @property
    def url(self) -> str:
        """Where everything answers."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, wallet: Path) -> dict[str, str]:
        """The variables by which the Ansible collection finds this network."""
        return {
            "NOSANA_NETWORK": "localnet",
            "NOSANA_RPC_URL": self.url,
            "NOSANA_IPFS_API_URL": self.url,
            "NOSANA_IPFS_GATEWAY_URL": f"{self.url}/ipfs/",
            "NOSANA_API_URL": self.url,
            "NOSANA_NODE_DOMAIN": f"http://{DOMAIN}:{self.port}",
            "NOSANA_WALLET": str(wallet),
        }

    def fund(self, wallet: Pubkey) -> None:
        """SOL and NOS for a wallet that is to post jobs."""
        self.ledger.airdrop(wallet, WALLET_SOL * LAMPORTS_PER_SOL)
        self.ledger.mint_nos(wallet, WALLET_NOS * BASE_UNITS_PER_NOS)
        self.ledger.settle()


async def choose_runner(name: str) -> Runner:
    """By name; "auto" takes containers where an engine works, and processes for images that cannot be had."""
    if name == "process":
        return ProcessRunner()
    for engine in ENGINES if name == "auto" else (name,):
        found = await ContainerRunner.working(engine)
        if found is not None:
            return Fallback(found, ProcessRunner()) if name == "auto" else found
    if name != "auto":
        raise Unusable(f"{name} is not installed or does not answer to `{name} info`; start it, or use --runner process.")
    return ProcessRunner()


@asynccontextmanager
async def run(settings: Settings) -> AsyncIterator[Network]:
    """The network, for as long as the block lasts; then everything that it started is ended."""
    wanted = DEFAULT_HOSTS if settings.hosts is None else settings.hosts
    by_slug = {market.slug: market for market in genesis.MARKETS}
    unknown = sorted(set(wanted) - set(by_slug))
    if unknown:
        raise Unusable(f"There is no market {unknown[0]}; the markets are {', '.join(by_slug)}.")
    ledger, store = Ledger(), ipfs.Store()
    genesis.begin(ledger)
    runner = await choose_runner(settings.runner)
    hosts = [
        Host(ledger, store, by_slug[slug], runner, key=_host_key(slug, number), domain=DOMAIN)
        for slug, count in wanted.items()
        for number in range(count)
    ]
    app = web.Application(client_max_size=ipfs.MAX_CONTENT_BYTES)
    web_runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    # The port has to be known before the hosts answer under it, so the routes come first and the front is filled in.
    front: list[HostFront] = []
    app.middlewares.append(_by_name(front))
    dashboard = Dashboard(ledger, store, hosts, runner.name, domain=DOMAIN)
    dashboard.add(app)
    add_rpc(app, ledger, page=dashboard.page)
    app.add_routes([*ipfs.routes(store), *markets.routes(ledger), *_control_routes(ledger, hosts, runner)])
    await web_runner.setup()
    try:
        try:
            await web.TCPSite(web_runner, "127.0.0.1", settings.port).start()
        except OSError as error:
            raise Unusable(f"Port {settings.port} cannot be used ({error.strerror}); choose another with --port.") from None
        port = dashboard.port = web_runner.addresses[0][1]
        front.append(HostFront(hosts, domain=DOMAIN, port=port))
        for host in hosts:
            host.start()
        ledger.settle()
        ticking = asyncio.create_task(_tick(ledger))
        try:
            yield Network(ledger, store, hosts, runner, port)
        finally:
            ticking.cancel()
            await asyncio.gather(*(host.close() for host in hosts))
            await front[0].close()
    finally:
        await web_runner.cleanup()


def read_wallet(path: Path) -> Keypair:
    """The key of a file in Solana's form; a new one is written, readable by its owner only, where there is none."""
    if path.exists():
        try:
            return Keypair.from_bytes(bytes(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError, OSError):
            raise Unusable(f"The wallet file {path} cannot be read: it has to be a JSON array of 64 numbers.") from None
    key = Keypair()
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(list(bytes(key)), file)
    return key


async def _tick(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(SLOT_SECONDS)
        ledger.tick()


def _host_key(slug: str, number: int) -> Keypair:
    """The same hosts at every start, so that what one sees can be compared."""
    return Keypair.from_seed(hashlib.sha256(f"nosana-localnet host {slug} {number}".encode()).digest())


def _by_name(front: list[HostFront]) -> Any:
    """Sends requests for names below the node domain to the hosts, and refuses to be a proxy for any other name."""

    @web.middleware
    async def dispatch(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        name = (request.url.host or "").lower()
        if front and front[0].serves(name):
            return await front[0].answer(request, name)
        if name not in ("127.0.0.1", "localhost", "::1"):
            return web.Response(status=403, text=f"The local network answers for itself and for *.{DOMAIN}, not for {name[:100]}.\n")
        return await handler(request)

    return dispatch


def _control_routes(ledger: Ledger, hosts: list[Host], runner: Runner) -> list[web.RouteDef]:
    """The faucet, and what only a local network has: its state, and a clock that can be put forward."""

    async def body(request: web.Request) -> dict[str, Any]:
        with contextlib.suppress(ValueError):
            document = json.loads(await request.read())
            if isinstance(document, dict):
                return document
        raise web.HTTPBadRequest(text="The body has to be a JSON object.\n")

    def amount(document: dict[str, Any], key: str, most: int) -> float:
        value = document.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
            raise web.HTTPBadRequest(text=f"{key} has to be a number from 0 to {most}.\n")
        return float(value)

    async def faucet(request: web.Request) -> web.Response:
        document = await body(request)
        try:
            address = Pubkey.from_string(str(document.get("address")))
        except ValueError:
            raise web.HTTPBadRequest(text="address has to be a Solana address.\n") from None
        sol, nos = amount(document, "sol", FAUCET_MOST_SOL), amount(document, "nos", FAUCET_MOST_NOS)
        if sol:
            ledger.airdrop(address, int(sol * LAMPORTS_PER_SOL))
        if nos:
            ledger.mint_nos(address, int(nos * BASE_UNITS_PER_NOS))
        return web.json_response({"address": str(address), "sol": sol, "nos": nos})

    async def status(_request: web.Request) -> web.Response:
        described = [
            {
                "address": str(host.address),
                "market": host.market.slug,
                "state": host.state,
                "job": str(host.current.job) if host.current else None,
            }
            for host in hosts
        ]
        return web.json_response({"version": __version__, "slot": ledger.slot, "runner": runner.name, "hosts": described})

    async def warp(request: web.Request) -> web.Response:
        ledger.warp(amount(await body(request), "seconds", 10**9))
        return web.json_response({"slot": ledger.slot, "unix_time": ledger.unix_time})

    return [web.post("/faucet", faucet), web.get("/localnet/status", status), web.post("/localnet/warp", warp)]
