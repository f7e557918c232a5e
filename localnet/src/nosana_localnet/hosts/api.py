"""What hosts answer over HTTP: the node API for owners of jobs, and the services of jobs for everybody, told apart by host name."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, WSMsgType, web

from .flow import Flow, Line, OpState
from .host import Assignment, Host
from .tokens import Malformed, is_signed_by

PROXY_SECONDS: Final = 60.0
SOCKET_AGE_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 1.0
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
        "proxy-connection",
    }
)
# The page of the tunnel server that stands before the hosts of the network, for names that lead nowhere.
NOT_FOUND_PAGE: Final = """<!DOCTYPE html>
<html><head><title>Not Found</title></head>
<body><h1>The page you requested was not found.</h1>
<p>Sorry, the page you are looking for is currently unavailable.<br/>Please try again later.</p>
<p><em>Faithfully yours, frp.</em></p></body></html>
"""


class HostFront:
    """Answers for all hosts of the network below one domain."""

    def __init__(self, hosts: Iterable[Host], *, domain: str, port: int):
        self._hosts = list(hosts)
        self._domain = domain
        self._port = port
        self._client: ClientSession | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._sending: set[asyncio.Task[None]] = set()

    def serves(self, name: str) -> bool:
        """Whether a host name (without port) lies below the domain."""
        return name.lower().endswith(f".{self._domain}")

    async def answer(self, request: web.Request, name: str) -> web.StreamResponse:
        """The answer of the host or service of that name. Names are compared without case, as browsers send them in lower case."""
        label = name.lower().removesuffix(f".{self._domain}")
        for host in self._hosts:
            if str(host.address).lower() == label:
                return await self._node_api(host, request)
        for host in self._hosts:
            flow = host.current.flow if host.current else None
            for op, port, service in flow.services() if flow else ():
                if service.lower() == label and op.running is not None and not op.over.is_set():
                    return await self._forward(request, op.running.ports[port])
        return web.Response(status=404, text=NOT_FOUND_PAGE, content_type="text/html")

    async def close(self) -> None:
        for socket in list(self._sockets):
            await socket.close()
        if self._client:
            await self._client.close()

    # ---- services

    async def _forward(self, request: web.Request, port: int) -> web.StreamResponse:
        if self._client is None:
            self._client = ClientSession(timeout=ClientTimeout(total=PROXY_SECONDS), auto_decompress=False)
        headers = [(key, value) for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP]
        url = f"http://127.0.0.1:{port}{request.raw_path if request.raw_path.startswith('/') else request.rel_url.raw_path_qs}"
        try:
            async with self._client.request(
                request.method, url, headers=headers, data=request.content if request.can_read_body else None, allow_redirects=False
            ) as answer:
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                for key, value in answer.headers.items():
                    if key.lower() not in _HOP_BY_HOP:
                        response.headers.add(key, value)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (ClientError, TimeoutError):
            return web.Response(status=502, text="The service does not answer.\n")

    # ---- node API

    async def _node_api(self, host: Host, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(host, request)
        parts = [part for part in request.path.split("/") if part]
        if request.method == "GET" and not parts:
            return web.json_response(str(host.address))
        if request.method == "GET" and parts == ["node", "info"]:
            return web.json_response(self._node_info(host))
        if len(parts) < 3 or parts[0] != "job":
            return web.Response(status=404, text="Not Found")
        assignment = host.jobs.get(parts[1])
        if request.method == "GET" and parts[2:] == ["info"]:
            return await self._job_info(request, assignment)
        handler = self._routes().get((request.method, parts[2]))
        if handler is None or len(parts) > 4:
            return web.Response(status=404, text="Not Found")
        if assignment is None or assignment.flow is None:
            return web.Response(status=400, text="Job not found on this node")
        if not self._authorized(request.headers.get("Authorization", ""), assignment, assignment.account["timeout"]):
            return web.Response(status=401, text="Unauthorized Request")
        return await handler(assignment, assignment.flow, parts[3:])

    def _routes(self) -> dict[tuple[str, str], Callable[[Assignment, Flow, list[str]], Awaitable[web.StreamResponse]]]:
        """What the owner of a job may ask, by method and the path's last word but its arguments."""
        return {
            ("GET", "job-definition"): self._definition,
            ("GET", "results"): self._results,
            ("GET", "endpoints"): self._endpoints,
            ("GET", "ops"): self._ops,
            ("POST", "stop"): self._stop,
        }

    async def _definition(self, assignment: Assignment, flow: Flow, _rest: list[str]) -> web.StreamResponse:
        return web.json_response(flow.definition)

    async def _results(self, _assignment: Assignment, _flow: Flow, _rest: list[str]) -> web.StreamResponse:
        return web.Response(status=400, text="cannot send results, node is not waiting for them: they are pinned to IPFS")

    async def _endpoints(self, _assignment: Assignment, flow: Flow, _rest: list[str]) -> web.StreamResponse:
        urls = {
            service: {
                "opID": op.id,
                "port": port,
                "url": f"http://{service}.{self._domain}:{self._port}",
                "status": "ONLINE" if op.running is not None and not op.over.is_set() else "OFFLINE",
            }
            for op, port, service in flow.services()
        }
        if not urls:
            return web.Response(status=400, text="No exposed endpoints found for job")
        online = all(entry["status"] == "ONLINE" for entry in urls.values())
        return web.json_response({"urls": urls, "status": "ONLINE" if online else "OFFLINE"})

    async def _ops(self, _assignment: Assignment, flow: Flow, rest: list[str]) -> web.StreamResponse:
        statuses = {op.id: op.status for op in flow.ops}
        if not rest:
            return web.json_response(statuses)
        if rest[0] not in statuses:
            return web.Response(status=404, text="Operation not found")
        return web.json_response(statuses[rest[0]])

    async def _stop(self, assignment: Assignment, _flow: Flow, _rest: list[str]) -> web.StreamResponse:
        assignment.stop_asked.set()
        return web.Response(text="Stopping job")

    async def _job_info(self, request: web.Request, assignment: Assignment | None) -> web.StreamResponse:
        """Server-sent events: the flow without its logs whenever it changes, until it has ended."""
        if assignment is None or assignment.flow is None:
            return web.Response(status=404, text="Job not found")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        last = None
        while True:
            document = _without_logs(assignment.flow)
            if document != last:
                await response.write(f"data: {json.dumps(document)}\n\n".encode())
                last = document
            if assignment.flow.end_ms is not None:
                return response
            await asyncio.sleep(LOOK_SECONDS)

    @staticmethod
    def _node_info(host: Host) -> dict[str, Any]:
        gpus = [{"name": name, "simulated": True} for name in host.market.gpus]
        return {
            "node": str(host.address),
            "state": host.state,
            "market": str(host.market.address),
            "runner": host.runner.name,
            "specs": {"gpus": gpus, "note": "The hardware is named and simulated by nosana-localnet."},
        }

    @staticmethod
    def _authorized(token: str, assignment: Assignment, max_age_seconds: float) -> bool:
        try:
            return is_signed_by(token, assignment.project, now_ms=time.time() * 1000, max_age_seconds=max_age_seconds)
        except Malformed:
            return False

    # ---- log sockets

    async def _socket(self, host: Host, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    await self._subscribe(host, socket, message.data)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _subscribe(self, host: Host, socket: web.WebSocketResponse, text: str) -> None:
        try:
            frame = json.loads(text)
            path, header, body = frame["path"], frame.get("header", ""), frame.get("body") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            await socket.close(code=1011, message=b"bad frame")
            return
        if path not in ("/log", "/status", "/flog"):
            await socket.close(code=3003, message=b"unknown path")
            return
        assignment = host.jobs.get(str(body.get("jobAddress")))
        if assignment is None or assignment.flow is None:
            await socket.close(code=1007, message=b"unknown job")
            return
        if path != "/flog":  # the log of the containers is open to everybody, on the network as well
            try:
                signed = is_signed_by(str(header), assignment.project, now_ms=time.time() * 1000, max_age_seconds=SOCKET_AGE_SECONDS)
            except Malformed:
                await socket.close(code=3000, message=b"unauthorized")
                return
            if not signed:
                return  # silence, as the network's hosts do it
        await self._follow(socket, path.lstrip("/"), str(assignment.job), assignment.flow, body)

    def _send(self, sending: Coroutine[None, None, None]) -> None:
        """From a callback: in the background, held until it is done."""
        task = asyncio.ensure_future(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _follow(self, socket: web.WebSocketResponse, path: str, job: str, flow: Flow, body: dict[str, Any]) -> None:
        def send(data: dict[str, Any]) -> None:
            if not socket.closed:
                self._send(socket.send_json({"path": "state" if path == "status" else path, "data": json.dumps(data)}))

        def on_line(op: OpState, line: Line) -> None:
            if body.get("opId") in (None, op.id) and body.get("group") in (None, op.group):
                send(_log_frame(path, job, op, line))

        if path == "status":
            send({"status": flow.status, "state": _without_logs(flow), "timestamp": int(time.time() * 1000), "index": 0})
            return
        for op in flow.ops:
            for line in op.logs:
                on_line(op, line)
        flow.listeners.append(on_line)


def _log_frame(path: str, job: str, op: OpState, line: Line) -> dict[str, Any]:
    if path == "flog":
        return {"opId": op.id, "group": op.group, "type": line["type"], "timestamp": line["timestamp"], "message": line["log"]}
    return {
        "log": line["log"],
        "method": "log",
        "type": line["type"],
        "timestamp": line["timestamp"],
        "job": job,
        "payload": {"opId": op.id},
    }


def _without_logs(flow: Flow) -> dict[str, Any]:
    document = flow.result("")
    for op in document["opStates"]:
        del op["logs"]
    running = next((op for op in flow.ops if not op.over.is_set()), None)
    operations = {
        "all": {op.id: op.status for op in flow.ops},
        "currentGroup": running.group if running else None,
        "currentGroupStatus": running.status if running else None,
    }
    return document | {"operations": operations}
