"""A Nosana network in one process: ledger, jobs program, JSON-RPC, IPFS, markets, hosts and faucet on one port."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

__version__ = "0.1.0"
