# SPDX-License-Identifier: MIT
"""Power cuts under write load (tests/programs/powerload.c): what was synced is there and whole, and e2fsck needs nobody.
A fifth of the synced writes each is by fsync, fdatasync, O_SYNC, O_DSYNC and RWF_DSYNC.

The emulator is killed at random moments; or a log of the disk's writes is replayed up to random points, with the writes that no flush had
followed lost and in any order, as a disk with a cache may do it."""

import contextlib
import io
import os
import random
import shutil
import signal
import struct
import subprocess
import tarfile
import time

import boot
import execute
import machine
from session import Session
from support import GUEST, PATIENCE, SEED, check, equal, file_path, full, make_disk, pith, pith_command, run, sampled, seconds

NAMES, WORKERS, SIZE_MAX = 8, 4, 60000
BLOCK = 1024
MASK = (1 << 64) - 1
LOAD = os.path.join(GUEST, "powerload")


# ---- what the load does ----

def content(version, size):
    """powerload's fill()."""
    words = (size + 7) // 8
    start = version * 0x9E3779B97F4A7C15
    return struct.pack(f"<{words}Q", *[(start + i) * 0xBF58476D1CE4E5B9 & MASK for i in range(words)])[:size]


class State:
    """What a name may lead to. The first `synced` bytes are safe; mixed: pages may be of that other version instead."""

    def __init__(self, version=0, size=0, synced=0, absent=False, mixed=None):
        self.version, self.size, self.synced, self.absent, self.mixed = version, size, synced, absent, mixed

    def allows(self, data):
        if data is None or self.absent:
            return data is None and self.absent
        if len(data) < self.synced:
            return False
        versions = [content(v, self.synced) for v in (self.version, self.mixed) if v is not None]
        return all(any(v[at:at + BLOCK] == data[at:min(at + BLOCK, self.synced)] for v in versions) for at in range(0, self.synced, BLOCK))

    def __repr__(self):
        return "absent" if self.absent else f"version {self.version}, {self.synced} of {self.size} bytes synced"


class Worker:
    """What a cut may leave of the worker's files after it has ended so many steps, or is in the next one."""

    def __init__(self, number, seed):
        self.random = (seed * 1000 + number) & 0xFFFFFFFF
        self.step = 0
        self.names = [[State(absent=True)] for _ in range(NAMES)]

    def next(self):
        self.random = (self.random * 1664525 + 1013904223) & 0xFFFFFFFF
        return self.random >> 8

    def safe(self):
        """Something was synced, and with it all that was before: names are as they are."""
        self.names = [states[-1:] for states in self.names]

    def run(self, ended):
        """One step of powerload; ended: else the cut comes somewhere in it."""
        self.step += 1
        name = self.next() % NAMES
        kind, size = self.next() % 100, self.next()
        size = 1 + size % (6000 if self.next() % 4 else 40000)
        states, other = self.names[name], self.names[(name + 1) % NAMES]
        now = states[-1]
        if kind < 8:
            synced = True
        elif kind >= 60 if now.absent else kind < 40:
            # The file is whole before it gets its name.
            synced = kind % 3 != 0
            if synced and ended:
                self.safe()
                states = self.names[name]
            states.append(State(self.step, size, size if synced else 0))
            return
        elif now.absent:
            synced = kind % 2
            states.append(State(self.step, size, size if synced and ended else 0))
        elif kind < 55:
            synced = kind % 2
            new = min(now.size + size, SIZE_MAX)
            states[-1] = State(now.version, new, new if synced and ended else now.synced, mixed=now.mixed)
        elif kind < 70:
            synced = True
            if ended:
                states[-1] = State(self.step, now.size, now.size)
            else:
                now.mixed = self.step  # whichever name it is found by
        elif kind < 85:
            if other[-1].absent:
                other.append(now)
                states.append(State(absent=True))
            return
        else:
            states.append(State(absent=True))
            return
        if synced and ended:
            self.safe()


