"""Hosts take jobs, run them, publish what happened, are paid, and wait again; services answer under the network's own names."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientSession, WSMsgType
from network import Poster, batch, definition, host_of, printed, runs, until

from nosana_localnet.ledger import token_address
from nosana_localnet.server import DOMAIN, Network, Settings, run

pytestmark = pytest.mark.asyncio(loop_scope="module")
SERVER = "import http.server,os; http.server.HTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler).serve_forever()"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network() -> AsyncIterator[Network]:
    os.environ["PLANTED_SECRET"] = "planted-secret-of-the-caller"
    async with run(Settings(port=0, runner="process", hosts={"nvidia-3060": 2})) as started:
        yield started


@pytest.fixture
def poster(network: Network) -> Poster:
    return Poster(network)


async def test_a_batch_job_runs_and_its_host_is_paid_and_waits_again(network: Network, poster: Poster) -> None:
    job = poster.post(batch("import sys; print('Processing...'); print('Done!'); print('oops', file=sys.stderr)"))
    result = await poster.result(job)
    (op,) = result["opStates"]
    assert (result["status"], op["status"], op["exitCode"], op["operationId"]) == ("success", "success", 0, "one")
    assert [line["log"] for line in op["logs"] if line["type"] == "stdout"] == ["Processing...\n", "Done!\n"]
    assert [line["log"] for line in op["logs"] if line["type"] == "stderr"] == ["oops\n"]
    assert "plain process" in op["logs"][0]["log"]
    account = poster.job(job)
    assert account["state"] == 2
    host = next(host for host in network.hosts if host.address == account["node"])
    earned = account["price"] * (account["time_end"] - account["time_start"])
    tokens = network.ledger.account(token_address(host.address))
    assert tokens is not None
    assert int.from_bytes(tokens.data[64:72], "little") >= earned
    await until(lambda: host.current is None)


async def test_an_exit_code_is_told(poster: Poster) -> None:
    result = await poster.result(poster.post(batch("raise SystemExit(3)")))
    assert (result["status"], result["opStates"][0]["status"], result["opStates"][0]["exitCode"]) == ("success", "failed", 3)


async def test_an_image_that_cannot_be_run_fails_as_on_the_network(poster: Poster) -> None:
    result = await poster.result(poster.post(definition({"id": "one", "args": {"image": "nginx:alpine"}})))
    op = result["opStates"][0]
    assert (result["status"], op["status"], op["exitCode"]) == ("success", "failed", 2)
    assert "nginx:alpine" in op["errors"][0]["message"]


async def test_the_environment_is_the_jobs_and_not_the_callers(poster: Poster) -> None:
    document = batch("import os, json; print(json.dumps(dict(os.environ)))", env={"OWN": "op", "BOTH": "op"})
    job = poster.post(document | {"global": {"env": {"GLOBAL": "%%global.job%%", "BOTH": "global"}}})
    printed = next(line["log"] for line in (await poster.result(job))["opStates"][0]["logs"] if line["type"] == "stdout")
    env = json.loads(printed)
    assert (env["OWN"], env["BOTH"], env["NOSANA_ID"]) == ("op", "op", str(job))
    assert "planted-secret-of-the-caller" not in printed


async def test_groups_run_in_order_and_literals_are_filled_in(poster: Poster) -> None:
    ops = [
        {"id": name, "args": {"image": "busybox", "cmd": f"echo {name} $MINE; date +%s%N", "env": {"MINE": "%%global.variables.WORD%%"}}}
        for name in ("first", "second")
    ]
    result = await poster.result(poster.post(definition(*ops) | {"global": {"variables": {"WORD": "filled"}}}))
    first, second = result["opStates"]
    assert first["endTime"] <= second["startTime"]
    assert next(line["log"] for line in first["logs"] if line["type"] == "stdout") == "first filled\n"
    missing = await poster.result(poster.post(batch("pass", env={"A": "%%global.variables.NOWHERE%%"})))
    assert (missing["opStates"][0]["status"], missing["opStates"][0]["exitCode"]) == ("failed", 0)


async def test_the_timeout_ends_a_job_and_an_extension_counts(network: Network, poster: Poster) -> None:
    job = poster.post(batch("import time; time.sleep(600)"), timeout=2)
    poster.extend(job, 3)
    began = time.monotonic()
    result = await poster.result(job)
    assert time.monotonic() - began > 1.9
    op = result["opStates"][0]
    assert (result["status"], op["status"]) == ("success", "success")
    assert op["diagnostics"]["reason"]["jobExpired"] is True


async def test_the_owner_ends_a_job_and_gets_the_result_all_the_same(poster: Poster) -> None:
    job = poster.post(batch("import time; print('up', flush=True); time.sleep(600)"))
    await printed(poster.network, job, "up")
    poster.end(job)
    result = await poster.result(job)
    assert (result["status"], result["opStates"][0]["status"]) == ("stopped", "stopped")
    assert result["opStates"][0]["diagnostics"]["reason"]["jobStopped"] is True


async def test_services_answer_by_their_names_in_any_case_and_through_the_proxy(network: Network, poster: Poster) -> None:
    job = poster.post(definition({"id": "web", "args": {"image": "nginx:alpine", "expose": 80}}))
    host = host_of(network, job)
    await runs(network, job)
    assert host.current is not None
    _op, _port, label = next(host.current.flow.services())
    async with ClientSession() as client:
        for name in (label, label.lower()):
            async with client.get(network.url, headers={"Host": f"{name}.{DOMAIN}:{network.port}"}) as answer:
                text = await answer.text()
                assert answer.status == 200
                assert "Stand-in" in text
                assert "nginx:alpine" in text
        async with client.get(f"http://{label}.{DOMAIN}:{network.port}/", proxy=network.url) as answer:
            assert answer.status == 200
        async with client.get(network.url, headers={"Host": f"{'x' * 44}.{DOMAIN}"}) as answer:
            assert answer.status == 404
        async with client.get("http://example.org/", proxy=network.url) as answer:
            assert answer.status == 403
        node = {"Host": f"{host.address}.{DOMAIN}"}
        async with client.get(network.url, headers=node) as answer:
            assert await answer.json() == str(host.address)
        for token, status in (
            ("", 401),
            (f"hello:{poster.key.sign_message(b'other')}", 401),
            (f"hello:{poster.key.sign_message(b'hello')}", 200),
        ):
            async with client.get(f"{network.url}/job/{job}/endpoints", headers=node | {"Authorization": token}) as answer:
                assert answer.status == status
                endpoints = await answer.text()
        assert list(json.loads(endpoints)["urls"]) == [label]
    poster.end(job)
    await poster.result(job)


async def test_a_process_that_serves_is_reached_and_nothing_is_left_of_it(network: Network, poster: Poster) -> None:
    job = poster.post(
        definition({"id": "web", "args": {"image": "python:3.9-slim", "cmd": ["python", "-c", SERVER.format(port=18437)], "expose": 18437}})
    )
    host = host_of(network, job)
    await runs(network, job)
    assert host.current is not None
    _op, _port, label = next(host.current.flow.services())
    async with ClientSession() as client:

        async def status() -> int:
            async with client.get(network.url, headers={"Host": f"{label}.{DOMAIN}"}) as answer:
                return answer.status

        deadline = time.monotonic() + 10
        while await status() != 200:
            assert time.monotonic() < deadline
        poster.end(job)
        await poster.result(job)
        assert await status() == 404
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and b"18437" in command_line(pid)]


def command_line(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


async def test_the_owner_follows_a_job_and_others_only_its_containers_log(network: Network, poster: Poster) -> None:
    job = poster.post(batch("import time; print('first', flush=True); time.sleep(600)"))
    host = host_of(network, job)
    await printed(network, job, "first")
    name = {"Host": f"{host.address}.{DOMAIN}"}
    token = f"hello:{poster.key.sign_message(b'hello')}"
    stranger = f"hello:{Poster(network).key.sign_message(b'hello')}"
    async with ClientSession(headers=name) as client:

        async def first_frame(path: str, header: str, of: object = job) -> str:
            async with client.ws_connect(network.url) as socket:
                await socket.send_json({"path": path, "header": header, "body": {"jobAddress": str(of)}})
                try:
                    frame = await socket.receive(timeout=0.5)
                except TimeoutError:
                    return "silence"
                return str(socket.close_code) if frame.data is None or isinstance(frame.data, int) else str(frame.data)

        assert '"path": "flog"' in await first_frame("/flog", "")
        assert '"path": "log"' in await first_frame("/log", token)
        assert '"path": "state"' in await first_frame("/status", token)
        assert await first_frame("/log", stranger) == "silence"
        assert await first_frame("/status", stranger) == "silence"
        of_host = f"hello:{host.key.sign_message(b'hello')}"
        assert '"path": "state"' in await first_frame("/status", of_host)
        assert await first_frame("/log", of_host) == "silence"
        now = int(time.time() * 1000)
        assert '"path": "log"' in await first_frame("/log", f"{token}:{now - 290_000}")
        assert await first_frame("/log", f"{token}:{now - 310_000}") == "silence"
        assert await first_frame("/log", f"{token}:yesterday") == "3000"
        assert await first_frame("/log", "no token") == "3000"
        assert await first_frame("/nowhere", token) == "3003"
        assert await first_frame("/flog", token, host.address) == "1007"
        async with client.ws_connect(network.url) as socket:
            await socket.send_str("no frame")
            assert ((await socket.receive(timeout=5)).type, socket.close_code) == (WSMsgType.CLOSE, 1011)
        for age, status in ((550, 400), (610, 401)):  # the job's timeout is 600 seconds
            headers = {"Authorization": f"{token}:{now - age * 1000}"}
            async with client.get(f"{network.url}/job/{job}/endpoints", headers=headers) as answer:
                assert answer.status == status  # 400: it has none
        async with client.get(f"{network.url}/job/{job}/info") as refused:
            assert refused.status == 401
        async with client.get(f"{network.url}/job/{job}/info", headers={"Authorization": token}) as events:
            line = await events.content.readline()
            assert json.loads(line.removeprefix(b"data: "))["operations"]["all"] == {"one": "running"}
        async with client.get(f"{network.url}/job/{host.address}/info", headers={"Authorization": token}) as unknown:
            assert unknown.status == 404
        following = await client.get(f"{network.url}/job/{job}/info", headers={"Authorization": token})
        async with client.get(f"{network.url}/node/info") as answer:
            info = json.loads(await answer.text())
        assert (info["state"], info["specs"]["gpus"][0]["simulated"]) == ("RUNNING", True)
        async with client.post(f"{network.url}/job/{job}/stop", headers={"Authorization": token}) as answer:
            assert answer.status == 200
        async with asyncio.timeout(10):  # the stream ends with the job
            told = [json.loads(event.removeprefix(b"data: ")) for event in (await following.read()).split(b"\n\n") if event]
        assert [state["endTime"] is None for state in told] == [True] * (len(told) - 1) + [False]
        assert not any("logs" in op for state in told for op in state["opStates"])
        await until(lambda: host.current is None)
        assert await first_frame("/flog", token) == "1008"
        assert '"path": "state"' in await first_frame("/status", token)
    result = await poster.result(job)
    assert (result["status"], result["opStates"][0]["diagnostics"]["reason"]["jobExpired"]) == ("success", True)
