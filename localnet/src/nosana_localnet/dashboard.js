// Fills in the page at /: takes the document and its changes from the network as events, and keeps what one sees in step.
// SPDX-FileCopyrightText: 2026 The nosana.compute contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// Names, logs and errors are other people's text. Everything goes into the page as text nodes; there is no markup made of strings.
"use strict";

const RETRY_MS = 2000;
const SILENCE_MS = 8000; // the network says something every two seconds
const SVG = "http://www.w3.org/2000/svg";
const clock = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23"});

let view = null;

// ---- small helpers

const byId = (id) => document.getElementById(id);

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setClass(node, className) {
  if (node.className !== className) node.className = className;
}

/** Replaces the children only when what they show has changed, so that selections and focus survive. */
function fill(node, key, children) {
  const shown = JSON.stringify(key);
  if (node.shown === shown) return;
  node.shown = shown;
  node.replaceChildren(...children());
}

/** Brings a list in step with its items: elements stay who they are, so what is open stays open. */
function keep(list, items, key, create, update) {
  const known = list.known ?? (list.known = new Map());
  const wanted = new Set(items.map(key));
  for (const [name, node] of known) {
    if (!wanted.has(name)) {
      node.remove();
      known.delete(name);
    }
  }
  let next = list.firstElementChild;
  for (const item of items) {
    let node = known.get(key(item));
    if (!node) {
      node = create(item);
      known.set(key(item), node);
    }
    if (node === next) next = next.nextElementSibling;
    else list.insertBefore(node, next);
    update(node, item);
  }
}

const short = (address) => (address.length > 12 ? `${address.slice(0, 4)}…${address.slice(-4)}` : address);
const timeOf = (unix) => clock.format(new Date(unix * 1000));
const many = (count, one, more) => `${count} ${count === 1 ? one : more}`;
const jobName = (job) => job.name ?? `job ${short(job.address)}`;

function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const two = (number) => String(number).padStart(2, "0");
  if (seconds < 3600) return seconds % 60 ? `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s` : `${seconds / 60} min`;
  const minutes = Math.floor((seconds % 3600) / 60);
  return minutes ? `${Math.floor(seconds / 3600)} h ${two(minutes)} min` : `${Math.floor(seconds / 3600)} h`;
}

/** An address: its name where it has one, otherwise shortened; whole on hover, and to copy. */
function address(full, label) {
  const known = label ?? view.names[full];
  const text = make("span", known ? "" : "mono", known ?? short(full));
  text.title = full;
  return make("span", "address", text, copyButton(full, `Copy ${known ?? short(full)}`));
}

function copyButton(text, label) {
  const button = make("button", "copy", icon());
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", async () => {
    const done = await copy(text);
    button.classList.toggle("copied", done);
    announce(done ? "Copied" : "The browser does not let the page copy");
    setTimeout(() => button.classList.remove("copied"), 1200);
  });
  return button;
}

