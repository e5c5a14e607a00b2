#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pack.py PROGRAM IMAGE: a boot image whose first component is a static ELF program, and whose archive is empty.

The kernel's tests have no manifest; tools/mkboot packs images for systems that have one.
"""

import os
import struct
import sys

PAGE = 4096
MAGIC, VERSION, SEGMENTS = 0x31544F4F42485450, 1, 8
PT_LOAD = 1
READ, WRITE, EXECUTE = 1, 2, 4


def load_segments(elf):
    entry, table = struct.unpack_from("<QQ", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 54)
    found = []
    for i in range(count):
        kind, flags, offset, address, _, file_size, memory_size, _ = struct.unpack_from("<IIQQQQQQ", elf, table + i * size)
        if kind != PT_LOAD:
            continue
        rights = (READ if flags & 4 else 0) | (WRITE if flags & 2 else 0) | (EXECUTE if flags & 1 else 0)
        shift = address % PAGE
        found.append((address - shift, elf[offset - shift:offset + file_size], memory_size + shift, rights))
    return entry, found


def main():
    program, image = sys.argv[1:]
    with open(program, "rb") as f:
        entry, segments = load_segments(f.read())
    assert len(segments) <= SEGMENTS
    body, table = b"", b""
    for address, data, memory_size, rights in segments:
        table += struct.pack("<5Q", address, PAGE + len(body), len(data), memory_size, rights)
        body += data + b"\0" * (-len(data) % PAGE)
    table += b"\0" * (40 * (SEGMENTS - len(segments)))
    size = PAGE + len(body) + PAGE
    header = struct.pack("<5Q", MAGIC, VERSION, size, entry, len(segments)) + table
    header += struct.pack("<2Q", size - PAGE, 0)
    with open(f"{image}.new", "wb") as f:
        f.write(header + b"\0" * (PAGE - len(header)) + body + b"\0" * PAGE)
    os.rename(f"{image}.new", image)  # somebody may be booting it


if __name__ == "__main__":
    main()
