/* The instructions, one function each: the accounts and what they have to be, then the constraints account by account, then the effect.
 *
 * The order of everything here is observable: it decides which error a client sees. Accounts are read first, then created, then
 * compared with each other, then constrained in the order of the list, where within one account "writable" comes before "signs",
 * before its keys, before other conditions, before its address. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "calls.h"
#include "queue.h"

#define COUNT(specs) (sizeof(specs) / sizeof *(specs))

INLINE u64 price(const AccountInfo *job) { return read_u64(job->data + JOB_PRICE); }
INLINE i64 timeout(const AccountInfo *job) { return read_i64(job->data + JOB_TIMEOUT); }
INLINE u8 state(const AccountInfo *job) { return job->data[JOB_STATE]; }

INLINE i64 now(void) {
  Clock clock;
  sol_get_clock_sysvar(&clock);
  return clock.unix_timestamp;
}

/* --- constraints that several instructions share --- */

FUNCTION u64 check_arguments(const Input *input, u64 len) { return input->data_len < 8 + len ? fail(&DID_NOT_DESERIALIZE) : 0; }

FUNCTION u64 check_market_vault(const AccountInfo *market, const AccountInfo *vault) {
  return check_has(market, MARKET_VAULT, vault, &INVALID_VAULT, "market");
}

FUNCTION u64 check_job_market(const AccountInfo *job, const AccountInfo *market) {
  return check_has(job, JOB_MARKET, market, &INVALID_MARKET, "job");
}

FUNCTION u64 check_project(const AccountInfo *job, const AccountInfo *authority) {
  return check(same_key(key_at(job, JOB_PROJECT), authority->key), &UNAUTHORIZED, "job");
}

/* Where money moves, a token account has to be the NOS account of a certain owner; where nothing is paid, any will do. */
FUNCTION u64 check_nos_account(const Input *input, u64 job_price, const AccountInfo *account, const Pubkey *owner, const char *name) {
  return check(job_price == 0 || is_nos_account_of(input, account, owner), &INVALID_ATA, name);
}

/* A run account that a later step creates by hand. */
FUNCTION u64 check_new_run(const AccountInfo *run) {
  TRY(check_writable(run, "run"));
  TRY(check(run->is_signer, &MISSING_SIGNATURE, "run"));
  TRY(check(*run->lamports == 0, &LAMPORTS_NON_NULL, "run"));
  return same_key(run->owner, &SYSTEM_PROGRAM) ? 0 : fail_keys(&INVALID_OWNER, "run", run->owner, &SYSTEM_PROGRAM);
}

FUNCTION u64 check_admin(const Input *input, const AccountInfo *authority) {
  const Pubkey *admin = market_admin(input);
  return same_key(authority->key, admin) ? 0 : fail_keys(&UNAUTHORIZED, "authority", authority->key, admin);
}

/* --- effects that several instructions share --- */

typedef struct {
  const Pubkey *job, *node, *payer;
} NewRun;

FUNCTION void write_run(AccountInfo *run, const NewRun *made) {
  set_key(run, RUN_JOB, made->job);
  set_key(run, RUN_NODE, made->node);
  set_key(run, RUN_PAYER, made->payer);
  run->data[RUN_STATE] = 0;
  write_u64(run->data + RUN_TIME, (u64)now());
}

FUNCTION void write_job(const Input *input, AccountInfo *job, const AccountInfo *market, const AccountInfo *payer, const AccountInfo *project) {
  sol_memcpy_(job->data + JOB_IPFS_JOB, input->data + 8, 32);
  set_key(job, JOB_MARKET, market->key);
  set_key(job, JOB_PAYER, payer->key);
  sol_memcpy_(job->data + JOB_PRICE, market->data + MARKET_JOB_PRICE, 8);
  set_key(job, JOB_PROJECT, project->key);
  job->data[JOB_STATE] = QUEUED;
  sol_memcpy_(job->data + JOB_TIMEOUT, input->data + 40, 8);
}

FUNCTION u64 pay_deposit(const Input *input, const AccountInfo *job, const Payment *paid) {
  u64 amount;
  if (price(job) == 0) return 0;
  TRY(price_of(price(job), timeout(job), &amount));
  return pay(input, paid, amount);
}

/* The job is over: the node gets its seconds, at most all of them, and the rest of the deposit goes back. */
typedef struct {
  AccountInfo *job;
  const AccountInfo *run, *market, *vault, *deposit, *user;
} Settlement;

