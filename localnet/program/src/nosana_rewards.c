/* The rewards program of the local network, as far as the jobs program needs it: it takes the fee. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#include "calls.h"

/* Numbers of 128 bits, which the target does not have. */
typedef struct {
  u64 low, high;
} Wide;

INLINE Wide read_wide(const u8 *at) { return (Wide){read_u64(at), read_u64(at + 8)}; }

INLINE void write_wide(u8 *at, Wide value) {
  write_u64(at, value.low);
  write_u64(at + 8, value.high);
}

INLINE u8 is_less(Wide a, Wide b) { return a.high < b.high || (a.high == b.high && a.low < b.low); }

/* Division bit by bit; the divisor is not 0. The rest stays below the divisor, so its topmost bit never gets lost unseen. */
FUNCTION void divide(Wide *value, const Wide *divisor) {
  Wide rest = {0, 0};
  for (int i = 0; i < 128; i++) {
    u8 carry = (u8)(rest.high >> 63);
    rest.high = rest.high << 1 | rest.low >> 63;
    rest.low = rest.low << 1 | value->high >> 63;
    value->high = value->high << 1 | value->low >> 63;
    value->low <<= 1;
    if (carry || !is_less(rest, *divisor)) {
      u64 borrow = rest.low < divisor->low;
      rest.low -= divisor->low;
      rest.high -= divisor->high + borrow;
      value->low |= 1;
    }
  }
}

static const Spec ADD_FEE_ACCOUNTS[] = {
    {"user", TOKEN_ACCOUNT, WRITE | DISTINCT},  {"reflection", REFLECTION, WRITE | DISTINCT},
    {"vault", TOKEN_ACCOUNT, WRITE | DISTINCT}, {"authority", SIGNER, READ},
    {"token_program", TOKEN, READ},
};

#define COUNT(specs) (sizeof(specs) / sizeof *(specs))

/* The fee makes each staked token worth more: the rate, by which reflections are divided to give tokens, falls. */
FUNCTION u64 add_to_pool(const AccountInfo *reflection, u64 amount) {
  Wide total = read_wide(reflection->data + REFLECTION_XNOS), rate = read_wide(reflection->data + REFLECTION_TOTAL);
  total.low += amount;
  if (total.low < amount && ++total.high == 0) return panic("attempt to add with overflow");
  if (total.low == 0 && total.high == 0) return panic("attempt to divide by zero");
  divide(&rate, &total);
  write_wide(reflection->data + REFLECTION_XNOS, total);
  write_wide(reflection->data + REFLECTION_RATE, rate);
  return 0;
}

/* "has_one", as it was recorded: without the two keys that Anchor prints elsewhere. */
FUNCTION u64 check_vault(const AccountInfo *reflection, const AccountInfo *vault) {
  if (same_key(key_at(reflection, REFLECTION_VAULT), vault->key)) return 0;
  u64 number = fail_at(&INVALID_VAULT, "reflection");
  print_text("Left:");
  print_text("Right:");
  return number;
}

FUNCTION u64 take_fee(Input *input) {
  if (input->data_len < 16) return fail(&DID_NOT_DESERIALIZE);
  TRY(read_accounts(input, ADD_FEE_ACCOUNTS, COUNT(ADD_FEE_ACCOUNTS)));
  TRY(check_duplicates(input, ADD_FEE_ACCOUNTS, COUNT(ADD_FEE_ACCOUNTS)));
  AccountInfo *a = input->accounts, *user = a, *reflection = a + 1, *vault = a + 2, *authority = a + 3;
  TRY(check_writable(user, "user"));
  TRY(check_writable(reflection, "reflection"));
  TRY(check_vault(reflection, vault));
  TRY(check_writable(vault, "vault"));
  u64 amount = read_u64(input->data + 8);
  TRY(add_to_pool(reflection, amount));
  Transfer fee = {user, vault, authority, amount};
  return transfer(input, &fee, NULL);
}

u64 entrypoint(const u8 *serialized) {
  Input input;
  parse_input(serialized, &input);
  if (input.data_len < 8 || read_u64(input.data) != ADD_FEE) return fail(&FALLBACK_NOT_FOUND);
  print_text("Instruction: AddFee");
  return take_fee(&input);
}
