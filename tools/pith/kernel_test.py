# SPDX-License-Identifier: MIT
"""Boots a program of the kernel's tests (`kernel`: tests/kernel, `kernel-objects`: tests/kernel/objects) and passes with its
last line. `debug`: on the kernel that checks all invariants after every operation. Under icount, so that runs repeat whatever else the host does."""

import re
import sys

import bench
import boot
import machine
from paths import Failure, build

KERNELS = {"": boot.KERNEL, "debug": build("kernel-debug", "pith.elf")}
SECONDS = 300
RESULT = re.compile(r"^kernel tests: \d+ passed, (\d+) failed$", re.M)
GIVEN_UP = re.compile(rb"^kernel tests failed: .*\n", re.M)


def main(program="kernel", variant=""):
    image = build("tests", f"{program}.img")
    kernel = KERNELS[variant]
    boot.make(kernel, image)
    command = machine.command_line(kernel, image, memory="128M", icount=True,
                                   extra=["-device", "isa-debug-exit,iobase=0xf4,iosize=1"])
    with machine.Machine(command) as emulator:
        _, log = bench.collect(emulator, SECONDS, [bench.HALTED, GIVEN_UP])
        print(log, end="" if log.endswith("\n") else "\n")
        result = RESULT.search(log)
        if not result:
            print(f"no result: {emulator.complaint()}")
    return 0 if result and result[1] == "0" else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"kernel tests: {failure}")