FUNCTION u64 settle(const Input *input, const Settlement *s) {
  i64 start = read_i64(s->run->data + RUN_TIME), end = now();
  s->job->data[JOB_STATE] = DONE;
  set_key(s->job, JOB_NODE, s->run->data + RUN_NODE);
  write_u64(s->job->data + JOB_TIME_START, (u64)start);
  write_u64(s->job->data + JOB_TIME_END, (u64)end);
  if (price(s->job) == 0) return 0;
  u64 paid, all;
  i64 seconds;
  TRY(price_of(price(s->job), timeout(s->job), &all));
  TRY(difference(end, start, &seconds));
  if (seconds > timeout(s->job)) seconds = timeout(s->job);
  TRY(price_of(price(s->job), seconds, &paid));
  TRY(pay_from_vault(input, s->market, s->vault, s->user, paid));
  return pay_from_vault(input, s->market, s->vault, s->deposit, all - paid); /* of 0 as well: the accounts are checked even then */
}

/* --- markets --- */

static const Spec OPEN[] = {
    {"mint", MINT, READ},       {"market", CREATED, WRITE},       {"vault", CREATED, WRITE}, {"authority", SIGNER, WRITE},
    {"access_key", ANY, READ},  {"rent", RENT, READ},             {"system_program", SYSTEM, READ}, {"token_program", TOKEN, READ},
};

/* The vault: a token account at an address of the program's own, which is its authority as well. */
FUNCTION u64 open_vault(Input *input, u8 *bump) {
  AccountInfo *a = input->accounts, *mint = a, *market = a + 1, *vault = a + 2, *payer = a + 3;
  Seed seeds[3] = {{market->key, 32}, {mint->key, 32}, {bump, 1}};
  Pubkey address;
  if (sol_try_find_program_address(seeds, 2, input->program_id, &address, bump)) return fail_at(&CONSTRAINT_SEEDS, "vault");
  if (!same_key(vault->key, &address)) return fail_keys(&CONSTRAINT_SEEDS, "vault", vault->key, &address);
  SignerSeeds signer = {seeds, 3};
  NewAccount made = {TOKEN_SIZE, &TOKEN_PROGRAM, &signer};
  TRY(create_account(input, vault, payer, &made));
  return token_initialize(input, vault, mint, vault->key);
}

FUNCTION u64 open(Input *input) {
  TRY(check_arguments(input, 41));
  TRY(read_accounts(input, OPEN, COUNT(OPEN)));
  AccountInfo *a = input->accounts, *mint = a, *market = a + 1, *vault = a + 2, *authority = a + 3, *access_key = a + 4;
  u8 bump = 0;
  TRY(create_own(input, market, authority, &MARKET_LAYOUT, MARKET_SIZE));
  TRY(open_vault(input, &bump));
  if (!same_key(mint->key, nos_mint(input))) return fail_keys(&INVALID_MINT, "mint", mint->key, nos_mint(input));
  TRY(check_writable(authority, "authority"));

  u8 job_type = input->data[32];
  set_key(market, MARKET_AUTHORITY, authority->key);
  sol_memcpy_(market->data + MARKET_JOB_EXPIRATION, input->data + 8, 8);
  sol_memcpy_(market->data + MARKET_JOB_PRICE, input->data + 16, 8);
  sol_memcpy_(market->data + MARKET_JOB_TIMEOUT, input->data + 24, 8);
  market->data[MARKET_JOB_TYPE] = job_type > JOB_TYPE_LAST ? JOB_TYPE_UNKNOWN : job_type;
  set_key(market, MARKET_VAULT, vault->key);
  market->data[MARKET_VAULT_BUMP] = bump;
  set_key(market, MARKET_NODE_ACCESS_KEY, access_key->key);
  sol_memcpy_(market->data + MARKET_NODE_XNOS_MINIMUM, input->data + 33, 16);
  market->data[MARKET_QUEUE_TYPE] = QUEUE_EMPTY;
  return 0;
}

static const Spec UPDATE[] = {{"market", MARKET, WRITE}, {"access_key", ANY, READ}, {"authority", SIGNER, READ}};

/* The arguments stand in another order than those of open, and the job type is stored as it comes. */
FUNCTION u64 update(Input *input) {
  TRY(check_arguments(input, 41));
  TRY(read_accounts(input, UPDATE, COUNT(UPDATE)));
  AccountInfo *a = input->accounts, *market = a, *access_key = a + 1, *authority = a + 2;
  TRY(check_writable(market, "market"));
  TRY(check_has(market, MARKET_AUTHORITY, authority, &UNAUTHORIZED, "market"));

  sol_memcpy_(market->data + MARKET_JOB_EXPIRATION, input->data + 8, 8);
  sol_memcpy_(market->data + MARKET_JOB_PRICE, input->data + 16, 8);
  market->data[MARKET_JOB_TYPE] = input->data[24];
  sol_memcpy_(market->data + MARKET_NODE_XNOS_MINIMUM, input->data + 25, 16);
  sol_memcpy_(market->data + MARKET_JOB_TIMEOUT, input->data + 41, 8);
  set_key(market, MARKET_NODE_ACCESS_KEY, access_key->key);
  return 0;
}

