"""The page of features: every file and every make target that it names as evidence is there, and every row has some."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs" / "features.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if re.match(r"\| (?!capability)", line)]
PATHS = sorted(
    set(re.findall(r"`([\w./-]+/[\w./-]*|\w+\.(?:md|toml))`", PAGE)) | {f"docs/{name}" for name in re.findall(r"\]\(([\w-]+\.md)", PAGE)}
)
TARGETS = sorted(set(re.findall(r"`make ([a-z-]+)", PAGE)))


@pytest.mark.parametrize("path", PATHS)
def test_what_is_named_as_evidence_is_there(path: str) -> None:
    assert (CHECKOUT / path).exists()


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_what_is_named(target: str) -> None:
    assert re.search(rf"^{target}:.* ## ", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_row_that_says_yes_has_evidence() -> None:
    assert len(ROWS) > 35
    assert len(PATHS) > 40
    for capability, here, evidence in ROWS:
        assert re.match(r"yes|\*\*partly\*\*|\*\*no\*\*|not applicable", here), capability
        assert here[0] != "y" or any(path in evidence or path.removeprefix("docs/") in evidence for path in PATHS), capability
