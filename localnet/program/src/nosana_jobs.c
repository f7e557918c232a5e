/* The jobs program of the local network: finds the instruction that is asked for and runs it. */
/* SPDX-FileCopyrightText: 2026 The nosana.compute contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#include "instructions.h"

/* An instruction begins with sha256("global:NAME")[:8], here read as a little-endian number. */
FUNCTION u64 dispatch(Input *input) {
  if (input->data_len < 8) return fail(&FALLBACK_NOT_FOUND);
  switch (read_u64(input->data)) {
    case 0x2d3cbdc7479bdce4ULL:
      print_text("Instruction: Open");
      return open(input);
    case 0x7ffd3f9eb058c8dbULL:
      print_text("Instruction: Update");
      return update(input);
    case 0x60ce416cb1c9a562ULL:
      print_text("Instruction: Close");
      return close(input);
    case 0xbd91a1d08eb9b6caULL:
      print_text("Instruction: CloseAdmin");
      return close_admin(input);
    case 0x2684291143c1ae36ULL:
      print_text("Instruction: List");
      return list(input);
    case 0x87402951cb7d4249ULL:
      print_text("Instruction: Assign");
      return assign(input);
    case 0x1f04ad6b6bcd8837ULL:
      print_text("Instruction: Delist");
      return delist(input);
    case 0xa8369ae301007fe4ULL:
      print_text("Instruction: Extend");
      return extend(input);
    case 0x104679c2d9f9a0b4ULL:
      print_text("Instruction: End");
      return end(input);
    case 0x1174926d3a26d86cULL:
      print_text("Instruction: Recover");
      return recover(input);
    case 0x2fe589d7c32d430fULL:
      print_text("Instruction: Work");
      return work(input);
    case 0x9bb8fdab3c20852aULL:
      print_text("Instruction: Stop");
      return stop(input);
    case 0xd26c9fd5c1d6c63eULL:
      print_text("Instruction: Claim");
      return claim(input);
    case 0x4c58198893e04d00ULL:
      print_text("Instruction: Complete");
      return complete(input);
    case 0x25b6e97d84aa4a43ULL:
      print_text("Instruction: Finish");
      return finish(input);
    case 0x99678150f08d67bfULL:
      print_text("Instruction: Quit");
      return quit(input);
    case 0xc43814b6086eee67ULL:
      print_text("Instruction: QuitAdmin");
      return quit_admin(input);
    case 0x6701fb968038bffaULL:
      print_text("Instruction: Clean");
      return clean(input);
    case 0x69abebfd44bc5af5ULL:
      print_text("Instruction: CleanAdmin");
      return clean_admin(input);
    case 0x1d9acb512ea545e4ULL: /* Anchor's own, for events of a program to itself */
      return fail(&EVENT_STUB);
    default:
      return fail(&FALLBACK_NOT_FOUND);
  }
}

u64 entrypoint(const u8 *serialized) {
  Input input;
  parse_input(serialized, &input);
  return dispatch(&input);
}
