// The local network as the checks of JavaScript clients see it: where it is, its faucet and clock, and waiting for what it does.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export const url = process.env.NOSANA_RPC_URL;
assert.ok(url, 'run this inside: nosana-localnet run --runner process -- COMMAND');
export const wsUrl = url.replace('http', 'ws');
export const ipfsApi = process.env.NOSANA_IPFS_API_URL;
export const ipfsGateway = process.env.NOSANA_IPFS_GATEWAY_URL;
export const walletBytes = new Uint8Array(JSON.parse(readFileSync(process.env.NOSANA_WALLET, 'utf8')));
export const NOS_MINT = 'nosXBVoaCTtYdLvKY6Csb4AC8JCdQKKAaWYtx2ZMoo7';

const PATIENCE_MS = 30_000;
const LONGEST_MS = 300_000;
const LOOK_MS = 50;
const BLOCKHASH_SECONDS = 3600;

let last = 'the beginning';
export const step = (text) => {
  last = text;
  console.log(`ok - ${text}`);
};
setTimeout(() => {
  console.error(`nothing more came after: ${last}`);
  process.exit(1);
}, LONGEST_MS).unref();

/** What `look` gives as soon as it gives something. */
export async function until(what, look) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    const found = await look();
    if (found) return found;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  return assert.fail(`never came: ${what}`);
}

/** The error that a promise ends with. */
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it should have failed');
}

const post = async (path, body) => {
  const answer = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
};

/** Money, and with `stake` a stake account, which a host needs. */
export const faucet = (address, given) => post('/faucet', { address: String(address), ...given });

/** Puts the network's clock forward. */
export const warp = (seconds) => post('/localnet/warp', { seconds });

/** Lets transactions land a slot after they were sent. */
export const sendLate = () => post('/localnet/faults', { kind: 'late', slots: 1 });

/** Lets every blockhash expire. */
export const expireBlockhashes = () => warp(BLOCKHASH_SECONDS);
