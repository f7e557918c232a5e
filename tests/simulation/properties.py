"""What must hold whatever happens: after every change of the chain, at the end of every run, and when all is over."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chronicle import Chronicle, Life, vaults
from playbooks import TOO_DEAR, WISHES, Run
from solders.signature import Signature
from world import PORT, SERVICE, document

from ansible_collections.nosana.compute.plugins.module_utils._clients.ipfs import cid_of, encode_document
from ansible_collections.nosana.compute.plugins.module_utils._clients.node import service_host
from nosana_localnet.ledger import SLOT_SECONDS, Record

# A node may be a minute behind, so what is younger than this when a run begins may be unknown to it.
STALE_SECONDS = 70 * SLOT_SECONDS
LONGEST_RUN_SECONDS = 3600.0
_MANY_LOOKS = 25
# A node that hides a run from each of these is believed.
_LOOKS_FOR_A_RUN = 2
_UNCERTAIN = "outcome_unknown"
_OF_THE_NETWORK = frozenset({"unreachable", _UNCERTAIN, "transaction_expired", "refused", "unexpected_answer", "history_unavailable"})
_STATUS = {"success": "completed", "exit": "failed", "garbage": "failed", "no json": "failed", "stopped": "cancelled", "lost": "failed"}
_EVENTS = {"post": ("list", "assign")}


class Violation(Exception):
    """Something that must never happen has happened."""


@dataclass
class Properties:
    """Holds a simulation against its promises."""

    chronicle: Chronicle
    results: Mapping[str, str]
    runs: dict[str, Run] = field(default_factory=dict)
    """Those that have begun, by name."""
    doubled: dict[str, str] = field(default_factory=dict)
    """Runs that posted beside a job that they could have seen, and what they did; to be excused by a warning."""
    longest_run_seconds: float = 0.0
    _changes: int = 0
    _judged: set[tuple[str, str]] = field(default_factory=set)

    # --- after every change -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Checks the chain, if anything changed on it."""
        chronicle = self.chronicle
        if chronicle.changes == self._changes:
            return
        self._changes = chronicle.changes
        total = sum(chronicle.tokens.values())
        if total != chronicle.supply:
            raise Violation(f"NOS is not conserved: {total} of {chronicle.supply}")
        for market, vault in vaults().items():
            if chronicle.tokens.get(vault, 0) != chronicle.deposits(market):
                raise Violation(f"the vault of {market} holds {chronicle.tokens.get(vault)}, its deposits are {chronicle.deposits(market)}")
        for name in dict.fromkeys(life.name for life in chronicle.lives.values()):
            ours = [life for life in chronicle.active(name) if life.posted_by]
            if len(ours) > 1:
                raise Violation(f"{name} has {len(ours)} active jobs that we posted: {', '.join(life.address for life in ours)}")
        for life in chronicle.every:
            posting = str(life.posted.signature), life.address
            if life.posted_by and posting not in self._judged:
                self._judged.add(posting)
                self._posted(life)

    def _posted(self, life: Life) -> None:
        """A posting of ours: was it right to pay for it?"""
        others = [other for other in self.chronicle.of(life.name) if other is not life]
        for run in (self.runs[name] for name in sorted(life.posted_by)):
            declaration, before = run.task.declaration, run.started - STALE_SECONDS
            if declaration is None or run.task.check_mode:
                raise Violation(f"{run.name} was not asked to post anything, and posted {life.address}")
            if life.cid != cid_of(encode_document(declaration.document)):
                raise Violation(f"{run.name} posted {life.address} with another definition than the declared one")
            if declaration.market == WISHES[0] and life.market == TOO_DEAR.address:
                raise Violation(f"{run.name} posted {life.address} in a market that is dearer than it wished")
            nodes = [str(taken["node"]) for _key, taken in self.chronicle.world.runs() if str(taken["job"]) == life.address]
            if declaration.node is not None and nodes != [declaration.node]:
                raise Violation(f"{run.name} posted {life.address} for the host {declaration.node}, and {nodes} have it")
            beside = [other.address for other in others if other.active and other.posted.seconds < before]
            if beside:
                self.doubled[run.name] = (
                    f"{run.name} posted {life.address} beside {', '.join(beside)}, which was there long before it began"
                )
            newest = next((other for other in reversed(others) if other.posted_by), None)
            replaced = any(other.removed and other.events[-1].seconds == life.posted.seconds for other in others)
            if replaced or any(other.active for other in others):
                continue
            if newest is None or not newest.over or newest.removed or newest.over_since > before or declaration.rerun != "never":
                continue
            if newest.cid == life.cid or declaration.on_change != "replace":
                raise Violation(f"{run.name} paid for {life.address} although {newest.address} is over and nothing asked for another")

    # --- at the end of a run ------------------------------------------------------------------------------------------

    def ended(self, run: Run) -> None:
        """Holds a run's report against what it did."""
        if run.crash is not None:
            raise Violation(f"{run.name} ended with {run.crash!r}") from run.crash
        doubled = self.doubled.pop(run.name, None)
        if run.killed:
            return
        self.longest_run_seconds = max(self.longest_run_seconds, run.ended - run.started - run.task.wait.timeout_seconds)
        if run.ended - run.started > LONGEST_RUN_SECONDS + run.task.wait.timeout_seconds:
            raise Violation(f"{run.name} took {run.ended - run.started:.0f} s")
        if doubled is not None and not _excused(run):
            raise Violation(doubled)
        self._report(run)
        self._liveness(run)
        if run.outcome is not None and run.outcome.job is not None and not run.task.check_mode:
            self._status(run)
            self._ready(run)

    def _report(self, run: Run) -> None:
        landed = self.landed(run)
        if run.task.check_mode and self._sent(run):
            raise Violation(f"{run.name} sent a transaction in check mode")
        if run.outcome is None:
            if landed and run.error is not None and run.error.code != _UNCERTAIN:
                raise Violation(f"{run.name} says {run.error.code} and {sorted(landed)} took place: {run.error}")
            return
        outcome = run.outcome
        reported = {done.signature for done in outcome.actions}
        if not run.task.check_mode and outcome.changed != bool(outcome.actions):
            raise Violation(f"{run.name} says changed={outcome.changed} with the actions {outcome.actions}")
        # What a run was told is confirmed, it reports; a fork that is given up afterwards cannot make that untrue.
        undone = reported & self.chronicle.undone
        if not reported <= set(landed) | undone:
            raise Violation(f"{run.name} reports {sorted(reported - set(landed))}, which did not take place")
        if not set(landed) <= reported and not (outcome.failure and outcome.failure.code == _UNCERTAIN):
            raise Violation(f"{run.name} does not report {sorted(set(landed) - reported)}, which took place")
        if undone or self.chronicle.undone & set(self._sent(run)):  # of one that failed on the chain nothing but its fee was reported
            return
        for done in outcome.actions:
            lives = [life for life in self.chronicle.every if life.address == done.job]
            if not any(life.had(*_EVENTS.get(done.kind, (done.kind,))) for life in lives):
                raise Violation(f"{run.name} reports {done.kind} of {done.job}, which has not had that")
        self._balance(run, [landed[signature] for signature in reported] + self.failed(run))

    def _balance(self, run: Run, records: list[Record]) -> None:
        assert run.outcome is not None
        said = run.outcome.balance_change
        ours, wallet = self.chronicle.ours, self.chronicle.world.wallet.pubkey()
        nos = sum(_tokens(record, ours) for record in records)
        lamports = sum(
            record.post_lamports[index] - record.pre_lamports[index]
            for record in records
            for index, key in enumerate(record.keys)
            if key == wallet
        )
        fees = sum(record.fee for record in records)
        if said is not None and (said.nos_base_units, said.lamports, said.fee_lamports) != (nos, lamports, fees):
            raise Violation(f"{run.name} says {said}, and it was {nos} base units, {lamports} lamports, {fees} of them fees")
        by_action = [done.nos_base_units for done in run.outcome.actions]
        if said is not None and sum(amount or 0 for amount in by_action) != nos:
            raise Violation(f"{run.name} says {by_action} action by action, and it was {nos} base units in all")

    def _liveness(self, run: Run) -> None:
        """A run that met no fault does not complain of the network, and one whose transactions are lost sends them again."""
        code = run.failure.code if run.failure is not None else None
        if not run.met and code in _OF_THE_NETWORK:
            raise Violation(f"{run.name} met no fault and ended with {code}: {run.failure}")
        refused = any(signature in self.chronicle.refused for signature in self._sent(run))
        if code != "transaction_expired" or refused:
            return
        if set(run.met) <= {"dropped", "duplicate"}:
            raise Violation(f"{run.name} gave a transaction up that was only dropped {run.met['dropped']} times")
        # It looks twice a second or so while the transaction can land, asks for the height each time, and sends at every fourth look; some of
        # the questions were asked more than once.
        if run.asked["sendTransaction"] == 1 and run.asked["getEpochInfo"] > _MANY_LOOKS:
            raise Violation(f"{run.name} sent a transaction once, looked {run.asked['getEpochInfo']} times, and gave it up")

    def _status(self, run: Run) -> None:
        """The status that was reported is never better than what happened; what a fork undid since then has not been looked at again."""
        if any(when >= run.started for when in self.chronicle.forked_at):
            return
        assert run.outcome is not None
        assert run.outcome.job is not None
        job = run.outcome.job
        life = self.chronicle.lives.get(job["address"])
        status, reason = job.get("status"), job.get("reason")
        if life is None or status is None:
            return
        if status == "completed":
            kind = self.results.get(job["result_cid"])
            if kind != "success" or not life.had("finish", "complete"):
                raise Violation(f"{run.name} calls {life.address} completed; its result is {kind}")
        # Another run's posting may have come to the address since, late as it was.
        there = [each for each in self.chronicle.every if each.address == life.address]
        if status == "cancelled" and reason == "removed" and not any(each.removed or each.had("clean") for each in there):
            raise Violation(f"{run.name} says that {life.address} was removed, and it was not")
        if status == "cancelled" and reason == "stopped" and not life.had("end") and self.results.get(job["result_cid"]) != "stopped":
            raise Violation(f"{run.name} says that {life.address} was ended by its owner, and it was not")
        if reason == "orphaned" and run.met["partial_search"] < _LOOKS_FOR_A_RUN:
            raise Violation(f"{run.name} calls {life.address} orphaned, and nobody did that")
        if reason == "host_quit" and not life.had("quit"):
            raise Violation(f"{run.name} says that a host gave {life.address} up, and none did")
        # A host's word that the owner ended the job is not believed without the end on the chain.
        told = self.results.get(job.get("result_cid"))
        made_up = told == "stopped" and status == "failed" and not life.had("end")
        if job.get("result_cid") and reason != "result_unavailable" and status != _STATUS[told] and not made_up:
            raise Violation(f"{run.name} calls {life.address} {status}; its result is {self.results[job['result_cid']]}")

    def _ready(self, run: Run) -> None:
        """A service that was reported as ready has answered."""
        assert run.outcome is not None
        assert run.outcome.job is not None
        wish = run.task.declaration
        if wish is None or run.task.wait.goal != "ready" or run.failure is not None or wish.document != document(wish.name, SERVICE):
            return
        if run.outcome.job["services"] and service_host(0, PORT, run.outcome.job["address"]).lower() not in self.chronicle.served:
            raise Violation(f"{run.name} calls the service of {run.outcome.job['address']} ready, and nothing ever answered there")

    # --- when all is over ---------------------------------------------------------------------------------------------

    def finally_(self) -> None:
        """What a run said would never land has not landed since, and hosts have what they earned."""
        for run in self.runs.values():
            if run.killed or (run.failure is not None and run.failure.code == _UNCERTAIN):
                continue
            reported = {done.signature for done in run.outcome.actions} if run.outcome else set()
            late = set(self.landed(run)) - reported
            if late:
                raise Violation(f"{run.name} ended with {run.failure and run.failure.code}, and {sorted(late)} landed afterwards")

    def moved(self, signature: str) -> int:
        """What a transaction that took place did to the wallet's NOS."""
        record = self.chronicle.world.ledger.transaction(Signature.from_string(signature))
        return 0 if record is None else _tokens(record, self.chronicle.ours)

    def brought_back(self) -> int:
        """What others' transactions have brought the wallet."""
        ledger, ours = self.chronicle.world.ledger, self.chronicle.ours
        return (
            sum(
                _tokens(record, ours)
                for record in ledger.signatures_for(ours, limit=10**9)
                if str(record.signature) not in self.chronicle.senders
            )
            - self.chronicle.started_with[ours]
        )

    def _sent(self, run: Run) -> list[str]:
        return [signature for signature, senders in self.chronicle.senders.items() if run.name in senders]

    def landed(self, run: Run) -> dict[str, Record]:
        """The transactions of a run that took place."""
        return {signature: record for signature, record in self._records(run).items() if record.err is None}

    def failed(self, run: Run) -> list[Record]:
        """Those that failed on the chain itself, which has cost their fees."""
        return [record for record in self._records(run).values() if record.err is not None]

    def _records(self, run: Run) -> dict[str, Record]:
        ledger = self.chronicle.world.ledger
        found = {signature: ledger.transaction(Signature.from_string(signature)) for signature in self._sent(run)}
        return {signature: record for signature, record in found.items() if record is not None}


def _tokens(record: Record, account: object) -> int:
    before = sum(balance.base_units for balance in record.pre_tokens if record.keys[balance.index] == account)
    return sum(balance.base_units for balance in record.post_tokens if record.keys[balance.index] == account) - before


def _excused(run: Run) -> bool:
    """It said that it could not see everything; or a node kept a part of a list from it, which nobody can notice: so jobs of other tools, which
    are found in such lists only, may be missed then. Ours stand at addresses of their own, and never may.
    """
    if run.met["partial_search"]:
        return True
    warnings = run.outcome.warnings if run.outcome else []
    return any("are not seen" in warning or "could not be read" in warning for warning in warnings)
