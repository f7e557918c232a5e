"""What hosts answer over HTTP: the node API for owners of jobs, and the services of jobs for everybody, told apart by host name."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, WSMsgType, web

from .flow import Flow, Line, OpState, Refused
from .host import Assignment, Host
from .logistics import parse
from .tokens import Malformed, is_signed_by

PROXY_SECONDS: Final = 60.0
SOCKET_AGE_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 1.0
MAX_POSTED_BYTES: Final = 100 * 1024  # the limit of the host software's web framework
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


@dataclass(frozen=True)
class Call:
    """A call of the node API by a job's owner; ``rest`` is the path behind what the route is named by."""

    request: web.Request
    host: Host
    assignment: Assignment
    rest: list[str]

    @property
    def flow(self) -> Flow:
        return self.assignment.flow


class HostFront:
    """Answers for all hosts of the network below one domain."""

    def __init__(self, hosts: Iterable[Host], *, domain: str, port: int):
        self._hosts = list(hosts)
        self._domain = domain
        self.port = port
        self._client: ClientSession | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._listening: dict[web.WebSocketResponse, list[Callable[[], None]]] = {}

    def serves(self, name: str) -> bool:
        """Whether a host name (without port) lies below the domain."""
        return name.lower().endswith(f".{self._domain}")

    async def answer(self, request: web.Request, name: str) -> web.StreamResponse:
        """The answer of the host or service of that name. Names are compared without case, as browsers send them in lower case."""
        label = name.lower().removesuffix(f".{self._domain}")
        alive = [host for host in self._hosts if host.alive]
        for host in alive:
            if str(host.address).lower() == label:
                return await self._node_api(host, request)
        for host in alive:
            for op, port, service in host.current.flow.services() if host.current else ():
                if service.lower() == label and op.running is not None and op.is_running:
                    return await self._forward(request, op.running.ports[port])
        return web.Response(status=404, text=NOT_FOUND_PAGE, content_type="text/html")

    async def close(self) -> None:
        for socket in list(self._sockets):
            await socket.close()
        if self._client:
            await self._client.close()

    # ---- services

    async def _forward(self, request: web.Request, address: tuple[str, int]) -> web.StreamResponse:
        if self._client is None:
            self._client = ClientSession(timeout=ClientTimeout(total=PROXY_SECONDS), auto_decompress=False)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._forward_socket(self._client, request, address)
        headers = [(key, value) for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP]
        url = f"http://{address[0]}:{address[1]}{request.raw_path if request.raw_path.startswith('/') else request.rel_url.raw_path_qs}"
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

    async def _forward_socket(self, client: ClientSession, request: web.Request, address: tuple[str, int]) -> web.StreamResponse:
        """A WebSocket of a service: frames go through in both directions until one side closes."""
        path = request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
        try:
            there = await client.ws_connect(f"ws://{address[0]}:{address[1]}{path}", max_msg_size=0)
        except (ClientError, TimeoutError):
            return web.Response(status=502, text="The service does not answer.\n")
        here = web.WebSocketResponse(max_msg_size=0)
        await here.prepare(request)
        self._sockets.add(here)
        try:
            ways = [asyncio.ensure_future(_pump(here, there)), asyncio.ensure_future(_pump(there, here))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way_through in ways:
                way_through.cancel()
        finally:
            self._sockets.discard(here)
            await there.close()
            await here.close()
        return here

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
            return await self._job_info(request, host, assignment)
        handler = self._routes().get((request.method, parts[2]))
        if handler is None:
            return web.Response(status=404, text="Not Found")
        if assignment is None:
            return web.Response(status=400, text="invalid job id")
        if not self._authorized(request.headers.get("Authorization", ""), assignment, assignment.account["timeout"]):
            return web.Response(status=401, text="Unauthorized Request")
        return await handler(Call(request, host, assignment, parts[3:]))

    def _routes(self) -> dict[tuple[str, str], Callable[[Call], Awaitable[web.StreamResponse]]]:
        """What the owner of a job may ask, by method and the path's first word behind the job (nosana-facts §9.2)."""
        return {
            ("GET", "job-definition"): self._definition,
            ("POST", "job-definition"): self._take_definition,
            ("GET", "results"): self._results,
            ("GET", "endpoints"): self._endpoints,
            ("GET", "ops"): self._ops,
            ("GET", "group"): self._group,
            ("POST", "group"): self._act_on_group,
            ("POST", "stop"): self._stop,
        }

    async def _definition(self, call: Call) -> web.StreamResponse:
        if call.flow.status == "waiting-for-job-definition":
            return web.Response(status=400, text="cannot get job definition, node is still waiting for it")
        return web.json_response(call.flow.definition)

    async def _take_definition(self, call: Call) -> web.StreamResponse:
        content = await call.request.content.read(MAX_POSTED_BYTES + 1)
        if len(content) > MAX_POSTED_BYTES:
            return web.Response(status=413, text="request entity too large")
        if call.flow.status != "waiting-for-job-definition" or call.assignment.definition_given.done():
            return web.Response(status=400, text="cannot send job definition at this time")
        call.assignment.definition_given.set_result(parse(content))
        return web.Response(text="Job definition received")

    async def _results(self, call: Call) -> web.StreamResponse:
        if call.flow.status != "waiting-for-result":
            return web.Response(status=400, text="cannot get results at this time")
        call.assignment.result_taken.set()
        return web.json_response(call.assignment.result)

    async def _endpoints(self, call: Call) -> web.StreamResponse:
        urls = {
            service: {
                "opID": op.id,
                "port": port,
                "url": f"http://{service}.{self._domain}:{self.port}",
                "status": "OFFLINE" if not op.is_running else "UNKNOWN" if port not in op.healthy else _online(op.healthy[port]),
            }
            for op, port, service in call.flow.public_services()
        }
        if not urls:
            return web.Response(status=400, text="No exposed url for job id")
        return web.json_response({"urls": urls, "status": _online(all(entry["status"] != "OFFLINE" for entry in urls.values()))})

    async def _ops(self, call: Call) -> web.StreamResponse:
        if call.host.current is not call.assignment:
            return web.Response(status=400, text="invalid job id")
        phases = call.flow.phases()
        if not call.rest:
            return web.json_response(phases)
        if call.rest[0] not in phases:
            return web.Response(status=404, text="Operation not found")
        return web.json_response({call.rest[0]: phases[call.rest[0]]})

    async def _group(self, call: Call) -> web.StreamResponse:
        if call.host.current is not call.assignment or len(call.rest) != 1:
            return web.Response(status=400, text="invalid job id")
        group = call.flow.current_group if call.rest[0] == "current" else call.rest[0]
        return web.json_response(call.flow.phases(group) if group is not None else {})

    async def _act_on_group(self, call: Call) -> web.StreamResponse:
        """POST /job/{job}/group/{g}/{move|restart|stop} and …/group/{g}/operation/{op}/{restart|stop}."""
        if call.host.current is not call.assignment:
            return web.Response(status=400, text="invalid job id")
        flow, rest = call.flow, call.rest
        acts: dict[str, tuple[Callable[[], Awaitable[None]], str]] = {}
        if len(rest) == 2:
            group = rest[0]
            acts = {
                "move": (lambda: flow.move_to_group(group), "Moved to group"),
                "restart": (lambda: flow.restart_group(group), "Group Operation restarted"),
                "stop": (lambda: flow.stop_group(group), "Group Operation Stopped"),
            }
        elif len(rest) == 4 and rest[1] == "operation":
            group, op_id = rest[0], rest[2]
            acts = {
                "restart": (lambda: flow.restart_op(group, op_id), "Operation restarted"),
                "stop": (lambda: flow.stop_op(group, op_id), "Operation Stopped"),
            }
        if not acts or rest[-1] not in acts:
            return web.Response(status=404, text="Not Found")
        act, done = acts[rest[-1]]
        try:
            await act()
        except Refused as error:
            what = "operation" if len(rest) == 4 else "group operations"
            return web.json_response({"error": f"Failed to {rest[-1]} {what}: {error}"}, status=500)
        return web.json_response({"message": done})

    async def _stop(self, call: Call) -> web.StreamResponse:
        call.assignment.stop_asked.set()
        return web.Response(text="Stopping job")

    async def _job_info(self, request: web.Request, host: Host, assignment: Assignment | None) -> web.StreamResponse:
        """Server-sent events: the flow without its logs whenever it changes, until it has ended."""
        if assignment is None:
            return web.Response(status=404, text="Job not found")
        if not self._authorized(request.headers.get("Authorization", ""), assignment, assignment.account["timeout"]):
            return web.Response(status=401, text="Unauthorized Request")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        last = None
        while True:
            document = _info(assignment.flow, running=host.current is assignment)
            if document != last:
                await response.write(f"data: {json.dumps(document)}\n\n".encode())
                last = document
            if assignment.flow.end_ms is not None or not host.alive:
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
            for end in self._listening.pop(socket, []):
                end()
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
        assignment = host.jobs.get(str(body.get("jobAddress"))) if isinstance(body, dict) else None
        if assignment is None:
            await socket.close(code=1007, message=b"unknown job")
            return
        if path != "/flog":  # the log of the containers is open to everybody, on the network as well
            readers = (assignment.project, host.address) if path == "/status" else (assignment.project,)
            now_ms = time.time() * 1000
            try:
                signed = any(is_signed_by(str(header), reader, now_ms=now_ms, max_age_seconds=SOCKET_AGE_SECONDS) for reader in readers)
            except Malformed:
                await socket.close(code=3000, message=b"unauthorized")
                return
            if not signed:
                return  # silence, as the network's hosts do it
        if host.current is not assignment and path != "/status":
            await socket.close(code=1008, message=b"job is not running here")
            return
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
            wanted = (("opId", op.id), ("group", op.group), ("type", line["type"])) if path == "flog" else ()
            if all(body.get(key) in (None, value) for key, value in wanted):
                send(_log_frame(path, job, op, line))

        if path == "status":
            send({"status": flow.status, "state": _info(flow, running=True), "timestamp": int(time.time() * 1000), "index": 0})
            return
        for op in flow.ops:
            for line in op.logs:
                on_line(op, line)
        flow.listeners.append(on_line)
        self._listening.setdefault(socket, []).append(lambda: flow.listeners.remove(on_line))


async def _pump(source: web.WebSocketResponse | ClientWebSocketResponse, target: web.WebSocketResponse | ClientWebSocketResponse) -> None:
    async for message in source:
        if message.type == WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await target.send_bytes(message.data)


def _online(is_so: bool) -> str:
    return "ONLINE" if is_so else "OFFLINE"


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


def _info(flow: Flow, *, running: bool) -> dict[str, Any]:
    """The flow as the owner sees it while it runs: no logs, no provider, and what each op is doing."""
    document = {"errors": []} | flow.result("")
    for op in document["opStates"]:
        del op["logs"], op["providerId"]
    group = flow.current_group
    operations = {"all": flow.phases(), "currentGroup": group, "currentGroupStatus": flow.phases(group) if group is not None else {}}
    return document | {"operations": operations if running else None}
