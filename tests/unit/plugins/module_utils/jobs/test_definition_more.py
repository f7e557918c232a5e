"""Definitions as people have them: examples of other tools, text with errors, values that JSON cannot say, and random damage."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidDefinition, InvalidInput
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import encode_document
from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import (
    MAX_DOCUMENT_BYTES,
    check,
    check_name,
    declare,
    exposes_port,
    parse,
    redact,
    same,
    secrets,
    short_form,
)

# The three jobs that the Terraform provider's documentation shows.
WEB = """{"ops": [{"id": "webserver", "args": {"image": "nginx:alpine", "expose": 80, "env": {"NGINX_HOST": "localhost"}},
"type": "container/run"}], "type": "container", "version": "0.1"}"""
INFERENCE = """{"ops": [{"id": "llm_server", "args": {"image": "docker.io/hoomanhq/oneclickllm:latest", "gpu": true, "expose": 8000,
"env": {"MODEL_NAME": "mistral", "PARAMETER_SIZE": "7B", "GPU_MEMORY_UTILIZATION": "0.9", "PORT": "8000"}}, "type": "container/run"}],
"type": "container", "version": "0.1"}"""
BATCH = """{"ops": [{"id": "processor", "args": {"image": "python:3.9-slim", "cmd": ["python", "-c",
"import time; print('Processing...'); time.sleep(30); print('Done!')"]}, "type": "container/run"}],
"meta": {"trigger": "terraform", "name": "batch-processing-job"}, "type": "container", "version": "0.1"}"""


def definition(**args: Any) -> dict[str, Any]:
    return {"version": "0.1", "type": "container", "ops": [{"type": "container/run", "id": "one", "args": {"image": "nginx", **args}}]}


@pytest.mark.parametrize(
    ("text", "name", "service"), [(WEB, "web", True), (INFERENCE, "llm", True), (BATCH, None, False)], ids=["web", "inference", "batch"]
)
def test_documented_examples_are_declared_as_they_are(text: str, name: str | None, service: bool) -> None:
    declared = declare(parse(text), name)
    assert declared.warnings == []
    assert declared.name == (name or "batch-processing-job")
    assert declared.document["ops"] == json.loads(text)["ops"]
    assert exposes_port(declared.document) is service
    assert same(declare(parse(json.loads(text)), name).document, declared.document)


@pytest.mark.parametrize("logistics", [None, {"send": {"type": "api", "args": {}}, "receive": {"type": "api", "args": {}}}])
def test_secrets_are_warned_of_whatever_logistics_says_because_what_is_declared_is_pinned(logistics: dict[str, Any] | None) -> None:
    document = definition(env={"DB_PASSWORD": "hunter2hunter2"}) | ({"logistics": logistics} if logistics else {})
    (warning,) = declare(document, "web").warnings
    assert warning.startswith("The definition is public on IPFS and seems to hold secrets at")
    assert "DB_PASSWORD" in warning


def test_declaring_what_was_declared_changes_nothing() -> None:
    once = declare(parse(definition(memory="1Gi")), "web")
    twice = declare(parse(encode_document(once.document).decode()), "web")
    assert twice.document == once.document
    assert list(twice.document) == list(once.document)
    assert twice.warnings == []


@pytest.mark.parametrize(
    ("text", "where"),
    [("{", "line 1, column 2"), ('{"a": 1,\n "b": }', "line 2, column 7"), ("{'a': 1}", "line 1, column 2"), ("nginx", "line 1, column 1")],
)
def test_text_that_is_no_json_says_where(text: str, where: str) -> None:
    with pytest.raises(InvalidDefinition, match=where):
        parse(text)


def test_plain_types_come_of_subclasses() -> None:
    class Text(str):
        __slots__ = ()

    class Mapping(dict):  # type: ignore[type-arg]
        pass

    found = parse(Mapping({Text("a"): (Text("b"), Mapping())}))
    assert found == {"a": ["b", {}]}
    assert [type(found), type(next(iter(found))), type(found["a"]), type(found["a"][0]), type(found["a"][1])] == [
        dict,
        str,
        list,
        str,
        dict,
    ]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have(number: str) -> None:
    with pytest.raises(InvalidDefinition, match="not finite"):
        parse('{"a": [' + number + "]}")


@pytest.mark.parametrize("depth", [70, 500, 950, 100_000])
def test_what_is_nested_too_deeply(depth: int) -> None:
    with pytest.raises(InvalidDefinition):
        parse('{"a":' * depth + "1" + "}" * depth)
    value: Any = 1
    for _level in range(depth):
        value = [value]
    with pytest.raises(InvalidDefinition, match="levels deep"):
        parse({"a": value})
    while isinstance(value, list):  # taken apart by hand, because the interpreter would do it recursively
        value = value.pop()


@pytest.mark.parametrize("port", [-1, 0, 65_536, 80.5, 10**30, 1e300])
@pytest.mark.parametrize("form", ["alone", "array", "object"])
def test_ports_that_no_host_opens(port: float, form: str) -> None:
    expose: Any = {"alone": port, "array": [80, port], "object": [{"port": port}]}[form]
    with pytest.raises(InvalidDefinition, match=r"\$input\.ops\[0\]\.args\.expose"):
        declare(definition(expose=expose), "web")


@pytest.mark.parametrize("expose", [1, 65_535, 80.0, [80, 443], [{"port": 80}], "%%global.variables.PORT%%"])
def test_ports_that_a_host_opens(expose: Any) -> None:
    declare(definition(expose=expose), "web")


def test_dependencies() -> None:
    document = definition()
    document["ops"].append({"type": "container/run", "id": "two", "args": {"image": "x"}, "execution": {"depends_on": ["one"]}})
    declare(document, "web")
    document["ops"][1]["execution"]["depends_on"] = ["two"]
    with pytest.raises(InvalidDefinition, match=r"\$input\.ops\[1\]\.execution\.depends_on names 'two'"):
        declare(document, "web")


def test_a_definition_has_a_largest_size() -> None:
    room = MAX_DOCUMENT_BYTES - len(encode_document(declare(definition(env={"A": ""}), "w").document))
    declare(definition(env={"A": "x" * room}), "w")
    with pytest.raises(InvalidDefinition, match=str(MAX_DOCUMENT_BYTES)):
        declare(definition(env={"A": "x" * (room + 1)}), "w")


@pytest.mark.parametrize("name", ["a", "web-1", "Größe 😀", "x" * 128, "a/b:c"])
def test_names_that_can_be(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", " ", "a ", "\ta", "a\nb", "a\x7f", "a\x9bb", "x" * 129, None, 7, ["a"]])
def test_names_that_cannot(name: Any) -> None:
    with pytest.raises(InvalidInput, match="name must"):
        check_name(name)


def test_resources_of_several_ops_and_odd_forms() -> None:
    document = definition(memory="1Gi") | {"meta": {"system_resources": {"disk": "5Gi"}}}
    document["ops"].append({"type": "container/run", "id": "two", "args": {"image": "x", "cpu": 2}})
    assert declare(document, "web").document["meta"]["system_resources"] == {"disk": "5Gi", "memory": "1Gi", "cpu": 2}
    for odd in ({"meta": 7}, {"meta": {"system_resources": 7}}, {"meta": None}):
        with pytest.raises(InvalidInput):
            declare(definition(memory="1Gi") | odd, "web")


@pytest.mark.parametrize(
    "name", ["PASSWORD", "DB_PASSWORD", "PGPASSWORD", "HF_TOKEN", "TOKEN", "API_KEY", "APIKEY", "OPENAI_API_KEY", "SSH_KEY", "KEY"]
)
def test_names_of_values_that_look_like_secrets(name: str) -> None:
    for key in (name, name.lower()):
        document = definition(env={key: "planted"})
        assert secrets(document) == ["planted"]
        assert "planted" not in json.dumps(redact(document))
        assert document["ops"][0]["args"]["env"][key] == "planted"


@pytest.mark.parametrize("name", ["MODEL", "PORT", "KEYBOARD", "MONKEY"])
def test_names_of_values_that_do_not(name: str) -> None:
    assert secrets(definition(env={name: "x"})) == []


@pytest.mark.parametrize("document", [None, 7, "text", [], {}, {"env": 7}, {"env": {"TOKEN": 7}}, {"env": {"NAME": {"NAME": ["x"]}}}])
def test_odd_documents_are_redacted_to_themselves(document: Any) -> None:
    assert redact(document) == document


@pytest.mark.parametrize("value", [None, {"a": 1}, [1]])
def test_the_short_form_takes_simple_values_only(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"env\.A"):
        short_form(image="x", command=None, env={"A": value}, expose=None, gpu=None, name="web")
    with pytest.raises(InvalidInput, match="command"):
        short_form(image="x", command={"a": 1}, env=None, expose=None, gpu=None, name="web")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def test_random_damage_is_found_or_harmless() -> None:
    whole = definition(
        expose=[80, {"port": 81, "type": "web", "health_checks": [{"type": "websocket", "expected_response": "x", "continuous": False}]}],
        env={"A": "b"},
        cmd=["a"],
        resources=[{"type": "HF", "repo": "r", "target": "/t"}, {"type": "S3", "target": "/t", "buckets": [{"url": "u"}]}],
    ) | {"meta": {"name": "web", "a": [1, "b"]}, "global": {"env": {"X": "y"}}}
    declare(whole, None)
    wild: list[Any] = [
        None,
        True,
        0,
        -1,
        1.5,
        "",
        "x",
        "\ud800",
        [],
        {},
        [[]],
        {"a": {}},
        {"__spread__": 7},
        {"type": []},
        10**400,
        float("nan"),
    ]
    chance = random.Random(1)
    for place in [place for place in places(whole) if place] * 3:
        for value in chance.sample(wild, 6):
            document = copy.deepcopy(whole)
            target = document
            for part in place[:-1]:
                target = target[part]
            target[place[-1]] = value
            try:
                declared = declare(parse(document), None)
            except InvalidInput:
                continue
            check(json.loads(encode_document(declared.document)))  # what is posted fits the schema when it is read again
