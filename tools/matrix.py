"""The matrix of tools/matrix.toml: every ansible-core with every Python that it runs on, and both lines of Solana libraries.

usage: python tools/matrix.py run CACHE SUITES [CELL…]   run suites in each cell that a pattern names, by default in all; from the dev environment
       python tools/matrix.py write                      put the table of versions into the README
       python tools/matrix.py check                      say whether the README has it

A cell has an environment of its own, without the local network: that runs in the dev environment, whose solders is newer than the older line's.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
DATA: dict[str, Any] = tomllib.loads((CHECKOUT / "tools" / "matrix.toml").read_text(encoding="utf-8"))
REQUIREMENTS = CHECKOUT / "tools" / "requirements" / "cell.txt"
README = CHECKOUT / "README.md"
BEGIN, END = "<!-- versions: `make format` writes what follows, from tools/matrix.toml -->\n", "<!-- end of versions -->\n"
SUITES = ("unit", "both_ways", "secrets", "artefact")
TAIL_LINES = 40


@dataclass(frozen=True)
class Cell:
    """One ansible-core, one Python, one line of libraries."""

    core: str
    python: str
    line: str

    def __str__(self) -> str:
        return f"{self.core}-py{self.python}-{self.line}"


def release(version: str) -> tuple[int, ...]:
    """3.9 comes before 3.11."""
    return tuple(map(int, version.split(".")))


def fits(core: Mapping[str, str], python: str) -> bool:
    """Whether an ansible-core runs on a Python, by its own metadata."""
    return release(core["oldest"]) <= release(python) <= release(core["newest"])


def cells(data: Mapping[str, Any] = DATA) -> list[Cell]:
    """Everything that fits together."""
    return [
        Cell(core, python, line)
        for core, of in data["cores"].items()
        for python in data["pythons"]
        if fits(of, python)
        for line in data["lines"]
    ]


def chosen(patterns: Iterable[str]) -> list[Cell]:
    """The cells that a pattern names: `2.22*`, `*-older`, `first` for one of each ansible-core."""
    firsts = {cell.core: cell for cell in reversed(cells()) if cell.line == "newest"}
    wanted = tuple(patterns) or ("*",)
    found = [
        cell for cell in cells() if any(fnmatchcase(str(cell), each) or (each == "first" and firsts[cell.core] == cell) for each in wanted)
    ]
    if not found:
        raise SystemExit(f"No cell is named {' or '.join(wanted)}; there are:\n  " + "\n  ".join(map(str, cells())))
    return found


# --- the table of the README -----------------------------------------------------------------------------------------


def table(data: Mapping[str, Any] = DATA) -> str:
    """The versions as people read them."""
    rows = [["ansible-core", *(f"Python {python}" for python in data["pythons"])], ["---"] * (1 + len(data["pythons"]))]
    rows += [[core, *("tested" if fits(of, python) else "–" for python in data["pythons"])] for core, of in data["cores"].items()]
    lines = [f"- {name}: {', '.join(package.replace('==', ' ') for package in packages)}" for name, packages in data["lines"].items()]
    return "\n".join(
        [
            "",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            "each of them with every line of Solana libraries (–: this ansible-core does not run on this Python):",
            "",
            *lines,
            "",
            "",
        ]
    )


def with_table(text: str) -> str:
    """A README with the table of today."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md lacks the lines between which the table stands:\n{BEGIN}{END}")
    return before + begin + table() + end + after


# --- running ---------------------------------------------------------------------------------------------------------


def interpreter(python: str) -> str:
    """A Python of that release: on the PATH, where it has to start (a pyenv shim may not), or pyenv's own."""
    for candidate in (f"python{python}", *map(str, sorted((Path.home() / ".pyenv" / "versions").glob(f"{python}.*/bin/python")))):
        code = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{python}')"
        if shutil.which(candidate) and subprocess.run([candidate, "-c", code], capture_output=True, check=False).returncode == 0:
            return candidate
    raise LookupError(f"needs Python {python}, which is neither on the PATH nor one of pyenv's")