def problems(files, steps, seed):
    """What is wrong with the files ({path: bytes}) that a cut left after the workers' steps."""
    found = []
    for number, ended in enumerate(steps):
        worker = Worker(number, seed)
        for _ in range(ended):
            worker.run(True)
        worker.run(False)
        for name, states in enumerate(worker.names):
            data = files.get(f"w{number}/f{name}")
            if not any(state.allows(data) for state in states):
                found.append(f"w{number}/f{name} after step {ended}: {'missing' if data is None else f'{len(data)} bytes'}, may be {states}")
    return found


# ---- what is on a disk ----

def files_by_debugfs(disk):
    folder = file_path("files")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    run(["debugfs", "-R", f"rdump / {folder}", disk]).ok()
    files = {}
    for number in range(WORKERS):
        for name in range(NAMES):
            with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, f"w{number}/f{name}"), "rb") as f:
                files[f"w{number}/f{name}"] = f.read()
    return files


def files_by_pith(disk):
    """Our own recovery, and reading by it. A file may have a second name in lost+found."""
    result = pith("tar", "cC", "/mnt", ".", disk=[disk]).ok()
    with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
        return {os.path.normpath(member.name): archive.extractfile(member).read() for member in archive
                if member.isfile() or member.islnk()}


def check_disk(disk, steps, seed, by_pith):
    """[] or what is wrong with a disk after a cut."""
    found = problems(files_by_pith(disk), steps, seed) if by_pith else []
    if found:
        return ["mounted as it was", *found]
    result = run(["e2fsck", "-p", disk])
    if result.status > 1:
        found.append(f"e2fsck -p: status {result.status}: {result.stdout.decode(errors='replace')}")
        return found
    repaired = result.stdout.decode(errors="replace")
    result = run(["e2fsck", "-fn", disk])
    if result.status:
        found.append(f"e2fsck -fn: status {result.status}: {result.stdout.decode(errors='replace')}")
    found += problems(files_by_debugfs(disk), steps, seed)
    return [f"after {'Pith and ' * by_pith}e2fsck", *found, repaired] if found else []


def marks_in(data):
    """{worker: step} of a write."""
    if data[:8] != b"PITHMARK":
        return None
    return struct.unpack_from("<II", data, 8)


# ---- the emulator is killed ----

