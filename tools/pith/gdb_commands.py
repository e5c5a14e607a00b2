# SPDX-License-Identifier: MIT
"""Commands for gdb inside `./pith debug`: pith-symbols, pith-threads. Runs in gdb's own Python."""

import glob
import os
import struct

import gdb

HERE = os.path.dirname(os.path.abspath(__file__))
COMPONENTS = os.path.join(HERE, "..", "..", "build", "components")
DIRECT_MAP = 0xffff800000000000
ORIGINAL = 1


class Symbols(gdb.Command):
    """pith-symbols NAME: add the symbols of a component.
Components' address spaces overlap: load the one that you look at; `pith-symbols` alone lists them."""

    def __init__(self):
        super().__init__("pith-symbols", gdb.COMMAND_FILES)

    @staticmethod
    def names():
        return sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(COMPONENTS, "*.elf")))

    def complete(self, text, word):
        return [name for name in self.names() if name.startswith(text)]

    def invoke(self, argument, from_tty):
        name = argument.strip()
        if name not in self.names():
            raise gdb.GdbError(f"pith-symbols NAME, one of: {', '.join(self.names())}")
        gdb.execute(f"add-symbol-file {os.path.realpath(os.path.join(COMPONENTS, name + '.elf'))}")


def constant(name):
    return int(gdb.parse_and_eval(name))


def capabilities():
    """All slots of the derivation tree, without recursion: gdb's is slow enough."""
    stack = [gdb.parse_and_eval("&slot_forest")["child"]]
    while stack:
        slot = stack.pop()
        while int(slot):
            yield slot
            if int(slot["child"]):
                stack.append(slot["child"])
            slot = slot["next"]


def code_pages():
    """{address of a page of code: [(component, its bytes)]} of all components."""
    pages = {}
    for name in Symbols.names():
        with open(os.path.join(COMPONENTS, name + ".elf"), "rb") as f:
            image = f.read()
        headers, = struct.unpack_from("<Q", image, 32)
        size, count = struct.unpack_from("<HH", image, 54)
        for at in range(headers, headers + size * count, size):
            kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", image, at)
            if kind == 1 and flags & 1:
                for page in range(0, length - 4095, 4096):
                    pages.setdefault(address + page, []).append((name, image[offset + page:offset + page + 4096]))
    return pages


def physical(root, address):
    """Through page tables; None: not mapped."""
    for shift in (39, 30, 21, 12):
        entry = read_memory(root + (address >> shift & 511) * 8, 8)
        entry = int.from_bytes(entry, "little")
        if not entry & 1:
            return None
        root = entry & 0x000ffffffffff000
        if shift == 12 or entry & 128:
            return (root & -(1 << shift)) | address & ((1 << shift) - 1)
    return None


def read_memory(address, size):
    """Of physical memory, which the kernel maps."""
    return bytes(gdb.selected_inferior().read_memory(DIRECT_MAP + address, size))


class Threads(gdb.Command):
    """pith-threads: all threads of the system, what they do, where they are in user mode and in which component.
(`info threads` lists the CPUs.)"""

    def __init__(self):
        super().__init__("pith-threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        try:
            self.show()
        except gdb.MemoryError:
            raise gdb.GdbError("the kernel does not run yet: `hbreak kernel_main`, `continue`") from None

    def show(self):
        thread_type = gdb.lookup_type("struct thread").pointer()
        states = {field.enumval: field.name.removeprefix("THREAD_STATE_").lower().replace("_", "-")
                  for field in gdb.lookup_type("enum thread_state").fields()}
        kind, found = constant("OBJECT_THREAD"), []
        for slot in capabilities():
            if int(slot["type"]) == kind and int(slot["flags"]) & ORIGINAL:
                found.append(slot["object"].cast(thread_type))
        print(f"{'thread':18} {'state':14} {'priority':>8} {'CPU':>3} {'ms':>9}  {'instruction':>14}  runs")
        self.pages = code_pages()
        for thread in sorted(found, key=int):
            t = thread.dereference()
            print(f"{int(thread):#18x} {states.get(int(t['state']), '?'):14} {int(t['priority']):8} {int(t['cpu']['index']):3} "
                  f"{self.milliseconds(t):9.1f} {int(t['context']['rip']):#14x}  {self.program(t)}")

    def program(self, t):
        """The component whose code lies where it executes."""
        space = t["bindings"][constant("BIND_VSPACE")]["object"]
        if not int(space):
            return ""
        if int(t["flags"]) & constant("THREAD_FOREIGN"):
            return "(a Linux program)"
        page = int(t["context"]["rip"]) & -4096
        place = physical(int(space.cast(gdb.lookup_type("struct vspace").pointer())["arch"]["root"]), page)
        there = read_memory(place, 4096) if place is not None else None
        return next((name for name, code in self.pages.get(page, ()) if code == there), "?")

    @staticmethod
    def milliseconds(t):
        """CPU time of the thread's own scheduling context."""
        context = t["bindings"][constant("BIND_SCHED_CONTEXT")]["object"]
        if not int(context):
            return 0.0
        return int(context.cast(gdb.lookup_type("struct sched_context").pointer())["consumed"]) / 1e6


Symbols()
Threads()
