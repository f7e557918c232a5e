"""Service addresses of jobs with private ops and odd definitions, and what counts as an answer of a service."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.node import NodeApi, host_url, service_urls

JOB = "B3MmwHz7sovudYwMxZFwjS2E6eMRaEEqNgWao5RYUkLi"


def op(op_id: str, **args: Any) -> dict[str, Any]:
    return {"type": "container/run", "id": op_id, "args": {"image": "nginx", **args}}


def test_private_ops_have_addresses_that_only_the_host_knows() -> None:
    found = service_urls({"ops": [op("web", expose=80), op("hidden", expose=[80, 81], private=True)]}, JOB, "node.example")
    assert [(service.op_id, service.port, service.private) for service in found] == [
        ("web", 80, False),
        ("hidden", 80, True),
        ("hidden", 81, True),
    ]
    assert found[0].url == "https://2Q8rNYKwxEcQK2vrouiKsqNUkk6noR5tvNqWJ4kLymtV.node.example"
    assert [service.url for service in found[1:]] == ["", ""]


def test_a_port_is_hashed_as_javascript_writes_it() -> None:
    whole, fraction = (service_urls({"ops": [op("web", expose=port)]}, JOB, "node.example")[0].url for port in (80, 80.0))
    assert whole == fraction


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"ops": None},
        {"ops": 7},
        {"ops": {"a": 1}},
        {"ops": [None, 7, "x", [], {}, {"args": 7}, {"args": {"expose": None}}]},
        {"ops": [op("x", expose=[None, True, [], {}, {"port": None}, {"port": []}])]},
        {"ops": [op("x", expose=True), op("y", expose={"port": 80}), op("z", expose=[])]},
    ],
    ids=repr,
)
def test_odd_definitions_have_no_services(definition: Any) -> None:
    assert service_urls(definition, JOB, "node.example") == []


def test_half_of_a_character_as_a_port_is_hashed_as_javascript_writes_it() -> None:
    definition = {"ops": [{"id": "a", "args": {"expose": ["\ud800"]}}]}
    (service,) = service_urls(definition, "job", "node.example")
    # the base58 of crypto.createHash("sha512").update("0:\ud800:job") of Node
    assert service.url == "https://3w2sMwSr7wT5Y5RZy8VnP7yJhBb4vo8g9ExmPDnR4UwZ.node.example"


@pytest.mark.parametrize(
    ("domain", "url"),
    [
        ("node.example", "https://label.node.example"),
        ("node.example/", "https://label.node.example"),
        ("http://node.localhost:8899", "http://label.node.localhost:8899"),
        ("https://node.example:8443/", "https://label.node.example:8443"),
    ],
)
def test_the_domain_may_carry_its_scheme(domain: str, url: str) -> None:
    assert host_url("label", domain) == url


@pytest.mark.parametrize(
    ("answer", "ready"),
    [(200, True), (302, True), (401, True), (405, True), (404, False), (500, False), (502, False), (503, False)]
    + [(httpx.ConnectError("x"), False), (httpx.ReadTimeout("x"), False)],
    ids=str,
)
def test_a_service_is_ready_when_it_answers_itself(answer: int | Exception, ready: bool) -> None:
    requests = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers={"Location": "http://elsewhere.example/"})

    async def run() -> bool:
        async with Http(SystemClock(), transport=httpx.MockTransport(handler)) as http:
            return await NodeApi(http).ready("https://label.node.example")

    assert asyncio.run(run()) is ready
    assert len(requests) == 1  # one look; whoever waits looks again