function icon() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  for (const shape of ["M5.5 5.5h8v8h-8z", "M10.5 5.5v-3h-8v8h3"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    svg.append(path);
  }
  return svg;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function announce(text) {
  byId("announce").textContent = text;
}

/** A link, if it is one of ours: nothing but http is ever followed. */
function link(url, text) {
  const anchor = make("a", "", text);
  if (/^https?:\/\//.test(url) || url.startsWith("/ipfs/") || url.startsWith("#")) anchor.href = url;
  if (!url.startsWith("#")) {
    anchor.target = "_blank";
    anchor.rel = "noopener noreferrer";
  }
  return anchor;
}

// ---- jobs

const GOOD = new Set(["succeeded", "ran its full time"]);
const QUIET = new Set(["ended by owner"]);

/** The word for a job's state, or for what became of it, and the class that colours it. */
function stateOf(job) {
  if (job.state === "queued") return ["queued", "is-queued"];
  if (job.state === "running") return ["running", "is-running"];
  if (job.verdict) return [job.verdict, GOOD.has(job.verdict) ? "is-good" : QUIET.has(job.verdict) ? "is-quiet" : "is-bad"];
  return [job.state, "is-quiet"];
}

function createJob(job) {
  const parts = {
    name: make("h3"),
    state: make("span", "state"),
    facts: make("span", "facts-line"),
    way: make("ol", "way"),
    note: make("p", "note"),
    services: make("ul", "services"),
    list: make("dl", "facts"),
    ops: make("div"),
  };
  parts.way.setAttribute("aria-label", "From post to result");
  const head = make("span", "head", make("span", "title", parts.name, parts.state), parts.facts, parts.way);
  const summary = make("summary", "", make("span", "chevron"), head);
  const details = make("details", "job", summary, make("div", "body", parts.note, parts.services, parts.ops, parts.list));
  const item = make("li", "", details);
  item.id = `job-${job.address}`;
  item.parts = parts;
  return item;
}

function updateJob(item, job) {
  const {parts} = item;
  const [word, colour] = stateOf(job);
  if (job.state === "running" && !item.ran) item.firstElementChild.open = item.ran = true; // one wants to see those that move
  setText(parts.name, jobName(job));
  setText(parts.state, word);
  setClass(parts.state, `state ${colour}`);
  setText(parts.note, job.note ?? "");
  parts.note.hidden = !job.note;
  const line = [job.market ?? short(job.market_address)];
  if (job.elapsed !== null) line.push(duration(job.elapsed), `${job.cost} NOS`);
  else line.push(`up to ${duration(job.timeout)}`);
  fill(parts.facts, line, () => line.map((text) => make("span", "", text)));
  fill(parts.way, [job.state, job.posted_at, job.started_at, job.ended_at, job.verdict, job.result], () => way(job, colour));
  fill(parts.services, job.services, () => job.services.map(service));
  parts.services.hidden = !job.services.length;
  fill(parts.list, [job.node, job.elapsed, job.cost, job.deposit, job.timeout, job.project, job.payer, job.definition, job.result, view.names], () => facts(job));
  keep(parts.ops, job.ops.map((op, index) => ({...op, index, result: job.result})), (op) => op.index, createOp, updateOp);
}

/** Three steps: posted, run by a host, result. */
function way(job, colour) {
  const step = (className, title, text) => make("li", className, make("b", "", title), text);
  const ended = {"is-good": "done", "is-bad": "bad"}[colour] ?? "quiet";
  const over = job.state === "completed" || job.state === "stopped";
  let run = step("", "Run", "waiting");
  if (job.started_at !== null) run = step(over ? "done" : "now", "Run", `since ${timeOf(job.started_at)}`);
  else if (over) run = step("", "Run", "never");
  if (job.started_at !== null && over) run = step("done", "Run", `at ${timeOf(job.started_at)}`);
  let result = step("", "Result", "–");
  if (over && job.ended_at !== null) result = step(ended, job.result ? "Result" : "Ended", `at ${timeOf(job.ended_at)}`);
  else if (over) result = step(ended, "Ended", "without a result");
  return [step("done", "Posted", `at ${timeOf(job.posted_at)}`), run, result];
}

function facts(job) {
  const pair = (name, ...what) => make("div", "", make("dt", "", name), make("dd", "", ...what));
  const pairs = [
    pair("job", address(job.address)),
    pair("market", address(job.market_address, job.market)),
    pair("host", job.node ? address(job.node) : "none yet"),
    pair("ran for", job.elapsed === null ? "–" : `${duration(job.elapsed)} of ${duration(job.timeout)}`),
    pair("cost", job.cost === null ? "–" : `${job.cost} of ${job.deposit} NOS`),
    pair("price", `${job.price / 1e6} NOS/s`),
    pair("project", address(job.project)),
  ];
  if (job.payer !== job.project) pairs.push(pair("payer", address(job.payer)));
  pairs.push(pair("definition", link(`/ipfs/${job.definition}`, short(job.definition))));
  if (job.result) pairs.push(pair("result", link(`/ipfs/${job.result}`, short(job.result))));
  return pairs;
}

function service(entry) {
  const word = make("span", `state ${entry.online ? "is-good" : "is-waiting"}`, entry.online ? "online" : "not up yet");
  return make("li", "", link(entry.url, entry.url), make("span", "soft small", `op ${entry.op}, port ${entry.port}`), word);
}

const OP_COLOURS = {success: "is-good", failed: "is-bad", running: "is-running", waiting: "is-waiting"};

function createOp() {
  const parts = {name: make("h4"), state: make("span", "state"), image: make("span", "image mono"), errors: make("div"), log: make("pre", "log")};
  parts.log.tabIndex = 0;
  parts.log.setAttribute("role", "region");
  const node = make("div", "op", make("div", "op-head", parts.name, parts.state, parts.image), parts.errors, parts.log);
  node.parts = parts;
  return node;
}

function updateOp(node, op) {
  const {name, state, image, errors, log} = node.parts;
  setText(name, op.id);
  setText(state, op.exit_code === null ? op.status : `${op.status}, exit code ${op.exit_code}`);
  setClass(state, `state ${OP_COLOURS[op.status] ?? "is-quiet"}`);
  setText(image, op.image);
  fill(errors, op.errors, () => op.errors.map((text) => make("p", "op-error", text)));
  log.setAttribute("aria-label", `Log of ${op.id}`);
  log.hidden = !op.lines.length;
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  fill(log, [op.earlier_lines, op.lines], () => lines(op));
  if (atEnd) log.scrollTop = log.scrollHeight;
}

const KINDS = new Set(["stdout", "stderr", "nodeerr"]);

function lines(op) {
  const shown = op.lines.map(([kind, text]) => make("span", KINDS.has(kind) ? kind : "", text));
  if (op.earlier_lines > 0) shown.unshift(make("span", "earlier", `${many(op.earlier_lines, "earlier line is", "earlier lines are")} not shown`));
  return shown;
}

function renderJobs() {
  const counts = {queued: 0, running: 0};
  for (const job of view.jobs) if (job.state in counts) counts[job.state] += 1;
  const words = [`${view.jobs_total} posted`];
  if (counts.queued) words.push(`${counts.queued} queued`);
  if (counts.running) words.push(`${counts.running} running`);
  setText(byId("jobs-count"), view.jobs_total ? words.join(", ") : "");
  document.title = counts.running ? `(${counts.running}) Nosana local network` : "Nosana local network";
  byId("jobs-empty").hidden = view.jobs.length > 0;
  keep(byId("jobs-list"), view.jobs, (job) => job.address, createJob, updateJob);
  const older = view.jobs_total - view.jobs.length;
  byId("jobs-more").hidden = older <= 0;
  setText(byId("jobs-more"), `${many(older, "older job is", "older jobs are")} not shown.`);
}

// ---- markets, hosts, wallets

function nameIn(queue, kind) {
  const job = kind === "jobs" && view.jobs.find((entry) => entry.address === queue);
  return job ? link(`#job-${queue}`, jobName(job)) : view.names[queue] ?? short(queue);
}

function renderMarkets() {
  const list = byId("markets-list");
  keep(list, view.markets, (market) => market.address, () => make("li"), (node, market) => {
    const jobs = market.queue_of === "jobs" ? market.queue.map((entry) => view.jobs.find((job) => job.address === entry)?.name) : null;
    fill(node, [market, view.names, jobs], () => marketParts(market));
  });
}

function marketParts(market) {
  const waits = {
    hosts: `${many(market.queue_length, "host waits", "hosts wait")}`,
    jobs: `${many(market.queue_length, "job queued", "jobs queued")}`,
  }[market.queue_of] ?? "nobody waits";
  const colour = {hosts: "is-good", jobs: "is-queued"}[market.queue_of] ?? "is-quiet";
  const price = market.price ? `${market.nos_per_hour} NOS/h` : "free";
  const parts = [
    make("div", `line${market.queue_of ? "" : " idle"}`, make("b", "", market.name), make("span", "", price)),
    make("div", "line small", address(market.address, market.slug), make("span", `state ${colour}`, waits)),
  ];
  if (market.queue_of === "jobs") {
    parts.push(make("ol", "chips", ...market.queue.slice(0, 12).map((entry) => make("li", "", nameIn(entry, "jobs")))));
  }
  return parts;
}

function renderHosts() {
  const running = view.hosts.filter((host) => host.state === "running").length;
  setText(byId("hosts-count"), `${view.hosts.filter((host) => host.state === "waiting").length} waiting, ${running} running`);
  keep(byId("hosts-list"), view.hosts, (host) => host.address, () => make("li"), (node, host) => {
    const job = host.job && view.jobs.find((entry) => entry.address === host.job);
    fill(node, [host, view.names, job && jobName(job)], () => {
      const parts = [
        make("div", "line", address(host.address), make("span", `state ${host.state === "running" ? "is-running" : "is-quiet"}`, host.state)),
        make("div", "line small soft", host.job ? (job ? link(`#job-${host.job}`, jobName(job)) : short(host.job)) : "", make("span", "", `${host.nos} NOS earned`)),
      ];
      return parts;
    });
  });
}

function renderWallets() {
  byId("wallets-empty").hidden = view.wallets.length > 0;
  const cell = (text) => make("td", "number", text);
  keep(byId("wallets-list"), view.wallets, (wallet) => wallet.address, () => make("tr"), (node, wallet) => {
    fill(node, wallet, () => [make("td", "", address(wallet.address)), cell(wallet.sol), cell(wallet.nos)]);
  });
}

// ---- transactions

function createTransaction(entry) {
  const what = entry.instructions.filter((each) => each.program !== "compute budget").map((each) => `${each.program}: ${each.name}`);
  const key = entry.instructions.flatMap((each) => each.accounts).find(([name]) => name === "job")?.[1];
  const job = view.jobs.find((each) => each.address === key);
  const head = make("span", "head");
  head.append(
    make("span", `state ${entry.error ? "is-bad" : "is-good"}`, entry.error ? "failed" : "ok"),
    make("span", "what", what.join(", ") || "compute budget", make("span", "soft", job ? ` · ${jobName(job)}` : "")),
    make("span", "soft small", timeOf(entry.time)),
  );
  if (entry.error) head.append(make("span", "op-error", entry.error));
  const details = make("details", "transaction", make("summary", "", make("span", "chevron"), head));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(transactionBody(entry));
  });
  return make("li", "", details);
}