static const Spec CLOSE[] = {
    {"market", MARKET, WRITE | DISTINCT}, {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT}, {"user", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"authority", SIGNER, READ},          {"token_program", TOKEN, READ},
};

FUNCTION u64 close_market(const Input *input, AccountInfo *market, const AccountInfo *vault, const AccountInfo *user,
                          const AccountInfo *authority) {
  TRY(pay_from_vault(input, market, vault, user, read_u64(vault->data + TOKEN_AMOUNT)));
  TRY(close_vault(input, market, vault, authority));
  return close_account(market, authority);
}

FUNCTION u64 close(Input *input) {
  TRY(read_accounts(input, CLOSE, COUNT(CLOSE)));
  TRY(check_duplicates(input, CLOSE, COUNT(CLOSE)));
  AccountInfo *a = input->accounts, *market = a, *vault = a + 1, *user = a + 2, *authority = a + 3;
  TRY(check_writable(market, "market"));
  TRY(check_has(market, MARKET_AUTHORITY, authority, &UNAUTHORIZED, "market"));
  TRY(check_market_vault(market, vault));
  TRY(check_close(market, authority, "market"));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(user, "user"));
  return close_market(input, market, vault, user, authority);
}

FUNCTION u64 close_admin(Input *input) {
  TRY(read_accounts(input, CLOSE, COUNT(CLOSE)));
  TRY(check_duplicates(input, CLOSE, COUNT(CLOSE)));
  AccountInfo *a = input->accounts, *market = a, *vault = a + 1, *user = a + 2, *authority = a + 3;
  TRY(check_writable(market, "market"));
  TRY(check_market_vault(market, vault));
  TRY(check_close(market, authority, "market"));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(user, "user"));
  TRY(check_admin(input, authority));
  return close_market(input, market, vault, user, authority);
}

/* --- posters --- */

static const Spec LIST[] = {
    {"job", CREATED, WRITE},
    {"market", MARKET, WRITE | DISTINCT},
    {"run", ANY, WRITE},
    {"user", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"payer", SIGNER, WRITE},
    {"rewards_reflection", REFLECTION, WRITE | DISTINCT},
    {"rewards_vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"authority", SIGNER, READ},
    {"rewards_program", REWARDS, READ},
    {"token_program", TOKEN, READ},
    {"system_program", SYSTEM, READ},
};

FUNCTION u64 list(Input *input) {
  TRY(check_arguments(input, 40));
  TRY(read_accounts(input, LIST, COUNT(LIST)));
  AccountInfo *a = input->accounts, *job = a, *market = a + 1, *run = a + 2, *user = a + 3, *vault = a + 4, *payer = a + 5;
  AccountInfo *reflection = a + 6, *rewards_vault = a + 7, *project = a + 8;
  TRY(create_own(input, job, payer, &JOB_LAYOUT, JOB_SIZE));
  TRY(check_duplicates(input, LIST, COUNT(LIST)));
  TRY(check_writable(market, "market"));
  TRY(check_market_vault(market, vault));
  TRY(check_new_run(run));
  TRY(check_writable(user, "user"));
  TRY(check_nos_account(input, read_u64(market->data + MARKET_JOB_PRICE), user, payer->key, "user"));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(payer, "payer"));
  TRY(check_writable(reflection, "rewards_reflection"));
  TRY(check_writable(rewards_vault, "rewards_vault"));

  write_job(input, job, market, payer, project);
  u8 full = 0;
  if (queue_type(market) == QUEUE_NODE) {
    Pubkey node;
    TRY(queue_pop(market, &node));
    TRY(create_own(input, run, payer, &RUN_LAYOUT, RUN_SIZE));
    NewRun made = {job->key, &node, payer->key};
    write_run(run, &made);
  } else if (queues(market)) {
    full = queue_is_full(market);
    if (!full) queue_push(market, QUEUE_JOB, job->key);
  }
  Payment paid = {user, vault, payer, reflection, rewards_vault};
  TRY(pay_deposit(input, job, &paid));
  return full ? fail_at(&DID_NOT_SERIALIZE, "market") : 0;
}

