# SPDX-License-Identifier: MIT
"""What ./pith says, and its status, where Pith itself fails."""

import contextlib
import importlib.util
import io
import os
import sys
import unittest
from unittest import mock

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "pith")
sys.path.insert(0, TOOLS)
specification = importlib.util.spec_from_file_location("front_door", os.path.join(TOOLS, "__main__.py"))
front_door = importlib.util.module_from_spec(specification)
specification.loader.exec_module(front_door)


class Failing(unittest.TestCase):
    def end(self, error, *arguments):
        """(status, what it told) of a command that ends with the error."""
        told, traces = [], io.StringIO()
        with mock.patch.object(front_door, "act", side_effect=error), mock.patch.object(front_door, "tell", lambda text: told.append(str(text))), \
                mock.patch.object(sys, "argv", ["pith", *arguments]), contextlib.redirect_stderr(traces), self.assertRaises(SystemExit) as ended:
            front_door.main()
        return ended.exception.code, told, traces.getvalue()

    def test_errors_of_the_host_are_a_line(self):
        no_permission = PermissionError(13, "Permission denied", "build/.make.lock")
        undecodable = UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
        for action, status in ((["exec", "--", "true"], 125), (["trace", "--", "true"], 125), (["run"], 1)):
            self.assertEqual(self.end(no_permission, *action), (status, ["build/.make.lock: Permission denied"], ""))
            self.assertEqual(self.end(OSError(28, "No space left on device"), *action)[0], status)
            self.assertEqual(self.end(undecodable, *action)[0::2], (status, ""))
            self.assertEqual(self.end(front_door.Failure("so", 3), *action), (status if status == 125 else 3, ["so"], ""))
            code, told, trace = self.end(KeyError("a bug"), *action)
            self.assertEqual((code, told), (status, []))
            self.assertIn("a bug", trace)

    def test_ends_that_are_no_failures(self):
        self.assertEqual(self.end(KeyboardInterrupt(), "exec", "--", "true")[0], 130)
        self.assertEqual(self.end(BrokenPipeError(), "exec", "--", "true")[0], 141)


if __name__ == "__main__":
    unittest.main()
