"""How the network begins: the program, the NOS mints, the rewards accounts and the markets, at the addresses of the real networks."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from solders.account import Account
from solders.pubkey import Pubkey

from . import idl
from .ledger import NOS_MINT, SYSTEM_PROGRAM, Ledger, mint_account, token_account

JOBS_PROGRAM: Final = Pubkey.from_string("nosJhNRqr2bc9g1nfGDcXXTXvYUmxD4cVwy2pMWhrYM")
DEVNET_JOBS_PROGRAM: Final = Pubkey.from_string("nosJTmGQxvwXy23vng5UjkTbfv91Bzf9jEuro78dAGR")
REWARDS_PROGRAM: Final = Pubkey.from_string("nosRB8DUV67oLNrL45bo2pFLrmsWPiewe2Lk2DRNYCp")
STAKING_PROGRAM: Final = Pubkey.from_string("nosScmHY2uR24Zh751PmGj9ww9QRNHewh9H59AfrTJE")
DEVNET_NOS_MINT: Final = Pubkey.from_string("devr1BGQndEW5k5zfvG5FsLyZv1Ap73vNgAHcQ9sUVP")

REFLECTION_BYTES: Final = 96
U128_MAX: Final = 2**128 - 1
NOS_TOTAL_SUPPLY: Final = 100_000_000 * 10**6  # base units
STAKE_BYTES: Final = 121
STAKE_XNOS_OFFSET: Final = 97
NOS_DECIMALS: Final = 6
QUEUE_EMPTY: Final = 255


@dataclass(frozen=True)
class MarketSpec:
    """A market as it begins. `price` is in NOS base units a second; `gpus` is the hardware that its hosts are said to have."""

    address: Pubkey
    slug: str
    name: str
    type: str
    price: int
    timeout_seconds: int
    gpus: tuple[str, ...]
    vram_gb: int
    expiration_seconds: int = 86_400
    program: Pubkey = JOBS_PROGRAM
    mint: Pubkey = NOS_MINT


MARKETS: Final = (
    MarketSpec(
        Pubkey.from_string("7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq"),
        "nvidia-3060",
        "NVIDIA 3060",
        "PREMIUM",
        43,
        7200,
        ("NVIDIA GeForce RTX 3060",),
        12,
    ),
    MarketSpec(
        Pubkey.from_string("CA5pMpqkYFKtme7K31pNB1s62X2SdhEv1nN9RdxKCpuQ"),
        "nvidia-3090",
        "NVIDIA 3090",
        "PREMIUM",
        118,
        7200,
        ("NVIDIA GeForce RTX 3090",),
        24,
    ),
    MarketSpec(
        Pubkey.from_string("97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"),
        "nvidia-4090",
        "NVIDIA 4090",
        "PREMIUM",
        215,
        7200,
        ("NVIDIA GeForce RTX 4090",),
        24,
    ),
    MarketSpec(
        Pubkey.from_string("GLJHzqRN9fKGBsvsFzmGnaQGknUtLN1dqaFR8n3YdM22"),
        "nvidia-a100-40gb",
        "NVIDIA A100 40GB",
        "PREMIUM",
        640,
        21_600,
        ("NVIDIA A100-PCIE-40GB",),
        40,
    ),
    MarketSpec(
        Pubkey.from_string("7nxXoihx65yRGZiGzWZsFMz8D7qwxFePNKvDBWZnxc41"),
        "free",
        "Free of charge",
        "OTHER",
        0,
        3600,
        (),
        0,
    ),
    MarketSpec(
        Pubkey.from_string("DfJJiNU3siRQUz2a67tqoY72fUzwR8MhBEMBGK85SwAr"),
        "devnet-test",
        "Devnet test market",
        "OTHER",
        10,
        7200,
        (),
        0,
        program=DEVNET_JOBS_PROGRAM,
        mint=DEVNET_NOS_MINT,
    ),
)


def load_programs(ledger: Ledger, elf: bytes | None = None, *, fee_fraction: int = 0) -> None:
    """Puts the programs to their addresses; ``elf`` is a jobs program from elsewhere. ValueError when it is not one that runs."""
    for program in (JOBS_PROGRAM, DEVNET_JOBS_PROGRAM):
        ledger.load_program(program, elf or idl.jobs_elf(fee_fraction))
    ledger.load_program(REWARDS_PROGRAM, idl.elf("nosana_rewards"))


def begin(ledger: Ledger) -> None:
    """Writes all accounts that have to be there before the first transaction."""
    rate = (U128_MAX - U128_MAX % NOS_TOTAL_SUPPLY) // NOS_TOTAL_SUPPLY
    for mint in (NOS_MINT, DEVNET_NOS_MINT):
        ledger.put(mint, mint_account(ledger.rent(82), supply=0, decimals=NOS_DECIMALS, authority=ledger.faucet.pubkey()))
        vault = derive(REWARDS_PROGRAM, bytes(mint))[0]
        ledger.put(vault, token_account(ledger.rent(165), mint=mint, owner=vault, base_units=0))
    address, bump = derive(REWARDS_PROGRAM, b"reflection")
    vault = derive(REWARDS_PROGRAM, bytes(NOS_MINT))[0]
    head = idl.discriminator("account", "ReflectionAccount")
    reflection = head + rate.to_bytes(16, "little") + bytes(32) + bytes(vault) + bytes([bump])
    put_owned(ledger, address, REWARDS_PROGRAM, reflection.ljust(REFLECTION_BYTES, b"\0"))
    for market in MARKETS:
        begin_market(ledger, market)


def begin_market(ledger: Ledger, market: MarketSpec) -> None:
    """An empty market with its vault, as `open` would have made it; the faucet is its authority."""
    vault, bump = derive(market.program, bytes(market.address), bytes(market.mint))
    data = idl.encode_account(
        "MarketAccount",
        {
            "authority": ledger.faucet.pubkey(),
            "job_expiration": market.expiration_seconds,
            "job_price": market.price,
            "job_timeout": market.timeout_seconds,
            "job_type": 4,
            "vault": vault,
            "vault_bump": bump,
            "node_access_key": SYSTEM_PROGRAM,
            "node_xnos_minimum": 0,
            "queue_type": QUEUE_EMPTY,
            "queue": [],
        },
        size=idl.MARKET_BYTES,
    )
    put_owned(ledger, market.address, market.program, data)
    ledger.put(vault, token_account(ledger.rent(165), mint=market.mint, owner=vault, base_units=0))


def begin_stake(ledger: Ledger, owner: Pubkey, mint: Pubkey, xnos: int = 0) -> Pubkey:
    """A stake account, which every host has to show, with so many base units of xNOS; returns its address."""
    address = derive(STAKING_PROGRAM, b"stake", bytes(mint), bytes(owner))[0]
    data = (idl.discriminator("account", "StakeAccount") + bytes(8) + bytes(owner)).ljust(STAKE_XNOS_OFFSET, b"\0")
    put_owned(ledger, address, STAKING_PROGRAM, (data + xnos.to_bytes(16, "little")).ljust(STAKE_BYTES, b"\0"))
    return address


def derive(program: Pubkey, *seeds: bytes) -> tuple[Pubkey, int]:
    """A program-derived address and its bump."""
    return Pubkey.find_program_address(list(seeds), program)


def put_owned(ledger: Ledger, address: Pubkey, program: Pubkey, data: bytes) -> None:
    """An account of a program, exempt from rent."""
    ledger.put(address, Account(ledger.rent(len(data)), data, program))
