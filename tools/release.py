"""The parts of `make release-check` that are more than a command.

usage: python tools/release.py changelog            in the copy of the collection: its changelog for this version, unless it has one
       python tools/release.py importer PYTHON FILE  Galaxy's import of an artefact, which has to have nothing to remark
       python tools/release.py wheel                 inside `nosana-localnet run` of the wheel: the network answers
       python tools/release.py rest                  what is left for a human
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from importlib.metadata import distribution
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
REST = """
Everything that can be checked is. What is left, for version {version}:
  1. make test and make matrix, on the commit that is released
  2. make changelog, and commit what it made
  3. git tag v{version}, push it; the artefact is built from the tag: make build
  4. ansible-galaxy collection publish, and the wheel of localnet/ to PyPI
  5. the execution environment of examples/execution-environment.yml, built and pushed
  6. on devnet, with a wallet that holds little: examples/deploy.yml twice, examples/remove.yml
"""


def version() -> str:
    """The version in galaxy.yml."""
    found = re.search(r"^version: (\S+)$", (CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def changelog() -> int:
    """The fragments are consumed in the copy only; the checkout keeps them until its own `make changelog`."""
    made = Path("changelogs/changelog.yaml")
    if made.exists() and re.search(rf"^  {re.escape(version())}:", made.read_text(encoding="utf-8"), re.MULTILINE):
        print(f"The changelog has version {version()} already.")
        return 0
    return subprocess.run(["antsibull-changelog", "release"], check=False).returncode


def importer(python: str, artefact: str) -> int:
    """Prints what the importer says; a remark is a failure."""
    ran = subprocess.run(
        [python, "-m", "galaxy_importer.main", artefact], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    remarks = [line for line in ran.stdout.splitlines() if re.search(r"\b(WARNING|ERROR)\b", line)]
    print(ran.stdout if ran.returncode else "\n".join(remarks) or "The importer has nothing to remark.")
    return 1 if remarks or ran.returncode else 0


def wheel() -> int:
    """The network of the installed wheel answers, and the wheel has its README."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getHealth"}).encode()
    request = urllib.request.Request(os.environ["NOSANA_RPC_URL"], body, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        health = json.load(answer)["result"]
    about = distribution("nosana-localnet")
    print(f"nosana-localnet {about.version}: {health}")
    return 0 if health == "ok" and "a Nosana network in one process" in (about.read_text("METADATA") or "") else 1


def main(arguments: list[str]) -> int:
    match arguments:
        case ["changelog"]:
            return changelog()
        case ["importer", python, artefact]:
            return importer(python, artefact)
        case ["wheel"]:
            return wheel()
        case ["rest"]:
            print(REST.format(version=version()), end="")
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
