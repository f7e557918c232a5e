"""Fills in what a definition leaves open: literals such as `%%ops.web.host%%`, and markers that insert lists and pairs."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

# `global` takes any depth, `globals` one word only: `%%globals.variables.X%%` stays as it is written (nosana-facts §6.6).
_LITERAL: Final = re.compile(r"%%(?:ops\.(?P<op>[^.%]+)\.(?P<path>[A-Za-z0-9._-]+)|global\.(?P<deep>[^%]+)|globals\.(?P<flat>[^.%]+))%%")
_REMOVE: Final = "__remove-if-empty__"
_MARKERS: Final = ("__spread__", "__pairs__")


class Unresolved(Exception):
    """A literal has no value, or a marker's value has the wrong shape; the text is what the op's log shows."""


def fill(args: Mapping[str, Any], ops: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an op with everything filled in.

    ``ops`` holds what is known of other ops: op id → {host, endpoint: {port: host name}, deployment_endpoint, results: {key: values}};
    ``variables`` the values of `%%global…%%`, nested. Raises Unresolved (nosana-facts §6.6).
    """
    filled = _markers(_fill(dict(args), ops, variables))
    if not isinstance(filled, dict):
        raise Unresolved("args has to be an object")
    if isinstance(filled.get("env"), dict):
        filled["env"] = {key: _env_text(value) for key, value in filled["env"].items()}
    return filled


def _fill(value: Any, ops: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _marker_value(item, ops, variables) if key in _MARKERS else _fill(item, ops, variables) for key, item in value.items()}
    if isinstance(value, list):
        items: list[Any] = []
        for item in value:
            # A literal that stands alone in a list brings as many items as it has values.
            whole = _LITERAL.fullmatch(item) if isinstance(item, str) else None
            items.extend(_tokens(_value_of(whole, ops, variables)) if whole else [_fill(item, ops, variables)])
        return items
    if isinstance(value, str):
        return _LITERAL.sub(lambda found: _text(_value_of(found, ops, variables)), value)
    return value


def _marker_value(value: Any, ops: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]) -> Any:
    """What a marker names is kept in its own shape, a list or an object."""
    whole = _LITERAL.fullmatch(value) if isinstance(value, str) else None
    found = _value_of(whole, ops, variables) if whole else value
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], str):
        found = found[0]  # one line of a log that is JSON
    if isinstance(found, str):
        try:
            return json.loads(found)
        except ValueError:
            raise Unresolved(f"{value} is not valid JSON") from None
    return found


def _value_of(found: re.Match[str], ops: Mapping[str, Mapping[str, Any]], variables: Mapping[str, Any]) -> Any:
    path = found["path"] or found["deep"] or found["flat"]
    value: Any = ops.get(found["op"], {}) if found["op"] else variables
    for word in path.split("."):
        value = value.get(word) if isinstance(value, Mapping) else None
    if value is None or (value == "" and not found["op"]):
        raise Unresolved(f'Unresolved literal: "{found[0]}"')
    return value


def _tokens(value: Any) -> list[Any]:
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except ValueError:
            return [value]
    if isinstance(value, list):
        return [token for item in value for token in _tokens(item)]
    return [json.dumps(value, separators=(",", ":"), ensure_ascii=False)] if isinstance(value, Mapping) else [value]


def _text(value: Any) -> str:
    return " ".join(_env_text(token) for token in _tokens(value))


def _env_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _markers(value: Any) -> Any:
    if isinstance(value, list):
        items: list[Any] = []
        for item in value:
            if isinstance(item, dict) and "__spread__" in item and set(item) <= {"__spread__", "chunked"}:
                items.extend(map(_markers, _listed(item["__spread__"], "__spread__")))
            elif item != _REMOVE:
                items.append(_markers(item))
        return items
    if isinstance(value, dict):
        filled = {key: _markers(item) for key, item in value.items() if key not in _MARKERS}
        # A field whose list held the mark and nothing else in the end is dropped.
        for key, item in value.items():
            if isinstance(item, list) and _REMOVE in item and not filled.get(key):
                filled.pop(key, None)
        if "__spread__" in value:
            if not isinstance(value["__spread__"], dict):
                raise Unresolved("__spread__ must be a JSON object")
            filled |= value["__spread__"]
        for pair in _listed(value["__pairs__"], "__pairs__") if "__pairs__" in value else ():
            if not isinstance(pair, dict) or not isinstance(pair.get("key"), str):
                raise Unresolved("__pairs__ items must be objects with key and value")
            filled[pair["key"]] = pair.get("value", "")
        return filled
    return value


def _listed(value: Any, marker: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unresolved(f"{marker} must be a JSON array")
    return value
