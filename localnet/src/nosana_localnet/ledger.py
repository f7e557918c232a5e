"""The ledger of the local network: LiteSVM, and what a node adds to it.

LiteSVM executes transactions as the real runtime does: fees, rent, cross-program calls, atomic rollback, the token
programs. It is no node. This file adds what clients of a node rely on: signatures are verified, a blockhash is valid
for 150 blocks, a transaction lands once, slots advance, three commitment levels, history by address, and a faucet.

Everything is synchronous and belongs to one thread. ``Ledger.tick`` closes a slot; the server calls it about every
0.4 seconds. Transactions land in the open slot and are ``processed`` at once; after ``confirmed_lag_slots`` they are
``confirmed``, after ``finalized_lag_slots`` ``finalized``. Reads at an older level see the accounts as they were then.
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import logging
import struct
import time
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from solders.account import Account
from solders.clock import Clock as ClockSysvar
from solders.epoch_schedule import EpochSchedule
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, SimulatedTransactionInfo, TransactionMetadata

Commitment = Literal["processed", "confirmed", "finalized"]

BLOCKHASH_AGE_BLOCKS: Final = 150
"""A transaction lands while its blockhash is at most this many blocks old."""

HISTORY_SLOTS: Final = 64
"""How far back the ledger can be read, at least: what was changed in these slots is kept as it was before."""

SLOT_SECONDS: Final = 0.4
SLOTS_PER_EPOCH: Final = 432_000
FAUCET_LAMPORTS: Final = 500_000_000_000_000_000
U64_MAX: Final = 2**64 - 1

SYSTEM_PROGRAM: Final = Pubkey.from_string("11111111111111111111111111111111")
TOKEN_PROGRAM: Final = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM: Final = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN_PROGRAM: Final = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
COMPUTE_BUDGET_PROGRAM: Final = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
BPF_LOADER_2: Final = Pubkey.from_string("BPFLoader2111111111111111111111111111111111")
UPGRADEABLE_LOADER: Final = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
SYSVARS: Final = tuple(
    Pubkey.from_string(f"Sysvar{name}")
    for name in (
        "C1ock11111111111111111111111111111111",
        "EpochRewards1111111111111111111111111",
        "EpochSchedu1e111111111111111111111111",
        "LastRestartS1ot1111111111111111111111",
        "RecentB1ockHashes11111111111111111111",
        "Rent111111111111111111111111111111111",
        "S1otHashes111111111111111111111111111",
        "S1otHistory11111111111111111111111111",
        "StakeHistory1111111111111111111111111",
    )
)
CLOCK_SYSVAR: Final = SYSVARS[0]
NOS_MINT: Final = Pubkey.from_string("nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7")
NATIVE_MINT: Final = Pubkey.from_string("So11111111111111111111111111111111111111112")
NATIVE_MINT_LAMPORTS: Final = 1_000_000_000

MINT_BYTES: Final = 82
TOKEN_ACCOUNT_BYTES: Final = 165
_TOKEN_PROGRAM_BYTES: Final = 133_352  # the size of SPL Token 3.5 as nodes carry it
_LOOKUP_TABLE_HEADER_BYTES: Final = 56
_ACCOUNT_OVERHEAD_BYTES: Final = 64  # what loading an account counts for, beside its data
_PROGRAM_STATE: Final = (2).to_bytes(4, "little")  # of the upgradeable loader: the ELF is in another account
_FEE_ONLY: Final = frozenset({"ProgramAccountNotFound", "InvalidProgramForExecution", "MaxLoadedAccountsDataSizeExceeded"})

_log = logging.getLogger(__name__)


class Rejected(Exception):
    """A transaction failed. ``landed`` tells whether it is on the ledger all the same, its fee charged.

    ``err`` is the runtime's error in the JSON that RPC shows, such as ``"BlockhashNotFound"`` or
    ``{"InstructionError": [0, {"Custom": 1}]}``; ``logs`` are the program's log lines; ``units`` the compute units.
    """

    def __init__(self, err: Any, logs: Sequence[str] = (), units: int = 0, *, signature: Signature | None = None, landed: bool = False):
        super().__init__(f"transaction failed: {json.dumps(err)}" + "".join(f"\n  {line}" for line in logs))
        self.err = err
        self.logs = list(logs)
        self.units = units
        self.signature = signature
        self.landed = landed


@dataclass(frozen=True, slots=True)
class Blockhash:
    """A blockhash and the last block height at which a transaction that names it can land."""

    hash: Hash
    last_valid_block_height: int


@dataclass(frozen=True, slots=True)
class View:
    """What the node that answers knows of the ledger; the default is all. See ``Ledger.seen``."""

    slots_behind: int = 0
    history_slots_behind: int = 0
    """So long after it landed a transaction is not found yet, while its accounts are."""
    drops: bool = False
    """Transactions are taken and never land."""
    lands_later_slots: int = 0
    """Transactions are taken and land so many slots later, if they can by then."""
    knows_blockhashes: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What subscribers are told: a slot was opened (``signature`` is None and ``accounts`` empty), a transaction landed,
    or accounts were written directly (``signature`` is None), or a fork was given up and ``undone`` with it, newest first.
    Values are None where an account is gone."""

    slot: int
    signature: Signature | None = None
    accounts: dict[Pubkey, Account | None] = field(default_factory=dict)
    err: Any = None
    logs: tuple[str, ...] = ()
    mentions: frozenset[Pubkey] = frozenset()
    undone: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenBalance:
    """Tokens in one account of a transaction, in base units; ``index`` is its place among the transaction's keys."""

    index: int
    mint: Pubkey
    owner: Pubkey
    program: Pubkey
    base_units: int
    decimals: int


