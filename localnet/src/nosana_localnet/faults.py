"""Bad days on purpose: rules that say what goes wrong, how often and with what, and the decision which of them strikes now.

A rule has a kind, a target (a JSON-RPC method such as ``getAccountInfo``, a path such as ``/ipfs/*``, or a host), a probability and a
number of times. Every rule draws from a random number generator of its own, so that the same calls in the same order meet the same
faults. This file knows nothing of sockets: ``answered`` and ``refused`` say what becomes of an answer as an ``Exchange``, which
``fault_front`` plays on a connection and a simulation on whatever it has instead.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from .genesis import MARKETS
from .ipfs import Store, cid_of
from .ledger import HISTORY_SLOTS

Place = Literal["http", "call", "pubsub", "host"]
"""Where a fault strikes: around a whole HTTP request, inside one JSON-RPC call, at a notification, or when a host takes a job."""

MAX_RULES: Final = 1000
MAX_SECONDS: Final = 3600
MAX_PRICE: Final = 10**9
_COMMON: Final = ("kind", "target", "probability", "count", "skip", "seed")
_PINNING: Final = "/pinning/*"
_GATEWAY: Final = "/ipfs/*"
_REST: Final = "/api/*"
_SIGNATURE_READS: Final = "getSignatureStatuses,getSignaturesForAddress,getTransaction"


class BadRule(ValueError):
    """A rule that cannot be; the text is one sentence."""


@dataclass(frozen=True)
class Option:
    """A number that a kind takes. ``default`` None: may be left out and means something."""

    least: float
    most: float
    default: float | None
    whole: bool = True


@dataclass(frozen=True)
class Kind:
    """A kind of fault: where it strikes, what, unless the rule says otherwise, and what it does, in a sentence."""

    place: Place
    target: str
    does: str
    options: Mapping[str, Option] = field(default_factory=dict)


def _slots(default: int, most: float = HISTORY_SLOTS) -> Mapping[str, Option]:
    return {"slots": Option(1, most, default)}


KINDS: Final[Mapping[str, Kind]] = {
    "rate-limited": Kind("http", "*", "HTTP 429; with retry_after also that header", {"retry_after": Option(0, MAX_SECONDS, None)}),
    "server-error": Kind("http", "*", "HTTP 5xx; nothing was processed", {"status": Option(500, 599, 503)}),
    "forbidden": Kind("http", "getProgramAccounts", "HTTP 403 or 410 in plain text", {"status": Option(403, 410, 403)}),
    "unauthorized": Kind("http", _PINNING, "HTTP 401; nothing was pinned"),
    "not-found": Kind("http", _GATEWAY, "HTTP 404"),
    "reset-before": Kind("http", "*", "connection reset; nothing was processed"),
    "reset-after": Kind("http", "*", "processed, then the connection is reset"),
    "lost": Kind("http", "*", "processed, then the connection is closed without a byte"),
    "hang": Kind("http", "*", "processed, then nothing until the client gives up"),
    "hang-before": Kind("http", "*", "nothing until the client gives up; nothing was processed"),
    "slow": Kind("http", "*", "answered after seconds", {"seconds": Option(0, MAX_SECONDS, 2, whole=False)}),
    "cut": Kind("http", _GATEWAY, "half of the body, then the connection is closed: shorter than was announced"),
    "truncated": Kind("http", _GATEWAY, "half of the body, announced as if it were all"),
    "wrong-content": Kind("http", _GATEWAY, "another document than the one asked for"),
    "html": Kind("http", _GATEWAY, "an HTML error page with status 200"),
    "garbage": Kind("http", _REST, "JSON of a shape that nobody expects, status 200"),
    "unpinned": Kind("http", _PINNING, "pinned with an address, but nobody can read it, hosts neither, until it is pinned again"),
    "stale": Kind("call", "*", "reads as of some slots ago: accounts, balances, signatures, blockhash, slot", _slots(16)),
    "unknown-signature": Kind("call", _SIGNATURE_READS, "a transaction is not found until some slots after it landed", _slots(8, 10**9)),
    "dropped": Kind("call", "sendTransaction", "taken, its signature returned, never lands"),
    "late": Kind("call", "sendTransaction", "taken, its signature returned, lands some slots later or fails then", _slots(2, 10**6)),
    "blockhash-expired": Kind("call", "sendTransaction", "BlockhashNotFound; nothing lands"),
    "fork": Kind("call", "sendTransaction", "lands, and some slots later the ledger is as before it", _slots(4, 31)),
    "refused": Kind("call", "getProgramAccounts", "JSON-RPC error -32010"),
    "missing-accounts": Kind("call", "getProgramAccounts", "a part of the list is missing", {"part": Option(0, 1, 0.5, whole=False)}),
    "price": Kind(
        "call", "sendTransaction", "the market's price becomes another one before the call", {"price": Option(0, MAX_PRICE, 1000)}
    ),
    "queue-full": Kind("call", "sendTransaction", "the market's queue is filled with jobs before the call"),
    "market-closed": Kind("call", "sendTransaction", "the market is closed before the call"),
    "pubsub-silent": Kind("pubsub", "*", "a notification is not sent, the connection stays"),
    "pubsub-drop": Kind("pubsub", "*", "the WebSocket is cut off instead of a notification"),
    "host-crash": Kind("host", "*", "the host is gone, seconds after it took the job", {"seconds": Option(0, MAX_SECONDS, 0, whole=False)}),
    "host-quit": Kind(
        "host", "*", "the host gives the job back, seconds after it took it", {"seconds": Option(0, MAX_SECONDS, 0, whole=False)}
    ),
    "host-never-finish": Kind("host", "*", "the host never publishes a result, whatever the timeout"),
    "host-not-json": Kind("host", "*", "the result is no JSON"),
    "host-huge": Kind("host", "*", "the result has 32 MiB"),
    "host-wrong-shape": Kind("host", "*", "the result is JSON of another shape"),
    "host-not-pinned": Kind("host", "*", "the result's address leads to nothing"),
}
MARKET_KINDS: Final = ("price", "queue-full", "market-closed")


@dataclass(frozen=True)
class Rule:
    """What goes wrong. ``count`` None: always; ``skip``: so many times it would have struck pass first; ``options``: the kind's own."""

    kind: str
    target: str
    probability: float = 1.0
    count: int | None = None
    skip: int = 0
    seed: int | str = 0
    market: str | None = None
    options: Mapping[str, float | None] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON; ``rule_of`` reads it again."""
        shown: dict[str, Any] = {"kind": self.kind, "target": self.target, "probability": self.probability, "seed": self.seed}
        shown |= {name: value for name, value in (("count", self.count), ("market", self.market)) if value is not None}
        shown |= {"skip": self.skip} if self.skip else {}
        return shown | {name: value for name, value in self.options.items() if value is not None}


@dataclass(frozen=True)
class Fault:
    """A rule that strikes now; ``random`` is its own."""

    rule: Rule
    random: random.Random

    @property
    def kind(self) -> str:
        return self.rule.kind

    def number(self, name: str) -> float:
        """An option that has a default."""
        value = self.rule.options[name]
        return 0.0 if value is None else value

    def whole(self, name: str) -> int:
        return int(self.number(name))


@dataclass
class _Armed:
    rule: Rule
    random: random.Random
    seen: int = 0
    hits: int = 0
    fired: int = 0

    def strikes(self) -> bool:
        """Draws once for every call that matches, so that what came before does not shift what comes after."""
        self.seen += 1
        if self.random.random() >= self.rule.probability or (self.rule.count is not None and self.fired >= self.rule.count):
            return False
        self.hits += 1
        if self.hits <= self.rule.skip:
            return False
        self.fired += 1
        return True


class Faults:
    """The rules in force, and how often each has struck. ``store`` is where content that was pinned in vain is kept from being read."""

    def __init__(self, rules: Iterable[Mapping[str, Any]] = (), *, store: Store | None = None):
        self.store = store
        self.fired: Counter[str] = Counter()
        """How often each kind has struck since the rules were last replaced."""
        self._armed: dict[Place, list[_Armed]] = {}
        self._all: list[_Armed] = []
        self.replace(list(rules))

    def replace(self, rules: Any) -> None:
        """Other rules, and counting begins anew; BadRule in one sentence, and then those before stay."""
        if not isinstance(rules, list):
            raise BadRule("The rules have to be a list of objects.")
        if len(rules) > MAX_RULES:
            raise BadRule(f"{len(rules)} rules are too many; {MAX_RULES} are possible.")
        parsed = [rule_of(rule, number) for number, rule in enumerate(rules, 1)]
        self._all, self._armed, self.fired = [], {}, Counter()
        for rule in parsed:
            self._arm(rule)

    def add(self, rule: Any) -> None:
        """One more rule, behind those that are there."""
        if len(self._all) == MAX_RULES:
            raise BadRule(f"There are {MAX_RULES} rules already.")
        self._arm(rule_of(rule, len(self._all) + 1))

    def clear(self) -> None:
        """No rules any more. What they did to the ledger stays done, and ``fired`` goes on telling of it."""
        self._all, self._armed = [], {}

    def _arm(self, rule: Rule) -> None:
        armed = _Armed(rule, random.Random(f"{rule.seed} {len(self._all)} {rule.kind}"))
        self._all.append(armed)
        self._armed.setdefault(KINDS[rule.kind].place, []).append(armed)

    def rules(self) -> list[dict[str, Any]]:
        """The rules as JSON, each with ``seen`` (calls that it was asked about) and ``fired``."""
        return [armed.rule.document() | {"seen": armed.seen, "fired": armed.fired} for armed in self._all]

    def decide(self, place: Place, *targets: str) -> Fault | None:
        """The first rule that strikes one of the targets, or None. Counts it."""
        for armed in self._armed.get(place, ()):
            if any(_matches(armed.rule.target, target) for target in targets) and armed.strikes():
                self.fired[armed.rule.kind] += 1
                return Fault(armed.rule, armed.random)
        return None

    def concerns(self, place: Place) -> bool:
        """Whether there are rules for a place at all."""
        return place in self._armed

    def exchange(self, targets: Iterable[str], process: Callable[[], Exchange]) -> Exchange:
        """One HTTP request without a connection: what ``process`` answers, or what a fault makes of it."""
        fault = self.decide("http", *targets)
        if fault is None:
            return process()
        return refused(fault) or self.answered(fault, process())

    def answered(self, fault: Fault, answer: Exchange) -> Exchange:
        """What becomes of the answer to a request that was processed."""
        kind, body = fault.kind, answer.body
        if kind == "slow":
            return replace(answer, delay_seconds=fault.number("seconds"))
        if kind in _ENDINGS:
            return replace(answer, body=b"", ending=_ENDINGS[kind])
        if kind == "cut":
            return replace(answer, body=body[: len(body) // 2], announced_bytes=len(body))
        if kind == "truncated":
            return replace(answer, body=body[: len(body) // 2])
        if kind == "unpinned" and self.store is not None:
            self._withhold(self.store, answer)
        return answer

    def _withhold(self, store: Store, answer: Exchange) -> None:
        try:
            document = json.loads(answer.body)
        except ValueError:
            return
        if isinstance(document, dict):
            store.withhold(str(document.get("IpfsHash", document.get("Hash"))))


@dataclass(frozen=True)
class Exchange:
    """What becomes of one HTTP request. ``ending``: how the connection ends; where it is not "answered", no byte is sent."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: Literal["answered", "reset", "closed", "hang"] = "answered"
    delay_seconds: float = 0.0
    """The answer comes so much later."""
    announced_bytes: int | None = None
    """The length that is announced, where it is not the body's."""