static const Spec ASSIGN_ACCOUNTS[] = {
    {"job", CREATED, WRITE},
    {"market", MARKET, WRITE | DISTINCT},
    {"run", CREATED, WRITE},
    {"node", ANY, READ},
    {"user", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"payer", SIGNER, WRITE},
    {"rewards_reflection", REFLECTION, WRITE | DISTINCT},
    {"rewards_vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"authority", SIGNER, READ},
    {"rewards_program", REWARDS, READ},
    {"token_program", TOKEN, READ},
    {"system_program", SYSTEM, READ},
};

FUNCTION u64 assign(Input *input) {
  TRY(check_arguments(input, 40));
  TRY(read_accounts(input, ASSIGN_ACCOUNTS, COUNT(ASSIGN_ACCOUNTS)));
  AccountInfo *a = input->accounts, *job = a, *market = a + 1, *run = a + 2, *node = a + 3, *user = a + 4, *vault = a + 5, *payer = a + 6;
  AccountInfo *reflection = a + 7, *rewards_vault = a + 8, *project = a + 9;
  TRY(create_own(input, job, payer, &JOB_LAYOUT, JOB_SIZE));
  TRY(create_own(input, run, payer, &RUN_LAYOUT, RUN_SIZE));
  TRY(check_duplicates(input, ASSIGN_ACCOUNTS, COUNT(ASSIGN_ACCOUNTS)));
  TRY(check_writable(market, "market"));
  TRY(check_market_vault(market, vault));
  TRY(check(queue_type(market) == QUEUE_NODE, &MARKET_WRONG_STATE, "market"));
  TRY(check_writable(user, "user"));
  TRY(check_nos_account(input, read_u64(market->data + MARKET_JOB_PRICE), user, payer->key, "user"));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(payer, "payer"));
  TRY(check_writable(reflection, "rewards_reflection"));
  TRY(check_writable(rewards_vault, "rewards_vault"));

  write_job(input, job, market, payer, project);
  TRY(queue_remove(market, node->key));
  NewRun made = {job->key, node->key, payer->key};
  write_run(run, &made);
  Payment paid = {user, vault, payer, reflection, rewards_vault};
  return pay_deposit(input, job, &paid);
}

static const Spec DELIST[] = {
    {"job", JOB, WRITE | DISTINCT},  {"market", MARKET, WRITE | DISTINCT},       {"deposit", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"payer", ANY, WRITE},           {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT}, {"token_program", TOKEN, READ},
    {"authority", SIGNER, WRITE},
};

FUNCTION u64 delist(Input *input) {
  TRY(read_accounts(input, DELIST, COUNT(DELIST)));
  TRY(check_duplicates(input, DELIST, COUNT(DELIST)));
  AccountInfo *a = input->accounts, *job = a, *market = a + 1, *deposit = a + 2, *payer = a + 3, *vault = a + 4, *authority = a + 6;
  TRY(check_writable(job, "job"));
  TRY(check_has(job, JOB_PAYER, payer, &INVALID_PAYER, "job"));
  TRY(check_job_market(job, market));
  TRY(check_project(job, authority));
  TRY(check(state(job) == QUEUED, &JOB_WRONG_STATE, "job"));
  TRY(check_close(job, payer, "job"));
  TRY(check_writable(market, "market"));
  TRY(check_market_vault(market, vault));
  TRY(check(queue_type(market) == QUEUE_JOB, &MARKET_WRONG_STATE, "market"));
  TRY(check_writable(deposit, "deposit"));
  TRY(check_nos_account(input, price(job), deposit, payer->key, "deposit"));
  TRY(check_writable(payer, "payer"));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(authority, "authority"));

  TRY(queue_remove(market, job->key));
  if (price(job)) {
    u64 amount;
    TRY(price_of(price(job), timeout(job), &amount));
    TRY(pay_from_vault(input, market, vault, deposit, amount));
  }
  return close_account(job, payer);
}

