"""A declared job definition: read, checked, named; compared by content (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .._clients.errors import InvalidDefinition, InvalidInput
from .._clients.ipfs import encode_document
from .._libraries import pydantic
from .schema import TAG, JobDefinition
from .sensitive import Path, redact, secret_places, secrets

__all__ = ["Declared", "check", "check_name", "declare", "exposes_port", "parse", "redact", "same", "secrets", "short_form"]

MAX_DOCUMENT_BYTES = 256 * 1024
MAX_NAME_CHARACTERS = 128
MAX_DEPTH = 64

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")
_SYSTEM_RESOURCES = ("memory", "cpu")
# The last are halves of characters: they have no UTF-8, of which a job's key is derived.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
MAX_ISSUES = 100
_SHOWN_CHARACTERS = 80
_TOO_LARGE = 1 << 1023  # JavaScript's numbers end here, near enough

# pydantic's error types, as the rest of "$input.… ".
_EXPECTED = {
    "missing": "is missing",
    "extra_forbidden": "is not a key that the network knows",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be a dictionary",
    "model_type": "must be a dictionary",
    "model_attributes_type": "must be a dictionary",
    "invalid_key": "must have keys that are text",
}


@dataclass(frozen=True)
class Declared:
    """A definition that may be posted, with the name in `meta.name`, and what should be said about it."""

    document: dict[str, Any]
    name: str
    warnings: list[str] = field(default_factory=list)


def parse(value: Any) -> dict[str, Any]:
    """A definition from a dictionary or JSON text, as plain JSON values with the order of keys kept."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise InvalidDefinition(f"job_definition is text, but no JSON{where}; give a dictionary or valid JSON.") from None
    if not isinstance(value, dict):
        raise InvalidDefinition("job_definition must be a dictionary or a JSON object.")
    plain: dict[str, Any] = _plain(value)
    return plain


def short_form(
    *, image: str, command: Any, env: dict[str, Any] | None, expose: list[int] | None, gpu: bool | None, name: str | None
) -> dict[str, Any]:
    """The definition of a job with one container."""
    args: dict[str, Any] = {"image": image}
    if command is not None:
        if not isinstance(command, (str, list)):
            raise InvalidInput("command must be text or a list.")
        args["cmd"] = command if isinstance(command, str) else [str(part) for part in command]
    if env:
        args["env"] = {str(key): _env_text(str(key), value) for key, value in env.items()}
    if expose:
        args["expose"] = expose[0] if len(expose) == 1 else list(expose)
    if gpu is not None:
        args["gpu"] = gpu
    document: dict[str, Any] = {"version": "0.1", "type": "container"}
    if name is not None:
        document["meta"] = {"name": name}
    return document | {"ops": [{"type": "container/run", "id": "run", "args": args}]}


def declare(document: dict[str, Any], name: str | None) -> Declared:
    """Checks a definition and gives it its name. Raises InvalidInput or InvalidDefinition, one sentence each."""
    document = copy.deepcopy(document)
    warnings = _move_system_resources(document)
    meta = document.get("meta", {})
    own = meta.get("name") if isinstance(meta, dict) else None
    if name is not None and own is not None and name != own:
        raise InvalidInput(
            f"name is {_short(name)} and job_definition has meta.name {_short(own)}; they must be equal, or leave one of them out."
        )
    name = name if name is not None else own
    if name is None:
        raise InvalidInput("The job has no name: add the option name, or meta.name to job_definition.")
    check_name(name)
    if isinstance(meta, dict):
        document["meta"] = meta | {"name": name}
    check(document)
    _check_sense(document)
    public = secret_places(document)
    # Whatever `logistics` says: what is declared is what is pinned.
    if public:
        places = ", ".join(_at(path) for path in public[:5])
        warnings.append(f"The definition is public on IPFS and seems to hold secrets at {places}.")
    return Declared(document, name, warnings)


def check_name(name: Any) -> None:
    """A name is what people type and read, so it is short, visible text."""
    if not isinstance(name, str) or not name.strip() or name != name.strip():
        raise InvalidInput("name must be text that is not empty and neither begins nor ends with a space.")
    if len(name) > MAX_NAME_CHARACTERS or _CONTROL.search(name):
        raise InvalidInput(f"name must have at most {MAX_NAME_CHARACTERS} characters and no control characters.")


def check(document: Any) -> None:
    """The network's schema. Raises InvalidDefinition whose `details["issues"]` has path and expectation of the first errors."""
    try:
        JobDefinition.model_validate(document)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
        issues = [_issue(details) for details in found[:MAX_ISSUES]]
        first = issues[0]
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        raise InvalidDefinition(f"job_definition: {first['path']} {first['expected']}{more}.", issues=issues) from None
    except RecursionError:
        raise InvalidDefinition("job_definition is nested too deeply.") from None


def exposes_port(document: dict[str, Any]) -> bool:
    """Whether the job is a service. A port object that stands in no list is ignored by hosts, so it makes none."""
    ops = document.get("ops")
    return isinstance(ops, list) and any(
        isinstance(op, dict) and isinstance(op.get("args"), dict) and _is_exposed(op["args"].get("expose")) for op in ops
    )


