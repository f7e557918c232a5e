"""What a market's authority does: another price, closing, opening again; and a queue that is filled to its end.

The local network holds the key of its markets' authority, the faucet. All is done in transactions, as on the real network, but
opening again: there a market gets a new address.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from . import idl
from .genesis import MARKETS, REWARDS_PROGRAM, MarketSpec, begin_market, derive
from .ledger import SYSTEM_PROGRAM, TOKEN_PROGRAM, Ledger, create_token_account, token_address

if TYPE_CHECKING:
    from .faults import Fault

QUEUE_MOST: Final = 314
QUEUE_OF_JOBS: Final = 0
FILLER_SECONDS: Final = 3600
_MOST_ATTEMPTS: Final = 2 * QUEUE_MOST
_FILLER_CONTENT: Final = hashlib.sha256(b"nobody pinned this").digest()


_JOB: Final = idl.discriminator("account", "JobAccount")
_RUN: Final = idl.discriminator("account", "RunAccount")


class Impossible(Exception):
    """The market does not allow it now; the text is one sentence."""


def market_of(slug: str) -> MarketSpec:
    """A market by its slug; Impossible where there is none."""
    found = next((market for market in MARKETS if market.slug == slug), None)
    if found is None:
        raise Impossible(f"There is no market {slug[:60]!r}; the markets are {', '.join(market.slug for market in MARKETS)}.")
    return found


def set_price(ledger: Ledger, market: MarketSpec, price: int) -> None:
    """Base units a second from now on; jobs that were posted keep theirs."""
    now = _market(ledger, market)
    accounts = {"market": market.address, "access_key": now["node_access_key"], "authority": ledger.faucet.pubkey()}
    args = {
        "job_expiration": now["job_expiration"],
        "job_price": price,
        "job_type": now["job_type"],
        "node_stake_minimum": now["node_xnos_minimum"],
        "job_timeout": now["job_timeout"],
    }
    ledger.execute([idl.instruction("update", market.program, accounts, args)], [ledger.faucet])


def close(ledger: Ledger, market: MarketSpec) -> None:
    """The market is gone, and with it its queue and what lay in its vault."""
    _market(ledger, market)
    faucet = ledger.faucet.pubkey()
    user = token_address(faucet, market.mint)
    accounts = {"market": market.address, "vault": _vault(market), "user": user, "authority": faucet, "token_program": TOKEN_PROGRAM}
    instructions = [create_token_account(faucet, faucet, market.mint), idl.instruction("close", market.program, accounts)]
    ledger.execute(instructions, [ledger.faucet])


def reopen(ledger: Ledger, market: MarketSpec) -> None:
    """The market is there again as it began, at its old address, which only a local network can do."""
    if ledger.account(market.address) is not None:
        raise Impossible(f"The market {market.slug} is open.")
    begin_market(ledger, market)


def fill(ledger: Ledger, market: MarketSpec) -> int:
    """Posts jobs of the faucet's own, which no host can run, until no more fit; how many. Hosts that wait take one first."""
    faucet = ledger.faucet
    price = _market(ledger, market)["job_price"]
    ledger.mint_nos(faucet.pubkey(), max(1, price * FILLER_SECONDS * _MOST_ATTEMPTS), market.mint)
    posted = 0
    while posted < _MOST_ATTEMPTS and not is_full(_market(ledger, market)):
        what = f"{ledger.seed} filler {market.slug} {ledger.slot} {ledger.transaction_count}"
        job, run = (Keypair.from_seed(hashlib.sha256(f"{what} {kind}".encode()).digest()) for kind in ("job", "run"))
        keys = _accounts(ledger, market) | {"job": job.pubkey(), "run": run.pubkey()}
        args = {"ipfs_job": _FILLER_CONTENT, "timeout": FILLER_SECONDS}
        ledger.execute([idl.instruction("list", market.program, keys, args)], [faucet, job, run])
        posted += 1
    return posted


def drain(ledger: Ledger, market: MarketSpec) -> int:
    """Takes the faucet's own jobs out of the queue and ends those that hosts have; how many."""
    faucet = ledger.faucet
    own = {
        key
        for key, account in ledger.program_accounts(market.program)
        if account.data[:8] == _JOB and _is_own(idl.decode_account("JobAccount", account.data), ledger, market)
    }
    deposit = {"deposit": token_address(faucet.pubkey(), market.mint)}
    waiting = [job for job in _market(ledger, market)["queue"] if job in own]
    for job in waiting:
        ledger.execute([idl.instruction("delist", market.program, _accounts(ledger, market) | deposit | {"job": job})], [faucet])
    runs = [
        (key, run)
        for key, account in ledger.program_accounts(market.program)
        if account.data[:8] == _RUN and (run := idl.decode_account("RunAccount", account.data))["job"] in own
    ]
    for key, run in runs:
        held = {"job": run["job"], "run": key, "payer": run["payer"], "user": token_address(run["node"], market.mint)}
        ledger.execute([idl.instruction("end", market.program, _accounts(ledger, market) | deposit | held)], [faucet])
    return len(waiting) + len(runs)


def is_full(market: dict[str, Any]) -> bool:
    return market["queue_type"] == QUEUE_OF_JOBS and len(market["queue"]) >= QUEUE_MOST


def strike(ledger: Ledger, fault: Fault) -> None:
    """What a fault does to its market; nothing where the market is closed already."""
    market = market_of(fault.rule.market or "")
    if ledger.account(market.address) is None:
        return
    if fault.kind == "price":
        set_price(ledger, market, fault.whole("price"))
    elif fault.kind == "queue-full":
        fill(ledger, market)
    else:
        close(ledger, market)


def _market(ledger: Ledger, market: MarketSpec) -> dict[str, Any]:
    account = ledger.account(market.address)
    if account is None:
        raise Impossible(f"The market {market.slug} is closed.")
    return idl.decode_account("MarketAccount", account.data)


def _is_own(job: Mapping[str, Any], ledger: Ledger, market: MarketSpec) -> bool:
    return bool(job["project"] == ledger.faucet.pubkey() and job["market"] == market.address)


def _vault(market: MarketSpec) -> Pubkey:
    return derive(market.program, bytes(market.address), bytes(market.mint))[0]


def _accounts(ledger: Ledger, market: MarketSpec) -> dict[str, Pubkey]:
    faucet = ledger.faucet.pubkey()
    return {
        "market": market.address,
        "vault": _vault(market),
        "user": token_address(faucet, market.mint),
        "payer": faucet,
        "authority": faucet,
        "rewards_reflection": derive(REWARDS_PROGRAM, b"reflection")[0],
        "rewards_vault": derive(REWARDS_PROGRAM, bytes(market.mint))[0],
        "rewards_program": REWARDS_PROGRAM,
        "token_program": TOKEN_PROGRAM,
        "system_program": SYSTEM_PROGRAM,
    }
