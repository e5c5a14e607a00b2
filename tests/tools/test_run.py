# SPDX-License-Identifier: MIT
"""`./pith run`: how it ends, and whether the log ends it."""

import os
import signal
import socket
import sys
import types
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "pith"))

import run


class Ends(unittest.TestCase):
    def terminal(self, log_file=None):
        ours, self.theirs = socket.socketpair()
        for end in (ours, self.theirs):
            self.addCleanup(end.close)
        return run.Terminal(types.SimpleNamespace(log=ours), log_file, None)

    def test_signals_are_the_status(self):
        for numbers, quit, status in (([signal.SIGTERM], True, 143), ([signal.SIGWINCH, signal.SIGHUP], True, 129), ([signal.SIGWINCH], False, 0)):
            terminal = self.terminal()
            wakeup, end = os.pipe()
            os.write(end, bytes(numbers))
            terminal.read_signals(wakeup)
            self.assertEqual((terminal.quit, terminal.status), (quit, status))
            os.close(wakeup)
            os.close(end)

    def test_log_that_cannot_be_written(self):
        with open("/dev/full", "wb", buffering=0) as full:
            terminal = self.terminal(full)
            for line, panicked in ((b"linux: kernel panic: unknown system call\n", False), (b"\nkernel panic: so\n", True)):
                self.theirs.sendall(line)
                terminal.read_log()
                self.assertEqual(terminal.panicked is not None, panicked)


if __name__ == "__main__":
    unittest.main()
