# SPDX-License-Identifier: MIT
"""The disk and the serial driver on their own: small systems of driver and test client, and the drivers killed again and again."""

import array
import errno
import os
import random
import re
import select
import subprocess
import time

import machine
from support import FOLDER, GUEST, PATIENCE, ROOT, check, equal, file_path, fsck, make_disk, on_machine, run, write_file

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def boot_image(name, *config):
    """Packs tests/system/NAME.conf or the manifest with that path; config: (component, line) pairs."""
    manifest = name if os.path.isabs(name) else os.path.join(ROOT, "tests/system", name + ".conf")
    image = os.path.join(FOLDER, os.path.basename(name) + ".img")
    command = [os.path.join(ROOT, "build/tools/mkboot"), "--components", os.path.join(ROOT, "build/components"), "--output",
               image, "--manifest", manifest]
    for component, line in config:
        command += ["--config", component, line]
    subprocess.run(command, check=True)
    return image


def disk_image(sectors):
    """What block-test expects: word w of sector s is (s + w) * GOLDEN."""
    path = os.path.join(FOLDER, "block.disk")
    with open(path, "wb") as f:
        for sector in range(sectors):
            f.write(array.array("Q", [(sector + word) * GOLDEN & MASK for word in range(64)]).tobytes())
    return path


class Log:
    """The machine's log line, read as it comes."""

    def __init__(self, guest):
        self.guest, self.text = guest, ""

    def wait(self, text, seconds):
        """Until the log holds the text; fails when the log ends, time is up, or a component gives up."""
        deadline = time.monotonic() + seconds * PATIENCE
        while text not in self.text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.guest.log], [], [], left)[0]:
                raise AssertionError(f"no {text!r} in {seconds} s:\n{self.text[-4000:]}")
            data = self.guest.log.recv(65536)
            self.text += data.decode(errors="replace")
            if not data or "block-test: sector" in self.text or "kernel panic" in self.text:
                if text not in self.text:
                    raise AssertionError(f"no {text!r} before the end:\n{self.text[-4000:]}")


def block(extra=(), memory="128M", sectors=65536, config=(), properties=""):
    image = boot_image("block", ("block-test", "write=1"), *config)
    disk = machine.Disk(disk_image(sectors), keep=False)
    command = machine.command_line(os.path.join(ROOT, "build/kernel/pith.elf"), image, memory=memory, disks=[disk],
                                   extra=extra)
    if properties:
        command = [word + properties if word.startswith("virtio-blk-pci") else word for word in command]
    with machine.Machine(command) as guest:
        log = Log(guest)
        log.wait("block-test: passed", 150)
        print(*[line for line in log.text.splitlines() if "block-test:" in line or "virtio-blk" in line], sep="\n")
        return log.text


def test_block():
    text = block()
    assert "msi" in text, text


def test_block_line_interrupt():
    """A device without MSI-X: the interrupt line."""
    text = block(properties=",vectors=0")
    assert "intx" in text, text


def test_block_plain_queue():
    """No indirect descriptors, a short queue."""
    block(properties=",indirect_desc=off,queue-size=16")


def test_block_with_legacy_interface():
    """A transitional device, which has the modern interface too."""
    text = block(properties=",disable-legacy=off", sectors=4096)
    assert "1af4:1001" in text, text


def test_block_legacy_only():
    """Nothing that the driver could drive: it says so and gives up."""
    image = boot_image("block")
    command = machine.command_line(os.path.join(ROOT, "build/kernel/pith.elf"), image, memory="64M",
                                   disks=[machine.Disk(disk_image(64), keep=False)])
    command = [word.replace("disable-legacy=on", "disable-legacy=off,disable-modern=on") for word in command]
    with machine.Machine(command) as guest:
        log = Log(guest)
        log.wait("virtio-blk is marked failed", 60)
        assert "no usable virtio 1" in log.text, log.text


def test_block_bus_dies():
    """The bus takes the driver's registers and interrupt with it; both come back and nothing is lost."""
    text = block(config=[("block-test", "kills=2"), ("block-test", "victim=pci")])
    assert text.count("pci was killed") >= 4, text


def test_block_missing():
    """Without the disk its driver gives up with a clear text and the system goes on."""
    image = boot_image("block")
    command = machine.command_line(os.path.join(ROOT, "build/kernel/pith.elf"), image, memory="64M")
    with machine.Machine(command) as guest:
        Log(guest).wait("the machine has no such device", 30)


def test_block_failed_is_silent():
    """The device of a driver that is given up touches no memory any more: bus mastering is off."""
    with open(os.path.join(ROOT, "tests/system/block.conf")) as f:
        text = f.read()
    conf = os.path.join(FOLDER, "failing.conf")
    with open(conf, "w") as f:
        f.write(text.replace("dma 256K", "dma 4K"))  # the driver finds out after it has opened the device
    image = boot_image(conf)
    command = machine.command_line(os.path.join(ROOT, "build/kernel/pith.elf"), image, memory="64M",
                                   disks=[machine.Disk(disk_image(64), keep=False)])
    with machine.Machine(command, control=True) as guest:
        log = Log(guest)
        log.wait("virtio-blk is marked failed", 60)
        log.wait("the driver has failed", 10)
        assert "too small" in log.text, log.text
        guest.control.sendall(b'{"execute":"human-monitor-command","arguments":{"command-line":"info mtree"}}\n')
        tree = b""
        while b"address-space: virtio-blk-pci" not in tree or tree.count(b"\n") < 3:
            tree += guest.control.recv(1 << 20)
        space = tree.partition(b"address-space: virtio-blk-pci")[2].partition(b"address-space:")[0]
        assert b"alias bus master" not in space, space


