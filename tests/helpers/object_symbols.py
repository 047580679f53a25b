"""The symbols of object files: ELF of Linux, Mach-O of macOS, COFF of Windows, all of 64 bits.

System V ABI, *Object Files*; Apple, *Mach-O Programming Topics*; Microsoft, *PE Format*.
"""

import struct

#: All that object code may ask of its surroundings. None of these allocates.
C_LIBRARY = {"memcpy", "memmove", "memset", "pow", "cos", "fma", "fmaf", "sched_yield", "SwitchToThread"}
#: Those of macOS besides.
C_LIBRARY |= {"bzero", "__bzero", "memset_pattern4", "memset_pattern8", "memset_pattern16"}
#: Names that every object of LLVM has and no call goes to.
_NOT_FUNCTIONS = {"_GLOBAL_OFFSET_TABLE_", "_fltused", "@feat.00"}
_MACHINES = {183: "arm64", 62: "x86_64", 0x0100000C: "arm64", 0x01000007: "x86_64", 0x8664: "x86_64"}


def symbols(code):
    """Names of the defined global and of the undefined symbols of an object file, as C has them."""
    read = {b"\x7fELF": _elf, b"\xcf\xfa\xed\xfe": _macho}.get(code[:4], _coff)
    defined, undefined = set(), set()
    for name, is_global, is_defined in read(code):
        if name not in _NOT_FUNCTIONS and is_global:
            (defined if is_defined else undefined).add(name)
    return defined, undefined


def machine(code):
    """The kind of CPU that an object file is for, and the file's format."""
    if code[:4] == b"\x7fELF":
        return _MACHINES[struct.unpack_from("<H", code, 18)[0]], "ELF"
    if code[:4] == b"\xcf\xfa\xed\xfe":
        return _MACHINES[struct.unpack_from("<I", code, 4)[0]], "Mach-O"
    return _MACHINES[struct.unpack_from("<H", code)[0]], "COFF"


def _text(code, at):
    return code[at : code.index(b"\0", at)].decode()


def _elf(code):
    assert code[:6] == b"\x7fELF\x02\x01", "not a little-endian ELF64 file"
    (table_at,) = struct.unpack_from("<Q", code, 0x28)
    size, count = struct.unpack_from("<HH", code, 0x3A)
    # A section header: name, type, flags, address, offset, size, link, info, alignment, entry size.
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, table_at + i * size) for i in range(count)]
    for section in sections:
        if section[1] != 2:  # SHT_SYMTAB
            continue
        strings = sections[section[6]][4]
        for at in range(section[4] + 24, section[4] + section[5], 24):  # the first entry is empty
            name_at, info, _, index = struct.unpack_from("<IBBH", code, at)
            yield _text(code, strings + name_at), index == 0 or info >> 4 == 1, index != 0  # STB_GLOBAL


def _macho(code):
    (commands,) = struct.unpack_from("<I", code, 16)
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", code, at)
        if command == 2:  # LC_SYMTAB
            table, count, strings = struct.unpack_from("<III", code, at + 8)
            for entry in range(table, table + 16 * count, 16):
                name_at, kind = struct.unpack_from("<IB", code, entry)
                # A name of C has an underscore before it. N_EXT is bit 0; the type N_SECT is 0xe, N_UNDF 0.
                yield _text(code, strings + name_at).removeprefix("_"), bool(kind & 1), bool(kind & 0x0E)
        at += size


def _coff(code):
    table, count = struct.unpack_from("<II", code, 8)
    strings, at = table + 18 * count, table
    while at < strings:
        short, _, section, _, storage, auxiliary = struct.unpack_from("<8sIhHBB", code, at)
        long = short[:4] == bytes(4)
        name = (
            _text(code, strings + int.from_bytes(short[4:], "little"))
            if long
            else short.rstrip(b"\0").decode()
        )
        # Of constants there is one copy however many objects have them, so their names are global.
        is_constant = name.startswith(("__real@", "__xmm@", "__ymm@", "__zmm@"))
        yield name, storage == 2 and not is_constant, section != 0  # IMAGE_SYM_CLASS_EXTERNAL
        at += 18 * (1 + auxiliary)
