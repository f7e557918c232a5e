"""A headless Chromium for tests, driven over its DevTools protocol; nothing but aiohttp and the browser itself is needed."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

PROGRAM: Final = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
PATIENCE_SECONDS: Final = 20.0
FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # tests may run as root, where its sandbox does not work; it opens nothing but the local network
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)


class Page:
    """One tab. `problems` are uncaught exceptions, console errors and what the browser itself complained of."""

    def __init__(self, socket: ClientWebSocketResponse):
        self.problems: list[str] = []
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        found = await asyncio.wait_for(answer, PATIENCE_SECONDS)
        assert "error" not in found, found
        result: dict[str, Any] = found["result"]
        return result

    async def open(self, url: str, *, width: int = 1100, height: int = 900, dark: bool = False) -> None:
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.resize(width, height, dark=dark)
        await self.call("Page.navigate", url=url)

    async def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def value(self, expression: str) -> Any:
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """The expression's value, as soon as it is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := await self.value(expression)):
            assert time.monotonic() < deadline, (
                f"{expression} did not come true; the page says: {await self.value('document.body.innerText')}"
            )
            await asyncio.sleep(0.03)
        return found

    async def screenshot(self, path: Path) -> None:
        picture = await self.call("Page.captureScreenshot", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(picture["data"]))

    async def close(self) -> None:
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type != WSMsgType.TEXT:
                break
            frame = json.loads(message.data)
            if "id" in frame:
                self._waiting.pop(frame["id"]).set_result(frame)
            elif frame["method"] == "Runtime.exceptionThrown":
                self.problems.append(frame["params"]["exceptionDetails"]["text"])
            elif frame["method"] == "Runtime.consoleAPICalled" and frame["params"]["type"] in ("error", "warning", "assert"):
                self.problems.append(str(frame["params"]["args"]))
            elif frame["method"] == "Log.entryAdded" and frame["params"]["entry"]["level"] == "error":
                self.problems.append(f"{frame['params']['entry']['text']} {frame['params']['entry'].get('url', '')}")


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """A new tab of a new browser with an empty profile, which is ended with the block."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="nosana-browser-", ignore_cleanup_errors=True) as profile:
        child = await asyncio.create_subprocess_exec(
            PROGRAM,
            *FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | {"HOME": profile},
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort")
            async with ClientSession() as client:
                async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    targets = await answer.json()
                tab = next(target for target in targets if target["type"] == "page")
                async with client.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    page = Page(socket)
                    try:
                        yield page
                    finally:
                        await page.close()
        finally:
            child.terminate()
            await child.wait()


async def _port(file: Path) -> int:
    """The browser writes it there when it listens."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(file.read_text(encoding="utf-8").splitlines()[0])
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not start")
