"""Documentation of the connection options of plugins; the same options as the modules' (_connection.py), with the environment variables as `env`.

No option has choices or a type that Ansible would convert to: Ansible takes an empty variable for a value, and quotes what it cannot convert,
which may be a key. _ansible/options.py checks them instead, as it does for modules.
"""
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
      - The network to work on, V(mainnet), V(devnet) or V(localnet). It decides the program, the NOS mint and the servers, each of which
        can be set on its own.
      - V(localnet) is the local network that the project ships for trying and testing.
      - Default is V(mainnet).
    type: raw
    env:
      - name: NOSANA_NETWORK
  wallet:
    description:
      - The Solana key that owns the jobs, as the path of a key file, a base58 secret key, or a JSON array of 64 numbers.
      - It is read on the controller, and nothing is signed or spent with it.
    type: raw
    env:
      - name: NOSANA_WALLET
  rpc_url:
    description:
      - URL of the Solana RPC node. Default is the network's public one.
      - With several, as a list or with commas between them, the first that answers is used.
    type: raw
    env:
      - name: NOSANA_RPC_URL
  ipfs_api_url:
    description:
      - Base URL of the IPFS pinning service. Nothing is pinned here; it is accepted so that all plugins and modules take the same options.
    type: raw
    env:
      - name: NOSANA_IPFS_API_URL
  ipfs_gateway_url:
    description:
      - Base URL of the IPFS gateway from which definitions and results are read, such as V(https://nosana.mypinata.cloud/ipfs/).
      - What it answers is checked against the content address. With several, as a list or with commas between them, the next one is asked
        when one fails or lacks the content.
    type: raw
    env:
      - name: NOSANA_IPFS_GATEWAY_URL
  ipfs_jwt:
    description:
      - Token of the IPFS pinning service. Nothing is pinned here; it is accepted so that all plugins and modules take the same options.
    type: raw
    env:
      - name: NOSANA_IPFS_JWT
  api_url:
    description:
      - Base URL of the Nosana REST API, where markets are looked up.
    type: raw
    env:
      - name: NOSANA_API_URL
  node_domain:
    description:
      - Domain under which hosts and the services of jobs are reached, optionally with V(http://) or V(https://) in front.
    type: raw
    env:
      - name: NOSANA_NODE_DOMAIN
requirements:
  - Python >= 3.11
  - solders >= 0.26
  - pydantic >= 2
  - httpx
notes:
  - An environment variable that is empty counts as not set.
  - The plugin runs on the controller, in the Python that runs Ansible, so that is where the libraries are needed.
"""