@dataclass(slots=True)
class Outcome:
    """What executing a transaction gave, whether it stays on the ledger or not.

    ``pre`` and ``post`` hold the accounts named by ``keys`` (static keys, then those loaded from lookup tables, writable
    ones first). ``executed`` is False when the transaction was refused before the first instruction.
    """

    err: Any
    metadata: TransactionMetadata
    keys: list[Pubkey]
    loaded_writable: int
    loaded_readonly: int
    pre: list[Account | None]
    post: list[Account | None]
    pre_tokens: list[TokenBalance]
    post_tokens: list[TokenBalance]
    executed: bool
    fee_charged: bool
    loaded_bytes: int

    @property
    def logs(self) -> list[str]:
        return self.metadata.logs()

    @property
    def units(self) -> int:
        return self.metadata.compute_units_consumed()

    @property
    def fee(self) -> int | None:
        return self.metadata.fee() if self.fee_charged else None


@dataclass(slots=True)
class Record:
    """A transaction that landed, kept compactly: everything getTransaction shows can be derived from it."""

    signature: Signature
    slot: int
    unix_time: int
    transaction: VersionedTransaction
    metadata: TransactionMetadata
    err: Any
    fee: int
    keys: list[Pubkey]
    loaded_writable: int
    loaded_readonly: int
    pre_lamports: array[int]
    post_lamports: array[int]
    pre_tokens: list[TokenBalance]
    post_tokens: list[TokenBalance]
    loaded_bytes: int

    @property
    def logs(self) -> list[str]:
        return self.metadata.logs()

    @property
    def units(self) -> int:
        return self.metadata.compute_units_consumed()


