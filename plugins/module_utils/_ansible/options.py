"""The option specs that the modules share; their documentation stands in plugins/doc_fragments, file for file."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.basic import AnsibleFallbackNotFound


def env_nonempty(*names: str) -> str:
    """Fallback to environment variables where an empty value counts as unset, because AWX injects empty strings for empty fields."""
    for name in names:
        if os.environ.get(name):
            return os.environ[name]
    raise AnsibleFallbackNotFound


def _option(env: str, **spec: Any) -> dict[str, Any]:
    return {"type": "str", "fallback": (env_nonempty, [env]), **spec}


def connection_spec() -> dict[str, dict[str, Any]]:
    """Twin of the fragment connection. URLs may carry keys, so those of RPC and IPFS are kept out of every log.

    The gateway's is kept out by ourselves (secrets.py): Ansible would mask it as a whole, and with it every address of a result below it.
    """
    return {
        "network": _option("NOSANA_NETWORK", default="mainnet", choices=["mainnet", "devnet", "localnet"]),
        "wallet": _option("NOSANA_WALLET", no_log=True),
        "rpc_url": _option("NOSANA_RPC_URL", type="list", elements="str", no_log=True),
        "ipfs_api_url": _option("NOSANA_IPFS_API_URL", no_log=True),
        "ipfs_gateway_url": _option("NOSANA_IPFS_GATEWAY_URL", type="list", elements="str"),
        "ipfs_jwt": _option("NOSANA_IPFS_JWT", no_log=True),
        "api_url": _option("NOSANA_API_URL"),
        "node_domain": _option("NOSANA_NODE_DOMAIN"),
    }


def wait_spec() -> dict[str, dict[str, Any]]:
    """Twin of the fragment wait."""
    return {
        "wait_for": {"type": "str", "choices": ["posted", "running", "ready", "completed"]},
        "wait_for_completion": {"type": "bool"},
        "wait_timeout": {"type": "int", "default": 300, "aliases": ["completion_timeout_seconds"]},
        "wait_sleep": {"type": "float", "default": 2.0},
    }


def job_spec() -> dict[str, dict[str, Any]]:
    """The options of nosana_job."""
    return {
        "name": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "job_definition": {"type": "raw"},
        "image": {"type": "str"},
        "command": {"type": "raw"},
        "env": {"type": "dict"},
        "expose": {"type": "list", "elements": "int"},
        "gpu": {"type": "bool"},
        "id": {"type": "str"},
        "market": _option("NOSANA_MARKET", type="raw"),
        "timeout": {"type": "int"},
        "node": {"type": "str"},
        "on_change": {"type": "str", "default": "replace", "choices": ["replace", "fail", "ignore"]},
        "rerun": {"type": "str", "default": "never", "choices": ["never", "failed", "finished", "always"]},
        "max_cost": {"type": "str"},
        "purge": {"type": "bool", "default": False},
        "priority_fee": _option("NOSANA_PRIORITY_FEE", default="medium"),
        **wait_spec(),
        **connection_spec(),
    }


JOB_RULES: dict[str, Any] = {
    "mutually_exclusive": [
        ("job_definition", "image"),
        ("job_definition", "command"),
        ("job_definition", "env"),
        ("job_definition", "expose"),
        ("job_definition", "gpu"),
        ("wait_for", "wait_for_completion"),
    ],
    "required_by": {"command": ["image"], "env": ["image"], "expose": ["image"], "gpu": ["image"]},
}


def job_info_spec() -> dict[str, dict[str, Any]]:
    """The options of nosana_job_info."""
    return {
        "name": {"type": "str"},
        "id": {"type": "str"},
        "status": {"type": "list", "elements": "str", "choices": ["pending", "running", "completed", "failed", "cancelled"]},
        "market": {"type": "str"},
        "limit": {"type": "int", "default": 100},
        "include": {"type": "list", "elements": "str", "choices": ["definition", "result", "logs", "cost"], "default": []},
        **connection_spec(),
    }


JOB_INFO_RULES: dict[str, Any] = {"mutually_exclusive": [("name", "id")]}


def market_info_spec() -> dict[str, dict[str, Any]]:
    """The options of nosana_market_info."""
    return {
        "name": {"type": "str"},
        "id": {"type": "str"},
        "gpu": {"type": "str"},
        "max_price": {"type": "float"},
        "min_vram": {"type": "float"},
        "type": {"type": "str", "choices": ["PREMIUM", "COMMUNITY", "OTHER"]},
        "available": {"type": "bool", "default": False},
        "include": {"type": "list", "elements": "str", "choices": ["hosts"], "default": []},
        **connection_spec(),
    }


MARKET_INFO_RULES: dict[str, Any] = {"mutually_exclusive": [("name", "id")]}


def wallet_info_spec() -> dict[str, dict[str, Any]]:
    """The options of nosana_wallet_info."""
    return {
        "address": {"type": "str"},
        "api_key": _option("NOSANA_API_KEY", no_log=True),
        **connection_spec(),
    }