def echo(size, kill=0):
    """Sends noise to serial-test and takes back what it returns, up to the noise's end, both at the same time."""
    image = boot_image("serial", ("serial-test", f"kill={kill}"))
    command = machine.command_line(os.path.join(ROOT, "build/kernel/pith.elf"), image, memory="64M")
    noise = random.Random(1).randbytes(size)
    with machine.Machine(command) as guest:
        Log(guest).wait("serial-test: ready", 30)
        guest.console.setblocking(False)
        sent, got, started, last = 0, b"", time.monotonic(), time.monotonic()
        while not got.endswith(noise[-1000:]) and time.monotonic() - last < 20 * PATIENCE:
            readable, writable, _ = select.select([guest.console], [guest.console.writer] if sent < size else [], [], 0.5)
            if readable:
                got += guest.console.recv(65536)
                last = time.monotonic()
            if writable:
                sent += guest.console.send(noise[sent:sent + 65536])
        seconds = time.monotonic() - started
        print(f"{len(got)} of {size} bytes came back in {seconds:.2f} s: {len(got) / seconds / 1e6:.2f} MB/s each way")
        return noise, got


def test_serial():
    noise, got = echo(300000)
    assert got == noise, f"{len(got)} bytes, the first wrong one is {next((i for i, (a, b) in enumerate(zip(got, noise)) if a != b), None)}"


def test_serial_kills():
    """A FIFO's worth may be lost or come twice at each death, no more: and the line works afterwards."""
    size, kill = 200000, 10000
    noise, got = echo(size, kill)
    deaths = size // kill + 1
    assert abs(len(got) - size) <= 32 * deaths, f"{len(got)} of {size} bytes came back"
    assert got.endswith(noise[-1000:])


def test_disk_errors():
    """Sectors that cannot be read or, as the host's disk is full, written: an error for what needs them, nothing else is touched."""
    write_file("tree/good", b"good\n" * 1000)
    write_file("tree/bad", b"data" * 50000)
    disk = make_disk("disk.img", "16M", file_path("tree"))
    block = int(run(["debugfs", "-R", "bmap /bad 100", disk]).ok().stdout)
    rule = '[inject-error]\nevent = "%s"\nerrno = "%d"\nsector = "%d"\nonce = "off"\n'
    rules = write_file("rules", (rule % ("read_aio", errno.EIO, block * 2) + rule % ("write_aio", errno.ENOSPC, block * 2)).encode())
    script = """
        head -c 90000 /mnt/bad | wc -c
        cat /mnt/bad >/dev/null; echo $?
        tail -c 90000 /mnt/bad | wc -c
        wc -c </mnt/good
        dd if=/dev/zero of=/mnt/bad bs=4k seek=25 count=1 conv=notrunc,fsync; echo $?
        echo new >/mnt/new && sync; cat /mnt/new
        grep restarts /pith/components/virtio-blk.1/status"""
    result = on_machine("exec 2>&1" + script, disks=[disk], config={"mount.1": "/mnt"},
                        change=lambda command: [word.replace(f"file={disk}", f"file=blkdebug:{rules}:{disk}") for word in command]).ok()
    lines = result.stdout.decode().splitlines()
    numbers = [line for line in lines if not re.match(r"(head|cat|tail|dd): |\d\+\d records", line)]
    equal(numbers, ["90000", "1", "90000", "5000", "1", "new", "restarts: 0"], "\n".join(lines) + "\nthe output")
    check(sum("Input/output error" in line or "I/O error" in line for line in lines) == 2, lines)
    fsck(disk)


def test_flush_errors():
    """A flush that fails once: fsync says so, once for each file that was open, and goes on afterwards."""
    disk = make_disk("disk.img", "16M")
    last = 12  # behind those of the mount
    rules = write_file("rules", "".join(
        f'[set-state]\nevent = "flush_to_disk"\nstate = "{n}"\nnew_state = "{n + 1}"\n' for n in range(1, last)).encode() +
        f'[inject-error]\nevent = "flush_to_disk"\nerrno = "5"\nstate = "{last}"\nonce = "on"\n'.encode())
    result = on_machine("exec /mnt/syncs /mnt 2>&1", disks=[with_file(disk, "syncs")], config={"mount.1": "/mnt"},
                        change=lambda command: [word.replace(f"file={disk}", f"file=blkdebug:{rules}:{disk}") for word in command]).ok()
    equal(result.stdout.decode().splitlines(),
          ["first: I/O error", "first again: ok", "second: I/O error", "second again: ok", "opened later: ok"])
    fsck(disk)


def with_file(disk, program):
    """The disk, with a program of tests/programs on it."""
    commands = write_file("commands", f"write {os.path.join(GUEST, program)} {program}\nset_inode_field {program} mode 0100755\n".encode())
    run(["debugfs", "-w", "-f", commands, disk]).ok()
    return disk


def test_thirteen_disks():
    """As many as a manifest has room for: each is there, and holds what was written to it and nothing else."""
    from support import equal, fsck, make_disk, run, shell

    disks = [make_disk(f"disk{number}.img", "4M") for number in range(13)]
    script = "for n in 0 1 2 3 4 5 6 7 8 9 10 11 12; do echo file $n >/d$n/file; done; cat /d*/file | sort -n -k2; df | grep -c ' /d[0-9]'"
    result = shell(script, disk=[f"{disk}:/d{number}" for number, disk in enumerate(disks)]).ok()
    equal(result.stdout.decode().split("\n"), [f"file {n}" for n in range(13)] + ["13", ""])
    for number, disk in enumerate(disks):
        fsck(disk)
        equal(run(["debugfs", "-R", "cat /file", disk]).stdout.decode(), f"file {number}\n")
