// @solana/kit on the local network: transfers, confirmations, subscriptions, and the error classes it makes of a node's refusals.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import assert from 'node:assert/strict';
import {
  airdropFactory,
  address,
  appendTransactionMessageInstructions,
  compileTransaction,
  createKeyPairSignerFromBytes,
  createSolanaRpc,
  createSolanaRpcSubscriptions,
  createTransactionMessage,
  generateKeyPairSigner,
  getSignatureFromTransaction,
  isSolanaError,
  lamports,
  pipe,
  sendAndConfirmTransactionFactory,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
  SOLANA_ERROR__ACCOUNTS__ACCOUNT_NOT_FOUND,
  SOLANA_ERROR__BLOCK_HEIGHT_EXCEEDED,
  SOLANA_ERROR__INSTRUCTION_ERROR__CUSTOM,
  SOLANA_ERROR__JSON_RPC__INVALID_PARAMS,
  SOLANA_ERROR__JSON_RPC__METHOD_NOT_FOUND,
  SOLANA_ERROR__JSON_RPC__SERVER_ERROR_MIN_CONTEXT_SLOT_NOT_REACHED,
  SOLANA_ERROR__JSON_RPC__SERVER_ERROR_SEND_TRANSACTION_PREFLIGHT_FAILURE,
  SOLANA_ERROR__TRANSACTION_ERROR__ACCOUNT_NOT_FOUND,
  SOLANA_ERROR__TRANSACTION_ERROR__ALREADY_PROCESSED,
  SOLANA_ERROR__TRANSACTION_ERROR__BLOCKHASH_NOT_FOUND,
  SOLANA_ERROR__TRANSACTION_ERROR__INSUFFICIENT_FUNDS_FOR_FEE,
  SOLANA_ERROR__TRANSACTION_ERROR__INSUFFICIENT_FUNDS_FOR_RENT,
  SOLANA_ERROR__TRANSACTION_ERROR__SIGNATURE_FAILURE,
  assertAccountExists,
  fetchEncodedAccount,
} from '@solana/kit';
import { getTransferSolInstruction } from '@solana-program/system';
import {
  fetchToken,
  findAssociatedTokenPda,
  getCreateAssociatedTokenIdempotentInstructionAsync,
  getTransferCheckedInstruction,
  TOKEN_PROGRAM_ADDRESS,
} from '@solana-program/token';
import { expireBlockhashes, failure, NOS_MINT, step, until, url, walletBytes, wsUrl } from './network.mjs';

const SOL = 1_000_000_000n;
const NOS = 1_000_000n;
const mint = address(NOS_MINT);
const rpc = createSolanaRpc(url);
const rpcSubscriptions = createSolanaRpcSubscriptions(wsUrl);
const sendAndConfirm = sendAndConfirmTransactionFactory({ rpc, rpcSubscriptions });
const wallet = await createKeyPairSignerFromBytes(walletBytes);
const confirmed = { commitment: 'confirmed' };

const latest = async () => (await rpc.getLatestBlockhash(confirmed).send()).value;
const messageOf = async (instructions, payer = wallet, blockhash = undefined) => {
  const lifetime = blockhash ?? (await latest());
  return pipe(
    createTransactionMessage({ version: 0 }),
    (message) => setTransactionMessageFeePayerSigner(payer, message),
    (message) => setTransactionMessageLifetimeUsingBlockhash(lifetime, message),
    (message) => appendTransactionMessageInstructions(instructions, message),
  );
};
const signed = async (...given) => signTransactionMessageWithSigners(await messageOf(...given));
const pay = (destination, amount, source = wallet) => getTransferSolInstruction({ source, destination, amount });
const send = async (transaction) => {
  await sendAndConfirm(transaction, confirmed);
  return getSignatureFromTransaction(transaction);
};
const balance = async (owner) => (await rpc.getBalance(owner, confirmed).send()).value;
const refusal = async (transaction) => {
  const error = await failure(send(transaction));
  assert.ok(isSolanaError(error, SOLANA_ERROR__JSON_RPC__SERVER_ERROR_SEND_TRANSACTION_PREFLIGHT_FAILURE), String(error));
  return error;
};

// ---- subscriptions first, so that they hear what follows

