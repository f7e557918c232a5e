"""Every example of the documentation is run as a reader would run it, on a local network; what a page shows is what is printed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocks import Block, blocks, missing_line, stories

PATIENCE_SECONDS = 60
# A reader's nosana-localnet, but ops run as processes, the port is free, and nothing is kept in the home of whoever tests.
WRAPPER = """#!/bin/sh
command="$1"; shift
[ "$command" = start ] && set -- --port 0 --wallet "{place}/wallet.json" "$@"
exec "{program}" "$command" --runner process "$@"
"""


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """The environment of a reader who has installed everything and set nothing."""
    program = shutil.which("nosana-localnet")
    assert program is not None
    programs = tmp_path / "bin"
    programs.mkdir()
    wrapper = programs / "nosana-localnet"
    wrapper.write_text(WRAPPER.format(program=program, place=tmp_path), encoding="utf-8")
    wrapper.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOSANA_")}
    (tmp_path / "tmp").mkdir()
    return kept | {
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "COLUMNS": "400",
        "NOSANA_CACHE": str(tmp_path / "cache"),
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
    }


@contextlib.contextmanager
def network(command: str, place: Path, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Runs what starts a network until the block ends; yields the variables that it tells the reader to export."""
    with subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            exported: dict[str, str] = {}
            for line in process.stdout or ():
                if found := re.fullmatch(r"export (\w+)=(.*)\n", line):
                    exported[found[1]] = found[2]
                if line.startswith("Ctrl-C"):
                    break
            assert exported, "the network did not start"
            yield exported
        finally:
            process.terminate()
            process.communicate()


@pytest.mark.parametrize("page", stories(), ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, surroundings: dict[str, str]) -> None:
    place = tmp_path / "reader"
    place.mkdir()
    printed = ""
    with contextlib.ExitStack() as stack:
        for block in blocks(page):
            where = f"{page.name}:{block.line}"
            if block.language == "sh" and block.mark == "network":
                surroundings |= stack.enter_context(network(block.text.strip(), place, surroundings))
            elif block.language == "sh" and block.mark in ("run", "fails"):
                printed = run(block, place, surroundings, where)
            elif block.language == "text" and block.mark == "shows":
                missing = missing_line(block.text, printed)
                assert missing is None, f"{where} shows a line that was not printed: {missing}\n{printed}"
            elif block.language == "yaml" and block.mark not in ("", "elsewhere"):
                (place / block.mark).write_text(block.text, encoding="utf-8")
            elif block.language in ("yaml", "sh"):
                assert block.mark == "elsewhere", f"{where} does not say what its test is"


def run(block: Block, place: Path, environment: dict[str, str], where: str) -> str:
    command = ["sh", "-ec", block.text]
    done = subprocess.run(
        command,
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode == 0) is (block.mark == "run"), f"{where} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def test_a_line_that_is_not_there_is_missed() -> None:
    assert missing_line("a … c\nb", "a long c\nb\n") is None
    assert missing_line("b\na", "a\nb\n") == "a"
    assert missing_line("changed=0", "changed=1\n") == "changed=0"


def test_what_is_said_of_the_marks_is_so() -> None:
    """Few blocks are left out, and none of them could be run: they install something, or belong to another system."""
    left_out = [(page.stem, block.text) for page in stories() for block in blocks(page) if block.mark == "elsewhere"]
    for page, text in left_out:
        assert re.search(r"install|/KEY|runs-on:|terraform", text), f"a block of {page} could be run: {text}"
