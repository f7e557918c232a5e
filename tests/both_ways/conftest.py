"""Plays as users start them: nothing of the machine's own settings of Ansible and of the collection, and every result in a file."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

from tested import BIN

HERE = Path(__file__).parent
CALLBACKS = HERE.parent / "secrets" / "callback"
TREE = os.environ["ANSIBLE_COLLECTIONS_PATH"]


def environment(directory: Path, wanted: dict[str, str]) -> dict[str, str]:
    """What a play is started with."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "NOSANA_"))},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(directory),
        "SPY_RESULTS": str(directory / "results"),
        "ANSIBLE_COLLECTIONS_PATH": TREE,
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "spy_dump",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_ASYNC_DIR": str(directory / "async"),
        **wanted,
    }


def results(directory: Path) -> str:
    """What the callback wrote."""
    return (directory / "results").read_text(encoding="utf-8")
