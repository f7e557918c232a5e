"""Sending over nodes that lose answers, lag behind and fall silent: what is known is said, what is not is called unknown."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from ansible_collections.nosana.compute.plugins.module_utils._clients.errors import (
    Moved,
    NosanaError,
    OutcomeUnknown,
    ProgramError,
    Refused,
    TransactionExpired,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.nosana.compute.plugins.module_utils._clients.networks import NETWORKS
from ansible_collections.nosana.compute.plugins.module_utils._clients.program import Program, program_error
from ansible_collections.nosana.compute.plugins.module_utils._clients.rpc import Blockhash, SignatureStatus, Simulation
from ansible_collections.nosana.compute.plugins.module_utils._clients.transaction import Landed, PriorityFee, Sender

WALLET, JOB, RUN = (Keypair.from_seed(bytes([number] * 32)) for number in (1, 2, 3))
MARKET = "97G9NnvBDQ2WpKu6fasoMsAKmfj63C9rhysJnkeWodAf"
LANDED = SignatureStatus(7, None, "finalized")
FAILED = SignatureStatus(7, {"InstructionError": [2, {"Custom": 3012}]}, "confirmed")
ALREADY_PROCESSED = program_error("AlreadyProcessed", [], action="x")
UNKNOWN_BLOCKHASH = Refused("The network refused to post the job: BlockhashNotFound.", error="BlockhashNotFound")
IN_USE = program_error({"InstructionError": [2, {"Custom": 0}]}, ["Allocate: account already in use"], action="x")


class Node:
    """Answers in turn, the last of each kind for ever; every question is noted. It is its own clock."""

    def __init__(self, *, statuses: Sequence[Any] = (LANDED,), sends: Sequence[Any] = ("ok",), fees: Any = (), units: int = 1000) -> None:
        self.statuses, self.sends, self.fees, self.units = list(statuses), list(sends), fees, units
        self.sent: list[bytes] = []
        self.simulated: list[bytes] = []
        self.asked: list[str] = []
        self.seconds = 0.0
        self.logs: Any = []

    def play(self, values: list[Any]) -> Any:
        value = values.pop(0) if len(values) > 1 else values[0]
        if isinstance(value, Exception):
            raise value
        return value

    async def get_recent_prioritization_fees(self, _keys: Sequence[str]) -> list[int]:
        return list(self.play([self.fees]))

    async def simulate_transaction(self, raw: bytes) -> Simulation:
        self.simulated.append(raw)
        return Simulation(None, [], self.units)

    def not_before(self, slot: int) -> None:
        self.floor = slot

    async def get_latest_blockhash(self) -> Blockhash:
        return Blockhash(str(Pubkey.default()), 150)

    async def send_transaction(self, raw: bytes, *, action: str, everywhere: bool = False) -> str:
        self.sent.append(raw)
        return str(self.play(self.sends))

    async def get_signature_status(self, _signature: str) -> tuple[int, SignatureStatus | None]:
        return 1000 + int(self.seconds / 0.4), self.play(self.statuses)

    async def get_height(self) -> tuple[int, int]:
        return 1000 + int(self.seconds / 0.4), int(self.seconds / 0.4)

    async def get_transaction_logs(self, _signature: str) -> list[str]:
        return list(self.play([self.logs]))

    def random(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds


def post(node: Node) -> Landed:
    listing = Program(NETWORKS["mainnet"]).list_job(
        job=str(JOB.pubkey()),
        market=MARKET,
        run=str(RUN.pubkey()),
        payer=str(WALLET.pubkey()),
        project=str(WALLET.pubkey()),
        ipfs_job=bytes(32),
        timeout_seconds=60,
    )
    sender = Sender(node, node)  # type: ignore[arg-type]
    return asyncio.run(sender.send([listing], [JOB, WALLET, RUN], fee_payer=WALLET, action="post the job"))


def test_what_is_sent_is_signed_by_all_and_bounded() -> None:
    node = Node(fees=[20_000], units=100_000)
    landed = post(node)
    transaction = VersionedTransaction.from_bytes(node.sent[0])
    assert str(transaction.signatures[0]) == landed.signature
    assert transaction.verify_with_results() == [True, True, True]
    assert transaction.message.account_keys[0] == WALLET.pubkey()
    limit, price, mark, _listing = (bytes(instruction.data) for instruction in transaction.message.instructions)
    assert limit == b"\x02" + struct.pack("<I", 130_000)
    assert price == b"\x03" + struct.pack("<Q", 20_000)
    assert mark[0] == 4
    assert struct.unpack("<I", mark[1:])[0] >= 64 * 1024 * 1024  # a smaller one would mean something


def test_two_runs_that_do_the_same_sign_transactions_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes land once, and both runs would take what landed for their own."""
    node = Node(fees=[20_000], units=100_000)
    signatures = set()
    for chance in (0.0, 0.25, 0.999_999_999):
        monkeypatch.setattr(node, "random", lambda chance=chance: chance)
        signatures.add(post(node).signature)
    assert len(signatures) == 3


