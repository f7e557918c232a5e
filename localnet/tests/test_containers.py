"""Ops in containers: reached by name and port, cut off from the outside, bounded, and nothing of them is left, even after a kill -9."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from network import Poster, definition, host_of, op_of, printed, runs, until

from nosana_localnet.hosts import container
from nosana_localnet.hosts.flow import service_label
from nosana_localnet.server import DOMAIN, Network, Settings, Unusable, choose_runner, run

IMAGE = "localhost/nosana-test:1"
ENGINE_SECONDS = 20
WORLD = "the world outside"
pytestmark = pytest.mark.asyncio(loop_scope="module")


def said(engine: str, *words: str, given: bytes | None = None) -> str:
    return subprocess.run([engine, *words], input=given, capture_output=True, check=True, timeout=ENGINE_SECONDS).stdout.decode()


def prepare_image(engine: str) -> str | None:
    """Why containers of an engine cannot be tested here, or None when the image is there."""
    busybox = shutil.which("busybox")
    if busybox is None:
        return "busybox (busybox-static), of which the test's image is made, is not installed"
    try:
        if IMAGE not in said(engine, "images", "--format", "{{.Repository}}:{{.Tag}}").split():
            make_image(engine, busybox)
        said(engine, "run", "--rm", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--network", "none", IMAGE, "true")
    except subprocess.CalledProcessError as error:
        return f"{engine} does not work here: {error.stderr.decode()[-200:]}"
    except subprocess.TimeoutExpired:
        return f"{engine} does not work here: no answer in {ENGINE_SECONDS} s"
    return None


def make_image(engine: str, busybox: str) -> None:
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
    said(engine, "import", "-", IMAGE, given=archive)


@contextmanager
def docker_daemon(directory: Path) -> Iterator[None]:
    """A daemon for docker's command line: the one that answers, or else podman, which speaks its language."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=ENGINE_SECONDS).returncode == 0:
        yield
        return
    if shutil.which("podman") is None:
        pytest.skip("no docker daemon answers, and podman, which could stand in for it, is not installed")
    place = directory / "engine.sock"
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(["podman", "system", "service", "--time", "0", f"unix://{place}"], stderr=subprocess.DEVNULL) as service,
    ):
        try:
            deadline = time.monotonic() + ENGINE_SECONDS
            while not place.exists():
                assert service.poll() is None, "podman system service ended"
                assert time.monotonic() < deadline, "podman system service did not start"
                time.sleep(0.05)
            patch.setenv("DOCKER_HOST", f"unix://{place}")
            yield
        finally:
            service.terminate()


@pytest.fixture(scope="module", params=["podman", "docker"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine that works here and has the image."""
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    with docker_daemon(tmp_path_factory.mktemp("docker")) if name == "docker" else nullcontext():
        reason = prepare_image(name)
        if reason is not None:
            pytest.skip(reason)
        yield name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(engine: str) -> AsyncIterator[Network]:
    os.environ["PLANTED_SECRET"] = "planted-secret-of-the-caller"
    async with run(Settings(port=0, runner=engine, hosts={"nvidia-3060": 2})) as started:
        yield started


@pytest.fixture
def bounded(engine: str) -> None:
    """Not where the engine has no say over memory, as podman without root on cgroups v1."""
    words = ["run", "--rm", *container.LIMITS, "--network", "none", IMAGE, "true"]
    tried = subprocess.run([engine, *words], capture_output=True, check=True, text=True)
    if "not supported" in tried.stderr:
        pytest.skip(tried.stderr.strip())


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web server in a world outside of this machine: a network namespace, to which the machine is the way."""
    space, link = f"nosana-{os.getpid()}", f"nos{os.getpid()}"
    gateway, server = "198.51.100.1", "198.51.100.2"  # of TEST-NET-2, which is nobody's
    inside = ["ip", "netns", "exec", space]
    page = tmp_path_factory.mktemp("outside") / "index.html"
    page.write_text(f"{WORLD}\n", encoding="utf-8")
    steps = [
        ["ip", "netns", "add", space],
        ["ip", "link", "add", link, "type", "veth", "peer", "name", "world", "netns", space],
        ["ip", "address", "add", f"{gateway}/30", "dev", link],
        ["ip", "link", "set", link, "up"],
        [*inside, "ip", "address", "add", f"{server}/30", "dev", "world"],
        [*inside, "ip", "link", "set", "world", "up"],
        [*inside, "ip", "route", "add", "default", "via", gateway],
    ]
    try:
        for step in steps:
            try:
                subprocess.run(step, capture_output=True, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                pytest.skip(f"no network namespace can be made here: {error}")
        with subprocess.Popen([*inside, "busybox", "httpd", "-f", "-p", "8080", "-h", str(page.parent)]) as httpd:
            try:
                yield server
            finally:
                httpd.terminate()
    finally:
        subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)


@pytest.fixture
def poster(network: Network) -> Poster:
    return Poster(network)


def op(name: str, command: str, **args: Any) -> dict[str, Any]:
    group = args.pop("group", None)
    after = {"depends_on": args.pop("after")} if "after" in args else {}
    return {"id": name, "args": {"image": IMAGE, "cmd": command, **args}} | ({"execution": {"group": group, **after}} if group else {})


def get(host: str) -> str:
    """A command that prints a page. busybox's own wget does not survive in an image without libraries."""
    return f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {host} 8080"


def out(entry: dict[str, Any]) -> str:
    return "".join(line["log"] for line in entry["logs"] if line["type"] == "stdout")


def left_over(engine: str, job: object) -> list[str]:
    """The kinds of things that still bear a job's name."""
    listed = {"container": ["ls", "--all"], "network": ["ls"], "volume": ["ls"]}
    return [kind for kind, words in listed.items() if str(job) in said(engine, kind, *words)]


async def test_an_op_runs_in_a_container_with_its_own_environment_and_exit_code(engine: str, poster: Poster) -> None:
    env = {"PATH": "/bin", "WORD": "said"}
    job = poster.post(definition(op("one", "echo $WORD; env; exit 7", env=env, work_dir="/tmp")))
    result = await poster.result(job)
    (entry,) = result["opStates"]
    assert (entry["status"], entry["exitCode"]) == ("failed", 7)
    assert out(entry).startswith("said\n")
    assert f"NOSANA_ID={job}" in out(entry)
    assert "planted-secret-of-the-caller" not in json.dumps(result)
    assert (entry["diagnostics"]["state"]["ExitCode"], entry["diagnostics"]["state"]["OOMKilled"]) == (7, False)
    assert left_over(engine, job) == []


@pytest.mark.long
async def test_ops_reach_each_other_by_name(engine: str, network: Network, poster: Poster) -> None:
    check = {"type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": False}
    expose = [{"port": 8080, "health_checks": [check]}]
    serve = op("web", "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp", expose=expose, group="g", aliases="site, www")
    ask = f"for name in %%ops.web.host%% site www; do {get('$name')} | tail -n 1; done"
    job = poster.post(definition(serve, op("asker", ask, group="g", after=["web"])))
    await until(lambda: (asker := op_of(network, job, 1)) and asker.end_ms is not None)
    async with ClientSession() as client:
        name = f"{service_label(0, 8080, str(job))}.{DOMAIN}"
        async with client.get(network.url, headers={"Host": name}) as answer:
            assert await answer.text() == "hello\n"
    poster.end(job)
    asker = (await poster.result(job))["opStates"][1]
    assert out(asker) == "hello\n" * 3
    assert left_over(engine, job) == []


@pytest.mark.long
async def test_an_op_has_no_way_out(poster: Poster, outside: str) -> None:
    (entry,) = (await poster.result(poster.post(definition(op("one", f"{get(outside)} || echo cut off")))))["opStates"]
    assert out(entry) == "cut off\n"


@pytest.mark.long
async def test_ops_of_a_group_start_at_the_same_time(engine: str, poster: Poster) -> None:
    mount = {"volumes": [{"name": "data", "dest": "/data"}], "group": "g"}
    job = poster.post(definition(*(op(name, f"echo {name}", **mount) for name in ("a", "b", "c"))))
    result = await poster.result(job)
    assert [(entry["status"], out(entry)) for entry in result["opStates"]] == [("success", f"{name}\n") for name in ("a", "b", "c")]
    assert left_over(engine, job) == []


@pytest.mark.long
async def test_an_op_cannot_take_all_of_the_machine(engine: str, poster: Poster) -> None:
    many = "n=0; while [ $n -lt 1100 ]; do sleep 60 & n=$((n + 1)); done; echo more than a thousand"
    job = poster.post(definition(op("one", f"ulimit -n; grep NoNewPrivs /proc/self/status; {many}")))
    (entry,) = (await poster.result(job))["opStates"]
    assert out(entry).split() == ["1024", "NoNewPrivs:", "1"]
    assert entry["status"] == "failed"  # it cannot fork any more
    assert left_over(engine, job) == []


@pytest.mark.long
async def test_an_op_has_so_much_memory(bounded: None, poster: Poster) -> None:
    memory = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true"
    (entry,) = (await poster.result(poster.post(definition(op("one", memory)))))["opStates"]
    assert out(entry).split() == [str(8 * 1024**3)]


@pytest.mark.long
async def test_what_an_engine_warns_of_stands_in_the_log(
    engine: str, poster: Poster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / engine
    command.write_text(
        f"#!/bin/sh\n{shutil.which(engine)} \"$@\"\ncode=$?\n[ $1 != create ] || echo 'Bounds are ignored.' >&2\nexit $code\n",
        encoding="utf-8",
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (entry,) = (await poster.result(poster.post(definition(op("one", "echo done")))))["opStates"]
    assert [line["log"] for line in entry["logs"]][:2] == [
        f"{engine} warns: Bounds are ignored.\n",
        f"Run in a {engine} container of the image {IMAGE}.\n",
    ]
    assert out(entry) == "done\n"


@pytest.mark.long
async def test_an_op_that_takes_too_much_memory_is_killed(
    bounded: None, poster: Poster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(container, "LIMITS", [{"8g": "32m"}.get(word, word) for word in container.LIMITS])
    job = poster.post(definition(op("one", "x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done")))
    (entry,) = (await poster.result(job))["opStates"]
    assert (entry["status"], entry["exitCode"]) == ("failed", 137)
    assert entry["diagnostics"]["state"]["ExitCode"] == 137  # OOMKilled is the engine's word, which podman does not say on cgroup v1
    assert list(tmp_path.iterdir()) == []  # podman's monitor notes it in a file where podman was started


@pytest.mark.long
async def test_an_op_sees_nothing_of_the_machine(network: Network, poster: Poster) -> None:
    look = f"nc -w 2 127.0.0.1 {network.port} </dev/null && echo reached; ps | grep -c . ; ls {Path(__file__)} 2>/dev/null"
    (entry,) = (await poster.result(poster.post(definition(op("one", look)))))["opStates"]
    assert int(out(entry)) < 10  # the lines of `ps`, and no other line


@pytest.mark.long
async def test_everything_that_was_printed_is_in_the_result(poster: Poster) -> None:
    job = poster.post(definition(op("one", "seq 1 20000")))
    (entry,) = (await poster.result(job))["opStates"]
    assert out(entry).split() == [str(number) for number in range(1, 20001)]


@pytest.mark.long
async def test_a_volume_lasts_as_long_as_its_job(engine: str, poster: Poster) -> None:
    mount = {"volumes": [{"name": "data", "dest": "/data"}]}
    job = poster.post(definition(op("write", "echo kept > /data/f", **mount), op("read", "cat /data/f", **mount)))
    result = await poster.result(job)
    assert out(result["opStates"][1]) == "kept\n"
    assert left_over(engine, job) == []


@pytest.mark.long
async def test_an_image_that_cannot_be_had_and_a_command_that_is_not_there(poster: Poster) -> None:
    missing = op("one", "true") | {"args": {"image": "localhost/nowhere:1", "cmd": "true"}}
    entry = (await poster.result(poster.post(definition(missing))))["opStates"][0]
    assert (entry["status"], entry["exitCode"], entry["errors"][0]["code"]) == ("failed", 2, 404)
    assert entry["errors"][0]["message"].startswith("The image localhost/nowhere:1 could not be pulled: ")
    assert entry["errors"][0]["message"].endswith(".")
    absent = {"id": "one", "args": {"image": IMAGE, "cmd": ["/bin/nothing"]}}
    entry = (await poster.result(poster.post(definition(absent))))["opStates"][0]
    assert (entry["status"], entry["exitCode"], entry["errors"][0]["event"]) == ("failed", 2, "container-start")


@pytest.mark.long
async def test_a_container_is_stopped_with_its_job(engine: str, poster: Poster) -> None:
    job = poster.post(definition(op("one", "sleep 600")))
    await runs(poster.network, job)
    poster.end(job)
    assert (await poster.result(job))["opStates"][0]["status"] == "stopped"
    assert left_over(engine, job) == []


@pytest.mark.long
async def test_a_stopped_job_does_not_wait_for_its_image(poster: Poster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as registry:  # it listens and never answers
        image = f"127.0.0.1:{registry.getsockname()[1]}/never:1"
        job = poster.post(definition(op("one", "true") | {"args": {"image": image, "cmd": "true"}}))
        await until(lambda: (op := op_of(poster.network, job)) and any("pulls it" in line["log"] for line in op.logs))
        poster.end(job)
        assert (await poster.result(job))["opStates"][0]["status"] == "stopped"


@pytest.mark.long
async def test_a_host_that_crashes_and_a_network_that_ends_leave_nothing(engine: str) -> None:
    async with run(Settings(port=0, runner=engine, hosts={"nvidia-3060": 2})) as ending:
        poster = Poster(ending)
        jobs = [poster.post(definition(op("one", "sleep 600", volumes=[{"name": "data", "dest": "/data"}]))) for _ in range(2)]
        for job in jobs:
            await runs(ending, job)
        await host_of(ending, jobs[0]).crash()
        assert left_over(engine, jobs[0]) == []
        assert left_over(engine, jobs[1]) == ["container", "network", "volume"]
    assert left_over(engine, jobs[1]) == []


@pytest.mark.long
async def test_a_way_out_is_asked_for(engine: str, outside: str) -> None:
    async with run(Settings(port=0, runner=engine, hosts={"nvidia-3060": 1}, outside=True)) as open_network:
        poster = Poster(open_network)
        serve = "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp"
        job = poster.post(definition(op("one", f"{get(outside)}; {serve}", expose=8080)))
        await printed(open_network, job, WORLD)
        name = f"{service_label(0, 8080, str(job))}.{DOMAIN}"
        await answers(open_network, name, "hello\n")
    assert left_over(engine, job) == []


async def answers(network: Network, name: str, text: str) -> None:
    """Until a service says so; it begins to listen a moment after it has started."""
    deadline = time.monotonic() + ENGINE_SECONDS
    async with ClientSession() as client:
        while True:
            async with client.get(network.url, headers={"Host": name}) as answer:
                if await answer.text() == text:
                    return
            assert time.monotonic() < deadline, "it did not answer in time"
            await asyncio.sleep(0.1)


async def test_without_the_image_the_automatic_choice_is_a_process_and_says_so_in_a_sentence(engine: str) -> None:
    async with run(Settings(port=0, runner="auto", hosts={"nvidia-3060": 1})) as started:
        missing = {"id": "one", "args": {"image": "localhost/nowhere:1", "cmd": "echo done"}}
        (entry,) = (await Poster(started).result(Poster(started).post(definition(missing))))["opStates"]
    assert (entry["status"], out(entry)) == ("success", "done\n")
    pulls, failed, how = [line["log"] for line in entry["logs"] if line["type"] == "nodeerr"]
    chosen = "podman" if shutil.which("podman") else engine
    assert pulls == f"The image localhost/nowhere:1 is not here; {chosen} pulls it, for 15 minutes at most.\n"
    assert failed.startswith("The image localhost/nowhere:1 could not be pulled: ")
    assert failed.endswith(". Using a process instead.\n")
    assert how.startswith("Run as a plain process, not in a container")


@pytest.mark.parametrize(
    ("says", "failed"),
    [
        ("[ $1 != info ] || exit 1", None),
        ("[ $1 != info ] || exec sleep 60", None),
        (
            "[ $1 != create ] || { echo no rights >&2; exit 125; }",
            "The container could not be started: no rights. Using a process instead.\n",
        ),
    ],
    ids=["refuses", "hangs", "creates nothing"],
)
async def test_an_engine_that_cannot_run_anything(says: str, failed: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("podman", "docker"):
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(container, "INFO_SECONDS", 0.2)
    if failed is None:
        with pytest.raises(Unusable, match="podman is not installed or does not answer to `podman info`"):
            await choose_runner("podman")
    async with run(Settings(port=0, runner="auto", hosts={"nvidia-3060": 1})) as started:
        (entry,) = (await Poster(started).result(Poster(started).post(definition(op("one", "echo done")))))["opStates"]
    assert out(entry) == "done\n"
    assert [line["log"] for line in entry["logs"] if line["type"] == "nodeerr"][:-1] == ([failed] if failed else [])


@pytest.mark.long
async def test_a_killed_network_leaves_nothing_of_its_containers(engine: str) -> None:
    """After a kill -9: what it has started ends by itself."""
    job = await killed(engine)
    await until(lambda: not processes_of(job) and not left_over(engine, job))


async def test_a_killed_network_leaves_nothing_of_its_processes() -> None:
    """Likewise."""
    job = await killed("process")
    await until(lambda: not processes_of(job))


@pytest.mark.long
async def test_what_nobody_could_remove_the_next_network_does(engine: str) -> None:
    """After a power cut, or when all of a network's processes were killed."""
    child, job = sleeper(engine)
    with child:
        for pid in (*children(child.pid), child.pid):
            os.kill(pid, signal.SIGKILL)
    assert left_over(engine, job) == ["container", "network"]
    async with run(Settings(port=0, runner=engine, hosts={"nvidia-3060": 1})):
        assert left_over(engine, job) == []


def sleeper(runner: str) -> tuple[subprocess.Popen[str], str]:
    """A network in a process of its own, and the job that runs there."""
    script = Path(__file__).with_name("sleeper.py")
    child = subprocess.Popen([sys.executable, str(script), runner], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, child.stdout.readline().strip()


async def killed(runner: str) -> str:
    """The job that such a network ran when it was killed."""
    child, job = sleeper(runner)
    await until(lambda: processes_of(job))
    with child:
        child.send_signal(signal.SIGKILL)
    return job


def processes_of(job: str) -> list[str]:
    """Numbers of the processes of a sleeper's job, inside of containers, too."""
    marker = f"marker-{job}".encode()
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and marker in environment(pid)]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def environment(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@pytest.mark.long
async def test_two_networks_at_once_do_not_disturb_each_other(engine: str, network: Network, poster: Poster) -> None:
    lasting = poster.post(definition(op("one", "sleep 600")))
    await runs(network, lasting)
    async with run(Settings(port=0, runner=engine, hosts={"nvidia-3060": 1})) as other:
        jobs = [poster.post(definition(op("one", "echo $NOSANA_ID"))) for poster in (Poster(network), Poster(other))]
        for owner, job in zip((Poster(network), Poster(other)), jobs, strict=True):
            assert out((await owner.result(job))["opStates"][0]) == f"{job}\n"
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getAccountInfo", "params": [str(jobs[0])]}).encode()
        async with ClientSession() as client, client.post(other.url, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert (await answer.json())["result"]["value"] is None
    running = op_of(network, lasting)
    assert running is not None
    assert running.is_running
    assert left_over(engine, lasting) == ["container", "network"]
    poster.end(lasting)
    assert (await poster.result(lasting))["opStates"][0]["status"] == "stopped"
