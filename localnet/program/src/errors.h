/* The errors that a client can meet, with the log lines of the Anchor framework that clients tell them apart by. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "runtime.h"

typedef struct {
  u32 number;
  const char *name, *message;
} Error;

/* Anchor's own. */
static const Error FALLBACK_NOT_FOUND = {101, "InstructionFallbackNotFound", "Fallback functions are not supported."};
static const Error DID_NOT_DESERIALIZE = {102, "InstructionDidNotDeserialize", "The program could not deserialize the given instruction."};
static const Error EVENT_STUB = {1500, "EventInstructionStub", "The program was compiled without `event-cpi` feature."};
static const Error CONSTRAINT_MUT = {2000, "ConstraintMut", "A mut constraint was violated."};
static const Error CONSTRAINT_SEEDS = {2006, "ConstraintSeeds", "A seeds constraint was violated."};
static const Error CONSTRAINT_CLOSE = {2011, "ConstraintClose", "A close constraint was violated."};
static const Error DUPLICATE_MUTABLE = {2040, "ConstraintDuplicateMutableAccount", "A duplicate mutable account constraint was violated."};
static const Error DISCRIMINATOR_NOT_FOUND = {3001, "AccountDiscriminatorNotFound", "No discriminator was found on the account."};
static const Error DISCRIMINATOR_MISMATCH = {3002, "AccountDiscriminatorMismatch", "Account discriminator did not match what was expected."};
static const Error ACCOUNT_DID_NOT_DESERIALIZE = {3003, "AccountDidNotDeserialize", "Failed to deserialize the account."};
static const Error DID_NOT_SERIALIZE = {3004, "AccountDidNotSerialize", "Failed to serialize the account."};
static const Error NOT_ENOUGH_KEYS = {3005, "AccountNotEnoughKeys", "Not enough account keys given to the instruction."};
static const Error WRONG_OWNER_PROGRAM = {3007, "AccountOwnedByWrongProgram", "The given account is owned by a different program than expected."};
static const Error INVALID_PROGRAM_ID = {3008, "InvalidProgramId", "Program ID was not as expected."};
static const Error NOT_EXECUTABLE = {3009, "InvalidProgramExecutable", "Program account is not executable."};
static const Error NOT_SIGNER = {3010, "AccountNotSigner", "The given account did not sign."};
static const Error NOT_INITIALIZED = {3012, "AccountNotInitialized", "The program expected this account to be already initialized."};
static const Error SYSVAR_MISMATCH = {3015, "AccountSysvarMismatch", "The given public key does not match the required sysvar."};
static const Error INIT_PAYER = {4101, "TryingToInitPayerAsProgramAccount",
                                 "You cannot/should not initialize the payer account as a program account."};

/* Common to Nosana's programs. Both lists begin at 6000; only the name tells them apart. */
static const Error UNAUTHORIZED = {6000, "Unauthorized", "This account is not authorized to perform this action."};
static const Error INVALID_OWNER = {6001, "InvalidOwner", "This account is owned by an invalid program."};
static const Error LAMPORTS_NON_NULL = {6002, "LamportsNonNull", "This account has lamports."};
static const Error MISSING_SIGNATURE = {6003, "MissingSignature", "This account is missing a signature."};
static const Error INVALID_MINT = {6006, "InvalidMint", "This mint is invalid."};
static const Error INVALID_VAULT = {6007, "InvalidVault", "This account has an invalid vault."};
static const Error INVALID_PAYER = {6008, "InvalidPayer", "This payer account is not valid."};
static const Error INVALID_ATA = {6011, "InvalidATA", "This Associated Token Account is not valid."};

/* The staking program's word for a stake account at the wrong address. */
static const Error INVALID_STAKE = {6012, "InvalidStakeAccount", "This stake does not belong to the authority."};