_ENDINGS: Final[Mapping[str, Literal["reset", "closed", "hang"]]] = {"reset-after": "reset", "lost": "closed", "hang": "hang"}
TOO_MANY: Final = b'{"jsonrpc":"2.0","error":{"code":429,"message":"Too many requests for a specific RPC call"},"id":null}'
"""The answer of the public nodes to who asks too often."""

_HTML: Final = (
    b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><p>cloudflare</p></body></html>\n"
)
_WRONG: Final = b'{"version":"0.1","type":"container","meta":{"trigger":"somebody-else"},"ops":[]}'
_GARBAGE: Final = b'{"data":{"items":"none","next":{"next":[null,[],{}]}},"success":"maybe"}'


def refused(fault: Fault) -> Exchange | None:
    """The answer to a request that is not processed at all; None where the fault comes later."""
    kind = fault.kind
    if kind == "rate-limited":
        wait = fault.rule.options["retry_after"]
        return Exchange(429, TOO_MANY, headers={} if wait is None else {"Retry-After": str(int(wait))})
    if kind == "server-error":
        return Exchange(fault.whole("status"), b"upstream connect error or disconnect/reset before headers\n", "text/plain")
    if kind == "forbidden":
        return Exchange(fault.whole("status"), b"getProgramAccounts is not available on this plan\n", "text/plain")
    if kind == "unauthorized":
        return Exchange(401, b'{"error":{"reason":"INVALID_CREDENTIALS","details":"Invalid/expired credentials"}}')
    if kind == "not-found":
        return Exchange(404, b"ipfs: no content with this address is pinned here\n", "text/plain")
    if kind == "html":
        return Exchange(200, _HTML, "text/html")
    if kind == "wrong-content":
        return Exchange(200, _WRONG)
    if kind == "garbage":
        return Exchange(200, _GARBAGE)
    if kind == "hang-before":
        return Exchange(ending="hang")
    return Exchange(ending="reset") if kind == "reset-before" else None


