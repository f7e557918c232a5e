"""AWX's rules for credential types, surveys and workflows, as JSON Schemas and as what a schema cannot say: a list of complaints, empty if none."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import jsonschema
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

_IDENTIFIER = r"^[a-zA-Z_]+[a-zA-Z0-9_]*$"
# Names that a credential may not set, beside all that begin with ANSIBLE_.
_BLOCKED = {
    "VIRTUAL_ENV",
    "PATH",
    "PYTHONPATH",
    "JOB_ID",
    "INVENTORY_ID",
    "INVENTORY_SOURCE_ID",
    "INVENTORY_UPDATE_ID",
    "AD_HOC_COMMAND_ID",
}
_BLOCKED |= {"REST_API_URL", "REST_API_TOKEN", "MAX_EVENT_RES", "CALLBACK_QUEUE", "CALLBACK_CONNECTION", "CACHE", "JOB_CALLBACK_DEBUG"}
_BLOCKED |= {"INVENTORY_HOSTVARS", "AWX_HOST", "PROJECT_REVISION", "SUPERVISOR_CONFIG_PATH"}

_STRING_ONLY = {"not": {"anyOf": [{"required": [key]} for key in ("choices", "multiline", "format", "secret")]}}
INPUTS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "required": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "label"],
                "properties": {
                    "id": {"type": "string", "pattern": _IDENTIFIER, "not": {"const": "tower"}},
                    "label": {"type": "string"},
                    "help_text": {"type": "string"},
                    "type": {"enum": ["string", "boolean"]},
                    "format": {"enum": ["ssh_private_key", "url"]},
                    "choices": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
                    "multiline": {"type": "boolean"},
                    "secret": {"type": "boolean"},
                    "ask_at_runtime": {"type": "boolean"},
                    "default": {"type": ["string", "boolean"]},
                },
                "if": {"properties": {"type": {"const": "boolean"}}, "required": ["type"]},
                "then": {**_STRING_ONLY, "properties": {"default": {"type": "boolean"}}},
                "else": {"properties": {"default": {"type": "string"}}},
            },
        },
    },
}
INJECTORS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "object",
            "patternProperties": {r"^template(\.[a-zA-Z_]+[a-zA-Z0-9_]*)?$": {"type": "string"}},
            "additionalProperties": False,
        },
        "env": {"type": "object", "patternProperties": {_IDENTIFIER: {"type": "string"}}, "additionalProperties": False},
        "extra_vars": {"type": "object"},
    },
}
_NUMBER_OR_NULL = {"type": ["integer", "null"]}
SURVEY: dict[str, Any] = {
    "type": "object",
    "required": ["name", "description", "spec"],
    "properties": {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "spec": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "question_name", "variable", "required"],
                "properties": {
                    "type": {"enum": ["text", "textarea", "password", "multiplechoice", "multiselect", "integer", "float"]},
                    "question_name": {"type": "string"},
                    "question_description": {"type": "string"},
                    "variable": {"type": "string", "pattern": _IDENTIFIER},
                    "required": {"type": "boolean"},
                    "min": _NUMBER_OR_NULL,
                    "max": _NUMBER_OR_NULL,
                },
                "allOf": [
                    {
                        "if": {"properties": {"type": {"enum": ["multiplechoice", "multiselect"]}}},
                        "then": {
                            "required": ["choices"],
                            "properties": {"choices": {"type": ["string", "array"], "minLength": 1, "minItems": 1}},
                        },
                    },
                    {"if": {"properties": {"type": {"const": "integer"}}}, "then": {"properties": {"default": {"type": "integer"}}}},
                    {
                        "if": {"properties": {"type": {"enum": ["text", "textarea", "password"]}}},
                        "then": {"properties": {"default": {"type": "string"}}},
                    },
                ],
            },
        },
    },
}
_NODES = {"type": "array", "items": {"type": "object", "required": ["identifier"], "properties": {"identifier": {"type": "string"}}}}
WORKFLOW: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["identifier", "unified_job_template", "related"],
        "properties": {
            "identifier": {"type": "string"},
            "extra_data": {"type": "object"},
            "all_parents_must_converge": {"type": "boolean"},
            "unified_job_template": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "type"],
                "properties": {
                    "name": {"type": "string"},
                    "type": {
                        "enum": ["job_template", "project", "inventory_source", "system_job", "workflow_approval", "workflow_job_template"]
                    },
                    "organization": {"type": "object", "required": ["name"]},
                },
            },
            "related": {
                "type": "object",
                "additionalProperties": False,
                "required": ["success_nodes", "failure_nodes", "always_nodes", "credentials"],
                "properties": {"success_nodes": _NODES, "failure_nodes": _NODES, "always_nodes": _NODES, "credentials": {"type": "array"}},
            },
        },
    },
}


def _broken(schema: dict[str, Any], document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]


def _twice(values: Iterable[str]) -> list[str]:
    return [f"{value} is there twice" for value, count in Counter(values).items() if count > 1]


def of_credential_type(inputs: Any, injectors: Any) -> list[str]:
    """What AWX would refuse of a credential type."""
    complaints = _broken(INPUTS, inputs) + _broken(INJECTORS, injectors)
    if complaints:
        return complaints
    ids = [field["id"] for field in inputs["fields"]]
    complaints += _twice(ids) + [f"{name} is required and no field" for name in inputs.get("required", []) if name not in ids]
    for field in inputs["fields"]:
        if "choices" in field and "default" in field and field["default"] not in field["choices"]:
            complaints.append(f"the default of {field['id']} is no choice")
    templates = {**injectors.get("env", {}), **injectors.get("file", {}), **injectors.get("extra_vars", {})}
    files = {"tower"} if injectors.get("file") else set()
    if "template" in injectors.get("file", {}) and len(injectors["file"]) > 1:
        complaints.append("one file or several")
    for name, template in templates.items():
        if not template.isascii():
            complaints.append(f"{name} is not ASCII")
        unknown = meta.find_undeclared_variables(ImmutableSandboxedEnvironment().parse(template)) - set(ids) - files
        complaints += [f"{name} uses {used}, which is no field" for used in unknown]
    for name in injectors.get("env", {}):
        if name.startswith("ANSIBLE_") or name in _BLOCKED:
            complaints.append(f"{name} may not be set")
    return complaints


def of_survey(survey: Any) -> list[str]:
    """What AWX would refuse of a survey."""
    complaints = _broken(SURVEY, survey)
    if complaints:
        return complaints
    complaints += _twice(question["variable"] for question in survey["spec"])
    for question in survey["spec"]:
        if question["type"] in ("multiplechoice", "multiselect"):
            choices = question["choices"].split("\n") if isinstance(question["choices"], str) else question["choices"]
            if "" in choices or _twice(choices):
                complaints.append(f"a choice of {question['variable']} is empty or there twice")
            if "default" in question and question["default"] not in choices:
                complaints.append(f"the default of {question['variable']} is no choice")
        if question.get("default") == "$encrypted$":
            complaints.append(f"{question['variable']} has a reserved default")
    return complaints


def of_workflow(nodes: Any) -> list[str]:
    """What AWX would refuse of a workflow's nodes; also nodes that nothing leads to and that lead round in a circle."""
    complaints = _broken(WORKFLOW, nodes)
    if complaints:
        return complaints
    names = [node["identifier"] for node in nodes]
    complaints += _twice(names)
    after = {
        node["identifier"]: [to["identifier"] for kind, to_all in node["related"].items() if kind != "credentials" for to in to_all]
        for node in nodes
    }
    complaints += [f"{name} leads to {to}, which is no node" for name, following in after.items() for to in following if to not in names]
    for name in names:
        reached, new = set(), set(after[name])
        while new:
            reached |= new
            new = {to for step in new for to in after.get(step, [])} - reached
        if name in reached:
            complaints.append(f"{name} leads back to itself")
    return complaints


def injected(inputs: dict[str, Any], injectors: dict[str, Any], values: dict[str, str]) -> dict[str, str]:
    """The environment that AWX makes of a credential: a field without a value is rendered as an empty text."""
    known = {field["id"]: field["default"] for field in inputs["fields"] if "default" in field} | {
        name: value for name, value in values.items() if value
    }
    environment = ImmutableSandboxedEnvironment()
    found = {name: environment.from_string(template).render(known) for name, template in injectors["env"].items()}
    assert all(re.match(_IDENTIFIER, name) for name in found)
    return found
