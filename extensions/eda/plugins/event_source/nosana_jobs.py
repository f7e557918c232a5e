"""nosana_jobs: an event source for Event-Driven Ansible, which tells when a job of a wallet on the Nosana network changes its status."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: nosana_jobs
short_description: Events when jobs on the Nosana network change their status
version_added: 0.1.0
description:
  - Looks at the jobs of a wallet again and again, and makes an event of each that has another status than before, that has come, or
    that is gone.
  - An event holds under C(nosana_job) what M(nosana.compute.nosana_job_info) returns about a job, beside C(previous_status), null for a
    job that was not there before, and C(event), which is V(changed) or V(queued_too_long).
  - A job whose account is gone has the status V(absent).
  - What is between two looks is not seen, so a job that fails at once may come with the status V(failed).
author:
  - The nosana.compute contributors (@nosana-ci)
options:
  markets:
    description:
      - Only jobs in these markets, by slug or address. Default is all.
    type: list
    elements: str
    default: []
  names:
    description:
      - Only jobs whose name fits one of these shell patterns, such as V(web-*).
    type: list
    elements: str
    default: []
  status:
    description:
      - Only changes to one of these statuses. Default is all.
    type: list
    elements: str
    choices: [pending, running, completed, failed, cancelled, absent]
    default: []
  interval:
    description:
      - Seconds from one look to the next, at least 5.
    type: float
    default: 30
  queued_too_long:
    description:
      - Makes an event with V(queued_too_long) as C(event) of a job that has waited in its market's queue for so many seconds, once.
      - They are counted from the look that has seen the job waiting first, because the chain does not keep when it was posted; so they
        begin anew with the source. C(queued_seconds) are those that were counted.
    type: float
  emit_initial:
    description:
      - V(true) makes events of the jobs that are not over when the source starts, too.
    type: bool
    default: false
  since:
    description:
      - Makes events of the jobs, too, that ended in so many seconds before the source starts, so that a restart misses no end.
    type: float
    default: 0
  meta_hosts:
    description:
      - V(true) puts the job's name, or its address when it has none, into C(meta.hosts), which is what the inventory
        P(nosana.compute.nosana#inventory) calls it. C(ansible-rulebook) limits playbooks and job templates to that host.
    type: bool
    default: false
  max_backoff:
    description:
      - When a look fails, because a server does not answer or asks for a pause, the next one comes after twice the time, and at most after
        so many seconds. Nothing that happens meanwhile is lost.
    type: float
    default: 600
  feedback:
    description:
      - V(true) waits after each event until C(ansible-rulebook) has stored it, which needs its persistence.
    type: bool
    default: false
  feedback_timeout:
    description:
      - The source ends with an error when that takes more seconds.
    type: float
    default: 120
  network:
    description:
      - The network to work on, V(mainnet), V(devnet) or V(localnet). E(NOSANA_NETWORK) when it is not given.
    type: str
    default: mainnet
    choices: [mainnet, devnet, localnet]
  wallet:
    description:
      - The Solana key that owns the jobs, as the path of a key file, a base58 secret key, or a JSON array of 64 numbers. Nothing is signed
        or spent with it. E(NOSANA_WALLET) when it is not given.
    type: str
  rpc_url:
    description:
      - URL of the Solana RPC node, which has to allow C(getProgramAccounts). Of several, the first that answers is used.
        E(NOSANA_RPC_URL) when it is not given.
    type: list
    elements: str
  ipfs_api_url:
    description:
      - Base URL of the IPFS pinning service. Nothing is pinned here. E(NOSANA_IPFS_API_URL) when it is not given.
    type: str
  ipfs_gateway_url:
    description:
      - Base URLs of the IPFS gateways from which definitions and results are read. E(NOSANA_IPFS_GATEWAY_URL) when it is not given.
    type: list
    elements: str
  ipfs_jwt:
    description:
      - Token of the IPFS pinning service. Nothing is pinned here. E(NOSANA_IPFS_JWT) when it is not given.
    type: str
  api_url:
    description:
      - Base URL of the Nosana REST API, where the slugs in O(markets) are looked up. E(NOSANA_API_URL) when it is not given.
    type: str
  node_domain:
    description:
      - Domain under which the services of jobs are reached. E(NOSANA_NODE_DOMAIN) when it is not given.
    type: str
notes:
  - The options that are secret, such as O(wallet), are best given by environment variables; a rulebook may be printed.
requirements:
  - Python >= 3.11
  - ansible-core in the Python that runs ansible-rulebook
  - solders >= 0.26
  - pydantic >= 2
  - httpx
"""

EXAMPLES = r"""
# Whatever happens to jobs called web-…
- nosana.compute.nosana_jobs:
    names: [web-*]

# Ends of jobs only, also those of the hour before the start, and jobs that wait for more than ten minutes
- nosana.compute.nosana_jobs:
    status: [completed, failed, cancelled]
    since: 3600
    queued_too_long: 600
"""

import asyncio
import importlib
import json
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

# This file is run by itself, outside any package, and may not take a name such as `plugins` that others could want. So the collection's own
# code is imported under a name that is only ours.
_PACKAGE = "_nosana_compute_plugins"


class NosanaJobsError(Exception):
    """The source cannot be run here."""


def _events() -> ModuleType:
    if _PACKAGE not in sys.modules:
        package = ModuleType(_PACKAGE)
        package.__path__ = [str(Path(__file__).resolve().parents[4] / "plugins")]
        sys.modules[_PACKAGE] = package
    try:
        return importlib.import_module(f"{_PACKAGE}.plugin_utils._events")
    except ImportError as error:
        raise NosanaJobsError(
            f"nosana.compute.nosana_jobs cannot be loaded ({error}); it needs the whole collection, and Python 3.11 or newer with ansible-core, "
            f"and this is Python {platform.python_version()} at {sys.executable}."
        ) from None


async def main(queue: Any, args: dict[str, Any]) -> None:
    """What ansible-rulebook calls: events go into `queue` until it is cancelled."""
    events = _events()
    try:
        await events.run(queue, args)
    except events.EventSourceError as error:
        raise error.with_traceback(None) from None  # ansible-rulebook prints a line for each of its frames


if __name__ == "__main__":

    class MockQueue:
        """Prints what it gets."""

        async def put(self, event: dict[str, Any]) -> None:
            print(json.dumps(event, indent=2))

    asyncio.run(main(MockQueue(), {"interval": 5, "emit_initial": True}))