/* The jobs program's. */
static const Error INVALID_MARKET = {6000, "InvalidMarketAccount", "This market account is not valid."};
static const Error MARKET_WRONG_STATE = {6001, "MarketInWrongState", "This market does not have the right status."};
static const Error NOT_IN_QUEUE = {6002, "NotInMarketQueue", "Account cannot be find account in market queue."};
static const Error INVALID_JOB = {6003, "InvalidJobAccount", "This job account is not valid."};
static const Error JOB_WRONG_STATE = {6004, "JobInWrongState", "This job does not have the right status."};
static const Error JOB_NOT_EXPIRED = {6005, "JobNotExpired", "The job has not yet expired."};
static const Error RESULT_NULL = {6006, "JobResultNull", "The job result can not be null."};
static const Error TIMEOUT_NOT_GREATER = {6008, "JobTimeoutNotGreater", "The new job timeout should be larger than the current one."};
static const Error RESULTS_SET = {6010, "JobResultsAlreadySet", "The job results are already set."};
static const Error NOT_ENOUGH_STAKE = {6013, "NodeNotEnoughStake", "This node has not staked enough tokens."};
static const Error ALREADY_QUEUED = {6014, "NodeAlreadyQueued", "This node is already present in the queue."};
static const Error NFT_OWNER = {6016, "NodeNftWrongOwner", "This NFT is not owned by this node."};
static const Error NFT_AMOUNT = {6017, "NodeNftInvalidAmount", "Access NFT amount cannot be 0."};
static const Error NFT_COLLECTION = {6018, "NodeKeyInvalidCollection", "This access key does not belong to a verified collection."};

/* The runtime's own errors, not a program's numbers. */
#define INVALID_ACCOUNT_DATA (4ULL << 32)
#define UNINITIALIZED_ACCOUNT (10ULL << 32)

typedef struct {
  char text[384];
  u64 len;
} Line;

FUNCTION void add(Line *line, const char *text) {
  while (*text && line->len < sizeof line->text) line->text[line->len++] = *text++;
}

FUNCTION void add_number(Line *line, u64 number) {
  char digits[21];
  int at = 20;
  digits[at] = 0;
  do digits[--at] = (char)('0' + number % 10);
  while (number /= 10);
  add(line, digits + at);
}

INLINE void print(const Line *line) { sol_log_(line->text, line->len); }

FUNCTION void print_text(const char *text) {
  Line line;
  line.len = 0;
  add(&line, text);
  print(&line);
}

/* "AnchorError WHERE. Error Code: … Error Number: … Error Message: …"; Nosana's messages end in a full stop and get a second one. */
FUNCTION u64 print_error(const Error *error, const char *where, const char *account) {
  Line line;
  line.len = 0;
  add(&line, "AnchorError ");
  add(&line, where);
  add(&line, account);
  add(&line, ". Error Code: ");
  add(&line, error->name);
  add(&line, ". Error Number: ");
  add_number(&line, error->number);
  add(&line, ". Error Message: ");
  add(&line, error->message);
  if (error->number >= 6000) add(&line, ".");
  print(&line);
  return error->number;
}

FUNCTION u64 fail_at(const Error *error, const char *account) { return print_error(error, "caused by account: ", account); }

FUNCTION u64 fail(const Error *error) { return print_error(error, "occurred", ""); }

/* Errors of require! carry the source position of the program that they imitate; here it is the instruction's own file. */
FUNCTION u64 fail_in(const Error *error, const char *file) { return print_error(error, "thrown in ", file); }

/* Some errors are followed by what was found and what was wanted. */
FUNCTION u64 fail_keys(const Error *error, const char *account, const Pubkey *left, const Pubkey *right) {
  u64 number = fail_at(error, account);
  print_text("Left:");
  sol_log_pubkey(left);
  print_text("Right:");
  sol_log_pubkey(right);
  return number;
}

FUNCTION void print_signed(const char *label, i64 number) {
  Line line;
  line.len = 0;
  add(&line, label);
  if (number < 0) add(&line, "-");
  add_number(&line, number < 0 ? 0 - (u64)number : (u64)number);
  print(&line);
}

/* A panic of Rust, as its checked arithmetic ends in: the transaction fails as ProgramFailedToComplete. */
FUNCTION u64 panic(const char *why) {
  Line line;
  line.len = 0;
  add(&line, "panicked at nosana_jobs.c:1:1:\n");
  add(&line, why);
  print(&line);
  abort();
  return 1;
}
