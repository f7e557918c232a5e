"""The networks: their programs, their NOS mint and their public servers."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """Where a network is found. Addresses are base58; `genesis_hash` is None for a network that anybody may start anew."""

    name: str
    rpc_urls: tuple[str, ...]
    ipfs_api_url: str
    ipfs_gateway_urls: tuple[str, ...]
    api_url: str
    node_domain: str
    explorer_url: str | None
    jobs_program: str
    rewards_program: str
    nos_mint: str
    genesis_hash: str | None = None


_MAINNET = Network(
    name="mainnet",
    rpc_urls=("https://api.mainnet-beta.solana.com",),
    ipfs_api_url="https://api.pinata.cloud",
    ipfs_gateway_urls=("https://nosana.mypinata.cloud/ipfs/",),
    api_url="https://dashboard.k8s.prd.nos.ci",
    node_domain="node.k8s.prd.nos.ci",
    explorer_url="https://explore.nosana.com",
    jobs_program="nosJhNRqr2bc9g1nfGDcXXTXvYUmxD4cVwy2pMWhrYM",
    rewards_program="nosRB8DUV67oLNrL45bo2pFLrmsWPiewe2Lk2DRNYCp",
    nos_mint="nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7",
    genesis_hash="5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d",
)

_LOCAL = "http://127.0.0.1:8899"

NETWORKS: dict[str, Network] = {
    "mainnet": _MAINNET,
    "devnet": Network(
        name="devnet",
        rpc_urls=("https://api.devnet.solana.com",),
        ipfs_api_url="https://api.pinata.cloud",
        ipfs_gateway_urls=("https://nosana.mypinata.cloud/ipfs/",),
        api_url="https://dashboard.k8s.dev.nos.ci",
        node_domain="node.k8s.dev.nos.ci",
        explorer_url="https://devnet.nosana.io",
        jobs_program="nosJTmGQxvwXy23vng5UjkTbfv91Bzf9jEuro78dAGR",
        rewards_program="nosRB8DUV67oLNrL45bo2pFLrmsWPiewe2Lk2DRNYCp",
        nos_mint="devr1BGQndEW5k5zfvG5FsLyZv1Ap73vNgAHcQ9sUVP",
        genesis_hash="EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG",
    ),
    "localnet": Network(
        name="localnet",
        rpc_urls=(_LOCAL,),
        ipfs_api_url=_LOCAL,
        ipfs_gateway_urls=(f"{_LOCAL}/ipfs/",),
        api_url=_LOCAL,
        node_domain="http://node.localhost:8899",
        explorer_url=None,
        jobs_program=_MAINNET.jobs_program,
        rewards_program=_MAINNET.rewards_program,
        nos_mint=_MAINNET.nos_mint,
    ),
}
