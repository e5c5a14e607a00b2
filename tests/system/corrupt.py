# SPDX-License-Identifier: MIT
"""Damaged disks under Linux programs: what is wrong is an error for whoever meets it; no component crashes, and the rest goes on."""

import os
import random
import re
import shutil
import struct

from support import SEED, check, equal, file_path, fsck, full, make_disk, pith, run, sampled, seconds, shell, write_file

DISKS, DISKS_OF_A_SAMPLE = 12, 6  # that one machine works on


def source_tree():
    for i in range(30):
        write_file(f"source/d{i % 3}/s{i % 2}/file-{i}", os.urandom(i * 700))
    write_file("source/large", os.urandom(900_000))
    for i in range(60):
        write_file(f"source/many/a-name-that-is-longer-than-others-{i}", b"x")
    if os.path.lexists(file_path("source/link")):
        return file_path("source")
    os.symlink("t" * 100, file_path("source/long-link"))
    os.symlink("large", file_path("source/link"))
    os.link(file_path("source/large"), file_path("source/hard"))
    return file_path("source")


class Image:
    """Where things are on a disk made by mke2fs."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.data = bytearray(f.read())
        self.block_size = 1024 << self.word(1024 + 24)
        self.inode_size = struct.unpack_from("<H", self.data, 1024 + 88)[0]
        self.groups = (1 + 1024 // self.block_size) * self.block_size if self.block_size == 1024 else self.block_size
        self.block_bitmap, self.inode_bitmap, self.table = struct.unpack_from("<3I", self.data, self.groups)

    def word(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def inode(self, number):
        """Of the first group."""
        return self.table * self.block_size + (number - 1) * self.inode_size

    def used_inodes(self):
        used = self.word(1024 + 40) - struct.unpack_from("<H", self.data, self.groups + 14)[0]
        return [2] + list(range(12, used + 1))

    def put(self, at, pattern, value):
        struct.pack_into(pattern, self.data, at, value)

    def save(self):
        with open(self.path, "wb") as f:
            f.write(self.data)


def damage_inode(image, generator):
    at = image.inode(generator.choice(image.used_inodes()[1:]))  # without a root a disk is not mounted
    field, pattern = generator.choice([(0, "<H"), (4, "<I"), (26, "<H"), (28, "<I"), (32, "<I"), (108, "<I"), (104, "<I")])
    image.put(at + field, pattern, generator.choice([0, 1, generator.getrandbits(16), (1 << 8 * struct.calcsize(pattern)) - 1]))


def damage_pointer(image, generator):
    """To metadata, outside, to the inode's own indirect block (a loop), to another file's block."""
    at = image.inode(generator.choice(image.used_inodes())) + 40 + 4 * generator.choice([0, 0, 1, 5, 12, 12, 13, 14])
    image.put(at, "<I", generator.choice([1, image.table, image.block_bitmap, 0xFFFFFFFF, len(image.data) // image.block_size, image.word(at) or 3,
                                          image.word(image.inode(2) + 40), generator.randrange(len(image.data) // image.block_size)]))


def damage_indirect(image, generator):
    """Inside of a block that an inode's pointers lead to: indirect blocks, directories, symbolic links."""
    block = image.word(image.inode(generator.choice(image.used_inodes())) + 40 + 4 * generator.choice([0, 0, 0, 12, 13]))
    if not 0 < block < len(image.data) // image.block_size:
        return
    at = block * image.block_size + generator.randrange(0, image.block_size, 4)
    image.put(at, "<I", generator.choice([0, 1, block, 0xFFFFFFFF, 2, 0x7FFFFFFF, generator.getrandbits(32)]))


def damage_entry(image, generator):
    """The first entries of a directory: inode, length of the record, of the name."""
    directories = [n for n in image.used_inodes() if struct.unpack_from("<H", image.data, image.inode(n))[0] & 0xF000 == 0x4000]
    at = image.word(image.inode(generator.choice(directories)) + 40) * image.block_size
    if not 0 < at < len(image.data) - image.block_size:
        return
    for _ in range(generator.randrange(6)):
        at += struct.unpack_from("<H", image.data, at + 4)[0] % image.block_size
    if at + 8 > len(image.data):
        return
    kind = generator.randrange(4)
    if kind == 0:
        image.put(at, "<I", generator.choice([2, 1, 11, 0xFFFFFFFF, 9999, generator.choice(directories)]))
    elif kind == 1:
        image.put(at + 4, "<H", generator.choice([0, 1, 4, 8, 13, 0xFFFF, 0xFFFC, image.block_size]))
    elif kind == 2:
        image.put(at + 6, "<B", generator.choice([0, 1, 255]))
    else:
        image.put(at + 8, "<B", generator.choice([0, ord("/"), ord(".")]))


def damage_bitmap(image, generator):
    at = generator.choice([image.block_bitmap, image.inode_bitmap]) * image.block_size + generator.randrange(128)
    image.put(at, "<B", generator.choice([0, 255, generator.getrandbits(8)]))


