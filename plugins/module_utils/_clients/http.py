"""HTTP for all clients: with websocket.py the only file that touches the network. Retries, time-outs, size bounds, redaction."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import json
import logging
import os
import re
import ssl
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from .._libraries import httpx
from .errors import InvalidInput, Refused, UnexpectedAnswer, Unreachable

if TYPE_CHECKING:
    from .clock import Clock

Value = TypeVar("Value")

_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_PROXY_WANTS_A_PASSWORD = 407
_FIRST_DELAY_SECONDS = 0.25
_LONGEST_DELAY_SECONDS = 15.0
_MAX_BYTES = 8 * 1024 * 1024
_SHORTEST_KEY_LABEL = 16
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REQUESTS_PER_POOL = 2


@dataclass(frozen=True)
class Response:
    """An answer with any status that says more than that the server is not well."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    label: str

    def json(self) -> Any:
        """The body as JSON; UnexpectedAnswer when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise UnexpectedAnswer(f"The {self.label} answered something that is no JSON (HTTP {self.status}).") from None


@dataclass
class _Pool:
    """The library's client with its connections, and how many requests it has under way."""

    client: httpx.AsyncClient
    under_way: int = 0


class Connections:
    """Connections that may be used again, as the environment wants them: proxies, certificates. Bound to one event loop.

    With each request the library looks at all connections of a pool, for each of them, which makes one pool of sixteen connections three times
    as slow as eight of two; hence several.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        _search_once("sniffio")
        for library in ("httpx", "httpcore"):  # they log whole URLs, which hold keys; on the controller that is Ansible's own log
            logging.getLogger(library).setLevel(logging.WARNING)
        try:
            self._pools = [self._new_pool()]
        except (ValueError, ImportError, httpx.InvalidURL):  # a proxy's URL may hold a password, so nothing of it is said
            raise InvalidInput(
                "A proxy of the environment cannot be used; check that HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are http:// URLs, or unset them."
            ) from None
        except OSError:
            raise InvalidInput("The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read; correct or unset it.") from None

    async def close(self) -> None:
        """Closes them all."""
        for pool in self._pools:
            await pool.client.aclose()

    @contextmanager
    def client(self) -> Iterator[httpx.AsyncClient]:
        """A client that has few requests under way, for the length of a request."""
        pool = next((pool for pool in self._pools if pool.under_way < _REQUESTS_PER_POOL), None)
        if pool is None:
            pool = self._new_pool()
            self._pools.append(pool)
        pool.under_way += 1
        try:
            yield pool.client
        finally:
            pool.under_way -= 1

    def _new_pool(self) -> _Pool:
        certificates = _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")) if self._transport is None else True
        return _Pool(httpx.AsyncClient(verify=certificates, follow_redirects=False, transport=self._transport))


class Http:
    """One client for all servers of a run. Use it as an async context manager; it is bound to one event loop.

    timeout_seconds: for one attempt, from connecting to the last byte. budget_seconds: so much of a run may be lost to attempts that fail
    and to the pauses after them; then nothing is tried a second time, so that a run among broken servers comes to its end.
    connections: of somebody who closes them.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        timeout_seconds: float = 30,
        attempts: int = 5,
        budget_seconds: float = 180,
        transport: httpx.AsyncBaseTransport | None = None,
        connections: Connections | None = None,
    ) -> None:
        self.clock = clock
        self._timeout_seconds = timeout_seconds
        self._attempts = attempts
        self._budget_seconds = budget_seconds
        self._lost_seconds = 0.0
        self._borrowed = connections is not None
        self._connections = connections or Connections(transport)

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._borrowed:
            await self._connections.close()

    async def request(
        self,
        method: str,
        url: str,
        read: Callable[[Response], Value],
        *,
        label: str,
        advice: str = "",
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = _MAX_BYTES,
        attempts: int | None = None,
        timeout_seconds: float | None = None,
        body: bool = True,
    ) -> Value:
        """What `read` makes of the answer. In errors `label` says what the server is, `advice` where it is set.

        The request is tried again after connection errors, 429 and 5xx, and when `read` raises UnexpectedAnswer for an answer with status
        200, such as a proxy's page or half a document: so it has to be one that may arrive twice. 4xx are read as they are.
        Without `body` the answer ends with its headers, which is all that a stream without end can be asked for.

        Raises after the last try Unreachable or what `read` raised; UnexpectedAnswer when the body is larger than `max_bytes`, Refused where
        a proxy wants a password.
        """
        if not is_url(url):
            raise InvalidInput(f"The address of the {label} is no http:// or https:// URL; check {advice or 'its option'}.")
        attempts = 1 if self._lost_seconds > self._budget_seconds else attempts or self._attempts
        timeout = timeout_seconds or self._timeout_seconds
        cause = ""
        unread: UnexpectedAnswer | None = None
        for attempt in range(1, attempts + 1):
            wait: float | None = None
            unread = None
            begun = self.clock.monotonic()
            try:
                response = await self._once(method, url, label, content, dict(headers or {}), max_bytes if body else None, timeout)
            except (httpx.HTTPError, TimeoutError) as error:
                cause = _describe(error)
            else:
                if response.status == _PROXY_WANTS_A_PASSWORD:
                    raise Refused(
                        f"A proxy of the environment lets nobody through to the {label} without a password (HTTP {response.status}); put user "
                        "and password into HTTP_PROXY and HTTPS_PROXY, or name the server in NO_PROXY.",
                        status=response.status,
                    )
                if response.status not in _RETRIED_STATUSES:
                    try:
                        return read(response)
                    except UnexpectedAnswer as error:
                        if response.status != 200:
                            raise
                        unread = error
                cause = f"HTTP {response.status}"
                wait = retry_after_seconds(response.headers, self.clock.now())
            if attempt < attempts:
                delay = min(_FIRST_DELAY_SECONDS * 2 ** (attempt - 1), _LONGEST_DELAY_SECONDS) * (0.5 + self.clock.random())
                await self.clock.sleep(min(max(delay, wait or 0), _LONGEST_DELAY_SECONDS))
            self._lost_seconds += self.clock.monotonic() - begun
        if unread is not None:
            raise unread
        times = f"after {attempts} attempts" if attempts > 1 else "at the first attempt"
        what_to_do = f"; check {advice}" if advice else ""
        raise Unreachable(
            f"No answer from the {label} at {redact_url(url)} {times} ({cause}){what_to_do}.", label=label, attempts=attempts, cause=cause
        )

    async def _once(
        self,
        method: str,
        url: str,
        label: str,
        content: bytes | None,
        headers: dict[str, str],
        max_bytes: int | None,
        timeout_seconds: float,
    ) -> Response:
        url, headers = _to_loopback(url, headers)
        # The library's own time-out starts anew with every byte, so a server that drips them would never come to its end.
        async with asyncio.timeout(timeout_seconds):
            asked = headers | {"Accept-Encoding": "gzip"}
            with self._connections.client() as client:
                async with client.stream(method, url, content=content, headers=asked, timeout=timeout_seconds) as response:
                    body = bytearray()
                    if max_bytes is None:
                        return Response(response.status_code, response.headers, b"", label)
                    # One layer of gzip grows a piece of the answer a thousandfold at most; layers in layers have no bound.
                    if response.headers.get("content-encoding", "identity").strip().lower() not in ("identity", "gzip", ""):
                        raise UnexpectedAnswer(f"The {label} answered in an encoding that it was not asked for; the answer is not used.")
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > max_bytes:
                            raise UnexpectedAnswer(f"The {label} answered more than {max_bytes} bytes; the answer is not used.")
                    return Response(response.status_code, response.headers, bytes(body), label)