def test_the_compute_budget_is_never_more_than_the_network_allows() -> None:
    node = Node(units=1_399_999)
    post(node)
    data = bytes(VersionedTransaction.from_bytes(node.sent[0]).message.instructions[0].data)
    assert data == b"\x02" + struct.pack("<I", 1_400_000)


@pytest.mark.parametrize("fees", [[], Unreachable("x"), Refused("x")], ids=["none", "unreachable", "refused"])
def test_without_recent_fees_the_lowest_is_paid(fees: Any) -> None:
    node = Node(fees=fees)
    post(node)
    data = bytes(VersionedTransaction.from_bytes(node.sent[0]).message.instructions[1].data)
    assert data == b"\x03" + struct.pack("<Q", 10_000)


def test_a_first_sending_whose_answer_was_lost_is_waited_for() -> None:
    node = Node(sends=[Unreachable("lost"), "ok"], statuses=[None] * 9 + [LANDED])
    assert post(node).slot == 7
    assert len(set(node.sent)) == 1


@pytest.mark.parametrize("again", [ALREADY_PROCESSED, IN_USE, Refused("BlockhashNotFound"), Unreachable("x")], ids=str)
def test_what_a_node_says_to_a_later_sending_decides_nothing(again: NosanaError) -> None:
    node = Node(sends=["ok", again], statuses=[None] * 9 + [LANDED])
    assert post(node).slot == 7
    assert len(node.sent) == 3


def test_already_processed_means_that_an_earlier_sending_arrived() -> None:
    node = Node(sends=[ALREADY_PROCESSED], statuses=[None, None, LANDED])
    assert post(node).slot == 7


@pytest.mark.parametrize("first", [IN_USE, Refused("no", rpc_code=-32602)], ids=str)
def test_a_refusal_of_the_first_sending_stands(first: NosanaError) -> None:
    node = Node(sends=[first], statuses=[None])
    with pytest.raises(type(first)):
        post(node)
    assert len(node.sent) == 1
    assert node.seconds == 1.5
    assert first.details["signature"] == str(VersionedTransaction.from_bytes(node.sent[0]).signatures[0])


def test_a_node_that_does_not_know_the_blockhash_yet_is_asked_again() -> None:
    node = Node(sends=[UNKNOWN_BLOCKHASH, "ok"], statuses=[None] * 9 + [LANDED])
    assert post(node).slot == 7
    assert len(set(node.sent)) == 1


def test_a_blockhash_that_no_node_ever_knows_costs_nothing() -> None:
    with pytest.raises(TransactionExpired, match="nothing was paid"):
        post(Node(sends=[UNKNOWN_BLOCKHASH], statuses=[None]))


def test_a_node_that_is_unwell_refuses_nothing() -> None:
    assert post(Node(sends=[Refused("unhealthy", rpc_code=-32005)], statuses=[None, None, LANDED])).slot == 7