const alice = await generateKeyPairSigner();
const abort = new AbortController();
const heard = { account: [], logs: [], slot: [], program: [] };
const listeners = [];
const listen = async (into, pending) => {
  const notifications = await pending.subscribe({ abortSignal: abort.signal });
  const hear = async () => {
    for await (const notification of notifications) into.push(notification);
  };
  listeners.push(hear());
};
await Promise.all([
  listen(heard.account, rpcSubscriptions.accountNotifications(alice.address, { commitment: 'confirmed', encoding: 'base64' })),
  listen(heard.logs, rpcSubscriptions.logsNotifications({ mentions: [alice.address] }, confirmed)),
  listen(heard.slot, rpcSubscriptions.slotNotifications()),
  listen(heard.program, rpcSubscriptions.programNotifications(TOKEN_PROGRAM_ADDRESS, { commitment: 'confirmed', encoding: 'base64' })),
]);

// ---- money

const dropped = await airdropFactory({ rpc, rpcSubscriptions })({ commitment: 'confirmed', lamports: lamports(2n * SOL), recipientAddress: alice.address });
assert.ok(dropped.length > 80);
assert.equal(await balance(alice.address), 2n * SOL);
step('an airdrop, confirmed');

const transfer = await signed([pay(alice.address, SOL)]);
const signature = await send(transfer);
assert.equal(await balance(alice.address), 3n * SOL);
const landed = await rpc.getTransaction(signature, { ...confirmed, maxSupportedTransactionVersion: 0, encoding: 'json' }).send();
assert.equal(landed.meta.fee, 5000n);
assert.equal((await rpc.getSignaturesForAddress(alice.address, { ...confirmed, limit: 5 }).send())[0].signature, signature);
const message = compileTransaction(await messageOf([pay(alice.address, 1n)]));
const fee = await rpc.getFeeForMessage(Buffer.from(message.messageBytes).toString('base64'), confirmed).send();
assert.equal(fee.value, 5000n);
step('a transfer of SOL, confirmed and looked up');

const [[from], [to]] = await Promise.all(
  [wallet.address, alice.address].map((owner) => findAssociatedTokenPda({ mint, owner, tokenProgram: TOKEN_PROGRAM_ADDRESS })),
);
await send(
  await signed([
    await getCreateAssociatedTokenIdempotentInstructionAsync({ payer: wallet, owner: alice.address, mint }),
    getTransferCheckedInstruction({ source: from, mint, destination: to, authority: wallet, amount: 5n * NOS, decimals: 6 }),
  ]),
);
assert.equal((await fetchToken(rpc, to, confirmed)).data.amount, 5n * NOS);
assert.equal((await rpc.getTokenAccountBalance(to, confirmed).send()).value.uiAmountString, '5');
step('a transfer of tokens, confirmed');

// ---- what subscriptions heard

await until('notifications', () => heard.account.length >= 2 && heard.logs.length >= 3 && heard.slot.length >= 2 && heard.program.length >= 2);
assert.deepEqual(heard.account.slice(0, 2).map(({ value }) => value.lamports), [2n * SOL, 3n * SOL]);
assert.equal(heard.logs[1].value.signature, signature);
assert.equal(heard.logs[1].value.err, null);
assert.ok(heard.logs[1].value.logs.includes('Program 11111111111111111111111111111111 success'));
assert.ok(heard.slot.every(({ parent, slot }) => parent + 1n === slot));
assert.ok(heard.program.some(({ value }) => value.pubkey === to));
abort.abort();
await Promise.all(listeners);
step('account, logs, slot and program subscriptions');

// ---- refusals

const poor = await generateKeyPairSigner();
const EXEMPT = 890_880n;
const priced = {
  programAddress: address('ComputeBudget111111111111111111111111111111'),
  data: new Uint8Array([3, 0, 0, 0, 0, 0, 1, 0, 0]), // SetComputeUnitPrice
};

const broke = await refusal(await signed([pay(alice.address, 100n * SOL)]));
assert.ok(isSolanaError(broke.cause, SOLANA_ERROR__INSTRUCTION_ERROR__CUSTOM), String(broke.cause));
assert.deepEqual([broke.cause.context.index, broke.cause.context.code], [0, 1]);
assert.ok(broke.context.logs.some((line) => /^Transfer: insufficient lamports \d+, need 100000000000$/.test(line)), broke.context.logs.join('\n'));
assert.equal(broke.context.unitsConsumed, 150n);
step('more SOL than there is: a preflight failure with logs');

