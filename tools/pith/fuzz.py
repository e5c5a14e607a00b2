# SPDX-License-Identifier: MIT
"""`./pith fuzz`: random operations on the kernel's core, on the file system with damaged disks, or random programs for execve, driven by
libFuzzer on the host (tests/fuzz); or random system calls inside QEMU, on one or several CPUs (tests/kernel/fuzz)."""

import os
import random
import re
import shutil
import subprocess
import sys
import time

import bench
import boot
import machine
from paths import ROOT, Failure, build

SEED_BYTES = 4096       # of a program that elf begins with: what is looked at
SECONDS = 60
CHECK_LONG = 16         # in long runs all invariants are checked after every n-th operation, and at each world's end
LONG = 1_000_000        # operations, from which on a run is long
HANG = 120              # seconds that one input may take on a busy machine


def environment(options):
    long = not options.input and (options.operations or LONG) >= LONG
    return {**os.environ, "PITH_FUZZ_OPERATIONS": str(options.operations or 0),
            "PITH_FUZZ_CHECK": str(options.check or (CHECK_LONG if long else 1))}


def command_line(options, seed, corpus):
    # libFuzzer remembers what is compared, addresses among it: with the same ones a seed repeats.
    command = ["setarch", "--addr-no-randomize", build("fuzz", options.what), f"-max_len={SEED_BYTES}", "-len_control=0", f"-timeout={HANG}",
               f"-artifact_prefix={build('fuzz')}/"]
    if options.input:
        return command + [options.input]
    command.append(f"-seed={seed}")
    if not options.operations:
        command.append(f"-max_total_time={options.seconds or SECONDS:.0f}")
    elif options.what != "host":
        command.append(f"-runs={options.operations}")
    return command + [corpus]


def make_corpus(options):
    """What earlier runs found interesting; a run that is to repeat begins with nothing, or always the same."""
    corpus = build("fuzz", f"corpus-{options.what}" + (f".{os.getpid()}" if options.seed is not None else ""))
    os.makedirs(corpus, exist_ok=True)
    if options.what == "elf":
        for name in ("hello", "hello-glibc", "hello-pie"):
            boot.make(build("guest", name))
            with open(build("guest", name), "rb") as program, open(os.path.join(corpus, name), "wb") as out:
                out.write(program.read(SEED_BYTES))
        with open(os.path.join(corpus, "script"), "wb") as out:
            out.write(b"#! /bin/sh -x \n")
    return corpus


def run(options):
    seed = options.seed if options.seed is not None else random.randrange(1, 1 << 31)
    if options.what == "system-calls":
        return run_system_calls(options, seed)
    return run_host(options, seed)


def run_host(options, seed):
    if options.check and options.what != "host":
        raise Failure("fuzz: --check is for the kernel", 2)
    if options.cpus or options.debug:
        raise Failure("fuzz: --cpus and --debug are for system-calls", 2)
    boot.make(build("fuzz", options.what))
    corpus = make_corpus(options)
    print(f"pith: fuzzing with seed {seed}; what fails is kept as build/fuzz/crash-*, for --input", file=sys.stderr)
    log = build("fuzz", f"log.{os.getpid()}")
    with open(log, "wb") as output:
        status = subprocess.run(command_line(options, seed, corpus), stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, cwd=ROOT, env=environment(options)).returncode
    with open(log, errors="replace") as f:
        text = f.read()
    os.unlink(log)
    if options.seed is not None:
        shutil.rmtree(corpus)
    if status:
        print(text[-6000:])
    else:
        print(*[line for line in text.splitlines() if line.startswith(("fuzz:", "Done "))][-1:], sep="\n")
    return 1 if status else 0


# ---- system calls in QEMU ----

IMAGE = build("tests", "kernel-fuzz.img")
ROUNDS, ROUNDS_DEBUG = "20,40", "2,10"  # rounds of one boot, ticks of each
BOOT_SECONDS = 600
DONE = re.compile(r"^fuzz: (\d+) system calls .*$", re.M)
PASSED = re.compile(r"^kernel tests: 1 passed, 0 failed$", re.M)
GIVEN_UP = re.compile(rb"^kernel tests failed: .*\n", re.M)


def boot_once(options, kernel, seed):
    """The machine's log. Its clock counts instructions, so a seed repeats, and a CPU that waits for a lock lets the others run."""
    command = machine.command_line(kernel, IMAGE, append=f"fuzz={seed},{ROUNDS_DEBUG if options.debug else ROUNDS}",
                                   memory="128M", cpus=options.cpus, icount=True,
                                   extra=["-device", "isa-debug-exit,iobase=0xf4,iosize=1"])
    with machine.Machine(command) as emulator:
        _, log = bench.collect(emulator, BOOT_SECONDS, [bench.HALTED, GIVEN_UP])
    return log


def run_system_calls(options, seed):
    if options.input or options.check:
        raise Failure("fuzz: --input and --check are for the host fuzzer", 2)
    kernel = build("kernel-debug", "pith.elf") if options.debug else boot.KERNEL
    boot.make(kernel, IMAGE)
    calls, boots, began = 0, 0, time.monotonic()
    while boots == 0 or (calls < options.operations if options.operations else
                         time.monotonic() - began < (options.seconds or SECONDS)):
        log = boot_once(options, kernel, seed + boots)
        done = DONE.search(log)
        if not done or not PASSED.search(log):
            print(log[-6000:])
            print(f"fuzz: failed with seed {seed + boots}")
            return 1
        boots += 1
        calls += int(done[1])
        print(done[0], flush=True)
    print(f"fuzz: {calls} system calls in {boots} boots, seeds from {seed}")
    return 0
