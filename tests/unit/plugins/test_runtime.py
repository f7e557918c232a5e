"""What is said of all modules together: their action group, their attributes, and habits that Ansible takes away or makes one ask leave for."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
MODULES = {file.stem: file for file in (ROOT / "plugins" / "modules").glob("nosana_*.py")}
FRAGMENT = "nosana.compute._attributes"


def documentation(module: Path) -> dict[str, Any]:
    text = next(
        ast.literal_eval(node.value)
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "DOCUMENTATION"
    )
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_every_module_is_in_the_action_group() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert len(MODULES) >= 4
    assert sorted(runtime["action_groups"]["nosana"]) == sorted(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_documents_what_it_supports(name: str) -> None:
    fragments = documentation(MODULES[name])["extends_documentation_fragment"]
    assert f"{FRAGMENT}.info_module" in fragments if name.endswith("_info") else FRAGMENT in fragments
    assert {f"{FRAGMENT}.action_plugin", f"{FRAGMENT}.actiongroup_nosana"} <= set(fragments)


def test_warnings_are_told_and_not_returned() -> None:
    """Results with `warnings` or `deprecations` end with ansible-core 2.23."""
    given = {
        f"{file.name}:{node.lineno}"
        for file in (ROOT / "plugins").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("exit_json", "fail_json")
        if {keyword.arg for keyword in node.keywords} & {"warnings", "deprecations"}
    }
    assert given == set()


def test_sanity_ignores_nothing() -> None:
    assert list((ROOT / "tests").glob("sanity/*ignore*")) == []