@functools.cache
def _certificates(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    """Whom to trust, as the library reads it from the environment; reading it takes longer than a request."""
    return httpx.create_ssl_context()


def warm_up(*modules: str) -> None:
    """Does once what a first request does: imports, and `modules` with them, certificates. Processes forked from this one then need not."""
    for name in ("httpcore", "anyio._backends._asyncio", *modules):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    _search_once("sniffio")
    urllib.request.Request("http://localhost/")  # the library makes one of each request, for cookies
    with contextlib.suppress(OSError):
        _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


def is_url(url: str) -> bool:
    """Whether it can be asked: http or https, with a host, and well formed."""
    try:
        parts, _port, _host = urlsplit(url), urlsplit(url).port, httpx.URL(url).host
    except (ValueError, httpx.InvalidURL):
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def redact_url(url: str) -> str:
    """What may be shown of a URL: host and port. Keys stand in user, query and path, so none of these is shown; nor is a label that is one."""
    parts = urlsplit(url)
    labels = ["********" if is_key_label(label) else label for label in (parts.hostname or "?").split(".")]
    return ".".join(labels) + (f":{parts.port}" if parts.port else "")


def is_key_label(label: str) -> bool:
    """Whether a label of a host's name looks generated, as some providers give every customer one: letters and digits mixed, long, no word."""
    return any(_is_mixed(run) for run in label.split("-")) or _UUID.fullmatch(label) is not None


def _is_mixed(run: str) -> bool:
    digits = sum(character.isdigit() for character in run)
    return len(run) >= _SHORTEST_KEY_LABEL and run.isascii() and run.isalnum() and 3 <= digits <= len(run) - 3


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the server asks to wait, from a number or an HTTP date; None when it does not ask."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _to_loopback(url: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Names under .localhost mean loopback (RFC 6761, section 6.3), which many resolvers do not know."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.endswith(".localhost"):
        return url, headers
    netloc = "127.0.0.1" + (f":{parts.port}" if parts.port else "")
    return parts._replace(netloc=netloc).geturl(), headers | {"Host": parts.netloc}


def _search_once(module: str) -> None:
    """What is not installed is not looked for again. The library tries to import this one several times in each request, and every search
    goes through all of sys.path, which takes as long as the request itself.
    """
    if module not in sys.modules and find_spec(module) is None:
        sys.modules[module] = None  # type: ignore[assignment]


def _describe(error: Exception) -> str:
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "no answer in time"
    if isinstance(error, httpx.ProxyError):
        return "the proxy of the environment refuses"
    if isinstance(error, httpx.ConnectError):
        return "connection failed"
    return "connection broke off"
