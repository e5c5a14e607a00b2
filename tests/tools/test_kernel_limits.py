# SPDX-License-Identifier: MIT
"""What of a traced kernel concerns other CPUs, and the command lines of the kernel's benchmark."""

import importlib.util
import os
import sys
import unittest

TOOLS = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "pith")
sys.path.insert(0, TOOLS)

from kernel_limits import between_cpus, found_between_cpus  # noqa: E402


def load_main():
    spec = importlib.util.spec_from_file_location("pith_main", os.path.join(TOOLS, "__main__.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Instructions(unittest.TestCase):
    def test_locked(self):
        for code in ("f0480fc115", "66f00fc115", "f048830c2400", "4887 03", "8703", "678703", "8643 10"):
            self.assertEqual(between_cpus(bytes.fromhex(code), "f"), "lock", code)

    def test_not_locked(self):
        # cmpxchg and xadd without the prefix, exchanges of registers, nop, and the prefix's byte as part of an operand.
        for code in ("480fb103", "480fc103", "4887c3", "90", "48c7c0f0000000", "0fae f0"):
            self.assertIsNone(between_cpus(bytes.fromhex(code), "f"), code)

    def test_interrupts(self):
        self.assertEqual(between_cpus(bytes.fromhex("0f30"), "f"), "interrupt")
        for function in ("apic_write", "apic_send", "arch_ipi", "apic_write.constprop.0"):
            self.assertEqual(between_cpus(bytes.fromhex("8903"), function), "interrupt")

    def test_rounds(self):
        class Trace:
            total, metrics = 30000, {"m": (300, "instructions")}  # 100 rounds
            instructions = [(1, 100, b"\xf0\x48\x0f\xb1\x03", ""), (2, 3, b"\x0f\x30", "")]

            def function(self, address):
                return f"f{address}"

        self.assertEqual(found_between_cpus(Trace(), "m"), {"lock": {"f1"}})


class CommandLine(unittest.TestCase):
    def test_values_of_options(self):
        parse = load_main().parse
        for line in ("bench kernel --profile notify_pingpong --cpus 2", "bench --profile notify_pingpong --cpus 2 kernel"):
            options = parse(line.split())
            self.assertEqual((options.what, options.profile, options.cpus, options.group), ("kernel", "notify_pingpong", 2, []))


if __name__ == "__main__":
    unittest.main()
