"""The jobs program as a client sees it: instruction bytes, account layouts, derived addresses, errors (pure)."""
# Copyright (c) 2026, The nosana.compute contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection and may change without notice.

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._libraries import solders
from .base58 import b58encode
from .errors import InsufficientFunds, NosanaError, ProgramError, Refused, UnexpectedAnswer
from .printable import in_one_line

if TYPE_CHECKING:
    from solders.instruction import Instruction

    from .networks import Network

SYSTEM_PROGRAM = "11111111111111111111111111111111"
TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
TOKEN_ACCOUNT_PROGRAM = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"
MOST_LOADED_BYTES = 64 * 1024 * 1024  # the runtime's own bound
COMPUTE_BUDGET_PROGRAM = "ComputeBudget111111111111111111111111111111"
RENT_SYSVAR = "SysvarRent111111111111111111111111111111111"
CLOCK_SYSVAR = "SysvarC1ock11111111111111111111111111111111"

JOB_QUEUED, JOB_DONE, JOB_STOPPED = 0, 2, 3
JOB_STATES = frozenset({JOB_QUEUED, JOB_DONE, JOB_STOPPED})  # another number is a newer program's, of which nothing is known
QUEUE_OF_JOBS, QUEUE_OF_NODES, QUEUE_EMPTY = 0, 1, 255
JOB_TYPE_UNKNOWN = 255

# Accounts of each instruction in their order: w writable, s signs. The words are the program's own.
INSTRUCTIONS: dict[str, str] = {
    "open": "mint market:ws vault:w authority:ws access_key rent system_program token_program",
    "update": "market:w access_key authority:s",
    "close": "market:w vault:w user:w authority:s token_program",
    "close_admin": "market:w vault:w user:w authority:s token_program",
    "list": "job:ws market:w run:ws user:w vault:w payer:ws rewards_reflection:w rewards_vault:w authority:s"
    " rewards_program token_program system_program",
    "assign": "job:ws market:w run:ws node user:w vault:w payer:ws rewards_reflection:w rewards_vault:w authority:s"
    " rewards_program token_program system_program",
    "delist": "job:w market:w deposit:w payer:w vault:w token_program authority:ws",
    "extend": "job:w market user:w vault:w rewards_reflection:w rewards_vault:w authority:s payer:s rewards_program token_program",
    "end": "job:w market run:w deposit:w user:w vault:w payer:w authority:ws token_program",
    "recover": "job:w market vault:w user:w payer:w authority:s token_program",
    "work": "run:ws market:w payer:ws stake nft metadata authority:s system_program",
    "stop": "market:w node authority:s",
    "claim": "job:w run:ws market stake nft metadata payer:ws authority:s system_program",
    "complete": "job:w authority:s",
    "finish": "job:w run:w market vault:w deposit:w user:w payer_run:w payer_job:w authority:s token_program",
    "quit": "job:w run:w payer:w authority:s",
    "quit_admin": "run:w payer:w authority:s",
    "clean": "job:w market payer:w",
    "clean_admin": "job:w payer:w authority:s",
}


def discriminator(kind: str, name: str) -> bytes:
    """Anchor's first eight bytes: of an instruction ("global", "list") or an account ("account", "JobAccount")."""
    return hashlib.sha256(f"{kind}:{name}".encode()).digest()[:8]


_JOB, _RUN, _MARKET = (discriminator("account", name) for name in ("JobAccount", "RunAccount", "MarketAccount"))


# --- money -----------------------------------------------------------------------------------------------------------


def deposit(price: int, timeout_seconds: int) -> int:
    """What a listing pays into the market's vault, in NOS base units."""
    return price * timeout_seconds


def paid(price: int, time_start: int, time_end: int, timeout_seconds: int) -> int:
    """What the host earns of the deposit, in NOS base units: never more than the timeout, however long the job ran."""
    return price * min(max(time_end - time_start, 0), timeout_seconds)


def refund(price: int, time_start: int, time_end: int, timeout_seconds: int) -> int:
    """What comes home of the deposit, in NOS base units."""
    return deposit(price, timeout_seconds) - paid(price, time_start, time_end, timeout_seconds)


