"""What a definition means to a host: groups, dependencies, literals, volumes, health checks, restarts, results, and every row of the result table."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from network import MARKET, Poster, batch, definition, host_of, op_of, printed, runs, until
from solders.pubkey import Pubkey

from nosana_localnet import base58, idl
from nosana_localnet.genesis import JOBS_PROGRAM
from nosana_localnet.hosts import flow, literals, results
from nosana_localnet.hosts.logistics import Patience
from nosana_localnet.hosts.process import ProcessRunner
from nosana_localnet.hosts.runner import OpSpec
from nosana_localnet.server import DOMAIN, Network, Settings, run

pytestmark = pytest.mark.asyncio(loop_scope="module")
SERVE = "import http.server; http.server.HTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler).serve_forever()"
STUB = {
    "version": "0.1",
    "type": "container",
    "meta": {"trigger": "cli"},
    "logistics": {"send": {"type": "api-listen", "args": {}}, "receive": {"type": "api-listen", "args": {}}},
    "ops": [],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network() -> AsyncIterator[Network]:
    patience = Patience(result_window=5.0, attempts=2, between_attempts=0.01, request=2.0)
    async with run(Settings(port=0, runner="process", hosts={"nvidia-3060": 2}, patience=patience)) as started:
        yield started


@pytest.fixture
def poster(network: Network) -> Poster:
    return Poster(network)


@pytest.mark.parametrize(("command", "says"), [("echo one", "Run as a plain process"), (None, "Stand-in: ")])
async def test_the_first_line_of_a_log_says_what_was_really_started(command: str | None, says: str) -> None:
    """A runner itself says it before it reads anything of the op: whoever waits for the runner may come later than what the op prints."""
    lines: list[str] = []
    runner = ProcessRunner()
    running = await runner.start(
        OpSpec("job", 0, "one", "nginx", command, None, {}, None, [free_port()]), lambda _kind, text: lines.append(text)
    )
    if command is None:
        await running.stop()
    await running.wait()
    await runner.close()
    assert lines[0].startswith(says)
    assert lines[1:] == ([] if command is None else ["one\n"])


def python(code: str, **args: Any) -> dict[str, Any]:
    return {"image": "python:3.9-slim", "cmd": ["python", "-c", code], **args}


def op(name: str, args: dict[str, Any], *, group: str | None = None, after: list[str] | None = None, **more: Any) -> dict[str, Any]:
    execution = ({"group": group} if group else {}) | ({"depends_on": after} if after else {})
    return {"id": name, "args": args, **({"execution": execution} if execution else {}), **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def out(entry: dict[str, Any]) -> str:
    return "".join(line["log"] for line in entry["logs"] if line["type"] == "stdout")


class Owner:
    """The owner of a job on the node API of its host."""

    def __init__(self, poster: Poster, job: Pubkey, client: ClientSession):
        self._name = {"Host": f"{host_of(poster.network, job).address}.{DOMAIN}"}
        self._base = f"{poster.network.url}/job/{job}"
        self._client = client
        self._token = {"Authorization": f"hello:{poster.key.sign_message(b'hello')}"}

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with self._client.request(method, f"{self._base}/{path}", headers=self._name | self._token, **more) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text


@pytest_asyncio.fixture(loop_scope="module")
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


# ---- literals and markers


OPS = {"web": {"host": "job-0", "endpoint": {"80": "abc.node.localhost:1"}, "results": {"url": ["http://x", "x"], "json": ['["a","b"]']}}}
VARIABLES = {"job": "JOB", "host": "HOST", "variables": {"PORT": "8080", "EMPTY": "", "LIST": '["x", {"port": 1}]'}}


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ("http://%%ops.web.host%%:80", "http://job-0:80"),
        ("%%ops.web.endpoint.80%%", "abc.node.localhost:1"),
        ("%%ops.web.results.url%% end", "http://x x end"),
        ("%%global.job%%/%%globals.host%%", "JOB/HOST"),
        ("%%global.variables.PORT%%", "8080"),
        ("%%globals.variables.PORT%%", "%%globals.variables.PORT%%"),  # left as it is written
        ("100%% sure", "100%% sure"),
        (["a", "%%ops.web.results.url%%", "z"], ["a", "http://x", "x", "z"]),
        ([{"__spread__": "%%ops.web.results.json%%"}, "c"], ["a", "b", "c"]),
        ([{"__spread__": "%%global.variables.LIST%%", "chunked": True}], ["x", {"port": 1}]),
        ({"A": "1", "__spread__": '{"B": 2}'}, {"A": "1", "B": 2}),
        ({"__pairs__": '[{"key": "K", "value": "V"}]'}, {"K": "V"}),
        ({"volumes": ["__remove-if-empty__"], "gpu": True}, {"gpu": True}),
        ({"volumes": ["__remove-if-empty__", "kept"]}, {"volumes": ["kept"]}),
    ],
)
async def test_what_is_left_open_is_filled_in(written: Any, filled: Any) -> None:
    assert literals.fill({"value": written}, OPS, VARIABLES)["value"] == filled


@pytest.mark.parametrize(
    "written",
    [
        "%%ops.nobody.host%%",
        "%%ops.web.results.nothing%%",
        "%%global.variables.EMPTY%%",
        "%%globals.nothing%%",
        [{"__spread__": "no json"}],
        {"__pairs__": '{"a": 1}'},
        {"__pairs__": "[1]"},
    ],
)
async def test_what_has_no_value_is_said(written: Any) -> None:
    with pytest.raises(literals.Unresolved):
        literals.fill({"value": written}, OPS, VARIABLES)


async def test_env_is_text_whatever_was_filled_in() -> None:
    env = {"__spread__": '{"N": 1, "B": true, "L": ["a"], "Z": null}'}
    assert literals.fill({"env": env}, {}, {})["env"] == {"N": "1", "B": "true", "L": '["a"]', "Z": ""}


# ---- results by regular expression


async def test_results_hold_the_match_and_its_groups_of_every_line() -> None:
    logs = [{"type": "stdout", "log": "loss=0.5"}, {"type": "stderr", "log": "loss=0.1"}, {"type": "stdout", "log": "done"}]
    wanted = {"loss": r"loss=(\d\.\d)", "err": {"regex": "loss", "logType": ["stderr"]}, "bad": "(", "named": "(?<word>done)", "none": "x"}
    found = results.extract(logs, wanted)
    assert found is not None
    assert found["loss"] == ["loss=0.5", "0.5", "loss=0.1", "0.1"]
    assert (found["err"], found["named"], found["none"]) == (["loss"], ["done", "done"], [])
    assert isinstance(found["bad"], str)
    assert "Invalid regular expression" in found["bad"]
    assert results.extract([], wanted) is None
    assert results.extract(logs, None) is None


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        (None, 1, False),
        ("no", 1, False),
        ("always", 0, True),
        ("unless-stopped", 3, True),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ({"policy": "on-failure", "restart_tries": 2}, 1, True),
        ({"policy": "on-failure", "restart_tries": 1}, 1, False),
    ],
)
async def test_restart_policies(policy: Any, code: int, again: bool) -> None:
    assert flow.restarts(policy, code, 2) is again


# ---- ops side by side and one after another


async def test_an_op_starts_when_what_it_depends_on_is_up_and_uses_its_results(poster: Poster) -> None:
    port = free_port()
    checks = [{"type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": True}]
    server = python(SERVE.format(port=port), expose=[{"port": port, "health_checks": checks}])
    asked = f"import urllib.request as u; print(u.urlopen('http://%%ops.web.host%%:{port}/').status, '%%ops.web.endpoint.{port}%%')"
    job = poster.post(
        definition(
            op("first", python("print('token=abc')"), results={"token": "token=(.*)"}),
            op("web", server, group="pair"),
            op("asker", python(asked, env={"TOKEN": "%%ops.first.results.token%%"}), group="pair", after=["web"]),
        )
    )
    await until(lambda: (asker := op_of(poster.network, job, 2)) and asker.status == "success")
    async with ClientSession() as session:
        owner = Owner(poster, job, session)
        status, endpoints = await owner.ask("GET", "endpoints")
        assert (status, [entry["status"] for entry in endpoints["urls"].values()]) == (200, ["ONLINE"])
        assert await owner.ask("GET", "ops") == (200, {"first": "finished", "web": "running", "asker": "finished"})
        assert await owner.ask("GET", "group/current") == (200, {"web": "running", "asker": "finished"})
        assert await owner.ask("GET", "ops/nobody") == (404, "Operation not found")
        assert (await owner.ask("POST", "group/pair/operation/web/stop"))[0] == 200
    result = await poster.result(job)
    first, web_op, asker = result["opStates"]
    assert first["results"] == {"token": ["token=abc", "abc"]}
    assert out(asker).startswith(f"200 {flow.service_label(1, port, str(job))}.{DOMAIN}:")
    assert (web_op["status"], web_op["diagnostics"]["reason"]["jobStopped"], result["status"]) == ("stopped", True, "success")


async def test_an_op_whose_dependency_never_comes_up_is_not_executed_and_the_flow_is_a_success_all_the_same(poster: Poster) -> None:
    ops = (op("base", python("raise SystemExit(1)"), group="g"), op("next", python("print(1)"), group="g", after=["base"]))
    checked = [
        {
            "port": free_port(),
            "health_checks": [{"type": "http", "path": "/", "method": "GET", "expected_status": 200, "continuous": False}],
        }
    ]
    ops[0]["args"]["expose"] = checked
    result = await poster.result(poster.post(definition(*ops)))
    assert result["status"] == "success"
    assert [(entry["status"], entry["exitCode"]) for entry in result["opStates"]] == [("failed", 1), ("init", None)]


@pytest.mark.parametrize("after", [["nobody"], ["self"], ["other"]])
async def test_impossible_dependencies_are_an_init_error(poster: Poster, after: list[str]) -> None:
    ops = (op("other", python("pass"), group="one"), op("self", python("pass"), group="two", after=after))
    result = await poster.result(poster.post(definition(*ops)))
    assert (result["status"], result["opStates"]) == ("init error", [])
    assert after[0] in result["errors"][0]["message"]


async def test_ops_without_groups_follow_each_other_even_if_one_depends_on_the_other(poster: Poster) -> None:
    result = await poster.result(poster.post(definition(op("b", python("print(2)"), after=["a"]), op("a", python("print(1)")))))
    assert [entry["status"] for entry in result["opStates"]] == ["success", "success"]


async def test_a_volume_is_shared_and_gone_with_its_job(poster: Poster) -> None:
    write = python("import os; open(os.environ['NOSANA_VOLUME_DATA'] + '/f', 'w').write('kept'); print(os.environ['NOSANA_VOLUME_DATA'])")
    read = python("import os; print(open(os.environ['NOSANA_VOLUME_DATA'] + '/f').read())")
    mount = {"volumes": [{"name": "data", "dest": "/data"}]}
    volume = {"type": "container/create-volume", "id": "volume", "args": {"name": "data"}}
    result = await poster.result(poster.post(definition(volume, op("write", write | mount), op("read", read | mount))))
    assert [entry["status"] for entry in result["opStates"]] == ["success"] * 3
    assert out(result["opStates"][2]) == "kept\n"
    with pytest.raises(FileNotFoundError):
        open(out(result["opStates"][1]).strip() + "/f", encoding="utf-8").close()


async def test_a_failing_op_is_tried_again_as_its_policy_says(poster: Poster) -> None:
    again = python("print('try'); raise SystemExit(4)", restart_policy={"policy": "on-failure", "restart_tries": 2})
    (entry,) = (await poster.result(poster.post(definition(op("one", again)))))["opStates"]
    assert (out(entry), entry["status"], entry["exitCode"]) == ("try\n" * 3, "failed", 4)


async def test_the_owner_restarts_ops_and_moves_between_groups(poster: Poster, client: ClientSession) -> None:
    sleep = "import time, os; print('began', flush=True); time.sleep(600)"
    job = poster.post(
        definition(op("a", python(sleep), group="one"), op("b", python(sleep), group="two"), op("c", python("print('last')")))
    )
    await printed(poster.network, job, "began")
    owner = Owner(poster, job, client)
    assert (await owner.ask("POST", "group/one/operation/a/restart"))[0] == 200
    await until(lambda: (a := op_of(poster.network, job)) and sum("began" in line["log"] for line in a.logs) == 2)
    status, error = await owner.ask("POST", "group/two/restart")
    assert (status, error) == (500, {"error": "Failed to restart group operations: GROUP_NOT_ACTIVE"})
    assert (await owner.ask("POST", "group/nobody/stop"))[0] == 500
    assert (await owner.ask("POST", "group/two/dance"))[0] == 404
    assert await owner.ask("POST", "group/two/move") == (200, {"message": "Moved to group"})
    await printed(poster.network, job, "began", 1)
    assert await owner.ask("GET", "group/current") == (200, {"b": "running"})
    assert (await owner.ask("POST", "group/two/stop"))[0] == 200
    await until(lambda: (b := op_of(poster.network, job, 1)) and b.is_running)  # the plan goes on behind the group that was left
    assert (await owner.ask("POST", "group/two/stop"))[0] == 200
    result = await poster.result(job)
    assert [entry["status"] for entry in result["opStates"]] == ["stopped", "stopped", "success"]


# ---- services


async def test_private_names_are_told_to_the_owner_only(poster: Poster, client: ClientSession) -> None:
    private = {"image": "nginx:alpine", "expose": 80, "private": True}
    job = poster.post(definition(op("secret", private), op("open", {"image": "nginx:alpine", "expose": 80}, group="secret")))
    await runs(poster.network, job)
    owner = Owner(poster, job, client)
    _status, endpoints = await owner.ask("GET", "endpoints")
    label, public = endpoints["urls"]
    assert (len(label), public) == (45, flow.service_label(1, 80, str(job)))
    for name, status in ((label, 200), (flow.service_label(0, 80, str(job)), 404)):
        async with client.get(poster.network.url, headers={"Host": f"{name}.{DOMAIN}"}) as answer:
            assert answer.status == status
    poster.end(job)
    await poster.result(job)


async def test_a_websocket_of_a_service_goes_through(poster: Poster, client: ClientSession) -> None:
    port = free_port()
    code = f"""
