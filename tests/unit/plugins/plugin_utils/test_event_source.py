"""The event source's file: loaded as ansible-rulebook loads it, and its documentation, schema and credential against what it takes."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import asyncio
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nosana.compute.plugins.module_utils._ansible.options import connection_spec
from ansible_collections.nosana.compute.plugins.plugin_utils._events import source_spec

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
EVENT_SOURCE = ROOT / "extensions" / "eda" / "plugins" / "event_source"
FILE = EVENT_SOURCE / "nosana_jobs.py"
SCHEMA = json.loads((EVENT_SOURCE / "schemas" / "nosana_jobs.json").read_text(encoding="utf-8"))
CREDENTIAL = EVENT_SOURCE / "credential_types" / "nosana_jobs"
TYPES = {"str": "string", "float": "number", "bool": "boolean", "list": "array"}


def texts() -> dict[str, Any]:
    """DOCUMENTATION and EXAMPLES, without running the file."""
    found = {}
    for node in ast.parse(FILE.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value.value
    return {name: yaml.safe_load(found[name]) for name in ("DOCUMENTATION", "EXAMPLES")}


DOCUMENTED = texts()["DOCUMENTATION"]["options"]


def test_it_is_loaded_outside_of_any_package_and_takes_nobodys_name() -> None:
    script = (
        "import asyncio, runpy, sys\n"
        f"main = runpy.run_path({str(FILE)!r})['main']\n"
        "try:\n    asyncio.run(main(None, {'intervall': 3}))\n"
        "except Exception as error:\n    print(type(error).__name__, error, len(__import__('traceback').extract_tb(error.__traceback__)))\n"
        "print(sorted(name for name in sys.modules if name in ('plugins', 'ansible_collections')))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, modules = done.stdout.splitlines()
    assert first.startswith(
        "EventSourceError The event source nosana.compute.nosana_jobs has no option 'intervall'; did you mean interval?"
    )
    assert modules == "[]"


def test_without_the_collection_it_says_what_it_needs(tmp_path: Path) -> None:
    place = tmp_path / "extensions" / "eda" / "plugins" / "event_source"
    place.mkdir(parents=True)
    (place / "alone.py").write_text(FILE.read_text(encoding="utf-8").replace("_nosana_compute_plugins", "_alone"), encoding="utf-8")
    main = runpy.run_path(str(place / "alone.py"))["main"]
    with pytest.raises(Exception, match=r"cannot be loaded .*; it needs the whole collection, and Python 3\.11 or newer with ansible-core"):
        asyncio.run(main(None, {}))


def test_the_documentation_is_what_it_takes() -> None:
    spec = source_spec()
    assert list(DOCUMENTED) == list(spec)
    for name, option in spec.items():
        told = {key: DOCUMENTED[name].get(key) for key in ("type", "elements", "choices", "default")}
        assert told == {key: option.get(key) for key in told}, name
    for name, option in connection_spec().items():
        assert f"E({option['fallback'][1][0]})" in " ".join(DOCUMENTED[name]["description"])
    taken = [source["nosana.compute.nosana_jobs"] for source in texts()["EXAMPLES"]]
    assert not [name for options in taken for name in options if name not in spec]


def test_the_schema_is_what_it_takes() -> None:
    properties = SCHEMA["properties"]
    assert list(properties) == list(DOCUMENTED)
    for name, option in DOCUMENTED.items():
        known = properties[name]
        assert known["type"] == TYPES[option["type"]], name
        assert known.get("default") == option.get("default"), name
        assert known.get("items", known).get("enum") == option.get("choices"), name
        assert known["description"] == re.sub(r"\b[VOMPEC]\(([^)#]*)(?:#\w+)?\)", r"\1", " ".join(option["description"])), name
    hidden = {name for name, known in properties.items() if known.get("items", known).get("format") == "password"}
    secret = {field["id"] for field in credential("input")["fields"] if field.get("secret")}
    assert hidden == secret & set(properties)


def test_the_page_has_every_option() -> None:
    page = (ROOT / "docs" / "eda.md").read_text(encoding="utf-8")
    table = page.partition("| option | default |")[2].partition("\n\n")[0]
    named = {word for row in table.splitlines() if row.startswith("| `") for word in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert set(source_spec()) - set(connection_spec()) <= named <= set(source_spec())


def credential(name: str) -> Any:
    return yaml.safe_load((CREDENTIAL / f"{name}.yml").read_text(encoding="utf-8"))


def test_the_credential_is_that_of_awx() -> None:
    awx = {
        name: yaml.safe_load((ROOT / "playbooks" / "files" / f"credential_{name}.yml").read_text(encoding="utf-8"))
        for name in ("inputs", "injectors")
    }
    assert credential("input") == awx["inputs"]
    injectors = credential("injectors")
    # An EDA controller takes a field that was left empty for a mistake in the template.
    for name, template in injectors["env"].items():
        injectors["env"][name] = template.replace(" | default('')", "")
        optional = re.fullmatch(r"\{\{ (\w+) \}\}", injectors["env"][name])
        assert (template == injectors["env"][name]) is (optional is None or optional[1] in credential("input")["required"])
    assert injectors == awx["injectors"]


def test_it_is_registered() -> None:
    (extension,) = yaml.safe_load((ROOT / "meta" / "extensions.yml").read_text(encoding="utf-8"))["extensions"]
    assert (ROOT / "extensions" / extension["args"]["ext_dir"]) == EVENT_SOURCE
