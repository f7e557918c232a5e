"""The jobs program by its IDL: packs and reads instructions and accounts for the local network's own hosts, markets, page and tests.

Nothing here is shared with the collection's client, which packs the same bytes by hand: each checks the other.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

JOB_BYTES: Final = 240
RUN_BYTES: Final = 120
MARKET_BYTES: Final = 10_224
"""Sizes of the accounts on chain, which are longer than the data inside."""

_NUMBERS: Final = {"u8": (1, False), "u64": (8, False), "i64": (8, True), "u128": (16, False)}


FEE_FRACTIONS: Final = (0, 10)
"""The network fee is this part of a deposit; 0 means that there is none (nosana-facts §4)."""


def elf(name: str = "nosana_jobs") -> bytes:
    """The image of nosana_jobs, nosana_jobs_fee10 or nosana_rewards: from the installed package, or in a checkout from beside its source."""
    packaged = resources.files(__package__).joinpath(f"{name}.so")
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).resolve().parents[2] / "program" / f"{name}.so").read_bytes()


def jobs_elf(fee_fraction: int = 0) -> bytes:
    """The jobs program that takes no fee, or the one that takes a tenth. ValueError for any other fraction."""
    if fee_fraction not in FEE_FRACTIONS:
        raise ValueError(f"the fee fraction has to be one of {', '.join(map(str, FEE_FRACTIONS))}")
    return elf(f"nosana_jobs_fee{fee_fraction}" if fee_fraction else "nosana_jobs")


@cache
def idl() -> dict[str, Any]:
    """The IDL as it is written in nosana_jobs.idl.json."""
    document: dict[str, Any] = json.loads(resources.files(__package__).joinpath("nosana_jobs.idl.json").read_text(encoding="utf-8"))
    return document


def instruction(name: str, program: Pubkey, accounts: Mapping[str, Pubkey], args: Mapping[str, Any] | None = None) -> Instruction:
    """An instruction by the program's own names, in snake case. KeyError names an account or argument that is missing."""
    entry = _entry("instructions", _camel(name))
    metas = [
        AccountMeta(accounts[_snake(account["name"])], is_signer=account["isSigner"], is_writable=account["isMut"])
        for account in entry["accounts"]
    ]
    data = discriminator("global", name) + _pack_fields(entry["args"], args or {})
    return Instruction(program, data, metas)


def encode_account(name: str, values: Mapping[str, Any], *, size: int) -> bytes:
    """Account data with its discriminator, filled up with zeros to the size on chain."""
    data = discriminator("account", name) + _pack_fields(_entry("accounts", name)["type"]["fields"], values)
    return data.ljust(size, b"\0")


def decode_account(name: str, data: bytes) -> dict[str, Any]:
    """The fields of an account by their names in snake case; ValueError when the data is of another kind or too short."""
    if data[:8] != discriminator("account", name):
        raise ValueError(f"not a {name}")
    at, values = 8, {}
    for field in _entry("accounts", name)["type"]["fields"]:
        values[_snake(field["name"])], at = _unpack(field["type"], data, at)
    return values


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction in the program's own words. Accounts beyond those that the IDL names have an empty name."""

    name: str
    args: dict[str, Any]
    accounts: list[tuple[str, Pubkey]]


def decode_instruction(data: bytes, accounts: Sequence[Pubkey]) -> Decoded:
    """Name, arguments and account names in snake case; ValueError when the data is no instruction of this program or too short."""
    entry = _by_discriminator().get(data[:8])
    if entry is None:
        raise ValueError("not an instruction of the jobs program")
    at, args = 8, {}
    for field in entry["args"]:
        args[_snake(field["name"])], at = _unpack(field["type"], data, at)
    names = [_snake(account["name"]) for account in entry["accounts"]]
    names += [""] * (len(accounts) - len(names))
    return Decoded(_snake(entry["name"]), args, list(zip(names, accounts, strict=False)))


def error_text(code: int) -> str | None:
    """Name and message of one of the program's own errors."""
    found = next((entry for entry in idl()["errors"] if entry["code"] == code), None)
    return None if found is None else f"{found['name']}: {found['msg']}"


@cache
def _by_discriminator() -> dict[bytes, dict[str, Any]]:
    return {discriminator("global", _snake(entry["name"])): entry for entry in idl()["instructions"]}


def discriminator(kind: str, name: str) -> bytes:
    """The first eight bytes of an instruction ("global", "list") or an account ("account", "JobAccount")."""
    return hashlib.sha256(f"{kind}:{name}".encode()).digest()[:8]


def _entry(section: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in idl()[section] if entry["name"] == name)
    return found


def _pack_fields(fields: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> bytes:
    return b"".join(_pack(field["type"], values[_snake(field["name"])]) for field in fields)


def _pack(kind: Any, value: Any) -> bytes:
    if isinstance(kind, str) and kind in _NUMBERS:
        size, signed = _NUMBERS[kind]
        return int(value).to_bytes(size, "little", signed=signed)
    if kind == "publicKey":
        return bytes(value)
    if "array" in kind:
        return bytes(value)
    return len(value).to_bytes(4, "little") + b"".join(_pack(kind["vec"], item) for item in value)


def _unpack(kind: Any, data: bytes, at: int) -> tuple[Any, int]:
    number = _NUMBERS.get(kind) if isinstance(kind, str) else None
    size = number[0] if number else 32 if kind == "publicKey" or "array" in kind else 4
    raw = data[at : at + size]
    if len(raw) < size:
        raise ValueError("the data is too short")
    at += size
    if number:
        return int.from_bytes(raw, "little", signed=number[1]), at
    if kind == "publicKey":
        return Pubkey.from_bytes(raw), at
    if "array" in kind:
        return raw, at
    items = []
    for _index in range(int.from_bytes(raw, "little")):
        item, at = _unpack(kind["vec"], data, at)
        items.append(item)
    return items, at


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)
