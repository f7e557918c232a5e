// A day's work of the unmodified official client: as a poster, as a host, and as somebody who looks on.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import assert from 'node:assert/strict';
import { createKeyPairSignerFromBytes, generateKeyPairSigner } from '@solana/kit';
import { createNosanaClient, JobState, MarketQueueType, MonitorEventType, NosanaNetwork } from '@nosana/kit';
import { faucet, failure, ipfsApi, ipfsGateway, step, until, url, walletBytes, warp, wsUrl } from './network.mjs';

const BUSY = '7AtiXMSH6R1jjBxrcYjehCkkSF7zvYWte63gwEDBcGHq'; // nvidia-3060, with hosts
const QUIET = 'GLJHzqRN9fKGBsvsFzmGnaQGknUtLN1dqaFR8n3YdM22'; // nvidia-a100-40gb, without
const PRICE = 25; // base units a second

const clientOf = (wallet) =>
  createNosanaClient(NosanaNetwork.MAINNET, {
    solana: { rpcEndpoint: url, wsEndpoint: wsUrl },
    ipfs: { api: ipfsApi, gateway: ipfsGateway, jwt: '' },
    wallet,
    logLevel: 'none',
  });
const definition = (name, cmd) => ({
  version: '0.1',
  type: 'container',
  meta: { name },
  ops: [{ type: 'container/run', id: 'one', args: { image: 'busybox', cmd } }],
});
const same = (left, right) => assert.ok(Math.abs(left - right) < 1e-9, `${left} is not ${right}`);

const wallet = await createKeyPairSignerFromBytes(walletBytes);
const host = await generateKeyPairSigner();
const client = clientOf(wallet);
const hosting = clientOf(host);
const send = (instructions) => client.solana.buildSignAndSend(instructions);
const serve = (instructions) => hosting.solana.buildSignAndSend(instructions);
const pinned = (name, cmd) => client.ipfs.pin(definition(name, cmd));
const post = async (market, name, cmd, more = {}) => {
  const instruction = await client.jobs.post({ market, timeout: 600, ipfsHash: await pinned(name, cmd), ...more });
  await send(instruction);
  return { job: instruction.accounts[0].address, run: instruction.accounts[2].address };
};

// ---- looking on

const seen = [];
const detailed = [];
const collect = async (events, into) => {
  for await (const event of events) into.push(event);
};
const [events, stopEvents] = await client.jobs.monitor();
const [details, stopDetails] = await client.jobs.monitorDetailed();
const monitors = [collect(events, seen), collect(details, detailed)];

assert.equal(await client.solana.getBalance(wallet.address), 10e9);
assert.equal(await client.nos.getBalance(wallet.address), 1000);
assert.equal(await client.nos.getBalance(host.address), 0);
const holders = await client.nos.getAllTokenHolders();
assert.ok(holders.some((holder) => holder.owner === wallet.address && holder.uiAmount === 1000));
step('balances of SOL and NOS, all holders');

assert.ok((await client.jobs.markets()).length >= 4);
const busy = await client.jobs.market(BUSY);
assert.equal(busy.jobPrice, 43);
assert.equal(busy.queueType, MarketQueueType.NODE_QUEUE);
assert.ok(busy.queue.length > 0);
step('markets');

// ---- a poster

const cid = await pinned('kit-batch', 'echo from the kit');
assert.deepEqual(await client.ipfs.retrieve(cid), definition('kit-batch', 'echo from the kit'));
step(`pin and retrieve ${cid}`);

const { job: batch } = await post(BUSY, 'kit-batch', 'echo from the kit');
const done = await until('a finished job', async () => {
  const found = await client.jobs.get(batch);
  return found.state === JobState.COMPLETED && found.ipfsResult ? found : undefined;
});
assert.equal(done.ipfsJob, cid);
const result = await client.ipfs.retrieve(done.ipfsResult);
assert.equal(result.opStates[0].status, 'success');
assert.ok(result.opStates[0].logs.some((line) => line.log.includes('from the kit')));
step('a job was posted, run and answered for');

const { job: queued } = await post(QUIET, 'kit-waiting', 'true');
assert.equal((await client.jobs.get(queued)).state, JobState.QUEUED);
await send(await client.jobs.extend({ job: queued, timeout: 300 }));
assert.equal((await client.jobs.get(queued)).timeout, 900);
const before = await client.nos.getBalance(wallet.address);
await send(await client.jobs.delist({ job: queued }));
same(await client.nos.getBalance(wallet.address), before + (640 * 900) / 1e6);
assert.match(String(await failure(client.jobs.get(queued))), /Account not found/);
step('a waiting job was extended and delisted, its deposit came home');

const { job: active } = await post(BUSY, 'kit-running', 'sleep 600');
assert.equal((await client.jobs.get(active)).state, JobState.RUNNING);
await send(await client.jobs.end({ job: active }));
await until('the result of an ended job', async () => (await client.jobs.get(active)).ipfsResult);
assert.equal((await client.jobs.get(active)).state, JobState.COMPLETED);
step('a running job was ended, and its host handed in the result');

// ---- a market of its own, and a host that is this client

