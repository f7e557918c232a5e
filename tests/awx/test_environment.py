"""The execution environment: ansible-builder accepts the collection's metadata, and writes the context that AWX's image is built of."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import yaml
from conftest import BIN, COLLECTION, TREE

BUILDER = str(BIN / "ansible-builder")


def test_the_metadata_names_the_libraries() -> None:
    output = subprocess.run([BUILDER, "introspect", "--sanitize", str(TREE)], capture_output=True, text=True, check=True).stdout
    found = yaml.safe_load(output)
    wanted = [line for line in (COLLECTION / "meta" / "ee-requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert [line.partition("#")[0].strip() for line in found["python"]] == wanted
    assert all("nosana.compute" in line for line in found["python"])
    assert found["system"] == []


def test_the_context(tmp_path: Path) -> None:
    definition = Path(os.environ["NOSANA_EXAMPLES"]) / "execution-environment.yml"
    subprocess.run([BUILDER, "create", "-f", str(definition), "-c", str(tmp_path / "context")], capture_output=True, check=True)
    context = tmp_path / "context"
    (file,) = (found for name in ("Containerfile", "Dockerfile") if (found := context / name).exists())  # by the engine that is there
    recipe = file.read_text()
    described = yaml.safe_load(definition.read_text())
    assert described["images"]["base_image"]["name"] in recipe
    assert described["dependencies"]["ansible_core"]["package_pip"] in recipe
    assert "USER 1000" in recipe
    requirements = yaml.safe_load((context / "_build" / "requirements.yml").read_text())
    assert json.loads(json.dumps(requirements)) == {"collections": [{"name": "nosana.compute"}]}