function transactionBody(entry) {
  const pairs = (className, entries) => make("dl", "pairs", ...entries.flatMap(([name, ...what]) => [make("dt", "", name), make("dd", className, ...what)]));
  const instructions = entry.instructions.map((each, index) =>
    make(
      "div",
      "instruction",
      make("h3", "", `${index + 1}. ${each.program}: ${each.name}`),
      pairs("arg", Object.entries(each.args)),
      pairs("", each.accounts.map(([name, key]) => [name || "account", address(key)])),
    ));
  const log = make("pre", "log", ...entry.logs.map((line) => make("span", "", line)));
  log.tabIndex = 0;
  log.setAttribute("role", "region");
  log.setAttribute("aria-label", "Log of the transaction");
  log.hidden = !entry.logs.length;
  const about = pairs("", [
    ["signature", address(entry.signature)],
    ["slot", String(entry.slot)],
    ["fee", `${entry.fee} lamports, paid by `, address(entry.payer)],
    ["compute units", String(entry.units)],
  ]);
  return make("div", "body", ...instructions, about, log);
}

function renderTransactions() {
  keep(byId("transactions-list"), view.transactions, (entry) => entry.signature, createTransaction, () => {});
}

// ---- all of it

const PARTS = [
  [["jobs", "jobs_total", "names"], renderJobs],
  [["markets", "jobs", "names"], renderMarkets],
  [["hosts", "jobs", "names"], renderHosts],
  [["wallets", "names"], renderWallets],
  [["transactions", "names"], renderTransactions],
];

