"""A server between the collection and the network: it counts what is asked, takes its time, and loses what a test wants lost."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from waves import kind_of


@dataclass(frozen=True)
class Answer:
    """What a client gets to see."""

    status: int
    body: bytes

    def result(self) -> Any:
        """Of JSON-RPC."""
        return json.loads(self.body)["result"]


def rpc_result(value: Any) -> Answer:
    """An answer of JSON-RPC."""
    return Answer(200, json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode())


def rpc_error(code: int, message: str, data: Any = None) -> Answer:
    """A refusal of JSON-RPC."""
    return Answer(200, json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message, "data": data}}).encode())


@dataclass(frozen=True)
class Request:
    """What is asked. `kind`: the method of JSON-RPC, or else "markets", "pin" or "read" (of IPFS)."""

    kind: str
    path: str
    body: bytes


# Gets what is asked and the way to pass it on; None is no answer: the connection breaks off.
Meddle = Callable[[Request, Callable[[], Answer]], Answer | None]


def honest(_request: Request, pass_on: Callable[[], Answer]) -> Answer:
    """Passes everything on."""
    return pass_on()


@dataclass
class Relay:
    """Where clients may ask instead of the network. What is JSON-RPC goes to the node, everything else to the local network."""

    node: str
    network: str
    port: int = 0
    delay_seconds: float = 0.0
    meddle: Meddle = honest
    kinds: list[str] = field(default_factory=list)

    @property
    def options(self) -> dict[str, str]:
        """Options of the modules that lead here."""
        url = f"http://127.0.0.1:{self.port}"
        return {"rpc_url": url, "ipfs_api_url": url, "ipfs_gateway_url": f"{url}/ipfs/", "api_url": url}

    def forget(self) -> None:
        """Counts from the beginning."""
        self.kinds = []

    @property
    def counts(self) -> Counter[str]:
        """Requests by kind."""
        return Counter(self.kinds)


def _handler(relay: Relay, upstream: httpx.Client) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.headers.get("Upgrade"):
                self.send_error(501)  # PubSub is not passed on, and is no question
                return
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _serve(self, body: bytes) -> None:
            if len(body) < int(self.headers.get("Content-Length") or 0):
                return  # who asked is dead
            request = Request(kind_of(self.path, body), self.path, body)
            relay.kinds.append(request.kind)
            target = relay.network + self.path if request.kind in ("markets", "pin", "read") else relay.node

            def pass_on() -> Answer:
                got = upstream.request(self.command, target, content=body, headers={"Content-Type": "application/json"})
                return Answer(got.status_code, got.content)

            time.sleep(relay.delay_seconds)
            answer = relay.meddle(request, pass_on)
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may be killed while it is answered."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def relaying(node: str, network: str) -> Iterator[Relay]:
    """A relay for as long as the block lasts."""
    relay = Relay(node, network)
    with httpx.Client(timeout=60, trust_env=False) as upstream:
        server = _Server(("127.0.0.1", 0), _handler(relay, upstream))
        relay.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield relay
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
