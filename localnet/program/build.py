"""Builds the programs of the local network: C to an object by one pinned compiler, the object to an ELF that the Solana runtime loads.

python build.py           writes the ELFs
python build.py --check   rebuilds and compares with those that are checked in, byte for byte
"""
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.metadata
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
# ELF → source and what is defined for it. The fee is a constant of the source in the network's own program as well.
PROGRAMS = {
    "nosana_jobs.so": ("nosana_jobs.c", []),
    "nosana_jobs_fee10.so": ("nosana_jobs.c", ["-DJOB_FEE_FRACTION=10"]),
    "nosana_rewards.so": ("nosana_rewards.c", []),
}
COMPILER = "0.17.1"  # of ziglang; another compiler makes other bytes
FLAGS = [
    "-target",
    "bpfel-freestanding",
    "-mcpu=v2",
    "-O2",
    "-std=c11",
    "-ffreestanding",
    "-fno-builtin",
    "-g0",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-mllvm",
    "-bpf-stack-size=4096",
]

# The runtime maps the image here; pointers into constants are resolved beforehand, so that the image needs no relocation of its own code.
PROGRAM_ADDRESS = 1 << 32

EM_BPF, ET_REL, ET_DYN = 247, 1, 3
SHT_SYMTAB, SHT_NOBITS, SHT_REL = 2, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
R_BPF_64_64, R_BPF_64_ABS64, R_BPF_64_32 = 1, 2, 10
OPCODE_CALL, OPCODE_CALL_REGISTER, OPCODE_LOAD_64 = 0x85, 0x8D, 0x18

SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
FILE_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")


class BuildError(Exception):
    """The object holds something that the oldest form of Solana programs has no place for."""


@dataclass
class Section:
    """A section of the compiler's object."""

    name: str
    type: int
    flags: int
    link: int
    info: int
    alignment: int
    data: bytes


@dataclass
class Symbol:
    """A symbol of the compiler's object; section 0 means that it is a system call."""

    name: str
    section: int
    value: int


def main(arguments: list[str]) -> int:
    """0 when the images were written, or are equal to those that are checked in."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        images = {name: pack(compile_object(source, defined)) for name, (source, defined) in PROGRAMS.items()}
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for name, image in images.items():
        elf = HERE / name
        if not arguments:
            elf.write_bytes(image)
        elif not elf.exists() or elf.read_bytes() != image:
            print(f"{name} is not what its source makes; run `make program` and commit it.", file=sys.stderr)
            return 1
        print(f"{name}: {len(image)} bytes{', equal to a fresh build' if arguments else ''}")
    return 0


def compile_object(source: str, defined: list[str]) -> bytes:
    """The relocatable object of a file in src/."""
    try:
        version = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        raise BuildError(f"The compiler is missing: pip install ziglang=={COMPILER}") from None
    if version != COMPILER:
        raise BuildError(f"The compiler is ziglang {version}, and the image is made with {COMPILER}: pip install ziglang=={COMPILER}")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "program.o"
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *defined, "-c", source, "-o", str(out)]
        result = subprocess.run(command, cwd=HERE / "src", capture_output=True, text=True, check=False)
        if result.returncode:
            raise BuildError(result.stderr.strip())
        return out.read_bytes()


def pack(obj: bytes) -> bytes:
    """The ELF image: code, constants, and for the loader a table of the system calls."""
    sections, symbols = read_object(obj)
    code = [index for index, section in enumerate(sections) if section.flags & SHF_EXECINSTR and section.data]
    constants = [index for index, section in enumerate(sections) if is_constant(section)]
    image = bytearray(FILE_HEADER.size)
    base: dict[int, int] = {}
    text = place(image, sections, code, base)
    rodata = place(image, sections, constants, base)
    system_calls = relocate(image, sections, symbols, base)
    check_code(image, *text)
    return link(image, text, rodata, system_calls, entry=address_of("entrypoint", symbols, base))


def read_object(obj: bytes) -> tuple[list[Section], list[Symbol]]:
    """Sections and symbols of a relocatable object for BPF."""
    header = FILE_HEADER.unpack_from(obj)
    kind, machine, table, count, names_index = header[1], header[2], header[6], header[12], header[13]
    if (kind, machine) != (ET_REL, EM_BPF):
        raise BuildError("The compiler made no object for BPF.")
    headers = [SECTION_HEADER.unpack_from(obj, table + index * SECTION_HEADER.size) for index in range(count)]
    contents = [b"" if entry[1] == SHT_NOBITS else obj[entry[4] : entry[4] + entry[5]] for entry in headers]
    names = contents[names_index]
    sections = [
        Section(text_at(names, entry[0]), entry[1], entry[2], entry[6], entry[7], entry[8], data)
        for entry, data in zip(headers, contents, strict=True)
    ]
    table_of_symbols = next(section for section in sections if section.type == SHT_SYMTAB)
    strings = sections[table_of_symbols.link].data
    symbols = [Symbol(text_at(strings, entry[0]), entry[3], entry[4]) for entry in SYMBOL.iter_unpack(table_of_symbols.data)]
    return sections, symbols


def is_constant(section: Section) -> bool:
    """Whether the section belongs to the program's constants; memory that could be written does not exist there."""
    if not section.flags & SHF_ALLOC or section.flags & SHF_EXECINSTR or not section.data:
        return False
    if section.flags & SHF_WRITE and not section.name.startswith(".data.rel.ro"):
        raise BuildError(f"The section {section.name} could be written, and a program has no such memory.")
    return True


