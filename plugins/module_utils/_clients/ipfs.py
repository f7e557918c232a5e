"""IPFS: content addresses computed offline, pinning, and reading with every byte checked against its address."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .base58 import b58decode, b58encode
from .errors import InvalidInput, NoDocument, NotFound, Refused, UnexpectedAnswer
from .http import redact_url
from .servers import Servers

if TYPE_CHECKING:
    from .http import Http, Response

_GATEWAY, _GATEWAY_ADVICE = "IPFS gateway", "ipfs_gateway_url or NOSANA_IPFS_GATEWAY_URL"
_SHA256_MULTIHASH = b"\x12\x20"
_CHUNK_BYTES = 262_144
_LINKS_PER_NODE = 174
_MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
_MAX_DOCUMENT_DEPTH = 100  # no document of the network comes near; what is read may have to be returned, and Python's own limit is not far
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_ARRAY_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,9})\Z", re.ASCII)
_EXACT_INTEGER = 2**53


# --- content addresses (UnixFS file nodes in dag-pb, as every IPFS client builds them by default) ---------------------


def cid_of(content: bytes) -> str:
    """The CIDv0 of a file with this content."""
    chunks = [content[start : start + _CHUNK_BYTES] for start in range(0, len(content), _CHUNK_BYTES)] or [b""]
    nodes = [_node([], [], chunk) for chunk in chunks]
    while len(nodes) > 1:
        groups = [nodes[start : start + _LINKS_PER_NODE] for start in range(0, len(nodes), _LINKS_PER_NODE)]
        nodes = [
            _node([(hashed, total) for hashed, total, _size in group], [size for _hash, _total, size in group], b"") for group in groups
        ]
    return b58encode(_SHA256_MULTIHASH + nodes[0][0])


def cid_to_bytes(cid: str) -> bytes:
    """The 32 bytes that go on chain; InvalidInput for anything but a CIDv0."""
    try:
        raw = b58decode(cid)
    except ValueError:
        raw = b""
    if len(raw) != 34 or raw[:2] != _SHA256_MULTIHASH:
        raise InvalidInput(f"{cid[:80]!r} is no CIDv0 (Qm…), the only kind of content address that Nosana stores.")
    return raw[2:]


def bytes_to_cid(digest: bytes) -> str:
    """The CIDv0 of 32 bytes from the chain."""
    return b58encode(_SHA256_MULTIHASH + digest)


def _node(links: Sequence[tuple[bytes, int]], sizes: Sequence[int], data: bytes) -> tuple[bytes, int, int]:
    """One dag-pb node: its hash, its total size in the graph, and the size of the file below it."""
    size = sum(sizes) if links else len(data)
    unixfs = b"\x08\x02" + (_field(2, data) if data else b"") + b"\x18" + _varint(size)
    unixfs += b"".join(b"\x20" + _varint(below) for below in sizes)
    encoded = b"".join(
        _field(2, _field(1, _SHA256_MULTIHASH + hashed) + _field(2, b"") + b"\x18" + _varint(total)) for hashed, total in links
    ) + _field(1, unixfs)
    return hashlib.sha256(encoded).digest(), len(encoded) + sum(total for _hash, total in links), size


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


# --- documents -------------------------------------------------------------------------------------------------------


def encode_document(document: Any) -> bytes:
    """JSON as JavaScript's JSON.stringify writes it, so that the content address equals the one other clients compute."""
    try:
        return "".join(_pieces(document)).encode("utf-8")
    except RecursionError:
        raise InvalidInput("The document is nested too deeply to be pinned.") from None
    except TypeError:
        raise InvalidInput("The document holds a value that JSON does not have.") from None


def _pieces(value: Any) -> list[str]:
    if isinstance(value, dict):
        return ["{", ",".join(f"{_text(key)}:{''.join(_pieces(item))}" for key, item in _ordered(value)), "}"]
    if isinstance(value, (list, tuple)):
        return ["[", ",".join("".join(_pieces(item)) for item in value), "]"]
    if isinstance(value, float):
        return [_number(value)]
    if isinstance(value, int) and abs(value) > _EXACT_INTEGER:
        return [_number(float(value) if abs(value) < 1 << 1023 else math.inf)]
    if isinstance(value, str):
        return [_text(value)]
    return [json.dumps(value)]


def _ordered(value: dict[Any, Any]) -> list[tuple[str, Any]]:
    """The items as a JavaScript object has them: keys that could be an array's index first, by number."""
    items = [(str(key), item) for key, item in value.items()]
    indices = {key: int(key) for key, _item in items if _ARRAY_INDEX.match(key) and int(key) < 2**32 - 1}
    return sorted(items, key=lambda item: indices.get(item[0], 2**32)) if indices else items


