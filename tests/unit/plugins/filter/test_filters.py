"""The filters, against addresses that other clients have computed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.nosana.compute.plugins.filter.nosana import FilterModule, nosana_cid, nosana_service_url
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._jobs.definition import declare

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "nosana-vectors.json").read_text(encoding="utf-8"))
JOB = "B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi"
DEFINITION = {"version": "0.1", "type": "container", "ops": [{"type": "container/run", "id": "one", "args": {"image": "nginx"}}]}


def test_addresses_of_documents() -> None:
    cases = VECTORS["cids"]["documents"]
    assert [nosana_cid(case["document"]) for case in cases] == [case["cid"] for case in cases]


def test_urls_of_services() -> None:
    services = [service for case in VECTORS["service_urls"]["cases"] for service in case["services"]]
    public = [service for service in services if service["opIndex"] >= 0 and str(service["port"])[0].isdigit()]
    assert len(public) > 5
    for service in public:
        assert nosana_service_url(VECTORS["service_urls"]["job"], service["port"], service["opIndex"]) == service["url_mainnet"]


def test_the_name_is_added_as_nosana_job_adds_it() -> None:
    pinned = cid_of(encode_document(declare(DEFINITION, "web").document))
    assert nosana_cid(DEFINITION, "web") == nosana_cid(json.dumps(DEFINITION), name="web") == pinned
    assert nosana_cid(json.dumps(DEFINITION)) == nosana_cid(DEFINITION) != pinned


def test_the_network_decides_the_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nosana_service_url(JOB, "80", network="devnet").endswith(".node.k8s.dev.nos.ci")
    assert nosana_service_url(JOB, 80, 0, "localnet").startswith("http://")
    assert nosana_service_url(JOB, 80, node_domain="http://here:1").endswith(".here:1")
    monkeypatch.setenv("NOSANA_NETWORK", "")
    monkeypatch.setenv("NOSANA_NODE_DOMAIN", "")
    assert nosana_service_url(JOB, 80).endswith(".node.k8s.prd.nos.ci")
    monkeypatch.setenv("NOSANA_NETWORK", "devnet")
    assert nosana_service_url(JOB, 80).endswith(".node.k8s.dev.nos.ci")
    monkeypatch.setenv("NOSANA_NODE_DOMAIN", "elsewhere")
    assert nosana_service_url(JOB, 80).endswith(".elsewhere")


def test_in_a_template() -> None:
    templar = Templar(
        DataLoader(), variables={"definition": {**DEFINITION, "meta": {"name": trust_as_template("{{ name }}")}}, "name": "web"}
    )
    said = templar.template(trust_as_template("{{ definition | nosana.compute.nosana_cid }}"))
    assert said == nosana_cid({**DEFINITION, "meta": {"name": "web"}})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nginx", 80), "The value before the filter must be the address of a job."),
        (({"id": JOB}, 80), "The value before the filter must be the address of a job."),
        ((JOB, 0), "port must be a number, or a range as the definition has it, such as 8000-8010."),
        ((JOB, "http"), "port must be a number, or a range as the definition has it, such as 8000-8010."),
        ((JOB, True), "port must be a number, or a range as the definition has it, such as 8000-8010."),
        ((JOB, 80, -1), "op must be the index of the op among all ops of the definition, from 0."),
        ((JOB, 80, "one"), "op must be the index of the op among all ops of the definition, from 0."),
        ((JOB, 80, 0, "testnet"), "value of network must be one of: mainnet, devnet, localnet, got: testnet."),
    ],
)
def test_no_url(arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        nosana_service_url(*arguments)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (({"when": datetime.date(2026, 1, 1)},), "The document holds a value that JSON does not have."),
        (("{",), "job_definition is text, but no JSON at line 1, column 2; give a dictionary or valid JSON."),
        (("[]",), "job_definition must be a dictionary or a JSON object."),
        (({"ops": []}, "web"), "job_definition: $input.version is missing (1 more)."),
        ((DEFINITION, 7), "name must be text that is not empty and neither begins nor ends with a space."),
    ],
)
def test_no_cid(arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        nosana_cid(*arguments)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("name", "arguments", "options", "sentence"),
    [
        ("nosana_service_url", (JOB,), {}, "missing a required argument: 'port'"),
        ("nosana_cid", (DEFINITION, "web", 7), {}, "too many positional arguments"),
        ("nosana_cid", (DEFINITION,), {"nmae": "web"}, "got an unexpected keyword argument 'nmae'"),
    ],
)
def test_called_wrongly(name: str, arguments: tuple[Any, ...], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        FilterModule().filters()[name](*arguments, **options)
    assert str(caught.value) == f"{sentence}; see ansible-doc -t filter nosana.compute.{name}"
    assert FilterModule().filters()["nosana_cid"](DEFINITION, name="web") == nosana_cid(DEFINITION, "web")
