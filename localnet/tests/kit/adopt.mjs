// One name, two tools: what the official client has posted the collection adopts and removes, and the other way round.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeyPairSignerFromBytes } from '@solana/kit';
import { createNosanaClient, JobState, NosanaNetwork } from '@nosana/kit';
import { failure, ipfsApi, ipfsGateway, step, url, walletBytes, wsUrl } from './network.mjs';

const QUIET = 'GLJHzqRN9fKGBsvsFzmGnaQGknUtLN1dqaFR8n3YdM22'; // nvidia-a100-40gb, without hosts
const [PYTHON] = process.env.NOSANA_CIDS.split(' ');
const scratch = mkdtempSync(join(tmpdir(), 'nosana-adopt-'));

const wallet = await createKeyPairSignerFromBytes(walletBytes);
const client = createNosanaClient(NosanaNetwork.MAINNET, {
  solana: { rpcEndpoint: url, wsEndpoint: wsUrl },
  ipfs: { api: ipfsApi, gateway: ipfsGateway, jwt: '' },
  wallet,
  logLevel: 'none',
});
const definition = (name, more = {}) => ({
  version: '0.1',
  type: 'container',
  meta: { trigger: 'cli', name },
  ops: [{ type: 'container/run', id: 'one', args: { image: 'busybox', cmd: 'true' } }],
  ...more,
});
// The day's work before this (day.mjs) has left jobs that are over, and one that its host gave up.
const active = async () =>
  (await client.jobs.all({ project: wallet.address })).filter(({ state }) => [JobState.QUEUED, JobState.RUNNING].includes(state));
const nos = async () => Math.round((await client.nos.getBalance(wallet.address)) * 1e6);

/** A module of the collection, run as Ansible runs it; its result. */
function run(module, options) {
  const file = join(scratch, 'arguments.json');
  writeFileSync(file, JSON.stringify({ ANSIBLE_MODULE_ARGS: { ...options, _ansible_remote_tmp: scratch } }));
  const env = { ...process.env, NOSANA_CACHE: join(scratch, 'cache') };
  return JSON.parse(execFileSync(PYTHON, ['-m', `ansible_collections.nosana.compute.plugins.modules.${module}`, file], { env }));
}
const declare = (name, options = {}) => run('nosana_job', { name, market: QUIET, timeout: 600, job_definition: definition(name), ...options });
const done = ({ actions }) => actions.map(({ action }) => action);

const post = async (name, document) => {
  const instruction = await client.jobs.post({ market: QUIET, timeout: 600, ipfsHash: await client.ipfs.pin(document) });
  await client.solana.buildSignAndSend(instruction);
  return instruction.accounts[0].address;
};
const begin = await nos();

// ---- the kit posts, the collection adopts

const kits = await post('shared', definition('shared'));
const held = await nos();
for (const check of [true, false]) {
  const found = run('nosana_job', { name: 'shared', market: QUIET, timeout: 600, job_definition: definition('shared'), _ansible_check_mode: check });
  assert.deepEqual([found.changed, found.id, found.status], [false, kits, 'pending']);
}
assert.equal(await nos(), held);
assert.deepEqual((await active()).map(({ address }) => address), [kits]);
step('a job of the kit is adopted, not doubled');

const reordered = Object.fromEntries(Object.entries(definition('shared')).reverse());
assert.deepEqual([declare('shared', { job_definition: reordered }).changed, (await active()).length], [false, 1]);
step('and so it is when the same definition has another content address');

const longer = declare('shared', { timeout: 900 });
assert.deepEqual([done(longer), longer.id, (await client.jobs.get(kits)).timeout], [['extend'], kits, 900]);
step('it is extended in place');

const changed = definition('shared', { global: { variables: { COLOUR: 'red' } } });
const replaced = declare('shared', { job_definition: changed });
assert.deepEqual(done(replaced), ['delist', 'post']);
assert.deepEqual((await active()).map(({ address }) => address), [replaced.id]);
assert.match(String(await failure(client.jobs.get(kits))), /Account not found/);
step('it is replaced in one transaction');

const again = await post('again', definition('again'));
const removed = run('nosana_job', { name: 'again', state: 'absent' });
assert.deepEqual([done(removed), removed.actions[0].job], [['delist'], again]);
assert.match(String(await failure(client.jobs.get(again))), /Account not found/);
assert.equal(run('nosana_job', { name: 'again', state: 'absent' }).changed, false);
step('it is removed');

const [first, second] = [await post('twice', definition('twice')), await post('twice', definition('twice'))];
assert.throws(
  () => declare('twice'),
  ({ stdout }) => {
    const { failure: told } = JSON.parse(stdout);
    assert.equal(told.code, 'ambiguous_name');
    assert.deepEqual(told.details.addresses.sort(), [first, second].sort());
    return true;
  },
);
assert.deepEqual(done(run('nosana_job', { id: first, state: 'absent' })), ['delist']);
assert.deepEqual([declare('twice').changed, declare('twice').id], [false, second]);
assert.deepEqual(done(run('nosana_job', { name: 'twice', state: 'absent' })), ['delist']);
step('two of one name are an error that names them, until one is removed by its address');

// ---- the collection posts, the kit sees it

const { id: ours, changed: posted } = declare('ours');
assert.ok(posted);
const seen = await client.jobs.get(ours);
assert.deepEqual([seen.state, seen.market, seen.project, seen.timeout], [JobState.QUEUED, QUIET, wallet.address, 600]);
assert.deepEqual(await client.ipfs.retrieve(seen.ipfsJob), definition('ours'));
assert.equal(seen.ipfsJob, await client.ipfs.pin(definition('ours')));
await client.solana.buildSignAndSend(await client.jobs.extend({ job: ours, timeout: 60 }));
const extended = declare('ours', { timeout: 660 });
assert.deepEqual([extended.changed, extended.id, extended.job.timeout], [false, ours, 660]);
await client.solana.buildSignAndSend(await client.jobs.delist({ job: ours }));
const anew = declare('ours');
assert.deepEqual([done(anew), anew.id === ours], [['post'], false]);
assert.deepEqual(done(run('nosana_job', { name: 'ours', state: 'absent' })), ['delist']);
step('a job of the collection is seen, extended and delisted by the kit, and then posted anew at another address');

assert.deepEqual(done(run('nosana_job', { name: 'shared', state: 'absent' })), ['delist']);
assert.deepEqual([await active(), await nos()], [[], begin]);
step('every deposit came home');
