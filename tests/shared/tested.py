"""The Ansible that a test starts, which need not be the test's own: its Python, its programs, and its Python under another name."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
from pathlib import Path

# `make matrix` names a Python whose Solana libraries may be too old for the local network, which runs in the test's own.
PYTHON = Path(os.environ.get("NOSANA_TESTED_PYTHON") or sys.executable)
BIN = PYTHON.parent


def other_python(directory: Path) -> Path:
    """The same Python under another name: to Ansible it is another interpreter, so the module is started."""
    path = directory / "bin" / "python"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{PYTHON}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path
