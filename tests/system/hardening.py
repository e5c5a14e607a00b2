# SPDX-License-Identifier: MIT
"""What the kernel must not be able to do is tried, by a kernel that is made for it (tests/kernel/probe): the machine stops it."""

import contextlib
import json
import re
import select
import subprocess

import bench
import boot
import kernel_test
import machine
import rootfs
from paths import build
from support import PITH, check, equal, file_path, run, sampled

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


def log_of(probe, cpu="max,-la57", cpus=2, image=None):
    boot.make(KERNEL, *([image] if image else []))
    command = machine.command_line(KERNEL, image, append=f"probe={probe}", memory="64M", accel=["-accel", "tcg", "-cpu", cpu], cpus=cpus)
    with machine.Machine(command) as emulator:
        return bench.collect(emulator, 60, [HALTED])[1]


@sampled
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


@sampled
def test_breakpoint_in_the_kernel():
    """A debug exception at the kernel's first instruction, on user mode's stack and GS base, is passed over: the kernel's tests pass with
    one at each system call. The emulator, which never delays a breakpoint until there, gets no stack of its own for it, and dies."""
    image = build("tests", "kernel-objects.img")
    boot.make(KERNEL, image)
    for word in ("", " kpti=on"):
        command = machine.command_line(KERNEL, image, f"probe=breakpoint{word}", memory="128M",
                                       accel=machine.TCG_AS_A_CPU, icount=True, extra=kernel_test.EXIT)
        with machine.Machine(command) as emulator:
            log = bench.collect(emulator, 120, [HALTED])[1]
        check(re.search(r"^kernel tests: \d+ passed, 0 failed$", log, re.M), log[-3000:])
    check("exception 8 (double fault) in the kernel" in log_of("breakpoint", machine.TCG[-1], image=image))


# ---- KPTI ----

PROMPT = re.compile(rb"root@pith:~# (\x1b\[6n)?$")
UPPER_HALF = 1 << 63
TRANSLATION = re.compile(r"^([0-9a-f]{16}): ([0-9a-f]{16}) (\S+)", re.M)
# Pages of a CPU's part of cpu_stacks (cpu.c): those that exceptions with a stack of their own use.
OWN_STACKS = (6, 8, 10, 12)
STACK_PAGES = 13


