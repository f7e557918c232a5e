// Classic @solana/web3.js on the local network: transfers, confirmations, subscriptions, and the error classes it makes of a node's refusals.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import assert from 'node:assert/strict';
import {
  ComputeBudgetProgram,
  Connection,
  Keypair,
  LAMPORTS_PER_SOL,
  PublicKey,
  sendAndConfirmTransaction,
  SendTransactionError,
  SolanaJSONRPCError,
  SolanaJSONRPCErrorCode,
  SystemProgram,
  Transaction,
  TransactionExpiredBlockheightExceededError,
  TransactionMessage,
  VersionedTransaction,
} from '@solana/web3.js';
import { getAccount, getOrCreateAssociatedTokenAccount, TOKEN_PROGRAM_ID, TokenAccountNotFoundError, transfer as transferTokens } from '@solana/spl-token';
import { expireBlockhashes, failure, NOS_MINT, step, until, url, walletBytes } from './network.mjs';

const EXEMPT = 890_880;
const INVALID_PARAMS = -32602;
const METHOD_NOT_FOUND = -32601;
const mint = new PublicKey(NOS_MINT);
const connection = new Connection(url, 'confirmed'); // its WebSocket's address is derived from this one: the same port
const wallet = Keypair.fromSecretKey(walletBytes);
const alice = Keypair.generate();

const pay = (to, lamports, from = wallet) => SystemProgram.transfer({ fromPubkey: from.publicKey, toPubkey: to, lamports });
const latest = () => connection.getLatestBlockhash('confirmed');
const versioned = async (instructions, payer = wallet, recentBlockhash = undefined) => {
  const blockhash = recentBlockhash ?? (await latest()).blockhash;
  const message = new TransactionMessage({ payerKey: payer.publicKey, recentBlockhash: blockhash, instructions }).compileToV0Message();
  const transaction = new VersionedTransaction(message);
  transaction.sign([payer]);
  return transaction;
};
const refusal = async (transaction) => {
  const error = await failure(connection.sendTransaction(transaction));
  assert.ok(error instanceof SendTransactionError, String(error));
  return error;
};

// ---- subscriptions first, so that they hear what follows

const heard = { account: [], logs: [], slot: [], program: [], signature: [] };
const subscribed = [
  connection.onAccountChange(alice.publicKey, (account) => heard.account.push(account.lamports), { commitment: 'confirmed' }),
  connection.onLogs(alice.publicKey, (logs) => heard.logs.push(logs), 'confirmed'),
  connection.onProgramAccountChange(TOKEN_PROGRAM_ID, (change) => heard.program.push(change), { commitment: 'confirmed' }),
  connection.onSlotChange((slot) => heard.slot.push(slot)),
];
await until('the first slot', () => heard.slot.length);

// ---- money

const dropped = await connection.requestAirdrop(alice.publicKey, 2 * LAMPORTS_PER_SOL);
await connection.confirmTransaction({ signature: dropped, ...(await latest()) });
assert.equal(await connection.getBalance(alice.publicKey), 2 * LAMPORTS_PER_SOL);
step('an airdrop, confirmed');

const legacy = await sendAndConfirmTransaction(connection, new Transaction().add(pay(alice.publicKey, LAMPORTS_PER_SOL)), [wallet]);
assert.equal(await connection.getBalance(alice.publicKey), 3 * LAMPORTS_PER_SOL);
const transaction = await versioned([pay(alice.publicKey, 1000)]);
const signature = await connection.sendTransaction(transaction);
connection.onSignature(signature, (result) => heard.signature.push(result), 'confirmed');
const confirmation = await connection.confirmTransaction({ signature, ...(await latest()) }, 'confirmed');
assert.equal(confirmation.value.err, null);
const landed = await connection.getTransaction(signature, { maxSupportedTransactionVersion: 0 });
assert.equal(landed.meta.fee, 5000);
const parsed = await connection.getParsedTransaction(legacy, { maxSupportedTransactionVersion: 0 });
assert.equal(parsed.transaction.message.instructions[0].parsed.info.lamports, LAMPORTS_PER_SOL);
assert.deepEqual((await connection.getSignaturesForAddress(alice.publicKey)).map((entry) => entry.signature), [signature, legacy, dropped]);
assert.equal((await connection.getSignatureStatus(signature)).value.err, null);
step('transfers of SOL, legacy and version 0, confirmed and looked up');

const mine = await getOrCreateAssociatedTokenAccount(connection, wallet, mint, wallet.publicKey);
await assert.rejects(getAccount(connection, new PublicKey(Keypair.generate().publicKey)), TokenAccountNotFoundError);
const hers = await getOrCreateAssociatedTokenAccount(connection, wallet, mint, alice.publicKey);
await transferTokens(connection, wallet, mine.address, hers.address, wallet, 5_000_000);
assert.equal((await getAccount(connection, hers.address)).amount, 5_000_000n);
const owned = await connection.getParsedTokenAccountsByOwner(alice.publicKey, { mint });
assert.equal(owned.value[0].account.data.parsed.info.tokenAmount.uiAmount, 5);
step('a token account and a transfer of tokens, confirmed');

