"""The third-party libraries, imported in this one place so that a missing one becomes one sentence instead of a traceback."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.
# ansible-test imports every file with none of these installed; hence the stand-ins, which let classes be defined and nothing else.

from __future__ import annotations

import traceback
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["MISSING_LIBRARY", "MISSING_TRACEBACK", "httpx", "pydantic", "solders", "websocket_client"]

MISSING_LIBRARY: str | None = None
MISSING_TRACEBACK: str | None = None

if TYPE_CHECKING:
    import httpx
    import pydantic
    import solders
    import solders.hash
    import solders.instruction
    import solders.keypair
    import solders.message
    import solders.pubkey
    import solders.transaction
else:

    class _StandIn:
        """Takes the place of a module that is not installed; subclassing and calling work, and mean nothing."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            pass

        def __init_subclass__(cls, **kwargs: Any) -> None:
            pass

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return args[0] if args and callable(args[0]) else self

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return _StandIn if name[0].isupper() else self

        def __class_getitem__(cls, item: Any) -> Any:
            return cls

    try:
        import httpx
    except ImportError:
        MISSING_LIBRARY, MISSING_TRACEBACK = "httpx", traceback.format_exc()
        httpx = _StandIn()

    try:
        import pydantic
    except ImportError:
        MISSING_LIBRARY, MISSING_TRACEBACK = "pydantic", traceback.format_exc()
        pydantic = _StandIn()

    try:
        import solders
        import solders.hash
        import solders.instruction
        import solders.keypair
        import solders.message
        import solders.pubkey
        import solders.transaction
    except ImportError:
        MISSING_LIBRARY, MISSING_TRACEBACK = "solders", traceback.format_exc()
        solders = _StandIn()


def websocket_client() -> ModuleType | None:
    """websockets' client, which only those who wait can use: a task that does not wait does not pay for its import, and it may be missing."""
    try:
        import websockets.asyncio.client
    except ImportError:
        return None
    return websockets.asyncio.client
