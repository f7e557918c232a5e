"""What the page shows, as one document: markets, hosts, jobs with logs and URLs, wallets, transactions. All of it bounded."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from . import __version__, genesis, idl
from .explain import PROGRAMS, plain, transaction
from .genesis import DEVNET_JOBS_PROGRAM, DEVNET_NOS_MINT, JOBS_PROGRAM, MARKETS, MarketSpec
from .hosts.flow import Flow
from .hosts.host import Host
from .ipfs import Store, bytes_to_cid
from .ledger import NOS_MINT, SYSTEM_PROGRAM, Change, Ledger, Record, token_address

MAX_JOBS: Final = 200
MAX_KEPT_JOBS: Final = 1000
MAX_TRANSACTIONS: Final = 50
MAX_WALLETS: Final = 50
MAX_QUEUE: Final = 100
MAX_OPS: Final = 20
MAX_SERVICES: Final = 20
MAX_LINES: Final = 40
MAX_NAME_CHARACTERS: Final = 80
LOG_CHARACTERS: Final = 6_000
MAX_DOCUMENT_BYTES: Final = 8 * 1024 * 1024
"""The longest definition or result that is read for the page; parsing it holds up everything else."""

LAMPORTS_PLACES: Final = 9
NOS_PLACES: Final = 6
_QUEUE_KINDS: Final = {0: "jobs", 1: "hosts"}
_STATES: Final = {0: "queued", 1: "running", 2: "completed", 3: "stopped"}
_JOB: Final = idl.discriminator("account", "JobAccount")
_RUN: Final = idl.discriminator("account", "RunAccount")
_OP_WORDS: Final = {"init": "waiting"}

Document = dict[str, Any]


@dataclass(slots=True)
class Job:
    """A job as the ledger told of it; it is kept when its account is gone."""

    account: dict[str, Any]
    posted_at: int
    run: dict[str, Any] | None = None
    gone: bool = False
    documents: dict[str, Any] = field(default_factory=dict)
    """What was read of IPFS for it, by content identifier."""
    shown: Document | None = None
    """The entry of a job of which nothing more can come."""

    @property
    def state(self) -> str:
        word = _STATES.get(self.account["state"], "unknown")
        if word == "queued" and self.run is not None:
            return "running"
        return "stopped" if word == "queued" and self.gone else word

    @property
    def is_over(self) -> bool:
        return self.state in ("completed", "stopped")


class View:
    """Listens to the ledger, and gives the document of the moment."""

    def __init__(self, ledger: Ledger, store: Store, hosts: Sequence[Host], runner: str, service_url: Callable[[str], str]):
        self._ledger = ledger
        self._store = store
        self._hosts = hosts
        self._runner = runner
        self._service_url = service_url
        self._jobs: OrderedDict[Pubkey, Job] = OrderedDict()
        self._over: deque[Pubkey] = deque(maxlen=MAX_KEPT_JOBS)
        self._job_count = 0
        self._runs: dict[Pubkey, dict[str, Any]] = {}
        self._wallets: OrderedDict[Pubkey, None] = OrderedDict()
        self._records: deque[Record] = deque(maxlen=MAX_TRANSACTIONS)
        self._explained: dict[Signature, Document] = {}
        self._not_wallets = {ledger.faucet.pubkey(), *(host.address for host in hosts)}
        self._names = _names(ledger, hosts)
        for program in (JOBS_PROGRAM, DEVNET_JOBS_PROGRAM):  # a network that goes on from an earlier state has jobs already
            for key, account in ledger.program_accounts(program):
                self._on_account(key, account.data)
        self._records.extend(islice(reversed(list(ledger.records())), MAX_TRANSACTIONS))
        self._records.reverse()
        self.close = ledger.subscribe(self._on_change)

    def document(self) -> Document:
        """Everything, newest first where there is an order of time."""
        newest = list(islice(reversed(self._jobs.items()), MAX_JOBS))
        return {
            "version": __version__,
            "slot": self._ledger.slot,
            "time": self._ledger.unix_time,
            "runner": self._runner,
            "names": self._names,
            "markets": [self._market(market) for market in MARKETS],
            "hosts": [self._host(host) for host in self._hosts],
            "jobs_total": self._job_count,
            "jobs": [self._job(address, job) for address, job in newest],
            "wallets": [self._wallet(address) for address in reversed(self._wallets)],
            "transactions": self._transactions(),
        }

    # ---- what the ledger tells

    def _on_change(self, change: Change) -> None:
        if change.signature is not None:
            record = self._ledger.transaction(change.signature)
            if record is not None:
                self._records.append(record)
        elif change.undone:
            kept = [record for record in self._records if record.signature not in change.undone]
            self._records = deque(kept, maxlen=MAX_TRANSACTIONS)
        for key, account in change.accounts.items():
            if account is None:
                self._on_gone(key)
            elif account.owner in (JOBS_PROGRAM, DEVNET_JOBS_PROGRAM):
                self._on_account(key, account.data)
            elif account.owner == SYSTEM_PROGRAM and change.signature is not None and self._ledger.faucet.pubkey() in change.mentions:
                self._remember_wallet(key)

    def _on_account(self, key: Pubkey, data: bytes) -> None:
        if data[:8] == _JOB:
            account = idl.decode_account("JobAccount", data)
            job = self._jobs.get(key)
            if job is None:
                run = next((run for run in self._runs.values() if run["job"] == key), None)  # it may come before its job
                job = self._jobs[key] = Job(account, self._ledger.unix_time, run)
                self._job_count += 1
                self._forget()
            was_over, job.account, job.shown, job.gone = job.is_over, account, None, False
            if job.is_over and not was_over:
                self._over.append(key)
            for wallet in (account["payer"], account["project"]):
                self._remember_wallet(wallet)
        elif data[:8] == _RUN:
            run = self._runs[key] = idl.decode_account("RunAccount", data)
            if run["job"] in self._jobs:
                self._jobs[run["job"]].run = run

    def _on_gone(self, key: Pubkey) -> None:
        if key in self._jobs:
            was_over = self._jobs[key].is_over
            self._jobs[key].gone, self._jobs[key].shown = True, None
            if not was_over:
                self._over.append(key)
        run = self._runs.pop(key, None)
        if run is not None and run["job"] in self._jobs:
            self._jobs[run["job"]].run = None

    def _forget(self) -> None:
        """When there are more than can be shown, the oldest job that is over goes first; one that waits or runs only in a crowd."""
        while len(self._jobs) > MAX_JOBS and self._over:
            self._jobs.pop(self._over.popleft(), None)
        while len(self._jobs) > MAX_KEPT_JOBS:
            self._jobs.popitem(last=False)

    def _remember_wallet(self, address: Pubkey) -> None:
        if address not in self._not_wallets:
            self._wallets[address] = None
            self._wallets.move_to_end(address)
            while len(self._wallets) > MAX_WALLETS:
                self._wallets.popitem(last=False)

    # ---- the parts of the document

    def _market(self, market: MarketSpec) -> Document:
        account = self._ledger.account(market.address)
        chain = idl.decode_account("MarketAccount", account.data) if account is not None else {}
        queue = chain.get("queue", [])
        price = chain.get("job_price", market.price)
        return {
            "address": str(market.address),
            "slug": market.slug,
            "name": market.name,
            "price": price,
            "nos_per_hour": amount(price * 3600, NOS_PLACES),
            "timeout": chain.get("job_timeout", market.timeout_seconds),
            "queue_of": _QUEUE_KINDS.get(chain.get("queue_type", 255)) if queue else None,
            "queue_length": len(queue),
            "queue": [str(entry) for entry in queue[:MAX_QUEUE]],
        }

    def _host(self, host: Host) -> Document:
        return {
            "address": str(host.address),
            "market": host.market.slug,
            "state": "offline" if not host.alive else "running" if host.current else "waiting",
            "job": str(host.current.job) if host.current else None,
            "nos": amount(self._tokens(host.address, host.market.mint), NOS_PLACES),
        }

    def _wallet(self, address: Pubkey) -> Document:
        return {
            "address": str(address),
            "sol": amount(self._ledger.balance(address), LAMPORTS_PLACES),
            "nos": amount(self._tokens(address, NOS_MINT), NOS_PLACES),
        }

    def _tokens(self, owner: Pubkey, mint: Pubkey) -> int:
        account: Account | None = self._ledger.account(token_address(owner, mint))
        return int.from_bytes(account.data[64:72], "little") if account is not None else 0

    def _transactions(self) -> list[Document]:
        self._explained = {
            record.signature: self._explained.get(record.signature) or transaction(record) for record in reversed(self._records)
        }
        return list(self._explained.values())

    def _job(self, address: Pubkey, job: Job) -> Document:
        if job.shown is not None:
            return job.shown
        account = job.account
        definition_cid = bytes_to_cid(account["ipfs_job"])
        result_cid = bytes_to_cid(account["ipfs_result"]) if any(account["ipfs_result"]) else None
        definition, result = self._read(job, definition_cid), self._read(job, result_cid)
        over = job.state in ("completed", "stopped")
        ops, services = self._live(address, over)
        if isinstance(result, dict):
            ops = ops_of_result(result)
        elif ops is None:
            ops = ops_of_definition(definition, "not run" if over else "waiting")
        images = _images(definition)
        entry = {
            "address": str(address),
            "name": plain(_at(definition, "meta", "name"), MAX_NAME_CHARACTERS) or None,
            "state": job.state,
            "market": self._names.get(str(account["market"])),
            "market_address": str(account["market"]),
            "timeout": account["timeout"],
            "price": account["price"],
            "project": str(account["project"]),
            "payer": str(account["payer"]),
            "posted_at": job.posted_at,
            **self._course(job),
            "verdict": verdict(result, _is_service(definition)) if isinstance(result, dict) else None,
            "note": self._note(job, definition_cid, definition, result_cid, result),
            "definition": definition_cid,
            "result": result_cid,
            "ops": [op | {"image": images.get(op["id"], "")} for op in ops],
            "services": services,
        }
        if over and definition is not None and (result is not None or job.gone):
            job.shown = entry
            job.documents.clear()
        return entry

    def _course(self, job: Job) -> Document:
        """Who has the job, since when, and what it costs: so far while it runs, in the end when it is over."""
        account, run = job.account, job.run
        node = str(run["node"]) if run else str(account["node"]) if account["node"] != SYSTEM_PROGRAM else None
        start = run["time"] if run else account["time_start"] or None
        end = account["time_end"] or None
        elapsed = None if start is None else max(0, (end or self._ledger.unix_time) - start)
        timeout, price = account["timeout"], account["price"]
        return {
            "node": node,
            "started_at": start,
            "ended_at": end,
            "elapsed": elapsed,
            "cost": None if elapsed is None else amount(price * max(0, min(elapsed, timeout)), NOS_PLACES),
            "deposit": amount(price * max(0, timeout), NOS_PLACES),
        }

    def _live(self, address: Pubkey, over: bool) -> tuple[list[Document] | None, list[Document]]:
        """Ops and services as the host has them at the moment; no ops where no host of this network has the job."""
        flow = next((found.flow for host in self._hosts if (found := host.jobs.get(str(address))) is not None), None)
        if flow is None:
            return None, []
        try:
            return ops_of_flow(flow), [] if over else self._services(flow)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            return None, []  # anybody may post any definition: one without sense must not take the page from the others

    def _services(self, flow: Flow) -> list[Document]:
        return [
            {
                "op": plain(op.id, MAX_NAME_CHARACTERS),
                "port": port,
                "url": self._service_url(label),
                "online": op.is_running and op.healthy.get(port, True),
            }
            for op, port, label in islice(flow.public_services(), MAX_SERVICES)
        ]

    def _read(self, job: Job, cid: str | None) -> Any:
        """A document of IPFS, None where it is not here, False where it is no document that can be shown."""
        if cid is None:
            return None
        if cid not in job.documents:
            content = self._store.get(cid)
            if content is None:
                return None
            job.documents[cid] = _parse(content)
        return job.documents[cid]

    @staticmethod
    def _note(job: Job, definition_cid: str, definition: Any, result_cid: str | None, result: Any) -> str | None:
        """One sentence where the entry would not explain itself."""
        if job.gone and job.state == "stopped":
            return "Taken off the market before it was done; its account is closed."
        if job.state == "stopped":
            return "The host gave the job up; its deposit can be recovered."
        if definition is None:
            return f"The definition {definition_cid} is not pinned here."
        if definition is False:
            return f"The definition {definition_cid} is too long to show, or no JSON object."
        if result_cid is not None and not isinstance(result, dict):
            return f"The result {result_cid} is not pinned here, too long to show, or no JSON object."
        if job.state == "completed" and result_cid is None:
            return "Ended by its owner; the host has not published a result."
        return None


def amount(units: int, places: int) -> str:
    """Base units as a decimal number, exactly: 1500000 with 6 places is 1.5."""
    whole, rest = divmod(units, 10**places)
    return f"{whole}.{rest:0{places}}".rstrip("0").rstrip(".")


def ops_of_flow(flow: Flow) -> list[Document]:
    """The ops of a job that a host runs."""
    budget = _Budget()
    return [
        _op(op.id, op.status, op.exit_code, op.errors, list(islice(reversed(op.logs), MAX_LINES)), len(op.logs), budget)
        for op in islice(flow.ops, MAX_OPS)
    ]


def ops_of_result(result: Document) -> list[Document]:
    """The same out of a result document, of which nothing can be relied on: hosts may publish anything."""
    budget = _Budget()
    ops = []
    for state in islice(_dicts(result.get("opStates")), MAX_OPS):
        given = state.get("logs")
        logs = given if isinstance(given, list) else []
        errors = [*_dicts(state.get("errors"))]
        code = state.get("exitCode")
        newest = [line for line in reversed(logs[-MAX_LINES:]) if isinstance(line, dict)]
        ops.append(_op(state.get("operationId"), state.get("status"), code, errors, newest, len(logs), budget))
    return ops


def ops_of_definition(definition: Any, status: str) -> list[Document]:
    """What is to be run."""
    entries = _dicts(_at(definition, "ops"))
    return [_op(entry.get("id"), status, None, [], [], 0, _Budget()) for entry in islice(entries, MAX_OPS)]


def verdict(result: Document, is_service: bool) -> str:
    """What became of the job, in a few words, from the ends of its ops. A service is meant to run until its timeout."""
    states = list(_dicts(result.get("opStates")))

    def because(what: str) -> bool:
        return any(_at(state, "diagnostics", "reason", what) is True for state in states)

    if result.get("status") == "stopped" or because("jobStopped"):
        return "ended by owner"
    if result.get("status") != "success" or not states:
        return "failed"
    if any(state.get("status") != "success" or state.get("exitCode") not in (0, None) for state in states):
        return "failed"
    if because("jobExpired"):
        return "ran its full time" if is_service else "timed out"
    return "succeeded"


class _Budget:
    """How many characters of log a job may still show."""

    def __init__(self) -> None:
        self.left = LOG_CHARACTERS


def _op(op_id: Any, status: Any, code: Any, errors: list[Any], newest: list[Any], total: int, budget: _Budget) -> Document:
    word = plain(status, 30) or "unknown"
    lines: list[list[str]] = []
    for line in newest:
        text = plain(line.get("log"))
        budget.left -= len(text)
        if budget.left < 0:
            break
        lines.append([plain(line.get("type"), 10), text])
    lines.reverse()
    messages = [plain(error.get("message")) for error in errors[:3] if isinstance(error, dict)]
    return {
        "id": plain(op_id, MAX_NAME_CHARACTERS) or "?",
        "status": _OP_WORDS.get(word, word),
        "exit_code": code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 2**32 else None,
        "errors": [message for message in messages if message],
        "lines": lines,
        "earlier_lines": total - len(lines),
    }


def _parse(content: bytes) -> Any:
    """A JSON object, or False."""
    if len(content) > MAX_DOCUMENT_BYTES:
        return False
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return document if isinstance(document, dict) else False


def _is_service(definition: Any) -> bool:
    return any(_at(entry, "args", "expose") for entry in _dicts(_at(definition, "ops")))


def _images(definition: Any) -> dict[str, str]:
    """Op → image."""
    entries = islice(_dicts(_at(definition, "ops")), MAX_OPS)
    return {plain(entry.get("id"), MAX_NAME_CHARACTERS) or "?": plain(_at(entry, "args", "image"), 160) for entry in entries}


def _dicts(value: Any) -> Iterable[Document]:
    return (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def _at(document: Any, *path: str) -> Any:
    """What lies below these keys, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _names(ledger: Ledger, hosts: Iterable[Host]) -> dict[str, str]:
    """Words for the addresses that everybody meets."""
    names = {str(key): f"{name} program" for key, name in PROGRAMS.items()}
    names |= {
        str(genesis.REWARDS_PROGRAM): "rewards program",
        str(genesis.STAKING_PROGRAM): "staking program",
        str(genesis.derive(genesis.REWARDS_PROGRAM, b"reflection")[0]): "rewards reflection",
        str(ledger.faucet.pubkey()): "faucet",
        str(NOS_MINT): "NOS",
        str(DEVNET_NOS_MINT): "NOS (devnet)",
    }
    for mint in (NOS_MINT, DEVNET_NOS_MINT):
        names[str(genesis.derive(genesis.REWARDS_PROGRAM, bytes(mint))[0])] = "rewards vault"
    for market in MARKETS:
        names[str(market.address)] = market.slug
        names[str(genesis.derive(market.program, bytes(market.address), bytes(market.mint))[0])] = f"{market.slug} vault"
    count: dict[str, int] = {}
    for host in hosts:
        number = count[host.market.slug] = count.get(host.market.slug, 0) + 1
        names[str(host.address)] = f"{host.market.slug} host {number}"
        names[str(token_address(host.address, host.market.mint))] = f"{host.market.slug} host {number}'s NOS"
    return names
