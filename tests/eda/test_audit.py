"""The audit query on real results of the modules, and the schema of the event source by JSON Schema's own rules."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import jq
import jsonschema
import pytest
import yaml
from conftest import COLLECTION, MARKET, User

QUERIES = yaml.safe_load((COLLECTION / "extensions" / "audit" / "event_query.yml").read_text(encoding="utf-8"))
SCHEMA = json.loads((COLLECTION / "extensions/eda/plugins/event_source/schemas/nosana_jobs.json").read_text(encoding="utf-8"))
ECHO = {"name": "counted", "image": "python:3.11-slim", "command": "echo hello", "market": MARKET}


def nodes(module: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """What would be counted."""
    found: list[dict[str, Any]] = jq.compile(QUERIES[f"nosana.compute.{module}"]["query"]).input_value(result).all()
    return found


def test_a_job_is_one_node_however_often_it_is_seen(user: User) -> None:
    posted = user.ask("nosana_job", **ECHO, wait_for="completed")
    node = {
        "name": "counted",
        "canonical_facts": {"name": "counted", "address": posted["id"]},
        "facts": {"infra_type": "PublicCloud", "infra_bucket": "Compute", "device_type": "Job"},
    }
    assert nodes("nosana_job", posted) == [node]
    assert nodes("nosana_job", user.ask("nosana_job", **ECHO)) == [node]
    assert nodes("nosana_job_info", user.ask("nosana_job_info")) == [node]
    assert (
        nodes("nosana_job", user.ask("nosana_job", **{**ECHO, "name": "other"}, wait_for="posted"))[0]["canonical_facts"]["name"] == "other"
    )
    assert len(nodes("nosana_job_info", user.ask("nosana_job_info"))) == 2


def test_nothing_is_no_node(user: User) -> None:
    assert nodes("nosana_job", user.ask("nosana_job", name="never-posted", state="absent")) == []
    assert nodes("nosana_job_info", user.ask("nosana_job_info", name="never-posted")) == []
    failed = {"failed": True, "failure": {"code": "unreachable"}, "msg": "No answer."}
    assert nodes("nosana_job", failed) == nodes("nosana_job_info", failed) == []
    assert nodes("nosana_job_info", {"jobs": [{"name": None, "address": "A"}]})[0]["name"] == "A"


def test_the_schema_is_one_and_takes_what_the_source_takes() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.validate({"names": ["web-*"], "interval": 10, "status": ["failed", "absent"], "queued_too_long": 600, "network": "devnet"})
    for wrong in ({"interval": 1}, {"status": ["over"]}, {"intervall": 30}, {"network": "testnet"}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(wrong)
