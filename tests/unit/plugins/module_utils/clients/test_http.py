"""HTTP for all clients: what is tried again and what is not, bounds, and secrets that stand in no error."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import traceback
from collections.abc import AsyncIterator, Callable, Iterable
from email.utils import formatdate

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    InvalidInput,
    NosanaError,
    Refused,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import (
    Http,
    Response,
    is_key_label,
    redact_url,
    retry_after_seconds,
)

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


def as_it_is(response: Response) -> Response:
    return response


def only_ok(response: Response) -> Response:
    if response.body != b"ok":
        raise UnexpectedAnswer("It is not ok.")
    return response


def ask(
    handler: Handler,
    *,
    url: str = "http://server.example/",
    max_bytes: int = 1000,
    attempts: int = 5,
    read: Callable[[Response], Response] = as_it_is,
) -> tuple[Response, FakeClock]:
    clock = FakeClock()

    async def run() -> Response:
        async with Http(clock, attempts=attempts, transport=httpx.MockTransport(handler)) as http:
            return await http.request(
                "POST",
                url,
                read,
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
                await http.request("GET", url, Response.json, label="test server")
            assert opened == 1
            for _time in range(3):
                answers = await asyncio.gather(*(http.request("GET", url, Response.json, label="test server") for _request in range(20)))
                assert answers == [{}] * 20
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


@pytest.mark.parametrize("value", ["\xb2", "Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", "-5", "1e9", "9" * 400])
def test_whatever_a_server_asks_for_its_pause_is_bounded(value: str) -> None:
    handler, requests = answers(httpx.Response(503, headers={"Retry-After": value.encode("latin-1")}), httpx.Response(200, json={}))
    _response, clock = ask(handler)
    assert len(requests) == 2
    assert clock.slept[0] <= 15


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


class Pieces(httpx.AsyncByteStream):
    """An answer piece by piece, and how many were taken of it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.taken += 1
            yield piece
            await asyncio.sleep(0)  # lets the time-out come


def test_a_small_answer_that_grows_beyond_its_bound_is_not_unpacked_to_the_end() -> None:
    packed = gzip.compress(bytes(20_000_000))
    bomb = Pieces(packed[start : start + 100] for start in range(0, len(packed), 100))
    handler, _requests = answers(httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=bomb))
    with pytest.raises(UnexpectedAnswer, match="more than 1000 bytes"):
        ask(handler)
    assert bomb.taken < 5


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,deflate", "br", "zstd", "deflate", "x"])
def test_packed_in_packed_is_not_unpacked_at_all(encoding: str) -> None:
    pieces = Pieces([gzip.compress(gzip.compress(b"{}"))])
    handler, requests = answers(httpx.Response(200, headers={"Content-Encoding": encoding}, stream=pieces))
    with pytest.raises(UnexpectedAnswer, match="encoding that it was not asked for"):
        ask(handler)
    assert pieces.taken == 0
    assert requests[0].headers["accept-encoding"] == "gzip"


def test_an_answer_that_is_packed_is_unpacked() -> None:
    handler, _requests = answers(httpx.Response(200, headers={"Content-Encoding": "GZIP"}, stream=Pieces([gzip.compress(b'{"a": 1}')])))
    assert ask(handler)[0].json() == {"a": 1}


def test_a_server_that_drips_its_answer_without_end_is_not_waited_for() -> None:
    endless = Pieces(itertools.repeat(b"x"))

    async def run() -> None:
        transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=endless))
        async with Http(FakeClock(), attempts=1, timeout_seconds=0.05, transport=transport) as http:
            await http.request("GET", "http://slow.example/", lambda response: response, label="test server", max_bytes=10**9)

    with pytest.raises(Unreachable, match="no answer in time"):
        asyncio.run(run())


def test_what_cannot_be_used_is_asked_for_again() -> None:
    handler, requests = answers(httpx.Response(200, text="<html>"), httpx.Response(502), httpx.Response(200, text="ok"))
    response, clock = ask(handler, read=only_ok)
    assert (response.body, len(requests), clock.slept) == (b"ok", 3, [0.25, 0.5])


def test_what_can_never_be_used_is_given_up_and_its_own_sentence_told() -> None:
    handler, requests = answers(httpx.Response(503), httpx.Response(200, text="<html>"))
    with pytest.raises(UnexpectedAnswer, match="It is not ok"):
        ask(handler, read=only_ok)
    assert len(requests) == 5
    handler, _requests = answers(httpx.Response(200, text="<html>"), httpx.Response(503))
    with pytest.raises(Unreachable, match="HTTP 503"):
        ask(handler, read=only_ok)


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


@pytest.mark.parametrize(
    "label",
    ["a1b2c3d4e5f6a7b8", "K3yOfACustomer42xYz", "mainnet-0f1e2d3c4b5a69788796a5b4c3d2e1f0", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"],
)
def test_a_label_of_the_host_that_is_a_key_is_not_shown(label: str) -> None:
    assert is_key_label(label)
    assert redact_url(f"https://{label}.rpc.example:8443/") == "********.rpc.example:8443"


@pytest.mark.parametrize(
    "host",
    ["api.mainnet-beta.solana.com", "dashboard.k8s.prd.nos.ci", "nosana.mypinata.cloud", "rpc.ironforge.network", "10.0.0.17"]
    + ["my-elb-1234567890.eu-west-1.elb.amazonaws.com", "ec2-203-0-113-25.compute-1.amazonaws.com", "solana-mainnet-validator-2024.example"]
    + ["some-long-word-host.solana-mainnet.quiknode.pro", "internationalization1.example", "123456789012345678.example", "localhost"],
)
def test_names_that_people_give_their_hosts_are_shown(host: str) -> None:
    assert redact_url(f"https://{host}/") == host


@pytest.mark.parametrize("proxy", ["nonsense://me:planted-password@proxy.example:1", "socks5://me:planted-password@h"])
def test_a_proxy_that_cannot_be_used_is_said_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(InvalidInput, match="HTTPS_PROXY") as caught:
        Http(FakeClock())
    shown = "".join(traceback.format_exception(caught.value))
    assert "planted" not in shown


def test_a_proxy_that_wants_a_password_is_said_at_once() -> None:
    handler, requests = answers(httpx.Response(407, text="planted"))
    with pytest.raises(Refused, match=r"HTTP 407.*NO_PROXY") as caught:
        ask(handler)
    assert len(requests) == 1
    assert "planted" not in str(caught.value)


def test_a_proxy_that_refuses_is_not_taken_for_the_server() -> None:
    handler, _requests = answers(httpx.ProxyError("planted"))
    with pytest.raises(Unreachable, match=r"\(the proxy of the environment refuses\)"):
        ask(handler)


def test_certificates_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all.pem")
    with pytest.raises(InvalidInput, match="SSL_CERT_FILE"):
        Http(FakeClock())
