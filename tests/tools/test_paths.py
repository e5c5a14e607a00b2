# SPDX-License-Identifier: MIT
"""Folders for the time of a run."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "pith"))

from paths import scratch_folder


class Scratch(unittest.TestCase):
    def test_leftovers_go_and_others_stay(self):
        with tempfile.TemporaryDirectory() as parent:
            for name in ("root.1", f"root.{os.getpid()}", "others"):
                os.makedirs(os.path.join(parent, name, "below"))
            with scratch_folder(parent, "root.") as one:
                self.assertEqual(set(os.listdir(parent)), {"others", os.path.basename(one)})
                with scratch_folder(parent, "root.") as two:
                    self.assertEqual(set(os.listdir(parent)), {"others", os.path.basename(one), os.path.basename(two)})
                self.assertEqual(os.listdir(one), [])
            self.assertEqual(os.listdir(parent), ["others"])


if __name__ == "__main__":
    unittest.main()