def network_fee(deposit_base_units: int, fraction: int) -> int:
    """The fee on top of a deposit, in NOS base units; fraction 0 means that there is none, 10 means a tenth."""
    return deposit_base_units // fraction if fraction else 0


# --- accounts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A job account. Keys are base58; hashes are the 32 bytes of a CIDv0; times are unix seconds, 0 while unset."""

    ipfs_job: bytes
    ipfs_result: bytes | None
    market: str
    node: str | None
    payer: str
    price: int
    project: str
    state: int
    time_end: int
    time_start: int
    timeout_seconds: int


@dataclass(frozen=True)
class Run:
    """A run account: it exists exactly while a host runs the job."""

    job: str
    node: str
    payer: str
    state: int
    time_start: int


@dataclass(frozen=True)
class Market:
    """A market account with its queue of jobs or of hosts, whichever there are."""

    authority: str
    job_expiration_seconds: int
    job_price: int
    job_timeout_seconds: int
    job_type: int
    vault: str
    vault_bump: int
    node_access_key: str
    node_xnos_minimum: int
    queue_type: int
    queue: tuple[str, ...]

    @property
    def takes_jobs(self) -> bool:
        """Whether what is listed here is ever queued: the program queues nothing in a market whose job type it does not know (facts §2.3)."""
        return self.job_type != JOB_TYPE_UNKNOWN

    def queues_job(self, address: str) -> bool:
        """Whether that job waits in this market."""
        return self.queue_type == QUEUE_OF_JOBS and address in self.queue

    def queues_node(self, address: str) -> bool:
        """Whether that host waits for a job in this market."""
        return self.queue_type == QUEUE_OF_NODES and address in self.queue


def decode_job(data: bytes) -> Job:
    """From account data; longer data is fine: the account is allocated with padding, and a newer program may keep more in it."""
    _expect(data, _JOB, 233, "job")
    result = data[40:72]
    node = data[104:136]
    price, project, state, end, start, timeout = struct.unpack_from("<Q32sBqqq", data, 168)
    return Job(
        ipfs_job=data[8:40],
        ipfs_result=result if any(result) else None,
        market=_key(data[72:104]),
        node=_key(node) if any(node) else None,
        payer=_key(data[136:168]),
        price=price,
        project=_key(project),
        state=state,
        time_end=end,
        time_start=start,
        timeout_seconds=timeout,
    )


def decode_run(data: bytes) -> Run:
    """From account data."""
    _expect(data, _RUN, 113, "run")
    state, start = struct.unpack_from("<Bq", data, 104)
    return Run(_key(data[8:40]), _key(data[40:72]), _key(data[72:104]), state, start)


def decode_market(data: bytes) -> Market:
    """From account data."""
    _expect(data, _MARKET, 151, "market")
    authority, expiration, price, timeout, job_type, vault, bump, access_key = struct.unpack_from("<32sqQqB32sB32s", data, 8)
    queue_type, length = struct.unpack_from("<BI", data, 146)
    if length > (len(data) - 151) // 32:
        raise UnexpectedAnswer(f"The market account says that {length} entries queue, and holds fewer.")
    return Market(
        authority=_key(authority),
        job_expiration_seconds=expiration,
        job_price=price,
        job_timeout_seconds=timeout,
        job_type=job_type,
        vault=_key(vault),
        vault_bump=bump,
        node_access_key=_key(access_key),
        node_xnos_minimum=int.from_bytes(data[130:146], "little"),
        queue_type=queue_type,
        queue=tuple(_key(data[151 + 32 * index : 183 + 32 * index]) for index in range(length)),
    )


def job_filters(
    *,
    ipfs_job: bytes | None = None,
    project: str | None = None,
    payer: str | None = None,
    state: int | None = None,
    market: str | None = None,
    node: str | None = None,
) -> list[dict[str, Any]]:
    """getProgramAccounts filters for job accounts."""
    wanted = [
        (0, b58encode(_JOB)),
        (8, None if ipfs_job is None else b58encode(ipfs_job)),
        (72, market),
        (104, node),
        (136, payer),
        (176, project),
    ]
    wanted.append((208, None if state is None else b58encode(bytes([state]))))
    return [_memcmp(offset, value) for offset, value in wanted if value is not None]


