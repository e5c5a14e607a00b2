# SPDX-License-Identifier: MIT
"""Debian's own kernel in the same emulator, with the same flags: what Pith is measured against.

Its initramfs holds busybox, the modules for a virtio disk, and the program to run; the program's output comes over
COM2 as on Pith.
"""

import glob
import os
import re
import shutil
import subprocess

import fetch
import machine
from execute import ENVIRONMENT
from paths import Failure, build

MODULES = ("virtio_pci", "virtio_blk")

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko; done
mount -t ext2 /dev/vda /mnt || echo "cannot mount the scratch disk" >/dev/ttyS1
ifconfig lo up
cd /
{command} >/dev/ttyS1 2>&1 </dev/null
echo "status $?" >/dev/ttyS1
umount /mnt
poweroff -f
"""


def busybox():
    """Debian's busybox-static, unmodified, out of its package."""
    folder = fetch.fetch("deb", "busybox-static")
    for path in ("bin/busybox", "usr/bin/busybox"):
        if os.path.exists(os.path.join(folder, path)):
            return os.path.join(folder, path)
    raise Failure("the package busybox-static holds no busybox")


def kernel_package():
    return fetch.fetch("deb", "linux-image-cloud-amd64")


def kernel():
    found = glob.glob(os.path.join(kernel_package(), "boot", "vmlinuz-*"))
    if not found:
        raise Failure("the package linux-image-cloud-amd64 holds no kernel")
    return found[0]


def module_order(folder):
    """The modules that we need and those they depend on, in the order of loading, as {name: path}."""
    paths = {os.path.basename(p)[:-3].replace("-", "_"): p
             for p in glob.glob(os.path.join(folder, "lib/modules/*/kernel/**/*.ko"), recursive=True)}
    order = {}

    def need(name):
        if name in order or name not in paths:  # not there: built into the kernel
            return
        with open(paths[name], "rb") as f:
            depends = re.search(rb"\0depends=([^\0]*)\0", f.read())
        for other in filter(None, (depends.group(1).decode() if depends else "").split(",")):
            need(other.replace("-", "_"))
        order[name] = paths[name]

    for name in MODULES:
        need(name)
    return order


def initramfs(program, command):
    """An initramfs that runs the shell command, with the program at /program."""
    stage = build("linux", f"stage.{os.getpid()}")
    shutil.rmtree(stage, ignore_errors=True)
    try:
        for folder in ("bin", "dev", "proc", "mnt", "tmp", "modules"):
            os.makedirs(os.path.join(stage, folder))
        modules = module_order(kernel_package())
        for name, path in modules.items():
            shutil.copy(path, os.path.join(stage, "modules", f"{name}.ko"))
        shutil.copy(busybox(), os.path.join(stage, "bin/busybox"))
        os.chmod(os.path.join(stage, "bin/busybox"), 0o755)
        for applet in ("sh", "mount", "umount", "insmod", "poweroff", "ifconfig", "ln", "switch_root", "chroot", "env", "cp", "mkdir"):
            os.symlink("busybox", os.path.join(stage, "bin", applet))
        shutil.copy(program, os.path.join(stage, "program"))
        with open(os.path.join(stage, "init"), "w") as f:
            f.write(INIT.format(modules=" ".join(modules), command=command))
        os.chmod(os.path.join(stage, "init"), 0o755)
        names = "\n".join(os.path.relpath(os.path.join(folder, name), stage)
                          for folder, folders, files in os.walk(stage) for name in folders + files)
        descriptor, path = machine.nameless_file("initramfs")
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], input=names.encode(), stdout=descriptor,
                       cwd=stage, check=True)
        return path
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def command_line(program, command, disk, icount=False, memory="512M"):
    return machine.command_line(kernel(), initramfs(program, command),
                                "console=ttyS0 quiet panic=-1 init_on_alloc=0", memory, [disk], icount=icount,
                                extra=() if icount else ("-seed", "1"))


# For the program that is a script for bash: it runs on the root file system that the disk holds, as `./pith exec` would run it.
ON_ROOT = f"""sh -c '
mount -t devtmpfs dev /mnt/dev && mkdir -p /mnt/dev/pts /mnt/dev/shm && ln -s /proc/self/fd /mnt/dev/fd
mount -t devpts devpts /mnt/dev/pts && mount -t tmpfs -o mode=1777 shm /mnt/dev/shm && mount -t proc proc /mnt/proc
busybox stty -F /dev/ttyS1 -opost; busybox hostname pith; cp /program /mnt/script
chroot /mnt env -i {" ".join(ENVIRONMENT)} bash /script </dev/null 2>&1 | busybox cat; umount /mnt/proc /mnt/dev/pts /mnt/dev/shm /mnt/dev'"""
