# SPDX-License-Identifier: MIT
"""docs/kernel-abi.md says what the headers say."""

import os
import subprocess
import sys
import unittest

TOOL = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "kernel-abi.py")


class KernelAbi(unittest.TestCase):
    def test_page_is_up_to_date(self):
        result = subprocess.run([sys.executable, "-B", TOOL, "--check"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    unittest.main()
