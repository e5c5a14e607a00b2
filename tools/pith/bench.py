# SPDX-License-Identifier: MIT
"""`./pith bench`: guest instructions of the kernel's operations; the rest is in linux_bench.py and realtime.py."""

import re
import selectors
import time

import boot
import machine
from paths import PATIENCE, Failure, build
from session import HALTED, receive

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


def bench_linux(options):
    import linux_bench
    if options.profile:
        return linux_bench.profile(options.profile)
    return linux_bench.report(options)


def bench_realtime(options):
    import realtime
    return realtime.report([options.cpus] if options.cpus else realtime.CPUS)


def run(options):
    if options.cpus:
        machine.CPUS = options.cpus
    return {"kernel": bench_kernel, "linux": bench_linux, "realtime": bench_realtime}[options.what](options)