from aiohttp import web
async def echo(request):
    socket = web.WebSocketResponse(); await socket.prepare(request)
    await socket.send_str('ready')
    async for message in socket: await socket.send_str('you said ' + message.data)
    return socket
app = web.Application(); app.router.add_get('/', echo); app.router.add_get('/chat', echo)
web.run_app(app, host='127.0.0.1', port={port}, print=None)
"""
    check = {"type": "websocket", "expected_response": "ready", "continuous": False}
    chat_op = op("chat", {"image": "chat", "cmd": [sys.executable, "-c", code], "expose": [{"port": port, "health_checks": [check]}]})
    job = poster.post(definition(chat_op))
    await until(lambda: (chat := op_of(poster.network, job)) and all(chat.healthy.values()) and chat.healthy)
    name = {"Host": f"{flow.service_label(0, port, str(job))}.{DOMAIN}"}
    async with client.ws_connect(f"{poster.network.url}/chat", headers=name) as there:
        assert await there.receive_str() == "ready"
        await there.send_str("hello")
        assert await there.receive_str() == "you said hello"
    poster.end(job)
    await poster.result(job)


async def test_a_port_that_is_taken_fails_the_op_and_says_so(poster: Poster) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        job = poster.post(definition(op("web", python("pass", expose=taken.getsockname()[1]))))
        (entry,) = (await poster.result(job))["opStates"]
    assert (entry["status"], entry["exitCode"]) == ("failed", 2)
    assert "is taken on this machine" in entry["errors"][0]["message"]


# ---- confidential jobs


async def test_a_confidential_job_is_handed_over_and_fetched_and_ipfs_holds_nothing_of_it(poster: Poster, client: ClientSession) -> None:
    job = poster.post(STUB)
    owner = Owner(poster, job, client)
    await until(lambda: host_of(poster.network, job).current.flow.status == "waiting-for-job-definition")  # type: ignore[union-attr]
    assert (await owner.ask("GET", "job-definition"))[0] == 400
    assert (await owner.ask("GET", "results"))[0] == 400
    assert (await owner.ask("POST", "job-definition", data=b"x" * 200_000))[0] == 413
    real = batch("print('planted-confidential')")
    assert await owner.ask("POST", "job-definition", json=real) == (200, "Job definition received")
    assert (await owner.ask("POST", "job-definition", json=real))[0] == 400
    await until(lambda: host_of(poster.network, job).current.flow.status == "waiting-for-result")  # type: ignore[union-attr]
    status, whole = await owner.ask("GET", "results")
    assert (status, whole["status"], out(whole["opStates"][0])) == (200, "success", "planted-confidential\n")
    result = await poster.result(job)
    assert (result["status"], result["opStates"]) == ("success", [])
    assert not any(b"planted-confidential" in content for content in poster.network.store.everything().values())


@pytest.mark.parametrize(("given", "status"), [({"version": "9"}, "validation-error"), ([], "validation-error")])
async def test_a_confidential_definition_that_cannot_be_run(poster: Poster, client: ClientSession, given: Any, status: str) -> None:
    job = poster.post(STUB)
    await until(lambda: host_of(poster.network, job).current.flow.status == "waiting-for-job-definition")  # type: ignore[union-attr]
    assert (await Owner(poster, job, client).ask("POST", "job-definition", json=given))[0] == 200
    result = await poster.result(job)
    assert (result["status"], result["opStates"]) == (status, [])


async def test_a_definition_behind_an_api_is_fetched_with_the_hosts_signature_and_the_result_posted(poster: Poster) -> None:
    seen: list[tuple[str, str]] = []
    posted: list[dict[str, Any]] = []

    async def give(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["Authorization"]))
        return web.Response(status=500) if len(seen) == 1 else web.json_response(batch("print('from the api')"))

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.json_response({"message": "Success"})

    app = web.Application()
    app.router.add_get("/jobs/{job}/job-definition", give)
    app.router.add_post("/jobs/{job}/results", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/jobs/%%global.job%%"

    def stub(path: str) -> dict[str, Any]:
        sides = {"send": f"{base}/{path}", "receive": f"{base}/results"}
        return STUB | {"logistics": {side: {"type": "api", "args": {"endpoint": url}} for side, url in sides.items()}}

    try:
        job = poster.post(stub("job-definition"))
        result = await poster.result(job)
        assert (result["status"], result["opStates"], out(posted[0]["opStates"][0])) == ("success", [], "from the api\n")
        path, token = seen[1]
        assert path == f"/jobs/{job}/job-definition"
        assert token.startswith(f"{job}:")
        result = await poster.result(poster.post(stub("nowhere")))
        assert (result["status"], result["opStates"]) == ("logistics-error", [])
    finally:
        await runner.cleanup()


# ---- the rest of the table of results (nosana-facts §7)


async def test_a_job_that_is_over_before_it_is_picked_up(poster: Poster) -> None:
    result = await poster.result(poster.post(batch("pass"), timeout=0))
    assert result == {"status": "", "startTime": 0, "endTime": 0, "opStates": []}


async def test_of_too_many_lines_the_oldest_are_dropped(poster: Poster) -> None:
    (entry,) = (await poster.result(poster.post(batch("for number in range(26_000): print(number)"))))["opStates"]
    written = [line["log"] for line in entry["logs"]]
    assert (len(written), written[0], written[-1]) == (24_999, "1001\n", "25999\n")


async def test_the_owner_ends_a_job_before_its_later_ops_began(poster: Poster) -> None:
    job = poster.post(definition(op("now", python("import time; print('up', flush=True); time.sleep(600)")), op("later", python("pass"))))
    await printed(poster.network, job, "up")
    poster.end(job)
    result = await poster.result(job)
    now, later = result["opStates"]
    assert (result["status"], now["status"], later["status"], later["exitCode"]) == ("stopped", "stopped", "stopped", 0)


async def test_a_host_that_shuts_down_publishes_a_failure_and_leaves(network: Network, poster: Poster, client: ClientSession) -> None:
    job, host = await asleep(poster)
    async with client.post(f"{network.url}/localnet/hosts/{host.address}", json={"do": "shut-down"}) as answer:
        assert (await answer.json())["state"] == "OFFLINE"
    result = await poster.result(job)
    reason = result["opStates"][0]["diagnostics"]["reason"]
    assert (result["status"], result["opStates"][0]["status"], reason["hostShutDown"]) == ("failed", "failed", True)
    assert host.address not in queue(network)
    host.start()
    assert host.address in queue(network)


async def test_a_host_that_crashes_leaves_a_running_job_and_takes_it_up_when_it_comes_back(network: Network, poster: Poster) -> None:
    job, host = await asleep(poster)
    name = {"Host": f"{host.address}.{DOMAIN}"}
    await host.crash()
    async with ClientSession() as session, session.get(network.url, headers=name) as answer:
        assert answer.status == 404
    assert (poster.job(job)["state"], runs_on_chain(network, job)) == (0, True)
    host.start()
    await printed(network, job, "up")
    poster.end(job)
    assert (await poster.result(job))["status"] == "stopped"


async def test_a_host_that_quits_stops_the_job_and_the_deposit_stays_in_the_vault(network: Network, poster: Poster) -> None:
    job, host = await asleep(poster)
    await host.leave()
    assert (poster.job(job)["state"], runs_on_chain(network, job)) == (3, False)
    assert host.address in queue(network)


async def test_an_error_in_the_host_software_is_a_failed_flow(poster: Poster) -> None:
    job, host = await asleep(poster)
    await host.break_down()
    result = await poster.result(job)
    assert (result["status"], result["errors"][0]["event"]) == ("failed", "flow")


async def test_a_definition_that_no_host_can_run_stays_unanswered_until_its_time_is_over(poster: Poster) -> None:
    result = await poster.result(poster.post({"version": "0.1", "type": "container", "ops": [{"id": 1}]}, timeout=1))
    assert (result["status"], result["opStates"]) == ("", [])


async def test_hosts_are_acted_on_by_name_only(network: Network, client: ClientSession) -> None:
    address = network.hosts[0].address
    for host, do, status in ((address, "dance", 400), ("nobody", "crash", 404)):
        async with client.post(f"{network.url}/localnet/hosts/{host}", json={"do": do}) as answer:
            assert answer.status == status


async def asleep(poster: Poster) -> tuple[Pubkey, Any]:
    job = poster.post(batch("import time; print('up', flush=True); time.sleep(600)"))
    await printed(poster.network, job, "up")
    return job, host_of(poster.network, job)


def queue(network: Network) -> list[Pubkey]:
    account = network.ledger.account(MARKET)
    assert account is not None
    market = idl.decode_account("MarketAccount", account.data)
    return list(market["queue"])


def runs_on_chain(network: Network, job: Pubkey) -> bool:
    runs_of_program = idl.discriminator("account", "RunAccount")
    return any(
        account.data[:8] == runs_of_program and account.data[8:40] == bytes(job)
        for _key, account in network.ledger.program_accounts(JOBS_PROGRAM)
    )


async def test_labels_are_base58() -> None:
    assert re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{44}", flow.deployment_label("web", "deployment", "vault"))
    assert base58.decode(flow.service_label(0, 80, "job"))
