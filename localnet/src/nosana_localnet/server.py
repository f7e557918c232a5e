"""The whole network on one port: puts ledger, RPC, IPFS, markets, hosts and faucet together and runs them."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from socket import gaierror
from typing import Any, Final

from aiohttp import http_exceptions, web
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from . import __version__, authority, credits, fault_front, genesis, ipfs, javascript, markets, programs
from .dashboard import Dashboard
from .faults import MAX_PRICE, BadRule, Faults
from .hosts.api import HostFront
from .hosts.container import ContainerRunner
from .hosts.host import Host
from .hosts.logistics import Patience
from .hosts.process import ProcessRunner
from .hosts.runner import Fallback, Runner
from .ledger import NOS_MINT, SLOT_SECONDS, Ledger, Rejected
from .rpc import RateLimit, add_rpc
from .rpc.errors import describe
from .state import Journal, Unreadable, restore, snapshot

DOMAIN: Final = "node.localhost"
DEFAULT_SEED: Final = "nosana-localnet"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
DEFAULT_HOSTS: Final = {"nvidia-3060": 4, "nvidia-4090": 1, "free": 1}
LAMPORTS_PER_SOL: Final = 10**9
BASE_UNITS_PER_NOS: Final = 10**6
WALLET_SOL, WALLET_NOS = 10, 1000
FAUCET_MOST_SOL, FAUCET_MOST_NOS = 1000, 1_000_000
MOST_HOSTS: Final = 314
LATEST_CLOCK: Final = 2**40
PORT_ATTEMPTS: Final = 20
HOST_SPOILS: Final = ("never-finish", "not-json", "huge", "wrong-shape", "not-pinned")
"""What a host can do to the result of a job; kinds of fault, without their "host-"."""

MARKET_ACTS: Final = ("price", "fill", "drain", "close", "open")
ENGINES: Final = ("podman", "docker")


class _OwnFaults(logging.Filter):
    """What a client sent that is no HTTP is the client's fault, is answered, and needs no traceback here."""

    def filter(self, record: logging.LogRecord) -> bool:
        fault = record.exc_info[1] if record.exc_info else None
        return not isinstance(fault, http_exceptions.HttpProcessingError)


_log = logging.getLogger(f"{__name__}.http")
_log.addFilter(_OwnFaults())


class Unusable(Exception):
    """The network cannot be started as asked; the text is one sentence."""


@dataclass(frozen=True)
class Settings:
    """How the network is started."""

    port: int = 8899
    """0 takes a free one."""
    bind: str = "127.0.0.1"
    runner: str = "auto"
    hosts: Mapping[str, int] | None = None
    """Number of hosts by market slug."""
    outside: bool = False
    """Whether containers may reach the world."""
    seed: str = DEFAULT_SEED
    """The same seed gives the same addresses of everything that the network makes."""
    clock: float | None = None
    """Unix seconds at which time stands still until it is put forward; None is real time."""
    state: Path | None = None
    """Directory in which the state outlives the process."""
    restore: Path | None = None
    """A snapshot to begin with."""
    program_from: str | None = None
    """Where the jobs program comes from, if not from here: see `programs.fetch`."""
    fee_fraction: int = 0
    """The network fee: 0, as now, or 10, a tenth of the deposit, as before June 2026."""
    rate_limit: tuple[int, float] | None = None
    """So many JSON-RPC calls in so many seconds are answered, as by a public node."""
    confirmed_lag_slots: int = 0
    finalized_lag_slots: int = 32
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Network:
    """A network that runs."""

    ledger: Ledger
    store: ipfs.Store
    hosts: list[Host]
    runner: Runner
    faults: Faults
    port: int
    websocket_port: int
    """The next port, where a node has PubSub and old clients look for it; ``port`` where that was not free. Both answer everything."""
    bind: str = "127.0.0.1"
    failed: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """One sentence, as soon as the network cannot go on."""

    @property
    def url(self) -> str:
        """Where everything answers, as seen from this machine."""
        address = "127.0.0.1" if self.bind in ("0.0.0.0", "::") else self.bind
        return f"http://{f'[{address}]' if ':' in address else address}:{self.port}"

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

    def fund_once(self, wallet: Pubkey) -> None:
        """Money for a wallet that has none yet: a network that goes on from an earlier state has given it already."""
        if self.ledger.account(wallet) is None:
            self.fund(wallet)


