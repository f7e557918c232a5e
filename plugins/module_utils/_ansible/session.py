"""What the tasks of one process share, so that the items of a loop need not begin anew: connections, the markets' addresses, foresight."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .._clients.http import Connections
from .._jobs.foresight import Foresight

if TYPE_CHECKING:
    from .._clients.rest import KnownMarkets


class Session:
    """A module runs one task and needs none. Bound to one event loop."""

    def __init__(self) -> None:
        self.foresight: Foresight[Any] = Foresight()
        self.markets: KnownMarkets = {}
        self._connections: dict[frozenset[tuple[str, str]], Connections] = {}

    def connections(self) -> Connections:
        """Those for the environment as it is now: proxies and certificates come from there."""
        environment = frozenset(os.environ.items())
        if environment not in self._connections:
            self._connections[environment] = Connections()
        return self._connections[environment]

    async def close(self) -> None:
        """Closes the connections. A process that ends need not."""
        for connections in self._connections.values():
            await connections.close()
        self._connections.clear()
