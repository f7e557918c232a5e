"""HTTP for all clients: what is tried again and what is not, bounds, and secrets that stand in no error."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import InvalidInput, NosanaError, UnexpectedAnswer, Unreachable
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http, Response, redact_url, retry_after_seconds

SECRETS = ("planted-user", "planted-password", "planted-query-key", "planted-path-token-of-some-length", "planted-bearer")
URL = "https://planted-user:planted-password@rpc.example:8443/planted-path-token-of-some-length/?api-key=planted-query-key"
Handler = Callable[[httpx.Request], httpx.Response]


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return 1_800_000_000.0

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def random(self) -> float:
        return 0.5


def ask(handler: Handler, *, url: str = "http://server.example/", max_bytes: int = 1000, attempts: int = 5) -> tuple[Response, FakeClock]:
    clock = FakeClock()

    async def run() -> Response:
        async with Http(clock, attempts=attempts, transport=httpx.MockTransport(handler)) as http:
            return await http.request(
                "POST",
                url,
                label="test server",
                advice="an option",
                content=b"{}",
                headers={"Authorization": "planted-bearer"},
                max_bytes=max_bytes,
            )

    return asyncio.run(run()), clock


def answers(*responses: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        response = responses[min(len(requests), len(responses)) - 1]
        if isinstance(response, Exception):
            raise response
        return response

    return handler, requests


def test_connections_are_used_again_and_closed_in_the_end() -> None:
    """Whether many ask at once or one after the other."""
    opened = still_open = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened, still_open
        opened += 1
        still_open += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        still_open -= 1
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with Http(FakeClock()) as http:
            for _time in range(5):
                await http.request("GET", url, label="test server")
            assert opened == 1
            for _time in range(3):
                answers = await asyncio.gather(*(http.request("GET", url, label="test server") for _request in range(20)))
                assert [answer.json() for answer in answers] == [{}] * 20
            assert opened <= 20
        while still_open:
            await asyncio.sleep(0)
        server.close()

    asyncio.run(run())


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_busy_and_broken_servers_are_asked_again(status: int) -> None:
    handler, requests = answers(httpx.Response(status), httpx.Response(200, json={"fine": True}))
    response, clock = ask(handler)
    assert response.json() == {"fine": True}
    assert len(requests) == 2
    assert clock.slept == [0.25]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301])
def test_a_clear_answer_is_returned_and_no_redirect_is_followed(status: int) -> None:
    handler, requests = answers(httpx.Response(status, headers={"Location": "http://elsewhere.example/"}))
    response, clock = ask(handler)
    assert (response.status, len(requests), clock.slept) == (status, 1, [])


def test_retry_after_is_honoured_and_bounded() -> None:
    handler, _requests = answers(httpx.Response(429, headers={"Retry-After": "3"}), httpx.Response(200))
    assert ask(handler)[1].slept == [3.0]
    handler, _requests = answers(httpx.Response(503, headers={"Retry-After": "86400"}), httpx.Response(200))
    assert ask(handler)[1].slept == [15.0]
    assert retry_after_seconds({"retry-after": formatdate(1_800_000_007)}, 1_800_000_000) == 7
    assert retry_after_seconds({"retry-after": "soon"}, 0) is None
    assert retry_after_seconds({}, 0) is None


@pytest.mark.parametrize("failure", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"), httpx.Response(503)])
def test_it_gives_up_with_one_sentence_and_without_secrets(failure: httpx.Response | Exception) -> None:
    handler, requests = answers(failure)
    with pytest.raises(Unreachable) as caught:
        ask(handler, url=URL)
    assert len(requests) == 5
    said = str(caught.value)
    assert said.startswith("No answer from the test server at rpc.example:8443 after 5 attempts (")
    assert said.endswith("; check an option.")
    everything = said + repr(caught.value) + repr(caught.value.details) + "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in SECRETS if secret in everything.replace(f'"{URL}"', "")]


def test_more_than_was_asked_for_is_not_read() -> None:
    handler, requests = answers(httpx.Response(200, content=b"x" * 1001))
    with pytest.raises(UnexpectedAnswer, match="more than 1000 bytes"):
        ask(handler)
    assert len(requests) == 1


def test_what_is_no_json_is_said_to_be_none() -> None:
    handler, _requests = answers(httpx.Response(200, text="<html>"))
    with pytest.raises(UnexpectedAnswer, match="no JSON"):
        ask(handler)[0].json()
    deep, _requests = answers(httpx.Response(200, text="[" * 900))
    with pytest.raises(UnexpectedAnswer):
        ask(deep)[0].json()


def test_names_under_localhost_are_this_machine() -> None:
    handler, requests = answers(httpx.Response(200))
    ask(handler, url="http://ABC.node.localhost:8899/path?x=1")
    assert str(requests[0].url) == "http://127.0.0.1:8899/path?x=1"
    assert requests[0].headers["host"] == "ABC.node.localhost:8899"


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "http://[", "http://host:port/"])
def test_an_address_that_is_none_is_an_error_of_ours(url: str) -> None:
    handler, _requests = answers(httpx.Response(200))
    with pytest.raises(NosanaError):
        ask(handler, url=url)


def test_redaction_shows_host_and_port_only() -> None:
    assert redact_url(URL) == "rpc.example:8443"
    assert redact_url("http://127.0.0.1:1") == "127.0.0.1:1"


@pytest.mark.parametrize("proxy", ["nonsense://me:planted-password@proxy.example:1", "socks5://me:planted-password@h"])
def test_a_proxy_that_cannot_be_used_is_said_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(InvalidInput, match="HTTPS_PROXY") as caught:
        Http(FakeClock())
    shown = "".join(traceback.format_exception(caught.value))
    assert "planted" not in shown


def test_certificates_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all.pem")
    with pytest.raises(InvalidInput, match="SSL_CERT_FILE"):
        Http(FakeClock())
