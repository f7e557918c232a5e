"""The network's state in a file: a journal that is written before anything is answered, and read back at the next start.

One format serves both uses. With ``--state DIR`` every change is appended to ``DIR/journal`` as it happens, so that a kill -9 loses
nothing that a client was told of; the disk has it at the end of each slot, so that a power cut costs no more than that. A snapshot
is a journal that holds each thing once. A journal is a row of frames: length and CRC-32 (little-endian u32 each), then
zlib-compressed JSON. A last frame that was cut off is the one that nobody was told of, and is left out. Any other that is broken
makes the file unusable, rather than losing what stands behind it; so does one that is missing from a snapshot.
Programs are not in it: they come with the network, or from ``--program-from``.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import TransactionMetadata

from .ipfs import Store
from .ledger import Change, Ledger, Record, TokenBalance

FORMAT: Final = 1
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
_HEAD: Final = struct.Struct("<II")
_FAST: Final = 1
_ACCOUNTS_PER_FRAME: Final = 1000
_CHUNK_BYTES: Final = 1024 * 1024

Frame = dict[str, Any]


class Unreadable(Exception):
    """The state cannot be used; the text is one sentence that says why and what to do."""


class Journal:
    """The state directory of one network that runs. Only one network at a time may use it."""

    def __init__(self, directory: Path, on_failure: Callable[[str], None]):
        self._path = directory / "journal"
        self._on_failure = on_failure
        self._ledger: Ledger | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unreadable(f"The state directory {directory} cannot be used ({error.strerror}); name another with --state.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Unreadable(f"The state directory {directory} is in use by another network; end that one, or name another.") from None
        self._file: int | None = None
        self._on_disk = True

    @property
    def exists(self) -> bool:
        """Whether a network has been here before."""
        return self._path.exists()

    def load(self, ledger: Ledger, store: Store) -> None:
        """Brings a fresh ledger and store to where the last network was. Unreadable for a journal of another kind."""
        with self._path.open("rb") as file:
            restore(file, ledger, store, str(self._path), may_be_cut_off=True)

    def begin(self, ledger: Ledger, store: Store) -> None:
        """Writes all there is as a new journal, in the place of the old, and from now on everything that happens."""
        fresh = self._path.with_name("journal.new")
        with fresh.open("wb") as file:
            for frame in snapshot_frames(ledger, store):
                file.write(_packed(frame))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        _sync_directory(self._path.parent)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._ledger = ledger
        ledger.journal = self._on_change
        ledger.on_warp = lambda: self._write(_time(ledger))
        store.on_add = self._on_content

    def close(self) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
        os.close(self._lock)

    def _on_change(self, change: Change) -> None:
        ledger = self._ledger
        if ledger is None:
            return
        if change.signature is None and not change.accounts:
            self._wait_for_disk()
            return
        frame = _time(ledger) | {"accounts": _accounts(change.accounts)}
        record = ledger.transaction(change.signature) if change.signature is not None else None
        if change.undone:
            frame["undone"] = [str(signature) for signature in change.undone]
        self._write(frame | ({"record": _record(record)} if record is not None else {}))

    def _on_content(self, content: bytes) -> None:
        self._write({"content": base64.b64encode(content).decode()})

    def _write(self, frame: Frame) -> None:
        """Append one frame. What cannot be kept must not be answered either, so a failure ends the network."""
        if self._file is None:
            return
        data = memoryview(_packed(frame))
        try:
            self._on_disk = False
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._give_up(self._file, error)
            raise

    def _wait_for_disk(self) -> None:
        """At the end of a slot: what was written outlives a power cut, too."""
        if self._file is None or self._on_disk:
            return
        try:
            os.fsync(self._file)
            self._on_disk = True
        except OSError as error:
            self._give_up(self._file, error)

    def _give_up(self, file: int, error: OSError) -> None:
        os.close(file)
        self._file = None
        self._on_failure(f"The state could not be written to {self._path} ({error.strerror}); free the space and start again.")


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def snapshot(ledger: Ledger, store: Store) -> bytes:
    """The whole state as it is now."""
    return b"".join(map(_packed, snapshot_frames(ledger, store)))


def snapshot_frames(ledger: Ledger, store: Store) -> Iterator[Frame]:
    accounts, contents, records = ledger.every_account(), store.everything().values(), list(ledger.records())
    starts = range(0, len(accounts), _ACCOUNTS_PER_FRAME)
    follow = len(starts) + len(contents) + len(records)
    yield {"format": FORMAT, "seed": ledger.seed, "follow": follow} | _time(ledger)
    for start in starts:
        yield {"accounts": _accounts(dict(accounts[start : start + _ACCOUNTS_PER_FRAME]))}
    for content in contents:
        yield {"content": base64.b64encode(content).decode()}
    for record in records:
        yield {"record": _record(record)}


def restore(file: BinaryIO | bytes, ledger: Ledger, store: Store, name: str, *, may_be_cut_off: bool = False) -> None:
    """Brings a fresh ledger and store to a state that was written before. Unreadable says what is wrong with the file."""
    frames = _frames(io.BytesIO(file) if isinstance(file, bytes) else file, may_be_cut_off=may_be_cut_off)
    try:
        first = next(frames, {})
    except ValueError:
        first = {}
    if first.get("format") != FORMAT:
        kind = (
            f"has format {first['format']}, this network reads format {FORMAT}" if "format" in first else "is no state of a local network"
        )
        raise Unreadable(f"{name} {kind}; use another file, or begin anew without it.")
    if first.get("seed") != ledger.seed:
        raise Unreadable(f"{name} was written by a network with the seed {first.get('seed')!r}; give the same --seed.")
    time, missing = first, first.get("follow", 0)
    try:
        for frame in frames:
            missing -= 1
            if "accounts" in frame:
                ledger.restore_accounts(_read_accounts(frame["accounts"]))
            if "record" in frame:
                ledger.restore_record(_read_record(frame["record"]))
            if "undone" in frame:
                ledger.undo_records(map(Signature.from_string, frame["undone"]))
            if "content" in frame:
                store.add(base64.b64decode(frame["content"]))
            if "slot" in frame:
                time = frame
        if missing > 0:
            raise ValueError("its end is missing")
        ledger.resume(time["slot"], time["time"], time["warp"])
    except (KeyError, ValueError, TypeError, IndexError) as error:
        told = error if isinstance(error, ValueError) else type(error).__name__
        raise Unreadable(f"{name} is damaged ({told}); use another file, or begin anew without it.") from None


def _packed(frame: Frame) -> bytes:
    payload = zlib.compress(json.dumps(frame, separators=(",", ":")).encode(), _FAST)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _frames(file: BinaryIO, *, may_be_cut_off: bool) -> Iterator[Frame]:
    """The frames of a file. ValueError for one that is broken, save the last where that may be cut off."""
    at = 0
    while head := file.read(_HEAD.size):
        length, check = _HEAD.unpack(head.ljust(_HEAD.size, b"\0"))
        payload = file.read(min(length, MAX_FRAME_BYTES))
        if may_be_cut_off and (len(head) < _HEAD.size or len(payload) < length <= MAX_FRAME_BYTES):
            return
        if not payload or len(payload) < length or zlib.crc32(payload) != check:
            if may_be_cut_off and _is_empty(head + payload, file):
                return  # room that a disk had given when its power was cut
            raise ValueError(f"from byte {at} on" + (f", before which `truncate -s {at}` ends it" if may_be_cut_off else ""))
        frame = json.loads(zlib.decompress(payload))
        if isinstance(frame, dict):
            yield frame
        at += len(head) + len(payload)


def _is_empty(begun: bytes, file: BinaryIO) -> bool:
    """Whether nothing was ever written from here to the end of the file."""
    return not any(map(any, chain([begun], iter(lambda: file.read(_CHUNK_BYTES), b""))))


def _time(ledger: Ledger) -> Frame:
    return {"slot": ledger.slot, "time": ledger.now, "warp": ledger.warp_seconds}


def _accounts(accounts: Mapping[Pubkey, Account | None]) -> list[list[Any]]:
    return [
        [str(key), *(_account(account) if account is not None else ())] for key, account in accounts.items() if not _is_program(account)
    ]


def _is_program(account: Account | None) -> bool:
    return account is not None and account.executable


def _account(account: Account) -> list[Any]:
    return [account.lamports, base64.b64encode(account.data).decode(), str(account.owner), account.rent_epoch]


def _read_accounts(entries: Iterable[list[Any]]) -> Iterator[tuple[Pubkey, Account | None]]:
    for key, *fields in entries:
        account = None
        if fields:
            lamports, data, owner, rent_epoch = fields
            account = Account(lamports, base64.b64decode(data), Pubkey.from_string(owner), False, rent_epoch)
        yield Pubkey.from_string(key), account


def _record(record: Record) -> dict[str, Any]:
    return {
        "slot": record.slot,
        "time": record.unix_time,
        "transaction": base64.b64encode(bytes(record.transaction)).decode(),
        "metadata": record.metadata.to_json(),
        "err": record.err,
        "fee": record.fee,
        "keys": [str(key) for key in record.keys],
        "loaded": [record.loaded_writable, record.loaded_readonly, record.loaded_bytes],
        "pre": list(record.pre_lamports),
        "post": list(record.post_lamports),
        "pre_tokens": [_token(balance) for balance in record.pre_tokens],
        "post_tokens": [_token(balance) for balance in record.post_tokens],
    }


def _read_record(entry: Mapping[str, Any]) -> Record:
    transaction = VersionedTransaction.from_bytes(base64.b64decode(entry["transaction"]))
    writable, readonly, loaded_bytes = entry["loaded"]
    signature: Signature = transaction.signatures[0]
    return Record(
        signature=signature,
        slot=entry["slot"],
        unix_time=entry["time"],
        transaction=transaction,
        metadata=TransactionMetadata.from_json(entry["metadata"]),
        err=entry["err"],
        fee=entry["fee"],
        keys=[Pubkey.from_string(key) for key in entry["keys"]],
        loaded_writable=writable,
        loaded_readonly=readonly,
        pre_lamports=array("Q", entry["pre"]),
        post_lamports=array("Q", entry["post"]),
        pre_tokens=[_read_token(balance) for balance in entry["pre_tokens"]],
        post_tokens=[_read_token(balance) for balance in entry["post_tokens"]],
        loaded_bytes=loaded_bytes,
    )


def _token(balance: TokenBalance) -> list[Any]:
    return [balance.index, str(balance.mint), str(balance.owner), str(balance.program), balance.base_units, balance.decimals]


def _read_token(entry: list[Any]) -> TokenBalance:
    index, mint, owner, program, base_units, decimals = entry
    return TokenBalance(index, Pubkey.from_string(mint), Pubkey.from_string(owner), Pubkey.from_string(program), base_units, decimals)