def run_filters(*, job: str | None = None) -> list[dict[str, Any]]:
    """getProgramAccounts filters for the run of a job, or for all runs."""
    return [_memcmp(0, b58encode(_RUN)), *([_memcmp(8, job)] if job else [])]


def is_market(data: bytes) -> bool:
    """Whether an account of the program is a market."""
    return data[:8] == _MARKET


def token_amount(data: bytes) -> int:
    """Base units in a token account; UnexpectedAnswer for what is none."""
    if len(data) < 72:
        raise UnexpectedAnswer(f"An account that should be a token account is something else ({len(data)} bytes).")
    return int.from_bytes(data[64:72], "little")


def _memcmp(offset: int, value: str) -> dict[str, Any]:
    return {"memcmp": {"offset": offset, "bytes": value}}


def _expect(data: bytes, start: bytes, size: int, what: str) -> None:
    if data[:8] == start and len(data) < size:
        raise UnexpectedAnswer(
            f"A Nosana {what} account has {len(data)} bytes and this version of the collection needs {size}: the network may run a program "
            "that is newer; look for an update of nosana.compute."
        )
    if data[:8] != start:
        raise UnexpectedAnswer(f"An account that should be a Nosana {what} is something else ({len(data)} bytes).")


def _key(raw: bytes) -> str:
    return b58encode(raw)


# --- derived addresses -----------------------------------------------------------------------------------------------


def derived_address(seeds: Sequence[bytes | str], program: str) -> str:
    """The program-derived address of the seeds; a str is the base58 of a key."""
    raw = [seed if isinstance(seed, bytes) else bytes(solders.pubkey.Pubkey.from_string(seed)) for seed in seeds]
    address, _bump = solders.pubkey.Pubkey.find_program_address(raw, solders.pubkey.Pubkey.from_string(program))
    return str(address)


def token_account(owner: str, mint: str) -> str:
    """The associated token account."""
    return derived_address([owner, TOKEN_PROGRAM, mint], TOKEN_ACCOUNT_PROGRAM)


def market_vault(market: str, network: Network) -> str:
    """The token account in which a market keeps the deposits."""
    return derived_address([market, network.nos_mint], network.jobs_program)


def rewards_reflection(network: Network) -> str:
    """The rewards program's account that every listing has to name."""
    return derived_address([b"reflection"], network.rewards_program)


def rewards_vault(network: Network) -> str:
    """The rewards program's token account that every listing has to name."""
    return derived_address([network.nos_mint], network.rewards_program)


# --- instructions ----------------------------------------------------------------------------------------------------


