"""Every example of the documentation is run as a reader would run it, on a local network; what a page shows is what is printed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from blocks import PAGES, blocks, indented, is_for_other_tests, missing_line, stories
from reader import network, run, surroundings

README = PAGES.parent / "README.md"


@pytest.mark.parametrize("page", stories(), ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    environment, place, printed = surroundings(tmp_path), tmp_path / "reader", ""
    place.mkdir()
    with contextlib.ExitStack() as stack:
        for block in blocks(page):
            where = f"{page.name}:{block.line}"
            if block.language == "sh" and block.mark == "network":
                environment |= stack.enter_context(network(block.text.strip(), place, environment))
            elif block.language == "sh" and block.mark in ("run", "fails"):
                code, printed = run(["sh", "-ec", block.text], place, environment)
                assert (code == 0) is (block.mark == "run"), f"{where} ended with {code}:\n{printed}"
            elif block.language == "text" and block.mark == "shows":
                missing = missing_line(block.text, printed)
                assert missing is None, f"{where} shows a line that was not printed: {missing}\n{printed}"
            elif is_for_other_tests(block):
                pass
            elif block.language in ("yaml", "python") and block.mark not in ("", "elsewhere"):
                (place / block.mark).write_text(block.text, encoding="utf-8")
            elif block.language in ("yaml", "sh"):
                assert block.mark == "elsewhere", f"{where} does not say what its test is"


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_no_example_does_without_a_mark(page: Path) -> None:
    assert indented(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", stories(), ids=lambda page: page.stem)
def test_a_file_says_its_name(page: Path) -> None:
    """The mark behind the language is seen by nobody who reads the page."""
    files = [(block.mark.split()[-1], block.text) for block in blocks(page) if block.language in ("yaml", "python") and "." in block.mark]
    assert [name for name, text in files if not text.startswith(f"# {name}\n")] == []


def test_code_that_is_only_indented_is_seen() -> None:
    assert indented("a\n\n    make\n\n```sh\n\n    b\n```\n") == [3]


def test_what_the_readme_shows_runs(tmp_path: Path) -> None:
    environment, place = surroundings(tmp_path), tmp_path / "reader"
    place.mkdir()
    shown = {block.language: block.text for block in blocks(README) if block.language}
    assert set(shown) == {"yaml", "sh"}
    (place / "readme.yml").write_text(shown["yaml"], encoding="utf-8")
    script = f"ansible-playbook readme.yml\n{shown['sh']}"
    code, printed = run(["nosana-localnet", "run", "--", "sh", "-ec", script], place, environment)
    assert code == 0, printed
    assert missing_line('"msg": "http://…node.localhost:…"\nchanged=1\nlocalhost | CHANGED', printed) is None, printed


def test_a_line_that_is_not_there_is_missed() -> None:
    assert missing_line("a … c\nb", "a long c\nb\n") is None
    assert missing_line("b\na", "a\nb\n") == "a"
    assert missing_line("changed=0", "changed=1\n") == "changed=0"


def test_few_blocks_are_left_out_and_none_of_them_could_be_run() -> None:
    left_out = [(page.stem, block.text) for page in stories() for block in blocks(page) if block.mark == "elsewhere"]
    reasons = r"pip install|ansible-galaxy collection install|rpc.example/KEY|podman push|/etc/nginx"
    assert [page for page, text in left_out if not re.search(reasons, text)] == []
