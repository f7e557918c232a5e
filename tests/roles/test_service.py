"""The role service: a version takes another's place while a client asks all the time, and one that does not come up changes nothing."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from conftest import PATIENCE_SECONDS, User

PAUSE_SECONDS = 0.02
BROKEN = {"service_command": ["python3", "-c", "import sys; print('no weights found'); sys.exit(3)"]}


@dataclass
class Client:
    """Asks the service as it is published at this moment, again and again."""

    file: Path
    port: int
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def ask(self) -> None:
        """Once. The host of an URL ends in .localhost, which is this machine."""
        url = self.file.read_text(encoding="utf-8").strip()
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/", headers={"Host": urlsplit(url).netloc}, timeout=10, trust_env=False)
            answer.raise_for_status()
            self.answers.append(next(word for word in answer.text.split() if word.startswith("shop:")))
        except Exception as error:
            self.failures.append(f"{url}: {error!r}")


@contextmanager
def asking(client: Client) -> Iterator[None]:
    """For the length of the block."""
    ending = threading.Event()

    def ask() -> None:
        while not ending.is_set():
            client.ask()
            time.sleep(PAUSE_SECONDS)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def service(user: User, image: str, **options: Any) -> dict[str, Any]:
    """The options of the role. The image is not run here: a page that names it stands in."""
    found: dict[str, Any] = {
        "service_name": "shop",
        "service_image": image,
        "service_expose": [80],
        "service_url_file": str(user.directory / "url"),
        "service_grace": 1,
    }
    return found | options


def slow_to_come_up(user: User) -> dict[str, Any]:
    """The options of a version that needs four seconds until it answers: a real process, on a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = f"sleep 4; echo shop:2 > index.html; exec python3 -m http.server {port} --bind 127.0.0.1"
    return service(user, "shop:2", service_command=command, service_expose=[port])


def test_a_new_image_without_a_failed_request(user: User) -> None:
    first = user.play("service", **service(user, "shop:1"))
    assert first.code == 0, first.output
    client = Client(user.directory / "url", user.network.network.port)
    client.ask()
    assert (client.answers, client.failures) == (["shop:1"], [])

    again = user.play("service", **service(user, "shop:1", service_health={"path": "/", "status": [200]}))
    assert (again.code, again.changed) == (0, set()), again.output

    new = slow_to_come_up(user)
    before = user.posted()
    checked = user.play("service", check=True, **new)
    assert checked.code == 0, checked.output
    assert checked.changed == {"Declare it and wait until it answers", "Keep the URL in a file", "Remove versions"}
    assert (user.posted(), user.active()) == (before, 1)

    with asking(client):
        changed = user.play("service", **new)
        client.ask()
    assert changed.code == 0, changed.output
    assert client.failures == []
    assert set(client.answers) == {"shop:1", "shop:2"}
    assert client.answers == sorted(client.answers), "the old version answered after the new one"
    assert len(client.answers) > 50
    assert user.active() == 1
    assert changed.fact("service_result")["replaced"] == [first.fact("service_result")["name"]]
    print(f"{len(client.answers)} requests, none failed")


def test_a_run_that_was_cut_off_is_finished(user: User) -> None:
    """Killed after the switch, while the old version still serves its last clients."""
    assert user.play("service", **service(user, "shop:1")).code == 0
    old = (user.directory / "url").read_text(encoding="utf-8")
    child, _place = user.start("service", **service(user, "shop:2", service_grace=600))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (user.directory / "url").read_text(encoding="utf-8") == old:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert user.active() == 2

    posted = user.posted()
    finished = user.play("service", **service(user, "shop:2"))
    assert (finished.code, finished.changed) == (0, {"Remove versions"}), finished.output
    assert (user.posted(), user.active()) == (posted, 1)
    client = Client(user.directory / "url", user.network.network.port)
    client.ask()
    assert (client.answers, client.failures) == (["shop:2"], [])


def test_a_version_that_does_not_come_up(user: User) -> None:
    good = user.play("service", **service(user, "shop:1"))
    assert good.code == 0, good.output
    url = (user.directory / "url").read_text(encoding="utf-8")
    client = Client(user.directory / "url", user.network.network.port)
    with asking(client):
        crashed = user.play("service", **service(user, "shop:2", **BROKEN))
        ill = user.play("service", **service(user, "shop:3", service_health={"status": [418], "retries": 1, "delay": 1}))
    assert (crashed.code, ill.code) == (2, 2)
    assert (client.failures, set(client.answers)) == ([], {"shop:1"})
    assert (user.directory / "url").read_text(encoding="utf-8") == url
    assert user.active() == 1

    (reason,) = (result["msg"] for result in crashed.results["Say why"])
    assert reason.startswith("The version shop-")
    assert "serves on" in reason
    assert "no weights found" in reason, "the end of its log"
    (reason,) = (result["msg"] for result in ill.results["Say why"])
    assert "The health check failed: Status code was 200 and not [418]" in reason

    # What serves is not removed because it is ill for a moment.
    momentarily = user.play("service", **service(user, "shop:1", service_health={"status": [418], "retries": 1, "delay": 1}))
    assert momentarily.code == 2
    assert user.active() == 1

    removed = user.play("service", service_name="shop", service_state="absent")
    assert (removed.code, user.active()) == (0, 0), removed.output