class Program:
    """Builds the instructions of the jobs program on one network. Keys are base58."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def instruction(self, name: str, accounts: Mapping[str, str], arguments: bytes = b"") -> Instruction:
        """Any instruction, its accounts by the program's own words; programs and the rewards accounts need not be given."""
        known = {
            "system_program": SYSTEM_PROGRAM,
            "token_program": TOKEN_PROGRAM,
            "rewards_program": self._network.rewards_program,
            "rent": RENT_SYSVAR,
            "mint": self._network.nos_mint,
        }
        if "rewards_vault" in INSTRUCTIONS[name]:
            known |= {"rewards_reflection": rewards_reflection(self._network), "rewards_vault": rewards_vault(self._network)}
        if "market" in accounts:
            known["vault"] = market_vault(accounts["market"], self._network)
        known |= accounts
        metas = []
        for word in INSTRUCTIONS[name].split():
            account, _colon, flags = word.partition(":")
            key = solders.pubkey.Pubkey.from_string(known[account])
            metas.append(solders.instruction.AccountMeta(key, is_signer="s" in flags, is_writable="w" in flags))
        program = solders.pubkey.Pubkey.from_string(self._network.jobs_program)
        return solders.instruction.Instruction(program, discriminator("global", name) + arguments, metas)

    def list_job(self, *, job: str, market: str, run: str, payer: str, project: str, ipfs_job: bytes, timeout_seconds: int) -> Instruction:
        """List a job: `job` and `run` are fresh keys that sign, `payer` pays rent and deposit, `project` owns the job."""
        accounts = {
            "job": job,
            "market": market,
            "run": run,
            "user": self._nos_account(payer),
            "payer": payer,
            "authority": project,
        }
        return self.instruction("list", accounts, ipfs_job + struct.pack("<q", timeout_seconds))

    def assign(
        self, *, job: str, market: str, run: str, node: str, payer: str, project: str, ipfs_job: bytes, timeout_seconds: int
    ) -> Instruction:
        """List a job with one certain host that waits in the market."""
        accounts = {
            "job": job,
            "market": market,
            "run": run,
            "node": node,
            "user": self._nos_account(payer),
            "payer": payer,
            "authority": project,
        }
        return self.instruction("assign", accounts, ipfs_job + struct.pack("<q", timeout_seconds))

    def delist(self, *, job: str, market: str, payer: str, project: str) -> Instruction:
        """Take a waiting job out of the queue; deposit and rent go back to the payer."""
        return self.instruction(
            "delist", {"job": job, "market": market, "deposit": self._nos_account(payer), "payer": payer, "authority": project}
        )

    def extend(self, *, job: str, market: str, payer: str, project: str, timeout_seconds: int) -> Instruction:
        """Give a job a longer timeout: the new total, in seconds."""
        accounts = {"job": job, "market": market, "user": self._nos_account(payer), "authority": project, "payer": payer}
        return self.instruction("extend", accounts, struct.pack("<q", timeout_seconds))

    def end(self, *, job: str, market: str, run: str, run_payer: str, job_payer: str, node: str, project: str) -> Instruction:
        """End a running job: the host is paid for its seconds, the rest goes back to the job's payer."""
        accounts = {
            "job": job,
            "market": market,
            "run": run,
            "deposit": self._nos_account(job_payer),
            "user": self._nos_account(node),
            "payer": run_payer,
            "authority": project,
        }
        return self.instruction("end", accounts)

    def recover(self, *, job: str, market: str, payer: str, project: str) -> Instruction:
        """Take back deposit and rent of a job that its host gave up."""
        return self.instruction(
            "recover", {"job": job, "market": market, "user": self._nos_account(payer), "payer": payer, "authority": project}
        )

    def clean(self, *, job: str, market: str, payer: str) -> Instruction:
        """Close the account of a job that has been over for longer than the market's expiration; its rent goes back to the payer."""
        return self.instruction("clean", {"job": job, "market": market, "payer": payer})

    def create_token_account_idempotent(self, *, payer: str, owner: str) -> Instruction:
        """Create the NOS token account of an owner, or do nothing where it exists."""
        pubkey, meta = solders.pubkey.Pubkey.from_string, solders.instruction.AccountMeta
        return solders.instruction.Instruction(
            pubkey(TOKEN_ACCOUNT_PROGRAM),
            b"\x01",
            [
                meta(pubkey(payer), is_signer=True, is_writable=True),
                meta(pubkey(self._nos_account(owner)), is_signer=False, is_writable=True),
                *(
                    meta(pubkey(key), is_signer=False, is_writable=False)
                    for key in (owner, self._network.nos_mint, SYSTEM_PROGRAM, TOKEN_PROGRAM)
                ),
            ],
        )

    def _nos_account(self, owner: str) -> str:
        return token_account(owner, self._network.nos_mint)


def set_compute_unit_limit(units: int) -> Instruction:
    """How many compute units the transaction may use."""
    return _compute_budget(b"\x02" + struct.pack("<I", units))


def set_compute_unit_price(micro_lamports: int) -> Instruction:
    """The priority fee, in millionths of a lamport for each compute unit."""
    return _compute_budget(b"\x03" + struct.pack("<Q", micro_lamports))


def set_loaded_accounts_limit(size_bytes: int) -> Instruction:
    """How many bytes of accounts the transaction may load; whatever is above the runtime's own bound means that bound."""
    return _compute_budget(b"\x04" + struct.pack("<I", size_bytes))


def _compute_budget(data: bytes) -> Instruction:
    return solders.instruction.Instruction(solders.pubkey.Pubkey.from_string(COMPUTE_BUDGET_PROGRAM), data, [])


# --- errors ----------------------------------------------------------------------------------------------------------

