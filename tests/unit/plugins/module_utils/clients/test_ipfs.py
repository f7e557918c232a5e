"""JSON as JavaScript writes it, content addresses of large files, and a pinning service and a gateway that are not believed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.clock import SystemClock
from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    InvalidInput,
    NosanaError,
    NotFound,
    Refused,
    UnexpectedAnswer,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.http import Http
from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import Ipfs, cid_of, cid_to_bytes, encode_document

DOCUMENT = {"version": "0.1", "emoji": "😀", "number": 1.0}
JWT = "planted-jwt-of-some-length"


# Each text is what JSON.stringify(JSON.parse(…)) gave in Node.js 20 for the value.
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (100.5, "100.5"),
        (-123.456, "-123.456"),
        (0.00123, "0.00123"),
        (0.000001, "0.000001"),
        (-0.0000015, "-0.0000015"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (5e-324, "5e-324"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (-1e20, "-100000000000000000000"),
        (1e21, "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (float("inf"), "null"),
        (float("nan"), "null"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (123456789012345678901234, "1.2345678901234569e+23"),
        (10**400, "null"),
        (True, "true"),
        (None, "null"),
        ("é😀\u2028\x7f", '"é😀\u2028\x7f"'),
        ('\x00\x1f\b\f\n\r\t"\\/', '"\\u0000\\u001f\\b\\f\\n\\r\\t\\"\\\\/"'),
        ("\ud800x\udc00", '"\\ud800x\\udc00"'),
        ({"b": 1, "10": 2, "9": [1, {}], "01": []}, '{"9":[1,{}],"10":2,"b":1,"01":[]}'),
        ({"4294967294": 1, "4294967295": 2, "a": 3, "0": 4}, '{"0":4,"4294967294":1,"4294967295":2,"a":3}'),
    ],
    ids=repr,
)
def test_documents_are_written_as_javascript_writes_them(value: Any, text: str) -> None:
    assert encode_document(value) == text.encode()


# Computed with the npm package ipfs-unixfs-importer, which is what Kubo's defaults give: CIDv0, 256 KiB chunks, 174 links in a node.
LARGE = [
    (0, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
    (262_144, "QmeqfRyS3vkku7n6krqC3DgGMex3x2sCpSeKMDmrG13QQq"),
    (262_145, "QmUSjGawaz4ptvREcMKSMJneWCa5j8dAz2wSAAvHtW2rnB"),
    (300_000, "QmWU4cq12z1Fq8kiWASSMzcpsxbQpY74z1X2koCz2TUnaU"),
    (262_144 * 174, "QmXCym15aFeWjAWyPFaAgwVmkuKB7EBsV77Skt54KmxChF"),
    (262_144 * 174 + 1, "QmTedsTekQQkgACJXb1sPZSW8bLdS9LPMrT7L4YdjNRd4n"),
]


@pytest.mark.parametrize(("size", "cid"), LARGE)
def test_files_of_many_blocks(size: int, cid: str) -> None:
    assert cid_of((bytes(range(251)) * (size // 251 + 1))[:size]) == cid


@pytest.mark.parametrize("cid", ["", "Qm", "/etc/passwd", "Qm" + "1" * 44, "Qm" + "z" * 44, "é", "Qm../../x", "x" * 10_000])
def test_what_is_no_address(cid: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        cid_to_bytes(cid)
    assert len(str(caught.value)) < 250


def ask(
    call: Callable[[Ipfs], Coroutine[Any, Any, Any]], answer: httpx.Response, *, jwt: str | None = JWT
) -> tuple[Any, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answer

    async def run() -> Any:
        async with Http(SystemClock(), attempts=1, transport=httpx.MockTransport(handler)) as http:
            return await call(Ipfs(http, "http://pin.example/", "http://gateway.example/ipfs", jwt))

    return asyncio.run(run()), requests


@pytest.mark.parametrize("jwt", ["planted token", "planted-tökén", "planted\r\nX-Header: 1", "planted\x00"])
def test_a_token_that_cannot_stand_in_a_header_is_not_quoted(jwt: str) -> None:
    with pytest.raises(InvalidInput, match="NOSANA_IPFS_JWT") as caught:
        ask(lambda ipfs: ipfs.pin_json(DOCUMENT), httpx.Response(200), jwt=jwt)
    assert "planted" not in str(caught.value)


def test_a_token_from_a_file_may_end_with_a_new_line() -> None:
    _answer, requests = ask(
        lambda ipfs: ipfs.pin_json(DOCUMENT), httpx.Response(200, json={"IpfsHash": cid_of(encode_document(DOCUMENT))}), jwt=f"{JWT}\n"
    )
    assert requests[0].headers["authorization"] == f"Bearer {JWT}"


def test_pinned_is_exactly_what_was_encoded() -> None:
    content = encode_document(DOCUMENT)
    cid, requests = ask(lambda ipfs: ipfs.pin_json(DOCUMENT), httpx.Response(200, json={"IpfsHash": cid_of(content)}))
    assert cid == cid_of(content)
    assert str(requests[0].url) == "http://pin.example/pinning/pinJSONToIPFS"
    assert requests[0].content == content
    assert requests[0].headers["authorization"] == f"Bearer {JWT}"
    _cid, requests = ask(lambda ipfs: ipfs.pin_json(DOCUMENT), httpx.Response(200, json={"IpfsHash": cid_of(content)}), jwt=None)
    assert "authorization" not in requests[0].headers


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(401), Refused),
        (httpx.Response(403, text=JWT), Refused),
        (httpx.Response(400, text=JWT), Refused),
        (httpx.Response(302, headers={"Location": "http://elsewhere.example/"}), Refused),
        (httpx.Response(200, text="<html>"), UnexpectedAnswer),
        (httpx.Response(200, json=[]), UnexpectedAnswer),
        (httpx.Response(200, json={}), UnexpectedAnswer),
        (httpx.Response(200, json={"IpfsHash": 7}), UnexpectedAnswer),
        (httpx.Response(200, json={"IpfsHash": cid_of(b"else")}), UnexpectedAnswer),
    ],
    ids=["401", "403", "400", "302", "html", "list", "empty", "number", "other"],
)
def test_a_pinning_service_that_does_otherwise(answer: httpx.Response, kind: type[NosanaError]) -> None:
    with pytest.raises(kind) as caught:
        ask(lambda ipfs: ipfs.pin_json(DOCUMENT), answer)
    assert JWT not in str(caught.value) + repr(caught.value.details)
    if answer.status_code in (401, 403):
        assert "NOSANA_IPFS_JWT" in str(caught.value)


def test_what_is_read_is_checked_against_its_address() -> None:
    content = json.dumps(DOCUMENT).encode()
    found, requests = ask(lambda ipfs: ipfs.fetch_json(cid_of(content)), httpx.Response(200, content=content))
    assert found == DOCUMENT
    assert str(requests[0].url) == f"http://gateway.example/ipfs/{cid_of(content)}"
    assert "authorization" not in requests[0].headers


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(404), NotFound),
        (httpx.Response(410), NotFound),
        (httpx.Response(403), Refused),
        (httpx.Response(301, headers={"Location": "http://elsewhere.example/"}), Refused),
        (httpx.Response(200, content=b"{}"), UnexpectedAnswer),
        (httpx.Response(200, content=b"x" * 101), UnexpectedAnswer),
    ],
    ids=["404", "410", "403", "301", "other content", "too large"],
)
def test_a_gateway_that_does_otherwise(answer: httpx.Response, kind: type[NosanaError]) -> None:
    with pytest.raises(kind):
        ask(lambda ipfs: ipfs.fetch(cid_of(b"content"), max_bytes=100), answer)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000])
def test_content_that_is_no_json(content: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="no JSON"):
        ask(lambda ipfs: ipfs.fetch_json(cid_of(content)), httpx.Response(200, content=content))
