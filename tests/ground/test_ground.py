"""Whatever the machine under a module is like, it does its work or says one sentence: homes, disks, caches, umasks, networks, proxies, clocks."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import NAME, Ground, Ran, finish
from proxy import Asked, proxy

PASSWORD = "planted-Pr0xy-passw0rd"
# Five attempts and the pauses between them take some four seconds; a busy machine is slow.
SOON_SECONDS = 60
POST = {"name": "never", "image": "nginx", "market": "7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq", "state": "present"}


def found(ran: Ran) -> None:
    """The job was found, and nothing else is said."""
    assert ran.code == 0, ran.output
    assert [job["name"] for job in ran.result["jobs"]] == [NAME]
    assert not ran.result.get("warnings")


def failed(ran: Ran, code: str) -> str:
    """The one sentence of a failure."""
    message: str = ran.result["msg"]
    assert (ran.code, ran.result["failed"], ran.result["failure"]["code"]) == (1, True, code), ran.output
    assert "\n" not in message
    assert message.endswith(".")
    assert "Traceback" not in ran.output
    return message


# --- home and disk ---------------------------------------------------------------------------------------------------


def test_no_home(ground: Ground) -> None:
    found(ground.run(HOME=None, XDG_CACHE_HOME=None, **ground.without_a_password_file()))
    assert not ground.cache.exists()


@pytest.mark.parametrize("home", ["/proc", "/dev/null", "relative"])
def test_a_home_where_nothing_can_be_written(ground: Ground, home: str) -> None:
    found(ground.run(HOME=home, **ground.without_a_password_file()))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere; /proc stands for it above")
def test_a_read_only_home(ground: Ground) -> None:
    ground.home.chmod(0o500)
    found(ground.run())
    assert not ground.cache.exists()


@pytest.mark.parametrize("most_bytes", [0, 4096])
def test_a_full_disk(ground: Ground, most_bytes: int) -> None:
    """No file may grow beyond that, as if the disk had no more."""
    found(ground.run(begin=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))))
    found(ground.run())
    assert known(ground.cache) > 0


# --- the cache -------------------------------------------------------------------------------------------------------


def known(cache: Path) -> int:
    """How many facts are in the cache, which has to be whole."""
    with sqlite3.connect(f"file:{cache}?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (number,) = connection.execute("SELECT count(*) FROM facts").fetchone()
    connection.close()
    return int(number)


@pytest.mark.parametrize("content", [b"", b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000, "another version", "a directory"])
def test_a_damaged_cache(ground: Ground, content: bytes | str) -> None:
    ground.cache.parent.mkdir(mode=0o700, parents=True)
    if content == "a directory":
        ground.cache.mkdir()
    elif content == "another version":
        with sqlite3.connect(ground.cache) as connection:
            connection.execute("CREATE TABLE facts (fact TEXT, since INTEGER)")
            connection.execute("PRAGMA user_version = 7")
        connection.close()
    else:
        assert isinstance(content, bytes)
        ground.cache.write_bytes(content)
    found(ground.run())
    if content != "a directory":
        assert known(ground.cache) > 0


def test_two_processes_write_it_at_once(ground: Ground) -> None:
    begun = time.monotonic()
    processes = [ground.start("nosana_job_info", {"name": NAME}, {}, None) for _process in range(3)]
    for process in processes:
        found(finish(process, begun))
    assert known(ground.cache) > 0


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_only_the_user_can_read_it_and_it_holds_no_secret(ground: Ground, mask: int) -> None:
    token = "planted-token-of-the-pinning-service"
    found(ground.run(begin=lambda: os.umask(mask) and None, NOSANA_IPFS_JWT=token))
    assert stat.S_IMODE(ground.cache.stat().st_mode) == 0o600
    assert stat.S_IMODE(ground.cache.parent.stat().st_mode) == 0o700
    wallet = Path(ground.environment["NOSANA_WALLET"]).read_bytes().strip()
    content = ground.cache.read_bytes()
    assert known(ground.cache) > 0
    assert token.encode() not in content
    assert wallet not in content


# --- the network -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "module", "options"),
    [("http://127.0.0.1:1", "nosana_job_info", {"name": NAME}), ("https://nowhere.invalid", "nosana_job", POST)],
)
def test_no_network(ground: Ground, url: str, module: str, options: dict[str, Any]) -> None:
    ran = ground.run(module, options=options, NOSANA_RPC_URL=url)
    message = failed(ran, "unreachable")
    assert "connection failed" in message
    assert "NOSANA_RPC_URL" in message
    assert ran.seconds < SOON_SECONDS
    assert ran.result.get("changed", False) is False


@pytest.fixture
def asked(ground: Ground) -> Iterator[Asked]:
    with proxy(ground.network.url) as found_proxy:
        yield found_proxy


FAR = "node.far.invalid"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_proxy_of_the_environment_is_used(ground: Ground, asked: Asked, name: str) -> None:
    proxies = {name: f"http://me:{PASSWORD}@{asked.address}", "NO_PROXY": "127.0.0.1"}
    found(ground.run(NOSANA_RPC_URL=f"http://{FAR}/", **proxies))
    assert set(asked.hosts) == {FAR}
    assert all(password and password.startswith("Basic ") for password in asked.passwords)


def test_what_no_proxy_names_is_asked_directly(ground: Ground, asked: Asked) -> None:
    everything = {"HTTP_PROXY": f"http://{asked.address}", "HTTPS_PROXY": f"http://{asked.address}"}
    found(ground.run(NO_PROXY="127.0.0.1,.localhost", **everything))
    assert asked.hosts == []
    failed(ground.run(NOSANA_RPC_URL=f"http://{FAR}/", NO_PROXY=FAR, **everything), "unreachable")
    assert asked.hosts == []


@pytest.mark.parametrize("refuses", [True, False])
def test_a_proxy_that_lets_nobody_through_tells_nobody_its_password(ground: Ground, asked: Asked, refuses: bool) -> None:
    asked.refuses = refuses
    ran = ground.run(NOSANA_RPC_URL=f"https://{FAR}/", HTTPS_PROXY=f"http://me:{PASSWORD}@{asked.address}", NOSANA_DEBUG="1")
    assert "the proxy of the environment refuses" in failed(ran, "unreachable")
    assert FAR in asked.hosts
    assert PASSWORD not in ran.output


def test_a_proxy_that_wants_another_password(ground: Ground, asked: Asked) -> None:
    asked.refuses = True
    ran = ground.run(NOSANA_RPC_URL=f"http://{FAR}/", HTTP_PROXY=f"http://me:{PASSWORD}@{asked.address}", NO_PROXY="127.0.0.1")
    assert "HTTP 407" in failed(ran, "refused")
    assert PASSWORD not in ran.output


# --- the clock -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-13, 13])
def test_a_clock_that_is_off_by_hours(ground: Ground, hours: int) -> None:
    wrong = ground.with_the_time_off_by(hours * 3600)
    job = {"name": f"clock {hours}", "image": "nginx", "market": "nvidia-3060", "state": "present"}
    first, second = (ground.run("nosana_job", options=job, **wrong).result for _turn in range(2))
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["id"] == second["id"]
    assert second["status"] == "pending"
