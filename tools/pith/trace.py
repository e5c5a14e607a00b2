# SPDX-License-Identifier: MIT
"""`./pith trace`: what ran when, and who used the time, from the rings of a kernel that writes them (build/kernel-trace).

The emulated machine's memory is a file of ours that has no name: the rings are read out of it when the machine has
stopped, however it stopped. Layouts are those of kernel/include/kernel/trace.h and kernel/core/trace.c.
"""

import bisect
import collections
import contextlib
import heapq
import json
import mmap
import os
import re
import struct
import subprocess
import sys

import boot
import execute
import machine
from paths import Failure, build, root

KERNEL = build("kernel-trace", "pith.elf")
KERNEL_IMAGE = 0xffffffff80000000
MAGIC = 0x3145434152544950
ENTER, EXIT, IDLE, POLL, VSPACE, MESSAGE, REPLY, SIGNAL, MARK = range(1, 10)
VECTOR_SYSCALL = 0x100
MESSAGE_KINDS = ("call", "send", "fault", "foreign call")
# <abi/syscall.h>, <abi/object.h>
SYSCALL_INVOKE = 9

STATE = struct.Struct("<7Q")
EVENT = struct.Struct("<QHHI6Q")
RING = struct.Struct("<3Q")
RING_BYTES = RING.size + 2 * EVENT.size + 8
NAME = struct.Struct("<QQ48s")

Event = collections.namedtuple("Event", "time kind cpu detail thread a b c d e")