function render(changed) {
  setText(byId("slot"), String(view.slot));
  setText(byId("runner"), view.runner);
  for (const [keys, part] of PARTS) if (keys.some((key) => changed.has(key))) part();
}

/** Puts a change into the view: whole values, and for long lists their order and the entries that are different. */
function merge(change) {
  for (const [key, value] of Object.entries(change)) {
    if (!value || !Array.isArray(value.order)) {
      view[key] = value;
      continue;
    }
    const name = key === "jobs" ? "address" : "signature";
    const entries = new Map([...view[key], ...value.changed].map((entry) => [entry[name], entry]));
    view[key] = value.order.map((each) => entries.get(each));
  }
}

/** Says what happened to jobs to those who listen to the page. */
function tellJobs(before) {
  const known = new Map(before.map((job) => [job.address, stateOf(job)[0]]));
  const news = view.jobs.filter((job) => known.get(job.address) !== stateOf(job)[0]).map((job) => `${jobName(job)} is ${stateOf(job)[0]}`);
  if (news.length) announce(news.slice(0, 3).join("; "));
}

// ---- the connection

function connect() {
  const events = new EventSource("/localnet/events");
  let silence = null;

  function lost() {
    clearTimeout(silence);
    events.close();
    setClass(document.body, "broken");
    setText(byId("connection-text"), "not connected");
    byId("lost").hidden = false;
    setText(byId("lost"), "Connection lost, trying again. The network may have ended; start it again and this page goes on.");
    setTimeout(connect, RETRY_MS);
  }

  function on(name, handle) {
    events.addEventListener(name, (event) => {
      clearTimeout(silence);
      silence = setTimeout(lost, SILENCE_MS);
      handle(JSON.parse(event.data));
    });
  }

  events.addEventListener("error", lost);
  on("view", (document_) => {
    view = document_;
    render(new Set(Object.keys(view)));
    setClass(document.body, "");
    setText(byId("connection-text"), "live");
    byId("lost").hidden = true;
    openTarget();
  });
  on("change", (change) => {
    const before = view.jobs;
    merge(change);
    render(new Set(Object.keys(change)));
    if (change.jobs) tellJobs(before);
  });
  on("tick", (now) => {
    merge(now);
    render(new Set());
  });
}

/** Links to a job open it. */
function openTarget() {
  const details = location.hash.startsWith("#job-") && byId(location.hash.slice(1))?.querySelector("details");
  if (details) {
    details.open = true;
    details.scrollIntoView({block: "nearest"});
  }
}

addEventListener("hashchange", openTarget);
byId("rpc").append(make("span", "address", make("span", "mono", location.origin), copyButton(location.origin, "Copy the RPC address")));
connect();
