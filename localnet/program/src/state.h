/* The accounts that the program owns, and those of other programs that it reads: offsets, sizes, discriminators. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "runtime.h"

/* sha256("account:JobAccount")[:8], read as a little-endian number; likewise the others. */
#define JOB_DISCRIMINATOR 0x417dd22d05a2105bULL
#define RUN_DISCRIMINATOR 0x16e10bebe66ea9c2ULL
#define MARKET_DISCRIMINATOR 0xfbc9c6f0e1bb4ec9ULL
#define REFLECTION_DISCRIMINATOR 0xbcdb1aef36a099cdULL
#define STAKE_DISCRIMINATOR 0xffc0bd327c439e50ULL

/* A job: 233 bytes of data in an account of 240. */
enum {
  JOB_IPFS_JOB = 8,
  JOB_IPFS_RESULT = 40,
  JOB_MARKET = 72,
  JOB_NODE = 104,
  JOB_PAYER = 136,
  JOB_PRICE = 168,
  JOB_PROJECT = 176,
  JOB_STATE = 208,
  JOB_TIME_END = 209,
  JOB_TIME_START = 217,
  JOB_TIMEOUT = 225,
  JOB_SIZE = 240,
};

enum { QUEUED = 0, DONE = 2, STOPPED = 3 };

/* A run: it exists exactly while a node runs the job. */
enum { RUN_JOB = 8, RUN_NODE = 40, RUN_PAYER = 72, RUN_STATE = 104, RUN_TIME = 105, RUN_SIZE = 120 };

/* A market, with a queue of jobs or of nodes. */
enum {
  MARKET_AUTHORITY = 8,
  MARKET_JOB_EXPIRATION = 40,
  MARKET_JOB_PRICE = 48,
  MARKET_JOB_TIMEOUT = 56,
  MARKET_JOB_TYPE = 64,
  MARKET_VAULT = 65,
  MARKET_VAULT_BUMP = 97,
  MARKET_NODE_ACCESS_KEY = 98,
  MARKET_NODE_XNOS_MINIMUM = 130,
  MARKET_QUEUE_TYPE = 146,
  MARKET_QUEUE_LEN = 147,
  MARKET_QUEUE = 151,
  MARKET_SIZE = 10224,
};

enum { QUEUE_JOB = 0, QUEUE_NODE = 1, QUEUE_EMPTY = 255 };
enum { JOB_TYPE_LAST = 4, JOB_TYPE_UNKNOWN = 255 };

/* A stake of the staking program. */
enum { STAKE_AUTHORITY = 16, STAKE_XNOS = 97, STAKE_SIZE = 113 };

/* What the rewards program knows of all stakes together: three u128, its vault, a bump. */
enum { REFLECTION_RATE = 8, REFLECTION_TOTAL = 24, REFLECTION_XNOS = 40, REFLECTION_VAULT = 56, REFLECTION_BUMP = 88 };

/* sha256("global:add_fee")[:8] */
#define ADD_FEE 0x704c7bfdd4bde143ULL

/* A token account of the token program. */
enum {
  TOKEN_MINT = 0,
  TOKEN_OWNER = 32,
  TOKEN_AMOUNT = 64,
  TOKEN_DELEGATE = 72,
  TOKEN_STATE = 108,
  TOKEN_NATIVE = 109,
  TOKEN_CLOSER = 129,
  TOKEN_SIZE = 165,
};

/* A mint of the token program. */
enum { MINT_AUTHORITY = 0, MINT_INITIALIZED = 45, MINT_FREEZER = 46, MINT_SIZE = 82 };

typedef struct {
  u64 discriminator;
  u64 len; /* bytes that have to be there to be read */
} Layout;

static const Layout JOB_LAYOUT = {JOB_DISCRIMINATOR, 233};
static const Layout RUN_LAYOUT = {RUN_DISCRIMINATOR, 113};
static const Layout MARKET_LAYOUT = {MARKET_DISCRIMINATOR, 151};
static const Layout REFLECTION_LAYOUT = {REFLECTION_DISCRIMINATOR, 89};
static const Layout STAKE_LAYOUT = {STAKE_DISCRIMINATOR, STAKE_SIZE};

INLINE const Pubkey *key_at(const AccountInfo *account, u64 offset) { return (const Pubkey *)(account->data + offset); }

INLINE void set_key(AccountInfo *account, u64 offset, const void *key) { sol_memcpy_(account->data + offset, key, 32); }
