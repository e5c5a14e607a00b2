# SPDX-License-Identifier: MIT
"""Bad or missing boot data ends in a message that says what is wrong, never in a reset without a word."""

import os
import re
import struct

import bench
import boot
import iso
import machine
from paths import build
from support import FOLDER, check

IMAGE = build("tests", "kernel.img")
END = re.compile(rb"^halted|^\n?Pith: .*\n|^kernel tests", re.M)

# The header of a boot image (abi/boot.h): magic, version, size, entry, segments, then 8 times address, offset, file size, memory size,
# rights, and where the archive is.
VERSION, SIZE, ENTRY, SEGMENTS, SEGMENT, SEGMENT_SIZE, ARCHIVE = 8, 16, 24, 32, 40, 40, 40 + 8 * 40


def changed(data, offset, value):
    return data[:offset] + struct.pack("<Q", value) + data[offset + 8:]


def module(data):
    path = os.path.join(FOLDER, "module")
    with open(path, "wb") as f:
        f.write(data)
    return path


def log_of(initrd=None, cpu="max,-la57", chipset="q35", memory="64M", extra=(), kernel=("-kernel", boot.KERNEL)):
    boot.make(boot.KERNEL, IMAGE)
    command = [machine.QEMU, "-machine", chipset, "-accel", "tcg", "-cpu", cpu, "-m", memory, "-nodefaults", "-no-user-config", "-no-reboot",
               "-display", "none", *kernel, *(["-initrd", initrd] if initrd else []), "-device", "isa-debug-exit,iobase=0xf4,iosize=1", *extra]
    with machine.Machine(command) as emulator:
        return bench.collect(emulator, 60, [END])[1]


def says(message, **options):
    log = log_of(**options)
    check(message in log, f"wanted: {message}", options, log)


def test_boot_images():
    boot.make(IMAGE)
    with open(IMAGE, "rb") as f:
        good = f.read()
    refused = "kernel panic: the boot image cannot be used: "
    says("kernel panic: no boot image: the boot loader gave no module")
    for wrong, data in [
            ("it does not begin with the boot image's magic number", b"This is no boot image.\n" * 1000),
            ("it does not begin with the boot image's magic number", b"\x7f" + good[1:]),
            ("it does not begin with the boot image's magic number", b"x"),
            ("it is of another version than this kernel", changed(good, VERSION, 2)),
            ("it is shorter than it says", good[:len(good) // 2]),
            ("it is shorter than it says", changed(good, SIZE, 1 << 60)),
            ("it is shorter than it says", changed(good, SIZE, 8)),
            ("it has an impossible number of segments", changed(good, SEGMENTS, 0)),
            ("it has an impossible number of segments", changed(good, SEGMENTS, 1 << 63)),
            ("a segment is not page-aligned", changed(good, SEGMENT, 0x400001)),
            ("a segment's address is not a user address", changed(good, SEGMENT, 0xffffffff80100000)),
            ("a segment lies where the kernel puts boot information", changed(good, SEGMENT, 0x10000000)),
            ("its segments overlap", changed(good, SEGMENT + SEGMENT_SIZE, struct.unpack_from("<Q", good, SEGMENT)[0])),
            ("a segment lies outside the image", changed(good, SEGMENT + 8, 1 << 40)),
            ("a segment's sizes contradict each other", changed(good, SEGMENT + 24, 0)),
            ("a segment has unknown rights", changed(good, SEGMENT + 32, 0xff)),
            ("its entry point is in no executable segment", changed(good, ENTRY, 0)),
            ("its archive lies outside", changed(good, ARCHIVE, 1 << 40))]:
        says(refused + wrong, initrd=module(data))


def test_cpus():
    for cpu in ("qemu32", "qemu64,-lm", "qemu64,-nx", "qemu64,-syscall", "pentium3", "486"):
        says("Pith: this CPU has no 64-bit mode, no SYSCALL or no no-execute pages", cpu=cpu, initrd=IMAGE)
    features = ("fpu", "tsc", "msr", "pae", "mce", "cx8", "apic", "pge", "cmov", "pat", "mmx", "fxsr", "sse", "sse2")
    for feature in features:
        says(f"Pith: this CPU lacks {', '.join(features[:-1]).upper()} or {features[-1].upper()}", cpu=f"qemu64,-{feature}", initrd=IMAGE)


def test_no_clock():
    """Nothing that the TSC could be measured against: neither clock is there, or moves."""
    says("kernel panic: time: neither HPET nor PIT measures the TSC", chipset="q35,hpet=off,pit=off", initrd=IMAGE)


def test_no_tables():
    """Without ACPI there is one CPU, and an I/O APIC where every PC had one."""
    log = log_of(chipset="pc,acpi=off", cpu="qemu64", initrd=IMAGE, memory="128M", extra=["-smp", "2"])
    check("acpi: no root pointer" in log and "CPUs: 1\n" in log and "kernel tests" in log, log)


def test_bad_tables():
    """A table whose sum is wrong, and one that is shorter than its own head, are ignored and said."""
    table = os.path.join(FOLDER, "table")
    for head in (struct.pack("<4sIBB26x", b"HPET", 36, 1, 77), struct.pack("<4sIBB26x", b"APIC", 3, 1, 0)):
        with open(table, "wb") as f:
            f.write(head)
        log = log_of(initrd=IMAGE, memory="128M", extra=["-acpitable", f"file={table}"])
        check("kernel tests" in log and "CPUs: 1\n" in log, log)


def test_little_memory():
    says("kernel panic: ", initrd=IMAGE, memory="3M")


def test_two_modules():
    boot.make(boot.KERNEL, IMAGE)
    path = os.path.join(FOLDER, "two.iso")
    iso.make(path, [IMAGE, IMAGE])
    says("kernel panic: boot: more than one module given", kernel=("-cdrom", path, "-boot", "d"))
    iso.make(path, [])
    says("kernel panic: no boot image", kernel=("-cdrom", path, "-boot", "d"))
    iso.make(path, [module(b"no boot image")])
    says("kernel panic: the boot image cannot be used", kernel=("-cdrom", path, "-boot", "d"))
