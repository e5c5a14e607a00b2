# SPDX-License-Identifier: MIT
"""What is booted: the build, the manifest of this run, the boot image made of both, and the accelerator."""

import fcntl
import hashlib
import os
import subprocess
import sys
import time

import machine
from paths import Failure, ROOT, build, root

KERNEL = build("kernel", "pith.elf")
MKBOOT = build("tools", "mkboot")
COMPONENTS = build("components")
FOUNDATION = ("pci", "uart16550", "virtio-blk", "ext2", "linux")  # what every boot of ours has


def make(*targets):
    """Bring the build up to date; silent unless it takes work or fails."""
    os.makedirs(build(), exist_ok=True)
    with open(build(".make.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["make", "-C", ROOT, "--no-print-directory", "-j2", *targets]
        # A caller's make flags are not ours.
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        if subprocess.run([*command, "-q"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=environment).returncode == 0:
            return
        print("pith: building", *(targets or ("",)), file=sys.stderr)
        log = build("build.log")
        with open(log, "wb") as f:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT, env=environment)
        if done.returncode != 0:
            with open(log, errors="replace") as f:
                raise Failure("the build failed (build/build.log):\n" + "".join(f.readlines()[-20:]), 125)


def append():
    """The kernel's command line: the wall clock, which the system has no driver for."""
    return f"epoch={int(time.time())}"
