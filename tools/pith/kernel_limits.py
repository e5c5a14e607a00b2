# SPDX-License-Identifier: MIT
"""The test that the kernel's operations cost no more instructions than they may, with one CPU and with four, and that a round
trip on one CPU of four executes no lock, no atomic instruction and sends no interrupt."""

import re
import sys

import bench
import boot
import counting
import machine
from paths import Failure

# Guest instructions, kernel and user stub together.
LIMITS = {
    "ipc_roundtrip_0w": 300,
    "ipc_roundtrip_4w": 320,
    "ipc_roundtrip_6w": 320,
    "ipc_roundtrip_64w": 700,
    "ipc_roundtrip_cap": 900,
    "notify_pingpong": 650,
    "notify_no_waiter": 150,
    "poll_empty": 120,
    "foreign_syscall": 330,
    "fault_map_reply": 700,
    "map_unmap_page": 500,
    "map_scatter_page": 30,
    "yield_oneway": 150,
}
SEVERAL = 4
SEVERAL_FACTOR = 1.1
SEVERAL_PREFIX = "ipc_"
# What a round may do that concerns other CPUs: nothing between threads of one CPU, whatever they do. The others show that it
# would be found.
BETWEEN_CPUS = {
    "ipc_roundtrip_0w": set(),
    "ipc_roundtrip_64w": set(),
    "notify_pingpong": set(),
    "yield_oneway": set(),
    "foreign_syscall": set(),
    "map_unmap_page": {"lock"},
    "ipc_roundtrip_remote": {"lock", "interrupt"},
}

LOCK_PREFIX = 0xf0
PREFIXES = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3}
XCHG = {0x86, 0x87}
WRMSR = b"\x0f\x30"
APIC_FUNCTION = re.compile(r"apic_write|apic_send|arch_ipi")


def opcode(code):
    """The instruction without prefixes; None: it has a lock prefix."""
    for at, byte in enumerate(code):
        if byte == LOCK_PREFIX:
            return None
        if byte not in PREFIXES and not 0x40 <= byte <= 0x4f:
            return code[at:]
    return b""


def between_cpus(code, function):
    """"lock": a locked instruction, or an exchange with memory, which is locked without saying so; "interrupt": one that may send
    an interrupt; else None."""
    rest = opcode(code)
    if rest is None or (rest[:1] and rest[0] in XCHG and rest[1] < 0xc0):
        return "lock"
    return "interrupt" if rest[:2] == WRMSR or APIC_FUNCTION.search(function) else None


def found_between_cpus(trace, metric):
    """{kind: the functions that execute it in a round}; once in a thousand rounds the timer comes."""
    rounds = trace.total / trace.metrics[metric][0]
    found = {}
    for address, count, code, _ in trace.instructions:
        function = trace.function(address)
        kind = between_cpus(code, function)
        if kind and count * 2 >= rounds:
            found.setdefault(kind, set()).add(function)
    return found


def with_cpus(cpus, action):
    before, machine.CPUS = machine.CPUS, cpus
    try:
        return action()
    finally:
        machine.CPUS = before


def values(cpus):
    return {name: value for name, (value, _) in with_cpus(cpus, bench.boot_kernel_bench).items()}


def check_limits(one, several):
    wrong = []
    for name, limit in LIMITS.items():
        print(f"{name:24} {one[name]:6.0f} at most {limit:4}")
        if one[name] > limit:
            wrong.append(f"{name}: {one[name]:.0f} instructions are more than {limit}")
    for name in one:
        if name.startswith(SEVERAL_PREFIX) and several[name] > one[name] * SEVERAL_FACTOR:
            wrong.append(f"{name}: {several[name]:.0f} with {SEVERAL} CPUs, {one[name]:.0f} with one")
    return wrong


def check_between_cpus():
    wrong = []
    for metric, expected in BETWEEN_CPUS.items():
        found = found_between_cpus(with_cpus(SEVERAL, lambda name=metric: counting.Trace(name)), metric)
        print(f"{metric}: between CPUs {found}")
        if set(found) != expected:
            wrong.append(f"{metric}: {found} between CPUs, not {expected}")
    return wrong


def main():
    boot.make(boot.KERNEL, bench.KERNEL_IMAGE)
    wrong = check_limits(values(1), values(SEVERAL)) + check_between_cpus()
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"kernel limits: {failure}")
