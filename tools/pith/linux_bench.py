# SPDX-License-Identifier: MIT
"""`./pith bench linux`: the same Linux program on Pith and on Debian's Linux, in the same emulator."""

import bisect
import collections
import contextlib
import os
import subprocess
import sys

import bench
import boot
import counting
import execute
import images
import linux_guest
import machine
from paths import Failure, build

LBENCH = build("guest", "lbench")
SECONDS = 900
# Not `sync`: with a clock that stands still while a device works, its times mean nothing.
COUNTED_GROUPS = ["sys", "ipc", "sock", "proc", "ctx", "mm", "file", "sig", "timer", "macro"]
WALL_ROUNDS = 3  # boots of each system, by turns: the best counts
MARKS = build("tools", "marks.so")


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


def on_linux(groups, icount, extra=()):
    print("bench: on Debian's Linux ...", file=sys.stderr)
    with scratch_disk() as disk:
        command = linux_guest.command_line(LBENCH, " ".join(["/program", "-d", "/mnt", *groups]), machine.Disk(disk),
                                           icount)
        with machine.Machine(command + list(extra)) as emulator:
            console, log = bench.collect(emulator, SECONDS)
        if "status 0" not in console:
            raise Failure(f"the benchmark failed on Linux:\n{console[-1000:]}\n{log[-1000:]}\n{emulator.complaint()}")
        return bench.parse_metrics(console)


def on_pith(groups, icount, extra=()):
    """What ran before Pith failed counts too: a metric that takes the system down is one that does not run."""
    print("bench: on Pith ...", file=sys.stderr)
    read_end, write_end = os.pipe()
    output = bytearray()
    with scratch_disk() as disk, open(os.devnull, "r+b") as null:
        options = execute.Options(add=[f"{LBENCH}:/bin/lbench"], disk=[f"{disk}:/mnt"], icount=icount, accel="tcg",
                                  command=["lbench", "-d", "/mnt", *groups], timeout=SECONDS, extra=extra)
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
    return bench.parse_metrics(output.decode(errors="replace"))


SYSTEMS = {"Pith": on_pith, "Linux": on_linux}


@contextlib.contextmanager
def plugin(path, arguments=()):
    """Options that load a plugin of tools/trace, and the name of the file that it writes at the end."""
    boot.make(path)
    out = build("bench", f"plugin.{os.getpid()}")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    try:
        yield ["-plugin", ",".join([f"file={path}", f"out={out}", *arguments])], out
    finally:
        if os.path.exists(out):
            os.unlink(out)


def measured(values):
    """The metrics that were measured in batches, in the order in which they ran."""
    return [name.removesuffix(".operations") for name in values if name.endswith(".operations")]


def counted(run, groups):
    """(metrics, missing, {metric: CR3 writes an operation}) of one system under -icount."""
    with plugin(MARKS) as (extra, out):
        values, missing = run(groups, True, extra)
        with open(out) as file:
            writes = [int(line) for line in file]
    names = measured(values)
    if len(names) != len(writes):
        raise Failure(f"{len(names)} metrics, but {len(writes)} sections were marked")
    return values, missing, {name: count / values[f"{name}.operations"][0] for name, count in zip(names, writes)}


def is_better(unit, value, other):
    return value > other if unit == "MB/s" else value < other


def wall(groups):
    """{system: {metric: (best, unit)}} of several boots by turns, and what is missing on Pith."""
    best = {system: {} for system in SYSTEMS}
    missing = {}
    for _ in range(WALL_ROUNDS):
        for system, run in SYSTEMS.items():
            values, absent = run(groups, False)
            if system == "Pith":
                missing = absent
            # Of what is measured once there is no `.best`.
            for name, (value, unit) in values.items():
                if f"{name}.best" not in values and not name.endswith(".operations"):
                    name = name.removesuffix(".best")
                    if name not in best[system] or is_better(unit, value, best[system][name][0]):
                        best[system][name] = (value, unit)
    return best, missing


def ratio(metrics, name):
    """Pith's time as a multiple of Linux's (below 1 is better), for bandwidths too; None: one has none."""
    if any(name not in metrics[system] or not metrics[system][name][0] for system in SYSTEMS):
        return None
    (pith, unit), (linux, _) = metrics["Pith"][name], metrics["Linux"][name]
    return linux / pith if unit == "MB/s" else pith / linux