def test_a_node_whose_height_stands_still_is_not_waited_for_for_ever() -> None:
    class Still(Node):
        async def get_height(self) -> tuple[int, int]:
            return 1, 1

    node = Still(statuses=[None])
    with pytest.raises(OutcomeUnknown, match="may still land"):
        post(node)
    assert 180 <= node.seconds <= 185


def test_a_node_that_is_behind_does_not_say_that_it_never_landed() -> None:
    class Behind(Node):
        async def get_signature_status(self, _signature: str) -> tuple[int, SignatureStatus | None]:
            return 1, None

    with pytest.raises(OutcomeUnknown):
        post(Behind())


@pytest.mark.parametrize("trouble", [Refused("no", rpc_code=-32601), UnexpectedAnswer("html")], ids=str)
def test_what_cannot_be_asked_after_the_sending_is_called_unknown(trouble: NosanaError) -> None:
    node = Node(statuses=[trouble])
    with pytest.raises(OutcomeUnknown) as caught:
        post(node)
    assert caught.value.details["signature"] in str(caught.value)


def test_an_account_in_use_may_be_the_work_of_a_copy_whose_answer_was_lost() -> None:
    node = Node(sends=[IN_USE], statuses=[None, None, SignatureStatus(7, None, "processed"), LANDED])
    assert post(node).slot == 7
    assert len(node.sent) == 1


def test_reads_after_a_landing_are_not_older_than_it() -> None:
    node = Node()
    post(node)
    assert node.floor == LANDED.slot


def test_a_fixed_priority_fee_asks_nobody() -> None:
    node = Node(fees=Refused("nobody should ask"))
    sender = Sender(node, node, PriorityFee(fixed=77))  # type: ignore[arg-type]
    quote = asyncio.run(sender.quote([], [WALLET], fee_payer=WALLET, action="x"))
    assert (quote.unit_price, quote.fee_lamports) == (77, 5001)


def test_a_refusal_of_what_had_landed_is_no_failure() -> None:
    assert post(Node(sends=[IN_USE])).slot == 7


def test_a_node_that_falls_silent_after_the_sending_leaves_the_outcome_unknown() -> None:
    node = Node(statuses=[None, Unreachable("No answer from the Solana RPC node.", cause="HTTP 503")])
    with pytest.raises(OutcomeUnknown, match="post the job") as caught:
        post(node)
    assert caught.value.retryable
    assert caught.value.details["cause"] == "HTTP 503"
    assert str(VersionedTransaction.from_bytes(node.sent[0]).signatures[0]) in str(caught.value)


def test_never_landed_is_known_when_its_time_is_over() -> None:
    node = Node(statuses=[None], sends=[Unreachable("lost")])
    with pytest.raises(TransactionExpired):
        post(node)
    assert 60 <= node.seconds <= 62
    assert len(set(node.sent)) == 1


def test_a_landed_failure_is_told_without_its_logs_too() -> None:
    node = Node(statuses=[FAILED])
    node.logs = Unreachable("x")
    with pytest.raises(ProgramError) as caught:
        post(node)
    assert (caught.value.name, caught.value.instruction) == ("AccountNotInitialized", 2)


@pytest.mark.parametrize("lands", [True, False])
def test_what_makes_no_sense_any_more_is_not_sent_again(lands: bool) -> None:
    """Somebody else has used the address meanwhile; what is on its way may land all the same, and then it is reported."""
    node = Node(statuses=[None] * 9 + [LANDED] if lands else [None])

    async def no(_signature: str) -> bool:
        return False

    sender = Sender(node, node)  # type: ignore[arg-type]
    sending = sender.send([], [WALLET], fee_payer=WALLET, action="post the job", still=no)
    if lands:
        assert asyncio.run(sending).slot == 7
    else:
        with pytest.raises(Moved, match="nothing was paid"):
            asyncio.run(sending)
    assert len(node.sent) == 1
