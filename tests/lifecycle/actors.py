"""Who acts beside the collection: the faucet, markets, and hosts, all by plain instructions, so that they act alike on every chain."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Any

from chain import Chain
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM, REWARDS_PROGRAM, STAKING_PROGRAM, derive
from nosana_localnet.ipfs import cid_to_bytes
from nosana_localnet.ledger import NOS_MINT, SYSTEM_PROGRAM, TOKEN_PROGRAM, create_token_account, token_address

RENT_SYSVAR = Pubkey.from_string("SysvarRent111111111111111111111111111111111")
PROGRAMS = {
    "rewards_program": REWARDS_PROGRAM,
    "token_program": TOKEN_PROGRAM,
    "system_program": SYSTEM_PROGRAM,
    "rent": RENT_SYSVAR,
    "rewards_reflection": derive(REWARDS_PROGRAM, b"reflection")[0],
    "rewards_vault": derive(REWARDS_PROGRAM, bytes(NOS_MINT))[0],
}
_GPU = 4


def host_key(number: int) -> Keypair:
    """Stake accounts of hosts have to be there from the beginning, so the hosts are always the same."""
    return Keypair.from_seed(hashlib.sha256(f"nosana.compute lifecycle host {number}".encode()).digest())


def vault_of(market: Pubkey) -> Pubkey:
    """Where a market keeps the deposits."""
    return derive(JOBS_PROGRAM, bytes(market), bytes(NOS_MINT))[0]


@dataclass(frozen=True)
class Faucet:
    """Who has all the SOL and may make NOS."""

    chain: Chain
    key: Keypair

    def fund(self, owner: Pubkey, *, lamports: int, nos: int | None = None) -> None:
        """Money for a wallet. `nos` in base units; None does not even make a token account."""
        me = self.key.pubkey()
        steps = [transfer(TransferParams(from_pubkey=me, to_pubkey=owner, lamports=lamports))]
        if nos is not None:
            metas = [AccountMeta(NOS_MINT, False, True), AccountMeta(token_address(owner), False, True), AccountMeta(me, True, False)]
            steps += [create_token_account(me, owner), Instruction(TOKEN_PROGRAM, struct.pack("<BQ", 7, nos), metas)]
        self.chain.send(steps, [self.key])

    def open_market(self, *, price: int, timeout: int, expiration: int) -> Pubkey:
        """A market of one's own: nobody else's jobs and hosts come in between."""
        market = Keypair()
        accounts = {
            "mint": NOS_MINT,
            "market": market.pubkey(),
            "vault": vault_of(market.pubkey()),
            "authority": self.key.pubkey(),
            "access_key": SYSTEM_PROGRAM,
        }
        values = {"job_expiration": expiration, "job_price": price, "job_timeout": timeout, "job_type": _GPU, "node_xnos_minimum": 0}
        self.chain.send([idl.instruction("open", JOBS_PROGRAM, PROGRAMS | accounts, values)], [self.key, market])
        return market.pubkey()


@dataclass(frozen=True)
class Host:
    """A host in one market, which does what it is told. Its methods are the instructions of the jobs program that hosts send."""

    chain: Chain
    key: Keypair
    market: Pubkey
    nft: Pubkey
    """Any token account: open markets want one and do not look at whose it is."""

    @property
    def address(self) -> Pubkey:
        return self.key.pubkey()

    def work(self) -> str:
        """Takes the job that waits longest, or waits for one."""
        run = Keypair()
        return self._send("work", {"run": run.pubkey()}, run)

    def stop(self) -> str:
        """Waits no more."""
        return self._send("stop", {"node": self.address})

    def claim(self, job: Pubkey) -> str:
        """Takes a job that another host has given up."""
        run = Keypair()
        return self._send("claim", {"job": job, "run": run.pubkey()}, run)

    def quit(self, job: Pubkey) -> str:
        """Gives its job up."""
        run, fields = self.chain.run_of(job)
        return self._send("quit", {"job": job, "run": run, "payer": fields["payer"]})

    def finish(self, job: Pubkey, result_cid: str) -> str:
        """Hands its job's result in and is paid."""
        run, fields = self.chain.run_of(job)
        account = self.chain.job(job)
        assert account is not None
        accounts = {
            "job": job,
            "run": run,
            "deposit": token_address(account["payer"]),
            "payer_run": fields["payer"],
            "payer_job": account["payer"],
        }
        return self._send("finish", accounts, ipfs_result=cid_to_bytes(result_cid))

    def complete(self, job: Pubkey, result_cid: str) -> str:
        """Hands in the result of a job that its owner has ended."""
        return self._send("complete", {"job": job}, ipfs_result=cid_to_bytes(result_cid))

    def _send(self, name: str, accounts: dict[str, Pubkey], *more: Keypair, **values: Any) -> str:
        known = {
            "market": self.market,
            "vault": vault_of(self.market),
            "authority": self.address,
            "payer": self.address,
            "user": token_address(self.address),
            "stake": derive(STAKING_PROGRAM, b"stake", bytes(NOS_MINT), bytes(self.address))[0],
            "nft": self.nft,
            "metadata": SYSTEM_PROGRAM,
        }
        return self.chain.send([idl.instruction(name, JOBS_PROGRAM, PROGRAMS | known | accounts, values)], [self.key, *more])


def clean(chain: Chain, by: Keypair, job: Pubkey, market: Pubkey) -> str:
    """Closes a job that is over for longer than its market keeps jobs; anybody may do that."""
    account = chain.job(job)
    assert account is not None
    accounts = {"job": job, "market": market, "payer": account["payer"]}
    return chain.send([idl.instruction("clean", JOBS_PROGRAM, accounts)], [by])


def list_job(
    chain: Chain, owner: Keypair, market: Pubkey, cid: str, *, timeout: int, keys: tuple[Keypair, Keypair] | None = None
) -> Pubkey:
    """Lists a job under fresh keys, as other tools do, or under these, of the job and of its run."""
    job, run = keys or (Keypair(), Keypair())
    accounts = PROGRAMS | {
        "job": job.pubkey(),
        "run": run.pubkey(),
        "market": market,
        "vault": vault_of(market),
        "user": token_address(owner.pubkey()),
        "payer": owner.pubkey(),
        "authority": owner.pubkey(),
    }
    listing = idl.instruction("list", JOBS_PROGRAM, accounts, {"ipfs_job": cid_to_bytes(cid), "timeout": timeout})
    chain.send([listing], [owner, job, run])
    return job.pubkey()
