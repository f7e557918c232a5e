// Content addresses: the JavaScript UnixFS importer, the local network and the collection agree on ten thousand random documents and on large files.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// NOSANA_CIDS is the command that answers with the collection's address for each line: see cids.py.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ipfsApi, ipfsGateway, step } from './network.mjs';

Promise.withResolvers ??= function withResolvers() {
  let resolve;
  let reject;
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
};
const { importer } = await import('ipfs-unixfs-importer');
const { fixedSize } = await import('ipfs-unixfs-importer/chunker');
const { balanced } = await import('ipfs-unixfs-importer/layout');
const { BlackHoleBlockstore } = await import('blockstore-core/black-hole');

const SEED = 20260401;
const DOCUMENTS = 10_000;
const AT_ONCE = 16;
const BLOCK = 262_144;
const LINKS = 174;
const LARGE_EVERY = 1000;

// ---- seeded chance

let state = SEED;
const chance = () => {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};
const below = (most) => Math.floor(chance() * most);
const one = (choices) => choices[below(choices.length)];
const bytes = (length) => Buffer.from(Array.from({ length }, () => below(256)));

const character = () =>
  one([
    () => String.fromCharCode(32 + below(95)),
    () => String.fromCharCode(32 + below(95)),
    () => String.fromCharCode(below(0x20)),
    () => String.fromCharCode(0x7f + below(0xff00)), // lone surrogates are among them
    () => String.fromCodePoint(0x1f300 + below(0x300)),
    () => one(['"', '\\', '/', '\u2028', '\u007f']),
  ])();
const text = () => Array.from({ length: below(24) }, character).join('');
const anyDouble = () => {
  const drawn = bytes(8).readDoubleLE();
  return Number.isFinite(drawn) ? drawn : 0;
};
// A number as somebody may have written it: what counts is what JavaScript makes of it.
const number = () =>
  one([
    () => String(below(100_000)),
    () => String(-below(2 ** 31)),
    () => `${below(1000)}.${below(1000)}`,
    () => `${1 + below(9)}${String(below(1e9)).padStart(9, '0')}${String(below(1e9)).padStart(9, '0')}`,
    () => String(anyDouble()),
    () => anyDouble().toExponential(),
    () => `${below(10)}.${below(100)}E${one(['', '+', '-'])}${below(25)}`,
    () => one(['-0', '0.0', '1e21', '1e-7', '0.000001', '9007199254740993', '1e400', '123456789012345680000']),
  ])();
const key = (index) => JSON.stringify(one([() => `k${index}`, () => `${text()}${index}`, () => String(below(20) * 100 + index)])());
const value = (depth) =>
  one([
    () => JSON.stringify(text()),
    number,
    () => one(['true', 'false', 'null']),
    () => (depth ? `[${Array.from({ length: below(5) }, () => value(depth - 1)).join(one([',', ' , ']))}]` : '[]'),
    () => (depth ? object(depth - 1) : '{}'),
  ])();
const object = (depth) => `{${Array.from({ length: below(7) }, (_nothing, index) => `${key(index)}:${one(['', ' ', '\n'])}${value(depth)}`).join(',')}}`;
const document = (index) => {
  const written = object(3);
  if (index % LARGE_EVERY) return written;
  const long = JSON.stringify(bytes(BLOCK - 40 + below(BLOCK * 3)).toString('latin1'));
  return `{"index":${index},"inner":${written},"long":${long}}`;
};

// ---- the three that have to agree

const options = { cidVersion: 0, rawLeaves: false, wrapWithDirectory: false, chunker: fixedSize({ chunkSize: BLOCK }), layout: balanced({ maxChildrenPerNode: LINKS }) };
const nowhere = new BlackHoleBlockstore();
const imported = async (content) => {
  let root;
  for await (const entry of importer([{ content }], nowhere, options)) root = entry;
  return root.cid.toString();
};

const [command, ...rest] = process.env.NOSANA_CIDS.split(' ');
const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
const asked = [];
let turn = Promise.resolve();
/** The collection's address; one question after the other. */
const collection = (kind, content) => {
  const mine = turn.then(async () => {
    if (!child.stdin.write(`${kind}${Buffer.from(content).toString('base64')}\n`)) await once(child.stdin, 'drain');
    return (await answers.next()).value;
  });
  turn = mine;
  return mine;
};

const pinned = async (path, body, headers = {}) => {
  const answer = await fetch(ipfsApi + path, { method: 'POST', body, headers });
  assert.equal(answer.status, 200, await answer.clone().text());
  const { IpfsHash, Hash } = await answer.json();
  return IpfsHash ?? Hash;
};

// ---- documents

const written = Array.from({ length: DOCUMENTS }, (_nothing, index) => document(index));
let large = 0;
const check = async (body) => {
  const content = Buffer.from(JSON.stringify(JSON.parse(body)));
  const want = await imported(content);
  large += content.length > BLOCK;
  assert.equal(await pinned('/pinning/pinJSONToIPFS', body, { 'Content-Type': 'application/json' }), want, body.slice(0, 2000));
  asked.push(collection('document ', body).then((have) => assert.equal(have, want, body.slice(0, 2000))));
};
const queue = written.values();
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (const body of queue) await check(body);
  }),
);
await Promise.all(asked);
assert.ok(large >= 5, `only ${large} of several blocks`);
step(`${DOCUMENTS} random documents have the same address for all three; ${large} are of several blocks`);

// ---- files at the edges of blocks and of nodes

for (const size of [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, LINKS * BLOCK, LINKS * BLOCK + 1, (LINKS + 3) * BLOCK + 7]) {
  const part = bytes(Math.min(size, 4099));
  const content = Buffer.alloc(size, part.length ? part : undefined);
  const want = await imported(content);
  const form = new FormData();
  form.append('file', new Blob([content]), 'file.bin');
  assert.equal(await pinned('/pinning/pinFileToIPFS', form), want, `${size} bytes`);
  assert.equal(await pinned('/api/v0/add', form), want, `${size} bytes`);
  assert.equal(await collection('file ', content), want, `${size} bytes`);
  assert.ok(content.equals(Buffer.from(await (await fetch(ipfsGateway + want)).arrayBuffer())), `${size} bytes`);
}
child.stdin.end();
step('files of one block, of two and of more than a node links have the same address for all three');
