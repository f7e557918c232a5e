"""Ops in containers: reached by name and port, cut off from the outside, bounded, and nothing of them is left, even after a kill -9."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from network import Poster, definition, op_of, runs, until

from nosana_localnet.hosts.flow import service_label
from nosana_localnet.server import DOMAIN, Network, Settings, run

IMAGE = "localhost/nosana-test:1"
pytestmark = pytest.mark.asyncio(loop_scope="module")


def podman(*words: str, given: bytes | None = None) -> str:
    return subprocess.run(["podman", *words], input=given, capture_output=True, check=True).stdout.decode()


def prepare_image() -> str | None:
    """Why containers cannot be tested here, or None when the image is there."""
    if shutil.which("podman") is None:
        return "podman is not installed"
    busybox = shutil.which("busybox")
    if busybox is None:
        return "busybox (busybox-static), of which the test's image is made, is not installed"
    try:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            for name in ("bin", "tmp", "etc", "proc", "sys", "dev", "root"):
                (root / name).mkdir()
            shutil.copy(busybox, root / "bin" / "busybox")
            for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
                if name != "busybox":
                    (root / "bin" / name).symlink_to("busybox")
            (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="utf-8")
            # A static busybox brings no libraries to look names up with, but it can read /etc/hosts.
            (root / "etc" / "nsswitch.conf").write_text("hosts: files\n", encoding="utf-8")
            archive = subprocess.run(["tar", "-C", scratch, "-c", "."], capture_output=True, check=True).stdout
        podman("import", "-", IMAGE, given=archive)
        podman("run", "--rm", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--network", "none", IMAGE, "true")
    except subprocess.CalledProcessError as error:
        return f"podman does not work here: {error.stderr.decode()[-200:]}"
    return None


@pytest.fixture(scope="module")
def image() -> None:
    reason = prepare_image()
    if reason is not None:
        pytest.skip(reason)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(image: None) -> AsyncIterator[Network]:
    os.environ["PLANTED_SECRET"] = "planted-secret-of-the-caller"
    async with run(Settings(port=0, runner="podman", hosts={"nvidia-3060": 2})) as started:
        yield started


@pytest.fixture
def poster(network: Network) -> Poster:
    return Poster(network)


def op(name: str, command: str, **args: Any) -> dict[str, Any]:
    group = args.pop("group", None)
    after = {"depends_on": args.pop("after")} if "after" in args else {}
    return {"id": name, "args": {"image": IMAGE, "cmd": command, **args}} | ({"execution": {"group": group, **after}} if group else {})


def out(entry: dict[str, Any]) -> str:
    return "".join(line["log"] for line in entry["logs"] if line["type"] == "stdout")


def left_over(job: object) -> list[str]:
    """The kinds of things that still bear a job's name."""
    listed = {"container": ["ls", "--all"], "network": ["ls"], "volume": ["ls"]}
    return [kind for kind, words in listed.items() if str(job) in podman(kind, *words)]


async def test_an_op_runs_in_a_container_with_its_own_environment_and_exit_code(poster: Poster) -> None:
    env = {"PATH": "/bin", "WORD": "said"}
    job = poster.post(definition(op("one", "echo $WORD; env; exit 7", env=env, work_dir="/tmp")))
    result = await poster.result(job)
    (entry,) = result["opStates"]
    assert (entry["status"], entry["exitCode"]) == ("failed", 7)
    assert out(entry).startswith("said\n")
    assert f"NOSANA_ID={job}" in out(entry)
    assert "planted-secret-of-the-caller" not in json.dumps(result)
    assert (entry["diagnostics"]["state"]["ExitCode"], entry["diagnostics"]["state"]["OOMKilled"]) == (7, False)
    assert left_over(job) == []


