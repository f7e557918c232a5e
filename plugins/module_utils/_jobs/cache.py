"""What was once read about pinned documents, kept on disk: a content address never means anything else, so it is read once.

The cache makes a run quicker and never different: whatever is wrong with it (no home, a full disk, a damaged file, somebody else's
directory), it is empty. It holds facts that anybody can read on IPFS, and no secret.

NOSANA_CACHE: empty or unset means nosana.compute below XDG_CACHE_HOME or ~/.cache; "off" means none; an absolute path is the directory.
"""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._clients.node import Port, exposed_ports
from .definition import exposes_port

if TYPE_CHECKING:
    import sqlite3

DIRECTORY = "nosana.compute"
FILE = "facts-v1.sqlite3"  # another layout gets another name, so that two versions of the collection do not disturb each other
MAX_ENTRIES = 50_000
MAX_VALUE_BYTES = 4096
_MAX_KEY_CHARACTERS = 200
_KEYS_PER_QUERY = 500
_BUSY_SECONDS = 0.5
_OFF = frozenset({"off", "no", "none", "false", "0"})
_TABLE = "CREATE TABLE IF NOT EXISTS facts (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, value TEXT NOT NULL, digest BLOB NOT NULL)"


class Cache:
    """Facts by key, such as "definition:Qm…". Nothing here raises or prints; keys and values that do not fit are left out."""

    def __init__(self, directory: str | os.PathLike[str] | None, *, user: int | None = None, max_entries: int = MAX_ENTRIES) -> None:
        """directory: created when needed; None is a cache that is always empty. user: whose it has to be; the process's own user."""
        self._directory = None if directory is None else Path(directory)
        self._user = os.geteuid() if user is None else user
        self._max_entries = max_entries

    @classmethod
    def none(cls) -> Cache:
        """Always empty."""
        return cls(None)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Cache:
        """The cache where the environment wants it."""
        wanted = environ.get("NOSANA_CACHE", "").strip()
        if wanted.lower() in _OFF:
            return cls.none()
        if wanted:
            return cls(wanted if os.path.isabs(wanted) else None)
        base = environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # the specification wants a relative one ignored
            home = environ.get("HOME") or os.path.expanduser("~")
            base = os.path.join(home, ".cache")
        return cls(os.path.join(base, DIRECTORY) if os.path.isabs(base) else None)

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """What is known of these keys; a key of which nothing is known is not in the answer."""
        found: dict[str, Any] = {}
        # Anything may go wrong with a file, and none of it is worth a failed task: then nothing is known.
        with contextlib.suppress(Exception):
            wanted = sorted({key for key in keys if _fits(key)})
            file = self._file(create=False)
            if file is None or not wanted:
                return found
            with _connect(file) as connection:
                for start in range(0, len(wanted), _KEYS_PER_QUERY):
                    part = wanted[start : start + _KEYS_PER_QUERY]
                    marks = ",".join("?" * len(part))
                    for key, value, digest in connection.execute(f"SELECT key, value, digest FROM facts WHERE key IN ({marks})", part):
                        if _digest(key, value) == digest:
                            found[key] = json.loads(value)
        return found

    def put(self, facts: Mapping[str, Any]) -> None:
        """Keeps the facts for later runs, if that is possible."""
        with contextlib.suppress(Exception):
            rows = {key: value for key, value in ((key, _encode(value)) for key, value in facts.items() if _fits(key)) if value is not None}
            known = self.get(rows)
            rows = {key: value for key, value in rows.items() if key not in known or _encode(known[key]) != value}
            if rows and not self._write(rows):
                self._discard()
                self._write(rows)

    def _write(self, rows: Mapping[str, str]) -> bool:
        """False when the file cannot be used by anybody and should be made anew."""
        import sqlite3

        file = self._file(create=True)
        if file is None:
            return True
        try:
            with _connect(file) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_TABLE)
                connection.executemany(
                    "INSERT OR REPLACE INTO facts (key, value, digest) VALUES (?, ?, ?)",
                    [(key, value, _digest(key, value)) for key, value in rows.items()],
                )
                # A new row gets the largest id, so the smallest ids are the oldest rows.
                connection.execute(
                    "DELETE FROM facts WHERE id <= (SELECT id FROM facts ORDER BY id DESC LIMIT 1 OFFSET ?)", (self._max_entries,)
                )
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            # A busy file or a full disk is for another time; damage, and tables that are not ours, are for ever.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            return code not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA)
        return True

    def _discard(self) -> None:
        file = self._file(create=False)
        if file is not None:
            file.unlink()
            file.with_name(file.name + "-journal").unlink(missing_ok=True)

    def _file(self, *, create: bool) -> Path | None:
        """The database, once it is sure that nobody else can have written to it."""
        if self._directory is None:
            return None
        directory = Path(os.path.realpath(self._directory))  # checked and used is the same place, whatever happens to links
        if create:
            for place in (directory.parent, directory):
                if not place.exists() and self._is_safe(place.parent):
                    _make(place, place.mkdir, 0o700)
        if not self._is_safe(directory) or not self._is_own(directory):
            return None
        file = directory / FILE
        if create and not os.path.lexists(file):
            _make(file, partial(file.touch, exist_ok=False), 0o600)
        # An existing file is never opened here: closing it would end the locks that sqlite holds on it in this process.
        return file if file.is_file() and not file.is_symlink() and self._is_own(file) else None

    def _is_own(self, place: Path) -> bool:
        found = place.stat()
        return found.st_uid == self._user and not found.st_mode & 0o022

    def _is_safe(self, directory: Path) -> bool:
        """Whether nobody but the user and root can put anything into the place of this directory, or of one that it lies in."""
        hidden = False  # below a directory that nobody else may enter, modes no longer matter
        for place in (*reversed(directory.parents), directory):
            found = place.stat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, self._user):
                return False
            if not hidden and found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
                return False
            hidden = hidden or (found.st_uid == self._user and not found.st_mode & 0o011)
        return True