static const Spec EXTEND[] = {
    {"job", JOB, WRITE | DISTINCT},
    {"market", MARKET, READ},
    {"user", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"rewards_reflection", REFLECTION, WRITE | DISTINCT},
    {"rewards_vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"authority", SIGNER, READ},
    {"payer", SIGNER, READ},
    {"rewards_program", REWARDS, READ},
    {"token_program", TOKEN, READ},
};

FUNCTION u64 extend(Input *input) {
  TRY(check_arguments(input, 8));
  TRY(read_accounts(input, EXTEND, COUNT(EXTEND)));
  TRY(check_duplicates(input, EXTEND, COUNT(EXTEND)));
  AccountInfo *a = input->accounts, *job = a, *market = a + 1, *user = a + 2, *vault = a + 3, *reflection = a + 4, *rewards_vault = a + 5;
  AccountInfo *authority = a + 6, *payer = a + 7;
  TRY(check_writable(job, "job"));
  TRY(check_job_market(job, market));
  TRY(check_project(job, authority));
  TRY(check(price(job) == 0 || same_key(key_at(job, JOB_PAYER), payer->key), &UNAUTHORIZED, "job"));
  TRY(check(state(job) == QUEUED, &JOB_WRONG_STATE, "job"));
  TRY(check_market_vault(market, vault));
  TRY(check_writable(user, "user"));
  TRY(check_nos_account(input, price(job), user, payer->key, "user"));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(reflection, "rewards_reflection"));
  TRY(check_writable(rewards_vault, "rewards_vault"));

  i64 wanted = read_i64(input->data + 8), present = timeout(job);
  if (wanted <= present) {
    u64 number = fail_in(&TIMEOUT_NOT_GREATER, "nosana_jobs.c");
    print_signed("Left: ", wanted);
    print_signed("Right: ", present);
    return number;
  }
  i64 added;
  TRY(difference(wanted, present, &added));
  write_u64(job->data + JOB_TIMEOUT, (u64)wanted);
  if (price(job) == 0) return 0;
  u64 amount;
  TRY(price_of(price(job), added, &amount));
  Payment paid = {user, vault, payer, reflection, rewards_vault};
  return pay(input, &paid, amount);
}

static const Spec END[] = {
    {"job", JOB, WRITE | DISTINCT},
    {"market", MARKET, READ},
    {"run", RUN, WRITE | DISTINCT},
    {"deposit", TOKEN_ACCOUNT, WRITE},
    {"user", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"payer", ANY, WRITE},
    {"authority", SIGNER, WRITE},
    {"token_program", TOKEN, READ},
};

FUNCTION u64 end(Input *input) {
  TRY(read_accounts(input, END, COUNT(END)));
  TRY(check_duplicates(input, END, COUNT(END)));
  AccountInfo *a = input->accounts, *job = a, *market = a + 1, *run = a + 2, *deposit = a + 3, *user = a + 4, *vault = a + 5;
  AccountInfo *payer = a + 6, *authority = a + 7;
  TRY(check_writable(job, "job"));
  TRY(check_job_market(job, market));
  TRY(check_project(job, authority));
  TRY(check_market_vault(market, vault));
  TRY(check_writable(run, "run"));
  TRY(check_has(run, RUN_PAYER, payer, &INVALID_PAYER, "run"));
  TRY(check_has(run, RUN_JOB, job, &INVALID_JOB, "run"));
  TRY(check_close(run, payer, "run"));
  TRY(check_writable(deposit, "deposit"));
  TRY(check_nos_account(input, price(job), deposit, key_at(job, JOB_PAYER), "deposit"));
  TRY(check_writable(user, "user"));
  TRY(check_nos_account(input, price(job), user, key_at(run, RUN_NODE), "user"));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(payer, "payer"));
  TRY(check_writable(authority, "authority"));

  Settlement settlement = {job, run, market, vault, deposit, user};
  TRY(settle(input, &settlement));
  return close_account(run, payer);
}

static const Spec RECOVER[] = {
    {"job", JOB, WRITE | DISTINCT},            {"market", MARKET, READ}, {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"user", TOKEN_ACCOUNT, WRITE | DISTINCT}, {"payer", ANY, WRITE},    {"authority", SIGNER, READ},
    {"token_program", TOKEN, READ},
};

FUNCTION u64 recover(Input *input) {
  TRY(read_accounts(input, RECOVER, COUNT(RECOVER)));
  TRY(check_duplicates(input, RECOVER, COUNT(RECOVER)));
  AccountInfo *a = input->accounts, *job = a, *market = a + 1, *vault = a + 2, *user = a + 3, *payer = a + 4, *authority = a + 5;
  TRY(check_writable(job, "job"));
  TRY(check_has(job, JOB_PAYER, payer, &INVALID_PAYER, "job"));
  TRY(check_job_market(job, market));
  TRY(check_project(job, authority));
  TRY(check(state(job) == STOPPED, &JOB_WRONG_STATE, "job"));
  TRY(check_close(job, payer, "job"));
  TRY(check_market_vault(market, vault));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(user, "user"));
  TRY(check_writable(payer, "payer"));

  u64 amount; /* computed and moved for free jobs too: one with a negative timeout can never be recovered */
  TRY(price_of(price(job), timeout(job), &amount));
  TRY(pay_from_vault(input, market, vault, user, amount));
  return close_account(job, payer);
}

/* --- nodes --- */

