"""Parameters of JSON-RPC calls: types, bounds and the words in which a node refuses them."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from .. import base58
from ..ledger import U64_MAX, Commitment
from .errors import INVALID_PARAMS, RpcError, invalid

ENCODINGS: Final = ("binary", "base58", "base64", "jsonParsed", "base64+zstd")
TRANSACTION_ENCODINGS: Final = ("binary", "base64", "base58", "json", "jsonParsed")
MAX_FILTERS: Final = 4
MAX_MEMCMP_BYTES: Final = 128
_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")

T = TypeVar("T")


def kind(value: Any) -> str:
    """A JSON value as the node's parser names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value}`"
    if isinstance(value, str):
        return f'string "{value}"'
    return "sequence" if isinstance(value, list) else "map"


def wrong_type(value: Any, expected: str) -> RpcError:
    return invalid(f"Invalid params: invalid type: {kind(value)}, expected {expected}.")


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "a string")
    return value


def unsigned(value: Any, name: str = "u64") -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, name)
    if not 0 <= value <= U64_MAX:
        raise invalid(f"Invalid params: invalid value: {kind(value)}, expected {name}.")
    return value


def flag(value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong_type(value, "a boolean")
    return value


def items(value: Any, maximum: int | None = None) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_type(value, "a sequence")
    if maximum is not None and len(value) > maximum:
        raise invalid(f"Too many inputs provided; max {maximum}")
    return value


def _bytes(value: Any, size: int, longest: int) -> bytes:
    """Base58 of exactly ``size`` bytes."""
    encoded = text(value)
    if len(encoded) > longest:
        raise invalid("Invalid param: WrongSize")
    try:
        data = base58.decode(encoded)
    except base58.InvalidCharacter:
        raise invalid("Invalid param: Invalid") from None
    if len(data) != size:
        raise invalid("Invalid param: WrongSize")
    return data


def pubkey(value: Any) -> Pubkey:
    return Pubkey(_bytes(value, 32, 44))


def signature(value: Any) -> Signature:
    return Signature(_bytes(value, 64, 88))


def block_hash(value: Any) -> Hash:
    return Hash(_bytes(value, 32, 44))


def base64_bytes(value: Any) -> bytes:
    encoded = text(value)
    for index, character in enumerate(encoded):
        if character not in _BASE64:
            raise invalid(f"invalid base64 encoding: InvalidByte({index}, {ord(character)})")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise invalid("invalid base64 encoding: InvalidPadding") from None


def base58_bytes(value: Any) -> bytes:
    try:
        return base58.decode(text(value))
    except base58.InvalidCharacter as error:
        where = f"InvalidCharacter {{ character: '{error.character}', index: {error.index} }}"
        raise invalid(f"invalid base58 encoding: {where}") from None


def choice(value: Any, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "string or map")
    if value not in allowed:
        names = ", ".join(f"`{name}`" for name in allowed)
        raise invalid(f"Invalid params: unknown variant `{value}`, expected one of {names}.")
    return value


class Config:
    """The object of options that most calls take last. Unknown options are ignored, as a node does."""

    def __init__(self, value: Any):
        if value is not None and not isinstance(value, dict):
            raise wrong_type(value, "a map")
        self.values: dict[str, Any] = value or {}

    def get(self, name: str, read: Callable[[Any], T], default: T) -> T:
        value = self.values.get(name)
        return default if value is None else read(value)

    def commitment(self, name: str = "commitment", default: Commitment = "finalized") -> Commitment:
        """The level asked for. A node takes a word that it does not know for ``finalized``."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise wrong_type(value, "string or map")
        if value == "processed":
            return "processed"
        return "confirmed" if value in ("confirmed", "single", "singleGossip") else "finalized"

    def encoding(self, default: str = "binary") -> str:
        return self.get("encoding", lambda value: choice(value, ENCODINGS), default)

    def data_slice(self) -> DataSlice | None:
        value = self.values.get("dataSlice")
        if value is None:
            return None
        if not isinstance(value, dict):
            raise wrong_type(value, "struct UiDataSliceConfig")
        for name in ("offset", "length"):
            if name not in value:
                raise invalid(f"Invalid params: missing field `{name}`.")
        return DataSlice(unsigned(value["offset"], "usize"), unsigned(value["length"], "usize"))

    def filters(self) -> list[Filter]:
        values = items(self.values.get("filters") or [])
        if len(values) > MAX_FILTERS:
            raise invalid(f"Too many filters provided; max {MAX_FILTERS}")
        return [_filter(value) for value in values]


@dataclass(frozen=True, slots=True)
class DataSlice:
    """Part of an account's data; what lies outside is empty."""

    offset: int
    length: int

    def of(self, data: bytes) -> bytes:
        return data[self.offset : self.offset + self.length]


Filter = Callable[[bytes], bool]
"""Whether an account's data fits."""


def _filter(value: Any) -> Filter:
    if not isinstance(value, dict) or len(value) != 1:
        raise wrong_type(value, "enum RpcFilterType")
    name, argument = next(iter(value.items()))
    if name == "dataSize":
        size = unsigned(argument)
        return lambda data: len(data) == size
    if name == "memcmp":
        offset, wanted = _memcmp(argument)
        return lambda data: data[offset : offset + len(wanted)] == wanted
    if name == "tokenAccountState":
        return lambda data: len(data) == 165 and data[108] != 0
    raise invalid(f"Invalid params: unknown variant `{name}`, expected one of `dataSize`, `memcmp`, `tokenAccountState`.")


def _memcmp(value: Any) -> tuple[int, bytes]:
    if not isinstance(value, dict):
        raise wrong_type(value, "struct Memcmp")
    for name in ("offset", "bytes"):
        if name not in value:
            raise invalid(f"Invalid params: missing field `{name}`.")
    offset = unsigned(value["offset"], "usize")
    content = value["bytes"]
    if isinstance(content, list):
        if not all(isinstance(item, int) and 0 <= item <= 255 for item in content):
            raise wrong_type(content, "bytes")
        wanted = bytes(content)
    elif value.get("encoding") == "base64":
        if len(text(content)) > 4 * ((MAX_MEMCMP_BYTES + 2) // 3):
            raise invalid("Invalid param: DataTooLarge")
        try:
            wanted = base64.b64decode(content, validate=True)
        except binascii.Error:
            raise invalid("Invalid param: Base64DecodeError(InvalidPadding)") from None
    else:
        if len(text(content)) > 175:  # the longest base58 text of 128 bytes
            raise invalid("Invalid param: DataTooLarge")
        try:
            wanted = base58.decode(content)
        except base58.InvalidCharacter as error:
            where = f"InvalidCharacter {{ character: '{error.character}', index: {error.index} }}"
            raise invalid(f"Invalid param: Base58DecodeError({where})") from None
    if len(wanted) > MAX_MEMCMP_BYTES:
        raise invalid("Invalid param: DataTooLarge")
    return offset, wanted


def arguments(params: Any, required: int, maximum: int) -> list[Any]:
    """The positional parameters of a call, filled up with None."""
    if params is None:
        params = []
    if not isinstance(params, list):
        raise invalid("`params` should be an array")
    if len(params) < required:
        raise invalid(f"`params` should have at least {required} argument(s)")
    if len(params) > maximum:
        expected = "No parameters were expected" if maximum == 0 else f"Expected from {required} to {maximum} parameters."
        raise RpcError(INVALID_PARAMS, f"Invalid parameters: {expected}", f'"Got: {len(params)}"')
    return params + [None] * (maximum - len(params))