def _is_exposed(expose: Any) -> bool:
    for entry in expose if isinstance(expose, list) else [expose]:
        if isinstance(entry, dict) and ("__spread__" in entry or ("port" in entry and entry is not expose)):
            return True
        if isinstance(entry, (int, float, str)) and not isinstance(entry, bool) and entry != "":
            return True
    return False


def same(one: Any, other: Any) -> bool:
    """Equal content: the order of keys means nothing, 1 and 1.0 are one number, true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _check_sense(document: dict[str, Any]) -> None:
    """What the network's validator lets through, and every host would refuse, or nobody can mean."""
    if len(encode_document(document)) > MAX_DOCUMENT_BYTES:
        raise InvalidDefinition(f"job_definition is larger than {MAX_DOCUMENT_BYTES} bytes; put data into an image or a resource.")
    if not document["ops"]:
        raise InvalidDefinition("job_definition: $input.ops is empty, so the job would do nothing.")
    ids = {op["id"] for op in document["ops"]}
    for index, op in enumerate(document["ops"]):
        for place, port in _ports(op["args"].get("expose")):
            if int(port) != port or not 1 <= port <= 65535:
                raise InvalidDefinition(
                    f"job_definition: $input.ops[{index}].args.expose{place} must be a port from 1 to 65535, and is {port:g}."
                )
        for other in op.get("execution", {}).get("depends_on", []):
            if other not in ids or other == op["id"]:
                raise InvalidDefinition(
                    f"job_definition: $input.ops[{index}].execution.depends_on names {_short(other)}, which is no other op."
                )


def _ports(expose: Any) -> Iterator[tuple[str, float]]:
    for place, entry in ((f"[{index}]", item) for index, item in enumerate(expose)) if isinstance(expose, list) else [("", expose)]:
        if isinstance(entry, dict) and "port" in entry:
            yield f"{place}.port", entry["port"]
        elif isinstance(entry, (int, float)):
            yield place, entry


def _move_system_resources(document: dict[str, Any]) -> list[str]:
    """`args.memory` and `args.cpu`, which other tools document and the network does not know, become meta.system_resources."""
    moved: dict[str, Any] = {}
    ops = document.get("ops")
    for op in ops if isinstance(ops, list) else []:
        args = op.get("args") if isinstance(op, dict) else None
        for key in _SYSTEM_RESOURCES:
            if isinstance(args, dict) and "image" in args and isinstance(args.get(key), (str, int, float)):
                moved[key] = args.pop(key)
    if not moved:
        return []
    meta = document.setdefault("meta", {})
    if isinstance(meta, dict):
        resources = meta.setdefault("system_resources", {})
        if isinstance(resources, dict):
            resources.update(moved)
    return [f"args.{' and args.'.join(moved)} do not exist on the network; kept as meta.system_resources, and nothing enforces them."]


def _issue(details: Any) -> dict[str, str]:
    path = tuple(part for part in details["loc"] if not (isinstance(part, str) and part.startswith(TAG)))
    kind, context = details["type"], details.get("ctx", {})
    if kind in _EXPECTED:
        expected = _EXPECTED[kind]
    elif kind == "literal_error":
        expected = f"must be {context['expected']}"
    elif kind == "value_error":
        expected = f"must have {context['error']}"
    elif kind == "string_pattern_mismatch" and path and path[-1] == "id":
        expected = "must be text without spaces"
    elif kind == "string_pattern_mismatch":
        expected = "must be a number, or a literal such as %%global.variables.PORT%%"
    else:
        expected = "has a value of the wrong form"
    return {"path": _at(path), "expected": expected}


def _at(path: Path) -> str:
    """A path as the network's validator writes it."""
    parts = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            part = part[:_SHOWN_CHARACTERS]
            parts.append(f".{part}" if _IDENTIFIER.match(part) else f"[{json.dumps(part)}]")
    return "$input" + "".join(parts)


def _env_text(key: str, value: Any) -> str:
    if value is None or isinstance(value, (dict, list)):
        raise InvalidInput(f"env.{key} must be text or a number.")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any, depth: int = 0) -> Any:
    """Ansible's own subclasses of str, dict and list become the plain types; what JSON cannot say is refused."""
    if depth > MAX_DEPTH:
        raise InvalidDefinition(f"job_definition is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, dict):
        return {_key(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, str):
        return str(value)
    if (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, int) and abs(value) >= _TOO_LARGE):
        raise InvalidDefinition("job_definition holds a number that is not finite, which JSON does not have.")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise InvalidDefinition(f"job_definition holds a value of the type {type(value).__name__}, which JSON does not have; write it as text.")


def _key(key: Any) -> str:
    """A key as JSON writes it, so that it is the same wherever the task runs."""
    if isinstance(key, str):
        return str(key)
    if key is None or isinstance(key, bool) or (isinstance(key, (int, float)) and abs(key) < _TOO_LARGE):  # which no NaN is
        return json.dumps(key)
    raise InvalidDefinition("job_definition has a key that is no text.")


def _short(value: Any) -> str:
    """A value as it may be quoted in a sentence."""
    return repr(value)[:_SHOWN_CHARACTERS]