/* Whether Metaplex metadata says that the NFT belongs to a verified collection with this key. */
FUNCTION u8 in_collection(const AccountInfo *metadata, const Pubkey *mint, const Pubkey *collection) {
  Seed seeds[3] = {{"metadata", 8}, {&METADATA_PROGRAM, 32}, {mint, 32}};
  Pubkey address;
  u8 bump;
  if (sol_try_find_program_address(seeds, 3, &METADATA_PROGRAM, &address, &bump)) return 0;
  if (!same_key(metadata->key, &address)) return 0;
  const u8 *data = metadata->data;
  u64 len = metadata->data_len, at = 1 + 32 + 32;
  for (int text = 0; text < 3; text++) { /* name, symbol, uri */
    if (at + 4 > len) return 0;
    at += 4 + (u64)read_u32(data + at);
  }
  at += 2; /* seller fee */
  if (at + 1 > len) return 0;
  if (data[at++]) { /* creators */
    if (at + 4 > len) return 0;
    at += 4 + 34 * (u64)read_u32(data + at);
  }
  at += 2; /* sold, mutable */
  for (int option = 0; option < 2; option++) { /* edition nonce, token standard */
    if (at + 1 > len) return 0;
    at += data[at] ? 2 : 1;
  }
  if (at + 34 + 3 > len || !data[at]) return 0; /* three more options follow, and metadata that breaks off is none */
  return data[at + 1] == 1 && same_key(data + at + 2, collection);
}

/* A node that wants to work in a market. */
typedef struct {
  const AccountInfo *market, *stake, *nft, *metadata, *authority;
} Node;

/* Enough stake, of its own, at the address where its stake belongs. */
FUNCTION u64 check_stake(const Input *input, const Node *node) {
  TRY(check_has(node->stake, STAKE_AUTHORITY, node->authority, &UNAUTHORIZED, "stake"));
  const u8 *wanted = node->market->data + MARKET_NODE_XNOS_MINIMUM, *have = node->stake->data + STAKE_XNOS;
  u64 wanted_high = read_u64(wanted + 8), have_high = read_u64(have + 8);
  u8 enough = have_high > wanted_high || (have_high == wanted_high && read_u64(have) >= read_u64(wanted));
  TRY(check(enough, &NOT_ENOUGH_STAKE, "stake"));
  Seed seeds[3] = {{"stake", 5}, {nos_mint(input), 32}, {node->authority->key, 32}};
  Pubkey address;
  u8 bump;
  sol_try_find_program_address(seeds, 3, &STAKING_PROGRAM, &address, &bump);
  return same_key(node->stake->key, &address) ? 0 : fail_keys(&INVALID_STAKE, "stake", node->stake->key, &address);
}

/* The market's access key, where it asks for one. */
FUNCTION u64 check_access_key(const Node *node) {
  const Pubkey *key = key_at(node->market, MARKET_NODE_ACCESS_KEY);
  if (same_key(key, &SYSTEM_PROGRAM)) return 0; /* open to every node */
  TRY(check(same_key(key_at(node->nft, TOKEN_OWNER), node->authority->key), &NFT_OWNER, "nft"));
  TRY(check(read_u64(node->nft->data + TOKEN_AMOUNT) > 0, &NFT_AMOUNT, "nft"));
  return check(in_collection(node->metadata, key_at(node->nft, TOKEN_MINT), key), &NFT_COLLECTION, "metadata");
}

static const Spec WORK[] = {
    {"run", ANY, WRITE},          {"market", MARKET, WRITE | DISTINCT}, {"payer", SIGNER, WRITE},     {"stake", STAKE, READ},
    {"nft", TOKEN_ACCOUNT, READ}, {"metadata", ANY, READ},              {"authority", SIGNER, READ}, {"system_program", SYSTEM, READ},
};

FUNCTION u64 work(Input *input) {
  TRY(read_accounts(input, WORK, COUNT(WORK)));
  AccountInfo *a = input->accounts, *run = a, *market = a + 1, *payer = a + 2, *node = a + 6;
  Node worker = {market, a + 3, a + 4, a + 5, node};
  TRY(check_new_run(run));
  TRY(check_writable(market, "market"));
  TRY(check(queue_type(market) == QUEUE_JOB || queue_find(market, node->key) < 0, &ALREADY_QUEUED, "market"));
  TRY(check_writable(payer, "payer"));
  TRY(check_stake(input, &worker));
  TRY(check_access_key(&worker));

  if (queue_type(market) != QUEUE_JOB) {
    if (!queues(market)) return 0;
    if (queue_is_full(market)) return fail_at(&DID_NOT_SERIALIZE, "market");
    queue_push(market, QUEUE_NODE, node->key);
    return 0;
  }
  Pubkey job;
  TRY(queue_pop(market, &job));
  TRY(create_own(input, run, payer, &RUN_LAYOUT, RUN_SIZE));
  NewRun made = {&job, node->key, payer->key};
  write_run(run, &made);
  return 0;
}

