"""Hosts: the public URLs of a job's services, the token that a job's owner shows, and whether a service answers."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .base58 import b58encode
from .errors import NosanaError

if TYPE_CHECKING:
    from solders.keypair import Keypair

    from .http import Http, Response

_LITERAL = re.compile(r"^%%(ops|globals).[^%]+%%$")
_READY_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Port:
    """A port that an op exposes. `private` ones have a URL that only the host knows."""

    op_id: str
    op_index: int
    number: int | float | str
    private: bool = False


@dataclass(frozen=True)
class Service:
    """An exposed port of a job, with its URL, which is empty for a private one."""

    op_id: str
    op_index: int
    port: int | float | str
    url: str
    private: bool = False


def service_host(op_index: int, port: int | float | str, job: str) -> str:
    """The first label of a public service URL."""
    text = f"{op_index}:{_plain(port)}:{job}"
    # Half of a character, which a port may be in a definition of others, becomes what JavaScript makes of it.
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return b58encode(hashlib.sha512(whole.encode()).digest())[:44]


def service_url(op_index: int, port: int | float | str, job: str, node_domain: str) -> str:
    """Where everybody reaches what listens on an exposed port."""
    return host_url(service_host(op_index, port, job), node_domain)


def service_urls(definition: dict[str, Any], job: str, node_domain: str) -> list[Service]:
    """All exposed ports of a job, in the order of its ops, with their URLs."""
    return [
        Service(
            port.op_id,
            port.op_index,
            port.number,
            "" if port.private else service_url(port.op_index, port.number, job, node_domain),
            port.private,
        )
        for port in exposed_ports(definition)
    ]


def exposed_ports(definition: dict[str, Any]) -> list[Port]:
    """All exposed ports of a definition, in the order of its ops; ports that are literals or markers have no URL before the job runs."""
    found = []
    ops = definition.get("ops")
    for index, op in enumerate(ops if isinstance(ops, list) else []):
        args = op.get("args") if isinstance(op, dict) else None
        if not isinstance(args, dict):
            continue
        private = args.get("private") is True
        found += [Port(str(op.get("id")), index, number, private) for number in _ports(args.get("expose"))]
    return found


def host_url(label: str, node_domain: str) -> str:
    """URL of a host or service under the node domain, which is https unless it says otherwise."""
    scheme, separator, domain = node_domain.rstrip("/").rpartition("://")
    return f"{scheme if separator else 'https'}://{label}.{domain}"


def authorization(message: str, keypair: Keypair, *, time_ms: int | None = None) -> str:
    """The token that the owner of a job shows to its host: message, signature, and optionally the (unsigned) time."""
    token = f"{message}:{keypair.sign_message(message.encode())}"
    return token if time_ms is None else f"{token}:{time_ms}"


class NodeApi:
    """What is asked of hosts and of the services that run on them."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def ready(self, url: str) -> bool:
        """Whether the service itself answers; the proxy's 404 and 5xx for a service that is not up do not count."""
        try:
            return await self._http.request(
                "GET", url, _is_up, label="service", attempts=1, timeout_seconds=_READY_TIMEOUT_SECONDS, body=False
            )
        except NosanaError:
            return False


def _is_up(response: Response) -> bool:
    return response.status < 500 and response.status != 404


def _ports(expose: Any) -> list[int | float | str]:
    # A bare object outside an array passes the network's validation and is then ignored by everybody.
    entries = expose if isinstance(expose, list) else [] if isinstance(expose, dict) else [expose]
    ports = [entry.get("port") if isinstance(entry, dict) else entry for entry in entries]
    return [
        port
        for port in ports
        if (isinstance(port, (int, float)) and not isinstance(port, bool)) or (isinstance(port, str) and not _LITERAL.match(port))
    ]


def _plain(port: int | float | str) -> str:
    return str(int(port)) if isinstance(port, float) and port.is_integer() else str(port)