const tooMuch = getTransferCheckedInstruction({ source: to, mint, destination: from, authority: alice, amount: 6n * NOS, decimals: 6 });
const noTokens = await refusal(await signed([tooMuch], alice));
assert.ok(isSolanaError(noTokens.cause, SOLANA_ERROR__INSTRUCTION_ERROR__CUSTOM) && noTokens.cause.context.code === 1);
assert.ok(noTokens.context.logs.includes('Program log: Error: insufficient funds'));
step('more tokens than there are: a preflight failure with logs');

const because = async (wanted, transaction) => {
  const { cause } = await refusal(transaction);
  assert.ok(isSolanaError(cause, wanted), String(cause));
};
await because(SOLANA_ERROR__TRANSACTION_ERROR__ACCOUNT_NOT_FOUND, await signed([pay(alice.address, 1n, poor)], poor));
await because(SOLANA_ERROR__TRANSACTION_ERROR__ALREADY_PROCESSED, transfer);
await because(SOLANA_ERROR__TRANSACTION_ERROR__BLOCKHASH_NOT_FOUND, await signed([pay(alice.address, 1n)], wallet, { ...(await latest()), blockhash: poor.address }));
await because(SOLANA_ERROR__TRANSACTION_ERROR__INSUFFICIENT_FUNDS_FOR_RENT, await signed([pay(poor.address, 1n)]));
await send(await signed([pay(poor.address, EXEMPT)]));
await because(SOLANA_ERROR__TRANSACTION_ERROR__INSUFFICIENT_FUNDS_FOR_FEE, await signed([priced, pay(alice.address, 1n, poor)], poor));
await because(SOLANA_ERROR__TRANSACTION_ERROR__INSUFFICIENT_FUNDS_FOR_RENT, await signed([pay(alice.address, 1n, poor)], poor));
const forged = await signed([pay(alice.address, 2n)]);
await because(SOLANA_ERROR__TRANSACTION_ERROR__SIGNATURE_FAILURE, { ...forged, signatures: { [wallet.address]: new Uint8Array(64).fill(1) } });
step('a payer unknown, poor or too poor, sent already, an unknown blockhash, dust, a wrong signature');

const failing = await signed([pay(alice.address, 100n * SOL)]);
const lost = await failure(sendAndConfirm(failing, { ...confirmed, skipPreflight: true }));
assert.ok(isSolanaError(lost, SOLANA_ERROR__INSTRUCTION_ERROR__CUSTOM), String(lost));
const [outcome] = (await rpc.getSignatureStatuses([getSignatureFromTransaction(failing)]).send()).value;
assert.deepEqual(outcome.err, { InstructionError: [0n, { Custom: 1n }] });
step('without preflight a failure lands, and is the error');

const stale = await signed([pay(alice.address, 3n)]);
await expireBlockhashes();
const expired = await failure(sendAndConfirm(stale, { ...confirmed, skipPreflight: true }));
assert.ok(isSolanaError(expired, SOLANA_ERROR__BLOCK_HEIGHT_EXCEEDED), String(expired));
await because(SOLANA_ERROR__TRANSACTION_ERROR__BLOCKHASH_NOT_FOUND, stale);
step('an expired blockhash: block height exceeded, blockhash not found');

assert.ok(isSolanaError(await failure(rpc.getNothing().send()), SOLANA_ERROR__JSON_RPC__METHOD_NOT_FOUND));
for (const wrong of [rpc.getBalance('xyz'), rpc.getBalance(), rpc.getBalance(5), rpc.getAccountInfo(mint, { encoding: 'hex' }), rpc.getMultipleAccounts(Array(101).fill(mint))]) {
  const error = await failure(wrong.send());
  assert.ok(isSolanaError(error, SOLANA_ERROR__JSON_RPC__INVALID_PARAMS), String(error));
}
const early = await failure(rpc.getSlot({ minContextSlot: 10n ** 12n }).send());
assert.ok(isSolanaError(early, SOLANA_ERROR__JSON_RPC__SERVER_ERROR_MIN_CONTEXT_SLOT_NOT_REACHED));
assert.equal(typeof early.context.contextSlot, 'bigint');
const nobody = await fetchEncodedAccount(rpc, (await generateKeyPairSigner()).address);
assert.throws(() => assertAccountExists(nobody), (error) => isSolanaError(error, SOLANA_ERROR__ACCOUNTS__ACCOUNT_NOT_FOUND));
step('an unknown method, wrong parameters, a slot that has not come, an account that is not there');