static const Spec STOP[] = {{"market", MARKET, WRITE}, {"node", ANY, READ}, {"authority", SIGNER, READ}};

FUNCTION u64 stop(Input *input) {
  TRY(read_accounts(input, STOP, COUNT(STOP)));
  AccountInfo *a = input->accounts, *market = a, *node = a + 1, *authority = a + 2;
  TRY(check_writable(market, "market"));
  TRY(check(queue_type(market) == QUEUE_NODE, &MARKET_WRONG_STATE, "market"));
  u8 allowed = same_key(key_at(market, MARKET_AUTHORITY), authority->key) || same_key(node->key, authority->key);
  TRY(check(allowed, &UNAUTHORIZED, "market"));
  return queue_remove(market, node->key);
}

static const Spec CLAIM[] = {
    {"job", JOB, WRITE},          {"run", CREATED, WRITE}, {"market", MARKET, READ},  {"stake", STAKE, READ},
    {"nft", TOKEN_ACCOUNT, READ}, {"metadata", ANY, READ}, {"payer", SIGNER, WRITE},  {"authority", SIGNER, READ},
    {"system_program", SYSTEM, READ},
};

/* The job stays STOPPED while it runs. */
FUNCTION u64 claim(Input *input) {
  TRY(read_accounts(input, CLAIM, COUNT(CLAIM)));
  AccountInfo *a = input->accounts, *job = a, *run = a + 1, *market = a + 2, *payer = a + 6, *node = a + 7;
  Node worker = {market, a + 3, a + 4, a + 5, node};
  TRY(create_own(input, run, payer, &RUN_LAYOUT, RUN_SIZE));
  TRY(check_writable(job, "job"));
  TRY(check_job_market(job, market));
  TRY(check(state(job) == STOPPED, &JOB_WRONG_STATE, "job"));
  TRY(check_stake(input, &worker));
  TRY(check_access_key(&worker));
  TRY(check_writable(payer, "payer"));

  NewRun made = {job->key, node->key, payer->key};
  write_run(run, &made);
  return 0;
}

static const Spec COMPLETE[] = {{"job", JOB, WRITE}, {"authority", SIGNER, READ}};

/* After end: the node hands in its result. */
FUNCTION u64 complete(Input *input) {
  TRY(check_arguments(input, 32));
  TRY(read_accounts(input, COMPLETE, COUNT(COMPLETE)));
  AccountInfo *a = input->accounts, *job = a, *node = a + 1;
  TRY(check_writable(job, "job"));
  TRY(check(state(job) == DONE, &JOB_WRONG_STATE, "job"));
  TRY(check(same_key(key_at(job, JOB_NODE), node->key), &UNAUTHORIZED, "job"));
  TRY(check(all_zero(job->data + JOB_IPFS_RESULT, 32), &RESULTS_SET, "job"));

  if (all_zero(input->data + 8, 32)) return fail_in(&RESULT_NULL, "nosana_jobs.c");
  sol_memcpy_(job->data + JOB_IPFS_RESULT, input->data + 8, 32);
  return 0;
}

static const Spec FINISH[] = {
    {"job", JOB, WRITE | DISTINCT},
    {"run", RUN, WRITE | DISTINCT},
    {"market", MARKET, READ},
    {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"deposit", TOKEN_ACCOUNT, WRITE},
    {"user", TOKEN_ACCOUNT, WRITE | DISTINCT},
    {"payer_run", ANY, WRITE},
    {"payer_job", ANY, WRITE},
    {"authority", SIGNER, READ},
    {"token_program", TOKEN, READ},
};

FUNCTION u64 finish(Input *input) {
  TRY(check_arguments(input, 32));
  TRY(read_accounts(input, FINISH, COUNT(FINISH)));
  TRY(check_duplicates(input, FINISH, COUNT(FINISH)));
  AccountInfo *a = input->accounts, *job = a, *run = a + 1, *market = a + 2, *vault = a + 3, *deposit = a + 4, *user = a + 5;
  AccountInfo *payer_run = a + 6, *payer_job = a + 7, *node = a + 8;
  TRY(check_writable(job, "job"));
  TRY(check_job_market(job, market));
  TRY(check(same_key(key_at(job, JOB_PAYER), payer_job->key), &INVALID_PAYER, "job"));
  TRY(check_writable(run, "run"));
  TRY(check_has(run, RUN_JOB, job, &INVALID_JOB, "run"));
  TRY(check(same_key(key_at(run, RUN_PAYER), payer_run->key), &INVALID_PAYER, "run"));
  TRY(check(same_key(key_at(run, RUN_NODE), node->key), &UNAUTHORIZED, "run"));
  TRY(check_close(run, payer_run, "run"));
  TRY(check_market_vault(market, vault));
  TRY(check_writable(vault, "vault"));
  TRY(check_writable(deposit, "deposit"));
  TRY(check_nos_account(input, price(job), deposit, key_at(job, JOB_PAYER), "deposit"));
  TRY(check_writable(user, "user"));
  TRY(check(price(job) == 0 || same_key(key_at(user, TOKEN_MINT), nos_mint(input)), &INVALID_ATA, "user"));
  TRY(check_writable(payer_run, "payer_run"));
  TRY(check_writable(payer_job, "payer_job"));

  if (all_zero(input->data + 8, 32)) return fail_in(&RESULT_NULL, "nosana_jobs.c");
  sol_memcpy_(job->data + JOB_IPFS_RESULT, input->data + 8, 32);
  Settlement settlement = {job, run, market, vault, deposit, user};
  TRY(settle(input, &settlement));
  return close_account(run, payer_run);
}