DAMAGES = (damage_inode, damage_pointer, damage_indirect, damage_entry, damage_bitmap)

# Loops in directories are real: find and rm may walk in them for ever.
WORK = """
for d in /d[0-9]*; do
	cd $d || continue
	{
		timeout 10 ls -lR; timeout 10 find . -type f | head -n 300 | timeout 10 xargs cat
		cat link hard large; readlink long-link
		echo new >new; seq 1 5000 >d0/new; mkdir made; mv d1 made; ln large larger; mv hard many/hard; rm link
		dd if=/dev/zero of=large bs=1k count=2000 conv=notrunc; truncate -s 1000 large
		timeout 10 rm -rf many d2; sync; df .
	} >/dev/null 2>&1
	cd /
done
grep -h '^restarts:' /pith/components/*/status | sort | uniq
seq 1 1000 >/good/f && md5sum </good/f
"""


def repaired(name):
    """By e2fsck, which sometimes needs two turns."""
    run(["e2fsck", "-fy", file_path(name)])
    return run(["e2fsck", "-fy", file_path(name)]).status <= 1


def damaged_disks(seed, count=DISKS):
    generator = random.Random(seed)
    tree = source_tree()
    disks = []
    for number in range(count):
        path = make_disk(f"disk{number}.img", "4M", tree, generator.choice([1024, 1024, 4096]))
        image = Image(path)
        for _ in range(generator.choice([1, 1, 2, 5])):
            generator.choice(DAMAGES)(image, generator)
        image.save()
        shutil.copy(path, path + ".damaged")
        disks.append(f"{path}:/d{number}")
    good = make_disk("good.img", "4M")
    result = shell(WORK, disk=[*disks, f"{good}:/good"], timeout=280, memory="256M")
    equal(result.status, 0, f"the status with seed {seed}")
    lines = result.stdout.decode().splitlines()
    equal(lines[0], "restarts: 0", f"what is restarted with seed {seed}")
    equal(lines[1:], run(["sh", "-c", "seq 1 1000 | md5sum"]).stdout.decode().splitlines(), "what else goes on")
    for number in range(count):
        # Made worse in no way that e2fsck cannot repair; there is damage that it cannot repair itself.
        if repaired(f"disk{number}.img.damaged"):
            check(repaired(f"disk{number}.img"), f"e2fsck -fy of disk {number} with seed {seed}")
    equal(run(["e2fsck", "-fn", good]).status, 0, "the good disk")


@sampled
@seconds(300)
def test_random_damage():
    damaged_disks(SEED, DISKS_OF_A_SAMPLE)


# 240 disks, in pieces of 60.

def damaged_quarter(quarter):
    for number in range(5 * quarter, 5 * quarter + 5):
        damaged_disks(SEED * 1000 + number)


@full
@seconds(1200)
def test_damage_of_60_disks():
    damaged_quarter(0)


@full
@seconds(1200)
def test_damage_of_60_more_disks():
    damaged_quarter(1)


@full
@seconds(1200)
def test_damage_of_a_third_60_disks():
    damaged_quarter(2)


@full
@seconds(1200)
def test_damage_of_the_last_60_disks():
    damaged_quarter(3)


def test_refused():
    """With a reason, and left as they are."""
    def group(at, value):
        return lambda image: (image.groups + at, value(image) if callable(value) else value)
    for name, damage in (("bitmap-outside", group(0, 0xFFFFFFFF)), ("bitmap-is-superblock", group(0, 1)), ("table-outside", group(8, 4097)),
                         ("table-is-bitmap", group(8, lambda image: image.block_bitmap)), ("too-much-free", group(12, 0xFFFFFFFF)),
                         ("root-is-no-directory", lambda image: (image.inode(2), 0x81A4)), ("no-root", lambda image: (image.inode(2), 0))):
        image = Image(make_disk(f"{name}.img", "4M"))
        image.put(damage(image)[0], "<I", damage(image)[1])
        image.save()
        result = pith("true", disk=[image.path], timeout=60)
        check(result.status == 125 and b"corrupt" in result.stderr, f"{name}: status {result.status}", result.stderr)
        check(b"Structure needs cleaning" in result.stderr, name, result.stderr)
        with open(image.path, "rb") as f:
            equal(f.read(), bytes(image.data), f"{name}: the disk afterwards")


def test_refused_beside_a_good_one():
    """The other disk is unmounted although no program ever ran."""
    good, bad = make_disk("good.img", "8M"), make_disk("bad.img", "8M")
    run(["debugfs", "-w", "-R", "feature +extents", bad]).ok()
    result = pith("true", disk=[f"{good}:/mnt/a", f"{bad}:/mnt/b"], timeout=60)
    check(result.status == 125 and b"disk 2 cannot be mounted on /mnt/b" in result.stderr, "the refusal", result.status, result.stderr)
    state = re.search(rb"Filesystem state: *(.*)", run(["dumpe2fs", "-h", good]).ok().stdout)
    equal(state.group(1), b"clean", "the good disk")
    fsck(good)
