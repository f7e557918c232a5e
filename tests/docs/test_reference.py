"""The examples in the plugins' own documentation are run, in their order, on one local network."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from reader import network, run, surroundings

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
JOB = "nosana.compute.nosana_job"
WEB = {"name": "web-server", "market": "nvidia-3060", "job_definition": "{{ web_definition }}", "wait_for": "ready", "wait_sleep": 0.2}
ECHO = {"image": "python:3.9-slim", "command": "echo done", "market": "nvidia-3060", "wait_for": "completed", "wait_sleep": 0.2}
# What the examples take for granted.
VARS = {
    "nosana_api_key": "nos_example",
    "web": "{{ web_server }}",
    "job_address": "{{ web_server.id }}",
    "web_definition": {
        "version": "0.1",
        "type": "container",
        "ops": [{"type": "container/run", "id": "webserver", "args": {"image": "nginx:alpine", "expose": 80}}],
    },
}
GRANTED: list[dict[str, Any]] = [
    {JOB: WEB, "register": "web_server"},
    {JOB: ECHO | {"name": "{{ item }}"}, "loop": ["training", "evaluation"]},
    {"nosana.compute.nosana_job_info": {"name": "web-server"}, "register": "found"},
]


def examples(plugin: Path) -> str:
    if plugin.suffix == ".yml":
        return str(yaml.safe_load(plugin.read_text(encoding="utf-8"))["EXAMPLES"])
    module = ast.parse(plugin.read_text(encoding="utf-8"))
    return next(
        ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "EXAMPLES"
    )


def with_tasks() -> list[Path]:
    """Those of nosana_job come last, because they change and remove what the others look at."""
    readers = [
        *sorted((PLUGINS / "modules").glob("nosana_*_info.py")),
        *sorted((PLUGINS / "filter").glob("*.yml")),
        PLUGINS / "lookup" / "job.py",
    ]
    return [*readers, PLUGINS / "modules" / "nosana_job.py"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    place = tmp_path_factory.mktemp("reference")
    environment = surroundings(place)
    with network("nosana-localnet start", place, environment) as exported:
        # The network is a proxy for the names of services, which few resolvers know.
        yield place, environment | exported | {"http_proxy": exported["NOSANA_RPC_URL"], "no_proxy": "127.0.0.1"}


def test_the_examples_of_modules_filters_and_lookup_run(reader: tuple[Path, dict[str, str]]) -> None:
    """One playbook with a play for each plugin, because most of the time goes into starting."""
    place, environment = reader
    plays = [{"name": "granted", "hosts": "localhost", "gather_facts": False, "vars": VARS, "tasks": GRANTED}]
    for plugin in with_tasks():
        tasks = yaml.safe_load(examples(plugin).replace("time.sleep(30)", "time.sleep(0)"))
        assert len(tasks) >= 2
        plays.append({"name": plugin.stem, "hosts": "localhost", "gather_facts": False, "vars": VARS, "tasks": tasks})
    file = place / "reference.yml"
    file.write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
    code, printed = run(["ansible-playbook", str(file)], place, environment)
    assert code == 0, printed


def test_the_examples_of_the_inventory_run(reader: tuple[Path, dict[str, str]]) -> None:
    place, environment = reader
    documents = list(yaml.safe_load_all(examples(PLUGINS / "inventory" / "nosana.py")))
    assert len(documents) >= 4
    sources = []
    for number, document in enumerate(documents):
        file = place / f"{number}.nosana.yml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        sources += ["-i", str(file)]
    code, printed = run(["ansible-inventory", *sources, "--list"], place, environment | {"HOME": str(place)})
    assert code == 0, printed
    assert "[WARNING]" not in printed, printed
    assert "nosana_hosts" in printed
