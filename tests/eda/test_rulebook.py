"""The event source in ansible-rulebook, with the rulebook that comes with the collection, and what is said when it cannot run."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml
from ansible_rulebook.validators import Validate
from conftest import COLLECTION, COMMAND, EMPTY_MARKET, LOCALHOST, MARKET, Rulebook, User

sys.path.insert(0, str(COLLECTION / "tests" / "docs"))

from blocks import PAGES, blocks

INTERVAL = 5
INSTALLED = "~/.ansible/collections/ansible_collections/nosana/compute"
SOURCE = "extensions/eda/plugins/event_source/nosana_jobs.py"
# What the page shows: files by their names, and commands.
PAGE = [(block.mark.removeprefix("eda").strip(), block.text) for block in blocks(PAGES / "eda.md") if block.mark.startswith("eda")]
SHOWN = {name: yaml.safe_load(text) for name, text in PAGE if name}
TYPED = [text.strip() for name, text in PAGE if not name]


@contextlib.contextmanager
def listener() -> Iterator[tuple[str, list[Any]]]:
    """An URL, and what was posted to it."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", got
    finally:
        server.shutdown()


@contextlib.contextmanager
def going(rulebook: Rulebook) -> Iterator[Rulebook]:
    """Ends it, and what it has started."""
    try:
        yield rulebook
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(rulebook.process.pid, signal.SIGKILL)
        rulebook.process.wait()


def definition(command: str) -> dict[str, Any]:
    """Of a job that is a command."""
    op = {"type": "container/run", "id": "run", "args": {"image": "python:3.11-slim", "cmd": command}}
    return {"version": "0.1", "type": "container", "ops": [op]}


def test_a_failed_job_is_posted_anew_once_and_a_waiting_one_is_told_of(user: User) -> None:
    variables = SHOWN["vars.yml"]
    trainer = variables["nosana_definitions"]["trainer"]
    assert variables["nosana_market"] == MARKET
    first = user.post("trainer", trainer)
    waiting = user.post("patient", definition("true"), market=EMPTY_MARKET, wait_for="posted")
    with listener() as (url, told):
        variables |= {
            "nosana_definitions": {"trainer": trainer, "patient": definition("true")},
            "nosana_interval": INTERVAL,
            "nosana_queued_too_long": 4,
            "nosana_notify_url": url,
        }
        with going(user.start("nosana.compute.nosana_jobs", variables)) as rulebook:
            rulebook.until(lambda: told)
            (host,) = {job["host"] for job in user.jobs(name="trainer")}
            user.network.run(next(each for each in user.network.network.hosts if str(each.address) == host).shut_down())
            jobs = rulebook.until(lambda: (found := user.jobs(name="trainer"))[1:] and found)
            time.sleep(3 * INTERVAL)
            again = user.jobs(name="trainer")
    assert [job["address"] for job in again] == [job["address"] for job in jobs]
    assert (again[0]["address"], again[0]["status"], again[0]["reason"]) == (first, "failed", "host_shutdown")
    assert again[1]["status"] == "running"
    assert len(told) == 1
    assert told[0]["text"].startswith("The job patient has waited for a host for ")
    assert waiting in told[0]["text"]
    assert "Traceback" not in rulebook.output


def test_by_hand_it_prints_events(user: User) -> None:
    """The file run as a program, which is how one looks what would come."""
    address = user.post("shown", definition("sleep 300"))
    command = [sys.executable, str(COLLECTION / SOURCE)]
    with subprocess.Popen(command, env=user.environment | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = []
            for line in process.stdout or ():
                lines.append(line)
                if line == "}\n":
                    break
        finally:
            process.kill()
    told = json.loads("".join(lines))["nosana_job"]
    assert (told["address"], told["event"], told["previous_status"], told["status"]) == (address, "changed", None, "running")
    assert "definition" not in told


def test_what_the_page_shows_is_what_is_run_here() -> None:
    assert set(SHOWN) == {"vars.yml", "inventory.yml", "rulebook.yml"}
    assert SHOWN["inventory.yml"] == LOCALHOST
    assert [" ".join(COMMAND).format(rulebook="nosana.compute.nosana_jobs"), f"python {INSTALLED}/{SOURCE}"] == TYPED


def test_the_rulebooks_of_the_page_and_of_the_collection_are_rulebooks() -> None:
    shipped = (COLLECTION / "extensions/eda/rulebooks/nosana_jobs.yml").read_text(encoding="utf-8")
    for rulebook in (SHOWN["rulebook.yml"], yaml.safe_load(shipped)):
        Validate.rulebook(rulebook)


def rules(**options: Any) -> list[Any]:
    """A rulebook that prints every event."""
    source = {"nosana.compute.nosana_jobs": options}
    rule = {"name": "All", "condition": "event.nosana_job is defined", "action": {"print_event": None}}
    return [{"name": "Jobs", "hosts": "localhost", "sources": [source], "rules": [rule]}]


@pytest.mark.parametrize(
    ("options", "environment", "sentence"),
    [
        ({"intervall": 9}, {}, "has no option 'intervall'; did you mean interval?"),
        ({}, {"NOSANA_WALLET": ""}, "NOSANA_WALLET"),
        ({}, {"NOSANA_RPC_URL": "http://127.0.0.1:9/SECRET0123456789"}, "No answer from the Solana RPC node at 127.0.0.1:9"),
    ],
    ids=["option", "wallet", "network"],
)
def test_one_sentence(user: User, options: dict[str, Any], environment: dict[str, str], sentence: str) -> None:
    with going(user.start(rules(**options), **environment)) as rulebook:
        rulebook.end()
    said = [line for line in rulebook.output.splitlines() if sentence in line]
    assert said
    assert "EventSourceError: Source plugin failed with error message" in said[0]
    assert "Traceback" not in rulebook.output
    assert "_events.py" not in rulebook.output
    assert "SECRET" not in rulebook.output
