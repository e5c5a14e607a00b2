# SPDX-License-Identifier: MIT
"""Boots a program of the kernel's tests (`kernel`: tests/kernel, `kernel-objects`: tests/kernel/objects) and passes with its
last line. `debug`: on the kernel that checks all invariants after every operation. `iommu`: on a machine with an IOMMU that has as many
bits of address as the number behind it says. `kpti`: with page table isolation. `as-a-cpu`: the emulator does not say that it is one. Under icount, so that runs repeat whatever else the host does."""

import os
import re
import struct
import sys

import bench
import boot
import machine
from paths import Failure, build

KERNELS = {"": boot.KERNEL, "debug": build("kernel-debug", "pith.elf")}
SECONDS = 250  # less than the suite gives it: then it says how far it came
RESULT = re.compile(r"^kernel tests: \d+ passed, (\d+) failed$", re.M)
# A second table beside QEMU's own: firmware has memory for device 1e.7 of bus 0.
DMAR = struct.pack("<BB10x", 38, 0) + struct.pack("<HHHHQQ", 1, 32, 0, 0, 0x1000, 0x1FFF) + struct.pack("<BBHBBBB", 1, 8, 0, 0, 0, 0x1E, 7)
EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
GIVEN_UP = re.compile(rb"^kernel tests failed: .*\n", re.M)


def iommu(bits):
    """The IOMMU and devices for tests/kernel/io_space.c, the last behind a bridge."""
    descriptor, table = machine.nameless_file("dmar")
    os.write(descriptor, DMAR)
    return ["-device", f"intel-iommu,aw-bits={bits}", "-acpitable", f"sig=DMAR,rev=1,data={table}",
            "-device", "edu,addr=10", "-device", "edu,addr=11", "-device", "edu,addr=12",
            "-device", "pcie-root-port,id=bridge,addr=13,chassis=1", "-device", "edu,bus=bridge,addr=0"]


def log_of(kernel, program, append="", devices=(), accel=None):
    """What the program's tests say on this kernel."""
    image = build("tests", f"{program}.img")
    boot.make(kernel, image)
    command = machine.command_line(kernel, image, append, memory="128M", icount=True, accel=accel, extra=[*EXIT, *devices])
    with machine.Machine(command) as emulator:
        _, log = bench.collect(emulator, SECONDS, [bench.HALTED, GIVEN_UP])
        if not RESULT.search(log):
            log += f"\nno result: {emulator.complaint()}"
    return log


def main(program="kernel", *variants):
    debug = "debug" if "debug" in variants else ""
    devices = [option for variant in variants if variant.startswith("iommu") for option in iommu(variant[5:])]
    as_a_cpu = "as-a-cpu" in variants
    words = [*(["slow"] if debug else []), *(["kpti=on"] if "kpti" in variants else []), *(["as-a-cpu"] if as_a_cpu else [])]
    log = log_of(KERNELS[debug], program, " ".join(words), devices, machine.TCG_AS_A_CPU if as_a_cpu else None)
    print(log, end="" if log.endswith("\n") else "\n")
    result = RESULT.search(log)
    return 0 if result and result[1] == "0" else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"kernel tests: {failure}")
