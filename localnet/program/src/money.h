/* What a job costs, with Rust's checked arithmetic: what does not fit ends the transaction. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "errors.h"

/* On top of a deposit its JOB_FEE_FRACTION-th part goes to the rewards program, rounded down and never given back. 0: there is no fee,
 * which is the network's present revision. */
#ifndef JOB_FEE_FRACTION
#define JOB_FEE_FRACTION 0
#endif

FUNCTION u64 difference(i64 from, i64 what, i64 *result) {
  *result = (i64)((u64)from - (u64)what);
  return (from < what) == (*result < 0) ? 0 : panic("attempt to subtract with overflow");
}

/* price * seconds without 128-bit arithmetic, which the target does not have. */
FUNCTION u64 price_of(u64 price, i64 seconds, u64 *amount) {
  if (seconds < 0) return panic("called `Result::unwrap()` on an `Err` value: TryFromIntError(())");
  u64 high_price = price >> 32, low_price = price & 0xffffffff;
  u64 high_time = (u64)seconds >> 32, low_time = (u64)seconds & 0xffffffff;
  if (high_price && high_time) return panic("attempt to multiply with overflow");
  u64 middle = high_price * low_time + low_price * high_time;
  u64 low = low_price * low_time;
  if (middle >> 32 || (middle << 32) > ~low) return panic("attempt to multiply with overflow");
  *amount = (middle << 32) + low;
  return 0;
}
