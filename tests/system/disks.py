# SPDX-License-Identifier: MIT
"""Disks of all kinds, and memory of all sizes. What Pith wrote is checked by the host's e2fsck and debugfs."""

import difflib
import hashlib
import os
import re
import subprocess

import bench
import linux_guest
import machine
from support import (GUEST, check, dump, equal, file_path, fsck, fsck_after_death, full, host_shell, make_disk, pith, pith_command, run, sampled, seconds,
                     shell, write_file)


def work_on(disk, source):
    """Read what mke2fs put there, write files large and small, delete some."""
    script = """set -e
cd /mnt
(cd made && find . -type f | sort | xargs md5sum)
mkdir -p new/deep/er
i=0; while [ $i -lt 100 ]; do echo file $i >new/f$i; i=$((i+1)); done
rm new/f1*
seq 1 200000 >new/large
dd if=/dev/zero of=new/sparse bs=1 count=1 seek=5000000 2>/dev/null
ln new/f2 new/hard; ln -s f3 new/soft; mv new/f4 new/deep/er/moved; cat new/soft
truncate -s 1000 new/large; rm -r made/d1
df -k . >/dev/null; ls new | wc -l
"""
    result = shell(script, disk=[disk]).ok()
    expected = host_shell(f"cd {source} && find . -type f | sort | xargs md5sum").stdout + b"file 3\n93\n"
    equal(result.stdout, expected)
    fsck(disk)
    equal(dump(disk, "/new/large"), host_shell("seq 1 200000").stdout[:1000])
    equal(dump(disk, "/new/deep/er/moved"), b"file 4\n")
    equal(dump(disk, "/new/hard"), b"file 2\n")
    equal(len(dump(disk, "/new/sparse")), 5000001)


def source_tree():
    for i in range(40):
        write_file(f"source/made/d{i % 4}/f{i}", os.urandom(i * 1500))
    write_file("source/made/large", os.urandom(2_000_000))
    return file_path("source")


def test_16_mib_1_kib_blocks():
    source = source_tree()
    work_on(make_disk("disk.img", "16M", source, 1024), os.path.join(source, "made"))


def test_16_mib_4_kib_blocks():
    source = source_tree()
    work_on(make_disk("disk.img", "16M", source, 4096), os.path.join(source, "made"))


def test_8_gib_1_kib_blocks():
    source = source_tree()
    work_on(make_disk("disk.img", "8G", source, 1024), os.path.join(source, "made"))


def test_8_gib_4_kib_blocks():
    source = source_tree()
    work_on(make_disk("disk.img", "8G", source, 4096), os.path.join(source, "made"))


def test_files_beyond_4_gib():
    disk = make_disk("disk.img", "8G", block_size=4096)
    script = """set -e
echo start >/mnt/f; dd if=/etc/passwd of=/mnt/f bs=1 seek=5000000000 conv=notrunc 2>/dev/null
stat -c %s /mnt/f; dd if=/mnt/f bs=1000000 skip=5000 2>/dev/null | cmp - /etc/passwd && echo same"""
    result = shell(script, disk=[disk]).ok()
    equal(result.stdout.split()[1], b"same")
    fsck(disk)


def with_features(options, source):
    disk = file_path("disk.img")
    run(["mke2fs", "-q", "-F", "-t", "ext2", "-O", options, "-d", source, disk, "32M"]).ok()
    return disk


@sampled
def test_features():
    source = source_tree()
    for options in ("ext_attr,^dir_index,^large_file", "^sparse_super,^resize_inode", "^filetype,^ext_attr"):
        disk = with_features(options, source)
        work_on(disk, os.path.join(source, "made"))
        os.unlink(disk)


def revision(disk):
    return re.search(r"revision #: +(.*)", run(["dumpe2fs", "-h", disk]).ok().stdout.decode()).group(1)


