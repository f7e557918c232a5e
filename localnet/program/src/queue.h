/* The queue of a market: jobs that wait for nodes, or nodes that wait for jobs; first come, first served. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "anchor.h"

INLINE u32 queue_len(const AccountInfo *market) { return read_u32(market->data + MARKET_QUEUE_LEN); }

INLINE u8 *queue_entry(const AccountInfo *market, u32 index) { return market->data + MARKET_QUEUE + 32 * (u64)index; }

INLINE u8 queue_type(const AccountInfo *market) { return market->data[MARKET_QUEUE_TYPE]; }

/* A market of unknown type takes nobody into its queue; those who are there already are still matched. Only 255 is unknown: open makes
 * 255 of every number above the last type, update stores it as it comes, and then it is a type like the others. */
INLINE u8 queues(const AccountInfo *market) { return market->data[MARKET_JOB_TYPE] != JOB_TYPE_UNKNOWN; }

/* A full queue is noticed only when the account is written back, after everything else of the instruction has happened. */
INLINE u8 queue_is_full(const AccountInfo *market) { return MARKET_QUEUE + 32 * ((u64)queue_len(market) + 1) > market->data_len; }

FUNCTION i64 queue_find(const AccountInfo *market, const Pubkey *key) {
  for (u32 i = 0; i < queue_len(market); i++)
    if (same_key(queue_entry(market, i), key)) return i;
  return -1;
}

FUNCTION void queue_push(AccountInfo *market, u8 type, const Pubkey *key) {
  u32 len = queue_len(market);
  market->data[MARKET_QUEUE_TYPE] = type;
  sol_memcpy_(queue_entry(market, len), key, 32);
  write_u32(market->data + MARKET_QUEUE_LEN, len + 1);
}

/* Bytes behind the shortened queue are left as they were. */
FUNCTION void queue_remove_at(AccountInfo *market, u32 index) {
  u32 len = queue_len(market) - 1;
  sol_memmove_(queue_entry(market, index), queue_entry(market, index + 1), 32 * (u64)(len - index));
  write_u32(market->data + MARKET_QUEUE_LEN, len);
  if (len == 0) market->data[MARKET_QUEUE_TYPE] = QUEUE_EMPTY;
}

/* Who waits longest. A queue whose type promises somebody is never empty; should it be, Rust's vector ends the transaction. */
FUNCTION u64 queue_pop(AccountInfo *market, Pubkey *first) {
  if (queue_len(market) == 0) return panic("removal index (is 0) should be < len (is 0)");
  *first = *(const Pubkey *)queue_entry(market, 0);
  queue_remove_at(market, 0);
  return 0;
}

FUNCTION u64 queue_remove(AccountInfo *market, const Pubkey *key) {
  i64 index = queue_find(market, key);
  if (index < 0) return fail(&NOT_IN_QUEUE);
  queue_remove_at(market, (u32)index);
  return 0;
}
