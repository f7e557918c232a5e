/* Calls to the system program and the token program: accounts created and closed, NOS moved. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "anchor.h"
#include "money.h"

FUNCTION u64 call(const Input *input, const CpiInstruction *instruction, const SignerSeeds *signer) {
  return sol_invoke_signed_c(instruction, input->accounts, input->accounts_len, signer, signer ? 1 : 0);
}

/* Lamports that an account of this size has to hold. The threshold is a float, of which two values occur: 1.0 and 2.0. */
FUNCTION u64 rent_exempt(u64 size) {
  u64 rent[3] = {0, 0, 0};
  sol_get_rent_sysvar(rent);
  u64 lamports = (128 + size) * rent[0];
  return rent[1] == 0x4000000000000000ULL ? 2 * lamports : lamports;
}

enum { CREATE_ACCOUNT = 0, ASSIGN = 1, TRANSFER = 2, ALLOCATE = 8 };

FUNCTION u64 system_assign(const Input *input, const AccountInfo *account, const Pubkey *owner, const SignerSeeds *signer) {
  u8 data[36];
  write_u32(data, ASSIGN);
  sol_memcpy_(data + 4, owner, 32);
  AccountMeta metas[1] = {{account->key, 1, 1}};
  CpiInstruction instruction = {&SYSTEM_PROGRAM, metas, 1, data, sizeof data};
  return call(input, &instruction, signer);
}

FUNCTION u64 system_allocate(const Input *input, const AccountInfo *account, u64 size, const SignerSeeds *signer) {
  u8 data[12];
  write_u32(data, ALLOCATE);
  write_u64(data + 4, size);
  AccountMeta metas[1] = {{account->key, 1, 1}};
  CpiInstruction instruction = {&SYSTEM_PROGRAM, metas, 1, data, sizeof data};
  return call(input, &instruction, signer);
}

FUNCTION u64 system_transfer(const Input *input, const AccountInfo *from, const AccountInfo *to, u64 lamports) {
  u8 data[12];
  write_u32(data, TRANSFER);
  write_u64(data + 4, lamports);
  AccountMeta metas[2] = {{from->key, 1, 1}, {to->key, 1, 0}};
  CpiInstruction instruction = {&SYSTEM_PROGRAM, metas, 2, data, sizeof data};
  return call(input, &instruction, NULL);
}

typedef struct {
  u64 size;
  const Pubkey *owner;
  const SignerSeeds *signer; /* NULL for an account whose key has signed */
} NewAccount;

FUNCTION u64 system_create(const Input *input, const AccountInfo *account, const AccountInfo *payer, const NewAccount *made) {
  u8 data[52];
  write_u32(data, CREATE_ACCOUNT);
  write_u64(data + 4, rent_exempt(made->size));
  write_u64(data + 12, made->size);
  sol_memcpy_(data + 20, made->owner, 32);
  AccountMeta metas[2] = {{payer->key, 1, 1}, {account->key, 1, 1}};
  CpiInstruction instruction = {&SYSTEM_PROGRAM, metas, 2, data, sizeof data};
  return call(input, &instruction, made->signer);
}

/* An account that holds lamports already is topped up and taken over, so that nobody can block an address with dust; it may not be
 * the payer, though. */
FUNCTION u64 take_over(const Input *input, const AccountInfo *account, const AccountInfo *payer, const NewAccount *made) {
  if (same_key(account->key, payer->key)) {
    u64 number = fail_in(&INIT_PAYER, "nosana_jobs.c");
    print_text("Left:");
    sol_log_pubkey(payer->key);
    print_text("Right:");
    sol_log_pubkey(account->key);
    return number;
  }
  u64 rent = rent_exempt(made->size);
  if (*account->lamports < rent) TRY(system_transfer(input, payer, account, rent - *account->lamports));
  TRY(system_allocate(input, account, made->size, made->signer));
  return system_assign(input, account, made->owner, made->signer);
}

/* "init" of Anchor. */
FUNCTION u64 create_account(const Input *input, AccountInfo *account, const AccountInfo *payer, const NewAccount *made) {
  TRY(*account->lamports ? take_over(input, account, payer, made) : system_create(input, account, payer, made));
  reload(account);
  return 0;
}

/* Creates an account of our own whose key has signed; its discriminator is written, the rest is zero. */
FUNCTION u64 create_own(const Input *input, AccountInfo *account, const AccountInfo *payer, const Layout *layout, u64 size) {
  NewAccount made = {size, input->program_id, NULL};
  TRY(create_account(input, account, payer, &made));
  write_u64(account->data, layout->discriminator);
  return 0;
}