HUGE_RESULT_BYTES: Final = 32 * 1024 * 1024


def spoiled_result(kind: str, document: Mapping[str, Any]) -> bytes | None:
    """The result that a host publishes which fails in this way; None where it publishes what it should."""
    if kind == "host-not-json":
        return b"\x1b[31mpanic\x1b[0m: result of " + json.dumps(document).encode()[:100] + b"\xff"
    if kind == "host-wrong-shape":
        return json.dumps({"status": 5, "opStates": {"0": None}, "startTime": "yesterday"}).encode()
    if kind == "host-huge":
        line = {"type": "stdout", "log": "x" * HUGE_RESULT_BYTES, "timestamp": 0}
        ops = [{**op, "logs": [line]} for op in document.get("opStates", [])[:1]] or [{"logs": [line]}]
        return json.dumps({**document, "opStates": ops}).encode()
    return None


def address_of_nothing(document: Mapping[str, Any]) -> str:
    """The address of content that nobody pinned."""
    return cid_of(json.dumps(document).encode() + b" never pinned")


# ---- reading rules


def rule_of(value: Any, number: int = 1) -> Rule:
    """A rule from JSON; BadRule names the rule, what is wrong and what is possible."""
    where = f"Rule {number}"
    if not isinstance(value, Mapping):
        raise BadRule(f"{where} has to be an object with a kind.")
    kind_name = value.get("kind")
    kind = KINDS.get(kind_name) if isinstance(kind_name, str) else None
    if kind is None or not isinstance(kind_name, str):
        raise BadRule(f"{where}: kind has to be one of {', '.join(KINDS)}.")
    where = f"{where} ({kind_name})"
    known = [*_COMMON, *kind.options, *(["market"] if kind_name in MARKET_KINDS else [])]
    strange = [str(key)[:40] for key in value if key not in (*known, "seen", "fired")]
    if strange:
        raise BadRule(f"{where} has no {strange[0]!r}; it takes {', '.join(known)}.")
    seed = value.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, (int, str)) or len(str(seed)) > 200:
        raise BadRule(f"{where}: seed has to be a whole number or a short text.")
    count = _number(where, value, "count", Option(0, 10**9, None))
    probability = _number(where, value, "probability", Option(0, 1, 1, whole=False))
    options = {name: _number(where, value, name, option) for name, option in kind.options.items()}
    if kind_name == "forbidden" and options["status"] not in (403, 410):
        raise BadRule(f"{where}: status has to be 403 or 410.")
    return Rule(
        kind=kind_name,
        target=_target(where, value.get("target", kind.target), kind),
        probability=1.0 if probability is None else probability,
        count=None if count is None else int(count),
        skip=int(_number(where, value, "skip", Option(0, 10**9, 0)) or 0),
        seed=seed,
        market=_market(where, value.get("market")) if kind_name in MARKET_KINDS else None,
        options=options,
    )