class Monitor:
    """QEMU's human monitor, over its control line."""

    def __init__(self, emulator):
        self.lines = emulator.control.makefile("rwb", buffering=0)

    def ask(self, command, cpu=0):
        request = {"execute": "human-monitor-command", "arguments": {"command-line": command, "cpu-index": cpu}, "id": command}
        self.lines.write(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            if answer.get("id") == command:
                return answer["return"]


def symbols():
    """{name: (address, size)} of the kernel."""
    lines = subprocess.run(["nm", "-S", boot.KERNEL], check=True, capture_output=True, text=True).stdout.splitlines()
    found = {}
    for words in map(str.split, lines):
        found[words[-1]] = (int(words[0], 16), int(words[1], 16) if len(words) == 4 else 0)
    return found


def pages_for_entering():
    """What user mode's tables may map of the kernel (struct arch_entry is the second page of a struct cpu)."""
    names = symbols()
    allowed = set(range(names["entry_start"][0], names["entry_end"][0], 4096)) | {names["idt"][0]}
    for cpu in range(8):
        allowed.add(names["cpus"][0] + cpu * names["cpus"][1] // 8 + 4096)
        allowed.update(names["cpu_stacks"][0] + (cpu * STACK_PAGES + page) * 4096 for page in OWN_STACKS)
    return allowed


@contextlib.contextmanager
def busy_machine(append, cpus):
    """All its CPUs run programs, which do little but compute."""
    boot.make()
    command = machine.command_line(boot.KERNEL, boot.image("run", {}), f"{boot.append()} {append}", cpus=cpus, accel=machine.TCG,
                                   disks=[machine.Disk(rootfs.image(), keep=False)])
    with machine.Machine(command, control=True) as emulator:
        session = bytearray()
        while not PROMPT.search(session):
            # The log, too: what nobody reads is lost after a while, and the beginning of the next line with it.
            for line in select.select([emulator.console, emulator.log], [], [])[0]:
                data = line.recv(4096)
                session += data if line is emulator.console else b""
        emulator.console.send(b"while :; do :; done & " * cpus + b"\n")
        yield emulator, Monitor(emulator)


def stop_in_user_mode(monitor, cpu):
    """With that CPU in user mode the machine stands still."""
    while True:
        monitor.ask("stop")
        if "CPL=3" in monitor.ask("info registers", cpu):
            return
        monitor.ask("cont")


def mapped_in_user_mode(append, cpus):
    """For each CPU what its page tables map of the upper half while it is in user mode: {address: flags}."""
    found = []
    with busy_machine(append, cpus) as (_, monitor):
        for cpu in range(cpus):
            stop_in_user_mode(monitor, cpu)
            found.append({int(at, 16): flags for at, _, flags in TRANSLATION.findall(monitor.ask("info tlb", cpu))
                          if int(at, 16) >= UPPER_HALF})
            monitor.ask("cont")
    return found


def test_kpti():
    """With it user mode's page tables map of the kernel its ways in and out; without, all of it. None of it is for user mode."""
    allowed = pages_for_entering()
    for mapped in mapped_in_user_mode("kpti=on", 2):
        check(set(mapped) == allowed, "pages that should not be there, or are missing", [hex(at) for at in sorted(set(mapped) ^ allowed)])
        check(not any("U" in flags for flags in mapped.values()), mapped)
        check(not any("W" in flags and "X" not in flags for flags in mapped.values()), "writable and executable", mapped)
    for mapped in mapped_in_user_mode("kpti=off", 2):
        check(symbols()["tlb_generation"][0] & ~4095 in mapped and len(set(mapped) - allowed) > 100, "the check would see the kernel", mapped)


def test_kpti_and_fatal_exceptions():
    """They come in user mode, on its page tables, and are told with the kernel's."""
    for command, message in (("nmi", "exception 2 (NMI)"), ("mce 0 1 0xb200000000000000 0x5 0 0", "exception 18 (machine check)")):
        with busy_machine("kpti=on", 1) as (emulator, monitor):
            stop_in_user_mode(monitor, 0)
            monitor.ask(command)
            monitor.ask("cont")
            log = bench.collect(emulator, 60, [HALTED])[1]
        check(f"kernel panic: {message}" in log and log.count("kernel panic") == 1 and "in user mode (entered by" in log, log[-3000:])


def test_kpti_where_it_is_needed():
    """Intel's CPUs, until they say that they need it not."""
    for cpu, append, isolated in (("Skylake-Client", "", True), ("Skylake-Client", "kpti=off", False), ("max,-la57", "", False),
                                  ("max,-la57", "kpti=on", True)):
        command = machine.command_line(boot.KERNEL, append=append, accel=["-accel", "tcg", "-cpu", cpu])
        with machine.Machine(command) as emulator:
            log = bench.collect(emulator, 60, [HALTED])[1]
        equal("(KPTI)" in log, isolated, f"{cpu} {append}: {log}")


def test_misspelt_choice():
    """Is told, not taken for silence; the next one counts."""
    for append, told, isolated in (("kpti=yes", ["kpti=yes"], False), ("pcid=offf kpti=on", ["pcid=offf kpti=on"], True),
                                   ("kpti= pcid=on kpti=on", ["kpti= pcid=on kpti=on"], True), ("xkpti=1 kpti=off", [], False)):
        command = machine.command_line(boot.KERNEL, append=append, accel=machine.TCG)
        with machine.Machine(command) as emulator:
            log = bench.collect(emulator, 60, [HALTED])[1]
        equal(re.findall(r"^command line: neither on nor off: (.*)$", log.replace("\r", ""), re.M), told, append)
        equal("(KPTI)" in log, isolated, append)


def test_kpti_for_programs():
    """With the option of ./pith, and not without."""
    for options, isolated in ((["--kpti", "on"], True), ([], False)):
        path = file_path("log")
        run([PITH, "exec", "--accel", "tcg", *options, "--log", path, "--", "true"]).ok()
        with open(path) as log:
            equal("(KPTI)" in log.read(), isolated, "isolation")
