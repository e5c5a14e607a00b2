# SPDX-License-Identifier: MIT
"""What `./pith bench kernel` says of the kernel as a whole: sizes, boot, wall time, and how long it keeps interrupts out.

As a program: the test that no stretch with interrupts off is longer than it may be.
"""

import contextlib
import os
import re
import subprocess
import sys

import bench
import boot
import kernel_test
import machine
import trace
from paths import Failure, build, root

IRQS_OFF_LIMIT = 20000
COMMENT = re.compile(r"/\*.*?\*/", re.S)
TEST_PROGRAMS = ("kernel", "kernel-objects")
WALL_RUNS = 3


def sections():
    """{section: bytes} of the kernel's file."""
    lines = subprocess.run(["size", "-A", boot.KERNEL], check=True, capture_output=True, text=True).stdout.splitlines()
    return {words[0]: int(words[1]) for words in map(str.split, lines) if len(words) == 3 and words[1].isdigit()}


def sizes():
    """Text is rounded up to pages; read-only data holds the names of all functions, for backtraces."""
    found = sections()
    yield "kernel_text", found[".boot"] + found[".text"], "bytes"
    yield "kernel_rodata", found[".rodata"], "bytes"
    yield "kernel_data", found[".data"] + found[".bss"], "bytes"


def lines():
    files = [path for folder, _, names in os.walk(root("kernel")) for path in (os.path.join(folder, n) for n in names)]
    count = {".c": 0, ".S": 0, ".h": 0}
    code = 0
    for path in files:
        ending = os.path.splitext(path)[1]
        if ending in count:
            with open(path) as f:
                text = f.read()
            count[ending] += text.count("\n")
            if ending != ".h":
                code += sum(bool(line.strip()) for line in COMMENT.sub("", text).splitlines())
    yield "kernel_lines", count[".c"] + count[".S"], "lines"
    yield "kernel_code_lines", code, "lines"  # without comments and empty lines
    yield "kernel_header_lines", count[".h"], "lines"


def objects():
    names = trace.macro_names(root("abi", "include", "abi", "object.h"), "OBJECT", keyed_by_name=True)
    for name, bits in names.items():
        if bits:
            yield f"object_{name.removeprefix('OBJECT_').lower()}", 1 << bits, "bytes"
    yield "object_slot", 64, "bytes"


def boot_to_user():
    """From the kernel's first instruction to that of the first component: most of it waits for the clock that the TSC is
    measured with."""
    import counting
    kernel, program = (dict((name, address) for address, name in counting.symbols(path)) for path in (boot.KERNEL, counting.PROGRAM))
    counted, _ = counting.count(kernel["boot_pvh"], program["_start"])
    yield "boot_to_user", sum(count for _, count, _, _ in counted), "instructions"


def wall_times(append=""):
    """The counted operations again, on a clock of ours: the best of some runs."""
    best = {}
    for _ in range(WALL_RUNS):
        for name, (value, _) in bench.kernel_operations(append=f"wall{append}", icount=False).items():
            best[name] = min(best.get(name, value), value)
    for name, value in best.items():
        yield name, value, "ns"


def kpti():
    """The operations again, with page table isolation."""
    for name, (value, unit) in bench.kernel_operations(append="kpti=on").items():
        yield f"kpti_{name}", value, unit
    for name, value, unit in wall_times(" kpti=on"):
        yield f"kpti_{name}", value, unit


def pairs():
    """Client and server on one CPU, and two such pairs on two CPUs at the same time: round trips in a time. The emulator has a
    thread for each CPU."""
    metrics = bench.boot_kernel_bench("pairs", icount=False, cpus=2, accel=["-accel", "tcg,thread=multi", *machine.TCG[2:]])
    for name, (value, unit) in metrics.items():
        yield name, value, unit
    yield "pairs_ratio", metrics["wall_one_pair_roundtrip"][0] / metrics["wall_two_pairs_roundtrip"][0], "ratio"


@contextlib.contextmanager
def traced_machine(image, devices=(), append=""):
    """A machine with one CPU that runs the image on the kernel with the trace, and its memory."""
    boot.make(trace.KERNEL, image)
    memory = trace.Memory("512M")
    try:
        command = machine.command_line(trace.KERNEL, image, append, memory="512M", icount=True, cpus=1,
                                       extra=["-device", "isa-debug-exit,iobase=0xf4,iosize=1", *devices, *memory.options()])
        with machine.Machine(command) as emulator:
            yield emulator, memory
    finally:
        memory.close()


@contextlib.contextmanager
def traced(program, devices=(), append=""):
    """The trace of one of the kernel's test programs."""
    with traced_machine(build("tests", f"{program}.img"), devices, append) as (emulator, memory):
        _, log = bench.collect(emulator, kernel_test.SECONDS, [bench.HALTED, kernel_test.GIVEN_UP])
        result = kernel_test.RESULT.search(log)
        if not result or result[1] != "0":
            raise Failure(f"the kernel's tests do not pass with the trace:\n{log[-2000:]}")
        yield trace.Trace(memory)


def longest(found, program):
    ticks, entered = found.longest()
    return ticks, f"{program}: {trace.Words().entry(entered, False)}, capability {entered.b}, at {entered.d:#x}"


def irqs_off(program, devices=()):
    """(instructions, words): the longest time that an interrupt can have waited in one of the kernel's test programs. What the
    trace itself costs is in it."""
    with traced(program, devices) as found:
        return longest(found, program)


def irqs_off_unread():
    """The same of the benchmark, where nobody reads the line that it prints on."""
    with traced_machine(bench.KERNEL_IMAGE) as (emulator, memory):
        emulator.process.wait(bench.KERNEL_SECONDS)
        return longest(trace.Trace(memory), "unread")


def irqs_off_all():
    yield from (irqs_off(program) for program in TEST_PROGRAMS)
    yield from (irqs_off("kernel", kernel_test.iommu(bits)) for bits in (39, 48))
    yield irqs_off_unread()


def irqs_off_max():
    worst, where = max(irqs_off_all())
    yield "irqs_off_max", worst, "instructions"
    print(f"irqs_off_max: in {where}", file=sys.stderr)


def metrics():
    for part in (sizes, lines, objects, boot_to_user, irqs_off_max, wall_times, pairs, kpti):
        yield from part()


def main():
    failed = False
    for ticks, where in irqs_off_all():
        print(f"interrupts off for at most {ticks} instructions: {where}")
        failed |= not 0 < ticks <= IRQS_OFF_LIMIT
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"kernel tests: {failure}")
