# SPDX-License-Identifier: MIT
"""`./pith bench`: guest instructions of the kernel's operations, and the same Linux program on Pith and on Linux."""

import contextlib
import os
import re
import selectors
import sys
import time

import boot
import execute
import images
import linux_guest
import machine
from paths import PATIENCE, Failure, build
from session import HALTED, Lost, Session, receive

LBENCH = build("guest", "lbench")
LINUX_SECONDS = 900
# Not `sync`: with a clock that stands still while a device works, its times mean nothing.
COUNTED_GROUPS = ["sys", "ipc", "sock", "proc", "ctx", "mm", "file", "sig", "timer", "macro"]
KERNEL_SECONDS = 120
KERNEL_IMAGE = build("bench", "kernel.img")
KERNEL_FAILED = re.compile(rb"^bench failed: .*\n", re.M)


def collect(emulator, seconds, watch=()):
    """Everything that comes over both lines until the machine ends, as (console text, log text)."""
    selector = selectors.DefaultSelector()
    texts = {"console": bytearray(), "log": bytearray()}
    for name, end in (("console", emulator.console), ("log", emulator.log)):
        end.setblocking(False)
        selector.register(end, selectors.EVENT_READ, name)
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while selector.get_map():
        ready = selector.select(max(0, deadline - time.monotonic()))
        if not ready:
            raise Failure(f"no end after {seconds:.0f} seconds; so far:\n{texts['log'].decode(errors='replace')[-2000:]}")
        for key, _ in ready:
            data = receive(key.fileobj)
            if data:
                texts[key.data] += data
            elif data == b"":
                selector.unregister(key.fileobj)
        if any(pattern.search(texts["log"]) for pattern in watch):
            break
    return texts["console"].decode(errors="replace"), texts["log"].decode(errors="replace")


@contextlib.contextmanager
def scratch_disk():
    """An ext2 disk for both systems, new each time."""
    path = build("bench", f"scratch.{os.getpid()}.img")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        images.make_filesystem(path, "256M")
        yield path
    finally:
        if os.path.exists(path):
            os.unlink(path)


def parse_metrics(text):
    """{name: (value, unit)} and {name: reason} of lbench's output."""
    values, missing = {}, {}
    for line in text.replace("\r", "").splitlines():
        words = line.split()
        if words[:1] == ["missing"] and len(words) >= 2:
            missing[words[1]] = " ".join(words[2:])
        elif len(words) == 3 and re.fullmatch(r"-?[0-9.]+(e[+-]?\d+)?", words[1]):
            values[words[0]] = (float(words[1]), words[2])
    return values, missing


def on_linux(groups, icount):
    print("bench: on Debian's Linux ...", file=sys.stderr)
    with scratch_disk() as disk:
        command = linux_guest.command_line(LBENCH, " ".join(["/program", "-d", "/mnt", *groups]), machine.Disk(disk),
                                           icount)
        with machine.Machine(command) as emulator:
            console, log = collect(emulator, LINUX_SECONDS)
        if "status 0" not in console:
            raise Failure(f"the benchmark failed on Linux:\n{console[-1000:]}\n{log[-1000:]}\n{emulator.complaint()}")
        return parse_metrics(console)


def on_pith(groups, icount):
    """What ran before Pith failed counts too: a metric that takes the system down is one that does not run."""
    print("bench: on Pith ...", file=sys.stderr)
    read_end, write_end = os.pipe()
    output = bytearray()
    with scratch_disk() as disk, open(os.devnull, "r+b") as null:
        options = execute.Options(add=[f"{LBENCH}:/bin/lbench"], disk=[f"{disk}:/mnt"], icount=icount, accel="tcg",
                                  command=["lbench", "-d", "/mnt", *groups], timeout=LINUX_SECONDS)
        child = os.fork()
        if child == 0:
            os.close(read_end)
            status = 125
            try:
                options.streams = (null.fileno(), write_end, 2)
                status = execute.execute(options)
            except Failure as failure:
                print(f"bench: {failure}", file=sys.stderr)
            finally:
                os._exit(status)
        os.close(write_end)
        while data := os.read(read_end, 65536):
            output += data
        os.close(read_end)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0:
        print(f"bench: the benchmark's status on Pith is {status}", file=sys.stderr)
    return parse_metrics(output.decode(errors="replace"))


def compare(linux, pith, missing):
    """The table: both systems and Pith's time as a multiple of Linux's (below 1 is better)."""
    print(f"{'metric':32} {'Pith':>12} {'Linux':>12} unit    Pith/Linux")
    absent = []
    for name, (value, unit) in linux.items():
        if name not in pith:
            absent.append(name)
            continue
        ours = pith[name][0]
        better_high = unit == "MB/s"
        ratio = (value / ours if better_high else ours / value) if ours and value else float("nan")
        print(f"{name:32} {ours:12.6g} {value:12.6g} {unit:6} {ratio:10.2f}")
    for name in absent:
        if not name.endswith(".best"):
            print(f"{name:32} does not run on Pith yet{': ' + missing[name] if name in missing else ''}")


def bench_linux(options):
    if options.icount and machine.CPUS > 1:
        raise Failure("bench: --icount counts with one CPU: the clock is the instructions of all of them", 2)
    boot.make("all", "build/guest/lbench")
    groups = options.group or (COUNTED_GROUPS if options.icount else [])
    linux, _ = on_linux(groups, options.icount)
    pith, missing = on_pith(groups, options.icount)
    compare(linux, pith, missing)
    return 0


def boot_kernel_bench(append="", extra=(), icount=True, cpus=None, accel=None):
    """{name: (value, unit)}. Under icount a tick of the TSC is an instruction."""
    command = machine.command_line(boot.KERNEL, KERNEL_IMAGE, append=append, icount=icount, cpus=cpus, accel=accel,
                                   extra=["-device", "isa-debug-exit,iobase=0xf4,iosize=1", *extra])
    with machine.Machine(command) as emulator:
        _, log = collect(emulator, KERNEL_SECONDS, [HALTED, KERNEL_FAILED])
        if "bench done" not in log:
            raise Failure(f"the kernel benchmark failed:\n{log[-2000:]}\n{emulator.complaint()}")
    return parse_metrics(log)[0]


def kernel_operations(**how):
    """All that boot_kernel_bench() can tell: what takes two CPUs is measured with two if there is one."""
    metrics = boot_kernel_bench(**how)
    if machine.CPUS == 1:
        metrics = {**boot_kernel_bench(cpus=2, **how), **metrics}
    return metrics


def bench_kernel(options):
    boot.make("all", KERNEL_IMAGE)
    if options.profile:
        import counting
        return counting.report(options.profile)
    for name, (value, unit) in kernel_operations().items():
        print(f"{name:32} {value:8.0f} {unit}", flush=True)
    if not options.operations:
        import kernel_report
        for name, value, unit in kernel_report.metrics():
            print(f"{name:32} {value:8.{2 if unit == 'ratio' else 0}f} {unit}", flush=True)
    return 0


def bench_realtime(options):
    import realtime
    return realtime.report([options.cpus] if options.cpus else realtime.CPUS)


def run(options):
    if options.cpus:
        machine.CPUS = options.cpus
    return {"kernel": bench_kernel, "linux": bench_linux, "realtime": bench_realtime}[options.what](options)
