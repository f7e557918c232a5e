"""Documentation of the connection options; twin of connection_spec in module_utils/_ansible/options.py."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    """The options that say which network, which wallet and which servers."""

    DOCUMENTATION = r"""
options:
  network:
    description:
      - The network to work on. It decides the program, the NOS mint and the servers, each of which can be set on its own.
      - V(localnet) is the local network that the project ships for trying and testing.
      - If not set, the value of the environment variable E(NOSANA_NETWORK) is used.
    type: str
    choices: [mainnet, devnet, localnet]
    default: mainnet
  wallet:
    description:
      - The Solana key that owns and pays for the jobs, as the path of a key file, a base58 secret key, or a JSON array of 64 numbers.
      - If not set, the value of the environment variable E(NOSANA_WALLET) is used. It is read where the module runs, usually C(localhost).
    type: str
  rpc_url:
    description:
      - URL of the Solana RPC node. Default is the network's public one.
      - With several, the first that answers is used, one that failed is asked last for the rest of the task, and a transaction that
        has not landed yet is sent to all of them. All have to serve the same chain.
      - If not set, the value of the environment variable E(NOSANA_RPC_URL) is used, with commas between several.
    type: list
    elements: str
  ipfs_api_url:
    description:
      - Base URL of the IPFS pinning service, with the interface of Pinata.
      - If not set, the value of the environment variable E(NOSANA_IPFS_API_URL) is used.
    type: str
  ipfs_gateway_url:
    description:
      - Base URL of the IPFS gateway from which definitions and results are read, such as V(https://nosana.mypinata.cloud/ipfs/).
      - What it answers is checked against the content address. With several, the next one is asked when one fails or lacks the content.
      - If not set, the value of the environment variable E(NOSANA_IPFS_GATEWAY_URL) is used, with commas between several.
    type: list
    elements: str
  ipfs_jwt:
    description:
      - Token of the IPFS pinning service. Needed to post jobs on V(network=mainnet) and V(network=devnet).
      - If not set, the value of the environment variable E(NOSANA_IPFS_JWT) is used.
    type: str
  api_url:
    description:
      - Base URL of the Nosana REST API, where markets are looked up.
      - If not set, the value of the environment variable E(NOSANA_API_URL) is used.
    type: str
  node_domain:
    description:
      - Domain under which hosts and the services of jobs are reached, optionally with V(http://) or V(https://) in front.
      - If not set, the value of the environment variable E(NOSANA_NODE_DOMAIN) is used.
    type: str
requirements:
  - Python >= 3.11
  - solders >= 0.26
  - pydantic >= 2
  - httpx
notes:
  - An environment variable that is empty counts as not set.
  - The module runs where its connection leads, usually C(localhost); environment variables and the key file are read there.
  - Proxies are taken from E(HTTP_PROXY), E(HTTPS_PROXY), E(ALL_PROXY) and E(NO_PROXY). With the local network, E(NO_PROXY) has to name V(127.0.0.1).
"""