async def choose_runner(name: str, *, outside: bool = False) -> Runner:
    """By name; "auto" takes containers where an engine works, and processes for images that cannot be had."""
    if name == "process":
        return ProcessRunner()
    for engine in ENGINES if name == "auto" else (name,):
        found = await ContainerRunner.working(engine, outside=outside)
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
    for slug, count in wanted.items():
        if not 0 <= count <= MOST_HOSTS:
            raise Unusable(f"{count} hosts in {slug} are not possible; from 0 to {MOST_HOSTS} are, because a queue holds no more.")
    if settings.clock is not None and not 0 <= settings.clock <= LATEST_CLOCK:
        raise Unusable(f"The clock cannot stand at {settings.clock:g}; give Unix seconds from 0 to {LATEST_CLOCK}.")
    elf = None
    if settings.program_from is not None:
        try:
            elf = await programs.fetch(settings.program_from)
        except ValueError as error:
            raise Unusable(str(error)) from None
    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    journal = None
    try:
        if settings.state is not None:
            journal = Journal(settings.state, lambda reason: None if failed.done() else failed.set_result(reason))
        ledger, store = _begin(settings, journal, elf)
    except Unreadable as error:
        if journal is not None:
            journal.close()
        raise Unusable(str(error)) from None
    runner = await choose_runner(settings.runner, outside=settings.outside)
    faults = Faults(store=store)
    # The port has to be known before hosts can name their services, so the routes come first and the front is filled in.
    front: list[HostFront] = []
    hosts = [
        Host(
            ledger,
            store,
            by_slug[slug],
            runner,
            key=_host_key(settings.seed, slug, number),
            domain=DOMAIN,
            clock=lambda: ledger.now,
            public_name=lambda label: f"{label}.{DOMAIN}:{front[0].port}",
            patience=settings.patience,
            faults=faults,
        )
        for slug, count in wanted.items()
        for number in range(count)
    ]
    app = web.Application(client_max_size=ipfs.MAX_CONTENT_BYTES)
    web_runner = web.AppRunner(app, access_log=None, logger=_log, shutdown_timeout=1.0, handler_cancellation=True)
    app.middlewares.extend([_by_name(front, settings.bind), fault_front.middleware(faults)])
    dashboard = Dashboard(ledger, store, hosts, runner.name, domain=DOMAIN)
    dashboard.add(app)
    limit = RateLimit(*settings.rate_limit) if settings.rate_limit else None
    add_rpc(app, ledger, page=dashboard.page, limit=limit, faults=faults)
    app.add_routes([*ipfs.routes(store), *markets.routes(ledger, settings.fee_fraction), *credits.routes()])
    app.add_routes([*_control_routes(ledger, store, hosts, runner), *_fault_routes(ledger, faults)])
    await web_runner.setup()
    try:
        port, websocket_port = await _listen(web_runner, settings.bind, settings.port)
        dashboard.port = port
        front.append(HostFront(hosts, domain=DOMAIN, port=port))
        for host in hosts:
            host.start()
        ledger.settle()
        ticking = asyncio.create_task(_tick(ledger))
        try:
            yield Network(ledger, store, hosts, runner, faults, port, websocket_port, settings.bind, failed)
        finally:
            ticking.cancel()
            await asyncio.gather(*(host.close() for host in hosts))
            await front[0].close()
            await runner.close()
    finally:
        await web_runner.cleanup()
        if journal is not None:
            journal.close()


async def _listen(runner: web.AppRunner, bind: str, port: int) -> tuple[int, int]:
    """Listens on a port and, where that is free, on the next one. Port 0 is a free one whose next is free too."""
    for attempt in range(1, PORT_ATTEMPTS + 1):
        site = web.TCPSite(runner, bind, port)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            if isinstance(error, gaierror):
                raise Unusable(f"There is no address {bind} on this machine; name another with --bind.") from None
            reason = "no such port" if isinstance(error, OverflowError) else os.strerror(error.errno) if error.errno else str(error)
            raise Unusable(f"Port {port} of {bind} cannot be used ({reason}); choose another with --port.") from None
        found: int = runner.addresses[0][1]
        try:
            await web.TCPSite(runner, bind, found + 1).start()
        except (OSError, OverflowError):
            if port or attempt == PORT_ATTEMPTS:
                break
            await site.stop()
        else:
            return found, found + 1
    return found, found


