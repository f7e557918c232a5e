"""A whole local network for tests: started once for a module, with a poster that signs for itself."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM, MARKETS, REWARDS_PROGRAM, derive
from nosana_localnet.hosts.flow import OpState
from nosana_localnet.hosts.host import Host
from nosana_localnet.ipfs import bytes_to_cid, cid_to_bytes
from nosana_localnet.ledger import NOS_MINT, SYSTEM_PROGRAM, TOKEN_PROGRAM, token_address
from nosana_localnet.server import Network

MARKET = next(market for market in MARKETS if market.slug == "nvidia-3060").address
PATIENCE_SECONDS = 20.0


def definition(*ops: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "0.1", "type": "container", "ops": [{"type": "container/run", **op} for op in ops], **more}


def batch(code: str, **args: Any) -> dict[str, Any]:
    return definition({"id": "one", "args": {"image": "python:3.9-slim", "cmd": ["python", "-c", code], **args}})


@dataclass
class Poster:
    """A wallet that posts jobs straight to the ledger."""

    network: Network
    key: Keypair = field(default_factory=Keypair)

    def __post_init__(self) -> None:
        self.network.fund(self.key.pubkey())

    def post(
        self, document: dict[str, Any], *, timeout: int = 600, market: Pubkey = MARKET, keys: tuple[Keypair, Keypair] | None = None
    ) -> Pubkey:
        job, run = keys or (Keypair(), Keypair())
        accounts = self._accounts(market) | {"job": job.pubkey(), "run": run.pubkey()}
        cid = self.network.store.add_json(document)
        instruction = idl.instruction("list", JOBS_PROGRAM, accounts, {"ipfs_job": cid_to_bytes(cid), "timeout": timeout})
        self.network.ledger.execute([instruction], [self.key, job, run])
        return job.pubkey()

    def end(self, job: Pubkey, *, market: Pubkey = MARKET) -> None:
        run_address, run = next(
            (key, found) for key, account in self.network.ledger.program_accounts(JOBS_PROGRAM) if (found := run_of(account.data, job))
        )
        accounts = self._accounts(market) | {
            "job": job,
            "run": run_address,
            "payer": run["payer"],
            "deposit": token_address(self.key.pubkey()),
            "user": token_address(run["node"]),
        }
        self.network.ledger.execute([idl.instruction("end", JOBS_PROGRAM, accounts)], [self.key])

    def extend(self, job: Pubkey, timeout: int, *, market: Pubkey = MARKET) -> None:
        accounts = self._accounts(market) | {"job": job}
        self.network.ledger.execute([idl.instruction("extend", JOBS_PROGRAM, accounts, {"timeout": timeout})], [self.key])

    def job(self, address: Pubkey) -> dict[str, Any]:
        account = self.network.ledger.account(address)
        assert account is not None
        return idl.decode_account("JobAccount", account.data)

    async def result(self, address: Pubkey) -> dict[str, Any]:
        """The result document, as soon as it is on chain."""
        await until(lambda: any(self.job(address)["ipfs_result"]))
        content = self.network.store.get(bytes_to_cid(self.job(address)["ipfs_result"]))
        assert content is not None
        document: dict[str, Any] = json.loads(content)
        return document

    def _accounts(self, market: Pubkey) -> dict[str, Pubkey]:
        return poster_accounts(self.key.pubkey(), market)


def poster_accounts(owner: Pubkey, market: Pubkey) -> dict[str, Pubkey]:
    """The accounts of an owner's instructions, without job and run."""
    return {
        "market": market,
        "vault": derive(JOBS_PROGRAM, bytes(market), bytes(NOS_MINT))[0],
        "user": token_address(owner),
        "payer": owner,
        "authority": owner,
        "rewards_reflection": derive(REWARDS_PROGRAM, b"reflection")[0],
        "rewards_vault": derive(REWARDS_PROGRAM, bytes(NOS_MINT))[0],
        "rewards_program": REWARDS_PROGRAM,
        "token_program": TOKEN_PROGRAM,
        "system_program": SYSTEM_PROGRAM,
    }


def run_of(data: bytes, job: Pubkey) -> dict[str, Any] | None:
    if data[:8] != idl.discriminator("account", "RunAccount") or data[8:40] != bytes(job):
        return None
    return idl.decode_account("RunAccount", data)


async def until(holds: Callable[[], Any]) -> None:
    """Real processes take real time: look often, and give up after a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def op_of(network: Network, job: Pubkey, index: int = 0) -> OpState | None:
    """An op of a job that some host runs at the moment."""
    for host in network.hosts:
        if host.current and host.current.job == job and len(host.current.flow.ops) > index:
            return host.current.flow.ops[index]
    return None


def host_of(network: Network, job: Pubkey) -> Host:
    """The host that has this job now."""
    return next(host for host in network.hosts if host.current and host.current.job == job)


async def printed(network: Network, job: Pubkey, text: str, index: int = 0) -> None:
    """Until an op has written something."""
    await until(lambda: (op := op_of(network, job, index)) and any(text in line["log"] for line in op.logs))


async def runs(network: Network, job: Pubkey, index: int = 0) -> None:
    """Until an op runs."""
    await until(lambda: (op := op_of(network, job, index)) and op.is_running)
