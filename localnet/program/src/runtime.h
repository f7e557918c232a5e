/* The Solana runtime as a C program sees it: types, system calls, and the parsing of the program's input. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define NULL ((void *)0)
#define INLINE static inline __attribute__((always_inline))
#define FUNCTION static __attribute__((noinline, unused)) /* a frame of its own: the stack has 4096 bytes a function */

/* The first error ends the instruction: the runtime rolls everything back. */
#define TRY(call)                  \
  {                                \
    u64 error_ = (call);           \
    if (error_) return error_;     \
  }

typedef struct {
  u8 bytes[32];
} Pubkey;

/* The layout that sol_invoke_signed_c wants. All pointers lead into the program's input. */
typedef struct {
  Pubkey *key;
  u64 *lamports;
  u64 data_len;
  u8 *data;
  Pubkey *owner;
  u64 rent_epoch;
  u8 is_signer, is_writable, executable;
} AccountInfo;

typedef struct {
  const Pubkey *key;
  u8 is_writable, is_signer;
} AccountMeta;

typedef struct {
  const Pubkey *program_id;
  const AccountMeta *accounts;
  u64 accounts_len;
  const u8 *data;
  u64 data_len;
} CpiInstruction;

typedef struct {
  const void *bytes;
  u64 len;
} Seed;

typedef struct {
  const Seed *seeds;
  u64 len;
} SignerSeeds;

typedef struct {
  u64 slot;
  i64 epoch_start_timestamp;
  u64 epoch, leader_schedule_epoch;
  i64 unix_timestamp;
} Clock;

extern void sol_log_(const char *, u64);
extern void sol_log_pubkey(const Pubkey *);
extern void abort(void);
extern u64 sol_invoke_signed_c(const CpiInstruction *, const AccountInfo *, u64, const SignerSeeds *, u64);
extern u64 sol_get_clock_sysvar(Clock *);
extern u64 sol_get_rent_sysvar(void *);
extern u64 sol_try_find_program_address(const Seed *, u64, const Pubkey *, Pubkey *, u8 *);
extern void sol_memcpy_(void *, const void *, u64);
extern void sol_memmove_(void *, const void *, u64);
extern void sol_memset_(void *, u8, u64);
extern void sol_memcmp_(const void *, const void *, u64, int *);

INLINE u8 same(const void *a, const void *b, u64 len) {
  int difference;
  sol_memcmp_(a, b, len, &difference);
  return difference == 0;
}

INLINE u8 same_key(const void *a, const void *b) { return same(a, b, 32); }

INLINE u8 all_zero(const u8 *bytes, u64 len) {
  for (u64 i = 0; i < len; i++)
    if (bytes[i]) return 0;
  return 1;
}

/* Little-endian numbers at any alignment. */
INLINE u64 read_u64(const u8 *at) {
  u64 value = 0;
  for (int i = 7; i >= 0; i--) value = value << 8 | at[i];
  return value;
}

INLINE i64 read_i64(const u8 *at) { return (i64)read_u64(at); }

INLINE void write_u64(u8 *at, u64 value) {
  for (int i = 0; i < 8; i++, value >>= 8) at[i] = (u8)value;
}

INLINE u32 read_u32(const u8 *at) { return (u32)at[0] | (u32)at[1] << 8 | (u32)at[2] << 16 | (u32)at[3] << 24; }

INLINE void write_u32(u8 *at, u32 value) {
  for (int i = 0; i < 4; i++, value >>= 8) at[i] = (u8)value;
}

/* No instruction looks at more; what follows is accepted and not looked at. */
#define MAX_ACCOUNTS 16

/* One call of the program. */
typedef struct {
  AccountInfo accounts[MAX_ACCOUNTS];
  u64 accounts_len;
  const u8 *data;
  u64 data_len;
  const Pubkey *program_id;
} Input;

/* Aligned loader format: a duplicate account is an index, every other one is followed by 10,240 bytes of room to grow. */
FUNCTION void parse_input(const u8 *at, Input *input) {
  u64 count = *(const u64 *)at;
  at += 8;
  for (u64 i = 0; i < count; i++) {
    u8 first = at[0];
    if (first != 0xff) {
      if (i < MAX_ACCOUNTS) input->accounts[i] = input->accounts[first];
      at += 8;
      continue;
    }
    AccountInfo account;
    account.is_signer = at[1];
    account.is_writable = at[2];
    account.executable = at[3];
    account.key = (Pubkey *)(at + 8);
    account.owner = (Pubkey *)(at + 40);
    account.lamports = (u64 *)(at + 72);
    account.data_len = *(const u64 *)(at + 80);
    account.data = (u8 *)(at + 88);
    at += 88 + account.data_len + 10240;
    at = (const u8 *)(((u64)at + 7) & ~7ULL);
    account.rent_epoch = *(const u64 *)at;
    at += 8;
    if (i < MAX_ACCOUNTS) input->accounts[i] = account;
  }
  input->accounts_len = count < MAX_ACCOUNTS ? count : MAX_ACCOUNTS;
  input->data_len = *(const u64 *)at;
  input->data = at + 8;
  input->program_id = (const Pubkey *)(at + 8 + input->data_len);
}

/* The length that the runtime reads back stands right before the data. */
INLINE void set_data_len(AccountInfo *account, u64 len) {
  *(u64 *)(account->data - 8) = len;
  account->data_len = len;
}

/* After a call to another program, which may have created the account. */
INLINE void reload(AccountInfo *account) { account->data_len = *(u64 *)(account->data - 8); }
