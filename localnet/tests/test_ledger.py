"""The ledger: what a wallet relies on, to the lamport, and what a node adds to LiteSVM."""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from nosana_localnet.ledger import (
    COMPUTE_BUDGET_PROGRAM,
    NOS_MINT,
    SYSTEM_PROGRAM,
    TOKEN_PROGRAM,
    Change,
    Ledger,
    Rejected,
    token_address,
)

SOL = 1_000_000_000
NOON = 1_800_000_000
SIGNATURE_FEE = 5_000


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(lambda: NOON)


@pytest.fixture
def alice(ledger: Ledger) -> Keypair:
    wallet = Keypair()
    ledger.airdrop(wallet.pubkey(), 10 * SOL)
    return wallet


def signed(ledger: Ledger, instructions: Sequence[Instruction], *signers: Keypair, blockhash: Hash | None = None) -> VersionedTransaction:
    named = blockhash or ledger.latest_blockhash("processed").hash
    return VersionedTransaction(MessageV0.try_compile(signers[0].pubkey(), instructions, [], named), signers)


def pay(source: Keypair, target: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=source.pubkey(), to_pubkey=target, lamports=lamports))


def ticks(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ledger.tick()


def test_a_transfer_moves_what_it_says_and_the_payer_pays_the_fee(ledger: Ledger, alice: Keypair) -> None:
    bob = Keypair().pubkey()
    signature = ledger.submit(signed(ledger, [pay(alice, bob, SOL)], alice))
    assert ledger.balance(alice.pubkey()) == 9 * SOL - SIGNATURE_FEE
    assert ledger.balance(bob) == SOL
    record = ledger.transaction(signature)
    assert record is not None
    assert (record.fee, record.err, record.slot, record.unix_time) == (SIGNATURE_FEE, None, ledger.slot, NOON)
    assert list(record.pre_lamports) == [10 * SOL, 0, 1]
    assert list(record.post_lamports) == [9 * SOL - SIGNATURE_FEE, SOL, 1]


def test_a_transaction_lands_once(ledger: Ledger, alice: Keypair) -> None:
    bob = Keypair().pubkey()
    transaction = signed(ledger, [pay(alice, bob, SOL)], alice)
    ledger.submit(transaction)
    with pytest.raises(Rejected) as refused:
        ledger.submit(transaction)
    assert (refused.value.err, refused.value.landed) == ("AlreadyProcessed", False)
    assert ledger.balance(bob) == SOL


def test_a_wrong_signature_lands_nothing(ledger: Ledger, alice: Keypair) -> None:
    message = signed(ledger, [pay(alice, Keypair().pubkey(), SOL)], alice).message
    with pytest.raises(Rejected) as refused:
        ledger.submit(VersionedTransaction.populate(message, [Keypair().sign_message(b"something else")]))
    assert refused.value.err == "SignatureFailure"
    assert ledger.balance(alice.pubkey()) == 10 * SOL


def test_a_blockhash_is_good_for_150_blocks_and_no_more(ledger: Ledger, alice: Keypair) -> None:
    latest = ledger.latest_blockhash("processed")
    early = signed(ledger, [pay(alice, Keypair().pubkey(), SOL)], alice)
    late = signed(ledger, [pay(alice, Keypair().pubkey(), SOL)], alice)
    ticks(ledger, 150)
    assert ledger.block_height == latest.last_valid_block_height
    ledger.submit(early)
    ledger.tick()
    with pytest.raises(Rejected) as refused:
        ledger.submit(late)
    assert refused.value.err == "BlockhashNotFound"


def test_a_failed_transaction_costs_its_fee_and_changes_nothing_else(ledger: Ledger, alice: Keypair) -> None:
    bob = Keypair().pubkey()
    with pytest.raises(Rejected) as refused:
        ledger.submit(signed(ledger, [pay(alice, bob, SOL), pay(alice, bob, 100 * SOL)], alice))
    assert refused.value.err == {"InstructionError": [1, {"Custom": 1}]}
    assert refused.value.landed
    assert any("insufficient lamports" in line for line in refused.value.logs)
    assert ledger.balance(alice.pubkey()) == 10 * SOL - SIGNATURE_FEE
    assert ledger.account(bob) is None
    record = ledger.signatures_for(alice.pubkey())[0]
    assert record.err == refused.value.err


def test_who_has_nothing_pays_nothing(ledger: Ledger) -> None:
    poor = Keypair()
    with pytest.raises(Rejected) as refused:
        ledger.submit(signed(ledger, [pay(poor, Keypair().pubkey(), 1)], poor))
    assert (refused.value.err, refused.value.landed) == ("AccountNotFound", False)
    assert ledger.signatures_for(poor.pubkey()) == []


def test_a_payer_that_the_fee_would_leave_with_dust_pays_nothing(ledger: Ledger) -> None:
    dusty, poor = Keypair(), Keypair()
    ledger.put(dusty.pubkey(), Account(ledger.rent(0) + SIGNATURE_FEE - 1, b"", SYSTEM_PROGRAM))
    ledger.put(poor.pubkey(), Account(SIGNATURE_FEE - 1, b"", SYSTEM_PROGRAM))
    for payer, err in ((dusty, {"InsufficientFundsForRent": {"account_index": 0}}), (poor, "InsufficientFundsForFee")):
        held = ledger.balance(payer.pubkey())
        with pytest.raises(Rejected) as refused:
            ledger.submit(signed(ledger, [pay(payer, Keypair().pubkey(), 0)], payer))
        assert (refused.value.err, refused.value.landed) == (err, False)
        assert ledger.balance(payer.pubkey()) == held


def test_a_program_that_is_not_there_costs_the_fee(ledger: Ledger, alice: Keypair) -> None:
    with pytest.raises(Rejected) as refused:
        ledger.submit(signed(ledger, [Instruction(Keypair().pubkey(), b"", [])], alice))
    assert (refused.value.err, refused.value.landed) == ("ProgramAccountNotFound", True)
    assert ledger.balance(alice.pubkey()) == 10 * SOL - SIGNATURE_FEE


def test_the_priority_fee_is_charged_and_reported(ledger: Ledger, alice: Keypair) -> None:
    price = Instruction(COMPUTE_BUDGET_PROGRAM, struct.pack("<BQ", 3, 1_000_000), [])
    limit = Instruction(COMPUTE_BUDGET_PROGRAM, struct.pack("<BI", 2, 50_000), [])
    bob = Keypair().pubkey()
    ledger.tick()
    ledger.submit(signed(ledger, [price, limit, pay(alice, bob, SOL)], alice))
    assert ledger.balance(alice.pubkey()) == 9 * SOL - SIGNATURE_FEE - 50_000
    assert ledger.prioritization_fees([bob])[-1] == (ledger.slot, 1_000_000)
    assert len(ledger.prioritization_fees()) == ledger.slot


def test_each_commitment_level_sees_its_own_time() -> None:
    ledger = Ledger(lambda: NOON, confirmed_lag_slots=1, finalized_lag_slots=3)
    ledger.settle()
    alice = Keypair()
    before = ledger.slot
    signature = ledger.airdrop(alice.pubkey(), SOL)
    seen = []
    for _ in range(4):
        seen.append([ledger.balance(alice.pubkey(), level) for level in ("processed", "confirmed", "finalized")])
        ledger.tick()
    assert seen == [[SOL, 0, 0], [SOL, SOL, 0], [SOL, SOL, 0], [SOL, SOL, SOL]]
    record = ledger.transaction(signature)
    assert record is not None
    assert record.slot == before


def test_accounts_of_a_program_as_they_were(ledger: Ledger, alice: Keypair) -> None:
    ledger.mint_nos(alice.pubkey(), 5)
    token = token_address(alice.pubkey())
    assert token in dict(ledger.program_accounts(TOKEN_PROGRAM))
    assert token not in dict(ledger.program_accounts(TOKEN_PROGRAM, "finalized"))
    ledger.settle()
    assert token in dict(ledger.program_accounts(TOKEN_PROGRAM, "finalized"))
    close = Instruction(
        TOKEN_PROGRAM,
        b"\x09",
        [AccountMeta(token, False, True), AccountMeta(alice.pubkey(), False, True), AccountMeta(alice.pubkey(), True, False)],
    )
    burn = Instruction(
        TOKEN_PROGRAM,
        struct.pack("<BQ", 8, 5),
        [AccountMeta(token, False, True), AccountMeta(NOS_MINT, False, True), AccountMeta(alice.pubkey(), True, False)],
    )
    ledger.submit(signed(ledger, [burn, close], alice))
    assert token not in dict(ledger.program_accounts(TOKEN_PROGRAM))
    kept = dict(ledger.program_accounts(TOKEN_PROGRAM, "finalized"))[token]
    assert kept.data[64] == 5


def test_simulating_keeps_nothing_at_any_level(ledger: Ledger) -> None:
    ledger.settle()
    alice, bob = Keypair(), Keypair().pubkey()
    ledger.airdrop(alice.pubkey(), SOL)
    transaction = signed(ledger, [pay(alice, bob, SOL // 2)], alice, blockhash=ledger.latest_blockhash("finalized").hash)
    now = ledger.simulate(transaction)
    assert now.err is None
    assert now.post[1] is not None
    assert now.post[1].lamports == SOL // 2
    assert ledger.simulate(transaction, "finalized").err == "AccountNotFound"  # the airdrop is not finalized yet
    assert ledger.balance(alice.pubkey()) == SOL
    assert ledger.account(bob) is None
    ledger.submit(transaction)
    assert ledger.balance(bob) == SOL // 2


def test_simulating_needs_no_signature_when_told(ledger: Ledger, alice: Keypair) -> None:
    message = MessageV0.try_compile(alice.pubkey(), [pay(alice, Keypair().pubkey(), SOL)], [], Hash.default())
    unsigned = VersionedTransaction.populate(message, [Signature.default()])
    assert ledger.simulate(unsigned, verify_signatures=False).err == "BlockhashNotFound"
    assert ledger.simulate(unsigned, verify_signatures=False, any_blockhash=True).err is None
    assert ledger.simulate(unsigned).err == "SignatureFailure"


def test_the_chain_s_clock_is_the_injected_one() -> None:
    now = [NOON]
    ledger = Ledger(lambda: now[0])
    clock = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")

    def shown() -> tuple[int, int]:
        account = ledger.account(clock)
        assert account is not None
        return int.from_bytes(account.data[:8], "little"), int.from_bytes(account.data[32:40], "little")

    assert shown() == (1, NOON)
    now[0] += 7
    ledger.airdrop(Keypair().pubkey(), SOL)
    assert shown() == (1, NOON + 7)
    ledger.tick()
    assert ledger.block_time(1) == NOON
    assert ledger.block_time(2) == NOON + 7
    assert ledger.block_time(3) is None


def test_an_hour_s_warp_moves_the_clock_and_expires_blockhashes(ledger: Ledger, alice: Keypair) -> None:
    old = signed(ledger, [pay(alice, Keypair().pubkey(), SOL)], alice)
    slot = ledger.slot
    ledger.warp(3600)
    assert ledger.unix_time == NOON + 3600
    assert ledger.slot == slot + 9000
    with pytest.raises(Rejected) as refused:
        ledger.submit(old)
    assert refused.value.err == "BlockhashNotFound"
    ledger.submit(signed(ledger, [pay(alice, Keypair().pubkey(), SOL)], alice))


def test_the_same_instructions_again_are_another_transaction(ledger: Ledger, alice: Keypair) -> None:
    bob = Keypair().pubkey()
    first = [ledger.execute([pay(alice, bob, SOL)], [alice]) for _ in range(3)]
    assert len(set(first)) == 3
    assert ledger.balance(bob) == 3 * SOL
    assert ledger.balance(alice.pubkey()) == 7 * SOL - 3 * SIGNATURE_FEE


def test_nos_are_minted_to_the_base_unit(ledger: Ledger, alice: Keypair) -> None:
    ledger.mint_nos(alice.pubkey(), 1_234_567)
    signature = ledger.mint_nos(alice.pubkey(), 3)
    token, mint = ledger.account(token_address(alice.pubkey())), ledger.account(NOS_MINT)
    assert token is not None
    assert mint is not None
    assert int.from_bytes(token.data[64:72], "little") == 1_234_570
    assert int.from_bytes(mint.data[36:44], "little") == 1_234_570
    record = ledger.transaction(signature)
    assert record is not None
    before = {balance.owner: balance.base_units for balance in record.pre_tokens}
    after = {balance.owner: balance.base_units for balance in record.post_tokens}
    assert (before[alice.pubkey()], after[alice.pubkey()]) == (1_234_567, 1_234_570)
    assert ledger.balance(alice.pubkey()) == 10 * SOL


def test_history_pages_backwards(ledger: Ledger, alice: Keypair) -> None:
    bob = Keypair().pubkey()
    sent = [ledger.submit(signed(ledger, [pay(alice, bob, SOL + n)], alice)) for n in range(5)]
    newest_first = sent[::-1]

    def page(**options: object) -> list[Signature]:
        return [record.signature for record in ledger.signatures_for(bob, **options)]  # type: ignore[arg-type]

    assert page() == newest_first
    assert page(limit=2) == newest_first[:2]
    assert page(before=sent[3], limit=2) == newest_first[2:4]
    assert page(until=sent[1]) == newest_first[:3]
    assert page(before=sent[3], until=sent[0]) == newest_first[2:4]
    assert page(before=Signature.default()) == []
    assert page(commitment="finalized") == []


def test_old_history_is_forgotten_but_never_what_could_land_again() -> None:
    ledger = Ledger(lambda: NOON, history=3)
    bob = Keypair().pubkey()
    sent = [ledger.airdrop(bob, SOL + n) for n in range(6)]
    assert len(ledger.signatures_for(bob)) == 6
    ticks(ledger, 151)
    ledger.airdrop(bob, 2 * SOL)
    assert ledger.transaction(sent[0]) is None
    assert len(ledger.signatures_for(bob)) == 3
    assert ledger.transaction_count == 7


def test_lookup_tables_bring_accounts(ledger: Ledger, alice: Keypair) -> None:
    table, bob = Keypair().pubkey(), Keypair().pubkey()
    owner = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
    header = struct.pack("<IQQB", 1, 2**64 - 1, 0, 0).ljust(56, b"\0")
    ledger.put(table, Account(SOL, header + bytes(bob), owner))
    ticks(ledger, 2)
    message = MessageV0.try_compile(
        alice.pubkey(), [pay(alice, bob, SOL)], [AddressLookupTableAccount(table, [bob])], ledger.latest_blockhash("processed").hash
    )
    signature = ledger.submit(VersionedTransaction(message, [alice]))
    record = ledger.transaction(signature)
    assert record is not None
    assert (record.keys[-1], record.loaded_writable) == (bob, 1)
    assert record.post_lamports[-1] == SOL
    assert ledger.signatures_for(bob) == [record]


def test_subscribers_hear_each_change_and_cannot_break_it(ledger: Ledger, alice: Keypair) -> None:
    heard: list[Change] = []

    def broken(_change: Change) -> None:
        raise RuntimeError("a subscriber's own fault")

    ledger.subscribe(broken)
    stop = ledger.subscribe(heard.append)
    bob = Keypair().pubkey()
    signature = ledger.submit(signed(ledger, [pay(alice, bob, 10 * SOL - SIGNATURE_FEE)], alice))
    ledger.tick()
    ledger.put(bob, Account(0, b"", SYSTEM_PROGRAM))
    stop()
    ledger.tick()
    assert [change.signature for change in heard] == [signature, None, None]
    assert heard[0].accounts[alice.pubkey()] is None  # spent to the last lamport: gone
    assert heard[0].mentions >= {alice.pubkey(), bob, SYSTEM_PROGRAM}
    assert heard[1].slot == ledger.slot - 1
    assert heard[2].accounts == {bob: None}


def test_what_is_no_program_is_refused_in_one_sentence(ledger: Ledger) -> None:
    address = Keypair().pubkey()
    with pytest.raises(ValueError, match=f"the program for {address} is not an ELF"):
        ledger.load_program(address, b"not a program")
    assert ledger.account(address) is None


def test_the_same_seed_gives_the_same_network() -> None:
    one, same, other = Ledger(lambda: NOON), Ledger(lambda: NOON), Ledger(lambda: NOON, seed="another")
    assert one.genesis_hash == same.genesis_hash != other.genesis_hash
    assert one.latest_blockhash() == same.latest_blockhash()
    assert str(one.genesis_hash) != "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"
