# SPDX-License-Identifier: MIT
"""What is booted: the build, the manifest of this run, the boot image made of both, and the accelerator."""

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys

import machine
import rootfs
from paths import Failure, ROOT, build, root
from session import Lost, Session

KERNEL = build("kernel", "pith.elf")
MKBOOT = build("tools", "mkboot")
COMPONENTS = os.environ.get("PITH_COMPONENTS") or build("components")
KVM_SECONDS = 3
ICOUNT_EPOCH = 1704067200  # 2024-01-01, as machine.ICOUNT has it


@contextlib.contextmanager
def build_lock():
    """Nobody else builds, or packs what is being built."""
    os.makedirs(build(), exist_ok=True)
    with open(build(".make.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def make(*targets):
    """Bring the build up to date; silent unless it takes work or fails."""
    targets = [os.path.relpath(target, ROOT) if os.path.isabs(target) else target for target in targets]
    with build_lock() as lock:
        command = ["make", "-C", ROOT, "--no-print-directory", "-j2", *targets]
        # A caller's make flags are not ours.
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        if subprocess.run([*command, "-q"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=environment).returncode == 0:
            return
        print("pith: building", *(targets or ("",)), file=sys.stderr)
        log = build("build.log")
        with open(log, "wb") as f:
            # make holds the lock, too: it may outlive us.
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT, env=environment, pass_fds=[lock])
        if done.returncode != 0:
            with open(log, errors="replace") as f:
                raise Failure("the build failed (build/build.log):\n" + "".join(f.readlines()[-20:]), 125)


def append(icount=False, kpti=None):
    """The kernel's command line: with --icount a time that is always the same, and --kpti."""
    return " ".join(([f"epoch={ICOUNT_EPOCH}"] if icount else []) + ([f"kpti={kpti}"] if kpti else []))


def manifest_parts(system, disks=1):
    """mkboot's arguments for systems/base.conf with so many disks and systems/SYSTEM.conf."""
    parts = ["--manifest", root("systems", "base.conf")]
    if disks > 1:
        parts += ["--repeat", root("systems", "disk.conf"), str(disks - 1)]
    return parts + ["--manifest", root("systems", f"{system}.conf")]


def components():
    """The programs of the system that boots by default."""
    with open(root("systems", "base.conf")) as f:
        return ["init", *re.findall(r"^component (\S+)", f.read(), re.M)]


def image(system, config, disks=1, files=()):
    """A boot image of systems/base.conf with so many disks and systems/SYSTEM.conf; config: for `linux`.

    The same request gives the same path; an image that is newer than all that it is made of is used again.
    """
    parts = manifest_parts(system, disks)
    for key, value in config.items():
        parts += ["--config", "linux", f"{key}={value}"]
    for name, path in files:
        parts += ["--file", f"{name}={path}"]
    digest = hashlib.sha256(os.fsencode("\0".join([COMPONENTS, *parts]))).hexdigest()[:16]
    path = build("boot", f"{system}-{digest}.img")
    inputs = [part for part in parts if part.endswith(".conf")] + [MKBOOT, *glob.glob(os.path.join(COMPONENTS, "*.elf"))]
    inputs += [path for _, path in files]
    with build_lock():
        if os.path.exists(path) and os.stat(path).st_mtime > max(os.stat(i).st_mtime for i in inputs):
            return path
        os.makedirs(build("boot"), exist_ok=True)
        temporary = f"{path}.new"
        done = subprocess.run([MKBOOT, "--components", COMPONENTS, "--output", temporary, *parts],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
        if done.returncode != 0:
            raise Failure(f"the boot image cannot be packed: {done.stdout.strip()}", 125)
        os.rename(temporary, path)
        return path


def kvm_fingerprint():
    """What the answer of the probe depends on: this boot of the host, QEMU, our kernel's file."""
    with open("/proc/sys/kernel/random/boot_id") as f:
        host = f.read().strip()
    return f"{host} {os.stat(shutil.which(machine.QEMU)).st_mtime} {os.stat(KERNEL).st_mtime}"


def kvm_works():
    """Whether a boot under KVM gets as far as a program; the answer is kept in build/kvm."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    answer_path, fingerprint = build("kvm"), kvm_fingerprint()
    try:
        with open(answer_path) as f:
            answer, _, key = f.read().partition(" ")
        if key == fingerprint:
            return answer == "yes"
    except FileNotFoundError:
        pass
    works = probe_kvm()
    if works is None:
        return False
    with open(answer_path, "w") as f:
        f.write(f"{'yes' if works else 'no'} {fingerprint}")
    return works


def probe_kvm():
    """None: it took too long, which a busy host may do, too."""
    command = machine.command_line(KERNEL, image("exec", {}), append(), "256M",
                                   [machine.Disk(rootfs.image(), keep=False)], machine.KVM)
    with open(os.devnull, "r+b") as null, machine.Machine(command) as emulator:
        session = Session(emulator.console, emulator.log, ["true"], [], KVM_SECONDS, (null.fileno(),) * 3)
        try:
            works = session.run() == 0
        except Lost:
            works = False
    if session.interrupted is not None:
        signal.raise_signal(session.interrupted)  # it was for all of us
    return None if session.timed_out else works


def accelerator(wanted="auto"):
    """QEMU's options for it, or None for TCG."""
    if wanted == "kvm" or wanted == "auto" and kvm_works():
        return machine.KVM
    return None
