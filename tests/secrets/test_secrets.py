"""Real Ansible, a real (local) network, secrets at every place: nothing of them is printed, logged, written or given to callbacks.

A run has all its ways out open at once (-vvvv, --diff, log file, tree, JUnit, a callback that dumps every result, syslog or journal, traceback
display, INJECT_INVOCATION, ansible-runner's artifacts), and afterwards every byte of its directory is searched.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import plants
import pytest
import relay as relay_module
from cases import QUIET_MARKET, Case, cases, definition, plant, setup
from plants import OTHER_WALLET, PLANTS, WALLET
from tested import BIN, PYTHON, other_python

HERE = Path(__file__).parent
TREE = os.environ["ANSIBLE_COLLECTIONS_PATH"]


@dataclass(frozen=True)
class World:
    """The network, the relay before it, and what the runs are given: the variables lie outside every directory that is searched."""

    environment: dict[str, str]
    relay: str
    variables: Path
    outside: Path


@dataclass(frozen=True)
class Run:
    """A finished run: what it printed, and the directory that holds everything it wrote."""

    code: int
    directory: Path
    output: str

    def results(self) -> dict[str, dict[str, Any]]:
        """Results by the task's name, as the playbook's own copy task wrote them."""
        content: dict[str, dict[str, Any]] = json.loads((self.directory / "written.json").read_text(encoding="utf-8"))
        return content

    def assert_clean(self, *, least_bytes: int = 1000) -> None:
        """No form of any plant in anything that came out, file modes included."""
        leaks, size = plants.search_tree(self.directory)
        assert not leaks, f"{len(leaks)} leaks:\n" + "\n".join(leaks[:40])
        assert size >= least_bytes, "the run wrote too little to have been searched"
        cache = self.directory / "home" / ".cache"
        open_files = [path for path in cache.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] if cache.exists() else []
        assert not open_files


@pytest.fixture(scope="session")
def world(nosana_network: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    outside = tmp_path_factory.mktemp("outside")
    wallet = outside / "wallet.json"
    for key, path in ((WALLET, wallet), (OTHER_WALLET, outside / "other.json")):
        nosana_network.wallet(path, key=key)
    variables = outside / "variables.json"
    extra = {
        "plants": PLANTS,
        "definitions": {"own": definition("own")},
        "wallet_base58": str(OTHER_WALLET),
        "wallet_json": json.dumps(list(bytes(OTHER_WALLET))),
        "wallet_list": list(bytes(WALLET)),
        "wallet_path": str(outside / "other.json"),
    }
    variables.write_text(json.dumps(extra), encoding="utf-8")
    with relay_module.relay(nosana_network.url) as address:
        yield World(nosana_network.environment(wallet), address, variables, outside)


@pytest.fixture(scope="session")
def main_runs(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Run]]]:
    """The long runs go on beside the short ones, each with its own jobs. Two start the modules; all else is done by the action plugins."""

    module = str(other_python(world.outside))

    def work(who: str, *options: str, **more: Any) -> Run:
        prepared = run(world, world.outside / who, setup(who))
        assert prepared.code == 0, prepared.output
        tasks = cases(world.relay, who, check="--check" in options)
        return run(world, tmp_path_factory.mktemp("main") / "run", tasks, *options, **more)

    with ThreadPoolExecutor() as pool:
        yield {
            "check": pool.submit(work, "check", "--check", "--diff", "-vvvv", SPY_JOURNAL="1", ANSIBLE_PYTHON_INTERPRETER=module),
            "run": pool.submit(work, "run", "--diff", "-vvvv", runner=True, ANSIBLE_PYTHON_INTERPRETER=module),
            "here": pool.submit(work, "here", "--diff", "-vvvv"),
        }


def playbook(tasks: list[Case], directory: Path) -> Path:
    """A play of the cases; afterwards all registered results are printed and written, as people do."""
    steps: list[dict[str, Any]] = []
    for number, case in enumerate(tasks):
        steps.append({"name": case.name, f"nosana.compute.{case.module}": case.args, "register": f"result_{number}", "ignore_errors": True})
    everything = "{{ {" + ", ".join(f"{case.name!r}: result_{number}" for number, case in enumerate(tasks)) + "} }}"
    steps += [
        {"name": "Printed", "ansible.builtin.debug": {"msg": everything}},
        {
            "name": "Written",
            "ansible.builtin.copy": {"content": everything[:-3] + " | to_json }}", "dest": str(directory / "written.json"), "mode": "0600"},
            "check_mode": False,
        },
    ]
    path = directory / "play.yml"
    path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": steps}], indent=1), encoding="utf-8")
    return path


def environment_of(world: World, directory: Path, **more: str) -> dict[str, str]:
    """The environment of a run with every way out open."""
    home = directory / "home"
    home.mkdir(parents=True)
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPATH": str(HERE / "spy"),
        "SPY_FILE": str(directory / "system.log"),
        "SPY_RESULTS": str(directory / "results.jsonl"),
        "ANSIBLE_COLLECTIONS_PATH": TREE,
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": str(PYTHON),
        "ANSIBLE_LOG_PATH": str(directory / "ansible.log"),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.tree,ansible.builtin.junit,spy_dump",
        "ANSIBLE_CALLBACK_TREE_DIR": str(directory / "tree"),
        "JUNIT_OUTPUT_DIR": str(directory / "junit"),
        "ANSIBLE_INJECT_INVOCATION": "true",
        "ANSIBLE_DISPLAY_TRACEBACK": "always",
        "ANSIBLE_NOCOLOR": "1",
    }
    return environment | world.environment | more


def run(world: World, directory: Path, tasks: list[Case], *options: str, runner: bool = False, **more: str) -> Run:
    """One playbook, by ansible-playbook or by ansible-runner."""
    directory.mkdir()
    play = playbook(tasks, directory)
    arguments = ["-i", "localhost,", "-c", "local", "-e", f"@{world.variables}", *options]
    environment = environment_of(world, directory, **more)
    if runner:
        command = [
            "ansible-runner",
            "run",
            str(directory),
            "--project-dir",
            str(directory),
            "-p",
            play.name,
            f"--cmdline={shlex.join(arguments)}",
        ]
    else:
        command = ["ansible-playbook", *arguments, str(play)]
    return finish(command, directory, environment)


def finish(command: list[str], directory: Path, environment: dict[str, str]) -> Run:
    """Runs a command; what it prints is kept beside what it writes."""
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, check=False, timeout=300)
    (directory / "stdout").write_bytes(done.stdout)
    (directory / "stderr").write_bytes(done.stderr)
    return Run(done.returncode, directory, (done.stdout + done.stderr).decode("utf-8", "replace"))


def assert_as_expected(tasks: list[Case], results: dict[str, dict[str, Any]]) -> None:
    """The cases went the way they were meant to go, so that what was searched is what users would see."""
    wrong = []
    for case in tasks:
        result = results[case.name]
        failed = result.get("failed", False)
        code = result.get("failure", {}).get("code")
        if (case.fails is not None and failed != case.fails) or (failed and case.code is not None and code != case.code):
            wrong.append(f"{case.name}: failed={failed} code={code} msg={result.get('msg')}")
        shown = json.dumps(result)
        wrong += [f"{case.name}: {text!r} is masked away: {shown[:2000]}" for text in case.shows if text not in shown]
        assert "MODULE FAILURE" not in shown, shown
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("main_runs")
def test_secrets_in_the_environment_and_a_wallet_as_a_list(world: World, tmp_path: Path) -> None:
    """NOSANA_* variables as carriers. A list makes Ansible hide each of its numbers (on 2.22 for the rest of the run), so it comes last."""
    url = f"http://{world.relay}/pass/x/?api-key={PLANTS['carried_rpc_query']}"
    carried = {"NOSANA_WALLET": json.dumps(list(bytes(WALLET))), "NOSANA_RPC_URL": url, "NOSANA_IPFS_JWT": PLANTS["carried_jwt"]}
    tasks = [
        Case("posted", {"name": "carried", "image": "busybox", "market": QUIET_MARKET}),
        Case(
            "refused",
            {"name": "carried-2", "image": "busybox", "market": QUIET_MARKET, "ipfs_api_url": f"http://{world.relay}/refuse"},
            fails=True,
        ),
        Case("base58", {"wallet": "{{ wallet_base58 }}", "ipfs_jwt": plant("jwt")}, "nosana_job_info"),
        Case("list", {"wallet": "{{ wallet_list }}", "name": "carried"}, "nosana_job_info"),
    ]
    done = run(world, tmp_path / "run", tasks, "--diff", "-vvvv", **carried)
    assert done.code == 0, done.output[-3000:]
    done.assert_clean()
    results = done.results()
    assert_as_expected(tasks, results)
    assert [job["address"] for job in results["list"]["jobs"]] == [results["posted"]["id"]]
    assert results["list"]["jobs"][0]["timeout"] == results["posted"]["job"]["timeout"] > 0


@pytest.mark.parametrize("scheme", ["http", "nonsense"])
def test_proxies_with_passwords(world: World, tmp_path: Path, scheme: str) -> None:
    """A proxy that is not there, and one that httpx does not know."""
    password = PLANTS["proxy_password" if scheme == "http" else "broken_proxy_password"]
    proxy = f"{scheme}://me:{password}@127.0.0.1:1"
    tasks = [Case("read", {"name": "none"}, "nosana_job_info", fails=True, code="unreachable" if scheme == "http" else "invalid_input")]
    done = run(world, tmp_path / "run", tasks, "-vvvv", http_proxy=proxy, HTTPS_PROXY=proxy, ALL_PROXY=proxy)
    assert done.code == 0, done.output[-3000:]
    done.assert_clean()
    assert_as_expected(tasks, done.results())


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_fault_of_ours_tells_its_place_and_nothing_else(world: World, tmp_path: Path, debug: str) -> None:
    """An exception that nobody foresaw, with secrets in its message and in the options."""
    secret = PLANTS["own_value_sk"] if debug else PLANTS["crash"]  # with NOSANA_DEBUG what is known is still masked
    tasks = [
        Case("crash", {"name": "own", "market": QUIET_MARKET, "job_definition": definition("own")}, fails=True, code="internal_error"),
        Case("crash of info", {"include": ["logs"]}, "nosana_job_info", fails=True, code="internal_error"),
    ]
    done = run(world, tmp_path / "run", tasks, "-vvvv", SPY_CRASH=secret, NOSANA_DEBUG=debug)
    assert done.code == 0, done.output[-3000:]
    done.assert_clean()
    results = done.results()
    assert_as_expected(tasks, results)
    assert "RuntimeError at sitecustomize.py" in results["crash"]["msg"]
    assert any(place.startswith("run.py:") for place in results["crash"]["failure"]["details"]["places"])
    assert ("traceback" in results["crash"]["failure"]["details"]) is bool(debug)


def test_ad_hoc(world: World, tmp_path: Path) -> None:
    """One task on the command line; the command line itself is its author's."""
    directory = tmp_path / "run"
    directory.mkdir()
    environment = environment_of(world, directory)
    arguments = ["-i", "localhost,", "-c", "local", "-e", f"@{world.variables}", "-vvvv", "--tree", str(directory / "tree")]
    args = f"name=hoc image=busybox market={QUIET_MARKET} wallet={{{{ wallet_base58 }}}} ipfs_jwt={plant('jwt')}"
    done = finish(["ansible", "localhost", *arguments, "-m", "nosana.compute.nosana_job", "-a", args], directory, environment)
    assert done.code == 0, done.output[-3000:]
    assert "CHANGED" in done.output
    done.assert_clean()