def _number(where: str, value: Mapping[str, Any], name: str, option: Option) -> float | None:
    given = value.get(name)
    if given is None:
        return option.default
    fits = not isinstance(given, bool) and isinstance(given, (int, float)) and not (isinstance(given, float) and math.isnan(given))
    if not fits or not option.least <= given <= option.most or (option.whole and given != int(given)):
        words = "a whole number" if option.whole else "a number"
        raise BadRule(f"{where}: {name} has to be {words} from {option.least:g} to {option.most:g}.")
    return int(given) if option.whole else float(given)


def _target(where: str, target: Any, kind: Kind) -> str:
    from .rpc.methods import METHODS  # the front asks this file for faults, and this file the front for its methods
    from .rpc.pubsub import SUBSCRIPTIONS

    if not isinstance(target, str) or not 0 < len(target) <= 200 or not target.isprintable():
        raise BadRule(f"{where}: target has to be a method, a path or a host, or several, separated by commas, with * for any letters.")
    names = {"http": list(METHODS), "call": list(METHODS), "pubsub": SUBSCRIPTIONS, "host": []}[kind.place]
    for part in target.split(","):
        is_path = part.startswith("/") and kind.place == "http"
        if names and not is_path and not any(_matches(part, name) for name in names):
            words = "JSON-RPC method" if kind.place != "pubsub" else "subscription"
            paths = ", and a path begins with /" if kind.place == "http" else ""
            raise BadRule(f"{where}: there is no {words} {part!r}{paths}.")
    return target


def _market(where: str, slug: Any) -> str:
    slugs = [market.slug for market in MARKETS]
    if slug not in slugs:
        raise BadRule(f"{where}: market has to be one of {', '.join(slugs)}.")
    return str(slug)


def _matches(patterns: str, target: str) -> bool:
    """A lone star is every method and every host, never a path."""
    return any(fnmatchcase(target, one) and target.startswith("/") == one.startswith("/") for one in patterns.split(","))