/* "close" of Anchor: whatever the account holds goes to somebody, and the account is gone. */
FUNCTION u64 close_account(AccountInfo *account, const AccountInfo *to) {
  u64 lamports = *account->lamports;
  *account->lamports = 0;
  *to->lamports += lamports;
  sol_memset_(account->data, 0, account->data_len);
  sol_memcpy_(account->owner, &SYSTEM_PROGRAM, 32);
  set_data_len(account, 0);
  return 0;
}

enum { TOKEN_TRANSFER = 3, TOKEN_CLOSE = 9, TOKEN_INITIALIZE = 18 };

FUNCTION u64 token_initialize(const Input *input, const AccountInfo *account, const AccountInfo *mint, const Pubkey *owner) {
  u8 data[33];
  data[0] = TOKEN_INITIALIZE;
  sol_memcpy_(data + 1, owner, 32);
  AccountMeta metas[2] = {{account->key, 1, 0}, {mint->key, 0, 0}};
  CpiInstruction instruction = {&TOKEN_PROGRAM, metas, 2, data, sizeof data};
  return call(input, &instruction, NULL);
}

typedef struct {
  const AccountInfo *from, *to, *authority;
  u64 amount;
} Transfer;

FUNCTION u64 transfer(const Input *input, const Transfer *moved, const SignerSeeds *signer) {
  u8 data[9];
  data[0] = TOKEN_TRANSFER;
  write_u64(data + 1, moved->amount);
  AccountMeta metas[3] = {{moved->from->key, 1, 0}, {moved->to->key, 1, 0}, {moved->authority->key, 0, 1}};
  CpiInstruction instruction = {&TOKEN_PROGRAM, metas, 3, data, sizeof data};
  return call(input, &instruction, signer);
}

/* What somebody pays for a job: the deposit, and where the network takes one, the fee on top. */
typedef struct {
  const AccountInfo *user, *vault, *payer, *reflection, *rewards_vault;
} Payment;

/* add_fee of the rewards program: takes the fee itself, and spreads it over those who have staked. */
FUNCTION u64 add_fee(const Input *input, const Payment *paid, u64 amount) {
  u8 data[16];
  write_u64(data, ADD_FEE);
  write_u64(data + 8, amount);
  AccountMeta metas[5] = {
      {paid->user->key, 1, 0},  {paid->reflection->key, 1, 0}, {paid->rewards_vault->key, 1, 0},
      {paid->payer->key, 0, 1}, {&TOKEN_PROGRAM, 0, 0},
  };
  CpiInstruction instruction = {&REWARDS_PROGRAM, metas, 5, data, sizeof data};
  return call(input, &instruction, NULL);
}

FUNCTION u64 pay(const Input *input, const Payment *paid, u64 amount) {
  Transfer deposit = {paid->user, paid->vault, paid->payer, amount};
  TRY(transfer(input, &deposit, NULL));
#if JOB_FEE_FRACTION
  u64 fee = amount / JOB_FEE_FRACTION;
  if (fee) TRY(add_fee(input, paid, fee));
#endif
  return 0;
}

/* The vault of a market is its own authority: the program signs for it with the seeds that made its address. */
typedef struct {
  Seed seeds[3];
  SignerSeeds signer;
} VaultSeeds;

INLINE void vault_seeds(const Input *input, const AccountInfo *market, VaultSeeds *out) {
  out->seeds[0] = (Seed){market->key, 32};
  out->seeds[1] = (Seed){nos_mint(input), 32};
  out->seeds[2] = (Seed){market->data + MARKET_VAULT_BUMP, 1};
  out->signer = (SignerSeeds){out->seeds, 3};
}

FUNCTION u64 pay_from_vault(const Input *input, const AccountInfo *market, const AccountInfo *vault, const AccountInfo *to, u64 amount) {
  VaultSeeds seeds;
  vault_seeds(input, market, &seeds);
  Transfer moved = {vault, to, vault, amount};
  return transfer(input, &moved, &seeds.signer);
}

FUNCTION u64 close_vault(const Input *input, const AccountInfo *market, const AccountInfo *vault, const AccountInfo *to) {
  VaultSeeds seeds;
  vault_seeds(input, market, &seeds);
  u8 data[1] = {TOKEN_CLOSE};
  AccountMeta metas[3] = {{vault->key, 1, 0}, {to->key, 1, 0}, {vault->key, 0, 1}};
  CpiInstruction instruction = {&TOKEN_PROGRAM, metas, 3, data, sizeof data};
  return call(input, &instruction, &seeds.signer);
}

/* The address of the NOS token account that belongs to an owner. */
FUNCTION u8 is_nos_account_of(const Input *input, const AccountInfo *account, const Pubkey *owner) {
  Seed seeds[3] = {{owner, 32}, {&TOKEN_PROGRAM, 32}, {nos_mint(input), 32}};
  Pubkey address;
  u8 bump;
  return sol_try_find_program_address(seeds, 3, &TOKEN_ACCOUNT_PROGRAM, &address, &bump) == 0 && same_key(account->key, &address);
}
