"""A server before the local network: takes URLs with keys in them, and answers as indiscreetly as servers do."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# The first segment says what the server does with the rest; /pass/KEY/… hands the request to the network without KEY.
PASS, TELL, MOVE, REFUSE, FAIL = "pass", "tell", "move", "refuse", "fail"


def _handler(network: str) -> type[BaseHTTPRequestHandler]:
    class Relay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve(None)

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _serve(self, body: bytes | None) -> None:
            kind, _slash, rest = urlsplit(self.path).path.lstrip("/").partition("/")
            everything = f"{self.path} {self.headers} {(body or b'').decode('utf-8', 'replace')}"
            if kind == PASS:
                self._pass_on("/" + rest.partition("/")[2], body)
            elif kind == TELL:  # an error that quotes URL, headers and body
                answer = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": everything, "data": {"request": everything}}}
                self._answer(200, json.dumps(answer).encode())
            elif kind == MOVE:
                self._answer(302, everything.encode(), {"Location": f"http://127.0.0.1:1{self.path}"})
            elif kind == REFUSE:
                self._answer(401, json.dumps({"error": everything}).encode(), {"WWW-Authenticate": "Basic"})
            else:
                self._answer(400, everything.encode())

        def _pass_on(self, path: str, body: bytes | None) -> None:
            headers = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
            request = urllib.request.Request(network + path, data=body, headers=headers, method=self.command)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(request) as response:
                    self._answer(response.status, response.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, error.read())

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    return Relay


@contextmanager
def relay(network: str) -> Iterator[str]:
    """host:port of a relay for the network of that URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(network))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