@sampled
def test_revision_0():
    """The format of 1993: no features, inodes of 128 bytes. A file of 2 GiB makes it revision 1, as on Linux."""
    source = source_tree()
    for block_size in (1024, 4096):
        disk = file_path("disk.img")
        run(["mke2fs", "-q", "-F", "-r", "0", "-b", str(block_size), "-d", source, disk, "32M"]).ok()
        work_on(disk, os.path.join(source, "made"))
        shell("cd /mnt; truncate -s 2147483647 new/large; rm -r made", disk=[disk]).ok()
        equal(revision(disk), "0 (original)", "the revision")
        fsck(disk)
        result = shell("cd /mnt; echo end | dd of=new/large bs=1 seek=2147483647 conv=notrunc 2>/dev/null; stat -c %s new/large; "
                       "rm new/f*; tail -c 4 new/large", disk=[disk]).ok()
        equal(result.stdout, b"2147483651\nend\n")
        equal(revision(disk), "1 (dynamic)", "the revision with a large file")
        check(b"large_file\n" in run(["dumpe2fs", "-h", disk]).ok().stdout, "the feature")
        fsck(disk)
        os.unlink(disk)


def test_features_that_are_not_known():
    """The disk is refused, or only read, with the features' bits in the log; it is not changed."""
    source = source_tree()
    for options, status, message in (("extents", 125, "incompatible features 0x40"), ("64bit,extents", 125, "incompatible features 0xc0"),
                                     ("huge_file", 1, "features 0x8 are not known: read-only"), ("metadata_csum", 1, "features 0x400 are not known: read-only")):
        disk = with_features(options, source)
        with open(disk, "rb") as f:
            before = hashlib.md5(f.read()).digest()
        log = file_path("log")
        result = shell("cmp /mnt/made/d1/f1 /mnt/made/d1/f1 && echo new >/mnt/new", disk=[disk], options=["--log", log])
        equal(result.status, status, f"the status with {options}")
        with open(log, errors="replace") as f:
            text = f.read()
        check(message in text, f"{options}: {message}", text, result.stderr)
        with open(disk, "rb") as f:
            equal(hashlib.md5(f.read()).digest(), before, f"the disk with {options}")
        os.unlink(disk)


def test_more_written_than_memory():
    """A file of five times the memory, while another process has its turn; nobody is killed for it."""
    disk = make_disk("disk.img", "400M", block_size=4096)
    part = os.urandom(8 << 20)
    result = shell("i=0; (while [ ! -e /mnt/done ]; do sleep 0.02; i=$((i + 1)); done; [ $i -gt 2 ] && echo turns) & "
                   "i=0; while [ $i -lt 40 ]; do cat /part; echo $i; i=$((i + 1)); done >/mnt/f; echo $?; touch /mnt/done; wait",
                   disk=[disk], add=[f"{write_file('part', part)}:/part"], memory="64M").ok()
    equal(sorted(result.stdout.split()), [b"0", b"turns"])
    fsck(disk)
    expected = b"".join(part + b"%d\n" % number for number in range(40))
    equal(hashlib.md5(dump(disk, "/f")).digest(), hashlib.md5(expected).digest(), "what is in the file")


def on_linux(name, script, disk):
    """What the script, which knows the program as /program, prints on Debian's kernel with the disk at /mnt."""
    line = linux_guest.command_line(os.path.join(GUEST, name), f"sh -c '{script}; cd /'", machine.Disk(disk))
    with machine.Machine(line) as emulator:
        return bench.collect(emulator, 250)[0].replace("\r", "").rpartition("status 0")[0]


BLOCKS = re.compile(r", (\d+) blocks")


def same_holes(block_size, keep=lambda line: line):
    """keep: what of a line must be the same. The blocks are no more than Linux needs, which keeps some tables that map nothing any more."""
    linux = on_linux("holes", "cd /mnt && /program && mount -t tmpfs t /tmp && cd /tmp && /program",
                     make_disk("linux.img", "64M", block_size=block_size))
    disk = make_disk("disk.img", "64M", block_size=block_size)
    here = pith("sh", "-c", "cd /mnt && /holes && mount -t tmpfs t /tmp && cd /tmp && /holes", disk=[disk],
                add=[os.path.join(GUEST, "holes")]).ok().stdout.decode()
    fsck(disk)
    lines = [[BLOCKS.sub("", keep(line)) for line in text.splitlines()] for text in (linux, here)]
    difference = list(difflib.unified_diff(*lines, "Linux", "Pith", n=0, lineterm=""))
    check(len(lines[0]) > 200 and not difference, "differences", *difference[:60])
    for theirs, ours in zip(linux.splitlines(), here.splitlines()):
        counts = [int(count) for line in (ours, theirs) for count in BLOCKS.findall(keep(line))]
        check(not counts or counts[0] <= counts[1], "blocks", theirs, ours)


