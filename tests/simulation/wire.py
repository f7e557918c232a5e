"""The way between a process and the servers: an httpx transport in virtual time, with the faults of a network.

A request arrives at one moment and its answer at another, so others act in between; a request that was sent arrives, whether the process
still lives or not.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import httpx
from faults import Faults
from scheduler import Process, Scheduler
from servers import Answer, Request, Servers, kind_of


@dataclass
class Internet:
    """What all wires have in common: the servers, the faults, and which server is gone until when."""

    scheduler: Scheduler
    servers: Servers
    faults: Faults
    gone_until: dict[str, float] = field(default_factory=dict)


class Wire(httpx.AsyncBaseTransport):
    """The transport of one process."""

    def __init__(self, internet: Internet, process: Process) -> None:
        self._internet = internet
        self._process = process
        self.met: Counter[str] = Counter()
        """The faults that this process met."""
        self.asked: Counter[str] = Counter()
        """How often it asked for what."""
        self.skew_seconds = internet.scheduler.random.choice((0.0, 0.0, 0.0, -7200.0, 7200.0))
        """By how much the machine's clock is wrong."""
        self.nodes = 2 if internet.scheduler.random.random() < 0.2 else 1
        """How many RPC nodes are configured."""
        self.gateways = 2 if internet.scheduler.random.random() < 0.25 else 1
        """How many IPFS gateways."""
        self.pubsub = internet.scheduler.random.random() < 0.5
        """Whether the library for PubSub is installed."""
        for there, occasion in ((self.nodes > 1, "two_nodes"), (self.gateways > 1, "two_gateways"), (self.pubsub, "pubsub")):
            if there:
                internet.faults.count(occasion)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        path = request.url.path
        kind = kind_of(request.method, path, body)
        arrived = Request(kind, request.url.host, path, body)
        self.asked[kind] += 1
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._process.alive:  # the loop's timers may still stir a task of a process that was killed
            self._send(arrived, float(request.extensions["timeout"]["read"]), waiting)
        answer = await waiting
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    def _send(self, request: Request, timeout_seconds: float, waiting: asyncio.Future[Answer]) -> None:
        internet, process, scheduler = self._internet, self._process, self._internet.scheduler
        chance = scheduler.random
        fault = internet.faults.draw(request.kind)
        if fault == "outage":
            internet.gone_until[request.server] = scheduler.now + chance.uniform(5, 120)
        if internet.faults.on and scheduler.now < internet.gone_until.get(request.server, 0):
            fault = "outage"
        if fault == "unknown":
            internet.servers.freeze(chance.uniform(5, 90))
        if internet.faults.on and request.kind == "getSignatureStatuses" and internet.servers.frozen and fault is None:
            fault = "unknown"
        if fault is not None:
            self.met[fault] += 1
        scheduler.note(process.name, f"asks {request.kind}" + (f" [{fault}]" if fault else ""))
        there, back = _latency(chance.random()), _latency(chance.random())
        if fault in ("reset", "outage"):
            process.resume(there, waiting, httpx.ConnectError("connection refused"))
            return
        if fault == "slow":
            back += chance.uniform(2, 25)
        if fault == "too_slow":
            there += chance.uniform(0, 20)
            process.resume(timeout_seconds, waiting, httpx.ReadTimeout("no answer in time"))
        again = fault == "duplicate"
        second_answers = again and chance.random() < 0.5

        def arrive(*, answers: bool) -> None:
            answer = internet.servers.answer(process.name, request, fault)
            scheduler.note(process.name, f"{request.kind} arrived: {answer.status}")
            if not answers or fault == "too_slow":
                return
            if fault == "answer_lost":
                process.resume(back, waiting, httpx.ReadError("connection reset by peer"))
            elif there + back > timeout_seconds:
                process.resume(max(0.0, timeout_seconds - there), waiting, httpx.ReadTimeout("no answer in time"))
            else:
                process.resume(back, waiting, answer)

        scheduler.after(there, lambda: arrive(answers=not second_answers))
        if again:
            scheduler.after(there + chance.uniform(0.001, 1.5), lambda: arrive(answers=second_answers))


def _latency(chance: float) -> float:
    """Mostly some milliseconds, now and then more than a second, so that anything may overtake anything."""
    return 0.002 + 0.05 * chance + (1.5 * (chance - 0.95) / 0.05 if chance > 0.95 else 0.0)
