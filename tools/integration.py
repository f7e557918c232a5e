"""Runs ansible-test's integration tests against the local network that this command is run in.

usage: nosana-localnet run -- python tools/integration.py COLLECTION PYTHON_VERSION [TARGET…]

ansible-test cleans the environment of its tests, so the NOSANA_* variables go into its configuration file.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or "NOSANA_RPC_URL" not in os.environ:
        print(__doc__, file=sys.stderr)
        return 2
    collection, version, *targets = arguments
    settings = {name.lower(): value for name, value in os.environ.items() if name.startswith("NOSANA_")}
    settings["nosana_wallet_key"] = Path(settings["nosana_wallet"]).read_text(encoding="utf-8")
    config = Path(collection) / "tests" / "integration" / "integration_config.yml"
    config.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    try:
        command = ["ansible-test", "integration", "--venv", "--requirements", "--python", version, "--color", "no", *targets]
        return subprocess.run(command, cwd=collection, check=False).returncode
    finally:
        config.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