def place(image: bytearray, sections: list[Section], indexes: list[int], base: dict[int, int]) -> tuple[int, int]:
    """Appends sections to the image; returns where the whole begins and how long it is."""
    pad(image, 16)
    start = len(image)
    for index in indexes:
        pad(image, max(sections[index].alignment, 8))
        base[index] = len(image)
        image += sections[index].data
    pad(image, 8)
    return start, len(image) - start


def relocate(image: bytearray, sections: list[Section], symbols: list[Symbol], base: dict[int, int]) -> list[tuple[int, str]]:
    """Resolves what is known now; returns place and name of every system call, which the loader resolves."""
    system_calls = []
    for section in sections:
        if section.type != SHT_REL or section.info not in base:
            continue
        for offset, info in struct.iter_unpack("<QQ", section.data):
            at, symbol, kind = base[section.info] + offset, symbols[info >> 32], info & 0xFFFFFFFF
            known = symbol.section != 0
            if kind == R_BPF_64_32 and not known:
                struct.pack_into("<i", image, at + 4, -1)
                image[at + 1] &= 0x0F
                system_calls.append((at, symbol.name))
            elif not known:
                raise BuildError(f"The address of {symbol.name} is taken, and only its call is possible.")
            elif kind == R_BPF_64_32:
                (addend,) = struct.unpack_from("<i", image, at + 4)
                target = base[symbol.section] + symbol.value + (addend + 1) * 8
                struct.pack_into("<i", image, at + 4, (target - at) // 8 - 1)
            elif kind == R_BPF_64_64:
                (addend,) = struct.unpack_from("<I", image, at + 4)
                address = PROGRAM_ADDRESS + base[symbol.section] + symbol.value + addend
                struct.pack_into("<I", image, at + 4, address & 0xFFFFFFFF)
                struct.pack_into("<I", image, at + 12, address >> 32)
            elif kind == R_BPF_64_ABS64:
                (addend,) = struct.unpack_from("<Q", image, at)
                struct.pack_into("<Q", image, at, PROGRAM_ADDRESS + base[symbol.section] + symbol.value + addend)
            else:
                raise BuildError(f"A relocation of type {kind} is not known.")
    return system_calls


def check_code(image: bytearray, start: int, size: int) -> None:
    """Refuses instructions that the oldest form lacks; calls of our own functions get the form that its loader expects."""
    at = start
    while at < start + size:
        opcode = image[at]
        if opcode in (0xC3, 0xDB) or opcode & 7 == 6:
            raise BuildError(f"The instruction {opcode:#x} at {at:#x} does not exist there.")
        if opcode == OPCODE_CALL_REGISTER:
            raise BuildError("A function is called through a pointer, which this program does without.")
        if opcode == OPCODE_CALL:
            image[at + 1] &= 0x0F
        at += 16 if opcode == OPCODE_LOAD_64 else 8


def link(image: bytearray, text: tuple[int, int], rodata: tuple[int, int], system_calls: list[tuple[int, str]], *, entry: int) -> bytes:
    """Adds the loader's tables and the headers."""
    names = sorted({name for _at, name in system_calls})
    strings, symbols = b"\0", bytes(SYMBOL.size)
    for name in names:
        symbols += SYMBOL.pack(len(strings), 0x10, 0, 0, 0, 0)
        strings += name.encode() + b"\0"
    relocations = b"".join(struct.pack("<QQ", at, (names.index(name) + 1) << 32 | R_BPF_64_32) for at, name in system_calls)

    dynamic_at = len(image)
    symbols_at = dynamic_at + 6 * 16
    strings_at = symbols_at + len(symbols)
    relocations_at = strings_at + len(strings) + -(strings_at + len(strings)) % 8
    dynamic = [(17, relocations_at), (18, len(relocations)), (19, 16), (6, symbols_at), (5, strings_at), (0, 0)]
    image += b"".join(struct.pack("<QQ", *pair) for pair in dynamic) + symbols + strings
    pad(image, 8)
    image += relocations

    # name, type, flags, offset, size, link, info, alignment, size of an entry
    table = [
        ("", 0, 0, 0, 0, 0, 0, 0, 0),
        (".text", 1, 6, *text, 0, 0, 8, 0),
        (".rodata", 1, 2, *rodata, 0, 0, 8, 0),
        (".dynamic", 6, 3, dynamic_at, 6 * 16, 5, 0, 8, 16),
        (".dynsym", 11, 2, symbols_at, len(symbols), 5, 1, 8, SYMBOL.size),
        (".dynstr", 3, 2, strings_at, len(strings), 0, 0, 1, 0),
        (".rel.dyn", 9, 2, relocations_at, len(relocations), 4, 0, 8, 16),
    ]
    section_names = b"\0" + b"".join(row[0].encode() + b"\0" for row in table[1:]) + b".shstrtab\0"
    table.append((".shstrtab", 3, 0, len(image), len(section_names), 0, 0, 1, 0))
    image += section_names
    pad(image, 8)
    headers_at = len(image)
    for name, kind, flags, offset, size, linked, info, alignment, entry_size in table:
        address = offset if flags & SHF_ALLOC else 0
        at = section_names.index(name.encode() + b"\0") if name else 0
        image += SECTION_HEADER.pack(at, kind, flags, address, offset, size, linked, info, alignment, entry_size)
    magic = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    FILE_HEADER.pack_into(
        image,
        0,
        magic,
        ET_DYN,
        EM_BPF,
        1,
        entry,
        0,
        headers_at,
        0,
        FILE_HEADER.size,
        56,
        0,
        SECTION_HEADER.size,
        len(table),
        len(table) - 1,
    )
    return bytes(image)


def address_of(name: str, symbols: list[Symbol], base: dict[int, int]) -> int:
    """Where a function of ours stands in the image."""
    symbol = next(symbol for symbol in symbols if symbol.name == name and symbol.section in base)
    return base[symbol.section] + symbol.value


def pad(image: bytearray, alignment: int) -> None:
    """Zero bytes up to a multiple of the alignment."""
    image += bytes(-len(image) % alignment)


def text_at(strings: bytes, at: int) -> str:
    """A zero-terminated string of a string table."""
    return strings[at : strings.index(b"\0", at)].decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