def _make(place: Path, make: Callable[[int], None], mode: int) -> None:
    """Creates a file or directory with exactly that mode, unless another process was quicker."""
    with contextlib.suppress(FileExistsError):
        make(mode)
        place.chmod(mode)  # a umask takes away, and may have taken too much


@contextlib.contextmanager
def _connect(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection for one reading or writing; none is kept, because Ansible forks. Leaving without COMMIT changes nothing."""
    import sqlite3

    connection = sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")  # what a power cut damages is noticed and made anew
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection
    finally:
        connection.close()


def _fits(key: Any) -> bool:
    return isinstance(key, str) and key.isascii() and 0 < len(key) <= _MAX_KEY_CHARACTERS


def _encode(value: Any) -> str | None:
    """As JSON in ASCII, the same text for the same facts; None for what does not fit."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) <= MAX_VALUE_BYTES else None


def _digest(key: str, value: str) -> bytes:
    """Sqlite does not notice a changed letter in a text; this does."""
    return hashlib.sha256(f"{key}\0{value}".encode()).digest()


# --- facts about definitions -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DefinitionFacts:
    """What is kept of a pinned definition: meta.name, and what a verdict and the addresses of services need to know of it.

    run_ops: ids of the ops that run a container, which a result has to mention all. ports: what it exposes, the private ones left out.
    """

    name: str | None
    exposes_port: bool
    confidential: bool
    run_ops: tuple[str, ...]
    ports: tuple[Port, ...] = ()


def facts_of_definition(document: Any) -> DefinitionFacts:
    """Of a document that may be anything."""
    document = document if isinstance(document, dict) else {}
    meta, ops = document.get("meta"), document.get("ops")
    name = meta.get("name") if isinstance(meta, dict) else None
    run_ops = (op for op in (ops if isinstance(ops, list) else []) if isinstance(op, dict) and op.get("type") == "container/run")
    return DefinitionFacts(
        name=name if isinstance(name, str) else None,
        exposes_port=exposes_port(document),
        confidential="logistics" in document,
        run_ops=tuple(op["id"] for op in run_ops if isinstance(op.get("id"), str)),
        ports=tuple(port for port in exposed_ports(document) if not port.private),
    )


def read_definition_facts(cache: Cache, cids: Iterable[str]) -> dict[str, DefinitionFacts]:
    """What is known of these definitions; what comes back in another shape than it was written in is not known."""
    found = cache.get(f"definition:{cid}" for cid in cids)
    facts = {key.partition(":")[2]: _definition_facts(value) for key, value in found.items()}
    return {cid: known for cid, known in facts.items() if known is not None}


def keep_definition_facts(cache: Cache, facts: Mapping[str, DefinitionFacts]) -> None:
    """For the next run."""
    cache.put({f"definition:{cid}": _plain(known) for cid, known in facts.items()})


def _plain(facts: DefinitionFacts) -> list[Any]:
    ports = [[port.op_id, port.op_index, port.number] for port in facts.ports]
    return [facts.name, facts.exposes_port, facts.confidential, facts.run_ops, ports]


def _definition_facts(value: Any) -> DefinitionFacts | None:
    if not isinstance(value, list) or len(value) != 5:
        return None
    name, exposes, confidential, run_ops, listed = value
    ports = [_port(entry) for entry in listed] if isinstance(listed, list) else [None]
    flags = isinstance(exposes, bool) and isinstance(confidential, bool)
    texts = isinstance(run_ops, list) and all(isinstance(op, str) for op in run_ops) and (name is None or isinstance(name, str))
    found = tuple(port for port in ports if port is not None)
    whole = flags and texts and len(found) == len(ports)
    return DefinitionFacts(name, exposes, confidential, tuple(run_ops), found) if whole else None


def _port(value: Any) -> Port | None:
    if not isinstance(value, list) or [type(part) for part in value[:2]] != [str, int] or len(value) != 3:
        return None
    op_id, op_index, number = value
    return Port(op_id, op_index, number) if isinstance(number, (int, float, str)) and not isinstance(number, bool) else None
