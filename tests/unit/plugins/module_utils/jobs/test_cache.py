"""The cache of facts: what is put is got, and whatever is wrong with it, it is empty, silent and harmless."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nosana.compute.plugins.module_utils._clients.node import Port
from ansible_collections.nosana.compute.plugins.module_utils._jobs import cache as cache_file
from ansible_collections.nosana.compute.plugins.module_utils._jobs.cache import (
    DIRECTORY,
    FILE,
    MAX_VALUE_BYTES,
    Cache,
    facts_of_definition,
    keep_definition_facts,
    read_definition_facts,
)

FACTS = {
    "definition:QmA": {"name": "web", "exposes_port": True},
    "definition:QmB": {"name": None, "exposes_port": False},
    "run:X": ["Y", 7],
}
SOMEBODY_ELSE = 54321


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a directory that everybody may enter, wherever the tests put their temporary files."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.resolve().parents:
        pretend(monkeypatch, parent, user=0, bits=0o755)
    return tmp_path / "cache" / DIRECTORY


def pretend(monkeypatch: pytest.MonkeyPatch, path: Path, *, user: int, bits: int | None = None) -> None:
    """As if that file belonged to the user, and had those permissions."""
    original, real = Path.stat, path.resolve()

    def fake(self: Path, **kwargs: Any) -> os.stat_result:
        found = original(self, **kwargs)
        if os.fspath(self) != os.fspath(real):
            return found
        kept = found.st_mode if bits is None else stat.S_IFMT(found.st_mode) | bits
        return os.stat_result([kept, *found[1:4], user, *found[5:]])

    monkeypatch.setattr(Path, "stat", fake)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def useless(cache: Cache) -> None:
    """It has nothing, takes nothing, and says nothing."""
    assert cache.get(FACTS) == {}
    cache.put(FACTS)
    assert cache.get(FACTS) == {}


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr() == ("", "")


# --- what it is for --------------------------------------------------------------------------------------------------


def test_what_was_put_is_got_by_the_next_run(place: Path) -> None:
    Cache(place).put(FACTS)
    cache = Cache(place)
    assert cache.get(FACTS) == FACTS
    assert cache.get(["definition:QmA", "definition:unknown"]) == {"definition:QmA": FACTS["definition:QmA"]}
    assert cache.get([]) == cache.get(["definition:unknown"]) == {}


def test_the_later_fact_counts(place: Path) -> None:
    cache = Cache(place)
    cache.put({"run:X": "one", "run:Y": "stays"})
    cache.put({"run:X": "two"})
    assert cache.get(["run:X", "run:Y"]) == {"run:X": "two", "run:Y": "stays"}


def test_thousands_of_keys_at_once(place: Path) -> None:
    facts = {f"definition:{number}": number for number in range(3000)}
    cache = Cache(place)
    cache.put(facts)
    assert cache.get(facts) == facts


def test_nothing_is_written_that_is_known(place: Path) -> None:
    cache = Cache(place)
    cache.put(FACTS)
    before = (place / FILE).read_bytes(), (place / FILE).stat().st_mtime_ns
    cache.put(FACTS)
    assert ((place / FILE).read_bytes(), (place / FILE).stat().st_mtime_ns) == before


def test_text_of_every_kind_comes_back(place: Path) -> None:
    facts = {"definition:Q": {"name": "é 😀 \ud800 ' \" \0 %", "exposes_port": False}}
    Cache(place).put(facts)
    assert Cache(place).get(facts) == facts


def test_the_oldest_make_room(place: Path) -> None:
    cache = Cache(place, max_entries=10)
    for number in range(25):
        cache.put({f"k:{number}": number})
    keys = [f"k:{number}" for number in range(25)]
    assert list(cache.get(keys).values()) == [15, 16, 17, 18, 19, 20, 21, 22, 23, 24]
    cache.put({f"m:{number}": number for number in range(30)})
    assert len(cache.get(f"m:{number}" for number in range(30))) == 10


@pytest.mark.parametrize(
    "facts",
    [
        {"k": "x" * MAX_VALUE_BYTES},
        {"k": float("nan")},
        {"k": {1, 2}},
        {"k": b"x"},
        {"": 1},
        {"x" * 500: 1},
        {"é": 1},
        {7: 1},
        {None: 1},
    ],
    ids=repr,
)
def test_what_does_not_fit_is_left_out_and_the_rest_kept(place: Path, facts: dict[Any, Any]) -> None:
    cache = Cache(place)
    cache.put({**facts, "good": 1})
    assert cache.get([*facts, "good"]) == {"good": 1}


def test_deep_values_are_left_out(place: Path) -> None:
    deep: Any = []
    for _level in range(100_000):
        deep = [deep]
    cache = Cache(place)
    cache.put({"k": deep, "good": 1})
    assert cache.get(["k", "good"]) == {"good": 1}
    cache.put(None)  # type: ignore[arg-type]
    assert cache.get(None) == {}  # type: ignore[arg-type]


# --- where it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_only_the_user_may_enter_whatever_the_umask(place: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Cache(place).put(FACTS)
    finally:
        os.umask(before)
    assert (mode(place.parent), mode(place), mode(place / FILE)) == (0o700, 0o700, 0o600)
    assert Cache(place).get(FACTS) == FACTS


def test_reading_makes_nothing(place: Path) -> None:
    assert Cache(place).get(FACTS) == {}
    assert not place.parent.exists()


@pytest.mark.parametrize(
    ("environ", "where"),
    [
        ({}, None),
        ({"HOME": "{tmp}"}, "{tmp}/.cache/nosana.compute"),
        ({"HOME": "{tmp}", "NOSANA_CACHE": " "}, "{tmp}/.cache/nosana.compute"),
        ({"HOME": "{tmp}", "XDG_CACHE_HOME": "{tmp}/xdg"}, "{tmp}/xdg/nosana.compute"),
        ({"HOME": "{tmp}", "XDG_CACHE_HOME": "relative"}, "{tmp}/.cache/nosana.compute"),
        ({"HOME": "{tmp}", "NOSANA_CACHE": "{tmp}/mine"}, "{tmp}/mine"),
        ({"HOME": "{tmp}", "NOSANA_CACHE": "off"}, None),
        ({"HOME": "{tmp}", "NOSANA_CACHE": "OFF"}, None),
        ({"HOME": "{tmp}", "NOSANA_CACHE": "relative"}, None),
        ({"HOME": "relative"}, None),
    ],
)
def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], where: str | None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where the user is in no list of users
    cache = Cache.of({key: value.format(tmp=tmp_path) for key, value in environ.items()})
    cache.put(FACTS)
    assert cache.get(FACTS) == (FACTS if where else {})
    made = [path.parent for path in tmp_path.rglob("*") if path.is_file()]
    assert made == ([Path(where.format(tmp=tmp_path))] if where else [])


def test_no_cache() -> None:
    useless(Cache.none())


# --- whatever is wrong -----------------------------------------------------------------------------------------------


def test_a_home_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    useless(Cache.of({"HOME": str(tmp_path / "file")}))
    useless(Cache.of({"HOME": str(tmp_path / "is" / "not" / "there")}))
    useless(Cache.of({"HOME": "/proc/self"}))
    useless(Cache.of({"HOME": str(tmp_path / ("x" * 300))}))
    useless(Cache.of({"HOME": f"{tmp_path}\0"}))
    assert not (tmp_path / "is").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes wherever it likes")
def test_a_home_that_is_read_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    useless(Cache.of({"HOME": str(tmp_path)}))


def test_a_file_system_that_is_read_only(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        for name in ("mkdir", "open", "chmod"):
            patch.setattr(os, name, refuse)
        useless(Cache(place))


def test_no_sqlite(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(place).put(FACTS)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    useless(Cache(place))


@contextlib.contextmanager
def limited_to(connection_pages: int) -> Iterator[None]:
    """Every database may have so many pages: the error of sqlite is the one of a full disk."""
    original = cache_file._connect

    @contextlib.contextmanager
    def connect(file: Path) -> Iterator[sqlite3.Connection]:
        with original(file) as connection:
            connection.execute(f"PRAGMA max_page_count = {connection_pages}")
            yield connection

    cache_file._connect = connect
    try:
        yield
    finally:
        cache_file._connect = original


def test_a_full_disk_keeps_what_was_there(place: Path) -> None:
    cache = Cache(place)
    cache.put(FACTS)
    with limited_to(4):
        cache.put({f"k:{number}": "x" * 4000 for number in range(100)})
        assert cache.get(FACTS) == FACTS
    assert cache.get(["k:1"]) == {}


def test_a_disk_that_is_full_from_the_start(place: Path) -> None:
    with limited_to(1):
        useless(Cache(place))


@pytest.mark.parametrize(
    "content", [b"", b"x", b"not a database, but long enough to have a header" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_made_anew(place: Path, content: bytes) -> None:
    Cache(place).put({"old": 1})
    (place / FILE).write_bytes(content)
    cache = Cache(place)
    assert cache.get(["old"]) == {}
    cache.put(FACTS)
    assert cache.get([*FACTS, "old"]) == FACTS
    assert mode(place / FILE) == 0o600


def test_damage_anywhere_loses_facts_and_never_changes_one(place: Path) -> None:
    facts = {f"definition:{number}": {"name": f"name-{number}", "exposes_port": bool(number % 2)} for number in range(300)}
    cache = Cache(place)
    cache.put(facts)
    whole = (place / FILE).read_bytes()
    chance = random.Random(5)
    for turn in range(150):
        damaged = bytearray(whole)
        for _spot in range(chance.choice([1, 10, 1000])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (place / FILE).write_bytes(damaged if turn % 3 else damaged[: chance.randrange(len(damaged))])
        got = cache.get(facts)
        assert all(facts[key] == value for key, value in got.items())
        cache.put({"new": turn})
        assert cache.get(["new"]) in ({"new": turn}, {})
        (place / f"{FILE}-journal").unlink(missing_ok=True)
        (place / FILE).write_bytes(whole)
        assert cache.get(facts) == facts


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE facts (other TEXT)", "CREATE VIEW facts AS SELECT 1 AS key, 2 AS value, 3 AS digest", "CREATE TABLE t (x)"]
)
def test_tables_that_are_not_ours_are_replaced(place: Path, statement: str) -> None:
    Cache(place).put({})
    place.mkdir(parents=True, mode=0o700)
    with contextlib.closing(sqlite3.connect(place / FILE)) as connection:
        connection.execute(statement)
    (place / FILE).chmod(0o600)
    cache = Cache(place)
    assert cache.get(FACTS) == {}
    cache.put(FACTS)
    assert cache.get(FACTS) == FACTS


def test_another_version_has_another_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(place).put(FACTS)
    monkeypatch.setattr(cache_file, "FILE", "facts-v2.sqlite3")
    assert Cache(place).get(FACTS) == {}
    Cache(place).put({"run:X": 2})
    monkeypatch.setattr(cache_file, "FILE", FILE)
    assert Cache(place).get(FACTS) == FACTS


@pytest.mark.parametrize("kind", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_database_that_somebody_locks(place: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(cache_file, "_BUSY_SECONDS", 0.02)
    cache = Cache(place)
    cache.put(FACTS)
    with contextlib.closing(sqlite3.connect(place / FILE, isolation_level=None)) as other:
        other.execute(f"BEGIN {kind}")
        other.execute("DELETE FROM facts")
        cache.put({"new": 1})
        assert cache.get(FACTS) == ({} if kind == "EXCLUSIVE" else FACTS)
        other.execute("ROLLBACK")
    assert cache.get([*FACTS, "new"]) == FACTS


def test_a_reader_in_this_process_keeps_its_lock(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening and closing the file beside sqlite would end its locks, and another process would write into the middle of a transaction."""
    monkeypatch.setattr(cache_file, "_BUSY_SECONDS", 0.02)
    Cache(place).put(FACTS)
    with contextlib.closing(sqlite3.connect(place / FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        Cache(place).get(FACTS)
        child = multiprocessing.get_context("fork").Process(target=Cache(place).put, args=({"new": 1},))
        child.start()
        child.join()
        other.execute("ROLLBACK")
    assert Cache(place).get(["new"]) == {}


# --- many processes --------------------------------------------------------------------------------------------------


def _work(place: Path, number: int) -> None:
    cache = Cache(place)
    for turn in range(10):
        cache.put({f"shared:{turn}": turn, f"own:{number}:{turn}": [number, turn]})
        if any(value != int(key.partition(":")[2]) for key, value in cache.get(f"shared:{turn}" for turn in range(10)).items()):
            os._exit(1)


def test_twenty_processes_that_write(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_file, "_BUSY_SECONDS", 60)  # on a slow machine, too, nobody gives up
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_work, args=(place, number)) for number in range(20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 20
    keys = [f"own:{number}:{turn}" for number in range(20) for turn in range(10)]
    assert Cache(place).get(keys) == {key: [int(part) for part in key.split(":")[1:]] for key in keys}
    with contextlib.closing(sqlite3.connect(place / FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _break(place: Path, number: int) -> None:
    cache = Cache(place)
    for turn in range(10):
        if number % 4 == 0:
            with contextlib.suppress(OSError):
                (place / FILE).write_bytes(b"broken" * 1000)
        cache.put({f"own:{number}:{turn}": [number, turn], "shared": "same"})
        if cache.get(["shared"]) not in ({}, {"shared": "same"}):
            os._exit(1)


def test_processes_that_write_while_others_break_the_file(place: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_break, args=(place, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    Cache(place).put({"after": 1})
    assert Cache(place).get(["after"]) == {"after": 1}


# --- poison ----------------------------------------------------------------------------------------------------------


def test_a_cache_of_somebody_else_is_not_believed(place: Path) -> None:
    Cache(place).put(FACTS)
    before = (place / FILE).read_bytes()
    useless(Cache(place, user=SOMEBODY_ELSE))
    assert (place / FILE).read_bytes() == before


@pytest.mark.parametrize("which", ["home", "cache", "directory", "file"])
def test_what_belongs_to_somebody_else_is_not_believed(place: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    Cache(place).put(FACTS)
    path = {"home": place.parents[1], "cache": place.parent, "directory": place, "file": place / FILE}[which]
    pretend(monkeypatch, path, user=SOMEBODY_ELSE)
    useless(Cache(place))


def test_nothing_is_made_in_somebody_elses_home(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, place.parents[1], user=SOMEBODY_ELSE)
    useless(Cache(place))
    assert not place.parent.exists()


@pytest.mark.parametrize("bits", [0o020, 0o002])
@pytest.mark.parametrize("which", ["home", "cache", "directory", "file"])
def test_what_others_may_write_is_not_believed(place: Path, which: str, bits: int) -> None:
    Cache(place).put(FACTS)
    place.parent.chmod(0o755)
    path = {"home": place.parents[1], "cache": place.parent, "directory": place, "file": place / FILE}[which]
    path.chmod(mode(path) | bits)
    if which == "directory":
        path.chmod(0o755 | bits)
    useless(Cache(place))
    path.chmod(mode(path) & ~0o022)
    assert Cache(place).get(FACTS) == FACTS


def test_modes_do_not_matter_where_nobody_else_may_enter(place: Path) -> None:
    place.parents[1].chmod(0o700)
    place.parent.mkdir()
    place.parent.chmod(0o775)  # as where every user has a group of their own
    Cache(place).put(FACTS)
    assert Cache(place).get(FACTS) == FACTS


def test_a_file_that_leads_elsewhere_is_not_believed(place: Path) -> None:
    Cache(place).put(FACTS)
    (place / FILE).rename(place / "elsewhere")
    (place / FILE).symlink_to(place / "elsewhere")
    useless(Cache(place))
    (place / FILE).unlink()
    (place / FILE).mkdir()
    useless(Cache(place))
    (place / FILE).rmdir()
    os.mkfifo(place / FILE)
    useless(Cache(place))


def test_a_home_behind_a_link_works(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "real")
    cache = Cache.of({"HOME": str(tmp_path / "home")})
    cache.put(FACTS)
    assert cache.get(FACTS) == FACTS


# --- facts about definitions -----------------------------------------------------------------------------------------


def definition(**args: Any) -> dict[str, Any]:
    return {"meta": {"name": "web"}, "ops": [{"args": {"image": "nginx", **args}}]}


@pytest.mark.parametrize(
    ("document", "name", "exposes"),
    [
        (definition(), "web", False),
        (definition(expose=80), "web", True),
        (definition(expose=[{"port": 80}]), "web", True),
        (definition(expose="%%global.variables.PORT%%"), "web", True),
        (definition(expose={"__spread__": "x"}), "web", True),
        (definition(expose={"port": 80}), "web", False),
        (definition(expose=[]), "web", False),
        (definition(expose=[None, {}, ""]), "web", False),
        (definition(expose=True), "web", False),
        ({"meta": {"name": 7}, "ops": 7}, None, False),
        ({"meta": {"name": ["web"]}, "ops": [7, {"args": 7}, {}]}, None, False),
        ({"meta": "web", "ops": {"args": {"expose": 80}}}, None, False),
        ({}, None, False),
        ([], None, False),
        ("web", None, False),
        (None, None, False),
    ],
)
def test_facts_of_whatever_was_pinned(tmp_path: Path, document: Any, name: str | None, exposes: bool) -> None:
    facts = facts_of_definition(document)
    assert (facts.name, facts.exposes_port) == (name, exposes)
    cache = Cache(tmp_path)
    keep_definition_facts(cache, {"Qm": facts})
    assert read_definition_facts(cache, ["Qm", "other"]) == {"Qm": facts}


def test_facts_that_a_verdict_needs() -> None:
    document = {
        "logistics": {},
        "ops": [
            {"type": "container/create-volume", "id": "volume"},
            {"type": "container/run", "id": "one"},
            {"type": "container/run", "id": 2},
        ],
    }
    facts = facts_of_definition(document)
    assert (facts.confidential, facts.run_ops) == (True, ("one",))


def test_facts_that_the_addresses_of_services_need(tmp_path: Path) -> None:
    document = {
        "ops": [
            {"id": "volume"},
            {"id": "hidden", "args": {"expose": 22, "private": True}},
            {"id": "web", "args": {"expose": [80, {"port": 9000.0}, "8000-8010"]}},
        ]
    }
    facts = facts_of_definition(document)
    assert facts.ports == (Port("web", 2, 80), Port("web", 2, 9000.0), Port("web", 2, "8000-8010"))
    keep_definition_facts(Cache(tmp_path), {"Qm": facts})
    assert read_definition_facts(Cache(tmp_path), ["Qm"]) == {"Qm": facts}


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "web",
        [],
        {},
        ["web", True, False],
        ["web", True, False, []],
        [7, True, False, [], []],
        ["web", 1, False, [], []],
        ["web", True, None, [], []],
        ["web", True, False, "op", []],
        ["web", True, False, [7], []],
        ["web", True, False, [], 1],
        ["web", True, False, [], [["op", 0]]],
        ["web", True, False, [], [[7, 0, 80]]],
        ["web", True, False, [], [["op", True, 80]]],
        ["web", True, False, [], [["op", 0, None]]],
        ["web", True, False, [], [["op", 0, 80], 7]],
        ["web", True, False, [], [], 1],
    ],
)
def test_facts_that_are_none(tmp_path: Path, value: Any) -> None:
    cache = Cache(tmp_path)
    cache.put({"definition:Qm": value})
    assert read_definition_facts(cache, ["Qm"]) == {}