async def test_ops_reach_each_other_by_name_and_nothing_else(network: Network, poster: Poster) -> None:
    check = {"type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": False}
    expose = [{"port": 8080, "health_checks": [check]}]
    serve = op("web", "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp", expose=expose, group="g", aliases="site, www")
    get = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5"  # busybox's own wget does not survive in an image without libraries
    outside = "ip route | grep default || echo cut off"
    ask = f"for name in %%ops.web.host%% site www; do {get} $name 8080 | tail -n 1; done; {outside}"
    job = poster.post(definition(serve, op("asker", ask, group="g", after=["web"])))
    await until(lambda: (asker := op_of(network, job, 1)) and asker.end_ms is not None)
    async with ClientSession() as client:
        name = f"{service_label(0, 8080, str(job))}.{DOMAIN}"
        async with client.get(network.url, headers={"Host": name}) as answer:
            assert await answer.text() == "hello\n"
    poster.end(job)
    asker = (await poster.result(job))["opStates"][1]
    assert out(asker) == "hello\n" * 3 + "cut off\n"
    assert left_over(job) == []


async def test_a_volume_lasts_as_long_as_its_job(poster: Poster) -> None:
    mount = {"volumes": [{"name": "data", "dest": "/data"}]}
    job = poster.post(definition(op("write", "echo kept > /data/f", **mount), op("read", "cat /data/f", **mount)))
    result = await poster.result(job)
    assert out(result["opStates"][1]) == "kept\n"
    assert left_over(job) == []


async def test_an_image_that_cannot_be_had_and_a_command_that_is_not_there(poster: Poster) -> None:
    missing = op("one", "true") | {"args": {"image": "localhost/nowhere:1", "cmd": "true"}}
    entry = (await poster.result(poster.post(definition(missing))))["opStates"][0]
    assert (entry["status"], entry["exitCode"], entry["errors"][0]["code"]) == ("failed", 2, 404)
    absent = {"id": "one", "args": {"image": IMAGE, "cmd": ["/bin/nothing"]}}
    entry = (await poster.result(poster.post(definition(absent))))["opStates"][0]
    assert (entry["status"], entry["exitCode"], entry["errors"][0]["event"]) == ("failed", 2, "container-start")


async def test_a_container_is_stopped_with_its_job(poster: Poster) -> None:
    job = poster.post(definition(op("one", "sleep 600")))
    await runs(poster.network, job)
    poster.end(job)
    assert (await poster.result(job))["opStates"][0]["status"] == "stopped"
    assert left_over(job) == []


@pytest.mark.parametrize("runner", ["podman", "process"])
async def test_a_killed_network_leaves_nothing_that_runs(image: None, runner: str) -> None:
    """After a kill -9: processes end by themselves at once, containers when the next network starts."""
    script = Path(__file__).with_name("sleeper.py")
    with subprocess.Popen([sys.executable, str(script), runner], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        job = child.stdout.readline().strip()
        child.send_signal(signal.SIGKILL)
    if runner == "podman":
        assert left_over(job) != []
        async with run(Settings(port=0, runner="podman", hosts={"nvidia-3060": 1})):
            assert left_over(job) == []
        return
    deadline = time.monotonic() + 10
    while any(f"marker-{job}".encode() in command_line(pid) for pid in os.listdir("/proc") if pid.isdigit()):
        assert time.monotonic() < deadline


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


async def test_two_networks_at_once_do_not_disturb_each_other(network: Network) -> None:
    async with run(Settings(port=0, runner="podman", hosts={"nvidia-3060": 1})) as other:
        jobs = [poster.post(definition(op("one", "echo $NOSANA_ID"))) for poster in (Poster(network), Poster(other))]
        for poster, job in zip((Poster(network), Poster(other)), jobs, strict=True):
            assert out((await poster.result(job))["opStates"][0]) == f"{job}\n"
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getAccountInfo", "params": [str(jobs[0])]}).encode()
        async with ClientSession() as client, client.post(other.url, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert (await answer.json())["result"]["value"] is None