def _begin(settings: Settings, journal: Journal | None, elf: bytes | None) -> tuple[Ledger, ipfs.Store]:
    """A ledger and a store as they are before anybody comes: fresh, or as an earlier network left them."""
    clock = time.time if settings.clock is None else _standing(settings.clock)
    try:
        ledger = Ledger(
            clock,
            seed=settings.seed,
            confirmed_lag_slots=settings.confirmed_lag_slots,
            finalized_lag_slots=settings.finalized_lag_slots,
        )
        genesis.load_programs(ledger, elf, fee_fraction=settings.fee_fraction)
    except ValueError as error:
        raise Unusable(f"{error}.") from None
    store = ipfs.Store()
    if settings.restore is not None and journal is not None and journal.exists:
        raise Unusable(f"{settings.state} holds a state already; restore the snapshot into another directory.")
    if journal is not None and journal.exists:
        journal.load(ledger, store)
    elif settings.restore is not None:
        try:
            with settings.restore.open("rb") as file:
                restore(file, ledger, store, str(settings.restore))
        except OSError as error:
            raise Unusable(f"The snapshot {settings.restore} cannot be read ({error.strerror}).") from None
    else:
        genesis.begin(ledger)
    if journal is not None:
        journal.begin(ledger, store)
    return ledger, store


