/* What the Anchor framework does before and after an instruction: reads the accounts in order, creates, checks duplicates, closes. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "errors.h"
#include "keys.h"
#include "state.h"

/* What an account has to be, looked at in the order in which the instruction lists its accounts. */
typedef enum {
  ANY,     /* nothing is read */
  CREATED, /* made by this instruction */
  SIGNER,
  JOB,
  RUN,
  MARKET,
  REFLECTION,
  STAKE,
  TOKEN_ACCOUNT,
  MINT,
  RENT,
  SYSTEM,
  TOKEN,
  REWARDS,
} Kind;

/* DISTINCT: may not be the same account as another one marked so. */
enum { READ = 0, WRITE = 1, DISTINCT = 2 };

typedef struct {
  const char *name;
  u8 kind, flags;
} Spec;

FUNCTION u64 read_owned(const AccountInfo *account, const Spec *spec, const Pubkey *owner, const Layout *layout) {
  if (same_key(account->owner, &SYSTEM_PROGRAM) && *account->lamports == 0) return fail_at(&NOT_INITIALIZED, spec->name);
  if (!same_key(account->owner, owner)) return fail_keys(&WRONG_OWNER_PROGRAM, spec->name, account->owner, owner);
  if (account->data_len < 8) return fail_at(&DISCRIMINATOR_NOT_FOUND, spec->name);
  if (read_u64(account->data) != layout->discriminator) return fail_at(&DISCRIMINATOR_MISMATCH, spec->name);
  if (account->data_len < layout->len) return fail_at(&ACCOUNT_DID_NOT_DESERIALIZE, spec->name);
  return 0;
}

FUNCTION u64 read_market(const AccountInfo *account, const Spec *spec, const Pubkey *owner) {
  TRY(read_owned(account, spec, owner, &MARKET_LAYOUT));
  u64 end = MARKET_QUEUE + 32 * (u64)read_u32(account->data + MARKET_QUEUE_LEN);
  return end > account->data_len ? fail_at(&ACCOUNT_DID_NOT_DESERIALIZE, spec->name) : 0;
}

/* An error of the token program's library, which knows no numbers of Anchor's. */
FUNCTION u64 fail_unpacking(const Spec *spec, u64 error) {
  Line line;
  line.len = 0;
  add(&line, "ProgramError caused by account: ");
  add(&line, spec->name);
  add(&line, error == INVALID_ACCOUNT_DATA ? ". Error Code: InvalidAccountData. Error Number: 17179869184. Error Message: "
                                             "An account's data contents was invalid."
                                           : ". Error Code: UninitializedAccount. Error Number: 42949672960. Error Message: "
                                             "An attempt to operate on an account that hasn't been initialized.");
  print(&line);
  return error;
}

/* Something optional begins with a 0 or a 1 of four bytes. */
INLINE u8 is_option(const AccountInfo *account, u64 offset) { return read_u32(account->data + offset) <= 1; }

INLINE u8 is_token_account(const AccountInfo *account) {
  return account->data_len == TOKEN_SIZE && account->data[TOKEN_STATE] <= 2 && is_option(account, TOKEN_DELEGATE) &&
         is_option(account, TOKEN_NATIVE) && is_option(account, TOKEN_CLOSER);
}

INLINE u8 is_mint(const AccountInfo *account) {
  return account->data_len == MINT_SIZE && account->data[MINT_INITIALIZED] <= 1 && is_option(account, MINT_AUTHORITY) &&
         is_option(account, MINT_FREEZER);
}

FUNCTION u64 read_token(const AccountInfo *account, const Spec *spec) {
  if (same_key(account->owner, &SYSTEM_PROGRAM) && *account->lamports == 0) return fail_at(&NOT_INITIALIZED, spec->name);
  if (!same_key(account->owner, &TOKEN_PROGRAM)) return fail_keys(&WRONG_OWNER_PROGRAM, spec->name, account->owner, &TOKEN_PROGRAM);
  u8 mint = spec->kind == MINT;
  if (mint ? !is_mint(account) : !is_token_account(account)) return fail_unpacking(spec, INVALID_ACCOUNT_DATA);
  return account->data[mint ? MINT_INITIALIZED : TOKEN_STATE] ? 0 : fail_unpacking(spec, UNINITIALIZED_ACCOUNT);
}

FUNCTION u64 read_program(const AccountInfo *account, const Spec *spec, const Pubkey *program) {
  if (!same_key(account->key, program)) return fail_keys(&INVALID_PROGRAM_ID, spec->name, account->key, program);
  return account->executable ? 0 : fail_at(&NOT_EXECUTABLE, spec->name);
}

FUNCTION u64 read_account(const Input *input, const AccountInfo *account, const Spec *spec) {
  switch (spec->kind) {
    case SIGNER: return account->is_signer ? 0 : fail_at(&NOT_SIGNER, spec->name);
    case JOB: return read_owned(account, spec, input->program_id, &JOB_LAYOUT);
    case RUN: return read_owned(account, spec, input->program_id, &RUN_LAYOUT);
    case MARKET: return read_market(account, spec, input->program_id);
    case REFLECTION: return read_owned(account, spec, &REWARDS_PROGRAM, &REFLECTION_LAYOUT);
    case STAKE: return read_owned(account, spec, &STAKING_PROGRAM, &STAKE_LAYOUT);
    case TOKEN_ACCOUNT:
    case MINT: return read_token(account, spec);
    case RENT: return same_key(account->key, &RENT_SYSVAR) ? 0 : fail_at(&SYSVAR_MISMATCH, spec->name);
    case SYSTEM: return read_program(account, spec, &SYSTEM_PROGRAM);
    case TOKEN: return read_program(account, spec, &TOKEN_PROGRAM);
    case REWARDS: return read_program(account, spec, &REWARDS_PROGRAM);
    default: return 0;
  }
}

FUNCTION u64 read_accounts(const Input *input, const Spec *specs, u64 count) {
  for (u64 i = 0; i < count; i++) {
    if (i >= input->accounts_len) return specs[i].kind == CREATED ? fail(&NOT_ENOUGH_KEYS) : fail_at(&NOT_ENOUGH_KEYS, specs[i].name);
    TRY(read_account(input, &input->accounts[i], &specs[i]));
  }
  return 0;
}

FUNCTION u64 check_duplicates(const Input *input, const Spec *specs, u64 count) {
  for (u64 i = 0; i < count; i++)
    for (u64 j = 0; j < i; j++)
      if (specs[i].flags & specs[j].flags & DISTINCT && same_key(input->accounts[i].key, input->accounts[j].key))
        return fail_at(&DUPLICATE_MUTABLE, specs[i].name);
  return 0;
}

FUNCTION u64 check_writable(const AccountInfo *account, const char *name) {
  return account->is_writable ? 0 : fail_at(&CONSTRAINT_MUT, name);
}

/* "has_one": a key in the account's data has to be another account's. */
FUNCTION u64 check_has(const AccountInfo *account, u64 offset, const AccountInfo *other, const Error *error, const char *name) {
  const Pubkey *have = key_at(account, offset);
  return same_key(have, other->key) ? 0 : fail_keys(error, name, have, other->key);
}

/* "close": an account cannot be paid its own lamports. */
FUNCTION u64 check_close(const AccountInfo *account, const AccountInfo *to, const char *name) {
  return same_key(account->key, to->key) ? fail_at(&CONSTRAINT_CLOSE, name) : 0;
}

FUNCTION u64 check(u8 holds, const Error *error, const char *name) { return holds ? 0 : fail_at(error, name); }