static const Spec QUIT[] = {
    {"job", JOB, WRITE | DISTINCT}, {"run", RUN, WRITE | DISTINCT}, {"payer", ANY, WRITE}, {"authority", SIGNER, READ}};

/* The money stays in the vault until the project recovers it. */
FUNCTION u64 quit(Input *input) {
  TRY(read_accounts(input, QUIT, COUNT(QUIT)));
  TRY(check_duplicates(input, QUIT, COUNT(QUIT)));
  AccountInfo *a = input->accounts, *job = a, *run = a + 1, *payer = a + 2, *node = a + 3;
  TRY(check_writable(job, "job"));
  TRY(check_writable(run, "run"));
  TRY(check_has(run, RUN_JOB, job, &INVALID_JOB, "run"));
  TRY(check_has(run, RUN_PAYER, payer, &INVALID_PAYER, "run"));
  TRY(check(same_key(key_at(run, RUN_NODE), node->key), &UNAUTHORIZED, "run"));
  TRY(check_close(run, payer, "run"));
  TRY(check_writable(payer, "payer"));

  job->data[JOB_STATE] = STOPPED;
  return close_account(run, payer);
}

static const Spec QUIT_ADMIN[] = {{"run", RUN, WRITE}, {"payer", ANY, WRITE}, {"authority", SIGNER, READ}};

/* The job is untouched: it stays QUEUED in no queue, with no run. */
FUNCTION u64 quit_admin(Input *input) {
  TRY(read_accounts(input, QUIT_ADMIN, COUNT(QUIT_ADMIN)));
  AccountInfo *a = input->accounts, *run = a, *payer = a + 1, *authority = a + 2;
  TRY(check_writable(run, "run"));
  TRY(check_has(run, RUN_PAYER, payer, &INVALID_PAYER, "run"));
  TRY(check_close(run, payer, "run"));
  TRY(check_writable(payer, "payer"));
  TRY(check_admin(input, authority));
  return close_account(run, payer);
}

/* --- cleaning --- */

static const Spec CLEAN[] = {{"job", JOB, WRITE}, {"market", MARKET, READ}, {"payer", ANY, WRITE}};

/* Anybody may send it, and any market will do: the shortest expiration decides. */
FUNCTION u64 clean(Input *input) {
  TRY(read_accounts(input, CLEAN, COUNT(CLEAN)));
  AccountInfo *a = input->accounts, *job = a, *market = a + 1, *payer = a + 2;
  TRY(check_writable(job, "job"));
  TRY(check_has(job, JOB_PAYER, payer, &INVALID_PAYER, "job"));
  TRY(check(state(job) == DONE, &JOB_WRONG_STATE, "job"));
  i64 age;
  TRY(difference(now(), read_i64(job->data + JOB_TIME_END), &age));
  TRY(check(read_i64(market->data + MARKET_JOB_EXPIRATION) < age, &JOB_NOT_EXPIRED, "job"));
  TRY(check_close(job, payer, "job"));
  TRY(check_writable(payer, "payer"));
  return close_account(job, payer);
}

static const Spec CLEAN_ADMIN[] = {{"job", JOB, WRITE}, {"payer", ANY, WRITE}, {"authority", SIGNER, READ}};

FUNCTION u64 clean_admin(Input *input) {
  TRY(read_accounts(input, CLEAN_ADMIN, COUNT(CLEAN_ADMIN)));
  AccountInfo *a = input->accounts, *job = a, *payer = a + 1, *authority = a + 2;
  TRY(check_writable(job, "job"));
  TRY(check_has(job, JOB_PAYER, payer, &INVALID_PAYER, "job"));
  TRY(check_close(job, payer, "job"));
  TRY(check_writable(payer, "payer"));
  TRY(check_admin(input, authority));
  return close_account(job, payer);
}
