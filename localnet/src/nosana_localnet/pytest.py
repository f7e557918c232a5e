"""pytest plugin: a local Nosana network for tests, one for a session or as many as a test wants.

Installed with the package. Fixtures: ``nosana_network`` (one network for the session), ``nosana_networks`` (starts more), ``nosana_wallet``
(a funded wallet file) and ``nosana_environment`` (the NOSANA_* variables, set for the test). In pytest's configuration
``nosana_localnet_hosts`` (such as ``nvidia-3060=2``) and ``nosana_localnet_runner`` (process, podman, docker or auto) change the session's network.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # the network is imported when a test asks for it: a test run that does not pays nothing
    from .thread import ThreadNetwork


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings of the session's network."""
    parser.addini("nosana_localnet_hosts", "hosts of the session's network, as MARKET=N separated by commas", default="")
    parser.addini("nosana_localnet_runner", "what its hosts run ops with: process, podman, docker or auto", default="process")


@pytest.fixture(scope="session")
def nosana_network(request: pytest.FixtureRequest) -> Iterator[ThreadNetwork]:
    """A network that all tests of the session share."""
    from .cli import hosts_of
    from .server import Settings
    from .thread import running

    hosts = str(request.config.getini("nosana_localnet_hosts"))
    runner = str(request.config.getini("nosana_localnet_runner"))
    with running(Settings(port=0, runner=runner, hosts=hosts_of(hosts) if hosts else None)) as network:
        yield network


@pytest.fixture
def nosana_networks() -> Iterator[Callable[..., ThreadNetwork]]:
    """Starts a network with the given settings; all that a test has started end with it. A free port is taken unless one is named."""
    from .server import Settings
    from .thread import running

    with ExitStack() as stack:

        def start(**settings: Any) -> ThreadNetwork:
            wanted: dict[str, Any] = {"port": 0, "runner": "process"} | settings
            return stack.enter_context(running(Settings(**wanted)))

        yield start


@pytest.fixture
def nosana_wallet(nosana_network: ThreadNetwork, tmp_path: Path) -> Path:
    """A wallet file with 10 SOL and 1000 NOS on the session's network."""
    path = tmp_path / "wallet.json"
    nosana_network.wallet(path)
    return path


@pytest.fixture
def nosana_environment(nosana_network: ThreadNetwork, nosana_wallet: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables by which the Ansible collection finds the session's network, set for the length of the test."""
    environment = nosana_network.environment(nosana_wallet)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment
