"""The third-party libraries, imported in this one place so that a missing one becomes one sentence instead of a traceback."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.
# ansible-test imports every file with none of these installed; hence the stand-ins, which let classes be defined and nothing else.

from __future__ import annotations

import platform
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["httpx", "library_trouble", "pydantic", "solders", "websocket_client"]

# What each library must be at least; the same figures as in meta/ee-requirements.txt and in the documentation's requirements.
OLDEST = {"httpx": (0, 27), "pydantic": (2, 7), "solders": (0, 26)}

_trouble: dict[str, str] = {}


def library_trouble() -> str | None:
    """One sentence when a library is missing or too old: which, in which Python, and the line that installs it."""
    if not _trouble:
        return None
    what = "; ".join(_trouble.values())
    wanted = " ".join(f"'{name}>={_dotted(OLDEST[name])}'" for name in _trouble)
    return (
        f"{what}, in the Python {sys.executable} on {platform.node()}; run: {sys.executable} -m pip install {wanted}, "
        "or set ansible_python_interpreter to a Python that has what is needed."
    )


def too_old(name: str, version: Any) -> str | None:
    """What is wrong with a library of that version; a version that cannot be read is taken for new enough."""
    numbers = re.match(r"(\d+)\.(\d+)", version if isinstance(version, str) else "")
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= OLDEST[name]:
        return None
    return f"The Python library {name} {version} is older than {_dotted(OLDEST[name])}"


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


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

    def _usable(name: str, library: Any) -> Any:
        """The library, or a stand-in when it is too old for our classes to be defined with it."""
        trouble = too_old(name, getattr(library, "__version__", None))
        if trouble is None:
            return library
        _trouble[name] = trouble
        return _StandIn()

    def _missing(name: str, error: ImportError) -> Any:
        _trouble[name] = f"The Python library {name} cannot be imported ({type(error).__name__})"
        return _StandIn()

    try:
        import httpx
    except ImportError as error:
        httpx = _missing("httpx", error)
    else:
        httpx = _usable("httpx", httpx)

    try:
        import pydantic
    except ImportError as error:
        pydantic = _missing("pydantic", error)
    else:
        pydantic = _usable("pydantic", pydantic)

    try:
        import solders
        import solders.hash
        import solders.instruction
        import solders.keypair
        import solders.message
        import solders.pubkey
        import solders.transaction
    except ImportError as error:
        solders = _missing("solders", error)
    else:
        solders = _usable("solders", solders)


def websocket_client() -> ModuleType | None:
    """websockets' client, which only those who wait can use: a task that does not wait does not pay for its import, and it may be missing."""
    try:
        import websockets.asyncio.client
    except ImportError:
        return None
    return websockets.asyncio.client
