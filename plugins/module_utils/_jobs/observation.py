"""What was seen of a name and of one job at one moment: values, which ask nobody."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from .._clients import program as jobs_program
from .._clients.ipfs import bytes_to_cid

if TYPE_CHECKING:
    from .identity import Identity

Phase = Literal["queued", "running", "stopped", "done", "orphaned", "unknown"]

RENT_LAMPORTS_PER_BYTE = 6960
_ACCOUNT_OVERHEAD_BYTES = 128


@dataclass(frozen=True)
class ObservedJob:
    """One job account with what belongs to it. `generation` is None for a job that another tool posted.

    `run_hidden`: it does not queue, and the RPC node refuses to say who runs it. `closed`: the account is gone, and the job is known from
    its history.
    """

    address: str
    account: jobs_program.Job
    generation: int | None = None
    run_address: str | None = None
    run: jobs_program.Run | None = None
    queued: bool = False
    run_hidden: bool = False
    closed: bool = False
    lamports: int = 0

    @property
    def phase(self) -> Phase:
        """The job's state, with the run account taken into account (the chain keeps state 0 while a job runs). A state that only a newer
        program knows is none of the others: such a job counts as active, so that nobody pays for another one.
        """
        if self.account.state == jobs_program.JOB_DONE:
            return "done"
        if self.run is not None or self.run_hidden:
            return "running"
        if self.account.state == jobs_program.JOB_STOPPED:
            return "stopped"
        if self.account.state != jobs_program.JOB_QUEUED:
            return "unknown"
        return "queued" if self.queued else "orphaned"

    @property
    def active(self) -> bool:
        """Whether the job may still run or its deposit can still come home; an orphan can do neither (facts §13.12)."""
        return self.phase not in ("done", "orphaned")

    @cached_property
    def definition_cid(self) -> str:
        """Content address of the pinned definition."""
        return bytes_to_cid(self.account.ipfs_job)

    @property
    def result_cid(self) -> str | None:
        """Content address of the pinned result; None until a host has posted one."""
        return bytes_to_cid(self.account.ipfs_result) if self.account.ipfs_result else None


@dataclass(frozen=True)
class Observation:
    """What is known of a name at one slot: its jobs, oldest generation first, the declared market, and the wallet.

    foreseen: read along with another name's, moments ago, and only the generations around the newest; no ground to spend on.
    markets: those that were read along, by address. now_seconds: the chain's own clock. nos_base_units: None where the wallet has no NOS token account yet.
    expected: the generation that is most likely the first unused one; generation: the one that is, None until :meth:`Observer.complete` was
    asked.
    latest: the newest job of the name that is over, unless it was removed; certain only when complete.
    """

    identity: Identity
    slot: int
    jobs: tuple[ObservedJob, ...]
    market: jobs_program.Market | None
    now_seconds: int
    lamports: int
    nos_base_units: int | None
    knows_program: bool
    rent_per_byte: int = RENT_LAMPORTS_PER_BYTE
    window: range = range(0)
    expected: int = 0
    generation: int | None = None
    latest: ObservedJob | None = None
    foreseen: bool = False
    markets: Mapping[str, jobs_program.Market] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[ObservedJob, ...]:
        """The jobs that are not over; more than one is an error that the caller reports."""
        return tuple(job for job in self.jobs if job.active)

    def rent_lamports(self, size_bytes: int) -> int:
        """What an account of that size has to hold."""
        return (_ACCOUNT_OVERHEAD_BYTES + size_bytes) * self.rent_per_byte


@dataclass
class Sentences:
    """Sentences to say once, however often their cause comes up."""

    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        if sentence not in self.sentences:
            self.sentences.append(sentence)