_ANCHOR_ERROR = re.compile(r"AnchorError.*? Error Code: (\w{1,100})\. Error Number: ([0-9]{1,10})\. Error Message: (.*?)\.*$")
_SHOWN_CHARACTERS = 300

_AMBIGUOUS_NUMBERS = range(6000, 6012)
# Numbers that mean one thing only. 6000 to 6011 stand in two lists of the program, so there the log line alone decides.
_NUMBERS = {
    2040: "ConstraintDuplicateMutableAccount",
    3004: "AccountDidNotSerialize",
    3007: "AccountOwnedByWrongProgram",
    3012: "AccountNotInitialized",
    6012: "NodeStakeUnauthorized",
    6013: "NodeNotEnoughStake",
    6014: "NodeAlreadyQueued",
    6015: "NodeNftWrongMetadata",
    6016: "NodeNftWrongOwner",
    6017: "NodeNftInvalidAmount",
    6018: "NodeKeyInvalidCollection",
}

_ADVICE = {
    "Unauthorized": "the wallet is not the one that posted the job",
    "AccountDidNotSerialize": "the market's queue is full (314 entries); choose another market or try later",
    "AccountNotInitialized": "an account that the program needs does not exist",
}


def program_error(err: Any, logs: Sequence[str], *, action: str) -> NosanaError:
    """The error for a failed transaction: `err` as RPC shows it, `logs` of the run, `action` such as "post the job"."""
    if err in ("InsufficientFundsForFee", "AccountNotFound"):
        return InsufficientFunds(f"Not enough SOL to {action}: the wallet cannot pay the transaction fee; top it up.")
    if isinstance(err, dict) and "InsufficientFundsForRent" in err:
        return InsufficientFunds(f"Not enough SOL to {action}: an account would be left below the rent minimum; top the wallet up.")
    if not (isinstance(err, dict) and isinstance(err.get("InstructionError"), list) and len(err["InstructionError"]) == 2):
        words = said(err)
        return Refused(f"The network refused to {action}: {words}.", error=words)
    index, cause = err["InstructionError"]
    number = cause.get("Custom") if isinstance(cause, dict) else None
    number = number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**32 else None
    for line in logs:
        if "insufficient lamports" in line:
            return InsufficientFunds(
                f"Not enough SOL to {action}: {said(line.partition('insufficient lamports')[2].strip())} lamports (has, need)."
            )
        if line == "Program log: Error: insufficient funds":
            return InsufficientFunds(f"Not enough NOS to {action}: the wallet's token account holds less than the deposit.")
    name, message = _named(number, cause, logs)
    advice = _ADVICE.get(name)
    return ProgramError(
        f"The program refused to {action}: {name}" + (f" ({message})" if message else "") + (f"; {advice}" if advice else "") + ".",
        name=name,
        number=number,
        instruction=index if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < 256 else None,
        logs=[said(line) for line in list(logs)[-20:]],
    )


def _named(number: int | None, cause: Any, logs: Sequence[str]) -> tuple[str, str]:
    for line in logs:
        found = _ANCHOR_ERROR.search(line)
        if found and (number is None or int(found[2]) == number):
            return found[1], said(found[3])
    # 0 is the system program's word for it, and nobody else's here; a node may not have the logs.
    if number == 0 and (not logs or any("already in use" in line for line in logs)):
        return "AccountAlreadyInUse", "an account of that address exists"
    if number in _NUMBERS:
        return _NUMBERS[number], ""
    if number is not None:
        return f"Custom{number}", _unnamed(number)
    return said(cause), ""


def _unnamed(number: int) -> str:
    """What to do about an error of which there is only a number."""
    if number in _AMBIGUOUS_NUMBERS:
        return f"error {number}, which has two meanings; the RPC node shows no log that tells which, so look at the transaction there or use another"
    return f"error {number}, which this version of the collection does not know; the program may be newer, so look for an update of nosana.compute"


def said(value: Any) -> str:
    """What a node or a program said, as it may be printed: in one line, bounded."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except (RecursionError, ValueError):
        text = "something that cannot be shown"
    return in_one_line(text[:_SHOWN_CHARACTERS])