def _text(value: str) -> str:
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _number(value: float) -> str:
    """ECMAScript's Number::toString; Python has the same shortest digits and another layout."""
    if not math.isfinite(value):
        return "null"
    if value == int(value) and abs(value) <= _EXACT_INTEGER:
        return str(int(value))
    sign = "-" if value < 0 else ""
    mantissa, _e, exponent = repr(abs(value)).partition("e")
    whole, _point, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits times ten to the power of `point`.
    point = (len(whole) if whole != "0" else len(digits) - len(fraction)) + int(exponent or 0)
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    return f"{sign}{digits[0]}{'.' if len(digits) > 1 else ''}{digits[1:]}e{'+' if power > 0 else '-'}{abs(power)}"


# --- the services ----------------------------------------------------------------------------------------------------


class Ipfs:
    """A pinning service with Pinata's interface, and a gateway."""

    def __init__(self, http: Http, api_url: str, gateway_urls: str | Sequence[str], jwt: str | None) -> None:
        self._http = http
        self._api_url = api_url.rstrip("/")
        self._gateways = Servers(http.clock, gateway_urls, label=_GATEWAY, advice=_GATEWAY_ADVICE)
        self._jwt = (jwt or "").strip()
        if any(not "!" <= letter <= "~" for letter in self._jwt):
            raise InvalidInput("ipfs_jwt holds a character that no token has, such as a space; check ipfs_jwt or NOSANA_IPFS_JWT.")

    async def pin_json(self, document: Any) -> str:
        """Pins the document and returns its content address, which the service has to confirm."""
        content = encode_document(document)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._jwt}"} if self._jwt else {})
        want = cid_of(content)
        return await self._http.request(
            "POST",
            f"{self._api_url}/pinning/pinJSONToIPFS",
            lambda response: _pinned(response, want),
            label="IPFS pinning service",
            advice="ipfs_api_url or NOSANA_IPFS_API_URL",
            content=content,
            headers=headers,
        )

    async def fetch(self, cid: str, *, max_bytes: int = _MAX_DOCUMENT_BYTES) -> bytes:
        """The content of that address, verified; NotFound when no gateway has it."""
        cid_to_bytes(cid)

        async def question(url: str) -> bytes:
            return await self._http.request(
                "GET",
                url.rstrip("/") + f"/{cid}",
                lambda response: _verified(response, cid, f"{_GATEWAY} at {redact_url(url)}"),
                label=_GATEWAY,
                advice=_GATEWAY_ADVICE,
                max_bytes=max_bytes,
                attempts=self._gateways.attempts,
            )

        return await self._gateways.ask(question)

    async def fetch_json(self, cid: str) -> Any:
        """The JSON document of that address, verified."""
        try:
            document = json.loads(await self.fetch(cid), parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise NoDocument(f"The content of {cid} is no JSON document.") from None
        if _is_deeper(document, _MAX_DOCUMENT_DEPTH):
            raise UnexpectedAnswer(f"The content of {cid} is nested more than {_MAX_DOCUMENT_DEPTH} levels deep; it is not used.")
        return document


def _pinned(response: Response, cid: str) -> str:
    """The content address, once the pinning service has confirmed it."""
    if response.status in (401, 403):
        raise Refused(
            f"The IPFS pinning service refuses the token (HTTP {response.status}); set ipfs_jwt or NOSANA_IPFS_JWT.",
            status=response.status,
        )
    if response.status != 200:
        raise Refused(f"The IPFS pinning service refuses the definition (HTTP {response.status}).", status=response.status)
    answer = response.json()
    have = answer.get("IpfsHash") if isinstance(answer, dict) else None
    if have != cid:
        raise UnexpectedAnswer(f"The IPFS pinning service stored something else than it was given (expected {cid}, got {str(have)[:80]}).")
    return cid


def _verified(response: Response, cid: str, server: str) -> bytes:
    """The content that a gateway showed, which has to be that of the address."""
    if response.status in (404, 410):
        raise NotFound(f"The {server} has no content {cid}; try again later, or set {_GATEWAY_ADVICE} to another gateway.")
    if response.status != 200:
        raise Refused(f"The {server} refuses to show {cid} (HTTP {response.status}); check {_GATEWAY_ADVICE}.", status=response.status)
    if cid_of(response.body) != cid:
        raise UnexpectedAnswer(f"The {server} answered something else than the content {cid}, which is not used; check {_GATEWAY_ADVICE}.")
    return response.body


def _refuse(constant: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(constant)


def _is_deeper(document: Any, levels: int) -> bool:
    """Whether lists and objects are nested more deeply; level by level, because recursion is what has to be avoided."""
    level = [document]
    for _level in range(levels):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True
