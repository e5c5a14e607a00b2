# SPDX-License-Identifier: MIT
"""`./pith fuzz`: random operations on the kernel's core, driven by libFuzzer on the host (tests/fuzz/host.c)."""

import os
import random
import subprocess
import sys

import boot
from paths import ROOT, build

TARGET = build("fuzz", "host")
SECONDS = 60
CHECK_LONG = 16         # in long runs all invariants are checked after every n-th operation, and at each world's end
LONG = 1_000_000        # operations, from which on a run is long
HANG = 120              # seconds that one input may take on a busy machine


def environment(options):
    long = (options.operations or LONG) >= LONG
    return {**os.environ, "PITH_FUZZ_OPERATIONS": str(options.operations or 0),
            "PITH_FUZZ_CHECK": str(options.check or (CHECK_LONG if long else 1))}


def command_line(options, seed):
    command = [TARGET, "-max_len=4096", "-len_control=0", f"-timeout={HANG}", f"-artifact_prefix={build('fuzz')}/"]
    if options.input:
        return command + [options.input]
    command.append(f"-seed={seed}")
    if not options.operations:
        command.append(f"-max_total_time={options.seconds or SECONDS:.0f}")
    if options.seed is None:
        # What earlier runs found interesting; a run that is to repeat begins with nothing.
        corpus = build("fuzz", "corpus")
        os.makedirs(corpus, exist_ok=True)
        command.append(corpus)
    return command


def run(options):
    boot.make(TARGET)
    seed = options.seed if options.seed is not None else random.randrange(1, 1 << 31)
    print(f"pith: fuzzing with seed {seed}; what fails is kept as build/fuzz/crash-*, for --input", file=sys.stderr)
    log = build("fuzz", f"log.{os.getpid()}")
    with open(log, "wb") as output:
        status = subprocess.run(command_line(options, seed), stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, cwd=ROOT, env=environment(options)).returncode
    with open(log, errors="replace") as f:
        text = f.read()
    os.unlink(log)
    if status:
        print(text[-6000:])
    else:
        print(*[line for line in text.splitlines() if line.startswith("fuzz:")][-1:], sep="\n")
    return 1 if status else 0