def _standing(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def read_wallet(path: Path, fresh: Keypair | None = None) -> Keypair:
    """The key of a file in Solana's form; a new one is written, readable by its owner only, where there is none."""
    if path.exists():
        try:
            return Keypair.from_bytes(bytes(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError, OSError):
            raise Unusable(f"The wallet file {path} cannot be read: it has to be a JSON array of 64 numbers.") from None
    key = fresh or Keypair()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(list(bytes(key)), file)
    except OSError as error:
        raise Unusable(f"The wallet file {path} cannot be written ({error.strerror}); name another with --wallet.") from None
    return key


async def _tick(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(SLOT_SECONDS)
        ledger.tick()


def _host_key(seed: str, slug: str, number: int) -> Keypair:
    """The same hosts at every start, so that what one sees can be compared."""
    return seeded_key(seed, f"host {slug} {number}")


def seeded_key(seed: str, what: str) -> Keypair:
    """A key that depends on the network's seed and on what it is for."""
    return Keypair.from_seed(hashlib.sha256(f"{seed} {what}".encode()).digest())


def _by_name(front: list[HostFront], bind: str) -> Any:
    """Sends requests for names below the node domain to the hosts, and refuses to be a proxy for any other name.

    A name of somebody else that leads here is no way in for a page in a browser. Who binds to more than loopback is asked by address.
    """

    def is_own(name: str) -> bool:
        if name in LOOPBACK or name == bind:
            return True
        if bind in LOOPBACK:
            return False
        try:
            return bool(ip_address(name))
        except ValueError:
            return False

    @web.middleware
    async def dispatch(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        name = (request.url.host or "").lower()
        if front and front[0].serves(name):
            return await front[0].answer(request, name)
        if not is_own(name):
            return web.Response(status=403, text=f"The local network answers for itself and for *.{DOMAIN}, not for {name[:100]}.\n")
        return await handler(request)

    return dispatch


def _control_routes(ledger: Ledger, store: ipfs.Store, hosts: list[Host], runner: Runner) -> list[web.RouteDef]:
    """The faucet, and what only a local network has: its state, and a clock that can be put forward."""

    async def faucet(request: web.Request) -> web.Response:
        document = await _body(request)
        try:
            address = Pubkey.from_string(str(document.get("address")))
        except ValueError:
            raise web.HTTPBadRequest(text="address has to be a Solana address.\n") from None
        sol, nos = _amount(document, "sol", FAUCET_MOST_SOL), _amount(document, "nos", FAUCET_MOST_NOS)
        try:
            if sol:
                ledger.airdrop(address, int(sol * LAMPORTS_PER_SOL))
            if nos:
                ledger.mint_nos(address, int(nos * BASE_UNITS_PER_NOS))
        except Rejected as error:
            raise web.HTTPBadRequest(text=f"The ledger refuses it: {describe(error.err)}.\n") from None
        given: dict[str, Any] = {"address": str(address), "sol": sol, "nos": nos}
        if document.get("stake") is not None:
            given["stake"] = _amount(document, "stake", FAUCET_MOST_NOS)
            genesis.begin_stake(ledger, address, NOS_MINT, int(given["stake"] * BASE_UNITS_PER_NOS))
        return web.json_response(given)

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
        ledger.warp(_amount(await _body(request), "seconds", 10**9, None))
        return web.json_response({"slot": ledger.slot, "unix_time": ledger.unix_time})

    async def take_snapshot(_request: web.Request) -> web.Response:
        return web.Response(body=snapshot(ledger, store), content_type="application/octet-stream")

    async def act_on_host(request: web.Request) -> web.Response:
        host = next((host for host in hosts if str(host.address) == request.match_info["host"]), None)
        if host is None:
            raise web.HTTPNotFound(text="There is no host with this address; GET /localnet/status lists them.\n")
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "crash": host.crash,
            "shut-down": host.shut_down,
            "quit": host.leave,
            "break": host.break_down,
            "start": _now(host.start),
        } | {kind: _now(partial(host.spoil, f"host-{kind}")) for kind in HOST_SPOILS}
        act = acts.get(str((await _body(request)).get("do")))
        if act is None:
            raise web.HTTPBadRequest(text=f"do has to be one of {', '.join(acts)}.\n")
        await act()
        return web.json_response({"address": str(host.address), "state": host.state})

    return [
        web.post("/faucet", faucet),
        web.get("/localnet/status", status),
        web.post("/localnet/warp", warp),
        web.get("/localnet/snapshot", take_snapshot),
        web.post("/localnet/hosts/{host}", act_on_host),
    ]


def _fault_routes(ledger: Ledger, faults: Faults) -> list[web.RouteDef]:
    """Rules for bad days, and what happens to the ledger at once."""

    async def rules(_request: web.Request) -> web.Response:
        return web.json_response(faults.rules())

    async def set_rules(request: web.Request) -> web.Response:
        try:
            document = javascript.parse(await request.read())
        except ValueError:
            raise web.HTTPBadRequest(text="The body has to be a list of rules, or one rule to add, in JSON.\n") from None
        try:
            if isinstance(document, dict):
                faults.add(document)
            else:
                faults.replace(document)
        except BadRule as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        return web.json_response(faults.rules())

    async def clear(_request: web.Request) -> web.Response:
        faults.clear()
        return web.json_response(faults.rules())

    async def fork(request: web.Request) -> web.Response:
        try:
            undone = ledger.fork(int(_amount(await _body(request), "slots", 10**9, None)))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{str(error)[:1].upper()}{str(error)[1:]}.\n") from None
        return web.json_response({"slot": ledger.slot, "undone": [str(signature) for signature in undone]})

    async def act_on_market(request: web.Request) -> web.Response:
        document = await _body(request)
        act = str(document.get("do"))
        if act not in MARKET_ACTS:
            raise web.HTTPBadRequest(text=f"do has to be one of {', '.join(MARKET_ACTS)}.\n")
        told: dict[str, Any] = {"market": request.match_info["market"][:60], "do": act}
        try:
            market = authority.market_of(request.match_info["market"])
            if act == "price":
                price = int(_amount(document, "price", MAX_PRICE, None))
                authority.set_price(ledger, market, price)
                told["price"] = price
            elif act == "fill":
                told["posted"] = authority.fill(ledger, market)
            elif act == "drain":
                told["taken"] = authority.drain(ledger, market)
            else:
                (authority.close if act == "close" else authority.reopen)(ledger, market)
        except authority.Impossible as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        except Rejected as error:
            raise web.HTTPBadRequest(text=f"The ledger refuses it: {describe(error.err)}.\n") from None
        return web.json_response(told)

    return [
        web.get("/localnet/faults", rules),
        web.post("/localnet/faults", set_rules),
        web.delete("/localnet/faults", clear),
        web.post("/localnet/fork", fork),
        web.post("/localnet/markets/{market}", act_on_market),
    ]


async def _body(request: web.Request) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        document = javascript.parse(await request.read())
        if isinstance(document, dict):
            return document
    raise web.HTTPBadRequest(text="The body has to be a JSON object.\n")


def _amount(document: dict[str, Any], key: str, most: int, default: int | None = 0) -> float:
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise web.HTTPBadRequest(text=f"{key} has to be a number from 0 to {most}.\n")
    return float(value)


def _now(act: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def run_it() -> None:
        act()

    return run_it
