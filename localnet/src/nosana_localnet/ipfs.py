"""IPFS in memory: content under its address, pinning as Pinata does it, adding as Kubo does it, and a gateway."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from . import base58, javascript

MAX_CONTENT_BYTES: Final = 64 * 1024 * 1024
_CHUNK_BYTES: Final = 262_144
_LINKS_PER_NODE: Final = 174
_CID: Final = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")


class Store:
    """Content by its CIDv0. What is stored under an address hashes to it, by construction."""

    def __init__(self) -> None:
        self._content: dict[str, bytes] = {}
        self._withheld: set[str] = set()
        self.on_add: Callable[[bytes], None] | None = None
        """Told of new content before its address is."""

    def add(self, content: bytes) -> str:
        cid = cid_of(content)
        self._withheld.discard(cid)
        if cid not in self._content:
            if self.on_add is not None:
                self.on_add(content)
            self._content[cid] = content
        return cid

    def add_json(self, document: Any) -> str:
        """Stores a document as the pinning service does: compact JSON, keys in their order."""
        return self.add(javascript.stringify(document).encode())

    def get(self, cid: str) -> bytes | None:
        return None if cid in self._withheld else self._content.get(cid)

    def withhold(self, cid: str) -> None:
        """Nobody gets this content any more, until it is added again."""
        self._withheld.add(cid)

    def everything(self) -> Mapping[str, bytes]:
        """All content by its CID."""
        return self._content


def cid_of(content: bytes) -> str:
    """CIDv0 of a file: UnixFS nodes in dag-pb, chunks of 262,144 bytes, 174 links a node, as all IPFS clients do by default."""
    chunks = [content[at : at + _CHUNK_BYTES] for at in range(0, len(content), _CHUNK_BYTES)] or [b""]
    level = [_leaf(chunk) for chunk in chunks]
    while len(level) > 1:
        level = [_parent(level[at : at + _LINKS_PER_NODE]) for at in range(0, len(level), _LINKS_PER_NODE)]
    return base58.encode(level[0][0])


def cid_to_bytes(cid: str) -> bytes:
    """The 32 bytes that stand on chain. ValueError for anything but a CIDv0."""
    if not _CID.fullmatch(cid):
        raise ValueError("Invalid IPFS hash")
    return base58.decode(cid)[2:]


def bytes_to_cid(digest: bytes) -> str:
    """The CIDv0 of 32 bytes from the chain."""
    return base58.encode(b"\x12\x20" + digest)


def _leaf(chunk: bytes) -> tuple[bytes, int, int]:
    file = b"\x08\x02" + (_bytes(2, chunk) if chunk else b"") + b"\x18" + _varint(len(chunk))
    return _hashed(_bytes(1, file), 0, len(chunk))


def _parent(children: Sequence[tuple[bytes, int, int]]) -> tuple[bytes, int, int]:
    size = sum(child[2] for child in children)
    links = b"".join(_bytes(2, _bytes(1, multihash) + _bytes(2, b"") + b"\x18" + _varint(total)) for multihash, total, _size in children)
    file = b"\x08\x02\x18" + _varint(size) + b"".join(b"\x20" + _varint(child[2]) for child in children)
    return _hashed(links + _bytes(1, file), sum(child[1] for child in children), size)


def _hashed(node: bytes, below: int, size: int) -> tuple[bytes, int, int]:
    """Multihash of a node, bytes of it and all below it, bytes of the file."""
    return b"\x12\x20" + hashlib.sha256(node).digest(), len(node) + below, size


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def routes(store: Store) -> list[web.RouteDef]:
    """HTTP: pinning, adding and the gateway. The token of the pinning service is not looked at: everything is free here."""

    async def pin_json(request: web.Request) -> web.Response:
        try:
            document = javascript.parse(await request.read())
            if isinstance(document, dict) and "pinataContent" in document:
                document = document["pinataContent"]
            return _pinned(store, store.add_json(document))
        except (ValueError, RecursionError):
            return web.json_response({"error": {"reason": "INVALID_JSON", "details": "The body is no JSON."}}, status=400)

    async def pin_file(request: web.Request) -> web.Response:
        content = await _file(request)
        if content is None:
            return web.json_response({"error": {"reason": "FILE_MISSING", "details": "There is no part named file."}}, status=400)
        return _pinned(store, store.add(content))

    async def add(request: web.Request) -> web.Response:
        content = await _file(request)
        if content is None:
            return web.Response(status=400, text="file argument 'path' is required\n")
        cid = store.add(content)
        return web.json_response({"Name": cid, "Hash": cid, "Size": str(len(content))})

    async def read(request: web.Request) -> web.Response:
        content = store.get(request.match_info["cid"])
        if content is None:
            return web.Response(status=404, text="ipfs: no content with this address is pinned here\n")
        kind = "application/json" if content[:1] in (b"{", b"[") else "application/octet-stream"
        headers = {"ETag": f'"{request.match_info["cid"]}"', "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*"}
        return web.Response(body=content, content_type=kind, headers=headers)

    return [
        web.post("/pinning/pinJSONToIPFS", pin_json),
        web.post("/pinning/pinFileToIPFS", pin_file),
        web.post("/api/v0/add", add),
        web.get("/ipfs/{cid}", read),
    ]


async def _file(request: web.Request) -> bytes | None:
    """The first uploaded part, which clients call `file` (or `path`)."""
    if not request.content_type.startswith("multipart/"):
        return None
    try:
        data = await request.post()
    except ValueError:  # no boundary, no part, a part without a name
        return None
    for part in data.values():
        if isinstance(part, web.FileField):
            return part.file.read()
        if isinstance(part, (bytes, bytearray)):
            return bytes(part)
    return None


def _pinned(store: Store, cid: str) -> web.Response:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return web.json_response({"IpfsHash": cid, "PinSize": len(store.get(cid) or b""), "Timestamp": now})