class Ledger:
    """One local network's state. See the module's first lines.

    ``clock`` gives unix seconds; the same ``seed`` gives the same genesis hash, faucet and blockhashes; ``history`` is how
    many transactions are kept at least, older ones are forgotten as a node does that prunes its ledger.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        seed: str = "nosana-localnet",
        confirmed_lag_slots: int = 0,
        finalized_lag_slots: int = 32,
        history: int = 100_000,
    ):
        if not 0 <= confirmed_lag_slots <= finalized_lag_slots:
            raise ValueError("confirmed_lag_slots must lie between 0 and finalized_lag_slots")
        self._clock = clock
        self._warp_seconds = 0.0
        self.seed = seed
        self.journal: Callable[[Change], None] | None = None
        """Told of every change before anybody else is; what it cannot keep is not answered."""
        self.on_warp: Callable[[], None] | None = None
        """Called when the clock has been put forward."""
        self._kept_slots = max(finalized_lag_slots, HISTORY_SLOTS)
        self._lag: dict[str, int] = {"processed": 0, "confirmed": confirmed_lag_slots, "finalized": finalized_lag_slots}
        self._slot = 1
        self._slot_numbers = array("q", [1])
        self._slot_times = array("q", [self.unix_time])
        self.genesis_hash = Hash(self._digest("genesis"))
        self.identity = Keypair.from_seed(self._digest("identity")).pubkey()
        self.faucet = Keypair.from_seed(self._digest("faucet"))
        self._hashes: OrderedDict[Hash, int] = OrderedDict()
        self._repeats = 0
        self._records: dict[Signature, Record] = {}
        self._by_address: dict[Pubkey, deque[Record]] = {}
        self._history = history
        self._landed = 0
        self._priority_fees: deque[tuple[int, int, frozenset[Pubkey]]] = deque()
        self._before: OrderedDict[int, dict[Pubkey, Account | None]] = OrderedDict()
        self._callbacks: list[Callable[[Change], None]] = []
        self._written: set[Pubkey] = set()
        self._view = View()
        self._forks: list[tuple[int, int]] = []
        self._underway: list[tuple[int, VersionedTransaction]] = []
        self._clock_shown: tuple[int, int] | None = None
        self._svm = LiteSVM().with_sigverify(False).with_blockhash_check(False).with_transaction_history(0)
        self._svm.set_epoch_schedule(EpochSchedule.without_warmup())
        self._hashes[self.block_hash(1)] = 1
        self._show_clock()
        for sysvar in SYSVARS:
            self._free_from_rent(sysvar)
        self._svm.set_account(self.faucet.pubkey(), Account(FAUCET_LAMPORTS, b"", SYSTEM_PROGRAM, False, U64_MAX))
        self._install_token_program()

    # ---- time: slots, blocks, blockhashes

    @property
    def slot(self) -> int:
        """The open slot, in which the next transaction lands."""
        return self._slot - self._view.slots_behind

    @property
    def block_height(self) -> int:
        """Blocks so far. Slots that are skipped count too, so it equals the slot."""
        return self.slot

    @property
    def now(self) -> float:
        """Unix seconds as they pass here: the clock, put forward by ``warp``."""
        return self._clock() + self._warp_seconds

    @property
    def unix_time(self) -> int:
        return int(self.now)

    @property
    def warp_seconds(self) -> float:
        """By how much the clock has been put forward."""
        return self._warp_seconds

    @property
    def transaction_count(self) -> int:
        """Transactions that have landed so far."""
        return self._landed

    def slot_at(self, commitment: Commitment) -> int:
        """The newest slot that has reached a commitment level."""
        return max(0, self._slot - self._view.slots_behind - self._lag[commitment])

    def block_time(self, slot: int) -> int | None:
        """Unix time of a slot, or None for one that has not come."""
        if slot > self.slot or slot < 0:
            return None
        return self._slot_times[max(0, bisect_right(self._slot_numbers, slot) - 1)]

    def has_block(self, slot: int) -> bool:
        """Whether a block was made in a slot: time that was put forward leaves slots without one."""
        at = bisect_left(self._slot_numbers, slot)
        return at < len(self._slot_numbers) and self._slot_numbers[at] == slot

    def parent_slot(self, slot: int) -> int:
        """The slot of the block before."""
        at = bisect_left(self._slot_numbers, slot)
        return self._slot_numbers[at - 1] if at else 0

    def blocks(self, first: int, last: int) -> list[int]:
        """The slots that have blocks, from first to last."""
        return list(self._slot_numbers[bisect_left(self._slot_numbers, first) : bisect_right(self._slot_numbers, last)])

    def block_hash(self, slot: int) -> Hash:
        return Hash(self._digest("block", slot))

    def tick(self) -> None:
        """Close the open slot and open the next."""
        self._open_slot(self._slot + 1)

    def settle(self) -> None:
        """Close slots until all that has landed is finalized: how a network begins once its first accounts are there."""
        for _ in range(self._lag["finalized"] + 1):
            self.tick()

    def warp(self, seconds: float) -> None:
        """Let time pass: the clock and as many slots as real time would bring. Old blockhashes expire."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._warp_seconds += seconds
        target = self._slot + max(1, int(seconds / SLOT_SECONDS))
        for slot in range(max(self._slot + 1, target - BLOCKHASH_AGE_BLOCKS - 1), target + 1):
            self._open_slot(slot)
        if self.on_warp is not None:
            self.on_warp()

    def latest_blockhash(self, commitment: Commitment = "confirmed") -> Blockhash:
        height = self.slot_at(commitment)
        for block_hash, block in reversed(self._hashes.items()):
            if block <= height:
                return Blockhash(block_hash, block + BLOCKHASH_AGE_BLOCKS)
        block_hash, block = next(iter(self._hashes.items()))
        return Blockhash(block_hash, block + BLOCKHASH_AGE_BLOCKS)

    def is_blockhash_valid(self, block_hash: Hash, commitment: Commitment = "processed") -> bool:
        """Whether a transaction naming this blockhash passes in the view of a commitment level."""
        height = self._hashes.get(block_hash)
        if height is None or not self._view.knows_blockhashes:
            return False
        return height <= max(self.slot_at(commitment), next(iter(self._hashes.values())))

    # ---- accounts

    def account(self, key: Pubkey, commitment: Commitment = "processed") -> Account | None:
        """The account, or None where there is none at that commitment level."""
        seen, before = self._earlier(key, self.slot_at(commitment))
        return before if seen else self._svm.get_account(key)

    def balance(self, key: Pubkey, commitment: Commitment = "processed") -> int:
        account = self.account(key, commitment)
        return 0 if account is None else account.lamports

    def put(self, key: Pubkey, account: Account) -> None:
        """Write an account directly, outside any transaction, at every commitment level. No lamports removes it."""
        for journal in self._before.values():
            journal.pop(key, None)
        self._svm.set_account(key, account)
        self._tell(Change(self._slot, accounts={key: self._svm.get_account(key)}))

    def program_accounts(self, program: Pubkey, commitment: Commitment = "processed") -> list[tuple[Pubkey, Account]]:
        """All accounts that a program owns, in no particular order."""
        current = self._svm.get_program_accounts(program)
        at = self.slot_at(commitment)
        earlier: dict[Pubkey, Account | None] = {}
        for slot, journal in self._before.items():
            if slot > at:
                for key, account in journal.items():
                    earlier.setdefault(key, account)
        if not earlier:
            return current
        kept = [pair for pair in current if pair[0] not in earlier]
        kept.extend((key, account) for key, account in earlier.items() if account is not None and account.owner == program)
        return kept

    def rent(self, size: int) -> int:
        """Lamports that make an account of this many data bytes exempt from rent."""
        return self._svm.minimum_balance_for_rent_exemption(size)

    def load_program(self, address: Pubkey, elf: bytes) -> None:
        """Put a program at an address. ValueError when the runtime does not accept the ELF."""
        try:
            LiteSVM().add_program(address, elf)  # a refused ELF leaves an account behind, so try it elsewhere
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            raise ValueError(f"the program for {address} is not an ELF that the runtime loads: {error}") from None
        self._svm.add_program(address, elf)
        self._tell(Change(self._slot, accounts={address: self._svm.get_account(address)}))

    # ---- transactions

    def submit(self, transaction: VersionedTransaction) -> Signature:
        """Execute a transaction and keep it. Rejected when it fails; it may have landed all the same."""
        if self._view.slots_behind:  # a node that is behind passes it on to those that are not
            with self.seen(replace(self._view, slots_behind=0)):
                return self.submit(transaction)
        if self._view.drops:
            return transaction.signatures[0]
        if self._view.lands_later_slots:
            self._underway.append((self._slot + self._view.lands_later_slots, transaction))
            return transaction.signatures[0]
        refusal = self._refusal(transaction, "processed", verify=True, any_blockhash=False)
        signature = transaction.signatures[0] if transaction.signatures else None
        if refusal is not None or signature is None:
            raise Rejected(refusal or "SanitizeFailure", signature=signature)
        outcome = self._run(transaction, keep=True)
        if not outcome.executed and not outcome.fee_charged:
            raise Rejected(outcome.err, outcome.logs, outcome.units, signature=signature)
        self._keep(signature, transaction, outcome)
        if outcome.err is not None:
            raise Rejected(outcome.err, outcome.logs, outcome.units, signature=signature, landed=True)
        return signature

    def simulate(
        self,
        transaction: VersionedTransaction,
        commitment: Commitment = "processed",
        *,
        verify_signatures: bool = True,
        any_blockhash: bool = False,
    ) -> Outcome:
        """What a transaction would do on the accounts as they are at a commitment level. Nothing is kept."""
        refusal = self._refusal(transaction, commitment, verify=verify_signatures, any_blockhash=any_blockhash)
        at = self.slot_at(commitment)
        keys, writable, readonly = self._keys(transaction, commitment)
        if refusal is not None:
            return self._refused(refusal, keys, writable, readonly, [self.account(key, commitment) for key in keys])
        # LiteSVM knows the newest state only: show it the earlier one for the length of the simulation.
        shown: dict[Pubkey, Account | None] = {}
        for key in keys:
            seen, before = self._earlier(key, at)
            if seen:
                shown[key] = self._svm.get_account(key)
                self._svm.set_account(key, before or _nothing())
        try:
            return self._run(transaction, keep=False)
        finally:
            for key, account in shown.items():
                self._svm.set_account(key, account or _nothing())

    def execute(self, instructions: Sequence[Instruction], signers: Sequence[Keypair]) -> Signature:
        """Build, sign and submit a transaction in this process; the first signer pays the fee."""
        payer = signers[0].pubkey()
        block_hash = next(reversed(self._hashes))
        wanted = list(instructions)
        while True:
            transaction = VersionedTransaction(MessageV0.try_compile(payer, wanted, [], block_hash), signers)
            if transaction.signatures[0] not in self._records:
                return self.submit(transaction)
            # The same instructions under the same blockhash are one and the same transaction: tell them apart by the
            # compute-unit limit, which costs nothing.
            self._repeats = (self._repeats + 1) % 1_000_000
            limit = struct.pack("<BI", 2, 1_400_000 - self._repeats)
            wanted = [*instructions, Instruction(COMPUTE_BUDGET_PROGRAM, limit, [])]

    def transaction(self, signature: Signature) -> Record | None:
        record = self._records.get(signature)
        return record if record is not None and record.slot <= self._known_slot("processed") else None

    def signatures_for(
        self,
        address: Pubkey,
        *,
        before: Signature | None = None,
        until: Signature | None = None,
        limit: int = 1000,
        commitment: Commitment = "processed",
    ) -> list[Record]:
        """Transactions that name an address, newest first, between two signatures (both exclusive)."""
        at = self._known_slot(commitment)
        found: list[Record] = []
        if before is not None and before not in self._records:
            return found
        waiting = before is not None
        for record in reversed(self._by_address.get(address, ())):
            if record.signature == until:
                break
            if waiting:
                waiting = record.signature != before
            elif record.slot <= at:
                found.append(record)
                if len(found) == limit:
                    break
        return found

    def prioritization_fees(self, accounts: Iterable[Pubkey] = ()) -> list[tuple[int, int]]:
        """(slot, lowest price in micro-lamports per compute unit) for the last 150 slots, oldest first.

        With accounts, the price that a transaction paid that locked one of them for writing counts.
        """
        wanted = frozenset(accounts)
        slots = range(max(1, self._slot - BLOCKHASH_AGE_BLOCKS + 1), self._slot + 1)
        lowest: dict[int, int] = {}
        locked: dict[int, int] = {}
        for slot, price, writable in self._priority_fees:
            lowest[slot] = min(price, lowest.get(slot, U64_MAX))
            if wanted & writable:
                locked[slot] = min(price, locked.get(slot, U64_MAX))
        return [(slot, max(lowest.get(slot, 0), locked.get(slot, 0))) for slot in slots]

    # ---- as other nodes see it, and forks

    @contextmanager
    def seen(self, view: View) -> Iterator[None]:
        """For the length of the block all reads are those of a node that knows less. ``view`` reaches HISTORY_SLOTS back for accounts."""
        if not 0 <= view.slots_behind <= HISTORY_SLOTS:
            raise ValueError(f"the ledger is read from 0 to {HISTORY_SLOTS} slots back")
        before, self._view = self._view, replace(view, slots_behind=min(view.slots_behind, self._slot - 1))
        try:
            yield
        finally:
            self._view = before

    def fork(self, slots: int) -> tuple[Signature, ...]:
        """Gives up the last ``slots`` slots, the open one among them: what landed in them has not happened, newest first.

        Slots count on, those given up have no block, and their blockhashes are unknown. What was written outside
        transactions stays. ValueError where finalized slots would be given up.
        """
        most = min(self._lag["finalized"] - 1, self._slot - 1)
        if not 1 <= slots <= most:
            raise ValueError(f"a fork gives up from 1 to {most} slots, none that is finalized")
        last = self._slot - slots
        restored: dict[Pubkey, Account | None] = {}
        for slot in [slot for slot in self._before if slot > last]:
            for key, account in self._before.pop(slot).items():
                restored.setdefault(key, account)
        for key, account in restored.items():
            self._svm.set_account(key, account or _nothing())
        undone: list[Signature] = []
        for signature, record in reversed(self._records.items()):
            if record.slot <= last:
                break
            undone.append(signature)
        self.undo_records(undone)
        while self._slot_numbers[-1] > last and len(self._slot_numbers) > 1:
            self._slot_numbers.pop()
            self._slot_times.pop()
        for block_hash in [block_hash for block_hash, slot in self._hashes.items() if slot > last]:
            del self._hashes[block_hash]
        while self._priority_fees and self._priority_fees[-1][0] > last:
            self._priority_fees.pop()
        self._forks = [(due, kept) for due, kept in self._forks if kept < last]
        self._open_slot(self._slot + 1)
        self._tell(Change(self._slot, accounts=restored, undone=tuple(undone)))
        return tuple(undone)

    def fork_later(self, slots: int) -> None:
        """What landed in the open slot is to be given up ``slots`` slots from now, while it is not finalized."""
        due = self._slot + max(1, min(slots, self._lag["finalized"] - 1))
        self._forks.append((due, self._slot - 1))
        self._forks.sort()

    def undo_records(self, signatures: Iterable[Signature]) -> None:
        """Takes the newest transactions out of the history; ``signatures`` are in order, newest first."""
        for signature in signatures:
            record = self._records.pop(signature, None)
            if record is None:
                continue
            for key in dict.fromkeys(record.keys):
                records = self._by_address[key]
                while records and records[-1] is record:
                    records.pop()
                if not records:
                    del self._by_address[key]
            self._landed -= 1

    # ---- faucet

    def airdrop(self, key: Pubkey, lamports: int) -> Signature:
        """Send SOL from the faucet, as a transaction."""
        return self.execute([transfer(TransferParams(from_pubkey=self.faucet.pubkey(), to_pubkey=key, lamports=lamports))], [self.faucet])

    def mint_nos(self, owner: Pubkey, base_units: int, mint: Pubkey = NOS_MINT) -> Signature:
        """Give an owner NOS (base units, 10^-6) in its associated token account, which is created where missing.

        The mint's supply and the faucet's own token account grow first, then the tokens move in a transaction.
        """
        found = self.account(mint)
        if found is None:
            self.put(mint, mint_account(self.rent(MINT_BYTES), supply=0, decimals=6))
            found = self.account(mint)
        data = bytearray(b"" if found is None else found.data)
        if found is None or len(data) < MINT_BYTES:
            raise ValueError(f"{mint} is not a token mint")
        supply = int.from_bytes(data[36:44], "little") + base_units
        data[36:44] = supply.to_bytes(8, "little")
        self.put(mint, Account(found.lamports, bytes(data), found.owner, False, U64_MAX))
        faucet = self.faucet.pubkey()
        source = token_address(faucet, mint)
        held = self.account(source)
        base = int.from_bytes(held.data[64:72], "little") if held is not None else 0
        self.put(source, token_account(self.rent(TOKEN_ACCOUNT_BYTES), mint=mint, owner=faucet, base_units=base + base_units))
        target = token_address(owner, mint)
        move = Instruction(
            TOKEN_PROGRAM,
            struct.pack("<BQ", 3, base_units),
            [AccountMeta(source, False, True), AccountMeta(target, False, True), AccountMeta(faucet, True, False)],
        )
        return self.execute([create_token_account(faucet, owner, mint), move], [self.faucet])

    # ---- the whole state, to keep it and to bring it back

    def every_account(self) -> list[tuple[Pubkey, Account]]:
        """All accounts that anything was ever written to and that are still there."""
        found = ((key, self._svm.get_account(key)) for key in [self.faucet.pubkey(), *self._written])
        return [(key, account) for key, account in found if account is not None]

    def records(self) -> Iterable[Record]:
        """The transactions that are kept, oldest first."""
        return self._records.values()

    def restore_accounts(self, accounts: Iterable[tuple[Pubkey, Account | None]]) -> None:
        """Writes accounts as they were; None removes one."""
        for key, account in accounts:
            self._written.add(key)
            self._svm.set_account(key, account or _nothing())

    def restore_record(self, record: Record) -> None:
        """Puts a transaction back into the history, behind those that are there."""
        if not self._records:
            self._slot_times[0] = min(self._slot_times[0], record.unix_time)
        self._records[record.signature] = record
        for key in record.keys:
            self._by_address.setdefault(key, deque()).append(record)
        self._landed += 1
        if record.slot > self._slot_numbers[-1]:
            self._slot_numbers.append(record.slot)
            self._slot_times.append(max(record.unix_time, self._slot_times[-1]))

    def resume(self, slot: int, then: float, warp_seconds: float) -> None:
        """Goes on where a ledger stopped at ``slot`` and time ``then``, as if blocks had been made in between."""
        self._warp_seconds = warp_seconds
        missed = max(0.0, self.now - then)
        target = slot + 1 + int(missed / SLOT_SECONDS)
        for number in range(max(self._slot + 1, target - BLOCKHASH_AGE_BLOCKS - 1), target + 1):
            self._open_slot(number)

    # ---- subscriptions

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call back after each change, in order. Returns what ends the subscription."""
        self._callbacks.append(callback)

        def stop() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return stop

    # ---- inside

    def _digest(self, *what: object) -> bytes:
        return hashlib.sha256(":".join([self.seed, *map(str, what)]).encode()).digest()

    def _open_slot(self, slot: int) -> None:
        self._slot = slot
        self._slot_numbers.append(slot)
        self._slot_times.append(max(self.unix_time, self._slot_times[-1]))
        self._hashes[self.block_hash(slot)] = slot
        while next(iter(self._hashes.values())) < slot - BLOCKHASH_AGE_BLOCKS:
            self._hashes.popitem(last=False)
        while self._priority_fees and self._priority_fees[0][0] <= slot - BLOCKHASH_AGE_BLOCKS:
            self._priority_fees.popleft()
        while self._before and next(iter(self._before)) <= slot - self._kept_slots:
            self._before.popitem(last=False)
        self._show_clock()
        self._tell(Change(slot))
        if self._forks and self._forks[0][0] <= slot:
            _, last = self._forks.pop(0)
            if self.slot_at("finalized") < last < self._slot:  # time that was put forward may have made it final
                self.fork(self._slot - last)
        self._land_what_is_due()

    def _land_what_is_due(self) -> None:
        """Transactions that were to land later do so now, in the order in which they were sent, or fail now."""
        due = [transaction for slot, transaction in self._underway if slot <= self._slot]
        self._underway = [entry for entry in self._underway if entry[0] > self._slot]
        for transaction in due:
            with suppress(Rejected):
                self.submit(transaction)

    def _show_clock(self) -> None:
        """Keep the clock sysvar in step."""
        now = (self._slot, self.unix_time)
        if now != self._clock_shown:
            self._clock_shown = now
            epoch = self._slot // SLOTS_PER_EPOCH
            self._svm.set_clock(ClockSysvar(self._slot, self._slot_times[0], epoch, epoch + 1, now[1]))
            self._free_from_rent(CLOCK_SYSVAR)

    def _free_from_rent(self, sysvar: Pubkey) -> None:
        """LiteSVM gives its sysvars one lamport, a node what frees them from rent."""
        found = self._svm.get_account(sysvar)
        if found is not None:
            self._svm.set_account(sysvar, Account(self.rent(len(found.data)), found.data, found.owner, False, found.rent_epoch))

    def _known_slot(self, commitment: Commitment) -> int:
        """The newest slot whose transactions are found at a commitment level."""
        return min(self.slot_at(commitment), self._slot - self._view.history_slots_behind)

    def _earlier(self, key: Pubkey, at: int) -> tuple[bool, Account | None]:
        """Whether the account changed after slot ``at``, and what it was then."""
        if at < self._slot:
            for slot, journal in self._before.items():
                if slot > at and key in journal:
                    return True, journal[key]
        return False, None

    def _refusal(self, transaction: VersionedTransaction, commitment: Commitment, *, verify: bool, any_blockhash: bool) -> Any:
        """The error of a transaction that must not even start, or None. In the order in which a node checks."""
        message = transaction.message
        try:
            transaction.sanitize()
        except Exception:
            return "SanitizeFailure"
        if len(set(message.account_keys)) != len(message.account_keys):
            return "AccountLoadedTwice"
        if verify and not all(transaction.verify_with_results()):
            return "SignatureFailure"
        if not any_blockhash and not self.is_blockhash_valid(message.recent_blockhash, commitment):
            return "BlockhashNotFound"
        known = self._records.get(transaction.signatures[0])
        if known is not None and known.slot <= self.slot_at(commitment):
            return "AlreadyProcessed"
        return None

    def _keys(self, transaction: VersionedTransaction, commitment: Commitment = "processed") -> tuple[list[Pubkey], int, int]:
        """All keys of a transaction, and how many of them lookup tables brought: (keys, writable, read-only)."""
        message = transaction.message
        keys = list(message.account_keys)
        if not isinstance(message, MessageV0) or not message.address_table_lookups:
            return keys, 0, 0
        writable: list[Pubkey] = []
        readonly: list[Pubkey] = []
        for lookup in message.address_table_lookups:
            table = self.account(lookup.account_key, commitment)
            data = b"" if table is None else table.data
            for wanted, indexes in ((writable, lookup.writable_indexes), (readonly, lookup.readonly_indexes)):
                for index in indexes:
                    start = _LOOKUP_TABLE_HEADER_BYTES + 32 * index
                    if len(data) >= start + 32:
                        wanted.append(Pubkey(data[start : start + 32]))
        return keys + writable + readonly, len(writable), len(readonly)

    def _run(self, transaction: VersionedTransaction, *, keep: bool) -> Outcome:
        self._show_clock()
        keys, writable, readonly = self._keys(transaction)
        pre = [self._svm.get_account(key) for key in keys]
        post = pre
        result: Any
        try:
            result = self._svm.send_transaction(transaction) if keep else self._svm.simulate_transaction(transaction)
        except BaseException as error:  # a panic in the runtime arrives as a BaseException
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            _log.exception("the runtime gave up on a transaction")
            return self._refused("SanitizeFailure", keys, writable, readonly, pre)
        err: Any = None
        if isinstance(result, FailedTransactionMetadata):
            err = json.loads(result.to_json())["err"]
            metadata = result.meta()
        else:
            metadata = result.meta() if isinstance(result, SimulatedTransactionInfo) else result
        if err == "InvalidProgramForExecution" and self._program_missing(transaction, keys):
            err = "ProgramAccountNotFound"
        executed = err is None or bool(metadata.logs())
        fee_charged = executed or (isinstance(err, str) and err in _FEE_ONLY)
        if executed:
            if keep:
                post = [self._svm.get_account(key) for key in keys]
            elif isinstance(result, SimulatedTransactionInfo):
                after = dict(result.post_accounts())
                post = [after.get(key, account) for key, account in zip(keys, pre, strict=True)]
                post = [account if account is not None and account.lamports else None for account in post]
        if fee_charged and post is pre and pre[0] is not None:
            payer = pre[0]
            paid = Account(max(0, payer.lamports - metadata.fee()), payer.data, payer.owner, payer.executable, payer.rent_epoch)
            post = [paid, *pre[1:]]
            if keep:
                self._svm.set_account(keys[0], paid)
        pre_tokens = self._token_balances(pre, keys)
        return Outcome(
            err=err,
            metadata=metadata,
            keys=keys,
            loaded_writable=writable,
            loaded_readonly=readonly,
            pre=pre,
            post=post,
            pre_tokens=pre_tokens,
            post_tokens=self._token_balances(post, keys) if err is None else pre_tokens,
            executed=executed,
            fee_charged=fee_charged,
            loaded_bytes=self._loaded_bytes(pre, keys) if executed else 0,
        )

    def _refused(self, err: Any, keys: list[Pubkey], writable: int, readonly: int, accounts: list[Account | None]) -> Outcome:
        tokens = self._token_balances(accounts, keys)
        nothing = TransactionMetadata.from_json(_NO_METADATA)
        return Outcome(err, nothing, keys, writable, readonly, accounts, accounts, tokens, tokens, False, False, 0)

    def _program_missing(self, transaction: VersionedTransaction, keys: list[Pubkey]) -> bool:
        programs = {keys[instruction.program_id_index] for instruction in transaction.message.instructions}
        return any(self._svm.get_account(program) is None for program in programs)

    def _loaded_bytes(self, accounts: list[Account | None], keys: list[Pubkey]) -> int:
        """As a node counts them: with the ELFs of the programs that are named, whether they run or not."""
        there = [account for account in accounts if account is not None]
        elves = {Pubkey(a.data[4:36]) for a in there if a.owner == UPGRADEABLE_LOADER and a.data[:4] == _PROGRAM_STATE} - set(keys)
        there += [elf for elf in map(self._svm.get_account, elves) if elf is not None]
        return sum(_ACCOUNT_OVERHEAD_BYTES + len(account.data) for account in there)

    def _token_balances(self, accounts: list[Account | None], keys: list[Pubkey]) -> list[TokenBalance]:
        """None for a transaction that names no token program: it cannot have changed any."""
        found: list[TokenBalance] = []
        if TOKEN_PROGRAM not in keys and TOKEN_2022_PROGRAM not in keys:
            return found
        there = dict(zip(keys, accounts, strict=True))  # a transaction may have made the mint itself
        for index, account in enumerate(accounts):
            if account is None or account.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
                continue
            data = account.data
            if len(data) != TOKEN_ACCOUNT_BYTES or not data[108]:
                continue
            mint = Pubkey(data[:32])
            decimals = _decimals(there[mint] if mint in there else self._svm.get_account(mint))
            if decimals is not None:
                base_units = int.from_bytes(data[64:72], "little")
                found.append(TokenBalance(index, mint, Pubkey(data[32:64]), account.owner, base_units, decimals))
        return found

    def decimals(self, mint: Pubkey) -> int | None:
        """Decimal places of a token mint, or None where there is no mint."""
        return _decimals(self._svm.get_account(mint))

    def _keep(self, signature: Signature, transaction: VersionedTransaction, outcome: Outcome) -> None:
        journal = self._before.setdefault(self._slot, {})
        changed: dict[Pubkey, Account | None] = {}
        for key, before, after in zip(outcome.keys, outcome.pre, outcome.post, strict=True):
            if before != after:
                changed[key] = after
                journal.setdefault(key, before)
        record = Record(
            signature=signature,
            slot=self._slot,
            unix_time=self.unix_time,
            transaction=transaction,
            metadata=outcome.metadata,
            err=outcome.err,
            fee=outcome.fee or 0,
            keys=outcome.keys,
            loaded_writable=outcome.loaded_writable,
            loaded_readonly=outcome.loaded_readonly,
            pre_lamports=_lamports(outcome.pre),
            post_lamports=_lamports(outcome.post),
            pre_tokens=outcome.pre_tokens,
            post_tokens=outcome.post_tokens,
            loaded_bytes=outcome.loaded_bytes,
        )
        self._records[signature] = record
        for key in outcome.keys:
            self._by_address.setdefault(key, deque()).append(record)
        self._landed += 1
        self._forget()
        self._priority_fees.append((self._slot, _priority_price(transaction), frozenset(changed)))
        self._tell(Change(self._slot, signature, changed, outcome.err, tuple(outcome.logs), frozenset(outcome.keys)))

    def _forget(self) -> None:
        """Drop the oldest transactions beyond the history, never one whose blockhash is still valid."""
        while len(self._records) > self._history:
            signature, record = next(iter(self._records.items()))
            if record.slot >= self._slot - BLOCKHASH_AGE_BLOCKS:
                return
            del self._records[signature]
            for key in record.keys:
                self._by_address[key].popleft()
                if not self._by_address[key]:
                    del self._by_address[key]

    def _tell(self, change: Change) -> None:
        self._written.update(change.accounts)
        if self.journal is not None:
            self.journal(change)
        for callback in list(self._callbacks):
            try:
                callback(change)
            except Exception:
                _log.exception("a subscriber of the ledger failed")

    def _install_token_program(self) -> None:
        """The mint of wrapped SOL, and LiteSVM's token program where nodes have it: in one account of BPF Loader 2, at the usual size."""
        self._svm.set_account(NATIVE_MINT, mint_account(NATIVE_MINT_LAMPORTS, supply=0, decimals=9))
        program = self._svm.get_account(TOKEN_PROGRAM)
        if program is None or program.owner == BPF_LOADER_2:
            return
        stored = self._svm.get_account(Pubkey(program.data[4:36]))
        if stored is None:
            return
        elf = stored.data[45:].ljust(_TOKEN_PROGRAM_BYTES, b"\0")
        self._svm.set_account(TOKEN_PROGRAM, Account(self.rent(len(elf)), elf, BPF_LOADER_2, True, U64_MAX))