def symbols_of(path):
    """[(address, name)] of an ELF file, sorted."""
    text = subprocess.run(["nm", "-n", "--defined-only", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [(int(line.split()[0], 16), line.split()[2]) for line in text.splitlines()]


class Memory:
    """The emulated machine's RAM: a file without a name."""

    def __init__(self, size):
        self.size = int(size[:-1]) << 20  # machine.parse_size gives MiB
        self.descriptor, self.path = machine.nameless_file("memory")
        os.ftruncate(self.descriptor, self.size)

    def options(self):
        return ["-object", f"memory-backend-file,id=ram,size={self.size},mem-path={self.path},share=on",
                "-machine", "memory-backend=ram"]

    def close(self):
        os.close(self.descriptor)


def kernel_word(memory, kernel, name):
    """A 64-bit variable of a kernel that runs or ran in this memory."""
    address = dict((symbol, address) for address, symbol in symbols_of(kernel))[name] - KERNEL_IMAGE
    return struct.unpack("<Q", os.pread(memory.descriptor, 8, address))[0]


class Trace:
    """The rings and names that a kernel left in memory."""

    def __init__(self, memory, kernel=KERNEL):
        self.symbols = dict((name, address) for address, name in symbols_of(kernel))
        self.map = mmap.mmap(memory.descriptor, memory.size, prot=mmap.PROT_READ)
        state = self.symbols["trace_state"] - KERNEL_IMAGE
        magic, self.cpus, self.offset, names, capacity, written, self.cost = STATE.unpack_from(self.map, state)
        if magic != MAGIC:
            raise Failure("there is no trace: the kernel did not get that far")
        self.hz = kernel_word(memory, kernel, "time_tsc_hz") or 10**9
        self.rings = [self.read_ring(state + STATE.size + i * RING_BYTES) for i in range(self.cpus)]
        self.read_names(names - self.offset, capacity, written)

    def read_ring(self, at):
        events, capacity, written = RING.unpack_from(self.map, at)
        longest_entered = Event._make(EVENT.unpack_from(self.map, at + RING.size + EVENT.size))
        longest = struct.unpack_from("<Q", self.map, at + RING.size + 2 * EVENT.size)[0]
        return events - self.offset, capacity, written, longest, longest_entered

    def read_names(self, base, capacity, written):
        """{thread: ([time], [name])}: a name holds from then on."""
        self.names = {}
        self.first_named = {}
        for i in range(max(0, written - capacity), written):
            time, thread, text = NAME.unpack_from(self.map, base + i % capacity * NAME.size)
            text = text.rstrip(b"\0").decode(errors="replace")
            times, texts = self.names.setdefault(thread, ([], []))
            times.append(time)
            texts.append(text)
            self.first_named.setdefault(text.partition("[")[0], time)

    def events(self, cpu):
        start, capacity, written, _, _ = self.rings[cpu]
        used = min(capacity, written)
        first = (written - used) % capacity if capacity else 0
        for low, high in ((first, min(first + used, capacity)), (0, first + used - capacity)):
            if low < high:
                data = memoryview(self.map)[start + low * EVENT.size:start + high * EVENT.size]
                yield from map(Event._make, EVENT.iter_unpack(data))

    def all_events(self):
        if self.cpus == 1:
            return self.events(0)
        return heapq.merge(*(self.events(cpu) for cpu in range(self.cpus)))

    def lost(self):
        return sum(max(0, written - capacity) for _, capacity, written, _, _ in self.rings)

    def longest(self):
        """(ticks, event that began it): the longest time with interrupts off."""
        return max(((longest, entered) for _, _, _, longest, entered in self.rings), key=lambda pair: pair[0])

    def name(self, thread, time):
        if not thread:
            return "idle"
        times, texts = self.names.get(thread, ((), ()))
        at = bisect.bisect_right(times, time) - 1
        return (texts[at] if at >= 0 else "") or f"thread@{thread - self.offset:x}"

    def component(self, thread, time):
        """Threads of a program or a component are told from each other by the number behind their name: NAME[N]."""
        return self.name(thread, time).partition("[")[0]

    def started(self, command):
        """When the command of an `exec` began, or None."""
        return self.first_named.get(os.path.basename(command)[:15])


# ---- words for what the numbers mean ----

def macro_names(path, macro, keyed_by_name=False):
    """{number: NAME} of an X-macro list or a .def file, or {NAME: number}."""
    with open(path) as f:
        pairs = re.findall(rf"\b{macro}\((\w+), *(\w+)\)", f.read())
    if keyed_by_name:
        return {a: int(b, 0) for a, b in pairs if re.match(r"\d", b)}
    return {int(b, 0): a for a, b in pairs if re.match(r"\d", b)} or {int(a, 0): b for a, b in pairs if re.match(r"\d", a)}


class Words:
    """What entered the kernel, in words."""

    EXCEPTIONS = {0: "division error", 1: "debug exception", 3: "breakpoint", 6: "invalid instruction", 7: "first use of vector registers",
                  13: "protection fault", 14: "page fault", 16: "floating point", 17: "alignment", 19: "vector arithmetic"}

    def __init__(self):
        self.syscalls = {n: name.lower().removeprefix("sys_") for n, name in
                         macro_names(root("abi", "include", "abi", "syscall.h"), "SYSCALL").items()}
        self.operations = macro_names(root("abi", "include", "abi", "object.h"), "OPERATION")
        self.linux = macro_names(root("servers", "linux", "syscall_names.def"), "SYSCALL")
        with open(root("kernel", "arch", "x86_64", "include", "arch", "offsets.h")) as f:
            self.vectors = {int(value, 0): name for name, value in
                            re.findall(r"^#define VECTOR_(\w+) +(0x[0-9a-f]+|\d+)", f.read(), re.M)}
        self.first_irq = self.vector("IRQ")
        del self.vectors[self.first_irq]

    def vector(self, name):
        return next(vector for vector, known in self.vectors.items() if known == name)

    def entry(self, event, foreign):
        """Why the kernel was entered: a short name, the same for all that are alike."""
        vector = event.detail
        if vector == VECTOR_SYSCALL:
            if foreign:
                return self.linux.get(event.a, f"system call {event.a}")
            if event.a == SYSCALL_INVOKE:
                return self.operations.get(event.c, f"operation {event.c:#x}")
            return self.syscalls.get(event.a, f"system call {event.a}")
        if vector < 32:
            return self.EXCEPTIONS.get(vector, f"exception {vector}")
        known = self.vectors.get(vector)
        return f"{known.lower()} interrupt" if known else f"Irq {vector - self.first_irq}"


class Symbols:
    """Functions of components by address."""

    def __init__(self):
        self.tables = {}

    def find(self, component, address):
        if component not in self.tables:
            path = os.path.join(boot.COMPONENTS, f"{component}.elf")
            self.tables[component] = list(zip(*symbols_of(path))) if os.path.exists(path) else None
        table = self.tables[component]
        at = bisect.bisect_right(table[0], address) - 1 if table else -1
        return f"{table[1][at]}+{address - table[0][at]:#x}" if at >= 0 else f"{address:#x}"


# ---- what happened ----

class Stretch:
    """From one end of the kernel's work on a CPU to the next: what ran before, why the kernel was entered, what came of it."""

    __slots__ = ("cpu", "before", "ran", "enter", "inner", "took", "end", "then")

    def __init__(self, cpu, before, ran, enter, inner, took, end):
        self.cpu, self.before, self.ran, self.enter, self.inner, self.took, self.end = \
            cpu, before, ran, enter, inner, took, end
        self.then = end.thread

    def __lt__(self, other):
        return self.enter.time < other.enter.time


def stretches(trace, cpu):
    """Those of a CPU in order; times are less what writing events down took."""
    enter, inner, before, left = None, [], None, None
    for event in trace.events(cpu):
        if event.kind == ENTER:
            enter, inner = event, []
        elif event.kind in (EXIT, IDLE):
            if enter is not None:
                ran = max(0, enter.time - left - trace.cost) if left is not None else 0
                took = max(0, event.time - enter.time - trace.cost * (len(inner) + 1))
                yield Stretch(cpu, enter.thread if before is None else before, ran, enter, inner, took, event)
            enter, before, left = None, event.thread, event.time
        elif enter is not None:
            inner.append(event)


def all_stretches(trace, begin=0):
    """Of all CPUs, in order of their entries."""
    for stretch in heapq.merge(*(stretches(trace, cpu) for cpu in range(trace.cpus))):
        if stretch.enter.time >= begin:
            yield stretch


def is_foreign(stretch):
    return any(e.kind == MESSAGE and e.detail == 3 and e.thread == stretch.enter.thread for e in stretch.inner)


class Unit:
    """Ticks as the user sees them: instructions under icount, else microseconds."""

    def __init__(self, trace, icount):
        self.scale = 1 if icount else 1e6 / trace.hz
        self.name = "instructions" if icount else "us"
        self.digits = 0 if icount else 1

    def text(self, ticks):
        return f"{ticks * self.scale:,.{self.digits}f}"


class Profile:
    """Who used the time, by component or program; kernel time counts for whoever entered the kernel."""

    COLUMNS = ("user", "kernel", "entries", "switches", "cr3", "sent", "answered")

    def __init__(self, trace, words):
        self.trace, self.words = trace, words
        self.rows = collections.defaultdict(lambda: dict.fromkeys(self.COLUMNS, 0))
        self.messages = collections.Counter()
        self.entries = collections.defaultdict(lambda: [0, 0])
        self.signals = 0

    def add(self, stretch):
        name, time = self.trace.component, stretch.enter.time
        row = self.rows[name(stretch.enter.thread, time)]
        row["user"] += stretch.ran
        row["kernel"] += stretch.took
        row["entries"] += 1
        entry = self.entries[self.words.entry(stretch.enter, is_foreign(stretch))]
        entry[0] += 1
        entry[1] += stretch.took
        then = self.rows[name(stretch.then, stretch.end.time)]
        if stretch.then != stretch.before:
            then["switches"] += 1
        for event in stretch.inner:
            if event.kind == VSPACE:
                then["cr3"] += 1
            elif event.kind == MESSAGE:
                sender = name(event.thread, event.time)
                self.rows[sender]["sent"] += 1
                self.messages[sender, name(event.a, event.time), MESSAGE_KINDS[event.detail & 3]] += 1
            elif event.kind == REPLY:
                self.rows[name(event.thread, event.time)]["answered"] += 1
            elif event.kind == SIGNAL:
                self.signals += 1

    def busy(self):
        return sum(row["user"] + row["kernel"] for name, row in self.rows.items() if name != "idle") or 1

    def print(self, unit, out):
        busy = self.busy()
        print(f"{'component':20} {'user':>14} {'kernel':>14} {'total':>14} {'':>6} {'entries':>9} {'switches':>9} {'CR3':>9} "
              f"{'sent':>9} {'answered':>9}   ({unit.name})", file=out)
        for name, row in sorted(self.rows.items(), key=lambda item: -item[1]["user"] - item[1]["kernel"]):
            both = row["user"] + row["kernel"]
            share = f"{both / busy:6.1%}" if name != "idle" else ""
            print(f"{name:20} {unit.text(row['user']):>14} {unit.text(row['kernel']):>14} {unit.text(both):>14} {share:6} "
                  f"{row['entries']:9} {row['switches']:9} {row['cr3']:9} {row['sent']:9} {row['answered']:9}", file=out)
        columns = [sum(row[key] for row in self.rows.values()) for key in self.COLUMNS]
        print(f"{'sum':20} {unit.text(columns[0]):>14} {unit.text(columns[1]):>14} {unit.text(sum(columns[:2])):>14} {'':6} "
              + " ".join(f"{value:9}" for value in columns[2:]), file=out)
        print(f"\n{'message':44} {'count':>9}", file=out)
        for (sender, receiver, kind), count in self.messages.most_common():
            print(f"{f'{sender} -> {receiver}, {kind}':44} {count:9}", file=out)
        print(f"{'signals':44} {self.signals:9}", file=out)
        print(f"\n{'entry into the kernel':44} {'count':>9} {'total':>14} {'mean':>9}", file=out)
        for name, (count, ticks) in sorted(self.entries.items(), key=lambda item: -item[1][1]):
            print(f"{name:44} {count:9} {unit.text(ticks):>14} {unit.text(ticks / count):>9}", file=out)


class Timeline:
    """A line for each stretch."""

    def __init__(self, trace, words, unit, begin, out):
        self.trace, self.words, self.unit, self.begin, self.out = trace, words, unit, begin, out
        self.symbols = Symbols()
        print(f"{'us':>12} cpu {'thread':22} {'ran':>10}  {'then entered the kernel':34} {'took':>8}  ({unit.name})", file=out)

    def details(self, stretch):
        name = self.trace.name
        for event in stretch.inner:
            if event.kind == MESSAGE:
                label = f", label {event.c >> 32}" if event.detail < 2 and event.c >> 32 else ""
                yield f"{MESSAGE_KINDS[event.detail & 3]} to {name(event.a, event.time)}{label}"
            elif event.kind == REPLY:
                yield f"answers {name(event.a, event.time)}"
            elif event.kind == SIGNAL:
                yield f"signals {event.b:#x}" + (f" to {name(event.c, event.time)}" if event.c else "")
        polls = sum(event.kind == POLL for event in stretch.inner)
        if polls:
            yield f"{polls} preemption points"

    def where(self, stretch):
        """Arguments of a call, or where something else interrupted."""
        event = stretch.enter
        if not event.thread:
            return ""
        if event.detail == VECTOR_SYSCALL:
            return "" if is_foreign(stretch) or event.a == 8 else f" {event.b}"
        place = self.symbols.find(self.trace.component(event.thread, event.time), event.d)
        return f" of {event.a:#x} at {place}" if event.detail == 14 else f" at {place}"

    def add(self, stretch):
        enter = stretch.enter
        text = self.words.entry(enter, is_foreign(stretch)) + self.where(stretch)
        details = list(self.details(stretch))
        if stretch.then != stretch.before:
            details.append(f"-> {self.trace.name(stretch.then, stretch.end.time)}")
        time = (enter.time - self.begin) * 1e6 / self.trace.hz
        print(f"{time:12.3f} {stretch.cpu:3} {self.trace.name(enter.thread, enter.time):22} {self.unit.text(stretch.ran):>10}  "
              f"{text:34} {self.unit.text(stretch.took):>8}  {'; '.join(details)}".rstrip(), file=self.out)


class Chrome:
    """The trace-event format of Chrome's tracing and of Perfetto: a row for each CPU, and one for each thread."""

    CPUS = 1

    def __init__(self, trace, words, begin, out):
        self.trace, self.words, self.begin, self.out = trace, words, begin, out
        self.rows = {}
        out.write('{"displayTimeUnit":"ns","traceEvents":[\n')
        self.event({"ph": "M", "pid": self.CPUS, "name": "process_name", "args": {"name": "CPUs"}}, first=True)

    def event(self, fields, first=False):
        self.out.write(("" if first else ",\n") + json.dumps(fields, separators=(",", ":")))

    def microseconds(self, ticks):
        return round(ticks * 1e6 / self.trace.hz, 3)

    def row(self, thread, time):
        """(pid, tid) of a thread: components are processes."""
        name = self.trace.name(thread, time)
        if name not in self.rows:
            component = name.partition("[")[0]
            pid = next((pid for other, (pid, _) in self.rows.items() if other.partition("[")[0] == component), len(self.rows) + 2)
            self.rows[name] = pid, len(self.rows) + 1
            self.event({"ph": "M", "pid": pid, "name": "process_name", "args": {"name": component}})
            self.event({"ph": "M", "pid": pid, "tid": self.rows[name][1], "name": "thread_name", "args": {"name": name}})
        return self.rows[name]

    def slice(self, pid, tid, name, kind, begin, ticks, **arguments):
        self.event({"ph": "X", "pid": pid, "tid": tid, "name": name, "cat": kind, "ts": self.microseconds(begin - self.begin),
                    "dur": self.microseconds(ticks), **({"args": arguments} if arguments else {})})

    def add(self, stretch):
        enter, end = stretch.enter, stretch.end
        name = self.trace.name(enter.thread, enter.time)
        entry = self.words.entry(enter, is_foreign(stretch))
        if enter.thread:
            pid, tid = self.row(enter.thread, enter.time)
            if stretch.ran:
                self.slice(self.CPUS, stretch.cpu, name, "user", enter.time - stretch.ran, stretch.ran)
                self.slice(pid, tid, "runs", "user", enter.time - stretch.ran, stretch.ran)
            self.slice(pid, tid, entry, "kernel", enter.time, end.time - enter.time)
        self.slice(self.CPUS, stretch.cpu, entry, "kernel", enter.time, end.time - enter.time, thread=name)
        for event in stretch.inner:
            if event.kind in (MESSAGE, REPLY):
                self.flow(event)

    def flow(self, event):
        """An arrow from who sends to who receives."""
        identity = event.time << 3 | event.cpu
        what = MESSAGE_KINDS[event.detail & 3] if event.kind == MESSAGE else "answer"
        for phase, thread in (("s", event.thread), ("f", event.a)):
            pid, tid = self.row(thread, event.time)
            self.event({"ph": phase, "pid": pid, "tid": tid, "name": what, "cat": "message", "id": identity, "bp": "e",
                        "ts": self.microseconds(event.time - self.begin)})

    def close(self):
        self.out.write("\n]}\n")


# ---- the command ----

def last_events(trace, count):
    """The time from which there are so many events."""
    times = collections.deque((event.time for event in trace.all_events()), maxlen=count)
    return times[0] if times else 0


def window(trace, options):
    """When to begin: where the command does, unless less or more is wanted."""
    begin = 0 if options.boot else trace.started(options.command[0]) or 0
    if options.events:
        begin = max(begin, last_events(trace, options.events))
    if options.seconds:
        end = max((event.time for event in trace.all_events()), default=0)
        begin = max(begin, end - int(options.seconds * trace.hz))
    return begin


def report(trace, options):
    begin = window(trace, options)
    words = Words()
    unit = Unit(trace, options.icount)
    profile = Profile(trace, words)
    os.makedirs(os.path.dirname(os.path.abspath(options.timeline)), exist_ok=True)
    with open(options.timeline, "w") as out, open(options.json or os.devnull, "w") as chrome_out:
        timeline = Timeline(trace, words, unit, begin, out)
        chrome = Chrome(trace, words, begin, chrome_out) if options.json else None
        for stretch in all_stretches(trace, begin):
            profile.add(stretch)
            timeline.add(stretch)
            if chrome:
                chrome.add(stretch)
        if chrome:
            chrome.close()
    profile.print(unit, sys.stderr)
    if trace.lost():
        print(f"the ring was full: the oldest {trace.lost():,} events are lost (an eighth of --memory is set aside for it)", file=sys.stderr)
    print(f"timeline: {options.timeline}" + (f", {options.json}" if options.json else ""), file=sys.stderr)


def run(options):
    boot.make(KERNEL)
    memory = Memory(options.memory)
    try:
        given = {**vars(options), "kernel": KERNEL, "extra": memory.options(), "accel": "tcg"}
        try:
            status = execute.execute(execute.Options(**given))
        except Failure:
            # Most wanted if the system failed; but why is told first of all.
            with contextlib.suppress(Failure):
                report(Trace(memory), options)
            raise
        report(Trace(memory), options)
        return status
    finally:
        memory.close()