@seconds(600)
def test_holes():
    """Punching, finding and filling them, on a disk and in memory: what Debian's kernel says."""
    same_holes(4096)


@seconds(600)
def test_holes_with_small_blocks():
    """Pith gives a page of a file all of its blocks at once: results and contents are the same, not what is data and what is a hole."""
    same_holes(1024, lambda line: re.sub(r", \d+ blocks(, data [-0-9 ]*)?|SEEK_HOLE\) = \d.*", "", line))


def same_on_a_disk(program):
    """The program prints the same on Debian's kernel, in an ext2 that is clean afterwards; returns what."""
    linux = on_linux(program, "cd /mnt && /program", make_disk("linux.img", "16M", block_size=4096))
    disk = make_disk("disk.img", "16M", block_size=4096)
    here = pith("sh", "-c", f"cd /mnt && /{program} 2>/dev/null", disk=[disk], add=[os.path.join(GUEST, program)]).ok().stdout.decode()
    fsck(disk)
    difference = list(difflib.unified_diff(linux.splitlines(), here.splitlines(), "Linux", "Pith", n=0, lineterm=""))
    check(not difference, program, *difference[:60])
    return linux


@seconds(600)
def test_what_depends_on_the_mount():
    """Remounting, flags of files and times on an ext2: what Debian's kernel says."""
    check(same_on_a_disk("mounted").endswith("exit 0\n"), "it came to its end")


@sampled
def test_mounts_of_their_own():
    """What the mounts of a namespace hold goes with the last process in it: more than there is memory, one after the other, and then many
    at once that unmount what they use."""
    lines = shell("set -e; mounts() { cut -d' ' -f1-3 /proc/self/mounts; }; before=$(mounts); for i in $(seq 3); do unshare -m sh -c 'mount -t tmpfs t /mnt; head -c 40000000 /dev/zero >/mnt/f; "
                  "mkdir /mnt/d; mount -t tmpfs u /mnt/d; echo >/mnt/d/g; mount --rbind /mnt /tmp; ls /tmp/d; findmnt -n -o TARGET -R /mnt | wc -l'; done; "
                  "for i in $(seq 6); do unshare -m sh -c 'mount -t tmpfs t /mnt; head -c 1000000 /dev/zero >/mnt/f; cd /mnt; umount -l /mnt; mount --bind /usr /mnt' & done; "
                  "wait; [ \"$before\" = \"$(mounts)\" ]; grep Shmem: /proc/meminfo", memory="128M").ok().stdout.split()
    equal(lines, [b"g", b"2"] * 3 + [b"Shmem:", b"0", b"kB"])


def test_hole_in_what_is_not_written_yet():
    """The disk learns where the file ends from the pages that are punched. Beside that, when files changed that got or lost names: it is
    the same when they have left memory."""
    disk = make_disk("disk.img", "16M")
    times = "/usr/bin/stat -c '%n %.9Z' kept linked moved over one two folder"
    lines = shell("cd /mnt; set -e; touch kept gone linked old new one two; ln new over2; mkdir f; ln kept gone -f; ln linked name; sync; rm gone; mv old moved; mv f folder; "
                  f"ln new over; mv two over2; ln one two; mv -T over2 two; {times}; sync; echo 3 >/proc/sys/vm/drop_caches; {times}",
                  disk=[disk]).ok().stdout.splitlines()
    check(len(lines) == 14, "files", lines)
    equal(lines[:7], lines[7:], "when they changed")
    shell("cd /mnt; set -e; for f in all tail; do head -c 300000 /dev/urandom >$f; done; /usr/bin/fallocate -p -o 0 -l 400000 all; /usr/bin/fallocate -p -o 200000 -l 100000 tail; wc -c all tail; sync",
          disk=[disk]).ok()
    fsck(disk)
    equal(dump(disk, "/all"), bytes(300000), "what was punched whole")
    tail = dump(disk, "/tail")
    check(len(tail) == 300000 and tail[200000:] == bytes(100000) and tail[:1000] != bytes(1000), "the other", len(tail))