def table(names, metrics, missing, columns=()):
    """Both systems' metrics and their ratio; columns: (title, {metric: value or None}) beside them."""
    print(f"{'metric':24}{'Pith':>12}{'Linux':>12} {'unit':6}{'ratio':>7}" + "".join(f"{title:>13}" for title, _ in columns))
    absent = []
    for name in names:
        share = ratio(metrics, name)
        if share is None:
            absent.append(name)
            continue
        (pith, unit), (linux, _) = metrics["Pith"][name], metrics["Linux"][name]
        beside = [values.get(name) for _, values in columns]
        print(f"{name:24}{pith:12.6g}{linux:12.6g} {unit:6}{share:7.2f}" +
              "".join(f"{'' if value is None else f'{value:.2f}':>13}" for value in beside))
    for name in absent:
        print(f"{name:24}does not run on Pith{': ' + missing[name] if name in missing else ''}")


def report(options):
    boot.make("all", LBENCH)
    groups = options.group or (COUNTED_GROUPS if options.icount else [])
    check = subprocess.run([LBENCH, "-c", *groups], stderr=subprocess.PIPE, check=False)
    if check.returncode:
        raise Failure(f"bench: {check.stderr.decode(errors='replace').strip()}", 2)
    if not options.icount:
        best, missing = wall(groups)
        table(best["Linux"], best, missing)
        return 0
    if machine.CPUS > 1:
        raise Failure("bench: --icount counts with one CPU: the clock is the instructions of all of them", 2)
    metrics, switches, missing = {}, {}, {}
    for system, run in SYSTEMS.items():
        metrics[system], missing[system], switches[system] = counted(run, groups)
    names = [name for name in metrics["Linux"] if not name.endswith((".best", ".operations"))]
    columns = [(f"CR3 {system}", switches[system]) for system in SYSTEMS]
    if not options.counted:
        best, _ = wall(groups)
        columns.append(("wall ratio", {name: ratio(best, name) for name in names}))
    table(names, metrics, missing["Pith"], columns)
    return 0


class Program:
    """One that ran: whose instructions these are is told by its code, as most are linked to the same address."""

    def __init__(self, name, path):
        self.name = name
        self.symbols = counting.symbols(path)
        self.sections = []
        lines = subprocess.run(["readelf", "-lW", path], check=True, capture_output=True, text=True).stdout.splitlines()
        with open(path, "rb") as file:
            for words in map(str.split, lines):
                if words[:1] == ["LOAD"] and "E" in words[6:-1]:
                    file.seek(int(words[1], 16))
                    self.sections.append((int(words[2], 16), file.read(int(words[4], 16))))

    def holds(self, address, code):
        return any(text[address - begin:address - begin + len(code)] == code
                   for begin, text in self.sections if begin <= address < begin + len(text))

    def function(self, address):
        at = bisect.bisect_right(self.symbols, (address, "\x7f")) - 1
        return self.symbols[at][1] if at >= 0 else "?"


def profile(metric):
    """Components and functions by their instructions an operation on Pith, then the instructions of what counts most."""
    boot.make("all", LBENCH)
    programs = [Program("kernel", boot.KERNEL), Program("lbench", LBENCH),
                *(Program(name, build("components", f"{name}.elf")) for name in reversed(boot.components()))]
    with plugin(counting.PLUGIN) as (extra, out):
        values, missing = on_pith([metric], True, extra)
        if f"{metric}.operations" not in values:
            raise Failure(f"{metric}: {missing.get(metric, 'no such metric')}")
        with open(out) as file:
            words = [line.split(None, 3) for line in file]
    operations = values[f"{metric}.operations"][0]
    components, functions = collections.Counter(), collections.Counter()
    instructions = collections.defaultdict(list)
    for address, count, code, text in words:
        address, count, code = int(address, 16), int(count), bytes.fromhex(code)
        program = next((p for p in programs if p.holds(address, code)), None)
        name = program.name if program else "other programs"
        function = name, program.function(address) if program else "?"
        components[name] += count
        functions[function] += count
        instructions[function].append((address, count, text.strip()))
    print(f"{metric}: {components.total() / operations:.0f} instructions an operation")
    for name, count in components.most_common():
        print(f"{count / operations:12.1f}  {name}")
    print()
    for (name, function), count in functions.most_common():
        if count * 1000 >= components.total():
            print(f"{count / operations:12.1f}  {name:14} {function}")
    for function, total in functions.most_common():
        if total * 100 < components.total() or function[1] == "?":
            break
        print(f"\n{' '.join(function)}:")
        for address, count, text in sorted(instructions[function]):
            print(f"{count / operations:12.2f}  {address:x}  {text}")
    return 0
