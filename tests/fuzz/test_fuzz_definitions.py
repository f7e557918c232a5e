"""Any definition, the user's or a pinned one: a declared document or one sentence, never a traceback."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest
from documents import DEEP, TEXTS, WILD, Answer, as_json, damaged, nested, run, sentence
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidInput, NosanaError
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import Ipfs, cid_of, cid_to_bytes, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.node import service_urls
from ansible_collections.nosana.compute.plugins.module_utils._jobs.cache import facts_of_definition
from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import (
    MAX_DOCUMENT_BYTES,
    check,
    declare,
    exposes_port,
    parse,
    redact,
    same,
    secrets,
)

MASK = "********"
SMALL: dict[str, Any] = {
    "version": "0.1",
    "type": "container",
    "ops": [{"type": "container/run", "id": "one", "args": {"image": "nginx"}}],
}
LARGE: dict[str, Any] = {
    "version": "0.1",
    "type": "container",
    "meta": {"name": "web", "trigger": "ansible", "system_resources": {"required_vram": 6}, "tags": ["a", 1], "more": {"b": [1, "c"]}},
    "global": {"image": "busybox", "gpu": True, "entrypoint": ["sh"], "env": {"TOKEN": "t1"}, "work_dir": "/", "variables": {"PORT": "80"}},
    "ops": [
        {"type": "container/create-volume", "id": "disk", "args": {"name": "data"}},
        {
            "type": "container/run",
            "id": "web",
            "args": {
                "image": "nginx",
                "cmd": ["-g", "daemon off;"],
                "env": {"API_KEY": "k1", "MODE": "fast"},
                "gpu": True,
                "private": False,
                "memory": "4Gi",
                "cpu": 2,
                "volumes": [{"name": "data", "dest": "/data"}],
                "expose": [
                    80,
                    {
                        "port": 8080,
                        "type": "web",
                        "health_checks": [
                            {
                                "type": "http",
                                "path": "/",
                                "method": "GET",
                                "expected_status": 200,
                                "headers": {"Authorization-Token": "h1"},
                                "body": {"any": [None, 1.5]},
                                "continuous": True,
                            },
                            {"type": "websocket", "expected_response": "x", "continuous": False},
                        ],
                    },
                    {"__spread__": "%%global.variables.PORTS%%"},
                ],
                "restart_policy": {"policy": "on-failure", "restart_tries": 3},
                "resources": [
                    {
                        "type": "S3",
                        "target": "/m",
                        "url": "https://s3",
                        "IAM": {"REGION": "eu", "ACCESS_KEY_ID": "a1", "SECRET_ACCESS_KEY": "s1"},
                    },
                    {"type": "HF", "repo": "r", "target": "/h", "accessToken": "hf1"},
                    {"type": "Ollama", "model": "m"},
                    "__remove-if-empty__",
                ],
                "authentication": {"docker": {"username": "u", "password": "p1", "server": "s"}},
            },
            "results": {"a": "x", "b": {"regex": "y", "logType": ["stdout"]}},
            "execution": {"group": "g"},
        },
        {
            "type": "container/run",
            "id": "next",
            "args": {"image": "busybox", "expose": "%%global.variables.PORT%%"},
            "execution": {"group": "g", "depends_on": ["web"], "stop_if_dependent_stops": True},
        },
    ],
    "logistics": {"send": {"type": "api-listen", "args": {}}, "receive": {"type": "api", "args": {"endpoint": "e"}}},
    "deployment_id": "d",
}
DOCUMENTS = damaged([SMALL, LARGE, LARGE]) | WILD
NAMES = st.none() | st.just("web") | TEXTS


def small(**args: Any) -> dict[str, Any]:
    document = copy.deepcopy(SMALL)
    document["ops"][0]["args"] |= args
    return document


def body(value: Any) -> dict[str, Any]:
    """The one place of a definition where the schema allows anything."""
    checks = [{"type": "http", "path": "/", "method": "GET", "expected_status": 200, "body": value, "continuous": True}]
    return small(expose=[{"port": 80, "health_checks": checks}])


def pinned(document: Any) -> Any:
    """As it comes from a gateway, which alone lets documents of others in."""
    content = as_json(document)
    return run(Ipfs(Answer(content), "http://ipfs.example/", "http://ipfs.example/", None).fetch_json(cid_of(content)))  # type: ignore[arg-type]


@given(document=DOCUMENTS, name=NAMES)
@example(document=LARGE, name="web")
@example(document=body(date(2026, 1, 1)), name="web")  # what YAML makes of an unquoted date
@example(document=body(10**400), name="web")
@example(document=body({True: 1, None: 2, 1.5: 3}), name="web")
@example(document=body(b"bytes"), name="web")
@example(document=body(nested(60, None)), name="web")
@example(document=small(), name="half a character \ud83d")
@example(document=small() | {"meta": {"name": "x" * 100_000}}, name="web")
@example(document=small() | {"x" * 100_000 + "\x1b[2J": 1}, name="web")
@example(document=small() | {"\ud800": 1}, name="web")
@example(document=small(env={"\ud800": 1}), name="web")
@example(document=small(expose=[10**308]), name="web")
@example(document=[], name=None)
def test_what_a_user_declares(document: Any, name: str | None) -> None:
    try:
        declared = declare(parse(document), name)
    except InvalidInput as error:
        sentence(error)
        return
    encoded = encode_document(declared.document)
    assert len(encoded) <= MAX_DOCUMENT_BYTES
    assert len(cid_to_bytes(cid_of(encoded))) == 32
    assert declared.document["meta"]["name"] == declared.name
    declared.name.encode()  # keys are derived of it
    check(declared.document)
    again = declare(parse(encoded.decode()), declared.name)
    assert encode_document(again.document) == encoded
    assert same(declared.document, copy.deepcopy(declared.document))
    assert json.loads(encode_document(redact(declared.document)))
    for warning in declared.warnings:
        sentence(NosanaError(warning))
    service_urls(declared.document, "job", "example.org")


@given(text=st.text(max_size=50) | st.builds(json.dumps, damaged([SMALL, LARGE]).filter(lambda document: True)))
@example(text="[" * 100_000)
@example(text='{"a": ' + "9" * 5000 + "}")
@example(text="{" + '"a": {' * 5000)
@example(text='{"version": NaN}')
def test_what_a_user_writes(text: str) -> None:
    try:
        declare(parse(text), "web")
    except InvalidInput as error:
        sentence(error)


@given(document=DOCUMENTS | DEEP, other=DOCUMENTS | DEEP)
@example(document={"env": {"TOKEN": "x", "7": "y"}, "password": ["x"]}, other={"variables": {"a": {"KEY": "x"}}})
@example(document=small(expose=[[[80]]]), other=small(expose={"port": 80}))
def test_what_others_pinned(document: Any, other: Any) -> None:
    try:
        document, other = pinned(document), pinned(other)
    except NosanaError as error:
        sentence(error)
        return
    assert same(document, other) == same(other, document)
    assert same(document, copy.deepcopy(document))
    hidden = redact(document)
    assert set(secrets(hidden)) <= {MASK}
    json.dumps(hidden)
    facts = facts_of_definition(document)
    cid_of(encode_document(document))
    if isinstance(document, dict):
        assert exposes_port(document) is facts.exposes_port
        service_urls(document, "job", "example.org")
        try:
            check(document)
        except InvalidInput as error:
            sentence(error)


@pytest.mark.parametrize(
    "extreme",
    [
        lambda test: test(document=body(nested(5000, None)), name="web"),
        lambda test: test(document=small() | {"meta": {"name": nested(5000, None)}}, name="web"),
        lambda test: test(document=small() | {"meta": {10**5000: 1}}, name="web"),
    ],
)
def test_what_a_user_declares_that_hypothesis_cannot_show(extreme: Any) -> None:
    extreme(test_what_a_user_declares.hypothesis.inner_test)