await faucet(host.address, { sol: 1, nos: 1, stake: 100 });
const opening = await client.jobs.open({ jobPrice: PRICE, jobTimeout: 3600, jobExpiration: 86_400, jobType: 0, nodeStakeMinimum: 100e6 });
await send(opening);
const market = opening.accounts.find(({ signer }) => signer && signer.address !== wallet.address).address;
const opened = await client.jobs.market(market);
assert.equal(opened.authority, wallet.address);
assert.equal(opened.jobPrice, PRICE);
assert.equal(opened.jobTimeout, 3600);
assert.equal(Number(opened.nodeXnosMinimum), 100e6);
assert.deepEqual(opened.queue, []);
step('a market was opened');

await serve(await hosting.jobs.work({ market }));
assert.deepEqual((await client.jobs.market(market)).queue, [host.address]);
await serve(await hosting.jobs.stop({ market }));
assert.deepEqual((await client.jobs.market(market)).queue, []);
step('a host joined the queue (work) and left it (stop)');

await serve(await hosting.jobs.work({ market }));
const { job: worked, run } = await post(market, 'kit-worked', 'true');
const running = await client.jobs.get(worked);
assert.equal(running.state, JobState.RUNNING);
assert.equal(running.node, host.address);
assert.equal((await client.jobs.run(run)).job, worked);
assert.deepEqual((await client.jobs.runs({ node: host.address })).map(({ job }) => job), [worked]);
const answer = await hosting.ipfs.pin({ status: 'success', opStates: [] });
const earned = await hosting.nos.getBalance(host.address);
await warp(90);
await serve(await hosting.jobs.finish({ job: worked, ipfsResultsHash: answer }));
const finished = await client.jobs.get(worked);
assert.equal(finished.state, JobState.COMPLETED);
assert.equal(finished.ipfsResult, answer);
assert.ok(finished.timeEnd - finished.timeStart >= 90);
same(await hosting.nos.getBalance(host.address), earned + (PRICE * (finished.timeEnd - finished.timeStart)) / 1e6);
step('a host worked and finished, and was paid for the time between');

const { job: waited } = await post(market, 'kit-waited', 'true');
assert.equal((await client.jobs.market(market)).queueType, MarketQueueType.JOB_QUEUE);
await serve(await hosting.jobs.work({ market }));
assert.equal((await client.jobs.get(waited)).node, host.address);
await send(await client.jobs.end({ job: waited }));
assert.equal((await client.jobs.get(waited)).ipfsResult, null);
await serve(await hosting.jobs.complete({ job: waited, ipfsResultsHash: answer }));
assert.equal((await client.jobs.get(waited)).ipfsResult, answer);
step('a job that waited was taken (work), ended by its poster and completed by its host');

await serve(await hosting.jobs.work({ market }));
const { job: assigned, run: left } = await post(market, 'kit-assigned', 'true', { node: host.address });
assert.equal((await client.jobs.get(assigned)).node, host.address);
await serve(await hosting.jobs.quit({ run: left }));
assert.equal((await client.jobs.get(assigned)).state, JobState.STOPPED);
step('a job was assigned to a host, which quit it');

// ---- reading many

const mine = await client.jobs.all({ project: wallet.address });
assert.deepEqual(mine.map(({ address }) => address).sort(), [batch, active, worked, waited, assigned].sort());
assert.deepEqual((await client.jobs.all({ market, state: JobState.COMPLETED })).map(({ address }) => address).sort(), [worked, waited].sort());
const two = await client.jobs.multiple([worked, batch], true);
assert.deepEqual(two.map(({ address, ipfsResult }) => [address, ipfsResult]), [[worked, answer], [batch, done.ipfsResult]]);
assert.match(String(await failure(client.jobs.multiple([worked, queued]))), /not found/i);
step('all jobs of a project and of a market, several by address');

// ---- money between wallets, and what is refused

const nosBefore = await hosting.nos.getBalance(host.address);
await send(await client.nos.transfer({ to: host.address, amount: 2_500_000 }));
same(await hosting.nos.getBalance(host.address), nosBefore + 2.5);
const solBefore = await client.solana.getBalance(host.address);
await send(await client.solana.transfer({ to: host.address, amount: 1_000_000 }));
assert.equal(await client.solana.getBalance(host.address), solBefore + 1_000_000);
const signature = await client.solana.buildSignAndSend(await client.solana.transfer({ to: host.address, amount: 1 }), {
  estimateComputeUnits: true,
});
assert.ok(signature.length > 80);
step('NOS and SOL were transferred');

const refused = await failure(serve(await hosting.jobs.extend({ job: assigned, timeout: 1 })));
assert.equal(refused.code, 'RPC_ERROR');
assert.match(refused.message, /Transaction simulation failed/);
const cause = refused.details;
assert.ok(cause.context.logs.some((line) => line.includes('AnchorError')), cause.context.logs?.join('\n'));
step('what the program refuses arrives with its logs');

// ---- the market is closed, and the monitors have seen it all

await send(await client.jobs.close({ market }));
assert.match(String(await failure(client.jobs.market(market))), /Account not found/);
step('the market was closed');

const isJob = (address, state) => (event) => event.type === MonitorEventType.JOB && event.data.address === address && event.data.state === state;
await until('the events', () => [isJob(worked, JobState.RUNNING), isJob(worked, JobState.COMPLETED), isJob(assigned, JobState.STOPPED)].every((wanted) => seen.some(wanted)));
assert.ok(seen.some((event) => event.type === MonitorEventType.MARKET && event.data.address === market));
assert.ok(detailed.some((event) => event.type === MonitorEventType.RUN && event.data.job === worked));
stopEvents();
stopDetails();
await Promise.all(monitors);
step(`the monitors saw ${seen.length} and ${detailed.length} events`);