def kill_once(seed, by_pith):
    generator = random.Random(seed)
    disk = make_disk("disk.img", "32M", block_size=BLOCK)
    process = subprocess.Popen(pith_command(LOAD.replace(GUEST, ""), "/mnt", str(WORKERS), str(seed), "1000000", disk=[disk], add=[LOAD]),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    equal(process.stdout.read(6), b"ready\n")
    time.sleep(generator.uniform(0.1, 4))
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as f:
        os.kill(int(f.read().split()[0]), signal.SIGKILL)
    process.wait()
    process.stdout.close()
    data = run(["debugfs", "-R", "cat /marks", disk]).stdout
    steps = [(marks_in(data[number * 4096:]) or (number, 0))[1] for number in range(WORKERS)]
    print(f"killed with seed {seed} after steps {steps}")
    equal(check_disk(disk, steps, seed, by_pith), [], f"what is wrong after seed {seed}")
    return sum(steps)


def kills(count, by_pith_every):
    done = [kill_once(SEED * 1000 + number, number % by_pith_every == 0) for number in range(count)]
    check(sum(done) > 10 * count, "the load worked", done)


@sampled
@seconds(120)
def test_killed():
    kills(3, 3)


@full
@seconds(1800)
def test_emulator_killed_50_times():
    kills(50, 5)


# ---- the log of the disk's writes is replayed ----

LOG_MAGIC, FLUSH, FUA, DISCARD = 0x6A736677736872, 1, 2, 4


class Entry:
    def __init__(self, position, data, flush):
        self.position, self.data, self.flush = position, data, flush


def read_log(path):
    """QEMU's blklogwrites has the format of Linux's dm-log-writes: a sector that describes the write, and its data."""
    entries = []
    with open(path, "rb") as f:
        magic, version, count, size = struct.unpack("<QQQI", f.read(28))
        equal((magic, version), (LOG_MAGIC, 1), "the log's header")
        f.seek(size)
        for _ in range(count):
            sector, sectors, flags, _ = struct.unpack_from("<QQQQ", f.read(size))
            data = b"" if flags & DISCARD else f.read(sectors * size)
            entries.append(Entry(sector * size, data, flags & (FLUSH | FUA)))
    return entries


def load_with_log(seed, steps):
    """Runs the load; returns the disk as it was before and the log."""
    disk, log = make_disk("disk.img", "32M", block_size=BLOCK), file_path("log")
    before = file_path("before.img")
    shutil.copy(disk, before)
    open(log, "wb").close()
    image = boot.image("exec", {"mount.1": "/mnt"}, disks=2)
    with execute.root_disk(execute.Options(add=[LOAD]), []) as root:
        command = machine.command_line(boot.KERNEL, image, boot.append(), "128M", [root, machine.Disk(disk)])
        at = next(i for i, word in enumerate(command) if word.startswith("if=none,id=disk1"))
        command[at - 1:at + 1] = ["-blockdev", "driver=blklogwrites,node-name=disk1,log-super-update-interval=1,"
                                  f"file.driver=file,file.filename={disk},log.driver=file,log.filename={log}"]
        with open(os.devnull, "r+b") as null, machine.Machine(command) as emulator:
            program = ["/powerload", "/mnt", str(WORKERS), str(seed), str(steps)]
            session = Session(emulator.console, emulator.log, program, execute.ENVIRONMENT, 200 * PATIENCE, (null.fileno(), 1, 2))
            equal(session.run(), 0, "the load's status")
    return before, read_log(log)


def cut_disk(before, entries, cut, generator):
    """The disk as a cut behind so many entries may leave it: what a flush followed is there, of the rest something, in some order, but
    no block in part."""
    disk = file_path("cut.img")
    shutil.copy(before, disk)
    last_flush = max((i for i in range(cut) if entries[i].flush), default=0)
    pieces = [(entry.position + at, entry.data[at:at + BLOCK]) for entry in entries[last_flush:cut] for at in range(0, len(entry.data), BLOCK)]
    kept = generator.choice([0, 0.25, 0.5, 0.75, 1])
    pieces = [piece for piece in pieces if generator.random() < kept]
    generator.shuffle(pieces)
    with open(disk, "r+b") as f:
        for position, data in [(e.position, e.data) for e in entries[:last_flush]] + pieces:
            f.seek(position)
            f.write(data)
    return disk


def steps_before(entries, cut):
    steps = [0] * WORKERS
    for entry in entries[:cut]:
        mark = marks_in(entry.data)
        if mark:
            steps[mark[0]] = max(steps[mark[0]], mark[1])
    return steps


def cuts(count, by_pith_every, load_steps):
    generator = random.Random(SEED)
    before, entries = load_with_log(SEED, load_steps)
    flushes = sum(1 for entry in entries if entry.flush)
    print(f"{len(entries)} entries, {flushes} of them flushes")
    ready = next(i for i, entry in enumerate(entries) if marks_in(entry.data))
    for number in range(count):
        cut = generator.randrange(ready, len(entries))
        disk = cut_disk(before, entries, cut, generator)
        steps = steps_before(entries, cut)
        wrong = check_disk(disk, steps, SEED, by_pith=number % by_pith_every == by_pith_every - 1)
        equal(wrong, [], f"what is wrong after a cut at entry {cut}, steps {steps}")
    # A disk whose flushes mean nothing must not pass.
    for entry in entries[ready:]:
        entry.flush = False
    cut = len(entries) * 3 // 4
    lies = [check_disk(cut_disk(before, entries, cut, generator), steps_before(entries, cut), SEED, False) for _ in range(5)]
    check(any(lies), "losses were noticed")


@sampled
@seconds(200)
def test_replayed():
    cuts(16, 8, 60)


@full
@seconds(1800)
def test_log_replayed_up_to_500_points():
    cuts(500, 25, 400)
