"""The node's front: JSON-RPC and PubSub on a ledger.

``routes`` serves HTTP and WebSocket, ``front`` answers without either, ``protocol`` is JSON-RPC itself, ``methods`` and ``cluster``
hold the calls, ``pubsub`` the subscriptions, ``params`` what callers send, ``encoding`` and ``transactions`` what they get, ``errors``
the refusals.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from .front import answer, exchange
from .limits import RateLimit
from .routes import add_rpc, create_rpc_routes

__all__ = ["RateLimit", "add_rpc", "answer", "create_rpc_routes", "exchange"]
