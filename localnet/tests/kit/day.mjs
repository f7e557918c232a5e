// A day's work of the unmodified official client on a local network: markets, pin, post, read, extend, end, results, monitor.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// npm install && nosana-localnet run --runner process -- npm run day

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createKeyPairSignerFromBytes } from '@solana/kit';
import { createNosanaClient, NosanaNetwork } from '@nosana/kit';

const rpcEndpoint = process.env.NOSANA_RPC_URL;
const wallet = await createKeyPairSignerFromBytes(new Uint8Array(JSON.parse(readFileSync(process.env.NOSANA_WALLET, 'utf8'))));
const client = createNosanaClient(NosanaNetwork.MAINNET, {
  solana: { rpcEndpoint, wsEndpoint: rpcEndpoint.replace('http', 'ws') },
  ipfs: { api: process.env.NOSANA_IPFS_API_URL, gateway: process.env.NOSANA_IPFS_GATEWAY_URL, jwt: '' },
  wallet,
});

const definition = (name, cmd) => ({
  version: '0.1',
  type: 'container',
  meta: { name },
  ops: [{ type: 'container/run', id: 'one', args: { image: 'busybox', cmd } }],
});
const busy = '7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq';
const quiet = 'GLJHzqRN9fKGBsvsFzmGnaQGknUtLN1dqaFR8n3YdM22';
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const step = (text) => console.log(`ok - ${text}`);
const send = async (instruction) => client.solana.buildSignAndSend(instruction);
const seen = [];

const until = async (what, look) => {
  for (let i = 0; i < 100; i++) {
    const found = await look();
    if (found) return found;
    await sleep(100);
  }
  assert.fail(`never came: ${what}`);
};

const [events, stop] = await client.jobs.monitor();
(async () => {
  for await (const event of events) seen.push(event);
})().catch(() => {});

assert.ok((await client.solana.getBalance(wallet.address)) > 0);
assert.equal((await client.nos.getBalance(wallet.address)), 1000);
step('balances');

const markets = await client.jobs.markets();
assert.ok(markets.length >= 4);
const market = await client.jobs.market(busy);
assert.equal(Number(market.jobPrice), 43);
assert.ok(market.queue.length > 0);
step('markets');

const cid = await client.ipfs.pin(definition('kit-batch', 'echo from the kit'));
assert.equal((await client.ipfs.retrieve(cid)).meta.name, 'kit-batch');
step(`pin and retrieve ${cid}`);

const list = await client.jobs.post({ market: busy, timeout: 600, ipfsHash: cid });
await send(list);
const job = list.accounts[0].address;
const done = await until('a finished job', async () => {
  const found = await client.jobs.get(job);
  return found.state === 2 && found.ipfsResult ? found : undefined;
});
const result = await client.ipfs.retrieve(done.ipfsResult);
assert.equal(result.opStates[0].status, 'success');
assert.ok(result.opStates[0].logs.some((line) => line.log.includes('from the kit')));
step('a job was posted, run and answered for');

const waiting = await client.jobs.post({ market: quiet, timeout: 600, ipfsHash: await client.ipfs.pin(definition('kit-waiting', 'true')) });
await send(waiting);
const queued = waiting.accounts[0].address;
assert.equal((await client.jobs.get(queued)).state, 0);
await send(await client.jobs.extend({ job: queued, timeout: 300 }));
assert.equal(Number((await client.jobs.get(queued)).timeout), 900);
const before = await client.nos.getBalance(wallet.address);
await send(await client.jobs.delist({ job: queued }));
assert.ok(Math.abs((await client.nos.getBalance(wallet.address)) - before - (640 * 900) / 1e6) < 1e-9);
step('a waiting job was extended and delisted, its deposit came home');

const running = await client.jobs.post({ market: busy, timeout: 600, ipfsHash: await client.ipfs.pin(definition('kit-running', 'sleep 600')) });
await send(running);
const active = running.accounts[0].address;
assert.equal((await client.jobs.get(active)).state, 1);
await send(await client.jobs.end({ job: active }));
await until('the result of an ended job', async () => (await client.jobs.get(active)).ipfsResult);
assert.equal((await client.jobs.get(active)).state, 2);
step('a running job was ended, and its host handed in the result');

const mine = await client.jobs.all({ project: wallet.address });
assert.deepEqual(mine.map((entry) => entry.address).sort(), [job, active].sort());
step('all jobs of a project');

await until('events', async () => seen.length > 2);
stop();
step(`the monitor saw ${seen.length} events`);
process.exit(0);