@sampled
@seconds(600)
def test_mapping_larger_than_memory():
    """Three processes change each page of a file of three times the memory through mappings: none is killed, and nothing is lost."""
    disk = make_disk("disk.img", "400M", block_size=4096)
    result = pith("/spread", "/mnt/f", "200", "3", disk=[disk], add=[os.path.join(GUEST, "spread")], memory="64M", timeout=500)
    equal(result.stdout.decode(), "writer: 0\n" * 3 + "wrong through the mapping: 0\nwrong in all: 0\n", "what the program saw")
    fsck(disk)
    expected = b"".join(bytes((page * 7 + writer * 31 + 1) % 256 for writer in range(3)).ljust(4096, b"\0") for page in range(200 * 256))
    equal(hashlib.md5(dump(disk, "/f")).digest(), hashlib.md5(expected).digest(), "what is in the file")


def test_many_files_in_a_folder():
    disk = make_disk("disk.img", "64M")
    script = """set -e
mkdir /mnt/d; cd /mnt/d; seq 1 3000 | sed 's/^/a-rather-long-name-for-a-file-/' | xargs touch
ls | wc -l; ls | head -n 1000 | xargs rm; ls | wc -l; ls | md5sum"""
    result = shell(script, disk=[disk]).ok()
    names = sorted(f"a-rather-long-name-for-a-file-{i}" for i in range(1, 3001))[1000:]
    digest = hashlib.md5("".join(n + "\n" for n in names).encode()).hexdigest()
    equal(result.stdout.decode(), f"3000\n2000\n{digest}  -\n")
    fsck(disk)


def test_full_disk():
    disk = make_disk("disk.img", "16M")
    result = shell("dd if=/dev/zero of=/mnt/fill bs=64k; echo $?; echo x >/mnt/more; echo $?; rm /mnt/fill; "
                   "echo fits >/mnt/again; echo $?; cat /mnt/again", disk=[disk], options=("--log", file_path("log")))
    equal(result.status, 0)
    with open(file_path("log")) as log:
        check("No space left" not in log.read(), "what its writer was told is no matter for the log")
    lines = result.stdout.split()
    check(lines[0] == b"1" and lines[-2:] == [b"0", b"fits"], "statuses", result.stdout, result.stderr)
    check(b"No space left on device" in result.stderr, "the message", result.stderr)
    fsck(disk)
    equal(dump(disk, "/again"), b"fits\n")


def test_full_disk_through_a_mapping():
    disk = make_disk("disk.img", "8M")
    result = pith("/mapped", "/mnt/hole", disk=[disk], add=[os.path.join(GUEST, "mapped")]).ok()
    lines = result.stdout.decode().splitlines()
    check(len(lines) == 9 and not any(line.endswith((": no", "= -1")) or " = -" in line for line in lines), "what the program saw", *lines)
    fsck(disk)


def test_out_of_inodes():
    path = file_path("disk.img")
    run(["mke2fs", "-q", "-F", "-t", "ext2", "-N", "64", path, "16M"]).ok()
    result = shell("cd /mnt; i=0; while echo $i 2>/dev/null >f$i; do i=$((i+1)); done 2>/dev/null; ls | wc -l; rm f1; echo y >z; cat z",
                   disk=[path])
    check(result.status == 0 and result.stdout.endswith(b"y\n"), result.stdout, result.stderr)
    fsck(path)


@sampled
def test_64_mib_of_memory():
    result = shell("grep MemTotal /proc/meminfo; echo; seq 1 100000 | sort -rn | tail -n 1; md5sum /bin/busybox; "
                   "dd if=/dev/zero of=/tmp/f bs=1M count=100 2>/dev/null; wc -c </tmp/f; cat /tmp/f | md5sum",
                   memory="64M").ok()
    lines = result.stdout.decode().splitlines()
    check(0 < int(lines[0].split()[1]) < 65536, "total memory", lines)
    equal(lines[2], "1")
    equal(lines[4], "104857600")
    equal(lines[5], host_shell("dd if=/dev/zero bs=1M count=100 2>/dev/null | md5sum").stdout.decode().strip())


