# SPDX-License-Identifier: MIT
"""The trace: kernels without it hold nothing of it, and the host reads the layouts that the kernel writes."""

import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tools", "pith"))

import trace  # noqa: E402
from paths import build, root  # noqa: E402

TIMER = trace.Words().vector("TIMER")


class Kernel(unittest.TestCase):
    def test_nothing_when_off(self):
        names = [name for _, name in trace.symbols_of(build("kernel", "pith.elf"))]
        self.assertIn("kernel_syscall", names)
        self.assertEqual([name for name in names if name.startswith("trace")], [])

    def test_layouts(self):
        """The compiler's idea of the structures is the tool's."""
        sizes = {"sizeof(struct trace_event)": trace.EVENT.size, "sizeof(struct trace_ring)": trace.RING_BYTES,
                 "sizeof(struct trace_name)": trace.NAME.size, "offsetof(struct trace_state, rings)": trace.STATE.size}
        source = '#include "kernel/core/trace.c"\n' + "".join(f'_Static_assert({size} == {value}, "");\n' for size, value in sizes.items())
        flags = ["-DPITH_TRACE", "-Darch_cycles()=0ul", "-Iabi/include", "-Ikernel/include", "-Itests/host/kernel/include", "-I."]
        done = subprocess.run(["gcc", "-std=gnu11", "-fsyntax-only", *flags, "-x", "c", "-"], input=source, text=True, cwd=ROOT,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_kinds(self):
        with open(root("kernel", "include", "kernel", "trace.h")) as f:
            names = re.findall(r"^\tTRACE_(\w+)", f.read(), re.M)
        self.assertEqual([getattr(trace, name) for name in names], list(range(1, len(names) + 1)))


def event(time, kind, thread=0, detail=0, cpu=0, words=(0, 0, 0, 0)):
    return trace.Event(time, kind, cpu, detail, thread, *words, 0)


class FakeTrace:
    """Two threads, A and B; an event costs 10 ticks."""
    cost, cpus, hz, offset = 10, 1, 10**9, 0

    def __init__(self, *events):
        self.list = events

    def events(self, cpu):
        return (e for e in self.list if e.cpu == cpu)

    def name(self, thread, time):
        return {0: "idle", 1: "a[1]", 2: "b"}[thread]

    def component(self, thread, time):
        return self.name(thread, time).partition("[")[0]


class Profile(unittest.TestCase):
    def test_a_call_is_charged_to_both_sides(self):
        call = trace.MESSAGE_KINDS.index("call")
        traced = FakeTrace(
            event(1000, trace.EXIT, 1),
            event(1110, trace.ENTER, 1, 0x100, words=(1, 5, 0, 0)),        # a ran 100
            event(1160, trace.MESSAGE, 1, call, words=(2, 0, 0, 0)),
            event(1180, trace.VSPACE),
            event(1230, trace.EXIT, 2),                                    # 120 less three events in the kernel
            event(1740, trace.ENTER, 2, 0x100, words=(4, 5, 0, 0)),        # b ran 500
            event(1800, trace.REPLY, 2, call, words=(1, 0, 0, 0)),
            event(1820, trace.VSPACE),
            event(1880, trace.EXIT, 1),
            event(1990, trace.ENTER, 1, TIMER),
            event(2020, trace.IDLE),
            event(5030, trace.ENTER, 0, TIMER),
            event(5060, trace.EXIT, 2))
        profile = trace.Profile(traced, trace.Words())
        for stretch in trace.all_stretches(traced):
            profile.add(stretch)
        a, b, idle = (profile.rows[name] for name in ("a", "b", "idle"))
        self.assertEqual((a["user"], a["kernel"], a["entries"], a["switches"], a["cr3"], a["sent"]), (200, 110, 2, 1, 1, 1))
        self.assertEqual((b["user"], b["kernel"], b["switches"], b["cr3"], b["answered"]), (500, 110, 2, 1, 1))
        self.assertEqual((idle["user"], idle["kernel"]), (3000, 20))
        self.assertEqual(dict(profile.messages), {("a", "b", "call"): 1})
        self.assertEqual(profile.entries["call"], [1, 90])
        self.assertEqual(profile.entries["timer interrupt"], [2, 40])

    def test_words(self):
        words = trace.Words()
        enter = event(0, trace.ENTER, 1, 0x100, words=(9, 1, 0x10, 0))
        self.assertEqual(words.entry(enter, False), "UNTYPED_RETYPE")
        self.assertEqual(words.entry(enter, True), "mmap")
        self.assertEqual(words.entry(event(0, trace.ENTER, 1, words.first_irq + 1), False), "Irq 1")
        self.assertEqual(words.entry(event(0, trace.ENTER, 1, words.vector("MAIL")), False), "mail interrupt")
        self.assertEqual(words.entry(event(0, trace.ENTER, 1, 14), False), "page fault")


if __name__ == "__main__":
    unittest.main()
