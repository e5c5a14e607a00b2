# SPDX-License-Identifier: MIT
"""`./pith bench kernel --profile METRIC`: every instruction that one metric's loop executes, counted by tools/trace."""

import bisect
import os
import subprocess

import bench
import boot
from paths import Failure, build

PLUGIN = build("tools", "trace.so")
PROGRAM = build("bench", "kernel.elf")


def symbols(path):
    """[(address, name)] of a program's functions, in order."""
    lines = subprocess.run(["nm", "-n", path], check=True, capture_output=True, text=True).stdout.splitlines()
    words = [line.split() for line in lines]
    return [(int(w[0], 16), w[2]) for w in words if len(w) == 3 and w[1] in "tTiI"]


def count(begin, end, append="", extra=()):
    """[(address, executions, bytes, text)] of what is executed from one address to another, and the benchmark's metrics."""
    boot.make(PLUGIN, bench.KERNEL_IMAGE, boot.KERNEL)
    out = build("bench", f"trace.{os.getpid()}")
    plugin = f"file={PLUGIN},from={begin:#x},until={end:#x},out={out}"
    try:
        metrics = bench.boot_kernel_bench(append, ["-plugin", plugin, *extra])
        with open(out) as file:
            words = [line.split(None, 3) for line in file]
    except FileNotFoundError:
        raise Failure("the emulator wrote no trace") from None
    finally:
        if os.path.exists(out):
            os.unlink(out)
    return sorted((int(w[0], 16), int(w[1]), bytes.fromhex(w[2]), w[3].strip()) for w in words), metrics


class Trace:
    """.instructions: [(address, executions, bytes, text)] by address; .total."""

    def __init__(self, metric, extra=()):
        boot.make(bench.KERNEL_IMAGE)
        program = {name: address for address, name in symbols(PROGRAM)}
        self.instructions, self.metrics = count(program["trace_from"], program["trace_until"], f"profile={metric}", extra)
        if metric not in self.metrics:
            raise Failure(f"no such metric: {metric}")
        self.total = sum(count for _, count, _, _ in self.instructions)
        self.names = sorted(symbols(boot.KERNEL) + symbols(PROGRAM))

    def function(self, address):
        at = bisect.bisect_right(self.names, (address, "\x7f")) - 1
        return self.names[at][1] if at >= 0 else "?"


def report(metric):
    """Functions by their share of one round, then every instruction, with its executions a round."""
    trace = Trace(metric)
    value, unit = trace.metrics[metric]
    rounds = trace.total / value
    functions = {}
    for address, count, _, _ in trace.instructions:
        name = trace.function(address)
        functions[name] = functions.get(name, 0) + count
    print(f"{metric}: {value:.0f} {unit}")
    for name, count in sorted(functions.items(), key=lambda item: -item[1]):
        print(f"{count / rounds:9.2f}  {name}")
    last = None
    for address, count, _, text in trace.instructions:
        if count / rounds < 0.1:
            continue
        if trace.function(address) != last:
            last = trace.function(address)
            print(f"\n{last}:")
        print(f"{count / rounds:9.2f}  {address:x}  {text}")
    return 0