@sampled
def test_2_gib_of_memory():
    """All is found, and files in memory are not what could be freed."""
    show = "grep -E 'Avail|Shmem' /proc/meminfo"
    result = shell("grep MemTotal /proc/meminfo; dd if=/dev/zero bs=1M count=1 2>/dev/null | tr '\\0' x | md5sum; "
                   f"mount -t tmpfs t /mnt; {show}; head -c 100000000 /dev/zero >/mnt/f; {show}; rm /mnt/f; {show}", memory="2G").ok()
    lines = result.stdout.decode().splitlines()
    available, shared, available_then, shared_then, _, shared_last = (int(line.split()[1]) for line in lines[2:8])
    check(available - available_then > 80_000 and 97_000 < shared_then - shared < 98_500 and shared_last == shared, "memory", lines)
    check(1_500_000 < int(lines[0].split()[1]) <= 2 << 20, "total memory", lines)
    equal(lines[1], host_shell("dd if=/dev/zero bs=1M count=1 2>/dev/null | tr '\\0' x | md5sum").stdout.decode().strip())


@sampled
def test_4_gib_of_memory():
    """Half of it lies above 4 GiB. Three are in use, in memory and in a tmpfs, while a file is copied to a disk and back; every word stays what it was."""
    disk = make_disk("disk.img", "256M", block_size=4096)
    copy = ("head -c 104857600 /mnt/f >/data/g; sync; echo 3 >/proc/sys/vm/drop_caches; cmp -n 104857600 /data/g /mnt/f && md5sum </data/g; "
            "grep MemTotal /proc/meminfo; grep MemAvailable /proc/meminfo")
    result = shell(f"mount -t tmpfs t /mnt; /filled 2100 /mnt/f 1000 sh -c '{copy}'", disk=[f"{disk}:/data"],
                   add=[os.path.join(GUEST, "filled")], memory="4G").ok()
    digest, total, available, words = result.stdout.decode().splitlines()
    equal(words, "0 words in memory and 0 in the file are wrong")
    check(int(total.split()[1]) - int(available.split()[1]) > 3 << 20, "memory in use (KiB)", total, available)
    fsck(disk)
    equal(digest.split()[0], hashlib.md5(dump(disk, "/g")).hexdigest(), "the file on the disk")


def test_out_of_memory():
    """A program that wants more than there is ends; the system goes on."""
    result = shell("awk 'BEGIN { s = \"xxxxxxxxxxxxxxxx\"; while (1) s = s s }' >/dev/null 2>&1; echo $?; "
                   "echo still here; ls / | wc -l", memory="64M", timeout=120)
    lines = result.stdout.split(b"\n")
    check(result.status == 0 and lines[0] not in (b"0", b""), "awk's status", result.stdout, result.stderr)
    equal(lines[1], b"still here")


@full
@seconds(900)
def test_large_copy():
    disk = make_disk("disk.img", "1G", block_size=4096)
    data = write_file("data", os.urandom(200 << 20))
    result = shell("cp /data /mnt/a && cp /mnt/a /mnt/b && cmp /mnt/a /mnt/b && md5sum </mnt/b", disk=[disk],
                   add=[f"{data}:/data"], timeout=800).ok()
    equal(result.stdout, host_shell(f"md5sum <{data}").stdout)
    fsck(disk)


def test_sync_and_nothing_lost_without_unmounting():
    """What was synced is on the disk although the machine is stopped hard, and so is what was written to a disk that is mounted so."""
    disk = make_disk("disk.img", "16M")
    process = subprocess.Popen(pith_command("sh", "-c", ": >/mnt/g; seq 1 5000 >/mnt/f; sync; mount -o remount,sync /mnt; "
                                            "seq 1 4000 >/mnt/g; echo synced; sleep 1000", disk=[disk]),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    equal(process.stdout.read(6), b"synced")
    process.kill()
    process.wait()
    process.stdout.close()
    # The host may repair what a power cut may leave, but the file is there.
    fsck_after_death(disk)
    equal(dump(disk, "/f"), host_shell("seq 1 5000").stdout)
    equal(dump(disk, "/g"), host_shell("seq 1 4000").stdout)
