# SPDX-License-Identifier: MIT
"""What the kernel must not be able to do is tried, by a kernel that is made for it (tests/kernel/probe): the machine stops it."""

import re

import bench
import boot
import machine
from paths import build
from support import check, equal

KERNEL = build("kernel-probe", "pith.elf")
HALTED = re.compile(rb"^halted", re.M)
PLAIN_CPU = "qemu64"  # without SMEP and SMAP

# The page fault's error code: 1 present, 2 write, 16 instruction fetch.
FAULT = "exception 14 (page fault) in the kernel, error {:#x} "
PROBES = {
    "text-write": FAULT.format(3),
    "constant-write": FAULT.format(3),
    "data-execute": FAULT.format(0x11),
    "stack-execute": FAULT.format(0x11),
    "alias-read": FAULT.format(0),
    "direct-map-execute": FAULT.format(0x11),
    "null-read": FAULT.format(0),
    "low-memory-read": FAULT.format(0),
    "user-read": FAULT.format(1),
    "user-write": FAULT.format(3),
    "user-execute": FAULT.format(0x11),
    "stack-smash": "stack smashed",
    "stack-overflow": "exception 8 (double fault) in the kernel",
    "other-stack-overflow": "exception 8 (double fault) in the kernel, error 0x0 (CPU 1)",
    "other-user-read": "exception 14 (page fault) in the kernel, error 0x1 (CPU 1)",
}


def log_of(probe, cpu="max,-la57", cpus=2):
    boot.make(KERNEL)
    command = machine.command_line(KERNEL, append=f"probe={probe}", memory="64M", accel=["-accel", "tcg", "-cpu", cpu], cpus=cpus)
    with machine.Machine(command) as emulator:
        return bench.collect(emulator, 60, [HALTED])[1]


def test_forbidden():
    for probe, message in PROBES.items():
        log = log_of(probe)
        check("kernel panic: " + message in log, probe, log)
        equal(log.count("kernel panic"), 1, f"panics of {probe}")


def test_probes_would_succeed():
    """A CPU without SMEP and SMAP stops none of these: the probes are real."""
    for probe in ("user-read", "user-write", "user-execute"):
        check("probe: nothing stopped it" in log_of(probe, PLAIN_CPU), probe)


def test_one_panic_at_a_time():
    """Four CPUs panic at once: one is heard, and no line is broken."""
    log = log_of("all-panic", cpus=4)
    equal(log.count("kernel panic: all at once"), 1, "panics")
    check(log.rstrip().endswith("halted"), log[-500:])
    for line in log[:log.index("kernel panic")].splitlines():
        check(not line.strip() or re.fullmatch(r"probe: a line of some length that one of the CPUs writes, number \d+", line), line)
