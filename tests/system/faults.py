# SPDX-License-Identifier: MIT
"""Bad input: a clear error each, and the system goes on where it can."""

import os
import random
import struct

from disks import same_on_a_disk
from support import (GUEST, PATIENCE, ROOT, SEED, check, equal, file_path, make_disk, pith, run, shell, write_file)

HELLO = os.path.join(GUEST, "hello")


def damaged_programs():
    """Variants of a good static program, each wrong in one way: (name, bytes)."""
    with open(HELLO, "rb") as f:
        good = f.read()

    def patched(offset, pattern, value):
        data = bytearray(good)
        struct.pack_into(pattern, data, offset, value)
        return bytes(data)
    headers, = struct.unpack_from("<Q", good, 32)
    yield "empty", b""
    yield "short", good[:40]
    yield "no-headers", good[:64]
    yield "text", b"\x7fELF is not enough\n" * 4
    yield "machine", patched(18, "<H", 183)
    yield "type", patched(16, "<H", 1)
    yield "headers-outside", patched(32, "<Q", 1 << 40)
    yield "header-count", patched(56, "<H", 0xffff)
    yield "header-size", patched(54, "<H", 8)
    yield "segment-address", patched(headers + 16, "<Q", 0xffff800000000000)
    yield "segment-wraps", patched(headers + 40, "<Q", (1 << 64) - 4096)
    yield "entry-nowhere", patched(24, "<Q", 0x10)
    yield "truncated", good[:len(good) // 2]


def test_malformed_programs():
    names = []
    for name, data in damaged_programs():
        path = write_file(f"bad/{name}", data)
        os.chmod(path, 0o755)
        names.append(name)
    result = shell("for f in " + " ".join(names) + "; do /bad/$f >/dev/null 2>&1; echo $f $?; done; /hello",
                   add=[f"{file_path('bad')}:/bad", HELLO])
    lines = result.stdout.decode().splitlines()
    statuses = dict(line.split() for line in lines[:len(names)])
    equal(sorted(statuses), sorted(names), "the programs tried")
    for name, status in statuses.items():
        # An empty file is an empty script, and a shell runs it; what crashes is ended by a signal.
        check(status != "0" or name == "empty", f"{name} did not fail", statuses)
    equal("\n".join(lines[len(names):]) + "\n", run([HELLO]).stdout.decode(), "a good program afterwards")


def test_programs_that_make_little_sense():
    """Whatever the headers say: refused with the same error, run, or ended by the same signal as on Debian's kernel."""
    program = f"images{random.Random(SEED).choice(('', '-glibc', '-pie'))}"
    check(len(same_on_a_disk(program).splitlines()) > 400, program)


def test_malformed_program_given_to_exec():
    path = write_file("bad", b"\x7fELF" + b"\0" * 60)
    os.chmod(path, 0o755)
    equal(pith("/bad", add=[path]).status, 126)


def corrupt(image, offset, data):
    with open(image, "r+b") as f:
        f.seek(offset)
        f.write(data)


def test_corrupt_superblock_of_a_disk():
    """The root is good, the other disk is not: an error on stderr, no crash, no hang."""
    for name, offset, data in (("magic", 1024 + 56, b"\0\0"), ("block-size", 1024 + 24, b"\xff\0\0\0"),
                               ("blocks", 1024 + 4, b"\xff\xff\xff\xff"), ("per-group", 1024 + 32, b"\0\0\0\0"),
                               ("inodes", 1024 + 40, b"\0\0\0\0"), ("features", 1024 + 96, b"\xff\xff\xff\xff"),
                               ("inode-size", 1024 + 88, b"\x07\0")):
        disk = make_disk(f"{name}.img", "16M")
        corrupt(disk, offset, data)
        result = pith("true", disk=[disk], timeout=60)
        check(result.status == 125 and result.stderr, f"{name}: status {result.status}", result.stderr)
        with open(disk, "rb") as f:
            f.seek(offset)
            equal(f.read(len(data)), data, f"{name}: what is on the disk afterwards")


def test_corrupt_root():
    disk = make_disk("root.img", "16M")
    corrupt(disk, 1024, b"\0" * 1024)
    result = pith("true", options=["--root", disk], timeout=60)
    check(result.status == 125 and result.stderr, f"status {result.status}", result.stderr)
    empty = write_file("empty.img", b"\0" * (1 << 20))
    equal(pith("true", options=["--root", empty], timeout=60).status, 125)


def test_corrupt_files_do_not_stop_the_rest():
    """Block pointers far outside the disk: an input/output error for that file only, on a file system that is read-only from then on."""
    folder = file_path("files")
    write_file("files/good", b"good\n")
    write_file("files/bad", b"bad\n" * 100)
    disk = make_disk("disk.img", "16M", folder)
    run(["debugfs", "-w", "-R", "sif /bad block[0] 4000000000", disk]).ok()
    result = shell("cat /mnt/bad >/dev/null 2>/tmp/e; echo $?; cat /mnt/good; test -s /tmp/e; echo $?; "
                   "grep -o ' /mnt ext2 r[ow]' /proc/mounts; sync -f /mnt/good; echo $?", disk=[disk])
    equal((result.status, result.stdout), (0, b"1\ngood\n0\n /mnt ext2 ro\n0\n"), result.stderr)


def boot(image):
    """The kernel with this boot image (None: without one); what the log says before it stops."""
    import boot as pith_boot
    import rootfs
    import machine
    from session import Lost, Session
    command = machine.command_line(pith_boot.KERNEL, image, pith_boot.append(), "256M",
                                   [machine.Disk(rootfs.image(), keep=False)])
    with open(os.devnull, "r+b") as null, machine.Machine(command) as emulator:
        session = Session(emulator.console, emulator.log, ["true"], [], 60 * PATIENCE, (null.fileno(),) * 3)
        try:
            status = session.run()
        except Lost:
            status = "lost"
        return status, session.log_text.decode(errors="replace")


def test_malformed_frames_from_the_host():
    """They end exec with a clear error, and nothing else."""
    import boot as pith_boot
    import machine
    import rootfs
    import session
    command = machine.command_line(pith_boot.KERNEL, pith_boot.image("exec", {}), pith_boot.append(), "256M",
                                   [machine.Disk(rootfs.image(), keep=False)])
    words = struct.Struct("<II")
    for kind, payload in ((session.UNWRITABLE, b""), (session.UNWRITABLE, words.pack(session.STDOUT, 32) + b"x"),
                          (session.UNWRITABLE, words.pack(session.STDIN, 32)), (session.UNWRITABLE, words.pack(0xffffffff, 32)),
                          (session.UNWRITABLE, words.pack(session.STDOUT, 0)), (session.UNWRITABLE, words.pack(session.STDERR, 512)),
                          (session.SIGNAL, b"x"), (session.STDOUT, b"x"), (session.UNWRITABLE + 1, b"")):
        with open(os.devnull, "r+b") as null, machine.Machine(command) as emulator:
            ours = session.Session(emulator.console, emulator.log, ["sleep", "1000"], [], 60 * PATIENCE, (null.fileno(),) * 3)
            ours.start += session.frame(kind, payload)
            try:
                result = ours.run()
            except session.Lost as lost:
                result = str(lost)
            check(result in ("the command did not arrive", "the line to the host is out of step"), kind, payload, result, ours.log_text)


def test_missing_boot_archive():
    status, log = boot(None)
    check(status == "lost" and "panic" in log.lower(), status, log)
    check("boot" in log.lower() or "module" in log.lower() or "archive" in log.lower(), "the reason", log)


def test_damaged_boot_image():
    import boot as pith_boot
    with open(pith_boot.image("exec", {}), "rb") as f:
        good = f.read()
    for name, data in (("zeros", b"\0" * 8192), ("short", good[:100]), ("half", good[:len(good) // 2]),
                       ("segments", good[:32] + struct.pack("<Q", 1 << 20) + good[40:])):
        status, log = boot(write_file(name, data))
        check(status == "lost" and "panic" in log.lower(), name, status, log)


def mkboot(*parts):
    return run([os.path.join(ROOT, "build/tools/mkboot"), "--check", *parts])


def test_bad_manifests_are_refused_when_packed():
    base = os.path.join(ROOT, "systems/base.conf")
    equal(mkboot("--manifest", base, "--manifest", os.path.join(ROOT, "systems/exec.conf")).status, 0)
    for text, word in (("component x {\n\tnonsense 1\n}\n", b"nonsense"), ("component x {\n", b""),
                       ("component linux {\n}\n", b"linux"), ("component x {\n\tuses nobody\n}\n", b"nobody"),
                       ("channel c 4096 server nobody client linux\n", b"nobody"), ("gibberish\n", b"gibberish"),
                       ("component x {\n\tmemory lots\n}\n", b"memory"), ("\0\1\2\n", b"")):
        result = mkboot("--manifest", base, "--manifest", write_file("bad.conf", text.encode()))
        check(result.status == 1 and word in result.stderr and b":" in result.stderr, text, result.status, result.stderr)


def test_bad_manifest_at_boot():
    """The packer would refuse it, so damage a good one in the image."""
    import boot as pith_boot
    with open(pith_boot.image("exec", {}), "rb") as f:
        good = f.read()
    check(good.count(b"component virtio-blk {") == 1, "the manifest is in the image as text")
    bad = write_file("bad.img", good.replace(b"component virtio-blk {", b"componend virtio-blk {"))
    status, log = boot(bad)
    check(status == "lost" and "manifest" in log.lower(), status, log)


def test_missing_disk():
    """The manifest names a disk that the machine does not have."""
    import boot as pith_boot
    status, log = boot(pith_boot.image("exec", {"mount.1": "/mnt"}, disks=2))
    check(status in ("lost", 124, 125), status, log)


def test_shell_survives_bad_commands():
    result = shell("cat /nonexistent; cd /etc/passwd; ls /proc/99999; kill -9 99999; mkdir /proc/x; rm /dev/null; "
                   "echo x >/proc/version; mount /dev/none /mnt; exec 5</nonexistent; true", timeout=60)
    check(result.stderr.count(b"\n") >= 5, "error messages", result.stderr)
    equal(pith("sh", "-c", "head -c 100000 /dev/urandom | sh 2>/dev/null; echo alive").stdout[-6:], b"alive\n")


def test_random_input_to_tools():
    noise = write_file("noise", os.urandom(200_000))
    script = "gunzip -c /noise; tar tf /noise; unzip -l /noise; bunzip2 -c /noise; sh /noise; awk -f /noise; sed -f /noise /noise"
    result = shell(f"for c in {' '.join(repr(c) for c in script.split('; '))}; do $c >/dev/null 2>&1 </dev/null; echo $?; done; echo end",
                   add=[noise])
    check(result.status == 0 and result.stdout.endswith(b"end\n"), result.stdout, result.stderr)
