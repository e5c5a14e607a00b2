# SPDX-License-Identifier: MIT
"""`./pith bench realtime`: how late a thread of the highest priority runs after its deadline or its device's interrupt, under load
(tests/bench/realtime), in guest instructions. As a program: the test that this is bounded.

With several CPUs the emulator lets them take turns, and its clock counts the instructions of all. What they would have done at the
same time is told from the turns (tools/trace/turns.c): of the time between what was due and the thread, that counts in which the
thread's CPU executed instructions or waited for the kernel's lock."""

import os
import re
import struct
import sys

import bench
import boot
import counting
import kernel_report
import machine
from paths import Failure, build

PROGRAM, IMAGE = build("bench", "realtime.elf"), build("bench", "realtime.img")
PLUGIN = build("tools", "turns.so")
SECONDS = 900
CPUS = (1, 4)
SAMPLES = 1000
FAILED = re.compile(rb"^realtime failed: .*\n", re.M)
SAMPLE = re.compile(r"^(deadline|interrupt) (\w+) (\d+)\r?$", re.M)
PIECE = struct.Struct("<QII")
PAUSED, MARK = 1, 2
NAMES = {"deadline": "realtime_latency", "interrupt": "realtime_irq_latency"}

SHORT = 300
DISPATCH = 5000
LOCKED = 7500


def bound(cpus):
    """A stretch with interrupts off, and the way from there to the thread. With several CPUs the stretch may begin with a wait for
    the lock, behind each other CPU, which lets go of it at its next preemption point."""
    return kernel_report.IRQS_OFF_LIMIT + DISPATCH + (cpus - 1) * LOCKED


def boot_program(samples, cpus, kernel=boot.KERNEL, extra=()):
    """[(kind, load, lateness by the clock)]"""
    boot.make(kernel, IMAGE)
    command = machine.command_line(kernel, IMAGE, append=f"samples={samples}", icount=True, cpus=cpus,
                                   extra=["-device", "isa-debug-exit,iobase=0xf4,iosize=1", *extra])
    with machine.Machine(command) as emulator:
        _, log = bench.collect(emulator, SECONDS, [bench.HALTED, FAILED])
        if "realtime done" not in log:
            raise Failure(f"the benchmark failed:\n{log[-2000:]}\n{emulator.complaint()}")
    return [(kind, load, int(late)) for kind, load, late in SAMPLE.findall(log)]


class Turns:
    """What the plugin wrote: pieces of execution, each up to .ends[i] by CPU .cpus[i]; .marks: those that end with a sample."""

    def __init__(self, path):
        with open(path, "rb") as file:
            pieces = list(PIECE.iter_unpack(file.read()))
        self.ends = [end for end, _, _ in pieces]
        self.cpus = [cpu for _, cpu, _ in pieces]
        self.kinds = [kind for _, _, kind in pieces]
        self.marks = [i for i, kind in enumerate(self.kinds) if kind == MARK]

    def last_of_first_cpu(self, piece):
        while piece >= 0 and self.cpus[piece] != 0:
            piece -= 1
        return piece

    def lateness(self, mark, by_clock):
        """Of that time before the mark, what CPU 0 was executing or waiting for the lock."""
        due = self.ends[mark] - by_clock
        first = mark
        while first > 0 and self.ends[first - 1] > due:
            first -= 1
        before = self.last_of_first_cpu(first - 1)
        waiting = before >= 0 and self.kinds[before] == PAUSED
        late, begin = 0, due
        for i in range(first, mark + 1):
            if self.cpus[i] == 0 or waiting:
                late += self.ends[i] - begin
            if self.cpus[i] == 0:
                waiting = self.kinds[i] == PAUSED
            begin = self.ends[i]
        return late


def measure(samples, cpus):
    """{(kind, load): [instructions]}"""
    out = build("bench", f"turns.{os.getpid()}")
    extra = []
    if cpus > 1:
        boot.make(PLUGIN, IMAGE)
        mark = dict((name, address) for address, name in counting.symbols(PROGRAM))["realtime_mark"]
        extra = ["-plugin", f"file={PLUGIN},mark={mark:#x},out={out}"]
    found = {}
    try:
        rows = boot_program(samples, cpus, extra=extra)
        turns = Turns(out) if cpus > 1 else None
        if turns and len(turns.marks) != len(rows):
            raise Failure(f"{len(rows)} samples, but {len(turns.marks)} marks")
        for number, (kind, load, late) in enumerate(rows):
            found.setdefault((kind, load), []).append(turns.lateness(turns.marks[number], late) if turns else late)
    finally:
        if os.path.exists(out):
            os.unlink(out)
    return found


def histogram(values):
    """Lines, a power of two each."""
    bins = {}
    for value in values:
        bins[value.bit_length()] = bins.get(value.bit_length(), 0) + 1
    for bits in range(min(bins), max(bins) + 1):
        count = bins.get(bits, 0)
        yield f"    < {1 << bits:6} {count:6} {'#' * -(-count * 60 // len(values))}"


def report(cpus=CPUS):
    for count in cpus:
        for (kind, load), values in measure(SAMPLES, count).items():
            print(f"{NAMES[kind]}_max_{load}_{count}cpu {max(values)} instructions")
            print("\n".join(histogram(values)), flush=True)
    return 0


def main():
    found = measure(SHORT, machine.CPUS)
    wrong = False
    for (kind, load), values in found.items():
        print(f"{NAMES[kind]}_max_{load}_{machine.CPUS}cpu {max(values)} instructions, at most {bound(machine.CPUS)}")
        wrong |= not 0 < max(values) <= bound(machine.CPUS)
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"realtime: {failure}")
