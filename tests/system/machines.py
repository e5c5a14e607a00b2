# SPDX-License-Identifier: MIT
"""The kernel boots on every machine that it should: chipsets, CPUs, clocks, memory sizes. Its tests are the program."""

import os
import random
import re

import bench
import boot
import execute
import kernel_test
import machine
from paths import build
from support import PATIENCE, SEED, check, equal, file_path, full, run, sampled, seconds

IMAGE = build("tests", "kernel.img")
USER_MODE = re.compile(rb"^CPUs: .*\n", re.M)
MATRIX = [{"chipset": chipset, "memory": memory, "cpus": cpus} for chipset in ("q35", "pc") for cpus in range(1, 9)
          for memory in ("32M", "64M", "512M", "3G", "5G", "16G")]
SAMPLE = 6
END = re.compile(rb"^kernel tests(:| failed).*\n|^Pith: .*\n|panic", re.M)


def log_of(chipset="q35", cpu="max,-la57", memory="128M", cpus=1, icount=True, extra=(), end=END):
    """What the machine says on COM1, up to the tests' last line."""
    boot.make(boot.KERNEL, IMAGE)
    command = machine.command_line(boot.KERNEL, IMAGE, memory=memory, cpus=cpus, accel=["-accel", "tcg", "-cpu", cpu], icount=icount,
                                   extra=["-machine", chipset, "-device", "isa-debug-exit,iobase=0xf4,iosize=1", *extra])
    with machine.Machine(command) as emulator:
        return bench.collect(emulator, 100, [end, END])[1]


def passes(**machine_options):
    log = log_of(**machine_options)
    check(", 0 failed" in log, machine_options, log[-3000:])


def starts(**machine_options):
    """The first component runs; too little or too much memory for its tests is its own business."""
    log = log_of(**machine_options)
    check("kernel tests" in log and "panic" not in log, machine_options, log[-3000:])
    if "cpus" in machine_options:
        check(f"CPUs: {machine_options['cpus']}\n" in log, machine_options, log[:3000])
    return log


def reaches_user_mode(**machine_options):
    """The first component says how many CPUs it has, or that it wants more memory than there is."""
    log = log_of(icount=False, end=USER_MODE, **machine_options)
    little = machine_options["memory"] in ("32M", "64M") and "kernel tests failed: no memory" in log
    check(little or f"CPUs: {machine_options['cpus']}\n" in log, machine_options, log)
    check("panic" not in log and "cpus:" not in log, machine_options, log)


def test_sample():
    for options in random.Random(SEED).sample(MATRIX, SAMPLE):
        reaches_user_mode(**options)


@full
@seconds(1200)
def test_everywhere():
    for options in MATRIX:
        reaches_user_mode(**options)
        print("boots:", options, flush=True)


def test_old_chipset():
    passes(chipset="pc")


def test_simple_cpu():
    """No FSGSBASE, XSAVE, SMEP, SMAP: MSRs and FXSAVE instead."""
    passes(cpu="qemu64")


def test_signals_on_a_simple_cpu():
    """Frames of signals hold what FXSAVE saves, and nothing that only XSAVE has: floating point survives handlers."""
    program, path = build("guest", "signals-glibc"), file_path("out")
    boot.make(program)
    machine.TCG = ["-accel", "tcg", "-cpu", "qemu64"]
    with open(path, "wb") as out, open(os.devnull) as nothing:
        status = execute.execute(execute.Options(command=["/signals-glibc"], add=[program], accel="tcg", timeout=200 * PATIENCE,
                                                 streams=(nothing.fileno(), out.fileno(), 2), log=file_path("log")))
    here = run([program])
    with open(path, "rb") as out:
        equal((status, out.read().decode()), (here.status, here.stdout.decode()))


@sampled
def test_several_cpus():
    """All are there, in turn (icount) and at the same time; with FXSAVE too, which each sets up for itself."""
    for cpus in (2, 4, 8):
        check("cpus:" not in starts(cpus=cpus), "a CPU or its clock made trouble")
        check("cpus:" not in starts(cpus=cpus, icount=False), "a CPU or its clock made trouble")
    starts(cpus=3, cpu="qemu64", chipset="pc")


def test_more_cpus_than_it_can_use():
    log = log_of(cpus=10)
    check("cpus: 2 more than the 8 that Pith can use are ignored" in log and "CPUs: 8\n" in log, log[:2000])


def test_without_hpet():
    passes(chipset="q35,hpet=off")


def test_without_large_direct_map_pages():
    passes(cpu="max,-la57,-pdpe1gb")


def test_little_memory():
    starts(memory="32M")


@seconds(200)
def test_much_memory():
    starts(memory="4G")
    starts(memory="16G")


def test_32_bit_cpu():
    check("no 64-bit mode" in log_of(cpu="qemu64,-lm"))


def test_iommu_that_remembers_absence():
    """As under other hypervisors: what was not there is remembered, too."""
    passes(extra=kernel_test.iommu("39,caching-mode=on"))


def test_iommu_without_pass_through():
    """It would cut off the devices that have no IoSpace, so it stays off."""
    log = log_of(extra=["-device", "intel-iommu,pt=off"])
    check("iommu: it cannot be used" in log and ", 0 failed" in log, log[-3000:])


def test_system_with_iommu():
    """Drivers that know nothing of IoSpaces work as without."""
    path = file_path("out")
    with open(path, "wb") as out, open(os.devnull) as nothing:
        status = execute.execute(execute.Options(command=["sh", "-c", "echo $((6 * 7)) >/tmp/x && cat /tmp/x"], accel="tcg",
                                                 timeout=200 * PATIENCE, extra=["-device", "intel-iommu"], streams=(nothing.fileno(), out.fileno(), 2),
                                                 log=file_path("log")))
    with open(path) as out, open(file_path("log")) as log:
        equal((status, out.read()), (0, "42\n"))
        check("iommu: 1 unit" in log.read())
