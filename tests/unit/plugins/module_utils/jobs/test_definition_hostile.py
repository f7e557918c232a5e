"""Definitions with values that JSON does not have, names that have no bytes, and errors that nobody could read."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidDefinition, InvalidInput
from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import (
    MAX_ISSUES,
    check,
    check_name,
    declare,
    exposes_port,
    parse,
)


def definition(**args: Any) -> dict[str, Any]:
    return {"version": "0.1", "type": "container", "ops": [{"type": "container/run", "id": "one", "args": {"image": "nginx", **args}}]}


def checking(body: Any) -> dict[str, Any]:
    """With the value at the one place where the schema allows any."""
    check_ = {"type": "http", "path": "/", "method": "POST", "expected_status": 200, "body": body, "continuous": True}
    return definition(expose=[{"port": 80, "health_checks": [check_]}])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (date(2026, 1, 1), "of the type date"),
        (b"bytes", "of the type bytes"),
        ({1, 2}, "of the type set"),
        (10**400, "not finite"),
        (-(10**5000), "not finite"),
        ({(1, 2): 3}, "a key that is no text"),
        ({10**5000: 3}, "a key that is no text"),
        ({float("nan"): 3}, "a key that is no text"),
    ],
    ids=range(8),
)
def test_what_json_does_not_have_is_refused(value: Any, said: str) -> None:
    with pytest.raises(InvalidDefinition, match=said):
        parse(checking(value))


def test_keys_become_what_json_makes_of_them() -> None:
    assert parse({True: 2, None: 3, 1.5: 4, 7: 1}) == {"true": 2, "null": 3, "1.5": 4, "7": 1}


@pytest.mark.parametrize("name", ["half \ud83d", "line\u2028line", "x\x85y"])
def test_names_that_nobody_can_see_or_encode(name: str) -> None:
    with pytest.raises(InvalidInput, match="no control characters"):
        check_name(name)
    with pytest.raises(InvalidInput, match="no control characters"):
        declare(definition() | {"meta": {"name": name}}, None)


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (definition() | {"x" * 100_000: 1}, "web"),
        (definition() | {"meta": {"name": "x" * 100_000}}, "web"),
        (definition() | {"meta": {"name": ["x" * 100_000]}}, "web"),
        (definition() | {"ops": [definition()["ops"][0] | {"execution": {"depends_on": ["x" * 100_000]}}]}, "web"),
    ],
)
def test_sentences_stay_short(document: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        declare(document, name)
    assert len(str(raised.value)) < 400


def test_thousands_of_mistakes_are_counted_and_the_first_listed() -> None:
    with pytest.raises(InvalidDefinition, match=r"\(2999 more\)") as raised:
        check(definition(env={f"V{number}": number for number in range(3000)}))
    assert len(raised.value.details["issues"]) == MAX_ISSUES


@pytest.mark.parametrize(
    ("expose", "service"),
    [(80, True), ("8080", True), ([80], True), ([{"port": 80}], True), ([{"__spread__": "x"}], True), ({"__spread__": "x"}, True)]
    + [({"port": 80}, False), ([], False), ([[80]], False), (False, False), ("", False), ([None], False), (None, False)],
)
def test_a_service_is_what_hosts_give_an_address(expose: Any, service: bool) -> None:
    assert exposes_port(definition(expose=expose)) is service
