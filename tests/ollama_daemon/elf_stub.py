"""Write a small x86-64 ELF shared object without a compiler.

Needed by `install.py`: the wheels' Ollama links against a GPU library that we replace by functions
which return 0 or hand over to another library's function.
"""

import struct
from collections.abc import Mapping

PAGE = 0x1000
GLOBAL, GLOBAL_FUNC = 0x10, 0x12
GLOB_DAT = 6
ELF_HEADER, PROGRAM_HEADER, SYMBOL, RELOCATION, DYNAMIC = 64, 56, 24, 24, 16
DYNAMIC_ENTRIES = 9

RETURN_ZERO = b"\x31\xc0\xc3"  # xor eax, eax; ret
CALL_WITH_ZEROS = b"\x31\xff\x31\xf6\xff\x25"  # xor edi, edi; xor esi, esi; jmp [rip + n]


def stub(functions: Mapping[str, str | None]) -> bytes:
    """The bytes of a library that exports `functions`.

    A name with None returns 0; a name with a target returns target(0, 0), where the dynamic linker
    finds the target in the libraries already loaded. Everything must fit one 4 KiB page.

    Layout: page 0 (read, execute) holds headers, hash, symbols, relocations, strings and code;
    page 1 (read, write) the dynamic section, then one pointer for each target.
    """
    targets = sorted({target for target in functions.values() if target})
    names = [*functions, *targets]
    strings, name_at = _string_table(names)
    pointer_at = {t: PAGE + DYNAMIC * DYNAMIC_ENTRIES + 8 * i for i, t in enumerate(targets)}
    writable = DYNAMIC * DYNAMIC_ENTRIES + 8 * len(targets)

    hash_at = ELF_HEADER + 3 * PROGRAM_HEADER
    hashes = _hash_table(len(functions), len(targets))
    symbols_at = hash_at + len(hashes) + -len(hashes) % 8
    relocations_at = symbols_at + SYMBOL * (1 + len(names))
    strings_at = relocations_at + RELOCATION * len(targets)
    code_at = strings_at + len(strings)

    code, symbols = _code(functions, name_at, pointer_at, code_at)
    symbols += b"".join(_symbol(name_at[t], 0, 0, 0) for t in targets)
    relocations = b"".join(
        struct.pack("<QQq", pointer_at[t], (1 + names.index(t)) << 32 | GLOB_DAT, 0)
        for t in targets
    )
    dynamic = b"".join(
        struct.pack("<qQ", tag, value)
        for tag, value in [
            (4, hash_at),  # DT_HASH
            (5, strings_at),  # DT_STRTAB
            (6, symbols_at),  # DT_SYMTAB
            (10, len(strings)),  # DT_STRSZ
            (11, SYMBOL),  # DT_SYMENT
            (7, relocations_at),  # DT_RELA
            (8, len(relocations)),  # DT_RELASZ
            (9, RELOCATION),  # DT_RELAENT
            (0, 0),
        ]
    )
    if code_at + len(code) > PAGE:
        raise ValueError("too many functions for one page")

    out = _headers(code_at + len(code), writable, len(dynamic))
    for at, data in (
        (hash_at, hashes),
        (symbols_at, symbols),
        (relocations_at, relocations),
        (strings_at, strings),
        (code_at, code),
        (PAGE, dynamic),
    ):
        out = out.ljust(at, b"\0") + data
    return out.ljust(PAGE + writable, b"\0")


def _string_table(names: list[str]) -> tuple[bytes, dict[str, int]]:
    table, name_at = b"\0", {}
    for name in names:
        name_at[name] = len(table)
        table += name.encode() + b"\0"
    return table, name_at


def _hash_table(exported: int, imported: int) -> bytes:
    """A SysV hash table with one bucket: a chain through every exported symbol."""
    chain = [0, *range(2, exported + 1), 0, *[0] * imported]
    return struct.pack(f"<{3 + len(chain)}I", 1, len(chain), 1, *chain)


def _symbol(name: int, section: int, address: int, size: int) -> bytes:
    return struct.pack(
        "<IBBHQQ", name, GLOBAL_FUNC if section else GLOBAL, 0, section, address, size
    )


def _code(
    functions: Mapping[str, str | None],
    name_at: Mapping[str, int],
    pointer_at: Mapping[str, int],
    code_at: int,
) -> tuple[bytes, bytes]:
    code, symbols = b"", bytes(SYMBOL)
    for name, target in functions.items():
        at = code_at + len(code)
        symbols += _symbol(name_at[name], 1, at, 1)
        if target:
            past_jump = at + len(CALL_WITH_ZEROS) + 4
            code += CALL_WITH_ZEROS + struct.pack("<i", pointer_at[target] - past_jump)
        else:
            code += RETURN_ZERO
    return code, symbols


def _headers(text: int, writable: int, dynamic: int) -> bytes:
    def segment(kind: int, flags: int, at: int, size: int, align: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, size, align)

    elf = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    elf += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    load, dynamic_segment = 1, 2
    return (
        elf
        + segment(load, 5, 0, text, PAGE)
        + segment(load, 6, PAGE, writable, PAGE)
        + segment(dynamic_segment, 6, PAGE, dynamic, 8)
    )
