# SPDX-License-Identifier: MIT
"""The test runner: what it counts, and who has a second chance."""

import contextlib
import io
import os
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "pith"))

import testing


class Running(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        original = testing.build
        self.addCleanup(setattr, testing, "build", original)
        testing.build = lambda *parts: os.path.join(self.folder, *parts)

    def run_all(self, *tests):
        """(all passed, lines), of (name, shell script) each; $HERE is a folder that they share."""
        out = io.StringIO()
        os.environ["HERE"] = self.folder
        with contextlib.redirect_stdout(out):
            good = testing.run_all([testing.Test(name, ["sh", "-c", script]) for name, script in tests])
        return good, out.getvalue().splitlines()

    def test_all_pass(self):
        good, lines = self.run_all(("system/a", "true"), ("host/b", "echo 'coverage: all'"))
        self.assertTrue(good)
        self.assertEqual(lines[-1], "2 passed, 0 failed")
        self.assertIn("     | coverage: all", lines)

    def test_one_fails_twice(self):
        good, lines = self.run_all(("system/a", "echo why; false"), ("host/b", "true"))
        self.assertFalse(good)
        self.assertEqual(lines[-2:], ["failed: system/a", "1 passed, 1 failed"])
        self.assertEqual(lines.count("     | why"), 2)

    def test_one_fails_once(self):
        good, lines = self.run_all(("system/a", "touch $PITH_TEST/trace; mkdir $HERE/mark && echo no && exit 1; true"))
        self.assertTrue(good)
        self.assertIn("passed only when run again, alone: system/a", lines)
        self.assertEqual(lines[-1], "1 passed, 0 failed")
        self.assertTrue(os.path.exists(os.path.join(self.folder, "test", "system.a.first", "trace")))

    def test_what_counts_has_no_second_chance(self):
        good, lines = self.run_all(("kernel/a", "mkdir $HERE/mark && exit 1; true"), ("system/b", "mkdir $HERE/mark.b && exit 1; true"))
        self.assertFalse(good)
        self.assertEqual(lines[-1], "0 passed, 2 failed")

    def test_many_are_no_accident(self):
        once = "mkdir $PITH_TEST/../../$(basename $PITH_TEST).mark && exit 1; true"
        good, lines = self.run_all(*((f"system/{n}", once) for n in range(testing.DOUBTS + 1)))
        self.assertFalse(good)
        self.assertEqual(lines[-1], f"0 passed, {testing.DOUBTS + 1} failed")

    def test_interrupt_ends_all(self):
        tests = [("host/a", "touch $HERE/runs; kill -INT $PARENT; sleep 100"), ("system/b", "sleep 100"), ("host/c", "touch $HERE/never")]
        os.environ["PARENT"] = str(os.getpid())
        began = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            self.run_all(*tests)
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                thread.join(20)
        self.assertLess(time.monotonic() - began, 50)
        self.assertEqual([name for name in ("runs", "never") if os.path.exists(os.path.join(self.folder, name))], ["runs"])

    def test_none(self):
        self.assertEqual(self.run_all(), (False, ["0 passed, 0 failed"]))


if __name__ == "__main__":
    unittest.main()
