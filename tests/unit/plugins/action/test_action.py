"""The action plugins' own part: where they run a task themselves, and what a task's arguments become on the way."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

from ansible_collections.nosana.compute.plugins.module_utils._ansible.options import job_spec
from ansible_collections.nosana.compute.plugins.module_utils._ansible.run import KINDS
from ansible_collections.nosana.compute.plugins.plugin_utils import _action
from ansible_collections.nosana.compute.plugins.plugin_utils._action import NosanaAction, both_named, is_this_python, plain
from ansible_collections.nosana.compute.plugins.plugin_utils._loop import may_be_repeated, next_names

COLLECTION = Path(_action.__file__).parents[2]


def test_every_module_has_its_action_plugin() -> None:
    modules = {path.stem for path in (COLLECTION / "plugins/modules").glob("nosana_*.py")}
    assert {path.stem for path in (COLLECTION / "plugins/action").glob("nosana_*.py")} == modules == set(KINDS)


def test_this_python_and_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A virtual environment's interpreter is a link to the machine's own, and has other libraries."""
    assert is_this_python(sys.executable)
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert not is_this_python(str(link))
    assert not is_this_python(str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    assert is_this_python(os.path.basename(sys.executable))


def action(**task: Any) -> NosanaAction:
    """An action plugin as Ansible makes it; `transport` and `become` are the connection's."""
    connection = SimpleNamespace(transport=task.pop("transport", "local"), become=task.pop("become", None))
    made = NosanaAction.__new__(NosanaAction)
    made._task = SimpleNamespace(**{"async_val": 0, "delegate_to": None, **task})
    made._connection = connection
    made._templar = Templar(loader=None, variables={"here": sys.executable})
    return made


HERE = {"ansible_python_interpreter": sys.executable}


@pytest.mark.parametrize(
    ("task", "task_vars", "here"),
    [
        ({}, HERE, True),
        ({"transport": "ssh"}, HERE, False),
        ({"become": object()}, HERE, False),
        ({"async_val": 30}, HERE, False),
        ({}, {}, False),
        ({}, {"ansible_python_interpreter": "auto"}, False),
        ({}, {"ansible_python_interpreter": "/usr/bin/nothing"}, False),
        ({"delegate_to": "other"}, HERE, False),
        ({"delegate_to": "other"}, {**HERE, "ansible_delegated_vars": {"other": {}}}, False),
        ({"delegate_to": "other"}, {"ansible_delegated_vars": {"other": HERE}}, True),
    ],
)
def test_where_a_task_runs(task: dict[str, Any], task_vars: dict[str, Any], here: bool) -> None:
    assert action(**task)._means_the_same_here(task_vars) is here


class Text(str):
    """Text to which something is attached, as Ansible's own."""


def test_arguments_arrive_as_a_module_gets_them() -> None:
    given = {Text("a"): [Text("b"), 1, 1.5, True, None, (Text("c"),)], "day": datetime.date(2026, 6, 1), "number": {"deep": Text("d")}}
    got = plain(given)
    assert got == {"a": ["b", 1, 1.5, True, None, ["c"]], "day": "2026-06-01", "number": {"deep": "d"}}
    assert json.loads(json.dumps(got)) == got
    kinds = {type(value) for value in [*got, *got["a"][:5], got["number"]["deep"]]}
    assert kinds == {str, int, float, bool, type(None)}


def test_an_option_under_two_names() -> None:
    args = {"wait_timeout": 1, "completion_timeout_seconds": 1, "name": "x"}
    assert both_named(args, job_spec()) == ["Both option wait_timeout and its alias completion_timeout_seconds are set."]
    assert both_named({"completion_timeout_seconds": 1}, job_spec()) == []


def test_environment_and_folder_are_given_back(tmp_path: Path) -> None:
    before, place = dict(os.environ), Path.cwd()

    def inside() -> None:
        with _action._as_a_module({"NOSANA_PLANTED": 1}, str(tmp_path)):
            assert (os.environ["NOSANA_PLANTED"], Path.cwd()) == ("1", tmp_path)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        inside()
    assert (dict(os.environ), Path.cwd()) == (before, place)


def test_connections_are_shared_until_the_environment_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    session = _action._Worker().session()
    one = session.connections()
    assert session.connections() is one
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert session.connections() is not one


def test_a_loop_is_worked_out_once_for_a_task() -> None:
    worker, asked = _action._Worker(), []

    def work_out() -> list[str]:
        asked.append(1)
        return ["a", "b"]

    assert worker.items_of("one", work_out) == worker.items_of("one", work_out) == ["a", "b"]
    assert asked == [1]
    assert worker.items_of("two", lambda: "no list") == []
    assert worker.items_of("three", lambda: 1 / 0) == []


@pytest.mark.parametrize(
    ("name", "item", "items", "names"),
    [
        ("b", "b", ["a", "b", "c", "d"], ["c", "d"]),
        ("web-2", 2, [1, 2, 3], ["web-3"]),
        ("web-b-eu", "b", ["a", "b", "c"], ["web-c-eu"]),
        ("b", {"name": "b", "image": "x"}, [{"name": "b", "image": "x"}, {"name": "c", "image": "y"}], ["c"]),
        ("job-b", {"key": "b", "value": {"image": "job"}}, [{"key": "b", "value": {"image": "job"}}, {"key": "c", "value": 1}], []),
        ("b", {"key": "b", "value": {"image": "job"}}, [{"key": "b", "value": {"image": "job"}}, {"key": "c", "value": 1}], ["c"]),
        ("fixed", "b", ["a", "b", "c"], []),
        ("d", "d", ["a", "b", "c", "d"], []),
        ("x", "x", ["a"], []),
        ("b", "b", ["b", None, {"a": 1}, "c"], ["c"]),
    ],
)
def test_the_names_that_a_loop_comes_to_next(name: str, item: Any, items: list[Any], names: list[str]) -> None:
    assert next_names(name, item, items, most=10) == names


def test_a_loop_that_looks_elsewhere_is_not_worked_out_twice() -> None:
    assert may_be_repeated(["a", "{{ b }}"])
    assert may_be_repeated("{{ jobs | dict2items }}")
    assert not may_be_repeated("{{ lookup('pipe', 'date') }}")
    assert not may_be_repeated("{{ query('file', 'x') }}")
    assert not may_be_repeated("{{ q ('file', 'x') }}")
    assert not may_be_repeated(None)


FORKED = """
import asyncio, sys
from ansible_collections.nosana.compute.plugins.plugin_utils import _action
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import Unreachable
from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http

before = set(sys.modules)

async def ask() -> None:
    async with Http(SystemClock(), attempts=1, connections=_action._worker.session().connections()) as http:
        await http.request("GET", "http://127.0.0.1:1", str, label="server")

try:
    _action._worker.run(ask())
except Unreachable:
    print(sorted(set(sys.modules) - before))
"""


def test_a_worker_imports_nothing_for_a_request() -> None:
    """What is imported in a worker is imported again for every task; the imports of the first request happen before it is forked."""
    path = os.pathsep.join([str(COLLECTION.parents[2]), *([os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else [])])
    ran = subprocess.run(
        [sys.executable, "-c", FORKED], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(ran.stdout.replace("'", '"')) == []


def test_the_private_parts_of_ansible_are_there() -> None:
    """What the plugin asks of ActionBase beside what is documented."""
    init_plugin_loader([])
    assert callable(NosanaAction._compute_environment_string)