def test_the_search_finds_what_it_looks_for() -> None:
    """The net has no hole: each plant is found as it is, in base64 of something larger, in a URL, in JSON and cut off."""
    for name, secret in PLANTS.items():
        for text in (secret, quote(secret, safe=""), json.dumps({"x": secret}), repr(secret), ", ".join(map(str, secret.encode()))):
            assert name in plants.search(f"before {text} after".encode()), (name, text)
        for before in ("", "u", "me:"):
            assert name in plants.search(base64.b64encode(f"{before}{secret}\n".encode())), name
        if len(secret) > 24:
            assert name in plants.search(f"cut {secret.splitlines()[len(secret.splitlines()) // 2][-20:]}"[:-4].encode()), name
    for form in (str(WALLET), json.dumps(list(bytes(WALLET))), bytes(WALLET).hex(), base64.b64encode(bytes(WALLET)).decode()):
        assert "wallet" in plants.search(form[: len(form) // 2].encode()), form
    assert plants.search(b"nothing to be found in here: 12, 34, mistral, https://rpc.example") == {}


def test_check_mode(world: World, main_runs: dict[str, Future[Run]]) -> None:
    """--check --diff -vvvv, with the journal."""
    done = main_runs["check"].result()
    assert done.code == 0, done.output[-3000:]
    done.assert_clean(least_bytes=300_000)
    tasks = cases(world.relay, "check", check=True)
    assert_as_expected(tasks, done.results())
    journal = (done.directory / "system.log").read_text(encoding="utf-8")
    assert journal.count("journal: MESSAGE=") >= len(tasks)
    assert "journal: JOB_DEFINITION=" in journal
    assert "mistral" in journal


def test_a_run_by_ansible_runner(world: World, main_runs: dict[str, Future[Run]]) -> None:
    """--diff -vvvv, with syslog and the artifacts and job events of ansible-runner; jobs are posted, run, replaced, removed."""
    done = main_runs["run"].result()
    assert done.code == 0, done.output[-3000:]
    done.assert_clean(least_bytes=1_000_000)
    tasks, results = cases(world.relay, "run"), done.results()
    assert_as_expected(tasks, results)
    assert len(list((done.directory / "artifacts").glob("*/job_events/*.json"))) > 2 * len(tasks)
    assert len(list((done.directory / "tree").iterdir())) == 1
    assert list((done.directory / "junit").iterdir())
    syslog = (done.directory / "system.log").read_text(encoding="utf-8")
    assert syslog.count("syslog: Invoked with") >= len(tasks) - 5  # Ansible refuses some options before it logs
    assert_shows_what_is_no_secret(done)


def test_a_run_in_the_controllers_own_process(world: World, main_runs: dict[str, Future[Run]]) -> None:
    """The same without a module being started, and so without a system's log."""
    done = main_runs["here"].result()
    assert done.code == 0, done.output[-3000:]
    assert "plugins/modules/nosana_" not in done.output
    done.assert_clean(least_bytes=300_000)
    assert_as_expected(cases(world.relay, "here"), done.results())
    assert_shows_what_is_no_secret(done)
    assert "wallet=" not in (done.directory / "system.log").read_text(encoding="utf-8")


def assert_shows_what_is_no_secret(done: Run) -> None:
    """Masking has not blanked what users look for."""
    results = done.results()
    own = results["own, posted"]
    assert own["job"]["name"].endswith("-own")
    assert len(own["id"]) > 30
    assert own["diff"]["after"]["job_definition"]["ops"][0]["args"]["env"]["MAX_TOKENS"] == "4096"
    lines = [line["text"] for line in results["short form, read"]["jobs"][0]["logs"]]
    assert "JOB_MODEL mistral" in lines
    assert "JOB_PASSWORD ********" in lines
    dumped = [json.loads(line) for line in (done.directory / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    shown = next(result["invocation"]["module_args"] for kind, name, result in dumped if (kind, name) == ("ok", "own, posted"))
    assert shown["wallet"] == "********"
    assert shown["job_definition"]["ops"][0]["args"]["env"]["DB_PASSWORD"] == "********"
