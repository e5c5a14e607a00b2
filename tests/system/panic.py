# SPDX-License-Identifier: MIT
"""What the kernel says when it fails: each way to fail is made by a debugger, on the first CPU and on another."""

import concurrent.futures
import os
import re
import subprocess

import bench
import boot
import debug
import machine
from paths import build
from session import HALTED
from support import PATIENCE, check, equal, seconds

IMAGE = build("tests", "kernel-objects.img")
CPUS = 2
REGISTERS = ("rip", "rsp", "flags", "cs", "ss", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "cr0", "cr2", "cr3", "cr4",
             *(f"r{n}" for n in range(8, 16)))
# The first CPU in a system call, another one where it begins.
BUSY = ["hbreak invoke", "continue 40", "delete"]
OTHER = ["hbreak kernel_main_other", "continue", "delete"]


def crash(*commands):
    """The log of a machine that a debugger does this to."""
    boot.make(boot.KERNEL, IMAGE)
    socket = f"build/tmp/panic.{os.getpid()}"
    command = machine.command_line(boot.KERNEL, IMAGE, memory="128M", cpus=CPUS)
    with machine.Machine(command, debugger=socket) as emulator, concurrent.futures.ThreadPoolExecutor(1) as pool:
        # Read meanwhile: the line keeps some 300 bytes.
        log = pool.submit(bench.collect, emulator, 90, [HALTED])
        gdb = subprocess.run([*debug.gdb(socket, *commands, "detach"), "-batch"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=60 * PATIENCE)
        try:
            return log.result()[1].replace("\r", "")
        except bench.Failure as failure:
            raise AssertionError(f"{failure}\n{gdb.stdout}") from None


def check_report(log, what, where, cpu=0, kernel_registers=True):
    """One panic: what, on which CPU, registers, and a backtrace that begins where it happened."""
    report = log[log.index("kernel panic: "):]
    equal(report.count("kernel panic:"), 1, f"panics in\n{report}")
    check(re.match(rf"kernel panic: {what}.* \(CPU [{cpu}]\)\n", report), f"not {what!r} on CPU {cpu}", report)
    for name in REGISTERS if kernel_registers else ("cr2", "cr3"):
        check(re.search(rf"\b{name} +[0-9a-f]+", report), f"{name} is missing", report)
    trace = re.search(r"^backtrace:\n((?:  .*\n)+)halted\n$", report, re.M)
    check(trace, "no backtrace", report)
    check(re.match(rf"  [0-9a-f]{{16}} {where}\+0x[0-9a-f]+\n", trace[1]), f"{where} is not where it happened", report)
    return trace[1]


def test_assertion():
    log = crash(*BUSY, "set $rdi = (unsigned long)kernel_symbol_names", "set $rip = (unsigned long)panic")
    check_report(log, r"\w+", r"\w+", kernel_registers=False)
    check("in user mode (entered by 0x100)" in log, "the thread's registers", log)


def test_exception():
    log = crash(*BUSY, "set $rdi = 0x10")
    trace = check_report(log, r"exception 14 \(page fault\) in the kernel, error 0", "invoke")
    check("kernel_syscall+" in trace, "who called", log)
    check(re.search(r"\bcr2 0{13}[0-9a-f]{3}\b", log), "the address", log)
    log = crash(*BUSY, "set $rdi = 0x1234567800000000")
    check_report(log, r"exception 13 \(general protection\)", "invoke")


def test_stack_overflow():
    """The guard page cannot take the frame of the page fault: a double fault, on a stack of its own."""
    log = crash(*BUSY, "set $rsp = (unsigned long)&cpu_stacks[0].kernel + 8")
    check_report(log, r"exception 8 \(double fault\)", r"\w+")


def test_nobody_listens():
    """Nobody reads the line before all has been said: nothing is lost of it."""
    log = crash(*BUSY, "set $rdi = 0x10", "hbreak arch_halt thread 1", "continue")
    check_report(log, r"exception 14 \(page fault\) in the kernel, error 0", "invoke")


def test_nmi_and_machine_check():
    # Both CPUs get it; one reports, and the other one's comes too late.
    log = crash(*BUSY, "monitor nmi")
    check_report(log, r"exception 2 \(NMI\)", r"\w+", cpu="01")
    # Uncorrected, processor context corrupt: QEMU raises exception 18 on that CPU.
    log = crash(*BUSY, "monitor mce 0 1 0xb200000000000000 0x5 0 0")
    check_report(log, r"exception 18 \(machine check\)", r"\w+")


@seconds(200)
def test_other_cpu():
    """All others are stopped, so there is one report and not two."""
    log = crash(*OTHER, "set $rip = (unsigned long)panic", "set $rdi = (unsigned long)kernel_symbol_names")
    check_report(log, r"\w+", r"\w+", cpu=1, kernel_registers=False)
    log = crash(*OTHER, "set $rip = (unsigned long)invoke", "set $rdi = 0x10")
    check_report(log, r"exception 14 \(page fault\)", "invoke", cpu=1)
    log = crash(*OTHER, "set $rsp = (unsigned long)&cpu_stacks[1].kernel + 8", "set $rip = (unsigned long)invoke")
    check_report(log, r"exception 8 \(double fault\)", r"\w+", cpu=1)