@dataclass(frozen=True)
class Matrix:
    """Where the cells live, and what they have in common."""

    cache: Path

    @property
    def tree(self) -> Path:
        return self.cache / "tree"

    def python(self, cell: Cell) -> Path:
        """The Python of the cell's environment."""
        return self.cache / "venv" / f"cell-{cell}" / "bin" / "python"

    def install(self, cell: Cell, log: Path) -> None:
        """Makes the cell's environment, unless it is there and was made of the same."""
        place = self.python(cell).parents[1]
        packages = [f"ansible-core=={cell.core}", *DATA["lines"][cell.line]]
        made_of, stamp = "\n".join([*packages, REQUIREMENTS.read_text(encoding="utf-8")]), place / ".made-of"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == made_of:
            return
        shutil.rmtree(place, ignore_errors=True)
        pip = [str(self.python(cell)), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(REQUIREMENTS), *packages]
        for command in ([interpreter(cell.python), "-m", "venv", str(place)], pip):
            self.call(command, log, CHECKOUT)
        stamp.write_text(made_of, encoding="utf-8")

    def call(self, command: list[str], log: Path, place: Path, **more: str) -> None:
        """Runs a command; what it says is in the log."""
        with log.open("a", encoding="utf-8") as file:
            print("$", *command, file=file, flush=True)
            environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self.tree), **more}
            subprocess.run(command, cwd=place, env=environment, stdout=file, stderr=subprocess.STDOUT, check=True)

    def run(self, cell: Cell, suite: str, log: Path) -> None:
        """One suite in one cell."""
        python, tests = self.python(cell), self.tree / "ansible_collections" / "nosana" / "compute" / "tests"
        network = Path(sys.executable).with_name("nosana-localnet")
        match suite:
            case "unit":
                suites = ["unit", *(["anchorpy"] if cell.line == "older" else [])]
                idl = CHECKOUT / "localnet" / "src" / "nosana_localnet" / "nosana_jobs.idl.json"
                settings = {"PYTHONPATH": str(self.tree), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NOSANA_IDL": str(idl)}
                self.call([str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", *suites], log, tests, **settings)
            case "both_ways" | "secrets":
                pytest = [sys.executable, "-m", "pytest", "-c", str(CHECKOUT / "pyproject.toml"), "--rootdir", ".", "."]
                self.call(pytest, log, CHECKOUT / "tests" / suite, NOSANA_TESTED_PYTHON=str(python))
            case "artefact":
                place = log.parent / "installed"
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                artefact = next((self.cache / "release" / "artefact").glob("nosana-compute-*.tar.gz"), None)
                if artefact is None:
                    raise LookupError("there is no artefact; make release-check builds it")
                settings = {
                    "ANSIBLE_COLLECTIONS_PATH": str(place),
                    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
                    "ANSIBLE_LOCALHOST_WARNING": "false",
                    "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
                }
                galaxy = [str(python.with_name("ansible-galaxy")), "collection", "install", "--offline", "-p", str(place), str(artefact)]
                self.call(galaxy, log, place, **settings)
                runner = os.environ.get("RUNNER") or "process"
                demo = [str(network), "run", "--runner", runner, "--", str(python), str(CHECKOUT / "tools" / "demo.py")]
                self.call(demo, log, place, **settings)

    def tested(self, cell: Cell, suites: Iterable[str]) -> list[str]:
        """Runs a cell from its installation on, says how each part ended, and returns the parts that failed."""
        failed = []
        place = self.cache / "matrix" / str(cell)
        place.mkdir(parents=True, exist_ok=True)
        for part in ("installation", *suites):
            log, began = place / f"{part}.log", time.monotonic()
            log.unlink(missing_ok=True)
            try:
                if part == "installation":
                    self.install(cell, log)
                else:
                    self.run(cell, part, log)
                print(f"{cell}: {part}: passed in {time.monotonic() - began:.0f} s", flush=True)
            except (LookupError, subprocess.CalledProcessError) as error:
                tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]) if log.exists() else ""
                print(f"{tail}\n{cell}: {part}: FAILED: {error}; all of it: {log}", flush=True)
                failed.append(f"{cell}: {part}")
                if part == "installation":
                    break
        return failed


def run(cache: Path, suites: list[str], patterns: list[str]) -> int:
    if unknown := set(suites) - set(SUITES):
        raise SystemExit(f"There is no suite {' or '.join(sorted(unknown))}; there are: {' '.join(SUITES)}.")
    wanted, matrix, began = chosen(patterns), Matrix(cache), time.monotonic()
    with ThreadPoolExecutor(int(os.environ.get("JOBS") or 1)) as pool:
        failed = [part for parts in pool.map(lambda cell: matrix.tested(cell, suites), wanted) for part in parts]
    print(f"\n{len(wanted)} of {len(cells())} cells, {' and '.join(suites)}: {time.monotonic() - began:.0f} s")
    print("\n".join(["Failed:", *(f"  {part}" for part in failed)]) if failed else "All passed.")
    return 1 if failed else 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["run", cache, suites, *patterns]:
            return run(Path(cache).resolve(), suites.split(), patterns)
        case ["write"]:
            README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
            return 0
        case ["check"]:
            if with_table(text := README.read_text(encoding="utf-8")) == text:
                return 0
            print("The table of versions in README.md is not that of tools/matrix.toml.", file=sys.stderr)
            return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
