"""One file says which versions are tested, tools/matrix.toml; whatever else names versions says the same."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tools"))

import matrix  # noqa: E402

MINORS = [".".join(core.split(".")[:2]) for core in matrix.DATA["cores"]]
OLDEST, NEWEST = MINORS[0], MINORS[-1]
BEYOND = f"2.{int(NEWEST.split('.')[1]) + 1}"
PYTHON = matrix.DATA["pythons"][0]
SOLDERS = {line: packages[0].removeprefix("solders==").rpartition(".")[0] for line, packages in matrix.DATA["lines"].items()}
# Files, and what each has to say, as often as anything like it stands there.
SAID = {
    "meta/runtime.yml": {r'requires_ansible: "(.+)"': f">={OLDEST}.0"},
    "roles/service/meta/main.yml": {r'min_ansible_version: "(.+)"': OLDEST},
    "roles/batch/meta/main.yml": {r'min_ansible_version: "(.+)"': OLDEST},
    "tools/requirements/demo.txt": {r"ansible-core (.+)": f">= {OLDEST}, < {BEYOND}", r"solders (.+)": f">= {SOLDERS['newest']}, < 0.30"},
    "tools/requirements/docs.txt": {r"ansible-core (.+)": f">= {OLDEST}, < {BEYOND}"},
    "tools/requirements/galaxy.txt": {r"ansible-core (.+)": f">= {OLDEST}, < {BEYOND}"},
    "tools/requirements/line-a.txt": {r"ansible-core (.+)": f">= {OLDEST}, < {BEYOND}"},
    "examples/execution-environment.yml": {r"ansible-core(.+)": f">={OLDEST},<{BEYOND}"},
    "docs/quickstart.md": {r"'ansible-core(.+?)'": f">={OLDEST},<{BEYOND}"},
    "docs/secrets.md": {r"supported ansible-core \((.+?)\)": f"{OLDEST} to {NEWEST}"},
    "README.md": {
        r"ansible-core (\S+ to \S+),": f"{OLDEST} to {NEWEST}",
        r"Python (\S+) and newer": PYTHON,
        r"solders (\S+) and newer": SOLDERS["older"],
    },
    "SUPPORT.md": {
        r"release candidates: (.+?)\. ": ", ".join(MINORS),
        r"run on, from (\S+) \|": PYTHON,
        r"solders \| (\S+) and newer": SOLDERS["older"],
    },
    "docs/localnet.md": {r"Python (\S+) or newer": PYTHON},
    "localnet/README.md": {r"Python (\S+) or newer": PYTHON},
    "localnet/pyproject.toml": {r'requires-python = "(.+)"': f">={PYTHON}"},
    "tests/config.yml": {r'python_requires: "(.+)"': f">={PYTHON}"},
    "plugins/doc_fragments/_connection.py": {r"Python >= (\S+)": PYTHON, r"solders >= (\S+)": SOLDERS["older"]},
    "plugins/doc_fragments/_plugin_connection.py": {r"Python >= (\S+)": PYTHON, r"solders >= (\S+)": SOLDERS["older"]},
    "meta/ee-requirements.txt": {r"solders>=(\S+)": SOLDERS["older"]},
    "pyproject.toml": {r'target-version = "(.+)"': f"py{PYTHON.replace('.', '')}", r'python_version = "(.+)"': PYTHON},
}


@pytest.mark.parametrize("file", SAID)
def test_the_versions_that_a_file_names(file: str) -> None:
    text = (CHECKOUT / file).read_text(encoding="utf-8")
    for pattern, expected in SAID[file].items():
        found = re.findall(pattern, text)
        assert found
        assert set(found) == {expected}


def test_ansible_lint_looks_with_the_eyes_of_every_release() -> None:
    text = (CHECKOUT / ".ansible-lint").read_text(encoding="utf-8")
    assert re.findall(r'^  - "(2\.\d+)"$', text, re.MULTILINE) == MINORS[1:]  # the oldest is the one that runtime.yml requires


def test_the_older_line_is_what_test_line_a_installs() -> None:
    text = (CHECKOUT / "tools" / "requirements" / "line-a.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+) == (.+)$", text, re.MULTILINE)) == {
        tuple(package.split("==")) for package in matrix.DATA["lines"]["older"] if not package.startswith("solders")
    }
    major, minor = map(int, SOLDERS["older"].split("."))
    assert re.findall(r"^solders (.+)$", text, re.MULTILINE) == [f"< {major}.{minor + 1}"]


def test_the_readme_has_the_table() -> None:
    text = matrix.README.read_text(encoding="utf-8")
    assert matrix.with_table(text) == text
    assert matrix.with_table(text.replace("| 2.19", "| 2.18")) == text
    with pytest.raises(SystemExit, match="lacks the lines between which the table stands"):
        matrix.with_table("")


def test_the_oldest_python_of_a_release_is_what_its_metadata_says() -> None:
    """Of the one that is installed here; pip itself holds the others to it when their cells are made."""
    installed = metadata("ansible-core")
    (core,) = (of for name, of in matrix.DATA["cores"].items() if name.split(".")[:2] == installed["Version"].split(".")[:2])
    assert installed["Requires-Python"] == f">={core['oldest']}"
    named = [name.rpartition(" ")[2] for name in installed.get_all("Classifier", []) if re.search(r"Python :: 3\.\d+$", name)]
    assert max(named, key=matrix.release) == core["newest"]


DATA: dict[str, Any] = {
    "pythons": ["3.9", "3.11"],
    "cores": {"2.1": {"oldest": "3.8", "newest": "3.9"}, "2.2": {"oldest": "3.9", "newest": "3.13"}},
    "lines": {"one": ["a==1"], "two": ["b==2"]},
}


def test_a_cell_is_whatever_fits_and_no_more() -> None:
    assert list(map(str, matrix.cells(DATA))) == [
        "2.1-py3.9-one",
        "2.1-py3.9-two",
        "2.2-py3.9-one",
        "2.2-py3.9-two",
        "2.2-py3.11-one",
        "2.2-py3.11-two",
    ]
    assert "| 2.1 | tested | – |" in matrix.table(DATA)


def test_cells_are_chosen_by_pattern() -> None:
    assert matrix.chosen([]) == matrix.cells()
    assert {cell.line for cell in matrix.chosen(["*-older"])} == {"older"}
    assert [cell.core for cell in matrix.chosen(["first"])] == list(matrix.DATA["cores"])
    with pytest.raises(SystemExit, match=r"No cell is named 2\.3"):
        matrix.chosen(["2.3*"])


def test_a_cell_that_fails_is_named_and_the_others_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Python that is not there is a failure, not a cell less."""
    monkeypatch.setitem(matrix.DATA, "pythons", ["3.99"])
    monkeypatch.setitem(matrix.DATA, "cores", {"9.1": {"oldest": "3.99", "newest": "3.99"}})
    assert matrix.run(tmp_path, ["unit"], []) == 1
    said = capsys.readouterr().out
    assert "9.1-py3.99-older: installation: FAILED: needs Python 3.99" in said
    assert said.endswith("Failed:\n  9.1-py3.99-older: installation\n  9.1-py3.99-newest: installation\n")