def token_address(owner: Pubkey, mint: Pubkey = NOS_MINT) -> Pubkey:
    """The associated token account of an owner."""
    return Pubkey.find_program_address([bytes(owner), bytes(TOKEN_PROGRAM), bytes(mint)], ASSOCIATED_TOKEN_PROGRAM)[0]


def create_token_account(payer: Pubkey, owner: Pubkey, mint: Pubkey = NOS_MINT) -> Instruction:
    """Create the associated token account of an owner unless it is there."""
    return Instruction(
        ASSOCIATED_TOKEN_PROGRAM,
        b"\x01",
        [
            AccountMeta(payer, True, True),
            AccountMeta(token_address(owner, mint), False, True),
            AccountMeta(owner, False, False),
            AccountMeta(mint, False, False),
            AccountMeta(SYSTEM_PROGRAM, False, False),
            AccountMeta(TOKEN_PROGRAM, False, False),
        ],
    )


def mint_account(lamports: int, *, supply: int, decimals: int, authority: Pubkey | None = None) -> Account:
    """A token mint as an account; ``supply`` in base units; without authority nobody mints."""
    data = struct.pack("<I32sQBBI32s", int(authority is not None), bytes(authority or bytes(32)), supply, decimals, 1, 0, bytes(32))
    return Account(lamports, data, TOKEN_PROGRAM, False, U64_MAX)


