"""A wallet with many jobs that another tool has posted, put into a local network's ledger and IPFS directly."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from nosana_localnet import idl
from nosana_localnet.genesis import JOBS_PROGRAM
from nosana_localnet.ipfs import cid_to_bytes
from nosana_localnet.ledger import SYSTEM_PROGRAM
from nosana_localnet.server import Network

FINISHED, ACTIVE = 10_000, 50
DONE, RUNNING_SECONDS, TIMEOUT = 2, 60, 3600


def definition(name: str) -> dict[str, Any]:
    """What the other tool has posted under a name."""
    op = {"type": "container/run", "id": "one", "args": {"image": "nginx", "env": {"NAME": name}}}
    return {"version": "0.1", "type": "container", "meta": {"name": name}, "ops": [op]}


def fill(network: Network, owner: Pubkey, market: Pubkey, *, finished: int = FINISHED, active: int = ACTIVE) -> None:
    """Jobs named finished-0, active-0 and so on; hosts run the active ones. Each has a definition of its own, and each finished one a result."""
    ledger, store = network.ledger, network.store
    now = ledger.unix_time
    host = Pubkey(os.urandom(32))
    values = {"market": market, "payer": owner, "project": owner, "price": 1, "timeout": TIMEOUT}
    rent, run_rent = ledger.rent(idl.JOB_BYTES), ledger.rent(idl.RUN_BYTES)
    for number in range(finished):
        result = {
            "status": "success",
            "opStates": [{"operationId": "one", "status": "success", "exitCode": 0, "logs": [{"log": str(number)}]}],
        }
        job = {
            "ipfs_job": cid_to_bytes(store.add_json(definition(f"finished-{number}"))),
            "ipfs_result": cid_to_bytes(store.add_json(result)),
            "node": host,
            "state": DONE,
            "time_start": now - finished + number - 100,
            "time_end": now - finished + number,
        }
        ledger.put(Pubkey(os.urandom(32)), Account(rent, idl.encode_account("JobAccount", values | job, size=idl.JOB_BYTES), JOBS_PROGRAM))
    for number in range(active):
        address = Pubkey(os.urandom(32))
        job = {
            "ipfs_job": cid_to_bytes(store.add_json(definition(f"active-{number}"))),
            "ipfs_result": bytes(32),
            "node": SYSTEM_PROGRAM,
            "state": 0,
            "time_start": 0,
            "time_end": 0,
        }
        ledger.put(address, Account(rent, idl.encode_account("JobAccount", values | job, size=idl.JOB_BYTES), JOBS_PROGRAM))
        run = {"job": address, "node": host, "payer": host, "state": 0, "time": now - RUNNING_SECONDS}
        ledger.put(Pubkey(os.urandom(32)), Account(run_rent, idl.encode_account("RunAccount", run, size=idl.RUN_BYTES), JOBS_PROGRAM))
    ledger.settle()
