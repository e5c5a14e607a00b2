# SPDX-License-Identifier: MIT
"""The file system without Linux above it: files written and read while it and its disk driver are killed; then the host's look at the disk."""

import array
import os
import select
import time

import machine
from support import PATIENCE, ROOT, check, dump, equal, file_path, fsck, host_shell, make_disk, run, seconds, shell

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1
FILES = 200
PAGES = 5


def page(file, number):
    """What fs-test puts there."""
    start = file << 40 | number << 10
    return array.array("Q", [(start + word) * GOLDEN & MASK for word in range(512)]).tobytes()


def boot(disk, until, *config, memory="128M", limit=150):
    """The log of fs-test's system on this disk (None: without one), until it holds the text."""
    image = file_path("fs.img")
    command = [os.path.join(ROOT, "build/tools/mkboot"), "--components", os.path.join(ROOT, "build/components"), "--output", image,
               "--manifest", os.path.join(ROOT, "tests/system/fs.conf")]
    for line in (f"files={FILES}", *config):
        command += ["--config", "fs-test", line]
    run(command).ok()
    text, deadline = "", time.monotonic() + limit * PATIENCE
    line = machine.command_line(os.path.join(ROOT, "build/kernel/pith.elf"), image, memory=memory, disks=[machine.Disk(disk)] if disk else [])
    with machine.Machine(line) as guest:
        while until not in text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([guest.log], [], [], left)[0]:
                raise AssertionError(f"no {until!r} in {limit} s:\n{text[-4000:]}")
            data = guest.log.recv(65536)
            text += data.decode(errors="replace")
            if not data and until not in text:
                raise AssertionError(f"no {until!r} before the end:\n{text[-4000:]}")
    print(text)
    return text


def check_files(disk, *folders):
    fsck(disk)
    for folder in folders:
        for file in (0, 1, FILES // 2, FILES - 1):
            equal(dump(disk, f"/{folder}/file-{file}"), b"".join(page(file, n) for n in range(PAGES)), f"{folder}/file-{file}")


def under_fire(block_size):
    disk = make_disk("disk.img", "64M", block_size=block_size)
    text = boot(disk, "fs-test: passed", "kills=12")
    check(text.count("virtio-blk was killed") >= 8 and text.count("ext2 was killed") >= 8, "kills", text)
    check_files(disk, "virtio-blk", "ext2")


@seconds(200)
def test_kills_with_small_blocks():
    under_fire(1024)


@seconds(200)
def test_kills_with_large_blocks():
    under_fire(4096)


@seconds(200)
def test_small_disk_and_memory():
    disk = make_disk("disk.img", "16M")
    boot(disk, "fs-test: passed", "size=4", memory="64M")
    check_files(disk, "virtio-blk")


def test_corrupt_superblock():
    """An error for the client, and no crash."""
    disk = make_disk("disk.img", "16M")
    with open(disk, "r+b") as f:
        f.seek(1024 + 0x18)
        f.write(b"\xff\xff\xff\xff")
    text = boot(disk, "fs-test is marked failed")
    check("ext2: error: not mounted: impossible block size" in text, "the reason", text)
    check("operation 1 of inode 2: error 117" in text, "the client's error", text)
    check("init: ext2" not in text, "ext2 lives on", text)


WORK = """cd {folder}
i=0
while [ $i -lt 5 ]; do
	mkdir d$i
	cp -r /usr/lib/locale /etc d$i
	for f in 1 2 3 4 5 6 7 8 9; do echo $f >d$i/g$f; mv d$i/g$f d$i/h$f; ln d$i/h$f d$i/l$f; ln -s l$f d$i/s$f; done
	rm d$i/h5 d$i/l6
	seq 1 20000 >d$i/seq
	sort -r d$i/seq | md5sum
	i=$((i + 1))
done
rm -r d2
ls | xargs echo
"""


@seconds(300)
def test_file_system_dies_under_linux():
    """Programs do not notice that the file system of a disk is killed while they use it."""
    disk = make_disk("disk.img", "64M")
    killer = "while [ ! -e /tmp/stop ]; do echo 1 >/pith/components/ext2.1/kill; sleep 0.3; done"
    result = shell(f"({killer}) & {WORK.format(folder='/mnt')} touch /tmp/stop; wait; grep kills: /pith/components/ext2.1/status",
                   disk=[disk], timeout=240).ok()
    *lines, kills = result.stdout.decode().splitlines()
    expected = host_shell("seq 1 20000 | sort -r | md5sum").stdout.decode().splitlines()
    equal(lines, expected * 5 + ["d0 d1 d3 d4 lost+found"])
    check(int(kills.split()[1]) >= 2, "kills", kills)
    fsck(disk)
    equal(dump(disk, "/d3/seq"), host_shell("seq 1 20000").stdout)
    equal(dump(disk, "/d4/l5"), b"5\n")


def test_no_disk():
    """The driver gives up and is marked failed: errors, nobody waits for ever."""
    text = boot(None, "fs-test is marked failed")
    check("virtio-blk is marked failed" in text, "the driver", text)
    check("operation 1 of inode 2: error 5" in text, "the client's error", text)
