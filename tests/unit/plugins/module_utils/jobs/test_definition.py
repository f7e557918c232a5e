"""Definitions: the seed's examples, names, what is moved and warned of, what is refused with which sentence, and secrets."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidDefinition, InvalidInput
from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import (
    declare,
    exposes_port,
    parse,
    redact,
    same,
    secrets,
    short_form,
)


def definition(**args: Any) -> dict[str, Any]:
    return {"version": "0.1", "type": "container", "ops": [{"type": "container/run", "id": "one", "args": {"image": "nginx", **args}}]}


def test_the_name_is_added_and_the_order_of_keys_kept() -> None:
    document = {"ops": definition()["ops"], "type": "container", "meta": {"trigger": "me"}, "version": "0.1"}
    before = copy.deepcopy(document)
    declared = declare(document, "web")
    assert list(declared.document) == ["ops", "type", "meta", "version"]
    assert declared.document["meta"] == {"trigger": "me", "name": "web"}
    assert document == before
    assert declare(definition() | {"meta": {"name": "own"}}, None).name == "own"


@pytest.mark.parametrize(
    ("own", "given", "says"),
    [
        ("a", "b", "must be equal"),
        (None, None, "add the option name"),
        (None, "", "not empty"),
        (None, " x", "space"),
        (None, "x\n", "space"),
    ]
    + [(None, "a\x1b[31mb", "control characters"), (None, "x" * 129, "128"), (7, None, "text")],
)
def test_names_that_cannot_be(own: Any, given: str | None, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        declare(definition() | ({"meta": {"name": own}} if own is not None else {}), given)


def test_memory_and_cpu_of_other_tools_are_kept_where_they_do_no_harm() -> None:
    declared = declare(definition(memory="1Gi", cpu="500m"), "web")
    assert declared.document["ops"][0]["args"] == {"image": "nginx"}
    assert declared.document["meta"]["system_resources"] == {"memory": "1Gi", "cpu": "500m"}
    assert "nothing enforces" in declared.warnings[0]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (definition(expose=[80, {"port": 80}]), "$input.ops[0].args.expose must have ports that differ"),
        (definition(expose=0), "$input.ops[0].args.expose must be a port from 1 to 65535, and is 0"),
        (definition(expose=[{"port": 80.5}]), "$input.ops[0].args.expose[0].port must be a port"),
        (definition(env={"A-B": 1}), '$input.ops[0].args.env["A-B"] must be text'),
        (definition(gpu=1), "$input.ops[0].args.gpu must be true or false"),
        (definition() | {"ops": []}, "$input.ops is empty"),
        (definition() | {"version": 0.1}, "$input.version must be '0.1'"),
        (definition() | {"ops": "none"}, "$input.ops must be a list"),
    ],
)
def test_what_is_wrong_and_where(document: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        declare(document, "web")
    assert f"job_definition: {path}" in str(caught.value)


def test_dependencies_name_other_ops() -> None:
    document = definition()
    document["ops"][0]["execution"] = {"depends_on": ["nobody"]}
    with pytest.raises(InvalidDefinition, match="'nobody'"):
        declare(document, "web")


@pytest.mark.parametrize("value", ["{", "[1]", "null", 7, ["x"], "[" * 5000])
def test_what_is_no_definition(value: Any) -> None:
    with pytest.raises(InvalidDefinition):
        parse(value)


def test_no_secret_stands_in_an_error_a_warning_or_a_diff() -> None:
    document = definition(
        env={"HF_TOKEN": "planted-token", "MODEL": "mistral", "DB_PASSWORD": "planted-password"},
        authentication={"docker": {"username": "me", "password": "planted-docker"}},
        resources=[
            {"type": "HF", "repo": "r", "target": "/t", "accessToken": "planted-hf"},
            {"type": "S3", "target": "/t", "IAM": {"REGION": "eu", "ACCESS_KEY_ID": "planted-id", "SECRET_ACCESS_KEY": "planted-secret"}},
        ],
    )
    found = secrets(document)
    assert sorted(found) == ["planted-docker", "planted-hf", "planted-id", "planted-password", "planted-secret", "planted-token"]
    warnings = declare(document, "web").warnings
    assert "public on IPFS" in warnings[0]
    document["ops"][0]["args"]["env"]["HF_TOKEN"] = "planted-token"
    assert "planted" not in "".join(warnings) + str(redact(document))
    assert redact(document)["ops"][0]["args"]["env"]["MODEL"] == "mistral"
    document["ops"][0]["args"]["imgae"] = "planted-typo"
    with pytest.raises(InvalidDefinition) as caught:
        declare(document, "web")
    assert "planted" not in str(caught.value) + str(caught.value.details)


def test_the_short_form() -> None:
    document = short_form(image="busybox", command=["echo", 1], env={"N": 1, "B": True}, expose=[80, 81], gpu=True, name="web")
    args = document["ops"][0]["args"]
    assert args == {"image": "busybox", "cmd": ["echo", "1"], "env": {"N": "1", "B": "true"}, "expose": [80, 81], "gpu": True}
    assert declare(document, "web").name == "web"
    assert exposes_port(document)
    assert not exposes_port(short_form(image="busybox", command="true", env=None, expose=None, gpu=None, name="web"))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (1, 1.0, True),
        (True, 1, False),
        ([1, 2], [2, 1], False),
        ({"a": 1}, {"a": 1, "b": None}, False),
    ],
)
def test_equal_content(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