def token_account(lamports: int, *, mint: Pubkey, owner: Pubkey, base_units: int) -> Account:
    """A token account as an account."""
    data = (bytes(mint) + bytes(owner) + base_units.to_bytes(8, "little") + bytes(36) + b"\x01").ljust(TOKEN_ACCOUNT_BYTES, b"\0")
    return Account(lamports, data, TOKEN_PROGRAM, False, U64_MAX)


def _decimals(mint: Account | None) -> int | None:
    if mint is None or mint.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM) or len(mint.data) < MINT_BYTES:
        return None
    return mint.data[44]


def _nothing() -> Account:
    return Account(0, b"", SYSTEM_PROGRAM)


def _lamports(accounts: list[Account | None]) -> array[int]:
    return array("Q", [0 if account is None else account.lamports for account in accounts])


def _priority_price(transaction: VersionedTransaction) -> int:
    """Micro-lamports per compute unit that a transaction offers."""
    message = transaction.message
    for instruction in message.instructions:
        data = instruction.data
        keys = message.account_keys
        program = keys[instruction.program_id_index] if instruction.program_id_index < len(keys) else None
        if program == COMPUTE_BUDGET_PROGRAM and len(data) == 9 and data[0] == 3:
            return int.from_bytes(data[1:9], "little")
    return 0


_NO_METADATA: Final = json.dumps(
    {
        "signature": "1" * 64,
        "logs": [],
        "inner_instructions": [],
        "compute_units_consumed": 0,
        "return_data": {"program_id": [0] * 32, "data": []},
        "fee": 0,
    }
)
