"""A plain HTTP proxy that notes what it is asked, and hands everything to the local network."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Asked:
    """What came to the proxy: the host of each request, and the passwords that came with them."""

    address: str = ""
    hosts: list[str] = field(default_factory=list)
    passwords: list[str | None] = field(default_factory=list)
    refuses: bool = False


def _handler(network: str, asked: Asked) -> type[BaseHTTPRequestHandler]:
    class Proxy(BaseHTTPRequestHandler):
        def _note(self, host: str) -> None:
            asked.hosts.append(host)
            asked.passwords.append(self.headers.get("Proxy-Authorization"))

        def do_CONNECT(self) -> None:
            self._note(self.path.partition(":")[0])
            self._answer(407 if asked.refuses else 502, str(self.headers).encode())

        def do_GET(self) -> None:
            self._pass_on(None)

        def do_POST(self) -> None:
            self._pass_on(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _pass_on(self, body: bytes | None) -> None:
            parts = urlsplit(self.path)
            self._note(parts.hostname or "")
            if asked.refuses:
                self._answer(407, str(self.headers).encode())
                return
            request = urllib.request.Request(network + parts.path, data=body, method=self.command)
            request.add_header("Content-Type", self.headers.get("Content-Type") or "application/json")
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
                    self._answer(response.status, response.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, error.read())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    return Proxy


@contextmanager
def proxy(network: str) -> Iterator[Asked]:
    """A proxy before the network of that URL."""
    asked = Asked()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(network, asked))
    asked.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
