# SPDX-License-Identifier: MIT
"""`./pith trace`: what ran when, and who used the time, from the rings of a kernel that writes them (build/kernel-trace).

The emulated machine's memory is a file of ours that has no name: the rings are read out of it when the machine has
stopped, however it stopped. Layouts are those of kernel/include/kernel/trace.h and kernel/core/trace.c.
"""

import bisect
import collections
import heapq
import json
import mmap
import os
import re
import struct
import subprocess
import sys

import boot
import execute
import machine
from paths import Failure, build, root

KERNEL = build("kernel-trace", "pith.elf")
KERNEL_IMAGE = 0xffffffff80000000
MAGIC = 0x3145434152544950
ENTER, EXIT, IDLE, POLL, VSPACE, MESSAGE, REPLY, SIGNAL, MARK = range(1, 10)
VECTOR_SYSCALL = 0x100
MESSAGE_KINDS = ("call", "send", "fault", "foreign call")
# <abi/syscall.h>, <abi/object.h>
SYSCALL_INVOKE = 9

STATE = struct.Struct("<7Q")
EVENT = struct.Struct("<QHHI6Q")
RING = struct.Struct("<3Q")
RING_BYTES = RING.size + 2 * EVENT.size + 8
NAME = struct.Struct("<QQ48s")

Event = collections.namedtuple("Event", "time kind cpu detail thread a b c d e")


def symbols_of(path):
    """[(address, name)] of an ELF file, sorted."""
    text = subprocess.run(["nm", "-n", "--defined-only", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [(int(line.split()[0], 16), line.split()[2]) for line in text.splitlines()]


class Memory:
    """The emulated machine's RAM: a file without a name."""

    def __init__(self, size):
        self.size = int(size[:-1]) << 20  # machine.parse_size gives MiB
        self.descriptor = os.memfd_create("pith-memory")
        os.ftruncate(self.descriptor, self.size)

    def options(self):
        path = f"/proc/{os.getpid()}/fd/{self.descriptor}"
        return ["-object", f"memory-backend-file,id=ram,size={self.size},mem-path={path},share=on",
                "-machine", "memory-backend=ram"]

    def close(self):
        os.close(self.descriptor)


class Trace:
    """The rings and names that a kernel left in memory."""

    def __init__(self, memory, kernel=KERNEL):
        self.symbols = dict((name, address) for address, name in symbols_of(kernel))
        self.map = mmap.mmap(memory.descriptor, memory.size, prot=mmap.PROT_READ)
        state = self.symbols["trace_state"] - KERNEL_IMAGE
        magic, self.cpus, self.offset, names, capacity, written, self.cost = STATE.unpack_from(self.map, state)
        if magic != MAGIC:
            raise Failure("there is no trace: the kernel did not get that far")
        self.hz = struct.unpack_from("<Q", self.map, self.symbols["time_tsc_hz"] - KERNEL_IMAGE)[0] or 10**9
        self.rings = [self.read_ring(state + STATE.size + i * RING_BYTES) for i in range(self.cpus)]
        self.read_names(names - self.offset, capacity, written)

    def read_ring(self, at):
        events, capacity, written = RING.unpack_from(self.map, at)
        longest_entered = Event._make(EVENT.unpack_from(self.map, at + RING.size + EVENT.size))
        longest = struct.unpack_from("<Q", self.map, at + RING.size + 2 * EVENT.size)[0]
        return events - self.offset, capacity, written, longest, longest_entered

    def read_names(self, base, capacity, written):
        """{thread: ([time], [name])}: a name holds from then on."""
        self.names = {}
        self.first_named = {}
        for i in range(max(0, written - capacity), written):
            time, thread, text = NAME.unpack_from(self.map, base + i % capacity * NAME.size)
            text = text.rstrip(b"\0").decode(errors="replace")
            times, texts = self.names.setdefault(thread, ([], []))
            times.append(time)
            texts.append(text)
            self.first_named.setdefault(text.partition("[")[0], time)

    def events(self, cpu):
        start, capacity, written, _, _ = self.rings[cpu]
        used = min(capacity, written)
        first = (written - used) % capacity if capacity else 0
        for low, high in ((first, min(first + used, capacity)), (0, first + used - capacity)):
            if low < high:
                data = memoryview(self.map)[start + low * EVENT.size:start + high * EVENT.size]
                yield from map(Event._make, EVENT.iter_unpack(data))

    def all_events(self):
        if self.cpus == 1:
            return self.events(0)
        return heapq.merge(*(self.events(cpu) for cpu in range(self.cpus)))

    def lost(self):
        return sum(max(0, written - capacity) for _, capacity, written, _, _ in self.rings)

    def longest(self):
        """(ticks, event that began it): the longest time with interrupts off."""
        return max(((longest, entered) for _, _, _, longest, entered in self.rings), key=lambda pair: pair[0])

    def name(self, thread, time):
        if not thread:
            return "idle"
        times, texts = self.names.get(thread, ((), ()))
        at = bisect.bisect_right(times, time) - 1
        return (texts[at] if at >= 0 else "") or f"thread@{thread - self.offset:x}"