await until('notifications', () => heard.account.length >= 3 && heard.logs.length >= 3 && heard.program.length >= 2 && heard.signature.length);
assert.deepEqual(heard.account.slice(0, 3), [2e9, 3e9, 3e9 + 1000]);
assert.equal(heard.logs[2].signature, signature);
assert.ok(heard.logs[2].logs.includes('Program 11111111111111111111111111111111 success'));
assert.equal(heard.signature[0].err, null);
assert.ok(heard.program.some(({ accountId }) => accountId.equals(hers.address)));
await connection.removeAccountChangeListener(subscribed[0]);
await connection.removeOnLogsListener(subscribed[1]);
await connection.removeProgramAccountChangeListener(subscribed[2]);
await connection.removeSlotChangeListener(subscribed[3]);
step('account, logs, program, slot and signature subscriptions');

// ---- refusals

const broke = await refusal(await versioned([pay(alice.publicKey, 100 * LAMPORTS_PER_SOL)]));
assert.match(broke.message, /^Simulation failed\. \nMessage: Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1\. /);
assert.ok(broke.logs.some((line) => /^Transfer: insufficient lamports \d+, need 100000000000$/.test(line)), broke.message);
assert.deepEqual(await broke.getLogs(connection), broke.logs);
step('more SOL than there is: SendTransactionError with logs');

const tooMuch = await failure(transferTokens(connection, alice, hers.address, mine.address, alice, 6_000_000));
assert.ok(tooMuch instanceof SendTransactionError, String(tooMuch));
assert.match(tooMuch.message, /custom program error: 0x1/);
assert.ok(tooMuch.logs.includes('Program log: Error: insufficient funds'));
step('more tokens than there are: SendTransactionError with logs');

const because = async (words, given) => {
  const error = await refusal(given);
  assert.equal(error.transactionError.message, `Transaction simulation failed: ${words}`);
  assert.deepEqual(error.logs, []);
};
const poor = Keypair.generate();
await because('Attempt to debit an account but found no record of a prior credit.', await versioned([pay(alice.publicKey, 1, poor)], poor));
await because('This transaction has already been processed', transaction);
await because('Blockhash not found', await versioned([pay(alice.publicKey, 1)], wallet, Keypair.generate().publicKey.toBase58()));
await sendAndConfirmTransaction(connection, new Transaction().add(pay(poor.publicKey, EXEMPT)), [wallet]);
const price = ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 2 ** 40 });
await because('Insufficient funds for fee', await versioned([price, pay(alice.publicKey, 1, poor)], poor));
await because('Transaction results in an account (0) with insufficient funds for rent', await versioned([pay(alice.publicKey, 1, poor)], poor));
const forged = await versioned([pay(alice.publicKey, 2)]);
forged.signatures[0].fill(1);
assert.equal((await refusal(forged)).transactionError.message, 'Transaction simulation failed: Transaction did not pass signature verification');
step('a payer unknown, poor or too poor, sent already, an unknown blockhash, a wrong signature');

// confirmTransaction() throws the bare error where the transaction is there before its subscription is, and resolves with it otherwise.
const failing = await connection.sendTransaction(new Transaction().add(pay(alice.publicKey, 100 * LAMPORTS_PER_SOL)), [wallet], { skipPreflight: true });
const outcome = await connection.confirmTransaction({ signature: failing, ...(await latest()) }).then(
  ({ value }) => value.err,
  (error) => error,
);
assert.deepEqual(outcome, { InstructionError: [0, { Custom: 1 }] });
const lost = new SendTransactionError({ action: 'send', signature: failing, transactionMessage: 'it failed' });
assert.ok((await lost.getLogs(connection)).some((line) => line.startsWith('Transfer: insufficient lamports')));
step('without preflight a failure lands, and its logs are fetched');

const stale = await latest();
await expireBlockhashes();
const never = await versioned([pay(alice.publicKey, 3)], wallet, stale.blockhash);
await because('Blockhash not found', never);
const forgotten = await connection.sendTransaction(never, { skipPreflight: true }); // a node takes it, and drops it
const expired = await failure(connection.confirmTransaction({ signature: forgotten, ...stale }, 'confirmed'));
assert.ok(expired instanceof TransactionExpiredBlockheightExceededError, String(expired));
step('an expired blockhash: TransactionExpiredBlockheightExceededError');

const unknown = await connection._rpcRequest('getNothing', []);
assert.deepEqual(unknown.error, { code: METHOD_NOT_FOUND, message: 'Method not found' });
const wrong = [
  [() => connection.getSignaturesForAddress(mint, { limit: 2000 }), /Invalid limit; max 1000/],
  [() => connection.getMultipleAccountsInfo(Array(101).fill(mint)), /Too many inputs provided; max 100/],
  [() => connection.getBlockHeight({ minContextSlot: -1 }), /invalid value: integer `-1`, expected u64/],
  [() => connection.getTokenSupply({ toBase58: () => 'xyz' }), /Invalid param: WrongSize/],
];
for (const [call, words] of wrong) {
  const error = await failure(call());
  assert.ok(error instanceof SolanaJSONRPCError, String(error));
  assert.equal(error.code, INVALID_PARAMS);
  assert.match(error.message, words);
}
const early = await failure(connection.getSlot({ minContextSlot: 2 ** 40 }));
assert.equal(early.code, SolanaJSONRPCErrorCode.JSON_RPC_SERVER_ERROR_MIN_CONTEXT_SLOT_NOT_REACHED);
const future = await failure(connection.getBlock(2 ** 40, { maxSupportedTransactionVersion: 0 }));
assert.equal(future.code, SolanaJSONRPCErrorCode.JSON_RPC_SERVER_ERROR_BLOCK_NOT_AVAILABLE);
step('an unknown method, wrong parameters, a slot that has not come: SolanaJSONRPCError');
process.exit(0); // its WebSocket would keep the process for some time
