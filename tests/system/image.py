# SPDX-License-Identifier: MIT
"""`./pith image`: the ISO boots by BIOS and by UEFI, on both chipsets, with little and much memory, on 1 to 8 CPUs."""

import os
import random
import re
import select
import time

import boot
import iso
import machine
import rootfs
from paths import build
from support import FOLDER, PATIENCE, PITH, SEED, check, equal, full, run, sampled, seconds

OVMF = "/usr/share/OVMF/OVMF_{}.fd"
UEFI = ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF.format('CODE')}",
        "-drive", f"if=pflash,format=raw,unit=1,snapshot=on,file={OVMF.format('VARS')}"]
FIRMWARES = {"bios": ([], "32M"), "uefi": (UEFI, "128M")}
CHIPSETS = ("q35", "pc")
CPUS = (1, 2, 3, 4, 8)
MEMORY = ("512M", "16G")  # and the least that the firmware leaves enough of
SAMPLE = 2
PROMPT = re.compile(rb"root@pith:~# (\x1b\[6n)?$")
TOO_LITTLE = re.compile(rb"init: error: not enough memory .*\n(.*\n)*init: error: the system cannot start")


def boots(medium, firmware="bios", chipset="q35", memory="128M", cpus=1, limit=120):
    """Boot from the CD until there is a shell or a reason why not; returns what COM1 and COM2 said."""
    disk = os.path.abspath(rootfs.image())
    command = [machine.QEMU, "-machine", chipset, *machine.TCG, "-m", memory, "-smp", str(cpus), "-nodefaults", "-no-user-config",
               "-no-reboot", "-display", "none", *FIRMWARES[firmware][0], "-cdrom", medium, "-boot", "d",
               "-drive", f"if=none,id=disk0,format=raw,file={disk},snapshot=on",
               "-device", "virtio-blk-pci,disable-legacy=on,drive=disk0"]
    log, console = bytearray(), bytearray()
    end = time.monotonic() + limit * PATIENCE
    with machine.Machine(command) as emulator:
        while not PROMPT.search(console) and not TOO_LITTLE.search(log) and b"panic" not in log and time.monotonic() < end:
            for ready in select.select([emulator.console, emulator.log], [], [], 1)[0]:
                data = ready.recv(4096)
                if not data:
                    end = 0
                (log if ready is emulator.log else console).extend(data)
    return bytes(log), bytes(console)


def reaches_shell(medium, **options):
    log, console = boots(medium, **options)
    little = options.get("memory") == "32M"
    check(PROMPT.search(console) or little and TOO_LITTLE.search(log), options, log[-2500:], console[-500:])
    check(b"cpus:" not in log, "a CPU or its clock made trouble", options, log)


def medium():
    boot.make()
    path = os.path.join(FOLDER, "pith.iso")
    iso.make(path, [boot.image("run", {})])
    return path


def matrix():
    """Each firmware, chipset and number of CPUs with the least, a middling and the most memory."""
    return [{"firmware": firmware, "chipset": chipset, "memory": memory, "cpus": cpus}
            for firmware, (_, least) in FIRMWARES.items() for chipset in CHIPSETS for cpus in CPUS
            for memory in (least, *MEMORY)]


@sampled
@seconds(600)
def test_boots():
    """Some of the matrix: corners, with the least and the most memory and all CPUs, and a sample."""
    path = medium()
    reaches_shell(path, firmware="bios", chipset="pc", memory="32M", cpus=1)
    reaches_shell(path, firmware="uefi", chipset="q35", memory="128M", cpus=8)
    reaches_shell(path, firmware="bios", chipset="q35", memory="16G", cpus=4)
    for options in random.Random(SEED).sample(matrix(), SAMPLE):
        reaches_shell(path, **options)


@full
@seconds(5400)
def test_boots_everywhere():
    path = medium()
    for options in matrix():
        reaches_shell(path, **options)
        print("boots:", options, flush=True)


def test_command():
    path = os.path.join(FOLDER, "other name.iso")
    check(run([PITH, "image", "-o", path]).ok().stdout == f"{path}\n".encode(), "the path is what it prints")
    with open(path, "rb") as f:
        head = f.read(512)
        f.seek(0x8001)
        check(head[510:] == b"\x55\xaa", "a boot sector, for USB sticks")
        check(f.read(5) == b"CD001", "an ISO 9660 volume, for CDs")
    for output, reason in (("/proc/none.iso", "No such file or directory"), (FOLDER, "Is a directory"),
                           ("/dev/null", "it is no file; make one, and copy that")):
        result = run([PITH, "image", "-o", output])
        equal(result.status, 1, output)
        lines = [line for line in result.stderr.decode().splitlines() if not line.startswith("pith: building")]
        equal(lines, [f"pith: {output} cannot be made: {reason}"], output)
    check(os.path.exists("/dev/null") and not os.path.isfile("/dev/null"), "the device is still one")
